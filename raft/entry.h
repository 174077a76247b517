/*
 * The log entry (DESIGN §4, the paper's §5.3): the unit that Raft orders, as
 * bytes.
 *
 * One closed batch of requests is one entry. Its bytes, checksums included,
 * are the same in the batch buffer, on disk, on the wire, in the cache and at
 * apply. The payload's checksum is made once, by the member whose clients
 * asked (the origin); index and term are stamped by the leader, which then
 * makes the header's checksum, so forwarding needs no second pass over the
 * payload.
 *
 * Byte map, little-endian, 64 bytes, then `size` bytes of payload, then zeros
 * up to the next multiple of 8:
 *
 *   0  u32  header_crc    CRC32C of bytes 4..63
 *   4  u32  payload_crc   CRC32C of the payload
 *   8  u32  size          bytes of payload, without the padding
 *  12  u32  op_count      operations in the payload (kind NORMAL), else 0
 *  16  u64  index
 *  24  u64  term
 *  32  u64  origin_term   term in which the origin proposed it
 *  40  u64  origin        member id of the origin
 *  48  u8   kind          enum entry_kind
 *  49  u8   format        ENTRY_FORMAT
 *  50  u16  reserved      0
 *  52  u32  copy          which copy of the batch this is, as its origin counts
 *  56  u64  batch         the origin's own number for this batch
 *
 * Invariant: one (index, term) is one sequence of bytes, on every member and
 * wherever it lies; a bit that changed on the way is noticed.
 */
#ifndef RAFT_ENTRY_H
#define RAFT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum entry_limits {
	ENTRY_FORMAT = 1,
	ENTRY_HEADER_SIZE = 64,
	ENTRY_SIZE_MAX = 2 << 20, /* header and padding included */
	ENTRY_PAYLOAD_MAX = ENTRY_SIZE_MAX - ENTRY_HEADER_SIZE,
};

enum entry_kind {
	ENTRY_NORMAL = 1, /* operations of clients, see store/op.h */
	ENTRY_EMPTY = 2, /* a new leader's first; no payload */
	ENTRY_CONF_V1 = 3, /* membership, one change */
	ENTRY_CONF_V2 = 4, /* membership, joint */
	ENTRY_SNAPSHOT_CUT = 5, /* all members cut a snapshot here */
	ENTRY_SESSION_RESUME = 6,
	ENTRY_SESSION_CLOSE = 7,
	ENTRY_SESSION_EXPIRE = 8,
	ENTRY_SESSION_DROP = 9,
	ENTRY_SETTING = 10,
	ENTRY_COMPACTION = 11,
	ENTRY_KIND_MAX = 11,
};

struct entry_header {
	uint32_t header_crc;
	uint32_t payload_crc;
	uint32_t size;
	uint32_t op_count;
	uint64_t index;
	uint64_t term;
	uint64_t origin_term;
	uint64_t origin;
	uint8_t kind;
	uint8_t format;
	uint16_t reserved0;
	uint32_t copy;
	uint64_t batch;
};

/* Whether an entry of this kind changes who the members are. */
static inline bool entry_is_conf(uint32_t kind)
{
	return kind == ENTRY_CONF_V1 || kind == ENTRY_CONF_V2;
}

/* Bytes that an entry with `payload_size` bytes of payload occupies. */
static inline uint32_t entry_size(uint32_t payload_size)
{
	return ENTRY_HEADER_SIZE + ((payload_size + 7u) & ~7u);
}

/*
 * Origin: fills the header at `entry` but index, term and header_crc, takes
 * the checksum of the `size` bytes of payload that already follow it, and
 * zeroes the padding behind them. The caller has set kind, op_count, origin,
 * origin_term, copy, batch and size.
 */
void entry_seal(void *entry);

/* Leader: stamps index and term and makes the header checksum. */
void entry_stamp(void *entry, uint64_t index, uint64_t term);

/*
 * Checks what came from a disk or a peer: `room` bytes at `bytes`.
 * Returns 0, or -EBADMSG when the header, a length, the format or a checksum
 * is wrong. On success *ret_header is a copy of the header.
 */
int entry_check(const void *bytes, size_t room, struct entry_header *ret_header)
	__attribute__((warn_unused_result));

/*
 * The same for an entry that is sealed and not yet stamped, as an origin
 * sends it to the leader: index, term and header_crc are 0. Nothing vouches
 * for the rest of its header; the caller does.
 */
int entry_check_sealed(const void *bytes, size_t room,
		       struct entry_header *ret_header)
	__attribute__((warn_unused_result));

static inline const void *entry_payload(const void *entry)
{
	return (const uint8_t *)entry + ENTRY_HEADER_SIZE;
}

_Static_assert(sizeof(struct entry_header) == ENTRY_HEADER_SIZE, "entry");
_Static_assert(offsetof(struct entry_header, index) == 16, "entry");
_Static_assert(offsetof(struct entry_header, kind) == 48, "entry");
_Static_assert(offsetof(struct entry_header, batch) == 56, "entry");

#endif
