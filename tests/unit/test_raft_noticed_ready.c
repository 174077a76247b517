/*
 * What is handed out while the disk is busy for long, and what a ready without
 * the disk may hold.
 */
#include "tests/unit/support_raft_death.h"
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

enum ready_sizes {
	RECORDS = 64, /* readies that are told apart while the disk stalls */
	WRITES = RECORDS + 6,
	SMALL_OUTBOX = 96,
	LARGE_WINDOW = 4096,
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

static void start_alone(void)
{
	core_init(&one, 1, 1);
	core_start(&one);
	core_lead(&one);
}

/* One entry, behind `index` of its term, from leader 2 in term 1. */
static void append_one(uint64_t index)
{
	ck_assert_int_eq(
		say_append(&one,
			   (struct raft_message){.from = 2,
						 .term = 1,
						 .log_index = index,
						 .log_term = index > 0 ? 1 : 0},
			   (const uint64_t[]){1, 0}),
		0);
}

/* The highest index that it acknowledges to 2 now, or 0. */
static uint64_t acknowledged(void)
{
	uint64_t index = 0;

	for (unsigned int i = 0; i < one.mail_count; i++) {
		const struct raft_message *m = &one.mail[i].message;

		if (m->type == RAFT_MSG_APPEND_REPLY && m->log_index > index)
			index = m->log_index;
	}
	return index;
}

START_TEST(each_write_releases_what_waits_for_it_however_many_there_are)
{
	core_start(&one);
	for (uint64_t i = 0; i < WRITES; i++) {
		append_one(i);
		ck_assert(core_take(&one));
	}
	ck_assert_uint_eq(one.write_count, WRITES);
	for (uint64_t done = 1; done <= WRITES; done++) {
		core_persist_some(&one, 1);
		(void)core_take(&one);
		/* Those beyond the records wait for the last of them. */
		if (done < RECORDS || done == WRITES)
			ck_assert_uint_eq(acknowledged(), done);
		else
			ck_assert_uint_eq(acknowledged(), 0);
		core_forget_mail(&one);
	}
}
END_TEST

START_TEST(an_image_is_installed_once)
{
	struct raft_snapshot image = one.saved;

	image.index = 5;
	image.term = 1;
	core_start(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_SNAPSHOT,
					      .from = 2,
					      .term = 1,
					      .snapshot = &image});
	core_settle(&one);
	for (uint64_t i = 5; i < 5 + 3 * RECORDS; i++) {
		append_one(i);
		core_settle(&one);
		ck_assert_uint_eq(status()->applied, 5);
	}
	ck_assert_int_eq(say_beat(&one, 2, 1, 5 + 3 * RECORDS), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, 5 + 3 * RECORDS);
}
END_TEST

/* So many wait for the disk that more of them would be lost. */
START_TEST(a_leader_loses_no_acknowledgement_of_its_own)
{
	one.options.messages_max = SMALL_OUTBOX;
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_settle(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one)); /* its write is on its way */
	for (unsigned int i = 0; i < 4 * SMALL_OUTBOX; i++)
		ck_assert_int_eq(
			say_vote(&one, (struct raft_message){.from = 3,
							     .term = 1,
							     .log_index = 1,
							     .log_term = 1}),
			0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	core_acknowledge(&one, 2, 3);
	ck_assert_uint_eq(status()->commit, 3);
}
END_TEST

START_TEST(many_entries_in_one_write_are_acknowledged_as_one)
{
	core_init(&one, 1, 1);
	one.options.messages_max = SMALL_OUTBOX;
	one.options.entries_max = LARGE_WINDOW;
	core_start(&one);
	core_lead(&one);
	for (unsigned int i = 0; i < CORE_LOG_MAX - 8; i++)
		ck_assert_int_eq(core_propose(&one, 1), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, CORE_LOG_MAX - 7);
}
END_TEST

START_TEST(a_vote_in_the_running_term_is_news_to_the_disk)
{
	one.hard.term = 5;
	core_start(&one);
	ck_assert_int_eq(
		say_vote(&one, (struct raft_message){.from = 2, .term = 5}), 0);
	ck_assert(core_take(&one));
	ck_assert(one.ready.must_sync);
	ck_assert(one.ready.hard_changed);
	ck_assert_uint_eq(one.ready.hard.vote, 2);
}
END_TEST

START_TEST(a_commit_index_alone_is_worth_a_ready)
{
	core_init(&one, 1, 1);
	one.options.committed_size_max = 1;
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one)); /* hands out 2, which is not applied */
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 0);
	ck_assert_uint_eq(one.ready.message_count, 0);
	ck_assert(one.ready.hard_changed);
	ck_assert_uint_eq(one.ready.hard.commit, 3);
}
END_TEST

START_TEST(an_image_waits_for_a_ready_with_the_disk)
{
	struct raft_snapshot image = one.saved;
	struct raft_ready ready;

	image.index = 5;
	image.term = 1;
	core_start(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_SNAPSHOT,
					      .from = 2,
					      .term = 1,
					      .snapshot = &image});
	ck_assert(raft_ready_light(one.raft, &ready));
	ck_assert_ptr_null(ready.snapshot);
	ck_assert(!ready.must_sync);
	ck_assert(!ready.hard_changed);
	raft_advance(one.raft);
	ck_assert(core_take(&one));
	ck_assert(one.ready.hard_changed);
	ck_assert_uint_eq(one.ready.snapshot->index, 5);
}
END_TEST

START_TEST(entries_to_apply_do_not_wait_for_the_disk)
{
	struct raft_ready ready;

	start_alone();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(raft_ready_light(one.raft, &ready));
	ck_assert_uint_eq(ready.apply_first, 2);
	ck_assert_uint_eq(ready.apply_last, 2);
	ck_assert_uint_eq(ready.message_count, 0);
}
END_TEST

START_TEST(reads_do_not_wait_for_the_disk)
{
	struct raft_ready ready;

	start_alone();
	ck_assert_int_eq(raft_read_index(one.raft, 7), 0);
	ck_assert(raft_ready_light(one.raft, &ready));
	ck_assert_uint_eq(ready.read_count, 1);
}
END_TEST

static void take_a_light_ready_twice(void)
{
	struct raft_ready ready;

	(void)raft_ready_light(one.raft, &ready);
	raft_advance(one.raft);
	raft_advance(one.raft);
}

START_TEST(a_light_ready_is_taken_once)
{
	core_start(&one);
	ck_assert_dies(take_a_light_ready_twice);
}
END_TEST

START_TEST(who_stepped_down_does_not_send_what_it_missed)
{
	one.options.messages_max = SMALL_OUTBOX;
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_settle(&one);
	for (unsigned int i = 0; i < SMALL_OUTBOX; i++)
		raft_tick(one.raft);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(say_beat(&one, 2, 2, 0), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 0), 0);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(
		all,
		each_write_releases_what_waits_for_it_however_many_there_are);
	tcase_add_test(all, an_image_is_installed_once);
	tcase_add_test(all, a_leader_loses_no_acknowledgement_of_its_own);
	tcase_add_test(all, many_entries_in_one_write_are_acknowledged_as_one);
	tcase_add_test(all, a_vote_in_the_running_term_is_news_to_the_disk);
	tcase_add_test(all, a_commit_index_alone_is_worth_a_ready);
	tcase_add_test(all, an_image_waits_for_a_ready_with_the_disk);
	tcase_add_test(all, entries_to_apply_do_not_wait_for_the_disk);
	tcase_add_test(all, reads_do_not_wait_for_the_disk);
	tcase_add_test(all, a_light_ready_is_taken_once);
	tcase_add_test(all, who_stepped_down_does_not_send_what_it_missed);
}

int main(void)
{
	Suite *suite = suite_create("raft, readies while the disk is busy");
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
