/*
 * The log: the paper's §5.3 (replication, commit and what followers check),
 * its figure 7, and §5.4.2 (only entries of the own term commit by counting).
 */
#include "tests/unit/support_raft_net.h"
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

enum {
	ACKS_MAX = 4
};

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

static const struct raft_status *status(void)
{
	return core_status(&one);
}

/* Leads, and its first entry is committed and acknowledged by all. */
static void lead(void)
{
	core_lead(&one);
	core_acknowledge(&one, 2, status()->last_index);
	core_acknowledge(&one, 3, status()->last_index);
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, status()->last_index);
}

START_TEST(a_leader_appends_and_sends_at_once)
{
	core_start(&one);
	lead();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_uint_eq(status()->last_index, 2);
	ck_assert_uint_eq(status()->commit, 1);
	ck_assert(core_take(&one));
	/* To the disk and to the others at the same time. */
	ck_assert_uint_eq(one.ready.append_first, 2);
	ck_assert_uint_eq(one.ready.append_last, 2);
	ck_assert_uint_eq(one.mail_count, 2);
	for (uint64_t to = 2; to <= 3; to++) {
		const struct raft_message *append =
			core_message(&one, RAFT_MSG_APPEND, to);

		ck_assert_uint_eq(append->term, 1);
		ck_assert_uint_eq(append->log_index, 1);
		ck_assert_uint_eq(append->log_term, 1);
		ck_assert_uint_eq(append->commit, 1);
		ck_assert_uint_eq(append->first_index, 2);
		ck_assert_uint_eq(append->entry_count, 1);
		ck_assert_uint_eq(append->entries[0].term, 1);
		ck_assert_uint_eq(append->entries[0].size, 8);
	}
}
END_TEST

START_TEST(a_leader_commits_applies_and_tells)
{
	core_start(&one);
	lead();
	ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	core_acknowledge(&one, 2, 2);
	ck_assert_uint_eq(status()->commit, 2);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 2);
	ck_assert_uint_eq(one.ready.apply_last, 2);
	ck_assert_uint_eq(one.mail_count, 2);
	for (uint64_t to = 2; to <= 3; to++) {
		const struct raft_message *append =
			core_message(&one, RAFT_MSG_APPEND, to);

		ck_assert_uint_eq(append->commit, 2);
		ck_assert_uint_eq(append->log_index, 2);
		ck_assert_uint_eq(append->entry_count, 0);
	}
}
END_TEST

START_TEST(a_majority_of_acknowledgements_commits)
{
	static const struct {
		unsigned int voters;
		uint64_t from[ACKS_MAX];
		bool committed;
	} rows[] = {
		{1, {0}, true},	      {2, {0}, false},
		{2, {2}, true},	      {3, {0}, false},
		{3, {2}, true},	      {3, {3}, true},
		{3, {2, 3}, true},    {4, {2}, false},
		{4, {3, 4}, true},    {5, {0}, false},
		{5, {2}, false},      {5, {2, 5}, true},
		{5, {2, 3, 4}, true}, {5, {2, 3, 4, 5}, true},
		{7, {2, 3}, false},   {7, {5, 6, 7}, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		core_init(&one, 1, rows[i].voters);
		core_start(&one);
		core_lead(&one);
		for (unsigned int j = 0; j < ACKS_MAX && rows[i].from[j]; j++)
			core_acknowledge(&one, rows[i].from[j], 1);
		ck_assert_uint_eq(status()->commit, rows[i].committed);
		core_release(&one);
	}
}
END_TEST

START_TEST(what_precedes_is_committed_with_it)
{
	static const struct {
		uint64_t terms[3];
		uint64_t count;
	} rows[] = {{{0}, 0}, {{2, 0}, 1}, {{1, 2, 0}, 2}, {{1, 0}, 1}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		core_init(&one, 1, 3);
		core_load(&one, rows[i].terms);
		core_start(&one);
		core_lead(&one);
		ck_assert_int_eq(core_propose(&one, 8), 0);
		core_settle(&one);
		core_acknowledge(&one, 2, rows[i].count + 2);
		ck_assert(core_take(&one));
		ck_assert_uint_eq(one.ready.apply_first, 1);
		ck_assert_uint_eq(one.ready.apply_last, rows[i].count + 2);
		core_release(&one);
	}
}
END_TEST

START_TEST(a_follower_applies_what_it_hears_committed)
{
	for (uint64_t commit = 0; commit <= 4; commit++) {
		uint64_t last = commit < 3 ? commit : 3;

		core_init(&one, 1, 3);
		core_start(&one);
		ck_assert_int_eq(
			say_append(&one,
				   (struct raft_message){.from = 2,
							 .term = 1,
							 .commit = commit},
				   (uint64_t[]){1, 1, 1, 0}),
			0);
		ck_assert_uint_eq(status()->commit, last);
		ck_assert(core_take(&one));
		/* Not before it has them on its disk. */
		ck_assert_uint_eq(one.ready.apply_last, 0);
		core_persist(&one);
		ck_assert(core_take(&one));
		ck_assert_uint_eq(one.ready.apply_first, last > 0);
		ck_assert_uint_eq(one.ready.apply_last, last);
		core_release(&one);
	}
}
END_TEST

START_TEST(a_follower_checks_the_entry_before)
{
	static const struct {
		uint64_t index, term;
		bool reject;
		uint64_t hint, hint_term;
	} rows[] = {
		/* Of a log 1 2, of which 1 is committed. */
		{0, 0, false, 0, 0}, {1, 1, false, 0, 0}, {2, 2, false, 0, 0},
		{1, 2, true, 1, 1},  {2, 1, true, 1, 1},  {2, 3, true, 2, 2},
		{3, 3, true, 2, 2},  {3, 1, true, 1, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct raft_message *reply;
		struct raft_message append = {.from = 2,
					      .term = 3,
					      .log_index = rows[i].index,
					      .log_term = rows[i].term};

		core_init(&one, 1, 3);
		core_load(&one, (uint64_t[]){1, 2, 0});
		one.hard.commit = 1;
		core_start(&one);
		ck_assert_int_eq(say_append(&one, append, NULL), 0);
		core_settle(&one);
		reply = core_message(&one, RAFT_MSG_APPEND_REPLY, 2);
		ck_assert_uint_eq(reply->term, 3);
		ck_assert_int_eq(reply->reject, rows[i].reject);
		ck_assert_uint_eq(reply->reject_hint, rows[i].hint);
		ck_assert_uint_eq(reply->log_term, rows[i].hint_term);
		/* Up to where it is known to agree: all that is committed. */
		ck_assert_uint_eq(reply->log_index,
				  rows[i].index > 0 ? rows[i].index : 1);
		core_release(&one);
	}
}
END_TEST

START_TEST(a_follower_writes_only_what_is_new)
{
	static const struct {
		uint64_t index, term;
		uint64_t terms[3];
		const char *log;
		uint64_t first, last; /* written */
	} rows[] = {
		/* Of a log 1 2. */
		{2, 2, {3, 0}, "1 2 3", 3, 3},
		{1, 1, {3, 4, 0}, "1 3 4", 2, 3},
		{0, 0, {1, 0}, "1 2", 0, 0},
		{0, 0, {1, 2, 0}, "1 2", 0, 0},
		{1, 1, {2, 4, 0}, "1 2 4", 3, 3},
		{0, 0, {3, 0}, "3", 1, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raft_message append = {.from = 2,
					      .term = 4,
					      .log_index = rows[i].index,
					      .log_term = rows[i].term};

		core_init(&one, 1, 3);
		core_load(&one, (uint64_t[]){1, 2, 0});
		core_start(&one);
		ck_assert_int_eq(say_append(&one, append, rows[i].terms), 0);
		ck_assert(core_take(&one));
		ck_assert_uint_eq(one.ready.append_first, rows[i].first);
		ck_assert_uint_eq(one.ready.append_last, rows[i].last);
		core_persist(&one);
		ck_assert_str_eq(core_terms(&one), rows[i].log);
		/* The disk has the same. */
		core_start(&one);
		ck_assert_str_eq(core_terms(&one), rows[i].log);
		core_release(&one);
	}
}
END_TEST

/* Figure 7: a leader of term 8 and six logs that followers may have. */
START_TEST(a_leader_makes_every_log_its_own)
{
	static const uint64_t leader[] = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 0};
	static const uint64_t followers[][13] = {
		{1, 1, 1, 4, 4, 5, 5, 6, 6, 0},
		{1, 1, 1, 4, 0},
		{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6, 0},
		{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7, 0},
		{1, 1, 1, 4, 4, 4, 4, 0},
		{1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 0},
	};

	for (unsigned int i = 0; i < 6; i++) {
		net_init(&net, 3);
		core_load(net_core(&net, 1), leader);
		core_load(net_core(&net, 2), followers[i]);
		net_core(&net, 1)->hard.term = 7;
		net_start(&net);
		/* 3, whose log is empty, gives the vote that 2 may refuse. */
		net_campaign(&net, 1);
		ck_assert_uint_eq(net_status(&net, 1)->role, RAFT_LEADER);
		ck_assert_uint_eq(net_status(&net, 1)->term, 8);
		ck_assert_int_eq(net_propose(&net, 1), 0);
		for (uint64_t id = 1; id <= 3; id++) {
			ck_assert_str_eq(core_terms(net_core(&net, id)),
					 "1 1 1 4 4 5 5 6 6 6 8 8");
			ck_assert_uint_eq(net_status(&net, id)->commit, 12);
			ck_assert_uint_eq(net_core(&net, id)->last, 12);
		}
		net_release(&net);
	}
}
END_TEST

START_TEST(only_entries_of_its_own_term_are_counted)
{
	for (uint64_t acked = 1; acked <= 4; acked++) {
		core_init(&one, 1, 3);
		core_load(&one, (uint64_t[]){1, 2, 0});
		core_start(&one);
		core_lead(&one);
		ck_assert_uint_eq(status()->term, 3);
		ck_assert_int_eq(core_propose(&one, 8), 0);
		core_settle(&one);
		core_acknowledge(&one, 2, acked);
		ck_assert_uint_eq(status()->commit, acked < 3 ? 0 : acked);
		core_release(&one);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, the log of the paper");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_leader_appends_and_sends_at_once);
	tcase_add_test(all, a_leader_commits_applies_and_tells);
	tcase_add_test(all, a_majority_of_acknowledgements_commits);
	tcase_add_test(all, what_precedes_is_committed_with_it);
	tcase_add_test(all, a_follower_applies_what_it_hears_committed);
	tcase_add_test(all, a_follower_checks_the_entry_before);
	tcase_add_test(all, a_follower_writes_only_what_is_new);
	tcase_add_test(all, a_leader_makes_every_log_its_own);
	tcase_add_test(all, only_entries_of_its_own_term_are_counted);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
