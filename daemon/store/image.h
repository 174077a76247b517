/*
 * The image of a store: a stream of records, the same bytes on every member
 * that applied the same entries. Little-endian; each record is a multiple of
 * 8 bytes and begins with
 *
 *   0  u32  size   of the whole record
 *   4  u32  type   enum image_type
 *
 * They come in this order:
 *
 * HEAD (272 bytes), once:
 *   8  u64  magic           IMAGE_MAGIC
 *  16  u32  format          STORE_FORMAT
 *  20  u32  settings        how many: 8
 *  24  u64  applied         index of the last entry in it
 *  32  u64  revision
 *  40  u64  compacted
 *  48  u64  session_floor
 *  56  u64  logical_bytes
 *  64  u64  hash            the state hash: low, then high
 *  80  {u64 value, u64 mod_revision, u64 version} for each setting, in the
 *      order of their names
 *
 * MEMBER (152 bytes), in the order of ids, those that were removed too:
 *   8  u64  id
 *  16  u64  removed_index   0: it is a member
 *  24  u8[128] address      zeros behind it
 *
 * SESSION (88 bytes), in the order of ids, tombstones too:
 *   8  u8[16] id
 *  24  u8[16] secret_hash
 *  40  u64  owner
 *  48  u64  born
 *  56  u64  epoch
 *  64  u64  settled_below
 *  72  u64  ended_index     0: live
 *  80  u32  uid
 *  84  u32  results         how many RESULT follow
 *
 * RESULT (40 bytes), in the order of sequences:
 *   8  u64  sequence
 *  16  u64  revision
 *  24  u64  aux
 *  32  i32  status
 *  36  u32  flags
 *
 * BASE, one for each key that lives at the compacted revision, in the order
 * of keys; then LOG, every version since, tombstones too, in the order in
 * which they were made:
 *   8  u32  key_size
 *  12  u32  value_size
 *  16  u64  create_revision 0 of a tombstone
 *  24  u64  mod_revision
 *  32  u64  version         0: a tombstone
 *  40  u64  lease
 *  48  key, then value, then zeros to a multiple of 8
 *
 * END (32 bytes), once:
 *   8  u64  records         how many came before
 *  16  u64  digest          of them all: low, then high
 *
 * The digest is continued, record by record, from the bytes before the key,
 * and then from the hash of the version (of a tombstone: of its key), which
 * covers key and value. So whoever loads an image knows that all of it,
 * history included, is what was written, and by the state hash that it is
 * what it should be.
 */
#ifndef DAEMON_STORE_IMAGE_H
#define DAEMON_STORE_IMAGE_H

#include "daemon/store/setting.h"

#define IMAGE_MAGIC 0x6567616d49636e43ull /* "CncImage" */

enum image_type {
	IMAGE_TYPE_HEAD = 1,
	IMAGE_TYPE_SESSION = 2,
	IMAGE_TYPE_RESULT = 3,
	IMAGE_TYPE_BASE = 4,
	IMAGE_TYPE_LOG = 5,
	IMAGE_TYPE_END = 6,
	IMAGE_TYPE_MEMBER = 7,
};

struct image_setting {
	uint64_t value;
	uint64_t mod_revision;
	uint64_t version;
};

struct image_head {
	uint32_t size;
	uint32_t type;
	uint64_t magic;
	uint32_t format;
	uint32_t setting_count;
	uint64_t applied;
	uint64_t revision;
	uint64_t compacted;
	uint64_t session_floor;
	uint64_t logical_bytes;
	struct store_hash hash;
	struct image_setting settings[SETTING_COUNT];
};

struct image_member {
	uint32_t size;
	uint32_t type;
	struct store_member member;
};

struct image_session {
	uint32_t size;
	uint32_t type;
	uint8_t id[16];
	uint8_t secret_hash[16];
	uint64_t owner;
	uint64_t born;
	uint64_t epoch;
	uint64_t settled_below;
	uint64_t ended_index;
	uint32_t uid;
	uint32_t results;
};

struct image_result {
	uint32_t size;
	uint32_t type;
	uint64_t sequence;
	uint64_t revision;
	uint64_t aux;
	int32_t status;
	uint32_t flags;
};

struct image_version {
	uint32_t size;
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
	uint64_t create_revision;
	uint64_t mod_revision;
	uint64_t version;
	uint64_t lease;
};

struct image_end {
	uint32_t size;
	uint32_t type;
	uint64_t records;
	struct store_hash digest;
};

_Static_assert(sizeof(struct image_head) == 272, "image");
_Static_assert(sizeof(struct image_member) == 152, "image");
_Static_assert(sizeof(struct image_session) == 88, "image");
_Static_assert(sizeof(struct image_result) == 40, "image");
_Static_assert(sizeof(struct image_version) == 48, "image");
_Static_assert(sizeof(struct image_end) == 32, "image");

static inline uint32_t image_version_size(uint32_t key_size,
					  uint32_t value_size)
{
	return ((uint32_t)sizeof(struct image_version) + key_size + value_size +
		7u) &
	       ~7u;
}

#endif
