/*
 * What comes seldom to a leader: images that do not fit, reads without room,
 * wishes that come to one who does not lead, transfers in several steps.
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

/* Entries 2 .. last are applied, and those up to `compact` are gone. */
static void compact_to(uint64_t last, uint64_t compact, uint64_t offer)
{
	struct raft_snapshot image = {.index = offer, .term = 1};

	lead();
	while (status()->last_index < last)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, last);
	core_settle(&one);
	image.conf = status()->conf;
	raft_offer_snapshot(one.raft, &image);
	raft_compact(one.raft, compact);
}

static void hear_3(void)
{
	raft_tick(one.raft);
	core_settle(&one);
	core_answer_beat(&one, 3);
	core_settle(&one);
}

START_TEST(an_image_that_ends_before_the_log_begins_is_not_sent)
{
	struct raft_snapshot image = {.index = 5, .term = 1};

	compact_to(8, 5, 4);
	hear_3();
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 3), 0);
	/* One that ends where the log begins is. */
	image.conf = status()->conf;
	raft_offer_snapshot(one.raft, &image);
	hear_3();
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 3), 1);
	ck_assert_uint_eq(core_progress(&one, 3)->pending_snapshot, 5);
	ck_assert_uint_eq(core_progress(&one, 3)->next, 6);
}
END_TEST

START_TEST(what_falls_short_of_the_image_does_not_end_its_way)
{
	compact_to(8, 5, 5);
	hear_3();
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_SNAPSHOT);
	core_acknowledge(&one, 3, 2); /* a late one */
	ck_assert_uint_eq(core_progress(&one, 3)->match, 2);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_SNAPSHOT);
	ck_assert_uint_eq(core_progress(&one, 3)->pending_snapshot, 5);
	core_acknowledge(&one, 3, 5);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_REPLICATE);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 3), "6-8");
}
END_TEST

START_TEST(an_image_that_was_handed_over_is_followed_when_it_is_answered)
{
	compact_to(8, 5, 5);
	hear_3();
	raft_report_snapshot(one.raft, 3, true);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_PROBE);
	ck_assert_uint_eq(core_progress(&one, 3)->next, 6);
	ck_assert(core_progress(&one, 3)->paused);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 3), "");
	core_acknowledge(&one, 3, 5);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 3), "6-8");
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_REPLICATE);
}
END_TEST

START_TEST(a_report_of_no_image_under_way_changes_nothing)
{
	struct raft_progress before;

	lead();
	before = *core_progress(&one, 3);
	raft_report_snapshot(one.raft, 3, true);
	raft_report_snapshot(one.raft, 3, false);
	raft_report_snapshot(one.raft, 9, true);
	ck_assert_uint_eq(core_progress(&one, 3)->state, before.state);
	ck_assert_uint_eq(core_progress(&one, 3)->next, before.next);
	ck_assert(core_progress(&one, 3)->paused == before.paused);
	ck_assert(!raft_has_ready(one.raft));
	/* Nor does one that comes when it leads no more. */
	ck_assert_int_eq(say_beat(&one, 2, 2, 0), 0);
	raft_report_snapshot(one.raft, 3, true);
	raft_report_unreachable(one.raft, 3);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(who_has_nothing_at_all_gets_an_image_once_there_is_one)
{
	struct raft_snapshot image = {.index = 1, .term = 1};

	lead();
	/* 3 was not told who votes: not even the first entry follows. */
	ck_assert_uint_eq(core_progress(&one, 3)->next, 1);
	say_refusal(&one, 3, 0, 0, 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 3), 0);
	ck_assert(core_progress(&one, 3)->paused);
	image.conf = status()->conf;
	raft_offer_snapshot(one.raft, &image);
	hear_3(); /* it is asked again, and says it again */
	ck_assert_str_eq(core_appends(&one, 3), "1-1");
	say_refusal(&one, 3, 0, 0, 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_SNAPSHOT, 3), 1);
	/* Late, or of a member that has something, it says nothing. */
	say_refusal(&one, 3, 0, 0, 0);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_SNAPSHOT);
	say_refusal(&one, 2, 0, 0, 0);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_REPLICATE);
	raft_report_unreachable(one.raft, 2);
	say_refusal(&one, 2, 0, 0, 0);
	core_settle(&one);
	ck_assert_uint_eq(one.mail_count, 0);
}
END_TEST

START_TEST(reads_go_around_their_ring)
{
	one.options.reads_max = 3;
	lead();
	for (uint64_t i = 1; i <= 10; i++) {
		ck_assert_int_eq(raft_read_index(one.raft, 2 * i), 0);
		core_settle(&one);
		/* A second one in the same ring, of a later round. */
		ck_assert_int_eq(raft_read_index(one.raft, 2 * i + 1), 0);
		core_answer_beat(&one, 2);
		core_settle(&one);
		ck_assert(core_was_read(&one, 2 * i, 1));
		ck_assert(!core_was_read(&one, 2 * i + 1, 1));
		core_answer_beat(&one, 2);
		core_settle(&one);
		ck_assert(core_was_read(&one, 2 * i + 1, 1));
	}
}
END_TEST

START_TEST(a_commit_does_not_change_reads_that_wait)
{
	lead();
	ck_assert_int_eq(raft_read_index(one.raft, 7), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	ck_assert_uint_eq(status()->commit, 2);
	core_answer_beat(&one, 2);
	core_settle(&one);
	ck_assert(core_was_read(&one, 7, 1));
}
END_TEST

START_TEST(a_clock_answers_no_more_reads_than_there_is_room_for)
{
	one.options.reads_max = 2;
	one.options.check_quorum = true;
	one.options.read_mode = RAFT_READ_LEASE;
	lead();
	ck_assert_int_eq(raft_read_index(one.raft, 1), 0);
	ck_assert_int_eq(raft_read_index(one.raft, 2), 0);
	ck_assert_int_eq(raft_read_index(one.raft, 3), RAFT_EFULL);
	core_settle(&one);
	ck_assert_uint_eq(one.read_count, 2);
	ck_assert_int_eq(raft_read_index(one.raft, 3), 0);
}
END_TEST

START_TEST(only_a_follower_forgets_its_leader)
{
	lead();
	raft_forget_leader(one.raft);
	ck_assert_uint_eq(status()->leader, 1);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	/* Nor one that reads by the clock. */
	one.options.check_quorum = true;
	one.options.read_mode = RAFT_READ_LEASE;
	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 5, 0), 0);
	raft_forget_leader(one.raft);
	ck_assert_uint_eq(status()->leader, 2);
}
END_TEST

static void wish(uint64_t from, uint64_t to)
{
	core_give(&one, (struct raft_message){.type = RAFT_MSG_TRANSFER,
					      .from = from,
					      .term = status()->term,
					      .round = to});
}

START_TEST(a_wish_for_a_transfer_is_lost_where_no_one_leads)
{
	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	core_settle(&one);
	raft_forget_leader(one.raft);
	wish(3, 1);
	core_settle(&one);
	ck_assert_uint_eq(one.mail_count, 0);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	wish(3, 1);
	core_settle(&one);
	ck_assert_uint_eq(one.mail_count, 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(a_transfer_waits_for_all_and_for_its_own_member)
{
	lead();
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(raft_transfer(one.raft, 3), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 4); /* another */
	core_acknowledge(&one, 3, 2); /* not all */
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_TIMEOUT_NOW, 0), 0);
	ck_assert_uint_eq(status()->transferee, 3);
	core_acknowledge(&one, 3, 4);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_TIMEOUT_NOW, 3), 1);
}
END_TEST

START_TEST(told_to_campaign_who_campaigns_already_goes_on)
{
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
					      .from = 2,
					      .term = status()->term});
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_uint_eq(status()->term, 1);
	ck_assert_uint_eq(one.mail_count, 0);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all,
		       an_image_that_ends_before_the_log_begins_is_not_sent);
	tcase_add_test(all, what_falls_short_of_the_image_does_not_end_its_way);
	tcase_add_test(
		all,
		an_image_that_was_handed_over_is_followed_when_it_is_answered);
	tcase_add_test(all, a_report_of_no_image_under_way_changes_nothing);
	tcase_add_test(all,
		       who_has_nothing_at_all_gets_an_image_once_there_is_one);
	tcase_add_test(all, reads_go_around_their_ring);
	tcase_add_test(all, a_commit_does_not_change_reads_that_wait);
	tcase_add_test(all,
		       a_clock_answers_no_more_reads_than_there_is_room_for);
	tcase_add_test(all, only_a_follower_forgets_its_leader);
	tcase_add_test(all, a_wish_for_a_transfer_is_lost_where_no_one_leads);
	tcase_add_test(all, a_transfer_waits_for_all_and_for_its_own_member);
	tcase_add_test(all, told_to_campaign_who_campaigns_already_goes_on);
}

int main(void)
{
	Suite *suite = suite_create("raft, what comes seldom to a leader");
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
