/*
 * The leader's lease: the dissertation's §6.4.1, made safe.
 *
 * Whoever answered a heartbeat does not vote for another for an election
 * timeout since (CheckQuorum). So while a quorum's answers are younger than
 * that, no one else can lead. The lease counts from when the round was sent,
 * not from when it was answered, and gives a tenth away to clocks that run
 * at different speeds.
 *
 * Invariant: no lease before an entry of this term is committed and applied
 * here, none after leadership was offered to another in this term.
 */
#include "raft/internal.h"

#include <assert.h>

enum lease_share {
	LEASE_TENTHS = 9, /* of the ticks in which no one else can lead */
};

void raft_lease(const struct raft *raft, struct raft_lease *ret_lease)
{
	const struct raft_round *round;
	uint64_t confirmed;

	assert(ret_lease);
	*ret_lease = (struct raft_lease){0};
	if (!raft->options.lease || raft->role != RAFT_LEADER ||
	    raft->lease_withdrawn || raft->log.applied < raft->term_start)
		return;
	confirmed = raft_quorum_round(raft);
	round = &raft->rounds[confirmed % RAFT_ROUNDS_MAX];
	if (confirmed == 0 || round->number != confirmed)
		return;
	ret_lease->term = raft->term;
	ret_lease->start_tick = round->tick;
	ret_lease->end_tick =
		round->tick + (uint64_t)(raft->options.election_ticks - 1) *
				      LEASE_TENTHS / 10;
}
