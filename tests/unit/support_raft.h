/*
 * One Raft core with a disk, a state machine and a letter box, for tests; the
 * other members are played by the test, or by support_raft_net.h.
 *
 * A test fills in `options`, `hard`, `saved` and the log (core_load), starts
 * the core, and then takes its readies one by one (core_take, core_persist,
 * core_apply) or all at once (core_settle). What it sent lies in `mail`.
 */
#ifndef TESTS_UNIT_SUPPORT_RAFT_H
#define TESTS_UNIT_SUPPORT_RAFT_H

#include "raft/conf.h"
#include "raft/entry.h"
#include "raft/progress.h"
#include "raft/raft.h"

#include <stdbool.h>
#include <stdint.h>

enum core_sizes {
	CORE_ELECTION = 10, /* ticks; of core_init() */
	CORE_LOG_MAX = 2048, /* entries on the disk */
	CORE_WRITES_MAX = 128,
	CORE_MAIL_MAX = 512,
	CORE_READS_MAX = 64,
};

/* A message and what it names: copies of its own. */
struct core_parcel {
	struct raft_message message;
	struct raft_entry *entries;
	struct raft_snapshot *snapshot;
};

/* On its way to the disk. */
struct core_write {
	uint64_t number;
	struct raft_hard_state hard;
	struct raft_snapshot snapshot; /* index 0: none */
	uint64_t first;
	uint64_t last; /* 0: no entries */
	struct raft_entry *entries;
};

struct core {
	struct raft_options options;
	struct raft *raft; /* NULL: not started, or crashed */
	void *memory;
	struct raft_ready ready; /* taken last; its messages are in mail */
	/* The disk: what the next start finds. */
	struct raft_hard_state hard;
	struct raft_snapshot saved;
	uint64_t last;
	struct raft_entry log[CORE_LOG_MAX]; /* by index, modulo */
	struct core_write writes[CORE_WRITES_MAX]; /* oldest first */
	unsigned int write_count;
	bool stalled; /* core_settle() leaves the writes on their way */
	/* The state machine: what is applied, and up to where it may be. */
	struct raft_snapshot image;
	uint64_t applying;
	/* Of the last core_take(), or of all of a core_settle(). */
	struct core_parcel mail[CORE_MAIL_MAX];
	unsigned int mail_count;
	struct raft_read reads[CORE_READS_MAX];
	unsigned int read_count;
};

/*
 * Member `id` of voters 1 .. `voters`, with an empty disk and nothing switched
 * on; not started.
 */
void core_init(struct core *core, uint64_t id, unsigned int voters);
/* Puts entries of these terms (ended by 0) behind the log on the disk. */
void core_load(struct core *core, const uint64_t *terms);
/* Starts it, or starts it again, from what is on the disk. */
void core_start(struct core *core);
/* Just started: its state machine is at `index` already. */
void core_restored(struct core *core, uint64_t index);
/* What is not on the disk is lost; so is what it wanted to send. */
void core_crash(struct core *core);
void core_release(struct core *core);

/* Takes one ready, if there is any; its write is on its way. */
bool core_take(struct core *core);
/* All writes, or the oldest `count`, are durable; the core hears of the last. */
void core_persist(struct core *core);
void core_persist_some(struct core *core, unsigned int count);
/* Applies what was handed out, changes of membership too. */
void core_apply(struct core *core);
/* Takes, persists and applies until there is nothing left to do. */
void core_settle(struct core *core);
/* The same, adding to what lies in mail. */
void core_settle_on(struct core *core);
/* Keeps an image of what is applied; drops the log before it. */
void core_compact(struct core *core);

/* Of now; the next call writes over it. */
const struct raft_status *core_status(const struct core *core);
/* The terms of its log from first to last index, as "1 1 3". */
const char *core_terms(const struct core *core);
/* `index` was read at and may be served, in this take or settle. */
bool core_was_read(const struct core *core, uint64_t context, uint64_t index);

/* How many messages of a type it sent to `to` (0: to all). */
unsigned int core_sent(const struct core *core, uint8_t type, uint64_t to);
/* The only one of a type to `to`: there must be one, and no second. */
const struct raft_message *core_message(const struct core *core, uint8_t type,
					uint64_t to);
/* Its appends to `to`: "2-3 4-4" their entries, "4+" an empty one after 4. */
const char *core_appends(const struct core *core, uint64_t to);
void core_forget_mail(struct core *core);

/* Receives a message, to which its own id is added: what raft_receive says. */
int core_offer(struct core *core, struct raft_message message);
/* The same; it must be taken. */
void core_give(struct core *core, struct raft_message message);
/* `from` acknowledges up to `index` in the core's term. */
void core_acknowledge(struct core *core, uint64_t from, uint64_t index);

/* `from` answers the heartbeat to it that lies in mail. */
void core_answer_beat(struct core *core, uint64_t from);

/*
 * Campaigns and wins with the votes of the lowest ids that suffice. Its first
 * entry is on its disk; what it sent then lies in mail.
 */
void core_lead(struct core *core);
/* Proposes a payload of `size`: what raft_propose says. */
int core_propose(struct core *core, uint32_t size);
/* Proposes changes of membership (kind ENTRY_CONF_V2). */
int core_propose_conf(struct core *core,
		      const struct raft_conf_changes *changes);
/* An entry as a peer would send it. */
struct raft_entry core_entry(uint64_t index, uint64_t term);

/* Frees what a parcel holds. */
void core_parcel_drop(struct core_parcel *parcel);

/* What a leader knows of a member: next, match, state; it must be tracked. */
const struct raft_progress *core_progress(const struct core *core, uint64_t id);

#endif
