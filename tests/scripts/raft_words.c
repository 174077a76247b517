/*
 * The vocabulary of clusters: one function a word, in a table at the end.
 *
 * A word says false when it makes no sense; then the directive fails.
 */
#include "tests/scripts/words.h"

#include "raft/entry.h"
#include "tests/scripts/cluster_words.h"
#include "tests/scripts/describe.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum word_sizes {
	WORD_ELECTION_TICKS = 3,
	WORD_HEARTBEAT_TICKS = 1,
	WORD_INFLIGHT_MAX = 2048, /* where the script names no limit */
	WORD_MESSAGES_MAX = 4096,
	WORD_ENTRIES_MAX = 8192,
	WORD_READS_MAX = 64,
	WORD_PAYLOAD_MAX = 512,
};

static bool word_log_level(struct cluster *cluster,
			   const struct directive *directive)
{
	static const char *const levels[] = {"debug", "info",  "warn",
					     "error", "fatal", "none"};

	for (unsigned int i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (directive->arg_count == 1 &&
		    strcasecmp(directive->args[0].key, levels[i]) == 0) {
			cluster->out.muted = strcmp(levels[i], "none") == 0;
			return true;
		}
	}
	return false;
}

static bool read_ids(const struct directive *directive, const char *key,
		     uint64_t *ids, uint8_t *ret_count)
{
	const struct script_arg *arg = directive_find(directive, key);

	*ret_count = 0;
	for (unsigned int i = 0; arg && i < arg->value_count; i++) {
		if (i == RAFT_MEMBERS_MAX ||
		    !script_number(arg->values[i], &ids[i]))
			return false;
		*ret_count = (uint8_t)(i + 1);
	}
	return true;
}

static bool is_true(const struct directive *directive, const char *key)
{
	return directive_is(directive, key, "true");
}

static void read_options(const struct directive *directive,
			 struct raft_options *options)
{
	*options = (struct raft_options){
		.election_ticks = WORD_ELECTION_TICKS,
		.heartbeat_ticks = WORD_HEARTBEAT_TICKS,
		.pre_vote = is_true(directive, "prevote"),
		.check_quorum = is_true(directive, "checkquorum"),
		.forwarding = !is_true(directive, "disable-forwarding"),
		.step_down_on_removal =
			is_true(directive, "step-down-on-removal"),
		.skip_conf_validation =
			is_true(directive, "disable-conf-change-validation"),
		.read_mode = directive_is(directive, "read-only", "lease-based")
				     ? RAFT_READ_LEASE
				     : RAFT_READ_SAFE,
		.entries_max = WORD_ENTRIES_MAX,
		.messages_max = WORD_MESSAGES_MAX,
		.reads_max = WORD_READS_MAX,
	};
	options->inflight_max = (uint32_t)directive_number(
		directive, "inflight", WORD_INFLIGHT_MAX);
	options->inflight_size_max =
		directive_number(directive, "inflight-size", 0);
	options->append_size_max =
		directive_number(directive, "append-size", UINT64_MAX);
	options->uncommitted_size_max =
		directive_number(directive, "uncommitted-size", 0);
	options->committed_size_max =
		directive_number(directive, "max-committed-size-per-ready", 0);
	options->quiet_ticks =
		(uint32_t)directive_number(directive, "quiet", 0);
}

static bool knows_options(const struct directive *directive)
{
	static const char *const known[] = {
		"voters",	   "learners",
		"inflight",	   "index",
		"content",	   "async-storage-writes",
		"prevote",	   "checkquorum",
		"read-only",	   "max-committed-size-per-ready",
		"inflight-size",   "disable-conf-change-validation",
		"append-size",	   "step-down-on-removal",
		"quiet",	   "disable-forwarding",
		"uncommitted-size"};

	for (unsigned int i = 1; i < directive->arg_count; i++) {
		bool found = false;

		for (unsigned int j = 0; j < sizeof(known) / sizeof(known[0]);
		     j++)
			found = found ||
				strcmp(directive->args[i].key, known[j]) == 0;
		if (!found)
			return false;
	}
	return true;
}

static bool word_add_nodes(struct cluster *cluster,
			   const struct directive *directive)
{
	struct raft_snapshot snapshot = {0};
	struct raft_options options;
	uint64_t count;

	if (directive->arg_count == 0 || !knows_options(directive) ||
	    !script_number(directive->args[0].key, &count) ||
	    cluster->count + count > CLUSTER_MEMBERS_MAX)
		return false;
	if (!read_ids(directive, "voters", snapshot.conf.voters,
		      &snapshot.conf.voter_count) ||
	    !read_ids(directive, "learners", snapshot.conf.learners,
		      &snapshot.conf.learner_count))
		return false;
	snapshot.index = directive_number(directive, "index", 0);
	if (snapshot.index > 1) {
		snapshot.term = 1;
	} else if (snapshot.index == 1 || snapshot.conf.voter_count > 0 ||
		   snapshot.conf.learner_count > 0) {
		text_add(&cluster->out,
			 "index must be specified as > 1 due to bootstrap");
		return true;
	}
	read_options(directive, &options);
	for (uint64_t i = 0; i < count; i++)
		cluster_add(cluster, &options, &snapshot,
			    is_true(directive, "async-storage-writes"));
	return true;
}

static bool word_campaign(struct cluster *cluster,
			  const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	int err;

	if (!member)
		return false;
	err = raft_campaign(member->raft);
	(void)err; /* that it cannot is only logged */
	return true;
}

static void report(struct cluster *cluster, int err)
{
	const char *error = cluster_error(err);

	if (!error)
		return;
	/* An error shows even where all else is muted. */
	if (cluster->out.muted) {
		cluster->out.muted = false;
		text_add(&cluster->out, "%s", error);
		cluster->out.muted = true;
		return;
	}
	text_add(&cluster->out, "%s", error);
}

static void propose(struct cluster *cluster, struct member *member,
		    uint8_t kind, const void *bytes, uint32_t size)
{
	struct raft_entry entry = {.kind = kind, .size = size};
	uint64_t index, term;

	entry.data = cluster_payload(cluster, kind, bytes, size);
	report(cluster, raft_propose(member->raft, &entry, &index, &term));
}

static bool word_propose(struct cluster *cluster,
			 const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	char filler[WORD_PAYLOAD_MAX];
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

static bool read_transition(const struct directive *directive,
			    uint8_t *ret_transition)
{
	const char *value = directive_value(directive, "transition");

	if (!value || strcmp(value, "auto") == 0)
		*ret_transition = RAFT_TRANSITION_AUTO;
	else if (strcmp(value, "implicit") == 0)
		*ret_transition = RAFT_TRANSITION_IMPLICIT;
	else if (strcmp(value, "explicit") == 0)
		*ret_transition = RAFT_TRANSITION_EXPLICIT;
	else
		return false;
	return true;
}

static bool word_propose_conf_change(struct cluster *cluster,
				     const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	bool v1 = is_true(directive, "v1");
	struct raft_conf_changes changes;
	uint8_t payload[RAFT_CONF_HEADER + RAFT_CHANGES_MAX * RAFT_CONF_CHANGE];

	if (!member || !words_changes(directive->input, &changes) ||
	    !read_transition(directive, &changes.transition))
		return false;
	if (v1 && (changes.count != 1 || changes.transition != 0))
		return false;
	raft_conf_encode(&changes, payload);
	/* Nothing at all asks to leave: an entry without payload. */
	if (changes.count == 0 && changes.transition == RAFT_TRANSITION_AUTO)
		propose(cluster, member, ENTRY_CONF_V2, NULL, 0);
	else
		propose(cluster, member, v1 ? ENTRY_CONF_V1 : ENTRY_CONF_V2,
			payload, (uint32_t)raft_conf_size(changes.count));
	return true;
}

static bool tick(struct cluster *cluster, const struct directive *directive,
		 unsigned int ticks)
{
	struct member *member = words_member(cluster, directive);

	if (!member)
		return false;
	for (unsigned int i = 0; i < ticks; i++)
		raft_tick(member->raft);
	return true;
}

static bool word_tick_heartbeat(struct cluster *cluster,
				const struct directive *directive)
{
	return tick(cluster, directive, WORD_HEARTBEAT_TICKS);
}

static bool word_tick_election(struct cluster *cluster,
			       const struct directive *directive)
{
	return tick(cluster, directive, WORD_ELECTION_TICKS);
}

static bool word_status(struct cluster *cluster,
			const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);

	if (!member)
		return false;
	if (member->raft->role == RAFT_LEADER)
		describe_progress(&cluster->out, member->raft);
	return true;
}

static bool word_raft_state(struct cluster *cluster,
			    const struct directive *directive)
{
	if (directive->arg_count > 0)
		return false;
	for (unsigned int i = 0; i < cluster->count; i++) {
		const struct raft *raft = cluster->members[i].raft;
		uint64_t id = raft->options.id;

		text_add(&cluster->out,
			 "%" PRIu64 ": %s %s Term:%" PRIu64 " Lead:%" PRIu64
			 "\n",
			 id, describe_role(raft->role),
			 raft_is_voter(raft, id) ? "(Voter)" : "(Non-Voter)",
			 raft->term, raft->leader);
	}
	return true;
}

static void show_log(struct cluster *cluster, const struct member *member)
{
	const struct storage *disk = &member->disk;

	if (disk->count == 0)
		text_add(&cluster->out,
			 "log is empty: first index=%" PRIu64
			 ", last index=%" PRIu64,
			 disk->base_index + 1, disk->base_index);
	else
		describe_entries(&cluster->out, disk->entries,
				 (uint32_t)disk->count);
}

static bool word_raft_log(struct cluster *cluster,
			  const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);

	if (!member)
		return false;
	show_log(cluster, member);
	return true;
}

static bool word_compact(struct cluster *cluster,
			 const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	uint64_t index;

	if (!member || directive->arg_count < 2 ||
	    !script_number(directive->args[1].key, &index))
		return false;
	if (index <= member->disk.base_index) {
		text_add(&cluster->out, "requested index is unavailable due "
					"to compaction");
		return true;
	}
	if (index > member->raft->log.applied)
		return false;
	storage_compact(&member->disk, index);
	member->disk.saved = member->image;
	raft_compact(member->raft, index);
	show_log(cluster, member);
	return true;
}

static bool word_transfer_leadership(struct cluster *cluster,
				     const struct directive *directive)
{
	struct member *from =
		cluster_member(cluster, directive_number(directive, "from", 0));
	uint64_t to = directive_number(directive, "to", 0);
	int err;

	if (!from || to == 0)
		return false;
	err = raft_transfer(from->raft, to);
	(void)err; /* that it cannot is only logged */
	return true;
}

static bool word_forget_leader(struct cluster *cluster,
			       const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);

	if (!member)
		return false;
	raft_forget_leader(member->raft);
	return true;
}

static bool word_report_unreachable(struct cluster *cluster,
				    const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	uint64_t peer;

	if (!member || directive->arg_count < 2 ||
	    !script_number(directive->args[1].key, &peer))
		return false;
	raft_report_unreachable(member->raft, peer);
	return true;
}

static bool word_send_snapshot(struct cluster *cluster,
			       const struct directive *directive)
{
	struct member *from = words_member(cluster, directive);
	struct note note = {.kind = NOTE_MESSAGE};

	if (!from || directive->arg_count < 2 ||
	    !script_number(directive->args[1].key, &note.message.to))
		return false;
	note.message.type = RAFT_MSG_SNAPSHOT;
	note.message.from = from->options.id;
	note.message.term = from->raft->term;
	note_set_snapshot(&note, &from->image);
	describe_note(&cluster->out, &note);
	note_list_add(&cluster->network, note);
	return true;
}

static bool word_set_timeout(struct cluster *cluster,
			     const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	uint64_t ticks = directive_number(directive, "timeout", 0);

	if (!member || ticks == 0)
		return false;
	member->raft->election_timeout = (uint32_t)ticks;
	return true;
}

struct word {
	const char *name;
	bool (*run)(struct cluster *, const struct directive *);
};

static const struct word words[] = {
	{"_breakpoint", NULL},
	{"add-nodes", word_add_nodes},
	{"campaign", word_campaign},
	{"compact", word_compact},
	{"crash", word_crash},
	{"deliver-msgs", word_deliver_msgs},
	{"dup-msgs", word_dup_msgs},
	{"forget-leader", word_forget_leader},
	{"heal", word_heal},
	{"log-level", word_log_level},
	{"partition", word_partition},
	{"process-append-thread", word_process_append_thread},
	{"process-apply-thread", word_process_apply_thread},
	{"process-ready", word_process_ready},
	{"propose", word_propose},
	{"propose-conf-change", word_propose_conf_change},
	{"raft-log", word_raft_log},
	{"raft-state", word_raft_state},
	{"read-index", word_read_index},
	{"reorder", word_reorder},
	{"report-unreachable", word_report_unreachable},
	{"restart", word_restart},
	{"send-snapshot", word_send_snapshot},
	{"set-randomized-election-timeout", word_set_timeout},
	{"stabilize", word_stabilize},
	{"status", word_status},
	{"tick-election", word_tick_election},
	{"tick-heartbeat", word_tick_heartbeat},
	{"transfer-leadership", word_transfer_leadership},
};

bool raft_words_run(struct cluster *cluster, const struct directive *directive)
{
	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(directive->word, words[i].name) == 0)
			return !words[i].run ||
			       words[i].run(cluster, directive);
	return false;
}
