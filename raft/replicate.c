/*
 * Replication, both sides: the paper's §5.3 (append, log matching), §5.4.2
 * (only entries of the own term are committed by counting) and the
 * dissertation's §10.2.1 (pipelining).
 *
 * Where two logs differ, each side skips a whole term per message: the
 * follower names the last index that could agree with the term it was asked
 * about, the leader does the same with what the follower named.
 *
 * Invariant: if two logs hold an entry of the same index and term, they are
 * the same up to there; and a commit index names an entry that a majority
 * has on disk.
 */
#include "raft/internal.h"

#include "raft/entry.h"

#include <assert.h>

enum half_of {
	HALF_MATCH,
	HALF_ROUND,
};

static uint64_t half_index(const struct raft *raft, const uint64_t *ids,
			   uint8_t count, enum half_of what)
{
	uint64_t acked[RAFT_MEMBERS_MAX];

	for (unsigned int i = 0; i < count; i++) {
		const struct raft_progress *p = raft_find_const(raft, ids[i]);

		assert(p);
		acked[i] = what == HALF_MATCH ? p->match : p->acked_round;
		if (what == HALF_ROUND && ids[i] == raft->options.id)
			acked[i] = raft->round;
	}
	return raft_quorum_index(acked, count);
}

static uint64_t quorum_of(const struct raft *raft, enum half_of what)
{
	const struct raft_conf_state *conf = &raft->conf;

	return raft_quorum_joint_index(
		half_index(raft, conf->voters, conf->voter_count, what),
		half_index(raft, conf->outgoing, conf->outgoing_count, what));
}

uint64_t raft_quorum_round(const struct raft *raft)
{
	return quorum_of(raft, HALF_ROUND);
}

bool raft_maybe_commit(struct raft *raft)
{
	uint64_t index = quorum_of(raft, HALF_MATCH);

	/* §5.4.2: an older term's entry on a majority may still be lost. */
	if (index <= raft->log.commit ||
	    !raft_log_matches(&raft->log, index, raft->term))
		return false;
	raft_log_commit_to(&raft->log, index);
	raft_reads_start(raft);
	return true;
}

/* How many entries from `from` on fit one message; their payload. */
static uint32_t fill_append(const struct raft *raft, uint64_t from,
			    uint64_t *ret_payload)
{
	uint64_t max = raft->options.append_size_max;
	uint64_t size = 0, payload = 0;
	uint64_t index = from;

	for (; index <= raft->log.last; index++) {
		uint32_t one = raft_log_slot(&raft->log, index)->size;

		size += entry_size(one);
		if (index > from && size > max)
			break;
		payload += one;
	}
	*ret_payload = payload;
	return (uint32_t)(index - from);
}

bool raft_send_append(struct raft *raft, struct raft_progress *progress,
		      bool if_empty)
{
	struct raft_message append = {0};
	uint64_t payload = 0;

	assert(raft->role == RAFT_LEADER);
	if (raft_progress_paused(progress))
		return false;
	if (raft->outbox_count == raft->options.messages_max) {
		raft->append_missed = true;
		return false;
	}
	append.log_index = progress->next - 1;
	if (!raft_log_term(&raft->log, append.log_index, &append.log_term))
		return raft_send_snapshot(raft, progress);
	/*
	 * A full window still lets an empty append through: when all that
	 * filled it was lost, its refusal is what gets things going again.
	 */
	if (progress->state != RAFT_REPLICATE ||
	    !raft_inflights_full(&progress->inflights))
		append.entry_count =
			fill_append(raft, progress->next, &payload);
	if (append.entry_count == 0 && !if_empty)
		return false;
	append.type = RAFT_MSG_APPEND;
	append.to = progress->id;
	append.commit = raft->log.commit;
	append.first_index = append.entry_count > 0 ? progress->next : 0;
	raft_send(raft, &append);
	raft_progress_sent(progress, append.entry_count, payload);
	progress->sent_commit = raft->log.commit;
	return true;
}

void raft_broadcast_append(struct raft *raft)
{
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		struct raft_progress *p = &raft->progress[raft->order[i]];

		if (p->id != raft->options.id)
			(void)raft_send_append(raft, p, true);
	}
}

/* The commit index goes no further than what the member is known to have. */
static void send_heartbeat(struct raft *raft, struct raft_progress *progress)
{
	struct raft_message beat = {0};

	beat.type = RAFT_MSG_HEARTBEAT;
	beat.to = progress->id;
	beat.commit = progress->match < raft->log.commit ? progress->match
							 : raft->log.commit;
	beat.round = raft->round;
	raft_send(raft, &beat);
	progress->sent_commit = beat.commit;
}

void raft_broadcast_heartbeat(struct raft *raft)
{
	(void)raft_round_begin(raft); /* send_heartbeat() reads it */
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		struct raft_progress *p = &raft->progress[raft->order[i]];

		if (p->id != raft->options.id)
			send_heartbeat(raft, p);
	}
}

/* Whoever answers until the next check is counted by it. */
static void check_quorum(struct raft *raft)
{
	if (!raft_quorum_active(raft)) {
		raft_become_follower(raft, raft->term);
		return;
	}
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		struct raft_progress *p = &raft->progress[raft->order[i]];

		if (p->id != raft->options.id)
			p->recent_active = false;
	}
}

void raft_tick_leader(struct raft *raft)
{
	raft->heartbeat_elapsed++;
	raft->election_elapsed++;
	if (raft->election_elapsed >= raft->options.election_ticks) {
		raft->election_elapsed = 0;
		if (raft->options.check_quorum)
			check_quorum(raft);
		if (raft->role != RAFT_LEADER)
			return;
		raft_transfer_abort(raft);
	}
	raft_leave_joint(raft);
	if (raft->heartbeat_elapsed < raft->options.heartbeat_ticks)
		return;
	raft->heartbeat_elapsed = 0;
	raft_broadcast_heartbeat(raft);
}

static void acknowledge(struct raft *raft, uint64_t to, uint64_t index)
{
	struct raft_message reply = {0};

	reply.type = RAFT_MSG_APPEND_REPLY;
	reply.to = to;
	reply.log_index = index;
	raft_send(raft, &reply);
}

static void refuse(struct raft *raft, const struct raft_message *append)
{
	struct raft_message reply = {0};
	uint64_t index = append->log_index;

	if (index > raft->log.last)
		index = raft->log.last;
	reply.type = RAFT_MSG_APPEND_REPLY;
	reply.to = append->from;
	reply.reject = true;
	reply.log_index = append->log_index;
	reply.reject_hint = raft_log_conflict(
		&raft->log, index, append->log_term, &reply.log_term);
	raft_lost_tell(raft, &reply);
	raft_send(raft, &reply);
}

/*
 * Takes what is new, and cuts what contradicts it; an append that repeats
 * what is here cuts nothing. Returns the last index that agrees now.
 */
static uint64_t merge(struct raft *raft, const struct raft_message *append)
{
	struct raft_log *log = &raft->log;
	uint32_t i = 0;

	while (i < append->entry_count &&
	       raft_log_matches(log, append->entries[i].index,
				append->entries[i].term))
		i++;
	if (i == append->entry_count)
		return append->log_index + append->entry_count;
	if (append->entries[i].index <= log->last) {
		raft_outbox_purge(raft, append->entries[i].index, 0);
		raft_log_cut(log, append->entries[i].index);
		if (raft->evicted > log->last)
			raft->evicted = log->last;
	}
	for (; i < append->entry_count && raft_log_room(log) > 0; i++)
		raft_log_push(log, &append->entries[i]);
	return append->log_index + i;
}

void raft_receive_append(struct raft *raft, const struct raft_message *append)
{
	struct raft_log *log = &raft->log;
	uint64_t last;

	/* What is committed is not looked at again, let alone cut. */
	if (append->log_index < log->commit) {
		acknowledge(raft, append->from, log->commit);
		return;
	}
	/*
	 * Who voted before the first entry is not in the log: a member that
	 * was not told at birth cannot begin with entries, it needs an image.
	 */
	if ((append->log_index == 0 && raft->conf.voter_count == 0) ||
	    !raft_log_matches(log, append->log_index, append->log_term)) {
		refuse(raft, append);
		return;
	}
	last = merge(raft, append);
	if (last > raft->confirmed)
		raft->confirmed = last;
	raft_log_commit_to(log, append->commit < last ? append->commit : last);
	acknowledge(raft, append->from, last);
}

void raft_receive_heartbeat(struct raft *raft, const struct raft_message *beat)
{
	struct raft_message reply = {0};

	/* What the leader was told before something was lost does not count. */
	if (!raft->lost || beat->commit <= raft_lost_known(raft))
		raft_log_commit_to(&raft->log, beat->commit);
	reply.type = RAFT_MSG_HEARTBEAT_REPLY;
	reply.to = beat->from;
	reply.round = beat->round;
	raft_lost_tell(raft, &reply);
	raft_send(raft, &reply);
}

static void receive_refusal(struct raft *raft, struct raft_progress *progress,
			    const struct raft_message *reply)
{
	uint64_t hint = reply->reject_hint;
	uint64_t term;

	if (raft_lost_hear(progress, reply)) {
		(void)raft_send_append(raft, progress, true);
		return;
	}
	/* Nothing comes before index 0: it asks for an image. */
	if (reply->log_index == 0) {
		if (progress->state == RAFT_PROBE && progress->match == 0)
			progress->paused = !raft_send_snapshot(raft, progress);
		return;
	}
	if (reply->log_term > 0)
		hint = raft_log_conflict(&raft->log, hint, reply->log_term,
					 &term);
	if (!raft_progress_decrease(progress, reply->log_index, hint))
		return;
	(void)raft_send_append(raft, progress, true);
}

static void move_on(struct raft *raft, struct raft_progress *progress)
{
	switch (progress->state) {
	case RAFT_PROBE:
		raft_progress_replicate(progress);
		break;
	case RAFT_SNAPSHOT:
		/*
		 * Whichever image it took: the log reaches it again. If the
		 * log was compacted further meanwhile, it needs another.
		 */
		if (progress->match + 1 >= raft->log.first) {
			raft_progress_probe(progress);
			raft_progress_replicate(progress);
		} else if (progress->match >= progress->pending_snapshot) {
			raft_progress_probe(progress);
		}
		break;
	default:
		raft_inflights_free_to(&progress->inflights, progress->match);
		break;
	}
}

static void receive_match(struct raft *raft, struct raft_progress *progress,
			  uint64_t index)
{
	bool self = progress->id == raft->options.id;

	if (!raft_progress_update(progress, index) &&
	    (progress->match != index || progress->state != RAFT_PROBE))
		return;
	move_on(raft, progress);
	if (raft_maybe_commit(raft))
		raft_broadcast_append(raft);
	else if (!self && raft_progress_can_commit(progress, raft->log.commit))
		(void)raft_send_append(raft, progress, true);
	/* The window may have opened by more than one message. */
	while (!self && raft_send_append(raft, progress, false))
		;
	raft_transfer_caught_up(raft, progress);
}

void raft_receive_append_reply(struct raft *raft,
			       const struct raft_message *reply)
{
	struct raft_progress *progress = raft_find(raft, reply->from);

	/* Its own write may come when it is a member no more. */
	if (raft->role != RAFT_LEADER || !progress)
		return;
	progress->recent_active = true;
	if (reply->reject)
		receive_refusal(raft, progress, reply);
	else
		receive_match(raft, progress, reply->log_index);
}

void raft_receive_heartbeat_reply(struct raft *raft,
				  const struct raft_message *reply)
{
	struct raft_progress *progress = raft_find(raft, reply->from);

	assert(progress);
	if (raft->role != RAFT_LEADER)
		return;
	progress->recent_active = true;
	progress->paused = false;
	(void)raft_lost_hear(progress, reply); /* it is probed below */
	if (reply->round > progress->acked_round)
		progress->acked_round = reply->round;
	if (progress->match < raft->log.last || progress->state == RAFT_PROBE)
		(void)raft_send_append(raft, progress, true);
	raft_reads_confirm(raft);
}
