/*
 * What no correct member sends, given to a core in each of its roles: it is
 * refused, or ignored, and not one byte of the core changes; not even the
 * term, when the message carries a newer one.
 */
#include "tests/unit/support_raft_roles.h"

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

START_TEST(a_message_of_an_unknown_type_is_refused)
{
	role_all_refuse(&one, (struct raft_message){.type = 0});
	role_all_refuse(&one,
			(struct raft_message){.type = RAFT_MSG_FORGET_LEADER});
	role_all_refuse(&one, (struct raft_message){.type = UINT8_MAX});
}
END_TEST

START_TEST(a_message_from_nobody_or_oneself_or_for_another_is_refused)
{
	role_follower(&one);
	for (uint8_t type = RAFT_MSG_PROPOSE; type <= RAFT_MSG_READ_INDEX_REPLY;
	     type++) {
		struct raft_message m = {.type = type, .term = ROLE_TERM};

		role_refuses(&one, m);
		m.from = one.options.id;
		role_refuses(&one, m);
		m.from = 2;
		for (m.to = 0; m.to < 4; m.to++)
			if (m.to != one.options.id)
				ck_assert_int_eq(raft_receive(one.raft, &m),
						 RAFT_EINVALID);
	}
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

START_TEST(only_what_is_passed_on_has_no_term)
{
	struct raft_entry entry = {.kind = ENTRY_NORMAL, .size = 8};

	role_leader(&one);
	for (uint8_t type = RAFT_MSG_PROPOSE; type <= RAFT_MSG_READ_INDEX_REPLY;
	     type++) {
		struct raft_message m = {.type = type, .from = 2};

		/* A refusal by who has no term yet: below, it is too old. */
		if (type == RAFT_MSG_PRE_VOTE_REPLY)
			continue;
		if (type == RAFT_MSG_PROPOSE || type == RAFT_MSG_READ_INDEX) {
			m.term = core_status(&one)->term;
			m.entries = &entry;
			m.entry_count = 1;
		}
		role_refuses(&one, m);
	}
	ck_assert_int_eq(
		role_offer_unchanged(
			&one,
			(struct raft_message){.type = RAFT_MSG_PRE_VOTE_REPLY,
					      .from = 2}),
		0);
}
END_TEST

/* The end of the log, and two entries behind it; `change` is one of them. */
static void refuse_append(unsigned int at, struct raft_entry change)
{
	struct raft_entry entries[2] = {core_entry(ROLE_LAST + 1, ROLE_TERM),
					core_entry(ROLE_LAST + 2, ROLE_TERM)};

	entries[at] = change;
	role_all_refuse(&one,
			(struct raft_message){.type = RAFT_MSG_APPEND,
					      .log_index = ROLE_LAST,
					      .log_term = ROLE_TERM,
					      .first_index = ROLE_LAST + 1,
					      .entry_count = 2,
					      .entries = entries});
}

START_TEST(entries_that_do_not_follow_each_other_are_refused)
{
	refuse_append(0, core_entry(ROLE_LAST, ROLE_TERM));
	refuse_append(0, core_entry(ROLE_LAST + 2, ROLE_TERM));
	refuse_append(1, core_entry(ROLE_LAST + 1, ROLE_TERM));
	refuse_append(1, core_entry(ROLE_LAST + 3, ROLE_TERM));
	refuse_append(1, core_entry(0, ROLE_TERM));
	refuse_append(1, core_entry(UINT64_MAX, ROLE_TERM));
}
END_TEST

START_TEST(entries_whose_terms_fall_or_pass_the_senders_are_refused)
{
	refuse_append(0, core_entry(ROLE_LAST + 1, ROLE_TERM - 1));
	refuse_append(1, core_entry(ROLE_LAST + 2, ROLE_TERM - 1));
	refuse_append(0, core_entry(ROLE_LAST + 1, 100));
	refuse_append(1, core_entry(ROLE_LAST + 2, 100));
}
END_TEST

START_TEST(entries_that_begin_elsewhere_than_said_are_refused)
{
	struct raft_entry entry = core_entry(ROLE_LAST + 1, ROLE_TERM);
	struct raft_message m = {.type = RAFT_MSG_APPEND,
				 .log_index = ROLE_LAST,
				 .log_term = ROLE_TERM,
				 .first_index = ROLE_LAST,
				 .entry_count = 1,
				 .entries = &entry};

	role_all_refuse(&one, m);
	m.first_index = ROLE_LAST + 2;
	role_all_refuse(&one, m);
	m.first_index = ROLE_LAST + 1;
	m.log_index = ROLE_LAST - 1;
	role_all_refuse(&one, m);
	m.log_index = UINT64_MAX;
	role_all_refuse(&one, m);
	m.log_index = ROLE_LAST;
	m.entries = NULL;
	role_all_refuse(&one, m);
}
END_TEST

START_TEST(an_append_behind_an_entry_of_a_later_term_is_refused)
{
	role_all_refuse(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
						    .log_index = ROLE_LAST,
						    .log_term = 100});
}
END_TEST

START_TEST(what_is_before_the_first_entry_has_no_term_and_all_else_has)
{
	struct raft_entry first = core_entry(1, 0);

	role_all_refuse(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
						    .log_index = 0,
						    .log_term = 1});
	role_all_refuse(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
						    .log_index = ROLE_LAST,
						    .log_term = 0});
	role_all_refuse(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
						    .first_index = 1,
						    .entry_count = 1,
						    .entries = &first});
}
END_TEST

START_TEST(an_entry_larger_than_any_is_refused)
{
	struct raft_entry large = core_entry(ROLE_LAST + 1, ROLE_TERM);

	large.size = ENTRY_SIZE_MAX - ENTRY_HEADER_SIZE + 1;
	refuse_append(0, large);
	large.size = UINT32_MAX;
	refuse_append(0, large);
}
END_TEST

START_TEST(a_heartbeat_cannot_commit_what_is_not_here)
{
	role_all_refuse(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT,
						    .commit = ROLE_LAST + 2});
	role_all_refuse(&one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT,
						    .commit = UINT64_MAX});
}
END_TEST

START_TEST(a_vote_for_a_log_of_the_future_is_refused)
{
	role_all_refuse(&one, (struct raft_message){.type = RAFT_MSG_VOTE,
						    .log_index = 100,
						    .log_term = 100});
	role_all_refuse(&one, (struct raft_message){.type = RAFT_MSG_PRE_VOTE,
						    .log_index = 100,
						    .log_term = 100});
}
END_TEST

START_TEST(a_second_leader_of_one_term_is_refused)
{
	static const uint8_t types[] = {RAFT_MSG_APPEND, RAFT_MSG_HEARTBEAT,
					RAFT_MSG_SNAPSHOT, RAFT_MSG_TIMEOUT_NOW,
					RAFT_MSG_READ_INDEX_REPLY};
	struct raft_snapshot image = {.index = 100, .term = ROLE_TERM};

	image.conf.voters[0] = 3;
	image.conf.voter_count = 1;
	for (unsigned int i = 0; i < sizeof(types); i++) {
		struct raft_message m = {
			.type = types[i], .from = 3, .snapshot = &image};

		role_follower(&one);
		m.term = core_status(&one)->term;
		role_refuses(&one, m);
		role_leader(&one);
		m.term = core_status(&one)->term;
		role_refuses(&one, m);
	}
}
END_TEST

START_TEST(proposals_that_name_no_single_entry_are_refused)
{
	struct raft_entry two[2] = {{.kind = ENTRY_NORMAL, .size = 8},
				    {.kind = ENTRY_NORMAL, .size = 8}};
	struct raft_message m = {.type = RAFT_MSG_PROPOSE, .from = 2};

	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		role_be[i](&one);
		m.entries = two;
		m.entry_count = 0;
		role_refuses(&one, m);
		m.entry_count = 2;
		role_refuses(&one, m);
		m.entry_count = 1;
		m.entries = NULL;
		role_refuses(&one, m);
	}
}
END_TEST

START_TEST(a_proposal_larger_than_any_entry_is_refused)
{
	struct raft_entry large = {.kind = ENTRY_NORMAL};
	struct raft_message m = {.type = RAFT_MSG_PROPOSE,
				 .from = 2,
				 .entry_count = 1,
				 .entries = &large};

	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		role_be[i](&one);
		large.size = ENTRY_SIZE_MAX - ENTRY_HEADER_SIZE + 1;
		role_refuses(&one, m);
		ck_assert_int_eq(core_propose(&one, large.size), RAFT_EINVALID);
		large.size = UINT32_MAX;
		role_refuses(&one, m);
	}
	ck_assert_int_eq(core_propose(&one, ENTRY_SIZE_MAX - ENTRY_HEADER_SIZE),
			 0);
}
END_TEST

START_TEST(a_change_of_membership_that_is_none_is_not_proposed)
{
	static const uint8_t bytes[ENTRY_HEADER_SIZE + 64] = {0};
	struct raft_entry change = {
		.kind = ENTRY_CONF_V1, .size = 7, .data = bytes};
	struct raft_message m = {.type = RAFT_MSG_PROPOSE,
				 .from = 2,
				 .entry_count = 1,
				 .entries = &change};

	role_leader(&one);
	role_refuses(&one, m);
	change.kind = ENTRY_CONF_V2;
	role_refuses(&one, m);
	change.data = NULL;
	role_refuses(&one, m);
	change.kind = ENTRY_CONF_V1;
	change.size = 0;
	role_refuses(&one, m);
}
END_TEST

START_TEST(answers_to_what_was_never_sent_are_refused)
{
	struct raft_message m = {.from = 2};

	role_leader(&one);
	m.term = core_status(&one)->term;
	m.type = RAFT_MSG_APPEND_REPLY;
	m.log_index = ROLE_LAST + 2;
	role_refuses(&one, m);
	m.log_index = UINT64_MAX;
	role_refuses(&one, m);
	m.reject = true;
	role_refuses(&one, m);
	m.log_index = ROLE_LAST + 2;
	role_refuses(&one, m);
	/* It cannot agree further than it was asked. */
	m.log_index = ROLE_LAST;
	m.reject_hint = ROLE_LAST + 1;
	role_refuses(&one, m);
	m.reject_hint = UINT64_MAX;
	role_refuses(&one, m);
	m = (struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
				  .from = 2,
				  .term = m.term,
				  .round = 1};
	role_refuses(&one, m);
	m.round = UINT64_MAX;
	role_refuses(&one, m);
}
END_TEST

static void append_pair(uint64_t first_term, uint64_t second_term)
{
	struct raft_entry pair[2] = {core_entry(ROLE_LAST + 1, first_term),
				     core_entry(ROLE_LAST + 2, second_term)};

	core_give(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
					      .from = 2,
					      .term = ROLE_TERM + 2,
					      .log_index = ROLE_LAST,
					      .log_term = ROLE_TERM,
					      .first_index = ROLE_LAST + 1,
					      .entry_count = 2,
					      .entries = pair});
}

/* One by one each of its appends could be; together they cannot. */
START_TEST(a_leader_that_contradicts_itself_makes_nothing_stable)
{
	role_follower(&one);
	append_pair(ROLE_TERM + 1, ROLE_TERM + 1);
	ck_assert(core_take(&one));
	append_pair(ROLE_TERM + 2, ROLE_TERM + 2);
	append_pair(ROLE_TERM + 1, ROLE_TERM + 1);
	/* What is on the disk stands there again, but is to be written. */
	core_persist(&one);
	ck_assert_uint_eq(core_status(&one)->stable_index, ROLE_LAST);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.append_first, ROLE_LAST + 1);
	ck_assert_uint_eq(one.ready.append_last, ROLE_LAST + 2);
	core_persist(&one);
	ck_assert_uint_eq(core_status(&one)->stable_index, ROLE_LAST + 2);
}
END_TEST

START_TEST(answers_of_a_stranger_are_refused)
{
	static const uint8_t types[] = {
		RAFT_MSG_APPEND_REPLY, RAFT_MSG_VOTE_REPLY,
		RAFT_MSG_PRE_VOTE_REPLY, RAFT_MSG_HEARTBEAT_REPLY,
		RAFT_MSG_READ_INDEX_REPLY};

	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		role_be[i](&one);
		for (unsigned int j = 0; j < sizeof(types); j++) {
			struct raft_message m = {
				.type = types[j],
				.from = ROLE_STRANGER,
				.term = core_status(&one)->term + 1};

			ck_assert_int_eq(role_offer_unchanged(&one, m),
					 RAFT_EUNKNOWN_PEER);
		}
	}
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, a_message_of_an_unknown_type_is_refused);
	tcase_add_test(
		all,
		a_message_from_nobody_or_oneself_or_for_another_is_refused);
	tcase_add_test(all, only_what_is_passed_on_has_no_term);
	tcase_add_test(all, entries_that_do_not_follow_each_other_are_refused);
	tcase_add_test(
		all, entries_whose_terms_fall_or_pass_the_senders_are_refused);
	tcase_add_test(all, entries_that_begin_elsewhere_than_said_are_refused);
	tcase_add_test(all,
		       an_append_behind_an_entry_of_a_later_term_is_refused);
	tcase_add_test(
		all,
		what_is_before_the_first_entry_has_no_term_and_all_else_has);
	tcase_add_test(all, an_entry_larger_than_any_is_refused);
	tcase_add_test(all, a_heartbeat_cannot_commit_what_is_not_here);
	tcase_add_test(all, a_vote_for_a_log_of_the_future_is_refused);
	tcase_add_test(all, a_second_leader_of_one_term_is_refused);
	tcase_add_test(all, proposals_that_name_no_single_entry_are_refused);
	tcase_add_test(all, a_proposal_larger_than_any_entry_is_refused);
	tcase_add_test(all,
		       a_change_of_membership_that_is_none_is_not_proposed);
	tcase_add_test(all, answers_to_what_was_never_sent_are_refused);
	tcase_add_test(all,
		       a_leader_that_contradicts_itself_makes_nothing_stable);
	tcase_add_test(all, answers_of_a_stranger_are_refused);
}

int main(void)
{
	Suite *suite = suite_create("raft, what no member sends");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	add_tests(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
