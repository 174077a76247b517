/*
 * The act of the cluster, from three empty folders to the proof. However it
 * ends, no process and no folder is left.
 */
#define _GNU_SOURCE
#include "tests/demo/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/conclave.h"

static int share(size_t size, void *ret_pointer)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	memcpy(ret_pointer, &memory, sizeof(memory));
	return 0;
}

static int make_board(struct cluster_demo *demo)
{
	uint64_t writes = (uint64_t)demo->plan.rate * demo->plan.seconds;
	int code = share(sizeof(*demo->board), &demo->board);
	uint32_t i;

	demo->writes = writes < CLUSTER_WRITES_MAX ? (uint32_t)writes
						   : CLUSTER_WRITES_MAX;
	for (i = 0; i < DAEMON_MEMBERS && !code; i++)
		code = share(demo->writes, &demo->fates[i]);
	return code;
}

static uint64_t longest(const struct cluster_demo *demo, uint32_t failover,
			bool of_killed)
{
	uint64_t pause_ns = 0;
	uint32_t i;

	for (i = 0; i < CLUSTER_WORKERS; i++) {
		const struct cluster_tally *tally = &demo->board->tallies[i];
		bool killed = demo->killed[failover] == i % DAEMON_MEMBERS;

		if (killed == of_killed && tally->pause_ns[failover] > pause_ns)
			pause_ns = tally->pause_ns[failover];
	}
	return pause_ns;
}

static void print_failovers(const struct cluster_demo *demo)
{
	uint32_t i;

	(void)printf("\n  longest pause of a client, ms\n");
	(void)printf("  failover  killed  on other members  on the killed "
		     "one\n");
	for (i = 0; i < demo->board->kills; i++)
		(void)printf("  %8u  %6u  %16.0f  %17.0f\n", i + 1,
			     demo->killed[i] + 1,
			     (double)longest(demo, i, false) / 1e6,
			     (double)longest(demo, i, true) / 1e6);
	(void)printf("\n");
}

static int say(const char *what, int code)
{
	(void)fprintf(stderr, "demo: %s: %s\n", what, conclave_strerror(code));
	return code;
}

static int work(struct cluster_demo *demo)
{
	struct cluster_watch watch = {.demo = demo};
	struct demo_job job = {
		.title = "clients of three members",
		.work = cluster_work,
		.during = cluster_watch,
		.context = &watch,
		.count = CLUSTER_WORKERS,
		.silent = true,
	};
	double seconds;
	int code;

	demo->start_ns = demo_now_ns();
	code = demo_run(demo->demo, &job, &seconds);
	cluster_watch_end(&watch);
	if (code)
		return say("the clients failed", code);
	/* The last one that was killed may still be away. */
	code = daemon_cluster_run(&demo->daemons);
	return code ? say("a member does not come back", code) : 0;
}

static int play(struct cluster_demo *demo)
{
	int code = daemon_cluster_run(&demo->daemons);

	if (code)
		return say("the daemons do not start", code);
	code = work(demo);
	if (code)
		return code;
	print_failovers(demo);
	code = cluster_proof(demo);
	if (!code && !demo->board->kills) {
		(void)printf("  FAIL nobody was killed\n");
		code = -EBADMSG;
	}
	return code;
}

int cluster_act(struct demo *demo, const struct cluster_plan *plan,
		const char *folder)
{
	static struct cluster_demo cluster; /* 8 KiB: not for the stack */
	int code;

	cluster.demo = demo;
	cluster.plan = *plan;
	cluster.daemons.program = demo->daemon.program;
	code = make_board(&cluster);
	if (code)
		return say("no memory", code);
	(void)printf("  three members, six clients, %u writes a second asked "
		     "for, a leader killed every %u s for %u s\n",
		     DAEMON_MEMBERS * plan->rate, plan->every, plan->seconds);
	code = daemon_cluster_prepare(&cluster.daemons, folder);
	if (code)
		return say("no folders", code);
	code = play(&cluster);
	if (code && !*demo->interrupted)
		daemon_cluster_print_logs(&cluster.daemons);
	daemon_cluster_remove(&cluster.daemons);
	return code;
}
