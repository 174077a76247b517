/*
 * One life of the daemon after the other; see tests/sim/machine.h.
 */
#include "tests/sim/client.h"
#include "tests/sim/disk.h"
#include "tests/sim/ghost.h"
#include "tests/sim/machine_state.h"
#include "tests/sim/posts.h"
#include "tests/sim/sim.h"
#include "tests/sim/socket.h"

#include <assert.h>
#include <string.h>

struct machine machine;

static void begin_life(uint64_t delay_ns);

const struct machine_view *machine_view(void)
{
	return &machine.view;
}

/* ---- standing still ---- */

static void schedule(uint64_t time)
{
	machine.stamp++;
	sim_at(time, SIM_EVENT_DAEMON, 0, machine.stamp);
}

void machine_wait(uint64_t ns)
{
	assert(fiber_current() == &machine.fiber);
	if (ns > 0) {
		schedule(sim.now + ns);
		fiber_yield();
		return;
	}
	if (!machine.view.rung) {
		machine.waits = true;
		fiber_yield();
		machine.waits = false;
	}
	machine.view.rung = false;
}

void machine_kick(void)
{
	machine.view.rung = true;
	if (machine.waits && machine.view.state != MACHINE_DOWN)
		schedule(sim.now + sim_between(SIM_DAEMON, 500, 8000));
}

void machine_point(void)
{
	if (fiber_current() != &machine.fiber || sim.healing)
		return;
	uint32_t chance = machine.view.in_turn ? sim.swarm.turn_crash
					       : sim.swarm.recovery_crash;
	if (sim_chance(SIM_CRASH, chance)) {
		sim_fault(machine.view.in_turn ? SIM_FAULT_CRASH_IN_TURN
					       : SIM_FAULT_CRASH_IN_RECOVERY);
		machine.doomed = true;
		fiber_yield();
		assert(false); /* nobody comes back from this */
	}
	if (machine.view.in_turn && sim_below(SIM_DAEMON, 8) == 0) {
		posts_look();
		machine_wait(sim_between(SIM_DAEMON, 50, 3000));
	}
}

/* ---- turns ---- */

static void carry(const struct node_event *event)
{
	switch (event->kind) {
	case NODE_WELCOME:
		socket_welcome(event);
		break;
	case NODE_WAKE:
		socket_wake(event->handle);
		break;
	case NODE_RING:
		socket_ring(event->handle);
		break;
	case NODE_EXPEL:
		socket_expel(event->handle);
		break;
	default:
		assert(false);
	}
}

static int turn(bool sweep)
{
	machine.view.in_turn = true;
	int code = node_turn(machine.view.node, sim.now, sweep);
	machine.view.in_turn = false;
	posts_look();
	if (code < 0)
		return code;
	disk_flush(machine.disk);
	struct node_event event;
	while (node_next_event(machine.view.node, &event))
		carry(&event);
	return code;
}

/* While the disk is busy, or full, it may lead and be unable to go on. */
static bool serves_proposals(void)
{
	const struct cv_status *status = machine.view.status;
	return status->role == RAFT_LEADER && disk_busy(machine.disk) == 0 &&
	       (status->alarms & CV_ALARM_NOSPACE) == 0;
}

/* Says that it sleeps, and does, until something comes or time is up. */
static void sleep_now(void)
{
	if (!node_may_sleep(machine.view.node))
		return;
	/* Whoever rings from here on must be heard. */
	machine.view.state = MACHINE_ASLEEP;
	machine.view.asleep_since = sim.now;
	if (!machine.stopping)
		posts_check_sleep(serves_proposals());
	ghost_compare(machine.store);
	if (wal_snapshot_index(machine.wal) > machine.snapshot_index)
		SIM_SOMETIMES(SNAPSHOT_MADE);
	machine.snapshot_index = wal_snapshot_index(machine.wal);
	machine_wait(sim_between(SIM_DAEMON, 20, 400));
	SIM_SOMETIMES(DAEMON_SLEPT);
	uint64_t due = node_next_ns(machine.view.node);
	if (!machine.view.rung) {
		if (due <= sim.now)
			due = sim.now + 1;
		schedule(due);
		machine_wait(0);
	}
	machine.view.rung = false;
	machine.view.state = MACHINE_AWAKE;
	node_awake(machine.view.node);
}

static void rest_between_turns(void)
{
	if (!sim.healing && sim_chance(SIM_CLOCK, sim.swarm.daemon_pause)) {
		uint64_t ns = sim_spread(SIM_CLOCK, 300 * SIM_MS);
		sim_fault(SIM_FAULT_DAEMON_PAUSE);
		sim_trace("daemon: pauses for % us", ns / SIM_US);
		machine_wait(ns + 1);
		return;
	}
	machine_wait(sim_between(SIM_DAEMON, 300, 4000));
}

/* Everything that was taken is answered; nothing may be under way. */
static void stop_cleanly(void)
{
	sim_trace("daemon: stops cleanly");
	SIM_SOMETIMES(STOPPED_CLEANLY);
	wal_close(machine.wal);
	machine.stopped = true;
}

static void work(void)
{
	uint32_t nothing = 0;
	for (;;) {
		uint32_t spins = (uint32_t)sim_below(SIM_DAEMON, 3);
		bool sweep = nothing > 0 || sim_below(SIM_DAEMON, 8) == 0;
		socket_serve(machine.view.node);
		int done = turn(sweep);
		if (done < 0)
			return;
		if (machine.stopping && node_drained(machine.view.node)) {
			stop_cleanly();
			return;
		}
		machine.idle = done == 0;
		nothing = done == 0 ? nothing + 1 : 0;
		if (nothing > spins && sweep) {
			sleep_now();
			nothing = 0;
		} else {
			rest_between_turns();
		}
	}
}

static void live(void *unused)
{
	(void)unused;
	if (!machine_open()) {
		machine.doomed = true;
		return;
	}
	machine.view.state = MACHINE_AWAKE;
	posts_forget();
	work();
	machine.doomed = true;
	if (machine.stopped)
		return;
	SIM_SOMETIMES(LOG_FAILED);
	sim_trace("daemon: the log failed, it stops");
	struct sim_disk_excuse excuse;
	sim_disk_excuse(&excuse);
	sim_check(excuse.write_errors > 0 || excuse.no_space > 0,
		  "the log fails without cause");
}

/* ---- death ---- */

static void bury(bool power)
{
	fiber_kill(&machine.fiber);
	machine.waits = false;
	machine.view.in_turn = false;
	machine.doomed = false;
	machine.stopping = false;
	machine.stopped = false;
	machine.idle = false;
	machine.snapshot_index = 0;
	machine.view.rung = false;
	machine.view.node = NULL;
	machine.stamp++;
	machine.view.state = MACHINE_DOWN;
	sim_disk_kill(power);
	socket_daemon_died();
	memory_drop(machine.view.status_memory);
	machine.view.status = NULL;
	if (power)
		clients_die();
}

void machine_stop(void)
{
	if (machine.stopping || (machine.view.state != MACHINE_AWAKE &&
				 machine.view.state != MACHINE_ASLEEP))
		return;
	sim_trace("machine: the daemon is told to stop");
	sim_fault(SIM_FAULT_CLEAN_STOP);
	machine.stopping = true;
	node_drain(machine.view.node);
	machine_kick();
}

void machine_crash(bool power)
{
	assert(fiber_current() == NULL);
	sim_trace("machine: crash, power % in state %", power,
		  machine.view.state);
	if (machine.view.state == MACHINE_STARTING)
		sim_fault(SIM_FAULT_CRASH_IN_RECOVERY);
	sim_fault(power ? SIM_FAULT_POWER_LOSS : SIM_FAULT_PROCESS_CRASH);
	if (machine.view.state == MACHINE_DOWN) {
		/* It is between two lives; the power may still go. */
		sim_disk_kill(power);
		if (power)
			clients_die();
	} else {
		bury(power);
	}
	/* Often in the same instant: what is in flight has not landed. */
	uint64_t delay = sim_below(SIM_CRASH, 2) != 0
				 ? SIM_US
				 : sim_spread(SIM_CRASH, 5 * SIM_MS);
	begin_life(delay + 1);
}

static void begin_life(uint64_t delay_ns)
{
	machine.view.state = MACHINE_DOWN;
	schedule(sim.now + delay_ns);
}

void machine_start(uint64_t delay_ns)
{
	begin_life(delay_ns);
}

void machine_clear(void)
{
	sim_disk_clear();
	machine.view = (struct machine_view){.status_memory = -1};
	machine.waits = false;
	machine.view.in_turn = false;
	machine.doomed = false;
	machine.stopping = false;
	machine.stopped = false;
	machine.idle = false;
	machine.snapshot_index = 0;
	machine.refusals = 0;
	machine.stamp = 0;
	fiber_kill(&machine.fiber);
}

void machine_event(uint64_t stamp)
{
	if (stamp != machine.stamp)
		return;
	if (machine.view.state == MACHINE_DOWN) {
		machine.view.life++;
		machine.view.state = MACHINE_STARTING;
		machine.view.status_memory =
			memory_new(sizeof(struct cv_status));
		machine.view.status =
			(void *)memory_base(machine.view.status_memory);
		sim_trace("machine: life % starts", machine.view.life);
		fiber_start(&machine.fiber, live, NULL);
	}
	fiber_resume(&machine.fiber);
	if (!machine.doomed)
		return;
	/* A refusal, a failed log, or a death in the middle of a turn. */
	bool power = machine.refusals > 0;
	sim_trace("machine: the daemon ends, power %", power);
	bury(power);
	begin_life(sim_spread(SIM_CRASH, 5 * SIM_MS) + 1);
}

bool machine_idle(void)
{
	return machine.view.state == MACHINE_ASLEEP && machine.idle &&
	       !machine.view.rung && wal_idle(machine.wal);
}
