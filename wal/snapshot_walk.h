/*
 * A walk over a snapshot file, from its first byte to its last, in which every
 * byte is checked. Whoever walks does the reading: what is due, and where, is
 * asked for; what was read is taken in.
 */
#ifndef WAL_SNAPSHOT_WALK_H
#define WAL_SNAPSHOT_WALK_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "wal/snapshot.h"

struct snapshot_walk {
	XXH3_state_t root; /* aligned 64 */
	uint64_t size; /* of the file */
	uint64_t offset; /* of what is due */
	uint64_t chunk_count; /* that were taken */
	uint64_t image_size; /* in them */
	uint32_t piece; /* bytes of image in the chunk that was taken last */
	struct snapshot_header header; /* once it was taken */
	struct snapshot_footer footer;
};

/* Begins with a file of `size` bytes; -EBADMSG: none has that many. */
int snapshot_walk_begin(struct snapshot_walk *walk, uint64_t size)
	__attribute__((warn_unused_result));

/* Bytes that are due at walk->offset: at most WAL_CHUNK_SIZE; 0: it is over. */
uint32_t snapshot_walk_due(const struct snapshot_walk *walk);

/*
 * Takes what was due. 0, -EBADMSG, WAL_EFUTURE, or, of the footer, -EILSEQ:
 * each part is good, but not all of them are what was written. Behind the
 * footer all is known to be so: the walk is over. Of a chunk the image's
 * bytes begin at SNAPSHOT_CHUNK_HEADER, walk->piece of them; of the header the
 * head is at SNAPSHOT_HEAD_AT, header.frame.own bytes; else piece is 0.
 */
int snapshot_walk_take(struct snapshot_walk *walk, const uint8_t *bytes)
	__attribute__((warn_unused_result));

#endif
