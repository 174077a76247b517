/*
 * bench [--quick] [--json FILE] [--folder DIR] [--daemon FILE] [NAME...]
 *
 * Measures the product against the floor of this machine, prints a table for
 * people, and writes a list of {name, value, unit, floor, ratio, samples,
 * spread} for programs.
 */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct product {
	const char *name;
	int (*run)(struct bench *bench, struct bench_figure *ret_figure);
};

static const struct product products[] = {
	{"roundtrip", bench_roundtrip},
	{"put_durable_latency", bench_put_latency},
	{"put_durable_throughput", bench_put_throughput},
	{"raft_one", bench_raft_one},
	{"raft_one_16", bench_raft_one_16},
	{"raft_one_256", bench_raft_one_256},
	{"raft_three", bench_raft_three},
	{"raft_three_16", bench_raft_three_16},
	{"raft_three_256", bench_raft_three_256},
};

enum {
	PRODUCT_COUNT = sizeof(products) / sizeof(products[0]),
};

static void print_figure(const struct bench_figure *figure)
{
	(void)printf("%-24s %12.2f %-5s %12.2f %8.2f %7.0f%% %9llu  %s\n",
		     figure->name, figure->value, figure->unit, figure->floor,
		     figure->ratio, figure->spread * 100,
		     (unsigned long long)figure->samples, figure->floor_name);
	if (figure->note[0])
		(void)printf("%-24s %s\n", "", figure->note);
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

static bool wanted(const char *name, char **names, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return true;
	return count == 0;
}

static int run_product(struct bench *bench, const struct product *product,
		       struct bench_figure *figure)
{
	int code = daemon_process_start(&bench->daemon, bench->folder);

	if (code) {
		(void)fprintf(stderr, "bench: cannot start %s in %s: %s\n",
			      bench->daemon.program, bench->folder,
			      strerror(-code));
		return code;
	}
	figure->name = product->name;
	code = product->run(bench, figure);
	daemon_process_remove(&bench->daemon);
	if (code)
		(void)fprintf(stderr, "bench: %s failed with %d\n",
			      product->name, code);
	else
		print_figure(figure);
	return code;
}

static int run_all(struct bench *bench, char **names, int name_count,
		   const char *json)
{
	struct bench_figure figures[PRODUCT_COUNT] = {0};
	uint32_t i, count = 0;
	int code = 0;

	(void)printf("%-24s %12s %-5s %12s %8s %8s %9s  %s\n", "name", "value",
		     "unit", "floor", "ratio", "spread", "samples", "floor is");
	for (i = 0; i < PRODUCT_COUNT && !code; i++) {
		if (!wanted(products[i].name, names, name_count))
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
	(void)fprintf(stderr, "bench: no measurement is called '%s'\n", name);
	return false;
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
	struct bench bench = {
		.daemon.program = "build/conclaved",
		.folder = "build",
		.scale_percent = 100,
	};
	const char *json = NULL;
	int option, i;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'q')
			bench.scale_percent = 10;
		else if (option == 'j')
			json = optarg;
		else if (option == 'f')
			bench.folder = optarg;
		else if (option == 'd')
			bench.daemon.program = optarg;
		else
			return 1;
	}
	for (i = optind; i < argc; i++)
		if (!known(argv[i]))
			return 1;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	return run_all(&bench, argv + optind, argc - optind, json) ? 1 : 0;
}
