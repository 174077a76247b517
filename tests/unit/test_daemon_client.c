/*
 * What a client gets in its hands, and what it cannot do with it.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/client.h"

enum {
	UP = 0,
	DOWN,
	STATUS,
	BELL,
	CHIME,
	SIZE = 4 * CV_PAGE,
};

static struct client client;
static struct memory status_page;
static int theirs; /* the client's end */
static int got[CV_FD_COUNT];
static struct cv_welcome heard;

static void meet(void)
{
	struct listen_peer who = {.uid = geteuid(), .allowed = true};
	int pair[2];

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	theirs = pair[1];
	client_init(&client);
	client_arrive(&client, pair[0], &who);
	ck_assert_int_eq(
		memory_open(&status_page, "status", CV_PAGE, MEMORY_READ_ONLY),
		0);
	for (int i = 0; i < CV_FD_COUNT; i++)
		got[i] = -1;
}

static void part(void)
{
	client_close(&client);
	memory_close(&status_page);
	(void)close(theirs);
	for (int i = 0; i < CV_FD_COUNT; i++) {
		if (got[i] >= 0)
			(void)close(got[i]);
	}
}

static void say_hello(void)
{
	struct cv_hello hello = {
		.magic = CV_MAGIC_HELLO,
		.abi_major = CV_ABI_MAJOR,
		.size = CV_MESSAGE_SIZE,
	};

	ck_assert_int_eq(send(theirs, &hello, sizeof(hello), 0), sizeof(hello));
}

static void receive_welcome(void)
{
	union {
		struct cmsghdr head;
		uint8_t room[CMSG_SPACE(sizeof(got))];
	} ancillary;
	struct iovec bytes = {&heard, sizeof(heard)};
	struct msghdr message = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &ancillary,
		.msg_controllen = sizeof(ancillary),
	};

	ck_assert_int_eq(recvmsg(theirs, &message, MSG_CMSG_CLOEXEC),
			 sizeof(heard));
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (!head)
		return;
	ck_assert_uint_eq(head->cmsg_len, CMSG_LEN(sizeof(got)));
	memcpy(got, CMSG_DATA(head), sizeof(got));
}

static void come_in(void)
{
	say_hello();
	ck_assert_int_eq(client_hear(&client), CLIENT_HELLO);
	ck_assert_int_eq(client.refusal, 0);
	client.welcome.up_size = SIZE;
	client.welcome.down_size = SIZE;
	ck_assert_int_eq(client_equip(&client), 0);
	ck_assert_int_eq(client_welcome(&client, status_page.fd), 0);
	client.state = CLIENT_OPEN;
	receive_welcome();
	ck_assert_int_eq(heard.status, 0);
	for (int i = 0; i < CV_FD_COUNT; i++)
		ck_assert_int_ge(got[i], 0);
}

static void *map(int fd, int protection)
{
	return mmap(NULL, CV_PAGE, protection, MAP_SHARED, fd, 0);
}

START_TEST(up_is_shared_with_the_daemon)
{
	come_in();
	uint8_t *up = map(got[UP], PROT_READ | PROT_WRITE);
	ck_assert_ptr_ne(up, MAP_FAILED);
	up[17] = 42;
	ck_assert_uint_eq(client.up.base[17], 42);
	(void)munmap(up, CV_PAGE);
}
END_TEST

START_TEST(what_the_daemon_writes_no_client_can)
{
	static const int sealed[] = {DOWN, STATUS};

	come_in();
	for (int i = 0; i < 2; i++) {
		int fd = got[sealed[i]];
		uint8_t *page = map(fd, PROT_READ);
		ck_assert_ptr_ne(page, MAP_FAILED);
		ck_assert_int_eq(
			mprotect(page, CV_PAGE, PROT_READ | PROT_WRITE), -1);
		(void)munmap(page, CV_PAGE);
		ck_assert_ptr_eq(map(fd, PROT_READ | PROT_WRITE), MAP_FAILED);
		ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
		ck_assert_int_eq(errno, EPERM);
	}
	client.down.base[5] = 1; /* the daemon still can */
}
END_TEST

START_TEST(no_client_can_change_a_size)
{
	come_in();
	for (int i = UP; i <= STATUS; i++) {
		ck_assert_int_eq(ftruncate(got[i], 0), -1);
		ck_assert_int_eq(errno, EPERM);
		ck_assert_int_eq(ftruncate(got[i], 2 * SIZE), -1);
		ck_assert_int_eq(fcntl(got[i], F_ADD_SEALS, F_SEAL_WRITE), -1);
	}
}
END_TEST

/* A client may make its end blocking, and leave it unread for ever. */
START_TEST(ringing_never_blocks_and_never_goes_unseen)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	uint64_t one;

	come_in();
	ck_assert_int_eq(fcntl(got[CHIME], F_SETFL, 0), 0);
	int gather = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_eq(epoll_ctl(gather, EPOLL_CTL_ADD, got[CHIME], &event),
			 0);
	ck_assert_int_eq(epoll_wait(gather, &event, 1, 0), 0);
	for (int i = 0; i < 20000; i++) {
		client_ring(&client);
		ck_assert_int_eq(epoll_wait(gather, &event, 1, 0), 1);
		ck_assert_int_eq(epoll_wait(gather, &event, 1, 0), 0);
	}
	ck_assert_int_eq(read(got[CHIME], &one, sizeof(one)), sizeof(one));
	ck_assert_uint_eq(one, 1);
	(void)close(gather);
}
END_TEST

START_TEST(a_hello_is_read_once_and_kept)
{
	ck_assert_int_eq(client_hear(&client), CLIENT_SILENCE);
	say_hello();
	ck_assert_int_eq(client_hear(&client), CLIENT_HELLO);
	ck_assert_uint_eq(client.peer.hello.magic, CV_MAGIC_HELLO);
	ck_assert_uint_eq(client.peer.uid, geteuid());
	ck_assert_int_eq(client_hear(&client), CLIENT_SILENCE);
}
END_TEST

START_TEST(a_bad_hello_is_refused_in_a_welcome)
{
	ck_assert_int_eq(send(theirs, "hi", 2, 0), 2);
	ck_assert_int_eq(client_hear(&client), CLIENT_HELLO);
	ck_assert_int_eq(client.refusal, CONCLAVE_EBADREQ);
	client_refuse(&client, client.refusal);
	receive_welcome();
	ck_assert_int_eq(heard.status, CONCLAVE_EBADREQ);
	ck_assert_uint_eq(heard.magic, CV_MAGIC_HELLO);
	ck_assert_int_eq(got[UP], -1);
}
END_TEST

START_TEST(who_may_not_connect_stays_refused_after_a_good_hello)
{
	struct listen_peer who = {.uid = 1, .allowed = false};
	struct client other;
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	client_init(&other);
	client_arrive(&other, pair[0], &who);
	(void)close(theirs);
	theirs = pair[1];
	say_hello();
	ck_assert_int_eq(client_hear(&other), CLIENT_HELLO);
	ck_assert_int_eq(other.refusal, CONCLAVE_EPERM);
	client_close(&other);
}
END_TEST

START_TEST(bye_and_hanging_up_are_told_apart)
{
	struct cv_bye bye = {CV_MAGIC_HELLO, sizeof(bye)};

	come_in();
	ck_assert_int_eq(send(theirs, &bye, sizeof(bye), 0), sizeof(bye));
	ck_assert_int_eq(client_hear(&client), CLIENT_BYE);
	ck_assert_int_eq(shutdown(theirs, SHUT_RDWR), 0);
	ck_assert_int_eq(client_hear(&client), CLIENT_END);
}
END_TEST

START_TEST(anything_else_is_nonsense)
{
	struct cv_bye bye = {CV_MAGIC_HELLO + 1, sizeof(bye)};

	come_in();
	say_hello();
	ck_assert_int_eq(client_hear(&client), CLIENT_NONSENSE);
	ck_assert_int_eq(send(theirs, &bye, sizeof(bye), 0), sizeof(bye));
	ck_assert_int_eq(client_hear(&client), CLIENT_NONSENSE);
}
END_TEST

START_TEST(a_welcome_to_nobody_fails_without_a_signal)
{
	say_hello();
	ck_assert_int_eq(client_hear(&client), CLIENT_HELLO);
	client.welcome.up_size = SIZE;
	client.welcome.down_size = SIZE;
	ck_assert_int_eq(client_equip(&client), 0);
	(void)close(theirs);
	theirs = -1;
	ck_assert_int_eq(client_welcome(&client, status_page.fd), -EPIPE);
}
END_TEST

static void wait_for_ever(void)
{
	for (;;)
		(void)pause();
}

START_TEST(a_process_is_dead_when_it_has_ended_and_not_before)
{
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		wait_for_ever();
	client.process = (int)syscall(SYS_pidfd_open, child, 0);
	ck_assert_int_ge(client.process, 0);
	ck_assert(!client_is_dead(&client));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(client_is_dead(&client));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tests = tcase_create("client");

	tcase_add_checked_fixture(tests, meet, part);
	tcase_add_test(tests, up_is_shared_with_the_daemon);
	tcase_add_test(tests, what_the_daemon_writes_no_client_can);
	tcase_add_test(tests, no_client_can_change_a_size);
	tcase_add_test(tests, ringing_never_blocks_and_never_goes_unseen);
	tcase_add_test(tests, a_hello_is_read_once_and_kept);
	tcase_add_test(tests, a_bad_hello_is_refused_in_a_welcome);
	tcase_add_test(tests,
		       who_may_not_connect_stays_refused_after_a_good_hello);
	tcase_add_test(tests, bye_and_hanging_up_are_told_apart);
	tcase_add_test(tests, anything_else_is_nonsense);
	tcase_add_test(tests, a_welcome_to_nobody_fails_without_a_signal);
	tcase_add_test(tests,
		       a_process_is_dead_when_it_has_ended_and_not_before);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
