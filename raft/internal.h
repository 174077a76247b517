/*
 * The core's inside, shared by the files of raft/ and looked into by what
 * tests them: scripts, explorer, unit tests. No one else includes it.
 *
 * One struct raft, in the caller's memory; arrays behind it. Files by idea:
 *
 *   core.c      birth, restart, time
 *   log.c       the window of entries and its marks
 *   ready.c     what is handed out, what is withheld until the disk answers
 *   propose.c   proposals, and what a leader appends itself
 *   election.c  roles, terms, votes
 *   step.c      a message comes in: terms first, then by type
 *   check.c     whether a correct member could have sent it
 *   replicate.c appends and heartbeats, both sides
 *   progress.c  one member as the leader sees it
 *   quorum.c    majorities
 *   conf.c      membership, member.c the one in force
 *   read.c      linearizable reads, lease.c the lease, transfer.c handing
 *               over leadership, snapshot.c images, status.c what is shown
 *   lost.c      a log that lost what it had acknowledged
 *
 * The fields are the paper's Figure 2, and what its chapters add. Invariant:
 * every array ends with its limit given at birth, and nothing points outside
 * of the memory given, but entries at bytes that were lent.
 */
#ifndef RAFT_INTERNAL_H
#define RAFT_INTERNAL_H

#include "raft/conf.h"
#include "raft/log.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "raft/raft.h"

#include <stdbool.h>
#include <stdint.h>

enum raft_inner_limits {
	RAFT_PROGRESS_MAX = RAFT_TRACKED_MAX,
	RAFT_READIES_MAX = 64, /* handed out, not yet answered by the disk */
	RAFT_ROUNDS_MAX = 64, /* heartbeat rounds whose time is known */
	RAFT_LOG_RESERVE = 8, /* descriptors kept for a leader's own entries */
	RAFT_MESSAGES_MIN = 2 * RAFT_PROGRESS_MAX,
};

/*
 * One ready that was handed out: what depends on its write. The messages
 * that it withholds are those before `withheld_end` in the ring of withheld
 * messages and behind those of the record before it.
 */
struct raft_record {
	uint64_t number;
	uint64_t term; /* at that time */
	uint64_t last_index; /* the log's end, if not all of it was stable */
	uint64_t last_term;
	uint64_t handed_last; /* last entry that this or earlier ones gave */
	uint64_t snapshot_index; /* of the image in it, or 0 */
	uint64_t withheld_end;
	bool must_sync;
};

/* A read that waits for a quorum to confirm that this member still leads. */
struct raft_pending_read {
	uint64_t context;
	uint64_t from; /* who asked: 0 this member's own shell */
	uint64_t index; /* commit when it was asked */
	uint64_t round; /* the heartbeat round that confirms it */
};

struct raft_round {
	uint64_t number;
	uint64_t tick; /* when it was sent, or a little before */
};

struct raft {
	struct raft_options options;

	/* Durable, once a ready that carries it was persisted. */
	uint64_t term;
	uint64_t vote;
	struct raft_log log;
	uint64_t load_commit; /* of the hard state found, may be ahead */

	uint8_t role;
	uint64_t leader;
	uint64_t random; /* the generator's state */
	uint64_t now; /* ticks since birth */
	uint32_t quiet; /* ticks left without vote or campaign */
	uint8_t restraint; /* enum raft_restraint */
	bool lost; /* see raft_lose(); its log once ended no later than */
	uint64_t lost_term; /* with this entry */
	uint64_t lost_index;
	uint64_t confirmed; /* up to here a leader of this term agreed */
	uint64_t heard; /* tick after the last word of a leader, or 0 */
	uint32_t election_elapsed;
	uint32_t heartbeat_elapsed;
	uint32_t election_timeout; /* drawn, in ticks */

	struct raft_conf_state conf;
	uint8_t order[RAFT_PROGRESS_MAX]; /* slots by rising id */
	uint8_t progress_count;
	struct raft_progress progress[RAFT_PROGRESS_MAX];

	/* A leader's. */
	uint64_t transferee;
	uint64_t offered; /* to whom leadership was to be handed over last */
	uint64_t pending_conf; /* no second change before this is applied */
	uint64_t uncommitted_size;
	uint64_t term_start; /* index of this term's first entry */
	bool lease_withdrawn; /* for the rest of this term */
	bool append_missed; /* an append found the outbox full */
	const char *refusal; /* why the last change was refused */

	/* Reads. */
	uint64_t round;
	bool round_open; /* newest round's heartbeats not handed out yet */
	struct raft_round rounds[RAFT_ROUNDS_MAX];
	struct raft_pending_read *waiting; /* ring of reads_max */
	uint32_t waiting_start;
	uint32_t waiting_count;
	struct raft_read *reads; /* confirmed, for the next ready */
	uint32_t read_count;

	/* The outbox: what the next ready sends. */
	struct raft_message *outbox;
	struct raft_entry *outbox_entries; /* of forwarded proposals */
	uint32_t outbox_count;

	/* Withheld until durable: a ring, counted from birth. */
	struct raft_message *withheld;
	uint64_t withheld_mask;
	uint64_t withheld_begin;
	uint64_t withheld_end;
	uint64_t withheld_taken; /* up to here they belong to a record */

	struct raft_record records[RAFT_READIES_MAX];
	uint64_t record_begin;
	uint64_t record_end;
	uint64_t number; /* of the ready handed out last */
	uint64_t persisted; /* highest number that the disk answered */

	/* As handed out last. */
	struct raft_hard_state shown_hard;
	uint64_t shown_leader;
	uint8_t shown_role;
	bool ready_open; /* handed out, and nothing happened since */
	bool ready_light; /* and it was without the disk's part */

	struct raft_snapshot offer; /* newest image there is to send */
	uint64_t evicted; /* data of entries up to here is NULL */
};

/* Something happens: what was handed out and not taken is out of date. */
static inline void raft_touch(struct raft *raft)
{
	raft->ready_open = false;
}

/* core.c */
void raft_draw_timeout(struct raft *raft);

/* ready.c */
/* Queues a message; `from` and, but for votes and forwards, `term` are set. */
void raft_send(struct raft *raft, const struct raft_message *message);
/* The next ready, without settling what needs no disk. */
void raft_ready_build(struct raft *raft, struct raft_ready *ret_ready);
/*
 * Takes it as handed out: what depends on it, lent until the next one. It
 * joins the ring of records if anything in it waits for the disk.
 */
const struct raft_record *raft_ready_accept(struct raft *raft);
/* The log's part of a record's release. */
void raft_record_stable(struct raft *raft, const struct raft_record *record);
/* Drops queued appends that name entries from `from` on, or before `to`. */
void raft_outbox_purge(struct raft *raft, uint64_t from, uint64_t to);

/* propose.c */
/* Appends an entry of the leader's own; there is room. */
void raft_append_own(struct raft *raft, uint32_t kind);
void raft_reduce_uncommitted(struct raft *raft, uint64_t payload);
int raft_propose_lead(struct raft *raft, const struct raft_entry *entry)
	__attribute__((warn_unused_result));
/*
 * A leader asks to leave a joint configuration that is to be left by itself,
 * once all changes are applied: with every apply and every tick.
 */
void raft_leave_joint(struct raft *raft);

/* election.c */
/* Its leader is not known yet: the first word of one tells. */
void raft_become_follower(struct raft *raft, uint64_t term);
bool raft_promotable(const struct raft *raft);
int raft_hup(struct raft *raft, bool forced)
	__attribute__((warn_unused_result));
/* A leader may be counting on this member to vote for no one else. */
bool raft_is_promised(const struct raft *raft);
void raft_tick_election(struct raft *raft);
void raft_receive_vote(struct raft *raft, const struct raft_message *message);
void raft_receive_vote_reply(struct raft *raft,
			     const struct raft_message *message);
/* A vote or a refusal, of any term, tells what is committed. */
void raft_learn_commit(struct raft *raft, const struct raft_message *message);
bool raft_quorum_active(struct raft *raft);

/* step.c */
/* A message whose sender is known and whose term is not older. */
int raft_step(struct raft *raft, const struct raft_message *message)
	__attribute__((warn_unused_result));

/* check.c */
/* A shape that no correct member sends. */
bool raft_is_malformed(const struct raft *raft,
		       const struct raft_message *message);
/* A claim that cannot be, by what is known here. */
bool raft_contradicts(const struct raft *raft,
		      const struct raft_message *message);
bool raft_snapshot_fits(const struct raft_snapshot *snapshot);

/* replicate.c */
bool raft_send_append(struct raft *raft, struct raft_progress *progress,
		      bool if_empty);
void raft_broadcast_append(struct raft *raft);
void raft_broadcast_heartbeat(struct raft *raft);
bool raft_maybe_commit(struct raft *raft);
/* What these four and raft_receive_snapshot() are given has passed check.c. */
void raft_receive_append(struct raft *raft, const struct raft_message *message);
void raft_receive_append_reply(struct raft *raft,
			       const struct raft_message *message);
void raft_receive_heartbeat(struct raft *raft,
			    const struct raft_message *message);
void raft_receive_heartbeat_reply(struct raft *raft,
				  const struct raft_message *message);
/* The newest heartbeat round that a quorum has answered. */
uint64_t raft_quorum_round(const struct raft *raft);
void raft_tick_leader(struct raft *raft);

/* member.c */
struct raft_progress *raft_find(struct raft *raft, uint64_t id);
const struct raft_progress *raft_find_const(const struct raft *raft,
					    uint64_t id);
bool raft_is_voter(const struct raft *raft, uint64_t id);
/* Makes `conf` the configuration in force; `fresh` ids start anew. */
void raft_switch_conf(struct raft *raft, const struct raft_conf_state *conf,
		      const struct raft_conf_fresh *fresh);
/* Sets the table of progress from the configuration, at birth or restore. */
void raft_track_conf(struct raft *raft, const struct raft_conf_state *conf,
		     const struct raft_conf_fresh *fresh, uint64_t last);

/* read.c */
void raft_reads_reset(struct raft *raft);
void raft_reads_confirm(struct raft *raft);
/* The first entry of the term committed: what was postponed may start. */
void raft_reads_start(struct raft *raft);
int raft_receive_read_index(struct raft *raft,
			    const struct raft_message *message)
	__attribute__((warn_unused_result));
void raft_receive_read_reply(struct raft *raft,
			     const struct raft_message *message);
/* A new round of heartbeats begins: its number. */
uint64_t raft_round_begin(struct raft *raft);

/* transfer.c */
void raft_transfer_abort(struct raft *raft);
void raft_transfer_step(struct raft *raft, uint64_t to);
void raft_transfer_caught_up(struct raft *raft,
			     const struct raft_progress *progress);

/* lease.c */
void raft_lease(const struct raft *raft, struct raft_lease *ret_lease);

/* lost.c */
/* Whether a log that ends in (index, term) has all that this one ever had. */
bool raft_lost_is_up_to_date(const struct raft *raft, uint64_t index,
			     uint64_t term);
/* Up to where this member's log is the leader's, for certain. */
uint64_t raft_lost_known(const struct raft *raft);
/* An answer says so, where something may be lost. */
void raft_lost_tell(const struct raft *raft, struct raft_message *reply);
/* A leader hears of it: true: it knows nothing of that log any more. */
bool raft_lost_hear(struct raft_progress *progress,
		    const struct raft_message *reply);

/* snapshot.c */
bool raft_send_snapshot(struct raft *raft, struct raft_progress *progress);
void raft_receive_snapshot(struct raft *raft,
			   const struct raft_message *message);
void raft_snapshot_durable(struct raft *raft, uint64_t index);

/* ready.c: what apply took, also through a snapshot. */
void raft_applied_to(struct raft *raft, uint64_t index);

#endif
