/*
 * Replication (the paper's §5.3): what a follower takes of what a leader
 * sends, how the two find where their logs agree, and that messages which are
 * late, doubled or the other way round move nothing back.
 */
#include "tests/unit/support_raft_net.h"
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;
static struct core two;
static struct net net;

static void set_up(void)
{
	core_init(&one, 1, 3);
	core_init(&two, 2, 3);
	net_init(&net, 3);
}

static void tear_down(void)
{
	core_release(&one);
	core_release(&two);
	net_release(&net);
}

/* All have applied entries 1 .. of these terms and payloads. */
static void check_all(const char *terms, const uint32_t *sizes)
{
	for (uint64_t id = 1; id <= net.count; id++) {
		struct core *core = net_core(&net, id);
		uint64_t last = core_status(core)->last_index;

		ck_assert_str_eq(core_terms(core), terms);
		ck_assert_uint_eq(core_status(core)->commit, last);
		ck_assert_uint_eq(core->image.index, last);
		for (uint64_t i = 1; i <= last; i++)
			ck_assert_uint_eq(raft_entry_at(core->raft, i)->size,
					  sizes[i - 1]);
	}
}

static void propose_at(uint64_t id, uint32_t size)
{
	ck_assert_int_eq(core_propose(net_core(&net, id), size), 0);
	net_settle(&net);
}

START_TEST(all_apply_the_same_in_the_same_order)
{
	net_start(&net);
	net_campaign(&net, 1);
	propose_at(1, 100);
	check_all("1 1", (uint32_t[]){0, 100});
	propose_at(1, 200);
	net_campaign(&net, 2);
	propose_at(2, 300);
	check_all("1 1 1 2 2", (uint32_t[]){0, 100, 200, 0, 300});
}
END_TEST

START_TEST(a_learner_gets_what_voters_get)
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
	propose_at(1, 100);
	check_all("1 1", (uint32_t[]){0, 100});
	ck_assert_uint_eq(core_progress(net_core(&net, 1), 2)->match, 2);
	/* It is not waited for. */
	net_isolate(&net, 2);
	propose_at(1, 200);
	ck_assert_uint_eq(net_status(&net, 1)->commit, 3);
	ck_assert_uint_eq(net_status(&net, 2)->commit, 2);
}
END_TEST

START_TEST(a_follower_passes_proposals_on)
{
	net_start(&net);
	net_campaign(&net, 1);
	propose_at(2, 100);
	propose_at(3, 200);
	ck_assert_uint_eq(net.sent[RAFT_MSG_PROPOSE], 2);
	check_all("1 1 1", (uint32_t[]){0, 100, 200});
	/* Not where it is forbidden. */
	net_core(&net, 3)->options.forwarding = false;
	net_restart(&net, 3);
	net_tick(&net, 1, 1);
	ck_assert_int_eq(net_propose(&net, 3), RAFT_EDROPPED_NO_FORWARD);
	check_all("1 1 1", (uint32_t[]){0, 100, 200});
}
END_TEST

/* Index and term are the leader's to give, whatever was there before. */
START_TEST(what_is_passed_on_has_no_place_yet)
{
	struct raft_entry entry = core_entry(9, 9);
	const struct raft_message *message;
	uint64_t index = 7, term = 7;

	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	ck_assert_int_eq(raft_propose(one.raft, &entry, &index, &term), 0);
	ck_assert_uint_eq(index, 0);
	ck_assert_uint_eq(term, 0);
	core_settle(&one);
	message = core_message(&one, RAFT_MSG_PROPOSE, 2);
	ck_assert_uint_eq(message->term, 0);
	ck_assert_uint_eq(message->entry_count, 1);
	ck_assert_uint_eq(message->entries[0].index, 0);
	ck_assert_uint_eq(message->entries[0].term, 0);
	ck_assert_uint_eq(message->entries[0].size, 8);
	ck_assert_uint_eq(core_status(&one)->last_index, 0);
}
END_TEST

/* A log of terms 1 2 is sent an append, in term 3. */
START_TEST(a_follower_takes_what_follows_its_log)
{
	static const struct {
		uint64_t index, term, commit;
		uint64_t terms[3];
		const char *log;
		uint64_t committed;
		bool reject;
	} rows[] = {
		/* The entry before is another, or is not there. */
		{2, 3, 3, {0}, "1 2", 0, true},
		{3, 3, 3, {0}, "1 2", 0, true},
		{1, 2, 3, {3, 0}, "1 2", 0, true},
		/* What contradicts goes, with all that follows it. */
		{1, 1, 1, {0}, "1 2", 1, false},
		{0, 0, 1, {2, 0}, "2", 1, false},
		{1, 1, 1, {3, 3, 0}, "1 3 3", 1, false},
		{2, 2, 3, {2, 2, 0}, "1 2 2 2", 3, false},
		{2, 2, 4, {2, 0}, "1 2 2", 3, false},
		{1, 1, 4, {2, 0}, "1 2", 2, false},
		/* Commits no more than what is known to agree. */
		{1, 1, 3, {0}, "1 2", 1, false},
		{1, 1, 3, {2, 0}, "1 2", 2, false},
		{2, 2, 3, {0}, "1 2", 2, false},
		{0, 0, 2, {1, 0}, "1 2", 1, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct raft_message *reply;
		struct raft_message append = {.from = 2,
					      .term = 3,
					      .log_index = rows[i].index,
					      .log_term = rows[i].term,
					      .commit = rows[i].commit};

		core_init(&one, 1, 3);
		core_load(&one, (uint64_t[]){1, 2, 0});
		core_start(&one);
		ck_assert_int_eq(say_append(&one, append, rows[i].terms), 0);
		core_settle(&one);
		ck_assert_str_eq(core_terms(&one), rows[i].log);
		ck_assert_uint_eq(core_status(&one)->commit, rows[i].committed);
		reply = core_message(&one, RAFT_MSG_APPEND_REPLY, 2);
		ck_assert_int_eq(reply->reject, rows[i].reject);
		core_release(&one);
	}
}
END_TEST

/* An append of `one` to `two`, the answer, and the next append. */
static bool probe(uint64_t index)
{
	const struct raft_message *append =
		core_message(&one, RAFT_MSG_APPEND, 2);
	struct raft_message reply;

	ck_assert_uint_eq(append->log_index, index);
	core_give(&two, *append);
	core_settle(&two);
	reply = *core_message(&two, RAFT_MSG_APPEND_REPLY, 1);
	core_give(&one, reply);
	core_settle(&one);
	return !reply.reject;
}

static void check_same_log(void)
{
	uint64_t last = core_status(&one)->last_index;

	ck_assert_uint_eq(core_progress(&one, 2)->match, last);
	ck_assert_uint_eq(core_status(&two)->last_index, last);
	for (uint64_t i = 1; i <= last; i++)
		ck_assert_uint_eq(raft_entry_at(one.raft, i)->term,
				  raft_entry_at(two.raft, i)->term);
}

/* Each side skips a whole term at a time. */
START_TEST(two_logs_are_compared_term_by_term)
{
	static const struct {
		uint64_t leader[9];
		uint64_t follower[9];
		uint64_t probes[4];
	} rows[] = {
		/* The follower's is shorter, or empty. */
		{{1, 1, 1, 2, 2, 0}, {1, 0}, {5, 1}},
		{{1, 1, 0}, {0}, {2, 0}},
		{{1, 2, 2, 4, 4, 4, 0}, {1, 2, 2, 4, 0}, {6, 4}},
		/* It has entries of an older term, which the leader skips. */
		{{1, 3, 3, 3, 3, 0}, {1, 2, 2, 2, 2, 2, 0}, {5, 1}},
		{{1, 2, 2, 2, 5, 0}, {1, 2, 2, 2, 4, 4, 4, 0}, {5, 4}},
		/* It has entries of a newer term, which it skips itself. */
		{{1, 1, 1, 1, 0}, {1, 1, 3, 3, 3, 0}, {4, 2}},
		{{1, 1, 0}, {3, 3, 3, 3, 0}, {2, 0}},
		/* Both, one after the other. */
		{{1, 1, 2, 2, 2, 6, 6, 0}, {1, 1, 3, 3, 5, 5, 5, 0}, {7, 5, 2}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned int at = 0;

		core_init(&one, 1, 3);
		core_init(&two, 2, 3);
		one.hard.term = 9;
		core_load(&one, rows[i].leader);
		core_load(&two, rows[i].follower);
		core_start(&one);
		core_start(&two);
		core_lead(&one);
		while (!probe(rows[i].probes[at]))
			at++;
		ck_assert_uint_ge(at, 1);
		ck_assert_uint_eq(rows[i].probes[at + 1], 0);
		check_same_log();
		core_release(&one);
		core_release(&two);
	}
}
END_TEST

START_TEST(a_follower_that_compacted_answers_from_what_it_has)
{
	two.saved.index = 3;
	two.saved.term = 1;
	core_load(&two, (uint64_t[]){3, 3, 0});
	core_load(&one, (uint64_t[]){1, 1, 1, 2, 2, 2, 0});
	one.hard.term = 9;
	core_start(&one);
	core_start(&two);
	core_lead(&one);
	ck_assert(!probe(6));
	ck_assert(probe(3));
	ck_assert_str_eq(core_terms(&two), "2 2 2 10");
}
END_TEST

START_TEST(a_leader_that_compacted_sends_its_image)
{
	const struct raft_message *message;

	one.saved.index = 4;
	one.saved.term = 2;
	one.hard.term = 9;
	core_load(&one, (uint64_t[]){3, 3, 0});
	core_load(&two, (uint64_t[]){1, 1, 2, 0});
	core_start(&one);
	core_start(&two);
	core_lead(&one);
	ck_assert(!probe(6));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 2), 0);
	message = core_message(&one, RAFT_MSG_SNAPSHOT, 2);
	ck_assert_uint_eq(message->snapshot->index, 4);
}
END_TEST

static void check_progress(uint64_t match, uint64_t next)
{
	ck_assert_uint_eq(core_progress(&one, 2)->match, match);
	ck_assert_uint_eq(core_progress(&one, 2)->next, next);
}

START_TEST(late_answers_move_nothing_back)
{
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	check_progress(1, 5);
	core_acknowledge(&one, 2, 3);
	check_progress(3, 5);
	/* Nothing is sent twice for it, only what is committed now. */
	core_settle(&one);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_APPEND, 2)->entry_count,
			  0);
	/* Older acknowledgements, and refusals of what it has by now. */
	core_acknowledge(&one, 2, 2);
	check_progress(3, 5);
	say_refusal(&one, 2, 2, 1, 1);
	say_refusal(&one, 2, 3, 1, 1);
	check_progress(3, 5);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_REPLICATE);
	/* The same while it is probed. */
	raft_report_unreachable(one.raft, 2);
	ck_assert_uint_eq(core_progress(&one, 2)->state, RAFT_PROBE);
	check_progress(3, 4);
	say_refusal(&one, 2, 2, 1, 1);
	say_refusal(&one, 2, 3, 0, 0);
	check_progress(3, 4);
}
END_TEST

START_TEST(a_probe_hears_only_the_answer_to_itself)
{
	core_load(&one, (uint64_t[]){1, 1, 1, 1, 1, 1, 0});
	core_start(&one);
	core_lead(&one);
	check_progress(0, 7);
	for (uint64_t index = 1; index <= 7; index++) {
		if (index == 6)
			continue;
		say_refusal(&one, 2, index, index - 1, 1);
		check_progress(0, 7);
	}
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 2), 0);
	say_refusal(&one, 2, 6, 3, 1);
	check_progress(0, 4);
	core_settle(&one);
	ck_assert_uint_eq(core_message(&one, RAFT_MSG_APPEND, 2)->log_index, 3);
}
END_TEST

START_TEST(appends_the_other_way_round_cut_nothing)
{
	struct raft_message first = {
		.from = 2, .term = 1, .log_index = 0, .commit = 0};
	struct raft_message second = {.from = 2,
				      .term = 1,
				      .log_index = 2,
				      .log_term = 1,
				      .commit = 2};

	core_start(&one);
	ck_assert_int_eq(say_append(&one, second, (uint64_t[]){1, 1, 0}), 0);
	core_settle(&one);
	ck_assert(core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->reject);
	ck_assert_int_eq(say_append(&one, first, (uint64_t[]){1, 1, 0}), 0);
	ck_assert_int_eq(say_append(&one, second, (uint64_t[]){1, 1, 0}), 0);
	ck_assert_int_eq(say_append(&one, first, (uint64_t[]){1, 0}), 0);
	core_settle(&one);
	ck_assert_str_eq(core_terms(&one), "1 1 1 1");
	ck_assert_uint_eq(core_status(&one)->commit, 2);
}
END_TEST

START_TEST(a_stale_refusal_changes_nothing)
{
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_settle(&one);
	check_progress(1, 2);
	say_refusal(&one, 2, 1, 0, 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 2), 0);
	check_progress(1, 2);
}
END_TEST

START_TEST(the_window_is_bounded_in_bytes)
{
	one.options.inflight_size_max = 1000;
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_settle(&one);
	ck_assert_int_eq(core_propose(&one, 600), 0);
	ck_assert_int_eq(core_propose(&one, 600), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 2), 2);
	check_progress(1, 4);
	ck_assert_int_eq(core_propose(&one, 600), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 2), 0);
	core_acknowledge(&one, 2, 2);
	core_settle(&one);
	check_progress(2, 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, replication");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, all_apply_the_same_in_the_same_order);
	tcase_add_test(all, a_learner_gets_what_voters_get);
	tcase_add_test(all, a_follower_passes_proposals_on);
	tcase_add_test(all, what_is_passed_on_has_no_place_yet);
	tcase_add_test(all, a_follower_takes_what_follows_its_log);
	tcase_add_test(all, two_logs_are_compared_term_by_term);
	tcase_add_test(all, a_follower_that_compacted_answers_from_what_it_has);
	tcase_add_test(all, a_leader_that_compacted_sends_its_image);
	tcase_add_test(all, late_answers_move_nothing_back);
	tcase_add_test(all, a_probe_hears_only_the_answer_to_itself);
	tcase_add_test(all, appends_the_other_way_round_cut_nothing);
	tcase_add_test(all, a_stale_refusal_changes_nothing);
	tcase_add_test(all, the_window_is_bounded_in_bytes);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
