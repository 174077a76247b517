/*
 * See tests/sim/run.h.
 */
#include "tests/sim/run.h"
#include "tests/sim/client.h"
#include "tests/sim/disk.h"
#include "tests/sim/env.h"
#include "tests/sim/faults.h"
#include "tests/sim/ghost.h"
#include "tests/sim/lanes.h"
#include "tests/sim/machine.h"
#include "tests/sim/medium.h"
#include "tests/sim/net.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"
#include "tests/sim/socket.h"
#include "tests/sim/swarm.h"
#include "tests/sim/watch.h"

#include "daemon/node_state.h"

#include <assert.h>
#include <inttypes.h>

enum run_limits {
	REST_SECONDS = 120, /* until everything has come to rest */
	REST_EVENTS = 8000000,
	PROGRESS_ELECTIONS = 12, /* until something is committed again */
	PROGRESS_EXTENSIONS = 8, /* while a log is caught up with */
};

/* ---- events ---- */

/* An operation is done; the daemon may die before it hears of that. */
static void finish_operation(const struct sim_event *event)
{
	int machine = sim_disk_event(event->who, event->stamp);
	if (machine < 0)
		return;
	machine_kick((uint32_t)machine);
	if (sim.healing || !sim_chance(SIM_CRASH, sim.swarm.completion_crash))
		return;
	sim_fault(SIM_FAULT_CRASH_AT_COMPLETION);
	machine_crash((uint32_t)machine, faults_draw_power((uint32_t)machine));
}

static void dispatch(const struct sim_event *event)
{
	switch (event->kind) {
	case SIM_EVENT_DISK:
		finish_operation(event);
		break;
	case SIM_EVENT_DAEMON:
		machine_event(event->who, event->stamp);
		break;
	case SIM_EVENT_CLIENT:
		client_event(event->who, event->stamp);
		break;
	case SIM_EVENT_FAULT:
		faults_event(event->who);
		break;
	case SIM_EVENT_FULL:
		faults_full(event->who, event->stamp != 0);
		break;
	case SIM_EVENT_NET:
		net_event(event->who, event->stamp);
		break;
	case SIM_EVENT_NET_END:
		net_end_event(event->who, event->stamp);
		break;
	case SIM_EVENT_ROSTER:
		roster_event(event->who, event->stamp);
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

/* ---- rest ---- */

static bool machine_at_rest(uint32_t machine)
{
	const struct machine_view *view = machine_view(machine);
	return view->member == 0 || view->away ||
	       (machine_idle(machine) && view->node->applied == ghost_index());
}

static bool at_rest(void)
{
	if (!clients_finished())
		return false;
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		if (!machine_at_rest(i))
			return false;
	return watch_leader() >= 0;
}

static void fail_to_rest(const char *when)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		if (machine_view(i)->member != 0)
			watch_tell(i);
	sim_fail(SIM_STUCK,
		 "%s, and nothing comes to rest; clients done %d, %" PRIu64
		 " entries committed",
		 when, clients_finished(), ghost_index());
}

static void rest(const char *when)
{
	uint64_t end = sim.now + REST_SECONDS * (uint64_t)SIM_SECOND;
	uint64_t events = sim.steps + REST_EVENTS;
	while (!at_rest()) {
		step();
		if (sim.now > end || sim.steps > events)
			fail_to_rest(when);
	}
}

static void check_rest(void)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		const struct cv_status *status = machine_view(i)->status;
		sim_check(status == NULL || status->handles == 0,
			  "at rest machine %u keeps %" PRIu64 " handles", i,
			  status == NULL ? 0 : status->handles);
	}
}

/* How far all logs are together: who lags is sent what it lacks. */
static uint64_t log_ends(void)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		const struct node *node = machine_view(i)->node;
		struct raft_status status;
		if (node == NULL)
			continue;
		raft_status(node->raft, &status);
		sum += status.last_index;
	}
	return sum;
}

/*
 * Whoever is left goes on: when what stood still moves again, and connections
 * that broke are noticed and made anew, something is soon committed (I40), or
 * entries of before still come in.
 */
static void check_progress(void)
{
	const struct sim_swarm *swarm = &sim.swarm;
	uint64_t election_ns = swarm->election_ticks * swarm->tick_ns;
	uint64_t index = ghost_index(), ends = log_ends();
	uint64_t patience = 2 * (swarm->silence_ns + swarm->greet_ns) +
			    10 * swarm->down_ns +
			    PROGRESS_ELECTIONS * election_ns;
	uint64_t end =
		sim.now > sim.disturbed_until ? sim.now : sim.disturbed_until;
	uint64_t last = end + PROGRESS_EXTENSIONS * patience;
	end += patience;
	while (ghost_index() == index) {
		step();
		if (sim.now <= end)
			continue;
		if (log_ends() <= ends || sim.now > last)
			fail_to_rest("all faults are long over");
		ends = log_ends();
		end = sim.now + patience;
	}
}

/* Of all machines, in the same instant. */
static void crash_all(bool power)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		if (machine_view(i)->member != 0)
			machine_crash(i, power);
}

static void begin(uint64_t seed)
{
	sim_begin(seed);
	swarm_draw(&sim.swarm, sim.calm);
	swarm_provoke(&sim.swarm, sim.bug);
	env_clear();
	socket_clear();
	watch_clear();
	machines_clear();
	lanes_clear();
	net_clear();
	roster_begin();
	clients_begin();
	faults_begin();
}

uint64_t run_seed(uint64_t seed, uint64_t steps)
{
	begin(seed);
	while (sim.steps < steps)
		step();
	sim_trace("all faults are over");
	sim.healing = true;
	faults_end();
	check_progress();
	clients_finish();
	rest("all faults are over");
	check_rest();
	crash_all(true);
	rest("the power is back");
	check_rest();
	crash_all(false);
	rest("all were killed");
	check_rest();
	return sim.hash;
}
