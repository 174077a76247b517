/*
 * What the stages of a node's turn say to each other: each file's functions
 * that other files of the node call, in the order of a proposal's way. Like
 * node_state.h it is included by node*.c, intake.c, session.c and reply.c,
 * and by no one else.
 */
#ifndef DAEMON_NODE_STAGES_H
#define DAEMON_NODE_STAGES_H

#include "daemon/node_state.h"

/* ---- node_batch.c: from requests to sealed batches ---- */

/*
 * Room for `size` bytes of operation in the open batch; NULL: none now, stop
 * draining. batch_add() then says that it was used.
 */
uint8_t *batch_room(struct node *node, uint32_t size);
void batch_add(struct node *node, uint32_t size, const struct request *request);

/* Seals an entry of `kind` of the node's own; false: no room now. */
bool batch_own(struct node *node, uint32_t kind, const void *payload,
	       uint32_t size, int handle);

/* The same for one request, which travels alone. */
bool batch_request(struct node *node, uint32_t kind, const void *payload,
		   uint32_t size, const struct request *request);
void batch_seal_open(struct node *node);

/* The batch of this member with that number, if it is not done; or NULL. */
struct batch *batch_find(struct node *node, uint64_t number);

/* Answers all requests of a batch alike. */
void batch_refuse(struct node *node, struct batch *batch, int32_t status);

/* Nobody waits for it any more; what is done at the front is forgotten. */
void batch_done(struct node *node, struct batch *batch);

/* ---- node_propose.c: from sealed batches to the leader's log ---- */

/* Leads: proposes all that is sealed; only when the disk can take it. */
void propose_sealed(struct node *node);

/* Follows: sends what is sealed to the leader. */
void propose_forward(struct node *node);

/* Gives bytes to entries that the Raft core appended by itself. */
void propose_supply(struct node *node);

/* This member leads now, or does no more; or another member leads. */
void propose_step_up(struct node *node);
void propose_step_down(struct node *node);
void propose_again(struct node *node);

/* Proposes again what was refused for a while, or seems to be lost. */
void propose_retry(struct node *node);

/* A batch that `origin` forwarded. -EAGAIN: no room now. */
int propose_received(struct node *node, struct peer *origin,
		     const struct wire_frame *frame, const uint8_t *body)
	__attribute__((warn_unused_result));

/* A batch of this member was not appended by the member that it went to. */
void propose_nacked(struct node *node, const struct wire_frame *frame);

/* ---- node_doubt.c: copies of a batch, and when a refusal is definite ---- */

/* Another copy is on its way, to the member that leads `term`. */
void doubt_hand_on(struct node *node, struct batch *batch, uint64_t term);

/* The header of an entry says which copy it is. */
void doubt_number(uint8_t *entry, uint32_t copy);

/*
 * The newest copy, or a batch that was never handed on, was refused for good
 * by who led `term`, with a log that ended at `index`: told to who asked when
 * no other copy can commit any more.
 */
void doubt_refuse(struct node *node, struct batch *batch, int32_t status,
		  uint64_t index, uint64_t term);
void doubt_turn(struct node *node);

/* Whether what this copy, just applied, came to stands for ever. */
bool doubt_stands(const struct node *node, const struct batch *batch,
		  uint32_t copy);

/* What an image brought was not applied here entry by entry. */
void doubt_skip(struct node *node);

/* The batch is done. */
void doubt_forget(struct node *node, struct batch *batch);

/* ---- node_decide.c: what Raft decided ---- */

void decide_turn(struct node *node);

/* ---- node_record.c: the record buffer, and what was written ---- */

/* An entry of `size` bytes fits the record buffer, which is opened if need
 * be; `kept`: also from the buffers kept for received entries. */
bool record_room(struct node *node, uint32_t size, bool kept);

/* The largest buffer there is, for `size` bytes or more: small segments have
 * none for the largest entry. NULL: none is free. */
struct wal_buffer *record_open_large(struct node *node, uint32_t size);
bool record_can_persist(const struct node *node);
bool record_persist(struct node *node, const struct raft_ready *ready)
	__attribute__((warn_unused_result));
void record_release(struct node *node);

/* Buffers are scarce: puts small ones together. Between turns alone. */
void record_make_room(struct node *node);

/* The log's end may be another than before: what lies behind is let go. */
void record_truncated(struct node *node, uint64_t first);
void record_drop_all(struct node *node);

/* Entries from the leader. -EAGAIN: no room now. */
int record_received(struct node *node, uint64_t from,
		    const struct wire_frame *frame, const uint8_t *body)
	__attribute__((warn_unused_result));

/* ---- node_peer.c: lanes ---- */

void peer_end_fetch(struct node *node, struct peer *peer);
struct peer *peer_find(struct node *node, uint64_t id);
void peer_follow_conf(struct node *node);
bool peer_queue(struct node *node, struct peer *peer,
		const struct out_frame *frame);

/* When a frame that may wait must go; UINT64_MAX: none waits. */
uint64_t peer_next_ns(const struct node *node);
void peer_send_messages(struct node *node, const struct raft_ready *ready);
void peer_turn(struct node *node);

bool peer_in_conf(const struct raft_conf_state *conf, uint64_t id);

/* The only voter, and in no joint configuration. */
bool peer_votes_alone(const struct raft_conf_state *conf, uint64_t id);

/* All members of `conf` are in `of` too. */
bool peer_all_in_conf(const struct raft_conf_state *of,
		      const struct raft_conf_state *conf);

/* ---- node_member.c: changes of membership ---- */

enum member_limits {
	/* Two changes, an operation that begins its session, two addresses. */
	MEMBER_PAYLOAD_MAX =
		8 + 2 * 16 + OP_HEADER_SIZE + 48 + 2 * STORE_ADDRESS_MAX + 8,
};

/*
 * The payload of the entry that a request CV_MEMBER comes to; `op` has the
 * identity, and is completed. 0, or a refusal.
 */
int member_payload(const struct cv_request *head, const uint8_t *body,
		   struct op_header *op, const struct op_begin *begin,
		   uint8_t payload[MEMBER_PAYLOAD_MAX], uint32_t *ret_size)
	__attribute__((warn_unused_result));

/*
 * Whether the leader may propose this change: 0, -EAGAIN: not before the one
 * that is under way, CONCLAVE_EMEMBERSHIP.
 */
int member_may(struct node *node, const uint8_t *entry, uint32_t size)
	__attribute__((warn_unused_result));
void member_tell_addresses(struct node *node);
void member_apply_begin(struct node *node, const struct raft_entry *entry);
void member_apply_end(struct node *node, const struct raft_entry *entry);

/* ---- node_hear.c: what came on a lane ---- */

void hear_stuck(struct node *node);

/* ---- node_repair.c: a log that is not whole ---- */

/* Completes the hard state that Raft is born with. */
void repair_hard(const struct wal *wal, struct raft_hard_state *hard,
		 uint64_t member);

/* After replay: 0, or WAL_EDAMAGED when nobody has what is missing. */
int repair_begin(struct node *node) __attribute__((warn_unused_result));
void repair_turn(struct node *node);

/* A heartbeat that Raft took. */
void repair_hear(struct node *node, const struct wire_frame *beat);

/* The log takes nothing yet, but soon will. */
bool repair_waits(const struct node *node);

/* ---- node_fill.c: a damaged record, put together anew ---- */

void fill_turn(struct node *node);

/* It is whole on the disk: the log is to be opened anew. */
bool fill_is_over(const struct node *node);

/* A member asks for entries. */
void fill_asked(struct node *node, struct peer *peer,
		const struct wire_frame *seek);

/* Whether this log still proves them to be the same. */
bool fill_may_tell(const struct node *node, const struct wire_frame *found);

/* And has sent them. */
void fill_heard(struct node *node, const struct wire_frame *found,
		const uint8_t *body);

/* ---- node_hash.c: whether all members have the same state ---- */

/* What a heartbeat or its answer says. */
void hash_say(struct node *node, uint8_t type, struct wire_state *ret_state);

/* What one said, or a WIRE_STATE; sizes are checked. */
void hash_heard(struct node *node, struct peer *peer,
		const struct wire_frame *frame, const uint8_t *body);
void hash_applied(struct node *node);
void hash_tick(struct node *node);

/* This member's state is not the majority's. */
static inline bool hash_is_quarantined(const struct node *node)
{
	return node->verdict == NODE_HASH_OWN;
}

/* ---- node_image.c: images to and from members ---- */

void image_offer(struct node *node);
void image_send(struct node *node, const struct raft_message *message);
void image_asked(struct node *node, struct peer *peer,
		 const struct wire_frame *frame);
int image_announced(struct node *node, struct peer *peer,
		    const struct wire_frame *frame, const uint8_t *body)
	__attribute__((warn_unused_result));
int image_chunk(struct node *node, struct peer *peer,
		const struct wire_frame *frame, const uint8_t *body)
	__attribute__((warn_unused_result));
void image_turn(struct node *node);
void image_install(struct node *node, const struct raft_snapshot *snapshot);
void image_lost(struct node *node, struct peer *peer);

/* ---- node_drain.c: a clean stop ---- */

/* After replies went out. */
void drain_turn(struct node *node);

/* ---- node_apply.c ---- */

void apply_committed(struct node *node);

/* ---- node_lease.c: reads without asking the others ---- */

/* A tick was given to Raft. */
void lease_tick(struct node *node);

/* Whether this member may tell by the clock alone that no other leads. */
bool lease_holds(const struct node *node);

/* Confirms the reads that were taken in earlier turns. */
void lease_reads(struct node *node);

/* ---- node_version.c: what all members can apply ---- */

/* Leads: raises the cluster's version when all are ready for it. */
void version_raise(struct node *node);
bool version_may_apply(const struct node *node, const struct raft_entry *entry);

/* A member's room for entries is known, or not any more. */
void version_note_room(struct node *node);

/* ---- node_work.c: snapshots, compaction, retention ---- */

void work_snapshot_cut(struct node *node);
void work_background(struct node *node);

/* Ends a snapshot that is being written, and what it pins in the store. */
void work_give_up_image(struct node *node);
/* Somebody wants an image in which entry `index` is applied. */
void work_want_image(struct node *node, uint64_t index);
/* What the head of a snapshot says; -EBADMSG when it contradicts itself. */
int work_read_head(const struct node *node, const void *head, uint32_t size,
		   struct raft_snapshot *ret_snapshot,
		   struct store_hash *ret_hash)
	__attribute__((warn_unused_result));
int work_load_snapshot(struct node *node, const struct wal_report *report,
		       struct raft_snapshot *ret_snapshot)
	__attribute__((warn_unused_result));
int work_replay(struct node *node, const struct wal_report *report)
	__attribute__((warn_unused_result));

/* ---- intake.c ---- */

void intake_drain(struct node *node, bool sweep);
bool intake_pending(struct node *node);
void intake_heat(struct node *node, uint32_t index);

/* ---- node_answer.c ---- */

/* A request of the control ring that is answered at once; else false. */
bool answer_control(struct node *node, struct handle *handle,
		    const struct cv_request *head);

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

#endif
