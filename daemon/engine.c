/*
 * The choice of an engine, and the table of watches and queue of events that
 * both use.
 */
#include "daemon/engine_ops.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wal/disk_engine.h"

static int watches_init(struct engine *engine, uint32_t count)
{
	engine->watches = calloc(count, sizeof(*engine->watches));
	if (!engine->watches)
		return -ENOMEM;
	engine->watch_count = count;
	for (uint32_t i = 0; i < ENGINE_DOORS; i++)
		engine->accepting[i] = -1;
	for (uint32_t i = 0; i < count; i++)
		engine->watches[i] = (struct engine_watch){
			.fd = -1,
			.generation = 1,
			.next = i + 1,
		};
	return 0;
}

/* Why io_uring is not to be had, as a part of a sentence. */
static const char *why_not(int error)
{
	switch (error) {
	case -ENOSYS:
		return "this kernel, or a filter of system calls, has no "
		       "io_uring";
	case -EPERM:
	case -EACCES:
		return "io_uring is forbidden here, by a filter of system "
		       "calls or kernel.io_uring_disabled";
	case -ENOMEM:
		return "there is no memory, or no locked memory, for "
		       "io_uring";
	case -EINVAL:
		return "the io_uring of this kernel is too old, 6.1 is needed";
	default:
		return "io_uring could not be set up";
	}
}

/* An engine without its tables goes away again. */
static void drop(struct engine *engine)
{
	free(engine->watches);
	engine->ops->close(engine);
	engine_streams_release(engine);
	free(engine);
}

static int open_kind(struct engine **ret_engine, enum engine_kind kind,
		     const struct engine_sizes *sizes)
{
	struct engine *engine;
	int result = kind == ENGINE_URING ? engine_uring_new(&engine)
					  : engine_plain_new(&engine);

	if (result < 0)
		return result;
	result = watches_init(engine, sizes->watches);
	if (result == 0)
		result = engine_streams_init(engine, sizes->streams);
	if (result < 0) {
		drop(engine);
		return result;
	}
	*ret_engine = engine;
	return 0;
}

int engine_open(struct engine **ret_engine, enum engine_kind kind,
		const struct engine_sizes *sizes,
		char ret_reason[ENGINE_REASON_MAX])
{
	enum engine_kind first = kind == ENGINE_AUTO ? ENGINE_URING : kind;
	int result;

	assert(sizes->watches > 0 && sizes->watches < 1u << 28);
	assert(sizes->streams < 1u << 15);
	result = open_kind(ret_engine, first, sizes);
	(void)snprintf(ret_reason, ENGINE_REASON_MAX, "%s",
		       kind == ENGINE_AUTO ? "io_uring works here"
					   : "configured");
	if (result == 0)
		return 0;
	(void)snprintf(ret_reason, ENGINE_REASON_MAX, "%s (%s)",
		       first == ENGINE_URING ? why_not(result)
					     : "epoll could not be set up",
		       strerror(-result));
	if (kind != ENGINE_AUTO)
		return result;
	return open_kind(ret_engine, ENGINE_PLAIN, sizes);
}

void engine_close(struct engine *engine)
{
	if (engine)
		drop(engine);
}

enum engine_kind engine_kind(const struct engine *engine)
{
	return engine->ops->kind;
}

const char *engine_name(const struct engine *engine)
{
	return engine->ops->name;
}

int engine_set_disk(struct engine *engine, struct disk *disk)
{
	int fd = disk_wait_fd(disk);

	assert(!engine->disk);
	engine->disk = disk;
	if (engine->ops->kind == ENGINE_URING)
		return 0;
	int watch = engine_watch(engine, fd, ENGINE_DISK, 0);
	return watch < 0 ? watch : 0;
}

/* ---- watches ---- */

struct engine_watch *engine_of_token(struct engine *engine, uint64_t token,
				     uint32_t *ret_index)
{
	uint32_t index = engine_token_index(token);
	uint32_t generation = (uint32_t)(token >> 32);

	if (engine_token_kind(token) != ENGINE_OF_WATCH)
		return NULL;
	if (index >= engine->watch_count)
		return NULL;
	struct engine_watch *watch = &engine->watches[index];
	if (watch->kind == ENGINE_NOTHING || watch->generation != generation)
		return NULL;
	*ret_index = index;
	return watch;
}

int engine_watch(struct engine *engine, int fd, enum engine_event_kind kind,
		 uint32_t owner)
{
	uint32_t index = engine->free;

	assert(fd >= 0);
	assert(kind != ENGINE_NOTHING);
	if (index == engine->watch_count)
		return -ENOSPC;
	struct engine_watch *watch = &engine->watches[index];
	assert(watch->kind == ENGINE_NOTHING);
	engine->free = watch->next;
	watch->fd = fd;
	watch->kind = (uint8_t)kind;
	watch->owner = owner;
	int result = engine->ops->arm(engine, index);
	if (result < 0) {
		engine_ended(engine, index);
		return result;
	}
	return (int)index;
}

void engine_ended(struct engine *engine, uint32_t index)
{
	struct engine_watch *watch = &engine->watches[index];

	assert(watch->kind != ENGINE_NOTHING);
	if (watch->kind == ENGINE_ARRIVAL && watch->owner < ENGINE_DOORS)
		engine->accepting[watch->owner] = -1;
	watch->kind = ENGINE_NOTHING;
	watch->lost = false;
	watch->fd = -1;
	watch->generation++;
	watch->next = engine->free;
	engine->free = index;
}

void engine_unwatch(struct engine *engine, int watch)
{
	assert(watch >= 0 && (uint32_t)watch < engine->watch_count);
	engine->ops->disarm(engine, (uint32_t)watch);
	engine_ended(engine, (uint32_t)watch);
}

void engine_lost(struct engine *engine, uint32_t index)
{
	engine->watches[index].lost = true;
	engine->lost = true;
}

void engine_find_lost(struct engine *engine)
{
	if (!engine->lost)
		return;
	engine->lost = false;
	for (uint32_t i = 0; i < engine->watch_count; i++) {
		if (!engine->watches[i].lost)
			continue;
		engine->watches[i].lost = false;
		if (engine->ops->arm(engine, i) < 0)
			engine_lost(engine, i);
	}
	for (uint32_t i = 0; i < engine->stream_count; i++) {
		if (!engine->streams[i].lost)
			continue;
		engine->streams[i].lost = false;
		engine->ops->stream_receive(engine, i);
	}
}

int engine_accept(struct engine *engine, enum engine_door door, int fd)
{
	assert(door < ENGINE_DOORS);
	assert(engine->accepting[door] < 0);
	int watch = engine_watch(engine, fd, ENGINE_ARRIVAL, door);
	if (watch < 0)
		return watch;
	engine->accepting[door] = watch;
	return 0;
}

void engine_accept_stop(struct engine *engine, enum engine_door door)
{
	assert(door < ENGINE_DOORS);
	if (engine->accepting[door] >= 0)
		engine_unwatch(engine, engine->accepting[door]);
	assert(engine->accepting[door] < 0);
}

/* ---- events ---- */

void engine_happened(struct engine *engine, uint32_t index, int fd)
{
	uint8_t kind = engine->watches[index].kind;

	if (kind == ENGINE_BELL)
		engine->rung = true;
	if (kind == ENGINE_BELL || kind == ENGINE_DISK)
		return;
	assert(!engine_queue_full(engine));
	uint32_t place = (engine->head + engine->queued) % ENGINE_EVENTS_MAX;
	engine->queue[place].token = engine_token(engine, index);
	engine->queue[place].fd = fd;
	engine->queued++;
}

/* A connection whose listener's watch has ended meanwhile is let go. */
bool engine_next(struct engine *engine, struct engine_event *ret_event)
{
	while (engine->queued > 0) {
		struct engine_queued *queued = &engine->queue[engine->head];
		uint32_t index;
		engine->head = (engine->head + 1) % ENGINE_EVENTS_MAX;
		engine->queued--;
		const struct engine_watch *watch =
			engine_of_token(engine, queued->token, &index);
		if (watch) {
			ret_event->kind = watch->kind;
			ret_event->fd = queued->fd;
			ret_event->owner = watch->owner;
			if (watch->kind == ENGINE_ARRIVAL && queued->fd < 0)
				engine_ended(engine, index);
			return true;
		}
		if (queued->fd >= 0)
			(void)close(queued->fd); /* nothing was said on it */
	}
	return false;
}

bool engine_rung(struct engine *engine)
{
	bool rung = engine->rung;

	engine->rung = false;
	return rung;
}

void engine_reap(struct engine *engine, uint64_t now_ns)
{
	engine->ops->reap(engine, now_ns);
}

bool engine_is_prepared(struct engine *engine)
{
	return engine->ops->prepared(engine);
}

int engine_submit(struct engine *engine)
{
	return engine->ops->submit(engine);
}

int engine_wait(struct engine *engine, uint64_t timeout_ns)
{
	return engine->ops->wait(engine, timeout_ns);
}
