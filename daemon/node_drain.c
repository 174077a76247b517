/*
 * A clean stop, in three stages that only go forward.
 *
 * First what was taken from the rings is answered. Then a member that leads
 * hands over, so that the others need not miss it first: until one of them is
 * known to lead it goes on as before, since its vote may be the one that is
 * needed. At last it is deaf: what members say would keep its disk busy for
 * ever, and it is as good as gone. It waits for nobody who does not answer.
 */
#include "daemon/node_stages.h"

enum {
	HAND_OVER_ELECTIONS = 2, /* timeouts: one try, and another */
};

static bool owes_nothing(const struct node *node)
{
	uint32_t i;

	/* What others forwarded they propose again themselves. */
	for (i = 0; i < node->sealed_count; i++)
		if (node->sealed[i].own)
			return false;
	return node->request_head == node->request_tail && !node->open.entry &&
	       !node->read_count;
}

/* False: there is nobody to lead instead. */
static bool hand_over(struct node *node)
{
	int code = raft_hand_over(node->raft);

	return !code || code == RAFT_EDROPPED_TRANSFER;
}

static bool is_handing_over(struct node *node)
{
	if (node->now_ns >= node->hand_over_ns)
		return false;
	if (node_leads(node))
		return hand_over(node);
	return !node->leader;
}

static void begin_hand_over(struct node *node)
{
	node->hand_over_ns =
		node->now_ns + HAND_OVER_ELECTIONS * node->options.tick_ns *
				       node->options.election_ticks;
	node->drain = node_leads(node) && hand_over(node) ? DRAIN_HAND_OVER
							  : DRAIN_DEAF;
}

void drain_turn(struct node *node)
{
	uint8_t before = node->drain;

	if (node->drain == DRAIN_ANSWER && owes_nothing(node))
		begin_hand_over(node);
	else if (node->drain == DRAIN_HAND_OVER && !is_handing_over(node))
		node->drain = DRAIN_DEAF;
	node->work += node->drain != before;
}

void node_drain(struct node *node)
{
	node->draining = true;
	if (node->drain == DRAIN_NONE)
		node->drain = DRAIN_ANSWER;
	if (node->snapshotting)
		work_give_up_image(node);
}

bool node_drained(const struct node *node)
{
	return node->drain == DRAIN_DEAF && wal_idle(node->wal);
}
