/*
 * One turn of a replica, in the order in which a proposal lives it; the
 * stages themselves are intake.c, node_batch.c, node_apply.c and reply.c.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <string.h>

enum {
	SHOW_NS = 1000000,
};

static size_t round_up(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

static void raft_shape(const struct node_options *options,
		       struct raft_options *ret_raft)
{
	*ret_raft = (struct raft_options){
		.id = options->member,
		.seed = options->seed,
		.election_ticks = options->election_ticks,
		.heartbeat_ticks = options->heartbeat_ticks,
		.quiet_ticks = options->election_ticks,
		.pre_vote = true,
		.check_quorum = true,
		/* Promised always; whether it is relied on is a setting. */
		.lease = true,
		.step_down_on_removal = true,
		.askers_count = true,
		.entries_max = options->entries_max,
		.messages_max = 1024,
		.reads_max = 64,
		.inflight_max = 256,
		.inflight_size_max = 16 << 20,
		.append_size_max = 1 << 20,
		.uncommitted_size_max = options->uncommitted_max,
		.committed_size_max = 64 << 20,
	};
}

/* What the two lanes of a peer have besides. */
static size_t lanes_size(void)
{
	return NODE_LANES * round_up(LANE_FRAMES * sizeof(struct out_frame)) +
	       2 * round_up(NODE_CONTROL_SIZE) + 2 * round_up(NODE_BULK_SIZE);
}

size_t node_memory_size(const struct node_options *options)
{
	struct raft_options raft;

	raft_shape(options, &raft);
	return round_up(sizeof(struct node)) +
	       round_up(options->handles_max * sizeof(struct handle)) +
	       round_up(NODE_READS_MAX * sizeof(struct node_read)) +
	       round_up(NODE_REQUESTS_MAX * sizeof(struct request)) +
	       round_up(ORPHANS_MAX * sizeof(struct orphan)) +
	       round_up(options->peers_max * sizeof(struct peer)) +
	       options->peers_max * lanes_size() +
	       round_up(RECEIVE_ENTRIES * sizeof(struct raft_entry)) +
	       round_up(raft_memory_size(&raft));
}

static void *carve(uint8_t **at, size_t size)
{
	void *here = *at;

	*at += round_up(size);
	return here;
}

static void lay_out_lane(struct lane *lane, uint8_t **at, size_t size)
{
	lane->frames = carve(at, LANE_FRAMES * sizeof(struct out_frame));
	lane->spill = carve(at, size);
	lane->in = carve(at, size);
}

static void lay_out_peers(struct node *node, uint8_t **at)
{
	uint32_t i;

	node->peers = carve(at, node->options.peers_max * sizeof(struct peer));
	for (i = 0; i < node->options.peers_max; i++) {
		struct peer *peer = &node->peers[i];

		lay_out_lane(&peer->lanes[NODE_CONTROL], at, NODE_CONTROL_SIZE);
		lay_out_lane(&peer->lanes[NODE_BULK], at, NODE_BULK_SIZE);
		peer->fetch = -1;
	}
	node->received = carve(at, RECEIVE_ENTRIES * sizeof(struct raft_entry));
}

static uint8_t *lay_out(struct node *node, uint8_t *at)
{
	uint32_t i;

	node->handles =
		carve(&at, node->options.handles_max * sizeof(struct handle));
	node->reads = carve(&at, NODE_READS_MAX * sizeof(struct node_read));
	node->requests = carve(&at, NODE_REQUESTS_MAX * sizeof(struct request));
	node->orphans = carve(&at, ORPHANS_MAX * sizeof(struct orphan));
	for (i = 0; i < NODE_READS_MAX; i++)
		node->read_free[i] = (uint16_t)(NODE_READS_MAX - 1 - i);
	node->read_free_count = NODE_READS_MAX;
	lay_out_peers(node, &at);
	return at;
}

static void fill_status(struct node *node)
{
	struct cv_status *status = node->status;

	status->magic = CV_MAGIC_STATUS;
	status->abi_major = CV_ABI_MAJOR;
	status->abi_minor = CV_ABI_MINOR;
	status->size = sizeof(*status);
	status->incarnation = node->options.incarnation;
	memcpy(status->cluster, node->options.cluster, 16);
	status->member = node->options.member;
}

/*
 * Who never had another member beside it promised nothing to anyone. The
 * roster also has those who were removed: a leader that gave all power to
 * this member may still hold a lease that this one answered.
 */
static bool was_always_alone(const struct node *node)
{
	const struct store_member *members;
	struct raft_status raft;

	raft_status(node->raft, &raft);
	return peer_votes_alone(&raft.conf, node->options.member) &&
	       store_members(node->store, &members) <= 1;
}

/* Numbers of batches and of reads are never used again in another life. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

int node_init(struct node **ret_node, const struct node_options *options,
	      struct wal *wal, const struct wal_report *report,
	      struct store *store, void *memory)
{
	uint8_t *at = memory;
	struct node *node = carve(&at, sizeof(*node));
	struct raft_snapshot snapshot = {.conf = options->voters};
	struct raft_hard_state hard = report->hard;
	struct raft_options shape;
	int code;

	assert(options->handles_max &&
	       options->handles_max <= NODE_HANDLES_MAX);
	assert(options->status);
	node->options = *options;
	if (!node->options.apply_budget)
		node->options.apply_budget = APPLY_BUDGET;
	if (!node->options.disk_patience_ns)
		node->options.disk_patience_ns =
			options->tick_ns * options->election_ticks / 2;
	node->wal = wal;
	node->store = store;
	node->status = options->status;
	node->read_round = 1;
	node->read_base = mix(options->incarnation);
	node->spare = options->spare_base;
	node->batch_base = mix(options->incarnation);
	node->entry_max = node_entry_max(node);
	at = lay_out(node, at);
	fill_status(node);
	code = work_load_snapshot(node, report, &snapshot);
	if (code)
		return code;
	raft_shape(&node->options, &shape);
	repair_hard(wal, &hard, options->member);
	code = raft_init(&node->raft, &shape, &hard, &snapshot, at);
	if (code)
		return code;
	code = work_replay(node, report);
	if (!code)
		code = repair_begin(node);
	if (code)
		return code;
	peer_follow_conf(node);
	image_offer(node);
	if (was_always_alone(node)) {
		raft_end_quiet(node->raft);
		code = raft_campaign(node->raft);
	}
	*ret_node = node;
	return code;
}

/* ---- the stages of a turn that belong to no other file ---- */

static uint32_t bucket(uint64_t ns)
{
	uint32_t bit = ns ? 63u - (uint32_t)__builtin_clzll(ns) : 0;

	return bit < CV_HISTOGRAM_BUCKETS ? bit : CV_HISTOGRAM_BUCKETS - 1;
}

static int reap(struct node *node)
{
	struct wal_done done;
	int code;

	while ((code = wal_reap(node->wal, &done)) == 1) {
		raft_persisted(node->raft, done.number, done.index, done.term);
		node->writing = false;
		node->status
			->write_ns[bucket(node->now_ns - node->append_ns)]++;
		node->work++;
	}
	if (code < 0)
		node->failed = true;
	return code < 0 ? NODE_EFAILED : 0;
}

/*
 * Who cannot write cannot acknowledge: it leaves leading to those who can,
 * for as long as a write is outstanding too long. So does who has not the
 * state that the others have.
 */
static void watch_fitness(struct node *node)
{
	uint64_t patience = node->options.disk_patience_ns;
	bool sick = node->writing && node->now_ns - node->append_ns > patience;
	bool unfit = sick || hash_is_quarantined(node);
	int code;

	if (unfit != node->unfit)
		raft_restrain(node->raft, unfit ? RAFT_NO_CAMPAIGN : RAFT_FREE);
	node->disk_sick = sick;
	node->unfit = unfit;
	if (!unfit || !node_leads(node))
		return;
	code = raft_hand_over(node->raft);
	(void)code; /* to nobody, if nobody is there: then at the next tick */
}

/*
 * No tick is made up for. What Raft counts in ticks, a promise to a leader
 * above all, must not be over earlier than on a clock: after a pause several
 * ticks at once would end a promise that was given a moment ago.
 */
static void tick(struct node *node)
{
	if (node->now_ns < node->tick_due_ns)
		return;
	if (node->drain != DRAIN_DEAF) {
		raft_tick(node->raft);
		lease_tick(node);
	}
	wal_tick(node->wal);
	hash_tick(node);
	watch_fitness(node);
	node->tick_due_ns = node->now_ns + node->options.tick_ns;
}

/* Gauges: now and then will do. */
static void show_gauges(struct node *node)
{
	struct cv_status *status = node->status;
	struct store_stats store;
	struct wal_stats wal;

	if (node->now_ns < node->show_due_ns)
		return;
	node->show_due_ns = node->now_ns + SHOW_NS;
	store_stats(node->store, &store);
	wal_stats(node->wal, &wal);
	status->sessions = store.sessions;
	status->keys = store.keys;
	status->store_bytes = store.logical_bytes;
	status->store_used = store.used_bytes;
	status->snapshots = wal.snapshots;
	status->log_size = wal.log_size;
	status->alarms = (status->alarms & ~(uint32_t)CV_ALARM_NOSPACE) |
			 (wal.no_space ? CV_ALARM_NOSPACE : 0);
}

static void show(struct node *node)
{
	struct cv_status *status = node->status;

	status->term = node->term;
	status->leader = node->leader;
	status->role = node->role;
	status->commit = node->commit;
	status->applied = node->applied;
	status->revision = store_revision(node->store);
	status->compacted = store_compacted(node->store);
	status->turns++;
}

int node_turn(struct node *node, uint64_t now_ns, bool sweep)
{
	node->now_ns = now_ns;
	node->work = 0;
	wal_clock(node->wal, now_ns);
	if (node->failed || reap(node))
		return NODE_EFAILED;
	tick(node);
	image_turn(node);
	repair_turn(node);
	fill_turn(node);
	record_make_room(node);
	peer_turn(node);
	hear_stuck(node);
	lease_reads(node);
	intake_drain(node, sweep);
	decide_turn(node);
	apply_committed(node);
	reply_reads(node);
	work_background(node);
	reply_flush(node);
	drain_turn(node);
	if (node->outdated || node->too_small)
		return node->outdated ? NODE_EOUTDATED : NODE_ESEGMENT;
	if (fill_is_over(node))
		return NODE_EFILLED;
	if (node->work)
		show(node);
	show_gauges(node);
	return node->work;
}

bool node_may_sleep(struct node *node)
{
	cv_wake_announce_sleep(node->status);
	if (!intake_pending(node)) {
		node->status->sleeps++;
		return true;
	}
	node_awake(node);
	return false;
}

void node_awake(struct node *node)
{
	cv_wake_end_sleep(node->status);
}

uint64_t node_next_ns(const struct node *node)
{
	uint64_t wal_ns = wal_next_ns(node->wal);
	uint64_t peer_ns = peer_next_ns(node);
	uint64_t next_ns = wal_ns < peer_ns ? wal_ns : peer_ns;

	return next_ns < node->tick_due_ns ? next_ns : node->tick_due_ns;
}

static void fill_event(const struct node *node, const struct handle *handle,
		       struct node_event *event)
{
	event->handle = (int)(handle - node->handles);
	event->status = handle->welcome_status;
	event->epoch = handle->epoch;
	event->revision = store_revision(node->store);
	event->session_known = handle->begun;
}

static uint8_t pop_event(struct handle *handle)
{
	if (handle->welcome_due) {
		handle->welcome_due = false;
		return NODE_WELCOME;
	}
	if (handle->wake) {
		handle->wake = false;
		return NODE_WAKE;
	}
	if (handle->ring) {
		handle->ring = false;
		return NODE_RING;
	}
	if (handle->expel) {
		handle->expel = false;
		return NODE_EXPEL;
	}
	return NODE_NOTHING;
}

bool node_next_event(struct node *node, struct node_event *ret_event)
{
	struct handle *handle;
	uint32_t tried;

	if (!node->event_count)
		return false;
	if (node->left) {
		*ret_event = (struct node_event){
			.kind = NODE_STORE_LEFT,
			.base = node->left,
		};
		node->left = NULL;
		node->event_count--;
		return true;
	}
	for (tried = 0; tried < node->handle_used; tried++) {
		if (node->event_scan >= node->handle_used)
			node->event_scan = 0;
		handle = &node->handles[node->event_scan];
		ret_event->kind = pop_event(handle);
		if (ret_event->kind) {
			node->event_count--;
			fill_event(node, handle, ret_event);
			return true;
		}
		node->event_scan++;
	}
	assert(tried < node->handle_used); /* one handle has what was counted */
	return false;
}

bool node_is_removed(const struct node *node)
{
	return node->removed;
}
