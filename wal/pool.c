/*
 * The pool: makes spare segments before they are needed.
 *
 * A spare is made under a name that ends in .tmp, locked from birth, filled
 * with zeros, flushed, renamed, and the folder flushed; so a file with a
 * final name is always whole, and a write to it changes nothing that the file
 * system would have to note. What is left of an interrupted attempt is
 * removed at the next start and never opened.
 *
 * A full disk is not a failure here: the attempt is undone, no_space is
 * raised, and the pool tries again after some ticks, or at once when a
 * segment comes back.
 */
#include "wal/log.h"

#include <assert.h>

void log_pool_add(struct wal *wal, const struct segment *segment)
{
	assert(wal->spare_count < LOG_SEGMENTS_MAX);
	wal->spares[wal->spare_count] = *segment;
	wal->spares[wal->spare_count].segment = 0;
	wal->spares[wal->spare_count].used = 0;
	wal->spares[wal->spare_count].last_index = 0;
	wal->spare_count++;
	wal->pool.stalled = false;
}

static bool pool_is_full_error(int32_t result)
{
	return result == -ENOSPC || result == -EDQUOT || result == -EFBIG ||
	       result == -EMFILE || result == -ENFILE || result == -ENOMEM;
}

/* ---- in the loop ---- */

/* Spares beyond this are given back to the file system. */
static uint32_t pool_most(const struct wal *wal)
{
	uint64_t cycle =
		2 * wal->options.snapshot_after / wal->options.segment_size;

	if (cycle > LOG_SEGMENTS_MAX)
		cycle = LOG_SEGMENTS_MAX;
	return wal->pool.wanted + LOG_SPARES_MAX + (uint32_t)cycle;
}

static void pool_begin(struct wal *wal)
{
	struct log_pool *pool = &wal->pool;

	if (pool->stalled)
		return;
	if (wal->spare_count > pool_most(wal)) {
		if (log_fetch_reads(wal,
				    wal->spares[wal->spare_count - 1].file))
			return;
		pool->segment = wal->spares[--wal->spare_count];
		pool->undo = false;
		pool->state = POOL_DROP_NAME;
		return;
	}
	if (wal->spare_count >= pool->wanted) {
		wal->stats.no_space = false;
		return;
	}
	if (wal->live_count + wal->spare_count >= LOG_SEGMENTS_MAX)
		return;
	pool->segment = (struct segment){.file = -1};
	pool->segment.number = wal->next_number;
	pool->segment.blocks = wal->options.segment_size / DISK_BLOCK;
	pool->filled = 0;
	pool->undo = true;
	pool->state = POOL_CREATE;
}

static void pool_describe(struct wal *wal, struct disk_op *op)
{
	static const uint8_t kinds[] = {
		[POOL_CREATE] = DISK_CREATE,
		[POOL_FILL] = DISK_WRITE,
		[POOL_SYNC] = DISK_SYNC,
		[POOL_RENAME] = DISK_RENAME,
		[POOL_SYNC_FOLDER] = DISK_SYNC_FOLDER,
		[POOL_DROP_NAME] = DISK_UNLINK,
		[POOL_DROP_FILE] = DISK_CLOSE,
	};
	struct log_pool *pool = &wal->pool;
	uint64_t left = wal->options.segment_size - pool->filled;

	op->kind = kinds[pool->state];
	op->file = pool->segment.file;
	segment_name(op->name, pool->segment.number, pool->undo ? ".tmp" : "");
	segment_name(op->new_name, pool->segment.number, "");
	if (pool->state != POOL_FILL)
		return;
	op->offset = pool->filled;
	op->buffer = wal->zeros;
	op->size = left < wal->fill_size ? (uint32_t)left : wal->fill_size;
}

void log_pool_work(struct wal *wal)
{
	struct log_pool *pool = &wal->pool;

	if (pool->busy)
		return;
	if (pool->state == POOL_IDLE)
		pool_begin(wal);
	if (pool->state == POOL_IDLE)
		return;
	pool_describe(wal, &pool->op);
	pool->busy = true;
	disk_submit(wal->disk, &pool->op);
}

/* The disk is full: undo, and wait. */
static void pool_stall(struct wal *wal)
{
	struct log_pool *pool = &wal->pool;

	wal->stats.no_space = true;
	pool->stalled = true;
	pool->ticks = 0;
	pool->state = pool->segment.file >= 0 ? POOL_DROP_NAME : POOL_IDLE;
}

/* An operation went well: what comes next. */
static void pool_advance(struct wal *wal)
{
	struct log_pool *pool = &wal->pool;

	switch (pool->state) {
	case POOL_CREATE:
		pool->segment.file = pool->op.result;
		pool->state = POOL_FILL;
		break;
	case POOL_FILL:
		pool->filled += pool->op.size;
		if (pool->filled == wal->options.segment_size)
			pool->state = POOL_SYNC;
		break;
	case POOL_SYNC_FOLDER:
		wal->next_number++;
		wal->stats.no_space = false;
		log_pool_add(wal, &pool->segment);
		pool->state = POOL_IDLE;
		break;
	case POOL_DROP_FILE:
		pool->state = POOL_IDLE;
		break;
	default:
		pool->state++;
		break;
	}
}

void log_pool_done(struct wal *wal)
{
	struct log_pool *pool = &wal->pool;
	struct disk_op *op = &pool->op;

	assert(pool->busy);
	pool->busy = false;
	if (pool->state == POOL_CREATE && op->result == -EEXIST) {
		/* A name that could not be removed: take another. */
		wal->next_number++;
		pool->state = POOL_IDLE;
		return;
	}
	/* A name or a lock that stays is no harm to what is in the log. */
	if (pool->state == POOL_DROP_NAME || pool->state == POOL_DROP_FILE)
		return pool_advance(wal);
	if (pool_is_full_error(op->result) ||
	    (pool->state == POOL_FILL && op->result >= 0 &&
	     (uint32_t)op->result != op->size)) {
		pool_stall(wal);
		return;
	}
	if (op->result < 0) {
		log_fail(wal);
		return;
	}
	pool_advance(wal);
}

/* ---- while the log is opened ---- */

static int pool_fill_now(struct wal *wal, const struct segment *segment)
{
	uint64_t size = (uint64_t)segment->blocks * DISK_BLOCK;
	uint32_t part;
	uint64_t at;
	int r;

	for (at = 0; at < size; at += part) {
		part = wal->fill_size;
		if (part > size - at)
			part = (uint32_t)(size - at);
		r = disk_write_now(wal->disk, segment->file, at, wal->zeros,
				   part);
		if (r < 0)
			return r;
	}
	return 0;
}

int log_pool_now(struct wal *wal)
{
	struct segment segment = {.number = wal->next_number};
	char name[DISK_NAME_MAX];
	char temporary[DISK_NAME_MAX];
	int r;

	segment_name(temporary, segment.number, ".tmp");
	segment_name(name, segment.number, "");
	segment.blocks = wal->options.segment_size / DISK_BLOCK;
	segment.file = disk_open_now(wal->disk, temporary, true);
	if (segment.file < 0)
		return segment.file;
	r = pool_fill_now(wal, &segment);
	if (r == 0)
		r = disk_rename_now(wal->disk, temporary, name);
	if (r == 0)
		r = disk_sync_folder_now(wal->disk);
	if (r < 0) {
		disk_close_now(wal->disk, segment.file);
		return r;
	}
	wal->next_number++;
	log_pool_add(wal, &segment);
	return 0;
}
