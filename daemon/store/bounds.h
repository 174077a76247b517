/*
 * Why memory cannot run out at apply, in numbers.
 *
 * Let Q be the largest quota that the mapping serves, a sixteenth of its
 * bytes. Each version is charged its blocks plus VERSION_FIXED (128 bytes),
 * and puts are refused when the charges would exceed the quota, so:
 *
 *  - versions in class c never need more than Q * b / (b + 128) bytes at a
 *    time, b being the size of its blocks; extents, which are part of a
 *    version, never more than Q;
 *  - there are never more than Q / 224 live keys (96 + 128 is the least
 *    charge), so never more tombstones, which deletes may add beyond the
 *    quota: each is one block of 96 bytes, whatever the key;
 *  - a leaf other than the rightmost holds at least TREE_LEAF_MIN keys, so
 *    nodes come to less than 60 bytes a key, and separators, of which each
 *    leaf has one, to one block for every 20 keys, in one of three classes;
 *  - the revision log has one entry for each version that is not compacted;
 *  - a session has one struct, at most one directory, and at most one block
 *    of records of each small size, or 32 of the largest.
 *
 * A class can hold on to its chunks after its objects are gone, when one
 * block in each stays; so the sum over all classes of what each may need at
 * any time is set aside for it (its peak), and never spent on anything else.
 * What is left of the mapping is the slack that compaction may lag behind.
 */
#ifndef DAEMON_STORE_BOUNDS_H
#define DAEMON_STORE_BOUNDS_H

#include "daemon/store/mapping.h"

enum bounds_limits {
	BOUNDS_ADDRESS_PER_QUOTA = 16,
	BOUNDS_ADDRESS_MIN = 64 << 20,
	BOUNDS_QUOTA_MIN = 1 << 20,
	/* Chunks that one slice of apply may take before it looks again. */
	BOUNDS_RESERVE = 48,
	/* Tombstones and live ones, as a multiple of the live ones. */
	BOUNDS_SESSIONS_FACTOR = 5,
};

/* Sessions that fit in `size` bytes at the very most: sizes their table. */
uint32_t bounds_sessions_table(uint64_t size);

/*
 * Sets the peak of each class. Returns how many live sessions the mapping
 * bears, whatever the setting says.
 */
uint32_t bounds_set(struct mapping *map);

#endif
