/*
 * The daemon's death, and what becomes of what it had not answered.
 *
 * What it posted is harvested. What it never took is definitely not applied:
 * the claim words say so, and the client's own cancel makes it certain, even
 * if the daemon lives on. Reads are safe to repeat and are told so. What is
 * left are proposals that were taken: they are in DOUBT, until the session is
 * resumed and the cluster says, of each, what became of it. A resume raises
 * the session's epoch, so nothing that the old daemon left on its way can be
 * applied behind that answer.
 *
 * If the session is over nobody can tell: their outcome stays unknown for
 * ever, CONCLAVE_ESESSION, and the handle goes on with a fresh session.
 */
#ifndef SHM_RESUME_H
#define SHM_RESUME_H

#include "shm/harvest.h"
#include "shm/link.h"

/* ---- loss ---- */

static inline void cv_lose_list(struct conclave *c, enum cv_list_name name)
{
	struct conclave_req *req = cv_list_first(c, name), *next;

	for (; req != NULL; req = next) {
		next = cv_list_next(c, req);
		if (cv_harvest(c, req))
			continue;
		cv_req_give_room(c, req);
		if (!cv_is_proposal(req->type) || cv_cancel(c, req) ||
		    req->dropped) {
			cv_req_complete(c, req, CONCLAVE_ENOTAPPLIED);
			continue;
		}
		cv_list_remove(c, req);
		req->asking = 0;
		req->state = CV_REQ_DOUBT;
		cv_list_push(c, req, CV_LIST_DOUBT);
	}
}

/* The daemon is gone; the next attempt to find one may come at once. */
static inline void cv_lose(struct conclave *c)
{
	cv_lose_list(c, CV_LIST_PROPOSAL);
	cv_lose_list(c, CV_LIST_CONTROL);
	cv_link_unmap_up(c);
	cv_link_close_fds(c);
	c->claims = NULL;
	c->up_words = NULL;
	c->unflushed = 0;
	c->link_state = CV_LINK_DOWN;
	c->link.error = CONCLAVE_ESTOPPED;
	c->link.retry_ns = 0;
	c->link.backoff_ns = CV_BACKOFF_MIN_NS;
}

/*
 * Before *down* is mapped anew: the old one goes, or takes a seat while
 * replies in it are lent. -EBUSY when no seat is free; each reply that is
 * finished may free one.
 */
static inline int cv_seat_take(struct conclave *c)
{
	uint32_t seat, i;

	for (seat = 0; seat < CV_SEATS; seat++) {
		if (c->seats[seat].pins != 0)
			continue;
		cv_env_unmap(c->seats[seat].base, c->seats[seat].size);
		c->seats[seat].base = NULL;
	}
	seat = 0;
	if (c->link.down != NULL && c->link.pins == 0)
		cv_link_unmap_down(c);
	while (c->link.down != NULL && c->seats[seat].base != NULL) {
		if (++seat == CV_SEATS)
			return -EBUSY;
	}
	for (i = 0; i < c->slot_count; i++) {
		if (c->reqs[i].pinned && c->reqs[i].seat == CV_SEATS)
			c->reqs[i].seat = (uint8_t)seat;
		else if (c->reqs[i].seat == CV_SEATS)
			c->reqs[i].reply_size = 0;
	}
	if (c->link.down != NULL) {
		c->seats[seat].base = c->link.down;
		c->seats[seat].size = c->link.down_size;
		c->seats[seat].pins = c->link.pins;
	}
	c->link.down = NULL;
	c->link.pins = 0;
	return 0;
}

/* ---- settlement ---- */

/* Nobody can tell any more. Sequences start again at 1. */
static inline int cv_session_renew(struct conclave *c)
{
	struct conclave_req *req;
	int status;

	while ((req = cv_list_first(c, CV_LIST_DOUBT)) != NULL)
		cv_req_complete(c, req, CONCLAVE_ESESSION);
	status = cv_env_random(c->session, sizeof(c->session));
	if (status == 0)
		status = cv_env_random(c->secret, sizeof(c->secret));
	if (status != 0)
		return status;
	c->session_number++;
	c->session_over = 0;
	c->epoch = 0;
	cv_window_init(&c->window);
	return 0;
}

/* Asks the control ring what became of a proposal: 1 when it was asked. */
static inline int cv_ask(struct conclave *c, struct conclave_req *req)
{
	struct cv_request *record;
	struct cv_request head;

	record = cv_ring_reserve(&c->control, CV_LINE);
	if (record == NULL)
		return 0;
	memset(&head, 0, sizeof(head));
	req->generation++;
	head.slot = req->slot;
	head.generation = req->generation;
	head.type = CV_OUTCOME;
	head.argument = req->sequence;
	cv_copy(&record->slot, &head.slot, CV_LINE - sizeof(head.length));
	cv_claim_queue(&c->claims[req->slot], req->generation);
	cv_ring_publish(&c->control);
	cv_list_remove(c, req);
	req->asking = 1;
	req->state = CV_REQ_FLYING;
	cv_list_push(c, req, CV_LIST_CONTROL);
	c->unflushed = 1;
	return 1;
}

/* Asks for all that is in doubt, as far as the ring has room. Each is asked
 * at most once a call: an answer that tells nothing puts it at the end. */
static inline void cv_ask_all(struct conclave *c)
{
	struct conclave_req *req, *last;

	if (c->lists[CV_LIST_DOUBT].last == CV_NONE)
		return;
	last = &c->reqs[c->lists[CV_LIST_DOUBT].last];
	do {
		req = cv_list_first(c, CV_LIST_DOUBT);
	} while (cv_ask(c, req) && req != last);
}

/* One step of the machine: 0 when the link is up, else why it is not. */
static inline int cv_link_step(struct conclave *c)
{
	int status;

	if (c->link_state == CV_LINK_UP)
		return 0;
	if (c->link_state == CV_LINK_DOWN) {
		if (cv_env_now() < c->link.retry_ns)
			return c->link.error;
		if (cv_seat_take(c) != 0)
			return cv_link_fail(c, CONCLAVE_ESTOPPED);
		status = cv_link_connect(c);
		if (status != 0)
			return status;
	}
	status = cv_link_welcome(c);
	if (status == -EAGAIN)
		return c->link.error;
	if (status == CONCLAVE_ESESSION) {
		status = cv_session_renew(c);
		(void)cv_link_fail(c, CONCLAVE_ESTOPPED); /* and try again */
		return status != 0 ? status : CONCLAVE_ESTOPPED;
	}
	if (status != 0)
		return cv_link_fail(c, status);
	cv_ask_all(c);
	return 0;
}

/* ---- looking after the link ---- */

/* Has the daemon closed the connection? */
static inline int cv_link_dead(struct conclave *c)
{
	struct cv_env_message message;
	uint8_t bytes[CV_MESSAGE_SIZE];
	int ready = cv_env_poll(c->link.socket, 0), status;

	if (ready == -EINTR || ready == 0)
		return 0;
	if (ready < 0 || (ready & CV_ENV_READABLE) == 0)
		return 1;
	message.bytes = bytes;
	message.size = sizeof(bytes);
	status = cv_env_receive(c->link.socket, &message);
	if (status == -EAGAIN || status == -EINTR || status == -EMSGSIZE)
		return 0;
	if (status != 0 || message.size == 0)
		return 1;
	/* Nothing is defined that a daemon says here: not heard. */
	while (message.fd_count > 0)
		cv_env_close(message.fds[--message.fd_count]);
	return 0;
}

/* Looks at the socket, asks, cancels what expired, or goes on connecting. */
static inline void cv_look(struct conclave *c)
{
	uint64_t now;

	if (c->link_state == CV_LINK_UP && c->session_over) {
		cv_lose(c);
		(void)!cv_session_renew(c); /* the next hello tries again */
	}
	if (c->link_state == CV_LINK_UP && cv_link_dead(c))
		cv_lose(c);
	if (c->link_state != CV_LINK_UP) {
		(void)!cv_link_step(c); /* link.error remembers */
		return;
	}
	now = cv_env_now();
	cv_expire_list(c, CV_LIST_PROPOSAL, now);
	cv_expire_list(c, CV_LIST_CONTROL, now);
	cv_ask_all(c);
	c->looked_ns = cv_env_now_coarse();
}

/* Was the last look longer ago than a dead daemon may stay unseen? */
static inline int cv_look_is_due(const struct conclave *c)
{
	return c->link_state != CV_LINK_UP || c->session_over ||
	       cv_env_now_coarse() - c->looked_ns >=
		       (uint64_t)CV_WAKE_SLICE_MS * CV_MS;
}

/* After a vain look for results, without a system call most of the time. */
static inline void cv_tend(struct conclave *c)
{
	if (c->link_state == CV_LINK_UP && !c->session_over &&
	    ++c->polls % 256 != 0)
		return;
	if (cv_look_is_due(c))
		cv_look(c);
}

#endif
