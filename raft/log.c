/*
 * The log's window: the paper's §5.3 (log matching) and §5.4.1 (which of two
 * logs is newer), the dissertation's §5.1.1 (what a snapshot replaces).
 *
 * Invariant: what is committed is never cut, and the marks keep the order
 * that log.h states. Every step costs the entries that it moves, no more.
 */
#include "raft/log.h"

#include "raft/entry.h"

#include <assert.h>

void raft_log_init(struct raft_log *log, struct raft_entry *ring,
		   uint64_t slots, uint64_t capacity)
{
	assert(ring && slots > 0);
	assert((slots & (slots - 1)) == 0);
	assert(capacity > 0 && capacity <= slots);
	*log = (struct raft_log){0};
	log->ring = ring;
	log->mask = slots - 1;
	log->capacity = capacity;
	log->first = 1;
}

void raft_log_start(struct raft_log *log, uint64_t index, uint64_t term)
{
	assert(index >= log->commit);
	log->first = index + 1;
	log->base_term = term;
	log->last = index;
	log->stable = index;
	log->handed = index;
	log->commit = index;
}

void raft_log_push(struct raft_log *log, const struct raft_entry *entry)
{
	assert(entry->index == log->last + 1);
	assert(raft_log_room(log) > 0);
	*raft_log_slot(log, entry->index) = *entry;
	log->last = entry->index;
}

void raft_log_cut(struct raft_log *log, uint64_t from)
{
	assert(from > log->commit);
	assert(from >= log->first);
	if (from > log->last)
		return;
	log->last = from - 1;
	if (log->handed > log->last)
		log->handed = log->last;
	if (log->stable > log->last)
		log->stable = log->last;
}

bool raft_log_matches(const struct raft_log *log, uint64_t index, uint64_t term)
{
	uint64_t ours;

	return raft_log_term(log, index, &ours) && ours == term;
}

bool raft_log_is_up_to_date(const struct raft_log *log, uint64_t index,
			    uint64_t term)
{
	uint64_t ours = raft_log_last_term(log);

	return term > ours || (term == ours && index >= log->last);
}

uint64_t raft_log_conflict(const struct raft_log *log, uint64_t index,
			   uint64_t term, uint64_t *ret_term)
{
	for (; index > 0; index--) {
		uint64_t ours;

		if (!raft_log_term(log, index, &ours)) {
			*ret_term = 0;
			return index;
		}
		if (ours <= term) {
			*ret_term = ours;
			return index;
		}
	}
	*ret_term = 0;
	return 0;
}

void raft_log_commit_to(struct raft_log *log, uint64_t index)
{
	assert(index <= log->last);
	if (index > log->commit)
		log->commit = index;
}

void raft_log_stable_to(struct raft_log *log, uint64_t index, uint64_t term)
{
	assert(log->stable <= log->handed);
	assert(log->handed <= log->last);
	/* What was cut since, and put there again, is still to be written. */
	if (index <= log->stable || index > log->handed)
		return;
	if (raft_log_slot(log, index)->term == term)
		log->stable = index;
}

uint64_t raft_log_applicable(const struct raft_log *log)
{
	if (!log->apply_unstable && log->stable < log->commit)
		return log->stable;
	return log->commit;
}

bool raft_log_has_apply(const struct raft_log *log)
{
	if (log->apply_paused || log->incoming_set)
		return false;
	return log->applying < raft_log_applicable(log);
}

uint64_t raft_log_apply_last(const struct raft_log *log)
{
	uint64_t end = raft_log_applicable(log);
	uint64_t size = log->apply_size;
	uint64_t index = log->applying + 1;

	assert(log->applying < end);
	if (log->apply_size_max == 0)
		return end;
	size += entry_size(raft_log_slot(log, index)->size);
	while (index < end) {
		size += entry_size(raft_log_slot(log, index + 1)->size);
		if (size > log->apply_size_max)
			break;
		index++;
	}
	return index;
}

void raft_log_hand_apply(struct raft_log *log, uint64_t last)
{
	assert(last > log->applying);
	assert(last <= log->commit);
	for (uint64_t i = log->applying + 1; i <= last; i++)
		log->apply_size += entry_size(raft_log_slot(log, i)->size);
	log->applying = last;
	if (log->apply_size_max == 0)
		return;
	log->apply_paused = log->apply_size >= log->apply_size_max ||
			    last < raft_log_applicable(log);
}

uint64_t raft_log_applied_to(struct raft_log *log, uint64_t index)
{
	uint64_t payload = 0, size = 0;
	uint64_t from = log->applied + 1;

	assert(index >= log->applied);
	assert(index <= log->applying);
	/* A snapshot from the leader may have replaced what was handed out. */
	if (from < log->first)
		from = log->first;
	for (uint64_t i = from; i <= index; i++) {
		payload += raft_log_slot(log, i)->size;
		size += entry_size(raft_log_slot(log, i)->size);
	}
	log->applied = index;
	log->apply_size -= size;
	log->apply_paused = log->apply_size_max != 0 &&
			    log->apply_size >= log->apply_size_max;
	return payload;
}

void raft_log_compact(struct raft_log *log, uint64_t index)
{
	uint64_t term = 0;

	assert(index <= log->applied);
	if (index < log->first)
		return;
	(void)raft_log_term(log, index, &term); /* it is in the window */
	log->first = index + 1;
	log->base_term = term;
}
