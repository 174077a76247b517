/*
 * Snapshots in the life of the log, and the corners of recovery around them,
 * over the disk in memory.
 */
#include "tests/unit/support_damage.h"
#include "tests/unit/support_memwal.h"
#include "wal/meta.h"
#include "wal/record.h"
#include "wal/segment.h"
#include "wal/snapshot.h"

/* Begins one and hands its image in; the machine has not moved since. */
static void offer(struct rig *rig, uint64_t index, uint64_t term)
{
	uint32_t size;
	void *room;

	ck_assert_int_eq(wal_snapshot_begin(rig->wal, index, term, "head", 4),
			 0);
	ck_assert(wal_snapshot_active(rig->wal));
	while (!(room = wal_snapshot_room(rig->wal, &size)))
		ck_assert_int_eq(rig_turn(rig), 0);
	ck_assert_uint_ge(size, 64 << 10);
	memset(room, (int)index, 500);
	wal_snapshot_put(rig->wal, 500);
	wal_snapshot_end(rig->wal);
}

static void take(struct rig *rig, uint64_t index, uint64_t term)
{
	offer(rig, index, term);
	while (wal_snapshot_active(rig->wal))
		ck_assert_int_eq(rig_turn(rig), 0);
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert_uint_eq(wal_snapshot_index(rig->wal), index);
}

static bool exists(struct rig *rig, const char *name)
{
	return mem_disk_find(rig->disk, name) != NULL;
}

START_TEST(damage_of_what_a_snapshot_has_is_passed_over)
{
	uint64_t index;

	for (index = 1; index <= 12; index++) {
		struct rig rig;
		int i;

		rig_init(&rig, mem_disk_new());
		ck_assert_int_eq(rig_open(&rig), 0);
		for (i = 0; i < 6; i++)
			rig_append(&rig, 2, 500); /* 1..12, two a record */
		take(&rig, 7, 1);
		(void)damage(rig.disk, index,
			     index % 2 ? DAMAGE_HEAD : DAMAGE_PAYLOAD);
		/* The record with 7 and 8 is needed, and so is the next. */
		if (index > 6) {
			ck_assert_int_eq(memwal_restart(&rig, false),
					 WAL_EDAMAGED);
			memwal_end(&rig);
			continue;
		}
		for (i = 0; i < 2; i++) {
			ck_assert_int_eq(memwal_restart(&rig, i), 0);
			ck_assert_ptr_nonnull(
				strstr(rig.report.where, "the snapshot has"));
			ck_assert(!rig.report.damaged);
			ck_assert_uint_eq(rig.report.snapshot_index, 7);
			ck_assert_uint_eq(rig.report.hard.commit, i ? 12 : 10);
			ck_assert_uint_eq(rig_replay(&rig, NULL), 12 + i);
			rig_append(&rig, 1, 100);
		}
		memwal_end(&rig);
	}
}
END_TEST

START_TEST(one_is_due_when_the_log_has_grown_enough)
{
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	rig.options.snapshot_after = 20 * DISK_BLOCK;
	ck_assert_int_eq(rig_open(&rig), 0);
	ck_assert(!wal_snapshot_due(rig.wal));
	rig_append(&rig, 1, 40000);
	ck_assert(!wal_snapshot_due(rig.wal));
	rig_append(&rig, 1, 40000);
	ck_assert(wal_snapshot_due(rig.wal));
	/* A restart does not forget it. */
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert(wal_snapshot_due(rig.wal));
	offer(&rig, 2, 1);
	ck_assert(!wal_snapshot_due(rig.wal));
	while (wal_snapshot_active(rig.wal))
		rig_turn(&rig);
	ck_assert(!wal_snapshot_due(rig.wal));
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert(!wal_snapshot_due(rig.wal));
	memwal_end(&rig);
}
END_TEST

START_TEST(only_one_is_made_at_a_time_and_never_backwards)
{
	static uint8_t head[WAL_HEAD_MAX + 1];
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 5, 100);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 3, 1, head, sizeof(head)),
			 -E2BIG);
	offer(&rig, 3, 1);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 4, 1, "", 0), -EBUSY);
	while (wal_snapshot_active(rig.wal))
		rig_turn(&rig);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 3, 1, "", 0), -EALREADY);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 2, 1, "", 0), -EALREADY);
	memwal_end(&rig);
}
END_TEST

START_TEST(an_aborted_one_leaves_nothing)
{
	struct rig rig;
	uint32_t size;

	memwal_begin(&rig);
	rig_append(&rig, 5, 100);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 3, 1, "head", 4), 0);
	wal_snapshot_abort(rig.wal);
	ck_assert_int_eq(rig_settle(&rig), 0);
	offer(&rig, 3, 1);
	wal_snapshot_abort(rig.wal);
	ck_assert(!wal_snapshot_active(rig.wal));
	ck_assert_ptr_null(wal_snapshot_room(rig.wal, &size));
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!exists(&rig, "snapshot-0000000000000003.tmp"));
	ck_assert(!exists(&rig, "snapshot-0000000000000003"));
	ck_assert_uint_eq(wal_snapshot_index(rig.wal), 0);
	take(&rig, 4, 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(an_abort_at_any_time_leaves_nothing_or_comes_too_late)
{
	bool named = false;
	struct rig rig;
	int turns;
	int i;

	for (turns = 0; !named; turns++) {
		memwal_begin(&rig);
		rig_append(&rig, 5, 100);
		offer(&rig, 3, 1);
		for (i = 0; i < turns; i++)
			ck_assert_int_eq(rig_turn(&rig), 0);
		wal_snapshot_abort(rig.wal);
		while (wal_snapshot_active(rig.wal))
			ck_assert_int_eq(rig_turn(&rig), 0);
		ck_assert_int_eq(rig_settle(&rig), 0);
		ck_assert_int_eq(rig_settle(&rig), 0);
		named = wal_snapshot_index(rig.wal) == 3;
		ck_assert(!exists(&rig, "snapshot-0000000000000003.tmp"));
		ck_assert(exists(&rig, "snapshot-0000000000000003") == named);
		take(&rig, 4, 1);
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		ck_assert_uint_eq(rig.report.snapshot_index, 4);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 5);
		memwal_end(&rig);
	}
	ck_assert_int_gt(turns, 6);
}
END_TEST

START_TEST(a_full_disk_ends_one_and_the_log_goes_on)
{
	struct wal_stats stats;
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 5, 100);
	rig.disk->fault_kinds = 1u << DISK_WRITE;
	rig.disk->fault_result = -ENOSPC;
	rig.disk->fault_in = 1; /* the header goes well */
	offer(&rig, 3, 1);
	while (wal_snapshot_active(rig.wal))
		ck_assert_int_eq(rig_turn(&rig), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	wal_stats(rig.wal, &stats);
	ck_assert(stats.no_space);
	ck_assert(!exists(&rig, "snapshot-0000000000000003.tmp"));
	ck_assert_uint_eq(wal_snapshot_index(rig.wal), 0);
	wal_snapshot_end(rig.wal); /* who has not heard yet does no harm */
	rig_append(&rig, 1, 100);
	memwal_end(&rig);
}
END_TEST

START_TEST(the_one_before_is_fallen_back_to_until_it_is_forgotten)
{
	static const char first[] = "snapshot-0000000000000002";
	static const char second[] = "snapshot-0000000000000006";
	struct disk *copy;
	struct rig other;
	struct rig rig;
	int fallbacks = 0;

	memwal_begin(&rig);
	rig_append(&rig, 1, 40000);
	rig_append(&rig, 1, 40000);
	take(&rig, 2, 1);
	rig_append(&rig, 4, 10000);
	rig_append(&rig, 1, 100);
	offer(&rig, 6, 1);
	while (wal_snapshot_active(rig.wal)) {
		ck_assert_int_eq(rig_turn(&rig), 0);
		if (!exists(&rig, first) || !exists(&rig, second))
			continue;
		copy = rig.disk;
		other = rig;
		other.memory = NULL;
		other.disk = mem_disk_copy(copy);
		mem_disk_find(other.disk, second)->data[4200] ^= 1;
		ck_assert_int_eq(rig_open(&other), 0);
		ck_assert_uint_eq(other.report.snapshot_index, 2);
		ck_assert_uint_eq(rig_replay(&other, NULL), 7);
		fallbacks++;
		/* And from there a new one can be made. */
		ck_assert_int_eq(rig_settle(&other), 0);
		take(&other, 7, 1);
		memwal_end(&other);
	}
	ck_assert_int_ge(fallbacks, 2);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!exists(&rig, first));
	memwal_end(&rig);
}
END_TEST

START_TEST(a_snapshot_that_is_installed_voids_the_tail_it_replaces)
{
	static const uint64_t terms[] = {[16] = 5, [17] = 5};
	struct rig rig;

	memwal_begin(&rig);
	rig.term = 2;
	rig_append(&rig, 10, 100);
	rig_append(&rig, 10, 100); /* 11..20 of term 2, never committed */
	take(&rig, 15, 4);
	/* A crash here: what is behind 15 is of the old tail. */
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig.report.snapshot_index, 15);
	ck_assert_uint_eq(rig.report.first_index, 0);
	ck_assert_uint_eq(rig_replay(&rig, terms), 15);
	rig.term = 5;
	rig_append(&rig, 2, 100);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, terms), 17);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_snapshot_ahead_of_the_log_moves_its_beginning)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 3, 100);
	take(&rig, 50, 1);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig.report.last_index, 50);
	ck_assert_uint_eq(rig.report.hard.commit, 50);
	rig_append(&rig, 2, 100); /* 51, 52 */
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig.report.first_index, 51);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 52);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_snapshot_file_is_waited_for_and_must_be_readable)
{
	static const char name[] = "snapshot-0000000000000003";
	struct rig rig;
	int block;

	memwal_begin(&rig);
	rig_append(&rig, 5, 100);
	take(&rig, 3, 1);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	mem_disk_find(rig.disk, name)->held = 20;
	ck_assert_int_eq(rig_open(&rig), 0);
	ck_assert(rig.report.waited);
	snprintf(rig.disk->bad_name, DISK_NAME_MAX, "%s", name);
	for (block = 0; block < 3; block++) {
		rig.disk->bad_block = (uint64_t)block;
		ck_assert_int_eq(wal_snapshot_index(rig.wal), 3);
		/* The log still holds all: it does without. */
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		ck_assert_ptr_nonnull(strstr(rig.report.where, "unreadable"));
		ck_assert_uint_eq(rig.report.snapshot_index, 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 5);
		rig.disk->bad_block = 9;
		ck_assert_int_eq(rig_settle(&rig), 0);
		take(&rig, 3, 1);
	}
	memwal_end(&rig);
}
END_TEST

/* ---- corners ---- */

START_TEST(an_unreadable_copy_of_meta_is_done_without)
{
	struct rig rig;
	int block;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	snprintf(rig.disk->bad_name, DISK_NAME_MAX, "meta");
	for (block = 0; block < META_SLOTS; block++) {
		rig.disk->bad_block = (uint64_t)block;
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 1);
	}
	memwal_end(&rig);
}
END_TEST

START_TEST(a_spare_of_another_size_is_removed)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	mem_disk_make(rig.disk, "segment-00000055", DISK_BLOCK);
	ck_assert_int_eq(rig_open(&rig), 0);
	ck_assert(!exists(&rig, "segment-00000055"));
	/* A change of size leaves the segments in use as they are. */
	rig.options.segment_size = 2 * RIG_SEGMENT;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert(!exists(&rig, "segment-00000002"));
	rig_append(&rig, 1, 50000);
	rig_append(&rig, 1, 100000);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 3);
	memwal_end(&rig);
}
END_TEST

START_TEST(rot_between_recovery_and_replay_is_noticed)
{
	struct raft_entry entry;
	struct rig rig;
	uint8_t *bytes;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_append(&rig, 1, 100);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	bytes = mem_disk_find(rig.disk, "segment-00000001")->data;
	bytes[2 * DISK_BLOCK + 800] ^= 1;
	ck_assert_int_eq(wal_replay_next(rig.wal, &entry), WAL_EDAMAGED);
	memwal_end(&rig);
}
END_TEST

START_TEST(spares_beyond_what_a_cycle_needs_are_given_back)
{
	struct wal_stats stats;
	struct rig rig;
	int i;

	rig_init(&rig, mem_disk_new());
	rig.options.snapshot_after = 2 * RIG_SEGMENT;
	ck_assert_int_eq(rig_open(&rig), 0);
	for (i = 0; i < 30; i++)
		rig_append(&rig, 1, 50000);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_ge(stats.segments, 30);
	take(&rig, 30, 1);
	while (rig_settle(&rig), wal_stats(rig.wal, &stats), stats.spares > 20)
		;
	ck_assert_uint_eq(stats.segments, 1);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	rig_append(&rig, 1, 50000);
	memwal_end(&rig);
}
END_TEST

START_TEST(large_records_come_back_through_a_small_window)
{
	struct rig rig;
	int i;

	rig_init(&rig, mem_disk_new());
	rig.options.segment_size = 8 << 20;
	ck_assert_int_eq(rig_open(&rig), 0);
	for (i = 0; i < 9; i++) {
		rig_append(&rig, 1, 100);
		rig_append(&rig, 3, 700000);
		rig_append(&rig, 2, 100000);
	}
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 54);
	memwal_end(&rig);
}
END_TEST

START_TEST(all_is_lost_only_when_that_is_accepted)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 2, 100);
	rig_append(&rig, 1, 50000);
	memset(mem_disk_find(rig.disk, "segment-00000001")->data, 0,
	       2 * DISK_BLOCK);
	ck_assert_int_eq(memwal_restart(&rig, true), WAL_EDAMAGED);
	rig.options.accept_tail_loss = true;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 0);
	rig.options.accept_tail_loss = false;
	rig_append(&rig, 1, 100);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_tail_that_is_overwritten_too_often_asks_for_a_snapshot)
{
	struct rig rig;
	uint32_t due = 0;
	uint32_t count;

	rig_init(&rig, mem_disk_new());
	rig.options.segment_size = 32 << 20;
	rig.options.snapshot_after = 1ull << 40;
	ck_assert_int_eq(rig_open(&rig), 0);
	/* Each record goes on behind one before the last. */
	for (count = 1; wal_can_append(rig.wal); count++) {
		rig.disk->history_count = 0;
		rig_append(&rig, 2, 10);
		rig.next_index--;
		if (!due && wal_snapshot_due(rig.wal))
			due = count;
	}
	ck_assert_uint_gt(due, 30000);
	ck_assert_uint_gt(count, due + 5000);
	rig.disk->history_count = 0;
	ck_assert_int_eq(rig_submit(&rig, 1, 10), -ENOSPC);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), count);
	ck_assert(!wal_can_append(rig.wal));
	ck_assert_int_eq(rig_settle(&rig), 0);
	take(&rig, count, 1);
	ck_assert(wal_can_append(rig.wal));
	rig_append(&rig, 1, 10);
	memwal_end(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_snapshot");
	TCase *tests = tcase_create("snapshot");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, damage_of_what_a_snapshot_has_is_passed_over);
	tcase_add_test(tests, one_is_due_when_the_log_has_grown_enough);
	tcase_add_test(tests, only_one_is_made_at_a_time_and_never_backwards);
	tcase_add_test(tests, an_aborted_one_leaves_nothing);
	tcase_add_test(tests,
		       an_abort_at_any_time_leaves_nothing_or_comes_too_late);
	tcase_add_test(tests, a_full_disk_ends_one_and_the_log_goes_on);
	tcase_add_test(tests,
		       the_one_before_is_fallen_back_to_until_it_is_forgotten);
	tcase_add_test(tests,
		       a_snapshot_that_is_installed_voids_the_tail_it_replaces);
	tcase_add_test(tests, a_snapshot_ahead_of_the_log_moves_its_beginning);
	tcase_add_test(tests,
		       a_snapshot_file_is_waited_for_and_must_be_readable);
	tcase_add_test(tests, an_unreadable_copy_of_meta_is_done_without);
	tcase_add_test(tests, a_spare_of_another_size_is_removed);
	tcase_add_test(tests, rot_between_recovery_and_replay_is_noticed);
	tcase_add_test(tests, spares_beyond_what_a_cycle_needs_are_given_back);
	tcase_add_test(tests, large_records_come_back_through_a_small_window);
	tcase_add_test(tests, all_is_lost_only_when_that_is_accepted);
	tcase_add_test(
		tests,
		a_tail_that_is_overwritten_too_often_asks_for_a_snapshot);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
