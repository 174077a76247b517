/*
 * Counts of what a run reached, and the table of them.
 */
#include "tests/explore/reach.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const char *const names[REACH_COUNT] = {
	[REACH_ELECTION] = "elections won",
	[REACH_TWO_LEADERS] = "steps with two members that think they lead",
	[REACH_TRANSFER] = "transfers completed",
	[REACH_COMMIT] = "entries committed",
	[REACH_FIGURE_8] = "older entries on a majority, not committed",
	[REACH_CUT] = "tails of logs overwritten",
	[REACH_CUT_DURABLE] = "tails overwritten that were durable",
	[REACH_SIMPLE] = "simple changes of membership",
	[REACH_JOINT] = "joint configurations entered",
	[REACH_LEFT] = "joint configurations left",
	[REACH_PROMOTED] = "learners made voters",
	[REACH_DEMOTED] = "voters made learners",
	[REACH_BACK] = "removed members that came back",
	[REACH_CONF_REFUSED] = "changes refused",
	[REACH_IMAGE] = "images installed",
	[REACH_IMAGE_OVER_LOG] = "images that replaced entries",
	[REACH_IMAGE_LOST] = "images lost on the way",
	[REACH_IMAGE_DENIED] = "images that arrived, reported lost",
	[REACH_READ] = "reads confirmed",
	[REACH_READ_FORWARDED] = "reads confirmed to a follower",
	[REACH_LEASE] = "steps in which a lease served reads",
	[REACH_LEASE_ALONE] = "leases that outlive their holder's power",
	[REACH_LEASE_OLD] = "reads by etcd's lease",
	[REACH_CRASH] = "crashes",
	[REACH_LOST_ENTRIES] = "crashes that lost entries",
	[REACH_LOST_VOTE] = "crashes that lost a vote or a term",
	[REACH_QUIET] = "restarts that keep quiet",
	[REACH_RESTORED] = "restarts behind what was applied",
	[REACH_PAUSE] = "members paused",
	[REACH_SLOW_DISK] = "disks stalled",
	[REACH_PART] = "partitions",
	[REACH_DROP] = "messages dropped",
	[REACH_TWICE] = "messages that came twice",
	[REACH_REORDER] = "messages overtaken",
	[REACH_SHORT] = "appends that arrived with less",
	[REACH_DEPOSED] = "old answers to a leader that was replaced",
	[REACH_STALE] = "messages of an older term",
	[REACH_DEEP] = "writes behind other writes",
	[REACH_ABA] = "durable, but overwritten meanwhile",
	[REACH_LIGHT] = "readies without the disk's part",
	[REACH_VOID] = "readies looked at and not taken",
	[REACH_STALL] = "readies beyond what can be told apart",
	[REACH_EVICTED] = "entries read back from the disk",
	[REACH_FORWARDED] = "forwarded proposals appended",
	[REACH_LOG_FULL] = "proposals refused, log full",
	[REACH_PAGED] = "readies that held back committed entries",
	[REACH_WINDOW] = "windows of appends that were full",
	[REACH_OUTBOX] = "outboxes that were full",
};

static uint64_t totals[REACH_COUNT];
static uint64_t holders[REACH_COUNT]; /* seeds that reached it */

const char *reach_name(enum reach what)
{
	assert(what < REACH_COUNT);
	return names[what];
}

void reach_add(const uint64_t counts[REACH_COUNT])
{
	for (unsigned int i = 0; i < REACH_COUNT; i++) {
		totals[i] += counts[i];
		holders[i] += counts[i] > 0;
	}
}

unsigned int reach_show(uint64_t seeds)
{
	unsigned int never = 0;

	assert(seeds > 0);
	printf("%-46s %12s %10s %8s\n", "reached", "in all", "a seed",
	       "of seeds");
	for (unsigned int i = 0; i < REACH_COUNT; i++) {
		printf("%-46s %12" PRIu64 " %10.2f %7.1f%%\n", names[i],
		       totals[i], (double)totals[i] / (double)seeds,
		       100.0 * (double)holders[i] / (double)seeds);
		never += totals[i] == 0;
	}
	return never;
}
