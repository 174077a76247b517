/*
 * The index: where an entry of the log lies and of which term it is, known
 * without reading the log. It describes the log as it counts: what a later
 * record overwrote is not in it, whatever the disk still holds.
 *
 * Marks say where. A mark is a record: its first entry and its place. From
 * there on records follow each other in one segment, and so do their entries,
 * up to the first entry of the next mark. So there is a mark for the first
 * record with entries of each segment, one for each record that did not
 * simply go on behind the one before, and one every LOG_MARK_GAP blocks. An
 * entry is found by a walk of at most so many blocks. One mark for each record
 * would be a hundred times the memory: a segment can hold 16,384 of them.
 *
 * Runs say of which term. Terms never fall along a log and seldom rise. When
 * there is no room for another run the older half is forgotten: nothing asks
 * for a term so far back.
 */
#include "wal/log.h"

#include <assert.h>

/* ---- marks ---- */

bool log_index_full(const struct wal *wal)
{
	return wal->index.mark_count >= LOG_MARKS_MAX - LOG_MARKS_SPARE;
}

static bool index_needs_mark(const struct wal *wal, const struct log_mark *mark)
{
	const struct log_index *index = &wal->index;
	const struct log_mark *last;

	if (index->mark_count == 0 || mark->index != wal->last_index + 1)
		return true;
	last = &index->marks[index->mark_count - 1];
	return last->segment != mark->segment ||
	       mark->block - last->block >= LOG_MARK_GAP;
}

void log_index_record(struct wal *wal, const struct log_mark *mark)
{
	struct log_index *index = &wal->index;

	log_index_void(wal, mark->index);
	if (!index_needs_mark(wal, mark))
		return;
	assert(index->mark_count < LOG_MARKS_MAX);
	index->marks[index->mark_count++] = *mark;
}

/* Marks in front whose first entry is not behind `entry`. */
static uint32_t index_marks_to(const struct log_index *index, uint64_t entry)
{
	uint32_t low = 0;
	uint32_t high = index->mark_count;
	uint32_t middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (index->marks[middle].index <= entry)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct log_mark *log_index_find(const struct wal *wal, uint64_t entry,
				      uint64_t *ret_end)
{
	const struct log_index *index = &wal->index;
	uint32_t count = index_marks_to(index, entry);

	if (count == 0 || entry > wal->last_index)
		return NULL;
	*ret_end = wal->last_index + 1;
	if (count < index->mark_count)
		*ret_end = index->marks[count].index;
	return &index->marks[count - 1];
}

/* ---- runs ---- */

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

/* ---- both ---- */

void log_index_void(struct wal *wal, uint64_t first)
{
	struct log_index *index = &wal->index;

	log_fetch_void(wal, first);
	while (index->mark_count > 0 &&
	       index->marks[index->mark_count - 1].index >= first)
		index->mark_count--;
	while (index->run_count > 0 &&
	       index->runs[index->run_count - 1].index >= first)
		index->run_count--;
}

void log_index_forget(struct wal *wal, uint64_t covered)
{
	struct log_index *index = &wal->index;
	uint32_t count = 0;

	while (count < index->mark_count &&
	       index->marks[count].segment < wal->live[0].segment)
		count++;
	index->mark_count -= count;
	memmove(index->marks, index->marks + count,
		index->mark_count * sizeof(index->marks[0]));
	count = 0;
	while (count + 1 < index->run_count &&
	       index->runs[count + 1].index <= covered)
		count++;
	index_drop_runs(index, count);
}
