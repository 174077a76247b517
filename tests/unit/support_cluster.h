/*
 * Three or five nodes under test and the links between them: bytes go from
 * one node's lanes into the other's, cut at will, and lost when a link is
 * down. Time is one for all.
 */
#ifndef TESTS_UNIT_SUPPORT_CLUSTER_H
#define TESTS_UNIT_SUPPORT_CLUSTER_H

#include "tests/unit/support_handle.h"

#include <stdio.h>

enum cluster_sizes {
	CLUSTER_MAX = 8,
	LINK_SIZE = 4 << 20,
	CLUSTER_TURNS_MAX = 200000,
};

/* What is on its way from one node to another on one lane. */
struct link {
	uint8_t *bytes;
	uint32_t used;
};

struct cluster {
	uint32_t count;
	struct rig rigs[CLUSTER_MAX]; /* member i + 1 */
	bool alive[CLUSTER_MAX];
	bool cut[CLUSTER_MAX][CLUSTER_MAX]; /* no connection */
	bool up[CLUSTER_MAX][CLUSTER_MAX]; /* connected: both know each other */
	bool clogged[CLUSTER_MAX]
		    [CLUSTER_MAX]; /* the bulk lane carries nothing */
	struct link links[CLUSTER_MAX][CLUSTER_MAX][NODE_LANES];
	struct node_member members[CLUSTER_MAX];
	void *spares[CLUSTER_MAX];
	uint64_t random;
	bool heedless; /* events are taken in each turn, and not looked at */
	bool lies; /* who is too old is let in nevertheless */
	int tolerated; /* the worst that a turn may end with; 0: work done */
	int ended[CLUSTER_MAX]; /* with what a turn ended last, or 0 */
	uint32_t fills; /* starts after a damaged record was written anew */
	uint32_t piece_max; /* bytes that one send or receive takes at most */
};

static inline uint32_t cluster_draw(struct cluster *cluster, uint32_t below)
{
	cluster->random = cluster->random * 6364136223846793005u + 1;
	return (uint32_t)(cluster->random >> 33) % below;
}

static inline void *cluster_mapping(void)
{
	void *base = mmap(NULL, RIG_STORE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert(base != MAP_FAILED);
	return base;
}

static inline bool may_link(const struct cluster *cluster, uint32_t a,
			    uint32_t b)
{
	return a != b && cluster->alive[a] && cluster->alive[b] &&
	       !cluster->cut[a][b];
}

static inline void cluster_unlink(struct cluster *cluster, uint32_t a,
				  uint32_t b)
{
	uint32_t lane;

	for (lane = 0; lane < NODE_LANES; lane++) {
		cluster->links[a][b][lane].used = 0;
		cluster->links[b][a][lane].used = 0;
		if (cluster->alive[a] && cluster->rigs[a].node)
			node_link_down(cluster->rigs[a].node, b + 1, lane);
		if (cluster->alive[b] && cluster->rigs[b].node)
			node_link_down(cluster->rigs[b].node, a + 1, lane);
	}
	cluster->up[a][b] = false;
	cluster->up[b][a] = false;
}

/* `of` cannot apply what is in force where `on` is. */
static inline bool is_outdated(const struct cluster *cluster, uint32_t of,
			       uint32_t on)
{
	return node_version(cluster->rigs[of].node) <
	       node_cluster_version(cluster->rigs[on].node);
}

/* Both greet; who is refused is not connected. */
static inline void cluster_greet(struct cluster *cluster, uint32_t a,
				 uint32_t b)
{
	struct node *one = cluster->rigs[a].node;
	struct node *other = cluster->rigs[b].node;
	uint32_t lane;

	if (!cluster->lies &&
	    (is_outdated(cluster, a, b) || is_outdated(cluster, b, a)))
		return;
	for (lane = 0; lane < NODE_LANES; lane++)
		if (node_link_up(one, b + 1, lane) ||
		    node_link_up(other, a + 1, lane)) {
			cluster_unlink(cluster, a, b);
			return;
		}
	node_peer_told(one, b + 1, node_version(other), node_entry_max(other));
	node_peer_told(other, a + 1, node_version(one), node_entry_max(one));
	cluster->up[a][b] = true;
	cluster->up[b][a] = true;
}

static inline void cluster_link(struct cluster *cluster, uint32_t a, uint32_t b)
{
	cluster_unlink(cluster, a, b);
	if (may_link(cluster, a, b))
		cluster_greet(cluster, a, b);
}

static inline bool is_known(struct cluster *cluster, uint32_t a, uint32_t b)
{
	return peer_find(cluster->rigs[a].node, b + 1) != NULL;
}

/*
 * As members come and go, so do their connections: who knows another calls
 * it, and the other says whether it may come in.
 */
static inline void cluster_follow(struct cluster *cluster)
{
	uint32_t a, b;

	for (a = 0; a < cluster->count; a++)
		for (b = 0; b < a; b++) {
			bool may = may_link(cluster, a, b);
			bool known = may && (is_known(cluster, a, b) ||
					     is_known(cluster, b, a));
			bool lost = cluster->up[a][b] &&
				    !(may && is_known(cluster, a, b) &&
				      is_known(cluster, b, a));

			if (lost || (known && !cluster->up[a][b]))
				cluster_link(cluster, a, b);
		}
}

static inline void cluster_cut(struct cluster *cluster, uint32_t a, uint32_t b,
			       bool cut)
{
	cluster->cut[a][b] = cut;
	cluster->cut[b][a] = cut;
	cluster_link(cluster, a, b);
}

static inline void cluster_isolate(struct cluster *cluster, uint32_t a,
				   bool cut)
{
	uint32_t b;

	for (b = 0; b < cluster->count; b++)
		if (b != a)
			cluster_cut(cluster, a, b, cut);
}

/* It is heard of, and its entries go nowhere. */
static inline void cluster_clog(struct cluster *cluster, uint32_t i,
				bool clogged)
{
	uint32_t k;

	for (k = 0; k < cluster->count; k++)
		cluster->clogged[i][k] = clogged;
}

/*
 * `founders` of them are the cluster; who comes behind joins it later, and
 * knows only them.
 */
static inline void cluster_init_some(struct cluster *cluster, uint32_t founders,
				     uint32_t count)
{
	uint32_t i, k, lane;

	memset(cluster, 0, sizeof(*cluster));
	cluster->count = count;
	cluster->random = 1;
	cluster->piece_max = UINT32_MAX;
	for (i = 0; i < count; i++) {
		struct rig *rig = &cluster->rigs[i];

		rig_init(rig);
		rig->wal_options.member = i + 1;
		rig->wal_options.buffers = 32;
		rig->options.member = i + 1;
		rig->options.seed = 100 + i;
		rig->options.peers_max = CLUSTER_MAX;
		rig->options.members = cluster->members;
		rig->options.member_count = founders;
		rig->starts = 1000 * (i + 1);
		for (k = 0; k < count; k++)
			for (lane = 0; lane < NODE_LANES; lane++)
				cluster->links[i][k][lane].bytes =
					malloc(LINK_SIZE);
		/* Who joins is told nothing but where they are. */
		rig->options.voters = (struct raft_conf_state){0};
		for (k = 0; i < founders && k < founders; k++)
			rig->options.voters.voters[k] = k + 1;
		rig->options.voters.voter_count =
			(uint8_t)(i < founders ? founders : 0);
		cluster->members[i].id = i + 1;
		cluster->members[i].voter = i < founders;
		(void)snprintf(cluster->members[i].address,
			       sizeof(cluster->members[i].address),
			       "host-%u:7600", i + 1);
	}
}

static inline void cluster_init(struct cluster *cluster, uint32_t count)
{
	cluster_init_some(cluster, count, count);
}

static inline void cluster_start_one(struct cluster *cluster, uint32_t i)
{
	struct rig *rig = &cluster->rigs[i];
	uint32_t k;

	cluster->spares[i] = cluster_mapping();
	rig->options.spare_base = cluster->spares[i];
	rig->options.spare_size = RIG_STORE;
	ck_assert_int_eq(rig_try(rig), 0);
	cluster->alive[i] = true;
	for (k = 0; k < cluster->count; k++)
		if (k != i)
			cluster_link(cluster, i, k);
}

static inline void cluster_kill(struct cluster *cluster, uint32_t i)
{
	uint32_t k;

	cluster->alive[i] = false;
	for (k = 0; k < cluster->count; k++)
		if (k != i)
			cluster_link(cluster, i, k);
	rig_crash(&cluster->rigs[i]);
	(void)munmap(cluster->spares[i], RIG_STORE);
}

static inline void cluster_release(struct cluster *cluster)
{
	uint32_t i, k, lane;

	for (i = 0; i < cluster->count; i++) {
		if (cluster->alive[i])
			cluster_kill(cluster, i);
		mem_disk_free(cluster->rigs[i].disk);
		for (k = 0; k < cluster->count; k++)
			for (lane = 0; lane < NODE_LANES; lane++)
				free(cluster->links[i][k][lane].bytes);
	}
}

/* The kernel takes a part of what there is to send. */
static inline void cluster_send(struct cluster *cluster, uint32_t from,
				uint32_t to, uint32_t lane)
{
	struct link *link = &cluster->links[from][to][lane];
	struct node *node = cluster->rigs[from].node;
	struct node_part parts[NODE_PARTS_MAX];
	uint32_t i, sent = 0, room = LINK_SIZE - link->used;
	uint32_t count;

	if (lane == NODE_BULK && cluster->clogged[from][to])
		return;
	count = node_gather(node, to + 1, lane, parts);
	if (!count)
		return;
	if (room > cluster->piece_max)
		room = 1 + cluster_draw(cluster, cluster->piece_max);
	for (i = 0; i < count && sent < room; i++) {
		uint32_t size = parts[i].size;

		if (size > room - sent)
			size = room - sent;
		memcpy(link->bytes + link->used, parts[i].bytes, size);
		link->used += size;
		sent += size;
	}
	node_sent(node, to + 1, lane, sent);
}

static inline void cluster_deliver(struct cluster *cluster, uint32_t from,
				   uint32_t to, uint32_t lane)
{
	struct link *link = &cluster->links[from][to][lane];
	uint32_t size = link->used, taken;

	if (!size)
		return;
	if (size > cluster->piece_max)
		size = 1 + cluster_draw(cluster, cluster->piece_max);
	ck_assert_int_eq(node_hear(cluster->rigs[to].node, from + 1, lane,
				   link->bytes, size, &taken),
			 0);
	ck_assert_uint_le(taken, size);
	memmove(link->bytes, link->bytes + taken, link->used - taken);
	link->used -= taken;
}

static inline void cluster_events(struct cluster *cluster, uint32_t i)
{
	struct node_event event;

	while (node_next_event(cluster->rigs[i].node, &event)) {
		if (event.kind != NODE_STORE_LEFT)
			continue;
		ck_assert_int_eq(madvise(event.base, RIG_STORE, MADV_DONTNEED),
				 0);
		node_spare(cluster->rigs[i].node, event.base);
	}
}

/* As the daemon does. */
static inline void cluster_start_again(struct cluster *cluster, uint32_t i)
{
	cluster->fills++;
	cluster_kill(cluster, i);
	cluster_start_one(cluster, i);
}

/* One turn of every node that lives, `step_ns` later; the work done. */
static inline int cluster_turn(struct cluster *cluster, uint64_t step_ns)
{
	uint32_t i, k, lane;
	int work = 0;

	for (i = 0; i < cluster->count; i++) {
		cluster->rigs[i].now_ns += step_ns;
		if (!cluster->alive[i])
			continue;
		int done = rig_turn(&cluster->rigs[i]);

		if (done == NODE_EFILLED) {
			cluster_start_again(cluster, i);
			work++;
			continue;
		}
		if (cluster->heedless)
			cluster_events(cluster, i);
		ck_assert_int_ge(done, cluster->tolerated);
		cluster->ended[i] = done < 0 ? done : 0;
		work += done;
		for (k = 0; k < cluster->count; k++)
			for (lane = 0; lane < NODE_LANES; lane++)
				if (cluster->up[i][k])
					cluster_send(cluster, i, k, lane);
	}
	cluster_follow(cluster);
	for (i = 0; i < cluster->count; i++)
		for (k = 0; k < cluster->count; k++)
			for (lane = 0; lane < NODE_LANES; lane++)
				if (cluster->up[i][k])
					cluster_deliver(cluster, i, k, lane);
	return work;
}

static inline void cluster_turns(struct cluster *cluster, uint32_t count)
{
	while (count-- > 0)
		(void)cluster_turn(cluster, RIG_STEP_NS);
}

/* Lets time pass, twenty turns in a tick. */
static inline void cluster_pass(struct cluster *cluster, uint64_t ns)
{
	uint64_t step_ns = RIG_TICK_NS / 20, past;

	for (past = 0; past < ns; past += step_ns)
		(void)cluster_turn(cluster, step_ns);
}

/* The index of the one that leads the others, or -1. */
static inline int cluster_leader(const struct cluster *cluster)
{
	uint64_t term = 0;
	uint32_t i;
	int leader = -1;

	for (i = 0; i < cluster->count; i++) {
		const struct cv_status *status = &cluster->rigs[i].status;

		if (cluster->alive[i] && status->role == RAFT_LEADER &&
		    status->term > term) {
			term = status->term;
			leader = (int)i;
		}
	}
	return leader;
}

/* Waits, at most a minute, for a leader whom all that live follow. */
static inline uint32_t cluster_elect(struct cluster *cluster)
{
	uint32_t tries, i, agreed, alive;

	for (tries = 0; tries < 600; tries++) {
		int leader = cluster_leader(cluster);

		agreed = 0;
		alive = 0;
		for (i = 0; leader >= 0 && i < cluster->count; i++) {
			alive += cluster->alive[i];
			agreed += cluster->alive[i] &&
				  cluster->rigs[i].status.leader ==
					  (uint64_t)leader + 1;
		}
		if (leader >= 0 && agreed == alive)
			return (uint32_t)leader;
		cluster_pass(cluster, RIG_TICK_NS);
	}
	ck_abort_msg("nobody leads");
	return 0;
}

/* Turns until the result is there, at most for a minute. */
static inline void cluster_await(struct cluster *cluster,
				 const struct guest *guest, uint32_t slot)
{
	uint32_t turns;

	for (turns = 0; turns < CLUSTER_TURNS_MAX; turns++) {
		if (is_posted(guest, slot))
			return;
		(void)cluster_turn(cluster, turns < 1000 ? RIG_STEP_NS
							 : RIG_TICK_NS / 20);
	}
	ck_abort_msg("slot %u is never posted", slot);
}

static inline void cluster_open(struct cluster *cluster, struct guest *guest,
				uint32_t i, uint8_t name)
{
	peer_open(guest, &cluster->rigs[i], name);
	guest->rig = &cluster->rigs[i];
}

/* All of them, a leader, and a guest on each: who leads. */
static inline uint32_t cluster_gather(struct cluster *cluster,
				      struct guest guests[CLUSTER_MAX])
{
	uint32_t i, leader;

	for (i = 0; i < cluster->count; i++)
		cluster_start_one(cluster, i);
	leader = cluster_elect(cluster);
	for (i = 0; i < cluster->count; i++)
		cluster_open(cluster, &guests[i], i, (uint8_t)(i + 1));
	return leader;
}

static inline void cluster_dismiss(struct cluster *cluster,
				   struct guest guests[CLUSTER_MAX])
{
	uint32_t i;

	for (i = 0; i < cluster->count; i++)
		if (guests[i].up)
			peer_unmap(&guests[i]);
	cluster_release(cluster);
}

#endif
