/* Sees that nothing is left of a measurement; see bench_guard(). */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void remove_folders(struct daemon_process *daemon)
{
	daemon->pid = 0; /* it was reaped */
	if (daemon->data[0])
		daemon_process_remove(daemon);
}

/* The worker has ended, and with it, since they die with their parent, all
 * that it started: orphans are given to us. */
static void clean_up(struct bench *bench)
{
	uint32_t i;

	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	remove_folders(&bench->daemon);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		remove_folders(&bench->cluster.members[i]);
}

static int outcome(int status)
{
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	(void)fprintf(stderr, "bench: ended by signal %d\n", WTERMSIG(status));
	return -EINTR;
}

int bench_guard(struct bench *bench, int (*work)(struct bench *bench))
{
	sigset_t set, before;
	int signal, status = 0;
	pid_t worker, ended = 0;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	worker = fork();
	if (worker < 0)
		return -errno;
	if (worker == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)sigprocmask(SIG_SETMASK, &before, NULL);
		_exit(work(bench) ? 1 : 0);
	}
	while (ended != worker) {
		if (sigwait(&set, &signal))
			continue;
		if (signal != SIGCHLD)
			(void)kill(worker, SIGKILL);
		ended = waitpid(worker, &status, WNOHANG);
	}
	clean_up(bench);
	return outcome(status);
}
