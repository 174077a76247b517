/* The results of a session's unsettled sequences, in their ring. */
#include "daemon/store/state.h"

#include <string.h>

/* The offset of the record where a sequence has its place. */
static uint64_t place_of(const struct mapping *map,
			 const struct session *session, uint64_t sequence)
{
	uint32_t index = (uint32_t)(sequence & (session->ring_size - 1));
	const uint64_t *parts;
	uint64_t part = session->ring;

	assert(session->ring_size > 0);
	if (session->ring_size > SESSION_PART) {
		parts = mapping_see(map, session->ring);
		part = parts[index / SESSION_PART];
		index %= SESSION_PART;
	}
	return part + index * sizeof(struct session_record);
}

const struct session_record *session_look(const struct mapping *map,
					  const struct session *session,
					  uint64_t sequence)
{
	const struct session_record *record;

	if (sequence < session->settled_below ||
	    sequence - session->settled_below >= session->ring_size)
		return NULL;
	record = mapping_see(map, place_of(map, session, sequence));
	return record->present != 0 ? record : NULL;
}

static uint64_t part_new(struct mapping *map, uint32_t records)
{
	uint32_t size = records * (uint32_t)sizeof(struct session_record);
	uint64_t offset = mapping_take(map, mapping_class(map, size));

	memset(mapping_at(map, offset), 0, size);
	return offset;
}

static void ring_new(struct mapping *map, struct session *session,
		     uint32_t size)
{
	uint64_t *parts;
	uint32_t i;

	assert(size >= SESSION_RING_MIN && size <= OP_SEQUENCE_WINDOW);
	session->ring_size = size;
	if (size <= SESSION_PART) {
		session->ring = part_new(map, size);
		return;
	}
	session->ring = mapping_take(
		map, mapping_class(map, SESSION_PARTS * sizeof(uint64_t)));
	parts = mapping_at(map, session->ring);
	for (i = 0; i < size / SESSION_PART; i++)
		parts[i] = part_new(map, SESSION_PART);
}

void session_free_ring(struct mapping *map, struct session *session)
{
	const uint64_t *parts;
	uint32_t i;

	if (session->ring_size > SESSION_PART) {
		parts = mapping_see(map, session->ring);
		for (i = 0; i < session->ring_size / SESSION_PART; i++)
			mapping_give(map, parts[i]);
	}
	if (session->ring_size > 0)
		mapping_give(map, session->ring);
	session->ring_size = 0;
	session->ring = 0;
}

void session_resize(struct mapping *map, struct session *session, uint32_t size)
{
	struct session old = *session;
	const struct session_record *record;
	uint64_t sequence, end;

	ring_new(map, session, size);
	end = old.settled_below + (old.ring_size < size ? old.ring_size : size);
	for (sequence = old.settled_below; sequence < end; sequence++) {
		record = session_look(map, &old, sequence);
		if (record == NULL)
			continue;
		memcpy(mapping_at(map, place_of(map, session, sequence)),
		       record, sizeof(*record));
	}
	session_free_ring(map, &old);
}

void session_settle(struct store *store, struct session *session,
		    uint64_t settled_below)
{
	struct session_record *record;
	uint64_t sequence = session->settled_below;

	assert(settled_below >= sequence);
	for (; session->recorded > 0 && sequence < settled_below; sequence++) {
		record = mapping_at(&store->map,
				    place_of(&store->map, session, sequence));
		if (record->present == 0)
			continue;
		hash_subtract(&store->sum,
			      session_record_hash(session, sequence, record));
		record->present = 0;
		session->recorded--;
	}
	session->settled_below = settled_below;
}

void session_record(struct store *store, struct session *session,
		    uint64_t sequence, const struct store_result *result)
{
	uint64_t above = sequence - session->settled_below;
	uint32_t size = session->ring_size;
	struct session_record *record;

	assert(sequence >= session->settled_below);
	assert(above < OP_SEQUENCE_WINDOW);
	session_touch(store, session);
	if (above >= size) {
		if (size == 0)
			size = SESSION_RING_MIN;
		while (size <= above)
			size *= 2;
		session_resize(&store->map, session, size);
	}
	record = mapping_at(&store->map,
			    place_of(&store->map, session, sequence));
	assert(record->present == 0);
	*record = (struct session_record){
		.revision = result->revision,
		.aux = result->aux,
		.status = result->status,
		.flags = (uint16_t)result->flags,
		.present = 1,
	};
	session->recorded++;
	hash_add(&store->sum, session_record_hash(session, sequence, record));
}

/* Whether the image that is being written still wants the session as it is. */
static bool needs_shadow(const struct store *store,
			 const struct session *session)
{
	const struct image *image = &store->image;
	int order;

	if (!image_awaits_sessions(image) || session->stamp == image->stamp)
		return false;
	if (!image->any_session)
		return true;
	order = memcmp(session->id, image->session, 16);
	return order > 0 || (order == 0 && image->in_session);
}

void session_touch(struct store *store, struct session *session)
{
	struct mapping *map = &store->map;
	struct tree_path path;
	struct session *shadow;
	uint64_t offset, sequence;

	if (!needs_shadow(store, session))
		return;
	offset = mapping_take(map, mapping_class(map, sizeof(*shadow)));
	shadow = session_at(map, offset);
	*shadow = *session;
	if (session->ring_size > 0)
		ring_new(map, shadow, session->ring_size);
	for (sequence = 0; sequence < session->ring_size; sequence++)
		memcpy(mapping_at(map, place_of(map, shadow, sequence)),
		       mapping_see(map, place_of(map, session, sequence)),
		       sizeof(struct session_record));
	(void)tree_locate(map, &store->shadows, (struct key){session->id, 16},
			  &path); /* it is not there */
	tree_insert(map, &store->shadows, offset, &path);
	session->stamp = store->image.stamp;
}

void session_drop_shadow(struct store *store, uint64_t offset)
{
	struct session *shadow = session_at(&store->map, offset);
	struct tree_path path;
	uint64_t found = tree_locate(&store->map, &store->shadows,
				     (struct key){shadow->id, 16}, &path);

	assert(found == offset);
	tree_remove(&store->map, &store->shadows, &path);
	session_free_ring(&store->map, shadow);
	mapping_give(&store->map, offset);
}

bool session_drop_shadows(struct store *store, uint32_t *budget)
{
	struct key least = {(const uint8_t *)"", 0};
	struct tree_cursor cursor;

	while (store->shadows.count > 0) {
		if (!budget_spend(budget, 10))
			return false;
		cursor = tree_seek(&store->map, &store->shadows, least, false);
		session_drop_shadow(store, tree_item(&store->map, &cursor));
	}
	return true;
}

int store_outcome(const struct store *store, const uint8_t id[16],
		  uint64_t sequence, struct store_result *ret_result)
{
	const struct session *session = session_find(store, id);
	const struct session_record *record;

	if (session == NULL || session->ended_index != 0 ||
	    sequence < session->settled_below)
		return CONCLAVE_ESESSION;
	record = session_look(&store->map, session, sequence);
	if (record == NULL)
		return 0;
	*ret_result = (struct store_result){
		.status = record->status,
		.flags = record->flags | CONCLAVE_RESULT_REPEATED,
		.revision = record->revision,
		.aux = record->aux,
	};
	return 1;
}
