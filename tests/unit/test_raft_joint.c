/*
 * Joint configurations (the dissertation's §4.3): entered for more than one
 * change, left by themselves or when asked, and never to stay in for ever.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;

/* Member 4 takes the place of 3. */
static struct raft_conf_changes replace = {
	.count = 2,
	.changes = {{.id = 4, .type = RAFT_ADD_VOTER},
		    {.id = 3, .type = RAFT_REMOVE}},
};
static const struct raft_conf_changes leave = {.count = 0};

static void set_up(void)
{
	core_init(&one, 1, 3);
	core_start(&one);
	replace.transition = RAFT_TRANSITION_AUTO;
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

/* 2 and 4 have all up to now; with 1 they are a quorum of both halves. */
static void commit(void)
{
	core_settle(&one);
	core_acknowledge(&one, 2, status()->last_index);
	if (raft_conf_has(status()->conf.voters, status()->conf.voter_count, 4))
		core_acknowledge(&one, 4, status()->last_index);
	core_settle(&one);
}

static void lead(void)
{
	core_lead(&one);
	commit();
	ck_assert_uint_eq(status()->applied, status()->last_index);
}

START_TEST(is_left_by_itself_once_it_is_applied)
{
	lead();
	ck_assert_int_eq(core_propose_conf(&one, &replace), 0);
	commit();
	ck_assert_str_eq(words(), "1 2 4, out 1 2 3, auto");
	ck_assert_uint_eq(status()->applied, 2);
	/* The entry that leaves follows at once. */
	ck_assert_uint_eq(status()->last_index, 3);
	ck_assert_uint_eq(raft_entry_at(one.raft, 3)->kind, ENTRY_CONF_V2);
	ck_assert_uint_eq(raft_entry_at(one.raft, 3)->size, 0);
	/* Once: neither time nor what is applied meanwhile asks again. */
	raft_tick(one.raft);
	raft_applied(one.raft, 2);
	ck_assert_uint_eq(status()->last_index, 3);
	commit();
	ck_assert_str_eq(words(), "1 2 4");
	ck_assert_uint_eq(status()->applied, 3);
	ck_assert_uint_eq(status()->last_index, 3);
}
END_TEST

START_TEST(is_left_when_asked)
{
	struct raft_conf_changes simple = conf_change(RAFT_ADD_LEARNER, 5);

	lead();
	ck_assert_int_eq(core_propose_conf(&one, &leave), RAFT_ECONF_REFUSED);
	ck_assert_str_eq(raft_refusal(one.raft),
			 "there is no joint configuration to leave");
	replace.transition = RAFT_TRANSITION_EXPLICIT;
	ck_assert_int_eq(core_propose_conf(&one, &replace), 0);
	commit();
	ck_assert_str_eq(words(), "1 2 4, out 1 2 3");
	ck_assert_uint_eq(status()->last_index, 3);
	ck_assert_int_eq(core_propose_conf(&one, &simple), RAFT_ECONF_REFUSED);
	ck_assert_str_eq(raft_refusal(one.raft),
			 "the joint configuration must be left first");
	ck_assert_int_eq(core_propose_conf(&one, &leave), 0);
	commit();
	ck_assert_str_eq(words(), "1 2 4");
}
END_TEST

START_TEST(a_demoted_voter_votes_until_it_is_left)
{
	struct raft_conf_changes demote = conf_change(RAFT_ADD_LEARNER, 3);

	lead();
	demote.transition = RAFT_TRANSITION_EXPLICIT;
	ck_assert_int_eq(core_propose_conf(&one, &demote), 0);
	commit();
	ck_assert_str_eq(words(), "1 2, out 1 2 3, next 3");
	ck_assert(!core_progress(&one, 3)->learner);
	ck_assert_int_eq(core_propose_conf(&one, &leave), 0);
	commit();
	ck_assert_str_eq(words(), "1 2, learner 3");
	ck_assert(core_progress(&one, 3)->learner);
}
END_TEST

/* Under the same id there is another member: nothing is known of its log. */
START_TEST(a_member_replaced_in_one_change_starts_anew)
{
	struct raft_conf_changes renew = {
		.count = 2,
		.changes = {{.id = 4, .type = RAFT_REMOVE},
			    {.id = 4, .type = RAFT_ADD_VOTER}},
	};
	struct raft_conf_changes learner = conf_change(RAFT_ADD_LEARNER, 4);

	lead();
	ck_assert_int_eq(core_propose_conf(&one, &learner), 0);
	commit();
	core_acknowledge(&one, 4, 2);
	ck_assert_uint_eq(core_progress(&one, 4)->match, 2);
	ck_assert_int_eq(core_propose_conf(&one, &renew), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 3);
	core_settle(&one);
	ck_assert_str_eq(words(), "1 2 3 4, out 1 2 3, auto");
	ck_assert_uint_eq(core_progress(&one, 4)->match, 0);
	ck_assert(!core_progress(&one, 4)->learner);
}
END_TEST

START_TEST(a_new_leader_leaves_what_it_found)
{
	one.saved.conf = (struct raft_conf_state){.voters = {1, 2},
						  .voter_count = 2,
						  .outgoing = {1, 2, 3},
						  .outgoing_count = 3,
						  .auto_leave = true};
	core_start(&one);
	core_lead(&one);
	commit();
	ck_assert_uint_eq(status()->applied, 1);
	/* Its own first entry is applied; the next one leaves. */
	ck_assert_uint_eq(status()->last_index, 2);
	ck_assert_uint_eq(raft_entry_at(one.raft, 2)->kind, ENTRY_CONF_V2);
	commit();
	ck_assert_str_eq(words(), "1 2");
	/* Others only follow. */
	core_release(&one);
	core_init(&one, 1, 3);
	one.saved.conf.outgoing[0] = 1;
	one.saved.conf.outgoing_count = 1;
	one.saved.conf.auto_leave = true;
	core_start(&one);
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){
					    .from = 2, .term = 1, .commit = 1},
				    (uint64_t[]){1, 0}),
			 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, 1);
	ck_assert_uint_eq(status()->last_index, 1);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_PROPOSE, 0), 0);
}
END_TEST

/* No entry may follow whose application would ask again. */
START_TEST(is_left_after_a_transfer_came_to_nothing)
{
	lead();
	ck_assert_int_eq(core_propose_conf(&one, &replace), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	ck_assert_int_eq(raft_transfer(one.raft, 3), 0);
	core_settle(&one);
	ck_assert_str_eq(words(), "1 2 4, out 1 2 3, auto");
	ck_assert_uint_eq(status()->transferee, 3);
	ck_assert_uint_eq(status()->last_index, 2);
	for (unsigned int i = 0; i < CORE_ELECTION; i++) {
		ck_assert_uint_eq(status()->transferee, 3);
		ck_assert_uint_eq(status()->last_index, 2);
		raft_tick(one.raft);
	}
	ck_assert_uint_eq(status()->transferee, 0);
	ck_assert_uint_eq(status()->last_index, 3);
	commit();
	ck_assert_str_eq(words(), "1 2 4");
	/* Once is enough. */
	raft_tick(one.raft);
	ck_assert_uint_eq(status()->last_index, 3);
}
END_TEST

START_TEST(is_left_when_a_full_log_has_room_again)
{
	lead();
	ck_assert_int_eq(core_propose_conf(&one, &replace), 0);
	while (core_propose(&one, 8) == 0)
		;
	commit();
	ck_assert_uint_eq(status()->applied, status()->last_index);
	ck_assert_str_eq(words(), "1 2 4, out 1 2 3, auto");
	core_compact(&one);
	raft_tick(one.raft);
	commit();
	ck_assert_str_eq(words(), "1 2 4");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, joint configurations");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, is_left_by_itself_once_it_is_applied);
	tcase_add_test(all, is_left_when_asked);
	tcase_add_test(all, a_demoted_voter_votes_until_it_is_left);
	tcase_add_test(all, a_member_replaced_in_one_change_starts_anew);
	tcase_add_test(all, a_new_leader_leaves_what_it_found);
	tcase_add_test(all, is_left_after_a_transfer_came_to_nothing);
	tcase_add_test(all, is_left_when_a_full_log_has_room_again);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
