/*
 * See tests/sim/model.h.
 */
#include "tests/sim/model.h"
#include "tests/sim/history.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum model_limits {
	MODEL_KEYS_MAX = 4096,
	MODEL_KEY_MAX = OP_KEY_MAX,
};

struct key {
	uint8_t *bytes;
	uint32_t size;
	uint32_t count;
	uint32_t room;
	struct model_version *versions; /* oldest first */
};

static struct key keys[MODEL_KEYS_MAX];
static uint32_t key_count;
static uint64_t model_revision;
static uint64_t model_compacted;

void model_clear(void)
{
	for (uint32_t i = 0; i < key_count; i++) {
		free(keys[i].bytes);
		free(keys[i].versions);
	}
	key_count = 0;
	model_revision = 0;
	model_compacted = 0;
}

static int compare(const void *a, uint32_t a_size, const void *b,
		   uint32_t b_size)
{
	int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
	if (order != 0 || a_size == b_size)
		return order;
	return a_size < b_size ? -1 : 1;
}

/* The first key that is not less. */
static uint32_t seek(const void *key, uint32_t size)
{
	uint32_t low = 0, high = key_count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (compare(keys[middle].bytes, keys[middle].size, key, size) <
		    0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct key *key_of(const void *bytes, uint32_t size)
{
	uint32_t at = seek(bytes, size);
	if (at < key_count &&
	    compare(keys[at].bytes, keys[at].size, bytes, size) == 0)
		return &keys[at];
	assert(key_count < MODEL_KEYS_MAX);
	memmove(&keys[at + 1], &keys[at], (key_count - at) * sizeof(keys[0]));
	key_count++;
	keys[at] = (struct key){.bytes = malloc(size), .size = size};
	assert(keys[at].bytes != NULL);
	memcpy(keys[at].bytes, bytes, size);
	return &keys[at];
}

void model_know(const void *key, uint32_t key_size)
{
	(void)key_of(key, key_size);
}

static const struct model_version *version_at(const struct key *key,
					      uint64_t revision)
{
	for (uint32_t i = key->count; i > 0; i--)
		if (key->versions[i - 1].revision <= revision)
			return &key->versions[i - 1];
	return NULL;
}

static const struct model_version *living(const struct key *key,
					  uint64_t revision)
{
	const struct model_version *found = version_at(key, revision);
	return found != NULL && found->version > 0 ? found : NULL;
}

static void push(struct key *key, const struct model_version *version)
{
	if (key->count == key->room) {
		key->room = key->room == 0 ? 8 : 2 * key->room;
		key->versions =
			realloc(key->versions, key->room * sizeof(*version));
		assert(key->versions != NULL);
	}
	key->versions[key->count++] = *version;
}

/* ---- walks ---- */

void model_walk_begin(struct model_walk *walk, const void *key,
		      uint32_t key_size, const void *end, uint32_t end_size,
		      uint64_t revision)
{
	static const uint8_t all[1] = {0};
	walk->revision = revision;
	walk->at = seek(key, key_size);
	if (end_size == 0) {
		bool found = walk->at < key_count &&
			     compare(keys[walk->at].bytes, keys[walk->at].size,
				     key, key_size) == 0;
		walk->stop = walk->at + found;
	} else if (end_size == 1 && memcmp(end, all, 1) == 0) {
		walk->stop = key_count;
	} else {
		walk->stop = seek(end, end_size);
	}
}

bool model_walk_next(struct model_walk *walk, const uint8_t **ret_key,
		     uint32_t *ret_key_size,
		     const struct model_version **ret_version)
{
	while (walk->at < walk->stop) {
		const struct key *key = &keys[walk->at++];
		const struct model_version *found = living(key, walk->revision);
		if (found == NULL)
			continue;
		*ret_key = key->bytes;
		*ret_key_size = key->size;
		*ret_version = found;
		return true;
	}
	return false;
}

uint64_t model_walk_rest(struct model_walk walk)
{
	uint64_t count = 0;
	while (walk.at < walk.stop)
		count += living(&keys[walk.at++], walk.revision) != NULL;
	return count;
}

const struct model_version *model_get(const void *key, uint32_t key_size,
				      uint64_t revision)
{
	uint32_t at = seek(key, key_size);
	if (at == key_count ||
	    compare(keys[at].bytes, keys[at].size, key, key_size) != 0)
		return NULL;
	return living(&keys[at], revision);
}

bool model_was(const void *key, uint32_t key_size, uint64_t made, uint64_t low,
	       uint64_t high, const struct model_version **ret_version)
{
	*ret_version = model_get(key, key_size, low);
	if ((*ret_version != NULL ? (*ret_version)->revision : 0) == made)
		return true;
	uint32_t at = seek(key, key_size);
	if (at == key_count ||
	    compare(keys[at].bytes, keys[at].size, key, key_size) != 0)
		return false;
	for (uint32_t i = 0; i < keys[at].count; i++) {
		const struct model_version *version = &keys[at].versions[i];
		if (version->revision <= low || version->revision > high)
			continue;
		bool dead = version->version == 0;
		*ret_version = dead ? NULL : version;
		if ((dead ? 0 : version->revision) == made)
			return true;
	}
	return false;
}

/* ---- apply ---- */

static void expect(const struct op_header *op,
		   const struct store_result *result, int32_t status)
{
	sim_check(result->status == status,
		  "request %" PRIu64 " of type %u comes to %d, and should to "
		  "%d",
		  op->sequence, op->type, result->status, status);
}

/* A change takes the next revision, and all else none. */
static void expect_revision(const struct op_header *op,
			    const struct store_result *result, bool changes)
{
	if (changes && model_revision == 0)
		model_revision = result->revision - 1; /* the first of all */
	uint64_t revision = model_revision + (changes ? 1 : 0);
	sim_check(model_revision == 0 || result->revision == revision,
		  "request %" PRIu64 " of type %u stands at %" PRIu64
		  ", and should at %" PRIu64,
		  op->sequence, op->type, result->revision, revision);
	if (changes)
		model_revision = revision;
}

static void write_value(const struct op_header *op, struct key *key,
			const uint8_t *value)
{
	const struct model_version *old = living(key, UINT64_MAX);
	struct model_version next = {
		.revision = model_revision,
		.create = old != NULL ? old->create : model_revision,
		.version = old != NULL ? old->version + 1 : 1,
		.tag = history_tag_of(value, op->value_size),
		.value_size = op->value_size,
	};
	push(key, &next);
}

static bool apply_cas(const struct op_header *op, const uint8_t *key,
		      const uint8_t *value, const struct store_result *result)
{
	struct key *target = key_of(key, op->key_size);
	const struct model_version *old = living(target, UINT64_MAX);
	uint64_t found = old != NULL ? old->revision : 0;
	bool holds = found == op->argument;
	expect(op, result, holds ? 0 : CONCLAVE_ECOMPARE);
	expect_revision(op, result, holds);
	if (holds) {
		SIM_SOMETIMES(COMPARE_SUCCEEDED);
		write_value(op, target, value);
		return true;
	}
	SIM_SOMETIMES(COMPARE_FAILED);
	sim_check(result->aux == found,
		  "a compare tells of %" PRIu64 ", and %" PRIu64 " is there",
		  result->aux, found);
	return false;
}

static bool apply_delete(const struct op_header *op, const uint8_t *key,
			 const uint8_t *end, const struct store_result *result)
{
	struct model_walk walk;
	model_walk_begin(&walk, key, op->key_size, end, op->value_size,
			 UINT64_MAX);
	uint64_t count = model_walk_rest(walk);
	expect(op, result, 0);
	expect_revision(op, result, count > 0);
	sim_check(result->aux == count,
		  "a delete tells of %" PRIu64 " keys, and %" PRIu64
		  " were there",
		  result->aux, count);
	struct model_version gone = {.revision = model_revision};
	for (; walk.at < walk.stop; walk.at++)
		if (living(&keys[walk.at], UINT64_MAX) != NULL)
			push(&keys[walk.at], &gone);
	if (count > 1)
		SIM_SOMETIMES(DELETED_MANY);
	return count > 0;
}

static void apply_compact(const struct op_header *op,
			  const struct store_result *result)
{
	if (model_revision > 0 && op->argument > model_revision) {
		expect(op, result, CONCLAVE_EFUTURE);
		return;
	}
	if (op->argument <= model_compacted)
		return; /* nothing new; a refusal or none */
	expect(op, result, 0);
	SIM_SOMETIMES(COMPACTED);
	model_compacted = op->argument;
}

void model_compacted_to(uint64_t revision)
{
	sim_check(revision >= model_compacted,
		  "compaction goes back from %" PRIu64 " to %" PRIu64,
		  model_compacted, revision);
	sim_check(revision <= model_revision,
		  "compaction to %" PRIu64 " is ahead of %" PRIu64, revision,
		  model_revision);
	model_compacted = revision;
}

/* Refused before the operation itself was looked at. */
static bool refused(const struct store_result *result)
{
	switch (result->status) {
	case CONCLAVE_EEPOCH:
	case CONCLAVE_EWINDOW:
	case CONCLAVE_ESETTLED:
	case CONCLAVE_ESESSION:
	case CONCLAVE_ETOOMANY:
	case CONCLAVE_EQUOTA:
		return true;
	default:
		return false;
	}
}

bool model_apply(const struct op_header *op, const uint8_t *key,
		 const uint8_t *value, const struct store_result *result)
{
	if (refused(result)) {
		sim_trace("model: request % is refused with %", op->sequence,
			  (int64_t)result->status);
		return false;
	}
	switch (op->type) {
	case OP_PUT:
		expect(op, result, 0);
		expect_revision(op, result, true);
		write_value(op, key_of(key, op->key_size), value);
		return true;
	case OP_CAS:
		return apply_cas(op, key, value, result);
	case OP_DELETE:
		return apply_delete(op, key, value, result);
	case OP_COMPACT:
		apply_compact(op, result);
		return false;
	default:
		return false;
	}
}
