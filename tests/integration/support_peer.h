/*
 * A member played by the test: it listens where that member would, dials
 * others, and says what it likes.
 */
#ifndef TESTS_INTEGRATION_SUPPORT_PEER_H
#define TESTS_INTEGRATION_SUPPORT_PEER_H

#include "tests/integration/support_cluster.h"

#include "daemon/wire.h"

/* A listening socket in the place of that member, which does not run. */
int peer_door(uint64_t member);

/* A connection to where that member listens. */
int peer_dial(uint64_t member);

/* The greeting that comes on it. */
struct wire_greeting peer_hear_greeting(int fd);

#endif
