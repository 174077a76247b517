/*
 * Slots of the file `meta`; the format stands in wal/meta.h.
 */
#include "wal/meta.h"

#include <assert.h>

void meta_seal(void *pair, const struct meta *meta)
{
	uint8_t *bytes = pair;

	assert(meta->version > 0);
	assert(meta->frame.own == META_MAKING || meta->frame.own == META_READY);
	memset(bytes, 0, DISK_BLOCK);
	memcpy(bytes, meta, sizeof(*meta));
	frame_seal(bytes, FRAME_MAGIC_META, DISK_BLOCK);
	memcpy(bytes + DISK_BLOCK, bytes, DISK_BLOCK);
}

static bool meta_is_blank(const uint8_t *slot)
{
	size_t i;

	for (i = 0; i < DISK_BLOCK; i++) {
		if (slot[i] != 0)
			return false;
	}
	return true;
}

static bool meta_agrees(const struct meta *meta)
{
	const struct meta_gap *gap = meta->gaps;

	/* All of these were reached before they were noted. */
	for (; gap < meta->gaps + META_GAPS; gap++) {
		if (gap->from > gap->resume ||
		    gap->resume > meta->durable_sequence + 1)
			return false;
	}
	if (meta->void_before > meta->durable_sequence + 1)
		return false;
	if (meta->frame.own != META_MAKING && meta->frame.own != META_READY)
		return false;
	if (meta->boot_id[META_BOOT_ID_SIZE - 1] != '\0')
		return false;
	return meta->version > 0 && meta->version < FRAME_COUNT_MAX &&
	       meta->durable_sequence < FRAME_COUNT_MAX &&
	       meta->newest_segment < FRAME_COUNT_MAX &&
	       meta->first_segment <= meta->newest_segment + 1;
}

/* One slot: 1 valid, 0 zeros, -EBADMSG, or WAL_EFUTURE. */
static int meta_check(const uint8_t *slot, struct meta *ret_meta)
{
	struct meta meta;
	int r;

	if (meta_is_blank(slot))
		return 0;
	r = frame_check(slot, FRAME_MAGIC_META, DISK_BLOCK);
	if (r < 0)
		return r;
	memcpy(&meta, slot, sizeof(meta));
	if (!meta_agrees(&meta))
		return -EBADMSG;
	*ret_meta = meta;
	return 1;
}

int meta_choose(const void *slots, struct meta_view *ret_view)
{
	struct meta_view view = {.blank = true};
	int results[META_SLOTS];
	struct meta meta;
	int i;

	for (i = 0; i < META_SLOTS; i++) {
		results[i] = meta_check(
			(const uint8_t *)slots + (size_t)i * DISK_BLOCK, &meta);
		if (results[i] == WAL_EFUTURE)
			return WAL_EFUTURE;
		view.blank = view.blank && results[i] == 0;
		view.bad_slot = view.bad_slot || results[i] < 0;
		if (results[i] != 1)
			continue;
		if (!view.found || meta.version > view.meta.version)
			view.meta = meta;
		view.found = true;
	}
	for (i = 0; i < META_SLOTS; i += 2) {
		if (results[i] != 1 && results[i + 1] != 1 &&
		    (results[i] < 0 || results[i + 1] < 0))
			view.bad_pair = true;
	}
	*ret_view = view;
	return 0;
}
