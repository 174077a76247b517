/*
 * What a lane sends: bytes are found where they lie, when it can send.
 *
 * What is handed out is lent only until the kernel has taken its part of it,
 * in the same turn. Of a frame that it took in part the rest is copied, so
 * that a slow peer never holds anything of the log.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	RUN_SIZE = 1 << 20, /* of entries in one frame, or one entry */
	/* What became of a frame that is to be handed out. */
	BUILD_WAIT = 0,
	BUILD_DONE = 1,
	BUILD_DROP = 2,
};

/* ---- finding the bytes ---- */

static void add_part(struct lane *lane, struct sending *sending,
		     const void *bytes, uint32_t size)
{
	struct node_part *last =
		&lane->parts[sending->part + sending->part_count - 1];

	assert(sending->part + sending->part_count < NODE_PARTS_MAX);
	if (sending->part_count > 1 &&
	    (const uint8_t *)last->bytes + last->size == bytes) {
		last->size += size;
	} else {
		last[1] = (struct node_part){bytes, size};
		sending->part_count++;
	}
	sending->size += size;
}

/* Header and sizes are known: completes the frame. */
static void finish(struct lane *lane, struct sending *sending)
{
	static const uint8_t zeros[8];
	uint32_t size = wire_frame_size(&sending->head);

	if (size > sending->size)
		add_part(lane, sending, zeros, size - sending->size);
	assert(size == sending->size);
	wire_seal(&sending->head);
}

/* The entry in what was read back; NULL when another leader wrote there. */
static const uint8_t *find_fetched(const struct wal_fetched *got,
				   const struct raft_entry *entry)
{
	const uint8_t *at = got->bytes;
	struct entry_header header;

	memcpy(&header, at, sizeof(header));
	while (header.index != entry->index) {
		at += entry_size(header.size);
		memcpy(&header, at, sizeof(header));
	}
	return header.term == entry->term ? at : NULL;
}

/* What was asked of the disk, if this entry is in it; NULL: not now. */
static const uint8_t *read_back(struct node *node, struct peer *peer,
				const struct raft_entry *entry, bool may_fetch,
				bool *ret_gone)
{
	struct wal_fetched got;
	int code = -ENOENT;
	const uint8_t *at;

	if (peer->fetch >= 0)
		code = wal_fetched(node->wal, peer->fetch, &got);
	if (code == -EINPROGRESS)
		return NULL;
	if (!code && entry->index >= got.first_index &&
	    entry->index <= got.last_index) {
		at = find_fetched(&got, entry);
		*ret_gone = !at;
		return at;
	}
	if (!may_fetch)
		return NULL;
	peer_end_fetch(node, peer);
	peer->fetch = wal_fetch_entries(node->wal, entry->index);
	*ret_gone = peer->fetch == -ENOENT;
	return NULL;
}

/* Bytes of the entry at `index`: in memory, or read back; NULL: not now. */
static const uint8_t *find_entry(struct node *node, struct peer *peer,
				 uint64_t index, bool may_fetch, bool *ret_gone)
{
	const struct raft_entry *entry = raft_entry_at(node->raft, index);

	*ret_gone = !entry;
	if (!entry || entry->data)
		return entry ? entry->data : NULL;
	return read_back(node, peer, entry, may_fetch, ret_gone);
}

static uint64_t term_at(const struct node *node, const struct out_frame *frame,
			uint64_t index)
{
	const struct raft_entry *entry = raft_entry_at(node->raft, index);

	if (index == frame->head.log_index)
		return frame->head.log_term;
	return entry ? entry->term : 0;
}

static bool may_send(const struct node *node, const struct out_frame *frame)
{
	struct raft_status raft;

	if (frame->kind == OUT_FOUND)
		return fill_may_tell(node, &frame->head);
	raft_status(node->raft, &raft);
	return raft.role == RAFT_LEADER && raft.term == frame->head.term;
}

/* One run of entries: as many as are at hand and fit a frame. */
static int build_entries(struct node *node, struct peer *peer,
			 const struct out_frame *frame, uint64_t from,
			 struct sending *sending)
{
	struct lane *lane = &peer->lanes[NODE_BULK];
	bool gone = false;
	uint64_t index;

	if (!may_send(node, frame))
		return BUILD_DROP;
	for (index = from; index < frame->end; index++) {
		/* Reading back is begun for the first frame of all alone. */
		const uint8_t *bytes =
			find_entry(node, peer, index,
				   index == from && sending->part == 0, &gone);
		uint32_t size;

		if (!bytes ||
		    sending->part + sending->part_count + 2 > NODE_PARTS_MAX)
			break;
		size = entry_size(raft_entry_at(node->raft, index)->size);
		if (index > from &&
		    (sending->head.body_size + size > RUN_SIZE ||
		     index - from == WIRE_ENTRIES_MAX))
			break;
		add_part(lane, sending, bytes, size);
		sending->head.body_size += size;
	}
	if (gone && index == from) {
		peer->unreachable = true;
		return BUILD_DROP;
	}
	if (index == from)
		return BUILD_WAIT;
	sending->head.count = (uint32_t)(index - from);
	sending->head.first_index = from;
	sending->head.log_index = from - 1;
	sending->head.log_term = term_at(node, frame, from - 1);
	sending->next = index;
	sending->ends = index == frame->end;
	return BUILD_DONE;
}

static int build_batch(struct node *node, struct peer *peer,
		       const struct out_frame *frame, struct sending *sending)
{
	struct batch *batch =
		batch_find(node, node->batch_base + frame->position);
	struct lane *lane = &peer->lanes[NODE_BULK];

	/* Answered meanwhile, or its leader leads no more. */
	if (!batch || peer->id != node->leader ||
	    frame->head.term != node->term)
		return BUILD_DROP;
	/* A former leader may have stamped it: the next one does it anew. */
	memcpy(&sending->entry, batch->entry, ENTRY_HEADER_SIZE);
	sending->entry.header_crc = 0;
	sending->entry.index = 0;
	sending->entry.term = 0;
	sending->entry.copy = (uint32_t)frame->head.round;
	sending->head.body_size = entry_size(batch->size);
	sending->head.body_crc = wire_body_crc(WIRE_FORWARD, &sending->entry,
					       sending->head.body_size);
	add_part(lane, sending, &sending->entry, ENTRY_HEADER_SIZE);
	add_part(lane, sending, batch->entry + ENTRY_HEADER_SIZE,
		 entry_size(batch->size) - ENTRY_HEADER_SIZE);
	return BUILD_DONE;
}

static int build_image(struct node *node, struct peer *peer,
		       const struct out_frame *frame, struct sending *sending)
{
	struct wire_image image = {0};
	uint64_t term;
	const void *head;
	uint8_t *body = peer->image_body;

	if (wal_snapshot_newest(node->wal, &term, &image.chunks, &head,
				&image.head_size) != frame->head.log_index ||
	    term != frame->head.log_term) {
		image_lost(node, peer);
		return BUILD_DROP;
	}
	memcpy(body, &image, sizeof(image));
	memcpy(body + sizeof(image), head, image.head_size);
	sending->head.body_size = (uint32_t)sizeof(image) + image.head_size;
	sending->head.body_crc =
		wire_body_crc(RAFT_MSG_SNAPSHOT, body, sending->head.body_size);
	add_part(&peer->lanes[NODE_BULK], sending, body,
		 sending->head.body_size);
	return BUILD_DONE;
}

static int build_chunk(struct node *node, struct peer *peer,
		       const struct out_frame *frame, struct sending *sending)
{
	struct wal_fetched got;
	int code = wal_fetched(node->wal, frame->ticket, &got);

	if (code == -EINPROGRESS)
		return BUILD_WAIT;
	if (code) {
		sending->head.flags |= WIRE_REJECT;
		return BUILD_DONE;
	}
	sending->head.count = got.last_chunk;
	sending->head.body_size = got.size;
	sending->head.body_crc =
		wire_body_crc(WIRE_IMAGE_CHUNK, got.bytes, got.size);
	add_part(&peer->lanes[NODE_BULK], sending, got.bytes, got.size);
	return BUILD_DONE;
}

static int build_small(struct lane *lane, const struct out_frame *frame,
		       struct sending *sending)
{
	uint32_t size = frame->head.body_size;

	if (size) {
		sending->head.body_crc =
			wire_body_crc(frame->head.type, frame->body, size);
		add_part(lane, sending, frame->body, size);
	}
	return BUILD_DONE;
}

static int build(struct node *node, struct peer *peer, struct lane *lane,
		 const struct out_frame *frame, uint64_t from,
		 struct sending *sending)
{
	switch (frame->kind) {
	case OUT_ENTRIES:
	case OUT_FOUND:
		return build_entries(node, peer, frame, from, sending);
	case OUT_BATCH:
		return build_batch(node, peer, frame, sending);
	case OUT_IMAGE:
		return build_image(node, peer, frame, sending);
	case OUT_CHUNK:
		return build_chunk(node, peer, frame, sending);
	default:
		return build_small(lane, frame, sending);
	}
}

/* ---- handing out ---- */

/* Where gathering stands: a frame of the queue, and an entry in it. */
struct cursor {
	uint32_t at;
	uint32_t pops; /* frames that go when the next one was sent */
	uint64_t next;
};

/* The next frame; false: nothing more now. */
static bool gather_one(struct node *node, struct peer *peer, struct lane *lane,
		       struct cursor *cursor, uint32_t *parts)
{
	struct sending *sending = &lane->sending[lane->sending_count];

	while (cursor->at != lane->tail) {
		const struct out_frame *frame =
			&lane->frames[cursor->at % LANE_FRAMES];
		uint64_t from = cursor->next ? cursor->next : frame->next;
		int code;

		*sending = (struct sending){
			.head = frame->head,
			.part = *parts,
			.part_count = 1,
			.size = WIRE_HEADER_SIZE,
			.ends = true,
		};
		sending->head.sequence = lane->sent + lane->sending_count + 1;
		lane->parts[*parts] =
			(struct node_part){&sending->head, WIRE_HEADER_SIZE};
		code = build(node, peer, lane, frame, from, sending);
		if (code == BUILD_WAIT)
			return false;
		if (sending->ends || code == BUILD_DROP) {
			cursor->at++;
			cursor->pops++;
			cursor->next = 0;
		} else {
			cursor->next = sending->next;
		}
		if (code == BUILD_DROP)
			continue;
		finish(lane, sending);
		sending->pops = cursor->pops;
		cursor->pops = 0;
		*parts += sending->part_count;
		lane->sending_count++;
		return true;
	}
	return false;
}

static void pop(struct node *node, struct lane *lane)
{
	struct out_frame *frame = &lane->frames[lane->head++ % LANE_FRAMES];

	if (frame->kind == OUT_CHUNK)
		wal_fetch_end(node->wal, frame->ticket);
}

uint32_t node_gather(struct node *node, uint64_t member, enum node_lane id,
		     struct node_part parts[NODE_PARTS_MAX])
{
	struct peer *peer = peer_find(node, member);
	struct lane *lane = peer ? &peer->lanes[id] : NULL;
	struct cursor cursor;
	uint32_t count = 0;

	if (!lane || !lane->up)
		return 0;
	lane->sending_count = 0;
	if (lane->wait_ns > node->now_ns && !lane->spill_used)
		return 0;
	lane->wait_ns = 0;
	cursor = (struct cursor){.at = lane->head};
	if (lane->spill_used)
		lane->parts[count++] =
			(struct node_part){lane->spill + lane->spill_sent,
					   lane->spill_used - lane->spill_sent};
	while (lane->sending_count < GATHER_FRAMES &&
	       count + 4 <= NODE_PARTS_MAX &&
	       gather_one(node, peer, lane, &cursor, &count))
		;
	/* What was dropped with nothing behind it goes at once. */
	while (!lane->sending_count && cursor.pops) {
		pop(node, lane);
		cursor.pops--;
	}
	memcpy(parts, lane->parts, count * sizeof(*parts));
	return count;
}

/* The kernel took only the first `size` bytes of a frame: keep the rest. */
static void spill(struct lane *lane, const struct sending *sending,
		  uint32_t size)
{
	uint32_t i;

	lane->spill_used = 0;
	lane->spill_sent = 0;
	for (i = 0; i < sending->part_count; i++) {
		const struct node_part *part = &lane->parts[sending->part + i];
		uint32_t skip = size < part->size ? size : part->size;

		size -= skip;
		memcpy(lane->spill + lane->spill_used,
		       (const uint8_t *)part->bytes + skip, part->size - skip);
		lane->spill_used += part->size - skip;
	}
	assert(lane->spill_used > 0 && lane->spill_used <= NODE_BULK_SIZE);
}

/* A frame is the kernel's, or in the spill. */
static void sent_one(struct node *node, struct lane *lane,
		     const struct sending *sending)
{
	uint32_t i;

	for (i = 0; i < sending->pops; i++)
		pop(node, lane);
	if (!sending->ends)
		lane->frames[lane->head % LANE_FRAMES].next = sending->next;
	lane->sent++;
}

void node_sent(struct node *node, uint64_t member, enum node_lane id,
	       uint32_t size)
{
	struct peer *peer = peer_find(node, member);
	struct lane *lane = peer ? &peer->lanes[id] : NULL;
	uint32_t i, left;

	if (!lane || !lane->up)
		return;
	left = lane->spill_used - lane->spill_sent;
	if (left > size)
		left = size;
	lane->spill_sent += left;
	size -= left;
	if (lane->spill_sent < lane->spill_used) {
		assert(!size);
		lane->sending_count = 0;
		return;
	}
	lane->spill_used = 0;
	lane->spill_sent = 0;
	for (i = 0; i < lane->sending_count && size; i++) {
		const struct sending *sending = &lane->sending[i];
		uint32_t part = sending->size < size ? sending->size : size;

		if (part < sending->size)
			spill(lane, sending, part);
		sent_one(node, lane, sending);
		size -= part;
	}
	assert(!size);
	lane->sending_count = 0;
}
