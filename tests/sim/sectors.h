/*
 * The content of files, sector by sector; the other half of
 * tests/sim/folder.h, which is what everybody else includes.
 */
#ifndef TESTS_SIM_SECTORS_H
#define TESTS_SIM_SECTORS_H

#include "tests/sim/folder.h"

void sectors_clear(uint32_t machine);
int sectors_new(uint32_t machine); /* -1: no number is free */
void sectors_free(int file);
bool sectors_used(int file);
bool sectors_held(int file);
void sectors_power_loss(uint32_t machine);

#endif
