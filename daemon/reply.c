/*
 * Results go to the slots, records of a range to the reply room that the
 * requester reserved; then those who wait are woken.
 *
 * The daemon never waits for, allocates for or trusts a client here: the slot
 * and the room were checked when the request was taken, they lie in memory
 * that only the daemon writes, and a client that is gone is recognised by the
 * generation of its handle. One result is posted for each claim taken.
 */
#include "daemon/node_stages.h"

#include <assert.h>
#include <string.h>

/* The handle has something that its client may be waiting for. */
void reply_touch(struct node *node, struct handle *handle)
{
	if (handle->posted)
		return;
	handle->posted = true;
	node->posted[node->posted_count++] = (uint16_t)(handle - node->handles);
}

void reply_post(struct node *node, struct handle *handle, uint32_t slot,
		const struct cv_slot *result)
{
	struct cv_slot *target = &handle->slots[slot];

	assert(slot < handle->slot_count);
	target->status = result->status;
	target->reply_size = result->reply_size;
	target->revision = result->revision;
	target->aux = result->aux;
	target->flags = result->flags;
	cv_slot_post(target, result->generation);
	handle->posts++;
	reply_touch(node, handle);
	node->work++;
}

void reply_refuse(struct node *node, struct handle *handle, uint32_t slot,
		  uint64_t generation, int32_t status)
{
	struct cv_slot result = {
		.generation = generation,
		.status = status,
		.revision = store_revision(node->store),
	};

	node->status->refused++;
	reply_post(node, handle, slot, &result);
}

/* Settles a flight; those at the front that are settled leave. */
static void land(struct handle *handle, uint64_t flight)
{
	uint32_t mask = CV_SLOTS_MAX - 1;

	handle->flights[flight & mask].sequence = 0;
	while (handle->flight_head != handle->flight_tail &&
	       !handle->flights[handle->flight_head & mask].sequence)
		handle->flight_head++;
}

void reply_request(struct node *node, const struct request *request,
		   const struct store_result *result)
{
	struct handle *handle = &node->handles[request->handle];
	struct cv_slot slot = {
		.generation = request->generation,
		.status = result->status,
		.revision = result->revision,
		.aux = result->aux,
		.flags = result->flags,
	};

	if (handle->generation != request->handle_generation ||
	    handle->state != HANDLE_OPEN)
		return;
	/* What it came to here may not be what it came to. */
	if (hash_is_quarantined(node))
		return;
	land(handle, request->flight);
	if (!handle->begun) {
		struct store_session session;

		store_session(node->store, handle->session, &session);
		handle->begun = session.state == STORE_SESSION_LIVE;
	}
	reply_post(node, handle, request->slot, &slot);
}

/* Every sequence up to `after` is settled here. */
static bool settled(const struct handle *handle, const struct node_read *read)
{
	uint32_t mask = CV_SLOTS_MAX - 1;
	uint64_t i;

	if (!read->after)
		return true;
	if (handle->drained < read->after && handle->empties == read->empties)
		return false;
	for (i = handle->flight_head; i != handle->flight_tail; i++) {
		uint64_t sequence = handle->flights[i & mask].sequence;

		if (sequence && sequence <= read->after)
			return false;
	}
	return true;
}

static bool runnable(const struct node *node, const struct handle *handle,
		     const struct node_read *read)
{
	/* An outcome is asked for again, of another life of this member. */
	if (hash_is_quarantined(node))
		return false;
	if (read->linearizable &&
	    (!read->confirmed || read->index > node->applied))
		return false;
	if (read->min_revision > store_revision(node->store))
		return false;
	return settled(handle, read);
}

static void outcome(struct node *node, struct handle *handle,
		    const struct node_read *read, struct cv_slot *slot)
{
	struct store_result result = {0};
	int found = store_outcome(node->store, handle->session, read->sequence,
				  &result);

	if (found == 1) {
		slot->status = result.status;
		slot->revision = result.revision;
		slot->aux = result.aux;
		slot->flags = result.flags | CONCLAVE_RESULT_REPEATED;
	} else {
		slot->status = found ? found : CONCLAVE_ENOTAPPLIED;
	}
}

/* Runs a slice; true when the read is answered. */
static bool run(struct node *node, struct handle *handle,
		struct node_read *read, uint32_t *budget)
{
	struct cv_slot slot = {
		.generation = read->generation,
		.revision = store_revision(node->store),
	};
	int code;

	if (read->type == CV_OUTCOME) {
		outcome(node, handle, read, &slot);
	} else {
		code = store_read(node->store, &read->read, *budget);
		*budget -= *budget / 4;
		node->work++;
		if (code > 0)
			return false;
		slot.status = code;
		slot.reply_size = code == CONCLAVE_ETOOSMALL ? read->read.needed
							     : read->read.used;
		slot.aux = read->read.count;
		slot.flags = read->read.more ? CONCLAVE_RESULT_MORE : 0;
		if (!code)
			slot.revision = read->read.revision;
	}
	reply_post(node, handle, read->slot, &slot);
	node->status->reads++;
	return true;
}

/* The memory that the read would write may be gone: it is given up. */
static bool is_orphan(const struct node *node, const struct node_read *read)
{
	const struct handle *handle = &node->handles[read->handle];

	return handle->generation != read->handle_generation ||
	       handle->state != HANDLE_OPEN;
}

/*
 * What it waits for will not come any more: the rings are left as they are,
 * and where no one leads, a stop does not wait for an election.
 */
static bool is_too_late(const struct node *node, const struct node_read *read)
{
	return node->draining && node->request_head == node->request_tail &&
	       (!read->linearizable || read->confirmed || !node_leads(node));
}

/* True when the read needs no more attention. */
static bool serve(struct node *node, struct node_read *read, uint32_t *budget)
{
	struct handle *handle = &node->handles[read->handle];

	if (is_orphan(node, read)) {
		store_read_end(node->store, &read->read);
		return true;
	}
	if (hash_is_quarantined(node) && read->type != CV_OUTCOME) {
		store_read_end(node->store, &read->read);
		reply_refuse(node, handle, read->slot, read->generation,
			     CONCLAVE_ECORRUPT);
		return true;
	}
	if (runnable(node, handle, read))
		return *budget && run(node, handle, read, budget);
	if (is_too_late(node, read)) {
		reply_refuse(node, handle, read->slot, read->generation,
			     CONCLAVE_ESTOPPED);
		return true;
	}
	if (read->deadline_ns && node->now_ns > read->deadline_ns) {
		reply_refuse(node, handle, read->slot, read->generation,
			     CONCLAVE_ECANCELLED);
		return true;
	}
	return false;
}

static void free_read(struct node *node, uint16_t id)
{
	const struct node_read *read = &node->reads[id];
	struct handle *handle = &node->handles[read->handle];

	if (handle->generation == read->handle_generation)
		handle->reads--;
	node->read_free[node->read_free_count++] = id;
}

void reply_reads(struct node *node)
{
	uint32_t budget = READ_BUDGET;
	uint32_t i, kept = 0;

	for (i = 0; i < node->read_count; i++) {
		uint16_t id = node->read_list[i];

		if (serve(node, &node->reads[id], &budget))
			free_read(node, id);
		else
			node->read_list[kept++] = id;
	}
	node->read_count = kept;
}

static void publish_heads(struct handle *handle)
{
	struct cv_down_words *words = handle->down_words;

	if (cv_ring_head(&handle->proposals) != handle->proposals_published)
		cv_ring_release(&handle->proposals, &words->proposal_head);
	if (cv_ring_head(&handle->controls) != handle->controls_published)
		cv_ring_release(&handle->controls, &words->control_head);
	handle->proposals_published = cv_ring_head(&handle->proposals);
	handle->controls_published = cv_ring_head(&handle->controls);
}

static void wake(struct node *node, struct handle *handle)
{
	uint32_t wakes = cv_wake_post(&handle->waker, handle->down_words,
				      handle->up_words, handle->posts);

	handle->posts = 0;
	if ((wakes & CV_WAKE_FUTEX) && !handle->wake) {
		handle->wake = true;
		node->event_count++;
		node->status->wakes++;
	}
	if ((wakes & CV_WAKE_EVENTFD) && !handle->ring) {
		handle->ring = true;
		node->event_count++;
	}
}

void reply_flush(struct node *node)
{
	uint32_t i;

	for (i = 0; i < node->posted_count; i++) {
		struct handle *handle = &node->handles[node->posted[i]];

		handle->posted = false;
		if (handle->state != HANDLE_OPEN)
			continue;
		publish_heads(handle);
		wake(node, handle);
	}
	node->posted_count = 0;
}
