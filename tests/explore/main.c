/*
 * explore SEED STEPS [SEEDS] [--trace]
 * explore --selftest [SEED]
 * explore --lie N SEED STEPS [SEEDS] [--trace]
 *
 * Runs SEEDS seeds from SEED on, STEPS steps each, and checks every property
 * after everything that happens to a core; then faults stop, and progress
 * must return. A failure prints how it came about and the command that
 * replays it; an assert of the core counts as one. A run of many seeds fails
 * also if a kind of event was never reached.
 *
 * --selftest lets the world lie to the cores, one lie at a time; each must be
 * noticed. --lie tells that one again.
 */
#include "tests/explore/world.h"

#include "tests/explore/lie.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum explore_limits {
	EXPLORE_REACH_SEEDS = 1000, /* from so many on, all is reached */
	EXPLORE_BAD_MAX = 5, /* failures that are worth printing */
	EXPLORE_LIE_SEEDS = 2000,
	EXPLORE_LIE_STEPS = 2000,
};

struct tally {
	uint64_t seeds, steps, moments, bad;
};

static struct world world;
static uint8_t lie_told;
static sigjmp_buf aborted;

/* An assert inside the core: the seed has failed, the run goes on. */
static void on_abort(int signal)
{
	(void)signal;
	siglongjmp(aborted, 1);
}

static void live(uint64_t seed, uint64_t steps)
{
	world_init(&world, seed, lie_told);
	for (uint64_t i = 0; i < steps && !world.failed; i++) {
		weather_step(&world);
		if (world_is_spent(&world))
			break;
	}
	if (!world.failed)
		settle(&world);
}

/* Whether all went well. What an assert leaves behind is given back, too. */
static bool run_seed(uint64_t seed, uint64_t steps)
{
	if (sigsetjmp(aborted, 1) == 0) {
		live(seed, steps);
	} else {
		check_fail(&world, "an assert fails");
	}
	world_release(&world);
	return !world.failed;
}

/* Once more, to tell how it came about; the same happens again. */
static void retell(uint64_t seed, uint64_t steps)
{
	world.trace = TRACE_LAST;
	(void)run_seed(seed, steps); /* known to fail */
	world.trace = TRACE_NONE;
	world_tell();
	printf("replay: make explore SEED=%" PRIu64 " STEPS=%" PRIu64
	       " TRACE=1\n",
	       seed, steps);
}

static double seconds_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* it is there */
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int conclude(const struct tally *tally, double seconds)
{
	unsigned int never = reach_show(tally->seeds);
	bool poor = never > 0 && tally->seeds >= EXPLORE_REACH_SEEDS;

	if (poor)
		printf("FAIL: %u kinds of events were never reached\n", never);
	printf("%" PRIu64 " seeds, %" PRIu64 " steps, %" PRIu64
	       " events at cores: %.0f steps and %.0f events a second; "
	       "%" PRIu64 " failed\n",
	       tally->seeds, tally->steps, tally->moments,
	       (double)tally->steps / seconds, (double)tally->moments / seconds,
	       tally->bad);
	return tally->bad == 0 && !poor ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int explore(uint64_t seed, uint64_t steps, uint64_t count)
{
	struct tally tally = {0};
	double began = seconds_now();

	for (uint64_t i = 0; i < count; i++) {
		bool good = run_seed(seed + i, steps);

		tally.seeds++;
		tally.steps += world.step;
		tally.moments += world.moments;
		reach_add(world.reached);
		if (good)
			continue;
		retell(seed + i, steps);
		if (++tally.bad == EXPLORE_BAD_MAX)
			break;
	}
	return conclude(&tally, seconds_now() - began);
}

static int trace(uint64_t seed, uint64_t steps)
{
	world.trace = TRACE_ALL;
	return run_seed(seed, steps) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int selftest(uint64_t seed)
{
	unsigned int missed = 0;

	for (lie_told = LIE_NONE + 1; lie_told < LIE_COUNT; lie_told++) {
		uint64_t at = 0;

		while (at < EXPLORE_LIE_SEEDS &&
		       run_seed(seed + at, EXPLORE_LIE_STEPS))
			at++;
		if (at == EXPLORE_LIE_SEEDS) {
			printf("FAIL not noticed: %s\n", lie_name(lie_told));
			missed++;
		} else {
			printf("ok %s (--lie %u %" PRIu64 " %u)\n",
			       lie_name(lie_told), lie_told, seed + at,
			       EXPLORE_LIE_STEPS);
		}
	}
	return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int usage(void)
{
	fputs("usage: explore [--lie N] SEED STEPS [SEEDS] [--trace]\n"
	      "       explore --selftest [SEED]\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	bool traced = argc > 3 && strcmp(argv[argc - 1], "--trace") == 0;
	uint64_t seed, steps;

	(void)signal(SIGABRT, on_abort); /* without it a run just ends */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc >= 2 && strcmp(argv[1], "--selftest") == 0)
		return selftest(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
	if (argc >= 3 && strcmp(argv[1], "--lie") == 0) {
		lie_told = (uint8_t)strtoull(argv[2], NULL, 10);
		argv += 2;
		argc -= 2;
	}
	if (argc < 3 || lie_told >= LIE_COUNT)
		return usage();
	seed = strtoull(argv[1], NULL, 10);
	steps = strtoull(argv[2], NULL, 10);
	if (traced)
		return trace(seed, steps);
	return explore(seed, steps, argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
}
