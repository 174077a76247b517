/*
 * Where a client waits, and what wakes it or the daemon: the socket, futexes,
 * doorbells, and gatherings of descriptors; see shm/env.h.
 */
#include "tests/sim/client.h"
#include "tests/sim/env_fd.h"
#include "tests/sim/machine.h"
#include "tests/sim/sim.h"
#include "tests/sim/socket.h"
#include "tests/sim/work.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static uint32_t events_of(const struct fd *fd)
{
	const struct socket *socket = socket_at(fd->object);
	return fd->kind == FD_EVENT ? socket->rings : socket->events;
}

static int gather_ready(const struct gather *gather)
{
	for (uint32_t i = 0; i < gather->count; i++) {
		const struct fd *fd = &env_fds[gather->members[i].fd];
		if (!env_leads_to_socket(fd->kind))
			continue; /* closed: it left the gathering */
		if (events_of(fd) != gather->members[i].seen)
			return CV_ENV_READABLE;
	}
	return 0;
}

static int ready(const struct fd *fd)
{
	if (fd->kind == FD_GATHER)
		return gather_ready(&env_gathers[fd->object]);
	assert(fd->kind == FD_SOCKET);
	const struct socket *socket = socket_at(fd->object);
	int set = socket->out_count > 0 ? CV_ENV_READABLE : 0;
	if (!socket->daemon_open)
		set |= CV_ENV_HUNG_UP;
	return set;
}

int cv_env_poll(int fd, int timeout_ms)
{
	client_point();
	uint64_t end = timeout_ms < 0
			       ? UINT64_MAX
			       : client_now() + (uint64_t)timeout_ms * SIM_MS;
	for (;;) {
		int set = ready(&env_fds[fd]);
		if (set != 0 || client_now() >= end)
			return set;
		work_check_bell(client_current());
		uint64_t left = end - client_now();
		client_sleep(left < SIM_SECOND ? left : SIM_SECOND);
	}
}

int cv_env_futex_wait(const uint32_t *word, uint32_t value, uint64_t ns)
{
	client_point();
	work_check_bell(client_current());
	if (*word != value)
		return -EAGAIN;
	work_check_wait(client_current());
	if (!sim.healing && sim_below(SIM_CLIENT, 64) == 0)
		return -EINTR;
	const struct machine_view *machine =
		machine_view(client_home(client_current()));
	uint64_t life = machine->life;
	SIM_SOMETIMES(CLIENT_SLEPT);
	if (client_futex_sleep(word, ns)) {
		SIM_SOMETIMES(CLIENT_WOKEN);
		return 0;
	}
	if (machine->state == MACHINE_ASLEEP && machine->life == life &&
	    *word != value)
		sim_fail(SIM_STUCK,
			 "client %u was not woken: the word it waits for has "
			 "changed, and the daemon sleeps",
			 client_current());
	return -ETIMEDOUT;
}

void cv_env_ring(int eventfd)
{
	client_point();
	const struct socket *socket =
		socket_at(env_fd(eventfd, FD_BELL)->object);
	if (!socket->daemon_open)
		return;
	if (sim.bug == SIM_BUG_LOST_DOORBELL && sim_below(SIM_CLIENT, 4) == 0)
		return;
	SIM_SOMETIMES(DAEMON_RUNG);
	machine_kick(socket->machine);
}

int cv_env_gather(void)
{
	client_point();
	for (int i = 0; i < GATHERS_MAX; i++) {
		if (env_gathers[i].used)
			continue;
		memset(&env_gathers[i], 0, sizeof(env_gathers[i]));
		env_gathers[i].used = true;
		return env_fd_new(FD_GATHER, i);
	}
	return -EMFILE;
}

int cv_env_gather_add(int number, int fd)
{
	client_point();
	struct gather *gather = &env_gathers[env_fd(number, FD_GATHER)->object];
	assert(env_fds[fd].kind == FD_EVENT || env_fds[fd].kind == FD_SOCKET);
	for (uint32_t i = 0; i < gather->count; i++) {
		if (env_fds[gather->members[i].fd].kind != FD_FREE &&
		    gather->members[i].fd != fd)
			continue;
		gather->members[i].fd = fd;
		gather->members[i].seen = 0;
		return 0;
	}
	if (gather->count == GATHERED_MAX)
		return -ENOSPC;
	gather->members[gather->count].fd = fd;
	gather->members[gather->count].seen = 0;
	gather->count++;
	return 0;
}

void cv_env_gather_clear(int number)
{
	client_point();
	struct gather *gather = &env_gathers[env_fd(number, FD_GATHER)->object];
	for (uint32_t i = 0; i < gather->count; i++) {
		const struct fd *fd = &env_fds[gather->members[i].fd];
		if (env_leads_to_socket(fd->kind))
			gather->members[i].seen = events_of(fd);
	}
}
