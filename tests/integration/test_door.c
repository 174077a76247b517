/*
 * Who comes to the door of a running daemon, and what they are told.
 */
#include "tests/integration/support.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	NOBODY = 65534,
	CROWD = 150, /* more than may wait at once, fewer than the backlog */
	ROUNDS = 40,
	EXIT_SKIPPED = 77,
};

static struct daemon_process daemon_;

static void start_daemon(const char *first, const char *second)
{
	memset(&daemon_, 0, sizeof(daemon_));
	daemon_.program = support_conclaved();
	daemon_.flags[0] = "--segment-size=4M";
	daemon_.flags[1] = first;
	daemon_.flags[2] = first ? second : NULL;
	ck_assert_int_eq(daemon_process_start(&daemon_, support_folder()), 0);
}

static void remove_daemon(void)
{
	daemon_process_remove(&daemon_);
}

/* Each test is a process of its own, and ends here, passed or not. */
static void be_tidy(void)
{
	ck_assert_int_eq(atexit(remove_daemon), 0);
}

static int open_handle(struct conclave **ret_handle)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = daemon_.socket;
	return conclave_open(ret_handle, &options);
}

/* The daemon still does its work. */
static void works(void)
{
	struct conclave *handle = NULL;

	ck_assert_int_eq(open_handle(&handle), 0);
	ck_assert_int_eq(conclave_put(handle, "alive", 5, "yes", 3, NULL), 0);
	conclave_close(handle);
}

static int32_t told(const void *hello, size_t size)
{
	struct cv_welcome welcome;

	int socket = support_connect(daemon_.socket);
	ck_assert_int_ge(socket, 0);
	ck_assert_int_eq(support_greet(socket, hello, size, &welcome), 0);
	ck_assert_uint_eq(welcome.magic, CV_MAGIC_HELLO);
	ck_assert_uint_eq(welcome.abi_major, CV_ABI_MAJOR);
	if (welcome.status != 0)
		ck_assert(support_hung_up(socket));
	(void)close(socket);
	return welcome.status;
}

START_TEST(a_good_hello_is_welcomed)
{
	struct cv_hello hello = support_hello();

	start_daemon(NULL, NULL);
	ck_assert_int_eq(told(&hello, sizeof(hello)), 0);
	works();
}
END_TEST

START_TEST(another_version_is_refused_as_such)
{
	struct cv_hello hello = support_hello();

	start_daemon(NULL, NULL);
	hello.abi_major = CV_ABI_MAJOR + 1;
	ck_assert_int_eq(told(&hello, sizeof(hello)), CONCLAVE_EVERSION);
	hello.abi_major = 0;
	ck_assert_int_eq(told(&hello, 100), CONCLAVE_EVERSION);
	works();
}
END_TEST

START_TEST(a_truncated_hello_is_refused)
{
	struct cv_hello hello = support_hello();
	uint8_t longer[2 * CV_MESSAGE_SIZE] = {0};

	start_daemon(NULL, NULL);
	for (size_t size = 1; size < sizeof(hello); size += 15)
		ck_assert_int_eq(told(&hello, size), CONCLAVE_EBADREQ);
	memcpy(longer, &hello, sizeof(hello));
	ck_assert_int_eq(told(longer, sizeof(longer)), CONCLAVE_EBADREQ);
	hello.magic ^= 1;
	ck_assert_int_eq(told(&hello, sizeof(hello)), CONCLAVE_EBADREQ);
	works();
}
END_TEST

/* Geometry that cannot be is refused; nothing of it is believed. */
START_TEST(an_impossible_geometry_is_refused)
{
	start_daemon(NULL, NULL);
	for (int i = 0; i < 5; i++) {
		struct cv_hello hello = support_hello();
		uint32_t *const fields[] = {
			&hello.slots, &hello.proposal_size, &hello.control_size,
			&hello.reply_size, &hello.request_max};
		*fields[i] = UINT32_MAX;
		int32_t status = told(&hello, sizeof(hello));
		ck_assert_msg(status == CONCLAVE_EBADREQ ||
				      status == CONCLAVE_ETOOLARGE,
			      "field %d: %d", i, status);
	}
	works();
}
END_TEST

START_TEST(junk_after_the_welcome_ends_the_connection)
{
	struct cv_hello hello = support_hello();
	struct cv_welcome welcome;

	start_daemon(NULL, NULL);
	int socket = support_connect(daemon_.socket);
	ck_assert_int_ge(socket, 0);
	ck_assert_int_eq(support_greet(socket, &hello, sizeof(hello), &welcome),
			 0);
	ck_assert_int_eq(welcome.status, 0);
	ck_assert_int_eq(send(socket, "junk", 4, MSG_NOSIGNAL), 4);
	ck_assert(support_hung_up(socket));
	(void)close(socket);
	works();
}
END_TEST

START_TEST(a_silent_caller_is_let_go)
{
	start_daemon(NULL, NULL);
	int socket = support_connect(daemon_.socket);
	ck_assert_int_ge(socket, 0);
	ck_assert(support_hung_up(socket));
	(void)close(socket);
	works();
}
END_TEST

/* A crowd that never says hello keeps nobody out for longer than that. */
START_TEST(a_silent_crowd_does_not_stop_the_daemon)
{
	int sockets[CROWD];

	start_daemon(NULL, NULL);
	for (int i = 0; i < CROWD; i++) {
		sockets[i] = support_connect(daemon_.socket);
		ck_assert_int_ge(sockets[i], 0);
	}
	for (int i = 0; i < CROWD; i++) {
		ck_assert(support_hung_up(sockets[i]) ||
			  support_hung_up(sockets[i]));
		(void)close(sockets[i]);
	}
	works();
}
END_TEST

START_TEST(one_handle_too_many_is_refused)
{
	struct conclave *handles[3] = {NULL};

	start_daemon("--handles-max=2", NULL);
	ck_assert_int_eq(open_handle(&handles[0]), 0);
	ck_assert_int_eq(open_handle(&handles[1]), 0);
	ck_assert_int_eq(open_handle(&handles[2]), CONCLAVE_ETOOMANY);
	conclave_close(handles[0]);
	/* The place is free when the daemon has read the goodbye. */
	int code = CONCLAVE_ETOOMANY;
	for (int i = 0; i < 1000 && code == CONCLAVE_ETOOMANY; i++)
		code = open_handle(&handles[2]);
	ck_assert_int_eq(code, 0);
	conclave_close(handles[1]);
	conclave_close(handles[2]);
}
END_TEST

/* What the daemon has open, but for files: those are the log's. */
static uint32_t count_descriptors(void)
{
	char path[64];
	uint32_t count = 0;
	const struct dirent *entry;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)daemon_.pid);
	DIR *folder = opendir(path);
	ck_assert_ptr_nonnull(folder);
	while ((entry = readdir(folder))) {
		char target[256] = "";
		ssize_t size = readlinkat(dirfd(folder), entry->d_name, target,
					  sizeof(target) - 1);
		count += size > 0 && target[0] != '/';
		count += strncmp(target, "/memfd:", 7) == 0;
	}
	(void)closedir(folder);
	return count;
}

/* Descriptors while one handle is open, and has been for a while. */
static uint32_t count_with_one(void)
{
	struct conclave *handle = NULL;

	ck_assert_int_eq(open_handle(&handle), 0);
	ck_assert_int_eq(conclave_put(handle, "k", 1, "v", 1, NULL), 0);
	uint32_t count = count_descriptors();
	conclave_close(handle);
	return count;
}

/* Opens a handle and waits to be killed; a byte says that it is open. */
static void live(int said)
{
	struct conclave *handle = NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (open_handle(&handle) < 0 ||
	    conclave_put(handle, "k", 1, "v", 1, NULL) < 0)
		_exit(1);
	if (write(said, "!", 1) != 1)
		_exit(2);
	for (;;)
		(void)pause();
}

static void live_and_die(void)
{
	int ends[2];
	char byte;

	ck_assert_int_eq(pipe(ends), 0);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		live(ends[1]);
	(void)close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	(void)close(ends[0]);
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(clients_that_die_leave_nothing_behind)
{
	start_daemon("--handles-max=1", NULL);
	live_and_die();
	uint32_t before = count_with_one();
	/* One place: each needs the one before to be gone. */
	for (int i = 0; i < ROUNDS; i++)
		live_and_die();
	ck_assert_uint_eq(count_with_one(), before);
}
END_TEST

/* As another user; its exit status is what it was told. */
static void call_as_nobody(void)
{
	struct cv_hello hello = support_hello();
	struct cv_welcome welcome;

	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		_exit(EXIT_SKIPPED);
	int socket = support_connect(daemon_.socket);
	if (socket < 0)
		_exit(1);
	if (support_greet(socket, &hello, sizeof(hello), &welcome) < 0)
		_exit(2);
	if (welcome.status == CONCLAVE_EPERM && support_hung_up(socket))
		_exit(3);
	_exit(welcome.status == 0 ? 0 : 4);
}

static int exit_of_nobody(void)
{
	int status;

	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		call_as_nobody();
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The path itself is opened, so that only the daemon's word is left. */
static void open_the_path(void)
{
	ck_assert_int_eq(chmod(daemon_.run, 0755), 0);
	ck_assert_int_eq(chmod(daemon_.socket, 0666), 0);
}

START_TEST(another_user_is_refused)
{
	if (geteuid() != 0)
		return;
	start_daemon(NULL, NULL);
	ck_assert_int_eq(exit_of_nobody(), 1); /* by the path's modes */
	open_the_path();
	ck_assert_int_eq(exit_of_nobody(), 3);
	works();
}
END_TEST

START_TEST(another_user_that_is_allowed_comes_in)
{
	if (geteuid() != 0)
		return;
	start_daemon("--allow=0,65534", NULL);
	open_the_path();
	ck_assert_int_eq(exit_of_nobody(), 0);
	works();
}
END_TEST

START_TEST(another_group_that_is_allowed_comes_in)
{
	if (geteuid() != 0)
		return;
	start_daemon("--allow=0,gid:65534", NULL);
	open_the_path();
	ck_assert_int_eq(exit_of_nobody(), 0);
	works();
}
END_TEST

/* The same on the engine for hosts that forbid io_uring. */
START_TEST(the_plain_engine_keeps_the_same_door)
{
	struct cv_hello hello = support_hello();

	start_daemon("--engine=plain", "--handles-max=1");
	ck_assert_int_eq(told(&hello, 7), CONCLAVE_EBADREQ);
	hello.abi_major++;
	ck_assert_int_eq(told(&hello, sizeof(hello)), CONCLAVE_EVERSION);
	for (int i = 0; i < ROUNDS; i++)
		live_and_die();
	works();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("door");
	TCase *tests = tcase_create("door");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, be_tidy, NULL);
	tcase_add_test(tests, a_good_hello_is_welcomed);
	tcase_add_test(tests, another_version_is_refused_as_such);
	tcase_add_test(tests, a_truncated_hello_is_refused);
	tcase_add_test(tests, an_impossible_geometry_is_refused);
	tcase_add_test(tests, junk_after_the_welcome_ends_the_connection);
	tcase_add_test(tests, a_silent_caller_is_let_go);
	tcase_add_test(tests, a_silent_crowd_does_not_stop_the_daemon);
	tcase_add_test(tests, one_handle_too_many_is_refused);
	tcase_add_test(tests, clients_that_die_leave_nothing_behind);
	tcase_add_test(tests, another_user_is_refused);
	tcase_add_test(tests, another_user_that_is_allowed_comes_in);
	tcase_add_test(tests, another_group_that_is_allowed_comes_in);
	tcase_add_test(tests, the_plain_engine_keeps_the_same_door);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
