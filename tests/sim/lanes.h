/*
 * What daemon/peers.h is on a real host: who is dialled when, who may come
 * in, that each lane to each member has one connection, and that its bytes go
 * to the node and come from it.
 *
 * Both sides dial where a lane has no connection. If both do so at once, that
 * of the smaller id stays. The greeting of somebody who is connected already
 * waits until the old connection has ended.
 */
#ifndef TESTS_SIM_LANES_H
#define TESTS_SIM_LANES_H

#include <stdbool.h>
#include <stdint.h>

struct node;

void lanes_clear(void);

/* A daemon begins, or ends. */
void lanes_begin(uint32_t machine, struct node *node);
void lanes_end(uint32_t machine, bool power);

/* Before node_turn(): what came, what is due. Whether anything was done. */
bool lanes_turn(uint32_t machine, struct node *node);
/* After it: what there is to send. Whether anything was sent. */
bool lanes_send(uint32_t machine, struct node *node);

/* When something is due, by the machine's clock. */
uint64_t lanes_next_ns(uint32_t machine);

#endif
