/*
 * Runs conclavectl, whole: each run of it is a child of the test, its daemon
 * is the miniature one.
 */
#ifndef TESTS_UNIT_SUPPORT_CTL_H
#define TESTS_UNIT_SUPPORT_CTL_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support_peer.h"

/* Its files are static parts of this program, main() under another name. */
#define main ctl_main
int ctl_main(int count, char **words);
#include "shm/conclavectl.c" /* NOLINT(bugprone-suspicious-include) */
#include "shm/conclavectl_endpoint.c" /* NOLINT(bugprone-suspicious-include) */
#include "shm/conclavectl_member.c" /* NOLINT(bugprone-suspicious-include) */
#include "shm/conclavectl_options.c" /* NOLINT(bugprone-suspicious-include) */
#include "shm/conclavectl_print.c" /* NOLINT(bugprone-suspicious-include) */
#include "shm/conclavectl_read.c" /* NOLINT(bugprone-suspicious-include) */
#include "shm/conclavectl_snapshot.c" /* NOLINT(bugprone-suspicious-include) */
#include "shm/conclavectl_write.c" /* NOLINT(bugprone-suspicious-include) */
#undef main

enum {
	OUTPUT = 64 << 10,
	WORDS = 12,
};

static struct peer *peer;
static char out[OUTPUT], err[OUTPUT]; /* of the last run */

static inline void setup(void)
{
	peer = peer_new(NULL);
	peer_start(peer);
	setenv("CONCLAVE_SOCKET", peer_path(peer), 1);
}

static inline void teardown(void)
{
	peer_free(peer);
}

static inline void be_ctl(int in_fd, int out_fd, int err_fd, const char *line)
{
	static char copy[1024];
	char *words[WORDS], *word, *rest;
	int count = 0;

	dup2(in_fd, 0);
	dup2(out_fd, 1);
	dup2(err_fd, 2);
	snprintf(copy, sizeof(copy), "conclavectl %s", line);
	for (word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		words[count++] = strcmp(word, "''") == 0 ? word + 2 : word;
	/* Without the parent's exit handlers; it flushes by itself. */
	_exit(ctl_main(count, words));
}

static inline void slurp(int fd, char *text)
{
	ssize_t size;

	lseek(fd, 0, SEEK_SET);
	size = read(fd, text, OUTPUT - 1);
	ck_assert_int_ge(size, 0);
	text[size] = 0;
	close(fd);
}

static inline int temporary(const char *text)
{
	FILE *file = tmpfile();
	int fd;

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fflush(file);
	fd = dup(fileno(file));
	fclose(file);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Runs a line with a standard input; gives the exit status. */
static inline int ctl_with(const char *line, const char *input)
{
	int in_fd = temporary(input), out_fd = temporary("");
	int err_fd = temporary(""), status;
	pid_t child;

	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		be_ctl(in_fd, out_fd, err_fd, line);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	close(in_fd);
	slurp(out_fd, out);
	slurp(err_fd, err);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline int ctl(const char *line)
{
	return ctl_with(line, "");
}

static inline void expect(const char *line, const char *output)
{
	ck_assert_int_eq(ctl(line), CTL_OK);
	ck_assert_str_eq(out, output);
	ck_assert_str_eq(err, "");
}

#define HEADER                                                              \
	"{\"header\":{\"cluster_id\":\"00000000000000000000000000000000\"," \
	"\"member_id\":0,\"revision\":%s,\"raft_term\":0}"

static inline void expect_json(const char *line, const char *revision,
			       const char *rest)
{
	char wanted[1024];
	int size = snprintf(wanted, sizeof(wanted), HEADER, revision);

	snprintf(wanted + size, sizeof(wanted) - (size_t)size, "%s\n", rest);
	ck_assert_int_eq(ctl(line), CTL_OK);
	ck_assert_str_eq(out, wanted);
}

static inline void refuse(const char *line, const char *part)
{
	ck_assert_int_eq(ctl(line), CTL_USAGE);
	if (strstr(err, part) == NULL)
		ck_abort_msg("'%s' gives '%s'", line, err);
	ck_assert_str_eq(out, "");
}

#endif
