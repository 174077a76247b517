/*
 * Raft as a core that is asked and told: events go in (tick, propose,
 * receive, persisted, applied), raft_ready() says what to do. Nothing here
 * reads a clock, sends, writes or allocates: memory comes once, sized from
 * the limits in struct raft_options; beyond a limit the answer is a code.
 *
 * Papers: Ongaro & Ousterhout 2014 (the paper, with its section numbers) and
 * Ongaro's dissertation (§). Behaviour follows etcd's raft where that is
 * right; see each file's head.
 *
 * The core never looks into an entry's payload, but for changes of
 * membership. It names entries by descriptors (struct raft_entry) that point
 * at the caller's bytes; a descriptor's `data` is lent until the entry is
 * applied and compacted, or overwritten; the caller may set it to NULL by
 * raft_evict() when the bytes leave its cache.
 *
 * Order of a turn: raft_tick / raft_receive / raft_propose..., then
 * raft_ready(), then do what it says, then raft_advance(). Later, when the
 * disk answers, raft_persisted(number, index, term); when the state machine
 * did its work, raft_applied(index).
 *
 * Invariant: the five properties of the paper's Figure 3, whatever of their
 * messages is lost, doubled or late and whenever members stop. Nothing that a
 * peer sends ends in an assertion; misuse by the shell does.
 */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Terms and indexes stay below: whatever is added to one, none overflows. */
#define RAFT_COUNT_MAX ((uint64_t)1 << 62)

enum raft_limits {
	RAFT_MEMBERS_MAX = 16, /* in one configuration half, learners too */
	RAFT_CONTEXT_MAX = 16, /* bytes of a ReadIndex context */
	RAFT_CHANGES_MAX = 16, /* single changes in one conf v2 entry */
};

enum raft_error {
	RAFT_OK = 0,
	RAFT_EDROPPED_NO_LEADER = -2001,
	RAFT_EDROPPED_TRANSFER = -2002,
	RAFT_EDROPPED_LOG_FULL = -2003, /* uncommitted bytes or entries */
	RAFT_EDROPPED_REMOVED = -2004,
	RAFT_EDROPPED_NO_FORWARD = -2005,
	RAFT_ECONF_REFUSED = -2006, /* replaced by an empty entry; see reason */
	RAFT_EUNKNOWN_PEER = -2007,
	RAFT_EINVALID = -2008, /* a message that no correct member sends */
	RAFT_EFULL = -2009, /* outbox or window given at birth is full */
};

enum raft_role {
	RAFT_FOLLOWER = 0,
	RAFT_CANDIDATE = 1,
	RAFT_LEADER = 2,
	RAFT_PRE_CANDIDATE = 3,
};

enum raft_read_mode {
	RAFT_READ_SAFE = 0,
	RAFT_READ_LEASE = 1, /* etcd's read-only=lease-based, its meaning */
};

enum raft_message_type {
	RAFT_MSG_PROPOSE = 1, /* forwarded proposal */
	RAFT_MSG_APPEND,
	RAFT_MSG_APPEND_REPLY,
	RAFT_MSG_VOTE,
	RAFT_MSG_VOTE_REPLY,
	RAFT_MSG_PRE_VOTE,
	RAFT_MSG_PRE_VOTE_REPLY,
	RAFT_MSG_SNAPSHOT,
	RAFT_MSG_HEARTBEAT,
	RAFT_MSG_HEARTBEAT_REPLY,
	RAFT_MSG_TRANSFER,
	RAFT_MSG_TIMEOUT_NOW,
	RAFT_MSG_READ_INDEX,
	RAFT_MSG_READ_INDEX_REPLY,
	RAFT_MSG_FORGET_LEADER,
};

/* One entry of the log as the core sees it. */
struct raft_entry {
	uint64_t index;
	uint64_t term;
	uint32_t kind; /* enum entry_kind */
	uint32_t size; /* bytes of payload; counts in the size limits */
	const void
		*data; /* sealed bytes (entry.h), lent; NULL: not in memory */
};

/* What must be on disk before an answer that depends on it leaves. */
struct raft_hard_state {
	uint64_t term;
	uint64_t vote; /* member id, 0: none in this term */
	uint64_t commit;
};

struct raft_conf_state {
	uint64_t voters[RAFT_MEMBERS_MAX];
	uint64_t learners[RAFT_MEMBERS_MAX];
	uint64_t outgoing[RAFT_MEMBERS_MAX];
	uint64_t learners_next[RAFT_MEMBERS_MAX];
	uint8_t voter_count;
	uint8_t learner_count;
	uint8_t outgoing_count;
	uint8_t learner_next_count;
	bool auto_leave;
};

struct raft_snapshot {
	uint64_t index; /* 0: none */
	uint64_t term;
	struct raft_conf_state conf;
};

/*
 * A message to or from a peer. Entries are named, not carried: an APPEND
 * holds entries first_index .. first_index + entry_count - 1 of the sender's
 * log; the receiver's shell has decoded and checked their bytes and points
 * `entries` at descriptors (lent for the call of raft_receive; their data is
 * lent as in struct raft_entry).
 */
struct raft_message {
	uint8_t type; /* enum raft_message_type */
	bool reject;
	bool forced; /* a transfer's vote: overrules the lease */
	bool lost; /* a reply: its log may lack what it acknowledged; `commit`
		      is up to where it is known to be the leader's */
	uint64_t from;
	uint64_t to;
	uint64_t term;
	/* Entry before the first; what is answered; the log that is to have,
	   or that was given, a vote. */
	uint64_t log_index;
	uint64_t log_term;
	uint64_t commit;
	uint64_t commit_term; /* votes and their refusals: of entry `commit` */
	uint64_t reject_hint;
	/* Heartbeat round; context of a READ_INDEX; member a TRANSFER names. */
	uint64_t round;
	uint64_t first_index;
	uint32_t entry_count;
	const struct raft_entry *entries;
	const struct raft_snapshot *snapshot;
};

/* A confirmed ReadIndex: serve `context` once applied reaches `index`. */
struct raft_read {
	uint64_t context;
	uint64_t index;
};

struct raft_options {
	uint64_t id;
	uint64_t seed; /* of the election timeout's generator */
	uint32_t election_ticks;
	uint32_t heartbeat_ticks;
	uint32_t quiet_ticks; /* after birth: no vote, no campaign */
	bool pre_vote;
	bool check_quorum;
	bool forwarding;
	bool step_down_on_removal;
	bool skip_conf_validation;
	bool silent_votes; /* as in etcd, votes and refusals tell no commit,
			      grants not what log they were given to; and who
			      asks in an older term is told no term, nor a
			      leader of one without pre_vote and check_quorum
			      */
	bool askers_count; /* beyond etcd: who forwards a read has thereby
			      answered the leader, see read.c */
	bool lease; /* publish a leader's lease; needs check_quorum */
	uint8_t read_mode; /* enum raft_read_mode */
	/*
	 * Window of descriptors since the snapshot. Each election takes one,
	 * so a shell keeps its clients away from the last part: a window that
	 * is full of what no leader lived to commit ends all progress.
	 */
	uint32_t entries_max;
	uint32_t messages_max; /* outbox */
	uint32_t reads_max;
	uint32_t inflight_max; /* appends in flight to one peer */
	uint64_t inflight_size_max;
	uint64_t append_size_max; /* bytes in one APPEND; at least one entry */
	uint64_t uncommitted_size_max; /* 0: none */
	uint64_t committed_size_max; /* unapplied bytes handed out at once */
};

struct raft_ready {
	uint64_t number; /* names this one; tell raft_persisted() */
	/*
	 * Write these, then raft_persisted(number, last_index, last_term).
	 * Without must_sync nothing here depends on the disk, and
	 * raft_persisted() need not be told. Every write carries `hard`,
	 * changed or not: a member that found entries again, but not the
	 * commit index under which they came, could lead with a configuration
	 * that was replaced before they were appended.
	 */
	bool must_sync;
	bool hard_changed;
	struct raft_hard_state hard;
	uint64_t append_first; /* entries append_first..append_last; 0: none */
	uint64_t append_last;
	const struct raft_snapshot *snapshot; /* install first; NULL: none */
	/* Apply these in order, then raft_applied(). */
	uint64_t apply_first; /* 0: none */
	uint64_t apply_last;
	/* Send these now; lent until raft_advance(). */
	const struct raft_message *messages;
	uint32_t message_count;
	const struct raft_read *reads;
	uint32_t read_count;
	/* For the shell to show. */
	bool soft_changed;
	uint8_t role;
	uint64_t leader; /* 0: unknown */
};

struct raft_lease {
	uint64_t term; /* 0: no lease */
	/* In calls of raft_tick() since birth. Who must hold it against a clock
	 * counts the ticks between from when the first of them was made. */
	uint64_t start_tick;
	uint64_t end_tick;
};

struct raft_status {
	uint64_t id, term, vote, commit, applied, leader;
	uint64_t first_index, last_index, stable_index;
	uint64_t transferee;
	uint64_t uncommitted_size;
	/* The leader takes no change of membership before it applied this. */
	uint64_t pending_conf;
	uint8_t role;
	struct raft_lease lease;
	struct raft_conf_state conf;
};

struct raft;

/* Bytes of memory that raft_init() needs for these options. */
size_t raft_memory_size(const struct raft_options *options);

/*
 * Makes a core in `memory` (raft_memory_size() bytes, aligned 64, lent for
 * the core's life). `hard`, `snapshot` are what recovery found (zeros and
 * index 0 for a fresh member: then `snapshot->conf` alone says who votes; a
 * member that joins later is born without voters and begins with an image,
 * so its leader must have been offered one).
 * Then raft_load() takes the recovered entries in order, and the first of
 * raft_ready() may follow. Returns RAFT_EINVALID for an impossible
 * configuration or options.
 */
int raft_init(struct raft **ret_raft, const struct raft_options *options,
	      const struct raft_hard_state *hard,
	      const struct raft_snapshot *snapshot, void *memory)
	__attribute__((warn_unused_result));

/*
 * Before the first ready: an entry that is on disk already, in index order,
 * and, by raft_restored(), how far the state machine already is.
 */
int raft_load(struct raft *raft, const struct raft_entry *entry)
	__attribute__((warn_unused_result));
void raft_restored(struct raft *raft, uint64_t applied);

/*
 * Ends quiet_ticks early: for a member that never had another one beside it,
 * and so has made no promise to anyone. One that is the only voter by now is
 * no such member: the leader that left may still hold a lease.
 */
void raft_end_quiet(struct raft *raft);

void raft_tick(struct raft *raft);
/* Campaigns now; RAFT_EINVALID when this member may not. */
int raft_campaign(struct raft *raft) __attribute__((warn_unused_result));

/*
 * Proposes one entry. On success, when this member leads, *ret_index and
 * *ret_term are what the caller stamps into the bytes (entry_stamp) before
 * they go anywhere; when it was forwarded *ret_index is 0 and the outbox
 * holds a PROPOSE message that names the entry by `data`. A refusal is one
 * of the RAFT_EDROPPED_* codes, or RAFT_EINVALID for an entry that is larger
 * than any or a change of membership that is none: the entry was definitely
 * not appended.
 */
int raft_propose(struct raft *raft, const struct raft_entry *entry,
		 uint64_t *ret_index, uint64_t *ret_term)
	__attribute__((warn_unused_result));

/* Why the last change of membership was refused (RAFT_ECONF_REFUSED). */
const char *raft_refusal(const struct raft *raft);

/*
 * A message from a peer. RAFT_EINVALID: no correct member sends it;
 * RAFT_EUNKNOWN_PEER: an answer by who is no member; neither changed anything.
 * Other codes tell what became of a PROPOSE or READ_INDEX that was passed on,
 * as of raft_propose() and raft_read_index().
 */
int raft_receive(struct raft *raft, const struct raft_message *message)
	__attribute__((warn_unused_result));
/*
 * Asks for an index at which a read is linearizable; it comes with a ready,
 * under `context`. Whoever stops leading forgets what was asked: ask again,
 * with a new context, when the leader changes or nothing comes.
 */
int raft_read_index(struct raft *raft, uint64_t context)
	__attribute__((warn_unused_result));
int raft_transfer(struct raft *raft, uint64_t to)
	__attribute__((warn_unused_result));
void raft_forget_leader(struct raft *raft);

/* What this member is kept from, by its shell, until it is told otherwise. */
enum raft_restraint {
	RAFT_FREE = 0,
	RAFT_NO_CAMPAIGN = 1, /* its disk stalls */
};

void raft_restrain(struct raft *raft, enum raft_restraint restraint);

/*
 * What was found of this member's log lacks entries that it acknowledged; it
 * once ended with an entry no later than (term, index). Until raft_found()
 * says that all is there again it does not campaign, votes only for logs that
 * reach as far as its own may have, and has its leader send it anew what is
 * missing. For raft_init() the caller gives a hard state in which no vote is
 * free in any term that is lost: `vote` is itself where it is not known.
 */
void raft_lose(struct raft *raft, uint64_t term, uint64_t index);
void raft_found(struct raft *raft);

/*
 * Hands leadership over to the voter that has most of the log, of those that
 * answered lately; to another one than before, if that did not take it in this
 * term. RAFT_EUNKNOWN_PEER: there is none, or this member does not
 * lead; RAFT_EDROPPED_TRANSFER: it is under way already.
 */
int raft_hand_over(struct raft *raft) __attribute__((warn_unused_result));
void raft_report_unreachable(struct raft *raft, uint64_t peer);
/*
 * The image for `peer` was handed over whole, or was not. Every SNAPSHOT
 * message must be reported one way or the other, also when the connection
 * broke on the way: the core sends that peer nothing else meanwhile.
 */
void raft_report_snapshot(struct raft *raft, uint64_t peer, bool ok);

/*
 * What is to be done; false: nothing. Then raft_advance() takes it over.
 * Without that, whatever happens next makes it void, and the next
 * raft_ready() says it all again.
 */
bool raft_has_ready(const struct raft *raft);

/*
 * Whether the next ready asks for a write. Who cannot write now asks this
 * first, and takes what raft_ready_light() has.
 */
bool raft_must_sync(const struct raft *raft);
void raft_ready(struct raft *raft, struct raft_ready *ret_ready);
void raft_advance(struct raft *raft);

/*
 * The same without the disk's part (no hard state, entries or image), for
 * when the disk cannot take more: heartbeats never wait for it. False when
 * there is nothing else; then it need not be advanced.
 */
bool raft_ready_light(struct raft *raft, struct raft_ready *ret_ready);

/*
 * The write of ready `number` is durable. (index, term) name its last entry,
 * (0, 0) for hard state alone: the log becomes stable up to there only if
 * that very pair is still in it. Releases the messages that this and earlier
 * numbers withheld.
 */
void raft_persisted(struct raft *raft, uint64_t number, uint64_t index,
		    uint64_t term);

/* The state machine has taken all up to `index`. */
void raft_applied(struct raft *raft, uint64_t index);

/*
 * A committed change of membership was reached by apply: makes it active and
 * returns the configuration in force.
 */
int raft_apply_conf(struct raft *raft, const struct raft_entry *entry,
		    struct raft_conf_state *ret_conf)
	__attribute__((warn_unused_result));

/* Drops entries up to `index` (≤ applied), kept by a snapshot at `index`. */
void raft_compact(struct raft *raft, uint64_t index);

/* The bytes of entries up to `index` left the cache: their data is NULL. */
void raft_evict(struct raft *raft, uint64_t index);

/*
 * The bytes of the entry at `index`, which are in memory (again). An entry
 * that the core made itself (kind EMPTY, or CONF_V2 that leaves a joint
 * configuration; size 0) has none until the shell makes a bare header, seals
 * and stamps it, and lends it here.
 */
void raft_lend(struct raft *raft, uint64_t index, const void *data);

/*
 * There is a newer snapshot to send to members that lag, of
 * an index that was handed out to be applied.
 */
void raft_offer_snapshot(struct raft *raft,
			 const struct raft_snapshot *snapshot);

/*
 * A snapshot of the cluster that this member has durably, of an index behind
 * its log's commit: it takes the log's place, and comes with the next ready.
 * As a SNAPSHOT message, but from no leader in particular: the shell received
 * it over some time, in which leadership may have changed. RAFT_EINVALID: not
 * behind what is committed, in the log already (which is then committed up to
 * there), not possible, or this member leads.
 */
int raft_install(struct raft *raft, const struct raft_snapshot *snapshot)
	__attribute__((warn_unused_result));

/* The entry at `index`, or NULL: compacted, or beyond the log's end. */
const struct raft_entry *raft_entry_at(const struct raft *raft, uint64_t index);

void raft_status(const struct raft *raft, struct raft_status *ret_status);

/* What a leader knows of another member; false: it is not in the configuration,
 * or this member does not lead. */
struct raft_peer_status {
	uint64_t match; /* last index known to be on its disk */
	bool active; /* heard from since the last check of the quorum */
};

bool raft_peer_status(const struct raft *raft, uint64_t id,
		      struct raft_peer_status *ret_status);

#endif
