/* The arithmetic of bounds.h. */
#include "daemon/store/bounds.h"

#include "daemon/store/revlog.h"
#include "daemon/store/session.h"
#include "daemon/store/tree.h"
#include "daemon/store/version.h"

enum {
	NODE_BYTES_PER_KEY = 60,
	LEAST_CHARGE = VERSION_BLOCK_MIN + VERSION_FIXED,
	SESSION_BLOCK = sizeof(struct session),
	DIRECTORY_BLOCK = SESSION_PARTS * sizeof(uint64_t),
	/* All blocks that a session can have had at one time or another. */
	SESSION_BYTES = SESSION_BLOCK * BOUNDS_SESSIONS_FACTOR +
			DIRECTORY_BLOCK +
			(16 + 32 + 64 + OP_SEQUENCE_WINDOW) * 24,
};

/* They are the sizes of classes, so that session_bytes() finds them. */
_Static_assert(SESSION_BLOCK == 192 && DIRECTORY_BLOCK == 256, "blocks");

uint32_t bounds_sessions_table(uint64_t size)
{
	return (uint32_t)(size / SESSION_BYTES + 1) * BOUNDS_SESSIONS_FACTOR;
}

static uint32_t chunks_for(const struct mapping_class *class, uint64_t bytes)
{
	uint64_t room = (uint64_t) class->blocks * class->block_size;

	return (uint32_t)((bytes + room - 1) / room) + 1;
}

/* What sessions add to the blocks of one size. */
static uint64_t session_bytes(uint32_t block_size, uint32_t sessions)
{
	switch (block_size) {
	case SESSION_BLOCK:
		return (uint64_t)sessions * SESSION_BLOCK *
		       BOUNDS_SESSIONS_FACTOR;
	case SESSION_PART_BYTES:
		return (uint64_t)sessions * SESSION_PARTS * block_size;
	case DIRECTORY_BLOCK:
	case SESSION_PART_BYTES / 2:
	case SESSION_PART_BYTES / 4:
	case SESSION_PART_BYTES / 8:
		return (uint64_t)sessions * block_size;
	default:
		return 0;
	}
}

/* What versions, separators and the log need in the blocks of one size. */
static uint64_t key_bytes(const struct mapping *map, uint32_t class,
			  uint64_t quota)
{
	uint64_t keys = quota / LEAST_CHARGE, bytes;
	uint32_t block = map->classes[class].block_size;

	if (class == MAPPING_CLASS_NODE)
		return keys * NODE_BYTES_PER_KEY;
	bytes = block < VERSION_BLOCK_MIN
			? 0
			: quota / (block + VERSION_FIXED) * block;
	if (block == VERSION_BLOCK_MIN)
		bytes += keys * VERSION_BLOCK_MIN; /* tombstones */
	if (block == TREE_BOUND_SMALL || block == TREE_BOUND_MEDIUM)
		bytes += keys / TREE_LEAF_MIN * block;
	if (block == MAPPING_BLOCK_MAX)
		bytes = quota + keys / TREE_LEAF_MIN * block +
			2 * keys / REVLOG_SEGMENT * block;
	return bytes;
}

uint32_t bounds_set(struct mapping *map)
{
	uint64_t quota = map->size / BOUNDS_ADDRESS_PER_QUOTA;
	uint64_t spoken_for = BOUNDS_RESERVE + quota / MAPPING_CHUNK_SIZE;
	uint64_t chunks, bytes;
	uint32_t i, sessions = 0;

	for (i = 0; i < MAPPING_CLASSES; i++)
		spoken_for +=
			chunks_for(&map->classes[i], key_bytes(map, i, quota)) +
			1;
	if (spoken_for < map->chunk_count) {
		/* A fiftieth goes to the ends of chunks. */
		chunks = map->chunk_count - spoken_for;
		sessions = (uint32_t)(chunks * MAPPING_CHUNK_SIZE /
				      (SESSION_BYTES + SESSION_BYTES / 50));
	}
	for (i = 0; i < MAPPING_CLASSES; i++) {
		bytes = key_bytes(map, i, quota);
		if (i != MAPPING_CLASS_NODE)
			bytes += session_bytes(map->classes[i].block_size,
					       sessions);
		map->classes[i].peak = chunks_for(&map->classes[i], bytes);
	}
	mapping_claim(map);
	return sessions;
}
