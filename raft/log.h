/*
 * The log (the paper's §5.3) as a window of descriptors: the entries after
 * the newest snapshot, in a ring given at birth. Several marks move over it:
 *
 *   first - 1 <= applied <= applying <= commit <= last
 *   stable <= handed <= last
 *
 * stable is what is durable here, handed what was given to the shell to make
 * durable, applying what was handed to the state machine, applied what it has
 * taken. A snapshot from the leader waits in `incoming` until it is durable;
 * only so long applied and applying are behind the window's first.
 */
#ifndef RAFT_LOG_H
#define RAFT_LOG_H

#include "raft/raft.h"

#include <stdbool.h>
#include <stdint.h>

struct raft_log {
	struct raft_entry *ring;
	uint64_t mask; /* slots of the ring - 1, a power of two - 1 */
	uint64_t capacity; /* entries_max */
	uint64_t first;
	uint64_t base_term; /* term of first - 1 */
	uint64_t last;
	uint64_t stable;
	uint64_t handed;
	uint64_t commit;
	uint64_t applying;
	uint64_t applied;
	uint64_t apply_size; /* bytes of applied + 1 .. applying */
	uint64_t apply_size_max; /* 0: none */
	bool apply_paused;
	bool apply_unstable; /* the caller persists before it applies */
	bool incoming_set;
	bool incoming_handed;
	struct raft_snapshot incoming;
};

static inline struct raft_entry *raft_log_slot(const struct raft_log *log,
					       uint64_t index)
{
	return &log->ring[index & log->mask];
}

/* Whether `index` is in the log or just before it; *ret_term is its term. */
static inline bool raft_log_term(const struct raft_log *log, uint64_t index,
				 uint64_t *ret_term)
{
	if (index > log->last || index + 1 < log->first)
		return false;
	*ret_term = index + 1 == log->first ? log->base_term
					    : raft_log_slot(log, index)->term;
	return true;
}

static inline uint64_t raft_log_last_term(const struct raft_log *log)
{
	return log->last + 1 == log->first
		       ? log->base_term
		       : raft_log_slot(log, log->last)->term;
}

static inline uint64_t raft_log_room(const struct raft_log *log)
{
	return log->capacity - (log->last + 1 - log->first);
}

void raft_log_init(struct raft_log *log, struct raft_entry *ring,
		   uint64_t slots, uint64_t capacity);

/* Everything up to `index` is in a snapshot: an empty log begins after it. */
void raft_log_start(struct raft_log *log, uint64_t index, uint64_t term);

/* Puts an entry behind the last; there must be room. */
void raft_log_push(struct raft_log *log, const struct raft_entry *entry);

/* Drops the entries from `from` on; none of them may be committed. */
void raft_log_cut(struct raft_log *log, uint64_t from);

bool raft_log_matches(const struct raft_log *log, uint64_t index,
		      uint64_t term);

/* Whether a log that ends in (index, term) is as new as this one (§5.4.1). */
bool raft_log_is_up_to_date(const struct raft_log *log, uint64_t index,
			    uint64_t term);

/*
 * The last index at or before `index` whose entry has at most `term`: the
 * two logs cannot agree between. Its term, or 0 when it is not known here,
 * goes to *ret_term.
 */
uint64_t raft_log_conflict(const struct raft_log *log, uint64_t index,
			   uint64_t term, uint64_t *ret_term);

void raft_log_commit_to(struct raft_log *log, uint64_t index);

/* Durable up to (index, term), if that is still what stands there. */
void raft_log_stable_to(struct raft_log *log, uint64_t index, uint64_t term);

/* The last index that may be applied now. */
uint64_t raft_log_applicable(const struct raft_log *log);
bool raft_log_has_apply(const struct raft_log *log);
/* The last index to hand out now, in the limits; only if there is one. */
uint64_t raft_log_apply_last(const struct raft_log *log);
void raft_log_hand_apply(struct raft_log *log, uint64_t last);

/* The state machine has taken all up to `index`: bytes of payload in it. */
uint64_t raft_log_applied_to(struct raft_log *log, uint64_t index);

void raft_log_compact(struct raft_log *log, uint64_t index);

#endif
