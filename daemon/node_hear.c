/*
 * What came on a lane: bytes become frames, frames become what Raft, the
 * batches, an image or a damaged log are told.
 *
 * A frame that is whole in what was given is looked at there; one that is cut
 * is put together first. A frame for which there is no room now waits, and
 * what is behind it with it: then the other side's sends fill the connection,
 * and it waits too. Nothing on the control lane ever waits.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static int hear_raft(struct node *node, const struct peer *peer,
		     const struct wire_frame *frame)
{
	struct raft_message message;

	wire_to_message(frame, peer->id, node->options.member, &message);
	/* Unknown senders and terms that are over are Raft's own affair. */
	return raft_receive(node->raft, &message) == RAFT_EINVALID ? -EBADMSG
								   : 0;
}

static int hear_beat(struct node *node, const struct peer *peer,
		     const struct wire_frame *frame)
{
	int code = hear_raft(node, peer, frame);

	if (!code && frame->type == RAFT_MSG_HEARTBEAT)
		repair_hear(node, frame);
	return code;
}

/* -EAGAIN: no room now, ask again. */
static int hear_frame(struct node *node, struct peer *peer,
		      const struct wire_frame *frame, const uint8_t *body)
{
	switch (frame->type) {
	case RAFT_MSG_APPEND:
		return record_received(node, peer->id, frame, body);
	case RAFT_MSG_SNAPSHOT:
		return image_announced(node, peer, frame, body);
	case RAFT_MSG_HEARTBEAT:
	case RAFT_MSG_HEARTBEAT_REPLY:
		hash_heard(node, peer, frame, body);
		return hear_beat(node, peer, frame);
	case WIRE_STATE:
		hash_heard(node, peer, frame, body);
		return 0;
	case WIRE_FORWARD:
		return propose_received(node, peer, frame, body);
	case WIRE_NACK:
		propose_nacked(node, frame);
		return 0;
	case WIRE_SEEK:
		fill_asked(node, peer, frame);
		return 0;
	case WIRE_FOUND:
		fill_heard(node, frame, body);
		return 0;
	case WIRE_IMAGE_ASK:
		image_asked(node, peer, frame);
		return 0;
	case WIRE_IMAGE_CHUNK:
		return image_chunk(node, peer, frame, body);
	default:
		return hear_raft(node, peer, frame);
	}
}

/*
 * The frame at `bytes`, if it is whole: its size, 0: not whole, -EAGAIN: no
 * room now, -EBADMSG.
 */
static int64_t hear_one(struct node *node, struct peer *peer, enum node_lane id,
			const uint8_t *bytes, uint32_t size)
{
	struct lane *lane = &peer->lanes[id];
	struct wire_frame frame;
	const uint8_t *body = bytes + WIRE_HEADER_SIZE;
	int code;

	if (size < WIRE_HEADER_SIZE)
		return 0;
	code = wire_check(bytes, (uint8_t)id, lane->heard + 1, &frame);
	if (code)
		return code;
	if (size < wire_frame_size(&frame))
		return 0;
	code = wire_check_body(&frame, body);
	if (!code)
		code = hear_frame(node, peer, &frame, body);
	if (code)
		return code;
	lane->heard++;
	peer->heard_ns = node->now_ns;
	node->work++;
	return wire_frame_size(&frame);
}

/* How many bytes more the frame that is put together wants. */
static uint32_t wanted(const struct lane *lane)
{
	struct wire_frame frame;

	if (lane->in_used < WIRE_HEADER_SIZE)
		return WIRE_HEADER_SIZE - lane->in_used;
	memcpy(&frame, lane->in, sizeof(frame));
	return wire_frame_size(&frame) - lane->in_used;
}

/* Goes on with a frame that was cut; -EAGAIN: whole, and it waits. */
static int join(struct node *node, struct peer *peer, enum node_lane id,
		const uint8_t *bytes, uint32_t size, uint32_t *used)
{
	struct lane *lane = &peer->lanes[id];
	int64_t code = 0;

	while (lane->in_used && *used < size && !lane->stuck) {
		uint32_t part = wanted(lane);

		if (part > size - *used)
			part = size - *used;
		memcpy(lane->in + lane->in_used, bytes + *used, part);
		lane->in_used += part;
		*used += part;
		code = hear_one(node, peer, id, lane->in, lane->in_used);
		if (code > 0)
			lane->in_used = 0;
		if (code == -EAGAIN)
			lane->stuck = true;
		else if (code < 0)
			return (int)code;
	}
	return lane->stuck ? -EAGAIN : 0;
}

int node_hear(struct node *node, uint64_t member, enum node_lane id,
	      const uint8_t *bytes, uint32_t size, uint32_t *ret_taken)
{
	struct peer *peer = peer_find(node, member);
	struct lane *lane = peer ? &peer->lanes[id] : NULL;
	uint32_t used = 0;
	int64_t code;

	*ret_taken = 0;
	if (!lane || !lane->up)
		return -EBADMSG;
	if (node->drain == DRAIN_DEAF) {
		*ret_taken = size;
		return 0;
	}
	code = join(node, peer, id, bytes, size, &used);
	while (!code && used < size) {
		code = hear_one(node, peer, id, bytes + used, size - used);
		if (code <= 0)
			break;
		used += (uint32_t)code;
		code = 0;
	}
	if (!code && used < size) {
		/* The beginning of a frame: the rest is on its way. */
		memcpy(lane->in, bytes + used, size - used);
		lane->in_used = size - used;
		used = size;
	}
	*ret_taken = used;
	return code == -EBADMSG ? -EBADMSG : 0;
}

/* A frame that waited: false when it waits on. */
static void retry(struct node *node, struct peer *peer, enum node_lane id)
{
	struct lane *lane = &peer->lanes[id];
	int64_t code;

	code = hear_one(node, peer, id, lane->in, lane->in_used);
	if (code == -EAGAIN)
		return;
	/* Refused now: nothing good follows, but the next bytes will say so. */
	lane->stuck = false;
	lane->in_used = 0;
	node->work++;
}

void hear_stuck(struct node *node)
{
	uint32_t i;

	if (node->drain == DRAIN_DEAF)
		return;
	for (i = 0; i < node->peer_count; i++) {
		struct peer *peer = &node->peers[i];

		if (peer->id && peer->lanes[NODE_BULK].stuck)
			retry(node, peer, NODE_BULK);
	}
}
