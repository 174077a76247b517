/*
 * The table of streams, and what is the same for both engines: which bytes
 * came and were taken, and what a send is told.
 *
 * A place goes from free over connecting or open, ended, and closing to free
 * again. Closing is where the kernel still has something of it: a receive
 * that is being cancelled, a send that was handed in. The descriptor is
 * closed only after that, so that no entry which is still to be submitted
 * can find its number given to another socket.
 */
#include "daemon/engine_ops.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int engine_streams_init(struct engine *engine, uint32_t count)
{
	size_t each = ENGINE_STREAM_ROOM + ENGINE_STREAM_RING;

	if (count == 0)
		return 0;
	engine->streams = calloc(count, sizeof(*engine->streams));
	if (!engine->streams)
		return -ENOMEM;
	/* Pages appear when a stream first receives. */
	void *memory = mmap(NULL, count * each, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	engine->stream_memory = memory;
	engine->stream_memory_size = count * each;
	engine->stream_count = count;
	for (uint32_t i = 0; i < count; i++) {
		struct engine_stream *stream = &engine->streams[i];
		stream->fd = -1;
		stream->generation = 1;
		stream->next = i + 1;
		stream->room = engine->stream_memory + i * each;
		stream->ring = stream->room + ENGINE_STREAM_ROOM;
	}
	return engine->ops->streams_begin ? engine->ops->streams_begin(engine)
					  : 0;
}

void engine_streams_release(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->stream_count; i++) {
		if (engine->streams[i].fd >= 0)
			(void)close(engine->streams[i].fd); /* ends it all */
	}
	free(engine->streams);
	if (engine->stream_memory) {
		int result = munmap(engine->stream_memory,
				    engine->stream_memory_size);
		assert(result == 0);
	}
}

struct engine_stream *engine_stream_of_token(struct engine *engine,
					     uint64_t token,
					     uint32_t *ret_index)
{
	uint32_t index = engine_token_index(token);

	if (engine_token_kind(token) == ENGINE_OF_WATCH)
		return NULL;
	if (index >= engine->stream_count)
		return NULL;
	struct engine_stream *stream = &engine->streams[index];
	if (stream->state == ENGINE_STREAM_FREE ||
	    stream->generation != (uint32_t)(token >> 32))
		return NULL;
	*ret_index = index;
	return stream;
}

/* One that its owner has not closed. */
static struct engine_stream *stream_at(const struct engine *engine, int stream)
{
	assert(stream >= 0 && (uint32_t)stream < engine->stream_count);
	struct engine_stream *at = &engine->streams[stream];
	assert(at->state != ENGINE_STREAM_FREE);
	assert(at->state != ENGINE_STREAM_CLOSING);
	return at;
}

/* ---- life ---- */

static void clear(struct engine_stream *stream)
{
	stream->receiving = false;
	stream->hung = false;
	stream->polling = false;
	stream->full = false;
	stream->sending = false;
	stream->sent = false;
	stream->lost = false;
	stream->error = 0;
	stream->first = 0;
	stream->count = 0;
	stream->taken = 0;
}

int engine_stream_open(struct engine *engine, int fd, bool connecting)
{
	uint32_t index = engine->stream_free;

	assert(fd >= 0);
	if (index == engine->stream_count)
		return -ENOSPC;
	struct engine_stream *stream = &engine->streams[index];
	assert(stream->state == ENGINE_STREAM_FREE);
	clear(stream);
	stream->fd = fd;
	stream->state =
		connecting ? ENGINE_STREAM_CONNECTING : ENGINE_STREAM_OPEN;
	stream->full = connecting;
	int result = engine->ops->stream_open(engine, index);
	if (result < 0) {
		stream->fd = -1;
		stream->state = ENGINE_STREAM_FREE;
		return result;
	}
	engine->stream_free = stream->next;
	engine->stream_used++;
	return (int)index;
}

void engine_stream_gone(struct engine *engine, uint32_t index)
{
	struct engine_stream *stream = &engine->streams[index];

	assert(stream->state == ENGINE_STREAM_CLOSING);
	assert(!stream->sending);
	(void)close(stream->fd); /* what it holds goes out, or is lost */
	stream->fd = -1;
	stream->state = ENGINE_STREAM_FREE;
	stream->generation++;
	stream->next = engine->stream_free;
	engine->stream_free = index;
	engine->stream_used--;
}

void engine_stream_close(struct engine *engine, int number)
{
	struct engine_stream *stream = stream_at(engine, number);
	uint32_t index = (uint32_t)number;

	/* A send that is still to be submitted finds that it is too late. */
	(void)shutdown(stream->fd, SHUT_RDWR); /* or it is gone */
	stream->state = ENGINE_STREAM_CLOSING;
	while (stream->count > 0) {
		stream->count--;
		engine->ops->stream_release(
			engine, index, stream->pieces[stream->first].buffer);
		stream->first = (stream->first + 1) % ENGINE_PIECES;
	}
	if (engine->ops->stream_close(engine, index))
		engine_stream_gone(engine, index);
}

void engine_stream_ended(struct engine_stream *stream, int error)
{
	assert(error <= 0);
	if (stream->state != ENGINE_STREAM_OPEN &&
	    stream->state != ENGINE_STREAM_CONNECTING)
		return;
	stream->state = ENGINE_STREAM_ENDED;
	stream->error = error;
}

enum engine_stream_state engine_stream_state(const struct engine *engine,
					     int stream)
{
	return (enum engine_stream_state)stream_at(engine, stream)->state;
}

int engine_stream_error(const struct engine *engine, int stream)
{
	return stream_at(engine, stream)->error;
}

/* ---- receiving ---- */

void engine_stream_got(struct engine_stream *stream, uint32_t buffer,
		       uint32_t size)
{
	uint32_t last = (stream->first + stream->count) % ENGINE_PIECES;

	assert(stream->count < ENGINE_PIECES);
	assert(size > 0);
	stream->pieces[last] = (struct engine_piece){buffer, size};
	stream->count++;
}

uint32_t engine_received(struct engine *engine, int number,
			 const uint8_t **ret_bytes)
{
	struct engine_stream *stream = stream_at(engine, number);

	if (stream->count == 0 && stream->state == ENGINE_STREAM_OPEN)
		engine->ops->stream_receive(engine, (uint32_t)number);
	if (stream->count == 0)
		return 0;
	const struct engine_piece *piece = &stream->pieces[stream->first];
	assert(stream->taken < piece->size);
	*ret_bytes = stream->room + piece->buffer * ENGINE_PIECE_SIZE +
		     stream->taken;
	return piece->size - stream->taken;
}

void engine_take(struct engine *engine, int number, uint32_t size)
{
	struct engine_stream *stream = stream_at(engine, number);
	struct engine_piece *piece = &stream->pieces[stream->first];

	assert(stream->count > 0);
	assert(size <= piece->size - stream->taken);
	stream->taken += size;
	if (stream->taken < piece->size)
		return;
	stream->taken = 0;
	stream->first = (stream->first + 1) % ENGINE_PIECES;
	stream->count--;
	engine->ops->stream_release(engine, (uint32_t)number, piece->buffer);
}

/* ---- sending ---- */

bool engine_can_send(const struct engine *engine, int number)
{
	const struct engine_stream *stream = stream_at(engine, number);

	return stream->state == ENGINE_STREAM_OPEN && !stream->full &&
	       !stream->sending && !stream->sent;
}

struct iovec *engine_parts(struct engine *engine, int number)
{
	return stream_at(engine, number)->parts;
}

void engine_send(struct engine *engine, int number, uint32_t count)
{
	struct engine_stream *stream = stream_at(engine, number);

	assert(engine_can_send(engine, number));
	assert(count > 0 && count <= ENGINE_PARTS_MAX);
	stream->asked = 0;
	for (uint32_t i = 0; i < count; i++)
		stream->asked += (uint32_t)stream->parts[i].iov_len;
	assert(stream->asked > 0);
	stream->message = (struct msghdr){
		.msg_iov = stream->parts,
		.msg_iovlen = count,
	};
	stream->sending = true;
	engine->sending++;
	engine->ops->stream_send(engine, (uint32_t)number);
}

void engine_stream_answered(struct engine *engine, struct engine_stream *stream,
			    int32_t result)
{
	assert(stream->sending && engine->sending > 0);
	stream->sending = false;
	engine->sending--;
	stream->sent = true;
	stream->result = result > 0 ? result : 0;
	assert((uint32_t)stream->result <= stream->asked);
	if (result >= 0 || result == -EAGAIN || result == -EINTR)
		stream->full = (uint32_t)stream->result < stream->asked;
	else
		engine_stream_ended(stream, result);
}

bool engine_sent(struct engine *engine, int number, uint32_t *ret_size)
{
	struct engine_stream *stream = stream_at(engine, number);

	if (!stream->sent)
		return false;
	stream->sent = false;
	*ret_size = (uint32_t)stream->result;
	return true;
}

uint32_t engine_sending(const struct engine *engine)
{
	return engine->sending;
}

void engine_stream_writable(struct engine_stream *stream)
{
	socklen_t size = sizeof(int);
	int error = 0;

	stream->full = false;
	if (stream->state != ENGINE_STREAM_CONNECTING)
		return;
	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error == 0)
		stream->state = ENGINE_STREAM_OPEN;
	else
		engine_stream_ended(stream, -error);
}
