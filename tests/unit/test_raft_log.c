/*
 * The window of entries by itself: which terms it knows, where two logs can
 * agree, and how its marks move when entries come, are cut, become durable
 * or are compacted.
 */
#include "raft/entry.h"
#include "raft/log.h"

#include <check.h>
#include <stdlib.h>

enum sizes {
	SLOTS = 16,
};

static struct raft_entry ring[SLOTS];
static struct raft_log log_;

static void push(uint64_t term)
{
	const struct raft_entry entry = {
		.index = log_.last + 1, .term = term, .kind = ENTRY_NORMAL};

	raft_log_push(&log_, &entry);
}

/* A log behind (base, base_term) with entries of these terms, 0 ends them. */
static void make(uint64_t base, uint64_t base_term, const uint64_t *terms)
{
	raft_log_init(&log_, ring, SLOTS, SLOTS);
	raft_log_start(&log_, base, base_term);
	for (; *terms != 0; terms++)
		push(*terms);
}

static void expect_term(uint64_t index, uint64_t term)
{
	uint64_t found = 99;

	ck_assert(raft_log_term(&log_, index, &found));
	ck_assert_uint_eq(found, term);
	ck_assert(raft_log_matches(&log_, index, term));
	ck_assert(!raft_log_matches(&log_, index, term + 1));
}

static void expect_unknown(uint64_t index)
{
	uint64_t found = 99;

	ck_assert(!raft_log_term(&log_, index, &found));
	ck_assert_uint_eq(found, 99);
	ck_assert(!raft_log_matches(&log_, index, 0));
}

static void expect_marks(uint64_t stable, uint64_t handed, uint64_t last)
{
	ck_assert_uint_eq(log_.stable, stable);
	ck_assert_uint_eq(log_.handed, handed);
	ck_assert_uint_eq(log_.last, last);
}

START_TEST(knows_the_terms_of_its_entries_and_of_the_one_before)
{
	make(100, 1, (const uint64_t[]){2, 3, 3, 7, 0});
	expect_unknown(0);
	expect_unknown(99);
	expect_term(100, 1);
	expect_term(101, 2);
	expect_term(103, 3);
	expect_term(104, 7);
	expect_unknown(105);
	expect_unknown(UINT64_MAX);
}
END_TEST

START_TEST(an_empty_log_ends_where_it_begins)
{
	raft_log_init(&log_, ring, SLOTS, SLOTS);
	ck_assert_uint_eq(log_.first, 1);
	ck_assert_uint_eq(log_.last, 0);
	ck_assert_uint_eq(raft_log_last_term(&log_), 0);
	expect_term(0, 0);
	expect_unknown(1);
	make(5, 3, (const uint64_t[]){0});
	ck_assert_uint_eq(log_.first, 6);
	ck_assert_uint_eq(log_.last, 5);
	ck_assert_uint_eq(raft_log_last_term(&log_), 3);
	push(4);
	ck_assert_uint_eq(log_.first, 6);
	ck_assert_uint_eq(log_.last, 6);
	ck_assert_uint_eq(raft_log_last_term(&log_), 4);
	ck_assert_uint_eq(raft_log_room(&log_), SLOTS - 1);
}
END_TEST

START_TEST(the_newer_log_is_of_the_later_term_then_the_longer)
{
	static const struct {
		uint64_t index, term;
		bool newer;
	} rows[] = {
		{2, 4, true}, /* a later term, whatever the length */
		{3, 4, true},
		{4, 4, true},
		{2, 2, false}, /* an older one, whatever the length */
		{3, 2, false},
		{4, 2, false},
		{UINT64_MAX, 2, false},
		{2, 3, false}, /* of one term the length decides */
		{3, 3, true},
		{4, 3, true},
	};

	make(0, 0, (const uint64_t[]){1, 2, 3, 0});
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_msg(raft_log_is_up_to_date(&log_, rows[i].index,
						     rows[i].term) ==
				      rows[i].newer,
			      "row %zu", i);
}
END_TEST

struct conflict {
	uint64_t index, term; /* asked */
	uint64_t agree, agree_term; /* the last that may agree */
};

static void expect_conflicts(const struct conflict *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t term = 99;
		uint64_t index = raft_log_conflict(&log_, rows[i].index,
						   rows[i].term, &term);

		ck_assert_msg(
			index == rows[i].agree && term == rows[i].agree_term,
			"row %zu: %llu of term %llu", i,
			(unsigned long long)index, (unsigned long long)term);
	}
}

START_TEST(a_conflict_skips_all_entries_of_later_terms)
{
	static const struct conflict rows[] = {
		{100, 2, 100, 0}, /* beyond the end nothing is known */
		{6, 9, 6, 0},	  {5, 9, 5, 5}, {5, 5, 5, 5}, {5, 4, 2, 2},
		{5, 2, 2, 2},	  {5, 1, 0, 0}, {3, 5, 3, 5}, {2, 2, 2, 2},
		{1, 2, 1, 2},	  {1, 1, 0, 0}, {0, 0, 0, 0}, {0, 7, 0, 0},
	};

	make(0, 0, (const uint64_t[]){2, 2, 5, 5, 5, 0});
	expect_conflicts(rows, sizeof(rows) / sizeof(rows[0]));
}
END_TEST

START_TEST(a_conflict_below_a_compacted_log_has_no_term)
{
	static const struct conflict rows[] = {
		{30, 3, 30, 0}, {15, 9, 15, 4}, {15, 4, 15, 4}, {15, 3, 12, 3},
		{12, 3, 12, 3}, {10, 3, 10, 3}, {15, 2, 9, 0},	{10, 2, 9, 0},
		{9, 3, 9, 0},	{4, 3, 4, 0},
	};

	make(10, 3, (const uint64_t[]){3, 3, 4, 4, 4, 0});
	expect_conflicts(rows, sizeof(rows) / sizeof(rows[0]));
}
END_TEST

START_TEST(cutting_takes_back_what_was_durable_or_handed_out)
{
	make(5, 1, (const uint64_t[]){1, 1, 1, 1, 0});
	log_.stable = 7;
	log_.handed = 8;
	expect_marks(7, 8, 9);
	raft_log_cut(&log_, 10); /* nothing is there */
	expect_marks(7, 8, 9);
	raft_log_cut(&log_, 9); /* not handed out */
	expect_marks(7, 8, 8);
	push(2);
	expect_marks(7, 8, 9);
	raft_log_cut(&log_, 8); /* handed out */
	expect_marks(7, 7, 7);
	push(3);
	push(3);
	log_.handed = 9;
	raft_log_cut(&log_, 6); /* durable */
	expect_marks(5, 5, 5);
	ck_assert_uint_eq(raft_log_last_term(&log_), 1);
	push(4);
	expect_marks(5, 5, 6);
	expect_term(6, 4);
	expect_unknown(7);
}
END_TEST

START_TEST(becomes_stable_only_up_to_what_still_stands_there)
{
	static const struct {
		uint64_t index, term, stable;
	} rows[] = {
		{6, 2, 6},	    {7, 3, 7}, {8, 3, 8},
		{7, 2, 5}, /* of another term: overwritten since */
		{8, 2, 5},	    {9, 3, 5}, /* beyond the end */
		{UINT64_MAX, 3, 5}, {5, 1, 5}, /* is already */
		{4, 1, 5},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(5, 1, (const uint64_t[]){2, 3, 3, 0});
		log_.handed = log_.last;
		raft_log_stable_to(&log_, rows[i].index, rows[i].term);
		ck_assert_msg(log_.stable == rows[i].stable, "row %zu: %llu", i,
			      (unsigned long long)log_.stable);
		ck_assert_uint_eq(log_.handed, 8);
	}
}
END_TEST

START_TEST(what_was_cut_and_put_there_again_is_not_stable)
{
	make(0, 0, (const uint64_t[]){1, 1, 1, 0});
	log_.handed = 3;
	raft_log_cut(&log_, 2);
	push(1);
	push(1);
	raft_log_stable_to(&log_, 3, 1);
	expect_marks(0, 1, 3);
	raft_log_stable_to(&log_, 1, 1);
	expect_marks(1, 1, 3);
}
END_TEST

START_TEST(stable_never_moves_back)
{
	make(0, 0, (const uint64_t[]){1, 1, 1, 0});
	log_.handed = 3;
	raft_log_stable_to(&log_, 3, 1);
	raft_log_stable_to(&log_, 1, 1);
	ck_assert_uint_eq(log_.stable, 3);
}
END_TEST

START_TEST(commit_never_moves_back)
{
	make(0, 0, (const uint64_t[]){1, 2, 3, 0});
	raft_log_commit_to(&log_, 2);
	ck_assert_uint_eq(log_.commit, 2);
	raft_log_commit_to(&log_, 1);
	ck_assert_uint_eq(log_.commit, 2);
	raft_log_commit_to(&log_, 3);
	ck_assert_uint_eq(log_.commit, 3);
}
END_TEST

/* Everything committed and applied, so that it may be compacted. */
static void apply_all(void)
{
	log_.handed = log_.last;
	log_.stable = log_.last;
	raft_log_commit_to(&log_, log_.last);
	raft_log_hand_apply(&log_, log_.last);
	(void)raft_log_applied_to(&log_, log_.last); /* its payload is 0 */
}

START_TEST(compaction_keeps_one_term_and_all_behind_it)
{
	make(0, 0, (const uint64_t[]){1, 2, 3, 4, 5, 6, 7, 8, 0});
	apply_all();
	raft_log_compact(&log_, 3);
	ck_assert_uint_eq(log_.first, 4);
	ck_assert_uint_eq(log_.last, 8);
	expect_unknown(2);
	for (uint64_t i = 3; i <= 8; i++)
		expect_term(i, i);
	raft_log_compact(&log_, 2); /* was compacted before */
	ck_assert_uint_eq(log_.first, 4);
	expect_term(3, 3);
	expect_marks(8, 8, 8);
	push(9);
	expect_marks(8, 8, 9);
	expect_term(9, 9);
	raft_log_compact(&log_, 8);
	ck_assert_uint_eq(log_.first, 9);
	expect_unknown(7);
	expect_term(8, 8);
	expect_term(9, 9);
}
END_TEST

START_TEST(a_log_compacted_whole_still_knows_its_end)
{
	make(0, 0, (const uint64_t[]){1, 1, 4, 0});
	apply_all();
	raft_log_compact(&log_, 3);
	ck_assert_uint_eq(log_.first, 4);
	ck_assert_uint_eq(log_.last, 3);
	ck_assert_uint_eq(raft_log_last_term(&log_), 4);
	ck_assert_uint_eq(raft_log_room(&log_), SLOTS);
	ck_assert(raft_log_is_up_to_date(&log_, 3, 4));
	ck_assert(!raft_log_is_up_to_date(&log_, 2, 4));
}
END_TEST

START_TEST(compaction_makes_room_for_as_many)
{
	make(0, 0, (const uint64_t[]){0});
	while (raft_log_room(&log_) > 0)
		push(1);
	ck_assert_uint_eq(log_.last, SLOTS);
	apply_all();
	raft_log_compact(&log_, 5);
	ck_assert_uint_eq(raft_log_room(&log_), 5);
	for (unsigned int i = 0; i < 5; i++)
		push(2);
	ck_assert_uint_eq(raft_log_room(&log_), 0);
	/* The ring went around: nothing that is left was overwritten. */
	for (uint64_t i = 6; i <= SLOTS; i++)
		expect_term(i, 1);
	for (uint64_t i = SLOTS + 1; i <= SLOTS + 5; i++)
		expect_term(i, 2);
}
END_TEST

START_TEST(a_log_may_be_smaller_than_its_ring)
{
	raft_log_init(&log_, ring, SLOTS, SLOTS - 3);
	for (unsigned int i = 0; i < SLOTS - 3; i++)
		push(1);
	ck_assert_uint_eq(raft_log_room(&log_), 0);
}
END_TEST

START_TEST(starting_after_an_image_replaces_everything)
{
	make(0, 0, (const uint64_t[]){1, 1, 2, 0});
	log_.handed = 2;
	log_.stable = 1;
	raft_log_commit_to(&log_, 1);
	raft_log_start(&log_, 1000, 7);
	ck_assert_uint_eq(log_.first, 1001);
	ck_assert_uint_eq(log_.commit, 1000);
	expect_marks(1000, 1000, 1000);
	expect_term(1000, 7);
	expect_unknown(999);
	expect_unknown(3);
	expect_unknown(1001);
	push(8);
	expect_term(1001, 8);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all,
		       knows_the_terms_of_its_entries_and_of_the_one_before);
	tcase_add_test(all, an_empty_log_ends_where_it_begins);
	tcase_add_test(all, the_newer_log_is_of_the_later_term_then_the_longer);
	tcase_add_test(all, a_conflict_skips_all_entries_of_later_terms);
	tcase_add_test(all, a_conflict_below_a_compacted_log_has_no_term);
	tcase_add_test(all, cutting_takes_back_what_was_durable_or_handed_out);
	tcase_add_test(all, becomes_stable_only_up_to_what_still_stands_there);
	tcase_add_test(all, what_was_cut_and_put_there_again_is_not_stable);
	tcase_add_test(all, stable_never_moves_back);
	tcase_add_test(all, commit_never_moves_back);
	tcase_add_test(all, compaction_keeps_one_term_and_all_behind_it);
	tcase_add_test(all, a_log_compacted_whole_still_knows_its_end);
	tcase_add_test(all, compaction_makes_room_for_as_many);
	tcase_add_test(all, a_log_may_be_smaller_than_its_ring);
	tcase_add_test(all, starting_after_an_image_replaces_everything);
}

int main(void)
{
	Suite *suite = suite_create("raft, the window of entries");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	add_tests(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
