/*
 * A member whose log lost what it had acknowledged: it does nothing that
 * could deny it, and its leader sends it anew what is missing.
 */
#include "tests/unit/support_raft_net.h"
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct net net;
static struct core one;

static void set_up(void)
{
	net_init(&net, 3);
	core_init(&one, 3, 3);
}

static void tear_down(void)
{
	net_release(&net);
	core_release(&one);
}

/* Member 1 leads in term 1 and all have its entries 1 .. 6. */
static void begin(void)
{
	net_start(&net);
	net_campaign(&net, 1);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(net_propose(&net, 1), 0);
	net_tick_all(&net, 1);
	ck_assert_uint_eq(core_progress(net_core(&net, 1), 3)->match, 6);
}

/* Member 3 starts again with the first `last` entries of its log. */
static void lose(uint64_t last, uint64_t commit)
{
	struct core *core = net_core(&net, 3);

	net_crash(&net, 3);
	core->last = last;
	core->hard.commit = commit;
	core_start(core);
	raft_lose(core->raft, 1, UINT64_MAX);
	net_settle(&net);
}

static bool has_all(uint64_t id)
{
	return net_status(&net, id)->last_index ==
		       net_status(&net, 1)->last_index &&
	       net_status(&net, id)->commit == net_status(&net, 1)->commit;
}

START_TEST(what_is_missing_comes_again_from_the_leader_of_the_same_term)
{
	begin();
	for (uint64_t last = 0; last < 6; last++) {
		lose(last, last / 2);
		net_tick_all(&net, 2);
		ck_assert_uint_eq(net_leader(&net), 1);
		ck_assert_uint_eq(net_status(&net, 1)->term, 1);
		ck_assert(has_all(3));
		ck_assert_uint_eq(core_progress(net_core(&net, 1), 3)->match,
				  6);
	}
}
END_TEST

START_TEST(what_is_missing_comes_again_though_the_leader_probes)
{
	begin();
	lose(2, 1);
	raft_report_unreachable(net_core(&net, 1)->raft, 3);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	net_tick_all(&net, 1);
	ck_assert(has_all(3));
}
END_TEST

START_TEST(an_image_comes_where_the_leader_has_no_log_any_more)
{
	begin();
	net_compact(&net, 1);
	lose(2, 2);
	net_tick_all(&net, 3);
	ck_assert(has_all(3));
	ck_assert_uint_eq(net_core(&net, 3)->saved.index, 6);
}
END_TEST

START_TEST(what_another_leader_wrote_takes_the_place_of_what_came_to_light)
{
	static const uint64_t old[] = {1, 1, 1, 1, 0};
	struct core *core = net_core(&net, 3);

	core_load(net_core(&net, 1), (const uint64_t[]){1, 1, 2, 2, 0});
	core_load(net_core(&net, 2), (const uint64_t[]){1, 1, 2, 2, 0});
	core_load(core, (const uint64_t[]){1, 1, 2, 2, 0});
	net_start(&net);
	net_campaign(&net, 1);
	net_tick_all(&net, 1);
	ck_assert_uint_eq(core_progress(net_core(&net, 1), 3)->match, 5);
	net_crash(&net, 3);
	/* Its records with entries of terms 2 and 3 are damaged. */
	core->last = 0;
	core_load(core, old);
	core->hard.commit = 2;
	core_start(core);
	raft_lose(core->raft, 3, UINT64_MAX);
	net_settle(&net);
	net_tick_all(&net, 2);
	ck_assert_str_eq(core_terms(core), "1 1 2 2 3");
	ck_assert(has_all(3));
}
END_TEST

/* Member 3, played with: entries of term 1, up to 2 committed, in term 2. */
static void begin_alone(uint64_t lost_term, uint64_t lost_index)
{
	core_load(&one, (const uint64_t[]){1, 1, 1, 0});
	one.hard = (struct raft_hard_state){2, 3, 2};
	core_start(&one);
	raft_lose(one.raft, lost_term, lost_index);
}

START_TEST(a_heartbeat_commits_no_more_than_a_leader_has_confirmed)
{
	const struct raft_message *reply;

	begin_alone(2, 9);
	/* The leader was told of 9 entries, and the third was replaced. */
	ck_assert_int_eq(say_beat(&one, 2, 2, 9), 0);
	core_settle(&one);
	reply = core_message(&one, RAFT_MSG_HEARTBEAT_REPLY, 2);
	ck_assert(reply->lost);
	ck_assert_uint_eq(reply->commit, 2);
	ck_assert_uint_eq(core_status(&one)->commit, 2);
	ck_assert_int_eq(say_beat(&one, 2, 2, 3), 0);
	ck_assert_uint_eq(core_status(&one)->commit, 2);
	/* It sends what comes behind the second, and that is known again. */
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){.from = 2,
							  .term = 2,
							  .log_index = 2,
							  .log_term = 1,
							  .commit = 2},
				    (const uint64_t[]){2, 2, 0}),
			 0);
	core_settle(&one);
	ck_assert_int_eq(say_beat(&one, 2, 2, 4), 0);
	core_settle(&one);
	reply = core_message(&one, RAFT_MSG_HEARTBEAT_REPLY, 2);
	ck_assert_uint_eq(reply->commit, 4);
	ck_assert_uint_eq(core_status(&one)->commit, 4);
	/* To another leader it says no more than what is committed. */
	ck_assert_int_eq(say_beat(&one, 1, 3, 0), 0);
	core_settle(&one);
	reply = core_message(&one, RAFT_MSG_HEARTBEAT_REPLY, 1);
	ck_assert_uint_eq(reply->commit, 4);
	raft_found(one.raft);
	ck_assert_int_eq(say_beat(&one, 1, 3, 0), 0);
	core_settle(&one);
	reply = core_message(&one, RAFT_MSG_HEARTBEAT_REPLY, 1);
	ck_assert(!reply->lost);
	ck_assert_int_eq(say_beat(&one, 1, 3, 5), RAFT_EINVALID);
}
END_TEST

START_TEST(a_refusal_says_what_is_known_of_the_log)
{
	const struct raft_message *reply;

	begin_alone(2, 9);
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){.from = 2,
							  .term = 2,
							  .log_index = 9,
							  .log_term = 2,
							  .commit = 9},
				    NULL),
			 0);
	core_settle(&one);
	reply = core_message(&one, RAFT_MSG_APPEND_REPLY, 2);
	ck_assert(reply->reject && reply->lost);
	ck_assert_uint_eq(reply->commit, 2);
}
END_TEST

START_TEST(a_leader_forgets_what_it_was_told_of_a_log_that_is_lost)
{
	const struct raft_progress *p;

	one.options.id = 1;
	core_start(&one);
	core_lead(&one);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 6);
	core_acknowledge(&one, 3, 6);
	core_settle(&one);
	p = core_progress(&one, 3);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					      .from = 3,
					      .term = 1,
					      .lost = true,
					      .commit = 2});
	ck_assert_uint_eq(p->match, 0);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 3), "3-6");
	/* A late acknowledgement of what is lost counts until the next word. */
	core_acknowledge(&one, 3, 6);
	ck_assert_uint_eq(p->match, 6);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					      .from = 3,
					      .term = 1,
					      .reject = true,
					      .log_index = 6,
					      .reject_hint = 3,
					      .log_term = 1,
					      .lost = true,
					      .commit = 2});
	ck_assert_uint_eq(p->match, 0);
	ck_assert_uint_eq(core_status(&one)->commit, 6);
	core_settle(&one);
	ck_assert_str_eq(core_appends(&one, 3), "3-6");
	core_acknowledge(&one, 3, 6);
	/* It answers for less than is known here, but not for less than that. */
	core_give(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					      .from = 3,
					      .term = 1,
					      .lost = true,
					      .commit = 6});
	ck_assert_uint_eq(p->match, 6);
}
END_TEST

struct asked {
	uint64_t term; /* the log that asks ends so */
	uint64_t index;
	bool granted;
};

static const struct asked votes[] = {
	{1, 3, false}, {1, 99, false}, {2, 3, false}, {2, 8, false},
	{2, 9, true},  {2, 10, true},  {3, 4, true},
};

START_TEST(it_votes_for_a_log_that_has_all_that_its_own_may_have_had)
{
	const struct asked *ask = &votes[_i];
	struct raft_message vote = {
		.from = 1,
		.term = 4,
		.log_index = ask->index,
		.log_term = ask->term,
	};

	begin_alone(2, 9);
	ck_assert_int_eq(say_pre_vote(&one, vote), 0);
	core_settle(&one);
	ck_assert(core_message(&one, RAFT_MSG_PRE_VOTE_REPLY, 1)->reject ==
		  !ask->granted);
	ck_assert_int_eq(say_vote(&one, vote), 0);
	core_settle(&one);
	ck_assert(core_message(&one, RAFT_MSG_VOTE_REPLY, 1)->reject ==
		  !ask->granted);
	ck_assert_uint_eq(one.hard.vote, ask->granted ? 1 : 0);
}
END_TEST

START_TEST(where_nobody_knows_how_far_the_log_went_a_later_term_decides)
{
	struct raft_message vote = {
		.from = 1, .term = 4, .log_index = 1u << 30, .log_term = 2};

	begin_alone(2, UINT64_MAX);
	ck_assert_int_eq(say_vote(&one, vote), 0);
	core_settle(&one);
	ck_assert(core_message(&one, RAFT_MSG_VOTE_REPLY, 1)->reject);
	vote.log_term = 3;
	vote.term = 5;
	ck_assert_int_eq(say_vote(&one, vote), 0);
	core_settle(&one);
	ck_assert(!core_message(&one, RAFT_MSG_VOTE_REPLY, 1)->reject);
}
END_TEST

START_TEST(it_does_not_campaign_before_all_is_found)
{
	begin_alone(2, 9);
	for (int i = 0; i < 100; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(core_status(&one)->role, RAFT_FOLLOWER);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
					      .from = 2,
					      .term = 2});
	ck_assert_uint_eq(core_status(&one)->role, RAFT_FOLLOWER);
	raft_found(one.raft);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(
		all,
		what_is_missing_comes_again_from_the_leader_of_the_same_term);
	tcase_add_test(all,
		       what_is_missing_comes_again_though_the_leader_probes);
	tcase_add_test(all,
		       an_image_comes_where_the_leader_has_no_log_any_more);
	tcase_add_test(
		all,
		what_another_leader_wrote_takes_the_place_of_what_came_to_light);
	tcase_add_test(all,
		       a_heartbeat_commits_no_more_than_a_leader_has_confirmed);
	tcase_add_test(all, a_refusal_says_what_is_known_of_the_log);
	tcase_add_test(all,
		       a_leader_forgets_what_it_was_told_of_a_log_that_is_lost);
	tcase_add_loop_test(
		all, it_votes_for_a_log_that_has_all_that_its_own_may_have_had,
		0, sizeof(votes) / sizeof(votes[0]));
	tcase_add_test(
		all,
		where_nobody_knows_how_far_the_log_went_a_later_term_decides);
	tcase_add_test(all, it_does_not_campaign_before_all_is_found);
}

int main(void)
{
	Suite *suite = suite_create("raft, a log that is lost");
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
