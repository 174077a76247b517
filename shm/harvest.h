/*
 * Finding results. A request that flies is complete when its slot has its
 * generation; its result is then copied out of the slot, once, and checked:
 * the reply must lie in the room that was reserved for it.
 *
 * Results come in the order of submission, mostly, so the first of each list
 * is looked at first. The daemon counts what it posts; only when more was
 * counted than was found are the others looked at, and only until the count
 * is met. Who is about to sleep looks at all of them.
 */
#ifndef SHM_HARVEST_H
#define SHM_HARVEST_H

#include "shm/handle.h"

enum cv_harvest_limits {
	CV_HARVEST_BATCH = 32, /* results moved in one go */
};

/* The answer to the question what became of a proposal. 0: none; ask again */
static inline int cv_outcome_told(const struct conclave_result *result)
{
	return (result->flags & CONCLAVE_RESULT_REPEATED) != 0 ||
	       result->status == CONCLAVE_ENOTAPPLIED ||
	       result->status == CONCLAVE_ESESSION;
}

static inline void cv_slot_read(const struct conclave *c,
				const struct conclave_req *req,
				struct conclave_result *ret_result)
{
	const struct cv_slot *slot = &c->slots[req->slot];
	uint32_t size;

	cv_env_touch(CV_TOUCH_COPY);
	ret_result->status = slot->status;
	ret_result->flags = slot->flags;
	ret_result->revision = slot->revision;
	ret_result->aux = slot->aux;
	ret_result->reply = NULL;
	ret_result->reply_size = 0;
	if (slot->status > 0)
		ret_result->status = CONCLAVE_EPROTO;
	if (req->reply_size == 0)
		return;
	size = slot->reply_size;
	if (ret_result->status == CONCLAVE_ETOOSMALL) {
		ret_result->reply_size = size;
	} else if (ret_result->status == 0 && size > req->reply_size) {
		ret_result->status = CONCLAVE_EPROTO;
	} else if (ret_result->status == 0 && size != 0) {
		ret_result->reply_size = size;
		ret_result->reply = c->reply_base + req->reply_offset;
	}
}

/* 1 when a request that flies was found complete; it flies no more. */
static inline int cv_harvest(struct conclave *c, struct conclave_req *req)
{
	if (!cv_slot_posted(&c->slots[req->slot], req->generation))
		return 0;
	c->found++;
	cv_slot_read(c, req, &req->result);
	if (req->sequence != 0 && !req->asking &&
	    req->session == c->session_number)
		cv_window_note(&c->window, req->result.status);
	if (req->result.status == CONCLAVE_ESESSION)
		c->session_over = 1;
	if (req->dropped) {
		cv_req_release(c, req);
		return 1;
	}
	cv_list_remove(c, req);
	if (req->asking && !cv_outcome_told(&req->result)) {
		req->state = CV_REQ_DOUBT;
		cv_list_push(c, req, CV_LIST_DOUBT);
		return 1;
	}
	req->asking = 0;
	req->state = CV_REQ_READY;
	cv_list_push(c, req, CV_LIST_READY);
	if (req->result.reply != NULL) {
		req->pinned = 1;
		c->link.pins++;
	}
	return 1;
}

/* The first ones of a list, as far as they are complete. */
static inline void cv_harvest_front(struct conclave *c, enum cv_list_name name)
{
	struct conclave_req *req;
	uint32_t i;

	for (i = 0; i < CV_HARVEST_BATCH; i++) {
		req = cv_list_first(c, name);
		if (req == NULL || !cv_harvest(c, req))
			return;
		req = cv_list_first(c, name);
		if (req != NULL)
			__builtin_prefetch(&c->slots[req->slot]);
	}
}

/* All of a list; while `owed`, only until as many were found as counted. */
static inline void cv_harvest_list(struct conclave *c, enum cv_list_name name,
				   int owed, uint32_t count)
{
	struct conclave_req *req = cv_list_first(c, name), *next;

	while (req != NULL && !(owed && c->found == count)) {
		next = cv_list_next(c, req);
		(void)cv_harvest(c, req); /* those that are not stay */
		req = next;
	}
}

/* Looks at every request that flies. */
static inline void cv_harvest_all(struct conclave *c)
{
	cv_harvest_list(c, CV_LIST_PROPOSAL, 0, 0);
	cv_harvest_list(c, CV_LIST_CONTROL, 0, 0);
}

/* Looks where results are likely, and further while some are owed. */
static inline void cv_harvest_some(struct conclave *c)
{
	uint32_t count;

	cv_harvest_front(c, CV_LIST_PROPOSAL);
	cv_harvest_front(c, CV_LIST_CONTROL);
	if (c->lists[CV_LIST_READY].first != CV_NONE)
		return;
	count = cv_wake_count(c->down_words);
	if ((int32_t)(count - c->found) <= 0)
		return;
	cv_harvest_list(c, CV_LIST_PROPOSAL, 1, count);
	cv_harvest_list(c, CV_LIST_CONTROL, 1, count);
}

/*
 * Is the request complete; or, with NULL, any that was not returned yet? `all`
 * makes a no certain.
 */
static inline int cv_ready(struct conclave *c, struct conclave_req *req,
			   int all)
{
	if (req != NULL) {
		if (req->state == CV_REQ_FLYING && c->link_state == CV_LINK_UP)
			(void)cv_harvest(c, req); /* its state tells */
		return req->state == CV_REQ_READY || req->state == CV_REQ_DONE;
	}
	if (c->lists[CV_LIST_READY].first == CV_NONE &&
	    c->link_state == CV_LINK_UP) {
		if (all)
			cv_harvest_all(c);
		else
			cv_harvest_some(c);
	}
	return c->lists[CV_LIST_READY].first != CV_NONE;
}

/* ---- cancelling ---- */

/* 1 when the request will never be looked at by the daemon. */
static inline int cv_cancel(struct conclave *c, struct conclave_req *req)
{
	if (req->state != CV_REQ_FLYING || req->asking)
		return 0;
	return cv_claim_cancel(&c->claims[req->slot], req->generation);
}

/* Cancels what is still in the queue past its deadline. */
static inline void cv_expire_list(struct conclave *c, enum cv_list_name name,
				  uint64_t now)
{
	struct conclave_req *req = cv_list_first(c, name), *next;

	for (; req != NULL; req = next) {
		next = cv_list_next(c, req);
		if (req->deadline_ns > now || !cv_cancel(c, req))
			continue;
		cv_req_give_room(c, req);
		cv_req_complete(c, req, CONCLAVE_ECANCELLED);
		c->unflushed = 1; /* the daemon reclaims dead records */
	}
}

#endif
