/*
 * Sleep and wake, in both directions. No word is written by both sides, and
 * no wake is sent to who does not sleep.
 *
 * Client to daemon. The client publishes its records, fences, and looks
 * whether the status page says that the daemon sleeps; only then it writes
 * the handle's eventfd. The daemon says that it sleeps, fences, looks at all
 * rings again, and only then enters the kernel.
 *
 * Daemon to client. The client reads the completion word, says that it
 * waits, and for what, fences, looks at its slots again, and sleeps on the
 * word with the value that it read first. The daemon posts slots, advances the
 * word, fences and looks whether the client waits; only then it wakes. Who
 * waits for a result is not woken because its request was taken. A client that
 * lives in an event loop *arms* instead: each change of `armed` asks for one
 * ring of the completion descriptor.
 *
 * The completion word counts posts, modulo 2^32: a client that has found as
 * many results as were counted need not look for more.
 *
 * Writers: client: waiting, armed. Daemon: sleeping, completion.
 * Order: [F1], [F2] and [R4], see shm/atomic.h.
 * Crash: a client that dies with `waiting` set costs the daemon a vain wake; a
 * daemon that dies is seen on the socket, at the latest after one slice.
 * Trust: the daemon never waits for a word of a client, and remembers by
 * itself what it counted and what it answered. A false `sleeping` costs the
 * client a vain write, a false `completion` a vain look.
 */
#ifndef SHM_WAKE_H
#define SHM_WAKE_H

#include "shm/abi.h"
#include "shm/atomic.h"

enum cv_wake_limits {
	CV_WAKE_SLICE_MS = 100, /* longest sleep before a look at the socket */
};

/* ---- client only ---- */

/* After records were published: does the daemon need its doorbell? */
static inline int cv_wake_doorbell(const struct cv_status *status)
{
	cv_fence_full(); /* [F1] */
	return cv_load_relaxed32(&status->sleeping) != 0;
}

/*
 * Says that the client is about to sleep; returns the value to sleep on. The
 * caller looks at its slots once more, then sleeps only while the completion
 * word has this value, then calls cv_wake_end_wait(). Room in a ring does not
 * change that word: a wake that came before the sleep is missed, and the sleep
 * should be a short one.
 */
static inline uint32_t cv_wake_announce_wait(struct cv_up_words *up,
					     const struct cv_down_words *down,
					     enum cv_waiting what)
{
	uint32_t value = cv_load_acquire32(&down->completion); /* [R4] */

	cv_store_relaxed32(&up->waiting, (uint32_t)what);
	cv_fence_full(); /* [F2] */
	return value;
}

/* How many posts there were so far, modulo 2^32. */
static inline uint32_t cv_wake_count(const struct cv_down_words *down)
{
	return cv_load_acquire32(&down->completion); /* [R4] */
}

static inline void cv_wake_end_wait(struct cv_up_words *up)
{
	cv_store_relaxed32(&up->waiting, CV_WAITING_NOT);
}

/* Asks for one ring of the completion descriptor; `count` must differ from the
 * last one and from 0. The caller looks at its slots once more behind it. */
static inline void cv_wake_arm(struct cv_up_words *up, uint32_t count)
{
	cv_store_relaxed32(&up->armed, count);
	cv_fence_full(); /* [F2] */
}

/* ---- daemon only ---- */

enum cv_wake {
	CV_WAKE_FUTEX = 1, /* FUTEX_WAKE on down->completion */
	CV_WAKE_EVENTFD = 2, /* write the completion descriptor */
};

/* What the daemon remembers of one handle; starts as zeros. */
struct cv_waker {
	uint32_t completion;
	uint32_t armed;
};

/*
 * After `count` slots were posted (0: only ring space was released): what does
 * the client need? A set of enum cv_wake, or 0. Each call answers an arming at
 * most once, so what it returns must be done, later in the turn.
 */
static inline uint32_t cv_wake_post(struct cv_waker *waker,
				    struct cv_down_words *down,
				    const struct cv_up_words *up,
				    uint32_t count)
{
	uint32_t wake = 0, armed, waiting;

	waker->completion += count;
	cv_store_release32(&down->completion, waker->completion); /* [R4] */
	cv_fence_full(); /* [F2] */
	waiting = cv_load_relaxed32(&up->waiting);
	if (waiting == CV_WAITING_ROOM ||
	    (waiting != CV_WAITING_NOT && count != 0))
		wake |= CV_WAKE_FUTEX;
	armed = cv_load_relaxed32(&up->armed);
	if (armed != waker->armed)
		wake |= CV_WAKE_EVENTFD;
	waker->armed = armed;
	return wake;
}

/* Says that the daemon sleeps; it looks at all rings again behind it. */
static inline void cv_wake_announce_sleep(struct cv_status *status)
{
	cv_store_relaxed32(&status->sleeping, 1);
	cv_fence_full(); /* [F1] */
}

static inline void cv_wake_end_sleep(struct cv_status *status)
{
	cv_store_relaxed32(&status->sleeping, 0);
}

#endif
