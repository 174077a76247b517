/*
 * The ghost durable view: what each member's disk has, without waiting for a
 * crash. Every write is looked at as it becomes durable: records of the log
 * are decoded, `meta` tells of snapshots; so at each moment it is known which
 * entries, which vote and which snapshot would be found again.
 *
 * Against it are held: what a member promises to others (I7), what is
 * committed (I8), what is recovered (I6, I12).
 */
#ifndef TESTS_SIM_MEDIUM_H
#define TESTS_SIM_MEDIUM_H

#include <stdbool.h>
#include <stdint.h>

#include "raft/raft.h"
#include "wal/wal.h"

/* A new, empty disk. */
void medium_clear(uint32_t machine);

/* A write is durable, and the one who asked is told so, or would have been. */
void medium_written(int file, uint64_t offset, const void *data, uint32_t size);

/*
 * A write was cut short, by an error or a crash. If its record nevertheless
 * lies there whole, recovery may take it or leave it.
 */
void medium_cut(int file, uint64_t offset, const void *data, uint32_t size);

/* The log was opened after a crash, or for the first time. */
/*
 * The log of a member is found damaged, and others have what is missing. What
 * its disk had goes on to count: who acknowledged it denies nothing until it
 * has it again, and then it is whole.
 */
void medium_damaged(uint32_t machine, const struct wal_report *report);
void medium_whole(uint32_t machine);
void medium_recovered(uint32_t machine, const struct wal_report *report);

/* The node has loaded its log: it is the one that was on the disk. */
void medium_check_log(uint32_t machine, const struct raft *raft);

/* The disk has this entry and all before it, and will after a power loss. */
bool medium_holds(uint32_t machine, uint64_t index, uint64_t chain);
uint64_t medium_last(uint32_t machine);
uint64_t medium_snapshot(uint32_t machine);
/* 0: not known here. */
uint64_t medium_term_at(uint32_t machine, uint64_t index);
/* What was recovered lies behind what is known to be committed. */
bool medium_has_tail(uint32_t machine, uint64_t committed);

/* It may say that in that term it votes for this one, and for no other. */
bool medium_votes(uint32_t machine, uint64_t term, uint64_t candidate);
/* It may say that its disk had all entries up to `index` in that term. */
bool medium_acknowledges(uint32_t machine, uint64_t term, uint64_t index);
uint64_t medium_term(uint32_t machine);

/* Where the newest durable record lies; false: there is none yet. */
bool medium_newest_record(uint32_t machine, int *ret_file, uint64_t *ret_offset,
			  uint32_t *ret_size);

#endif
