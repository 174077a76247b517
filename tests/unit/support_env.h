/*
 * The seam of the client (shm/env.h) for tests: the real calls, but the n-th
 * of them fails, or the client dies at the n-th touch of a shared word. A
 * test that wants it defines CONCLAVE_SIM_ENV before it includes the client.
 */
#ifndef TESTS_UNIT_SUPPORT_ENV_H
#define TESTS_UNIT_SUPPORT_ENV_H

#include <stdbool.h>
#include <stdint.h>

enum env_exit {
	ENV_DIED = 77,
};

/* From now on the n-th call that can fail does, once; 0: none. */
void env_fail_nth(uint64_t n);
/* Whether it has. */
bool env_failed(void);
/* The n-th touch from now on is the end of this process, with ENV_DIED. */
void env_die_at(uint64_t n);
/* A client of the test sees the very addresses that the peer sees, so that
 * ThreadSanitizer knows both. */
void env_share_maps(bool share);
/* Sleeps on a word have no end: a lost wake hangs. */
void env_sleep_for_ever(bool for_ever);
/* Descriptors and mappings that the client has open. */
uint32_t env_open_fds(void);
uint32_t env_open_maps(void);

#endif
