/*
 * Who wins an election, who loses it, and what becomes of their logs: whole
 * networks, each scenario with and without PreVote where both have it.
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

static void prepare(unsigned int count, bool pre_vote)
{
	net_init(&net, count);
	for (unsigned int i = 0; i < count; i++)
		net.core[i].options.pre_vote = pre_vote;
}

static void start(unsigned int count, bool pre_vote)
{
	prepare(count, pre_vote);
	net_start(&net);
}

static void expect_terms(uint64_t one, uint64_t two, uint64_t three)
{
	ck_assert_uint_eq(net_status(&net, 1)->term, one);
	ck_assert_uint_eq(net_status(&net, 2)->term, two);
	ck_assert_uint_eq(net_status(&net, 3)->term, three);
}

/* `down`: who does not run. `longer`: whose log has one entry of term 1. */
struct election {
	unsigned int count;
	const char *down;
	const char *longer;
	const char *roles, *roles_pre;
	uint64_t term, term_pre;
};

static const struct election elections[] = {
	{3, "", "", "LFF", "LFF", 1, 1},
	{3, "3", "", "LF-", "LF-", 1, 1},
	{3, "23", "", "C--", "P--", 1, 0},
	{4, "23", "", "C--F", "P--F", 1, 0},
	{5, "23", "", "L--FF", "L--FF", 1, 1},
	/* Refused by a quorum with longer logs. */
	{5, "5", "234", "FFFF-", "FFFF-", 1, 1},
	/* By fewer; but a PreVote ends where a newer term is heard of. */
	{5, "", "23", "LFFFF", "FFFFF", 1, 1},
};

START_TEST(a_quorum_elects_who_has_a_log_as_new)
{
	static const uint64_t terms[] = {1, 0};
	const struct election *one = &elections[_i / 2];
	bool pre_vote = _i % 2 == 1;

	prepare(one->count, pre_vote);
	for (const char *id = one->longer; *id; id++)
		core_load(net_core(&net, *id - '0'), terms);
	net_start(&net);
	for (const char *id = one->down; *id; id++)
		net_crash(&net, *id - '0');
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net),
			 pre_vote ? one->roles_pre : one->roles);
	ck_assert_uint_eq(net_status(&net, 1)->term,
			  pre_vote ? one->term_pre : one->term);
}
END_TEST

START_TEST(each_member_can_win_in_its_turn)
{
	static const char *const roles[] = {"LFF", "FLF", "FFL"};

	start(3, _i == 1);
	for (uint64_t id = 1; id <= 3; id++) {
		net_campaign(&net, id);
		ck_assert_str_eq(net_roles(&net), roles[id - 1]);
		expect_terms(id, id, id);
		for (uint64_t of = 1; of <= 3; of++)
			ck_assert_uint_eq(net_status(&net, of)->leader, id);
	}
	ck_assert_str_eq(core_terms(&net.core[0]), "1 2 3");
	ck_assert_str_eq(core_terms(&net.core[1]), "1 2 3");
	ck_assert_str_eq(core_terms(&net.core[2]), "1 2 3");
}
END_TEST

/*
 * 1 won term 1 and reached 2 only; 3 won term 2 by the votes of 4 and 5, and
 * reached no one. What 3 has is newer, but not committed.
 */
START_TEST(a_winner_overwrites_newer_entries_that_no_quorum_has)
{
	static const uint64_t first[] = {1, 0}, second[] = {2, 0};

	prepare(5, _i == 1);
	core_load(&net.core[0], first);
	core_load(&net.core[1], first);
	core_load(&net.core[2], second);
	for (unsigned int i = 2; i < 5; i++) {
		net.core[i].hard.term = 2;
		net.core[i].hard.vote = 3;
	}
	net_start(&net);
	/* The quorum that knows of term 2 has no vote left in it. */
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "FFFFF");
	ck_assert_uint_eq(net_status(&net, 1)->term, 2);
	/* Its log is not as new as 3's, but as new as those of 2, 4 and 5. */
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LFFFF");
	ck_assert_uint_eq(net_status(&net, 1)->term, 3);
	for (uint64_t id = 1; id <= 5; id++) {
		ck_assert_str_eq(core_terms(net_core(&net, id)), "1 3");
		ck_assert_uint_eq(net_status(&net, id)->commit, 2);
	}
}
END_TEST

/* 1 and 3 do not hear each other, and both ask 2; then they do again. */
static void duel(bool pre_vote)
{
	start(3, pre_vote);
	net_cut(&net, 1, 3);
	net_campaign(&net, 1);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), pre_vote ? "LFF" : "LFC");
	net_heal(&net);
	net_campaign(&net, 3);
}

START_TEST(dueling_candidates_disturb_the_leader)
{
	duel(false);
	/* Its log is shorter: it cannot win, but its term is heard of. */
	ck_assert_str_eq(net_roles(&net), "FFF");
	expect_terms(2, 2, 2);
	ck_assert_str_eq(core_terms(&net.core[0]), "1");
	ck_assert_str_eq(core_terms(&net.core[1]), "1");
	ck_assert_str_eq(core_terms(&net.core[2]), "");
	ck_assert_uint_eq(net_status(&net, 1)->commit, 1);
	ck_assert_uint_eq(net_status(&net, 3)->commit, 0);
}
END_TEST

START_TEST(dueling_pre_candidates_do_not)
{
	duel(true);
	ck_assert_str_eq(net_roles(&net), "LFF");
	expect_terms(1, 1, 1);
	ck_assert_str_eq(core_terms(&net.core[0]), "1");
	ck_assert_str_eq(core_terms(&net.core[1]), "1");
	ck_assert_str_eq(core_terms(&net.core[2]), "");
	/* It still follows the leader, and catches up. */
	net_tick(&net, 1, 1);
	ck_assert_str_eq(core_terms(&net.core[2]), "1");
	ck_assert_uint_eq(net_status(&net, 3)->leader, 1);
}
END_TEST

START_TEST(a_candidate_concedes_to_the_leader_of_its_term)
{
	start(3, _i == 1);
	net_isolate(&net, 1);
	net_campaign(&net, 1);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), _i == 1 ? "PFL" : "CFL");
	net_heal(&net);
	net_tick(&net, 3, 1);
	ck_assert_str_eq(net_roles(&net), "FFL");
	ck_assert_int_eq(net_propose(&net, 3), 0);
	expect_terms(1, 1, 1);
	for (uint64_t id = 1; id <= 3; id++) {
		ck_assert_str_eq(core_terms(net_core(&net, id)), "1 1");
		ck_assert_uint_eq(net_status(&net, id)->commit, 2);
		ck_assert_uint_eq(net_status(&net, id)->leader, 3);
	}
}
END_TEST

START_TEST(a_candidate_of_an_older_term_comes_back)
{
	start(3, false);
	net_isolate(&net, 3);
	net_campaign(&net, 1);
	net_campaign(&net, 2);
	net_campaign(&net, 1);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "LFC");
	expect_terms(3, 3, 1);
	net_heal(&net);
	net_tick(&net, 1, 1);
	ck_assert_str_eq(net_roles(&net), "LFF");
	expect_terms(3, 3, 3);
	ck_assert_uint_eq(net_status(&net, 3)->leader, 1);
	ck_assert_uint_eq(net_status(&net, 3)->vote, 0);
	ck_assert_str_eq(core_terms(&net.core[2]), "1 2 3");
}
END_TEST

/* Without PreVote and CheckQuorum too: else a learner would stay out. */
START_TEST(a_candidate_of_a_newer_term_ends_the_older)
{
	start(3, false);
	net_campaign(&net, 1);
	net_isolate(&net, 3);
	net_campaign(&net, 3);
	net_heal(&net);
	net_tick(&net, 1, 3);
	ck_assert_str_eq(net_roles(&net), "FFC");
	expect_terms(2, 1, 2);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "FFL");
	expect_terms(3, 3, 3);
}
END_TEST

START_TEST(campaigning_as_leader_changes_nothing)
{
	start(3, _i == 1);
	net_campaign(&net, 1);
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LFF");
	expect_terms(1, 1, 1);
	ck_assert_str_eq(core_terms(&net.core[0]), "1");
	ck_assert_uint_eq(net.sent[RAFT_MSG_VOTE], 2);
	ck_assert_uint_eq(net.sent[RAFT_MSG_PRE_VOTE], _i == 1 ? 2 : 0);
}
END_TEST

START_TEST(what_an_old_leader_sends_is_ignored)
{
	const struct raft_entry old = core_entry(3, 2);

	start(3, false);
	net_campaign(&net, 1);
	net_campaign(&net, 2);
	net_campaign(&net, 1);
	net_deliver(&net, (struct raft_message){
				  .type = RAFT_MSG_APPEND,
				  .from = 2,
				  .to = 1,
				  .term = 2,
				  .log_index = 2,
				  .log_term = 2,
				  .first_index = 3,
				  .entry_count = 1,
				  .entries = &old,
				  .commit = 3,
			  });
	ck_assert_str_eq(net_roles(&net), "LFF");
	ck_assert_int_eq(net_propose(&net, 1), 0);
	for (uint64_t id = 1; id <= 3; id++) {
		ck_assert_str_eq(core_terms(net_core(&net, id)), "1 2 3 3");
		ck_assert_uint_eq(net_status(&net, id)->commit, 4);
	}
}
END_TEST

START_TEST(a_learner_that_was_made_a_voter_can_win)
{
	const struct raft_conf_changes promote = {
		.count = 1,
		.changes = {{.id = 2, .type = RAFT_ADD_VOTER}},
	};

	prepare(2, false);
	for (unsigned int i = 0; i < 2; i++) {
		struct raft_conf_state *conf = &net.core[i].saved.conf;

		*conf = (struct raft_conf_state){.voters = {1},
						 .voter_count = 1,
						 .learners = {2},
						 .learner_count = 1};
	}
	net_start(&net);
	net_tick(&net, 2, 3 * CORE_ELECTION);
	ck_assert_str_eq(net_roles(&net), "FF");
	net_tick(&net, 1, 2 * CORE_ELECTION);
	ck_assert_str_eq(net_roles(&net), "LF");
	ck_assert_uint_eq(net_status(&net, 2)->term, 1);
	ck_assert_int_eq(raft_campaign(net.core[1].raft), RAFT_EINVALID);
	ck_assert_int_eq(net_propose_conf(&net, 1, &promote), 0);
	ck_assert_uint_eq(net_status(&net, 2)->conf.voter_count, 2);
	net_campaign(&net, 2);
	ck_assert_str_eq(net_roles(&net), "FL");
	ck_assert_uint_eq(net_status(&net, 1)->term, 2);
	ck_assert_uint_eq(net_status(&net, 2)->term, 2);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_loop_test(all, a_quorum_elects_who_has_a_log_as_new, 0,
			    2 * sizeof(elections) / sizeof(elections[0]));
	tcase_add_loop_test(all, each_member_can_win_in_its_turn, 0, 2);
	tcase_add_loop_test(
		all, a_winner_overwrites_newer_entries_that_no_quorum_has, 0,
		2);
	tcase_add_test(all, dueling_candidates_disturb_the_leader);
	tcase_add_test(all, dueling_pre_candidates_do_not);
	tcase_add_loop_test(all, a_candidate_concedes_to_the_leader_of_its_term,
			    0, 2);
	tcase_add_test(all, a_candidate_of_an_older_term_comes_back);
	tcase_add_test(all, a_candidate_of_a_newer_term_ends_the_older);
	tcase_add_loop_test(all, campaigning_as_leader_changes_nothing, 0, 2);
	tcase_add_test(all, what_an_old_leader_sends_is_ignored);
	tcase_add_test(all, a_learner_that_was_made_a_voter_can_win);
}

int main(void)
{
	Suite *suite = suite_create("raft, elections");
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
