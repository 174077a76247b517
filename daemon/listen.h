/*
 * The door: the UNIX socket at which clients arrive, and who may pass.
 *
 * The socket's path lies in a folder that is made when it is missing, mode
 * 0750; the socket itself has mode 0660. A socket left behind by a daemon
 * that died is removed, but only by one that owns the data folder already,
 * and only when nobody answers there. Who may pass is the kernel's word on
 * the peer (SO_PEERCRED, SO_PEERGROUPS) against the option `allow`.
 */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include "daemon/config.h"
#include "shm/abi.h"

#include <sys/types.h>

enum listen_error {
	LISTEN_EANSWERED = -5001, /* a running daemon answers at that path */
	LISTEN_ENOTSOCKET = -5002, /* something else lies at that path */
	LISTEN_ESILENT = -5003, /* somebody listens there, and says nothing */
};

enum listen_limits {
	LISTEN_BACKLOG = 256,
	LISTEN_ANSWER_MS = 1000,
};

struct listener {
	int fd;
	dev_t device; /* of the socket's file, to remove no other */
	ino_t inode;
	const struct config *config; /* lent */
};

/*
 * Opens the socket named by the configuration (lent until listen_close()).
 * Call only while owning the data folder. A code above, or -errno, with in
 * *ret_what the call that failed.
 */
int listen_open(struct listener *ret_listener, const struct config *config,
		const char **ret_what) __attribute__((warn_unused_result));

/* Ends listening and removes the socket, if it is still ours. */
void listen_close(struct listener *listener);

struct listen_peer {
	uint32_t pid; /* for the log alone; 0: in another namespace */
	uint32_t uid;
	uint32_t gid;
	bool allowed;
};

/* What the kernel says about the peer of a connection. */
int listen_identify(const struct listener *listener, int connection,
		    struct listen_peer *ret_peer)
	__attribute__((warn_unused_result));

/*
 * What the first message of a client says: `size` bytes, of which there may
 * have been more (then `size` is what there was). 0 and a copy, or the
 * refusal that it gets: CONCLAVE_EBADREQ or CONCLAVE_EVERSION.
 */
int listen_hello(const void *message, size_t size, struct cv_hello *ret_hello)
	__attribute__((warn_unused_result));

/* Makes a folder and what is missing above it. 0 or -errno. */
int listen_make_folder(const char *path, mode_t mode)
	__attribute__((warn_unused_result));

#endif
