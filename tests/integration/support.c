/* See tests/integration/support.h. */
#include "tests/integration/support.h"

#include "tests/support/daemon.h"

#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ANSWER_MS = 20000,
	TREE_DEPTH = 16,
};

static char folder[160];
static char sockets[] = "/tmp/conclave-XXXXXX"; /* their paths are short */

const char *support_conclaved(void)
{
	const char *program = getenv("CONCLAVED");

	return program ? program : "build/conclaved";
}

const char *support_folder(void)
{
	return folder;
}

static int remove_one(const char *path, const struct stat *stat, int type,
		      struct FTW *ftw)
{
	(void)stat; /* whatever it is */
	(void)type;
	(void)ftw;
	return remove(path);
}

static void make_folder(void)
{
	const char *above = getenv("TMPDIR");

	(void)snprintf(folder, sizeof(folder), "%.128s/conclave-test-XXXXXX",
		       above ? above : "/tmp");
	/* Other users are tried, too; each folder in it has its own mode. */
	if (!mkdtemp(folder) || !mkdtemp(sockets) ||
	    chmod(sockets, 0755) != 0) {
		perror(folder);
		exit(1);
	}
	daemon_process_run_below(sockets);
}

/* Reads to the end, keeping what fits. */
static void keep_output(int fd, char *output)
{
	char rest[1024];
	size_t used = 0;
	ssize_t size;

	do {
		bool full = !output || used == SUPPORT_OUTPUT_MAX - 1;
		size = full ? read(fd, rest, sizeof(rest))
			    : read(fd, output + used,
				   SUPPORT_OUTPUT_MAX - 1 - used);
		if (size > 0 && !full)
			used += (size_t)size;
	} while (size > 0 || (size < 0 && errno == EINTR));
	if (output)
		output[used] = '\0';
}

static void become(const char *const *arguments, int output)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(output, STDOUT_FILENO);
	(void)dup2(output, STDERR_FILENO);
	(void)close(output);
	(void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	_exit(127);
}

int support_run(const char *const *arguments,
		char ret_output[SUPPORT_OUTPUT_MAX])
{
	int ends[2];
	int status;

	if (pipe(ends) < 0)
		return 127;
	pid_t child = fork();
	if (child == 0) {
		(void)close(ends[0]);
		become(arguments, ends[1]);
	}
	(void)close(ends[1]);
	keep_output(ends[0], ret_output);
	(void)close(ends[0]);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool support_has_uring(void)
{
	struct io_uring ring;
	int result = io_uring_queue_init(2, &ring, 0);

	if (result < 0)
		printf("skip: io_uring is refused here: %s\n",
		       strerror(-result));
	else
		io_uring_queue_exit(&ring);
	return result == 0;
}

struct cv_hello support_hello(void)
{
	struct cv_hello hello = {
		.magic = CV_MAGIC_HELLO,
		.abi_major = CV_ABI_MAJOR,
		.abi_minor = CV_ABI_MINOR,
		.size = CV_MESSAGE_SIZE,
		.epoch = 1,
		.settled_below = 1,
	};
	pid_t pid = getpid();

	memcpy(hello.session, &pid, sizeof(pid));
	memset(hello.secret, 7, sizeof(hello.secret));
	return hello;
}

int support_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, path,
	       strnlen(path, sizeof(address.sun_path) - 1));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int error = -errno;
	(void)close(fd);
	return error;
}

int support_greet(int socket, const void *hello, size_t size,
		  struct cv_welcome *ret_welcome)
{
	struct pollfd look = {.fd = socket, .events = POLLIN};

	if (send(socket, hello, size, MSG_NOSIGNAL) != (ssize_t)size)
		return -errno;
	if (poll(&look, 1, ANSWER_MS) != 1)
		return -ETIMEDOUT;
	ssize_t got = recv(socket, ret_welcome, sizeof(*ret_welcome), 0);
	if (got < 0)
		return -errno;
	return got == sizeof(*ret_welcome) ? 0 : -EPROTO;
}

bool support_hung_up(int socket)
{
	struct pollfd look = {.fd = socket, .events = POLLIN | POLLRDHUP};
	char byte;

	if (poll(&look, 1, ANSWER_MS) != 1)
		return false;
	return recv(socket, &byte, 1, MSG_DONTWAIT) <= 0;
}

int support_main(struct Suite *suite)
{
	SRunner *runner = srunner_create(suite);

	make_folder();
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	/* A test that fails ends where it stands, and leaves its own. */
	(void)nftw(folder, remove_one, TREE_DEPTH, FTW_DEPTH | FTW_PHYS);
	(void)nftw(sockets, remove_one, TREE_DEPTH, FTW_DEPTH | FTW_PHYS);
	return failed > 0;
}
