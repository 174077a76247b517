/*
 * Reads and results: when a read may run, how long it waits, how the places
 * for reads are shared, and how clients learn that something was posted.
 */
#include "tests/unit/support_handle.h"
#include "tests/unit/support_node.h"

static struct rig rig;
static struct guest alice;
static struct guest bob;

static void set_up(void)
{
	rig_init(&rig);
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
	peer_open(&bob, &rig, 2);
}

static void tear_down(void)
{
	peer_unmap(&alice);
	peer_unmap(&bob);
	rig_release(&rig);
}

/* A get that is to come after a sequence and a revision. */
static void get_after(uint32_t slot, uint64_t after, uint64_t min_revision)
{
	struct cv_request head = get_head(slot, "k");

	head.sequence = after;
	head.settled = min_revision;
	(void)peer_write(&alice, head, "k", NULL);
}

/* A read that nothing will ever satisfy. */
static void park(struct guest *peer, uint32_t slot)
{
	struct cv_request head = get_head(slot, "k");

	head.settled = UINT64_MAX;
	(void)peer_write(peer, head, "k", NULL);
}

/* ---- order ---- */

START_TEST(a_read_after_a_proposal_sees_it)
{
	rig_stall(&rig);
	peer_put(&alice, 0, "k", "first");
	get_after(1, alice.sequence, 0);
	get_after(2, 0, 0);
	rig_turns(&rig, 10);
	/* The one that asked for no order runs at once. */
	ck_assert_int_eq(status_of(&alice, 2), 0);
	ck_assert_uint_eq(posted(&alice, 2)->aux, 0);
	ck_assert(!is_posted(&alice, 1));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_value(&alice, 1, "first");
}
END_TEST

START_TEST(a_read_waits_for_the_last_of_many_proposals)
{
	uint32_t i;

	rig_stall(&rig);
	/* More than one pass takes. */
	for (i = 0; i < 9; i++)
		peer_put_size(&alice, 10 + i, "other", 20000);
	peer_put(&alice, 0, "k", "last");
	get_after(1, alice.sequence, 0);
	rig_turns(&rig, 1);
	ck_assert(!is_posted(&alice, 1));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_value(&alice, 1, "last");
}
END_TEST

START_TEST(a_read_after_a_refused_proposal_runs)
{
	struct cv_request head = peer_head(&alice, 0, CV_PUT);

	(void)peer_write(&alice, head, NULL, NULL);
	get_after(1, alice.sequence, 0);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_EBADREQ);
	ck_assert_int_eq(status_of(&alice, 1), 0);
}
END_TEST

START_TEST(a_read_after_a_dead_record_runs)
{
	peer_put(&alice, 0, "k", "dead");
	ck_assert(cv_claim_cancel(&alice.claims[0], 1));
	get_after(1, alice.sequence, 0);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), 0);
	ck_assert_uint_eq(posted(&alice, 1)->aux, 0);
}
END_TEST

START_TEST(a_read_after_a_sequence_never_issued_runs)
{
	get_after(1, 1000, 0);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), 0);
}
END_TEST

START_TEST(a_read_waits_for_the_revision_it_was_shown)
{
	uint64_t revision = rig.status.revision;

	get_after(1, 0, revision + 1);
	rig_settle(&rig);
	ck_assert(!is_posted(&alice, 1));
	peer_put(&bob, 0, "k", "new");
	rig_settle(&rig);
	ck_assert_value(&alice, 1, "new");
}
END_TEST

START_TEST(an_outcome_is_told_when_its_request_is_settled)
{
	rig_stall(&rig);
	peer_put(&alice, 0, "k", "v");
	rig_turns(&rig, 2);
	peer_outcome(&alice, 1, alice.sequence);
	rig_turns(&rig, 10);
	ck_assert(!is_posted(&alice, 1));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), 0);
	ck_assert_uint_eq(posted(&alice, 1)->revision,
			  posted(&alice, 0)->revision);
}
END_TEST

/* ---- waiting ---- */

START_TEST(a_parked_read_ends_at_its_deadline)
{
	struct cv_request head = get_head(0, "k");

	head.settled = UINT64_MAX;
	head.deadline_ns = rig.now_ns + 1000000000;
	(void)peer_write(&alice, head, "k", NULL);
	rig_pass(&rig, 900000000);
	ck_assert(!is_posted(&alice, 0));
	rig_pass(&rig, 200000000);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_ECANCELLED);
	ck_assert_uint_eq(rig.node->read_count, 0);
}
END_TEST

START_TEST(a_parked_read_without_deadline_waits_on)
{
	park(&alice, 0);
	rig_pass(&rig, 20000000000);
	ck_assert(!is_posted(&alice, 0));
}
END_TEST

START_TEST(reads_that_are_parked_leave_places_for_others)
{
	uint32_t i;

	/* Alice fills what she can get, without a deadline. */
	for (i = 0; i < 2000; i++) {
		park(&alice, i % 200);
		rig_turns(&rig, 1);
		if (alice.down_words->control_head != alice.controls.tail)
			break;
	}
	ck_assert_uint_lt(i, 2000);
	ck_assert_uint_gt(rig.node->read_free_count, 0);
	/* So does Bob, and still there is room for a third. */
	peer_ping(&bob, 0);
	peer_get(&bob, 1, "k");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&bob, 0), 0);
	ck_assert_int_eq(status_of(&bob, 1), 0);
	/* What she cannot park stays in her ring, and the node may sleep. */
	ck_assert(node_may_sleep(rig.node));
	node_awake(rig.node);
	/* When she goes, all is free. */
	peer_close(&alice);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.node->read_free_count, NODE_READS_MAX);
	peer_open(&alice, &rig, 3);
}
END_TEST

START_TEST(many_handles_that_park_leave_places_for_one_more)
{
	struct guest many[9];
	uint32_t i, k;

	for (k = 0; k < 9; k++)
		peer_open(&many[k], &rig, (uint8_t)(10 + k));
	for (i = 0; i < 600; i++) {
		for (k = 0; k < 9; k++)
			if (cv_ring_has_room(&many[k].controls, 512))
				park(&many[k], i % 200);
		rig_turns(&rig, 1);
	}
	ck_assert_uint_gt(rig.node->read_free_count, 0);
	peer_get(&bob, 1, "k");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&bob, 1), 0);
	for (k = 0; k < 9; k++)
		peer_close(&many[k]);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.node->read_count, 0);
}
END_TEST

START_TEST(more_reads_than_places_are_all_answered)
{
	struct guest many[6];
	uint32_t i, k;

	for (k = 0; k < 6; k++) {
		peer_open(&many[k], &rig, (uint8_t)(10 + k));
		for (i = 0; i < 256; i++)
			peer_get(&many[k], i, "k");
	}
	rig_settle(&rig);
	for (k = 0; k < 6; k++) {
		for (i = 0; i < 256; i++)
			ck_assert_int_eq(status_of(&many[k], i), 0);
		ck_assert_uint_eq(many[k].down_words->completion, 256);
		peer_unmap(&many[k]);
	}
}
END_TEST

/* Puts 200 keys, r000 to r199. */
static void put_many(void)
{
	uint32_t i;

	for (i = 0; i < 200; i++) {
		struct cv_request head = peer_head(&bob, i, CV_PUT);
		char key[4] = {'r', (char)('0' + i / 100),
			       (char)('0' + i / 10 % 10), (char)('0' + i % 10)};

		head.key_size = 4;
		head.value_size = 4;
		(void)peer_write(&bob, head, key, key);
	}
	rig_settle(&rig);
}

START_TEST(a_long_range_is_read_in_slices_at_one_revision)
{
	struct cv_request head = get_head(0, "r");
	uint64_t revision;
	uint32_t i, turns;

	put_many();
	revision = rig.status.revision;
	/* A hundred others read the same, so that each gets little. */
	for (i = 1; i <= 100; i++) {
		struct cv_request other = get_head(i, "r");

		other.value_size = 1;
		other.flags = CV_COUNT_ONLY;
		(void)peer_write(&alice, other, "r", "s");
	}
	head.slot = 101;
	head.value_size = 1;
	head.flags = CV_COUNT_ONLY;
	(void)peer_write(&alice, head, "r", "s");
	rig_turns(&rig, 2);
	ck_assert(!is_posted(&alice, 101));
	/* Meanwhile keys go, and the range is as it was. */
	head = peer_head(&bob, 200, CV_DELETE);
	head.key_size = 1;
	head.value_size = 1;
	(void)peer_write(&bob, head, "r", "s");
	for (turns = 0; !is_posted(&alice, 101); turns++)
		rig_turns(&rig, 1);
	ck_assert_uint_gt(turns, 1);
	ck_assert_uint_eq(posted(&alice, 101)->aux, 200);
	ck_assert_uint_eq(posted(&alice, 101)->revision, revision);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&bob, 200), 0);
	ck_assert_uint_eq(rig.status.keys, 0);
}
END_TEST

START_TEST(a_range_gives_what_fits_and_says_that_there_is_more)
{
	struct cv_request head = get_head(0, "r");
	uint32_t each = sizeof(struct cv_record) + 8;

	put_many();
	head.value_size = 1;
	head.reply_size = 10 * each + 8;
	(void)peer_write(&alice, head, "r", "s");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(posted(&alice, 0)->aux, 10);
	ck_assert_uint_eq(posted(&alice, 0)->reply_size, 10 * each);
	ck_assert(posted(&alice, 0)->flags & CONCLAVE_RESULT_MORE);
	/* And not a byte behind its room. */
	ck_assert_uint_eq(
		alice.down[alice.welcome.reply_offset + 10 * each + 8], 0);
}
END_TEST

START_TEST(a_client_that_goes_in_the_middle_of_a_range_unpins_it)
{
	uint32_t i, round;

	put_many();
	/* More often than there are pins. */
	for (round = 0; round < 3; round++) {
		for (i = 0; i <= 100; i++) {
			struct cv_request head = get_head(i, "r");

			head.value_size = 1;
			head.flags = CV_COUNT_ONLY;
			(void)peer_write(&alice, head, "r", "s");
		}
		rig_turns(&rig, 2);
		ck_assert(!is_posted(&alice, 100));
		peer_close(&alice);
		peer_open(&alice, &rig, (uint8_t)(20 + round));
		rig_settle(&rig);
	}
	/* No pin is left: compaction reaches the newest revision. */
	for (i = 0; i < 2; i++) {
		struct cv_request head = peer_head(&bob, i, CV_DELETE);

		head.type = i ? CV_COMPACT : CV_DELETE;
		head.key_size = i ? 0 : 1;
		head.value_size = i ? 0 : 1;
		head.argument = i ? rig.status.revision : 0;
		(void)peer_write(&bob, head, "r", "s");
		rig_settle(&rig);
		ck_assert_int_eq(status_of(&bob, i), 0);
	}
	ck_assert_uint_eq(rig.status.compacted, rig.status.revision);
	{
		struct store_stats stats;

		store_stats(rig.store, &stats);
		ck_assert_uint_eq(stats.versions, 0);
	}
}
END_TEST

/* ---- telling ---- */

START_TEST(who_waits_is_woken_once_a_turn)
{
	uint32_t i;

	for (i = 0; i < 50; i++)
		peer_ping(&alice, i);
	alice.up_words->waiting = 1;
	rig_turns(&rig, 1);
	ck_assert_uint_eq(alice.down_words->completion, 50);
	ck_assert_uint_eq(rig_events(&rig, NODE_WAKE), 1);
	/* Not again, when there is nothing new. */
	rig_settle(&rig);
	ck_assert_uint_eq(rig_events(&rig, NODE_WAKE), 0);
}
END_TEST

START_TEST(who_does_not_wait_is_not_woken)
{
	peer_put(&alice, 0, "k", "v");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(rig_events(&rig, NODE_WAKE), 0);
}
END_TEST

START_TEST(who_armed_is_rung_once)
{
	alice.up_words->armed = 7;
	peer_ping(&alice, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_events(&rig, NODE_RING), 1);
	peer_ping(&alice, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_events(&rig, NODE_RING), 0);
	alice.up_words->armed = 8;
	peer_ping(&alice, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_events(&rig, NODE_RING), 1);
}
END_TEST

START_TEST(room_in_a_ring_is_told_to_who_waits_for_it)
{
	peer_put(&alice, 0, "k", "v");
	ck_assert(cv_claim_cancel(&alice.claims[0], 1));
	alice.up_words->waiting = CV_WAITING_ROOM;
	rig_turns(&rig, 1);
	ck_assert_uint_eq(alice.down_words->proposal_head,
			  alice.proposals.tail);
	ck_assert_uint_eq(rig_events(&rig, NODE_WAKE), 1);
}
END_TEST

START_TEST(who_waits_for_a_result_is_not_woken_for_room)
{
	rig_stall(&rig);
	peer_put(&alice, 0, "k", "v");
	alice.up_words->waiting = CV_WAITING_RESULT;
	rig_turns(&rig, 2);
	ck_assert_uint_eq(alice.down_words->proposal_head,
			  alice.proposals.tail);
	ck_assert_uint_eq(rig_events(&rig, NODE_WAKE), 0);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(rig_events(&rig, NODE_WAKE), 1);
}
END_TEST

START_TEST(events_of_a_handle_that_goes_go_with_it)
{
	struct node_event event;

	alice.up_words->waiting = 1;
	alice.up_words->armed = 1;
	bob.up_words->waiting = 1;
	peer_ping(&alice, 0);
	peer_ping(&bob, 0);
	rig_turns(&rig, 1);
	peer_close(&alice);
	ck_assert(node_next_event(rig.node, &event));
	ck_assert_int_eq(event.handle, bob.handle);
	ck_assert(!node_next_event(rig.node, &event));
	ck_assert_uint_eq(rig.node->event_count, 0);
	peer_open(&alice, &rig, 3);
}
END_TEST

START_TEST(events_that_nobody_took_yet_are_not_doubled)
{
	uint32_t i;

	alice.up_words->waiting = 1;
	for (i = 0; i < 20; i++) {
		alice.up_words->armed = i + 1;
		peer_ping(&alice, i);
		rig_turns(&rig, 1);
	}
	ck_assert_uint_eq(rig.node->event_count, 2);
	ck_assert_uint_eq(rig_events(&rig, NODE_WAKE), 1);
	ck_assert_uint_eq(rig.node->event_count, 0);
}
END_TEST

START_TEST(a_record_published_behind_the_announcement_is_seen)
{
	ck_assert(node_may_sleep(rig.node));
	ck_assert_uint_eq(rig.status.sleeping, 1);
	ck_assert(cv_wake_doorbell(&rig.status));
	node_awake(rig.node);
	ck_assert(!cv_wake_doorbell(&rig.status));
	peer_put(&alice, 0, "k", "v");
	ck_assert(!node_may_sleep(rig.node));
	ck_assert_uint_eq(rig.status.sleeping, 0);
	rig_settle(&rig);
	peer_ping(&alice, 1);
	ck_assert(!node_may_sleep(rig.node));
	rig_settle(&rig);
	ck_assert(node_may_sleep(rig.node));
}
END_TEST

START_TEST(a_handle_that_was_quiet_is_found_by_a_sweep)
{
	uint32_t i;

	for (i = 0; i < HOT_PASSES + 10; i++)
		rig_turns(&rig, 1);
	ck_assert_uint_eq(rig.node->hot_count, 0);
	peer_ping(&alice, 0);
	rig.now_ns += RIG_STEP_NS;
	ck_assert_int_ge(node_turn(rig.node, rig.now_ns, false), 0);
	ck_assert(!is_posted(&alice, 0));
	rig_turns(&rig, 1);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	/* From now on it is looked at again. */
	peer_ping(&alice, 0);
	ck_assert_int_gt(node_turn(rig.node, rig.now_ns, false), 0);
	ck_assert_int_eq(status_of(&alice, 0), 0);
}
END_TEST

static void add_reads(TCase *tests)
{
	tcase_add_test(tests, a_read_after_a_proposal_sees_it);
	tcase_add_test(tests, a_read_waits_for_the_last_of_many_proposals);
	tcase_add_test(tests, a_read_after_a_refused_proposal_runs);
	tcase_add_test(tests, a_read_after_a_dead_record_runs);
	tcase_add_test(tests, a_read_after_a_sequence_never_issued_runs);
	tcase_add_test(tests, a_read_waits_for_the_revision_it_was_shown);
	tcase_add_test(tests, an_outcome_is_told_when_its_request_is_settled);
	tcase_add_test(tests, a_parked_read_ends_at_its_deadline);
	tcase_add_test(tests, a_parked_read_without_deadline_waits_on);
	tcase_add_test(tests, reads_that_are_parked_leave_places_for_others);
	tcase_add_test(tests, many_handles_that_park_leave_places_for_one_more);
	tcase_add_test(tests, more_reads_than_places_are_all_answered);
	tcase_add_test(tests, a_long_range_is_read_in_slices_at_one_revision);
	tcase_add_test(tests,
		       a_range_gives_what_fits_and_says_that_there_is_more);
	tcase_add_test(tests,
		       a_client_that_goes_in_the_middle_of_a_range_unpins_it);
}

static void add_telling(TCase *tests)
{
	tcase_add_test(tests, who_waits_is_woken_once_a_turn);
	tcase_add_test(tests, who_does_not_wait_is_not_woken);
	tcase_add_test(tests, who_armed_is_rung_once);
	tcase_add_test(tests, room_in_a_ring_is_told_to_who_waits_for_it);
	tcase_add_test(tests, who_waits_for_a_result_is_not_woken_for_room);
	tcase_add_test(tests, events_of_a_handle_that_goes_go_with_it);
	tcase_add_test(tests, events_that_nobody_took_yet_are_not_doubled);
	tcase_add_test(tests,
		       a_record_published_behind_the_announcement_is_seen);
	tcase_add_test(tests, a_handle_that_was_quiet_is_found_by_a_sweep);
}

int main(void)
{
	Suite *suite = suite_create("reads and results");
	TCase *reads = tcase_create("reads");
	TCase *telling = tcase_create("telling");

	tcase_add_checked_fixture(reads, set_up, tear_down);
	tcase_add_checked_fixture(telling, set_up, tear_down);
	add_reads(reads);
	add_telling(telling);
	suite_add_tcase(suite, reads);
	suite_add_tcase(suite, telling);
	return run_suite(suite);
}
