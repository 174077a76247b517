/* See tests/support/daemon.h. */
#define _GNU_SOURCE
#include "tests/support/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	START_TRIES = 12000, /* of 5 ms: the first segments take their time */
	TREE_DEPTH = 8,
};

static const char *run_below = "/tmp";

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

static void say_into(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		_exit(126);
	(void)dup2(fd, STDERR_FILENO);
}

/* The child: it dies with its parent, so that nothing is left behind. */
static void run(const struct daemon_process *daemon)
{
	char data[DAEMON_PATH_MAX + 16], path[DAEMON_PATH_MAX + 16];
	const char *args[DAEMON_FLAGS_MAX + 8];
	int i, count = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (daemon->log[0])
		say_into(daemon->log);
	(void)snprintf(data, sizeof(data), "--data=%s", daemon->data);
	(void)snprintf(path, sizeof(path), "--socket=%s", daemon->socket);
	args[count++] = daemon->program;
	args[count++] = data;
	args[count++] = path;
	args[count++] = "--log-level=warn";
	for (i = 0; i < DAEMON_FLAGS_MAX && daemon->flags[i]; i++)
		args[count++] = daemon->flags[i];
	args[count] = NULL;
	(void)execv(daemon->program, (char *const *)(void *)args);
	_exit(127);
}

int daemon_process_again(struct daemon_process *daemon)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run(daemon);
	/* By the parent alone: `daemon` may be shared memory. */
	daemon->pid = pid;
	return 0;
}

int daemon_process_wait(struct daemon_process *daemon)
{
	int i;

	for (i = 0; i < START_TRIES; i++) {
		if (answers(daemon->socket))
			return 0;
		if (waitpid(daemon->pid, NULL, WNOHANG) == daemon->pid) {
			daemon->pid = 0;
			return -ECHILD;
		}
		pause_ms(5);
	}
	return -ETIMEDOUT;
}

void daemon_process_run_below(const char *folder)
{
	run_below = folder;
}

int daemon_process_prepare(struct daemon_process *daemon, const char *folder)
{
	daemon->pid = 0;
	(void)snprintf(daemon->data, sizeof(daemon->data), "%.200s/data-XXXXXX",
		       folder);
	/* A socket's path is short, wherever the data lies. */
	(void)snprintf(daemon->run, sizeof(daemon->run),
		       "%.64s/conclave-run-XXXXXX", run_below);
	if (!mkdtemp(daemon->data))
		return -errno;
	if (!mkdtemp(daemon->run)) {
		int code = -errno;

		(void)rmdir(daemon->data);
		return code;
	}
	(void)snprintf(daemon->socket, sizeof(daemon->socket), "%.64s/sock",
		       daemon->run);
	return 0;
}

int daemon_process_start(struct daemon_process *daemon, const char *folder)
{
	int code = daemon_process_prepare(daemon, folder);

	if (code)
		return code;
	code = daemon_process_again(daemon);
	if (!code)
		code = daemon_process_wait(daemon);
	if (code)
		daemon_process_remove(daemon);
	return code;
}

void daemon_process_kill(struct daemon_process *daemon)
{
	if (daemon->pid <= 0)
		return;
	(void)kill(daemon->pid, SIGKILL);
	(void)waitpid(daemon->pid, NULL, 0);
	daemon->pid = 0;
}

int daemon_process_stop(struct daemon_process *daemon)
{
	int status = -1;

	if (daemon->pid <= 0)
		return 0;
	(void)kill(daemon->pid, SIGTERM);
	(void)waitpid(daemon->pid, &status, 0);
	daemon->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int remove_one(const char *path, const struct stat *stat, int type,
		      struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

void daemon_process_remove(struct daemon_process *daemon)
{
	(void)daemon_process_stop(daemon);
	(void)nftw(daemon->data, remove_one, TREE_DEPTH, FTW_DEPTH | FTW_PHYS);
	(void)nftw(daemon->run, remove_one, TREE_DEPTH, FTW_DEPTH | FTW_PHYS);
}
