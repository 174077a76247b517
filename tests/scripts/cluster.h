/*
 * A cluster of cores under a script: each with a disk in memory, a state
 * machine that only counts, and a network between them that delivers what it
 * is told to.
 */
#ifndef TESTS_SCRIPTS_CLUSTER_H
#define TESTS_SCRIPTS_CLUSTER_H

#include "tests/scripts/note.h"
#include "tests/scripts/text.h"

#include <stdbool.h>
#include <stdint.h>

enum cluster_limits {
	CLUSTER_MEMBERS_MAX = 16,
	CLUSTER_TYPE_ANY = -1,
};

/* What a member's disk holds: entries after the base, and the rest. */
struct storage {
	struct raft_entry *entries;
	size_t count;
	size_t room;
	uint64_t base_index;
	uint64_t base_term;
	struct raft_hard_state hard;
	struct raft_snapshot saved; /* what a restart begins with */
};

/* What the end of a process takes away. */
enum cluster_loss {
	CLUSTER_LOSES_NOTHING, /* queued writes land first */
	CLUSTER_LOSES_QUEUED,
	CLUSTER_LOSES_ALL, /* the disk, too: it is as it was at birth */
};

struct member {
	struct raft *raft;
	void *memory;
	struct raft_options options;
	bool async;
	struct storage disk;
	struct raft_snapshot birth; /* what its disk had then */
	struct raft_snapshot image; /* what was applied, to send */
	struct note_list append_work;
	struct note_list apply_work;
};

struct cluster {
	struct member members[CLUSTER_MEMBERS_MAX];
	unsigned int count;
	struct note_list network;
	struct note_list held; /* off the network until released */
	struct text out;
	void **payloads; /* sealed entries, until the end */
	size_t payload_count;
	size_t payload_room;
	bool severed[CLUSTER_MEMBERS_MAX][CLUSTER_MEMBERS_MAX];
};

void cluster_init(struct cluster *cluster);
void cluster_release(struct cluster *cluster);

/* The member with this id, or NULL. */
struct member *cluster_member(struct cluster *cluster, uint64_t id);
/* False, and nothing is added, when the core refuses these options. */
bool cluster_add(struct cluster *cluster, const struct raft_options *options,
		 const struct raft_snapshot *snapshot, bool async);

/*
 * A sealed entry around `size` bytes of payload, kept until the end; what a
 * descriptor's data points at.
 */
const void *cluster_payload(struct cluster *cluster, uint8_t kind,
			    const void *bytes, uint32_t size);

/* turn.c */
void member_write(struct member *member, const struct note *note);
void member_apply(struct member *member, const struct note *note);
void cluster_ready(struct cluster *cluster, struct member *member);

/* cluster.c */
void cluster_append_thread(struct cluster *cluster, struct member *member);
void cluster_apply_thread(struct cluster *cluster, struct member *member);

/* Whether the network holds anything for `id`. */
bool cluster_has_messages(const struct cluster *cluster, uint64_t id);
/* Delivers, or drops, what is for `id` and of `type`; returns how many. */
unsigned int cluster_deliver(struct cluster *cluster, uint64_t id,
			     const char *type, bool drop);

/* The process ends and starts again from its disk. */
void cluster_restart(struct cluster *cluster, struct member *member,
		     enum cluster_loss loss);

/* The words for an error, NULL for none. */
const char *cluster_error(int err);

/* storage.c */
void storage_append(struct storage *disk, const struct raft_entry *entries,
		    uint32_t count);
void storage_install(struct storage *disk,
		     const struct raft_snapshot *snapshot);
void storage_compact(struct storage *disk, uint64_t index);
void storage_release(struct storage *disk);

#endif
