/*
 * What the miniature daemon does in a turn: drain, apply, post, wake.
 */
#include <assert.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/support_peer_inside.h"

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void op_read(struct peer_op *op, const struct cv_peek *peek)
{
	const uint8_t *body = peek->record + CV_REQUEST_HEAD;
	struct cv_request *head = &op->head;
	size_t left = peek->length - 16;

	if (left > sizeof(*head) - 16)
		left = sizeof(*head) - 16;
	memcpy((uint8_t *)head + 16, peek->record + 16, left);
	head->length = peek->length;
	head->slot = peek->slot;
	head->generation = peek->generation;
	if (peek->length == CV_LINE)
		return;
	assert(CV_REQUEST_HEAD + head->key_size + head->value_size <=
	       peek->length);
	op->key = malloc(head->key_size + 1u);
	op->value = malloc(head->value_size + 1u);
	assert(op->key != NULL && op->value != NULL);
	memcpy(op->key, body, head->key_size);
	memcpy(op->value, body + head->key_size, head->value_size);
}

static void take(struct peer *peer, struct peer_connection *c,
		 const struct cv_peek *peek)
{
	uint64_t *claims = (uint64_t *)(void *)(c->up + CV_CLAIMS_OFFSET);
	struct peer_op *op = &peer->ops[peer->op_tail % PEER_OPS];

	assert(peek->slot < c->geometry.slots);
	if (!cv_claim_take(&claims[peek->slot], peek->generation)) {
		peer->counts.dead++;
		return;
	}
	memset(op, 0, sizeof(*op));
	op_read(op, peek);
	op->connection = (uint32_t)(c - peer->connections);
	op->session = c->session;
	if (op->head.type < CV_PING)
		c->drained = op->head.sequence;
	if (op->head.deadline_ns != 0 && now_ns() > op->head.deadline_ns) {
		op->result.status = CONCLAVE_ECANCELLED;
		op->applied = true;
	} else if (op->head.type < CV_PING &&
		   (peer->hold & PEER_HOLD_PROPOSALS) != 0) {
		op->result.status = CONCLAVE_ENOLEADER;
		op->applied = true;
	}
	peer->op_tail++;
	peer->counts.taken++;
}

static bool drain(struct peer *peer, struct peer_connection *c,
		  struct cv_ring_reader *ring)
{
	struct cv_peek peek;
	uint32_t i;
	int status = 0;

	for (i = 0; i < PEER_BUDGET; i++) {
		if (peer->op_tail - peer->op_head == PEER_OPS)
			break;
		status = cv_ring_peek(ring, &peek);
		if (status <= 0)
			break;
		take(peer, c, &peek);
		cv_ring_skip(ring, peek.length);
	}
	if (status < 0) {
		peer->counts.expelled++;
		peer_connection_close(c);
	}
	return i != 0;
}

/* What is dead at the head goes even while nothing is drained, and so does
 * what would rather fail than wait. */
static bool reclaim(struct peer *peer, struct peer_connection *c,
		    struct cv_ring_reader *ring)
{
	uint64_t *claims = (uint64_t *)(void *)(c->up + CV_CLAIMS_OFFSET);
	struct cv_request head;
	struct cv_peek peek;
	bool moved = false;

	while (cv_ring_peek(ring, &peek) > 0) {
		/* Flags are read before the claim is taken: by a test only. */
		memcpy(&head, peek.record, 20);
		if (!cv_claim_dead(&claims[peek.slot], peek.generation) &&
		    (head.flags & CV_FAIL_FAST) == 0)
			break;
		take(peer, c, &peek);
		cv_ring_skip(ring, peek.length);
		moved = true;
	}
	return moved;
}

bool peer_drain(struct peer *peer, struct peer_connection *c)
{
	struct cv_down_words *words =
		(struct cv_down_words *)(void *)(c->down + CV_HEADER_SIZE);
	bool moved = false;

	if ((peer->hold & PEER_HOLD_PROPOSALS) == 0)
		moved |= drain(peer, c, &c->proposals);
	else
		moved |= reclaim(peer, c, &c->proposals);
	if (!c->open)
		return true;
	cv_ring_release(&c->proposals, &words->proposal_head);
	if ((peer->hold & PEER_HOLD_CONTROL) == 0)
		moved |= drain(peer, c, &c->control);
	if (!c->open)
		return true;
	cv_ring_release(&c->control, &words->control_head);
	return moved;
}

/* May a read run, or has it to wait for proposals or for a revision? */
static bool read_may_run(const struct peer *peer, uint64_t at)
{
	const struct peer_op *op = &peer->ops[at % PEER_OPS], *other;

	if (op->head.type < CV_PING || op->head.type == CV_OUTCOME)
		return true;
	if (op->head.settled > peer->store.revision)
		return false;
	if (op->head.sequence > peer->connections[op->connection].drained)
		return false;
	for (uint64_t i = peer->op_head; i < peer->op_tail; i++) {
		other = &peer->ops[i % PEER_OPS];
		if (!other->applied && other->head.type < CV_PING &&
		    other->connection == op->connection &&
		    other->head.sequence <= op->head.sequence)
			return false;
	}
	return true;
}

bool peer_apply_all(struct peer *peer)
{
	bool moved = false;
	struct peer_op *op;

	if ((peer->hold & PEER_HOLD_APPLY) != 0)
		return false;
	for (uint64_t i = peer->op_head; i < peer->op_tail; i++) {
		op = &peer->ops[i % PEER_OPS];
		if (op->applied || !read_may_run(peer, i))
			continue;
		peer_store_apply(&peer->store, op,
				 (peer->hold & PEER_ECHO) != 0);
		if (peer->status_countdown != 0 &&
		    --peer->status_countdown == 0) {
			op->result.status = peer->status_forced;
			op->result.flags = 0;
		}
		peer->status->leader = peer->store.roster.leader;
		peer->counts.applied++;
		moved = true;
	}
	return moved;
}

static void post(struct peer *peer, struct peer_op *op)
{
	struct peer_connection *c = &peer->connections[op->connection];
	struct cv_slot *slot;

	if (c->open) {
		slot = (struct cv_slot *)(void *)(c->down + CV_SLOTS_OFFSET) +
		       op->head.slot;
		slot->status = op->result.status;
		slot->flags = op->result.flags;
		slot->revision = op->result.revision;
		slot->aux = op->result.aux;
		slot->reply_size = op->reply_used;
		if (op->result.status == 0 && op->reply_used != 0)
			memcpy(c->down + c->geometry.reply_offset +
				       op->head.reply_offset,
			       op->reply, op->reply_used);
		cv_slot_post(slot, op->head.generation);
		c->posted++;
	}
	peer_op_release(op);
	peer->counts.posted++;
}

bool peer_post_all(struct peer *peer)
{
	uint64_t kept = peer->op_head;
	bool moved = false;
	struct peer_op *op;

	if ((peer->hold & PEER_HOLD_POST) != 0)
		return false;
	for (uint64_t i = peer->op_head; i < peer->op_tail; i++) {
		op = &peer->ops[i % PEER_OPS];
		if (op->applied) {
			post(peer, op);
			moved = true;
		} else {
			if (kept != i)
				peer->ops[kept % PEER_OPS] = *op;
			kept++;
		}
	}
	peer->op_tail = kept;
	return moved;
}

void peer_wake_all(struct peer *peer)
{
	struct peer_connection *c;
	struct cv_down_words *down;
	struct cv_up_words *up;
	uint64_t one = 1;
	uint32_t wake;

	for (uint32_t i = 0; i < peer->connection_count; i++) {
		c = &peer->connections[i];
		if (!c->open || c->posted == 0)
			continue;
		down = (struct cv_down_words *)(void *)(c->down +
							CV_HEADER_SIZE);
		up = (struct cv_up_words *)(void *)(c->up + CV_HEADER_SIZE);
		wake = cv_wake_post(&c->waker, down, up, c->posted);
		c->posted = 0;
		if ((wake & CV_WAKE_FUTEX) != 0)
			syscall(SYS_futex, &down->completion, FUTEX_WAKE, 1,
				NULL, NULL, 0);
		if ((wake & CV_WAKE_EVENTFD) != 0)
			(void)!write(c->completion, &one, sizeof(one));
	}
}
