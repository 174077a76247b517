/*
 * What clients of a cluster do: writers keep writes in flight at an even
 * rate, counters increment two counters by turns, their own and one that all
 * share. When their daemon is killed they wait for the next one and ask what
 * became of what was in flight; nothing else is needed.
 */
#define _GNU_SOURCE
#include "tests/demo/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/conclave.h"

enum {
	KEY_ROOM = 64,
	NUMBER_ROOM = 32,
	FLYING_MAX = 128,
	DEADLINE_MS = 120000, /* longer than any daemon is away */
	LOOK_MS = 2, /* for outcomes, when nothing is due */
};

int cluster_open(struct cluster_demo *demo, uint32_t member,
		 uint32_t timeout_ms, struct conclave **ret_client)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = demo->daemons.members[member].socket;
	options.name = "demo";
	options.reply_size = 2 << 20;
	options.timeout_ms = timeout_ms;
	options.open_wait_ms = timeout_ms;
	return conclave_open(ret_client, &options);
}

size_t cluster_key(uint32_t writer, uint64_t number, char key[64])
{
	return (size_t)snprintf(key, KEY_ROOM, "load/%u/%08llu", writer,
				(unsigned long long)number);
}

static bool is_over(const struct cluster_demo *demo)
{
	return demo_now_ns() - demo->start_ns >
	       (uint64_t)demo->plan.seconds * 1000000000u;
}

/* An outcome came in: how long there was none? */
static void note_pause(struct cluster_demo *demo, struct cluster_tally *tally)
{
	uint32_t kills = __atomic_load_n(&demo->board->kills, __ATOMIC_RELAXED);
	uint64_t now = demo_now_ns();
	uint64_t pause = now - tally->last_ns;

	if (kills && kills <= FAILOVERS_MAX &&
	    pause > tally->pause_ns[kills - 1])
		tally->pause_ns[kills - 1] = pause;
	__atomic_store_n(&tally->last_ns, now, __ATOMIC_RELAXED);
}

/* ---- writers ---- */

struct writer {
	struct cluster_demo *demo;
	struct cluster_tally *tally;
	struct conclave *client;
	uint8_t *fates;
	uint32_t number; /* of this writer */
	uint64_t next; /* write */
};

static uint8_t fate_of(const struct conclave_result *result)
{
	if (!result->status)
		return result->flags & CONCLAVE_RESULT_REPEATED
			       ? FATE_SETTLED_APPLIED
			       : FATE_ACKNOWLEDGED;
	if (conclave_error_kind(result->status) == CONCLAVE_NOT_APPLIED)
		return FATE_SETTLED_NOT;
	return FATE_UNKNOWN;
}

static int finish(struct writer *writer, struct conclave_req *req)
{
	struct cluster_tally *tally = writer->tally;
	struct conclave_result result;
	uint64_t number = conclave_req_user_data(req);
	int code = conclave_finish(writer->client, req, &result);
	uint8_t fate;

	if (code)
		return code;
	fate = fate_of(&result);
	writer->fates[number] = fate;
	tally->acknowledged += fate == FATE_ACKNOWLEDGED;
	tally->settled_applied += fate == FATE_SETTLED_APPLIED;
	tally->settled_not += fate == FATE_SETTLED_NOT;
	tally->unknown += fate == FATE_UNKNOWN;
	tally->flying--;
	note_pause(writer->demo, tally);
	return 0;
}

/* Takes in what has come, or waits a moment for it. */
static int take(struct writer *writer, int32_t wait_ms)
{
	struct conclave_req *req = NULL;
	int code = conclave_wait_any(writer->client, wait_ms, &req);

	if (code == -ENOENT) /* nothing flies: wait for the daemon */
		return conclave_ping(writer->client, NULL);
	/* It keeps its identity, and is asked for again. */
	if (code == CONCLAVE_ESTOPPED || code == CONCLAVE_EDEADLINE ||
	    code == -ETIMEDOUT)
		return 0;
	while (!code && req) {
		code = finish(writer, req);
		req = conclave_next(writer->client);
	}
	return code;
}

/* 0, -EAGAIN: not now, or what is wrong. */
static int submit(struct writer *writer)
{
	struct conclave_req *req;
	char key[KEY_ROOM];
	size_t size;
	int code;

	req = conclave_get_req(writer->client);
	if (!req)
		return -EAGAIN;
	size = cluster_key(writer->number, writer->next, key);
	conclave_prep_put(req, key, size, &writer->next, sizeof(writer->next));
	conclave_req_set_user_data(req, writer->next);
	code = conclave_submit(writer->client, req);
	if (code) {
		conclave_abandon(writer->client, req);
		return code == -ENOTCONN ? -EAGAIN : code;
	}
	writer->next++;
	writer->tally->flying++;
	return 0;
}

/* How many writes there may have been by now. */
static uint64_t due(const struct cluster_demo *demo)
{
	uint64_t ns = demo_now_ns() - demo->start_ns;
	uint64_t count = ns / 1000 * demo->plan.rate / 1000000;

	return count < demo->writes ? count : demo->writes;
}

static int write_on(struct writer *writer)
{
	uint64_t goal = due(writer->demo);
	int code = 0;

	while (writer->next < goal && writer->tally->flying < FLYING_MAX &&
	       !code)
		code = submit(writer);
	if (code && code != -EAGAIN)
		return code;
	return take(writer, LOOK_MS);
}

static int write_all(struct cluster_demo *demo, uint32_t number)
{
	struct writer writer = {
		.demo = demo,
		.tally = &demo->board->tallies[number],
		.fates = demo->fates[number],
		.number = number,
	};
	int code = cluster_open(demo, number, DEADLINE_MS, &writer.client);

	if (code)
		return code;
	writer.tally->last_ns = demo_now_ns();
	while (!code && !is_over(demo))
		code = write_on(&writer);
	while (!code && writer.tally->flying)
		code = take(&writer, LOOK_MS);
	conclave_close(writer.client);
	return code;
}

/* ---- counters ---- */

static size_t counter_key(uint32_t counter, char key[KEY_ROOM])
{
	return (size_t)snprintf(key, KEY_ROOM, "counter/%u", counter);
}

int cluster_counter(struct conclave *client, uint32_t counter,
		    uint64_t *ret_value, uint64_t *ret_revision)
{
	char text[NUMBER_ROOM] = "", key[KEY_ROOM];
	size_t size = counter_key(counter, key);
	struct conclave_kv kv;
	int code = conclave_get(client, key, size, text, sizeof(text) - 1, &kv);

	if (code && code != CONCLAVE_ENOTFOUND)
		return code;
	*ret_value = strtoull(text, NULL, 10);
	*ret_revision = code ? 0 : kv.mod_revision;
	return 0;
}

/* One increment, with as many tries as it takes. */
static int increment(struct conclave *client, uint32_t counter)
{
	char text[NUMBER_ROOM], key[KEY_ROOM];
	size_t size = counter_key(counter, key);
	uint64_t value, revision;
	int code, used;

	do {
		code = cluster_counter(client, counter, &value, &revision);
		if (code)
			return code;
		used = snprintf(text, sizeof(text), "%llu",
				(unsigned long long)value + 1);
		code = conclave_cas(client, key, size, text, (size_t)used,
				    &revision);
	} while (code == CONCLAVE_ECOMPARE);
	return code;
}

static int count_all(struct cluster_demo *demo, uint32_t member)
{
	struct cluster_tally *tally =
		&demo->board->tallies[DAEMON_MEMBERS + member];
	struct conclave *client;
	int code = cluster_open(demo, member, DEADLINE_MS, &client);

	if (code)
		return code;
	tally->last_ns = demo_now_ns();
	while (!code && !is_over(demo)) {
		code = increment(client, member);
		tally->own += !code;
		if (code)
			break;
		note_pause(demo, tally);
		code = increment(client, DAEMON_MEMBERS);
		tally->shared += !code;
		note_pause(demo, tally);
	}
	conclave_close(client);
	return code;
}

int cluster_work(struct demo *demo, uint32_t worker, void *context)
{
	struct cluster_watch *watch = context;

	(void)demo;
	return worker < DAEMON_MEMBERS
		       ? write_all(watch->demo, worker)
		       : count_all(watch->demo, worker - DAEMON_MEMBERS);
}
