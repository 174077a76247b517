/*
 * The ghost: what the outside may believe. It watches every durable write of
 * the log, and so knows, without waiting for a crash, what is safe: entries
 * are decoded as they become durable, applied to a store of its own (from
 * index 1 on, never from a snapshot) and to the model (tests/sim/model.h).
 *
 * Against it are held: every posted slot (its revision must be durable
 * already: I7, I8), every recovery (I11, I12, I14), every outcome (I16, I17,
 * I18), the order within a session (I19) and every read (I15).
 */
#ifndef TESTS_SIM_GHOST_H
#define TESTS_SIM_GHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/store.h"
#include "wal/wal.h"

/* A new seed: nothing is durable. */
void ghost_clear(void);

/* Settings that bootstrap proposes; the member and its ghost have the same. */
const struct store_settings *ghost_settings(void);

/* A write is durable, and the one who asked is told so, or would have been. */
void ghost_written(int file, uint64_t offset, const void *data, uint32_t size);

/*
 * A write was cut short, by an error or a crash. If its record nevertheless
 * lies there whole, recovery may take it or leave it.
 */
void ghost_cut(int file, uint64_t offset, const void *data, uint32_t size);

/* The log was opened after a crash, or for the first time. */
void ghost_recovered(const struct wal_report *report);

/* The store of the member stands at rest: it must be the ghost's. */
void ghost_compare(const struct store *store);

/* A reply shows `revision`: it must be safe, and found after a power loss. */
void ghost_shown(uint64_t revision);

/* Highest index and revision that are durable; highest that was shown. */
uint64_t ghost_index(void);
uint64_t ghost_revision(void);
uint64_t ghost_shown_revision(void);
uint64_t ghost_compacted(void);

/* How many tombstones of sessions were dropped. */
uint64_t ghost_drops(void);

/* Where the newest durable record lies; false: there is none yet. */
bool ghost_newest_record(int *ret_file, uint64_t *ret_offset,
			 uint32_t *ret_size);

/* ---- entries, as tests/sim/history.c hears of them ---- */

struct op_header;

/* An operation became durable; `result` is what it comes to. */
void history_applied(const struct op_header *op, const uint8_t *key,
		     const uint8_t *value, const struct store_result *result);

#endif
