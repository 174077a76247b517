/*
 * The demonstration of a cluster: three daemons, two client processes on
 * each, SIGKILL of whoever leads, and a proof.
 */
#ifndef TESTS_DEMO_CLUSTER_H
#define TESTS_DEMO_CLUSTER_H

#include "tests/demo/demo.h"
#include "tests/support/cluster.h"

enum cluster_demo_limits {
	FAILOVERS_MAX = 256,
	CLUSTER_SECONDS_MAX = 3600,
	CLUSTER_RATE_MAX = 20000,
	CLUSTER_WORKERS = 2 * DAEMON_MEMBERS, /* writers, then counters */
	CLUSTER_WRITES_MAX = 20000000, /* of each writer */
};

struct cluster_plan {
	uint32_t seconds; /* of load */
	uint32_t every; /* seconds from one kill to the next */
	uint32_t rate; /* writes a second, of each writer */
};

/* What one worker tells; it alone writes. */
struct cluster_tally {
	uint64_t acknowledged;
	uint64_t settled_applied; /* in doubt, then: applied */
	uint64_t settled_not; /* in doubt, then: definitely not */
	uint64_t unknown;
	uint64_t flying; /* submitted and not yet finished */
	uint64_t last_ns; /* of the last outcome */
	uint64_t own; /* increments of its own counter */
	uint64_t shared; /* increments of the counter of all */
	uint64_t pause_ns[FAILOVERS_MAX]; /* longest that ended after it */
};

/* Shared with all workers. */
struct cluster_board {
	uint32_t kills; /* of leaders so far */
	uint32_t pad;
	struct cluster_tally tallies[CLUSTER_WORKERS];
};

struct cluster_demo {
	struct demo *demo;
	struct cluster_plan plan;
	struct daemon_cluster daemons;
	struct cluster_board *board; /* shared */
	uint8_t *fates[DAEMON_MEMBERS]; /* shared: enum demo_fate */
	uint32_t writes; /* of each writer at most */
	uint64_t start_ns;
	uint32_t killed[FAILOVERS_MAX]; /* member that led, by failover */
};

/* ---- cluster_work.c: the clients, with the public header alone ---- */

int cluster_open(struct cluster_demo *demo, uint32_t member,
		 uint32_t timeout_ms, struct conclave **ret_client)
	__attribute__((warn_unused_result));
int cluster_work(struct demo *demo, uint32_t worker, void *context)
	__attribute__((warn_unused_result));
size_t cluster_key(uint32_t writer, uint64_t number, char key[64]);
/* The counter of one member's client, or, beyond those, of all. */
int cluster_counter(struct conclave *client, uint32_t counter,
		    uint64_t *ret_value, uint64_t *ret_revision)
	__attribute__((warn_unused_result));

/* ---- cluster_watch.c: who leads, who is killed, and the table ---- */

struct cluster_watch {
	struct cluster_demo *demo;
	struct conclave *clients[DAEMON_MEMBERS];
	uint64_t leader; /* member that is known to lead; 0: none */
	uint64_t term;
	uint32_t agree; /* members that say so */
	uint64_t kill_ns; /* when the next one is due */
	uint64_t start_ns; /* when the killed one is started; 0: none is */
	uint32_t down; /* which */
	uint64_t row_ns; /* when the next row is due */
	uint64_t row_last;
};

int cluster_watch(struct demo *demo, void *watch)
	__attribute__((warn_unused_result));
void cluster_watch_end(struct cluster_watch *watch);

/* ---- cluster_proof.c ---- */

/* Looks everything up on every member. 0: all is true. */
int cluster_proof(struct cluster_demo *demo)
	__attribute__((warn_unused_result));

/* ---- cluster.c ---- */

int cluster_act(struct demo *demo, const struct cluster_plan *plan,
		const char *folder) __attribute__((warn_unused_result));

#endif
