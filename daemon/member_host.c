/*
 * What a member asks of its host before anything else: open files, signals as
 * a descriptor, and numbers that nobody else has.
 */
#include "daemon/member.h"

#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "wal/disk.h"

enum {
	DESCRIPTORS_OTHER = 64,
	DESCRIPTORS_OF_CLIENT = 5,
};

int member_random(struct member *member, uint64_t *ret_value)
{
	uint64_t value = 0;

	while (value == 0) {
		ssize_t size = getrandom(&value, sizeof(value), 0);
		if (size != sizeof(value))
			return member_fail(member, "no random numbers", -errno,
					   "allow the system call getrandom");
	}
	*ret_value = value;
	return MEMBER_STOPPED;
}

/* As many open files as there may be; fewer clients than asked for is said. */
void member_raise_limits(struct member *member)
{
	uint64_t wanted = DISK_FILES_MAX + DESCRIPTORS_OTHER +
			  member->config->handles_max * DESCRIPTORS_OF_CLIENT;
	if (config_has_peers(member->config))
		wanted += PEERS_STREAMS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted)
		return;
	log_begin(member->log, LOG_WARN, "few open files");
	log_number(member->log, "limit", limit.rlim_cur);
	log_number(member->log, "wanted", wanted);
	log_text(member->log, "next",
		 "raise the limit of open files, or lower --handles-max");
	log_end(member->log);
}

/* Until here SIGTERM simply ends the process: there is nothing to answer. */
int member_catch_signals(struct member *member)
{
	sigset_t set;

	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return member_fail(member, "cannot ignore SIGPIPE", -errno,
				   "allow the system call rt_sigaction");
	(void)sigemptyset(&set); /* these four cannot fail */
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return member_fail(member, "cannot block signals", -errno,
				   "allow the system call rt_sigprocmask");
	member->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (member->signals < 0)
		return member_fail(member, "no descriptor for signals", -errno,
				   "allow the system call signalfd4");
	int watch =
		engine_watch(member->engine, member->signals, ENGINE_SIGNAL, 0);
	if (watch < 0)
		return member_fail(member, "signals cannot be watched", watch,
				   "try --engine=plain");
	return MEMBER_STOPPED;
}
