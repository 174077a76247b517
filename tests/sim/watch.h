/*
 * Watches the Raft core and the state machine of each member, from outside,
 * after everything that may have changed them: who leads (I1, I4), that
 * leaders do not cut their log (I2), that nothing goes back (I6), what is
 * committed (I8, I9) and what was applied (I5, I13).
 */
#ifndef TESTS_SIM_WATCH_H
#define TESTS_SIM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct node;

/* A new seed. */
void watch_clear(void);

/* The member on this machine begins a new life. */
void watch_begin(uint32_t machine);

/* Looks at it; it stands still. */
void watch_look(uint32_t machine, const struct node *node);

/* Nothing that was taken waits to be committed or applied. */
bool watch_is_quiet(const struct node *node);

/* A line of the trace about where it stands. */
void watch_tell(uint32_t machine);

/* Who led that term; -1: nobody that was seen. */
int watch_leader_of(uint64_t term);

/* The machine that leads in the newest term, or -1. */
int watch_leader(void);

#endif
