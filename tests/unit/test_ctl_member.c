/*
 * conclavectl's commands about members and the daemon on this host. The
 * miniature daemon is member 1 of its list, "one:1", and leads at first.
 */
#include "tests/unit/support_ctl.h"

/* The run fails so, and its message is this line, or begins with it. */
static void expect_failure(const char *line, int status, const char *message)
{
	ck_assert_int_eq(ctl(line), status);
	ck_assert_str_eq(out, "");
	if (strncmp(err, message, strlen(message)) != 0)
		ck_abort_msg("'%s' gives '%s'", line, err);
}

static void has(const char *part)
{
	if (strstr(out, part) == NULL)
		ck_abort_msg("'%s' is not in '%s'", part, out);
}

START_TEST(a_member_is_added_promoted_updated_and_removed)
{
	expect("member add 3 three:3",
	       "member 3 is a learner now; promote it when it has caught "
	       "up\n");
	expect("member promote 3", "member 3 votes now\n");
	expect("member update 3 [::1]:33", "member 3 has its new address\n");
	expect("member list", "ID  ROLE     LINKED  MATCH  ADDRESS\n"
			      "1   leader   self    101    one:1\n"
			      "3   voter    yes     103    [::1]:33\n");
	expect("member remove 3", "member 3 is removed, for ever\n");
	expect("member list", "ID  ROLE     LINKED  MATCH  ADDRESS\n"
			      "1   leader   self    101    one:1\n");
}
END_TEST

START_TEST(a_member_is_replaced_in_one_step)
{
	expect("member add 3 three:3",
	       "member 3 is a learner now; promote it when it has caught "
	       "up\n");
	expect("member replace 1 3", "member 1 is replaced\n");
	expect("member list", "ID  ROLE     LINKED  MATCH  ADDRESS\n"
			      "3   voter    yes     -      three:3\n");
}
END_TEST

START_TEST(columns_are_as_wide_as_what_stands_in_them)
{
	ck_assert_int_eq(ctl("member add 12345678901234567890 a:1"), CTL_OK);
	expect("member list",
	       "ID                    ROLE     LINKED  MATCH                 "
	       "ADDRESS\n"
	       "1                     leader   self    101                   "
	       "one:1\n"
	       "12345678901234567890  learner  yes     12345678901234567990  "
	       "a:1\n");
}
END_TEST

START_TEST(who_does_not_lead_does_not_know_how_far_others_are)
{
	ck_assert_int_eq(ctl("member add 3 three:3"), CTL_OK);
	ck_assert_int_eq(ctl("member promote 3"), CTL_OK);
	expect("move-leader 3", "member 3 leads now\n");
	expect("member list", "ID  ROLE     LINKED  MATCH  ADDRESS\n"
			      "1   voter    self    -      one:1\n"
			      "3   leader   yes     -      three:3\n");
	expect_json("member list -w json", "1",
		    ",\"members\":[{\"id\":1,\"role\":\"voter\",\"self\":true,"
		    "\"linked\":true,\"address\":\"one:1\"},{\"id\":3,\"role\":"
		    "\"leader\",\"self\":false,\"linked\":true,\"address\":"
		    "\"three:3\"}]}");
}
END_TEST

START_TEST(members_have_the_three_forms)
{
	expect_json("member add 2 two:2 -w json", "1", ",\"member\":2}");
	expect_json("member list -w json", "1",
		    ",\"members\":[{\"id\":1,\"role\":\"leader\",\"self\":true,"
		    "\"linked\":true,\"match\":101,\"address\":\"one:1\"},"
		    "{\"id\":2,\"role\":\"learner\",\"self\":false,\"linked\":"
		    "true,\"match\":102,\"address\":\"two:2\"}]}");
	ck_assert_int_eq(ctl("member list -w fields"), CTL_OK);
	has("\"ID\" : 1\n\"Role\" : \"leader\"\n\"Self\" : true\n"
	    "\"Linked\" : true\n\"Match\" : 101\n\"Address\" : \"one:1\"\n"
	    "\"ID\" : 2\n\"Role\" : \"learner\"\n\"Self\" : false\n");
	ck_assert_int_eq(ctl("member remove 2 -w fields"), CTL_OK);
	has("\"Member\" : 2\n");
}
END_TEST

START_TEST(a_refused_change_is_status_3_and_says_what_to_look_at)
{
	expect_failure("member add 1 one:1", CTL_NOT_APPLIED,
		       "conclavectl: member add: this change of members is "
		       "refused\nThe id must be new");
	expect_failure("member promote 1", CTL_NOT_APPLIED,
		       "conclavectl: member promote: this change of members "
		       "is refused\nIs it a learner, and has it caught up? See "
		       "MATCH in 'conclavectl member list' on the leader's "
		       "host.\n");
	expect_failure("member remove 9", CTL_NOT_APPLIED,
		       "conclavectl: member remove: this change of members is "
		       "refused\nIs it a member, and would those");
	expect_failure("member update 9 x:1", CTL_NOT_APPLIED,
		       "conclavectl: member update: this change of members is "
		       "refused\nIs it a member?");
	expect_failure("member replace 1 9", CTL_NOT_APPLIED,
		       "conclavectl: member replace: this change of members "
		       "is refused\nOLD must be a voter and NEW a learner");
}
END_TEST

START_TEST(a_change_in_doubt_is_status_4_without_a_hint)
{
	peer_set_hold(peer, PEER_HOLD_POST);
	expect_failure("member add 2 two:2 --timeout 1s", CTL_UNKNOWN,
		       "conclavectl: member add: the deadline passed; the "
		       "outcome is not known yet (it may or may not be "
		       "applied)\n");
}
END_TEST

START_TEST(leadership_that_does_not_move_is_status_4)
{
	expect_failure("move-leader 9", CTL_NOT_FOUND,
		       "conclavectl: move-leader: 9 is no voter; see "
		       "'conclavectl member list'\n");
	ck_assert_int_eq(ctl("member add 2 two:2"), CTL_OK);
	ck_assert_int_eq(ctl("member promote 2"), CTL_OK);
	/* The miniature daemon lets no member with an even id lead. */
	expect_failure("move-leader 2 --timeout 100ms", CTL_UNKNOWN,
		       "conclavectl: move-leader: member 2 does not lead yet, "
		       "member 1 does");
	peer_set_status(peer, 1, CONCLAVE_ENOLEADER);
	expect_failure("move-leader 2", CTL_NOT_APPLIED,
		       "conclavectl: move-leader: the cluster has no leader\n");
}
END_TEST

START_TEST(health_is_a_read_that_comes_through)
{
	ck_assert_int_eq(ctl("endpoint health"), CTL_OK);
	ck_assert_int_eq(strncmp(out,
				 "member 0 is healthy: a linearizable "
				 "read took ",
				 46),
			 0);
	ck_assert_int_eq(ctl("endpoint health -w json"), CTL_OK);
	has(",\"health\":true,\"took_us\":");
	ck_assert_int_eq(ctl("endpoint health -w fields"), CTL_OK);
	has("\"Health\" : true\n");
}
END_TEST

START_TEST(who_cannot_read_in_time_is_not_healthy)
{
	/* The miniature daemon names its leader from its first turn on. */
	peer_set_hold(peer, PEER_HOLD_APPLY);
	expect_failure("endpoint health --timeout 50ms", CTL_NOT_APPLIED,
		       "conclavectl: member 0 is not healthy: the cluster has "
		       "no leader\n");
	peer_set_hold(peer, 0);
	expect("put a 1", "OK\n");
	peer_set_hold(peer, PEER_HOLD_APPLY);
	expect_failure("endpoint health --timeout 50ms", CTL_NOT_APPLIED,
		       "conclavectl: member 0 is not healthy: no linearizable "
		       "read came through in time\n");
	ck_assert_int_eq(ctl("endpoint health --timeout 50ms -w json"),
			 CTL_NOT_APPLIED);
	has(",\"health\":false,\"error\":\"no linearizable read ");
	ck_assert_int_eq(ctl("endpoint health --timeout 50ms -w fields"),
			 CTL_NOT_APPLIED);
	has("\"Health\" : false\n\"Error\" : \"no linearizable read ");
}
END_TEST

START_TEST(who_has_an_alarm_is_not_healthy)
{
	peer_set_alarms(peer, CV_ALARM_NOSPACE);
	expect_failure("endpoint health", CTL_NOT_APPLIED,
		       "conclavectl: member 0 is not healthy: alarm NOSPACE: "
		       "the disk is full, writes are refused\n");
	peer_set_alarms(peer, CV_ALARM_NOSPACE | CV_ALARM_CORRUPT);
	expect_failure("endpoint health", CTL_NOT_APPLIED,
		       "conclavectl: member 0 is not healthy: alarm CORRUPT: "
		       "its state differs from another member's\n");
}
END_TEST

START_TEST(the_hash_stands_behind_the_index_that_it_is_of)
{
	expect("put a 1", "OK\n");
	expect("endpoint hash", "1 0fedcba987654321123456789abcdef0\n");
	expect_json("endpoint hash -w json", "2",
		    ",\"applied\":1,\"hash\":\"0fedcba987654321123456789abcdef0"
		    "\"}");
	ck_assert_int_eq(ctl("endpoint hash -w fields"), CTL_OK);
	has("\"Applied\" : 1\n\"Hash\" : "
	    "\"0fedcba987654321123456789abcdef0\"\n");
	peer_set_status(peer, 1, CONCLAVE_EUNSUPPORTED);
	expect_failure("endpoint hash", CTL_NOT_APPLIED,
		       "conclavectl: endpoint hash: the daemon does not know "
		       "this request\n");
}
END_TEST

START_TEST(endpoint_status_is_status)
{
	ck_assert_int_eq(ctl("endpoint status"), CTL_OK);
	has("role           follower\n");
}
END_TEST

/* ---- what was typed wrong ---- */

START_TEST(the_second_word_may_be_wrong_too)
{
	refuse("membr list", "no command 'membr'; did you mean 'member'?");
	refuse("member lst", "did you mean 'member list'?");
	refuse("member prmote 3", "did you mean 'member promote'?");
	refuse("member frobnicate", "there is no command 'member "
				    "frobnicate'\n");
	refuse("endpoint helth", "did you mean 'endpoint health'?");
	refuse("mov-leader 3", "did you mean 'move-leader'?");
	refuse("member list x", "Usage: conclavectl member list");
	refuse("member add 3", "Usage: conclavectl member add ID HOST:PORT");
	refuse("member list --limit 3", "member list does not take --limit");
}
END_TEST

START_TEST(a_wrong_id_or_address_says_what_it_may_be)
{
	refuse("member add 0 a:1", "id is a number above 0, not '0'");
	refuse("member promote x", "id is a number above 0, not 'x'");
	refuse("member remove -- -1", "id is a number above 0, not '-1'");
	refuse("member update 0 a:1", "id is a number above 0");
	refuse("member replace 1 0", "id is a number above 0");
	refuse("member replace 0 1", "id is a number above 0");
	refuse("move-leader x", "id is a number above 0");
	refuse("member add 3 host", "an address is HOST:PORT");
	refuse("member add 3 :70", "an address is HOST:PORT");
	refuse("member add 3 host:", "an address is HOST:PORT");
	refuse("member add 3 host:0", "an address is HOST:PORT");
	refuse("member add 3 host:65536", "an address is HOST:PORT");
	refuse("member add 3 ::1:70", "an address is HOST:PORT");
	refuse("member update 3 host:x", "an address is HOST:PORT");
	refuse("member add 3 "
	       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	       "aaaaaa:7",
	       "an address is HOST:PORT, at most 127 bytes");
}
END_TEST

START_TEST(a_group_alone_shows_its_commands)
{
	ck_assert_int_eq(ctl("member"), CTL_USAGE);
	has("Usage: conclavectl member COMMAND");
	has("  member promote ");
	ck_assert_ptr_null(strstr(out, "  endpoint "));
	ck_assert_int_eq(ctl("endpoint --help"), CTL_OK);
	has("  endpoint hash ");
	ck_assert_ptr_null(strstr(out, "  member "));
	ck_assert_int_eq(ctl("--help"), CTL_OK);
	has("  member promote ");
	has("  move-leader ");
	has("  endpoint hash ");
	ck_assert_int_eq(ctl("member add --help"), CTL_OK);
	has("Usage: conclavectl member add ID HOST:PORT");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ctl member");
	TCase *t = tcase_create("members");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_member_is_added_promoted_updated_and_removed);
	tcase_add_test(t, a_member_is_replaced_in_one_step);
	tcase_add_test(t, columns_are_as_wide_as_what_stands_in_them);
	tcase_add_test(t, who_does_not_lead_does_not_know_how_far_others_are);
	tcase_add_test(t, members_have_the_three_forms);
	tcase_add_test(t,
		       a_refused_change_is_status_3_and_says_what_to_look_at);
	tcase_add_test(t, a_change_in_doubt_is_status_4_without_a_hint);
	tcase_add_test(t, leadership_that_does_not_move_is_status_4);
	tcase_add_test(t, health_is_a_read_that_comes_through);
	tcase_add_test(t, who_cannot_read_in_time_is_not_healthy);
	tcase_add_test(t, who_has_an_alarm_is_not_healthy);
	tcase_add_test(t, the_hash_stands_behind_the_index_that_it_is_of);
	tcase_add_test(t, endpoint_status_is_status);
	tcase_add_test(t, the_second_word_may_be_wrong_too);
	tcase_add_test(t, a_wrong_id_or_address_says_what_it_may_be);
	tcase_add_test(t, a_group_alone_shows_its_commands);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
