/*
 * The loop: one thread that turns as long as there is work, looks on for a
 * while when there is none, and then sleeps.
 */
#ifndef DAEMON_LOOP_H
#define DAEMON_LOOP_H

#include "daemon/clients.h"
#include "daemon/peers.h"
#include "daemon/spare.h"
#include "daemon/trouble.h"

enum loop_limits {
	LOOP_EVENTS_MAX = 128, /* of the node, in one turn */
	LOOP_SWEEP_TURNS = 32, /* all handles are looked at so often */
	LOOP_SPIN_STEPS = 8, /* shortest spin: an eighth of the longest */
	LOOP_PAUSES = 1, /* between two looks while spinning */
	LOOP_SETTLE_TRIES = 100000, /* to hand in what is to be sent */
};

/* Time to try again when no connection could be accepted. */
#define LOOP_ACCEPT_NS 100000000ull

/* What a clean stop may take. */
#define LOOP_DRAIN_NS 10000000000ull

enum loop_error {
	LOOP_ENOTDRAINED = -5101, /* the time for a clean stop is over */
	LOOP_ESECOND = -5102, /* told a second time to stop */
	LOOP_EREMOVED = -5103, /* this member was removed from its cluster */
};

struct loop {
	struct engine *engine; /* all lent */
	struct disk *disk;
	struct node *node;
	struct log *log;
	struct listener *listener;
	struct clients *clients;
	struct peers *peers; /* NULL: a member that stays alone */
	struct helper *helper; /* so are these, then */
	struct spare *spare;
	struct tls_files files; /* of keys, for SIGHUP */
	int doors[ENGINE_DOORS]; /* listening descriptors; -1: none */
	int signals; /* signalfd */
	uint64_t spin_ns; /* longest spin; UINT64_MAX: never sleep */
	/* The loop's own. */
	uint64_t now_ns;
	uint64_t turns;
	uint64_t worked_ns; /* when there was work last */
	uint64_t budget_ns; /* of the spin that is going on */
	bool spun; /* nothing was found since the last work */
	bool slept; /* and it slept, or tried to */
	uint64_t accept_ns[ENGINE_DOORS]; /* when to accept again; 0:
					     accepting, or not at all */
	struct trouble trouble; /* as the log was told of it */
	uint64_t drain_ns; /* when a clean stop must be over; 0: running */
	bool second;
};

/*
 * Turns until a signal ended it cleanly (0), or something else did: a code
 * above, NODE_EFAILED, or -errno of the engine. The caller fills what is
 * lent, zeroes the rest, and has begun to accept and to watch `signals`.
 */
int loop_run(struct loop *loop) __attribute__((warn_unused_result));

/* How long the next spin may be, by how the last one ended. */
uint64_t loop_next_spin_ns(uint64_t last_ns, uint64_t longest_ns, bool found);

#endif
