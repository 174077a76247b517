/*
 * Members that compare their states: who is alone with its own serves nobody,
 * and the others go on.
 */
#include "daemon/store/state.h"
#include "tests/unit/support_cluster.h"

static struct cluster cluster;
static struct guest guests[CLUSTER_MAX];
static uint32_t slots[CLUSTER_MAX]; /* used last */
static uint32_t leader;

static void set_up(void)
{
	uint32_t i;

	cluster_init(&cluster, 3);
	leader = cluster_gather(&cluster, guests);
	for (i = 0; i < 3; i++)
		slots[i] = 0;
}

static void tear_down(void)
{
	cluster_dismiss(&cluster, guests);
}

static uint32_t other(uint32_t nth)
{
	return (leader + nth) % 3;
}

static int32_t put(uint32_t i)
{
	peer_put(&guests[i], slots[i], "k", "v");
	cluster_await(&cluster, &guests[i], slots[i]);
	return status_of(&guests[i], slots[i]++);
}

static int32_t get(uint32_t i, uint32_t flags)
{
	struct cv_request head = get_head(slots[i], "k");

	head.flags |= (uint16_t)flags;
	peer_write(&guests[i], head, "k", NULL);
	cluster_await(&cluster, &guests[i], slots[i]);
	return status_of(&guests[i], slots[i]++);
}

/* A bit of its state is another one. */
static void corrupt(uint32_t i)
{
	cluster.rigs[i].node->store->sum.low ^= 1;
}

static void expect(uint32_t i, enum node_hash_verdict verdict, uint64_t differs)
{
	struct node_trouble trouble;
	bool alarm = verdict == NODE_HASH_OWN || verdict == NODE_HASH_DOUBT;

	node_trouble(cluster.rigs[i].node, &trouble);
	ck_assert_int_eq(trouble.verdict, verdict);
	if (differs) {
		ck_assert_uint_eq(trouble.differs, differs);
		ck_assert_uint_gt(trouble.differs_index, 0);
	}
	ck_assert(!(cluster.rigs[i].status.alarms & CV_ALARM_CORRUPT) ==
		  !alarm);
	ck_assert_uint_eq(cluster.rigs[i].status.differs_index,
			  alarm ? trouble.differs_index : 0);
}

static void leave(uint32_t i)
{
	if (guests[i].up)
		peer_unmap(&guests[i]);
	cluster_kill(&cluster, i);
}

START_TEST(members_that_are_alike_compare_at_what_they_applied)
{
	uint32_t i, k;

	for (i = 0; i < 30; i++) {
		for (k = 0; k < 3; k++)
			ck_assert_int_eq(put(k), 0);
		cluster_pass(&cluster, RIG_TICK_NS);
	}
	for (k = 0; k < 3; k++) {
		struct node *node = cluster.rigs[k].node;

		expect(k, NODE_HASH_SAME, 0);
		/* And it was compared, to the last entry. */
		ck_assert_uint_eq(
			node->hashes[node->hash_at % HASHES_KEPT].index,
			node->applied);
	}
}
END_TEST

START_TEST(a_follower_that_is_alone_with_its_state_serves_nobody)
{
	uint32_t bad = other(1), good = other(2);

	ck_assert_int_eq(put(bad), 0);
	corrupt(bad);
	cluster_pass(&cluster, 3 * RIG_TICK_NS);
	expect(bad, NODE_HASH_OWN, 0);
	expect(leader, NODE_HASH_OTHER, bad + 1);
	expect(good, NODE_HASH_OTHER, bad + 1);
	ck_assert_int_eq(put(bad), CONCLAVE_ECORRUPT);
	ck_assert_int_eq(get(bad, 0), CONCLAVE_ECORRUPT);
	ck_assert_int_eq(get(bad, CV_SERIALIZABLE), CONCLAVE_ECORRUPT);
	peer_ping(&guests[bad], slots[bad]);
	cluster_await(&cluster, &guests[bad], slots[bad]);
	ck_assert_int_eq(status_of(&guests[bad], slots[bad]), 0);
	/* The others go on. */
	ck_assert_int_eq(put(good), 0);
	ck_assert_int_eq(put(leader), 0);
	ck_assert_int_eq(get(good, 0), 0);
	ck_assert_int_eq(cluster_leader(&cluster), (int)leader);
}
END_TEST

START_TEST(what_was_asked_before_is_not_answered_from_a_wrong_state)
{
	uint32_t bad = other(1);

	ck_assert_int_eq(put(bad), 0);
	cluster_isolate(&cluster, bad, true);
	peer_put(&guests[bad], slots[bad], "k", "w");
	peer_get(&guests[bad], slots[bad] + 1, "k");
	peer_outcome(&guests[bad], slots[bad] + 2, guests[bad].sequence);
	corrupt(bad);
	ck_assert_int_eq(put(leader), 0);
	cluster_isolate(&cluster, bad, false);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	expect(bad, NODE_HASH_OWN, 0);
	/* It may be applied, and this member cannot say what came of it. */
	ck_assert(!is_posted(&guests[bad], slots[bad]) ||
		  status_of(&guests[bad], slots[bad]) == CONCLAVE_ECORRUPT);
	ck_assert_int_eq(status_of(&guests[bad], slots[bad] + 1),
			 CONCLAVE_ECORRUPT);
	ck_assert(!is_posted(&guests[bad], slots[bad] + 2));
}
END_TEST

START_TEST(a_leader_that_is_alone_with_its_state_leads_no_more)
{
	uint32_t bad = leader, i;

	ck_assert_int_eq(put(bad), 0);
	corrupt(bad);
	cluster_pass(&cluster, 30 * RIG_TICK_NS);
	expect(bad, NODE_HASH_OWN, 0);
	leader = cluster_elect(&cluster);
	ck_assert_uint_ne(leader, bad);
	for (i = 0; i < 3; i++)
		if (i != bad) {
			ck_assert_int_eq(put(i), 0);
			ck_assert(cluster.rigs[i].node->verdict !=
				  NODE_HASH_OWN);
		}
	ck_assert_int_eq(put(bad), CONCLAVE_ECORRUPT);
}
END_TEST

START_TEST(one_in_quarantine_still_votes_and_keeps_the_log)
{
	uint32_t bad = other(1), good = other(2);

	corrupt(bad);
	cluster_pass(&cluster, 3 * RIG_TICK_NS);
	expect(bad, NODE_HASH_OWN, 0);
	leave(leader);
	ck_assert_int_eq(put(good), 0);
	ck_assert_int_eq(cluster_leader(&cluster), (int)good);
	cluster_pass(&cluster, 3 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.rigs[bad].node->supplied,
			  cluster.rigs[good].node->supplied);
}
END_TEST

START_TEST(one_in_quarantine_cuts_no_image)
{
	uint32_t bad = other(1), good = other(2), i;

	corrupt(bad);
	cluster_pass(&cluster, 3 * RIG_TICK_NS);
	for (i = 0; i < 3; i++)
		cluster.rigs[i].node->options.entries_max = 64;
	for (i = 0; i < 60; i++)
		ck_assert_int_eq(put(leader), 0);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert_uint_gt(wal_snapshot_index(cluster.rigs[good].wal), 0);
	ck_assert_uint_eq(wal_snapshot_index(cluster.rigs[bad].wal), 0);
}
END_TEST

START_TEST(a_start_that_finds_the_right_state_ends_the_quarantine)
{
	uint32_t bad = other(1);

	ck_assert_int_eq(put(bad), 0);
	corrupt(bad);
	cluster_pass(&cluster, 3 * RIG_TICK_NS);
	expect(bad, NODE_HASH_OWN, 0);
	leave(bad);
	cluster_start_one(&cluster, bad);
	(void)cluster_elect(&cluster);
	ck_assert_int_eq(put(leader), 0);
	cluster_pass(&cluster, 5 * RIG_TICK_NS);
	expect(bad, NODE_HASH_SAME, 0);
	expect(leader, NODE_HASH_SAME, 0);
}
END_TEST

START_TEST(without_a_majority_there_is_an_alarm_and_nothing_else)
{
	uint32_t bad = other(1), away = other(2);

	leave(away);
	corrupt(bad);
	cluster_pass(&cluster, 3 * RIG_TICK_NS);
	/* A third one may say who is right. */
	expect(bad, NODE_HASH_SAME, 0);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	expect(bad, NODE_HASH_DOUBT, leader + 1);
	expect(leader, NODE_HASH_DOUBT, bad + 1);
	ck_assert_int_eq(put(bad), 0);
	ck_assert_int_eq(put(leader), 0);
	cluster_start_one(&cluster, away);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	expect(bad, NODE_HASH_OWN, 0);
	expect(leader, NODE_HASH_OTHER, bad + 1);
}
END_TEST

START_TEST(a_member_that_is_late_is_no_cause_for_alarm)
{
	uint32_t late = other(1), i;

	for (i = 0; i < 20; i++) {
		cluster_isolate(&cluster, late, i % 3 == 1);
		ck_assert_int_eq(put(leader), 0);
		cluster_pass(&cluster, (i % 4) * RIG_TICK_NS / 2);
	}
	cluster_isolate(&cluster, late, false);
	/* It applies in slices, while more comes. */
	cluster.rigs[late].node->options.apply_budget = 1;
	for (i = 0; i < 50; i++) {
		peer_put(&guests[leader], slots[leader]++, "k", "v");
		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
	}
	cluster_pass(&cluster, 10 * RIG_TICK_NS);
	for (i = 0; i < 3; i++)
		expect(i, NODE_HASH_SAME, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node, state hashes");
	TCase *all = tcase_create("all");

	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all,
		       members_that_are_alike_compare_at_what_they_applied);
	tcase_add_test(all,
		       a_follower_that_is_alone_with_its_state_serves_nobody);
	tcase_add_test(
		all, what_was_asked_before_is_not_answered_from_a_wrong_state);
	tcase_add_test(all,
		       a_leader_that_is_alone_with_its_state_leads_no_more);
	tcase_add_test(all, one_in_quarantine_still_votes_and_keeps_the_log);
	tcase_add_test(all, one_in_quarantine_cuts_no_image);
	tcase_add_test(all,
		       a_start_that_finds_the_right_state_ends_the_quarantine);
	tcase_add_test(all,
		       without_a_majority_there_is_an_alarm_and_nothing_else);
	tcase_add_test(all, a_member_that_is_late_is_no_cause_for_alarm);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
