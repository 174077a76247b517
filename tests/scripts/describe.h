/*
 * The printed forms of the scripts: entries, states, messages, progress,
 * configurations.
 */
#ifndef TESTS_SCRIPTS_DESCRIBE_H
#define TESTS_SCRIPTS_DESCRIBE_H

#include "tests/scripts/note.h"
#include "tests/scripts/text.h"

void describe_entry(struct text *text, const struct raft_entry *entry);
/* One a line. */
void describe_entries(struct text *text, const struct raft_entry *entries,
		      uint32_t count);
void describe_hard(struct text *text, const struct raft_hard_state *hard);
void describe_snapshot(struct text *text, const struct raft_snapshot *snapshot);
void describe_note(struct text *text, const struct note *note);
void describe_conf(struct text *text, const struct raft_conf_state *conf);
/* Every member tracked, one a line. */
void describe_progress(struct text *text, const struct raft *raft);
const char *describe_role(uint8_t role);

#endif
