/*
 * What the miniature daemon (support_peer.h) keeps: every version of every
 * key, and of every session the first result of each sequence.
 */
#ifndef TESTS_UNIT_SUPPORT_PEER_STORE_H
#define TESTS_UNIT_SUPPORT_PEER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/abi.h"

enum peer_store_limits {
	PEER_SESSIONS = 4096,
	PEER_MEMBERS = 200, /* more than the usual room of a reply takes */
};

struct peer_version {
	uint8_t *key;
	uint8_t *value;
	uint32_t key_size;
	uint32_t value_size;
	uint64_t create_revision;
	uint64_t mod_revision;
	uint64_t version; /* 0: deleted here */
};

struct peer_result {
	bool known;
	int32_t status;
	uint32_t flags;
	uint64_t revision;
	uint64_t aux;
};

struct peer_session {
	uint8_t id[16];
	uint8_t secret[16];
	uint64_t epoch;
	struct peer_result *results; /* by sequence */
	uint64_t result_count;
};

struct peer_member {
	uint64_t id;
	uint32_t flags; /* enum cv_member_flags, without LEADER */
	char address[128];
};

struct peer_roster {
	struct peer_member members[PEER_MEMBERS];
	uint32_t count;
	uint64_t leader;
};

struct peer_store {
	struct peer_roster roster;
	struct peer_version *versions; /* in order of mod_revision */
	uint64_t version_count;
	struct peer_session sessions[PEER_SESSIONS];
	uint32_t session_count;
	uint64_t revision;
	uint64_t compacted;
};

/* One request as it was taken; the peer's own memory. */
struct peer_op {
	struct cv_request head;
	uint8_t *key;
	uint8_t *value;
	struct peer_session *session;
	uint32_t connection;
	bool applied;
	struct peer_result result;
	uint8_t *reply;
	uint32_t reply_used;
};

void peer_store_init(struct peer_store *store);
void peer_store_release(struct peer_store *store);
struct peer_session *peer_session_find(struct peer_store *store,
				       const uint8_t id[16]);
struct peer_session *peer_session_add(struct peer_store *store,
				      const uint8_t id[16],
				      const uint8_t secret[16]);
void peer_sessions_forget(struct peer_store *store);
/* Gives op->result and op->reply. `echo`: without looking at keys. */
void peer_store_apply(struct peer_store *store, struct peer_op *op, bool echo);
void peer_op_release(struct peer_op *op);

/* support_peer_roster.c: what is asked about members. The first is 1, voter,
 * leader and self; who leads next says a move to a member with an odd id. */
void peer_roster_init(struct peer_roster *roster);
void peer_roster_change(struct peer_store *store, struct peer_op *op);
void peer_roster_move(struct peer_store *store, struct peer_op *op);
void peer_roster_list(struct peer_store *store, struct peer_op *op);
void peer_roster_state(struct peer_store *store, struct peer_op *op);
/* Its images lie nowhere, and have the index that was asked for. */
void peer_roster_image(struct peer_store *store, struct peer_op *op);

#endif
