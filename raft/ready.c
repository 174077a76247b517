/*
 * What is handed out, and what waits for the disk: the paper's Figure 2
 * (persist before answering), the dissertation's §10.2.1 (the leader writes
 * while it sends).
 *
 * Messages that promise something durable (votes, acknowledged appends) are
 * withheld. raft_advance() ties them to the ready that was handed out;
 * raft_persisted() releases them: those to peers go into the outbox, those
 * to this member itself are received. So the leader counts itself for an
 * entry exactly when its own disk has it.
 *
 * A ready that is not must_sync needs no answer: it is settled as soon as
 * all before it are.
 *
 * Invariant: nothing that depends on a write leaves, or counts here, before
 * that write and all earlier ones are durable.
 */
#include "raft/internal.h"

#include <assert.h>

static struct raft_message *withheld_slot(struct raft *raft, uint64_t at)
{
	return &raft->withheld[at & raft->withheld_mask];
}

static bool is_withheld(uint8_t type)
{
	return type == RAFT_MSG_APPEND_REPLY || type == RAFT_MSG_VOTE_REPLY ||
	       type == RAFT_MSG_PRE_VOTE_REPLY;
}

static bool carries_own_term(uint8_t type)
{
	return type == RAFT_MSG_VOTE || type == RAFT_MSG_VOTE_REPLY ||
	       type == RAFT_MSG_PRE_VOTE || type == RAFT_MSG_PRE_VOTE_REPLY ||
	       type == RAFT_MSG_PROPOSE || type == RAFT_MSG_READ_INDEX;
}

static void outbox_put(struct raft *raft, const struct raft_message *message)
{
	struct raft_message *slot;

	/* Beyond the limit it is as if the network had lost it. */
	if (raft->outbox_count == raft->options.messages_max)
		return;
	slot = &raft->outbox[raft->outbox_count];
	*slot = *message;
	if (message->type == RAFT_MSG_PROPOSE) {
		raft->outbox_entries[raft->outbox_count] = *message->entries;
		slot->entries = &raft->outbox_entries[raft->outbox_count];
	}
	raft->outbox_count++;
}

/*
 * Acknowledgements of this member to itself that follow each other become
 * one, of entries first_index .. log_index. Nothing else to itself is found
 * before one, and none of another term: who leads has written its vote, and
 * all that was withheld before.
 */
static bool merge_own_ack(struct raft *raft, const struct raft_message *message)
{
	struct raft_message *last;

	if (raft->withheld_end == raft->withheld_taken)
		return false;
	last = withheld_slot(raft, raft->withheld_end - 1);
	if (last->to != raft->options.id)
		return false;
	assert(last->type == RAFT_MSG_APPEND_REPLY);
	assert(last->term == message->term);
	assert(last->log_index + 1 == message->log_index);
	last->log_index = message->log_index;
	return true;
}

/*
 * While a disk stalls, what is withheld grows. Beyond the limit it is as if
 * the network had lost it, but for this member's own acknowledgements: of
 * those there is one for each record, and one between two other messages.
 */
static void withheld_put(struct raft *raft, const struct raft_message *message)
{
	uint64_t count = raft->withheld_end - raft->withheld_begin;
	bool own_ack = message->to == raft->options.id &&
		       message->type == RAFT_MSG_APPEND_REPLY;

	if (own_ack && merge_own_ack(raft, message))
		return;
	if (!own_ack && count >= 2 * (uint64_t)raft->options.messages_max)
		return;
	assert(count <= raft->withheld_mask);
	*withheld_slot(raft, raft->withheld_end++) = *message;
}

void raft_send(struct raft *raft, const struct raft_message *message)
{
	struct raft_message copy = *message;

	assert(copy.to != 0);
	copy.from = raft->options.id;
	if (!carries_own_term(copy.type))
		copy.term = raft->term;
	if (is_withheld(copy.type)) {
		withheld_put(raft, &copy);
		return;
	}
	assert(copy.to != raft->options.id);
	outbox_put(raft, &copy);
}

void raft_outbox_purge(struct raft *raft, uint64_t from, uint64_t to)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < raft->outbox_count; i++) {
		const struct raft_message *m = &raft->outbox[i];

		if (m->type == RAFT_MSG_APPEND && m->entry_count > 0 &&
		    (m->first_index + m->entry_count > from ||
		     m->first_index < to))
			continue;
		if (kept != i) {
			raft->outbox[kept] = *m;
			raft->outbox_entries[kept] = raft->outbox_entries[i];
		}
		if (m->type == RAFT_MSG_PROPOSE)
			raft->outbox[kept].entries =
				&raft->outbox_entries[kept];
		kept++;
	}
	raft->outbox_count = kept;
}

static bool hard_changed(const struct raft *raft)
{
	return raft->term != raft->shown_hard.term ||
	       raft->vote != raft->shown_hard.vote ||
	       raft->log.commit != raft->shown_hard.commit;
}

bool raft_must_sync(const struct raft *raft)
{
	assert(raft);
	return raft->term != raft->shown_hard.term ||
	       raft->vote != raft->shown_hard.vote ||
	       raft->log.handed < raft->log.last ||
	       (raft->log.incoming_set && !raft->log.incoming_handed);
}

static bool soft_changed(const struct raft *raft)
{
	return raft->leader != raft->shown_leader ||
	       raft->role != raft->shown_role;
}

bool raft_has_ready(const struct raft *raft)
{
	return raft->outbox_count > 0 || raft->read_count > 0 ||
	       raft->withheld_taken < raft->withheld_end ||
	       soft_changed(raft) || hard_changed(raft) ||
	       raft_must_sync(raft) || raft_log_has_apply(&raft->log);
}

void raft_ready_build(struct raft *raft, struct raft_ready *ret_ready)
{
	const struct raft_log *log = &raft->log;
	struct raft_ready ready = {0};

	ready.number = raft->number + 1;
	ready.must_sync = raft_must_sync(raft);
	ready.hard_changed = hard_changed(raft);
	ready.hard.term = raft->term;
	ready.hard.vote = raft->vote;
	ready.hard.commit = log->commit;
	if (log->handed < log->last) {
		ready.append_first = log->handed + 1;
		ready.append_last = log->last;
	}
	if (log->incoming_set && !log->incoming_handed)
		ready.snapshot = &log->incoming;
	if (raft_log_has_apply(log)) {
		ready.apply_first = log->applying + 1;
		ready.apply_last = raft_log_apply_last(log);
	}
	ready.messages = raft->outbox;
	ready.message_count = raft->outbox_count;
	ready.reads = raft->reads;
	ready.read_count = raft->read_count;
	ready.soft_changed = soft_changed(raft);
	ready.role = raft->role;
	ready.leader = raft->leader;
	raft->ready_open = true;
	raft->ready_light = false;
	*ret_ready = ready;
}

bool raft_ready_light(struct raft *raft, struct raft_ready *ret_ready)
{
	struct raft_ready ready;

	assert(raft && ret_ready);
	raft_ready_build(raft, &ready);
	ready.number = 0;
	ready.must_sync = false;
	ready.hard_changed = false;
	ready.append_first = 0;
	ready.append_last = 0;
	ready.snapshot = NULL;
	raft->ready_light = true;
	*ret_ready = ready;
	return ready.message_count > 0 || ready.read_count > 0 ||
	       ready.apply_last != 0 || ready.soft_changed;
}

/* Nothing is being written: what waits for nothing may go at once. */
static void release_free(struct raft *raft)
{
	uint64_t kept = raft->withheld_taken;

	if (raft->record_begin != raft->record_end || raft_must_sync(raft))
		return;
	for (uint64_t i = kept; i < raft->withheld_end; i++) {
		const struct raft_message *m = withheld_slot(raft, i);

		if (m->to == raft->options.id)
			*withheld_slot(raft, kept++) = *m;
		else
			outbox_put(raft, m);
	}
	raft->withheld_end = kept;
}

void raft_ready(struct raft *raft, struct raft_ready *ret_ready)
{
	assert(raft && ret_ready);
	release_free(raft);
	raft_ready_build(raft, ret_ready);
}

/*
 * The record for the ready that is taken now: a new one, or, when too many
 * wait for a disk that stalls, the newest again, under the number of the last
 * of its writes. What it withheld then waits for all of them.
 */
static struct raft_record *next_record(struct raft *raft)
{
	uint64_t at = raft->record_end;

	if (at - raft->record_begin == RAFT_READIES_MAX) {
		raft->record_end--;
		return &raft->records[(at - 1) % RAFT_READIES_MAX];
	}
	raft->records[at % RAFT_READIES_MAX] = (struct raft_record){0};
	return &raft->records[at % RAFT_READIES_MAX];
}

/* What the disk will have once it answers this number. */
static void fill_record(struct raft *raft, struct raft_record *record)
{
	struct raft_log *log = &raft->log;
	bool sync = raft_must_sync(raft);

	raft->number++;
	/* A record that is used again keeps the number of its last write. */
	if (sync || !record->must_sync)
		record->number = raft->number;
	record->must_sync = sync || record->must_sync;
	record->term = raft->term;
	record->handed_last = log->last;
	record->last_index = 0;
	record->last_term = 0;
	if (log->stable < log->last) {
		record->last_index = log->last;
		record->last_term = raft_log_last_term(log);
	}
	if (log->incoming_set && !log->incoming_handed)
		record->snapshot_index = log->incoming.index;
	record->withheld_end = raft->withheld_end;
}

/* What goes to others, to the state machine and to people. */
static void mark_shown(struct raft *raft)
{
	struct raft_log *log = &raft->log;

	if (raft_log_has_apply(log))
		raft_log_hand_apply(log, raft_log_apply_last(log));
	raft->shown_leader = raft->leader;
	raft->shown_role = raft->role;
	raft->outbox_count = 0;
	raft->read_count = 0;
	raft->round_open = false;
}

/* What goes to the disk. */
static void mark_handed(struct raft *raft)
{
	struct raft_log *log = &raft->log;

	log->handed = log->last;
	log->incoming_handed = log->incoming_set;
	raft->shown_hard.term = raft->term;
	raft->shown_hard.vote = raft->vote;
	raft->shown_hard.commit = log->commit;
}

const struct raft_record *raft_ready_accept(struct raft *raft)
{
	struct raft_record *record;

	assert(raft->ready_open);
	raft->ready_open = false;
	record = next_record(raft);
	fill_record(raft, record);
	mark_shown(raft);
	mark_handed(raft);
	if (record->must_sync || raft->withheld_taken < raft->withheld_end)
		raft->record_end++;
	raft->withheld_taken = raft->withheld_end;
	return record;
}

void raft_record_stable(struct raft *raft, const struct raft_record *record)
{
	/*
	 * After a change of term the entries may have been overwritten, and
	 * overwritten again by the first ones: the write that brought the new
	 * term to the disk speaks for the log, not this one.
	 */
	if (record->last_index != 0 && record->term == raft->term)
		raft_log_stable_to(&raft->log, record->last_index,
				   record->last_term);
	if (record->snapshot_index != 0)
		raft_snapshot_durable(raft, record->snapshot_index);
}

static void receive_own(struct raft *raft, const struct raft_message *message)
{
	int err = raft_step(raft, message);

	assert(err == 0);
}

static void record_release(struct raft *raft)
{
	struct raft_record record =
		raft->records[raft->record_begin % RAFT_READIES_MAX];

	raft->record_begin++;
	while (raft->withheld_begin < record.withheld_end) {
		struct raft_message message =
			*withheld_slot(raft, raft->withheld_begin++);

		if (message.to == raft->options.id)
			receive_own(raft, &message);
		else
			outbox_put(raft, &message);
	}
	raft_record_stable(raft, &record);
}

static void settle(struct raft *raft)
{
	while (raft->record_begin != raft->record_end) {
		const struct raft_record *record =
			&raft->records[raft->record_begin % RAFT_READIES_MAX];

		if (record->must_sync && record->number > raft->persisted)
			return;
		record_release(raft);
	}
}

void raft_advance(struct raft *raft)
{
	assert(raft && raft->ready_open);
	if (raft->ready_light) {
		raft->ready_open = false;
		mark_shown(raft);
	} else {
		(void)raft_ready_accept(raft); /* settle() finds it */
	}
	settle(raft);
	/* Confirmed reads for which this one had no room come next. */
	raft_reads_confirm(raft);
	if (raft->append_missed && raft->role == RAFT_LEADER) {
		raft->append_missed = false;
		raft_broadcast_append(raft);
	}
}

void raft_persisted(struct raft *raft, uint64_t number, uint64_t index,
		    uint64_t term)
{
	assert(raft);
	raft_touch(raft);
	assert(number <= raft->number);
	assert((index == 0) == (term == 0));
	for (uint64_t i = raft->record_begin; i != raft->record_end; i++) {
		const struct raft_record *record =
			&raft->records[i % RAFT_READIES_MAX];

		if (record->number == number)
			assert(index <= record->handed_last);
	}
	if (number > raft->persisted)
		raft->persisted = number;
	settle(raft);
}

void raft_applied_to(struct raft *raft, uint64_t index)
{
	struct raft_log *log = &raft->log;

	if (index > log->applied)
		raft_reduce_uncommitted(raft, raft_log_applied_to(log, index));
	raft_leave_joint(raft);
}

void raft_applied(struct raft *raft, uint64_t index)
{
	assert(raft);
	raft_touch(raft);
	assert(index <= raft->log.applying);
	raft_applied_to(raft, index);
}
