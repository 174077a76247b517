/*
 * Applies what is committed, in log order, in slices, and answers who asked.
 *
 * A batch of this member is known by index and term: an entry that took its
 * place under another leader has another term, and then the batch was never
 * applied by this entry. Buffers are released, and their bytes forgotten by
 * Raft, when all of their entries are applied.
 */
#include "daemon/node_state.h"

#include <assert.h>

static void answer(struct node *node, const struct batch *batch,
		   const struct raft_entry *entry)
{
	uint32_t i, count;
	const struct store_result *results = store_results(node->store, &count);

	assert(batch->count <= count);
	for (i = 0; i < batch->count; i++)
		reply_request(node, node_request(node, batch->request + i),
			      &results[i]);
	if (batch->handle >= 0 && entry->kind == ENTRY_SESSION_RESUME)
		session_resumed(node, batch->handle, batch->handle_generation,
				&results[0]);
}

static void finish(struct node *node, const struct raft_entry *entry)
{
	struct batch *batch;

	while (node->batch_head != node->batch_tail) {
		batch = &node->batches[node->batch_head % NODE_BATCHES_MAX];
		if (batch->index > entry->index)
			break;
		assert(batch->index == entry->index);
		assert(batch->term == entry->term);
		answer(node, batch, entry);
		node->batch_head++;
	}
	batch_forget(node);
	if (entry->kind == ENTRY_SNAPSHOT_CUT)
		work_snapshot_cut(node, entry);
}

static void apply_conf(struct node *node, const struct raft_entry *entry)
{
	struct raft_conf_state conf;
	int code;

	if (entry->kind != ENTRY_CONF_V1 && entry->kind != ENTRY_CONF_V2)
		return;
	code = raft_apply_conf(node->raft, entry, &conf);
	assert(!code); /* a refused change is an empty entry, not this */
}

static void release_held(struct node *node)
{
	while (node->held_head != node->held_tail) {
		struct held *held = &node->held[node->held_head % HELD_MAX];

		if (held->last_index > node->applied)
			return;
		raft_evict(node->raft, held->last_index);
		wal_buffer_release(node->wal, held->buffer);
		node->held_head++;
	}
}

void apply_committed(struct node *node)
{
	uint32_t budget = node->options.apply_budget;
	uint64_t before = node->applied;

	while (node->applied < node->apply_last && budget) {
		const struct raft_entry *entry =
			raft_entry_at(node->raft, node->applied + 1);
		uint32_t slice = budget < APPLY_SLICE ? budget : APPLY_SLICE;

		assert(entry && entry->data);
		if (!node->applying)
			store_apply_begin(node->store, entry);
		/* What it used of a slice it does not say: all of it. */
		node->applying = store_apply(node->store, slice) != 0;
		node->work++;
		budget -= slice;
		if (node->applying)
			continue;
		apply_conf(node, entry);
		node->applied = entry->index;
		finish(node, entry);
	}
	if (node->applied == before)
		return;
	raft_applied(node->raft, node->applied);
	release_held(node);
}
