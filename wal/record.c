/*
 * Making and checking records; the format stands in wal/record.h.
 */
#include "wal/record.h"

#include <assert.h>

/* What makes a block's checksum belong to one place and one time. */
struct record_place {
	uint64_t salt;
	uint64_t sequence;
	uint64_t position;
};

_Static_assert(sizeof(struct record_place) == 24, "record");

static uint32_t record_block_crc(const uint8_t *record,
				 const struct record_header *header,
				 uint32_t number)
{
	struct record_place place = {header->salt, header->sequence,
				     header->position + number};
	uint32_t skip = number == 0 ? header->payload : 0;
	uint32_t crc = crc32c(0, &place, sizeof(place));

	return crc32c(crc, record + (size_t)number * DISK_BLOCK + skip,
		      DISK_BLOCK - skip);
}

void record_seal(void *record, const struct record_header *header)
{
	uint32_t blocks = record_blocks(header->payload, header->payload_size);
	uint32_t *table = (uint32_t *)((uint8_t *)record + RECORD_HEADER_SIZE);
	uint32_t end = header->payload + header->payload_size;
	uint8_t *bytes = record;
	uint32_t i;

	assert((uintptr_t)record % DISK_BLOCK == 0);
	assert(blocks <= (header->payload - RECORD_HEADER_SIZE) / 4);
	memcpy(record, header, sizeof(*header));
	memset(((struct record_header *)record)->zeros, 0,
	       sizeof(header->zeros));
	memset(bytes + end, 0, (size_t)blocks * DISK_BLOCK - end);
	for (i = 0; i < blocks; i++)
		table[i] = record_block_crc(bytes, header, i);
	memset(table + blocks, 0,
	       header->payload - RECORD_HEADER_SIZE - 4 * (size_t)blocks);
	((struct record_header *)record)->frame.own = blocks;
	frame_seal(record, FRAME_MAGIC_RECORD, header->payload);
}

/* The numbers of an intact header that must agree with each other. */
static bool record_agrees(const struct record_header *header)
{
	uint64_t last = header->first_index + header->entry_count - 1;

	if (header->sequence == 0 || header->sequence >= FRAME_COUNT_MAX ||
	    header->durable >= header->sequence || header->segment == 0 ||
	    header->segment >= FRAME_COUNT_MAX)
		return false;
	if (header->payload_size >
	    record_room(header->payload, WAL_BLOCKS_LARGE))
		return false;
	if (header->frame.own !=
	    record_blocks(header->payload, header->payload_size))
		return false;
	if (header->frame.own > (header->payload - RECORD_HEADER_SIZE) / 4)
		return false;
	if (header->entry_count == 0)
		return header->payload_size == 0 && header->first_index == 0 &&
		       header->last_index == 0;
	return header->first_index > 0 && last >= header->first_index &&
	       last == header->last_index && last < FRAME_COUNT_MAX;
}

int record_check_header(const void *block, struct record_header *ret_header)
{
	struct record_header header;
	int r;

	memcpy(&header, block, sizeof(header));
	if (header.payload != RECORD_PAYLOAD_SMALL &&
	    header.payload != RECORD_PAYLOAD_LARGE)
		return -EBADMSG;
	r = frame_check(block, FRAME_MAGIC_RECORD, header.payload);
	if (r < 0)
		return r;
	if (!record_agrees(&header))
		return -EBADMSG;
	*ret_header = header;
	return 0;
}

bool record_check_block(const void *record, const struct record_header *header,
			uint32_t number)
{
	const uint8_t *bytes = record;
	uint32_t crc;

	assert(number < header->frame.own);
	memcpy(&crc, bytes + RECORD_HEADER_SIZE + 4 * (size_t)number,
	       sizeof(crc));
	return crc == record_block_crc(bytes, header, number);
}

int record_bad_block(const void *record, const struct record_header *header)
{
	uint32_t number;

	for (number = 0; number < header->frame.own; number++) {
		if (!record_check_block(record, header, number))
			return (int)number;
	}
	return -1;
}

bool record_resembles(const void *block, uint64_t segment, uint64_t salt,
		      uint64_t sequence)
{
	struct record_header header;

	memcpy(&header, block, sizeof(header));
	if (header.salt == salt)
		return true;
	return header.segment == segment && header.sequence == sequence;
}
