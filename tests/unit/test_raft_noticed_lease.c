/*
 * The edges of leases and of the promises under them: the last tick, the next
 * term, rounds whose time is forgotten, and who never has one.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

enum lease_sizes {
	ROUNDS_KNOWN = 64, /* heartbeat rounds whose time is kept */
	LONG_ELECTION = 10 * ROUNDS_KNOWN,
};

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
	one.options.check_quorum = true;
	one.options.lease = true;
}

static void tear_down(void)
{
	core_release(&one);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

/* Leads, its first entry is applied, and a quorum has answered a round. */
static void lead_with_lease(void)
{
	core_lead(&one);
	core_acknowledge(&one, 2, status()->last_index);
	core_settle(&one);
	core_round(&one, 2);
	ck_assert_uint_eq(status()->applied, status()->last_index);
}

static void hear_of_term(uint64_t from, uint64_t term)
{
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = from,
					      .term = term,
					      .reject = true});
	ck_assert_uint_eq(status()->term, term);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
}

START_TEST(a_promise_lasts_to_its_last_tick)
{
	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	hear_of_term(3, 5);
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++)
		raft_tick(one.raft);
	ck_assert_int_eq(
		say_vote(&one, (struct raft_message){.from = 3, .term = 5}), 0);
	ck_assert_uint_eq(status()->vote, 0);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	raft_tick(one.raft);
	ck_assert_int_eq(
		say_vote(&one, (struct raft_message){.from = 3, .term = 5}), 0);
	ck_assert_uint_eq(status()->vote, 3);
}
END_TEST

START_TEST(a_new_term_brings_a_new_lease)
{
	core_start(&one);
	lead_with_lease();
	ck_assert_uint_eq(status()->lease.term, 1);
	ck_assert_int_eq(raft_transfer(one.raft, 2), 0);
	ck_assert_uint_eq(status()->lease.term, 0);
	hear_of_term(3, 5);
	lead_with_lease();
	ck_assert_uint_eq(status()->lease.term, 6);
}
END_TEST

START_TEST(no_lease_that_was_not_asked_for)
{
	one.options.lease = false;
	core_start(&one);
	lead_with_lease();
	ck_assert_uint_eq(status()->lease.term, 0);
}
END_TEST

/* It needs no one's answer, but it must lead. */
START_TEST(no_lease_for_a_single_voter_that_stepped_down)
{
	core_init(&one, 1, 1);
	one.options.check_quorum = true;
	one.options.lease = true;
	one.saved.conf.learners[0] = 2;
	one.saved.conf.learner_count = 1;
	core_start(&one);
	core_lead(&one);
	raft_tick(one.raft);
	core_settle(&one);
	ck_assert_uint_eq(status()->lease.term, 1);
	hear_of_term(2, 5);
	ck_assert_uint_eq(status()->lease.term, 0);
}
END_TEST

START_TEST(a_round_whose_time_is_forgotten_gives_no_lease)
{
	struct raft_lease lease;

	one.options.election_ticks = LONG_ELECTION;
	core_start(&one);
	lead_with_lease();
	lease = status()->lease;
	ck_assert_uint_eq(lease.term, 1);
	for (unsigned int i = 0; i < ROUNDS_KNOWN - 1; i++) {
		raft_tick(one.raft);
		core_settle(&one);
		ck_assert_uint_eq(status()->lease.end_tick, lease.end_tick);
	}
	raft_tick(one.raft);
	ck_assert_uint_eq(status()->lease.term, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, the edges of leases");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_promise_lasts_to_its_last_tick);
	tcase_add_test(all, a_new_term_brings_a_new_lease);
	tcase_add_test(all, no_lease_that_was_not_asked_for);
	tcase_add_test(all, no_lease_for_a_single_voter_that_stepped_down);
	tcase_add_test(all, a_round_whose_time_is_forgotten_gives_no_lease);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
