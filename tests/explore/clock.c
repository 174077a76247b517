/*
 * Reads, by asking a quorum and by the clock.
 *
 * A member shows its lease and its commit index before its messages leave;
 * whoever reads there looks at the clock and asks nobody. So what is shown
 * is judged at every step, and goes on being valid while its holder is
 * paused, crashed or deposed without knowing it: until the clock says so.
 */
#include "tests/explore/world.h"

#include <inttypes.h>
#include <string.h>

void clock_publish(struct member *member)
{
	struct raft_lease lease;

	raft_lease(member->raft, &lease);
	member->page.term = lease.term;
	member->page.end_tick = lease.end_tick;
	member->page.commit = member->raft->log.commit;
}

static bool holds(const struct member *member)
{
	return member->page.term != 0 && member->ticks < member->page.end_tick;
}

/* What any other member may have told somebody to be committed. */
static uint64_t told_by_others(const struct world *world,
			       const struct member *holder)
{
	uint64_t commit = world->acknowledged;

	for (unsigned int i = 0; i < world->count; i++) {
		const struct member *member = &world->members[i];

		if (member != holder && member->running &&
		    member->raft->log.commit > commit)
			commit = member->raft->log.commit;
	}
	return commit;
}

static void check_holder(struct world *world, const struct member *member)
{
	uint64_t id = member_id(world, member);
	uint64_t told = told_by_others(world, member);

	world_reach(world, REACH_LEASE);
	if (!member->running || member->paused_until > world->now ||
	    member->raft->role != RAFT_LEADER ||
	    member->raft->term != member->page.term)
		world_reach(world, REACH_LEASE_ALONE);
	if (member->page.commit < told)
		check_fail(world,
			   "a read by the lease of %" PRIu64 " sees %" PRIu64
			   ", %" PRIu64 " was acknowledged",
			   id, member->page.commit, told);
}

void clock_elected(struct world *world, const struct member *leader)
{
	for (unsigned int i = 0; i < world->count; i++) {
		const struct member *member = &world->members[i];

		if (member != leader && holds(member) &&
		    member->page.term < leader->raft->term)
			check_fail(world,
				   "%" PRIu64 " is elected while %" PRIu64
				   " holds a lease",
				   member_id(world, leader),
				   member_id(world, member));
	}
}

void clock_steady(struct member *member)
{
	member->steady_since = member->raft->now;
	memset(member->seen_match, 0, sizeof(member->seen_match));
}

/* CheckQuorum: who leads has heard a majority in two election timeouts. */
static void check_heard(struct world *world, const struct member *member)
{
	const struct raft *raft = member->raft;
	uint64_t span = 2 * (uint64_t)raft->options.election_ticks;
	unsigned int heard = 1u << (raft->options.id - 1);

	if (!raft->options.check_quorum || raft->now < span ||
	    raft->now - member->steady_since <= span)
		return;
	for (unsigned int i = 0; i < world->count; i++)
		if (member->heard[i] + span >= raft->now)
			heard |= 1u << i;
	if (!ghost_majority(&world->facts[member->image.index].conf, heard))
		check_fail(world,
			   "%" PRIu64 " leads on, and no majority answers",
			   raft->options.id);
}

void clock_check(struct world *world)
{
	const struct member *holder = NULL;
	unsigned int leaders = 0;

	for (unsigned int i = 0; i < world->count; i++) {
		const struct member *member = &world->members[i];

		if (member->running && member->raft->role == RAFT_LEADER) {
			leaders++;
			check_heard(world, member);
		}
		if (!holds(member))
			continue;
		if (holder)
			check_fail(world,
				   "%" PRIu64 " and %" PRIu64
				   " hold leases at once",
				   member_id(world, holder),
				   member_id(world, member));
		holder = member;
		check_holder(world, member);
	}
	if (leaders > 1)
		world_reach(world, REACH_TWO_LEADERS);
}

void clock_read(struct world *world, struct member *member,
		const struct raft_read *read)
{
	uint64_t asked = world->asked[read->context % WORLD_READS_MAX];

	if (read->context + WORLD_READS_MAX <= world->next_read)
		return; /* so old that its slot was used again */
	if (read->index > world->commit)
		check_fail(world,
			   "a read at %" PRIu64 ", which is not committed",
			   read->index);
	if (world->shape.options.read_mode == RAFT_READ_LEASE) {
		/* etcd's meaning: it may be old, when clocks or members are */
		world_reach(world, REACH_LEASE_OLD);
		return;
	}
	world_reach(world, REACH_READ);
	if (member->raft->role != RAFT_LEADER)
		world_reach(world, REACH_READ_FORWARDED);
	if (read->index < asked)
		check_fail(world,
			   "%" PRIu64 " reads at %" PRIu64 ", but %" PRIu64
			   " was committed when it was asked",
			   member_id(world, member), read->index, asked);
}
