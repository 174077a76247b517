/*
 * What members say to each other, as bytes. Pure: encodes and checks, keeps
 * nothing.
 *
 * Two connections (lanes) join each pair of members: *control* for what is
 * small and must not wait (votes, heartbeats, acknowledgements, read indexes,
 * refusals), *bulk* for entries, forwarded batches and images. On each, both
 * sides first send one greeting; then frames follow. A frame that cannot be
 * ends the connection: nothing behind it can be trusted to begin where it
 * seems to.
 *
 * Greeting, little-endian, 128 bytes:
 *
 *   0  u64  magic          WIRE_MAGIC
 *   8  u32  crc            CRC32C of bytes 12..127
 *  12  u16  version_min    oldest protocol that this member speaks
 *  14  u16  version_max    newest; the lower of both sides' is spoken
 *  16  u8[16] cluster
 *  32  u64  from           member id
 *  40  u64  to             member id that is meant
 *  48  u64  incarnation    of `from`
 *  56  u8   lane           enum node_lane
 *  57  u8   entry_format   newest that it can apply
 *  58  u16  version        newest cluster_version that it can apply; 0: 1
 *  60  i32  status         0, or why the answerer refuses: enum wire_refusal
 *  64  u16  in_force       the cluster_version that is in force there
 *  66  u16  reserved       0
 *  68  u32  entry_max      largest entry that its log has room for; 0: any
 *  72  u8[56] reserved     0
 *
 * Frame, little-endian: 96 bytes, then `body_size` bytes of body, then zeros
 * up to the next multiple of 8:
 *
 *   0  u32  crc            CRC32C of bytes 4..95
 *   4  u32  body_size
 *   8  u8   type           enum wire_type
 *   9  u8   flags          enum wire_flags
 *  10  u16  reserved       0
 *  12  u32  count          entries in an APPEND
 *  16  u64  sequence       of the frame on its connection, from 1
 *  24  u64  term
 *  32  u64  log_index
 *  40  u64  log_term
 *  48  u64  commit
 *  56  u64  commit_term
 *  64  u64  reject_hint
 *  72  u64  round
 *  80  u64  first_index
 *  88  u32  body_crc       see the types
 *  92  u32  reserved       0
 *
 * Types below 32 are Raft's own messages and use the fields as struct
 * raft_message does; from and to are those of the greeting. Bodies:
 *
 *   APPEND          `count` stamped entries, back to back, each as it lies in
 *                   the log; they carry their own checksums, body_crc is 0
 *   HEARTBEAT, HEARTBEAT_REPLY
 *                   struct wire_state: what the store's hash was, where;
 *                   log_index of a HEARTBEAT is the end of its sender's log
 *   SNAPSHOT        struct wire_image, then the head of the snapshot;
 *                   log_index and log_term are its index and term
 *   FORWARD         one sealed entry, without index and term; body_crc covers
 *                   its header (the first 64 bytes), the payload has its own.
 *                   `round` says which copy it is, `term` in which term alone
 *                   it may be appended
 *   NACK            none: copy `first_index` of the batch `round` of the
 *                   receiver was not appended by the sender, who is in `term`
 *                   and whose log ends at log_index; reject_hint is the code,
 *                   as the client is told it
 *   IMAGE_ASK       none: chunk `first_index` of the snapshot at log_index,
 *                   log_term is wanted
 *   IMAGE_CHUNK     that chunk; count is 1 in the last one. Without body and
 *                   with WIRE_REJECT: there is no such snapshot any more
 *
 *   STATE           struct wire_state, to a member that has another hash there,
 *                   or may tell who is right; round is 1 where an answer is
 *                   wanted, with the receiver's own at that index
 *
 *   SEEK            none: entries first_index..reject_hint are missing in a
 *                   damaged log, which has log_term at log_index, right before
 *                   them, and behind them commit_term at commit (0: no such
 *                   entry is needed). See daemon/node_fill.c
 *   FOUND           `count` of these entries, as in an APPEND; log_index and
 *                   log_term are of the entry before the first, commit and
 *                   commit_term those of the SEEK
 *
 * body_crc covers the whole body where nothing else is said.
 */
#ifndef DAEMON_WIRE_H
#define DAEMON_WIRE_H

#include "raft/entry.h"
#include "raft/raft.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC 0x31726565506e6f43ull /* "ConPeer1" */

enum wire_limits {
	WIRE_GREETING_SIZE = 128,
	WIRE_HEADER_SIZE = 96,
	WIRE_VERSION_MIN = 1,
	WIRE_VERSION = 1,
	WIRE_ENTRIES_MAX = 8192, /* in one APPEND */
	WIRE_HEAD_MAX = 3072, /* of a snapshot's head */
	WIRE_CHUNK_MAX = 1 << 20,
	/* Body of an APPEND or FORWARD: one entry of any size fits. */
	WIRE_BODY_MAX = ENTRY_SIZE_MAX,
	WIRE_CONTROL_BODY_MAX = 64, /* of any frame on the control lane */
};

enum wire_type {
	/* 1..15: enum raft_message_type, but PROPOSE, which is FORWARD here */
	WIRE_FORWARD = 32,
	WIRE_NACK = 33,
	WIRE_IMAGE_ASK = 34,
	WIRE_IMAGE_CHUNK = 35,
	WIRE_STATE = 36,
	WIRE_SEEK = 37,
	WIRE_FOUND = 38,
};

enum wire_flags {
	WIRE_REJECT = 1,
	WIRE_FORCED = 2,
	WIRE_LOST = 4, /* of the answers to appends and heartbeats alone */
};

enum wire_refusal {
	WIRE_OK = 0,
	WIRE_ECLUSTER = 1, /* a member of another cluster */
	WIRE_EMEMBER = 2, /* meant for another member than answered */
	WIRE_ESTRANGER = 3, /* not a member, or not any more */
	WIRE_ETWICE = 4, /* somebody with this id is there already */
	WIRE_EVERSION = 5, /* no protocol that both speak */
	WIRE_ELANE = 6, /* no such lane */
	WIRE_EREMOVED = 7, /* this id was removed from the cluster */
	WIRE_ENAME = 8, /* its certificate has none of the names allowed */
	WIRE_EOUTDATED = 9, /* who dials is too old for the cluster_version */
	WIRE_EBEHIND = 10, /* who answers is */
};

struct wire_greeting {
	uint64_t magic;
	uint32_t crc;
	uint16_t version_min;
	uint16_t version_max;
	uint8_t cluster[16];
	uint64_t from;
	uint64_t to;
	uint64_t incarnation;
	uint8_t lane;
	uint8_t entry_format;
	uint16_t version;
	int32_t status;
	uint16_t in_force;
	uint16_t reserved0;
	uint32_t entry_max;
	uint8_t reserved1[56];
};

/* The header of a frame. */
struct wire_frame {
	uint32_t crc;
	uint32_t body_size;
	uint8_t type;
	uint8_t flags;
	uint16_t reserved0;
	uint32_t count;
	uint64_t sequence;
	uint64_t term;
	uint64_t log_index;
	uint64_t log_term;
	uint64_t commit;
	uint64_t commit_term;
	uint64_t reject_hint;
	uint64_t round;
	uint64_t first_index;
	uint32_t body_crc;
	uint32_t reserved1;
};

/* The state hash of the sender at `index`; index 0: it says nothing. */
struct wire_state {
	uint64_t index;
	uint64_t hash[2]; /* low, high */
};

struct wire_image {
	uint64_t chunks;
	uint32_t head_size;
	uint32_t reserved;
};

_Static_assert(sizeof(struct wire_greeting) == WIRE_GREETING_SIZE, "greeting");
_Static_assert(offsetof(struct wire_greeting, from) == 32, "greeting");
_Static_assert(offsetof(struct wire_greeting, status) == 60, "greeting");
_Static_assert(sizeof(struct wire_frame) == WIRE_HEADER_SIZE, "frame");
_Static_assert(offsetof(struct wire_frame, sequence) == 16, "frame");
_Static_assert(offsetof(struct wire_frame, first_index) == 80, "frame");
_Static_assert(sizeof(struct wire_state) == 24, "state");
_Static_assert(sizeof(struct wire_image) == 16, "image");

/* Completes magic, versions, format, reserved fields and checksum. */
void wire_greeting_seal(struct wire_greeting *greeting);

/* 0, or -EBADMSG when the bytes are no greeting of any version. */
int wire_greeting_check(const uint8_t bytes[WIRE_GREETING_SIZE],
			struct wire_greeting *ret_greeting)
	__attribute__((warn_unused_result));

/*
 * What the answerer says to a greeting that is well-formed: WIRE_OK or the
 * refusal, by cluster, versions, meant member, lane, and that it has not the
 * answerer's own id. Whether the sender is a member, or is connected already,
 * the caller knows.
 */
int wire_greeting_judge(const struct wire_greeting *greeting,
			const uint8_t cluster[16], uint64_t member)
	__attribute__((warn_unused_result));

/*
 * Whether one of two members cannot apply what the cluster of the other writes
 * into its log: -1: the greeting's sender, 1: who hears it and can apply
 * `version` where `in_force` is, 0: neither.
 */
int wire_greeting_compare(const struct wire_greeting *greeting,
			  uint32_t version, uint32_t in_force)
	__attribute__((warn_unused_result));

/* What a refusal means and what to do next, for a person: a sentence. */
const char *wire_refusal_text(int status);

/* Bytes of a whole frame. */
static inline uint32_t wire_frame_size(const struct wire_frame *frame)
{
	return WIRE_HEADER_SIZE + ((frame->body_size + 7u) & ~7u);
}

/* Whether frames of this type travel on the bulk lane. */
bool wire_is_bulk(uint8_t type);

/* Zeroes what is reserved and makes the header's checksum. */
void wire_seal(struct wire_frame *frame);

/* CRC32C of a body, as body_crc wants it for this type. */
uint32_t wire_body_crc(uint8_t type, const void *body, uint32_t size);

/*
 * Checks a header that came on a lane: checksum, type, lane, sizes, and that
 * the sequence is `sequence`. 0 and a copy, or -EBADMSG.
 */
int wire_check(const uint8_t bytes[WIRE_HEADER_SIZE], uint8_t lane,
	       uint64_t sequence, struct wire_frame *ret_frame)
	__attribute__((warn_unused_result));

/*
 * Checks a body, whose padding follows it at `body`, against its header:
 * checksums, and for APPEND and FOUND that it is exactly `count` whole entries with
 * rising indexes from first_index and terms that do not fall. 0 or -EBADMSG.
 */
int wire_check_body(const struct wire_frame *frame, const uint8_t *body)
	__attribute__((warn_unused_result));

/*
 * Raft's messages: the header for `message` (sequence, body_size and body_crc
 * are the caller's), and back (entries and snapshot stay NULL).
 */
void wire_from_message(const struct raft_message *message,
		       struct wire_frame *ret_frame);
void wire_to_message(const struct wire_frame *frame, uint64_t from, uint64_t to,
		     struct raft_message *ret_message);

#endif
