/*
 * What goes wrong between machines: cuts of the network in several shapes,
 * single links and connections, strangers who dial.
 */
#ifndef TESTS_SIM_FAULTS_NET_H
#define TESTS_SIM_FAULTS_NET_H

#include <stdbool.h>

void faults_net_begin(void);
void faults_net_end(void);

/* Cuts the network, or mends it. */
void faults_cut(void);
bool faults_are_cut(void);
/* A link is slow or clogged, a connection breaks, a bit flips. */
void faults_wire(void);

#endif
