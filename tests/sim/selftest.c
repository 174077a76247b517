/*
 * See tests/sim/selftest.h. Each run is a process of its own, since a failure
 * ends it.
 */
#include "tests/sim/selftest.h"
#include "tests/sim/run.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum selftest_limits {
	SELFTEST_SEEDS = 40, /* within so many it must be noticed */
	SELFTEST_HONEST = 20, /* seeds without a lie */
	SELFTEST_SAID = 1024, /* of what a run says */
};

/* What the check that a lie is for says; NULL: whichever comes first. */
struct lie {
	const char *name;
	const char *shown;
};

static const struct lie lies[SIM_BUGS] = {
	[SIM_BUG_NONE] = {"none", NULL},
	[SIM_BUG_ACK_EARLY] = {"ack-early", "not on its disk"},
	[SIM_BUG_LYING_DISK] = {"lying-disk", "without cause"},
	[SIM_BUG_NO_FOLDER_SYNC] = {"no-folder-sync", "refuses to open"},
	[SIM_BUG_ROT_UNSEEN] = {"rot-unseen", "is damaged"},
	[SIM_BUG_FREE_LOCK] = {"free-lock", "is written behind"},
	[SIM_BUG_SAME_BOOT] = {"same-boot", "is damaged"},
	[SIM_BUG_LOST_DOORBELL] = {"lost-doorbell", NULL},
	[SIM_BUG_LOST_WAKE] = {"lost-wake", NULL},
	[SIM_BUG_FORGED_REVISION] = {"forged-revision", NULL},
	[SIM_BUG_SWAPPED_VALUE] = {"swapped-value", "is not whole"},
	[SIM_BUG_FORGED_SUCCESS] = {"forged-success", NULL},
	[SIM_BUG_FORGED_REFUSAL] = {"forged-refusal", "is refused with"},
	[SIM_BUG_POSTED_TWICE] = {"posted-twice", "changes after it was"},
	[SIM_BUG_WILD_CLOCKS] = {"wild-clocks", "which is stale"},
	[SIM_BUG_FORGOTTEN_VOTE] = {"forgotten-vote", ", and voted for"},
	[SIM_BUG_ACK_AHEAD] = {"ack-ahead", "its disk did not have it"},
	[SIM_BUG_FORGED_ACK] = {"forged-ack", "on the disks of a majority"},
	[SIM_BUG_COMMIT_AHEAD] = {"commit-ahead", "tells of commit"},
	[SIM_BUG_UNCONFIRMED_READ] = {"unconfirmed-read", "which is stale"},
	[SIM_BUG_RENAMED_COPY] = {"renamed-copy", "and again at"},
	[SIM_BUG_ALTERED_ENTRY] = {"altered-entry", "the log alone gives"},
	[SIM_BUG_FORGED_GRANT] = {"forged-grant", " lead term "},
	[SIM_BUG_BOASTED_LOG] = {"boasted-log", "which is committed"},
	[SIM_BUG_FORGED_ENTRY] = {"forged-entry", "there are two logs"},
	[SIM_BUG_CUT_LOG] = {"cut-log", "leads and cuts its log"},
	[SIM_BUG_OLD_COMMIT] = {"old-commit", ", commits entry "},
	[SIM_BUG_SECOND_CHANGE] = {"second-change", "a second change"},
	[SIM_BUG_OLDER_READ] = {"older-read", ", which saw revision"},
};

enum sim_bug selftest_bug(const char *name)
{
	for (uint32_t i = SIM_BUG_NONE + 1; i < SIM_BUGS; i++)
		if (strcmp(lies[i].name, name) == 0)
			return (enum sim_bug)i;
	return SIM_BUG_NONE;
}

const char *selftest_name(enum sim_bug bug)
{
	assert(bug < SIM_BUGS);
	return lies[bug].name;
}

static void be_the_child(enum sim_bug bug, uint64_t seed, uint64_t steps,
			 int said)
{
	if (dup2(said, STDOUT_FILENO) < 0 || dup2(said, STDERR_FILENO) < 0)
		_exit(SIM_USAGE);
	sim.bug = bug;
	sim.quiet = true;
	(void)run_seed(seed, steps); /* a failure does not come back */
	_exit(SIM_OK);
}

/* The first line of what comes, without the number of the seed. */
static void hear(int said, char ret_said[SELFTEST_SAID])
{
	char text[SELFTEST_SAID], rest[SELFTEST_SAID];
	size_t used = 0;
	ssize_t size;
	while (used < sizeof(text) - 1 &&
	       (size = read(said, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)size;
	while (read(said, rest, sizeof(rest)) > 0)
		continue;
	text[used] = '\0';
	text[strcspn(text, "\n")] = '\0';
	const char *reason = strstr(text, ": ");
	(void)snprintf(ret_said, SELFTEST_SAID, "%s",
		       reason != NULL ? reason + 2 : text);
}

/* The exit code of one run with the lie, and what it says. */
static int run_lie(enum sim_bug bug, uint64_t seed, uint64_t steps,
		   char ret_said[SELFTEST_SAID])
{
	int ends[2];
	fflush(stdout);
	if (pipe(ends) != 0)
		return SIM_USAGE;
	pid_t child = fork();
	if (child == 0) {
		(void)close(ends[0]);
		be_the_child(bug, seed, steps, ends[1]);
	}
	(void)close(ends[1]);
	hear(ends[0], ret_said);
	(void)close(ends[0]);
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) != child)
		return SIM_USAGE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : SIM_CRASHED;
}

/* By the check that it is for. */
static bool noticed(enum sim_bug bug, uint64_t seed, uint64_t steps)
{
	const char *shown = lies[bug].shown;
	char said[SELFTEST_SAID], last[SELFTEST_SAID] = "nothing";
	for (uint64_t i = 0; i < SELFTEST_SEEDS; i++) {
		int code = run_lie(bug, seed + i, steps, said);
		if (code < SIM_CRASHED)
			continue;
		if (shown != NULL && strstr(said, shown) == NULL) {
			memcpy(last, said, sizeof(last));
			continue;
		}
		printf("ok %s is noticed in seed %" PRIu64 ", exit %d: %s\n",
		       lies[bug].name, seed + i, code, said);
		return true;
	}
	printf("FAIL %s is not noticed in %d seeds%s%s; seen was: %s; to see "
	       "it again: sim --bug %s --seed %" PRIu64 "\n",
	       lies[bug].name, SELFTEST_SEEDS, shown != NULL ? " by: " : "",
	       shown != NULL ? shown : "", last, lies[bug].name, seed);
	return false;
}

/* Without a lie there is nothing to notice, or else all the rest is vain. */
static bool honest(uint64_t seed, uint64_t steps)
{
	char said[SELFTEST_SAID];
	for (uint64_t i = 0; i < SELFTEST_HONEST; i++) {
		int code = run_lie(SIM_BUG_NONE, seed + i, steps, said);
		if (code == SIM_OK)
			continue;
		printf("FAIL without a lie seed %" PRIu64
		       " exits with %d: %s\n",
		       seed + i, code, said);
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
		assert(lies[i].name != NULL);
		missed += !noticed((enum sim_bug)i, seed, steps);
	}
	printf("%u of %u lies are noticed\n", SIM_BUGS - 1 - missed,
	       SIM_BUGS - 1);
	return missed > 0 ? SIM_BROKEN : SIM_OK;
}
