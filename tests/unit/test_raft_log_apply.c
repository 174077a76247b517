/*
 * What of the window goes to the state machine: only what is committed and
 * durable here, in order, and no more bytes at once than may be unapplied.
 */
#include "raft/entry.h"
#include "raft/log.h"

#include <check.h>
#include <stdlib.h>

enum sizes {
	SLOTS = 16,
	PAYLOAD = 100,
	ONE = ENTRY_HEADER_SIZE + 104, /* an entry of that payload */
	LAST = 6,
};

static struct raft_entry ring[SLOTS];
static struct raft_log log_;

/* Entries 1..6 of PAYLOAD bytes, all durable. */
static void make(uint64_t commit, uint64_t applied, uint64_t size_max)
{
	raft_log_init(&log_, ring, SLOTS, SLOTS);
	for (uint64_t i = 1; i <= LAST; i++) {
		const struct raft_entry entry = {.index = i,
						 .term = 1,
						 .kind = ENTRY_NORMAL,
						 .size = PAYLOAD};

		raft_log_push(&log_, &entry);
	}
	log_.handed = LAST;
	log_.stable = LAST;
	log_.apply_size_max = size_max;
	raft_log_commit_to(&log_, commit);
	log_.applied = applied;
	log_.applying = applied;
}

START_TEST(entries_are_as_large_as_these_tests_say)
{
	ck_assert_uint_eq(entry_size(PAYLOAD), ONE);
}
END_TEST

START_TEST(only_what_is_committed_and_durable_is_applied)
{
	static const struct {
		uint64_t stable, commit, applying;
		bool unstable, paused, incoming;
		uint64_t last; /* 0: nothing */
	} rows[] = {
		{6, 5, 0, false, false, false, 5},
		{6, 5, 3, false, false, false, 5},
		{6, 5, 4, false, false, false, 5},
		{6, 5, 5, false, false, false, 0}, /* all was handed out */
		{6, 0, 0, false, false, false, 0}, /* nothing is committed */
		/* What the disk has not taken may be another's tomorrow. */
		{4, 5, 0, false, false, false, 4},
		{4, 5, 3, false, false, false, 4},
		{4, 5, 4, false, false, false, 0},
		{3, 5, 3, false, false, false, 0},
		/* Whoever writes before it applies need not wait. */
		{3, 5, 3, true, false, false, 5},
		{4, 5, 5, true, false, false, 0},
		/* Enough is under way, or an image is about to replace it. */
		{6, 5, 0, false, true, false, 0},
		{6, 5, 0, false, false, true, 0},
		{6, 5, 3, true, true, false, 0},
		{6, 5, 3, true, false, true, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(rows[i].commit, 0, 0);
		log_.stable = rows[i].stable;
		log_.applying = rows[i].applying;
		log_.apply_unstable = rows[i].unstable;
		log_.apply_paused = rows[i].paused;
		log_.incoming_set = rows[i].incoming;
		ck_assert_msg(raft_log_has_apply(&log_) == (rows[i].last != 0),
			      "row %zu", i);
		if (rows[i].last != 0)
			ck_assert_msg(raft_log_apply_last(&log_) ==
					      rows[i].last,
				      "row %zu", i);
	}
}
END_TEST

START_TEST(without_a_limit_all_is_handed_out)
{
	make(6, 0, 0);
	ck_assert_uint_eq(raft_log_apply_last(&log_), 6);
	raft_log_hand_apply(&log_, 6);
	ck_assert(!log_.apply_paused);
	ck_assert_uint_eq(log_.apply_size, 6 * ONE);
	ck_assert_uint_eq(raft_log_applied_to(&log_, 6), 6 * PAYLOAD);
	ck_assert_uint_eq(log_.apply_size, 0);
	ck_assert_uint_eq(log_.applied, 6);
	ck_assert(!raft_log_has_apply(&log_));
}
END_TEST

START_TEST(at_least_one_entry_is_handed_out_and_as_many_as_fit)
{
	static const struct {
		uint64_t size_max, last;
	} rows[] = {
		{1, 1},		  {ONE - 1, 1}, {ONE, 1},
		{2 * ONE - 1, 1}, {2 * ONE, 2}, {3 * ONE, 3},
		{4 * ONE - 1, 3}, {5 * ONE, 5}, {100 * ONE, 5},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(5, 0, rows[i].size_max);
		ck_assert_msg(raft_log_apply_last(&log_) == rows[i].last,
			      "row %zu", i);
	}
}
END_TEST

START_TEST(what_is_unapplied_counts_in_the_next_part)
{
	make(6, 0, 3 * ONE);
	raft_log_hand_apply(&log_, 1);
	/* The first is still being applied: two more make three. */
	log_.apply_paused = false;
	ck_assert_uint_eq(raft_log_apply_last(&log_), 3);
	log_.apply_size = 3 * ONE;
	ck_assert_uint_eq(raft_log_apply_last(&log_), 2);
}
END_TEST

START_TEST(pauses_when_the_limit_is_reached_or_more_waits)
{
	static const struct {
		uint64_t size_max, last;
		bool paused;
	} rows[] = {
		{0, 3, false}, /* no limit, no pause */
		{0, 5, false},
		{100 * ONE, 5, false},
		{5 * ONE + 1, 5, false},
		{5 * ONE, 5, true},
		{5 * ONE - 1, 5, true},
		{3 * ONE, 3, true},
		/* Less than all was taken: the rest would not have fitted. */
		{100 * ONE, 4, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(5, 0, rows[i].size_max);
		raft_log_hand_apply(&log_, rows[i].last);
		ck_assert_uint_eq(log_.applying, rows[i].last);
		ck_assert_uint_eq(log_.apply_size, rows[i].last * ONE);
		ck_assert_msg(log_.apply_paused == rows[i].paused, "row %zu",
			      i);
	}
}
END_TEST

START_TEST(goes_on_when_what_is_unapplied_falls_below_the_limit)
{
	static const struct {
		uint64_t size_max, handed, applied;
		bool paused;
	} rows[] = {
		{0, 5, 0, false},	  {0, 5, 5, false},
		{5 * ONE, 5, 0, true},	  {5 * ONE, 5, 1, false},
		{5 * ONE, 5, 5, false},	  {2 * ONE, 5, 2, true},
		{2 * ONE, 5, 3, true},	  {2 * ONE, 5, 4, false},
		{ONE, 5, 4, true},	  {ONE, 5, 5, false},
		{3 * ONE, 3, 0, true},	  {3 * ONE, 3, 1, false},
		{100 * ONE, 4, 0, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(5, 0, rows[i].size_max);
		raft_log_hand_apply(&log_, rows[i].handed);
		ck_assert_uint_eq(raft_log_applied_to(&log_, rows[i].applied),
				  rows[i].applied * PAYLOAD);
		ck_assert_uint_eq(log_.applied, rows[i].applied);
		ck_assert_uint_eq(log_.apply_size,
				  (rows[i].handed - rows[i].applied) * ONE);
		ck_assert_msg(log_.apply_paused == rows[i].paused, "row %zu",
			      i);
	}
}
END_TEST

START_TEST(what_an_image_replaced_is_counted_for_nothing)
{
	make(5, 0, 2 * ONE);
	raft_log_hand_apply(&log_, 5);
	raft_log_start(&log_, 20, 2);
	log_.apply_size = 0;
	/* The state machine still finishes what it was given before. */
	ck_assert_uint_eq(raft_log_applied_to(&log_, 3), 0);
	ck_assert_uint_eq(log_.apply_size, 0);
	ck_assert_uint_eq(log_.applied, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, what is applied");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, entries_are_as_large_as_these_tests_say);
	tcase_add_test(all, only_what_is_committed_and_durable_is_applied);
	tcase_add_test(all, without_a_limit_all_is_handed_out);
	tcase_add_test(all,
		       at_least_one_entry_is_handed_out_and_as_many_as_fit);
	tcase_add_test(all, what_is_unapplied_counts_in_the_next_part);
	tcase_add_test(all, pauses_when_the_limit_is_reached_or_more_waits);
	tcase_add_test(all,
		       goes_on_when_what_is_unapplied_falls_below_the_limit);
	tcase_add_test(all, what_an_image_replaced_is_counted_for_nothing);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
