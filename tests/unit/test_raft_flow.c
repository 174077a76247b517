/*
 * How much is under way: to one member (messages, bytes), out of this one
 * (the outbox), and in the uncommitted tail.
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

static void propose(unsigned int count, uint32_t size)
{
	for (unsigned int i = 0; i < count; i++)
		ck_assert_int_eq(core_propose(&lead, size), 0);
}

static void acknowledge(uint64_t index)
{
	core_acknowledge(&lead, 2, index);
	core_settle(&lead);
}

/* Three appends of two entries, or of one large one, or of 9000 bytes. */
static void lead_with_window(void)
{
	lead.options.append_size_max = 2 * entry_size(1000);
	lead.options.inflight_max = 3;
	lead.options.inflight_size_max = 9000;
	core_start(&lead);
	core_lead(&lead);
}

START_TEST(the_window_fills_and_empties_by_messages)
{
	lead_with_window();
	propose(10, 1000);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "");
	acknowledge(1);
	ck_assert_str_eq(core_appends(&lead, 2), "2-3 4-5 6-7");
	ck_assert_uint_eq(core_progress(&lead, 2)->inflights.size, 6000);
	acknowledge(3);
	ck_assert_str_eq(core_appends(&lead, 2), "8-9");
	/* One answer may speak for several appends. */
	acknowledge(7);
	ck_assert_str_eq(core_appends(&lead, 2), "10-11");
	ck_assert_uint_eq(core_progress(&lead, 2)->inflights.count, 2);
	acknowledge(11);
	ck_assert_str_eq(core_appends(&lead, 2), "11+");
	ck_assert_uint_eq(core_progress(&lead, 2)->inflights.count, 0);
	ck_assert_uint_eq(core_progress(&lead, 2)->inflights.size, 0);
	ck_assert_uint_eq(core_status(&lead)->commit, 11);
}
END_TEST

START_TEST(the_window_fills_and_empties_by_bytes)
{
	lead_with_window();
	acknowledge(1);
	propose(3, 5000);
	core_settle(&lead);
	/* The second one is what goes beyond. */
	ck_assert_str_eq(core_appends(&lead, 2), "2-2 3-3");
	propose(1, 100);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "");
	acknowledge(2);
	ck_assert_str_eq(core_appends(&lead, 2), "4-4");
	propose(2, 1000);
	acknowledge(3);
	/* 5000 bytes are under way: the small ones share a message. */
	ck_assert_str_eq(core_appends(&lead, 2), "5-6 7-7");
	ck_assert_uint_eq(core_progress(&lead, 2)->inflights.count, 3);
	ck_assert_uint_eq(core_progress(&lead, 2)->inflights.size, 7100);
	acknowledge(7);
	ck_assert_str_eq(core_appends(&lead, 2), "7+");
	ck_assert_uint_eq(core_status(&lead)->commit, 7);
}
END_TEST

START_TEST(a_full_window_opens_for_the_oldest_answer_only)
{
	lead_with_window();
	acknowledge(1);
	propose(6, 1000);
	core_settle(&lead);
	/* Proposals come one by one, and so they go, until it is full. */
	ck_assert_str_eq(core_appends(&lead, 2), "2-2 3-3 4-4");
	acknowledge(1);
	ck_assert_str_eq(core_appends(&lead, 2), "");
	acknowledge(2);
	ck_assert_str_eq(core_appends(&lead, 2), "5-6");
	acknowledge(2);
	ck_assert_str_eq(core_appends(&lead, 2), "");
	acknowledge(4);
	ck_assert_str_eq(core_appends(&lead, 2), "7-7");
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 8);
}
END_TEST

START_TEST(an_append_that_found_no_room_goes_after_those_before_it)
{
	lead.options.inflight_max = 200;
	core_start(&lead);
	core_lead(&lead);
	acknowledge(core_status(&lead)->last_index);
	propose(150, 8);
	ck_assert(core_take(&lead));
	ck_assert_uint_eq(core_sent(&lead, RAFT_MSG_APPEND, 2),
			  lead.options.messages_max);
	core_settle(&lead);
	ck_assert_str_eq(core_appends(&lead, 2), "130-151");
	ck_assert_uint_eq(core_progress(&lead, 2)->next, 152);
}
END_TEST

/* Member 2 cannot begin with entries: it refuses what comes after nothing. */
START_TEST(an_image_that_found_no_room_goes_after_the_next_answer)
{
	const struct raft_message refusal = {.type = RAFT_MSG_APPEND_REPLY,
					     .from = 2,
					     .term = 1,
					     .reject = true};

	core_init(&lead, 1, 3);
	lead.options.inflight_max = 200;
	core_start(&lead);
	core_lead(&lead);
	core_acknowledge(&lead, 3, 1);
	core_settle(&lead);
	core_compact(&lead);
	propose(150, 8);
	core_give(&lead, refusal);
	/* Nothing is under way to it that could be reported. */
	ck_assert_uint_eq(core_progress(&lead, 2)->state, RAFT_PROBE);
	core_settle(&lead);
	ck_assert_uint_eq(core_sent(&lead, RAFT_MSG_SNAPSHOT, 2), 0);
	raft_tick(lead.raft);
	core_settle(&lead);
	core_answer_beat(&lead, 2);
	core_settle(&lead);
	ck_assert_uint_eq(
		core_message(&lead, RAFT_MSG_SNAPSHOT, 2)->snapshot->index, 1);
	ck_assert_uint_eq(core_progress(&lead, 2)->state, RAFT_SNAPSHOT);
}
END_TEST

START_TEST(the_uncommitted_tail_is_counted_until_it_is_applied)
{
	lead.options.uncommitted_size_max = 1024;
	core_start(&lead);
	core_lead(&lead);
	acknowledge(1);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 0);
	propose(16, 64);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 1024);
	ck_assert_int_eq(core_propose(&lead, 64), RAFT_EDROPPED_LOG_FULL);
	propose(1, 0);
	core_settle(&lead);
	ck_assert_uint_eq(core_status(&lead)->last_index, 18);
	/* Committed is not enough: it is applied that lowers it. */
	core_acknowledge(&lead, 2, 18);
	ck_assert_uint_eq(core_status(&lead)->commit, 18);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 1024);
	ck_assert_int_eq(core_propose(&lead, 64), RAFT_EDROPPED_LOG_FULL);
	core_settle(&lead);
	ck_assert_uint_eq(core_status(&lead)->applied, 18);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 0);
	/* The first on an empty tail passes, whatever its size. */
	propose(1, 2048);
	ck_assert_int_eq(core_propose(&lead, 1), RAFT_EDROPPED_LOG_FULL);
	propose(1, 0);
	core_settle(&lead);
	acknowledge(20);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 0);
}
END_TEST

START_TEST(an_older_tail_makes_the_count_too_small_never_too_large)
{
	lead.options.uncommitted_size_max = 1024;
	core_start(&lead);
	core_lead(&lead);
	propose(1, 1000);
	core_settle(&lead);
	core_give(&lead, (struct raft_message){
				 .type = RAFT_MSG_HEARTBEAT,
				 .from = 2,
				 .term = 2,
			 });
	core_settle(&lead);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 0);
	core_lead(&lead);
	ck_assert_str_eq(core_terms(&lead), "1 1 3");
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 0);
	propose(1, 1000);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 1000);
	/*
	 * The tail of before was not counted in this term, but it is taken
	 * off when it is applied.
	 */
	acknowledge(3);
	ck_assert_uint_eq(core_status(&lead)->applied, 3);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 0);
	acknowledge(4);
	ck_assert_uint_eq(core_status(&lead)->applied, 4);
	ck_assert_uint_eq(core_status(&lead)->uncommitted_size, 0);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, the_window_fills_and_empties_by_messages);
	tcase_add_test(all, the_window_fills_and_empties_by_bytes);
	tcase_add_test(all, a_full_window_opens_for_the_oldest_answer_only);
	tcase_add_test(all,
		       an_append_that_found_no_room_goes_after_those_before_it);
	tcase_add_test(all,
		       an_image_that_found_no_room_goes_after_the_next_answer);
	tcase_add_test(all,
		       the_uncommitted_tail_is_counted_until_it_is_applied);
	tcase_add_test(all,
		       an_older_tail_makes_the_count_too_small_never_too_large);
}

int main(void)
{
	Suite *suite = suite_create("raft, flow");
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
