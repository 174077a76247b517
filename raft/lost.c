/*
 * A log that lost what it had acknowledged: what the paper's §5.2 assumes
 * never to happen, and what disks do.
 *
 * Such a member is to the others as one that is away, which still has its
 * log: what it acknowledged goes on to count, since before it is whole again
 * it does nothing that could deny it. It does not campaign; it votes only for
 * a log that is as new as its own may ever have been, so whoever is elected
 * has all that was lost here (§5.4.1 with a bound in the place of the log's
 * end). It follows a leader as ever, and acknowledges what it has anew.
 *
 * But a leader of the same term knows an index up to which the logs agreed,
 * and never asks below it; and what lies at the end of this log may be what
 * the lost entries had replaced. So this member's answers say up to where its
 * log is known to be the leader's: to where it is committed, or to where an
 * append of this term has been merged since this member started. A leader
 * that knows more knows it of the log that was lost: it forgets that, and
 * probes. For the same reason a heartbeat commits no further.
 *
 * Invariant: a match index that stems from before the loss is never taken to
 * be what the log holds now. A late answer may raise it again, or lower it
 * when nothing is missing any more; the next answer corrects both.
 */
#include "raft/internal.h"

#include <assert.h>

void raft_lose(struct raft *raft, uint64_t term, uint64_t index)
{
	assert(raft);
	assert(raft->role != RAFT_LEADER && raft->role != RAFT_CANDIDATE);
	raft_touch(raft);
	raft->lost = true;
	raft->lost_term = term;
	raft->lost_index = index;
}

void raft_found(struct raft *raft)
{
	assert(raft);
	raft_touch(raft);
	raft->lost = false;
}

bool raft_lost_is_up_to_date(const struct raft *raft, uint64_t index,
			     uint64_t term)
{
	if (!raft->lost || term > raft->lost_term)
		return true;
	return term == raft->lost_term && index >= raft->lost_index;
}

uint64_t raft_lost_known(const struct raft *raft)
{
	return raft->confirmed > raft->log.commit ? raft->confirmed
						  : raft->log.commit;
}

void raft_lost_tell(const struct raft *raft, struct raft_message *reply)
{
	if (!raft->lost)
		return;
	reply->lost = true;
	reply->commit = raft_lost_known(raft);
}

bool raft_lost_hear(struct raft_progress *progress,
		    const struct raft_message *reply)
{
	if (!reply->lost || reply->commit >= progress->match)
		return false;
	raft_progress_forget(progress, reply->commit);
	return true;
}
