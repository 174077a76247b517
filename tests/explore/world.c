/*
 * Members, their disks and the network between them.
 */
#include "tests/explore/world.h"

#include "raft/entry.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum world_options {
	OPTION_ELECTION = 10,
	OPTION_MESSAGES = RAFT_MESSAGES_MIN,
	OPTION_COMMITTED_SIZE = 2000,
};

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

void world_say(const struct world *world, const char *format, ...)
{
	va_list args;

	if (!world->trace)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

uint64_t member_id(const struct world *world, const struct member *member)
{
	return (uint64_t)(member - world->members) + 1;
}

static void set_options(struct world *world, struct raft_options *options,
			uint64_t id)
{
	*options = (struct raft_options){
		.id = id,
		.seed = world_draw(world, UINT64_MAX),
		.election_ticks = OPTION_ELECTION,
		.heartbeat_ticks = 1,
		.pre_vote = world->seed % 2 == 0,
		.check_quorum = world->lockstep || world->seed % 3 == 0,
		.lease = world->lockstep,
		.quiet_ticks = world->lockstep ? OPTION_ELECTION : 0,
		.forwarding = true,
		.step_down_on_removal = true,
		.entries_max = WORLD_WINDOW,
		.messages_max = OPTION_MESSAGES,
		.reads_max = 8,
		.inflight_max = 1 + (uint32_t)(world->seed % 7),
		.append_size_max = 300,
		.committed_size_max = OPTION_COMMITTED_SIZE,
		.uncommitted_size_max = world->seed % 4 == 0 ? 400 : 0,
	};
}

void world_start(struct world *world, struct member *member)
{
	struct raft_options options;
	int err;

	set_options(world, &options, member_id(world, member));
	free(member->memory);
	member->memory = aligned_alloc(64, raft_memory_size(&options));
	assert(member->memory);
	err = raft_init(&member->raft, &options, &member->hard, &member->saved,
			member->memory);
	assert(err == 0);
	for (uint64_t i = member->saved.index + 1; i <= member->last; i++) {
		err = raft_load(member->raft, &member->log[i]);
		assert(err == 0);
	}
	member->image = member->saved;
	member->applying = member->saved.index;
	member->running = true;
	check_restart(member);
}

void world_init(struct world *world, uint64_t seed)
{
	static const unsigned int sizes[] = {3, 5, 7};

	memset(world, 0, sizeof(*world));
	world->random = seed * 0x2545f4914f6cdd1du + 1;
	world->seed = seed;
	world->lockstep = seed % 3 != 1;
	world->founders = sizes[world_draw(world, 3)];
	world->count = world->founders + 2;
	for (unsigned int i = 0; i < world->count; i++) {
		struct member *member = &world->members[i];

		if (i < world->founders)
			for (unsigned int j = 0; j < world->founders; j++)
				member->saved.conf.voters[j] = j + 1;
		member->saved.conf.voter_count =
			i < world->founders ? (uint8_t)world->founders : 0;
		world_start(world, member);
	}
}

void world_release(struct world *world)
{
	for (unsigned int i = 0; i < world->count; i++)
		free(world->members[i].memory);
	for (unsigned int i = 0; i < world->network_count; i++)
		free(world->network[i].entries);
	for (size_t i = 0; i < world->payload_count; i++)
		free(world->payloads[i]);
	free(world->payloads);
}

/* Takes the parcel's entries over. */
static void post(struct world *world, const struct parcel *parcel)
{
	if (world->network_count == WORLD_NETWORK_MAX)
		world_drop(world,
			   (unsigned int)world_draw(world, WORLD_NETWORK_MAX));
	world->network[world->network_count++] = *parcel;
}

static void copy_entries(struct parcel *parcel, const struct raft_entry *from,
			 uint32_t count)
{
	parcel->count = count;
	parcel->entries = NULL;
	if (count == 0)
		return;
	parcel->entries = malloc(count * sizeof(*from));
	assert(parcel->entries);
	memcpy(parcel->entries, from, count * sizeof(*from));
}

static void send(struct world *world, struct member *member,
		 const struct raft_message *message)
{
	struct parcel parcel = {.message = *message};

	check_sent(world, member, message);
	if (message->type == RAFT_MSG_APPEND) {
		parcel.count = message->entry_count;
		parcel.entries =
			malloc((parcel.count + 1) * sizeof(*parcel.entries));
		assert(parcel.entries);
		for (uint32_t i = 0; i < parcel.count; i++) {
			const struct raft_entry *entry = raft_entry_at(
				member->raft, message->first_index + i);

			assert(entry);
			parcel.entries[i] = *entry;
		}
	} else {
		copy_entries(&parcel, message->entries, message->entry_count);
	}
	parcel.has_snapshot = message->snapshot != NULL;
	if (message->snapshot)
		parcel.snapshot = *message->snapshot;
	world->outgoing[world->outgoing_count++] = parcel;
}

static void queue_write(struct member *member, const struct raft_ready *ready)
{
	struct write *write = &member->writes[member->write_count];

	assert(member->write_count < WORLD_WRITES_MAX);
	member->write_count++;
	write->number = ready->number;
	/* Changed or not: see struct raft_ready. */
	write->hard = ready->hard;
	write->has_snapshot = ready->snapshot != NULL;
	if (ready->snapshot)
		write->snapshot = *ready->snapshot;
	write->first = ready->append_first;
	write->count = 0;
	for (uint64_t i = ready->append_first;
	     i != 0 && i <= ready->append_last; i++)
		write->entries[write->count++] =
			*raft_entry_at(member->raft, i);
}

void world_ready(struct world *world, struct member *member)
{
	struct raft_ready ready;

	if (!raft_has_ready(member->raft) ||
	    member->write_count == WORLD_WRITES_MAX)
		return;
	/* Sometimes the disk takes nothing: the rest goes without it. */
	if (world_chance(world, 10)) {
		if (!raft_ready_light(member->raft, &ready))
			return;
	} else {
		raft_ready(member->raft, &ready);
	}
	if (ready.must_sync)
		queue_write(member, &ready);
	else if (ready.hard_changed && member->write_count == 0 &&
		 world_chance(world, 50))
		member->hard = ready.hard;
	for (uint32_t i = 0; i < ready.message_count; i++)
		send(world, member, &ready.messages[i]);
	for (uint32_t i = 0; i < ready.read_count; i++)
		check_read(world, member, &ready.reads[i]);
	if (ready.apply_last != 0)
		member->applying = ready.apply_last;
	raft_advance(member->raft);
	for (unsigned int i = 0; i < world->outgoing_count; i++)
		post(world, &world->outgoing[i]);
	world->outgoing_count = 0;
}

static void write_out(struct world *world, struct member *member,
		      const struct write *write)
{
	member->hard = write->hard;
	if (write->has_snapshot) {
		member->saved = write->snapshot;
		member->last = write->snapshot.index;
		world->installs++;
	}
	for (uint32_t i = 0; i < write->count; i++) {
		uint64_t index = write->first + i;

		assert(index < WORLD_LOG_MAX);
		assert(index <= member->last + 1);
		member->log[index] = write->entries[i];
		member->last = index;
	}
}

static void forget_writes(struct member *member, unsigned int count)
{
	member->write_count -= count;
	memmove(&member->writes[0], &member->writes[count],
		member->write_count * sizeof(member->writes[0]));
}

/* The oldest `count` writes are durable; the core hears of the last. */
void world_complete(struct world *world, struct member *member,
		    unsigned int count)
{
	const struct write *last;
	uint64_t number, index = 0, term = 0;

	if (count > member->write_count)
		count = member->write_count;
	if (count == 0)
		return;
	for (unsigned int i = 0; i < count; i++)
		write_out(world, member, &member->writes[i]);
	last = &member->writes[count - 1];
	number = last->number;
	if (last->count > 0) {
		index = last->entries[last->count - 1].index;
		term = last->entries[last->count - 1].term;
	}
	for (unsigned int i = 0; i < count; i++)
		if (member->writes[i].has_snapshot) {
			member->image = member->writes[i].snapshot;
			member->applying = member->image.index;
		}
	forget_writes(member, count);
	raft_persisted(member->raft, number, index, term);
}

void world_apply(struct world *world, struct member *member)
{
	uint64_t last = member->applying;

	/* Some of what was handed out, and nothing under an image. */
	if (member->image.index >= last || member->raft->log.incoming_set)
		return;
	check_member(world, member);
	last = member->image.index + 1 +
	       world_draw(world, last - member->image.index);
	while (member->image.index < last) {
		const struct raft_entry *entry =
			raft_entry_at(member->raft, member->image.index + 1);

		assert(entry);
		check_applied(world, member, entry);
		member->image.index = entry->index;
		member->image.term = entry->term;
		if ((entry->kind == ENTRY_CONF_V1 ||
		     entry->kind == ENTRY_CONF_V2) &&
		    raft_apply_conf(member->raft, entry, &member->image.conf) ==
			    0) {
			world->changes++;
			world_say(world,
				  "%" PRIu64 " applies change at %" PRIu64
				  ": %u voters, %u outgoing",
				  member_id(world, member), entry->index,
				  member->image.conf.voter_count,
				  member->image.conf.outgoing_count);
		}
	}
	raft_applied(member->raft, last);
}

void world_crash(struct world *world, struct member *member)
{
	unsigned int kept =
		(unsigned int)world_draw(world, member->write_count + 1);

	for (unsigned int i = 0; i < kept; i++)
		write_out(world, member, &member->writes[i]);
	member->write_count = 0;
	member->running = false;
	/* Whoever was sending it an image notices the broken connection. */
	for (unsigned int i = 0; i < world->count; i++)
		if (world->members[i].running)
			raft_report_snapshot(world->members[i].raft,
					     member_id(world, member), false);
}

/* Images travel on connections: their end is known, if not when. */
static void report(struct world *world, const struct raft_message *message,
		   bool ok)
{
	struct member *from = &world->members[message->from - 1];

	if (message->type == RAFT_MSG_SNAPSHOT && from->running)
		raft_report_snapshot(from->raft, message->to, ok);
}

void world_drop(struct world *world, unsigned int at)
{
	report(world, &world->network[at].message, false);
	free(world->network[at].entries);
	world->network[at] = world->network[--world->network_count];
}

void world_double(struct world *world, unsigned int at)
{
	struct parcel copy = world->network[at];

	copy_entries(&copy, world->network[at].entries, copy.count);
	if (world->network_count == WORLD_NETWORK_MAX) {
		free(copy.entries);
		return;
	}
	world->network[world->network_count++] = copy;
}

void world_deliver(struct world *world, unsigned int at)
{
	struct parcel parcel = world->network[at];
	struct raft_message *message = &parcel.message;
	struct member *to;
	int err;

	world->network[at] = world->network[--world->network_count];
	assert(message->to >= 1 && message->to <= world->count);
	to = &world->members[message->to - 1];
	if (to->running &&
	    !world->severed[message->from - 1][message->to - 1]) {
		message->entries = parcel.entries;
		message->snapshot =
			parcel.has_snapshot ? &parcel.snapshot : NULL;
		err = raft_receive(to->raft, message);
		if (err == RAFT_EINVALID)
			check_fail(world,
				   "a correct member's message (type %u, "
				   "%" PRIu64 " to %" PRIu64 ") is refused",
				   message->type, message->from, message->to);
		report(world, message, true);
	} else {
		report(world, message, false);
	}
	free(parcel.entries);
}

/* An image of what is applied, durable at once; the log before it goes. */
void world_compact(struct world *world, struct member *member)
{
	if (member->raft->log.incoming_set ||
	    member->raft->log.applied != member->image.index ||
	    member->image.index <= member->saved.index ||
	    member->image.index > member->last)
		return;
	member->saved = member->image;
	/* A durable image of a term implies that the term is durable. */
	assert(member->hard.term >= member->saved.term);
	raft_offer_snapshot(member->raft, &member->image);
	raft_compact(member->raft, member->image.index);
	world_say(world, "%" PRIu64 " compacts to %" PRIu64,
		  member_id(world, member), member->image.index);
}

void world_propose(struct world *world, struct member *member)
{
	static char pool[1 << 16];
	struct raft_entry entry = {.kind = ENTRY_NORMAL};
	uint64_t index, term;
	int err;

	entry.size = (uint32_t)world_draw(world, 200);
	entry.data = &pool[world->next_payload++ % sizeof(pool)];
	err = raft_propose(member->raft, &entry, &index, &term);
	(void)err; /* refused is fine */
}

static void *keep_payload(struct world *world, size_t size)
{
	void *bytes = calloc(1, size);

	assert(bytes);
	if (world->payload_count == world->payload_room) {
		world->payload_room = 2 * world->payload_room + 16;
		world->payloads = realloc(world->payloads,
					  world->payload_room * sizeof(void *));
		assert(world->payloads);
	}
	world->payloads[world->payload_count++] = bytes;
	return bytes;
}

void world_change(struct world *world, struct member *member)
{
	struct raft_conf_changes changes = {0};
	struct raft_entry entry = {.kind = ENTRY_CONF_V2};
	uint64_t index, term;
	uint8_t *bytes;
	int err;

	changes.count = (uint8_t)(1 + world_draw(world, 3));
	changes.transition = (uint8_t)world_draw(world, 3);
	for (unsigned int i = 0; i < changes.count; i++) {
		static const uint8_t types[] = {RAFT_ADD_VOTER, RAFT_ADD_VOTER,
						RAFT_REMOVE, RAFT_ADD_LEARNER};

		changes.changes[i].id = 1 + world_draw(world, world->count);
		changes.changes[i].type = types[world_draw(world, 4)];
	}
	entry.size = (uint32_t)raft_conf_size(changes.count);
	bytes = keep_payload(world, entry_size(entry.size));
	raft_conf_encode(&changes, bytes + ENTRY_HEADER_SIZE);
	entry.data = bytes;
	/* Sometimes: leave a joint configuration. */
	if (world_chance(world, 40)) {
		entry.size = 0;
		entry.data = NULL;
	}
	err = raft_propose(member->raft, &entry, &index, &term);
	(void)err; /* refused is fine */
}

void world_read(struct world *world, struct member *member)
{
	uint64_t context = world->next_read++;
	int err;

	world->asked[context % WORLD_READS_MAX] = world->commit;
	err = raft_read_index(member->raft, context);
	(void)err; /* refused is fine */
}
