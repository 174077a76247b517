/*
 * A member's disk: a log that can be cut at either end, a hard state and a
 * snapshot.
 */
#include "tests/scripts/cluster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void storage_append(struct storage *disk, const struct raft_entry *entries,
		    uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t index = entries[i].index;
		size_t at;

		if (index <= disk->base_index)
			continue;
		at = (size_t)(index - disk->base_index - 1);
		assert(at <= disk->count);
		if (at == disk->room) {
			disk->room = disk->room ? 2 * disk->room : 64;
			disk->entries =
				realloc(disk->entries,
					disk->room * sizeof(*disk->entries));
			assert(disk->entries);
		}
		disk->entries[at] = entries[i];
		disk->count = at + 1;
	}
}

void storage_install(struct storage *disk, const struct raft_snapshot *snapshot)
{
	assert(snapshot->index > disk->base_index);
	disk->count = 0;
	disk->base_index = snapshot->index;
	disk->base_term = snapshot->term;
	disk->saved = *snapshot;
}

void storage_compact(struct storage *disk, uint64_t index)
{
	size_t gone = (size_t)(index - disk->base_index);

	assert(index > disk->base_index && gone <= disk->count);
	disk->base_term = disk->entries[gone - 1].term;
	disk->base_index = index;
	disk->count -= gone;
	memmove(disk->entries, disk->entries + gone,
		disk->count * sizeof(*disk->entries));
}

void storage_release(struct storage *disk)
{
	free(disk->entries);
	*disk = (struct storage){0};
}
