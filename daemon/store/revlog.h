/*
 * The revision log: every version in the order in which it was made, so that
 * what happened since a revision is a scan, and compaction costs what is
 * obsolete, not what exists.
 *
 * Entries have positions that grow for ever; 256 of them are a segment, found
 * through a ring of offsets whose room was set aside at birth. An entry also
 * has the running total of what compaction up to it releases of the quota:
 * the version that it superseded, and itself when it is a tombstone. So a
 * compaction subtracts two totals, whatever it covers, and the charge is
 * released when the entry is applied, on every member alike, long before the
 * memory is.
 */
#ifndef DAEMON_STORE_REVLOG_H
#define DAEMON_STORE_REVLOG_H

#include "daemon/store/mapping.h"

enum revlog_limits {
	REVLOG_SEGMENT = 256,
};

struct revlog_entry {
	uint64_t version; /* offset */
	uint64_t released; /* total up to and including this one */
};

struct revlog {
	uint64_t first; /* position of the oldest entry that is kept */
	uint64_t next; /* position of the next one to come */
	uint64_t ring; /* offset of the ring of segments */
	uint64_t ring_size; /* segments in the ring */
};

/* Bytes that the ring needs in a mapping of `size` bytes. */
uint64_t revlog_ring_bytes(uint64_t size);

void revlog_init(struct revlog *log, uint64_t ring, uint64_t ring_bytes);

void revlog_push(struct mapping *map, struct revlog *log,
		 struct revlog_entry entry);

/* The entry at a position from `first` on. */
struct revlog_entry revlog_at(const struct mapping *map,
			      const struct revlog *log, uint64_t position);

/* Forgets the oldest entry. */
void revlog_drop(struct mapping *map, struct revlog *log);

/* The position of the first entry of a revision above `revision`. */
uint64_t revlog_after(const struct mapping *map, const struct revlog *log,
		      uint64_t revision);

#endif
