/*
 * What a leader knows of the others and what it sends them for it: probing,
 * replicating, waiting for an image.
 */
#include "tests/unit/support_raft.h"

#include <check.h>
#include <stdlib.h>

static struct core lead;

static void set_up(void)
{
	core_init(&lead, 1, 2);
}

static void tear_down(void)
{
	core_release(&lead);
}

static void become_leader(unsigned int voters)
{
	core_init(&lead, 1, voters);
	core_start(&lead);
	core_lead(&lead);
}

/* It leads two; the other has its first entry: entries are sent ahead. */
static void replicate(void)
{
	become_leader(2);
	core_acknowledge(&lead, 2, 1);
	core_settle(&lead);
	ck_assert_uint_eq(core_progress(&lead, 2)->state, RAFT_REPLICATE);
	ck_assert_uint_eq(core_progress(&lead, 2)->match, 1);
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 2);
}

static void refuse(uint64_t from, uint64_t log_index, uint64_t hint,
		   uint64_t hint_term)
{
	core_give(&lead, (struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					       .from = from,
					       .term = core_status(&lead)->term,
					       .reject = true,
					       .log_index = log_index,
					       .reject_hint = hint,
					       .log_term = hint_term});
}

static void propose(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		ck_assert_int_eq(core_propose(&lead, 8), 0);
}

static void tick_beat(void)
{
	raft_tick(lead.raft);
	core_settle(&lead);
}

START_TEST(a_leader_counts_itself_as_far_as_its_disk_goes)
{
	replicate();
	for (unsigned int i = 0; i < 5; i++) {
		propose(1);
		ck_assert(core_take(&lead));
		ck_assert_uint_eq(core_progress(&lead, 1)->match, 1);
	}
	ck_assert_uint_eq(core_status(&lead)->last_index, 6);
	ck_assert_uint_eq(lead.write_count, 5);
	for (unsigned int i = 0; i < 5; i++) {
		core_persist_some(&lead, 1);
		ck_assert_uint_eq(core_progress(&lead, 1)->match, 2 + i);
		ck_assert_uint_eq(core_progress(&lead, 1)->next, 3 + i);
	}
	ck_assert_uint_eq(core_status(&lead)->commit, 1);
}
END_TEST

START_TEST(an_answer_resumes_a_probe_and_a_heartbeat_does_not)
{
	become_leader(2);
	ck_assert_str_eq(core_appends(&lead, 2), "1-1");
	for (unsigned int i = 0; i < 3; i++) {
		tick_beat();
		ck_assert_str_eq(core_appends(&lead, 2), "");
		ck_assert(core_progress(&lead, 2)->paused);
		core_answer_beat(&lead, 2);
		core_settle(&lead);
		ck_assert_str_eq(core_appends(&lead, 2), "1-1");
		ck_assert(core_progress(&lead, 2)->paused);
	}
}
END_TEST

START_TEST(an_answer_resumes_a_full_window_with_an_empty_append)
{
	lead.options.inflight_max = 2;
	core_start(&lead);
	core_lead(&lead);
	core_acknowledge(&lead, 2, 1);
	propose(3);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "1+ 2-2 3-3");
	tick_beat();
	ck_assert_str_eq(core_appends(&lead, 2), "");
	ck_assert(core_progress(&lead, 2)->paused);
	core_answer_beat(&lead, 2);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "3+");
	/* It has none of them: everything is sent anew. */
	refuse(2, 3, 1, 1);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "2-4");
	ck_assert_uint_eq(core_progress(&lead, 2)->state, RAFT_PROBE);
}
END_TEST

START_TEST(a_probe_is_one_append_however_much_is_proposed)
{
	become_leader(2);
	ck_assert_str_eq(core_appends(&lead, 2), "1-1");
	propose(3);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "");
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 1);
	tick_beat();
	core_answer_beat(&lead, 2);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "1-4");
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 1);
}
END_TEST

START_TEST(next_runs_ahead_only_while_replicating)
{
	replicate();
	propose(2);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "2-2 3-3");
	ck_assert_uint_eq(core_progress(&lead, 2)->match, 1);
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 4);
	raft_report_unreachable(lead.raft, 2);
	propose(2);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "2-4");
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 2);
}
END_TEST

START_TEST(each_proposal_is_sent_at_once_while_replicating)
{
	replicate();
	for (uint64_t i = 2; i < 12; i++) {
		const struct raft_message *append;

		propose(1);
		core_settle(&lead);
		append = core_message(&lead, RAFT_MSG_APPEND, 2);
		ck_assert_uint_eq(append->log_index, i - 1);
		ck_assert_uint_eq(append->log_term, 1);
		ck_assert_uint_eq(append->first_index, i);
		ck_assert_uint_eq(append->entry_count, 1);
		ck_assert_uint_eq(append->commit, 1);
	}
}
END_TEST

START_TEST(nothing_is_sent_to_who_waits_for_an_image)
{
	static const uint64_t terms[] = {1, 1, 1, 0};
	const struct raft_message *image;

	lead.saved.index = 10;
	lead.saved.term = 1;
	core_load(&lead, terms);
	core_start(&lead);
	core_lead(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "14-14");
	/* Its log ends before what is left of the leader's. */
	refuse(2, 13, 3, 1);
	core_settle(&lead);
	image = core_message(&lead, RAFT_MSG_SNAPSHOT, 2);
	ck_assert_uint_eq(image->snapshot->index, 10);
	ck_assert_uint_eq(image->snapshot->term, 1);
	ck_assert_uint_eq(core_progress(&lead, 2)->state, RAFT_SNAPSHOT);
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 11);
	for (unsigned int i = 0; i < 10; i++) {
		propose(1);
		tick_beat();
		core_answer_beat(&lead, 2);
		core_settle(&lead);
		ck_assert_uint_eq(lead.mail_count, 0);
	}
	core_acknowledge(&lead, 2, 10);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "11-24");
	ck_assert_uint_eq(core_progress(&lead, 2)->state, RAFT_REPLICATE);
}
END_TEST

START_TEST(who_is_unreachable_is_probed_from_its_match)
{
	replicate();
	propose(4);
	core_settle(&lead);
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 6);
	ck_assert_uint_eq(core_progress(&lead, 2)->inflights.count, 4);
	raft_report_unreachable(lead.raft, 2);
	ck_assert_uint_eq(core_progress(&lead, 2)->state, RAFT_PROBE);
	ck_assert_uint_eq(core_progress(&lead, 2)->match, 1);
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 2);
	ck_assert_uint_eq(core_progress(&lead, 2)->inflights.count, 0);
	/* Told again, it changes nothing; nor of who is no member. */
	raft_report_unreachable(lead.raft, 2);
	raft_report_unreachable(lead.raft, 9);
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 2);
}
END_TEST

START_TEST(who_has_everything_does_not_stay_in_probe)
{
	replicate();
	raft_report_unreachable(lead.raft, 2);
	tick_beat();
	core_answer_beat(&lead, 2);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "1+");
	core_acknowledge(&lead, 2, 1);
	ck_assert_uint_eq(core_progress(&lead, 2)->state, RAFT_REPLICATE);
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 2);
}
END_TEST

START_TEST(each_member_is_released_by_its_own_answer)
{
	become_leader(3);
	ck_assert_str_eq(core_appends(&lead, 2), "1-1");
	ck_assert_str_eq(core_appends(&lead, 3), "1-1");
	core_acknowledge(&lead, 2, 1);
	core_settle(&lead);
	ck_assert_uint_eq(core_status(&lead)->commit, 1);
	ck_assert_str_eq(core_appends(&lead, 2), "1+");
	ck_assert_str_eq(core_appends(&lead, 3), "");
	propose(1);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "2-2");
	ck_assert_str_eq(core_appends(&lead, 3), "");
	core_acknowledge(&lead, 3, 1);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "");
	ck_assert_str_eq(core_appends(&lead, 3), "2-2");
}
END_TEST

/* One answer to a new leader of three, whose log is 1 1 2. */
struct answer_case {
	bool reject;
	uint64_t index;
	uint64_t hint;
	uint8_t state;
	uint64_t match, next, commit;
	const char *appends;
};

static const struct answer_case answers[] = {
	/* Not of the probe that is under way. */
	{true, 3, 3, RAFT_PROBE, 0, 3, 0, ""},
	{true, 1, 1, RAFT_PROBE, 0, 3, 0, ""},
	/* Refused: one back, or as far as the hint. */
	{true, 2, 2, RAFT_PROBE, 0, 2, 0, "2-3"},
	{true, 2, 0, RAFT_PROBE, 0, 1, 0, "1-3"},
	/* Taken: what commits is told. */
	{false, 3, 0, RAFT_REPLICATE, 3, 4, 3, "3+"},
	{false, 2, 0, RAFT_REPLICATE, 2, 4, 0, "3-3"},
	/* An answer for nothing ends the probe all the same. */
	{false, 0, 0, RAFT_REPLICATE, 0, 4, 0, "1-3"},
};

START_TEST(an_answer_moves_next_and_match)
{
	static const uint64_t terms[] = {1, 1, 0};
	const struct answer_case *one = &answers[_i];

	core_init(&lead, 1, 3);
	core_load(&lead, terms);
	core_start(&lead);
	core_lead(&lead);
	ck_assert_str_eq(core_terms(&lead), "1 1 2");
	ck_assert_str_eq(core_appends(&lead, 2), "3-3");
	if (one->reject)
		refuse(2, one->index, one->hint, one->hint ? 1 : 0);
	else
		core_acknowledge(&lead, 2, one->index);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), one->appends);
	ck_assert_str_eq(core_appends(&lead, 3), "");
	ck_assert_uint_eq(core_progress(&lead, 2)->state, one->state);
	ck_assert_uint_eq(core_progress(&lead, 2)->match, one->match);
	ck_assert_uint_eq(core_progress(&lead, 2)->next, one->next);
	ck_assert_uint_eq(core_status(&lead)->commit, one->commit);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_leader_counts_itself_as_far_as_its_disk_goes);
	tcase_add_test(all, an_answer_resumes_a_probe_and_a_heartbeat_does_not);
	tcase_add_test(all,
		       an_answer_resumes_a_full_window_with_an_empty_append);
	tcase_add_test(all, a_probe_is_one_append_however_much_is_proposed);
	tcase_add_test(all, next_runs_ahead_only_while_replicating);
	tcase_add_test(all, each_proposal_is_sent_at_once_while_replicating);
	tcase_add_test(all, nothing_is_sent_to_who_waits_for_an_image);
	tcase_add_test(all, who_is_unreachable_is_probed_from_its_match);
	tcase_add_test(all, who_has_everything_does_not_stay_in_probe);
	tcase_add_test(all, each_member_is_released_by_its_own_answer);
	tcase_add_loop_test(all, an_answer_moves_next_and_match, 0,
			    sizeof(answers) / sizeof(answers[0]));
}

int main(void)
{
	Suite *suite = suite_create("raft, progress");
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
