/*
 * What the clients asked and were told, against what is durable.
 *
 * Every value carries a tag, a number that is given out once; so a write can
 * be recognised wherever it turns up, under whatever sequence it travelled.
 * Operations without a value are known by (session, sequence).
 *
 * The model of keys and values (tests/sim/model.h) is fed in the order of
 * revisions, and says what each operation must come to and what each read
 * must show: this is the witness check of linearizability, with the revisions
 * as the witness and ghost_shown_revision() as real time.
 */
#ifndef TESTS_SIM_HISTORY_H
#define TESTS_SIM_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

enum history_limits {
	HISTORY_VALUE_MIN = 16, /* a value's mark and tag */
};

void history_clear(void);

/* ---- tags ---- */

uint64_t history_tag(void);
/* Fills a value of `size` bytes, at least HISTORY_VALUE_MIN. */
void history_fill(uint8_t *value, uint32_t size, uint64_t tag);
/* The tag in a value, which must be whole. */
uint64_t history_tag_of(const uint8_t *value, uint32_t size);

/* The caller was told that the write took effect at `revision`. */
void history_tag_applied(uint64_t tag, uint64_t revision);
/* The caller was told that it did not, and never will. */
void history_tag_never(uint64_t tag, int status);

/* ---- requests, by (session, sequence) ---- */

struct history_outcome {
	int32_t status;
	uint32_t flags;
	uint64_t revision;
	uint64_t aux;
	uint64_t shown_before; /* ghost_shown_revision() when it was asked */
};

/*
 * The caller was told that its session is over; it must have begun, unless
 * some tombstone was dropped, which fences sessions that did not begin yet.
 */
void history_session_over(const uint8_t session[16]);

/* The caller was told the result of applying it. */
void history_settled(const uint8_t session[16], uint64_t sequence,
		     const struct history_outcome *outcome);
/* The caller was told that it was never applied, and never will be. */
void history_never(const uint8_t session[16], uint64_t sequence, int status);

/* ---- what is committed ---- */

struct op_header;
struct store_result;

/* An operation is committed; `result` is what it comes to. */
void history_applied(const struct op_header *op, const uint8_t *key,
		     const uint8_t *value, const struct store_result *result);

#endif
