/*
 * What a leader goes on believing of a member: late answers, lost commit
 * indexes, images under way and images that failed.
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

/* Leads; both others have its first entry and know it committed. */
static void lead(void)
{
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, status()->last_index);
	core_acknowledge(&one, 3, status()->last_index);
	core_settle(&one);
}

/* Proposes `count` entries that 3 acknowledges and 2 does not. */
static void leave_behind(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 3, status()->last_index);
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, status()->last_index);
}

/* A heartbeat to `id` and its answer, which is not taken yet. */
static void beat(uint64_t id)
{
	raft_tick(one.raft);
	core_settle(&one);
	core_answer_beat(&one, id);
}

/* 2 waits for an image up to 4, behind which the log begins. */
static void send_image(void)
{
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 3, 1);
	leave_behind(3);
	core_compact(&one);
	beat(2);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 2), 1);
	ck_assert_uint_eq(core_progress(&one, 2)->pending_snapshot, 4);
}

START_TEST(a_commit_index_that_a_heartbeat_held_back_is_told_again)
{
	lead();
	leave_behind(1);
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 2), 0);
	leave_behind(1);
	raft_tick(one.raft);
	core_settle(&one);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_HEARTBEAT, 2)->commit, 2);
	core_acknowledge(&one, 2, 3);
	core_settle(&one);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_APPEND, 2)->commit, 3);
}
END_TEST

START_TEST(a_late_answer_does_not_open_the_window)
{
	lead();
	leave_behind(3);
	core_acknowledge(&one, 2, 4);
	raft_report_unreachable(one.raft, 2);
	core_acknowledge(&one, 2, 3);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_PROBE);
	core_acknowledge(&one, 2, 4);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_REPLICATE);
}
END_TEST

START_TEST(a_late_answer_does_not_end_the_wait_for_an_image)
{
	send_image();
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 2), 0);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_SNAPSHOT);
	ck_assert_uint_eq(core_progress(&one, 2)->pending_snapshot, 4);
}
END_TEST

START_TEST(an_unreachable_member_may_still_get_its_image)
{
	send_image();
	raft_report_unreachable(one.raft, 2);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_SNAPSHOT);
}
END_TEST

START_TEST(what_follows_an_image_that_arrived_is_sent_next)
{
	send_image();
	raft_report_snapshot(one.raft, 2, true);
	core_settle(&one);
	ck_assert_uint_eq(one.mail_count, 0);
	beat(2);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 2), "4+");
	/* An empty probe holds nothing up. */
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 2), "5-5");
}
END_TEST

START_TEST(an_image_that_failed_waits_for_a_heartbeat_s_answer)
{
	send_image();
	raft_report_snapshot(one.raft, 2, false);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 2), 0);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 2), 0);
	beat(2);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 2), 1);
}
END_TEST

START_TEST(a_late_report_of_an_image_disturbs_nothing)
{
	lead();
	raft_report_snapshot(one.raft, 2, false);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_REPLICATE);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 2), "2-2");
}
END_TEST

static void offer(uint64_t index)
{
	struct raft_snapshot image = one.image;

	image.index = index;
	raft_offer_snapshot(one.raft, &image);
}

START_TEST(an_image_is_the_one_that_was_chosen)
{
	const struct raft_message *message;

	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 3, 1);
	leave_behind(3);
	offer(3);
	raft_compact(one.raft, 3);
	beat(2);
	offer(4); /* before it was handed out */
	core_settle(&one);
	message = core_message(&one, RAFT_MSG_SNAPSHOT, 2);
	ck_assert_uint_eq(message->snapshot->index, 3);
	ck_assert_uint_eq(core_progress(&one, 2)->pending_snapshot, 3);
}
END_TEST

START_TEST(no_image_is_sent_that_leaves_a_gap)
{
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 3, 1);
	leave_behind(3);
	offer(2);
	raft_compact(one.raft, 3);
	beat(2);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 2), 0);
	offer(3);
	beat(2);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 2), 1);
}
END_TEST

/* Who asks for an image has nothing; who has something asked long ago. */
START_TEST(only_who_has_nothing_gets_an_image_instead_of_entries)
{
	lead();
	leave_behind(3);
	raft_offer_snapshot(one.raft, &one.image);
	core_acknowledge(&one, 2, 2);
	raft_report_unreachable(one.raft, 2);
	say_refusal(&one, 2, 0, 0, 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 2), 0);
}
END_TEST

START_TEST(an_image_that_came_is_passed_on)
{
	const struct raft_message *message;
	struct raft_snapshot image = one.saved;

	image.index = 5;
	image.term = 1;
	core_start(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_SNAPSHOT,
					      .from = 2,
					      .term = 1,
					      .snapshot = &image});
	core_settle(&one);
	core_lead(&one);
	say_refusal(&one, 3, 5, 0, 0);
	core_settle(&one);
	message = core_message(&one, RAFT_MSG_SNAPSHOT, 3);
	ck_assert_uint_eq(message->snapshot->index, 5);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all,
		       a_commit_index_that_a_heartbeat_held_back_is_told_again);
	tcase_add_test(all, a_late_answer_does_not_open_the_window);
	tcase_add_test(all, a_late_answer_does_not_end_the_wait_for_an_image);
	tcase_add_test(all, an_unreachable_member_may_still_get_its_image);
	tcase_add_test(all, what_follows_an_image_that_arrived_is_sent_next);
	tcase_add_test(all,
		       an_image_that_failed_waits_for_a_heartbeat_s_answer);
	tcase_add_test(all, a_late_report_of_an_image_disturbs_nothing);
	tcase_add_test(all, an_image_is_the_one_that_was_chosen);
	tcase_add_test(all, no_image_is_sent_that_leaves_a_gap);
	tcase_add_test(all,
		       only_who_has_nothing_gets_an_image_instead_of_entries);
	tcase_add_test(all, an_image_that_came_is_passed_on);
}

int main(void)
{
	Suite *suite = suite_create("raft, what a leader goes on believing");
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
