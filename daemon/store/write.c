/*
 * What operations do to keys. A write that changes something has the next
 * revision; it becomes visible when the operation is whole. Until then its
 * versions lie in the tree with a revision that nobody reads.
 */
#include "daemon/store/state.h"

#include <string.h>

enum {
	DELETE_SLICE = 4096, /* keys, before apply looks for room again */
};

/* The newest version of a key takes its place in front of the others. */
void write_version(struct store *store, uint64_t offset, struct tree_path *path)
{
	struct mapping *map = &store->map;
	struct version *version = version_at(map, offset), *older;

	if (!path->found) {
		tree_insert(map, &store->keys, offset, path);
	} else {
		assert(version->older != 0);
		older = version_at(map, version->older);
		older->newer = offset;
		if (older->version != 0) {
			hash_subtract(&store->sum, older->hash);
			store->released += version_charge_of(map, older);
			store->live_keys--;
		}
		tree_replace(map, path, offset);
	}
	version->hash = version_hash(map, version);
	hash_add(&store->sum, version->hash);
	store->logical_bytes += version_charge_of(map, version);
	store->live_keys++;
	store->version_count++;
	revlog_push(map, &store->log,
		    (struct revlog_entry){offset, store->released});
}

uint64_t write_tombstone(struct store *store, uint64_t older, uint64_t revision)
{
	struct mapping *map = &store->map;
	struct version *before = version_at(map, older);
	uint64_t offset = version_new(map, 0, 0);
	struct version *version = version_at(map, offset);
	uint64_t charge = version_charge(map, 0, 0);

	assert(before->version != 0 && before->newer == 0);
	version->older = older;
	version->create_revision = 0;
	version->mod_revision = revision;
	version->version = 0;
	version->lease = 0;
	version->hash = (struct store_hash){0, 0};
	before->newer = offset;
	hash_subtract(&store->sum, before->hash);
	store->released += version_charge_of(map, before) + charge;
	store->logical_bytes += charge;
	store->live_keys--;
	store->version_count++;
	revlog_push(map, &store->log,
		    (struct revlog_entry){offset, store->released});
	return offset;
}

static void put(struct store *store, const struct op *op,
		const struct version *older, struct tree_path *path)
{
	struct mapping *map = &store->map;
	uint64_t offset =
		version_new(map, op->head.key_size, op->head.value_size);
	struct version *version = version_at(map, offset);

	version->mod_revision = store->revision + 1;
	version->create_revision = version->mod_revision;
	version->version = 1;
	version->lease = op->head.lease;
	if (older != NULL) {
		version->older = (uint64_t)((const uint8_t *)older -
					    (const uint8_t *)map);
		if (older->version != 0) {
			version->create_revision = older->create_revision;
			version->version = older->version + 1;
		}
	}
	/* Key and value lie side by side, there as here. */
	version_write(map, version, 0, op->key,
		      op->head.key_size + op->head.value_size);
	write_version(store, offset, path);
	store->revision++;
}

void write_put(struct store *store, const struct op *op,
	       struct store_result *ret_result)
{
	struct mapping *map = &store->map;
	uint64_t charge =
		version_charge(map, op->head.key_size, op->head.value_size);
	uint64_t quota = store->settings.quota_bytes, found;
	const struct version *older = NULL;
	struct tree_path path;

	/* There are no leases yet, so none is found. */
	if (op->head.lease != 0) {
		ret_result->status = CONCLAVE_ENOTFOUND;
		return;
	}
	found = tree_locate(map, &store->keys,
			    (struct key){op->key, op->head.key_size}, &path);
	if (found != 0)
		older = version_see(map, found);
	if (op->head.type == OP_CAS) {
		found = older != NULL && older->version != 0
				? older->mod_revision
				: 0;
		if (found != op->head.argument) {
			ret_result->status = CONCLAVE_ECOMPARE;
			ret_result->aux = found;
			return;
		}
	}
	if (charge > quota || store->logical_bytes > quota - charge) {
		ret_result->status = CONCLAVE_EQUOTA;
		return;
	}
	put(store, op, older, &path);
	ret_result->revision = store->revision;
	if (op->head.type == OP_CAS)
		ret_result->flags = CONCLAVE_RESULT_SUCCEEDED;
}

static void delete_one(struct store *store, const struct op *op)
{
	struct mapping *map = &store->map;
	struct tree_path path;
	uint64_t found =
		tree_locate(map, &store->keys,
			    (struct key){op->key, op->head.key_size}, &path);

	if (found == 0 || version_see(map, found)->version == 0)
		return;
	tree_replace(map, &path,
		     write_tombstone(store, found, store->revision + 1));
	store->apply.deleted++;
}

/* A slice of a range: 1 when there is more. */
static int delete_some(struct store *store, const struct op *op,
		       uint32_t *budget)
{
	struct mapping *map = &store->map;
	struct apply *apply = &store->apply;
	struct key begin = {op->key, op->head.key_size};
	struct key end = {op->value, op->head.value_size}, key;
	bool endless = end.size == 1 && end.bytes[0] == 0;
	struct tree_cursor cursor;
	uint64_t found;
	uint32_t steps = 0;

	if (apply->deleting)
		begin = (struct key){apply->resume, apply->resume_size};
	cursor = tree_seek(map, &store->keys, begin, apply->deleting);
	while ((found = tree_item(map, &cursor)) != 0) {
		key = version_key(map, version_see(map, found));
		if (!endless && key_compare(key, end) >= 0)
			return 0;
		if (version_see(map, found)->version != 0) {
			tree_replace_at(map, &cursor,
					write_tombstone(store, found,
							store->revision + 1));
			apply->deleted++;
		}
		(void)budget_spend(budget, 2); /* one key at least */
		if (*budget == 0 || ++steps == DELETE_SLICE) {
			memcpy(apply->resume, key.bytes, key.size);
			apply->resume_size = key.size;
			apply->deleting = true;
			return 1;
		}
		tree_next(map, &cursor);
	}
	return 0;
}

int write_delete(struct store *store, const struct op *op, uint32_t *budget,
		 struct store_result *ret_result)
{
	struct apply *apply = &store->apply;

	if (!apply->deleting)
		apply->deleted = 0;
	if (op->head.value_size == 0)
		delete_one(store, op);
	else if (delete_some(store, op, budget) != 0)
		return 1;
	apply->deleting = false;
	if (apply->deleted > 0)
		store->revision++;
	ret_result->revision = store->revision;
	ret_result->aux = apply->deleted;
	return 0;
}
