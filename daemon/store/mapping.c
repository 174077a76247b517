/*
 * Chunks and their blocks. A class takes from the first chunk in its list of
 * chunks with room; a full chunk is in no list. One empty chunk stays with
 * its class, so that a class at a chunk's edge does not take and give chunks
 * for every block.
 */
#include "daemon/store/mapping.h"

#include <string.h>

/* Steps of 4/3 and 3/2; the last is the node's, which has its own chunks. */
static const uint16_t block_sizes[MAPPING_CLASSES] = {
	32,  96,   128,	 192,  256,  384,  512,
	768, 1024, 1536, 2048, 3072, 4352, 1024,
};

void mapping_init(struct mapping *map, uint64_t size, uint64_t reserved)
{
	uint64_t chunk = MAPPING_CHUNK_SIZE;
	uint32_t i, class = 0;

	assert(reserved < size);
	*map = (struct mapping){.size = size};
	map->first = (reserved + chunk - 1) / chunk * chunk;
	assert(map->first < size);
	map->chunk_count = (uint32_t)((size - map->first) / chunk);
	for (i = 0; i < MAPPING_CLASSES; i++) {
		map->classes[i].block_size = block_sizes[i];
		map->classes[i].blocks =
			(MAPPING_CHUNK_SIZE - MAPPING_CHUNK_HEAD) /
			block_sizes[i];
	}
	for (i = 0; i <= MAPPING_BLOCK_MAX / MAPPING_STEP; i++) {
		if (i * MAPPING_STEP > block_sizes[class])
			class ++;
		map->class_of[i] = (uint8_t) class;
	}
}

void mapping_claim(struct mapping *map)
{
	uint32_t i;

	map->claimed = 0;
	for (i = 0; i < MAPPING_CLASSES; i++) {
		assert(map->classes[i].held == 0);
		map->claimed += map->classes[i].peak;
	}
}

static struct mapping_chunk *chunk_at(struct mapping *map, uint64_t offset)
{
	return mapping_at(map, offset);
}

static void link_partial(struct mapping *map, uint64_t offset)
{
	struct mapping_chunk *chunk = chunk_at(map, offset);
	struct mapping_class *class = &map->classes[chunk->class];

	chunk->previous = 0;
	chunk->next = class->partial;
	if (chunk->next != 0)
		chunk_at(map, chunk->next)->previous = offset;
	class->partial = offset;
}

static void unlink_partial(struct mapping *map, uint64_t offset)
{
	struct mapping_chunk *chunk = chunk_at(map, offset);
	struct mapping_class *class = &map->classes[chunk->class];

	if (chunk->next != 0)
		chunk_at(map, chunk->next)->previous = chunk->previous;
	if (chunk->previous != 0)
		chunk_at(map, chunk->previous)->next = chunk->next;
	else
		class->partial = chunk->next;
}

static void take_chunk(struct mapping *map, uint32_t index)
{
	struct mapping_class *class = &map->classes[index];
	struct mapping_chunk *chunk;
	uint64_t offset = map->pool;

	if (offset != 0) {
		map->pool = chunk_at(map, offset)->next;
		map->pool_count--;
	} else {
		assert(map->chunk_fresh < map->chunk_count);
		offset = map->first +
			 (uint64_t)map->chunk_fresh * MAPPING_CHUNK_SIZE;
		map->chunk_fresh++;
	}
	if (class->held < class->peak)
		map->claimed--;
	class->held++;
	chunk = chunk_at(map, offset);
	*chunk = (struct mapping_chunk){.class = index};
	link_partial(map, offset);
}

static void give_chunk(struct mapping *map, uint64_t offset)
{
	struct mapping_chunk *chunk = chunk_at(map, offset);
	struct mapping_class *class = &map->classes[chunk->class];

	assert(chunk->live == 0 && class->held > 0);
	unlink_partial(map, offset);
	class->held--;
	if (class->held < class->peak)
		map->claimed++;
	chunk->class = MAPPING_CLASSES;
	chunk->next = map->pool;
	map->pool = offset;
	map->pool_count++;
}

uint64_t mapping_take(struct mapping *map, uint32_t class)
{
	struct mapping_class *own = &map->classes[class];
	struct mapping_chunk *chunk;
	uint64_t offset, block;

	assert(class < MAPPING_CLASSES);
	if (own->partial == 0)
		take_chunk(map, class);
	offset = own->partial;
	chunk = chunk_at(map, offset);
	block = chunk->free;
	if (block != 0) {
		memcpy(&chunk->free, mapping_at(map, block), sizeof(uint64_t));
	} else {
		assert(chunk->fresh < own->blocks);
		block = offset + MAPPING_CHUNK_HEAD +
			(uint64_t)chunk->fresh * own->block_size;
		chunk->fresh++;
		if (class == MAPPING_CLASS_NODE)
			memset(mapping_at(map, block), 0, own->block_size);
	}
	chunk->live++;
	if (chunk->live == own->blocks)
		unlink_partial(map, offset);
	map->used += own->block_size;
	return block;
}

void mapping_give(struct mapping *map, uint64_t block)
{
	uint64_t offset = block & ~(uint64_t)(MAPPING_CHUNK_SIZE - 1);
	struct mapping_chunk *chunk = chunk_at(map, offset);
	struct mapping_class *class = &map->classes[chunk->class];

	assert(offset >= map->first && chunk->class < MAPPING_CLASSES);
	assert(chunk->live > 0);
	memcpy(mapping_at(map, block), &chunk->free, sizeof(uint64_t));
	chunk->free = block;
	if (chunk->live == class->blocks)
		link_partial(map, offset);
	chunk->live--;
	map->used -= class->block_size;
	if (chunk->live != 0 || chunk->class == MAPPING_CLASS_NODE)
		return;
	if (chunk->next != 0 || chunk->previous != 0)
		give_chunk(map, offset);
}

/* Counts the free blocks of a chunk; a list that is too long is a loop. */
static bool chunk_is_whole(const struct mapping *map, uint64_t offset)
{
	const struct mapping_chunk *chunk = mapping_see(map, offset);
	const struct mapping_class *class = &map->classes[chunk->class];
	uint64_t block = chunk->free;
	uint32_t free = class->blocks - chunk->fresh;

	while (block != 0 && free <= class->blocks) {
		if ((block & ~(uint64_t)(MAPPING_CHUNK_SIZE - 1)) != offset)
			return false;
		memcpy(&block, mapping_see(map, block), sizeof(block));
		free++;
	}
	return free + chunk->live == class->blocks;
}

static int check_chunks(const struct mapping *map, uint64_t *ret_used,
			const char **ret_what)
{
	const struct mapping_chunk *chunk;
	uint32_t held[MAPPING_CLASSES + 1] = {0};
	uint32_t i;
	uint64_t used = 0, offset;

	for (i = 0; i < map->chunk_fresh; i++) {
		offset = map->first + (uint64_t)i * MAPPING_CHUNK_SIZE;
		chunk = mapping_see(map, offset);
		if (chunk->class > MAPPING_CLASSES ||
		    (chunk->class < MAPPING_CLASSES &&
		     !chunk_is_whole(map, offset))) {
			*ret_what = "a chunk's blocks do not add up";
			return -1;
		}
		held[chunk->class]++;
		if (chunk->class < MAPPING_CLASSES)
			used += (uint64_t)chunk->live *
				map->classes[chunk->class].block_size;
	}
	*ret_used = used;
	*ret_what = "a class has lost count of its chunks";
	for (i = 0; i < MAPPING_CLASSES; i++)
		if (held[i] != map->classes[i].held)
			return -1;
	return held[MAPPING_CLASSES] == map->pool_count ? 0 : -1;
}

int mapping_check(const struct mapping *map, const char **ret_what)
{
	uint64_t used = 0;
	uint32_t i, claimed = 0;

	if (check_chunks(map, &used, ret_what) != 0)
		return -1;
	for (i = 0; i < MAPPING_CLASSES; i++)
		if (map->classes[i].held < map->classes[i].peak)
			claimed += map->classes[i].peak - map->classes[i].held;
	*ret_what = "the mapping's totals differ from its chunks";
	return used == map->used && claimed == map->claimed ? 0 : -1;
}
