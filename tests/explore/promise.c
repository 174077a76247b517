/*
 * What a member says is compared with what its disk has at that moment, and
 * what its disk gets with what it had: a vote or an acknowledgement that a
 * crash could take back is a fault even if no crash comes.
 */
#include "tests/explore/world.h"

#include <inttypes.h>

/* An image stands for everything up to it. */
static bool has(const struct member *member, uint64_t index, uint64_t term)
{
	return index <= member->saved.index ||
	       member_disk_term(member, index) == term;
}

static const struct ghost *conf_of(const struct world *world,
				   const struct member *member)
{
	return &world->facts[member->image.index].conf;
}

bool promise_kept(const struct world *world, const struct member *member,
		  uint64_t index, uint64_t term)
{
	unsigned int members = 0;

	for (unsigned int i = 0; i < world->count; i++)
		if (has(&world->members[i], index, term))
			members |= 1u << i;
	return ghost_majority(conf_of(world, member), members);
}

bool promise_elected(const struct world *world, const struct member *member)
{
	uint64_t id = member_id(world, member);
	uint64_t term = member->raft->term;
	unsigned int members = 0;

	for (unsigned int i = 0; i < world->count; i++)
		if (world->told_of[i][term] == id ||
		    (i == id - 1 && world->vote_of[i][term] == id))
			members |= 1u << i;
	/* Its own is durable, or it could win this term again. */
	return world->vote_of[id - 1][term] == id &&
	       ghost_majority(conf_of(world, member), members);
}

static void sent_vote(struct world *world, const struct member *member,
		      const struct raft_message *message)
{
	uint64_t id = member_id(world, member);
	uint64_t *told = &world->told_of[id - 1][message->term];

	if (*told != 0 && *told != message->to)
		check_fail(world, "%" PRIu64 " votes twice in term %" PRIu64,
			   id, message->term);
	*told = message->to;
	/* Whose disk has a newer term cannot vote in this one again. */
	if (member->hard.term < message->term ||
	    (member->hard.term == message->term &&
	     member->hard.vote != message->to))
		check_fail(world,
			   "%" PRIu64 " tells a vote of term %" PRIu64
			   " that is not on its disk",
			   id, message->term);
}

/* Whether the leader of that term, if it still leads, has it there, too. */
static bool leader_has(struct world *world, uint64_t term, uint64_t index,
		       uint64_t entry_term)
{
	uint64_t id = world->leader_of[term];
	const struct member *leader;
	uint64_t its_term;

	if (id == 0)
		return false;
	leader = &world->members[id - 1];
	if (!leader->running || leader->raft->role != RAFT_LEADER ||
	    leader->raft->term != term ||
	    !raft_log_term(&leader->raft->log, index, &its_term))
		return true;
	return its_term == entry_term;
}

static void sent_ack(struct world *world, const struct member *member,
		     const struct raft_message *message)
{
	uint64_t id = member_id(world, member);
	uint64_t index = message->log_index;
	uint64_t term = member_disk_term(member, index);

	/* Of an older term: no one counts it who was not elected before. */
	if (index == 0 || member->hard.term > message->term)
		return;
	if (member->hard.term < message->term)
		check_fail(world,
			   "%" PRIu64 " acknowledges in term %" PRIu64
			   " that is not on its disk",
			   id, message->term);
	if (index > member->last || (index > member->saved.index && term == 0))
		check_fail(world,
			   "%" PRIu64 " acknowledges %" PRIu64
			   ", its disk has %" PRIu64,
			   id, index, member->last);
	else if (index >= member->saved.index &&
		 !leader_has(world, message->term, index, term))
		check_fail(world,
			   "%" PRIu64 " acknowledges %" PRIu64
			   ", its disk has another entry there",
			   id, index);
}

void promise_sent(struct world *world, struct member *member,
		  const struct raft_message *message)
{
	uint64_t id = member_id(world, member);

	switch (message->type) {
	case RAFT_MSG_VOTE_REPLY:
		if (!message->reject)
			sent_vote(world, member, message);
		break;
	case RAFT_MSG_APPEND_REPLY:
		if (!message->reject)
			sent_ack(world, member, message);
		break;
	case RAFT_MSG_APPEND:
	case RAFT_MSG_HEARTBEAT:
	case RAFT_MSG_SNAPSHOT:
	case RAFT_MSG_TIMEOUT_NOW:
		if (world->leader_of[message->term] != id)
			check_fail(world,
				   "%" PRIu64 " speaks as leader of %" PRIu64,
				   id, message->term);
		break;
	default:
		break;
	}
}

static void written_hard(struct world *world, const struct member *member,
			 const struct raft_hard_state *hard)
{
	uint64_t id = member_id(world, member);
	uint64_t *vote = &world->vote_of[id - 1][hard->term];

	if (hard->term < member->hard.term ||
	    hard->commit < member->hard.commit)
		check_fail(world, "term or commit fall on the disk of %" PRIu64,
			   id);
	if (hard->vote != *vote && *vote != 0)
		check_fail(world,
			   "%" PRIu64 " changes its vote of term %" PRIu64, id,
			   hard->term);
	*vote = hard->vote;
}

static void written_image(struct world *world, const struct member *member,
			  const struct raft_snapshot *image)
{
	const struct fact *fact = &world->facts[image->index];
	uint64_t id = member_id(world, member);

	if (image->index > world->commit || image->term != fact->term ||
	    !ghost_is(&fact->conf, &image->conf))
		check_fail(world,
			   "%" PRIu64 " gets an image of %" PRIu64
			   " that was never so",
			   id, image->index);
	if (image->index < member->saved.index)
		check_fail(world, "%" PRIu64 " gets an older image", id);
	if (member->last > image->index &&
	    member_disk_term(member, image->index) == image->term)
		check_fail(world,
			   "%" PRIu64 " gets an image at %" PRIu64
			   " over a log that agrees",
			   id, image->index);
}

/*
 * A second change comes after the first was applied somewhere, and with its
 * entry comes a commit index that says so: whoever finds both on its disk
 * must find that, too, or it could lead by the configuration before both.
 */
static void written_changes(struct world *world, const struct member *member,
			    const struct write *write)
{
	uint64_t first = 0;

	for (uint64_t i = write->hard.commit + 1; i < write->first; i++)
		if (member_disk_term(member, i) != 0 &&
		    i > member->saved.index &&
		    ghost_is_change(member->log[i % WORLD_RING].kind))
			first = i;
	for (uint32_t i = 0; i < write->count; i++) {
		const struct raft_entry *entry = &write->entries[i];

		if (!ghost_is_change(entry->kind) ||
		    entry->index <= write->hard.commit)
			continue;
		if (first != 0)
			check_fail(world,
				   "%" PRIu64 " writes the change at %" PRIu64
				   ", not knowing that at %" PRIu64
				   " for committed",
				   member_id(world, member), entry->index,
				   first);
		first = entry->index;
	}
}

void promise_written(struct world *world, struct member *member,
		     const struct write *write)
{
	uint64_t id = member_id(world, member);
	uint64_t last = member->last;

	written_hard(world, member, &write->hard);
	written_changes(world, member, write);
	if (write->has_snapshot) {
		written_image(world, member, &write->snapshot);
		last = write->snapshot.index;
	}
	for (uint32_t i = 0; i < write->count; i++) {
		const struct raft_entry *entry = &write->entries[i];

		if (entry->index > last + 1)
			check_fail(world,
				   "a gap in the log of %" PRIu64
				   " before %" PRIu64,
				   id, entry->index);
		last = entry->index;
		/* What others committed may be on its way to this disk. */
		if (last <= member->hard.commit &&
		    entry->term != world->facts[last].term &&
		    member_disk_term(member, last) == world->facts[last].term)
			check_fail(world,
				   "%" PRIu64 " overwrites committed %" PRIu64,
				   id, last);
	}
	if (write->hard.commit > last)
		check_fail(world,
			   "%" PRIu64 " writes commit %" PRIu64
			   " beyond its log",
			   id, write->hard.commit);
}

static void believed_of_self(struct world *world, const struct member *member)
{
	const struct raft_log *log = &member->raft->log;

	if (!log->incoming_set && log->stable >= log->first &&
	    !has(member, log->stable, raft_log_slot(log, log->stable)->term))
		check_fail(world,
			   "%" PRIu64 " takes %" PRIu64
			   " for durable, its disk has term %" PRIu64 " there",
			   member_id(world, member), log->stable,
			   member_disk_term(member, log->stable));
	if (member->write_count == 0 && !member->untold &&
	    member->raft->record_begin != member->raft->record_end)
		check_fail(world,
			   "%" PRIu64 " waits for a write, and there is none",
			   member_id(world, member));
}

/* Whoever went on to a newer term may have dropped what it acknowledged. */
static void believed_of(struct world *world, struct member *leader,
			const struct raft_progress *progress)
{
	uint64_t *seen = &leader->seen_match[progress->id - 1];
	const struct member *member = &world->members[progress->id - 1];
	const struct raft_log *log = &leader->raft->log;
	uint64_t term;

	if (progress->match < *seen)
		check_fail(world, "match of %" PRIu64 " falls", progress->id);
	*seen = progress->match;
	if (progress->match >= progress->next || progress->match > log->last)
		check_fail(world,
			   "match %" PRIu64 ", next %" PRIu64 " of %" PRIu64
			   " are mixed up",
			   progress->match, progress->next, progress->id);
	if (progress->match == 0 || member->hard.term != leader->raft->term ||
	    !raft_log_term(log, progress->match, &term))
		return;
	if (!has(member, progress->match, term))
		check_fail(world,
			   "%" PRIu64 " believes that %" PRIu64 " has %" PRIu64
			   " on disk",
			   member_id(world, leader), progress->id,
			   progress->match);
}

void promise_believed(struct world *world, struct member *member)
{
	const struct raft *raft = member->raft;

	believed_of_self(world, member);
	if (raft->role != RAFT_LEADER)
		return;
	for (unsigned int i = 0; i < raft->progress_count; i++)
		believed_of(world, member, &raft->progress[raft->order[i]]);
}
