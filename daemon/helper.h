/*
 * A thread for what would hold up the loop: looking up the name of a host,
 * and giving back gigabytes of memory to get them zeroed.
 *
 * Jobs and answers are messages on a pair of sockets, so nothing is shared
 * but what a message hands over. The loop never waits for the thread; the
 * thread waits for jobs, and for whatever a job waits for.
 */
#ifndef DAEMON_HELPER_H
#define DAEMON_HELPER_H

#include "daemon/address.h"
#include "daemon/memory.h"

enum helper_kind {
	HELPER_NAME = 1,
	HELPER_MEMORY,
};

struct helper {
	int jobs; /* the loop's end of the pair; -1: there is no helper */
};

struct helper_answer {
	uint8_t kind; /* enum helper_kind */
	uint64_t tag; /* of the job */
	int error; /* NAME: of getaddrinfo(); MEMORY: -errno; 0: none */
	uint32_t count;
	struct address found[ADDRESS_FOUND_MAX];
	struct memory memory;
};

/* Starts the thread, which lives as long as the process or helper_close(). */
int helper_open(struct helper *ret_helper) __attribute__((warn_unused_result));
void helper_close(struct helper *helper);

/* Readable when there is an answer. */
int helper_fd(const struct helper *helper) __attribute__((warn_unused_result));

/* Looks a host up. -EAGAIN: too many jobs wait. */
int helper_look_up(struct helper *helper, uint64_t tag,
		   const struct address_parts *parts)
	__attribute__((warn_unused_result));

/*
 * Takes a mapping over and answers with another like it, zeroed. With an
 * error there is none. -EAGAIN: too many jobs wait, nothing was taken.
 */
int helper_renew(struct helper *helper, const struct memory *memory)
	__attribute__((warn_unused_result));

/* Takes the next answer; false: there is none now. */
bool helper_next(struct helper *helper, struct helper_answer *ret_answer);

#endif
