/*
 * Sessions (DESIGN §4): who may propose what, and what became of it.
 *
 * A session keeps the results of its unsettled sequences, those from
 * settled_below on, in a ring that is indexed by sequence and doubles from 16
 * to 4,096 records as the client has more in flight. Up to 128 records are
 * one block; a larger ring is a directory of such blocks.
 *
 * Sessions are not kept as versions: each operation changes its session, so
 * that history would cost more than the keys, and nobody reads an old state
 * of a session. While an image is being written, the first change to a
 * session that is not in it yet leaves a copy of what it was (its shadow),
 * which is written in its stead.
 *
 * A session begins like a version, with its id as the key, so that the same
 * tree finds it. It is known by a number, its place in a table, by which all
 * sessions can be stepped through while they come and go.
 */
#ifndef DAEMON_STORE_SESSION_H
#define DAEMON_STORE_SESSION_H

#include "daemon/store/op.h"
#include "daemon/store/version.h"

enum session_sizes {
	SESSION_RING_MIN = 16,
	SESSION_PART = 128, /* records in a block */
	SESSION_PART_BYTES = SESSION_PART * 24,
	SESSION_PARTS = OP_SEQUENCE_WINDOW / SESSION_PART,
};

struct session_record {
	uint64_t revision;
	uint64_t aux;
	int32_t status;
	uint16_t flags; /* enum conclave_result_flags */
	uint16_t present;
};

_Static_assert(sizeof(struct session_record) == 24, "record");

struct session {
	struct version head; /* key_size 16, version 1 */
	uint8_t id[16];
	uint8_t secret_hash[16];
	uint64_t owner;
	uint64_t born;
	uint64_t epoch;
	uint64_t settled_below;
	uint64_t ended_index; /* 0: live */
	uint32_t uid;
	uint32_t number;
	struct store_hash hash; /* of all but the records */
	uint64_t ring; /* records, or a directory of blocks of them */
	uint32_t ring_size; /* records; 0: no ring */
	uint32_t recorded; /* how many are present */
	uint64_t stamp; /* of the image that has a shadow, or needs none */
};

_Static_assert(sizeof(struct session) <= 256, "session");
_Static_assert(offsetof(struct session, id) == VERSION_HEAD, "session");

struct store;
struct op;

static inline struct session *session_at(struct mapping *map, uint64_t offset)
{
	return mapping_at(map, offset);
}

static inline const struct session *session_see(const struct mapping *map,
						uint64_t offset)
{
	return mapping_see(map, offset);
}

/* The session, live or ended, or NULL. */
const struct session *session_find(const struct store *store,
				   const uint8_t id[16]);

/* The same, for changing it. */
struct session *session_of(struct store *store, const uint8_t id[16]);

/*
 * Whether an operation of a session may be executed: 1 and the session, or 0
 * when *ret_result is final: refused, or the first result of a repeated one.
 */
int session_admit(struct store *store, const struct op *op,
		  struct session **ret_session, struct store_result *ret_result)
	__attribute__((warn_unused_result));

/* Keeps what an admitted operation came to. */
void session_record(struct store *store, struct session *session,
		    uint64_t sequence, const struct store_result *result);

/* Applies an entry of one of the session kinds. */
void session_entry(struct store *store, uint32_t kind,
		   const struct op_session *entry,
		   struct store_result *ret_result);

/* ---- for the files of sessions and of images ---- */

/* The record of a sequence, or NULL. */
const struct session_record *session_look(const struct mapping *map,
					  const struct session *session,
					  uint64_t sequence);

/*
 * A new session that nobody has; born, owner, uid and secret from `begin`.
 * CONCLAVE_ETOOMANY when there are too many.
 */
int session_new(struct store *store, const uint8_t id[16],
		const struct op_begin *begin, struct session **ret_session)
	__attribute__((warn_unused_result));

/* The same, of which it is known that there is room. */
struct session *session_make(struct store *store, const uint8_t id[16],
			     const struct op_begin *begin);

/* Whether a number may be a sequence: from 1, and far from overflow. */
bool session_is_sequence(uint64_t sequence);

/* Raises settled_below and drops the records below. */
void session_settle(struct store *store, struct session *session,
		    uint64_t settled_below);

/* Before any change: leaves a shadow if an image needs it. */
void session_touch(struct store *store, struct session *session);

/* Frees a shadow, wherever it came from. */
void session_drop_shadow(struct store *store, uint64_t offset);

/* Frees all shadows; false when the budget ran out before. */
bool session_drop_shadows(struct store *store, uint32_t *budget);

/* After a change of anything but the records: the state hash follows. */
void session_rehash(struct store *store, struct session *session);

/* The session becomes a tombstone; the session is forgotten for good. */
void session_finish(struct store *store, struct session *session,
		    uint64_t index);
void session_forget(struct store *store, struct session *session);

/* Frees a session's ring; the records are not uncounted. */
void session_free_ring(struct mapping *map, struct session *session);

/* A ring of `size` records; the old one's are moved. */
void session_resize(struct mapping *map, struct session *session,
		    uint32_t size);

struct store_hash session_hash(const struct session *session);
struct store_hash session_record_hash(const struct session *session,
				      uint64_t sequence,
				      const struct session_record *record);

#endif
