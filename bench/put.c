/*
 * The write path, whole: a client process, the daemon, the disk.
 *
 * roundtrip: a ping, client and daemon spinning (two threads spin), over the
 * bare line ping-pong. put_durable_latency: one synchronous put after the
 * other, client spinning, over the same 4 KiB durable write bare.
 * put_durable_throughput: one pipelined process, 8 B keys out of 100,000,
 * 256 B values, over what the bare disk could take of the same bytes in
 * durable writes of 256 KiB.
 */
#define _GNU_SOURCE
#include "bench/bench.h"
#include "shm/conclave.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	KEYS = 100000,
	VALUE_SIZE = 256,
	BIG_WRITE = 256 << 10,
	PINGS = 20000,
	PUTS = 300,
	TRIAL_PUTS = 100,
	WARM_UP = 2000,
};

/* Many slots for the pipeline; one request at a time needs the default. */
static int open_client(struct bench *bench, uint32_t slots,
		       struct conclave **ret_client)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = bench->daemon.socket;
	options.name = "bench";
	options.spin_us = CONCLAVE_SPIN_FOREVER;
	options.slots = slots;
	options.proposal_size = slots ? 4 << 20 : 0;
	options.timeout_ms = 60000;
	return conclave_open(ret_client, &options);
}

uint64_t bench_scaled(const struct bench *bench, uint64_t count)
{
	return count * bench->scale_percent / 100 + 1;
}

static int ping_round(struct conclave *client, uint64_t count, double *ret_p50)
{
	double *samples = malloc(count * sizeof(*samples));
	uint64_t i, start;
	int code = 0;

	if (!samples)
		return -ENOMEM;
	for (i = 0; i < WARM_UP && !code; i++)
		code = conclave_ping(client, NULL);
	for (i = 0; i < count && !code; i++) {
		start = bench_now_ns();
		code = conclave_ping(client, NULL);
		samples[i] = (double)(bench_now_ns() - start);
	}
	*ret_p50 = bench_quantile(samples, count, 0.5);
	free(samples);
	return code;
}

int bench_roundtrip(struct bench *bench, struct bench_figure *ret_figure)
{
	struct bench_round rounds[BENCH_ROUNDS];
	uint64_t count = bench_scaled(bench, PINGS);
	struct conclave *client;
	uint32_t i;
	int code = open_client(bench, 0, &client);

	if (code)
		return code;
	for (i = 0; i < BENCH_ROUNDS && !code; i++) {
		code = floor_pingpong(count, &rounds[i].floor);
		if (!code)
			code = ping_round(client, count, &rounds[i].value);
	}
	conclave_close(client);
	ret_figure->unit = "ns";
	ret_figure->floor_name = "line ping-pong, ns (both: 2 threads spin)";
	bench_conclude(ret_figure, rounds, BENCH_ROUNDS, BENCH_ROUNDS * count);
	return code;
}

static void fill_key(uint64_t number, uint8_t key[8])
{
	memcpy(key, &number, 8);
}

int bench_puts(struct conclave *client, uint64_t count, double *ret_p50_us)
{
	double *samples = malloc(count * sizeof(*samples));
	uint8_t key[8], value[VALUE_SIZE] = {1};
	uint64_t i, start;
	int code = 0;

	if (!samples)
		return -ENOMEM;
	for (i = 0; i < count && !code; i++) {
		fill_key(i, key);
		start = bench_now_ns();
		code = conclave_put(client, key, sizeof(key), value,
				    sizeof(value), NULL);
		samples[i] = (double)(bench_now_ns() - start);
	}
	*ret_p50_us = bench_quantile(samples, count, 0.5) / 1000;
	free(samples);
	return code;
}

/*
 * The CPU on which a spinning client delays its own writes least. The kernel
 * finishes an asynchronous durable write on the CPU that takes the disk's
 * interrupts; a thread that spins there for ever holds that up until the next
 * timer tick, 4 ms at 250 Hz.
 */
static int quiet_cpu(struct conclave *client, uint32_t *ret_cpu)
{
	uint32_t cpu, count = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	double p50 = 0, best = 0;
	int code = 0;

	for (cpu = 0; cpu < count && !code; cpu++) {
		bench_stay_on(cpu);
		code = bench_puts(client, TRIAL_PUTS, &p50);
		if (cpu == 0 || p50 < best) {
			best = p50;
			*ret_cpu = cpu;
		}
	}
	return code;
}

static int put_rounds(struct bench *bench, struct floor_file *file,
		      struct conclave *client, struct bench_figure *figure)
{
	struct bench_round rounds[BENCH_ROUNDS];
	uint64_t count = bench_scaled(bench, PUTS);
	uint32_t i, cpu = 0;
	int code = quiet_cpu(client, &cpu);

	bench_stay_on(cpu);

	for (i = 0; i < BENCH_ROUNDS && !code; i++) {
		code = floor_file_write(file, FLOOR_BLOCK, count,
					&rounds[i].floor);
		rounds[i].floor /= 1000;
		if (!code)
			code = bench_puts(client, count, &rounds[i].value);
	}
	bench_roam();
	figure->unit = "us";
	figure->floor_name = "bare 4 KiB durable write, us (1 thread spins)";
	(void)snprintf(figure->note, sizeof(figure->note),
		       "client and floor on CPU %u, where spinning delays "
		       "the disk least",
		       cpu);
	if (!code)
		bench_conclude(figure, rounds, BENCH_ROUNDS,
			       BENCH_ROUNDS * count);
	return code;
}

/* Opens the floor's file and a client, runs, and closes both. */
static int with_both(struct bench *bench, uint32_t slots,
		     struct bench_figure *figure,
		     int (*run)(struct bench *, struct floor_file *,
				struct conclave *, struct bench_figure *))
{
	struct floor_file *file;
	struct conclave *client;
	int code = floor_file_open(&file, bench->folder);

	if (code)
		return code;
	code = open_client(bench, slots, &client);
	if (!code) {
		code = run(bench, file, client, figure);
		conclave_close(client);
	}
	floor_file_close(file);
	return code;
}

int bench_put_latency(struct bench *bench, struct bench_figure *ret_figure)
{
	return with_both(bench, 0, ret_figure, put_rounds);
}

/* Takes in what is complete; a failure of any is the result. */
static int collect(struct conclave *client, uint64_t *done, bool wait)
{
	struct conclave_result result;
	struct conclave_req *req;
	int code = 0;

	if (wait)
		code = conclave_wait_any(client, -1, &req);
	else
		req = conclave_next(client);
	while (!code && req) {
		code = conclave_finish(client, req, &result);
		if (!code)
			code = result.status;
		(*done)++;
		req = conclave_next(client);
	}
	return code;
}

/* No key comes twice among KEYS numbers in a row. */
static uint64_t scattered(uint64_t number)
{
	return number * 2654435761u % KEYS;
}

static int submit_put(struct conclave *client, struct conclave_req *req,
		      uint64_t number)
{
	static uint8_t value[VALUE_SIZE];
	uint8_t key[8];

	fill_key(scattered(number), key);
	memcpy(value, &number, sizeof(number));
	conclave_prep_put(req, key, sizeof(key), value, sizeof(value));
	return conclave_submit(client, req);
}

int bench_pipeline(struct conclave *client, uint64_t count, double *ret_rate)
{
	uint64_t sent = 0, done = 0, start = bench_now_ns();
	struct conclave_req *req = NULL;
	int code = 0;

	while (done < count && !code) {
		if (!req && sent < count)
			req = conclave_get_req(client);
		if (req) {
			code = submit_put(client, req, sent);
			sent += code == 0;
			req = code ? req : NULL;
		}
		if (code == -EAGAIN || (!req && !code && sent == count) ||
		    (!code && !req && sent - done >= BENCH_SLOTS))
			code = collect(client, &done, true);
		else if (!code && sent % 64 == 0)
			code = collect(client, &done, false);
	}
	*ret_rate = (double)count * 1e9 / (double)(bench_now_ns() - start);
	return code;
}

int bench_check_pipeline(struct conclave *client, uint64_t count, uint64_t last)
{
	uint8_t key[8], value[VALUE_SIZE];
	struct conclave_kv kv;
	uint64_t number;
	int code = 0;

	for (number = count > last ? count - last : 0; number < count && !code;
	     number++) {
		fill_key(scattered(number), key);
		code = conclave_get(client, key, sizeof(key), value,
				    sizeof(value), &kv);
		if (!code && (kv.value_size != sizeof(value) ||
			      memcmp(value, &number, sizeof(number)) != 0))
			code = -EBADMSG;
	}
	return code;
}

static int throughput_rounds(struct bench *bench, struct floor_file *file,
			     struct conclave *client,
			     struct bench_figure *figure)
{
	struct bench_round rounds[BENCH_ROUNDS];
	uint64_t count = bench_scaled(bench, 400000);
	double rate, p50;
	uint32_t i;
	int code = bench_pipeline(client, count, &rate);

	for (i = 0; i < BENCH_ROUNDS && !code; i++) {
		code = floor_file_write(file, BIG_WRITE, 40, &p50);
		rounds[i].floor =
			BIG_WRITE / (double)BENCH_PUT_BYTES * 1e9 / p50;
		if (!code)
			code = bench_pipeline(client, count, &rounds[i].value);
	}
	figure->unit = "/s";
	figure->floor_name = "bare 256 KiB durable writes, as puts/s";
	figure->more_is_better = true;
	if (!code)
		bench_conclude(figure, rounds, BENCH_ROUNDS,
			       BENCH_ROUNDS * count);
	return code;
}

int bench_put_throughput(struct bench *bench, struct bench_figure *ret_figure)
{
	return with_both(bench, BENCH_SLOTS, ret_figure, throughput_rounds);
}
