/*
 * All clients of this daemon: from accepted connections to the node's
 * handles, and back when they go.
 *
 * Whoever is refused still gets its answer, and gets it after its hello was
 * read, so that it finds an answer and not a broken connection; it therefore
 * holds a place until its hello comes or its time is over. Such places are
 * few and counted apart, so who may not connect cannot keep out who may.
 */
#ifndef DAEMON_CLIENTS_H
#define DAEMON_CLIENTS_H

#include "daemon/engine.h"
#include "daemon/client.h"
#include "daemon/log.h"

enum clients_limits {
	CLIENTS_ARRIVED_MAX = 64, /* not yet greeted */
	CLIENTS_REFUSED_MAX = 16, /* of these, known to be refused */
	CLIENTS_WATCHES = 3, /* for each handle */
	CLIENTS_LINES_MAX = 20, /* of the log, in CLIENTS_LINES_NS */
};

/* Time between accept and hello. */
#define CLIENTS_HELLO_NS 5000000000ull

/* Clients, who may be many and hostile, do not fill the log. */
#define CLIENTS_LINES_NS 1000000000ull

struct clients {
	struct engine *engine; /* all lent */
	struct node *node;
	struct log *log;
	const struct listener *listener;
	int status_page;
	struct client *all;
	uint32_t count;
	uint32_t free; /* first free place; count: none */
	uint32_t arrived;
	uint32_t refused;
	uint64_t next_deadline_ns; /* of a hello; UINT64_MAX: none */
	uint64_t now_ns; /* of this turn */
	uint64_t lines_until_ns; /* when lines are counted from 0 again */
	uint32_t lines; /* about clients */
	int32_t of_node[NODE_HANDLES_MAX]; /* a node's handle: place, or -1 */
};

/* What clients stand on. Lent until the end. */
struct clients_ground {
	struct engine *engine;
	struct node *node;
	struct log *log;
	const struct listener *listener;
	int status_page; /* descriptor */
	uint32_t handles_max;
};

/* Watches that the engine needs for so many handles. */
uint32_t clients_watches(uint32_t handles_max);

int clients_init(struct clients *clients, const struct clients_ground *ground)
	__attribute__((warn_unused_result));

/* First in each turn: lets go who did not say hello in time. */
void clients_turn(struct clients *clients, uint64_t now_ns);

/* Events of the engine; `owner` is what they carry. */
void clients_arrive(struct clients *clients, int connection);
void clients_hear(struct clients *clients, uint32_t owner);
void clients_bury(struct clients *clients, uint32_t owner);

/* Events of the node. */
void clients_do(struct clients *clients, const struct node_event *event);

/* No more greetings: those that wait for theirs are let go. */
void clients_stop(struct clients *clients);

#endif
