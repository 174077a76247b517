/*
 * Recovery: where the log ends, decided by evidence.
 *
 * The records are read in order, segment by segment. Where the next one is
 * not found intact there are five cases:
 *
 *   clean    Nothing of this segment's use stands there, and nothing of it
 *            behind: the segment ends here. If it is the last one, so does
 *            the log.
 *   torn     A bad last record that was never acknowledged: nothing later is
 *            intact in any segment in use, and either the machine was started
 *            anew since `meta` was written (only that can tear a write that
 *            the kernel owns), or `meta` notes that this record failed. It is
 *            overwritten with zeros, and only then may `meta` learn of the
 *            new boot: until then a crash finds the same evidence again.
 *   damaged  Anything else. One write is in flight at a time, so a record was
 *            durable when a later one was begun, or when `meta` says so, or
 *            when no power was lost. Nothing is dropped silently.
 *   lost     Damaged, but accept_tail_loss says to go on: all from here on is
 *            overwritten with zeros, so that no evidence of it remains.
 *   missed   Damaged, but tolerate_damage says that other members have it: see
 *            wal/repair.c.
 *   covered  Damaged, but the next intact record with entries begins no later
 *            than right behind the snapshot: what the bad ones held is in that,
 *            or was overwritten. The log goes on there.
 *
 * Stale records of an earlier use of a segment have another salt, and are as
 * good as zeros.
 */
#include "raft/entry.h"
#include "wal/log.h"
#include "wal/text.h"

#include <assert.h>

/* ---- what a record says ---- */

/* Whether the record under the cursor holds what its header says. */
static bool recover_is_sound(const struct log_cursor *cursor)
{
	const struct record_header *header = &cursor->header;
	const uint8_t *payload = cursor->record + header->payload;
	struct entry_header entry;
	uint32_t at = 0;
	uint32_t i;
	int r;

	for (i = 0; i < header->entry_count; i++) {
		r = entry_check(payload + at, header->payload_size - at,
				&entry);
		if (r < 0 || entry.index != header->first_index + i)
			return false;
		at += entry_size(entry.size);
	}
	return at == header->payload_size;
}

/* Takes in its entries: 0, -EBADMSG when they cannot follow, or an error. */
static int recover_entries(struct wal *wal, const struct log_cursor *cursor)
{
	const struct record_header *header = &cursor->header;
	const uint8_t *payload = cursor->record + header->payload;
	uint64_t covered = wal->keeper.meta.snapshot.index;
	struct log_mark mark = {.index = header->first_index};
	struct entry_header entry;
	uint32_t at = 0;

	if (mark.index > wal->last_index + 1 && mark.index > covered + 1)
		return -EBADMSG;
	if (wal->index.mark_count == LOG_MARKS_MAX)
		return log_where(wal, -E2BIG,
				 "record %llu: the log's tail was overwritten "
				 "too often without a snapshot",
				 (unsigned long long)header->sequence);
	mark.sequence = header->sequence;
	mark.segment = header->segment;
	mark.block = header->position;
	log_index_record(wal, &mark);
	for (; at < header->payload_size; at += entry_size(entry.size)) {
		memcpy(&entry, payload + at, sizeof(entry));
		log_index_term(wal, entry.index, entry.term);
	}
	wal->last_index = header->last_index;
	return 0;
}

/* Takes in the record under the cursor: the same returns. */
static int recover_record(struct wal *wal, struct log_cursor *cursor)
{
	const struct record_header *header = &cursor->header;
	struct segment *segment = &wal->live[cursor->segment];
	int r = 0;

	if (!recover_is_sound(cursor))
		return -EBADMSG;
	/* A snapshot that was received took the place of all before it. */
	if (header->entry_count > 0 &&
	    header->sequence >= wal->keeper.meta.void_before) {
		r = recover_entries(wal, cursor);
		if (r < 0)
			return r;
		if (header->last_index > segment->last_index)
			segment->last_index = header->last_index;
		if (header->last_index > wal->keeper.meta.snapshot.index)
			wal->log_bytes +=
				(uint64_t)header->frame.own * DISK_BLOCK;
	}
	wal->hard.term = header->term;
	wal->hard.vote = header->vote;
	wal->hard.commit = header->commit;
	wal->read_commit = header->commit;
	return 0;
}

/* ---- the walk ---- */

/* Says what is damaged, or goes on without it if that is accepted. */
static int recover_damaged(struct wal *wal, const struct log_stop *stop,
			   const char *what)
{
	char later[48] = "";
	uint32_t number = 0;
	int r;

	if (stop->later > 0)
		text_format(later, sizeof(later), " (record %llu is whole)",
			    (unsigned long long)stop->later);
	if (stop->segment < wal->live_count)
		number = wal->live[stop->segment].number;
	r = log_where(
		wal, WAL_EDAMAGED,
		"segment-%08x at byte %llu: record %llu %s%s; %s", number,
		(unsigned long long)stop->block * DISK_BLOCK,
		(unsigned long long)wal->next_sequence, what, later,
		wal->options.tolerate_damage
			? "it and all after it is to come from another member"
			: "keep a copy; accept_tail_loss drops it and all "
			  "after it");
	if (wal->options.accept_tail_loss)
		return log_cut_lost(wal, stop);
	if (!wal->options.tolerate_damage)
		return r;
	log_fill_find(wal, stop);
	return log_repair_found(wal, stop);
}

/* Segment `i` must be `due` and go on where the log is. NULL: it does. */
static const char *recover_disorder(const struct wal *wal, uint32_t i,
				    uint64_t due)
{
	const struct segment *segment = &wal->live[i];

	if (segment->segment != due)
		return "is missing: a segment of the log is not there";
	if (i > 0 && segment->first_sequence != wal->next_sequence)
		return "is missing: the next segment begins with another";
	return NULL;
}

/* Reads a segment to where it stops: a scan_result, or an error. */
static int recover_segment(struct wal *wal, struct log_cursor *cursor)
{
	struct segment *segment = &wal->live[cursor->segment];
	int result;
	int r;

	segment->used = cursor->block;
	for (;;) {
		if (log_gap_at(wal, wal->next_sequence))
			return SCAN_SKIPPED;
		result = scan_record(wal, cursor, wal->next_sequence);
		if (result != SCAN_VALID)
			return result;
		r = recover_record(wal, cursor);
		if (r < 0)
			return r == -EBADMSG ? SCAN_BAD_ENTRY : r;
		wal->next_sequence++;
		wal->report->records++;
		cursor->block += cursor->header.frame.own;
		segment->used = cursor->block;
	}
}

/* The log stops at the last segment: 0 when that is its clean end. */
static int recover_last(struct wal *wal, struct log_stop *stop, int result)
{
	const struct meta *meta = &wal->keeper.meta;
	bool durable = wal->next_sequence <= meta->durable_sequence;
	bool rebooted =
		memcmp(meta->boot_id, wal->boot_id, sizeof(meta->boot_id)) != 0;
	bool failed = meta->failed_sequence == wal->next_sequence;

	if (result == SCAN_END && stop->block > 1) {
		if (wal->live[stop->segment].segment == wal->damage.cut_segment)
			return recover_damaged(wal, stop,
					       "may be missing, and others: "
					       "the file was cut short");
		if (durable)
			return recover_damaged(wal, stop,
					       "is missing, but was durable");
		return 0;
	}
	if (durable)
		return recover_damaged(wal, stop, "is bad, but was durable");
	if (stop->segment == 0 && stop->block == 1)
		return recover_damaged(wal, stop,
				       "is bad, the first one of the log");
	if (!rebooted && !failed) {
		stop->proof = wal->next_sequence;
		return recover_damaged(wal, stop,
				       "is bad, and the machine ran on since");
	}
	return log_cut_torn(wal, stop);
}

/* Nothing that was before the intact record at `header` is needed. */
static bool recover_is_covered(struct wal *wal, const struct segment *segment,
			       const struct record_header *header)
{
	uint64_t covered = wal->keeper.meta.snapshot.index;
	struct record_header next = *header;

	while (next.entry_count == 0) {
		if (!scan_evidence(wal, segment, next.position + next.frame.own,
				   next.sequence, &next))
			return false;
	}
	return next.first_index <= covered + 1;
}

/* The log goes on with the record at `header`: 1. */
static int recover_pass(struct wal *wal, struct log_cursor *cursor,
			const struct record_header *header)
{
	const struct segment *segment = &wal->live[cursor->segment];
	uint64_t sequence = wal->next_sequence;
	uint32_t block = cursor->block;

	log_index_void(wal, 0);
	wal->last_index = 0;
	wal->next_sequence = header->sequence;
	scan_reset(cursor);
	cursor->block = header->position;
	return log_where(wal, 1,
			 "segment-%08x at byte %llu: record %llu is bad or "
			 "missing, and the snapshot has what was in it",
			 segment->number,
			 (unsigned long long)block * DISK_BLOCK,
			 (unsigned long long)sequence);
}

/* A segment was read to where it stops: 1 to go on at the cursor. */
static int recover_judge(struct wal *wal, struct log_stop *stop, int result,
			 struct log_cursor *cursor)
{
	struct segment *segment = &wal->live[stop->segment];
	bool last = stop->segment + 1 == wal->live_count;
	struct record_header header;

	if (result == SCAN_FUTURE)
		return log_where(wal, WAL_EFUTURE,
				 "segment-%08x at byte %llu: a record of a "
				 "newer format",
				 segment->number,
				 (unsigned long long)stop->block * DISK_BLOCK);
	if (result == SCAN_BAD_ENTRY)
		return recover_damaged(wal, stop, "holds a bad entry");
	if (scan_evidence(wal, segment, stop->block, wal->next_sequence,
			  &header)) {
		if (header.position > stop->block &&
		    recover_is_covered(wal, segment, &header))
			return recover_pass(wal, cursor, &header);
		stop->later = header.sequence;
		return recover_damaged(wal, stop, "is bad or missing");
	}
	if (last)
		return recover_last(wal, stop, result);
	if (result == SCAN_END && stop->block > 1) {
		scan_reset(cursor);
		cursor->segment++;
		cursor->block = 1;
		return 1;
	}
	return recover_damaged(wal, stop, "is bad, in the middle of the log");
}

/*
 * Records are missing here, which may have overwritten what is before them.
 * If that ends before the snapshot, or has another entry at its index, nothing
 * of it is what the snapshot was cut from.
 */
static void recover_break(struct wal *wal)
{
	const struct meta_snapshot *covered = &wal->keeper.meta.snapshot;
	uint64_t term = log_index_term_of(wal, covered->index);

	if (wal->last_index >= covered->index &&
	    (term == 0 || term == covered->term))
		return;
	log_index_void(wal, 0);
	wal->last_index = 0;
}

/*
 * Passes over gaps, to the segment that the log went on in: 1; 0 when the log
 * ends with a gap; or an error.
 */
static int recover_skip(struct wal *wal, struct log_cursor *cursor,
			uint64_t *due)
{
	struct log_stop end = {.segment = wal->live_count, .block = 1};
	const struct meta_gap *gap;
	uint32_t i;

	while ((gap = log_gap_at(wal, wal->next_sequence)))
		wal->next_sequence = gap->resume;
	if (!log_gap_ends(wal, wal->next_sequence))
		return 1;
	recover_break(wal);
	for (i = cursor->segment; i < wal->live_count; i++) {
		if (wal->live[i].first_sequence != wal->next_sequence)
			continue;
		cursor->segment = i;
		cursor->block = 1;
		*due = wal->live[i].segment;
		scan_reset(cursor);
		return 1;
	}
	if (wal->next_sequence <= wal->keeper.meta.durable_sequence)
		return recover_damaged(wal, &end,
				       "is missing, but was durable");
	return 0;
}

static int recover_walk(struct wal *wal)
{
	struct log_cursor cursor = {.window_file = -1, .block = 1};
	struct log_stop stop = {.block = 1};
	uint32_t before;
	uint64_t due = wal->keeper.meta.first_segment;
	const char *disorder;
	int r;

	if (wal->live_count == 0)
		return recover_damaged(
			wal, &stop, "is missing with its segment, the first");
	wal->next_sequence = wal->live[0].first_sequence;
	for (;;) {
		r = recover_skip(wal, &cursor, &due);
		if (r <= 0)
			return r;
		/* The last segment is always judged. */
		assert(cursor.segment < wal->live_count);
		disorder = recover_disorder(wal, cursor.segment, due);
		if (disorder && cursor.block == 1)
			return recover_damaged(wal, &stop, disorder);
		r = recover_segment(wal, &cursor);
		if (r < 0)
			return r;
		if (r == SCAN_SKIPPED)
			continue;
		stop.segment = cursor.segment;
		stop.block = wal->live[cursor.segment].used;
		before = cursor.segment;
		r = recover_judge(wal, &stop, r, &cursor);
		if (r <= 0)
			return r;
		due += cursor.segment - before;
	}
}

/* What `meta` knows of the hard state, when the records know less. */
static void recover_hard(struct wal *wal)
{
	const struct meta *meta = &wal->keeper.meta;
	struct raft_hard_state *hard = &wal->hard;

	if (meta->term > hard->term) {
		hard->term = meta->term;
		hard->vote = meta->vote;
	}
	/* A snapshot that was received may be named before the term is known. */
	if (meta->snapshot.term > hard->term) {
		hard->term = meta->snapshot.term;
		hard->vote = 0;
	}
	if (meta->term == hard->term && hard->vote == 0)
		hard->vote = meta->vote;
	if (meta->commit > hard->commit)
		hard->commit = meta->commit;
	/* After a loss that was accepted. */
	if (hard->commit > wal->last_index)
		hard->commit = wal->last_index;
}

/* Whether the log fills the gap that a snapshot which is damaged leaves. */
static bool recover_reaches(const struct wal *wal)
{
	const struct meta_snapshot *due = &wal->must_reach;

	return due->index == 0 ||
	       log_index_term_of(wal, due->index) == due->term;
}

/* Where the log ends, and what the hard state is at least. */
static void recover_end(struct wal *wal)
{
	const struct meta_snapshot *covered = &wal->keeper.meta.snapshot;

	if (wal->damage.found)
		recover_break(wal);
	if (wal->last_index < covered->index)
		wal->last_index = covered->index;
	if (wal->hard.commit < covered->index)
		wal->hard.commit = covered->index;
	recover_hard(wal);
	wal->promised = wal->hard;
	wal->durable_index = wal->last_index;
	wal->durable_term = covered->term;
	if (wal->last_index > covered->index)
		wal->durable_term = log_index_term_of(wal, wal->last_index);
}

/* What was damaged once may be missing still. */
static int recover_missing(struct wal *wal)
{
	struct meta *meta = &wal->keeper.meta;

	log_repair_check(wal);
	if (meta->damaged_last == 0 || wal->options.tolerate_damage)
		return 0;
	if (!wal->options.accept_tail_loss)
		return log_where(wal, WAL_EDAMAGED,
				 "meta: entries behind %llu that were damaged "
				 "did not all come back from other members; "
				 "accept_tail_loss goes on without them",
				 (unsigned long long)wal->last_index);
	meta->damaged_last = 0;
	meta->damaged_term = 0;
	return 0;
}

int log_recover(struct wal *wal)
{
	int r;

	wal->durable_sequence = wal->keeper.meta.durable_sequence;
	wal->next_sequence = wal->durable_sequence + 1;
	r = recover_walk(wal);
	/* The snapshot's fault was noted. */
	if (r == 0 && !recover_reaches(wal))
		r = wal->options.tolerate_damage ? log_repair_all(wal)
						 : WAL_EDAMAGED;
	if (r < 0)
		return r;
	recover_end(wal);
	if (wal->damage.found)
		return log_repair_open(wal);
	r = recover_missing(wal);
	if (r < 0)
		return r;
	wal->durable_sequence = wal->next_sequence - 1;
	wal->durable_segment = log_tail(wal)->segment;
	wal->keeper.meta.first_segment = wal->live[0].segment;
	wal->fresh_segment = log_gap_ends(wal, wal->next_sequence);
	log_gaps_trim(wal, wal->live[0].first_sequence, UINT64_MAX);
	/* What comes next counts, even where a record was cut off. */
	if (wal->keeper.meta.void_before > wal->next_sequence)
		wal->keeper.meta.void_before = wal->next_sequence;
	return log_keep_ready(wal);
}
