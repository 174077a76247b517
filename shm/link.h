/*
 * Connecting: a small machine whose steps never block, so that every wait can
 * make progress with it.
 *
 *   DOWN --connect, hello--> GREETING --welcome, maps--> UP
 *     ^--------------- anything wrong, with back-off ------'
 *
 * Trust: the daemon's user is checked before anything is sent. Of what the
 * welcome says, everything is checked against the client's own limits, the
 * descriptors' sizes and both headers before a word of the maps is used; it is
 * then kept here and never read again.
 */
#ifndef SHM_LINK_H
#define SHM_LINK_H

#include "shm/handle.h"

enum cv_link_limits {
	CV_BACKOFF_MIN_NS = 1000000,
	CV_BACKOFF_MAX_NS = 20000000,
};

/* The order in which the descriptors come. */
enum cv_link_fd {
	CV_FD_UP = 0,
	CV_FD_DOWN,
	CV_FD_STATUS,
	CV_FD_DOORBELL,
	CV_FD_COMPLETION,
};

/* ---- checks ---- */

/* Do [offset, offset + size) and `alignment` agree, inside of `limit`? */
static inline int cv_area_ok(uint64_t offset, uint64_t size, uint64_t least,
			     uint64_t limit)
{
	return offset >= least && offset % CV_LINE == 0 && offset <= limit &&
	       size <= limit - offset;
}

static inline int cv_areas_apart(uint64_t a, uint64_t a_size, uint64_t b,
				 uint64_t b_size)
{
	return a + a_size <= b || b + b_size <= a;
}

static inline int cv_welcome_up_ok(const struct cv_welcome *w)
{
	uint64_t claims_end =
		CV_CLAIMS_OFFSET + w->slots * (uint64_t)sizeof(uint64_t);
	uint32_t control_max = 2 * CV_KEY_MAX; /* a range: key and end */

	if (control_max > w->request_max)
		control_max = w->request_max;

	return cv_ring_fits(w->proposal_size, w->request_max) &&
	       cv_ring_fits(w->control_size, control_max) &&
	       cv_area_ok(w->proposal_offset, w->proposal_size, claims_end,
			  w->up_size) &&
	       cv_area_ok(w->control_offset, w->control_size, claims_end,
			  w->up_size) &&
	       cv_areas_apart(w->proposal_offset, w->proposal_size,
			      w->control_offset, w->control_size);
}

static inline int cv_welcome_down_ok(const struct cv_welcome *w)
{
	uint64_t slots_end = CV_SLOTS_OFFSET + w->slots * (uint64_t)CV_LINE;

	return w->reply_size <= CV_REPLY_MAX && w->reply_size >= CV_PAGE &&
	       cv_area_ok(w->reply_offset, w->reply_size, slots_end,
			  w->down_size) &&
	       cv_area_ok(w->event_offset, w->event_size, slots_end,
			  w->down_size) &&
	       cv_areas_apart(w->reply_offset, w->reply_size, w->event_offset,
			      w->event_size);
}

/* A daemon that comes back must not offer less than is in use. */
static inline int cv_welcome_ok(const struct conclave *c,
				const struct cv_welcome *w)
{
	if (w->slots == 0 || w->slots > CV_SLOTS_MAX ||
	    w->up_size > (uint64_t)1 << 40 || w->down_size > (uint64_t)1 << 40)
		return 0;
	if (w->status_size < sizeof(struct cv_status))
		return 0;
	if (c->arrays != NULL &&
	    (w->slots < c->slot_count || w->request_max < c->request_max ||
	     w->reply_size < c->rooms.count * CV_ROOM_MIN))
		return 0;
	return cv_welcome_up_ok(w) && cv_welcome_down_ok(w);
}

static inline int cv_header_ok(const uint8_t *base, const struct cv_welcome *w,
			       uint64_t magic, uint64_t size)
{
	struct cv_header head;

	cv_copy(&head, base, sizeof(head));
	return head.magic == magic && head.abi_major == CV_ABI_MAJOR &&
	       head.header_size == CV_HEADER_SIZE &&
	       head.incarnation == w->incarnation && head.size == size &&
	       head.slots == w->slots && head.request_max == w->request_max &&
	       head.proposal_offset == w->proposal_offset &&
	       head.proposal_size == w->proposal_size &&
	       head.control_offset == w->control_offset &&
	       head.control_size == w->control_size &&
	       head.reply_offset == w->reply_offset &&
	       head.reply_size == w->reply_size &&
	       head.event_offset == w->event_offset &&
	       head.event_size == w->event_size;
}

static inline int cv_status_ok(const struct cv_status *status,
			       const struct cv_welcome *w)
{
	return cv_load_relaxed64(&status->magic) == CV_MAGIC_STATUS &&
	       cv_load_relaxed64(&status->incarnation) == w->incarnation;
}

/* ---- taking up and letting go ---- */

static inline void cv_link_unmap_up(struct conclave *c)
{
	cv_env_unmap(c->link.up, c->link.up_size);
	cv_env_unmap(c->link.status, c->link.status_size);
	c->link.up = NULL;
	c->link.status = NULL;
}

static inline void cv_link_unmap_down(struct conclave *c)
{
	cv_env_unmap(c->link.down, c->link.down_size);
	c->link.down = NULL;
}

static inline void cv_link_close_fds(struct conclave *c)
{
	cv_env_close(c->link.socket);
	cv_env_close(c->link.doorbell);
	cv_env_close(c->link.completion);
	c->link.socket = -1;
	c->link.doorbell = -1;
	c->link.completion = -1;
}

/* Down, and not before `back-off` up again. Returns the reason. */
static inline int cv_link_fail(struct conclave *c, int reason)
{
	struct cv_link *link = &c->link;

	cv_link_close_fds(c);
	link->error = reason;
	link->retry_ns = cv_env_now() + link->backoff_ns;
	link->backoff_ns *= 2;
	if (link->backoff_ns > CV_BACKOFF_MAX_NS)
		link->backoff_ns = CV_BACKOFF_MAX_NS;
	c->link_state = CV_LINK_DOWN;
	return reason;
}

static inline int cv_link_map(struct conclave *c, const struct cv_welcome *w,
			      const int *fds)
{
	struct cv_link *link = &c->link;

	if (cv_env_sealed_size(fds[CV_FD_UP]) < (int64_t)w->up_size ||
	    cv_env_sealed_size(fds[CV_FD_DOWN]) < (int64_t)w->down_size ||
	    cv_env_sealed_size(fds[CV_FD_STATUS]) < (int64_t)w->status_size)
		return CONCLAVE_EPROTO;
	link->up_size = w->up_size;
	link->down_size = w->down_size;
	link->status_size = w->status_size;
	link->up = (uint8_t *)cv_env_map(fds[CV_FD_UP], w->up_size, 1);
	link->down = (uint8_t *)cv_env_map(fds[CV_FD_DOWN], w->down_size, 0);
	link->status = (struct cv_status *)cv_env_map(fds[CV_FD_STATUS],
						      w->status_size, 0);
	if (link->up == NULL || link->down == NULL || link->status == NULL)
		return -ENOMEM;
	if (!cv_header_ok(link->up, w, CV_MAGIC_UP, w->up_size) ||
	    !cv_header_ok(link->down, w, CV_MAGIC_DOWN, w->down_size) ||
	    !cv_status_ok(link->status, w))
		return CONCLAVE_EPROTO;
	return 0;
}

/* Points the handle at the maps of a checked welcome. */
static inline void cv_link_attach(struct conclave *c,
				  const struct cv_welcome *w)
{
	uint8_t *up = c->link.up;
	uint8_t *down = c->link.down;
	struct cv_down_words *words =
		(struct cv_down_words *)(void *)(down + CV_HEADER_SIZE);

	c->claims = (uint64_t *)(void *)(up + CV_CLAIMS_OFFSET);
	c->up_words = (struct cv_up_words *)(void *)(up + CV_HEADER_SIZE);
	c->down_words = words;
	c->slots = (const struct cv_slot *)(void *)(down + CV_SLOTS_OFFSET);
	c->reply_base = down + w->reply_offset;
	cv_ring_writer_init(&c->proposals, up + w->proposal_offset,
			    w->proposal_size, &words->proposal_head);
	cv_ring_writer_init(&c->control, up + w->control_offset,
			    w->control_size, &words->control_head);
	c->found = 0;
	c->unflushed = 0;
	c->armed = 0;
	c->epoch = w->epoch;
	if (c->window.next == 1)
		c->born = w->born;
	else
		c->window.begun = 1; /* a resume has begun it, at least */
	c->looked_ns = cv_env_now_coarse();
	c->link.pins = 0;
	c->link.error = 0;
	c->link.backoff_ns = CV_BACKOFF_MIN_NS;
	if (c->gather >= 0) {
		/* Without these two the slices of waiting remain. */
		(void)!cv_env_gather_add(c->gather, c->link.socket);
		(void)!cv_env_gather_add(c->gather, c->link.completion);
	}
	if (c->arrays == NULL) {
		c->wish.slots = w->slots;
		c->wish.request_max = w->request_max;
		c->wish.proposal_size = w->proposal_size;
		c->wish.control_size = w->control_size;
		c->wish.reply_size = w->reply_size;
		c->request_max = w->request_max;
	} else {
		cv_rooms_init(&c->rooms, c->rooms.count * CV_ROOM_MIN);
	}
}

/* ---- the machine ---- */

static inline int cv_link_hello(struct conclave *c)
{
	struct cv_hello hello;

	memset(&hello, 0, sizeof(hello));
	hello.magic = CV_MAGIC_HELLO;
	hello.abi_major = CV_ABI_MAJOR;
	hello.abi_minor = CV_ABI_MINOR;
	hello.size = CV_MESSAGE_SIZE;
	hello.flags = c->window.next > 1 ? CV_HELLO_RESUME : 0;
	hello.slots = c->wish.slots;
	hello.request_max = c->wish.request_max;
	hello.proposal_size = c->wish.proposal_size;
	hello.control_size = c->wish.control_size;
	hello.reply_size = c->wish.reply_size;
	memcpy(hello.session, c->session, sizeof(hello.session));
	memcpy(hello.secret, c->secret, sizeof(hello.secret));
	hello.epoch = c->epoch;
	hello.min_revision = c->revision;
	hello.settled_below = cv_window_told(&c->window);
	hello.born = c->window.next > 1 ? c->born : 0;
	hello.clock_ns = cv_env_boot_now();
	memcpy(hello.name, c->name, sizeof(hello.name));
	return cv_env_send(c->link.socket, &hello, sizeof(hello));
}

/* What connect() said, for people who wait: is there a daemon? */
static inline int cv_link_absent(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ECONNREFUSED:
	case -EPROTOTYPE: /* something else listens there */
		return CONCLAVE_ESTOPPED;
	case -EACCES:
	case -EPERM:
		return CONCLAVE_EPERM;
	default:
		return error;
	}
}

static inline int cv_link_try(struct conclave *c, const char *path)
{
	uint32_t uid = UINT32_MAX;
	int status;

	c->link.socket = cv_env_socket();
	if (c->link.socket < 0)
		return c->link.socket;
	status = cv_env_connect(c->link.socket, path);
	if (status != 0)
		return cv_link_absent(status);
	status = cv_env_peer_uid(c->link.socket, &uid);
	if (status != 0)
		return status;
	if (uid != 0 && uid != cv_env_uid() &&
	    ((c->flags & CONCLAVE_TRUST_UID) == 0 || uid != c->trusted_uid))
		return CONCLAVE_EUNTRUSTED;
	status = cv_link_hello(c);
	return status == -EPIPE || status == -ECONNRESET ? CONCLAVE_ESTOPPED
							 : status;
}

static inline int cv_link_connect(struct conclave *c)
{
	int status = CONCLAVE_ESTOPPED, reason = CONCLAVE_ESTOPPED;
	uint32_t i;

	for (i = 0; i < c->path_count; i++) {
		status = cv_link_try(c, c->paths[i]);
		if (status == 0)
			break;
		cv_link_close_fds(c);
		if (reason == CONCLAVE_ESTOPPED)
			reason = status;
	}
	if (status != 0)
		return cv_link_fail(c, reason);
	c->link_state = CV_LINK_GREETING;
	c->link.error = CONCLAVE_ESTOPPED;
	return 0;
}

static inline int cv_welcome_read(const struct conclave *c,
				  const struct cv_env_message *message,
				  const struct cv_welcome *w)
{
	if (message->size != sizeof(*w) || w->magic != CV_MAGIC_HELLO ||
	    w->size != CV_MESSAGE_SIZE || w->status > 0)
		return CONCLAVE_EPROTO;
	if (w->status != 0)
		return w->status;
	if (w->abi_major != CV_ABI_MAJOR)
		return CONCLAVE_EVERSION;
	if (message->fd_count != CV_FD_COUNT || !cv_welcome_ok(c, w))
		return CONCLAVE_EPROTO;
	return 0;
}

/* The answer to hello: up, or why not; -EAGAIN while there is none. */
static inline int cv_link_welcome(struct conclave *c)
{
	struct cv_env_message message;
	struct cv_welcome w;
	uint32_t i;
	int status;

	memset(&w, 0, sizeof(w));
	message.bytes = &w;
	message.size = sizeof(w);
	status = cv_env_receive(c->link.socket, &message);
	if (status == -EAGAIN || status == -EINTR)
		return -EAGAIN;
	if (status != 0 || message.size == 0)
		return status == -EMSGSIZE ? CONCLAVE_EPROTO
					   : CONCLAVE_ESTOPPED;
	status = cv_welcome_read(c, &message, &w);
	if (status == 0)
		status = cv_link_map(c, &w, message.fds);
	for (i = 0; i < message.fd_count; i++) {
		if (status != 0 || i < CV_FD_DOORBELL)
			cv_env_close(message.fds[i]);
	}
	if (status != 0) {
		cv_link_unmap_up(c);
		cv_link_unmap_down(c);
		return status;
	}
	c->link.doorbell = message.fds[CV_FD_DOORBELL];
	c->link.completion = message.fds[CV_FD_COMPLETION];
	cv_link_attach(c, &w);
	c->link_state = CV_LINK_UP;
	return 0;
}

/* Waits a little for the machine to be able to go on: 0 or -EINTR. */
static inline int cv_link_pause(struct conclave *c, uint64_t until_ns)
{
	uint64_t now = cv_env_now(), ns = (uint64_t)CV_WAKE_SLICE_MS * CV_MS;
	int ready;

	if (until_ns <= now)
		return 0;
	if (ns > until_ns - now)
		ns = until_ns - now;
	if (c->link_state == CV_LINK_GREETING) {
		ready = cv_env_poll(c->link.socket,
				    (int)((ns + CV_MS - 1) / CV_MS));
		return ready == -EINTR ? -EINTR : 0;
	}
	if (c->link.retry_ns <= now)
		return 0;
	if (ns > c->link.retry_ns - now)
		ns = c->link.retry_ns - now;
	return cv_env_sleep(ns);
}

#endif
