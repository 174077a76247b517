/*
 * What three real daemons have agreed on: their cluster's version, settings
 * that rest on it, and who is a member no more. Who does not know is told.
 */
#include "tests/integration/support_peer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	ALL = 7, /* members, as bits */
	FIRST_TWO = 3,
	READS = 100,
	EXIT_REMOVED = 6,
	VERSION = 2, /* of the cluster, that this release can apply */
};

static void set_up(void)
{
	struct daemon_cluster *daemons = cluster_daemons();

	cluster_be_tidy();
	daemons->engines[1] = "--engine=plain";
	daemons->flags[0] = "--heartbeat-ms=50";
	daemons->flags[1] = "--election-ms=500";
}

/* As `conclavectl settings` reads them. */
static uint64_t setting(uint32_t i, const char *name)
{
	static struct conclave_pages pages;
	struct conclave_range range = {
		.key = "",
		.key_size = 1,
		.end = "",
		.end_size = 1,
		.flags = CV_SYSTEM,
	};
	struct conclave_kv kv;
	char text[32] = "";

	ck_assert_int_eq(
		conclave_range_begin(cluster_client(i), &range, &pages), 0);
	while (conclave_range_next(&pages, &kv) == 1)
		if (kv.key_size == strlen(name) &&
		    memcmp(kv.key, name, kv.key_size) == 0 &&
		    kv.value_size < sizeof(text))
			memcpy(text, kv.value, kv.value_size);
	conclave_range_end(&pages);
	return strtoull(text, NULL, 10);
}

static void await_version(uint32_t i)
{
	uint64_t deadline = cluster_now_ms() + PATIENCE_MS;

	while (setting(i, "cluster_version") != VERSION)
		cluster_rest(deadline);
}

START_TEST(a_leader_reads_under_its_lease_where_that_is_allowed)
{
	uint64_t deadline = cluster_now_ms() + PATIENCE_MS;
	struct cv_status before, after;
	uint32_t leader, i;

	cluster_start();
	leader = cluster_leader(ALL);
	await_version(leader);
	cluster_put(leader, "k", "v");
	cluster_check(leader, "k", "v");
	ck_assert_uint_eq(cluster_status(leader).lease_reads, 0);
	ck_assert_uint_gt(cluster_status(leader).read_rounds, 0);
	ck_assert_int_eq(
		conclave_setting(cluster_client(leader), "lease_reads", "1"),
		0);
	/* Where nobody stands still, that is nearly each read. */
	do {
		cluster_rest(deadline);
		leader = cluster_leader(ALL);
		before = cluster_status(leader);
		for (i = 0; i < READS; i++)
			cluster_check(leader, "k", "v");
		after = cluster_status(leader);
	} while (after.lease_reads < before.lease_reads + READS ||
		 after.read_rounds != before.read_rounds);
	/* The others ask as before. */
	i = (leader + 1) % DAEMON_MEMBERS;
	before = cluster_status(i);
	cluster_check(i, "k", "v");
	after = cluster_status(i);
	ck_assert_uint_gt(after.read_rounds, before.read_rounds);
	ck_assert_uint_eq(after.lease_reads, 0);
}
END_TEST

/* A daemon of an older release in the place of member 3. */
static struct wire_greeting greeting_of_old(const struct wire_greeting *heard)
{
	struct wire_greeting greeting = *heard;

	greeting.from = 3;
	greeting.to = heard->from;
	greeting.incarnation = 1;
	greeting.version = VERSION - 1;
	greeting.in_force = VERSION - 1;
	wire_greeting_seal(&greeting);
	return greeting;
}

START_TEST(a_member_of_an_older_release_is_refused)
{
	struct daemon_cluster *daemons = cluster_daemons();
	struct wire_greeting heard, old, answer;
	int door, theirs, ours;
	const char *log;

	cluster_start();
	(void)cluster_leader(ALL);
	await_version(0);
	await_version(1);
	cluster_kill(2);
	door = peer_door(3);
	theirs = accept(door, NULL, NULL);
	ck_assert_int_ge(theirs, 0);
	heard = peer_hear_greeting(theirs);
	ck_assert_uint_eq(heard.version, VERSION);
	ck_assert_uint_eq(heard.in_force, VERSION);
	ck_assert_uint_gt(heard.entry_max, 2000000);
	log = daemons->members[heard.from - 1].log;
	/* As the one that answers, and as the one that dials. */
	old = greeting_of_old(&heard);
	ck_assert_int_eq(send(theirs, &old, sizeof(old), 0), sizeof(old));
	cluster_await_said(log, "the release of who answers is older");
	ours = peer_dial(heard.from);
	ck_assert_int_eq(send(ours, &old, sizeof(old), 0), sizeof(old));
	answer = peer_hear_greeting(ours);
	ck_assert_int_eq(answer.status, WIRE_EOUTDATED);
	cluster_await_said(log, "the release of who dials is older");
	(void)close(ours);
	(void)close(theirs);
	(void)close(door);
	/* The real one comes back. */
	cluster_again(2);
	cluster_put(0, "k", "v");
	cluster_check(2, "k", "v");
}
END_TEST

START_TEST(a_member_that_was_removed_while_it_was_away_stops_and_says_why)
{
	struct daemon_process *third = &cluster_daemons()->members[2];
	int status;

	cluster_start();
	(void)cluster_leader(ALL);
	cluster_put(0, "k", "v");
	cluster_kill(2);
	(void)cluster_leader(FIRST_TWO);
	ck_assert_int_eq(conclave_member_remove(cluster_client(0), 3), 0);
	ck_assert_int_eq(daemon_process_again(third), 0);
	ck_assert_int_eq(waitpid(third->pid, &status, 0), third->pid);
	third->pid = 0;
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EXIT_REMOVED);
	cluster_await_said(third->log,
			   "this member was removed from its cluster");
	cluster_await_said(third->log, "next=");
	cluster_put(1, "k", "w");
	cluster_check(0, "k", "w");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("versions");
	TCase *tests = tcase_create("versions");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests,
		       a_leader_reads_under_its_lease_where_that_is_allowed);
	tcase_add_test(tests, a_member_of_an_older_release_is_refused);
	tcase_add_test(
		tests,
		a_member_that_was_removed_while_it_was_away_stops_and_says_why);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
