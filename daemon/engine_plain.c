/*
 * The plain engine: epoll, for hosts that forbid io_uring.
 *
 * epoll has no word that says whether a look would find anything, so while
 * the loop has work it looks only once in LOOK_NS; before it sleeps it always
 * does, since sleeping is looking. What a look found and the queue had no
 * room for stays in `found` until the next turn.
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

static void plain_reap(struct engine *engine, uint64_t now_ns)
{
	struct engine_plain *plain = plain_of(engine);

	if (plain->taken == plain->count &&
	    now_ns - plain->looked_ns >= LOOK_NS) {
		plain->looked_ns = now_ns;
		look(plain, 0);
	}
	while (plain->taken < plain->count && !engine_queue_full(engine)) {
		uint64_t token = plain->found[plain->taken++].data.u64;
		uint32_t index;
		const struct engine_watch *watch =
			engine_of_token(engine, token, &index);
		if (watch && watch->kind == ENGINE_ARRIVAL)
			accept_some(engine, index);
		else if (watch)
			engine_happened(engine, index, -1);
	}
}

/* Nothing is prepared here: the disk's thread was told by disk_flush(). */
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
	free(plain);
}

static const struct engine_ops plain_ops = {
	.name = "plain",
	.kind = ENGINE_PLAIN,
	.arm = plain_arm,
	.disarm = plain_disarm,
	.reap = plain_reap,
	.submit = plain_submit,
	.wait = plain_wait,
	.close = plain_close,
};

int engine_plain_new(struct engine **ret_engine, uint32_t watches)
{
	struct engine_plain *plain = calloc(1, sizeof(*plain));

	assert(watches > 0);
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
