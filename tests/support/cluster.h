/*
 * Three conclaved on this host that are one cluster: their folders, their
 * ports, their logs, and the removal of all that they left.
 */
#ifndef TESTS_SUPPORT_CLUSTER_H
#define TESTS_SUPPORT_CLUSTER_H

#include <stdint.h>

#include "tests/support/daemon.h"

enum daemon_cluster_limits {
	DAEMON_MEMBERS = 3,
	DAEMON_FLAG_MAX = 256,
	DAEMON_FLAGS_OWN = 4, /* cluster, member, peer-listen, peers */
};

struct daemon_cluster {
	const char *program; /* path of conclaved */
	const char *name; /* of the cluster; NULL: "demo" */
	/* More flags, for all and for one; NULL: no more. */
	const char *flags[DAEMON_FLAGS_MAX - DAEMON_FLAGS_OWN];
	const char *engines[DAEMON_MEMBERS];
	struct daemon_process members[DAEMON_MEMBERS]; /* id is index + 1 */
	uint16_t ports[DAEMON_MEMBERS]; /* 0: one is chosen */
	char own[DAEMON_MEMBERS][DAEMON_FLAGS_OWN][DAEMON_FLAG_MAX];
};

/* A TCP port of loopback that nobody uses, and no outgoing connection is
 * given; or -errno. */
int daemon_free_port(void) __attribute__((warn_unused_result));

/* Chooses ports, makes folders below `folder` and puts the flags together. */
int daemon_cluster_prepare(struct daemon_cluster *cluster, const char *folder)
	__attribute__((warn_unused_result));

/* Starts all that do not run and waits until each answers its clients. */
int daemon_cluster_run(struct daemon_cluster *cluster)
	__attribute__((warn_unused_result));

/* What the daemons said, to stderr: for when something went wrong. */
void daemon_cluster_print_logs(const struct daemon_cluster *cluster);

/* Kills what runs and removes the folders. */
void daemon_cluster_remove(struct daemon_cluster *cluster);

#endif
