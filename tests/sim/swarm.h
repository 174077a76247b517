/*
 * What a seed is like: which faults exist in it and how often they strike,
 * how small its limits are. Small, so that every ring wraps and every segment
 * is used again within one seed.
 */
#ifndef TESTS_SIM_SWARM_H
#define TESTS_SIM_SWARM_H

#include <stdbool.h>

#include "tests/sim/sim.h"

/* Draws from the generator SIM_SWARM; calm: no faults at all. */
void swarm_draw(struct sim_swarm *ret_swarm, bool calm);

/* A deliberate lie needs the faults that bring it to light. */
void swarm_provoke(struct sim_swarm *swarm, enum sim_bug bug);

#endif
