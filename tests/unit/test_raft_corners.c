/*
 * What comes seldom: words that are late, doubled, or about someone who is
 * no member any more, and windows that are full to the last place.
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

/* Leads three; 2 has all, of 3 nothing is known. */
static void lead(void)
{
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, status()->last_index);
	core_settle(&one);
}

static void propose(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
}

START_TEST(a_leader_learns_of_commits_from_answers_alone)
{
	core_load(&one, (const uint64_t[]){1, 1, 0});
	core_start(&one);
	core_lead(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 3,
					      .term = 2,
					      .reject = true,
					      .commit = 2,
					      .commit_term = 1});
	ck_assert_uint_eq(status()->commit, 0);
	core_acknowledge(&one, 2, 3);
	ck_assert_uint_eq(status()->commit, 3);
}
END_TEST

/* It campaigns, knowing of one commit; a refusal tells it of two. */
static void exchange_commits(bool silent, uint64_t asked, uint64_t learnt)
{
	core_release(&one);
	core_init(&one, 1, 3);
	core_load(&one, (const uint64_t[]){1, 1, 0});
	one.hard.commit = 1;
	one.options.silent_votes = silent;
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_VOTE, 2)->commit, asked);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_VOTE, 2)->commit_term,
			  asked);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 3,
					      .term = 2,
					      .reject = true,
					      .commit = 2,
					      .commit_term = 1});
	ck_assert_uint_eq(status()->commit, learnt);
}

START_TEST(votes_tell_what_is_committed_unless_they_are_silent)
{
	exchange_commits(false, 1, 2);
	exchange_commits(true, 0, 1);
}
END_TEST

START_TEST(a_vote_counts_once_and_the_first_word_stands)
{
	core_init(&one, 1, 5);
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	ck_assert_int_eq(say_vote_reply(&one, 3, true), 0);
	ck_assert_int_eq(say_vote_reply(&one, 3, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_int_eq(say_vote_reply(&one, 4, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(entries_that_change_no_membership_hold_no_campaign_up)
{
	core_load(&one, (const uint64_t[]){1, 1, 0});
	one.hard.commit = 2;
	core_start(&one);
	ck_assert_uint_eq(status()->applied, 0);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

/* Born with this configuration, and told to keep quiet. */
static void be_quiet(const struct raft_conf_state *conf)
{
	core_release(&one);
	core_init(&one, 1, 1);
	one.saved.conf = *conf;
	one.options.quiet_ticks = 100;
	core_start(&one);
}

static uint64_t vote_for_2(void)
{
	struct raft_message ask = {.from = 2, .term = 1};

	ck_assert_int_eq(say_vote(&one, ask), 0);
	return status()->vote;
}

START_TEST(a_voter_alone_keeps_quiet_too_until_it_is_told)
{
	static const struct raft_conf_state alone = {.voters = {1},
						     .voter_count = 1};
	static const struct raft_conf_state all[] = {
		{.voters = {1}, .voter_count = 1},
		{.voters = {1, 2}, .voter_count = 2},
		{.voters = {2}, .voter_count = 1},
		{.voters = {1},
		 .voter_count = 1,
		 .outgoing = {1, 2},
		 .outgoing_count = 2},
		{.voters = {2},
		 .voter_count = 1,
		 .learners = {1},
		 .learner_count = 1},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		be_quiet(&all[i]);
		ck_assert_uint_eq(vote_for_2(), 0);
		ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	}
	be_quiet(&alone);
	raft_end_quiet(one.raft);
	ck_assert_uint_eq(vote_for_2(), 2);
	be_quiet(&alone);
	raft_end_quiet(one.raft);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
}
END_TEST

START_TEST(a_round_that_is_too_long_ago_gives_no_lease)
{
	one.options.lease = true;
	one.options.check_quorum = true;
	lead();
	/* Other answers keep it the leader; those to its rounds are late. */
	for (unsigned int i = 0; i < 100; i++) {
		raft_tick(one.raft);
		(void)core_take(&one);
		core_acknowledge(&one, 3, 0);
	}
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					      .from = 2,
					      .term = status()->term,
					      .round = 1});
	/* When that round began is forgotten; another's time is not it. */
	ck_assert_uint_eq(status()->lease.term, 0);
	/* The newest one does. */
	raft_tick(one.raft);
	(void)core_take(&one);
	core_answer_beat(&one, 2);
	ck_assert_uint_eq(status()->lease.term, status()->term);
}
END_TEST

START_TEST(leaving_is_asked_for_once_while_it_is_under_way)
{
	struct raft_conf_changes step = conf_change(RAFT_ADD_LEARNER, 4);
	uint64_t last;

	lead();
	step.transition = RAFT_TRANSITION_IMPLICIT;
	ck_assert_int_eq(core_propose_conf(&one, &step), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, status()->last_index);
	core_settle(&one);
	ck_assert_str_eq(conf_words(&status()->conf),
			 "1 2 3, learner 4, out 1 2 3, auto");
	last = status()->last_index;
	for (unsigned int i = 0; i < 5; i++)
		raft_tick(one.raft);
	core_settle(&one);
	ck_assert_uint_eq(status()->last_index, last);
	core_acknowledge(&one, 2, last);
	core_settle(&one);
	ck_assert_str_eq(conf_words(&status()->conf), "1 2 3, learner 4");
}
END_TEST

START_TEST(a_member_that_comes_back_in_the_same_change_starts_anew)
{
	struct raft_conf_changes back = {.count = 2};

	core_init(&one, 1, 2);
	one.saved.conf.learners[0] = 3;
	one.saved.conf.learner_count = 1;
	lead();
	core_acknowledge(&one, 3, 1);
	ck_assert_uint_eq(core_progress(&one, 3)->match, 1);
	back.changes[0] =
		(struct raft_conf_change){.id = 3, .type = RAFT_REMOVE};
	back.changes[1] =
		(struct raft_conf_change){.id = 3, .type = RAFT_ADD_LEARNER};
	ck_assert_int_eq(core_propose_conf(&one, &back), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	ck_assert_uint_eq(core_progress(&one, 3)->match, 0);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_PROBE);
	ck_assert_uint_gt(core_progress(&one, 2)->match, 0);
}
END_TEST

START_TEST(a_change_that_cannot_be_read_is_skipped)
{
	static const uint8_t bytes[ENTRY_HEADER_SIZE + 8] = {0};
	struct raft_entry entry = {.index = 1,
				   .term = 1,
				   .kind = ENTRY_CONF_V1,
				   .size = 8,
				   .data = bytes};
	struct raft_conf_state conf = {.voter_count = 77};

	core_start(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
					      .from = 2,
					      .term = 1,
					      .first_index = 1,
					      .entry_count = 1,
					      .entries = &entry,
					      .commit = 1});
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 1);
	ck_assert_int_eq(
		raft_apply_conf(one.raft, raft_entry_at(one.raft, 1), &conf),
		RAFT_EINVALID);
	/* So is one whose bytes are not in memory. */
	raft_evict(one.raft, 1);
	ck_assert_int_eq(
		raft_apply_conf(one.raft, raft_entry_at(one.raft, 1), &conf),
		RAFT_EINVALID);
	ck_assert_uint_eq(conf.voter_count, 77);
	ck_assert_str_eq(conf_words(&status()->conf), "1 2 3");
	ck_assert_str_eq(raft_refusal(one.raft), "");
}
END_TEST

START_TEST(an_own_write_that_ends_after_the_own_removal_counts_nothing)
{
	struct raft_conf_changes removal = conf_change(RAFT_REMOVE, 1);

	lead();
	ck_assert_int_eq(core_propose_conf(&one, &removal), 0);
	core_settle(&one);
	one.stalled = true;
	propose(1); /* on its way to the disk */
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	ck_assert_str_eq(conf_words(&status()->conf), "2 3");
	core_persist(&one);
	ck_assert_uint_eq(status()->stable_index, 3);
	ck_assert_uint_eq(status()->commit, 2);
	core_acknowledge(&one, 2, 3);
	ck_assert_uint_eq(status()->commit, 2);
	core_acknowledge(&one, 3, 3);
	ck_assert_uint_eq(status()->commit, 3);
}
END_TEST

START_TEST(an_own_vote_that_ends_after_the_own_removal_counts_nothing)
{
	struct raft_conf_changes removal = conf_change(RAFT_REMOVE, 1);
	uint8_t bytes[ENTRY_HEADER_SIZE + RAFT_CONF_HEADER + RAFT_CONF_CHANGE];
	struct raft_entry entry = {.index = 1,
				   .term = 1,
				   .kind = ENTRY_CONF_V2,
				   .size = (uint32_t)raft_conf_size(1),
				   .data = bytes};

	raft_conf_encode(&removal, bytes + ENTRY_HEADER_SIZE);
	one.hard.term = 1;
	one.last = 1;
	one.log[1] = entry;
	core_start(&one);
	one.stalled = true;
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 3,
					      .term = 2,
					      .reject = true,
					      .commit = 1,
					      .commit_term = 1});
	core_settle(&one);
	ck_assert_str_eq(conf_words(&status()->conf), "2 3");
	core_persist(&one);
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
}
END_TEST

START_TEST(a_window_takes_what_there_is_room_for_and_says_so)
{
	struct raft_message append = {.from = 2, .term = 1};
	uint64_t terms[21] = {0};

	for (unsigned int i = 0; i < 20; i++)
		terms[i] = 1;
	one.options.entries_max = 16;
	core_start(&one);
	append.commit = 20;
	ck_assert_int_eq(say_append(&one, append, terms), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->last_index, 16);
	ck_assert_uint_eq(status()->commit, 16);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index, 16);
	/* Full, it takes nothing, but agrees to what it has. */
	append.log_index = 16;
	append.log_term = 1;
	ck_assert_int_eq(say_append(&one, append, (const uint64_t[]){1, 0}), 0);
	core_settle(&one);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index, 16);
	core_compact(&one);
	ck_assert_int_eq(say_append(&one, append, (const uint64_t[]){1, 0}), 0);
	core_settle(&one);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index, 17);
}
END_TEST

START_TEST(what_was_evicted_and_cut_is_evicted_again)
{
	struct raft_message append = {.from = 2, .term = 2, .log_index = 1};

	core_load(&one, (const uint64_t[]){1, 1, 1, 0});
	core_start(&one);
	raft_evict(one.raft, 3);
	append.log_term = 1;
	ck_assert_int_eq(say_append(&one, append, (const uint64_t[]){2, 2, 0}),
			 0);
	core_settle(&one);
	ck_assert_str_eq(core_terms(&one), "1 2 2");
	raft_lend(one.raft, 2, "bytes");
	raft_evict(one.raft, 2);
	ck_assert_ptr_null(raft_entry_at(one.raft, 2)->data);
	raft_lend(one.raft, 3, "bytes");
	raft_evict(one.raft, 2); /* was, before */
	ck_assert_ptr_nonnull(raft_entry_at(one.raft, 3)->data);
	raft_evict(one.raft, 3);
	ck_assert_ptr_null(raft_entry_at(one.raft, 3)->data);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_leader_learns_of_commits_from_answers_alone);
	tcase_add_test(all,
		       votes_tell_what_is_committed_unless_they_are_silent);
	tcase_add_test(all, a_vote_counts_once_and_the_first_word_stands);
	tcase_add_test(all,
		       entries_that_change_no_membership_hold_no_campaign_up);
	tcase_add_test(all, a_voter_alone_keeps_quiet_too_until_it_is_told);
	tcase_add_test(all, a_round_that_is_too_long_ago_gives_no_lease);
	tcase_add_test(all, leaving_is_asked_for_once_while_it_is_under_way);
	tcase_add_test(all,
		       a_member_that_comes_back_in_the_same_change_starts_anew);
	tcase_add_test(all, a_change_that_cannot_be_read_is_skipped);
	tcase_add_test(
		all,
		an_own_write_that_ends_after_the_own_removal_counts_nothing);
	tcase_add_test(
		all,
		an_own_vote_that_ends_after_the_own_removal_counts_nothing);
	tcase_add_test(all, a_window_takes_what_there_is_room_for_and_says_so);
	tcase_add_test(all, what_was_evicted_and_cut_is_evicted_again);
}

int main(void)
{
	Suite *suite = suite_create("raft, what comes seldom");
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
