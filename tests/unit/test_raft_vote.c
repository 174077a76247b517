/*
 * Whom a member votes for, in each role and for each log; what a newer term
 * does to it; and that what its disk says late counts only where it belongs.
 */
#include "tests/unit/support_raft.h"

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

/* Starts it and makes it what is asked for, by the way there is. */
static void become(uint8_t role)
{
	one.options.pre_vote = role == RAFT_PRE_CANDIDATE;
	core_start(&one);
	if (role == RAFT_LEADER)
		core_lead(&one);
	else if (role != RAFT_FOLLOWER)
		ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->role, role);
}

static void ask(uint8_t type, uint64_t from, uint64_t term, uint64_t log_index,
		uint64_t log_term)
{
	core_give(&one, (struct raft_message){
				.type = type,
				.from = from,
				.term = term,
				.log_index = log_index,
				.log_term = log_term,
			});
	core_settle(&one);
}

START_TEST(a_vote_is_given_from_each_role)
{
	static const uint64_t terms[] = {1, 0};
	const struct raft_message *reply;
	uint64_t asked;

	core_load(&one, terms);
	become((uint8_t)_i);
	asked = status()->term + 1;
	ask(RAFT_MSG_VOTE, 2, asked, 42, asked - 1);
	reply = core_message(&one, RAFT_MSG_VOTE_REPLY, 2);
	ck_assert(!reply->reject);
	ck_assert_uint_eq(reply->term, asked);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->term, asked);
	ck_assert_uint_eq(status()->vote, 2);
	ck_assert_uint_eq(status()->leader, 0);
	ck_assert_uint_eq(one.hard.term, asked);
	ck_assert_uint_eq(one.hard.vote, 2);
}
END_TEST

START_TEST(a_pre_vote_is_given_from_each_role_and_changes_nothing)
{
	static const uint64_t terms[] = {1, 0};
	const struct raft_message *reply;
	struct raft_status before;

	core_load(&one, terms);
	become((uint8_t)_i);
	before = *status();
	ask(RAFT_MSG_PRE_VOTE, 2, before.term + 1, 42, before.term);
	reply = core_message(&one, RAFT_MSG_PRE_VOTE_REPLY, 2);
	ck_assert(!reply->reject);
	/* In the term that was asked about. */
	ck_assert_uint_eq(reply->term, before.term + 1);
	ck_assert_uint_eq(status()->role, before.role);
	ck_assert_uint_eq(status()->term, before.term);
	ck_assert_uint_eq(status()->vote, before.vote);
	ck_assert_uint_eq(status()->leader, before.leader);
}
END_TEST

/* Member 2 asks a member whose log is 2 2, in its own term. */
struct vote_case {
	uint8_t role;
	uint64_t index, log_term;
	uint64_t voted; /* for whom, in this term */
	bool granted;
};

static const struct vote_case votes[] = {
	{RAFT_FOLLOWER, 0, 0, 0, false},      {RAFT_FOLLOWER, 0, 1, 0, false},
	{RAFT_FOLLOWER, 0, 2, 0, false},      {RAFT_FOLLOWER, 0, 3, 0, true},
	{RAFT_FOLLOWER, 1, 0, 0, false},      {RAFT_FOLLOWER, 1, 1, 0, false},
	{RAFT_FOLLOWER, 1, 2, 0, false},      {RAFT_FOLLOWER, 1, 3, 0, true},
	{RAFT_FOLLOWER, 2, 0, 0, false},      {RAFT_FOLLOWER, 2, 1, 0, false},
	{RAFT_FOLLOWER, 2, 2, 0, true},	      {RAFT_FOLLOWER, 2, 3, 0, true},
	{RAFT_FOLLOWER, 3, 0, 0, false},      {RAFT_FOLLOWER, 3, 1, 0, false},
	{RAFT_FOLLOWER, 3, 2, 0, true},	      {RAFT_FOLLOWER, 3, 3, 0, true},
	{RAFT_FOLLOWER, 3, 2, 2, true},	      {RAFT_FOLLOWER, 3, 2, 3, false},
	{RAFT_FOLLOWER, 1, 2, 2, false},      {RAFT_LEADER, 9, 3, 1, false},
	{RAFT_PRE_CANDIDATE, 9, 3, 1, false}, {RAFT_CANDIDATE, 9, 3, 1, false},
};

START_TEST(the_log_and_the_vote_decide)
{
	static const uint64_t terms[] = {2, 2, 0};
	const struct vote_case *it = &votes[_i / 2];
	uint8_t type = _i % 2 ? RAFT_MSG_PRE_VOTE : RAFT_MSG_VOTE;
	const struct raft_message *reply;
	uint64_t term;

	core_load(&one, terms);
	one.hard.term = it->log_term > 2 ? it->log_term : 2;
	one.hard.vote = it->voted;
	become(it->role);
	term = status()->term;
	ask(type, 2, term, it->index, it->log_term);
	reply = core_message(
		&one, _i % 2 ? RAFT_MSG_PRE_VOTE_REPLY : RAFT_MSG_VOTE_REPLY,
		2);
	ck_assert_int_eq(reply->reject, !it->granted);
	ck_assert_uint_eq(reply->term, term);
	ck_assert_uint_eq(status()->term, term);
	ck_assert_uint_eq(status()->role, it->role);
	ck_assert_uint_eq(status()->vote,
			  it->granted && _i % 2 == 0 ? 2 : it->voted);
}
END_TEST

START_TEST(a_vote_that_was_told_outlives_a_crash)
{
	core_start(&one);
	ask(RAFT_MSG_VOTE, 2, 1, 0, 0);
	ck_assert(!core_message(&one, RAFT_MSG_VOTE_REPLY, 2)->reject);
	core_start(&one);
	ck_assert_uint_eq(status()->term, 1);
	ck_assert_uint_eq(status()->vote, 2);
	ask(RAFT_MSG_VOTE, 3, 1, 7, 1);
	ck_assert(core_message(&one, RAFT_MSG_VOTE_REPLY, 3)->reject);
	/* And one that was not told may go to another. */
	one.stalled = true;
	ask(RAFT_MSG_VOTE, 2, 2, 0, 0);
	ck_assert_uint_eq(status()->vote, 2);
	ck_assert_uint_eq(one.mail_count, 0);
	core_start(&one);
	one.stalled = false;
	ask(RAFT_MSG_VOTE, 3, 2, 7, 1);
	ck_assert(!core_message(&one, RAFT_MSG_VOTE_REPLY, 3)->reject);
}
END_TEST

/* What of a newer term makes anyone a follower, and of whom. */
struct newer {
	uint8_t type;
	bool reject;
	uint64_t leader;
};

static const struct newer newer[] = {
	{RAFT_MSG_VOTE, false, 0},
	{RAFT_MSG_APPEND, false, 2},
	{RAFT_MSG_HEARTBEAT, false, 2},
	{RAFT_MSG_APPEND_REPLY, false, 0},
	{RAFT_MSG_HEARTBEAT_REPLY, false, 0},
	{RAFT_MSG_VOTE_REPLY, true, 0},
	{RAFT_MSG_VOTE_REPLY, false, 0},
	{RAFT_MSG_PRE_VOTE_REPLY, true, 0},
};

START_TEST(each_role_steps_down_for_a_newer_term)
{
	static const uint64_t terms[] = {1, 1, 0};
	const struct newer *it = &newer[_i / 4];
	uint64_t last;

	core_load(&one, terms);
	become((uint8_t)(_i % 4));
	last = status()->last_index;
	core_give(&one, (struct raft_message){.type = it->type,
					      .from = 2,
					      .term = 7,
					      .reject = it->reject});
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->term, 7);
	ck_assert_uint_eq(status()->leader, it->leader);
	ck_assert_uint_eq(status()->vote, 0);
	ck_assert_uint_eq(status()->last_index, last);
	ck_assert_uint_eq(one.hard.term, 7);
}
END_TEST

START_TEST(a_granted_pre_vote_of_a_newer_term_does_not_move_the_term)
{
	become(RAFT_LEADER);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_PRE_VOTE_REPLY,
					      .from = 2,
					      .term = 7});
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_uint_eq(status()->term, 1);
}
END_TEST

/* Nothing here is newer than term 3. */
START_TEST(an_older_term_has_no_effect)
{
	static const uint64_t terms[] = {1, 0};
	static const uint8_t types[] = {
		RAFT_MSG_APPEND,    RAFT_MSG_APPEND_REPLY,
		RAFT_MSG_VOTE,	    RAFT_MSG_VOTE_REPLY,
		RAFT_MSG_HEARTBEAT, RAFT_MSG_HEARTBEAT_REPLY,
		RAFT_MSG_SNAPSHOT,  RAFT_MSG_TIMEOUT_NOW,
		RAFT_MSG_TRANSFER,
	};
	const struct raft_snapshot image = {
		.index = 9, .term = 2, .conf = one.saved.conf};
	struct raft_status before;

	core_load(&one, terms);
	one.hard.term = 3;
	become((uint8_t)(_i % 4));
	before = *status();
	for (unsigned int i = 0; i < sizeof(types); i++) {
		core_give(&one, (struct raft_message){.type = types[i],
						      .from = 2,
						      .term = 2,
						      .log_index = 1,
						      .log_term = 1,
						      .commit = 1,
						      .round = 2,
						      .snapshot = &image});
		core_settle(&one);
		ck_assert_uint_eq(status()->term, before.term);
		ck_assert_uint_eq(status()->role, before.role);
		ck_assert_uint_eq(status()->leader, before.leader);
		ck_assert_uint_eq(status()->vote, before.vote);
		ck_assert_uint_eq(status()->commit, before.commit);
		ck_assert_uint_eq(status()->last_index, before.last_index);
		/* But who asks for a vote, or leads, is told of the term. */
		ck_assert_uint_eq(one.mail_count,
				  types[i] == RAFT_MSG_VOTE ||
					  types[i] == RAFT_MSG_APPEND ||
					  types[i] == RAFT_MSG_HEARTBEAT);
	}
}
END_TEST

static void beat(uint64_t from, uint64_t term)
{
	core_give(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT,
					      .from = from,
					      .term = term});
}

START_TEST(an_own_vote_that_is_late_does_not_undo_a_lost_election)
{
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert(core_take(&one));
	beat(2, 1);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	core_persist(&one);
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->leader, 2);
	ck_assert_uint_eq(status()->term, 1);
	ck_assert_uint_eq(status()->vote, 1);
}
END_TEST

START_TEST(nor_does_an_own_pre_vote)
{
	one.options.pre_vote = true;
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_uint_eq(status()->role, RAFT_PRE_CANDIDATE);
	beat(2, 1);
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->leader, 2);
	ck_assert_uint_eq(status()->term, 1);
	ck_assert_uint_eq(status()->vote, 0);
}
END_TEST

static void answer(uint8_t type, uint64_t from, uint64_t term)
{
	core_give(&one, (struct raft_message){
				.type = type, .from = from, .term = term});
}

START_TEST(an_own_pre_vote_that_is_late_is_no_vote)
{
	const struct raft_entry entry = core_entry(1, 1);

	one.options.pre_vote = true;
	core_start(&one);
	/* A write that its own PreVote will have to wait for. */
	core_give(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
					      .from = 2,
					      .term = 1,
					      .first_index = 1,
					      .entry_count = 1,
					      .entries = &entry});
	ck_assert(core_take(&one));
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert(core_take(&one));
	answer(RAFT_MSG_PRE_VOTE_REPLY, 2, 2);
	answer(RAFT_MSG_PRE_VOTE_REPLY, 3, 2);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_uint_eq(status()->term, 2);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.write_count, 2);
	core_persist_some(&one, 1);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	/* Two votes of others, and none of its own: it has to wait. */
	answer(RAFT_MSG_VOTE_REPLY, 2, 2);
	answer(RAFT_MSG_VOTE_REPLY, 3, 2);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	core_persist(&one);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(the_first_answer_of_each_is_the_one_that_counts)
{
	core_init(&one, 1, 5);
	become(RAFT_CANDIDATE);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 2,
					      .term = 1,
					      .reject = true});
	answer(RAFT_MSG_VOTE_REPLY, 2, 1);
	answer(RAFT_MSG_VOTE_REPLY, 3, 1);
	answer(RAFT_MSG_VOTE_REPLY, 3, 1);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	/* Who is no member has no vote. */
	ck_assert_int_eq(
		core_offer(&one,
			   (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
						 .from = 6,
						 .term = 1}),
		RAFT_EUNKNOWN_PEER);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	answer(RAFT_MSG_VOTE_REPLY, 4, 1);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

static void grant(uint64_t from, uint64_t log_index, uint64_t log_term)
{
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = from,
					      .term = 3,
					      .log_index = log_index,
					      .log_term = log_term});
}

/* It asked with more, and lost that and the term's durability in a crash. */
START_TEST(a_vote_for_a_log_that_was_lost_since_is_not_counted)
{
	static const uint64_t terms[] = {1, 1, 2, 0};

	core_load(&one, terms);
	become(RAFT_CANDIDATE);
	ck_assert_uint_eq(status()->term, 3);
	grant(2, 4, 2);
	grant(3, 4, 2);
	grant(2, 1, 3);
	grant(3, 3, 3);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	if (_i == 0)
		grant(3, 3, 2);
	else if (_i == 1)
		grant(3, 2, 2);
	else
		grant(3, 9, 1);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(a_grant_names_the_log_it_was_given_to)
{
	static const uint64_t terms[] = {1, 0};
	uint8_t type = _i == 0 ? RAFT_MSG_VOTE : RAFT_MSG_PRE_VOTE;
	uint8_t replied =
		_i == 0 ? RAFT_MSG_VOTE_REPLY : RAFT_MSG_PRE_VOTE_REPLY;
	const struct raft_message *reply;

	core_load(&one, terms);
	become(RAFT_FOLLOWER);
	ask(type, 2, 4, 7, 3);
	reply = core_message(&one, replied, 2);
	ck_assert(!reply->reject);
	ck_assert_uint_eq(reply->log_index, 7);
	ck_assert_uint_eq(reply->log_term, 3);
	/* A refusal is given to none. */
	ask(type, 3, 5, 1, 0);
	reply = core_message(&one, replied, 3);
	ck_assert(reply->reject);
	ck_assert_uint_eq(reply->log_index, 0);
	ck_assert_uint_eq(reply->log_term, 0);
}
END_TEST

START_TEST(an_own_write_of_an_older_term_is_not_counted)
{
	const struct raft_entry other = core_entry(2, 2);

	become(RAFT_LEADER);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	/* 2 takes over, and has another entry there. */
	core_give(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
					      .from = 2,
					      .term = 2,
					      .log_index = 1,
					      .log_term = 1,
					      .first_index = 2,
					      .entry_count = 1,
					      .entries = &other});
	ck_assert_str_eq(core_terms(&one), "1 2");
	core_persist(&one);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->stable_index, 1);
	ck_assert_uint_eq(status()->commit, 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->stable_index, 2);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index, 2);
	core_lead(&one);
	ck_assert_str_eq(core_terms(&one), "1 2 3");
	ck_assert_uint_eq(core_progress(&one, 1)->match, 3);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_loop_test(all, a_vote_is_given_from_each_role, 0, 4);
	tcase_add_loop_test(
		all, a_pre_vote_is_given_from_each_role_and_changes_nothing, 0,
		4);
	tcase_add_loop_test(all, the_log_and_the_vote_decide, 0,
			    2 * sizeof(votes) / sizeof(votes[0]));
	tcase_add_test(all, a_vote_that_was_told_outlives_a_crash);
	tcase_add_loop_test(all, each_role_steps_down_for_a_newer_term, 0,
			    4 * sizeof(newer) / sizeof(newer[0]));
	tcase_add_test(
		all, a_granted_pre_vote_of_a_newer_term_does_not_move_the_term);
	tcase_add_loop_test(all, an_older_term_has_no_effect, 0, 4);
	tcase_add_test(all,
		       an_own_vote_that_is_late_does_not_undo_a_lost_election);
	tcase_add_test(all, nor_does_an_own_pre_vote);
	tcase_add_test(all, an_own_pre_vote_that_is_late_is_no_vote);
	tcase_add_test(all, the_first_answer_of_each_is_the_one_that_counts);
	tcase_add_loop_test(
		all, a_vote_for_a_log_that_was_lost_since_is_not_counted, 0, 3);
	tcase_add_loop_test(all, a_grant_names_the_log_it_was_given_to, 0, 2);
	tcase_add_test(all, an_own_write_of_an_older_term_is_not_counted);
}

int main(void)
{
	Suite *suite = suite_create("raft, votes");
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
