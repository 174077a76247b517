/*
 * A log under test, over whichever disk the program is linked with: opens it,
 * appends entries that say who they are, pumps, and replays.
 */
#ifndef TESTS_UNIT_SUPPORT_WAL_H
#define TESTS_UNIT_SUPPORT_WAL_H

#include "raft/entry.h"
#include "wal/wal.h"

#include <assert.h>
#include <check.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rig_limits {
	RIG_SEGMENT = 16 * DISK_BLOCK
};

struct rig {
	struct disk *disk;
	struct wal *wal;
	void *memory;
	struct wal_options options;
	struct wal_report report;
	uint64_t term;
	uint64_t next_index;
	uint64_t number; /* of the last append */
	struct wal_done done; /* the last one that came */
	uint64_t now_ns;
	void (*wait)(struct rig *rig); /* for the disk, NULL: no need */
	void *waiter;
};

static inline void rig_init(struct rig *rig, struct disk *disk)
{
	memset(rig, 0, sizeof(*rig));
	/* Thousands of logs are opened: let them use the same pages. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	rig->disk = disk;
	rig->term = 1;
	rig->next_index = 1;
	memcpy(rig->options.cluster, "a test's cluster", 16);
	rig->options.member = 7;
	rig->options.seed = 42;
	rig->options.segment_size = RIG_SEGMENT;
	rig->options.spares_min = 1;
	rig->options.buffers = 4;
	rig->options.fetches = 2;
	rig->options.snapshot_after = 1 << 20;
	rig->options.create = true;
}

static inline int rig_open(struct rig *rig)
{
	size_t size = wal_memory_size(&rig->options);
	int r;

	assert(!rig->memory);
	size = (size + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
	rig->memory = aligned_alloc(DISK_BLOCK, size);
	assert(rig->memory);
	memset(rig->memory, 0xa5, size); /* nothing may rely on zeros */
	r = wal_open(&rig->wal, rig->disk, &rig->options, rig->memory,
		     &rig->report);
	if (r == 0) {
		rig->next_index = rig->report.last_index + 1;
		if (rig->report.hard.term > rig->term)
			rig->term = rig->report.hard.term;
		return 0;
	}
	free(rig->memory);
	rig->memory = NULL;
	return r;
}

/* Forgets the log without closing it, as a crash does. */
static inline void rig_drop(struct rig *rig)
{
	free(rig->memory);
	rig->memory = NULL;
	rig->wal = NULL;
}

/* So much quiet passes that the end of the log is sealed. */
static inline void rig_seal(struct rig *rig)
{
	rig->now_ns += WAL_SEAL_NS;
	wal_clock(rig->wal, rig->now_ns);
	wal_work(rig->wal);
}

static inline void rig_close(struct rig *rig)
{
	wal_close(rig->wal);
	rig_drop(rig);
}

/* The payload of an entry says which one it is. */
static inline void rig_fill(uint8_t *payload, uint32_t size, uint64_t index,
			    uint64_t term)
{
	uint32_t i;

	for (i = 0; i < size; i++)
		payload[i] = (uint8_t)(index * 31 + term * 7 + i * 13 + 1);
}

/* Builds an entry at the end of the buffer. */
static inline void rig_build(struct rig *rig, struct wal_buffer *buffer,
			     uint32_t size)
{
	uint8_t *entry = buffer->payload + buffer->used;
	struct entry_header header = {0};

	assert(buffer->used + entry_size(size) <= buffer->room);
	header.size = size;
	header.kind = ENTRY_NORMAL;
	header.op_count = 1;
	header.origin = rig->options.member;
	header.origin_term = rig->term;
	header.batch = rig->next_index;
	memcpy(entry, &header, sizeof(header));
	rig_fill(entry + ENTRY_HEADER_SIZE, size, rig->next_index, rig->term);
	entry_seal(entry);
	entry_stamp(entry, rig->next_index, rig->term);
	buffer->used += entry_size(size);
	rig->next_index++;
}

/* Hands one record of `count` entries to the log; what wal_append() says. */
static inline int rig_submit(struct rig *rig, uint32_t count, uint32_t size)
{
	struct raft_hard_state hard = {.term = rig->term, .vote = 7};
	struct wal_buffer *buffer = NULL;
	uint64_t first = 0;
	uint32_t i;
	int r;

	hard.commit = rig->next_index - 1;
	if (count > 0) {
		buffer = wal_buffer_open(rig->wal, count * entry_size(size));
		ck_assert_ptr_nonnull(buffer);
		first = rig->next_index;
	}
	for (i = 0; i < count; i++)
		rig_build(rig, buffer, size);
	r = wal_append(rig->wal, buffer, &hard, first,
		       first ? rig->next_index - 1 : 0, ++rig->number);
	if (buffer)
		wal_buffer_release(rig->wal, buffer);
	return r;
}

/* Reaps and works once; what wal_reap() said last. */
static inline int rig_turn(struct rig *rig)
{
	struct wal_done done;
	int r;

	if (rig->wait)
		rig->wait(rig);
	while ((r = wal_reap(rig->wal, &done)) > 0)
		rig->done = done;
	wal_work(rig->wal);
	return r;
}

/* Turns until nothing is left to do: 0 or WAL_EFAILED. */
static inline int rig_settle(struct rig *rig)
{
	int turns;
	int r;

	for (turns = 0; turns < 100000; turns++) {
		r = rig_turn(rig);
		if (wal_idle(rig->wal))
			return r;
	}
	ck_abort_msg("the log never comes to rest");
	return -ETIME;
}

/* Appends one record and waits until it is durable. */
static inline void rig_append(struct rig *rig, uint32_t count, uint32_t size)
{
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert(wal_can_append(rig->wal));
	ck_assert_int_eq(rig_submit(rig, count, size), 0);
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert_uint_eq(rig->done.number, rig->number);
	if (count > 0) {
		ck_assert_uint_eq(rig->done.index, rig->next_index - 1);
		ck_assert_uint_eq(rig->done.term, rig->term);
	}
}

/* The entry must hold what rig_build() put into it. */
static inline void rig_check(const struct raft_entry *entry, uint64_t index,
			     uint64_t term)
{
	uint8_t *payload = malloc(entry->size + 1);

	assert(payload);
	rig_fill(payload, entry->size, index, term);
	ck_assert_uint_eq(entry->index, index);
	ck_assert_uint_eq(entry->term, term);
	ck_assert_uint_eq(entry->kind, ENTRY_NORMAL);
	ck_assert(memcmp(payload, entry_payload(entry->data), entry->size) ==
		  0);
	free(payload);
}

/*
 * Replays all and checks every byte; `terms[index]` is the term that each
 * entry must have (NULL: 1 for all). Returns the last index.
 */
static inline uint64_t rig_replay(struct rig *rig, const uint64_t *terms)
{
	uint64_t expected = rig->report.snapshot_index + 1;
	struct raft_entry entry;
	int r;

	while ((r = wal_replay_next(rig->wal, &entry)) > 0) {
		rig_check(&entry, expected, terms ? terms[expected] : 1);
		expected++;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(expected - 1, rig->report.last_index);
	return expected - 1;
}

#endif
