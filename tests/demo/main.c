/*
 * demo [--daemon FILE] [--folder DIR]: starts a daemon in a fresh folder,
 * works with it, kills it, and proves what it promised. Ends with a table and
 * with 0 only if every check held.
 *
 * With --cluster [--seconds N] [--every N] [--rate N] the same with three
 * daemons, of which the one that leads is killed again and again.
 */
#define _GNU_SOURCE
#include "tests/demo/cluster.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shm/conclave.h"

struct figures {
	uint64_t fields;
	double load_seconds;
	double load_us[3];
	int64_t compared;
	double fight_seconds;
	double fight_us[3];
	uint64_t refused;
	int64_t counter;
	struct crash_report crash;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

static int failed(const char *what, int code)
{
	(void)fprintf(stderr, "demo: %s: %s\n", what, conclave_strerror(code));
	return code ? code : -EBADMSG;
}

static void note_quantiles(const struct demo *demo, double us[3])
{
	us[0] = demo_latency_us(demo, 0.5);
	us[1] = demo_latency_us(demo, 0.99);
	us[2] = demo_latency_us(demo, 0.999);
}

static int act_load(struct demo *demo, struct dpkg *dpkg,
		    struct figures *figures)
{
	int code = dpkg_load(demo, dpkg, &figures->load_seconds);

	if (code)
		return failed("loading failed", code);
	figures->fields = dpkg_fields(dpkg);
	note_quantiles(demo, figures->load_us);
	(void)printf("  reading it back and comparing\n");
	figures->compared = dpkg_compare(demo, dpkg);
	if (figures->compared < 0)
		return failed("what was read back differs",
			      (int)figures->compared);
	return 0;
}

static int act_fight(struct demo *demo, struct figures *figures)
{
	int code = counter_fight(demo, &figures->fight_seconds);
	uint32_t i;

	if (code)
		return failed("the counter's fight failed", code);
	note_quantiles(demo, figures->fight_us);
	for (i = 0; i < DEMO_FIGHTERS; i++)
		figures->refused += demo->tallies[i].refused;
	figures->counter = counter_value(demo);
	if (figures->counter != DEMO_INCREMENTS)
		return failed("the counter is wrong", -EBADMSG);
	return 0;
}

static bool crash_is_clean(const struct crash_report *crash)
{
	return !crash->missing && !crash->contradicted && !crash->unknown &&
	       crash->counter == crash->increments && crash->acknowledged;
}

static int act_crash(struct demo *demo, struct figures *figures)
{
	int code = crash_act(demo, &figures->crash);

	if (code)
		return failed("the second load failed", code);
	return 0;
}

static const char *verdict(bool good)
{
	return good ? "ok" : "FAIL";
}

static void print_table(const struct figures *f)
{
	const struct crash_report *c = &f->crash;

	(void)printf("\n  %-34s %12s %10s %10s %10s\n", "durable writes",
		     "per second", "p50 us", "p99 us", "p99.9 us");
	(void)printf("  %-34s %12.0f %10.0f %10.0f %10.0f\n",
		     "package database, 4 processes",
		     (double)f->fields / f->load_seconds, f->load_us[0],
		     f->load_us[1], f->load_us[2]);
	(void)printf("  %-34s %12.0f %10.0f %10.0f %10.0f\n",
		     "increments by compare-and-swap, 8",
		     DEMO_INCREMENTS / f->fight_seconds, f->fight_us[0],
		     f->fight_us[1], f->fight_us[2]);
	(void)printf("\n  checked\n");
	(void)printf("  %-4s %lld keys read back, each byte compared\n",
		     verdict(f->compared > 0), (long long)f->compared);
	(void)printf("  %-4s counter %lld after %d increments, %llu lost "
		     "races\n",
		     verdict(f->counter == DEMO_INCREMENTS),
		     (long long)f->counter, DEMO_INCREMENTS,
		     (unsigned long long)f->refused);
	(void)printf("  %-4s %llu acknowledged writes through %llu SIGKILLs, "
		     "%llu missing\n",
		     verdict(!c->missing && c->acknowledged),
		     (unsigned long long)c->acknowledged,
		     (unsigned long long)c->kills,
		     (unsigned long long)c->missing);
	(void)printf("  %-4s in doubt: %llu settled as applied, %llu as not "
		     "applied, %llu contradicted, %llu unknown\n",
		     verdict(!c->contradicted && !c->unknown),
		     (unsigned long long)c->settled_applied,
		     (unsigned long long)c->settled_not,
		     (unsigned long long)c->contradicted,
		     (unsigned long long)c->unknown);
	(void)printf("  %-4s counter went on by %llu for %llu acknowledged "
		     "increments\n",
		     verdict(c->counter == c->increments),
		     (unsigned long long)c->counter,
		     (unsigned long long)c->increments);
	(void)printf("       longest pause of a writer: %.0f ms\n",
		     c->pause_ms);
}

static int play(struct demo *demo)
{
	struct figures figures = {0};
	struct dpkg *dpkg;
	int code = dpkg_read(&dpkg);

	if (code)
		return failed("cannot read /var/lib/dpkg/status", code);
	code = act_load(demo, dpkg, &figures);
	if (!code)
		code = act_fight(demo, &figures);
	if (!code)
		code = act_crash(demo, &figures);
	dpkg_free(dpkg);
	if (code)
		return code;
	print_table(&figures);
	return crash_is_clean(&figures.crash) ? 0 : -EBADMSG;
}

static int run(struct demo *demo, const char *folder)
{
	int code;

	(void)printf("  starting %s in a fresh folder\n", demo->daemon.program);
	code = daemon_process_start(&demo->daemon, folder);
	if (code)
		return failed("the daemon does not start", code);
	code = play(demo);
	daemon_process_remove(&demo->daemon);
	if (interrupted)
		(void)fprintf(stderr, "demo: stopped by signal %d\n",
			      (int)interrupted);
	return code;
}

struct command {
	struct cluster_plan plan;
	const char *folder;
	bool cluster;
};

static bool read_number(const char *text, uint32_t max, uint32_t *ret_number)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*end || !number || number > max) {
		(void)fprintf(stderr,
			      "demo: \"%s\" is no number from 1 to %u\n", text,
			      max);
		return false;
	}
	*ret_number = (uint32_t)number;
	return true;
}

static bool take_option(int option, struct demo *demo, struct command *command)
{
	struct cluster_plan *plan = &command->plan;

	switch (option) {
	case 'd':
		demo->daemon.program = optarg;
		return true;
	case 'f':
		command->folder = optarg;
		return true;
	case 'c':
		command->cluster = true;
		return true;
	case 's':
		return read_number(optarg, CLUSTER_SECONDS_MAX, &plan->seconds);
	case 'e':
		return read_number(optarg, CLUSTER_SECONDS_MAX, &plan->every);
	case 'r':
		return read_number(optarg, CLUSTER_RATE_MAX, &plan->rate);
	default:
		return false;
	}
}

static int run_cluster(struct demo *demo, const struct command *command)
{
	int code = cluster_act(demo, &command->plan, command->folder);

	if (interrupted)
		(void)fprintf(stderr, "demo: stopped by signal %d\n",
			      (int)interrupted);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"daemon", required_argument, NULL, 'd'},
		{"folder", required_argument, NULL, 'f'},
		{"cluster", no_argument, NULL, 'c'},
		{"seconds", required_argument, NULL, 's'},
		{"every", required_argument, NULL, 'e'},
		{"rate", required_argument, NULL, 'r'},
		{NULL, 0, NULL, 0},
	};
	struct demo demo = {
		.daemon.program = "build/conclaved",
		.interrupted = &interrupted,
	};
	struct command command = {
		.plan = {.seconds = 60, .every = 6, .rate = 3000},
		.folder = "build",
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!take_option(option, &demo, &command))
			return 1;
	demo.terminal = isatty(STDOUT_FILENO);
	demo.tallies =
		mmap(NULL, DEMO_WORKERS_MAX * sizeof(*demo.tallies),
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (demo.tallies == MAP_FAILED)
		return 1;
	(void)signal(SIGINT, on_signal);
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGHUP, on_signal);
	if (command.cluster)
		return run_cluster(&demo, &command) ? 1 : 0;
	return run(&demo, command.folder) ? 1 : 0;
}
