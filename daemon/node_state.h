/*
 * What a node is made of, shared by node*.c, intake.c, session.c and
 * reply.c, and by no one else.
 *
 * A request lives through: *taken* from a ring (intake.c) into the open
 * batch; the batch *sealed*; then, when the disk can take a record, *proposed*
 * and written; later *applied*, and its request *answered* (reply.c). Who
 * asked is remembered in one FIFO of requests; a proposed batch names a run
 * of it. A handle index is reused, so a request also names the handle's
 * generation.
 */
#ifndef DAEMON_NODE_STATE_H
#define DAEMON_NODE_STATE_H

#include "daemon/node.h"
#include "raft/entry.h"
#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/wake.h"

enum node_state_limits {
	SEALED_MAX = 128, /* sealed entries in one buffer */
	HELD_MAX = 64, /* buffers with entries not yet applied */
	ENDS_MAX = 1024, /* sessions whose end is to be proposed */
	SAMPLES_MAX = 64, /* of (time, revision), for retention */
	ORPHANS_MAX = 1 << 17,
	HOT_PASSES = 2000, /* how long a quiet handle stays hot */
	APPLY_BUDGET = 4000,
	APPLY_SLICE = 64,
	WINDOW_RESERVE = 16, /* entries, and an eighth of the window */
	READ_BUDGET = 2000,
	COMPACT_BUDGET = 500,
	IMAGE_BUDGET = 1000,
};

/* A proposal that was taken and is not answered. */
struct request {
	uint32_t handle;
	uint32_t handle_generation;
	uint32_t slot;
	uint32_t reserved;
	uint64_t generation;
	uint64_t flight; /* position in the handle's flights */
};

/* A proposed entry that has requests or is a session's; FIFO by index. */
struct batch {
	uint64_t index;
	uint64_t term;
	uint64_t request; /* position of its first request */
	uint32_t count;
	int handle; /* of a resume, else -1 */
	uint32_t handle_generation;
};

/* An entry that is complete but for index and term, in the open buffer. */
struct sealed {
	uint32_t offset; /* in the buffer's payload */
	uint32_t size; /* of the payload */
	uint32_t kind;
	uint32_t count;
	uint64_t request;
	int handle;
	uint32_t handle_generation;
};

/* The batch that takes requests now. */
struct open_batch {
	uint8_t *entry; /* NULL: none open */
	uint32_t used; /* bytes of payload */
	uint32_t count;
	uint64_t request;
};

struct held {
	struct wal_buffer *buffer;
	uint64_t last_index;
};

enum handle_state {
	HANDLE_FREE = 0,
	HANDLE_RESUMING, /* its rings are not served yet */
	HANDLE_OPEN,
	HANDLE_BROKEN, /* expelled: waits for node_detach() */
};

/* A proposal of this handle that is not settled, in order of its ring. */
struct flight {
	uint64_t sequence; /* 0: settled */
};

struct handle {
	uint8_t state; /* enum handle_state */
	bool begun; /* the session is known to exist */
	bool proposed; /* something of this session was ever proposed */
	bool resume_due; /* its resume waits to be proposed */
	bool welcome_due;
	bool posted; /* in node.posted */
	bool hot; /* in node.hot */
	bool wake; /* an event is due */
	bool ring;
	bool expel;
	uint32_t quiet; /* passes since it was last busy */
	uint32_t generation;
	uint32_t uid;
	int32_t welcome_status;
	uint8_t session[16];
	uint8_t secret_hash[16];
	uint64_t epoch;
	uint64_t born;
	uint64_t settled_below;
	uint8_t *down;
	struct cv_up_words *up_words;
	struct cv_down_words *down_words;
	uint64_t *claims;
	struct cv_slot *slots;
	struct cv_ring_reader proposals;
	struct cv_ring_reader controls;
	struct cv_waker waker;
	uint32_t posts; /* in this turn */
	uint64_t proposals_published;
	uint64_t controls_published;
	uint32_t slot_count;
	uint32_t request_max;
	uint32_t reads; /* parked or running */
	uint32_t reply_offset;
	uint32_t reply_size;
	uint64_t drained; /* highest sequence seen in the ring */
	uint64_t empties; /* times the proposal ring was seen empty */
	uint64_t flight_head;
	uint64_t flight_tail;
	struct flight flights[CV_SLOTS_MAX];
};

/* A read that is parked or running. */
struct node_read {
	uint32_t handle;
	uint32_t handle_generation;
	uint32_t slot;
	bool linearizable;
	bool confirmed;
	uint16_t type;
	uint64_t generation;
	uint64_t after;
	uint64_t min_revision;
	uint64_t empties;
	uint64_t round;
	uint64_t index; /* applied must reach it */
	uint64_t deadline_ns;
	uint64_t sequence; /* OUTCOME */
	struct store_read read;
	uint8_t bytes[2 * CV_KEY_MAX];
};

struct sample {
	uint64_t at_ns;
	uint64_t revision;
};

/* The end of a session, waiting to be proposed. */
struct session_end {
	uint8_t session[16];
	uint8_t kind; /* enum entry_kind */
	uint64_t epoch; /* in which it was decided; a later one goes on */
	uint64_t floor;
};

/* A session or tombstone without a handle, since when. */
struct orphan {
	uint8_t session[16]; /* all zero: free */
	uint64_t since_ns;
	uint64_t epoch;
	uint32_t pass; /* the scan that last saw it */
	uint32_t ended; /* a tombstone */
};

struct node {
	struct node_options options;
	struct wal *wal;
	struct store *store;
	struct raft *raft;
	struct cv_status *status;

	uint64_t now_ns;
	uint64_t tick_due_ns;
	uint64_t append_ns; /* when the record in flight was submitted */
	int work; /* of this turn */
	bool failed;
	bool draining;
	uint8_t role;
	uint64_t leader;
	uint64_t term;

	/* The open buffer: sealed entries, then the open batch. */
	struct wal_buffer *buffer;
	uint32_t buffer_last; /* bytes of the record before */
	struct sealed sealed[SEALED_MAX];
	uint32_t sealed_count;
	struct open_batch open;
	uint64_t batch_number;
	uint64_t supplied; /* entries up to here have bytes */

	struct held held[HELD_MAX];
	uint32_t held_head;
	uint32_t held_tail;
	struct batch batches[NODE_BATCHES_MAX];
	uint64_t batch_head;
	uint64_t batch_tail;
	struct request *requests;
	uint64_t request_head;
	uint64_t request_tail;

	uint64_t apply_last;
	uint64_t applied;
	bool applying;

	struct handle *handles;
	uint32_t handle_used; /* handles below this index were ever used */
	uint32_t handle_turn; /* where the round robin begins */
	uint16_t hot[NODE_HANDLES_MAX];
	uint32_t hot_count;
	uint16_t posted[NODE_HANDLES_MAX];
	uint32_t posted_count;
	uint32_t event_scan;
	uint32_t event_count;

	struct node_read *reads;
	uint16_t read_free[NODE_READS_MAX];
	uint32_t read_free_count;
	uint16_t read_list[NODE_READS_MAX]; /* in order of arrival */
	uint32_t read_count;
	uint64_t read_round; /* readers of now join this one */
	uint64_t read_round_sent; /* asked of Raft */
	bool read_round_due;

	bool cut_due; /* a cut is proposed and not yet applied */
	bool snapshotting; /* an image is being written */
	bool image_done;
	uint64_t compacted_to;
	uint64_t cut_last; /* where a cut was proposed last, about */
	uint64_t cut_ns; /* when the window may ask for the next */

	struct sample samples[SAMPLES_MAX];
	uint32_t sample_count;
	uint64_t sample_due_ns;
	uint64_t compacting; /* revision of the compaction under way, or 0 */
	uint64_t half_revision; /* when history was half of what it may be */
	uint64_t commit;
	uint64_t show_due_ns;

	struct session_end ends[ENDS_MAX];
	uint32_t end_head;
	uint32_t end_tail;
	struct orphan *orphans;
	uint64_t scan_position;
	uint32_t scan_pass;
	uint64_t scan_due_ns;
	bool resumes_due;
};

/* ---- node_batch.c: from requests to proposed entries ---- */

/*
 * Room for `size` bytes of operation in the open batch; NULL: none now, stop
 * draining. batch_add() then says that it was used.
 */
uint8_t *batch_room(struct node *node, uint32_t size);
void batch_add(struct node *node, uint32_t size, const struct request *request);

/* Seals an entry of `kind` of the node's own; false: no room now. */
bool batch_own(struct node *node, uint32_t kind, const void *payload,
	       uint32_t size, int handle);

/* Proposes all that is sealed: only when the disk can take it. */
void batch_propose(struct node *node);

/* Forgets requests that were answered, at the front of the FIFO. */
void batch_forget(struct node *node);

/* Gives bytes to entries that the Raft core appended by itself. */
void batch_supply(struct node *node);

/* ---- node_apply.c ---- */

void apply_committed(struct node *node);

/* ---- node_work.c: snapshots, compaction, retention ---- */

void work_snapshot_cut(struct node *node, const struct raft_entry *entry);
void work_background(struct node *node);

/* Ends a snapshot that is being written, and what it pins in the store. */
void work_give_up_image(struct node *node);
int work_load_snapshot(struct node *node, const struct wal_report *report,
		       struct raft_snapshot *ret_snapshot)
	__attribute__((warn_unused_result));
int work_replay(struct node *node, const struct wal_report *report)
	__attribute__((warn_unused_result));

/* ---- intake.c ---- */

void intake_drain(struct node *node, bool sweep);
bool intake_pending(struct node *node);
void intake_heat(struct node *node, uint32_t index);

/* ---- session.c ---- */

void session_work(struct node *node);
uint64_t session_born(const struct node *node);
void session_resumed(struct node *node, int index, uint32_t generation,
		     const struct store_result *result);

/* ---- reply.c ---- */

/* Posts one result; result->generation says whose. */
void reply_post(struct node *node, struct handle *handle, uint32_t slot,
		const struct cv_slot *result);
void reply_refuse(struct node *node, struct handle *handle, uint32_t slot,
		  uint64_t generation, int32_t status);
void reply_request(struct node *node, const struct request *request,
		   const struct store_result *result);
void reply_touch(struct node *node, struct handle *handle);
void reply_reads(struct node *node);
void reply_flush(struct node *node);

static inline bool node_leads(const struct node *node)
{
	return node->role == RAFT_LEADER;
}

static inline struct request *node_request(struct node *node, uint64_t at)
{
	return &node->requests[at & (NODE_REQUESTS_MAX - 1)];
}

#endif
