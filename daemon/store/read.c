/*
 * Reads: a walk over the tree's leaves at one revision. A slice ends at a key
 * or within a long chain of versions newer than what is asked for; where it
 * ended is found again by the key, since the tree may have changed, and by
 * the version, which the pinned revision keeps in place.
 */
#include "daemon/store/state.h"

#include <string.h>

static struct key read_end(const struct store_read *read)
{
	return (struct key){read->end, read->end_size};
}

static bool is_endless(const struct store_read *read)
{
	return read->end_size == 1 && read->end[0] == 0;
}

static int begin(struct store *store, struct store_read *read)
{
	if (read->key_size == 0 || read->key_size > OP_KEY_MAX ||
	    read->end_size > OP_KEY_MAX)
		return CONCLAVE_EBADREQ;
	if (read->revision == 0 || (read->flags & STORE_READ_SYSTEM) != 0)
		read->revision = store->revision;
	if (read->revision > store->revision)
		return CONCLAVE_EFUTURE;
	if (read->revision < store->compacted)
		return CONCLAVE_ECOMPACTED;
	read->used = 0;
	read->needed = 0;
	read->count = 0;
	read->more = false;
	read->resume_size = 0;
	read->chain = 0;
	read->pin = 0;
	read->begun = true;
	return 0;
}

/* A record as it goes into `out`; what is not known of a setting is 0. */
struct source {
	struct cv_record head;
	struct key key;
	const struct version *version; /* NULL: `text` is the value */
	const char *text;
};

/* Whether the record fits; it is counted then. */
static bool emit(const struct store *store, struct store_read *read,
		 const struct source *source)
{
	const struct cv_record *head = &source->head;
	uint64_t size =
		sizeof(*head) + head->key_size + (uint64_t)head->value_size;
	uint64_t padded = (size + 7) & ~(uint64_t)7;
	uint8_t *out;

	if (padded > read->room - read->used) {
		if (read->count == 0)
			read->needed = (uint32_t)padded;
		return false;
	}
	out = read->out + read->used;
	memcpy(out, head, sizeof(*head));
	memcpy(out + sizeof(*head), source->key.bytes, head->key_size);
	if (source->version == NULL)
		memcpy(out + sizeof(*head) + head->key_size, source->text,
		       head->value_size);
	else
		version_read(&store->map, source->version, head->key_size,
			     out + sizeof(*head) + head->key_size,
			     head->value_size);
	memset(out + size, 0, padded - size);
	read->used += (uint32_t)padded;
	return true;
}

enum verdict {
	VERDICT_ON = 0, /* to the next key */
	VERDICT_DONE = 1,
};

/* A key that is there at the revision. */
static enum verdict take(const struct store *store, struct store_read *read,
			 const struct source *source)
{
	if ((read->flags & STORE_READ_COUNT) != 0) {
		read->count++;
		return VERDICT_ON;
	}
	if ((read->limit != 0 && read->count == read->limit) ||
	    !emit(store, read, source)) {
		read->more = true;
		return VERDICT_DONE;
	}
	read->count++;
	return VERDICT_ON;
}

static enum verdict take_version(const struct store *store,
				 struct store_read *read,
				 const struct version *version)
{
	struct source source = {
		.head =
			{
				.key_size = version->key_size,
				.value_size =
					(read->flags & STORE_READ_KEYS) != 0
						? 0
						: version->value_size,
				.create_revision = version->create_revision,
				.mod_revision = version->mod_revision,
				.version = version->version,
				.lease = version->lease,
			},
		.key = {version_data(version), version->key_size},
		.version = version,
	};

	return take(store, read, &source);
}

static int read_settings(const struct store *store, struct store_read *read)
{
	char text[SETTING_VALUE_MAX];
	struct key wanted = {read->key, read->key_size}, key;
	struct source source;
	uint32_t id;
	int order;

	for (id = 0; id < SETTING_COUNT; id++) {
		key.bytes = (const uint8_t *)setting_name(id);
		key.size = (uint32_t)strlen(setting_name(id));
		order = key_compare(key, wanted);
		if (order < 0 || (read->end_size == 0 && order != 0))
			continue;
		if (read->end_size != 0 && !is_endless(read) &&
		    key_compare(key, read_end(read)) >= 0)
			break;
		source = (struct source){
			.head =
				{
					.key_size = key.size,
					.value_size = setting_format(
						setting_get(&store->settings,
							    id),
						text),
					.create_revision = 1,
					.mod_revision =
						store->setting_records[id]
							.mod_revision,
					.version = store->setting_records[id]
							   .version,
				},
			.key = key,
			.text = text,
		};
		if ((read->flags & STORE_READ_KEYS) != 0)
			source.head.value_size = 0;
		if (take(store, read, &source) == VERDICT_DONE)
			break;
	}
	return read->needed != 0 ? CONCLAVE_ETOOSMALL : 0;
}

/* Goes down a chain: 1 when the budget ran out, with where it was in chain. */
static int descend(const struct store *store, struct store_read *read,
		   uint64_t offset, uint32_t *budget,
		   const struct version **ret_version)
{
	const struct version *version = NULL;

	if (read->chain != 0)
		offset = read->chain;
	read->chain = 0;
	while (offset != 0) {
		version = version_see(&store->map, offset);
		if (version->mod_revision <= read->revision)
			break;
		if (!budget_spend(budget, 1)) {
			read->chain = offset;
			return 1;
		}
		offset = version->older;
	}
	if (offset == 0 || version->version == 0)
		version = NULL;
	*ret_version = version;
	return 0;
}

static int read_one(const struct store *store, struct store_read *read,
		    uint32_t *budget)
{
	struct key key = {read->key, read->key_size};
	const struct version *version = NULL;

	if (descend(store, read, tree_find(&store->map, &store->keys, key),
		    budget, &version) != 0)
		return 1;
	if (version != NULL)
		(void)take_version(store, read, version); /* there is no next */
	return 0;
}

static int read_range(const struct store *store, struct store_read *read,
		      uint32_t *budget)
{
	struct key key = {read->key, read->key_size};
	const struct version *version = NULL;
	struct tree_cursor cursor;
	uint64_t offset;
	bool again = read->chain != 0;

	if (read->resume_size != 0)
		key = (struct key){read->resume, read->resume_size};
	cursor = tree_seek(&store->map, &store->keys, key,
			   read->resume_size != 0 && !again);
	while ((offset = tree_item(&store->map, &cursor)) != 0) {
		key = version_key(&store->map,
				  version_see(&store->map, offset));
		if (!is_endless(read) && key_compare(key, read_end(read)) >= 0)
			return 0;
		if (descend(store, read, offset, budget, &version) != 0 ||
		    (version != NULL &&
		     take_version(store, read, version) == VERDICT_DONE))
			break;
		(void)budget_spend(budget, 1); /* one key at least */
		if (*budget == 0)
			break;
		tree_next(&store->map, &cursor);
	}
	if (offset == 0 || read->more)
		return 0;
	memcpy(read->resume, key.bytes, key.size);
	read->resume_size = key.size;
	return 1;
}

void store_read_end(struct store *store, struct store_read *read)
{
	if (read->begun)
		pin_give(store, read->pin, read->pin_stamp);
	read->pin = 0;
	read->begun = false;
}

int store_read(struct store *store, struct store_read *read, uint32_t budget)
{
	int status = 0;

	if (!read->begun) {
		status = begin(store, read);
		if (status != 0)
			return status;
	}
	if (read->revision < store->swept)
		status = CONCLAVE_ECOMPACTED;
	else if ((read->flags & STORE_READ_SYSTEM) != 0)
		status = read_settings(store, read);
	else if (read->end_size == 0)
		status = read_one(store, read, &budget);
	else
		status = read_range(store, read, &budget);
	if (status == 1) {
		if (read->pin == 0)
			read->pin = pin_take(store, read->revision,
					     &read->pin_stamp);
		return 1;
	}
	if (status == 0 && read->needed != 0)
		status = CONCLAVE_ETOOSMALL;
	store_read_end(store, read);
	return status;
}
