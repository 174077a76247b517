/*
 * The other members, and the two lanes to each.
 *
 * A lane's queue holds descriptions, not bytes: which entries, which batch,
 * which chunk (node_send.c finds them).
 *
 * Queues are bounded. What does not fit, or belongs to a term that is over,
 * is dropped: Raft expects losses, forwarded batches are proposed again.
 */
#include "daemon/node_stages.h"
#include "raft/conf.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct peer *peer_find(struct node *node, uint64_t id)
{
	uint32_t i;

	for (i = 0; id && i < node->peer_count; i++)
		if (node->peers[i].id == id)
			return &node->peers[i];
	return NULL;
}

/* ---- who is there ---- */

static void lane_reset(struct node *node, struct lane *lane)
{
	uint32_t i;

	for (i = lane->head; i != lane->tail; i++) {
		struct out_frame *frame = &lane->frames[i % LANE_FRAMES];

		if (frame->kind == OUT_CHUNK)
			wal_fetch_end(node->wal, frame->ticket);
	}
	lane->up = false;
	lane->stuck = false;
	lane->sent = 0;
	lane->heard = 0;
	lane->head = 0;
	lane->tail = 0;
	lane->wait_ns = 0;
	lane->sending_count = 0;
	lane->spill_used = 0;
	lane->spill_sent = 0;
	lane->in_used = 0;
}

void peer_end_fetch(struct node *node, struct peer *peer)
{
	if (peer->fetch >= 0)
		wal_fetch_end(node->wal, peer->fetch);
	peer->fetch = -1;
}

static void forget(struct node *node, struct peer *peer)
{
	lane_reset(node, &peer->lanes[NODE_CONTROL]);
	lane_reset(node, &peer->lanes[NODE_BULK]);
	peer_end_fetch(node, peer);
	peer->image_sent = false;
	peer->unreachable = false;
	peer->leaving = false;
	peer->heard_ns = 0;
	peer->version = 0;
	peer->entry_max = 0;
	peer->forwarded = 0;
	peer->told = 0;
	peer->id = 0;
	while (node->peer_count && !node->peers[node->peer_count - 1].id)
		node->peer_count--;
	version_note_room(node);
}

/* Who is a member no more is still sent what says so, for a while. */
static void leave(struct node *node, struct peer *peer, bool leaving)
{
	if (leaving && !peer->leaving)
		peer->leave_ns = node->now_ns;
	peer->leaving = leaving;
}

static void forget_who_left(struct node *node, struct peer *peer)
{
	uint64_t patience =
		node->options.tick_ns * node->options.election_ticks;

	if (!peer->leaving || peer->id == node->leader ||
	    node->now_ns - peer->leave_ns < patience)
		return;
	forget(node, peer);
	node->members_change++;
}

static struct peer *remember(struct node *node, uint64_t id)
{
	struct peer *peer = node->peers;

	if (id == node->options.member)
		return NULL;
	while (peer < node->peers + node->peer_count && peer->id)
		peer++;
	if (peer == node->peers + node->options.peers_max)
		return NULL;
	if (peer == node->peers + node->peer_count)
		node->peer_count++;
	peer->id = id;
	peer->fetch = -1;
	return peer;
}

bool peer_in_conf(const struct raft_conf_state *conf, uint64_t id)
{
	return raft_conf_has(conf->voters, conf->voter_count, id) ||
	       raft_conf_has(conf->outgoing, conf->outgoing_count, id) ||
	       raft_conf_has(conf->learners, conf->learner_count, id) ||
	       raft_conf_has(conf->learners_next, conf->learner_next_count, id);
}

bool peer_votes_alone(const struct raft_conf_state *conf, uint64_t id)
{
	return conf->voter_count == 1 && !conf->outgoing_count &&
	       conf->voters[0] == id;
}

static bool all_in_conf(const struct raft_conf_state *of, const uint64_t *ids,
			uint8_t count)
{
	uint8_t i;

	for (i = 0; i < count; i++)
		if (!peer_in_conf(of, ids[i]))
			return false;
	return true;
}

bool peer_all_in_conf(const struct raft_conf_state *of,
		      const struct raft_conf_state *conf)
{
	return all_in_conf(of, conf->voters, conf->voter_count) &&
	       all_in_conf(of, conf->outgoing, conf->outgoing_count) &&
	       all_in_conf(of, conf->learners, conf->learner_count) &&
	       all_in_conf(of, conf->learners_next, conf->learner_next_count);
}

static void remember_all(struct node *node, const uint64_t *ids, uint8_t count)
{
	uint8_t i;

	for (i = 0; i < count; i++)
		if (!peer_find(node, ids[i]))
			(void)remember(node, ids[i]); /* itself, or too many */
}

void peer_follow_conf(struct node *node)
{
	struct raft_status raft;
	uint32_t i;

	raft_status(node->raft, &raft);
	node->members_change++;
	if (peer_in_conf(&raft.conf, node->options.member))
		node->was_member = true;
	else if (node->was_member ||
		 node_was_removed(node, node->options.member))
		node->removed = true;
	/* Who joins knows no configuration yet, but some addresses. */
	if (!raft.conf.voter_count) {
		for (i = 0; i < node->options.member_count; i++)
			remember_all(node, &node->options.members[i].id, 1);
		return;
	}
	for (i = 0; i < node->peer_count; i++)
		if (node->peers[i].id)
			leave(node, &node->peers[i],
			      !peer_in_conf(&raft.conf, node->peers[i].id));
	remember_all(node, raft.conf.voters, raft.conf.voter_count);
	remember_all(node, raft.conf.outgoing, raft.conf.outgoing_count);
	remember_all(node, raft.conf.learners, raft.conf.learner_count);
	remember_all(node, raft.conf.learners_next,
		     raft.conf.learner_next_count);
}

void node_believe_removed(struct node *node)
{
	if (!node->leader)
		node->removed = true;
}

/*
 * Who was away may be led by one who was no member when it left. While it
 * knows no leader it lets a stranger in, for as long as one that leaves.
 */
static bool may_know_more(const struct node *node, uint64_t member)
{
	return !node->leader && !node_was_removed(node, member);
}

int node_link_up(struct node *node, uint64_t member, enum node_lane lane)
{
	struct peer *peer = peer_find(node, member);
	struct raft_status raft;

	raft_status(node->raft, &raft);
	if (!peer && (!raft.conf.voter_count || may_know_more(node, member)))
		peer = remember(node, member);
	if (!peer)
		return -ENOENT;
	if (raft.conf.voter_count)
		leave(node, peer, !peer_in_conf(&raft.conf, member));
	lane_reset(node, &peer->lanes[lane]);
	peer->lanes[lane].up = true;
	peer->said.index = 0;
	/* What was forwarded over the one before may be lost. */
	if (lane == NODE_BULK && member == node->leader)
		propose_again(node);
	return 0;
}

void node_link_down(struct node *node, uint64_t member, enum node_lane lane)
{
	struct peer *peer = peer_find(node, member);

	if (!peer || !peer->lanes[lane].up)
		return;
	lane_reset(node, &peer->lanes[lane]);
	if (lane == NODE_CONTROL)
		peer->version = 0; /* it may come back as another release */
	if (lane != NODE_BULK)
		return;
	peer_end_fetch(node, peer);
	peer->unreachable = true;
	image_lost(node, peer);
}

/* ---- what Raft says ---- */

static uint32_t queued(const struct lane *lane)
{
	return lane->tail - lane->head;
}

/* A frame that waits, and what is said again behind it. */
static void replace(const struct out_frame *frame, struct lane *lane)
{
	if (lane->wait_ns && frame->head.type == RAFT_MSG_APPEND)
		lane->tail--;
	else
		lane->wait_ns = 0;
}

bool peer_queue(struct node *node, struct peer *peer,
		const struct out_frame *frame)
{
	struct lane *lane =
		&peer->lanes[wire_is_bulk(frame->head.type) ? NODE_BULK
							    : NODE_CONTROL];

	if (!lane->up || queued(lane) == LANE_FRAMES)
		return false;
	replace(frame, lane);
	if (!frame->may_wait)
		lane->wait_ns = 0;
	else if (!queued(lane) && !lane->wait_ns)
		lane->wait_ns = node->now_ns + COMMIT_WAIT_NS;
	lane->frames[lane->tail++ % LANE_FRAMES] = *frame;
	node->work++;
	return true;
}

/* Heartbeats and their answers say what this store's state was. */
static void add_state(struct node *node, struct out_frame *frame)
{
	struct wire_state state;
	struct raft_status raft;

	hash_say(node, frame->head.type, &state);
	frame->head.body_size = sizeof(state);
	memcpy(frame->body, &state, sizeof(state));
	if (frame->head.type != RAFT_MSG_HEARTBEAT)
		return;
	raft_status(node->raft, &raft);
	frame->head.log_index = raft.last_index;
}

uint64_t peer_next_ns(const struct node *node)
{
	uint64_t next_ns = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < node->peer_count; i++) {
		uint64_t wait_ns = node->peers[i].lanes[NODE_BULK].wait_ns;

		if (wait_ns && wait_ns < next_ns)
			next_ns = wait_ns;
	}
	return next_ns;
}

/*
 * That more is committed is said with the next entries, which under load
 * follow at once. Who forwarded some of it is waiting for that.
 */
static bool may_wait(const struct peer *peer,
		     const struct raft_message *message)
{
	return message->type == RAFT_MSG_APPEND && !message->entry_count &&
	       peer->forwarded <= peer->told;
}

/* A message that does not wait. */
static void note_message(struct peer *peer, const struct raft_message *message)
{
	if (message->type == RAFT_MSG_APPEND)
		peer->told = message->commit;
	/* Its readers wait until what they are told of is applied. */
	if (message->type == RAFT_MSG_READ_INDEX_REPLY)
		peer->lanes[NODE_BULK].wait_ns = 0;
}

static void send_message(struct node *node, const struct raft_message *message)
{
	struct peer *peer = peer_find(node, message->to);
	struct out_frame frame = {0};

	if (!peer)
		return;
	if (message->type == RAFT_MSG_SNAPSHOT) {
		image_send(node, message);
		return;
	}
	wire_from_message(message, &frame.head);
	frame.may_wait = may_wait(peer, message);
	if (!frame.may_wait)
		note_message(peer, message);
	if (message->type == RAFT_MSG_HEARTBEAT ||
	    message->type == RAFT_MSG_HEARTBEAT_REPLY)
		add_state(node, &frame);
	if (message->type == RAFT_MSG_APPEND && message->entry_count) {
		frame.kind = OUT_ENTRIES;
		frame.next = message->first_index;
		frame.end = message->first_index + message->entry_count;
	}
	if (!peer_queue(node, peer, &frame) && message->type == RAFT_MSG_APPEND)
		peer->unreachable = true;
}

void peer_send_messages(struct node *node, const struct raft_ready *ready)
{
	uint32_t i;

	for (i = 0; i < ready->message_count; i++)
		send_message(node, &ready->messages[i]);
}

void peer_turn(struct node *node)
{
	uint32_t i;

	for (i = 0; i < node->peer_count; i++) {
		struct peer *peer = &node->peers[i];

		if (peer->id)
			forget_who_left(node, peer);
		if (!peer->id || !peer->unreachable)
			continue;
		peer->unreachable = false;
		raft_report_unreachable(node->raft, peer->id);
	}
}
