/*
 * conclaved: the daemon. See conclaved(8).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

int main(int count, char **arguments)
{
	static struct config config;
	char error[CONFIG_ERROR_MAX];

	if (count < 1)
		return MEMBER_USAGE;
	fill_standard_descriptors();
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
	return run(&config);
}
