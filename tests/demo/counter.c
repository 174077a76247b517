/*
 * One counter and eight processes that all want to increment it, with
 * compare-and-swap, until 10,000 increments are in.
 */
#define _GNU_SOURCE
#include "tests/demo/demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/conclave.h"

enum {
	NUMBER_ROOM = 32,
};

static const char counter_key[] = "demo/counter";

/* The counter's value and revision; absent is 0 at revision 0. */
static int read_counter(struct conclave *client, uint64_t *ret_value,
			uint64_t *ret_revision)
{
	char text[NUMBER_ROOM] = "";
	struct conclave_kv kv;
	int code = conclave_get(client, counter_key, strlen(counter_key), text,
				sizeof(text) - 1, &kv);

	if (code == CONCLAVE_ENOTFOUND) {
		*ret_value = 0;
		*ret_revision = 0;
		return 0;
	}
	if (code)
		return code;
	*ret_value = strtoull(text, NULL, 10);
	*ret_revision = kv.mod_revision;
	return 0;
}

/* One increment: as many tries as it takes. */
int counter_increment(struct conclave *client, struct demo_tally *tally)
{
	uint64_t value, revision;
	char text[NUMBER_ROOM];
	int code, size;

	for (;;) {
		code = read_counter(client, &value, &revision);
		if (code)
			return code;
		size = snprintf(text, sizeof(text), "%llu",
				(unsigned long long)value + 1);
		code = conclave_cas(client, counter_key, strlen(counter_key),
				    text, (size_t)size, &revision);
		if (code != CONCLAVE_ECOMPARE)
			return code;
		tally->refused++;
	}
}

static int fight(struct demo *demo, uint32_t worker, void *context)
{
	struct demo_tally *tally = &demo->tallies[worker];
	struct conclave *client;
	uint64_t i, start;
	int code = demo_open(demo, &client);

	(void)context;
	if (code)
		return code;
	for (i = 0; i < DEMO_INCREMENTS / DEMO_FIGHTERS && !code; i++) {
		start = demo_now_ns();
		code = counter_increment(client, tally);
		if (code)
			break;
		demo_note_latency(tally, demo_now_ns() - start);
		__atomic_store_n(&tally->done, tally->done + 1,
				 __ATOMIC_RELAXED);
	}
	conclave_close(client);
	return code;
}

int counter_fight(struct demo *demo, double *ret_seconds)
{
	struct demo_job job = {
		.title = "eight processes, one counter",
		.work = fight,
		.count = DEMO_FIGHTERS,
		.goal = DEMO_INCREMENTS,
	};

	return demo_run(demo, &job, ret_seconds);
}

int64_t counter_value(struct demo *demo)
{
	struct conclave *client;
	uint64_t value, revision;
	int code = demo_open(demo, &client);

	if (code)
		return code;
	code = read_counter(client, &value, &revision);
	conclave_close(client);
	return code ? code : (int64_t)value;
}
