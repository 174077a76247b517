/*
 * The end of the log is sealed in a quiet moment, and a disk that is slow is
 * told of; over the disk in memory.
 */
#include "tests/unit/support_memwal.h"

static const char first_segment[] = "segment-00000001";

enum {
	MS = 1000000,
};

static void begin(struct rig *rig)
{
	memwal_begin(rig);
	rig->now_ns = 1000 * (uint64_t)MS;
	wal_clock(rig->wal, rig->now_ns);
}

/* A turn, so much later. Returns how many writes it led to. */
static uint32_t pass(struct rig *rig, uint64_t ns)
{
	uint32_t before = rig->disk->history_count;
	uint32_t writes = 0;

	rig->now_ns += ns;
	wal_clock(rig->wal, rig->now_ns);
	ck_assert_int_eq(rig_settle(rig), 0);
	for (; before < rig->disk->history_count; before++)
		writes += rig->disk->history[before] == DISK_WRITE_DURABLE;
	return writes;
}

START_TEST(a_last_record_that_is_lost_altogether_is_damage_once_it_is_sealed)
{
	struct rig rig;
	uint8_t *bytes;
	int sealed;
	int lost;

	/* Its first sector lost, or all of it: as if nothing stood there. */
	for (sealed = 0; sealed < 2; sealed++) {
		for (lost = 512; lost <= DISK_BLOCK; lost *= 8) {
			begin(&rig);
			rig_append(&rig, 1, 100);
			rig_append(&rig, 1, 100);
			if (sealed)
				ck_assert_uint_eq(pass(&rig, WAL_SEAL_NS), 1);
			bytes = mem_disk_find(rig.disk, first_segment)->data;
			memset(bytes + 3 * DISK_BLOCK, 0, (size_t)lost);
			ck_assert_int_eq(memwal_restart(&rig, lost == 512),
					 sealed ? WAL_EDAMAGED : 0);
			memwal_end(&rig);
		}
	}
}
END_TEST

START_TEST(a_quiet_period_is_sealed_once)
{
	struct rig rig;
	int i;

	begin(&rig);
	ck_assert_uint_eq(wal_next_ns(rig.wal), UINT64_MAX);
	ck_assert_uint_eq(pass(&rig, 1000 * MS), 0);
	for (i = 0; i < 3; i++) {
		rig_append(&rig, 1, 100);
		ck_assert_uint_eq(wal_next_ns(rig.wal),
				  rig.now_ns + WAL_SEAL_NS);
		ck_assert_uint_eq(pass(&rig, WAL_SEAL_NS - 1), 0);
		ck_assert_uint_eq(pass(&rig, 1), 1);
		ck_assert_uint_eq(wal_next_ns(rig.wal), UINT64_MAX);
		ck_assert_uint_eq(pass(&rig, WAL_SEAL_NS), 0);
		ck_assert_uint_eq(pass(&rig, 3600ull * 1000 * MS), 0);
	}
	memwal_end(&rig);
}
END_TEST

START_TEST(while_appends_go_on_nothing_is_sealed)
{
	struct rig rig;
	int i;

	begin(&rig);
	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(rig_submit(&rig, 0, 0), 0);
		/* The record alone, however long it took. */
		rig.disk->held_kinds = 1u << DISK_WRITE_DURABLE;
		rig.now_ns += 50 * MS;
		wal_clock(rig.wal, rig.now_ns);
		(void)rig_turn(&rig);
		ck_assert_uint_eq(wal_next_ns(rig.wal), UINT64_MAX);
		rig.disk->held_kinds = 0;
		/* With the first one the term is new. */
		ck_assert_uint_eq(pass(&rig, 1), i == 0 ? 2 : 1);
		ck_assert_uint_eq(pass(&rig, WAL_SEAL_NS - 1), 0);
	}
	memwal_end(&rig);
}
END_TEST

START_TEST(the_time_that_a_record_takes_is_told)
{
	struct wal_stats stats;
	struct rig rig;

	begin(&rig);
	rig_append(&rig, 1, 100);
	ck_assert_uint_eq(wal_stall_ns(rig.wal, rig.now_ns + 5), 0);
	pass(&rig, 70 * MS);
	ck_assert_uint_eq(wal_stall_ns(rig.wal, rig.now_ns + 5), 0);
	ck_assert_int_eq(rig_submit(&rig, 1, 100), 0);
	rig.disk->held_kinds = 1u << DISK_WRITE_DURABLE;
	rig.now_ns += 300 * MS;
	wal_clock(rig.wal, rig.now_ns);
	(void)rig_turn(&rig);
	ck_assert_uint_eq(wal_stall_ns(rig.wal, rig.now_ns), 300 * MS);
	ck_assert_uint_eq(wal_stall_ns(rig.wal, rig.now_ns + 7), 300 * MS + 7);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_eq(stats.stall_ns, 300 * MS);
	ck_assert_uint_eq(stats.stall_max_ns, 300 * MS);
	rig.disk->held_kinds = 0;
	pass(&rig, 100 * MS);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_eq(stats.stall_ns, 0);
	ck_assert_uint_eq(stats.stall_max_ns, 400 * MS);
	/* One that is quick changes nothing. */
	rig_append(&rig, 1, 100);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_eq(stats.stall_max_ns, 400 * MS);
	memwal_end(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_seal");
	TCase *tests = tcase_create("seal");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(
		tests,
		a_last_record_that_is_lost_altogether_is_damage_once_it_is_sealed);
	tcase_add_test(tests, a_quiet_period_is_sealed_once);
	tcase_add_test(tests, while_appends_go_on_nothing_is_sealed);
	tcase_add_test(tests, the_time_that_a_record_takes_is_told);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
