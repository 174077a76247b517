/*
 * Snapshots that were received: the log that they replace, the log that
 * follows them, and every point at which that can be interrupted, over the
 * disk in memory.
 */
#include "tests/unit/support_memwal.h"

enum {
	TAIL = 20, /* entries of the log before */
	IMAGE = 3000,
};

/* Feeds what the snapshot takes now; true when all was handed in. */
static bool feed(struct rig *rig, uint32_t *left)
{
	uint32_t size;
	void *room = wal_snapshot_room(rig->wal, &size);

	if (!room)
		return *left == 0;
	if (size > *left)
		size = *left;
	memset(room, 0x33, size);
	wal_snapshot_put(rig->wal, size);
	*left -= size;
	if (*left == 0)
		wal_snapshot_end(rig->wal);
	return *left == 0;
}

static void receive(struct rig *rig, uint64_t index, uint64_t term)
{
	uint32_t left = IMAGE;

	ck_assert_int_eq(wal_snapshot_begin(rig->wal, index, term, "head", 4),
			 0);
	while (wal_snapshot_active(rig->wal)) {
		feed(rig, &left);
		ck_assert_int_eq(rig_turn(rig), 0);
	}
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert_uint_eq(wal_snapshot_index(rig->wal), index);
	rig->next_index = index + 1;
}

/* The log must hold entries first..last of these terms, and nothing else. */
static void expect(struct rig *rig, uint64_t snapshot, uint64_t last,
		   const uint64_t *terms)
{
	ck_assert_uint_eq(rig->report.snapshot_index, snapshot);
	ck_assert_uint_eq(rig->report.last_index, last);
	ck_assert_uint_eq(rig->report.first_index,
			  last > snapshot ? snapshot + 1 : 0);
	ck_assert_uint_ge(rig->report.hard.commit, snapshot);
	ck_assert_uint_ge(rig->report.hard.term, rig->report.snapshot_term);
	ck_assert_uint_eq(rig_replay(rig, terms), last);
}

static void fill_terms(uint64_t *terms, uint64_t first, uint64_t last,
		       uint64_t term)
{
	for (; first <= last; first++)
		terms[first] = term;
}

START_TEST(a_tail_of_a_later_term_than_the_snapshots_is_void)
{
	static const uint64_t behind[] = {[16] = 9, [17] = 9};
	struct rig rig;

	/*
	 * Entry 15 of term 6 was never committed: a leader of a later term
	 * went on with the entry 15 of term 4.
	 */
	memwal_begin(&rig);
	rig.term = 6;
	rig_append(&rig, TAIL, 100);
	receive(&rig, 15, 4);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 15, 15, NULL);
	rig.term = 9;
	rig_append(&rig, 2, 100);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	expect(&rig, 15, 17, behind);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_void_tail_stays_void_when_what_showed_it_is_recycled)
{
	uint64_t terms[61] = {0};
	struct wal_stats stats;
	struct rig rig;
	int i;

	memwal_begin(&rig);
	rig.term = 6;
	for (i = 0; i < 6; i++) /* one record fills most of a segment */
		rig_append(&rig, 10, 5000);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_ge(stats.segments, 6);
	receive(&rig, 30, 4);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_eq(stats.segments, 1);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 30, 30, NULL);
	rig.term = 9;
	rig_append(&rig, 3, 5000);
	fill_terms(terms, 31, 33, 9);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 30, 33, terms);
	memwal_end(&rig);
}
END_TEST

START_TEST(entries_that_agree_with_a_snapshot_are_kept)
{
	uint64_t terms[TAIL + 3] = {0};
	struct rig rig;

	memwal_begin(&rig);
	rig.term = 4;
	rig_append(&rig, 15, 100);
	rig.term = 6;
	rig_append(&rig, TAIL - 15, 100);
	receive(&rig, 15, 4);
	rig.next_index = TAIL + 1;
	rig_append(&rig, 2, 100);
	fill_terms(terms, 16, TAIL + 2, 6);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 15, TAIL + 2, terms);
	memwal_end(&rig);
}
END_TEST

START_TEST(entries_that_agree_are_kept_without_the_one_that_agreed)
{
	uint64_t terms[31] = {0};
	struct wal_stats stats;
	struct rig rig;
	int i;

	memwal_begin(&rig);
	for (i = 0; i < 3; i++)
		rig_append(&rig, 10, 5000);
	receive(&rig, 20, 1);
	/* Both segments before are recycled, entry 20 with them. */
	wal_stats(rig.wal, &stats);
	ck_assert_uint_eq(stats.segments, 1);
	fill_terms(terms, 21, 30, 1);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 20, 30, terms);
	memwal_end(&rig);
}
END_TEST

START_TEST(the_term_is_at_least_that_of_a_snapshot_that_was_received)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 3, 100);
	receive(&rig, 50, 12);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig.report.hard.term, 12);
	ck_assert_uint_eq(rig.report.hard.vote, 0);
	ck_assert_uint_eq(rig.report.hard.commit, 50);
	memwal_end(&rig);
}
END_TEST

/*
 * The log went on in memory while the snapshot was received, and is written
 * when that is named: some of what the snapshot covers comes behind it.
 */
START_TEST(entries_that_a_snapshot_covers_may_be_written_behind_it)
{
	uint64_t terms[TAIL + 7] = {0};
	struct rig rig;

	memwal_begin(&rig);
	rig.term = 4;
	rig_append(&rig, TAIL, 100);
	receive(&rig, TAIL + 5, 4);
	rig.next_index = TAIL + 1;
	rig_append(&rig, 2, 100);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, TAIL + 5, TAIL + 5, NULL);
	rig.next_index = TAIL + 3;
	rig_append(&rig, 4, 100);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	fill_terms(terms, TAIL + 6, TAIL + 6, 4);
	expect(&rig, TAIL + 5, TAIL + 6, terms);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_second_snapshot_may_follow_with_no_entry_between)
{
	uint64_t terms[70] = {0};
	struct rig rig;

	memwal_begin(&rig);
	rig.term = 2;
	rig_append(&rig, TAIL, 100);
	receive(&rig, 15, 4);
	receive(&rig, 18, 5);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 18, 18, NULL);
	receive(&rig, 60, 5);
	rig.term = 5;
	rig_append(&rig, 2, 100);
	fill_terms(terms, 61, 62, 5);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 60, 62, terms);
	/* And one of our own, in the log that follows. */
	receive(&rig, 61, 5);
	rig.next_index = 63;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 61, 62, terms);
	memwal_end(&rig);
}
END_TEST

START_TEST(no_record_comes_while_a_snapshot_takes_the_logs_place)
{
	uint32_t left = IMAGE;
	bool refused = false;
	struct rig rig;

	memwal_begin(&rig);
	rig.term = 2;
	rig_append(&rig, TAIL, 100);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 15, 4, "head", 4), 0);
	while (wal_snapshot_index(rig.wal) == 0) {
		feed(&rig, &left);
		ck_assert_int_eq(rig_turn(&rig), 0);
		refused = refused || !wal_can_append(rig.wal);
	}
	ck_assert(refused);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(wal_can_append(rig.wal));
	memwal_end(&rig);
}
END_TEST

START_TEST(a_bad_snapshot_is_not_replaced_by_a_log_of_another_history)
{
	static const char name[] = "snapshot-0000000000000012"; /* 18 */
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	rig.options.segment_size = 64 * DISK_BLOCK; /* nothing is recycled */
	ck_assert_int_eq(rig_open(&rig), 0);
	rig.term = 2;
	rig_append(&rig, TAIL, 100);
	receive(&rig, 18, 5);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	mem_disk_find(rig.disk, name)->data[5000] ^= 1;
	ck_assert_int_eq(rig_open(&rig), WAL_EDAMAGED);
	ck_assert_ptr_nonnull(strstr(rig.report.where, name));
	memwal_end(&rig);
}
END_TEST

START_TEST(what_is_appended_after_a_loss_behind_a_snapshot_counts)
{
	static const uint64_t terms[] = {[16] = 5, [17] = 5};
	struct rig rig;
	uint8_t *bytes;

	memwal_begin(&rig);
	rig.term = 2;
	rig_append(&rig, TAIL, 100);
	rig_append(&rig, 0, 0);
	rig_append(&rig, 0, 0);
	receive(&rig, 15, 4);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	/* The last two records before the naming are lost. */
	bytes = mem_disk_find(rig.disk, "segment-00000001")->data;
	memset(bytes + 3 * DISK_BLOCK, 0, 3 * DISK_BLOCK);
	ck_assert_int_eq(rig_open(&rig), WAL_EDAMAGED);
	rig.options.accept_tail_loss = true;
	ck_assert_int_eq(rig_open(&rig), 0);
	rig.term = 5;
	rig_append(&rig, 2, 100);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	expect(&rig, 15, 17, terms);
	memwal_end(&rig);
}
END_TEST

/* Of what is in flight only what goes to `meta` lands, and power is lost. */
static void land_meta(struct disk *disk)
{
	const struct disk_op *op;
	struct mem_file *file;

	for (op = disk->first; op; op = op->next) {
		file = &disk->files[disk->open[op->file]];
		if (op->kind == DISK_WRITE_DURABLE &&
		    strcmp(file->name, "meta") == 0)
			memcpy(file->data + op->offset, op->buffer, op->size);
	}
}

START_TEST(a_log_agrees_only_by_what_is_durable)
{
	uint32_t left = IMAGE;
	uint64_t terms[128] = {0};
	struct rig rig;
	int i;

	memwal_begin(&rig);
	rig.term = 2;
	rig_append(&rig, TAIL, 100);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 15, 4, "head", 4), 0);
	/* The entry that agrees is being written while it is named. */
	rig.disk->held_kinds = 1u << DISK_WRITE_DURABLE;
	rig.term = 4;
	rig.next_index = 14;
	ck_assert_int_eq(rig_submit(&rig, 2, 100), 0);
	for (i = 0; i < 30; i++) {
		feed(&rig, &left);
		ck_assert_int_eq(rig_turn(&rig), 0);
	}
	land_meta(rig.disk);
	rig.disk->held_kinds = 0;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	fill_terms(terms, 1, TAIL, 2);
	if (rig.report.snapshot_index == 0)
		expect(&rig, 0, TAIL, terms);
	else
		expect(&rig, 15, 15, NULL);
	memwal_end(&rig);
}
END_TEST

/* ---- whole installations ---- */

/*
 * A follower's life: a log of term 2, a snapshot at `index` of term 4 that is
 * received while hard states go on being written, then entries of term 5
 * behind it. Each step of the loop is one turn; false when all is done.
 */
struct install {
	struct rig rig;
	uint64_t index;
	uint32_t left;
	bool began;
	uint64_t acknowledged; /* behind the snapshot */
};

enum {
	BEHIND = 3, /* entries behind it, each in a record */
};

static void install_begin(struct install *install, uint64_t index)
{
	memset(install, 0, sizeof(*install));
	memwal_begin(&install->rig);
	install->rig.term = 2;
	rig_append(&install->rig, TAIL, 100);
	install->index = index;
	install->left = IMAGE;
	install->acknowledged = index;
}

static void install_submit(struct install *install)
{
	struct rig *rig = &install->rig;

	if (!wal_can_append(rig->wal))
		return;
	if (wal_snapshot_index(rig->wal) != install->index) {
		ck_assert_int_eq(rig_submit(rig, 0, 0), 0);
		return;
	}
	if (rig->term != 5) {
		rig->term = 5;
		rig->next_index = install->index + 1;
		ck_assert_int_eq(rig_submit(rig, 0, 0), 0);
		return;
	}
	if (rig->next_index <= install->index + BEHIND)
		ck_assert_int_eq(rig_submit(rig, 1, 6000), 0);
}

static bool install_step(struct install *install)
{
	struct rig *rig = &install->rig;
	int r;

	if (!install->began)
		install->began = wal_snapshot_begin(rig->wal, install->index, 4,
						    "head", 4) == 0;
	feed(rig, &install->left);
	install_submit(install);
	r = rig_turn(rig);
	if (rig->term == 5 && rig->done.index > install->acknowledged)
		install->acknowledged = rig->done.index;
	return r == 0 && install->acknowledged < install->index + BEHIND;
}

/* Whatever happened: the old log, or the snapshot and what follows. */
static void install_check(struct install *install, struct rig *rig)
{
	uint64_t terms[128] = {0};
	uint64_t last = rig->report.last_index;

	fill_terms(terms, 1, TAIL, 2);
	if (rig->report.snapshot_index == 0) {
		ck_assert_uint_eq(install->acknowledged, install->index);
		expect(rig, 0, TAIL, terms);
	} else {
		fill_terms(terms, install->index + 1, 127, 5);
		ck_assert_uint_ge(last, install->acknowledged);
		ck_assert_uint_le(last, install->index + BEHIND);
		ck_assert_uint_eq(rig->report.snapshot_term, 4);
		expect(rig, install->index, last, terms);
	}
	/* And it goes on: by the same snapshot, if it is not there yet. */
	ck_assert_int_eq(rig_settle(rig), 0);
	if (rig->report.snapshot_index == 0)
		receive(rig, install->index, 4);
	rig->term = 5;
	rig_append(rig, 1, 100);
	last = rig->next_index - 1;
	ck_assert_int_eq(memwal_restart(rig, true), 0);
	fill_terms(terms, install->index + 1, 127, 5);
	expect(rig, install->index, last, terms);
}

/* Returns how many steps the whole thing takes. */
static int install_crash(uint64_t index, int steps, bool reboot)
{
	struct install install;
	struct rig after;
	int i;

	install_begin(&install, index);
	for (i = 0; i < steps && install_step(&install); i++)
		;
	after = install.rig;
	after.memory = NULL;
	after.disk = mem_disk_copy(install.rig.disk);
	if (reboot)
		mem_disk_reboot(after.disk);
	ck_assert_int_eq(rig_open(&after), 0);
	install_check(&install, &after);
	memwal_end(&after);
	memwal_end(&install.rig);
	return i;
}

START_TEST(a_crash_at_any_point_leaves_the_old_log_or_the_snapshot)
{
	static const uint64_t indexes[] = {15, TAIL, TAIL + 1, 50};
	size_t i;
	int steps;

	for (i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
		for (steps = 0;; steps++) {
			if (install_crash(indexes[i], steps, steps & 1) < steps)
				break;
		}
		ck_assert_int_gt(steps, 10);
	}
}
END_TEST

static void install_fault(uint64_t index, uint32_t in, int32_t result,
			  uint32_t *ret_faults)
{
	struct install install;
	struct rig *rig = &install.rig;
	int turns = 0;

	install_begin(&install, index);
	rig->disk->fault_kinds = MEM_ANY;
	rig->disk->fault_in = in;
	rig->disk->fault_result = result;
	while (install_step(&install) && ++turns < 500)
		wal_tick(rig->wal);
	(void)rig_settle(rig); /* what failed is noted */
	*ret_faults = rig->disk->faults;
	ck_assert_int_eq(memwal_restart(rig, in & 1), 0);
	install_check(&install, rig);
	memwal_end(rig);
}

START_TEST(whichever_operation_fails_leaves_the_old_log_or_the_snapshot)
{
	static const int32_t results[] = {-EIO, -ENOSPC};
	uint32_t faults;
	uint32_t in;
	size_t i;

	for (i = 0; i < 4; i++) {
		faults = 1;
		for (in = 0; faults > 0; in++)
			install_fault(i / 2 ? 50 : 15, in, results[i % 2],
				      &faults);
		ck_assert_uint_gt(in, 10);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_install");
	TCase *tests = tcase_create("install");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests,
		       a_tail_of_a_later_term_than_the_snapshots_is_void);
	tcase_add_test(tests,
		       a_void_tail_stays_void_when_what_showed_it_is_recycled);
	tcase_add_test(tests, entries_that_agree_with_a_snapshot_are_kept);
	tcase_add_test(tests,
		       entries_that_agree_are_kept_without_the_one_that_agreed);
	tcase_add_test(
		tests,
		the_term_is_at_least_that_of_a_snapshot_that_was_received);
	tcase_add_test(tests,
		       entries_that_a_snapshot_covers_may_be_written_behind_it);
	tcase_add_test(tests,
		       a_second_snapshot_may_follow_with_no_entry_between);
	tcase_add_test(tests,
		       no_record_comes_while_a_snapshot_takes_the_logs_place);
	tcase_add_test(
		tests,
		a_bad_snapshot_is_not_replaced_by_a_log_of_another_history);
	tcase_add_test(tests,
		       what_is_appended_after_a_loss_behind_a_snapshot_counts);
	tcase_add_test(tests, a_log_agrees_only_by_what_is_durable);
	tcase_add_test(tests,
		       a_crash_at_any_point_leaves_the_old_log_or_the_snapshot);
	tcase_add_test(
		tests,
		whichever_operation_fails_leaves_the_old_log_or_the_snapshot);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
