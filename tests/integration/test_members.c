/*
 * Real daemons come into a cluster and leave it: each change as a person
 * makes it, with the daemons that live by it.
 */
#include "tests/integration/support_cluster.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "shm/conclave.h"

enum {
	ALL = 7, /* members, as bits */
	JOINER = 3, /* its index; its id is one more */
	EXIT_REMOVED = 6,
};

static struct daemon_process joiner;
static struct conclave *joined; /* a client of it */
static char address[64];
static char own[2][DAEMON_FLAG_MAX];

static void remove_joiner(void)
{
	daemon_process_kill(&joiner);
	if (joiner.data[0])
		daemon_process_remove(&joiner);
}

static void set_up(void)
{
	struct daemon_cluster *daemons = cluster_daemons();

	cluster_be_tidy();
	ck_assert_int_eq(atexit(remove_joiner), 0);
	daemons->engines[1] = "--engine=plain";
	daemons->flags[0] = "--heartbeat-ms=50";
	daemons->flags[1] = "--election-ms=500";
}

static struct conclave_options options_of(const char *socket)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = socket;
	options.open_wait_ms = PATIENCE_MS;
	options.timeout_ms = PATIENCE_MS;
	return options;
}

/* The command line of member 4: that of the first, but for what is its own. */
static void start_joiner(void)
{
	const struct daemon_process *first = &cluster_daemons()->members[0];
	struct conclave_options options;
	uint32_t i, count = 0;

	joiner = *first;
	ck_assert_int_eq(daemon_process_prepare(&joiner, support_folder()), 0);
	(void)snprintf(joiner.log, sizeof(joiner.log), "%.64s/log", joiner.run);
	(void)snprintf(own[0], sizeof(own[0]), "--member=%d", JOINER + 1);
	(void)snprintf(own[1], sizeof(own[1]), "--peer-listen=%s", address);
	joiner.flags[1] = own[0];
	joiner.flags[2] = own[1];
	for (i = 0; first->flags[i]; i++)
		count++;
	joiner.flags[count++] = "--join";
	joiner.flags[count] = NULL;
	ck_assert_int_eq(daemon_process_again(&joiner), 0);
	ck_assert_int_eq(daemon_process_wait(&joiner), 0);
	options = options_of(joiner.socket);
	ck_assert_int_eq(conclave_open(&joined, &options), 0);
}

/* A change that is refused until the new member has caught up. */
static void await_done(int (*change)(void))
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;
	int code;

	while ((code = change()) == CONCLAVE_EMEMBERSHIP)
		cluster_rest(deadline_ms);
	ck_assert_msg(code == 0, "%s", conclave_strerror(code));
}

static uint32_t asked_on; /* whose client asks */
static uint64_t gone; /* who is to go */

static int promote(void)
{
	return conclave_member_promote(cluster_client(asked_on), JOINER + 1);
}

static int replace(void)
{
	return conclave_member_replace(cluster_client(asked_on), gone,
				       JOINER + 1);
}

static void add_joiner(void)
{
	int port = daemon_free_port();

	ck_assert_int_gt(port, 0);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	cluster_start();
	asked_on = cluster_leader(ALL);
	cluster_put(asked_on, "k", "before");
	ck_assert_int_eq(conclave_member_add(cluster_client(asked_on),
					     JOINER + 1, address),
			 0);
	/* It has nothing yet, and nobody counts on it. */
	ck_assert_int_eq(promote(), CONCLAVE_EMEMBERSHIP);
	start_joiner();
}

static void expect_joined(const char *key, const char *value)
{
	char found[64] = "";
	struct conclave_kv kv;

	ck_assert_int_eq(conclave_get(joined, key, strlen(key), found,
				      sizeof(found) - 1, &kv),
			 0);
	ck_assert_str_eq(found, value);
}

/* It ends by itself, and says why and what to do. */
static void expect_removed(struct daemon_process *daemon)
{
	int status;

	ck_assert_int_eq(waitpid(daemon->pid, &status, 0), daemon->pid);
	daemon->pid = 0;
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EXIT_REMOVED);
	cluster_await_said(daemon->log,
			   "this member was removed from its cluster");
	cluster_await_said(daemon->log, "next=\"delete its data folder");
}

START_TEST(a_member_joins_is_promoted_and_leads)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;
	struct cv_status status;
	uint32_t first, i;
	int code;

	add_joiner();
	await_done(promote);
	expect_joined("k", "before");
	first = cluster_leader(ALL);
	do { /* Begun, and given up while it is not quite ready. */
		cluster_rest(deadline_ms);
		code = conclave_move_leader(cluster_client(first), JOINER + 1);
		ck_assert(code == 0 || code == CONCLAVE_ENOLEADER);
	} while (cluster_leader(ALL | 1 << JOINER) != JOINER);
	ck_assert_int_eq(conclave_status(joined, &status), 0);
	ck_assert_uint_eq(status.leader, JOINER + 1);
	/* Four of four vote: three go on without any one of them. */
	cluster_kill(first);
	i = (first + 1) % DAEMON_MEMBERS;
	cluster_put(i, "k", "after");
	expect_joined("k", "after");
	/* A leader that is removed says so, too, and others lead. */
	cluster_again(first);
	cluster_put(first, "k", "again");
	ck_assert_int_eq(conclave_member_remove(cluster_client(i), JOINER + 1),
			 0);
	expect_removed(&joiner);
	(void)cluster_leader(ALL);
	cluster_put(i, "k", "alone");
	cluster_check(first, "k", "alone");
}
END_TEST

static bool is_linked(uint32_t on, uint64_t id)
{
	static struct conclave_members members;
	struct conclave_member member;
	bool linked = false;

	ck_assert_int_eq(conclave_members_begin(cluster_client(on), &members),
			 0);
	while (conclave_members_next(&members, &member) == 1)
		if (member.id == id)
			linked = (member.flags & CV_MEMBER_LINKED) != 0;
	conclave_members_end(&members);
	return linked;
}

/* The kernel hangs up for it a little after it died. */
static void await_missed(uint32_t on, uint64_t id)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;

	while (is_linked(on, id))
		cluster_rest(deadline_ms);
}

START_TEST(a_member_that_runs_is_replaced_and_stops_by_itself)
{
	uint32_t leader, rest;

	add_joiner();
	leader = cluster_leader(ALL);
	asked_on = leader;
	gone = (leader + 1) % DAEMON_MEMBERS + 1;
	await_done(replace);
	expect_removed(&cluster_daemons()->members[gone - 1]);
	cluster_put(leader, "k", "replaced");
	expect_joined("k", "replaced");
	/* Its vote counts: with the third one away two of three go on. */
	rest = (leader + 2) % DAEMON_MEMBERS;
	cluster_kill(rest);
	cluster_put(leader, "k", "by two");
	expect_joined("k", "by two");
	/* No majority would answer without it. */
	await_missed(leader, rest + 1);
	ck_assert_int_eq(
		conclave_member_remove(cluster_client(leader), JOINER + 1),
		CONCLAVE_EMEMBERSHIP);
	cluster_put(leader, "k", "still by two");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("members");
	TCase *tests = tcase_create("members");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, a_member_joins_is_promoted_and_leads);
	tcase_add_test(tests,
		       a_member_that_runs_is_replaced_and_stops_by_itself);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
