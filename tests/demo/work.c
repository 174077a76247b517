/* Workers as processes, their tallies, and what is shown of them. */
#define _GNU_SOURCE
#include "tests/demo/demo.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	BUCKETS_SHIFT = 5, /* 32 buckets to a power of two */
	STEP_NS = 100000000,
	BAR_WIDTH = 30,
};

uint64_t demo_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t bucket_of(uint64_t ns)
{
	uint32_t power, bucket;

	if (ns < 1u << BUCKETS_SHIFT)
		return (uint32_t)ns;
	power = 63 - (uint32_t)__builtin_clzll(ns);
	bucket = ((power - BUCKETS_SHIFT) << BUCKETS_SHIFT) +
		 (uint32_t)(ns >> (power - BUCKETS_SHIFT));
	return bucket < DEMO_BUCKETS ? bucket : DEMO_BUCKETS - 1;
}

static double bucket_ns(uint32_t bucket)
{
	uint32_t power = bucket >> BUCKETS_SHIFT;
	uint32_t low = bucket & ((1u << BUCKETS_SHIFT) - 1);

	if (!power)
		return low;
	return (double)((uint64_t)(low + (1u << BUCKETS_SHIFT)) << (power - 1));
}

void demo_note_latency(struct demo_tally *tally, uint64_t ns)
{
	tally->latency[bucket_of(ns)]++;
}

double demo_latency_us(const struct demo *demo, double q)
{
	static uint64_t sum[DEMO_BUCKETS];
	uint64_t total = 0, seen = 0;
	uint32_t i, k;

	memset(sum, 0, sizeof(sum));
	for (i = 0; i < DEMO_WORKERS_MAX; i++)
		for (k = 0; k < DEMO_BUCKETS; k++) {
			sum[k] += demo->tallies[i].latency[k];
			total += demo->tallies[i].latency[k];
		}
	for (k = 0; k < DEMO_BUCKETS - 1; k++) {
		seen += sum[k];
		if ((double)seen >= q * (double)total)
			break;
	}
	return bucket_ns(k) / 1000;
}

uint64_t demo_done(const struct demo *demo)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < DEMO_WORKERS_MAX; i++)
		sum += __atomic_load_n(&demo->tallies[i].done,
				       __ATOMIC_RELAXED);
	return sum;
}

int demo_open(const struct demo *demo, struct conclave **ret_client)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = demo->daemon.socket;
	options.name = "demo";
	options.request_max = 256 << 10;
	options.proposal_size = 2 << 20;
	options.reply_size = 2 << 20;
	options.timeout_ms = 60000;
	options.open_wait_ms = 10000;
	return conclave_open(ret_client, &options);
}

static void show(const struct demo *demo, const struct demo_job *job,
		 uint64_t start)
{
	uint64_t done = demo_done(demo);
	double seconds = (double)(demo_now_ns() - start) / 1e9;
	uint32_t filled = (uint32_t)(done * BAR_WIDTH / (job->goal + 1));
	char bar[BAR_WIDTH + 1];

	if (!demo->terminal || job->silent)
		return;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', filled < BAR_WIDTH ? filled : BAR_WIDTH);
	bar[BAR_WIDTH] = 0;
	(void)printf("\r  %-34s [%s] %8llu  %5.1f s ", job->title, bar,
		     (unsigned long long)done, seconds);
	(void)fflush(stdout);
}

static void work_in_child(struct demo *demo, const struct demo_job *job,
			  uint32_t worker)
{
	int code;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGINT, SIG_DFL);
	code = job->work(demo, worker, job->context);
	demo->tallies[worker].error = code;
	_exit(code ? 1 : 0);
}

static int first_error(const struct demo *demo, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++)
		if (demo->tallies[i].error)
			return demo->tallies[i].error;
	return 0;
}

/* Waits for children to end, at most one step. False: none is left. */
static bool reap(uint32_t *left, const pid_t *pids, int *ret_code)
{
	struct timespec step = {.tv_nsec = STEP_NS};
	int status;
	uint32_t i;

	for (i = 0; i < DEMO_WORKERS_MAX; i++)
		if (pids[i] > 0 &&
		    waitpid(pids[i], &status, WNOHANG) == pids[i]) {
			(*left)--;
			if (!WIFEXITED(status) && !*ret_code)
				*ret_code = -ECHILD;
		}
	if (*left)
		(void)nanosleep(&step, NULL);
	return *left != 0;
}

static void end_all(const pid_t *pids)
{
	uint32_t i;

	for (i = 0; i < DEMO_WORKERS_MAX; i++)
		if (pids[i] > 0)
			(void)kill(pids[i], SIGKILL);
}

int demo_run(struct demo *demo, const struct demo_job *job, double *ret_seconds)
{
	pid_t pids[DEMO_WORKERS_MAX] = {0};
	uint64_t start = demo_now_ns();
	uint32_t i, left = 0;
	int code = 0;

	memset(demo->tallies, 0, DEMO_WORKERS_MAX * sizeof(*demo->tallies));
	(void)fflush(stdout);
	for (i = 0; i < job->count && !code; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			work_in_child(demo, job, i);
		code = pids[i] < 0 ? -errno : 0;
		left += pids[i] > 0;
	}
	while (reap(&left, pids, &code)) {
		show(demo, job, start);
		if (*demo->interrupted && !code)
			code = -EINTR;
		if (!code)
			code = first_error(demo, job->count);
		if (code)
			end_all(pids);
		if (job->during && !code)
			code = job->during(demo, job->context);
	}
	*ret_seconds = (double)(demo_now_ns() - start) / 1e9;
	show(demo, job, start);
	if (demo->terminal && !job->silent)
		(void)printf("\n");
	else if (!job->silent)
		(void)printf("  %s: %llu in %.1f s\n", job->title,
			     (unsigned long long)demo_done(demo), *ret_seconds);
	return code ? code : first_error(demo, job->count);
}
