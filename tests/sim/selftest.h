/*
 * Who checks the checkers: lies told on purpose at the simulator's own
 * boundary, each of which must be noticed within a few seeds.
 */
#ifndef TESTS_SIM_SELFTEST_H
#define TESTS_SIM_SELFTEST_H

#include <stdint.h>

#include "tests/sim/sim.h"

/* The lie of that name, or SIM_BUG_NONE. */
enum sim_bug selftest_bug(const char *name);
const char *selftest_name(enum sim_bug bug);

/* Tells each of them; the exit code of the program. */
int selftest_run(uint64_t seed, uint64_t steps);

#endif
