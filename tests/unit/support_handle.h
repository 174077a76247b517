/*
 * Clients of a node under test. Their rings, claims and slots lie in private
 * memory; a client is honest as far as it uses the producer's functions of
 * shm/, and nothing keeps a test from lying.
 */
#ifndef TESTS_UNIT_SUPPORT_HANDLE_H
#define TESTS_UNIT_SUPPORT_HANDLE_H

#include "tests/unit/support_node.h"

/* One handle, as its client sees it. */
struct guest {
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

/* ---- clients ---- */

/* Of the user RIG_UID, with a session named by `name`. */
static inline void peer_init(struct guest *peer, struct rig *rig, uint8_t name)
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

static inline void peer_map(struct guest *peer)
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
static inline int peer_knock(struct guest *peer)
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
static inline struct node_event peer_event(struct guest *peer, uint8_t kind)
{
	struct node_event event;

	ck_assert(node_next_event(peer->rig->node, &event));
	ck_assert_int_eq(event.kind, kind);
	ck_assert_int_eq(event.handle, peer->handle);
	return event;
}

static inline void peer_open(struct guest *peer, struct rig *rig, uint8_t name)
{
	struct node_event event;

	peer_init(peer, rig, name);
	ck_assert_int_eq(peer_knock(peer), 0);
	event = peer_event(peer, NODE_WELCOME);
	ck_assert_int_eq(event.status, 0);
	peer->who.hello.epoch = event.epoch;
	peer->who.hello.born = peer->welcome.born;
}

static inline void peer_unmap(struct guest *peer)
{
	free(peer->up);
	free(peer->down);
	peer->up = NULL;
	peer->down = NULL;
	peer->handle = -1;
}

/* The connection ends; the memory is gone at once. */
static inline void peer_close(struct guest *peer)
{
	node_detach(peer->rig->node, peer->handle);
	peer_unmap(peer);
}

/*
 * Connects again for the same session, as after a loss; what the welcome says.
 */
static inline int peer_resume(struct guest *peer)
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
static inline uint64_t peer_write(struct guest *peer, struct cv_request head,
				  const void *key, const void *value)
{
	struct cv_ring_writer *ring =
		is_control(&head) ? &peer->controls : &peer->proposals;
	uint32_t body = head.key_size + head.value_size;
	bool bare = !body && !head.limit;
	uint32_t length = cv_record_length(bare || body ? body : 1);
	struct cv_request *record = cv_ring_reserve(ring, length);
	uint8_t *bytes = (uint8_t *)record;

	ck_assert_ptr_nonnull(record);
	head.length = 0;
	head.generation = ++peer->generations[head.slot];
	memcpy(bytes, &head, bare ? CV_LINE : sizeof(head));
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
static inline struct cv_request peer_head(struct guest *peer, uint32_t slot,
					  enum cv_type type)
{
	return (struct cv_request){
		.slot = slot,
		.type = (uint16_t)type,
		.sequence = ++peer->sequence,
		.settled = peer->settled,
	};
}

static inline void peer_put(struct guest *peer, uint32_t slot, const char *key,
			    const char *value)
{
	struct cv_request head = peer_head(peer, slot, CV_PUT);

	head.key_size = (uint32_t)strlen(key);
	head.value_size = (uint32_t)strlen(value);
	(void)peer_write(peer, head, key, value);
}

/* A value of `size` bytes. */
static inline void peer_put_size(struct guest *peer, uint32_t slot,
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

static inline void peer_ping(struct guest *peer, uint32_t slot)
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

static inline void peer_get(struct guest *peer, uint32_t slot, const char *key)
{
	(void)peer_write(peer, get_head(slot, key), key, NULL);
}

static inline void peer_outcome(struct guest *peer, uint32_t slot,
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

static inline bool is_posted(const struct guest *peer, uint32_t slot)
{
	return cv_slot_posted(&peer->slots[slot], peer->generations[slot]);
}

/* The result must be there. */
static inline const struct cv_slot *posted(const struct guest *peer,
					   uint32_t slot)
{
	ck_assert_msg(is_posted(peer, slot), "slot %u was not posted", slot);
	return &peer->slots[slot];
}

static inline int32_t status_of(const struct guest *peer, uint32_t slot)
{
	return posted(peer, slot)->status;
}

/* The one record in the reply to a get must hold this value. */
static inline void ck_assert_value(const struct guest *peer, uint32_t slot,
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

#endif
