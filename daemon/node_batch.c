/*
 * From requests to proposed entries.
 *
 * The open buffer holds sealed entries, back to back, and behind them the
 * batch that is open. When the disk can take a record, everything sealed is
 * proposed, stamped with what Raft gave it, and leaves as one record; so load
 * makes records larger, and no path differs. Nothing is proposed before the
 * disk can take it: what is sealed but not proposed was never seen by Raft
 * and can still be refused.
 */
#include "daemon/node_state.h"

#include <assert.h>
#include <string.h>

static uint32_t room_left(const struct node *node)
{
	return node->buffer->room - node->buffer->used;
}

static bool buffer_empty(const struct node *node)
{
	return node->buffer->used == 0 && !node->open.entry;
}

/* Makes sure that there is an open buffer with room for one entry. */
static bool buffer_room(struct node *node, uint32_t payload)
{
	uint32_t want = entry_size(payload);
	uint32_t hint =
		node->buffer_last > NODE_BATCH_SIZE ? ENTRY_SIZE_MAX : want;

	if (node->buffer && room_left(node) >= want)
		return true;
	if (node->buffer && !buffer_empty(node))
		return false;
	if (node->buffer) {
		wal_buffer_release(node->wal, node->buffer);
		node->buffer = NULL;
	}
	node->buffer = wal_buffer_open(node->wal, hint);
	return node->buffer && room_left(node) >= want;
}

static void seal(struct node *node, uint32_t kind, uint32_t payload,
		 struct sealed *sealed)
{
	uint8_t *entry = node->buffer->payload + node->buffer->used;
	struct entry_header header = {
		.size = payload,
		.op_count = kind == ENTRY_NORMAL ? sealed->count : 0,
		.origin_term = node->term,
		.origin = node->options.member,
		.kind = (uint8_t)kind,
		.format = ENTRY_FORMAT,
		.batch = ++node->batch_number,
	};

	assert(node->sealed_count < SEALED_MAX);
	memcpy(entry, &header, sizeof(header));
	entry_seal(entry);
	sealed->offset = node->buffer->used;
	sealed->size = payload;
	sealed->kind = kind;
	node->buffer->used += entry_size(payload);
	node->sealed[node->sealed_count++] = *sealed;
}

static void seal_open(struct node *node)
{
	struct open_batch open = node->open;
	struct sealed sealed = {
		.count = open.count,
		.request = open.request,
		.handle = -1,
	};

	if (!open.entry)
		return;
	node->open.entry = NULL;
	if (open.count)
		seal(node, ENTRY_NORMAL, open.used, &sealed);
}

/* What was taken and is not proposed would go beyond the limits. */
static bool is_full(const struct node *node, uint32_t size)
{
	uint64_t window = node->supplied - node->compacted_to;
	uint64_t waiting = node->open.entry ? node->open.used : 0;
	uint32_t i;

	for (i = 0; i < node->sealed_count; i++)
		waiting += node->sealed[i].size;
	if (waiting && waiting + size > node->options.uncommitted_max)
		return true;
	/* The rest of the window is for the node's own entries. */
	return window + node->sealed_count + node->options.entries_max / 8 +
		       WINDOW_RESERVE >=
	       node->options.entries_max;
}

uint8_t *batch_room(struct node *node, uint32_t size)
{
	struct open_batch *open = &node->open;

	if (is_full(node, size))
		return NULL;
	if (open->entry && open->count &&
	    (open->used + size > node->options.batch_size ||
	     open->count == OP_ENTRY_OPS_MAX))
		seal_open(node);
	if (open->entry && entry_size(open->used + size) > room_left(node))
		seal_open(node);
	if (!open->entry) {
		if (node->sealed_count == SEALED_MAX ||
		    !buffer_room(node, size))
			return NULL;
		open->entry = node->buffer->payload + node->buffer->used;
		open->used = 0;
		open->count = 0;
		open->request = node->request_tail;
	}
	return open->entry + ENTRY_HEADER_SIZE + open->used;
}

void batch_add(struct node *node, uint32_t size, const struct request *request)
{
	assert(node->open.entry);
	assert(node->request_tail - node->request_head < NODE_REQUESTS_MAX);
	*node_request(node, node->request_tail++) = *request;
	node->open.used += size;
	node->open.count++;
	node->work++;
}

bool batch_own(struct node *node, uint32_t kind, const void *payload,
	       uint32_t size, int handle)
{
	struct sealed sealed = {
		.request = node->request_tail,
		.handle = handle,
	};
	uint8_t *entry;

	seal_open(node);
	if (node->sealed_count == SEALED_MAX || !buffer_room(node, size))
		return false;
	if (handle >= 0)
		sealed.handle_generation = node->handles[handle].generation;
	entry = node->buffer->payload + node->buffer->used;
	if (size)
		memcpy(entry + ENTRY_HEADER_SIZE, payload, size);
	seal(node, kind, size, &sealed);
	node->work++;
	return true;
}

static int32_t dropped_status(int code)
{
	switch (code) {
	case RAFT_EDROPPED_TRANSFER:
		return CONCLAVE_ETRANSFER;
	case RAFT_EDROPPED_LOG_FULL:
		return CONCLAVE_ELOGFULL;
	case RAFT_EDROPPED_REMOVED:
		return CONCLAVE_EREMOVED;
	default:
		return CONCLAVE_ENOLEADER;
	}
}

static void refuse(struct node *node, const struct sealed *sealed,
		   int32_t status)
{
	struct store_result result = {.status = status};
	uint32_t i;

	for (i = 0; i < sealed->count; i++)
		reply_request(node, node_request(node, sealed->request + i),
			      &result);
	if (sealed->kind == ENTRY_SNAPSHOT_CUT)
		node->cut_due = false;
	if (sealed->kind == ENTRY_COMPACTION)
		node->compacting = 0;
	if (sealed->kind == ENTRY_SESSION_RESUME)
		session_resumed(node, sealed->handle, sealed->handle_generation,
				&result);
}

void batch_forget(struct node *node)
{
	if (node->batch_head != node->batch_tail)
		node->request_head =
			node->batches[node->batch_head % NODE_BATCHES_MAX]
				.request;
	else if (node->sealed_count)
		node->request_head = node->sealed[0].request;
	else if (node->open.entry)
		node->request_head = node->open.request;
	else
		node->request_head = node->request_tail;
}

static void remember(struct node *node, const struct sealed *sealed,
		     uint64_t index, uint64_t term)
{
	struct batch *batch;

	if (!sealed->count && sealed->handle < 0)
		return;
	assert(node->batch_tail - node->batch_head < NODE_BATCHES_MAX);
	batch = &node->batches[node->batch_tail++ % NODE_BATCHES_MAX];
	batch->index = index;
	batch->term = term;
	batch->request = sealed->request;
	batch->count = sealed->count;
	batch->handle = sealed->handle;
	batch->handle_generation = sealed->handle_generation;
}

/* The bytes of a refused entry close up: what follows moves down. */
static void propose_one(struct node *node, struct sealed *sealed,
			uint32_t *used)
{
	uint8_t *from = node->buffer->payload + sealed->offset;
	uint8_t *to = node->buffer->payload + *used;
	struct raft_entry entry = {
		.kind = sealed->kind,
		.size = sealed->size,
		.data = to,
	};
	uint64_t index, term;
	int code;

	code = raft_propose(node->raft, &entry, &index, &term);
	if (code) {
		refuse(node, sealed, dropped_status(code));
		return;
	}
	if (to != from)
		memmove(to, from, entry_size(sealed->size));
	entry_stamp(to, index, term);
	*used += entry_size(sealed->size);
	node->supplied = index;
	remember(node, sealed, index, term);
	node->status->batches++;
	node->status->proposals += sealed->count;
}

static bool batches_fit(const struct node *node)
{
	return node->batch_tail - node->batch_head + node->sealed_count + 1 <=
	       NODE_BATCHES_MAX;
}

/*
 * Raft would refuse beyond its limits; what waits in the buffer fills it, and
 * then the rings are left undrained.
 */
static bool raft_takes_all(const struct node *node)
{
	struct raft_status raft;
	uint64_t size = 0;
	uint32_t i;

	raft_status(node->raft, &raft);
	for (i = 0; i < node->sealed_count; i++)
		size += node->sealed[i].size;
	return !raft.uncommitted_size || !size ||
	       raft.uncommitted_size + size <= node->options.uncommitted_max;
}

void batch_propose(struct node *node)
{
	uint32_t i, used;

	if (!node->buffer || !batches_fit(node))
		return;
	seal_open(node);
	if (!node->sealed_count || !raft_takes_all(node))
		return;
	used = node->sealed[0].offset;
	for (i = 0; i < node->sealed_count; i++)
		propose_one(node, &node->sealed[i], &used);
	node->sealed_count = 0;
	node->buffer->used = used;
	batch_forget(node);
}

/*
 * The core's own entries follow each other at the log's end. They come when
 * leadership begins, before anything of this term was proposed; what was
 * sealed in an earlier term is refused, since it never left.
 */
void batch_supply(struct node *node)
{
	const struct raft_entry *entry;
	struct entry_header header;
	uint8_t *bytes;
	uint32_t i;

	while ((entry = raft_entry_at(node->raft, node->supplied + 1))) {
		if (entry->data) {
			node->supplied++;
			continue;
		}
		seal_open(node);
		for (i = 0; i < node->sealed_count; i++)
			refuse(node, &node->sealed[i], CONCLAVE_ENOLEADER);
		if (node->sealed_count)
			node->buffer->used = node->sealed[0].offset;
		node->sealed_count = 0;
		batch_forget(node);
		if (!buffer_room(node, 0))
			return;
		bytes = node->buffer->payload + node->buffer->used;
		header = (struct entry_header){
			.origin_term = entry->term,
			.origin = node->options.member,
			.kind = (uint8_t)entry->kind,
			.format = ENTRY_FORMAT,
		};
		memcpy(bytes, &header, sizeof(header));
		entry_seal(bytes);
		entry_stamp(bytes, entry->index, entry->term);
		node->buffer->used += entry_size(0);
		raft_lend(node->raft, entry->index, bytes);
		node->supplied++;
	}
}
