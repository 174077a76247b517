/*
 * The synchronous calls: the asynchronous ones, waited for. A write that is
 * settled as not applied, and a read that got lost, is simply done again
 * within the deadline, under a new sequence.
 */
#ifndef SHM_CALLS_H
#define SHM_CALLS_H

#include "shm/await.h"

/* A request for a call; slots that were abandoned may have to be waited for.
 * NULL when none comes free in time. */
static inline struct conclave_req *cv_call_begin(struct conclave *c)
{
	struct conclave_req *req = conclave_get_req(c);
	uint64_t until;

	if (req != NULL || cv_forked(c))
		return req;
	until = cv_after(cv_env_now(), c->timeout_ns);
	while (req == NULL && cv_outstanding(c) && cv_env_now() < until) {
		if (cv_slice(c, NULL, CV_WAITING_RESULT, CV_ROOM_SLICE_NS,
			     until) != 0 &&
		    (c->flags & CONCLAVE_INTERRUPTIBLE) != 0)
			break;
		req = conclave_get_req(c);
	}
	return req;
}

/* What cv_call_begin() without a result means. */
static inline int cv_call_none(const struct conclave *c)
{
	return cv_forked(c) ? CONCLAVE_EFORKED : -EAGAIN;
}

/* Waits a little for room, or for the daemon: 0 to try again, or -EINTR. */
static inline int cv_call_pause(struct conclave *c, uint64_t until_ns)
{
	int status;

	status = cv_slice(c, NULL, CV_WAITING_ROOM, CV_ROOM_SLICE_NS, until_ns);
	/* Results of other requests end that at once. */
	if (status == 0 && c->lists[CV_LIST_READY].first != CV_NONE)
		status = cv_env_sleep(CV_SPIN_MIN_NS);
	if (status == -EINTR && (c->flags & CONCLAVE_INTERRUPTIBLE) != 0)
		return -EINTR;
	return 0;
}

/* Submits, and waits for room while that has to be: what happened last. */
static inline int cv_call_submit(struct conclave *c, struct conclave_req *req,
				 uint64_t until_ns)
{
	int status;

	for (;;) {
		status = conclave_submit(c, req);
		if (status != -EAGAIN && status != -ENOTCONN)
			return status;
		if (cv_env_now() >= until_ns)
			return status;
		if (cv_call_pause(c, until_ns) != 0)
			return CONCLAVE_ECANCELLED;
	}
}

/* The wait of a call that cannot be asked again: -EINTR means that it may or
 * may not be applied, as does all but 0. */
static inline int cv_call_wait(struct conclave *c, struct conclave_req *req)
{
	int status = conclave_wait(c, req, -1);

	if (status != -EINTR)
		return status;
	return conclave_cancel(c, req) == 0 ? 0 : -EINTR;
}

/* DONE becomes HELD again, with what was prepared. */
static inline void cv_call_again(struct conclave *c, struct conclave_req *req)
{
	cv_req_settle(c, req);
	cv_req_give_room(c, req);
	req->state = CV_REQ_HELD;
}

/*
 * Does what was prepared. On success the request is DONE, with its result,
 * and still the caller's; otherwise it is gone.
 */
static inline int cv_call(struct conclave *c, struct conclave_req *req,
			  struct conclave_result *ret_result)
{
	uint64_t until = cv_after(cv_env_now_coarse(), c->timeout_ns);
	int status;

	memset(ret_result, 0, sizeof(*ret_result));
	req->wanted_deadline_ns = until;
	for (;;) {
		status = cv_call_submit(c, req, until);
		if (status == 0)
			status = cv_call_wait(c, req);
		if (status == 0)
			status = conclave_peek(c, req, ret_result);
		if (status == 0)
			status = ret_result->status;
		if (status != CONCLAVE_ENOTAPPLIED || cv_env_now() >= until)
			break;
		cv_call_again(c, req);
	}
	if (status != 0)
		conclave_abandon(c, req);
	return status;
}

/* The same where nothing but the result's numbers is wanted. */
static inline int cv_call_short(struct conclave *c, struct conclave_req *req,
				struct conclave_result *ret_result)
{
	int status = cv_call(c, req, ret_result);

	if (status == 0)
		cv_req_release(c, req);
	return status;
}

CONCLAVE_DEF int conclave_put(struct conclave *c, const void *key,
			      size_t key_size, const void *value,
			      size_t value_size, uint64_t *ret_revision)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;
	int status;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_put(req, key, key_size, value, value_size);
	status = cv_call_short(c, req, &result);
	if (status == 0 && ret_revision != NULL)
		*ret_revision = result.revision;
	return status;
}

CONCLAVE_DEF int conclave_delete(struct conclave *c, const void *key,
				 size_t key_size, uint64_t *ret_count,
				 uint64_t *ret_revision)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;
	int status;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_delete(req, key, key_size);
	status = cv_call_short(c, req, &result);
	if (status == 0 && ret_count != NULL)
		*ret_count = result.aux;
	if (status == 0 && ret_revision != NULL)
		*ret_revision = result.revision;
	return status;
}

CONCLAVE_DEF int conclave_delete_range(struct conclave *c, const void *key,
				       size_t key_size, const void *end,
				       size_t end_size, uint64_t *ret_count)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;
	int status;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_delete_range(req, key, key_size, end, end_size);
	status = cv_call_short(c, req, &result);
	if (status == 0 && ret_count != NULL)
		*ret_count = result.aux;
	return status;
}

CONCLAVE_DEF int conclave_cas(struct conclave *c, const void *key,
			      size_t key_size, const void *value,
			      size_t value_size, uint64_t *revision)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;
	int status;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_cas(req, key, key_size, value, value_size, *revision);
	status = cv_call_short(c, req, &result);
	if (status == 0)
		*revision = result.revision;
	else if (status == CONCLAVE_ECOMPARE)
		*revision = result.aux;
	return status;
}

CONCLAVE_DEF int conclave_ping(struct conclave *c, uint64_t *ret_revision)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;
	int status;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_ping(req);
	status = cv_call_short(c, req, &result);
	if (status == 0 && ret_revision != NULL)
		*ret_revision = result.revision;
	return status;
}

CONCLAVE_DEF int conclave_compact(struct conclave *c, uint64_t revision)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_compact(req, revision);
	return cv_call_short(c, req, &result);
}

CONCLAVE_DEF int conclave_setting(struct conclave *c, const char *name,
				  const char *value)
{
	struct conclave_req *req = cv_call_begin(c);
	struct conclave_result result;

	if (req == NULL)
		return cv_call_none(c);
	conclave_prep_setting(req, name, value);
	return cv_call_short(c, req, &result);
}

#endif
