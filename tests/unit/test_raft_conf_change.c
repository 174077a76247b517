/*
 * Changes of membership (the paper's §6) as a leader takes them, one after
 * the other, and as a member applies them.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
	core_start(&one);
}

static void tear_down(void)
{
	core_release(&one);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

static const char *words(void)
{
	return conf_words(&status()->conf);
}

static int propose(uint8_t type, uint64_t id)
{
	struct raft_conf_changes changes = conf_change(type, id);

	return core_propose_conf(&one, &changes);
}

/* Members 2 and 3 have all; it is applied, if they are a quorum with 1. */
static void commit_all(void)
{
	core_settle(&one);
	core_acknowledge(&one, 2, status()->last_index);
	core_acknowledge(&one, 3, status()->last_index);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, status()->last_index);
}

START_TEST(one_change_at_a_time)
{
	core_lead(&one);
	commit_all();
	ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 4), 0);
	ck_assert_uint_eq(status()->last_index, 2);
	ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 5), RAFT_ECONF_REFUSED);
	ck_assert_str_eq(raft_refusal(one.raft),
			 "an earlier change is not applied yet");
	/* In its place stands an empty entry. */
	ck_assert_uint_eq(status()->last_index, 3);
	ck_assert_uint_eq(raft_entry_at(one.raft, 2)->kind, ENTRY_CONF_V2);
	ck_assert_uint_eq(raft_entry_at(one.raft, 3)->kind, ENTRY_EMPTY);
	ck_assert_uint_eq(raft_entry_at(one.raft, 3)->size, 0);
	/* It is the first that counts: applied, it lets the next one in. */
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	ck_assert_uint_eq(status()->commit, 2);
	ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 5), RAFT_ECONF_REFUSED);
	core_settle(&one);
	ck_assert_str_eq(words(), "1 2 3, learner 4");
	ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 5), 0);
	commit_all();
	ck_assert_str_eq(words(), "1 2 3, learner 4 5");
}
END_TEST

START_TEST(a_new_leader_fears_changes_in_its_tail)
{
	static const struct {
		uint64_t terms[3];
		uint64_t applied;
		int err;
	} rows[] = {
		{{0}, 0, 0},
		{{1, 0}, 0, RAFT_ECONF_REFUSED},
		{{1, 1, 0}, 1, RAFT_ECONF_REFUSED},
		{{1, 1, 0}, 2, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		core_release(&one);
		core_init(&one, 1, 3);
		core_load(&one, rows[i].terms);
		core_start(&one);
		if (rows[i].applied > 0)
			core_restored(&one, rows[i].applied);
		core_lead(&one);
		ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 4), rows[i].err);
		/* Once all is applied that it found, there is no fear. */
		commit_all();
		ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 5), 0);
	}
}
END_TEST

START_TEST(members_come_and_go)
{
	static const struct {
		uint8_t type;
		uint64_t id;
		const char *words;
	} rows[] = {
		{RAFT_ADD_VOTER, 4, "1 2 3 4"},
		{RAFT_ADD_VOTER, 4, "1 2 3 4"},
		{RAFT_ADD_LEARNER, 5, "1 2 3 4, learner 5"},
		{RAFT_ADD_LEARNER, 5, "1 2 3 4, learner 5"},
		{RAFT_ADD_VOTER, 5, "1 2 3 4 5"},
		{RAFT_ADD_LEARNER, 5, "1 2 3 4, learner 5"},
		{RAFT_UPDATE, 5, "1 2 3 4, learner 5"},
		{RAFT_REMOVE, 5, "1 2 3 4"},
		{RAFT_REMOVE, 5, "1 2 3 4"},
		{RAFT_REMOVE, 4, "1 2 3"},
	};

	core_lead(&one);
	commit_all();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(propose(rows[i].type, rows[i].id), 0);
		commit_all();
		ck_assert_str_eq(words(), rows[i].words);
	}
}
END_TEST

/* A promoted or demoted member is the same one: what is known of it stays. */
START_TEST(a_member_is_known_by_its_role)
{
	core_lead(&one);
	commit_all();
	ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 4), 0);
	commit_all();
	ck_assert(core_progress(&one, 4)->learner);
	ck_assert_uint_eq(core_progress(&one, 4)->match, 0);
	core_acknowledge(&one, 4, 2);
	ck_assert_int_eq(propose(RAFT_ADD_VOTER, 4), 0);
	commit_all();
	ck_assert(!core_progress(&one, 4)->learner);
	ck_assert_uint_eq(core_progress(&one, 4)->match, 2);
	ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 4), 0);
	commit_all();
	ck_assert(core_progress(&one, 4)->learner);
	ck_assert_uint_eq(core_progress(&one, 4)->match, 2);
	/* Removed and added again it is another. */
	ck_assert_int_eq(propose(RAFT_REMOVE, 4), 0);
	commit_all();
	ck_assert_int_eq(propose(RAFT_ADD_VOTER, 4), 0);
	commit_all();
	ck_assert_uint_eq(core_progress(&one, 4)->match, 0);
}
END_TEST

START_TEST(the_last_voter_is_not_removed)
{
	core_release(&one);
	core_init(&one, 1, 1);
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(propose(RAFT_REMOVE, 1), 0);
	core_settle(&one);
	/* Committed, and skipped by all alike. */
	ck_assert_uint_eq(status()->applied, 2);
	ck_assert_str_eq(words(), "1");
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 2), 0);
	core_settle(&one);
	ck_assert_str_eq(words(), "1, learner 2");
}
END_TEST

START_TEST(a_new_voter_counts_as_heard_at_first)
{
	core_release(&one);
	core_init(&one, 1, 1);
	one.options.check_quorum = true;
	core_start(&one);
	core_lead(&one);
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++)
		raft_tick(one.raft);
	ck_assert_int_eq(propose(RAFT_ADD_VOTER, 2), 0);
	core_settle(&one);
	ck_assert_str_eq(words(), "1 2");
	/* The first check passes it over, the next one does not. */
	raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
}
END_TEST

START_TEST(a_removed_leader_takes_nothing_more)
{
	core_lead(&one);
	commit_all();
	ck_assert_int_eq(propose(RAFT_REMOVE, 1), 0);
	/* Until it is applied, it leads on. */
	ck_assert_int_eq(core_propose(&one, 8), 0);
	commit_all();
	ck_assert_str_eq(words(), "2 3");
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_int_eq(core_propose(&one, 8), RAFT_EDROPPED_REMOVED);
	ck_assert_uint_eq(status()->last_index, 3);
}
END_TEST

START_TEST(a_leader_that_votes_no_more_may_step_down_at_once)
{
	static const struct {
		uint8_t type;
		const char *words;
	} rows[] = {{RAFT_REMOVE, "2 3"}, {RAFT_ADD_LEARNER, "2 3, learner 1"}};

	for (unsigned int i = 0; i < 2; i++) {
		core_release(&one);
		core_init(&one, 1, 3);
		one.options.step_down_on_removal = true;
		core_start(&one);
		core_lead(&one);
		commit_all();
		ck_assert_int_eq(propose(rows[i].type, 1), 0);
		commit_all();
		ck_assert_str_eq(words(), rows[i].words);
		ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
		ck_assert_uint_eq(status()->leader, 0);
		ck_assert_uint_eq(status()->term, 1);
		ck_assert_int_eq(core_propose(&one, 8),
				 RAFT_EDROPPED_NO_LEADER);
		ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	}
}
END_TEST

/* It does not count itself any more. */
START_TEST(a_demoted_leader_may_lead_on)
{
	core_lead(&one);
	commit_all();
	ck_assert_int_eq(propose(RAFT_ADD_LEARNER, 1), 0);
	commit_all();
	ck_assert_str_eq(words(), "2 3, learner 1");
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 3);
	ck_assert_uint_eq(status()->commit, 2);
	core_acknowledge(&one, 3, 3);
	ck_assert_uint_eq(status()->commit, 3);
}
END_TEST

/* An entry 1 of this kind that changes the membership is committed. */
static struct raft_entry receive_change(uint32_t kind)
{
	static uint8_t
		bytes[ENTRY_HEADER_SIZE + RAFT_CONF_HEADER + RAFT_CONF_CHANGE];
	struct raft_conf_changes changes = conf_change(RAFT_REMOVE, 3);
	struct raft_entry entry = core_entry(1, 1);

	raft_conf_encode(&changes, bytes + ENTRY_HEADER_SIZE);
	entry.kind = kind;
	entry.size = (uint32_t)raft_conf_size(1);
	entry.data = bytes;
	core_give(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
					      .from = 2,
					      .term = 1,
					      .first_index = 1,
					      .entry_count = 1,
					      .entries = &entry,
					      .commit = 1});
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 1);
	return entry;
}

START_TEST(no_campaign_before_a_committed_change_is_applied)
{
	static const uint32_t kinds[] = {ENTRY_CONF_V1, ENTRY_CONF_V2};

	for (unsigned int i = 0; i < 2; i++) {
		core_start(&one);
		(void)receive_change(kinds[i]);
		ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
		for (unsigned int j = 0; j < 3 * CORE_ELECTION; j++)
			raft_tick(one.raft);
		ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
		core_give(&one,
			  (struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
						.from = 2,
						.term = 1});
		ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
		core_apply(&one);
		ck_assert_str_eq(words(), "1 2");
		ck_assert_int_eq(raft_campaign(one.raft), 0);
		ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
		core_crash(&one);
		one.hard = (struct raft_hard_state){0};
		one.last = 0;
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, changes of membership");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, one_change_at_a_time);
	tcase_add_test(all, a_new_leader_fears_changes_in_its_tail);
	tcase_add_test(all, members_come_and_go);
	tcase_add_test(all, a_member_is_known_by_its_role);
	tcase_add_test(all, the_last_voter_is_not_removed);
	tcase_add_test(all, a_new_voter_counts_as_heard_at_first);
	tcase_add_test(all, a_removed_leader_takes_nothing_more);
	tcase_add_test(all, a_leader_that_votes_no_more_may_step_down_at_once);
	tcase_add_test(all, a_demoted_leader_may_lead_on);
	tcase_add_test(all, no_campaign_before_a_committed_change_is_applied);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
