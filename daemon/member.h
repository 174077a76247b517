/*
 * One member, put together: log, engine, disk, write-ahead log, store, node,
 * clients and loop, opened in this order and closed in the opposite one.
 *
 * All memory is taken here. What goes wrong is said in a log line that names
 * the thing, its place and what to do next, and ends in an exit status that a
 * script can tell from others.
 */
#ifndef DAEMON_MEMBER_H
#define DAEMON_MEMBER_H

#include <limits.h>

#include "daemon/config.h"
#include "daemon/loop.h"
#include "daemon/memory.h"

enum member_exit {
	MEMBER_STOPPED = 0, /* cleanly */
	MEMBER_USAGE = 1, /* an option is wrong */
	MEMBER_OWNED = 2, /* another daemon has the folder or the socket */
	MEMBER_DAMAGED = 3, /* the log is damaged, foreign or of the future */
	MEMBER_LOG_FAILED = 4, /* a write or flush failed while running */
	MEMBER_OTHER = 5, /* see the last line */
	MEMBER_REMOVED = 6, /* from its cluster: it has nothing to do */
	MEMBER_AGAIN = 7, /* its log was mended: start it again */
};

struct member {
	const struct config *config; /* lent */
	char folder[PATH_MAX]; /* of its data, from the root */
	struct log *log; /* lent */
	struct engine *engine;
	struct disk *disk;
	struct wal *wal;
	struct wal_report report;
	struct memory status_page;
	struct spare spare; /* the store's mapping is the first of them */
	struct helper helper;
	struct peers *peers; /* NULL: it stays alone */
	int peer_listener;
	struct store *store;
	struct node *node;
	struct listener listener;
	struct clients clients;
	struct loop loop;
	int signals;
	uint64_t incarnation;
};

/* Each returns an enum member_exit; MEMBER_STOPPED means: go on. */
int member_open(struct member *member, const struct config *config,
		struct log *log) __attribute__((warn_unused_result));
int member_run(struct member *member) __attribute__((warn_unused_result));

/* After a clean run. */
void member_close(struct member *member);

/* ---- between the files of this module ---- */

/* A number that is not 0. */
int member_random(struct member *member, uint64_t *ret_value)
	__attribute__((warn_unused_result));

/* As many open files as there may be. */
void member_raise_limits(struct member *member);

/* From here on signals are read in the loop. */
int member_catch_signals(struct member *member)
	__attribute__((warn_unused_result));

/* Says what failed with -errno, and returns MEMBER_OTHER. */
int member_fail(struct member *member, const char *what, int error,
		const char *next) __attribute__((warn_unused_result));

/* The part of the node's options that is about other members. */
void member_peer_options(const struct member *member,
			 struct node_options *options);

/* Where keys for TLS are. */
struct tls_files member_tls_files(const struct config *config);

/* The second mapping, for images; before the node is opened. */
int member_open_spare(struct member *member, uint64_t size)
	__attribute__((warn_unused_result));

/* Listens for other members, and begins to talk to them. */
int member_open_peers(struct member *member, const uint8_t cluster[16],
		      uint64_t seed) __attribute__((warn_unused_result));

#endif
