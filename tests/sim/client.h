/*
 * Clients: each is one process with one thread and one handle, a fiber that
 * runs the shipped header. It can be stopped at every access to shared memory
 * and at every system call, for a moment, for long, or for ever.
 */
#ifndef TESTS_SIM_CLIENT_H
#define TESTS_SIM_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

void clients_begin(void);
void clients_die(uint32_t machine); /* with their host */
void client_event(uint32_t client, uint64_t stamp);

/* No faults any more: finish what is under way, close, and be done. */
void clients_finish(void);
bool clients_finished(void);

/* ---- for tests/sim/env.c, in a client's fiber ---- */

uint32_t client_current(void);
/* CLOCK_MONOTONIC on its host. */
uint64_t client_now(void);
/* Stands still for `ns`, or until client_wake(). */
void client_sleep(uint64_t ns);
/* A place where it may be stopped. */
void client_point(void);
/* As above, on a futex; true: woken as one. */
bool client_futex_sleep(const void *word, uint64_t ns);

/* ---- for everybody ---- */

/* The machine on which it lives its present life. */
uint32_t client_home(uint32_t client);
void client_wake(uint32_t client);
void client_futex_wake(const void *word);

#endif
