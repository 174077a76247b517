/*
 * What the leader knows of one member's log (the paper's matchIndex and
 * nextIndex, Figure 2), and how it feeds it.
 *
 *   probe      the match is not known: one append at a time
 *   replicate  appends are sent ahead of their answers, within the window
 *   snapshot   the log no longer reaches back far enough: wait for the image
 *
 * Invariant: match < next, always; and match only grows within a term, as
 * long as the member is one.
 */
#ifndef RAFT_PROGRESS_H
#define RAFT_PROGRESS_H

#include "raft/raft.h"

#include <stdbool.h>
#include <stdint.h>

enum raft_progress_state {
	RAFT_PROBE = 0,
	RAFT_REPLICATE = 1,
	RAFT_SNAPSHOT = 2,
};

struct raft_inflight {
	uint64_t index; /* last of the append */
	uint64_t size;
};

/* The appends that were sent ahead and not answered yet, oldest first. */
struct raft_inflights {
	struct raft_inflight *ring; /* given at birth */
	uint32_t capacity;
	uint32_t start;
	uint32_t count;
	uint64_t size;
	uint64_t size_max; /* 0: none */
};

struct raft_progress {
	uint64_t id;
	uint64_t match;
	uint64_t next;
	uint64_t sent_commit; /* highest commit index sent to it */
	uint64_t pending_snapshot; /* index of the image under way, or 0 */
	uint64_t acked_round; /* newest heartbeat round it answered */
	uint8_t state; /* enum raft_progress_state */
	uint8_t vote; /* enum raft_vote, of this candidature */
	bool recent_active;
	bool paused;
	bool learner;
	struct raft_inflights inflights;
	struct raft_snapshot snapshot; /* the image offered to it */
};

void raft_inflights_add(struct raft_inflights *flights, uint64_t index,
			uint64_t size);
void raft_inflights_free_to(struct raft_inflights *flights, uint64_t index);
void raft_inflights_reset(struct raft_inflights *flights);
bool raft_inflights_full(const struct raft_inflights *flights);

/* Back to the beginning of a term: nothing known but `next`. */
void raft_progress_reset(struct raft_progress *progress, uint64_t match,
			 uint64_t next);
void raft_progress_probe(struct raft_progress *progress);
void raft_progress_replicate(struct raft_progress *progress);
void raft_progress_snapshot(struct raft_progress *progress, uint64_t index);

/* An append of `count` entries and `size` bytes was sent. */
void raft_progress_sent(struct raft_progress *progress, uint32_t count,
			uint64_t size);

/* It acknowledged `index`: whether that is news. */
bool raft_progress_update(struct raft_progress *progress, uint64_t index);

/*
 * It refused the append after `rejected` and may agree at `hint`: whether
 * the refusal is not stale, so that next was moved back: it is to be probed,
 * at once.
 */
bool raft_progress_decrease(struct raft_progress *progress, uint64_t rejected,
			    uint64_t hint);

/*
 * It lost what it had acknowledged; up to `known`, which is before match, the
 * logs agree, but nobody knows how much of that is durable there.
 */
void raft_progress_forget(struct raft_progress *progress, uint64_t known);

/* Whether sending `commit` can move its commit index. */
bool raft_progress_can_commit(const struct raft_progress *progress,
			      uint64_t commit);
bool raft_progress_paused(const struct raft_progress *progress);

#endif
