/*
 * From requests to sealed batches.
 *
 * The open batch grows where it will stay: while this member leads, behind
 * the sealed entries of the record buffer, so that what is proposed lies
 * already where the disk takes it from; while it does not, in the outbound
 * buffer, from which it is forwarded. Sealing gives it a number; from then on
 * it is in the ring of batches until it was applied here, or was refused and
 * no copy of it can commit.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <string.h>

static struct wal_buffer *place(const struct node *node)
{
	return node_leads(node) ? node->buffer : node->outbound;
}

static uint32_t room_left(const struct wal_buffer *buffer)
{
	return buffer->room - buffer->used;
}

/* As it grows it leaves to Raft's own entries what record_room() keeps. */
static bool may_grow(const struct node *node, uint32_t size)
{
	uint32_t kept = node_leads(node) ? RECORD_KEPT : 0;

	return entry_size(node->open.used + size) + kept <=
	       room_left(place(node));
}

/* A buffer for batches that are forwarded; it is left when it is full. */
static bool outbound_room(struct node *node, uint32_t size)
{
	if (node->outbound && room_left(node->outbound) >= size)
		return true;
	if (wal_buffers_free(node->wal) <= BUFFERS_KEPT)
		return false;
	if (node->outbound)
		wal_buffer_release(node->wal, node->outbound);
	node->outbound = record_open_large(node, size);
	return node->outbound != NULL;
}

static bool place_room(struct node *node, uint32_t size)
{
	assert(!node->open.entry);
	return node_leads(node) ? record_room(node, size, false)
				: outbound_room(node, size);
}

/* A batch and, while this member leads, a sealed entry can be added. */
static bool rings_fit(const struct node *node)
{
	return node->batch_tail - node->batch_head < NODE_BATCHES_MAX &&
	       (!node_leads(node) || node->sealed_count < SEALED_MAX);
}

static void push_sealed(struct node *node, uint32_t size, uint32_t kind)
{
	assert(node->sealed_count < SEALED_MAX);
	assert(node->batch_next == node->batch_tail - 1);
	node->sealed[node->sealed_count++] = (struct sealed){
		.offset = node->buffer->used,
		.size = size,
		.kind = kind,
		.own = true,
		.position = node->batch_tail - 1,
	};
	node->batch_next = node->batch_tail;
}

/* The payload stands behind the header's place at the buffer's end. */
static void seal(struct node *node, uint32_t kind, const struct batch *proto)
{
	struct wal_buffer *buffer = place(node);
	uint8_t *entry = buffer->payload + buffer->used;
	struct entry_header header = {
		.size = proto->size,
		.op_count = kind == ENTRY_NORMAL ? proto->count : 0,
		.origin_term = node->term,
		.origin = node->options.member,
		.kind = (uint8_t)kind,
		.format = ENTRY_FORMAT,
		.batch = node->batch_base + node->batch_tail,
	};
	struct batch *batch = node_batch(node, node->batch_tail);

	assert(rings_fit(node));
	memcpy(entry, &header, sizeof(header));
	entry_seal(entry);
	*batch = *proto;
	batch->kind = kind;
	batch->buffer = buffer;
	batch->entry = entry;
	wal_buffer_hold(node->wal, buffer);
	node->batch_tail++;
	node->pending_size += entry_size(proto->size);
	if (node_leads(node))
		push_sealed(node, proto->size, kind);
	buffer->used += entry_size(proto->size);
}

void batch_seal_open(struct node *node)
{
	struct open_batch open = node->open;
	struct batch proto = {
		.size = open.used,
		.count = open.count,
		.request = open.request,
		.handle = -1,
	};

	if (!open.entry)
		return;
	node->open.entry = NULL;
	if (open.count)
		seal(node, ENTRY_NORMAL, &proto);
}

/* What was taken and is not in the log would go beyond the limits. */
static bool is_full(const struct node *node, uint32_t size)
{
	uint64_t window = node->supplied - node->compacted_to;
	uint64_t waiting = node->open.entry ? node->open.used : 0;
	uint32_t i;

	if (!node_leads(node)) {
		waiting += node->pending_size;
		return waiting && waiting + size > PENDING_MAX;
	}
	for (i = 0; i < node->sealed_count; i++)
		waiting += node->sealed[i].size;
	if (waiting && waiting + size > node->options.uncommitted_max)
		return true;
	/* The rest of the window is for the node's own entries. */
	return window + node->sealed_count + node->options.entries_max / 8 +
		       WINDOW_RESERVE >=
	       node->options.entries_max;
}

/* What was proposed before must be on its way again first. */
static bool is_catching_up(const struct node *node)
{
	return node_leads(node) && node->batch_next != node->batch_tail;
}

uint8_t *batch_room(struct node *node, uint32_t size)
{
	struct open_batch *open = &node->open;

	if (is_catching_up(node) || is_full(node, size))
		return NULL;
	if (open->entry && open->count &&
	    (open->used + size > node->options.batch_size ||
	     open->count == OP_ENTRY_OPS_MAX))
		batch_seal_open(node);
	if (open->entry && !may_grow(node, size))
		batch_seal_open(node);
	if (!open->entry) {
		if (!rings_fit(node) || !place_room(node, entry_size(size)))
			return NULL;
		open->entry = place(node)->payload + place(node)->used;
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

static bool seal_alone(struct node *node, uint32_t kind, const void *payload,
		       const struct batch *proto)
{
	uint8_t *entry;

	if (!rings_fit(node) || !place_room(node, entry_size(proto->size)))
		return false;
	entry = place(node)->payload + place(node)->used;
	if (proto->size)
		memcpy(entry + ENTRY_HEADER_SIZE, payload, proto->size);
	seal(node, kind, proto);
	node->work++;
	return true;
}

bool batch_own(struct node *node, uint32_t kind, const void *payload,
	       uint32_t size, int handle)
{
	struct batch proto = {.size = size, .handle = handle};

	if (is_catching_up(node))
		return false;
	batch_seal_open(node);
	proto.request = node->request_tail;
	if (handle >= 0)
		proto.handle_generation = node->handles[handle].generation;
	return seal_alone(node, kind, payload, &proto);
}

bool batch_request(struct node *node, uint32_t kind, const void *payload,
		   uint32_t size, const struct request *request)
{
	struct batch proto = {.size = size, .count = 1, .handle = -1};

	if (is_catching_up(node))
		return false;
	batch_seal_open(node);
	proto.request = node->request_tail;
	if (!seal_alone(node, kind, payload, &proto))
		return false;
	*node_request(node, node->request_tail++) = *request;
	return true;
}

struct batch *batch_find(struct node *node, uint64_t number)
{
	uint64_t position = number - node->batch_base;
	struct batch *batch = node_batch(node, position);

	if (position - node->batch_head >= node->batch_tail - node->batch_head)
		return NULL;
	return batch->done ? NULL : batch;
}

void batch_refuse(struct node *node, struct batch *batch, int32_t status)
{
	struct store_result result = {.status = status};
	uint32_t i;

	for (i = 0; i < batch->count; i++)
		reply_request(node, node_request(node, batch->request + i),
			      &result);
	if (batch->kind == ENTRY_SNAPSHOT_CUT)
		node->cut_due = false;
	if (batch->kind == ENTRY_COMPACTION)
		node->compacting = 0;
	if (batch->kind == ENTRY_SESSION_RESUME)
		session_resumed(node, batch->handle, batch->handle_generation,
				&result);
	batch_done(node, batch);
}

/* Requests that were answered, at the front of the FIFO. */
static void forget_requests(struct node *node)
{
	if (node->batch_head != node->batch_tail)
		node->request_head =
			node_batch(node, node->batch_head)->request;
	else if (node->open.entry)
		node->request_head = node->open.request;
	else
		node->request_head = node->request_tail;
}

void batch_done(struct node *node, struct batch *batch)
{
	assert(!batch->done);
	assert(node->pending_size >= entry_size(batch->size));
	batch->done = true;
	if (batch->kind == ENTRY_CONF_V2 && !batch->count)
		node->telling = false;
	if (batch->kind == ENTRY_SETTING)
		node->raising = false;
	node->pending_size -= entry_size(batch->size);
	doubt_forget(node, batch);
	wal_buffer_release(node->wal, batch->buffer);
	batch->buffer = NULL;
	batch->entry = NULL;
	while (node->batch_head != node->batch_tail &&
	       node_batch(node, node->batch_head)->done)
		node->batch_head++;
	if (node->batch_next < node->batch_head)
		node->batch_next = node->batch_head;
	node->progress_ns = node->now_ns;
	node->stalls = 0;
	forget_requests(node);
}
