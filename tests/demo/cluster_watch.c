/*
 * The one who watches: asks each member's status page who leads, kills that
 * one when it is due, starts it again a little later, and prints a row each
 * second.
 */
#define _GNU_SOURCE
#include "tests/demo/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/conclave.h"

enum {
	LOOK_MS = 100, /* for a member that is away */
};

#define SECOND_NS  1000000000ull
#define AWAY_NS	   SECOND_NS /* from its end to its next start */
#define DOUBT_NS   100000000ull /* without an outcome: in doubt */
#define PATIENT_NS (60 * SECOND_NS) /* for a leader whom all follow */

static bool look(struct cluster_watch *watch, uint32_t i,
		 struct cv_status *ret_status)
{
	struct conclave **client = &watch->clients[i];

	if (!*client && cluster_open(watch->demo, i, LOOK_MS, client) != 0)
		return false;
	return conclave_status(*client, ret_status) == 0;
}

/* The leader of the highest term that anybody knows. */
static void look_at_all(struct cluster_watch *watch)
{
	static struct cv_status status[DAEMON_MEMBERS]; /* large */
	uint32_t i;

	watch->leader = 0;
	watch->agree = 0;
	for (i = 0; i < DAEMON_MEMBERS; i++) {
		bool up = watch->demo->daemons.members[i].pid > 0 &&
			  look(watch, i, &status[i]);

		if (!up)
			memset(&status[i], 0, sizeof(status[i]));
		if (!status[i].leader || status[i].term < watch->term)
			continue;
		watch->term = status[i].term;
		watch->leader = status[i].leader;
	}
	for (i = 0; i < DAEMON_MEMBERS; i++)
		watch->agree += status[i].leader &&
				status[i].leader == watch->leader &&
				status[i].term == watch->term;
}

static int kill_leader(struct cluster_watch *watch)
{
	struct cluster_demo *demo = watch->demo;
	uint32_t kills = demo->board->kills;

	watch->down = (uint32_t)watch->leader - 1;
	demo->killed[kills] = watch->down;
	daemon_process_kill(&demo->daemons.members[watch->down]);
	__atomic_store_n(&demo->board->kills, kills + 1, __ATOMIC_RELAXED);
	watch->start_ns = demo_now_ns() + AWAY_NS;
	watch->kill_ns = demo_now_ns() + (uint64_t)demo->plan.every * SECOND_NS;
	(void)printf("          kill -9 member %u, which leads\n",
		     watch->down + 1);
	return 0;
}

static int kill_when_due(struct cluster_watch *watch)
{
	struct cluster_demo *demo = watch->demo;
	uint64_t now = demo_now_ns();
	uint64_t end =
		demo->start_ns + (uint64_t)demo->plan.seconds * SECOND_NS;

	if (!watch->kill_ns)
		watch->kill_ns =
			now + (uint64_t)demo->plan.every * SECOND_NS / 2;
	if (watch->start_ns && now >= watch->start_ns) {
		watch->start_ns = 0;
		return daemon_process_again(
			&demo->daemons.members[watch->down]);
	}
	/* Two of three that are away would be no majority. */
	if (watch->start_ns || now < watch->kill_ns || now >= end ||
	    demo->board->kills == FAILOVERS_MAX)
		return 0;
	if (watch->agree == DAEMON_MEMBERS)
		return kill_leader(watch);
	return now > watch->kill_ns + PATIENT_NS ? -ETIMEDOUT : 0;
}

/* ---- the table ---- */

struct totals {
	uint64_t done;
	uint64_t doubt;
	uint64_t settled;
	uint64_t pause_ns; /* of clients whose daemon lived */
};

static void add_pauses(const struct cluster_demo *demo, uint32_t worker,
		       struct totals *totals)
{
	const struct cluster_tally *tally = &demo->board->tallies[worker];
	uint32_t i;

	for (i = 0; i < demo->board->kills; i++)
		if (demo->killed[i] != worker % DAEMON_MEMBERS &&
		    tally->pause_ns[i] > totals->pause_ns)
			totals->pause_ns = tally->pause_ns[i];
}

static struct totals add_up(const struct cluster_demo *demo)
{
	struct totals totals = {0};
	uint64_t now = demo_now_ns();
	uint32_t i;

	for (i = 0; i < CLUSTER_WORKERS; i++) {
		const struct cluster_tally *tally = &demo->board->tallies[i];
		uint64_t last =
			__atomic_load_n(&tally->last_ns, __ATOMIC_RELAXED);

		totals.done += tally->acknowledged + tally->settled_applied +
			       tally->own + tally->shared;
		totals.settled += tally->settled_applied + tally->settled_not;
		if (last && now > last + DOUBT_NS)
			totals.doubt += tally->flying;
		add_pauses(demo, i, &totals);
	}
	return totals;
}

static void print_row(struct cluster_watch *watch)
{
	const struct cluster_demo *demo = watch->demo;
	uint64_t now = demo_now_ns();
	struct totals totals;
	char leader[24] = "-";
	double seconds;

	if (now < watch->row_ns)
		return;
	totals = add_up(demo);
	seconds = watch->row_ns ? (double)(now - watch->row_ns) / SECOND_NS + 1
				: 0;
	if (!watch->row_ns)
		(void)printf("  seconds  leader  term  follow  writes/s"
			     "  longest pause  in doubt  settled\n");
	if (watch->leader)
		(void)snprintf(leader, sizeof(leader), "%llu",
			       (unsigned long long)watch->leader);
	(void)printf(
		"  %7.1f  %6s  %4llu  %6u  %8.0f  %10.0f ms  %8llu"
		"  %7llu\n",
		(double)(now - demo->start_ns) / SECOND_NS, leader,
		(unsigned long long)watch->term, watch->agree,
		seconds > 0 ? (double)(totals.done - watch->row_last) / seconds
			    : 0,
		(double)totals.pause_ns / 1e6, (unsigned long long)totals.doubt,
		(unsigned long long)totals.settled);
	(void)fflush(stdout);
	watch->row_last = totals.done;
	watch->row_ns = now + SECOND_NS;
}

int cluster_watch(struct demo *demo, void *context)
{
	struct cluster_watch *watch = context;

	(void)demo;
	look_at_all(watch);
	print_row(watch);
	return kill_when_due(watch);
}

void cluster_watch_end(struct cluster_watch *watch)
{
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		conclave_close(watch->clients[i]);
		watch->clients[i] = NULL;
	}
}
