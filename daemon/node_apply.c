/*
 * Applies what is committed, in log order, in slices, and answers who asked.
 *
 * An entry says who made it: a batch of this member is answered by the first
 * entry that carries it, whichever leader appended that; a second one finds
 * the effects of the first in the store, and nobody who waits.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <string.h>

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
	struct entry_header header;
	struct batch *batch;

	memcpy(&header, entry->data, sizeof(header));
	if (header.origin == node->options.member) {
		batch = batch_find(node, header.batch);
		if (batch && batch->kind == entry->kind &&
		    doubt_stands(node, batch, header.copy)) {
			answer(node, batch, entry);
			batch_done(node, batch);
		}
	}
	member_apply_end(node, entry);
	hash_applied(node);
	if (entry->kind == ENTRY_SNAPSHOT_CUT)
		work_snapshot_cut(node);
}

void apply_committed(struct node *node)
{
	uint32_t budget = node->options.apply_budget;
	uint64_t before = node->applied;

	/* What an image is about to replace is in no log any more. */
	if (node->incoming.installing)
		return;
	while (node->applied < node->apply_last && budget) {
		const struct raft_entry *entry =
			raft_entry_at(node->raft, node->applied + 1);
		uint32_t slice = budget < APPLY_SLICE ? budget : APPLY_SLICE;

		assert(entry && entry->data);
		if (!node->applying && !version_may_apply(node, entry)) {
			node->outdated = true;
			break;
		}
		if (!node->applying) {
			store_apply_begin(node->store, entry);
			member_apply_begin(node, entry);
		}
		/* What it used of a slice it does not say: all of it. */
		node->applying = store_apply(node->store, slice) != 0;
		node->work++;
		budget -= slice;
		if (node->applying)
			continue;
		node->applied = entry->index;
		node->applied_term = entry->term;
		finish(node, entry);
	}
	if (node->applied == before)
		return;
	raft_applied(node->raft, node->applied);
	record_release(node);
}
