/*
 * The leader's lease and the promises under it: what it counts from, when it
 * ends, and that no one who promised votes too early.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

enum lease_sizes {
	/* Nine tenths of the ticks in which no one else can lead. */
	LEASE_LENGTH = (CORE_ELECTION - 1) * 9 / 10,
};

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
	one.options.check_quorum = true;
	one.options.lease = true;
	core_start(&one);
}

static void tear_down(void)
{
	core_release(&one);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

/* Leads, and its first entry is committed and applied. */
static void lead(void)
{
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, 1);
}

/* Whether it votes for `from`, whose log is long enough. */
static bool votes_for(uint64_t from, uint64_t term, bool forced)
{
	ck_assert_int_eq(
		say_vote(&one, (struct raft_message){.from = from,
						     .term = term,
						     .log_index = 100,
						     .log_term = term - 1,
						     .forced = forced}),
		0);
	return status()->vote == from;
}

START_TEST(keeps_quiet_after_a_restart)
{
	one.options.quiet_ticks = 3 * CORE_ELECTION;
	core_start(&one);
	for (unsigned int i = 0; i < 3 * CORE_ELECTION - 1; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	ck_assert(!votes_for(2, 2, true));
	core_settle(&one);
	ck_assert_uint_eq(status()->vote, 0);
	raft_tick(one.raft);
	ck_assert(votes_for(2, 3, false));
}
END_TEST

START_TEST(a_promise_outlives_a_higher_term)
{
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	/* A stray refusal from the future makes it forget the leader... */
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 3,
					      .term = 5,
					      .reject = true});
	ck_assert_uint_eq(status()->term, 5);
	ck_assert_uint_eq(status()->leader, 0);
	/* ...but not what it answered to it. */
	ck_assert(!votes_for(3, 6, false));
	ck_assert_uint_eq(status()->vote, 0);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	for (unsigned int i = 0; i < CORE_ELECTION; i++)
		raft_tick(one.raft);
	ck_assert(votes_for(3, 7, false));
}
END_TEST

START_TEST(a_transfer_overrules_the_promise)
{
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	ck_assert(votes_for(3, 2, true));
}
END_TEST

START_TEST(does_not_forget_a_leader_that_holds_a_lease)
{
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	raft_forget_leader(one.raft);
	ck_assert_uint_eq(status()->leader, 2);
	one.options.lease = false;
	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	raft_forget_leader(one.raft);
	ck_assert_uint_eq(status()->leader, 0);
}
END_TEST

START_TEST(the_lease_counts_from_when_the_round_was_sent)
{
	uint64_t round;

	lead();
	ck_assert_uint_eq(status()->lease.term, 0);
	raft_tick(one.raft);
	core_settle(&one);
	round = core_message(&one, RAFT_MSG_HEARTBEAT, 2)->round;
	raft_tick(one.raft);
	raft_tick(one.raft);
	core_settle(&one);
	/* The answer to the first round comes late. */
	core_give(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					      .from = 2,
					      .term = 1,
					      .round = round});
	ck_assert_uint_eq(status()->lease.term, 1);
	ck_assert_uint_eq(status()->lease.end_tick, 1 + LEASE_LENGTH);
}
END_TEST

START_TEST(no_lease_before_an_entry_of_the_term_is_applied)
{
	core_lead(&one);
	core_round(&one, 2);
	core_round(&one, 3);
	ck_assert_uint_eq(status()->lease.term, 0);
	/* Committed is not enough. */
	core_acknowledge(&one, 2, 1);
	ck_assert_uint_eq(status()->commit, 1);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(status()->lease.term, 0);
	core_apply(&one);
	ck_assert_uint_eq(status()->lease.term, 1);
	ck_assert_uint_eq(status()->lease.end_tick, 2 + LEASE_LENGTH);
}
END_TEST

START_TEST(the_lease_ends_with_an_offer_of_leadership)
{
	lead();
	core_round(&one, 2);
	ck_assert_uint_eq(status()->lease.term, 1);
	ck_assert_int_eq(raft_transfer(one.raft, 2), 0);
	ck_assert_uint_eq(status()->lease.term, 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_TIMEOUT_NOW, 2), 1);
	/* Given up, it still never comes back in this term. */
	for (unsigned int i = 0; i < CORE_ELECTION; i++)
		core_round(&one, 2);
	ck_assert_uint_eq(status()->transferee, 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_uint_eq(status()->lease.term, 0);
}
END_TEST

START_TEST(a_leader_without_answers_steps_down)
{
	lead();
	core_round(&one, 2);
	ck_assert_uint_eq(status()->lease.term, 1);
	for (unsigned int i = 0; i < 2 * CORE_ELECTION; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->lease.term, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, the lease");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, keeps_quiet_after_a_restart);
	tcase_add_test(all, a_promise_outlives_a_higher_term);
	tcase_add_test(all, a_transfer_overrules_the_promise);
	tcase_add_test(all, does_not_forget_a_leader_that_holds_a_lease);
	tcase_add_test(all, the_lease_counts_from_when_the_round_was_sent);
	tcase_add_test(all, no_lease_before_an_entry_of_the_term_is_applied);
	tcase_add_test(all, the_lease_ends_with_an_offer_of_leadership);
	tcase_add_test(all, a_leader_without_answers_steps_down);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
