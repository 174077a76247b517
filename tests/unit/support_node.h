/*
 * A node under test: the real one, over the real log and the real store, on
 * the disk in memory, in virtual time; and clients of it, whose rings, claims
 * and slots lie in private memory. A client is honest as far as it uses the
 * producer's functions of shm/; nothing keeps a test from lying.
 */
#ifndef TESTS_UNIT_SUPPORT_NODE_H
#define TESTS_UNIT_SUPPORT_NODE_H

#include "daemon/node.h"
#include "daemon/node_state.h"
#include "raft/entry.h"
#include "tests/unit/support_disk.h"

#include <assert.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum rig_sizes {
	RIG_SEGMENT = 4 << 20,
	RIG_STORE = 256 << 20,
	RIG_TICK_NS = 10000000,
	RIG_STEP_NS = 1000,
	RIG_TURNS_MAX = 20000,
	RIG_UID = 1000,
};

struct rig {
	struct disk *disk;
	struct disk_op *kept; /* operations that the disk sits on */
	struct disk_op *kept_last;
	bool keeps;
	uint32_t keep_kinds; /* bits 1 << enum disk_op_kind */
	struct wal_options wal_options;
	struct wal_report report;
	struct wal *wal;
	void *wal_memory;
	struct store_settings settings;
	struct store *store;
	void *store_memory;
	struct node_options options;
	struct node *node;
	void *node_memory;
	struct cv_status status;
	uint64_t now_ns;
	uint64_t starts;
};

/* One handle, as its client sees it. */
struct peer {
	struct rig *rig;
	int handle;
	struct node_peer who;
	struct cv_welcome welcome;
	uint8_t *up;
	uint8_t *down;
	struct cv_up_words *up_words;
	struct cv_down_words *down_words;
	uint64_t *claims;
	struct cv_slot *slots;
	struct cv_ring_writer proposals;
	struct cv_ring_writer controls;
	uint64_t generations[CV_SLOTS_MAX];
	uint64_t sequence; /* the last one issued */
	uint64_t settled; /* settled-below; 1 at first */
};

/* ---- the node ---- */

static inline void rig_init(struct rig *rig)
{
	*rig = (struct rig){
		.disk = mem_disk_new(),
		.wal_options =
			{
				.member = 7,
				.seed = 42,
				.segment_size = RIG_SEGMENT,
				.spares_min = 1,
				.buffers = 8,
				.snapshot_after = 1ull << 40,
				.create = true,
			},
		.settings =
			{
				.quota_bytes = 4 << 20,
				.session_expiry_ms = 600000,
				.tombstone_ms = 600000,
				.sessions_max = 1000,
				.store_address_bytes = RIG_STORE,
			},
		.options =
			{
				.member = 7,
				.seed = 1,
				.tick_ns = RIG_TICK_NS,
				.election_ticks = 10,
				.heartbeat_ticks = 1,
				.handles_max = 16,
				.user_handles_max = 12,
				.entries_max = 1 << 16,
				.batch_size = NODE_BATCH_SIZE,
				.uncommitted_max = 64 << 20,
			},
		.now_ns = 1000000000,
	};
	memcpy(rig->wal_options.cluster, "a test's cluster", 16);
	memcpy(rig->options.cluster, "a test's cluster", 16);
	rig->options.voters.voters[0] = 7;
	rig->options.voters.voter_count = 1;
}

/* What wal_open(), store_init() or node_init() says. */
static inline int rig_try(struct rig *rig)
{
	int code;

	assert(!rig->node_memory);
	rig->options.incarnation = ++rig->starts;
	rig->options.status = &rig->status;
	memset(&rig->status, 0, sizeof(rig->status));
	rig->wal_memory =
		aligned_alloc(4096, wal_memory_size(&rig->wal_options));
	rig->store_memory =
		mmap(NULL, RIG_STORE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(rig->wal_memory && rig->store_memory != MAP_FAILED);
	rig->node_memory = aligned_alloc(4096, node_memory_size(&rig->options));
	assert(rig->node_memory);
	memset(rig->node_memory, 0, node_memory_size(&rig->options));
	code = wal_open(&rig->wal, rig->disk, &rig->wal_options,
			rig->wal_memory, &rig->report);
	if (code)
		return code;
	code = store_init(&rig->store, rig->store_memory, RIG_STORE,
			  &rig->settings);
	if (code)
		return code;
	return node_init(&rig->node, &rig->options, rig->wal, &rig->report,
			 rig->store, rig->node_memory);
}

/* The process dies: what the disk has not finished did not happen. */
static inline void rig_crash(struct rig *rig)
{
	mem_disk_crash(rig->disk);
	rig->kept = NULL;
	rig->keeps = false;
	free(rig->wal_memory);
	free(rig->node_memory);
	(void)munmap(rig->store_memory, RIG_STORE);
	rig->wal_memory = NULL;
	rig->node_memory = NULL;
	rig->node = NULL;
}

static inline void rig_release(struct rig *rig)
{
	rig_crash(rig);
	mem_disk_free(rig->disk);
}

static inline void rig_append(struct disk_op **first, struct disk_op **last,
			      struct disk_op *op)
{
	op->next = NULL;
	if (*first)
		(*last)->next = op;
	else
		*first = op;
	*last = op;
}

/* What was submitted in this turn joins what the disk sits on. */
static inline void rig_keep(struct rig *rig)
{
	struct disk_op *op = rig->disk->first, *next;

	rig->disk->first = NULL;
	rig->disk->last = NULL;
	for (; op; op = next) {
		next = op->next;
		if (rig->keep_kinds >> op->kind & 1)
			rig_append(&rig->kept, &rig->kept_last, op);
		else
			rig_append(&rig->disk->first, &rig->disk->last, op);
	}
}

/* From now on the disk finishes nothing of these kinds. */
static inline void rig_stall_kinds(struct rig *rig, uint32_t kinds)
{
	rig->keeps = true;
	rig->keep_kinds = kinds;
	rig_keep(rig);
}

static inline void rig_stall(struct rig *rig)
{
	rig_stall_kinds(rig, UINT32_MAX);
}

static inline void rig_unstall(struct rig *rig)
{
	rig->keeps = false;
	if (!rig->kept)
		return;
	rig->kept_last->next = rig->disk->first;
	if (!rig->disk->first)
		rig->disk->last = rig->kept_last;
	rig->disk->first = rig->kept;
	rig->kept = NULL;
}

/* One turn, a microsecond later, over all handles. */
static inline int rig_turn(struct rig *rig)
{
	int work;

	rig->now_ns += RIG_STEP_NS;
	rig->disk->history_count = 0; /* nobody asks for it */
	work = node_turn(rig->node, rig->now_ns, true);
	if (rig->keeps)
		rig_keep(rig);
	return work;
}

static inline void rig_turns(struct rig *rig, uint32_t count)
{
	while (count-- > 0)
		ck_assert_int_ge(rig_turn(rig), 0);
}

/* Turns until a turn finds nothing to do and the disk is at rest. */
static inline void rig_settle(struct rig *rig)
{
	uint32_t turns;

	for (turns = 0; turns < RIG_TURNS_MAX; turns++) {
		int work = rig_turn(rig);

		ck_assert_int_ge(work, 0);
		if (!work && (rig->keeps || wal_idle(rig->wal)))
			return;
	}
	ck_abort_msg("the node never comes to rest");
}

/* Lets time pass in steps of a tick. */
static inline void rig_pass(struct rig *rig, uint64_t ns)
{
	uint64_t end_ns = rig->now_ns + ns;

	while (rig->now_ns < end_ns) {
		rig->now_ns += RIG_TICK_NS - RIG_STEP_NS;
		ck_assert_int_ge(rig_turn(rig), 0);
	}
	rig_settle(rig);
}

/* Starts; then it leads. */
static inline void rig_start(struct rig *rig)
{
	ck_assert_int_eq(rig_try(rig), 0);
	rig_settle(rig);
	ck_assert_uint_eq(rig->status.role, RAFT_LEADER);
}

/* Starts anew over what the disk has. */
static inline void rig_restart(struct rig *rig)
{
	rig_crash(rig);
	rig_start(rig);
}

/* ---- clients ---- */

/* Of the user RIG_UID, with a session named by `name`. */
static inline void peer_init(struct peer *peer, struct rig *rig, uint8_t name)
{
	memset(peer, 0, sizeof(*peer));
	peer->rig = rig;
	peer->handle = -1;
	peer->settled = 1;
	peer->who.uid = RIG_UID;
	peer->who.hello = (struct cv_hello){
		.magic = CV_MAGIC_HELLO,
		.abi_major = CV_ABI_MAJOR,
		.abi_minor = CV_ABI_MINOR,
		.size = CV_MESSAGE_SIZE,
	};
	memset(peer->who.hello.session, name, 16);
	memset(peer->who.hello.secret, name ^ 0x5a, 16);
}

static inline void peer_map(struct peer *peer)
{
	struct cv_welcome *welcome = &peer->welcome;

	peer->up = aligned_alloc(4096, welcome->up_size);
	peer->down = aligned_alloc(4096, welcome->down_size);
	assert(peer->up && peer->down);
	memset(peer->up, 0, welcome->up_size);
	memset(peer->down, 0, welcome->down_size);
	peer->up_words =
		(struct cv_up_words *)(void *)(peer->up + CV_HEADER_SIZE);
	peer->down_words =
		(struct cv_down_words *)(void *)(peer->down + CV_HEADER_SIZE);
	peer->claims = (uint64_t *)(void *)(peer->up + CV_CLAIMS_OFFSET);
	peer->slots = (struct cv_slot *)(void *)(peer->down + CV_SLOTS_OFFSET);
	cv_ring_writer_init(
		&peer->proposals, peer->up + welcome->proposal_offset,
		welcome->proposal_size, &peer->down_words->proposal_head);
	cv_ring_writer_init(&peer->controls, peer->up + welcome->control_offset,
			    welcome->control_size,
			    &peer->down_words->control_head);
	memset(peer->generations, 0, sizeof(peer->generations));
}

/* Greets and attaches; 0, or the refusal. The welcome is still to come. */
static inline int peer_knock(struct peer *peer)
{
	int code = node_greet(peer->rig->node, &peer->who, &peer->welcome);

	ck_assert_int_eq(code, peer->welcome.status);
	if (code)
		return code;
	peer_map(peer);
	peer->handle = node_attach(peer->rig->node, &peer->who, &peer->welcome,
				   peer->up, peer->down);
	return peer->handle < 0 ? peer->handle : 0;
}

/* The next event must be of this kind and for this peer. */
static inline struct node_event peer_event(struct peer *peer, uint8_t kind)
{
	struct node_event event;

	ck_assert(node_next_event(peer->rig->node, &event));
	ck_assert_int_eq(event.kind, kind);
	ck_assert_int_eq(event.handle, peer->handle);
	return event;
}

static inline void peer_open(struct peer *peer, struct rig *rig, uint8_t name)
{
	struct node_event event;

	peer_init(peer, rig, name);
	ck_assert_int_eq(peer_knock(peer), 0);
	event = peer_event(peer, NODE_WELCOME);
	ck_assert_int_eq(event.status, 0);
	peer->who.hello.epoch = event.epoch;
	peer->who.hello.born = peer->welcome.born;
}

static inline void peer_unmap(struct peer *peer)
{
	free(peer->up);
	free(peer->down);
	peer->up = NULL;
	peer->down = NULL;
	peer->handle = -1;
}

/* The connection ends; the memory is gone at once. */
static inline void peer_close(struct peer *peer)
{
	node_detach(peer->rig->node, peer->handle);
	peer_unmap(peer);
}

/*
 * Connects again for the same session, as after a loss; what the welcome says.
 */
static inline int peer_resume(struct peer *peer)
{
	struct node_event event;
	int code;

	peer->who.hello.flags = CV_HELLO_RESUME;
	peer->who.hello.settled_below = peer->settled;
	code = peer_knock(peer);
	if (code)
		return code;
	rig_settle(peer->rig);
	event = peer_event(peer, NODE_WELCOME);
	if (!event.status)
		peer->who.hello.epoch = event.epoch;
	return event.status;
}

/* ---- requests ---- */

static inline bool is_control(const struct cv_request *head)
{
	return head->type >= CV_PING;
}

/*
 * Writes a record with exactly this head (slot, sizes and all; length and
 * generation are filled in) and publishes it. Returns its generation.
 */
static inline uint64_t peer_write(struct peer *peer, struct cv_request head,
				  const void *key, const void *value)
{
	struct cv_ring_writer *ring =
		is_control(&head) ? &peer->controls : &peer->proposals;
	uint32_t body = head.key_size + head.value_size;
	uint32_t length = cv_record_length(body);
	struct cv_request *record = cv_ring_reserve(ring, length);
	uint8_t *bytes = (uint8_t *)record;

	ck_assert_ptr_nonnull(record);
	head.length = 0;
	head.generation = ++peer->generations[head.slot];
	memcpy(bytes, &head, body ? sizeof(head) : CV_LINE);
	if (head.key_size)
		memcpy(bytes + CV_REQUEST_HEAD, key, head.key_size);
	if (head.value_size)
		memcpy(bytes + CV_REQUEST_HEAD + head.key_size, value,
		       head.value_size);
	cv_claim_queue(&peer->claims[head.slot], head.generation);
	cv_ring_publish(ring);
	return head.generation;
}

/* The head of a proposal with the next sequence. */
static inline struct cv_request peer_head(struct peer *peer, uint32_t slot,
					  enum cv_type type)
{
	return (struct cv_request){
		.slot = slot,
		.type = (uint16_t)type,
		.sequence = ++peer->sequence,
		.settled = peer->settled,
	};
}

static inline void peer_put(struct peer *peer, uint32_t slot, const char *key,
			    const char *value)
{
	struct cv_request head = peer_head(peer, slot, CV_PUT);

	head.key_size = (uint32_t)strlen(key);
	head.value_size = (uint32_t)strlen(value);
	(void)peer_write(peer, head, key, value);
}

/* A value of `size` bytes. */
static inline void peer_put_size(struct peer *peer, uint32_t slot,
				 const char *key, uint32_t size)
{
	struct cv_request head = peer_head(peer, slot, CV_PUT);
	uint8_t *value = malloc(size);

	assert(value);
	memset(value, (int)slot + 1, size);
	head.key_size = (uint32_t)strlen(key);
	head.value_size = size;
	(void)peer_write(peer, head, key, value);
	free(value);
}

static inline void peer_ping(struct peer *peer, uint32_t slot)
{
	(void)peer_write(peer,
			 (struct cv_request){.slot = slot, .type = CV_PING},
			 NULL, NULL);
}

/* The head of a get whose reply has the room of 256 bytes for its slot. */
static inline struct cv_request get_head(uint32_t slot, const char *key)
{
	return (struct cv_request){
		.slot = slot,
		.type = CV_RANGE,
		.key_size = (uint32_t)strlen(key),
		.reply_offset = slot * 256,
		.reply_size = 256,
	};
}

static inline void peer_get(struct peer *peer, uint32_t slot, const char *key)
{
	(void)peer_write(peer, get_head(slot, key), key, NULL);
}

static inline void peer_outcome(struct peer *peer, uint32_t slot,
				uint64_t sequence)
{
	(void)peer_write(peer,
			 (struct cv_request){
				 .slot = slot,
				 .type = CV_OUTCOME,
				 .argument = sequence,
			 },
			 NULL, NULL);
}

/* ---- results ---- */

static inline bool is_posted(const struct peer *peer, uint32_t slot)
{
	return cv_slot_posted(&peer->slots[slot], peer->generations[slot]);
}

/* The result must be there. */
static inline const struct cv_slot *posted(const struct peer *peer,
					   uint32_t slot)
{
	ck_assert_msg(is_posted(peer, slot), "slot %u was not posted", slot);
	return &peer->slots[slot];
}

static inline int32_t status_of(const struct peer *peer, uint32_t slot)
{
	return posted(peer, slot)->status;
}

/* The one record in the reply to a get must hold this value. */
static inline void ck_assert_value(const struct peer *peer, uint32_t slot,
				   const char *value)
{
	const uint8_t *reply =
		peer->down + peer->welcome.reply_offset + slot * 256;
	struct cv_record record;

	ck_assert_int_eq(status_of(peer, slot), 0);
	ck_assert_uint_eq(peer->slots[slot].aux, 1);
	memcpy(&record, reply, sizeof(record));
	ck_assert_uint_eq(record.value_size, strlen(value));
	ck_assert(memcmp(reply + sizeof(record) + record.key_size, value,
			 record.value_size) == 0);
}

/* Takes all events; how many were of this kind. */
static inline uint32_t rig_events(struct rig *rig, uint8_t kind)
{
	struct node_event event;
	uint32_t count = 0;

	while (node_next_event(rig->node, &event))
		count += event.kind == kind;
	return count;
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
