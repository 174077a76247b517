/*
 * A call that is a bug of the caller ends the process: tried in one of its
 * own, so that it works without Check's forks too.
 */
#ifndef TESTS_UNIT_SUPPORT_RAFT_DEATH_H
#define TESTS_UNIT_SUPPORT_RAFT_DEATH_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What an assertion prints, and a core dump, are of no interest. */
static inline void death_keep_quiet(void)
{
	const struct rlimit none = {0, 0};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0)
		(void)dup2(null, STDERR_FILENO);
	(void)setrlimit(RLIMIT_CORE, &none);
}

/* How a process ends that does `act` and nothing else. */
static inline int death_status(void (*act)(void))
{
	int status = 0;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		death_keep_quiet();
		act();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status;
}

/* An assertion fails in it. */
#define ck_assert_dies(act) \
	ck_assert_msg(death_status(act) == SIGABRT, "it lives: %s", #act)
#define ck_assert_lives(act) \
	ck_assert_msg(death_status(act) == 0, "it dies: %s", #act)

#endif
