/* The store's birth, and what is asked of it as a whole. */
#include "daemon/store/state.h"

#include <errno.h>
#include <string.h>

/* What exists once, hashed when somebody asks. */
struct once_item {
	uint64_t revision;
	uint64_t compacted;
	uint64_t session_floor;
	uint64_t logical_bytes;
	uint64_t live_keys;
	uint64_t session_live;
	uint64_t session_ended;
	struct store_settings settings;
	struct setting_record records[SETTING_COUNT];
};

/* Sets a stretch of the mapping's beginning aside; its offset. */
static uint64_t set_aside(uint64_t *end, uint64_t bytes)
{
	uint64_t offset = *end;

	*end += (bytes + 63) & ~(uint64_t)63;
	return offset;
}

int store_init(struct store **ret_store, void *base, uint64_t size,
	       const struct store_settings *settings)
{
	struct store *store = base;
	uint64_t end = 0, results, ring, table;
	uint32_t sessions = bounds_sessions_table(size), i;

	struct store_settings born = *settings;

	if (!born.cluster_version)
		born.cluster_version = 1;
	if (!setting_are_valid(&born) || born.store_address_bytes != size)
		return -EINVAL;
	(void)set_aside(&end, sizeof(*store)); /* at 0 */
	results =
		set_aside(&end, OP_ENTRY_OPS_MAX * sizeof(struct store_result));
	ring = set_aside(&end, revlog_ring_bytes(size));
	table = set_aside(&end, sessions * sizeof(uint64_t));
	memset(store, 0, sizeof(*store));
	store->settings = born;
	mapping_init(&store->map, size, end);
	store->sessions_cap = bounds_set(&store->map);
	store->results = results;
	store->table = table;
	store->table_size = sessions;
	revlog_init(&store->log, ring, revlog_ring_bytes(size));
	tree_init(&store->map, &store->keys);
	tree_init(&store->map, &store->sessions);
	tree_init(&store->map, &store->shadows);
	store->revision = 1;
	for (i = 0; i < SETTING_COUNT; i++)
		store->setting_records[i] = (struct setting_record){1, 1};
	*ret_store = store;
	return 0;
}

uint64_t store_applied(const struct store *store)
{
	return store->applied;
}

uint64_t store_revision(const struct store *store)
{
	return store->revision;
}

uint64_t store_compacted(const struct store *store)
{
	return store->compacted;
}

const struct store_settings *store_settings(const struct store *store)
{
	return &store->settings;
}

void store_hash(const struct store *store, struct store_hash *ret_hash)
{
	struct once_item once = {
		.revision = store->revision,
		.compacted = store->compacted,
		.session_floor = store->session_floor,
		.logical_bytes = store->logical_bytes,
		.live_keys = store->live_keys,
		.session_live = store->session_live,
		.session_ended = store->session_ended,
		.settings = store->settings,
	};
	uint32_t i;

	for (i = 0; i < SETTING_COUNT; i++)
		once.records[i] = store->setting_records[i];
	*ret_hash = store->sum;
	hash_add(ret_hash, roster_hash(&store->roster));
	hash_add(ret_hash, hash_bytes(&once, sizeof(once)));
}

uint32_t store_members(const struct store *store,
		       const struct store_member **ret_members)
{
	*ret_members = store->roster.members;
	return store->roster.count;
}

void store_stats(const struct store *store, struct store_stats *ret_stats)
{
	const struct mapping *map = &store->map;

	*ret_stats = (struct store_stats){
		.keys = store->live_keys,
		.versions = store->version_count,
		.sessions = store->session_live,
		.logical_bytes = store->logical_bytes,
		.used_bytes = map->used,
		.reserved_bytes = map->first + (uint64_t)map->chunk_fresh *
						       MAPPING_CHUNK_SIZE,
		.history_bytes = store->released - store->released_compacted,
		.lag_bytes = store->released_compacted - store->released_swept,
	};
}
