/*
 * Members, their threads, and what the network does with their messages.
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
	note_list_release(&cluster->held);
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

/* Makes the core anew from what the disk has; false if it refuses. */
static bool member_start(struct member *member)
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
	if (err != 0)
		return false;
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
	return true;
}

/* An empty disk, but for what the member is born with. */
static void member_wipe(struct member *member)
{
	storage_release(&member->disk);
	if (member->birth.index > 0)
		storage_install(&member->disk, &member->birth);
	member->disk.hard.commit = member->birth.index;
}

bool cluster_add(struct cluster *cluster, const struct raft_options *options,
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
	member->birth = *snapshot;
	member_wipe(member);
	if (member_start(member))
		return true;
	cluster->count--;
	member_release(member);
	return false;
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
	member_write(member, &work);
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
	member_apply(member, &work);
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

void cluster_restart(struct cluster *cluster, struct member *member,
		     enum cluster_loss loss)
{
	bool started;

	if (loss == CLUSTER_LOSES_NOTHING)
		for (size_t i = 0; i < member->append_work.count; i++)
			member_write(member, &member->append_work.notes[i]);
	if (loss == CLUSTER_LOSES_ALL)
		member_wipe(member);
	note_list_release(&member->append_work);
	note_list_release(&member->apply_work);
	forget_local(cluster, member->options.id);
	started = member_start(member);
	assert(started);
}
