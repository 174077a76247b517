/*
 * What must hold after everything that happens to a core: the properties of
 * the paper's Figure 3 (election safety, leader append-only, log matching,
 * leader completeness, state machine safety), and that nothing that only
 * rises ever falls.
 *
 * The logs of all cores are compared with what was seen of them before,
 * entry by entry: what the core says of its own log (what is new, what was
 * cut) is not believed.
 */
#include "tests/explore/world.h"

#include "raft/entry.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void check_fail(struct world *world, const char *format, ...)
{
	char line[WORLD_TRACE_LINE];
	va_list args;

	if (world->failed)
		return; /* what comes of it says nothing new */
	world->failed = true;
	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args); /* may be cut */
	va_end(args);
	if (world->trace == TRACE_NONE)
		printf("seed %" PRIu64 ", step %" PRIu64 ": %s\n", world->seed,
		       world->step, line);
	world_say(world, "FAILED: %s", line);
}

void check_restart(struct member *member)
{
	member->seen_commit = 0;
	member->seen_term = 0;
	member->seen_last = 0;
	member->seen_role = RAFT_FOLLOWER;
}

/* Log matching: index and term name one entry and all before it. */
static void check_pair(struct world *world, const struct raft *raft,
		       const struct raft_entry *entry)
{
	uint64_t before = 0;
	uint64_t at;
	struct pair *pair;

	if (!raft_log_term(&raft->log, entry->index - 1, &before))
		return;
	at = (entry->index * 31 + entry->term * 1000003) % WORLD_PAIRS;
	while (world->pairs[at].index != 0 &&
	       (world->pairs[at].index != entry->index ||
		world->pairs[at].term != entry->term))
		at = (at + 1) % WORLD_PAIRS;
	pair = &world->pairs[at];
	if (pair->index == 0) {
		*pair = (struct pair){.index = entry->index,
				      .term = entry->term,
				      .before = before,
				      .data = entry->data,
				      .kind = entry->kind};
		world->pair_count++;
		if (client_refused(world, entry->data))
			check_fail(world, "what was refused stands at %" PRIu64,
				   entry->index);
		return;
	}
	if (pair->before != before || pair->kind != entry->kind ||
	    (entry->data && pair->data != entry->data))
		check_fail(world,
			   "log matching: two entries %" PRIu64 "/%" PRIu64,
			   entry->term, entry->index);
}

/* One change at a time: the next one is appended when this is applied. */
static void check_pending(struct world *world, const struct raft *raft,
			  uint64_t index)
{
	for (uint64_t i = raft->log.applied + 1; i < index; i++)
		if (i >= raft->log.first &&
		    ghost_is_change(raft_log_slot(&raft->log, i)->kind))
			check_fail(world,
				   "%" PRIu64 " appends a change at %" PRIu64
				   ", that at %" PRIu64 " is not applied",
				   raft->options.id, index, i);
}

/* Whether this core led before and since, in one term. */
static bool leads_on(const struct member *member)
{
	return member->raft->role == RAFT_LEADER &&
	       member->seen_role == RAFT_LEADER &&
	       member->seen_term == member->raft->term;
}

/* What stood at `index` stands there no more. */
static void check_cut(struct world *world, const struct member *member,
		      uint64_t index, uint64_t old_term)
{
	uint64_t id = member->raft->options.id;

	world_reach(world, REACH_CUT);
	if (member_disk_term(member, index) == old_term)
		world_reach(world, REACH_CUT_DURABLE);
	if (leads_on(member))
		check_fail(world,
			   "leader %" PRIu64 " replaces its own %" PRIu64, id,
			   index);
	if (index <= member->seen_commit)
		check_fail(world, "%" PRIu64 " cuts committed %" PRIu64, id,
			   index);
}

/* An entry that was not here, or not like this. */
static void check_entry(struct world *world, struct member *member,
			const struct raft_entry *entry, uint64_t index)
{
	struct shade *shade = &member->shades[index % WORLD_RING];
	bool was = shade->index == index && index <= member->seen_last;

	if (entry->index != index)
		check_fail(world, "%" PRIu64 " has %" PRIu64 " at %" PRIu64,
			   member->raft->options.id, entry->index, index);
	/* Bytes may leave the memory when the disk has them. */
	if (was && shade->term == entry->term && !entry->data) {
		if (member_disk_term(member, index) != entry->term &&
		    index > member->saved.index)
			check_fail(world, "the bytes of %" PRIu64 " are gone",
				   index);
		return;
	}
	if (was && shade->term != entry->term)
		check_cut(world, member, index, shade->term);
	*shade = (struct shade){index, entry->term, entry->data};
	check_pair(world, member->raft, entry);
	if (ghost_is_change(entry->kind) && leads_on(member))
		check_pending(world, member->raft, index);
}

static void check_log(struct world *world, struct member *member)
{
	const struct raft_log *log = &member->raft->log;

	if (log->last < member->seen_last) {
		const struct shade *shade =
			&member->shades[(log->last + 1) % WORLD_RING];

		if (shade->index == log->last + 1)
			check_cut(world, member, log->last + 1, shade->term);
	}
	for (uint64_t i = log->first; i <= log->last; i++) {
		const struct raft_entry *entry = raft_log_slot(log, i);
		const struct shade *shade = &member->shades[i % WORLD_RING];

		if (shade->index != i || shade->term != entry->term ||
		    shade->data != entry->data || entry->index != i)
			check_entry(world, member, entry, i);
	}
	if (log->first > log->last + 1 || log->stable > log->handed ||
	    log->handed > log->last || log->applied > log->applying ||
	    log->applying > log->commit || log->commit > log->last)
		check_fail(world, "the marks of %" PRIu64 "'s log are mixed up",
			   member->raft->options.id);
}

/* Election safety, and leader completeness. */
static void check_elected(struct world *world, const struct member *member)
{
	const struct raft *raft = member->raft;
	uint64_t id = raft->options.id;

	if (world->leader_of[raft->term] != 0) {
		check_fail(world, "two leaders of term %" PRIu64, raft->term);
		return;
	}
	world->leader_of[raft->term] = id;
	world_reach(world, REACH_ELECTION);
	if (world->transferee_of[raft->term - 1] == id)
		world_reach(world, REACH_TRANSFER);
	world_say(world, "%" PRIu64 " leads term %" PRIu64, id, raft->term);
	if (!promise_elected(world, member))
		check_fail(world,
			   "%" PRIu64 " leads term %" PRIu64
			   " without the votes of a majority",
			   id, raft->term);
	clock_elected(world, member);
	for (uint64_t i = raft->log.first; i <= world->commit; i++) {
		const struct raft_entry *entry = raft_entry_at(raft, i);

		/* Who wins an old term late may lack what newer ones did. */
		if (world->facts[i].by < raft->term &&
		    (!entry || entry->term != world->facts[i].term))
			check_fail(world,
				   "the leader of term %" PRIu64
				   " lacks committed %" PRIu64,
				   raft->term, i);
	}
}

/*
 * Voters campaign, and nobody begins to by a configuration that it knows to
 * be replaced. (It may learn that between asking first and asking for good.)
 */
static void check_campaign(struct world *world, const struct member *member)
{
	const struct raft *raft = member->raft;
	const struct raft_log *log = &raft->log;
	const struct ghost *conf = &world->facts[member->image.index].conf;

	if (member->seen_role == RAFT_PRE_CANDIDATE ||
	    (raft->role == member->seen_role &&
	     raft->term == member->seen_term))
		return;
	if (!(((conf->voters | conf->outgoing) >> (raft->options.id - 1)) & 1))
		check_fail(world, "%" PRIu64 " campaigns, but has no vote",
			   raft->options.id);
	for (uint64_t i = member->image.index + 1; i <= log->commit; i++)
		if (i >= log->first &&
		    ghost_is_change(raft_log_slot(log, i)->kind))
			check_fail(world,
				   "%" PRIu64 " campaigns, and the change at "
				   "%" PRIu64 " is not applied",
				   raft->options.id, i);
}

static void check_leader(struct world *world, const struct member *member)
{
	const struct raft *raft = member->raft;

	if (world->leader_of[raft->term] != raft->options.id)
		check_elected(world, member);
	if (raft->transferee != 0)
		world->transferee_of[raft->term] = raft->transferee;
}

/* The first to know that an entry is committed is the leader who counted. */
static void record(struct world *world, const struct member *member,
		   uint64_t index)
{
	const struct raft *raft = member->raft;
	const struct raft_entry *entry = raft_entry_at(raft, index);
	const struct shade *shade = &member->shades[index % WORLD_RING];
	struct fact *fact = &world->facts[index];

	if (raft->role != RAFT_LEADER || !entry) {
		check_fail(world,
			   "%" PRIu64 " commits %" PRIu64
			   " before any leader did",
			   raft->options.id, index);
		return;
	}
	*fact = (struct fact){.term = entry->term,
			      .by = raft->term,
			      .data = shade->data,
			      .kind = entry->kind};
	fact->conf = ghost_after(world, world->facts[index - 1].conf, fact);
	world->commit = index;
	world_reach(world, REACH_COMMIT);
}

static void check_counted(struct world *world, const struct member *member)
{
	const struct raft *raft = member->raft;
	uint64_t commit = raft->log.commit;

	if (world->failed)
		return;
	if (world->facts[commit].term != raft->term)
		check_fail(world,
			   "%" PRIu64 " commits %" PRIu64
			   " of an older term by counting",
			   raft->options.id, commit);
	if (!promise_kept(world, member, commit, raft->term))
		check_fail(world,
			   "%" PRIu64 " commits %" PRIu64
			   ", which no majority has on disk",
			   raft->options.id, commit);
}

static void check_commit(struct world *world, struct member *member)
{
	const struct raft *raft = member->raft;
	uint64_t known = world->commit;

	if (raft->log.commit < member->seen_commit)
		check_fail(world, "the commit of %" PRIu64 " retreats",
			   raft->options.id);
	for (uint64_t i = member->seen_commit + 1;
	     i <= raft->log.commit && !world->failed; i++) {
		const struct raft_entry *entry = raft_entry_at(raft, i);

		if (i > world->commit)
			record(world, member, i);
		else if (entry && entry->term != world->facts[i].term)
			check_fail(world,
				   "%" PRIu64 " commits another entry at "
				   "%" PRIu64,
				   raft->options.id, i);
	}
	if (world->commit > known)
		check_counted(world, member);
	member->seen_commit = raft->log.commit;
}

static void check_conf(struct world *world, const struct member *member)
{
	const struct raft *raft = member->raft;
	const struct ghost nobody = {0};
	const struct ghost *conf = &world->facts[member->image.index].conf;

	/* Who joins later is not told at birth who votes. */
	if (member->image.index == 0 && raft->options.id > world->founders)
		conf = &nobody;
	if (!raft->log.incoming_set && !ghost_is(conf, &raft->conf))
		check_fail(world,
			   "%" PRIu64 " has another configuration at %" PRIu64,
			   raft->options.id, member->image.index);
}

void check_member(struct world *world, struct member *member)
{
	const struct raft *raft = member->raft;

	world->moments++;
	if (world->failed)
		return;
	if (raft->term < member->seen_term)
		check_fail(world, "the term of %" PRIu64 " falls",
			   raft->options.id);
	if (raft->role != member->seen_role || raft->term != member->seen_term)
		clock_steady(member);
	check_log(world, member);
	if (raft->role == RAFT_LEADER)
		check_leader(world, member);
	else if (raft->role != RAFT_FOLLOWER)
		check_campaign(world, member);
	check_commit(world, member);
	promise_believed(world, member);
	check_conf(world, member);
	member->seen_term = raft->term;
	member->seen_last = raft->log.last;
	member->seen_role = raft->role;
}

/* State machine safety. */
void check_applied(struct world *world, struct member *member,
		   const struct raft_entry *entry)
{
	uint64_t id = member_id(world, member);
	const struct fact *fact = &world->facts[entry->index];

	if (entry->index > world->commit || fact->term != entry->term ||
	    fact->kind != entry->kind || fact->data != entry->data)
		check_fail(world,
			   "%" PRIu64 " applies another entry at %" PRIu64, id,
			   entry->index);
	if (entry->index != member->image.index + 1)
		check_fail(world,
			   "%" PRIu64 " applies %" PRIu64 " after %" PRIu64, id,
			   entry->index, member->image.index);
	if (entry->index > member->saved.index &&
	    member_disk_term(member, entry->index) != entry->term)
		check_fail(world,
			   "%" PRIu64 " applies %" PRIu64
			   ", which its disk lacks",
			   id, entry->index);
}
