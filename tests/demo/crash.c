/*
 * A second load, and a daemon that is killed in the middle of it and started
 * again in the same instant, several times. Afterwards every write that was
 * acknowledged is looked up, every write that was in doubt must have been
 * settled one way, and the look-up must agree; and the counter, which one
 * process went on incrementing all the while, must be exact.
 */
#define _GNU_SOURCE
#include "tests/demo/demo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/conclave.h"

enum {
	KILLS = 3,
	KEY_ROOM = 64,
	COUNTER_WORKER = DEMO_LOADERS,
	GOAL = DEMO_LOADERS * DEMO_CRASH_WRITES,
};

struct act {
	struct crash_report *report;
	int64_t counter_before;
};

static size_t make_key(uint32_t worker, uint64_t number, char key[KEY_ROOM])
{
	return (size_t)snprintf(key, KEY_ROOM, "load/%u/%08llu", worker,
				(unsigned long long)number);
}

static uint8_t fate_of(const struct conclave_result *result)
{
	bool settled = result->flags & CONCLAVE_RESULT_REPEATED;

	if (!result->status)
		return settled ? FATE_SETTLED_APPLIED : FATE_ACKNOWLEDGED;
	if (conclave_error_kind(result->status) == CONCLAVE_NOT_APPLIED)
		return FATE_SETTLED_NOT;
	return FATE_UNKNOWN;
}

static int note(struct conclave *client, struct conclave_req *req,
		struct demo_tally *tally, uint64_t *last_ns)
{
	struct conclave_result result;
	uint64_t number = conclave_req_user_data(req);
	uint64_t now = demo_now_ns();
	int code = conclave_finish(client, req, &result);

	if (code)
		return code;
	tally->fate[number] = fate_of(&result);
	if (now - *last_ns > tally->longest_ns)
		tally->longest_ns = now - *last_ns;
	*last_ns = now;
	__atomic_store_n(&tally->done, tally->done + 1, __ATOMIC_RELAXED);
	return 0;
}

/* Takes in at least one result, or all that are there already. */
static int take(struct conclave *client, struct demo_tally *tally,
		uint64_t *last_ns, bool wait)
{
	struct conclave_req *req = conclave_next(client);
	int code = 0;

	if (!req && wait)
		code = conclave_wait_any(client, -1, &req);
	/* Nothing is outstanding, and the daemon is away: wait for it. */
	if (code == -ENOENT)
		return conclave_ping(client, NULL);
	/* Away beyond the deadline: the requests keep their identity. */
	if (code == CONCLAVE_ESTOPPED || code == CONCLAVE_EDEADLINE)
		return 0;
	while (!code && req) {
		code = note(client, req, tally, last_ns);
		req = conclave_next(client);
	}
	return code;
}

static int submit_one(struct conclave *client, uint32_t worker, uint64_t number)
{
	struct conclave_req *req = conclave_get_req(client);
	char key[KEY_ROOM];
	size_t size;
	int code;

	if (!req)
		return -EAGAIN;
	size = make_key(worker, number, key);
	conclave_prep_put(req, key, size, &number, sizeof(number));
	conclave_req_set_user_data(req, number);
	code = conclave_submit(client, req);
	if (code)
		conclave_abandon(client, req);
	return code;
}

static int load(struct demo *demo, uint32_t worker)
{
	struct demo_tally *tally = &demo->tallies[worker];
	uint64_t number = 0, last_ns = demo_now_ns();
	struct conclave *client;
	int code = demo_open(demo, &client);

	if (code)
		return code;
	while (!code && tally->done < DEMO_CRASH_WRITES) {
		int sent = -EAGAIN;

		if (number < DEMO_CRASH_WRITES)
			sent = submit_one(client, worker, number);
		number += sent == 0;
		if (sent && sent != -EAGAIN && sent != -ENOTCONN)
			code = sent;
		else
			code = take(client, tally, &last_ns, sent != 0);
	}
	conclave_close(client);
	return code;
}

static int count_on(struct demo *demo)
{
	struct demo_tally *tally = &demo->tallies[COUNTER_WORKER];
	struct conclave *client;
	int code = demo_open(demo, &client);

	if (code)
		return code;
	while (!code && demo_done(demo) < GOAL) {
		code = counter_increment(client, tally);
		tally->settled_applied += !code;
	}
	conclave_close(client);
	return code;
}

static int work(struct demo *demo, uint32_t worker, void *context)
{
	(void)context;
	return worker == COUNTER_WORKER ? count_on(demo) : load(demo, worker);
}

static int kill_when_due(struct demo *demo, void *context)
{
	struct act *act = context;
	uint64_t due = GOAL / (KILLS + 1) * (act->report->kills + 1);

	if (act->report->kills == KILLS || demo_done(demo) < due)
		return 0;
	act->report->kills++;
	daemon_process_kill(&demo->daemon);
	return daemon_process_again(&demo->daemon);
}

static void judge(struct crash_report *report, uint8_t fate, bool there)
{
	report->acknowledged += fate == FATE_ACKNOWLEDGED;
	report->missing += fate == FATE_ACKNOWLEDGED && !there;
	report->settled_applied += fate == FATE_SETTLED_APPLIED;
	report->settled_not += fate == FATE_SETTLED_NOT;
	report->contradicted += (fate == FATE_SETTLED_APPLIED && !there) ||
				(fate == FATE_SETTLED_NOT && there);
	report->unknown += fate == FATE_UNKNOWN || fate == FATE_NONE;
}

/* The next record must be this key with this value, else it is not there. */
static bool is_there(const struct conclave_kv *kv, uint32_t worker,
		     uint64_t number)
{
	char key[KEY_ROOM];
	size_t size = make_key(worker, number, key);

	return kv->key_size == size && !memcmp(kv->key, key, size) &&
	       kv->value_size == sizeof(number) &&
	       !memcmp(kv->value, &number, sizeof(number));
}

static int look_up(struct demo *demo, struct conclave *client, uint32_t worker,
		   struct crash_report *report)
{
	char key[KEY_ROOM];
	uint8_t end[KEY_ROOM];
	struct conclave_range range = {.key = key, .end = end};
	static struct conclave_pages pages; /* 4 KiB: not for the stack */
	struct conclave_kv kv;
	uint64_t i;
	int more;

	range.key_size = (size_t)snprintf(key, sizeof(key), "load/%u/", worker);
	range.end_size = conclave_prefix_end(key, range.key_size, end);
	more = conclave_range_begin(client, &range, &pages);
	if (more)
		return more;
	more = conclave_range_next(&pages, &kv);
	for (i = 0; i < DEMO_CRASH_WRITES && more >= 0; i++) {
		bool there = more == 1 && is_there(&kv, worker, i);

		judge(report, demo->tallies[worker].fate[i], there);
		if (there)
			more = conclave_range_next(&pages, &kv);
	}
	conclave_range_end(&pages);
	/* What is left over was never asked for. */
	report->contradicted += more == 1;
	return more < 0 ? more : 0;
}

static int verify(struct demo *demo, const struct act *act,
		  struct crash_report *report)
{
	struct conclave *client;
	uint32_t i;
	int64_t counter;
	int code = demo_open(demo, &client);

	if (code)
		return code;
	for (i = 0; i < DEMO_LOADERS && !code; i++) {
		uint64_t longest = demo->tallies[i].longest_ns;

		code = look_up(demo, client, i, report);
		if ((double)longest / 1e6 > report->pause_ms)
			report->pause_ms = (double)longest / 1e6;
	}
	conclave_close(client);
	if (code)
		return code;
	counter = counter_value(demo);
	if (counter < 0)
		return (int)counter;
	report->increments = demo->tallies[COUNTER_WORKER].settled_applied;
	report->counter = (uint64_t)(counter - act->counter_before);
	return 0;
}

int crash_act(struct demo *demo, struct crash_report *ret_report)
{
	struct crash_report report = {0};
	struct act act = {.report = &report,
			  .counter_before = counter_value(demo)};
	struct demo_job job = {
		.title = "a second load, and SIGKILL",
		.work = work,
		.during = kill_when_due,
		.context = &act,
		.count = DEMO_LOADERS + 1,
		.goal = GOAL,
	};
	int code;

	if (act.counter_before < 0)
		return (int)act.counter_before;
	code = demo_run(demo, &job, &report.seconds);
	if (!code)
		code = verify(demo, &act, &report);
	*ret_report = report;
	return code;
}
