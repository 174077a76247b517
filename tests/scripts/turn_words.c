/*
 * The words that let members take their turns and the network deliver.
 */
#include "tests/scripts/cluster_words.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

bool words_level(struct cluster *cluster, const char *level)
{
	static const char *const levels[] = {"debug", "info",  "warn",
					     "error", "fatal", "none"};

	for (unsigned int i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcasecmp(level, levels[i]) == 0) {
			cluster->out.muted = strcmp(levels[i], "none") == 0;
			return true;
		}
	}
	words_fail(cluster, "log levels must be either of [DEBUG INFO WARN "
			    "ERROR FATAL NONE]");
	return false;
}

bool words_choose(struct cluster *cluster, const struct directive *directive,
		  struct chosen *chosen)
{
	chosen->count = 0;
	for (unsigned int i = 0; i < directive->arg_count; i++) {
		const struct script_arg *arg = &directive->args[i];
		uint64_t id;

		if (arg->value_count > 0)
			continue;
		if (!script_number(arg->key, &id) ||
		    chosen->count == CLUSTER_MEMBERS_MAX)
			return false;
		chosen->members[chosen->count] = cluster_member(cluster, id);
		if (!chosen->members[chosen->count++])
			return false;
	}
	if (chosen->count > 0)
		return true;
	for (unsigned int i = 0; i < cluster->count; i++)
		chosen->members[chosen->count++] = &cluster->members[i];
	return true;
}

struct member *words_member(struct cluster *cluster,
			    const struct directive *directive)
{
	uint64_t id;

	if (directive->arg_count == 0 ||
	    !script_number(directive->args[0].key, &id))
		return NULL;
	return cluster_member(cluster, id);
}

/* Under a header and indented, if several members do it. */
static bool each(struct cluster *cluster, const struct directive *directive,
		 const char *what,
		 void (*act)(struct cluster *, struct member *))
{
	struct text *out = &cluster->out;
	struct chosen chosen;

	if (directive->arg_count == 0 ||
	    !words_choose(cluster, directive, &chosen))
		return false;
	for (unsigned int i = 0; i < chosen.count; i++) {
		if (chosen.count > 1) {
			text_add(out, "> %" PRIu64 " %s\n",
				 chosen.members[i]->options.id, what);
			out->indent += 2;
		}
		act(cluster, chosen.members[i]);
		if (chosen.count > 1)
			out->indent -= 2;
	}
	return true;
}

bool word_process_ready(struct cluster *cluster,
			const struct directive *directive)
{
	return each(cluster, directive, "handling Ready", cluster_ready);
}

bool word_process_append_thread(struct cluster *cluster,
				const struct directive *directive)
{
	return each(cluster, directive, "processing append thread",
		    cluster_append_thread);
}

bool word_process_apply_thread(struct cluster *cluster,
			       const struct directive *directive)
{
	return each(cluster, directive, "processing apply thread",
		    cluster_apply_thread);
}

/* First those to deliver to, in their order, then those to drop for. */
bool word_deliver_msgs(struct cluster *cluster,
		       const struct directive *directive)
{
	const char *type = directive_value(directive, "type");
	unsigned int count = 0;
	uint64_t id;

	if (type && !note_knows_type(type))
		return false;
	for (unsigned int i = 0; i < directive->arg_count; i++) {
		const struct script_arg *arg = &directive->args[i];
		bool drop = strcmp(arg->key, "drop") == 0;

		if (arg->value_count == 0) {
			if (!script_number(arg->key, &id) ||
			    !cluster_member(cluster, id))
				return false;
			count += cluster_deliver(cluster, id, type, false);
		} else if (!drop && strcmp(arg->key, "type") != 0) {
			return false;
		}
		for (unsigned int j = 0; drop && j < arg->value_count; j++) {
			if (!script_number(arg->values[j], &id))
				return false;
			count += cluster_deliver(cluster, id, type, true);
		}
	}
	if (count == 0)
		text_add(&cluster->out, "no messages\n");
	return true;
}

static bool settle_readies(struct cluster *cluster, struct chosen *chosen)
{
	struct text *out = &cluster->out;
	bool busy = false;

	for (unsigned int i = 0; i < chosen->count; i++) {
		struct member *member = chosen->members[i];

		if (!raft_has_ready(member->raft))
			continue;
		text_add(out, "> %" PRIu64 " handling Ready\n",
			 member->options.id);
		out->indent += 2;
		cluster_ready(cluster, member);
		out->indent -= 2;
		busy = true;
	}
	return busy;
}

static bool settle_messages(struct cluster *cluster, struct chosen *chosen)
{
	struct text *out = &cluster->out;
	bool busy = false;

	for (unsigned int i = 0; i < chosen->count; i++) {
		uint64_t id = chosen->members[i]->options.id;

		if (!cluster_has_messages(cluster, id))
			continue;
		text_add(out, "> %" PRIu64 " receiving messages\n", id);
		out->indent += 2;
		(void)cluster_deliver(cluster, id, NULL, false);
		out->indent -= 2;
		busy = true;
	}
	return busy;
}

static bool settle_threads(struct cluster *cluster, struct chosen *chosen,
			   bool append)
{
	struct text *out = &cluster->out;
	bool busy = false;

	for (unsigned int i = 0; i < chosen->count; i++) {
		struct member *member = chosen->members[i];
		struct note_list *work =
			append ? &member->append_work : &member->apply_work;

		if (work->count == 0)
			continue;
		text_add(out, "> %" PRIu64 " processing %s thread\n",
			 member->options.id, append ? "append" : "apply");
		out->indent += 2;
		while (work->count > 0) {
			if (append)
				cluster_append_thread(cluster, member);
			else
				cluster_apply_thread(cluster, member);
		}
		out->indent -= 2;
		busy = true;
	}
	return busy;
}

bool word_stabilize(struct cluster *cluster, const struct directive *directive)
{
	const char *level = directive_value(directive, "log-level");
	bool muted = cluster->out.muted;
	struct chosen chosen;
	bool busy;

	if (!words_choose(cluster, directive, &chosen))
		return false;
	if (level && !words_level(cluster, level))
		return true;
	do {
		busy = settle_readies(cluster, &chosen);
		busy = settle_messages(cluster, &chosen) || busy;
		busy = settle_threads(cluster, &chosen, true) || busy;
		busy = settle_threads(cluster, &chosen, false) || busy;
	} while (busy);
	cluster->out.muted = muted;
	return true;
}
