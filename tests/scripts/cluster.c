/*
 * One turn of a member, and what the network does with its messages.
 *
 * With synchronous storage a turn writes, applies and tells the core at
 * once. With asynchronous storage the write and the apply become notes to
 * two threads, and the core is told when their answers are delivered. The
 * runner then does in pieces what raft_persisted() does at once: it hands
 * the core the messages that it withheld from itself one by one, and the
 * record's part for the log.
 */
#include "tests/scripts/cluster.h"

#include "raft/entry.h"
#include "tests/scripts/describe.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void cluster_init(struct cluster *cluster)
{
	*cluster = (struct cluster){0};
}

static void member_release(struct member *member)
{
	free(member->memory);
	storage_release(&member->disk);
	note_list_release(&member->append_work);
	note_list_release(&member->apply_work);
}

void cluster_release(struct cluster *cluster)
{
	for (unsigned int i = 0; i < cluster->count; i++)
		member_release(&cluster->members[i]);
	note_list_release(&cluster->network);
	for (size_t i = 0; i < cluster->payload_count; i++)
		free(cluster->payloads[i]);
	free(cluster->payloads);
	text_release(&cluster->out);
}

struct member *cluster_member(struct cluster *cluster, uint64_t id)
{
	if (id == 0 || id > cluster->count)
		return NULL;
	return &cluster->members[id - 1];
}

/* Makes the core anew from what the disk has. */
static void member_start(struct member *member)
{
	const struct storage *disk = &member->disk;
	struct raft_hard_state hard = disk->hard;
	uint64_t term = hard.term;
	int err;

	/* A script's members are born at term 0 with a snapshot of term 1. */
	if (hard.term < disk->saved.term)
		hard.term = disk->saved.term;
	free(member->memory);
	member->memory = aligned_alloc(64, raft_memory_size(&member->options));
	assert(member->memory);
	err = raft_init(&member->raft, &member->options, &hard, &disk->saved,
			member->memory);
	assert(err == 0);
	for (size_t i = 0; i < disk->count; i++) {
		if (disk->entries[i].index <= disk->saved.index)
			continue;
		err = raft_load(member->raft, &disk->entries[i]);
		assert(err == 0);
	}
	member->raft->term = term;
	member->raft->shown_hard.term = term;
	/* Who writes before it applies may apply what is not stable yet. */
	member->raft->log.apply_unstable = !member->async;
	member->image = disk->saved;
}

void cluster_add(struct cluster *cluster, const struct raft_options *options,
		 const struct raft_snapshot *snapshot, bool async)
{
	struct member *member;

	assert(cluster->count < CLUSTER_MEMBERS_MAX);
	member = &cluster->members[cluster->count++];
	*member = (struct member){0};
	member->options = *options;
	member->options.id = cluster->count;
	member->options.seed = cluster->count;
	member->async = async;
	if (snapshot->index > 0)
		storage_install(&member->disk, snapshot);
	member->disk.hard.commit = snapshot->index;
	member_start(member);
}

const void *cluster_payload(struct cluster *cluster, uint8_t kind,
			    const void *bytes, uint32_t size)
{
	struct entry_header header = {.kind = kind, .size = size};
	uint8_t *entry = calloc(1, entry_size(size));

	assert(entry);
	if (cluster->payload_count == cluster->payload_room) {
		cluster->payload_room =
			cluster->payload_room ? 2 * cluster->payload_room : 64;
		cluster->payloads =
			realloc(cluster->payloads,
				cluster->payload_room * sizeof(void *));
		assert(cluster->payloads);
	}
	cluster->payloads[cluster->payload_count++] = entry;
	memcpy(entry, &header, sizeof(header));
	if (size > 0)
		memcpy(entry + ENTRY_HEADER_SIZE, bytes, size);
	entry_seal(entry);
	return entry;
}

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

static void apply_entries(struct member *member, const struct note *note)
{
	for (uint32_t i = 0; i < note->entry_count; i++)
		apply_one(member, &note->entries[i]);
}

static void write_disk(struct member *member, const struct note *note)
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

/* The write is done, the entries are applied: all in one turn. */
static void turn_finish(struct turn *turn, struct member *member,
			const struct raft_record *record)
{
	struct raft *raft = member->raft;
	uint64_t id = member->options.id;

	for (size_t i = 0; i < turn->withheld.count; i++)
		if (note_target(&turn->withheld.notes[i]) == id)
			(void)raft_step(raft, &turn->withheld.notes[i].message);
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
		write_disk(member, &turn.write);
		apply_entries(member, &turn.apply);
		post(cluster, &turn.sent, member->options.id);
		post(cluster, &turn.withheld, member->options.id);
		turn_finish(&turn, member, &record);
	}
	note_list_release(&turn.sent);
	note_list_release(&turn.withheld);
	note_release(&turn.write);
	note_release(&turn.apply);
}

static void describe_work(struct text *out, struct note *work)
{
	struct note_list responses = work->responses;

	work->responses = (struct note_list){0};
	text_add(out, "Processing:\n");
	describe_note(out, work);
	text_add(out, "\nResponses:\n");
	for (size_t i = 0; i < responses.count; i++) {
		describe_note(out, &responses.notes[i]);
		text_add(out, "\n");
	}
	work->responses = responses;
}

static void answer_work(struct cluster *cluster, struct note *work)
{
	for (size_t i = 0; i < work->responses.count; i++)
		note_list_add(&cluster->network,
			      note_copy(&work->responses.notes[i]));
	note_release(work);
}

void cluster_append_thread(struct cluster *cluster, struct member *member)
{
	struct note work;

	if (member->append_work.count == 0) {
		text_add(&cluster->out, "no append work to perform\n");
		return;
	}
	work = note_list_take(&member->append_work, 0);
	describe_work(&cluster->out, &work);
	write_disk(member, &work);
	answer_work(cluster, &work);
}

void cluster_apply_thread(struct cluster *cluster, struct member *member)
{
	struct note work;

	if (member->apply_work.count == 0) {
		text_add(&cluster->out, "no apply work to perform\n");
		return;
	}
	work = note_list_take(&member->apply_work, 0);
	describe_work(&cluster->out, &work);
	apply_entries(member, &work);
	answer_work(cluster, &work);
}

bool cluster_has_messages(const struct cluster *cluster, uint64_t id)
{
	for (size_t i = 0; i < cluster->network.count; i++)
		if (note_target(&cluster->network.notes[i]) == id)
			return true;
	return false;
}

const char *cluster_error(int err)
{
	switch (err) {
	case 0:
	case RAFT_ECONF_REFUSED: /* an empty entry was appended instead */
		return NULL;
	case RAFT_EUNKNOWN_PEER:
		return "raft: cannot step as peer not found";
	case RAFT_EDROPPED_NO_LEADER:
	case RAFT_EDROPPED_TRANSFER:
	case RAFT_EDROPPED_LOG_FULL:
	case RAFT_EDROPPED_REMOVED:
	case RAFT_EDROPPED_NO_FORWARD:
		return "raft proposal dropped";
	case RAFT_EINVALID:
		return "raft: impossible message";
	default:
		return "raft: full";
	}
}

static int step_note(struct member *member, const struct note *note)
{
	struct raft_message message = note->message;
	int err;

	if (note->kind == NOTE_APPEND_DONE) {
		raft_record_stable(member->raft, &note->record);
		return 0;
	}
	if (note->kind == NOTE_APPLY_DONE) {
		raft_applied(member->raft,
			     note->entries[note->entry_count - 1].index);
		return 0;
	}
	message.entries = note->entries;
	message.snapshot = note->snapshot;
	if (message.from == message.to)
		return raft_step(member->raft, &message);
	err = raft_receive(member->raft, &message);
	/* A read that no one leads for is lost without a word. */
	if (message.type == RAFT_MSG_READ_INDEX)
		err = 0;
	return err;
}

static void receive_note(struct cluster *cluster, const struct note *note)
{
	struct member *member = cluster_member(cluster, note_target(note));
	const char *error;

	describe_note(&cluster->out, note);
	text_add(&cluster->out, "\n");
	assert(member);
	error = cluster_error(step_note(member, note));
	if (error)
		text_add(&cluster->out, "%s\n", error);
}

static bool is_severed(const struct cluster *cluster, const struct note *note)
{
	const struct raft_message *m = &note->message;

	if (note_is_local(note) || m->from == 0 || m->from > cluster->count ||
	    m->to > cluster->count)
		return false;
	return cluster->severed[m->from - 1][m->to - 1];
}

unsigned int cluster_deliver(struct cluster *cluster, uint64_t id,
			     const char *type, bool drop)
{
	struct note_list taken = {0};
	unsigned int count;

	for (size_t i = 0; i < cluster->network.count;) {
		const struct note *note = &cluster->network.notes[i];

		if (note_target(note) != id || (drop && note_is_local(note)) ||
		    (type && strcmp(type, note_type(note)) != 0)) {
			i++;
			continue;
		}
		note_list_add(&taken, note_list_take(&cluster->network, i));
	}
	for (size_t i = 0; i < taken.count; i++) {
		if (drop || is_severed(cluster, &taken.notes[i])) {
			text_add(&cluster->out, "dropped: ");
			describe_note(&cluster->out, &taken.notes[i]);
			text_add(&cluster->out, "\n");
		} else {
			receive_note(cluster, &taken.notes[i]);
		}
	}
	count = (unsigned int)taken.count;
	note_list_release(&taken);
	return count;
}

/* The process is gone, and what it told itself with it. */
static void forget_local(struct cluster *cluster, uint64_t id)
{
	for (size_t i = 0; i < cluster->network.count;) {
		const struct note *note = &cluster->network.notes[i];

		if (note_is_local(note) && note_target(note) == id) {
			struct note gone = note_list_take(&cluster->network, i);

			note_release(&gone);
		} else {
			i++;
		}
	}
}

void cluster_restart(struct cluster *cluster, struct member *member, bool crash)
{
	if (!crash)
		for (size_t i = 0; i < member->append_work.count; i++)
			write_disk(member, &member->append_work.notes[i]);
	note_list_release(&member->append_work);
	note_list_release(&member->apply_work);
	forget_local(cluster, member->options.id);
	member_start(member);
}
