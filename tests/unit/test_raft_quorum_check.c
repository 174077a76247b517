/*
 * A leader that hears no quorum, and members that hear no leader: CheckQuorum
 * and PreVote, alone and together, and both under a lease.
 */
#include "tests/unit/support_raft_net.h"

#include <check.h>
#include <stdlib.h>

static struct net net;

static void set_up(void)
{
	net_init(&net, 3);
}

static void tear_down(void)
{
	net_release(&net);
}

static void start(unsigned int count, bool check_quorum, bool pre_vote)
{
	net_init(&net, count);
	for (unsigned int i = 0; i < count; i++) {
		net.core[i].options.check_quorum = check_quorum;
		net.core[i].options.pre_vote = pre_vote;
	}
	net_start(&net);
}

static void expect_terms(uint64_t one, uint64_t two, uint64_t three)
{
	ck_assert_uint_eq(net_status(&net, 1)->term, one);
	ck_assert_uint_eq(net_status(&net, 2)->term, two);
	ck_assert_uint_eq(net_status(&net, 3)->term, three);
}

static void expect_logs(const char *terms)
{
	for (uint64_t id = 1; id <= net.count; id++)
		ck_assert_str_eq(core_terms(net_core(&net, id)), terms);
}

/* Time passes for one member, in which it hears nothing. */
static void let_pass(uint64_t id, unsigned int ticks)
{
	for (unsigned int i = 0; i < ticks; i++)
		raft_tick(net_core(&net, id)->raft);
}

START_TEST(a_leader_that_a_quorum_answers_stays)
{
	start(5, true, false);
	net_campaign(&net, 1);
	net_isolate(&net, 4);
	net_isolate(&net, 5);
	net_tick(&net, 1, 5 * CORE_ELECTION);
	ck_assert_str_eq(net_roles(&net), "LFFFF");
	ck_assert_uint_eq(net_status(&net, 1)->term, 1);
}
END_TEST

START_TEST(a_leader_that_a_minority_answers_steps_down)
{
	start(5, true, false);
	net_campaign(&net, 1);
	net_isolate(&net, 3);
	net_isolate(&net, 4);
	net_isolate(&net, 5);
	/* All were heard of in its first election timeout. */
	net_tick(&net, 1, 2 * CORE_ELECTION - 1);
	ck_assert_str_eq(net_roles(&net), "LFFFF");
	net_tick(&net, 1, 1);
	ck_assert_str_eq(net_roles(&net), "FFFFF");
	ck_assert_uint_eq(net_status(&net, 1)->term, 1);
	ck_assert_uint_eq(net_status(&net, 1)->leader, 0);
	ck_assert_uint_eq(net_status(&net, 1)->vote, 1);
}
END_TEST

START_TEST(without_the_check_it_leads_on)
{
	start(3, false, false);
	net_campaign(&net, 1);
	net_isolate(&net, 1);
	net_tick(&net, 1, 5 * CORE_ELECTION);
	ck_assert_str_eq(net_roles(&net), "LFF");
}
END_TEST

START_TEST(a_leader_is_superseded_only_when_it_was_not_heard_for_long)
{
	start(3, true, false);
	/* No one has heard of a leader yet: at once. */
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LFF");
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "LFC");
	expect_terms(1, 1, 2);
	let_pass(2, CORE_ELECTION - 1);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "LFC");
	expect_terms(1, 1, 3);
	let_pass(2, 1);
	ck_assert_uint_eq(net_status(&net, 2)->role, RAFT_FOLLOWER);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "FFL");
	expect_terms(4, 4, 4);
	expect_logs("1 4");
}
END_TEST

START_TEST(a_stuck_candidate_gets_the_leader_to_its_term)
{
	start(3, true, _i == 1);
	net_campaign(&net, 1);
	net_isolate(&net, 1);
	/* It began when it had no PreVote. */
	net_core(&net, 3)->options.pre_vote = false;
	net_crash(&net, 3);
	net_restart(&net, 3);
	net_campaign(&net, 3);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "LFC");
	expect_terms(1, 1, 3);
	net_heal(&net);
	net_tick(&net, 1, 1);
	ck_assert_str_eq(net_roles(&net), "FFC");
	expect_terms(3, 1, 3);
	/* 2 has just heard of the leader; 1 has a vote to give. */
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "FFL");
	expect_terms(4, 4, 4);
	expect_logs("1 4");
}
END_TEST

START_TEST(who_is_not_in_its_own_configuration_follows)
{
	net_init(&net, 2);
	for (unsigned int i = 0; i < 2; i++)
		net.core[i].options.check_quorum = true;
	net.core[1].saved.conf =
		(struct raft_conf_state){.voters = {1}, .voter_count = 1};
	net_start(&net);
	let_pass(2, 5 * CORE_ELECTION);
	net_settle(&net);
	ck_assert_uint_eq(net_status(&net, 2)->term, 0);
	ck_assert_int_eq(raft_campaign(net.core[1].raft), RAFT_EINVALID);
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LF");
	ck_assert_uint_eq(net_status(&net, 2)->leader, 1);
	ck_assert_uint_eq(net_status(&net, 2)->vote, 1);
	expect_logs("1");
	ck_assert_uint_eq(net_status(&net, 1)->commit, 1);
}
END_TEST

/* 3 hears nothing for so long that it campaigns, and then everything again. */
static void wake_a_sleeper(bool pre_vote)
{
	start(3, true, pre_vote);
	net_campaign(&net, 1);
	net_isolate(&net, 3);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	let_pass(3, 2 * CORE_ELECTION - 1);
	net_settle(&net);
	ck_assert_str_eq(net_roles(&net), pre_vote ? "LFP" : "LFC");
	net_heal(&net);
	net_tick(&net, 1, 1);
}

START_TEST(a_slow_follower_disrupts_the_leader)
{
	wake_a_sleeper(false);
	ck_assert_str_eq(net_roles(&net), "FFC");
	expect_terms(2, 1, 2);
	/* It cannot win: what was committed meanwhile is not lost. */
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "FFC");
	net_campaign(&net, 1);
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LFF");
	expect_logs("1 1 1 4");
}
END_TEST

START_TEST(a_slow_follower_with_pre_vote_does_not)
{
	wake_a_sleeper(true);
	ck_assert_str_eq(net_roles(&net), "LFF");
	expect_terms(1, 1, 1);
	expect_logs("1 1 1");
}
END_TEST

START_TEST(a_member_of_an_older_term_can_complete_an_election)
{
	start(3, false, true);
	net_isolate(&net, 3);
	net_campaign(&net, 1);
	net_campaign(&net, 2);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "FLP");
	expect_terms(2, 2, 0);
	/* The leader vanishes as 3 comes back. */
	net_heal(&net);
	net_isolate(&net, 2);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "FLF");
	expect_terms(2, 2, 2);
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LLF");
	expect_terms(3, 2, 3);
	net_heal(&net);
	net_tick(&net, 1, 1);
	ck_assert_str_eq(net_roles(&net), "LFF");
	expect_logs("1 2 3");
}
END_TEST

START_TEST(a_split_vote_is_over_with_the_next_campaign)
{
	start(3, false, true);
	net_campaign(&net, 1);
	net_crash(&net, 1);
	ck_assert_int_eq(raft_campaign(net.core[1].raft), 0);
	ck_assert_int_eq(raft_campaign(net.core[2].raft), 0);
	net_settle(&net);
	ck_assert_str_eq(net_roles(&net), "-CC");
	ck_assert_uint_eq(net_status(&net, 2)->term, 2);
	ck_assert_uint_eq(net_status(&net, 3)->term, 2);
	ck_assert_uint_eq(net_status(&net, 2)->vote, 2);
	ck_assert_uint_eq(net_status(&net, 3)->vote, 3);
	net_campaign(&net, 2);
	ck_assert_str_eq(net_roles(&net), "-LF");
	ck_assert_uint_eq(net_status(&net, 2)->term, 3);
	ck_assert_uint_eq(net_status(&net, 3)->term, 3);
}
END_TEST

START_TEST(a_pre_candidate_waits_until_another_misses_the_leader_too)
{
	start(3, true, true);
	net_campaign(&net, 1);
	net_crash(&net, 1);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "-FP");
	ck_assert_uint_eq(net_status(&net, 3)->term, 1);
	ck_assert_uint_eq(net_status(&net, 2)->leader, 1);
	/* 3 follows no one any more, and has a vote to give. */
	net_campaign(&net, 2);
	ck_assert_str_eq(net_roles(&net), "-LF");
	ck_assert_uint_eq(net_status(&net, 2)->term, 2);
	ck_assert_uint_eq(net_status(&net, 3)->term, 2);
}
END_TEST

/*
 * PreVote is switched on member by member. The last, 3, was cut off, and
 * ran ahead in terms, but fell behind in entries; now it has PreVote, too.
 */
static void migrate(void)
{
	start(3, false, true);
	net_core(&net, 3)->options.pre_vote = false;
	net_crash(&net, 3);
	net_restart(&net, 3);
	net_campaign(&net, 1);
	net_isolate(&net, 3);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	net_campaign(&net, 3);
	net_campaign(&net, 3);
	expect_terms(1, 1, 3);
	net_core(&net, 3)->options.pre_vote = true;
	net_crash(&net, 3);
	net_restart(&net, 3);
	ck_assert_str_eq(net_roles(&net), "LFF");
	expect_terms(1, 1, 3);
}

START_TEST(pre_vote_is_switched_on_and_an_election_completes)
{
	migrate();
	net_heal(&net);
	net_crash(&net, 1);
	/* Its term is newer, but its log is older. */
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "-FP");
	ck_assert_uint_eq(net_status(&net, 2)->term, 1);
	/* 2 must learn of the term first. */
	net_campaign(&net, 2);
	ck_assert_str_eq(net_roles(&net), "-FP");
	ck_assert_uint_eq(net_status(&net, 2)->term, 3);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "-FP");
	net_campaign(&net, 2);
	ck_assert_str_eq(net_roles(&net), "-LF");
	ck_assert_uint_eq(net_status(&net, 2)->term, 4);
	ck_assert_str_eq(core_terms(&net.core[2]), "1 1 4");
}
END_TEST

START_TEST(pre_vote_is_switched_on_and_a_stuck_member_comes_back)
{
	migrate();
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "LFP");
	net_heal(&net);
	/* The leader cannot be followed before it has that term. */
	net_tick(&net, 1, 1);
	ck_assert_str_eq(net_roles(&net), "FFP");
	expect_terms(3, 1, 3);
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LFF");
	expect_terms(4, 4, 4);
	expect_logs("1 1 4");
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_leader_that_a_quorum_answers_stays);
	tcase_add_test(all, a_leader_that_a_minority_answers_steps_down);
	tcase_add_test(all, without_the_check_it_leads_on);
	tcase_add_test(
		all,
		a_leader_is_superseded_only_when_it_was_not_heard_for_long);
	tcase_add_loop_test(all, a_stuck_candidate_gets_the_leader_to_its_term,
			    0, 2);
	tcase_add_test(all, who_is_not_in_its_own_configuration_follows);
	tcase_add_test(all, a_slow_follower_disrupts_the_leader);
	tcase_add_test(all, a_slow_follower_with_pre_vote_does_not);
	tcase_add_test(all, a_member_of_an_older_term_can_complete_an_election);
	tcase_add_test(all, a_split_vote_is_over_with_the_next_campaign);
	tcase_add_test(
		all, a_pre_candidate_waits_until_another_misses_the_leader_too);
	tcase_add_test(all, pre_vote_is_switched_on_and_an_election_completes);
	tcase_add_test(all,
		       pre_vote_is_switched_on_and_a_stuck_member_comes_back);
}

int main(void)
{
	Suite *suite = suite_create("raft, quorum check");
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
