/*
 * A damaged record that is put together anew, over the disk in memory: it is
 * what it was, or nothing is written; and a crash never makes things worse.
 */
#include "tests/unit/support_memwal.h"
#include "wal/record.h"

#include <stdlib.h>

enum {
	RECORDS = 12,
	EACH = 2, /* entries in a record, which has two blocks */
	LAST = RECORDS * EACH,
	IN_FIRST = 7, /* records with entries in the first segment */
	SIZE = 2 * DISK_BLOCK,
	SECTOR = 512,
	HEAD = 20, /* nobody can say what the record held */
	PAYLOAD = 900,
	SECOND = 5000, /* block */
};

static const uint32_t places[] = {HEAD, PAYLOAD, SECOND};

/* Entries 1..24 of term 1, two a record, in records 2..13. */
static void begin(struct rig *rig)
{
	int i;

	rig_init(rig, mem_disk_new());
	rig->options.tolerate_damage = true;
	ck_assert_int_eq(rig_open(rig), 0);
	for (i = 0; i < RECORDS; i++)
		rig_append(rig, EACH, 3000);
}

/* The record with entry `index`: two blocks, seven to a segment. */
static uint8_t *record_of(struct disk *disk, uint64_t index)
{
	uint64_t number = (index - 1) / EACH;
	bool first = number < IN_FIRST;

	return mem_disk_find(disk,
			     first ? "segment-00000001" : "segment-00000002")
		       ->data +
	       ((first ? number : number - IN_FIRST) * 2 + (first ? 2 : 1)) *
		       DISK_BLOCK;
}

static bool is_damaged(struct rig *rig)
{
	struct wal_damage damage;

	return wal_damaged(rig->wal, &damage);
}

/* What is to be written at `record`, which is whole. */
static uint32_t entries_of(const uint8_t *record, const uint8_t **ret_entries)
{
	struct record_header header;

	ck_assert_int_eq(record_check_header(record, &header), 0);
	*ret_entries = record + header.payload;
	return header.payload_size;
}

static int fill(struct rig *rig, const uint8_t *record)
{
	const uint8_t *entries;
	uint32_t size = entries_of(record, &entries);

	return wal_fill(rig->wal, entries, size);
}

static void expect_hole(struct rig *rig, uint64_t first, uint64_t last,
			uint64_t before_term, uint64_t proof_index)
{
	struct wal_hole hole;

	ck_assert(wal_hole(rig->wal, &hole));
	ck_assert_uint_eq(hole.first, first);
	ck_assert_uint_eq(hole.last, last);
	ck_assert_uint_eq(hole.before_term, before_term);
	ck_assert_uint_eq(hole.proof_index, proof_index);
	ck_assert_uint_eq(hole.proof_term > 0, proof_index > 0);
}

static void expect_no_hole(struct rig *rig)
{
	struct wal_hole hole;

	ck_assert(is_damaged(rig));
	ck_assert(!wal_hole(rig->wal, &hole));
}

/* The log is whole, also for who tolerates nothing, and goes on. */
static void expect_whole(struct rig *rig)
{
	ck_assert(wal_filled(rig->wal));
	rig->options.tolerate_damage = false;
	ck_assert_int_eq(memwal_restart(rig, true), 0);
	ck_assert(!rig->report.damaged && !is_damaged(rig));
	ck_assert_uint_eq(rig_replay(rig, NULL), LAST);
	rig_append(rig, 1, 100);
	ck_assert_int_eq(memwal_restart(rig, true), 0);
	ck_assert_uint_eq(rig_replay(rig, NULL), LAST + 1);
}

START_TEST(a_record_is_filled_wherever_it_is_damaged)
{
	uint32_t at = places[_i % 3];
	uint64_t index = (uint64_t)(_i / 3) * EACH + 1;
	bool headed = at != HEAD;
	struct disk *before;
	struct rig rig;

	begin(&rig);
	before = mem_disk_copy(rig.disk);
	record_of(rig.disk, index)[at] ^= 0x10;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig.report.last_index, index - 1);
	/* At the end of a segment nobody knows how long it was. */
	if (!headed && (index + 1 == IN_FIRST * EACH || index + 1 == LAST)) {
		expect_no_hole(&rig);
	} else {
		expect_hole(&rig, index, index + 1, index > 1,
			    headed ? 0 : index + EACH);
		ck_assert_int_eq(fill(&rig, record_of(before, index)), 0);
		ck_assert(!wal_filled(rig.wal));
		ck_assert_int_eq(rig_settle(&rig), 0);
		if (headed)
			ck_assert_mem_eq(record_of(rig.disk, index),
					 record_of(before, index), SIZE);
		expect_no_hole(&rig);
		expect_whole(&rig);
	}
	mem_disk_free(before);
	memwal_end(&rig);
}
END_TEST

START_TEST(entries_may_come_one_by_one)
{
	const uint8_t *entries;
	struct disk *before;
	struct rig rig;
	uint32_t size;

	begin(&rig);
	before = mem_disk_copy(rig.disk);
	record_of(rig.disk, 5)[HEAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	size = entries_of(record_of(before, 5), &entries);
	ck_assert_int_eq(wal_fill(rig.wal, entries, size / 2), 0);
	expect_hole(&rig, 6, 6, 1, 7);
	/* The first again: all is wanted anew. */
	ck_assert_int_eq(wal_fill(rig.wal, entries, size / 2), -EBADMSG);
	expect_hole(&rig, 5, 6, 1, 7);
	ck_assert_int_eq(wal_fill(rig.wal, entries, size / 2), 0);
	ck_assert_int_eq(wal_fill(rig.wal, entries + size / 2, size / 2), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	expect_whole(&rig);
	mem_disk_free(before);
	memwal_end(&rig);
}
END_TEST

/* Entries `first`, ... of `term`, as another leader may have made them. */
static uint32_t make(struct rig *rig, uint64_t first, uint32_t count,
		     uint64_t term, uint32_t size, uint8_t *bytes)
{
	struct wal_buffer buffer = {.payload = bytes, .room = 1 << 16};
	uint64_t index = rig->next_index;
	uint64_t old = rig->term;

	rig->next_index = first;
	rig->term = term;
	while (count-- > 0)
		rig_build(rig, &buffer, size);
	rig->next_index = index;
	rig->term = old;
	return buffer.used;
}

static void expect_same(struct disk *now, const struct disk *before)
{
	int i;

	for (i = 0; i < MEM_FILES_MAX; i++) {
		const struct mem_file *file = &before->files[i];

		if (file->data && strcmp(file->name, "meta") != 0)
			ck_assert_mem_eq(now->files[i].data, file->data,
					 file->size);
	}
}

START_TEST(what_is_not_what_was_there_is_not_written)
{
	static uint8_t bytes[1 << 16];
	struct disk *whole, *before;
	struct rig rig;
	uint32_t used;

	begin(&rig);
	whole = mem_disk_copy(rig.disk);
	record_of(rig.disk, 5)[places[_i]] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	before = mem_disk_copy(rig.disk);
	/* Other entries, too many, a term that nobody had, sizes. */
	used = make(&rig, 6, 2, 1, 3000, bytes);
	ck_assert_int_eq(wal_fill(rig.wal, bytes, used), -EBADMSG);
	used = make(&rig, 5, 3, 1, 3000, bytes);
	ck_assert_int_eq(wal_fill(rig.wal, bytes, used), -EBADMSG);
	used = make(&rig, 5, 2, 2, 3000, bytes);
	ck_assert_int_eq(wal_fill(rig.wal, bytes, used), -EBADMSG);
	used = make(&rig, 5, 2, 0, 3000, bytes);
	ck_assert_int_eq(wal_fill(rig.wal, bytes, used), -EBADMSG);
	used = make(&rig, 5, 2, 1, 100, bytes);
	ck_assert_int_eq(wal_fill(rig.wal, bytes, used), -EBADMSG);
	used = make(&rig, 5, 2, 1, 5000, bytes);
	ck_assert_int_eq(wal_fill(rig.wal, bytes, used), -EBADMSG);
	/* A bit is wrong; or the end is cut off. */
	used = make(&rig, 5, 2, 1, 3000, bytes);
	bytes[used / 2 + 700] ^= 4;
	ck_assert_int_eq(wal_fill(rig.wal, bytes, used), -EBADMSG);
	bytes[used / 2 + 700] ^= 4;
	ck_assert_int_eq(wal_fill(rig.wal, bytes, used - 8), -EBADMSG);
	if (places[_i] != HEAD) {
		/* As long as they were: only the checksums tell them apart. */
		used = make(&rig, 5, 2, 1, 2999, bytes);
		ck_assert_int_eq(wal_fill(rig.wal, bytes, used), -EBADMSG);
	}
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!wal_filled(rig.wal));
	expect_same(rig.disk, before);
	ck_assert_int_eq(fill(&rig, record_of(whole, 5)), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	expect_whole(&rig);
	mem_disk_free(before);
	mem_disk_free(whole);
	memwal_end(&rig);
}
END_TEST

/* Which sectors of the record have been written, of sixteen. */
static uint32_t draw_landed(uint32_t nth)
{
	if (nth <= SIZE / SECTOR)
		return (1u << nth) - 1;
	return nth * 2654435761u >> 16;
}

START_TEST(a_crash_in_the_middle_leaves_damage_that_can_be_filled)
{
	struct disk *whole, *before, *after;
	uint32_t nth, at;
	struct rig rig;

	begin(&rig);
	whole = mem_disk_copy(rig.disk);
	record_of(rig.disk, 5)[places[_i]] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	before = mem_disk_copy(rig.disk);
	ck_assert_int_eq(fill(&rig, record_of(whole, 5)), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	after = mem_disk_copy(rig.disk);
	for (nth = 0; nth < 60; nth++) {
		memwal_end(&rig);
		rig.disk = mem_disk_copy(before);
		for (at = 0; at < SIZE; at += SECTOR)
			if (draw_landed(nth) >> (at / SECTOR) & 1)
				memcpy(record_of(rig.disk, 5) + at,
				       record_of(after, 5) + at, SECTOR);
		ck_assert_int_eq(memwal_restart(&rig, nth & 1), 0);
		ck_assert(!rig.report.torn);
		if (!rig.report.damaged) {
			ck_assert_uint_eq(rig_replay(&rig, NULL), LAST);
			continue;
		}
		ck_assert_uint_eq(rig.report.last_index, 4);
		ck_assert_int_eq(fill(&rig, record_of(whole, 5)), 0);
		ck_assert_int_eq(rig_settle(&rig), 0);
		ck_assert(wal_filled(rig.wal));
		ck_assert_int_eq(memwal_restart(&rig, nth & 1), 0);
		ck_assert(!rig.report.damaged);
		ck_assert_uint_eq(rig_replay(&rig, NULL), LAST);
	}
	mem_disk_free(after);
	mem_disk_free(before);
	mem_disk_free(whole);
	memwal_end(&rig);
}
END_TEST

/* The write fails or is short; or what is read back is something else. */
START_TEST(a_disk_that_fails_leaves_what_there_was)
{
	static const uint32_t kinds[] = {1 << DISK_WRITE_DURABLE,
					 1 << DISK_WRITE_DURABLE,
					 1 << DISK_READ};
	static const int32_t results[] = {-EIO, DISK_BLOCK, -EIO};
	struct disk *whole;
	struct rig rig;

	begin(&rig);
	whole = mem_disk_copy(rig.disk);
	record_of(rig.disk, 5)[HEAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	rig.disk->fault_kinds = kinds[_i];
	rig.disk->fault_in = 0;
	rig.disk->fault_result = results[_i];
	ck_assert_int_eq(fill(&rig, record_of(whole, 5)), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_uint_eq(rig.disk->faults, 1);
	ck_assert(!wal_filled(rig.wal));
	expect_no_hole(&rig);
	/* A leader still can send all that is missing. */
	rig.disk->fault_kinds = 0;
	wal_repair(rig.wal);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	while (rig.next_index <= LAST)
		rig_append(&rig, 1, 3000);
	ck_assert(!is_damaged(&rig));
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), LAST);
	mem_disk_free(whole);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_disk_that_lies_is_not_believed)
{
	struct disk *whole;
	struct rig rig;

	begin(&rig);
	whole = mem_disk_copy(rig.disk);
	record_of(rig.disk, 5)[HEAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	rig.disk->held_kinds = 1 << DISK_READ;
	ck_assert_int_eq(fill(&rig, record_of(whole, 5)), 0);
	ck_assert_int_eq(rig_turn(&rig), 0);
	ck_assert_mem_eq(record_of(rig.disk, 5) + 1024,
			 record_of(whole, 5) + 1024, SIZE - 1024);
	record_of(rig.disk, 5)[places[_i]] ^= 1;
	rig.disk->held_kinds = 0;
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!wal_filled(rig.wal));
	expect_no_hole(&rig);
	/* The next start finds the damage, and may try again. */
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_int_eq(fill(&rig, record_of(whole, 5)), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	expect_whole(&rig);
	mem_disk_free(whole);
	memwal_end(&rig);
}
END_TEST

START_TEST(while_it_is_written_nothing_is_given_up)
{
	struct disk *whole;
	struct rig rig;

	begin(&rig);
	whole = mem_disk_copy(rig.disk);
	record_of(rig.disk, 5)[HEAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_int_eq(fill(&rig, record_of(whole, 5)), 0);
	wal_repair(rig.wal);
	ck_assert_int_eq(rig_settle(&rig), 0);
	wal_repair(rig.wal);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!wal_can_append(rig.wal));
	expect_whole(&rig);
	mem_disk_free(whole);
	memwal_end(&rig);
}
END_TEST

START_TEST(what_was_given_up_is_not_filled)
{
	struct rig rig;

	begin(&rig);
	record_of(rig.disk, 5)[HEAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_hole(&rig, 5, 6, 1, 7);
	wal_repair(rig.wal);
	expect_no_hole(&rig);
	ck_assert_int_eq(rig_settle(&rig), 0);
	expect_no_hole(&rig);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_no_hole(&rig);
	memwal_end(&rig);
}
END_TEST

START_TEST(one_damaged_record_is_filled_after_the_other)
{
	struct disk *whole;
	struct rig rig;

	begin(&rig);
	whole = mem_disk_copy(rig.disk);
	record_of(rig.disk, 5)[HEAD] ^= 1;
	record_of(rig.disk, 9)[HEAD] ^= 1;
	record_of(rig.disk, 17)[SECOND] ^= 1;
	record_of(rig.disk, 19)[PAYLOAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_hole(&rig, 5, 6, 1, 7);
	ck_assert_int_eq(fill(&rig, record_of(whole, 5)), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect_hole(&rig, 9, 10, 1, 11);
	ck_assert_int_eq(fill(&rig, record_of(whole, 9)), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect_hole(&rig, 17, 18, 1, 0);
	ck_assert_int_eq(fill(&rig, record_of(whole, 17)), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect_hole(&rig, 19, 20, 1, 0);
	ck_assert_int_eq(fill(&rig, record_of(whole, 19)), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	expect_whole(&rig);
	mem_disk_free(whole);
	memwal_end(&rig);
}
END_TEST

START_TEST(two_side_by_side_are_not_filled_without_a_header)
{
	struct rig rig;

	begin(&rig);
	record_of(rig.disk, 5)[HEAD] ^= 1;
	record_of(rig.disk, 7)[HEAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_no_hole(&rig);
	/* Its place is known, but not what stands behind it. */
	record_of(rig.disk, 7)[HEAD] ^= 1;
	record_of(rig.disk, 7)[PAYLOAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_no_hole(&rig);
	/* With its own header nothing else is needed. */
	record_of(rig.disk, 5)[HEAD] ^= 1;
	record_of(rig.disk, 5)[PAYLOAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_hole(&rig, 5, 6, 1, 0);
	memwal_end(&rig);
}
END_TEST

/* 1..10 of term 1, then 9 of term 2 (damaged), then 10 of term 3. */
START_TEST(what_was_overwritten_by_the_damaged_record_is_asked_about)
{
	static const uint64_t terms[] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3};
	struct disk *whole;
	uint8_t *record;
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	rig.options.tolerate_damage = true;
	ck_assert_int_eq(rig_open(&rig), 0);
	rig_append(&rig, 10, 10);
	rig.term = 2;
	rig.next_index = 9;
	rig_append(&rig, 1, 10);
	rig.term = 3;
	rig_append(&rig, 1, 10);
	whole = mem_disk_copy(rig.disk);
	record = mem_disk_find(rig.disk, "segment-00000001")->data +
		 3 * DISK_BLOCK;
	record[HEAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	/* Nobody whose entry 10 is of term 3 has a 9 of term 1. */
	expect_hole(&rig, 10, 9, 1, 10);
	record = mem_disk_find(rig.disk, "segment-00000001")->data +
		 3 * DISK_BLOCK;
	record[HEAD] ^= 1;
	record[PAYLOAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_hole(&rig, 9, 9, 1, 0);
	ck_assert_int_eq(
		fill(&rig, mem_disk_find(whole, "segment-00000001")->data +
				   3 * DISK_BLOCK),
		0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(wal_filled(rig.wal));
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!rig.report.damaged);
	ck_assert_uint_eq(rig_replay(&rig, terms), 10);
	mem_disk_free(whole);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_record_without_entries_is_filled_too)
{
	struct rig rig;
	uint8_t *record;

	rig_init(&rig, mem_disk_new());
	rig.options.tolerate_damage = true;
	ck_assert_int_eq(rig_open(&rig), 0);
	rig_append(&rig, 2, 10);
	rig.term = 2;
	rig_append(&rig, 0, 0); /* a vote */
	rig.term = 1;
	rig_append(&rig, 1, 10);
	record = mem_disk_find(rig.disk, "segment-00000001")->data +
		 3 * DISK_BLOCK;
	record[_i ? PAYLOAD : HEAD] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	/* Its own header proves that there was nothing in it. */
	expect_hole(&rig, 3, 2, 1, _i ? 0 : 3);
	ck_assert_int_eq(wal_fill(rig.wal, NULL, 0), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(wal_filled(rig.wal));
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!rig.report.damaged);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 3);
	memwal_end(&rig);
}
END_TEST

/* A record of the large kind, however much is in it. */
static void append_large(struct rig *rig, uint32_t count, uint32_t size)
{
	struct raft_hard_state hard = {.term = 1, .vote = 7};
	struct wal_buffer *buffer = wal_buffer_open(rig->wal, 1 << 20);
	uint64_t first = rig->next_index;

	ck_assert_ptr_nonnull(buffer);
	while (count-- > 0)
		rig_build(rig, buffer, size);
	ck_assert_int_eq(wal_append(rig->wal, buffer, &hard, first,
				    rig->next_index - 1, ++rig->number),
			 0);
	wal_buffer_release(rig->wal, buffer);
	ck_assert_int_eq(rig_settle(rig), 0);
}

/* The header and the entries lie farther apart there. */
START_TEST(records_of_the_large_kind_are_filled)
{
	static const struct {
		uint32_t count, size, at;
	} rows[] = {
		{5, 200000, HEAD},	{5, 200000, 3000},
		{5, 200000, 200 << 12}, {1, 3000, HEAD},
		{1, 3000, 3000},	{1, 5000, HEAD},
		{576, 4000 - 64, HEAD},
	};
	struct disk *whole;
	uint8_t *record;
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	rig.options.tolerate_damage = true;
	rig.options.segment_size = 8 << 20;
	ck_assert_int_eq(rig_open(&rig), 0);
	rig_append(&rig, 1, 10);
	append_large(&rig, rows[_i].count, rows[_i].size);
	rig_append(&rig, 1, 10);
	whole = mem_disk_copy(rig.disk);
	record = mem_disk_find(rig.disk, "segment-00000001")->data +
		 3 * DISK_BLOCK;
	record[rows[_i].at] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_hole(&rig, 2, 1 + rows[_i].count, 1,
		    rows[_i].at == HEAD ? rig.next_index + rows[_i].count : 0);
	ck_assert_int_eq(
		fill(&rig, mem_disk_find(whole, "segment-00000001")->data +
				   3 * DISK_BLOCK),
		0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(wal_filled(rig.wal));
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!rig.report.damaged);
	ck_assert_uint_eq(rig_replay(&rig, NULL), rows[_i].count + 2);
	mem_disk_free(whole);
	memwal_end(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wal, a damaged record written anew");
	TCase *tests = tcase_create("memory");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, a_record_is_filled_wherever_it_is_damaged, 0,
			    3 * RECORDS);
	tcase_add_test(tests, entries_may_come_one_by_one);
	tcase_add_loop_test(tests, what_is_not_what_was_there_is_not_written, 0,
			    3);
	tcase_add_loop_test(
		tests, a_crash_in_the_middle_leaves_damage_that_can_be_filled,
		0, 3);
	tcase_add_loop_test(tests, a_disk_that_fails_leaves_what_there_was, 0,
			    3);
	tcase_add_loop_test(tests, a_disk_that_lies_is_not_believed, 0, 3);
	tcase_add_test(tests, while_it_is_written_nothing_is_given_up);
	tcase_add_test(tests, what_was_given_up_is_not_filled);
	tcase_add_test(tests, one_damaged_record_is_filled_after_the_other);
	tcase_add_test(tests, two_side_by_side_are_not_filled_without_a_header);
	tcase_add_test(
		tests,
		what_was_overwritten_by_the_damaged_record_is_asked_about);
	tcase_add_loop_test(tests, a_record_without_entries_is_filled_too, 0,
			    2);
	tcase_add_loop_test(tests, records_of_the_large_kind_are_filled, 0, 7);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed != 0;
}
