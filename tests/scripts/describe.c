/*
 * Printing as the scripts expect it, to the letter.
 */
#include "tests/scripts/describe.h"

#include "raft/entry.h"

#include <assert.h>
#include <inttypes.h>

static void describe_changes(struct text *text, const struct raft_entry *entry)
{
	static const char letters[] = {[RAFT_ADD_VOTER] = 'v',
				       [RAFT_REMOVE] = 'r',
				       [RAFT_UPDATE] = 'u',
				       [RAFT_ADD_LEARNER] = 'l'};
	struct raft_conf_changes changes;
	int err = raft_conf_decode(
		entry->kind, entry->data ? entry_payload(entry->data) : NULL,
		entry->size, &changes);

	assert(err == 0);
	for (unsigned int i = 0; i < changes.count; i++)
		text_add(text, " %c%" PRIu64, letters[changes.changes[i].type],
			 changes.changes[i].id);
}

void describe_entry(struct text *text, const struct raft_entry *entry)
{
	text_add(text, "%" PRIu64 "/%" PRIu64 " ", entry->term, entry->index);
	if (entry->kind == ENTRY_CONF_V1) {
		text_add(text, "EntryConfChange");
		describe_changes(text, entry);
	} else if (entry->kind == ENTRY_CONF_V2) {
		text_add(text, "EntryConfChangeV2");
		describe_changes(text, entry);
	} else {
		text_add(text, "EntryNormal ");
		text_add_quoted(text,
				entry->data ? entry_payload(entry->data) : NULL,
				entry->size);
	}
}

void describe_entries(struct text *text, const struct raft_entry *entries,
		      uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		describe_entry(text, &entries[i]);
		text_add(text, "\n");
	}
}

void describe_hard(struct text *text, const struct raft_hard_state *hard)
{
	text_add(text, "Term:%" PRIu64, hard->term);
	if (hard->vote != 0)
		text_add(text, " Vote:%" PRIu64, hard->vote);
	text_add(text, " Commit:%" PRIu64, hard->commit);
}

static void describe_ids(struct text *text, const char *open,
			 const uint64_t *ids, uint8_t count, const char *close)
{
	text_add(text, "%s", open);
	for (unsigned int i = 0; i < count; i++)
		text_add(text, "%s%" PRIu64, i > 0 ? " " : "", ids[i]);
	text_add(text, "%s", close);
}

void describe_snapshot(struct text *text, const struct raft_snapshot *snapshot)
{
	const struct raft_conf_state *conf = &snapshot->conf;

	text_add(text, "Index:%" PRIu64 " Term:%" PRIu64, snapshot->index,
		 snapshot->term);
	describe_ids(text, " ConfState:Voters:[", conf->voters,
		     conf->voter_count, "]");
	describe_ids(text, " VotersOutgoing:[", conf->outgoing,
		     conf->outgoing_count, "]");
	describe_ids(text, " Learners:[", conf->learners, conf->learner_count,
		     "]");
	describe_ids(text, " LearnersNext:[", conf->learners_next,
		     conf->learner_next_count, "]");
	text_add(text, " AutoLeave:%s", conf->auto_leave ? "true" : "false");
}

/* Who it is from and for, its term, and the place in the log it is about. */
static void describe_head(struct text *text, const struct note *note)
{
	const struct raft_message *m = &note->message;
	uint64_t from = m->from;
	uint64_t term = m->term, log_term = m->log_term, index = m->log_index;

	if (note->kind == NOTE_MESSAGE && m->type == RAFT_MSG_TRANSFER)
		from = m->round;
	if (note->kind == NOTE_APPEND)
		term = note->has_hard ? note->hard.term : 0;
	if (note->kind == NOTE_APPEND_DONE) {
		term = note->record.term;
		log_term = note->record.last_term;
		index = note->record.last_index;
	}
	if (note->kind == NOTE_APPEND_DONE)
		text_add(text, "AppendThread->%" PRIx64, m->to);
	else if (note->kind == NOTE_APPLY_DONE)
		text_add(text, "ApplyThread->%" PRIx64, m->to);
	else if (note->kind == NOTE_APPEND)
		text_add(text, "%" PRIx64 "->AppendThread", from);
	else if (note->kind == NOTE_APPLY)
		text_add(text, "%" PRIx64 "->ApplyThread", from);
	else
		text_add(text, "%" PRIx64 "->%" PRIx64, from, m->to);
	text_add(text, " %s Term:%" PRIu64 " Log:%" PRIu64 "/%" PRIu64,
		 note_type(note), term, log_term, index);
}

static void describe_list(struct text *text, const struct note *note)
{
	if (note->entry_count == 1) {
		text_add(text, " Entries:[");
		describe_entry(text, note->entries);
		text_add(text, "]");
	} else if (note->entry_count > 1) {
		text_add(text, " Entries:[\n");
		text->indent += 2;
		describe_entries(text, note->entries, note->entry_count);
		text->indent -= 2;
		text_add(text, "]");
	}
}

void describe_note(struct text *text, const struct note *note)
{
	const struct raft_message *m = &note->message;
	bool vote = m->commit_term != 0; /* there it is not in the text */
	uint64_t commit = vote ? 0 : m->commit;

	describe_head(text, note);
	if (m->reject)
		text_add(text, " Rejected (Hint: %" PRIu64 ")", m->reject_hint);
	if (note->kind == NOTE_APPEND)
		commit = note->has_hard ? note->hard.commit : 0;
	if (commit != 0)
		text_add(text, " Commit:%" PRIu64, commit);
	if (note->kind == NOTE_APPEND && note->has_hard && note->hard.vote)
		text_add(text, " Vote:%" PRIu64, note->hard.vote);
	describe_list(text, note);
	if (note->snapshot && note->snapshot->index != 0) {
		text_add(text, "\n");
		text->indent += 2;
		text_add(text, "Snapshot: ");
		describe_snapshot(text, note->snapshot);
		text->indent -= 2;
	}
	if (note->responses.count == 0)
		return;
	text_add(text, " Responses:[\n");
	text->indent += 2;
	for (size_t i = 0; i < note->responses.count; i++) {
		describe_note(text, &note->responses.notes[i]);
		text_add(text, "\n");
	}
	text->indent -= 2;
	text_add(text, "]");
}

void describe_conf(struct text *text, const struct raft_conf_state *conf)
{
	describe_ids(text, "voters=(", conf->voters, conf->voter_count, ")");
	if (conf->outgoing_count > 0)
		describe_ids(text, "&&(", conf->outgoing, conf->outgoing_count,
			     ")");
	if (conf->learner_count > 0)
		describe_ids(text, " learners=(", conf->learners,
			     conf->learner_count, ")");
	if (conf->learner_next_count > 0)
		describe_ids(text, " learners_next=(", conf->learners_next,
			     conf->learner_next_count, ")");
	if (conf->auto_leave)
		text_add(text, " autoleave");
}

void describe_progress(struct text *text, const struct raft *raft)
{
	static const char *const states[] = {"StateProbe", "StateReplicate",
					     "StateSnapshot"};

	for (unsigned int i = 0; i < raft->progress_count; i++) {
		const struct raft_progress *p = &raft->progress[raft->order[i]];

		text_add(text,
			 "%" PRIu64 ": %s match=%" PRIu64 " next=%" PRIu64,
			 p->id, states[p->state], p->match, p->next);
		if (p->learner)
			text_add(text, " learner");
		if (raft_progress_paused(p))
			text_add(text, " paused");
		if (p->pending_snapshot > 0)
			text_add(text, " pendingSnap=%" PRIu64,
				 p->pending_snapshot);
		if (!p->recent_active)
			text_add(text, " inactive");
		if (p->inflights.count > 0)
			text_add(text, " inflight=%" PRIu32 "%s",
				 p->inflights.count,
				 raft_inflights_full(&p->inflights) ? "[full]"
								    : "");
		text_add(text, "\n");
	}
}

const char *describe_role(uint8_t role)
{
	static const char *const roles[] = {"StateFollower", "StateCandidate",
					    "StateLeader", "StatePreCandidate"};

	assert(role < sizeof(roles) / sizeof(roles[0]));
	return roles[role];
}
