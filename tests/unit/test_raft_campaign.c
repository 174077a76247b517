/*
 * Who may campaign, and when: the drawn timeout, and all that keeps a member
 * from it.
 */
#include "tests/unit/support_raft.h"

#include <check.h>
#include <stdlib.h>

enum campaign_sizes {
	SEEDS = 10000,
};

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

/* How many ticks from now on until it campaigns. */
static unsigned int ticks_until_campaign(void)
{
	uint64_t term = status()->term;

	for (unsigned int ticks = 1; ticks <= 10 * CORE_ELECTION; ticks++) {
		raft_tick(one.raft);
		if (status()->term != term)
			return ticks;
	}
	return 0;
}

START_TEST(timeouts_are_spread_evenly_over_one_election_timeout)
{
	unsigned int counts[2 * CORE_ELECTION] = {0};

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		unsigned int ticks;

		one.options.seed = seed;
		core_start(&one);
		ticks = ticks_until_campaign();
		ck_assert_uint_ge(ticks, CORE_ELECTION);
		ck_assert_uint_lt(ticks, 2 * CORE_ELECTION);
		counts[ticks]++;
	}
	for (unsigned int i = CORE_ELECTION; i < 2 * CORE_ELECTION; i++) {
		ck_assert_uint_gt(counts[i], SEEDS / CORE_ELECTION * 9 / 10);
		ck_assert_uint_lt(counts[i], SEEDS / CORE_ELECTION * 11 / 10);
	}
}
END_TEST

START_TEST(the_timeout_is_drawn_anew_for_each_term)
{
	unsigned int seen[2 * CORE_ELECTION] = {0};
	unsigned int different = 0;

	core_start(&one);
	for (unsigned int i = 0; i < 20 * CORE_ELECTION; i++) {
		unsigned int ticks = ticks_until_campaign();

		ck_assert_uint_ge(ticks, CORE_ELECTION);
		ck_assert_uint_lt(ticks, 2 * CORE_ELECTION);
		different += seen[ticks]++ == 0;
		core_settle(&one);
	}
	ck_assert_uint_eq(different, CORE_ELECTION);
	ck_assert_uint_eq(status()->term, 20 * CORE_ELECTION);
}
END_TEST

START_TEST(each_word_of_the_leader_puts_the_timeout_off)
{
	core_start(&one);
	for (unsigned int i = 0; i < 10; i++) {
		for (unsigned int j = 0; j < CORE_ELECTION - 1; j++)
			raft_tick(one.raft);
		core_give(&one, (struct raft_message){
					.type = i % 2 ? RAFT_MSG_HEARTBEAT
						      : RAFT_MSG_APPEND,
					.from = 2,
					.term = 1,
				});
	}
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->term, 1);
	ck_assert_uint_ge(ticks_until_campaign(), CORE_ELECTION);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(a_vote_puts_the_timeout_off_and_a_refusal_does_not)
{
	one.hard.term = 1;
	core_start(&one);
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++)
		raft_tick(one.raft);
	core_give(&one, (struct raft_message){
				.type = RAFT_MSG_VOTE, .from = 2, .term = 1});
	ck_assert_uint_eq(status()->vote, 2);
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	core_give(&one, (struct raft_message){
				.type = RAFT_MSG_VOTE, .from = 3, .term = 1});
	ck_assert_uint_eq(status()->vote, 2);
	ck_assert_uint_le(ticks_until_campaign(), CORE_ELECTION);
}
END_TEST

/* Whoever asks for votes already goes on with that. */
START_TEST(only_a_follower_campaigns_because_it_is_told_to)
{
	one.options.pre_vote = _i == 1;
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
					      .from = 2,
					      .term = 1});
	core_settle(&one);
	/* A pre-candidate becomes a follower first, by the newer term. */
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_uint_eq(status()->term, _i == 1 ? 2 : 1);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_VOTE, 0), _i == 1 ? 2 : 0);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
					      .from = 2,
					      .term = status()->term});
	core_settle(&one);
	ck_assert_uint_eq(status()->term, _i == 1 ? 2 : 1);
	ck_assert_uint_eq(one.mail_count, 0);
}
END_TEST

static void expect_no_campaign(void)
{
	uint64_t term = status()->term;

	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	for (unsigned int i = 0; i < 5 * CORE_ELECTION; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->term, term);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_VOTE, 0), 0);
}

START_TEST(who_is_no_voter_does_not_campaign)
{
	one.saved.conf =
		(struct raft_conf_state){.voters = {2, 3}, .voter_count = 2};
	if (_i == 1) {
		one.saved.conf.learners[0] = 1;
		one.saved.conf.learner_count = 1;
	}
	core_start(&one);
	expect_no_campaign();
	/* Not when it is told to, either. */
	core_give(&one, (struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
					      .from = 2,
					      .term = 1});
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->term, 1);
}
END_TEST

/* Of a joint configuration, each half has voters. */
START_TEST(who_leaves_with_the_outgoing_half_campaigns_until_then)
{
	one.saved.conf = (struct raft_conf_state){.voters = {2, 3},
						  .voter_count = 2,
						  .outgoing = {1, 2},
						  .outgoing_count = 2};
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 3,
					      .term = 1});
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 2,
					      .term = 1});
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(no_campaign_with_an_image_that_is_not_durable)
{
	const struct raft_snapshot image = {
		.index = 9, .term = 1, .conf = one.saved.conf};

	core_start(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_SNAPSHOT,
					      .from = 2,
					      .term = 1,
					      .snapshot = &image});
	ck_assert(core_take(&one));
	expect_no_campaign();
	core_persist(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_uint_eq(status()->term, 2);
}
END_TEST

START_TEST(no_campaign_without_room_for_a_first_entry)
{
	static const uint64_t terms[] = {1, 1, 1, 1, 1, 1, 1, 1, 1,
					 1, 1, 1, 1, 1, 1, 1, 0};

	one.options.entries_max = 16;
	one.hard.commit = 16;
	core_load(&one, terms);
	core_start(&one);
	core_settle(&one);
	expect_no_campaign();
	core_compact(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(no_campaign_while_it_keeps_quiet)
{
	one.options.quiet_ticks = 4 * CORE_ELECTION;
	core_start(&one);
	for (unsigned int i = 1; i < 4 * CORE_ELECTION; i++) {
		ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
		raft_tick(one.raft);
	}
	ck_assert_uint_eq(status()->term, 0);
	/* Its time was out long ago: the end of the quiet is the start. */
	raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_uint_eq(status()->term, 1);
}
END_TEST

START_TEST(a_campaign_asks_each_voter_and_no_learner)
{
	const struct raft_message *vote;

	one.saved.conf.learners[0] = 4;
	one.saved.conf.learner_count = 1;
	core_load(&one, (const uint64_t[]){1, 2, 2, 0});
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(one.mail_count, 2);
	vote = core_message(&one, RAFT_MSG_VOTE, 2);
	ck_assert_uint_eq(vote->term, 3);
	ck_assert_uint_eq(vote->log_index, 3);
	ck_assert_uint_eq(vote->log_term, 2);
	ck_assert(!vote->forced);
	vote = core_message(&one, RAFT_MSG_VOTE, 3);
	ck_assert_uint_eq(vote->log_index, 3);
	ck_assert_uint_eq(one.hard.term, 3);
	ck_assert_uint_eq(one.hard.vote, 1);
}
END_TEST

START_TEST(a_pre_vote_asks_about_the_next_term_and_writes_nothing)
{
	const struct raft_message *vote;

	one.options.pre_vote = true;
	core_load(&one, (const uint64_t[]){1, 2, 2, 0});
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert(core_take(&one));
	ck_assert(!one.ready.must_sync);
	ck_assert(!one.ready.hard_changed);
	vote = core_message(&one, RAFT_MSG_PRE_VOTE, 2);
	ck_assert_uint_eq(vote->term, 3);
	ck_assert_uint_eq(vote->log_index, 3);
	ck_assert_uint_eq(vote->log_term, 2);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_PRE_VOTE, 3)->term, 3);
	ck_assert_uint_eq(status()->term, 2);
	ck_assert_uint_eq(status()->vote, 0);
	/* Granted by one: with its own that is a quorum, and it asks again. */
	core_give(&one, (struct raft_message){.type = RAFT_MSG_PRE_VOTE_REPLY,
					      .from = 3,
					      .term = 3});
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_VOTE, 2)->term, 3);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_VOTE, 3)->term, 3);
	ck_assert_uint_eq(one.hard.term, 3);
	ck_assert_uint_eq(one.hard.vote, 1);
}
END_TEST

/* So that every run sends the same in the same order. */
START_TEST(members_are_listed_by_rising_id)
{
	const struct raft_conf_changes learners = {
		.count = 3,
		.changes = {{.id = 9, .type = RAFT_ADD_LEARNER},
			    {.id = 3, .type = RAFT_ADD_LEARNER},
			    {.id = 7, .type = RAFT_ADD_LEARNER}},
	};
	struct raft *raft;

	core_init(&one, 1, 1);
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose_conf(&one, &learners), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->conf.learner_count, 3);
	ck_assert_uint_eq(status()->conf.learners[0], 3);
	ck_assert_uint_eq(status()->conf.learners[1], 7);
	ck_assert_uint_eq(status()->conf.learners[2], 9);
	ck_assert_uint_eq(one.mail[0].message.to, 3);
	ck_assert_uint_eq(one.mail[1].message.to, 7);
	ck_assert_uint_eq(one.mail[2].message.to, 9);
	/* Of another order it is not one. */
	one.saved.conf.voters[0] = 2;
	one.saved.conf.voters[1] = 1;
	one.saved.conf.voter_count = 2;
	ck_assert_int_eq(raft_init(&raft, &one.options, &one.hard, &one.saved,
				   one.memory),
			 RAFT_EINVALID);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all,
		       timeouts_are_spread_evenly_over_one_election_timeout);
	tcase_add_test(all, the_timeout_is_drawn_anew_for_each_term);
	tcase_add_test(all, each_word_of_the_leader_puts_the_timeout_off);
	tcase_add_test(all, a_vote_puts_the_timeout_off_and_a_refusal_does_not);
	tcase_add_loop_test(
		all, only_a_follower_campaigns_because_it_is_told_to, 0, 2);
	tcase_add_loop_test(all, who_is_no_voter_does_not_campaign, 0, 2);
	tcase_add_test(all,
		       who_leaves_with_the_outgoing_half_campaigns_until_then);
	tcase_add_test(all, no_campaign_with_an_image_that_is_not_durable);
	tcase_add_test(all, no_campaign_without_room_for_a_first_entry);
	tcase_add_test(all, no_campaign_while_it_keeps_quiet);
	tcase_add_test(all, a_campaign_asks_each_voter_and_no_learner);
	tcase_add_test(all,
		       a_pre_vote_asks_about_the_next_term_and_writes_nothing);
	tcase_add_test(all, members_are_listed_by_rising_id);
}

int main(void)
{
	Suite *suite = suite_create("raft, campaigns");
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
