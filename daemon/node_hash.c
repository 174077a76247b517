/*
 * Whether all members have the same state.
 *
 * The store keeps a hash of its state that depends on nothing but the entries
 * that were applied, so two members that applied the same index must have the
 * same one. It is compared in every heartbeat:
 *
 *   leader     takes a sample, of what it has applied, for each heartbeat
 *   follower   takes one at that very index, at once or when it comes there,
 *              and tells it with its next answer
 *
 * Only hashes at equal indexes are compared; a sample of an index that was
 * not kept, because one side is late, says nothing, and the next heartbeat
 * brings another. What each member said last is kept for it.
 *
 * Who differs from another asks the rest for theirs (WIRE_STATE), so that it
 * does not depend on anybody's word alone. A value that a majority of the
 * voters has is right, of both halves where the configuration is joint:
 *
 *   this member has it      another one is told of in its log: NODE_HASH_OTHER
 *   it has another          this member is in quarantine: NODE_HASH_OWN. It
 *                           answers no client from its store, does not lead,
 *                           cuts no image and takes none, until it is started
 *                           again; it goes on to vote and to keep the log,
 *                           which is as good as anyone's
 *   there is none           for longer than an election: an alarm, and nothing
 *                           else: NODE_HASH_DOUBT
 *
 * So a majority goes on whatever one member says, and a member that is alone
 * with its state stops whoever says otherwise.
 */
#include "daemon/node_stages.h"

#include <string.h>

static bool equal(const struct hash_sample *a, const struct hash_sample *b)
{
	return a->index == b->index && a->hash.low == b->hash.low &&
	       a->hash.high == b->hash.high;
}

static const struct hash_sample *newest(const struct node *node)
{
	return &node->hashes[node->hash_at % HASHES_KEPT];
}

/* This member's own at `index`; NULL: it is not kept. */
static const struct hash_sample *find(const struct node *node, uint64_t index)
{
	uint32_t i;

	for (i = 0; index && i < HASHES_KEPT; i++)
		if (node->hashes[i].index == index)
			return &node->hashes[i];
	return NULL;
}

/* Not in the middle of an entry. */
static void take(struct node *node)
{
	struct hash_sample *sample;

	if (node->applying || newest(node)->index == node->applied)
		return;
	sample = &node->hashes[++node->hash_at % HASHES_KEPT];
	sample->index = node->applied;
	store_hash(node->store, &sample->hash);
}

/* ---- who is right ---- */

static uint32_t count(struct node *node, const uint64_t *ids, uint8_t size,
		      const struct hash_sample *value)
{
	const struct hash_sample *own = find(node, value->index);
	uint32_t agree = 0;
	uint8_t i;

	for (i = 0; i < size; i++) {
		const struct peer *peer = peer_find(node, ids[i]);

		if (ids[i] == node->options.member)
			agree += own && equal(own, value);
		else
			agree += peer && equal(&peer->said, value);
	}
	return agree;
}

/* A majority of those that vote has it. */
static bool wins(struct node *node, const struct hash_sample *value)
{
	struct raft_status raft;

	raft_status(node->raft, &raft);
	if (count(node, raft.conf.voters, raft.conf.voter_count, value) <=
	    raft.conf.voter_count / 2u)
		return false;
	return !raft.conf.outgoing_count ||
	       count(node, raft.conf.outgoing, raft.conf.outgoing_count,
		     value) > raft.conf.outgoing_count / 2u;
}

/* Another member that has another value there. */
static struct peer *find_other(struct node *node, const struct hash_sample *own)
{
	uint32_t i;

	for (i = 0; i < node->peer_count; i++) {
		struct peer *peer = &node->peers[i];

		if (peer->id && peer->said.index == own->index &&
		    !equal(&peer->said, own))
			return peer;
	}
	return NULL;
}

/* A value other than its own that a majority has. */
static bool is_outvoted(struct node *node, uint64_t index)
{
	uint32_t i;

	for (i = 0; i < node->peer_count; i++) {
		const struct peer *peer = &node->peers[i];

		if (peer->id && peer->said.index == index &&
		    wins(node, &peer->said))
			return true;
	}
	return false;
}

/* ---- what follows ---- */

static void tell(struct node *node, struct peer *peer,
		 const struct hash_sample *sample, bool ask)
{
	struct wire_state state = {
		.index = sample->index,
		.hash = {sample->hash.low, sample->hash.high},
	};
	struct out_frame frame = {
		.head = {.type = WIRE_STATE,
			 .round = ask,
			 .body_size = sizeof(state)},
	};

	memcpy(frame.body, &state, sizeof(state));
	(void)peer_queue(node, peer, &frame); /* the next heartbeat asks too */
}

static void ask_all(struct node *node, const struct hash_sample *own)
{
	uint32_t i;

	for (i = 0; i < node->peer_count; i++)
		if (node->peers[i].id &&
		    node->peers[i].said.index != own->index)
			tell(node, &node->peers[i], own, true);
}

static void conclude(struct node *node, enum node_hash_verdict verdict)
{
	bool alarm = verdict == NODE_HASH_OWN || verdict == NODE_HASH_DOUBT;

	node->verdict = verdict;
	node->doubt_ns = 0;
	node->status->alarms &= ~(uint64_t)CV_ALARM_CORRUPT;
	if (alarm)
		node->status->alarms |= CV_ALARM_CORRUPT;
	node->status->differs_index = alarm ? node->differs_index : 0;
	node->work++;
}

static void quarantine(struct node *node)
{
	conclude(node, NODE_HASH_OWN);
	if (node->snapshotting)
		work_give_up_image(node);
}

/* All that was said about `own` agrees with it. */
static void calm(struct node *node, const struct hash_sample *own)
{
	const struct peer *peer = peer_find(node, node->differs);

	if (!node->differs || (peer && peer->said.index != own->index))
		return;
	node->differs = 0;
	node->differs_index = 0;
	conclude(node, NODE_HASH_SAME);
}

static void judge(struct node *node, uint64_t index)
{
	const struct hash_sample *own = find(node, index);
	const struct peer *other;

	if (!own || hash_is_quarantined(node))
		return;
	other = find_other(node, own);
	if (!other) {
		calm(node, own);
		return;
	}
	node->differs = other->id;
	node->differs_index = index;
	if (wins(node, own)) {
		conclude(node, NODE_HASH_OTHER);
	} else if (is_outvoted(node, index)) {
		quarantine(node);
	} else {
		if (!node->doubt_ns)
			node->doubt_ns = node->now_ns;
		ask_all(node, own);
	}
}

/* ---- events ---- */

void hash_say(struct node *node, uint8_t type, struct wire_state *ret_state)
{
	const struct hash_sample *sample;

	if (type == RAFT_MSG_HEARTBEAT)
		take(node);
	sample = newest(node);
	*ret_state = (struct wire_state){
		.index = sample->index,
		.hash = {sample->hash.low, sample->hash.high},
	};
}

void hash_heard(struct node *node, struct peer *peer,
		const struct wire_frame *frame, const uint8_t *body)
{
	const struct hash_sample *own;
	struct wire_state state;

	memcpy(&state, body, sizeof(state));
	if (!state.index)
		return;
	peer->said = (struct hash_sample){
		.index = state.index,
		.hash = {.low = state.hash[0], .high = state.hash[1]},
	};
	if (frame->type == RAFT_MSG_HEARTBEAT) {
		node->hash_wanted = state.index;
		if (node->applied == state.index)
			take(node);
	}
	judge(node, state.index);
	own = find(node, state.index);
	if (frame->type == WIRE_STATE && frame->round && own)
		tell(node, peer, own, false);
}

void hash_applied(struct node *node)
{
	if (node->applied != node->hash_wanted)
		return;
	take(node);
	judge(node, node->applied);
}

void hash_tick(struct node *node)
{
	uint64_t patience_ns =
		node->options.tick_ns * node->options.election_ticks;

	if (node->doubt_ns && node->now_ns - node->doubt_ns > patience_ns)
		conclude(node, NODE_HASH_DOUBT);
}

void node_trouble(const struct node *node, struct node_trouble *ret_trouble)
{
	*ret_trouble = (struct node_trouble){
		.damaged = node->damaged,
		.verdict = node->verdict,
		.differs = node->differs,
		.differs_index = node->differs_index,
		.leader = node->status->leader,
		.term = node->status->term,
		.leads = node->status->leader == node->options.member,
		.full = (node->status->alarms & CV_ALARM_NOSPACE) != 0,
	};
	if (!node->damaged)
		return;
	ret_trouble->damaged_first = node->damage.first;
	ret_trouble->damaged_last = node->damage.last;
}
