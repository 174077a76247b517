/*
 * What goes wrong when. A life is a row of spells; each has a kind of
 * weather, whose rates are drawn anew, so that a life of 2,000 steps sees
 * most kinds, and no two spells are alike.
 *
 * A step is a moment of virtual time. In it every member, in an order that
 * changes, gets the ticks of its own clock, the messages that are due and,
 * by chance, a turn of its shell; clients ask; something may break.
 */
#include "tests/explore/world.h"

#include "tests/explore/lie.h"

#include <inttypes.h>

enum spells {
	SPELL_SHORTEST = 40, /* steps */
	SPELL_LONGEST = 240,
};

/* clang-format off */
static const struct weather kinds[] = {
	{.name = "calm",
	 .crash = 2, .heal = 100, .restart = 100,
	 .change = 15, .transfer = 15, .oddity = 2,
	 .propose = 600, .read = 150,
	 .ready = 950, .disk = 700, .apply = 700, .compact = 15,
	 .delay = 900},
	{.name = "storm",
	 .crash = 18, .pause = 12, .stall = 15, .part = 25, .heal = 40, .restart = 100,
	 .change = 20, .transfer = 25, .oddity = 15,
	 .propose = 300, .read = 200,
	 .ready = 850, .disk = 650, .apply = 400, .compact = 15,
	 .drop = 15, .twice = 40, .delay = 1500},
	{.name = "members",
	 .crash = 6, .pause = 2, .stall = 4, .part = 6, .heal = 80, .restart = 120,
	 .change = 150, .transfer = 40, .oddity = 4,
	 .propose = 200, .read = 80,
	 .ready = 950, .disk = 700, .apply = 700, .compact = 25,
	 .drop = 5, .twice = 10, .delay = 900},
	{.name = "many members",
	 .crash = 14, .pause = 8, .stall = 15, .part = 16, .heal = 60, .restart = 150,
	 .change = 200, .transfer = 60, .oddity = 10,
	 .propose = 150, .read = 80,
	 .ready = 900, .disk = 650, .apply = 400, .compact = 25,
	 .drop = 15, .twice = 20, .delay = 1200},
	{.name = "slow disks",
	 .crash = 10, .pause = 4, .stall = 60, .part = 16, .heal = 40, .restart = 100,
	 .change = 20, .transfer = 30, .oddity = 12,
	 .propose = 400, .read = 120,
	 .ready = 950, .disk = 250, .apply = 400, .compact = 10,
	 .drop = 5, .twice = 20, .delay = 900},
	{.name = "lossy",
	 .crash = 4, .pause = 3, .stall = 5, .part = 6, .heal = 60, .restart = 100,
	 .change = 25, .transfer = 25, .oddity = 5,
	 .propose = 300, .read = 200,
	 .ready = 900, .disk = 700, .apply = 600, .compact = 20,
	 .drop = 100, .twice = 150, .delay = 3000},
	{.name = "slips", /* members that come back at once, pauses */
	 .crash = 25, .pause = 30, .stall = 15, .part = 20, .heal = 80, .restart = 500,
	 .change = 15, .transfer = 40, .oddity = 8,
	 .propose = 300, .read = 250,
	 .ready = 950, .disk = 750, .apply = 700, .compact = 10,
	 .drop = 5, .twice = 60, .delay = 1200},
	{.name = "factions", /* now with these, now with those */
	 .crash = 4, .pause = 5, .stall = 40, .part = 45, .heal = 5,
	 .restart = 200,
	 .change = 4, .transfer = 8, .oddity = 10,
	 .propose = 700, .read = 150,
	 .ready = 950, .disk = 850, .apply = 700, .compact = 10,
	 .drop = 2, .twice = 30, .delay = 500},
	{.name = "swift", /* everything takes less than a tick */
	 .crash = 20, .pause = 15, .stall = 10, .part = 30, .heal = 40, .restart = 600,
	 .change = 10, .transfer = 25, .oddity = 5,
	 .propose = 500, .read = 250,
	 .ready = 1000, .disk = 1000, .apply = 1000, .compact = 10,
	 .drop = 2, .twice = 30, .delay = 100},
};
/* clang-format on */

/* A rate around the usual one, sometimes none at all. */
static uint16_t rate(struct world *world, uint16_t usual)
{
	return (uint16_t)world_draw(world, 2u * usual + 1);
}

/* Rates of what must go on: near the usual one, never none. */
static uint16_t pulse(struct world *world, uint16_t usual)
{
	return (uint16_t)(usual - world_draw(world, usual / 4 + 1));
}

/* As fast or as slow as a clock may be, or now so, now so. */
static void draw_paces(struct world *world)
{
	uint64_t tick = world->shape.tick;
	const uint64_t paces[] = {tick, tick * 10 / 9, 0};
	unsigned int kinds_of_pace = world_chance(world, 50) ? 2 : 3;

	for (unsigned int i = 0; i < world->count; i++)
		world->members[i].pace =
			paces[world_draw(world, kinds_of_pace)];
}

static void turn_weather(struct world *world)
{
	const unsigned int count = sizeof(kinds) / sizeof(kinds[0]);
	struct weather now = kinds[world_draw(world, count)];

	now.crash = rate(world, now.crash);
	now.pause = rate(world, now.pause);
	now.stall = rate(world, now.stall);
	now.part = rate(world, now.part);
	now.heal = rate(world, now.heal);
	now.restart = pulse(world, now.restart);
	now.change = rate(world, now.change);
	now.transfer = rate(world, now.transfer);
	now.oddity = rate(world, now.oddity);
	now.propose = rate(world, now.propose);
	now.read = rate(world, now.read);
	now.ready = pulse(world, now.ready);
	now.disk = pulse(world, now.disk);
	now.apply = pulse(world, now.apply);
	now.compact = rate(world, now.compact);
	now.drop = rate(world, now.drop);
	now.twice = rate(world, now.twice);
	now.delay = rate(world, now.delay);
	world->weather = now;
	world->weather_ends =
		world->step + SPELL_SHORTEST +
		world_draw(world, SPELL_LONGEST - SPELL_SHORTEST + 1);
	draw_paces(world);
	world_say(world, "weather: %s", now.name);
}

/* As far from the next tick as its clock and the allowed drift have it. */
static uint64_t next_tick(struct world *world, const struct member *member)
{
	uint64_t tick = world->shape.tick;
	uint64_t pace = member->pace;

	if (pace == 0)
		pace = tick + world_draw(world, tick / 9 + 1);
	return lie_about_pace(world, member, pace);
}

void weather_clocks(struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];

		while (member->tick_due <= world->now) {
			member->ticks++;
			member->tick_due += next_tick(world, member);
		}
	}
}

void weather_tick(struct world *world, struct member *member)
{
	if (!member->running || member->paused_until > world->now)
		return;
	/* Whoever was held up hears first how late it is. */
	while (member->raft->now < member->ticks && !world->failed) {
		raft_tick(member->raft);
		check_member(world, member);
	}
}

static void oddity(struct world *world, struct member *member)
{
	uint64_t other = 1 + world_draw(world, world->count);
	int err = 0;

	switch (world_draw(world, 5)) {
	case 0:
		err = raft_campaign(member->raft);
		break;
	case 1:
		raft_forget_leader(member->raft);
		break;
	case 2:
		raft_report_unreachable(member->raft, other);
		break;
	case 3:
		raft_report_snapshot(member->raft, other, false);
		break;
	default:
		member_evict(world, member);
		break;
	}
	(void)err; /* refused is fine */
	check_member(world, member);
}

/* A shell that sees itself left out may stop, and be started again. */
static bool is_left_out(const struct world *world, const struct member *member)
{
	return !raft_find_const(member->raft, member_id(world, member)) &&
	       member->image.index > 0;
}

static void shell_turn(struct world *world, struct member *member)
{
	const struct weather *weather = &world->weather;
	const struct raft_log *log = &member->raft->log;

	if (world_mille(world, weather->ready))
		member_ready(world, member);
	if (world_mille(world, weather->disk) &&
	    member->stalled_until <= world->now)
		member_complete(world, member,
				1 + (unsigned int)world_draw(world, 4));
	if (world_mille(world, weather->apply))
		member_apply(world, member);
	if (world_mille(world, weather->compact) ||
	    (log->last - log->first > log->capacity / 2 &&
	     world_chance(world, 10)))
		member_compact(world, member);
	if (world_mille(world, weather->oddity))
		oddity(world, member);
	if (is_left_out(world, member) && world_mille(world, 20))
		member_crash(world, member);
}

static void live(struct world *world, struct member *member)
{
	const struct weather *weather = &world->weather;

	weather_tick(world, member);
	if (!member->running) {
		network_deliver(world, member); /* to nobody */
		if (!world_mille(world, weather->restart))
			return;
		world_say(world, "%" PRIu64 " starts again",
			  member_id(world, member));
		member_start(world, member);
		return;
	}
	if (member->paused_until > world->now)
		return;
	network_deliver(world, member);
	if (!world->failed)
		shell_turn(world, member);
}

static bool listens(const struct world *world, const struct member *member)
{
	return member->running && member->paused_until <= world->now;
}

/* Someone who thinks that it leads: perhaps it does no more. */
static struct member *self_styled(struct world *world)
{
	unsigned int at = (unsigned int)world_draw(world, world->count);

	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member =
			&world->members[(at + i) % world->count];

		if (listens(world, member) && member->raft->role == RAFT_LEADER)
			return member;
	}
	return NULL;
}

/* The leader, or one that was, or one that must forward it; or NULL. */
static struct member *whom_to_ask(struct world *world)
{
	uint64_t whom = world_draw(world, 4);
	struct member *member;

	if (whom == 0)
		member = world_any(world);
	else if (whom == 1)
		member = self_styled(world);
	else
		member = world_leader(world);
	return member && listens(world, member) ? member : NULL;
}

static void ask(struct world *world)
{
	const struct weather *weather = &world->weather;
	struct member *member;

	for (unsigned int i = 0; i < 3; i++) {
		member = whom_to_ask(world);
		if (member && world_mille(world, weather->propose))
			client_propose(world, member);
	}
	member = whom_to_ask(world);
	if (member && world_mille(world, weather->change))
		client_change(world, member);
	member = whom_to_ask(world);
	if (member && world_mille(world, weather->transfer))
		client_transfer(world, member);
	member = world_any(world);
	if (listens(world, member) && world_mille(world, weather->read))
		client_read(world, member);
	member = self_styled(world);
	if (member && (member == world_leader(world)
			       ? world_mille(world, weather->read / 2u)
			       : world_chance(world, 50)))
		client_read(world, member);
}

/* An older entry that a majority has is not committed for that (§5.4.2). */
static void see_figure_8(struct world *world)
{
	const struct member *leader = world_leader(world);
	uint64_t index, term;

	if (!leader || leader->raft->term_start == 0)
		return;
	index = leader->raft->term_start - 1;
	if (index > leader->raft->log.commit &&
	    raft_log_term(&leader->raft->log, index, &term) &&
	    promise_kept(world, leader, index, term))
		world_reach(world, REACH_FIGURE_8);
}

void weather_step(struct world *world)
{
	unsigned int begin = (unsigned int)world_draw(world, world->count);
	unsigned int stride = world_chance(world, 50) ? 1 : world->count - 1;

	world->now += WORLD_STEP;
	weather_clocks(world);
	if (world->step >= world->weather_ends && world->raid_at == 0)
		turn_weather(world);
	fault_strike(world);
	for (unsigned int i = 0; i < world->count && !world->failed; i++) {
		live(world, &world->members[begin]);
		begin = (begin + stride) % world->count;
	}
	if (!world->failed)
		ask(world);
	clock_check(world);
	see_figure_8(world);
	world->step++;
}
