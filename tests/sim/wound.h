/*
 * Damage in all logs of a cluster at once, in each one at another place: so
 * that nobody is left who could lead, though nearly all is still somewhere.
 */
#ifndef TESTS_SIM_WOUND_H
#define TESTS_SIM_WOUND_H

#include <stdbool.h>
#include <stdint.h>

/* A bit of one record of each member rots, and all crash; false: not now. */
bool wound_all(void);

/*
 * What is missing in the log of this machine's member will be written anew,
 * since another one has it, and can prove it.
 */
bool wound_heals(uint32_t machine);

#endif
