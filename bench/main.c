/*
 * bench [--quick] [--json FILE] [--folder DIR] [--daemon FILE] [NAME...]
 *
 * Measures the product against the floor of this machine, prints a table for
 * people, and writes a list of {name, value, unit, floor, ratio, samples,
 * spread} for programs. A name is that of one measurement or of all of a kind:
 * alone, core, cluster. A bar that is missed is no failure; a daemon that does
 * not start and a value that is wrong are.
 */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum product_kind {
	ALONE = 0, /* one daemon */
	CORE, /* no daemon */
	CLUSTER, /* three daemons */
};

/* What is asked for: the ratio at most, or at least, or the value at least. */
enum bar_kind {
	NONE = 0,
	RATIO_MOST,
	RATIO_LEAST,
	VALUE_LEAST,
};

struct product {
	const char *name;
	int (*run)(struct bench *bench, struct bench_figure *ret_figure);
	enum product_kind kind;
	enum bar_kind bar_kind;
	double bar;
};

static const struct product products[] = {
	{"roundtrip", bench_roundtrip, ALONE, RATIO_MOST, 3},
	{"put_durable_latency", bench_put_latency, ALONE, RATIO_MOST, 1.3},
	{"put_durable_throughput", bench_put_throughput, ALONE, VALUE_LEAST,
	 500000},
	{"raft_one", bench_raft_one, CORE, VALUE_LEAST, 5},
	{"raft_one_16", bench_raft_one_16, CORE, NONE, 0},
	{"raft_one_256", bench_raft_one_256, CORE, NONE, 0},
	{"raft_three", bench_raft_three, CORE, NONE, 0},
	{"raft_three_16", bench_raft_three_16, CORE, NONE, 0},
	{"raft_three_256", bench_raft_three_256, CORE, NONE, 0},
	{"cluster_put_latency", bench_cluster_put_latency, CLUSTER, RATIO_MOST,
	 1.3},
	{"cluster_put_throughput", bench_cluster_put_throughput, CLUSTER,
	 VALUE_LEAST, 300000},
	{"cluster_follower_throughput", bench_cluster_follower_throughput,
	 CLUSTER, RATIO_LEAST, 0.7},
	{"cluster_read_latency", bench_cluster_read_latency, CLUSTER,
	 RATIO_MOST, 3},
	{"failover", bench_failover, CLUSTER, RATIO_MOST, 1.5},
};

static const char *const kinds[] = {
	[ALONE] = "alone",
	[CORE] = "core",
	[CLUSTER] = "cluster",
};

enum {
	PRODUCT_COUNT = sizeof(products) / sizeof(products[0]),
	KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]),
	BAR_ROOM = 32,
};

/* All that the command line asks for. */
static char **names;
static int name_count;
static const char *json;

static void print_bar(const struct product *product,
		      const struct bench_figure *figure, char *ret_text)
{
	double is = product->bar_kind == VALUE_LEAST ? figure->value
						     : figure->ratio;
	bool most = product->bar_kind == RATIO_MOST;
	bool met = most ? is <= product->bar : is >= product->bar;

	ret_text[0] = '\0';
	if (product->bar_kind != NONE)
		(void)snprintf(ret_text, BAR_ROOM, "%s %g: %s",
			       most ? "<=" : ">=", product->bar,
			       met && !figure->missed ? "met" : "missed");
}

static void print_figure(const struct product *product,
			 const struct bench_figure *figure)
{
	char bar[BAR_ROOM];

	print_bar(product, figure, bar);
	(void)printf("%-28s %12.2f %-4s %12.2f %8.2f  %-16s %6.0f%% %9llu  "
		     "%s\n",
		     figure->name, figure->value, figure->unit, figure->floor,
		     figure->ratio, bar, figure->spread * 100,
		     (unsigned long long)figure->samples, figure->floor_name);
	if (figure->note[0])
		(void)printf("%-28s %s\n", "", figure->note);
}

static int write_json(const char *path, const struct bench_figure *figures,
		      uint32_t count)
{
	FILE *file = fopen(path, "we");
	uint32_t i;

	if (!file)
		return -errno;
	(void)fputs("[\n", file);
	for (i = 0; i < count; i++)
		(void)fprintf(file,
			      "  {\"name\": \"%s\", \"value\": %.4f, "
			      "\"unit\": \"%s\", \"floor\": %.4f, "
			      "\"ratio\": %.4f, \"samples\": %llu, "
			      "\"spread\": %.4f}%s\n",
			      figures[i].name, figures[i].value,
			      figures[i].unit, figures[i].floor,
			      figures[i].ratio,
			      (unsigned long long)figures[i].samples,
			      figures[i].spread, i + 1 < count ? "," : "");
	(void)fputs("]\n", file);
	return fclose(file) ? -errno : 0;
}

static bool wanted(const struct product *product)
{
	int i;

	for (i = 0; i < name_count; i++)
		if (!strcmp(names[i], product->name) ||
		    !strcmp(names[i], kinds[product->kind]))
			return true;
	return name_count == 0;
}

static int start(struct bench *bench, const struct product *product)
{
	int code = 0;

	if (product->kind == ALONE)
		code = daemon_process_start(&bench->daemon, bench->folder);
	if (product->kind == CLUSTER)
		code = daemon_cluster_prepare(&bench->cluster, bench->folder);
	if (product->kind == CLUSTER && !code)
		code = daemon_cluster_run(&bench->cluster);
	if (code)
		(void)fprintf(stderr, "bench: cannot start %s in %s: %s\n",
			      bench->daemon.program, bench->folder,
			      strerror(-code));
	return code;
}

static void stop(struct bench *bench, const struct product *product)
{
	if (product->kind == ALONE)
		daemon_process_remove(&bench->daemon);
	if (product->kind == CLUSTER)
		daemon_cluster_remove(&bench->cluster);
}

static int run_product(struct bench *bench, const struct product *product,
		       struct bench_figure *figure)
{
	int code = start(bench, product);

	figure->name = product->name;
	if (!code)
		code = product->run(bench, figure);
	if (code) {
		(void)fprintf(stderr, "bench: %s failed with %d\n",
			      product->name, code);
		if (product->kind == CLUSTER)
			daemon_cluster_print_logs(&bench->cluster);
	} else {
		print_figure(product, figure);
	}
	stop(bench, product);
	return code;
}

static int run_all(struct bench *bench)
{
	struct bench_figure figures[PRODUCT_COUNT] = {0};
	uint32_t i, count = 0;
	int code = 0;

	(void)printf("%-28s %12s %-4s %12s %8s  %-16s %7s %9s  %s\n", "name",
		     "measured", "unit", "floor", "ratio", "bar", "spread",
		     "samples", "floor is");
	for (i = 0; i < PRODUCT_COUNT && !code; i++) {
		if (!wanted(&products[i]))
			continue;
		code = run_product(bench, &products[i], &figures[count]);
		count++;
	}
	return code || !json ? code : write_json(json, figures, count);
}

static bool known(const char *name)
{
	uint32_t i;

	for (i = 0; i < PRODUCT_COUNT; i++)
		if (!strcmp(products[i].name, name))
			return true;
	for (i = 0; i < KIND_COUNT; i++)
		if (!strcmp(kinds[i], name))
			return true;
	(void)fprintf(stderr, "bench: no measurement is called '%s'\n", name);
	return false;
}

static struct bench *make_bench(void)
{
	struct bench *bench = mmap(NULL, sizeof(*bench), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (bench == MAP_FAILED)
		return NULL;
	bench->daemon.program = "build/conclaved";
	bench->folder = "build";
	bench->scale_percent = 100;
	return bench;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'},
		{"json", required_argument, NULL, 'j'},
		{"folder", required_argument, NULL, 'f'},
		{"daemon", required_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	struct bench *bench = make_bench();
	int option, i;

	if (!bench)
		return 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q')
			bench->scale_percent = 10;
		else if (option == 'j')
			json = optarg;
		else if (option == 'f')
			bench->folder = optarg;
		else if (option == 'd')
			bench->daemon.program = optarg;
		else
			return 1;
	}
	for (i = optind; i < argc; i++)
		if (!known(argv[i]))
			return 1;
	names = argv + optind;
	name_count = argc - optind;
	bench->cluster.program = bench->daemon.program;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	return bench_guard(bench, run_all) ? 1 : 0;
}
