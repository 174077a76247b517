/*
 * See tests/sim/run.h.
 */
#include "tests/sim/run.h"
#include "tests/sim/client.h"
#include "tests/sim/disk.h"
#include "tests/sim/env.h"
#include "tests/sim/folder.h"
#include "tests/sim/ghost.h"
#include "tests/sim/machine.h"
#include "tests/sim/sim.h"
#include "tests/sim/socket.h"
#include "tests/sim/swarm.h"

#include <assert.h>
#include <inttypes.h>

enum run_limits {
	REST_SECONDS = 120, /* until everything has come to rest */
	REST_EVENTS = 4000000,
};

enum fault_who {
	FAULT_CRASH,
	FAULT_ROT,
};

static void plan(enum fault_who who, uint64_t mean_ns)
{
	if (mean_ns > 0)
		sim_at(sim.now + sim_spread(SIM_CRASH, mean_ns) + 1,
		       SIM_EVENT_FAULT, who, 0);
}

static void plan_full(bool full)
{
	if (sim.swarm.full > 0)
		sim_at(sim.now + sim_spread(SIM_CRASH,
					    full ? 10 * SIM_MS : 60 * SIM_MS),
		       SIM_EVENT_FULL, full, 0);
}

/* ---- faults from the outside ---- */

static bool in_newest_record(int file, uint64_t offset)
{
	int newest;
	uint64_t start;
	uint32_t size;
	if (!ghost_newest_record(&newest, &start, &size))
		return false;
	return file == newest && offset >= start && offset - start < size;
}

/*
 * Nothing stands behind the newest record that could tell a rotten one from a
 * torn one, but for the boot id: so the power stays while it is rotten.
 */
static bool newest_rots;

static bool draw_power(void)
{
	bool power = sim_below(SIM_CRASH, 100) < sim.swarm.power_share;
	newest_rots = newest_rots && folder_rotten() > 0;
	return power && !newest_rots;
}

static void aim_at_newest(int *file, uint64_t *offset)
{
	int newest;
	uint64_t start;
	uint32_t size;
	if (!ghost_newest_record(&newest, &start, &size))
		return;
	*file = newest;
	*offset = start + sim_below(SIM_CRASH, size);
}

/* One bit of what is durable flips, and nobody looks before a restart. */
static void rot(void)
{
	char name[FOLDER_NAME_SIZE];
	uint32_t position = 0;
	int file = -1;
	for (uint64_t skip = sim_below(SIM_CRASH, 8) + 1; skip > 0; skip--)
		if (folder_list(&position, name) == 1)
			file = folder_lookup(name);
	if (file < 0 || folder_size(file) == 0 || folder_rotten() > 0)
		return;
	uint64_t offset = sim_below(SIM_CRASH, folder_size(file));
	if (sim_below(SIM_CRASH, 4) == 0)
		aim_at_newest(&file, &offset);
	newest_rots = in_newest_record(file, offset);
	if (newest_rots && machine_view()->node == NULL)
		return; /* the last boot may still be the one before */
	sim_fault(SIM_FAULT_BIT_ROT);
	sim_trace("disk: a bit of file % at % rots", file, offset);
	folder_rot(file, offset, (uint8_t)(1u << sim_below(SIM_CRASH, 8)));
	machine_crash(draw_power());
}

/* On purpose, where no log can tell it from a torn write. */
static void rot_unseen(void)
{
	int file;
	uint64_t offset;
	uint32_t size;
	if (sim.bug != SIM_BUG_ROT_UNSEEN ||
	    !ghost_newest_record(&file, &offset, &size))
		return;
	folder_rot(file, offset + sim_below(SIM_CRASH, size), 1);
	folder_forget_rot();
}

static void strike(enum fault_who who)
{
	if (sim.healing)
		return;
	if (who == FAULT_ROT) {
		rot();
		plan(FAULT_ROT, sim.swarm.rot_ns);
		return;
	}
	plan(FAULT_CRASH, sim.swarm.crash_ns);
	if (sim_below(SIM_CRASH, 100) < sim.swarm.stop_share) {
		machine_stop();
		return;
	}
	bool power = draw_power();
	if (power)
		rot_unseen();
	machine_crash(power);
}

/* ---- events ---- */

/* An operation is done; the daemon may die before it hears of that. */
static void finish_operation(const struct sim_event *event)
{
	if (!sim_disk_event(event->who, event->stamp))
		return;
	machine_kick();
	if (sim.healing || !sim_chance(SIM_CRASH, sim.swarm.completion_crash))
		return;
	sim_fault(SIM_FAULT_CRASH_AT_COMPLETION);
	machine_crash(draw_power());
}

static void dispatch(const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_EVENT_DISK:
		finish_operation(event);
		break;
	case SIM_EVENT_DAEMON:
		machine_event(event->stamp);
		break;
	case SIM_EVENT_CLIENT:
		client_event(event->who, event->stamp);
		break;
	case SIM_EVENT_FAULT:
		strike((enum fault_who)event->who);
		break;
	case SIM_EVENT_FULL:
		sim_disk_full(event->who != 0 && !sim.healing);
		if (!sim.healing)
			plan_full(event->who == 0);
		break;
	default:
		assert(false);
	}
}

static void step(void)
{
	struct sim_event event;
	if (!sim_next(&event))
		sim_fail(SIM_STUCK, "nothing will ever happen again");
	dispatch(&event);
}

static bool at_rest(void)
{
	return clients_finished() && machine_idle() &&
	       machine_view()->status->applied == ghost_index();
}

static void rest(const char *when)
{
	uint64_t end = sim.now + REST_SECONDS * (uint64_t)SIM_SECOND;
	uint64_t events = sim.steps + REST_EVENTS;
	while (!at_rest()) {
		step();
		if (sim.now > end || sim.steps > events)
			sim_fail(SIM_STUCK,
				 "%s, nothing comes to rest; clients done %d, "
				 "daemon in state %d, idle %d",
				 when, clients_finished(),
				 machine_view()->state, machine_idle());
	}
}

static void check_rest(void)
{
	const struct cv_status *status = machine_view()->status;
	sim_check(status->handles == 0,
		  "at rest the daemon keeps %" PRIu64 " handles",
		  status->handles);
}

uint64_t run_seed(uint64_t seed, uint64_t steps)
{
	sim_begin(seed);
	swarm_draw(&sim.swarm, sim.calm);
	swarm_provoke(&sim.swarm, sim.bug);
	newest_rots = false;
	env_clear();
	socket_clear();
	ghost_clear();
	machine_clear();
	machine_start(1);
	clients_begin();
	plan(FAULT_CRASH, sim.swarm.crash_ns);
	plan(FAULT_ROT, sim.swarm.rot_ns);
	plan_full(true);
	while (sim.steps < steps)
		step();
	sim.healing = true;
	sim_disk_full(false);
	clients_finish();
	rest("when all faults are over");
	check_rest();
	machine_crash(true);
	rest("after the last power loss");
	check_rest();
	machine_crash(false);
	rest("after the last kill");
	check_rest();
	return sim.hash;
}
