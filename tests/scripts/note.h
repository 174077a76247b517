/*
 * What travels in a scripted cluster: messages between members, and, with
 * asynchronous storage, work for a member's append and apply threads and
 * their answers. Entries and snapshots are copies, so that they stay what
 * they were when the note was written.
 */
#ifndef TESTS_SCRIPTS_NOTE_H
#define TESTS_SCRIPTS_NOTE_H

#include "raft/internal.h"
#include "tests/scripts/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum note_kind {
	NOTE_MESSAGE, /* to a peer, or to the member itself */
	NOTE_APPEND, /* to the append thread */
	NOTE_APPLY, /* to the apply thread */
	NOTE_APPEND_DONE, /* from the append thread */
	NOTE_APPLY_DONE, /* from the apply thread */
};

struct note;

struct note_list {
	struct note *notes;
	size_t count;
	size_t room;
};

struct note {
	enum note_kind kind;
	struct raft_message message;
	struct raft_entry *entries;
	uint32_t entry_count;
	struct raft_snapshot *snapshot;
	/* NOTE_APPEND. */
	bool has_hard;
	struct raft_hard_state hard;
	struct note_list responses; /* of the two kinds of work */
	/* NOTE_APPEND_DONE: what was written. */
	struct raft_record record;
};

void note_release(struct note *note);
/* A copy that owns what it points at. */
struct note note_copy(const struct note *note);
/* A peer's message, its entries taken from the core that sends it. */
struct note note_of_message(const struct raft *raft,
			    const struct raft_message *message);
void note_set_entries(struct note *note, const struct raft *raft,
		      uint64_t first, uint64_t last);
void note_set_snapshot(struct note *note, const struct raft_snapshot *snapshot);

/* Takes the note. */
void note_list_add(struct note_list *list, struct note note);
/* Gives the note at `at` back to the caller. */
struct note note_list_take(struct note_list *list, size_t at);
void note_list_release(struct note_list *list);

/* Whether it may not be lost: it never leaves its member. */
bool note_is_local(const struct note *note);
uint64_t note_target(const struct note *note);
/* As the scripts name its type. */
const char *note_type(const struct note *note);
bool note_knows_type(const char *name);

#endif
