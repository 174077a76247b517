/*
 * Writing a snapshot file, a chunk at a time, while the log goes on.
 *
 * The image comes as a stream through one staging area of a chunk and some
 * more, so that room for at least LOG_ROOM_MIN bytes can always be lent; what
 * goes beyond the chunk is moved to the front when the chunk is on its way.
 * At most one write is in flight. The order is: file, flush, final name,
 * flush of the folder, `meta` names it; only then is the one before removed,
 * and only when `meta` has forgotten that one may the log behind the new one
 * be truncated. So at any moment one of the two can be fallen back to.
 */
#include "wal/log.h"

#include <assert.h>

/* ---- the owner's side ---- */

bool wal_snapshot_due(const struct wal *wal)
{
	uint64_t after = wal->options.snapshot_after;

	if (after < wal->keeper.durable.snapshot.size)
		after = wal->keeper.durable.snapshot.size;
	if (wal->failed || wal->damage.found || wal->pool.stalled ||
	    wal->snapshot.state != SNAPSHOT_IDLE)
		return false;
	/* An index that fills up is a log that cannot go on. */
	return wal->log_bytes - wal->log_bytes_before >= after ||
	       wal->index.mark_count > LOG_MARKS_MAX / 4 * 3;
}

int wal_snapshot_begin(struct wal *wal, uint64_t index, uint64_t term,
		       const void *head, uint32_t head_size)
{
	struct log_snapshot *snapshot = &wal->snapshot;
	struct snapshot_header header = {.index = index, .term = term};

	if (wal->failed)
		return WAL_EFAILED;
	if (wal->damage.found)
		return -EAGAIN;
	if (snapshot->state != SNAPSHOT_IDLE)
		return -EBUSY;
	if (index <= wal_snapshot_index(wal))
		return -EALREADY;
	if (head_size > WAL_HEAD_MAX)
		return -E2BIG;
	memcpy(header.cluster, wal->options.cluster, sizeof(header.cluster));
	snapshot_seal_header(wal->chunk, &header, head, head_size);
	XXH3_128bits_reset(&snapshot->root);
	XXH3_128bits_update(&snapshot->root, wal->chunk, DISK_BLOCK);
	snapshot->meta = (struct meta_snapshot){.index = index, .term = term};
	snapshot->head_size = head_size;
	if (head_size > 0)
		memcpy(snapshot->head, head, head_size);
	snapshot->ended = false;
	snapshot->aborted = false;
	snapshot->renamed = false;
	snapshot->judged = false;
	snapshot->fill = 0;
	snapshot->chunk_count = 0;
	snapshot->image_size = 0;
	snapshot->offset = 0;
	snapshot->log_bytes = wal->log_bytes;
	snapshot->state = SNAPSHOT_CREATE;
	return 0;
}

static uint8_t *snapshot_stage(const struct wal *wal)
{
	return wal->chunk + SNAPSHOT_CHUNK_HEADER;
}

void *wal_snapshot_room(struct wal *wal, uint32_t *ret_size)
{
	struct log_snapshot *snapshot = &wal->snapshot;

	if (snapshot->state != SNAPSHOT_OPEN || snapshot->ended ||
	    snapshot->aborted || snapshot->fill >= SNAPSHOT_CHUNK_ROOM)
		return NULL;
	*ret_size = SNAPSHOT_CHUNK_ROOM + LOG_ROOM_MIN - snapshot->fill;
	return snapshot_stage(wal) + snapshot->fill;
}

void wal_snapshot_put(struct wal *wal, uint32_t size)
{
	struct log_snapshot *snapshot = &wal->snapshot;

	assert(snapshot->state == SNAPSHOT_OPEN);
	assert(size <= SNAPSHOT_CHUNK_ROOM + LOG_ROOM_MIN - snapshot->fill);
	snapshot->fill += size;
	snapshot->image_size += size;
}

void wal_snapshot_end(struct wal *wal)
{
	/* It may have been given up meanwhile: then this says nothing. */
	wal->snapshot.ended = true;
}

bool wal_snapshot_active(const struct wal *wal)
{
	return wal->snapshot.state != SNAPSHOT_IDLE && !wal->snapshot.aborted;
}

void wal_snapshot_abort(struct wal *wal)
{
	/* Once `meta` is being told there is no way back. */
	if (wal->snapshot.state != SNAPSHOT_IDLE &&
	    wal->snapshot.meta.index != wal->keeper.meta.snapshot.index)
		wal->snapshot.aborted = true;
}

/* ---- the machine ---- */

static uint32_t snapshot_part(const struct log_snapshot *snapshot)
{
	return snapshot->fill < SNAPSHOT_CHUNK_ROOM ? snapshot->fill
						    : SNAPSHOT_CHUNK_ROOM;
}

static void snapshot_write(struct wal *wal, void *bytes, uint32_t size)
{
	struct disk_op *op = &wal->snapshot.op;

	op->kind = DISK_WRITE;
	op->offset = wal->snapshot.offset;
	op->buffer = bytes;
	op->size = size;
}

static void snapshot_write_chunk(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;
	uint32_t part = snapshot_part(snapshot);
	uint32_t size = snapshot_chunk_size(part);
	/* Padding is zeroed over what comes next only at the very end. */
	bool whole = part == SNAPSHOT_CHUNK_ROOM;

	assert(whole || snapshot->ended);
	assert(!whole || size == WAL_CHUNK_SIZE);
	snapshot_seal_chunk(wal->chunk, snapshot->meta.index,
			    snapshot->chunk_count, part);
	XXH3_128bits_update(&snapshot->root, wal->chunk, size);
	snapshot_write(wal, wal->chunk, size);
}

static void snapshot_write_footer(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;
	XXH128_hash_t root = XXH3_128bits_digest(&snapshot->root);
	struct snapshot_footer footer = {.index = snapshot->meta.index};

	snapshot->meta.root[0] = root.low64;
	snapshot->meta.root[1] = root.high64;
	snapshot->meta.size = snapshot->offset + DISK_BLOCK;
	assert(snapshot->meta.size == snapshot_file_size(snapshot->image_size));
	footer.chunk_count = snapshot->chunk_count;
	footer.image_size = snapshot->image_size;
	footer.file_size = snapshot->meta.size;
	footer.root[0] = root.low64;
	footer.root[1] = root.high64;
	snapshot_seal_footer(wal->chunk, &footer);
	snapshot_write(wal, wal->chunk, DISK_BLOCK);
}

/* Takes the image as far as it came: a chunk, or the footer, or nothing. */
static bool snapshot_take(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;

	if (snapshot->fill >= SNAPSHOT_CHUNK_ROOM ||
	    (snapshot->ended && snapshot->fill > 0)) {
		snapshot->state = SNAPSHOT_CHUNK;
		snapshot_write_chunk(wal);
		return true;
	}
	if (!snapshot->ended)
		return false;
	snapshot->state = SNAPSHOT_FOOTER;
	snapshot_write_footer(wal);
	return true;
}

/* Prepares the operation of the present state; false: there is none. */
static bool snapshot_prepare(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;
	struct disk_op *op = &snapshot->op;
	bool old = snapshot->state == SNAPSHOT_DROP_OLD;

	op->file = snapshot->file;
	snapshot_name(op->name,
		      old ? wal->keeper.durable.previous.index
			  : snapshot->meta.index,
		      old || snapshot->renamed ? "" : ".tmp");
	snapshot_name(op->new_name, snapshot->meta.index, "");
	switch (snapshot->state) {
	case SNAPSHOT_CREATE:
		op->kind = DISK_CREATE;
		return true;
	case SNAPSHOT_HEADER:
		snapshot_write(wal, wal->chunk, DISK_BLOCK);
		return true;
	case SNAPSHOT_OPEN:
		return snapshot_take(wal);
	case SNAPSHOT_SYNC:
		op->kind = DISK_SYNC;
		return true;
	case SNAPSHOT_RENAME:
		op->kind = DISK_RENAME;
		return true;
	case SNAPSHOT_SYNC_FOLDER:
		op->kind = DISK_SYNC_FOLDER;
		return true;
	case SNAPSHOT_CLOSE:
	case SNAPSHOT_DROP_FILE:
		op->kind = DISK_CLOSE;
		return true;
	case SNAPSHOT_DROP_OLD:
	case SNAPSHOT_DROP_NAME:
		op->kind = DISK_UNLINK;
		return true;
	default:
		return false;
	}
}

void log_snapshot_work(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;

	if (snapshot->busy || snapshot->state == SNAPSHOT_IDLE)
		return;
	if (snapshot->aborted && snapshot->state <= SNAPSHOT_NAME)
		snapshot->state = snapshot->file >= 0 ? SNAPSHOT_DROP_NAME
						      : SNAPSHOT_IDLE;
	log_snapshot_settle(wal);
	if (snapshot->state == SNAPSHOT_CLOSE && snapshot->file < 0)
		log_snapshot_closed(wal);
	if (snapshot->state == SNAPSHOT_CLOSE &&
	    log_fetch_reads(wal, snapshot->file))
		return;
	if (!snapshot_prepare(wal))
		return;
	snapshot->busy = true;
	disk_submit(wal->disk, &snapshot->op);
}

/* A chunk is written: what went beyond it becomes the next one's front. */
static void snapshot_next_chunk(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;
	uint32_t part = snapshot_part(snapshot);

	snapshot->offset += snapshot->op.size;
	snapshot->chunk_count++;
	snapshot->fill -= part;
	memmove(snapshot_stage(wal), snapshot_stage(wal) + part,
		snapshot->fill);
	snapshot->state = SNAPSHOT_OPEN;
}

static void snapshot_advance(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;

	switch (snapshot->state) {
	case SNAPSHOT_CREATE:
		snapshot->file = snapshot->op.result;
		snapshot->state = SNAPSHOT_HEADER;
		break;
	case SNAPSHOT_HEADER:
		snapshot->offset += snapshot->op.size;
		snapshot->state = SNAPSHOT_OPEN;
		break;
	case SNAPSHOT_CHUNK:
		snapshot_next_chunk(wal);
		break;
	case SNAPSHOT_RENAME:
		snapshot->renamed = true;
		snapshot->state = SNAPSHOT_SYNC_FOLDER;
		break;
	case SNAPSHOT_CLOSE:
		log_snapshot_closed(wal);
		break;
	case SNAPSHOT_DROP_FILE:
		snapshot->file = -1;
		snapshot->state = SNAPSHOT_IDLE;
		break;
	default:
		snapshot->state++;
		break;
	}
}

/* The disk is full: this snapshot is given up, and none is due for a while. */
static void snapshot_stall(struct wal *wal)
{
	wal->stats.no_space = true;
	wal->pool.stalled = true;
	wal->pool.ticks = 0;
	wal->snapshot.aborted = true;
	/* Without a file there is nothing to undo, see log_snapshot_work(). */
	wal->snapshot.state = SNAPSHOT_OPEN;
}

void log_snapshot_done(struct wal *wal)
{
	struct log_snapshot *snapshot = &wal->snapshot;
	struct disk_op *op = &snapshot->op;
	bool is_short = op->kind == DISK_WRITE && op->result >= 0 &&
			(uint32_t)op->result != op->size;

	assert(snapshot->busy);
	snapshot->busy = false;
	if (op->kind == DISK_UNLINK || op->kind == DISK_CLOSE ||
	    (op->result >= 0 && !is_short)) {
		snapshot_advance(wal);
		return;
	}
	if (snapshot->state <= SNAPSHOT_RENAME &&
	    (is_short || op->result == -ENOSPC || op->result == -EDQUOT ||
	     op->result == -EFBIG || op->result == -EMFILE))
		snapshot_stall(wal);
	else
		log_fail(wal);
}
