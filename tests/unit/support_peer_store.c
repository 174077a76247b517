/*
 * The miniature daemon's store: a log of versions, searched from its end.
 */
#include "tests/unit/support_peer_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *copy_of(const uint8_t *bytes, uint32_t size)
{
	uint8_t *copy = malloc(size + 1u);

	assert(copy != NULL);
	if (size != 0)
		memcpy(copy, bytes, size);
	return copy;
}

static int compare(const uint8_t *a, uint32_t a_size, const uint8_t *b,
		   uint32_t b_size)
{
	int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

	if (order != 0)
		return order;
	return a_size < b_size ? -1 : a_size > b_size;
}

void peer_store_init(struct peer_store *store)
{
	memset(store, 0, sizeof(*store));
	store->revision = 1;
	peer_roster_init(&store->roster);
}

void peer_sessions_forget(struct peer_store *store)
{
	for (uint32_t i = 0; i < store->session_count; i++)
		free(store->sessions[i].results);
	memset(store->sessions, 0, sizeof(store->sessions));
	store->session_count = 0;
}

void peer_store_release(struct peer_store *store)
{
	for (uint64_t i = 0; i < store->version_count; i++) {
		free(store->versions[i].key);
		free(store->versions[i].value);
	}
	free(store->versions);
	peer_sessions_forget(store);
}

struct peer_session *peer_session_find(struct peer_store *store,
				       const uint8_t id[16])
{
	for (uint32_t i = 0; i < store->session_count; i++) {
		if (memcmp(store->sessions[i].id, id, 16) == 0)
			return &store->sessions[i];
	}
	return NULL;
}

struct peer_session *peer_session_add(struct peer_store *store,
				      const uint8_t id[16],
				      const uint8_t secret[16])
{
	struct peer_session *session;

	assert(store->session_count < PEER_SESSIONS);
	session = &store->sessions[store->session_count++];
	memcpy(session->id, id, 16);
	memcpy(session->secret, secret, 16);
	return session;
}

/* ---- versions ---- */

static const struct peer_version *newest(const struct peer_store *store,
					 const uint8_t *key, uint32_t key_size,
					 uint64_t revision)
{
	const struct peer_version *v;

	for (uint64_t i = store->version_count; i-- > 0;) {
		v = &store->versions[i];
		if (v->mod_revision <= revision &&
		    compare(v->key, v->key_size, key, key_size) == 0)
			return v;
	}
	return NULL;
}

static void append(struct peer_store *store, const struct peer_op *op,
		   const uint8_t *key, uint32_t key_size, bool deleted)
{
	const struct peer_version *last =
		newest(store, key, key_size, UINT64_MAX);
	struct peer_version v = {0};
	bool lives = last != NULL && last->version != 0;

	v.key = copy_of(key, key_size);
	v.key_size = key_size;
	v.value = copy_of(op->value, deleted ? 0 : op->head.value_size);
	v.value_size = deleted ? 0 : op->head.value_size;
	v.mod_revision = store->revision;
	v.create_revision = lives ? last->create_revision : store->revision;
	v.version = lives ? last->version + 1 : 1;
	if (deleted)
		v.version = 0;
	store->versions = realloc(store->versions,
				  (store->version_count + 1) * sizeof(v));
	assert(store->versions != NULL);
	store->versions[store->version_count++] = v;
}

/* ---- ranges ---- */

static bool within(const struct peer_op *op, const struct peer_version *v)
{
	const struct cv_request *head = &op->head;

	if (compare(v->key, v->key_size, op->key, head->key_size) < 0)
		return false;
	if (head->value_size == 0)
		return compare(v->key, v->key_size, op->key, head->key_size) ==
		       0;
	if (head->value_size == 1 && op->value[0] == 0)
		return true;
	return compare(v->key, v->key_size, op->value, head->value_size) < 0;
}

static int by_key(const void *a, const void *b)
{
	const struct peer_version *x = a, *y = b;

	return compare(x->key, x->key_size, y->key, y->key_size);
}

/* The living keys of the range at a revision, in order; the array is the
 * caller's, what it points at is not. */
static uint64_t collect(const struct peer_store *store,
			const struct peer_op *op, uint64_t revision,
			struct peer_version **ret_found)
{
	struct peer_version *found =
		calloc(store->version_count + 1, sizeof(*found));
	const struct peer_version *v;
	uint64_t count = 0;

	assert(found != NULL);
	for (uint64_t i = 0; i < store->version_count; i++) {
		v = &store->versions[i];
		if (v->version != 0 && within(op, v) &&
		    newest(store, v->key, v->key_size, revision) == v)
			found[count++] = *v;
	}
	qsort(found, count, sizeof(*found), by_key);
	*ret_found = found;
	return count;
}

/* Writes one record if it fits; returns what it takes. */
static uint32_t write_record(uint8_t *at, uint32_t room,
			     const struct peer_version *v, bool keys_only)
{
	struct cv_record record = {0};
	uint32_t size;

	record.key_size = v->key_size;
	record.value_size = keys_only ? 0 : v->value_size;
	record.create_revision = v->create_revision;
	record.mod_revision = v->mod_revision;
	record.version = v->version;
	size = (uint32_t)sizeof(record) + record.key_size + record.value_size;
	size = (size + 7) & ~7u;
	if (size > room)
		return size;
	memset(at, 0, size);
	memcpy(at, &record, sizeof(record));
	memcpy(at + sizeof(record), v->key, record.key_size);
	if (record.value_size != 0)
		memcpy(at + sizeof(record) + record.key_size, v->value,
		       record.value_size);
	return size;
}

static void apply_range(struct peer_store *store, struct peer_op *op)
{
	const struct cv_request *head = &op->head;
	struct peer_result *result = &op->result;
	struct peer_version *found;
	uint64_t count, at;
	uint32_t size = 0;

	result->revision =
		head->argument != 0 ? head->argument : store->revision;
	if (result->revision > store->revision)
		result->status = CONCLAVE_EFUTURE;
	else if (result->revision < store->compacted)
		result->status = CONCLAVE_ECOMPACTED;
	if (result->status != 0)
		return;
	count = collect(store, op, result->revision, &found);
	result->aux = count;
	op->reply = calloc(1, head->reply_size + 1u);
	assert(op->reply != NULL);
	for (at = 0; at < count && (head->flags & CV_COUNT_ONLY) == 0; at++) {
		if (head->limit != 0 && at == head->limit)
			break;
		size = write_record(op->reply + op->reply_used,
				    head->reply_size - op->reply_used,
				    &found[at],
				    (head->flags & CV_KEYS_ONLY) != 0);
		if (size > head->reply_size - op->reply_used)
			break;
		op->reply_used += size;
	}
	if (at == 0 && count != 0 && (head->flags & CV_COUNT_ONLY) == 0) {
		result->status = CONCLAVE_ETOOSMALL;
		op->reply_used = size;
	} else if (at < count && (head->flags & CV_COUNT_ONLY) == 0) {
		result->flags |= CONCLAVE_RESULT_MORE;
	}
	free(found);
}

/* ---- writes ---- */

static void apply_delete(struct peer_store *store, struct peer_op *op)
{
	struct peer_version *found;
	uint64_t count = collect(store, op, store->revision, &found);

	if (count != 0)
		store->revision++;
	for (uint64_t i = 0; i < count; i++)
		append(store, op, found[i].key, found[i].key_size, true);
	op->result.aux = count;
	free(found);
}

static void apply_write(struct peer_store *store, struct peer_op *op)
{
	const struct peer_version *last =
		newest(store, op->key, op->head.key_size, UINT64_MAX);
	uint64_t found =
		last != NULL && last->version != 0 ? last->mod_revision : 0;

	if (op->head.type == CV_CAS && found != op->head.argument) {
		op->result.status = CONCLAVE_ECOMPARE;
		op->result.aux = found;
		return;
	}
	if (op->head.type == CV_CAS)
		op->result.flags |= CONCLAVE_RESULT_SUCCEEDED;
	store->revision++;
	append(store, op, op->key, op->head.key_size, false);
}

static void remember(struct peer_op *op)
{
	struct peer_session *session = op->session;
	uint64_t wanted = op->head.sequence + 1, count = session->result_count;

	if (wanted > count) {
		wanted = wanted * 2;
		session->results = realloc(session->results,
					   wanted * sizeof(*session->results));
		assert(session->results != NULL);
		memset(session->results + count, 0,
		       (wanted - count) * sizeof(*session->results));
		session->result_count = wanted;
	}
	session->results[op->head.sequence] = op->result;
	session->results[op->head.sequence].known = true;
}

static void apply_outcome(struct peer_op *op)
{
	const struct peer_session *session = op->session;
	uint64_t sequence = op->head.argument;

	if (sequence < session->result_count &&
	    session->results[sequence].known) {
		op->result = session->results[sequence];
		op->result.flags |= CONCLAVE_RESULT_REPEATED;
	} else {
		op->result.status = CONCLAVE_ENOTAPPLIED;
	}
}

/* What is about members: false, it is something else. */
static bool apply_roster(struct peer_store *store, struct peer_op *op)
{
	switch (op->head.type) {
	case CV_MEMBER:
		peer_roster_change(store, op);
		return true;
	case CV_MOVE:
		peer_roster_move(store, op);
		return true;
	case CV_MEMBERS:
		peer_roster_list(store, op);
		return true;
	case CV_STATE:
		peer_roster_state(store, op);
		return true;
	case CV_IMAGE:
		peer_roster_image(store, op);
		return true;
	default:
		return false;
	}
}

void peer_store_apply(struct peer_store *store, struct peer_op *op, bool echo)
{
	bool proposal = op->head.type < CV_PING;

	memset(&op->result, 0, sizeof(op->result));
	if (apply_roster(store, op))
		(void)0;
	else if (op->head.type == CV_OUTCOME)
		apply_outcome(op);
	else if (op->head.type == CV_RANGE && !echo)
		apply_range(store, op);
	else if (op->head.type == CV_DELETE && !echo)
		apply_delete(store, op);
	else if (op->head.type == CV_COMPACT)
		store->compacted = op->head.argument;
	else if (proposal && !echo)
		apply_write(store, op);
	else if (proposal)
		store->revision++;
	if (op->result.revision == 0 && op->result.status == 0)
		op->result.revision = store->revision;
	if (proposal && !echo)
		remember(op);
	op->applied = true;
}

void peer_op_release(struct peer_op *op)
{
	free(op->key);
	free(op->value);
	free(op->reply);
}
