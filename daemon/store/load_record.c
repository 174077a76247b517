/*
 * What each record of an image (image.h) does to the store that is being
 * loaded. Keys at the compacted revision come in order and fill the tree's
 * leaves one by one; history is then written as it was, so the revision log,
 * the chains and the charges come out as they were. Whatever could not have
 * been written is refused.
 */
#include "daemon/store/load.h"

#include <errno.h>
#include <string.h>

#include "daemon/store/state.h"

int load_head(struct store *store, const uint8_t *stage)
{
	struct load *load = &store->load;
	struct image_head head;
	uint32_t i;

	memcpy(&head, stage, sizeof(head));
	if (load->phase != 0 || head.magic != IMAGE_MAGIC)
		return -EBADMSG;
	if (head.format > STORE_FORMAT)
		return -EPROTO;
	if (head.format != STORE_FORMAT ||
	    head.setting_count != SETTING_COUNT || head.revision == 0 ||
	    head.compacted > head.revision)
		return -EBADMSG;
	for (i = 0; i < SETTING_COUNT; i++) {
		setting_put(&store->settings, i, head.settings[i].value);
		store->setting_records[i] = (struct setting_record){
			head.settings[i].mod_revision,
			head.settings[i].version,
		};
	}
	if (setting_is_of_newer(&store->settings))
		return -EPROTO;
	if (!setting_are_valid(&store->settings))
		return -EBADMSG;
	if (store->settings.store_address_bytes != store->map.size)
		return -EINVAL;
	if (head.logical_bytes >
	    2 * (store->map.size / BOUNDS_ADDRESS_PER_QUOTA))
		return -EBADMSG;
	load->head = head;
	load->last_revision = head.compacted > 1 ? head.compacted : 1;
	store->session_floor = head.session_floor;
	store->compacted = head.compacted;
	store->swept = head.compacted;
	store->revision = head.revision;
	return 0;
}

int load_member(struct store *store, const uint8_t *stage)
{
	struct image_member record;

	memcpy(&record, stage, sizeof(record));
	return roster_load(store, &record.member) ? 0 : -EBADMSG;
}

int load_session(struct store *store, const uint8_t *stage)
{
	struct load *load = &store->load;
	struct session *session;
	struct image_session record;
	struct op_begin begin = {{0}, 0, 0, 0, 0, 0};

	memcpy(&record, stage, sizeof(record));
	if (load->phase < IMAGE_TYPE_HEAD || load->phase > IMAGE_TYPE_RESULT ||
	    load->results != 0 ||
	    (load->session != 0 &&
	     memcmp(session_see(&store->map, load->session)->id, record.id,
		    16) >= 0) ||
	    !session_is_sequence(record.settled_below) ||
	    record.results > OP_SEQUENCE_WINDOW ||
	    (record.ended_index != 0 && record.results != 0) ||
	    (record.ended_index == 0 &&
	     store->session_live >= store->sessions_cap) ||
	    store->session_live + store->session_ended >= store->table_size)
		return -EBADMSG;
	memcpy(begin.secret_hash, record.secret_hash, 16);
	begin.owner = record.owner;
	begin.born = record.born;
	begin.uid = record.uid;
	session = session_make(store, record.id, &begin);
	session->epoch = record.epoch;
	session->settled_below = record.settled_below;
	if (record.ended_index != 0)
		session_finish(store, session, record.ended_index);
	session_rehash(store, session);
	load->session = store->memo;
	load->results = record.results;
	load->last_sequence = record.settled_below - 1;
	return 0;
}

int load_result(struct store *store, const uint8_t *stage)
{
	struct load *load = &store->load;
	struct session *session;
	struct image_result record;
	struct store_result result;

	memcpy(&record, stage, sizeof(record));
	if (load->results == 0)
		return -EBADMSG;
	session = session_at(&store->map, load->session);
	if (record.sequence <= load->last_sequence ||
	    record.sequence - session->settled_below >= OP_SEQUENCE_WINDOW ||
	    record.flags > UINT16_MAX)
		return -EBADMSG;
	result = (struct store_result){
		.status = record.status,
		.flags = record.flags,
		.revision = record.revision,
		.aux = record.aux,
	};
	session_record(store, session, record.sequence, &result);
	load->last_sequence = record.sequence;
	load->results--;
	return 0;
}

/* A key that lives at the compacted revision: behind all that came before. */
static int load_base(struct store *store, uint64_t offset)
{
	struct mapping *map = &store->map;
	struct version *version = version_at(map, offset);
	struct key key = version_key(map, version);
	struct tree_path path;

	if (version->version == 0 || version->mod_revision > store->compacted ||
	    version->create_revision == 0 ||
	    version->create_revision > version->mod_revision)
		return -EBADMSG;
	if (tree_locate(map, &store->keys, key, &path) != 0 ||
	    !tree_at_end(map, &store->keys, &path))
		return -EBADMSG;
	tree_insert(map, &store->keys, offset, &path);
	version->hash = version_hash(map, version);
	hash_add(&store->sum, version->hash);
	store->logical_bytes += version_charge_of(map, version);
	store->live_keys++;
	store->version_count++;
	return 0;
}

/* A put as it happened: it must follow from what was there. */
static int load_put(struct store *store, uint64_t offset)
{
	struct mapping *map = &store->map;
	struct version *version = version_at(map, offset);
	uint64_t create = version->mod_revision, count = 1, found;
	struct tree_path path;

	found = tree_locate(map, &store->keys, version_key(map, version),
			    &path);
	if (found != 0 && version_see(map, found)->version != 0) {
		create = version_see(map, found)->create_revision;
		count = version_see(map, found)->version + 1;
	}
	if (version->create_revision != create || version->version != count ||
	    version->mod_revision != store->load.last_revision + 1)
		return -EBADMSG;
	version->older = found;
	write_version(store, offset, &path);
	return 0;
}

static int load_tombstone(struct store *store, const struct image_version *head,
			  struct key key)
{
	struct load *load = &store->load;
	struct mapping *map = &store->map;
	struct tree_path path;
	uint64_t found = tree_locate(map, &store->keys, key, &path);
	const struct version *last = NULL;

	if (store->log.next > store->log.first)
		last = version_see(
			map, revlog_at(map, &store->log, store->log.next - 1)
				     .version);
	if (found == 0 || version_see(map, found)->version == 0 ||
	    head->create_revision != 0 || head->lease != 0)
		return -EBADMSG;
	/* A range is one revision; a put never shares its own. */
	if (head->mod_revision != load->last_revision + 1 &&
	    (head->mod_revision != load->last_revision || last == NULL ||
	     last->version != 0 ||
	     key_compare(version_key(map, last), key) >= 0))
		return -EBADMSG;
	tree_replace(map, &path,
		     write_tombstone(store, found, head->mod_revision));
	return 0;
}

/* A version is complete, or a tombstone's key on the stage. */
int load_version_end(struct store *store)
{
	struct load *load = &store->load;
	const struct image_version *head = &load->version;
	struct key key = {load->stage + sizeof(*head), head->key_size};
	struct store_hash hash;
	int error;

	if (head->version == 0) {
		hash = hash_bytes(key.bytes, key.size);
		error = load_tombstone(store, head, key);
	} else if (head->type == IMAGE_TYPE_BASE) {
		error = load_base(store, load->body);
		hash = version_see(&store->map, load->body)->hash;
	} else {
		error = load_put(store, load->body);
		hash = version_see(&store->map, load->body)->hash;
	}
	if (error != 0 || store->logical_bytes > load->head.logical_bytes)
		return -EBADMSG;
	load->digest = hash_more(load->digest, &hash, sizeof(hash));
	if (head->type == IMAGE_TYPE_LOG)
		load->last_revision = head->mod_revision;
	load->in_body = false;
	return 0;
}

/* A version's head and key are on the stage; its value is to come. */
int load_version_begin(struct store *store)
{
	struct load *load = &store->load;
	struct mapping *map = &store->map;
	struct version *version;
	struct image_version *head = &load->version;

	if (load->phase < IMAGE_TYPE_HEAD || load->phase > head->type ||
	    load->results != 0 ||
	    (head->type == IMAGE_TYPE_BASE && head->version == 0) ||
	    (head->type == IMAGE_TYPE_LOG &&
	     (head->mod_revision <= load->head.compacted ||
	      head->mod_revision > load->head.revision)) ||
	    (head->version == 0 && head->value_size != 0) ||
	    version_charge(map, head->key_size, head->value_size) >
		    load->head.logical_bytes)
		return -EBADMSG;
	load->in_body = true;
	load->body = 0;
	load->body_done = 0;
	if (head->version == 0)
		return 0;
	load->body = version_new(map, head->key_size, head->value_size);
	version = version_at(map, load->body);
	version->create_revision = head->create_revision;
	version->mod_revision = head->mod_revision;
	version->version = head->version;
	version->lease = head->lease;
	version->hash = (struct store_hash){0, 0};
	version_write(map, version, 0, load->stage + sizeof(*head),
		      head->key_size);
	return 0;
}

int load_finish(struct store *store, const uint8_t *stage)
{
	struct load *load = &store->load;
	struct image_end end;
	struct store_hash hash;

	memcpy(&end, stage, sizeof(end));
	if (load->phase < IMAGE_TYPE_HEAD || load->results != 0 ||
	    end.records != load->records ||
	    !hash_equal(end.digest, load->digest) ||
	    load->last_revision != load->head.revision ||
	    store->logical_bytes != load->head.logical_bytes)
		return -EBADMSG;
	store_hash(store, &hash);
	if (!hash_equal(hash, load->head.hash))
		return -EBADMSG;
	store->applied = load->head.applied;
	load->ended = true;
	return 0;
}
