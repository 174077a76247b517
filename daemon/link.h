/*
 * One connection to another member: a stream, and the greetings that come
 * first on it.
 *
 *   connecting  dialled, and not yet through
 *   shaking     with TLS: its handshake goes on
 *   greeting    dialled: our greeting goes out, the answer is awaited
 *               accepted: the other side's greeting is awaited
 *   waiting     accepted and greeted; another connection of the same lane
 *               must end before this one can be answered
 *   answering   our answer goes out; then it is open, or closed
 *   open        frames flow: the bytes belong to the node
 *   ending      TLS says why not; then it is closed
 *
 * All but open has a deadline. Which connection may become what is decided by
 * those who know the others: daemon/peers.h.
 */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H

#include "daemon/address.h"
#include "daemon/engine.h"
#include "daemon/node.h"
#include "daemon/tls.h"
#include "daemon/wire.h"

enum link_state {
	LINK_FREE = 0,
	LINK_CONNECTING,
	LINK_GREETING,
	LINK_WAITING,
	LINK_ANSWERING,
	LINK_OPEN,
	LINK_SHAKING,
	LINK_ENDING,
};

enum link_limits {
	LINK_SEND_MAX = 256 << 10, /* of frames, in one turn */
	LINK_HEAR_MAX = 256 << 10,
};

struct link {
	uint8_t state; /* enum link_state */
	bool dialled; /* by us */
	bool is_shaking; /* TLS has begun to speak */
	bool is_quiet; /* and said its last word */
	bool lent; /* what is being sent is the node's */
	uint8_t lane; /* enum node_lane; accepted: once it greeted */
	int32_t verdict; /* of an answer: enum wire_refusal */
	int stream; /* of the engine */
	int fd; /* the engine's */
	struct tls *tls; /* lent; NULL: plain TCP */
	uint64_t member; /* who is there, or claims to be; 0: not known */
	uint32_t version; /* of the cluster, that the other one can apply */
	uint32_t entry_max; /* that its log has room for */
	uint64_t incarnation;
	uint64_t since_ns; /* begun, or opened */
	uint64_t deadline_ns; /* until it is open */
	uint64_t heard; /* bytes of frames */
	uint32_t in_used;
	uint32_t out_size; /* of our greeting; 0: there is none yet */
	uint32_t out_sent;
	uint32_t next; /* free place */
	char where[ADDRESS_TEXT_MAX]; /* the other side's address */
	uint8_t in[WIRE_GREETING_SIZE];
	uint8_t out[WIRE_GREETING_SIZE];
};

/* Options of a socket that every connection between members has. */
int link_prepare(int fd) __attribute__((warn_unused_result));

/* Its lane is known: how long the other side may keep silent. */
void link_set_lane(struct link *link, enum node_lane lane);

/*
 * Takes over a connected socket, or one that connects. -ENOSPC: no place, and
 * the socket stays the caller's.
 */
int link_begin(struct link *link, struct engine *engine, int fd,
	       bool connecting) __attribute__((warn_unused_result));

/* Closes the connection; the place is empty then. */
void link_end(struct link *link, struct engine *engine);

/* Seals what we say first on this connection, or answer. */
void link_greet(struct link *link, const struct wire_greeting *greeting);

/*
 * Takes what came until the other side's greeting is whole. 1: *ret_greeting
 * is it; 0: not yet; -EBADMSG: it is no greeting.
 */
int link_hear_greeting(struct link *link, struct engine *engine,
		       struct wire_greeting *ret_greeting)
	__attribute__((warn_unused_result));

/*
 * Gives what came to the node. 0, or -EBADMSG: it cannot be. *ret_any says
 * whether anything was taken.
 */
int link_hear(struct link *link, struct engine *engine, struct node *node,
	      bool *ret_any) __attribute__((warn_unused_result));

/* Sends what there is to send; whether there was something. */
bool link_send(struct link *link, struct engine *engine, struct node *node);

/* After engine_reap(): what became of that. */
void link_sent(struct link *link, struct engine *engine, struct node *node);

/* Whether all that we had to say is the kernel's. */
bool link_is_said(const struct link *link);

/* Whether TLS found that what came was tampered with, or was none. */
bool link_is_broken(const struct link *link);

#endif
