/*
 * The seam between the client and the world: every system call and every
 * clock read of the client goes through one of these functions (accesses to
 * shared words go through shm/touch.h). They are resolved at compile time: by
 * default to the inline functions of shm/env_linux.h; with CONCLAVE_SIM_ENV to
 * functions that the simulator defines, so that the very header that
 * applications use can be run in virtual time.
 *
 * All return 0 or more, or -errno, unless they say otherwise. Those that may
 * block say so: in the simulator, other coroutines run meanwhile.
 */
#ifndef SHM_ENV_H
#define SHM_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "shm/touch.h"

#define CV_MUST_USE __attribute__((warn_unused_result))

#ifdef CONCLAVE_SIM_ENV
#define CV_ENV extern
#else
#define CV_ENV static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum cv_env_limits {
	CV_ENV_FDS = 8, /* most descriptors in one message */
};

enum cv_env_ready {
	CV_ENV_READABLE = 1,
	CV_ENV_HUNG_UP = 2,
};

/* A message that arrived, and the descriptors that came with it. */
struct cv_env_message {
	void *bytes;
	size_t size; /* in: room; out: what came, 0: the peer has closed */
	int fds[CV_ENV_FDS];
	uint32_t fd_count;
};

/* A SOCK_SEQPACKET socket, close-on-exec, that never blocks. */
CV_ENV int cv_env_socket(void) CV_MUST_USE;

/* -EAGAIN: the daemon is there, but its backlog is full. */
CV_ENV int cv_env_connect(int fd, const char *path) CV_MUST_USE;

/* The user that the other end runs as. */
CV_ENV int cv_env_peer_uid(int fd, uint32_t *ret_uid) CV_MUST_USE;

/* One whole message, or an error; no SIGPIPE. */
CV_ENV int cv_env_send(int fd, const void *bytes, size_t size) CV_MUST_USE;

/*
 * The next message; -EAGAIN when none is there, -EMSGSIZE when it, or its
 * descriptors, did not fit (nothing is left open then). Descriptors that
 * arrive are close-on-exec and belong to the caller.
 */
CV_ENV int cv_env_receive(int fd, struct cv_env_message *message) CV_MUST_USE;

/* May block, up to timeout_ms. A set of enum cv_env_ready, 0: timed out. */
CV_ENV int cv_env_poll(int fd, int timeout_ms) CV_MUST_USE;

CV_ENV void cv_env_close(int fd);

/* The size of what a descriptor stands for, when it can no longer shrink;
 * -EPROTO when it can. */
CV_ENV int64_t cv_env_sealed_size(int fd) CV_MUST_USE;

/* A shared mapping, kept from children; NULL when that fails. */
CV_ENV void *cv_env_map(int fd, size_t size, int writable) CV_MUST_USE;

/* Private zeroed memory; `wiped`: a child finds it zeroed. NULL: none. */
CV_ENV void *cv_env_memory(size_t size, int wiped) CV_MUST_USE;

/* Of either kind. */
CV_ENV void cv_env_unmap(void *base, size_t size);

/* Blocks while *word == value, up to `ns`: 0 when woken, -EAGAIN when the
 * value differs, -ETIMEDOUT, -EINTR. */
CV_ENV int cv_env_futex_wait(const uint32_t *word, uint32_t value,
			     uint64_t ns) CV_MUST_USE;

/* Rings a doorbell. */
CV_ENV void cv_env_ring(int eventfd);

/* Bytes that nobody can guess. */
CV_ENV int cv_env_random(void *bytes, size_t size) CV_MUST_USE;

/* CLOCK_MONOTONIC; the coarse one is cheap and some milliseconds late. */
CV_ENV uint64_t cv_env_now(void);
CV_ENV uint64_t cv_env_now_coarse(void);
/* CLOCK_BOOTTIME. */
CV_ENV uint64_t cv_env_boot_now(void);

/* Blocks for `ns`: 0 or -EINTR. */
CV_ENV int cv_env_sleep(uint64_t ns) CV_MUST_USE;

/* A moment of a spin loop; another coroutine may run. */
CV_ENV void cv_env_relax(void);

/* How many CPUs this thread may run on, at least 1. */
CV_ENV uint32_t cv_env_cpus(void);

/* The user whom the kernel checks. */
CV_ENV uint32_t cv_env_uid(void);

/* A variable of the environment, or NULL. */
CV_ENV const char *cv_env_variable(const char *name);

/*
 * A descriptor that becomes readable when something happens to one of those
 * that were added; cv_env_gather_clear() makes it unreadable until something
 * new happens.
 */
CV_ENV int cv_env_gather(void) CV_MUST_USE;
CV_ENV int cv_env_gather_add(int gather, int fd) CV_MUST_USE;
CV_ENV void cv_env_gather_clear(int gather);

#ifdef __cplusplus
}
#endif

#ifndef CONCLAVE_SIM_ENV
#include "shm/env_linux.h"
#endif

#endif
