/*
 * Sealing, stamping and checking of an entry's bytes (DESIGN §4); the format
 * is at the head of entry.h.
 *
 * Two checksums, made at two places: the origin seals the payload when it
 * closes the batch, the leader stamps index and term and seals the header,
 * which covers the payload's checksum. Whoever reads checks both.
 *
 * Invariant: no byte of an entry, padding included, is without a checksum or
 * a required value; and what is checked is within the room that was given.
 */
#include "raft/entry.h"

#include "raft/crc32c.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum entry_sealed {
	ENTRY_SEALED_AT = 4, /* header_crc covers from here */
};

static uint32_t header_crc(const struct entry_header *header)
{
	return crc32c(0, (const uint8_t *)header + ENTRY_SEALED_AT,
		      ENTRY_HEADER_SIZE - ENTRY_SEALED_AT);
}

void entry_seal(void *entry)
{
	struct entry_header header;
	uint8_t *payload = (uint8_t *)entry + ENTRY_HEADER_SIZE;

	memcpy(&header, entry, sizeof(header));
	assert(header.size <= ENTRY_PAYLOAD_MAX);
	assert(header.kind >= 1 && header.kind <= ENTRY_KIND_MAX);
	header.header_crc = 0;
	header.payload_crc = crc32c(0, payload, header.size);
	header.index = 0;
	header.term = 0;
	header.format = ENTRY_FORMAT;
	header.reserved0 = 0;
	memset(payload + header.size, 0,
	       entry_size(header.size) - ENTRY_HEADER_SIZE - header.size);
	memcpy(entry, &header, sizeof(header));
}

void entry_stamp(void *entry, uint64_t index, uint64_t term)
{
	struct entry_header header;

	memcpy(&header, entry, sizeof(header));
	assert(header.format == ENTRY_FORMAT);
	assert(index > 0);
	header.index = index;
	header.term = term;
	header.header_crc = header_crc(&header);
	memcpy(entry, &header, sizeof(header));
}

/* Whether the fields, apart from checksums, may be so. */
static bool header_fits(const struct entry_header *header, size_t room)
{
	if (header->size > ENTRY_PAYLOAD_MAX)
		return false;
	if (entry_size(header->size) > room)
		return false;
	if (header->kind < 1 || header->kind > ENTRY_KIND_MAX)
		return false;
	if (header->op_count != 0 && header->kind != ENTRY_NORMAL)
		return false;
	return header->format == ENTRY_FORMAT && header->reserved0 == 0;
}

static bool padding_is_zero(const uint8_t *payload, uint32_t size)
{
	uint32_t end = entry_size(size) - ENTRY_HEADER_SIZE;

	for (uint32_t i = size; i < end; i++)
		if (payload[i] != 0)
			return false;
	return true;
}

/* What does not depend on whether it is stamped. */
static int check_content(const void *bytes, size_t room,
			 const struct entry_header *header)
{
	const uint8_t *payload = entry_payload(bytes);

	if (!header_fits(header, room))
		return -EBADMSG;
	if (header->payload_crc != crc32c(0, payload, header->size))
		return -EBADMSG;
	return padding_is_zero(payload, header->size) ? 0 : -EBADMSG;
}

int entry_check(const void *bytes, size_t room, struct entry_header *ret_header)
{
	struct entry_header header;
	int result;

	assert(bytes && ret_header);
	if (room < ENTRY_HEADER_SIZE)
		return -EBADMSG;
	memcpy(&header, bytes, sizeof(header));
	if (header.header_crc != header_crc(&header))
		return -EBADMSG;
	result = check_content(bytes, room, &header);
	if (result == 0)
		*ret_header = header;
	return result;
}

int entry_check_sealed(const void *bytes, size_t room,
		       struct entry_header *ret_header)
{
	struct entry_header header;
	int result;

	assert(bytes && ret_header);
	if (room < ENTRY_HEADER_SIZE)
		return -EBADMSG;
	memcpy(&header, bytes, sizeof(header));
	if (header.header_crc != 0 || header.index != 0 || header.term != 0)
		return -EBADMSG;
	result = check_content(bytes, room, &header);
	if (result == 0)
		*ret_header = header;
	return result;
}
