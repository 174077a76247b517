/* Samples, medians and what is printed of them. */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t bench_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

double bench_quantile(double *samples, uint64_t count, double q)
{
	if (!count)
		return 0;
	qsort(samples, count, sizeof(*samples), compare);
	return samples[(uint64_t)(q * (double)(count - 1))];
}

void bench_conclude(struct bench_figure *figure,
		    const struct bench_round *rounds, uint32_t count,
		    uint64_t samples)
{
	double values[BENCH_ROUNDS], floors[BENCH_ROUNDS];
	double ratios[BENCH_ROUNDS];
	uint32_t i;

	for (i = 0; i < count; i++) {
		values[i] = rounds[i].value;
		floors[i] = rounds[i].floor;
		ratios[i] = rounds[i].value / rounds[i].floor;
	}
	figure->value = bench_quantile(values, count, 0.5);
	figure->floor = bench_quantile(floors, count, 0.5);
	figure->ratio = bench_quantile(ratios, count, 0.5);
	figure->spread = (bench_quantile(ratios, count, 0.75) -
			  bench_quantile(ratios, count, 0.25)) /
			 figure->ratio;
	figure->samples = samples;
}
