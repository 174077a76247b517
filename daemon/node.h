/*
 * One replica and its clients, over given memory: no I/O of its own, no
 * clock, no thread. The daemon's loop and the simulator drive it alike.
 *
 * In: mapped handles (node_attach), the time (node_turn), what the disk
 * finished (through wal), the death of a client (node_detach). Out: events
 * (node_next_event) for the one who owns descriptors and may make system
 * calls, and records submitted to the disk.
 *
 * One turn, in the order of docs/ARCHITECTURE.md: what became durable is
 * told to Raft, rings are drained into the open batch, the batch is closed
 * and proposed when the disk can take it, what is committed is applied,
 * results are posted. Wakes are events, so that they come after the write
 * was submitted.
 */
#ifndef DAEMON_NODE_H
#define DAEMON_NODE_H

#include "daemon/store/store.h"
#include "raft/raft.h"
#include "shm/abi.h"
#include "wal/wal.h"

enum node_limits {
	NODE_HANDLES_MAX = 1024,
	NODE_READS_MAX = 512, /* parked or running at once */
	NODE_REQUESTS_MAX = 1 << 17, /* taken and not yet answered */
	NODE_BATCHES_MAX = 1024, /* proposed and not yet applied */
	NODE_BATCH_SIZE = 256 << 10,
	NODE_PASS_SIZE = 64 << 10, /* of one handle in one pass */
	NODE_USER_HANDLES_MAX = 256,
	NODE_MEMBERS_MAX = 32, /* with those that leave or only listen */
	NODE_ADDRESS_MAX = 128, /* host:port, with its NUL */
	NODE_PARTS_MAX = 64, /* pieces of one gather */
	NODE_PLACE_MAX = CV_PLACE_MAX,
};

enum node_error {
	NODE_EFAILED = -4001, /* the log failed: stop, see wal.h */
	/* The log has what a newer release agreed on with the other members:
	 * this one stops before it applies that. */
	NODE_EOUTDATED = -4002,
	/* The log has an entry that this member's segments have no room for. */
	NODE_ESEGMENT = -4003,
	/* A damaged record of the log was put together anew: the log and the
	 * node are to be closed and opened again, see node_fill.c. */
	NODE_EFILLED = -4004,
};

/* The two connections to each other member, see wire.h. */
enum node_lane {
	NODE_CONTROL = 0,
	NODE_BULK = 1,
	NODE_LANES = 2,
};

struct node_member {
	uint64_t id;
	bool voter;
	bool learner;
	char address[NODE_ADDRESS_MAX];
};

struct node_options {
	uint8_t cluster[16];
	uint64_t member;
	uint64_t incarnation; /* never used before by this member */
	uint64_t seed;
	uint64_t tick_ns;
	uint32_t election_ticks;
	uint32_t heartbeat_ticks;
	uint32_t handles_max; /* ≤ NODE_HANDLES_MAX */
	uint32_t user_handles_max; /* of one uid */
	uint32_t entries_max; /* descriptors of the log since a snapshot */
	uint32_t batch_size; /* closes at NODE_BATCH_SIZE, less in tests */
	uint64_t uncommitted_max; /* bytes */
	uint64_t disk_patience_ns; /* a write that takes longer makes this
				      member unfit to lead; 0: half an
				      election timeout */
	uint32_t peers_max; /* other members at a time; 0: stays alone */
	uint32_t apply_budget; /* units of work a turn; 0: default */
	uint32_t version_max; /* newest cluster_version that this member can
				 apply, ≤ STORE_CLUSTER_VERSION; 0: 1 */
	struct raft_conf_state voters; /* of a cluster that never changed;
					  none: joins one that exists */
	/* Where the first members are, until the log says it; lent. */
	const struct node_member *members;
	uint32_t member_count;
	/* A second mapping like the store's, zeroed: an image that is received
	 * is loaded there. NULL: none, for a member that stays alone. */
	void *spare_base;
	uint64_t spare_size;
	struct cv_status *status; /* the status page, zeroed; written here */
	/* What is told of the image's place to who asks, see CV_IMAGE; lent,
	 * shorter than NODE_PLACE_MAX both. NULL: nothing. */
	const char *folder;
	const char *name; /* of the cluster */
};

/* A piece of what is to be sent. */
struct node_part {
	const void *bytes;
	uint32_t size;
};

struct node;

size_t node_memory_size(const struct node_options *options);

/*
 * Makes a node in `memory` (zeroed, node_memory_size() bytes, aligned 64,
 * lent for its life) over an opened log and an empty store: loads the
 * snapshot, replays the log. Blocks. On failure the log's or the store's
 * code, NODE_EOUTDATED, or -EBADMSG for a snapshot whose content contradicts
 * itself.
 */
int node_init(struct node **ret_node, const struct node_options *options,
	      struct wal *wal, const struct wal_report *report,
	      struct store *store, void *memory)
	__attribute__((warn_unused_result));

/* ---- what is wrong ---- */

/* What comparing states came to, see node_hash.c. */
enum node_hash_verdict {
	NODE_HASH_SAME = 0,
	NODE_HASH_OTHER, /* another member is in the minority */
	NODE_HASH_DOUBT, /* members differ, and none has a majority */
	NODE_HASH_OWN, /* this one is, and is in quarantine */
};

struct node_trouble {
	bool damaged; /* the log is not whole: see wal_damaged() */
	uint64_t damaged_first;
	uint64_t damaged_last;
	enum node_hash_verdict verdict;
	uint64_t differs; /* from this member, or it from the majority */
	uint64_t differs_index;
	uint64_t leader; /* no trouble but when it is 0: none is known */
	uint64_t term;
	bool leads; /* it is this member */
	bool full; /* the disk: see CV_ALARM_NOSPACE */
};

void node_trouble(const struct node *node, struct node_trouble *ret_trouble);

/* ---- clients ---- */

/* Who connects, as the kernel and the hello say. */
struct node_peer {
	uint32_t uid;
	struct cv_hello
		hello; /* copied once from the socket, not yet checked */
};

/*
 * What a handle would look like: checks the hello, fills geometry and
 * *ret_welcome. 0, or the refusal that goes into welcome.status. The caller
 * then makes the two memfds of welcome->up_size and down_size, maps them and
 * calls node_attach().
 */
int node_greet(struct node *node, const struct node_peer *peer,
	       struct cv_welcome *ret_welcome)
	__attribute__((warn_unused_result));

/*
 * Attaches a handle: `up` and `down` are the daemon's own mappings (zeroed;
 * lent until node_detach()). Writes both headers. The welcome is not sent
 * before the event NODE_WELCOME, which for a resume waits for its entry.
 * Returns the handle (0..handles_max-1) or a refusal.
 */
int node_attach(struct node *node, const struct node_peer *peer,
		const struct cv_welcome *welcome, uint8_t *up, uint8_t *down)
	__attribute__((warn_unused_result));

/* The client is gone or was expelled: its memory may be unmapped now. */
void node_detach(struct node *node, int handle);

/* The client said goodbye: its session ends. node_detach() follows. */
void node_bye(struct node *node, int handle);

/* ---- peers ---- */

/*
 * The members as the configuration in force and the log name them, this one
 * included, in the order of ids; the count. node_members_change() rises when
 * the list may differ.
 */
uint32_t node_members(const struct node *node,
		      struct node_member ret_members[NODE_MEMBERS_MAX]);
uint64_t node_members_change(const struct node *node);

/*
 * Versions, see node_version.c: the newest that this member can apply, and
 * the one in force, which no member may be too old for.
 */
uint32_t node_version(const struct node *node);
uint32_t node_cluster_version(const struct node *node);

/* Bytes of the largest entry that this member's log has room for. */
uint32_t node_entry_max(const struct node *node);

/* The same of another member, as its greeting told (0: not); after
 * node_link_up(). */
void node_peer_told(struct node *node, uint64_t member, uint32_t version,
		    uint32_t entry_max);

/* This id was a member once: it is told so, and never becomes one again. */
bool node_was_removed(const struct node *node, uint64_t id);

/*
 * Another member says that this one was removed: true, unless this one is led,
 * and then it was told of another cluster.
 */
void node_believe_removed(struct node *node);

/* This member was removed from its cluster: it has nothing to do any more. */
bool node_is_removed(const struct node *node);

/*
 * A lane to `member` is connected and both greetings are exchanged: what was
 * queued for an earlier connection is forgotten. -ENOENT: not a member. Who
 * knows no leader takes any id that was not removed: it may have been away
 * while the members changed, and be led by one that it does not know.
 */
int node_link_up(struct node *node, uint64_t member, enum node_lane lane)
	__attribute__((warn_unused_result));
void node_link_down(struct node *node, uint64_t member, enum node_lane lane);

/*
 * What is to be sent on a lane, in order: fills `parts` and returns how many
 * (0: nothing). Lent until node_sent(), which says how many bytes of it the
 * kernel took (all, some or none), or node_link_down(); one of the two comes
 * before the next node_turn().
 */
uint32_t node_gather(struct node *node, uint64_t member, enum node_lane lane,
		     struct node_part parts[NODE_PARTS_MAX]);
void node_sent(struct node *node, uint64_t member, enum node_lane lane,
	       uint32_t size);

/*
 * Bytes that came on a lane, cut anywhere. 0 and how many were taken: when
 * that is less than `size`, no more can be taken now; the rest is offered
 * again after a turn. -EBADMSG: end the connection.
 */
int node_hear(struct node *node, uint64_t member, enum node_lane lane,
	      const uint8_t *bytes, uint32_t size, uint32_t *ret_taken)
	__attribute__((warn_unused_result));

/* The mapping given back by NODE_STORE_LEFT is zeroed: the next spare. */
void node_spare(struct node *node, void *base);

/* ---- the loop ---- */

/*
 * What CLOCK_BOOTTIME, which goes on while the host is suspended, shows before
 * a turn, read after the turn before it ended. A leader's lease is held
 * against it; without it there is none.
 */
void node_clock(struct node *node, uint64_t boot_ns);

/*
 * One turn at `now_ns` (CLOCK_MONOTONIC), read after what members said was
 * heard; `sweep`: look at all handles, not only at those that were busy lately. Returns what was done (0: nothing,
 * the caller may think of sleeping), or a code of enum node_error.
 */
int node_turn(struct node *node, uint64_t now_ns, bool sweep)
	__attribute__((warn_unused_result));

/*
 * Announces sleep on the status page and looks at all rings again: true: the
 * caller may enter the kernel and wait; false: there is work, and the
 * announcement is withdrawn. node_awake() withdraws it after the wait.
 */
bool node_may_sleep(struct node *node);
void node_awake(struct node *node);

/* When the next tick or deadline is due (CLOCK_MONOTONIC). */
uint64_t node_next_ns(const struct node *node);

enum node_event_kind {
	NODE_NOTHING = 0,
	NODE_WELCOME, /* send the welcome; `status` and `epoch` go into it */
	NODE_WAKE, /* FUTEX_WAKE on down->completion */
	NODE_RING, /* write the handle's completion eventfd */
	NODE_EXPEL, /* broke the protocol: detach and close */
	NODE_STORE_LEFT, /* `base` is used no more: zero it, node_spare() */
};

struct node_event {
	uint8_t kind;
	int handle;
	int32_t status;
	uint64_t epoch;
	uint64_t revision;
	uint32_t session_known;
	void *base;
};

/* Takes the next event; false when there is none. */
bool node_next_event(struct node *node, struct node_event *ret_event);

/*
 * A clean stop: proposals are no longer taken from the rings; true when all
 * that was taken is answered, another member leads, if one can, and the log is
 * idle. From then on members are not heard any more.
 */
void node_drain(struct node *node);
bool node_drained(const struct node *node);

#endif
