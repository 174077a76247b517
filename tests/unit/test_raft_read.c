/*
 * Linearizable reads (the dissertation's §6.4): at which index, confirmed by
 * whom and by which round of heartbeats, and when they are forgotten.
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
	net_init(&net, 3);
}

static void tear_down(void)
{
	core_release(&one);
	net_release(&net);
}

/* `at` asks; it is told that it may be served at `index`. */
static void check_read(uint64_t at, uint64_t context, uint64_t index)
{
	ck_assert_int_eq(raft_read_index(net_core(&net, at)->raft, context), 0);
	net_settle(&net);
	ck_assert_uint_eq(net_core(&net, at)->read_count, 1);
	ck_assert(core_was_read(net_core(&net, at), context, index));
}

/* Leads, and its first entry is committed and applied. */
static void lead(void)
{
	core_lead(&one);
	core_acknowledge(&one, 2, core_status(&one)->last_index);
	core_settle(&one);
	ck_assert_uint_eq(core_status(&one)->applied,
			  core_status(&one)->last_index);
}

static int ask(uint64_t context)
{
	return raft_read_index(one.raft, context);
}

static int ask_from(uint64_t from, uint64_t context)
{
	return core_offer(&one,
			  (struct raft_message){.type = RAFT_MSG_READ_INDEX,
						.from = from,
						.round = context});
}

START_TEST(a_read_is_served_at_the_commit_index_of_its_time)
{
	net_start(&net);
	net_campaign(&net, 1);
	for (uint64_t id = 1; id <= 3; id++)
		check_read(id, 10 + id, 1);
	for (unsigned int i = 0; i < 10; i++)
		ck_assert_int_eq(net_propose(&net, 1), 0);
	for (uint64_t id = 1; id <= 3; id++)
		check_read(id, 20 + id, 11);
	/* One that lags hears of an index that it does not have yet. */
	net_ignore(&net, RAFT_MSG_APPEND);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	net_heal(&net);
	net_drop(&net, 1, 3);
	net_tick(&net, 1, 1);
	net_heal(&net);
	ck_assert_uint_eq(net_status(&net, 1)->commit, 12);
	ck_assert_uint_eq(net_status(&net, 3)->commit, 11);
	check_read(3, 30, 12);
}
END_TEST

START_TEST(a_read_needs_a_quorum_that_answers)
{
	net_start(&net);
	net_campaign(&net, 1);
	net_isolate(&net, 3);
	check_read(1, 1, 1);
	net_isolate(&net, 2);
	ck_assert_int_eq(raft_read_index(net_core(&net, 1)->raft, 2), 0);
	net_settle(&net);
	net_tick(&net, 1, 3);
	ck_assert_uint_eq(net_core(&net, 1)->read_count, 0);
	/* The answer to any later round will do. */
	net_heal(&net);
	net_tick(&net, 1, 1);
	ck_assert(core_was_read(net_core(&net, 1), 2, 1));
}
END_TEST

START_TEST(a_leaders_clock_may_answer_at_once)
{
	for (uint64_t id = 1; id <= 3; id++) {
		net_core(&net, id)->options.read_mode = RAFT_READ_LEASE;
		net_core(&net, id)->options.check_quorum = true;
	}
	net_start(&net);
	net_campaign(&net, 1);
	for (unsigned int i = 0; i < 10; i++)
		ck_assert_int_eq(net_propose(&net, 1), 0);
	for (uint64_t id = 1; id <= 3; id++)
		check_read(id, 10 + id, 11);
	ck_assert_uint_eq(net.sent[RAFT_MSG_HEARTBEAT], 0);
	/* It asks no one, as long as it leads. */
	net_isolate(&net, 1);
	check_read(1, 20, 11);
	net_tick(&net, 1, 2 * CORE_ELECTION);
	ck_assert_int_eq(raft_read_index(net_core(&net, 1)->raft, 21),
			 RAFT_EDROPPED_NO_LEADER);
}
END_TEST

START_TEST(a_learner_reads_too)
{
	static const struct raft_conf_state conf = {.voters = {1},
						    .voter_count = 1,
						    .learners = {2},
						    .learner_count = 1};

	net_init(&net, 2);
	for (uint64_t id = 1; id <= 2; id++)
		net_core(&net, id)->saved.conf = conf;
	net_start(&net);
	net_campaign(&net, 1);
	ck_assert_int_eq(net_propose(&net, 1), 0);
	check_read(2, 1, 2);
	check_read(1, 2, 2);
	/* Its answers to heartbeats confirm nothing for others. */
	net_isolate(&net, 2);
	check_read(1, 3, 2);
}
END_TEST

START_TEST(a_new_leader_reads_after_its_first_commit)
{
	static const uint8_t modes[] = {RAFT_READ_SAFE, RAFT_READ_LEASE};

	for (unsigned int i = 0; i < 2; i++) {
		core_init(&one, 1, 3);
		one.options.read_mode = modes[i];
		one.options.check_quorum = true;
		core_load(&one, (uint64_t[]){1, 1, 0});
		one.hard.commit = 1;
		core_start(&one);
		core_settle(&one);
		core_lead(&one);
		ck_assert_uint_eq(core_status(&one)->commit, 1);
		ck_assert_int_eq(ask(7), 0);
		ck_assert_int_eq(ask_from(3, 8), 0);
		core_round(&one, 2);
		core_settle(&one);
		ck_assert_uint_eq(one.read_count, 0);
		/* Then they get a round of their own. */
		core_acknowledge(&one, 2, 3);
		core_settle(&one);
		ck_assert_uint_eq(one.read_count, 0);
		say_round(&one, 2);
		core_settle(&one);
		ck_assert(core_was_read(&one, 7, 3));
		ck_assert_uint_eq(
			core_message(&one, RAFT_MSG_READ_INDEX_REPLY, 3)
				->log_index,
			3);
		core_release(&one);
	}
}
END_TEST

START_TEST(reads_asked_together_share_a_round)
{
	core_start(&one);
	lead();
	for (uint64_t context = 1; context <= 3; context++)
		ck_assert_int_eq(ask(context), 0);
	ck_assert_int_eq(ask_from(3, 4), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 2), 1);
	say_round(&one, 2);
	core_settle(&one);
	ck_assert_uint_eq(one.read_count, 3);
	for (uint64_t context = 1; context <= 3; context++)
		ck_assert(core_was_read(&one, context, 1));
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_READ_INDEX_REPLY, 3)->round, 4);
	/* Asked when the round is on its way, one needs the next. */
	ck_assert_int_eq(ask(5), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 2), 1);
	ck_assert_int_eq(ask(6), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	say_round(&one, 3);
	core_settle(&one);
	ck_assert_uint_eq(one.read_count, 1);
	ck_assert(core_was_read(&one, 5, 1));
	say_round(&one, 3);
	core_settle(&one);
	ck_assert(core_was_read(&one, 6, 1));
}
END_TEST

START_TEST(late_and_doubled_answers_confirm_nothing_newer)
{
	uint64_t old;

	core_start(&one);
	lead();
	raft_tick(one.raft);
	core_settle(&one);
	old = core_message(&one, RAFT_MSG_HEARTBEAT, 2)->round;
	ck_assert_int_eq(ask(1), 0);
	core_settle(&one);
	for (unsigned int i = 0; i < 4; i++)
		core_give(&one, (struct raft_message){
					.type = RAFT_MSG_HEARTBEAT_REPLY,
					.from = 2 + i % 2,
					.term = 1,
					.round = old});
	core_settle(&one);
	ck_assert_uint_eq(one.read_count, 0);
	core_give(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					      .from = 3,
					      .term = 1,
					      .round = old + 1});
	core_settle(&one);
	ck_assert(core_was_read(&one, 1, 1));
}
END_TEST

START_TEST(both_halves_confirm_a_read)
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
	for (uint64_t id = 2; id <= 4; id++)
		ck_assert_int_eq(say_vote_reply(&one, id, false), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 1);
	core_acknowledge(&one, 4, 1);
	core_settle(&one);
	ck_assert_int_eq(ask(1), 0);
	ck_assert(core_take(&one));
	say_round(&one, 2);
	say_round(&one, 3);
	core_settle_on(&one);
	ck_assert_uint_eq(one.read_count, 0);
	say_round(&one, 5);
	core_settle(&one);
	ck_assert(core_was_read(&one, 1, 1));
}
END_TEST

START_TEST(a_smaller_quorum_confirms_what_waits)
{
	struct raft_conf_changes remove = conf_change(RAFT_REMOVE, 2);

	core_release(&one);
	core_init(&one, 1, 2);
	core_start(&one);
	lead();
	ck_assert_int_eq(core_propose_conf(&one, &remove), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 2);
	ck_assert_int_eq(ask(7), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.read_count, 0);
	core_apply(&one);
	ck_assert_str_eq(conf_words(&core_status(&one)->conf), "1");
	ck_assert(core_take(&one));
	ck_assert(core_was_read(&one, 7, 2));
}
END_TEST

START_TEST(there_is_room_again_when_reads_are_served_or_forgotten)
{
	one.options.reads_max = 2;
	core_start(&one);
	lead();
	ck_assert_int_eq(ask(1), 0);
	ck_assert_int_eq(ask_from(3, 2), 0);
	ck_assert_int_eq(ask(3), RAFT_EFULL);
	ck_assert_int_eq(ask_from(3, 3), RAFT_EFULL);
	core_settle(&one);
	say_round(&one, 2);
	core_settle(&one);
	ck_assert(core_was_read(&one, 1, 1));
	ck_assert_int_eq(ask(4), 0);
	ck_assert_int_eq(ask(5), 0);
	ck_assert_int_eq(ask(6), RAFT_EFULL);
	/* Who stops leading forgets them. */
	ck_assert_int_eq(say_beat(&one, 2, 5, 0), 0);
	core_settle(&one);
	lead();
	core_round(&one, 2);
	core_settle(&one);
	ck_assert_uint_eq(one.read_count, 0);
	ck_assert_int_eq(ask(7), 0);
	ck_assert_int_eq(ask(8), 0);
	ck_assert_int_eq(ask(9), RAFT_EFULL);
}
END_TEST

/* A single voter confirms at once: the second two wait for nothing else. */
START_TEST(answers_beyond_the_room_of_one_ready_come_with_the_next)
{
	core_init(&one, 1, 1);
	one.options.reads_max = 2;
	core_start(&one);
	core_lead(&one);
	for (uint64_t context = 1; context <= 4; context++)
		ck_assert_int_eq(ask(context), 0);
	ck_assert_int_eq(ask(5), RAFT_EFULL);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.read_count, 2);
	ck_assert(core_was_read(&one, 1, 1));
	ck_assert(core_was_read(&one, 2, 1));
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.read_count, 2);
	ck_assert(core_was_read(&one, 3, 1));
	ck_assert(core_was_read(&one, 4, 1));
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

START_TEST(only_a_leader_is_asked)
{
	core_start(&one);
	ck_assert_int_eq(ask(1), RAFT_EDROPPED_NO_LEADER);
	ck_assert_int_eq(ask_from(3, 1), RAFT_EDROPPED_NO_LEADER);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	ck_assert_int_eq(ask(2), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_READ_INDEX, 2)->round, 2);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_READ_INDEX, 2)->term, 0);
	/* The asker finds the new leader itself. */
	ck_assert_int_eq(ask_from(3, 3), RAFT_EDROPPED_NO_LEADER);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	ck_assert_int_eq(ask(4), RAFT_EDROPPED_NO_LEADER);
}
END_TEST

START_TEST(only_answers_of_this_term_are_heard)
{
	struct raft_message reply = {.type = RAFT_MSG_READ_INDEX_REPLY,
				     .from = 2,
				     .term = 1,
				     .log_index = 9,
				     .round = 7};

	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 2, 0), 0);
	core_give(&one, reply);
	core_settle(&one);
	ck_assert_uint_eq(one.read_count, 0);
	reply.term = 2;
	core_give(&one, reply);
	core_settle(&one);
	ck_assert_uint_eq(one.read_count, 1);
	ck_assert(core_was_read(&one, 7, 9));
	/* Nor by a member that no longer follows. */
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	reply.term = 3;
	core_give(&one, reply);
	core_settle(&one);
	ck_assert_uint_eq(one.read_count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, reads");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_read_is_served_at_the_commit_index_of_its_time);
	tcase_add_test(all, a_read_needs_a_quorum_that_answers);
	tcase_add_test(all, a_leaders_clock_may_answer_at_once);
	tcase_add_test(all, a_learner_reads_too);
	tcase_add_test(all, a_new_leader_reads_after_its_first_commit);
	tcase_add_test(all, reads_asked_together_share_a_round);
	tcase_add_test(all, late_and_doubled_answers_confirm_nothing_newer);
	tcase_add_test(all, both_halves_confirm_a_read);
	tcase_add_test(all, a_smaller_quorum_confirms_what_waits);
	tcase_add_test(all,
		       there_is_room_again_when_reads_are_served_or_forgotten);
	tcase_add_test(all,
		       answers_beyond_the_room_of_one_ready_come_with_the_next);
	tcase_add_test(all, only_a_leader_is_asked);
	tcase_add_test(all, only_answers_of_this_term_are_heard);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
