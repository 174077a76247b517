/*
 * Elections: the paper's §5.2. When they begin, who wins them, and that
 * members rarely begin one at the same time.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

enum election_sizes {
	MEMBERS = 5,
	LIVES = 500,
	ROUNDS = 1000,
};

static struct core one;
static struct core member[MEMBERS];

static void set_up(void)
{
	core_init(&one, 1, 3);
}

static void tear_down(void)
{
	core_release(&one);
	for (unsigned int i = 0; i < MEMBERS; i++)
		core_release(&member[i]);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

/* Ticks until its term rises; what it asks for then lies in mail. */
static unsigned int ticks_to_campaign(struct core *core)
{
	uint64_t term = core_status(core)->term;
	unsigned int ticks = 0;

	while (core_status(core)->term == term) {
		ck_assert_uint_lt(ticks, 2 * CORE_ELECTION);
		raft_tick(core->raft);
		ticks++;
	}
	core_settle(core);
	ck_assert_uint_eq(core_status(core)->term, term + 1);
	return ticks;
}

static void check_campaign(uint64_t term)
{
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_uint_eq(status()->term, term);
	ck_assert_uint_eq(status()->vote, 1);
	ck_assert_uint_eq(status()->leader, 0);
	ck_assert_uint_eq(one.mail_count, 2);
	for (uint64_t to = 2; to <= 3; to++)
		ck_assert_uint_eq(core_message(&one, RAFT_MSG_VOTE, to)->term,
				  term);
}

START_TEST(who_hears_no_leader_asks_for_votes)
{
	core_start(&one);
	ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
	core_settle(&one);
	(void)ticks_to_campaign(&one);
	check_campaign(2);
	/* And again, when no one wins. */
	(void)ticks_to_campaign(&one);
	check_campaign(3);
}
END_TEST

START_TEST(a_leaders_word_keeps_a_follower_waiting)
{
	core_start(&one);
	for (unsigned int i = 0; i < 10 * CORE_ELECTION; i++) {
		if (i % (CORE_ELECTION - 1) == 0)
			ck_assert_int_eq(say_beat(&one, 2, 1, 0), 0);
		raft_tick(one.raft);
		core_settle(&one);
	}
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->term, 1);
}
END_TEST

/* Answers as one digit a member, in the order in which they come. */
START_TEST(an_election_is_won_or_lost_in_one_round)
{
	static const struct {
		unsigned int voters;
		const char *answers; /* y, n or _ (none) of 2, 3, ... */
		uint8_t role;
	} rows[] = {
		{1, "", RAFT_LEADER},	     {2, "y", RAFT_LEADER},
		{3, "yy", RAFT_LEADER},	     {3, "y_", RAFT_LEADER},
		{4, "yy_", RAFT_LEADER},     {5, "yyyy", RAFT_LEADER},
		{5, "yyy_", RAFT_LEADER},    {5, "_y_y", RAFT_LEADER},
		{5, "nnyy", RAFT_LEADER},    {2, "n", RAFT_FOLLOWER},
		{3, "nn", RAFT_FOLLOWER},    {4, "nn_", RAFT_FOLLOWER},
		{5, "nnnn", RAFT_FOLLOWER},  {5, "ynnn", RAFT_FOLLOWER},
		{5, "nnn_", RAFT_FOLLOWER},  {2, "_", RAFT_CANDIDATE},
		{3, "__", RAFT_CANDIDATE},   {3, "n_", RAFT_CANDIDATE},
		{4, "y__", RAFT_CANDIDATE},  {5, "y___", RAFT_CANDIDATE},
		{5, "ynn_", RAFT_CANDIDATE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		core_init(&one, 1, rows[i].voters);
		core_start(&one);
		ck_assert_int_eq(raft_campaign(one.raft), 0);
		core_settle(&one);
		for (unsigned int j = 0; rows[i].answers[j]; j++)
			if (rows[i].answers[j] != '_')
				core_give(
					&one,
					(struct raft_message){
						.type = RAFT_MSG_VOTE_REPLY,
						.from = j + 2,
						.term = 1,
						.reject = rows[i].answers[j] ==
							  'n'});
		ck_assert_uint_eq(status()->role, rows[i].role);
		ck_assert_uint_eq(status()->term, 1);
		core_release(&one);
	}
}
END_TEST

/* A change of mind does not count; neither does a vote said twice. */
START_TEST(each_vote_counts_once)
{
	core_init(&one, 1, MEMBERS);
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(say_vote_reply(&one, 2, false), 0);
	ck_assert_int_eq(say_vote_reply(&one, 3, true), 0);
	ck_assert_int_eq(say_vote_reply(&one, 3, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	ck_assert_int_eq(say_vote_reply(&one, 5, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(a_candidate_yields_to_a_leader)
{
	for (uint64_t term = 1; term <= 2; term++) {
		for (unsigned int beat = 0; beat < 2; beat++) {
			core_start(&one);
			ck_assert_int_eq(raft_campaign(one.raft), 0);
			core_settle(&one);
			ck_assert_uint_eq(status()->term, 1);
			ck_assert_int_eq(
				beat ? say_beat(&one, 2, term, 0)
				     : say_append(
					       &one,
					       (struct raft_message){
						       .from = 2, .term = term},
					       NULL),
				0);
			ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
			ck_assert_uint_eq(status()->leader, 2);
			ck_assert_uint_eq(status()->term, term);
			core_crash(&one);
			one.hard = (struct raft_hard_state){0};
		}
	}
}
END_TEST

static void check_spread(const unsigned int *seen)
{
	for (unsigned int i = 0; i < CORE_ELECTION; i++)
		ck_assert_msg(seen[i] >= LIVES / CORE_ELECTION / 2,
			      "%u ticks only %u times", CORE_ELECTION + i,
			      seen[i]);
}

START_TEST(a_followers_timeout_is_random)
{
	unsigned int seen[CORE_ELECTION] = {0};

	for (unsigned int i = 0; i < LIVES; i++) {
		unsigned int ticks;

		core_init(&one, 1, 3);
		one.options.seed = i;
		core_start(&one);
		ticks = ticks_to_campaign(&one);
		ck_assert_uint_ge(ticks, CORE_ELECTION);
		seen[ticks - CORE_ELECTION]++;
		core_release(&one);
	}
	check_spread(seen);
}
END_TEST

START_TEST(a_candidates_timeout_is_random)
{
	unsigned int seen[CORE_ELECTION] = {0};

	core_start(&one);
	(void)ticks_to_campaign(&one);
	for (unsigned int i = 0; i < LIVES; i++) {
		unsigned int ticks = ticks_to_campaign(&one);

		ck_assert_uint_ge(ticks, CORE_ELECTION);
		seen[ticks - CORE_ELECTION]++;
	}
	check_spread(seen);
}
END_TEST

static void start_members(void)
{
	for (unsigned int i = 0; i < MEMBERS; i++) {
		core_init(&member[i], i + 1, MEMBERS);
		core_start(&member[i]);
	}
}

/* Whether more than one of the members is the first to campaign. */
static bool is_conflict(void)
{
	unsigned int first = 2 * CORE_ELECTION, count = 0;

	for (unsigned int i = 0; i < MEMBERS; i++) {
		unsigned int ticks = ticks_to_campaign(&member[i]);

		if (ticks < first)
			count = 0;
		if (ticks <= first) {
			first = ticks;
			count++;
		}
	}
	return count > 1;
}

/* Five uniform draws out of ten share their least one in 23 of 100 cases. */
static void check_conflicts(unsigned int conflicts)
{
	ck_assert_uint_lt(conflicts, ROUNDS * 30 / 100);
	ck_assert_uint_gt(conflicts, ROUNDS * 15 / 100);
}

START_TEST(candidates_seldom_campaign_at_once)
{
	unsigned int conflicts = 0;

	start_members();
	for (unsigned int round = 0; round < ROUNDS; round++)
		conflicts += is_conflict();
	check_conflicts(conflicts);
}
END_TEST

/* The term that a new leader brings makes all draw anew. */
START_TEST(followers_seldom_campaign_at_once)
{
	unsigned int conflicts = 0;

	start_members();
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (unsigned int i = 0; i < MEMBERS; i++) {
			ck_assert_int_eq(say_beat(&member[i], i == 0 ? 2 : 1,
						  2 * round + 1, 0),
					 0);
			core_settle(&member[i]);
			ck_assert_uint_eq(core_status(&member[i])->role,
					  RAFT_FOLLOWER);
		}
		conflicts += is_conflict();
	}
	check_conflicts(conflicts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, elections of the paper");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, who_hears_no_leader_asks_for_votes);
	tcase_add_test(all, a_leaders_word_keeps_a_follower_waiting);
	tcase_add_test(all, an_election_is_won_or_lost_in_one_round);
	tcase_add_test(all, each_vote_counts_once);
	tcase_add_test(all, a_candidate_yields_to_a_leader);
	tcase_add_test(all, a_followers_timeout_is_random);
	tcase_add_test(all, a_candidates_timeout_is_random);
	tcase_add_test(all, candidates_seldom_campaign_at_once);
	tcase_add_test(all, followers_seldom_campaign_at_once);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
