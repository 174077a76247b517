/*
 * What the engines share, and what each has of its own. Only the files
 * daemon/engine*.c include this.
 */
#ifndef DAEMON_ENGINE_OPS_H
#define DAEMON_ENGINE_OPS_H

#include "daemon/engine.h"

#include <sys/socket.h>

/* One watched descriptor; `kind` ENGINE_NOTHING: a free place. */
struct engine_watch {
	int fd;
	uint8_t kind; /* enum engine_event_kind */
	bool lost; /* not armed, for want of room in the kernel */
	uint32_t owner;
	uint32_t generation; /* of the place: changes when a watch ends */
	uint32_t next; /* free place */
};

enum engine_stream_places {
	ENGINE_STREAM_FREE = 0,
	/* enum engine_stream_state lies between */
	ENGINE_STREAM_CLOSING = 4, /* the kernel has not yet let go of it */
	/* Each stream has memory for what it receives, and for a ring of the
	 * kernel's that lists which of it is free. */
	ENGINE_STREAM_ROOM = ENGINE_PIECES * ENGINE_PIECE_SIZE,
	ENGINE_STREAM_RING = 4096,
};

/* Bytes that came: `size` of them in one of the stream's buffers. */
struct engine_piece {
	uint32_t buffer;
	uint32_t size;
};

struct engine_stream {
	int fd;
	uint8_t state; /* free, enum engine_stream_state, or closing */
	bool receiving; /* the kernel receives, or (plain) may have more */
	bool hung; /* plain: the end lies behind what may be there */
	bool polling; /* the kernel will tell when it can be written */
	bool full; /* it could not be written, and nothing was told yet */
	bool sending; /* handed in */
	bool sent; /* and answered, and not yet told */
	bool lost; /* no room in the kernel's queue to receive or poll */
	bool ready; /* uring: the kernel knows its memory */
	int error; /* why it ended */
	int32_t result; /* of the send: bytes or -errno */
	uint32_t generation;
	uint32_t next; /* free place */
	uint32_t asked; /* bytes of the send */
	uint32_t first; /* of the pieces */
	uint32_t count;
	uint32_t taken; /* bytes of the first */
	uint8_t *room;
	void *ring; /* uring: struct io_uring_buf_ring */
	struct engine_piece pieces[ENGINE_PIECES];
	struct msghdr message;
	struct iovec parts[ENGINE_PARTS_MAX];
};

/* An event that the loop has not yet taken. */
struct engine_queued {
	uint64_t token;
	int fd;
};

struct engine_ops {
	const char *name;
	enum engine_kind kind;
	int (*arm)(struct engine *engine, uint32_t index);
	void (*disarm)(struct engine *engine, uint32_t index);
	void (*reap)(struct engine *engine, uint64_t now_ns);
	bool (*prepared)(struct engine *engine);
	int (*submit)(struct engine *engine);
	int (*wait)(struct engine *engine, uint64_t timeout_ns);
	void (*close)(struct engine *engine);
	/* Once, when there is memory for streams; may be NULL. */
	int (*streams_begin)(struct engine *engine);
	/* Receives or connects, as its state says; -errno. */
	int (*stream_open)(struct engine *engine, uint32_t index);
	/* True: nothing of it is in the kernel any more. */
	bool (*stream_close)(struct engine *engine, uint32_t index);
	/* Receives what is there, if that is its way; a buffer may be free. */
	void (*stream_receive)(struct engine *engine, uint32_t index);
	/* The buffer's bytes were taken. */
	void (*stream_release)(struct engine *engine, uint32_t index,
			       uint32_t buffer);
	void (*stream_send)(struct engine *engine, uint32_t index);
};

struct engine {
	const struct engine_ops *ops;
	struct disk *disk;
	struct engine_watch *watches;
	uint32_t watch_count;
	uint32_t free; /* first free place; watch_count: none */
	int accepting[ENGINE_DOORS]; /* the listeners' watches, or -1 */
	struct engine_stream *streams;
	uint32_t stream_count;
	uint32_t stream_free; /* first free place; stream_count: none */
	uint32_t stream_used;
	uint32_t sending;
	uint8_t *stream_memory;
	size_t stream_memory_size;
	bool rung;
	bool lost; /* a watch or stream is */
	uint32_t head; /* of the queue */
	uint32_t queued;
	struct engine_queued queue[ENGINE_EVENTS_MAX];
};

enum {
	/* The token of requests whose answer is of no interest. */
	ENGINE_TOKEN_NONE = -2,
};

/* What a token speaks of: a watch, or something that a stream waits for. */
enum engine_token_kind {
	ENGINE_OF_WATCH = 0,
	ENGINE_OF_RECEIVE,
	ENGINE_OF_SEND,
	ENGINE_OF_POLL,
};

/*
 * A place, its generation and what it waits for in 64 bits. Bit 0 is never
 * set: it marks the disk's own completions in a ring.
 */
static inline uint64_t engine_make_token(uint32_t index, uint32_t generation,
					 enum engine_token_kind kind)
{
	return (uint64_t)generation << 32 | (uint64_t)index << 3 |
	       (uint64_t)kind << 1;
}

static inline enum engine_token_kind engine_token_kind(uint64_t token)
{
	return (enum engine_token_kind)(token >> 1 & 3);
}

static inline uint32_t engine_token_index(uint64_t token)
{
	return (uint32_t)token >> 3;
}

static inline uint64_t engine_token(const struct engine *engine, uint32_t index)
{
	return engine_make_token(index, engine->watches[index].generation,
				 ENGINE_OF_WATCH);
}

/* The watch that a token means, or NULL when it has ended. */
struct engine_watch *engine_of_token(struct engine *engine, uint64_t token,
				     uint32_t *ret_index);

static inline bool engine_queue_full(const struct engine *engine)
{
	return engine->queued == ENGINE_EVENTS_MAX;
}

/*
 * Queues what happened to a watch; doorbells and the disk need no place. An
 * arrival with -errno ends the watch when it is handed out.
 */
void engine_happened(struct engine *engine, uint32_t index, int fd);

/* Frees the place of a watch that the kernel knows no more. */
void engine_ended(struct engine *engine, uint32_t index);

/* A watch that could not be armed again is tried again in each turn. */
void engine_lost(struct engine *engine, uint32_t index);
void engine_find_lost(struct engine *engine);

/* ---- streams ---- */

int engine_streams_init(struct engine *engine, uint32_t count)
	__attribute__((warn_unused_result));
void engine_streams_release(struct engine *engine);

/* The stream that a token means, or NULL when it has ended. */
struct engine_stream *engine_stream_of_token(struct engine *engine,
					     uint64_t token,
					     uint32_t *ret_index);

/* `size` more bytes lie in a buffer. */
void engine_stream_got(struct engine_stream *stream, uint32_t buffer,
		       uint32_t size);

/* It ended, with 0 or -errno. */
void engine_stream_ended(struct engine_stream *stream, int error);

/* The send was answered. */
void engine_stream_answered(struct engine *engine, struct engine_stream *stream,
			    int32_t result);

/* It can be written again, or is connected, or could not be. */
void engine_stream_writable(struct engine_stream *stream);

/* Closes the descriptor of one that the kernel knows no more. */
void engine_stream_gone(struct engine *engine, uint32_t index);

/* Each allocates its own, which begins with `base`; free() is its end. */
int engine_uring_new(struct engine **ret_engine)
	__attribute__((warn_unused_result));
int engine_plain_new(struct engine **ret_engine)
	__attribute__((warn_unused_result));

#endif
