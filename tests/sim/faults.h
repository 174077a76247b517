/*
 * What goes wrong by itself, from the outside, as often as the seed says.
 */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* Plans the first of each kind. */
void faults_begin(void);
/* SIM_EVENT_FAULT, SIM_EVENT_FULL */
void faults_event(uint32_t kind);
void faults_full(uint32_t machine, bool full);
/* No more of them, and what lasts is over. */
void faults_end(void);

/*
 * Whether a crash of this machine is to take its power. Nothing stands behind
 * the newest record that could tell a rotten one from a torn one, but for the
 * boot id: so the power stays while that record is rotten.
 */
bool faults_draw_power(uint32_t machine);

#endif
