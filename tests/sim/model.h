/*
 * Keys and values as they ought to be: a sorted array of keys, each with all
 * its versions, written for clearness and sharing nothing with the store.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/store.h"

void model_clear(void);
/* Makes a place for a key, without a version; walks need places to stand. */
void model_know(const void *key, uint32_t key_size);

/*
 * Applies an operation and checks that `result` is what it must come to.
 * True when it changed a key.
 */
bool model_apply(const struct op_header *op, const uint8_t *key,
		 const uint8_t *value, const struct store_result *result);

/* The leader compacted by itself, to `revision`. */
void model_compacted_to(uint64_t revision);

struct model_version {
	uint64_t revision; /* mod_revision */
	uint64_t create;
	uint64_t version; /* 0: deleted here */
	uint64_t tag;
	uint32_t value_size;
};

/* A walk over a range as it stood at `revision`. */
struct model_walk {
	uint32_t at;
	uint32_t stop;
	uint64_t revision;
};

void model_walk_begin(struct model_walk *walk, const void *key,
		      uint32_t key_size, const void *end, uint32_t end_size,
		      uint64_t revision);
/* False at the end; key and version are lent until the next apply. */
bool model_walk_next(struct model_walk *walk, const uint8_t **ret_key,
		     uint32_t *ret_key_size,
		     const struct model_version **ret_version);
/* How many keys are left. */
uint64_t model_walk_rest(struct model_walk walk);

/* What the key was at a revision, or NULL. */
const struct model_version *model_get(const void *key, uint32_t key_size,
				      uint64_t revision);

/*
 * The version that was made at `made`, if it was the newest at some revision
 * from `low` to `high`; made 0: no version, at some such revision.
 */
bool model_was(const void *key, uint32_t key_size, uint64_t made, uint64_t low,
	       uint64_t high, const struct model_version **ret_version);

#endif
