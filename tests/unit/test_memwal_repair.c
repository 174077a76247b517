/*
 * Damage in a log whose entries other members have, over the disk in memory:
 * it is found again whatever happens, until all has come back; and nothing is
 * given up before that.
 */
#include "tests/unit/support_memwal.h"
#include "wal/meta.h"

static const char first_segment[] = "segment-00000001";

enum {
	RECORDS = 12,
	EACH = 2, /* entries in a record */
	LAST = RECORDS * EACH,
};

/* Entries 1..24 of term 1, two a record, in records 2..13; and another term. */
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
static uint8_t *record_of(struct rig *rig, uint64_t index)
{
	uint64_t number = (index - 1) / EACH;
	char name[DISK_NAME_MAX];
	uint64_t segment = 0;

	/* The first segment begins with the empty record. */
	if (number >= 7)
		segment = 1 + (number - 7) / 7;
	snprintf(name, sizeof(name), "segment-%08x", (unsigned)segment + 1);
	if (segment > 0)
		number = (number - 7) % 7;
	return mem_disk_find(rig->disk, name)->data +
	       (number * 2 + (segment ? 1 : 2)) * DISK_BLOCK;
}

/* One bit of the record with entry `index`, `at` bytes from its start. */
static void flip(struct rig *rig, uint64_t index, uint32_t at)
{
	record_of(rig, index)[at] ^= 0x10;
}

static void expect_damage(struct rig *rig, uint64_t first, uint64_t last)
{
	struct wal_damage damage;

	ck_assert(rig->report.damaged);
	ck_assert_uint_eq(rig->report.damaged_first, first);
	ck_assert_uint_eq(rig->report.damaged_last, last);
	ck_assert_uint_eq(rig->report.last_index, first - 1);
	ck_assert(wal_damaged(rig->wal, &damage));
	ck_assert_uint_eq(damage.first, first);
	ck_assert_uint_eq(damage.last, last);
	ck_assert_uint_eq(rig_replay(rig, NULL), first - 1);
}

static bool is_damaged(struct rig *rig)
{
	struct wal_damage damage;

	return wal_damaged(rig->wal, &damage);
}

/* Says that a leader was found, and waits until appends are taken. */
static void ask(struct rig *rig)
{
	wal_repair(rig->wal);
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert(wal_can_append(rig->wal));
}

START_TEST(a_damaged_record_ends_what_can_be_used)
{
	struct rig rig;
	uint64_t index;
	uint32_t at;

	begin(&rig);
	for (index = 1; index < LAST; index += EACH) {
		for (at = 0; at < 2 * DISK_BLOCK; at += 1000) {
			flip(&rig, index, at);
			rig.options.tolerate_damage = false;
			ck_assert_int_eq(memwal_restart(&rig, true),
					 WAL_EDAMAGED);
			rig.options.tolerate_damage = true;
			if (index < LAST - 1) {
				ck_assert_int_eq(memwal_restart(&rig, at & 8),
						 0);
				expect_damage(&rig, index, LAST);
				ck_assert_ptr_nonnull(strstr(rig.report.where,
							     "another member"));
			}
			flip(&rig, index, at);
			/* What could not be read is there again. */
			ck_assert_int_eq(memwal_restart(&rig, at & 16), 0);
			ck_assert(!rig.report.damaged && !is_damaged(&rig));
			ck_assert_str_eq(rig.report.where, "");
			ck_assert_uint_eq(rig_replay(&rig, NULL), LAST);
			rig.disk->history_count = 0;
			if (index == LAST - 1)
				break;
		}
	}
	memwal_end(&rig);
}
END_TEST

START_TEST(until_a_leader_is_known_nothing_is_written_but_meta)
{
	struct raft_hard_state hard = {.term = 9};
	struct disk *before;
	struct rig rig;
	int i;

	begin(&rig);
	flip(&rig, 5, 900);
	before = mem_disk_copy(rig.disk);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!wal_can_append(rig.wal));
	ck_assert_int_eq(wal_append(rig.wal, NULL, &hard, 0, 0, 1), -ENOSPC);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 99, 1, "", 0), -EAGAIN);
	ck_assert(!wal_snapshot_due(rig.wal));
	ck_assert_int_eq(rig_settle(&rig), 0);
	for (i = 0; i < MEM_FILES_MAX; i++) {
		struct mem_file *file = &before->files[i];

		if (file->data && strcmp(file->name, "meta") != 0)
			ck_assert_mem_eq(rig.disk->files[i].data, file->data,
					 file->size);
	}
	mem_disk_free(before);
	memwal_end(&rig);
}
END_TEST

START_TEST(the_log_is_whole_when_all_has_come_back)
{
	struct rig rig;

	begin(&rig);
	flip(&rig, 5, 900);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_damage(&rig, 5, LAST);
	ask(&rig);
	while (rig.next_index <= LAST) {
		ck_assert(is_damaged(&rig));
		rig_append(&rig, 1, 3000);
		/* A start in between finds what has come back. */
		if (rig.next_index == 9) {
			ck_assert_int_eq(memwal_restart(&rig, false), 0);
			expect_damage(&rig, 9, LAST);
		}
	}
	ck_assert(!is_damaged(&rig));
	ck_assert_int_eq(rig_settle(&rig), 0);
	rig.options.tolerate_damage = false;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!rig.report.damaged);
	ck_assert_str_eq(rig.report.where, "");
	ck_assert_uint_eq(rig_replay(&rig, NULL), LAST);
	rig_append(&rig, 1, 100);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), LAST + 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(what_has_not_come_back_is_missed_by_who_does_not_tolerate_it)
{
	struct rig rig;

	begin(&rig);
	flip(&rig, 5, 900);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ask(&rig);
	rig_append(&rig, 1, 3000);
	rig.options.tolerate_damage = false;
	ck_assert_int_eq(memwal_restart(&rig, true), WAL_EDAMAGED);
	ck_assert_ptr_nonnull(strstr(rig.report.where, "behind 5"));
	rig.options.accept_tail_loss = true;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!rig.report.damaged);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 5);
	rig.options.accept_tail_loss = false;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 5);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_bad_last_record_stays_damage_when_the_machine_is_started_anew)
{
	struct rig rig;
	int torn;

	for (torn = 0; torn < 2; torn++) {
		begin(&rig);
		flip(&rig, LAST, torn ? 5000 : 20);
		if (torn) {
			/* Never opened since: only power tears a record. */
			ck_assert_int_eq(memwal_restart(&rig, true), 0);
			ck_assert(rig.report.torn);
			ck_assert(!rig.report.damaged);
			memwal_end(&rig);
			continue;
		}
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		/* Its head is gone: nobody knows what was in it. */
		expect_damage(&rig, LAST - 1, UINT64_MAX);
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		ck_assert(!rig.report.torn);
		expect_damage(&rig, LAST - 1, UINT64_MAX);
		memwal_end(&rig);
	}
	/* An intact head says what was in it. */
	begin(&rig);
	flip(&rig, LAST, 5000);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect_damage(&rig, LAST - 1, LAST);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_later_terms_entry_ends_damage_of_which_nobody_knows_the_end)
{
	static uint64_t terms[64];
	struct wal_damage damage;
	struct rig rig;
	int i;

	begin(&rig);
	flip(&rig, LAST, 20);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ask(&rig);
	for (i = 0; i < 10; i++) {
		rig_append(&rig, 1, 10);
		ck_assert(is_damaged(&rig));
	}
	ck_assert(wal_damaged(rig.wal, &damage));
	ck_assert_uint_eq(damage.first, LAST + 9);
	ck_assert_uint_eq(damage.last, UINT64_MAX);
	ck_assert_uint_eq(damage.term, 1);
	rig.term = 2;
	rig_append(&rig, 1, 10);
	ck_assert(!is_damaged(&rig));
	for (i = 0; i < 64; i++)
		terms[i] = i < LAST + 9 ? 1 : 2;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert(!is_damaged(&rig));
	ck_assert_uint_eq(rig_replay(&rig, terms), LAST + 9);
	memwal_end(&rig);
}
END_TEST

START_TEST(who_learns_where_the_damage_ends_says_so)
{
	struct wal_damage damage;
	struct rig rig;
	int early;

	for (early = 0; early < 3; early++) {
		begin(&rig);
		flip(&rig, LAST, 20);
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		if (early == 1)
			wal_damage_ends(rig.wal, LAST + 2);
		if (early == 2) /* nothing of it counted */
			wal_damage_ends(rig.wal, LAST - 2);
		ask(&rig);
		if (early == 2) {
			ck_assert(!is_damaged(&rig));
			memwal_end(&rig);
			continue;
		}
		rig_append(&rig, 3, 10);
		ck_assert(is_damaged(&rig));
		if (early == 0) {
			wal_damage_ends(rig.wal, LAST + 2);
			ck_assert_int_eq(rig_settle(&rig), 0);
		}
		/* That is remembered. */
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		expect_damage(&rig, LAST + 2, LAST + 2);
		wal_damage_ends(rig.wal, LAST + 50); /* never later */
		ck_assert(wal_damaged(rig.wal, &damage));
		ck_assert_uint_eq(damage.last, LAST + 2);
		rig_append(&rig, 1, 10);
		ck_assert(!is_damaged(&rig));
		memwal_end(&rig);
	}
}
END_TEST

START_TEST(a_tail_that_may_have_been_overwritten_is_not_whole)
{
	static const uint64_t terms[] = {0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3};
	struct wal_damage damage;
	struct rig rig;
	uint8_t *bytes;

	rig_init(&rig, mem_disk_new());
	rig.options.tolerate_damage = true;
	ck_assert_int_eq(rig_open(&rig), 0);
	rig_append(&rig, 10, 10); /* 1..10 of term 1 */
	rig.term = 2;
	rig.next_index = 9;
	rig_append(&rig, 1, 10); /* 9 of term 2: this one is lost */
	rig.term = 3;
	rig.next_index = 10;
	rig_append(&rig, 1, 10); /* 10 of term 3 */
	bytes = mem_disk_find(rig.disk, first_segment)->data;
	bytes[3 * DISK_BLOCK + 800] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	/* The log reaches as far as it ever did, but 9 and 10 are old. */
	ck_assert_uint_eq(rig.report.last_index, 10);
	ck_assert(wal_damaged(rig.wal, &damage));
	ck_assert_uint_eq(damage.first, 11);
	ck_assert_uint_eq(damage.last, 10);
	ck_assert_uint_eq(damage.term, 3);
	ck_assert_uint_eq(rig.report.hard.term, 3);
	/* So it does not matter that up to 9 all is committed. */
	ck_assert_uint_eq(rig.report.hard.commit, 0);
	ask(&rig);
	rig.term = 2;
	rig.next_index = 9;
	rig_append(&rig, 1, 10);
	ck_assert(is_damaged(&rig));
	rig.term = 3;
	rig_append(&rig, 1, 10);
	ck_assert(!is_damaged(&rig));
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!is_damaged(&rig));
	ck_assert_uint_eq(rig_replay(&rig, terms), 10);
	memwal_end(&rig);
}
END_TEST

START_TEST(the_hard_state_behind_the_damage_counts)
{
	struct rig rig;

	begin(&rig);
	rig.term = 8;
	rig_append(&rig, 1, 10);
	flip(&rig, 3, 900);
	/* Not even `meta` knows of that term. */
	memset(mem_disk_find(rig.disk, "meta")->data, 0, META_PAIR_SIZE);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig.report.hard.term, 8);
	ck_assert_uint_eq(rig.report.hard.vote, 7);
	/* What is left may not be what that commit index is about. */
	ck_assert_uint_eq(rig.report.hard.commit, 0);
	expect_damage(&rig, 3, LAST + 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(missing_segments_are_damage_too)
{
	struct disk *whole;
	struct rig rig;
	uint64_t first;
	uint32_t i;

	rig_init(&rig, mem_disk_new());
	rig.options.tolerate_damage = true;
	ck_assert_int_eq(rig_open(&rig), 0);
	for (i = 0; i < 4; i++)
		rig_append(&rig, 1, 50000);
	ck_assert_int_eq(rig_settle(&rig), 0);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	whole = rig.disk;
	for (i = 1; i <= 5; i++) {
		char name[DISK_NAME_MAX];

		rig.disk = mem_disk_copy(whole);
		snprintf(name, sizeof(name), "segment-%08x", i);
		if (i <= 4)
			mem_disk_remove(rig.disk, name);
		for (first = 1; i == 5 && first <= 4; first++) {
			snprintf(name, sizeof(name), "segment-%08x",
				 (unsigned)first);
			mem_disk_remove(rig.disk, name);
		}
		first = i == 5 ? 1 : i;
		ck_assert_int_eq(memwal_restart(&rig, i & 1), 0);
		expect_damage(&rig, first, i < 4 ? 4 : UINT64_MAX);
		ck_assert_int_eq(memwal_restart(&rig, i & 2), 0);
		expect_damage(&rig, first, i < 4 ? 4 : UINT64_MAX);
		ask(&rig);
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		expect_damage(&rig, first, i < 4 ? 4 : UINT64_MAX);
		while (rig.next_index <= 4)
			rig_append(&rig, 1, 50000);
		ck_assert(is_damaged(&rig) == (i >= 4));
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 4);
		wal_damage_ends(rig.wal, 4);
		ck_assert(!is_damaged(&rig));
		ck_assert_int_eq(rig_settle(&rig), 0);
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		ck_assert(!is_damaged(&rig));
		memwal_end(&rig);
	}
	mem_disk_free(whole);
}
END_TEST

START_TEST(a_segment_that_cannot_be_read_is_not_written_over)
{
	struct wal_stats stats;
	struct rig rig;
	int i;

	begin(&rig);
	ck_assert_int_eq(rig_settle(&rig), 0);
	wal_stats(rig.wal, &stats);
	/* Neither its header nor its first record. */
	memset(mem_disk_find(rig.disk, "segment-00000002")->data, 0, 1);
	mem_disk_find(rig.disk, "segment-00000002")->data[DISK_BLOCK + 9] ^= 1;
	snprintf(rig.disk->bad_name, DISK_NAME_MAX, "segment-00000002");
	rig.disk->bad_block = 0;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect_damage(&rig, 15, UINT64_MAX);
	ask(&rig);
	for (i = 0; i < 10; i++)
		rig_append(&rig, 1, 50000);
	ck_assert_int_eq(rig_settle(&rig), 0);
	rig.disk->bad_name[0] = '\0';
	ck_assert_uint_eq(mem_disk_find(rig.disk, "segment-00000002")
				  ->data[3 * DISK_BLOCK + 4],
			  'L');
	memwal_end(&rig);
}
END_TEST

START_TEST(a_segment_cut_short_is_damage_even_at_its_end)
{
	struct rig rig;

	begin(&rig);
	/* The second segment holds records with 15..24, in 11 blocks. */
	mem_disk_find(rig.disk, "segment-00000002")->size = 9 * DISK_BLOCK;
	rig.options.tolerate_damage = false;
	ck_assert_int_eq(memwal_restart(&rig, true), WAL_EDAMAGED);
	rig.options.tolerate_damage = true;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_damage(&rig, 23, UINT64_MAX);
	ck_assert_ptr_nonnull(strstr(rig.report.where, "cut short"));
	ask(&rig);
	rig_append(&rig, 2, 3000);
	wal_damage_ends(rig.wal, LAST);
	ck_assert(!is_damaged(&rig));
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!is_damaged(&rig));
	ck_assert_uint_eq(rig_replay(&rig, NULL), LAST);
	memwal_end(&rig);
}
END_TEST

/* ---- snapshots ---- */

static void take(struct rig *rig, uint64_t index, uint64_t term)
{
	uint32_t size;
	void *room;

	ck_assert_int_eq(wal_snapshot_begin(rig->wal, index, term, "head", 4),
			 0);
	while (!(room = wal_snapshot_room(rig->wal, &size)))
		ck_assert_int_eq(rig_turn(rig), 0);
	memset(room, (int)index, 500);
	wal_snapshot_put(rig->wal, 500);
	wal_snapshot_end(rig->wal);
	while (wal_snapshot_active(rig->wal))
		ck_assert_int_eq(rig_turn(rig), 0);
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert_uint_eq(wal_snapshot_index(rig->wal), index);
	if (rig->next_index <= index)
		rig->next_index = index + 1;
}

START_TEST(a_damaged_snapshot_is_replaced_by_one_that_is_received)
{
	static const char name[] = "snapshot-0000000000000010"; /* 16 */
	struct wal_stats stats;
	struct rig rig;
	uint64_t index;

	for (index = 16; index <= 30; index += 14) {
		begin(&rig);
		take(&rig, 16, 1);
		wal_stats(rig.wal, &stats);
		ck_assert_uint_eq(stats.segments, 1); /* it is needed */
		rig_append(&rig, 1, 3000);
		rig_drop(&rig);
		mem_disk_crash(rig.disk);
		mem_disk_find(rig.disk, name)->data[5000] ^= 1;
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		ck_assert_uint_eq(rig.report.snapshot_index, 0);
		ck_assert_uint_eq(wal_snapshot_index(rig.wal), 0);
		expect_damage(&rig, 1, LAST + 1);
		/* It may be there tomorrow. */
		mem_disk_find(rig.disk, name)->data[5000] ^= 1;
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		ck_assert(!rig.report.damaged);
		ck_assert_uint_eq(rig.report.snapshot_index, 16);
		ck_assert_uint_eq(rig_replay(&rig, NULL), LAST + 1);
		rig_drop(&rig);
		mem_disk_crash(rig.disk);
		mem_disk_find(rig.disk, name)->data[5000] ^= 1;
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		ask(&rig);
		take(&rig, index, 1);
		ck_assert(is_damaged(&rig) == (index == 16));
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		ck_assert_uint_eq(rig.report.snapshot_index, index);
		ck_assert(is_damaged(&rig) == (index == 16));
		while (rig.next_index <= LAST + 1)
			rig_append(&rig, 1, 3000);
		ck_assert(!is_damaged(&rig));
		memwal_end(&rig);
	}
}
END_TEST

START_TEST(what_was_given_up_goes_when_a_snapshot_covers_it)
{
	struct meta_view view;
	struct wal_stats stats;
	struct rig rig;
	int i;

	begin(&rig);
	flip(&rig, 5, 900);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ask(&rig);
	while (rig.next_index <= LAST + 10)
		rig_append(&rig, 1, 3000);
	ck_assert_int_eq(
		meta_choose(mem_disk_find(rig.disk, "meta")->data, &view), 0);
	ck_assert_uint_gt(view.meta.gaps[0].resume, 0);
	take(&rig, LAST + 10, 1);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_eq(stats.segments, 1);
	for (i = 0; i < 8; i++)
		rig_append(&rig, 1, 50000);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), LAST + 18);
	rig_append(&rig, 1, 100);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_int_eq(
		meta_choose(mem_disk_find(rig.disk, "meta")->data, &view), 0);
	ck_assert_uint_eq(view.meta.gaps[0].resume, 0);
	memwal_end(&rig);
}
END_TEST

/* ---- again and again ---- */

START_TEST(damage_may_come_again_before_and_behind)
{
	struct rig rig;
	uint8_t *bytes;

	begin(&rig);
	flip(&rig, 9, 900);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ask(&rig);
	rig_append(&rig, 1, 3000); /* 9, in a segment of its own */
	rig_append(&rig, 1, 3000);
	rig_append(&rig, 1, 3000);
	/* Of what has come back the second record goes. */
	bytes = mem_disk_find(rig.disk, "segment-00000003")->data;
	bytes[2 * DISK_BLOCK + 900] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_damage(&rig, 10, LAST);
	ask(&rig);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_damage(&rig, 10, LAST);
	rig_append(&rig, 4, 3000);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_damage(&rig, 14, LAST);
	/* And now one before all of it. */
	flip(&rig, 3, 900);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_damage(&rig, 3, LAST);
	/* What is learnt before it is noted does not touch the disk. */
	wal_damage_ends(rig.wal, LAST - 1);
	ck_assert(wal_idle(rig.wal));
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect_damage(&rig, 3, LAST);
	ask(&rig);
	while (rig.next_index <= LAST)
		rig_append(&rig, 1, 3000);
	ck_assert(!is_damaged(&rig));
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!is_damaged(&rig));
	ck_assert_uint_eq(rig_replay(&rig, NULL), LAST);
	memwal_end(&rig);
}
END_TEST

START_TEST(so_many_gaps_can_be_noted_and_no_more)
{
	struct rig rig;
	uint32_t i;

	begin(&rig);
	for (i = 0; i <= META_GAPS; i++) {
		uint64_t index = rig.next_index;
		char name[DISK_NAME_MAX];

		rig_append(&rig, 1, 3000);
		rig_append(&rig, 1, 3000);
		rig_append(&rig, 1, 3000);
		ck_assert_int_eq(rig_settle(&rig), 0);
		/* The middle one, in the newest segment. */
		snprintf(name, sizeof(name), "segment-%08x", i + 2);
		mem_disk_find(rig.disk, name)
			->data[(i == 0 ? 12 : 2) * DISK_BLOCK + 900] ^= 1;
		if (i == META_GAPS)
			break;
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		expect_damage(&rig, index + 1, index + 2);
		ask(&rig);
	}
	ck_assert_int_eq(memwal_restart(&rig, true), WAL_EDAMAGED);
	memwal_end(&rig);
}
END_TEST

/*
 * A repair: the damage is found, a leader is known, entries come back one by
 * one. Returns false when nothing is left to do.
 */
static bool repair_step(struct rig *rig, int turn)
{
	int r;

	if (turn == 3)
		wal_repair(rig->wal);
	if (turn > 3 && rig->next_index <= LAST + 2 && wal_can_append(rig->wal))
		ck_assert_int_eq(rig_submit(rig, 1, 3000), 0);
	r = rig_turn(rig);
	return r == 0 && (turn <= 3 || rig->next_index <= LAST + 2 ||
			  !wal_idle(rig->wal) || rig->done.index != LAST + 2);
}

/* Whatever was interrupted: the damage is known, or all is there. */
static void repair_check(struct rig *rig, uint64_t acknowledged)
{
	struct wal_damage damage;
	uint64_t last = rig->report.last_index;

	ck_assert_uint_ge(last, acknowledged);
	ck_assert_uint_eq(rig_replay(rig, NULL), last);
	ck_assert(is_damaged(rig) == (last < LAST));
	if (last >= LAST)
		return;
	ck_assert(wal_damaged(rig->wal, &damage));
	ck_assert_uint_eq(damage.first, last + 1);
	ck_assert_uint_eq(damage.last, LAST);
	ck_assert_uint_eq(damage.term, 1);
	ask(rig);
	while (rig->next_index <= LAST)
		rig_append(rig, 1, 3000);
	ck_assert(!is_damaged(rig));
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert_int_eq(memwal_restart(rig, true), 0);
	ck_assert(!is_damaged(rig));
	ck_assert_uint_eq(rig_replay(rig, NULL), LAST);
}

START_TEST(a_crash_at_any_point_of_a_repair_finds_the_damage_again)
{
	struct rig after;
	struct rig rig;
	int turns;
	int i;

	for (turns = 0;; turns++) {
		bool more = true;

		begin(&rig);
		flip(&rig, 9, 900);
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		memset(&rig.done, 0, sizeof(rig.done));
		for (i = 0; i < turns && more; i++)
			more = repair_step(&rig, i);
		after = rig;
		after.memory = NULL;
		after.disk = mem_disk_copy(rig.disk);
		if (turns & 1)
			mem_disk_reboot(after.disk);
		ck_assert_int_eq(rig_open(&after), 0);
		repair_check(&after, rig.done.index);
		memwal_end(&after);
		memwal_end(&rig);
		if (!more)
			break;
	}
	ck_assert_int_gt(turns, 20);
}
END_TEST

static void repair_fault(uint32_t in, int32_t result, bool reboot,
			 uint32_t *ret_faults)
{
	struct rig rig;
	int i;

	begin(&rig);
	flip(&rig, 9, 900);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	rig.disk->faults = 0;
	rig.disk->fault_kinds = MEM_ANY;
	rig.disk->fault_in = in;
	rig.disk->fault_result = result;
	memset(&rig.done, 0, sizeof(rig.done));
	if (rig_open(&rig) == 0) {
		for (i = 0; i < 500 && repair_step(&rig, i); i++)
			wal_tick(rig.wal);
		(void)rig_settle(&rig);
	}
	*ret_faults = rig.disk->faults;
	ck_assert_int_eq(memwal_restart(&rig, reboot), 0);
	repair_check(&rig, rig.done.index);
	memwal_end(&rig);
}

START_TEST(whichever_operation_of_a_repair_fails_the_damage_is_found_again)
{
	static const int32_t results[] = {-EIO, -ENOSPC};
	uint32_t faults;
	uint32_t in;
	int i;

	for (i = 0; i < 4; i++) {
		faults = 1;
		for (in = 0; faults > 0; in++)
			repair_fault(in, results[i % 2], i / 2, &faults);
		ck_assert_uint_gt(in, 10);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_repair");
	TCase *tests = tcase_create("repair");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_damaged_record_ends_what_can_be_used);
	tcase_add_test(tests,
		       until_a_leader_is_known_nothing_is_written_but_meta);
	tcase_add_test(tests, the_log_is_whole_when_all_has_come_back);
	tcase_add_test(
		tests,
		what_has_not_come_back_is_missed_by_who_does_not_tolerate_it);
	tcase_add_test(
		tests,
		a_bad_last_record_stays_damage_when_the_machine_is_started_anew);
	tcase_add_test(
		tests,
		a_later_terms_entry_ends_damage_of_which_nobody_knows_the_end);
	tcase_add_test(tests, who_learns_where_the_damage_ends_says_so);
	tcase_add_test(tests,
		       a_tail_that_may_have_been_overwritten_is_not_whole);
	tcase_add_test(tests, the_hard_state_behind_the_damage_counts);
	tcase_add_test(tests, missing_segments_are_damage_too);
	tcase_add_test(tests,
		       a_segment_that_cannot_be_read_is_not_written_over);
	tcase_add_test(tests, a_segment_cut_short_is_damage_even_at_its_end);
	tcase_add_test(tests,
		       a_damaged_snapshot_is_replaced_by_one_that_is_received);
	tcase_add_test(tests, what_was_given_up_goes_when_a_snapshot_covers_it);
	tcase_add_test(tests, damage_may_come_again_before_and_behind);
	tcase_add_test(tests, so_many_gaps_can_be_noted_and_no_more);
	tcase_add_test(tests,
		       a_crash_at_any_point_of_a_repair_finds_the_damage_again);
	tcase_add_test(
		tests,
		whichever_operation_of_a_repair_fails_the_damage_is_found_again);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
