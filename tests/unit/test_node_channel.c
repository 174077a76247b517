/*
 * The daemon's rings against what etcd does with its channels: each row of
 * the checklist that one member can show, and the test that shows it.
 *
 *  1  proposals exert back-pressure
 *       a_full_ring_is_back_pressure_and_overwrites_nothing
 *  2  no leader: wait, do not fail; failing fast is by choice
 *       without_a_leader_proposals_wait_and_reads_and_pings_flow
 *       without_a_leader_who_wants_to_fail_fast_does
 *  3  a cancel that wins means definitely not proposed
 *       a_cancel_that_wins_was_never_proposed
 *       a_cancel_that_comes_too_late_loses
 *       cancelled_records_are_reclaimed_without_a_leader
 *  4  the loop never blocks on a waiter
 *       who_never_collects_results_holds_nobody_up
 *  5  a result is posted in one phase, after it was applied; what is refused
 *     is refused before: test_intake.c
 *  6  a late completion of a reused handle is dropped
 *       results_for_a_handle_that_went_are_dropped
 *       reads_of_a_handle_that_went_touch_nothing
 *  7  replayed entries never complete a new waiter
 *       replayed_entries_complete_nobody
 *  8  completions come in the order of the log
 *       results_come_in_the_order_of_proposals
 *  9  reasons of a drop have codes: test_node_batch.c; limits wait instead
 * 10  a change of membership that is refused says so and why
 *       test_node_member.c: a_replacement_that_has_not_caught_up_is_refused, …
 * 11  who forwards keeps what it forwarded: refusals come back, and what is
 *     in doubt is proposed again, once: test_node_cluster.c, test_node_doubt.c
 * 12  stop: queued is definitely not, taken is answered
 *       a_stop_answers_what_was_taken_and_takes_no_more; test_node_stop.c
 * 13  bounded work from each ring in each turn: test_node_batch.c
 * 14  many proposals are one entry and one write
 *       what_arrives_while_the_disk_is_busy_is_one_write
 * 15  the largest request is checked again: test_intake.c
 * 16  a bound on what is committed and not applied
 *       test_node_batch.c, by bytes and by waiting
 * 17  deadlines
 *       a_deadline_is_looked_at_when_a_request_is_taken
 * 18  what a wait that ended means: shm/types.h has the codes, and
 *     tests/unit/test_client_async.c and test_client_death.c show them
 * 19  exactly once
 *       a_repeated_sequence_takes_effect_once
 * 20  no space means not applied
 *       a_full_disk_refuses_writes_before_they_are_proposed
 * 21  readers that arrive together share a round
 *       readers_that_arrive_together_share_a_round
 * 22  the leader counts itself only when its own disk has it
 *       nothing_is_posted_before_the_disk_has_it
 *       after_a_failed_write_nothing_is_posted_ever
 * 23  who asks is what the kernel said
 *       operations_carry_the_identity_of_the_handshake
 */
#include "tests/unit/support_handle.h"
#include "tests/unit/support_node.h"

static struct rig rig;
static struct guest alice;

static void set_up(void)
{
	rig_init(&rig);
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
}

static void set_up_leaderless(void)
{
	rig_init(&rig);
	rig_start_leaderless(&rig);
	peer_open(&alice, &rig, 1);
}

static void tear_down(void)
{
	peer_unmap(&alice);
	rig_release(&rig);
}

START_TEST(a_full_ring_is_back_pressure_and_overwrites_nothing)
{
	uint32_t size = 60000, count = 0;
	uint32_t length = cv_record_length(size + 4);
	uint32_t i;

	rig_stall(&rig);
	/* Until neither the node nor the ring takes more. */
	for (i = 0; i < 200; i++) {
		while (cv_ring_has_room(&alice.proposals, 2 * length + 64))
			peer_put_size(&alice, count++, "full", size);
		rig_turns(&rig, 1);
	}
	ck_assert_uint_lt(count, 100);
	ck_assert_uint_eq(alice.down_words->completion, 0);
	rig_unstall(&rig);
	rig_settle(&rig);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(status_of(&alice, i), 0);
	ck_assert_uint_eq(alice.down_words->completion, count);
}
END_TEST

START_TEST(without_a_leader_proposals_wait_and_reads_and_pings_flow)
{
	struct cv_request local = get_head(2, "k");

	peer_put(&alice, 0, "k", "v");
	peer_ping(&alice, 1);
	local.flags = CV_SERIALIZABLE;
	(void)peer_write(&alice, local, "k", NULL);
	peer_get(&alice, 3, "k");
	rig_turns(&rig, 10);
	ck_assert(!is_posted(&alice, 0));
	ck_assert_int_eq(status_of(&alice, 1), 0);
	ck_assert_int_eq(status_of(&alice, 2), 0);
	ck_assert(!is_posted(&alice, 3));
	/* Its claim is not even taken. */
	ck_assert_uint_eq(alice.claims[0], cv_claim_word(1, CV_QUEUED));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_int_eq(status_of(&alice, 3), 0);
}
END_TEST

START_TEST(without_a_leader_who_wants_to_fail_fast_does)
{
	struct cv_request put = peer_head(&alice, 0, CV_PUT);
	struct cv_request get = get_head(1, "k");

	put.key_size = 1;
	put.flags = CV_FAIL_FAST;
	get.flags = CV_FAIL_FAST;
	(void)peer_write(&alice, put, "k", NULL);
	(void)peer_write(&alice, get, "k", NULL);
	rig_turns(&rig, 2);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_ENOLEADER);
	ck_assert_int_eq(status_of(&alice, 1), CONCLAVE_ENOLEADER);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.status.keys, 0);
	/* With a leader it is like any other. */
	put.sequence = ++alice.sequence;
	(void)peer_write(&alice, put, "k", NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
}
END_TEST

START_TEST(cancelled_records_are_reclaimed_without_a_leader)
{
	uint32_t i;

	for (i = 0; i < 10; i++)
		peer_put(&alice, i, "k", "v");
	for (i = 0; i < 10; i++)
		ck_assert(cv_claim_cancel(&alice.claims[i], 1));
	peer_put(&alice, 10, "k", "v");
	rig_turns(&rig, 2);
	/* All but the last, which is alive. */
	ck_assert_uint_eq(alice.down_words->proposal_head,
			  10 * cv_record_length(2));
	ck_assert(!is_posted(&alice, 10));
	ck_assert_uint_eq(rig.status.cancelled, 10);
}
END_TEST

START_TEST(a_cancel_that_wins_was_never_proposed)
{
	peer_put(&alice, 0, "k", "cancelled");
	ck_assert(cv_claim_cancel(&alice.claims[0], 1));
	peer_get(&alice, 1, "k");
	rig_settle(&rig);
	ck_assert(!is_posted(&alice, 0));
	ck_assert_uint_eq(posted(&alice, 1)->aux, 0);
	/* The slot is free for another at once. */
	peer_put(&alice, 0, "k", "kept");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
}
END_TEST

START_TEST(a_cancel_that_comes_too_late_loses)
{
	rig_stall(&rig);
	peer_put(&alice, 0, "k", "v");
	rig_turns(&rig, 2);
	ck_assert(!cv_claim_cancel(&alice.claims[0], 1));
	ck_assert(!is_posted(&alice, 0));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
}
END_TEST

START_TEST(who_never_collects_results_holds_nobody_up)
{
	struct guest bob;
	uint32_t i;

	peer_open(&bob, &rig, 2);
	for (i = 0; i < alice.welcome.slots; i++) {
		peer_put(&alice, i, "k", "v");
		alice.up_words->waiting = 1;
		alice.up_words->armed = i;
	}
	rig_settle(&rig);
	for (i = 0; i < 1000; i++) {
		peer_put(&bob, 0, "k", "v");
		rig_settle(&rig);
		ck_assert_int_eq(status_of(&bob, 0), 0);
	}
	peer_unmap(&bob);
}
END_TEST

START_TEST(results_for_a_handle_that_went_are_dropped)
{
	struct guest heir;
	int handle = alice.handle;

	rig_stall(&rig);
	peer_put(&alice, 0, "k", "v");
	rig_turns(&rig, 2);
	peer_close(&alice);
	peer_open(&heir, &rig, 2);
	ck_assert_int_eq(heir.handle, handle);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.status.keys, 1);
	ck_assert_uint_eq(heir.slots[0].generation, 0);
	ck_assert_uint_eq(heir.down_words->completion, 0);
	/* And what it asks itself is settled by itself. */
	peer_put(&heir, 0, "k", "w");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&heir, 0), 0);
	peer_unmap(&heir);
}
END_TEST

START_TEST(reads_of_a_handle_that_went_touch_nothing)
{
	struct cv_request head = get_head(0, "a");
	struct guest heir;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		char key[4] = {'a', (char)('0' + i / 100),
			       (char)('0' + i / 10 % 10), (char)('0' + i % 10)};
		struct cv_request put = peer_head(&alice, i, CV_PUT);

		put.key_size = 4;
		(void)peer_write(&alice, put, key, NULL);
	}
	rig_settle(&rig);
	/* One waits, and 100 run in slices; then their memory is gone. */
	head.settled = 1000000;
	(void)peer_write(&alice, head, "a", NULL);
	for (i = 1; i <= 100; i++) {
		head = get_head(i, "a");
		head.value_size = 1;
		head.flags = CV_COUNT_ONLY;
		(void)peer_write(&alice, head, "a", "b");
	}
	rig_turns(&rig, 3);
	ck_assert(!is_posted(&alice, 100));
	peer_close(&alice);
	peer_open(&heir, &rig, 2);
	rig_settle(&rig);
	ck_assert_uint_eq(heir.down_words->completion, 0);
	ck_assert_uint_eq(rig.node->read_count, 0);
	ck_assert_uint_eq(rig.node->read_free_count, NODE_READS_MAX);
	ck_assert_uint_eq(rig.node->handles[heir.handle].reads, 0);
	peer_unmap(&heir);
}
END_TEST

START_TEST(replayed_entries_complete_nobody)
{
	uint32_t i;

	for (i = 0; i < 20; i++)
		peer_put(&alice, i, "k", "v");
	rig_settle(&rig);
	peer_unmap(&alice);
	rig_crash(&rig);
	ck_assert_int_eq(rig_try(&rig), 0);
	/* A client is there before the tail is committed again. */
	peer_open(&alice, &rig, 1 + 1);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.status.keys, 1);
	ck_assert_uint_eq(alice.down_words->completion, 0);
	for (i = 0; i < 20; i++)
		ck_assert_uint_eq(alice.slots[i].generation, 0);
}
END_TEST

START_TEST(results_come_in_the_order_of_proposals)
{
	uint64_t revision = 0;
	uint32_t i;

	rig.options.apply_budget = 1;
	peer_unmap(&alice);
	rig_restart(&rig);
	peer_open(&alice, &rig, 1);
	rig_stall(&rig);
	for (i = 0; i < 100; i++)
		peer_put(&alice, i, "k", "v");
	rig_turns(&rig, 2);
	rig_unstall(&rig);
	while (!is_posted(&alice, 99)) {
		rig_turns(&rig, 1);
		/* Those that are posted are the first ones, without gap. */
		for (i = 1; i < 100; i++)
			ck_assert(is_posted(&alice, i - 1) ||
				  !is_posted(&alice, i));
	}
	for (i = 0; i < 100; i++) {
		ck_assert_uint_gt(posted(&alice, i)->revision, revision);
		revision = posted(&alice, i)->revision;
	}
}
END_TEST

START_TEST(a_stop_answers_what_was_taken_and_takes_no_more)
{
	struct cv_request behind = get_head(3, "k");
	struct guest late;

	rig_stall(&rig);
	peer_put(&alice, 0, "k", "taken");
	peer_get(&alice, 1, "k");
	rig_turns(&rig, 2);
	node_drain(rig.node);
	peer_put(&alice, 2, "k", "queued");
	/* It waits for a proposal that nobody will take. */
	behind.sequence = alice.sequence;
	(void)peer_write(&alice, behind, "k", NULL);
	rig_turns(&rig, 2);
	ck_assert(!node_drained(rig.node));
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert(node_drained(rig.node));
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_int_eq(status_of(&alice, 1), 0);
	ck_assert(!is_posted(&alice, 2));
	ck_assert(cv_claim_cancel(&alice.claims[2], 1));
	/* And it may sleep meanwhile. */
	ck_assert(node_may_sleep(rig.node));
	peer_init(&late, &rig, 2);
	ck_assert_int_eq(peer_knock(&late), CONCLAVE_ESTOPPED);
}
END_TEST

START_TEST(a_read_that_waits_for_what_is_not_taken_ends_with_the_stop)
{
	struct cv_request head = get_head(1, "k");

	head.settled = 1000000; /* a revision that never comes */
	(void)peer_write(&alice, head, "k", NULL);
	rig_turns(&rig, 5);
	ck_assert(!is_posted(&alice, 1));
	node_drain(rig.node);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), CONCLAVE_ESTOPPED);
	ck_assert(node_drained(rig.node));
}
END_TEST

START_TEST(what_arrives_while_the_disk_is_busy_is_one_write)
{
	uint64_t records, batches;
	uint32_t i;

	rig_settle(&rig);
	records = rig.status.log_records;
	batches = rig.status.batches;
	rig_stall(&rig);
	peer_put(&alice, 0, "k", "first");
	rig_turns(&rig, 1);
	ck_assert_uint_eq(rig.status.log_records, records + 1);
	for (i = 1; i < 100; i++) {
		peer_put(&alice, i, "k", "later");
		rig_turns(&rig, 1);
	}
	ck_assert_uint_eq(rig.status.log_records, records + 1);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.status.log_records, records + 2);
	ck_assert_uint_eq(rig.status.batches, batches + 2);
	ck_assert_int_eq(status_of(&alice, 99), 0);
}
END_TEST

START_TEST(a_deadline_is_looked_at_when_a_request_is_taken)
{
	struct cv_request put = peer_head(&alice, 0, CV_PUT);

	put.key_size = 1;
	put.deadline_ns = rig.now_ns + 5000000000;
	(void)peer_write(&alice, put, "k", NULL);
	rig_turns(&rig, 3);
	ck_assert(!is_posted(&alice, 0));
	rig.now_ns += 6000000000;
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_ECANCELLED);
	ck_assert_uint_eq(rig.status.keys, 0);
}
END_TEST

START_TEST(a_repeated_sequence_takes_effect_once)
{
	struct cv_request head = peer_head(&alice, 0, CV_CAS);
	uint64_t revision;

	head.key_size = 1;
	(void)peer_write(&alice, head, "k", NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	revision = posted(&alice, 0)->revision;
	/* As a compare it would fail now; as a repeat it did not. */
	head.slot = 1;
	(void)peer_write(&alice, head, "k", NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), 0);
	ck_assert_uint_eq(posted(&alice, 1)->revision, revision);
	ck_assert(posted(&alice, 1)->flags & CONCLAVE_RESULT_REPEATED);
	ck_assert_uint_eq(rig.status.revision, revision);
}
END_TEST

START_TEST(a_full_disk_refuses_writes_before_they_are_proposed)
{
	struct cv_request head = peer_head(&alice, 1, CV_DELETE);
	uint64_t proposals;

	peer_put(&alice, 0, "k", "v");
	rig_settle(&rig);
	proposals = rig.status.proposals;
	rig.status.alarms = CV_ALARM_NOSPACE;
	peer_put(&alice, 0, "k", "w");
	rig_turns(&rig, 1);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_ENOSPACE);
	ck_assert_uint_eq(rig.status.proposals, proposals);
	/* What makes room is taken. */
	rig.status.alarms = CV_ALARM_NOSPACE;
	head.key_size = 1;
	(void)peer_write(&alice, head, "k", NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), 0);
	ck_assert_uint_eq(rig.status.keys, 0);
}
END_TEST

START_TEST(readers_that_arrive_together_share_a_round)
{
	uint64_t round = rig.node->read_round;
	uint32_t i;

	for (i = 0; i < 100; i++)
		peer_get(&alice, i, "k");
	rig_turns(&rig, 1);
	ck_assert_uint_eq(rig.node->read_round, round + 1);
	rig_settle(&rig);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(status_of(&alice, i), 0);
}
END_TEST

START_TEST(nothing_is_posted_before_the_disk_has_it)
{
	rig_stall(&rig);
	peer_put(&alice, 0, "k", "v");
	peer_get(&alice, 1, "k");
	rig_turns(&rig, 50);
	ck_assert(!is_posted(&alice, 0));
	/* A read does not see it either. */
	ck_assert_uint_eq(posted(&alice, 1)->aux, 0);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
}
END_TEST

START_TEST(after_a_failed_write_nothing_is_posted_ever)
{
	uint32_t i, turns;
	int code = 0;

	rig_settle(&rig);
	rig.disk->fault_kinds = 1u << DISK_WRITE_DURABLE;
	rig.disk->fault_in = 0;
	rig.disk->fault_result = -EIO;
	for (i = 0; i < 20; i++)
		peer_put(&alice, i, "k", "v");
	for (turns = 0; turns < 10 && code >= 0; turns++)
		code = rig_turn(&rig);
	ck_assert_int_eq(code, NODE_EFAILED);
	peer_ping(&alice, 20);
	for (turns = 0; turns < 10; turns++)
		ck_assert_int_eq(rig_turn(&rig), NODE_EFAILED);
	for (i = 0; i < 21; i++)
		ck_assert(!is_posted(&alice, i));
}
END_TEST

START_TEST(operations_carry_the_identity_of_the_handshake)
{
	struct store_session session;
	uint8_t hash[16];

	peer_put(&alice, 0, "k", "v");
	rig_settle(&rig);
	store_session(rig.store, alice.who.hello.session, &session);
	store_secret_hash(alice.who.hello.secret, hash);
	ck_assert_int_eq(session.state, STORE_SESSION_LIVE);
	ck_assert_uint_eq(session.uid, RIG_UID);
	ck_assert_uint_eq(session.owner, 7);
	ck_assert_mem_eq(session.secret_hash, hash, 16);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node, its channels");
	TCase *led = tcase_create("with a leader");
	TCase *leaderless = tcase_create("without a leader");

	tcase_add_checked_fixture(led, set_up, tear_down);
	tcase_add_checked_fixture(leaderless, set_up_leaderless, tear_down);
	tcase_add_test(led,
		       a_full_ring_is_back_pressure_and_overwrites_nothing);
	tcase_add_test(
		leaderless,
		without_a_leader_proposals_wait_and_reads_and_pings_flow);
	tcase_add_test(leaderless,
		       without_a_leader_who_wants_to_fail_fast_does);
	tcase_add_test(leaderless,
		       cancelled_records_are_reclaimed_without_a_leader);
	tcase_add_test(led, a_cancel_that_wins_was_never_proposed);
	tcase_add_test(led, a_cancel_that_comes_too_late_loses);
	tcase_add_test(led, who_never_collects_results_holds_nobody_up);
	tcase_add_test(led, results_for_a_handle_that_went_are_dropped);
	tcase_add_test(led, reads_of_a_handle_that_went_touch_nothing);
	tcase_add_test(led, replayed_entries_complete_nobody);
	tcase_add_test(led, results_come_in_the_order_of_proposals);
	tcase_add_test(led, a_stop_answers_what_was_taken_and_takes_no_more);
	tcase_add_test(
		led,
		a_read_that_waits_for_what_is_not_taken_ends_with_the_stop);
	tcase_add_test(led, what_arrives_while_the_disk_is_busy_is_one_write);
	tcase_add_test(leaderless,
		       a_deadline_is_looked_at_when_a_request_is_taken);
	tcase_add_test(led, a_repeated_sequence_takes_effect_once);
	tcase_add_test(led,
		       a_full_disk_refuses_writes_before_they_are_proposed);
	tcase_add_test(led, readers_that_arrive_together_share_a_round);
	tcase_add_test(led, nothing_is_posted_before_the_disk_has_it);
	tcase_add_test(led, after_a_failed_write_nothing_is_posted_ever);
	tcase_add_test(led, operations_carry_the_identity_of_the_handshake);
	suite_add_tcase(suite, led);
	suite_add_tcase(suite, leaderless);
	return run_suite(suite);
}
