/*
 * What the shell asks for, where the answer is easily a little wrong:
 * proposals, forwarded ones, reads and transfers.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

enum ask_sizes {
	SMALL_WINDOW = 16,
	RESERVE = 8, /* entries kept for a leader's own */
};

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
}

static void tear_down(void)
{
	core_release(&one);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

/* Leads; its first entry is committed and applied. */
static void lead(void)
{
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_acknowledge(&one, 3, 1);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, 1);
}

static void follow(void)
{
	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	core_settle(&one);
}

START_TEST(the_reserve_of_the_window_is_kept_whole)
{
	unsigned int taken = 0;

	core_init(&one, 1, 1);
	one.options.entries_max = SMALL_WINDOW;
	core_start(&one);
	core_lead(&one);
	while (core_propose(&one, 8) == 0)
		taken++;
	ck_assert_uint_eq(taken, SMALL_WINDOW - RESERVE - 1);
	ck_assert_int_eq(core_propose(&one, 8), RAFT_EDROPPED_LOG_FULL);
}
END_TEST

START_TEST(changes_that_are_not_validated_follow_each_other)
{
	struct raft_conf_changes changes = conf_change(RAFT_ADD_LEARNER, 4);

	one.options.skip_conf_validation = true;
	lead();
	ck_assert_int_eq(core_propose_conf(&one, &changes), 0);
	changes.changes[0].id = 5;
	ck_assert_int_eq(core_propose_conf(&one, &changes), 0);
	ck_assert_uint_eq(raft_entry_at(one.raft, 3)->kind, ENTRY_CONF_V2);
}
END_TEST

START_TEST(a_joint_configuration_without_changes_is_no_leaving)
{
	const struct raft_conf_changes none = {
		.transition = RAFT_TRANSITION_EXPLICIT};

	lead();
	ck_assert_int_eq(core_propose_conf(&one, &none), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	ck_assert_str_eq(conf_words(&status()->conf), "1 2 3, out 1 2 3");
	ck_assert_int_eq(core_propose_conf(&one, &none), RAFT_ECONF_REFUSED);
}
END_TEST

START_TEST(a_joint_configuration_is_left_once)
{
	struct raft_conf_changes changes = conf_change(RAFT_ADD_LEARNER, 4);

	changes.transition = RAFT_TRANSITION_IMPLICIT;
	lead();
	ck_assert_int_eq(core_propose_conf(&one, &changes), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	ck_assert_uint_eq(status()->last_index, 3);
	for (unsigned int i = 0; i < CORE_ELECTION / 2; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->last_index, 3);
}
END_TEST

START_TEST(what_is_passed_on_has_no_place_in_a_log)
{
	struct raft_entry entry = core_entry(9, 9);
	uint64_t index = 99, term = 99;
	const struct raft_message *message;

	follow();
	ck_assert_int_eq(raft_propose(one.raft, &entry, &index, &term), 0);
	ck_assert_uint_eq(index, 0);
	ck_assert_uint_eq(term, 0);
	core_settle(&one);
	message = core_message(&one, RAFT_MSG_PROPOSE, 2);
	ck_assert_uint_eq(message->entries->index, 0);
	ck_assert_uint_eq(message->entries->term, 0);
}
END_TEST

START_TEST(what_finds_no_room_is_not_passed_on)
{
	follow();
	for (unsigned int i = 0; i < one.options.messages_max; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), RAFT_EFULL);
	core_settle(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
}
END_TEST

START_TEST(candidates_pass_nothing_on)
{
	one.options.pre_vote = true;
	for (unsigned int i = 0; i < 2; i++) {
		follow();
		ck_assert_int_eq(raft_campaign(one.raft), 0);
		if (i == 1)
			ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
		core_settle(&one);
		ck_assert_uint_eq(status()->leader, 0);
		ck_assert_int_eq(core_propose(&one, 8),
				 RAFT_EDROPPED_NO_LEADER);
		ck_assert_int_eq(raft_read_index(one.raft, 7),
				 RAFT_EDROPPED_NO_LEADER);
		ck_assert_int_eq(raft_transfer(one.raft, 2),
				 RAFT_EDROPPED_NO_LEADER);
		core_settle(&one);
		ck_assert_uint_eq(one.mail_count, 0);
	}
}
END_TEST

START_TEST(a_read_is_answered_by_its_round_though_more_is_committed)
{
	uint64_t round;

	lead();
	ck_assert_int_eq(raft_read_index(one.raft, 7), 0);
	core_settle(&one);
	round = core_message(&one, RAFT_MSG_HEARTBEAT, 2)->round;
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 3, 2);
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, 2);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					      .from = 2,
					      .term = 1,
					      .round = round});
	core_settle(&one);
	ck_assert(core_was_read(&one, 7, 1));
}
END_TEST

START_TEST(a_read_does_not_wait_for_what_is_not_committed)
{
	lead();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(raft_read_index(one.raft, 7), 0);
	core_settle(&one);
	core_answer_beat(&one, 2);
	core_settle(&one);
	ck_assert(core_was_read(&one, 7, 1));
}
END_TEST

START_TEST(reads_by_the_clock_beyond_the_room_are_refused)
{
	one.options.check_quorum = true;
	one.options.read_mode = RAFT_READ_LEASE;
	lead();
	for (uint64_t i = 0; i < one.options.reads_max; i++)
		ck_assert_int_eq(raft_read_index(one.raft, i), 0);
	ck_assert_int_eq(raft_read_index(one.raft, 99), RAFT_EFULL);
	core_settle(&one);
	ck_assert_int_eq(raft_read_index(one.raft, 99), 0);
}
END_TEST

START_TEST(leadership_goes_to_who_has_the_last_entry_not_before)
{
	lead();
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	ck_assert_int_eq(raft_transfer(one.raft, 2), 0);
	core_acknowledge(&one, 2, 3);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_TIMEOUT_NOW, 0), 0);
	core_acknowledge(&one, 2, 4);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_TIMEOUT_NOW, 2), 1);
}
END_TEST

START_TEST(a_transfer_has_a_whole_election_timeout)
{
	lead();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++)
		raft_tick(one.raft);
	ck_assert_int_eq(raft_transfer(one.raft, 2), 0);
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->transferee, 2);
	raft_tick(one.raft);
	ck_assert_uint_eq(status()->transferee, 0);
}
END_TEST

START_TEST(who_campaigns_is_not_told_to_campaign_again)
{
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
					      .from = 2,
					      .term = 1});
	ck_assert_uint_eq(status()->term, 1);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, the_reserve_of_the_window_is_kept_whole);
	tcase_add_test(all, changes_that_are_not_validated_follow_each_other);
	tcase_add_test(all,
		       a_joint_configuration_without_changes_is_no_leaving);
	tcase_add_test(all, a_joint_configuration_is_left_once);
	tcase_add_test(all, what_is_passed_on_has_no_place_in_a_log);
	tcase_add_test(all, what_finds_no_room_is_not_passed_on);
	tcase_add_test(all, candidates_pass_nothing_on);
	tcase_add_test(
		all, a_read_is_answered_by_its_round_though_more_is_committed);
	tcase_add_test(all, a_read_does_not_wait_for_what_is_not_committed);
	tcase_add_test(all, reads_by_the_clock_beyond_the_room_are_refused);
	tcase_add_test(all,
		       leadership_goes_to_who_has_the_last_entry_not_before);
	tcase_add_test(all, a_transfer_has_a_whole_election_timeout);
	tcase_add_test(all, who_campaigns_is_not_told_to_campaign_again);
}

int main(void)
{
	Suite *suite = suite_create("raft, what the shell asks for");
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
