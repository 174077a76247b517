/*
 * Descriptors and mappings of the simulated clients; the functions that the
 * header calls are those of shm/env.h, defined in tests/sim/env.c.
 */
#ifndef TESTS_SIM_ENV_H
#define TESTS_SIM_ENV_H

#include <stdbool.h>
#include <stdint.h>

void env_clear(void);

/* The process is dead: all that it had is closed and unmapped. */
void env_client_died(uint32_t client);

/* The other end of its connection is still there. */
bool env_connected(int fd);

/* Descriptors and mappings that it has, for the search of leaks. */
uint32_t env_client_holds(uint32_t client);

#endif
