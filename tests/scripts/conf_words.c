/*
 * The vocabulary of membership changes, each on what the one before left:
 *
 *   simple, enter-joint autoleave=true|false   with tokens as input
 *   leave-joint
 *
 * The log grows by one entry with each directive, also a refused one; a new
 * member's progress begins there.
 */
#include "tests/scripts/describe.h"
#include "tests/scripts/words.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* In the order of enum raft_conf_change_type. */
static const char conf_letters[] = "vrul";

/* What is wrong with a token, as Go says it; false if nothing is. */
static bool is_bad(const char *token, uint64_t *ret_id, struct text *ret_error)
{
	const char *digits = token + 1;

	if (strlen(token) < 2)
		text_add(ret_error, "unknown token %s", token);
	else if (!strchr(conf_letters, token[0]))
		text_add(ret_error, "unknown input: %s", token);
	else if (digits[strspn(digits, "0123456789")] != 0)
		text_add(ret_error,
			 "strconv.ParseUint: parsing \"%s\": invalid syntax",
			 digits);
	else if (!script_number(digits, ret_id))
		text_add(ret_error,
			 "strconv.ParseUint: parsing \"%s\": value out of "
			 "range",
			 digits);
	else
		return false;
	return true;
}

bool words_changes(char *text, struct raft_conf_changes *ret_changes,
		   struct text *ret_error)
{
	struct raft_conf_changes changes = {0};
	char *rest = NULL;

	for (char *token = strtok_r(text, " \n", &rest); token;
	     token = strtok_r(NULL, " \n", &rest)) {
		struct raft_conf_change *one = &changes.changes[changes.count];

		if (changes.count == RAFT_CHANGES_MAX) {
			text_add(ret_error, "too many changes");
			return false;
		}
		if (is_bad(token, &one->id, ret_error))
			return false;
		one->type = (uint8_t)(strchr(conf_letters, token[0]) -
				      conf_letters);
		changes.count++;
	}
	*ret_changes = changes;
	return true;
}

void conf_words_init(struct conf_words *words)
{
	const struct raft_options options = {.id = 1,
					     .seed = 1,
					     .election_ticks = 10,
					     .heartbeat_ticks = 1,
					     .entries_max = 16,
					     .messages_max = 256,
					     .reads_max = 1,
					     .inflight_max = 10};
	const struct raft_snapshot empty = {0};
	const struct raft_hard_state hard = {0};
	int err;

	words->last_index = 0;
	words->memory = aligned_alloc(64, raft_memory_size(&options));
	assert(words->memory);
	err = raft_init(&words->raft, &options, &hard, &empty, words->memory);
	assert(err == 0);
}

void conf_words_release(struct conf_words *words)
{
	free(words->memory);
	words->memory = NULL;
}

static const char *error_text(enum raft_conf_error err, const char *word)
{
	switch (err) {
	case RAFT_CONF_IS_JOINT:
		return strcmp(word, "simple") == 0
			       ? "can't apply simple config change in joint "
				 "config"
			       : "config is already joint";
	case RAFT_CONF_NOT_JOINT:
		return "can't leave a non-joint config";
	case RAFT_CONF_NO_VOTERS:
		return "can't make a zero-voter config joint";
	case RAFT_CONF_REMOVED_ALL:
		return "removed all voters";
	case RAFT_CONF_TOO_MANY:
		return "more than one voter changed without entering joint "
		       "config";
	default:
		return "too many members";
	}
}

/* False if there is no such word. */
static bool change(const struct directive *directive,
		   const struct raft_conf_changes *changes,
		   struct raft_conf_state *conf, struct raft_conf_fresh *fresh,
		   const char **ret_error)
{
	const char *value = directive_value(directive, "autoleave");
	enum raft_conf_error err;
	bool auto_leave = false;

	if (strcmp(directive->word, "simple") == 0) {
		err = raft_conf_simple(conf, changes, fresh);
	} else if (strcmp(directive->word, "enter-joint") == 0) {
		if (value && !script_bool(value, &auto_leave))
			return false;
		err = raft_conf_enter(conf, changes, auto_leave, fresh);
	} else if (strcmp(directive->word, "leave-joint") != 0) {
		return false;
	} else if (changes->count > 0) {
		*ret_error = "this command takes no input";
		return true;
	} else {
		err = raft_conf_leave(conf);
	}
	*ret_error =
		err == RAFT_CONF_OK ? NULL : error_text(err, directive->word);
	return true;
}

bool conf_words_run(struct conf_words *words, const struct directive *directive,
		    struct text *out)
{
	struct raft_conf_state conf = words->raft->conf;
	struct raft_conf_fresh fresh = {0};
	struct raft_conf_changes changes;
	const char *error;

	if (!words_changes(directive->input, &changes, out)) {
		words->last_index++;
		return true;
	}
	if (!change(directive, &changes, &conf, &fresh, &error))
		return false;
	if (error) {
		text_add(out, "%s\n", error);
	} else {
		raft_track_conf(words->raft, &conf, &fresh, words->last_index);
		describe_conf(out, &words->raft->conf);
		text_add(out, "\n");
		describe_progress(out, words->raft);
	}
	words->last_index++;
	return true;
}
