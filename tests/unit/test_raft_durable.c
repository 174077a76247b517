/*
 * One of three members and its disk: nothing is told before it is durable,
 * and nothing else waits for a disk that stalls.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
	one.options.check_quorum = true;
	one.options.lease = true;
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

static void append_from(uint64_t from, uint64_t term, const uint64_t *terms)
{
	ck_assert_int_eq(
		say_append(&one,
			   (struct raft_message){.from = from, .term = term},
			   terms),
		0);
}

/* Leads, and its first entry is committed and applied. */
static void lead(void)
{
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, 1);
}

START_TEST(leads_only_when_its_own_vote_is_durable)
{
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert(core_take(&one));
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	ck_assert_int_eq(say_vote_reply(&one, 3, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	core_persist(&one);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(late_writes_do_not_make_a_rewritten_log_stable)
{
	append_from(2, 1, (uint64_t[]){1, 0});
	ck_assert(core_take(&one));
	append_from(3, 2, (uint64_t[]){2, 0});
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.append_first, 1);
	append_from(2, 3, (uint64_t[]){1, 3, 0});
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.append_first, 1);
	ck_assert_uint_eq(one.ready.append_last, 2);
	/* (1, 1) stands there again, but the disk will yet write (1, 2). */
	core_persist_some(&one, 1);
	ck_assert_uint_eq(status()->stable_index, 0);
	core_persist_some(&one, 1);
	ck_assert_uint_eq(status()->stable_index, 0);
	core_persist_some(&one, 1);
	ck_assert_uint_eq(status()->stable_index, 2);
}
END_TEST

START_TEST(acknowledges_only_what_is_durable)
{
	append_from(2, 1, (uint64_t[]){1, 0});
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND_REPLY, 0), 0);
	ck_assert(!raft_has_ready(one.raft));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index, 1);
	/* Nothing is on its way to the disk: the same again goes at once. */
	append_from(2, 1, (uint64_t[]){1, 0});
	ck_assert(core_take(&one));
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index, 1);
}
END_TEST

START_TEST(heartbeats_go_on_while_the_disk_stalls)
{
	lead();
	/* More than there are records of writes that wait. */
	for (unsigned int i = 0; i < 100; i++) {
		ck_assert_int_eq(core_propose(&one, 1), 0);
		core_round(&one, 2);
	}
	raft_tick(one.raft);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 3), 1);
	ck_assert_uint_eq(status()->stable_index, 1);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	/* The disk comes back: one answer speaks for all. */
	core_persist(&one);
	ck_assert_uint_eq(status()->stable_index, 101);
}
END_TEST

/* The answer to the last write speaks for all, and for what came behind. */
START_TEST(a_long_stall_ends_with_its_last_write)
{
	const struct raft_message *reply;

	for (uint64_t i = 0; i < 100; i++) {
		ck_assert_int_eq(
			say_append(&one,
				   (struct raft_message){.from = 2,
							 .term = 1,
							 .log_index = i,
							 .log_term = i > 0},
				   (uint64_t[]){1, 0}),
			0);
		ck_assert(core_take(&one));
		ck_assert(one.ready.must_sync);
	}
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
		ck_assert(core_take(&one));
		ck_assert(!one.ready.must_sync);
	}
	core_persist(&one);
	ck_assert_uint_eq(status()->stable_index, 100);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND_REPLY, 2), 100);
	reply = &one.mail[one.mail_count - 1].message;
	ck_assert_uint_eq(reply->type, RAFT_MSG_APPEND_REPLY);
	ck_assert_uint_eq(reply->log_index, 100);
}
END_TEST

START_TEST(messages_go_without_the_disk)
{
	lead();
	ck_assert_int_eq(core_propose(&one, 1), 0);
	raft_tick(one.raft);
	/* Looked at, and left: the disk is busy. */
	raft_ready(one.raft, &one.ready);
	ck_assert(one.ready.must_sync);
	ck_assert(raft_ready_light(one.raft, &one.ready));
	ck_assert(!one.ready.must_sync);
	ck_assert_uint_eq(one.ready.append_first, 0);
	/* An append to 2, which has answered; heartbeats to 2 and 3. */
	ck_assert_uint_eq(one.ready.message_count, 3);
	raft_advance(one.raft);
	ck_assert(!raft_ready_light(one.raft, &one.ready));
	ck_assert(raft_has_ready(one.raft));
	raft_tick(one.raft);
	ck_assert(core_take(&one));
	ck_assert(one.ready.must_sync);
	ck_assert_uint_eq(one.ready.append_first, 2);
	ck_assert_uint_eq(one.ready.append_last, 2);
	core_persist(&one);
	ck_assert_uint_eq(status()->stable_index, 2);
}
END_TEST

START_TEST(elections_do_not_pile_up_while_the_disk_stalls)
{
	for (unsigned int i = 0; i < 100000; i++) {
		raft_tick(one.raft);
		if (!raft_has_ready(one.raft))
			continue;
		raft_ready(one.raft, &one.ready);
		raft_advance(one.raft);
	}
	ck_assert_uint_gt(status()->term, 1000);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	raft_persisted(one.raft, one.ready.number, 0, 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, durable before it is told");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, leads_only_when_its_own_vote_is_durable);
	tcase_add_test(all, late_writes_do_not_make_a_rewritten_log_stable);
	tcase_add_test(all, acknowledges_only_what_is_durable);
	tcase_add_test(all, heartbeats_go_on_while_the_disk_stalls);
	tcase_add_test(all, a_long_stall_ends_with_its_last_write);
	tcase_add_test(all, messages_go_without_the_disk);
	tcase_add_test(all, elections_do_not_pile_up_while_the_disk_stalls);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
