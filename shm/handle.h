/*
 * What a handle and its requests are, in the client's own memory. Nothing
 * here is shared with the daemon, and nothing here blocks.
 *
 * Every request stands in exactly one place:
 *
 *   FREE -> HELD -> FLYING -> READY -> DONE -> FREE
 *                      |  \_____________/
 *                      +-> DOUBT -> FLYING (asking for the outcome)
 *
 * HELD and DONE are the caller's. FLYING stands in the list of the ring that
 * it went to, in the order in which it went; READY is complete and not yet
 * returned by anything; DOUBT was taken by a daemon that is gone, and nobody
 * could be asked yet.
 *
 * A sequence is *settled* when the caller was given its outcome, or gave it
 * up; below `settled` all are.
 */
#ifndef SHM_HANDLE_H
#define SHM_HANDLE_H

#include "shm/env.h"
#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/types.h"
#include "shm/wake.h"

enum cv_handle_limits {
	CV_PATH_SIZE = 108, /* of a socket, with the zero */
	CV_PATHS = 2,
	CV_SEATS = 2,
	CV_NAME_SIZE = 64,
	CV_TIMEOUT_DEFAULT_MS = 7000, /* 5 s and two election timeouts */
	CV_ROOM_GET = 1 << 10,
	CV_ROOM_RANGE = 32 << 10,
	CV_ROOM_MEMBERS = 8 << 10,
	CV_ROOM_IMAGE = 3 << 10,
	CV_SPIN_DEFAULT_US = 50,
	CV_MS = 1000000, /* in ns */
};

#define CV_NONE UINT32_MAX /* no request */

enum cv_req_state {
	CV_REQ_FREE = 0,
	CV_REQ_HELD,
	CV_REQ_FLYING,
	CV_REQ_DOUBT,
	CV_REQ_READY,
	CV_REQ_DONE,
};

enum cv_list_name {
	CV_LIST_FREE = 0,
	CV_LIST_PROPOSAL,
	CV_LIST_CONTROL,
	CV_LIST_DOUBT,
	CV_LIST_READY,
	CV_LISTS,
	CV_LIST_NONE = CV_LISTS,
};

struct conclave_req {
	/* What polling and completing touches. */
	uint64_t generation;
	uint64_t sequence; /* of a proposal, else 0 */
	uint64_t deadline_ns; /* in effect; UINT64_MAX: none */
	uint32_t slot;
	uint32_t next, previous; /* in its list */
	uint32_t reply_offset;
	uint32_t reply_size; /* of the room it has, or 0 */
	uint16_t type;
	uint8_t state; /* enum cv_req_state */
	uint8_t list; /* enum cv_list_name */
	uint8_t asking; /* what flies is the question for the outcome */
	uint8_t dropped; /* nobody waits for it */
	uint8_t seat; /* CV_SEATS: its reply is in the map in use */
	uint8_t pinned; /* its reply pins that map */
	uint32_t session; /* number of the session that proposed it */
	struct conclave_result result;
	/* What was prepared. */
	const void *key;
	const void *value;
	size_t key_size;
	size_t value_size;
	uint64_t argument;
	uint64_t lease;
	uint64_t other; /* a value that is a number */
	uint64_t after;
	uint64_t wanted_deadline_ns; /* 0: the default */
	uint64_t user_data;
	uint32_t limit;
	uint32_t flags;
	uint32_t reply_room;
	uint32_t reserved;
};

struct cv_list {
	uint32_t first, last;
};

/* Which sequences are settled, from `settled` on. */
struct cv_window {
	uint64_t next; /* to be issued */
	uint64_t settled;
	uint64_t begun; /* something of this session was applied */
	uint64_t bits[CV_WINDOW / 64];
};

enum cv_link_state {
	CV_LINK_DOWN = 0,
	CV_LINK_GREETING, /* hello was sent */
	CV_LINK_UP,
};

/* A map of *down* that is kept because replies in it are lent. */
struct cv_seat {
	uint8_t *base;
	uint64_t size;
	uint32_t pins;
};

struct cv_geometry {
	uint32_t slots;
	uint32_t request_max;
	uint32_t proposal_size;
	uint32_t control_size;
	uint32_t reply_size;
};

struct cv_link {
	uint8_t *up;
	uint8_t *down; /* read-only; outlives the link while it is pinned */
	struct cv_status *status; /* read-only */
	uint64_t up_size;
	uint64_t down_size;
	uint64_t status_size;
	int socket;
	int doorbell;
	int completion;
	int error; /* why it is not up */
	uint32_t pins; /* replies in `down` that are lent */
	uint64_t retry_ns; /* no attempt before */
	uint64_t backoff_ns;
};

struct conclave {
	/* What submitting and completing touches. */
	const uint64_t *mark; /* 0 in a child */
	struct conclave_req *reqs;
	const struct cv_slot *slots;
	uint64_t *claims;
	struct cv_up_words *up_words;
	const struct cv_down_words *down_words;
	const uint8_t *reply_base;
	uint32_t slot_count;
	uint32_t found; /* posts that were seen, modulo 2^32 */
	uint32_t unflushed;
	uint32_t dropped; /* requests that fly and nobody waits for */
	uint32_t armed;
	uint32_t request_max;
	uint32_t session_number;
	uint64_t revision; /* the highest that was shown */
	struct cv_ring_writer proposals;
	struct cv_ring_writer control;
	struct cv_list lists[CV_LISTS];
	struct cv_rooms rooms;
	uint8_t link_state; /* enum cv_link_state */
	uint8_t session_over; /* the daemon said so */
	uint32_t polls; /* vain ones, to look at the clock now and then */
	uint64_t looked_ns; /* last look at the socket */
	uint64_t spin_ns; /* current budget */
	uint64_t spin_max_ns;
	uint64_t timeout_ns;
	uint32_t flags; /* enum conclave_option_flags */
	int gather; /* -1: no event loop asked */
	struct cv_window window;
	/* What connecting touches. */
	struct cv_link link;
	struct cv_seat seats[CV_SEATS];
	struct cv_geometry wish;
	uint8_t session[16];
	uint8_t secret[16];
	uint64_t epoch;
	uint64_t born; /* told by the welcome before the first proposal */
	uint64_t *mark_page;
	void *arrays;
	size_t arrays_size;
	uint32_t trusted_uid;
	uint32_t path_count;
	char paths[CV_PATHS][CV_PATH_SIZE];
	char name[CV_NAME_SIZE];
};

/* A child has a copy of the handle, but the page is empty there. */
static inline int cv_forked(const struct conclave *c)
{
	return *c->mark == 0;
}

/* ---- lists ---- */

static inline void cv_list_push(struct conclave *c, struct conclave_req *req,
				enum cv_list_name name)
{
	struct cv_list *list = &c->lists[name];

	req->list = (uint8_t)name;
	req->next = CV_NONE;
	req->previous = list->last;
	if (list->last != CV_NONE)
		c->reqs[list->last].next = req->slot;
	else
		list->first = req->slot;
	list->last = req->slot;
}

static inline void cv_list_remove(struct conclave *c, struct conclave_req *req)
{
	struct cv_list *list = &c->lists[req->list];

	if (req->previous != CV_NONE)
		c->reqs[req->previous].next = req->next;
	else
		list->first = req->next;
	if (req->next != CV_NONE)
		c->reqs[req->next].previous = req->previous;
	else
		list->last = req->previous;
	req->list = CV_LIST_NONE;
}

static inline struct conclave_req *cv_list_first(struct conclave *c,
						 enum cv_list_name name)
{
	uint32_t first = c->lists[name].first;

	return first == CV_NONE ? NULL : &c->reqs[first];
}

static inline struct conclave_req *cv_list_last(struct conclave *c,
						enum cv_list_name name)
{
	uint32_t last = c->lists[name].last;

	return last == CV_NONE ? NULL : &c->reqs[last];
}

static inline struct conclave_req *cv_list_next(struct conclave *c,
						const struct conclave_req *req)
{
	return req->next == CV_NONE ? NULL : &c->reqs[req->next];
}

/* ---- sequences ---- */

static inline void cv_window_init(struct cv_window *window)
{
	memset(window, 0, sizeof(*window));
	window->next = 1;
	window->settled = 1;
}

/*
 * What is told as settled-below. It stays 1 until the session has begun: only
 * an operation that says 1 may begin it, whatever was cancelled before.
 */
static inline uint64_t cv_window_told(const struct cv_window *window)
{
	return window->begun != 0 ? window->settled : 1;
}

static inline int cv_window_open(const struct cv_window *window)
{
	return window->next < cv_window_told(window) + CV_WINDOW;
}

/* Full of what never left, and so will stay: only a new session helps. */
static inline int cv_window_spent(const struct cv_window *window)
{
	return window->begun == 0 && window->settled == window->next &&
	       !cv_window_open(window);
}

/* A result that only an applied operation has; the session exists then. */
static inline void cv_window_note(struct cv_window *window, int32_t status)
{
	switch (status) {
	case 0:
	case CONCLAVE_ECOMPARE:
	case CONCLAVE_EQUOTA:
	case CONCLAVE_ECOMPACTED:
	case CONCLAVE_EFUTURE:
	case CONCLAVE_ENOTFOUND:
		window->begun = 1;
		return;
	default:
		return;
	}
}

static inline void cv_window_settle(struct cv_window *window, uint64_t sequence)
{
	uint64_t at = sequence % CV_WINDOW;
	uint64_t *word;

	window->bits[at / 64] |= (uint64_t)1 << at % 64;
	for (;;) {
		at = window->settled % CV_WINDOW;
		word = &window->bits[at / 64];
		if ((*word & (uint64_t)1 << at % 64) == 0)
			break;
		*word &= ~((uint64_t)1 << at % 64);
		window->settled++;
	}
}

/* ---- what a request holds ---- */

static inline int cv_is_proposal(uint16_t type)
{
	return type < CV_PING;
}

/* Its outcome was given, or given up. */
static inline void cv_req_settle(struct conclave *c, struct conclave_req *req)
{
	if (req->sequence != 0 && req->session == c->session_number)
		cv_window_settle(&c->window, req->sequence);
	req->sequence = 0;
}

/* The reply is no longer read; its room may be used again. A map that nothing
 * pins any more goes later: what was just finished is lent a moment longer. */
static inline void cv_req_give_room(struct conclave *c,
				    struct conclave_req *req)
{
	if (req->seat < CV_SEATS) {
		if (req->pinned)
			c->seats[req->seat].pins--;
	} else {
		if (req->pinned)
			c->link.pins--;
		if (req->reply_size != 0)
			cv_rooms_give(&c->rooms, req->reply_offset);
	}
	req->pinned = 0;
	req->reply_size = 0;
	req->seat = CV_SEATS;
	req->result.reply = NULL;
}

/* Back to the free ones, from wherever it is. */
static inline void cv_req_release(struct conclave *c, struct conclave_req *req)
{
	if (req->list != CV_LIST_NONE)
		cv_list_remove(c, req);
	cv_req_settle(c, req);
	cv_req_give_room(c, req);
	req->state = CV_REQ_FREE;
	req->asking = 0;
	c->dropped -= req->dropped;
	req->dropped = 0;
	cv_list_push(c, req, CV_LIST_FREE);
}

/* It is complete, and known by the client alone. */
static inline void cv_req_complete(struct conclave *c, struct conclave_req *req,
				   int32_t status)
{
	if (req->dropped) {
		cv_req_release(c, req);
		return;
	}
	if (req->list != CV_LIST_NONE)
		cv_list_remove(c, req);
	memset(&req->result, 0, sizeof(req->result));
	req->result.status = status;
	req->asking = 0;
	req->state = CV_REQ_READY;
	cv_list_push(c, req, CV_LIST_READY);
}

/* READY becomes DONE: the caller has it now. */
static inline void cv_req_deliver(struct conclave *c, struct conclave_req *req)
{
	cv_list_remove(c, req);
	req->state = CV_REQ_DONE;
	if (req->result.revision > c->revision)
		c->revision = req->result.revision;
}

#endif
