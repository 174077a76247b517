/*
 * See tests/sim/watch.h.
 */
#include "tests/sim/watch.h"
#include "tests/sim/ghost.h"
#include "tests/sim/lanes.h"
#include "tests/sim/machine.h"
#include "tests/sim/medium.h"
#include "tests/sim/sim.h"

#include "daemon/node_state.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum watch_limits {
	WATCH_TERMS = 4096, /* the last ones; a power of two */
	BYTES_LOOKED_AT = 8, /* entries that are applied next */
};

/* What was seen of a member in this life; before, see medium.h. */
struct seen {
	uint64_t term;
	uint64_t commit;
	uint64_t applied;
	uint64_t compared; /* its state there was held against the ghost's */
	uint64_t last;
	uint64_t last_term;
	uint64_t batch_next;
	uint64_t read_round;
	const struct store *store;
	const void *due; /* bytes of the entry to be applied next */
	uint64_t due_term;
	bool applying; /* the store looks at them */
	uint8_t role;
};

struct lead {
	uint64_t term;
	uint32_t machine;
	uint64_t life;
};

static struct seen seen[SIM_MACHINES_MAX];
static struct lead leads[WATCH_TERMS];
static uint64_t newest;

void watch_clear(void)
{
	memset(seen, 0, sizeof(seen));
	memset(leads, 0, sizeof(leads));
	newest = 0;
}

void watch_begin(uint32_t machine)
{
	seen[machine] = (struct seen){.term = 0};
}

int watch_leader_of(uint64_t term)
{
	const struct lead *lead = &leads[term % WATCH_TERMS];
	return lead->term == term && term != 0 ? (int)lead->machine : -1;
}

int watch_leader(void)
{
	int machine = watch_leader_of(newest);
	if (machine < 0)
		return -1;
	const struct machine_view *view = machine_view((uint32_t)machine);
	if (view->node == NULL || !node_leads(view->node) ||
	    view->node->term != newest)
		return -1;
	return machine;
}

/* ---- leaders ---- */

/* It has all that was committed in earlier terms. */
static void check_completeness(uint32_t machine, const struct raft *raft,
			       const struct raft_status *status)
{
	uint64_t index = ghost_index_before(status->term);
	if (index == 0 || index < status->first_index)
		return;
	const struct raft_entry *entry = raft_entry_at(raft, index);
	sim_check(entry != NULL && entry->term == ghost_term_at(index),
		  "machine %u leads term %" PRIu64 " without entry %" PRIu64
		  ", which is committed",
		  machine, status->term, index);
}

static void check_leader(uint32_t machine, const struct raft *raft,
			 const struct raft_status *status)
{
	struct lead *lead = &leads[status->term % WATCH_TERMS];
	uint64_t life = machine_view(machine)->life;
	if (lead->term == status->term) {
		sim_check(lead->machine == machine && lead->life == life,
			  "machines %u and %u lead term %" PRIu64,
			  lead->machine, machine, status->term);
		return;
	}
	*lead = (struct lead){status->term, machine, life};
	sim_trace("machine %: leads term %, its log ends at %", machine,
		  status->term, status->last_index);
	check_completeness(machine, raft, status);
	if (status->term > newest) {
		if (newest != 0 && watch_leader_of(newest) != (int)machine)
			SIM_SOMETIMES(LEADER_CHANGED);
		newest = status->term;
	}
}

/* While it leads, its log only grows. */
static void check_append_only(uint32_t machine, const struct raft *raft,
			      const struct raft_status *status)
{
	const struct seen *before = &seen[machine];
	if (before->role != RAFT_LEADER || before->term != status->term)
		return;
	const struct raft_entry *entry = raft_entry_at(raft, before->last);
	sim_check(status->last_index >= before->last &&
			  (entry == NULL || entry->term == before->last_term),
		  "machine %u leads and cuts its log from %" PRIu64
		  " to %" PRIu64,
		  machine, before->last, status->last_index);
}

/* ---- bytes ---- */

/* What lies where entries are said to lie is those entries. */
static void check_bytes(uint32_t machine, const struct node *node,
			const struct raft_status *status)
{
	uint64_t index = node->applied + 1;
	if (index < status->first_index)
		index = status->first_index;
	for (uint32_t i = 0; i < BYTES_LOOKED_AT; i++, index++) {
		const struct raft_entry *entry =
			raft_entry_at(node->raft, index);
		if (entry == NULL || entry->data == NULL)
			return;
		struct entry_header header;
		memcpy(&header, entry->data, sizeof(header));
		sim_check(header.index == index && header.term == entry->term,
			  "machine %u has entry %" PRIu64 " of term %" PRIu64
			  " where %" PRIu64 " of term %" PRIu64 " should be",
			  machine, header.index, header.term, index,
			  entry->term);
	}
}

/* The store takes an entry in slices: until then it lies still. */
static void check_due(uint32_t machine, const struct node *node,
		      const struct raft_entry *due)
{
	const struct seen *before = &seen[machine];
	if (due == NULL || before->due == NULL || before->due == due->data ||
	    before->applied != node->applied || before->due_term != due->term)
		return;
	SIM_SOMETIMES(ENTRY_MOVED);
	sim_check(!before->applying || !node->applying,
		  "machine %u moves entry %" PRIu64 " while it is applied",
		  machine, due->index);
}

/*
 * What it appended since it was looked at last: a change of membership only
 * where no earlier one waits to be applied.
 */
static void check_one_change(uint32_t machine, const struct node *node,
			     const struct raft_status *status)
{
	const struct seen *before = &seen[machine];
	if (status->role != RAFT_LEADER || before->role != RAFT_LEADER ||
	    before->term != status->term || status->last_index == before->last)
		return;
	uint64_t change = 0;
	uint64_t from =
		node->applied < before->last ? node->applied : before->last;
	for (uint64_t i = from + 1; i <= status->last_index; i++) {
		const struct raft_entry *entry = raft_entry_at(node->raft, i);
		if (entry == NULL || !entry_is_conf(entry->kind))
			continue;
		sim_check(change <= node->applied || i <= before->last,
			  "machine %u appends a second change of membership at "
			  "%" PRIu64 ", and that at %" PRIu64 " is not applied",
			  machine, i, change);
		change = i;
	}
}

/* ---- what is reached ---- */

static bool waits_for_round(const struct node *node, uint64_t round)
{
	for (uint32_t i = 0; i < node->read_count; i++) {
		const struct node_read *read = &node->reads[node->read_list[i]];
		if (read->linearizable && !read->confirmed &&
		    read->round <= round)
			return true;
	}
	return false;
}

static void note_points(uint32_t machine, const struct node *node,
			const struct raft_status *status)
{
	const struct seen *before = &seen[machine];
	if (node->batch_next < before->batch_next &&
	    node->batch_head != node->batch_tail)
		SIM_SOMETIMES(BATCH_AGAIN);
	if (before->read_round != 0 &&
	    node->read_round_open > before->read_round &&
	    waits_for_round(node, before->read_round))
		SIM_SOMETIMES(READ_ROUND_LOST);
	if (before->store != NULL && before->store != node->store)
		SIM_SOMETIMES(IMAGE_INSTALLED);
	if (before->role == RAFT_LEADER && status->role == RAFT_FOLLOWER &&
	    before->term == status->term)
		SIM_SOMETIMES(QUORUM_LOST);
}

/* ---- commits ---- */

/* It leads that term, or did when it was looked at last. */
static bool led(uint32_t machine, const struct raft_status *status,
		uint64_t term)
{
	const struct seen *before = &seen[machine];
	return (status->role == RAFT_LEADER && status->term == term) ||
	       (before->role == RAFT_LEADER && before->term == term);
}

/* It knows of more than anybody did. */
static void take_commits(uint32_t machine, const struct node *node,
			 const struct raft_status *status)
{
	const struct raft_entry *top =
		raft_entry_at(node->raft, status->commit);
	sim_check(top != NULL && led(machine, status, top->term),
		  "machine %u, of role %u in term %" PRIu64
		  ", commits entry %" PRIu64 " of term %" PRIu64,
		  machine, status->role, status->term, status->commit,
		  top != NULL ? top->term : 0);
	while (ghost_index() < status->commit) {
		uint64_t index = ghost_index() + 1;
		const struct raft_entry *entry =
			raft_entry_at(node->raft, index);
		sim_check(entry != NULL,
			  "machine %u commits entry %" PRIu64
			  " and does not have it",
			  machine, index);
		ghost_commit(index, entry->term, top->term);
	}
	sim_check(ghost_is_safe(status->commit, seen[machine].applied,
				node->applied),
		  "machine %u commits entry %" PRIu64
		  ", which is not on the disks of a majority",
		  machine, status->commit);
}

/* What it takes for committed is what everybody does. */
static void check_commits(uint32_t machine, const struct node *node,
			  const struct raft_status *status)
{
	if (status->commit > ghost_index())
		take_commits(machine, node, status);
	uint64_t index = status->commit;
	const struct raft_entry *entry = raft_entry_at(node->raft, index);
	if (index == 0 || entry == NULL)
		return;
	sim_check(entry->term == ghost_term_at(index),
		  "machine %u commits entry %" PRIu64 " of term %" PRIu64
		  ", and that of term %" PRIu64 " is committed",
		  machine, index, entry->term, ghost_term_at(index));
}

static void check_order(uint32_t machine, const struct node *node,
			const struct raft_status *status)
{
	const struct seen *before = &seen[machine];
	sim_check(status->term >= before->term &&
			  status->commit >= before->commit &&
			  node->applied >= before->applied,
		  "machine %u goes back: term %" PRIu64 " from %" PRIu64
		  ", commit %" PRIu64 " from %" PRIu64 ", applied %" PRIu64
		  " from %" PRIu64,
		  machine, status->term, before->term, status->commit,
		  before->commit, node->applied, before->applied);
	sim_check(node->applied <= status->commit &&
			  status->commit <= status->last_index,
		  "machine %u has applied %" PRIu64 " of %" PRIu64
		  " committed of %" PRIu64 " entries",
		  machine, node->applied, status->commit, status->last_index);
}

void watch_look(uint32_t machine, const struct node *node)
{
	struct raft_status status;
	raft_status(node->raft, &status);
	check_order(machine, node, &status);
	if (status.role == RAFT_LEADER)
		check_leader(machine, node->raft, &status);
	check_append_only(machine, node->raft, &status);
	check_one_change(machine, node, &status);
	note_points(machine, node, &status);
	if (status.commit > seen[machine].commit)
		check_commits(machine, node, &status);
	uint64_t compared = seen[machine].compared;
	if (node->applied > compared && !node->applying) {
		ghost_compare(node->store);
		compared = node->applied;
	}
	check_bytes(machine, node, &status);
	const struct raft_entry *due =
		raft_entry_at(node->raft, node->applied + 1);
	check_due(machine, node, due);
	const struct raft_entry *last =
		raft_entry_at(node->raft, status.last_index);
	seen[machine] = (struct seen){
		.term = status.term,
		.commit = status.commit,
		.applied = node->applied,
		.compared = compared,
		.last = status.last_index,
		.last_term = last != NULL ? last->term : 0,
		.batch_next = node->batch_next,
		.read_round = node->read_round_open,
		.store = node->store,
		.due = due != NULL ? due->data : NULL,
		.due_term = due != NULL ? due->term : 0,
		.applying = node->applying,
		.role = status.role,
	};
}

/* ---- for others ---- */

bool watch_is_quiet(const struct node *node)
{
	struct raft_status status;
	raft_status(node->raft, &status);
	return status.commit == status.last_index &&
	       node->applied == status.commit && status.transferee == 0 &&
	       node->batch_head == node->batch_tail &&
	       node->sealed_count == 0 && node->open.entry == NULL;
}

void watch_tell(uint32_t machine)
{
	const struct machine_view *view = machine_view(machine);
	const struct node *node = view->node;
	struct raft_status status;
	sim_trace("machine %: state %, away %, member %", machine, view->state,
		  view->away, view->member);
	if (node == NULL)
		return;
	raft_status(node->raft, &status);
	sim_trace("    role %, leader %, term %, voters %", status.role,
		  status.leader, status.term, status.conf.voter_count);
	sim_trace("    log % to %, commit %, applied %", status.first_index,
		  status.last_index, status.commit, node->applied);
	sim_trace("    batches % next % to %, reads %", node->batch_head,
		  node->batch_next, node->batch_tail, node->read_count);
	sim_trace("    buffers free %, disk busy %, lanes next in % us",
		  wal_buffers_free(node->wal), node->writing,
		  (lanes_next_ns(machine) - machine_now(machine)) / SIM_US);
}
