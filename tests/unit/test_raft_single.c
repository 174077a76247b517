/*
 * The core with one voter: what is withheld until the disk answers, what is
 * handed to apply and when, what is refused, and how it comes back after a
 * restart.
 */
#include "tests/unit/support_raft.h"

#include <check.h>
#include <stdlib.h>

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 1);
	one.options.entries_max = 64;
	one.options.check_quorum = true;
	one.options.lease = true;
	core_start(&one);
}

static void tear_down(void)
{
	core_release(&one);
}

static int propose(uint32_t size, uint64_t *ret_index)
{
	struct raft_entry entry = {.kind = ENTRY_NORMAL, .size = size};
	uint64_t term;

	return raft_propose(one.raft, &entry, ret_index, &term);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

START_TEST(wins_only_when_its_own_vote_is_durable)
{
	ck_assert(!raft_has_ready(one.raft));
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert(core_take(&one));
	ck_assert(one.ready.must_sync);
	ck_assert(one.ready.hard_changed);
	ck_assert_uint_eq(one.ready.hard.term, 1);
	ck_assert_uint_eq(one.ready.hard.vote, 1);
	ck_assert_uint_eq(one.ready.role, RAFT_CANDIDATE);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert(!raft_has_ready(one.raft));
	core_persist(&one);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert(core_take(&one));
	ck_assert(one.ready.soft_changed);
	ck_assert_uint_eq(one.ready.leader, 1);
	ck_assert_uint_eq(one.ready.append_first, 1);
	ck_assert_uint_eq(one.ready.append_last, 1);
	ck_assert_uint_eq(raft_entry_at(one.raft, 1)->kind, ENTRY_EMPTY);
	ck_assert_uint_eq(raft_entry_at(one.raft, 1)->term, 1);
}
END_TEST

START_TEST(campaigns_by_itself_after_the_timeout)
{
	unsigned int ticks = 0;

	while (status()->role == RAFT_FOLLOWER && ticks < 100) {
		raft_tick(one.raft);
		ticks++;
	}
	ck_assert_uint_ge(ticks, 10);
	ck_assert_uint_lt(ticks, 20);
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(counts_its_own_entry_only_when_durable)
{
	uint64_t index;

	core_lead(&one);
	ck_assert_int_eq(propose(100, &index), 0);
	ck_assert_uint_eq(index, 2);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.append_first, 2);
	ck_assert_uint_eq(one.ready.append_last, 2);
	ck_assert_uint_eq(one.ready.apply_first, 0);
	ck_assert(!raft_has_ready(one.raft));
	ck_assert_uint_eq(status()->commit, 1);
	core_persist(&one);
	ck_assert_uint_eq(status()->commit, 2);
	ck_assert_uint_eq(status()->stable_index, 2);
	ck_assert(core_take(&one));
	ck_assert(!one.ready.must_sync);
	ck_assert(one.ready.hard_changed);
	ck_assert_uint_eq(one.ready.hard.commit, 2);
	ck_assert_uint_eq(one.ready.apply_first, 2);
	ck_assert_uint_eq(one.ready.apply_last, 2);
	raft_applied(one.raft, 2);
	ck_assert_uint_eq(status()->applied, 2);
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

START_TEST(several_writes_in_flight_release_in_order)
{
	uint64_t index, first, second;

	core_lead(&one);
	ck_assert_int_eq(propose(1, &index), 0);
	ck_assert(core_take(&one));
	first = one.ready.number;
	ck_assert_int_eq(propose(1, &index), 0);
	ck_assert_int_eq(propose(1, &index), 0);
	ck_assert(core_take(&one));
	second = one.ready.number;
	ck_assert_uint_gt(second, first);
	ck_assert_uint_eq(one.ready.append_first, 3);
	ck_assert_uint_eq(one.ready.append_last, 4);
	raft_persisted(one.raft, first, 2, 1);
	ck_assert_uint_eq(status()->commit, 2);
	raft_persisted(one.raft, second, 4, 1);
	ck_assert_uint_eq(status()->commit, 4);
}
END_TEST

START_TEST(a_later_number_releases_the_earlier_ones)
{
	uint64_t index;

	core_lead(&one);
	ck_assert_int_eq(propose(1, &index), 0);
	ck_assert(core_take(&one));
	ck_assert_int_eq(propose(1, &index), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert_uint_eq(status()->commit, 3);
	/* Told again, or late, it changes nothing. */
	raft_persisted(one.raft, one.ready.number - 1, 2, 1);
	ck_assert_uint_eq(status()->commit, 3);
}
END_TEST

START_TEST(hands_out_no_more_than_may_be_unapplied)
{
	uint64_t index;

	one.options.committed_size_max = 2 * entry_size(1000);
	core_start(&one);
	core_lead(&one);
	for (unsigned int i = 0; i < 5; i++)
		ck_assert_int_eq(propose(1000, &index), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 2);
	ck_assert_uint_eq(one.ready.apply_last, 3);
	ck_assert(!raft_has_ready(one.raft));
	raft_applied(one.raft, 2);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 4);
	ck_assert_uint_eq(one.ready.apply_last, 4);
	raft_applied(one.raft, 3);
	raft_applied(one.raft, 4);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 5);
	ck_assert_uint_eq(one.ready.apply_last, 6);
}
END_TEST

START_TEST(hands_out_one_entry_larger_than_the_limit)
{
	uint64_t index;

	one.options.committed_size_max = 10;
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(propose(1000, &index), 0);
	ck_assert_int_eq(propose(1000, &index), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 2);
	ck_assert_uint_eq(one.ready.apply_last, 2);
	raft_applied(one.raft, 2);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 3);
}
END_TEST

START_TEST(refuses_beyond_the_uncommitted_limit)
{
	uint64_t index = 77;

	one.options.uncommitted_size_max = 1024;
	core_start(&one);
	core_lead(&one);
	ck_assert_uint_eq(status()->uncommitted_size, 0);
	/* The first on an empty tail passes, whatever its size. */
	ck_assert_int_eq(propose(2000, &index), 0);
	ck_assert_int_eq(propose(1, &index), RAFT_EDROPPED_LOG_FULL);
	ck_assert_uint_eq(index, 2);
	/* One without payload always does. */
	ck_assert_int_eq(propose(0, &index), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->uncommitted_size, 0);
	ck_assert_int_eq(propose(1000, &index), 0);
	ck_assert_int_eq(propose(24, &index), 0);
	ck_assert_int_eq(propose(1, &index), RAFT_EDROPPED_LOG_FULL);
}
END_TEST

START_TEST(refuses_when_the_window_is_full_until_compacted)
{
	uint64_t index;
	unsigned int count = 0;
	int err;

	core_lead(&one);
	while ((err = propose(1, &index)) == 0)
		count++;
	ck_assert_int_eq(err, RAFT_EDROPPED_LOG_FULL);
	ck_assert_uint_gt(count, 40);
	ck_assert_uint_le(count, 64);
	core_settle(&one);
	ck_assert_int_eq(propose(1, &index), RAFT_EDROPPED_LOG_FULL);
	raft_compact(one.raft, status()->applied);
	ck_assert_int_eq(propose(1, &index), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, index);
}
END_TEST

START_TEST(refuses_without_a_leader)
{
	uint64_t index;

	ck_assert_int_eq(propose(1, &index), RAFT_EDROPPED_NO_LEADER);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_int_eq(propose(1, &index), RAFT_EDROPPED_NO_LEADER);
}
END_TEST

START_TEST(window_wraps_and_keeps_its_entries)
{
	uint64_t index = 0;

	core_lead(&one);
	for (unsigned int i = 0; i < 1000; i++) {
		ck_assert_int_eq(propose(i, &index), 0);
		core_settle(&one);
		ck_assert_uint_eq(raft_entry_at(one.raft, index)->size, i);
		ck_assert_uint_eq(raft_entry_at(one.raft, index)->index, index);
		if (index > 20)
			raft_compact(one.raft, index - 20);
	}
	ck_assert_ptr_null(raft_entry_at(one.raft, index - 20));
	ck_assert_ptr_nonnull(raft_entry_at(one.raft, index - 19));
	ck_assert_ptr_null(raft_entry_at(one.raft, index + 1));
	ck_assert_uint_eq(status()->first_index, index - 19);
}
END_TEST

START_TEST(evicted_bytes_are_forgotten_and_lent_again)
{
	static const char bytes[8];
	struct raft_entry entry = {
		.kind = ENTRY_NORMAL, .size = 1, .data = bytes};
	uint64_t index, term;

	core_lead(&one);
	ck_assert_int_eq(raft_propose(one.raft, &entry, &index, &term), 0);
	ck_assert_int_eq(raft_propose(one.raft, &entry, &index, &term), 0);
	core_settle(&one);
	ck_assert_ptr_eq(raft_entry_at(one.raft, 2)->data, bytes);
	raft_evict(one.raft, 2);
	ck_assert_ptr_null(raft_entry_at(one.raft, 2)->data);
	ck_assert_ptr_eq(raft_entry_at(one.raft, 3)->data, bytes);
	raft_lend(one.raft, 2, bytes);
	ck_assert_ptr_eq(raft_entry_at(one.raft, 2)->data, bytes);
	raft_evict(one.raft, 3);
	ck_assert_ptr_null(raft_entry_at(one.raft, 2)->data);
	ck_assert_ptr_null(raft_entry_at(one.raft, 3)->data);
}
END_TEST

START_TEST(bytes_not_on_disk_yet_are_not_evicted)
{
	static const char bytes[8];
	struct raft_entry entry = {
		.kind = ENTRY_NORMAL, .size = 1, .data = bytes};
	uint64_t index, term;

	core_lead(&one);
	ck_assert_int_eq(raft_propose(one.raft, &entry, &index, &term), 0);
	raft_evict(one.raft, index);
	ck_assert_ptr_eq(raft_entry_at(one.raft, index)->data, bytes);
}
END_TEST

START_TEST(restarts_from_hard_state_snapshot_and_entries)
{
	static const uint64_t terms[] = {6, 6, 6, 7, 7, 0};
	uint64_t index;

	one.hard.term = 7;
	one.hard.vote = 1;
	one.hard.commit = 103;
	one.saved.index = 100;
	one.saved.term = 5;
	core_load(&one, terms);
	core_start(&one);
	core_restored(&one, 101);
	ck_assert_uint_eq(status()->term, 7);
	ck_assert_uint_eq(status()->vote, 1);
	ck_assert_uint_eq(status()->commit, 103);
	ck_assert_uint_eq(status()->applied, 101);
	ck_assert_uint_eq(status()->first_index, 101);
	ck_assert_uint_eq(status()->last_index, 105);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert(core_take(&one));
	ck_assert(!one.ready.hard_changed);
	ck_assert(!one.ready.must_sync);
	ck_assert_uint_eq(one.ready.append_first, 0);
	ck_assert_uint_eq(one.ready.apply_first, 102);
	ck_assert_uint_eq(one.ready.apply_last, 103);
	core_apply(&one);
	core_lead(&one);
	/* The old entries are committed through the new term's first one. */
	ck_assert_uint_eq(status()->term, 8);
	ck_assert_uint_eq(status()->commit, 106);
	ck_assert_uint_eq(status()->applied, 106);
	ck_assert_int_eq(propose(1, &index), 0);
	ck_assert_uint_eq(index, 107);
}
END_TEST

START_TEST(refuses_to_load_what_does_not_follow)
{
	struct raft_entry entry = {.index = 1, .term = 2, .kind = 1};

	one.hard.term = 3;
	core_start(&one);
	ck_assert_int_eq(raft_load(one.raft, &entry), 0);
	entry.index = 3;
	ck_assert_int_eq(raft_load(one.raft, &entry), RAFT_EINVALID);
	entry.index = 2;
	entry.term = 1; /* terms never fall along a log */
	ck_assert_int_eq(raft_load(one.raft, &entry), RAFT_EINVALID);
	entry.term = 4; /* nor pass the hard state's */
	ck_assert_int_eq(raft_load(one.raft, &entry), RAFT_EINVALID);
	entry.term = 3;
	ck_assert_int_eq(raft_load(one.raft, &entry), 0);
}
END_TEST

START_TEST(refuses_to_load_more_than_the_window)
{
	struct raft_entry entry = {.term = 1, .kind = 1};

	one.hard.term = 1;
	core_start(&one);
	for (entry.index = 1; entry.index <= 64; entry.index++)
		ck_assert_int_eq(raft_load(one.raft, &entry), 0);
	ck_assert_int_eq(raft_load(one.raft, &entry), RAFT_EFULL);
}
END_TEST

static int init_err(void)
{
	void *room = aligned_alloc(64, 1 << 22);
	struct raft *out;
	int err;

	ck_assert_ptr_nonnull(room);
	err = raft_init(&out, &one.options, &one.hard, &one.saved, room);
	free(room);
	return err;
}

START_TEST(refuses_impossible_options)
{
	ck_assert_int_eq(init_err(), 0);
	one.options.id = 0;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.options.id = 1;
	one.options.heartbeat_ticks = 0;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.options.heartbeat_ticks = 10;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.options.heartbeat_ticks = 1;
	one.options.messages_max = 1;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.options.messages_max = 128;
	one.options.entries_max = 1;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.options.entries_max = 64;
	one.options.inflight_max = 0;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.options.inflight_max = 16;
	one.options.reads_max = 0;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.options.reads_max = 16;
	one.options.check_quorum = false; /* but a lease */
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.options.check_quorum = true;
	one.options.read_mode = 2;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
}
END_TEST

/* So many that sizes could overflow; no memory is touched for them. */
START_TEST(refuses_options_out_of_range)
{
	uint32_t *const counts[] = {
		&one.options.election_ticks, &one.options.entries_max,
		&one.options.messages_max, &one.options.reads_max,
		&one.options.inflight_max};

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		uint32_t before = *counts[i];

		*counts[i] = UINT32_MAX;
		ck_assert_int_eq(init_err(), RAFT_EINVALID);
		*counts[i] = (1u << 28) + 1;
		ck_assert_int_eq(init_err(), RAFT_EINVALID);
		*counts[i] = before;
		ck_assert_int_eq(init_err(), 0);
	}
}
END_TEST

START_TEST(refuses_impossible_configurations)
{
	one.saved.conf.voters[1] = 1;
	one.saved.conf.voter_count = 2;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.saved.conf.voters[1] = 0;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.saved.conf.voters[1] = 2;
	ck_assert_int_eq(init_err(), 0);
	one.saved.conf.learners[0] = 2;
	one.saved.conf.learner_count = 1;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.saved.conf.learner_count = 0;
	one.saved.conf.auto_leave = true;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.saved.conf.auto_leave = false;
	one.saved.conf.voter_count = RAFT_MEMBERS_MAX + 1;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
}
END_TEST

START_TEST(refuses_a_hard_state_older_than_the_snapshot)
{
	one.saved.index = 5;
	one.saved.term = 3;
	one.hard.term = 2;
	ck_assert_int_eq(init_err(), RAFT_EINVALID);
	one.hard.term = 3;
	ck_assert_int_eq(init_err(), 0);
}
END_TEST

START_TEST(reads_are_confirmed_once_an_own_entry_is_committed)
{
	ck_assert_int_eq(raft_read_index(one.raft, 9), RAFT_EDROPPED_NO_LEADER);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_int_eq(raft_read_index(one.raft, 9), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.read_count, 0);
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.read_count, 1);
	ck_assert_uint_eq(one.reads[0].context, 9);
	ck_assert_uint_eq(one.reads[0].index, 1);
	raft_applied(one.raft, 1);
	ck_assert_int_eq(raft_read_index(one.raft, 10), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.read_count, 1);
	ck_assert_uint_eq(one.reads[0].context, 10);
}
END_TEST

START_TEST(a_single_voter_leads_on_without_answers)
{
	core_lead(&one);
	for (unsigned int i = 0; i < 100; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_uint_eq(status()->term, 1);
}
END_TEST

START_TEST(campaigning_as_leader_changes_nothing)
{
	core_lead(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_uint_eq(status()->term, 1);
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

START_TEST(a_pre_vote_of_one_needs_no_disk)
{
	one.options.pre_vote = true;
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_uint_eq(status()->role, RAFT_PRE_CANDIDATE);
	ck_assert_uint_eq(status()->term, 0);
	ck_assert(core_take(&one));
	ck_assert(!one.ready.must_sync);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert(core_take(&one));
	ck_assert(one.ready.must_sync);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	core_persist(&one);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, wins_only_when_its_own_vote_is_durable);
	tcase_add_test(all, campaigns_by_itself_after_the_timeout);
	tcase_add_test(all, counts_its_own_entry_only_when_durable);
	tcase_add_test(all, several_writes_in_flight_release_in_order);
	tcase_add_test(all, a_later_number_releases_the_earlier_ones);
	tcase_add_test(all, hands_out_no_more_than_may_be_unapplied);
	tcase_add_test(all, hands_out_one_entry_larger_than_the_limit);
	tcase_add_test(all, refuses_beyond_the_uncommitted_limit);
	tcase_add_test(all, refuses_when_the_window_is_full_until_compacted);
	tcase_add_test(all, refuses_without_a_leader);
	tcase_add_test(all, window_wraps_and_keeps_its_entries);
	tcase_add_test(all, evicted_bytes_are_forgotten_and_lent_again);
	tcase_add_test(all, bytes_not_on_disk_yet_are_not_evicted);
	tcase_add_test(all, restarts_from_hard_state_snapshot_and_entries);
	tcase_add_test(all, refuses_to_load_what_does_not_follow);
	tcase_add_test(all, refuses_to_load_more_than_the_window);
	tcase_add_test(all, refuses_impossible_options);
	tcase_add_test(all, refuses_options_out_of_range);
	tcase_add_test(all, refuses_impossible_configurations);
	tcase_add_test(all, refuses_a_hard_state_older_than_the_snapshot);
	tcase_add_test(all, reads_are_confirmed_once_an_own_entry_is_committed);
	tcase_add_test(all, a_single_voter_leads_on_without_answers);
	tcase_add_test(all, campaigning_as_leader_changes_nothing);
	tcase_add_test(all, a_pre_vote_of_one_needs_no_disk);
}

int main(void)
{
	Suite *suite = suite_create("raft, one voter");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	add_tests(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
