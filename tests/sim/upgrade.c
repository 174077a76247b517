/*
 * See tests/sim/upgrade.h. All of it is in seeds with lease reads alone, so
 * that the others are as they were.
 */
#include "tests/sim/upgrade.h"
#include "tests/sim/ghost.h"
#include "tests/sim/sim.h"

#include "daemon/node_state.h"

#include <assert.h>

void upgrade_install(struct machine *machine)
{
	bool old = sim.swarm.lease_reads && sim.swarm.crash_ns > 0 &&
		   ghost_index() == 0 && sim_below(SIM_SWARM, 3) == 0;
	machine->version = old ? VERSION_LEASE - 1 : STORE_CLUSTER_VERSION;
	machine->leased = 0;
}

void upgrade_start(struct machine *machine)
{
	machine->leased = 0;
	if (machine->version == STORE_CLUSTER_VERSION ||
	    sim_below(SIM_SWARM, 2) == 0)
		return;
	sim_trace("machine %: is upgraded", machine->number);
	machine->version = STORE_CLUSTER_VERSION;
}

void upgrade_suspend(struct machine *machine, uint64_t time)
{
	if (!sim.swarm.lease_reads || machine->frozen_until > sim.now ||
	    sim_below(SIM_CLOCK, 2) == 0)
		return;
	sim_trace("machine %: its host is suspended", machine->number);
	machine->shown = machine_now(machine->number);
	machine->set_at = time;
	machine->slept += time - sim.now;
}

void upgrade_look(struct machine *machine)
{
	const struct cv_status *status = machine->view.status;
	if (status->lease_reads > machine->leased)
		SIM_SOMETIMES(LEASE_READ);
	machine->leased = status->lease_reads;
	if (sim.swarm.lease_reads &&
	    node_cluster_version(machine->view.node) >= VERSION_LEASE)
		SIM_SOMETIMES(VERSION_RAISED);
}
