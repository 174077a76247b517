/*
 * Majorities, simple and joint (the paper's §6: a joint decision needs both
 * halves). An empty half decides nothing: it commits everything and wins
 * every vote, so that a simple configuration is a joint one with one half
 * empty.
 *
 * Invariant: two decisions of one configuration share a member.
 */
#ifndef RAFT_QUORUM_H
#define RAFT_QUORUM_H

#include <stdint.h>

enum raft_vote {
	RAFT_VOTE_NONE = 0, /* has not answered */
	RAFT_VOTE_YES = 1,
	RAFT_VOTE_NO = 2,
};

enum raft_vote_result {
	RAFT_VOTE_PENDING = 1,
	RAFT_VOTE_LOST = 2,
	RAFT_VOTE_WON = 3,
};

/*
 * The highest index that a majority of the `count` acknowledged indexes has
 * reached; UINT64_MAX for none. `acked` is sorted in place.
 */
uint64_t raft_quorum_index(uint64_t *acked, unsigned int count);

/* The outcome of `count` votes, each an enum raft_vote. */
enum raft_vote_result raft_quorum_vote(const uint8_t *votes,
				       unsigned int count);

/* Both halves must agree: the lesser index, the worse result. */
uint64_t raft_quorum_joint_index(uint64_t incoming, uint64_t outgoing);
enum raft_vote_result raft_quorum_joint_vote(enum raft_vote_result incoming,
					     enum raft_vote_result outgoing);

#endif
