/*
 * What is asked of members: proposals, changes of membership, reads,
 * transfers.
 *
 * Changes are drawn so that there is always somebody left: mostly what an
 * operator might do next, sometimes anything at all.
 */
#include "tests/explore/world.h"

#include "raft/conf.h"
#include "raft/entry.h"

#include <assert.h>
#include <inttypes.h>

static const char payloads[WORLD_PAYLOADS];

/* What a leader may not take: when it hands over, or is left out. */
static void check_taken(struct world *world, const struct member *member,
			uint64_t transferee)
{
	const struct ghost *conf = &world->facts[member->image.index].conf;
	unsigned int all = conf->voters | conf->outgoing | conf->learners;
	uint64_t id = member_id(world, member);

	if (transferee != 0)
		check_fail(world,
			   "%" PRIu64 " takes a proposal while it hands over",
			   id);
	if (!((all >> (id - 1)) & 1))
		check_fail(world,
			   "%" PRIu64 " takes a proposal, but was removed", id);
}

void client_propose(struct world *world, struct member *member)
{
	static const uint32_t sizes[] = {0, 10, 100, 200, 200, 3000};
	struct raft_entry entry = {.kind = ENTRY_NORMAL};
	uint64_t payload = world->next_payload++;
	uint64_t transferee = member->raft->transferee;
	uint64_t index, term;
	int err;

	assert(payload < WORLD_PAYLOADS);
	entry.size = sizes[world_draw(world, 6)];
	entry.data = &payloads[payload];
	err = raft_propose(member->raft, &entry, &index, &term);
	if (err == RAFT_EDROPPED_LOG_FULL)
		world_reach(world, REACH_LOG_FULL);
	/* Refused is refused for good: it may never stand in a log. */
	if (err != 0)
		world->refused[payload] = true;
	else if (index != 0)
		check_taken(world, member, transferee);
	check_member(world, member);
}

bool client_refused(const struct world *world, const void *data)
{
	const char *at = data;

	return at >= payloads && at < payloads + WORLD_PAYLOADS &&
	       world->refused[at - payloads];
}

static uint64_t pick(struct world *world, unsigned int mask)
{
	unsigned int nth;

	if (mask == 0)
		return 0;
	nth = (unsigned int)world_draw(world,
				       (unsigned int)__builtin_popcount(mask));
	while (nth-- > 0)
		mask &= mask - 1;
	return (uint64_t)__builtin_ctz(mask) + 1;
}

static void add(struct raft_conf_changes *changes, uint64_t id, uint8_t type)
{
	if (id == 0)
		return;
	changes->changes[changes->count].id = id;
	changes->changes[changes->count].type = type;
	changes->count++;
}

static void anything(struct world *world, struct raft_conf_changes *changes)
{
	static const uint8_t types[] = {RAFT_ADD_VOTER, RAFT_ADD_VOTER,
					RAFT_REMOVE, RAFT_ADD_LEARNER,
					RAFT_UPDATE};
	uint64_t count = 1 + world_draw(world, 3);

	for (uint64_t i = 0; i < count; i++)
		add(changes, world_draw(world, world->count + 1u),
		    types[world_draw(world, 5)]);
}

/* What somebody might do who wants about as many voters as at the start. */
static void something(struct world *world, const struct ghost *now,
		      struct raft_conf_changes *changes)
{
	unsigned int all = (1u << world->count) - 1;
	unsigned int voters = now->voters;
	unsigned int others = all & ~voters;
	bool few = (unsigned int)__builtin_popcount(voters) < world->founders;

	switch (world_draw(world, 6)) {
	case 0:
		add(changes, pick(world, others), RAFT_ADD_LEARNER);
		break;
	case 1:
		add(changes, pick(world, now->learners), RAFT_ADD_VOTER);
		break;
	case 2: /* one for another */
		add(changes, pick(world, others), RAFT_ADD_VOTER);
		add(changes, pick(world, voters), RAFT_REMOVE);
		break;
	case 3: /* two for two, some of which stay as learners */
		add(changes, pick(world, others), RAFT_ADD_VOTER);
		add(changes, pick(world, others), RAFT_ADD_VOTER);
		add(changes, pick(world, voters), RAFT_REMOVE);
		add(changes, pick(world, voters), RAFT_ADD_LEARNER);
		break;
	default:
		if (few)
			add(changes, pick(world, others), RAFT_ADD_VOTER);
		else if (world_chance(world, 30))
			add(changes, pick(world, voters), RAFT_ADD_LEARNER);
		else
			add(changes, pick(world, voters), RAFT_REMOVE);
		break;
	}
}

static void fill_change(struct world *world, const struct raft_entry *entry,
			uint8_t *bytes)
{
	struct raft_conf_changes changes = {0};
	const struct fact *fact = &world->facts[world->commit];

	if (entry->kind == ENTRY_CONF_V2)
		changes.transition = (uint8_t)world_draw(world, 3);
	if (world_chance(world, 15))
		anything(world, &changes);
	else
		something(world, &fact->conf, &changes);
	if (changes.count == 0)
		add(&changes, 1 + world_draw(world, world->count),
		    RAFT_ADD_VOTER);
	if (entry->kind == ENTRY_CONF_V1)
		changes.count = 1;
	raft_conf_encode(&changes, bytes + ENTRY_HEADER_SIZE);
}

void client_change(struct world *world, struct member *member)
{
	bool joint = world->facts[world->commit].conf.outgoing != 0;
	struct raft_entry entry = {.kind = ENTRY_CONF_V2};
	uint64_t index, term;
	uint8_t *bytes;
	int err;

	assert(world->next_change < WORLD_CHANGES);
	if (world_chance(world, 20))
		entry.kind = ENTRY_CONF_V1;
	bytes = (uint8_t *)world->changes[world->next_change++];
	fill_change(world, &entry, bytes);
	entry.size = (uint32_t)raft_conf_size(bytes[ENTRY_HEADER_SIZE + 1]);
	entry.data = bytes;
	assert(ENTRY_HEADER_SIZE + entry.size <= WORLD_CHANGE_SIZE);
	/* To leave what must be left; sometimes without a reason. */
	if (world_chance(world, joint ? 70 : 5)) {
		entry.kind = ENTRY_CONF_V2;
		entry.size = 0;
		entry.data = NULL;
	}
	err = raft_propose(member->raft, &entry, &index, &term);
	if (err == RAFT_ECONF_REFUSED)
		world_reach(world, REACH_CONF_REFUSED);
	if (err == 0 && index != 0)
		world_say(world,
			  "%" PRIu64 " is asked for a change, at %" PRIu64,
			  member_id(world, member), index);
	check_member(world, member);
}

void client_read(struct world *world, struct member *member)
{
	uint64_t context = world->next_read++;
	int err;

	world->asked[context % WORLD_READS_MAX] = world->commit;
	err = raft_read_index(member->raft, context);
	(void)err; /* refused is fine */
	check_member(world, member);
}

void client_transfer(struct world *world, struct member *member)
{
	uint64_t to = 1 + world_draw(world, world->count);
	int err;

	if (world_chance(world, 80))
		to = pick(world, world->facts[world->commit].conf.voters);
	clock_steady(member);
	err = raft_transfer(member->raft, to);
	if (err == 0)
		world_say(world,
			  "%" PRIu64 " is asked to hand over to %" PRIu64,
			  member_id(world, member), to);
	check_member(world, member);
}
