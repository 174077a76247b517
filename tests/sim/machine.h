/*
 * The machine: the daemon's process, from its start to its death, and the
 * next one after it. What daemon/loop.c is for a real host: it gives time and
 * a disk to the node, carries its events to the clients, and lets it sleep.
 *
 * The process is one fiber. It stands still where a real one would be off the
 * processor: in the kernel, between turns, and now and then inside a turn, at
 * the submission of an operation. It can die in each of these places.
 */
#ifndef TESTS_SIM_MACHINE_H
#define TESTS_SIM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/node.h"

enum machine_state {
	MACHINE_DOWN = 0, /* between two lives */
	MACHINE_STARTING, /* opens the log, replays it */
	MACHINE_AWAKE, /* turns, or is about to */
	MACHINE_ASLEEP, /* said so, and waits in the kernel */
};

struct machine_view {
	enum machine_state state;
	uint64_t life; /* grows with each start */
	uint64_t asleep_since; /* while ASLEEP */
	bool rung; /* something will wake it */
	bool in_turn; /* it stands still in the middle of one */
	struct node *node; /* while AWAKE or ASLEEP */
	struct cv_status *status; /* this life's status page */
	int status_memory; /* the same, as tests/sim/socket.h names it */
};

/* A new machine with an empty disk. */
void machine_clear(void);
void machine_start(uint64_t delay_ns);

/* The daemon's event. */
void machine_event(uint64_t stamp);

/* Something happened that a waiting daemon would see. */
void machine_kick(void);

/* The process dies; with `power`, all on the host does. Restarts later. */
void machine_crash(bool power);

/* It is asked to stop: to answer what it took, and to end. */
void machine_stop(void);

/* Inside the daemon's fiber: waits `ns`, or with 0 for a kick. */
void machine_wait(uint64_t ns);
/* Inside: a place where it may be preempted, or die. */
void machine_point(void);

const struct machine_view *machine_view(void);

/* All that was asked is answered, and nothing is under way. */
bool machine_idle(void);

#endif
