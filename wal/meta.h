/*
 * The file `meta`: what a member must know before it can judge its log.
 *
 * It has four slots of 4 KiB. A version is written twice, by one write, into
 * slots 0 and 1 or into slots 2 and 3, in turn: so neither a torn write nor
 * one bad block takes the newest version away. The valid slot with the
 * highest version counts. It is written at start, when a snapshot is named,
 * when the log is truncated, when a segment is begun, and when term or vote
 * change; no acknowledgement waits for it but that of such a change.
 *
 * Byte map of a slot, little-endian:
 *
 *   0  frame (wal/frame.h), `own` is the state, 1: the folder is being made,
 *      2: ready; the checksum covers bytes 4 to 4,096
 *  16  u8[16]    cluster
 *  32  u64       member
 *  40  u64       version
 *  48  char[40]  boot_id          of the boot under which it last started
 *  88  u64       failed_sequence  this record's write failed; 0: none did
 *  96  u64       durable_sequence a record known durable: the log reaches it
 * 104  u64       first_segment    oldest in use; older ones are spares
 * 112  u64       newest_segment   one known begun
 * 120  u64       term             hard state, at least
 * 128  u64       vote
 * 136  u64       commit
 * 144  snapshot  named: {index, term, size, root low, root high}, 40 bytes
 * 184  snapshot  the one before, while its file exists
 * 224  u64       void_before      entries in records before this one do not
 *                count: a snapshot that was received replaced them; 0: none did
 * 232  u64       damaged_last     entries up to this one may be missing; 0: none,
 *                2^64 - 1: nobody knows up to which
 * 240  u64       damaged_term     highest term that they may have
 * 248  gap[4]    records that are skipped: {from, resume}, 16 bytes each: those
 *                from `from` on were damaged, and the log went on with the
 *                record `resume`, which begins a segment; 0, 0: none
 * 312  zeros
 *
 * durable_sequence is what tells a lost end of the log from its end.
 */
#ifndef WAL_META_H
#define WAL_META_H

#include "wal/frame.h"

enum meta_limits {
	META_SLOTS = 4,
	META_SIZE = META_SLOTS * DISK_BLOCK,
	META_PAIR_SIZE = 2 * DISK_BLOCK,
	META_BOOT_ID_SIZE = 40,
	META_GAPS = 4,
	META_MAKING = 1,
	META_READY = 2,
};

struct meta_snapshot {
	uint64_t index; /* 0: none */
	uint64_t term;
	uint64_t size; /* of the file */
	uint64_t root[2];
};

struct meta_gap {
	uint64_t from; /* 0: there is none */
	uint64_t resume;
};

struct meta {
	struct frame frame; /* own: state */
	uint8_t cluster[16];
	uint64_t member;
	uint64_t version;
	char boot_id[META_BOOT_ID_SIZE];
	uint64_t failed_sequence;
	uint64_t durable_sequence;
	uint64_t first_segment;
	uint64_t newest_segment;
	uint64_t term;
	uint64_t vote;
	uint64_t commit;
	struct meta_snapshot snapshot;
	struct meta_snapshot previous;
	uint64_t void_before;
	uint64_t damaged_last;
	uint64_t damaged_term;
	struct meta_gap gaps[META_GAPS];
};

_Static_assert(sizeof(struct meta) == 312, "meta");
_Static_assert(offsetof(struct meta, boot_id) == 48, "meta");
_Static_assert(offsetof(struct meta, term) == 120, "meta");
_Static_assert(offsetof(struct meta, snapshot) == 144, "meta");
_Static_assert(offsetof(struct meta, void_before) == 224, "meta");
_Static_assert(offsetof(struct meta, gaps) == 248, "meta");

/* Where version `version` is written. */
static inline uint64_t meta_offset(uint64_t version)
{
	return (version & 1) * META_PAIR_SIZE;
}

/* Writes both slots of a pair (all fields but the frame's are the caller's). */
void meta_seal(void *pair, const struct meta *meta);

/* What the four slots say. */
struct meta_view {
	bool found; /* `meta` is the newest valid slot */
	bool blank; /* all four are zeros */
	bool bad_pair; /* a pair has no valid slot and is not zeros */
	bool bad_slot; /* a slot is neither valid nor zeros */
	struct meta meta;
};

/* Looks at META_SIZE bytes. 0, or WAL_EFUTURE. */
int meta_choose(const void *slots, struct meta_view *ret_view)
	__attribute__((warn_unused_result));

#endif
