/*
 * A stop frees whoever waits, whatever for: a leader, the disk or its turn;
 * asked again it is the same stop, and what is known stays to be read. (In
 * etcd's terms: a step that blocks returns when the node stops, and a node is
 * stopped once.)
 */
#include "tests/unit/support_handle.h"
#include "tests/unit/support_node.h"

static struct rig rig;
static struct guest alice;

static void set_up(void)
{
	rig_init(&rig);
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
}

static void set_up_leaderless(void)
{
	rig_init(&rig);
	rig_start_leaderless(&rig);
	peer_open(&alice, &rig, 1);
}

static void tear_down(void)
{
	peer_unmap(&alice);
	rig_release(&rig);
}

START_TEST(without_a_leader_a_stop_frees_reads_and_leaves_proposals)
{
	peer_put(&alice, 0, "k", "v");
	peer_get(&alice, 1, "k");
	rig_turns(&rig, 5);
	ck_assert(!is_posted(&alice, 0));
	ck_assert(!is_posted(&alice, 1));
	node_drain(rig.node);
	rig_turns(&rig, 5);
	ck_assert_int_eq(status_of(&alice, 1), CONCLAVE_ESTOPPED);
	/* It was never taken, and whoever put it there can take it back. */
	ck_assert(!is_posted(&alice, 0));
	ck_assert_uint_eq(alice.claims[0], cv_claim_word(1, CV_QUEUED));
	/* Leading at last, it takes nothing any more. */
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.status.leader, 7);
	ck_assert(node_drained(rig.node));
	ck_assert(cv_claim_cancel(&alice.claims[0], 1));
	ck_assert_uint_eq(rig.status.keys, 0);
}
END_TEST

START_TEST(a_stop_is_one_stop_however_often_it_is_asked_for)
{
	uint64_t applied;

	ck_assert(!node_drained(rig.node));
	peer_put(&alice, 0, "k", "v");
	rig_turns(&rig, 1);
	node_drain(rig.node);
	node_drain(rig.node);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert(node_drained(rig.node));
	applied = rig.status.applied;
	node_drain(rig.node);
	rig_settle(&rig);
	ck_assert(node_drained(rig.node));
	ck_assert_uint_eq(rig.status.applied, applied);
	/* What it was stays to be seen. */
	ck_assert_uint_eq(rig.status.leader, 7);
	ck_assert_uint_gt(rig.status.term, 0);
	ck_assert_uint_eq(alice.down_words->completion, 1);
}
END_TEST

START_TEST(a_stop_waits_for_the_disk_and_for_nothing_else)
{
	rig_stall(&rig);
	peer_put(&alice, 0, "k", "v");
	rig_turns(&rig, 3);
	node_drain(rig.node);
	rig_turns(&rig, 50);
	ck_assert(!node_drained(rig.node));
	ck_assert(!is_posted(&alice, 0));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert(node_drained(rig.node));
	ck_assert_int_eq(status_of(&alice, 0), 0);
	/* Nobody collected that, and nobody needed to. */
	ck_assert(node_may_sleep(rig.node));
}
END_TEST

START_TEST(what_was_left_in_a_ring_by_a_stop_is_not_found_after_it)
{
	node_drain(rig.node);
	peer_put(&alice, 0, "k", "v");
	rig_settle(&rig);
	ck_assert(node_drained(rig.node));
	peer_unmap(&alice);
	rig_restart(&rig);
	peer_open(&alice, &rig, 1);
	rig_settle(&rig);
	peer_get(&alice, 0, "k");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(rig.status.keys, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_stop");
	TCase *tcase = tcase_create("stop");
	TCase *leaderless = tcase_create("without a leader");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_stop_is_one_stop_however_often_it_is_asked_for);
	tcase_add_test(tcase, a_stop_waits_for_the_disk_and_for_nothing_else);
	tcase_add_test(tcase,
		       what_was_left_in_a_ring_by_a_stop_is_not_found_after_it);
	tcase_add_checked_fixture(leaderless, set_up_leaderless, tear_down);
	tcase_add_test(
		leaderless,
		without_a_leader_a_stop_frees_reads_and_leaves_proposals);
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, leaderless);
	return run_suite(suite);
}
