/*
 * A version of a key: what it was from one revision until the next. Versions
 * never change, but for the two links: `newer` is set when it is superseded,
 * `older` is cut when what was before is compacted.
 *
 *   0  u64  older    the version before, 0: none, or compacted
 *   8  u64  newer    the version that superseded this one
 *  16  u64  hash     128 bits over all that follows, extents included
 *  32  u64  create_revision
 *  40  u64  mod_revision
 *  48  u64  version  1 when created; 0: a tombstone
 *  56  u64  lease
 *  64  u32  key_size
 *  68  u32  value_size
 *  72  key, then the value
 *
 * What does not fit in a block of MAPPING_BLOCK_MAX continues in extents: the
 * last 8 bytes of the block, and the first 8 of each extent, lead to the
 * next. The key is always in the first block.
 *
 * A tombstone is one small block without a key. It always has an `older`, the
 * live version that it ended, and the two are freed together, so its key is
 * found there. So a delete costs the same whatever it deletes.
 */
#ifndef DAEMON_STORE_VERSION_H
#define DAEMON_STORE_VERSION_H

#include "daemon/store/hash.h"
#include "daemon/store/mapping.h"

enum version_sizes {
	VERSION_HEAD = 72,
	VERSION_HASHED = 32, /* the hash covers what is from here on */
	VERSION_BLOCK_MIN = 96,
	VERSION_FIXED = 128, /* charged beyond the blocks, see bounds.h */
	VERSION_SPLIT = MAPPING_BLOCK_MAX - 8, /* where the first link lies */
	VERSION_EXTENT = MAPPING_BLOCK_MAX - 8, /* bytes in an extent */
};

struct version {
	uint64_t older;
	uint64_t newer;
	struct store_hash hash;
	uint64_t create_revision;
	uint64_t mod_revision;
	uint64_t version;
	uint64_t lease;
	uint32_t key_size;
	uint32_t value_size;
};

_Static_assert(sizeof(struct version) == VERSION_HEAD, "version");
_Static_assert(offsetof(struct version, create_revision) == VERSION_HASHED,
	       "version");

/* A key in somebody's memory, borrowed. */
struct key {
	const uint8_t *bytes;
	uint32_t size;
};

static inline struct version *version_at(struct mapping *map, uint64_t offset)
{
	return mapping_at(map, offset);
}

static inline const struct version *version_see(const struct mapping *map,
						uint64_t offset)
{
	return mapping_see(map, offset);
}

/* What follows the head: the key, and at least the value's beginning. */
static inline const uint8_t *version_data(const struct version *version)
{
	return (const uint8_t *)(version + 1);
}

/* The key of a version, also of a tombstone; lent as long as it lives. */
static inline struct key version_key(const struct mapping *map,
				     const struct version *version)
{
	if (version->version == 0)
		version = version_see(map, version->older);
	return (struct key){version_data(version), version->key_size};
}

/* What a version is charged against the quota. A function of sizes alone. */
uint64_t version_charge(const struct mapping *map, uint32_t key_size,
			uint32_t value_size);

static inline uint64_t version_charge_of(const struct mapping *map,
					 const struct version *version)
{
	return version_charge(map, version->key_size, version->value_size);
}

/* Room for a version, linked to nothing; the sizes are set, nothing else. */
uint64_t version_new(struct mapping *map, uint32_t key_size,
		     uint32_t value_size);

/* Writes `size` bytes at `position` of key and value, taken as one. */
void version_write(struct mapping *map, struct version *version,
		   uint32_t position, const void *bytes, uint32_t size);

/* Reads `size` bytes at `position` of key and value, taken as one. */
void version_read(const struct mapping *map, const struct version *version,
		  uint32_t position, void *ret_bytes, uint32_t size);

/* The hash of a version as it stands. */
struct store_hash version_hash(const struct mapping *map,
			       const struct version *version);

void version_free(struct mapping *map, uint64_t offset);

#endif
