/*
 * The words of our own: restart, crash, read-index, dup-msgs, reorder,
 * partition, heal.
 */
#include "tests/scripts/cluster_words.h"

#include <string.h>

/* The process ends and starts again; with crash, what was on its way is lost. */
static bool restart(struct cluster *cluster, const struct directive *directive,
		    bool crash)
{
	struct chosen chosen;

	if (directive->arg_count == 0 ||
	    !words_choose(cluster, directive, &chosen))
		return false;
	for (unsigned int i = 0; i < chosen.count; i++)
		cluster_restart(cluster, chosen.members[i], crash);
	return true;
}

bool word_restart(struct cluster *cluster, const struct directive *directive)
{
	return restart(cluster, directive, false);
}

bool word_crash(struct cluster *cluster, const struct directive *directive)
{
	return restart(cluster, directive, true);
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
		text_add(&cluster->out, "no leader to read from");
	else if (err != 0)
		text_add(&cluster->out, "too many reads");
	return true;
}

/* Everything on its way, or what is for the members named, twice. */
bool word_dup_msgs(struct cluster *cluster, const struct directive *directive)
{
	size_t count = cluster->network.count;
	struct chosen chosen;

	if (!words_choose(cluster, directive, &chosen))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct note *note = &cluster->network.notes[i];

		for (unsigned int j = 0; j < chosen.count; j++)
			if (!note_is_local(note) &&
			    note_target(note) == chosen.members[j]->options.id)
				note_list_add(&cluster->network,
					      note_copy(note));
	}
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
