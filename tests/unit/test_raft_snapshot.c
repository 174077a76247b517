/*
 * An image arrives (the paper's §7): what it replaces and what it never takes
 * back, the configuration that it brings, and what holds until it is durable.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

static struct core one;
static struct raft_snapshot image;

static void set_up(void)
{
	core_init(&one, 1, 3);
	image = (struct raft_snapshot){.conf = one.saved.conf};
}

static void tear_down(void)
{
	core_release(&one);
}

static const struct raft_status *status(void)
{
	return core_status(&one);
}

static int give_image(uint64_t index, uint64_t term)
{
	image.index = index;
	image.term = term;
	return core_offer(&one, (struct raft_message){.type = RAFT_MSG_SNAPSHOT,
						      .from = 2,
						      .term = 3,
						      .snapshot = &image});
}

/* Entries 1 .. of member 2, which leads in term 3. */
static void append_all(const uint64_t *terms, uint64_t commit)
{
	ck_assert_int_eq(
		say_append(&one,
			   (struct raft_message){
				   .from = 2, .term = 3, .commit = commit},
			   terms),
		0);
}

/* The only acknowledgement in mail. */
static uint64_t acknowledged(void)
{
	const struct raft_message *reply =
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2);

	ck_assert(!reply->reject);
	return reply->log_index;
}

START_TEST(an_image_brings_index_and_term)
{
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_int_eq(give_image(11, 3), 0);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->leader, 2);
	ck_assert_uint_eq(status()->term, 3);
	ck_assert_uint_eq(status()->first_index, 12);
	ck_assert_uint_eq(status()->last_index, 11);
	ck_assert_uint_eq(status()->commit, 11);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.snapshot->index, 11);
	ck_assert_uint_eq(one.ready.snapshot->term, 3);
	ck_assert_uint_eq(one.ready.hard.commit, 11);
	ck_assert_uint_eq(one.ready.append_last, 0);
	ck_assert_uint_eq(one.ready.apply_last, 0);
	/* Acknowledged when it is durable. */
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND_REPLY, 0), 0);
	ck_assert(!raft_has_ready(one.raft));
	core_persist(&one);
	core_settle(&one);
	ck_assert_uint_eq(acknowledged(), 11);
	ck_assert_uint_eq(status()->applied, 11);
	/* Once more it is nothing new. */
	ck_assert_int_eq(give_image(11, 3), 0);
	ck_assert(core_take(&one));
	ck_assert_ptr_null(one.ready.snapshot);
	ck_assert_uint_eq(acknowledged(), 11);
}
END_TEST

START_TEST(an_image_brings_the_configuration)
{
	static const struct {
		struct raft_conf_state conf;
		const char *words;
		bool may_campaign;
	} rows[] = {
		{{.voters = {1, 2},
		  .voter_count = 2,
		  .learners = {3},
		  .learner_count = 1},
		 "1 2, learner 3",
		 true},
		/* From voter to learner. */
		{{.voters = {2, 3},
		  .voter_count = 2,
		  .learners = {1},
		  .learner_count = 1},
		 "2 3, learner 1",
		 false},
		/* Joint: a voter of the new half, of the old, of the old to be
		 * a learner when that half ends. */
		{{.voters = {1, 2},
		  .voter_count = 2,
		  .outgoing = {2, 3, 4},
		  .outgoing_count = 3},
		 "1 2, out 2 3 4",
		 true},
		{{.voters = {2},
		  .voter_count = 1,
		  .outgoing = {1, 2},
		  .outgoing_count = 2,
		  .learners_next = {1},
		  .learner_next_count = 1,
		  .auto_leave = true},
		 "2, out 1 2, next 1, auto",
		 true},
		/* Older than the change that made it a member. */
		{{.voters = {2, 3}, .voter_count = 2}, "2 3", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		core_init(&one, 1, 3);
		core_start(&one);
		image.conf = rows[i].conf;
		ck_assert_int_eq(give_image(5, 1), 0);
		ck_assert_str_eq(conf_words(&status()->conf), rows[i].words);
		/* Not before it is durable. */
		ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
		core_settle(&one);
		ck_assert_str_eq(conf_words(&one.saved.conf), rows[i].words);
		ck_assert_int_eq(raft_campaign(one.raft),
				 rows[i].may_campaign ? 0 : RAFT_EINVALID);
		core_release(&one);
	}
}
END_TEST

START_TEST(an_image_promotes_a_learner)
{
	one.saved.conf = (struct raft_conf_state){.voters = {2},
						  .voter_count = 1,
						  .learners = {1},
						  .learner_count = 1};
	core_start(&one);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	ck_assert_int_eq(give_image(5, 1), 0);
	core_settle(&one);
	ck_assert_str_eq(conf_words(&status()->conf), "1 2 3");
	ck_assert_int_eq(raft_campaign(one.raft), 0);
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_VOTE, 0), 2);
}
END_TEST

START_TEST(an_image_never_takes_back_what_is_here)
{
	core_start(&one);
	append_all((uint64_t[]){1, 1, 2, 0}, 0);
	core_settle(&one);
	/* One that the log agrees with only tells what is committed. */
	ck_assert_int_eq(give_image(2, 1), 0);
	ck_assert(core_take(&one));
	ck_assert_ptr_null(one.ready.snapshot);
	ck_assert_uint_eq(acknowledged(), 2);
	ck_assert_uint_eq(status()->commit, 2);
	ck_assert_uint_eq(status()->last_index, 3);
	/* One older than what is committed tells nothing. */
	ck_assert_int_eq(give_image(1, 1), 0);
	ck_assert_uint_eq(status()->commit, 2);
	/* One that contradicts the rest replaces it. */
	ck_assert_int_eq(give_image(3, 3), 0);
	ck_assert_uint_eq(status()->first_index, 4);
	ck_assert_uint_eq(status()->last_index, 3);
	ck_assert(core_take(&one));
	ck_assert_ptr_nonnull(one.ready.snapshot);
	/* Until it is durable nothing is applied, and no campaign. */
	ck_assert_uint_eq(status()->applied, 0);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	core_persist(&one);
	ck_assert_uint_eq(status()->applied, 3);
}
END_TEST

START_TEST(a_member_without_a_configuration_asks_for_an_image)
{
	const struct raft_message *reply;

	one.saved.conf = (struct raft_conf_state){0};
	core_start(&one);
	append_all((uint64_t[]){1, 0}, 0);
	core_settle(&one);
	reply = core_message(&one, RAFT_MSG_APPEND_REPLY, 2);
	ck_assert(reply->reject);
	ck_assert_uint_eq(reply->log_index, 0);
	ck_assert_uint_eq(status()->last_index, 0);
	ck_assert_int_eq(give_image(5, 1), 0);
	ck_assert(core_take(&one));
	ck_assert_ptr_nonnull(one.ready.snapshot);
	ck_assert_uint_eq(one.ready.snapshot->index, 5);
	core_persist(&one);
	ck_assert_uint_eq(status()->applied, 5);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(acknowledged(), 5);
}
END_TEST

START_TEST(refuses_impossible_images)
{
	core_start(&one);
	ck_assert_int_eq(give_image(0, 1), RAFT_EINVALID);
	ck_assert_int_eq(give_image(5, 4), RAFT_EINVALID);
	image.conf.voters[2] = 2;
	ck_assert_int_eq(give_image(5, 1), RAFT_EINVALID);
	image.conf.voter_count = 0;
	ck_assert_int_eq(give_image(5, 1), RAFT_EINVALID);
	ck_assert_uint_eq(status()->last_index, 0);
}
END_TEST

START_TEST(entries_behind_an_image_wait_for_it)
{
	core_start(&one);
	ck_assert_int_eq(give_image(5, 2), 0);
	ck_assert(core_take(&one));
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){.from = 2,
							  .term = 3,
							  .log_index = 5,
							  .log_term = 2,
							  .commit = 6},
				    (uint64_t[]){2, 3, 0}),
			 0);
	ck_assert(core_take(&one));
	ck_assert_ptr_null(one.ready.snapshot);
	ck_assert_uint_eq(one.ready.append_first, 6);
	ck_assert_uint_eq(one.ready.append_last, 7);
	ck_assert_uint_eq(one.ready.apply_last, 0);
	ck_assert_uint_eq(status()->commit, 6);
	core_persist_some(&one, 1);
	ck_assert_uint_eq(status()->applied, 5);
	ck_assert_uint_eq(status()->stable_index, 5);
	/* Durable is the image, not yet what follows. */
	ck_assert(core_take(&one));
	ck_assert_uint_eq(acknowledged(), 5);
	ck_assert_uint_eq(one.ready.apply_last, 0);
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(acknowledged(), 7);
	ck_assert_uint_eq(one.ready.apply_first, 6);
	ck_assert_uint_eq(one.ready.apply_last, 6);
}
END_TEST

START_TEST(a_crash_forgets_an_image_that_is_not_durable)
{
	core_start(&one);
	append_all((uint64_t[]){1, 1, 0}, 1);
	core_settle(&one);
	image.conf.voter_count = 2;
	image.conf.voters[2] = 0;
	ck_assert_int_eq(give_image(9, 3), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(status()->last_index, 9);
	core_start(&one);
	ck_assert_str_eq(core_terms(&one), "1 1");
	ck_assert_str_eq(conf_words(&status()->conf), "1 2 3");
	ck_assert_uint_eq(status()->commit, 1);
	/* Written, it is what the next life begins with. */
	ck_assert_int_eq(give_image(9, 3), 0);
	core_settle(&one);
	core_start(&one);
	ck_assert_uint_eq(status()->first_index, 10);
	ck_assert_uint_eq(status()->applied, 9);
	ck_assert_uint_eq(status()->commit, 9);
	ck_assert_str_eq(conf_words(&status()->conf), "1 2");
}
END_TEST

START_TEST(a_newer_image_speaks_for_both)
{
	core_start(&one);
	ck_assert_int_eq(give_image(5, 1), 0);
	ck_assert(core_take(&one));
	ck_assert_int_eq(give_image(9, 3), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.snapshot->index, 9);
	core_persist_some(&one, 1);
	ck_assert_uint_eq(status()->applied, 0);
	ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
	core_persist(&one);
	ck_assert_uint_eq(status()->applied, 9);
}
END_TEST

START_TEST(what_was_being_applied_may_end_behind_an_image)
{
	core_start(&one);
	append_all((uint64_t[]){1, 1, 1, 0}, 3);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 3);
	ck_assert_int_eq(give_image(9, 3), 0);
	raft_applied(one.raft, 2);
	ck_assert_uint_eq(status()->applied, 2);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert_uint_eq(status()->applied, 9);
	/* Told late, it takes nothing back. */
	raft_applied(one.raft, 3);
	ck_assert_uint_eq(status()->applied, 9);
	core_settle(&one);
	ck_assert(!raft_has_ready(one.raft));
}
END_TEST

/* What was handed out before it no longer counts among what is unapplied. */
START_TEST(an_image_makes_room_to_apply)
{
	one.options.committed_size_max = 2 * entry_size(8);
	core_start(&one);
	append_all((uint64_t[]){1, 1, 1, 0}, 3);
	ck_assert(core_take(&one));
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 2);
	ck_assert_int_eq(give_image(9, 3), 0);
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){.from = 2,
							  .term = 3,
							  .log_index = 9,
							  .log_term = 3,
							  .commit = 12},
				    (uint64_t[]){3, 3, 3, 0}),
			 0);
	ck_assert(core_take(&one));
	raft_applied(one.raft, 2);
	core_persist(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 10);
	ck_assert_uint_eq(one.ready.apply_last, 11);
	core_apply(&one);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_last, 12);
}
END_TEST

START_TEST(an_image_that_came_is_one_to_send)
{
	core_start(&one);
	ck_assert_int_eq(give_image(5, 2), 0);
	core_settle(&one);
	core_lead(&one);
	say_refusal(&one, 3, 5, 0, 0);
	core_settle(&one);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_SNAPSHOT, 3)->snapshot->index, 5);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_SNAPSHOT, 3)->snapshot->term, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, an image arrives");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, an_image_brings_index_and_term);
	tcase_add_test(all, an_image_brings_the_configuration);
	tcase_add_test(all, an_image_promotes_a_learner);
	tcase_add_test(all, an_image_never_takes_back_what_is_here);
	tcase_add_test(all, a_member_without_a_configuration_asks_for_an_image);
	tcase_add_test(all, refuses_impossible_images);
	tcase_add_test(all, entries_behind_an_image_wait_for_it);
	tcase_add_test(all, a_crash_forgets_an_image_that_is_not_durable);
	tcase_add_test(all, a_newer_image_speaks_for_both);
	tcase_add_test(all, what_was_being_applied_may_end_behind_an_image);
	tcase_add_test(all, an_image_makes_room_to_apply);
	tcase_add_test(all, an_image_that_came_is_one_to_send);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
