/*
 * See tests/sim/selftest.h. Each run is a process of its own, since a failure
 * ends it.
 */
#include "tests/sim/selftest.h"
#include "tests/sim/run.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum selftest_limits {
	SELFTEST_SEEDS = 20, /* within so many it must be noticed */
};

static const char *const names[SIM_BUGS] = {
	[SIM_BUG_NONE] = "none",
	[SIM_BUG_ACK_EARLY] = "ack-early",
	[SIM_BUG_LYING_DISK] = "lying-disk",
	[SIM_BUG_NO_FOLDER_SYNC] = "no-folder-sync",
	[SIM_BUG_ROT_UNSEEN] = "rot-unseen",
	[SIM_BUG_FREE_LOCK] = "free-lock",
	[SIM_BUG_SAME_BOOT] = "same-boot",
	[SIM_BUG_LOST_DOORBELL] = "lost-doorbell",
	[SIM_BUG_LOST_WAKE] = "lost-wake",
	[SIM_BUG_FORGED_REVISION] = "forged-revision",
	[SIM_BUG_SWAPPED_VALUE] = "swapped-value",
	[SIM_BUG_FORGED_SUCCESS] = "forged-success",
	[SIM_BUG_FORGED_REFUSAL] = "forged-refusal",
	[SIM_BUG_POSTED_TWICE] = "posted-twice",
	[SIM_BUG_WILD_CLOCKS] = "wild-clocks",
	[SIM_BUG_FORGOTTEN_VOTE] = "forgotten-vote",
	[SIM_BUG_ACK_AHEAD] = "ack-ahead",
	[SIM_BUG_FORGED_ACK] = "forged-ack",
	[SIM_BUG_COMMIT_AHEAD] = "commit-ahead",
	[SIM_BUG_UNCONFIRMED_READ] = "unconfirmed-read",
	[SIM_BUG_RENAMED_COPY] = "renamed-copy",
	[SIM_BUG_ALTERED_ENTRY] = "altered-entry",
};

enum sim_bug selftest_bug(const char *name)
{
	for (uint32_t i = SIM_BUG_NONE + 1; i < SIM_BUGS; i++)
		if (strcmp(names[i], name) == 0)
			return (enum sim_bug)i;
	return SIM_BUG_NONE;
}

const char *selftest_name(enum sim_bug bug)
{
	assert(bug < SIM_BUGS);
	return names[bug];
}

static void be_the_child(enum sim_bug bug, uint64_t seed, uint64_t steps)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 ||
	    dup2(nowhere, STDERR_FILENO) < 0)
		_exit(SIM_USAGE);
	sim.bug = bug;
	sim.quiet = true;
	(void)run_seed(seed, steps); /* a failure does not come back */
	_exit(SIM_OK);
}

/* The exit code of one run with the lie. */
static int run_lie(enum sim_bug bug, uint64_t seed, uint64_t steps)
{
	fflush(stdout);
	pid_t child = fork();
	if (child < 0)
		return SIM_USAGE;
	if (child == 0)
		be_the_child(bug, seed, steps);
	int status = 0;
	if (waitpid(child, &status, 0) != child)
		return SIM_USAGE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : SIM_CRASHED;
}

static bool noticed(enum sim_bug bug, uint64_t seed, uint64_t steps)
{
	for (uint64_t i = 0; i < SELFTEST_SEEDS; i++) {
		int code = run_lie(bug, seed + i, steps);
		if (code < SIM_CRASHED)
			continue;
		printf("ok %s is noticed in seed %" PRIu64 ", exit %d\n",
		       names[bug], seed + i, code);
		return true;
	}
	printf("FAIL %s is not noticed in %d seeds; to see it again: sim "
	       "--bug %s --seed %" PRIu64 "\n",
	       names[bug], SELFTEST_SEEDS, names[bug], seed);
	return false;
}

/* Without a lie there is nothing to notice, or else all the rest is vain. */
static bool honest(uint64_t seed, uint64_t steps)
{
	for (uint64_t i = 0; i < SELFTEST_SEEDS; i++) {
		int code = run_lie(SIM_BUG_NONE, seed + i, steps);
		if (code == SIM_OK)
			continue;
		printf("FAIL without a lie seed %" PRIu64 " exits with %d\n",
		       seed + i, code);
		return false;
	}
	printf("ok without a lie nothing is noticed\n");
	return true;
}

int selftest_run(uint64_t seed, uint64_t steps)
{
	uint32_t missed = 0;
	if (!honest(seed, steps))
		return SIM_BROKEN;
	for (uint32_t i = SIM_BUG_NONE + 1; i < SIM_BUGS; i++) {
		assert(names[i] != NULL);
		missed += !noticed((enum sim_bug)i, seed, steps);
	}
	printf("%u of %u lies are noticed\n", SIM_BUGS - 1 - missed,
	       SIM_BUGS - 1);
	return missed > 0 ? SIM_BROKEN : SIM_OK;
}
