/*
 * Changes of membership as bytes, pinned, and everything that is refused of
 * them; configurations that are full, and what a change leaves behind.
 */
#include "raft/conf.h"
#include "raft/entry.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t golden[] = {
	2,    2,    0, 0, 0, 0, 0, 0, /* header */
	0x08, 0x07, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, /* add voter */
	9,    0,    0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, /* add learner */
};

static struct raft_conf_changes out;

static int decode(uint32_t kind, const uint8_t *bytes, size_t size)
{
	return raft_conf_decode(kind, bytes, size, &out);
}

START_TEST(bytes_are_pinned)
{
	struct raft_conf_changes changes = {0};
	uint8_t bytes[sizeof(golden)];

	changes.transition = RAFT_TRANSITION_EXPLICIT;
	changes.count = 2;
	changes.changes[0].id = 0x0102030405060708;
	changes.changes[0].type = RAFT_ADD_VOTER;
	changes.changes[1].id = 9;
	changes.changes[1].type = RAFT_ADD_LEARNER;
	ck_assert_uint_eq(raft_conf_size(2), sizeof(golden));
	memset(bytes, 0xee, sizeof(bytes));
	raft_conf_encode(&changes, bytes);
	ck_assert_mem_eq(bytes, golden, sizeof(golden));
	ck_assert_int_eq(decode(ENTRY_CONF_V2, golden, sizeof(golden)), 0);
	ck_assert_mem_eq(&out, &changes, sizeof(changes));
}
END_TEST

START_TEST(what_follows_the_changes_is_the_shells)
{
	uint8_t bytes[sizeof(golden) + 5] = {0};

	memcpy(bytes, golden, sizeof(golden));
	bytes[sizeof(golden)] = 0xff;
	ck_assert_int_eq(decode(ENTRY_CONF_V2, bytes, sizeof(bytes)), 0);
	ck_assert_uint_eq(out.count, 2);
}
END_TEST

START_TEST(nothing_at_all_leaves)
{
	ck_assert_int_eq(decode(ENTRY_CONF_V2, NULL, 0), 0);
	ck_assert_uint_eq(out.count, 0);
	ck_assert_int_eq(decode(ENTRY_CONF_V1, NULL, 0), RAFT_EINVALID);
}
END_TEST

START_TEST(malformed_changes_are_refused)
{
	uint8_t bytes[sizeof(golden)];

	for (size_t size = 1; size < sizeof(golden); size++)
		ck_assert_int_eq(decode(ENTRY_CONF_V2, golden, size),
				 RAFT_EINVALID);
	ck_assert_int_eq(decode(ENTRY_CONF_V2, NULL, 8), RAFT_EINVALID);
	memcpy(bytes, golden, sizeof(bytes));
	bytes[0] = 3; /* transition */
	ck_assert_int_eq(decode(ENTRY_CONF_V2, bytes, sizeof(bytes)),
			 RAFT_EINVALID);
	bytes[0] = 2;
	bytes[1] = RAFT_CHANGES_MAX + 1;
	ck_assert_int_eq(decode(ENTRY_CONF_V2, bytes, sizeof(bytes)),
			 RAFT_EINVALID);
	bytes[1] = 2;
	for (unsigned int i = 2; i < 8; i++) {
		bytes[i] = 1; /* reserved */
		ck_assert_int_eq(decode(ENTRY_CONF_V2, bytes, sizeof(bytes)),
				 RAFT_EINVALID);
		bytes[i] = 0;
	}
	for (unsigned int i = 17; i < 24; i++) {
		bytes[i] = 1; /* reserved */
		ck_assert_int_eq(decode(ENTRY_CONF_V2, bytes, sizeof(bytes)),
				 RAFT_EINVALID);
		bytes[i] = 0;
	}
	ck_assert_int_eq(decode(ENTRY_CONF_V2, bytes, sizeof(bytes)), 0);
	bytes[16] = RAFT_ADD_LEARNER + 1; /* type */
	ck_assert_int_eq(decode(ENTRY_CONF_V2, bytes, sizeof(bytes)),
			 RAFT_EINVALID);
	/* One change, and no transition, in the first version. */
	ck_assert_int_eq(decode(ENTRY_CONF_V1, golden, sizeof(golden)),
			 RAFT_EINVALID);
	memcpy(bytes, golden, sizeof(bytes));
	bytes[1] = 1;
	ck_assert_int_eq(decode(ENTRY_CONF_V1, bytes, raft_conf_size(1)),
			 RAFT_EINVALID);
	bytes[0] = 0;
	ck_assert_int_eq(decode(ENTRY_CONF_V1, bytes, raft_conf_size(1)), 0);
	bytes[1] = 0;
	ck_assert_int_eq(decode(ENTRY_CONF_V1, bytes, raft_conf_size(1)),
			 RAFT_EINVALID);
}
END_TEST

START_TEST(a_full_configuration_takes_no_more)
{
	struct raft_conf_state conf = {0};
	struct raft_conf_state before;
	struct raft_conf_changes changes = {.count = 1};
	struct raft_conf_fresh fresh;

	for (uint64_t id = 1; id <= RAFT_MEMBERS_MAX; id++) {
		changes.changes[0].id = id;
		ck_assert_int_eq(raft_conf_change(&conf, &changes, &fresh),
				 RAFT_CONF_OK);
	}
	before = conf;
	changes.changes[0].id = 100;
	ck_assert_int_eq(raft_conf_change(&conf, &changes, &fresh),
			 RAFT_CONF_FULL);
	ck_assert_mem_eq(&conf, &before, sizeof(conf));
	changes.changes[0].type = RAFT_ADD_LEARNER;
	ck_assert_int_eq(raft_conf_change(&conf, &changes, &fresh),
			 RAFT_CONF_OK);
	ck_assert(raft_conf_is_valid(&conf));
}
END_TEST

/* Whichever of the two does not fit, and whatever else is asked for. */
START_TEST(of_changes_that_do_not_all_fit_none_is_made)
{
	static const uint8_t types[] = {RAFT_ADD_VOTER, RAFT_ADD_LEARNER};
	struct raft_conf_state full = {0};

	for (unsigned int i = 0; i < RAFT_MEMBERS_MAX; i++) {
		full.voters[i] = 1 + i;
		full.learners[i] = 101 + i;
	}
	full.voter_count = RAFT_MEMBERS_MAX;
	full.learner_count = RAFT_MEMBERS_MAX;
	for (unsigned int i = 0; i < 8; i++) {
		struct raft_conf_state conf = full;
		struct raft_conf_changes changes = {.count = 2};
		struct raft_conf_fresh fresh;

		changes.changes[0].type = types[i % 2];
		changes.changes[0].id = 200;
		changes.changes[1].type = types[i / 2 % 2];
		/* Another one too many, or one that is there already. */
		changes.changes[1].id = i < 4 ? 201 : 1 + 100 * (i / 2 % 2);
		ck_assert_int_eq(raft_conf_change(&conf, &changes, &fresh),
				 RAFT_CONF_FULL);
		ck_assert_mem_eq(&conf, &full, sizeof(conf));
	}
}
END_TEST

START_TEST(a_joint_configuration_has_voters_in_both_halves)
{
	struct raft_conf_state conf = {.voters = {1}, .voter_count = 1};
	struct raft_conf_state none = {.learners = {1}, .learner_count = 1};
	struct raft_conf_changes changes = {.count = 1};
	struct raft_conf_state before = conf;
	struct raft_conf_fresh fresh;

	changes.transition = RAFT_TRANSITION_EXPLICIT;
	changes.changes[0].id = 1;
	changes.changes[0].type = RAFT_REMOVE;
	ck_assert_int_eq(raft_conf_change(&conf, &changes, &fresh),
			 RAFT_CONF_REMOVED_ALL);
	ck_assert_mem_eq(&conf, &before, sizeof(conf));
	before = none;
	changes.changes[0].type = RAFT_ADD_VOTER;
	ck_assert_int_eq(raft_conf_change(&none, &changes, &fresh),
			 RAFT_CONF_NO_VOTERS);
	ck_assert_mem_eq(&none, &before, sizeof(none));
}
END_TEST

START_TEST(none_is_entered_that_could_not_be_left)
{
	struct raft_conf_state conf = {.voters = {1, 2}, .voter_count = 2};
	struct raft_conf_changes changes = {.count = 1};
	struct raft_conf_state before;
	struct raft_conf_fresh fresh;

	for (unsigned int i = 0; i < RAFT_MEMBERS_MAX; i++)
		conf.learners[i] = 10 + i;
	conf.learner_count = RAFT_MEMBERS_MAX;
	before = conf;
	changes.changes[0].id = 2;
	changes.changes[0].type = RAFT_ADD_LEARNER;
	ck_assert_int_eq(raft_conf_enter(&conf, &changes, true, &fresh),
			 RAFT_CONF_FULL);
	ck_assert_mem_eq(&conf, &before, sizeof(conf));
	/* One learner goes in the same change: there is room. */
	changes.changes[1].id = 10;
	changes.changes[1].type = RAFT_REMOVE;
	changes.count = 2;
	ck_assert_int_eq(raft_conf_enter(&conf, &changes, true, &fresh),
			 RAFT_CONF_OK);
	ck_assert(raft_conf_is_valid(&conf));
	ck_assert_int_eq(raft_conf_leave(&conf), RAFT_CONF_OK);
	ck_assert(raft_conf_is_valid(&conf));
	ck_assert_uint_eq(conf.learner_count, RAFT_MEMBERS_MAX);
	ck_assert_uint_eq(conf.learners[0], 2);
}
END_TEST

START_TEST(a_member_removed_and_added_again_starts_anew)
{
	struct raft_conf_state conf = {.voters = {1, 2}, .voter_count = 2};
	struct raft_conf_changes changes = {.count = 2};
	struct raft_conf_fresh fresh;

	changes.changes[0].id = 2;
	changes.changes[0].type = RAFT_REMOVE;
	changes.changes[1].id = 2;
	changes.changes[1].type = RAFT_ADD_VOTER;
	ck_assert_int_eq(raft_conf_simple(&conf, &changes, &fresh),
			 RAFT_CONF_OK);
	ck_assert_uint_eq(fresh.count, 1);
	ck_assert_uint_eq(fresh.ids[0], 2);
	ck_assert_uint_eq(conf.voter_count, 2);
	/* While the outgoing half holds it, it is the same member. */
	ck_assert_int_eq(raft_conf_enter(&conf, &changes, true, &fresh),
			 RAFT_CONF_OK);
	ck_assert_uint_eq(fresh.count, 0);
	ck_assert(conf.auto_leave);
}
END_TEST

START_TEST(impossible_configurations_are_noticed)
{
	struct raft_conf_state conf = {.voters = {1, 2}, .voter_count = 2};
	struct raft_conf_state bad;

	ck_assert(raft_conf_is_valid(&conf));
	bad = conf;
	bad.voters[1] = 0;
	ck_assert(!raft_conf_is_valid(&bad));
	bad = conf;
	bad.outgoing[0] = 3;
	bad.outgoing_count = 1;
	ck_assert(raft_conf_is_valid(&bad));
	bad.learners[0] = 3;
	bad.learner_count = 1;
	ck_assert(!raft_conf_is_valid(&bad));
	bad.learner_count = 0;
	bad.learners_next[0] = 4;
	bad.learner_next_count = 1;
	ck_assert(!raft_conf_is_valid(&bad));
	bad.learners_next[0] = 3;
	ck_assert(raft_conf_is_valid(&bad));
	bad.voter_count = 0;
	ck_assert(!raft_conf_is_valid(&bad));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, membership");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, bytes_are_pinned);
	tcase_add_test(all, what_follows_the_changes_is_the_shells);
	tcase_add_test(all, nothing_at_all_leaves);
	tcase_add_test(all, malformed_changes_are_refused);
	tcase_add_test(all, a_full_configuration_takes_no_more);
	tcase_add_test(all, of_changes_that_do_not_all_fit_none_is_made);
	tcase_add_test(all, a_joint_configuration_has_voters_in_both_halves);
	tcase_add_test(all, none_is_entered_that_could_not_be_left);
	tcase_add_test(all, a_member_removed_and_added_again_starts_anew);
	tcase_add_test(all, impossible_configurations_are_noticed);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
