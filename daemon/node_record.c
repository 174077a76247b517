/*
 * The record buffer, which becomes the next record, and the buffers of
 * records that were written.
 *
 * What is written is exactly what Raft asks for, in the order of the log.
 * Nearly always the buffer holds just that. When a new leader replaced
 * entries that were never written, the bytes of both lie in it; then the
 * record is put together anew in another buffer.
 *
 * Held buffers are in the order of the log. They are let go from the front
 * when their entries are applied, but a few, from which members that lag a
 * little are served, and from the back when their entries are replaced.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static uint32_t room_left(const struct wal_buffer *buffer)
{
	return buffer->room - buffer->used;
}

static bool is_cluster(const struct node *node)
{
	return node->options.peers_max > 0;
}

struct wal_buffer *record_open_large(struct node *node, uint32_t size)
{
	struct wal_buffer *buffer = NULL;
	uint32_t hint;

	for (hint = ENTRY_SIZE_MAX; !buffer && hint > size; hint /= 2)
		buffer = wal_buffer_open(node->wal, hint);
	return buffer ? buffer : wal_buffer_open(node->wal, size);
}

bool record_room(struct node *node, uint32_t size, bool kept)
{
	uint32_t want = size + (kept ? 0 : RECORD_KEPT);
	bool large = node->buffer_last > NODE_BATCH_SIZE;

	if (node->buffer && room_left(node->buffer) >= want)
		return true;
	if (node->buffer && node->buffer->used > 0)
		return false;
	if (!kept && is_cluster(node) &&
	    wal_buffers_free(node->wal) <= BUFFERS_KEPT)
		return false;
	if (node->buffer)
		wal_buffer_release(node->wal, node->buffer);
	node->buffer = large ? record_open_large(node, want)
			     : wal_buffer_open(node->wal, want);
	return node->buffer && room_left(node->buffer) >= size;
}

/* ---- writing ---- */

static void hold(struct node *node, uint64_t first, uint64_t last)
{
	struct held *held = &node->held[node->held_tail++ % HELD_MAX];

	assert(node->held_tail - node->held_head <= HELD_MAX);
	held->buffer = node->buffer;
	held->first_index = first;
	held->last_index = last;
	node->buffer_last = node->buffer->used;
	node->buffer = NULL;
}

bool record_can_persist(const struct node *node)
{
	return wal_can_append(node->wal) &&
	       !raft_entry_at(node->raft, node->supplied + 1) &&
	       node->held_tail - node->held_head < HELD_MAX;
}

/* The buffer holds these entries, back to back, and nothing else. */
static bool is_tidy(const struct node *node, uint64_t first, uint64_t last)
{
	const struct wal_buffer *buffer = node->buffer;
	const uint8_t *at;
	uint64_t index;

	if (!buffer)
		return false;
	at = buffer->payload;
	for (index = first; index <= last; index++) {
		const struct raft_entry *entry =
			raft_entry_at(node->raft, index);

		if (entry->data != at)
			return false;
		at += entry_size(entry->size);
	}
	return at == buffer->payload + buffer->used;
}

/* Puts these entries together in a buffer of their own; false: none is free. */
static bool tidy(struct node *node, uint64_t first, uint64_t last)
{
	struct wal_buffer *buffer;
	uint64_t index;
	uint64_t size = 0;

	for (index = first; index <= last; index++)
		size += entry_size(raft_entry_at(node->raft, index)->size);
	buffer = wal_buffer_open(node->wal, (uint32_t)size);
	if (!buffer || buffer->room < size) {
		if (buffer)
			wal_buffer_release(node->wal, buffer);
		return false;
	}
	for (index = first; index <= last; index++) {
		const struct raft_entry *entry =
			raft_entry_at(node->raft, index);
		uint8_t *to = buffer->payload + buffer->used;

		memcpy(to, entry->data, entry_size(entry->size));
		buffer->used += entry_size(entry->size);
		raft_lend(node->raft, index, to);
	}
	if (node->buffer)
		wal_buffer_release(node->wal, node->buffer);
	node->buffer = buffer;
	return true;
}

bool record_persist(struct node *node, const struct raft_ready *ready)
{
	uint64_t first = ready->append_first, last = ready->append_last;
	struct wal_buffer *buffer = NULL;
	int code;

	if (!ready->must_sync)
		return true;
	if (first) {
		/* What is not proposed yet cannot go with the rest. */
		if (node->sealed_count ||
		    (node_leads(node) && node->open.entry))
			return false;
		if (!is_tidy(node, first, last) && !tidy(node, first, last))
			return false;
		buffer = node->buffer;
	}
	code = wal_append(node->wal, buffer, &ready->hard, first, last,
			  ready->number);
	assert(!code); /* wal_can_append() promised it */
	node->append_ns = node->now_ns;
	node->writing = true;
	node->status->log_records++;
	if (buffer) {
		node->status->log_bytes += buffer->used;
		hold(node, first, last);
	}
	return true;
}

/* ---- what was written ---- */

/* A few stay for members that lag, as long as there are buffers enough. */
static bool may_stay(const struct node *node)
{
	return is_cluster(node) &&
	       node->held_tail - node->held_head <= CACHE_BUFFERS &&
	       wal_buffers_free(node->wal) > BUFFERS_KEPT;
}

void record_release(struct node *node)
{
	while (node->held_head != node->held_tail) {
		struct held *held = &node->held[node->held_head % HELD_MAX];

		if (held->last_index > node->applied || may_stay(node))
			return;
		raft_evict(node->raft, held->last_index);
		wal_buffer_release(node->wal, held->buffer);
		node->held_head++;
	}
}

void record_truncated(struct node *node, uint64_t first)
{
	while (node->held_head != node->held_tail) {
		struct held *held =
			&node->held[(node->held_tail - 1) % HELD_MAX];

		if (held->last_index < first)
			return;
		if (held->first_index < first) {
			held->last_index = first - 1;
			return;
		}
		wal_buffer_release(node->wal, held->buffer);
		node->held_tail--;
	}
}

void record_drop_all(struct node *node)
{
	record_truncated(node, 0);
	/* Batches of a leadership that is over may still lie in it. */
	if (node->buffer)
		wal_buffer_release(node->wal, node->buffer);
	node->buffer = NULL;
}

/* ---- when buffers are scarce ---- */

/* Batches of this member whose bytes have moved. */
static void move_batches(struct node *node, struct wal_buffer *from,
			 struct wal_buffer *to, uint8_t *payload)
{
	uint64_t position;

	for (position = node->batch_head; position != node->batch_tail;
	     position++) {
		struct batch *batch = node_batch(node, position);

		if (batch->done || batch->buffer != from)
			continue;
		batch->entry = payload + (batch->entry - from->payload);
		batch->buffer = to;
		wal_buffer_hold(node->wal, to);
		wal_buffer_release(node->wal, from);
	}
}

/* Copies what the second of two held buffers has behind the first's. */
static void merge(struct node *node, struct held *to, const struct held *from)
{
	uint8_t *payload = to->buffer->payload + to->buffer->used;
	const uint8_t *end = from->buffer->payload + from->buffer->used;
	uint64_t index;

	memcpy(payload, from->buffer->payload, from->buffer->used);
	to->buffer->used += from->buffer->used;
	for (index = from->first_index; index <= from->last_index; index++) {
		const struct raft_entry *entry =
			raft_entry_at(node->raft, index);
		const uint8_t *data = entry ? entry->data : NULL;

		if (data >= from->buffer->payload && data < end)
			raft_lend(node->raft, index,
				  payload + (data - from->buffer->payload));
	}
	move_batches(node, from->buffer, to->buffer, payload);
	wal_buffer_release(node->wal, from->buffer);
	to->last_index = from->last_index;
}

/* The store looks at an entry in it, from turn to turn. */
static bool is_looked_at(const struct node *node, const struct held *held)
{
	return node->applying && held->first_index <= node->applied + 1 &&
	       node->applied + 1 <= held->last_index;
}

/*
 * Each record has a buffer of its own, however small it is, and what is not
 * committed stays: many small ones are put together. The newest may still be
 * on its way to the disk, with all that lies in its last block.
 */
static bool merge_some(struct node *node)
{
	uint32_t at, k;

	for (at = node->held_head; at + 2 < node->held_tail; at++) {
		struct held *to = &node->held[at % HELD_MAX];
		struct held *from = &node->held[(at + 1) % HELD_MAX];

		if (room_left(to->buffer) < from->buffer->used ||
		    is_looked_at(node, from))
			continue;
		merge(node, to, from);
		for (k = at + 1; k + 1 < node->held_tail; k++)
			node->held[k % HELD_MAX] =
				node->held[(k + 1) % HELD_MAX];
		node->held_tail--;
		return true;
	}
	return false;
}

void record_make_room(struct node *node)
{
	if (!is_cluster(node))
		return;
	while (wal_buffers_free(node->wal) <= BUFFERS_KEPT && merge_some(node))
		;
}

/* ---- what the leader sent ---- */

/*
 * The log has this very entry, or had it before it was compacted: what is
 * committed Raft does not look at again.
 */
static bool is_there(const struct node *node, const struct entry_header *header,
		     uint64_t commit)
{
	const struct raft_entry *entry =
		raft_entry_at(node->raft, header->index);

	return header->index <= commit ||
	       (entry && entry->term == header->term);
}

/* Describes the entries in `body`; returns the bytes that are new here. */
static uint32_t describe(struct node *node, const struct wire_frame *frame,
			 const uint8_t *body, uint64_t commit)
{
	uint32_t i, size, fresh = 0;

	for (i = 0; i < frame->count; i++) {
		struct entry_header header;

		memcpy(&header, body, sizeof(header));
		size = entry_size(header.size);
		node->received[i] = (struct raft_entry){
			.index = header.index,
			.term = header.term,
			.kind = header.kind,
			.size = header.size,
			.data = is_there(node, &header, commit) ? NULL : body,
		};
		if (node->received[i].data)
			fresh += size;
		body += size;
	}
	return fresh;
}

/* Copies what is new to where it will be written. */
static void copy_in(struct node *node, uint32_t count)
{
	struct wal_buffer *buffer = node->buffer;
	uint32_t i;

	for (i = 0; buffer && i < count; i++) {
		struct raft_entry *entry = &node->received[i];
		uint8_t *to = buffer->payload + buffer->used;

		if (!entry->data)
			continue;
		memcpy(to, entry->data, entry_size(entry->size));
		buffer->used += entry_size(entry->size);
		entry->data = to;
	}
}

/* Which of them Raft took: the first index, or 0. */
static uint64_t first_taken(const struct node *node, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		const struct raft_entry *ours = &node->received[i];
		const struct raft_entry *entry =
			raft_entry_at(node->raft, ours->index);

		if (ours->data && entry && entry->data == ours->data)
			return ours->index;
	}
	return 0;
}

static int take(struct node *node, const struct raft_message *message,
		uint64_t last_before)
{
	uint32_t used = node->buffer ? node->buffer->used : 0;
	struct raft_status raft;
	uint64_t first;
	int code;

	copy_in(node, message->entry_count);
	code = raft_receive(node->raft, message);
	first = first_taken(node, message->entry_count);
	if (!first && node->buffer)
		node->buffer->used = used;
	if (first && first <= last_before)
		record_truncated(node, first);
	raft_status(node->raft, &raft);
	if (first)
		node->supplied = raft.last_index;
	node->work++;
	return code == RAFT_EINVALID ? -EBADMSG : 0;
}

/*
 * More came at once than one record takes, as from a leader whose segments
 * are larger: how many of them fit. 0: none now.
 */
static uint32_t make_part(struct node *node, uint32_t count)
{
	uint32_t i, room, first = 0;

	while (!node->received[first].data)
		first++;
	if (node->buffer && node->buffer->used > 0)
		return 0;
	if (node->buffer)
		wal_buffer_release(node->wal, node->buffer);
	node->buffer =
		record_open_large(node, entry_size(node->received[first].size));
	room = node->buffer ? room_left(node->buffer) : 0;
	/* It was proposed where nobody knew how small the segments are here. */
	if (entry_size(node->received[first].size) > wal_buffer_max(node->wal))
		node->too_small = true;
	for (i = first; i < count; i++) {
		uint32_t size = entry_size(node->received[i].size);

		if (!node->received[i].data)
			continue;
		if (size > room)
			break;
		room -= size;
	}
	return i > first ? i : 0;
}

/* Part of a frame was taken: the rest follows when that is written. */
static bool goes_on(const struct node *node, const struct wire_frame *frame,
		    uint32_t count)
{
	const struct raft_entry *last = &node->received[count - 1];
	const struct raft_entry *entry = raft_entry_at(node->raft, last->index);

	return count < frame->count && entry && entry->term == last->term;
}

int record_received(struct node *node, uint64_t from,
		    const struct wire_frame *frame, const uint8_t *body)
{
	struct raft_message message;
	struct raft_status raft;
	uint32_t fresh, count = frame->count;
	int code;

	raft_status(node->raft, &raft);
	wire_to_message(frame, from, node->options.member, &message);
	/*
	 * Who was born without a configuration begins with an image: Raft
	 * refuses what comes before, and so asks for one.
	 */
	if (!raft.conf.voter_count || frame->term < raft.term ||
	    (frame->term == raft.term && raft.role == RAFT_LEADER)) {
		message.entry_count = 0;
		return raft_receive(node->raft, &message) == RAFT_EINVALID
			       ? -EBADMSG
			       : 0;
	}
	if (node_leads(node))
		propose_step_down(node);
	fresh = describe(node, frame, body, raft.commit);
	if (fresh && !record_room(node, fresh, true))
		count = make_part(node, count);
	if (!count && frame->count)
		return -EAGAIN;
	message.entries = node->received;
	message.entry_count = count;
	code = take(node, &message, raft.last_index);
	return !code && count && goes_on(node, frame, count) ? -EAGAIN : code;
}
