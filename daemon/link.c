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
	engine_stream_close(engine, link->stream);
	link->state = LINK_FREE;
	link->stream = -1;
	link->fd = -1;
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
	       (size = engine_received(engine, link->stream, &bytes)) > 0) {
		if (size > sizeof(link->in) - link->in_used)
			size = (uint32_t)sizeof(link->in) - link->in_used;
		memcpy(link->in + link->in_used, bytes, size);
		link->in_used += size;
		engine_take(engine, link->stream, size);
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
	while (left > 0 &&
	       (size = engine_received(engine, link->stream, &bytes)) > 0) {
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
		engine_take(engine, link->stream, taken);
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

bool link_send(struct link *link, struct engine *engine, struct node *node)
{
	if (link->state == LINK_CONNECTING ||
	    !engine_can_send(engine, link->stream))
		return false;
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
	if (link->lent) {
		link->lent = false;
		node_sent(node, link->member, (enum node_lane)link->lane, size);
		return;
	}
	link->out_sent += size;
	assert(link->out_sent <= link->out_size);
}
