/*
 * Replay: hands out what recovery found, reading it a second time, so that a
 * long log needs no memory but the window. The index leads from entry to
 * entry, so what a later record overwrote is passed over, and so is what the
 * snapshot holds.
 */
#include "raft/entry.h"
#include "wal/log.h"

#include <assert.h>

/* Goes to where the index says that the next entry is to be looked for. */
static int replay_seek(struct wal *wal)
{
	struct log_cursor *cursor = &wal->cursor;
	const struct log_mark *mark;

	mark = log_index_find(wal, cursor->next_index, &cursor->end_index);
	if (!mark)
		return WAL_EDAMAGED;
	cursor->segment = log_live(wal, mark->segment);
	assert(cursor->segment < wal->live_count);
	cursor->block = mark->block;
	cursor->sequence = mark->sequence;
	cursor->entry_left = 0;
	return 0;
}

/* Goes to the next record. */
static int replay_record(struct wal *wal)
{
	struct log_cursor *cursor = &wal->cursor;

	/* It was intact a moment ago. */
	if (cursor->block >= wal->live[cursor->segment].used ||
	    scan_record(wal, cursor, cursor->sequence) != SCAN_VALID)
		return WAL_EDAMAGED;
	cursor->block += cursor->header.frame.own;
	cursor->sequence++;
	cursor->entry_at = cursor->header.payload;
	cursor->entry_left = cursor->header.entry_count;
	return 0;
}

/* Finds the bytes of the next entry. */
static int replay_entry(struct wal *wal, struct entry_header *ret_entry,
			const uint8_t **ret_bytes)
{
	struct log_cursor *cursor = &wal->cursor;
	const uint8_t *bytes;
	uint32_t end;
	int r = 0;

	if (cursor->next_index >= cursor->end_index)
		r = replay_seek(wal);
	while (r == 0) {
		while (r == 0 && cursor->entry_left == 0)
			r = replay_record(wal);
		if (r < 0)
			return r;
		bytes = cursor->record + cursor->entry_at;
		end = cursor->header.payload + cursor->header.payload_size;
		if (entry_check(bytes, end - cursor->entry_at, ret_entry) < 0)
			return WAL_EDAMAGED;
		cursor->entry_at += entry_size(ret_entry->size);
		cursor->entry_left--;
		if (ret_entry->index < cursor->next_index)
			continue;
		if (ret_entry->index > cursor->next_index)
			return WAL_EDAMAGED;
		*ret_bytes = bytes;
		return 0;
	}
	return r;
}

int wal_replay_next(struct wal *wal, struct raft_entry *ret_entry)
{
	struct log_cursor *cursor = &wal->cursor;
	struct entry_header entry;
	const uint8_t *bytes;
	int r;

	if (cursor->next_index == 0)
		cursor->next_index = wal->newest.meta.index + 1;
	if (cursor->next_index > wal->last_index)
		return 0;
	r = replay_entry(wal, &entry, &bytes);
	if (r < 0)
		return r;
	cursor->next_index++;
	ret_entry->index = entry.index;
	ret_entry->term = entry.term;
	ret_entry->kind = entry.kind;
	ret_entry->size = entry.size;
	ret_entry->data = bytes;
	return 1;
}
