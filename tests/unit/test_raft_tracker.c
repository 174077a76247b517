/*
 * What a leader keeps of one member, by itself: the ring of appends under
 * way, and how match, next and the three states move.
 */
#include "raft/progress.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum sizes {
	FLIGHTS = 10,
};

static struct raft_inflight ring[FLIGHTS];
static struct raft_progress one;
static struct raft_inflights *flights = &one.inflights;

static void set_up(void)
{
	memset(ring, 0, sizeof(ring));
	one = (struct raft_progress){.id = 2, .next = 1};
	flights->ring = ring;
	flights->capacity = FLIGHTS;
}

/* Appends that end in first .. last, each of 100 bytes and its index. */
static void fly(uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++)
		raft_inflights_add(flights, i, 100 + i);
}

/* From the oldest on: first .. last, and nothing else. */
static void expect_flights(uint64_t first, uint64_t last)
{
	uint64_t size = 0;

	ck_assert_uint_eq(flights->count, last + 1 - first);
	for (uint64_t i = first; i <= last; i++) {
		uint32_t at = (flights->start + (uint32_t)(i - first)) %
			      flights->capacity;

		ck_assert_uint_eq(ring[at].index, i);
		ck_assert_uint_eq(ring[at].size, 100 + i);
		size += 100 + i;
	}
	ck_assert_uint_eq(flights->size, size);
}

START_TEST(flights_are_kept_in_order)
{
	fly(0, 4);
	expect_flights(0, 4);
	fly(5, 9);
	expect_flights(0, 9);
}
END_TEST

START_TEST(flights_wrap_around_the_ring)
{
	fly(0, 4);
	raft_inflights_free_to(flights, 3);
	fly(5, 13);
	ck_assert_uint_eq(flights->start, 4);
	ck_assert(raft_inflights_full(flights));
	expect_flights(4, 13);
	/* The wrap itself is passed, and again. */
	raft_inflights_free_to(flights, 11);
	ck_assert_uint_eq(flights->start, 2);
	expect_flights(12, 13);
	fly(14, 21);
	expect_flights(12, 21);
}
END_TEST

START_TEST(an_answer_frees_its_flight_and_all_before_it)
{
	fly(10, 18);
	raft_inflights_free_to(flights, 14);
	expect_flights(15, 18);
	/* One that is late, or was answered already, frees nothing. */
	raft_inflights_free_to(flights, 14);
	raft_inflights_free_to(flights, 0);
	expect_flights(15, 18);
	/* Between two it frees what is before it. */
	one.inflights.ring[(flights->start + 1) % FLIGHTS].index = 17;
	one.inflights.ring[(flights->start + 2) % FLIGHTS].index = 17;
	raft_inflights_free_to(flights, 16);
	ck_assert_uint_eq(flights->count, 3);
	raft_inflights_free_to(flights, UINT64_MAX);
	ck_assert_uint_eq(flights->count, 0);
	ck_assert_uint_eq(flights->size, 0);
	ck_assert_uint_eq(flights->start, 0);
}
END_TEST

START_TEST(a_window_is_full_by_count_or_by_bytes)
{
	static const struct {
		uint32_t capacity;
		uint64_t size_max;
		unsigned int fits; /* flights of 100 bytes */
	} rows[] = {
		{10, 0, 10},   {10, 5000, 10}, {10, 1, 1},
		{10, 100, 1},  {10, 101, 2},   {10, 250, 3},
		{10, 999, 10}, {1, 0, 1},      {3, 1000, 3},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned int count = 0;

		raft_inflights_reset(flights);
		flights->capacity = rows[i].capacity;
		flights->size_max = rows[i].size_max;
		for (; !raft_inflights_full(flights); count++)
			raft_inflights_add(flights, count + 1, 100);
		ck_assert_msg(count == rows[i].fits, "row %zu: %u", i, count);
		/* One answer opens it. */
		raft_inflights_free_to(flights, count);
		ck_assert(!raft_inflights_full(flights));
	}
}
END_TEST

START_TEST(a_window_that_is_reset_is_empty)
{
	fly(0, 7);
	raft_inflights_free_to(flights, 2);
	raft_inflights_reset(flights);
	ck_assert_uint_eq(flights->count, 0);
	ck_assert_uint_eq(flights->size, 0);
	ck_assert_uint_eq(flights->start, 0);
	fly(20, 29);
	expect_flights(20, 29);
}
END_TEST

START_TEST(nothing_is_sent_to_a_probe_that_waits_or_for_an_image)
{
	static const struct {
		uint8_t state;
		bool waits, paused;
	} rows[] = {
		{RAFT_PROBE, false, false},	{RAFT_PROBE, true, true},
		{RAFT_REPLICATE, false, false}, {RAFT_REPLICATE, true, true},
		{RAFT_SNAPSHOT, false, true},	{RAFT_SNAPSHOT, true, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		one.state = rows[i].state;
		one.paused = rows[i].waits;
		ck_assert(raft_progress_paused(&one) == rows[i].paused);
	}
}
END_TEST

START_TEST(what_is_sent_moves_next_only_ahead_of_answers)
{
	raft_progress_reset(&one, 0, 5);
	raft_progress_sent(&one, 0, 0); /* an empty probe holds nothing up */
	ck_assert(!one.paused);
	raft_progress_sent(&one, 3, 300);
	ck_assert(one.paused);
	ck_assert_uint_eq(one.next, 5);
	ck_assert_uint_eq(flights->count, 0);
	raft_progress_replicate(&one);
	flights->capacity = 2;
	raft_progress_sent(&one, 0, 0);
	ck_assert_uint_eq(one.next, 1);
	raft_progress_sent(&one, 3, 300);
	ck_assert_uint_eq(one.next, 4);
	ck_assert(!one.paused);
	raft_progress_sent(&one, 2, 200);
	ck_assert_uint_eq(one.next, 6);
	ck_assert(one.paused);
	ck_assert_uint_eq(flights->size, 500);
	ck_assert_uint_eq(ring[0].index, 3);
	ck_assert_uint_eq(ring[1].index, 5);
}
END_TEST

START_TEST(news_moves_match_and_next_and_resumes)
{
	static const struct {
		uint64_t acked, match, next;
		bool news;
	} rows[] = {
		{2, 3, 5, false}, /* older than known */
		{3, 3, 5, false}, /* known */
		{4, 4, 5, true},
		{5, 5, 6, true}, /* more than was expected: next follows */
		{9, 9, 10, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		one.match = 3;
		one.next = 5;
		one.paused = true;
		ck_assert(raft_progress_update(&one, rows[i].acked) ==
			  rows[i].news);
		ck_assert_uint_eq(one.match, rows[i].match);
		ck_assert_uint_eq(one.next, rows[i].next);
		ck_assert(one.paused == !rows[i].news);
	}
}
END_TEST

struct refusal {
	uint8_t state;
	uint64_t match, next, rejected, hint;
	bool counts;
	uint64_t then;
};

START_TEST(a_refusal_moves_next_back_unless_it_is_stale)
{
	static const struct refusal rows[] = {
		/* Ahead of answers: stale if what it refuses has matched. */
		{RAFT_REPLICATE, 5, 10, 5, 5, false, 10},
		{RAFT_REPLICATE, 5, 10, 4, 4, false, 10},
		{RAFT_REPLICATE, 5, 10, 9, 9, true, 6},
		{RAFT_REPLICATE, 0, 10, 9, 0, true, 1},
		/* A probe: only the last one's answer counts. */
		{RAFT_PROBE, 0, 0, 0, 0, false, 0},
		{RAFT_PROBE, 0, 10, 5, 5, false, 10},
		{RAFT_PROBE, 0, 10, 10, 9, false, 10},
		{RAFT_PROBE, 0, 10, 9, 9, true, 9},
		{RAFT_PROBE, 0, 2, 1, 1, true, 1},
		{RAFT_PROBE, 0, 1, 0, 0, true, 1},
		{RAFT_PROBE, 0, 10, 9, 2, true, 3},
		{RAFT_PROBE, 0, 10, 9, 0, true, 1},
		/* Never to what has matched, whatever it says. */
		{RAFT_PROBE, 5, 10, 9, 1, true, 6},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct refusal *row = &rows[i];

		one.state = row->state;
		one.match = row->match;
		one.next = row->next;
		one.paused = true;
		one.sent_commit = 9;
		ck_assert_msg(raft_progress_decrease(&one, row->rejected,
						     row->hint) == row->counts,
			      "row %zu", i);
		ck_assert_msg(one.next == row->then, "row %zu: %llu", i,
			      (unsigned long long)one.next);
		ck_assert_uint_eq(one.match, row->match);
		/* What was told of commit went with what was refused. */
		if (row->counts)
			ck_assert_uint_le(one.sent_commit, one.next - 1);
	}
}
END_TEST

START_TEST(a_probe_begins_behind_the_match_or_behind_the_image)
{
	static const struct {
		uint8_t state;
		uint64_t match, pending, next;
	} rows[] = {
		{RAFT_REPLICATE, 1, 0, 2},
		{RAFT_SNAPSHOT, 1, 10, 11}, /* it arrived */
		{RAFT_SNAPSHOT, 1, 0, 2}, /* it did not */
		{RAFT_SNAPSHOT, 12, 10, 13}, /* and it got further meanwhile */
		{RAFT_PROBE, 3, 0, 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		one.state = rows[i].state;
		one.match = rows[i].match;
		one.next = 20;
		one.sent_commit = 15;
		one.pending_snapshot = rows[i].pending;
		one.paused = true;
		raft_inflights_reset(flights);
		fly(1, 3);
		raft_progress_probe(&one);
		ck_assert_uint_eq(one.state, RAFT_PROBE);
		ck_assert_uint_eq(one.match, rows[i].match);
		ck_assert_uint_eq(one.next, rows[i].next);
		ck_assert_uint_eq(one.pending_snapshot, 0);
		ck_assert_uint_eq(one.sent_commit, rows[i].next - 1);
		ck_assert_uint_eq(flights->count, 0);
		ck_assert(!one.paused);
	}
}
END_TEST

START_TEST(replicating_begins_behind_the_match)
{
	one.match = 4;
	one.next = 9;
	one.paused = true;
	raft_progress_replicate(&one);
	ck_assert_uint_eq(one.state, RAFT_REPLICATE);
	ck_assert_uint_eq(one.match, 4);
	ck_assert_uint_eq(one.next, 5);
	ck_assert(!one.paused);
}
END_TEST

START_TEST(an_image_holds_up_all_else_and_says_what_is_next)
{
	one.match = 4;
	one.next = 5;
	fly(1, 3);
	raft_progress_snapshot(&one, 10);
	ck_assert_uint_eq(one.state, RAFT_SNAPSHOT);
	ck_assert_uint_eq(one.match, 4);
	ck_assert_uint_eq(one.next, 11);
	ck_assert_uint_eq(one.pending_snapshot, 10);
	ck_assert_uint_eq(one.sent_commit, 10);
	ck_assert_uint_eq(flights->count, 0);
	ck_assert(raft_progress_paused(&one));
}
END_TEST

START_TEST(a_new_term_knows_nothing_but_next)
{
	raft_progress_snapshot(&one, 10);
	one.recent_active = true;
	one.acked_round = 8;
	raft_progress_reset(&one, 3, 7);
	ck_assert_uint_eq(one.state, RAFT_PROBE);
	ck_assert_uint_eq(one.match, 3);
	ck_assert_uint_eq(one.next, 7);
	ck_assert_uint_eq(one.pending_snapshot, 0);
	ck_assert_uint_eq(one.sent_commit, 0);
	ck_assert_uint_eq(one.acked_round, 0);
	ck_assert(!one.recent_active);
	ck_assert(!one.paused);
	/* Whose window it is does not change with the term. */
	ck_assert_ptr_eq(flights->ring, ring);
	ck_assert_uint_eq(flights->capacity, FLIGHTS);
}
END_TEST

START_TEST(commit_is_told_only_where_it_can_move)
{
	static const struct {
		uint64_t next, sent, commit;
		bool can;
	} rows[] = {
		{10, 4, 5, true},  {10, 4, 4, false},  {10, 5, 4, false},
		{10, 8, 20, true}, {10, 9, 20, false}, {1, 0, 20, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		one.next = rows[i].next;
		one.sent_commit = rows[i].sent;
		ck_assert_msg(raft_progress_can_commit(&one, rows[i].commit) ==
				      rows[i].can,
			      "row %zu", i);
	}
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, flights_are_kept_in_order);
	tcase_add_test(all, flights_wrap_around_the_ring);
	tcase_add_test(all, an_answer_frees_its_flight_and_all_before_it);
	tcase_add_test(all, a_window_is_full_by_count_or_by_bytes);
	tcase_add_test(all, a_window_that_is_reset_is_empty);
	tcase_add_test(all,
		       nothing_is_sent_to_a_probe_that_waits_or_for_an_image);
	tcase_add_test(all, what_is_sent_moves_next_only_ahead_of_answers);
	tcase_add_test(all, news_moves_match_and_next_and_resumes);
	tcase_add_test(all, a_refusal_moves_next_back_unless_it_is_stale);
	tcase_add_test(all,
		       a_probe_begins_behind_the_match_or_behind_the_image);
	tcase_add_test(all, replicating_begins_behind_the_match);
	tcase_add_test(all, an_image_holds_up_all_else_and_says_what_is_next);
	tcase_add_test(all, a_new_term_knows_nothing_but_next);
	tcase_add_test(all, commit_is_told_only_where_it_can_move);
}

int main(void)
{
	Suite *suite = suite_create("raft, one member as its leader sees it");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, NULL);
	add_tests(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
