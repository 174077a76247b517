/*
 * Five members and many proposals: all make progress together; some stop,
 * come back from their disks or were only not heard for a while; and every
 * entry that was committed is applied by all, in the same order.
 */
#include "tests/unit/support_raft_net.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum sizes {
	MEMBERS = 5,
};

static struct net net;

static void set_up(void)
{
	net_init(&net, MEMBERS);
	for (unsigned int i = 0; i < MEMBERS; i++) {
		net.core[i].options.pre_vote = true;
		net.core[i].options.check_quorum = true;
	}
	net_start(&net);
}

static void tear_down(void)
{
	net_release(&net);
}

/* Time passes until someone leads whom a quorum hears. */
static uint64_t wait_leader(void)
{
	for (unsigned int i = 0; i < 10 * CORE_ELECTION; i++) {
		uint64_t leader = net_leader(&net);

		if (leader != 0 && net_propose(&net, leader) == 0)
			return leader;
		net_tick_all(&net, 1);
	}
	ck_abort_msg("no leader: %s", net_roles(&net));
	return 0;
}

static void propose_many(unsigned int count)
{
	uint64_t leader = wait_leader();
	uint64_t before = net_status(&net, leader)->commit;

	for (unsigned int i = 0; i < count; i++)
		ck_assert_int_eq(net_propose(&net, leader), 0);
	ck_assert_uint_eq(net_status(&net, leader)->commit, before + count);
}

/* All that run have applied all, and their logs are one log. */
static void expect_same(void)
{
	uint64_t leader = wait_leader();
	char *terms;

	net_tick_all(&net, 2);
	terms = strdup(core_terms(net_core(&net, leader)));
	ck_assert_ptr_nonnull(terms);
	for (uint64_t id = 1; id <= MEMBERS; id++) {
		const struct raft_status *now = net_status(&net, id);

		ck_assert_uint_eq(now->applied, now->last_index);
		ck_assert_uint_eq(now->last_index,
				  net_core(&net, leader)->image.index);
		ck_assert_str_eq(core_terms(net_core(&net, id)), terms);
	}
	free(terms);
}

START_TEST(all_make_progress_together)
{
	propose_many(100);
	expect_same();
	ck_assert_uint_ge(net_core(&net, 1)->image.index, 101);
}
END_TEST

START_TEST(every_member_passes_proposals_on)
{
	uint64_t leader = wait_leader();
	uint64_t before = net_status(&net, leader)->commit;

	for (unsigned int i = 0; i < 100; i++)
		ck_assert_int_eq(net_propose(&net, 1 + i % MEMBERS), 0);
	ck_assert_uint_eq(net_status(&net, leader)->commit, before + 100);
	expect_same();
}
END_TEST

START_TEST(members_stop_and_come_back_from_their_disks)
{
	uint64_t leader = wait_leader();
	uint64_t first = leader % MEMBERS + 1, second = first % MEMBERS + 1;

	propose_many(30);
	net_crash(&net, first);
	propose_many(30);
	net_crash(&net, second);
	propose_many(30);
	net_restart(&net, first);
	propose_many(30);
	net_restart(&net, second);
	propose_many(1);
	expect_same();
}
END_TEST

START_TEST(the_leader_stops_and_comes_back_as_a_follower)
{
	uint64_t leader = wait_leader();
	uint64_t term = net_status(&net, leader)->term;

	propose_many(30);
	net_crash(&net, leader);
	net_tick_all(&net, 3 * CORE_ELECTION);
	ck_assert_uint_ne(wait_leader(), leader);
	propose_many(30);
	net_restart(&net, leader);
	ck_assert_uint_eq(net_status(&net, leader)->role, RAFT_FOLLOWER);
	propose_many(1);
	expect_same();
	ck_assert_uint_gt(net_status(&net, leader)->term, term);
}
END_TEST

START_TEST(all_stop_at_once_and_nothing_committed_is_lost)
{
	uint64_t commit;

	propose_many(50);
	commit = net_status(&net, wait_leader())->commit;
	for (uint64_t id = 1; id <= MEMBERS; id++)
		net_crash(&net, id);
	for (uint64_t id = 1; id <= MEMBERS; id++)
		net_restart(&net, id);
	propose_many(1);
	ck_assert_uint_gt(net_status(&net, 1)->commit, commit);
	expect_same();
}
END_TEST

START_TEST(without_a_majority_nothing_is_committed)
{
	uint64_t leader = wait_leader();
	uint64_t commit, cut = leader;

	propose_many(10);
	commit = net_status(&net, leader)->commit;
	for (unsigned int i = 0; i < 3; i++) {
		cut = cut % MEMBERS + 1;
		net_isolate(&net, cut);
	}
	for (unsigned int i = 0; i < 10; i++)
		(void)!net_propose(&net, leader);
	net_tick_all(&net, 3 * CORE_ELECTION);
	for (uint64_t id = 1; id <= MEMBERS; id++)
		ck_assert_uint_eq(net_status(&net, id)->commit, commit);
	ck_assert_uint_eq(net_leader(&net), 0);
	net_heal(&net);
	propose_many(1);
	expect_same();
}
END_TEST

START_TEST(members_that_were_not_heard_for_a_while_catch_up)
{
	uint64_t leader = wait_leader();
	uint64_t first = leader % MEMBERS + 1, second = first % MEMBERS + 1;

	propose_many(10);
	net_isolate(&net, first);
	net_isolate(&net, second);
	propose_many(30);
	ck_assert_uint_lt(net_status(&net, first)->last_index,
			  net_status(&net, leader)->last_index);
	net_heal(&net);
	/* PreVote: whoever was away disturbs no one. */
	net_tick_all(&net, 2 * CORE_ELECTION);
	ck_assert_uint_eq(net_leader(&net), leader);
	expect_same();
}
END_TEST

START_TEST(a_member_whose_disk_stalls_holds_nobody_up)
{
	uint64_t leader = wait_leader();
	uint64_t slow = leader % MEMBERS + 1;

	propose_many(10);
	net_core(&net, slow)->stalled = true;
	propose_many(30);
	ck_assert_uint_le(net_status(&net, slow)->stable_index,
			  net_status(&net, leader)->commit - 30);
	net_core(&net, slow)->stalled = false;
	core_persist(net_core(&net, slow));
	net_settle(&net);
	expect_same();
}
END_TEST

START_TEST(a_member_that_was_away_for_long_gets_an_image)
{
	uint64_t leader = wait_leader();
	uint64_t away = leader % MEMBERS + 1;

	net_crash(&net, away);
	propose_many(50);
	net_compact(&net, leader);
	net_restart(&net, away);
	net_tick_all(&net, 3);
	ck_assert_uint_gt(net_status(&net, away)->first_index, 1);
	ck_assert_uint_eq(net_status(&net, away)->applied,
			  net_status(&net, leader)->applied);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, all_make_progress_together);
	tcase_add_test(all, every_member_passes_proposals_on);
	tcase_add_test(all, members_stop_and_come_back_from_their_disks);
	tcase_add_test(all, the_leader_stops_and_comes_back_as_a_follower);
	tcase_add_test(all, all_stop_at_once_and_nothing_committed_is_lost);
	tcase_add_test(all, without_a_majority_nothing_is_committed);
	tcase_add_test(all, members_that_were_not_heard_for_a_while_catch_up);
	tcase_add_test(all, a_member_whose_disk_stalls_holds_nobody_up);
	tcase_add_test(all, a_member_that_was_away_for_long_gets_an_image);
}

int main(void)
{
	Suite *suite = suite_create("raft, five members");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	add_tests(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
