/* Sessions as things: made, found, counted, hashed, ended and forgotten. */
#include "daemon/store/state.h"

#include <string.h>

/* What is hashed of a session besides its records. */
struct session_item {
	uint8_t id[16];
	uint8_t secret_hash[16];
	uint64_t owner;
	uint64_t born;
	uint64_t epoch;
	uint64_t settled_below;
	uint64_t ended_index;
	uint64_t uid;
};

/* What is hashed of a record. */
struct record_item {
	uint8_t id[16];
	uint64_t sequence;
	uint64_t revision;
	uint64_t aux;
	int32_t status;
	uint32_t flags;
};

struct store_hash session_hash(const struct session *session)
{
	struct session_item item = {
		.owner = session->owner,
		.born = session->born,
		.epoch = session->epoch,
		.settled_below = session->settled_below,
		.ended_index = session->ended_index,
		.uid = session->uid,
	};

	memcpy(item.id, session->id, sizeof(item.id));
	memcpy(item.secret_hash, session->secret_hash,
	       sizeof(item.secret_hash));
	return hash_bytes(&item, sizeof(item));
}

struct store_hash session_record_hash(const struct session *session,
				      uint64_t sequence,
				      const struct session_record *record)
{
	struct record_item item = {
		.sequence = sequence,
		.revision = record->revision,
		.aux = record->aux,
		.status = record->status,
		.flags = record->flags,
	};

	memcpy(item.id, session->id, sizeof(item.id));
	return hash_bytes(&item, sizeof(item));
}

void session_rehash(struct store *store, struct session *session)
{
	hash_subtract(&store->sum, session->hash);
	session->hash = session_hash(session);
	hash_add(&store->sum, session->hash);
}

const struct session *session_find(const struct store *store,
				   const uint8_t id[16])
{
	const struct session *session;
	uint64_t offset;

	if (store->memo != 0) {
		session = session_see(&store->map, store->memo);
		if (memcmp(session->id, id, 16) == 0)
			return session;
	}
	offset = tree_find(&store->map, &store->sessions, (struct key){id, 16});
	return offset == 0 ? NULL : session_see(&store->map, offset);
}

struct session *session_of(struct store *store, const uint8_t id[16])
{
	const struct session *session = session_find(store, id);

	if (session == NULL)
		return NULL;
	store->memo =
		(uint64_t)((const uint8_t *)session - (const uint8_t *)store);
	return session_at(&store->map, store->memo);
}

/* A number that no session has. */
static uint32_t number_take(struct store *store)
{
	uint64_t *table = mapping_at(&store->map, store->table);
	uint32_t number;

	if (store->table_free != 0) {
		number = store->table_free - 1;
		store->table_free = (uint32_t)(table[number] >> 1);
		return number;
	}
	assert(store->table_used < store->table_size);
	return store->table_used++;
}

static void number_give(struct store *store, uint32_t number)
{
	uint64_t *table = mapping_at(&store->map, store->table);

	assert(number < store->table_used);
	/* Offsets are even; an odd word is a link of the free list. */
	table[number] = (uint64_t)store->table_free << 1 | 1;
	store->table_free = number + 1;
}

static bool too_many(const struct store *store)
{
	uint64_t max = store->settings.sessions_max;

	if (max > store->sessions_cap)
		max = store->sessions_cap;
	return store->session_live >= max ||
	       (uint64_t)store->session_live + store->session_ended >=
		       max * BOUNDS_SESSIONS_FACTOR ||
	       (uint64_t)store->session_live + store->session_ended >=
		       store->table_size;
}

struct session *session_make(struct store *store, const uint8_t id[16],
			     const struct op_begin *begin)
{
	struct mapping *map = &store->map;
	struct session *session;
	struct tree_path path;
	uint64_t *table = mapping_at(map, store->table);
	uint64_t offset;

	offset = mapping_take(map, mapping_class(map, sizeof(*session)));
	session = session_at(map, offset);
	*session = (struct session){
		.head.key_size = 16,
		.head.version = 1,
		.owner = begin->owner,
		.born = begin->born,
		.uid = begin->uid,
		.settled_below = 1,
		/* It began after the image that is being written. */
		.stamp = store->image.stamp,
	};
	memcpy(session->id, id, 16);
	memcpy(session->secret_hash, begin->secret_hash, 16);
	session->number = number_take(store);
	table[session->number] = offset;
	(void)tree_locate(map, &store->sessions, (struct key){id, 16},
			  &path); /* it is not there */
	tree_insert(map, &store->sessions, offset, &path);
	session->hash = session_hash(session);
	hash_add(&store->sum, session->hash);
	store->session_live++;
	store->memo = offset;
	return session;
}

int session_new(struct store *store, const uint8_t id[16],
		const struct op_begin *begin, struct session **ret_session)
{
	if (too_many(store))
		return CONCLAVE_ETOOMANY;
	*ret_session = session_make(store, id, begin);
	return 0;
}

void session_finish(struct store *store, struct session *session,
		    uint64_t index)
{
	uint64_t settled_below = session->settled_below;

	assert(session->ended_index == 0 && index > 0);
	session_touch(store, session);
	session_settle(store, session, settled_below + OP_SEQUENCE_WINDOW);
	session->settled_below = settled_below;
	assert(session->recorded == 0);
	session_free_ring(&store->map, session);
	session->ended_index = index;
	session_rehash(store, session);
	store->session_live--;
	store->session_ended++;
}

void session_forget(struct store *store, struct session *session)
{
	struct mapping *map = &store->map;
	struct tree_path path;
	uint64_t offset;

	assert(session->ended_index != 0);
	session_touch(store, session);
	hash_subtract(&store->sum, session->hash);
	offset = tree_locate(map, &store->sessions,
			     (struct key){session->id, 16}, &path);
	assert(offset != 0);
	tree_remove(map, &store->sessions, &path);
	number_give(store, session->number);
	store->session_ended--;
	store->memo = 0;
	mapping_give(map, offset);
}

void store_session(const struct store *store, const uint8_t id[16],
		   struct store_session *ret_session)
{
	const struct session *session = session_find(store, id);

	*ret_session = (struct store_session){0};
	if (session == NULL)
		return;
	ret_session->state = session->ended_index == 0 ? STORE_SESSION_LIVE
						       : STORE_SESSION_ENDED;
	ret_session->uid = session->uid;
	memcpy(ret_session->secret_hash, session->secret_hash, 16);
	ret_session->epoch = session->epoch;
	ret_session->owner = session->owner;
	ret_session->born = session->born;
	ret_session->settled_below = session->settled_below;
	ret_session->ended_index = session->ended_index;
}

bool store_never_began(const struct store *store, uint64_t born)
{
	/* Before the first drop there is no floor, and born may be 0. */
	return !store->session_floor || born > store->session_floor;
}

int store_session_next(const struct store *store, uint64_t *position,
		       uint8_t ret_id[16], struct store_session *ret_session)
{
	const uint64_t *table = mapping_see(&store->map, store->table);

	for (; *position < store->table_used; (*position)++) {
		if ((table[*position] & 1) != 0)
			continue;
		memcpy(ret_id, session_see(&store->map, table[*position])->id,
		       16);
		store_session(store, ret_id, ret_session);
		(*position)++;
		return 1;
	}
	return 0;
}
