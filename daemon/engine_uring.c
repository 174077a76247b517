/*
 * The io_uring engine: one ring for everything.
 *
 * With DEFER_TASKRUN the kernel finishes nothing behind the loop's back: it
 * sets TASKRUN in a word that is mapped here, and completions appear when the
 * loop next enters. So spinning is looking at two words, and the enter that
 * hands in new requests brings the completions of old ones along. Kernels
 * that lack a flag refuse it with EINVAL; then fewer are asked for.
 *
 * Watches are multishot polls; one that the kernel ends (its completion has
 * no F_MORE, as when the completion queue overflowed) is armed again. Closing
 * a descriptor does not end a poll, so disarming cancels it.
 */
#include "daemon/engine_uring.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "wal/disk_engine.h"

enum {
	SUBMISSIONS = 256,
	COMPLETIONS = 8192, /* four watches for each handle, and the disk */
};

/* From the best to what every kernel with io_uring has. */
static const uint32_t flag_sets[] = {
	IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		IORING_SETUP_TASKRUN_FLAG,
	IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL |
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	IORING_SETUP_CQSIZE,
};

static struct engine_uring *uring_of(struct engine *engine)
{
	assert(engine->ops->kind == ENGINE_URING);
	return (struct engine_uring *)engine;
}

struct io_uring *engine_ring(struct engine *engine)
{
	return engine->ops->kind == ENGINE_URING ? &uring_of(engine)->ring
						 : NULL;
}

/* A few codes mean "not now"; what was prepared stays prepared. */
static int now_or_later(int result)
{
	if (result >= 0 || result == -EAGAIN || result == -EBUSY ||
	    result == -EINTR || result == -ETIME)
		return 0;
	return result;
}

struct io_uring_sqe *engine_uring_entry(struct engine *engine)
{
	struct io_uring *ring = &uring_of(engine)->ring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (sqe)
		return sqe;
	(void)io_uring_submit(ring); /* only room is wanted; see below */
	return io_uring_get_sqe(ring);
}

static int uring_arm(struct engine *engine, uint32_t index)
{
	const struct engine_watch *watch = &engine->watches[index];
	struct io_uring_sqe *sqe = engine_uring_entry(engine);

	if (!sqe)
		return -EBUSY;
	if (watch->kind == ENGINE_ARRIVAL)
		io_uring_prep_multishot_accept(sqe, watch->fd, NULL, NULL,
					       SOCK_CLOEXEC);
	else if (watch->kind == ENGINE_CLIENT)
		io_uring_prep_poll_multishot(sqe, watch->fd,
					     POLLIN | POLLRDHUP);
	else
		io_uring_prep_poll_multishot(sqe, watch->fd, POLLIN);
	io_uring_sqe_set_data64(sqe, engine_token(engine, index));
	return 0;
}

/*
 * Without an entry the cancel is left out: the poll then ends with the
 * shutdown of its socket, or speaks to a generation that is over.
 */
static void uring_disarm(struct engine *engine, uint32_t index)
{
	struct io_uring_sqe *sqe = engine_uring_entry(engine);

	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, engine_token(engine, index), 0);
	io_uring_sqe_set_data64(sqe, (uint64_t)ENGINE_TOKEN_NONE);
}

/* What a completion says about a watch. */
static void take_watched(struct engine *engine, const struct io_uring_cqe *cqe)
{
	bool ended = !(cqe->flags & IORING_CQE_F_MORE);
	bool is_fd = cqe->res >= 0;
	uint32_t index;
	const struct engine_watch *watch =
		engine_of_token(engine, cqe->user_data, &index);

	if (!watch)
		return;
	if (watch->kind == ENGINE_ARRIVAL && !is_fd && !ended)
		return; /* one connection failed, accepting goes on */
	engine_happened(engine, index,
			watch->kind == ENGINE_ARRIVAL ? cqe->res : -1);
	if (!ended || (watch->kind == ENGINE_ARRIVAL && !is_fd))
		return;
	if (uring_arm(engine, index) < 0)
		engine_lost(engine, index);
}

static void uring_reap(struct engine *engine, uint64_t now_ns)
{
	struct io_uring *ring = &uring_of(engine)->ring;
	struct io_uring_cqe *cqe;
	uint32_t count = 0;
	unsigned int head;

	(void)now_ns; /* looking costs nothing here */
	engine_find_lost(engine);
	if (IO_URING_READ_ONCE(*ring->sq.kflags) &
	    (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
		(void)io_uring_get_events(ring); /* else in the next turn */
	io_uring_for_each_cqe(ring, head, cqe)
	{
		if (engine_queue_full(engine))
			break;
		count++;
		if (cqe->user_data & DISK_TAG)
			disk_complete(engine->disk, cqe->user_data, cqe->res);
		else if (engine_token_kind(cqe->user_data) != ENGINE_OF_WATCH)
			engine_uring_stream(engine, cqe);
		else
			take_watched(engine, cqe);
	}
	io_uring_cq_advance(ring, count);
}

static bool uring_prepared(struct engine *engine)
{
	return io_uring_sq_ready(&uring_of(engine)->ring) > 0;
}

static int uring_submit(struct engine *engine)
{
	struct io_uring *ring = &uring_of(engine)->ring;

	if (io_uring_sq_ready(ring) == 0)
		return 0;
	return now_or_later(io_uring_submit_and_get_events(ring));
}

static int uring_wait(struct engine *engine, uint64_t timeout_ns)
{
	struct io_uring *ring = &uring_of(engine)->ring;
	struct __kernel_timespec timeout = {
		.tv_sec = (int64_t)(timeout_ns / 1000000000),
		.tv_nsec = (int64_t)(timeout_ns % 1000000000),
	};
	struct io_uring_cqe *cqe;

	if (engine->queued > 0)
		return uring_submit(engine);
	return now_or_later(io_uring_submit_and_wait_timeout(ring, &cqe, 1,
							     &timeout, NULL));
}

static void uring_close(struct engine *engine)
{
	struct engine_uring *uring = uring_of(engine);

	io_uring_queue_exit(&uring->ring);
}

static const struct engine_ops uring_ops = {
	.name = "io_uring",
	.kind = ENGINE_URING,
	.arm = uring_arm,
	.disarm = uring_disarm,
	.reap = uring_reap,
	.prepared = uring_prepared,
	.submit = uring_submit,
	.wait = uring_wait,
	.close = uring_close,
	.streams_begin = engine_uring_streams_begin,
	.stream_open = engine_uring_stream_open,
	.stream_close = engine_uring_stream_close,
	.stream_receive = engine_uring_stream_receive,
	.stream_release = engine_uring_stream_release,
	.stream_send = engine_uring_stream_send,
};

static int open_ring(struct io_uring *ring)
{
	int result = -EINVAL;

	for (uint32_t i = 0; i < sizeof(flag_sets) / sizeof(flag_sets[0]);
	     i++) {
		struct io_uring_params params = {
			.flags = flag_sets[i],
			.cq_entries = COMPLETIONS,
		};
		result = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
		if (result != -EINVAL)
			break;
	}
	return result;
}

int engine_uring_new(struct engine **ret_engine)
{
	struct engine_uring *uring = calloc(1, sizeof(*uring));

	_Static_assert(offsetof(struct engine_uring, base) == 0, "base");
	if (!uring)
		return -ENOMEM;
	int result = open_ring(&uring->ring);
	if (result < 0) {
		free(uring);
		return result;
	}
	(void)io_uring_ring_dontfork(&uring->ring); /* nobody forks here */
	(void)io_uring_register_ring_fd(&uring->ring); /* saves a lookup */
	uring->base.ops = &uring_ops;
	*ret_engine = &uring->base;
	return 0;
}
