/*
 * Every invariant of the store, for tests: what is kept as a running total is
 * counted again, what is linked is followed both ways, and every byte handed
 * out by the mapping is accounted for.
 */
#include "daemon/store/state.h"

#include <string.h>

enum {
	CHECK_TREES = 3,
};

/* What is counted on the way. */
struct census {
	const struct store *store;
	struct store_hash sum;
	uint64_t bytes;
	uint64_t logical;
	uint64_t live;
	uint64_t versions;
	uint32_t sessions_live;
	uint32_t sessions_ended;
};

static uint64_t blocks_of(const struct census *census,
			  const struct version *version)
{
	return version_charge_of(&census->store->map, version) - VERSION_FIXED;
}

static const char *check_version(const struct version *version)
{
	if (version->version == 0)
		return version->older == 0 || version->key_size != 0 ||
				       version->value_size != 0
			       ? "a tombstone ends nothing, or says more"
			       : NULL;
	if (version->create_revision > version->mod_revision ||
	    (version->version == 1) !=
		    (version->create_revision == version->mod_revision))
		return "a version was made before its key";
	return NULL;
}

/* Two neighbours in a chain. */
static const char *check_link(const struct mapping *map, uint64_t newer,
			      const struct version *version)
{
	const struct version *next = version_see(map, newer);

	if (version->newer != newer ||
	    next->mod_revision <= version->mod_revision)
		return "a chain is out of order";
	if (next->version == 0 && version->version == 0)
		return "a tombstone ends a tombstone";
	if (next->version != 0 && version->version != 0 &&
	    (next->version != version->version + 1 ||
	     next->create_revision != version->create_revision))
		return "a version does not follow from the one before";
	if (version->version == 0 && next->version != 1)
		return "a key goes on after its end";
	return NULL;
}

/* Adds a version to the census; `retained`: history still shows it. */
static void count_version(struct census *census, const struct version *version,
			  bool newest, bool retained)
{
	const struct store *store = census->store;

	census->versions++;
	census->bytes += blocks_of(census, version);
	if (newest && version->version != 0) {
		census->live++;
		hash_add(&census->sum, version->hash);
	}
	if (retained)
		census->logical += version_charge_of(&store->map, version);
}

static const char *check_chain(struct census *census, uint64_t offset)
{
	const struct store *store = census->store;
	const struct mapping *map = &store->map;
	const struct version *version;
	uint64_t newer = 0, above = UINT64_MAX;
	const char *what;
	bool retained;

	for (; offset != 0; offset = version->older) {
		version = version_see(map, offset);
		what = check_version(version);
		if (what == NULL && newer != 0)
			what = check_link(map, newer, version);
		if (what == NULL && newer == 0 && version->newer != 0)
			what = "a tree leads to an old version";
		if (what == NULL && version->version != 0 &&
		    !hash_equal(version->hash, version_hash(map, version)))
			what = "a version's hash differs from its content";
		if (what != NULL)
			return what;
		retained = version->mod_revision > store->compacted ||
			   (above > store->compacted && version->version != 0);
		count_version(census, version, newer == 0, retained);
		above = version->mod_revision;
		newer = offset;
	}
	return NULL;
}

static const char *check_keys(struct census *census)
{
	const struct store *store = census->store;
	struct key least = {(const uint8_t *)"", 0};
	struct tree_cursor cursor =
		tree_seek(&store->map, &store->keys, least, false);
	const char *what = NULL;
	uint64_t offset;

	while (what == NULL && (offset = tree_item(&store->map, &cursor))) {
		what = check_chain(census, offset);
		tree_next(&store->map, &cursor);
	}
	return what;
}

static const char *check_log(struct census *census)
{
	const struct store *store = census->store;
	struct revlog_entry entry, last = {0, store->released_swept};
	uint64_t position = store->log.first, revision = 0, mod;

	for (; position < store->log.next; position++) {
		entry = revlog_at(&store->map, &store->log, position);
		mod = version_see(&store->map, entry.version)->mod_revision;
		if (mod < revision || entry.released < last.released)
			return "the revision log is out of order";
		if (mod > store->compacted && revision <= store->compacted &&
		    last.released != store->released_compacted)
			return "a compaction released something else";
		last = entry;
		revision = mod;
	}
	if (last.released != store->released)
		return "the revision log lost count";
	census->bytes +=
		MAPPING_BLOCK_MAX *
		((store->log.next + REVLOG_SEGMENT - 1) / REVLOG_SEGMENT -
		 store->log.first / REVLOG_SEGMENT);
	return NULL;
}

static uint64_t ring_bytes(const struct mapping *map,
			   const struct session *session)
{
	uint32_t record = sizeof(struct session_record);

	if (session->ring_size == 0)
		return 0;
	if (session->ring_size <= SESSION_PART)
		return mapping_block(map, session->ring_size * record);
	return mapping_block(map, SESSION_PARTS * sizeof(uint64_t)) +
	       session->ring_size / SESSION_PART *
		       mapping_block(map, SESSION_PART_BYTES);
}

static const char *check_session(struct census *census, uint64_t offset)
{
	const struct store *store = census->store;
	const struct mapping *map = &store->map;
	const struct session *session = session_see(map, offset);
	const uint64_t *table = mapping_see(map, store->table);
	const struct session_record *record;
	uint32_t i, recorded = 0;

	if (table[session->number] != offset)
		return "a session's number is another's";
	if (!hash_equal(session->hash, session_hash(session)))
		return "a session's hash differs from its content";
	hash_add(&census->sum, session->hash);
	for (i = 0; i < session->ring_size; i++) {
		record = session_look(map, session, session->settled_below + i);
		if (record == NULL)
			continue;
		hash_add(&census->sum,
			 session_record_hash(
				 session, session->settled_below + i, record));
		recorded++;
	}
	if (recorded != session->recorded)
		return "a session lost count of its results";
	if (session->ended_index == 0)
		census->sessions_live++;
	else
		census->sessions_ended++;
	census->bytes +=
		mapping_block(map, sizeof(*session)) + ring_bytes(map, session);
	return NULL;
}

static const char *check_sessions(struct census *census)
{
	const struct store *store = census->store;
	const struct mapping *map = &store->map;
	struct key least = {(const uint8_t *)"", 0};
	struct tree_cursor cursor =
		tree_seek(map, &store->sessions, least, false);
	const char *what = NULL;
	uint64_t offset;

	while (what == NULL && (offset = tree_item(map, &cursor)) != 0) {
		what = check_session(census, offset);
		tree_next(map, &cursor);
	}
	cursor = tree_seek(map, &store->shadows, least, false);
	while ((offset = tree_item(map, &cursor)) != 0) {
		census->bytes += mapping_block(map, sizeof(struct session)) +
				 ring_bytes(map, session_see(map, offset));
		tree_next(map, &cursor);
	}
	return what;
}

static const char *check_totals(const struct census *census)
{
	const struct store *store = census->store;

	if (!hash_equal(census->sum, store->sum))
		return "the state hash differs from the state";
	if (census->live != store->live_keys ||
	    census->versions != store->version_count)
		return "keys or versions were miscounted";
	if (census->sessions_live != store->session_live ||
	    census->sessions_ended != store->session_ended)
		return "sessions were miscounted";
	if (census->logical != store->logical_bytes)
		return "the charge differs from what is retained";
	if (census->bytes != store->map.used)
		return "memory was lost";
	return NULL;
}

int store_check(const struct store *store, const char **ret_what)
{
	const struct tree *trees[CHECK_TREES] = {&store->keys, &store->sessions,
						 &store->shadows};
	struct census census = {.store = store};
	const char *what = NULL;
	uint64_t bytes = 0;
	uint32_t i;

	if (mapping_check(&store->map, ret_what) != 0)
		return -1;
	for (i = 0; i < CHECK_TREES; i++) {
		if (tree_check(&store->map, trees[i], &bytes, ret_what) != 0)
			return -1;
		census.bytes += bytes;
	}
	what = check_keys(&census);
	if (what == NULL)
		what = check_log(&census);
	if (what == NULL)
		what = check_sessions(&census);
	if (what == NULL)
		what = check_totals(&census);
	if (what == NULL)
		return 0;
	*ret_what = what;
	return -1;
}
