/*
 * How long the loop looks on before it sleeps, learnt from how the last time
 * ended.
 */
#include <check.h>

#include "daemon/loop.h"

enum {
	LONGEST = 50000,
};

START_TEST(a_spin_that_found_work_makes_the_next_full_length)
{
	ck_assert_uint_eq(loop_next_spin_ns(0, LONGEST, true), LONGEST);
	ck_assert_uint_eq(loop_next_spin_ns(LONGEST / 4, LONGEST, true),
			  LONGEST);
}
END_TEST

START_TEST(an_idle_loop_soon_spins_no_more)
{
	uint64_t spin_ns = LONGEST;
	uint32_t steps = 0;

	while (spin_ns > 0) {
		uint64_t next_ns = loop_next_spin_ns(spin_ns, LONGEST, false);
		ck_assert_uint_lt(next_ns, spin_ns);
		spin_ns = next_ns;
		steps++;
	}
	ck_assert_uint_le(steps, LOOP_SPIN_STEPS);
	ck_assert_uint_eq(loop_next_spin_ns(0, LONGEST, false), 0);
}
END_TEST

START_TEST(without_spin_there_is_none)
{
	ck_assert_uint_eq(loop_next_spin_ns(0, 0, true), 0);
	ck_assert_uint_eq(loop_next_spin_ns(0, 0, false), 0);
}
END_TEST

START_TEST(spinning_for_ever_never_ends)
{
	ck_assert_uint_eq(loop_next_spin_ns(UINT64_MAX, UINT64_MAX, false),
			  UINT64_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("loop");
	TCase *tests = tcase_create("loop");

	tcase_add_test(tests,
		       a_spin_that_found_work_makes_the_next_full_length);
	tcase_add_test(tests, an_idle_loop_soon_spins_no_more);
	tcase_add_test(tests, without_spin_there_is_none);
	tcase_add_test(tests, spinning_for_ever_never_ends);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
