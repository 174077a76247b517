/*
 * Messages on their way: each has a moment when it is due, so that they are
 * delayed and overtake each other; some are dropped, some come again, often
 * much later.
 *
 * Images travel on connections of their own, whose end the sender learns of:
 * each is reported as arrived or lost, sometimes wrongly as lost.
 */
#include "tests/explore/world.h"

#include "tests/explore/lie.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum network_habits {
	HABIT_DENIES =
		15, /* per cent: an image that arrived is reported lost */
	HABIT_SHORT = 2, /* per cent: an append arrives with less */
	HABIT_MUCH_LATER = 4, /* election timeouts */
};

static const char *const names[] = {
	[RAFT_MSG_PROPOSE] = "propose",
	[RAFT_MSG_APPEND] = "append",
	[RAFT_MSG_APPEND_REPLY] = "append reply",
	[RAFT_MSG_VOTE] = "vote",
	[RAFT_MSG_VOTE_REPLY] = "vote reply",
	[RAFT_MSG_PRE_VOTE] = "pre-vote",
	[RAFT_MSG_PRE_VOTE_REPLY] = "pre-vote reply",
	[RAFT_MSG_SNAPSHOT] = "image",
	[RAFT_MSG_HEARTBEAT] = "heartbeat",
	[RAFT_MSG_HEARTBEAT_REPLY] = "heartbeat reply",
	[RAFT_MSG_TRANSFER] = "transfer",
	[RAFT_MSG_TIMEOUT_NOW] = "timeout now",
	[RAFT_MSG_READ_INDEX] = "read index",
	[RAFT_MSG_READ_INDEX_REPLY] = "read index reply",
};

static struct member *member_of(struct world *world, uint64_t id)
{
	assert(id >= 1 && id <= world->count);
	return &world->members[id - 1];
}

static void discard(struct parcel *parcel)
{
	free(parcel->entries);
	free(parcel->snapshot);
}

void network_forget(struct member *member)
{
	for (unsigned int i = 0; i < member->inbox_count; i++)
		discard(&member->inbox[i]);
	member->inbox_count = 0;
}

static void *copy_of(const void *from, size_t size)
{
	void *copy = malloc(size);

	assert(copy);
	return memcpy(copy, from, size);
}

static void put(struct member *to, const struct parcel *parcel)
{
	assert(to->inbox_count < WORLD_INBOX_ROOM);
	to->inbox[to->inbox_count++] = *parcel;
}

/* The sender of an image hears how it ended, unless it died meanwhile. */
static void report(struct world *world, const struct parcel *image,
		   enum parcel_kind kind)
{
	struct member *from = member_of(world, image->message.from);
	struct parcel parcel = {.life = image->life, .kind = (uint8_t)kind};

	if (image->message.type != RAFT_MSG_SNAPSHOT || image->copy)
		return;
	parcel.message.from = image->message.to;
	parcel.message.to = image->message.from;
	parcel.due = world->now + world_draw(world, world->weather.delay + 1u);
	put(from, &parcel);
}

static void drop(struct world *world, struct parcel *parcel)
{
	if (parcel->kind == PARCEL_MESSAGE) {
		world_reach(world, REACH_DROP);
		if (parcel->message.type == RAFT_MSG_SNAPSHOT)
			world_reach(world, REACH_IMAGE_LOST);
		report(world, parcel, PARCEL_LOST);
	}
	discard(parcel);
}

/* Takes the parcel over; a full inbox takes none. */
static void post(struct world *world, struct parcel *parcel)
{
	struct member *to = member_of(world, parcel->message.to);

	if (to->inbox_count >= WORLD_INBOX_MAX) {
		drop(world, parcel);
		return;
	}
	put(to, parcel);
}

static bool is_small(const struct raft_message *message)
{
	return message->entry_count == 0 && !message->snapshot;
}

/* Soon after the first, or when another leads. */
static void post_twice(struct world *world, const struct parcel *parcel)
{
	const struct shape *shape = &world->shape;
	uint64_t later = world->weather.delay + 1u;
	struct parcel copy = *parcel;

	if (world_chance(world, 50))
		later = HABIT_MUCH_LATER * shape->tick *
			shape->options.election_ticks;
	copy.copy = true;
	copy.due = world->now + world_draw(world, later);
	if (copy.entries)
		copy.entries =
			copy_of(parcel->entries, parcel->message.entry_count *
							 sizeof(*copy.entries));
	if (copy.snapshot)
		copy.snapshot =
			copy_of(parcel->snapshot, sizeof(*copy.snapshot));
	post(world, &copy);
}

/* Appended entries are named, not carried: the shell adds them. */
static struct raft_entry *entries_of(struct world *world, struct member *member,
				     const struct raft_message *message)
{
	size_t size = message->entry_count * sizeof(struct raft_entry);
	struct raft_entry *entries;

	if (message->entry_count == 0)
		return NULL;
	if (message->type != RAFT_MSG_APPEND)
		return copy_of(message->entries, size);
	entries = malloc(size);
	assert(entries);
	for (uint32_t i = 0; i < message->entry_count; i++)
		entries[i] =
			member_entry(world, member, message->first_index + i);
	return entries;
}

void network_send(struct world *world, struct member *member,
		  const struct raft_message *message)
{
	struct parcel parcel = {.message = *message};

	promise_sent(world, member, message);
	parcel.serial = ++world->serial;
	parcel.life = member->life;
	parcel.entries = entries_of(world, member, message);
	parcel.message.entries = NULL;
	parcel.message.snapshot = NULL;
	if (message->snapshot)
		parcel.snapshot =
			copy_of(message->snapshot, sizeof(*parcel.snapshot));
	parcel.due = world->now + world_draw(world, world->weather.delay + 1u);
	if (world_mille(world,
			world->weather.twice * (is_small(message) ? 4u : 1u)))
		post_twice(world, &parcel);
	if (world_mille(world, world->weather.drop))
		drop(world, &parcel);
	else
		post(world, &parcel);
}

static void count_delivery(struct world *world, const struct member *to,
			   const struct parcel *parcel)
{
	const struct raft_message *message = &parcel->message;
	uint64_t *seen =
		&world->seen_serial[message->from - 1][message->to - 1];

	if (parcel->copy)
		world_reach(world, REACH_TWICE);
	if (parcel->serial < *seen)
		world_reach(world, REACH_REORDER);
	else
		*seen = parcel->serial;
	if (message->term != 0 && message->term < to->raft->term)
		world_reach(world, REACH_STALE);
	if (message->type == RAFT_MSG_HEARTBEAT_REPLY &&
	    message->term == to->raft->term && to->raft->role == RAFT_LEADER &&
	    world_leader(world) != to)
		world_reach(world, REACH_DEPOSED);
}

/*
 * Its leader might as well have sent fewer entries: the last go, or the first,
 * or all. The commit index stays.
 */
static void shorten(struct world *world, struct parcel *parcel)
{
	struct raft_message *message = &parcel->message;
	uint32_t gone = 1 + (uint32_t)world_draw(world, message->entry_count);
	const struct raft_entry *before = &parcel->entries[gone - 1];

	world_reach(world, REACH_SHORT);
	if (world_chance(world, 30)) {
		message->log_index = before->index;
		message->log_term = before->term;
		memmove(parcel->entries, parcel->entries + gone,
			(message->entry_count - gone) *
				sizeof(*parcel->entries));
	}
	message->entry_count -= gone;
	message->first_index =
		message->entry_count > 0 ? message->log_index + 1 : 0;
}

static void hand_over(struct world *world, struct member *to,
		      struct parcel *parcel)
{
	struct raft_message *message = &parcel->message;
	bool leads = to->raft->role == RAFT_LEADER;
	int err;

	count_delivery(world, to, parcel);
	if (message->type == RAFT_MSG_APPEND && message->entry_count > 0 &&
	    world_chance(world, HABIT_SHORT))
		shorten(world, parcel);
	lie_about_message(world, to, parcel);
	message->entries = parcel->entries;
	message->snapshot = parcel->snapshot;
	if (world->trace != TRACE_NONE)
		world_say(world,
			  "%" PRIu64 " gets %s%s of %" PRIu64 ", term %" PRIu64
			  ", index %" PRIu64 "/%" PRIu64 ", %u entries, "
			  "commit %" PRIu64 "%s",
			  message->to, names[message->type],
			  message->reject ? " (refused)" : "", message->from,
			  message->term, message->log_term, message->log_index,
			  message->entry_count, message->commit,
			  parcel->copy ? ", again" : "");
	to->heard[message->from - 1] = to->raft->now;
	if (message->type == RAFT_MSG_TRANSFER)
		clock_steady(to);
	err = raft_receive(to->raft, message);
	if (err == RAFT_EINVALID)
		check_fail(world,
			   "a message that a correct member sent is refused");
	if (err == 0 && leads && message->type == RAFT_MSG_PROPOSE)
		world_reach(world, REACH_FORWARDED);
	if (message->type != RAFT_MSG_SNAPSHOT)
		return;
	if (world_chance(world, HABIT_DENIES)) {
		world_reach(world, REACH_IMAGE_DENIED);
		report(world, parcel, PARCEL_LOST);
	} else {
		report(world, parcel, PARCEL_ARRIVED);
	}
}

static void deliver(struct world *world, struct member *to,
		    struct parcel *parcel)
{
	const struct raft_message *message = &parcel->message;

	if (parcel->kind != PARCEL_MESSAGE) {
		if (to->running && to->life == parcel->life)
			raft_report_snapshot(to->raft, message->from,
					     parcel->kind == PARCEL_ARRIVED);
		return;
	}
	/* What comes again has left its sender's side long ago. */
	if (!to->running ||
	    (!parcel->copy &&
	     world->severed[message->from - 1][message->to - 1])) {
		drop(world, parcel);
		*parcel = (struct parcel){0};
		return;
	}
	hand_over(world, to, parcel);
}

void network_deliver(struct world *world, struct member *member)
{
	unsigned int left = member->inbox_count;
	unsigned int at;

	if (left == 0)
		return;
	/* From somewhere on, so that what is due now comes in any order. */
	at = (unsigned int)world_draw(world, left);
	for (; left > 0 && !world->failed; left--, at++) {
		struct parcel parcel;

		if (at >= member->inbox_count)
			at = 0;
		if (member->inbox[at].due > world->now)
			continue;
		parcel = member->inbox[at];
		member->inbox[at] = member->inbox[--member->inbox_count];
		deliver(world, member, &parcel);
		discard(&parcel);
		if (!member->running)
			continue;
		check_member(world, member);
		if (world_chance(world, 20))
			member_ready(world, member);
	}
}

void network_heal(struct world *world)
{
	memset(world->severed, 0, sizeof(world->severed));
	world_say(world, "the network is whole");
}

void network_isolate(struct world *world, const struct member *member)
{
	uint64_t at = member_id(world, member) - 1;

	for (unsigned int i = 0; i < world->count; i++) {
		world->severed[at][i] = true;
		world->severed[i][at] = true;
	}
	world_say(world, "%" PRIu64 " is cut off", at + 1);
}

/* A few links fail, each in one direction. */
static void sever_links(struct world *world, const struct member *leader)
{
	uint64_t count = 1 + world_draw(world, world->count);

	while (count-- > 0) {
		uint64_t from = world_draw(world, world->count);
		uint64_t to = world_draw(world, world->count);

		if (leader && world_chance(world, 50))
			from = member_id(world, leader) - 1;
		world->severed[from][to] = true;
		world_say(world, "no way from %" PRIu64 " to %" PRIu64,
			  from + 1, to + 1);
	}
}

/* Two sides, one way or both; one member alone; one between two sides. */
static void sever_sides(struct world *world, const struct member *leader)
{
	uint64_t sides = world_draw(world, 1u << world->count);
	unsigned int bridge = WORLD_MEMBERS_MAX;
	bool one_way = world_chance(world, 25);

	if (world_chance(world, 40))
		sides = 1u << world_draw(world, world->count);
	if (leader && world_chance(world, 30))
		sides = 1u << (member_id(world, leader) - 1);
	if (world_chance(world, 35))
		bridge = (unsigned int)world_draw(world, world->count);
	for (unsigned int i = 0; i < world->count; i++)
		for (unsigned int j = 0; j < world->count; j++)
			world->severed[i][j] =
				i != bridge && j != bridge &&
				((sides >> i) & 1) != ((sides >> j) & 1) &&
				(!one_way || ((sides >> i) & 1));
	world_say(world, "parted: %#" PRIx64 "%s%s", sides,
		  one_way ? ", one way" : "",
		  bridge < world->count ? ", with a bridge" : "");
}

void network_part(struct world *world)
{
	const struct member *leader = world_leader(world);

	world_reach(world, REACH_PART);
	if (world_chance(world, 35))
		sever_links(world, leader);
	else
		sever_sides(world, leader);
}
