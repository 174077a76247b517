/*
 * Descriptors of the simulated clients, shared by tests/sim/env.c and
 * tests/sim/env_wait.c.
 */
#ifndef TESTS_SIM_ENV_FD_H
#define TESTS_SIM_ENV_FD_H

#include "shm/env.h"
#include "tests/sim/env.h"

enum env_limits {
	FDS_MAX = 512,
	MAPS_MAX = 512,
	GATHERED_MAX = 4,
	GATHERS_MAX = 32,
};

enum fd_kind {
	FD_FREE = 0,
	FD_SOCKET,
	FD_MEMORY,
	FD_BELL,
	FD_EVENT,
	FD_GATHER,
};

struct fd {
	enum fd_kind kind;
	uint32_t client;
	int object;
};

struct gather {
	bool used;
	uint32_t count;
	struct {
		int fd;
		uint32_t seen;
	} members[GATHERED_MAX];
};

extern struct fd env_fds[FDS_MAX];
extern struct gather env_gathers[GATHERS_MAX];

static inline bool env_leads_to_socket(enum fd_kind kind)
{
	return kind == FD_SOCKET || kind == FD_BELL || kind == FD_EVENT;
}

/* Of the client that runs: a new one, or -EMFILE; one of that kind. */
int env_fd_new(enum fd_kind kind, int object);
struct fd *env_fd(int number, enum fd_kind kind);

#endif
