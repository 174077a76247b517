/*
 * Heartbeats and their answers: who sends them, what they commit, and that
 * an answer keeps entries coming.
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

static void tick_beat(void)
{
	raft_tick(one.raft);
	core_settle(&one);
}

START_TEST(a_heartbeat_commits_no_further_than_the_match)
{
	static const uint64_t terms[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
	const struct raft_message *beat;

	one.saved.index = 1000;
	one.saved.term = 1;
	core_load(&one, terms);
	core_start(&one);
	core_lead(&one);
	tick_beat();
	beat = core_message(&one, RAFT_MSG_HEARTBEAT, 2);
	ck_assert_uint_eq(beat->commit, 0);
	core_acknowledge(&one, 2, 1005);
	core_acknowledge(&one, 3, 1011);
	tick_beat();
	ck_assert_uint_eq(core_status(&one)->commit, 1011);
	beat = core_message(&one, RAFT_MSG_HEARTBEAT, 2);
	ck_assert_uint_eq(beat->commit, 1005);
	ck_assert_uint_eq(beat->term, 2);
	ck_assert_uint_eq(beat->log_index, 0);
	ck_assert_uint_eq(beat->log_term, 0);
	ck_assert_uint_eq(beat->entry_count, 0);
	beat = core_message(&one, RAFT_MSG_HEARTBEAT, 3);
	ck_assert_uint_eq(beat->commit, 1011);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 0), 2);
}
END_TEST

START_TEST(only_a_leader_sends_heartbeats)
{
	core_start(&one);
	tick_beat();
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 0), 0);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_status(&one)->role, RAFT_CANDIDATE);
	tick_beat();
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 0), 0);
	core_give(&one, (struct raft_message){
				.type = RAFT_MSG_VOTE_REPLY,
				.from = 2,
				.term = 1,
			});
	tick_beat();
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 2), 1);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 3), 1);
}
END_TEST

START_TEST(heartbeats_come_as_often_as_they_are_asked_for)
{
	core_init(&one, 1, 2);
	one.options.heartbeat_ticks = 3;
	core_start(&one);
	core_lead(&one);
	for (unsigned int i = 1; i <= 9; i++) {
		tick_beat();
		ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 2),
				  i % 3 == 0);
	}
}
END_TEST

/* A member of term 2 whose log is 1 2 3, the first two committed. */
static void follow(void)
{
	static const uint64_t terms[] = {1, 2, 3, 0};

	core_init(&one, 1, 2);
	core_load(&one, terms);
	one.hard.commit = 2;
	core_start(&one);
	core_settle(&one);
	ck_assert_uint_eq(core_status(&one)->applied, 2);
}

START_TEST(a_heartbeat_moves_commit_forth_and_never_back)
{
	const uint64_t commit = _i == 0 ? 3 : 1;
	const struct raft_message *reply;

	follow();
	core_give(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT,
					      .from = 2,
					      .term = 3,
					      .commit = commit,
					      .round = 17});
	core_settle(&one);
	ck_assert_uint_eq(core_status(&one)->commit, _i == 0 ? 3 : 2);
	ck_assert_uint_eq(core_status(&one)->applied, _i == 0 ? 3 : 2);
	ck_assert_uint_eq(core_status(&one)->leader, 2);
	ck_assert_uint_eq(one.mail_count, 1);
	reply = core_message(&one, RAFT_MSG_HEARTBEAT_REPLY, 2);
	ck_assert_uint_eq(reply->round, 17);
	ck_assert_uint_eq(reply->term, 3);
}
END_TEST

START_TEST(answers_are_answered_with_entries_while_there_are_any)
{
	core_init(&one, 1, 2);
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	for (unsigned int i = 0; i < 2; i++) {
		tick_beat();
		core_answer_beat(&one, 2);
		core_settle(&one);
		ck_assert_str_eq(core_appends(&one, 2), "1-3");
	}
	core_acknowledge(&one, 2, 3);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 2), "3+");
	tick_beat();
	core_answer_beat(&one, 2);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 2), "");
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_heartbeat_commits_no_further_than_the_match);
	tcase_add_test(all, only_a_leader_sends_heartbeats);
	tcase_add_test(all, heartbeats_come_as_often_as_they_are_asked_for);
	tcase_add_loop_test(all, a_heartbeat_moves_commit_forth_and_never_back,
			    0, 2);
	tcase_add_test(all,
		       answers_are_answered_with_entries_while_there_are_any);
}

int main(void)
{
	Suite *suite = suite_create("raft, heartbeats");
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
