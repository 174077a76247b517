/*
 * The index: of which term an entry of the log is, known without reading it.
 *
 * Terms never fall along a log and seldom rise, so a run of entries of one
 * term is one element. What is kept is the log as it counts: when a record
 * overwrites the tail, the runs that it voids are dropped.
 *
 * When there is no room for another run the older half is forgotten; an entry
 * in it has no known term. Nothing that is asked in the life of a log reaches
 * back so far: only the term at a new snapshot's index is.
 */
#include "wal/log.h"

#include <assert.h>

void log_index_void(struct wal *wal, uint64_t first)
{
	struct log_index *index = &wal->index;

	while (index->run_count > 0 &&
	       index->runs[index->run_count - 1].index >= first)
		index->run_count--;
}

/* Drops the `count` oldest runs. */
static void index_drop_runs(struct log_index *index, uint32_t count)
{
	assert(count <= index->run_count);
	index->run_count -= count;
	memmove(index->runs, index->runs + count,
		index->run_count * sizeof(index->runs[0]));
}

void log_index_term(struct wal *wal, uint64_t entry, uint64_t term)
{
	struct log_index *index = &wal->index;
	struct log_run *last = &index->runs[index->run_count];

	if (index->run_count > 0 && last[-1].term == term)
		return;
	assert(index->run_count == 0 || last[-1].index < entry);
	if (index->run_count == LOG_RUNS_MAX)
		index_drop_runs(index, LOG_RUNS_MAX / 2);
	last = &index->runs[index->run_count++];
	last->index = entry;
	last->term = term;
}

uint64_t log_index_term_of(const struct wal *wal, uint64_t entry)
{
	const struct log_index *index = &wal->index;
	uint32_t low = 0;
	uint32_t high = index->run_count;
	uint32_t middle;

	if (entry > wal->last_index)
		return 0;
	while (low < high) {
		middle = low + (high - low) / 2;
		if (index->runs[middle].index <= entry)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? index->runs[low - 1].term : 0;
}

void log_index_forget(struct wal *wal, uint64_t covered)
{
	struct log_index *index = &wal->index;
	uint32_t count = 0;

	while (count + 1 < index->run_count &&
	       index->runs[count + 1].index <= covered)
		count++;
	index_drop_runs(index, count);
}
