/*
 * The one mapping in which the store lives: every link in it is an offset
 * from its base, never a pointer, so that another process can map it at
 * another address.
 *
 * Memory is cut into chunks of 64 KiB. A chunk holds blocks of one class; a
 * chunk that becomes empty goes back to the pool and may serve another class,
 * but for tree nodes: memory that once was a node is a node for ever
 * (type-stable), so the version word of a node can be read by somebody whose
 * offset is stale. Nothing is ever given back to the system.
 *
 * How many chunks each class may claim at most is known at birth (bounds.h).
 * The slack is what the pool has beyond all such claims: while it lasts,
 * obsolete objects may wait for compaction; when it is used up they have to
 * go first. So a block that the quota admits is always there.
 */
#ifndef DAEMON_STORE_MAPPING_H
#define DAEMON_STORE_MAPPING_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mapping_limits {
	MAPPING_CHUNK_SIZE = 64 << 10,
	MAPPING_CHUNK_HEAD = 64,
	MAPPING_BLOCK_MAX = 4352,
	MAPPING_STEP = 32, /* sizes of blocks are multiples of it */
	MAPPING_CLASSES = 14,
	MAPPING_CLASS_NODE = 13, /* tree nodes, type-stable */
};

struct mapping_class {
	uint32_t block_size;
	uint32_t blocks; /* in a chunk */
	uint32_t held; /* chunks */
	uint32_t peak; /* chunks that it may need, see bounds.h */
	uint64_t partial; /* chunks with room, a list */
};

struct mapping {
	uint64_t size;
	uint64_t first; /* offset of the first chunk */
	uint64_t pool; /* empty chunks, a list */
	uint64_t used; /* bytes in blocks handed out */
	uint32_t chunk_count;
	uint32_t chunk_fresh; /* chunks from here on were never touched */
	uint32_t pool_count;
	uint32_t claimed; /* chunks that classes may still claim */
	struct mapping_class classes[MAPPING_CLASSES];
	uint8_t class_of[MAPPING_BLOCK_MAX / MAPPING_STEP + 1];
};

/* At the start of each chunk. */
struct mapping_chunk {
	uint32_t class;
	uint32_t live; /* blocks handed out */
	uint32_t fresh; /* blocks from here on were never handed out */
	uint32_t reserved;
	uint64_t free; /* blocks given back, a list through their first word */
	uint64_t next; /* in the class's list, or the pool's */
	uint64_t previous;
	uint64_t padding[3];
};

_Static_assert(sizeof(struct mapping_chunk) == MAPPING_CHUNK_HEAD, "chunk");

static inline void *mapping_at(struct mapping *map, uint64_t offset)
{
	assert(offset < map->size);
	return (uint8_t *)map + offset;
}

static inline const void *mapping_see(const struct mapping *map,
				      uint64_t offset)
{
	assert(offset < map->size);
	return (const uint8_t *)map + offset;
}

/*
 * Begins at `map`, the base itself; chunks begin behind the first `reserved`
 * bytes. Peaks are set by the caller, then mapping_claim() is called once.
 */
void mapping_init(struct mapping *map, uint64_t size, uint64_t reserved);
void mapping_claim(struct mapping *map);

/* The class whose blocks hold `size` bytes, 1 to MAPPING_BLOCK_MAX. */
static inline uint32_t mapping_class(const struct mapping *map, uint32_t size)
{
	assert(size <= MAPPING_BLOCK_MAX);
	return map->class_of[(size + MAPPING_STEP - 1) / MAPPING_STEP];
}

/* Bytes of the block that `size` bytes come to lie in. */
static inline uint32_t mapping_block(const struct mapping *map, uint32_t size)
{
	return map->classes[mapping_class(map, size)].block_size;
}

/*
 * A block, its content undefined; a node's first one is zero but for its
 * first word. Never fails: see the head.
 */
uint64_t mapping_take(struct mapping *map, uint32_t class);

/*
 * Gives a block back. The caller has bumped the version word of the leaf
 * that led to it before.
 */
void mapping_give(struct mapping *map, uint64_t offset);

/* A hint that a block is about to be given back. */
static inline void mapping_warm(const struct mapping *map, uint64_t offset)
{
	uint64_t chunk = offset & ~(uint64_t)(MAPPING_CHUNK_SIZE - 1);
	const uint8_t *block = mapping_see(map, offset);

	__builtin_prefetch(mapping_see(map, chunk), 1);
	__builtin_prefetch(block, 1);
	__builtin_prefetch(block + 64);
}

/* Chunks in the pool beyond what the classes may still claim; may be < 0. */
static inline int64_t mapping_slack(const struct mapping *map)
{
	return (int64_t)(map->chunk_count - map->chunk_fresh) +
	       map->pool_count - map->claimed;
}

/* Checks lists and counts: 0, or a line that says what is wrong. */
int mapping_check(const struct mapping *map, const char **ret_what)
	__attribute__((warn_unused_result));

#endif
