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
 *
 * A stream is a connected socket that the engine owns: it receives ahead into
 * memory of its own, a fixed amount for each stream, so whoever is slow to
 * take what came stops nobody but the peer that sent it. One send of a list
 * of pieces may be under way on each; it takes what fits the socket at once
 * and never waits, so the pieces are needed no longer than until the next
 * engine_submit() and engine_reap(). Nothing is handed out about streams:
 * whoever has one looks at it in each turn, which costs no system call.
 */
#ifndef DAEMON_ENGINE_H
#define DAEMON_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

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
	ENGINE_PIECES = 16, /* received ahead on a stream */
	ENGINE_PIECE_SIZE = 16 << 10,
	ENGINE_PARTS_MAX = 64, /* of one send */
};

/* Who waits behind a listener. */
enum engine_door {
	ENGINE_DOOR_CLIENTS = 0,
	ENGINE_DOOR_PEERS,
	ENGINE_DOORS,
};

enum engine_event_kind {
	ENGINE_NOTHING = 0,
	ENGINE_ARRIVAL, /* `fd` is a new connection at door `owner`, or -errno:
			   accepting has ended there, see engine_accept() */
	ENGINE_CLIENT, /* a client's socket has something or has ended */
	ENGINE_DEATH, /* a client's process has ended */
	ENGINE_SIGNAL, /* the signal descriptor can be read */
	ENGINE_NAME, /* a host's name was looked up */
	ENGINE_BELL, /* never handed out: see engine_rung() */
	ENGINE_DISK, /* nor this: the plain engine's disk finished */
};

struct engine_event {
	uint8_t kind; /* enum engine_event_kind */
	int fd;
	uint32_t owner; /* what engine_watch() was given */
};

struct engine;

/* How many there will be at most. */
struct engine_sizes {
	uint32_t watches;
	uint32_t streams;
};

/*
 * Opens the engine asked for; ENGINE_AUTO tries io_uring first. *ret_reason
 * (a sentence, for the log) says why it became this one. Allocates; -errno
 * when it fails.
 */
int engine_open(struct engine **ret_engine, enum engine_kind kind,
		const struct engine_sizes *sizes,
		char ret_reason[ENGINE_REASON_MAX])
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
int engine_accept(struct engine *engine, enum engine_door door, int fd)
	__attribute__((warn_unused_result));
void engine_accept_stop(struct engine *engine, enum engine_door door);

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

/* ---- streams ---- */

enum engine_stream_state {
	ENGINE_STREAM_CONNECTING = 1,
	ENGINE_STREAM_OPEN,
	ENGINE_STREAM_ENDED, /* the peer hung up, or it broke */
};

/*
 * Takes over `fd` and receives from now on what comes on it; with
 * `connecting`, for which connect() said EINPROGRESS, as soon as it is
 * connected. The stream's number; or -errno, and `fd` stays the caller's.
 */
int engine_stream_open(struct engine *engine, int fd, bool connecting)
	__attribute__((warn_unused_result));

/*
 * Ends and closes it at once; what the socket had taken of earlier sends
 * still goes out. Its number is given away again only after the kernel has
 * let go of it.
 */
void engine_stream_close(struct engine *engine, int stream);

/* What was received before it ended may still be taken. */
enum engine_stream_state engine_stream_state(const struct engine *engine,
					     int stream);

/* Why it ended: 0: the peer hung up, or -errno. */
int engine_stream_error(const struct engine *engine, int stream)
	__attribute__((warn_unused_result));

/*
 * The next bytes that came, and how many lie there (0: none now). Lent until
 * engine_take(), which says how many of them are no longer needed.
 */
uint32_t engine_received(struct engine *engine, int stream,
			 const uint8_t **ret_bytes);
void engine_take(struct engine *engine, int stream, uint32_t size);

/* Whether engine_send() would do something. */
bool engine_can_send(const struct engine *engine, int stream);

/*
 * Sends what the first `count` of engine_parts() name (the caller fills them;
 * not empty). Then, after engine_submit() and engine_reap(), engine_sent() is
 * true once and says how many bytes were taken; some or none mean that the
 * socket is full, and engine_can_send() says when it is no more.
 */
struct iovec *engine_parts(struct engine *engine, int stream);
void engine_send(struct engine *engine, int stream, uint32_t count);
bool engine_sent(struct engine *engine, int stream, uint32_t *ret_size);

/*
 * Sends that were handed in and not yet heard of. While there are, the pieces
 * they name are still needed: submit and reap again.
 */
uint32_t engine_sending(const struct engine *engine);

/* Whether anything is prepared that engine_submit() is to hand in. */
bool engine_is_prepared(struct engine *engine);

/* Hands in what was prepared. */
int engine_submit(struct engine *engine) __attribute__((warn_unused_result));

/*
 * Hands in what was prepared and sleeps until something happens, at most
 * `timeout_ns`. 0, also for a timeout or a signal; else -errno.
 */
int engine_wait(struct engine *engine, uint64_t timeout_ns)
	__attribute__((warn_unused_result));

#endif
