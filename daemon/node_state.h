/*
 * What a node is made of, shared by node*.c, intake.c, session.c and
 * reply.c, and by no one else. What they say to each other: node_stages.h.
 *
 * A request lives through: *taken* from a ring (intake.c) into the open
 * batch; the batch *sealed*, which gives it a number that this member never
 * gave before; then *proposed*: appended and written by the member that
 * leads, forwarded to it by any other; later *applied* by this member, which
 * recognises its own batch by origin and number, and its requests *answered*
 * (reply.c). Until then the batch keeps its bytes: when leadership changes,
 * it is proposed again under the same identity.
 *
 * Who asked is remembered in one FIFO of requests; a batch names a run of it.
 * A handle index is reused, so a request also names the handle's generation.
 *
 * Bytes of entries live in buffers of the log. The *record buffer* becomes
 * the next record: what this member proposes while it leads, what its leader
 * sent it while it does not. The *outbound buffer* takes the batches of a
 * member that does not lead. Buffers of records that were written are *held*
 * until their entries are applied, and a while longer for members that lag.
 */
#ifndef DAEMON_NODE_STATE_H
#define DAEMON_NODE_STATE_H

#include "daemon/node.h"
#include "daemon/wire.h"
#include "raft/entry.h"
#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/wake.h"

enum node_state_limits {
	SEALED_MAX = 128, /* sealed entries in one record */
	HELD_MAX = 64, /* buffers of written records */
	RECORD_KEPT = 256, /* bytes of a record for Raft's own entries */
	BUFFERS_KEPT = 8, /* free buffers that only received entries may use */
	CACHE_BUFFERS = 12, /* held for members that lag, though applied */
	PENDING_MAX = 16 << 20, /* bytes forwarded and not yet applied */
	LANE_FRAMES = 512, /* queued on one lane */
	NODE_CONTROL_SIZE = WIRE_HEADER_SIZE + WIRE_CONTROL_BODY_MAX,
	NODE_BULK_SIZE = WIRE_HEADER_SIZE + WIRE_BODY_MAX,
	GATHER_FRAMES = 16, /* handed out at once */
	RECEIVE_ENTRIES = WIRE_ENTRIES_MAX,
	IMAGE_WINDOW = 4, /* chunks asked for ahead */
	IMAGE_SLICE = 128 << 10, /* of a received chunk, in one turn */
	HASHES_KEPT = 8, /* samples of the state's hash */
	ENDS_MAX = 1024, /* sessions whose end is to be proposed */
	SAMPLES_MAX = 64, /* of (time, revision), for retention */
	LEASE_TICKS = 128, /* whose time is known; a power of two */
	VERSION_LEASE = 2, /* cluster_version from which leases count */
	ORPHANS_MAX = 1 << 17,
	HOT_PASSES = 2000, /* how long a quiet handle stays hot */
	APPLY_BUDGET = 4000,
	APPLY_SLICE = 64,
	WINDOW_RESERVE = 16, /* entries, and an eighth of the window */
	READ_BUDGET = 2000,
	COMPACT_BUDGET = 500,
	IMAGE_BUDGET = 1000,
	COMMIT_WAIT_NS = 200000, /* for entries that tell it, too */
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

/*
 * An entry of this member's own making that is not applied yet. Its number is
 * node.batch_base + its position.
 */
struct batch {
	struct wal_buffer *buffer; /* held by it */
	const uint8_t *entry; /* sealed, in that buffer */
	uint32_t size; /* of the payload */
	uint32_t kind;
	uint64_t request; /* position of its first request */
	uint32_t count;
	int handle; /* of a resume, else -1 */
	uint32_t handle_generation;
	uint32_t copies; /* handed on so far; the newest has this number */
	uint64_t copy_term; /* in which that one was */
	int32_t refused; /* the newest copy was, for good; 0: no */
	uint64_t refused_index; /* where the log of who refused it ended, */
	uint64_t refused_term; /* and the term in which it led */
	bool skipped; /* an image may have brought a copy */
	bool done; /* answered, or nobody waits for it any more */
};

/* An entry that is complete but for index and term, in the record buffer. */
struct sealed {
	uint32_t offset; /* in the buffer's payload */
	uint32_t size; /* of the payload */
	uint32_t kind;
	bool own;
	uint64_t position; /* own: of its batch */
	uint64_t origin; /* else: who forwarded it, */
	uint64_t number; /* its number there, */
	uint32_t copy; /* and which copy it is */
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
	uint64_t first_index;
	uint64_t last_index;
};

/* ---- peers ---- */

enum out_kind {
	OUT_SMALL = 0, /* the body lies in the frame */
	OUT_ENTRIES, /* entries of the log, sent in runs */
	OUT_BATCH, /* a batch of this member, forwarded */
	OUT_IMAGE, /* the snapshot that the log names now: its head */
	OUT_CHUNK, /* of it, being read */
	OUT_FOUND, /* entries that another one's log has lost */
};

/* What waits to be sent on a lane. */
struct out_frame {
	struct wire_frame head; /* without sequence and checksums */
	uint8_t kind; /* enum out_kind */
	bool may_wait; /* it only tells that more is committed */
	int ticket; /* CHUNK: of wal_fetch_chunk() */
	uint64_t position; /* BATCH */
	uint64_t next; /* ENTRIES, FOUND: first that is not sent yet, */
	uint64_t end; /* and the one behind the last */
	uint8_t body[WIRE_CONTROL_BODY_MAX];
};

/* A frame that was handed out: header and where its body lies. */
struct sending {
	struct wire_frame head; /* sealed */
	struct entry_header entry; /* BATCH: as it goes out */
	uint32_t part; /* of its first part */
	uint32_t part_count;
	uint32_t size; /* in all */
	uint64_t next; /* ENTRIES: where the frame goes on behind it */
	bool ends; /* it is the last of its out_frame */
	uint32_t pops; /* out_frames that go with it */
};

struct lane {
	bool up;
	bool stuck; /* a whole frame waits in `in` for room */
	uint64_t sent; /* sequence of the last frame that went out whole */
	uint64_t heard;
	/* Out. */
	uint32_t head;
	uint32_t tail;
	struct out_frame *frames; /* ring of LANE_FRAMES */
	uint64_t wait_ns; /* until then its one frame may wait; 0: none may */
	struct sending sending[GATHER_FRAMES];
	struct node_part parts[NODE_PARTS_MAX];
	uint32_t sending_count;
	uint8_t *spill; /* what the kernel did not take of a frame */
	uint32_t spill_used;
	uint32_t spill_sent;
	/* In. */
	uint8_t *in;
	uint32_t in_used;
};

/* The state's hash when `index` was applied; 0: none. */
struct hash_sample {
	uint64_t index;
	struct store_hash hash;
};

/* Another member, as this node sees it. */
struct peer {
	uint64_t id; /* 0: a free place */
	bool leaving; /* no member any more, since */
	uint64_t leave_ns;
	uint64_t heard_ns; /* its last frame; 0: none */
	uint32_t version; /* that it can apply; 0: not known */
	uint32_t entry_max; /* that its log has room for; 0: not known */
	struct hash_sample said; /* of its state, last */
	uint64_t forwarded; /* last index of a batch of its making, */
	uint64_t told; /* and how far it was told at once what is committed */
	struct lane lanes[NODE_LANES];
	int fetch; /* entries being read for it, or -1 */
	uint64_t fetch_index; /* what was asked for */
	bool unreachable; /* to be told to Raft */
	bool image_sent; /* Raft waits for a report, */
	bool image_failed; /* and it will be a bad one */
	uint64_t image_ns; /* when it last asked for a chunk */
	uint8_t image_body[sizeof(struct wire_image) + WIRE_HEAD_MAX];
};

/* An image that is being received. */
struct incoming {
	bool active;
	bool written; /* all of it; its name is due */
	bool loading; /* the spare store takes it */
	bool installing; /* Raft knows */
	uint64_t from;
	struct raft_snapshot snapshot;
	struct wire_image image;
	uint64_t next; /* chunk that is due */
	uint64_t asked; /* up to here */
	uint32_t chunk_used; /* of the one that is due, taken so far */
	uint64_t heard_ns;
	uint64_t asked_ns;
	struct store *store; /* the spare, as far as it is loaded */
	uint8_t head[WIRE_HEAD_MAX];
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

/* How far a clean stop has come. */
enum drain_stage {
	DRAIN_NONE = 0,
	DRAIN_ANSWER, /* what was taken */
	DRAIN_HAND_OVER, /* leadership, until another is known to lead */
	DRAIN_DEAF, /* members are no longer heard */
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
	uint64_t boot_ns; /* node_clock(); 0: not told */
	uint64_t ticks; /* that Raft was given */
	uint64_t tick_boot_ns[LEASE_TICKS]; /* boot_ns of the last of them */
	uint64_t append_ns; /* when the record in flight was submitted, */
	bool writing; /* if there is one */
	bool disk_sick; /* it takes too long */
	bool unfit; /* to lead */
	int work; /* of this turn */
	bool failed;
	bool draining;
	uint8_t drain; /* enum drain_stage */
	uint64_t hand_over_ns; /* no longer than until then */
	uint8_t role;
	uint64_t leader;
	uint64_t term;

	struct wal_buffer *buffer; /* the record buffer */
	uint32_t buffer_last; /* bytes of the record before */
	struct sealed sealed[SEALED_MAX]; /* in it, while this member leads */
	uint32_t sealed_count;
	struct wal_buffer *outbound;
	struct open_batch open; /* in one or the other */
	uint64_t supplied; /* entries up to here have bytes */

	struct held held[HELD_MAX];
	uint32_t held_head;
	uint32_t held_tail;
	struct batch batches[NODE_BATCHES_MAX];
	uint64_t batch_base;
	uint64_t batch_head;
	uint64_t batch_tail;
	uint64_t batch_next; /* the first one that is not on its way */
	uint64_t batch_retry; /* refused: to be proposed again from here */
	uint64_t retry_ns; /* when */
	uint64_t progress_ns; /* when a batch was done last */
	uint32_t stalls; /* times that all came again since */
	uint64_t pending_size; /* bytes of batches that are not done */
	uint32_t refusals; /* batches whose refusal is not definite yet */

	struct peer *peers; /* options.peers_max */
	uint32_t peer_count; /* slots from here on are free */
	struct node_member told[NODE_MEMBERS_MAX]; /* while one tells of them */
	uint64_t members_change;
	bool telling; /* an address is on its way into the log */
	uint64_t tell_ns; /* no other before */
	bool removed;
	bool was_member;
	struct incoming incoming;
	void *spare; /* zeroed mapping for the next image, or NULL */
	void *left; /* mapping to be handed back, or NULL */
	struct raft_entry *received; /* of one APPEND: RECEIVE_ENTRIES */
	struct request *requests;
	uint64_t request_head;
	uint64_t request_tail;

	uint64_t apply_last;
	uint64_t applied;
	uint64_t applied_term; /* of that entry */
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
	uint64_t read_base; /* members know round n as this + n */
	uint64_t read_round; /* readers of now join this one */
	uint64_t read_round_open; /* asked, and not confirmed; 0: none */
	uint64_t read_round_ns; /* when it was asked */
	bool read_round_due;

	bool raising; /* a cluster_version is on its way into the log */
	uint32_t entry_max; /* bytes that all members known have room for */
	bool too_small; /* an entry came that has no room in a segment here */
	bool outdated; /* one came that this member cannot apply */
	bool damaged; /* the log is not whole */
	struct wal_damage damage;
	struct raft_hard_state damaged_hard; /* as it was found */
	uint64_t seek_ns; /* when to ask next for what is missing; 0: not */
	uint32_t seek_peer; /* whom: the place after the one asked last */

	bool cut_due; /* a cut is proposed and not yet applied */
	bool snapshotting; /* an image is being written */
	bool image_done;
	struct hash_sample hashes[HASHES_KEPT]; /* ring */
	uint32_t hash_at; /* of the newest */
	uint64_t hash_wanted; /* the leader told its own there */
	enum node_hash_verdict verdict;
	uint64_t differs; /* member whose state is another, or 0, */
	uint64_t differs_index; /* and where */
	uint64_t doubt_ns; /* since when nobody is known to be right, or 0 */
	uint64_t compacted_to;
	uint64_t cut_last; /* where a cut was proposed last, about */
	uint64_t cut_ns; /* when the window may ask for the next */
	uint64_t image_wanted; /* somebody asked for an image with this index;
				  0: nobody does */
	uint64_t image_wanted_ns; /* when the next one may begin for that */

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

static inline bool node_leads(const struct node *node)
{
	return node->role == RAFT_LEADER;
}

/* Proposals go somewhere: this member leads, or knows who does. */
static inline bool node_may_propose(const struct node *node)
{
	return node_leads(node) ||
	       (node->role == RAFT_FOLLOWER && node->leader != 0);
}

static inline struct batch *node_batch(struct node *node, uint64_t position)
{
	return &node->batches[position % NODE_BATCHES_MAX];
}

static inline struct request *node_request(struct node *node, uint64_t at)
{
	return &node->requests[at & (NODE_REQUESTS_MAX - 1)];
}

#endif
