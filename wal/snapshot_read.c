/*
 * Reading a snapshot back. At start every byte of it is checked before it is
 * believed; then it is handed out a chunk at a time, and checked again, since
 * it is read again.
 */
#include "wal/log.h"

#include <assert.h>

/* Reads `size` bytes at `offset` into the staging area. */
static int snapshot_load(struct wal *wal, uint64_t offset, uint32_t size)
{
	return disk_read_now(wal->disk, wal->newest.file, offset, wal->chunk,
			     size);
}

/* Says what is wrong with the snapshot at `index`. */
static int snapshot_damaged(struct wal *wal, uint64_t index, uint64_t offset,
			    const char *what)
{
	char name[DISK_NAME_MAX];

	snapshot_name(name, index, "");
	return log_where(wal, WAL_EDAMAGED,
			 "%s at byte %llu: %s; restore this file from a copy, "
			 "or empty the folder and join as a new member",
			 name, (unsigned long long)offset, what);
}

/* The header was taken: is it the one that `meta` names? */
static int snapshot_verify_header(struct wal *wal,
				  const struct meta_snapshot *named,
				  const struct snapshot_header *header)
{
	if (header->index != named->index || header->term != named->term)
		return snapshot_damaged(wal, named->index, 0, "bad header");
	if (memcmp(header->cluster, wal->options.cluster,
		   sizeof(header->cluster)) != 0)
		return log_where(wal, WAL_EFOREIGN,
				 "snapshot at index %llu: of another cluster",
				 (unsigned long long)named->index);
	wal->newest.meta = *named;
	wal->newest.head_size = header->frame.own;
	memcpy(wal->newest.head, wal->chunk + SNAPSHOT_HEAD_AT,
	       header->frame.own);
	return 0;
}

/* What is wrong with the part that was not taken, for `error`. */
static const char *snapshot_bad_part(const struct snapshot_walk *walk,
				     int error)
{
	if (error == -EILSEQ)
		return "the content is not what meta names";
	if (walk->offset == 0)
		return "bad header";
	return walk->offset == walk->size - DISK_BLOCK ? "bad footer"
						       : "bad chunk";
}

static int snapshot_verify(struct wal *wal, const struct meta_snapshot *named)
{
	int64_t size = disk_size_now(wal->disk, wal->newest.file);
	struct snapshot_walk *walk = &wal->walk;
	uint64_t at;
	uint32_t due;
	int r;

	if (size < 0 || (uint64_t)size != named->size ||
	    snapshot_walk_begin(walk, named->size) < 0)
		return snapshot_damaged(wal, named->index,
					size < 0 ? 0 : (uint64_t)size,
					"cut short or grown");
	while ((due = snapshot_walk_due(walk)) > 0) {
		at = walk->offset;
		if (snapshot_load(wal, at, due) < 0)
			return snapshot_damaged(wal, named->index, at,
						"unreadable");
		r = snapshot_walk_take(walk, wal->chunk);
		if (r == WAL_EFUTURE && at == 0)
			return r;
		if (r < 0)
			return snapshot_damaged(wal, named->index, at,
						snapshot_bad_part(walk, r));
		if (at == 0)
			r = snapshot_verify_header(wal, named, &walk->header);
		if (r < 0)
			return r;
	}
	if (walk->footer.root[0] != named->root[0] ||
	    walk->footer.root[1] != named->root[1])
		return snapshot_damaged(wal, named->index,
					named->size - DISK_BLOCK,
					"the content is not what meta names");
	return 0;
}

/* Opens, waits for a dead owner, and checks; the file stays open if good. */
static int snapshot_try(struct wal *wal, const struct meta_snapshot *named)
{
	enum {
		PAUSE_MS = 100
	};
	char name[DISK_NAME_MAX];
	int r;

	snapshot_name(name, named->index, "");
	for (;;) {
		r = disk_open_now(wal->disk, name, false);
		if (r != -EWOULDBLOCK)
			break;
		wal->report->waited = true;
		disk_pause_now(wal->disk, PAUSE_MS);
	}
	if (r == -ENOENT)
		return snapshot_damaged(wal, named->index, 0, "missing");
	if (r < 0)
		return log_where(wal, r, "%s: cannot be opened", name);
	wal->newest.file = r;
	r = snapshot_verify(wal, named);
	if (r < 0) {
		disk_close_now(wal->disk, wal->newest.file);
		wal->newest = (struct log_newest){.file = -1};
	}
	return r;
}

/* Removes snapshots that `meta` does not name, or no longer needs. */
static int snapshot_sweep(struct wal *wal, uint64_t keep, uint64_t keep_too)
{
	char name[DISK_NAME_MAX];
	uint32_t position = 0;
	uint64_t index;
	int r;

	while ((r = disk_list_now(wal->disk, &position, name)) > 0) {
		if (!snapshot_parse(name, &index) || index == keep ||
		    index == keep_too)
			continue;
		r = disk_unlink_now(wal->disk, name);
		if (r < 0)
			return log_where(wal, r, "%s: cannot be removed", name);
		position = 0; /* what is listed has changed */
	}
	return r;
}

int log_snapshot_recover(struct wal *wal)
{
	struct meta *meta = &wal->keeper.meta;
	struct meta_snapshot named = meta->snapshot;
	int r;

	if (named.index == 0)
		return snapshot_sweep(wal, 0, 0);
	r = snapshot_try(wal, &named);
	if (r == WAL_EDAMAGED) {
		/* recover_reaches() sees to it that the log fills the gap. */
		wal->must_reach = named;
		meta->snapshot = meta->previous;
		r = 0;
		if (meta->snapshot.index > 0)
			r = snapshot_try(wal, &meta->snapshot);
		if (r == WAL_EDAMAGED && wal->options.tolerate_damage) {
			meta->snapshot = (struct meta_snapshot){0};
			r = 0;
		}
		/* One that cannot be read today may be there tomorrow. */
		if (r == 0 && wal->options.tolerate_damage) {
			meta->previous = (struct meta_snapshot){0};
			return 0;
		}
	}
	if (r < 0)
		return r;
	/* A damaged one stays for whoever wants to look at it. */
	meta->previous = (struct meta_snapshot){0};
	return snapshot_sweep(wal, meta->snapshot.index, named.index);
}

int wal_snapshot_head(struct wal *wal, void *head, uint32_t room,
		      uint32_t *ret_size)
{
	const struct log_newest *newest = &wal->newest;

	if (newest->file < 0)
		return -ENOENT;
	if (newest->head_size > room)
		return -E2BIG;
	memcpy(head, newest->head, newest->head_size);
	*ret_size = newest->head_size;
	return 0;
}

int wal_snapshot_read(struct wal *wal, const void **ret_piece,
		      uint32_t *ret_size)
{
	const struct meta_snapshot *named = &wal->newest.meta;
	uint64_t offset = DISK_BLOCK + wal->image_chunk * WAL_CHUNK_SIZE;
	struct snapshot_chunk chunk;
	uint32_t size;
	int r;

	if (wal->newest.file < 0)
		return -ENOENT;
	if (offset >= named->size - DISK_BLOCK)
		return 0;
	size = snapshot_chunk_at(named->size, offset);
	r = snapshot_load(wal, offset, size);
	if (r < 0)
		return r;
	if (snapshot_check_chunk(wal->chunk, size, &chunk) < 0 ||
	    chunk.number != wal->image_chunk)
		return WAL_EDAMAGED;
	wal->image_chunk++;
	*ret_piece = wal->chunk + SNAPSHOT_CHUNK_HEADER;
	*ret_size = chunk.frame.own;
	return 1;
}
