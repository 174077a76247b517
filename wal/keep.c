/*
 * The keeper: writes `meta`, and gives segments back that a snapshot covers.
 *
 * Nothing waits for `meta` but a change of term or vote, of which there must
 * be two copies, and what follows from it: a segment is used again only after
 * a durable `meta` says that it is no longer part of the log, and a snapshot
 * counts only after one names it.
 *
 * The seal. `meta` says up to which record the log is known durable, and a
 * record behind that may look like a write that power tore, or, when its
 * first sector is lost, like nothing at all. So when no record was written
 * for a moment `meta` is written once more. An empty record behind the last
 * one would tell as much; but it takes a block of the log each time, and what
 * is appended meanwhile would have to wait for it.
 */
#include "wal/log.h"

#include <assert.h>

/* Brings what the log has learnt into the version to be written. */
static void keep_refresh(struct wal *wal)
{
	struct log_keeper *keeper = &wal->keeper;
	struct meta *meta = &keeper->meta;

	meta->durable_sequence = wal->durable_sequence;
	meta->newest_segment = wal->durable_segment;
	meta->term = wal->promised.term;
	meta->vote = wal->promised.vote;
	meta->commit = wal->hard.commit;
}

/* Up to here no entry is needed, not even to do without the newest snapshot. */
static uint64_t keep_covered(const struct wal *wal)
{
	const struct meta *durable = &wal->keeper.durable;

	if (wal->snapshot.state != SNAPSHOT_IDLE &&
	    wal->snapshot.meta.index == durable->snapshot.index)
		return durable->previous.index;
	return durable->snapshot.index;
}

/*
 * The oldest segment that is needed: all before it hold only entries up to
 * the snapshot, and the tail is always kept.
 */
static uint64_t keep_first_needed(const struct wal *wal)
{
	uint64_t covered = keep_covered(wal);
	uint32_t i;

	for (i = 0; i + 1 < wal->live_count; i++) {
		if (wal->live[i].last_index > covered ||
		    wal->live[i + 1].segment > wal->durable_segment)
			break;
	}
	return wal->live[i].segment;
}

/* Moves what a durable `meta` no longer counts to the spares. */
static void keep_give_back(struct wal *wal)
{
	uint64_t first = wal->keeper.durable.first_segment;
	uint32_t count = 0;
	uint32_t i;

	while (wal->live[count].segment < first) {
		assert(count + 1 < wal->live_count);
		count++;
	}
	for (i = 0; i < count; i++)
		log_pool_add(wal, &wal->live[i]);
	wal->live_count -= count;
	memmove(&wal->live[0], &wal->live[count],
		wal->live_count * sizeof(wal->live[0]));
	log_index_forget(wal, wal->keeper.durable.snapshot.index);
	if (count > 0)
		log_gaps_trim(wal, wal->live[0].first_sequence, UINT64_MAX);
}

/* The last record is to be sealed, at this time; UINT64_MAX: it is. */
static uint64_t keep_seal_ns(const struct wal *wal)
{
	if (wal->failed || wal->record.busy || wal->damage.found ||
	    wal->keeper.sent.durable_sequence >= wal->durable_sequence)
		return UINT64_MAX;
	return wal->quiet_ns + WAL_SEAL_NS;
}

uint64_t wal_next_ns(const struct wal *wal)
{
	return keep_seal_ns(wal);
}

/* Whether the disk's version lacks what a restart would want to know. */
static bool keep_is_stale(const struct wal *wal)
{
	const struct meta *sent = &wal->keeper.sent;

	return wal->now_ns >= keep_seal_ns(wal) ||
	       sent->newest_segment != wal->durable_segment ||
	       sent->term != wal->promised.term ||
	       sent->vote != wal->promised.vote ||
	       sent->first_segment != wal->keeper.meta.first_segment;
}

void log_keep_work(struct wal *wal)
{
	struct log_keeper *keeper = &wal->keeper;

	if (keeper->busy || keeper->broken)
		return;
	/* Until the damage is noted `meta` stays as it is. */
	if (wal->damage.found && !wal->damage.asked)
		return;
	if (!wal->failed) {
		keeper->meta.first_segment = keep_first_needed(wal);
		keeper->dirty = keeper->dirty || keep_is_stale(wal);
	}
	if (!keeper->dirty)
		return;
	keep_refresh(wal);
	keeper->meta.version++;
	meta_seal(wal->meta_blocks, &keeper->meta);
	keeper->op.kind = DISK_WRITE_DURABLE;
	keeper->op.file = wal->meta_file;
	keeper->op.offset = meta_offset(keeper->meta.version);
	keeper->op.buffer = wal->meta_blocks;
	keeper->op.size = META_PAIR_SIZE;
	keeper->sent = keeper->meta;
	keeper->dirty = false;
	keeper->busy = true;
	disk_submit(wal->disk, &keeper->op);
}

void log_keep_done(struct wal *wal)
{
	struct log_keeper *keeper = &wal->keeper;

	assert(keeper->busy);
	keeper->busy = false;
	if (keeper->op.result != (int32_t)keeper->op.size) {
		keeper->broken = true;
		log_fail(wal);
		return;
	}
	keeper->durable = keeper->sent;
	keep_give_back(wal);
	log_repair_noted(wal);
}

int log_keep_put(struct wal *wal)
{
	struct log_keeper *keeper = &wal->keeper;
	int r;

	assert(!keeper->busy);
	keeper->meta.version++;
	meta_seal(wal->meta_blocks, &keeper->meta);
	r = disk_write_now(wal->disk, wal->meta_file,
			   meta_offset(keeper->meta.version), wal->meta_blocks,
			   META_PAIR_SIZE);
	if (r < 0)
		return log_where(wal, r, "meta: cannot be written");
	keeper->sent = keeper->meta;
	keeper->durable = keeper->meta;
	return 0;
}

int log_keep_now(struct wal *wal)
{
	keep_refresh(wal);
	return log_keep_put(wal);
}

int log_keep_ready(struct wal *wal)
{
	struct meta *meta = &wal->keeper.meta;
	int r;

	meta->frame.own = META_READY;
	meta->failed_sequence = 0;
	memcpy(meta->boot_id, wal->boot_id, sizeof(meta->boot_id));
	r = log_keep_now(wal);
	return r < 0 ? r : log_keep_now(wal);
}
