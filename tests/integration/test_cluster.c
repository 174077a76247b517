/*
 * Three real daemons are one cluster: whoever is killed, stopped or frozen,
 * and with whatever in flight, what was said to a client is true on every
 * member, and nothing stays in doubt.
 */
#include "tests/integration/support_cluster.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "shm/conclave.h"

enum {
	ALL = (1 << DAEMON_MEMBERS) - 1,
	BIG_SIZE = 60 << 10,
	BIG_COUNT = 200,
};

/* Two engines, mixed; short timeouts, since nobody here is slow. */
static void set_up(void)
{
	struct daemon_cluster *daemons = cluster_daemons();

	cluster_be_tidy();
	daemons->engines[0] = "--engine=auto";
	daemons->engines[1] = "--engine=plain";
	daemons->engines[2] = "--engine=auto";
	daemons->flags[0] = "--heartbeat-ms=50";
	daemons->flags[1] = "--election-ms=500";
}

static void fly_all(void)
{
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_fly(i);
}

static void settle_all(void)
{
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_settle(i);
	cluster_compare();
}

static void put_and_get_on_each(const char *engine)
{
	struct daemon_cluster *daemons = cluster_daemons();
	char value[2] = "";
	uint32_t i, k;

	for (i = 0; i < DAEMON_MEMBERS && engine; i++)
		daemons->engines[i] = engine;
	cluster_start();
	(void)cluster_leader(ALL);
	for (i = 0; i < DAEMON_MEMBERS; i++) {
		value[0] = (char)('a' + i);
		cluster_put(i, "k", value);
		for (k = 0; k < DAEMON_MEMBERS; k++)
			cluster_check(k, "k", value);
	}
	fly_all();
	settle_all();
	for (i = 0; i < DAEMON_MEMBERS; i++)
		ck_assert_uint_eq(cluster_not_applied(i), 0);
}

START_TEST(a_put_on_each_is_read_on_each_with_mixed_engines)
{
	put_and_get_on_each(NULL);
}
END_TEST

START_TEST(a_put_on_each_is_read_on_each_with_io_uring)
{
	if (support_has_uring())
		put_and_get_on_each("--engine=io_uring");
}
END_TEST

START_TEST(a_put_on_each_is_read_on_each_with_plain_engines)
{
	put_and_get_on_each("--engine=plain");
}
END_TEST

/* Kills with writes in flight on all, after `landed` of them came down. */
static void kill_in_flight(uint32_t victim, uint32_t landed)
{
	uint32_t other = (victim + 1) % DAEMON_MEMBERS;

	fly_all();
	cluster_await_landed(landed % 2 ? victim : other, landed);
	cluster_kill(victim);
	/* The others need not wait for it. */
	cluster_settle(other);
	cluster_again(victim);
	settle_all();
}

START_TEST(kills_of_leaders_leave_nothing_in_doubt)
{
	static const uint32_t moments[] = {0, 1, 40, 101};
	uint32_t i;

	cluster_start();
	for (i = 0; i < sizeof(moments) / sizeof(moments[0]); i++)
		kill_in_flight(cluster_leader(ALL), moments[i]);
}
END_TEST

START_TEST(a_killed_follower_is_not_missed_and_catches_up)
{
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t leader, victim;

	cluster_start();
	leader = cluster_leader(ALL);
	victim = (leader + 1) % DAEMON_MEMBERS;
	kill_in_flight(victim, 20);
	ck_assert_uint_eq(cluster_leader(ALL), leader);
	cluster_kill(victim);
	cluster_put(leader, "k", "meanwhile");
	ck_assert_int_eq(daemon_process_again(&daemons->members[victim]), 0);
	cluster_check(victim, "k", "meanwhile");
}
END_TEST

START_TEST(all_are_killed_at_once_and_nothing_is_lost)
{
	static const uint32_t moments[] = {0, 30, 150};
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t i, k;

	cluster_start();
	for (i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		(void)cluster_leader(ALL);
		fly_all();
		cluster_await_landed(i, moments[i]);
		for (k = 0; k < DAEMON_MEMBERS; k++)
			ck_assert_int_eq(kill(daemons->members[k].pid, SIGKILL),
					 0);
		for (k = 0; k < DAEMON_MEMBERS; k++)
			cluster_kill(k);
		for (k = 0; k < DAEMON_MEMBERS; k++)
			cluster_again(k);
		settle_all();
	}
}
END_TEST

START_TEST(a_leader_that_is_told_to_stop_fails_no_write)
{
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t round, leader, i;
	struct cv_status before;

	cluster_start();
	for (round = 0; round < 2; round++) {
		leader = cluster_leader(ALL);
		i = (leader + 1) % DAEMON_MEMBERS;
		before = cluster_status(i);
		for (i = 0; i < DAEMON_MEMBERS; i++)
			if (i != leader)
				cluster_fly(i);
		i = (leader + 1) % DAEMON_MEMBERS;
		cluster_await_landed(i, 20);
		ck_assert_int_eq(daemon_process_stop(&daemons->members[leader]),
				 0);
		ck_assert_uint_ne(cluster_leader(ALL & ~(1u << leader)),
				  leader);
		for (i = 0; i < DAEMON_MEMBERS; i++) {
			cluster_settle(i);
			ck_assert(i == leader || !cluster_not_applied(i));
		}
		/* Handed over: one election, of the next term. */
		i = (leader + 1) % DAEMON_MEMBERS;
		ck_assert_uint_eq(cluster_status(i).term, before.term + 1);
		cluster_again(leader);
		/* What its own client puts meanwhile waits for the next one. */
		cluster_put(leader, "k", "v");
		settle_all();
	}
}
END_TEST

/* Frozen with a question in its ring, and asked to answer long after. */
static void freeze(uint32_t frozen, const char *value)
{
	pid_t pid = cluster_daemons()->members[frozen].pid;
	struct conclave *client = cluster_client(frozen);
	struct conclave_result result;
	struct conclave_req *req;
	struct conclave_kv kv;
	uint32_t other;

	cluster_put(frozen, "k", "before");
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	other = cluster_leader(ALL & ~(1u << frozen));
	cluster_put(other, "k", value);
	req = conclave_get_req(client);
	ck_assert_ptr_nonnull(req);
	conclave_prep_get(req, "k", 1);
	ck_assert_int_eq(conclave_submit(client, req), 0);
	conclave_flush(client);
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	ck_assert_int_eq(conclave_wait(client, req, PATIENCE_MS), 0);
	ck_assert_int_eq(conclave_finish(client, req, &result), 0);
	ck_assert_int_eq(result.status, 0);
	ck_assert_int_eq(conclave_record_first(&result, &kv), 1);
	ck_assert_uint_eq(kv.value_size, strlen(value));
	ck_assert_mem_eq(kv.value, value, strlen(value));
	cluster_await_applied(frozen, conclave_revision(cluster_client(other)));
}

START_TEST(a_frozen_member_shows_nothing_stale_when_it_wakes)
{
	uint32_t round;

	cluster_start();
	for (round = 0; round < 2; round++)
		freeze(cluster_leader(ALL), "while the leader was frozen");
	freeze((cluster_leader(ALL) + 1) % DAEMON_MEMBERS,
	       "while a follower was frozen");
}
END_TEST

/* Until reads on the leader need no round; which one it is. */
static uint32_t await_lease(void)
{
	uint64_t deadline = cluster_now_ms() + PATIENCE_MS;
	uint64_t before;
	uint32_t leader;

	do {
		cluster_rest(deadline);
		leader = cluster_leader(ALL);
		before = cluster_status(leader).lease_reads;
		cluster_put(leader, "k", "leased");
		cluster_check(leader, "k", "leased");
	} while (cluster_status(leader).lease_reads == before);
	return leader;
}

START_TEST(a_frozen_leader_keeps_no_lease)
{
	uint32_t round;

	cluster_start();
	(void)cluster_leader(ALL);
	ck_assert_int_eq(
		conclave_setting(cluster_client(0), "lease_reads", "1"), 0);
	for (round = 0; round < 3; round++)
		freeze(await_lease(), "while the leader was frozen");
}
END_TEST

static void put_big(uint32_t i, uint32_t number)
{
	static uint8_t value[BIG_SIZE];
	char key[16];
	int size = snprintf(key, sizeof(key), "big/%u", number % 8);

	memset(value, (int)(number + 1), sizeof(value));
	ck_assert_int_eq(conclave_put(cluster_client(i), key, (size_t)size,
				      value, sizeof(value), NULL),
			 0);
}

START_TEST(a_member_that_lags_gets_an_image)
{
	static uint8_t found[BIG_SIZE];
	struct daemon_cluster *daemons = cluster_daemons();
	struct conclave_kv kv;
	uint32_t leader, lagging, i;
	char key[16];

	daemons->flags[2] = "--snapshot-after=1M";
	daemons->flags[3] = "--segment-size=1M";
	cluster_start();
	leader = cluster_leader(ALL);
	lagging = (leader + 1) % DAEMON_MEMBERS;
	cluster_put(lagging, "old", "value");
	cluster_kill(lagging);
	for (i = 0; i < BIG_COUNT; i++)
		put_big(leader, i);
	ck_assert_uint_gt(cluster_status(leader).snapshots, 1);
	cluster_again(lagging);
	for (i = BIG_COUNT - 8; i < BIG_COUNT; i++) {
		int size = snprintf(key, sizeof(key), "big/%u", i % 8);

		ck_assert_int_eq(conclave_get(cluster_client(lagging), key,
					      (size_t)size, found,
					      sizeof(found), &kv),
				 0);
		ck_assert_uint_eq(kv.value_size, BIG_SIZE);
		ck_assert_uint_eq(found[BIG_SIZE - 1], (uint8_t)(i + 1));
	}
	cluster_check(lagging, "old", "value");
	/* It did not write what it missed: it got what became of it. */
	ck_assert_uint_lt(cluster_status(lagging).log_bytes,
			  BIG_SIZE * BIG_COUNT / 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cluster");
	TCase *tests = tcase_create("cluster");
	TCase *image = tcase_create("image");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_set_timeout(image, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(image, set_up, NULL);
	tcase_add_test(tests, a_put_on_each_is_read_on_each_with_mixed_engines);
	tcase_add_test(tests, a_put_on_each_is_read_on_each_with_io_uring);
	tcase_add_test(tests, a_put_on_each_is_read_on_each_with_plain_engines);
	tcase_add_test(tests, kills_of_leaders_leave_nothing_in_doubt);
	tcase_add_test(tests, a_killed_follower_is_not_missed_and_catches_up);
	tcase_add_test(tests, all_are_killed_at_once_and_nothing_is_lost);
	tcase_add_test(tests, a_leader_that_is_told_to_stop_fails_no_write);
	tcase_add_test(tests,
		       a_frozen_member_shows_nothing_stale_when_it_wakes);
	tcase_add_test(tests, a_frozen_leader_keeps_no_lease);
	tcase_add_test(image, a_member_that_lags_gets_an_image);
	suite_add_tcase(suite, tests);
	suite_add_tcase(suite, image);
	return support_main(suite);
}
