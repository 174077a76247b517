/*
 * Membership: which ids vote, which only listen, and how one configuration
 * becomes the next (the paper's §6, the dissertation's chapter 4).
 *
 * Payload of an ENTRY_CONF_V1 or ENTRY_CONF_V2, little-endian; none at all
 * asks to leave a joint configuration:
 *
 *   0  u8   transition   enum raft_conf_transition; 0 in v1
 *   1  u8   count        changes; 1 in v1, at most RAFT_CHANGES_MAX
 *   2  u16  reserved     0
 *   4  u32  reserved     0
 *   8  count times
 *        u64  id
 *        u8   type       enum raft_conf_change_type
 *        u8   [7]        0
 *   then the shell's own bytes (addresses, names), which the core ignores
 *
 * Invariant: ids rise in each list, what is beyond a list's count is zero, so
 * equal configurations are equal bytes; a change is made whole or not at all.
 */
#ifndef RAFT_CONF_H
#define RAFT_CONF_H

#include "raft/raft.h"

#include <stddef.h>
#include <stdint.h>

enum raft_conf_sizes {
	RAFT_CONF_HEADER = 8,
	RAFT_CONF_CHANGE = 16,
	RAFT_TRACKED_MAX = 3 * RAFT_MEMBERS_MAX, /* both halves, learners */
};

enum raft_conf_transition {
	RAFT_TRANSITION_AUTO = 0, /* joint only if need be, then leaves */
	RAFT_TRANSITION_IMPLICIT = 1, /* joint, leaves by itself */
	RAFT_TRANSITION_EXPLICIT = 2, /* joint, leaves when asked */
};

enum raft_conf_change_type {
	RAFT_ADD_VOTER = 0,
	RAFT_REMOVE = 1,
	RAFT_UPDATE = 2, /* nothing here; the shell's bytes changed */
	RAFT_ADD_LEARNER = 3,
};

struct raft_conf_change {
	uint64_t id;
	uint8_t type; /* enum raft_conf_change_type */
};

struct raft_conf_changes {
	uint8_t transition; /* enum raft_conf_transition */
	uint8_t count;
	struct raft_conf_change changes[RAFT_CHANGES_MAX];
};

/* Ids that a change removed, or removed and added again: they start anew. */
struct raft_conf_fresh {
	uint32_t count;
	uint64_t ids[RAFT_CHANGES_MAX];
};

/* Why a change is impossible. */
enum raft_conf_error {
	RAFT_CONF_OK = 0,
	RAFT_CONF_IS_JOINT, /* simple change or joint entry while joint */
	RAFT_CONF_NOT_JOINT, /* nothing to leave */
	RAFT_CONF_NO_VOTERS, /* joint entry from an empty configuration */
	RAFT_CONF_REMOVED_ALL, /* no voter would be left */
	RAFT_CONF_TOO_MANY, /* two voters differ: needs a joint change */
	RAFT_CONF_FULL, /* more than RAFT_MEMBERS_MAX, now or once it is left */
};

/* Bytes of payload for `count` changes, without the shell's own. */
static inline size_t raft_conf_size(unsigned int count)
{
	return RAFT_CONF_HEADER + (size_t)count * RAFT_CONF_CHANGE;
}

void raft_conf_encode(const struct raft_conf_changes *changes, void *payload);

/* Returns 0, or RAFT_EINVALID when `size` bytes at `payload` are no change. */
int raft_conf_decode(uint32_t kind, const void *payload, size_t size,
		     struct raft_conf_changes *ret_changes)
	__attribute__((warn_unused_result));

/* A simple change: at most one voter more or less. */
enum raft_conf_error raft_conf_simple(struct raft_conf_state *conf,
				      const struct raft_conf_changes *changes,
				      struct raft_conf_fresh *fresh);
enum raft_conf_error raft_conf_enter(struct raft_conf_state *conf,
				     const struct raft_conf_changes *changes,
				     bool auto_leave,
				     struct raft_conf_fresh *fresh);
enum raft_conf_error raft_conf_leave(struct raft_conf_state *conf);

/* Whichever of the three `changes` asks for. */
enum raft_conf_error raft_conf_change(struct raft_conf_state *conf,
				      const struct raft_conf_changes *changes,
				      struct raft_conf_fresh *fresh);

/*
 * Whether a configuration can be: sorted, without doubles, halves apart, and
 * if it is joint, can be left.
 */
bool raft_conf_is_valid(const struct raft_conf_state *conf);

bool raft_conf_has(const uint64_t *ids, uint8_t count, uint64_t id);

#endif
