/*
 * Majorities: the paper's §5.3 (commit) and §5.2 (votes), and §6 for two
 * halves at once.
 *
 * Invariant: any two majorities of one configuration share a member, and a
 * joint decision shares one with every majority of either half; so two
 * leaders of one term, or two different entries at one index, cannot both be
 * decided.
 */
#include "raft/quorum.h"

#include <assert.h>

uint64_t raft_quorum_index(uint64_t *acked, unsigned int count)
{
	assert(acked || count == 0);
	if (count == 0)
		return UINT64_MAX;
	for (unsigned int i = 1; i < count; i++) {
		uint64_t one = acked[i];
		unsigned int j = i;

		for (; j > 0 && acked[j - 1] > one; j--)
			acked[j] = acked[j - 1];
		acked[j] = one;
	}
	/* All from here up have it: count - (count - 1) / 2, a majority. */
	return acked[(count - 1) / 2];
}

enum raft_vote_result raft_quorum_vote(const uint8_t *votes, unsigned int count)
{
	unsigned int yes = 0, missing = 0, majority = count / 2 + 1;

	assert(votes || count == 0);
	if (count == 0)
		return RAFT_VOTE_WON;
	for (unsigned int i = 0; i < count; i++) {
		if (votes[i] == RAFT_VOTE_YES)
			yes++;
		else if (votes[i] == RAFT_VOTE_NONE)
			missing++;
	}
	if (yes >= majority)
		return RAFT_VOTE_WON;
	if (yes + missing >= majority)
		return RAFT_VOTE_PENDING;
	return RAFT_VOTE_LOST;
}

uint64_t raft_quorum_joint_index(uint64_t incoming, uint64_t outgoing)
{
	return incoming < outgoing ? incoming : outgoing;
}

enum raft_vote_result raft_quorum_joint_vote(enum raft_vote_result incoming,
					     enum raft_vote_result outgoing)
{
	if (incoming == outgoing)
		return incoming;
	if (incoming == RAFT_VOTE_LOST || outgoing == RAFT_VOTE_LOST)
		return RAFT_VOTE_LOST;
	return RAFT_VOTE_PENDING;
}
