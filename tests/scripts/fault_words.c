/*
 * The words of what goes wrong between members: dup-msgs, hold-msgs,
 * release-msgs, reorder, partition, heal. What a member tells itself never
 * leaves it, so nothing happens to that.
 */
#include "tests/scripts/cluster_words.h"

#include "tests/scripts/describe.h"

#include <string.h>

/* Whether a message is for one of the members chosen, and of the type. */
static bool is_meant(const struct note *note, const struct chosen *chosen,
		     const char *type)
{
	if (note_is_local(note) || (type && strcmp(type, note_type(note)) != 0))
		return false;
	for (unsigned int i = 0; i < chosen->count; i++)
		if (note_target(note) == chosen->members[i]->options.id)
			return true;
	return false;
}

static bool knows(const struct directive *directive, const char *one,
		  const char *other)
{
	const char *type = directive_value(directive, "type");

	if (type && !note_knows_type(type))
		return false;
	for (unsigned int i = 0; i < directive->arg_count; i++) {
		const struct script_arg *arg = &directive->args[i];
		uint64_t id;

		if (arg->value_count == 0
			    ? !script_number(arg->key, &id)
			    : strcmp(arg->key, one) != 0 &&
				      strcmp(arg->key, other) != 0)
			return false;
	}
	return true;
}

/* Twice at once; with late=true the second one is held back. */
bool word_dup_msgs(struct cluster *cluster, const struct directive *directive)
{
	const char *type = directive_value(directive, "type");
	size_t count = cluster->network.count;
	struct chosen chosen;

	if (!knows(directive, "type", "late") ||
	    !words_choose(cluster, directive, &chosen))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct note *note = &cluster->network.notes[i];

		if (is_meant(note, &chosen, type))
			note_list_add(directive_is(directive, "late", "true")
					      ? &cluster->held
					      : &cluster->network,
				      note_copy(note));
	}
	return true;
}

static unsigned int move(struct note_list *from, struct note_list *to,
			 const struct chosen *chosen, const char *type)
{
	unsigned int count = 0;

	for (size_t i = 0; i < from->count;) {
		if (is_meant(&from->notes[i], chosen, type)) {
			note_list_add(to, note_list_take(from, i));
			count++;
		} else {
			i++;
		}
	}
	return count;
}

/* They arrive later. */
bool word_hold_msgs(struct cluster *cluster, const struct directive *directive)
{
	size_t first = cluster->held.count;
	struct chosen chosen;

	if (!knows(directive, "type", "type") ||
	    !words_choose(cluster, directive, &chosen))
		return false;
	(void)move(&cluster->network, &cluster->held, &chosen,
		   directive_value(directive, "type"));
	for (size_t i = first; i < cluster->held.count; i++) {
		text_add(&cluster->out, "held: ");
		describe_note(&cluster->out, &cluster->held.notes[i]);
		text_add(&cluster->out, "\n");
	}
	if (first == cluster->held.count)
		text_add(&cluster->out, "no messages\n");
	return true;
}

/* Behind all that is on its way. */
bool word_release_msgs(struct cluster *cluster,
		       const struct directive *directive)
{
	struct chosen chosen;

	if (!knows(directive, "type", "type") ||
	    !words_choose(cluster, directive, &chosen))
		return false;
	if (move(&cluster->held, &cluster->network, &chosen,
		 directive_value(directive, "type")) == 0)
		text_add(&cluster->out, "no messages\n");
	return true;
}

/* What is on its way arrives the other way round. */
bool word_reorder(struct cluster *cluster, const struct directive *directive)
{
	struct note_list *network = &cluster->network;

	if (directive->arg_count > 0)
		return false;
	for (size_t i = 0; i < network->count / 2; i++) {
		struct note one = network->notes[i];

		network->notes[i] = network->notes[network->count - 1 - i];
		network->notes[network->count - 1 - i] = one;
	}
	return true;
}

/* Those named on one side, the others on the other. */
bool word_partition(struct cluster *cluster, const struct directive *directive)
{
	bool side[CLUSTER_MEMBERS_MAX] = {false};
	struct chosen chosen;

	if (directive->arg_count == 0 ||
	    !words_choose(cluster, directive, &chosen))
		return false;
	for (unsigned int i = 0; i < chosen.count; i++)
		side[chosen.members[i]->options.id - 1] = true;
	for (unsigned int i = 0; i < CLUSTER_MEMBERS_MAX; i++)
		for (unsigned int j = 0; j < CLUSTER_MEMBERS_MAX; j++)
			cluster->severed[i][j] = side[i] != side[j];
	return true;
}

bool word_heal(struct cluster *cluster, const struct directive *directive)
{
	if (directive->arg_count > 0)
		return false;
	memset(cluster->severed, 0, sizeof(cluster->severed));
	return true;
}
