/*
 * The ghost: what the cluster has agreed on, and what the outside may
 * believe. An entry is taken in when the first member knows that it is
 * committed; at that moment a majority of each configuration in force must
 * have it on disk (I8, tests/sim/medium.h). It is applied to a store of the
 * ghost's own (from index 1 on, never from a snapshot) and to the model
 * (tests/sim/model.h).
 *
 * Against it are held: the state of each member at each index it applies
 * (I5, I13, I14), every posted slot, every outcome (I16, I17, I18), the order
 * within a session (I19) and every read (I15, I20).
 */
#ifndef TESTS_SIM_GHOST_H
#define TESTS_SIM_GHOST_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/store.h"
#include "raft/entry.h"
#include "raft/raft.h"

/* A new seed: nothing is written, nothing is committed. */
void ghost_clear(const struct raft_conf_state *conf);

/* Settings that bootstrap proposes; members and ghost have the same. */
const struct store_settings *ghost_settings(void);

/* ---- entries ---- */

/*
 * An entry became durable somewhere, behind what `before` stands for. Returns
 * what stands for it and all before it: index and term decide it (I3).
 */
uint64_t ghost_fact(const uint8_t *bytes, const struct entry_header *header,
		    uint64_t before);

/* Committed entries, up to ghost_index(). */
uint64_t ghost_index(void);
uint64_t ghost_term_at(uint64_t index);
uint64_t ghost_chain(uint64_t index);
/* The highest index that was known to be committed in terms before `term`. */
uint64_t ghost_index_before(uint64_t term);

/*
 * Entry `index` of that term is committed; indexes come without gap. `by` is
 * the term of the leader that found out.
 */
void ghost_commit(uint64_t index, uint64_t term, uint64_t by);

/* ---- configurations ---- */

/* As the log says it, up to ghost_index(); lent until the next commit. */
const struct raft_conf_state *ghost_conf(void);

/*
 * A majority, of both halves if it is joint, has the entry on disk: of one of
 * the configurations that were in force between these indexes.
 */
bool ghost_is_safe(uint64_t index, uint64_t conf_from, uint64_t conf_to);

/* ---- what members and clients are held against ---- */

/* The store of a member stands between two entries: it must be the ghost's. */
void ghost_compare(const struct store *store);

/* A reply shows `revision`: it must be of something that is committed. */
void ghost_shown(uint64_t revision);

/* Highest revision; highest that was shown; what is compacted. */
uint64_t ghost_revision(void);
uint64_t ghost_shown_revision(void);
uint64_t ghost_compacted(void);

/* How many tombstones of sessions were dropped. */
uint64_t ghost_drops(void);

#endif
