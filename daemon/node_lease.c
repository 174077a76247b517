/*
 * Reads of a leader's own clients without asking the others (DESIGN §5),
 * where the cluster's setting lease_reads allows it.
 *
 * Whoever answered a round of heartbeats votes for nobody else for a while,
 * so until nine tenths of that while are over, counted from before the round
 * was sent, no other can have led and committed anything. That members keep
 * this promise does not depend on the setting: the cluster's version says
 * that all of them do.
 *
 * The core counts the lease in ticks, and a member that stood still counted
 * none. So it is held against the clock that was read before the turn, and it
 * confirms only reads that were taken in an earlier turn: then the clock was
 * read after each of them was asked. At that moment nobody else led, and what
 * had been committed by then this member knows to be committed. What follows,
 * however late, only makes the answer newer.
 */
#include "daemon/node_stages.h"

void node_clock(struct node *node, uint64_t boot_ns)
{
	node->boot_ns = boot_ns;
}

void lease_tick(struct node *node)
{
	node->ticks++;
	node->tick_boot_ns[node->ticks % LEASE_TICKS] = node->boot_ns;
}

static bool is_allowed(const struct node *node)
{
	const struct store_settings *settings = store_settings(node->store);

	return settings->lease_reads &&
	       settings->cluster_version >= VERSION_LEASE;
}

/* When the lease ends, on the clock; 0: there is none. */
static uint64_t end_ns(const struct node *node, const struct raft_lease *lease)
{
	uint64_t ticks = lease->end_tick - lease->start_tick;
	uint64_t begin_ns = node->tick_boot_ns[lease->start_tick % LEASE_TICKS];

	if (!lease->term || !begin_ns ||
	    node->ticks - lease->start_tick >= LEASE_TICKS)
		return 0;
	return begin_ns + ticks * node->options.tick_ns;
}

/* Whether it holds; then *ret_raft is how the core stands. */
static bool holds(const struct node *node, struct raft_status *ret_raft)
{
	if (!node_leads(node) || !is_allowed(node))
		return false;
	raft_status(node->raft, ret_raft);
	return node->boot_ns && node->boot_ns < end_ns(node, &ret_raft->lease);
}

bool lease_holds(const struct node *node)
{
	struct raft_status raft;

	return holds(node, &raft);
}

static bool waits(const struct node_read *read)
{
	return read->linearizable && !read->confirmed;
}

void lease_reads(struct node *node)
{
	struct raft_status raft;
	uint32_t i;

	if (!node->read_count || !holds(node, &raft))
		return;
	for (i = 0; i < node->read_count; i++) {
		struct node_read *read = &node->reads[node->read_list[i]];

		if (!waits(read))
			continue;
		read->confirmed = true;
		read->index = raft.commit;
		node->status->lease_reads++;
		node->work++;
	}
	node->read_round_due = false;
}
