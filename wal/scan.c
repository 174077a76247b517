/*
 * Reading segments back: a window of blocks, and judgement of what stands at
 * one place. A block that cannot be read is as bad as one whose checksum is
 * wrong.
 */
#include "wal/log.h"

#include <assert.h>

void scan_reset(struct log_cursor *cursor)
{
	cursor->window_file = -1;
	cursor->record = NULL;
}

/* Fills the window from `block` on; it is halved until the disk can read. */
static const uint8_t *scan_fill(struct wal *wal, struct log_cursor *cursor,
				const struct segment *segment, uint32_t block)
{
	uint32_t count = segment->blocks - block;
	int r;

	if (count > wal->window_blocks)
		count = wal->window_blocks;
	cursor->window_file = -1;
	for (; count > 0; count /= 2) {
		r = disk_read_now(wal->disk, segment->file,
				  (uint64_t)block * DISK_BLOCK, wal->window,
				  count * DISK_BLOCK);
		if (r == 0)
			break;
	}
	if (count == 0)
		return NULL;
	cursor->window_file = segment->file;
	cursor->window_block = block;
	cursor->window_count = count;
	return wal->window;
}

const uint8_t *scan_block(struct wal *wal, struct log_cursor *cursor,
			  const struct segment *segment, uint32_t block)
{
	assert(block < segment->blocks);
	if (cursor->window_file == segment->file &&
	    block >= cursor->window_block &&
	    block - cursor->window_block < cursor->window_count)
		return wal->window +
		       (size_t)(block - cursor->window_block) * DISK_BLOCK;
	return scan_fill(wal, cursor, segment, block);
}

/* The whole record in one piece, or NULL when a part cannot be read. */
static const uint8_t *scan_whole(struct wal *wal, struct log_cursor *cursor,
				 const struct segment *segment, uint32_t blocks)
{
	uint32_t last = cursor->block + blocks - 1;

	assert(blocks <= wal->window_blocks);
	if (last - cursor->window_block < cursor->window_count)
		return scan_block(wal, cursor, segment, cursor->block);
	if (!scan_fill(wal, cursor, segment, cursor->block) ||
	    cursor->window_count < blocks)
		return NULL;
	return wal->window;
}

static bool scan_is_ours(const struct wal *wal, const struct segment *segment,
			 const struct record_header *header)
{
	return header->salt == segment->salt &&
	       header->segment == segment->segment &&
	       header->member == wal->options.member &&
	       memcmp(header->cluster, wal->options.cluster,
		      sizeof(header->cluster)) == 0;
}

int scan_record(struct wal *wal, struct log_cursor *cursor, uint64_t sequence)
{
	const struct segment *segment = &wal->live[cursor->segment];
	struct record_header header;
	const uint8_t *record;
	bool resembles;
	int r;

	if (cursor->block >= segment->blocks)
		return SCAN_END;
	record = scan_block(wal, cursor, segment, cursor->block);
	if (!record)
		return SCAN_BAD;
	resembles = record_resembles(record, segment->segment, segment->salt,
				     sequence);
	r = record_check_header(record, &header);
	if (r < 0 && !resembles)
		return SCAN_END;
	if (r == WAL_EFUTURE)
		return SCAN_FUTURE;
	if (r < 0)
		return SCAN_BAD;
	if (!scan_is_ours(wal, segment, &header))
		return resembles ? SCAN_BAD : SCAN_END;
	if (header.sequence != sequence || header.position != cursor->block ||
	    header.frame.own > segment->blocks - cursor->block ||
	    header.frame.own > wal->window_blocks)
		return SCAN_BAD;
	record = scan_whole(wal, cursor, segment, header.frame.own);
	if (!record || record_bad_block(record, &header) >= 0)
		return SCAN_BAD;
	cursor->header = header;
	cursor->record = record;
	return SCAN_VALID;
}

bool scan_head(struct wal *wal, struct log_cursor *cursor,
	       const struct segment *segment, uint32_t block,
	       struct record_header *ret_header)
{
	const uint8_t *bytes = scan_block(wal, cursor, segment, block);

	return bytes && record_check_header(bytes, ret_header) == 0 &&
	       scan_is_ours(wal, segment, ret_header);
}

bool scan_evidence(struct wal *wal, const struct segment *segment,
		   uint32_t block, uint64_t sequence,
		   struct record_header *ret_header)
{
	struct log_cursor cursor = {.window_file = -1};
	uint64_t least = sequence + 1;
	struct record_header header;

	for (; block < segment->blocks; block++, least = sequence) {
		if (!scan_head(wal, &cursor, segment, block, &header) ||
		    header.sequence < least)
			continue;
		*ret_header = header;
		return true;
	}
	return false;
}
