/*
 * What a shell may not do with a core is caught by an assertion, and what is
 * next to it is not: each bug beside the call that is right.
 */
#include "tests/unit/support_raft.h"
#include "tests/unit/support_raft_death.h"

#include <check.h>
#include <stdlib.h>

static struct core one;

/* A leader of one: entry 1 is applied, 2 and 3 are handed out. */
static void set_up(void)
{
	core_init(&one, 1, 1);
	core_start(&one);
	core_lead(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.append_last, 3);
	ck_assert_uint_eq(core_status(&one)->applied, 1);
}

static void tear_down(void)
{
	core_release(&one);
}

static uint64_t number(void)
{
	return one.ready.number;
}

static void persist_right(void)
{
	raft_persisted(one.raft, number(), 3, 1);
}

static void persist_no_such_ready(void)
{
	raft_persisted(one.raft, number() + 1, 3, 1);
}

static void persist_no_such_entry(void)
{
	raft_persisted(one.raft, number(), 4, 1);
}

static void persist_an_index_without_term(void)
{
	raft_persisted(one.raft, number(), 3, 0);
}

static void persist_a_term_without_index(void)
{
	raft_persisted(one.raft, number(), 0, 1);
}

static void persist_of_nothing(void)
{
	raft_persisted(NULL, number(), 3, 1);
}

START_TEST(nothing_is_durable_that_was_not_handed_out)
{
	ck_assert_lives(persist_right);
	ck_assert_dies(persist_no_such_ready);
	ck_assert_dies(persist_no_such_entry);
	ck_assert_dies(persist_an_index_without_term);
	ck_assert_dies(persist_a_term_without_index);
	ck_assert_dies(persist_of_nothing);
}
END_TEST

static void apply_right(void)
{
	persist_right();
	ck_assert(core_take(&one));
	raft_applied(one.raft, 3);
}

static void apply_twice(void)
{
	apply_right();
	raft_applied(one.raft, 2);
	raft_applied(one.raft, 3);
}

static void apply_what_is_not_committed(void)
{
	raft_applied(one.raft, 2);
}

static void apply_what_is_not_handed_out(void)
{
	persist_right();
	raft_applied(one.raft, 2);
}

static void apply_beyond_the_end(void)
{
	persist_right();
	ck_assert(core_take(&one));
	raft_applied(one.raft, 4);
}

START_TEST(nothing_is_applied_that_was_not_handed_out)
{
	ck_assert_lives(apply_right);
	ck_assert_lives(apply_twice);
	ck_assert_dies(apply_what_is_not_committed);
	ck_assert_dies(apply_what_is_not_handed_out);
	ck_assert_dies(apply_beyond_the_end);
}
END_TEST

static void advance_right(void)
{
	raft_tick(one.raft);
	raft_ready(one.raft, &one.ready);
	raft_advance(one.raft);
}

static void advance_without_ready(void)
{
	raft_advance(one.raft);
}

static void advance_twice(void)
{
	advance_right();
	raft_advance(one.raft);
}

static void advance_after_a_tick(void)
{
	raft_ready(one.raft, &one.ready);
	raft_tick(one.raft);
	raft_advance(one.raft);
}

static void advance_after_a_proposal(void)
{
	raft_ready(one.raft, &one.ready);
	(void)!core_propose(&one, 8);
	raft_advance(one.raft);
}

static void advance_after_a_message(void)
{
	raft_ready(one.raft, &one.ready);
	(void)!core_offer(&one, (struct raft_message){.type = 0});
	raft_advance(one.raft);
}

static void advance_after_a_write(void)
{
	raft_ready(one.raft, &one.ready);
	raft_persisted(one.raft, 1, 0, 0);
	raft_advance(one.raft);
}

START_TEST(only_what_was_just_handed_out_is_taken_over)
{
	ck_assert_lives(advance_right);
	ck_assert_dies(advance_without_ready);
	ck_assert_dies(advance_twice);
	ck_assert_dies(advance_after_a_tick);
	ck_assert_dies(advance_after_a_proposal);
	ck_assert_dies(advance_after_a_message);
	ck_assert_dies(advance_after_a_write);
}
END_TEST

static void compact_right(void)
{
	raft_compact(one.raft, 1);
	raft_compact(one.raft, 0);
}

static void compact_what_is_not_applied(void)
{
	raft_compact(one.raft, 2);
}

static void compact_what_is_only_handed_out(void)
{
	persist_right();
	ck_assert(core_take(&one));
	raft_compact(one.raft, 2);
}

START_TEST(nothing_is_compacted_that_is_not_applied)
{
	ck_assert_lives(compact_right);
	ck_assert_dies(compact_what_is_not_applied);
	ck_assert_dies(compact_what_is_only_handed_out);
}
END_TEST

static void offer(uint64_t index, uint64_t term, uint8_t voters)
{
	struct raft_snapshot image = {.index = index, .term = term};

	image.conf.voters[0] = 1;
	image.conf.voter_count = voters;
	raft_offer_snapshot(one.raft, &image);
}

static void offer_right(void)
{
	offer(1, 1, 1);
}

static void offer_what_is_not_handed_out(void)
{
	offer(2, 1, 1);
}

static void offer_an_impossible_configuration(void)
{
	offer(1, 1, 2);
}

static void offer_an_image_without_term(void)
{
	offer(1, 0, 1);
}

START_TEST(only_an_image_that_can_be_is_offered)
{
	ck_assert_lives(offer_right);
	ck_assert_dies(offer_what_is_not_handed_out);
	ck_assert_dies(offer_an_impossible_configuration);
	ck_assert_dies(offer_an_image_without_term);
}
END_TEST

static void lend_right(void)
{
	raft_lend(one.raft, 3, "bytes");
}

static void lend_to_what_is_not_there(void)
{
	raft_lend(one.raft, 4, "bytes");
}

static void lend_to_what_is_gone(void)
{
	raft_compact(one.raft, 1);
	raft_lend(one.raft, 1, "bytes");
}

static void lend_nothing(void)
{
	raft_lend(one.raft, 3, NULL);
}

START_TEST(bytes_are_lent_only_to_entries_that_are_there)
{
	ck_assert_lives(lend_right);
	ck_assert_dies(lend_to_what_is_not_there);
	ck_assert_dies(lend_to_what_is_gone);
	ck_assert_dies(lend_nothing);
}
END_TEST

static void apply_conf(uint64_t index, uint32_t kind)
{
	struct raft_entry leave = {.index = index, .term = 1, .kind = kind};
	struct raft_conf_state conf;

	(void)!raft_apply_conf(one.raft, &leave, &conf);
}

static void apply_a_conf_right(void)
{
	apply_conf(1, ENTRY_CONF_V2);
}

static void apply_a_conf_not_handed_out(void)
{
	apply_conf(2, ENTRY_CONF_V2);
}

static void apply_as_conf_what_is_none(void)
{
	apply_conf(1, ENTRY_NORMAL);
}

START_TEST(only_a_committed_change_of_membership_is_made_active)
{
	ck_assert_lives(apply_a_conf_right);
	ck_assert_dies(apply_a_conf_not_handed_out);
	ck_assert_dies(apply_as_conf_what_is_none);
}
END_TEST

/* Born again from its disk, with entries 1 .. 3. */
static void rebear(void)
{
	core_persist(&one);
	core_start(&one);
	ck_assert_uint_eq(core_status(&one)->last_index, 3);
}

static void restore_right(void)
{
	rebear();
	raft_restored(one.raft, 3);
}

static void restore_beyond_the_end(void)
{
	rebear();
	raft_restored(one.raft, 4);
}

static void restore_backwards(void)
{
	restore_right();
	raft_restored(one.raft, 2);
}

static void restore_too_late(void)
{
	rebear();
	ck_assert(core_take(&one));
	raft_restored(one.raft, 3);
}

static void load_too_late(void)
{
	struct raft_entry next = core_entry(4, 1);

	rebear();
	ck_assert(core_take(&one));
	(void)!raft_load(one.raft, &next);
}

START_TEST(what_is_found_on_a_disk_is_told_before_the_first_ready)
{
	ck_assert_lives(restore_right);
	ck_assert_dies(restore_beyond_the_end);
	ck_assert_dies(restore_backwards);
	ck_assert_dies(restore_too_late);
	ck_assert_dies(load_too_late);
}
END_TEST

static void be_born_at(size_t offset)
{
	size_t size = raft_memory_size(&one.options);
	uint8_t *memory = aligned_alloc(64, size + 64);
	struct raft *raft;

	(void)!raft_init(&raft, &one.options, &one.hard, &one.saved,
			 memory + offset);
}

static void be_born_right(void)
{
	be_born_at(0);
}

static void be_born_unaligned(void)
{
	be_born_at(8);
}

START_TEST(memory_is_aligned)
{
	ck_assert_lives(be_born_right);
	ck_assert_dies(be_born_unaligned);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, nothing_is_durable_that_was_not_handed_out);
	tcase_add_test(all, nothing_is_applied_that_was_not_handed_out);
	tcase_add_test(all, only_what_was_just_handed_out_is_taken_over);
	tcase_add_test(all, nothing_is_compacted_that_is_not_applied);
	tcase_add_test(all, only_an_image_that_can_be_is_offered);
	tcase_add_test(all, bytes_are_lent_only_to_entries_that_are_there);
	tcase_add_test(all,
		       only_a_committed_change_of_membership_is_made_active);
	tcase_add_test(all,
		       what_is_found_on_a_disk_is_told_before_the_first_ready);
	tcase_add_test(all, memory_is_aligned);
}

int main(void)
{
	Suite *suite = suite_create("raft, misuse of a core");
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
