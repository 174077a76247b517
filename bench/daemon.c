/* The daemon under test: a fresh folder, a process, and their end. */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	START_TRIES = 3000, /* of 10 ms: making the first segments takes time */
	TREE_DEPTH = 8,
};

static void pause_ms(long ms)
{
	struct timespec wait = {.tv_sec = ms / 1000,
				.tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&wait, NULL);
}

static bool answers(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.100s",
		       path);
	ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	(void)close(fd);
	return ok;
}

static void run_daemon(const struct bench *bench)
{
	char data[BENCH_PATH_MAX + 16], socket_flag[BENCH_PATH_MAX + 16];

	(void)snprintf(data, sizeof(data), "--data=%s", bench->data);
	(void)snprintf(socket_flag, sizeof(socket_flag), "--socket=%s",
		       bench->socket);
	(void)execl(bench->daemon, bench->daemon, data, socket_flag,
		    "--log-level=warn", (char *)NULL);
	_exit(127);
}

int bench_start(struct bench *bench)
{
	int i;

	(void)snprintf(bench->data, sizeof(bench->data), "%s/data-XXXXXX",
		       bench->folder);
	/* A socket's path is short, wherever the data lies. */
	(void)snprintf(bench->run, sizeof(bench->run),
		       "/tmp/conclave-bench-XXXXXX");
	if (!mkdtemp(bench->data) || !mkdtemp(bench->run))
		return -errno;
	(void)snprintf(bench->socket, sizeof(bench->socket), "%.64s/sock",
		       bench->run);
	bench->pid = fork();
	if (bench->pid < 0)
		return -errno;
	if (bench->pid == 0)
		run_daemon(bench);
	for (i = 0; i < START_TRIES; i++) {
		if (answers(bench->socket))
			return 0;
		if (waitpid(bench->pid, NULL, WNOHANG) == bench->pid)
			return -ECHILD;
		pause_ms(10);
	}
	bench_stop(bench);
	return -ETIMEDOUT;
}

static int remove_one(const char *path, const struct stat *stat, int type,
		      struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

void bench_stop(struct bench *bench)
{
	if (bench->pid > 0) {
		(void)kill(bench->pid, SIGTERM);
		(void)waitpid(bench->pid, NULL, 0);
	}
	bench->pid = 0;
	(void)nftw(bench->data, remove_one, TREE_DEPTH, FTW_DEPTH | FTW_PHYS);
	(void)nftw(bench->run, remove_one, TREE_DEPTH, FTW_DEPTH | FTW_PHYS);
}
