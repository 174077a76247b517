/*
 * From sealed batches to the log of the member that leads.
 *
 * The leader proposes all that is sealed in the record buffer when the disk
 * can take it, its own batches and those that others forwarded, and stamps
 * each with what Raft gave it. What is sealed but not proposed was never seen
 * by Raft and can still be refused.
 *
 * Any other member forwards its batches and keeps them. Nothing is guessed
 * when leadership changes: a batch that was proposed and is not applied is
 * proposed again, to whoever leads, under the identity of its requests; the
 * store gives each effect once. A refusal is told to a client only when no
 * copy of the batch is left that could commit: see node_doubt.c.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	RETRY_NS = 20000000, /* after a refusal that does not stand for ever */
	STALLED_ELECTIONS = 3, /* timeouts without any batch applied */
	STALLS_MAX = 5, /* after so many that time does not double any more */
};

static int32_t dropped_status(int code)
{
	switch (code) {
	case RAFT_EDROPPED_TRANSFER:
		return CONCLAVE_ETRANSFER;
	case RAFT_EDROPPED_LOG_FULL:
		return CONCLAVE_ELOGFULL;
	case RAFT_EDROPPED_REMOVED:
		return CONCLAVE_EREMOVED;
	case RAFT_ECONF_REFUSED:
		return CONCLAVE_EMEMBERSHIP;
	case RAFT_EINVALID:
		return CONCLAVE_EBADREQ;
	default:
		return CONCLAVE_ENOLEADER;
	}
}

/* It would be refused again, by whoever leads. */
static bool is_final(int32_t status)
{
	return status == CONCLAVE_EBADREQ || status == CONCLAVE_ETOOLARGE ||
	       status == CONCLAVE_EMEMBERSHIP;
}

/* What only a leader proposes, for reasons that may have gone with it. */
static bool is_of_leader(uint32_t kind)
{
	return kind == ENTRY_SNAPSHOT_CUT || kind == ENTRY_COMPACTION ||
	       kind == ENTRY_SESSION_EXPIRE || kind == ENTRY_SESSION_DROP ||
	       kind == ENTRY_SETTING;
}

static void retry_later(struct node *node, uint64_t position)
{
	if (!node->retry_ns || position < node->batch_retry)
		node->batch_retry = position;
	if (!node->retry_ns)
		node->retry_ns = node->now_ns + RETRY_NS;
}

static void nack(struct node *node, const struct sealed *sealed, int32_t status)
{
	struct peer *peer = peer_find(node, sealed->origin);
	struct out_frame frame = {
		.head = {.type = WIRE_NACK,
			 .term = node->term,
			 .log_index = node->supplied,
			 .round = sealed->number,
			 .first_index = sealed->copy,
			 .reject_hint = (uint32_t)status},
	};

	/* Lost: then the origin proposes it again after a while. */
	if (peer)
		(void)peer_queue(node, peer, &frame);
}

/* ---- leading ---- */

/* Raft did not append it. */
static void drop(struct node *node, const struct sealed *sealed, int32_t status)
{
	struct batch *batch;

	if (!sealed->own) {
		nack(node, sealed, status);
		return;
	}
	batch = node_batch(node, sealed->position);
	if (batch->done)
		return;
	if (!batch->copies || is_final(status))
		doubt_refuse(node, batch, status, node->supplied, node->term);
	else
		retry_later(node, sealed->position);
}

/* Its bytes are those in the record that are not proposed yet. */
static bool lies_in_record(const struct node *node, const struct sealed *sealed,
			   const struct batch *batch)
{
	return !batch->done &&
	       batch->entry == node->buffer->payload + sealed->offset;
}

/* What was sealed and never proposed moves out of the record; or is refused. */
static void rescue(struct node *node, const struct sealed *sealed)
{
	struct batch *batch = node_batch(node, sealed->position);
	uint32_t size = entry_size(sealed->size);
	uint8_t *to;

	if (!lies_in_record(node, sealed, batch))
		return;
	if (!node->outbound && wal_buffers_free(node->wal) > BUFFERS_KEPT)
		node->outbound = record_open_large(node, size);
	if (!node->outbound ||
	    node->outbound->room - node->outbound->used < size) {
		batch_refuse(node, batch, CONCLAVE_ENOLEADER);
		return;
	}
	to = node->outbound->payload + node->outbound->used;
	memcpy(to, batch->entry, size);
	node->outbound->used += size;
	wal_buffer_hold(node->wal, node->outbound);
	wal_buffer_release(node->wal, batch->buffer);
	batch->buffer = node->outbound;
	batch->entry = to;
}

/* Not now: another change of membership must be applied first. */
static void put_off(struct node *node, const struct sealed *sealed)
{
	if (!sealed->own) {
		nack(node, sealed, CONCLAVE_ELOGFULL);
		return;
	}
	rescue(node, sealed);
	if (!node_batch(node, sealed->position)->done)
		retry_later(node, sealed->position);
}

/* Its bytes are those of the record from now on. */
static void adopt(struct node *node, const struct sealed *sealed,
		  uint8_t *entry, uint64_t term)
{
	struct batch *batch = node_batch(node, sealed->position);
	struct peer *peer =
		sealed->own ? NULL : peer_find(node, sealed->origin);

	if (peer)
		peer->forwarded = node->supplied;
	if (!sealed->own || batch->done)
		return;
	wal_buffer_hold(node->wal, node->buffer);
	wal_buffer_release(node->wal, batch->buffer);
	batch->buffer = node->buffer;
	batch->entry = entry;
	doubt_hand_on(node, batch, term);
	doubt_number(entry, batch->copies);
}

/* The bytes of an entry that Raft made itself. */
static void write_bare(struct node *node, uint8_t *bytes,
		       const struct raft_entry *entry)
{
	struct entry_header header = {
		.origin_term = entry->term,
		.origin = node->options.member,
		.kind = (uint8_t)entry->kind,
		.format = ENTRY_FORMAT,
	};

	memcpy(bytes, &header, sizeof(header));
	entry_seal(bytes);
	entry_stamp(bytes, entry->index, entry->term);
	raft_lend(node->raft, entry->index, bytes);
}

/*
 * The bytes of a refused entry close up: what follows moves down. In the
 * place of a refused change of membership Raft appends an empty entry, which
 * is smaller than that change.
 */
static void propose_one(struct node *node, const struct sealed *sealed,
			uint32_t *used)
{
	uint8_t *from = node->buffer->payload + sealed->offset;
	uint8_t *to = node->buffer->payload + *used;
	struct raft_entry entry = {
		.kind = sealed->kind,
		.size = sealed->size,
		.data = from,
	};
	uint64_t index, term;
	int code;

	code = entry_is_conf(sealed->kind)
		       ? member_may(node, from, sealed->size)
		       : 0;
	if (entry_size(sealed->size) > node->entry_max)
		code = CONCLAVE_ETOOLARGE;
	if (code == -EAGAIN)
		put_off(node, sealed);
	else if (code)
		drop(node, sealed, code);
	if (code)
		return;
	code = raft_propose(node->raft, &entry, &index, &term);
	if (code)
		drop(node, sealed, dropped_status(code));
	if (code == RAFT_ECONF_REFUSED) {
		write_bare(node, to,
			   raft_entry_at(node->raft, ++node->supplied));
		*used += entry_size(0);
	}
	if (code)
		return;
	if (to != from)
		memmove(to, from, entry_size(sealed->size));
	node->supplied = index;
	adopt(node, sealed, to, term);
	raft_lend(node->raft, index, to);
	entry_stamp(to, index, term);
	*used += entry_size(sealed->size);
}

/*
 * Raft would refuse beyond its limits, and while leadership moves; what waits
 * in the buffer fills it, and then the rings are left undrained. What was
 * sealed for one leadership is not for the next.
 */
static bool raft_takes_all(const struct node *node)
{
	struct raft_status raft;
	uint64_t size = 0;
	uint32_t i;

	raft_status(node->raft, &raft);
	if (raft.role != RAFT_LEADER || raft.term != node->term ||
	    raft.transferee)
		return false;
	for (i = 0; i < node->sealed_count; i++)
		size += node->sealed[i].size;
	return !raft.uncommitted_size || !size ||
	       raft.uncommitted_size + size <= node->options.uncommitted_max;
}

/* Copies a batch that was proposed before into the record; false: no room. */
static bool refill_one(struct node *node, uint64_t position)
{
	const struct batch *batch = node_batch(node, position);
	uint32_t size = entry_size(batch->size);

	if (batch->done)
		return true;
	if (node->sealed_count == SEALED_MAX || !record_room(node, size, false))
		return false;
	node->sealed[node->sealed_count++] = (struct sealed){
		.offset = node->buffer->used,
		.size = batch->size,
		.kind = batch->kind,
		.own = true,
		.position = position,
	};
	memcpy(node->buffer->payload + node->buffer->used, batch->entry, size);
	node->buffer->used += size;
	return true;
}

static void refill(struct node *node)
{
	if (node->batch_next == node->batch_tail)
		return;
	batch_seal_open(node);
	while (node->batch_next != node->batch_tail &&
	       refill_one(node, node->batch_next))
		node->batch_next++;
}

void propose_sealed(struct node *node)
{
	uint32_t i, used;

	if (raft_entry_at(node->raft, node->supplied + 1))
		return;
	refill(node);
	batch_seal_open(node);
	if (!node->sealed_count || !raft_takes_all(node))
		return;
	used = node->sealed[0].offset;
	for (i = 0; i < node->sealed_count; i++)
		propose_one(node, &node->sealed[i], &used);
	node->sealed_count = 0;
	node->buffer->used = used;
}

/* Moves what is sealed up: an entry of Raft's own comes before it. */
static uint8_t *make_gap(struct node *node)
{
	struct wal_buffer *buffer = node->buffer;
	uint32_t at, i;

	batch_seal_open(node);
	at = node->sealed_count ? node->sealed[0].offset : buffer->used;
	memmove(buffer->payload + at + entry_size(0), buffer->payload + at,
		buffer->used - at);
	buffer->used += entry_size(0);
	for (i = 0; i < node->sealed_count; i++) {
		struct sealed *sealed = &node->sealed[i];
		struct batch *batch = node_batch(node, sealed->position);

		if (sealed->own && lies_in_record(node, sealed, batch))
			batch->entry += entry_size(0);
		sealed->offset += entry_size(0);
	}
	return buffer->payload + at;
}

/*
 * The core's own entries: one when leadership begins, one to leave a joint
 * configuration.
 */
void propose_supply(struct node *node)
{
	const struct raft_entry *entry;

	while ((entry = raft_entry_at(node->raft, node->supplied + 1))) {
		if (!entry->data && !record_room(node, entry_size(0), true))
			return;
		if (!entry->data)
			write_bare(node, make_gap(node), entry);
		node->supplied++;
	}
}

static bool may_forward(uint32_t kind)
{
	return kind == ENTRY_NORMAL || kind == ENTRY_SESSION_RESUME ||
	       kind == ENTRY_SESSION_CLOSE || kind == ENTRY_SESSION_EXPIRE ||
	       entry_is_conf(kind);
}

int propose_received(struct node *node, struct peer *origin,
		     const struct wire_frame *frame, const uint8_t *body)
{
	struct entry_header header;
	struct sealed sealed;
	uint32_t size = frame->body_size;

	memcpy(&header, body, sizeof(header));
	sealed = (struct sealed){
		.size = header.size,
		.kind = header.kind,
		.origin = origin->id,
		.number = header.batch,
		.copy = header.copy,
	};
	if (header.origin != origin->id || !may_forward(header.kind) ||
	    entry_size(header.size) != size)
		return -EBADMSG;
	if (!node_leads(node) || frame->term != node->term) {
		nack(node, &sealed, CONCLAVE_ENOLEADER);
		return 0;
	}
	if (size > node->entry_max) {
		/* An older copy may be among those: first it is proposed. */
		if (node->sealed_count)
			return -EAGAIN;
		nack(node, &sealed, CONCLAVE_ETOOLARGE);
		return 0;
	}
	batch_seal_open(node);
	if (node->sealed_count == SEALED_MAX ||
	    node->supplied - node->compacted_to + node->sealed_count +
			    node->options.entries_max / 8 >=
		    node->options.entries_max ||
	    !record_room(node, size, false))
		return -EAGAIN;
	sealed.offset = node->buffer->used;
	node->sealed[node->sealed_count++] = sealed;
	memcpy(node->buffer->payload + node->buffer->used, body, size);
	node->buffer->used += size;
	node->work++;
	return 0;
}

/* ---- following ---- */

void propose_forward(struct node *node)
{
	struct peer *peer = peer_find(node, node->leader);
	struct out_frame frame = {
		.head = {.type = WIRE_FORWARD, .term = node->term},
		.kind = OUT_BATCH,
	};

	if (!node_may_propose(node) || !peer || !peer->lanes[NODE_BULK].up)
		return;
	if (peer->lanes[NODE_BULK].head == peer->lanes[NODE_BULK].tail)
		batch_seal_open(node);
	for (; node->batch_next != node->batch_tail; node->batch_next++) {
		struct batch *batch = node_batch(node, node->batch_next);

		if (batch->done)
			continue;
		frame.position = node->batch_next;
		frame.head.round = batch->copies + 1;
		if (!peer_queue(node, peer, &frame))
			return;
		doubt_hand_on(node, batch, node->term);
		node->work++;
	}
}

void propose_nacked(struct node *node, const struct wire_frame *frame)
{
	struct batch *batch = batch_find(node, frame->round);
	int32_t status = (int32_t)(uint32_t)frame->reject_hint;

	/* Of an older copy: what becomes of the newest is still to come. */
	if (!batch || frame->first_index != batch->copies)
		return;
	if (is_final(status))
		doubt_refuse(node, batch, status, frame->log_index,
			     frame->term);
	else
		retry_later(node, frame->round - node->batch_base);
}

/* ---- changes of leadership ---- */

void propose_again(struct node *node)
{
	uint64_t position;

	for (position = node->batch_head; position != node->batch_tail;
	     position++) {
		struct batch *batch = node_batch(node, position);

		if (!batch->done && is_of_leader(batch->kind) &&
		    !node_leads(node))
			batch_done(node, batch);
	}
	node->batch_next = node->batch_head;
	node->retry_ns = 0;
	node->progress_ns = node->now_ns;
}

void propose_step_up(struct node *node)
{
	/* It was opened in the outbound buffer, and is sealed there. */
	node->role = RAFT_FOLLOWER;
	batch_seal_open(node);
	node->role = RAFT_LEADER;
	if (node->outbound)
		wal_buffer_release(node->wal, node->outbound);
	node->outbound = NULL;
	propose_again(node);
}

void propose_step_down(struct node *node)
{
	uint32_t i;

	batch_seal_open(node);
	for (i = 0; i < node->sealed_count; i++) {
		const struct sealed *sealed = &node->sealed[i];

		if (sealed->own)
			rescue(node, sealed);
		else
			nack(node, sealed, CONCLAVE_ENOLEADER);
	}
	if (node->sealed_count)
		node->buffer->used = node->sealed[0].offset;
	node->sealed_count = 0;
	node->role = RAFT_FOLLOWER;
	node->leader = 0;
	propose_again(node);
}

/*
 * A batch that is on its way and nothing comes back: it may be lost. Or this
 * member lags, and each copy makes the log longer that it must catch up with:
 * so the next comes later, and none while an image is on its way.
 */
static bool is_stalled(const struct node *node)
{
	uint64_t patience = STALLED_ELECTIONS * node->options.tick_ns *
			    node->options.election_ticks;

	return !node_leads(node) && !node->incoming.active &&
	       node->batch_head != node->batch_next &&
	       node->now_ns - node->progress_ns > patience << node->stalls;
}

/* While one leads, what is open or sealed comes before what comes again. */
static bool may_retry(const struct node *node)
{
	return node->retry_ns && node->now_ns >= node->retry_ns &&
	       !node->sealed_count && !(node_leads(node) && node->open.entry);
}

void propose_retry(struct node *node)
{
	if (may_retry(node)) {
		node->retry_ns = 0;
		node->work++;
		if (node->batch_retry < node->batch_head)
			node->batch_retry = node->batch_head;
		if (node->batch_retry < node->batch_next)
			node->batch_next = node->batch_retry;
	}
	doubt_turn(node);
	if (node->batch_head == node->batch_next)
		node->progress_ns = node->now_ns;
	if (!is_stalled(node))
		return;
	node->stalls += node->stalls < STALLS_MAX;
	propose_again(node);
}
