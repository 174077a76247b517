/*
 * What is wrong with a member that goes on all the same, put into words when
 * it begins and when it is over; and who leads, whenever that changes.
 */
#ifndef DAEMON_TROUBLE_H
#define DAEMON_TROUBLE_H

#include "daemon/log.h"
#include "daemon/node.h"

struct trouble {
	struct node_trouble told;
};

/* After a turn of the node. */
void trouble_turn(struct trouble *trouble, const struct node *node,
		  struct log *log);

#endif
