/*
 * The roster: which members the log told of, where they are, and which ids
 * were members once. Small, so it lies in the store itself, in the order of
 * ids. Who votes is Raft's own affair.
 */
#ifndef DAEMON_STORE_ROSTER_H
#define DAEMON_STORE_ROSTER_H

#include "daemon/store/version.h"
#include "raft/conf.h"

struct roster {
	uint32_t count;
	struct store_member members[STORE_MEMBERS_MAX];
};

/*
 * The changes of the entry that is being applied, whose addresses are in
 * `addresses` (op.h): all of them, or none. 0, CONCLAVE_EBADREQ, or
 * CONCLAVE_EMEMBERSHIP: an id that was removed, or is not known.
 */
int roster_apply(struct store *store, struct key addresses)
	__attribute__((warn_unused_result));

struct store_hash roster_hash(const struct roster *roster);

/* A member of an image: false when it cannot be. */
bool roster_load(struct store *store, const struct store_member *member);

#endif
