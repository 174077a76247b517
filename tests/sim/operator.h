/*
 * The operator: a client that now and then changes who is a member, or moves
 * leadership, as tests/sim/roster.h thinks best.
 */
#ifndef TESTS_SIM_OPERATOR_H
#define TESTS_SIM_OPERATOR_H

#include <stdint.h>

struct worker;

void operator_clear(void);
/* In the client's fiber: one change, if there is one to make. */
void operator_act(struct worker *worker);
/* The client died, perhaps in the middle of one. */
void operator_died(uint32_t client);

#endif
