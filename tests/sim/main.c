/*
 * The simulator: seeds in, "ok" or a failure with its last events out.
 *
 * Exit codes: 0; 2 usage; 3 a coverage point was never hit; 127 an assert or
 * a crash, 128 something never ends, 129 a broken invariant, 130 one seed had
 * two histories.
 */
#include "tests/sim/run.h"
#include "tests/sim/selftest.h"
#include "tests/sim/sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum main_limits {
	STEPS_DEFAULT = 50000,
	TWICE_EVERY = 16,
	COVERED_SEEDS = 50, /* so many must hit every point */
};

struct options {
	uint64_t seed; /* 0: not said */
	uint64_t seeds;
	uint64_t steps;
	bool twice;
	bool selftest;
	bool help;
};

static void usage(FILE *out)
{
	fputs("usage: sim [--seed N] [--seeds K] [--steps M] [--members C]\n"
	      "           [--profile swarm|calm] [--trace] [--twice]\n"
	      "           [--bug NAME] [--selftest]\n"
	      "Runs K simulated histories of M events each, of clusters of C "
	      "members,\nfrom seed N on; without N, many start at a fresh one, "
	      "without C, the seed\nsays how many they are.\n",
	      out);
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	*ret_number = strtoull(text, &end, 10);
	return *end == '\0';
}

static bool parse_members(const char *text)
{
	uint64_t members;
	if (!parse_number(text, &members) || members == 0 ||
	    members + 2 > SIM_MACHINES_MAX)
		return false;
	sim.members = (uint32_t)members;
	return true;
}

static bool parse_profile(const char *text)
{
	sim.calm = strcmp(text, "calm") == 0;
	return sim.calm || strcmp(text, "swarm") == 0;
}

static bool parse_bug(const char *text)
{
	sim.bug = selftest_bug(text);
	return sim.bug != SIM_BUG_NONE;
}

static bool take_option(struct options *options, int option, const char *text)
{
	switch (option) {
	case 's':
		return parse_number(text, &options->seed);
	case 'k':
		return parse_number(text, &options->seeds);
	case 'm':
		return parse_number(text, &options->steps);
	case 'c':
		return parse_members(text);
	case 'p':
		return parse_profile(text);
	case 'b':
		return parse_bug(text);
	case 't':
		sim.trace = true;
		return true;
	case '2':
		options->twice = true;
		return true;
	case 'x':
		options->selftest = true;
		return true;
	case 'h':
		options->help = true;
		return true;
	default:
		return false;
	}
}

static bool parse(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{"seed", required_argument, NULL, 's'},
		{"seeds", required_argument, NULL, 'k'},
		{"steps", required_argument, NULL, 'm'},
		{"members", required_argument, NULL, 'c'},
		{"profile", required_argument, NULL, 'p'},
		{"bug", required_argument, NULL, 'b'},
		{"trace", no_argument, NULL, 't'},
		{"twice", no_argument, NULL, '2'},
		{"selftest", no_argument, NULL, 'x'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "", names, NULL)) != -1)
		if (!take_option(options, option, optarg))
			return false;
	return optind == argc;
}

/* ---- crashes of what is simulated ---- */

static void crashed(int number)
{
	sim_fail(SIM_CRASHED, "signal %d, an assert or a crash", number);
}

static void catch_crashes(void)
{
	static uint8_t stack[64 << 10];
	const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {.sa_handler = crashed,
				   .sa_flags =
					   (int)(SA_ONSTACK | SA_RESETHAND)};
	(void)sigaltstack(&alternate, NULL);
	static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaction(numbers[i], &action, NULL);
}

/* ---- many seeds ---- */

static uint64_t clock_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Another set of seeds each second; printed with each seed. */
static uint64_t fresh_seed(void)
{
	return (uint64_t)time(NULL) * 1000;
}

static uint64_t fault_total(void)
{
	uint64_t total = 0;
	for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
		total += sim.faults[i];
	return total;
}

static uint64_t run_one(const struct options *options, uint64_t seed)
{
	uint64_t faults = fault_total();
	uint64_t hash = run_seed(seed, options->steps);
	uint64_t steps = sim.steps;
	bool twice = options->twice || seed % TWICE_EVERY == 0;
	if (twice && run_seed(seed, options->steps) != hash)
		sim_fail(SIM_UNREPEATABLE, "one seed, two histories");
	printf("ok seed %" PRIu64 " members %u events %" PRIu64
	       " faults %" PRIu64 " hash %016" PRIx64 "%s\n",
	       seed, sim.swarm.members, steps, fault_total() - faults, hash,
	       twice ? " twice" : "");
	return twice ? 2 * steps : steps;
}

static void print_counts(void)
{
	printf("faults:");
	for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
		printf(" %s %" PRIu64, sim_fault_name((enum sim_fault)i),
		       sim.faults[i]);
	printf("\nreached:");
	for (uint32_t i = 0; i < SIM_POINT_COUNT; i++)
		printf(" %s %" PRIu64, sim_point_name((enum sim_point)i),
		       sim.points[i]);
	printf("\n");
}

static uint32_t print_unreached(void)
{
	uint32_t missing = 0;
	for (uint32_t i = 0; i < SIM_POINT_COUNT; i++) {
		bool alone = sim.members == 1 && i >= SIM_POINT_LEADER_CHANGED;
		if (sim.points[i] > 0 || alone)
			continue;
		printf("never reached: %s\n",
		       sim_point_name((enum sim_point)i));
		missing++;
	}
	return missing;
}

static int run_all(const struct options *options)
{
	uint64_t start = clock_ms(), events = 0;
	for (uint64_t i = 0; i < options->seeds; i++) {
		events += run_one(options, options->seed + i);
		fflush(stdout);
	}
	uint64_t ms = clock_ms() - start + 1;
	print_counts();
	uint32_t missing = print_unreached();
	printf("%" PRIu64 " seeds, %" PRIu64 " events, %" PRIu64
	       " faults, %u of %u points reached, %" PRIu64
	       " events a second\n",
	       options->seeds, events, fault_total(), SIM_POINT_COUNT - missing,
	       SIM_POINT_COUNT, events * 1000 / ms);
	bool must = options->seeds >= COVERED_SEEDS && !sim.calm;
	return must && missing > 0 ? SIM_UNCOVERED : SIM_OK;
}

int main(int argc, char **argv)
{
	struct options options = {
		.seeds = 1,
		.steps = STEPS_DEFAULT,
	};
	if (!parse(&options, argc, argv) || options.seeds == 0) {
		usage(stderr);
		return SIM_USAGE;
	}
	if (options.help) {
		usage(stdout);
		return SIM_OK;
	}
	sim.steps_max = options.steps;
	if (options.seed == 0)
		options.seed = options.seeds > 1 ? fresh_seed() : 1;
	if (options.selftest)
		return selftest_run(options.seed, options.steps);
	catch_crashes();
	return run_all(&options);
}
