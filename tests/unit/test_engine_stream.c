/*
 * Streams, in both engines: what comes arrives in order however it was cut,
 * what does not fit waits with its sender, and nothing of an old connection
 * meets a new one.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/engine.h"

enum {
	WATCHES = 8,
	STREAMS = 4,
	TRIES = 400,
	WAIT_NS = 20000000,
	LARGE = 3 << 20,
	SMALL_BUFFER = 8192,
};

static const enum engine_kind kinds[] = {ENGINE_PLAIN, ENGINE_URING};
static const struct engine_sizes sizes = {.watches = WATCHES,
					  .streams = STREAMS};
static struct engine *engine;
static uint64_t now_ns;

/* False: this host has no such engine. */
static bool open_engine(int index)
{
	char reason[ENGINE_REASON_MAX];
	int result = engine_open(&engine, kinds[index], &sizes, reason);

	ck_assert(result == 0 || kinds[index] == ENGINE_URING);
	if (result < 0)
		printf("skip: %s\n", reason);
	return result == 0;
}

static void look(void)
{
	ck_assert_int_eq(engine_submit(engine), 0);
	now_ns += 1000000000;
	engine_reap(engine, now_ns);
}

static void wait_and_look(void)
{
	ck_assert_int_eq(engine_wait(engine, WAIT_NS), 0);
	look();
}

/*
 * A stream, and the descriptor at its other end. The kernel may still have
 * something of those that were closed before.
 */
static int open_pair(int *ret_other)
{
	int pair[2];

	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	int stream = engine_stream_open(engine, pair[0], false);
	for (int i = 0; i < TRIES && stream == -ENOSPC; i++) {
		look();
		stream = engine_stream_open(engine, pair[0], false);
	}
	ck_assert_int_ge(stream, 0);
	*ret_other = pair[1];
	return stream;
}

static int listen_somewhere(struct sockaddr_in *ret_address)
{
	socklen_t size = sizeof(*ret_address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	ck_assert_int_eq(
		bind(fd, (struct sockaddr *)ret_address, sizeof(*ret_address)),
		0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)ret_address, &size),
			 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

/* A socket that connects; true in *ret_connecting when it is not through. */
static int dial(const struct sockaddr_in *address, bool *ret_connecting)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int result =
		connect(fd, (const struct sockaddr *)address, sizeof(*address));

	ck_assert(result == 0 || errno == EINPROGRESS);
	*ret_connecting = result < 0;
	return fd;
}

static uint8_t byte_at(size_t at)
{
	return (uint8_t)(at * 31 + (at >> 9));
}

static uint8_t *make_bytes(size_t size)
{
	uint8_t *bytes = malloc(size);

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_at(i);
	return bytes;
}

/* Takes what is there, at most `step` bytes at a time, and checks it. */
static void take_all(int stream, size_t *at, uint32_t step)
{
	const uint8_t *bytes;
	uint32_t size;

	while ((size = engine_received(engine, stream, &bytes)) > 0) {
		if (size > step)
			size = step;
		for (uint32_t i = 0; i < size; i++)
			ck_assert_uint_eq(bytes[i], byte_at(*at + i));
		engine_take(engine, stream, size);
		*at += size;
	}
}

static void take_until(int stream, size_t *at, size_t end, uint32_t step)
{
	for (int i = 0; i < TRIES && *at < end; i++) {
		wait_and_look();
		take_all(stream, at, step);
	}
	ck_assert_uint_eq(*at, end);
}

static bool has_ended(int stream)
{
	const uint8_t *bytes;

	for (int i = 0; i < TRIES; i++) {
		look();
		ck_assert_uint_eq(engine_received(engine, stream, &bytes), 0);
		if (engine_stream_state(engine, stream) == ENGINE_STREAM_ENDED)
			return true;
		wait_and_look();
	}
	return false;
}

/* All places were given back. */
static void check_places(void)
{
	int streams[STREAMS];
	int others[STREAMS];

	for (uint32_t i = 0; i < STREAMS; i++)
		streams[i] = open_pair(&others[i]);
	for (uint32_t i = 0; i < STREAMS; i++) {
		engine_stream_close(engine, streams[i]);
		(void)close(others[i]);
	}
}

/* ---- receiving ---- */

START_TEST(bytes_arrive_in_order_however_they_are_cut)
{
	size_t sent = 0;
	size_t at = 0;
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	uint8_t *bytes = make_bytes(4096);
	for (size_t size = 1; size <= 64; size++) {
		ck_assert_int_eq(send(other, bytes + sent, size, 0), size);
		sent += size;
		take_until(stream, &at, sent, (uint32_t)size / 2 + 1);
	}
	free(bytes);
	engine_close(engine);
	(void)close(other);
}
END_TEST

/* What is in the socket before the stream begins is no edge any more. */
START_TEST(what_came_before_the_stream_began_is_there)
{
	uint8_t *bytes = make_bytes(100);
	size_t at = 0;
	int pair[2];

	if (!open_engine(_i))
		return;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(send(pair[1], bytes, 100, 0), 100);
	ck_assert_int_eq(close(pair[1]), 0);
	int stream = engine_stream_open(engine, pair[0], false);
	ck_assert_int_ge(stream, 0);
	take_until(stream, &at, 100, UINT32_MAX);
	ck_assert(has_ended(stream));
	engine_close(engine);
	free(bytes);
}
END_TEST

/* Sends all it can without waiting; how much that was. */
static size_t push(int fd, const uint8_t *bytes, size_t size)
{
	size_t sent = 0;

	while (sent < size) {
		ssize_t some = send(fd, bytes + sent, size - sent,
				    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (some <= 0)
			break;
		sent += (size_t)some;
	}
	return sent;
}

START_TEST(what_is_not_taken_waits_with_its_sender)
{
	uint8_t *bytes = make_bytes(LARGE);
	size_t sent = 0;
	size_t at = 0;
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	for (int i = 0; i < 50; i++) {
		sent += push(other, bytes + sent, LARGE - sent);
		look();
	}
	/* No more than the stream's memory and the socket's hold. */
	ck_assert_uint_lt(sent, ENGINE_PIECES * ENGINE_PIECE_SIZE + (1 << 20));
	while (at < LARGE) {
		size_t before = at;
		take_all(stream, &at, 5000);
		sent += push(other, bytes + sent, LARGE - sent);
		if (at == before)
			wait_and_look();
	}
	ck_assert_uint_eq(sent, LARGE);
	engine_close(engine);
	(void)close(other);
	free(bytes);
}
END_TEST

START_TEST(one_that_is_not_taken_holds_up_no_other)
{
	uint8_t *bytes = make_bytes(LARGE);
	size_t at = 0;
	int slow_other;
	int other;

	if (!open_engine(_i))
		return;
	int slow = open_pair(&slow_other);
	int stream = open_pair(&other);
	size_t pushed = 0;
	for (int i = 0; i < 50; i++) {
		pushed += push(slow_other, bytes + pushed, LARGE - pushed);
		look();
	}
	size_t sent = 0;
	while (at < LARGE) {
		sent += push(other, bytes + sent, LARGE - sent);
		wait_and_look();
		take_all(stream, &at, UINT32_MAX);
	}
	at = 0;
	take_until(slow, &at, pushed, UINT32_MAX);
	engine_close(engine);
	(void)close(other);
	(void)close(slow_other);
	free(bytes);
}
END_TEST

START_TEST(the_end_comes_after_the_bytes)
{
	uint8_t *bytes = make_bytes(100000);
	size_t at = 0;
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	ck_assert_uint_eq(push(other, bytes, 100000), 100000);
	ck_assert_int_eq(close(other), 0);
	wait_and_look();
	take_until(stream, &at, 100000, 777);
	ck_assert(has_ended(stream));
	ck_assert_int_eq(engine_stream_error(engine, stream), 0);
	engine_stream_close(engine, stream);
	engine_close(engine);
	free(bytes);
}
END_TEST

/* ---- sending ---- */

/* Hands in and waits for the answer, which comes without sleeping. */
static uint32_t send_parts(int stream, uint32_t count)
{
	uint32_t size = UINT32_MAX;

	engine_send(engine, stream, count);
	ck_assert(!engine_can_send(engine, stream));
	look();
	ck_assert_uint_eq(engine_sending(engine), 0);
	ck_assert(engine_sent(engine, stream, &size));
	ck_assert(!engine_sent(engine, stream, &size));
	return size;
}

START_TEST(what_is_prepared_is_known_until_it_is_handed_in)
{
	uint8_t byte = 1;
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	look();
	ck_assert(!engine_is_prepared(engine));
	engine_parts(engine, stream)[0] = (struct iovec){&byte, 1};
	engine_send(engine, stream, 1);
	ck_assert_int_eq(engine_is_prepared(engine), kinds[_i] == ENGINE_URING);
	look();
	ck_assert(!engine_is_prepared(engine));
	engine_close(engine);
	(void)close(other);
}
END_TEST

START_TEST(one_send_takes_many_pieces_in_order)
{
	uint8_t *bytes = make_bytes(ENGINE_PARTS_MAX * 33);
	uint8_t got[ENGINE_PARTS_MAX * 33];
	uint32_t total = 0;
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	look();
	struct iovec *parts = engine_parts(engine, stream);
	for (uint32_t i = 0; i < ENGINE_PARTS_MAX; i++) {
		parts[i].iov_base = bytes + total;
		parts[i].iov_len = 1 + i / 2;
		total += 1 + i / 2;
	}
	ck_assert(engine_can_send(engine, stream));
	ck_assert_uint_eq(send_parts(stream, ENGINE_PARTS_MAX), total);
	ck_assert(engine_can_send(engine, stream));
	ck_assert_int_eq(recv(other, got, sizeof(got), MSG_DONTWAIT), total);
	ck_assert_mem_eq(got, bytes, total);
	engine_close(engine);
	(void)close(other);
	free(bytes);
}
END_TEST

/* Reads what is there and checks that it follows. */
static void read_some(int fd, size_t *at)
{
	uint8_t got[3000];
	ssize_t size = recv(fd, got, sizeof(got), MSG_DONTWAIT);

	for (ssize_t i = 0; i < size; i++)
		ck_assert_uint_eq(got[i], byte_at(*at + (size_t)i));
	if (size > 0)
		*at += (size_t)size;
}

START_TEST(a_full_socket_takes_a_part_and_says_when_it_takes_more)
{
	int small = SMALL_BUFFER;
	uint8_t *bytes = make_bytes(LARGE);
	size_t sent = 0;
	size_t at = 0;
	bool was_full = false;
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	ck_assert_int_eq(
		setsockopt(other, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)),
		0);
	look();
	while (at < LARGE / 4) {
		struct iovec *parts = engine_parts(engine, stream);
		while (engine_can_send(engine, stream)) {
			parts[0].iov_base = bytes + sent;
			parts[0].iov_len = LARGE / 4 - sent < 100000
						   ? LARGE / 4 - sent
						   : 100000;
			if (parts[0].iov_len == 0)
				break;
			sent += send_parts(stream, 1);
		}
		was_full = was_full || !engine_can_send(engine, stream);
		read_some(other, &at);
		look();
	}
	ck_assert(was_full);
	ck_assert_uint_eq(sent, LARGE / 4);
	engine_close(engine);
	(void)close(other);
	free(bytes);
}
END_TEST

/* Nobody reads there: nothing waits, and the others go on. */
START_TEST(a_peer_that_never_reads_costs_nobody_else)
{
	uint8_t *bytes = make_bytes(LARGE);
	uint8_t got[16];
	int deaf_other;
	int other;

	if (!open_engine(_i))
		return;
	int deaf = open_pair(&deaf_other);
	int stream = open_pair(&other);
	look();
	engine_parts(engine, deaf)[0] = (struct iovec){bytes, LARGE};
	ck_assert_uint_lt(send_parts(deaf, 1), LARGE);
	for (int i = 0; i < 20; i++) {
		ck_assert(!engine_can_send(engine, deaf));
		engine_parts(engine, stream)[0] = (struct iovec){bytes, 16};
		ck_assert_uint_eq(send_parts(stream, 1), 16);
		ck_assert_int_eq(recv(other, got, sizeof(got), 0), 16);
	}
	engine_close(engine);
	(void)close(other);
	(void)close(deaf_other);
	free(bytes);
}
END_TEST

START_TEST(sending_to_nobody_ends_the_stream)
{
	uint8_t byte = 1;
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	look();
	ck_assert_int_eq(close(other), 0);
	engine_parts(engine, stream)[0] = (struct iovec){&byte, 1};
	ck_assert_uint_eq(send_parts(stream, 1), 0);
	ck_assert(has_ended(stream));
	ck_assert(!engine_can_send(engine, stream));
	engine_close(engine);
}
END_TEST

START_TEST(closing_lets_out_what_was_sent)
{
	uint8_t *bytes = make_bytes(2000);
	uint8_t got[4000];
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	look();
	engine_parts(engine, stream)[0] = (struct iovec){bytes, 2000};
	ck_assert_uint_eq(send_parts(stream, 1), 2000);
	engine_stream_close(engine, stream);
	look();
	ck_assert_int_eq(recv(other, got, sizeof(got), 0), 2000);
	ck_assert_mem_eq(got, bytes, 2000);
	ck_assert_int_eq(recv(other, got, sizeof(got), 0), 0);
	engine_close(engine);
	(void)close(other);
	free(bytes);
}
END_TEST

/* ---- connecting ---- */

START_TEST(a_connection_is_made_without_waiting)
{
	struct sockaddr_in address;
	uint8_t *bytes = make_bytes(10);
	bool connecting;
	size_t at = 0;

	if (!open_engine(_i))
		return;
	int listener = listen_somewhere(&address);
	int fd = dial(&address, &connecting);
	int stream = engine_stream_open(engine, fd, connecting);
	ck_assert_int_ge(stream, 0);
	for (int i = 0; i < TRIES && !engine_can_send(engine, stream); i++)
		wait_and_look();
	ck_assert_int_eq(engine_stream_state(engine, stream),
			 ENGINE_STREAM_OPEN);
	int other = accept(listener, NULL, NULL);
	ck_assert_int_eq(send(other, bytes, 10, 0), 10);
	take_until(stream, &at, 10, 3);
	engine_parts(engine, stream)[0] = (struct iovec){bytes, 10};
	ck_assert_uint_eq(send_parts(stream, 1), 10);
	engine_close(engine);
	(void)close(other);
	(void)close(listener);
	free(bytes);
}
END_TEST

START_TEST(a_connection_that_is_refused_has_ended)
{
	struct sockaddr_in address;
	bool connecting;

	if (!open_engine(_i))
		return;
	/* Bound, so that nobody else gets the port, and not listening. */
	int listener = listen_somewhere(&address);
	int holder = dial(&address, &connecting);
	ck_assert_int_eq(close(listener), 0);
	int fd = dial(&address, &connecting);
	int stream = engine_stream_open(engine, fd, connecting);
	ck_assert_int_ge(stream, 0);
	ck_assert(has_ended(stream));
	ck_assert_int_eq(engine_stream_error(engine, stream), -ECONNREFUSED);
	engine_stream_close(engine, stream);
	engine_close(engine);
	(void)close(holder);
}
END_TEST

/* ---- places ---- */

/* The old one's bytes are on their way when its place is given away. */
START_TEST(nothing_late_meets_a_new_stream)
{
	uint8_t *bytes = make_bytes(300000);
	uint8_t noise[5000];
	int others[STREAMS];
	int streams[STREAMS];
	size_t at;

	if (!open_engine(_i))
		return;
	memset(noise, 0xee, sizeof(noise));
	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < STREAMS; i++)
			streams[i] = open_pair(&others[i]);
		if (round % 2)
			look();
		for (int i = 0; i < STREAMS; i++) {
			push(others[i], noise, sizeof(noise));
			engine_parts(engine, streams[i])[0] =
				(struct iovec){noise, sizeof(noise)};
			engine_send(engine, streams[i], 1);
			if (round % 3 == 0)
				look();
			engine_stream_close(engine, streams[i]);
			(void)close(others[i]);
		}
		int stream = open_pair(&others[0]);
		at = 0;
		ck_assert_uint_gt(push(others[0], bytes, 20000), 0);
		take_until(stream, &at, 20000, 4096);
		engine_stream_close(engine, stream);
		(void)close(others[0]);
		check_places();
	}
	engine_close(engine);
	free(bytes);
}
END_TEST

START_TEST(a_closed_stream_is_seen_to_end_at_once)
{
	uint8_t byte;
	int other;

	if (!open_engine(_i))
		return;
	int stream = open_pair(&other);
	look();
	engine_stream_close(engine, stream);
	ck_assert_int_eq(recv(other, &byte, 1, 0), 0);
	engine_close(engine);
	(void)close(other);
}
END_TEST

START_TEST(more_streams_than_there_may_be_are_refused)
{
	int others[STREAMS];
	int streams[STREAMS];
	int pair[2];

	if (!open_engine(_i))
		return;
	for (int i = 0; i < STREAMS; i++)
		streams[i] = open_pair(&others[i]);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(engine_stream_open(engine, pair[0], false), -ENOSPC);
	ck_assert_int_eq(close(pair[0]), 0); /* it is still ours */
	for (int i = 0; i < STREAMS; i++)
		engine_stream_close(engine, streams[i]);
	check_places();
	engine_close(engine);
	(void)close(pair[1]);
	for (int i = 0; i < STREAMS; i++)
		(void)close(others[i]);
}
END_TEST

static int accept_one(uint32_t door)
{
	struct engine_event event;

	for (int i = 0; i < TRIES; i++) {
		look();
		if (engine_next(engine, &event)) {
			ck_assert_int_eq(event.kind, ENGINE_ARRIVAL);
			ck_assert_uint_eq(event.owner, door);
			ck_assert_int_ge(event.fd, 0);
			return event.fd;
		}
		wait_and_look();
	}
	return -1;
}

START_TEST(two_doors_are_told_apart)
{
	struct sockaddr_in addresses[ENGINE_DOORS];
	int listeners[ENGINE_DOORS];
	bool connecting;

	if (!open_engine(_i))
		return;
	for (int i = 0; i < ENGINE_DOORS; i++) {
		listeners[i] = listen_somewhere(&addresses[i]);
		ck_assert_int_eq(engine_accept(engine, (enum engine_door)i,
					       listeners[i]),
				 0);
	}
	for (uint32_t i = 0; i < ENGINE_DOORS; i++) {
		int fd = dial(&addresses[i], &connecting);
		int there = accept_one(i);
		ck_assert_int_ge(there, 0);
		(void)close(there);
		(void)close(fd);
	}
	engine_accept_stop(engine, ENGINE_DOOR_PEERS);
	int fd = dial(&addresses[ENGINE_DOOR_CLIENTS], &connecting);
	int there = accept_one(ENGINE_DOOR_CLIENTS);
	ck_assert_int_ge(there, 0);
	engine_close(engine);
	(void)close(there);
	(void)close(fd);
	(void)close(listeners[0]);
	(void)close(listeners[1]);
}
END_TEST

static TCase *case_of(const char *name, const TTest *const *tests)
{
	TCase *made = tcase_create(name);

	tcase_set_timeout(made, 30);
	for (; *tests; tests++)
		tcase_add_loop_test(made, *tests, 0, 2);
	return made;
}

int main(void)
{
	const TTest *const receiving[] = {
		bytes_arrive_in_order_however_they_are_cut,
		what_came_before_the_stream_began_is_there,
		what_is_not_taken_waits_with_its_sender,
		one_that_is_not_taken_holds_up_no_other,
		the_end_comes_after_the_bytes,
		NULL,
	};
	const TTest *const sending[] = {
		what_is_prepared_is_known_until_it_is_handed_in,
		one_send_takes_many_pieces_in_order,
		a_full_socket_takes_a_part_and_says_when_it_takes_more,
		a_peer_that_never_reads_costs_nobody_else,
		sending_to_nobody_ends_the_stream,
		closing_lets_out_what_was_sent,
		NULL,
	};
	const TTest *const places[] = {
		a_connection_is_made_without_waiting,
		a_connection_that_is_refused_has_ended,
		nothing_late_meets_a_new_stream,
		a_closed_stream_is_seen_to_end_at_once,
		more_streams_than_there_may_be_are_refused,
		two_doors_are_told_apart,
		NULL,
	};
	Suite *suite = suite_create("engine_stream");

	suite_add_tcase(suite, case_of("receiving", receiving));
	suite_add_tcase(suite, case_of("sending", sending));
	suite_add_tcase(suite, case_of("places", places));
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
