/*
 * A conclaved of one's own, for measurements, the demonstration and tests: a
 * fresh folder, a process, its sudden or orderly end, and the removal of
 * everything that it left.
 */
#ifndef TESTS_SUPPORT_DAEMON_H
#define TESTS_SUPPORT_DAEMON_H

#include <sys/types.h>

enum daemon_process_limits {
	DAEMON_PATH_MAX = 256,
	DAEMON_FLAGS_MAX = 16,
};

struct daemon_process {
	const char *program; /* path of conclaved */
	const char *flags[DAEMON_FLAGS_MAX]; /* more flags, NULL: no more */
	char socket[DAEMON_PATH_MAX];
	char data[DAEMON_PATH_MAX];
	char run[DAEMON_PATH_MAX]; /* the socket's folder */
	char log[DAEMON_PATH_MAX]; /* what it says; "": our own stderr */
	pid_t pid;
};

/*
 * Makes a fresh data folder in `folder` and starts the daemon; returns when
 * it answers: 0, or -errno (-ECHILD: it ended, and said why on stderr).
 */
int daemon_process_start(struct daemon_process *daemon, const char *folder)
	__attribute__((warn_unused_result));

/* Where folders for sockets are made, with a short path; lent. Else /tmp. */
void daemon_process_run_below(const char *folder);

/* Makes the folders, and nothing else. */
int daemon_process_prepare(struct daemon_process *daemon, const char *folder)
	__attribute__((warn_unused_result));

/* Starts it, again or on folders that were prepared; does not wait
 * until it answers. */
int daemon_process_again(struct daemon_process *daemon)
	__attribute__((warn_unused_result));

/* Waits until it answers; like daemon_process_start(). */
int daemon_process_wait(struct daemon_process *daemon)
	__attribute__((warn_unused_result));

/* SIGKILL, and reaps it. */
void daemon_process_kill(struct daemon_process *daemon);

/* SIGTERM; returns its exit status, or -1 when a signal ended it. */
int daemon_process_stop(struct daemon_process *daemon);

/* Stops it if need be and removes its folders. */
void daemon_process_remove(struct daemon_process *daemon);

#endif
