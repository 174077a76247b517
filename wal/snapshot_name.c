/*
 * Naming a snapshot: the moment from which it counts. Its file is complete
 * and durable under its final name; now `meta` is told of it, and later that
 * the one before is gone.
 *
 * In the same version `meta` says what the log is worth behind it. A snapshot
 * of one's own was cut from this log, which goes on. One that was received may
 * meet a log that ends before it or has another history; then nothing that
 * was appended until now counts any more.
 */
#include "wal/log.h"

uint64_t wal_snapshot_index(const struct wal *wal)
{
	return wal->newest.meta.index;
}

bool log_snapshot_replaces(const struct wal *wal)
{
	return wal->snapshot.state == SNAPSHOT_NAME && wal->snapshot.judged &&
	       wal->snapshot.replaces;
}

/*
 * Whether the log is not the one that the snapshot was cut from: it ends
 * before, or has an entry of another term there. Where the two agree they
 * agree in all entries before (Raft, Log Matching), and the log goes on.
 */
static bool snapshot_differs(const struct wal *wal)
{
	const struct meta_snapshot *cut = &wal->snapshot.meta;
	uint64_t term = log_index_term_of(wal, cut->index);

	return cut->index > wal->last_index || (term && term != cut->term);
}

/*
 * Finds out whether the snapshot will replace the log. False: it is not known
 * yet, since the entry that may agree is not durable; or it will, and the
 * last record that does not count is not.
 */
static bool snapshot_judge(struct wal *wal)
{
	const struct log_record *flight = &wal->record;
	struct log_snapshot *snapshot = &wal->snapshot;

	if (!snapshot->judged) {
		if (flight->busy && flight->entry_count > 0 &&
		    flight->first_index <= snapshot->meta.index)
			return false;
		snapshot->replaces = snapshot_differs(wal);
		snapshot->judged = true;
	}
	return !snapshot->replaces || !flight->busy;
}

/* The snapshot has taken the log's place. */
static void snapshot_replace(struct wal *wal)
{
	uint32_t i;

	if (!wal->snapshot.replaces)
		return;
	log_index_void(wal, 0);
	wal->last_index = wal->snapshot.meta.index;
	wal->log_bytes_before = wal->log_bytes;
	wal->durable_index = wal->snapshot.meta.index;
	wal->durable_term = wal->snapshot.meta.term;
	log_repair_check(wal);
	for (i = 0; i < wal->live_count; i++)
		wal->live[i].last_index = 0;
}

/* It is named: it is the one that is read, and the one before is closed. */
static void snapshot_publish(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;
	struct log_newest *newest = &wal->newest;
	int before = newest->file;

	newest->file = snapshot->file;
	newest->meta = snapshot->meta;
	newest->head_size = snapshot->head_size;
	memcpy(newest->head, snapshot->head, snapshot->head_size);
	snapshot->file = before;
	wal->stats.snapshots++;
}

/* Lets `meta` say something; true when the disk has it. */
static bool snapshot_tell(struct wal *wal, const struct meta_snapshot *named,
			  const struct meta_snapshot *previous)
{
	struct log_keeper *keeper = &wal->keeper;

	if (keeper->durable.snapshot.index == named->index &&
	    keeper->durable.previous.index == previous->index)
		return true;
	if (keeper->meta.snapshot.index != named->index ||
	    keeper->meta.previous.index != previous->index) {
		keeper->meta.snapshot = *named;
		keeper->meta.previous = *previous;
		if (log_snapshot_replaces(wal))
			keeper->meta.void_before = wal->next_sequence;
		keeper->dirty = true;
	}
	return false;
}

void log_snapshot_closed(struct wal *wal)
{
	wal->snapshot.file = -1;
	wal->snapshot.state = wal->keeper.durable.previous.index
				      ? SNAPSHOT_DROP_OLD
				      : SNAPSHOT_FORGET;
}

void log_snapshot_settle(struct wal *wal)
{
	static const struct meta_snapshot none = {0};
	struct log_snapshot *snapshot = &wal->snapshot;
	struct meta_snapshot before = wal->keeper.meta.snapshot;

	if (before.index == snapshot->meta.index)
		before = wal->keeper.meta.previous;
	if (snapshot->state == SNAPSHOT_NAME && snapshot_judge(wal) &&
	    snapshot_tell(wal, &snapshot->meta, &before)) {
		wal->log_bytes_before = snapshot->log_bytes;
		snapshot_replace(wal);
		snapshot_publish(wal);
		snapshot->state = SNAPSHOT_CLOSE;
	}
	if (snapshot->state == SNAPSHOT_FORGET &&
	    snapshot_tell(wal, &snapshot->meta, &none))
		snapshot->state = SNAPSHOT_IDLE;
}
