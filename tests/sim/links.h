/*
 * One machine's connections to others, shared by tests/sim/lanes.c and
 * tests/sim/links.c.
 */
#ifndef TESTS_SIM_LINKS_H
#define TESTS_SIM_LINKS_H

#include "daemon/wire.h"
#include "tests/sim/lanes.h"
#include "tests/sim/machine.h"

enum link_state {
	LINK_FREE = 0,
	LINK_GREETING, /* dialled: an answer is awaited; else a greeting */
	LINK_WAITING, /* greeted us; another one of the lane must end first */
	LINK_OPEN,
};

enum links_limits {
	LINKS_MAX = 64,
	LINKS_OTHERS_MAX = NODE_MEMBERS_MAX,
};

struct link {
	uint8_t state; /* enum link_state */
	bool dialled; /* by us */
	uint8_t lane;
	int end; /* of tests/sim/net.h */
	uint64_t member;
	uint32_t version;
	uint32_t entry_max;
	uint64_t incarnation;
	uint64_t deadline_ns; /* until it is open */
	uint32_t in_used;
	uint8_t in[WIRE_GREETING_SIZE];
};

/* One lane to one member; links by number, -1: none. */
struct lane_place {
	int open;
	int dialling;
	int waiting;
	uint32_t failures; /* in a row */
	uint64_t dial_ns;
};

struct other {
	uint64_t id; /* 0: a free place */
	int machine; /* its address; -1: not known */
	struct lane_place lanes[NODE_LANES];
};

struct links {
	uint32_t machine;
	struct node *node;
	uint64_t member; /* this one */
	uint64_t now_ns;
	uint64_t change; /* of the members, as last read */
	struct other others[LINKS_OTHERS_MAX];
	struct link links[LINKS_MAX];
	uint32_t used; /* links from here on are free */
};

struct other *links_find(struct links *links, uint64_t id);
/* A link over that end; NULL: no place, and the end is closed. */
struct link *links_new(struct links *links, int end);
/* Ends a link: its lane is dialled again, or the one that waits comes in. */
void links_drop(struct links *links, struct link *link);
/* Says who we are, and to whom. */
void links_greet(struct links *links, const struct link *link, uint64_t to,
		 int32_t status);
/* Reads the members anew; those that left are let go. */
void links_follow(struct links *links);
/* Something came before it was open. */
void links_hear_greeting(struct links *links, struct link *link);
/* Its time to be open is over. */
void links_too_late(struct links *links, struct link *link);
void links_dial(struct links *links);

#endif
