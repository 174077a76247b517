/*
 * Disks that fail, fill up or lie short, over the disk in memory: every
 * operation of a whole life fails once, with each error, and what was
 * acknowledged is always there afterwards.
 */
#include "tests/unit/support_memwal.h"
#include "wal/meta.h"

static void set_fault(struct rig *rig, uint32_t kinds, uint32_t in,
		      int32_t result)
{
	rig->disk->fault_kinds = kinds;
	rig->disk->fault_in = in;
	rig->disk->fault_result = result;
}

START_TEST(a_failed_write_is_never_retried_and_nothing_goes_on)
{
	struct wal_stats stats;
	struct wal_done done;
	struct rig rig;
	uint64_t before;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	before = rig.done.number;
	set_fault(&rig, 1u << DISK_WRITE_DURABLE, 0, -EIO);
	ck_assert_int_eq(rig_submit(&rig, 1, 100), 0);
	ck_assert_int_eq(wal_reap(rig.wal, &done), WAL_EFAILED);
	ck_assert_int_eq(rig_settle(&rig), WAL_EFAILED);
	ck_assert_uint_eq(rig.done.number, before);
	ck_assert(!wal_can_append(rig.wal));
	ck_assert_int_eq(rig_submit(&rig, 1, 100), WAL_EFAILED);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 1, 1, NULL, 0),
			 WAL_EFAILED);
	ck_assert_int_eq(wal_reap(rig.wal, &done), WAL_EFAILED);
	wal_stats(rig.wal, &stats);
	ck_assert(stats.failed);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_failed_write_is_noted_so_that_the_next_start_is_clean)
{
	static const int32_t results[] = {-EIO, 512, 4096, 5632};
	struct rig rig;
	size_t i;

	for (i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		memwal_begin(&rig);
		rig_append(&rig, 1, 100);
		set_fault(&rig, 1u << DISK_WRITE_DURABLE, 0, results[i]);
		ck_assert_int_eq(rig_submit(&rig, 1, 6000), 0);
		ck_assert_int_eq(rig_settle(&rig), WAL_EFAILED);
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		ck_assert_int_eq(rig.report.torn, results[i] > 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 1);
		rig_append(&rig, 1, 10);
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 2);
		memwal_end(&rig);
	}
}
END_TEST

START_TEST(a_failed_write_that_cannot_be_noted_is_damage)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	set_fault(&rig, 1u << DISK_WRITE_DURABLE, 0, 1024);
	ck_assert_int_eq(rig_submit(&rig, 1, 6000), 0);
	ck_assert_int_eq(rig_turn(&rig), WAL_EFAILED);
	ck_assert(!wal_idle(rig.wal)); /* the note is on its way */
	set_fault(&rig, 1u << DISK_WRITE_DURABLE, 0, -EIO);
	ck_assert_int_eq(rig_settle(&rig), WAL_EFAILED);
	ck_assert_int_eq(memwal_restart(&rig, false), WAL_EDAMAGED);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_failed_flush_of_a_spare_fails_the_log)
{
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	ck_assert_int_eq(rig_open(&rig), 0);
	set_fault(&rig, 1u << DISK_SYNC, 0, -EIO);
	ck_assert_int_eq(rig_settle(&rig), WAL_EFAILED);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_full_disk_refuses_and_goes_on_when_there_is_room)
{
	struct wal_stats stats;
	struct rig rig;
	uint64_t last;
	int i;

	memwal_begin(&rig);
	/* Everything that needs room fails; what is there can be written. */
	set_fault(&rig, 1u << DISK_CREATE | 1u << DISK_WRITE, 0, -ENOSPC);
	rig.disk->fault_stays = true;
	for (i = 0; i < 100 && wal_can_append(rig.wal); i++)
		rig_append(&rig, 1, 9000);
	last = rig.next_index - 1;
	ck_assert_uint_ge(last, 5);
	wal_stats(rig.wal, &stats);
	ck_assert(stats.no_space);
	ck_assert(!stats.failed);
	ck_assert_uint_eq(stats.spares, 0);
	/* A restart on a full disk finds all of it. */
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), last);
	set_fault(&rig, 1u << DISK_CREATE, 0, -ENOSPC);
	rig.disk->fault_stays = true;
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!wal_can_append(rig.wal));
	/* Room again: noticed after some ticks. */
	rig.disk->fault_kinds = 0;
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!wal_can_append(rig.wal));
	for (i = 0; i < 20; i++)
		wal_tick(rig.wal);
	ck_assert_int_eq(rig_settle(&rig), 0);
	wal_stats(rig.wal, &stats);
	ck_assert(!stats.no_space);
	rig_append(&rig, 1, 9000);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_spare_that_could_not_be_finished_is_removed)
{
	static const int32_t results[] = {-ENOSPC, 8192};
	struct wal_stats stats;
	struct rig rig;
	size_t i;

	for (i = 0; i < 2; i++) {
		rig_init(&rig, mem_disk_new());
		ck_assert_int_eq(rig_open(&rig), 0);
		set_fault(&rig, 1u << DISK_WRITE, 0, results[i]);
		ck_assert_int_eq(rig_settle(&rig), 0);
		wal_stats(rig.wal, &stats);
		ck_assert(stats.no_space);
		ck_assert_uint_eq(stats.spares, 0);
		ck_assert_ptr_null(
			mem_disk_find(rig.disk, "segment-00000002.tmp"));
		ck_assert_ptr_null(mem_disk_find(rig.disk, "segment-00000002"));
		memwal_end(&rig);
	}
}
END_TEST

/* ---- whole lives ---- */

enum {
	LIFE_RECORDS = 12,
	LIFE_SNAPSHOT_AT = 6
};

/* Feeds what the snapshot takes now. */
static void feed(struct rig *rig, uint32_t *left)
{
	uint32_t size;
	void *room = wal_snapshot_room(rig->wal, &size);

	if (!room)
		return;
	if (size > *left)
		size = *left;
	memset(room, 0x33, size);
	wal_snapshot_put(rig->wal, size);
	*left -= size;
	if (*left == 0)
		wal_snapshot_end(rig->wal);
}

/*
 * A life: records over several segments, a snapshot in the middle of it.
 * Stops when the log fails; returns the last index that was acknowledged.
 */
static uint64_t live(struct rig *rig)
{
	uint32_t left = 3000;
	uint64_t acknowledged = rig->report.last_index;
	int turns;
	int r = 0;

	memset(&rig->done, 0, sizeof(rig->done));
	for (turns = 0; turns < 2000 && r == 0; turns++) {
		if (rig->next_index <= LIFE_RECORDS && wal_can_append(rig->wal))
			ck_assert_int_eq(rig_submit(rig, 1, 15000), 0);
		if (acknowledged == LIFE_SNAPSHOT_AT && left == 3000 &&
		    !wal_snapshot_active(rig->wal))
			(void)!wal_snapshot_begin(rig->wal, LIFE_SNAPSHOT_AT, 1,
						  "head", 4);
		feed(rig, &left);
		r = rig_turn(rig);
		if (rig->done.index > acknowledged)
			acknowledged = rig->done.index;
		wal_tick(rig->wal);
	}
	/* Let the note of what failed reach the disk. */
	(void)rig_settle(rig);
	return acknowledged;
}

static void check_life(struct rig *rig, uint64_t acknowledged)
{
	uint64_t snapshot = rig->report.snapshot_index;

	ck_assert(snapshot == 0 || snapshot == LIFE_SNAPSHOT_AT);
	ck_assert_uint_ge(rig_replay(rig, NULL), acknowledged);
	ck_assert_int_eq(rig_settle(rig), 0);
	rig_append(rig, 1, 100);
}

static void one_life(uint32_t in, int32_t result, int how, uint32_t *ret_faults)
{
	struct rig rig;
	uint64_t acknowledged;

	memwal_begin(&rig);
	set_fault(&rig, MEM_ANY, in, result);
	rig.disk->fault_stays = how & 2;
	acknowledged = live(&rig);
	*ret_faults = rig.disk->faults;
	ck_assert_int_eq(memwal_restart(&rig, how & 1), 0);
	check_life(&rig, acknowledged);
	memwal_end(&rig);
}

START_TEST(nothing_acknowledged_is_lost_whichever_operation_fails)
{
	static const int32_t results[] = {-EIO, -ENOSPC};
	uint32_t faults;
	uint32_t in;
	int i;

	for (i = 0; i < 8; i++) {
		faults = 1;
		for (in = 0; faults > 0; in++)
			one_life(in, results[i % 2], i / 2, &faults);
		ck_assert_uint_ge(in, 40);
	}
}
END_TEST

/* Copies the disk as it is after each operation that changes it. */
START_TEST(nothing_acknowledged_is_lost_wherever_the_process_dies)
{
	uint64_t acknowledged;
	uint32_t before = 0;
	struct rig rig;
	struct rig after;
	int turns;

	for (turns = 0;; turns++) {
		int i;

		memwal_begin(&rig);
		acknowledged = 0;
		memset(&rig.done, 0, sizeof(rig.done));
		for (i = 0; i < turns; i++) {
			uint32_t left = 1000;

			if (rig.next_index <= LIFE_RECORDS &&
			    wal_can_append(rig.wal))
				(void)!rig_submit(&rig, 1, 15000);
			if (i == 20)
				(void)!wal_snapshot_begin(
					rig.wal, LIFE_SNAPSHOT_AT, 1, "h", 1);
			feed(&rig, &left);
			ck_assert_int_eq(rig_turn(&rig), 0);
			acknowledged = rig.done.index;
		}
		after = rig;
		after.memory = NULL;
		after.disk = mem_disk_copy(rig.disk);
		ck_assert_int_eq(rig_open(&after), 0);
		check_life(&after, acknowledged);
		memwal_end(&after);
		i = rig.disk->history_count == before;
		before = rig.disk->history_count;
		memwal_end(&rig);
		if (i && turns > 40)
			break;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_fault");
	TCase *tests = tcase_create("fault");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests,
		       a_failed_write_is_never_retried_and_nothing_goes_on);
	tcase_add_test(tests,
		       a_failed_write_is_noted_so_that_the_next_start_is_clean);
	tcase_add_test(tests, a_failed_write_that_cannot_be_noted_is_damage);
	tcase_add_test(tests, a_failed_flush_of_a_spare_fails_the_log);
	tcase_add_test(tests,
		       a_full_disk_refuses_and_goes_on_when_there_is_room);
	tcase_add_test(tests, a_spare_that_could_not_be_finished_is_removed);
	tcase_add_test(tests,
		       nothing_acknowledged_is_lost_whichever_operation_fails);
	tcase_add_test(tests,
		       nothing_acknowledged_is_lost_wherever_the_process_dies);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
