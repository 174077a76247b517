/*
 * Images: a member that lags too far is sent the snapshot instead of entries.
 *
 * The leader announces it (RAFT_MSG_SNAPSHOT, with the snapshot's head); the
 * member asks for chunk after chunk, a few ahead, from where it stands: so a
 * connection that breaks costs only what was on its way, and memory is
 * bounded on both sides. All members cut alike, so another leader's snapshot
 * of the same index goes on where the one before ended.
 *
 * A received image is written by the log as its own snapshot and, slice by
 * slice, loaded into a second store. Only when it is whole, is what its head
 * says, and is named by the log, Raft is told; with the record that follows
 * the stores change places. Until then this member is what it was before.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static uint64_t election_ns(const struct node *node)
{
	return node->options.tick_ns * node->options.election_ticks;
}

/* ---- sending ---- */

void image_offer(struct node *node)
{
	struct raft_snapshot snapshot;
	struct store_hash hash;
	uint64_t term, chunks;
	const void *head;
	uint32_t size;

	if (!wal_snapshot_newest(node->wal, &term, &chunks, &head, &size) ||
	    work_read_head(node, head, size, &snapshot, &hash))
		return;
	raft_offer_snapshot(node->raft, &snapshot);
}

void image_send(struct node *node, const struct raft_message *message)
{
	struct peer *peer = peer_find(node, message->to);
	struct out_frame frame = {.kind = OUT_IMAGE};

	assert(peer);
	wire_from_message(message, &frame.head);
	frame.head.log_index = message->snapshot->index;
	frame.head.log_term = message->snapshot->term;
	peer->image_sent = true;
	peer->image_ns = node->now_ns;
	if (!peer_queue(node, peer, &frame))
		image_lost(node, peer);
}

void image_lost(struct node *node, struct peer *peer)
{
	(void)node; /* told in the next turn: Raft may be in the middle of one */
	if (peer->image_sent)
		peer->image_failed = true;
}

static void report(struct node *node, struct peer *peer, bool ok)
{
	peer->image_sent = false;
	peer->image_failed = false;
	raft_report_snapshot(node->raft, peer->id, ok);
}

void image_asked(struct node *node, struct peer *peer,
		 const struct wire_frame *ask)
{
	struct out_frame frame = {
		.head = {.type = WIRE_IMAGE_CHUNK,
			 .log_index = ask->log_index,
			 .log_term = ask->log_term,
			 .first_index = ask->first_index},
		.kind = OUT_CHUNK,
	};

	peer->image_ns = node->now_ns;
	frame.ticket =
		wal_fetch_chunk(node->wal, ask->log_index, ask->first_index);
	if (frame.ticket == -EAGAIN)
		return; /* it asks again */
	if (frame.ticket < 0) {
		frame.kind = OUT_SMALL;
		frame.head.flags = WIRE_REJECT;
	}
	if (!peer_queue(node, peer, &frame) && frame.kind == OUT_CHUNK)
		wal_fetch_end(node->wal, frame.ticket);
}

/* ---- receiving ---- */

static void give_up(struct node *node)
{
	struct incoming *in = &node->incoming;

	if (wal_snapshot_active(node->wal))
		wal_snapshot_abort(node->wal);
	if (in->loading) {
		node->left = node->spare;
		node->spare = NULL;
		node->event_count++;
	}
	memset(in, 0, offsetof(struct incoming, head));
}

static void ask_on(struct node *node)
{
	struct incoming *in = &node->incoming;
	struct peer *peer = peer_find(node, in->from);
	struct out_frame frame = {
		.head = {.type = WIRE_IMAGE_ASK,
			 .log_index = in->snapshot.index,
			 .log_term = in->snapshot.term},
	};

	while (peer && in->asked < in->image.chunks &&
	       in->asked < in->next + IMAGE_WINDOW) {
		frame.head.first_index = in->asked;
		if (!peer_queue(node, peer, &frame))
			return;
		in->asked++;
	}
}

static bool begin(struct node *node, const struct peer *peer,
		  const struct raft_snapshot *snapshot,
		  const struct wire_image *image, const uint8_t *head)
{
	struct incoming *in = &node->incoming;

	if (in->active)
		give_up(node);
	if (!node->spare)
		return false;
	if (node->snapshotting)
		work_give_up_image(node);
	if (wal_snapshot_begin(node->wal, snapshot->index, snapshot->term, head,
			       image->head_size))
		return false;
	in->active = true;
	in->from = peer->id;
	in->snapshot = *snapshot;
	in->image = *image;
	memcpy(in->head, head, image->head_size);
	return true;
}

/* What Raft answers without the image: it is old, or the log has it. */
static bool is_needless(const struct node *node,
			const struct raft_snapshot *snapshot, uint64_t term)
{
	const struct raft_entry *entry =
		raft_entry_at(node->raft, snapshot->index);
	struct raft_status raft;

	raft_status(node->raft, &raft);
	return term < raft.term || snapshot->index <= raft.commit ||
	       (entry && entry->term == snapshot->term);
}

int image_announced(struct node *node, struct peer *peer,
		    const struct wire_frame *frame, const uint8_t *body)
{
	struct incoming *in = &node->incoming;
	struct raft_snapshot snapshot;
	struct raft_message message;
	struct store_hash hash;
	struct wire_image image;

	if (frame->body_size < sizeof(image))
		return -EBADMSG;
	memcpy(&image, body, sizeof(image));
	body += sizeof(image);
	if (image.head_size > WIRE_HEAD_MAX || !image.chunks ||
	    sizeof(image) + image.head_size != frame->body_size ||
	    work_read_head(node, body, image.head_size, &snapshot, &hash) ||
	    snapshot.index != frame->log_index ||
	    snapshot.term != frame->log_term)
		return -EBADMSG;
	if (is_needless(node, &snapshot, frame->term)) {
		wire_to_message(frame, peer->id, node->options.member,
				&message);
		message.log_index = 0;
		message.log_term = 0;
		message.snapshot = &snapshot;
		return raft_receive(node->raft, &message) == RAFT_EINVALID
			       ? -EBADMSG
			       : 0;
	}
	if (in->written || hash_is_quarantined(node))
		return 0;
	if (repair_waits(node))
		return -EAGAIN;
	if (in->active && in->snapshot.index == snapshot.index &&
	    in->snapshot.term == snapshot.term &&
	    in->image.chunks == image.chunks) {
		in->from = peer->id;
		in->asked = in->next;
	} else if (!begin(node, peer, &snapshot, &image, body)) {
		return 0; /* not now: it is announced again */
	}
	in->heard_ns = node->now_ns;
	ask_on(node);
	return 0;
}

/* Makes the second store as the image says. */
static int make_store(struct node *node, const uint8_t *piece, uint32_t size)
{
	struct incoming *in = &node->incoming;
	struct store_settings settings;
	int code = store_image_settings(piece, size, &settings);

	if (!code && settings.cluster_version > node_version(node))
		code = -EPROTO;
	if (code == -EPROTO)
		node->outdated = true;
	if (!code && settings.store_address_bytes != node->options.spare_size)
		code = -EINVAL;
	if (!code)
		code = store_init(&in->store, node->spare,
				  node->options.spare_size, &settings);
	if (!code)
		in->loading = true;
	return code;
}

/* A slice of the chunk that is due; 0, or a reason to give it up. */
static int take_slice(struct node *node, const uint8_t *piece, uint32_t size)
{
	struct incoming *in = &node->incoming;
	int code = 0;

	if (!in->loading)
		code = make_store(node, piece, size);
	return code ? code : store_load(in->store, piece, size);
}

static int finish(struct node *node)
{
	struct incoming *in = &node->incoming;
	struct raft_snapshot snapshot;
	struct store_hash says, is;
	int code = store_load_end(in->store);

	if (!code)
		code = work_read_head(node, in->head, in->image.head_size,
				      &snapshot, &says);
	if (code)
		return code;
	store_hash(in->store, &is);
	if (is.low != says.low || is.high != says.high ||
	    store_applied(in->store) != in->snapshot.index)
		return -EBADMSG;
	wal_snapshot_end(node->wal);
	in->written = true;
	return 0;
}

static bool is_due(const struct incoming *in, const struct peer *peer,
		   const struct wire_frame *frame)
{
	return in->active && !in->written && in->from == peer->id &&
	       frame->log_index == in->snapshot.index &&
	       frame->log_term == in->snapshot.term &&
	       frame->first_index == in->next;
}

int image_chunk(struct node *node, struct peer *peer,
		const struct wire_frame *frame, const uint8_t *body)
{
	struct incoming *in = &node->incoming;
	uint32_t room, size;
	uint8_t *to;

	if (!is_due(in, peer, frame))
		return 0;
	in->heard_ns = node->now_ns;
	if ((frame->flags & WIRE_REJECT) || !frame->body_size) {
		give_up(node);
		return 0;
	}
	to = wal_snapshot_room(node->wal, &room);
	if (!to && wal_snapshot_active(node->wal))
		return -EAGAIN;
	if (!to) {
		give_up(node); /* the disk was too full for it */
		return 0;
	}
	size = frame->body_size - in->chunk_used;
	size = size < IMAGE_SLICE ? size : IMAGE_SLICE;
	size = size < room ? size : room;
	memcpy(to, body + in->chunk_used, size);
	wal_snapshot_put(node->wal, size);
	if (take_slice(node, body + in->chunk_used, size)) {
		give_up(node);
		return 0;
	}
	in->chunk_used += size;
	if (in->chunk_used < frame->body_size)
		return -EAGAIN;
	in->chunk_used = 0;
	in->next++;
	if (in->next == in->image.chunks && finish(node))
		give_up(node);
	else
		ask_on(node);
	return 0;
}

/*
 * The log has named it: Raft may know, before anything else is appended, or
 * entries that the image covers would come behind it. From here on Raft's log
 * begins behind the image: no bytes of the one before are needed, and what
 * comes before the disk takes the record is part of that record.
 */
static void install_when_named(struct node *node)
{
	struct incoming *in = &node->incoming;

	if (wal_snapshot_index(node->wal) >= in->snapshot.index) {
		in->installing = true;
		if (raft_install(node->raft, &in->snapshot))
			give_up(node);
		else
			record_drop_all(node);
	} else if (!wal_snapshot_active(node->wal)) {
		give_up(node); /* the disk was too full for it */
	}
}

void image_turn(struct node *node)
{
	struct incoming *in = &node->incoming;
	uint32_t i;

	for (i = 0; i < node->peer_count; i++) {
		struct peer *peer = &node->peers[i];

		if (!peer->id || !peer->image_sent)
			continue;
		if (peer->image_failed ||
		    node->now_ns - peer->image_ns > 10 * election_ns(node))
			report(node, peer, false);
	}
	if (!in->active)
		return;
	if (in->written) {
		if (!in->installing)
			install_when_named(node);
	} else if (node->now_ns - in->heard_ns > 10 * election_ns(node)) {
		give_up(node);
	} else if (node->now_ns - in->asked_ns > election_ns(node)) {
		in->asked_ns = node->now_ns;
		in->asked = in->next;
		ask_on(node);
	}
}

/* Reads that were under way begin again in the other store. */
static void restart_reads(struct node *node)
{
	uint32_t i;

	for (i = 0; i < node->read_count; i++) {
		struct node_read *read = &node->reads[node->read_list[i]];

		if (!read->read.begun)
			continue;
		store_read_end(node->store, &read->read);
		read->read.begun = false;
		read->read.used = 0;
		read->read.count = 0;
		read->read.resume_size = 0;
		read->read.more = false;
	}
}

void image_install(struct node *node, const struct raft_snapshot *snapshot)
{
	struct incoming *in = &node->incoming;

	assert(in->active && in->written && in->store);
	assert(in->snapshot.index == snapshot->index);
	restart_reads(node);
	node->left = node->store;
	node->event_count++;
	node->store = in->store;
	node->spare = NULL;
	node->applied = snapshot->index;
	node->applied_term = snapshot->term;
	node->apply_last = snapshot->index;
	node->supplied = snapshot->index;
	node->compacted_to = snapshot->index;
	node->applying = false;
	doubt_skip(node);
	memset(in, 0, offsetof(struct incoming, head));
	peer_follow_conf(node);
	node->work++;
}

void node_spare(struct node *node, void *base)
{
	assert(!node->spare);
	node->spare = base;
}
