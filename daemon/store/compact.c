/*
 * Compaction. Logically it is one number: history up to it may no longer be
 * asked for, and what it held is no longer charged. Physically it walks the
 * revision log up to that number, in slices: each version ends the one before
 * it in its chain, and a tombstone ends itself as well, so every step frees
 * at most two versions and never has to look for what else exists.
 *
 * The walk stops at what an image or a read in slices has pinned. When memory
 * gets scarce (mapping.h: the slack), apply does the walk first, and if need
 * be breaks the pins: the reads answer CONCLAVE_ECOMPACTED, the image is
 * begun again by whoever wants it.
 */
#include "daemon/store/state.h"

enum {
	COMPACT_GROUP = 16, /* entries that are warmed together */
};

int compact_to(struct store *store, uint64_t revision)
{
	uint64_t position;

	if (revision <= store->compacted)
		return CONCLAVE_ECOMPACTED;
	if (revision > store->revision)
		return CONCLAVE_EFUTURE;
	position = revlog_after(&store->map, &store->log, revision);
	store->compacted = revision;
	if (position > store->log.first) {
		uint64_t released =
			revlog_at(&store->map, &store->log, position - 1)
				.released;

		assert(released >= store->released_compacted);
		store->logical_bytes -= released - store->released_compacted;
		store->released_compacted = released;
	}
	return 0;
}

uint32_t pin_take(struct store *store, uint64_t revision, uint64_t *ret_stamp)
{
	uint32_t i;

	assert(revision > 0);
	for (i = 0; i < STATE_PINS; i++) {
		if (store->pins[i].revision != 0)
			continue;
		store->pins[i].revision = revision;
		store->pins[i].stamp = ++store->stamp;
		*ret_stamp = store->stamp;
		return i + 1;
	}
	return 0;
}

void pin_give(struct store *store, uint32_t pin, uint64_t stamp)
{
	assert(pin <= STATE_PINS);
	if (pin > 0 && store->pins[pin - 1].stamp == stamp)
		store->pins[pin - 1].revision = 0;
}

static bool image_pins(const struct store *store)
{
	return store->image.phase != IMAGE_NONE &&
	       store->image.phase != IMAGE_BROKEN;
}

/* How far the walk may go. */
static uint64_t goal(const struct store *store)
{
	uint64_t revision = store->compacted;
	uint32_t i;

	if (image_pins(store) && store->image.compacted < revision)
		revision = store->image.compacted;
	for (i = 0; i < STATE_PINS; i++)
		if (store->pins[i].revision != 0 &&
		    store->pins[i].revision < revision)
			revision = store->pins[i].revision;
	return revision > store->swept ? revision : store->swept;
}

/* Frees what a version made obsolete, the leaf's word bumped first. */
static void sweep(struct store *store, uint64_t offset)
{
	struct mapping *map = &store->map;
	struct version *version = version_at(map, offset);
	uint64_t older = version->older;
	struct key key;
	struct tree_path path;

	if (older == 0)
		return;
	key = version_key(map, version);
	if (version->version != 0 || version->newer != 0) {
		tree_bump(map, &store->keys, key);
	} else {
		(void)tree_locate(map, &store->keys, key,
				  &path); /* it is there */
		tree_remove(map, &store->keys, &path);
	}
	if (version->version != 0) {
		version->older = 0;
	} else {
		if (version->newer != 0)
			version_at(map, version->newer)->older = 0;
		version_free(map, offset);
		store->version_count--;
	}
	version_free(map, older);
	store->version_count--;
}

/* Brings into the cache what the next steps will look at. */
static void warm(const struct store *store)
{
	const struct mapping *map = &store->map;
	uint64_t first = store->log.first, count = store->log.next - first, i;
	const struct version *version[COMPACT_GROUP];

	if (count > COMPACT_GROUP)
		count = COMPACT_GROUP;
	for (i = 0; i < count; i++) {
		version[i] = version_see(
			map, revlog_at(map, &store->log, first + i).version);
		__builtin_prefetch(version[i], 1);
		__builtin_prefetch((const uint8_t *)version[i] + 64);
	}
	for (i = 0; i < count; i++) {
		if (version[i]->older == 0)
			continue;
		mapping_warm(map, version[i]->older);
		(void)tree_warm_leaf(map, &store->keys,
				     version_key(map, version[i]));
	}
}

int store_compact(struct store *store, uint32_t budget)
{
	struct mapping *map = &store->map;
	struct revlog *log = &store->log;
	struct revlog_entry entry;
	uint32_t steps = 0;

	/* The goal never lies beyond what is compacted: no pin to look for. */
	if (store->swept != store->compacted)
		store->swept = goal(store);
	while (log->first < log->next) {
		entry = revlog_at(map, log, log->first);
		if (version_see(map, entry.version)->mod_revision >
		    store->swept)
			break;
		if (!budget_spend(&budget, 2))
			return 1;
		if (steps++ % COMPACT_GROUP == 0 && budget > 0)
			warm(store);
		/* The entry goes first: it names what is freed. */
		revlog_drop(map, log);
		store->released_swept = entry.released;
		sweep(store, entry.version);
	}
	/* Shadows that a broken image left behind. */
	if (!image_awaits_sessions(&store->image) &&
	    !session_drop_shadows(store, &budget))
		return 1;
	return 0;
}

static void break_pins(struct store *store)
{
	uint32_t i;

	for (i = 0; i < STATE_PINS; i++)
		store->pins[i] = (struct pin){0};
	if (image_pins(store))
		store->image.phase = IMAGE_BROKEN;
}

int compact_for_room(struct store *store, uint32_t *budget)
{
	uint32_t slice = *budget;

	if (mapping_slack(&store->map) >= BOUNDS_RESERVE)
		return 0;
	if (store->released_compacted == store->released_swept &&
	    store->shadows.count == 0)
		return 0;
	break_pins(store);
	*budget = 0;
	return store_compact(store, slice);
}
