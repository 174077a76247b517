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
#include "tests/support/daemon.h"

enum bench_limits {
	BENCH_ROUNDS = 15,
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
	char note[128]; /* what else must be known of it */
};

/* One round: what the product did, and what the floor did. */
struct bench_round {
	double value;
	double floor;
};

struct bench {
	struct daemon_process daemon;
	const char *folder; /* where its data and the floor's file go */
	uint32_t scale_percent; /* 100: full length */
};

uint64_t bench_now_ns(void);

/* The q-quantile (0..1) of `count` samples; sorts them. */
double bench_quantile(double *samples, uint64_t count, double q);

/* Fills value, floor, ratio, spread and samples from rounds. */
void bench_conclude(struct bench_figure *figure,
		    const struct bench_round *rounds, uint32_t count,
		    uint64_t samples);

/* Floors. */
int floor_pingpong(uint64_t count, double *ret_p50_ns)
	__attribute__((warn_unused_result));

struct floor_file;
int floor_file_open(struct floor_file **ret_file, const char *folder)
	__attribute__((warn_unused_result));
void floor_file_close(struct floor_file *file);

/* Median nanoseconds of `count` durable writes of `size` bytes. */
int floor_file_write(struct floor_file *file, uint32_t size, uint64_t count,
		     double *ret_p50_ns) __attribute__((warn_unused_result));

/* Keeps the calling thread on one CPU; or on all again. */
void bench_stay_on(uint32_t cpu);
void bench_roam(void);

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

#endif
