/*
 * The floors of a cluster: what three processes on this machine do that are
 * joined as members are, and are nothing else.
 *
 * The first sends the bytes to the two others over TCP on loopback, all three
 * write them to a file of their own by durable O_DIRECT writes, the others
 * reply, and a round is done when two of the three have written; the next one
 * begins at once. As in a log, each has one write in flight. The first waits
 * in io_uring, the others in the calls themselves: no thread spins.
 *
 * And the round trip of a word between two processes over such a connection.
 */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	OTHERS = 2,
	SELF = OTHERS, /* among those who have written */
	RING = 16,
};

struct order {
	uint64_t round;
	uint32_t size; /* of the bytes that follow, and are written */
	uint32_t reserved;
};

struct floor_trio {
	struct io_uring ring;
	struct floor_file *file;
	int sockets[OTHERS];
	pid_t others[OTHERS];
	uint64_t round;
	uint64_t written[OTHERS + 1]; /* last round that each has written */
	bool writing;
	uint64_t replies[OTHERS]; /* being received */
	/* An order and its bytes. */
	uint8_t message[sizeof(struct order) + FLOOR_WRITE_MAX];
};

/* ---- the others ---- */

static bool receive(int fd, void *to, size_t size)
{
	return recv(fd, to, size, MSG_WAITALL) == (ssize_t)size;
}

static void serve(int fd, const char *folder)
{
	struct floor_file *file;
	struct order order;

	if (floor_file_open(&file, folder))
		return;
	while (receive(fd, &order, sizeof(order))) {
		if (!receive(fd, file->buffer, order.size) ||
		    floor_file_write_once(file, order.size))
			return;
		if (send(fd, &order.round, sizeof(order.round), 0) !=
		    sizeof(order.round))
			return;
	}
}

/* Two connected sockets of loopback. */
static int make_pair(int ret_fds[2])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1, code = 0;

	ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ret_fds[1] = -1;
	if (listener < 0 || ret_fds[0] < 0 ||
	    bind(listener, (struct sockaddr *)&address, size) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &size) ||
	    connect(ret_fds[0], (struct sockaddr *)&address, size))
		code = -errno;
	if (!code)
		ret_fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (!code && (ret_fds[1] < 0 ||
		      setsockopt(ret_fds[0], IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one)) ||
		      setsockopt(ret_fds[1], IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one))))
		code = -errno;
	if (listener >= 0)
		(void)close(listener);
	return code;
}

static int begin_other(struct floor_trio *trio, uint32_t i, const char *folder)
{
	int fds[2];
	int code = make_pair(fds);

	trio->sockets[i] = fds[0];
	if (code)
		return code;
	trio->others[i] = fork();
	if (trio->others[i] == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Else it would not see the end of its own connection. */
		(void)close(fds[0]);
		serve(fds[1], folder);
		_exit(0);
	}
	(void)close(fds[1]);
	return trio->others[i] < 0 ? -errno : 0;
}

/* ---- the first ---- */

static void await_reply(struct floor_trio *trio, uint32_t i)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&trio->ring);

	io_uring_prep_recv(sqe, trio->sockets[i], &trio->replies[i],
			   sizeof(trio->replies[i]), MSG_WAITALL);
	io_uring_sqe_set_data64(sqe, i);
}

int floor_trio_open(struct floor_trio **ret_trio, const char *folder)
{
	struct floor_trio *trio = calloc(1, sizeof(*trio));
	uint32_t i;
	int code;

	if (!trio)
		return -ENOMEM;
	trio->ring.ring_fd = -1;
	for (i = 0; i < OTHERS; i++)
		trio->sockets[i] = -1;
	code = floor_file_open(&trio->file, folder);
	for (i = 0; i < OTHERS && !code; i++)
		code = begin_other(trio, i, folder);
	if (!code)
		code = io_uring_queue_init(RING, &trio->ring, 0);
	if (code) {
		floor_trio_close(trio);
		return code;
	}
	for (i = 0; i < OTHERS; i++)
		await_reply(trio, i);
	*ret_trio = trio;
	return 0;
}

void floor_trio_close(struct floor_trio *trio)
{
	uint32_t i;

	if (trio->ring.ring_fd >= 0)
		io_uring_queue_exit(&trio->ring);
	for (i = 0; i < OTHERS; i++) {
		if (trio->sockets[i] >= 0) {
			(void)shutdown(trio->sockets[i], SHUT_RDWR);
			(void)close(trio->sockets[i]);
		}
		if (trio->others[i] > 0)
			(void)waitpid(trio->others[i], NULL, 0);
	}
	if (trio->file)
		floor_file_close(trio->file);
	free(trio);
}

static void begin_write(struct floor_trio *trio, uint32_t size)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&trio->ring);

	io_uring_prep_write(sqe, trio->file->fd, trio->file->buffer, size,
			    floor_file_next(trio->file, size));
	sqe->rw_flags = RWF_DSYNC;
	io_uring_sqe_set_data64(sqe, SELF);
	trio->writing = true;
}

/* What one completion says. */
static int take(struct floor_trio *trio, const struct io_uring_cqe *cqe)
{
	uint64_t who = cqe->user_data;

	if (cqe->res < 0)
		return cqe->res;
	if (who == SELF) {
		trio->writing = false;
		trio->written[SELF] = trio->round;
		return 0;
	}
	if (cqe->res != sizeof(trio->replies[0]))
		return -ECONNRESET;
	trio->written[who] = trio->replies[who];
	await_reply(trio, (uint32_t)who);
	return 0;
}

static int reap(struct floor_trio *trio)
{
	struct io_uring_cqe *cqe;
	int code = io_uring_submit_and_wait(&trio->ring, 1);

	if (code < 0 && code != -EINTR)
		return code;
	code = 0;
	while (!code && !io_uring_peek_cqe(&trio->ring, &cqe)) {
		code = take(trio, cqe);
		io_uring_cqe_seen(&trio->ring, cqe);
	}
	return code;
}

/* What the ring has to say interrupts a long send: it goes on. */
static int send_all(int fd, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	ssize_t sent;

	while (size > 0) {
		sent = send(fd, at, size, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return -errno;
		at += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
	}
	return 0;
}

static int tell(struct floor_trio *trio, uint32_t i, uint32_t size)
{
	struct order order = {.round = trio->round, .size = size};

	memcpy(trio->message, &order, sizeof(order));
	return send_all(trio->sockets[i], trio->message, sizeof(order) + size);
}

static bool is_done(const struct floor_trio *trio)
{
	uint32_t i, count = 0;

	for (i = 0; i <= OTHERS; i++)
		count += trio->written[i] >= trio->round;
	return count > OTHERS / 2;
}

static int write_round(struct floor_trio *trio, uint32_t size)
{
	uint32_t i;
	int code = 0;

	while (trio->writing && !code)
		code = reap(trio);
	trio->round++;
	begin_write(trio, size);
	if (!code && io_uring_submit(&trio->ring) < 0)
		code = -EIO;
	for (i = 0; i < OTHERS && !code; i++)
		code = tell(trio, i, size);
	while (!code && !is_done(trio))
		code = reap(trio);
	return code;
}

/* Until nothing of the last round is under way. */
static int settle(struct floor_trio *trio)
{
	int code = 0;

	while (!code && (trio->writing || trio->written[0] < trio->round ||
			 trio->written[1] < trio->round))
		code = reap(trio);
	return code;
}

int floor_trio_write(struct floor_trio *trio, uint32_t size, uint64_t count,
		     double *ret_p50_ns, double *ret_rate)
{
	double *samples = malloc(count * sizeof(*samples));
	uint64_t i, start, began = bench_now_ns();
	int code = 0;

	if (!samples)
		return -ENOMEM;
	for (i = 0; i < count && !code; i++) {
		start = bench_now_ns();
		code = write_round(trio, size);
		samples[i] = (double)(bench_now_ns() - start);
	}
	if (!code)
		code = settle(trio);
	if (!code) {
		*ret_rate =
			(double)count * 1e9 / (double)(bench_now_ns() - began);
		*ret_p50_ns = bench_quantile(samples, count, 0.5);
	}
	free(samples);
	return code;
}

/* ---- a round trip ---- */

static void echo(int fd)
{
	uint64_t word;

	while (receive(fd, &word, sizeof(word)))
		if (send(fd, &word, sizeof(word), 0) != sizeof(word))
			return;
}

static int ping(int fd, uint64_t count, double *samples)
{
	uint64_t i, start, answer;

	for (i = 0; i < count; i++) {
		start = bench_now_ns();
		if (send(fd, &i, sizeof(i), MSG_NOSIGNAL) != sizeof(i) ||
		    !receive(fd, &answer, sizeof(answer)) || answer != i)
			return -ECONNRESET;
		samples[i] = (double)(bench_now_ns() - start);
	}
	return 0;
}

int floor_tcp_ping(uint64_t count, double *ret_p50_ns)
{
	double *samples = malloc(count * sizeof(*samples));
	int fds[2] = {-1, -1};
	pid_t other = -1;
	int code = samples ? make_pair(fds) : -ENOMEM;

	if (!code)
		other = fork();
	if (other == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(fds[0]);
		echo(fds[1]);
		_exit(0);
	}
	if (!code && other < 0)
		code = -errno;
	if (!code)
		code = ping(fds[0], count, samples);
	if (!code)
		*ret_p50_ns = bench_quantile(samples, count, 0.5);
	if (fds[0] >= 0)
		(void)close(fds[0]);
	if (fds[1] >= 0)
		(void)close(fds[1]);
	if (other > 0)
		(void)waitpid(other, NULL, 0);
	free(samples);
	return code;
}
