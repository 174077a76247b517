/*
 * One turn of a replica, in the order in which a proposal lives it; the
 * stages themselves are intake.c, node_batch.c, node_apply.c and reply.c.
 */
#include "daemon/node_state.h"

#include <assert.h>
#include <string.h>

enum {
	CATCH_UP_TICKS = 10,
	SHOW_NS = 1000000,
};

static size_t round_up(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

static void raft_shape(const struct node_options *options,
		       struct raft_options *ret_raft)
{
	bool alone = options->voters.voter_count == 1 &&
		     !options->voters.outgoing_count;

	*ret_raft = (struct raft_options){
		.id = options->member,
		.seed = options->seed,
		.election_ticks = options->election_ticks,
		.heartbeat_ticks = options->heartbeat_ticks,
		.quiet_ticks = alone ? 0 : options->election_ticks,
		.pre_vote = true,
		.check_quorum = true,
		.forwarding = true,
		.step_down_on_removal = true,
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

size_t node_memory_size(const struct node_options *options)
{
	struct raft_options raft;

	raft_shape(options, &raft);
	return round_up(sizeof(struct node)) +
	       round_up(options->handles_max * sizeof(struct handle)) +
	       round_up(NODE_READS_MAX * sizeof(struct node_read)) +
	       round_up(NODE_REQUESTS_MAX * sizeof(struct request)) +
	       round_up(ORPHANS_MAX * sizeof(struct orphan)) +
	       round_up(raft_memory_size(&raft));
}

static void *carve(uint8_t **at, size_t size)
{
	void *here = *at;

	*at += round_up(size);
	return here;
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

int node_init(struct node **ret_node, const struct node_options *options,
	      struct wal *wal, const struct wal_report *report,
	      struct store *store, void *memory)
{
	uint8_t *at = memory;
	struct node *node = carve(&at, sizeof(*node));
	struct raft_snapshot snapshot = {.conf = options->voters};
	struct raft_options shape;
	int code;

	assert(options->handles_max &&
	       options->handles_max <= NODE_HANDLES_MAX);
	assert(options->status);
	node->options = *options;
	if (!node->options.apply_budget)
		node->options.apply_budget = APPLY_BUDGET;
	node->wal = wal;
	node->store = store;
	node->status = options->status;
	node->read_round = 1;
	at = lay_out(node, at);
	fill_status(node);
	code = work_load_snapshot(node, report, &snapshot);
	if (code)
		return code;
	raft_shape(&node->options, &shape);
	code = raft_init(&node->raft, &shape, &report->hard, &snapshot, at);
	if (code)
		return code;
	code = work_replay(node, report);
	if (code)
		return code;
	if (shape.quiet_ticks == 0)
		code = raft_campaign(node->raft);
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
		node->status
			->write_ns[bucket(node->now_ns - node->append_ns)]++;
		node->work++;
	}
	if (code < 0)
		node->failed = true;
	return code < 0 ? NODE_EFAILED : 0;
}

static void tick(struct node *node)
{
	uint64_t tick_ns = node->options.tick_ns;

	/* A pause of the process is not made up for tick by tick. */
	if (!node->tick_due_ns ||
	    node->now_ns > node->tick_due_ns + CATCH_UP_TICKS * tick_ns)
		node->tick_due_ns = node->now_ns;
	while (node->now_ns >= node->tick_due_ns) {
		raft_tick(node->raft);
		wal_tick(node->wal);
		node->tick_due_ns += tick_ns;
	}
}

static void hold(struct node *node, uint64_t last_index)
{
	struct held *held = &node->held[node->held_tail++ % HELD_MAX];

	assert(node->held_tail - node->held_head <= HELD_MAX);
	held->buffer = node->buffer;
	held->last_index = last_index;
	node->buffer_last = node->buffer->used;
	node->buffer = NULL;
}

/* All entries have bytes, and the disk can take a record. */
static bool can_persist(const struct node *node)
{
	return wal_can_append(node->wal) &&
	       !raft_entry_at(node->raft, node->supplied + 1) &&
	       node->held_tail - node->held_head < HELD_MAX;
}

/* Writes what a ready asks for. */
static void persist(struct node *node, const struct raft_ready *ready)
{
	struct wal_buffer *buffer = ready->append_first ? node->buffer : NULL;
	int code;

	if (!ready->must_sync)
		return;
	assert(!ready->append_first || node->supplied == ready->append_last);
	code = wal_append(node->wal, buffer, &ready->hard, ready->append_first,
			  ready->append_last, ready->number);
	assert(!code); /* wal_can_append() promised it */
	node->append_ns = node->now_ns;
	node->status->log_records++;
	if (buffer) {
		node->status->log_bytes += buffer->used;
		hold(node, ready->append_last);
	}
}

static void confirm_reads(struct node *node, const struct raft_ready *ready)
{
	uint32_t i, k;

	for (i = 0; i < ready->read_count; i++)
		for (k = 0; k < node->read_count; k++) {
			struct node_read *read =
				&node->reads[node->read_list[k]];

			if (!read->linearizable || read->confirmed ||
			    read->round > ready->reads[i].context)
				continue;
			read->confirmed = true;
			read->index = ready->reads[i].index;
		}
}

/* All readers of this round, and of rounds that were lost, ask as one. */
static void ask_reads(struct node *node)
{
	if (!node->read_round_due || !node_leads(node))
		return;
	if (raft_read_index(node->raft, node->read_round))
		return;
	node->read_round++;
	node->read_round_due = false;
}

static void take_ready(struct node *node, const struct raft_ready *ready)
{
	if (ready->soft_changed) {
		node->role = ready->role;
		node->leader = ready->leader;
		node->term = ready->hard.term;
		/* What another leader may have dropped is proposed again. */
		node->compacting = 0;
		node->cut_due = false;
		/* What was asked of another leadership is asked again. */
		node->read_round_due = node->read_count > 0;
	}
	node->commit = ready->hard.commit;
	if (ready->apply_last)
		node->apply_last = ready->apply_last;
	confirm_reads(node, ready);
	raft_advance(node->raft);
	node->work++;
}

static void decide(struct node *node)
{
	struct raft_ready ready;

	if (node_leads(node) && wal_can_append(node->wal)) {
		session_work(node);
		batch_propose(node);
	}
	ask_reads(node);
	for (;;) {
		batch_supply(node);
		if (!raft_has_ready(node->raft))
			return;
		if (raft_must_sync(node->raft) && !can_persist(node))
			return;
		raft_ready(node->raft, &ready);
		persist(node, &ready);
		take_ready(node, &ready);
	}
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
	status->alarms = wal.no_space ? CV_ALARM_NOSPACE : 0;
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
	intake_drain(node, sweep);
	decide(node);
	apply_committed(node);
	reply_reads(node);
	work_background(node);
	reply_flush(node);
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

	return wal_ns < node->tick_due_ns ? wal_ns : node->tick_due_ns;
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

void node_drain(struct node *node)
{
	node->draining = true;
	if (node->snapshotting)
		work_give_up_image(node);
}

bool node_drained(const struct node *node)
{
	return node->draining && node->request_head == node->request_tail &&
	       !node->sealed_count && !node->open.entry && !node->read_count &&
	       wal_idle(node->wal);
}
