/*
 * Notes and lists of them.
 */
#include "tests/scripts/note.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void note_release(struct note *note)
{
	free(note->entries);
	free(note->snapshot);
	note_list_release(&note->responses);
	*note = (struct note){0};
}

static void copy_entries(struct note *note, const struct raft_entry *entries,
			 uint32_t count)
{
	if (count == 0)
		return;
	note->entries = calloc(count, sizeof(*entries));
	assert(note->entries);
	memcpy(note->entries, entries, count * sizeof(*entries));
	note->entry_count = count;
}

void note_set_snapshot(struct note *note, const struct raft_snapshot *snapshot)
{
	if (!snapshot)
		return;
	note->snapshot = malloc(sizeof(*snapshot));
	assert(note->snapshot);
	*note->snapshot = *snapshot;
}

struct note note_copy(const struct note *note)
{
	struct note copy = *note;

	copy.entries = NULL;
	copy.entry_count = 0;
	copy.snapshot = NULL;
	copy.responses = (struct note_list){0};
	copy_entries(&copy, note->entries, note->entry_count);
	note_set_snapshot(&copy, note->snapshot);
	for (size_t i = 0; i < note->responses.count; i++)
		note_list_add(&copy.responses,
			      note_copy(&note->responses.notes[i]));
	return copy;
}

void note_set_entries(struct note *note, const struct raft *raft,
		      uint64_t first, uint64_t last)
{
	uint32_t count = (uint32_t)(last - first + 1);

	assert(first > 0 && last >= first);
	note->entries = calloc(count, sizeof(*note->entries));
	assert(note->entries);
	note->entry_count = count;
	for (uint32_t i = 0; i < count; i++) {
		const struct raft_entry *entry = raft_entry_at(raft, first + i);

		assert(entry);
		note->entries[i] = *entry;
	}
}

struct note note_of_message(const struct raft *raft,
			    const struct raft_message *message)
{
	struct note note = {.kind = NOTE_MESSAGE, .message = *message};

	if (message->type == RAFT_MSG_APPEND && message->entry_count > 0)
		note_set_entries(
			&note, raft, message->first_index,
			message->first_index + message->entry_count - 1);
	else
		copy_entries(&note, message->entries, message->entry_count);
	note_set_snapshot(&note, message->snapshot);
	return note;
}

void note_list_add(struct note_list *list, struct note note)
{
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 16;
		list->notes =
			realloc(list->notes, list->room * sizeof(*list->notes));
		assert(list->notes);
	}
	list->notes[list->count++] = note;
}

struct note note_list_take(struct note_list *list, size_t at)
{
	struct note note;

	assert(at < list->count);
	note = list->notes[at];
	list->count--;
	memmove(&list->notes[at], &list->notes[at + 1],
		(list->count - at) * sizeof(note));
	return note;
}

void note_list_release(struct note_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		note_release(&list->notes[i]);
	free(list->notes);
	*list = (struct note_list){0};
}

bool note_is_local(const struct note *note)
{
	return note->kind != NOTE_MESSAGE ||
	       note->message.from == note->message.to;
}

uint64_t note_target(const struct note *note)
{
	return note->message.to;
}

static const char *const message_types[] = {
	[RAFT_MSG_PROPOSE] = "MsgProp",
	[RAFT_MSG_APPEND] = "MsgApp",
	[RAFT_MSG_APPEND_REPLY] = "MsgAppResp",
	[RAFT_MSG_VOTE] = "MsgVote",
	[RAFT_MSG_VOTE_REPLY] = "MsgVoteResp",
	[RAFT_MSG_PRE_VOTE] = "MsgPreVote",
	[RAFT_MSG_PRE_VOTE_REPLY] = "MsgPreVoteResp",
	[RAFT_MSG_SNAPSHOT] = "MsgSnap",
	[RAFT_MSG_HEARTBEAT] = "MsgHeartbeat",
	[RAFT_MSG_HEARTBEAT_REPLY] = "MsgHeartbeatResp",
	[RAFT_MSG_TRANSFER] = "MsgTransferLeader",
	[RAFT_MSG_TIMEOUT_NOW] = "MsgTimeoutNow",
	[RAFT_MSG_READ_INDEX] = "MsgReadIndex",
	[RAFT_MSG_READ_INDEX_REPLY] = "MsgReadIndexResp",
	[RAFT_MSG_FORGET_LEADER] = "MsgForgetLeader",
};

static const char *const work_types[] = {
	[NOTE_APPEND] = "MsgStorageAppend",
	[NOTE_APPLY] = "MsgStorageApply",
	[NOTE_APPEND_DONE] = "MsgStorageAppendResp",
	[NOTE_APPLY_DONE] = "MsgStorageApplyResp",
};

const char *note_type(const struct note *note)
{
	return note->kind == NOTE_MESSAGE ? message_types[note->message.type]
					  : work_types[note->kind];
}

static bool is_listed(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (names[i] && strcmp(name, names[i]) == 0)
			return true;
	return false;
}

bool note_knows_type(const char *name)
{
	return is_listed(name, message_types,
			 sizeof(message_types) / sizeof(message_types[0])) ||
	       is_listed(name, work_types,
			 sizeof(work_types) / sizeof(work_types[0]));
}
