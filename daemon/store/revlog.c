/* The revision log in its segments. */
#include "daemon/store/revlog.h"

#include "daemon/store/version.h"

uint64_t revlog_ring_bytes(uint64_t size)
{
	/* Each entry names a version of its own, at least one block. */
	return (size / VERSION_BLOCK_MIN / REVLOG_SEGMENT + 2) *
	       sizeof(uint64_t);
}

void revlog_init(struct revlog *log, uint64_t ring, uint64_t ring_bytes)
{
	*log = (struct revlog){.ring = ring};
	log->ring_size = ring_bytes / sizeof(uint64_t);
	assert(log->ring_size > 0);
}

static uint64_t slot_of(const struct revlog *log, uint64_t position)
{
	return log->ring +
	       position / REVLOG_SEGMENT % log->ring_size * sizeof(uint64_t);
}

static const struct revlog_entry *
find(const struct mapping *map, const struct revlog *log, uint64_t position)
{
	const uint64_t *slot = mapping_see(map, slot_of(log, position));
	const struct revlog_entry *segment = mapping_see(map, *slot);

	return &segment[position % REVLOG_SEGMENT];
}

void revlog_push(struct mapping *map, struct revlog *log,
		 struct revlog_entry entry)
{
	uint64_t *slot = mapping_at(map, slot_of(log, log->next));
	uint32_t size = REVLOG_SEGMENT * sizeof(struct revlog_entry);
	struct revlog_entry *segment;

	if (log->next % REVLOG_SEGMENT == 0) {
		assert(log->next / REVLOG_SEGMENT -
			       log->first / REVLOG_SEGMENT <
		       log->ring_size);
		*slot = mapping_take(map, mapping_class(map, size));
	}
	segment = mapping_at(map, *slot);
	segment[log->next % REVLOG_SEGMENT] = entry;
	log->next++;
}

struct revlog_entry revlog_at(const struct mapping *map,
			      const struct revlog *log, uint64_t position)
{
	assert(position >= log->first && position < log->next);
	return *find(map, log, position);
}

void revlog_drop(struct mapping *map, struct revlog *log)
{
	uint64_t *slot = mapping_at(map, slot_of(log, log->first));

	assert(log->first < log->next);
	log->first++;
	if (log->first % REVLOG_SEGMENT == 0) {
		mapping_give(map, *slot);
		*slot = 0;
	}
}

uint64_t revlog_after(const struct mapping *map, const struct revlog *log,
		      uint64_t revision)
{
	uint64_t low = log->first, high = log->next, middle;
	const struct version *version;

	while (low < high) {
		middle = low + (high - low) / 2;
		version = version_see(map, find(map, log, middle)->version);
		if (version->mod_revision <= revision)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
