/*
 * Birth of a world, and what one life of it consists of: its size, the
 * options of its cores, the speed of its clocks, all drawn from the seed.
 *
 * Clocks differ by at most a ninth, which is what a lease gives away to them
 * (raft/lease.c); that limit is reached, not approached.
 */
#include "tests/explore/world.h"

#include "tests/explore/lie.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum world_shape {
	SHAPE_MESSAGES = RAFT_MESSAGES_MIN,
	SHAPE_READS = 8,
	SHAPE_INFLIGHT = 64,
	TRACE_KEPT = 100, /* lines that tell how it came about */
};

static char told[TRACE_KEPT][WORLD_TRACE_LINE];
static uint64_t told_count;

uint64_t world_draw(struct world *world, uint64_t below)
{
	uint64_t z = world->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

bool world_chance(struct world *world, unsigned int percent)
{
	return world_draw(world, 100) < percent;
}

bool world_mille(struct world *world, unsigned int per_mille)
{
	return per_mille > 0 && world_draw(world, 1000) < per_mille;
}

void world_say(struct world *world, const char *format, ...)
{
	char *line = told[told_count % TRACE_KEPT];
	va_list args;
	int used;

	if (world->trace == TRACE_NONE)
		return;
	told_count++;
	used = snprintf(line, WORLD_TRACE_LINE, "%6" PRIu64 "  ", world->step);
	va_start(args, format);
	(void)vsnprintf(line + used, (size_t)(WORLD_TRACE_LINE - used), format,
			args); /* a longer line is cut */
	va_end(args);
	if (world->trace == TRACE_ALL)
		puts(line);
}

void world_tell(void)
{
	uint64_t from = told_count > TRACE_KEPT ? told_count - TRACE_KEPT : 0;

	for (; from < told_count; from++)
		puts(told[from % TRACE_KEPT]);
	told_count = 0;
}

static uint64_t one_of(struct world *world, const uint64_t *values,
		       unsigned int count)
{
	return values[world_draw(world, count)];
}

/* Windows and limits: as small as they may be, or out of the way. */
static void draw_limits(struct world *world, struct raft_options *options)
{
	static const uint64_t inflight[] = {1, 2, 3, 4, SHAPE_INFLIGHT};
	static const uint64_t inflight_size[] = {0, 0, 400};
	static const uint64_t append[] = {1, 300, 2000, 1 << 20};
	static const uint64_t uncommitted[] = {0, 0, 0, 700, 6000};
	static const uint64_t committed[] = {0, 300, 2000, 1 << 20};
	static const uint64_t window[] = {32, 64, WORLD_WINDOW_MAX};
	static const uint64_t reads[] = {2, SHAPE_READS};

	options->inflight_max = (uint32_t)one_of(world, inflight, 5);
	options->inflight_size_max = one_of(world, inflight_size, 3);
	options->append_size_max = one_of(world, append, 4);
	options->uncommitted_size_max = one_of(world, uncommitted, 5);
	options->committed_size_max = one_of(world, committed, 4);
	options->entries_max = (uint32_t)one_of(world, window, 3);
	options->reads_max = (uint32_t)one_of(world, reads, 2);
	options->messages_max = SHAPE_MESSAGES;
}

static void draw_shape(struct world *world)
{
	static const uint64_t election[] = {6, 10, 10, 11, 11, 11, 20, 30};
	static const uint64_t ticks[] = {900, 1350, 1800, 2700};
	static const uint64_t depths[] = {1, 2, 8, WORLD_WRITES_MAX};
	struct shape *shape = &world->shape;
	struct raft_options *options = &shape->options;

	draw_limits(world, options);
	options->election_ticks = (uint32_t)one_of(world, election, 8);
	options->heartbeat_ticks = 1 + (uint32_t)world_draw(world, 2);
	if (world_chance(world, 15))
		options->heartbeat_ticks = options->election_ticks / 3;
	options->lease = world_chance(world, 50);
	options->pre_vote = world_chance(world, 60);
	options->check_quorum = options->lease || world_chance(world, 30);
	options->forwarding = world_chance(world, 75);
	options->step_down_on_removal = world_chance(world, 75);
	if (options->lease || world_chance(world, 30))
		options->quiet_ticks = options->election_ticks;
	if (options->check_quorum && world_chance(world, 10))
		options->read_mode = RAFT_READ_LEASE;
	options->askers_count = world_chance(world, 50);
	shape->tick = one_of(world, ticks, 4);
	shape->depth = (unsigned int)one_of(world, depths, 4);
	shape->mixed = world_chance(world, 15);
}

/* Memory for the largest core that draw_limits() may ask for. */
static size_t memory_size(void)
{
	const struct raft_options most = {
		.entries_max = WORLD_WINDOW_MAX,
		.messages_max = SHAPE_MESSAGES,
		.reads_max = SHAPE_READS,
		.inflight_max = SHAPE_INFLIGHT,
	};

	return raft_memory_size(&most);
}

void world_init(struct world *world, uint64_t seed, uint8_t lie)
{
	static const unsigned int sizes[] = {3, 3, 3, 5, 5, 7};
	uint8_t trace = world->trace;

	memset(world, 0, sizeof(*world));
	told_count = 0;
	world->trace = trace;
	world->random = seed * 0x2545f4914f6cdd1du + 1;
	world->seed = seed;
	world->lie = lie;
	world->founders = sizes[world_draw(world, 6)];
	world->count = world->founders + 2;
	draw_shape(world);
	lie_about_shape(world);
	world->facts[0].conf.voters = (uint16_t)((1u << world->founders) - 1);
	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];
		struct raft_conf_state *conf = &member->saved.conf;

		member->memory = aligned_alloc(64, memory_size());
		assert(member->memory);
		if (i < world->founders) {
			conf->voter_count = (uint8_t)world->founders;
			for (unsigned int j = 0; j < world->founders; j++)
				conf->voters[j] = j + 1;
		}
		member_start(world, member);
	}
}

void world_release(struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];

		network_forget(member);
		for (unsigned int j = 0; j < member->write_count; j++)
			free(member->writes[j].entries);
		free(member->memory);
	}
}

bool world_is_spent(const struct world *world)
{
	enum {
		MARGIN = 1024
	};

	if (world->pair_count > WORLD_PAIRS / 2 ||
	    world->next_payload > WORLD_PAYLOADS - MARGIN ||
	    world->next_change > WORLD_CHANGES - MARGIN)
		return true;
	for (unsigned int i = 0; i < world->count; i++) {
		const struct raft *raft = world->members[i].raft;

		if (raft->term > WORLD_TERMS_MAX - MARGIN ||
		    raft->log.last > WORLD_LOG_MAX - MARGIN)
			return true;
	}
	return false;
}

struct member *world_leader(struct world *world)
{
	struct member *found = NULL;

	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];

		if (member->running && member->raft->role == RAFT_LEADER &&
		    (!found || member->raft->term > found->raft->term))
			found = member;
	}
	return found;
}

struct member *world_any(struct world *world)
{
	return &world->members[world_draw(world, world->count)];
}
