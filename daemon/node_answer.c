/*
 * What is asked about the cluster and needs neither the log nor a quorum: who
 * the members are as far as this one knows, what its store is, where the image
 * of it is, and that leadership should move.
 */
#include "daemon/node_stages.h"

#include <string.h>

/* The reply room of a request; it was checked when that was taken. */
static uint8_t *room_of(const struct handle *handle,
			const struct cv_request *head)
{
	return handle->down + handle->reply_offset + head->reply_offset;
}

static int32_t move_leader(struct node *node, uint64_t to)
{
	switch (raft_transfer(node->raft, to)) {
	case 0:
		return 0;
	case RAFT_EDROPPED_NO_LEADER:
		return CONCLAVE_ENOLEADER;
	default:
		return CONCLAVE_ENOTFOUND;
	}
}

static void tell_state(const struct node *node, const struct handle *handle,
		       const struct cv_request *head, struct cv_slot *slot)
{
	struct store_hash hash;
	struct cv_state state = {
		.applied = store_applied(node->store),
		.revision = store_revision(node->store),
	};

	slot->reply_size = sizeof(state);
	if (head->reply_size < sizeof(state)) {
		slot->status = CONCLAVE_ETOOSMALL;
		return;
	}
	store_hash(node->store, &hash);
	state.hash[0] = hash.low;
	state.hash[1] = hash.high;
	memcpy(room_of(handle, head), &state, sizeof(state));
}

static void tell_image(struct node *node, const struct handle *handle,
		       const struct cv_request *head, struct cv_slot *slot)
{
	const char *folder = node->options.folder ? node->options.folder : "";
	const char *name = node->options.name ? node->options.name : "";
	size_t folder_size = strnlen(folder, NODE_PLACE_MAX - 1);
	size_t name_size = strnlen(name, NODE_PLACE_MAX - 1);
	uint8_t *at = room_of(handle, head);
	const void *snapshot_head;
	uint64_t chunks;
	uint32_t size;
	struct cv_image image = {
		.applied = node->applied,
		.folder_size = (uint32_t)folder_size,
		.name_size = (uint32_t)name_size,
	};

	slot->reply_size = (uint32_t)(sizeof(image) + folder_size + name_size);
	if (head->reply_size < slot->reply_size) {
		slot->status = CONCLAVE_ETOOSMALL;
		return;
	}
	image.index = wal_snapshot_newest(node->wal, &image.term, &chunks,
					  &snapshot_head, &size);
	work_want_image(node, head->argument);
	memcpy(at, &image, sizeof(image));
	memcpy(at + sizeof(image), folder, folder_size);
	memcpy(at + sizeof(image) + folder_size, name, name_size);
}

static uint32_t flags_of(struct node *node, const struct node_member *member)
{
	const struct peer *peer = peer_find(node, member->id);
	uint32_t flags = 0;

	if (member->voter)
		flags |= CV_MEMBER_VOTER;
	if (member->learner)
		flags |= CV_MEMBER_LEARNER;
	if (member->id == node->leader)
		flags |= CV_MEMBER_LEADER;
	if (member->id == node->options.member)
		flags |= CV_MEMBER_SELF;
	if (node_was_removed(node, member->id))
		flags |= CV_MEMBER_REMOVED;
	if (peer && peer->lanes[NODE_CONTROL].up && peer->lanes[NODE_BULK].up)
		flags |= CV_MEMBER_LINKED;
	return flags;
}

static bool is_leaving(struct node *node, uint64_t id)
{
	const struct peer *peer = peer_find(node, id);

	return peer && peer->leaving;
}

static void tell_members(struct node *node, const struct handle *handle,
			 const struct cv_request *head, struct cv_slot *slot)
{
	struct node_member *members = node->told;
	uint32_t i, count = node_members(node, members);
	uint8_t *at = room_of(handle, head);
	struct raft_peer_status peer;

	for (i = 0; i < count; i++) {
		uint32_t size = (uint32_t)strlen(members[i].address);
		uint32_t whole = (uint32_t)sizeof(struct cv_member) +
				 ((size + 7u) & ~7u);
		struct cv_member member = {
			.id = members[i].id,
			.flags = flags_of(node, &members[i]),
			.address_size = size,
		};

		if (is_leaving(node, members[i].id))
			continue;
		slot->aux++;
		slot->reply_size += whole;
		if (slot->reply_size > head->reply_size)
			continue;
		if (raft_peer_status(node->raft, member.id, &peer))
			member.match = peer.match;
		memset(at, 0, whole);
		memcpy(at, &member, sizeof(member));
		memcpy(at + sizeof(member), members[i].address, size);
		at += whole;
	}
	if (slot->reply_size > head->reply_size)
		slot->status = CONCLAVE_ETOOSMALL;
}

bool answer_control(struct node *node, struct handle *handle,
		    const struct cv_request *head)
{
	struct cv_slot slot = {
		.generation = head->generation,
		.revision = store_revision(node->store),
	};

	switch (head->type) {
	case CV_PING:
		break;
	case CV_MOVE:
		slot.status = move_leader(node, head->argument);
		break;
	case CV_MEMBERS:
		tell_members(node, handle, head, &slot);
		break;
	case CV_STATE:
		tell_state(node, handle, head, &slot);
		break;
	case CV_IMAGE:
		tell_image(node, handle, head, &slot);
		break;
	default:
		return false;
	}
	reply_post(node, handle, head->slot, &slot);
	return true;
}
