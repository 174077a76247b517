/*
 * The processes of the clients; see tests/sim/client.h. What they do in their
 * lives is in tests/sim/work.c.
 */
#include "tests/sim/client.h"
#include "tests/sim/env.h"
#include "tests/sim/fiber.h"
#include "tests/sim/machine.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"
#include "tests/sim/work.h"

#include <assert.h>
#include <string.h>

struct client {
	struct fiber fiber;
	uint32_t home; /* a machine */
	uint64_t stamp; /* of the event that is meant */
	bool blocked;
	bool doomed; /* dead as soon as its fiber is left */
	bool paused; /* stopped: nothing wakes it */
	const void *futex; /* it sleeps on this word */
	bool woken;
};

static struct client clients[SIM_CLIENTS_MAX];
static uint32_t running = UINT32_MAX;
static bool finishing;

static void schedule(uint32_t number, uint64_t ns)
{
	clients[number].stamp++;
	sim_at(sim.now + ns, SIM_EVENT_CLIENT, number, clients[number].stamp);
}

void clients_begin(void)
{
	finishing = false;
	running = UINT32_MAX;
	for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
		fiber_kill(&clients[i].fiber);
		env_client_died(i);
		clients[i].stamp = 0;
	}
	work_clear();
	for (uint32_t i = 0; i < sim.swarm.clients; i++)
		schedule(i, sim_between(SIM_CLIENT, 1, SIM_MS));
}

static void bury(uint32_t number)
{
	struct client *client = &clients[number];
	bool alive = client->fiber.alive;
	fiber_kill(&client->fiber);
	client->blocked = false;
	client->doomed = false;
	client->paused = false;
	client->futex = NULL;
	client->stamp++;
	work_died(number, alive);
	env_client_died(number);
}

void clients_die(uint32_t machine)
{
	for (uint32_t i = 0; i < sim.swarm.clients; i++) {
		if (clients[i].home != machine || !clients[i].fiber.alive)
			continue;
		bury(i);
		if (!finishing)
			schedule(i, sim_between(SIM_CLIENT, SIM_MS / 10,
						3 * SIM_MS));
	}
}

void clients_finish(void)
{
	finishing = true;
	work_finish();
}

bool clients_finished(void)
{
	for (uint32_t i = 0; i < sim.swarm.clients; i++)
		if (clients[i].fiber.alive)
			return false;
	return true;
}

static void live(void *argument)
{
	work_live((uint32_t)(uintptr_t)argument);
}

void client_event(uint32_t number, uint64_t stamp)
{
	struct client *client = &clients[number];
	uint64_t until;
	if (stamp != client->stamp)
		return;
	if (client->fiber.alive && machine_frozen(client->home, &until)) {
		schedule(number, until + 1 - sim.now);
		return;
	}
	if (!client->fiber.alive) {
		if (finishing)
			return;
		client->home = roster_home();
		fiber_start(&client->fiber, live, (void *)(uintptr_t)number);
	}
	client->blocked = false;
	running = number;
	fiber_resume(&client->fiber);
	running = UINT32_MAX;
	if (client->fiber.alive && !client->doomed)
		return;
	if (client->doomed)
		sim_trace("client %: dies", number);
	bury(number);
	if (!finishing)
		schedule(number, sim_spread(SIM_CLIENT, 2 * SIM_MS) + 1);
}

/* ---- inside ---- */

uint32_t client_current(void)
{
	assert(running < SIM_CLIENTS_MAX);
	return running;
}

uint64_t client_now(void)
{
	return machine_now(clients[client_current()].home);
}

uint32_t client_home(uint32_t number)
{
	return clients[number].home;
}

void client_sleep(uint64_t ns)
{
	uint32_t number = client_current();
	struct client *client = &clients[number];
	assert(fiber_current() == &client->fiber);
	client->blocked = true;
	schedule(number, ns);
	fiber_yield();
}

static void stop_for(struct client *client, uint64_t ns)
{
	client->paused = true;
	client_sleep(ns);
	client->paused = false;
}

void client_point(void)
{
	uint32_t number = client_current();
	struct client *client = &clients[number];
	work_note(number);
	uint64_t draw = sim_below(SIM_CLIENT, SIM_MILLION);
	if (draw < sim.swarm.client_yield) {
		client_sleep(sim_between(SIM_CLIENT, 5, 600));
		return;
	}
	if (sim.healing)
		return;
	draw -= sim.swarm.client_yield;
	if (draw < sim.swarm.client_death) {
		sim_fault(SIM_FAULT_CLIENT_DEATH);
		client->doomed = true;
		fiber_yield();
		assert(false); /* nobody comes back from this */
	}
	draw -= sim.swarm.client_death;
	if (draw >= sim.swarm.client_pause)
		return;
	uint64_t ns = sim_spread(SIM_CLIENT, 200 * SIM_MS) + 1;
	sim_fault(SIM_FAULT_CLIENT_PAUSE);
	sim_trace("client %: pauses for % us", number, ns / SIM_US);
	sim_disturb(sim.now + ns);
	stop_for(client, ns);
}

bool client_futex_sleep(const void *word, uint64_t ns)
{
	struct client *client = &clients[client_current()];
	client->futex = word;
	client->woken = false;
	client_sleep(ns);
	client->futex = NULL;
	return client->woken;
}

/* ---- outside ---- */

void client_wake(uint32_t number)
{
	struct client *client = &clients[number];
	if (client->fiber.alive && client->blocked && !client->paused)
		schedule(number, sim_between(SIM_CLIENT, 100, 5000));
}

void client_futex_wake(const void *word)
{
	for (uint32_t i = 0; i < sim.swarm.clients; i++) {
		if (clients[i].futex != word || clients[i].woken)
			continue;
		clients[i].woken = true;
		client_wake(i);
	}
}
