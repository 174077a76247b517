/*
 * Draws for random tests. The seed is CONCLAVE_SEED, or that of the round;
 * it is printed, so that a failure can be had again.
 */
#ifndef TESTS_UNIT_SUPPORT_RAFT_DRAW_H
#define TESTS_UNIT_SUPPORT_RAFT_DRAW_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct draw {
	uint64_t state;
};

static inline void draw_init(struct draw *draw, uint64_t round)
{
	const char *given = getenv("CONCLAVE_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : round + 1;

	fprintf(stderr, "CONCLAVE_SEED=%llu\n", (unsigned long long)seed);
	draw->state = seed * 0x9e3779b97f4a7c15u + 1;
}

/* One of 0 .. below - 1, by xorshift64*. */
static inline uint64_t draw_below(struct draw *draw, uint64_t below)
{
	draw->state ^= draw->state >> 12;
	draw->state ^= draw->state << 25;
	draw->state ^= draw->state >> 27;
	return ((draw->state * 0x2545f4914f6cdd1du) >> 32) % below;
}

#endif
