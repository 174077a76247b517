/*
 * What greetings tell of releases and of members that were removed, with both
 * engines.
 */
#include "tests/unit/support_members.h"

/* Version 3 is in force where the first member is. */
static void come_to_version_3(void)
{
	for (int i = 0; i < 2; i++) {
		members[i].node.version = 4;
		members[i].node.cluster_version = 3;
	}
}

START_TEST(an_older_release_than_the_cluster_agreed_on_is_refused)
{
	struct wire_greeting greeting;

	if (!open_members(_i, 1))
		return;
	come_to_version_3();
	fake_add(&members[0].node, 2, "");
	for (uint16_t version = 0; version < 3; version++) {
		greeting = greeting_of(2, 1, 0);
		greeting.version = version;
		reseal(&greeting);
		int fd = dial_member(&members[0]);
		ck_assert_int_eq(greet(1, fd, &greeting), WIRE_EOUTDATED);
		(void)close(fd);
	}
	ck_assert_uint_eq(
		times_said(&members[0], wire_refusal_text(WIRE_EOUTDATED)), 1);
	ck_assert_uint_eq(members[0].node.lanes[2][0].ups, 0);
	greeting = greeting_of(2, 1, 0);
	greeting.version = 3;
	reseal(&greeting);
	int fd = dial_member(&members[0]);
	ck_assert_int_eq(greet(1, fd, &greeting), WIRE_OK);
	turn_all(1);
	ck_assert_uint_eq(members[0].node.told_version[2], 3);
	(void)close(fd);
}
END_TEST

START_TEST(each_release_hears_of_the_other_whoever_dials)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	come_to_version_3();
	members[1].node.version = 2;
	members[1].node.cluster_version = 1;
	for (int i = 0; i < 300; i++) {
		clock_ns += 50000000;
		turn_all(2);
	}
	ck_assert(!all_up(2));
	/* Each says it once, whoever of the two refuses. */
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(
			times_said(&members[i], "no connection to peer"), 1);
		ck_assert_uint_eq(times_said(&members[i], "peer lost"), 0);
	}
	ck_assert_uint_ge(
		times_said(&members[0], wire_refusal_text(WIRE_EOUTDATED)), 1);
	ck_assert_uint_ge(
		times_said(&members[0], wire_refusal_text(WIRE_EBEHIND)), 1);
	ck_assert_uint_eq(
		times_said(&members[1], wire_refusal_text(WIRE_EOUTDATED)), 1);
	members[1].node.version = 3;
	for (int i = 0; i < 300 && !all_up(2); i++) {
		clock_ns += 50000000;
		turn_all(2);
	}
	ck_assert(all_up(2));
	ck_assert_uint_eq(members[0].node.told_version[2], 3);
	ck_assert_uint_eq(members[1].node.told_version[1], 4);
}
END_TEST

START_TEST(a_member_tells_how_large_an_entry_it_can_take)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	members[0].node.entry_max = 1000000;
	members[1].node.entry_max = 2000000;
	connect_all(2);
	ck_assert_uint_eq(members[0].node.told_entry_max[2], 2000000);
	ck_assert_uint_eq(members[1].node.told_entry_max[1], 1000000);
}
END_TEST

START_TEST(who_dials_and_was_removed_is_told_so_once)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	members[0].node.count = 0;
	members[0].node.change++;
	members[0].node.removed = 2;
	for (int i = 0; i < 300; i++) {
		clock_ns += 50000000;
		turn_all(2);
	}
	ck_assert(members[1].node.told_removed);
	ck_assert(!members[0].node.told_removed);
	ck_assert_uint_eq(times_said(&members[1], "no connection to peer"), 1);
	ck_assert_uint_eq(
		times_said(&members[1], wire_refusal_text(WIRE_EREMOVED)), 1);
}
END_TEST

/* Not everybody who answers may say so: it must be of the cluster. */
START_TEST(a_stranger_removes_nobody)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	members[0].node.count = 0;
	members[0].node.change++;
	members[0].node.removed = 2;
	members[1].peers.cluster[0] ^= 1;
	for (int i = 0; i < 100; i++) {
		clock_ns += 50000000;
		turn_all(2);
	}
	ck_assert(!members[1].node.told_removed);
	ck_assert_uint_eq(times_said(&members[1], "no connection to peer"), 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_older_release_than_the_cluster_agreed_on_is_refused,
		each_release_hears_of_the_other_whoever_dials,
		a_member_tells_how_large_an_entry_it_can_take,
		who_dials_and_was_removed_is_told_so_once,
		a_stranger_removes_nobody,
		NULL,
	};
	Suite *suite = suite_create("peers_version");

	suite_add_tcase(suite, case_of("versions", tests));
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
