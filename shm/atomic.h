/*
 * Words that two processes touch. They are plain integers, so that the layout
 * (shm/abi.h) means the same in C, C++ and other languages; the order of an
 * access is in the name of the function that makes it.
 *
 * Every call that releases, acquires, fences or exchanges bears a tag that it
 * shares with its partner on the other side. These are all there are:
 *
 *   [R1]  length of a record: cv_ring_publish(), and the pad of
 *         cv_ring_reserve(), with cv_ring_peek(). Makes the body of the
 *         record, the claim word and the zero behind it visible.
 *   [R2]  generation of a slot: cv_slot_post() with cv_slot_posted(). Makes
 *         the result and the reply visible.
 *   [R3]  head of a ring: cv_ring_release() with cv_ring_refresh(). The
 *         daemon has read what it gives back before the client overwrites it.
 *   [R4]  completion word: cv_wake_post() with cv_wake_announce_wait() and
 *         cv_wake_count(). Who sees the count sees the posts that it counts,
 *         so nobody sleeps on a value that already tells of its result.
 *   [C1]  claim word: cv_claim_take() with cv_claim_cancel(). One of the two
 *         wins, once.
 *   [F1]  doorbell: cv_wake_doorbell() with cv_wake_announce_sleep(). Either
 *         the client sees that the daemon sleeps, or the daemon sees the
 *         record when it looks again.
 *   [F2]  completion: cv_wake_announce_wait() and cv_wake_arm() with
 *         cv_wake_post(). Either the daemon sees that the client waits, or
 *         the client sees the completion when it looks again.
 *
 * Relaxed accesses order nothing and bear no tag.
 */
#ifndef SHM_ATOMIC_H
#define SHM_ATOMIC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shm/touch.h"

static inline uint32_t cv_load_relaxed32(const uint32_t *word)
{
	cv_env_touch(CV_TOUCH_LOAD);
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t cv_load_relaxed64(const uint64_t *word)
{
	cv_env_touch(CV_TOUCH_LOAD);
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint32_t cv_load_acquire32(const uint32_t *word)
{
	cv_env_touch(CV_TOUCH_LOAD);
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint64_t cv_load_acquire64(const uint64_t *word)
{
	cv_env_touch(CV_TOUCH_LOAD);
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void cv_store_relaxed32(uint32_t *word, uint32_t value)
{
	cv_env_touch(CV_TOUCH_STORE);
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void cv_store_relaxed64(uint64_t *word, uint64_t value)
{
	cv_env_touch(CV_TOUCH_STORE);
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void cv_store_release32(uint32_t *word, uint32_t value)
{
	cv_env_touch(CV_TOUCH_STORE);
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void cv_store_release64(uint64_t *word, uint64_t value)
{
	cv_env_touch(CV_TOUCH_STORE);
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* 1 when *word was `expected` and is now `desired`, else 0. */
static inline int cv_cas_acq_rel64(uint64_t *word, uint64_t expected,
				   uint64_t desired)
{
	cv_env_touch(CV_TOUCH_EXCHANGE);
	return __atomic_compare_exchange_n(word, &expected, desired, 0,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Orders everything before it with everything behind it, loads included. */
static inline void cv_fence_full(void)
{
	cv_env_touch(CV_TOUCH_FENCE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*
 * Copies into or out of shared memory. The order comes from the tagged word
 * next to which it stands.
 */
static inline void cv_copy(void *to, const void *from, size_t size)
{
	cv_env_touch(CV_TOUCH_COPY);
	if (size != 0)
		memcpy(to, from, size);
}

#endif
