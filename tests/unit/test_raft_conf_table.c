/*
 * Each way to ask for a change of membership, and what is in force when it
 * is applied, and when it is left; and what a change may not leave behind: a
 * learner that leads.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 1);
	core_start(&one);
}

static void tear_down(void)
{
	core_release(&one);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

static const char *words(void)
{
	return conf_words(&status()->conf);
}

/* A change as an entry; its bytes are lent until the next one is made. */
static struct raft_entry entry_of(uint32_t kind,
				  const struct raft_conf_changes *changes)
{
	static uint8_t bytes[ENTRY_HEADER_SIZE + RAFT_CONF_HEADER +
			     RAFT_CHANGES_MAX * RAFT_CONF_CHANGE];

	raft_conf_encode(changes, bytes + ENTRY_HEADER_SIZE);
	return (struct raft_entry){
		.kind = kind,
		.size = (uint32_t)raft_conf_size(changes->count),
		.data = bytes};
}

/* Whoever else votes has all that was sent. */
static void acknowledge_all(void)
{
	for (uint64_t id = 2; id <= 4; id++)
		if (raft_conf_has(status()->conf.voters,
				  status()->conf.voter_count, id))
			core_acknowledge(&one, id, status()->last_index);
}

static void commit_all(void)
{
	core_settle(&one);
	acknowledge_all();
	core_settle(&one);
}

/* It goes no further than this entry. */
static void apply_only(uint64_t index)
{
	while (status()->applied < index) {
		ck_assert(core_take(&one));
		core_persist(&one);
		acknowledge_all();
		core_apply(&one);
	}
	ck_assert_uint_eq(status()->applied, index);
}

struct row {
	uint32_t kind;
	struct raft_conf_changes changes;
	const char *applied;
	const char *left; /* NULL: it is not joint */
};

#define V2 ENTRY_CONF_V2
#define ADD_2                                   \
	{                                       \
		.id = 2, .type = RAFT_ADD_VOTER \
	}
#define LEARN_2                                   \
	{                                         \
		.id = 2, .type = RAFT_ADD_LEARNER \
	}
#define LEARN_3                                   \
	{                                         \
		.id = 3, .type = RAFT_ADD_LEARNER \
	}
#define LEARN_1                                   \
	{                                         \
		.id = 1, .type = RAFT_ADD_LEARNER \
	}
#define UPDATE_2                             \
	{                                    \
		.id = 2, .type = RAFT_UPDATE \
	}

static const struct row rows[] = {
	{ENTRY_CONF_V1, {.count = 1, .changes = {ADD_2}}, "1 2", NULL},
	{ENTRY_CONF_V1,
	 {.count = 1, .changes = {LEARN_2}},
	 "1, learner 2",
	 NULL},
	{ENTRY_CONF_V1, {.count = 1, .changes = {UPDATE_2}}, "1", NULL},
	{V2, {.count = 1, .changes = {ADD_2}}, "1 2", NULL},
	{V2, {.count = 1, .changes = {LEARN_2}}, "1, learner 2", NULL},
	{V2,
	 {.transition = RAFT_TRANSITION_IMPLICIT,
	  .count = 1,
	  .changes = {LEARN_2}},
	 "1, learner 2, out 1, auto",
	 "1, learner 2"},
	{V2,
	 {.transition = RAFT_TRANSITION_EXPLICIT,
	  .count = 1,
	  .changes = {LEARN_2}},
	 "1, learner 2, out 1",
	 "1, learner 2"},
	{V2,
	 {.count = 3, .changes = {ADD_2, LEARN_1, LEARN_3}},
	 "2, learner 3, out 1, next 1, auto",
	 "2, learner 1 3"},
	{V2,
	 {.transition = RAFT_TRANSITION_EXPLICIT,
	  .count = 3,
	  .changes = {ADD_2, LEARN_1, LEARN_3}},
	 "2, learner 3, out 1, next 1",
	 "2, learner 1 3"},
	{V2,
	 {.transition = RAFT_TRANSITION_IMPLICIT,
	  .count = 3,
	  .changes = {ADD_2, LEARN_1, LEARN_3}},
	 "2, learner 3, out 1, next 1, auto",
	 "2, learner 1 3"},
	/* Nothing at all, but in two steps. */
	{V2,
	 {.transition = RAFT_TRANSITION_IMPLICIT, .count = 0},
	 "1, out 1, auto",
	 "1"},
};

static void leave(const struct row *row)
{
	static const struct raft_conf_changes nothing = {0};

	if (row->changes.transition == RAFT_TRANSITION_EXPLICIT)
		ck_assert_int_eq(core_propose_conf(&one, &nothing), 0);
	commit_all();
	ck_assert_str_eq(words(), row->left);
}

START_TEST(each_change_puts_what_it_asks_for_in_force)
{
	const struct row *row = &rows[_i];
	struct raft_entry entry = entry_of(row->kind, &row->changes);
	uint64_t index, term;

	core_lead(&one);
	ck_assert_int_eq(raft_propose(one.raft, &entry, &index, &term), 0);
	ck_assert_uint_eq(index, 2);
	apply_only(index);
	ck_assert_str_eq(words(), row->applied);
	ck_assert_uint_eq(raft_entry_at(one.raft, index)->kind, row->kind);
	if (row->left)
		leave(row);
	commit_all();
	/* What is in force is what everyone says that is asked. */
	ck_assert_str_eq(conf_words(&one.image.conf), words());
	ck_assert_uint_eq(status()->applied, status()->last_index);
}
END_TEST

START_TEST(a_change_that_changes_nothing_holds_up_no_other)
{
	struct raft_conf_changes again = conf_change(RAFT_ADD_VOTER, 1);
	struct raft_conf_changes other = conf_change(RAFT_ADD_LEARNER, 2);

	core_lead(&one);
	for (unsigned int i = 0; i < 2; i++) {
		ck_assert_int_eq(core_propose_conf(&one, &again), 0);
		commit_all();
		ck_assert_str_eq(words(), "1");
	}
	ck_assert_int_eq(core_propose_conf(&one, &other), 0);
	commit_all();
	ck_assert_str_eq(words(), "1, learner 2");
	ck_assert_uint_eq(status()->applied, 4);
}
END_TEST

START_TEST(a_change_that_cannot_be_is_skipped_and_holds_up_no_other)
{
	struct raft_conf_changes last = conf_change(RAFT_REMOVE, 1);
	struct raft_conf_changes other = conf_change(RAFT_ADD_LEARNER, 2);

	core_lead(&one);
	ck_assert_int_eq(core_propose_conf(&one, &last), 0);
	commit_all();
	ck_assert_str_eq(words(), "1");
	ck_assert_int_eq(core_propose_conf(&one, &other), 0);
	commit_all();
	ck_assert_str_eq(words(), "1, learner 2");
}
END_TEST

START_TEST(a_leader_that_does_not_judge_takes_what_would_be_refused)
{
	struct raft_conf_changes first = conf_change(RAFT_ADD_LEARNER, 2);
	struct raft_conf_changes second = conf_change(RAFT_ADD_LEARNER, 3);

	one.options.skip_conf_validation = true;
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose_conf(&one, &first), 0);
	ck_assert_int_eq(core_propose_conf(&one, &second), 0);
	commit_all();
	ck_assert_str_eq(words(), "1, learner 2 3");
}
END_TEST

/* A candidate of four, with a change in its tail of which it hears more. */
static void campaign_before(const struct raft_conf_changes *changes)
{
	struct raft_entry entry = entry_of(ENTRY_CONF_V2, changes);

	core_release(&one);
	core_init(&one, 1, 4);
	core_start(&one);
	entry.index = 1;
	entry.term = 1;
	core_give(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
					      .from = 4,
					      .term = 1,
					      .first_index = 1,
					      .entry_count = 1,
					      .entries = &entry});
	core_settle(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	/* 4 will not have it, and tells it that the change is committed. */
	core_give(&one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					      .from = 4,
					      .term = 2,
					      .reject = true,
					      .commit = 1,
					      .commit_term = 1});
	core_settle(&one);
	ck_assert_uint_eq(status()->applied, 1);
}

static void grant_all(void)
{
	for (uint64_t id = 2; id <= 3; id++)
		ck_assert_int_eq(say_vote_reply(&one, id, false), 0);
	core_settle(&one);
}

START_TEST(a_candidate_that_became_a_learner_does_not_lead)
{
	struct raft_conf_changes demote = conf_change(RAFT_ADD_LEARNER, 1);

	campaign_before(&demote);
	ck_assert_str_eq(words(), "2 3 4, learner 1");
	grant_all();
	ck_assert_uint_ne(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(a_candidate_that_was_removed_does_not_lead)
{
	struct raft_conf_changes removal = conf_change(RAFT_REMOVE, 1);

	campaign_before(&removal);
	ck_assert_str_eq(words(), "2 3 4");
	grant_all();
	ck_assert_uint_ne(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(a_candidate_that_a_change_leaves_alone_leads)
{
	struct raft_conf_changes other = conf_change(RAFT_ADD_LEARNER, 5);

	campaign_before(&other);
	ck_assert_str_eq(words(), "1 2 3 4, learner 5");
	grant_all();
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_loop_test(all, each_change_puts_what_it_asks_for_in_force, 0,
			    sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(all, a_change_that_changes_nothing_holds_up_no_other);
	tcase_add_test(
		all, a_change_that_cannot_be_is_skipped_and_holds_up_no_other);
	tcase_add_test(
		all, a_leader_that_does_not_judge_takes_what_would_be_refused);
	tcase_add_test(all, a_candidate_that_became_a_learner_does_not_lead);
	tcase_add_test(all, a_candidate_that_was_removed_does_not_lead);
	tcase_add_test(all, a_candidate_that_a_change_leaves_alone_leads);
}

int main(void)
{
	Suite *suite = suite_create("raft, each change of membership");
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
