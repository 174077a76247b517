/*
 * Cutting the end of the log off: a torn record, or, where that is accepted,
 * everything from a damaged one on. What is cut off is overwritten with
 * zeros, so that no evidence of it remains; a segment of which nothing is
 * left becomes a spare.
 */
#include "wal/log.h"

#include <assert.h>

static int cut_zero(struct wal *wal, const struct segment *segment,
		    uint32_t from, uint32_t to)
{
	uint32_t most = wal->fill_size / DISK_BLOCK;
	uint32_t count;
	int r;

	for (; from < to; from += count) {
		count = to - from < most ? to - from : most;
		r = disk_write_now(wal->disk, segment->file,
				   (uint64_t)from * DISK_BLOCK, wal->zeros,
				   count * DISK_BLOCK);
		if (r < 0)
			return log_where(wal, r,
					 "segment-%08x at byte %llu: cannot be "
					 "overwritten",
					 segment->number,
					 (unsigned long long)from * DISK_BLOCK);
	}
	return 0;
}

static uint32_t smaller_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The last segment in use becomes a spare. */
static void cut_drop_last(struct wal *wal)
{
	assert(wal->live_count > 0);
	log_pool_add(wal, &wal->live[--wal->live_count]);
}

int log_cut_torn(struct wal *wal, const struct log_stop *stop)
{
	struct segment *segment = &wal->live[stop->segment];
	uint32_t from = stop->block == 1 ? 0 : stop->block;
	uint32_t to = smaller_of(from + WAL_BLOCKS_LARGE + 1, segment->blocks);
	struct log_cursor cursor = {.window_file = -1};
	struct record_header header = {.frame = {.own = 1}};
	const uint8_t *block;
	int r;

	block = scan_block(wal, &cursor, segment, stop->block);
	if (!block || record_check_header(block, &header) < 0)
		header.frame.own = 1;
	wal->report->torn = true;
	wal->report->torn_blocks = header.frame.own;
	r = cut_zero(wal, segment, from, to);
	if (r == 0 && from == 0)
		cut_drop_last(wal);
	return r;
}

/* Finds out what is given up from here on. */
static void cut_count(struct wal *wal, const struct log_stop *stop)
{
	struct record_header header;
	uint64_t highest = wal->last_index;
	uint64_t sequence = wal->next_sequence - 1;
	uint32_t block = stop->block;
	uint32_t i;

	for (i = stop->segment; i < wal->live_count; i++, block = 1) {
		while (block < wal->live[i].blocks &&
		       scan_evidence(wal, &wal->live[i], block, sequence,
				     &header)) {
			if (header.last_index > highest)
				highest = header.last_index;
			sequence = header.sequence;
			block = header.position + 1;
		}
	}
	wal->report->dropped = highest - wal->last_index;
	wal->next_sequence = sequence + 1;
}

int log_cut_lost(struct wal *wal, const struct log_stop *stop)
{
	uint64_t sequence = wal->next_sequence;
	uint32_t from;
	int r;

	cut_count(wal, stop);
	log_gaps_trim(wal, 0, sequence);
	wal->keeper.meta.damaged_last = 0;
	wal->keeper.meta.damaged_term = 0;
	while (wal->live_count > stop->segment) {
		from = 0;
		if (wal->live_count == stop->segment + 1 && stop->block > 1)
			from = stop->block;
		r = cut_zero(wal, log_tail(wal), from, log_tail(wal)->blocks);
		if (r < 0)
			return r;
		if (from > 0)
			break;
		cut_drop_last(wal);
	}
	if (wal->live_count > 0) {
		wal->next_sequence = sequence;
		return 0;
	}
	/* Not even a first record is left: sequences go on behind them all. */
	if (wal->next_sequence <= wal->keeper.meta.durable_sequence)
		wal->next_sequence = wal->keeper.meta.durable_sequence + 1;
	return log_start_now(wal);
}
