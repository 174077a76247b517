/*
 * A fiber: a call that can stand still in the middle and go on later, or
 * never. The daemon's process is one (so that it can die in the middle of a
 * recovery), and so is each client.
 */
#ifndef TESTS_SIM_FIBER_H
#define TESTS_SIM_FIBER_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

enum fiber_limits {
	FIBER_STACK_SIZE = 512 << 10,
};

struct fiber {
	ucontext_t context;
	uint8_t *stack; /* made at the first start, kept */
	void (*run)(void *argument);
	void *argument;
	bool alive; /* started, and its call has not returned */
};

/* Prepares the call; a fiber that stood still is given up. */
void fiber_start(struct fiber *fiber, void (*run)(void *), void *argument);

/* Goes on with it until it yields or returns. From outside any fiber. */
void fiber_resume(struct fiber *fiber);

/* From inside: back to the one who resumed. */
void fiber_yield(void);

/* Gives it up where it stands: nothing of it runs again. */
void fiber_kill(struct fiber *fiber);

/* The one that runs, or NULL. */
struct fiber *fiber_current(void);

void fiber_release(struct fiber *fiber);

#endif
