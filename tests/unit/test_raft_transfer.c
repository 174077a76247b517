/*
 * Leadership is handed over (the dissertation's §3.10): to whom, after what,
 * and how it is given up.
 */
#include "tests/unit/support_raft_net.h"
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct net net;

/* Three members, of which 1 leads, in term 1, with entry 1 committed. */
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

static uint64_t transferee(void)
{
	return net_status(&net, 1)->transferee;
}

/* What raft_transfer() says, of a member that is asked to hand over. */
static int transfer(uint64_t at, uint64_t to)
{
	int err = raft_transfer(net_core(&net, at)->raft, to);

	net_settle(&net);
	return err;
}

/* A transfer to 3 that waits, because 3 cannot be reached. */
static void offer_to_silent(void)
{
	net_isolate(&net, 3);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	ck_assert_int_eq(transfer(1, 3), 0);
	ck_assert_uint_eq(transferee(), 3);
	ck_assert_uint_eq(net.sent[RAFT_MSG_TIMEOUT_NOW], 0);
}

START_TEST(goes_to_a_member_that_has_all)
{
	ck_assert_int_eq(transfer(1, 2), 0);
	ck_assert_str_eq(net_roles(&net), "FLF");
	ck_assert_uint_eq(net_status(&net, 2)->term, 2);
	ck_assert_uint_eq(net.sent[RAFT_MSG_TIMEOUT_NOW], 1);
	ck_assert_uint_eq(net_status(&net, 1)->leader, 2);
	/* And back, after more entries. */
	ck_assert_int_eq(net_propose(&net, 2), 0);
	ck_assert_int_eq(transfer(2, 1), 0);
	ck_assert_str_eq(net_roles(&net), "LFF");
	ck_assert_uint_eq(net_status(&net, 1)->term, 3);
	ck_assert_str_eq(core_terms(net_core(&net, 3)), "1 2 2 3");
}
END_TEST

START_TEST(a_follower_passes_the_wish_on)
{
	ck_assert_int_eq(transfer(2, 2), 0);
	ck_assert_str_eq(net_roles(&net), "FLF");
	/* Also a wish for someone else. */
	ck_assert_int_eq(transfer(1, 3), 0);
	ck_assert_str_eq(net_roles(&net), "FFL");
	ck_assert_uint_eq(net.sent[RAFT_MSG_TRANSFER], 2);
}
END_TEST

START_TEST(overrules_pre_vote_check_quorum_and_lease)
{
	net_release(&net);
	net_init(&net, 3);
	for (uint64_t id = 1; id <= 3; id++) {
		net_core(&net, id)->options.pre_vote = true;
		net_core(&net, id)->options.check_quorum = true;
		net_core(&net, id)->options.lease = true;
	}
	net_start(&net);
	net_campaign(&net, 1);
	net_tick_all(&net, 1);
	ck_assert_uint_eq(net_status(&net, 1)->lease.term, 1);
	/* No one may campaign, or would be voted for. */
	ck_assert_int_eq(raft_campaign(net_core(&net, 2)->raft), RAFT_EINVALID);
	net.sent[RAFT_MSG_PRE_VOTE] = 0;
	ck_assert_int_eq(transfer(1, 2), 0);
	ck_assert_str_eq(net_roles(&net), "FLF");
	ck_assert_uint_eq(net.sent[RAFT_MSG_PRE_VOTE], 0);
	ck_assert_int_eq(transfer(2, 1), 0);
	ck_assert_str_eq(net_roles(&net), "LFF");
}
END_TEST

START_TEST(waits_until_a_slow_member_has_all)
{
	net_isolate(&net, 3);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	net_heal(&net);
	ck_assert_uint_eq(net_status(&net, 3)->last_index, 1);
	ck_assert_int_eq(transfer(1, 3), 0);
	ck_assert_str_eq(net_roles(&net), "FFL");
	ck_assert_str_eq(core_terms(net_core(&net, 3)), "1 1 2");
}
END_TEST

START_TEST(waits_for_the_last_entry)
{
	struct core *lead = net_core(&net, 1);

	ck_assert_int_eq(core_propose(lead, 8), 0);
	ck_assert_int_eq(core_propose(lead, 8), 0);
	ck_assert_int_eq(raft_transfer(lead->raft, 2), 0);
	core_settle(lead);
	core_acknowledge(lead, 2, 2);
	core_settle(lead);
	ck_assert_uint_eq(core_sent(lead, RAFT_MSG_TIMEOUT_NOW, 0), 0);
	/* That another one has all is nothing to it. */
	core_acknowledge(lead, 3, 3);
	core_settle(lead);
	ck_assert_uint_eq(core_sent(lead, RAFT_MSG_TIMEOUT_NOW, 0), 0);
	core_acknowledge(lead, 2, 3);
	core_settle(lead);
	ck_assert_uint_eq(core_message(lead, RAFT_MSG_TIMEOUT_NOW, 2)->term, 1);
}
END_TEST

START_TEST(only_a_follower_is_told_to_campaign)
{
	struct raft_message now = {
		.type = RAFT_MSG_TIMEOUT_NOW, .from = 1, .to = 2, .term = 1};

	net_isolate(&net, 2);
	net_campaign(&net, 2);
	ck_assert_uint_eq(net_status(&net, 2)->term, 2);
	now.term = 2;
	net_deliver(&net, now);
	ck_assert_uint_eq(net_status(&net, 2)->role, RAFT_CANDIDATE);
	ck_assert_uint_eq(net_status(&net, 2)->term, 2);
	/* A leader goes on leading; no one could tell it. */
	now.from = 3;
	now.to = 1;
	now.term = 1;
	ck_assert_int_eq(raft_receive(net_core(&net, 1)->raft, &now),
			 RAFT_EINVALID);
	ck_assert_uint_eq(net_status(&net, 1)->role, RAFT_LEADER);
	ck_assert_uint_eq(net_status(&net, 1)->term, 1);
}
END_TEST

START_TEST(waits_until_an_image_is_there)
{
	net_isolate(&net, 3);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	net_compact(&net, 1);
	net_heal(&net);
	ck_assert_int_eq(transfer(1, 3), 0);
	ck_assert_uint_eq(net.sent[RAFT_MSG_SNAPSHOT], 1);
	ck_assert_str_eq(net_roles(&net), "FFL");
	ck_assert_uint_eq(net_core(&net, 3)->saved.index, 2);
	ck_assert_str_eq(core_terms(net_core(&net, 3)), "2");
}
END_TEST

START_TEST(to_itself_is_nothing)
{
	ck_assert_int_eq(transfer(1, 1), 0);
	ck_assert_uint_eq(transferee(), 0);
	ck_assert_str_eq(net_roles(&net), "LFF");
	ck_assert_uint_eq(net_status(&net, 1)->term, 1);
	ck_assert_int_eq(net_propose(&net, 1), 0);
}
END_TEST

START_TEST(not_to_a_member_that_does_not_vote)
{
	struct raft_conf_changes learner = conf_change(RAFT_ADD_LEARNER, 4);

	ck_assert_int_eq(net_propose_conf(&net, 1, &learner), 0);
	ck_assert_int_eq(transfer(1, 4), RAFT_EUNKNOWN_PEER);
	ck_assert_int_eq(transfer(1, 9), RAFT_EUNKNOWN_PEER);
	ck_assert_int_eq(transfer(2, 9), RAFT_EUNKNOWN_PEER);
	/* Nor when the wish comes from elsewhere. */
	net_deliver(&net, (struct raft_message){.type = RAFT_MSG_TRANSFER,
						.from = 2,
						.to = 1,
						.term = 1,
						.round = 9});
	net_deliver(&net, (struct raft_message){.type = RAFT_MSG_TRANSFER,
						.from = 2,
						.to = 1,
						.term = 1,
						.round = 4});
	ck_assert_uint_eq(transferee(), 0);
	ck_assert_str_eq(net_roles(&net), "LFF");
}
END_TEST

START_TEST(needs_a_leader_to_ask)
{
	net_isolate(&net, 3);
	ck_assert_int_eq(raft_campaign(net_core(&net, 3)->raft), 0);
	ck_assert_int_eq(transfer(3, 3), RAFT_EDROPPED_NO_LEADER);
	net_restart(&net, 2);
	ck_assert_int_eq(transfer(2, 2), RAFT_EDROPPED_NO_LEADER);
}
END_TEST

START_TEST(is_given_up_after_an_election_timeout)
{
	/* Its own timeout begins with it. */
	net_tick(&net, 1, CORE_ELECTION / 2);
	offer_to_silent();
	for (unsigned int i = 0; i < CORE_ELECTION - 1; i++) {
		net_tick(&net, 1, 1);
		ck_assert_uint_eq(transferee(), 3);
	}
	net_tick(&net, 1, 1);
	ck_assert_uint_eq(transferee(), 0);
	ck_assert_uint_eq(net_status(&net, 1)->role, RAFT_LEADER);
	ck_assert_uint_eq(net_status(&net, 1)->term, 1);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	ck_assert_uint_eq(net_status(&net, 1)->commit, 3);
}
END_TEST

START_TEST(no_proposals_meanwhile)
{
	struct raft_conf_changes change = conf_change(RAFT_ADD_LEARNER, 4);

	offer_to_silent();
	ck_assert_int_eq(net_propose(&net, 1), RAFT_EDROPPED_TRANSFER);
	ck_assert_int_eq(net_propose_conf(&net, 1, &change),
			 RAFT_EDROPPED_TRANSFER);
	/* A follower passes its own on, and does not hear. */
	ck_assert_int_eq(net_propose(&net, 2), 0);
	ck_assert_uint_eq(net.sent[RAFT_MSG_PROPOSE], 1);
	ck_assert_uint_eq(net_status(&net, 1)->last_index, 2);
	ck_assert_uint_eq(core_progress(net_core(&net, 1), 3)->match, 1);
}
END_TEST

START_TEST(ends_with_a_higher_term)
{
	offer_to_silent();
	net_campaign(&net, 2);
	ck_assert_uint_eq(net_leader(&net), 2);
	ck_assert_uint_eq(net_status(&net, 2)->term, 2);
	ck_assert_uint_eq(net_status(&net, 1)->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(transferee(), 0);
}
END_TEST

/* A change of 3 is committed with 2, but 1 applies it only when asked to. */
static struct raft_entry commit_change(uint8_t type)
{
	struct core *lead = net_core(&net, 1);
	struct raft_conf_changes changes = conf_change(type, 3);

	net_isolate(&net, 3);
	ck_assert_int_eq(core_propose_conf(lead, &changes), 0);
	ck_assert(core_take(lead));
	core_persist(lead);
	core_acknowledge(lead, 2, 2);
	ck_assert(core_take(lead));
	ck_assert_uint_eq(lead->ready.apply_last, 2);
	return *raft_entry_at(lead->raft, 2);
}

START_TEST(ends_when_its_member_is_removed)
{
	struct raft_entry change = commit_change(RAFT_REMOVE);
	struct raft_conf_state conf;

	ck_assert_int_eq(raft_transfer(net_core(&net, 1)->raft, 3), 0);
	ck_assert_uint_eq(transferee(), 3);
	ck_assert_int_eq(
		raft_apply_conf(net_core(&net, 1)->raft, &change, &conf), 0);
	ck_assert_str_eq(conf_words(&conf), "1 2");
	ck_assert_uint_eq(transferee(), 0);
}
END_TEST

START_TEST(ends_when_its_member_is_demoted)
{
	struct raft_entry change = commit_change(RAFT_ADD_LEARNER);
	struct raft_conf_state conf;

	ck_assert_int_eq(raft_transfer(net_core(&net, 1)->raft, 3), 0);
	ck_assert_uint_eq(transferee(), 3);
	ck_assert_int_eq(
		raft_apply_conf(net_core(&net, 1)->raft, &change, &conf), 0);
	ck_assert_str_eq(conf_words(&conf), "1 2, learner 3");
	ck_assert_uint_eq(transferee(), 0);
}
END_TEST

START_TEST(a_transfer_to_itself_takes_it_back)
{
	offer_to_silent();
	ck_assert_int_eq(transfer(1, 1), 0);
	ck_assert_uint_eq(transferee(), 0);
	ck_assert_str_eq(net_roles(&net), "LFF");
	ck_assert_int_eq(net_propose(&net, 1), 0);
}
END_TEST

START_TEST(the_second_wish_is_another_member)
{
	offer_to_silent();
	ck_assert_int_eq(transfer(1, 2), 0);
	ck_assert_str_eq(net_roles(&net), "FLF");
	ck_assert_uint_eq(net_status(&net, 2)->term, 2);
}
END_TEST

START_TEST(the_same_wish_again_does_not_prolong_it)
{
	offer_to_silent();
	net_tick(&net, 1, CORE_ELECTION - 1);
	ck_assert_int_eq(transfer(1, 3), 0);
	ck_assert_uint_eq(transferee(), 3);
	net_tick(&net, 1, 1);
	ck_assert_uint_eq(transferee(), 0);
}
END_TEST

static void add_endings(TCase *all)
{
	tcase_add_test(all, is_given_up_after_an_election_timeout);
	tcase_add_test(all, no_proposals_meanwhile);
	tcase_add_test(all, ends_with_a_higher_term);
	tcase_add_test(all, ends_when_its_member_is_removed);
	tcase_add_test(all, ends_when_its_member_is_demoted);
	tcase_add_test(all, a_transfer_to_itself_takes_it_back);
	tcase_add_test(all, the_second_wish_is_another_member);
	tcase_add_test(all, the_same_wish_again_does_not_prolong_it);
}

int main(void)
{
	Suite *suite = suite_create("raft, handing over");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, goes_to_a_member_that_has_all);
	tcase_add_test(all, a_follower_passes_the_wish_on);
	tcase_add_test(all, overrules_pre_vote_check_quorum_and_lease);
	tcase_add_test(all, waits_until_a_slow_member_has_all);
	tcase_add_test(all, waits_for_the_last_entry);
	tcase_add_test(all, only_a_follower_is_told_to_campaign);
	tcase_add_test(all, waits_until_an_image_is_there);
	tcase_add_test(all, to_itself_is_nothing);
	tcase_add_test(all, not_to_a_member_that_does_not_vote);
	tcase_add_test(all, needs_a_leader_to_ask);
	add_endings(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
