/*
 * What breaks: members, disks and links, one at a time by chance, and some
 * things that do harm only together or in a row.
 */
#include "tests/explore/world.h"

#include <inttypes.h>

enum fault_times {
	SPELL_AFTER_RAID = 60, /* steps */
};

/* So many election timeouts at most, to end in the middle of one. */
static uint64_t after_timeouts(struct world *world, unsigned int least,
			       unsigned int most)
{
	uint64_t timeout = (uint64_t)world->shape.options.election_ticks *
			   world->shape.tick;

	return world->now + least * timeout +
	       world_draw(world, (most - least) * timeout);
}

static void pause_one(struct world *world, struct member *member)
{
	member->paused_until = after_timeouts(world, 0, 3);
	world_reach(world, REACH_PAUSE);
	world_say(world, "%" PRIu64 " pauses", member_id(world, member));
}

static void stall_disk(struct world *world, struct member *member,
		       unsigned int least)
{
	member->stalled_until =
		after_timeouts(world, least, world_chance(world, 25) ? 12 : 4);
	world_reach(world, REACH_SLOW_DISK);
	world_say(world, "the disk of %" PRIu64 " stalls",
		  member_id(world, member));
}

/*
 * A raid: clients fall silent, so that all logs become alike; then the leader
 * and one member do not hear each other any more; a little later all others
 * restart, while the leader hangs or is cut off. What they forget is what they
 * told the leader, and the one that heard nothing asks for their votes.
 */
static void raid_begin(struct world *world)
{
	world->weather.propose = 0;
	world->weather.change = 0;
	world->weather.drop = 0;
	world->raid_at = after_timeouts(world, 1, 2);
	world->raid_spares = 0;
	network_heal(world);
}

static void raid_cut(struct world *world, const struct member *leader)
{
	unsigned int voters = world->facts[world->commit].conf.voters;
	uint64_t from = member_id(world, leader) - 1;
	uint64_t to = world_draw(world, world->count);

	if (to == from || !((voters >> to) & 1))
		return; /* another one, at the next step */
	world->severed[from][to] = true;
	world->severed[to][from] = true;
	world->raid_at = after_timeouts(world, 1, 3);
	world->raid_spares = (uint16_t)(1u << from | 1u << to);
	world_say(world, "%" PRIu64 " and %" PRIu64 " lose each other",
		  from + 1, to + 1);
}

static void raid_strike(struct world *world, struct member *leader)
{
	world->raid_at = 0;
	world->weather_ends = world->step + SPELL_AFTER_RAID;
	if (world_chance(world, 60))
		pause_one(world, leader);
	else
		network_isolate(world, leader);
	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];

		if (!member->running || ((world->raid_spares >> i) & 1))
			continue;
		member_crash(world, member);
		member_start(world, member);
	}
}

static void raid_go_on(struct world *world)
{
	struct member *leader = world_leader(world);
	unsigned int at = leader ? (unsigned int)(leader - world->members) : 0;

	if (!leader)
		world->raid_at = 0; /* there is nothing to break */
	else if (world->raid_spares == 0)
		raid_cut(world, leader);
	else if ((world->raid_spares >> at) & 1)
		raid_strike(world, leader);
	else
		world->raid_at = 0;
}

/* Leaders that nobody hears, with a disk that makes them wait, go on. */
static void part(struct world *world)
{
	struct member *leader = world_leader(world);

	if (leader && world_chance(world, 20)) {
		raid_begin(world);
		return;
	}
	network_part(world);
	if (leader && world_chance(world, 30))
		stall_disk(world, leader, 2);
}

/* The lights go out; or a hand restarts all but one, which hangs perhaps. */
static void crash_many(struct world *world)
{
	bool at_once = world_chance(world, 60);
	struct member *spared = NULL;

	if (at_once)
		spared = world_chance(world, 70) ? world_leader(world)
						 : world_any(world);
	if (spared && world_chance(world, 60))
		pause_one(world, spared);
	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];

		if (member == spared || !member->running)
			continue;
		member_crash(world, member);
		if (at_once)
			member_start(world, member);
	}
}

void fault_strike(struct world *world)
{
	const struct weather *weather = &world->weather;
	struct member *leader = world_leader(world);
	struct member *member = world_any(world);

	/* It hurts most where something is going on. */
	if (leader && world_chance(world, 30))
		member = leader;
	if (world_mille(world, weather->crash) && member->running)
		member_crash(world, member);
	if (world_mille(world, weather->pause) && member->running)
		pause_one(world, member);
	if (world_mille(world, weather->stall))
		stall_disk(world, member, 0);
	if (world->raid_at == 0 && world_mille(world, weather->part))
		part(world);
	if (world->raid_at == 0 && world_mille(world, weather->heal))
		network_heal(world);
	if (world->raid_at != 0 && world->raid_at <= world->now)
		raid_go_on(world);
	if (world_mille(world, weather->crash / 4u))
		crash_many(world);
}
