/*
 * The client when its own calls fail, one after the other, and when it dies
 * at each touch of a shared word: nothing leaks, nothing crashes, and the
 * daemon goes on.
 */
#define CONCLAVE_SIM_ENV 1
#include <check.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "shm/conclave.h"
#include "tests/unit/support_env.h"
#include "tests/unit/support_peer.h"

static struct peer *peer;

static void setup(void)
{
	peer = peer_new(NULL);
	peer_start(peer);
}

static void teardown(void)
{
	peer_free(peer);
}

static int open_client(struct conclave **ret_conclave, uint32_t timeout_ms)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = peer_path(peer);
	options.timeout_ms = timeout_ms;
	options.open_wait_ms = timeout_ms;
	options.slots = 4;
	return conclave_open(ret_conclave, &options);
}

/* A little of everything; every error is the client's to return. */
static void use(struct conclave *c)
{
	struct conclave_req *req;
	struct conclave_kv kv;
	char buffer[16];
	int status;

	status = conclave_put(c, "k", 1, "v", 1, NULL);
	ck_assert_int_le(status, 0);
	status = conclave_get(c, "k", 1, buffer, sizeof(buffer), &kv);
	ck_assert_int_le(status, 0);
	req = conclave_get_req(c);
	if (req != NULL) {
		conclave_prep_put(req, "l", 1, "v", 1);
		if (conclave_submit(c, req) == 0)
			(void)!conclave_cancel(c, req);
		conclave_abandon(c, req);
	}
	req = conclave_get_req(c);
	if (req != NULL) {
		conclave_prep_get(req, "l", 1);
		if (conclave_submit(c, req) == 0)
			(void)!conclave_wait(c, req, 1000);
		conclave_abandon(c, req);
	}
	(void)!conclave_eventfd(c);
	(void)!conclave_arm(c, &status);
}

START_TEST(every_call_that_fails_in_open_gives_an_error_and_leaks_nothing)
{
	struct conclave *c = NULL;
	uint64_t n;
	bool more;
	int status;

	for (n = 1, more = true; more; n++) {
		env_fail_nth(n);
		status = open_client(&c, 0);
		more = env_failed();
		env_fail_nth(0);
		/* What can be tried again may succeed all the same. */
		ck_assert_int_le(status, 0);
		if (status == 0)
			conclave_close(c);
		ck_assert_uint_eq(env_open_fds(), 0);
		ck_assert_uint_eq(env_open_maps(), 0);
	}
	ck_assert_uint_gt(n, 10);
}
END_TEST

START_TEST(every_call_that_fails_in_use_is_survived)
{
	struct conclave *c;
	uint64_t n;
	bool more;

	for (n = 1, more = true; more; n++) {
		ck_assert_int_eq(open_client(&c, 20000), 0);
		env_fail_nth(n);
		use(c);
		more = env_failed();
		env_fail_nth(0);
		/* Whatever it was, the handle still works. */
		ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, NULL), 0);
		conclave_close(c);
		ck_assert_uint_eq(env_open_fds(), 0);
		ck_assert_uint_eq(env_open_maps(), 0);
	}
	ck_assert_uint_gt(n, 3);
}
END_TEST

/* A put that was applied and not posted when the daemon died. */
static struct conclave_req *doubt(struct conclave *c)
{
	uint64_t applied = peer_counts(peer).applied;
	struct conclave_req *req = conclave_get_req(c);

	ck_assert_ptr_nonnull(req);
	peer_set_hold(peer, PEER_HOLD_POST);
	conclave_prep_put(req, "k", 1, "v", 1);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	conclave_flush(c);
	peer_await_applied(peer, applied + 1);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_restart(peer);
	return req;
}

START_TEST(every_call_that_fails_in_settling_is_survived)
{
	struct conclave_result result;
	struct conclave_req *req;
	struct conclave *c;
	uint64_t n;
	bool more;

	for (n = 1, more = true; more; n++) {
		ck_assert_int_eq(open_client(&c, 20000), 0);
		req = doubt(c);
		env_fail_nth(n);
		ck_assert_int_eq(conclave_wait(c, req, -1), 0);
		more = env_failed();
		env_fail_nth(0);
		ck_assert_int_eq(conclave_finish(c, req, &result), 0);
		ck_assert_int_eq(result.status, 0);
		conclave_close(c);
		ck_assert_uint_eq(env_open_fds(), 0);
		ck_assert_uint_eq(env_open_maps(), 0);
	}
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_eq(peer_revision(peer), n);
}
END_TEST

/* A process that lives a little, and dies at that touch: 1; 0: it did not. */
static int live_until(uint64_t touch)
{
	struct conclave *c;
	pid_t child;
	int status;

	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		env_die_at(touch);
		if (open_client(&c, 20000) != 0)
			_exit(1);
		use(c);
		conclave_close(c);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == ENV_DIED);
	return WEXITSTATUS(status) == ENV_DIED;
}

START_TEST(a_client_may_die_at_any_touch_of_a_shared_word)
{
	struct peer_counts counts;
	struct conclave *c;
	uint64_t n = 1;

	/* Spinning makes the number of touches endless: past enough. */
	while (n < 300 && live_until(n)) {
		ck_assert_int_eq(open_client(&c, 20000), 0);
		ck_assert_int_eq(conclave_put(c, "x", 1, "y", 1, NULL), 0);
		conclave_close(c);
		n++;
	}
	ck_assert_uint_gt(n, 30);
	counts = peer_counts(peer);
	ck_assert_uint_eq(counts.expelled, 0);
	ck_assert_uint_eq(counts.taken, counts.posted);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client_faults");
	TCase *t = tcase_create("faults");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(
		t,
		every_call_that_fails_in_open_gives_an_error_and_leaks_nothing);
	tcase_add_test(t, every_call_that_fails_in_use_is_survived);
	tcase_add_test(t, every_call_that_fails_in_settling_is_survived);
	tcase_add_test(t, a_client_may_die_at_any_touch_of_a_shared_word);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
