/*
 * Roles, terms and votes: the paper's §5.2 and §5.4.1, the dissertation's
 * §9.6 (PreVote) and §6.4.1 (a leader that hears no quorum steps down).
 *
 * Invariant: at most one vote per term, durable before it is told; a vote
 * only for a log that is as new as this one. So one leader per term at most,
 * and it has every committed entry. Where leaders hold leases, no vote within
 * an election timeout of a leader's last word, whatever this member learnt of
 * terms since; only a transfer overrules that.
 */
#include "raft/internal.h"

#include "raft/entry.h"

#include <assert.h>

static void reset(struct raft *raft, uint64_t term)
{
	assert(term >= raft->term);
	if (term != raft->term) {
		raft->term = term;
		raft->vote = 0;
	}
	raft->leader = 0;
	raft->election_elapsed = 0;
	raft->heartbeat_elapsed = 0;
	raft->transferee = 0;
	raft->offered = 0;
	raft->pending_conf = 0;
	raft->uncommitted_size = 0;
	raft->term_start = 0;
	raft->lease_withdrawn = false;
	raft->confirmed = 0;
	raft_draw_timeout(raft);
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		struct raft_progress *p = &raft->progress[raft->order[i]];
		bool self = p->id == raft->options.id;

		p->vote = RAFT_VOTE_NONE;
		raft_progress_reset(p, self ? raft->log.last : 0,
				    raft->log.last + 1);
	}
	raft_reads_reset(raft);
}

static void clear_votes(struct raft *raft)
{
	for (unsigned int i = 0; i < raft->progress_count; i++)
		raft->progress[raft->order[i]].vote = RAFT_VOTE_NONE;
}

void raft_become_follower(struct raft *raft, uint64_t term)
{
	reset(raft, term);
	raft->role = RAFT_FOLLOWER;
}

static void become_candidate(struct raft *raft)
{
	assert(raft->role != RAFT_LEADER);
	reset(raft, raft->term + 1);
	raft->vote = raft->options.id;
	raft->role = RAFT_CANDIDATE;
}

/*
 * Votes and refusals tell what the sender knows to be committed. Where a
 * change took a member's vote away and its leader vanished before saying so,
 * those that are left may need that very member's vote, and it may have to
 * refuse; then they learn from the refusal that they need it no more.
 */
static void tell_commit(const struct raft *raft, struct raft_message *message)
{
	bool known;

	if (raft->options.silent_votes)
		return;
	known = raft_log_term(&raft->log, raft->log.commit,
			      &message->commit_term);
	/* It is in the window, or just before it. */
	assert(known);
	message->commit = raft->log.commit;
}

/* The same index and term name the same entry, here and there (§5.3). */
void raft_learn_commit(struct raft *raft, const struct raft_message *message)
{
	if (raft->options.silent_votes)
		return;
	if (message->commit > raft->log.commit && raft->role != RAFT_LEADER &&
	    raft_log_matches(&raft->log, message->commit, message->commit_term))
		raft_log_commit_to(&raft->log, message->commit);
}

/* Asks first, without a new term: nothing durable changes (§9.6). */
static void become_pre_candidate(struct raft *raft)
{
	assert(raft->role != RAFT_LEADER);
	clear_votes(raft);
	raft->leader = 0;
	raft->role = RAFT_PRE_CANDIDATE;
}

static void become_leader(struct raft *raft)
{
	struct raft_progress *self;

	assert(raft->role == RAFT_CANDIDATE);
	reset(raft, raft->term);
	raft->leader = raft->options.id;
	raft->role = RAFT_LEADER;
	self = raft_find(raft, raft->options.id);
	assert(self);
	raft_progress_replicate(self);
	self->recent_active = true;
	/* A change that an earlier leader appended may lie in the tail. */
	raft->pending_conf = raft->log.last;
	raft->term_start = raft->log.last + 1;
	raft_append_own(raft, ENTRY_EMPTY);
}

bool raft_promotable(const struct raft *raft)
{
	const struct raft_progress *self =
		raft_find_const(raft, raft->options.id);

	if (!self || self->learner || raft->log.incoming_set)
		return false;
	if (raft->quiet > 0)
		return false;
	if (raft->restraint != RAFT_FREE || raft->lost)
		return false;
	return raft_log_room(&raft->log) > 0;
}

/* A committed change that is not in force yet could make this no voter. */
static bool has_unapplied_conf(const struct raft *raft)
{
	for (uint64_t i = raft->log.applied + 1; i <= raft->log.commit; i++)
		if (entry_is_conf(raft_log_slot(&raft->log, i)->kind))
			return true;
	return false;
}

static void ask_votes(struct raft *raft, bool pre, bool forced)
{
	struct raft_message ask = {0};

	ask.term = pre ? raft->term + 1 : raft->term;
	ask.log_index = raft->log.last;
	ask.log_term = raft_log_last_term(&raft->log);
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		uint64_t id = raft->progress[raft->order[i]].id;
		struct raft_message one = ask;

		if (!raft_is_voter(raft, id))
			continue;
		one.to = id;
		if (id == raft->options.id) {
			/* Its own vote counts once it is durable. */
			one.type = pre ? RAFT_MSG_PRE_VOTE_REPLY
				       : RAFT_MSG_VOTE_REPLY;
			one.log_index = 0;
			one.log_term = 0;
		} else {
			one.type = pre ? RAFT_MSG_PRE_VOTE : RAFT_MSG_VOTE;
			one.forced = forced;
			tell_commit(raft, &one);
		}
		raft_send(raft, &one);
	}
}

bool raft_is_promised(const struct raft *raft)
{
	return raft->options.lease && raft->heard != 0 &&
	       raft->now + 1 - raft->heard < raft->options.election_ticks;
}

int raft_hup(struct raft *raft, bool forced)
{
	bool pre = raft->options.pre_vote && !forced;

	if (raft->role == RAFT_LEADER)
		return 0;
	if (!raft_promotable(raft) || has_unapplied_conf(raft))
		return RAFT_EINVALID;
	/* There is no term after this one. */
	if (raft->term >= RAFT_COUNT_MAX)
		return RAFT_EINVALID;
	if (!forced && raft_is_promised(raft))
		return RAFT_EINVALID;
	if (pre)
		become_pre_candidate(raft);
	else
		become_candidate(raft);
	ask_votes(raft, pre, forced);
	return 0;
}

int raft_campaign(struct raft *raft)
{
	assert(raft);
	raft_touch(raft);
	return raft_hup(raft, false);
}

void raft_tick_election(struct raft *raft)
{
	int err;

	raft->election_elapsed++;
	if (!raft_promotable(raft) ||
	    raft->election_elapsed < raft->election_timeout)
		return;
	raft->election_elapsed = 0;
	err = raft_hup(raft, false);
	(void)err; /* next time, if not now */
}

/* Whether it may have this member's vote, by term and earlier promises. */
static bool vote_is_free(const struct raft *raft,
			 const struct raft_message *message)
{
	if (raft->quiet > 0)
		return false;
	if (raft->vote == message->from)
		return true;
	if (raft->vote == 0 && raft->leader == 0)
		return true;
	return message->type == RAFT_MSG_PRE_VOTE && message->term > raft->term;
}

void raft_receive_vote(struct raft *raft, const struct raft_message *message)
{
	bool pre = message->type == RAFT_MSG_PRE_VOTE;
	struct raft_message reply = {0};

	assert(pre || message->term == raft->term);
	raft_learn_commit(raft, message);
	reply.type = pre ? RAFT_MSG_PRE_VOTE_REPLY : RAFT_MSG_VOTE_REPLY;
	reply.to = message->from;
	/*
	 * A learner answers too: it may have been made a voter by a change
	 * that it has not applied yet.
	 */
	if (raft_is_promised(raft) && !message->forced)
		return;
	if (!vote_is_free(raft, message) ||
	    !raft_log_is_up_to_date(&raft->log, message->log_index,
				    message->log_term) ||
	    !raft_lost_is_up_to_date(raft, message->log_index,
				     message->log_term)) {
		reply.term = raft->term;
		reply.reject = true;
		tell_commit(raft, &reply);
		raft_send(raft, &reply);
		return;
	}
	/* A granted PreVote answers in the term that was asked about. */
	reply.term = message->term;
	if (!raft->options.silent_votes) {
		reply.log_index = message->log_index;
		reply.log_term = message->log_term;
	}
	raft_send(raft, &reply);
	if (!pre) {
		raft->election_elapsed = 0;
		raft->vote = message->from;
	}
}

static enum raft_vote_result count_half(const struct raft *raft,
					const uint64_t *ids, uint8_t count,
					bool active)
{
	uint8_t votes[RAFT_MEMBERS_MAX];

	for (unsigned int i = 0; i < count; i++) {
		const struct raft_progress *p = raft_find_const(raft, ids[i]);

		assert(p);
		votes[i] = p->vote;
		if (active)
			votes[i] =
				p->recent_active ? RAFT_VOTE_YES : RAFT_VOTE_NO;
	}
	return raft_quorum_vote(votes, count);
}

/* The votes so far, or with `active` who was heard of lately. */
static enum raft_vote_result count_votes(const struct raft *raft, bool active)
{
	const struct raft_conf_state *conf = &raft->conf;

	return raft_quorum_joint_vote(
		count_half(raft, conf->voters, conf->voter_count, active),
		count_half(raft, conf->outgoing, conf->outgoing_count, active));
}

bool raft_quorum_active(struct raft *raft)
{
	return count_votes(raft, true) == RAFT_VOTE_WON;
}

/*
 * Others alone may make a majority. But a leader whose own vote is not
 * durable could forget the term, win it again after a crash, and put other
 * entries in the place of those that it sent. And who was made a learner, or
 * removed, since it asked for votes does not lead.
 */
static bool own_vote_counts(const struct raft *raft)
{
	const struct raft_progress *self =
		raft_find_const(raft, raft->options.id);

	return self && !self->learner && self->vote == RAFT_VOTE_YES;
}

static void win(struct raft *raft)
{
	if (raft->role == RAFT_PRE_CANDIDATE) {
		become_candidate(raft);
		ask_votes(raft, false, false);
	} else if (own_vote_counts(raft)) {
		become_leader(raft);
		raft_broadcast_append(raft);
	}
}

/*
 * A candidate asks before its disk has what it asks with: neither its term
 * nor the end of its log. After a crash it may stand in the same term with
 * less, and a grant to what it was counts no more; so a grant names the log
 * that it was given to (etcd's do not).
 */
static bool is_for_more(const struct raft *raft,
			const struct raft_message *grant)
{
	uint64_t last_term = raft_log_last_term(&raft->log);

	return grant->log_term > last_term ||
	       (grant->log_term == last_term &&
		grant->log_index > raft->log.last);
}

void raft_receive_vote_reply(struct raft *raft,
			     const struct raft_message *message)
{
	enum raft_vote_result result;
	struct raft_progress *from = raft_find(raft, message->from);
	uint8_t wanted = raft->role == RAFT_PRE_CANDIDATE
				 ? RAFT_MSG_PRE_VOTE_REPLY
				 : RAFT_MSG_VOTE_REPLY;

	raft_learn_commit(raft, message);
	if (raft->role != RAFT_CANDIDATE && raft->role != RAFT_PRE_CANDIDATE)
		return;
	if (message->type != wanted || !from)
		return;
	/* A grant is for one term: it says nothing of what is asked now. */
	if (wanted == RAFT_MSG_PRE_VOTE_REPLY && !message->reject &&
	    message->term != raft->term + 1)
		return;
	if (is_for_more(raft, message))
		return;
	if (from->vote == RAFT_VOTE_NONE)
		from->vote = message->reject ? RAFT_VOTE_NO : RAFT_VOTE_YES;
	result = count_votes(raft, false);
	if (result == RAFT_VOTE_WON)
		win(raft);
	else if (result == RAFT_VOTE_LOST)
		raft_become_follower(raft, raft->term);
}

void raft_restrain(struct raft *raft, enum raft_restraint restraint)
{
	assert(raft);
	raft_touch(raft);
	raft->restraint = (uint8_t)restraint;
}
