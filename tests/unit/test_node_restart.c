/*
 * What survives: replay of the log, snapshots that a log entry cuts, images
 * and restarts from them, compaction of history and of the log.
 */
#include "tests/unit/support_handle.h"
#include "tests/unit/support_node.h"

enum {
	WRITTEN_MAX = 250,
};

static struct rig rig;
static struct guest alice;

static void begin(void)
{
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
}

static void set_up(void)
{
	rig_init(&rig);
	begin();
}

static void tear_down(void)
{
	peer_unmap(&alice);
	rig_release(&rig);
}

/* The daemon dies; then it is there again, and so is Alice. */
static void restart(void)
{
	peer_unmap(&alice);
	rig_restart(&rig);
	ck_assert_int_eq(peer_resume(&alice), 0);
}

static void key_of(uint32_t number, char key[5])
{
	key[0] = 'k';
	key[1] = (char)('0' + number / 100 % 10);
	key[2] = (char)('0' + number / 10 % 10);
	key[3] = (char)('0' + number % 10);
	key[4] = 0;
}

static void put_number(uint32_t slot, uint32_t number, uint32_t size)
{
	char key[5];

	key_of(number, key);
	peer_put_size(&alice, slot, key, size);
}

/* Is the key there? */
static bool has(uint32_t number)
{
	struct cv_request head;
	char key[5];

	key_of(number, key);
	head = get_head(255, key);
	head.flags = CV_COUNT_ONLY;
	(void)peer_write(&alice, head, key, NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 255), 0);
	return posted(&alice, 255)->aux == 1;
}

static struct store_hash hash_now(void)
{
	struct store_hash hash;

	store_hash(rig.store, &hash);
	return hash;
}

static void check_store(void)
{
	const char *what = "";

	ck_assert_msg(!store_check(rig.store, &what), "%s", what);
}

START_TEST(what_was_acknowledged_is_there_after_a_crash)
{
	uint64_t revision;
	uint32_t i;

	for (i = 0; i < 100; i++)
		put_number(i, i, 100);
	rig_settle(&rig);
	revision = rig.status.revision;
	restart();
	ck_assert_uint_eq(rig.status.revision, revision);
	for (i = 0; i < 100; i++)
		ck_assert(has(i));
	check_store();
}
END_TEST

START_TEST(a_crash_in_any_turn_loses_nothing_that_was_acknowledged)
{
	uint32_t turn, turns, i;
	bool acked[WRITTEN_MAX];
	uint32_t written = 0;

	memset(acked, 0, sizeof(acked));
	for (turn = 0; turn < 12; turn++) {
		uint32_t first = written;

		for (i = 0; i < 20; i++)
			put_number(i, written++, 3000);
		for (turns = 0; turns < turn; turns++)
			rig_turns(&rig, 1);
		for (i = 0; i < 20; i++)
			acked[first + i] = is_posted(&alice, i);
		restart();
		/* Each one is settled, one way or the other, and for good. */
		for (i = 0; i < 20; i++) {
			int32_t status;

			peer_outcome(&alice, 200, first + i + 1);
			rig_settle(&rig);
			status = status_of(&alice, 200);
			ck_assert(status == 0 ||
				  status == CONCLAVE_ENOTAPPLIED);
			ck_assert(!acked[first + i] || !status);
			ck_assert_int_eq(has(first + i), status == 0);
		}
	}
	ck_assert(acked[written - 1]);
	ck_assert(!acked[0]);
	check_store();
}
END_TEST

START_TEST(the_state_after_a_restart_is_the_state_before)
{
	struct store_hash before;
	uint32_t i;

	for (i = 0; i < 200; i++)
		put_number(i, i % 50, 500);
	rig_settle(&rig);
	before = hash_now();
	peer_unmap(&alice);
	rig_restart(&rig);
	ck_assert_uint_eq(before.low, hash_now().low);
	ck_assert_uint_eq(before.high, hash_now().high);
	peer_open(&alice, &rig, 2);
}
END_TEST

START_TEST(a_tail_that_was_not_committed_is_committed_after_the_restart)
{
	uint32_t i;

	/* The last record is durable; that it is, no later one tells. */
	put_number(0, 0, 100);
	rig_turns(&rig, 1);
	for (i = 0; i < 5 && !is_posted(&alice, 0); i++)
		rig_turns(&rig, 1);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	peer_unmap(&alice);
	rig_crash(&rig);
	ck_assert_int_eq(rig_try(&rig), 0);
	ck_assert_uint_lt(rig.report.hard.commit, rig.report.last_index);
	ck_assert_uint_lt(store_applied(rig.store), rig.report.last_index);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.status.keys, 1);
	ck_assert_int_eq(peer_resume(&alice), 0);
	ck_assert(has(0));
}
END_TEST

START_TEST(the_largest_tail_is_replayed)
{
	struct guest big;
	uint32_t i;

	tear_down();
	rig_init(&rig);
	rig.settings.quota_bytes = 16 << 20;
	begin();
	peer_init(&big, &rig, 3);
	big.who.hello.request_max = CV_REQUEST_MAX;
	ck_assert_int_eq(peer_knock(&big), 0);
	(void)peer_event(&big, NODE_WELCOME);
	for (i = 0; i < 3; i++) {
		peer_put_size(&big, i, "big", CV_REQUEST_MAX - 3);
		rig_turns(&rig, 1);
	}
	while (!is_posted(&big, 2))
		rig_turns(&rig, 1);
	ck_assert_int_eq(status_of(&big, 2), 0);
	peer_unmap(&big);
	peer_unmap(&alice);
	rig_restart(&rig);
	ck_assert_uint_eq(rig.status.keys, 1);
	ck_assert_uint_eq(rig.status.revision, 4);
	peer_open(&alice, &rig, 4);
}
END_TEST

START_TEST(sessions_survive_and_tell_what_became_of_each)
{
	uint64_t revisions[50];
	uint32_t i;

	for (i = 0; i < 50; i++)
		put_number(i, i, 10);
	rig_settle(&rig);
	for (i = 0; i < 50; i++)
		revisions[i] = posted(&alice, i)->revision;
	restart();
	ck_assert_uint_eq(alice.who.hello.epoch, 2);
	for (i = 0; i < 50; i++)
		peer_outcome(&alice, i, i + 1);
	peer_outcome(&alice, 50, 51);
	rig_settle(&rig);
	for (i = 0; i < 50; i++) {
		ck_assert_int_eq(status_of(&alice, i), 0);
		ck_assert_uint_eq(posted(&alice, i)->revision, revisions[i]);
	}
	ck_assert_int_eq(status_of(&alice, 50), CONCLAVE_ENOTAPPLIED);
}
END_TEST

/* ---- snapshots ---- */

/* Small enough that some hundred KiB of log make a snapshot due. */
static void set_up_snapshots(void)
{
	rig_init(&rig);
	rig.wal_options.snapshot_after = 200 << 10;
	begin();
}

/* Puts until so many snapshots are made. */
static void write_until(uint64_t snapshots)
{
	uint32_t i;

	for (i = 0; rig.status.snapshots < snapshots; i++) {
		ck_assert_uint_lt(i, 2000);
		put_number(i % 100, i % 100, 3000);
		rig_settle(&rig);
		ck_assert_int_eq(status_of(&alice, i % 100), 0);
		if (i % 100 == 99) {
			struct cv_request head =
				peer_head(&alice, 101, CV_COMPACT);

			head.argument = rig.status.revision;
			(void)peer_write(&alice, head, NULL, NULL);
			rig_settle(&rig);
		}
		alice.settled = alice.sequence;
	}
}

START_TEST(a_snapshot_is_cut_by_an_entry_and_the_log_shrinks)
{
	write_until(1);
	ck_assert_uint_gt(wal_snapshot_index(rig.wal), 0);
	ck_assert_ptr_null(
		raft_entry_at(rig.node->raft, wal_snapshot_index(rig.wal)));
	write_until(4);
	ck_assert_uint_le(rig.status.log_size, 8 << 20);
}
END_TEST

START_TEST(a_restart_from_a_snapshot_has_the_same_state)
{
	struct store_hash before;
	uint64_t revision;
	uint32_t i;

	write_until(2);
	for (i = 0; i < 10; i++)
		put_number(i, 500 + i, 100);
	rig_settle(&rig);
	before = hash_now();
	revision = rig.status.revision;
	peer_unmap(&alice);
	rig_crash(&rig);
	ck_assert_int_eq(rig_try(&rig), 0);
	ck_assert_uint_gt(rig.report.snapshot_index, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(before.low, hash_now().low);
	ck_assert_uint_eq(before.high, hash_now().high);
	ck_assert_uint_eq(rig.status.revision, revision);
	check_store();
	/* The session is in the image. */
	ck_assert_int_eq(peer_resume(&alice), 0);
	for (i = 0; i < 10; i++)
		ck_assert(has(500 + i));
	/* And it goes on: the next one is cut. */
	rig.status.snapshots = 0;
	write_until(1);
}
END_TEST

START_TEST(a_crash_in_any_turn_of_a_snapshot_falls_back_to_the_one_before)
{
	struct store_hash before;
	uint32_t turns, i;

	write_until(1);
	for (turns = 1; turns < 25; turns += 3) {
		/* Until one is being written. */
		for (i = 0; !rig.node->snapshotting; i++) {
			ck_assert_uint_lt(i, 5000);
			if (!i || is_posted(&alice, 0))
				put_number(0, i % 100, 3000);
			alice.settled = alice.sequence;
			rig_turns(&rig, 1);
		}
		rig_turns(&rig, turns);
		before = hash_now();
		i = (uint32_t)rig.node->applied;
		peer_unmap(&alice);
		rig_crash(&rig);
		ck_assert_int_eq(rig_try(&rig), 0);
		ck_assert_uint_gt(rig.report.snapshot_index, 0);
		ck_assert_uint_ge(rig.report.last_index, i);
		rig_settle(&rig);
		if (rig.report.last_index == i)
			ck_assert_uint_eq(before.low, hash_now().low);
		check_store();
		ck_assert_int_eq(peer_resume(&alice), 0);
	}
}
END_TEST

START_TEST(writes_go_on_while_an_image_is_written)
{
	uint32_t i, during = 0;

	write_until(1);
	for (i = 0; rig.status.snapshots < 2; i++) {
		ck_assert_uint_lt(i, 20000);
		if (!i || is_posted(&alice, 0)) {
			put_number(0, i % 100, 3000);
			alice.settled = alice.sequence;
			during += wal_snapshot_active(rig.wal);
		}
		rig_turns(&rig, 1);
	}
	ck_assert_uint_gt(during, 0);
	rig_settle(&rig);
	restart();
	check_store();
}
END_TEST

START_TEST(a_snapshot_of_another_cluster_is_refused)
{
	write_until(1);
	peer_unmap(&alice);
	rig_crash(&rig);
	/* The folder is the log's to check; the head is the node's. */
	rig.options.cluster[0] ^= 1;
	ck_assert_int_eq(rig_try(&rig), -EBADMSG);
	rig_crash(&rig);
	rig.options.cluster[0] ^= 1;
	rig_start(&rig);
	peer_open(&alice, &rig, 2);
}
END_TEST

START_TEST(a_stop_drops_the_snapshot_that_is_being_written)
{
	uint32_t i;

	write_until(1);
	for (i = 0; !rig.node->snapshotting; i++) {
		ck_assert_uint_lt(i, 5000);
		if (!i || is_posted(&alice, 0))
			put_number(0, i % 100, 3000);
		rig_turns(&rig, 1);
	}
	node_drain(rig.node);
	rig_settle(&rig);
	ck_assert(node_drained(rig.node));
	ck_assert(!rig.node->snapshotting);
	wal_close(rig.wal);
	restart();
	check_store();
}
END_TEST

/* ---- retention ---- */

START_TEST(history_is_compacted_to_what_is_retained)
{
	struct store_stats stats;
	uint64_t old;
	uint32_t i;

	tear_down();
	rig_init(&rig);
	rig.settings.retention_ms = 60000;
	begin();
	for (i = 0; i < 100; i++)
		put_number(i, 1, 100);
	rig_settle(&rig);
	old = rig.status.revision;
	rig_pass(&rig, 30000000000);
	ck_assert_uint_eq(rig.status.compacted, 0);
	put_number(0, 1, 100);
	rig_pass(&rig, 32000000000);
	ck_assert_uint_eq(rig.status.compacted, old);
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 2);
	/* Without a write there is nothing to compact, and no entry for it. */
	rig_pass(&rig, 32000000000);
	old = rig.status.commit;
	rig_pass(&rig, 60000000000);
	ck_assert_uint_eq(rig.status.commit, old);
	ck_assert_uint_eq(rig.status.compacted, rig.status.revision);
}
END_TEST

START_TEST(without_retention_history_stays)
{
	uint32_t i;

	for (i = 0; i < 100; i++)
		put_number(i, 1, 100);
	rig_pass(&rig, 20000000000);
	ck_assert_uint_eq(rig.status.compacted, 0);
}
END_TEST

START_TEST(an_idle_node_is_idle)
{
	uint64_t records;
	uint32_t i, worked = 0;

	rig_pass(&rig, 1000000000);
	records = rig.status.log_records;
	for (i = 0; i < 1000; i++) {
		rig.now_ns += RIG_TICK_NS;
		worked += rig_turn(&rig) > 0;
	}
	/* Ten seconds: no write, and hardly any work. */
	ck_assert_uint_eq(rig.status.log_records, records);
	ck_assert_uint_lt(worked, 10);
}
END_TEST

static void add_replay(TCase *tests)
{
	tcase_add_test(tests, what_was_acknowledged_is_there_after_a_crash);
	tcase_add_test(tests,
		       a_crash_in_any_turn_loses_nothing_that_was_acknowledged);
	tcase_add_test(tests, the_state_after_a_restart_is_the_state_before);
	tcase_add_test(
		tests,
		a_tail_that_was_not_committed_is_committed_after_the_restart);
	tcase_add_test(tests, the_largest_tail_is_replayed);
	tcase_add_test(tests, sessions_survive_and_tell_what_became_of_each);
	tcase_add_test(tests, history_is_compacted_to_what_is_retained);
	tcase_add_test(tests, without_retention_history_stays);
	tcase_add_test(tests, an_idle_node_is_idle);
}

static void add_snapshots(TCase *tests)
{
	tcase_add_test(tests,
		       a_snapshot_is_cut_by_an_entry_and_the_log_shrinks);
	tcase_add_test(tests, a_restart_from_a_snapshot_has_the_same_state);
	tcase_add_test(
		tests,
		a_crash_in_any_turn_of_a_snapshot_falls_back_to_the_one_before);
	tcase_add_test(tests, writes_go_on_while_an_image_is_written);
	tcase_add_test(tests, a_snapshot_of_another_cluster_is_refused);
	tcase_add_test(tests, a_stop_drops_the_snapshot_that_is_being_written);
}

int main(void)
{
	Suite *suite = suite_create("node, crash and restart");
	TCase *replay = tcase_create("replay");
	TCase *snapshots = tcase_create("snapshots");

	tcase_add_checked_fixture(replay, set_up, tear_down);
	tcase_add_checked_fixture(snapshots, set_up_snapshots, tear_down);
	tcase_set_timeout(replay, 60);
	tcase_set_timeout(snapshots, 60);
	add_replay(replay);
	add_snapshots(snapshots);
	suite_add_tcase(suite, replay);
	suite_add_tcase(suite, snapshots);
	return run_suite(suite);
}
