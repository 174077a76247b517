/*
 * What the measurements share: clocks, samples, the daemon under test, and
 * the report.
 *
 * A figure is taken in rounds. Each round measures the floor and the product
 * one after the other, so that a machine that drifts drifts for both; the
 * ratio is the median of the rounds' ratios, and the spread is the distance
 * between the quartiles of the rounds over their median.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tests/support/cluster.h"
#include "tests/support/daemon.h"

struct conclave;

enum bench_limits {
	BENCH_ROUNDS = 15,
	BENCH_SLOTS = 4096,
	BENCH_PUT_BYTES = 400, /* a put in the log, all overhead in */
	BENCH_PATH_MAX = 256,
};

struct bench_figure {
	const char *name;
	const char *unit;
	const char *floor_name;
	bool more_is_better; /* the ratio is product/floor either way */
	double value;
	double floor;
	double ratio;
	double spread;
	uint64_t samples;
	bool missed; /* something beside the bar that was asked for */
	char note[160]; /* what else must be known of it */
};

/* One round: what the product did, and what the floor did. */
struct bench_round {
	double value;
	double floor;
};

struct bench {
	struct daemon_process daemon;
	struct daemon_cluster cluster;
	const char *folder; /* where its data and the floor's file go */
	uint32_t scale_percent; /* 100: full length */
};

uint64_t bench_now_ns(void);

/*
 * Runs `work` in a process of its own and sees that nothing is left of it:
 * when it is interrupted or dies, all processes below it are ended, and the
 * folders that `bench` names are removed. `bench` is shared with it. Returns
 * what `work` returned, or -EINTR.
 */
int bench_guard(struct bench *bench, int (*work)(struct bench *bench))
	__attribute__((warn_unused_result));

/* The q-quantile (0..1) of `count` samples; sorts them. */
double bench_quantile(double *samples, uint64_t count, double q);

/* Fills value, floor, ratio, spread and samples from rounds. */
void bench_conclude(struct bench_figure *figure,
		    const struct bench_round *rounds, uint32_t count,
		    uint64_t samples);

/* Floors. */
int floor_pingpong(uint64_t count, double *ret_p50_ns)
	__attribute__((warn_unused_result));

/* A file of zeros without a name, written from its begin to its end and
 * again. */
struct floor_file {
	int fd;
	uint64_t offset;
	uint8_t *buffer; /* FLOOR_WRITE_MAX */
};

enum floor_limits {
	FLOOR_BLOCK = 4096,
	FLOOR_WRITE_MAX = 1 << 20,
};

int floor_file_open(struct floor_file **ret_file, const char *folder)
	__attribute__((warn_unused_result));
void floor_file_close(struct floor_file *file);

/* Where the next write of `size` bytes goes. */
uint64_t floor_file_next(struct floor_file *file, uint32_t size);

/* One durable write, waited for. */
int floor_file_write_once(struct floor_file *file, uint32_t size)
	__attribute__((warn_unused_result));

/* Median nanoseconds of `count` durable writes of `size` bytes. */
int floor_file_write(struct floor_file *file, uint32_t size, uint64_t count,
		     double *ret_p50_ns) __attribute__((warn_unused_result));

/* The skeleton of a cluster: this process and two others, joined by TCP over
 * loopback, each with a file. */
struct floor_trio;
int floor_trio_open(struct floor_trio **ret_trio, const char *folder)
	__attribute__((warn_unused_result));
void floor_trio_close(struct floor_trio *trio);

/*
 * `count` times: sends `size` bytes to both others, all three write them
 * durably, the others reply; done when two of the three have written. Median
 * nanoseconds, and writes a second.
 */
int floor_trio_write(struct floor_trio *trio, uint32_t size, uint64_t count,
		     double *ret_p50_ns, double *ret_rate)
	__attribute__((warn_unused_result));

/* Median nanoseconds of a word to another process and back, over TCP on
 * loopback; both wait in the kernel. */
int floor_tcp_ping(uint64_t count, double *ret_p50_ns)
	__attribute__((warn_unused_result));

/* Keeps the calling thread on one CPU; or on all again. */
void bench_stay_on(uint32_t cpu);
void bench_roam(void);

/* What clients do. A put: 8 B keys, 256 B values. Median microseconds of
 * `count` puts, one after the other. */
int bench_puts(struct conclave *client, uint64_t count, double *ret_p50_us)
	__attribute__((warn_unused_result));

/* Puts a second, pipelined; `client` has BENCH_SLOTS slots. */
int bench_pipeline(struct conclave *client, uint64_t count, double *ret_rate)
	__attribute__((warn_unused_result));

/* Reads back what a pipeline of `count` puts left of the last `last` of them;
 * -EBADMSG when it is not what was put. */
int bench_check_pipeline(struct conclave *client, uint64_t count, uint64_t last)
	__attribute__((warn_unused_result));

uint64_t bench_scaled(const struct bench *bench, uint64_t count);

/* Products; each fills one figure. */
int bench_roundtrip(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_put_latency(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_put_throughput(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));

/* The Raft core alone: one and three cores, batches of 1, 16 and 256. */
int bench_raft_one(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_raft_one_16(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_raft_one_256(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_raft_three(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_raft_three_16(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_raft_three_256(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));

/* Three daemons of bench->cluster, which run. */
int bench_cluster_put_latency(struct bench *bench,
			      struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_cluster_put_throughput(struct bench *bench,
				 struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_cluster_follower_throughput(struct bench *bench,
				      struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_cluster_read_latency(struct bench *bench,
			       struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));
int bench_failover(struct bench *bench, struct bench_figure *ret_figure)
	__attribute__((warn_unused_result));

#endif
