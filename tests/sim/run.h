/*
 * One seed, from an empty disk to the last check.
 */
#ifndef TESTS_SIM_RUN_H
#define TESTS_SIM_RUN_H

#include <stdint.h>

/*
 * Runs `steps` events under faults, then lets everything come to rest, then
 * takes the power away and looks what is left. Returns the rolling hash; a
 * failure ends the program.
 */
uint64_t run_seed(uint64_t seed, uint64_t steps);

#endif
