/*
 * The state hash: the sum, modulo 2^128, of the XXH3-128 of every item of the
 * state (a live key, a session, a recorded result), so that a change costs
 * one subtraction and one addition and the order of changes does not matter.
 * What exists once (revisions, settings, totals) is one more item, added when
 * somebody asks.
 */
#ifndef DAEMON_STORE_HASH_H
#define DAEMON_STORE_HASH_H

#include "daemon/store/store.h"

/* XXH3-128 of `size` bytes. */
struct store_hash hash_bytes(const void *bytes, size_t size);

/* The same, continued from what came before. */
struct store_hash hash_more(struct store_hash before, const void *bytes,
			    size_t size);

static inline void hash_add(struct store_hash *sum, struct store_hash item)
{
	sum->low += item.low;
	sum->high += item.high + (sum->low < item.low);
}

static inline void hash_subtract(struct store_hash *sum, struct store_hash item)
{
	sum->high -= item.high + (sum->low < item.low);
	sum->low -= item.low;
}

static inline bool hash_equal(struct store_hash a, struct store_hash b)
{
	return a.low == b.low && a.high == b.high;
}

#endif
