/* See tests/integration/support_cluster.h. */
#include "tests/integration/support_cluster.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	KEY_ROOM = 64,
	VALUE_SIZE = 256,
	REST_US = 2000,
};

enum fate {
	FATE_FLYING = 0,
	FATE_APPLIED,
	FATE_NOT_APPLIED,
};

static struct daemon_cluster daemons;
static struct conclave *clients[DAEMON_MEMBERS];
static uint8_t fates[DAEMON_MEMBERS][FLIGHTS];
static uint32_t applied[DAEMON_MEMBERS];
static uint32_t flown[DAEMON_MEMBERS];

struct daemon_cluster *cluster_daemons(void)
{
	return &daemons;
}

struct conclave *cluster_client(uint32_t i)
{
	return clients[i];
}

uint64_t cluster_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void cluster_rest(uint64_t deadline_ms)
{
	ck_assert_msg(cluster_now_ms() < deadline_ms,
		      "what must come did not come");
	(void)usleep(REST_US);
}

static void tidy(void)
{
	daemon_cluster_remove(&daemons);
}

void cluster_be_tidy(void)
{
	ck_assert_int_eq(atexit(tidy), 0);
	daemons.program = support_conclaved();
}

void cluster_open(uint32_t i)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = daemons.members[i].socket;
	options.proposal_size = 1 << 20;
	options.open_wait_ms = PATIENCE_MS;
	options.timeout_ms = PATIENCE_MS;
	ck_assert_int_eq(conclave_open(&clients[i], &options), 0);
}

void cluster_start(void)
{
	uint32_t i;

	ck_assert_int_eq(daemon_cluster_prepare(&daemons, support_folder()), 0);
	ck_assert_int_eq(daemon_cluster_run(&daemons), 0);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_open(i);
}

void cluster_kill(uint32_t i)
{
	daemon_process_kill(&daemons.members[i]);
}

void cluster_again(uint32_t i)
{
	ck_assert_int_eq(daemon_process_again(&daemons.members[i]), 0);
}

/* The leader that this member knows, by its index; -1: none. */
static int known_leader(uint32_t i)
{
	struct cv_status status;

	if (conclave_status(clients[i], &status) != 0)
		return -1;
	return (int)status.leader - 1;
}

static int agreed_leader(uint32_t among)
{
	int leader = -1;
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		int known = among >> i & 1 ? known_leader(i) : leader;

		if (known < 0 && among >> i & 1)
			return -1;
		if (leader >= 0 && known != leader)
			return -1;
		leader = known;
	}
	return leader >= 0 && among >> leader & 1 ? leader : -1;
}

uint32_t cluster_leader(uint32_t among)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;
	int leader;

	while ((leader = agreed_leader(among)) < 0)
		cluster_rest(deadline_ms);
	return (uint32_t)leader;
}

void cluster_put(uint32_t i, const char *key, const char *value)
{
	int code = conclave_put(clients[i], key, strlen(key), value,
				strlen(value), NULL);

	ck_assert_msg(code == 0, "put at member %u: %s", i + 1,
		      conclave_strerror(code));
}

void cluster_check(uint32_t i, const char *key, const char *value)
{
	struct conclave_kv kv = {0};
	char found[VALUE_SIZE] = "";
	int code = conclave_get(clients[i], key, strlen(key), found,
				sizeof(found) - 1, &kv);

	ck_assert_msg(code == 0, "get at member %u: %s", i + 1,
		      conclave_strerror(code));
	ck_assert_str_eq(found, value);
}

bool cluster_said(const char *log, const char *text)
{
	static char lines[1 << 20];
	FILE *file = fopen(log, "r");
	size_t size;

	if (!file)
		return false;
	size = fread(lines, 1, sizeof(lines) - 1, file);
	(void)fclose(file);
	lines[size] = '\0';
	return strstr(lines, text) != NULL;
}

void cluster_await_said(const char *log, const char *text)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;

	while (!cluster_said(log, text)) {
		ck_assert_msg(cluster_now_ms() < deadline_ms,
			      "%s never says: %s", log, text);
		cluster_rest(deadline_ms);
	}
}

struct cv_status cluster_status(uint32_t i)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;
	struct cv_status status;

	while (conclave_status(clients[i], &status) != 0)
		cluster_rest(deadline_ms);
	return status;
}

void cluster_await_applied(uint32_t i, uint64_t revision)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;

	while (cluster_status(i).revision < revision)
		cluster_rest(deadline_ms);
}

/* ---- writes in flight ---- */

static size_t make_key(uint32_t i, uint32_t number, char key[KEY_ROOM])
{
	return (size_t)snprintf(key, KEY_ROOM, "flight/%u/%u/%u", flown[i], i,
				number);
}

static void make_value(uint32_t i, uint32_t number, uint8_t value[VALUE_SIZE])
{
	uint32_t word = (flown[i] << 24) ^ (i << 16) ^ number, k;

	for (k = 0; k < VALUE_SIZE; k++) {
		word = word * 1664525 + 1013904223;
		value[k] = (uint8_t)(word >> 24);
	}
}

void cluster_fly(uint32_t i)
{
	uint8_t value[VALUE_SIZE];
	char key[KEY_ROOM];
	uint32_t number;

	flown[i]++;
	applied[i] = 0;
	memset(fates[i], FATE_FLYING, sizeof(fates[i]));
	for (number = 0; number < FLIGHTS; number++) {
		struct conclave_req *req = conclave_get_req(clients[i]);

		ck_assert_ptr_nonnull(req);
		make_value(i, number, value);
		conclave_prep_put(req, key, make_key(i, number, key), value,
				  VALUE_SIZE);
		conclave_req_set_user_data(req, number);
		ck_assert_int_eq(conclave_submit(clients[i], req), 0);
	}
	conclave_flush(clients[i]);
}

static void land(uint32_t i, struct conclave_req *req)
{
	struct conclave_result result;
	uint64_t number = conclave_req_user_data(req);

	ck_assert_int_eq(conclave_finish(clients[i], req, &result), 0);
	ck_assert_uint_eq(fates[i][number], FATE_FLYING);
	if (result.status == 0) {
		fates[i][number] = FATE_APPLIED;
		applied[i]++;
		return;
	}
	ck_assert_msg(conclave_error_kind(result.status) ==
			      CONCLAVE_NOT_APPLIED,
		      "unknown: %s", conclave_strerror(result.status));
	fates[i][number] = FATE_NOT_APPLIED;
}

/* The next one that comes down; false: none flies. */
static bool land_next(uint32_t i, uint64_t deadline_ms)
{
	struct conclave_req *req;
	int code = conclave_wait_any(clients[i], 1000, &req);

	if (code == -ENOENT)
		return false;
	if (code == 0)
		land(i, req);
	else
		ck_assert_msg(code == CONCLAVE_ESTOPPED ||
				      code == CONCLAVE_EDEADLINE ||
				      code == -ETIMEDOUT,
			      "waiting: %s", conclave_strerror(code));
	ck_assert_msg(code == 0 || cluster_now_ms() < deadline_ms,
		      "writes of member %u stay in doubt", i + 1);
	return true;
}

void cluster_await_landed(uint32_t i, uint32_t count)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;

	while (applied[i] < count)
		ck_assert(land_next(i, deadline_ms));
}

void cluster_settle(uint32_t i)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;

	while (land_next(i, deadline_ms))
		;
}

uint32_t cluster_not_applied(uint32_t i)
{
	uint32_t number, count = 0;

	for (number = 0; number < FLIGHTS; number++)
		count += fates[i][number] == FATE_NOT_APPLIED;
	return count;
}

/* What `at` has of a write agrees with what `from` was told about it. */
static void compare_one(uint32_t at, uint32_t from, uint32_t number)
{
	uint8_t value[VALUE_SIZE], found[VALUE_SIZE];
	struct conclave_kv kv = {0};
	char key[KEY_ROOM];
	size_t size = make_key(from, number, key);
	int code =
		conclave_get(clients[at], key, size, found, sizeof(found), &kv);

	ck_assert_uint_ne(fates[from][number], FATE_FLYING);
	if (fates[from][number] == FATE_NOT_APPLIED) {
		ck_assert_int_eq(code, CONCLAVE_ENOTFOUND);
		return;
	}
	ck_assert_msg(code == 0, "%s at member %u: %s", key, at + 1,
		      conclave_strerror(code));
	make_value(from, number, value);
	ck_assert_uint_eq(kv.value_size, VALUE_SIZE);
	ck_assert_mem_eq(found, value, VALUE_SIZE);
	ck_assert_uint_eq(kv.version, 1);
}

void cluster_compare(void)
{
	uint32_t at, from, number;

	for (at = 0; at < DAEMON_MEMBERS; at++)
		for (from = 0; from < DAEMON_MEMBERS; from++)
			for (number = 0; flown[from] && number < FLIGHTS;
			     number++)
				compare_one(at, from, number);
}
