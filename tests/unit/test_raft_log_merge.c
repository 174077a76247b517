/*
 * Where an append meets a log that may have some of it, or something else:
 * what is found to conflict, what stays, and what is to be written again.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;

static void tear_down(void)
{
	core_release(&one);
}

struct row {
	uint64_t index, term; /* of the entry before */
	uint64_t terms[5]; /* of those that follow, ended by 0 */
	uint64_t commit;
	/* What comes of it. */
	const char *log;
	uint64_t acked; /* 0: refused */
	uint64_t committed;
	uint64_t first, last; /* to be written; 0: nothing */
};

/* A log of terms 1 2 3 3 4, all durable, of which `commit` are committed. */
static void expect(const struct row *row, uint64_t commit)
{
	struct raft_message append = {.from = 2,
				      .term = 6,
				      .log_index = row->index,
				      .log_term = row->term,
				      .commit = row->commit};
	const struct raft_message *reply;

	core_release(&one);
	core_init(&one, 1, 3);
	core_load(&one, (const uint64_t[]){1, 2, 3, 3, 4, 0});
	one.hard.commit = commit;
	core_start(&one);
	core_settle(&one);
	ck_assert_int_eq(say_append(&one, append, row->terms), 0);
	ck_assert(core_take(&one));
	ck_assert_str_eq(core_terms(&one), row->log);
	ck_assert_uint_eq(core_status(&one)->commit, row->committed);
	ck_assert_uint_eq(one.ready.append_first, row->first);
	ck_assert_uint_eq(one.ready.append_last, row->last);
	/* What stays was durable before and is; what is new is not. */
	ck_assert_uint_eq(core_status(&one)->stable_index,
			  row->first ? row->first - 1
				     : core_status(&one)->last_index);
	core_settle_on(&one);
	core_persist(&one);
	core_settle_on(&one);
	reply = core_message(&one, RAFT_MSG_APPEND_REPLY, 2);
	ck_assert(reply->reject == (row->acked == 0));
	if (row->acked != 0)
		ck_assert_uint_eq(reply->log_index, row->acked);
	ck_assert_uint_eq(core_status(&one)->stable_index,
			  core_status(&one)->last_index);
}

START_TEST(what_agrees_stays_and_what_conflicts_is_replaced)
{
	static const struct row rows[] = {
		/* Nothing, or nothing new: no conflict. */
		{5, 4, {0}, 0, "1 2 3 3 4", 5, 0, 0, 0},
		{0, 0, {1, 2, 3, 0}, 0, "1 2 3 3 4", 3, 0, 0, 0},
		{1, 1, {2, 3, 3, 4, 0}, 0, "1 2 3 3 4", 5, 0, 0, 0},
		{3, 3, {3, 0}, 0, "1 2 3 3 4", 4, 0, 0, 0},
		{4, 3, {4, 0}, 0, "1 2 3 3 4", 5, 0, 0, 0},
		/* No conflict, but more. */
		{5, 4, {4, 5, 0}, 0, "1 2 3 3 4 4 5", 7, 0, 6, 7},
		{3, 3, {3, 4, 5, 0}, 0, "1 2 3 3 4 5", 6, 0, 6, 6},
		{4, 3, {4, 4, 4, 0}, 0, "1 2 3 3 4 4 4", 7, 0, 6, 7},
		/* A conflict at the first, in the middle, at the last. */
		{0, 0, {4, 4, 0}, 0, "4 4", 2, 0, 1, 2},
		{1, 1, {1, 4, 4, 0}, 0, "1 1 4 4", 4, 0, 2, 4},
		{2, 2, {3, 5, 0}, 0, "1 2 3 5", 4, 0, 4, 4},
		{3, 3, {3, 5, 5, 0}, 0, "1 2 3 3 5 5", 6, 0, 5, 6},
		{4, 3, {5, 0}, 0, "1 2 3 3 5", 5, 0, 5, 5},
		/* The entry before is another, or is not there. */
		{5, 5, {5, 0}, 0, "1 2 3 3 4", 0, 0, 0, 0},
		{4, 4, {5, 0}, 0, "1 2 3 3 4", 0, 0, 0, 0},
		{6, 4, {5, 0}, 0, "1 2 3 3 4", 0, 0, 0, 0},
		/* Commits as far as is known to agree, and no further. */
		{5, 4, {0}, 3, "1 2 3 3 4", 5, 3, 0, 0},
		{5, 4, {0}, 9, "1 2 3 3 4", 5, 5, 0, 0},
		{3, 3, {0}, 9, "1 2 3 3 4", 3, 3, 0, 0},
		{5, 4, {6, 0}, 9, "1 2 3 3 4 6", 6, 6, 6, 6},
		{2, 2, {6, 0}, 3, "1 2 6", 3, 3, 3, 3},
		{6, 4, {0}, 9, "1 2 3 3 4", 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i], 0);
}
END_TEST

START_TEST(an_append_before_the_log_says_nothing_and_agrees)
{
	struct raft_message append = {.from = 2, .term = 6};

	core_init(&one, 1, 3);
	core_load(&one, (const uint64_t[]){1, 2, 0});
	core_start(&one);
	ck_assert_int_eq(say_append(&one, append, NULL), 0);
	core_settle(&one);
	ck_assert_str_eq(core_terms(&one), "1 2");
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index, 0);
	ck_assert(!core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->reject);
}
END_TEST

/* Three are committed: whatever an append says of them is not looked at. */
START_TEST(what_is_committed_is_answered_and_not_touched)
{
	static const struct row rows[] = {
		{0, 0, {1, 2, 0}, 1, "1 2 3 3 4", 3, 3, 0, 0},
		{0, 0, {5, 5, 5, 5, 0}, 4, "1 2 3 3 4", 3, 3, 0, 0},
		{2, 2, {4, 0}, 3, "1 2 3 3 4", 3, 3, 0, 0},
		{2, 1, {3, 0}, 3, "1 2 3 3 4", 3, 3, 0, 0},
		/* From there on it is. */
		{3, 3, {5, 0}, 4, "1 2 3 5", 4, 4, 4, 4},
		{3, 2, {5, 0}, 4, "1 2 3 3 4", 0, 3, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(&rows[i], 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, where an append meets a log");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, NULL, tear_down);
	tcase_add_test(all, what_agrees_stays_and_what_conflicts_is_replaced);
	tcase_add_test(all, an_append_before_the_log_says_nothing_and_agrees);
	tcase_add_test(all, what_is_committed_is_answered_and_not_touched);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
