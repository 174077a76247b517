/*
 * What the members of one cluster have of each other's releases, and the two
 * clocks of a host: which time passes while it is suspended.
 */
#ifndef TESTS_SIM_UPGRADE_H
#define TESTS_SIM_UPGRADE_H

#include "tests/sim/machine_state.h"

/* A member is new here: the release that it is started with first. */
void upgrade_install(struct machine *machine);

/* Its daemon starts again: now and then as a newer release. */
void upgrade_start(struct machine *machine);

/* The host is suspended until `time`: CLOCK_MONOTONIC stands still. */
void upgrade_suspend(struct machine *machine, uint64_t time);

/* After a turn: what was reached. */
void upgrade_look(struct machine *machine);

#endif
