/*
 * A message comes in: the paper's §5.1 (terms act as a logical clock), then
 * by role and type.
 *
 * A message that no correct member sends is refused with RAFT_EINVALID and
 * changes nothing (check.c judges it); one that is late or comes twice is
 * ignored by its term or its indexes.
 *
 * Invariant: this member's term never falls, and nothing of an older term
 * has any effect here, but that what was committed then still is.
 */
#include "raft/internal.h"

#include <assert.h>

static bool is_reply(uint8_t type)
{
	return type == RAFT_MSG_APPEND_REPLY || type == RAFT_MSG_VOTE_REPLY ||
	       type == RAFT_MSG_PRE_VOTE_REPLY ||
	       type == RAFT_MSG_HEARTBEAT_REPLY ||
	       type == RAFT_MSG_READ_INDEX_REPLY;
}

static bool is_ask(uint8_t type)
{
	return type == RAFT_MSG_VOTE || type == RAFT_MSG_PRE_VOTE;
}

/* Heard of a leader within an election timeout: no other one is wanted. */
static bool in_lease(const struct raft *raft)
{
	return raft->options.check_quorum && raft->leader != 0 &&
	       raft->election_elapsed < raft->options.election_ticks;
}

/* A newer term: whether the message is still to be handled. */
static bool meet_newer(struct raft *raft, const struct raft_message *message)
{
	if (is_ask(message->type) && !message->forced && in_lease(raft))
		return false;
	/* The future term of a PreVote is nobody's yet. */
	if (message->type == RAFT_MSG_PRE_VOTE ||
	    (message->type == RAFT_MSG_PRE_VOTE_REPLY && !message->reject))
		return true;
	raft_become_follower(raft, message->term);
	return true;
}

/*
 * An older term: at most an answer that says so. But who refuses in one, and
 * was removed, may be all that knows of it: no newer term will ever come from
 * there, and without it nobody can tell that its vote is not needed.
 */
static void meet_older(struct raft *raft, const struct raft_message *message)
{
	struct raft_message reply = {0};

	if (message->type == RAFT_MSG_VOTE_REPLY ||
	    message->type == RAFT_MSG_PRE_VOTE_REPLY)
		raft_learn_commit(raft, message);
	reply.to = message->from;
	reply.term = raft->term;
	if ((raft->options.check_quorum || raft->options.pre_vote ||
	     !raft->options.silent_votes) &&
	    (message->type == RAFT_MSG_APPEND ||
	     message->type == RAFT_MSG_HEARTBEAT)) {
		/*
		 * This member's term is ahead, so it cannot follow, and no one
		 * may hear its vote, or it may not campaign at all: the leader
		 * must learn of the term.
		 */
		reply.type = RAFT_MSG_APPEND_REPLY;
		raft_send(raft, &reply);
	} else if (message->type == RAFT_MSG_PRE_VOTE ||
		   (message->type == RAFT_MSG_VOTE &&
		    !raft->options.silent_votes)) {
		/* Who needs this very vote must come to this term first. */
		reply.type = message->type == RAFT_MSG_VOTE
				     ? RAFT_MSG_VOTE_REPLY
				     : RAFT_MSG_PRE_VOTE_REPLY;
		reply.reject = true;
		raft_send(raft, &reply);
	}
}

static void step_from_leader(struct raft *raft,
			     const struct raft_message *message)
{
	/* Two leaders of one term cannot be. */
	assert(raft->role != RAFT_LEADER);
	if (raft->role != RAFT_FOLLOWER)
		raft_become_follower(raft, message->term);
	raft->election_elapsed = 0;
	raft->heard = raft->now + 1;
	raft->leader = message->from;
	if (message->type == RAFT_MSG_APPEND)
		raft_receive_append(raft, message);
	else if (message->type == RAFT_MSG_HEARTBEAT)
		raft_receive_heartbeat(raft, message);
	else
		raft_receive_snapshot(raft, message);
}

static int step_propose(struct raft *raft, const struct raft_message *message)
{
	uint64_t index, term;

	return raft_propose(raft, message->entries, &index, &term);
}

static void receive_timeout_now(struct raft *raft)
{
	int err = 0;

	if (raft->role == RAFT_FOLLOWER)
		err = raft_hup(raft, true);
	(void)err; /* the leader gives it up, if this member may not */
}

static int step_by_type(struct raft *raft, const struct raft_message *message)
{
	switch (message->type) {
	case RAFT_MSG_PROPOSE:
		return step_propose(raft, message);
	case RAFT_MSG_APPEND:
	case RAFT_MSG_HEARTBEAT:
	case RAFT_MSG_SNAPSHOT:
		step_from_leader(raft, message);
		return 0;
	case RAFT_MSG_APPEND_REPLY:
		raft_receive_append_reply(raft, message);
		return 0;
	case RAFT_MSG_HEARTBEAT_REPLY:
		raft_receive_heartbeat_reply(raft, message);
		return 0;
	case RAFT_MSG_VOTE:
	case RAFT_MSG_PRE_VOTE:
		raft_receive_vote(raft, message);
		return 0;
	case RAFT_MSG_VOTE_REPLY:
	case RAFT_MSG_PRE_VOTE_REPLY:
		raft_receive_vote_reply(raft, message);
		return 0;
	case RAFT_MSG_TRANSFER:
		raft_transfer_step(raft, message->round);
		return 0;
	case RAFT_MSG_TIMEOUT_NOW:
		receive_timeout_now(raft);
		return 0;
	case RAFT_MSG_READ_INDEX:
		return raft_receive_read_index(raft, message);
	default:
		assert(message->type == RAFT_MSG_READ_INDEX_REPLY);
		raft_receive_read_reply(raft, message);
		return 0;
	}
}

int raft_step(struct raft *raft, const struct raft_message *message)
{
	bool local = message->type == RAFT_MSG_PROPOSE ||
		     message->type == RAFT_MSG_READ_INDEX;

	if (!local) {
		if (message->term > raft->term && !meet_newer(raft, message))
			return 0;
		if (message->term < raft->term) {
			meet_older(raft, message);
			return 0;
		}
	}
	return step_by_type(raft, message);
}

int raft_receive(struct raft *raft, const struct raft_message *message)
{
	assert(raft && message);
	raft_touch(raft);
	if (raft_is_malformed(raft, message))
		return RAFT_EINVALID;
	if (is_reply(message->type) && !raft_find(raft, message->from))
		return RAFT_EUNKNOWN_PEER;
	if (raft_contradicts(raft, message))
		return RAFT_EINVALID;
	return raft_step(raft, message);
}

void raft_forget_leader(struct raft *raft)
{
	assert(raft);
	raft_touch(raft);
	/* Whoever forgets may vote at once: not while a lease stands on it. */
	if (raft->options.read_mode == RAFT_READ_LEASE || raft->options.lease)
		return;
	if (raft->role == RAFT_FOLLOWER)
		raft->leader = 0;
}

void raft_report_unreachable(struct raft *raft, uint64_t peer)
{
	struct raft_progress *progress;

	assert(raft);
	raft_touch(raft);
	progress = raft_find(raft, peer);
	/* What a leader sent ahead is probably lost. */
	if (progress && progress->state == RAFT_REPLICATE)
		raft_progress_probe(progress);
}
