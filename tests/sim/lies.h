/*
 * Deliberate lies of a member of a cluster: what the checks must notice if
 * the shipped node ever did it. Nothing here does anything without --bug.
 */
#ifndef TESTS_SIM_LIES_H
#define TESTS_SIM_LIES_H

#include "daemon/node.h"
#include "wal/wal.h"

/* The log is open: what the node is told of it. */
void lies_recovered(struct wal_report *report);

/* Before a turn. */
void lies_turn(struct node *node);

/*
 * A part of what a member says, of which at most `room` bytes fit: itself, or
 * another in its place, lent until the next call. And what becomes of it on
 * its way, when it was seen.
 */
const void *lies_part(const struct node_part *part, uint32_t room);
const void *lies_on_the_way(const struct node_part *part, uint32_t room);

#endif
