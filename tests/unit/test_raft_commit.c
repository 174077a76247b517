/*
 * What is committed and when (the paper's §5.3 and §5.4.2): by a quorum, in
 * the leader's own term, and at once when the quorum becomes smaller.
 */
#include "tests/unit/support_raft_net.h"
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;
static struct net net;

static void set_up(void)
{
	core_init(&one, 1, 3);
	net_init(&net, 5);
}

static void tear_down(void)
{
	core_release(&one);
	net_release(&net);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

START_TEST(a_single_voter_commits_alone)
{
	core_init(&one, 1, 1);
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_uint_eq(status()->commit, 1);
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, 3);
	ck_assert_uint_eq(status()->applied, 3);
}
END_TEST

/*
 * A leader's log ends in its own first entry; the others have it up to these
 * indexes. Entries of terms before are committed with its own, or not at all.
 */
START_TEST(commits_what_a_quorum_has_in_its_own_term)
{
	static const struct {
		unsigned int voters;
		uint64_t terms[3]; /* before its own */
		uint64_t acked[4];
		uint64_t commit;
	} rows[] = {
		{1, {0}, {0}, 1},
		{1, {1, 2, 0}, {0}, 3},
		{2, {1, 2, 0}, {0}, 0},
		{2, {1, 2, 0}, {2}, 0},
		{2, {1, 2, 0}, {3}, 3},
		{3, {1, 2, 0}, {0, 0}, 0},
		{3, {1, 2, 0}, {1, 2}, 0},
		{3, {1, 2, 0}, {2, 2}, 0},
		{3, {1, 2, 0}, {0, 3}, 3},
		{3, {1, 2, 0}, {3, 3}, 3},
		{4, {1, 2, 0}, {0, 0, 3}, 0},
		{4, {1, 2, 0}, {2, 2, 3}, 0},
		{4, {1, 2, 0}, {0, 3, 3}, 3},
		{5, {1, 2, 0}, {2, 2, 2, 3}, 0},
		{5, {1, 2, 0}, {0, 3, 0, 3}, 3},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		core_init(&one, 1, rows[i].voters);
		core_load(&one, rows[i].terms);
		core_start(&one);
		core_lead(&one);
		for (unsigned int j = 0; j + 1 < rows[i].voters; j++)
			if (rows[i].acked[j] > 0)
				core_acknowledge(&one, j + 2, rows[i].acked[j]);
		ck_assert_uint_eq(status()->commit, rows[i].commit);
		core_release(&one);
	}
}
END_TEST

/* Cut off with one other, 1 proposes what is not committed; 2 leads next. */
static void leave_uncommitted(void)
{
	net_start(&net);
	net_campaign(&net, 1);
	for (uint64_t id = 3; id <= 5; id++)
		net_cut(&net, 1, id);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	ck_assert_uint_eq(net_status(&net, 1)->commit, 1);
	ck_assert_uint_eq(net_status(&net, 2)->last_index, 3);
	net_heal(&net);
}

START_TEST(older_terms_wait_for_an_entry_of_the_own_one)
{
	leave_uncommitted();
	/* None of its entries arrives: not even its own first one. */
	net_ignore(&net, RAFT_MSG_APPEND);
	net_campaign(&net, 2);
	ck_assert_uint_eq(net_leader(&net), 2);
	ck_assert_uint_eq(net_status(&net, 2)->commit, 1);
	net_heal(&net);
	net_tick(&net, 2, 1);
	ck_assert_uint_eq(net_status(&net, 2)->commit, 4);
	ck_assert_int_eq(net_propose(&net, 2), 0);
	for (uint64_t id = 1; id <= 5; id++) {
		ck_assert_uint_eq(net_status(&net, id)->commit, 5);
		ck_assert_str_eq(core_terms(net_core(&net, id)), "1 1 1 2 2");
	}
}
END_TEST

START_TEST(a_new_leaders_first_entry_commits_older_terms)
{
	leave_uncommitted();
	net_campaign(&net, 2);
	for (uint64_t id = 1; id <= 5; id++) {
		ck_assert_uint_eq(net_status(&net, id)->commit, 4);
		ck_assert_str_eq(core_terms(net_core(&net, id)), "1 1 1 2");
	}
}
END_TEST

/* Some are down; 1 campaigns and proposes. */
START_TEST(a_proposal_needs_a_quorum)
{
	static const struct {
		unsigned int voters;
		uint64_t down[4];
		int err;
		uint64_t commit;
	} rows[] = {
		{1, {0}, 0, 2},	   {3, {0}, 0, 2},
		{3, {3}, 0, 2},	   {3, {2, 3}, RAFT_EDROPPED_NO_LEADER, 0},
		{4, {4}, 0, 2},	   {4, {3, 4}, RAFT_EDROPPED_NO_LEADER, 0},
		{5, {4, 5}, 0, 2}, {5, {3, 4, 5}, RAFT_EDROPPED_NO_LEADER, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		net_init(&net, rows[i].voters);
		net_start(&net);
		for (unsigned int j = 0; rows[i].down[j] != 0; j++)
			net_crash(&net, rows[i].down[j]);
		net_campaign(&net, 1);
		ck_assert_int_eq(net_propose(&net, 1), rows[i].err);
		ck_assert_uint_eq(net_status(&net, 1)->commit, rows[i].commit);
		ck_assert_uint_eq(net_status(&net, 1)->last_index,
				  rows[i].commit);
		net_release(&net);
	}
}
END_TEST

START_TEST(a_smaller_quorum_commits_what_waits)
{
	struct raft_conf_changes remove = conf_change(RAFT_REMOVE, 2);

	core_init(&one, 1, 2);
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_settle(&one);
	ck_assert_int_eq(core_propose_conf(&one, &remove), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, 1);
	/* The change alone is acknowledged. */
	core_acknowledge(&one, 2, 2);
	ck_assert_uint_eq(status()->commit, 2);
	core_settle(&one);
	ck_assert_str_eq(conf_words(&status()->conf), "1");
	ck_assert_uint_eq(status()->commit, 3);
	ck_assert_uint_eq(status()->applied, 3);
}
END_TEST

START_TEST(a_joint_configuration_commits_by_both_halves)
{
	one.saved.conf = (struct raft_conf_state){
		.voters = {1, 2, 3},
		.voter_count = 3,
		.outgoing = {1, 4, 5},
		.outgoing_count = 3,
	};
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_VOTE, 0), 4);
	ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	ck_assert_int_eq(say_vote_reply(&one, 3, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_int_eq(say_vote_reply(&one, 4, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	core_settle(&one);
	core_acknowledge(&one, 2, 1);
	core_acknowledge(&one, 3, 1);
	ck_assert_uint_eq(status()->commit, 0);
	core_acknowledge(&one, 5, 1);
	ck_assert_uint_eq(status()->commit, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, commit");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_single_voter_commits_alone);
	tcase_add_test(all, commits_what_a_quorum_has_in_its_own_term);
	tcase_add_test(all, older_terms_wait_for_an_entry_of_the_own_one);
	tcase_add_test(all, a_new_leaders_first_entry_commits_older_terms);
	tcase_add_test(all, a_proposal_needs_a_quorum);
	tcase_add_test(all, a_smaller_quorum_commits_what_waits);
	tcase_add_test(all, a_joint_configuration_commits_by_both_halves);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
