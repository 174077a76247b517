/*
 * A member's shell: it takes what its core hands out, writes it to a disk
 * that completes in order and late, applies it, makes images and forgets
 * bytes.
 *
 * A crash keeps what is durable and, of the writes that are on their way,
 * any number of the oldest. The state machine is in memory: after a crash it
 * begins with the image, or further on if its shell applied again what it
 * knows to be committed.
 */
#include "tests/explore/world.h"

#include "raft/entry.h"
#include "tests/explore/lie.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum member_habits { /* per cent */
	HABIT_LIGHT = 8,
	HABIT_VOID = 3,
	HABIT_KEEPS_COMMIT = 50,
	HABIT_TELLS_ALL = 50,
	HABIT_REPLAYS = 40,
	HABIT_LENDS = 50,
	HABIT_CAMPAIGNS = 20,
	HABIT_TAIL = 10, /* entries kept behind an image, at most */
};

uint64_t member_id(const struct world *world, const struct member *member)
{
	return (uint64_t)(member - world->members) + 1;
}

uint64_t member_disk_term(const struct member *member, uint64_t index)
{
	const struct raft_entry *slot = &member->log[index % WORLD_RING];

	if (index == member->saved.index)
		return member->saved.term;
	if (index > member->last || slot->index != index)
		return 0;
	return slot->term;
}

/* Applies one entry, as a shell does whose state machine is its image. */
static void apply_one(struct world *world, struct member *member,
		      const struct raft_entry *entry)
{
	uint64_t id = member_id(world, member);

	check_applied(world, member, entry);
	member->image.index = entry->index;
	member->image.term = entry->term;
	if (entry->index > member->applied_ever)
		member->applied_ever = entry->index;
	if (entry->index > world->acknowledged)
		world->acknowledged = entry->index;
	if (!ghost_is_change(entry->kind) || lie_about_apply(world))
		return;
	clock_steady(member);
	if (raft_apply_conf(member->raft, entry, &member->image.conf) == 0)
		world_say(world,
			  "%" PRIu64 " applies the change at %" PRIu64
			  ": %u voters, %u outgoing, %u learners",
			  id, entry->index, member->image.conf.voter_count,
			  member->image.conf.outgoing_count,
			  member->image.conf.learner_count);
}

/* Applies again what was applied in an earlier life, not always all. */
static void replay(struct world *world, struct member *member)
{
	uint64_t known = member->applied_ever;
	uint64_t index;

	if (known > member->last)
		known = member->last;
	if (known <= member->saved.index)
		return;
	index = member->saved.index;
	if (world_chance(world, HABIT_REPLAYS))
		index += world_draw(world, known - index + 1);
	if (index < known)
		world_reach(world, REACH_RESTORED);
	raft_restored(member->raft, index);
	while (member->image.index < index)
		apply_one(world, member,
			  member_slot(member, member->image.index + 1));
	member->applying = index;
}

void member_start(struct world *world, struct member *member)
{
	struct raft_options options = world->shape.options;
	int err;

	options.id = member_id(world, member);
	options.seed = world_draw(world, UINT64_MAX);
	if (world->shape.mixed)
		options.pre_vote = world_chance(world, 50);
	if (member->life++ > 0 && options.quiet_ticks > 0)
		world_reach(world, REACH_QUIET);
	err = raft_init(&member->raft, &options, &member->hard, &member->saved,
			member->memory);
	assert(err == 0);
	for (uint64_t i = member->saved.index + 1; i <= member->last; i++) {
		struct raft_entry entry = *member_slot(member, i);

		if (i <= member->applied_ever && world_chance(world, 10))
			entry.data = NULL;
		err = raft_load(member->raft, &entry);
		assert(err == 0);
	}
	member->image = member->saved;
	member->applying = member->saved.index;
	member->running = true;
	member->paused_until = 0;
	member->untold = false;
	member->ticks = 0;
	memset(member->heard, 0, sizeof(member->heard));
	member->steady_since = 0;
	member->tick_due =
		world->now + 1 + world_draw(world, world->shape.tick);
	member->page = (struct page){0};
	check_restart(member);
	replay(world, member);
	/* Some shells try at once; whoever must be quiet may not. */
	if (world_chance(world, HABIT_CAMPAIGNS))
		err = raft_campaign(member->raft);
	(void)err; /* refused is fine */
	check_member(world, member);
}

struct raft_entry member_entry(struct world *world, struct member *member,
			       uint64_t index)
{
	const struct raft_entry *entry = raft_entry_at(member->raft, index);
	struct raft_entry whole;

	assert(entry);
	whole = *entry;
	if (!whole.data && member_slot(member, index)->index == index &&
	    member_slot(member, index)->term == whole.term)
		whole.data = member_slot(member, index)->data;
	if (whole.data && !entry->data) {
		world_reach(world, REACH_EVICTED);
		if (world_chance(world, HABIT_LENDS))
			raft_lend(member->raft, index, whole.data);
	}
	return whole;
}

static void queue_write(struct world *world, struct member *member,
			const struct raft_ready *ready)
{
	struct write *write = &member->writes[member->write_count];

	assert(member->write_count < WORLD_WRITES_MAX);
	if (member->write_count++ > 0)
		world_reach(world, REACH_DEEP);
	write->number = ready->number;
	/* Changed or not: see struct raft_ready. */
	write->hard = ready->hard;
	write->has_snapshot = ready->snapshot != NULL;
	if (ready->snapshot)
		write->snapshot = *ready->snapshot;
	write->first = ready->append_first;
	write->count = 0;
	write->entries = NULL;
	if (ready->append_first == 0)
		return;
	write->count = (uint32_t)(ready->append_last - write->first + 1);
	write->entries = malloc(write->count * sizeof(*write->entries));
	assert(write->entries);
	for (uint32_t i = 0; i < write->count; i++)
		write->entries[i] =
			*raft_entry_at(member->raft, write->first + i);
}

static void count_limits(struct world *world, const struct member *member,
			 const struct raft_ready *ready)
{
	const struct raft *raft = member->raft;

	if (ready->apply_last != 0 && ready->apply_last < raft->log.commit &&
	    ready->apply_last < raft->log.stable)
		world_reach(world, REACH_PAGED);
	if (raft->record_end - raft->record_begin == RAFT_READIES_MAX)
		world_reach(world, REACH_STALL);
	if (raft->outbox_count == raft->options.messages_max)
		world_reach(world, REACH_OUTBOX);
	if (raft->role != RAFT_LEADER)
		return;
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		const struct raft_progress *progress =
			&raft->progress[raft->order[i]];

		if (raft_inflights_full(&progress->inflights))
			world_reach(world, REACH_WINDOW);
	}
}

/* Whether there is a ready, with the disk's part or without it. */
static bool take_ready(struct world *world, struct member *member,
		       struct raft_ready *ready)
{
	bool busy = member->write_count >= world->shape.depth ||
		    member->write_count == WORLD_WRITES_MAX;

	if (!raft_has_ready(member->raft))
		return false;
	if ((busy && raft_must_sync(member->raft)) ||
	    world_chance(world, HABIT_LIGHT)) {
		if (!raft_ready_light(member->raft, ready))
			return false;
		world_reach(world, REACH_LIGHT);
	} else {
		raft_ready(member->raft, ready);
	}
	if (!world_chance(world, HABIT_VOID))
		return true;
	world_reach(world, REACH_VOID);
	return false;
}

void member_ready(struct world *world, struct member *member)
{
	struct raft_ready ready;

	if (!take_ready(world, member, &ready))
		return;
	count_limits(world, member, &ready);
	if (ready.must_sync)
		queue_write(world, member, &ready);
	else if (ready.hard_changed && member->write_count == 0 &&
		 world_chance(world, HABIT_KEEPS_COMMIT))
		member->hard = ready.hard;
	clock_publish(member);
	for (uint32_t i = 0; i < ready.message_count; i++)
		network_send(world, member, &ready.messages[i]);
	for (uint32_t i = 0; i < ready.read_count; i++)
		clock_read(world, member, &ready.reads[i]);
	if (ready.apply_last != 0)
		member->applying = ready.apply_last;
	raft_advance(member->raft);
	check_member(world, member);
}

static void write_out(struct world *world, struct member *member,
		      const struct write *write)
{
	promise_written(world, member, write);
	member->hard = write->hard;
	if (write->has_snapshot) {
		if (member->last > member->saved.index)
			world_reach(world, REACH_IMAGE_OVER_LOG);
		member->saved = write->snapshot;
		member->last = write->snapshot.index;
		world_reach(world, REACH_IMAGE);
	}
	for (uint32_t i = 0; i < write->count; i++) {
		uint64_t index = write->first + i;

		assert(index <= member->last + 1 || i > 0);
		*member_slot(member, index) = write->entries[i];
		member->last = index;
	}
}

static void forget_writes(struct member *member, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		free(member->writes[i].entries);
	member->write_count -= count;
	memmove(&member->writes[0], &member->writes[count],
		member->write_count * sizeof(member->writes[0]));
}

static void count_aba(struct world *world, const struct member *member,
		      const struct raft_entry *entry)
{
	const struct raft_entry *now =
		raft_entry_at(member->raft, entry->index);

	if (entry->index >= member->raft->log.first &&
	    (!now || now->term != entry->term))
		world_reach(world, REACH_ABA);
}

/* The oldest write is durable; the core may hear of it with a later one. */
static void complete_one(struct world *world, struct member *member, bool tell)
{
	const struct write *write = &member->writes[0];
	uint64_t number = write->number, index = 0, term = 0;

	write_out(world, member, write);
	if (write->has_snapshot) {
		member->image = write->snapshot;
		member->applying = member->image.index;
	}
	if (write->count > 0) {
		const struct raft_entry *last =
			&write->entries[write->count - 1];

		index = last->index;
		term = last->term;
		count_aba(world, member, last);
	}
	forget_writes(member, 1);
	member->untold = !tell;
	if (!tell)
		return;
	raft_persisted(member->raft, number, index, term);
	check_member(world, member);
}

void member_complete(struct world *world, struct member *member,
		     unsigned int count)
{
	bool all = world_chance(world, HABIT_TELLS_ALL);

	if (count > member->write_count)
		count = member->write_count;
	if (count > 0 && lie_about_write(world, member))
		return;
	for (unsigned int i = 0; i < count; i++)
		complete_one(world, member, all || i + 1 == count);
}

void member_apply(struct world *world, struct member *member)
{
	uint64_t last = member->applying;

	/* Some of what was handed out, and nothing under an image. */
	if (member->image.index >= last || member->raft->log.incoming_set)
		return;
	last = member->image.index + 1 +
	       world_draw(world, last - member->image.index);
	while (member->image.index < last && !world->failed) {
		const struct raft_entry entry =
			member_entry(world, member, member->image.index + 1);

		apply_one(world, member, &entry);
		check_member(world, member);
	}
	raft_applied(member->raft, last);
	check_member(world, member);
}

void member_crash(struct world *world, struct member *member)
{
	unsigned int kept =
		(unsigned int)world_draw(world, member->write_count + 1);

	world_reach(world, REACH_CRASH);
	for (unsigned int i = 0; i < kept; i++)
		write_out(world, member, &member->writes[i]);
	for (unsigned int i = kept; i < member->write_count; i++) {
		const struct write *lost = &member->writes[i];

		if (lost->count > 0)
			world_reach(world, REACH_LOST_ENTRIES);
		if (lost->hard.term != member->hard.term ||
		    lost->hard.vote != member->hard.vote)
			world_reach(world, REACH_LOST_VOTE);
	}
	world_say(world, "%" PRIu64 " crashes; of %u writes %u were made",
		  member_id(world, member), member->write_count, kept);
	forget_writes(member, member->write_count);
	member->running = false;
	lie_about_crash(world, member);
}

/* An image of what is applied, durable at once. */
static void make_image(struct world *world, struct member *member)
{
	uint64_t index = member->image.index;

	if (index <= member->saved.index || index > member->last)
		return;
	member->saved = member->image;
	/* A durable image of a term implies that the term is durable. */
	assert(member->hard.term >= member->saved.term);
	raft_offer_snapshot(member->raft, &member->image);
	world_say(world, "%" PRIu64 " has an image at %" PRIu64,
		  member_id(world, member), index);
}

/* Most of the log before an image goes; all of it when the window is short. */
void member_compact(struct world *world, struct member *member)
{
	struct raft *raft = member->raft;
	const struct raft_log *log = &raft->log;
	uint64_t tail = world_draw(world, HABIT_TAIL + 1);

	if (log->incoming_set || log->applied != member->image.index)
		return;
	make_image(world, member);
	if (log->last - log->first > log->capacity / 2)
		tail = 0;
	if (member->saved.index < log->first + tail)
		return;
	raft_compact(raft, member->saved.index - tail);
	check_member(world, member);
}

void member_evict(struct world *world, struct member *member)
{
	uint64_t first = member->raft->log.first;
	uint64_t last = member->raft->log.last;

	if (first > last)
		return;
	raft_evict(member->raft, first + world_draw(world, last - first + 1));
	check_member(world, member);
}
