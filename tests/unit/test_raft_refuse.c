/*
 * Messages that no correct member sends: what is refused of them, and that a
 * refused one leaves no trace.
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

START_TEST(refuses_messages_that_no_member_sends)
{
	struct raft_message good = {
		.type = RAFT_MSG_HEARTBEAT, .from = 2, .term = 1};
	struct raft_message bad = good;

	bad.type = 0;
	ck_assert_int_eq(core_offer(&one, bad), RAFT_EINVALID);
	bad.type = RAFT_MSG_FORGET_LEADER;
	ck_assert_int_eq(core_offer(&one, bad), RAFT_EINVALID);
	bad = good;
	bad.from = 1;
	ck_assert_int_eq(core_offer(&one, bad), RAFT_EINVALID);
	bad.from = 0;
	ck_assert_int_eq(core_offer(&one, bad), RAFT_EINVALID);
	bad = good;
	bad.term = 0;
	ck_assert_int_eq(core_offer(&one, bad), RAFT_EINVALID);
	bad = good;
	bad.to = 2;
	ck_assert_int_eq(raft_receive(one.raft, &bad), RAFT_EINVALID);
	bad = good;
	bad.type = RAFT_MSG_APPEND;
	bad.entry_count = 1;
	ck_assert_int_eq(core_offer(&one, bad), RAFT_EINVALID);
	bad = good;
	bad.type = RAFT_MSG_SNAPSHOT;
	ck_assert_int_eq(core_offer(&one, bad), RAFT_EINVALID);
	bad = good;
	bad.type = RAFT_MSG_VOTE_REPLY;
	bad.from = 9;
	ck_assert_int_eq(core_offer(&one, bad), RAFT_EUNKNOWN_PEER);
	ck_assert_uint_eq(status()->term, 0);
	ck_assert_int_eq(core_offer(&one, good), 0);
	ck_assert_uint_eq(status()->term, 1);
}
END_TEST

START_TEST(refuses_entries_that_do_not_follow)
{
	struct raft_entry pair[2] = {core_entry(1, 1), core_entry(3, 1)};
	struct raft_message append = {.type = RAFT_MSG_APPEND,
				      .from = 2,
				      .term = 1,
				      .first_index = 1,
				      .entry_count = 2,
				      .entries = pair};

	ck_assert_int_eq(core_offer(&one, append), RAFT_EINVALID);
	pair[1] = core_entry(2, 2); /* newer than its sender */
	ck_assert_int_eq(core_offer(&one, append), RAFT_EINVALID);
	pair[0] = core_entry(1, 2);
	pair[1] = core_entry(2, 1); /* terms fall */
	append.term = 2;
	ck_assert_int_eq(core_offer(&one, append), RAFT_EINVALID);
	ck_assert_uint_eq(status()->last_index, 0);
}
END_TEST

/* Not even the term that it names, nor a leader. */
START_TEST(what_is_malformed_leaves_no_trace)
{
	struct raft_entry entry = core_entry(2, 9);
	struct raft_snapshot image = {.index = 5, .term = 1};
	struct raft_message append = {.type = RAFT_MSG_APPEND,
				      .from = 2,
				      .term = 9,
				      .first_index = 1,
				      .entry_count = 1,
				      .entries = &entry};
	struct raft_message snapshot = {.type = RAFT_MSG_SNAPSHOT,
					.from = 2,
					.term = 9,
					.snapshot = &image};

	ck_assert_int_eq(core_offer(&one, append), RAFT_EINVALID);
	ck_assert_int_eq(core_offer(&one, snapshot), RAFT_EINVALID);
	image.conf = one.saved.conf;
	image.term = 10;
	ck_assert_int_eq(core_offer(&one, snapshot), RAFT_EINVALID);
	ck_assert_uint_eq(status()->term, 0);
	ck_assert_uint_eq(status()->leader, 0);
	ck_assert(!raft_has_ready(one.raft));
	/* It is still free to campaign: it has heard of no one. */
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_uint_eq(status()->term, 1);
}
END_TEST

START_TEST(refuses_to_cut_what_is_committed)
{
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){
					    .from = 2, .term = 1, .commit = 1},
				    (uint64_t[]){1, 0}),
			 0);
	ck_assert_uint_eq(status()->commit, 1);
	/* Before the commit index nothing is looked at. */
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){.from = 3, .term = 2},
				    (uint64_t[]){2, 0}),
			 0);
	ck_assert_str_eq(core_terms(&one), "1");
}
END_TEST

START_TEST(refuses_to_commit_what_it_does_not_have)
{
	ck_assert_int_eq(say_beat(&one, 2, 1, 5), RAFT_EINVALID);
	ck_assert_uint_eq(status()->commit, 0);
}
END_TEST

START_TEST(refuses_answers_to_what_was_never_sent)
{
	struct raft_message reply = {
		.type = RAFT_MSG_APPEND_REPLY, .from = 2, .term = 1};

	core_lead(&one);
	reply.log_index = status()->last_index + 1;
	ck_assert_int_eq(core_offer(&one, reply), RAFT_EINVALID);
	reply.type = RAFT_MSG_HEARTBEAT_REPLY;
	reply.log_index = 0;
	reply.round = 1000;
	ck_assert_int_eq(core_offer(&one, reply), RAFT_EINVALID);
	/* Another leader of the same term cannot be. */
	ck_assert_int_eq(say_beat(&one, 3, 1, 0), RAFT_EINVALID);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, what is refused");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, refuses_messages_that_no_member_sends);
	tcase_add_test(all, refuses_entries_that_do_not_follow);
	tcase_add_test(all, what_is_malformed_leaves_no_trace);
	tcase_add_test(all, refuses_to_cut_what_is_committed);
	tcase_add_test(all, refuses_to_commit_what_it_does_not_have);
	tcase_add_test(all, refuses_answers_to_what_was_never_sent);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
