/*
 * conclaved: the daemon. See conclaved(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/member.h"

#ifndef BUILD_VERSION
#define BUILD_VERSION "unknown"
#endif

extern char **environ;

/*
 * Descriptors 0 to 2 are taken by somebody: else a file of the log could
 * become "stderr" and be written to.
 */
static void fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd); /* it was one too many */
}

static int say_version(void)
{
	(void)dprintf(STDOUT_FILENO, "conclaved %s (ABI %d.%d)\n",
		      BUILD_VERSION, CV_ABI_MAJOR, CV_ABI_MINOR);
	return MEMBER_STOPPED;
}

static int run(const struct config *config)
{
	static struct member member;
	static struct log log;

	log_init(&log, STDERR_FILENO, (enum log_level)config->log_level);
	int status = member_open(&member, config, &log);
	if (status == MEMBER_STOPPED)
		status = member_run(&member);
	else
		listen_close(&member.listener);
	if (status == MEMBER_STOPPED)
		member_close(&member);
	return status;
}

/*
 * The log is to be opened anew, and that is a whole start: nothing of what this
 * process has learnt from the damaged one may stay. All descriptors are closed
 * by it but the standard ones; a signal that waits is found again.
 */
static int start_again(char **arguments)
{
	(void)execve("/proc/self/exe", arguments, environ);
	(void)dprintf(STDERR_FILENO,
		      "conclaved: cannot start itself again (%s): start it\n",
		      strerror(errno));
	return MEMBER_AGAIN;
}

int main(int count, char **arguments)
{
	static struct config config;
	char error[CONFIG_ERROR_MAX];

	if (count < 1)
		return MEMBER_USAGE;
	fill_standard_descriptors();
	/* One that started itself again is called by its link's name. */
	(void)prctl(PR_SET_NAME, program_invocation_short_name); /* a nicety */
	(void)umask(027); /* returns the old one */
	if (config_read(&config, arguments, environ, error) < 0) {
		(void)dprintf(STDERR_FILENO, "conclaved: %s\n", error);
		return MEMBER_USAGE;
	}
	if (config.help) {
		config_help(STDOUT_FILENO);
		return MEMBER_STOPPED;
	}
	if (config.version)
		return say_version();
	int status = run(&config);
	return status == MEMBER_AGAIN ? start_again(arguments) : status;
}
