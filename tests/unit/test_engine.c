/*
 * Both engines say the same about the same descriptors. Where io_uring is
 * forbidden its half is left out, and that is what is checked then.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/engine.h"
#include "wal/disk_engine.h"

enum {
	WATCHES = 64,
	TRIES = 200,
	WAIT_NS = 50000000,
	OWNER = 7,
};

static const enum engine_kind kinds[] = {ENGINE_PLAIN, ENGINE_URING};

static const struct engine_sizes sizes = {.watches = WATCHES};
static struct engine *engine;
static char reason[ENGINE_REASON_MAX];
static uint64_t now_ns;

/* False: this host has no such engine, which is said. */
static bool open_engine(int index)
{
	int result = engine_open(&engine, kinds[index], &sizes, reason);

	if (result < 0) {
		ck_assert_int_eq(kinds[index], ENGINE_URING);
		ck_assert_int_gt(strlen(reason), 0);
		printf("skip: %s\n", reason);
		return false;
	}
	ck_assert_int_eq(engine_kind(engine), kinds[index]);
	return true;
}

/* Lets the engine take in all that the kernel has to say by now. */
static void look(void)
{
	ck_assert_int_eq(engine_submit(engine), 0);
	now_ns += 1000000000;
	engine_reap(engine, now_ns);
}

/* Waits for the next event. */
static bool next(struct engine_event *ret_event)
{
	for (int i = 0; i < TRIES; i++) {
		look();
		if (engine_next(engine, ret_event))
			return true;
		ck_assert_int_eq(engine_wait(engine, WAIT_NS), 0);
	}
	return false;
}

static bool rung(void)
{
	for (int i = 0; i < TRIES; i++) {
		look();
		if (engine_rung(engine))
			return true;
		ck_assert_int_eq(engine_wait(engine, WAIT_NS), 0);
	}
	return false;
}

static void nothing_more(void)
{
	struct engine_event event;

	for (int i = 0; i < 3; i++) {
		look();
		ck_assert(!engine_next(engine, &event));
		ck_assert(!engine_rung(engine));
	}
}

static void open_pair(int pair[2])
{
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static int open_listener(struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	(void)snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1,
		       "conclave-test-engine-%d", (int)getpid());
	ck_assert_int_eq(bind(fd, (struct sockaddr *)address, sizeof(*address)),
			 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	return fd;
}

static int connect_to(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(
		connect(fd, (const struct sockaddr *)address, sizeof(*address)),
		0);
	return fd;
}

START_TEST(auto_finds_an_engine_and_says_why)
{
	int result = engine_open(&engine, ENGINE_AUTO, &sizes, reason);

	ck_assert_int_eq(result, 0);
	ck_assert_int_gt(strlen(reason), 0);
	ck_assert_str_eq(engine_name(engine),
			 engine_kind(engine) == ENGINE_URING ? "io_uring"
							     : "plain");
	ck_assert((engine_ring(engine) != NULL) ==
		  (engine_kind(engine) == ENGINE_URING));
	engine_close(engine);
}
END_TEST

START_TEST(a_message_is_an_event_of_its_owner)
{
	struct engine_event event;
	char byte = 1;
	int pair[2];

	if (!open_engine(_i))
		return;
	open_pair(pair);
	ck_assert_int_ge(engine_watch(engine, pair[0], ENGINE_CLIENT, OWNER),
			 0);
	nothing_more();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(send(pair[1], &byte, 1, 0), 1);
		ck_assert(next(&event));
		ck_assert_int_eq(event.kind, ENGINE_CLIENT);
		ck_assert_uint_eq(event.owner, OWNER);
		ck_assert_int_eq(recv(pair[0], &byte, 1, 0), 1);
		nothing_more();
	}
	ck_assert_int_eq(close(pair[1]), 0);
	ck_assert(next(&event));
	ck_assert_uint_eq(event.owner, OWNER);
	engine_close(engine);
	(void)close(pair[0]);
}
END_TEST

/* What happened before the watch began is told too. */
START_TEST(a_watch_that_comes_late_misses_nothing)
{
	struct engine_event event;
	char byte = 1;
	int pair[2];

	if (!open_engine(_i))
		return;
	open_pair(pair);
	ck_assert_int_eq(send(pair[1], &byte, 1, 0), 1);
	ck_assert_int_ge(engine_watch(engine, pair[0], ENGINE_CLIENT, OWNER),
			 0);
	ck_assert(next(&event));
	ck_assert_uint_eq(event.owner, OWNER);
	engine_close(engine);
	(void)close(pair[0]);
	(void)close(pair[1]);
}
END_TEST

START_TEST(doorbells_ring_without_ever_being_read)
{
	if (!open_engine(_i))
		return;
	int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_ge(engine_watch(engine, bell, ENGINE_BELL, OWNER), 0);
	nothing_more();
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(eventfd_write(bell, 1), 0);
		ck_assert(rung());
		ck_assert(!engine_rung(engine));
	}
	engine_close(engine);
	(void)close(bell);
}
END_TEST

START_TEST(an_event_of_a_watch_that_ended_meets_nobody)
{
	char byte = 1;
	int pair[2];
	int other[2];

	if (!open_engine(_i))
		return;
	open_pair(pair);
	open_pair(other);
	int watch = engine_watch(engine, pair[0], ENGINE_CLIENT, OWNER);
	look();
	ck_assert_int_eq(send(pair[1], &byte, 1, 0), 1);
	look();
	engine_unwatch(engine, watch);
	/* Its place goes to another, which nothing happened to. */
	ck_assert_int_eq(engine_watch(engine, other[0], ENGINE_CLIENT, 1),
			 watch);
	nothing_more();
	engine_close(engine);
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(other[0]);
	(void)close(other[1]);
}
END_TEST

/* Closing a descriptor does not end what the kernel does with it. */
START_TEST(a_socket_closed_after_its_watch_hangs_up)
{
	char byte;
	int pair[2];

	if (!open_engine(_i))
		return;
	open_pair(pair);
	int watch = engine_watch(engine, pair[0], ENGINE_CLIENT, OWNER);
	look();
	engine_unwatch(engine, watch);
	ck_assert_int_eq(close(pair[0]), 0);
	look();
	look();
	ck_assert_int_eq(recv(pair[1], &byte, 1, 0), 0);
	engine_close(engine);
	(void)close(pair[1]);
}
END_TEST

START_TEST(more_connections_than_one_turn_takes_all_arrive)
{
	struct sockaddr_un address;
	struct engine_event event;
	int clients[ENGINE_EVENTS_MAX + 5];

	if (!open_engine(_i))
		return;
	int listener = open_listener(&address);
	ck_assert_int_eq(engine_accept(engine, ENGINE_DOOR_CLIENTS, listener),
			 0);
	look();
	for (int i = 0; i < ENGINE_EVENTS_MAX + 5; i++)
		clients[i] = connect_to(&address);
	for (int i = 0; i < ENGINE_EVENTS_MAX + 5; i++) {
		ck_assert(next(&event));
		ck_assert_int_eq(event.kind, ENGINE_ARRIVAL);
		ck_assert_int_ge(event.fd, 0);
		ck_assert(fcntl(event.fd, F_GETFD) & FD_CLOEXEC);
		ck_assert_int_eq(close(event.fd), 0);
	}
	engine_accept_stop(engine, ENGINE_DOOR_CLIENTS);
	nothing_more();
	engine_close(engine);
	for (int i = 0; i < ENGINE_EVENTS_MAX + 5; i++)
		(void)close(clients[i]);
	(void)close(listener);
}
END_TEST

START_TEST(accepting_that_failed_is_told_and_can_go_on)
{
	struct sockaddr_un address;
	struct engine_event event;

	if (!open_engine(_i))
		return;
	int pipe_fds[2];
	ck_assert_int_eq(pipe(pipe_fds), 0);
	/* Not a listener. */
	ck_assert_int_eq(
		engine_accept(engine, ENGINE_DOOR_CLIENTS, pipe_fds[0]), 0);
	ck_assert_int_eq(write(pipe_fds[1], "x", 1), 1);
	ck_assert(next(&event));
	ck_assert_int_eq(event.kind, ENGINE_ARRIVAL);
	ck_assert_int_eq(event.fd, -ENOTSOCK);
	nothing_more();
	int listener = open_listener(&address);
	ck_assert_int_eq(engine_accept(engine, ENGINE_DOOR_CLIENTS, listener),
			 0);
	int client = connect_to(&address);
	ck_assert(next(&event));
	ck_assert_int_ge(event.fd, 0);
	(void)close(event.fd);
	engine_close(engine);
	(void)close(client);
	(void)close(listener);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}
END_TEST

START_TEST(a_table_that_is_full_refuses_and_recovers)
{
	int watches[WATCHES];

	if (!open_engine(_i))
		return;
	int bells[WATCHES];
	for (int i = 0; i < WATCHES; i++) {
		bells[i] = eventfd(0, EFD_CLOEXEC);
		watches[i] = engine_watch(engine, bells[i], ENGINE_BELL, 0);
		ck_assert_int_ge(watches[i], 0);
	}
	ck_assert_int_eq(engine_watch(engine, bells[0], ENGINE_BELL, 0),
			 -ENOSPC);
	for (int i = 0; i < WATCHES; i++)
		engine_unwatch(engine, watches[i]);
	look();
	ck_assert_int_ge(engine_watch(engine, bells[3], ENGINE_BELL, 0), 0);
	look();
	ck_assert_int_eq(eventfd_write(bells[3], 1), 0);
	ck_assert(rung());
	engine_close(engine);
	for (int i = 0; i < WATCHES; i++)
		(void)close(bells[i]);
}
END_TEST

/* The wait ends when the disk has something to reap. */
START_TEST(the_disk_ends_the_wait)
{
	char folder[] = "/tmp/conclave-engine-XXXXXX";
	struct disk_op op = {.kind = DISK_SYNC_FOLDER};
	struct disk_op *done = NULL;
	struct disk *disk;

	if (!open_engine(_i))
		return;
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(disk_open(&disk, folder, engine_ring(engine)), 0);
	ck_assert_int_eq(engine_set_disk(engine, disk), 0);
	disk_submit(disk, &op);
	disk_flush(disk);
	for (int i = 0; i < TRIES && !done; i++) {
		look();
		done = disk_reap(disk);
		if (!done)
			ck_assert_int_eq(engine_wait(engine, WAIT_NS), 0);
	}
	ck_assert_ptr_eq(done, &op);
	ck_assert_int_eq(op.result, 0);
	disk_close(disk);
	engine_close(engine);
	(void)rmdir(folder);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("engine");
	TCase *tests = tcase_create("engine");

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, auto_finds_an_engine_and_says_why);
	tcase_add_loop_test(tests, a_message_is_an_event_of_its_owner, 0, 2);
	tcase_add_loop_test(tests, a_watch_that_comes_late_misses_nothing, 0,
			    2);
	tcase_add_loop_test(tests, doorbells_ring_without_ever_being_read, 0,
			    2);
	tcase_add_loop_test(tests, an_event_of_a_watch_that_ended_meets_nobody,
			    0, 2);
	tcase_add_loop_test(tests, a_socket_closed_after_its_watch_hangs_up, 0,
			    2);
	tcase_add_loop_test(
		tests, more_connections_than_one_turn_takes_all_arrive, 0, 2);
	tcase_add_loop_test(tests, accepting_that_failed_is_told_and_can_go_on,
			    0, 2);
	tcase_add_loop_test(tests, a_table_that_is_full_refuses_and_recovers, 0,
			    2);
	tcase_add_loop_test(tests, the_disk_ends_the_wait, 0, 2);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
