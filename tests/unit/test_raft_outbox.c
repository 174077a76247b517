/*
 * What waits to be sent, and what waits for the disk: neither grows beyond
 * its limit, what finds no room is as if the network had lost it, and what
 * names entries that are gone is not sent.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

enum sizes {
	OUTBOX = 96, /* the least there may be */
};

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
	one.options.messages_max = OUTBOX;
	one.options.entries_max = 512;
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

/* Member 2 is fed ahead of its answers. */
static void lead(void)
{
	core_lead(&one);
	core_acknowledge(&one, 2, status()->last_index);
	core_settle(&one);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_REPLICATE);
}

START_TEST(what_finds_no_room_is_lost_and_appends_are_made_up_for)
{
	lead();
	/* Two heartbeats a tick, and no one takes them. */
	for (unsigned int i = 0; i < OUTBOX; i++)
		raft_tick(one.raft);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.mail_count, OUTBOX);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 0), OUTBOX);
	ck_assert(core_take(&one));
	ck_assert_str_eq(core_appends(&one, 2), "2-2");
	ck_assert_uint_eq(one.mail_count, 1);
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

START_TEST(a_follower_has_nothing_to_make_up_for)
{
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	core_settle(&one);
	for (uint64_t i = 0; i < 2 * OUTBOX; i++)
		ck_assert_int_eq(raft_read_index(one.raft, i), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_READ_INDEX, 2), OUTBOX);
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

START_TEST(answers_between_own_writes_part_them_and_lose_none)
{
	struct raft_message ask = {.from = 3, .term = 1, .log_index = 9};

	lead();
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(core_propose(&one, 8), 0);
		ck_assert_int_eq(core_propose(&one, 8), 0);
		ck_assert_int_eq(say_vote(&one, ask), 0);
	}
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_VOTE_REPLY, 3), 0);
	ck_assert_uint_eq(core_progress(&one, 1)->match, 1);
	core_persist(&one);
	ck_assert_uint_eq(core_progress(&one, 1)->match, 8);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_VOTE_REPLY, 3), 3);
	core_acknowledge(&one, 2, 8);
	ck_assert_uint_eq(status()->commit, 8);
}
END_TEST

/* One entry from leader 2 behind what is here. */
static void follow_one(void)
{
	struct raft_message append = {.from = 2, .term = 1};

	append.log_index = status()->last_index;
	append.log_term = append.log_index > 0;
	ck_assert_int_eq(say_append(&one, append, (const uint64_t[]){1, 0}), 0);
}

START_TEST(answers_that_wait_for_a_disk_have_a_limit)
{
	for (unsigned int i = 0; i < 3 * OUTBOX; i++)
		follow_one();
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.append_last, 3 * OUTBOX);
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND_REPLY, 2), OUTBOX);
	ck_assert_uint_eq(status()->stable_index, 3 * OUTBOX);
	/* What was lost, the next answer says. */
	follow_one();
	core_settle(&one);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index,
		3 * OUTBOX + 1);
}
END_TEST

START_TEST(what_is_to_be_written_is_said_though_its_answer_is_lost)
{
	for (unsigned int i = 0; i < 2 * OUTBOX; i++)
		follow_one();
	ck_assert(core_take(&one)); /* and the disk stalls */
	ck_assert(!raft_has_ready(one.raft));
	follow_one();
	ck_assert(raft_has_ready(one.raft));
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.append_first, 2 * OUTBOX + 1);
	core_persist(&one);
	ck_assert_uint_eq(status()->stable_index, 2 * OUTBOX + 1);
}
END_TEST

START_TEST(a_light_ready_is_for_whatever_needs_no_disk)
{
	struct raft_ready ready;

	core_release(&one);
	core_init(&one, 1, 1);
	core_start(&one);
	ck_assert(!raft_ready_light(one.raft, &ready));
	core_lead(&one);
	/* An answered read alone. */
	ck_assert_int_eq(raft_read_index(one.raft, 5), 0);
	ck_assert(raft_ready_light(one.raft, &ready));
	ck_assert_uint_eq(ready.read_count, 1);
	raft_advance(one.raft);
	ck_assert(!raft_ready_light(one.raft, &ready));
	/* The disk's part alone: nothing. */
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(!raft_ready_light(one.raft, &ready));
	ck_assert(core_take(&one));
	core_persist(&one);
	/* Something to apply alone; that it is committed is not said yet. */
	ck_assert(raft_ready_light(one.raft, &ready));
	ck_assert_uint_eq(ready.apply_first, 2);
	ck_assert(!ready.hard_changed);
	ck_assert_uint_eq(ready.number, 0);
	raft_advance(one.raft);
	raft_applied(one.raft, 2);
	raft_ready(one.raft, &ready);
	ck_assert(ready.hard_changed);
	ck_assert_uint_eq(ready.apply_first, 0);
}
END_TEST

START_TEST(a_light_ready_shows_who_leads)
{
	struct raft_ready ready;

	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	core_settle(&one);
	raft_forget_leader(one.raft);
	ck_assert(raft_ready_light(one.raft, &ready));
	ck_assert(ready.soft_changed);
	ck_assert_uint_eq(ready.leader, 0);
	raft_advance(one.raft);
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

START_TEST(an_append_of_what_is_compacted_is_not_sent)
{
	struct raft_snapshot image = {.index = 3, .term = 1};

	lead();
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 4);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, 4);
	image.conf = status()->conf;
	/* Member 3 lost all, and is sent 1-4 again; 2 has one more to get. */
	raft_tick(one.raft);
	core_settle(&one);
	core_answer_beat(&one, 3);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	raft_offer_snapshot(one.raft, &image);
	raft_compact(one.raft, 3);
	ck_assert(core_take(&one));
	ck_assert_str_eq(core_appends(&one, 3), "");
	ck_assert_str_eq(core_appends(&one, 2), "5-5");
	core_persist(&one);
	/* As if the network had lost it: the next answer has it sent anew. */
	raft_tick(one.raft);
	core_settle(&one);
	core_answer_beat(&one, 3);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 3), 1);
}
END_TEST

START_TEST(an_append_without_entries_outlives_a_compaction)
{
	struct raft_snapshot image = {.index = 1, .term = 1};

	lead();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2); /* 2 is told that it is committed */
	image.conf = status()->conf;
	raft_offer_snapshot(one.raft, &image);
	raft_compact(one.raft, 1);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 2), "2+");
}
END_TEST

START_TEST(an_append_of_what_another_leader_cut_is_not_sent)
{
	struct raft_message append = {.from = 3, .term = 2, .log_index = 1};

	lead();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	raft_tick(one.raft); /* heartbeats behind the appends */
	/* Nothing was taken yet when 3 leads: it passes a proposal on... */
	ck_assert_int_eq(say_beat(&one, 3, 2, 1), 0);
	ck_assert_int_eq(core_propose(&one, 77), 0);
	/* ...and has its own two entries cut. */
	append.log_term = 1;
	ck_assert_int_eq(say_append(&one, append, (const uint64_t[]){2, 0}), 0);
	ck_assert_str_eq(core_terms(&one), "1 2");
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 0), 0);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 0), 2);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_PROPOSE, 3)->entries[0].size, 77);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT_REPLY, 3), 1);
	ck_assert_uint_eq(one.mail_count, 4);
}
END_TEST

START_TEST(an_append_before_the_cut_is_sent)
{
	struct raft_message append = {.from = 3, .term = 2, .log_index = 2};

	lead();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	append.log_term = 1;
	ck_assert_int_eq(say_append(&one, append, (const uint64_t[]){2, 0}), 0);
	ck_assert_str_eq(core_terms(&one), "1 1 2");
	ck_assert(core_take(&one));
	ck_assert_str_eq(core_appends(&one, 2), "2-2");
}
END_TEST

START_TEST(an_image_takes_back_every_append)
{
	struct raft_snapshot image = {.index = 50, .term = 2};

	lead();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	image.conf = status()->conf;
	core_give(&one, (struct raft_message){.type = RAFT_MSG_SNAPSHOT,
					      .from = 3,
					      .term = 2,
					      .snapshot = &image});
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 0), 0);
	ck_assert_uint_eq(one.ready.append_first, 0);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all,
		       what_finds_no_room_is_lost_and_appends_are_made_up_for);
	tcase_add_test(all, a_follower_has_nothing_to_make_up_for);
	tcase_add_test(all, answers_between_own_writes_part_them_and_lose_none);
	tcase_add_test(all, answers_that_wait_for_a_disk_have_a_limit);
	tcase_add_test(all,
		       what_is_to_be_written_is_said_though_its_answer_is_lost);
	tcase_add_test(all, a_light_ready_is_for_whatever_needs_no_disk);
	tcase_add_test(all, a_light_ready_shows_who_leads);
	tcase_add_test(all, an_append_of_what_is_compacted_is_not_sent);
	tcase_add_test(all, an_append_without_entries_outlives_a_compaction);
	tcase_add_test(all, an_append_of_what_another_leader_cut_is_not_sent);
	tcase_add_test(all, an_append_before_the_cut_is_sent);
	tcase_add_test(all, an_image_takes_back_every_append);
}

int main(void)
{
	Suite *suite = suite_create("raft, what waits to be sent");
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
