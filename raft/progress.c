/*
 * One member as the leader sees it: the dissertation's §10.2.1 (pipelining)
 * and §3.5 (finding where two logs agree); the three states and their
 * changes are etcd's.
 *
 * Invariant: match < next; a message that is late or comes twice never moves
 * match back, nor next to or below match, but that the member lost its log.
 */
#include "raft/progress.h"

#include <assert.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void raft_inflights_add(struct raft_inflights *flights, uint64_t index,
			uint64_t size)
{
	uint32_t at;

	assert(!raft_inflights_full(flights));
	at = flights->start + flights->count;
	if (at >= flights->capacity)
		at -= flights->capacity;
	flights->ring[at].index = index;
	flights->ring[at].size = size;
	flights->count++;
	flights->size += size;
}

void raft_inflights_free_to(struct raft_inflights *flights, uint64_t index)
{
	while (flights->count > 0) {
		const struct raft_inflight *oldest =
			&flights->ring[flights->start];

		if (oldest->index > index)
			break;
		flights->size -= oldest->size;
		flights->count--;
		if (++flights->start == flights->capacity)
			flights->start = 0;
	}
	if (flights->count == 0)
		flights->start = 0;
}

void raft_inflights_reset(struct raft_inflights *flights)
{
	flights->start = 0;
	flights->count = 0;
	flights->size = 0;
}

bool raft_inflights_full(const struct raft_inflights *flights)
{
	if (flights->count == flights->capacity)
		return true;
	return flights->size_max != 0 && flights->size >= flights->size_max;
}

static void change_state(struct raft_progress *progress,
			 enum raft_progress_state state)
{
	progress->paused = false;
	progress->pending_snapshot = 0;
	progress->state = (uint8_t)state;
	raft_inflights_reset(&progress->inflights);
}

void raft_progress_reset(struct raft_progress *progress, uint64_t match,
			 uint64_t next)
{
	assert(match < next);
	change_state(progress, RAFT_PROBE);
	progress->match = match;
	progress->next = next;
	progress->sent_commit = 0;
	progress->acked_round = 0;
	progress->recent_active = false;
}

void raft_progress_probe(struct raft_progress *progress)
{
	uint64_t next = progress->match + 1;

	/* An image that arrived brought it up to there. */
	if (progress->state == RAFT_SNAPSHOT)
		next = max_u64(next, progress->pending_snapshot + 1);
	change_state(progress, RAFT_PROBE);
	progress->next = next;
	progress->sent_commit = min_u64(progress->sent_commit, next - 1);
}

void raft_progress_replicate(struct raft_progress *progress)
{
	change_state(progress, RAFT_REPLICATE);
	progress->next = progress->match + 1;
}

void raft_progress_snapshot(struct raft_progress *progress, uint64_t index)
{
	assert(index > progress->match);
	change_state(progress, RAFT_SNAPSHOT);
	progress->pending_snapshot = index;
	progress->next = index + 1;
	progress->sent_commit = index;
}

void raft_progress_sent(struct raft_progress *progress, uint32_t count,
			uint64_t size)
{
	assert(progress->state != RAFT_SNAPSHOT);
	if (progress->state == RAFT_PROBE) {
		if (count > 0)
			progress->paused = true;
		return;
	}
	if (count > 0) {
		progress->next += count;
		raft_inflights_add(&progress->inflights, progress->next - 1,
				   size);
	}
	progress->paused = raft_inflights_full(&progress->inflights);
}

bool raft_progress_update(struct raft_progress *progress, uint64_t index)
{
	if (index <= progress->match)
		return false;
	progress->match = index;
	progress->next = max_u64(progress->next, index + 1);
	progress->paused = false;
	return true;
}

bool raft_progress_decrease(struct raft_progress *progress, uint64_t rejected,
			    uint64_t hint)
{
	if (progress->state == RAFT_REPLICATE) {
		if (rejected <= progress->match)
			return false;
		raft_progress_probe(progress);
		return true;
	}
	/* Probes go one at a time: only the last one's answer counts. */
	if (progress->next - 1 != rejected)
		return false;
	progress->next =
		max_u64(min_u64(rejected, hint + 1), progress->match + 1);
	progress->sent_commit =
		min_u64(progress->sent_commit, progress->next - 1);
	progress->paused = false;
	return true;
}

void raft_progress_forget(struct raft_progress *progress, uint64_t known)
{
	assert(known < progress->match);
	change_state(progress, RAFT_PROBE);
	progress->match = 0;
	progress->next = known + 1;
	progress->sent_commit = min_u64(progress->sent_commit, known);
}

bool raft_progress_can_commit(const struct raft_progress *progress,
			      uint64_t commit)
{
	return commit > progress->sent_commit &&
	       progress->sent_commit < progress->next - 1;
}

bool raft_progress_paused(const struct raft_progress *progress)
{
	return progress->state == RAFT_SNAPSHOT || progress->paused;
}
