/*
 * The two mappings between which the store changes: one in use, one zeroed
 * and waiting for an image. When an image took the other's place the node
 * gives back the mapping that is left, full of what was; giving its pages
 * back takes the kernel longer than a turn may take, so a thread does it.
 */
#ifndef DAEMON_SPARE_H
#define DAEMON_SPARE_H

#include "daemon/helper.h"
#include "daemon/log.h"
#include "daemon/node.h"

struct spare {
	struct helper *helper; /* all lent */
	struct node *node;
	struct log *log;
	struct memory memories[2];
	void *left; /* the helper could not take it yet; NULL: none */
};

/* The node let go of a mapping. */
void spare_left(struct spare *spare, void *base);

/* Each turn: what could not be handed over before. */
void spare_turn(struct spare *spare);

/* The helper's answer: the node gets its next spare. */
void spare_renewed(struct spare *spare, const struct helper_answer *answer);

#endif
