/*
 * Segments: the files that records lie in.
 *
 * A segment file is called `segment-` and eight hex digits, a name that it
 * keeps for life. It is filled with zeros when it is made, and later used
 * again and again from its start, without any change of its size or name; so
 * a write never changes what the file system knows of it. Names are hints:
 * where a segment stands in the log's order, and whether it is in use at all,
 * its first block says:
 *
 *   0  frame (wal/frame.h), `own` is the number of blocks of the file
 *      the checksum covers bytes 4 to 4,096
 *  16  u8[16]  cluster
 *  32  u64     member
 *  40  u64     segment         1, 2, 3, ... in the order of use
 *  48  u64     salt            new for each use; in each checksum of a record
 *  56  u64     first_sequence  of its first record
 *  64  u64     first_index     of its first entry; 0: its first record has none
 *  72  zeros
 *
 * The block is written by the same write as the first record, which follows
 * it. What lies behind the last record is zeros, or records of an earlier
 * use, whose salt is another. Every record repeats segment, salt, cluster and
 * member, so a damaged header block is made good from the first record.
 */
#ifndef WAL_SEGMENT_H
#define WAL_SEGMENT_H

#include "wal/frame.h"

struct segment_header {
	struct frame frame; /* own: block_count */
	uint8_t cluster[16];
	uint64_t member;
	uint64_t segment;
	uint64_t salt;
	uint64_t first_sequence;
	uint64_t first_index;
};

_Static_assert(sizeof(struct segment_header) == 72, "segment");
_Static_assert(offsetof(struct segment_header, segment) == 40, "segment");

/* A segment file as the running log knows it. */
struct segment {
	int file; /* of wal/disk.h */
	uint32_t number; /* in its name */
	uint32_t blocks; /* of the file */
	uint32_t used; /* blocks in front that hold header and records */
	uint64_t segment; /* place in the log's order, 0: spare */
	uint64_t salt;
	uint64_t first_sequence;
	uint64_t last_index; /* highest index of an entry in it, 0: none */
};

/* Writes the first block (all fields but the frame are the caller's). */
void segment_seal(void *block, const struct segment_header *header);

/* 0, -EBADMSG or WAL_EFUTURE; on success *ret_header is a copy. */
int segment_check(const void *block, struct segment_header *ret_header)
	__attribute__((warn_unused_result));

/* The name of segment file `number`; `suffix` is "" or ".tmp". */
void segment_name(char ret_name[DISK_NAME_MAX], uint32_t number,
		  const char *suffix);

/* Whether `name` is a segment file's; then *ret_number is in it. */
bool segment_parse(const char *name, uint32_t *ret_number);

/* Whether `name` is left over from a file that was never finished. */
bool segment_is_leftover(const char *name);

#endif
