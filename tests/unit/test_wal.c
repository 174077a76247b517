/*
 * The log on a real file system, with either engine: what is acknowledged is
 * found again, segments come and go, and a durable append is one write.
 */
#include "tests/unit/support_engine.h"
#include "tests/unit/support_wal.h"

static void wait_for_engine(struct rig *rig)
{
	if (!wal_idle(rig->wal))
		engine_wait(rig->waiter);
}

static void begin(struct rig *rig, struct engine *engine, int kind)
{
	engine_open(engine, kind);
	rig_init(rig, engine->disk);
	rig->wait = wait_for_engine;
	rig->waiter = engine;
	ck_assert_int_eq(rig_open(rig), 0);
	ck_assert_int_eq(rig_settle(rig), 0);
}

static void reopen(struct rig *rig)
{
	ck_assert_int_eq(rig_settle(rig), 0);
	rig_close(rig);
	ck_assert_int_eq(rig_open(rig), 0);
}

static void end(struct rig *rig, struct engine *engine)
{
	ck_assert_int_eq(rig_settle(rig), 0);
	rig_close(rig);
	engine_close(engine);
}

START_TEST(what_is_acknowledged_is_found_again)
{
	struct engine engine;
	struct rig rig;
	uint32_t i;

	begin(&rig, &engine, _i);
	for (i = 0; i < 60; i++)
		rig_append(&rig, 1 + i % 4, i * 97);
	rig_append(&rig, 0, 0); /* hard state alone */
	reopen(&rig);
	ck_assert_uint_eq(rig.report.records, 62);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 150);
	rig_append(&rig, 1, 50000);
	reopen(&rig);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 151);
	end(&rig, &engine);
}
END_TEST

START_TEST(a_small_put_is_one_block_and_a_batch_one_write)
{
	struct engine engine;
	struct wal_stats before;
	struct wal_stats after;
	struct rig rig;

	engine_open(&engine, _i);
	rig_init(&rig, engine.disk);
	rig.wait = wait_for_engine;
	rig.waiter = &engine;
	rig.options.segment_size = 4 << 20;
	ck_assert_int_eq(rig_open(&rig), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	wal_stats(rig.wal, &before);
	rig_append(&rig, 1, 300);
	wal_stats(rig.wal, &after);
	ck_assert_uint_eq(after.bytes - before.bytes, DISK_BLOCK);
	ck_assert_uint_eq(after.records - before.records, 1);
	/* 256 KiB and what describes it. */
	rig_append(&rig, 1, 256 << 10);
	wal_stats(rig.wal, &before);
	ck_assert_uint_eq(before.bytes - after.bytes, 65 * DISK_BLOCK);
	ck_assert_uint_eq(before.records - after.records, 1);
	/* The largest entry there is. */
	rig_append(&rig, 1, ENTRY_SIZE_MAX - ENTRY_HEADER_SIZE);
	reopen(&rig);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 3);
	end(&rig, &engine);
}
END_TEST

START_TEST(segments_are_recycled_behind_a_snapshot)
{
	struct engine engine;
	struct wal_stats stats;
	struct rig rig;
	uint32_t files;
	uint32_t size;
	void *room;
	int round;
	uint32_t i;

	begin(&rig, &engine, _i);
	files = 0;
	for (round = 1; round <= 4; round++) {
		for (i = 0; i < 20; i++)
			rig_append(&rig, 1, 20000);
		ck_assert_int_eq(wal_snapshot_begin(rig.wal, rig.next_index - 1,
						    1, "head", 4),
				 0);
		while (!(room = wal_snapshot_room(rig.wal, &size)))
			rig_turn(&rig);
		memset(room, round, 10000);
		wal_snapshot_put(rig.wal, 10000);
		wal_snapshot_end(rig.wal);
		while (wal_snapshot_active(rig.wal))
			rig_turn(&rig);
		ck_assert_int_eq(rig_settle(&rig), 0);
		wal_stats(rig.wal, &stats);
		ck_assert_uint_eq(stats.segments, 1);
		ck_assert_uint_eq(stats.snapshots, (uint64_t)round);
		if (round == 2)
			files = stats.spares;
		/* From the second round on no file is made any more. */
		if (round > 2)
			ck_assert_uint_eq(stats.spares, files);
	}
	reopen(&rig);
	ck_assert_uint_eq(rig.report.snapshot_index, 80);
	ck_assert_uint_eq(rig.report.first_index, 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 80);
	end(&rig, &engine);
}
END_TEST

START_TEST(entries_and_snapshots_are_read_back_while_the_log_goes_on)
{
	struct wal_fetched fetched;
	struct engine engine;
	struct rig rig;
	uint64_t next = 1;
	uint32_t size;
	void *room;
	int ticket;
	uint32_t i;

	begin(&rig, &engine, _i);
	for (i = 0; i < 30; i++)
		rig_append(&rig, 2, 5000);
	while (next <= 60) {
		ck_assert_int_eq(rig_submit(&rig, 1, 100), 0);
		ticket = wal_fetch_entries(rig.wal, next);
		ck_assert_int_ge(ticket, 0);
		ck_assert_int_eq(rig_settle(&rig), 0);
		ck_assert_int_eq(wal_fetched(rig.wal, ticket, &fetched), 0);
		ck_assert_uint_eq(fetched.first_index, next);
		ck_assert_uint_ge(fetched.size, entry_size(5000));
		next = fetched.last_index + 1;
		wal_fetch_end(rig.wal, ticket);
	}
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 60, 1, "head", 4), 0);
	while (!(room = wal_snapshot_room(rig.wal, &size)))
		rig_turn(&rig);
	memset(room, 7, 10000);
	wal_snapshot_put(rig.wal, 10000);
	wal_snapshot_end(rig.wal);
	while (wal_snapshot_active(rig.wal))
		rig_turn(&rig);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ticket = wal_fetch_chunk(rig.wal, 60, 0);
	ck_assert_int_ge(ticket, 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(wal_fetched(rig.wal, ticket, &fetched), 0);
	ck_assert_uint_eq(fetched.size, 10000);
	for (i = 0; i < fetched.size; i++)
		ck_assert_uint_eq(fetched.bytes[i], 7);
	end(&rig, &engine);
}
END_TEST

START_TEST(a_second_owner_is_refused_while_the_first_one_lives)
{
	struct engine engine;
	struct disk *second;
	struct rig other;
	struct rig rig;

	/* The locks are the same for both, and the wait is five seconds. */
	begin(&rig, &engine, ENGINE_PLAIN);
	ck_assert_int_eq(disk_open(&second, engine.folder, NULL), 0);
	rig_init(&other, second);
	ck_assert_int_eq(rig_open(&other), WAL_EOWNED);
	disk_close(second);
	rig_append(&rig, 1, 100);
	end(&rig, &engine);
}
END_TEST

START_TEST(a_buffer_is_free_when_all_have_let_go_of_it)
{
	struct wal_buffer *buffers[5];
	struct engine engine;
	struct rig rig;
	int i;

	begin(&rig, &engine, _i);
	for (i = 0; i < 4; i++) {
		buffers[i] = wal_buffer_open(rig.wal, 100);
		ck_assert_ptr_nonnull(buffers[i]);
		ck_assert_uint_eq(buffers[i]->used, 0);
	}
	ck_assert_ptr_null(wal_buffer_open(rig.wal, 100));
	wal_buffer_hold(rig.wal, buffers[2]);
	wal_buffer_release(rig.wal, buffers[2]);
	ck_assert_ptr_null(wal_buffer_open(rig.wal, 100));
	wal_buffer_release(rig.wal, buffers[2]);
	buffers[4] = wal_buffer_open(rig.wal, 100);
	ck_assert_ptr_eq(buffers[4], buffers[2]);
	/* More than a segment of this size can take. */
	wal_buffer_release(rig.wal, buffers[4]);
	ck_assert_ptr_null(wal_buffer_open(rig.wal, RIG_SEGMENT));
	for (i = 0; i < 4; i++) {
		if (i != 2)
			wal_buffer_release(rig.wal, buffers[i]);
	}
	end(&rig, &engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wal");
	TCase *tests = tcase_create("engines");
	int engines = engine_count();
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, what_is_acknowledged_is_found_again, 0,
			    engines);
	tcase_add_loop_test(tests,
			    a_small_put_is_one_block_and_a_batch_one_write, 0,
			    engines);
	tcase_add_loop_test(tests, segments_are_recycled_behind_a_snapshot, 0,
			    engines);
	tcase_add_loop_test(
		tests,
		entries_and_snapshots_are_read_back_while_the_log_goes_on, 0,
		engines);
	tcase_add_test(tests,
		       a_second_owner_is_refused_while_the_first_one_lives);
	tcase_add_loop_test(tests, a_buffer_is_free_when_all_have_let_go_of_it,
			    0, engines);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
