/*
 * One connection to another member.
 */
#include "daemon/link.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

enum {
	KEEP_IDLE_S = 1, /* then the kernel asks whether anybody is there */
	KEEP_INTERVAL_S = 1,
	KEEP_COUNT = 3,
	/* Nothing on the control lane waits for a disk; on the bulk lane a
	 * member may be busy with one for a while. */
	SILENCE_CONTROL_MS = 3000,
	SILENCE_BULK_MS = 15000,
};

_Static_assert((int)NODE_PARTS_MAX <= (int)ENGINE_PARTS_MAX, "parts");

static int set_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

int link_prepare(int fd)
{
	int result = set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	if (result == 0)
		result = set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (result == 0)
		result = set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S);
	if (result == 0)
		result = set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL,
				    KEEP_INTERVAL_S);
	if (result == 0)
		result = set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT);
	if (result == 0)
		result = set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
				    SILENCE_CONTROL_MS);
	return result;
}

void link_set_lane(struct link *link, enum node_lane lane)
{
	link->lane = (uint8_t)lane;
	if (lane == NODE_BULK)
		(void)set_option(link->fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
				 SILENCE_BULK_MS); /* else it breaks early */
}

/* ---- life ---- */

int link_begin(struct link *link, struct engine *engine, int fd,
	       bool connecting)
{
	assert(link->state == LINK_FREE);
	int stream = engine_stream_open(engine, fd, connecting);
	if (stream < 0)
		return stream;
	memset(link, 0, sizeof(*link));
	link->stream = stream;
	link->fd = fd;
	link->state = connecting ? LINK_CONNECTING : LINK_GREETING;
	return 0;
}

void link_end(struct link *link, struct engine *engine)
{
	assert(link->state != LINK_FREE);
	if (link->tls)
		tls_end(link->tls);
	engine_stream_close(engine, link->stream);
	link->state = LINK_FREE;
	link->stream = -1;
	link->fd = -1;
}

/* ---- bytes, sealed or not ---- */

static uint32_t received(struct link *link, struct engine *engine,
			 const uint8_t **ret_bytes)
{
	return link->tls ? tls_received(link->tls, ret_bytes)
			 : engine_received(engine, link->stream, ret_bytes);
}

static void take(struct link *link, struct engine *engine, uint32_t size)
{
	if (link->tls)
		tls_take(link->tls, size);
	else
		engine_take(engine, link->stream, size);
}

bool link_is_said(const struct link *link)
{
	const uint8_t *bytes;

	if (link->out_sent < link->out_size)
		return false;
	return !link->tls || tls_out(link->tls, &bytes) == 0;
}

bool link_is_broken(const struct link *link)
{
	return link->tls && link->tls->failed;
}

/* ---- greetings ---- */

void link_greet(struct link *link, const struct wire_greeting *greeting)
{
	struct wire_greeting sealed = *greeting;

	assert(link->out_size == 0);
	wire_greeting_seal(&sealed);
	memcpy(link->out, &sealed, sizeof(sealed));
	link->out_size = sizeof(sealed);
	link->out_sent = 0;
}

int link_hear_greeting(struct link *link, struct engine *engine,
		       struct wire_greeting *ret_greeting)
{
	const uint8_t *bytes;
	uint32_t size;

	while (link->in_used < sizeof(link->in) &&
	       (size = received(link, engine, &bytes)) > 0) {
		if (size > sizeof(link->in) - link->in_used)
			size = (uint32_t)sizeof(link->in) - link->in_used;
		memcpy(link->in + link->in_used, bytes, size);
		link->in_used += size;
		take(link, engine, size);
	}
	if (link->in_used < sizeof(link->in))
		return 0;
	int result = wire_greeting_check(link->in, ret_greeting);
	return result < 0 ? result : 1;
}

/* ---- frames ---- */

int link_hear(struct link *link, struct engine *engine, struct node *node,
	      bool *ret_any)
{
	const uint8_t *bytes;
	uint32_t size;
	uint32_t left = LINK_HEAR_MAX;
	bool any = false;

	assert(link->state == LINK_OPEN);
	while (left > 0 && (size = received(link, engine, &bytes)) > 0) {
		uint32_t taken = 0;
		if (size > left)
			size = left;
		int result = node_hear(node, link->member,
				       (enum node_lane)link->lane, bytes, size,
				       &taken);
		assert(taken <= size);
		link->heard += taken;
		if (result < 0)
			return result;
		take(link, engine, taken);
		any = any || taken > 0;
		left -= taken;
		if (taken < size)
			break;
	}
	*ret_any = any;
	return 0;
}

/* What is left of our greeting. */
static void send_greeting(struct link *link, struct engine *engine)
{
	engine_parts(engine, link->stream)[0] = (struct iovec){
		.iov_base = link->out + link->out_sent,
		.iov_len = link->out_size - link->out_sent,
	};
	link->lent = false;
	engine_send(engine, link->stream, 1);
}

/* What the node has to say, no more than a turn should take. */
static bool send_frames(struct link *link, struct engine *engine,
			struct node *node)
{
	struct iovec *to = engine_parts(engine, link->stream);
	struct node_part parts[NODE_PARTS_MAX];
	uint32_t count = node_gather(node, link->member,
				     (enum node_lane)link->lane, parts);
	uint32_t left = LINK_SEND_MAX;
	uint32_t used = 0;

	assert(count <= NODE_PARTS_MAX);
	for (; used < count && left > 0; used++) {
		uint32_t size =
			parts[used].size < left ? parts[used].size : left;
		to[used].iov_base = (void *)(uintptr_t)parts[used].bytes;
		to[used].iov_len = size;
		left -= size;
	}
	if (used == 0)
		return false;
	link->lent = true;
	engine_send(engine, link->stream, used);
	return true;
}

/* ---- sealed ---- */

static void seal_greeting(struct link *link)
{
	link->out_sent += tls_put(link->tls, link->out + link->out_sent,
				  link->out_size - link->out_sent);
}

/* What was sealed is as good as sent. */
static void seal_frames(struct link *link, struct node *node)
{
	struct node_part parts[NODE_PARTS_MAX];
	uint32_t count = node_gather(node, link->member,
				     (enum node_lane)link->lane, parts);
	uint32_t total = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t done =
			tls_put(link->tls, parts[i].bytes, parts[i].size);
		total += done;
		if (done < parts[i].size)
			break;
	}
	if (count > 0)
		node_sent(node, link->member, (enum node_lane)link->lane,
			  total);
}

static bool send_sealed(struct link *link, struct engine *engine,
			struct node *node)
{
	const uint8_t *bytes;

	if (link->out_sent < link->out_size)
		seal_greeting(link);
	else if (link->state == LINK_OPEN && tls_room(link->tls) > 0)
		seal_frames(link, node);
	tls_flush(link->tls);
	uint32_t size = tls_out(link->tls, &bytes);
	if (size == 0)
		return false;
	engine_parts(engine, link->stream)[0] = (struct iovec){
		.iov_base = (void *)(uintptr_t)bytes,
		.iov_len = size,
	};
	engine_send(engine, link->stream, 1);
	return true;
}

bool link_send(struct link *link, struct engine *engine, struct node *node)
{
	if (link->state == LINK_CONNECTING ||
	    !engine_can_send(engine, link->stream))
		return false;
	if (link->tls)
		return send_sealed(link, engine, node);
	if (link->out_sent < link->out_size) {
		send_greeting(link, engine);
		return true;
	}
	return link->state == LINK_OPEN && send_frames(link, engine, node);
}

void link_sent(struct link *link, struct engine *engine, struct node *node)
{
	uint32_t size;

	if (!engine_sent(engine, link->stream, &size))
		return;
	if (link->tls) {
		tls_sent(link->tls, size);
	} else if (link->lent) {
		link->lent = false;
		node_sent(node, link->member, (enum node_lane)link->lane, size);
	} else {
		link->out_sent += size;
		assert(link->out_sent <= link->out_size);
	}
}
