/*
 * Writing an image. Keys need no copy: their versions at the pinned revision
 * stay where they are, since compaction stops at the pinned one. Sessions
 * come first, as they change with every operation: what was touched before
 * it was written left a shadow (session.h). A slice ends anywhere, also in
 * the middle of a record.
 */
#include "daemon/store/image.h"

#include <errno.h>
#include <string.h>

#include "daemon/store/state.h"

/* The record to be written next is what was composed. */
static void set_record(struct image *image, const void *record, uint32_t size)
{
	assert(size <= sizeof(image->record) && size % 8 == 0);
	memcpy(image->record, record, size);
	image->record_size = size;
	image->record_done = 0;
	image->body_size = 0;
	image->body_done = 0;
	image->digest = hash_more(image->digest, record, size);
	image->records++;
}

void store_image_begin(struct store *store)
{
	struct image *image = &store->image;
	struct image_head head = {
		.size = sizeof(head),
		.type = IMAGE_TYPE_HEAD,
		.magic = IMAGE_MAGIC,
		.format = STORE_FORMAT,
		.setting_count = SETTING_COUNT,
		.applied = store->applied,
		.revision = store->revision,
		.compacted = store->compacted,
		.session_floor = store->session_floor,
		.logical_bytes = store->logical_bytes,
	};
	uint32_t i, budget = UINT32_MAX;

	assert(image->phase == IMAGE_NONE && !store->apply.active);
	(void)session_drop_shadows(store, &budget); /* it suffices */
	memset(image, 0, sizeof(*image));
	store_hash(store, &head.hash);
	for (i = 0; i < SETTING_COUNT; i++)
		head.settings[i] = (struct image_setting){
			setting_get(&store->settings, i),
			store->setting_records[i].mod_revision,
			store->setting_records[i].version,
		};
	image->phase = IMAGE_MEMBERS;
	image->roster = store->roster;
	image->stamp = ++store->stamp;
	image->compacted = store->compacted;
	image->revision = store->revision;
	set_record(image, &head, sizeof(head));
}

void store_image_end(struct store *store)
{
	assert(store->image.phase != IMAGE_NONE);
	/* Shadows that are left over go with the next compaction. */
	store->image.phase = IMAGE_NONE;
}

/* The results of the session that was begun; false: there are no more. */
static bool compose_result(struct store *store)
{
	struct image *image = &store->image;
	struct key key = {image->session, 16};
	uint64_t shadow = tree_find(&store->map, &store->shadows, key);
	uint64_t offset =
		shadow != 0 ? shadow
			    : tree_find(&store->map, &store->sessions, key);
	const struct session *session = session_see(&store->map, offset);
	const struct session_record *record = NULL;
	uint64_t end = session->settled_below + session->ring_size;

	while (image->sequence < end && record == NULL)
		record = session_look(&store->map, session, image->sequence++);
	if (record == NULL) {
		image->in_session = false;
		if (shadow != 0)
			session_drop_shadow(store, shadow);
		return false;
	}
	set_record(image,
		   &(struct image_result){
			   .size = sizeof(struct image_result),
			   .type = IMAGE_TYPE_RESULT,
			   .sequence = image->sequence - 1,
			   .revision = record->revision,
			   .aux = record->aux,
			   .status = record->status,
			   .flags = record->flags,
		   },
		   sizeof(struct image_result));
	return true;
}

/*
 * The next session as it was when the image began; 0: there is none, or it
 * began later and was passed over (*ret_passed).
 */
static uint64_t next_session(struct store *store, bool *ret_passed)
{
	const struct mapping *map = &store->map;
	struct image *image = &store->image;
	struct key last = {image->session, image->any_session ? 16 : 0};
	struct tree_cursor cursor = tree_seek(map, &store->shadows, last, true);
	uint64_t shadow = tree_item(map, &cursor), live;

	cursor = tree_seek(map, &store->sessions, last, true);
	live = tree_item(map, &cursor);
	*ret_passed = false;
	if (live == 0)
		return shadow;
	if (shadow != 0 && memcmp(session_see(map, shadow)->id,
				  session_see(map, live)->id, 16) <= 0)
		return shadow;
	if (session_see(map, live)->stamp != image->stamp)
		return live;
	memcpy(image->session, session_see(map, live)->id, 16);
	image->any_session = true;
	*ret_passed = true;
	return 0;
}

static void compose_session(struct store *store)
{
	struct image *image = &store->image;
	const struct session *session;
	struct image_session record = {0};
	uint64_t offset;
	bool passed;

	if (image->in_session && compose_result(store))
		return;
	offset = next_session(store, &passed);
	if (passed)
		return;
	if (offset == 0) {
		image->phase = IMAGE_BASE;
		return;
	}
	session = session_see(&store->map, offset);
	record = (struct image_session){
		.size = sizeof(record),
		.type = IMAGE_TYPE_SESSION,
		.owner = session->owner,
		.born = session->born,
		.epoch = session->epoch,
		.settled_below = session->settled_below,
		.ended_index = session->ended_index,
		.uid = session->uid,
		.results = session->recorded,
	};
	memcpy(record.id, session->id, 16);
	memcpy(record.secret_hash, session->secret_hash, 16);
	memcpy(image->session, session->id, 16);
	image->any_session = true;
	image->in_session = true;
	image->sequence = session->settled_below;
	set_record(image, &record, sizeof(record));
}

static void compose_version(struct store *store, uint32_t type, uint64_t offset)
{
	struct image *image = &store->image;
	const struct version *version = version_see(&store->map, offset);
	struct key key = version_key(&store->map, version);
	struct store_hash hash = version->hash;
	struct image_version record = {
		.size = image_version_size(key.size, version->value_size),
		.type = type,
		.key_size = key.size,
		.value_size = version->value_size,
		.create_revision = version->create_revision,
		.mod_revision = version->mod_revision,
		.version = version->version,
		.lease = version->lease,
	};

	if (version->version == 0)
		hash = hash_bytes(key.bytes, key.size);
	set_record(image, &record, sizeof(record));
	image->digest = hash_more(image->digest, &hash, sizeof(hash));
	image->body = version->version == 0 ? version->older : offset;
	image->body_data = key.size + version->value_size;
	image->body_size = record.size - (uint32_t)sizeof(record);
}

/* The next key that lives at the compacted revision. */
static void compose_base(struct store *store, uint32_t *budget)
{
	const struct mapping *map = &store->map;
	struct image *image = &store->image;
	struct key key = {image->resume, image->resume_size};
	struct tree_cursor cursor =
		tree_seek(map, &store->keys, key, image->chain == 0);
	const struct version *version = NULL;
	uint64_t offset = tree_item(map, &cursor);

	if (offset == 0) {
		image->phase = IMAGE_LOG;
		image->position =
			revlog_after(map, &store->log, image->compacted);
		return;
	}
	key = version_key(map, version_see(map, offset));
	memcpy(image->resume, key.bytes, key.size);
	image->resume_size = key.size;
	if (image->chain != 0)
		offset = image->chain;
	image->chain = 0;
	while (offset != 0) {
		version = version_see(map, offset);
		if (version->mod_revision <= image->compacted)
			break;
		if (!budget_spend(budget, 1)) {
			image->chain = offset;
			return;
		}
		offset = version->older;
	}
	if (offset != 0 && version->version != 0)
		compose_version(store, IMAGE_TYPE_BASE, offset);
}

static void compose_log(struct store *store)
{
	struct image *image = &store->image;
	struct revlog_entry entry = {0, 0};

	if (image->position < store->log.next)
		entry = revlog_at(&store->map, &store->log, image->position);
	if (entry.version == 0 ||
	    version_see(&store->map, entry.version)->mod_revision >
		    image->revision) {
		image->phase = IMAGE_END;
		return;
	}
	compose_version(store, IMAGE_TYPE_LOG, entry.version);
	image->position++;
}

static void compose_end(struct store *store)
{
	struct image *image = &store->image;
	struct image_end end = {
		.size = sizeof(end),
		.type = IMAGE_TYPE_END,
		.records = image->records,
		.digest = image->digest,
	};

	set_record(image, &end, sizeof(end));
	image->phase = IMAGE_DONE;
}

static void compose_member(struct image *image)
{
	struct image_member record = {
		.size = sizeof(record),
		.type = IMAGE_TYPE_MEMBER,
	};

	if (image->member == image->roster.count) {
		image->phase = IMAGE_SESSIONS;
		return;
	}
	record.member = image->roster.members[image->member++];
	set_record(image, &record, sizeof(record));
}

static void compose(struct store *store, uint32_t *budget)
{
	switch (store->image.phase) {
	case IMAGE_MEMBERS:
		compose_member(&store->image);
		return;
	case IMAGE_SESSIONS:
		compose_session(store);
		return;
	case IMAGE_BASE:
		compose_base(store, budget);
		return;
	case IMAGE_LOG:
		compose_log(store);
		return;
	default:
		compose_end(store);
		return;
	}
}

/* Copies what is left of the record, and then of its body, as far as it fits. */
static uint32_t drain(const struct store *store, struct image *image,
		      uint8_t *piece, uint32_t room)
{
	uint32_t size = image->record_size - image->record_done, used, data;

	used = size < room ? size : room;
	memcpy(piece, image->record + image->record_done, used);
	image->record_done += used;
	size = image->body_size - image->body_done;
	if (size > room - used)
		size = room - used;
	if (size == 0)
		return used;
	data = image->body_data - image->body_done;
	if (image->body_done > image->body_data)
		data = 0;
	if (data > size)
		data = size;
	if (data > 0)
		version_read(&store->map, version_see(&store->map, image->body),
			     image->body_done, piece + used, data);
	memset(piece + used + data, 0, size - data);
	image->body_done += size;
	return used + size;
}

static bool is_drained(const struct image *image)
{
	return image->record_done == image->record_size &&
	       image->body_done == image->body_size;
}

int store_image_next(struct store *store, uint8_t *piece, uint32_t room,
		     uint32_t budget, uint32_t *ret_used)
{
	struct image *image = &store->image;
	uint32_t used = 0, size;

	assert(image->phase != IMAGE_NONE && room >= STORE_PIECE_MIN);
	*ret_used = 0;
	if (image->phase == IMAGE_BROKEN)
		return -ECANCELED;
	for (;;) {
		size = drain(store, image, piece + used, room - used);
		used += size;
		*ret_used = used;
		if (!is_drained(image) || image->phase == IMAGE_DONE)
			break;
		if (budget == 0)
			return 1;
		compose(store, &budget);
		(void)budget_spend(&budget, 2 + image->body_size / 1024);
	}
	return is_drained(image) ? 0 : 1;
}
