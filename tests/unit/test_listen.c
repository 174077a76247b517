/*
 * The door: paths, stale sockets, who is there, and what a first message is
 * told.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/listen.h"

static char folder[32];
static struct config config;
static struct listener listener;
static const char *what;

static void make_place(void)
{
	memset(&config, 0, sizeof(config));
	(void)snprintf(folder, sizeof(folder), "/tmp/conclave-listen-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(config.socket, sizeof(config.socket), "%s/run/it.sock",
		       folder);
	config.allow[0].id = geteuid();
	config.allow_count = 1;
	listener.fd = -1;
}

static void remove_place(void)
{
	char path[CONFIG_PATH_MAX];

	(void)unlink(config.socket);
	(void)snprintf(path, sizeof(path), "%s/run", folder);
	(void)rmdir(path);
	(void)rmdir(folder);
}

static struct cv_hello good_hello(void)
{
	return (struct cv_hello){
		.magic = CV_MAGIC_HELLO,
		.abi_major = CV_ABI_MAJOR,
		.abi_minor = CV_ABI_MINOR,
		.size = CV_MESSAGE_SIZE,
	};
}

static int connect_there(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, config.socket, sizeof(address.sun_path));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -errno;
}

START_TEST(a_good_hello_passes_unchanged)
{
	struct cv_hello hello = good_hello();
	struct cv_hello copy;

	hello.slots = 99;
	ck_assert_int_eq(listen_hello(&hello, sizeof(hello), &copy), 0);
	ck_assert_mem_eq(&hello, &copy, sizeof(hello));
}
END_TEST

START_TEST(a_hello_cut_anywhere_is_refused)
{
	struct cv_hello hello = good_hello();
	struct cv_hello copy;

	for (size_t size = 0; size < sizeof(hello); size++)
		ck_assert_int_eq(listen_hello(&hello, size, &copy),
				 CONCLAVE_EBADREQ);
	ck_assert_int_eq(listen_hello(&hello, sizeof(hello) + 1, &copy),
			 CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(another_version_is_told_so_whatever_its_size)
{
	struct cv_hello hello = good_hello();
	struct cv_hello copy;

	hello.abi_major = CV_ABI_MAJOR + 1;
	ck_assert_int_eq(listen_hello(&hello, sizeof(hello), &copy),
			 CONCLAVE_EVERSION);
	ck_assert_int_eq(listen_hello(&hello, 64, &copy), CONCLAVE_EVERSION);
	ck_assert_int_eq(listen_hello(&hello, 4096, &copy), CONCLAVE_EVERSION);
}
END_TEST

START_TEST(a_hello_of_another_kind_is_refused)
{
	struct cv_hello hello = good_hello();
	struct cv_hello copy;

	hello.magic++;
	ck_assert_int_eq(listen_hello(&hello, sizeof(hello), &copy),
			 CONCLAVE_EBADREQ);
	hello = good_hello();
	hello.size--;
	ck_assert_int_eq(listen_hello(&hello, sizeof(hello), &copy),
			 CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(the_socket_has_the_modes_it_should)
{
	struct stat facts;
	char path[CONFIG_PATH_MAX];

	ck_assert_int_eq(listen_open(&listener, &config, &what), 0);
	ck_assert_int_eq(stat(config.socket, &facts), 0);
	ck_assert_int_eq(facts.st_mode & 07777, 0660);
	(void)snprintf(path, sizeof(path), "%s/run", folder);
	ck_assert_int_eq(stat(path, &facts), 0);
	ck_assert_int_eq(facts.st_mode & 07777 & ~0750, 0);
	listen_close(&listener);
	ck_assert_int_eq(stat(config.socket, &facts), -1);
}
END_TEST

START_TEST(a_socket_left_behind_is_replaced)
{
	ck_assert_int_eq(listen_open(&listener, &config, &what), 0);
	(void)close(listener.fd); /* as a death would */
	ck_assert_int_eq(connect_there(), -ECONNREFUSED);
	ck_assert_int_eq(listen_open(&listener, &config, &what), 0);
	int client = connect_there();
	ck_assert_int_ge(client, 0);
	(void)close(client);
	listen_close(&listener);
}
END_TEST

START_TEST(a_file_in_the_way_is_not_removed)
{
	ck_assert_int_eq(listen_open(&listener, &config, &what), 0);
	listen_close(&listener);
	int fd = open(config.socket, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_assert_int_eq(listen_open(&listener, &config, &what),
			 LISTEN_ENOTSOCKET);
	ck_assert_int_eq(access(config.socket, F_OK), 0);
}
END_TEST

/* One that refuses what is no hello, as a daemon does. */
static void answer_one(int fd)
{
	struct cv_welcome welcome = {.status = CONCLAVE_EBADREQ};
	struct pollfd look = {.fd = fd, .events = POLLIN};
	char bytes[CV_MESSAGE_SIZE];

	if (poll(&look, 1, 20000) != 1)
		_exit(1);
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (client < 0 || recv(client, bytes, sizeof(bytes), 0) <= 0 ||
	    send(client, &welcome, sizeof(welcome), MSG_NOSIGNAL) < 0)
		_exit(2);
	_exit(0);
}

START_TEST(a_socket_that_answers_is_left_alone)
{
	int status;

	ck_assert_int_eq(listen_open(&listener, &config, &what), 0);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		answer_one(listener.fd);
	ck_assert_int_eq(listen_open(&listener, &config, &what),
			 LISTEN_EANSWERED);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(access(config.socket, F_OK), 0);
}
END_TEST

START_TEST(a_socket_that_is_silent_is_left_alone)
{
	struct listener other;

	ck_assert_int_eq(listen_open(&listener, &config, &what), 0);
	ck_assert_int_eq(listen_open(&other, &config, &what), LISTEN_ESILENT);
	int client = connect_there();
	ck_assert_int_ge(client, 0);
	(void)close(client);
	listen_close(&listener);
}
END_TEST

START_TEST(closing_removes_no_other_ones_socket)
{
	struct listener other;

	ck_assert_int_eq(listen_open(&listener, &config, &what), 0);
	ck_assert_int_eq(unlink(config.socket), 0);
	ck_assert_int_eq(listen_open(&other, &config, &what), 0);
	listen_close(&listener);
	ck_assert_int_eq(access(config.socket, F_OK), 0);
	listen_close(&other);
	ck_assert_int_eq(access(config.socket, F_OK), -1);
}
END_TEST

START_TEST(who_is_there_is_the_kernels_word)
{
	struct listen_peer peer;
	int pair[2];

	listener.config = &config;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	ck_assert_int_eq(listen_identify(&listener, pair[0], &peer), 0);
	ck_assert_uint_eq(peer.uid, geteuid());
	ck_assert_uint_eq(peer.gid, getegid());
	ck_assert_uint_eq(peer.pid, (uint32_t)getpid());
	ck_assert(peer.allowed);
	config.allow[0].id = geteuid() + 1;
	ck_assert_int_eq(listen_identify(&listener, pair[0], &peer), 0);
	ck_assert(!peer.allowed);
	config.allow[0] = (struct config_allow){true, getegid()};
	ck_assert_int_eq(listen_identify(&listener, pair[0], &peer), 0);
	ck_assert(peer.allowed);
	config.allow[0].id = getegid() + 4711;
	ck_assert_int_eq(listen_identify(&listener, pair[0], &peer), 0);
	ck_assert(!peer.allowed);
	(void)close(pair[0]);
	(void)close(pair[1]);
}
END_TEST

START_TEST(folders_are_made_with_what_is_above)
{
	char path[CONFIG_PATH_MAX];
	struct stat facts;

	(void)snprintf(path, sizeof(path), "%s/run/a//b", folder);
	ck_assert_int_eq(listen_make_folder(path, 0750), 0);
	ck_assert_int_eq(listen_make_folder(path, 0750), 0);
	ck_assert_int_eq(stat(path, &facts), 0);
	ck_assert(S_ISDIR(facts.st_mode));
	ck_assert_int_eq(rmdir(path), 0);
	(void)snprintf(path, sizeof(path), "%s/run/a", folder);
	ck_assert_int_eq(rmdir(path), 0);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	(void)close(fd);
	ck_assert_int_eq(listen_make_folder(path, 0750), -ENOTDIR);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listen");
	TCase *tests = tcase_create("listen");

	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, make_place, remove_place);
	tcase_add_test(tests, a_good_hello_passes_unchanged);
	tcase_add_test(tests, a_hello_cut_anywhere_is_refused);
	tcase_add_test(tests, another_version_is_told_so_whatever_its_size);
	tcase_add_test(tests, a_hello_of_another_kind_is_refused);
	tcase_add_test(tests, the_socket_has_the_modes_it_should);
	tcase_add_test(tests, a_socket_left_behind_is_replaced);
	tcase_add_test(tests, a_file_in_the_way_is_not_removed);
	tcase_add_test(tests, a_socket_that_answers_is_left_alone);
	tcase_add_test(tests, a_socket_that_is_silent_is_left_alone);
	tcase_add_test(tests, closing_removes_no_other_ones_socket);
	tcase_add_test(tests, who_is_there_is_the_kernels_word);
	tcase_add_test(tests, folders_are_made_with_what_is_above);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
