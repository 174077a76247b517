/*
 * The words by which members begin, end and begin again: add-nodes, restart,
 * crash. A member of a script begins from an image of term 1, so the first
 * index that it can be told is 2.
 */
#include "tests/scripts/cluster_words.h"

#include "raft/conf.h"

#include <string.h>

enum birth_sizes {
	BIRTH_ELECTION_TICKS = 3,
	BIRTH_HEARTBEAT_TICKS = 1,
	BIRTH_INFLIGHT_MAX = 2048, /* where the script names no limit */
	BIRTH_MESSAGES_MAX = 4096,
	BIRTH_ENTRIES_MAX = 8192,
	BIRTH_READS_MAX = 64,
};

/* What add-nodes says, read one argument after the other. */
struct birth {
	struct raft_options options;
	struct raft_snapshot image;
	bool async;
	bool no_forwarding;
	bool has_image;
	const char *bad_mode; /* of reading, or NULL */
	uint64_t election_ticks, quiet_ticks, inflight, reads;
};

static void birth_init(struct birth *birth)
{
	*birth = (struct birth){
		.options = {.heartbeat_ticks = BIRTH_HEARTBEAT_TICKS,
			    .entries_max = BIRTH_ENTRIES_MAX,
			    .messages_max = BIRTH_MESSAGES_MAX,
			    .silent_votes = true,
			    .append_size_max = UINT64_MAX},
		.election_ticks = BIRTH_ELECTION_TICKS,
		.inflight = BIRTH_INFLIGHT_MAX,
		.reads = BIRTH_READS_MAX,
	};
}

/* The rising ids that an argument lists. */
static bool read_ids(const struct script_arg *arg, uint64_t *ids,
		     uint8_t *ret_count)
{
	uint8_t count = 0;

	for (unsigned int i = 0; i < arg->value_count; i++) {
		unsigned int at = count;
		uint64_t id;

		if (count == RAFT_MEMBERS_MAX ||
		    !script_number(arg->values[i], &id) ||
		    raft_conf_has(ids, count, id))
			return false;
		for (; at > 0 && ids[at - 1] > id; at--)
			ids[at] = ids[at - 1];
		ids[at] = id;
		count++;
	}
	*ret_count = count;
	return true;
}

static bool read_image(struct birth *birth, const struct script_arg *arg)
{
	struct raft_conf_state *conf = &birth->image.conf;

	birth->has_image = true;
	if (strcmp(arg->key, "voters") == 0)
		return read_ids(arg, conf->voters, &conf->voter_count);
	if (strcmp(arg->key, "learners") == 0)
		return read_ids(arg, conf->learners, &conf->learner_count);
	if (strcmp(arg->key, "index") == 0)
		return script_number(arg->values[0], &birth->image.index);
	/* Images carry no bytes here. */
	return strcmp(arg->key, "content") == 0;
}

static bool read_mode(struct birth *birth, const char *mode)
{
	if (strcmp(mode, "lease-based") == 0)
		birth->options.read_mode = RAFT_READ_LEASE;
	else if (strcmp(mode, "safe") != 0)
		birth->bad_mode = mode;
	return true;
}

/* The place of an argument that says yes or no, or NULL. */
static bool *flag_of(struct birth *birth, const char *key)
{
	struct raft_options *options = &birth->options;
	const struct {
		const char *key;
		bool *value;
	} flags[] = {
		{"async-storage-writes", &birth->async},
		{"prevote", &options->pre_vote},
		{"checkquorum", &options->check_quorum},
		{"step-down-on-removal", &options->step_down_on_removal},
		{"disable-conf-change-validation",
		 &options->skip_conf_validation},
		{"disable-forwarding", &birth->no_forwarding},
		{"lease", &options->lease},
		{"silent-votes", &options->silent_votes},
		{"askers-count", &options->askers_count},
	};

	for (unsigned int i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strcmp(flags[i].key, key) == 0)
			return flags[i].value;
	return NULL;
}

static uint64_t *limit_of(struct birth *birth, const char *key)
{
	struct raft_options *options = &birth->options;
	const struct {
		const char *key;
		uint64_t *value;
	} limits[] = {
		{"inflight", &birth->inflight},
		{"inflight-size", &options->inflight_size_max},
		{"append-size", &options->append_size_max},
		{"uncommitted-size", &options->uncommitted_size_max},
		{"max-committed-size-per-ready", &options->committed_size_max},
		{"election-ticks", &birth->election_ticks},
		{"quiet", &birth->quiet_ticks},
		{"reads", &birth->reads},
	};

	for (unsigned int i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (strcmp(limits[i].key, key) == 0)
			return limits[i].value;
	return NULL;
}

static bool read_argument(struct birth *birth, const struct script_arg *arg)
{
	bool *flag = flag_of(birth, arg->key);
	uint64_t *limit = limit_of(birth, arg->key);

	if (arg->value_count == 0)
		return false;
	if (flag)
		return script_bool(arg->values[0], flag);
	if (limit)
		return script_number(arg->values[0], limit);
	if (strcmp(arg->key, "read-only") == 0)
		return read_mode(birth, arg->values[0]);
	return read_image(birth, arg);
}

static void birth_finish(struct birth *birth)
{
	struct raft_options *options = &birth->options;

	options->forwarding = !birth->no_forwarding;
	options->election_ticks = (uint32_t)birth->election_ticks;
	options->quiet_ticks = (uint32_t)birth->quiet_ticks;
	options->inflight_max = (uint32_t)birth->inflight;
	options->reads_max = (uint32_t)birth->reads;
	if (birth->image.index > 0)
		birth->image.term = 1;
}

bool word_add_nodes(struct cluster *cluster, const struct directive *directive)
{
	struct birth birth;
	uint64_t count;

	if (directive->arg_count == 0 ||
	    !script_number(directive->args[0].key, &count) ||
	    cluster->count + count > CLUSTER_MEMBERS_MAX)
		return false;
	birth_init(&birth);
	for (unsigned int i = 1; i < directive->arg_count; i++)
		if (!read_argument(&birth, &directive->args[i]))
			return false;
	birth_finish(&birth);
	if (birth.bad_mode) {
		words_fail(cluster, "invalid read-only option \"%s\"",
			   birth.bad_mode);
		return true;
	}
	if (birth.has_image && birth.image.index <= 1) {
		words_fail(cluster, "index must be specified as > 1 due to "
				    "bootstrap");
		return true;
	}
	for (uint64_t i = 0; i < count; i++)
		if (!cluster_add(cluster, &birth.options, &birth.image,
				 birth.async))
			return false;
	return true;
}

/* What the members' disks have after it. */
static bool restart(struct cluster *cluster, const struct directive *directive,
		    enum cluster_loss loss)
{
	struct chosen chosen;

	if (directive->arg_count == 0 ||
	    !words_choose(cluster, directive, &chosen))
		return false;
	for (unsigned int i = 0; i < chosen.count; i++)
		cluster_restart(cluster, chosen.members[i], loss);
	return true;
}

bool word_restart(struct cluster *cluster, const struct directive *directive)
{
	return restart(cluster, directive, CLUSTER_LOSES_NOTHING);
}

bool word_crash(struct cluster *cluster, const struct directive *directive)
{
	const struct script_arg *disk = directive_find(directive, "disk");

	if (disk && !directive_is(directive, "disk", "lost"))
		return false;
	return restart(cluster, directive,
		       disk ? CLUSTER_LOSES_ALL : CLUSTER_LOSES_QUEUED);
}
