/*
 * One life of a daemon after the other; see tests/sim/machine.h.
 */
#include "tests/sim/client.h"
#include "tests/sim/disk.h"
#include "tests/sim/lanes.h"
#include "tests/sim/lies.h"
#include "tests/sim/machine_state.h"
#include "tests/sim/medium.h"
#include "tests/sim/posts.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"
#include "tests/sim/socket.h"
#include "tests/sim/upgrade.h"
#include "tests/sim/watch.h"

#include "daemon/node_state.h"

#include <assert.h>
#include <string.h>

static struct machine machines[SIM_MACHINES_MAX];
static struct machine *running;

const struct machine_view *machine_view(uint32_t number)
{
	assert(number < SIM_MACHINES_MAX);
	return &machines[number].view;
}

uint32_t machine_running(void)
{
	assert(running != NULL);
	return running->number;
}

int machine_of_member(uint64_t id)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		if (machines[i].view.member == id)
			return (int)i;
	return -1;
}

/* ---- clocks ---- */

uint64_t machine_now(uint32_t number)
{
	const struct machine *machine = &machines[number];
	uint64_t past =
		sim.now > machine->set_at ? sim.now - machine->set_at : 0;
	int64_t more =
		(int64_t)(past / SIM_MILLION) * machine->drift +
		(int64_t)(past % SIM_MILLION) * machine->drift / SIM_MILLION;
	return machine->shown + past + (uint64_t)more;
}

/* When its clock will show that. */
static uint64_t time_of(const struct machine *machine, uint64_t shown)
{
	uint64_t now = machine_now(machine->number);
	if (shown <= now)
		return sim.now + 1;
	uint64_t left = shown - now;
	return sim.now + 1 +
	       left / (uint64_t)(SIM_MILLION + machine->drift) * SIM_MILLION +
	       left % (uint64_t)(SIM_MILLION + machine->drift) * SIM_MILLION /
		       (uint64_t)(SIM_MILLION + machine->drift);
}

void machine_drift(uint32_t number, int32_t in_a_million)
{
	struct machine *machine = &machines[number];
	machine->shown = machine_now(number);
	if (machine->set_at < sim.now)
		machine->set_at = sim.now;
	machine->drift = in_a_million;
}

/* ---- standing still ---- */

static void schedule(struct machine *machine, uint64_t time)
{
	machine->stamp++;
	sim_at(time, SIM_EVENT_DAEMON, machine->number, machine->stamp);
}

void machine_wait(uint64_t ns)
{
	struct machine *machine = running;
	assert(fiber_current() == &machine->fiber);
	if (ns > 0) {
		schedule(machine, sim.now + ns);
		fiber_yield();
		return;
	}
	if (!machine->view.rung) {
		machine->waits = true;
		fiber_yield();
		machine->waits = false;
	}
	machine->view.rung = false;
}

void machine_kick(uint32_t number)
{
	struct machine *machine = &machines[number];
	bool rung = machine->view.rung;
	machine->view.rung = true;
	if (machine->waits && !rung && machine->view.state != MACHINE_DOWN)
		schedule(machine, sim.now + sim_between(SIM_DAEMON, 500, 8000));
}

/* What others could see of it, as it stands. */
static void look(struct machine *machine)
{
	watch_look(machine->number, machine->view.node);
	posts_look(machine->number);
}

void machine_point(void)
{
	struct machine *machine = running;
	if (machine == NULL || sim.healing)
		return;
	uint32_t chance = machine->view.in_turn ? sim.swarm.turn_crash
						: sim.swarm.recovery_crash;
	if (sim_chance(SIM_CRASH, chance)) {
		if (machine->view.in_turn)
			look(machine);
		sim_fault(machine->view.in_turn ? SIM_FAULT_CRASH_IN_TURN
						: SIM_FAULT_CRASH_IN_RECOVERY);
		machine->doomed = true;
		fiber_yield();
		assert(false); /* nobody comes back from this */
	}
	if (machine->view.in_turn && sim_below(SIM_DAEMON, 8) == 0) {
		look(machine);
		machine_wait(sim_between(SIM_DAEMON, 50, 3000));
	}
}

void machine_freeze(uint32_t number, uint64_t time)
{
	upgrade_suspend(&machines[number], time);
	machines[number].frozen_until = time;
	sim_disturb(time);
}

bool machine_frozen(uint32_t number, uint64_t *ret_until)
{
	*ret_until = machines[number].frozen_until;
	return *ret_until > sim.now;
}

/* ---- turns ---- */

static void pause_daemon(struct machine *machine)
{
	uint64_t ns = sim_spread(SIM_CLOCK, sim.swarm.pause_ns);
	sim_fault(SIM_FAULT_DAEMON_PAUSE);
	sim_trace("machine %: its daemon pauses for % us", machine->number,
		  ns / SIM_US);
	sim_disturb(sim.now + ns);
	machine_wait(ns + 1);
}

/* Between reading the clock and all that is done by it. */
static void stand_still(struct machine *machine)
{
	if (sim.swarm.lease_reads && !sim.healing &&
	    sim_chance(SIM_CLOCK, sim.swarm.daemon_pause))
		pause_daemon(machine);
}

static void carry(struct machine *machine, const struct node_event *event)
{
	switch (event->kind) {
	case NODE_WELCOME:
		socket_welcome(machine->number, event);
		break;
	case NODE_WAKE:
		socket_wake(machine->number, event->handle);
		break;
	case NODE_RING:
		socket_ring(machine->number, event->handle);
		break;
	case NODE_EXPEL:
		socket_expel(machine->number, event->handle);
		break;
	case NODE_STORE_LEFT:
		assert(machine->left == NULL);
		machine->left = event->base;
		break;
	default:
		assert(false);
	}
}

/* The mapping of a store that was replaced: zeroed after a while. */
static void give_back(struct machine *machine)
{
	if (machine->left == NULL || sim_below(SIM_DAEMON, 4) != 0)
		return;
	machine_zero(machine->left);
	node_spare(machine->view.node, machine->left);
	machine->left = NULL;
}

static int turn(struct machine *machine, bool sweep)
{
	bool came = lanes_turn(machine->number, machine->view.node);
	watch_look(machine->number, machine->view.node);
	uint64_t now = machine_now(machine->number);
	node_clock(machine->view.node, now + machine->slept);
	stand_still(machine);
	lies_turn(machine->view.node);
	machine->view.in_turn = true;
	int code = node_turn(machine->view.node, now, sweep);
	machine->view.in_turn = false;
	look(machine);
	machine_mended(machine);
	if (code < 0)
		return code;
	upgrade_look(machine);
	disk_flush(machine->disk);
	bool sent = lanes_send(machine->number, machine->view.node);
	struct node_event event;
	while (node_next_event(machine->view.node, &event))
		carry(machine, &event);
	give_back(machine);
	return code > 0 || came || sent;
}

/* While the disk is busy, or full, it may lead and be unable to go on. */
static bool serves_proposals(const struct machine *machine)
{
	const struct cv_status *status = machine->view.status;
	return status->role == RAFT_LEADER && disk_busy(machine->disk) == 0 &&
	       (status->alarms & CV_ALARM_NOSPACE) == 0 &&
	       watch_is_quiet(machine->view.node);
}

static uint64_t next_due(const struct machine *machine)
{
	uint64_t node = node_next_ns(machine->view.node);
	uint64_t lanes = lanes_next_ns(machine->number);
	return time_of(machine, node < lanes ? node : lanes);
}

/* Says that it sleeps, and does, until something comes or time is up. */
static void sleep_now(struct machine *machine)
{
	if (!node_may_sleep(machine->view.node))
		return;
	/* Whoever rings from here on must be heard. */
	machine->view.state = MACHINE_ASLEEP;
	machine->view.asleep_since = sim.now;
	if (!machine->stopping)
		posts_check_sleep(machine->number, serves_proposals(machine));
	if (wal_snapshot_index(machine->wal) > machine->snapshot_index)
		SIM_SOMETIMES(SNAPSHOT_MADE);
	machine->snapshot_index = wal_snapshot_index(machine->wal);
	machine_wait(sim_between(SIM_DAEMON, 20, 400));
	SIM_SOMETIMES(DAEMON_SLEPT);
	if (!machine->view.rung) {
		schedule(machine, next_due(machine));
		machine_wait(0);
	}
	machine->view.rung = false;
	machine->view.state = MACHINE_AWAKE;
	node_awake(machine->view.node);
}

static void rest_between_turns(struct machine *machine)
{
	if (!sim.healing && sim_chance(SIM_CLOCK, sim.swarm.daemon_pause)) {
		pause_daemon(machine);
		return;
	}
	machine_wait(sim_between(SIM_DAEMON, 300, 4000));
}

/* Everything that was taken is answered; nothing may be under way. */
static void stop_cleanly(struct machine *machine)
{
	sim_trace("machine %: the daemon stops cleanly", machine->number);
	SIM_SOMETIMES(STOPPED_CLEANLY);
	wal_close(machine->wal);
	machine->stopped = true;
}

/* What the last turn ended with, or 0 after a clean stop. */
static int work(struct machine *machine)
{
	uint32_t nothing = 0;
	for (;;) {
		uint32_t spins = (uint32_t)sim_below(SIM_DAEMON, 3);
		bool sweep = nothing > 0 || sim_below(SIM_DAEMON, 8) == 0;
		socket_serve(machine->number, machine->view.node);
		int done = turn(machine, sweep);
		if (done < 0)
			return done;
		if (machine->stopping && node_drained(machine->view.node)) {
			stop_cleanly(machine);
			return 0;
		}
		machine->idle = done == 0;
		nothing = done == 0 ? nothing + 1 : 0;
		if (nothing > spins && sweep) {
			sleep_now(machine);
			nothing = 0;
		} else {
			rest_between_turns(machine);
		}
	}
}

static void live(void *argument)
{
	struct machine *machine = argument;
	if (!machine_open(machine)) {
		machine->doomed = true;
		return;
	}
	machine->view.state = MACHINE_AWAKE;
	posts_forget(machine->number);
	lanes_begin(machine->number, machine->view.node);
	int end = work(machine);
	machine->doomed = true;
	if (machine->stopped)
		return;
	if (end == NODE_EFILLED) {
		SIM_SOMETIMES(LOG_FILLED);
		sim_trace("machine %: a record was written anew",
			  machine->number);
		return;
	}
	SIM_SOMETIMES(LOG_FAILED);
	sim_trace("machine %: the log failed, it stops", machine->number);
	struct sim_disk_excuse excuse;
	sim_disk_excuse(machine->number, &excuse);
	sim_check(excuse.write_errors > 0 || excuse.no_space > 0,
		  "the log of machine %u fails without cause", machine->number);
}

/* ---- death ---- */

static void reset(struct machine *machine)
{
	machine->waits = false;
	machine->doomed = false;
	machine->stopping = false;
	machine->stopped = false;
	machine->idle = false;
	machine->snapshot_index = 0;
	machine->left = NULL;
	machine->view.in_turn = false;
	machine->view.rung = false;
	machine->view.node = NULL;
	machine->view.state = MACHINE_DOWN;
	machine->stamp++;
}

static void bury(struct machine *machine, bool power)
{
	fiber_kill(&machine->fiber);
	reset(machine);
	sim_disk_kill(machine->number, power);
	lanes_end(machine->number, power);
	socket_daemon_died(machine->number);
	memory_drop(machine->view.status_memory);
	machine->view.status = NULL;
	machine->view.status_memory = -1;
	if (power)
		clients_die(machine->number);
}

void machine_stop(uint32_t number)
{
	struct machine *machine = &machines[number];
	if (machine->stopping || machine->view.node == NULL)
		return;
	sim_trace("machine %: the daemon is told to stop", number);
	sim_fault(SIM_FAULT_CLEAN_STOP);
	machine->stopping = true;
	node_drain(machine->view.node);
	machine_kick(number);
}

/* The process, or all on the host, ends. */
static void end_life(struct machine *machine, bool power)
{
	if (machine->view.state == MACHINE_STARTING)
		sim_fault(SIM_FAULT_CRASH_IN_RECOVERY);
	if (machine->view.state == MACHINE_DOWN) {
		/* It is between two lives; the power may still go. */
		sim_disk_kill(machine->number, power);
		if (power)
			clients_die(machine->number);
	} else {
		bury(machine, power);
	}
}

void machine_crash(uint32_t number, bool power)
{
	struct machine *machine = &machines[number];
	assert(fiber_current() == NULL);
	sim_trace("machine %: crash, power % in state %", number, power,
		  machine->view.state);
	sim_fault(power ? SIM_FAULT_POWER_LOSS : SIM_FAULT_PROCESS_CRASH);
	end_life(machine, power);
	/* Often in the same instant: what is in flight has not landed. */
	uint64_t delay = sim_below(SIM_CRASH, 2) != 0
				 ? SIM_US
				 : sim_spread(SIM_CRASH, sim.swarm.down_ns);
	machine_start(number, delay + 1);
}

void machine_start(uint32_t number, uint64_t delay_ns)
{
	struct machine *machine = &machines[number];
	assert(machine->view.state == MACHINE_DOWN);
	if (machine->view.away || machine->view.member == 0)
		return;
	schedule(machine, sim.now + delay_ns);
}

void machine_send_away(uint32_t number)
{
	struct machine *machine = &machines[number];
	sim_trace("machine %: is away", number);
	machine->view.away = true;
	machine->stamp++;
}

void machine_return(uint32_t number)
{
	struct machine *machine = &machines[number];
	assert(machine->view.state == MACHINE_DOWN);
	sim_trace("machine %: returns", number);
	machine->view.away = false;
	machine->refusals = 0;
	machine_start(number, 1);
}

void machine_install(uint32_t number, const struct machine_member *member)
{
	struct machine *machine = &machines[number];
	assert(machine->view.state == MACHINE_DOWN);
	assert(machine->view.member == 0);
	sim_disk_clear(number);
	medium_clear(number);
	machine->member = *member;
	machine->refusals = 0;
	machine->damaged = false;
	machine->view.away = false;
	machine->view.member = member->id;
	upgrade_install(machine);
	sim_trace("machine %: member % lives here", number, member->id);
}

void machine_leave(uint32_t number)
{
	struct machine *machine = &machines[number];
	assert(fiber_current() == NULL);
	sim_trace("machine %: member % leaves", number, machine->view.member);
	end_life(machine, true);
	machine->view.member = 0;
	machine->stamp++;
}

void machines_clear(void)
{
	running = NULL;
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		struct machine *machine = &machines[i];
		fiber_kill(&machine->fiber);
		machine->number = i;
		machine->view = (struct machine_view){.status_memory = -1};
		reset(machine);
		machine->stamp = 0;
		machine->frozen_until = 0;
		machine->slept = 0;
		machine->damaged = false;
		machine->shown = sim.now;
		machine->set_at = sim.now;
		machine->drift = 0;
		sim_disk_clear(i);
		medium_clear(i);
	}
}

static void begin_life(struct machine *machine)
{
	machine->view.life++;
	upgrade_start(machine);
	machine->view.state = MACHINE_STARTING;
	machine->view.status_memory = memory_new(sizeof(struct cv_status));
	machine->view.status = (void *)memory_base(machine->view.status_memory);
	sim_trace("machine %: life % starts", machine->number,
		  machine->view.life);
	watch_begin(machine->number);
	fiber_start(&machine->fiber, live, machine);
}

void machine_event(uint32_t number, uint64_t stamp)
{
	struct machine *machine = &machines[number];
	uint64_t until;
	if (stamp != machine->stamp)
		return;
	if (machine_frozen(number, &until)) {
		schedule(machine, until + 1);
		return;
	}
	if (machine->view.state == MACHINE_DOWN)
		begin_life(machine);
	running = machine;
	fiber_resume(&machine->fiber);
	running = NULL;
	if (!machine->doomed)
		return;
	/* A refusal, a failed log, or a death in the middle of a turn. */
	bool power = machine->refusals > 0;
	sim_trace("machine %: the daemon ends, power %", number, power);
	bury(machine, power);
	machine_start(number, sim_spread(SIM_CRASH, 5 * SIM_MS) + 1);
}

bool machine_idle(uint32_t number)
{
	const struct machine *machine = &machines[number];
	if (machine->view.node == NULL || !wal_idle(machine->wal))
		return false;
	/* Members go on talking: there is always something to hear. */
	if (machine->member.known_count > 0)
		return !machine->view.in_turn && !socket_busy(number) &&
		       watch_is_quiet(machine->view.node) &&
		       machine->view.node->read_count == 0;
	return machine->view.state == MACHINE_ASLEEP && machine->idle &&
	       !machine->view.rung;
}
