/*
 * Names and header blocks of segments; the format stands in wal/segment.h.
 */
#include "wal/segment.h"
#include "wal/text.h"

#include <assert.h>

static const char prefix[] = "segment-";
static const char leftover[] = ".tmp";

enum {
	PREFIX_SIZE = sizeof(prefix) - 1,
	DIGITS = 8
};

void segment_seal(void *block, const struct segment_header *header)
{
	uint8_t *bytes = block;

	assert(header->segment > 0);
	assert(header->first_sequence > 0);
	memcpy(bytes, header, sizeof(*header));
	memset(bytes + sizeof(*header), 0, DISK_BLOCK - sizeof(*header));
	frame_seal(block, FRAME_MAGIC_SEGMENT, DISK_BLOCK);
}

int segment_check(const void *block, struct segment_header *ret_header)
{
	struct segment_header header;
	int r;

	r = frame_check(block, FRAME_MAGIC_SEGMENT, DISK_BLOCK);
	if (r < 0)
		return r;
	memcpy(&header, block, sizeof(header));
	if (header.segment == 0 || header.segment >= FRAME_COUNT_MAX ||
	    header.first_sequence == 0 ||
	    header.first_sequence >= FRAME_COUNT_MAX)
		return -EBADMSG;
	*ret_header = header;
	return 0;
}

void segment_name(char ret_name[DISK_NAME_MAX], uint32_t number,
		  const char *suffix)
{
	text_format(ret_name, DISK_NAME_MAX, "%s%08x%s", prefix, number,
		    suffix);
}

bool segment_parse(const char *name, uint32_t *ret_number)
{
	uint32_t number = 0;
	int i;

	if (strncmp(name, prefix, PREFIX_SIZE) != 0)
		return false;
	for (i = 0; i < DIGITS; i++) {
		char c = name[PREFIX_SIZE + i];

		if (c >= '0' && c <= '9')
			number = number << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			number = number << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	if (name[PREFIX_SIZE + DIGITS] != '\0')
		return false;
	*ret_number = number;
	return true;
}

bool segment_is_leftover(const char *name)
{
	size_t size = strlen(name);

	return size >= sizeof(leftover) &&
	       strcmp(name + size - sizeof(leftover) + 1, leftover) == 0;
}
