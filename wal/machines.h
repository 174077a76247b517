/*
 * What each part of the log keeps: its machines, its index, its reads, and
 * where recovery stands. The functions that work on them are in wal/log.h.
 */
#ifndef WAL_MACHINES_H
#define WAL_MACHINES_H

#include "wal/meta.h"
#include "wal/record.h"
#include "wal/segment.h"
#include "wal/snapshot_walk.h"

enum log_limits {
	/* Of the table of files: `meta`, snapshots and one being made. */
	LOG_SEGMENTS_MAX = DISK_FILES_MAX - 8,
	LOG_SEGMENT_MIN = 4 * DISK_BLOCK,
	LOG_FILL_SIZE = 1 << 20, /* zeros written at once */
	LOG_RUNS_MAX = 8192,
	LOG_MARK_GAP = 256, /* blocks between two marks */
	/* A full table of files takes 32,256; the rest is for overwrites. */
	LOG_MARKS_MAX = 48 << 10,
	LOG_MARKS_SPARE = 4096, /* a restart may find more than there were */
	LOG_SPARES_MAX = 8, /* the pool grows up to here by itself */
	LOG_ROOM_MIN = 64 << 10, /* what wal_snapshot_room() gives at least */
	LOG_WINDOW_BLOCKS = WAL_BLOCKS_LARGE + 256,
	LOG_GAP_SLACK = 1 << 20, /* sequences that are never used */
	LOG_FETCH_BLOCKS = 128, /* read at once, if no record is larger */
};

/* The record in flight. */
struct log_record {
	struct disk_op op;
	bool busy;
	bool written; /* and waits for `meta`, if it changes term or vote */
	struct wal_buffer *buffer; /* NULL: hard state alone */
	struct wal_done done;
	struct raft_hard_state hard;
	uint64_t begun_ns;
	uint64_t first_index;
	uint64_t last_index;
	uint32_t entry_count;
	uint32_t blocks;
};

struct log_keeper {
	struct disk_op op;
	bool busy;
	bool dirty; /* `meta` differs from what was last submitted */
	bool broken; /* a write failed: never again */
	struct meta meta; /* as it should be */
	struct meta sent; /* in flight */
	struct meta durable; /* on the disk */
};

enum pool_state {
	POOL_IDLE = 0,
	POOL_CREATE,
	POOL_FILL,
	POOL_SYNC,
	POOL_RENAME,
	POOL_SYNC_FOLDER,
	POOL_DROP_NAME, /* undo, or a spare too many */
	POOL_DROP_FILE,
};

struct log_pool {
	struct disk_op op;
	bool busy;
	uint8_t state; /* enum pool_state */
	bool stalled; /* no space: wait for wal_tick() or a segment's return */
	bool undo; /* what is dropped was never finished */
	uint32_t ticks;
	uint32_t wanted; /* spares to keep ready */
	uint64_t filled;
	struct segment segment; /* being made or dropped */
};

enum snapshot_state {
	SNAPSHOT_IDLE = 0,
	SNAPSHOT_CREATE,
	SNAPSHOT_HEADER,
	SNAPSHOT_OPEN, /* takes the image */
	SNAPSHOT_CHUNK, /* a chunk is written, more may come */
	SNAPSHOT_FOOTER,
	SNAPSHOT_SYNC,
	SNAPSHOT_RENAME,
	SNAPSHOT_SYNC_FOLDER,
	SNAPSHOT_NAME, /* `meta` is to name it */
	SNAPSHOT_CLOSE,
	SNAPSHOT_DROP_OLD, /* the one before is unlinked */
	SNAPSHOT_FORGET, /* and `meta` says so */
	SNAPSHOT_DROP_NAME, /* undo */
	SNAPSHOT_DROP_FILE,
};

struct log_snapshot {
	struct disk_op op;
	bool busy;
	uint8_t state; /* enum snapshot_state */
	bool ended; /* the image is whole */
	bool aborted;
	bool renamed; /* it has its final name */
	bool judged; /* `replaces` is known */
	bool replaces; /* the log has another history, or ends before it */
	int file;
	uint32_t fill; /* bytes of the image in the staged chunk */
	uint64_t chunk_count;
	uint64_t image_size;
	uint64_t offset; /* where the next bytes of the file go */
	uint64_t log_bytes; /* of struct wal, when it was begun */
	struct meta_snapshot meta;
	XXH3_state_t root;
	uint32_t head_size;
	uint8_t head[WAL_HEAD_MAX];
};

/* The snapshot that counts, open for whoever is to be sent it. */
struct log_newest {
	int file; /* -1: there is none */
	struct meta_snapshot meta;
	uint32_t head_size;
	uint8_t head[WAL_HEAD_MAX];
};

/* Entries from `index` on, to the next run, are of this term. */
struct log_run {
	uint64_t index;
	uint64_t term;
};

/* A record with entries, and where it lies. */
struct log_mark {
	uint64_t index; /* of its first entry */
	uint64_t sequence;
	uint64_t segment; /* in the log's order */
	uint32_t block;
};

struct log_index {
	struct log_mark *marks; /* LOG_MARKS_MAX, by rising index and place */
	uint32_t mark_count;
	uint32_t run_count;
	struct log_run runs[LOG_RUNS_MAX];
};

enum fetch_state {
	FETCH_FREE = 0,
	FETCH_READING,
	FETCH_OVER, /* `result` and `fetched` say how */
};

struct log_fetch {
	struct disk_op op;
	uint8_t *memory; /* fetch_size of struct wal */
	uint8_t state; /* enum fetch_state */
	bool is_chunk;
	bool ended; /* nobody waits for it any more */
	int result;
	struct wal_fetched fetched;
	uint64_t snapshot; /* a chunk's */

	/* Entries: the one that is looked for, and where all end. */
	uint64_t next_index;
	uint64_t end_index;
	/* The record that the walk stands at. */
	uint64_t sequence;
	uint64_t segment;
	uint32_t block;
	struct log_mark next; /* what follows the last ones begins here */
};

/* Where recovery or replay stands in the log, and what it has in memory. */
struct log_cursor {
	uint32_t segment; /* index in `live` */
	uint32_t block; /* in that segment */
	uint64_t sequence; /* replay: of the record that is due */
	int window_file; /* -1: the window is empty */
	uint32_t window_block;
	uint32_t window_count;
	uint32_t entry_at; /* in the record's payload */
	uint32_t entry_left; /* entries of the record still to look at */
	uint64_t next_index; /* replay: must come next; 0: not begun */
	uint64_t end_index; /* replay: from here on look elsewhere */
	struct record_header header;
	const uint8_t *record;
};

/* Where the walk stopped. */
struct log_stop {
	uint32_t segment; /* index in `live` */
	uint32_t block;
	uint64_t later; /* an intact later record, 0: none */
	uint64_t proof; /* a record known to have been durable, 0: none */
};

/* Damage that was found at this start; see wal/repair.c. */
struct log_damage {
	bool found; /* and is not noted yet */
	bool asked; /* to be noted */
	uint64_t cut_segment; /* it is shorter than it was made; 0: none */
	uint64_t proof; /* a record that was durable */
	uint64_t last; /* entries up to here may be missing */
	uint64_t term; /* and have terms up to this */
	struct meta_gap gap; /* records to skip */
	struct meta_snapshot snapshot; /* that the log goes on from */
	struct meta read; /* `meta` as it was found */
};

enum fill_state {
	FILL_NONE = 0, /* there is nothing that could be filled */
	FILL_OPEN, /* entries are wanted */
	FILL_WRITE,
	FILL_READ, /* back */
	FILL_DONE,
};

/* The record that is damaged, put together anew in the window. */
struct log_fill {
	struct disk_op op;
	uint8_t state; /* enum fill_state */
	bool headed; /* its header is intact, and stands in `head` */
	uint32_t blocks; /* it must have */
	int file;
	struct wal_hole hole; /* what is wanted in all */
	struct wal_hole left; /* and still */
	uint32_t used; /* bytes of entries, at RECORD_PAYLOAD_LARGE */
	struct record_header header; /* without what the entries say */
	uint8_t head[RECORD_PAYLOAD_LARGE]; /* header and table, as they are
					       or should be on the disk */
};

#endif
