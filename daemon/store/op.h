/*
 * Operations: what the payload of an entry says, byte for byte. Written by
 * daemon/intake.c from validated requests, read by apply; the same on every
 * member for ever, so any change is a new ENTRY_FORMAT.
 *
 * ENTRY_NORMAL: `op_count` operations back to back, each a multiple of 8:
 *
 *   0  u32  size           of the whole operation
 *   4  u8   type           enum op_type
 *   5  u8   flags          OP_BEGIN: a struct op_begin follows this header
 *   6  u16  reserved       0
 *   8  u8[16] session
 *  24  u64  sequence       from 1
 *  32  u64  settled_below  the client knows the outcome of all below
 *  40  u64  epoch          of the session, raised by each resume
 *  48  u64  argument       CAS: expected mod_revision, 0: must be absent
 *  56  u64  lease          0: none
 *  64  u32  key_size
 *  68  u32  value_size     PUT, CAS: the value; DELETE: the range's end
 *  72  [struct op_begin, 48 bytes, with OP_BEGIN]
 *      key, then value or end, then zeros to a multiple of 8
 *
 * ENTRY_SESSION_RESUME, _CLOSE, _EXPIRE, _DROP: one struct op_session.
 * ENTRY_SETTING: an operation of type OP_SETTING whose key is the name.
 * ENTRY_COMPACTION: an operation of type OP_COMPACT (argument: revision);
 * proposed by a client, or by the leader itself with session all zero.
 * ENTRY_CONF_V1, ENTRY_CONF_V2: the changes (raft/conf.h), then one operation
 * of type OP_MEMBER: its key holds for each change, in order, u8 size and
 * that many bytes of the member's address (none: as it was). Without payload
 * the entry leaves a joint configuration. Session all zero: the leader's own.
 * ENTRY_EMPTY, ENTRY_SNAPSHOT_CUT: no payload.
 *
 * A client's OP_SETTING and OP_COMPACT travel in ENTRY_NORMAL like any other
 * operation; the kinds above are what the leader proposes by itself.
 */
#ifndef DAEMON_STORE_OP_H
#define DAEMON_STORE_OP_H

#include <stddef.h>
#include <stdint.h>

enum op_limits {
	OP_HEADER_SIZE = 72,
	OP_KEY_MAX = 4096,
	OP_VALUE_MAX = 3 << 19, /* 1.5 MiB */
	OP_ENTRY_OPS_MAX = 4096,
	OP_SEQUENCE_WINDOW = 4096,
};

enum op_type {
	OP_PUT = 1,
	OP_DELETE = 2,
	OP_CAS = 3,
	OP_COMPACT = 4,
	OP_SETTING = 5,
	OP_MEMBER = 6, /* in the entries of kind CONF alone */
	OP_TYPE_MAX = 6,
};

enum op_flags {
	OP_BEGIN = 1,
};

struct op_header {
	uint32_t size;
	uint8_t type;
	uint8_t flags;
	uint16_t reserved;
	uint8_t session[16];
	uint64_t sequence;
	uint64_t settled_below;
	uint64_t epoch;
	uint64_t argument;
	uint64_t lease;
	uint32_t key_size;
	uint32_t value_size;
};

/* Carried while a session is not known to have begun (DESIGN §4). */
struct op_begin {
	uint8_t secret_hash[16]; /* XXH3-128 of the secret, canonical bytes */
	uint64_t owner; /* member id */
	uint64_t born; /* the origin's applied index */
	uint32_t uid;
	uint32_t reserved0;
	uint64_t reserved1;
};

/* The payload of the session kinds. */
struct op_session {
	uint8_t session[16];
	struct op_begin begin; /* RESUME: may create it; checked against it */
	/* RESUME: the new one; CLOSE, EXPIRE: if older than the session's, it
	 * does not end; 0: it ends whatever its epoch. */
	uint64_t epoch;
	uint64_t settled_below;
	uint64_t floor; /* DROP: index at which the session ended */
	uint64_t reserved;
};

static inline uint32_t op_size(uint32_t flags, uint32_t key_size,
			       uint32_t value_size)
{
	uint32_t begin = flags & OP_BEGIN ? sizeof(struct op_begin) : 0;
	return (OP_HEADER_SIZE + begin + key_size + value_size + 7u) & ~7u;
}

_Static_assert(sizeof(struct op_header) == OP_HEADER_SIZE, "op");
_Static_assert(offsetof(struct op_header, session) == 8, "op");
_Static_assert(offsetof(struct op_header, argument) == 48, "op");
_Static_assert(offsetof(struct op_header, key_size) == 64, "op");
_Static_assert(sizeof(struct op_begin) == 48, "op");
_Static_assert(sizeof(struct op_session) == 96, "op");

#endif
