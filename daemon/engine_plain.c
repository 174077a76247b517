/*
 * The plain engine: epoll, for hosts that forbid io_uring.
 *
 * epoll has no word that says whether a look would find anything, so while
 * the loop has work it looks only once in LOOK_NS; before it sleeps it always
 * does, since sleeping is looking. What a look found and the queue had no
 * room for stays in `found` until the next turn. Where there are streams,
 * others wait for what comes on them, and it looks more often.
 *
 * Streams are watched for edges and read when somebody wants to take bytes,
 * until nothing is left; a send is a system call.
 */
#include "daemon/engine_ops.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FOUND_MAX = 64,
	LOOK_NS = 1000000,
	LOOK_STREAMS_NS = 10000,
	NS_PER_MS = 1000000,
	WAIT_MAX_MS = 60000,
};

struct engine_plain {
	struct engine base;
	int fd;
	uint64_t looked_ns;
	uint32_t taken; /* of what was found */
	uint32_t count;
	struct epoll_event found[FOUND_MAX];
};

static struct engine_plain *plain_of(struct engine *engine)
{
	assert(engine->ops->kind == ENGINE_PLAIN);
	return (struct engine_plain *)engine;
}

/* The listener must not block accept4() when a connection has gone again. */
static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int plain_arm(struct engine *engine, uint32_t index)
{
	const struct engine_watch *watch = &engine->watches[index];
	struct epoll_event event = {
		.events = EPOLLIN,
		.data.u64 = engine_token(engine, index),
	};

	if (watch->kind == ENGINE_CLIENT)
		event.events |= EPOLLRDHUP;
	if (watch->kind != ENGINE_ARRIVAL)
		event.events |= EPOLLET;
	else if (set_nonblocking(watch->fd) < 0)
		return -errno;
	if (epoll_ctl(plain_of(engine)->fd, EPOLL_CTL_ADD, watch->fd, &event) <
	    0)
		return -errno;
	return 0;
}

static void plain_disarm(struct engine *engine, uint32_t index)
{
	/* It fails only for a listener that had failed before. */
	(void)epoll_ctl(plain_of(engine)->fd, EPOLL_CTL_DEL,
			engine->watches[index].fd, NULL);
}

/* Connections, as many as there is room for; the rest is found again. */
static void accept_some(struct engine *engine, uint32_t index)
{
	while (!engine_queue_full(engine)) {
		int fd = accept4(engine->watches[index].fd, NULL, NULL,
				 SOCK_CLOEXEC);
		if (fd < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (fd < 0 && errno == ECONNABORTED)
			continue;
		engine_happened(engine, index, fd < 0 ? -errno : fd);
		if (fd >= 0)
			continue;
		plain_disarm(engine, index);
		return;
	}
}

static void look(struct engine_plain *plain, int timeout_ms)
{
	assert(plain->taken == plain->count);
	int count = epoll_wait(plain->fd, plain->found, FOUND_MAX, timeout_ms);
	plain->taken = 0;
	plain->count = count > 0 ? (uint32_t)count : 0;
}

/* ---- streams ---- */

static void stream_happened(struct engine_stream *stream, uint32_t events)
{
	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		engine_stream_writable(stream);
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		stream->receiving = true;
	if (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP))
		stream->hung = true;
}

/* Watched before it is read first: what is there already is an edge, too. */
static int plain_stream_open(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u64 = engine_make_token(index, stream->generation,
					      ENGINE_OF_RECEIVE),
	};

	if (epoll_ctl(plain_of(engine)->fd, EPOLL_CTL_ADD, stream->fd, &event) <
	    0)
		return -errno;
	return 0;
}

static bool plain_stream_close(struct engine *engine, uint32_t index)
{
	int result = epoll_ctl(plain_of(engine)->fd, EPOLL_CTL_DEL,
			       engine->streams[index].fd, NULL);

	assert(result == 0);
	return true;
}

/*
 * A read that did not fill the room has taken all there was, unless the end
 * lies behind it.
 */
static void plain_stream_receive(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];

	if (!stream->receiving)
		return;
	assert(stream->count == 0);
	ssize_t size = recv(stream->fd, stream->room, ENGINE_STREAM_ROOM,
			    MSG_DONTWAIT);
	if (size < 0 && errno == EINTR)
		return;
	stream->receiving =
		size == ENGINE_STREAM_ROOM || (size > 0 && stream->hung);
	if (size > 0)
		engine_stream_got(stream, 0, (uint32_t)size);
	else if (size == 0)
		engine_stream_ended(stream, 0);
	else if (errno != EAGAIN)
		engine_stream_ended(stream, -errno);
}

/* The room is free again; what came meanwhile is still in the socket. */
static void plain_stream_release(struct engine *engine, uint32_t index,
				 uint32_t buffer)
{
	assert(buffer == 0);
	assert(engine->streams[index].taken == 0 ||
	       engine->streams[index].state == ENGINE_STREAM_CLOSING);
}

static void plain_stream_send(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];
	ssize_t size = sendmsg(stream->fd, &stream->message,
			       MSG_DONTWAIT | MSG_NOSIGNAL);

	engine_stream_answered(engine, stream,
			       size < 0 ? -errno : (int32_t)size);
}

/* ---- turns ---- */

static void take_found(struct engine *engine, const struct epoll_event *found)
{
	uint64_t token = found->data.u64;
	uint32_t index;
	struct engine_stream *stream =
		engine_stream_of_token(engine, token, &index);
	const struct engine_watch *watch =
		engine_of_token(engine, token, &index);

	if (stream)
		stream_happened(stream, found->events);
	else if (watch && watch->kind == ENGINE_ARRIVAL)
		accept_some(engine, index);
	else if (watch)
		engine_happened(engine, index, -1);
}

static void plain_reap(struct engine *engine, uint64_t now_ns)
{
	struct engine_plain *plain = plain_of(engine);
	uint64_t pace_ns = engine->stream_used > 0 ? LOOK_STREAMS_NS : LOOK_NS;

	if (plain->taken == plain->count &&
	    now_ns - plain->looked_ns >= pace_ns) {
		plain->looked_ns = now_ns;
		look(plain, 0);
	}
	while (plain->taken < plain->count && !engine_queue_full(engine))
		take_found(engine, &plain->found[plain->taken++]);
}

/* Nothing is prepared here: the disk's thread was told by disk_flush(). */
static bool plain_prepared(struct engine *engine)
{
	(void)engine; /* whatever it is asked for it does at once */
	return false;
}

static int plain_submit(struct engine *engine)
{
	assert(plain_of(engine)->fd >= 0);
	return 0;
}

static int plain_wait(struct engine *engine, uint64_t timeout_ns)
{
	struct engine_plain *plain = plain_of(engine);
	uint64_t timeout_ms = (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;

	if (engine->queued > 0 || plain->taken < plain->count)
		return 0;
	if (timeout_ms > WAIT_MAX_MS)
		timeout_ms = WAIT_MAX_MS;
	look(plain, (int)timeout_ms);
	return 0;
}

static void plain_close(struct engine *engine)
{
	struct engine_plain *plain = plain_of(engine);

	(void)close(plain->fd); /* it holds no data */
}

static const struct engine_ops plain_ops = {
	.name = "plain",
	.kind = ENGINE_PLAIN,
	.arm = plain_arm,
	.disarm = plain_disarm,
	.reap = plain_reap,
	.prepared = plain_prepared,
	.submit = plain_submit,
	.wait = plain_wait,
	.close = plain_close,
	.stream_open = plain_stream_open,
	.stream_close = plain_stream_close,
	.stream_receive = plain_stream_receive,
	.stream_release = plain_stream_release,
	.stream_send = plain_stream_send,
};

int engine_plain_new(struct engine **ret_engine)
{
	struct engine_plain *plain = calloc(1, sizeof(*plain));

	_Static_assert(offsetof(struct engine_plain, base) == 0, "base");
	if (!plain)
		return -ENOMEM;
	plain->fd = epoll_create1(EPOLL_CLOEXEC);
	if (plain->fd < 0) {
		int error = -errno;
		free(plain);
		return error;
	}
	plain->base.ops = &plain_ops;
	*ret_engine = &plain->base;
	return 0;
}
