/*
 * Which damage members can mend for each other; see tests/sim/wound.h.
 */
#include "tests/sim/wound.h"
#include "tests/sim/disk.h"
#include "tests/sim/machine.h"
#include "tests/sim/medium.h"
#include "tests/sim/sim.h"

#include "daemon/node_state.h"

static bool has(const struct raft *raft, uint64_t index, uint64_t term)
{
	const struct raft_entry *entry = raft_entry_at(raft, index);
	return entry != NULL && entry->term == term;
}

static bool helps(uint32_t machine, uint32_t other, const struct wal_hole *hole)
{
	const struct machine_view *view = machine_view(other);
	const struct raft *raft = view->node != NULL ? view->node->raft : NULL;
	if (other == machine || view->member == 0 || raft == NULL ||
	    view->away || raft_entry_at(raft, hole->first) == NULL)
		return false;
	if (hole->first > 1 && !has(raft, hole->first - 1, hole->before_term))
		return false;
	return hole->proof_index > 0
		       ? has(raft, hole->proof_index, hole->proof_term)
		       : has(raft, hole->last,
			     medium_term_at(machine, hole->last));
}

bool wound_heals(uint32_t machine)
{
	const struct machine_view *view = machine_view(machine);
	struct sim_disk_excuse excuse;
	struct wal_hole hole;
	sim_disk_excuse(machine, &excuse);
	if (view->node == NULL || view->node->draining ||
	    excuse.read_errors > 0 || excuse.write_errors > 0 ||
	    !wal_hole(view->node->wal, &hole))
		return false;
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		if (helps(machine, i, &hole))
			return true;
	return false;
}
