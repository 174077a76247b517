/*
 * A miniature daemon inside of a test: it listens on a socket, greets, makes
 * the shared maps, drains the rings with the consumer's side of shm/ring.h,
 * applies to a store of its own and posts. One thread serves; what it has
 * taken, applied and posted can be held back at each stage, and it can be
 * killed there. Store and sessions survive a kill, as on a disk.
 *
 * When it has nothing to do it sleeps without a timeout: a wake that is lost
 * hangs the test.
 */
#ifndef TESTS_UNIT_SUPPORT_PEER_H
#define TESTS_UNIT_SUPPORT_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/abi.h"

enum peer_hold {
	PEER_HOLD_PROPOSALS = 1, /* do not drain that ring: no leader */
	PEER_HOLD_CONTROL = 2,
	PEER_HOLD_APPLY = 4, /* what is taken stays so */
	PEER_HOLD_POST = 8, /* what is applied stays unposted */
	PEER_HOLD_WELCOME = 16, /* who connects hears nothing */
	PEER_SPIN = 32, /* never sleep */
	PEER_ECHO = 64, /* apply without a store: for many requests */
};

/* What was seen so far. */
struct peer_counts {
	uint64_t welcomes;
	uint64_t resumes;
	uint64_t byes;
	uint64_t taken;
	uint64_t dead; /* records whose claim was lost */
	uint64_t applied;
	uint64_t posted;
	uint64_t sleeps;
	uint64_t doorbells;
	uint64_t expelled; /* handles that broke the protocol */
};

struct peer;

/* Listens at `path`, or with NULL at one of its own; nobody serves yet. */
struct peer *peer_new(const char *path);
const char *peer_path(const struct peer *peer);
/* Serves until peer_kill(): the function of its thread. */
void *peer_serve(void *peer);
/* Starts a thread that serves. */
void peer_start(struct peer *peer);
/* Ends the thread. What was not applied, or not posted, is lost; every
 * connection is closed, and nobody listens any more. */
void peer_kill(struct peer *peer);
/* Listens again, and serves. */
void peer_restart(struct peer *peer);
void peer_free(struct peer *peer);

/* Sets what is held back, and returns when that is in force. */
void peer_set_hold(struct peer *peer, uint32_t hold);
struct peer_counts peer_counts(struct peer *peer);
/* Returns when so many records were taken, applied or posted. */
void peer_await_taken(struct peer *peer, uint64_t count);
void peer_await_applied(struct peer *peer, uint64_t count);
void peer_await_posted(struct peer *peer, uint64_t count);
void peer_await_dead(struct peer *peer, uint64_t count);

uint64_t peer_revision(struct peer *peer);
/* All sessions expire. */
void peer_forget_sessions(struct peer *peer);
/* Called with each welcome before it is sent, to spoil it. Set it while
 * nobody serves. */
typedef void (*peer_spoil)(struct cv_welcome *welcome, uint8_t *up,
			   uint8_t *down, void *context);
void peer_set_spoil(struct peer *peer, peer_spoil spoil, void *context);
/* The next welcomes carry so many bytes and descriptors. */
void peer_set_message(struct peer *peer, uint32_t size, uint32_t fd_count);
/* The next welcomes refuse with this. */
void peer_set_refusal(struct peer *peer, int32_t status);
/* What the status page says of alarms (enum cv_alarm). */
void peer_set_alarms(struct peer *peer, uint64_t alarms);
/* And from which index on its state differs. */
void peer_set_differs(struct peer *peer, uint64_t index);
/* The n-th result from now on gets this status instead. */
void peer_set_status(struct peer *peer, uint64_t nth, int32_t status);

/* Where the peer has mapped what `fd` stands for, or NULL. */
void *peer_map_of(int fd);
bool peer_map_known(const void *base);

#endif
