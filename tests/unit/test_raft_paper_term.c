/*
 * Terms as a logical clock, and the roles at rest: the paper's §5.1, and the
 * heartbeats of §5.2.
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

/* Into this role, in term 1 (a follower: of member 3). */
static void enter(uint8_t role)
{
	core_start(&one);
	if (role == RAFT_LEADER)
		core_lead(&one);
	else if (role == RAFT_FOLLOWER)
		ck_assert_int_eq(say_beat(&one, 3, 1, 0), 0);
	else
		ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->role, role);
	ck_assert_uint_eq(status()->term, 1);
}

static const uint8_t roles[] = {RAFT_FOLLOWER, RAFT_CANDIDATE, RAFT_LEADER};

START_TEST(starts_as_a_follower)
{
	core_start(&one);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->term, 0);
	ck_assert_uint_eq(status()->leader, 0);
	ck_assert(!raft_has_ready(one.raft));
	/* Also who led before. */
	core_lead(&one);
	core_start(&one);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->term, 1);
	ck_assert_uint_eq(status()->leader, 0);
}
END_TEST

START_TEST(a_newer_term_makes_everyone_a_follower)
{
	for (unsigned int i = 0; i < 3; i++) {
		enter(roles[i]);
		ck_assert_int_eq(
			say_append(&one,
				   (struct raft_message){.from = 2, .term = 2},
				   NULL),
			0);
		ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
		ck_assert_uint_eq(status()->term, 2);
		ck_assert_uint_eq(status()->vote, 0);
		ck_assert_uint_eq(status()->leader, 2);
		/* By an answer, too; then no one knows who leads. */
		core_give(&one,
			  (struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
						.from = 3,
						.term = 5});
		ck_assert_uint_eq(status()->term, 5);
		ck_assert_uint_eq(status()->leader, 0);
		core_crash(&one);
		one.hard = (struct raft_hard_state){0};
		one.last = 0;
	}
}
END_TEST

/* But who asks for a vote, or leads, is told of the term. */
START_TEST(what_is_of_an_older_term_is_ignored)
{
	static const uint8_t types[] = {
		RAFT_MSG_APPEND_REPLY,	   RAFT_MSG_VOTE_REPLY,
		RAFT_MSG_PRE_VOTE_REPLY,   RAFT_MSG_HEARTBEAT_REPLY,
		RAFT_MSG_TRANSFER,	   RAFT_MSG_TIMEOUT_NOW,
		RAFT_MSG_READ_INDEX_REPLY,
	};

	for (unsigned int i = 0; i < 3; i++) {
		struct raft_status before;

		one.hard.term = 4;
		core_start(&one);
		if (roles[i] == RAFT_LEADER)
			core_lead(&one);
		else if (roles[i] == RAFT_CANDIDATE)
			ck_assert_int_eq(raft_campaign(one.raft), 0);
		core_settle(&one);
		before = *status();
		ck_assert_uint_eq(before.role, roles[i]);
		for (size_t j = 0; j < sizeof(types); j++) {
			core_give(&one, (struct raft_message){.type = types[j],
							      .from = 2,
							      .term = 3,
							      .log_index = 9,
							      .log_term = 3,
							      .commit = 9,
							      .round = 2});
			ck_assert_mem_eq(status(), &before, sizeof(before));
			ck_assert(!raft_has_ready(one.raft));
		}
		core_crash(&one);
		one.hard = (struct raft_hard_state){0};
		one.last = 0;
	}
}
END_TEST

START_TEST(a_leader_tells_all_that_it_leads)
{
	one.options.heartbeat_ticks = 3;
	core_start(&one);
	core_lead(&one);
	for (unsigned int i = 0; i < 10; i++)
		ck_assert_int_eq(core_propose(&one, 8), 0);
	core_settle(&one);
	for (unsigned int i = 1; i <= 9; i++) {
		raft_tick(one.raft);
		core_settle(&one);
		ck_assert_uint_eq(core_sent(&one, RAFT_MSG_HEARTBEAT, 0),
				  i % 3 == 0 ? 2 : 0);
		ck_assert_uint_eq(one.mail_count, i % 3 == 0 ? 2 : 0);
	}
	for (uint64_t to = 2; to <= 3; to++) {
		const struct raft_message *beat =
			core_message(&one, RAFT_MSG_HEARTBEAT, to);

		ck_assert_uint_eq(beat->term, 1);
		ck_assert_uint_eq(beat->log_index, 0);
		ck_assert_uint_eq(beat->log_term, 0);
		ck_assert_uint_eq(beat->entry_count, 0);
		ck_assert_uint_eq(beat->commit, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, terms");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, starts_as_a_follower);
	tcase_add_test(all, a_newer_term_makes_everyone_a_follower);
	tcase_add_test(all, what_is_of_an_older_term_is_ignored);
	tcase_add_test(all, a_leader_tells_all_that_it_leads);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
