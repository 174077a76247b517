/*
 * Who the members are, on which machine each one lives, and who is lost for
 * good: at most so many that a majority remains of every configuration.
 *
 * Founders live on the first machines. An operator adds, promotes, removes
 * and replaces members (tests/sim/operator.c asks for it); what is committed
 * is then done: a new member is started on a free machine, with an empty disk
 * and an id that was never used; one that was removed talks on for a while,
 * and goes.
 */
#ifndef TESTS_SIM_ROSTER_H
#define TESTS_SIM_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/abi.h"

/* A new seed: founders on the machines, and the ghost knows of them. */
void roster_begin(void);

/* The machine of an address, or -1. */
int roster_machine_at(const char *address);
/* Where the next life of a client is lived. */
uint32_t roster_home(void);
/* How many machines have members; the n-th of them. */
uint32_t roster_count(void);
uint32_t roster_machine(uint32_t number);

/* ---- what the log says ---- */

/* The configuration changed. */
void roster_follow(void);
/* SIM_EVENT_ROSTER */
void roster_event(uint32_t machine, uint64_t member);

/* ---- losses ---- */

/* The cluster can bear to lose this one for good. */
bool roster_may_lose(uint32_t machine);
/* Its log does not open, though others have it all: true: it stays away. */
bool roster_damaged(uint32_t machine);
/* Its disk is gone. */
void roster_lose(uint32_t machine);
/* No faults any more: those who were removed go, some come back. */
void roster_heal(void);

/* ---- the operator ---- */

struct roster_change {
	uint16_t type; /* CV_MEMBER or CV_MOVE */
	uint32_t change; /* enum cv_member_change */
	uint64_t member;
	uint64_t other; /* REPLACE: who comes */
	char address[16]; /* "": none */
};

/* What to ask for now; false: nothing. */
bool roster_plan(struct roster_change *ret_change);
/* What it came to: a code as conclave_error_kind() knows it. */
void roster_told(const struct roster_change *change, int code);

#endif
