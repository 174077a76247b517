/*
 * What a core is born with: limits that it can keep, and nothing that is news
 * to the disk from which it came.
 */
#include "tests/unit/support_raft.h"

#include <check.h>
#include <stdlib.h>

enum birth_sizes {
	COUNT_TOO_LARGE = (1 << 28) + 1,
	MEMORY = 1 << 20, /* more than is touched by one that is refused */
};

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
}

static void tear_down(void)
{
	core_release(&one);
}

static int birth_err(const struct raft_options *options)
{
	static _Alignas(64) uint8_t memory[MEMORY];
	struct raft *raft;

	return raft_init(&raft, options, &one.hard, &one.saved, memory);
}

START_TEST(limits_whose_sizes_would_overflow_are_refused)
{
	struct raft_options options = one.options;

	options.election_ticks = COUNT_TOO_LARGE;
	ck_assert_int_eq(birth_err(&options), RAFT_EINVALID);
	options = one.options;
	options.entries_max = COUNT_TOO_LARGE;
	ck_assert_int_eq(birth_err(&options), RAFT_EINVALID);
	options = one.options;
	options.messages_max = COUNT_TOO_LARGE;
	ck_assert_int_eq(birth_err(&options), RAFT_EINVALID);
	options = one.options;
	options.reads_max = COUNT_TOO_LARGE;
	ck_assert_int_eq(birth_err(&options), RAFT_EINVALID);
	options = one.options;
	options.inflight_max = COUNT_TOO_LARGE;
	ck_assert_int_eq(birth_err(&options), RAFT_EINVALID);
}
END_TEST

START_TEST(reads_by_the_clock_need_a_leader_that_steps_down)
{
	one.options.read_mode = RAFT_READ_LEASE;
	ck_assert_int_eq(birth_err(&one.options), RAFT_EINVALID);
	one.options.check_quorum = true;
	ck_assert_int_eq(birth_err(&one.options), 0);
}
END_TEST

START_TEST(what_was_found_on_the_disk_is_no_news)
{
	one.hard = (struct raft_hard_state){.term = 2, .vote = 3, .commit = 2};
	core_load(&one, (const uint64_t[]){1, 1, 2, 0});
	core_start(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 2);
	ck_assert(!one.ready.hard_changed);
	ck_assert(!one.ready.must_sync);
	ck_assert(!one.ready.soft_changed);
	core_start(&one);
	core_restored(&one, 2);
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

/* The commit index needs no write, so a crash may forget it. */
START_TEST(what_the_state_machine_has_is_committed)
{
	core_load(&one, (const uint64_t[]){1, 1, 2, 0});
	core_start(&one);
	ck_assert_uint_eq(core_status(&one)->commit, 0);
	core_restored(&one, 2);
	ck_assert_uint_eq(core_status(&one)->commit, 2);
	ck_assert_uint_eq(core_status(&one)->applied, 2);
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, what a core is born with");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, limits_whose_sizes_would_overflow_are_refused);
	tcase_add_test(all, reads_by_the_clock_need_a_leader_that_steps_down);
	tcase_add_test(all, what_was_found_on_the_disk_is_no_news);
	tcase_add_test(all, what_the_state_machine_has_is_committed);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
