/*
 * Faults stop, and progress must return: first everybody is there, and a new
 * proposal must reach every voter; then, when the configuration is not a
 * joint one, a minority of the voters goes and stays away, and another
 * proposal must be committed by those that are left.
 *
 * How long that may take is counted in election timeouts.
 *
 * One end is known and allowed: a window that is full of entries which no
 * leader of many lived to commit. Memory is given at birth, and each election
 * takes an entry; shells keep clients away from the last part of the window
 * (raft.h, entries_max). These windows are so small that it happens.
 */
#include "tests/explore/world.h"

#include "raft/entry.h"
#include "tests/explore/lie.h"

#include <inttypes.h>

enum settle_limits {
	SETTLE_TIMEOUTS = 40, /* election timeouts, and */
	SETTLE_EXTRA = 2 * WORLD_WINDOW_MAX, /* rounds, for one entry each */
	SETTLE_TURNS = 6, /* of a shell, in a round */
	SETTLE_STEADY = 3, /* rounds that a leader leads before it is asked */
};

static void turns(struct world *world, struct member *member)
{
	const struct raft_log *log = &member->raft->log;

	for (unsigned int i = 0; i < SETTLE_TURNS && !world->failed; i++) {
		member_ready(world, member);
		member_complete(world, member, WORLD_WRITES_MAX);
		member_apply(world, member);
	}
	if (log->last - log->first > log->capacity / 2 ||
	    world_chance(world, 2))
		member_compact(world, member);
	/* A shell stops that leads, but is in no configuration any more. */
	if (member->raft->role == RAFT_LEADER &&
	    !raft_find_const(member->raft, member_id(world, member)))
		member_crash(world, member);
}

/* Everything that can happen without a fault, once. */
static void round_of(struct world *world, unsigned int away)
{
	world->now += world->shape.tick;
	weather_clocks(world);
	for (unsigned int i = 0; i < world->count && !world->failed; i++) {
		struct member *member = &world->members[i];

		if (((away >> i) & 1) || lie_about_healing(world, member)) {
			weather_tick(world, member);
			network_forget(member);
			continue;
		}
		if (!member->running)
			member_start(world, member);
		weather_tick(world, member);
		network_deliver(world, member);
		if (!world->failed)
			turns(world, member);
	}
	clock_check(world);
	world->step++;
}

static bool has_all(const struct world *world, const struct member *leader,
		    uint64_t index, unsigned int away)
{
	for (unsigned int i = 0; i < world->count; i++)
		if (!((away >> i) & 1) && raft_is_voter(leader->raft, i + 1) &&
		    world->members[i].image.index < index)
			return false;
	return true;
}

/* Whether a log that cannot grow holds the elections that filled it. */
static bool is_walled(const struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++) {
		const struct raft_log *log = &world->members[i].raft->log;
		unsigned int elections = 0;

		if (!world->members[i].running || raft_log_room(log) > 0)
			continue;
		for (uint64_t j = log->commit + 1; j <= log->last; j++)
			elections += raft_log_slot(log, j)->kind == ENTRY_EMPTY;
		if (elections >= RAFT_LOG_RESERVE)
			return true;
	}
	return false;
}

static void fail_settle(struct world *world, const char *what)
{
	if (!world_leader(world) && is_walled(world))
		return;
	check_fail(world, "no progress after faults stopped: %s", what);
	for (unsigned int i = 0; i < world->count; i++) {
		const struct raft *raft = world->members[i].raft;

		world_say(world,
			  "%u%s: role %u, term %" PRIu64 ", leader %" PRIu64
			  ", log %" PRIu64 "..%" PRIu64 ", commit %" PRIu64
			  ", applied %" PRIu64 ", %u voters, %u outgoing",
			  i + 1, world->members[i].running ? "" : " (down)",
			  raft->role, raft->term, raft->leader, raft->log.first,
			  raft->log.last, raft->log.commit, raft->log.applied,
			  raft->conf.voter_count, raft->conf.outgoing_count);
	}
}

/* Until something new is applied by all voters that are not away. */
static void progress(struct world *world, unsigned int away, const char *what)
{
	unsigned int rounds =
		SETTLE_TIMEOUTS * world->shape.options.election_ticks +
		SETTLE_EXTRA;
	struct member *was = NULL;
	unsigned int steady = 0;
	uint64_t goal = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		struct member *leader;

		round_of(world, away);
		if (world->failed)
			return;
		leader = world_leader(world);
		if (!leader || leader != was ||
		    leader->raft->log.applied < leader->raft->term_start) {
			was = leader;
			steady = 0;
			goal = 0;
			continue;
		}
		if (goal == 0 && ++steady >= SETTLE_STEADY) {
			client_propose(world, leader);
			goal = leader->raft->log.last;
		}
		if (goal != 0 && has_all(world, leader, goal, away))
			return;
	}
	fail_settle(world, what);
}

/* As many of the voters as may be missed. */
static unsigned int minority(struct world *world, unsigned int voters)
{
	unsigned int left = ((unsigned int)__builtin_popcount(voters) - 1) / 2;
	unsigned int away = 0;

	while (left > 0) {
		unsigned int bit = 1u << world_draw(world, world->count);

		if (!(voters & bit) || (away & bit))
			continue;
		away |= bit;
		left--;
	}
	return away;
}

void settle(struct world *world)
{
	struct ghost conf;
	unsigned int away;

	network_heal(world);
	world->weather = (struct weather){.delay = 0};
	for (unsigned int i = 0; i < world->count; i++)
		world->members[i].paused_until = 0;
	progress(world, 0, "everybody is there");
	if (world->failed)
		return;
	conf = world->facts[world->commit].conf;
	if (conf.outgoing != 0)
		return;
	away = minority(world, conf.voters);
	world_say(world, "a minority goes: %#x", away);
	for (unsigned int i = 0; i < world->count; i++)
		if (((away >> i) & 1) && world->members[i].running)
			member_crash(world, &world->members[i]);
	progress(world, away, "a minority is away");
}
