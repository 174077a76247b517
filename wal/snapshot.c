/*
 * Blocks and names of snapshot files; the format stands in wal/snapshot.h.
 */
#include "wal/snapshot.h"
#include "wal/text.h"

#include <assert.h>

static const char prefix[] = "snapshot-";

enum {
	PREFIX_SIZE = sizeof(prefix) - 1,
	DIGITS = 16
};

void snapshot_seal_header(void *block, const struct snapshot_header *header,
			  const void *head, uint32_t head_size)
{
	uint8_t *bytes = block;

	assert(head_size <= WAL_HEAD_MAX);
	memset(bytes, 0, DISK_BLOCK);
	memcpy(bytes, header, sizeof(*header));
	if (head_size > 0)
		memcpy(bytes + SNAPSHOT_HEAD_AT, head, head_size);
	((struct frame *)block)->own = head_size;
	frame_seal(block, FRAME_MAGIC_SNAPSHOT, DISK_BLOCK);
}

void snapshot_seal_chunk(void *chunk, uint64_t index, uint64_t number,
			 uint32_t size)
{
	uint32_t end = SNAPSHOT_CHUNK_HEADER + size;
	struct snapshot_chunk header = {0};
	uint8_t *bytes = chunk;

	assert(size > 0 && size <= SNAPSHOT_CHUNK_ROOM);
	header.frame.own = size;
	header.index = index;
	header.number = number;
	memcpy(bytes, &header, sizeof(header));
	memset(bytes + end, 0, snapshot_chunk_size(size) - end);
	frame_seal(chunk, FRAME_MAGIC_CHUNK, end);
}

void snapshot_seal_footer(void *block, const struct snapshot_footer *footer)
{
	uint8_t *bytes = block;

	memset(bytes, 0, DISK_BLOCK);
	memcpy(bytes, footer, sizeof(*footer));
	frame_seal(block, FRAME_MAGIC_FOOTER, DISK_BLOCK);
}

int snapshot_check_header(const void *block, struct snapshot_header *ret_header)
{
	struct snapshot_header header;
	int r;

	r = frame_check(block, FRAME_MAGIC_SNAPSHOT, DISK_BLOCK);
	if (r < 0)
		return r;
	memcpy(&header, block, sizeof(header));
	if (header.frame.own > WAL_HEAD_MAX || header.index == 0)
		return -EBADMSG;
	*ret_header = header;
	return 0;
}

int snapshot_check_chunk(const void *chunk, uint32_t room,
			 struct snapshot_chunk *ret_chunk)
{
	struct snapshot_chunk header;
	int r;

	memcpy(&header, chunk, sizeof(header));
	if (header.frame.own == 0 || header.frame.own > SNAPSHOT_CHUNK_ROOM ||
	    snapshot_chunk_size(header.frame.own) > room)
		return -EBADMSG;
	r = frame_check(chunk, FRAME_MAGIC_CHUNK,
			SNAPSHOT_CHUNK_HEADER + header.frame.own);
	if (r < 0)
		return r;
	*ret_chunk = header;
	return 0;
}

int snapshot_check_footer(const void *block, struct snapshot_footer *ret_footer)
{
	int r;

	r = frame_check(block, FRAME_MAGIC_FOOTER, DISK_BLOCK);
	if (r < 0)
		return r;
	memcpy(ret_footer, block, sizeof(*ret_footer));
	return 0;
}

void snapshot_name(char ret_name[DISK_NAME_MAX], uint64_t index,
		   const char *suffix)
{
	text_format(ret_name, DISK_NAME_MAX, "%s%016llx%s", prefix,
		    (unsigned long long)index, suffix);
}

bool snapshot_parse(const char *name, uint64_t *ret_index)
{
	uint64_t index = 0;
	int i;

	if (strncmp(name, prefix, PREFIX_SIZE) != 0)
		return false;
	for (i = 0; i < DIGITS; i++) {
		char c = name[PREFIX_SIZE + i];

		if (c >= '0' && c <= '9')
			index = index << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			index = index << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	if (name[PREFIX_SIZE + DIGITS] != '\0')
		return false;
	*ret_index = index;
	return true;
}
