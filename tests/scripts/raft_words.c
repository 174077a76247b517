/*
 * The vocabulary of clusters: one function a word, in a table at the end.
 *
 * A word says false when it makes no sense; then the directive fails. An
 * error that a script may expect is printed instead.
 *
 * Beside the words that the external scripts use there are our own:
 *
 *   propose N x size=S               S bytes of the first one of x
 *   read-index N context             answers show as "Read context at index"
 *   report-snapshot N peer status=ok|failed
 *   restart N..., crash N... [disk=lost]
 *                                    what is queued to be written lands
 *                                    first, or is lost, or all is
 *   dup-msgs [N...] [type=T] [late=true]
 *   hold-msgs [N...] [type=T], release-msgs [N...] [type=T]
 *   reorder                          what is on its way, the other way round
 *   partition N..., heal             those named cannot reach the others
 *   lease N                          until which tick it lasts
 *
 * and arguments of add-nodes: append-size, inflight-size, uncommitted-size,
 * disable-forwarding, election-ticks, quiet, reads, lease.
 */
#include "tests/scripts/words.h"

#include "tests/scripts/cluster_words.h"
#include "tests/scripts/describe.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum word_sizes {
	WORD_ERROR_MAX = 256,
};

void words_fail(struct cluster *cluster, const char *format, ...)
{
	bool muted = cluster->out.muted;
	char error[WORD_ERROR_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(error, sizeof(error), format, args);
	va_end(args);
	cluster->out.muted = false;
	text_add(&cluster->out, "%s", error);
	cluster->out.muted = muted;
}

static bool word_log_level(struct cluster *cluster,
			   const struct directive *directive)
{
	if (directive->arg_count != 1)
		return false;
	(void)words_level(cluster, directive->args[0].key);
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

static bool tick(struct member *member, uint32_t ticks)
{
	for (uint32_t i = 0; i < ticks; i++)
		raft_tick(member->raft);
	return true;
}

static bool word_tick_heartbeat(struct cluster *cluster,
				const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);

	return member && tick(member, member->options.heartbeat_ticks);
}

static bool word_tick_election(struct cluster *cluster,
			       const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);

	return member && tick(member, member->options.election_ticks);
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
		words_fail(cluster, "requested index is unavailable due to "
				    "compaction");
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
	/* A follower of etcd's asks on, whoever is meant. */
	if (err == RAFT_EUNKNOWN_PEER)
		raft_transfer_step(from->raft, to);
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

static bool word_report_snapshot(struct cluster *cluster,
				 const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	bool ok = directive_is(directive, "status", "ok");
	uint64_t peer;

	if (!member || directive->arg_count != 3 ||
	    !script_number(directive->args[1].key, &peer) ||
	    (!ok && !directive_is(directive, "status", "failed")))
		return false;
	raft_report_snapshot(member->raft, peer, ok);
	return true;
}

static bool word_lease(struct cluster *cluster,
		       const struct directive *directive)
{
	struct member *member = words_member(cluster, directive);
	struct raft_status status;

	if (!member)
		return false;
	raft_status(member->raft, &status);
	if (status.lease.term == 0)
		text_add(&cluster->out, "no lease\n");
	else
		text_add(&cluster->out,
			 "lease of term %" PRIu64 " until tick %" PRIu64
			 ", now %" PRIu64 "\n",
			 status.lease.term, status.lease.end_tick,
			 member->raft->now);
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
	{"hold-msgs", word_hold_msgs},
	{"lease", word_lease},
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
	{"release-msgs", word_release_msgs},
	{"reorder", word_reorder},
	{"report-snapshot", word_report_snapshot},
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
