/*
 * Configurations by the checker's own account: the paper's §6 over sets of
 * bits, from the bytes of committed entries alone. Nothing of raft/ helps
 * here but the layout of those bytes (raft/conf.h).
 */
#include "tests/explore/world.h"

#include "raft/entry.h"

#include <assert.h>
#include <string.h>

bool ghost_is_change(uint32_t kind)
{
	return kind == ENTRY_CONF_V1 || kind == ENTRY_CONF_V2;
}

static unsigned int count_of(unsigned int members)
{
	return (unsigned int)__builtin_popcount(members);
}

static bool half(unsigned int of, unsigned int members)
{
	return of == 0 || count_of(of & members) > count_of(of) / 2;
}

bool ghost_majority(const struct ghost *ghost, unsigned int members)
{
	return half(ghost->voters, members) && half(ghost->outgoing, members);
}

static void change_one(struct ghost *ghost, uint64_t id, uint8_t type)
{
	uint16_t bit;

	if (id == 0)
		return;
	assert(id <= WORLD_MEMBERS_MAX);
	bit = (uint16_t)(1u << (id - 1));
	if (type == RAFT_UPDATE)
		return;
	if (type == RAFT_ADD_LEARNER && (ghost->learners & bit))
		return;
	ghost->voters &= (uint16_t)~bit;
	ghost->learners &= (uint16_t)~bit;
	ghost->next &= (uint16_t)~bit;
	if (type == RAFT_ADD_VOTER)
		ghost->voters |= bit;
	else if (type == RAFT_ADD_LEARNER && (ghost->outgoing & bit))
		ghost->next |= bit;
	else if (type == RAFT_ADD_LEARNER)
		ghost->learners |= bit;
}

static void change_each(struct ghost *ghost, const uint8_t *payload)
{
	const uint8_t *at = payload + RAFT_CONF_HEADER;

	for (unsigned int i = 0; i < payload[1]; i++) {
		uint64_t id;

		memcpy(&id, at, sizeof(id)); /* this host is little-endian */
		change_one(ghost, id, at[8]);
		at += RAFT_CONF_CHANGE;
	}
}

static struct ghost left(struct ghost before)
{
	before.learners |= before.next;
	before.next = 0;
	before.outgoing = 0;
	before.auto_leave = 0;
	return before;
}

static void count_change(struct world *world, const struct ghost *before,
			 const struct ghost *after)
{
	unsigned int was = before->voters | before->learners | before->outgoing;
	unsigned int is = after->voters | after->learners | after->outgoing;

	if (!before->outgoing && after->outgoing)
		world_reach(world, REACH_JOINT);
	else if (before->outgoing && !after->outgoing)
		world_reach(world, REACH_LEFT);
	else if (memcmp(before, after, sizeof(*before)) != 0)
		world_reach(world, REACH_SIMPLE);
	if (before->learners & after->voters)
		world_reach(world, REACH_PROMOTED);
	if ((before->voters | before->outgoing) & ~after->outgoing &
	    after->learners)
		world_reach(world, REACH_DEMOTED);
	if (world->removed & is)
		world_reach(world, REACH_BACK);
	world->removed = (uint16_t)((world->removed | (was & ~is)) & ~is);
}

/* A change that is impossible changes nothing. */
static struct ghost changed(struct ghost before, const struct fact *fact)
{
	const uint8_t *payload =
		fact->data ? (const uint8_t *)fact->data + ENTRY_HEADER_SIZE
			   : NULL;
	struct ghost after = before;
	bool plain = !payload || payload[0] == RAFT_TRANSITION_AUTO;

	if (plain && (!payload || payload[1] == 0))
		return before.outgoing ? left(before) : before;
	if (before.outgoing || before.voters == 0)
		return before;
	if (!plain || payload[1] > 1) {
		after.outgoing = before.voters;
		after.auto_leave = payload[0] != RAFT_TRANSITION_EXPLICIT;
	}
	change_each(&after, payload);
	if (after.voters == 0)
		return before;
	if (!after.outgoing && count_of(before.voters ^ after.voters) > 1)
		return before;
	return after;
}

struct ghost ghost_after(struct world *world, struct ghost before,
			 const struct fact *fact)
{
	struct ghost after;

	if (!ghost_is_change(fact->kind))
		return before;
	after = changed(before, fact);
	count_change(world, &before, &after);
	return after;
}

static uint16_t bits(const uint64_t *ids, uint8_t count)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (ids[i] == 0 || ids[i] > WORLD_MEMBERS_MAX)
			return UINT16_MAX; /* nobody has such an id */
		found |= 1u << (ids[i] - 1);
	}
	return (uint16_t)found;
}

bool ghost_is(const struct ghost *ghost, const struct raft_conf_state *conf)
{
	return ghost->voters == bits(conf->voters, conf->voter_count) &&
	       ghost->outgoing == bits(conf->outgoing, conf->outgoing_count) &&
	       ghost->learners == bits(conf->learners, conf->learner_count) &&
	       ghost->next ==
		       bits(conf->learners_next, conf->learner_next_count) &&
	       ghost->auto_leave == conf->auto_leave;
}
