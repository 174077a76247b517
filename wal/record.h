/*
 * The record: what one disk write makes durable. It is 0..n sealed entries
 * and the hard state, in whole blocks that are never rewritten.
 *
 * Byte map, little-endian; the header takes 256 bytes:
 *
 *   0  frame (wal/frame.h), `own` is block_count
 *      the checksum covers the header and the table: bytes 4 to the payload
 *  16  u64      sequence      1, 2, 3, ... over all segments
 *  24  u64      durable       newest record known durable at submit
 *  32  u64      segment       the segment's number in the log's order
 *  40  u64      salt          the segment's
 *  48  u64      term          hard state: current term
 *  56  u64      vote          hard state: voted for, 0: nobody
 *  64  u64      commit        hard state: commit index
 *  72  u64      first_index   of the entries, 0: none
 *  80  u64      last_index    of the entries, 0: none
 *  88  u32      entry_count
 *  92  u32      payload_size  bytes of entries
 *  96  u32      payload       768 or 2,560: where the entries start
 * 100  u32      position      first block of the record in its segment
 * 104  u8[16]   cluster
 * 120  u64      member
 * 128  zeros
 * 256  u32[]    table: one checksum for each block, then zeros
 * 768 or 2,560  entries, back to back, then zeros to the end of the block
 *
 * A block's checksum is CRC32C over 24 bytes {salt u64, sequence u64, its
 * number in the segment u64} and then over the block; block 0 counts from the
 * payload on. So a block that is stale, of another record, or at a wrong
 * place is as bad as one with a flipped bit. A small payload offset serves up
 * to 128 blocks, the large one up to 576. The whole header lies in the first
 * 512 bytes, the unit that a power loss does not tear.
 */
#ifndef WAL_RECORD_H
#define WAL_RECORD_H

#include "wal/frame.h"

enum record_limits {
	RECORD_HEADER_SIZE = 256,
	RECORD_PAYLOAD_SMALL = RECORD_HEADER_SIZE + 4 * WAL_BLOCKS_SMALL,
	RECORD_PAYLOAD_LARGE = RECORD_HEADER_SIZE + 4 * WAL_BLOCKS_LARGE,
};

struct record_header {
	struct frame frame; /* own: block_count */
	uint64_t sequence;
	uint64_t durable;
	uint64_t segment;
	uint64_t salt;
	uint64_t term;
	uint64_t vote;
	uint64_t commit;
	uint64_t first_index;
	uint64_t last_index;
	uint32_t entry_count;
	uint32_t payload_size;
	uint32_t payload;
	uint32_t position;
	uint8_t cluster[16];
	uint64_t member;
	uint8_t zeros[128];
};

_Static_assert(sizeof(struct record_header) == RECORD_HEADER_SIZE, "record");
_Static_assert(offsetof(struct record_header, sequence) == 16, "record");
_Static_assert(offsetof(struct record_header, term) == 48, "record");
_Static_assert(offsetof(struct record_header, first_index) == 72, "record");
_Static_assert(offsetof(struct record_header, payload) == 96, "record");
_Static_assert(offsetof(struct record_header, cluster) == 104, "record");
_Static_assert(offsetof(struct record_header, zeros) == 128, "record");
_Static_assert(RECORD_PAYLOAD_SMALL == 768, "record");
_Static_assert(RECORD_PAYLOAD_LARGE == 2560, "record");

/* Blocks of a record whose entries start at `payload`. */
static inline uint32_t record_blocks(uint32_t payload, uint32_t payload_size)
{
	return (payload + payload_size + DISK_BLOCK - 1) / DISK_BLOCK;
}

/* Most bytes of entries that fit into `blocks` blocks. */
static inline uint32_t record_room(uint32_t payload, uint32_t blocks)
{
	return blocks * DISK_BLOCK - payload;
}

/*
 * Writes `header` (all fields but the frame are the caller's) in front of the
 * entries that lie at `record` + header->payload, zeroes what is padding, and
 * makes all checksums. One pass over the blocks.
 */
void record_seal(void *record, const struct record_header *header);

/*
 * Checks the header and table in the first block of a record, and that its
 * numbers agree with each other. 0, -EBADMSG, or WAL_EFUTURE. On success
 * *ret_header is a copy.
 */
int record_check_header(const void *block, struct record_header *ret_header)
	__attribute__((warn_unused_result));

/* Checks block `number` (0..) of the record that starts at `record`. */
bool record_check_block(const void *record, const struct record_header *header,
			uint32_t number);

/* Checks all blocks: -1, or the number of the first bad one. */
int record_bad_block(const void *record, const struct record_header *header)
	__attribute__((warn_unused_result));

/*
 * Whether a block that fails record_check_header() was written as the head of
 * record `sequence` in a segment: any one field may be damaged.
 */
bool record_resembles(const void *block, uint64_t segment, uint64_t salt,
		      uint64_t sequence);

#endif
