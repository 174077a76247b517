/*
 * See tests/sim/lies.h.
 */
#include "tests/sim/lies.h"
#include "tests/sim/machine.h"
#include "tests/sim/sim.h"
#include "tests/sim/watch.h"

#include "daemon/node_state.h"
#include "raft/crc32c.h"
#include "raft/internal.h"

#include <assert.h>
#include <string.h>

enum {
	RENAMED = 1000, /* further in its session */
	BOAST = 1000, /* entries */
};

void lies_recovered(struct wal_report *report)
{
	if (sim.bug == SIM_BUG_FORGOTTEN_VOTE)
		report->hard.vote = 0;
}

/* ---- in memory ---- */

static void confirm_reads(struct node *node)
{
	for (uint32_t i = 0; i < node->read_count; i++) {
		struct node_read *read = &node->reads[node->read_list[i]];
		read->confirmed = true;
	}
}

static void seal_again(uint8_t *entry)
{
	struct entry_header header;
	memcpy(&header, entry, sizeof(header));
	header.payload_crc = crc32c(0, entry + ENTRY_HEADER_SIZE, header.size);
	memcpy(entry, &header, sizeof(header));
}

/* Its operations are asked for under other names. */
static void rename_batch(const struct batch *batch)
{
	uint8_t *entry = batch->buffer->payload +
			 (batch->entry - batch->buffer->payload);
	uint8_t *at = entry + ENTRY_HEADER_SIZE;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct op_header op;
		memcpy(&op, at, sizeof(op));
		op.sequence += RENAMED;
		memcpy(at, &op, sizeof(op));
		at += op.size;
	}
	seal_again(entry);
}

/* Those that are handed on again; the log has bytes of its own. */
static void rename_copies(struct node *node)
{
	for (uint64_t i = node->batch_next; i != node->batch_tail; i++) {
		const struct batch *batch = node_batch(node, i);
		if (!batch->done && batch->copies == 1 &&
		    batch->kind == ENTRY_NORMAL &&
		    batch->buffer == node->outbound)
			rename_batch(batch);
	}
}

/* Something else is applied than was agreed on. */
static void alter_entry(const struct node *node)
{
	const struct raft_entry *entry =
		raft_entry_at(node->raft, node->applied + 1);
	struct op_header op;
	if (node_leads(node) || node->applying || entry == NULL ||
	    entry->data == NULL || entry->kind != ENTRY_NORMAL)
		return;
	memcpy(&op, entry_payload(entry->data), sizeof(op));
	if (op.type != OP_PUT || op.value_size == 0)
		return;
	uint64_t at = ENTRY_HEADER_SIZE + OP_HEADER_SIZE + op.key_size +
		      op.value_size - 1;
	if (op.flags & OP_BEGIN)
		at += sizeof(struct op_begin);
	for (uint64_t i = node->held_head; i != node->held_tail; i++) {
		struct wal_buffer *buffer = node->held[i % HELD_MAX].buffer;
		const uint8_t *data = entry->data;
		if (data >= buffer->payload &&
		    data < buffer->payload + buffer->used)
			buffer->payload[data - buffer->payload + (int64_t)at] ^=
				2;
	}
}

/* The paper's figure 8: what it found in its log it takes for committed. */
static void commit_old_terms(struct raft *raft)
{
	if (raft->role == RAFT_LEADER &&
	    raft->log.commit + 1 < raft->term_start)
		raft_log_commit_to(&raft->log, raft->term_start - 1);
}

static void cut_log(struct raft *raft)
{
	if (raft->role == RAFT_LEADER && raft->log.last > raft->log.commit)
		raft_log_cut(&raft->log, raft->log.last);
}

static void lie_to_raft(struct raft *raft)
{
	if (sim.bug == SIM_BUG_OLD_COMMIT)
		commit_old_terms(raft);
	else if (sim.bug == SIM_BUG_CUT_LOG && sim_below(SIM_DAEMON, 64) == 0)
		cut_log(raft);
	else if (sim.bug == SIM_BUG_SECOND_CHANGE)
		raft->pending_conf = 0;
}

void lies_turn(struct node *node)
{
	if (sim.bug < SIM_BUG_OF_CLUSTERS)
		return;
	lie_to_raft(node->raft);
	if (sim_below(SIM_DAEMON, 4) != 0)
		return;
	/* Nor does it wait until nobody remembers what it answered. */
	if (sim.bug == SIM_BUG_FORGOTTEN_VOTE)
		raft_end_quiet(node->raft);
	else if (sim.bug == SIM_BUG_UNCONFIRMED_READ)
		confirm_reads(node);
	else if (sim.bug == SIM_BUG_RENAMED_COPY)
		rename_copies(node);
	else if (sim.bug == SIM_BUG_ALTERED_ENTRY)
		alter_entry(node);
}

/* ---- on the wire ---- */

static bool acknowledges(const struct wire_frame *frame)
{
	return frame->type == RAFT_MSG_APPEND_REPLY &&
	       (frame->flags & WIRE_REJECT) == 0;
}

/* The leader has an entry behind that one, and so believes it. */
static bool is_believed(const struct wire_frame *frame)
{
	int leader = watch_leader();
	struct raft_status status;
	if (leader < 0)
		return false;
	raft_status(machine_view((uint32_t)leader)->node->raft, &status);
	return status.term == frame->term &&
	       status.last_index > frame->log_index;
}

/* Another frame instead of this one, if it is of the kind that is meant. */
static const void *forge(const struct node_part *part, uint32_t room)
{
	static struct wire_frame frame;
	if (part->size != WIRE_HEADER_SIZE || room < WIRE_HEADER_SIZE ||
	    sim_below(SIM_DAEMON, 16) != 0)
		return part->bytes;
	memcpy(&frame, part->bytes, sizeof(frame));
	if (sim.bug == SIM_BUG_COMMIT_AHEAD && frame.type == RAFT_MSG_HEARTBEAT)
		frame.commit++;
	else if (sim.bug == SIM_BUG_ACK_AHEAD && acknowledges(&frame))
		frame.log_index++;
	else if (sim.bug == SIM_BUG_FORGED_ACK && acknowledges(&frame) &&
		 is_believed(&frame))
		frame.log_index++;
	else
		return part->bytes;
	wire_seal(&frame);
	return &frame;
}

const void *lies_part(const struct node_part *part, uint32_t room)
{
	bool lies =
		sim.bug == SIM_BUG_COMMIT_AHEAD || sim.bug == SIM_BUG_ACK_AHEAD;
	return lies ? forge(part, room) : part->bytes;
}

static bool asks_for_vote(const struct wire_frame *frame)
{
	return frame->type == RAFT_MSG_VOTE || frame->type == RAFT_MSG_PRE_VOTE;
}

static bool answers_vote(const struct wire_frame *frame)
{
	return frame->type == RAFT_MSG_VOTE_REPLY ||
	       frame->type == RAFT_MSG_PRE_VOTE_REPLY;
}

/* A refused vote as a granted one; or a log that is newer than any. */
static const void *forge_vote(const struct node_part *part, uint32_t room)
{
	static struct wire_frame frame;
	if (part->size != WIRE_HEADER_SIZE || room < WIRE_HEADER_SIZE)
		return part->bytes;
	memcpy(&frame, part->bytes, sizeof(frame));
	if (sim.bug == SIM_BUG_FORGED_GRANT &&
	    frame.type == RAFT_MSG_VOTE_REPLY) {
		frame.flags &= (uint8_t)~WIRE_REJECT;
	} else if (sim.bug == SIM_BUG_BOASTED_LOG && asks_for_vote(&frame)) {
		frame.log_index += BOAST;
		frame.log_term = frame.term - 1;
	} else if (sim.bug == SIM_BUG_BOASTED_LOG && answers_vote(&frame)) {
		frame.log_index = 0; /* nor does the grant tell */
		frame.log_term = 0;
	} else {
		return part->bytes;
	}
	wire_seal(&frame);
	return &frame;
}

/* Another value in the first of these entries, if they are some. */
static const void *forge_entry(const struct node_part *part, uint32_t room)
{
	static uint8_t copy[WIRE_BODY_MAX];
	struct entry_header header;
	struct op_header op;
	if (part->size > sizeof(copy) || room < part->size ||
	    entry_check(part->bytes, part->size, &header) != 0 ||
	    header.kind != ENTRY_NORMAL || sim_below(SIM_DAEMON, 16) != 0)
		return part->bytes;
	memcpy(copy, part->bytes, part->size);
	memcpy(&op, copy + ENTRY_HEADER_SIZE, sizeof(op));
	copy[ENTRY_HEADER_SIZE + op.size - 1] ^= 2;
	entry_seal(copy);
	entry_stamp(copy, header.index, header.term);
	return copy;
}

const void *lies_on_the_way(const struct node_part *part, uint32_t room)
{
	switch (sim.bug) {
	case SIM_BUG_FORGED_ACK:
		return forge(part, room);
	case SIM_BUG_FORGED_GRANT:
	case SIM_BUG_BOASTED_LOG:
		return forge_vote(part, room);
	case SIM_BUG_FORGED_ENTRY:
		return forge_entry(part, room);
	default:
		return part->bytes;
	}
}
