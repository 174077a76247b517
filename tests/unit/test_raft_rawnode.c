/*
 * What a shell is told by ready after ready: all of it, once, and again when
 * it was not taken; after a restart nothing that the disk knows already.
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

START_TEST(what_is_not_taken_is_said_again)
{
	struct raft_ready first, again;

	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	raft_tick(one.raft);
	raft_ready(one.raft, &first);
	ck_assert_uint_eq(first.message_count, 2);
	ck_assert_uint_eq(first.append_first, 2);
	/* Looked at only; then something happens that adds to it. */
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(raft_has_ready(one.raft));
	raft_ready(one.raft, &again);
	ck_assert_uint_eq(again.number, first.number);
	ck_assert_uint_eq(again.message_count, 2);
	ck_assert_uint_eq(again.messages[0].type, RAFT_MSG_HEARTBEAT);
	ck_assert_uint_eq(again.append_first, 2);
	ck_assert_uint_eq(again.append_last, 3);
	raft_advance(one.raft);
	ck_assert(!raft_has_ready(one.raft));
	raft_ready(one.raft, &again);
	ck_assert_uint_eq(again.number, first.number + 1);
	ck_assert_uint_eq(again.message_count, 0);
	ck_assert_uint_eq(again.append_first, 0);
}
END_TEST

/* The next ready shows this leader and role, as news or not. */
static void expect_shown(bool news, uint64_t leader, uint8_t role)
{
	struct raft_ready ready;

	raft_ready(one.raft, &ready);
	ck_assert(ready.soft_changed == news);
	ck_assert_uint_eq(ready.leader, leader);
	ck_assert_uint_eq(ready.role, role);
	raft_advance(one.raft);
}

START_TEST(leader_and_role_are_shown_when_they_change)
{
	core_start(&one);
	expect_shown(false, 0, RAFT_FOLLOWER);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	expect_shown(true, 2, RAFT_FOLLOWER);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	expect_shown(false, 2, RAFT_FOLLOWER);
	/* Another leader, in another term. */
	ck_assert_int_eq(say_beat(&one, 3, 2, 0), 0);
	expect_shown(true, 3, RAFT_FOLLOWER);
	raft_forget_leader(one.raft);
	expect_shown(true, 0, RAFT_FOLLOWER);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	expect_shown(true, 0, RAFT_CANDIDATE);
	/* There and back between two readies is no news. */
	ck_assert_int_eq(say_beat(&one, 3, 4, 0), 0);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	expect_shown(false, 0, RAFT_CANDIDATE);
}
END_TEST

static void expect_hard(bool changed, bool must_sync, uint64_t term,
			uint64_t vote, uint64_t commit)
{
	struct raft_ready ready;

	raft_ready(one.raft, &ready);
	ck_assert(ready.hard_changed == changed);
	ck_assert(ready.must_sync == must_sync);
	ck_assert(raft_must_sync(one.raft) == must_sync);
	ck_assert_uint_eq(ready.hard.term, term);
	ck_assert_uint_eq(ready.hard.vote, vote);
	ck_assert_uint_eq(ready.hard.commit, commit);
	raft_advance(one.raft);
	if (must_sync)
		raft_persisted(one.raft, ready.number, 0, 0);
}

START_TEST(only_a_term_or_a_vote_must_be_durable_not_a_commit)
{
	core_load(&one, (const uint64_t[]){1, 1, 0});
	core_start(&one);
	expect_hard(false, false, 1, 0, 0);
	ck_assert_int_eq(say_beat(&one, 2, 1, 1), 0);
	expect_hard(true, false, 1, 0, 1);
	ck_assert_int_eq(say_beat(&one, 2, 1, 1), 0);
	expect_hard(false, false, 1, 0, 1);
	ck_assert_int_eq(say_beat(&one, 2, 3, 1), 0);
	expect_hard(true, true, 3, 0, 1);
	raft_forget_leader(one.raft);
	ck_assert_int_eq(say_vote(&one, (struct raft_message){.from = 3,
							      .term = 3,
							      .log_index = 2,
							      .log_term = 1}),
			 0);
	expect_hard(true, true, 3, 3, 1);
	expect_hard(false, false, 3, 3, 1);
}
END_TEST

START_TEST(a_restart_repeats_what_was_committed_and_nothing_else)
{
	struct raft_ready ready;

	core_load(&one, (const uint64_t[]){1, 1, 2, 0});
	one.hard.vote = 2;
	one.hard.commit = 2;
	core_start(&one);
	raft_ready(one.raft, &ready);
	ck_assert(!ready.hard_changed);
	ck_assert(!ready.must_sync);
	ck_assert(!ready.soft_changed);
	ck_assert_uint_eq(ready.append_first, 0);
	ck_assert_ptr_null(ready.snapshot);
	ck_assert_uint_eq(ready.message_count, 0);
	ck_assert_uint_eq(ready.apply_first, 1);
	ck_assert_uint_eq(ready.apply_last, 2);
	raft_advance(one.raft);
	ck_assert(!raft_has_ready(one.raft));
	ck_assert_uint_eq(status()->vote, 2);
	ck_assert_uint_eq(status()->term, 2);
}
END_TEST

START_TEST(a_restart_from_an_image_begins_behind_it)
{
	struct raft_ready ready;

	one.saved.index = 100;
	one.saved.term = 4;
	core_load(&one, (const uint64_t[]){4, 5, 0});
	one.hard.commit = 101;
	core_start(&one);
	raft_ready(one.raft, &ready);
	ck_assert_ptr_null(ready.snapshot);
	ck_assert(!ready.must_sync);
	ck_assert_uint_eq(ready.apply_first, 101);
	ck_assert_uint_eq(ready.apply_last, 101);
	raft_advance(one.raft);
	raft_applied(one.raft, 101);
	ck_assert(!raft_has_ready(one.raft));
	/* Its state machine may be further than its image. */
	core_start(&one);
	core_restored(&one, 101);
	ck_assert(!raft_has_ready(one.raft));
	ck_assert_uint_eq(status()->applied, 101);
}
END_TEST

START_TEST(a_commit_beyond_the_log_found_is_that_of_the_log)
{
	core_load(&one, (const uint64_t[]){1, 1, 0});
	one.hard.commit = 7;
	core_start(&one);
	ck_assert_uint_eq(status()->commit, 2);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, 2);
}
END_TEST

START_TEST(after_a_restart_parts_follow_each_other_without_a_gap)
{
	static const uint64_t terms[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};

	for (uint64_t size = 1; size <= 11 * (uint64_t)entry_size(8);
	     size += entry_size(8) / 2) {
		unsigned int parts = 0;

		core_release(&one);
		core_init(&one, 1, 3);
		core_load(&one, terms);
		one.hard.commit = 10;
		one.options.committed_size_max = size;
		core_start(&one);
		/* The rig asserts that each part begins behind the last. */
		while (core_take(&one)) {
			ck_assert_uint_eq(one.ready.hard.commit, 10);
			core_apply(&one);
			parts++;
		}
		ck_assert_uint_eq(status()->applied, 10);
		ck_assert_uint_eq(status()->commit, 10);
		ck_assert_uint_ge(parts, 1);
		ck_assert_uint_le(parts, 10);
		if (size < entry_size(8))
			ck_assert_uint_eq(parts, 10);
	}
}
END_TEST

START_TEST(what_was_handed_out_and_not_applied_holds_the_next_part_up)
{
	one.options.committed_size_max = (uint64_t)2 * entry_size(1000);
	one.saved.conf =
		(struct raft_conf_state){.voters = {1}, .voter_count = 1};
	core_start(&one);
	core_lead(&one);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(core_propose(&one, 1000), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 2);
	ck_assert_uint_eq(one.ready.apply_last, 3);
	/* More is committed while these two are under way. */
	ck_assert_int_eq(core_propose(&one, 1000), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.hard.commit, 5);
	ck_assert_uint_eq(one.ready.apply_first, 0);
	core_apply(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 4);
	ck_assert_uint_eq(one.ready.apply_last, 5);
}
END_TEST

/* Five entries of 1000 bytes, and what 2 is sent of them at once. */
static const char *pages(uint64_t size_max)
{
	core_release(&one);
	core_init(&one, 1, 3);
	one.options.append_size_max = size_max;
	core_start(&one);
	core_lead(&one);
	for (unsigned int i = 0; i < 5; i++)
		ck_assert_int_eq(core_propose(&one, 1000), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 1);
	core_settle(&one);
	return core_appends(&one, 2);
}

START_TEST(an_append_is_as_large_as_it_may_be_and_no_larger)
{
	uint64_t size = entry_size(1000);

	ck_assert_str_eq(pages(5 * size), "2-6");
	ck_assert_str_eq(pages(5 * size - 1), "2-5 6-6");
	ck_assert_str_eq(pages(2 * size), "2-3 4-5 6-6");
	ck_assert_str_eq(pages(2 * size - 1), "2-2 3-3 4-4 5-5 6-6");
	/* At least one, however large. */
	ck_assert_str_eq(pages(1), "2-2 3-3 4-4 5-5 6-6");
}
END_TEST

START_TEST(an_append_does_not_ask_where_the_leaders_disk_is)
{
	core_start(&one);
	core_lead(&one);
	one.stalled = true;
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one); /* on its way */
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_acknowledge(&one, 2, 1); /* not even handed out */
	core_settle(&one);
	ck_assert_uint_eq(status()->stable_index, 1);
	ck_assert_str_eq(core_appends(&one, 2), "2-4");
}
END_TEST

START_TEST(status_tells_what_it_is_and_knows)
{
	core_load(&one, (const uint64_t[]){1, 1, 0});
	one.hard.commit = 1;
	core_start(&one);
	core_settle(&one);
	ck_assert_uint_eq(status()->id, 1);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->leader, 0);
	ck_assert_uint_eq(status()->vote, 0);
	ck_assert_uint_eq(status()->first_index, 1);
	ck_assert_uint_eq(status()->last_index, 2);
	ck_assert_uint_eq(status()->stable_index, 2);
	ck_assert_uint_eq(status()->commit, 1);
	ck_assert_uint_eq(status()->applied, 1);
	ck_assert_str_eq(conf_words(&status()->conf), "1 2 3");
	core_lead(&one);
	ck_assert_int_eq(core_propose(&one, 100), 0);
	ck_assert_int_eq(raft_transfer(one.raft, 3), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_uint_eq(status()->leader, 1);
	ck_assert_uint_eq(status()->vote, 1);
	ck_assert_uint_eq(status()->term, 2);
	ck_assert_uint_eq(status()->last_index, 4);
	ck_assert_uint_eq(status()->stable_index, 3);
	ck_assert_uint_eq(status()->uncommitted_size, 100);
	ck_assert_uint_eq(status()->transferee, 3);
	ck_assert_uint_eq(status()->lease.term, 0);
	ck_assert_uint_eq(core_progress(&one, 1)->match, 3);
}
END_TEST

START_TEST(a_proposal_is_passed_on_only_where_that_is_allowed)
{
	for (unsigned int allowed = 0; allowed < 2; allowed++) {
		one.options.forwarding = allowed;
		core_start(&one);
		ck_assert_int_eq(core_propose(&one, 8),
				 RAFT_EDROPPED_NO_LEADER);
		ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
		core_settle(&one);
		ck_assert_int_eq(core_propose(&one, 8),
				 allowed ? 0 : RAFT_EDROPPED_NO_FORWARD);
		core_settle(&one);
		ck_assert_uint_eq(core_sent(&one, RAFT_MSG_PROPOSE, 2),
				  allowed);
		ck_assert_uint_eq(status()->last_index, 0);
	}
}
END_TEST

START_TEST(a_proposal_that_finds_no_room_in_the_outbox_is_refused)
{
	unsigned int sent = 0;

	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	core_settle(&one);
	while (core_propose(&one, 8) == 0)
		sent++;
	ck_assert_uint_eq(sent, one.options.messages_max);
	ck_assert_int_eq(core_propose(&one, 8), RAFT_EFULL);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_PROPOSE, 2), sent);
	ck_assert_int_eq(core_propose(&one, 8), 0);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, what_is_not_taken_is_said_again);
	tcase_add_test(all, leader_and_role_are_shown_when_they_change);
	tcase_add_test(all, only_a_term_or_a_vote_must_be_durable_not_a_commit);
	tcase_add_test(all,
		       a_restart_repeats_what_was_committed_and_nothing_else);
	tcase_add_test(all, a_restart_from_an_image_begins_behind_it);
	tcase_add_test(all, a_commit_beyond_the_log_found_is_that_of_the_log);
	tcase_add_test(all,
		       after_a_restart_parts_follow_each_other_without_a_gap);
	tcase_add_test(
		all,
		what_was_handed_out_and_not_applied_holds_the_next_part_up);
	tcase_add_test(all, an_append_is_as_large_as_it_may_be_and_no_larger);
	tcase_add_test(all, an_append_does_not_ask_where_the_leaders_disk_is);
	tcase_add_test(all, status_tells_what_it_is_and_knows);
	tcase_add_test(all, a_proposal_is_passed_on_only_where_that_is_allowed);
	tcase_add_test(all,
		       a_proposal_that_finds_no_room_in_the_outbox_is_refused);
}

int main(void)
{
	Suite *suite = suite_create("raft, ready after ready");
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
