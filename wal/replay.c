/*
 * Replay: hands out what recovery found, reading it a second time, so that a
 * long log needs no memory but the window. Recovery noted which records
 * overwrote the tail before them; an entry that a later record overwrote is
 * passed over, and so is what the snapshot holds.
 */
#include "raft/entry.h"
#include "wal/log.h"

#include <assert.h>

static void replay_begin(struct wal *wal)
{
	uint64_t covered = wal->keeper.meta.snapshot.index;
	struct log_cursor *cursor = &wal->cursor;

	memset(cursor, 0, sizeof(*cursor));
	cursor->window_file = -1;
	cursor->next_index = covered + 1;
	while (cursor->segment + 1 < wal->live_count &&
	       wal->live[cursor->segment].last_index <= covered)
		cursor->segment++;
	cursor->block = 1;
	cursor->sequence = wal->live[cursor->segment].first_sequence;
}

/* Goes to the next record: 1, 0 at the end, or an error. */
static int replay_record(struct wal *wal)
{
	struct log_cursor *cursor = &wal->cursor;

	if (cursor->sequence >= wal->replay_end)
		return 0;
	if (cursor->block >= wal->live[cursor->segment].used) {
		cursor->segment++;
		cursor->block = 1;
	}
	assert(cursor->segment < wal->live_count);
	/* It was intact a moment ago. */
	if (scan_record(wal, cursor, cursor->sequence) != SCAN_VALID)
		return WAL_EDAMAGED;
	cursor->block += cursor->header.frame.own;
	cursor->sequence++;
	cursor->entry_at = cursor->header.payload;
	cursor->entry_left = cursor->header.entry_count;
	while (cursor->overwrite < wal->overwrite_count &&
	       wal->overwrites[cursor->overwrite].sequence <=
		       cursor->header.sequence)
		cursor->overwrite++;
	return 1;
}

static bool replay_counts(const struct wal *wal,
			  const struct entry_header *entry)
{
	uint32_t overwrite = wal->cursor.overwrite;

	if (entry->index <= wal->keeper.meta.snapshot.index ||
	    wal->cursor.header.sequence < wal->keeper.meta.void_before)
		return false;
	return overwrite == wal->overwrite_count ||
	       entry->index < wal->overwrites[overwrite].first_index;
}

int wal_replay_next(struct wal *wal, struct raft_entry *ret_entry)
{
	struct log_cursor *cursor = &wal->cursor;
	struct entry_header entry;
	const uint8_t *bytes;
	uint32_t end;
	int r;

	if (cursor->sequence == 0)
		replay_begin(wal);
	for (;;) {
		while (cursor->entry_left == 0) {
			r = replay_record(wal);
			if (r <= 0)
				return r;
		}
		bytes = cursor->record + cursor->entry_at;
		end = cursor->header.payload + cursor->header.payload_size;
		if (entry_check(bytes, end - cursor->entry_at, &entry) < 0)
			return WAL_EDAMAGED;
		cursor->entry_at += entry_size(entry.size);
		cursor->entry_left--;
		if (replay_counts(wal, &entry))
			break;
	}
	if (entry.index != cursor->next_index)
		return WAL_EDAMAGED;
	cursor->next_index++;
	ret_entry->index = entry.index;
	ret_entry->term = entry.term;
	ret_entry->kind = entry.kind;
	ret_entry->size = entry.size;
	ret_entry->data = bytes;
	return 1;
}
