/*
 * What lies between the processes: memory that several of them map, and the
 * connections by which they meet. The client's end is used through
 * tests/sim/env.c, the daemon's end through tests/sim/machine.c.
 */
#ifndef TESTS_SIM_SOCKET_H
#define TESTS_SIM_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/node.h"

enum socket_limits {
	SOCKETS_MAX = 96,
	SOCKET_QUEUE = 4,
	MEMORIES_MAX = 512,
};

/* ---- memory ---- */

int memory_new(uint64_t size); /* zeroed, one reference */
void memory_hold(int memory);
void memory_drop(int memory);
uint8_t *memory_base(int memory);
uint64_t memory_size(int memory);

/* ---- a connection ---- */

struct socket_message {
	uint8_t bytes[CV_MESSAGE_SIZE];
	uint32_t size;
};

struct socket {
	bool used;
	bool client_open;
	bool daemon_open;
	bool greeted; /* the hello was taken, whatever came of it */
	bool resumes; /* the hello asked for an old session */
	uint32_t holds; /* descriptors of the client that lead here */
	uint32_t events; /* what the client's end could be polled for */
	uint32_t client;
	uint32_t machine; /* of both */
	int handle; /* of the node; -1: none */
	int up, down; /* memories; -1: none */
	uint32_t rings; /* of the completion eventfd, so far */
	struct cv_welcome welcome; /* while it waits for its event */
	struct socket_message in[SOCKET_QUEUE]; /* to the daemon */
	uint32_t in_count;
	struct socket_message out[SOCKET_QUEUE]; /* to the client */
	uint32_t out_count;
};

void socket_clear(void);
struct socket *socket_at(int number);

/* ---- the client's end ---- */

int socket_new(uint32_t client); /* not yet connected */
int socket_connect(int number);
int socket_send(int number, const void *bytes, uint32_t size);
void socket_client_close(int number);
/* A descriptor more, or less, leads here. */
void socket_hold(int number);
void socket_drop(int number);

/* ---- the daemon's end ---- */

void socket_serve(uint32_t machine, struct node *node);
void socket_welcome(uint32_t machine, const struct node_event *event);
void socket_wake(uint32_t machine, int handle);
void socket_ring(uint32_t machine, int handle);
void socket_expel(uint32_t machine, int handle);
void socket_daemon_died(uint32_t machine);
/* The daemon has a connection open. */
bool socket_busy(uint32_t machine);

#endif
