/*
 * What Raft decided, and what follows from it: the record that is written,
 * the messages that are sent, the reads that are confirmed, and what a change
 * of leadership means for what is on its way.
 */
#include "daemon/node_stages.h"

static void confirm_reads(struct node *node, const struct raft_ready *ready)
{
	uint32_t i, k;

	for (i = 0; i < ready->read_count; i++) {
		uint64_t round = ready->reads[i].context - node->read_base;

		/* Asked in an earlier life: it says nothing about now. */
		if (round >= node->read_round)
			continue;
		if (round >= node->read_round_open)
			node->read_round_open = 0;
		for (k = 0; k < node->read_count; k++) {
			struct node_read *read =
				&node->reads[node->read_list[k]];

			if (!read->linearizable || read->confirmed ||
			    read->round > round)
				continue;
			read->confirmed = true;
			read->index = ready->reads[i].index;
		}
	}
}

/*
 * All readers that came while a round was open ask as one in the next. One
 * that is not answered for a tick was lost, with its question or answer.
 */
static void ask_reads(struct node *node)
{
	if (node->read_round_open &&
	    node->now_ns - node->read_round_ns > node->options.tick_ns) {
		node->read_round_open = 0;
		node->read_round_due = true;
	}
	if (!node->read_round_due || node->read_round_open ||
	    !node_may_propose(node) || lease_holds(node))
		return;
	if (raft_read_index(node->raft, node->read_base + node->read_round))
		return;
	node->status->read_rounds++;
	node->read_round_open = node->read_round++;
	node->read_round_ns = node->now_ns;
	node->read_round_due = false;
}

/* Who leads, or in which term, is not what it was. */
static void take_role(struct node *node, const struct raft_ready *ready)
{
	bool led = node_leads(node);
	bool leads = ready->role == RAFT_LEADER;

	if (led && (!leads || ready->hard.term != node->term))
		propose_step_down(node);
	node->term = ready->hard.term;
	if (leads && !node_leads(node))
		propose_step_up(node);
	node->role = ready->role;
	node->leader = ready->leader;
	if (!leads)
		propose_again(node);
	node->stalls = 0;
	/* What another leader may have dropped is proposed again. */
	node->compacting = 0;
	node->cut_due = false;
	/* What was asked of another leadership is asked again. */
	node->read_round_open = 0;
	node->read_round_due = node->read_count > 0;
}

static void take_ready(struct node *node, const struct raft_ready *ready)
{
	if (ready->soft_changed || ready->hard.term != node->term)
		take_role(node, ready);
	node->commit = ready->hard.commit;
	if (ready->snapshot)
		image_install(node, ready->snapshot);
	if (ready->apply_last)
		node->apply_last = ready->apply_last;
	confirm_reads(node, ready);
	peer_send_messages(node, ready);
	raft_advance(node->raft);
	node->work++;
}

/* Takes what Raft wants done; false: nothing, or nothing that can be now. */
static bool take_next(struct node *node)
{
	struct raft_ready ready;

	propose_supply(node);
	if (!raft_has_ready(node->raft))
		return false;
	if (!raft_must_sync(node->raft) || record_can_persist(node)) {
		raft_ready(node->raft, &ready);
		if (record_persist(node, &ready)) {
			take_ready(node, &ready);
			return true;
		}
	}
	/* The disk is busy: heartbeats and reads do not wait for it. */
	if (!raft_ready_light(node->raft, &ready))
		return false;
	take_ready(node, &ready);
	return true;
}

void decide_turn(struct node *node)
{
	session_work(node);
	if (node_leads(node) && wal_can_append(node->wal))
		propose_sealed(node);
	propose_retry(node);
	ask_reads(node);
	while (take_next(node))
		;
	if (!node_leads(node))
		propose_forward(node);
}
