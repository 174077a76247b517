/*
 * What only the shell knows and tells the core: a disk that stalls or has
 * lost something, an image that came by another way, a member that was never
 * in company.
 */
#include "tests/unit/support_raft_net.h"
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct net net;

static void set_up(void)
{
	net_init(&net, 3);
	net_start(&net);
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LFF");
}

static void tear_down(void)
{
	net_release(&net);
}

static struct raft *raft(uint64_t id)
{
	return net_core(&net, id)->raft;
}

/* ---- restraint ---- */

START_TEST(whose_disk_stalls_does_not_campaign_and_votes)
{
	raft_restrain(raft(2), RAFT_NO_CAMPAIGN);
	ck_assert_int_eq(raft_campaign(raft(2)), RAFT_EINVALID);
	net_tick(&net, 2, 3 * CORE_ELECTION);
	ck_assert_str_eq(net_roles(&net), "LFF");
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "FFL");
	ck_assert_uint_eq(net_status(&net, 2)->vote, 3);
	raft_restrain(raft(2), RAFT_FREE);
	net_campaign(&net, 2);
	ck_assert_str_eq(net_roles(&net), "FLF");
}
END_TEST

START_TEST(who_lost_what_it_acknowledged_does_not_vote)
{
	raft_lose(raft(2), 9, UINT64_MAX);
	ck_assert_int_eq(raft_campaign(raft(2)), RAFT_EINVALID);
	net_isolate(&net, 1);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "LFC");
	ck_assert_uint_eq(net_status(&net, 2)->vote, 0);
	raft_found(raft(2));
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "LFL");
}
END_TEST

START_TEST(who_may_not_campaign_is_told_to_in_vain)
{
	raft_restrain(raft(2), RAFT_NO_CAMPAIGN);
	ck_assert_int_eq(raft_transfer(raft(1), 2), 0);
	net_settle(&net);
	ck_assert_str_eq(net_roles(&net), "LFF");
}
END_TEST

/* ---- handing over ---- */

static const char *hand_over(void)
{
	ck_assert_int_eq(raft_hand_over(raft(1)), 0);
	net_settle(&net);
	return net_roles(&net);
}

START_TEST(hands_over_to_the_voter_that_has_most)
{
	net_isolate(&net, 2);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	net_heal(&net);
	ck_assert_str_eq(hand_over(), "FFL");
}
END_TEST

START_TEST(hands_over_to_the_first_of_equals)
{
	ck_assert_str_eq(hand_over(), "FLF");
}
END_TEST

START_TEST(hands_over_to_nobody_that_is_silent)
{
	struct core *lead = net_core(&net, 1);

	lead->options.check_quorum = true;
	net_crash(&net, 1);
	net_restart(&net, 1);
	net_campaign(&net, 1);
	net_isolate(&net, 2);
	net_isolate(&net, 3);
	net_tick(&net, 1, CORE_ELECTION);
	ck_assert_uint_eq(net_status(&net, 1)->role, RAFT_LEADER);
	ck_assert_int_eq(raft_hand_over(raft(1)), RAFT_EUNKNOWN_PEER);
	ck_assert_uint_eq(net_status(&net, 1)->transferee, 0);
}
END_TEST

START_TEST(hands_over_to_no_learner)
{
	struct raft_conf_changes changes = conf_change(RAFT_ADD_LEARNER, 2);

	ck_assert_int_eq(net_propose_conf(&net, 1, &changes), 0);
	net_isolate(&net, 3);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	net_heal(&net);
	ck_assert_uint_eq(core_progress(net_core(&net, 1), 2)->learner, true);
	ck_assert_str_eq(hand_over(), "FFL");
}
END_TEST

/* What keeps a member from taking it, its leader need not know. */
START_TEST(hands_over_to_another_when_the_first_does_not_take_it)
{
	raft_restrain(raft(2), RAFT_NO_CAMPAIGN);
	raft_restrain(raft(3), RAFT_NO_CAMPAIGN);
	ck_assert_str_eq(hand_over(), "LFF");
	net_tick(&net, 1, CORE_ELECTION);
	ck_assert_int_eq(raft_hand_over(raft(1)), 0);
	ck_assert_uint_eq(net_status(&net, 1)->transferee, 3);
	net_tick(&net, 1, CORE_ELECTION);
	/* And to the first again, when nobody else takes it. */
	ck_assert_int_eq(raft_hand_over(raft(1)), 0);
	ck_assert_uint_eq(net_status(&net, 1)->transferee, 2);
	net_tick(&net, 1, CORE_ELECTION);
	raft_restrain(raft(3), RAFT_FREE);
	ck_assert_str_eq(hand_over(), "FFL");
}
END_TEST

START_TEST(hands_over_anew_in_another_term)
{
	raft_restrain(raft(2), RAFT_NO_CAMPAIGN);
	ck_assert_str_eq(hand_over(), "LFF");
	raft_restrain(raft(2), RAFT_FREE);
	net_campaign(&net, 3);
	net_campaign(&net, 1);
	ck_assert_str_eq(net_roles(&net), "LFF");
	ck_assert_str_eq(hand_over(), "FLF");
}
END_TEST

/* Who was added a moment ago counts as heard of, on all members. */
START_TEST(who_follows_hands_over_to_nobody)
{
	struct raft_conf_changes changes = conf_change(RAFT_ADD_VOTER, 4);

	ck_assert_int_eq(net_propose_conf(&net, 1, &changes), 0);
	ck_assert_uint_eq(net_status(&net, 2)->conf.voter_count, 4);
	ck_assert_int_eq(raft_hand_over(raft(2)), RAFT_EUNKNOWN_PEER);
	ck_assert_uint_eq(net_status(&net, 2)->transferee, 0);
}
END_TEST

START_TEST(hands_over_once_and_only_as_leader)
{
	ck_assert_int_eq(raft_hand_over(raft(2)), RAFT_EUNKNOWN_PEER);
	net_isolate(&net, 2);
	net_isolate(&net, 3);
	ck_assert_int_eq(raft_hand_over(raft(1)), 0);
	ck_assert_int_eq(raft_hand_over(raft(1)), RAFT_EDROPPED_TRANSFER);
	ck_assert_uint_eq(net_status(&net, 1)->transferee, 2);
	net_heal(&net);
	net_campaign(&net, 3);
	ck_assert_str_eq(net_roles(&net), "FFL");
	ck_assert_int_eq(raft_hand_over(raft(1)), RAFT_EUNKNOWN_PEER);
}
END_TEST

/* ---- an image that came by another way ---- */

static struct core one;
static struct raft_snapshot image;

/* Follows 2, which leads in term 3; entries of these terms. */
static void follow(const uint64_t *terms, uint64_t commit)
{
	core_init(&one, 1, 3);
	one.hard.term = 3;
	core_start(&one);
	image = (struct raft_snapshot){.conf = one.saved.conf};
	ck_assert_int_eq(
		say_append(&one,
			   (struct raft_message){
				   .from = 2, .term = 3, .commit = commit},
			   terms),
		0);
	core_settle(&one);
	core_forget_mail(&one);
}

static int install(uint64_t index, uint64_t term)
{
	int err;

	image.index = index;
	image.term = term;
	err = raft_install(one.raft, &image);
	core_settle(&one);
	return err;
}

START_TEST(an_image_takes_the_logs_place)
{
	static const uint64_t terms[] = {1, 1, 0};

	follow(terms, 1);
	ck_assert_int_eq(install(11, 2), 0);
	ck_assert_uint_eq(core_status(&one)->first_index, 12);
	ck_assert_uint_eq(core_status(&one)->commit, 11);
	ck_assert_uint_eq(one.image.index, 11);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index, 11);
	core_release(&one);
}
END_TEST

START_TEST(an_image_within_a_log_that_agrees_takes_nothing)
{
	static const uint64_t terms[] = {1, 1, 2, 3, 3, 0};

	follow(terms, 1);
	/* Entries 4 and 5 may be committed by this member's word. */
	ck_assert_int_eq(install(3, 2), RAFT_EINVALID);
	ck_assert_uint_eq(core_status(&one)->last_index, 5);
	ck_assert_uint_eq(core_status(&one)->commit, 3);
	core_release(&one);
}
END_TEST

START_TEST(an_image_replaces_a_log_that_contradicts)
{
	static const uint64_t terms[] = {1, 1, 1, 1, 1, 0};

	follow(terms, 1);
	ck_assert_int_eq(install(3, 2), 0);
	ck_assert_uint_eq(core_status(&one)->last_index, 3);
	ck_assert_uint_eq(core_status(&one)->commit, 3);
	core_release(&one);
}
END_TEST

START_TEST(an_image_that_is_late_or_impossible_is_refused)
{
	static const uint64_t terms[] = {1, 1, 1, 0};

	follow(terms, 2);
	ck_assert_int_eq(install(2, 1), RAFT_EINVALID);
	ck_assert_int_eq(install(2, 2), RAFT_EINVALID);
	ck_assert_int_eq(install(1, 2), RAFT_EINVALID);
	ck_assert_int_eq(install(9, 4), RAFT_EINVALID);
	image.conf.learners[0] = image.conf.voters[0];
	image.conf.learner_count = 1;
	ck_assert_int_eq(install(9, 3), RAFT_EINVALID);
	image.conf = (struct raft_conf_state){0};
	ck_assert_int_eq(install(9, 3), RAFT_EINVALID);
	ck_assert_uint_eq(core_status(&one)->last_index, 3);
	core_release(&one);
}
END_TEST

START_TEST(an_image_without_a_leader_is_told_to_nobody)
{
	core_init(&one, 1, 3);
	one.hard.term = 3;
	core_start(&one);
	image = (struct raft_snapshot){.conf = one.saved.conf};
	ck_assert_int_eq(install(11, 2), 0);
	ck_assert_uint_eq(one.mail_count, 0);
	ck_assert_uint_eq(core_status(&one)->commit, 11);
	core_release(&one);
}
END_TEST

START_TEST(a_leader_takes_no_image)
{
	struct raft_snapshot beyond = {.index = 9, .term = 1};

	beyond.conf = net_status(&net, 1)->conf;
	ck_assert_int_eq(raft_install(raft(1), &beyond), RAFT_EINVALID);
}
END_TEST

/* ---- what a leader knows ---- */

START_TEST(a_leader_tells_of_its_peers)
{
	struct raft_peer_status peer;

	net_isolate(&net, 2);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	ck_assert(raft_peer_status(raft(1), 2, &peer));
	ck_assert_uint_eq(peer.match, 1);
	ck_assert(peer.active);
	ck_assert(raft_peer_status(raft(1), 3, &peer));
	ck_assert_uint_eq(peer.match, 2);
	ck_assert(!raft_peer_status(raft(1), 4, &peer));
	ck_assert(!raft_peer_status(raft(2), 3, &peer));
}
END_TEST

START_TEST(a_leader_tells_which_change_must_be_applied_first)
{
	struct raft_conf_changes changes = conf_change(RAFT_ADD_LEARNER, 4);

	ck_assert_uint_eq(net_status(&net, 1)->pending_conf, 0);
	ck_assert_int_eq(net_propose_conf(&net, 1, &changes), 0);
	ck_assert_uint_eq(net_status(&net, 1)->pending_conf, 2);
}
END_TEST

START_TEST(a_leader_tells_who_is_silent)
{
	struct raft_peer_status peer;

	net_core(&net, 1)->options.check_quorum = true;
	net_crash(&net, 1);
	net_restart(&net, 1);
	net_campaign(&net, 1);
	net_isolate(&net, 2);
	net_tick(&net, 1, CORE_ELECTION + 1);
	ck_assert(raft_peer_status(raft(1), 2, &peer));
	ck_assert(!peer.active);
	ck_assert(raft_peer_status(raft(1), 3, &peer));
	ck_assert(peer.active);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, what its shell tells it");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, whose_disk_stalls_does_not_campaign_and_votes);
	tcase_add_test(all, who_lost_what_it_acknowledged_does_not_vote);
	tcase_add_test(all, who_may_not_campaign_is_told_to_in_vain);
	tcase_add_test(all, hands_over_to_the_voter_that_has_most);
	tcase_add_test(all, hands_over_to_the_first_of_equals);
	tcase_add_test(all, hands_over_to_nobody_that_is_silent);
	tcase_add_test(all, hands_over_to_no_learner);
	tcase_add_test(all,
		       hands_over_to_another_when_the_first_does_not_take_it);
	tcase_add_test(all, hands_over_anew_in_another_term);
	tcase_add_test(all, who_follows_hands_over_to_nobody);
	tcase_add_test(all, hands_over_once_and_only_as_leader);
	tcase_add_test(all, an_image_takes_the_logs_place);
	tcase_add_test(all, an_image_within_a_log_that_agrees_takes_nothing);
	tcase_add_test(all, an_image_replaces_a_log_that_contradicts);
	tcase_add_test(all, an_image_that_is_late_or_impossible_is_refused);
	tcase_add_test(all, an_image_without_a_leader_is_told_to_nobody);
	tcase_add_test(all, a_leader_takes_no_image);
	tcase_add_test(all, a_leader_tells_of_its_peers);
	tcase_add_test(all, a_leader_tells_which_change_must_be_applied_first);
	tcase_add_test(all, a_leader_tells_who_is_silent);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
