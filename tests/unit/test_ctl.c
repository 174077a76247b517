/*
 * conclavectl, whole: each run of it is a child of the test, its daemon is
 * the miniature one.
 */
#include "tests/unit/support_ctl.h"

START_TEST(puts_and_gets)
{
	expect("put a hello", "OK\n");
	expect("get a", "a\nhello\n");
	expect("get a --print-value-only", "hello\n");
	expect("get a --keys-only", "a\n");
	expect("get a --hex", "\\x61\n\\x68\\x65\\x6c\\x6c\\x6f\n");
	expect("get a --count-only", "1\n");
}
END_TEST

START_TEST(what_is_not_there_is_status_2)
{
	ck_assert_int_eq(ctl("get a"), CTL_NOT_FOUND);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(ctl("get a -w json"), CTL_NOT_FOUND);
	expect("get a --count-only", "0\n");
	expect("del a", "0\n");
}
END_TEST

START_TEST(a_value_comes_from_standard_input)
{
	ck_assert_int_eq(ctl_with("put a -", "two\nlines"), CTL_OK);
	expect("get a", "a\ntwo\nlines\n");
	ck_assert_int_eq(ctl_with("cas b 0 -", "x"), CTL_OK);
	expect("get b", "b\nx\n");
}
END_TEST

START_TEST(ranges_are_selected_as_etcdctl_does)
{
	expect("put a 1", "OK\n");
	expect("put aa 2", "OK\n");
	expect("put b 3", "OK\n");
	expect("get a b", "a\n1\naa\n2\n");
	expect("get a --prefix", "a\n1\naa\n2\n");
	expect("get aa --from-key", "aa\n2\nb\n3\n");
	expect("get '' --prefix --keys-only", "a\naa\nb\n");
	expect("range --keys-only", "a\naa\nb\n");
	expect("range aa c --limit 1", "aa\n2\n");
}
END_TEST

START_TEST(history_is_read_by_revision)
{
	expect("put a 1", "OK\n");
	expect("put a 2", "OK\n");
	expect("get a --rev 2", "a\n1\n");
	expect("get a --rev=3", "a\n2\n");
	ck_assert_int_eq(ctl("get a --rev 9"), CTL_NOT_APPLIED);
	expect("compact 3", "compacted revision 3\n");
	ck_assert_int_eq(ctl("get a --rev 2"), CTL_NOT_APPLIED);
	ck_assert_str_eq(err,
			 "conclavectl: get: that revision was compacted\n");
}
END_TEST

START_TEST(deleting_prints_how_many)
{
	expect("put a 1", "OK\n");
	expect("put b 1", "OK\n");
	expect("put c 1", "OK\n");
	expect("del a", "1\n");
	expect("del '' --prefix", "2\n");
}
END_TEST

START_TEST(compare_and_swap_tells_by_status)
{
	expect("cas n 0 one", "2\n");
	expect("cas n 2 two", "3\n");
	ck_assert_int_eq(ctl("cas n 2 three"), CTL_NOT_FOUND);
	ck_assert_str_eq(out, "");
	ck_assert_str_eq(err, "conclavectl: cas: the key was last changed at "
			      "revision 3\n");
	ck_assert_int_eq(ctl("cas n x three"), CTL_USAGE);
}
END_TEST

START_TEST(json_is_one_object_with_base64)
{
	expect_json("put a hello -w json", "2", "}");
	expect_json("put ab h --write-out=json", "3", "}");
	expect_json("get a -w json", "3",
		    ",\"kvs\":[{\"key\":\"YQ==\",\"create_revision\":2,"
		    "\"mod_revision\":2,\"version\":1,\"value\":\"aGVsbG8=\"}"
		    "],\"count\":1}");
	expect_json("get a --prefix --limit 1 --keys-only -w json", "3",
		    ",\"kvs\":[{\"key\":\"YQ==\",\"create_revision\":2,"
		    "\"mod_revision\":2,\"version\":1}],\"count\":2,"
		    "\"more\":true}");
	expect_json("cas ab 3 x -w json", "4", ",\"succeeded\":true}");
	expect_json("del ab -w json", "5", ",\"deleted\":1}");
}
END_TEST

START_TEST(fields_are_quoted)
{
	ck_assert_int_eq(ctl_with("put a -", "x\"y\n\x01"), CTL_OK);
	ck_assert_int_eq(ctl("get a -w fields"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "\"Key\" : \"a\"\n"));
	ck_assert_ptr_nonnull(strstr(out, "\"Value\" : \"x\\\"y\\n\\x01\"\n"));
	ck_assert_ptr_nonnull(strstr(out, "\"Count\" : 1\n"));
}
END_TEST

START_TEST(status_and_settings_are_shown)
{
	ck_assert_int_eq(ctl("status"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "role           follower\n"));
	ck_assert_int_eq(ctl("status -w json"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, ",\"role\":\"follower\","));
	ck_assert_ptr_nonnull(
		strstr(out, ",\"alarms\":[],\"differs_index\":0,"));
	/* The miniature daemon keeps settings among its keys. */
	expect("settings quota_bytes 5", "quota_bytes = 5\n");
	expect("settings", "quota_bytes = 5\n");
	ck_assert_int_eq(ctl("settings nothing"), CTL_NOT_FOUND);
}
END_TEST

START_TEST(alarms_are_shown_by_name)
{
	ck_assert_int_eq(ctl("status"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "\nalarms         none\n"));
	peer_set_alarms(peer, CV_ALARM_NOSPACE | CV_ALARM_CORRUPT | 64);
	peer_set_differs(peer, 77);
	ck_assert_int_eq(ctl("status"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "\nalarms         CORRUPT,NOSPACE,"
					  "0x40\ndiffers_index  77\n"));
	ck_assert_int_eq(ctl("status -w json"), CTL_OK);
	ck_assert_ptr_nonnull(
		strstr(out, ",\"alarms\":[\"CORRUPT\",\"NOSPACE\",\"0x40\"],"
			    "\"differs_index\":77,"));
	ck_assert_int_eq(ctl("status -w fields"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "\"alarms\" : \"CORRUPT,NOSPACE,"
					  "0x40\"\n\"differs_index\" : 77\n"));
}
END_TEST

/* ---- what was typed wrong ---- */

START_TEST(a_typo_is_answered_with_what_was_meant)
{
	refuse("gte a", "there is no command 'gte'; did you mean 'get'?");
	refuse("setings", "did you mean 'settings'?");
	refuse("frobnicate", "there is no command 'frobnicate'\n");
	refuse("get a --prefx", "did you mean '--prefix'?");
	refuse("get a --form-key", "did you mean '--from-key'?");
	refuse("get a --timout=4s", "did you mean '--timeout'?");
	refuse("get a -x", "there is no flag '-x'");
	refuse("put a -5", "begins with - stands behind a '--'");
}
END_TEST

START_TEST(a_wrong_value_says_what_it_may_be)
{
	refuse("get a --limit x", "--limit is a number of keys, not 'x'");
	refuse("get a --rev -1", "--rev is a revision, a number, not '-1'");
	refuse("get a --timeout 5h", "--timeout is a time such as");
	refuse("get a --timeout 0", "--timeout is a time such as");
	refuse("get a --timeout 99999999999999999999", "is a time such as");
	refuse("get a -w yaml", "--write-out is simple, json or fields");
	refuse("get a --limit", "--limit lacks its N");
	refuse("get a --hex=1", "--hex takes no value");
	refuse("put a b --limit 3", "put does not take --limit");
	refuse("get a --prefix --from-key", "exclude each other");
	refuse("get a b --prefix", "exclude each other");
	refuse("get ''", "the key is empty");
	refuse("get a ''", "END is empty");
	refuse("put '' b", "the key is empty");
	refuse("cas '' 0 b", "the key is empty");
	refuse("get a --cluster a/b", "--cluster is a name without /");
	refuse("range a", "range takes KEY and END, or neither");
	refuse("compact x", "REVISION is a number, not 'x'");
	refuse("put a", "Usage: conclavectl put KEY VALUE|-");
	refuse("status x", "Usage: conclavectl status");
}
END_TEST

START_TEST(help_and_version_need_no_daemon)
{
	setenv("CONCLAVE_SOCKET", "/nonexistent/socket", 1);
	ck_assert_int_eq(ctl("--help"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "  settings "));
	ck_assert_int_eq(ctl("get --help"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "--limit=N"));
	ck_assert_int_eq(ctl("put -h"), CTL_OK);
	ck_assert_ptr_null(strstr(out, "--limit"));
	ck_assert_int_eq(ctl("help put"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "Usage: conclavectl put KEY"));
	ck_assert_int_eq(ctl("help member"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "member promote"));
	ck_assert_int_eq(ctl("version"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "conclavectl "));
	ck_assert_int_eq(ctl("--version"), CTL_OK);
	ck_assert_ptr_nonnull(strstr(out, "conclavectl "));
	ck_assert_int_eq(ctl(""), CTL_USAGE);
}
END_TEST

START_TEST(words_behind_two_dashes_are_no_flags)
{
	expect("put -- --a -b", "OK\n");
	expect("get -- --a", "--a\n-b\n");
}
END_TEST

/* ---- outcomes ---- */

START_TEST(no_daemon_is_status_5)
{
	ck_assert_int_eq(ctl("get a --socket /nonexistent/socket"),
			 CTL_NO_DAEMON);
	ck_assert_ptr_nonnull(strstr(err, "cannot reach the daemon at"));
	setenv("CONCLAVE_SOCKET", "/nonexistent/socket", 1);
	ck_assert_int_eq(ctl("get a"), CTL_NO_DAEMON);
	ck_assert_ptr_nonnull(strstr(err, " at /nonexistent/socket: "));
	ck_assert_ptr_nonnull(strstr(err, "Is conclaved running?"));
	unsetenv("CONCLAVE_SOCKET");
	ck_assert_int_eq(ctl("get a --cluster no-such-cluster"), CTL_NO_DAEMON);
	ck_assert_ptr_nonnull(
		strstr(err, " at /run/conclave/no-such-cluster.sock or "));
}
END_TEST

START_TEST(a_refusal_is_status_3)
{
	peer_set_status(peer, 1, CONCLAVE_EQUOTA);
	ck_assert_int_eq(ctl("put a 1"), CTL_NOT_APPLIED);
	ck_assert_str_eq(err, "conclavectl: put: the store is full\n");
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	ck_assert_int_eq(ctl("put a 1 --timeout 20ms"), CTL_NOT_APPLIED);
}
END_TEST

START_TEST(a_doubt_is_status_4)
{
	peer_set_hold(peer, PEER_HOLD_POST);
	ck_assert_int_eq(ctl("put a 1 --timeout 1s"), CTL_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(err, "it may or may not be applied"));
	ck_assert_int_eq(ctl("get a --timeout 20ms"), CTL_UNKNOWN);
	ck_assert_ptr_nonnull(strstr(err, "it only reads"));
}
END_TEST

START_TEST(who_waits_in_vain_is_told_that_nobody_leads)
{
	/* The miniature daemon names its leader from its first turn on. */
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	ck_assert_int_eq(ctl("put a 1 --timeout 20ms"), CTL_NOT_APPLIED);
	ck_assert_ptr_nonnull(
		strstr(err, "\nNo member leads: do most members"));
	peer_set_hold(peer, 0);
	expect("put a 1", "OK\n");
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	ck_assert_int_eq(ctl("put a 1 --timeout 20ms"), CTL_NOT_APPLIED);
	ck_assert_ptr_null(strstr(err, "No member leads"));
}
END_TEST

START_TEST(a_setting_that_is_refused_says_why)
{
	peer_set_status(peer, 1, CONCLAVE_EBADREQ);
	ck_assert_int_eq(ctl("settings quota_bytes x"), CTL_NOT_APPLIED);
	ck_assert_ptr_nonnull(strstr(err, "quota_bytes cannot be 'x': "));
	ck_assert_int_eq(ctl("settings nothing"), CTL_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(err, "there is no setting 'nothing'"));
}
END_TEST

static void interrupt_when(uint32_t hold, int expected)
{
	struct peer_counts counts;
	int status;
	pid_t child;

	peer_set_hold(peer, hold);
	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		be_ctl(0, open("/dev/null", O_WRONLY),
		       open("/dev/null", O_WRONLY), "put a 1 --timeout 1m");
	do {
		counts = peer_counts(peer);
	} while (counts.welcomes == 0 ||
		 (hold == PEER_HOLD_POST && counts.applied == 0));
	/* It may not be waiting yet: again, until it has ended. */
	while (waitpid(child, &status, WNOHANG) == 0) {
		kill(child, SIGINT);
		usleep(1000);
	}
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), expected);
}

START_TEST(an_interrupted_write_that_was_queued_is_not_applied)
{
	interrupt_when(PEER_HOLD_PROPOSALS, CTL_NOT_APPLIED);
	ck_assert_uint_eq(peer_revision(peer), 1);
}
END_TEST

START_TEST(an_interrupted_write_that_was_taken_is_unknown)
{
	interrupt_when(PEER_HOLD_POST, CTL_UNKNOWN);
}
END_TEST

START_TEST(an_output_that_cannot_be_written_is_an_error)
{
	int status;
	pid_t child;

	expect("put a 1", "OK\n");
	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		be_ctl(0, open("/dev/full", O_WRONLY),
		       open("/dev/null", O_WRONLY), "get a");
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), CTL_USAGE);
}
END_TEST

static TCase *does_case(void)
{
	TCase *t = tcase_create("does");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, puts_and_gets);
	tcase_add_test(t, what_is_not_there_is_status_2);
	tcase_add_test(t, a_value_comes_from_standard_input);
	tcase_add_test(t, ranges_are_selected_as_etcdctl_does);
	tcase_add_test(t, history_is_read_by_revision);
	tcase_add_test(t, deleting_prints_how_many);
	tcase_add_test(t, compare_and_swap_tells_by_status);
	tcase_add_test(t, json_is_one_object_with_base64);
	tcase_add_test(t, fields_are_quoted);
	tcase_add_test(t, status_and_settings_are_shown);
	tcase_add_test(t, alarms_are_shown_by_name);
	return t;
}

static TCase *refuses_case(void)
{
	TCase *t = tcase_create("refuses");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_typo_is_answered_with_what_was_meant);
	tcase_add_test(t, a_wrong_value_says_what_it_may_be);
	tcase_add_test(t, help_and_version_need_no_daemon);
	tcase_add_test(t, words_behind_two_dashes_are_no_flags);
	tcase_add_test(t, no_daemon_is_status_5);
	tcase_add_test(t, a_refusal_is_status_3);
	tcase_add_test(t, a_doubt_is_status_4);
	tcase_add_test(t, who_waits_in_vain_is_told_that_nobody_leads);
	tcase_add_test(t, a_setting_that_is_refused_says_why);
	tcase_add_test(t, an_interrupted_write_that_was_queued_is_not_applied);
	tcase_add_test(t, an_interrupted_write_that_was_taken_is_unknown);
	tcase_add_test(t, an_output_that_cannot_be_written_is_an_error);
	return t;
}

int main(void)
{
	Suite *s = suite_create("ctl");
	SRunner *runner;
	int failed;

	suite_add_tcase(s, does_case());
	suite_add_tcase(s, refuses_case());
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
