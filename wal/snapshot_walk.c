/*
 * What is checked of each part of a snapshot file, and across them.
 */
#include "wal/snapshot_walk.h"

int snapshot_walk_begin(struct snapshot_walk *walk, uint64_t size)
{
	memset(walk, 0, sizeof(*walk));
	XXH3_128bits_reset(&walk->root);
	walk->size = size;
	return size >= 2 * DISK_BLOCK && size % DISK_BLOCK == 0 ? 0 : -EBADMSG;
}

uint32_t snapshot_walk_due(const struct snapshot_walk *walk)
{
	if (walk->offset == walk->size)
		return 0;
	if (walk->offset == 0 || walk->offset == walk->size - DISK_BLOCK)
		return DISK_BLOCK;
	return snapshot_chunk_at(walk->size, walk->offset);
}

static int take_chunk(struct snapshot_walk *walk, const uint8_t *bytes,
		      uint32_t size)
{
	struct snapshot_chunk chunk;
	int r = snapshot_check_chunk(bytes, size, &chunk);

	if (r == 0 && (chunk.number != walk->chunk_count ||
		       chunk.index != walk->header.index ||
		       snapshot_chunk_size(chunk.frame.own) != size))
		r = -EBADMSG;
	if (r < 0)
		return r;
	walk->chunk_count++;
	walk->piece = chunk.frame.own;
	walk->image_size += chunk.frame.own;
	return 0;
}

static int take_footer(struct snapshot_walk *walk, const uint8_t *bytes)
{
	XXH128_hash_t root = XXH3_128bits_digest(&walk->root);
	struct snapshot_footer footer;
	int r = snapshot_check_footer(bytes, &footer);

	if (r == 0 && (footer.index != walk->header.index ||
		       footer.file_size != walk->size ||
		       footer.image_size != walk->image_size ||
		       footer.chunk_count != walk->chunk_count))
		r = -EBADMSG;
	if (r == 0 &&
	    (root.low64 != footer.root[0] || root.high64 != footer.root[1]))
		r = -EILSEQ;
	if (r == 0)
		walk->footer = footer;
	return r;
}

int snapshot_walk_take(struct snapshot_walk *walk, const uint8_t *bytes)
{
	uint32_t size = snapshot_walk_due(walk);
	bool last = walk->offset == walk->size - DISK_BLOCK;
	int r;

	walk->piece = 0;
	if (walk->offset == 0)
		r = snapshot_check_header(bytes, &walk->header);
	else if (last)
		r = take_footer(walk, bytes);
	else
		r = take_chunk(walk, bytes, size);
	if (r < 0)
		return r;
	if (!last)
		XXH3_128bits_update(&walk->root, bytes, size);
	walk->offset += size;
	return 0;
}
