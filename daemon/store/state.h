/*
 * The store as its own files see it. It lies at the base of the mapping,
 * followed by what has a fixed place: the results of the last entry, the ring
 * of the revision log and the table of sessions; then come the chunks.
 */
#ifndef DAEMON_STORE_STATE_H
#define DAEMON_STORE_STATE_H

#include "daemon/store/bounds.h"
#include "daemon/store/hash.h"
#include "daemon/store/load.h"
#include "daemon/store/revlog.h"
#include "daemon/store/roster.h"
#include "daemon/store/session.h"
#include "daemon/store/setting.h"
#include "daemon/store/store.h"
#include "daemon/store/tree.h"

enum state_limits {
	STATE_PINS = 64, /* reads in slices at a time that compaction spares */
	IMAGE_RECORD_MAX = 288, /* without key and value */
};

/* An operation, decoded: the numbers are copies, the bytes are borrowed. */
struct op {
	struct op_header head;
	struct op_begin begin; /* zero without OP_BEGIN */
	const uint8_t *key;
	const uint8_t *value;
};

/* The entry that is being applied. */
struct apply {
	bool active;
	bool deleting; /* in the middle of a range */
	uint32_t kind;
	uint32_t size;
	uint32_t position; /* in the payload */
	uint32_t op_count;
	uint32_t op_next;
	uint32_t op_warm; /* the first one that is not in the cache yet */
	uint64_t index;
	int32_t refused; /* a change of members: with this */
	struct raft_conf_changes changes; /* of it */
	const uint8_t *payload; /* lent; this process's, never followed else */
	uint64_t deleted; /* keys, by the running delete */
	uint32_t resume_size;
	uint8_t resume[OP_KEY_MAX];
};

struct pin {
	uint64_t revision; /* 0: free */
	uint64_t stamp; /* tells one holder from the next */
};

enum image_phase {
	IMAGE_NONE = 0,
	IMAGE_MEMBERS,
	IMAGE_SESSIONS,
	IMAGE_BASE,
	IMAGE_LOG,
	IMAGE_END,
	IMAGE_DONE,
	IMAGE_BROKEN, /* compaction needed what it pinned */
};

/* The image that is being written, see image.h. */
struct image {
	uint32_t phase; /* enum image_phase */
	uint32_t record_size; /* bytes in record */
	uint32_t record_done;
	uint32_t body_size; /* bytes that follow the record: a version's key */
	uint32_t body_data; /* and value, this many, and zeros */
	uint32_t body_done;
	uint64_t body; /* the version */
	uint64_t stamp;
	uint64_t compacted; /* as of the beginning */
	uint64_t revision;
	uint64_t position; /* in the revision log */
	uint64_t chain; /* version at which a search was left; 0 */
	uint64_t records;
	uint32_t member; /* the next one */
	struct roster roster; /* as it was */
	uint64_t sequence; /* of the session's results: the next one */
	struct store_hash digest;
	bool in_session; /* its results are being written */
	uint8_t session[16]; /* the last one begun */
	bool any_session;
	uint32_t resume_size; /* of the last key; 0: none yet */
	uint8_t resume[OP_KEY_MAX];
	uint8_t record[IMAGE_RECORD_MAX];
};

struct store {
	struct mapping map; /* at the base, so its address is the base's */
	struct tree keys;
	struct tree sessions;
	struct tree shadows; /* of sessions, for the image */
	struct revlog log;
	struct store_settings settings;
	struct setting_record setting_records[SETTING_COUNT];
	struct roster roster;
	struct roster roster_next; /* while a change of it is tried */

	uint64_t applied;
	uint64_t revision; /* the newest that is visible */
	uint64_t compacted; /* logically */
	uint64_t swept; /* physically, or being so */
	uint64_t session_floor;
	struct store_hash sum; /* of the items, see hash.h */

	uint64_t logical_bytes;
	uint64_t released; /* totals of the log, see revlog.h: at its end, */
	uint64_t released_compacted; /* up to `compacted`, */
	uint64_t released_swept; /* and up to what is freed */
	uint64_t live_keys;
	uint64_t version_count;

	uint32_t sessions_cap; /* what the mapping bears, see bounds.h */
	uint32_t session_live;
	uint32_t session_ended;
	uint32_t table_size;
	uint32_t table_used; /* numbers from here on were never given */
	uint32_t table_free; /* number + 1 of one given back, a list; 0 */
	uint64_t table;
	uint64_t memo; /* the session asked for last, or 0 */

	uint64_t results; /* offset */
	uint32_t result_count;
	uint64_t stamp; /* the last one given out */
	struct pin pins[STATE_PINS];
	struct apply apply;
	struct image image;
	struct load load;
};

/* Sessions are still to be written: what touches one leaves its shadow. */
static inline bool image_awaits_sessions(const struct image *image)
{
	return image->phase == IMAGE_MEMBERS || image->phase == IMAGE_SESSIONS;
}

/* Takes units from a budget; false when there is none left. */
static inline bool budget_spend(uint32_t *budget, uint32_t units)
{
	if (*budget == 0)
		return false;
	*budget = *budget > units ? *budget - units : 0;
	return true;
}

/* Decodes and checks the next operation; CONCLAVE_EBADREQ. */
int op_decode(const uint8_t *bytes, uint32_t room, struct op *ret_op)
	__attribute__((warn_unused_result));

static inline bool op_has_session(const struct op *op)
{
	static const uint8_t none[16];

	return __builtin_memcmp(op->head.session, none, 16) != 0;
}

/* What an operation does to keys, settings and history (write.c). */
void write_put(struct store *store, const struct op *op,
	       struct store_result *ret_result);
int write_delete(struct store *store, const struct op *op, uint32_t *budget,
		 struct store_result *ret_result)
	__attribute__((warn_unused_result));

/* A version that is complete becomes the newest of its key. */
void write_version(struct store *store, uint64_t offset,
		   struct tree_path *path);

/* The same, of a live key: a tombstone at `revision`. */
uint64_t write_tombstone(struct store *store, uint64_t older,
			 uint64_t revision);

/* Moves the logical compaction (compact.c). */
int compact_to(struct store *store, uint64_t revision)
	__attribute__((warn_unused_result));

/* Makes room for a slice of apply; 1: the budget ran out before there was. */
int compact_for_room(struct store *store, uint32_t *budget)
	__attribute__((warn_unused_result));

/* Pins a revision against compaction: a handle and its stamp, or 0. */
uint32_t pin_take(struct store *store, uint64_t revision, uint64_t *ret_stamp);
void pin_give(struct store *store, uint32_t pin, uint64_t stamp);

#endif
