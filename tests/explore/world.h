/*
 * A world of cores that misbehaves on purpose, from one seed: members with
 * clocks that differ, disks whose writes complete late and get lost in
 * crashes, and a network that drops, doubles, delays, reorders and parts.
 *
 * What is checked is never asked of the cores: the world keeps its own
 * history (who leads which term, who voted for whom on disk, what is
 * committed, which configuration follows, who may read by the clock) and
 * compares every core with it after everything that happens to it.
 *
 *   world.c    birth, draws, what one life consists of
 *   member.c   a member's shell: its turns, its disk, its state machine
 *   network.c  messages on their way
 *   client.c   proposals, changes of membership, reads
 *   fault.c    what breaks
 *   weather.c  which faults come when; one step
 *   settle.c   faults stop: progress must return
 *   check.c    logs, leaders, commits; promise.c what was told and written;
 *   ghost.c    configurations; clock.c leases and reads
 *   reach.c    what was reached; lie.c faults that the checks must notice
 */
#ifndef TESTS_EXPLORE_WORLD_H
#define TESTS_EXPLORE_WORLD_H

#include "raft/internal.h"
#include "tests/explore/reach.h"

#include <stdbool.h>
#include <stdint.h>

enum world_limits {
	WORLD_MEMBERS_MAX = 9,
	WORLD_LOG_MAX = 1 << 14, /* indexes in one run */
	WORLD_TERMS_MAX = 1 << 12, /* terms in one run */
	WORLD_INBOX_MAX = 96, /* messages that wait for a member */
	WORLD_INBOX_ROOM = 192, /* with reports, which are never lost */
	WORLD_WRITES_MAX = 80, /* more than RAFT_READIES_MAX */
	WORLD_WINDOW_MAX = 256, /* entries_max of a core */
	WORLD_RING = 512, /* entries that a disk keeps */
	WORLD_READS_MAX = 1 << 12,
	WORLD_PAIRS = 1 << 15, /* slots for (index, term) */
	WORLD_PAYLOADS = 1 << 15, /* proposals in one run */
	WORLD_CHANGES = 1 << 11,
	WORLD_CHANGE_SIZE = 192, /* bytes of an entry that changes members */
	WORLD_STEP = 1000, /* units of time in a step */
	WORLD_TRACE_LINE = 200,
};

enum world_trace {
	TRACE_NONE = 0,
	TRACE_LAST, /* keeps the last lines for world_tell() */
	TRACE_ALL, /* prints all */
};

/* A configuration, a bit for each member. */
struct ghost {
	uint16_t voters;
	uint16_t outgoing;
	uint16_t learners;
	uint16_t next;
	uint16_t auto_leave; /* 0 or 1 */
};

/* A committed entry. */
struct fact {
	uint64_t term;
	uint64_t by; /* the leader of this term committed it */
	const void *data; /* a payload is known by where it lies */
	uint32_t kind;
	struct ghost conf; /* once it is applied */
};

/* An entry that stood in some log: index and term name it. */
struct pair {
	uint64_t index;
	uint64_t term;
	uint64_t before; /* term of the entry before */
	const void *data;
	uint32_t kind;
};

struct write {
	uint64_t number;
	bool has_snapshot;
	struct raft_hard_state hard;
	struct raft_snapshot snapshot;
	uint64_t first;
	uint32_t count;
	struct raft_entry *entries; /* owned */
};

enum parcel_kind {
	PARCEL_MESSAGE = 0,
	PARCEL_ARRIVED, /* tells the sender of an image */
	PARCEL_LOST,
};

struct parcel {
	struct raft_message message;
	uint64_t due;
	uint64_t serial;
	uint32_t life; /* of the sender */
	uint8_t kind; /* enum parcel_kind */
	bool copy;
	struct raft_entry *entries; /* owned */
	struct raft_snapshot *snapshot; /* owned */
};

/* What a member shows to those who read by its lease. */
struct page {
	uint64_t term;
	uint64_t end_tick;
	uint64_t commit;
};

/* One entry as it was seen last. */
struct shade {
	uint64_t index;
	uint64_t term;
	const void *data;
};

struct member {
	bool running;
	uint32_t life;
	struct raft *raft;
	void *memory;

	uint64_t tick_due; /* when its clock ticks next */
	uint64_t ticks; /* of its clock, since the core's birth */
	uint64_t pace; /* time between ticks now; 0: it wavers */
	uint64_t paused_until;
	uint64_t heard[WORLD_MEMBERS_MAX]; /* tick of the last message */
	uint64_t steady_since; /* tick: its role, voters, plans are as now */

	/* Disk. */
	uint64_t stalled_until;
	struct raft_hard_state hard;
	struct raft_snapshot saved;
	struct raft_entry log[WORLD_RING];
	uint64_t last;
	struct write writes[WORLD_WRITES_MAX]; /* on their way, oldest first */
	unsigned int write_count;
	bool untold; /* some are durable, and the core has not heard */

	/* State machine. */
	struct raft_snapshot image;
	uint64_t applying; /* handed out up to here */
	uint64_t applied_ever; /* in any life */
	struct page page;

	/* As the checks saw it last. */
	uint64_t seen_commit;
	uint64_t seen_term;
	uint64_t seen_last;
	uint8_t seen_role;
	uint64_t seen_match[WORLD_MEMBERS_MAX]; /* while it is steady */
	struct shade shades[WORLD_RING];

	struct parcel inbox[WORLD_INBOX_ROOM];
	unsigned int inbox_count;
};

/* What stays the same for one seed. */
struct shape {
	struct raft_options options;
	uint64_t tick; /* shortest time between two ticks */
	unsigned int depth; /* writes that a disk takes at once */
	bool mixed; /* PreVote differs between members */
};

/* Per mille of a step, unless said otherwise; of each member where fit. */
struct weather {
	const char *name;
	uint16_t crash, pause, stall, part, heal, restart;
	uint16_t change, transfer, oddity;
	uint16_t propose, read;
	uint16_t ready, disk, apply, compact;
	uint16_t drop, twice; /* of a message */
	uint16_t delay; /* of a message at most, in time */
};

struct world {
	uint64_t random;
	uint64_t seed;
	uint64_t step;
	uint64_t now;
	uint64_t moments; /* things that happened to a core */
	uint8_t trace; /* enum world_trace */
	bool failed;
	uint8_t lie; /* enum lie */
	unsigned int count; /* members, spare ones too */
	unsigned int founders;
	struct shape shape;
	struct weather weather;
	uint64_t weather_ends;
	uint64_t raid_at; /* 0: none is planned */
	uint16_t raid_spares; /* members that it leaves alone */
	struct member members[WORLD_MEMBERS_MAX];
	bool severed[WORLD_MEMBERS_MAX][WORLD_MEMBERS_MAX];
	uint64_t serial;
	uint64_t seen_serial[WORLD_MEMBERS_MAX][WORLD_MEMBERS_MAX];

	/* History. */
	uint64_t leader_of[WORLD_TERMS_MAX];
	uint64_t transferee_of[WORLD_TERMS_MAX];
	uint64_t vote_of[WORLD_MEMBERS_MAX][WORLD_TERMS_MAX]; /* on disk */
	uint64_t told_of[WORLD_MEMBERS_MAX][WORLD_TERMS_MAX];
	struct fact facts[WORLD_LOG_MAX];
	uint64_t commit; /* highest index that anyone ever knew committed */
	uint64_t acknowledged; /* highest that anyone ever applied */
	uint16_t removed; /* members that once were left out */
	struct pair pairs[WORLD_PAIRS];
	unsigned int pair_count;
	uint64_t asked[WORLD_READS_MAX]; /* commit when the read was asked */
	uint64_t next_read;
	uint64_t next_payload;
	bool refused[WORLD_PAYLOADS];
	uint64_t next_change;
	uint64_t changes[WORLD_CHANGES][WORLD_CHANGE_SIZE / 8];
	uint64_t reached[REACH_COUNT];
};

/* world.c */
void world_init(struct world *world, uint64_t seed, uint8_t lie);
void world_release(struct world *world);
uint64_t world_draw(struct world *world, uint64_t below);
bool world_chance(struct world *world, unsigned int percent);
bool world_mille(struct world *world, unsigned int per_mille);
void world_say(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints the last lines that were said, oldest first. */
void world_tell(void);
/* Nothing more fits: long enough. */
bool world_is_spent(const struct world *world);
/* The running member that leads in the newest term, or NULL. */
struct member *world_leader(struct world *world);
struct member *world_any(struct world *world);

static inline void world_reach(struct world *world, enum reach what)
{
	world->reached[what]++;
}

/* member.c */
uint64_t member_id(const struct world *world, const struct member *member);
void member_start(struct world *world, struct member *member);
void member_crash(struct world *world, struct member *member);
void member_ready(struct world *world, struct member *member);
/* The oldest `count` writes are durable, and the core hears of it. */
void member_complete(struct world *world, struct member *member,
		     unsigned int count);
void member_apply(struct world *world, struct member *member);
void member_compact(struct world *world, struct member *member);
/* Forgets bytes that are on disk, and sometimes brings some back. */
void member_evict(struct world *world, struct member *member);
/* The entry; if its bytes left the memory, they come from the disk. */
struct raft_entry member_entry(struct world *world, struct member *member,
			       uint64_t index);
/* The term of what stands on its disk at `index`, 0: nothing. */
uint64_t member_disk_term(const struct member *member, uint64_t index);

static inline struct raft_entry *member_slot(struct member *member,
					     uint64_t index)
{
	return &member->log[index % WORLD_RING];
}

/* network.c */
void network_send(struct world *world, struct member *member,
		  const struct raft_message *message);
/* Everything that is due at `member`, in some order. */
void network_deliver(struct world *world, struct member *member);
void network_part(struct world *world);
void network_heal(struct world *world);
void network_isolate(struct world *world, const struct member *member);
void network_forget(struct member *member);

/* client.c */
void client_propose(struct world *world, struct member *member);
void client_change(struct world *world, struct member *member);
void client_read(struct world *world, struct member *member);
void client_transfer(struct world *world, struct member *member);
/* Whether this payload was refused when it was proposed. */
bool client_refused(const struct world *world, const void *data);

/* fault.c */
void fault_strike(struct world *world);

/* weather.c */
void weather_step(struct world *world);
/* All clocks go before anybody acts: leases end by them. */
void weather_clocks(struct world *world);
/* The core follows its clock, unless it is held up. */
void weather_tick(struct world *world, struct member *member);

/* settle.c */
void settle(struct world *world);

/* check.c */
void check_fail(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* After everything that happened to a core. */
void check_member(struct world *world, struct member *member);
void check_restart(struct member *member);
void check_applied(struct world *world, struct member *member,
		   const struct raft_entry *entry);

/* promise.c */
void promise_sent(struct world *world, struct member *member,
		  const struct raft_message *message);
void promise_written(struct world *world, struct member *member,
		     const struct write *write);
/* What the core believes of its disk, and a leader of all disks. */
void promise_believed(struct world *world, struct member *member);
/* Whether majorities of both halves told it that they vote for it. */
bool promise_elected(const struct world *world, const struct member *member);
/* Whether both halves' majorities have (index, term) on disk. */
bool promise_kept(const struct world *world, const struct member *member,
		  uint64_t index, uint64_t term);

/* ghost.c */
/* The configuration after `entry`, which comes after `before`. */
struct ghost ghost_after(struct world *world, struct ghost before,
			 const struct fact *fact);
bool ghost_is(const struct ghost *ghost, const struct raft_conf_state *conf);
bool ghost_is_change(uint32_t kind);
/* Whether `members` holds a majority of each half. */
bool ghost_majority(const struct ghost *ghost, unsigned int members);

/* clock.c */
/* What the shell shows before its messages leave. */
void clock_publish(struct member *member);
void clock_check(struct world *world);
/* Its role, its configuration or its plans to hand over just changed. */
/* Nobody is elected in a newer term while another one's lease holds. */
void clock_elected(struct world *world, const struct member *leader);
void clock_steady(struct member *member);
void clock_read(struct world *world, struct member *member,
		const struct raft_read *read);

#endif
