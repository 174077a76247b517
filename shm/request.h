/*
 * A request from its slot to its record in the ring, and from its result back
 * to the free list. See shm/conclave.h for what the functions promise.
 */
#ifndef SHM_REQUEST_H
#define SHM_REQUEST_H

#include "shm/resume.h"

/* ---- saying what it is ---- */

/*
 * Of the free ones: one request at a time uses the same again, whose lines
 * are in the caches of both sides; many go round, so that they are posted and
 * found in the order of memory.
 */
static inline struct conclave_req *cv_req_pick(struct conclave *c)
{
	if (cv_list_first(c, CV_LIST_PROPOSAL) == NULL &&
	    cv_list_first(c, CV_LIST_CONTROL) == NULL)
		return cv_list_last(c, CV_LIST_FREE);
	return cv_list_first(c, CV_LIST_FREE);
}

CONCLAVE_DEF struct conclave_req *conclave_get_req(struct conclave *c)
{
	struct conclave_req *req;

	if (cv_forked(c))
		return NULL;
	req = cv_req_pick(c);
	if (req == NULL && c->dropped != 0) {
		/* Those that were abandoned may be done by now. */
		if (c->link_state == CV_LINK_UP)
			cv_harvest_all(c);
		cv_tend(c);
		req = cv_list_first(c, CV_LIST_FREE);
	}
	if (req == NULL)
		return NULL;
	cv_list_remove(c, req);
	req->state = CV_REQ_HELD;
	req->type = 0;
	req->user_data = 0;
	return req;
}

static inline void cv_prep(struct conclave_req *req, enum cv_type type,
			   const void *key, size_t key_size)
{
	req->type = (uint16_t)type;
	req->key = key;
	req->key_size = key_size;
	req->value = NULL;
	req->value_size = 0;
	req->argument = 0;
	req->lease = 0;
	req->after = 0;
	req->wanted_deadline_ns = 0;
	req->limit = 0;
	req->flags = 0;
	req->reply_room = 0;
}

CONCLAVE_DEF void conclave_prep_put(struct conclave_req *req, const void *key,
				    size_t key_size, const void *value,
				    size_t value_size)
{
	cv_prep(req, CV_PUT, key, key_size);
	req->value = value;
	req->value_size = value_size;
}

CONCLAVE_DEF void conclave_prep_delete(struct conclave_req *req,
				       const void *key, size_t key_size)
{
	cv_prep(req, CV_DELETE, key, key_size);
}

CONCLAVE_DEF void conclave_prep_delete_range(struct conclave_req *req,
					     const void *key, size_t key_size,
					     const void *end, size_t end_size)
{
	cv_prep(req, CV_DELETE, key, key_size);
	req->value = end;
	req->value_size = end_size;
}

CONCLAVE_DEF void conclave_prep_cas(struct conclave_req *req, const void *key,
				    size_t key_size, const void *value,
				    size_t value_size, uint64_t revision)
{
	cv_prep(req, CV_CAS, key, key_size);
	req->value = value;
	req->value_size = value_size;
	req->argument = revision;
}

CONCLAVE_DEF void conclave_prep_get(struct conclave_req *req, const void *key,
				    size_t key_size)
{
	cv_prep(req, CV_RANGE, key, key_size);
	req->reply_room = CV_ROOM_GET;
}

CONCLAVE_DEF void conclave_prep_range(struct conclave_req *req,
				      const struct conclave_range *range)
{
	cv_prep(req, CV_RANGE, range->key, range->key_size);
	req->value = range->end;
	req->value_size = range->end_size;
	req->argument = range->revision;
	req->limit =
		range->limit > UINT32_MAX ? UINT32_MAX : (uint32_t)range->limit;
	req->flags = range->flags;
	if ((range->flags & CV_COUNT_ONLY) == 0)
		req->reply_room = CV_ROOM_RANGE;
}

CONCLAVE_DEF void conclave_prep_ping(struct conclave_req *req)
{
	cv_prep(req, CV_PING, NULL, 0);
}

CONCLAVE_DEF void conclave_prep_compact(struct conclave_req *req,
					uint64_t revision)
{
	cv_prep(req, CV_COMPACT, NULL, 0);
	req->argument = revision;
}

CONCLAVE_DEF void conclave_prep_setting(struct conclave_req *req,
					const char *name, const char *value)
{
	cv_prep(req, CV_SETTING, name, strlen(name));
	req->value = value;
	req->value_size = strlen(value);
}

CONCLAVE_DEF void conclave_req_set_deadline(struct conclave_req *req,
					    uint64_t deadline_ns)
{
	req->wanted_deadline_ns = deadline_ns;
}

CONCLAVE_DEF void conclave_req_set_flags(struct conclave_req *req,
					 uint32_t flags)
{
	req->flags |= flags;
}

CONCLAVE_DEF void conclave_req_set_reply_room(struct conclave_req *req,
					      uint32_t size)
{
	req->reply_room = size;
}

CONCLAVE_DEF void conclave_req_set_after(struct conclave_req *req,
					 const struct conclave_req *proposal)
{
	req->after = proposal->sequence;
}

CONCLAVE_DEF void conclave_req_set_user_data(struct conclave_req *req,
					     uint64_t user_data)
{
	req->user_data = user_data;
}

CONCLAVE_DEF uint64_t conclave_req_user_data(const struct conclave_req *req)
{
	return req->user_data;
}

/* ---- handing it over ---- */

/* Some requests have a key, some have none; a change of members may. */
static inline int cv_req_key_fits(const struct conclave_req *req)
{
	switch (req->type) {
	case CV_PUT:
	case CV_DELETE:
	case CV_CAS:
	case CV_SETTING:
	case CV_RANGE:
		return req->key_size != 0;
	case CV_MEMBER:
		return 1;
	default:
		return req->type != 0 && req->key_size == 0;
	}
}

/* Refused before a byte is copied. */
static inline int cv_req_check(struct conclave *c,
			       const struct conclave_req *req)
{
	if (!cv_req_key_fits(req) || (req->flags & ~(uint32_t)UINT16_MAX) != 0)
		return CONCLAVE_EBADREQ;
	if (req->key_size > CV_KEY_MAX || req->value_size > c->request_max ||
	    req->key_size + req->value_size > c->request_max)
		return CONCLAVE_ETOOLARGE;
	if ((req->type == CV_RANGE || req->type == CV_DELETE) &&
	    req->value_size > CV_KEY_MAX)
		return CONCLAVE_ETOOLARGE; /* the end is a key */
	if (!cv_is_proposal(req->type))
		return 0;
	if (req->reply_room != 0)
		return CONCLAVE_EBADREQ;
	if (cv_window_spent(&c->window))
		c->session_over = 1;
	return cv_window_open(&c->window) ? 0 : -EAGAIN;
}

/* Reserves the room for the reply, when there is to be one. */
static inline int cv_req_take_room(struct conclave *c, struct conclave_req *req)
{
	int64_t offset;

	if (req->reply_room == 0)
		return 0;
	offset = cv_rooms_take(&c->rooms, req->reply_room);
	if (offset < 0)
		return offset == -EAGAIN ? -EAGAIN : CONCLAVE_ETOOLARGE;
	req->reply_offset = (uint32_t)offset;
	req->reply_size = req->reply_room;
	return 0;
}

/* Its head ends with its first line: what lies beyond is zero. */
static inline int cv_req_is_bare(const struct conclave_req *req)
{
	return req->key_size == 0 && req->value_size == 0 && req->limit == 0 &&
	       req->lease == 0;
}

static inline uint32_t cv_req_length(const struct conclave_req *req)
{
	uint32_t payload = (uint32_t)(req->key_size + req->value_size);

	if (payload == 0 && !cv_req_is_bare(req))
		payload = 1; /* nothing behind the head, but all of it */
	return cv_record_length(payload);
}

static inline void cv_req_fill(struct conclave *c, struct conclave_req *req,
			       struct cv_request *record)
{
	uint8_t *body = (uint8_t *)record + CV_REQUEST_HEAD;
	struct cv_request head;
	size_t size = cv_req_is_bare(req) ? (size_t)CV_LINE : sizeof(head);

	head.length = 0;
	head.slot = req->slot;
	head.generation = req->generation;
	head.type = req->type;
	head.flags = (uint16_t)req->flags;
	head.reply_offset = req->reply_offset;
	head.reply_size = req->reply_size;
	head.key_size = (uint32_t)req->key_size;
	head.deadline_ns =
		req->deadline_ns == UINT64_MAX ? 0 : req->deadline_ns;
	head.argument = req->argument;
	head.value_size = (uint32_t)req->value_size;
	head.limit = req->limit;
	head.lease = req->lease;
	if (cv_is_proposal(req->type)) {
		head.sequence = req->sequence;
		head.settled = cv_window_told(&c->window);
	} else {
		head.sequence = req->after;
		head.settled = c->revision;
	}
	cv_copy(&record->slot, &head.slot, size - sizeof(head.length));
	if (size == CV_LINE)
		return;
	cv_copy(body, req->key, req->key_size);
	cv_copy(body + req->key_size, req->value, req->value_size);
}

static inline int cv_req_launch(struct conclave *c, struct conclave_req *req)
{
	int proposal = cv_is_proposal(req->type);
	struct cv_ring_writer *ring = proposal ? &c->proposals : &c->control;
	struct cv_request *record;
	int status;

	status = cv_req_take_room(c, req);
	if (status != 0)
		return status;
	record = cv_ring_reserve(ring, cv_req_length(req));
	if (record == NULL) {
		cv_req_give_room(c, req);
		return -EAGAIN;
	}
	req->generation++;
	if (proposal) {
		req->sequence = c->window.next++;
		req->session = c->session_number;
	}
	req->deadline_ns = req->wanted_deadline_ns;
	if (req->deadline_ns == 0)
		req->deadline_ns = cv_env_now_coarse() + c->timeout_ns;
	cv_req_fill(c, req, record);
	cv_claim_queue(&c->claims[req->slot], req->generation);
	cv_ring_publish(ring);
	req->state = CV_REQ_FLYING;
	cv_list_push(c, req, proposal ? CV_LIST_PROPOSAL : CV_LIST_CONTROL);
	c->unflushed = 1;
	return 0;
}

CONCLAVE_DEF void conclave_flush(struct conclave *c)
{
	if (cv_forked(c) || c->unflushed == 0 || c->link_state != CV_LINK_UP)
		return;
	c->unflushed = 0;
	if (cv_wake_doorbell(c->link.status))
		cv_env_ring(c->link.doorbell);
}

CONCLAVE_DEF int conclave_submit(struct conclave *c, struct conclave_req *req)
{
	int status;

	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (req->state != CV_REQ_HELD)
		return -EBUSY;
	if (c->link_state != CV_LINK_UP || c->session_over) {
		cv_look(c);
		if (c->link_state != CV_LINK_UP)
			return -ENOTCONN;
	}
	status = cv_req_check(c, req);
	if (status == 0)
		status = cv_req_launch(c, req);
	if (status == -EAGAIN) {
		conclave_flush(c);
		cv_tend(c);
	}
	return status;
}

/* ---- getting it back ---- */

CONCLAVE_DEF int conclave_peek(struct conclave *c, struct conclave_req *req,
			       struct conclave_result *ret_result)
{
	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (req->state == CV_REQ_READY)
		cv_req_deliver(c, req);
	if (req->state != CV_REQ_DONE)
		return -EBUSY;
	*ret_result = req->result;
	return 0;
}

CONCLAVE_DEF int conclave_finish(struct conclave *c, struct conclave_req *req,
				 struct conclave_result *ret_result)
{
	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (req->state == CV_REQ_READY)
		cv_req_deliver(c, req);
	if (req->state != CV_REQ_DONE)
		return -EBUSY;
	if (ret_result != NULL)
		*ret_result = req->result;
	cv_req_release(c, req);
	return 0;
}

CONCLAVE_DEF int conclave_cancel(struct conclave *c, struct conclave_req *req)
{
	if (cv_forked(c))
		return CONCLAVE_EFORKED;
	if (req->state == CV_REQ_HELD) {
		cv_req_complete(c, req, CONCLAVE_ECANCELLED);
	} else if (cv_cancel(c, req)) {
		cv_req_give_room(c, req);
		cv_req_complete(c, req, CONCLAVE_ECANCELLED);
		c->unflushed = 1; /* the daemon reclaims dead records */
		conclave_flush(c);
	} else {
		return -EALREADY;
	}
	cv_req_deliver(c, req);
	return 0;
}

CONCLAVE_DEF void conclave_abandon(struct conclave *c, struct conclave_req *req)
{
	if (cv_forked(c) || req->state == CV_REQ_FREE)
		return;
	if (req->state == CV_REQ_FLYING) {
		c->dropped += !req->dropped;
		req->dropped = 1;
		cv_req_settle(c, req);
		if (!cv_cancel(c, req))
			return; /* it keeps slot and room until posted */
		c->unflushed = 1;
	}
	cv_req_release(c, req);
}

#endif
