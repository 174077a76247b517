/*
 * Streams of the io_uring engine.
 *
 * A stream has one multishot receive and a ring of buffers of its own, so
 * that who does not take what came exhausts nobody else's: the receive then
 * ends with ENOBUFS and is armed again when a buffer is free. A send never
 * waits in the kernel (MSG_DONTWAIT): its completion is there when the enter
 * that handed it in returns. A socket that was full is polled for room.
 */
#include "daemon/engine_uring.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

enum {
	PIECES_MASK = ENGINE_PIECES - 1,
};

_Static_assert((ENGINE_PIECES & PIECES_MASK) == 0, "a power of two");
_Static_assert(ENGINE_PIECES * sizeof(struct io_uring_buf) <=
		       ENGINE_STREAM_RING,
	       "ring of buffers");

static uint64_t stream_token(const struct engine *engine, uint32_t index,
			     enum engine_token_kind kind)
{
	return engine_make_token(index, engine->streams[index].generation,
				 kind);
}

/* It is tried again in each turn until there is room to hand it in. */
static void stream_lost(struct engine *engine, struct engine_stream *stream)
{
	stream->lost = true;
	engine->lost = true;
}

static void offer(struct engine_stream *stream, uint32_t buffer)
{
	struct io_uring_buf_ring *ring = stream->ring;

	assert(buffer < ENGINE_PIECES);
	io_uring_buf_ring_add(ring, stream->room + buffer * ENGINE_PIECE_SIZE,
			      ENGINE_PIECE_SIZE, (unsigned short)buffer,
			      PIECES_MASK, 0);
	io_uring_buf_ring_advance(ring, 1);
}

/* Makes the stream's memory known to the kernel, once for ever. */
static int make_ready(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];
	struct io_uring_buf_reg registration = {
		.ring_addr = (uint64_t)(uintptr_t)stream->ring,
		.ring_entries = ENGINE_PIECES,
		.bgid = (uint16_t)index,
	};

	if (stream->ready)
		return 0;
	io_uring_buf_ring_init(stream->ring);
	int result = io_uring_register_buf_ring(engine_ring(engine),
						&registration, 0);
	if (result < 0)
		return result;
	for (uint32_t i = 0; i < ENGINE_PIECES; i++)
		offer(stream, i);
	stream->ready = true;
	return 0;
}

/* A kernel without rings of buffers is found out at once. */
int engine_uring_streams_begin(struct engine *engine)
{
	return make_ready(engine, 0);
}

static void arm_receive(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];
	struct io_uring_sqe *sqe = engine_uring_entry(engine);

	assert(!stream->receiving && stream->count < ENGINE_PIECES);
	if (!sqe) {
		stream_lost(engine, stream);
		return;
	}
	io_uring_prep_recv_multishot(sqe, stream->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = (uint16_t)index;
	io_uring_sqe_set_data64(sqe,
				stream_token(engine, index, ENGINE_OF_RECEIVE));
	stream->receiving = true;
}

static void arm_poll(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];
	struct io_uring_sqe *sqe = engine_uring_entry(engine);

	assert(!stream->polling && stream->full);
	if (!sqe) {
		stream_lost(engine, stream);
		return;
	}
	io_uring_prep_poll_add(sqe, stream->fd, POLLOUT);
	io_uring_sqe_set_data64(sqe,
				stream_token(engine, index, ENGINE_OF_POLL));
	stream->polling = true;
}

/* Hands in what is missing. */
void engine_uring_stream_receive(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];
	bool open = stream->state == ENGINE_STREAM_OPEN;

	if (open && !stream->receiving && stream->count < ENGINE_PIECES)
		arm_receive(engine, index);
	if ((open || stream->state == ENGINE_STREAM_CONNECTING) &&
	    stream->full && !stream->polling)
		arm_poll(engine, index);
}

int engine_uring_stream_open(struct engine *engine, uint32_t index)
{
	int result = make_ready(engine, index);

	if (result < 0)
		return result;
	engine_uring_stream_receive(engine, index);
	return 0;
}

static bool in_kernel(const struct engine_stream *stream)
{
	return stream->receiving || stream->polling || stream->sending;
}

/* Without an entry for it the shutdown alone ends what is under way. */
static void cancel(struct engine *engine, uint32_t index,
		   enum engine_token_kind kind)
{
	struct io_uring_sqe *sqe = engine_uring_entry(engine);

	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, stream_token(engine, index, kind), 0);
	io_uring_sqe_set_data64(sqe, (uint64_t)ENGINE_TOKEN_NONE);
}

bool engine_uring_stream_close(struct engine *engine, uint32_t index)
{
	const struct engine_stream *stream = &engine->streams[index];

	if (stream->receiving)
		cancel(engine, index, ENGINE_OF_RECEIVE);
	if (stream->polling)
		cancel(engine, index, ENGINE_OF_POLL);
	return !in_kernel(stream);
}

void engine_uring_stream_release(struct engine *engine, uint32_t index,
				 uint32_t buffer)
{
	offer(&engine->streams[index], buffer);
	engine_uring_stream_receive(engine, index);
}

void engine_uring_stream_send(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];
	struct io_uring_sqe *sqe = engine_uring_entry(engine);

	if (!sqe) { /* as if the socket had been full */
		engine_stream_answered(engine, stream, -EAGAIN);
		engine_uring_stream_receive(engine, index);
		return;
	}
	io_uring_prep_sendmsg(sqe, stream->fd, &stream->message,
			      MSG_DONTWAIT | MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe,
				stream_token(engine, index, ENGINE_OF_SEND));
}

/*
 * What was received, into which buffer, and whether that was the last of this
 * receive: because the stream ended, or only because no buffer was free.
 */
static void take_received(struct engine *engine, uint32_t index,
			  const struct io_uring_cqe *cqe)
{
	struct engine_stream *stream = &engine->streams[index];
	bool wanted = stream->state != ENGINE_STREAM_CLOSING && cqe->res > 0;

	if (cqe->flags & IORING_CQE_F_BUFFER) {
		uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
		if (wanted)
			engine_stream_got(stream, buffer, (uint32_t)cqe->res);
		else
			offer(stream, buffer);
	}
	if (cqe->flags & IORING_CQE_F_MORE)
		return;
	stream->receiving = false;
	if (cqe->res == 0)
		engine_stream_ended(stream, 0);
	else if (cqe->res < 0 && cqe->res != -ENOBUFS && cqe->res != -EINTR &&
		 cqe->res != -EAGAIN)
		engine_stream_ended(stream, cqe->res);
}

void engine_uring_stream(struct engine *engine, const struct io_uring_cqe *cqe)
{
	uint32_t index;
	struct engine_stream *stream =
		engine_stream_of_token(engine, cqe->user_data, &index);

	if (!stream)
		return;
	switch (engine_token_kind(cqe->user_data)) {
	case ENGINE_OF_RECEIVE:
		take_received(engine, index, cqe);
		break;
	case ENGINE_OF_SEND:
		engine_stream_answered(engine, stream, cqe->res);
		break;
	default:
		stream->polling = false;
		engine_stream_writable(stream);
		break;
	}
	if (stream->state != ENGINE_STREAM_CLOSING)
		engine_uring_stream_receive(engine, index);
	else if (!in_kernel(stream))
		engine_stream_gone(engine, index);
}
