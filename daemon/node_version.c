/*
 * The version that the whole cluster has agreed on (DESIGN §7): what a member
 * may write into the log because every other one can apply it.
 *
 * Each member's greeting tells the newest version that it can apply. When all
 * that the configuration names are connected and can do more than what is in
 * force, the leader raises the cluster's version by an entry, and only what
 * was applied under it is used. It never falls. Who cannot apply what is in
 * force is refused when it greets; who finds it in its log or in an image
 * stops before that is applied, and loses nothing by it.
 *
 * Greetings also tell how large an entry a member has room for: what is larger
 * for any of them is not proposed.
 */
#include "daemon/node_stages.h"

#include "daemon/store/setting.h"

#include <assert.h>
#include <string.h>

uint32_t node_version(const struct node *node)
{
	return node->options.version_max ? node->options.version_max : 1;
}

uint32_t node_cluster_version(const struct node *node)
{
	return (uint32_t)store_settings(node->store)->cluster_version;
}

/* ---- what a member can ---- */

uint32_t node_entry_max(const struct node *node)
{
	return wal_buffer_max(node->wal) - RECORD_KEPT;
}

void version_note_room(struct node *node)
{
	uint32_t i;

	node->entry_max = node_entry_max(node);
	for (i = 0; i < node->peer_count; i++) {
		const struct peer *peer = &node->peers[i];

		if (peer->id && peer->entry_max &&
		    peer->entry_max < node->entry_max)
			node->entry_max = peer->entry_max;
	}
}

void node_peer_told(struct node *node, uint64_t member, uint32_t version,
		    uint32_t entry_max)
{
	struct peer *peer = peer_find(node, member);

	if (!peer)
		return;
	peer->version = version ? version : 1;
	peer->entry_max = entry_max;
	version_note_room(node);
}

bool version_may_apply(const struct node *node, const struct raft_entry *entry)
{
	return store_entry_version(entry) <= node_version(node);
}

/* ---- raising it ---- */

/* What a member can apply; 0: not known now. */
static uint32_t version_of(struct node *node, uint64_t id)
{
	const struct peer *peer = peer_find(node, id);

	if (id == node->options.member)
		return node_version(node);
	return peer && peer->lanes[NODE_CONTROL].up ? peer->version : 0;
}

static uint32_t lowest(struct node *node, const uint64_t *ids, uint8_t count,
		       uint32_t lowest)
{
	uint8_t i;

	for (i = 0; i < count; i++) {
		uint32_t version = version_of(node, ids[i]);

		lowest = version < lowest ? version : lowest;
	}
	return lowest;
}

/* The newest version that all members can apply, as far as is known. */
static uint32_t common(struct node *node, const struct raft_conf_state *conf)
{
	uint32_t version = node_version(node);

	version = lowest(node, conf->voters, conf->voter_count, version);
	version = lowest(node, conf->outgoing, conf->outgoing_count, version);
	version = lowest(node, conf->learners, conf->learner_count, version);
	return lowest(node, conf->learners_next, conf->learner_next_count,
		      version);
}

static bool propose_version(struct node *node, uint32_t version)
{
	static const char name[] = "cluster_version";
	uint8_t payload[OP_HEADER_SIZE + sizeof(name) + SETTING_VALUE_MAX + 8] =
		{0};
	char value[SETTING_VALUE_MAX];
	struct op_header op = {
		.type = OP_SETTING,
		.key_size = sizeof(name) - 1,
		.value_size = setting_format(version, value),
	};

	op.size = op_size(op.flags, op.key_size, op.value_size);
	assert(op.size <= sizeof(payload));
	memcpy(payload, &op, sizeof(op));
	memcpy(payload + sizeof(op), name, op.key_size);
	memcpy(payload + sizeof(op) + op.key_size, value, op.value_size);
	return batch_own(node, ENTRY_SETTING, payload, op.size, -1);
}

void version_raise(struct node *node)
{
	struct raft_status raft;
	uint32_t version;

	if (!node_leads(node) || node->raising || node->draining ||
	    node_cluster_version(node) >= node_version(node))
		return;
	raft_status(node->raft, &raft);
	/* Not while somebody may be about to join. */
	if (raft.pending_conf > raft.applied)
		return;
	version = common(node, &raft.conf);
	if (version > node_cluster_version(node))
		node->raising = propose_version(node, version);
}
