/*
 * Inside the log: what the files of wal/ share. Nobody else includes this.
 *
 * The log is five machines over one disk, each with at most one operation in
 * flight, and some reads, so that an operation belongs to its machine by its
 * address:
 *
 *   record    wal/append.c    writes records, begins segments
 *   keeper    wal/keep.c      writes `meta`, gives old segments back
 *   pool      wal/pool.c      makes spare segments
 *   snapshot  wal/snapshot_write.c
 *   fetches   wal/fetch.c     read back for members that lag
 *   fill      wal/fill.c      a damaged record, put together anew
 *
 * wal_reap() tells a machine that its operation is done; wal_work() lets each
 * start its next one. Recovery (wal/recover.c and what it calls) runs before
 * any of them and blocks.
 */
#ifndef WAL_LOG_H
#define WAL_LOG_H

#include "wal/machines.h"

struct wal {
	struct disk *disk;
	struct wal_options options;
	uint64_t salt_state;

	/* Files. The tail is the last of `live`. */
	int meta_file;
	struct segment live[LOG_SEGMENTS_MAX];
	struct segment spares[LOG_SEGMENTS_MAX];
	uint32_t live_count;
	uint32_t spare_count;
	uint32_t next_number; /* of a segment file to be made */

	/* Where the log ends, and what of it is durable. */
	uint64_t next_sequence;
	uint64_t durable_sequence;
	uint64_t durable_segment;
	uint64_t last_index;
	struct raft_hard_state hard; /* durable */
	struct raft_hard_state promised; /* handed in: `meta` may know it */
	uint64_t durable_index; /* the last entry that is durable */
	uint64_t durable_term;
	bool fresh_segment; /* the next record begins a segment */
	bool failed;

	struct log_index index;
	struct log_record record;
	struct log_keeper keeper;
	struct log_pool pool;
	struct log_snapshot snapshot;
	struct log_newest newest;
	struct snapshot_walk walk; /* of a snapshot that is verified */
	struct log_damage damage;
	struct log_fill fill;
	struct log_fetch fetches[WAL_FETCHES];
	uint32_t fetch_count;

	/* Recovery and replay. */
	struct log_cursor cursor;
	struct wal_report *report; /* while wal_open() runs */
	uint64_t image_chunk; /* next one of the image to hand out */
	struct meta_snapshot must_reach; /* the log alone must go up to it */
	uint64_t read_commit; /* the last record that was read says so */
	char boot_id[META_BOOT_ID_SIZE];

	struct wal_stats stats;
	uint64_t now_ns; /* as wal_clock() says */
	uint64_t quiet_ns; /* since when no record was written */
	uint64_t log_bytes; /* written, and recovered behind the snapshot */
	uint64_t log_bytes_before; /* of these, before the last snapshot */

	/* Given memory, in blocks. */
	uint8_t *meta_blocks; /* META_SIZE */
	uint8_t *empty_record; /* header block and record of hard state alone */
	uint8_t *zeros; /* LOG_FILL_SIZE or a segment */
	uint8_t *chunk; /* WAL_CHUNK_SIZE + LOG_ROOM_MIN, block aligned */
	uint8_t *window; /* recovery reads into it; later a fill's record */
	uint8_t *buffer_memory;
	uint32_t fill_size;
	uint32_t window_blocks;
	uint32_t fetch_size; /* of one */
	uint32_t buffer_size; /* of one, the spare block in front included */
	struct wal_buffer buffers[WAL_BUFFERS_MAX];
};

static inline struct segment *log_tail(struct wal *wal)
{
	return &wal->live[wal->live_count - 1];
}

/* Where in `live` the segment `segment` is; live_count: it is not there. */
static inline uint32_t log_live(const struct wal *wal, uint64_t segment)
{
	uint32_t low = 0;
	uint32_t high = wal->live_count;
	uint32_t middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (wal->live[middle].segment == segment)
			return middle;
		if (wal->live[middle].segment < segment)
			low = middle + 1;
		else
			high = middle;
	}
	return wal->live_count;
}

/* ---- wal/wal.c ---- */

/* Says where, once: the first cause counts. Returns `error`. */
int log_where(struct wal *wal, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4), warn_unused_result));

/* The log has failed: nothing is acknowledged any more. */
void log_fail(struct wal *wal);

/* A number that this log never used before. */
uint64_t log_salt(struct wal *wal);

/* ---- wal/append.c ---- */

/*
 * Takes the spare `spare` as the newest segment and writes its header into
 * `block`. Its first record will be the next one and starts at `first_index`.
 */
void log_begin_segment(struct wal *wal, uint32_t spare, void *block,
		       uint64_t first_index);

/* What a record says about its place and its writer. */
void log_describe(const struct wal *wal, const struct segment *segment,
		  const struct raft_hard_state *hard,
		  struct record_header *ret_header);
void log_record_done(struct wal *wal);

/* Whether the record in flight has become durable by now; then it is over. */
bool log_record_finish(struct wal *wal, struct wal_done *ret_done);

/* ---- wal/keep.c ---- */

void log_keep_done(struct wal *wal);
void log_keep_work(struct wal *wal);

/* Writes `meta` now, blocking: only while the log is opened. */
int log_keep_now(struct wal *wal) __attribute__((warn_unused_result));

/* Writes it as it stands: nothing that the log has learnt is brought in. */
int log_keep_put(struct wal *wal) __attribute__((warn_unused_result));

/* The log is whole and ready under this boot: says so in all four slots. */
int log_keep_ready(struct wal *wal) __attribute__((warn_unused_result));

/* ---- wal/pool.c ---- */

void log_pool_done(struct wal *wal);
void log_pool_work(struct wal *wal);

/* Makes one spare now, blocking: only while the log is opened. */
int log_pool_now(struct wal *wal) __attribute__((warn_unused_result));

/* Puts `segment` among the spares. */
void log_pool_add(struct wal *wal, const struct segment *segment);

/* ---- wal/snapshot_write.c ---- */

void log_snapshot_done(struct wal *wal);
void log_snapshot_work(struct wal *wal);

/* ---- wal/snapshot_name.c ---- */

/* The two steps that are the keeper's to do. */
void log_snapshot_settle(struct wal *wal);

/* The one before is closed: its file goes next. */
void log_snapshot_closed(struct wal *wal);

/*
 * A snapshot that takes the log's place is being named: no record may come
 * between the last one that it voids and the first one behind it.
 */
bool log_snapshot_replaces(const struct wal *wal);

/* ---- wal/snapshot_read.c ---- */

/*
 * Opens the snapshot that `meta` names and checks every byte of it; falls
 * back to the one before. 0, WAL_EDAMAGED, WAL_EFUTURE or an error.
 */
int log_snapshot_recover(struct wal *wal) __attribute__((warn_unused_result));

/* ---- wal/scan.c ---- */

enum scan_result {
	SCAN_END = 0, /* nothing of this segment's use stands here */
	SCAN_VALID = 1, /* cursor->header and cursor->record are set */
	SCAN_BAD = 2, /* a record was written here and is not intact */
	SCAN_FUTURE = 3, /* a record of a newer format */
	SCAN_BAD_ENTRY = 4, /* intact, but what it holds cannot be */
	SCAN_SKIPPED = 5, /* given up long ago, whatever stands here */
};

/* Looks at the cursor's block for record `sequence`. */
int scan_record(struct wal *wal, struct log_cursor *cursor, uint64_t sequence)
	__attribute__((warn_unused_result));

/*
 * Lends the block `block` of segment `segment`, reading ahead; NULL when it
 * cannot be read.
 */
const uint8_t *scan_block(struct wal *wal, struct log_cursor *cursor,
			  const struct segment *segment, uint32_t block);

/* Whether an intact header of a record of this segment's use stands there. */
bool scan_head(struct wal *wal, struct log_cursor *cursor,
	       const struct segment *segment, uint32_t block,
	       struct record_header *ret_header);

/*
 * Whether an intact header of a record of this segment's use stands at
 * `block` with a sequence above `sequence`, or behind it with one not below.
 * Uses the window: a cursor that is gone on with needs scan_reset().
 */
bool scan_evidence(struct wal *wal, const struct segment *segment,
		   uint32_t block, uint64_t sequence,
		   struct record_header *ret_header);

/* Forgets what is in the window: the disk was written. */
void scan_reset(struct log_cursor *cursor);

/* ---- wal/folder.c ---- */

/* Locks `meta` and every segment, and sorts live ones from spares. */
int log_folder_open(struct wal *wal) __attribute__((warn_unused_result));

/* Makes an empty folder a log, or goes on where that was interrupted. */
int log_folder_make(struct wal *wal) __attribute__((warn_unused_result));

/* Begins a segment with a first, empty record: there is none to go on in. */
int log_start_now(struct wal *wal) __attribute__((warn_unused_result));

/* ---- wal/recover.c ---- */

int log_recover(struct wal *wal) __attribute__((warn_unused_result));

/* ---- wal/repair.c ---- */

/* The gap that record `sequence` lies in, or NULL. */
const struct meta_gap *log_gap_at(const struct wal *wal, uint64_t sequence);

/* Whether the log goes on with record `sequence` behind a gap. */
bool log_gap_ends(const struct wal *wal, uint64_t sequence);

/* Forgets gaps that end before record `begin`, or begin at `end` or behind. */
void log_gaps_trim(struct wal *wal, uint64_t begin, uint64_t end);

/* The walk stopped at damage that is tolerated. 0 or WAL_EDAMAGED. */
int log_repair_found(struct wal *wal, const struct log_stop *stop)
	__attribute__((warn_unused_result));

/* The same, and nothing of the log can be used. */
int log_repair_all(struct wal *wal) __attribute__((warn_unused_result));

/* Recovery is over, and found damage. */
int log_repair_open(struct wal *wal) __attribute__((warn_unused_result));

/* A version of `meta` is durable. */
void log_repair_noted(struct wal *wal);

/* `durable_index` has moved: nothing may be missing any more. */
void log_repair_check(struct wal *wal);

/* ---- wal/fill.c ---- */

/* The walk stopped at damage: whether its place can be filled. */
void log_fill_find(struct wal *wal, const struct log_stop *stop);

/* Nothing of the log can be used: there is nothing to fill either. */
void log_fill_forget(struct wal *wal);

/* The record is being written, or was: nothing else may go on. */
bool log_fill_busy(const struct wal *wal);
void log_fill_done(struct wal *wal);

/* ---- wal/cut.c ---- */

/* Cuts off the torn record at which the walk stopped. */
int log_cut_torn(struct wal *wal, const struct log_stop *stop)
	__attribute__((warn_unused_result));

/* Gives up all from where the walk stopped: accept_tail_loss. */
int log_cut_lost(struct wal *wal, const struct log_stop *stop)
	__attribute__((warn_unused_result));

/* ---- wal/fetch.c ---- */

bool log_fetch_owns(const struct wal *wal, const struct disk_op *op);
void log_fetch_done(struct wal *wal, struct disk_op *op);

/* A read of `file` is under way: it may not be closed. */
bool log_fetch_reads(const struct wal *wal, int file);

/* Entries from `first` on do not count any more. */
void log_fetch_void(struct wal *wal, uint64_t first);

/* ---- wal/index.c ---- */

/* The tail was overwritten so often that no record can be taken. */
bool log_index_full(const struct wal *wal);

/*
 * The record at `mark` goes on with its first entry, and voids what was there
 * and behind. Not when the index is full; before `last_index` says so.
 */
void log_index_record(struct wal *wal, const struct log_mark *mark);

/*
 * The record from which a walk finds `entry`, for all entries before
 * *ret_end; NULL: the log does not hold it.
 */
const struct log_mark *log_index_find(const struct wal *wal, uint64_t entry,
				      uint64_t *ret_end);

/* Entries from `first` on do not count any more. */
void log_index_void(struct wal *wal, uint64_t first);

/* The log goes on with `entry`, of `term`; before `last_index` says so. */
void log_index_term(struct wal *wal, uint64_t entry, uint64_t term);

/* The term of `entry`; 0: the log does not hold it. */
uint64_t log_index_term_of(const struct wal *wal, uint64_t entry);

/* Segments were given back; nothing will be asked of before `covered`. */
void log_index_forget(struct wal *wal, uint64_t covered);

#endif
