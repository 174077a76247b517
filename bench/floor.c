/*
 * The floors: what this machine does without Conclave.
 *
 * pingpong: two processes, each spinning on a word in a cache line of its
 * own, pass a number back and forth; one round trip is two line transfers
 * each way of the coherence protocol and nothing else.
 *
 * file: one durable O_DIRECT write after the other into a zero-filled file,
 * by pwritev2(RWF_DSYNC), on the file system on which the daemon logs.
 */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LINE_WORDS = 8,
	FILE_SIZE = 64 << 20,
	CHUNK = FLOOR_WRITE_MAX,
	BLOCK = FLOOR_BLOCK,
};

static void pong(uint64_t *words, uint64_t count)
{
	uint64_t i;

	for (i = 1; i <= count; i++) {
		while (__atomic_load_n(&words[0], __ATOMIC_ACQUIRE) != i)
			__builtin_ia32_pause();
		__atomic_store_n(&words[LINE_WORDS * 2], i, __ATOMIC_RELEASE);
	}
}

static void ping(uint64_t *words, uint64_t count, double *samples)
{
	uint64_t i, start;

	for (i = 1; i <= count; i++) {
		start = bench_now_ns();
		__atomic_store_n(&words[0], i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&words[LINE_WORDS * 2],
				       __ATOMIC_ACQUIRE) != i)
			__builtin_ia32_pause();
		samples[i - 1] = (double)(bench_now_ns() - start);
	}
}

int floor_pingpong(uint64_t count, double *ret_p50_ns)
{
	double *samples = malloc(count * sizeof(*samples));
	uint64_t *words = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	int code = -ENOMEM;

	if (!samples || words == MAP_FAILED)
		goto out_free;
	child = fork();
	code = child < 0 ? -errno : 0;
	if (code)
		goto out_free;
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		pong(words, count);
		_exit(0);
	}
	ping(words, count, samples);
	(void)waitpid(child, NULL, 0);
	*ret_p50_ns = bench_quantile(samples, count, 0.5);
out_free:
	if (words != MAP_FAILED)
		(void)munmap(words, BLOCK);
	free(samples);
	return code;
}

static int zero_fill(struct floor_file *file)
{
	uint64_t offset;

	for (offset = 0; offset < FILE_SIZE; offset += CHUNK)
		if (pwrite(file->fd, file->buffer, CHUNK, (off_t)offset) !=
		    CHUNK)
			return errno ? -errno : -EIO;
	return fsync(file->fd) ? -errno : 0;
}

int floor_file_open(struct floor_file **ret_file, const char *folder)
{
	struct floor_file *file = calloc(1, sizeof(*file));
	char path[BENCH_PATH_MAX];
	int code;

	if (!file)
		return -ENOMEM;
	(void)snprintf(path, sizeof(path), "%s/floor-XXXXXX", folder);
	file->buffer = aligned_alloc(BLOCK, CHUNK);
	file->fd = mkostemp(path, O_DIRECT | O_CLOEXEC);
	if (!file->buffer || file->fd < 0) {
		code = file->buffer ? -errno : -ENOMEM;
		goto out_free;
	}
	(void)unlink(path); /* else it stays behind, and harms nobody */
	memset(file->buffer, 0, CHUNK);
	code = zero_fill(file);
	if (code)
		goto out_close;
	memset(file->buffer, 0x5a, CHUNK);
	*ret_file = file;
	return 0;
out_close:
	(void)close(file->fd);
out_free:
	free(file->buffer);
	free(file);
	return code;
}

void floor_file_close(struct floor_file *file)
{
	(void)close(file->fd);
	free(file->buffer);
	free(file);
}

uint64_t floor_file_next(struct floor_file *file, uint32_t size)
{
	uint64_t offset = file->offset + size > FILE_SIZE ? 0 : file->offset;

	file->offset = offset + size;
	return offset;
}

int floor_file_write_once(struct floor_file *file, uint32_t size)
{
	struct iovec part = {.iov_base = file->buffer, .iov_len = size};
	uint64_t offset = floor_file_next(file, size);
	ssize_t done = pwritev2(file->fd, &part, 1, (off_t)offset, RWF_DSYNC);

	if (done == (ssize_t)size)
		return 0;
	return done < 0 ? -errno : -EIO;
}

int floor_file_write(struct floor_file *file, uint32_t size, uint64_t count,
		     double *ret_p50_ns)
{
	double *samples = malloc(count * sizeof(*samples));
	uint64_t i, start;
	int code = 0;

	if (!samples)
		return -ENOMEM;
	for (i = 0; i < count && !code; i++) {
		start = bench_now_ns();
		code = floor_file_write_once(file, size);
		samples[i] = (double)(bench_now_ns() - start);
	}
	if (!code)
		*ret_p50_ns = bench_quantile(samples, count, 0.5);
	free(samples);
	return code;
}

void bench_stay_on(uint32_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* else it roams */
}

void bench_roam(void)
{
	cpu_set_t set;
	uint32_t cpu;

	CPU_ZERO(&set);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}
