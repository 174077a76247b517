/*
 * The kinds of things that must happen somewhere in a long run, or it proves
 * nothing about them.
 */
#ifndef TESTS_EXPLORE_REACH_H
#define TESTS_EXPLORE_REACH_H

#include <stdbool.h>
#include <stdint.h>

enum reach {
	REACH_ELECTION,
	REACH_TWO_LEADERS,
	REACH_TRANSFER,
	REACH_COMMIT,
	REACH_FIGURE_8,
	REACH_CUT,
	REACH_CUT_DURABLE,
	REACH_SIMPLE,
	REACH_JOINT,
	REACH_LEFT,
	REACH_PROMOTED,
	REACH_DEMOTED,
	REACH_BACK,
	REACH_CONF_REFUSED,
	REACH_IMAGE,
	REACH_IMAGE_OVER_LOG,
	REACH_IMAGE_LOST,
	REACH_IMAGE_DENIED,
	REACH_READ,
	REACH_READ_FORWARDED,
	REACH_LEASE,
	REACH_LEASE_ALONE,
	REACH_LEASE_OLD,
	REACH_CRASH,
	REACH_LOST_ENTRIES,
	REACH_LOST_VOTE,
	REACH_QUIET,
	REACH_RESTORED,
	REACH_PAUSE,
	REACH_SLOW_DISK,
	REACH_PART,
	REACH_DROP,
	REACH_TWICE,
	REACH_REORDER,
	REACH_STALE,
	REACH_SHORT,
	REACH_DEPOSED,
	REACH_DEEP,
	REACH_ABA,
	REACH_LIGHT,
	REACH_VOID,
	REACH_STALL,
	REACH_EVICTED,
	REACH_FORWARDED,
	REACH_LOG_FULL,
	REACH_PAGED,
	REACH_WINDOW,
	REACH_OUTBOX,
	REACH_COUNT,
};

/* Adds one seed's counts to what a run reached. */
void reach_add(const uint64_t counts[REACH_COUNT]);
/* The table; returns how many kinds were never reached. */
unsigned int reach_show(uint64_t seeds);
const char *reach_name(enum reach what);

#endif
