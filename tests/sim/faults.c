/*
 * Crashes, disks and clocks; see tests/sim/faults.h. The network's are in
 * tests/sim/faults_net.c.
 */
#include "tests/sim/faults.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults_net.h"
#include "tests/sim/folder.h"
#include "tests/sim/machine.h"
#include "tests/sim/medium.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"
#include "tests/sim/stranger.h"
#include "tests/sim/watch.h"
#include "tests/sim/wound.h"

#include <assert.h>
#include <string.h>

enum fault_kind {
	FAULT_CRASH,
	FAULT_ROT,
	FAULT_LOSE,
	FAULT_HANG,
	FAULT_FREEZE,
	FAULT_DRIFT,
	FAULT_CUT,
	FAULT_WIRE,
	FAULT_STRANGER,
	FAULT_KINDS,
};

static bool newest_rots[SIM_MACHINES_MAX];

static uint64_t mean_of(uint32_t kind)
{
	const struct sim_swarm *swarm = &sim.swarm;
	const uint64_t means[FAULT_KINDS] = {
		[FAULT_CRASH] = swarm->crash_ns,
		[FAULT_ROT] = swarm->rot_ns,
		[FAULT_LOSE] = swarm->lost_ns,
		[FAULT_HANG] = swarm->hang_ns,
		[FAULT_FREEZE] = swarm->freeze_ns,
		[FAULT_DRIFT] = swarm->drift_ns,
		[FAULT_CUT] = swarm->cut_ns,
		[FAULT_WIRE] = swarm->wire_ns,
		[FAULT_STRANGER] = swarm->stranger_ns,
	};
	return kind == FAULT_CUT && faults_are_cut() ? swarm->mend_ns
						     : means[kind];
}

static void plan(uint32_t kind)
{
	uint64_t mean_ns = mean_of(kind);
	if (mean_ns > 0)
		sim_at(sim.now + sim_spread(SIM_CRASH, mean_ns) + 1,
		       SIM_EVENT_FAULT, kind, 0);
}

static void plan_full(uint32_t machine, bool full)
{
	if (sim.swarm.full > 0)
		sim_at(sim.now + sim_spread(SIM_CRASH,
					    full ? 10 * SIM_MS : 60 * SIM_MS),
		       SIM_EVENT_FULL, machine, full);
}

void faults_begin(void)
{
	memset(newest_rots, 0, sizeof(newest_rots));
	faults_net_begin();
	for (uint32_t kind = 0; kind < FAULT_KINDS; kind++)
		plan(kind);
	for (uint32_t i = 0; i < sim.swarm.members; i++)
		plan_full(i, true);
}

void faults_full(uint32_t machine, bool full)
{
	sim_disk_full(machine, full && !sim.healing);
	if (!sim.healing)
		plan_full(machine, !full);
}

void faults_end(void)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		sim_disk_full(i, false);
		machine_drift(i, 0);
	}
	faults_net_end();
	roster_heal();
}

/* ---- crashes ---- */

static uint32_t any_machine(void)
{
	return roster_machine((uint32_t)sim_below(SIM_CRASH, roster_count()));
}

bool faults_draw_power(uint32_t machine)
{
	bool power = sim_below(SIM_CRASH, 100) < sim.swarm.power_share;
	newest_rots[machine] =
		newest_rots[machine] && folder_rotten(machine) > 0;
	return power && !newest_rots[machine];
}

/* On purpose, where no log can tell it from a torn write. */
static void rot_unseen(uint32_t machine)
{
	int file;
	uint64_t offset;
	uint32_t size;
	if (sim.bug != SIM_BUG_ROT_UNSEEN ||
	    !medium_newest_record(machine, &file, &offset, &size))
		return;
	folder_rot(file, offset + sim_below(SIM_CRASH, size), 1);
	folder_forget_rot(machine);
}

static void crash_one(uint32_t machine)
{
	if (sim_below(SIM_CRASH, 100) < sim.swarm.stop_share) {
		machine_stop(machine);
		return;
	}
	bool power = faults_draw_power(machine);
	if (power)
		rot_unseen(machine);
	machine_crash(machine, power);
}

/* In the same instant. */
static void crash_some(uint32_t count)
{
	uint32_t first = (uint32_t)sim_below(SIM_CRASH, roster_count());
	for (uint32_t i = 0; i < count; i++) {
		uint32_t machine = roster_machine((first + i) % roster_count());
		machine_crash(machine, faults_draw_power(machine));
	}
}

static void crash(void)
{
	uint64_t draw = sim_below(SIM_CRASH, 100);
	uint32_t all = sim.swarm.crash_all_share;
	if (roster_count() > 1 && draw < all) {
		sim_fault(SIM_FAULT_ALL_CRASH);
		crash_some(roster_count());
	} else if (roster_count() > 2 &&
		   draw < all + sim.swarm.crash_minority_share) {
		sim_fault(SIM_FAULT_MINORITY_CRASH);
		crash_some((roster_count() - 1) / 2);
	} else {
		crash_one(any_machine());
	}
}

/* ---- disks ---- */

static bool in_newest_record(uint32_t machine, int file, uint64_t offset)
{
	int newest;
	uint64_t start;
	uint32_t size;
	if (!medium_newest_record(machine, &newest, &start, &size))
		return false;
	return file == newest && offset >= start && offset - start < size;
}

static void aim_at_newest(uint32_t machine, int *file, uint64_t *offset)
{
	int newest;
	uint64_t start;
	uint32_t size;
	if (!medium_newest_record(machine, &newest, &start, &size))
		return;
	*file = newest;
	*offset = start + sim_below(SIM_CRASH, size);
}

static int any_file(uint32_t machine)
{
	char name[FOLDER_NAME_SIZE];
	uint32_t position = 0;
	int file = -1;
	for (uint64_t skip = sim_below(SIM_CRASH, 8) + 1; skip > 0; skip--)
		if (folder_list(machine, &position, name) == 1)
			file = folder_lookup(machine, name);
	return file;
}

/* One bit of what is durable flips, and nobody looks before a restart. */
static void rot(uint32_t machine)
{
	int file = any_file(machine);
	if (file < 0 || folder_size(file) == 0 || folder_rotten(machine) > 0)
		return;
	/* Now and then in most of them: then nobody may go on without it. */
	if (sim.swarm.members > 1 && !roster_may_lose(machine) &&
	    (machine_view(machine)->away || sim_below(SIM_CRASH, 2) != 0))
		return;
	uint64_t offset = sim_below(SIM_CRASH, folder_size(file));
	if (sim_below(SIM_CRASH, 4) == 0)
		aim_at_newest(machine, &file, &offset);
	newest_rots[machine] = in_newest_record(machine, file, offset);
	if (newest_rots[machine] && machine_view(machine)->node == NULL)
		return; /* the last boot may still be the one before */
	sim_fault(SIM_FAULT_BIT_ROT);
	sim_trace("machine %: a bit of file % at % rots", machine, file,
		  offset);
	folder_rot(file, offset, (uint8_t)(1u << sim_below(SIM_CRASH, 8)));
	machine_crash(machine, faults_draw_power(machine));
}

static void lose(uint32_t machine)
{
	if (roster_may_lose(machine))
		roster_lose(machine);
}

static void hang(uint32_t machine)
{
	uint64_t ns = sim_spread(
		SIM_CRASH, 2 * sim.swarm.election_ticks * sim.swarm.tick_ns);
	sim_fault(SIM_FAULT_DISK_HANGS);
	sim_trace("machine %: its disk hangs for % us", machine, ns / SIM_US);
	sim_disk_hang(machine, sim.now + ns);
}

/* ---- time ---- */

static void freeze(uint32_t machine)
{
	uint64_t ns = sim_spread(
		SIM_CRASH, 2 * sim.swarm.election_ticks * sim.swarm.tick_ns);
	if (sim_below(SIM_CRASH, 8) == 0)
		ns *= 10;
	sim_fault(SIM_FAULT_MACHINE_FREEZES);
	sim_trace("machine %: all on it stands still for % us", machine,
		  ns / SIM_US);
	machine_freeze(machine, sim.now + ns);
}

/* A lie about clocks: who leads has the slowest of all. */
static void slow_leader(void)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		bool leads = watch_leader() == (int)i;
		machine_drift(i, leads ? -sim.swarm.drift_max : 0);
	}
}

static void drift(uint32_t machine)
{
	uint64_t range = 2 * (uint64_t)sim.swarm.drift_max;
	sim_fault(SIM_FAULT_CLOCK_DRIFTS);
	if (sim.bug == SIM_BUG_WILD_CLOCKS) {
		slow_leader();
		return;
	}
	machine_drift(machine, (int32_t)sim_below(SIM_CLOCK, range + 1) -
				       sim.swarm.drift_max);
}

void faults_event(uint32_t kind)
{
	if (sim.healing)
		return;
	uint32_t machine = any_machine();
	switch (kind) {
	case FAULT_CRASH:
		crash();
		break;
	case FAULT_ROT:
		if (sim_below(SIM_CRASH, 2) != 0 || !wound_all())
			rot(machine);
		break;
	case FAULT_LOSE:
		lose(machine);
		break;
	case FAULT_HANG:
		hang(machine);
		break;
	case FAULT_FREEZE:
		freeze(machine);
		break;
	case FAULT_DRIFT:
		drift(machine);
		break;
	case FAULT_CUT:
		faults_cut();
		break;
	case FAULT_WIRE:
		faults_wire();
		break;
	default:
		assert(kind == FAULT_STRANGER);
		stranger_dial();
	}
	plan(kind);
}
