/*
 * What a cluster is born with: the id that its name stands for, and the first
 * of its replicated settings.
 */
#ifndef DAEMON_CLUSTER_H
#define DAEMON_CLUSTER_H

#include "daemon/store/store.h"

/* The XXH3-128 of the name, canonical bytes. */
void cluster_id(const char *name, uint8_t ret_id[16]);

/* What bootstrap proposes; afterwards the replicated settings stand. */
extern const struct store_settings cluster_settings;

#endif
