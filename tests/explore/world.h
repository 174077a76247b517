/*
 * A world of cores that misbehaves on purpose, from one seed: members with
 * disks whose writes complete late and get lost in crashes, and a network
 * that drops, doubles, reorders and parts.
 *
 * Everything a member promises to others is compared with what its disk has
 * at that moment; everything it commits, applies or reads with what all the
 * others ever did (check.c).
 */
#ifndef TESTS_EXPLORE_WORLD_H
#define TESTS_EXPLORE_WORLD_H

#include "raft/internal.h"

#include <stdbool.h>
#include <stdint.h>

enum world_limits {
	WORLD_MEMBERS_MAX = 9,
	WORLD_LOG_MAX = 1 << 14, /* indexes in one run */
	WORLD_TERMS_MAX = 1 << 13, /* terms in one run */
	WORLD_NETWORK_MAX = 512,
	WORLD_WRITES_MAX = 80,
	WORLD_WINDOW = 256, /* entries_max of each core */
	WORLD_READS_MAX = 1 << 12,
	WORLD_PAIRS = 1 << 16, /* slots for (index, term) */
};

/* What happened to an entry's payload stays with its pointer. */
struct fact {
	uint64_t term;
	const void *data;
	uint32_t kind;
	bool known;
};

struct pair {
	uint64_t index;
	uint64_t term;
	uint64_t before; /* term of the entry before */
	const void *data;
};

struct write {
	uint64_t number;
	bool has_snapshot;
	struct raft_hard_state hard;
	struct raft_snapshot snapshot;
	uint64_t first;
	uint32_t count;
	struct raft_entry entries[WORLD_WINDOW];
};

struct parcel {
	struct raft_message message;
	uint32_t count;
	struct raft_entry *entries; /* owned */
	bool has_snapshot;
	struct raft_snapshot snapshot;
};

struct member {
	bool running;
	struct raft *raft;
	void *memory;
	/* Disk. */
	struct raft_hard_state hard;
	struct raft_snapshot saved;
	struct raft_entry log[WORLD_LOG_MAX]; /* by index */
	uint64_t last;
	struct write writes[WORLD_WRITES_MAX]; /* on their way, oldest first */
	unsigned int write_count;
	/* State machine. */
	struct raft_snapshot image;
	uint64_t applying; /* handed out up to here */
	/* As seen by the checks. */
	uint64_t seen_commit;
	uint64_t seen_term;
	uint64_t seen_last;
	uint8_t seen_role;
};

struct world {
	uint64_t random;
	uint64_t seed;
	bool trace;
	bool lockstep; /* clocks run together: leases must hold */
	bool failed;
	unsigned int count; /* members, spare ones too */
	unsigned int founders;
	struct member members[WORLD_MEMBERS_MAX];
	struct parcel network[WORLD_NETWORK_MAX];
	unsigned int network_count;
	struct parcel outgoing[RAFT_MESSAGES_MIN]; /* of the ready at hand */
	unsigned int outgoing_count;
	bool severed[WORLD_MEMBERS_MAX][WORLD_MEMBERS_MAX];
	/* Facts about the whole. */
	uint64_t leader_of[WORLD_TERMS_MAX];
	uint64_t vote_of[WORLD_MEMBERS_MAX][WORLD_TERMS_MAX];
	struct fact committed[WORLD_LOG_MAX];
	uint64_t commit; /* highest index that anyone ever knew committed */
	struct pair pairs[WORLD_PAIRS];
	uint64_t asked[WORLD_READS_MAX]; /* commit when the read was asked */
	uint64_t next_read;
	uint64_t next_payload;
	uint64_t reads_done, leases_seen, elections, changes, installs;
	void **payloads;
	size_t payload_count;
	size_t payload_room;
};

/* world.c */
void world_init(struct world *world, uint64_t seed);
void world_release(struct world *world);
uint64_t world_draw(struct world *world, uint64_t below);
bool world_chance(struct world *world, unsigned int percent);
void world_say(const struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void world_ready(struct world *world, struct member *member);
void world_complete(struct world *world, struct member *member,
		    unsigned int count);
void world_apply(struct world *world, struct member *member);
void world_crash(struct world *world, struct member *member);
void world_start(struct world *world, struct member *member);
void world_deliver(struct world *world, unsigned int at);
void world_drop(struct world *world, unsigned int at);
void world_double(struct world *world, unsigned int at);
void world_compact(struct world *world, struct member *member);
void world_propose(struct world *world, struct member *member);
void world_change(struct world *world, struct member *member);
void world_read(struct world *world, struct member *member);
uint64_t member_id(const struct world *world, const struct member *member);

/* check.c */
void check_fail(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void check_member(struct world *world, struct member *member);
void check_restart(struct member *member);
void check_sent(struct world *world, struct member *member,
		const struct raft_message *message);
void check_applied(struct world *world, struct member *member,
		   const struct raft_entry *entry);
void check_read(struct world *world, struct member *member,
		const struct raft_read *read);

#endif
