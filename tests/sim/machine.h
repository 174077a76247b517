/*
 * The machines: on each one the daemon's process, from its start to its
 * death, and the next one after it. What daemon/loop.c is for a real host: it
 * gives time, a disk and connections to the node, carries its events to the
 * clients, and lets it sleep.
 *
 * A process is one fiber. It stands still where a real one would be off the
 * processor: in the kernel, between turns, and now and then inside a turn, at
 * the submission of an operation. It can die in each of these places.
 *
 * Machines are numbers below SIM_MACHINES_MAX; which member lives on which
 * one, and who is missing, is tests/sim/roster.h.
 */
#ifndef TESTS_SIM_MACHINE_H
#define TESTS_SIM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/node.h"
#include "tests/sim/sim.h"

enum machine_state {
	MACHINE_DOWN = 0, /* between two lives, or for longer */
	MACHINE_STARTING, /* opens the log, replays it */
	MACHINE_AWAKE, /* turns, or is about to */
	MACHINE_ASLEEP, /* said so, and waits in the kernel */
};

struct machine_view {
	enum machine_state state;
	uint64_t member; /* id; 0: nobody lives here */
	uint64_t life; /* grows with each start, whoever lives here */
	uint64_t asleep_since; /* while ASLEEP */
	bool rung; /* something will wake it */
	bool in_turn; /* it stands still in the middle of one */
	bool away; /* it will not start again by itself */
	struct node *node; /* while AWAKE or ASLEEP */
	struct cv_status *status; /* this life's status page */
	int status_memory; /* the same, as tests/sim/socket.h names it */
};

/* All machines, with empty disks and without members. */
void machines_clear(void);

/* What a member is told at each start, as by its configuration. */
struct machine_member {
	uint64_t id;
	struct raft_conf_state voters; /* of a cluster that is new; or none */
	struct node_member known[SIM_MACHINES_MAX];
	uint32_t known_count;
};

/* A member is put on a machine, whose disk is empty from now on. */
void machine_install(uint32_t machine, const struct machine_member *member);
/* The member leaves: its process dies, nobody lives there. */
void machine_leave(uint32_t machine);
void machine_start(uint32_t machine, uint64_t delay_ns);

/* Where a member lives, or -1. */
int machine_of_member(uint64_t id);

/* The daemon's event. */
void machine_event(uint32_t machine, uint64_t stamp);

/* Something happened that a waiting daemon would see. */
void machine_kick(uint32_t machine);

/* The process dies; with `power`, all on the host does. Restarts later. */
void machine_crash(uint32_t machine, bool power);

/* It is asked to stop: to answer what it took, and to end. */
void machine_stop(uint32_t machine);

/* Nothing on it runs until `time`. */
void machine_freeze(uint32_t machine, uint64_t time);
bool machine_frozen(uint32_t machine, uint64_t *ret_until);

/* It does not start again before machine_return(). */
void machine_send_away(uint32_t machine);
void machine_return(uint32_t machine);

/* Its clock, CLOCK_MONOTONIC; from now on it goes by so much too fast. */
uint64_t machine_now(uint32_t machine);
void machine_drift(uint32_t machine, int32_t in_a_million);

/* ---- inside a daemon's fiber ---- */

/* The machine of the fiber that runs. */
uint32_t machine_running(void);
/* Waits `ns`, or with 0 for a kick. */
void machine_wait(uint64_t ns);
/* A place where it may be preempted, or die. */
void machine_point(void);

const struct machine_view *machine_view(uint32_t machine);

/* All that was asked is answered, and nothing is under way. */
bool machine_idle(uint32_t machine);

#endif
