/*
 * Three real daemons that are one cluster, a client of each, and writes in
 * flight whose outcomes are compared with what is stored.
 */
#ifndef TESTS_INTEGRATION_SUPPORT_CLUSTER_H
#define TESTS_INTEGRATION_SUPPORT_CLUSTER_H

#include "tests/integration/support.h"
#include "tests/support/cluster.h"

enum support_cluster_limits {
	FLIGHTS = 200, /* writes of each client that fly at once */
	PATIENCE_MS = 60000, /* for a condition that must come */
};

struct conclave;

/* The daemons; to be changed before cluster_start(). */
struct daemon_cluster *cluster_daemons(void);

/* Their handles, opened by cluster_open(). */
struct conclave *cluster_client(uint32_t i);

/* Removes daemons and folders when the test's process ends; if the test fails,
 * support_main() does. */
void cluster_be_tidy(void);

/* Starts all and opens a client of each. */
void cluster_start(void);
void cluster_open(uint32_t i);
void cluster_kill(uint32_t i);
void cluster_again(uint32_t i);

/*
 * Waits until all members whose bit is set in `among` follow one of them;
 * returns its index.
 */
uint32_t cluster_leader(uint32_t among);

void cluster_put(uint32_t i, const char *key, const char *value);
void cluster_check(uint32_t i, const char *key, const char *value);

/* The file of its log, or of another daemon's, has this text; or gets it,
 * and is waited for. */
bool cluster_said(const char *log, const char *text);
void cluster_await_said(const char *log, const char *text);

/* Writes that fly from one client; then as many of them came down well. */
void cluster_fly(uint32_t i);
void cluster_await_landed(uint32_t i, uint32_t count);

/* Every one comes down; what was said is true on every member. */
void cluster_settle(uint32_t i);
void cluster_compare(void);

/* How many writes of this client were definitely not applied. */
uint32_t cluster_not_applied(uint32_t i);

/* What that member says of itself, as soon as its client has found it again. */
struct cv_status cluster_status(uint32_t i);

/* Waits until that member has applied what this client was shown. */
void cluster_await_applied(uint32_t i, uint64_t revision);

/* Milliseconds of a clock that only goes forward; and a short rest. */
uint64_t cluster_now_ms(void);
void cluster_rest(uint64_t deadline_ms);

#endif
