/*
 * Each type of message of an older and of a newer term, in each role: the
 * older has no effect but an answer, if that helps; the newer makes a
 * follower, and of what else it says only what its term allows is done.
 */
#include "tests/unit/support_raft_roles.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
}

static void tear_down(void)
{
	core_release(&one);
}

static struct raft_snapshot image(void)
{
	struct raft_snapshot made = {.index = 100, .term = 1};

	made.conf.voters[0] = 2;
	made.conf.voter_count = 1;
	return made;
}

/* What an older term says may be as absurd as it likes. */
static struct raft_message older(uint8_t type, const struct raft_snapshot *with)
{
	return (struct raft_message){.type = type,
				     .from = 2,
				     .term = core_status(&one)->term - 1,
				     .log_index = 77,
				     .log_term = 1,
				     .commit = UINT64_MAX,
				     .commit_term = 1,
				     .round = UINT64_MAX,
				     .snapshot = with};
}

static uint8_t answer_to_older(uint8_t type)
{
	bool told = one.options.check_quorum || one.options.pre_vote ||
		    !one.options.silent_votes;

	if (type == RAFT_MSG_PRE_VOTE)
		return RAFT_MSG_PRE_VOTE_REPLY;
	if (type == RAFT_MSG_VOTE)
		return one.options.silent_votes ? 0 : RAFT_MSG_VOTE_REPLY;
	if (told && (type == RAFT_MSG_APPEND || type == RAFT_MSG_HEARTBEAT))
		return RAFT_MSG_APPEND_REPLY;
	return 0;
}

static void expect_same(const struct raft_status *before)
{
	const struct raft_status *now = core_status(&one);

	ck_assert_uint_eq(now->term, before->term);
	ck_assert_uint_eq(now->vote, before->vote);
	ck_assert_uint_eq(now->commit, before->commit);
	ck_assert_uint_eq(now->leader, before->leader);
	ck_assert_uint_eq(now->role, before->role);
	ck_assert_uint_eq(now->last_index, before->last_index);
	ck_assert_mem_eq(&now->conf, &before->conf, sizeof(now->conf));
}

static void give_older(uint8_t type)
{
	const struct raft_snapshot with = image();
	const struct raft_status before = *core_status(&one);
	uint8_t answer = answer_to_older(type);

	if (answer == 0) {
		ck_assert_int_eq(role_offer_unchanged(&one, older(type, &with)),
				 0);
		return;
	}
	core_give(&one, older(type, &with));
	core_settle(&one);
	ck_assert_uint_eq(one.mail_count, 1);
	ck_assert_uint_eq(core_message(&one, answer, 2)->term, before.term);
	ck_assert(core_message(&one, answer, 2)->reject ==
		  (answer != RAFT_MSG_APPEND_REPLY));
	ck_assert_uint_eq(core_message(&one, answer, 2)->log_index, 0);
	expect_same(&before);
}

static void give_all_older(void)
{
	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		role_be[i](&one);
		for (uint8_t type = RAFT_MSG_APPEND;
		     type <= RAFT_MSG_READ_INDEX_REPLY; type++)
			if (type != RAFT_MSG_READ_INDEX)
				give_older(type);
	}
}

START_TEST(an_older_term_has_no_effect)
{
	give_all_older();
}
END_TEST

START_TEST(an_older_vote_is_not_answered_where_votes_are_silent)
{
	one.options.silent_votes = true;
	give_all_older();
}
END_TEST

START_TEST(an_older_leader_is_told_of_the_term_where_votes_may_be_refused)
{
	one.options.silent_votes = true;
	one.options.check_quorum = true;
	give_all_older();
	one.options.check_quorum = false;
	one.options.pre_vote = true;
	give_all_older();
}
END_TEST

struct newer {
	struct raft_message message; /* its term is added to the core's */
	uint8_t answer; /* 0: none */
	bool reject;
	bool leads; /* its sender leads now */
	bool voted; /* its sender has the vote */
};

static void expect_newer(const struct newer *row)
{
	struct raft_message message = row->message;
	const struct raft_message *answer;

	message.from = 2;
	message.term += core_status(&one)->term;
	core_give(&one, message);
	core_settle(&one);
	ck_assert_uint_eq(core_status(&one)->term, message.term);
	ck_assert_uint_eq(core_status(&one)->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(core_status(&one)->leader, row->leads ? 2 : 0);
	ck_assert_uint_eq(core_status(&one)->vote, row->voted ? 2 : 0);
	ck_assert_uint_eq(one.hard.term, message.term);
	ck_assert_uint_eq(one.hard.vote, row->voted ? 2 : 0);
	ck_assert_uint_eq(one.mail_count, row->answer != 0);
	if (row->answer == 0)
		return;
	answer = core_message(&one, row->answer, 2);
	ck_assert_uint_eq(answer->term, message.term);
	ck_assert(answer->reject == row->reject);
}

START_TEST(a_newer_term_makes_a_follower)
{
	static const struct newer rows[] = {
		{.message = {.type = RAFT_MSG_APPEND,
			     .term = 1,
			     .log_index = ROLE_LAST,
			     .log_term = ROLE_TERM},
		 .answer = RAFT_MSG_APPEND_REPLY,
		 .leads = true},
		{.message = {.type = RAFT_MSG_APPEND,
			     .term = 5,
			     .log_index = ROLE_LAST + 5,
			     .log_term = ROLE_TERM},
		 .answer = RAFT_MSG_APPEND_REPLY,
		 .reject = true,
		 .leads = true},
		{.message = {.type = RAFT_MSG_HEARTBEAT, .term = 1},
		 .answer = RAFT_MSG_HEARTBEAT_REPLY,
		 .leads = true},
		{.message = {.type = RAFT_MSG_APPEND_REPLY,
			     .term = 1,
			     .log_index = 1000}},
		{.message = {.type = RAFT_MSG_HEARTBEAT_REPLY,
			     .term = 1,
			     .round = 1000}},
		{.message = {.type = RAFT_MSG_VOTE,
			     .term = 1,
			     .log_index = 100,
			     .log_term = ROLE_TERM + 1},
		 .answer = RAFT_MSG_VOTE_REPLY,
		 .voted = true},
		{.message = {.type = RAFT_MSG_VOTE,
			     .term = 1,
			     .log_index = 100,
			     .log_term = ROLE_TERM - 1},
		 .answer = RAFT_MSG_VOTE_REPLY,
		 .reject = true},
		{.message = {.type = RAFT_MSG_VOTE_REPLY, .term = 1}},
		{.message = {.type = RAFT_MSG_VOTE_REPLY,
			     .term = 9,
			     .reject = true}},
		{.message = {.type = RAFT_MSG_PRE_VOTE_REPLY,
			     .term = 1,
			     .reject = true}},
		{.message = {.type = RAFT_MSG_TRANSFER, .term = 1, .round = 3}},
		{.message = {.type = RAFT_MSG_READ_INDEX_REPLY,
			     .term = 1,
			     .log_index = 3}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned int j = 0; j < ROLE_COUNT; j++) {
			role_be[j](&one);
			expect_newer(&rows[i]);
		}
}
END_TEST

START_TEST(an_image_of_a_newer_term_makes_a_follower_and_is_taken)
{
	const struct raft_snapshot with = image();

	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		role_be[i](&one);
		expect_newer(&(struct newer){
			.message = {.type = RAFT_MSG_SNAPSHOT,
				    .term = 2,
				    .snapshot = &with},
			.answer = RAFT_MSG_APPEND_REPLY,
			.leads = true,
		});
		ck_assert_uint_eq(core_status(&one)->applied, 100);
		ck_assert_uint_eq(core_status(&one)->conf.voter_count, 1);
	}
}
END_TEST

START_TEST(a_pre_vote_is_answered_in_the_term_it_asks_about)
{
	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		struct raft_message ask = {.type = RAFT_MSG_PRE_VOTE,
					   .from = 2,
					   .log_index = 100,
					   .log_term = ROLE_TERM + 1};
		struct raft_status before;

		role_be[i](&one);
		before = *core_status(&one);
		ask.term = before.term + 7;
		core_give(&one, ask);
		core_settle(&one);
		ck_assert_uint_eq(
			core_message(&one, RAFT_MSG_PRE_VOTE_REPLY, 2)->term,
			ask.term);
		expect_same(&before);
		/* An older log is refused, in this member's own term. */
		ask.log_term = ROLE_TERM - 1;
		core_give(&one, ask);
		core_settle(&one);
		ck_assert_uint_eq(
			core_message(&one, RAFT_MSG_PRE_VOTE_REPLY, 2)->term,
			before.term);
		ck_assert(
			core_message(&one, RAFT_MSG_PRE_VOTE_REPLY, 2)->reject);
		expect_same(&before);
	}
}
END_TEST

START_TEST(a_pre_vote_granted_to_someone_else_changes_nothing)
{
	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		struct raft_message grant = {.type = RAFT_MSG_PRE_VOTE_REPLY,
					     .from = 2};

		if (role_be[i] == role_pre_candidate)
			continue;
		role_be[i](&one);
		grant.term = core_status(&one)->term + 1;
		ck_assert_int_eq(role_offer_unchanged(&one, grant), 0);
		grant.term = core_status(&one)->term;
		ck_assert_int_eq(role_offer_unchanged(&one, grant), 0);
	}
}
END_TEST

START_TEST(a_pre_vote_granted_for_another_term_does_not_count)
{
	struct raft_message grant = {.type = RAFT_MSG_PRE_VOTE_REPLY,
				     .from = 2};

	role_pre_candidate(&one);
	/* Of an earlier candidature, and of one that a crash forgot. */
	grant.term = ROLE_TERM;
	ck_assert_int_eq(role_offer_unchanged(&one, grant), 0);
	grant.term = ROLE_TERM + 2;
	ck_assert_int_eq(role_offer_unchanged(&one, grant), 0);
	grant.term = ROLE_TERM + 1;
	core_give(&one, grant);
	ck_assert_uint_eq(core_status(&one)->role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(told_to_campaign_in_a_newer_term_it_does_so_in_the_next)
{
	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		uint64_t term;

		role_be[i](&one);
		term = core_status(&one)->term + 1;
		core_give(&one,
			  (struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
						.from = 2,
						.term = term});
		core_settle(&one);
		ck_assert_uint_eq(core_status(&one)->role, RAFT_CANDIDATE);
		ck_assert_uint_eq(core_status(&one)->term, term + 1);
		ck_assert(core_message(&one, RAFT_MSG_VOTE, 3)->forced);
	}
}
END_TEST

START_TEST(within_a_lease_a_newer_term_that_asks_for_votes_is_not_heard)
{
	static void (*const roles[])(struct core *) = {role_follower,
						       role_leader};

	one.options.check_quorum = true;
	for (unsigned int i = 0; i < 2; i++) {
		struct raft_message ask = {.type = RAFT_MSG_VOTE,
					   .from = 3,
					   .log_index = 100,
					   .log_term = ROLE_TERM + 1};

		roles[i](&one);
		ask.term = core_status(&one)->term + 1;
		ck_assert_int_eq(role_offer_unchanged(&one, ask), 0);
		ask.type = RAFT_MSG_PRE_VOTE;
		ck_assert_int_eq(role_offer_unchanged(&one, ask), 0);
		/* A transfer's vote is. */
		ask.type = RAFT_MSG_VOTE;
		ask.forced = true;
		core_give(&one, ask);
		ck_assert_uint_eq(core_status(&one)->vote, 3);
	}
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, an_older_term_has_no_effect);
	tcase_add_test(all,
		       an_older_vote_is_not_answered_where_votes_are_silent);
	tcase_add_test(
		all,
		an_older_leader_is_told_of_the_term_where_votes_may_be_refused);
	tcase_add_test(all, a_newer_term_makes_a_follower);
	tcase_add_test(all,
		       an_image_of_a_newer_term_makes_a_follower_and_is_taken);
	tcase_add_test(all, a_pre_vote_is_answered_in_the_term_it_asks_about);
	tcase_add_test(all, a_pre_vote_granted_to_someone_else_changes_nothing);
	tcase_add_test(all, a_pre_vote_granted_for_another_term_does_not_count);
	tcase_add_test(all,
		       told_to_campaign_in_a_newer_term_it_does_so_in_the_next);
	tcase_add_test(
		all,
		within_a_lease_a_newer_term_that_asks_for_votes_is_not_heard);
}

int main(void)
{
	Suite *suite = suite_create("raft, older and newer terms");
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
