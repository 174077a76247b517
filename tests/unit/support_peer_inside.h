/*
 * The inside of the miniature daemon (support_peer.h): what it remembers, and
 * what its files do for each other.
 */
#ifndef TESTS_UNIT_SUPPORT_PEER_INSIDE_H
#define TESTS_UNIT_SUPPORT_PEER_INSIDE_H

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/wake.h"
#include "tests/unit/support_peer.h"
#include "tests/unit/support_peer_store.h"

enum peer_limits {
	PEER_CONNECTIONS = 1024,
	PEER_MAPS = 3 * PEER_CONNECTIONS,
	PEER_OPS = 8192,
	PEER_BUDGET = 256, /* records of one ring in one turn */
};

struct peer_connection {
	bool open; /* a welcome was sent */
	bool greeted;
	int socket, doorbell, completion;
	uint8_t *up, *down;
	struct cv_welcome geometry;
	struct cv_ring_reader proposals, control;
	struct cv_waker waker;
	struct peer_session *session;
	uint64_t drained; /* highest sequence seen */
	uint32_t posted; /* in this turn */
	bool released; /* heads moved in this turn */
};

struct peer_map {
	dev_t device;
	ino_t inode;
	uint8_t *base;
	size_t size;
};

struct peer {
	pthread_mutex_t lock; /* held for each turn */
	pthread_cond_t turned;
	pthread_t thread;
	bool serving, stopping;
	uint32_t hold;
	uint64_t turns;
	struct peer_counts counts;
	struct peer_store store;
	struct peer_connection connections[PEER_CONNECTIONS];
	uint32_t connection_count;
	struct peer_op *ops; /* a queue of what was taken */
	uint64_t op_head, op_tail;
	struct cv_status *status;
	int status_fd, listening, poller, nudge;
	uint64_t incarnation;
	char path[108];
	peer_spoil spoil;
	void *spoil_context;
	uint32_t message_size, message_fds;
	int32_t refusal;
	uint64_t status_countdown;
	int32_t status_forced;
};

/* support_peer_door.c: maps, greeting, connections. */
uint8_t *peer_map_make(const char *name, size_t size, int *ret_fd);
void peer_maps_free(void);
void peer_watch(struct peer *peer, int fd);
void peer_accept_all(struct peer *peer);
void peer_connection_close(struct peer_connection *c);
void peer_hear(struct peer *peer, struct peer_connection *c);

/* support_peer_turn.c: the stages of a turn; whether anything was done. */
bool peer_drain(struct peer *peer, struct peer_connection *c);
bool peer_apply_all(struct peer *peer);
bool peer_post_all(struct peer *peer);
void peer_wake_all(struct peer *peer);

#endif
