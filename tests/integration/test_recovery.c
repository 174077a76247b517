/*
 * The daemon is killed with some 24 MiB in flight and started again before
 * the dead one was reaped, so its last writes may still be landing; or it is
 * told to stop. Whatever was acknowledged is there, whatever was in doubt is
 * settled one way, and a look agrees.
 */
#include "tests/integration/support.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "shm/conclave.h"

enum {
	HANDLES = 4,
	REQUESTS = 108, /* of each handle */
	VALUE_SIZE = 60 << 10,
	RING_SIZE = 8 << 20,
	KEY_ROOM = 64,
	TRIES = 8, /* of 7 s each: waiting for the daemon to come back */
};

enum fate {
	FATE_FLYING = 0,
	FATE_ACKNOWLEDGED,
	FATE_SETTLED_APPLIED,
	FATE_NOT_APPLIED,
};

static struct daemon_process daemon_;
static struct conclave *handles[HANDLES];
static uint8_t fates[HANDLES][REQUESTS];
static uint8_t value[VALUE_SIZE];
static uint8_t found[VALUE_SIZE];
static uint32_t acknowledged;
static uint32_t round_;

static size_t make_key(uint32_t handle, uint32_t number, char key[KEY_ROOM])
{
	return (size_t)snprintf(key, KEY_ROOM, "flight/%u/%u/%u", round_,
				handle, number);
}

static void make_value(uint32_t handle, uint32_t number)
{
	uint32_t word = (round_ << 24) ^ (handle << 16) ^ number;

	for (uint32_t i = 0; i < VALUE_SIZE; i++) {
		word = word * 1664525 + 1013904223;
		value[i] = (uint8_t)(word >> 24);
	}
}

static void open_handles(void)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = daemon_.socket;
	options.slots = 128;
	options.proposal_size = RING_SIZE;
	options.request_max = VALUE_SIZE + KEY_ROOM;
	for (int i = 0; i < HANDLES; i++)
		ck_assert_int_eq(conclave_open(&handles[i], &options), 0);
}

static void close_handles(void)
{
	for (int i = 0; i < HANDLES; i++)
		conclave_close(handles[i]);
}

static void submit_all(uint32_t handle)
{
	for (uint32_t i = 0; i < REQUESTS; i++) {
		char key[KEY_ROOM];
		size_t size = make_key(handle, i, key);
		struct conclave_req *req = conclave_get_req(handles[handle]);
		ck_assert_ptr_nonnull(req);
		make_value(handle, i);
		conclave_prep_put(req, key, size, value, VALUE_SIZE);
		conclave_req_set_user_data(req, i);
		ck_assert_int_eq(conclave_submit(handles[handle], req), 0);
	}
	conclave_flush(handles[handle]);
}

static void note(uint32_t handle, struct conclave_req *req)
{
	struct conclave_result result;
	uint64_t number = conclave_req_user_data(req);

	ck_assert_int_eq(conclave_finish(handles[handle], req, &result), 0);
	ck_assert_uint_eq(fates[handle][number], FATE_FLYING);
	if (result.status == 0 && result.flags & CONCLAVE_RESULT_REPEATED) {
		fates[handle][number] = FATE_SETTLED_APPLIED;
	} else if (result.status == 0) {
		fates[handle][number] = FATE_ACKNOWLEDGED;
		acknowledged++;
	} else {
		ck_assert_int_eq(result.status, CONCLAVE_ENOTAPPLIED);
		fates[handle][number] = FATE_NOT_APPLIED;
	}
}

/* Takes in results until `count` writes are acknowledged. */
static void take_until(uint32_t count)
{
	while (acknowledged < count) {
		for (uint32_t i = 0; i < HANDLES; i++) {
			struct conclave_req *req = conclave_next(handles[i]);
			if (req)
				note(i, req);
		}
	}
}

/* Kills, and starts the next one before the last has been reaped. */
static void replace_daemon(void)
{
	pid_t dead = daemon_.pid;

	ck_assert_int_eq(kill(dead, SIGKILL), 0);
	ck_assert_int_eq(daemon_process_again(&daemon_), 0);
	ck_assert_int_eq(waitpid(dead, NULL, 0), dead);
}

/* The stop is clean whatever is in flight: taken is answered, the rest waits
 * in the rings for the next one. */
static void stop_daemon_and_go_on(void)
{
	ck_assert_int_eq(daemon_process_stop(&daemon_), 0);
	ck_assert_int_eq(daemon_process_again(&daemon_), 0);
}

/* Every request that is still flying comes down. */
static void settle(uint32_t handle)
{
	int tries = 0;

	while (tries < TRIES) {
		struct conclave_req *req;
		int code = conclave_wait_any(handles[handle], -1, &req);
		if (code == -ENOENT)
			return;
		if (code == CONCLAVE_ESTOPPED || code == CONCLAVE_EDEADLINE) {
			tries++;
			continue;
		}
		ck_assert_int_eq(code, 0);
		note(handle, req);
	}
	ck_abort_msg("requests stayed in doubt");
}

/* What is stored agrees with what was said. */
static void compare_one(uint32_t handle, uint32_t number)
{
	struct conclave_kv kv = {0};
	char key[KEY_ROOM];
	size_t size = make_key(handle, number, key);
	int code = conclave_get(handles[handle], key, size, found,
				sizeof(found), &kv);

	ck_assert_uint_ne(fates[handle][number], FATE_FLYING);
	if (fates[handle][number] == FATE_NOT_APPLIED) {
		ck_assert_int_eq(code, CONCLAVE_ENOTFOUND);
		return;
	}
	ck_assert_msg(code == 0, "%s: %s", key, conclave_strerror(code));
	make_value(handle, number);
	ck_assert_uint_eq(kv.value_size, VALUE_SIZE);
	ck_assert_mem_eq(found, value, VALUE_SIZE);
	ck_assert_uint_eq(kv.version, 1);
}

static void compare(uint32_t handle)
{
	for (uint32_t i = 0; i < REQUESTS; i++)
		compare_one(handle, i);
}

static void fly_and(void (*replace)(void), uint32_t until)
{
	memset(fates, FATE_FLYING, sizeof(fates));
	acknowledged = 0;
	for (uint32_t i = 0; i < HANDLES; i++)
		submit_all(i);
	take_until(until);
	replace();
	for (uint32_t i = 0; i < HANDLES; i++)
		settle(i);
	for (uint32_t i = 0; i < HANDLES; i++)
		compare(i);
}

static void go_through(const char *engine, void (*replace)(void))
{
	static const uint32_t moments[] = {0, 1, 40, 200, 400};

	daemon_.program = support_conclaved();
	daemon_.flags[0] = engine;
	daemon_.flags[1] = NULL;
	ck_assert_int_eq(daemon_process_start(&daemon_, support_folder()), 0);
	open_handles();
	for (round_ = 0; round_ < sizeof(moments) / sizeof(moments[0]);
	     round_++)
		fly_and(replace, moments[round_]);
	close_handles();
	ck_assert_int_eq(daemon_process_stop(&daemon_), 0);
}

static void remove_daemon(void)
{
	daemon_process_remove(&daemon_);
}

/* Each test is a process of its own, and ends here, passed or not. */
static void be_tidy(void)
{
	ck_assert_int_eq(atexit(remove_daemon), 0);
}

START_TEST(what_was_acknowledged_survives_kill_on_io_uring)
{
	if (support_has_uring())
		go_through("--engine=io_uring", replace_daemon);
}
END_TEST

START_TEST(what_was_acknowledged_survives_kill_on_the_plain_engine)
{
	go_through("--engine=plain", replace_daemon);
}
END_TEST

START_TEST(a_clean_stop_loses_nothing_on_io_uring)
{
	if (support_has_uring())
		go_through("--engine=io_uring", stop_daemon_and_go_on);
}
END_TEST

START_TEST(a_clean_stop_loses_nothing_on_the_plain_engine)
{
	go_through("--engine=plain", stop_daemon_and_go_on);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recovery");
	TCase *tests = tcase_create("recovery");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, be_tidy, NULL);
	tcase_add_test(tests, what_was_acknowledged_survives_kill_on_io_uring);
	tcase_add_test(tests,
		       what_was_acknowledged_survives_kill_on_the_plain_engine);
	tcase_add_test(tests, a_clean_stop_loses_nothing_on_io_uring);
	tcase_add_test(tests, a_clean_stop_loses_nothing_on_the_plain_engine);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
