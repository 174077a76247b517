/*
 * See tests/unit/support_damage.h.
 */
#include "tests/unit/support_damage.h"
#include "wal/record.h"

#include <check.h>

/* The record of a segment that holds `index`, the newest; or NULL. */
static uint8_t *look(struct mem_file *file, uint64_t index, uint64_t *newest)
{
	uint8_t *found = NULL;
	struct record_header header;
	uint64_t at;

	for (at = DISK_BLOCK; at + DISK_BLOCK <= file->size; at += DISK_BLOCK) {
		if (record_check_header(file->data + at, &header) ||
		    header.first_index > index || header.last_index < index ||
		    header.sequence < *newest)
			continue;
		*newest = header.sequence;
		found = file->data + at;
	}
	return found;
}

uint8_t *damage(struct disk *disk, uint64_t index, uint32_t at)
{
	uint8_t *record = NULL;
	uint64_t newest = 0;
	uint32_t i;

	for (i = 0; i < MEM_FILES_MAX; i++) {
		struct mem_file *file = &disk->files[i];
		uint8_t *found;

		if (!file->data || strncmp(file->name, "segment", 7) != 0)
			continue;
		found = look(file, index, &newest);
		if (found)
			record = found;
	}
	ck_assert_ptr_nonnull(record);
	record[at] ^= 0x10;
	return record + at;
}
