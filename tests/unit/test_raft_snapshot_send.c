/*
 * Images for members that the log no longer reaches (the paper's §7): to
 * whom, when again, and how a whole cluster comes together after one.
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
	core_start(&one);
	net_init(&net, 3);
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

/* Entries 1 and 2 are committed with 2, applied, and gone from the log. */
static void lead_and_compact(void)
{
	core_lead(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	core_compact(&one);
	ck_assert_uint_eq(status()->first_index, 3);
	ck_assert_uint_eq(status()->last_index, 2);
}

static unsigned int images_sent(void)
{
	core_settle(&one);
	return core_sent(&one, RAFT_MSG_SNAPSHOT, 3);
}

START_TEST(who_refuses_the_oldest_entry_gets_the_image)
{
	const struct raft_message *message;

	one.saved.index = 11;
	one.saved.term = 4;
	one.hard.term = 4;
	core_start(&one);
	core_lead(&one);
	message = core_message(&one, RAFT_MSG_APPEND, 3);
	ck_assert_uint_eq(message->log_index, 11);
	ck_assert_uint_eq(message->log_term, 4);
	say_refusal(&one, 3, 11, 0, 0);
	core_settle(&one);
	message = core_message(&one, RAFT_MSG_SNAPSHOT, 3);
	ck_assert_uint_eq(message->snapshot->index, 11);
	ck_assert_uint_eq(message->snapshot->term, 4);
	ck_assert_str_eq(conf_words(&message->snapshot->conf), "1 2 3");
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_SNAPSHOT);
	ck_assert_uint_eq(core_progress(&one, 3)->next, 12);
	/* Nothing else until it answers. */
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 3), 0);
	core_acknowledge(&one, 3, 11);
	core_settle(&one);
	message = core_message(&one, RAFT_MSG_APPEND, 3);
	ck_assert_uint_eq(message->first_index, 12);
	ck_assert_uint_eq(message->entry_count, 2);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_REPLICATE);
}
END_TEST

START_TEST(a_failed_image_is_sent_again_after_a_heartbeat)
{
	lead_and_compact();
	/* 3 answers at last, and lacks what is gone. */
	core_round(&one, 3);
	ck_assert_uint_eq(images_sent(), 1);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_SNAPSHOT, 3)->snapshot->index, 2);
	core_round(&one, 3);
	ck_assert_uint_eq(images_sent(), 0);
	raft_report_snapshot(one.raft, 3, false);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_uint_eq(images_sent(), 0);
	core_round(&one, 3);
	ck_assert_uint_eq(images_sent(), 1);
	/* It arrived: entries follow from behind it. */
	core_acknowledge(&one, 3, 2);
	core_settle(&one);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_APPEND, 3)->first_index,
			  3);
}
END_TEST

START_TEST(an_image_that_arrived_is_built_upon_when_it_is_answered)
{
	lead_and_compact();
	core_round(&one, 3);
	ck_assert_uint_eq(images_sent(), 1);
	raft_report_snapshot(one.raft, 3, true);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_PROBE);
	ck_assert_uint_eq(core_progress(&one, 3)->next, 3);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 3), 0);
	core_round(&one, 3);
	core_settle(&one);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_APPEND, 3)->first_index,
			  3);
	ck_assert_uint_eq(core_progress(&one, 3)->match, 0);
}
END_TEST

START_TEST(no_image_for_a_member_that_is_silent)
{
	one.options.check_quorum = true;
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 3, 1);
	core_settle(&one);
	/* It was heard once; two checks later it is no longer counted. */
	for (unsigned int i = 0; i < 2 * CORE_ELECTION; i++)
		core_round(&one, 2);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	core_compact(&one);
	raft_report_unreachable(one.raft, 3);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_uint_eq(images_sent(), 0);
	core_round(&one, 3);
	ck_assert_uint_eq(images_sent(), 1);
}
END_TEST

START_TEST(no_image_that_does_not_reach_the_log)
{
	struct raft_snapshot newer;

	one.saved.index = 3;
	one.saved.term = 1;
	one.hard.term = 1;
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 4);
	core_settle(&one);
	newer = one.image;
	/* The log begins behind the only image there is. */
	raft_compact(one.raft, 4);
	core_round(&one, 3);
	ck_assert_uint_eq(images_sent(), 0);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_PROBE);
	raft_offer_snapshot(one.raft, &newer);
	core_round(&one, 3);
	ck_assert_uint_eq(images_sent(), 1);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_SNAPSHOT, 3)->snapshot->index, 4);
}
END_TEST

/* While an image is under way the log moves on, past what it holds. */
START_TEST(an_image_that_came_too_late_is_followed_by_another)
{
	lead_and_compact();
	core_round(&one, 3);
	ck_assert_uint_eq(images_sent(), 1);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 3);
	core_settle(&one);
	core_compact(&one);
	core_acknowledge(&one, 3, 2);
	ck_assert_uint_eq(images_sent(), 1);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_SNAPSHOT, 3)->snapshot->index, 3);
	core_acknowledge(&one, 3, 3);
	ck_assert_uint_eq(core_progress(&one, 3)->state, RAFT_REPLICATE);
	ck_assert_uint_eq(core_progress(&one, 3)->next, 4);
}
END_TEST

START_TEST(a_slow_member_catches_up_by_an_image)
{
	net_start(&net);
	net_campaign(&net, 1);
	net_isolate(&net, 3);
	for (unsigned int i = 0; i < 100; i++)
		ck_assert_int_eq(net_propose(&net, 1), 0);
	ck_assert_uint_eq(net_status(&net, 1)->commit, 101);
	net_compact(&net, 1);
	net_heal(&net);
	ck_assert_uint_eq(net_status(&net, 3)->commit, 1);
	/* It has to be heard again first. */
	net_tick(&net, 1, 1);
	ck_assert_uint_eq(net.sent[RAFT_MSG_SNAPSHOT], 1);
	ck_assert_uint_eq(net_status(&net, 3)->first_index, 102);
	ck_assert_uint_eq(net_core(&net, 3)->saved.index, 101);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	ck_assert_uint_eq(net_status(&net, 3)->commit, 102);
	ck_assert_uint_eq(net_status(&net, 3)->applied, 102);
	ck_assert_uint_eq(net_core(&net, 3)->image.index, 102);
}
END_TEST

START_TEST(a_learner_catches_up_by_an_image)
{
	static const struct raft_conf_state conf = {.voters = {1},
						    .voter_count = 1,
						    .learners = {2},
						    .learner_count = 1};

	net_init(&net, 2);
	for (uint64_t id = 1; id <= 2; id++)
		net_core(&net, id)->saved.conf = conf;
	net_start(&net);
	net_isolate(&net, 2);
	net_campaign(&net, 1);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	net_compact(&net, 1);
	net_heal(&net);
	net_tick(&net, 1, 1);
	ck_assert_uint_eq(net.sent[RAFT_MSG_SNAPSHOT], 1);
	ck_assert_uint_eq(net_status(&net, 2)->commit, 2);
	ck_assert_uint_eq(net_status(&net, 2)->applied, 2);
	ck_assert_str_eq(conf_words(&net_status(&net, 2)->conf),
			 "1, learner 2");
	ck_assert_uint_eq(net_core(&net, 2)->saved.index, 2);
	ck_assert_uint_eq(net_core(&net, 2)->saved.term, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, images for those behind");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, who_refuses_the_oldest_entry_gets_the_image);
	tcase_add_test(all, a_failed_image_is_sent_again_after_a_heartbeat);
	tcase_add_test(all,
		       an_image_that_arrived_is_built_upon_when_it_is_answered);
	tcase_add_test(all, no_image_for_a_member_that_is_silent);
	tcase_add_test(all, no_image_that_does_not_reach_the_log);
	tcase_add_test(all, an_image_that_came_too_late_is_followed_by_another);
	tcase_add_test(all, a_slow_member_catches_up_by_an_image);
	tcase_add_test(all, a_learner_catches_up_by_an_image);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
