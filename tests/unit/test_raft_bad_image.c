/*
 * Images and births that cannot be: configurations no change leads to, terms
 * and indexes out of range; and images that are only late.
 */
#include "tests/unit/support_raft_roles.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct core one;

static void set_up(void)
{
	core_init(&one, 1, 3);
}

static void tear_down(void)
{
	core_release(&one);
}

static struct raft_snapshot good_image(void)
{
	struct raft_snapshot image = {.index = 100, .term = ROLE_TERM};

	image.conf.voters[0] = 1;
	image.conf.voters[1] = 2;
	image.conf.voter_count = 2;
	return image;
}

static struct raft_message message_of(const struct raft_snapshot *image)
{
	return (struct raft_message){.type = RAFT_MSG_SNAPSHOT,
				     .from = 2,
				     .term = ROLE_TERM,
				     .snapshot = image};
}

/* What raft_init() says of it, of a member with a term late enough. */
static int birth(const struct raft_snapshot *image)
{
	struct raft_hard_state hard = {.term = image->term};
	void *memory = aligned_alloc(64, raft_memory_size(&one.options));
	struct raft *raft;
	int err;

	ck_assert_ptr_nonnull(memory);
	err = raft_init(&raft, &one.options, &hard, image, memory);
	free(memory);
	return err;
}

static void voters(struct raft_conf_state *conf, unsigned int count)
{
	for (unsigned int i = 0; i < count && i < RAFT_MEMBERS_MAX; i++)
		conf->voters[i] = i + 1;
	conf->voter_count = (uint8_t)count;
}

/* Makes the configuration impossible in one way; false: no such way. */
static bool spoil(struct raft_conf_state *conf, unsigned int way)
{
	switch (way) {
	case 0: /* twice the same */
		conf->voters[1] = 1;
		return true;
	case 1: /* not rising */
		conf->voters[0] = 3;
		return true;
	case 2: /* nobody */
		conf->voters[0] = 0;
		return true;
	case 3: /* more than there is room for */
		voters(conf, RAFT_MEMBERS_MAX + 1);
		return true;
	case 4:
		conf->voter_count = UINT8_MAX;
		return true;
	case 5:
		conf->learner_count = UINT8_MAX;
		return true;
	case 6:
		conf->outgoing_count = UINT8_MAX;
		return true;
	case 7:
		conf->learner_next_count = UINT8_MAX;
		return true;
	case 8: /* a learner that is a voter */
		conf->learners[0] = 2;
		conf->learner_count = 1;
		return true;
	case 9: /* a learner that still votes in the other half */
		conf->outgoing[0] = 3;
		conf->outgoing_count = 1;
		conf->learners[0] = 3;
		conf->learner_count = 1;
		return true;
	case 10: /* a learner to be that does not vote in the other half */
		conf->outgoing[0] = 3;
		conf->outgoing_count = 1;
		conf->learners_next[0] = 4;
		conf->learner_next_count = 1;
		return true;
	case 11: /* a learner to be in a configuration of one half */
		conf->learners_next[0] = 3;
		conf->learner_next_count = 1;
		return true;
	case 12: /* a learner to be that is a voter to be */
		conf->outgoing[0] = 2;
		conf->outgoing_count = 1;
		conf->learners_next[0] = 2;
		conf->learner_next_count = 1;
		return true;
	case 13: /* leaves by itself what is not joint */
		conf->auto_leave = true;
		return true;
	case 14: /* joint, without an incoming half */
		*conf = (struct raft_conf_state){.outgoing = {1},
						 .outgoing_count = 1};
		return true;
	default:
		return false;
	}
}

START_TEST(an_impossible_configuration_is_refused)
{
	struct raft_snapshot image = good_image();
	unsigned int way = 0;

	ck_assert_int_eq(birth(&image), 0);
	for (; spoil(&image.conf, way); way++) {
		ck_assert_msg(!raft_conf_is_valid(&image.conf), "way %u", way);
		ck_assert_int_eq(birth(&image), RAFT_EINVALID);
		role_all_refuse(&one, message_of(&image));
		image = good_image();
	}
	ck_assert_uint_eq(way, 15);
}
END_TEST

START_TEST(a_configuration_that_could_not_be_left_is_refused)
{
	struct raft_snapshot image = good_image();
	struct raft_conf_state *conf = &image.conf;

	conf->outgoing[0] = 3;
	conf->outgoing_count = 1;
	conf->learners_next[0] = 3;
	conf->learner_next_count = 1;
	for (unsigned int i = 0; i < RAFT_MEMBERS_MAX - 1; i++)
		conf->learners[i] = 10 + i;
	conf->learner_count = RAFT_MEMBERS_MAX - 1;
	ck_assert_int_eq(birth(&image), 0);
	conf->learners[RAFT_MEMBERS_MAX - 1] = 100;
	conf->learner_count++;
	ck_assert_int_eq(birth(&image), RAFT_EINVALID);
	role_all_refuse(&one, message_of(&image));
}
END_TEST

START_TEST(an_image_of_nothing_is_refused)
{
	struct raft_snapshot image = good_image();

	role_all_refuse(&one, message_of(NULL));
	image.index = 0;
	image.term = 0;
	role_all_refuse(&one, message_of(&image));
	image = good_image();
	image.conf = (struct raft_conf_state){0};
	role_all_refuse(&one, message_of(&image));
	/* A member may be born that way: it waits to be told who votes. */
	ck_assert_int_eq(birth(&(struct raft_snapshot){0}), 0);
}
END_TEST

START_TEST(only_the_start_of_a_log_has_no_term)
{
	struct raft_snapshot image = good_image();

	image.term = 0;
	role_all_refuse(&one, message_of(&image));
	ck_assert_int_eq(birth(&image), RAFT_EINVALID);
	image = good_image();
	image.index = 0;
	role_all_refuse(&one, message_of(&image));
	ck_assert_int_eq(birth(&image), RAFT_EINVALID);
}
END_TEST

START_TEST(an_image_of_a_later_term_than_its_sender_is_refused)
{
	struct raft_snapshot image = good_image();

	image.term = 100;
	role_all_refuse(&one, message_of(&image));
}
END_TEST

START_TEST(an_index_out_of_range_is_refused)
{
	struct raft_snapshot image = good_image();

	image.index = UINT64_MAX;
	role_all_refuse(&one, message_of(&image));
	ck_assert_int_eq(birth(&image), RAFT_EINVALID);
	image.index = RAFT_COUNT_MAX + 1;
	role_all_refuse(&one, message_of(&image));
	ck_assert_int_eq(birth(&image), RAFT_EINVALID);
}
END_TEST

START_TEST(the_last_index_in_range_is_taken_and_led_from)
{
	struct raft_snapshot image = good_image();

	image.index = RAFT_COUNT_MAX;
	role_follower(&one);
	core_give(&one, message_of(&image));
	core_settle(&one);
	ck_assert_uint_eq(core_status(&one)->applied, RAFT_COUNT_MAX);
	core_lead(&one);
	ck_assert_uint_eq(core_status(&one)->last_index, RAFT_COUNT_MAX + 1);
}
END_TEST

START_TEST(a_term_out_of_range_is_refused)
{
	static const uint64_t terms[] = {RAFT_COUNT_MAX + 1, UINT64_MAX};
	struct raft_snapshot image = good_image();

	for (unsigned int i = 0; i < 2 * ROLE_COUNT; i++) {
		struct raft_message m = {
			.from = 2, .term = terms[i % 2], .snapshot = &image};

		role_be[i / 2](&one);
		for (m.type = RAFT_MSG_APPEND;
		     m.type <= RAFT_MSG_READ_INDEX_REPLY; m.type++)
			role_refuses(&one, m);
	}
	image.term = RAFT_COUNT_MAX + 1;
	ck_assert_int_eq(birth(&image), RAFT_EINVALID);
}
END_TEST

START_TEST(in_the_last_term_in_range_no_one_campaigns)
{
	for (unsigned int i = 0; i < 2; i++) {
		one.options.pre_vote = i == 1;
		role_follower(&one);
		core_give(&one,
			  (struct raft_message){.type = RAFT_MSG_HEARTBEAT,
						.from = 2,
						.term = RAFT_COUNT_MAX});
		core_settle(&one);
		ck_assert_int_eq(raft_campaign(one.raft), RAFT_EINVALID);
		for (unsigned int j = 0; j < 10 * CORE_ELECTION; j++)
			raft_tick(one.raft);
		core_settle(&one);
		ck_assert_uint_eq(core_status(&one)->role, RAFT_FOLLOWER);
		ck_assert_uint_eq(core_status(&one)->term, RAFT_COUNT_MAX);
		/* It comes back with it. */
		core_start(&one);
		ck_assert_uint_eq(core_status(&one)->term, RAFT_COUNT_MAX);
	}
}
END_TEST

START_TEST(a_birth_that_cannot_be_is_refused)
{
	struct raft_hard_state hard = {.term = 2};
	struct raft_snapshot image = good_image();
	void *memory = aligned_alloc(64, raft_memory_size(&one.options));
	struct raft *raft = NULL;

	ck_assert_ptr_nonnull(memory);
	/* The term of what it has is later than its own. */
	ck_assert_int_eq(raft_init(&raft, &one.options, &hard, &image, memory),
			 RAFT_EINVALID);
	/* A vote in no term. */
	hard = (struct raft_hard_state){.vote = 1};
	image.index = 0;
	image.term = 0;
	ck_assert_int_eq(raft_init(&raft, &one.options, &hard, &image, memory),
			 RAFT_EINVALID);
	hard = (struct raft_hard_state){.term = RAFT_COUNT_MAX + 1};
	ck_assert_int_eq(raft_init(&raft, &one.options, &hard, &image, memory),
			 RAFT_EINVALID);
	ck_assert_ptr_null(raft);
	free(memory);
}
END_TEST

START_TEST(an_entry_that_cannot_be_is_not_loaded)
{
	struct raft_entry entry = core_entry(1, 0);

	one.hard.term = 3;
	core_start(&one);
	ck_assert_int_eq(raft_load(one.raft, &entry), RAFT_EINVALID);
	entry = core_entry(1, 1);
	entry.size = ENTRY_PAYLOAD_MAX + 1;
	ck_assert_int_eq(raft_load(one.raft, &entry), RAFT_EINVALID);
	entry.size = ENTRY_PAYLOAD_MAX;
	ck_assert_int_eq(raft_load(one.raft, &entry), 0);
	ck_assert_uint_eq(core_status(&one)->last_index, 1);
}
END_TEST

/* What a late image is answered; nothing else comes of it. */
static void expect_answer(uint64_t index, uint64_t term, uint64_t commit)
{
	struct raft_snapshot image = good_image();

	image.index = index;
	image.term = term;
	role_follower(&one);
	core_give(&one, message_of(&image));
	core_settle(&one);
	ck_assert_uint_eq(core_sent(&one, 0, 0), 0);
	ck_assert_uint_eq(
		core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->log_index,
		commit);
	ck_assert(!core_message(&one, RAFT_MSG_APPEND_REPLY, 2)->reject);
	ck_assert_uint_eq(one.mail_count, 1);
	ck_assert_str_eq(core_terms(&one), "1 2 2 3");
	ck_assert_uint_eq(core_status(&one)->commit, commit);
	ck_assert_uint_eq(core_status(&one)->conf.voter_count, 3);
}

START_TEST(an_image_older_than_what_is_committed_says_nothing_new)
{
	expect_answer(1, 1, ROLE_COMMIT);
	expect_answer(ROLE_COMMIT, 2, ROLE_COMMIT);
	/* Even one that contradicts what is committed. */
	expect_answer(1, 3, ROLE_COMMIT);
	expect_answer(ROLE_COMMIT, 1, ROLE_COMMIT);
}
END_TEST

START_TEST(an_image_of_what_the_log_has_only_commits_it)
{
	expect_answer(3, 2, 3);
	expect_answer(ROLE_LAST, 3, ROLE_LAST);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, an_impossible_configuration_is_refused);
	tcase_add_test(all, a_configuration_that_could_not_be_left_is_refused);
	tcase_add_test(all, an_image_of_nothing_is_refused);
	tcase_add_test(all, only_the_start_of_a_log_has_no_term);
	tcase_add_test(all,
		       an_image_of_a_later_term_than_its_sender_is_refused);
	tcase_add_test(all, an_index_out_of_range_is_refused);
	tcase_add_test(all, the_last_index_in_range_is_taken_and_led_from);
	tcase_add_test(all, a_term_out_of_range_is_refused);
	tcase_add_test(all, in_the_last_term_in_range_no_one_campaigns);
	tcase_add_test(all, a_birth_that_cannot_be_is_refused);
	tcase_add_test(all, an_entry_that_cannot_be_is_not_loaded);
	tcase_add_test(all,
		       an_image_older_than_what_is_committed_says_nothing_new);
	tcase_add_test(all, an_image_of_what_the_log_has_only_commits_it);
}

int main(void)
{
	Suite *suite = suite_create("raft, images that cannot be");
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
