/*
 * The write-ahead log of one member: durable before it is acknowledged.
 *
 * The log is a sequence of records in zero-filled, recycled segments. A
 * record is 0..n sealed entries (raft/entry.h) and the hard state, in whole
 * 4 KiB blocks that are never rewritten; it becomes durable by one O_DIRECT
 * write. Its byte map stands in wal/record.h; segments in wal/segment.h; the
 * `meta` file in wal/meta.h; snapshot files in wal/snapshot.h.
 *
 * Life: wal_open() locks the folder, recovers by evidence and reports;
 * wal_replay_next() hands out what was recovered; then, in each turn of the
 * loop, wal_reap() takes in what the disk finished, and the owner asks for a
 * buffer (wal_buffer_open), lets entries be built in it, and closes it into a
 * record (wal_append). wal_work() keeps the pool of spare segments, the
 * snapshot file and truncation moving, and never blocks. A failed write is
 * never retried: wal_failed() stays set, nothing is acknowledged any more.
 *
 * One record is in flight at a time; what arrives meanwhile joins the next.
 */
#ifndef WAL_WAL_H
#define WAL_WAL_H

#include "raft/raft.h"
#include "wal/disk.h"

enum wal_limits {
	WAL_SEGMENT_SIZE = 64 << 20,
	WAL_BLOCKS_SMALL = 128, /* payload from byte 768 */
	WAL_BLOCKS_LARGE = 576, /* payload from byte 2,560 */
	WAL_BUFFERS_MAX = 64,
	WAL_CHUNK_SIZE = 1 << 20, /* of a snapshot file */
	WAL_FETCHES = 8, /* reads under way for members that lag */
	WAL_HEAD_MAX = 3072, /* bytes of a snapshot's opaque head */
	WAL_WHERE_MAX = 256,
	WAL_SEAL_NS = 10 * 1000 * 1000, /* of quiet before the end is sealed */
};

enum wal_error {
	WAL_EDAMAGED = -3001, /* acknowledged data is damaged; see `where` */
	WAL_EFOREIGN = -3002, /* the folder belongs to another cluster/member */
	WAL_EFUTURE = -3003, /* written by a newer format */
	WAL_EOWNED = -3004, /* another daemon owns the folder */
	WAL_ENODIRECT = -3005, /* the file system refuses O_DIRECT */
	WAL_EFULL = -3006, /* no space to make the first segments */
	WAL_EFAILED = -3007, /* an earlier write failed; nothing goes on */
};

struct wal_options {
	uint8_t cluster[16];
	uint64_t member;
	uint64_t seed; /* of segment salts */
	uint32_t segment_size; /* WAL_SEGMENT_SIZE, less in tests */
	uint32_t spares_min; /* fresh segments kept ready, at least 1 */
	uint32_t buffers; /* record buffers of the large kind */
	uint32_t fetches; /* reads at once, 0: WAL_FETCHES, the most */
	uint64_t snapshot_after; /* bytes of log that make one due */
	bool accept_tail_loss; /* go on past damage, at one's own risk */
	bool tolerate_damage; /* other members have it: see wal_repair() */
	bool create; /* false: an empty folder is an error */
};

/*
 * What recovery found; `where` names file and offset for a person. With a
 * result of 0 a `where` that is not empty tells what was found damaged and
 * was done without: a snapshot, or what accept_tail_loss or tolerate_damage
 * passed over.
 */
struct wal_report {
	bool fresh; /* the folder was empty */
	bool torn; /* a torn tail was cut off */
	bool waited; /* a dead owner's writes were waited for */
	uint64_t torn_blocks;
	uint64_t dropped; /* entries given up with accept_tail_loss */
	bool damaged; /* see wal_damaged() */
	uint64_t damaged_first;
	uint64_t damaged_last;
	/* With damage, `commit` is what is known of the entries that are left. */
	struct raft_hard_state hard;
	uint64_t snapshot_index; /* 0: none */
	uint64_t snapshot_term;
	uint64_t first_index; /* of the entries after the snapshot; 0: none */
	uint64_t last_index;
	uint64_t records;
	char where[WAL_WHERE_MAX];
};

struct wal;

/*
 * Opens the log in `disk`'s folder. On an error *ret_report still says where.
 * `memory` comes from wal_memory_size(), aligned 4096, lent for the log's
 * life. Blocks; not for the loop.
 */
size_t wal_memory_size(const struct wal_options *options);
int wal_open(struct wal **ret_wal, struct disk *disk,
	     const struct wal_options *options, void *memory,
	     struct wal_report *ret_report) __attribute__((warn_unused_result));

/* Closes files; durable state needs nothing from it. */
void wal_close(struct wal *wal);

/*
 * After wal_open(): recovered entries in index order, from the one after the
 * snapshot. 1 and an entry whose data is lent until the next call; 0 at the
 * end; or an error. Overwritten entries (Raft's conflicts) never appear.
 * Replay ends before the first wal_work(), which may move segments.
 */
int wal_replay_next(struct wal *wal, struct raft_entry *ret_entry)
	__attribute__((warn_unused_result));

/*
 * After wal_open(): the image of the recovered snapshot, in pieces: 1 and a
 * piece lent until the next call, 0 at the end, or an error. `head` is what
 * wal_snapshot_begin() was given. Ends before the first wal_snapshot_begin().
 */
int wal_snapshot_head(struct wal *wal, void *head, uint32_t room,
		      uint32_t *ret_size) __attribute__((warn_unused_result));
int wal_snapshot_read(struct wal *wal, const void **ret_piece,
		      uint32_t *ret_size) __attribute__((warn_unused_result));

/* ---- record buffers ---- */

/*
 * A buffer in which sealed entries are built, back to back, where they will
 * lie on disk. It is held by its builder and by wal (while it is written);
 * entries in it stay readable until wal_buffer_release() was called as often
 * as wal_buffer_open() and wal_buffer_hold().
 */
struct wal_buffer {
	uint8_t *payload; /* where the first entry starts */
	uint32_t used; /* bytes of whole entries so far; the owner's */
	uint32_t room; /* bytes in all */
	uint32_t holds; /* wal's own */
	uint32_t id; /* wal's own */
};

/*
 * Bytes of the largest entry that a record of this log has room for, and so
 * the largest hint that can ever be met.
 */
uint32_t wal_buffer_max(const struct wal *wal);

/*
 * Opens a buffer for about `hint` bytes of entries; more than the small
 * kind's room gives the large kind. NULL: none is free now.
 */
struct wal_buffer *wal_buffer_open(struct wal *wal, uint32_t hint);
uint32_t wal_buffers_free(const struct wal *wal);
void wal_buffer_hold(struct wal *wal, struct wal_buffer *buffer);
void wal_buffer_release(struct wal *wal, struct wal_buffer *buffer);

/* ---- in the loop ---- */

/*
 * A record can be taken now: none is in flight, no snapshot is just taking the
 * log's place, no damage waits for wal_repair(), and there is room for a record of any size. wal_append() itself
 * gives -ENOSPC only where this is false.
 */
bool wal_can_append(const struct wal *wal);

/*
 * Writes one record: hard state, and the entries in `buffer` (NULL: none)
 * with indexes first..last (0, 0: none), already stamped. `number` is the
 * ready's; wal_reap() gives it back when the record is durable.
 */
int wal_append(struct wal *wal, struct wal_buffer *buffer,
	       const struct raft_hard_state *hard, uint64_t first,
	       uint64_t last, uint64_t number)
	__attribute__((warn_unused_result));

/* What became durable: tell raft_persisted(number, index, term). */
struct wal_done {
	uint64_t number;
	uint64_t index; /* 0: hard state alone */
	uint64_t term;
};

/*
 * Takes in what the disk finished; 1 and *ret_done for each record that
 * became durable (ask again), 0: no more, WAL_EFAILED: the log has failed.
 * After a failure go on calling it until wal_idle() says that the failure was
 * noted, or for as long as there is patience; then end the process.
 */
int wal_reap(struct wal *wal, struct wal_done *ret_done)
	__attribute__((warn_unused_result));

/* Pool, snapshot file, truncation: submits at most a few operations. */
void wal_work(struct wal *wal);

/*
 * Tells the time (CLOCK_MONOTONIC): call in each turn, before all else.
 * wal_next_ns(): when wal_work() has something to do that no completion
 * announces, UINT64_MAX: it has not. After some quiet it seals the end of the
 * log, so that the loss of the last record is damage and not an end.
 */
void wal_clock(struct wal *wal, uint64_t now_ns);
uint64_t wal_next_ns(const struct wal *wal);

/*
 * For how long the record in flight has been outstanding at `now_ns`, counted
 * from the time that was told before its wal_append(); 0: none is in flight.
 */
uint64_t wal_stall_ns(const struct wal *wal, uint64_t now_ns);

/*
 * Time passes: call about ten times a second. After some calls the log tries
 * again to make spare segments on a disk that was full.
 */
void wal_tick(struct wal *wal);

/*
 * Nothing is in flight or queued: a clean stop may close now. After a failure
 * it says that the note of what failed is on the disk, or cannot be.
 */
bool wal_idle(const struct wal *wal);

/* ---- snapshots ---- */

/* The log since the last snapshot has grown enough for a new one. */
bool wal_snapshot_due(const struct wal *wal);

/*
 * Begins a snapshot at (index, term), which an entry SNAPSHOT_CUT has; `head`
 * is copied. The image follows in pieces: wal_snapshot_room() lends room of
 * the next chunk (NULL: the disk is behind, ask in a later turn), and
 * wal_snapshot_put() hands in `size` bytes of it. wal_snapshot_end() says
 * that this was all. One at a time; abort drops a begun one, unless it is just
 * being named: then it comes to be in spite of it. The pieces are a stream: room is lent for at least 64 KiB, any part of it may be used, and
 * what is read back later is cut elsewhere.
 *
 * A snapshot that was received is written the same way, and must be named
 * (wal_snapshot_index()) before an entry behind it is appended. Where the log
 * has an entry of the snapshot's term at its index, the log goes on behind it.
 * Where it ends before, or has an entry of another term there, nothing that
 * was appended until then counts any more once the snapshot is named: the log
 * ends with the snapshot, and the next entry is the one at index + 1.
 */
int wal_snapshot_begin(struct wal *wal, uint64_t index, uint64_t term,
		       const void *head, uint32_t head_size)
	__attribute__((warn_unused_result));
void *wal_snapshot_room(struct wal *wal, uint32_t *ret_size);
void wal_snapshot_put(struct wal *wal, uint32_t size);
void wal_snapshot_end(struct wal *wal);
void wal_snapshot_abort(struct wal *wal);

/*
 * One was begun and is not over. It is over when it is named (see
 * wal_snapshot_index()), when it was aborted, and when the disk was too full
 * for it: then it was given up, and another is due later.
 */
bool wal_snapshot_active(const struct wal *wal);

/*
 * The index of the newest snapshot that is durable under its final name and
 * named by `meta`; entries up to there may be compacted, and segments below
 * are recycled by wal_work().
 */
uint64_t wal_snapshot_index(const struct wal *wal);

/* ---- reading back, in the loop ---- */

/*
 * What lies on the disk and not in memory any more, for a member that lags.
 * A few reads may be under way at once (wal_options.fetches), each in memory
 * of its own. Content is checked as recovery checks it.
 *
 * wal_fetch_entries(): entries from `index` on, as many whole ones as one read
 * brings, at least one. wal_fetch_chunk(): chunk `chunk` (from 0) of the
 * snapshot at `index`, as its file is cut: WAL_CHUNK_SIZE bytes less a small
 * header, and what is left in the last. Both give a ticket (≥ 0), or -EAGAIN
 * (all are busy, or the entry is just being written), -ENOENT (the log does
 * not hold it, or not any more), WAL_EFAILED.
 */
int wal_fetch_entries(struct wal *wal, uint64_t index)
	__attribute__((warn_unused_result));
int wal_fetch_chunk(struct wal *wal, uint64_t index, uint64_t chunk)
	__attribute__((warn_unused_result));

struct wal_fetched {
	uint64_t first_index; /* entries */
	uint64_t last_index;
	uint64_t chunk; /* or a chunk */
	bool last_chunk;
	const uint8_t *bytes; /* whole entries back to back, or the chunk */
	uint32_t size;
};

/*
 * -EINPROGRESS; 0 and the bytes, lent until wal_fetch_end(); or an error (-EIO,
 * WAL_EDAMAGED, -ENOENT: it went meanwhile, or was overwritten). wal_reap()
 * moves it on. wal_fetch_end() gives the ticket back, whether the read is over
 * or not.
 */
int wal_fetched(struct wal *wal, int ticket, struct wal_fetched *ret_fetched)
	__attribute__((warn_unused_result));
void wal_fetch_end(struct wal *wal, int ticket);

/*
 * The newest snapshot that is named, for sending: its index (0: none), term,
 * how many chunks it has (0: its image is empty), and its head, lent until the
 * next wal_work().
 */
uint64_t wal_snapshot_newest(const struct wal *wal, uint64_t *ret_term,
			     uint64_t *ret_chunks, const void **ret_head,
			     uint32_t *ret_head_size);

/* ---- repair ---- */

/*
 * With tolerate_damage, for a member whose entries the others have too, damage
 * of what was acknowledged does not end the start. The log is opened with what
 * is before it, and is damaged until the rest has come back. For as long the
 * member must not lead, nor vote but for logs that have all that this one may
 * have had: it may have acknowledged, to a leader who counted on it, what it
 * does not hold any more. (That is for the owner to heed, see raft_lose(); it
 * may answer a leader's appends as ever.)
 *
 * wal_damaged(): true, and what may be missing: entries from `first`, the one
 * behind the last that is durable, to `last` (UINT64_MAX: nobody knows), of
 * terms up to `term`. Entries behind the damage that are intact are part of
 * the range. What is before `first` is intact, but where `term` is later than
 * the last entry's it may have been overwritten by what is lost.
 *
 * 1. At first nothing on the disk is given up: what cannot be read today may
 *    be there at the next start. wal_can_append() is false, and no snapshot
 *    can be begun.
 * 2. When the owner knows a leader of term `term` or later, or has voted for
 *    one, it calls wal_repair(). That is noted durably; then wal_can_append() is
 *    true again, and the leader's entries are appended as any others, or its
 *    snapshot is received.
 * 3. The log is whole when it ends with an entry (or a snapshot) of a later
 *    term than `term`, or of `term` itself and not before `last`. wal_damaged()
 *    is false from then on. Where `last` is UINT64_MAX or too high, because
 *    what was behind the damage cannot be read or was never committed, the
 *    owner says what it learns: wal_damage_ends() with the index of the last
 *    entry that the leader of `term` had when this member came back, or what a
 *    majority that compared its tails agreed on.
 *
 * A crash in between finds it damaged again, with what has come back. A vote in
 * the term that is found, or in `term`, may be lost if none is found: the
 * member votes in neither.
 */
struct wal_damage {
	uint64_t first;
	uint64_t last;
	uint64_t term;
	bool noted; /* wal_repair() is done: the log goes on */
};

bool wal_damaged(const struct wal *wal, struct wal_damage *ret_damage);
void wal_repair(struct wal *wal);
void wal_damage_ends(struct wal *wal, uint64_t last);

/*
 * Where the damage is one record, at a place and of a size that are known, it
 * can also be put together anew in its place, from what any member has: for
 * when nobody leads. See wal/fill.c.
 *
 * wal_hole(): which entries are wanted, while nothing is given up yet; false:
 * this damage cannot be filled. Who has them has an entry before `first` of
 * term `before_term` (0: `first` is 1), and an entry at `proof_index` of
 * `proof_term`, which this member holds behind the damage; so their logs are
 * the same up to there. 0, 0: what is written is compared with checksums that
 * are intact. `last` is `first` - 1 where the record had no entries.
 *
 * wal_fill() takes whole entries from `first` on, as many as there are: then
 * wal_hole() wants the next ones. With the last of them the record is written.
 * -EBADMSG: these are not what is missing; all are wanted again. wal_reap()
 * moves it on. wal_filled(): the record is whole on the disk. Then this log is
 * to be closed, and opened anew.
 */
struct wal_hole {
	uint64_t first;
	uint64_t last;
	uint64_t before_term;
	uint64_t proof_index;
	uint64_t proof_term;
};

bool wal_hole(const struct wal *wal, struct wal_hole *ret_hole);
int wal_fill(struct wal *wal, const void *entries, uint32_t size)
	__attribute__((warn_unused_result));
bool wal_filled(const struct wal *wal);

struct wal_stats {
	uint64_t records, entries, bytes, log_size;
	uint64_t snapshots;
	uint32_t segments, spares;
	uint64_t stall_ns; /* see wal_stall_ns(), at the time last told */
	uint64_t stall_max_ns; /* the most that a record ever took */
	bool failed; /* see wal_reap() */
	bool no_space; /* the pool cannot be refilled: refuse writes */
};

void wal_stats(const struct wal *wal, struct wal_stats *ret_stats);

#endif
