/*
 * One damaged record, written anew in its place.
 *
 * A member that was opened up to its damage waits for a leader, who sends the
 * rest. Where most members are damaged, each at another place, there may be
 * none, though each entry is whole somewhere. Then the record that is damaged
 * here is put together from the entries that another member has, and the log
 * is opened anew: what it comes to is judged by recovery alone.
 *
 *   where    Exactly one record is damaged, and it is known how many blocks it
 *            has: its own header says so, or the next intact one in the
 *            segment has the next sequence.
 *   what     If its own header is intact, so is the table with the checksums
 *            of its blocks: what is written has the same header and table, bit
 *            for bit. Else it had the entries from behind the last one before
 *            it to before the first one behind it. Whoever has that first one,
 *            of the same term, has the same log up to it (Raft, Log Matching);
 *            and that nothing before the damage was overwritten by it is known
 *            in the same way from the entry in front.
 *   as       Sequence, place and salt are the old ones, and so is the number of
 *            blocks. Term and vote are those of the next record, which was
 *            durable too, so nothing is said that was not promised; commit is
 *            that of the record before.
 *
 * Invariant: only the blocks of the damaged record are written, only with what
 * they held, and only while nothing is given up and nothing can be appended. So
 * a crash leaves a whole record or a damaged one, and recovery finds the same
 * log or the same damage. A write that fails is not tried again in this life.
 */
#include "raft/entry.h"
#include "wal/log.h"

#include <assert.h>

/* ---- where it is, and what it had ---- */

/* Where nothing was overwritten, the log goes on from the snapshot. */
static bool fill_connects(const struct wal *wal)
{
	const struct meta *meta = &wal->keeper.meta;
	uint64_t term = log_index_term_of(wal, meta->snapshot.index);

	return wal->next_sequence >= meta->void_before &&
	       wal->last_index >= meta->snapshot.index &&
	       (term == 0 || term == meta->snapshot.term);
}

/* The term of an entry before the damage; false: it is not known. */
static bool fill_term(const struct wal *wal, uint64_t index, uint64_t *ret_term)
{
	const struct meta_snapshot *covered = &wal->keeper.meta.snapshot;
	uint64_t term = log_index_term_of(wal, index);

	if (index > wal->last_index)
		return false;
	if (term == 0 && index == covered->index)
		term = covered->term;
	*ret_term = term;
	return index == 0 || term > 0;
}

/* Its own header is intact. */
static bool fill_by_head(struct wal *wal, struct log_cursor *cursor)
{
	const struct segment *segment = &wal->live[cursor->segment];
	struct record_header *header = &wal->fill.header;
	struct log_fill *fill = &wal->fill;

	if (!scan_head(wal, cursor, segment, cursor->block, header) ||
	    header->sequence != wal->next_sequence ||
	    header->position != cursor->block ||
	    header->frame.own > segment->blocks - cursor->block ||
	    header->frame.own >= wal->window_blocks)
		return false;
	memcpy(fill->head, scan_block(wal, cursor, segment, cursor->block),
	       header->payload);
	fill->headed = true;
	fill->blocks = header->frame.own;
	fill->hole = (struct wal_hole){.first = header->first_index,
				       .last = header->last_index};
	if (header->entry_count == 0) {
		fill->hole.first = wal->last_index + 1;
		fill->hole.last = wal->last_index;
	}
	return fill_term(wal, fill->hole.first - 1, &fill->hole.before_term);
}

/* The first intact header behind the damage, if it is the next record's. */
static bool fill_next(struct wal *wal, struct log_cursor *cursor,
		      struct record_header *ret_next)
{
	const struct segment *segment = &wal->live[cursor->segment];
	uint32_t end = cursor->block + WAL_BLOCKS_LARGE + 1;
	uint32_t block;

	if (end > segment->blocks)
		end = segment->blocks;
	for (block = cursor->block + 1; block < end; block++) {
		if (scan_head(wal, cursor, segment, block, ret_next))
			return ret_next->position == block &&
			       ret_next->sequence == wal->next_sequence + 1;
	}
	return false;
}

/* The first entry behind the damage; `next` is the record behind it. */
static bool fill_proof(struct wal *wal, struct log_cursor *cursor,
		       const struct record_header *next,
		       struct entry_header *ret_entry)
{
	const struct segment *segment = &wal->live[cursor->segment];
	struct record_header header = *next;
	uint64_t sequence = header.sequence;

	while (header.entry_count == 0) {
		cursor->block = header.position + header.frame.own;
		if (cursor->block >= segment->blocks ||
		    !scan_head(wal, cursor, segment, cursor->block, &header) ||
		    header.position != cursor->block ||
		    header.sequence != ++sequence)
			return false;
	}
	cursor->block = header.position;
	if (scan_record(wal, cursor, sequence) != SCAN_VALID)
		return false;
	return entry_check(cursor->record + header.payload, header.payload_size,
			   ret_entry) == 0 &&
	       ret_entry->index == header.first_index;
}

/* Its header is not, but the next record's is. */
static bool fill_by_next(struct wal *wal, struct log_cursor *cursor)
{
	struct segment segment = wal->live[cursor->segment];
	struct raft_hard_state hard = wal->hard;
	struct log_fill *fill = &wal->fill;
	struct wal_hole *hole = &fill->hole;
	struct record_header next;
	struct entry_header entry;

	segment.used = cursor->block;
	if (!fill_next(wal, cursor, &next))
		return false;
	fill->headed = false;
	fill->blocks = next.position - cursor->block;
	hard.term = next.term;
	hard.vote = next.vote;
	log_describe(wal, &segment, &hard, &fill->header);
	fill->header.durable = wal->next_sequence - 1;
	if (!fill_proof(wal, cursor, &next, &entry))
		return false;
	hole->first = wal->last_index + 1;
	if (hole->first > entry.index)
		hole->first = entry.index;
	hole->last = entry.index - 1;
	hole->proof_index = entry.index;
	hole->proof_term = entry.term;
	return fill->blocks < wal->window_blocks &&
	       (hole->first <= hole->last || fill->blocks == 1) &&
	       fill_term(wal, hole->first - 1, &hole->before_term) &&
	       hole->before_term <= hole->proof_term;
}

/* All is wanted, from the first entry on. */
static void fill_again(struct log_fill *fill)
{
	fill->left = fill->hole;
	fill->used = 0;
}

void log_fill_find(struct wal *wal, const struct log_stop *stop)
{
	struct log_cursor cursor = {.window_file = -1,
				    .segment = stop->segment,
				    .block = stop->block};
	struct log_fill *fill = &wal->fill;
	int result;

	log_fill_forget(wal);
	if (stop->segment >= wal->live_count || wal->report->records == 0 ||
	    stop->block >= wal->live[stop->segment].blocks ||
	    !fill_connects(wal))
		return;
	/* What is intact, and holds what cannot be, was written so. */
	result = scan_record(wal, &cursor, wal->next_sequence);
	if (result != SCAN_BAD && result != SCAN_END)
		return;
	if (!fill_by_head(wal, &cursor) && !fill_by_next(wal, &cursor))
		return;
	fill->file = wal->live[stop->segment].file;
	fill->state = FILL_OPEN;
	fill_again(fill);
}

void log_fill_forget(struct wal *wal)
{
	wal->fill.state = FILL_NONE;
	wal->fill.hole = (struct wal_hole){0};
}

bool log_fill_busy(const struct wal *wal)
{
	return wal->fill.state > FILL_OPEN;
}

/* ---- putting it together ---- */

/* Takes one entry; its bytes, or -EBADMSG. */
static int fill_take(struct wal *wal, const uint8_t *bytes, uint32_t size)
{
	struct log_fill *fill = &wal->fill;
	struct wal_hole *left = &fill->left;
	struct entry_header entry;
	uint32_t taken;

	if (entry_check(bytes, size, &entry) < 0)
		return -EBADMSG;
	taken = entry_size(entry.size);
	if (entry.index != left->first || left->first > left->last ||
	    entry.term < left->before_term || entry.term > fill->header.term ||
	    (left->proof_index > 0 && entry.term > left->proof_term) ||
	    taken > record_room(RECORD_PAYLOAD_SMALL, fill->blocks) -
			    fill->used)
		return -EBADMSG;
	memcpy(wal->window + RECORD_PAYLOAD_LARGE + fill->used, bytes, taken);
	fill->used += taken;
	left->first++;
	left->before_term = entry.term;
	return (int)taken;
}

static bool fill_fits(const struct log_fill *fill, uint32_t payload)
{
	return record_blocks(payload, fill->used) == fill->blocks &&
	       fill->blocks <= (payload - RECORD_HEADER_SIZE) / 4;
}

/* The record stands in the window as it is to be on the disk; or false. */
static bool fill_seal(struct wal *wal)
{
	struct log_fill *fill = &wal->fill;
	struct record_header header = fill->header;

	if (!fill->headed) {
		if (!fill_fits(fill, header.payload))
			header.payload = RECORD_PAYLOAD_LARGE;
		if (fill->used > 0) {
			header.first_index = fill->hole.first;
			header.last_index = fill->hole.last;
		}
		header.entry_count =
			(uint32_t)(fill->hole.last + 1 - fill->hole.first);
		header.payload_size = fill->used;
	}
	if (!fill_fits(fill, header.payload) ||
	    header.payload_size != fill->used)
		return false;
	memmove(wal->window + header.payload,
		wal->window + RECORD_PAYLOAD_LARGE, fill->used);
	record_seal(wal->window, &header);
	if (fill->headed)
		return memcmp(wal->window, fill->head, header.payload) == 0;
	memcpy(fill->head, wal->window, header.payload);
	return true;
}

static void fill_submit(struct wal *wal, enum fill_state state)
{
	struct disk_op *op = &wal->fill.op;

	wal->fill.state = (uint8_t)state;
	op->kind = state == FILL_WRITE ? DISK_WRITE_DURABLE : DISK_READ;
	op->file = wal->fill.file;
	op->offset = (uint64_t)wal->fill.header.position * DISK_BLOCK;
	op->buffer = wal->window;
	op->size = wal->fill.blocks * DISK_BLOCK;
	disk_submit(wal->disk, op);
	disk_flush(wal->disk);
}

int wal_fill(struct wal *wal, const void *entries, uint32_t size)
{
	struct log_fill *fill = &wal->fill;
	const uint8_t *bytes = entries;
	uint32_t at = 0;
	int taken = 0;

	assert(wal->damage.found && !wal->damage.asked);
	assert(fill->state == FILL_OPEN);
	while (at < size && taken >= 0) {
		taken = fill_take(wal, bytes + at, size - at);
		at += taken > 0 ? (uint32_t)taken : 0;
	}
	if (taken >= 0 && fill->left.first <= fill->left.last)
		return 0;
	if (taken < 0 || !fill_seal(wal)) {
		fill_again(fill);
		return -EBADMSG;
	}
	fill_submit(wal, FILL_WRITE);
	return 0;
}

/* ---- on the disk ---- */

/* What was read back is what was written. */
static bool fill_holds(const struct wal *wal)
{
	struct record_header header;

	if (record_check_header(wal->window, &header) != 0 ||
	    header.frame.own != wal->fill.blocks)
		return false;
	return memcmp(wal->window, wal->fill.head, header.payload) == 0 &&
	       record_bad_block(wal->window, &header) < 0;
}

void log_fill_done(struct wal *wal)
{
	struct log_fill *fill = &wal->fill;

	assert(fill->state == FILL_WRITE || fill->state == FILL_READ);
	if (fill->op.result != (int32_t)fill->op.size) {
		log_fill_forget(wal);
		return;
	}
	if (fill->state == FILL_WRITE) {
		memset(wal->window, 0, fill->op.size);
		fill_submit(wal, FILL_READ);
		return;
	}
	if (fill_holds(wal))
		fill->state = FILL_DONE;
	else
		log_fill_forget(wal);
}

bool wal_hole(const struct wal *wal, struct wal_hole *ret_hole)
{
	if (!wal->damage.found || wal->damage.asked || wal->failed ||
	    wal->fill.state != FILL_OPEN)
		return false;
	*ret_hole = wal->fill.left;
	return true;
}

bool wal_filled(const struct wal *wal)
{
	return wal->fill.state == FILL_DONE;
}
