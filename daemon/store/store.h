/*
 * The state machine: etcd's data model, one B+tree, versions newest first, a
 * revision log, sessions and settings, in one mapping that is linked by
 * offsets. Deterministic: the same entries give the same state, results and
 * hash on every member, whatever its memory, clock or configuration.
 *
 * Pure: the mapping is given, nothing is allocated elsewhere, no time is
 * read. Work is done in slices: a budget counts small units of work (about a
 * hundred nanoseconds each), and a call that has more to do says so.
 *
 * Errors of operations are CONCLAVE_E* (shm/abi.h) and are results, not
 * failures of a call: apply never fails for a local reason.
 */
#ifndef DAEMON_STORE_STORE_H
#define DAEMON_STORE_STORE_H

#include "daemon/store/op.h"
#include "raft/raft.h"
#include "shm/abi.h"

enum store_limits {
	STORE_FORMAT = 2,
	/*
	 * Newest that this code can apply. 1: the first; 2: every member keeps
	 * what it promises a leader, so lease_reads may take effect.
	 */
	STORE_CLUSTER_VERSION = 2,
	STORE_MEMBERS_MAX = 64, /* with those that were removed */
	STORE_ADDRESS_MAX = 128, /* host:port, with its NUL */
	STORE_PIECE_MIN = 64 << 10, /* least room for a piece of an image */
};

/* Settings are replicated; these are what bootstrap proposes. */
struct store_settings {
	uint64_t quota_bytes; /* logical bytes, default 2 GiB */
	uint64_t retention_ms; /* default 300,000 */
	uint64_t session_expiry_ms; /* default 600,000 */
	uint64_t tombstone_ms; /* default 600,000 */
	uint64_t sessions_max; /* default 65,536 */
	uint64_t store_address_bytes; /* 16 × quota; constant of the cluster */
	uint64_t lease_reads; /* 0 or 1 */
	/* Only rises, and only by an entry of the leader's; 0 at birth: 1 */
	uint64_t cluster_version;
};

struct store;

/* What an operation came to. The node tells the client who asked. */
struct store_result {
	int32_t status; /* 0 or CONCLAVE_E* */
	uint32_t flags; /* CONCLAVE_RESULT_* */
	uint64_t revision; /* of the write; else the store's revision */
	uint64_t aux; /* DELETE: count; CAS: mod_revision found on failure */
};

struct store_hash {
	uint64_t low;
	uint64_t high;
};

/*
 * Makes an empty store in `base` (settings->store_address_bytes of zeroed,
 * sparse memory, aligned 4096, lent for the store's life). The struct itself
 * lies in `base`.
 */
int store_init(struct store **ret_store, void *base, uint64_t size,
	       const struct store_settings *settings)
	__attribute__((warn_unused_result));

/* ---- apply ---- */

/*
 * Begins to apply a committed, checked entry; its bytes are lent until the
 * entry is whole. Indexes arrive without gap.
 */
void store_apply_begin(struct store *store, const struct raft_entry *entry);

/*
 * Goes on for `budget` units: 1 while there is more to do, 0 when the entry
 * is whole: its results stand, its revisions are visible and
 * store_applied() has its index.
 */
int store_apply(struct store *store, uint32_t budget)
	__attribute__((warn_unused_result));

/*
 * Results of the last whole entry, in the order of its operations (a session
 * kind has one: RESUME gives the epoch in aux). Lent until the next begin.
 */
const struct store_result *store_results(const struct store *store,
					 uint32_t *ret_count);

/*
 * The cluster_version that an entry would put in force, whatever this code can
 * apply; 0: none. Who cannot apply that must not apply the entry.
 */
uint64_t store_entry_version(const struct raft_entry *entry);

uint64_t store_applied(const struct store *store);
uint64_t store_revision(const struct store *store);
uint64_t store_compacted(const struct store *store);
void store_hash(const struct store *store, struct store_hash *ret_hash);
const struct store_settings *store_settings(const struct store *store);

/* ---- members ---- */

/*
 * What the log says of a member beside its vote. An id that was removed stays
 * known as such, and never becomes a member again, for as long as there is
 * room to remember it.
 */
struct store_member {
	uint64_t id;
	uint64_t removed_index; /* of the entry that removed it; 0: it is one */
	char address[STORE_ADDRESS_MAX]; /* "": not told yet */
};

/* All of them, in the order of ids; how many. Lent until the next apply. */
uint32_t store_members(const struct store *store,
		       const struct store_member **ret_members);

/*
 * Between begin and the first call of store_apply(), for a change of
 * membership that the configuration does not bear: its operation has no
 * effect and `status` as its result. The same on every member, because the
 * configuration is.
 */
void store_apply_refuse(struct store *store, int32_t status);

/* ---- reads ---- */

enum store_read_flags {
	STORE_READ_COUNT = 1, /* count only, no records */
	STORE_READ_SYSTEM = 2, /* settings as keys and values */
	STORE_READ_KEYS = 4, /* records without values */
};

/*
 * One read at one revision, in slices. The caller owns the struct and keeps
 * key and end in it alive; `out` fills with records of abi.h
 * (struct cv_record, key, value, padding to 8).
 */
struct store_read {
	const uint8_t *key;
	const uint8_t *end; /* end_size 0: the one key; "\0": all from key */
	uint32_t key_size;
	uint32_t end_size;
	uint64_t
		revision; /* 0: newest; set to what was read by the first call */
	uint32_t limit; /* 0: none */
	uint32_t flags; /* enum store_read_flags */
	uint8_t *out;
	uint32_t room;
	/* Results. */
	uint32_t used; /* bytes of out */
	uint32_t needed; /* room that the first record wants, when it lacks */
	uint64_t count; /* records, or keys counted */
	bool more; /* the range holds more than fits or limit */
	/* The store's own. */
	uint32_t resume_size;
	uint32_t pin;
	uint64_t pin_stamp;
	uint64_t chain;
	uint8_t resume[OP_KEY_MAX];
	bool begun;
};

/*
 * 1: more to do, call again; 0: done; CONCLAVE_ECOMPACTED,
 * CONCLAVE_EFUTURE; CONCLAVE_ETOOSMALL when not even one record fits.
 * Between calls the store may apply. The revision is pinned, so compaction
 * does not pass it; only when memory gets scarce, or more than 64 reads are
 * under way, may it do so, and then the next call says CONCLAVE_ECOMPACTED.
 */
int store_read(struct store *store, struct store_read *read, uint32_t budget)
	__attribute__((warn_unused_result));

/* Gives up a read between two calls; not needed when it came to its end. */
void store_read_end(struct store *store, struct store_read *read);

/* ---- sessions ---- */

enum store_session_state {
	STORE_SESSION_UNKNOWN = 0,
	STORE_SESSION_LIVE = 1,
	STORE_SESSION_ENDED = 2, /* a tombstone */
};

struct store_session {
	enum store_session_state state;
	uint32_t uid;
	uint8_t secret_hash[16];
	uint64_t epoch;
	uint64_t owner;
	uint64_t born;
	uint64_t settled_below;
	uint64_t ended_index; /* of a tombstone */
};

void store_session(const struct store *store, const uint8_t session[16],
		   struct store_session *ret_session);

/*
 * A session that is not known, born then, never began; false: it may have
 * ended and be forgotten.
 */
bool store_never_began(const struct store *store, uint64_t born);

/*
 * What became of (session, sequence): 1 and the first result when it was
 * applied (refusals at apply count: they have a status), 0 when it was not,
 * CONCLAVE_ESESSION when the session cannot tell any more.
 */
int store_outcome(const struct store *store, const uint8_t session[16],
		  uint64_t sequence, struct store_result *ret_result)
	__attribute__((warn_unused_result));

/* Steps through all sessions and tombstones: *position 0 first; 0: end. */
int store_session_next(const struct store *store, uint64_t *position,
		       uint8_t ret_id[16], struct store_session *ret_session)
	__attribute__((warn_unused_result));

/* The XXH3-128 of a session's secret as it stands in op_begin. */
void store_secret_hash(const uint8_t secret[16], uint8_t ret_hash[16]);

/* ---- compaction: physical work behind the logical one ---- */

/* Frees for `budget` units what is no longer visible; 1: more to do. */
int store_compact(struct store *store, uint32_t budget)
	__attribute__((warn_unused_result));

/* ---- snapshots ---- */

/*
 * Pins the state as of now (between two entries); the image is then written
 * in slices while the store goes on. One at a time; ended by
 * store_image_end(), complete or not.
 */
void store_image_begin(struct store *store);

/*
 * Fills at most `room` (≥ STORE_PIECE_MIN) bytes; *ret_used may be less, also
 * 0, when the budget ran out. 1: more to come, 0: the image is complete,
 * -ECANCELED: memory got scarce and what the image had pinned was compacted;
 * end it and begin again, and write faster.
 */
int store_image_next(struct store *store, uint8_t *piece, uint32_t room,
		     uint32_t budget, uint32_t *ret_used)
	__attribute__((warn_unused_result));
void store_image_end(struct store *store);

/*
 * The settings in an image, from its first piece (at least 272 bytes): how a
 * store must be made to load it. -EBADMSG: not an image; -EPROTO: one of a
 * newer release, as for store_load().
 */
int store_image_settings(const void *piece, uint32_t size,
			 struct store_settings *ret_settings)
	__attribute__((warn_unused_result));

/*
 * Loads an image into a store just made, piece by piece as they come (cut
 * anywhere). The work is proportional to the size of the piece. -EBADMSG: not
 * an image, or its hash differs from its content; -EPROTO: a newer release
 * made it; -EINVAL: it is of a store with other store_address_bytes. After an error the store has to be made
 * anew.
 */
int store_load(struct store *store, const void *piece, uint32_t size)
	__attribute__((warn_unused_result));
int store_load_end(struct store *store) __attribute__((warn_unused_result));

/* By how much a restored store's revision and index leap. */
#define STORE_RESTORE_STEP ((uint64_t)1 << 40)

/*
 * Makes of a store that was loaded what a new cluster begins with, whose
 * members are these, in the order of ids: see restore.c. The same on all who
 * do it with the same image and members. Takes as long as it takes; not for
 * the loop. 0; -ERANGE: revision or index cannot be; -EINVAL: the members
 * cannot.
 */
int store_restore(struct store *store, const struct store_member *members,
		  uint32_t count) __attribute__((warn_unused_result));

struct store_stats {
	uint64_t keys, versions, sessions;
	uint64_t logical_bytes; /* against the quota */
	uint64_t used_bytes; /* of the mapping, live objects */
	uint64_t reserved_bytes; /* of the mapping, ever touched */
	uint64_t history_bytes; /* of those, what compaction would release */
	uint64_t lag_bytes; /* released, and not freed yet */
};

void store_stats(const struct store *store, struct store_stats *ret_stats);

/* Walks everything and checks every invariant; for tests. 0 or a line. */
int store_check(const struct store *store, const char **ret_what)
	__attribute__((warn_unused_result));

#endif
