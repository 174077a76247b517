/*
 * Handing over leadership: the dissertation's §3.10.
 *
 * The leader takes no more proposals, brings the chosen member up to date
 * and tells it to campaign at once. It goes on leading if nothing came of it
 * within an election timeout.
 *
 * Invariant: the lease is withdrawn before TimeoutNow is sent, because the
 * vote that follows overrules it.
 */
#include "raft/internal.h"

#include <assert.h>

void raft_transfer_abort(struct raft *raft)
{
	raft->transferee = 0;
}

static void send_timeout_now(struct raft *raft, uint64_t to)
{
	struct raft_message now = {0};

	raft->lease_withdrawn = true;
	now.type = RAFT_MSG_TIMEOUT_NOW;
	now.to = to;
	raft_send(raft, &now);
}

void raft_transfer_caught_up(struct raft *raft,
			     const struct raft_progress *progress)
{
	if (progress->id != raft->transferee)
		return;
	if (progress->match == raft->log.last)
		send_timeout_now(raft, progress->id);
}

static void lead_transfer(struct raft *raft, uint64_t to)
{
	struct raft_progress *progress = raft_find(raft, to);

	if (!progress || progress->learner || raft->transferee == to)
		return;
	raft_transfer_abort(raft);
	if (to == raft->options.id)
		return;
	raft->election_elapsed = 0;
	raft->transferee = to;
	if (progress->match == raft->log.last)
		send_timeout_now(raft, to);
	else
		(void)raft_send_append(raft, progress, true);
}

void raft_transfer_step(struct raft *raft, uint64_t to)
{
	struct raft_message ask = {0};

	if (raft->role == RAFT_LEADER) {
		lead_transfer(raft, to);
		return;
	}
	if (raft->leader == 0)
		return;
	ask.type = RAFT_MSG_TRANSFER;
	ask.to = raft->leader;
	ask.round = to;
	raft_send(raft, &ask);
}

int raft_transfer(struct raft *raft, uint64_t to)
{
	const struct raft_progress *progress;

	assert(raft);
	raft_touch(raft);
	progress = raft_find_const(raft, to);
	if (!progress || progress->learner)
		return RAFT_EUNKNOWN_PEER;
	if (raft->leader == 0)
		return RAFT_EDROPPED_NO_LEADER;
	raft_transfer_step(raft, to);
	return 0;
}

/*
 * The one that did not take it comes last: what is wrong with it, a disk or
 * a log, need not be known here.
 */
static bool fits_better(const struct raft *raft, const struct raft_progress *p,
			const struct raft_progress *best)
{
	if ((p->id == raft->offered) != (best->id == raft->offered))
		return best->id == raft->offered;
	return p->match > best->match;
}

int raft_hand_over(struct raft *raft)
{
	const struct raft_progress *best = NULL;

	assert(raft);
	raft_touch(raft);
	if (raft->role != RAFT_LEADER)
		return RAFT_EUNKNOWN_PEER;
	if (raft->transferee != 0)
		return RAFT_EDROPPED_TRANSFER;
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		const struct raft_progress *p = &raft->progress[raft->order[i]];

		if (p->id == raft->options.id || !p->recent_active ||
		    !raft_conf_has(raft->conf.voters, raft->conf.voter_count,
				   p->id))
			continue;
		if (!best || fits_better(raft, p, best))
			best = p;
	}
	if (!best)
		return RAFT_EUNKNOWN_PEER;
	raft->offered = best->id;
	lead_transfer(raft, best->id);
	return 0;
}
