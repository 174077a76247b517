/*
 * The demonstration: real clients, real work, one SIGKILL, and a proof.
 *
 * Every worker is a process of its own with its own handle. What they did is
 * told through one shared mapping (struct demo_tally for each), so that the
 * parent can show progress and count what was promised even when a worker is
 * in trouble.
 */
#ifndef TESTS_DEMO_DEMO_H
#define TESTS_DEMO_DEMO_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/daemon.h"

struct conclave;

enum demo_limits {
	DEMO_LOADERS = 4,
	DEMO_FIGHTERS = 8,
	DEMO_INCREMENTS = 10000,
	DEMO_CRASH_WRITES = 60000, /* of each loader in the second load */
	DEMO_BUCKETS = 1024, /* of latency, 32 to a power of two */
	DEMO_WORKERS_MAX = 8,
};

enum demo_fate {
	FATE_NONE = 0, /* never submitted */
	FATE_ACKNOWLEDGED,
	FATE_SETTLED_APPLIED, /* in doubt, then: applied */
	FATE_SETTLED_NOT, /* in doubt, then: definitely not */
	FATE_UNKNOWN,
};

struct demo_tally {
	uint64_t done;
	uint64_t refused; /* compare-and-swap that lost */
	uint64_t unknown;
	uint64_t settled_applied;
	uint64_t settled_not;
	uint64_t longest_ns; /* between two acknowledgements */
	int32_t error; /* that ended the worker */
	uint32_t pad;
	uint64_t latency[DEMO_BUCKETS];
	uint8_t fate[DEMO_CRASH_WRITES];
};

struct demo {
	struct daemon_process daemon;
	struct demo_tally *tallies; /* DEMO_WORKERS_MAX, shared */
	const volatile sig_atomic_t *interrupted; /* by this signal, or 0 */
	bool terminal;
};

/* ---- work.c ---- */

uint64_t demo_now_ns(void);
void demo_note_latency(struct demo_tally *tally, uint64_t ns);
/* The q-quantile of all workers' latencies, in microseconds. */
double demo_latency_us(const struct demo *demo, double q);
uint64_t demo_done(const struct demo *demo);

int demo_open(const struct demo *demo, struct conclave **ret_client)
	__attribute__((warn_unused_result));

/*
 * Runs `count` workers, each in its own process, shows progress towards
 * `goal` until they end, and calls `during` (may be NULL) ten times a second.
 * 0, or the first worker's error.
 */
struct demo_job {
	const char *title;
	int (*work)(struct demo *demo, uint32_t worker, void *context);
	int (*during)(struct demo *demo, void *context);
	void *context;
	uint32_t count;
	uint64_t goal;
	bool silent; /* shows nothing itself */
};

int demo_run(struct demo *demo, const struct demo_job *job, double *ret_seconds)
	__attribute__((warn_unused_result));

/* ---- the acts ---- */

/* One increment of the counter, with as many tries as it takes. */
int counter_increment(struct conclave *client, struct demo_tally *tally)
	__attribute__((warn_unused_result));

struct dpkg;

int dpkg_read(struct dpkg **ret_dpkg) __attribute__((warn_unused_result));
void dpkg_free(struct dpkg *dpkg);
uint64_t dpkg_fields(const struct dpkg *dpkg);
int dpkg_load(struct demo *demo, struct dpkg *dpkg, double *ret_seconds)
	__attribute__((warn_unused_result));
/* Reads everything back; the number compared, or an error. */
int64_t dpkg_compare(struct demo *demo, struct dpkg *dpkg)
	__attribute__((warn_unused_result));

int counter_fight(struct demo *demo, double *ret_seconds)
	__attribute__((warn_unused_result));
/* The counter's value, read back. */
int64_t counter_value(struct demo *demo) __attribute__((warn_unused_result));

/* What the crash left, all counted by reading back. */
struct crash_report {
	uint64_t kills;
	uint64_t acknowledged;
	uint64_t missing; /* acknowledged and not there: must be 0 */
	uint64_t settled_applied;
	uint64_t settled_not;
	uint64_t contradicted; /* settled one way, found the other: 0 */
	uint64_t unknown; /* must be 0 */
	uint64_t increments; /* acknowledged by the counter's clients */
	uint64_t counter; /* read back: must be equal */
	double seconds;
	double pause_ms; /* longest between two acknowledgements */
};

int crash_act(struct demo *demo, struct crash_report *ret_report)
	__attribute__((warn_unused_result));

#endif
