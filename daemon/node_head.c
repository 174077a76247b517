/*
 * The head of a snapshot; its format stands in daemon/node_head.h.
 */
#include "daemon/node_head.h"

#include <errno.h>
#include <string.h>

void node_head_fill(const struct store *store, const uint8_t cluster[16],
		    const struct raft_snapshot *snapshot,
		    struct node_head *ret_head)
{
	const struct raft_conf_state *conf = &snapshot->conf;
	struct node_head *head = ret_head;
	struct store_hash hash;

	store_hash(store, &hash);
	*head = (struct node_head){
		.magic = NODE_HEAD_MAGIC,
		.format = NODE_HEAD_FORMAT,
		.index = snapshot->index,
		.term = snapshot->term,
		.revision = store_revision(store),
		.hash = {hash.low, hash.high},
		.address_bytes = store_settings(store)->store_address_bytes,
		.counts = {conf->voter_count, conf->learner_count,
			   conf->outgoing_count, conf->learner_next_count},
		.auto_leave = conf->auto_leave,
	};
	memcpy(head->cluster, cluster, 16);
	memcpy(head->ids[0], conf->voters, sizeof(head->ids[0]));
	memcpy(head->ids[1], conf->learners, sizeof(head->ids[1]));
	memcpy(head->ids[2], conf->outgoing, sizeof(head->ids[2]));
	memcpy(head->ids[3], conf->learners_next, sizeof(head->ids[3]));
}

int node_head_read(const void *bytes, uint32_t size, struct node_head *ret_head)
{
	struct node_head head;
	uint32_t i;

	if (size != sizeof(head))
		return -EBADMSG;
	memcpy(&head, bytes, sizeof(head));
	if (head.magic != NODE_HEAD_MAGIC || head.format != NODE_HEAD_FORMAT ||
	    !head.index)
		return -EBADMSG;
	for (i = 0; i < 4; i++)
		if (head.counts[i] > RAFT_MEMBERS_MAX)
			return -EBADMSG;
	*ret_head = head;
	return 0;
}

void node_head_snapshot(const struct node_head *head,
			struct raft_snapshot *ret_snapshot)
{
	struct raft_conf_state *conf = &ret_snapshot->conf;

	memset(ret_snapshot, 0, sizeof(*ret_snapshot));
	ret_snapshot->index = head->index;
	ret_snapshot->term = head->term;
	memcpy(conf->voters, head->ids[0], sizeof(conf->voters));
	memcpy(conf->learners, head->ids[1], sizeof(conf->learners));
	memcpy(conf->outgoing, head->ids[2], sizeof(conf->outgoing));
	memcpy(conf->learners_next, head->ids[3], sizeof(conf->learners_next));
	conf->voter_count = head->counts[0];
	conf->learner_count = head->counts[1];
	conf->outgoing_count = head->counts[2];
	conf->learner_next_count = head->counts[3];
	conf->auto_leave = head->auto_leave;
}
