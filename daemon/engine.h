/*
 * What the loop needs of the kernel: to hand in what was prepared, to learn
 * what happened, and to sleep until something does.
 *
 * Two engines stand behind this header. io_uring: everything, the disk too,
 * goes through one ring, and a turn enters the kernel once; while it spins
 * the loop only looks at words in its own memory. plain: epoll, for where
 * io_uring is forbidden; the disk then has a thread of its own and says by an
 * eventfd that it finished something.
 *
 * A watched descriptor is told about when something *happens* to it, not as
 * long as something is (multishot poll, edge-triggered epoll): who reads
 * reads until nothing is left. Doorbells are never read at all; that one was
 * rung is a single bit for all, since the daemon then looks at all rings.
 *
 * A watch ends with engine_unwatch(), before its descriptor is closed. Each
 * has a generation, so what the kernel still says about it afterwards meets
 * nobody, even when its place was given to another.
 */
#ifndef DAEMON_ENGINE_H
#define DAEMON_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;
struct io_uring;

enum engine_kind {
	ENGINE_AUTO = 0,
	ENGINE_URING,
	ENGINE_PLAIN,
};

enum engine_limits {
	ENGINE_EVENTS_MAX = 16, /* handed out in one turn */
	ENGINE_REASON_MAX = 160,
};

enum engine_event_kind {
	ENGINE_NOTHING = 0,
	ENGINE_ARRIVAL, /* `fd` is a new connection, or -errno: accepting
			   has ended, see engine_accept() */
	ENGINE_CLIENT, /* a client's socket has something or has ended */
	ENGINE_DEATH, /* a client's process has ended */
	ENGINE_SIGNAL, /* the signal descriptor can be read */
	ENGINE_BELL, /* never handed out: see engine_rung() */
	ENGINE_DISK, /* nor this: the plain engine's disk finished */
};

struct engine_event {
	uint8_t kind; /* enum engine_event_kind */
	int fd;
	uint32_t owner; /* what engine_watch() was given */
};

struct engine;

/*
 * Opens the engine asked for; ENGINE_AUTO tries io_uring first. `watches` is
 * how many descriptors will be watched at most. *ret_reason (a sentence, for
 * the log) says why it became this one. Allocates; -errno when it fails.
 */
int engine_open(struct engine **ret_engine, enum engine_kind kind,
		uint32_t watches, char ret_reason[ENGINE_REASON_MAX])
	__attribute__((warn_unused_result));
void engine_close(struct engine *engine);

enum engine_kind engine_kind(const struct engine *engine);
const char *engine_name(const struct engine *engine);

/* The ring that the disk shares; NULL in the plain engine. */
struct io_uring *engine_ring(struct engine *engine);

/* Whose completions arrive here. Lent until engine_close(). */
int engine_set_disk(struct engine *engine, struct disk *disk)
	__attribute__((warn_unused_result));

/*
 * Accepts connections of `fd` (listening, non-blocking) until it fails:
 * then an arrival has -errno, and the caller may ask again, later when
 * descriptors ran out.
 */
int engine_accept(struct engine *engine, int fd)
	__attribute__((warn_unused_result));
void engine_accept_stop(struct engine *engine);

/* Watches `fd`; the watch's number, or -errno. */
int engine_watch(struct engine *engine, int fd, enum engine_event_kind kind,
		 uint32_t owner) __attribute__((warn_unused_result));
void engine_unwatch(struct engine *engine, int watch);

/*
 * Takes in what the kernel has already said: completions of the disk go to
 * the disk, the rest waits for engine_next(). `now_ns` paces the looks that
 * cost a system call.
 */
void engine_reap(struct engine *engine, uint64_t now_ns);
bool engine_next(struct engine *engine, struct engine_event *ret_event);

/* Whether a doorbell was rung since the last call. */
bool engine_rung(struct engine *engine);

/* Hands in what was prepared. */
int engine_submit(struct engine *engine) __attribute__((warn_unused_result));

/*
 * Hands in what was prepared and sleeps until something happens, at most
 * `timeout_ns`. 0, also for a timeout or a signal; else -errno.
 */
int engine_wait(struct engine *engine, uint64_t timeout_ns)
	__attribute__((warn_unused_result));

#endif
