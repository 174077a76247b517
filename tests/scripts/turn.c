/*
 * One turn of a member: what its core wants done, taken apart into notes,
 * printed, and done at once or left to its threads.
 *
 * With synchronous storage a turn writes, applies and tells the core at
 * once. With asynchronous storage the write and the apply become notes to
 * two threads, and the core is told when their answers are delivered. Here
 * is done in pieces what raft_persisted() does at once: the core gets the
 * messages that it withheld from itself one by one, and then the record's
 * part for the log.
 */
#include "tests/scripts/cluster.h"

#include "raft/entry.h"
#include "tests/scripts/describe.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/*
 * Takes what the core withholds for the ready being handed out. An
 * acknowledgement to itself that stands for several becomes several again.
 */
static void take_withheld(struct raft *raft, struct note_list *list)
{
	for (uint64_t i = raft->withheld_taken; i < raft->withheld_end; i++) {
		struct raft_message m = raft->withheld[i & raft->withheld_mask];
		uint64_t last = m.log_index;
		uint64_t first = m.first_index ? m.first_index : last;

		for (uint64_t index = first; index <= last; index++) {
			struct note note = {.message = m};

			note.message.log_index = index;
			note.message.first_index = 0;
			note_list_add(list, note);
		}
	}
	raft->withheld_end = raft->withheld_taken;
}

static void apply_one(struct member *member, const struct raft_entry *entry)
{
	member->image.index = entry->index;
	member->image.term = entry->term;
	if (entry->kind == ENTRY_CONF_V1 || entry->kind == ENTRY_CONF_V2) {
		int err = raft_apply_conf(member->raft, entry,
					  &member->image.conf);

		assert(err == 0);
	}
	raft_offer_snapshot(member->raft, &member->image);
}

void member_apply(struct member *member, const struct note *note)
{
	for (uint32_t i = 0; i < note->entry_count; i++)
		apply_one(member, &note->entries[i]);
}

void member_write(struct member *member, const struct note *note)
{
	if (note->has_hard)
		member->disk.hard = note->hard;
	if (note->snapshot) {
		storage_install(&member->disk, note->snapshot);
		member->image = *note->snapshot;
	}
	storage_append(&member->disk, note->entries, note->entry_count);
}

/* One ready, taken apart into notes. */
struct turn {
	struct raft_ready ready;
	bool must_sync;
	struct note_list sent; /* may go at once */
	struct note_list withheld; /* after the write */
	struct note write;
	struct note apply;
	bool writes;
};

static void turn_begin(struct turn *turn, struct member *member)
{
	struct raft *raft = member->raft;
	struct raft_ready *ready = &turn->ready;

	*turn = (struct turn){0};
	raft_ready_build(raft, ready);
	turn->must_sync = ready->append_first != 0 ||
			  ready->hard.term != raft->shown_hard.term ||
			  ready->hard.vote != raft->shown_hard.vote;
	for (uint32_t i = 0; i < ready->message_count; i++)
		note_list_add(&turn->sent,
			      note_of_message(raft, &ready->messages[i]));
	turn->write.kind = NOTE_APPEND;
	turn->write.message.from = raft->options.id;
	turn->write.has_hard = ready->hard_changed;
	turn->write.hard = ready->hard;
	note_set_snapshot(&turn->write, ready->snapshot);
	if (ready->append_first != 0)
		note_set_entries(&turn->write, raft, ready->append_first,
				 ready->append_last);
	turn->apply.kind = NOTE_APPLY;
	turn->apply.message.from = raft->options.id;
	if (ready->apply_first != 0)
		note_set_entries(&turn->apply, raft, ready->apply_first,
				 ready->apply_last);
	take_withheld(raft, &turn->withheld);
	turn->writes = turn->write.entry_count > 0 || ready->hard_changed ||
		       ready->snapshot || turn->withheld.count > 0;
}

/* The two threads' answers become part of their work. */
static void turn_add_answers(struct turn *turn, struct member *member,
			     const struct raft_record *record)
{
	uint64_t id = member->options.id;
	struct note done = {.kind = NOTE_APPEND_DONE, .record = *record};

	for (size_t i = 0; i < turn->withheld.count; i++)
		note_list_add(&turn->write.responses,
			      note_copy(&turn->withheld.notes[i]));
	if (record->last_index != 0 || record->snapshot_index != 0) {
		done.message.to = id;
		note_set_snapshot(&done, turn->write.snapshot);
		note_list_add(&turn->write.responses, done);
	}
	if (turn->apply.entry_count > 0) {
		struct note applied = note_copy(&turn->apply);

		applied.kind = NOTE_APPLY_DONE;
		applied.message.to = id;
		note_list_add(&turn->apply.responses, applied);
	}
}

static void describe_states(struct text *out, const struct turn *turn)
{
	const struct raft_ready *ready = &turn->ready;

	if (ready->soft_changed)
		text_add(out, "Lead:%" PRIu64 " State:%s\n", ready->leader,
			 describe_role(ready->role));
	if (ready->hard_changed) {
		text_add(out, "HardState ");
		describe_hard(out, &ready->hard);
		text_add(out, "\n");
	}
	for (uint32_t i = 0; i < ready->read_count; i++)
		text_add(out, "Read %" PRIu64 " at %" PRIu64 "\n",
			 ready->reads[i].context, ready->reads[i].index);
	if (turn->write.entry_count > 0) {
		text_add(out, "Entries:\n");
		describe_entries(out, turn->write.entries,
				 turn->write.entry_count);
	}
	if (turn->write.snapshot) {
		text_add(out, "Snapshot ");
		describe_snapshot(out, turn->write.snapshot);
		text_add(out, "\n");
	}
	if (turn->apply.entry_count > 0) {
		text_add(out, "CommittedEntries:\n");
		describe_entries(out, turn->apply.entries,
				 turn->apply.entry_count);
	}
}

static bool describe_sent(struct text *out, const struct note_list *list,
			  uint64_t self, bool begun)
{
	for (size_t i = 0; i < list->count; i++) {
		if (note_target(&list->notes[i]) == self)
			continue;
		if (!begun)
			text_add(out, "Messages:\n");
		begun = true;
		describe_note(out, &list->notes[i]);
		text_add(out, "\n");
	}
	return begun;
}

static bool turn_is_empty(const struct turn *turn)
{
	return !turn->ready.soft_changed && turn->ready.read_count == 0 &&
	       !turn->writes && turn->sent.count == 0 &&
	       turn->apply.entry_count == 0;
}

static void turn_describe(struct text *out, const struct turn *turn,
			  const struct member *member)
{
	uint64_t id = member->options.id;
	bool begun;

	if (turn_is_empty(turn)) {
		text_add(out, "<empty Ready>\n");
		return;
	}
	text_add(out, "Ready MustSync=%s:\n",
		 turn->must_sync ? "true" : "false");
	describe_states(out, turn);
	begun = describe_sent(out, &turn->sent, id, false);
	if (!member->async) {
		(void)describe_sent(out, &turn->withheld, id, begun);
		return;
	}
	if ((turn->writes || turn->apply.entry_count > 0) && !begun)
		text_add(out, "Messages:\n");
	if (turn->writes) {
		describe_note(out, &turn->write);
		text_add(out, "\n");
	}
	if (turn->apply.entry_count > 0) {
		describe_note(out, &turn->apply);
		text_add(out, "\n");
	}
}

static void post(struct cluster *cluster, struct note_list *list, uint64_t self)
{
	for (size_t i = 0; i < list->count; i++)
		if (note_target(&list->notes[i]) != self)
			note_list_add(&cluster->network,
				      note_copy(&list->notes[i]));
}

static void step_own(struct raft *raft, const struct raft_message *message)
{
	int err = raft_step(raft, message);

	assert(err == 0);
}

/* The write is done, the entries are applied: all in one turn. */
static void turn_finish(struct turn *turn, struct member *member,
			const struct raft_record *record)
{
	struct raft *raft = member->raft;
	uint64_t id = member->options.id;

	for (size_t i = 0; i < turn->withheld.count; i++)
		if (note_target(&turn->withheld.notes[i]) == id)
			step_own(raft, &turn->withheld.notes[i].message);
	raft_record_stable(raft, record);
	if (turn->apply.entry_count > 0)
		raft_applied(raft, turn->ready.apply_last);
}

void cluster_ready(struct cluster *cluster, struct member *member)
{
	struct raft *raft = member->raft;
	struct raft_record record;
	struct turn turn;

	turn_begin(&turn, member);
	/* The record is handled here, not by raft_persisted(). */
	record = *raft_ready_accept(raft);
	raft->record_begin = raft->record_end;
	turn_add_answers(&turn, member, &record);
	turn_describe(&cluster->out, &turn, member);
	if (member->async) {
		post(cluster, &turn.sent, member->options.id);
		if (turn.writes)
			note_list_add(&member->append_work,
				      note_copy(&turn.write));
		if (turn.apply.entry_count > 0)
			note_list_add(&member->apply_work,
				      note_copy(&turn.apply));
	} else {
		member_write(member, &turn.write);
		member_apply(member, &turn.apply);
		post(cluster, &turn.sent, member->options.id);
		post(cluster, &turn.withheld, member->options.id);
		turn_finish(&turn, member, &record);
	}
	note_list_release(&turn.sent);
	note_list_release(&turn.withheld);
	note_release(&turn.write);
	note_release(&turn.apply);
}
