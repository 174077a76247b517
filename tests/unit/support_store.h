/*
 * What the tests of the store share: a store in memory of its own, and
 * entries made from operations as intake would make them.
 */
#ifndef TESTS_UNIT_SUPPORT_STORE_H
#define TESTS_UNIT_SUPPORT_STORE_H

#include <assert.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon/store/store.h"
#include "raft/conf.h"
#include "raft/entry.h"

/* An operation as a test asks for it; 0 means the usual. */
struct ask {
	uint8_t type;
	uint8_t flags;
	uint8_t session; /* 0: the rig's own, which is always settled */
	uint32_t uid;
	uint64_t sequence;
	uint64_t settled_below;
	uint64_t epoch;
	uint64_t argument;
	uint64_t lease;
	uint64_t born;
	const void *key;
	const void *value;
	uint32_t key_size;
	uint32_t value_size;
};

struct rig {
	struct store *store;
	void *memory;
	uint64_t size;
	uint64_t index;
	uint64_t sequence; /* of the rig's own session */
	uint32_t budget; /* of a slice */
	uint32_t slices; /* that the last entry took */
	uint32_t ops;
	uint32_t used; /* of the entry that is being made */
	uint8_t *entry;
	const struct store_result *results;
	uint32_t result_count;
};

static const struct store_settings rig_settings = {
	.quota_bytes = 4 << 20,
	.retention_ms = 300000,
	.session_expiry_ms = 600000,
	.tombstone_ms = 600000,
	.sessions_max = 64,
	.store_address_bytes = 64 << 20,
};

static inline void rig_init(struct rig *rig,
			    const struct store_settings *settings)
{
	memset(rig, 0, sizeof(*rig));
	rig->size = settings->store_address_bytes;
	rig->memory = mmap(NULL, rig->size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(rig->memory != MAP_FAILED);
	ck_assert_int_eq(
		store_init(&rig->store, rig->memory, rig->size, settings), 0);
	rig->entry = calloc(1, ENTRY_SIZE_MAX);
	assert(rig->entry != NULL);
	rig->sequence = 1;
	rig->budget = 1000000;
	rig->used = ENTRY_HEADER_SIZE;
}

static inline void rig_release(struct rig *rig)
{
	munmap(rig->memory, rig->size);
	free(rig->entry);
}

static inline void rig_check(const struct rig *rig)
{
	const char *what = "";
	int error = store_check(rig->store, &what);

	ck_assert_msg(error == 0, "store_check: %s", what);
}

/* Adds an operation to the entry. */
static inline void rig_add(struct rig *rig, const struct ask *ask)
{
	struct op_header head = {
		.type = ask->type,
		.flags = ask->flags,
		.sequence = ask->sequence,
		.settled_below = ask->settled_below,
		.epoch = ask->epoch,
		.argument = ask->argument,
		.lease = ask->lease,
		.key_size = ask->key_size,
		.value_size = ask->value_size,
	};
	struct op_begin begin = {.born = ask->born, .uid = ask->uid};
	uint8_t *at = rig->entry + rig->used;

	if (ask->session == 0) {
		if (rig->sequence == 1)
			head.flags |= OP_BEGIN;
		begin.born = UINT64_MAX;
		head.session[0] = 255;
		head.epoch = 1;
		head.sequence = rig->sequence++;
		head.settled_below =
			head.sequence > 64 ? head.sequence - 64 : 1;
	} else {
		head.session[0] = ask->session;
	}
	memset(begin.secret_hash, ask->session, 16);
	head.size = op_size(head.flags, head.key_size, head.value_size);
	assert(rig->used + head.size <= ENTRY_SIZE_MAX);
	memset(at, 0, head.size);
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	if ((head.flags & OP_BEGIN) != 0) {
		memcpy(at, &begin, sizeof(begin));
		at += sizeof(begin);
	}
	if (ask->key_size > 0)
		memcpy(at, ask->key, ask->key_size);
	if (ask->value_size > 0)
		memcpy(at + ask->key_size, ask->value, ask->value_size);
	rig->used += head.size;
	rig->ops++;
}

/* Applies what lies in rig->entry as one entry. */
static inline void rig_apply_as(struct rig *rig, uint32_t kind, uint32_t ops)
{
	uint32_t size = rig->used - ENTRY_HEADER_SIZE;
	struct entry_header head = {
		.size = size,
		.op_count = ops,
		.kind = (uint8_t)kind,
		.format = ENTRY_FORMAT,
		.index = rig->index + 1,
	};
	struct raft_entry entry = {
		.index = ++rig->index,
		.term = 1,
		.kind = kind,
		.size = size,
		.data = rig->entry,
	};

	memcpy(rig->entry, &head, sizeof(head));
	store_apply_begin(rig->store, &entry);
	for (rig->slices = 1; store_apply(rig->store, rig->budget) != 0;)
		rig->slices++;
	ck_assert_uint_eq(store_applied(rig->store), rig->index);
	rig->results = store_results(rig->store, &rig->result_count);
	rig->used = ENTRY_HEADER_SIZE;
	rig->ops = 0;
}

static inline void rig_apply(struct rig *rig)
{
	rig_apply_as(rig, ENTRY_NORMAL, rig->ops);
}

/* One operation, one entry. */
static inline struct store_result rig_do(struct rig *rig, struct ask ask)
{
	rig_add(rig, &ask);
	rig_apply(rig);
	ck_assert_uint_eq(rig->result_count, 1);
	return rig->results[0];
}

static inline struct store_result rig_put(struct rig *rig, const char *key,
					  const char *value)
{
	return rig_do(rig, (struct ask){
				   .type = OP_PUT,
				   .key = key,
				   .key_size = (uint32_t)strlen(key),
				   .value = value,
				   .value_size = (uint32_t)strlen(value),
			   });
}

static inline struct store_result rig_delete(struct rig *rig, const char *key)
{
	return rig_do(rig, (struct ask){.type = OP_DELETE,
					.key = key,
					.key_size = (uint32_t)strlen(key)});
}

static inline struct store_result rig_compact(struct rig *rig,
					      uint64_t revision)
{
	return rig_do(rig,
		      (struct ask){.type = OP_COMPACT, .argument = revision});
}

/* Physical compaction; whether there is more to do. */
static inline bool rig_sweep(struct rig *rig, uint32_t budget)
{
	return store_compact(rig->store, budget) == 1;
}

/* An entry of one of the session kinds. */
static inline struct store_result rig_session(struct rig *rig, uint32_t kind,
					      const struct op_session *session)
{
	memcpy(rig->entry + ENTRY_HEADER_SIZE, session, sizeof(*session));
	rig->used = ENTRY_HEADER_SIZE + sizeof(*session);
	rig_apply_as(rig, kind, 0);
	ck_assert_uint_eq(rig->result_count, 1);
	return rig->results[0];
}

/* The whole image, in a buffer that the caller frees. */
static inline uint8_t *rig_image(struct rig *rig, uint32_t budget,
				 uint32_t *ret_size)
{
	uint32_t room = 32 << 20, used;
	uint8_t *image = malloc(room);
	int more;

	assert(image != NULL);
	*ret_size = 0;
	store_image_begin(rig->store);
	do {
		more = store_image_next(rig->store, image + *ret_size,
					STORE_PIECE_MIN, budget, &used);
		*ret_size += used;
		assert(room - *ret_size >= STORE_PIECE_MIN);
	} while (more == 1);
	ck_assert_int_eq(more, 0);
	store_image_end(rig->store);
	return image;
}

/* Loads an image into a new rig, in pieces of `step` bytes. */
static inline int rig_load(struct rig *rig, const uint8_t *image, uint32_t size,
			   uint32_t step)
{
	struct store_settings settings = rig_settings;
	uint32_t at, piece;
	int error = 0;

	error = store_image_settings(image, size, &settings);
	rig_init(rig, error == 0 ? &settings : &rig_settings);
	error = 0; /* the load will say it */
	for (at = 0; at < size && error == 0; at += piece) {
		piece = size - at < step ? size - at : step;
		error = store_load(rig->store, image + at, piece);
	}
	if (error == 0)
		error = store_load_end(rig->store);
	rig->index = store_applied(rig->store);
	return error;
}

static inline void rig_expect_same(const struct rig *a, const struct rig *b)
{
	struct store_hash hash_a, hash_b;

	store_hash(a->store, &hash_a);
	store_hash(b->store, &hash_b);
	ck_assert_uint_eq(hash_a.low, hash_b.low);
	ck_assert_uint_eq(hash_a.high, hash_b.high);
	ck_assert_uint_eq(store_revision(a->store), store_revision(b->store));
	ck_assert_uint_eq(store_applied(a->store), store_applied(b->store));
}

/* ---- what tests of operations and of reads say often ---- */

static uint8_t rig_out[1 << 20];

static inline void rig_expect(struct store_result is, int32_t status,
			      uint64_t revision, uint64_t aux)
{
	ck_assert_int_eq(is.status, status);
	ck_assert_uint_eq(is.revision, revision);
	ck_assert_uint_eq(is.aux, aux);
}

static inline struct store_read rig_read_of(const char *key, const char *end,
					    uint64_t revision)
{
	return (struct store_read){
		.key = (const uint8_t *)key,
		.key_size = (uint32_t)strlen(key),
		.end = (const uint8_t *)end,
		.end_size = end == NULL	     ? 0
			    : end[0] == '\0' ? 1
					     : (uint32_t)strlen(end),
		.revision = revision,
		.out = rig_out,
		.room = sizeof(rig_out),
	};
}

/* Reads in one go; the status. */
static inline int rig_read(struct rig *rig, struct store_read *read)
{
	int status = store_read(rig->store, read, 1000000);

	ck_assert_int_ne(status, 1);
	return status;
}

/* The number of keys from `key` to `end` at a revision. */
static inline uint64_t rig_count(struct rig *rig, const char *key,
				 const char *end, uint64_t revision)
{
	struct store_read read = rig_read_of(key, end, revision);

	read.flags = STORE_READ_COUNT;
	ck_assert_int_eq(rig_read(rig, &read), 0);
	return read.count;
}

/* The one record of a key; its value must be `value`. */
static inline struct cv_record rig_get(struct rig *rig, const char *key,
				       uint64_t revision, const char *value)
{
	struct store_read read = rig_read_of(key, NULL, revision);
	struct cv_record record;

	ck_assert_int_eq(rig_read(rig, &read), 0);
	ck_assert_uint_eq(read.count, 1);
	memcpy(&record, rig_out, sizeof(record));
	ck_assert_uint_eq(record.key_size, strlen(key));
	ck_assert_uint_eq(record.value_size, strlen(value));
	ck_assert_mem_eq(rig_out + sizeof(record), key, record.key_size);
	ck_assert_mem_eq(rig_out + sizeof(record) + record.key_size, value,
			 record.value_size);
	return record;
}

static inline struct ask ask_cas(const char *key, const char *value,
				 uint64_t revision)
{
	return (struct ask){.type = OP_CAS,
			    .argument = revision,
			    .key = key,
			    .key_size = (uint32_t)strlen(key),
			    .value = value,
			    .value_size = (uint32_t)strlen(value)};
}

static inline struct ask ask_delete_range(const char *key, const char *end)
{
	return (struct ask){.type = OP_DELETE,
			    .key = key,
			    .key_size = (uint32_t)strlen(key),
			    .value = end,
			    .value_size =
				    end[0] == '\0' ? 1 : (uint32_t)strlen(end)};
}

static inline struct ask ask_setting(const char *name, const char *value)
{
	return (struct ask){.type = OP_SETTING,
			    .key = name,
			    .key_size = (uint32_t)strlen(name),
			    .value = value,
			    .value_size = (uint32_t)strlen(value)};
}

/* A change of members, of the leader's own; `addresses` as op.h says. */
static inline struct store_result
rig_change_members(struct rig *rig, const struct raft_conf_change *list,
		   uint8_t count, const char *addresses, uint32_t size)
{
	struct raft_conf_changes changes = {.count = count};
	uint32_t at = (uint32_t)raft_conf_size(count), results;
	struct op_header op = {
		.size = op_size(0, size, 0),
		.type = OP_MEMBER,
		.key_size = size,
	};
	uint8_t *payload = rig->entry + ENTRY_HEADER_SIZE;

	memcpy(changes.changes, list, count * sizeof(*list));
	raft_conf_encode(&changes, payload);
	memset(payload + at, 0, op.size);
	memcpy(payload + at, &op, sizeof(op));
	memcpy(payload + at + sizeof(op), addresses, size);
	rig->used = ENTRY_HEADER_SIZE + at + op.size;
	rig_apply_as(rig, ENTRY_CONF_V2, 0);
	return store_results(rig->store, &results)[0];
}

static inline int rig_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
