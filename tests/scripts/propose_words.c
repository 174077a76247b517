/*
 * The words that ask for something: propose, propose-conf-change, read-index.
 * An error of theirs shows even where all else is muted.
 */
#include "tests/scripts/cluster_words.h"

#include "raft/entry.h"
#include "tests/scripts/words.h"

#include <string.h>

enum propose_sizes {
	PROPOSE_PAYLOAD_MAX = 512,
};

static void propose(struct cluster *cluster, struct member *member,
		    uint8_t kind, const void *bytes, uint32_t size)
{
	struct raft_entry entry = {.kind = kind, .size = size};
	uint64_t index, term;
	const char *error;

	entry.data = cluster_payload(cluster, kind, bytes, size);
	error = cluster_error(
		raft_propose(member->raft, &entry, &index, &term));
	if (error)
		words_fail(cluster, "%s", error);
}

bool word_propose(struct cluster *cluster, const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	char filler[PROPOSE_PAYLOAD_MAX];
	const char *data;
	uint64_t size;

	if (!member || directive->arg_count < 2)
		return false;
	data = directive->args[1].key;
	size = directive_number(directive, "size", 0);
	if (size > sizeof(filler))
		return false;
	if (size == 0) {
		propose(cluster, member, ENTRY_NORMAL, data,
			(uint32_t)strlen(data));
		return true;
	}
	memset(filler, data[0], sizeof(filler));
	propose(cluster, member, ENTRY_NORMAL, filler, (uint32_t)size);
	return true;
}

static bool read_transition(const char *value, uint8_t *ret_transition)
{
	if (strcmp(value, "auto") == 0)
		*ret_transition = RAFT_TRANSITION_AUTO;
	else if (strcmp(value, "implicit") == 0)
		*ret_transition = RAFT_TRANSITION_IMPLICIT;
	else if (strcmp(value, "explicit") == 0)
		*ret_transition = RAFT_TRANSITION_EXPLICIT;
	else
		return false;
	return true;
}

/* How the change is asked for; false after it said what is wrong. */
static bool read_manner(struct cluster *cluster,
			const struct directive *directive, bool *ret_v1,
			uint8_t *ret_transition)
{
	*ret_v1 = false;
	*ret_transition = RAFT_TRANSITION_AUTO;
	for (unsigned int i = 1; i < directive->arg_count; i++) {
		const struct script_arg *arg = &directive->args[i];
		const char *value = arg->value_count ? arg->values[0] : "";

		if (strcmp(arg->key, "v1") == 0) {
			if (!script_bool(value, ret_v1)) {
				words_fail(cluster, WORDS_BAD_BOOL, value);
				return false;
			}
		} else if (strcmp(arg->key, "transition") == 0) {
			if (!read_transition(value, ret_transition)) {
				words_fail(cluster, "unknown transition %s",
					   value);
				return false;
			}
		} else {
			words_fail(cluster, "unknown command %s", arg->key);
			return false;
		}
	}
	return true;
}

bool word_propose_conf_change(struct cluster *cluster,
			      const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	uint8_t payload[RAFT_CONF_HEADER + RAFT_CHANGES_MAX * RAFT_CONF_CHANGE];
	struct raft_conf_changes changes;
	struct text error = {0};
	uint8_t transition;
	bool v1;

	if (!member)
		return false;
	if (!read_manner(cluster, directive, &v1, &transition))
		return true;
	if (!words_changes(directive->input, &changes, &error)) {
		words_fail(cluster, "%s", error.bytes);
		text_release(&error);
		return true;
	}
	changes.transition = transition;
	if (v1 && (changes.count != 1 || transition != RAFT_TRANSITION_AUTO)) {
		words_fail(cluster,
			   "v1 conf change can only have one operation "
			   "and no transition");
		return true;
	}
	raft_conf_encode(&changes, payload);
	/* Nothing at all asks to leave: an entry without payload. */
	if (changes.count == 0 && transition == RAFT_TRANSITION_AUTO)
		propose(cluster, member, ENTRY_CONF_V2, NULL, 0);
	else
		propose(cluster, member, v1 ? ENTRY_CONF_V1 : ENTRY_CONF_V2,
			payload, (uint32_t)raft_conf_size(changes.count));
	return true;
}

bool word_read_index(struct cluster *cluster, const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	uint64_t context;
	int err;

	if (!member || directive->arg_count < 2 ||
	    !script_number(directive->args[1].key, &context))
		return false;
	err = raft_read_index(member->raft, context);
	if (err == RAFT_EDROPPED_NO_LEADER)
		words_fail(cluster, "no leader to read from");
	else if (err != 0)
		words_fail(cluster, "too many reads");
	return true;
}
