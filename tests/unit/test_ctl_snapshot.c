/*
 * conclavectl's commands about backups, as far as they are words: what they do
 * to files and clusters is in test_backup.c, here and among the integration
 * tests. The images of the miniature daemon lie nowhere.
 */
#include "tests/unit/support_ctl.h"

static void expect_failure(const char *line, int status, const char *part)
{
	ck_assert_int_eq(ctl(line), status);
	ck_assert_str_eq(out, "");
	if (strstr(err, part) == NULL)
		ck_abort_msg("'%s' gives '%s'", line, err);
}

START_TEST(a_restore_needs_to_be_told_what_it_makes)
{
	const char *lacks = "needs --data=FOLDER, --cluster=NAME and "
			    "--member=ID";

	refuse("snapshot restore f --cluster c --member 1", lacks);
	refuse("snapshot restore f --data d --member 1", lacks);
	refuse("snapshot restore f --data d --cluster c", lacks);
	refuse("snapshot restore f --data d --cluster c --member 0",
	       "--member is a member's id");
	refuse("snapshot restore", "Usage: conclavectl snapshot restore FILE");
}
END_TEST

START_TEST(flags_of_one_command_are_not_anothers)
{
	refuse("snapshot status f --force", "does not take --force");
	refuse("snapshot save f --peers 1=h:1", "does not take --peers");
	refuse("snapshot restore f --serializable",
	       "does not take --serializable");
	refuse("get k --data d", "get does not take --data");
	ck_assert_int_eq(ctl("snapshot"), CTL_USAGE);
	ck_assert_ptr_nonnull(strstr(out, "snapshot restore"));
}
END_TEST

START_TEST(what_cannot_be_is_refused_before_anything_is_made)
{
	expect_failure("snapshot restore f --data /dev/null --cluster c "
		       "--member 1",
		       CTL_USAGE, "/dev/null: cannot be looked at");
	expect_failure("snapshot restore f --data d --cluster .c --member 1",
		       CTL_NOT_APPLIED, "--cluster is up to 64 letters");
	expect_failure("snapshot restore f --data d --cluster c --member 1 "
		       "--peers 2",
		       CTL_NOT_APPLIED, "--peers is");
	expect_failure("snapshot restore none --data d --cluster c --member 1",
		       CTL_USAGE, "none: cannot be opened");
	expect_failure("snapshot status none", CTL_USAGE,
		       "none: cannot be opened");
	expect_failure("snapshot status /dev/null", CTL_USAGE,
		       "is no regular file");
	expect_failure("snapshot save f --data none", CTL_USAGE,
		       "is it the data folder of a member");
}
END_TEST

START_TEST(an_image_that_cannot_be_reached_says_who_can)
{
	expect_failure("snapshot save f", CTL_USAGE,
		       "/nowhere/at-all/snapshot-0000000000000000: cannot be "
		       "opened");
	ck_assert_ptr_nonnull(strstr(err, "as root or as the daemon's user"));
	ck_assert_int_ne(access("f", F_OK), 0);
	ck_assert_int_ne(access("f.partial", F_OK), 0);
}
END_TEST

START_TEST(help_names_the_commands_and_their_flags)
{
	ck_assert_int_eq(ctl("snapshot --help"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "snapshot restore"));
	ck_assert_int_eq(ctl("snapshot restore --help"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "--accept-data-loss"));
	ck_assert_int_eq(ctl("snapshot save --help"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "--serializable"));
	ck_assert_ptr_null(strstr(out, "--peers"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("conclavectl snapshot");
	TCase *tests = tcase_create("snapshot");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_restore_needs_to_be_told_what_it_makes);
	tcase_add_test(tests, flags_of_one_command_are_not_anothers);
	tcase_add_test(tests,
		       what_cannot_be_is_refused_before_anything_is_made);
	tcase_add_test(tests, an_image_that_cannot_be_reached_says_who_can);
	tcase_add_test(tests, help_names_the_commands_and_their_flags);
	suite_add_tcase(s, tests);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
