/*
 * What the core shows of itself, for the status page (DESIGN §3) and for
 * people: a copy of the paper's Figure 2 as it stands here.
 *
 * Invariant: looking changes nothing, and the lease shown is the one in force
 * at this tick (lease.c).
 */
#include "raft/internal.h"

#include <assert.h>

void raft_status(const struct raft *raft, struct raft_status *ret_status)
{
	struct raft_status status = {0};

	assert(raft && ret_status);
	status.id = raft->options.id;
	status.term = raft->term;
	status.vote = raft->vote;
	status.commit = raft->log.commit;
	status.applied = raft->log.applied;
	status.leader = raft->leader;
	status.first_index = raft->log.first;
	status.last_index = raft->log.last;
	status.stable_index = raft->log.stable;
	status.transferee = raft->transferee;
	status.uncommitted_size = raft->uncommitted_size;
	status.pending_conf = raft->pending_conf;
	status.role = raft->role;
	status.conf = raft->conf;
	raft_lease(raft, &status.lease);
	*ret_status = status;
}

bool raft_peer_status(const struct raft *raft, uint64_t id,
		      struct raft_peer_status *ret_status)
{
	const struct raft_progress *progress;

	assert(raft && ret_status);
	progress = raft_find_const(raft, id);
	if (raft->role != RAFT_LEADER || !progress)
		return false;
	ret_status->match = progress->match;
	ret_status->active = progress->recent_active;
	return true;
}
