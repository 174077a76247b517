/*
 * A log that is not whole, in a cluster whose others have what is missing.
 *
 * wal/repair.c finds what is damaged and keeps what is before it; raft/lost.c
 * says what such a member may do. This file is what joins them. There is no
 * protocol of its own: the leader sends again what is missing, as to any
 * member that lags, or its image.
 *
 *   start     The member is born with a hard state in which no vote is free
 *             that it may have given, and with the bound of what it may have
 *             had: raft_lose(). Nothing on its disk is given up yet.
 *   noted     It knows a leader of the term in which the missing entries were
 *             appended, or of a later one: the leader has all of them that
 *             were ever committed. Or it has voted, as it may, for one that
 *             has them. Then wal_repair(): the log goes on behind the damage.
 *   fetched   Its answers tell the leader what is known of its log. The
 *             leader probes from there, and appends or an image follow.
 *   whole     The log ends where it ended before, or behind: raft_found().
 *
 * Where nobody knows the end of what is missing, the leader of its term does:
 * a heartbeat says in log_index how far that leader's log went when it was
 * sent, and none that is heard here was sent before this member came back. A
 * leader of a later term needs not say it: its first entry is enough.
 *
 * Damage in most members at once needs no other rule. A member votes for a
 * log that has all that its own may have had, so one whose log is whole, and
 * long enough, is elected by those whose logs are not, and gives them the
 * rest. Where there is none, nobody is elected and nothing is given up; then
 * daemon/node_fill.c may make a log whole from what others have. What no log
 * is known to have stays missing, and it is for an operator to decide.
 *
 * A crash at any point finds the damage again, with what has come back. A
 * member that votes alone cannot get anything from anyone, and does not start.
 */
#include "daemon/node_stages.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void repair_hard(const struct wal *wal, struct raft_hard_state *hard,
		 uint64_t member)
{
	struct wal_damage damage;

	if (!wal_damaged(wal, &damage))
		return;
	if (hard->term < damage.term)
		hard->vote = 0;
	hard->term = larger(hard->term, damage.term);
	if (!hard->vote && hard->term)
		hard->vote = member;
}

/* What may be missing is this at most, and never more than before. */
static void bound(struct node *node, const struct wal_damage *damage)
{
	node->damage = *damage;
	raft_lose(node->raft, damage->term, damage->last);
}

int repair_begin(struct node *node)
{
	struct wal_damage damage;
	struct raft_status raft;

	if (!wal_damaged(node->wal, &damage))
		return 0;
	raft_status(node->raft, &raft);
	if (peer_votes_alone(&raft.conf, node->options.member))
		return WAL_EDAMAGED;
	node->damaged = true;
	node->damaged_hard.term = raft.term;
	node->damaged_hard.vote = raft.vote;
	node->status->alarms |= CV_ALARM_DAMAGED;
	bound(node, &damage);
	return 0;
}

/* Somebody has, or will have, all of what is missing that counts. */
static bool may_give_up(const struct node *node)
{
	struct raft_status raft;

	raft_status(node->raft, &raft);
	if (raft.leader && raft.term >= node->damage.term)
		return true;
	return raft.vote && raft.vote != node->options.member &&
	       (raft.term != node->damaged_hard.term ||
		raft.vote != node->damaged_hard.vote);
}

void repair_turn(struct node *node)
{
	struct wal_damage damage;

	if (!node->damaged)
		return;
	if (!wal_damaged(node->wal, &damage)) {
		node->damaged = false;
		node->status->alarms &= ~(uint64_t)CV_ALARM_DAMAGED;
		raft_found(node->raft);
		node->work++;
		return;
	}
	if (damage.last != node->damage.last ||
	    damage.term != node->damage.term)
		bound(node, &damage);
	node->damage = damage;
	if (may_give_up(node))
		wal_repair(node->wal);
}

void repair_hear(struct node *node, const struct wire_frame *beat)
{
	if (node->damaged && beat->log_index && beat->term == node->damage.term)
		wal_damage_ends(node->wal, beat->log_index);
}

bool repair_waits(const struct node *node)
{
	return node->damaged && !node->damage.noted;
}
