/*
 * One client as the kernel sees it: its socket, its process, its memory and
 * the descriptors by which both sides wake each other.
 *
 *   arrives     accepted; its hello is awaited, not for ever
 *   enters      greeted and attached; its welcome waits for the cluster
 *   is open     has its descriptors; from now on all goes through memory
 *   is closed   socket ended, process died, goodbye, or expelled
 *
 * The socket carries three messages in all: hello, welcome, bye. What is at
 * both ends of a descriptor that goes to a client is shared, flags included,
 * so the daemon never reads or writes one that could block: the doorbell is
 * only polled, and completions are rung through the daemon's end of a pipe,
 * whose flags are the daemon's own. (An eventfd would be one open file for
 * both: a client could make it blocking, fill it, and so stop the daemon.) A
 * client need not read what was rung, edges are enough for it; so the daemon
 * empties a pipe that is full, through a reading end that is its own, too.
 */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include "daemon/listen.h"
#include "daemon/memory.h"
#include "daemon/node.h"

enum client_state {
	CLIENT_FREE = 0,
	CLIENT_ARRIVED,
	CLIENT_ENTERING,
	CLIENT_OPEN,
};

struct client {
	uint8_t state; /* enum client_state */
	int32_t refusal; /* what its hello will be answered with, or 0 */
	int socket;
	int process; /* a pidfd; -1: the kernel has none */
	int bell; /* eventfd, written by the client */
	int chime; /* pipe, written here */
	int chime_drain; /* its other end, opened apart; -1: there is none */
	int chime_out; /* its other end, until it was sent */
	int socket_watch; /* of the engine; -1: none */
	int process_watch;
	int bell_watch;
	int node_handle; /* of the node, while attached; -1: none */
	struct memory up;
	struct memory down;
	struct listen_peer who;
	struct node_peer peer;
	struct cv_welcome welcome;
	uint64_t deadline_ns; /* of its hello */
	uint32_t next; /* free place */
};

/* An empty one: nothing open. */
void client_init(struct client *client);

/* Takes the connection over and asks the kernel for its process. */
void client_arrive(struct client *client, int connection,
		   const struct listen_peer *who);

/* Makes memory and descriptors of the sizes in client->welcome. */
int client_equip(struct client *client) __attribute__((warn_unused_result));

/*
 * Sends the welcome with its descriptors, the status page's among them, after
 * which those that are the client's alone are closed here.
 */
int client_welcome(struct client *client, int status_page)
	__attribute__((warn_unused_result));

/* Sends a welcome that refuses, if there is still somebody to hear it. */
void client_refuse(struct client *client, int32_t status);

/* FUTEX_WAKE on the completion word. */
void client_wake(struct client *client);

/* Makes the completion descriptor readable. */
void client_ring(struct client *client);

enum client_message {
	CLIENT_SILENCE = 0, /* nothing there now */
	CLIENT_HELLO, /* welcome or refusal is in order */
	CLIENT_BYE,
	CLIENT_END, /* the peer hung up */
	CLIENT_NONSENSE, /* not what belongs here */
};

/* Reads one message; CLIENT_HELLO leaves hello or refusal in the client. */
enum client_message client_hear(struct client *client);

/* Whether its process has ended. */
bool client_is_dead(const struct client *client);

/* Closes and unmaps all; watches have ended and the node let go. */
void client_close(struct client *client);

#endif
