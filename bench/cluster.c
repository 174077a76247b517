/*
 * Three daemons on one machine, joined over loopback without TLS, with all
 * options at their defaults, and one client process.
 *
 * cluster_put_latency: one put after the other on the leader, over the bare
 * skeleton of three processes. cluster_put_throughput: a pipeline on the
 * leader, over what the skeleton takes of the same bytes in durable writes of
 * 256 KiB. cluster_follower_throughput: a pipeline on a follower, over the one
 * on the leader. cluster_read_latency: one linearizable get after the other
 * on a follower, over the bare round trip over loopback.
 *
 * Nobody spins for ever: there are more processes than CPUs. What a client
 * and a daemon do by default is what is measured.
 */
#define _GNU_SOURCE
#include "bench/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	BIG_WRITE = 256 << 10,
	PUTS = 300,
	GETS = 2000,
	PIPELINED = 200000,
	BIG_WRITES = 40,
	WARM_UPS_MAX = 50,
	CHECKED = 1000, /* puts that are read back on each member */
	VALUE_SIZE = 256,
	TIMEOUT_MS = 30000,
	LOOK_US = 1000,
};

int bench_member_open(struct bench *bench, uint32_t member, uint32_t slots,
		      struct conclave **ret_client)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = bench->cluster.members[member].socket;
	options.name = "bench";
	options.slots = slots;
	options.proposal_size = slots ? 4 << 20 : 0;
	options.timeout_ms = TIMEOUT_MS;
	options.open_wait_ms = TIMEOUT_MS;
	return conclave_open(ret_client, &options);
}

int bench_find_leader(struct conclave *client, uint64_t not,
		      uint32_t *ret_member)
{
	uint64_t end = bench_now_ns() + TIMEOUT_MS * 1000000ull;
	struct cv_status status;
	int code;

	for (;;) {
		code = conclave_status(client, &status);
		/* One whose daemon was killed goes on connecting. */
		if (code && code != -ENOTCONN)
			return code;
		if (!code && status.leader && status.leader != not )
			break;
		if (bench_now_ns() > end)
			return -ETIMEDOUT;
		(void)usleep(LOOK_US);
	}
	*ret_member = (uint32_t)status.leader - 1;
	return 0;
}

/* A client of the leader, or of one that follows it. */
static int open_role(struct bench *bench, bool leads, uint32_t slots,
		     struct conclave **ret_client)
{
	struct conclave *client;
	uint32_t leader;
	int code = bench_member_open(bench, 0, slots, &client);

	if (code)
		return code;
	code = bench_find_leader(client, 0, &leader);
	if (!code && (leader == 0) == leads) {
		*ret_client = client;
		return 0;
	}
	conclave_close(client);
	if (code)
		return code;
	return bench_member_open(bench, leads ? leader : 1, slots, ret_client);
}

/* What was put last is read back on each member. */
static int check_pipeline(struct bench *bench, uint64_t count)
{
	struct conclave *client;
	uint32_t i;
	int code = 0;

	for (i = 0; i < DAEMON_MEMBERS && !code; i++) {
		code = bench_member_open(bench, i, 0, &client);
		if (code)
			break;
		code = bench_check_pipeline(client, count, CHECKED);
		conclave_close(client);
		if (code)
			(void)fprintf(stderr,
				      "bench: member %u does not have what "
				      "was put: %s\n",
				      i + 1, conclave_strerror(code));
	}
	return code;
}

/* ---- latencies ---- */

static int put_rounds(struct bench *bench, struct floor_trio *trio,
		      struct conclave *client, struct bench_figure *figure)
{
	struct bench_round rounds[BENCH_ROUNDS];
	uint64_t count = bench_scaled(bench, PUTS);
	double p50, rate;
	uint32_t i;
	int code = bench_puts(client, count, &p50);

	for (i = 0; i < BENCH_ROUNDS && !code; i++) {
		code = floor_trio_write(trio, FLOOR_BLOCK, count, &p50, &rate);
		rounds[i].floor = p50 / 1000;
		if (!code)
			code = bench_puts(client, count, &rounds[i].value);
	}
	figure->unit = "us";
	figure->floor_name = "skeleton: send to two, 3 x 4 KiB durable, us";
	if (!code)
		bench_conclude(figure, rounds, BENCH_ROUNDS,
			       BENCH_ROUNDS * count);
	return code;
}

/* Opens the skeleton and a client of the leader, runs, and closes both. */
static int with_trio(struct bench *bench, uint32_t slots,
		     struct bench_figure *figure,
		     int (*run)(struct bench *, struct floor_trio *,
				struct conclave *, struct bench_figure *))
{
	struct floor_trio *trio;
	struct conclave *client;
	int code = floor_trio_open(&trio, bench->folder);

	if (code)
		return code;
	code = open_role(bench, true, slots, &client);
	if (!code) {
		code = run(bench, trio, client, figure);
		conclave_close(client);
	}
	floor_trio_close(trio);
	return code;
}

int bench_cluster_put_latency(struct bench *bench,
			      struct bench_figure *ret_figure)
{
	return with_trio(bench, 0, ret_figure, put_rounds);
}

static int get_round(struct conclave *client, const uint8_t *expected,
		     uint64_t count, double *ret_p50_us)
{
	double *samples = malloc(count * sizeof(*samples));
	uint8_t value[VALUE_SIZE];
	struct conclave_kv kv;
	uint64_t i, start;
	int code = 0;

	if (!samples)
		return -ENOMEM;
	for (i = 0; i < count && !code; i++) {
		start = bench_now_ns();
		code = conclave_get(client, "read", 4, value, sizeof(value),
				    &kv);
		samples[i] = (double)(bench_now_ns() - start);
		if (!code && (kv.value_size != sizeof(value) ||
			      memcmp(value, expected, sizeof(value)) != 0))
			code = -EBADMSG;
	}
	*ret_p50_us = bench_quantile(samples, count, 0.5) / 1000;
	free(samples);
	return code;
}

static int get_rounds(struct bench *bench, struct conclave *client,
		      struct bench_figure *figure)
{
	struct bench_round rounds[BENCH_ROUNDS] = {0};
	uint64_t count = bench_scaled(bench, GETS);
	uint8_t value[VALUE_SIZE];
	uint32_t i;
	int code = 0;

	for (i = 0; i < BENCH_ROUNDS && !code; i++) {
		memset(value, (int)i, sizeof(value));
		code = conclave_put(client, "read", 4, value, sizeof(value),
				    NULL);
		if (!code)
			code = floor_tcp_ping(count, &rounds[i].floor);
		rounds[i].floor /= 1000;
		if (!code)
			code = get_round(client, value, count,
					 &rounds[i].value);
	}
	figure->unit = "us";
	figure->floor_name = "TCP round trip over loopback, us";
	if (!code)
		bench_conclude(figure, rounds, BENCH_ROUNDS,
			       BENCH_ROUNDS * count);
	return code;
}

int bench_cluster_read_latency(struct bench *bench,
			       struct bench_figure *ret_figure)
{
	struct conclave *client;
	int code = open_role(bench, false, 0, &client);

	if (code)
		return code;
	code = get_rounds(bench, client, ret_figure);
	conclave_close(client);
	return code;
}

/* ---- throughput ---- */

/* CPU time of this process and of all daemons, nanoseconds. */
static void cpu_times(const struct bench *bench, double ret_ns[2])
{
	clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;
	struct timespec time;
	uint32_t i;

	ret_ns[0] = ret_ns[1] = 0;
	for (i = 0; i <= DAEMON_MEMBERS; i++) {
		if (clock_gettime(clock, &time) == 0)
			ret_ns[i > 0] += (double)time.tv_sec * 1e9 +
					 (double)time.tv_nsec;
		if (i < DAEMON_MEMBERS &&
		    clock_getcpuclockid(bench->cluster.members[i].pid, &clock))
			return;
	}
}

/* What a member wrote and freed; from its first snapshot on, its log lies in
 * files that were written before. */
static int has_snapshot(struct bench *bench, uint32_t member, bool *ret_has)
{
	struct conclave *client;
	struct cv_status status;
	int code = bench_member_open(bench, member, 0, &client);

	if (code)
		return code;
	code = conclave_status(client, &status);
	conclave_close(client);
	if (!code)
		*ret_has = status.snapshots > 0;
	return code;
}

/*
 * Until then each byte of the log is written twice, since new files are filled
 * with zeros first, and the store grows into memory that nobody touched: what
 * goes on for days is measured behind it. Not with --quick.
 */
static int warm_up(struct bench *bench, struct conclave *client, uint64_t count)
{
	uint32_t i, tries, have = 0;
	bool has = false;
	double rate;
	int code = bench_pipeline(client, count, &rate);

	for (tries = 0; tries < WARM_UPS_MAX && !code && have < DAEMON_MEMBERS;
	     tries++) {
		if (bench->scale_percent < 100)
			return 0;
		code = bench_pipeline(client, count, &rate);
		have = 0;
		for (i = 0; i < DAEMON_MEMBERS && !code; i++) {
			code = has_snapshot(bench, i, &has);
			have += has;
		}
	}
	return code;
}

/* One run, and the CPU time that a put cost the client and the daemons. */
static int timed_pipeline(struct bench *bench, struct conclave *client,
			  uint64_t count, double *ret_rate, double *cpu_us)
{
	double before[2], after[2];
	uint32_t i;
	int code;

	cpu_times(bench, before);
	code = bench_pipeline(client, count, ret_rate);
	cpu_times(bench, after);
	for (i = 0; i < 2; i++)
		cpu_us[i] = (after[i] - before[i]) / (double)count / 1000;
	return code;
}

static void note_cpu(struct bench_figure *figure, double *client_us,
		     double *daemons_us)
{
	(void)snprintf(figure->note, sizeof(figure->note),
		       "CPU time a put: client %.2f us, three daemons %.2f us",
		       bench_quantile(client_us, BENCH_ROUNDS, 0.5),
		       bench_quantile(daemons_us, BENCH_ROUNDS, 0.5));
}

static int throughput_rounds(struct bench *bench, struct floor_trio *trio,
			     struct conclave *client,
			     struct bench_figure *figure)
{
	struct bench_round rounds[BENCH_ROUNDS];
	uint64_t count = bench_scaled(bench, PIPELINED);
	double client_us[BENCH_ROUNDS], daemons_us[BENCH_ROUNDS];
	double rate, p50 = 0, cpu_us[2] = {0};
	uint32_t i;
	int code = warm_up(bench, client, count);

	for (i = 0; i < BENCH_ROUNDS && !code; i++) {
		code = floor_trio_write(trio, BIG_WRITE, BIG_WRITES, &p50,
					&rate);
		rounds[i].floor = BIG_WRITE / (double)BENCH_PUT_BYTES * rate;
		if (!code)
			code = timed_pipeline(bench, client, count,
					      &rounds[i].value, cpu_us);
		client_us[i] = cpu_us[0];
		daemons_us[i] = cpu_us[1];
	}
	figure->unit = "/s";
	figure->floor_name = "skeleton: 256 KiB to two, 3 durable, as puts/s";
	figure->more_is_better = true;
	if (code)
		return code;
	bench_conclude(figure, rounds, BENCH_ROUNDS, BENCH_ROUNDS * count);
	note_cpu(figure, client_us, daemons_us);
	return check_pipeline(bench, count);
}

int bench_cluster_put_throughput(struct bench *bench,
				 struct bench_figure *ret_figure)
{
	return with_trio(bench, BENCH_SLOTS, ret_figure, throughput_rounds);
}

static int follower_rounds(struct bench *bench, struct conclave *leader,
			   struct conclave *follower,
			   struct bench_figure *figure)
{
	struct bench_round rounds[BENCH_ROUNDS];
	uint64_t count = bench_scaled(bench, PIPELINED);
	uint32_t i;
	int code = warm_up(bench, leader, count);

	for (i = 0; i < BENCH_ROUNDS && !code; i++) {
		code = bench_pipeline(leader, count, &rounds[i].floor);
		if (!code)
			code = bench_pipeline(follower, count,
					      &rounds[i].value);
	}
	figure->unit = "/s";
	figure->floor_name = "the same on the leader, puts/s";
	figure->more_is_better = true;
	if (code)
		return code;
	bench_conclude(figure, rounds, BENCH_ROUNDS, BENCH_ROUNDS * count);
	return check_pipeline(bench, count);
}

int bench_cluster_follower_throughput(struct bench *bench,
				      struct bench_figure *ret_figure)
{
	struct conclave *leader, *follower;
	int code = open_role(bench, true, BENCH_SLOTS, &leader);

	if (code)
		return code;
	code = open_role(bench, false, BENCH_SLOTS, &follower);
	if (!code) {
		code = follower_rounds(bench, leader, follower, ret_figure);
		conclave_close(follower);
	}
	conclave_close(leader);
	return code;
}
