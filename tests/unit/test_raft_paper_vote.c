/*
 * Votes: the paper's §5.2 (one in a term) and §5.4.1 (only for a log that is
 * as new), and what this core adds: learners answer too, and a refusal tells
 * what is committed.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
}

static void tear_down(void)
{
	core_release(&one);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

/* What it answers `from`, whose log ends in (index, log_term). */
static const struct raft_message *answer(uint64_t from, uint64_t term,
					 uint64_t index, uint64_t log_term)
{
	ck_assert_int_eq(
		say_vote(&one, (struct raft_message){.from = from,
						     .term = term,
						     .log_index = index,
						     .log_term = log_term}),
		0);
	core_settle(&one);
	return core_message(&one, RAFT_MSG_VOTE_REPLY, from);
}

START_TEST(votes_once_per_term)
{
	core_start(&one);
	ck_assert_int_eq(
		say_vote(&one, (struct raft_message){.from = 2, .term = 2}), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_VOTE_REPLY, 2), 0);
	ck_assert(one.ready.must_sync);
	ck_assert_uint_eq(one.ready.hard.vote, 2);
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert(!core_message(&one, RAFT_MSG_VOTE_REPLY, 2)->reject);
	ck_assert(answer(3, 2, 100, 1)->reject);
	/* To the same one again. */
	ck_assert(!answer(2, 2, 0, 0)->reject);
	/* A restart keeps it, a newer term frees it. */
	core_start(&one);
	ck_assert(answer(3, 2, 0, 0)->reject);
	ck_assert(!answer(2, 2, 0, 0)->reject);
	ck_assert(!answer(3, 3, 0, 0)->reject);
	ck_assert_uint_eq(status()->vote, 3);
}
END_TEST

/* Its own vote is one, too. */
START_TEST(a_candidate_has_no_vote_left)
{
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->vote, 1);
	ck_assert(answer(2, 1, 100, 1)->reject);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

/* What it asks for tells where its log ends. */
START_TEST(asks_for_votes_with_the_end_of_its_log)
{
	static const struct {
		uint64_t terms[3];
		uint64_t index, log_term, term;
	} rows[] = {
		{{0}, 0, 0, 1},
		{{1, 0}, 1, 1, 2},
		{{1, 2, 0}, 2, 2, 3},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		core_init(&one, 1, 3);
		core_load(&one, rows[i].terms);
		core_start(&one);
		ck_assert_int_eq(raft_campaign(one.raft), 0);
		core_settle(&one);
		ck_assert_uint_eq(core_sent(&one, RAFT_MSG_VOTE, 0), 2);
		for (uint64_t to = 2; to <= 3; to++) {
			const struct raft_message *ask =
				core_message(&one, RAFT_MSG_VOTE, to);

			ck_assert_uint_eq(ask->term, rows[i].term);
			ck_assert_uint_eq(ask->log_index, rows[i].index);
			ck_assert_uint_eq(ask->log_term, rows[i].log_term);
		}
		core_release(&one);
	}
}
END_TEST

/* The later last term is newer; of two that are the same, the longer log. */
START_TEST(votes_only_for_a_log_as_new_as_its_own)
{
	static const struct {
		uint64_t terms[3];
		uint64_t index, log_term;
		bool reject;
	} rows[] = {
		{{1, 0}, 1, 1, false},	 {{1, 0}, 2, 1, false},
		{{1, 1, 0}, 1, 1, true}, {{1, 0}, 1, 2, false},
		{{1, 0}, 2, 2, false},	 {{1, 1, 0}, 1, 2, false},
		{{2, 0}, 1, 1, true},	 {{2, 0}, 2, 1, true},
		{{2, 2, 0}, 1, 1, true}, {{2, 0}, 9, 1, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		core_init(&one, 1, 3);
		core_load(&one, rows[i].terms);
		core_start(&one);
		ck_assert_int_eq(
			answer(2, 3, rows[i].index, rows[i].log_term)->reject,
			rows[i].reject);
		/* The term is taken over all the same. */
		ck_assert_uint_eq(status()->term, 3);
		ck_assert_uint_eq(status()->vote, rows[i].reject ? 0 : 2);
		core_release(&one);
	}
}
END_TEST

START_TEST(no_vote_where_a_leader_is_known)
{
	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	ck_assert_uint_eq(status()->vote, 0);
	ck_assert(answer(3, 1, 100, 0)->reject);
	ck_assert_uint_eq(status()->vote, 0);
}
END_TEST

START_TEST(a_learner_never_campaigns)
{
	one.saved.conf = (struct raft_conf_state){
		.voters = {2, 3},
		.voter_count = 2,
		.learners = {1},
		.learner_count = 1,
	};
	one.options.check_quorum = true;
	one.options.lease = true;
	core_start(&one);
	for (unsigned int i = 0; i < 10 * CORE_ELECTION; i++)
		raft_tick(one.raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	/* But it votes: it may be a voter by a change not applied yet. */
	ck_assert(!answer(2, 2, 100, 1)->reject);
	ck_assert_uint_eq(status()->vote, 2);
}
END_TEST

static void refuse_knowing(uint64_t commit, uint64_t commit_term)
{
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 3,
					      .term = 1,
					      .reject = true,
					      .commit = commit,
					      .commit_term = commit_term});
}

START_TEST(a_refusal_tells_what_is_committed)
{
	core_start(&one);
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){.from = 2, .term = 1},
				    (uint64_t[]){1, 1, 0}),
			 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->commit, 0);
	refuse_knowing(2, 2); /* another entry 2 */
	ck_assert_uint_eq(status()->commit, 0);
	refuse_knowing(2, 1);
	ck_assert_uint_eq(status()->commit, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, votes");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, votes_once_per_term);
	tcase_add_test(all, a_candidate_has_no_vote_left);
	tcase_add_test(all, asks_for_votes_with_the_end_of_its_log);
	tcase_add_test(all, votes_only_for_a_log_as_new_as_its_own);
	tcase_add_test(all, no_vote_where_a_leader_is_known);
	tcase_add_test(all, a_learner_never_campaigns);
	tcase_add_test(all, a_refusal_tells_what_is_committed);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
