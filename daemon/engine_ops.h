/*
 * What the engines share, and what each has of its own. Only the files
 * daemon/engine*.c include this.
 */
#ifndef DAEMON_ENGINE_OPS_H
#define DAEMON_ENGINE_OPS_H

#include "daemon/engine.h"

/* One watched descriptor; `kind` ENGINE_NOTHING: a free place. */
struct engine_watch {
	int fd;
	uint8_t kind; /* enum engine_event_kind */
	bool lost; /* not armed, for want of room in the kernel */
	uint32_t owner;
	uint32_t generation; /* of the place: changes when a watch ends */
	uint32_t next; /* free place */
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
	int (*submit)(struct engine *engine);
	int (*wait)(struct engine *engine, uint64_t timeout_ns);
	void (*close)(struct engine *engine);
};

struct engine {
	const struct engine_ops *ops;
	struct disk *disk;
	struct engine_watch *watches;
	uint32_t watch_count;
	uint32_t free; /* first free place; watch_count: none */
	int accepting; /* the listener's watch, or -1 */
	bool rung;
	bool lost; /* a watch is */
	uint32_t head; /* of the queue */
	uint32_t queued;
	struct engine_queued queue[ENGINE_EVENTS_MAX];
};

enum {
	/* The token of requests whose answer is of no interest. */
	ENGINE_TOKEN_NONE = -2,
};

/*
 * A watch and its generation in 64 bits. Bit 0 is never set: it marks the
 * disk's own completions in a ring.
 */
static inline uint64_t engine_token(const struct engine *engine, uint32_t index)
{
	uint64_t generation = engine->watches[index].generation;

	return generation << 32 | (uint64_t)index << 1;
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

/* Each allocates its own, with `base` inside; NULL reason of failure: none. */
int engine_uring_new(struct engine **ret_engine, uint32_t watches)
	__attribute__((warn_unused_result));
int engine_plain_new(struct engine **ret_engine, uint32_t watches)
	__attribute__((warn_unused_result));

#endif
