/*
 * Lies that the world tells the cores, one a run. Each breaks something that
 * the cores may rely on, so that a property falls, and the checks must
 * notice; a check that misses them would miss the same fault in a core.
 */
#ifndef TESTS_EXPLORE_LIE_H
#define TESTS_EXPLORE_LIE_H

#include "tests/explore/world.h"

enum lie {
	LIE_NONE = 0,
	LIE_VOTE_FORGOTTEN, /* a crash takes the vote from the disk */
	LIE_TERM_FORGOTTEN, /* a crash takes the newest term, too */
	LIE_WRITE_FORGOTTEN, /* a crash takes entries that were durable */
	LIE_DURABLE_EARLY, /* told to be durable before it is */
	LIE_ENTRY_ALTERED, /* an entry changes on its way */
	LIE_VOTE_TURNED, /* a refused vote arrives as granted */
	LIE_ACK_RAISED, /* more is acknowledged than was */
	LIE_COMMIT_RAISED, /* a heartbeat tells of a later commit */
	LIE_ROUND_RAISED, /* an old heartbeat's answer counts as new */
	LIE_IMAGE_ALTERED, /* an image with another configuration */
	LIE_APPLY_SKIPPED, /* a change of membership is not applied */
	LIE_NOT_QUIET, /* a restarted member votes at once */
	LIE_CLOCK_SLOW, /* a leader's clock has half the speed of others */
	LIE_NEVER_HEALED, /* faults go on for most of the voters */
	LIE_COUNT,
};

const char *lie_name(enum lie lie);
void lie_about_shape(struct world *world);
void lie_about_crash(struct world *world, struct member *member);
/* Whether the core is told that a write is durable that is not. */
bool lie_about_write(struct world *world, struct member *member);
void lie_about_message(struct world *world, const struct member *to,
		       struct parcel *parcel);
bool lie_about_apply(struct world *world);
uint64_t lie_about_pace(const struct world *world, const struct member *member,
			uint64_t pace);
bool lie_about_healing(const struct world *world, const struct member *member);

#endif
