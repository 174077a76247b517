/*
 * Members that come and go: what is kept of them, in which order they are
 * served, and who is alone.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

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

/* The entry at `index` on the disk changes the membership. */
static void make_change(uint64_t index, uint8_t type, uint64_t id)
{
	static uint8_t bytes[2][ENTRY_HEADER_SIZE + RAFT_CONF_HEADER +
				RAFT_CONF_CHANGE];
	struct raft_conf_changes changes = conf_change(type, id);
	struct raft_entry *entry = &one.log[index];

	raft_conf_encode(&changes, bytes[index % 2] + ENTRY_HEADER_SIZE);
	entry->kind = ENTRY_CONF_V2;
	entry->size = (uint32_t)raft_conf_size(1);
	entry->data = bytes[index % 2];
}

/* While it asks for votes it learns that 3 was replaced by 6. */
START_TEST(a_new_member_does_not_inherit_a_vote)
{
	core_init(&one, 1, 5);
	one.hard.commit = 1;
	core_load(&one, (const uint64_t[]){1, 1, 1, 0});
	make_change(2, RAFT_REMOVE, 3);
	make_change(3, RAFT_ADD_VOTER, 6);
	core_start(&one);
	core_settle(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_int_eq(say_vote_reply(&one, 3, false), 0);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 2,
					      .term = status()->term,
					      .reject = true,
					      .commit = 3,
					      .commit_term = 1});
	core_settle(&one);
	ck_assert_str_eq(conf_words(&status()->conf), "1 2 4 5 6");
	ck_assert_int_eq(say_vote_reply(&one, 4, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_int_eq(say_vote_reply(&one, 5, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(members_are_served_by_rising_id)
{
	memset(&one.saved.conf, 0, sizeof(one.saved.conf));
	one.saved.conf.voters[0] = 1;
	one.saved.conf.voters[1] = 3;
	one.saved.conf.voter_count = 2;
	one.saved.conf.learners[0] = 2;
	one.saved.conf.learner_count = 1;
	core_start(&one);
	core_lead(&one);
	raft_tick(one.raft);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.mail_count, 2);
	ck_assert_uint_eq(one.mail[0].message.to, 2);
	ck_assert_uint_eq(one.mail[1].message.to, 3);
}
END_TEST

START_TEST(a_learner_removed_and_added_at_once_starts_anew)
{
	const struct raft_conf_changes changes = {
		.count = 2,
		.changes = {{.id = 3, .type = RAFT_REMOVE},
			    {.id = 3, .type = RAFT_ADD_LEARNER}}};

	core_init(&one, 1, 2);
	one.saved.conf.learners[0] = 3;
	one.saved.conf.learner_count = 1;
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_acknowledge(&one, 3, 1);
	ck_assert_int_eq(core_propose_conf(&one, &changes), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_progress(&one, 3)->match, 1);
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	ck_assert_uint_eq(core_progress(&one, 3)->match, 0);
}
END_TEST

/* Four lead, and the fourth is to be removed by entry 2, which is committed. */
static void remove_the_fourth(void)
{
	const struct raft_conf_changes changes = conf_change(RAFT_REMOVE, 4);

	core_init(&one, 1, 4);
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_acknowledge(&one, 3, 1);
	core_settle(&one);
	ck_assert_int_eq(core_propose_conf(&one, &changes), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	core_acknowledge(&one, 2, 3);
	core_acknowledge(&one, 3, 2);
	ck_assert_uint_eq(status()->commit, 2);
	ck_assert(core_take(&one)); /* hands the change out */
}

START_TEST(what_a_smaller_quorum_commits_is_told_at_once)
{
	remove_the_fourth();
	core_apply(&one);
	ck_assert_uint_eq(status()->commit, 3);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_APPEND, 2)->commit, 3);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_APPEND, 3)->commit, 3);
}
END_TEST

START_TEST(a_smaller_quorum_answers_reads_at_once)
{
	remove_the_fourth();
	ck_assert_int_eq(raft_read_index(one.raft, 7), 0);
	ck_assert(core_take(&one));
	core_answer_beat(&one, 2);
	(void)core_take(&one);
	ck_assert_uint_eq(one.read_count, 0);
	core_apply(&one);
	ck_assert(core_take(&one));
	ck_assert(core_was_read(&one, 7, 2));
}
END_TEST

START_TEST(an_impossible_change_is_told_to_be_none)
{
	const struct raft_conf_changes changes = conf_change(RAFT_REMOVE, 1);
	struct raft_conf_state conf;

	core_init(&one, 1, 1);
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose_conf(&one, &changes), 0);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 2);
	ck_assert_int_eq(
		raft_apply_conf(one.raft, raft_entry_at(one.raft, 2), &conf),
		RAFT_EINVALID);
	ck_assert_str_eq(conf_words(&status()->conf), "1");
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_new_member_does_not_inherit_a_vote);
	tcase_add_test(all, members_are_served_by_rising_id);
	tcase_add_test(all, a_learner_removed_and_added_at_once_starts_anew);
	tcase_add_test(all, what_a_smaller_quorum_commits_is_told_at_once);
	tcase_add_test(all, a_smaller_quorum_answers_reads_at_once);
	tcase_add_test(all, an_impossible_change_is_told_to_be_none);
}

int main(void)
{
	Suite *suite = suite_create("raft, members that come and go");
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
