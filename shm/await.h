/*
 * Waiting: spin a little, then sleep in slices, and look at the socket
 * between them, so that neither a lost wake nor a dead daemon can hang a
 * client. Every wait ends.
 *
 * How long it spins is learnt: twice as long after a spin that paid off, half
 * as long after one that did not, and the whole budget again when a sleep
 * turns out to have been shorter than that.
 */
#ifndef SHM_AWAIT_H
#define SHM_AWAIT_H

#include "shm/request.h"

enum cv_await_limits {
	CV_SPIN_LOOKS = 32, /* between two looks at the clock */
	CV_SPIN_MIN_NS = 1000,
	CV_SLICE_FIRST_NS = 5000000, /* then longer ones */
	CV_ROOM_SLICE_NS = 1000000, /* longest sleep for room in a ring */
};

static inline uint64_t cv_after(uint64_t now, uint64_t ns)
{
	return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

/* ---- spinning ---- */

/* 1 when it became ready before the budget or the time was over. */
static inline int cv_spin(struct conclave *c, struct conclave_req *req,
			  uint64_t until_ns)
{
	uint64_t start = cv_env_now(), now = start;
	uint32_t i;

	while (c->link_state == CV_LINK_UP && now < until_ns &&
	       (c->spin_ns == UINT64_MAX || now - start < c->spin_ns)) {
		for (i = 0; i < CV_SPIN_LOOKS; i++) {
			if (cv_ready(c, req, 0))
				return 1;
			cv_env_relax();
		}
		cv_tend(c);
		now = cv_env_now();
	}
	return cv_ready(c, req, 0);
}

static inline void cv_spin_learn(struct conclave *c, int paid, uint64_t took)
{
	if (c->spin_ns == UINT64_MAX || c->spin_max_ns == 0)
		return;
	if (paid)
		c->spin_ns *= 2;
	else if (took <= 2 * c->spin_max_ns)
		c->spin_ns = c->spin_max_ns;
	else
		c->spin_ns /= 2;
	if (c->spin_ns > c->spin_max_ns)
		c->spin_ns = c->spin_max_ns;
	if (c->spin_ns < CV_SPIN_MIN_NS)
		c->spin_ns = CV_SPIN_MIN_NS;
}

/* ---- sleeping ---- */

/* Sleeps until something is posted, at most so long: 0, -ETIMEDOUT, -EINTR. */
static inline int cv_doze(struct conclave *c, struct conclave_req *req,
			  enum cv_waiting what, uint64_t ns)
{
	uint32_t value =
		cv_wake_announce_wait(c->up_words, c->down_words, what);
	int status = 0;

	if (!cv_ready(c, req, 1))
		status = cv_env_futex_wait(&c->down_words->completion, value,
					   ns);
	cv_wake_end_wait(c->up_words);
	return status == -EINTR || status == -ETIMEDOUT ? status : 0;
}

/* One slice of waiting, and a look after the link: 0 or -EINTR. */
static inline int cv_slice(struct conclave *c, struct conclave_req *req,
			   enum cv_waiting what, uint64_t slice_ns,
			   uint64_t until_ns)
{
	uint64_t now = cv_env_now();
	uint64_t left = until_ns > now ? until_ns - now : 0;
	int status;

	if (c->link_state != CV_LINK_UP) {
		status = cv_link_pause(c, until_ns);
		cv_look(c);
		conclave_flush(c); /* what it asked is to be heard */
		return status;
	}
	status = cv_doze(c, req, what, left < slice_ns ? left : slice_ns);
	if (cv_ready(c, req, 0))
		return 0;
	if (status == -ETIMEDOUT || cv_look_is_due(c))
		cv_look(c);
	conclave_flush(c);
	return status == -EINTR ? -EINTR : 0;
}

/*
 * The wait under all others: 0 when the request (NULL: any) is complete,
 * -ETIMEDOUT when it is `until_ns`, -EINTR if that was asked for.
 */
static inline int cv_await(struct conclave *c, struct conclave_req *req,
			   uint64_t until_ns)
{
	uint64_t most = (uint64_t)CV_WAKE_SLICE_MS * CV_MS;
	uint64_t slice = CV_SLICE_FIRST_NS, start;
	int status;

	conclave_flush(c);
	if (cv_ready(c, req, 0))
		return 0;
	if (c->spin_ns != 0 && cv_spin(c, req, until_ns)) {
		cv_spin_learn(c, 1, 0);
		return 0;
	}
	start = cv_env_now();
	for (;;) {
		status = cv_slice(c, req, CV_WAITING_RESULT, slice, until_ns);
		slice = 2 * slice < most ? 2 * slice : most;
		if (cv_ready(c, req, 0))
			break;
		if (status == -EINTR && (c->flags & CONCLAVE_INTERRUPTIBLE))
			return -EINTR;
		if (cv_env_now() >= until_ns)
			return -ETIMEDOUT;
	}
	cv_spin_learn(c, 0, cv_env_now() - start);
	return 0;
}

/* ---- one request ---- */

/* Until when a wait for one request goes, and why it ends there. */
static inline uint64_t cv_wait_until(const struct conclave *c,
				     const struct conclave_req *req,
				     int timeout_ms, uint64_t now)
{
	uint64_t until = UINT64_MAX;

	if (timeout_ms >= 0)
		until = cv_after(now, (uint64_t)timeout_ms * CV_MS);
	if (req->deadline_ns > now)
		return req->deadline_ns < until ? req->deadline_ns : until;
	return timeout_ms >= 0 ? until : cv_after(now, c->timeout_ns);
}

/* The time is over: cancelled after all, or what to call it. */
static inline int cv_wait_over(struct conclave *c, struct conclave_req *req)
{
	if (cv_env_now() < req->deadline_ns)
		return -ETIMEDOUT;
	if (cv_cancel(c, req)) {
		cv_req_give_room(c, req);
		cv_req_complete(c, req, CONCLAVE_ECANCELLED);
		cv_req_deliver(c, req);
		c->unflushed = 1; /* the daemon reclaims dead records */
		return 0;
	}
	if (c->link_state == CV_LINK_UP && !cv_link_dead(c))
		return CONCLAVE_EDEADLINE;
	cv_look(c);
	return cv_ready(c, req, 1) ? 0 : CONCLAVE_ESTOPPED;
}

CONCLAVE_DEF int conclave_wait(struct conclave *c, struct conclave_req *req,
			       int timeout_ms)
{
	int status = 0;

	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (req->state == CV_REQ_FREE || req->state == CV_REQ_HELD)
		return -EINVAL;
	if (req->state != CV_REQ_DONE && !cv_ready(c, req, 0)) {
		status = cv_await(
			c, req,
			cv_wait_until(c, req, timeout_ms, cv_env_now()));
	}
	if (status == -ETIMEDOUT)
		status = cv_wait_over(c, req);
	if (req->state == CV_REQ_READY)
		cv_req_deliver(c, req);
	return status;
}

CONCLAVE_DEF int conclave_poll(struct conclave *c, struct conclave_req *req)
{
	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (req->state == CV_REQ_FREE || req->state == CV_REQ_HELD)
		return -EINVAL;
	conclave_flush(c);
	if (!cv_ready(c, req, 0)) {
		cv_tend(c);
		if (!cv_ready(c, req, 0))
			return 0;
	}
	if (req->state == CV_REQ_READY)
		cv_req_deliver(c, req);
	return 1;
}

/* ---- any request ---- */

static inline struct conclave_req *cv_next_ready(struct conclave *c)
{
	struct conclave_req *req = cv_list_first(c, CV_LIST_READY);

	if (req != NULL)
		cv_req_deliver(c, req);
	return req;
}

CONCLAVE_DEF struct conclave_req *conclave_next(struct conclave *c)
{
	if (cv_forked(c))
		return NULL;
	conclave_flush(c);
	if (!cv_ready(c, NULL, 0))
		cv_tend(c);
	return cv_next_ready(c);
}

/* Is there anything that could complete? */
static inline int cv_outstanding(const struct conclave *c)
{
	return c->lists[CV_LIST_PROPOSAL].first != CV_NONE ||
	       c->lists[CV_LIST_CONTROL].first != CV_NONE ||
	       c->lists[CV_LIST_DOUBT].first != CV_NONE;
}

CONCLAVE_DEF int conclave_wait_any(struct conclave *c, int timeout_ms,
				   struct conclave_req **ret_req)
{
	uint64_t now;
	int status;

	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (!cv_ready(c, NULL, 0)) {
		if (!cv_outstanding(c))
			return -ENOENT;
		now = cv_env_now();
		status = cv_await(
			c, NULL,
			cv_after(now, timeout_ms < 0
					      ? c->timeout_ns
					      : (uint64_t)timeout_ms * CV_MS));
		if (status != 0)
			return status;
	}
	*ret_req = cv_next_ready(c);
	return 0;
}

/* ---- event loops ---- */

CONCLAVE_DEF int conclave_eventfd(struct conclave *c)
{
	int gather, status = 0;

	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (c->gather >= 0)
		return c->gather;
	gather = cv_env_gather();
	if (gather < 0)
		return gather;
	if (c->link_state == CV_LINK_UP) {
		status = cv_env_gather_add(gather, c->link.socket);
		if (status == 0)
			status = cv_env_gather_add(gather, c->link.completion);
	}
	if (status != 0) {
		cv_env_close(gather);
		return status;
	}
	c->gather = gather;
	return gather;
}

CONCLAVE_DEF int conclave_arm(struct conclave *c, int *ret_timeout_ms)
{
	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	conclave_flush(c);
	if (c->gather >= 0)
		cv_env_gather_clear(c->gather);
	cv_look(c);
	if (c->link_state == CV_LINK_UP) {
		c->armed = c->armed == UINT32_MAX ? 1 : c->armed + 1;
		cv_wake_arm(c->up_words, c->armed);
		conclave_flush(c);
	}
	if (cv_ready(c, NULL, 1))
		return 1;
	*ret_timeout_ms = -1;
	if (cv_outstanding(c))
		*ret_timeout_ms = CV_WAKE_SLICE_MS;
	return 0;
}

#endif
