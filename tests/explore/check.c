/*
 * What must hold at every step: the properties of the paper's Figure 3, and
 * what a member may not say before its disk has it.
 */
#include "tests/explore/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void check_fail(struct world *world, const char *format, ...)
{
	va_list args;

	printf("FAILED: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	world->failed = true;
}

void check_restart(struct member *member)
{
	member->seen_commit = 0;
	member->seen_term = 0;
	member->seen_last = 0;
	member->seen_role = RAFT_FOLLOWER;
}

/* Log matching: index and term name one entry and all before it. */
static void check_pair(struct world *world, const struct member *member,
		       uint64_t index)
{
	const struct raft_entry *entry = raft_entry_at(member->raft, index);
	uint64_t before = 0;
	uint64_t at;

	if (!entry || !raft_log_term(&member->raft->log, index - 1, &before))
		return;
	at = (index * 31 + entry->term * 1000003) % WORLD_PAIRS;
	for (;; at = (at + 1) % WORLD_PAIRS) {
		struct pair *pair = &world->pairs[at];

		if (pair->index == 0) {
			pair->index = index;
			pair->term = entry->term;
			pair->before = before;
			pair->data = entry->data;
			return;
		}
		if (pair->index != index || pair->term != entry->term)
			continue;
		if (pair->data != entry->data || pair->before != before)
			check_fail(world,
				   "log matching: two entries %" PRIu64
				   "/%" PRIu64,
				   entry->term, index);
		return;
	}
}

/* Election safety, and leader completeness when one is new. */
static void check_leader(struct world *world, struct member *member)
{
	const struct raft *raft = member->raft;
	uint64_t id = raft->options.id;

	if (raft->term >= WORLD_TERMS_MAX)
		return;
	if (world->leader_of[raft->term] == id)
		return;
	if (world->leader_of[raft->term] != 0) {
		check_fail(world, "two leaders of term %" PRIu64, raft->term);
		return;
	}
	world->leader_of[raft->term] = id;
	world->elections++;
	world_say(world, "%" PRIu64 " leads term %" PRIu64, id, raft->term);
	for (uint64_t i = raft->log.first; i <= world->commit; i++) {
		const struct raft_entry *entry = raft_entry_at(raft, i);

		if (world->committed[i].known &&
		    (!entry || entry->term != world->committed[i].term))
			check_fail(world,
				   "the leader of term %" PRIu64
				   " lacks committed %" PRIu64,
				   raft->term, i);
	}
}

static void check_commit(struct world *world, struct member *member)
{
	const struct raft *raft = member->raft;

	if (raft->log.commit < member->seen_commit)
		check_fail(world, "commit of %" PRIu64 " retreats",
			   raft->options.id);
	for (uint64_t i = member->seen_commit + 1; i <= raft->log.commit; i++) {
		const struct raft_entry *entry = raft_entry_at(raft, i);
		struct fact *fact = &world->committed[i];

		if (!entry)
			continue;
		if (!fact->known) {
			*fact = (struct fact){entry->term, entry->data,
					      entry->kind, true};
		} else if (fact->term != entry->term ||
			   fact->data != entry->data) {
			check_fail(world,
				   "%" PRIu64 " commits another entry at "
				   "%" PRIu64,
				   raft->options.id, i);
		}
	}
	member->seen_commit = raft->log.commit;
	if (raft->log.commit > world->commit)
		world->commit = raft->log.commit;
}

/* While the lease lasts, nothing is committed that its holder lacks. */
static void check_lease(struct world *world, const struct member *member)
{
	struct raft_lease lease;

	raft_lease(member->raft, &lease);
	if (lease.term == 0 || lease.end_tick <= member->raft->now)
		return;
	world->leases_seen++;
	if (member->raft->log.commit < world->commit)
		check_fail(world,
			   "%" PRIu64 " holds a lease at commit %" PRIu64
			   ", %" PRIu64 " is committed",
			   member->raft->options.id, member->raft->log.commit,
			   world->commit);
}

void check_member(struct world *world, struct member *member)
{
	const struct raft *raft = member->raft;
	uint64_t from = raft->log.last;

	if (raft->term < member->seen_term)
		check_fail(world, "the term of %" PRIu64 " falls",
			   raft->options.id);
	if (raft->role == RAFT_LEADER && member->seen_role == RAFT_LEADER &&
	    raft->term == member->seen_term &&
	    raft->log.last < member->seen_last)
		check_fail(world, "leader %" PRIu64 " cuts its own log",
			   raft->options.id);
	/* What may be new: all since the last look, or a few after a cut. */
	if (raft->term == member->seen_term && member->seen_last < from)
		from = member->seen_last + 1;
	else
		from = from > 8 ? from - 8 : 1;
	for (; from <= raft->log.last; from++)
		check_pair(world, member, from);
	if (raft->role == RAFT_LEADER)
		check_leader(world, member);
	check_commit(world, member);
	if (world->lockstep)
		check_lease(world, member);
	member->seen_term = raft->term;
	member->seen_last = raft->log.last;
	member->seen_role = raft->role;
}

static void check_vote(struct world *world, struct member *member,
		       const struct raft_message *message)
{
	uint64_t id = member_id(world, member);
	uint64_t *vote;

	if (message->term >= WORLD_TERMS_MAX)
		return;
	vote = &world->vote_of[id - 1][message->term];
	if (*vote != 0 && *vote != message->to)
		check_fail(world, "%" PRIu64 " votes twice in term %" PRIu64,
			   id, message->term);
	*vote = message->to;
	if (member->hard.term < message->term ||
	    (member->hard.term == message->term &&
	     member->hard.vote != message->to))
		check_fail(world,
			   "%" PRIu64 " tells a vote of term %" PRIu64
			   " that is not on its disk",
			   id, message->term);
}

void check_sent(struct world *world, struct member *member,
		const struct raft_message *message)
{
	uint64_t id = member_id(world, member);

	if (message->type == RAFT_MSG_VOTE_REPLY && !message->reject)
		check_vote(world, member, message);
	if (message->type == RAFT_MSG_APPEND_REPLY && !message->reject &&
	    member->hard.term == message->term &&
	    message->log_index > member->last)
		check_fail(world,
			   "%" PRIu64 " acknowledges %" PRIu64
			   ", its disk has %" PRIu64,
			   id, message->log_index, member->last);
	if (message->type == RAFT_MSG_APPEND_REPLY && !message->reject &&
	    message->log_index > 0 && member->hard.term < message->term)
		check_fail(world,
			   "%" PRIu64 " acknowledges in term %" PRIu64
			   " that is not on its disk",
			   id, message->term);
}

void check_applied(struct world *world, struct member *member,
		   const struct raft_entry *entry)
{
	const struct fact *fact = &world->committed[entry->index];

	if (!fact->known || fact->term != entry->term ||
	    fact->data != entry->data)
		check_fail(world,
			   "%" PRIu64 " applies another entry at %" PRIu64,
			   member_id(world, member), entry->index);
	if (entry->index > member->last)
		check_fail(world,
			   "%" PRIu64 " applies %" PRIu64
			   ", which its disk lacks",
			   member_id(world, member), entry->index);
}

void check_read(struct world *world, struct member *member,
		const struct raft_read *read)
{
	uint64_t asked = world->asked[read->context % WORLD_READS_MAX];

	world->reads_done++;
	if (read->context + WORLD_READS_MAX <= world->next_read)
		return; /* so old that its slot was used again */
	if (read->index < asked)
		check_fail(world,
			   "%" PRIu64 " reads at %" PRIu64 ", but %" PRIu64
			   " was committed when it was asked",
			   member_id(world, member), read->index, asked);
}
