/*
 * Drains the rings. A record is taken by its claim, copied once out of
 * client memory, and only the copy is looked at; nothing that a client can
 * write is read twice, and none of it is believed.
 *
 * Trust: the first 16 bytes name slot and generation; the claim word of that
 * slot decides whether the record is alive. A record that breaks the format
 * of the ring itself (length, slot) expels the handle, since what follows it
 * cannot be found; a request that is merely wrong gets its refusal.
 *
 * Without a leader proposals stay where they are, but for cancelled ones at
 * the front, which are reclaimed; the control ring is always drained.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	/* By how much an operation can be larger than its record. */
	OP_SURPLUS = sizeof(struct op_begin) + 16,
	STOP = 0,
	DRAINED = 1,
	FLIGHTS_MASK = CV_SLOTS_MAX - 1,
	FLAGS_KNOWN = CV_FAIL_FAST | CV_SERIALIZABLE | CV_COUNT_ONLY |
		      CV_KEYS_ONLY | CV_SYSTEM,
	PASS_CONTROLS = 128, /* of one handle in one pass */
};

static void expel(struct node *node, struct handle *handle)
{
	handle->state = HANDLE_BROKEN;
	handle->expel = true;
	node->event_count++;
}

/* The next record, and that its claim can be looked at; as cv_ring_peek(). */
static int peek_record(const struct handle *handle, struct cv_ring_reader *ring,
		       struct cv_peek *ret_peek)
{
	int code = cv_ring_peek(ring, ret_peek);

	if (code == 1 && (ret_peek->slot >= handle->slot_count ||
			  ret_peek->generation >> 62))
		return -EPROTO;
	return code;
}

/* 1 when the record is alive, and now ours. */
static int take(struct handle *handle, const struct cv_peek *peek)
{
	return cv_claim_take(&handle->claims[peek->slot], peek->generation);
}

/* Alive as far as can be seen without taking it. */
static bool queued(const struct handle *handle, const struct cv_peek *peek)
{
	return !cv_claim_dead(&handle->claims[peek->slot], peek->generation);
}

static void copy_head(const struct cv_peek *peek, struct cv_request *ret_head)
{
	uint32_t size = peek->length < sizeof(*ret_head)
				? peek->length
				: (uint32_t)sizeof(*ret_head);

	memset(ret_head, 0, sizeof(*ret_head));
	memcpy(ret_head, peek->record, size);
	__asm__ volatile("" ::: "memory");
	ret_head->length = peek->length;
	ret_head->slot = peek->slot;
	ret_head->generation = peek->generation;
}

/* What is the same for all kinds: against the record and the reply area. */
static int32_t check_head(const struct handle *handle,
			  const struct cv_request *head)
{
	uint64_t body = (uint64_t)head->key_size + head->value_size;

	if (head->flags & ~(uint32_t)FLAGS_KNOWN || head->lease)
		return CONCLAVE_EUNSUPPORTED;
	if (head->key_size > CV_KEY_MAX)
		return CONCLAVE_EBADREQ;
	if (body && CV_REQUEST_HEAD + body > head->length)
		return CONCLAVE_EBADREQ;
	if (head->reply_offset > handle->reply_size ||
	    head->reply_size > handle->reply_size - head->reply_offset ||
	    head->reply_offset % 8)
		return CONCLAVE_EBADREQ;
	return 0;
}

static int32_t check_proposal(const struct node *node,
			      const struct handle *handle,
			      const struct cv_request *head)
{
	int32_t status = check_head(handle, head);

	if (status)
		return status;
	if (hash_is_quarantined(node))
		return CONCLAVE_ECORRUPT;
	if (head->type < CV_PUT || head->type > CV_MEMBER)
		return CONCLAVE_EUNSUPPORTED;
	if (!head->key_size && head->type != CV_COMPACT &&
	    head->type != CV_MEMBER)
		return CONCLAVE_EBADREQ;
	if (head->type == CV_COMPACT && head->value_size)
		return CONCLAVE_EBADREQ;
	if (head->type == CV_DELETE && head->value_size > CV_KEY_MAX)
		return CONCLAVE_EBADREQ;
	if (head->key_size + head->value_size > handle->request_max)
		return CONCLAVE_ETOOLARGE;
	if (!head->sequence || !head->settled ||
	    head->settled > head->sequence || head->sequence >> 62)
		return CONCLAVE_EBADREQ;
	if (head->sequence - head->settled >= CV_WINDOW)
		return CONCLAVE_EWINDOW;
	if (head->deadline_ns && node->now_ns > head->deadline_ns)
		return CONCLAVE_ECANCELLED;
	if ((node->status->alarms & CV_ALARM_NOSPACE) &&
	    head->type != CV_DELETE && head->type != CV_COMPACT)
		return CONCLAVE_ENOSPACE;
	return 0;
}

static struct op_begin begin_of(struct node *node, struct handle *handle)
{
	struct op_begin begin = {
		.owner = node->options.member,
		.uid = handle->uid,
	};

	if (!handle->proposed)
		handle->born = session_born(node);
	handle->proposed = true;
	begin.born = handle->born;
	memcpy(begin.secret_hash, handle->secret_hash, 16);
	return begin;
}

/*
 * Identity of the operation; returns whether it may begin its session. As
 * long as nothing of the session was applied, whatever was asked before was
 * refused, and the operation may begin it: it then speaks of all sequences.
 */
static bool fill_op(const struct handle *handle, const struct cv_request *head,
		    struct op_header *op)
{
	bool begin = !handle->begun && head->sequence <= CV_WINDOW;

	*op = (struct op_header){
		.type = (uint8_t)head->type,
		.flags = begin ? OP_BEGIN : 0,
		.sequence = head->sequence,
		.settled_below = begin ? 1 : head->settled,
		.epoch = handle->epoch,
		.argument = head->argument,
		.key_size = head->key_size,
		.value_size = head->value_size,
	};
	memcpy(op->session, handle->session, 16);
	return begin;
}

/* Writes the operation where it will lie on disk; returns its size. */
static uint32_t write_op(struct node *node, struct handle *handle,
			 const struct cv_request *head, const uint8_t *record,
			 uint8_t *at)
{
	uint32_t body = head->key_size + head->value_size;
	struct op_header op;
	bool begin = fill_op(handle, head, &op);
	uint8_t *end;

	op.size = op_size(op.flags, head->key_size, head->value_size);
	end = at + op.size;
	memcpy(at, &op, sizeof(op));
	at += sizeof(op);
	if (begin) {
		struct op_begin who = begin_of(node, handle);

		memcpy(at, &who, sizeof(who));
		at += sizeof(who);
	}
	memcpy(at, record + CV_REQUEST_HEAD, body);
	memset(at + body, 0, (size_t)(end - at) - body);
	return op.size;
}

/* A change of membership travels alone. */
static int32_t propose_member(struct node *node, struct handle *handle,
			      const struct cv_request *head,
			      const uint8_t *record,
			      const struct request *request)
{
	uint8_t body[2 * STORE_ADDRESS_MAX] = {0};
	uint8_t payload[MEMBER_PAYLOAD_MAX];
	uint32_t size = head->key_size + head->value_size;
	struct op_begin begin = {0};
	struct op_header op;
	int code;

	if (size > sizeof(body))
		return CONCLAVE_EBADREQ;
	memcpy(body, record + CV_REQUEST_HEAD, size);
	if (fill_op(handle, head, &op))
		begin = begin_of(node, handle);
	code = member_payload(head, body, &op, &begin, payload, &size);
	if (code)
		return code;
	return batch_request(node, ENTRY_CONF_V2, payload, size, request)
		       ? 0
		       : CONCLAVE_ELOGFULL;
}

/* It is in flight until it is answered. */
static void take_off(struct handle *handle, const struct cv_request *head)
{
	handle->flights[handle->flight_tail++ & FLIGHTS_MASK].sequence =
		head->sequence;
	if (head->settled > handle->settled_below)
		handle->settled_below = head->settled;
}

static void propose(struct node *node, struct handle *handle,
		    const struct cv_peek *peek, uint8_t *room)
{
	struct cv_request head;
	struct request request = {
		.handle = (uint32_t)(handle - node->handles),
		.handle_generation = handle->generation,
		.slot = peek->slot,
		.generation = peek->generation,
	};
	int32_t status;

	copy_head(peek, &head);
	if (head.sequence > handle->drained)
		handle->drained = head.sequence;
	status = check_proposal(node, handle, &head);
	request.flight = handle->flight_tail;
	if (!status && head.type == CV_MEMBER)
		status = propose_member(node, handle, &head, peek->record,
					&request);
	if (status) {
		reply_refuse(node, handle, peek->slot, peek->generation,
			     status);
		return;
	}
	take_off(handle, &head);
	if (head.type == CV_MEMBER)
		return;
	batch_add(node, write_op(node, handle, &head, peek->record, room),
		  &request);
}

/*
 * Does the record ask to be refused rather than to wait? It is not taken yet,
 * so this is a hint and no more; who lies is refused.
 */
static bool fails_fast(const struct cv_peek *peek)
{
	uint32_t word = cv_load_relaxed32(
		(const uint32_t *)(const void *)(peek->record +
						 offsetof(struct cv_request,
							  type)));

	return (word >> 16) & CV_FAIL_FAST;
}

/* Where a record that is alive may be proposed; NULL: not now. */
static uint8_t *find_room(struct node *node, const struct handle *handle,
			  const struct cv_peek *peek)
{
	if (!node_may_propose(node) || node->draining ||
	    handle->flight_tail - handle->flight_head >= CV_SLOTS_MAX ||
	    node->request_tail - node->request_head >= NODE_REQUESTS_MAX)
		return NULL;
	return batch_room(node, peek->length + OP_SURPLUS);
}

/* Some member's log could never take it: it must not be waited for. */
static bool is_too_large(const struct node *node, const struct cv_peek *peek)
{
	return entry_size(peek->length + OP_SURPLUS) > node->entry_max;
}

/* One record of the proposal ring: DRAINED or STOP. */
static int drain_proposal(struct node *node, struct handle *handle,
			  const struct cv_peek *peek)
{
	bool alive = queued(handle, peek);
	bool large = is_too_large(node, peek);
	uint8_t *room = alive && !large ? find_room(node, handle, peek) : NULL;

	if (alive && !large && !room && (node->leader || !fails_fast(peek)))
		return STOP;
	if (!alive || !take(handle, peek))
		node->status->cancelled++;
	else if (room)
		propose(node, handle, peek, room);
	else if (large)
		reply_refuse(node, handle, peek->slot, peek->generation,
			     CONCLAVE_ETOOLARGE);
	else
		reply_refuse(node, handle, peek->slot, peek->generation,
			     CONCLAVE_ENOLEADER);
	cv_ring_skip(&handle->proposals, peek->length);
	reply_touch(node, handle);
	return DRAINED;
}

static void drain_proposals(struct node *node, struct handle *handle)
{
	uint32_t taken = 0;
	struct cv_peek peek;
	int code;

	for (;;) {
		code = peek_record(handle, &handle->proposals, &peek);
		if (!code) {
			handle->empties++;
			return;
		}
		handle->quiet = 0;
		if (code < 0) {
			expel(node, handle);
			return;
		}
		if (taken && taken + peek.length > NODE_PASS_SIZE)
			return;
		if (drain_proposal(node, handle, &peek) == STOP)
			return;
		taken += peek.length;
	}
}

static bool is_read(const struct cv_request *head)
{
	return head->type == CV_RANGE || head->type == CV_OUTCOME;
}

static int32_t check_read(const struct node *node,
			  const struct cv_request *head)
{
	if (head->value_size > CV_KEY_MAX)
		return CONCLAVE_EBADREQ;
	if (head->type == CV_OUTCOME)
		return head->argument ? 0 : CONCLAVE_EBADREQ;
	if (!head->key_size && !(head->flags & CV_SYSTEM))
		return CONCLAVE_EBADREQ;
	if (hash_is_quarantined(node))
		return CONCLAVE_ECORRUPT;
	if (!node->leader && (head->flags & CV_FAIL_FAST) &&
	    !(head->flags & CV_SERIALIZABLE))
		return CONCLAVE_ENOLEADER;
	return 0;
}

static uint32_t read_flags(uint32_t flags)
{
	return (flags & CV_COUNT_ONLY ? STORE_READ_COUNT : 0u) |
	       (flags & CV_KEYS_ONLY ? STORE_READ_KEYS : 0u) |
	       (flags & CV_SYSTEM ? STORE_READ_SYSTEM : 0u);
}

static void park_read(struct node *node, struct handle *handle,
		      const struct cv_request *head, const uint8_t *record)
{
	uint16_t id = node->read_free[--node->read_free_count];
	struct node_read *read = &node->reads[id];
	uint32_t body = head->key_size + head->value_size;

	assert(body <= sizeof(read->bytes));
	/* The buffers are written before they are read: not cleared. */
	memset(read, 0, offsetof(struct node_read, read));
	memset(&read->read, 0, offsetof(struct store_read, resume));
	read->read.begun = false;
	memcpy(read->bytes, record + CV_REQUEST_HEAD, body);
	read->handle = (uint32_t)(handle - node->handles);
	read->handle_generation = handle->generation;
	read->slot = head->slot;
	read->generation = head->generation;
	read->type = head->type;
	read->after =
		head->type == CV_OUTCOME ? head->argument : head->sequence;
	read->sequence = head->argument;
	read->min_revision = head->settled;
	read->empties = handle->empties;
	read->deadline_ns = head->deadline_ns;
	read->linearizable = !(head->flags & CV_SERIALIZABLE);
	if (read->linearizable) {
		read->round = node->read_round;
		node->read_round_due = true;
	}
	read->read.key = read->bytes;
	read->read.key_size = head->key_size;
	read->read.end = read->bytes + head->key_size;
	read->read.end_size = head->value_size;
	read->read.revision = head->argument;
	read->read.limit = head->limit;
	read->read.flags = read_flags(head->flags);
	read->read.out =
		handle->down + handle->reply_offset + head->reply_offset;
	read->read.room = head->reply_size;
	node->read_list[node->read_count++] = id;
	handle->reads++;
	node->work++;
}

static void control(struct node *node, struct handle *handle,
		    const struct cv_peek *peek)
{
	struct cv_request head;
	int32_t status;

	copy_head(peek, &head);
	status = head.type == CV_PING ? 0 : check_head(handle, &head);
	if (!status && answer_control(node, handle, &head))
		return;
	if (!status)
		status = is_read(&head) ? check_read(node, &head)
					: CONCLAVE_EUNSUPPORTED;
	if (status)
		reply_refuse(node, handle, peek->slot, peek->generation,
			     status);
	else
		park_read(node, handle, &head, peek->record);
}

/*
 * No handle has more reads than are free, so however many one parks, the next
 * one finds a place.
 */
static bool may_read(const struct node *node, const struct handle *handle)
{
	return handle->reads < node->read_free_count && !node->draining;
}

static void drain_controls(struct node *node, struct handle *handle)
{
	uint32_t count = 0;
	struct cv_peek peek;
	int code;

	while (may_read(node, handle) && count++ < PASS_CONTROLS) {
		code = peek_record(handle, &handle->controls, &peek);
		if (!code)
			return;
		handle->quiet = 0;
		if (code < 0) {
			expel(node, handle);
			return;
		}
		if (take(handle, &peek))
			control(node, handle, &peek);
		cv_ring_skip(&handle->controls, peek.length);
		reply_touch(node, handle);
	}
}

static bool serves(const struct handle *handle)
{
	return handle->state == HANDLE_OPEN;
}

static void drain(struct node *node, uint32_t index)
{
	struct handle *handle = &node->handles[index];

	if (!serves(handle))
		return;
	handle->quiet++;
	drain_controls(node, handle);
	if (serves(handle))
		drain_proposals(node, handle);
}

void intake_heat(struct node *node, uint32_t index)
{
	struct handle *handle = &node->handles[index];

	handle->quiet = 0;
	if (handle->hot)
		return;
	handle->hot = true;
	node->hot[node->hot_count++] = (uint16_t)index;
}

static void cool(struct node *node)
{
	uint32_t i, kept = 0;

	for (i = 0; i < node->hot_count; i++) {
		struct handle *handle = &node->handles[node->hot[i]];

		if (serves(handle) && handle->quiet < HOT_PASSES)
			node->hot[kept++] = node->hot[i];
		else
			handle->hot = false;
	}
	node->hot_count = kept;
}

/* Round robin: each pass begins one handle further. */
void intake_drain(struct node *node, bool sweep)
{
	uint32_t i, start, count;

	if (!sweep) {
		count = node->hot_count;
		start = count ? node->handle_turn++ % count : 0;
		for (i = 0; i < count; i++)
			drain(node, node->hot[(start + i) % count]);
		return;
	}
	count = node->handle_used;
	start = count ? node->handle_turn++ % count : 0;
	for (i = 0; i < count; i++) {
		uint32_t index = (start + i) % count;

		drain(node, index);
		if (!node->handles[index].quiet)
			intake_heat(node, index);
	}
	cool(node);
}

/* Before sleep: some ring holds what a turn would take. */
bool intake_pending(struct node *node)
{
	struct cv_peek peek;
	uint32_t i;

	for (i = 0; i < node->handle_used; i++) {
		struct handle *handle = &node->handles[i];

		if (!serves(handle))
			continue;
		if (may_read(node, handle) &&
		    cv_ring_peek(&handle->controls, &peek))
			return true;
		if (node_may_propose(node) && !node->draining &&
		    cv_ring_peek(&handle->proposals, &peek))
			return true;
	}
	return false;
}
