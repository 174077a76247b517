/*
 * Linearizable reads without a log entry: the dissertation's §6.4.
 *
 * A read notes the commit index and waits until a quorum has answered a
 * round of heartbeats that began after it was asked: then this member was
 * still the leader, and no one had committed more. Rounds are numbers that
 * only rise; an answer confirms its own round and all before it, so a late
 * or doubled answer can never confirm a read that came after its round was
 * sent.
 *
 * With askers_count, who forwards a read has answered already: when it asked
 * it followed this leader, so in no newer term had it voted, and neither has
 * the leader when it hears of that. Where the two are a majority, no newer
 * leader was elected before the read was asked, and the read is answered at
 * once. However late the question comes: it was sent behind every read that
 * its context stands for.
 *
 * Invariant: no read is answered before an entry of this term is committed
 * (only then does the leader know what is), not by a single voter either:
 * what it had committed before a restart may be ahead of what it recalls.
 */
#include "raft/internal.h"

#include <assert.h>

static struct raft_pending_read *waiting_at(struct raft *raft, uint32_t at)
{
	uint64_t slot = (uint64_t)raft->waiting_start + at;

	if (slot >= raft->options.reads_max)
		slot -= raft->options.reads_max;
	return &raft->waiting[slot];
}

void raft_reads_reset(struct raft *raft)
{
	raft->waiting_start = 0;
	raft->waiting_count = 0;
}

uint64_t raft_round_begin(struct raft *raft)
{
	struct raft_round *round;

	assert(raft->role == RAFT_LEADER);
	raft->round++;
	raft->round_open = true;
	round = &raft->rounds[raft->round % RAFT_ROUNDS_MAX];
	round->number = raft->round;
	round->tick = raft->now;
	return raft->round;
}

static bool knows_commit(const struct raft *raft)
{
	return raft->log.commit >= raft->term_start;
}

/* Answers a read: to this member's shell, or to who forwarded it. */
static bool answer(struct raft *raft, const struct raft_pending_read *read)
{
	struct raft_message reply = {0};

	if (read->from != 0) {
		reply.type = RAFT_MSG_READ_INDEX_REPLY;
		reply.to = read->from;
		reply.log_index = read->index;
		reply.round = read->context;
		raft_send(raft, &reply);
		return true;
	}
	if (raft->read_count == raft->options.reads_max)
		return false;
	raft->reads[raft->read_count].context = read->context;
	raft->reads[raft->read_count].index = read->index;
	raft->read_count++;
	return true;
}

void raft_reads_confirm(struct raft *raft)
{
	uint64_t confirmed;

	if (raft->waiting_count == 0)
		return;
	assert(raft->role == RAFT_LEADER);
	confirmed = raft_quorum_round(raft);
	while (raft->waiting_count > 0) {
		const struct raft_pending_read *read = waiting_at(raft, 0);

		if (read->round == 0 || read->round > confirmed ||
		    !answer(raft, read))
			return;
		if (++raft->waiting_start == raft->options.reads_max)
			raft->waiting_start = 0;
		raft->waiting_count--;
	}
}

/* The round for reads asked now; one not sent yet serves them all. */
static uint64_t round_for_now(struct raft *raft)
{
	if (!raft->round_open)
		raft_broadcast_heartbeat(raft);
	return raft->round;
}

void raft_reads_start(struct raft *raft)
{
	assert(knows_commit(raft));
	if (raft->waiting_count == 0)
		return;
	for (uint32_t i = 0; i < raft->waiting_count; i++) {
		struct raft_pending_read *read = waiting_at(raft, i);

		if (read->round != 0)
			continue;
		read->index = raft->log.commit;
		read->round = round_for_now(raft);
	}
	raft_reads_confirm(raft);
}

/* Whether this member and `other` are a majority of one half. */
static bool are_majority(const struct raft *raft, const uint64_t *ids,
			 uint8_t count, uint64_t other)
{
	unsigned int two = 0;

	for (unsigned int i = 0; i < count; i++)
		two += ids[i] == raft->options.id || ids[i] == other;
	return two > count / 2u || count == 0;
}

/* Whether a read that `from` forwarded is confirmed by that alone. */
static bool is_answered(const struct raft *raft, uint64_t from)
{
	const struct raft_conf_state *conf = &raft->conf;

	if (!raft->options.askers_count || from == 0)
		return false;
	return are_majority(raft, conf->voters, conf->voter_count, from) &&
	       are_majority(raft, conf->outgoing, conf->outgoing_count, from);
}

static int lead_read(struct raft *raft, uint64_t context, uint64_t from)
{
	struct raft_pending_read read = {.context = context, .from = from};

	read.index = raft->log.commit;
	if (knows_commit(raft) && (raft->options.read_mode == RAFT_READ_LEASE ||
				   is_answered(raft, from)))
		return answer(raft, &read) ? 0 : RAFT_EFULL;
	if (raft->waiting_count == raft->options.reads_max)
		return RAFT_EFULL;
	if (knows_commit(raft))
		read.round = round_for_now(raft);
	*waiting_at(raft, raft->waiting_count) = read;
	raft->waiting_count++;
	raft_reads_confirm(raft); /* the only voter confirms itself */
	return 0;
}

int raft_read_index(struct raft *raft, uint64_t context)
{
	struct raft_message ask = {0};

	assert(raft);
	raft_touch(raft);
	if (raft->role == RAFT_LEADER)
		return lead_read(raft, context, 0);
	if (raft->leader == 0)
		return RAFT_EDROPPED_NO_LEADER;
	ask.type = RAFT_MSG_READ_INDEX;
	ask.to = raft->leader;
	ask.round = context;
	raft_send(raft, &ask);
	return 0;
}

int raft_receive_read_index(struct raft *raft, const struct raft_message *ask)
{
	/* Asked of a member that leads no more: the asker tries again. */
	if (raft->role != RAFT_LEADER)
		return RAFT_EDROPPED_NO_LEADER;
	return lead_read(raft, ask->round, ask->from);
}

void raft_receive_read_reply(struct raft *raft,
			     const struct raft_message *reply)
{
	struct raft_pending_read read = {0};

	if (raft->role != RAFT_FOLLOWER)
		return;
	read.context = reply->round;
	read.index = reply->log_index;
	(void)answer(raft, &read); /* full: the shell asks again */
}
