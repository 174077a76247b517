/*
 * Majorities against naive ones: every vote of up to seven members, and
 * random acknowledgements of up to as many as a configuration holds.
 */
#include "raft/quorum.h"
#include "raft/raft.h"
#include "tests/unit/support_raft_draw.h"

#include <check.h>
#include <stdbool.h>
#include <string.h>

enum sizes {
	VOTERS = 7, /* for whom all votes are tried */
	TRIES = 20000,
};

/* Who has it: a majority, counted one by one. */
static uint64_t naive_index(const uint64_t *acked, unsigned int count)
{
	uint64_t best = 0;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int have = 0;

		for (unsigned int j = 0; j < count; j++)
			have += acked[j] >= acked[i];
		if (have > count / 2 && acked[i] > best)
			best = acked[i];
	}
	return best;
}

START_TEST(a_majority_has_the_index_and_no_higher_one)
{
	struct draw draw;

	draw_init(&draw, (uint64_t)_i);
	for (unsigned int try = 0; try < TRIES; try++) {
		uint64_t acked[RAFT_MEMBERS_MAX], sorted[RAFT_MEMBERS_MAX];
		unsigned int count =
			1 + (unsigned int)draw_below(&draw, RAFT_MEMBERS_MAX);
		uint64_t range = 1 + draw_below(&draw, 20);

		for (unsigned int i = 0; i < count; i++)
			acked[i] = draw_below(&draw, range);
		memcpy(sorted, acked, sizeof(sorted));
		ck_assert_uint_eq(raft_quorum_index(sorted, count),
				  naive_index(acked, count));
	}
}
END_TEST

START_TEST(the_order_of_members_does_not_matter)
{
	uint64_t acked[3];

	for (unsigned int i = 0; i < 27; i++) {
		uint64_t a = i % 3, b = i / 3 % 3, c = i / 9;
		uint64_t middle = a > b ? (b > c ? b : (a > c ? c : a))
					: (a > c ? a : (b > c ? c : b));

		acked[0] = a;
		acked[1] = b;
		acked[2] = c;
		ck_assert_uint_eq(raft_quorum_index(acked, 3), middle);
	}
}
END_TEST

START_TEST(an_even_number_needs_one_more_than_half)
{
	ck_assert_uint_eq(raft_quorum_index((uint64_t[]){9}, 1), 9);
	ck_assert_uint_eq(raft_quorum_index((uint64_t[]){9, 4}, 2), 4);
	ck_assert_uint_eq(raft_quorum_index((uint64_t[]){9, 8, 4, 3}, 4), 4);
	ck_assert_uint_eq(raft_quorum_index((uint64_t[]){9, 8, 7, 4, 3, 2}, 6),
			  4);
}
END_TEST

static enum raft_vote_result naive_vote(const uint8_t *votes,
					unsigned int count)
{
	unsigned int yes = 0, no = 0;

	for (unsigned int i = 0; i < count; i++) {
		yes += votes[i] == RAFT_VOTE_YES;
		no += votes[i] == RAFT_VOTE_NO;
	}
	if (2 * yes > count)
		return RAFT_VOTE_WON;
	/* Whether all that have not answered could still turn it. */
	return 2 * (count - no) > count ? RAFT_VOTE_PENDING : RAFT_VOTE_LOST;
}

START_TEST(every_vote_of_up_to_seven_is_counted_right)
{
	unsigned int ways = 1;

	for (unsigned int count = 1; count <= VOTERS; count++) {
		ways *= 3;
		for (unsigned int way = 0; way < ways; way++) {
			uint8_t votes[VOTERS];
			unsigned int rest = way;

			for (unsigned int i = 0; i < count; i++, rest /= 3)
				votes[i] = (uint8_t)(rest % 3);
			ck_assert_int_eq(raft_quorum_vote(votes, count),
					 naive_vote(votes, count));
		}
	}
	ck_assert_uint_eq(ways, 2187);
}
END_TEST

START_TEST(an_empty_half_decides_nothing)
{
	static const enum raft_vote_result all[] = {
		RAFT_VOTE_PENDING, RAFT_VOTE_LOST, RAFT_VOTE_WON};

	ck_assert_uint_eq(raft_quorum_index(NULL, 0), UINT64_MAX);
	ck_assert_int_eq(raft_quorum_vote(NULL, 0), RAFT_VOTE_WON);
	ck_assert_uint_eq(raft_quorum_joint_index(7, UINT64_MAX), 7);
	ck_assert_uint_eq(raft_quorum_joint_index(UINT64_MAX, 7), 7);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(raft_quorum_joint_vote(all[i], RAFT_VOTE_WON),
				 all[i]);
		ck_assert_int_eq(raft_quorum_joint_vote(RAFT_VOTE_WON, all[i]),
				 all[i]);
	}
}
END_TEST

START_TEST(both_halves_must_agree)
{
	static const struct {
		enum raft_vote_result one, other, both;
	} rows[] = {
		{RAFT_VOTE_WON, RAFT_VOTE_WON, RAFT_VOTE_WON},
		{RAFT_VOTE_WON, RAFT_VOTE_PENDING, RAFT_VOTE_PENDING},
		{RAFT_VOTE_PENDING, RAFT_VOTE_PENDING, RAFT_VOTE_PENDING},
		{RAFT_VOTE_WON, RAFT_VOTE_LOST, RAFT_VOTE_LOST},
		{RAFT_VOTE_PENDING, RAFT_VOTE_LOST, RAFT_VOTE_LOST},
		{RAFT_VOTE_LOST, RAFT_VOTE_LOST, RAFT_VOTE_LOST},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(
			raft_quorum_joint_vote(rows[i].one, rows[i].other),
			rows[i].both);
		ck_assert_int_eq(
			raft_quorum_joint_vote(rows[i].other, rows[i].one),
			rows[i].both);
	}
	ck_assert_uint_eq(raft_quorum_joint_index(3, 5), 3);
	ck_assert_uint_eq(raft_quorum_joint_index(5, 3), 3);
	ck_assert_uint_eq(raft_quorum_joint_index(5, 5), 5);
}
END_TEST

/* Whether a majority of the half has it; an empty half has everything. */
static bool has_majority(const uint64_t *acked, unsigned int count,
			 uint64_t index)
{
	unsigned int have = 0;

	for (unsigned int i = 0; i < count; i++)
		have += acked[i] >= index;
	return count == 0 || have > count / 2;
}

/* What a joint configuration decides, each half has decided alone. */
START_TEST(a_joint_decision_is_one_of_each_half)
{
	struct draw draw;

	draw_init(&draw, (uint64_t)_i);
	for (unsigned int try = 0; try < TRIES; try++) {
		uint64_t acked[2][RAFT_MEMBERS_MAX], sorted[RAFT_MEMBERS_MAX];
		uint64_t index[2], decided;
		unsigned int count[2];

		for (unsigned int half = 0; half < 2; half++) {
			count[half] = (unsigned int)draw_below(
				&draw, RAFT_MEMBERS_MAX + 1);
			for (unsigned int i = 0; i < count[half]; i++)
				acked[half][i] = draw_below(&draw, 10);
			memcpy(sorted, acked[half], sizeof(sorted));
			index[half] = raft_quorum_index(sorted, count[half]);
		}
		decided = raft_quorum_joint_index(index[0], index[1]);
		for (uint64_t i = 0; i < 12; i++)
			ck_assert((has_majority(acked[0], count[0], i) &&
				   has_majority(acked[1], count[1], i)) ==
				  (i <= decided));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, majorities");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(all, a_majority_has_the_index_and_no_higher_one, 0,
			    4);
	tcase_add_test(all, the_order_of_members_does_not_matter);
	tcase_add_test(all, an_even_number_needs_one_more_than_half);
	tcase_add_test(all, every_vote_of_up_to_seven_is_counted_right);
	tcase_add_test(all, an_empty_half_decides_nothing);
	tcase_add_test(all, both_halves_must_agree);
	tcase_add_loop_test(all, a_joint_decision_is_one_of_each_half, 0, 2);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
