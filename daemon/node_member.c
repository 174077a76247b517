/*
 * Changes of membership: how they are asked for, which the leader refuses,
 * and what they do when they are applied.
 *
 * A change is one entry: what Raft has to know (raft/conf.h), and behind it
 * an operation with the client's identity and the addresses (store/op.h). The
 * store decides whether it takes effect, so that a repeated one does not
 * undo what came between; a change that the configuration does not bear is
 * refused there too, by all members alike.
 *
 * What depends on who is there now only the leader can judge, before it
 * proposes: a learner that lags is not promoted, and no change may leave a
 * configuration whose majority does not answer.
 */
#include "daemon/node_stages.h"
#include "raft/conf.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	CAUGHT_UP_TENTHS = 9, /* of the leader's log, as etcd has it */
};

/* ---- who is a member ---- */

static void fill_member(const struct node *node,
			const struct raft_conf_state *conf, uint64_t id,
			struct node_member *member)
{
	const struct store_member *told;
	uint32_t i, count = store_members(node->store, &told);
	const char *address = "";

	memset(member, 0, sizeof(*member));
	member->id = id;
	member->voter = raft_conf_has(conf->voters, conf->voter_count, id) ||
			raft_conf_has(conf->outgoing, conf->outgoing_count, id);
	member->learner =
		raft_conf_has(conf->learners, conf->learner_count, id);
	for (i = 0; i < node->options.member_count; i++)
		if (node->options.members[i].id == id)
			address = node->options.members[i].address;
	for (i = 0; i < count; i++)
		if (told[i].id == id && told[i].address[0])
			address = told[i].address;
	_Static_assert((int)NODE_ADDRESS_MAX == (int)STORE_ADDRESS_MAX,
		       "addresses");
	memcpy(member->address, address,
	       strnlen(address, NODE_ADDRESS_MAX - 1));
}

/* In the order of ids. */
static void add_member(const struct node *node,
		       const struct raft_conf_state *conf, uint64_t id,
		       struct node_member *members, uint32_t *count)
{
	uint32_t at = *count;

	if (*count == NODE_MEMBERS_MAX)
		return;
	for (; at > 0 && members[at - 1].id > id; at--)
		members[at] = members[at - 1];
	fill_member(node, conf, id, &members[at]);
	(*count)++;
}

uint32_t node_members(const struct node *node,
		      struct node_member ret_members[NODE_MEMBERS_MAX])
{
	struct raft_status raft;
	uint32_t i, count = 0;

	raft_status(node->raft, &raft);
	add_member(node, &raft.conf, node->options.member, ret_members, &count);
	for (i = 0; i < node->peer_count; i++)
		if (node->peers[i].id)
			add_member(node, &raft.conf, node->peers[i].id,
				   ret_members, &count);
	return count;
}

uint64_t node_members_change(const struct node *node)
{
	return node->members_change;
}

bool node_was_removed(const struct node *node, uint64_t id)
{
	const struct store_member *told;
	uint32_t i, count = store_members(node->store, &told);

	for (i = 0; i < count; i++)
		if (told[i].id == id)
			return told[i].removed_index != 0;
	return false;
}

/* ---- asking ---- */

static bool put_address(uint8_t *list, uint32_t *used, const uint8_t *address,
			uint32_t size)
{
	if (size >= STORE_ADDRESS_MAX)
		return false;
	list[(*used)++] = (uint8_t)size;
	memcpy(list + *used, address, size);
	*used += size;
	return true;
}

/* The changes and the list of addresses that a request comes to. */
static int read_request(const struct cv_request *head, const uint8_t *body,
			struct raft_conf_changes *changes, uint8_t *list,
			uint32_t *ret_used)
{
	struct raft_conf_change *one = changes->changes;
	bool wants_address = true;
	uint64_t next = 0;

	memset(changes, 0, sizeof(*changes));
	changes->count = 1;
	one[0].id = head->argument;
	switch (head->limit) {
	case CV_MEMBER_ADD:
		one[0].type = RAFT_ADD_LEARNER;
		break;
	case CV_MEMBER_PROMOTE:
		one[0].type = RAFT_ADD_VOTER;
		wants_address = false;
		break;
	case CV_MEMBER_REMOVE:
		one[0].type = RAFT_REMOVE;
		wants_address = false;
		break;
	case CV_MEMBER_UPDATE:
		one[0].type = RAFT_UPDATE;
		break;
	case CV_MEMBER_REPLACE:
		if (head->value_size != sizeof(next))
			return CONCLAVE_EBADREQ;
		memcpy(&next, body + head->key_size, sizeof(next));
		one[0].type = RAFT_REMOVE;
		one[1].type = RAFT_ADD_VOTER;
		one[1].id = next;
		changes->count = 2;
		wants_address = false;
		break;
	default:
		return CONCLAVE_EUNSUPPORTED;
	}
	if (!one[0].id || (changes->count == 2 && !one[1].id) ||
	    (changes->count == 1 && head->value_size) ||
	    wants_address != (head->key_size != 0))
		return CONCLAVE_EBADREQ;
	*ret_used = 0;
	if (changes->count == 2 && !put_address(list, ret_used, body, 0))
		return CONCLAVE_EBADREQ;
	return put_address(list, ret_used, body, head->key_size)
		       ? 0
		       : CONCLAVE_EBADREQ;
}

int member_payload(const struct cv_request *head, const uint8_t *body,
		   struct op_header *op, const struct op_begin *begin,
		   uint8_t payload[MEMBER_PAYLOAD_MAX], uint32_t *ret_size)
{
	struct raft_conf_changes changes;
	uint8_t list[2 * STORE_ADDRESS_MAX];
	uint32_t used, at;
	int code = read_request(head, body, &changes, list, &used);

	if (code)
		return code;
	op->type = OP_MEMBER;
	op->key_size = used;
	op->value_size = 0;
	op->argument = 0;
	op->size = op_size(op->flags, used, 0);
	at = (uint32_t)raft_conf_size(changes.count);
	*ret_size = at + op->size;
	assert(*ret_size <= MEMBER_PAYLOAD_MAX);
	memset(payload, 0, *ret_size);
	raft_conf_encode(&changes, payload);
	memcpy(payload + at, op, sizeof(*op));
	at += (uint32_t)sizeof(*op);
	if (op->flags & OP_BEGIN) {
		memcpy(payload + at, begin, sizeof(*begin));
		at += (uint32_t)sizeof(*begin);
	}
	memcpy(payload + at, list, used);
	return 0;
}

/*
 * The first members know each other's addresses from their configuration
 * alone; the leader writes them into the log, one by one.
 */
static bool is_told(const struct node *node, uint64_t id)
{
	const struct store_member *told;
	uint32_t i, count = store_members(node->store, &told);

	for (i = 0; i < count; i++)
		if (told[i].id == id)
			return true;
	return false;
}

static void tell_address(struct node *node, const struct node_member *member)
{
	struct cv_request head = {
		.limit = CV_MEMBER_UPDATE,
		.argument = member->id,
		.key_size = (uint32_t)strlen(member->address),
	};
	struct op_header op = {0};
	uint8_t payload[MEMBER_PAYLOAD_MAX];
	uint32_t size;

	if (member_payload(&head, (const uint8_t *)member->address, &op, NULL,
			   payload, &size))
		return;
	node->tell_ns = node->now_ns + node->options.tick_ns;
	if (batch_own(node, ENTRY_CONF_V2, payload, size, -1))
		node->telling = true;
}

void member_tell_addresses(struct node *node)
{
	struct raft_status raft;
	uint32_t i;

	if (!node_leads(node) || node->telling || node->now_ns < node->tell_ns)
		return;
	raft_status(node->raft, &raft);
	for (i = 0; i < node->options.member_count; i++) {
		const struct node_member *member = &node->options.members[i];

		if (member->address[0] && !is_told(node, member->id) &&
		    peer_in_conf(&raft.conf, member->id)) {
			tell_address(node, member);
			return;
		}
	}
}

/* ---- what fits ---- */

static bool one_fits(const struct raft_conf_state *conf,
		     const struct raft_conf_change *one)
{
	switch (one->type) {
	case RAFT_ADD_LEARNER:
		return !peer_in_conf(conf, one->id);
	case RAFT_ADD_VOTER:
		return raft_conf_has(conf->learners, conf->learner_count,
				     one->id);
	default:
		return peer_in_conf(conf, one->id);
	}
}

/*
 * The configuration after these changes, if they fit it: more than Raft asks
 * for, who would make a learner of a voter that is added again.
 */
static bool change_conf(struct raft_conf_state *conf,
			const struct raft_conf_changes *changes)
{
	struct raft_conf_fresh fresh;
	uint8_t i;

	for (i = 0; i < changes->count; i++)
		if (!one_fits(conf, &changes->changes[i]))
			return false;
	return raft_conf_change(conf, changes, &fresh) == RAFT_CONF_OK;
}

/* ---- the leader's judgement ---- */

/*
 * Connected, and heard of. Raft's own note of who answers begins anew with
 * each election timeout.
 */
static bool is_active(struct node *node, uint64_t id)
{
	uint64_t patience =
		node->options.tick_ns * node->options.election_ticks;
	const struct peer *peer = peer_find(node, id);

	if (id == node->options.member)
		return true;
	return peer && peer->lanes[NODE_CONTROL].up && peer->heard_ns &&
	       node->now_ns - peer->heard_ns < patience;
}

/* A majority of the voters answers. */
static bool has_quorum(struct node *node, const uint64_t *ids, uint8_t count)
{
	uint8_t i, active = 0;

	for (i = 0; i < count; i++)
		active += is_active(node, ids[i]);
	return active > count / 2;
}

static bool is_caught_up(const struct node *node, uint64_t id, uint64_t last)
{
	struct raft_peer_status peer;

	return raft_peer_status(node->raft, id, &peer) &&
	       peer.match * 10 >= last * CAUGHT_UP_TENTHS;
}

int member_may(struct node *node, const uint8_t *entry, uint32_t size)
{
	struct raft_conf_changes changes;
	struct raft_status raft;
	uint8_t i;

	raft_status(node->raft, &raft);
	if (raft.pending_conf > raft.applied || raft.conf.outgoing_count)
		return -EAGAIN;
	if (raft_conf_decode(ENTRY_CONF_V2, entry_payload(entry), size,
			     &changes))
		return CONCLAVE_EMEMBERSHIP;
	for (i = 0; i < changes.count; i++)
		if (changes.changes[i].type == RAFT_ADD_VOTER &&
		    !is_caught_up(node, changes.changes[i].id, raft.last_index))
			return CONCLAVE_EMEMBERSHIP;
	if (!change_conf(&raft.conf, &changes) ||
	    !has_quorum(node, raft.conf.voters, raft.conf.voter_count))
		return CONCLAVE_EMEMBERSHIP;
	return 0;
}

/* ---- applying ---- */

void member_apply_begin(struct node *node, const struct raft_entry *entry)
{
	struct raft_conf_changes changes;
	struct raft_status raft;

	if (!entry_is_conf(entry->kind) || !entry->size)
		return;
	raft_status(node->raft, &raft);
	if (raft_conf_decode(entry->kind, entry_payload(entry->data),
			     entry->size, &changes) ||
	    !change_conf(&raft.conf, &changes))
		store_apply_refuse(node->store, CONCLAVE_EMEMBERSHIP);
}

void member_apply_end(struct node *node, const struct raft_entry *entry)
{
	const struct store_result *results;
	struct raft_conf_state conf;
	uint32_t count;
	int code;

	if (!entry_is_conf(entry->kind))
		return;
	results = store_results(node->store, &count);
	if (count && (results[0].status ||
		      (results[0].flags & CONCLAVE_RESULT_REPEATED)))
		return;
	code = raft_apply_conf(node->raft, entry, &conf);
	(void)code; /* an entry without operation may be impossible: skipped */
	peer_follow_conf(node);
}
