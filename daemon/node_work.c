/*
 * What goes on beside proposals, in slices: snapshots that a log entry cuts,
 * retention, physical compaction; and, before the first turn, recovery from a
 * snapshot and the log.
 */
#include "daemon/node_head.h"
#include "daemon/node_stages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	REPLAY_BUDGET = 1 << 20,
	RETENTION_STEPS = 60,
	CUT_PAUSE_MS = 1000, /* to the next try to make room in the window */
	MS = 1000000,
};

/* ---- snapshots ---- */

/* Begins an image of the store as it is, after the entry applied last. */
static void begin_image(struct node *node)
{
	struct raft_snapshot snapshot = {.index = node->applied,
					 .term = node->applied_term};
	struct raft_status raft;
	struct node_head head;

	assert(!node->snapshotting &&
	       store_applied(node->store) == node->applied);
	raft_status(node->raft, &raft);
	snapshot.conf = raft.conf;
	node_head_fill(node->store, node->options.cluster, &snapshot, &head);
	if (wal_snapshot_begin(node->wal, snapshot.index, snapshot.term, &head,
			       sizeof(head)))
		return;
	store_image_begin(node->store);
	node->snapshotting = true;
	node->image_done = false;
}

void work_snapshot_cut(struct node *node)
{
	node->cut_due = false;
	if (node->snapshotting || node->draining || node->incoming.active ||
	    hash_is_quarantined(node))
		return;
	begin_image(node);
}

void work_give_up_image(struct node *node)
{
	wal_snapshot_abort(node->wal);
	store_image_end(node->store);
	node->snapshotting = false;
}

/* One slice of the image; the disk's pace is the log's own affair. */
static void write_image(struct node *node)
{
	uint32_t room, used = 0;
	uint8_t *piece;
	int more;

	if (!node->snapshotting || node->image_done)
		return;
	if (!wal_snapshot_active(node->wal)) {
		/* The disk was too full for it: another is due later. */
		store_image_end(node->store);
		node->snapshotting = false;
		return;
	}
	piece = wal_snapshot_room(node->wal, &room);
	if (!piece || room < STORE_PIECE_MIN)
		return;
	more = store_image_next(node->store, piece, room, IMAGE_BUDGET, &used);
	node->work++;
	if (more < 0) {
		/* Compaction needed what it pinned: another is due later. */
		work_give_up_image(node);
		return;
	}
	node->image_done = !more;
	wal_snapshot_put(node->wal, used);
	if (!node->image_done)
		return;
	store_image_end(node->store);
	wal_snapshot_end(node->wal);
	node->snapshotting = false;
}

/*
 * An image that was asked for is cut where this member stands: a backup is
 * nothing that the others have to write too. The entry there is committed, and
 * images of one index are the same bytes whoever cuts them and why.
 */
static void cut_when_wanted(struct node *node)
{
	if (!node->image_wanted || node->draining || node->applying ||
	    node->snapshotting || node->incoming.active ||
	    hash_is_quarantined(node) || wal_snapshot_active(node->wal) ||
	    node->now_ns < node->image_wanted_ns)
		return;
	if (wal_snapshot_index(node->wal) >= node->image_wanted) {
		node->image_wanted = 0;
		return;
	}
	if (node->applied < node->image_wanted)
		return;
	begin_image(node);
	node->image_wanted_ns = node->now_ns + CUT_PAUSE_MS * MS;
	if (node->snapshotting)
		node->image_wanted = 0;
}

void work_want_image(struct node *node, uint64_t index)
{
	if (index > node->image_wanted && index > wal_snapshot_index(node->wal))
		node->image_wanted = index;
}

/* Many small entries fill Raft's window before their bytes are many. */
static bool window_due(const struct node *node)
{
	uint32_t size = node->options.entries_max;

	return !wal_snapshot_active(node->wal) &&
	       node->supplied - node->compacted_to > size / 2 &&
	       (node->supplied - node->cut_last > size / 32 ||
		node->now_ns >= node->cut_ns);
}

/*
 * Who joined later does not know the first members and must begin with an
 * image, but there is none yet.
 */
static bool joiner_due(const struct node *node)
{
	struct raft_status raft;

	if (wal_snapshot_index(node->wal) || wal_snapshot_active(node->wal) ||
	    node->now_ns < node->cut_ns)
		return false;
	raft_status(node->raft, &raft);
	return !peer_all_in_conf(&node->options.voters, &raft.conf);
}

static void cut_when_due(struct node *node)
{
	if (!node_leads(node) || node->cut_due || node->snapshotting ||
	    node->draining)
		return;
	if (!wal_snapshot_due(node->wal) && !window_due(node) &&
	    !joiner_due(node))
		return;
	node->cut_due = batch_own(node, ENTRY_SNAPSHOT_CUT, NULL, 0, -1);
	if (!node->cut_due)
		return;
	node->cut_last = node->supplied;
	node->cut_ns = node->now_ns + CUT_PAUSE_MS * MS;
}

static void compact_log(struct node *node)
{
	uint64_t index = wal_snapshot_index(node->wal);

	if (index <= node->compacted_to || index > node->applied)
		return;
	image_offer(node);
	raft_compact(node->raft, index);
	node->compacted_to = index;
}

/* ---- retention ---- */

/* One at a time; false: not now. */
static bool propose_compaction(struct node *node, uint64_t revision)
{
	struct op_header op = {
		.size = OP_HEADER_SIZE,
		.type = OP_COMPACT,
		.argument = revision,
	};

	if (node->compacting > store_compacted(node->store) || node->draining ||
	    revision <= store_compacted(node->store))
		return false;
	if (!batch_own(node, ENTRY_COMPACTION, &op, sizeof(op), -1))
		return false;
	node->compacting = revision;
	return true;
}

/*
 * Every sixtieth of the retention period the leader notes the revision; one
 * that is as old as the period is what history is compacted to.
 */
static void keep_retention(struct node *node)
{
	uint64_t period = store_settings(node->store)->retention_ms * MS;
	struct sample *oldest = &node->samples[0];

	if (!node_leads(node) || !period || node->now_ns < node->sample_due_ns)
		return;
	node->sample_due_ns = node->now_ns + period / RETENTION_STEPS;
	while (node->sample_count && node->now_ns - oldest->at_ns >= period) {
		/* If it cannot be now, the next sample makes up for it. */
		(void)propose_compaction(node, oldest->revision);
		node->sample_count--;
		memmove(oldest, oldest + 1,
			node->sample_count * sizeof(*oldest));
	}
	if (node->sample_count == SAMPLES_MAX)
		return;
	node->samples[node->sample_count].at_ns = node->now_ns;
	node->samples[node->sample_count++].revision =
		store_revision(node->store);
}

/*
 * History may be a quarter of the quota. What is kept when it is that large
 * is the half that is newer.
 */
static void keep_size(struct node *node)
{
	uint64_t most = store_settings(node->store)->quota_bytes / 4;
	struct store_stats stats;

	store_stats(node->store, &stats);
	if (stats.history_bytes < most / 2) {
		node->half_revision = 0;
		return;
	}
	/* Also where another leader compacted beyond what was noted here. */
	if (node->half_revision <= store_compacted(node->store))
		node->half_revision = store_revision(node->store);
	if (!node_leads(node) || stats.history_bytes < most)
		return;
	if (propose_compaction(node, node->half_revision))
		node->half_revision = store_revision(node->store);
}

void work_background(struct node *node)
{
	wal_work(node->wal);
	write_image(node);
	compact_log(node);
	cut_when_due(node);
	cut_when_wanted(node);
	member_tell_addresses(node);
	version_raise(node);
	keep_retention(node);
	keep_size(node);
	if (store_compact(node->store, COMPACT_BUDGET))
		node->work++;
}

/* ---- recovery ---- */

int work_read_head(const struct node *node, const void *bytes, uint32_t size,
		   struct raft_snapshot *ret_snapshot,
		   struct store_hash *ret_hash)
{
	struct node_head head;
	int code = node_head_read(bytes, size, &head);

	if (!code && memcmp(head.cluster, node->options.cluster, 16))
		code = -EBADMSG;
	if (code)
		return code;
	node_head_snapshot(&head, ret_snapshot);
	ret_hash->low = head.hash[0];
	ret_hash->high = head.hash[1];
	return 0;
}

static int load_image(struct node *node)
{
	const void *piece;
	uint32_t size;
	int code;

	while ((code = wal_snapshot_read(node->wal, &piece, &size)) > 0) {
		code = store_load(node->store, piece, size);
		if (code)
			return code;
	}
	return code ? code : store_load_end(node->store);
}

/* A function of its own, whose large frame is gone when the image is read. */
static int __attribute__((noinline))
load_head(struct node *node, struct raft_snapshot *ret_snapshot,
	  struct store_hash *ret_hash)
{
	uint8_t head[WAL_HEAD_MAX];
	uint32_t size;
	int code = wal_snapshot_head(node->wal, head, sizeof(head), &size);

	if (code)
		return code;
	return work_read_head(node, head, size, ret_snapshot, ret_hash);
}

int work_load_snapshot(struct node *node, const struct wal_report *report,
		       struct raft_snapshot *ret_snapshot)
{
	struct raft_snapshot snapshot;
	struct store_hash says, is;
	int code;

	if (!report->snapshot_index)
		return 0;
	code = load_head(node, &snapshot, &says);
	if (!code && (snapshot.index != report->snapshot_index ||
		      snapshot.term != report->snapshot_term))
		code = -EBADMSG;
	if (!code)
		code = load_image(node);
	if (!code && node_cluster_version(node) > node_version(node))
		code = -EPROTO;
	if (code)
		return code == -EPROTO ? NODE_EOUTDATED : code;
	store_hash(node->store, &is);
	if (is.low != says.low || is.high != says.high ||
	    store_applied(node->store) != snapshot.index)
		return -EBADMSG;
	*ret_snapshot = snapshot;
	node->applied = snapshot.index;
	node->applied_term = snapshot.term;
	node->compacted_to = snapshot.index;
	return 0;
}

/* An entry that may not be committed keeps its bytes until it is applied. */
static int keep_bytes(struct node *node, struct raft_entry *entry)
{
	uint32_t size = entry_size(entry->size);
	struct held *held;
	uint8_t *bytes;

	held = node->held_head == node->held_tail
		       ? NULL
		       : &node->held[(node->held_tail - 1) % HELD_MAX];
	if (!held || held->buffer->room - held->buffer->used < size) {
		struct wal_buffer *buffer = wal_buffer_open(node->wal, size);

		if (!buffer || node->held_tail - node->held_head == HELD_MAX)
			return -ENOBUFS;
		held = &node->held[node->held_tail++ % HELD_MAX];
		held->buffer = buffer;
		held->first_index = entry->index;
	}
	bytes = held->buffer->payload + held->buffer->used;
	memcpy(bytes, entry->data, size);
	held->buffer->used += size;
	held->last_index = entry->index;
	entry->data = bytes;
	return 0;
}

static void apply_now(struct node *node, const struct raft_entry *entry)
{
	store_apply_begin(node->store, entry);
	member_apply_begin(node, entry);
	while (store_apply(node->store, REPLAY_BUDGET))
		;
	while (store_compact(node->store, REPLAY_BUDGET))
		;
	node->applied = entry->index;
	node->applied_term = entry->term;
}

static int replay_one(struct node *node, struct raft_entry *entry,
		      uint64_t commit)
{
	struct raft_entry loaded = *entry;
	int code = 0;

	if (entry->index <= commit && !version_may_apply(node, entry))
		return NODE_EOUTDATED;
	if (entry->index <= commit) {
		apply_now(node, entry);
		loaded.data = NULL;
	} else {
		code = keep_bytes(node, &loaded);
	}
	if (!code)
		code = raft_load(node->raft, &loaded);
	if (code || entry->index > commit)
		return code;
	/* Raft knows the entry now, and hears that it was applied. */
	raft_restored(node->raft, entry->index);
	member_apply_end(node, entry);
	return 0;
}

int work_replay(struct node *node, const struct wal_report *report)
{
	uint64_t commit = report->hard.commit;
	struct raft_entry entry;
	int code;

	while ((code = wal_replay_next(node->wal, &entry)) > 0) {
		code = replay_one(node, &entry, commit);
		if (code)
			return code;
		node->supplied = entry.index;
	}
	if (code)
		return code;
	if (node->supplied < node->applied)
		node->supplied = node->applied;
	node->apply_last = node->applied;
	raft_restored(node->raft, node->applied);
	return 0;
}
