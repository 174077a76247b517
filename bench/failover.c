/*
 * failover: the leader is killed with SIGKILL, again and again, and each time
 * one write is asked for at another member, after the leader was reaped: how
 * long from the kill to its acknowledgement, in election timeouts. All options
 * have their defaults.
 *
 * Clients of all members have writes in flight when the leader is killed.
 * Each write has a key of its own; in the end each that was acknowledged, and
 * each that was in doubt and found to be applied, is read back on each member.
 */
#define _GNU_SOURCE
#include "bench/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KILLS = 50,
	FLIGHT = 64, /* writes in flight on each member */
	/* All of a round: in flight, and the one that is waited for. */
	ROUND_WRITES = DAEMON_MEMBERS * FLIGHT + 1,
	ELECTION_MS = 1000, /* the default */
};

/* Of the 50: the median, and nine of ten. */
#define P90_TIMEOUTS_MAX 2.0

struct failover {
	struct bench *bench;
	struct conclave *clients[DAEMON_MEMBERS];
	uint32_t leader; /* index */
	uint64_t next; /* number of the next write */
	bool applied[KILLS * ROUND_WRITES + 1]; /* by number */
	uint64_t acknowledged;
	double timeouts[KILLS];
};

static int begin_put(struct failover *failover, uint32_t member)
{
	struct conclave *client = failover->clients[member];
	struct conclave_req *req = conclave_get_req(client);
	uint64_t number = failover->next++;

	if (!req)
		return -EAGAIN;
	conclave_prep_put(req, &number, sizeof(number), &number,
			  sizeof(number));
	conclave_req_set_user_data(req, number);
	return conclave_submit(client, req);
}

static int take_off(struct failover *failover)
{
	uint32_t i, k;
	int code = 0;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		for (k = 0; k < FLIGHT && !code; k++)
			code = begin_put(failover, i);
		conclave_flush(failover->clients[i]);
	}
	return code;
}

/* All that is in flight at a member; -EBADMSG when one stays unknown. */
static int land(struct failover *failover, uint32_t member)
{
	struct conclave *client = failover->clients[member];
	struct conclave_result result;
	struct conclave_req *req;
	uint64_t number;
	int code;

	while (!(code = conclave_wait_any(client, -1, &req))) {
		number = conclave_req_user_data(req);
		code = conclave_finish(client, req, &result);
		if (code)
			return code;
		if (result.status && result.status != CONCLAVE_ENOTAPPLIED)
			return result.status;
		failover->applied[number] = result.status == 0;
		failover->acknowledged += result.status == 0;
	}
	return code == -ENOENT ? 0 : code;
}

/* From the kill to the acknowledgement of a write that came after it. */
static int measure(struct failover *failover, double *ret_timeouts)
{
	struct daemon_process *victim =
		&failover->bench->cluster.members[failover->leader];
	uint32_t other = (failover->leader + 1) % DAEMON_MEMBERS;
	uint64_t number = failover->next++, start;
	int code;

	start = bench_now_ns();
	daemon_process_kill(victim);
	code = conclave_put(failover->clients[other], &number, sizeof(number),
			    &number, sizeof(number), NULL);
	*ret_timeouts =
		(double)(bench_now_ns() - start) / (ELECTION_MS * 1000000.0);
	if (code)
		return code;
	failover->applied[number] = true;
	failover->acknowledged++;
	return 0;
}

/* The member that was killed is started again, and has caught up. */
static int come_back(struct failover *failover)
{
	struct bench *bench = failover->bench;
	uint32_t i, gone = failover->leader;
	int code = daemon_cluster_run(&bench->cluster);

	for (i = 0; i < DAEMON_MEMBERS && !code; i++)
		code = land(failover, i);
	if (!code)
		code = conclave_get(failover->clients[gone], "none", 4, NULL, 0,
				    NULL);
	if (code == CONCLAVE_ENOTFOUND)
		code = 0;
	return code;
}

static int kill_once(struct failover *failover, double *ret_timeouts)
{
	uint32_t other = (failover->leader + 1) % DAEMON_MEMBERS;
	int code = take_off(failover);

	if (!code)
		code = measure(failover, ret_timeouts);
	if (!code)
		code = come_back(failover);
	if (!code)
		code = bench_find_leader(failover->clients[other], 0,
					 &failover->leader);
	return code;
}

/* ---- the proof ---- */

static int check_one(struct conclave *client, uint64_t number, bool applied)
{
	struct conclave_kv kv = {0};
	uint64_t value;
	int code = conclave_get(client, &number, sizeof(number), &value,
				sizeof(value), &kv);

	if (code == CONCLAVE_ENOTFOUND)
		return applied ? -EBADMSG : 0;
	if (code)
		return code;
	return applied && kv.value_size == sizeof(value) && value == number
		       ? 0
		       : -EBADMSG;
}

static int check_all(struct failover *failover)
{
	uint64_t number;
	uint32_t i;
	int code = 0;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		for (number = 0; number < failover->next && !code; number++)
			code = check_one(failover->clients[i], number,
					 failover->applied[number]);
		if (!code)
			continue;
		(void)fprintf(stderr,
			      "bench: write %llu is not on member %u as it was "
			      "acknowledged: %s\n",
			      (unsigned long long)number - 1, i + 1,
			      conclave_strerror(code));
		return code;
	}
	return 0;
}

static int run(struct failover *failover, uint32_t kills)
{
	uint32_t i;
	int code = 0;

	for (i = 0; i < DAEMON_MEMBERS && !code; i++)
		code = bench_member_open(failover->bench, i, 0,
					 &failover->clients[i]);
	if (!code)
		code = bench_find_leader(failover->clients[0], 0,
					 &failover->leader);
	for (i = 0; i < kills && !code; i++)
		code = kill_once(failover, &failover->timeouts[i]);
	if (!code)
		code = check_all(failover);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		conclave_close(failover->clients[i]);
	return code;
}

static void conclude(struct failover *failover, uint32_t kills,
		     struct bench_figure *figure)
{
	double p90 = bench_quantile(failover->timeouts, kills, 0.9);
	double p50 = bench_quantile(failover->timeouts, kills, 0.5);

	figure->unit = "ms";
	figure->floor_name = "election timeout, ms";
	figure->value = p50 * ELECTION_MS;
	figure->floor = ELECTION_MS;
	figure->ratio = p50;
	figure->spread = (bench_quantile(failover->timeouts, kills, 0.75) -
			  bench_quantile(failover->timeouts, kills, 0.25)) /
			 p50;
	figure->samples = kills;
	figure->missed = p90 > P90_TIMEOUTS_MAX;
	(void)snprintf(figure->note, sizeof(figure->note),
		       "p90 %.2f (<= %.2f: %s), longest %.2f; %llu "
		       "acknowledged writes, all there",
		       p90, P90_TIMEOUTS_MAX, figure->missed ? "missed" : "met",
		       bench_quantile(failover->timeouts, kills, 1),
		       (unsigned long long)failover->acknowledged);
}

int bench_failover(struct bench *bench, struct bench_figure *ret_figure)
{
	struct failover *failover = calloc(1, sizeof(*failover));
	uint32_t kills = (uint32_t)bench_scaled(bench, KILLS - 1);
	int code;

	if (!failover)
		return -ENOMEM;
	failover->bench = bench;
	code = run(failover, kills);
	if (!code)
		conclude(failover, kills, ret_figure);
	free(failover);
	return code;
}
