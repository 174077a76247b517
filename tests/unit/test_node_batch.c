/*
 * How requests become entries: when a batch closes, who gets how much of a
 * pass, and what happens at every limit: the rings wait, and nobody starves.
 */
#include "tests/unit/support_handle.h"
#include "tests/unit/support_node.h"

static struct rig rig;
static struct guest alice;
static struct guest bob;

static void begin(void)
{
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
	peer_open(&bob, &rig, 2);
	/* Both sessions are known. */
	peer_put(&alice, 250, "a", "");
	peer_put(&bob, 250, "b", "");
	rig_settle(&rig);
}

static void set_up(void)
{
	rig_init(&rig);
	begin();
}

static void tear_down(void)
{
	peer_unmap(&alice);
	peer_unmap(&bob);
	rig_release(&rig);
}

/* How many requests of the peer the node has taken. */
static uint32_t taken(const struct guest *peer)
{
	uint32_t i, count = 0;

	for (i = 0; i < 250; i++)
		count += (peer->claims[i] & 3) == CV_TAKEN;
	return count;
}

/* Requests in the sealed batch at this place of the record. */
static uint32_t sealed_requests(uint32_t at)
{
	const struct sealed *sealed = &rig.node->sealed[at];

	ck_assert(sealed->own);
	return node_batch(rig.node, sealed->position)->count;
}

START_TEST(a_handle_adds_at_most_64_kib_a_pass)
{
	uint32_t length = cv_record_length(10001);
	uint32_t i;

	rig_stall(&rig);
	for (i = 0; i < 20; i++)
		peer_put_size(&alice, i, "k", 10000);
	rig_turns(&rig, 1);
	ck_assert_uint_eq(taken(&alice), NODE_PASS_SIZE / length);
	rig_turns(&rig, 1);
	ck_assert_uint_eq(taken(&alice), 2 * (NODE_PASS_SIZE / length));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 19), 0);
}
END_TEST

START_TEST(a_pass_always_takes_one_request)
{
	uint32_t size = alice.welcome.request_max - 1;

	rig_stall(&rig);
	peer_put_size(&alice, 0, "k", size);
	peer_put_size(&alice, 1, "k", 100);
	rig_turns(&rig, 1);
	ck_assert_uint_eq(taken(&alice), 1);
	rig_turns(&rig, 1);
	ck_assert_uint_eq(taken(&alice), 2);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), 0);
}
END_TEST

START_TEST(a_bulk_client_does_not_keep_another_waiting)
{
	uint32_t i;

	rig_stall(&rig);
	for (i = 0; i < 20; i++)
		peer_put_size(&alice, i, "k", 12000);
	peer_put(&bob, 0, "b", "small");
	rig_turns(&rig, 1);
	ck_assert_uint_eq(taken(&bob), 1);
	ck_assert_uint_lt(taken(&alice), 20);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 19), 0);
	ck_assert_int_eq(status_of(&bob, 0), 0);
}
END_TEST

START_TEST(each_pass_begins_with_another_handle)
{
	struct cv_request head;
	uint64_t first[2] = {0, 0};
	uint32_t i;

	/* Who is drained first has the lower revision. */
	for (i = 0; i < 10; i++) {
		head = peer_head(&alice, 0, CV_PUT);
		head.key_size = 1;
		(void)peer_write(&alice, head, "k", NULL);
		head = peer_head(&bob, 0, CV_PUT);
		head.key_size = 1;
		(void)peer_write(&bob, head, "k", NULL);
		rig_turns(&rig, 5);
		first[posted(&alice, 0)->revision >
		      posted(&bob, 0)->revision]++;
	}
	ck_assert_uint_gt(first[0], 0);
	ck_assert_uint_gt(first[1], 0);
}
END_TEST

START_TEST(a_batch_closes_at_its_size)
{
	uint64_t batches = rig.status.batches;
	uint32_t i;

	rig_stall(&rig);
	peer_put(&bob, 0, "b", "keeps the disk busy");
	rig_turns(&rig, 1);
	/* 20 of 20,000 bytes: 13 fit in 256 KiB. */
	for (i = 0; i < 20; i++) {
		peer_put_size(&alice, i, "k", 20000);
		rig_turns(&rig, 1);
	}
	ck_assert_uint_eq(taken(&alice), 20);
	ck_assert_uint_eq(rig.node->sealed_count, 1);
	ck_assert_uint_eq(sealed_requests(0), 13);
	ck_assert_uint_le(rig.node->sealed[0].size, NODE_BATCH_SIZE);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.status.batches, batches + 3);
	ck_assert_int_eq(status_of(&alice, 19), 0);
}
END_TEST

START_TEST(a_batch_closes_at_4096_requests)
{
	struct guest many[18];
	uint32_t i, k;

	rig_stall(&rig);
	peer_put(&bob, 0, "b", "keeps the disk busy");
	rig_turns(&rig, 1);
	rig.node->options.batch_size = 2 << 20;
	for (i = 0; i < 10; i++) {
		peer_init(&many[i], &rig, (uint8_t)(10 + i));
		many[i].who.hello.slots = 500;
		ck_assert_int_eq(peer_knock(&many[i]), 0);
		for (k = 0; k < 500; k++)
			peer_put(&many[i], k, "k", "v");
	}
	/* A small record buffer would be full before. */
	rig.node->buffer_last = ENTRY_SIZE_MAX;
	rig_turns(&rig, 5);
	ck_assert_uint_eq(rig.node->sealed_count, 1);
	ck_assert_uint_eq(sealed_requests(0), OP_ENTRY_OPS_MAX);
	ck_assert_uint_eq(rig.node->open.count, 5000 - OP_ENTRY_OPS_MAX);
	rig_unstall(&rig);
	rig_settle(&rig);
	for (i = 0; i < 10; i++) {
		ck_assert_uint_eq(many[i].down_words->completion, 500);
		peer_unmap(&many[i]);
	}
}
END_TEST

START_TEST(a_large_request_closes_the_batch_and_travels_alone)
{
	struct guest big;

	peer_init(&big, &rig, 3);
	big.who.hello.request_max = CV_REQUEST_MAX;
	ck_assert_int_eq(peer_knock(&big), 0);
	(void)rig_events(&rig, NODE_WELCOME);
	rig_stall(&rig);
	peer_put(&bob, 0, "b", "keeps the disk busy");
	rig_turns(&rig, 1);
	rig.node->buffer_last = ENTRY_SIZE_MAX;
	peer_put(&alice, 0, "k", "small");
	rig_turns(&rig, 1);
	peer_put_size(&big, 0, "big", CV_REQUEST_MAX - 3);
	rig_turns(&rig, 1);
	peer_put(&alice, 1, "k", "small");
	rig_turns(&rig, 1);
	ck_assert_uint_eq(rig.node->sealed_count, 2);
	ck_assert_uint_eq(sealed_requests(1), 1);
	ck_assert_uint_gt(rig.node->sealed[1].size, CV_REQUEST_MAX);
	ck_assert_uint_eq(rig.node->open.count, 1);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_int_eq(status_of(&big, 0), 0);
	ck_assert_int_eq(status_of(&alice, 1), 0);
	ck_assert_uint_lt(posted(&alice, 0)->revision,
			  posted(&big, 0)->revision);
	ck_assert_uint_lt(posted(&big, 0)->revision,
			  posted(&alice, 1)->revision);
	peer_unmap(&big);
}
END_TEST

START_TEST(the_largest_requests_follow_each_other)
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
	for (i = 0; i < 4; i++)
		peer_put_size(&big, i, "big", CV_REQUEST_MAX - 3);
	peer_put(&alice, 0, "k", "among them");
	rig_settle(&rig);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(status_of(&big, i), 0);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	peer_unmap(&big);
}
END_TEST

START_TEST(a_full_buffer_leaves_the_rings_undrained)
{
	struct guest carol;
	struct guest *all[3] = {&alice, &bob, &carol};
	uint32_t i, k, count = 0;

	peer_open(&carol, &rig, 3);
	rig_stall(&rig);
	peer_put(&carol, 249, "b", "keeps the disk busy");
	rig_turns(&rig, 1);
	for (i = 0; i < 3; i++)
		for (k = 0; k < 4; k++)
			peer_put_size(all[i], k, "k", 60000);
	rig_turns(&rig, 50);
	for (i = 0; i < 3; i++)
		count += taken(all[i]);
	/* Of 12 the buffer of half a MiB holds 8. */
	ck_assert_uint_eq(count, 9);
	rig_unstall(&rig);
	rig_settle(&rig);
	for (i = 0; i < 3; i++)
		for (k = 0; k < 4; k++)
			ck_assert_int_eq(status_of(all[i], k), 0);
	peer_unmap(&carol);
}
END_TEST

/* Bytes of the record buffer that are neither sealed nor taken. */
static uint32_t bytes_left(void)
{
	const struct node *node = rig.node;
	uint32_t used = node->buffer->used;

	if (node->open.entry)
		used += entry_size(node->open.used);
	return node->buffer->room - used;
}

/* Else there would be none for an entry that Raft makes itself. */
START_TEST(a_full_buffer_has_room_for_the_entries_of_raft)
{
	uint32_t i;

	rig_stall(&rig);
	peer_put(&alice, 249, "b", "keeps the disk busy");
	rig_turns(&rig, 1);
	for (i = 0; i < 4; i++) {
		peer_put_size(&alice, i, "k", 60000);
		peer_put_size(&bob, i, "k", 60000);
	}
	rig_turns(&rig, 50);
	for (i = 10; i < 240; i++) {
		peer_put_size(&alice, i, "k", 100);
		peer_put_size(&bob, i, "k", 100);
	}
	rig_turns(&rig, 50);
	ck_assert_uint_lt(taken(&alice) + taken(&bob), 2 * 240);
	ck_assert_uint_ge(bytes_left(), RECORD_KEPT);
	rig_unstall(&rig);
	rig_settle(&rig);
}
END_TEST

START_TEST(the_limit_of_uncommitted_bytes_is_back_pressure)
{
	uint32_t i;

	tear_down();
	rig_init(&rig);
	rig.options.uncommitted_max = 20000;
	/* Applying lags behind committing. */
	rig.options.apply_budget = 1;
	begin();
	for (i = 0; i < 200; i++)
		peer_put_size(&alice, i, "k", 1000);
	rig_settle(&rig);
	for (i = 0; i < 200; i++)
		ck_assert_int_eq(status_of(&alice, i), 0);
	ck_assert_uint_eq(rig.status.refused, 0);
}
END_TEST

START_TEST(one_request_beyond_the_limit_of_uncommitted_bytes_still_goes)
{
	tear_down();
	rig_init(&rig);
	rig.options.uncommitted_max = 1000;
	begin();
	peer_put_size(&alice, 0, "k", 5000);
	peer_put_size(&alice, 1, "k", 5000);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_int_eq(status_of(&alice, 1), 0);
}
END_TEST

START_TEST(a_full_window_of_entries_cuts_a_snapshot)
{
	uint32_t i;

	tear_down();
	rig_init(&rig);
	rig.options.entries_max = 64;
	begin();
	for (i = 0; i < 300; i++) {
		peer_put(&alice, 0, "k", "v");
		rig_settle(&rig);
		ck_assert_int_eq(status_of(&alice, 0), 0);
	}
	ck_assert_uint_gt(rig.status.snapshots, 3);
}
END_TEST

/* Puts until one is not taken any more; how many were. */
static uint32_t fill_window(void)
{
	uint32_t i;

	tear_down();
	rig_init(&rig);
	rig.options.entries_max = 64;
	begin();
	rig_stall_kinds(&rig, 1u << DISK_CREATE);
	for (i = 0; i < 100; i++) {
		peer_put(&alice, 0, "k", "v");
		rig_settle(&rig);
		if (!is_posted(&alice, 0))
			break;
		ck_assert_int_eq(status_of(&alice, 0), 0);
	}
	return i;
}

START_TEST(a_full_window_is_back_pressure_until_the_snapshot_is_made)
{
	ck_assert_uint_lt(fill_window(), 64);
	ck_assert_uint_eq(alice.claims[0] & 3, CV_QUEUED);
	rig_pass(&rig, 3000000000);
	ck_assert(!is_posted(&alice, 0));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(rig.status.snapshots, 1);
	ck_assert_uint_eq(rig.status.refused, 0);
}
END_TEST

START_TEST(a_snapshot_that_had_no_space_is_tried_again)
{
	ck_assert_uint_lt(fill_window(), 64);
	rig.disk->fault_kinds = 1u << DISK_CREATE;
	rig.disk->fault_result = -ENOSPC;
	rig.disk->fault_stays = true;
	rig_unstall(&rig);
	rig_pass(&rig, 5000000000);
	ck_assert_uint_eq(rig.status.snapshots, 0);
	ck_assert_uint_gt(rig.disk->faults, 1);
	ck_assert(!is_posted(&alice, 0));
	/* The image of the one that was given up is not pinned any more. */
	ck_assert(!rig.node->snapshotting);
	rig.disk->fault_kinds = 0;
	rig_pass(&rig, 5000000000);
	ck_assert_uint_eq(rig.status.snapshots, 1);
	ck_assert_uint_eq(rig.status.alarms, 0);
	ck_assert(is_posted(&alice, 0));
	peer_put(&alice, 1, "k", "w");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), 0);
}
END_TEST

START_TEST(a_turn_applies_a_bounded_part_of_what_is_committed)
{
	struct cv_request head;
	uint32_t i, turns;

	tear_down();
	rig_init(&rig);
	rig.options.apply_budget = 1000;
	begin();
	for (i = 0; i < 240; i++) {
		char key[4] = {'d', (char)('0' + i / 100),
			       (char)('0' + i / 10 % 10), (char)('0' + i % 10)};

		head = peer_head(&bob, i, CV_PUT);
		head.key_size = 4;
		(void)peer_write(&bob, head, key, NULL);
	}
	rig_settle(&rig);
	/* Fifty entries, each of a range delete that walks 240 keys. */
	rig_stall(&rig);
	for (i = 0; i < 50; i++) {
		head = peer_head(&alice, i, CV_DELETE);
		head.key_size = 1;
		head.value_size = 1;
		(void)peer_write(&alice, head, "d", "e");
		rig_turns(&rig, 1);
		rig.node->options.batch_size = 64;
	}
	rig_unstall(&rig);
	for (turns = 0; !is_posted(&alice, 49); turns++)
		rig_turns(&rig, 1);
	ck_assert_uint_ge(turns, 50 * 240 * 2 / 1000);
	ck_assert_uint_eq(posted(&alice, 0)->aux, 240);
	ck_assert_uint_eq(posted(&alice, 1)->aux, 0);
}
END_TEST

START_TEST(a_daemon_without_a_place_for_a_record_waits)
{
	struct node_trouble trouble;
	uint32_t i;

	/* The tail is nearly full, and no spare can be made. */
	for (i = 0; i < 32; i++) {
		peer_put_size(&alice, 0, "k", 60000);
		rig_settle(&rig);
	}
	peer_unmap(&alice);
	peer_unmap(&bob);
	rig_crash(&rig);
	mem_disk_remove(rig.disk, "segment-00000002");
	rig.disk->fault_kinds = 1u << DISK_CREATE;
	rig.disk->fault_result = -ENOSPC;
	rig.disk->fault_stays = true;
	ck_assert_int_eq(rig_try(&rig), 0);
	rig_pass(&rig, 500000000);
	ck_assert_uint_eq(rig.status.alarms, CV_ALARM_NOSPACE);
	node_trouble(rig.node, &trouble);
	ck_assert(trouble.full);
	ck_assert(!trouble.leads);
	ck_assert_uint_ne(rig.status.role, RAFT_LEADER);
	peer_open(&alice, &rig, 3);
	peer_open(&bob, &rig, 4);
	peer_ping(&bob, 0);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&bob, 0), 0);
	rig.disk->fault_kinds = 0;
	rig_pass(&rig, 5000000000);
	peer_put(&alice, 0, "k", "v");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	node_trouble(rig.node, &trouble);
	ck_assert(!trouble.full);
	ck_assert(trouble.leads);
	ck_assert_uint_eq(trouble.leader, rig.status.leader);
	ck_assert_uint_eq(trouble.term, rig.status.term);
}
END_TEST

static void add_tests(TCase *tests)
{
	tcase_add_test(tests, a_handle_adds_at_most_64_kib_a_pass);
	tcase_add_test(tests, a_pass_always_takes_one_request);
	tcase_add_test(tests, a_bulk_client_does_not_keep_another_waiting);
	tcase_add_test(tests, each_pass_begins_with_another_handle);
	tcase_add_test(tests, a_batch_closes_at_its_size);
	tcase_add_test(tests, a_batch_closes_at_4096_requests);
	tcase_add_test(tests,
		       a_large_request_closes_the_batch_and_travels_alone);
	tcase_add_test(tests, the_largest_requests_follow_each_other);
	tcase_add_test(tests, a_full_buffer_leaves_the_rings_undrained);
	tcase_add_test(tests, a_full_buffer_has_room_for_the_entries_of_raft);
	tcase_add_test(tests, the_limit_of_uncommitted_bytes_is_back_pressure);
	tcase_add_test(
		tests,
		one_request_beyond_the_limit_of_uncommitted_bytes_still_goes);
	tcase_add_test(tests, a_full_window_of_entries_cuts_a_snapshot);
	tcase_add_test(
		tests,
		a_full_window_is_back_pressure_until_the_snapshot_is_made);
	tcase_add_test(tests, a_snapshot_that_had_no_space_is_tried_again);
	tcase_add_test(tests,
		       a_turn_applies_a_bounded_part_of_what_is_committed);
	tcase_add_test(tests, a_daemon_without_a_place_for_a_record_waits);
}

int main(void)
{
	Suite *suite = suite_create("node, batches and limits");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	add_tests(tests);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
