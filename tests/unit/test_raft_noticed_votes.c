/*
 * The small print of elections: which answers of a voter count, what a
 * campaign tells besides asking, and what a new term leaves behind.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
}

static void tear_down(void)
{
	core_release(&one);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

/* A word of a later term takes its role from it. */
static void depose(void)
{
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 3,
					      .term = status()->term + 4,
					      .reject = true});
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
}

static unsigned int ticks_until_campaign(void)
{
	uint64_t term = status()->term;
	unsigned int ticks = 0;

	while (status()->term == term) {
		raft_tick(one.raft);
		ck_assert_uint_lt(++ticks, 2 * CORE_ELECTION);
	}
	return ticks;
}

static void start_with_commit(void)
{
	one.hard.commit = 2;
	core_load(&one, (const uint64_t[]){1, 1, 2, 0});
	core_start(&one);
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, 2);
}

START_TEST(a_campaign_tells_what_is_committed)
{
	const struct raft_message *ask;

	one.options.pre_vote = true;
	start_with_commit();
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ask = core_message(&one, RAFT_MSG_PRE_VOTE, 2);
	ck_assert_uint_eq(ask->commit, 2);
	ck_assert_uint_eq(ask->commit_term, 1);
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	core_settle(&one);
	ask = core_message(&one, RAFT_MSG_VOTE, 3);
	ck_assert_uint_eq(ask->commit, 2);
	ck_assert_uint_eq(ask->commit_term, 1);
}
END_TEST

START_TEST(who_is_asked_learns_what_is_committed)
{
	const struct raft_message ask = {.from = 2,
					 .term = 3,
					 .log_index = 3,
					 .log_term = 1, /* older: refused */
					 .commit = 2,
					 .commit_term = 1};

	core_load(&one, (const uint64_t[]){1, 1, 2, 0});
	core_start(&one);
	ck_assert_int_eq(say_vote(&one, ask), 0);
	core_settle(&one);
	ck_assert(core_message(&one, RAFT_MSG_VOTE_REPLY, 2)->reject);
	ck_assert_uint_eq(status()->commit, 2);
}
END_TEST

/* Who was removed does not come to a newer term any more. */
START_TEST(a_refusal_of_an_older_term_tells_what_is_committed)
{
	core_load(&one, (const uint64_t[]){1, 1, 2, 0});
	one.hard.term = 4;
	core_start(&one);
	core_give(&one,
		  (struct raft_message){.type = _i ? RAFT_MSG_VOTE_REPLY
						   : RAFT_MSG_PRE_VOTE_REPLY,
					.from = 3,
					.term = 2,
					.reject = true,
					.commit = 2,
					.commit_term = 1});
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, 2);
	ck_assert_uint_eq(status()->term, 4);
}
END_TEST

START_TEST(a_leader_commits_only_what_it_counts)
{
	core_load(&one, (const uint64_t[]){1, 1, 2, 0});
	core_start(&one);
	core_lead(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 3,
					      .term = status()->term,
					      .reject = true,
					      .commit = 2,
					      .commit_term = 1});
	ck_assert_uint_eq(status()->commit, 0);
}
END_TEST

static void campaign_of_five(void)
{
	core_release(&one);
	core_init(&one, 1, 5);
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
}

START_TEST(the_first_answer_of_a_voter_counts)
{
	campaign_of_five();
	core_settle(&one);
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	ck_assert_int_eq(say_vote_reply(&one, 2, true), 0);
	ck_assert_int_eq(say_vote_reply(&one, 3, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	campaign_of_five();
	core_settle(&one);
	ck_assert_int_eq(say_vote_reply(&one, 2, true), 0);
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	ck_assert_int_eq(say_vote_reply(&one, 3, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(who_lost_does_not_win_by_votes_that_come_late)
{
	campaign_of_five();
	ck_assert(core_take(&one)); /* its own vote is on its way */
	for (uint64_t from = 2; from <= 4; from++)
		ck_assert_int_eq(say_vote_reply(&one, from, true), 0);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	core_persist(&one);
	for (uint64_t from = 2; from <= 5; from++)
		ck_assert_int_eq(say_vote_reply(&one, from, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(only_a_transfer_overrules_the_lease)
{
	one.options.pre_vote = true;
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert(!core_message(&one, RAFT_MSG_PRE_VOTE, 2)->forced);
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	core_settle(&one);
	ck_assert(!core_message(&one, RAFT_MSG_VOTE, 2)->forced);
}
END_TEST

START_TEST(a_pre_candidate_asks_once_in_a_timeout)
{
	one.options.pre_vote = true;
	core_start(&one);
	while (status()->role != RAFT_PRE_CANDIDATE)
		raft_tick(one.raft);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_PRE_VOTE, 0), 2);
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++) {
		raft_tick(one.raft);
		ck_assert(!core_take(&one));
	}
}
END_TEST

START_TEST(a_vote_in_the_running_term_puts_the_timeout_off)
{
	unsigned int timeout;

	one.hard.term = 5;
	core_start(&one);
	timeout = ticks_until_campaign();
	core_start(&one);
	for (unsigned int i = 0; i < timeout - 1; i++)
		raft_tick(one.raft);
	ck_assert_int_eq(
		say_vote(&one, (struct raft_message){.from = 2, .term = 5}), 0);
	ck_assert_uint_eq(status()->vote, 2);
	ck_assert_uint_eq(ticks_until_campaign(), timeout);
}
END_TEST

START_TEST(a_leader_counts_itself_while_its_disk_stalls)
{
	one.options.check_quorum = true;
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	one.stalled = true;
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	for (unsigned int i = 0; i < 3 * CORE_ELECTION; i++)
		core_round(&one, 2);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(the_first_heartbeat_of_a_term_is_on_time)
{
	one.options.heartbeat_ticks = 3;
	core_start(&one);
	core_lead(&one);
	raft_tick(one.raft);
	raft_tick(one.raft);
	depose();
	core_lead(&one);
	raft_tick(one.raft);
	raft_tick(one.raft);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 0), 0);
	raft_tick(one.raft);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 0), 2);
}
END_TEST

START_TEST(bytes_of_an_earlier_leadership_do_not_count)
{
	one.options.uncommitted_size_max = 100;
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose(&one, 100), 0);
	ck_assert_int_eq(core_propose(&one, 1), RAFT_EDROPPED_LOG_FULL);
	depose();
	core_lead(&one);
	ck_assert_uint_eq(status()->uncommitted_size, 0);
	ck_assert_int_eq(core_propose(&one, 60), 0);
	ck_assert_int_eq(core_propose(&one, 40), 0);
	ck_assert_int_eq(core_propose(&one, 1), RAFT_EDROPPED_LOG_FULL);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_campaign_tells_what_is_committed);
	tcase_add_test(all, who_is_asked_learns_what_is_committed);
	tcase_add_loop_test(
		all, a_refusal_of_an_older_term_tells_what_is_committed, 0, 2);
	tcase_add_test(all, a_leader_commits_only_what_it_counts);
	tcase_add_test(all, the_first_answer_of_a_voter_counts);
	tcase_add_test(all, who_lost_does_not_win_by_votes_that_come_late);
	tcase_add_test(all, only_a_transfer_overrules_the_lease);
	tcase_add_test(all, a_pre_candidate_asks_once_in_a_timeout);
	tcase_add_test(all, a_vote_in_the_running_term_puts_the_timeout_off);
	tcase_add_test(all, a_leader_counts_itself_while_its_disk_stalls);
	tcase_add_test(all, the_first_heartbeat_of_a_term_is_on_time);
	tcase_add_test(all, bytes_of_an_earlier_leadership_do_not_count);
}

int main(void)
{
	Suite *suite = suite_create("raft, the small print of elections");
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
