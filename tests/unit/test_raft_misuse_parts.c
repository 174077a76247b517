/*
 * The parts of a core guard their invariants by themselves: each call that
 * would break one ends in an assertion, and the one next to it does not.
 */
#include "raft/conf.h"
#include "raft/entry.h"
#include "raft/log.h"
#include "raft/progress.h"
#include "raft/quorum.h"
#include "tests/unit/support_raft_death.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum sizes {
	SLOTS = 8,
	FLIGHTS = 2,
};

static struct raft_entry ring[SLOTS];
static struct raft_log log_;
static struct raft_inflight flight_ring[FLIGHTS];
static struct raft_progress progress;

static void push(uint64_t index)
{
	const struct raft_entry entry = {
		.index = index, .term = 1, .kind = ENTRY_NORMAL};

	raft_log_push(&log_, &entry);
}

/* Entries 1 .. 6; durable and handed out to 5, committed to 4, applied to 2. */
static void set_up(void)
{
	raft_log_init(&log_, ring, SLOTS, SLOTS);
	for (uint64_t i = 1; i <= 6; i++)
		push(i);
	log_.handed = 5;
	log_.stable = 5;
	log_.commit = 4;
	log_.applying = 2;
	log_.applied = 2;
	progress = (struct raft_progress){.next = 5, .match = 3};
	progress.inflights.ring = flight_ring;
	progress.inflights.capacity = FLIGHTS;
}

static void ring_right(void)
{
	raft_log_init(&log_, ring, SLOTS, 5);
}

static void ring_of_seven(void)
{
	raft_log_init(&log_, ring, 7, 5);
}

static void ring_of_none(void)
{
	raft_log_init(&log_, ring, 0, 0);
}

static void ring_smaller_than_its_log(void)
{
	raft_log_init(&log_, ring, 4, 5);
}

static void log_of_none(void)
{
	raft_log_init(&log_, ring, SLOTS, 0);
}

START_TEST(a_ring_is_a_power_of_two_and_holds_its_log)
{
	ck_assert_lives(ring_right);
	ck_assert_dies(ring_of_seven);
	ck_assert_dies(ring_of_none);
	ck_assert_dies(ring_smaller_than_its_log);
	ck_assert_dies(log_of_none);
}
END_TEST

static void push_next(void)
{
	push(7);
}

static void push_too_far(void)
{
	push(8);
}

static void push_again(void)
{
	push(6);
}

static void push_until_full(void)
{
	push(7);
	push(8);
}

static void push_into_the_full(void)
{
	push_until_full();
	push(9);
}

START_TEST(entries_follow_each_other_and_have_room)
{
	ck_assert_lives(push_next);
	ck_assert_dies(push_too_far);
	ck_assert_dies(push_again);
	ck_assert_lives(push_until_full);
	ck_assert_dies(push_into_the_full);
}
END_TEST

static void cut_the_uncommitted(void)
{
	raft_log_cut(&log_, 5);
}

static void cut_the_committed(void)
{
	raft_log_cut(&log_, 4);
}

static void cut_the_compacted(void)
{
	raft_log_compact(&log_, 2);
	log_.commit = 0;
	raft_log_cut(&log_, 2);
}

static void start_at_commit(void)
{
	raft_log_start(&log_, 4, 1);
}

static void start_before_commit(void)
{
	raft_log_start(&log_, 3, 1);
}

START_TEST(what_is_committed_is_never_cut)
{
	ck_assert_lives(cut_the_uncommitted);
	ck_assert_dies(cut_the_committed);
	ck_assert_dies(cut_the_compacted);
	ck_assert_lives(start_at_commit);
	ck_assert_dies(start_before_commit);
}
END_TEST

static void commit_the_last(void)
{
	raft_log_commit_to(&log_, 6);
}

static void commit_beyond_the_last(void)
{
	raft_log_commit_to(&log_, 7);
}

START_TEST(nothing_is_committed_that_is_not_there)
{
	ck_assert_lives(commit_the_last);
	ck_assert_dies(commit_beyond_the_last);
}
END_TEST

static void hand_out_the_committed(void)
{
	raft_log_hand_apply(&log_, 4);
}

static void hand_out_the_uncommitted(void)
{
	raft_log_hand_apply(&log_, 5);
}

static void hand_out_again(void)
{
	raft_log_hand_apply(&log_, 2);
}

static void hand_out_nothing(void)
{
	log_.applying = 4;
	(void)raft_log_apply_last(&log_);
}

static void apply_the_handed_out(void)
{
	hand_out_the_committed();
	(void)raft_log_applied_to(&log_, 4);
	raft_log_compact(&log_, 4);
}

static void apply_what_was_not(void)
{
	(void)raft_log_applied_to(&log_, 3);
}

static void apply_backwards(void)
{
	(void)raft_log_applied_to(&log_, 1);
}

static void compact_what_is_not_applied(void)
{
	raft_log_compact(&log_, 3);
}

START_TEST(the_state_machine_goes_forward_within_what_is_committed)
{
	ck_assert_lives(hand_out_the_committed);
	ck_assert_dies(hand_out_the_uncommitted);
	ck_assert_dies(hand_out_again);
	ck_assert_dies(hand_out_nothing);
	ck_assert_lives(apply_the_handed_out);
	ck_assert_dies(apply_what_was_not);
	ck_assert_dies(apply_backwards);
	ck_assert_dies(compact_what_is_not_applied);
}
END_TEST

static void fly_until_full(void)
{
	raft_inflights_add(&progress.inflights, 4, 1);
	raft_inflights_add(&progress.inflights, 5, 1);
}

static void fly_more(void)
{
	fly_until_full();
	raft_inflights_add(&progress.inflights, 6, 1);
}

static void fly_more_bytes(void)
{
	progress.inflights.size_max = 1;
	fly_until_full();
}

START_TEST(no_more_is_in_flight_than_the_window_holds)
{
	ck_assert_lives(fly_until_full);
	ck_assert_dies(fly_more);
	ck_assert_dies(fly_more_bytes);
}
END_TEST

static void next_behind_match(void)
{
	raft_progress_reset(&progress, 4, 5);
}

static void next_at_match(void)
{
	raft_progress_reset(&progress, 5, 5);
}

static void image_of_news(void)
{
	raft_progress_snapshot(&progress, 4);
}

static void image_of_what_it_has(void)
{
	raft_progress_snapshot(&progress, 3);
}

static void send_to_who_waits_for_an_image(void)
{
	image_of_news();
	raft_progress_sent(&progress, 1, 1);
}

START_TEST(a_member_is_sent_what_it_lacks)
{
	ck_assert_lives(next_behind_match);
	ck_assert_dies(next_at_match);
	ck_assert_lives(image_of_news);
	ck_assert_dies(image_of_what_it_has);
	ck_assert_dies(send_to_who_waits_for_an_image);
}
END_TEST

static void count_none(void)
{
	(void)raft_quorum_index(NULL, 0);
	(void)raft_quorum_vote(NULL, 0);
}

static void index_of_nobody(void)
{
	(void)raft_quorum_index(NULL, 1);
}

static void vote_of_nobody(void)
{
	(void)raft_quorum_vote(NULL, 1);
}

START_TEST(a_majority_is_of_somebody)
{
	ck_assert_lives(count_none);
	ck_assert_dies(index_of_nobody);
	ck_assert_dies(vote_of_nobody);
}
END_TEST

static struct raft_conf_changes changes;

static void encode_all(void)
{
	static uint8_t
		bytes[RAFT_CONF_HEADER + RAFT_CHANGES_MAX * RAFT_CONF_CHANGE];

	changes.count = RAFT_CHANGES_MAX;
	raft_conf_encode(&changes, bytes);
}

static void encode_too_many(void)
{
	static uint8_t bytes[RAFT_CONF_HEADER +
			     (RAFT_CHANGES_MAX + 1) * RAFT_CONF_CHANGE];

	changes.count = RAFT_CHANGES_MAX + 1;
	raft_conf_encode(&changes, bytes);
}

static void decode_right(void)
{
	(void)!raft_conf_decode(ENTRY_CONF_V2, NULL, 0, &changes);
}

static void decode_what_is_no_change(void)
{
	(void)!raft_conf_decode(ENTRY_NORMAL, NULL, 0, &changes);
}

START_TEST(changes_of_membership_have_a_kind_and_a_limit)
{
	ck_assert_lives(encode_all);
	ck_assert_dies(encode_too_many);
	ck_assert_lives(decode_right);
	ck_assert_dies(decode_what_is_no_change);
}
END_TEST

static struct entry_header header;

static void seal_right(void)
{
	header = (struct entry_header){.kind = ENTRY_EMPTY};
	entry_seal(&header);
	entry_stamp(&header, 1, 1);
}

static void seal_too_large(void)
{
	header = (struct entry_header){.kind = ENTRY_EMPTY,
				       .size = ENTRY_PAYLOAD_MAX + 1};
	entry_seal(&header);
}

static void seal_no_kind(void)
{
	header = (struct entry_header){0};
	entry_seal(&header);
}

static void seal_a_kind_of_the_future(void)
{
	header = (struct entry_header){.kind = ENTRY_KIND_MAX + 1};
	entry_seal(&header);
}

static void stamp_the_unsealed(void)
{
	header = (struct entry_header){.kind = ENTRY_EMPTY};
	entry_stamp(&header, 1, 1);
}

static void stamp_without_index(void)
{
	header = (struct entry_header){.kind = ENTRY_EMPTY};
	entry_seal(&header);
	entry_stamp(&header, 0, 1);
}

START_TEST(an_entry_is_sealed_before_it_is_stamped)
{
	ck_assert_lives(seal_right);
	ck_assert_dies(seal_too_large);
	ck_assert_dies(seal_no_kind);
	ck_assert_dies(seal_a_kind_of_the_future);
	ck_assert_dies(stamp_the_unsealed);
	ck_assert_dies(stamp_without_index);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_ring_is_a_power_of_two_and_holds_its_log);
	tcase_add_test(all, entries_follow_each_other_and_have_room);
	tcase_add_test(all, what_is_committed_is_never_cut);
	tcase_add_test(all, nothing_is_committed_that_is_not_there);
	tcase_add_test(all,
		       the_state_machine_goes_forward_within_what_is_committed);
	tcase_add_test(all, no_more_is_in_flight_than_the_window_holds);
	tcase_add_test(all, a_member_is_sent_what_it_lacks);
	tcase_add_test(all, a_majority_is_of_somebody);
	tcase_add_test(all, changes_of_membership_have_a_kind_and_a_limit);
	tcase_add_test(all, an_entry_is_sealed_before_it_is_stamped);
}

int main(void)
{
	Suite *suite = suite_create("raft, misuse of its parts");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, NULL);
	add_tests(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
