/*
 * Copies of a batch, and when a refusal is definite (DESIGN §4).
 *
 * A batch may be handed on more than once: to the member that leads now, and
 * again to the next, or over another connection. Each copy has a number, in
 * the header of its entry; the newest has the highest. A copy is only ever
 * appended in the term in which it was handed on. Copies of one term go to
 * one member in order, and are appended in that order.
 *
 * So when the newest copy is seen, applied or refused, of each older one is
 * known where it lies if it lies anywhere: those of its own term before it,
 * in the log of the same leader; those of earlier terms before the first
 * entry of its term or a later one that is applied here. When all that is
 * applied, and the batch is not done, no copy is left that could commit.
 *
 * Nearly all that apply refuses stands for ever, or is recorded. That there
 * are too many sessions does not: it is told of the newest copy alone.
 */
#include "daemon/node_stages.h"
#include "raft/conf.h"

#include <assert.h>
#include <string.h>

static void forget_refusal(struct node *node, struct batch *batch)
{
	node->refusals -= batch->refused != 0;
	batch->refused = 0;
}

void doubt_forget(struct node *node, struct batch *batch)
{
	forget_refusal(node, batch);
}

void doubt_hand_on(struct node *node, struct batch *batch, uint64_t term)
{
	assert(!batch->done && term >= batch->copy_term);
	forget_refusal(node, batch);
	batch->copies++;
	batch->copy_term = term;
	node->status->batches++;
	node->status->proposals += batch->count;
}

void doubt_number(uint8_t *entry, uint32_t copy)
{
	memcpy(entry + offsetof(struct entry_header, copy), &copy,
	       sizeof(copy));
}

/* ---- refusals ---- */

/* The operation of a change of membership that a client asked for. */
static const uint8_t *find_op(const struct batch *batch)
{
	struct raft_conf_changes changes;
	const uint8_t *payload = entry_payload(batch->entry);

	if (!batch->count ||
	    raft_conf_decode(batch->kind, payload, batch->size, &changes))
		return NULL;
	return payload + raft_conf_size(changes.count);
}

/* It would have begun its session, which is not known. */
static bool never_began(const struct node *node, const struct op_header *op,
			const uint8_t *behind)
{
	struct store_session session;
	struct op_begin begin;

	if (!(op->flags & OP_BEGIN))
		return false;
	memcpy(&begin, behind, sizeof(begin));
	store_session(node->store, op->session, &session);
	return session.state == STORE_SESSION_UNKNOWN &&
	       store_never_began(node->store, begin.born);
}

/*
 * What an image brought was not seen here entry by entry: the store knows
 * what became of it, or that nobody can tell any more.
 */
static bool is_settled(struct node *node, struct batch *batch)
{
	const uint8_t *at = batch->skipped ? find_op(batch) : NULL;
	struct store_result result = {0};
	struct op_header op;
	int code;

	if (!at)
		return false;
	memcpy(&op, at, sizeof(op));
	code = store_outcome(node->store, op.session, op.sequence, &result);
	if (!code || (code < 0 && never_began(node, &op, at + sizeof(op))))
		return false;
	if (code < 0)
		result.status = code;
	reply_request(node, node_request(node, batch->request), &result);
	batch_done(node, batch);
	return true;
}

static bool is_definite(const struct node *node, const struct batch *batch)
{
	return node->applied >= batch->refused_index &&
	       node->applied_term >= batch->refused_term;
}

static void tell_refusal(struct node *node, struct batch *batch)
{
	if (is_definite(node, batch) && !is_settled(node, batch))
		batch_refuse(node, batch, batch->refused);
}

void doubt_refuse(struct node *node, struct batch *batch, int32_t status,
		  uint64_t index, uint64_t term)
{
	assert(status && !batch->done);
	if (!batch->copies) {
		batch_refuse(node, batch, status);
		return;
	}
	node->refusals += !batch->refused;
	batch->refused = status;
	batch->refused_index = index;
	batch->refused_term = term;
	tell_refusal(node, batch);
}

void doubt_turn(struct node *node)
{
	uint64_t position;

	for (position = node->batch_head;
	     node->refusals && position != node->batch_tail; position++) {
		struct batch *batch = node_batch(node, position);

		if (!batch->done && batch->refused)
			tell_refusal(node, batch);
	}
}

/* ---- what is applied ---- */

bool doubt_stands(const struct node *node, const struct batch *batch,
		  uint32_t copy)
{
	uint32_t i, count;
	const struct store_result *results = store_results(node->store, &count);

	for (i = 0; i < count; i++)
		if (results[i].status == CONCLAVE_ETOOMANY)
			return copy == batch->copies;
	return true;
}

void doubt_skip(struct node *node)
{
	uint64_t position;

	for (position = node->batch_head; position != node->batch_tail;
	     position++) {
		struct batch *batch = node_batch(node, position);

		batch->skipped |= !batch->done && batch->copies;
	}
}
