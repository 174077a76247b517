/*
 * Birth, restart and time: the paper's §5.1 (what survives a crash) and
 * §5.2 (randomised timeouts).
 *
 * All memory is given once; its shape follows from the options alone. After
 * a restart the core is a follower that knows its term, its vote and its
 * log, whatever it was before.
 *
 * Invariant: a member that may have forgotten promises that it never wrote
 * (the lease of a leader it answered) is quiet for quiet_ticks, also when it
 * is the only voter by now.
 */
#include "raft/internal.h"

#include "raft/entry.h"

#include <assert.h>
#include <string.h>

enum core_memory {
	CORE_ALIGN = 64,
	CORE_ENTRIES_MIN = 16,
	CORE_COUNT_MAX =
		1 << 28, /* of anything: keeps sizes far from overflow */
};

/* Where each array begins, from the start of the memory. */
struct core_layout {
	size_t entries;
	size_t waiting;
	size_t reads;
	size_t outbox;
	size_t outbox_entries;
	size_t withheld;
	size_t inflights;
	size_t size;
	uint64_t entry_slots;
	uint64_t withheld_slots;
};

static uint64_t power_of_two(uint64_t at_least)
{
	uint64_t power = 1;

	while (power < at_least)
		power *= 2;
	return power;
}

static size_t place(size_t *end, uint64_t count, size_t size)
{
	size_t at = *end;

	*end = (at + count * size + CORE_ALIGN - 1) & ~(size_t)(CORE_ALIGN - 1);
	return at;
}

static void lay_out(const struct raft_options *options,
		    struct core_layout *layout)
{
	size_t end = 0;
	uint64_t messages = options->messages_max;

	layout->entry_slots = power_of_two(options->entries_max);
	/* Own acknowledgements come on top: one a ready, one between two. */
	layout->withheld_slots =
		power_of_two(4 * (messages + RAFT_READIES_MAX));
	(void)place(&end, 1, sizeof(struct raft));
	layout->entries =
		place(&end, layout->entry_slots, sizeof(struct raft_entry));
	layout->waiting = place(&end, options->reads_max,
				sizeof(struct raft_pending_read));
	layout->reads =
		place(&end, options->reads_max, sizeof(struct raft_read));
	layout->outbox = place(&end, messages, sizeof(struct raft_message));
	layout->outbox_entries =
		place(&end, messages, sizeof(struct raft_entry));
	layout->withheld = place(&end, layout->withheld_slots,
				 sizeof(struct raft_message));
	layout->inflights =
		place(&end, (uint64_t)options->inflight_max * RAFT_PROGRESS_MAX,
		      sizeof(struct raft_inflight));
	layout->size = end;
}

size_t raft_memory_size(const struct raft_options *options)
{
	struct core_layout layout;

	assert(options);
	lay_out(options, &layout);
	return layout.size;
}

static bool options_fit(const struct raft_options *options)
{
	if (options->id == 0 || options->heartbeat_ticks == 0 ||
	    options->election_ticks <= options->heartbeat_ticks ||
	    options->election_ticks > CORE_COUNT_MAX)
		return false;
	if (options->entries_max < CORE_ENTRIES_MIN ||
	    options->entries_max > CORE_COUNT_MAX)
		return false;
	if (options->messages_max < RAFT_MESSAGES_MIN ||
	    options->messages_max > CORE_COUNT_MAX)
		return false;
	if (options->reads_max == 0 || options->reads_max > CORE_COUNT_MAX ||
	    options->inflight_max == 0 ||
	    options->inflight_max > CORE_COUNT_MAX)
		return false;
	/* Answering reads by the clock needs a leader that steps down. */
	if ((options->read_mode == RAFT_READ_LEASE || options->lease) &&
	    !options->check_quorum)
		return false;
	return options->read_mode <= RAFT_READ_LEASE;
}

static void share_memory(struct raft *raft, const struct core_layout *layout)
{
	uint8_t *memory = (uint8_t *)raft;
	struct raft_inflight *ring =
		(struct raft_inflight *)(memory + layout->inflights);

	raft_log_init(&raft->log,
		      (struct raft_entry *)(memory + layout->entries),
		      layout->entry_slots, raft->options.entries_max);
	raft->waiting = (struct raft_pending_read *)(memory + layout->waiting);
	raft->reads = (struct raft_read *)(memory + layout->reads);
	raft->outbox = (struct raft_message *)(memory + layout->outbox);
	raft->outbox_entries =
		(struct raft_entry *)(memory + layout->outbox_entries);
	raft->withheld = (struct raft_message *)(memory + layout->withheld);
	raft->withheld_mask = layout->withheld_slots - 1;
	for (unsigned int i = 0; i < RAFT_PROGRESS_MAX; i++) {
		struct raft_inflights *flights = &raft->progress[i].inflights;

		flights->ring = ring + (size_t)i * raft->options.inflight_max;
		flights->capacity = raft->options.inflight_max;
		flights->size_max = raft->options.inflight_size_max;
	}
}

int raft_init(struct raft **ret_raft, const struct raft_options *options,
	      const struct raft_hard_state *hard,
	      const struct raft_snapshot *snapshot, void *memory)
{
	const struct raft_conf_fresh none = {0};
	struct core_layout layout;
	struct raft *raft = memory;

	assert(ret_raft && options && hard && snapshot && memory);
	assert(((uintptr_t)memory & (CORE_ALIGN - 1)) == 0);
	if (!options_fit(options) || !raft_snapshot_fits(snapshot))
		return RAFT_EINVALID;
	if (hard->term < snapshot->term || hard->term > RAFT_COUNT_MAX ||
	    (hard->vote != 0 && hard->term == 0))
		return RAFT_EINVALID;
	lay_out(options, &layout);
	memset(raft, 0, sizeof(*raft));
	raft->options = *options;
	share_memory(raft, &layout);
	raft->log.apply_size_max = options->committed_size_max;
	raft_log_start(&raft->log, snapshot->index, snapshot->term);
	raft->log.applying = snapshot->index;
	raft->log.applied = snapshot->index;
	raft->offer = *snapshot;
	raft->load_commit = hard->commit;
	raft->random = options->seed;
	raft->quiet = options->quiet_ticks;
	raft->term = hard->term;
	raft->vote = hard->vote;
	raft_track_conf(raft, &snapshot->conf, &none, snapshot->index);
	raft_become_follower(raft, hard->term);
	raft->shown_hard.term = raft->term;
	raft->shown_hard.vote = raft->vote;
	raft->shown_hard.commit = raft->log.commit;
	*ret_raft = raft;
	return 0;
}

int raft_load(struct raft *raft, const struct raft_entry *entry)
{
	struct raft_log *log = &raft->log;

	assert(raft && entry);
	assert(raft->number == 0);
	if (entry->index != log->last + 1 || entry->term > raft->term ||
	    entry->term < raft_log_last_term(log) || entry->term == 0 ||
	    entry->size > ENTRY_PAYLOAD_MAX)
		return RAFT_EINVALID;
	if (raft_log_room(log) == 0)
		return RAFT_EFULL;
	raft_log_push(log, entry);
	log->stable = log->last;
	log->handed = log->last;
	if (log->last <= raft->load_commit)
		log->commit = log->last;
	raft->shown_hard.commit = log->commit;
	return 0;
}

void raft_restored(struct raft *raft, uint64_t applied)
{
	assert(raft);
	assert(raft->number == 0);
	assert(applied >= raft->log.applied);
	assert(applied <= raft->log.last);
	/* Applied is committed, whatever the hard state recalls. */
	raft_log_commit_to(&raft->log, applied);
	raft->shown_hard.commit = raft->log.commit;
	raft->log.applied = applied;
	raft->log.applying = applied;
}

void raft_end_quiet(struct raft *raft)
{
	assert(raft);
	raft_touch(raft);
	raft->quiet = 0;
}

/* splitmix64: small, and good for any seed. */
static uint64_t draw(struct raft *raft)
{
	uint64_t z = raft->random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void raft_draw_timeout(struct raft *raft)
{
	uint32_t ticks = raft->options.election_ticks;

	raft->election_timeout = ticks + (uint32_t)(draw(raft) % ticks);
}

void raft_tick(struct raft *raft)
{
	assert(raft);
	raft_touch(raft);
	raft->now++;
	if (raft->quiet > 0)
		raft->quiet--;
	if (raft->role == RAFT_LEADER)
		raft_tick_leader(raft);
	else
		raft_tick_election(raft);
}
