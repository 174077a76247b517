/* Versions in their blocks: the layout of version.h, and nothing else. */
#include "daemon/store/version.h"

#include <string.h>

/* Blocks behind the first. */
static uint32_t extent_count(uint32_t key_size, uint32_t value_size)
{
	uint32_t size = VERSION_HEAD + key_size + value_size;

	if (size <= MAPPING_BLOCK_MAX)
		return 0;
	return (size - VERSION_SPLIT + VERSION_EXTENT - 1) / VERSION_EXTENT;
}

static uint32_t first_size(uint32_t key_size, uint32_t value_size)
{
	uint32_t size = VERSION_HEAD + key_size + value_size;

	return size < MAPPING_BLOCK_MAX ? size : MAPPING_BLOCK_MAX;
}

uint64_t version_charge(const struct mapping *map, uint32_t key_size,
			uint32_t value_size)
{
	uint64_t extents = extent_count(key_size, value_size);

	return mapping_block(map, first_size(key_size, value_size)) +
	       extents * MAPPING_BLOCK_MAX + VERSION_FIXED;
}

uint64_t version_new(struct mapping *map, uint32_t key_size,
		     uint32_t value_size)
{
	uint32_t size = first_size(key_size, value_size);
	uint32_t count = extent_count(key_size, value_size);
	uint64_t offset = mapping_take(map, mapping_class(map, size));
	struct version *version = version_at(map, offset);
	uint8_t *link = (uint8_t *)version + VERSION_SPLIT;
	uint64_t extent;

	assert(key_size <= OP_KEY_MAX && value_size <= OP_VALUE_MAX);
	version->older = 0;
	version->newer = 0;
	version->key_size = key_size;
	version->value_size = value_size;
	while (count-- > 0) {
		extent = mapping_take(map,
				      mapping_class(map, MAPPING_BLOCK_MAX));
		memcpy(link, &extent, sizeof(extent));
		link = mapping_at(map, extent);
	}
	return offset;
}

/* Where a stretch of a version's data lies. */
struct stretch {
	uint64_t offset;
	uint32_t size; /* bytes that lie there in one piece */
};

static struct stretch find(const struct mapping *map,
			   const struct version *version, uint32_t position)
{
	uint64_t base =
		(uint64_t)((const uint8_t *)version - (const uint8_t *)map);
	uint64_t link = base + VERSION_SPLIT, extent;
	uint32_t first = VERSION_SPLIT - VERSION_HEAD;
	uint32_t size = version->key_size + version->value_size;

	assert(position < size);
	if (extent_count(version->key_size, version->value_size) == 0)
		return (struct stretch){base + VERSION_HEAD + position,
					size - position};
	if (position < first)
		return (struct stretch){base + VERSION_HEAD + position,
					first - position};
	position -= first;
	memcpy(&extent, mapping_see(map, link), sizeof(extent));
	for (; position >= VERSION_EXTENT; position -= VERSION_EXTENT)
		memcpy(&extent, mapping_see(map, extent), sizeof(extent));
	return (struct stretch){extent + 8 + position,
				VERSION_EXTENT - position};
}

void version_write(struct mapping *map, struct version *version,
		   uint32_t position, const void *bytes, uint32_t size)
{
	const uint8_t *from = bytes;
	struct stretch to;

	assert(position + size <= version->key_size + version->value_size);
	while (size > 0) {
		to = find(map, version, position);
		if (to.size > size)
			to.size = size;
		memcpy(mapping_at(map, to.offset), from, to.size);
		from += to.size;
		position += to.size;
		size -= to.size;
	}
}

void version_read(const struct mapping *map, const struct version *version,
		  uint32_t position, void *ret_bytes, uint32_t size)
{
	uint8_t *to = ret_bytes;
	struct stretch from;

	assert(position + size <= version->key_size + version->value_size);
	while (size > 0) {
		from = find(map, version, position);
		if (from.size > size)
			from.size = size;
		memcpy(to, mapping_see(map, from.offset), from.size);
		to += from.size;
		position += from.size;
		size -= from.size;
	}
}

struct store_hash version_hash(const struct mapping *map,
			       const struct version *version)
{
	uint32_t size = version->key_size + version->value_size;
	uint32_t position = VERSION_SPLIT - VERSION_HEAD;
	struct store_hash hash;
	struct stretch part;

	if (extent_count(version->key_size, version->value_size) == 0)
		return hash_bytes(&version->create_revision,
				  VERSION_HEAD - VERSION_HASHED + size);
	hash = hash_bytes(&version->create_revision,
			  VERSION_SPLIT - VERSION_HASHED);
	while (position < size) {
		part = find(map, version, position);
		if (part.size > size - position)
			part.size = size - position;
		hash = hash_more(hash, mapping_see(map, part.offset),
				 part.size);
		position += part.size;
	}
	return hash;
}

void version_free(struct mapping *map, uint64_t offset)
{
	const struct version *version = version_see(map, offset);
	uint32_t count = extent_count(version->key_size, version->value_size);
	uint64_t extent, next;

	memcpy(&extent, (const uint8_t *)version + VERSION_SPLIT,
	       count == 0 ? 0 : sizeof(extent));
	mapping_give(map, offset);
	for (; count > 0; count--) {
		next = 0;
		if (count > 1)
			memcpy(&next, mapping_see(map, extent), sizeof(next));
		mapping_give(map, extent);
		extent = next;
	}
}
