/*
 * The io_uring engine in two files: the ring with its watches, and streams.
 */
#ifndef DAEMON_ENGINE_URING_H
#define DAEMON_ENGINE_URING_H

#include "daemon/engine_ops.h"

#include <liburing.h>

struct engine_uring {
	struct engine base;
	struct io_uring ring;
};

/* An entry to prepare, or NULL: there is no room now. */
struct io_uring_sqe *engine_uring_entry(struct engine *engine);

/* What a completion says about a stream. */
void engine_uring_stream(struct engine *engine, const struct io_uring_cqe *cqe);

int engine_uring_streams_begin(struct engine *engine)
	__attribute__((warn_unused_result));
int engine_uring_stream_open(struct engine *engine, uint32_t index)
	__attribute__((warn_unused_result));
bool engine_uring_stream_close(struct engine *engine, uint32_t index);
void engine_uring_stream_receive(struct engine *engine, uint32_t index);
void engine_uring_stream_release(struct engine *engine, uint32_t index,
				 uint32_t buffer);
void engine_uring_stream_send(struct engine *engine, uint32_t index);

#endif
