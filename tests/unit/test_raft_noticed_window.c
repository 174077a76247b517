/*
 * The window of entries where others take the place of what stood there:
 * bytes that were lent, what was about to be sent, what was being applied.
 */
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>

enum window_sizes {
	SMALL_WINDOW = 16,
	LENT_MAX = 32,
};

static const char older[1], newer[1]; /* bytes that are lent */
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

/* Entries first .. last of `term`, behind one of `before`, from 2; durable. */
static void take_entries(uint64_t first, uint64_t last, uint64_t term,
			 uint64_t before, const void *data)
{
	struct raft_entry entries[LENT_MAX];
	uint32_t count = (uint32_t)(last + 1 - first);

	ck_assert_uint_le(count, LENT_MAX);
	for (uint32_t i = 0; i < count; i++) {
		entries[i] = core_entry(first + i, term);
		entries[i].data = data;
	}
	core_give(&one, (struct raft_message){.type = RAFT_MSG_APPEND,
					      .from = 2,
					      .term = term,
					      .log_index = first - 1,
					      .log_term = before,
					      .first_index = first,
					      .entry_count = count,
					      .entries = entries});
	core_settle(&one);
	ck_assert_uint_eq(status()->stable_index, last);
}

static void take_image(uint64_t index, uint64_t term)
{
	struct raft_snapshot image = one.saved;

	image.index = index;
	image.term = term;
	core_give(&one, (struct raft_message){.type = RAFT_MSG_SNAPSHOT,
					      .from = 2,
					      .term = term,
					      .snapshot = &image});
}

static const void *data_at(uint64_t index)
{
	const struct raft_entry *entry = raft_entry_at(one.raft, index);

	ck_assert_ptr_nonnull(entry);
	return entry->data;
}

START_TEST(bytes_in_the_place_of_others_are_evicted_too)
{
	core_start(&one);
	take_entries(1, 3, 1, 0, older);
	raft_evict(one.raft, 3);
	take_entries(2, 3, 2, 1, newer);
	ck_assert_ptr_eq(data_at(3), newer);
	raft_evict(one.raft, 3);
	ck_assert_ptr_null(data_at(2));
	ck_assert_ptr_null(data_at(3));
}
END_TEST

START_TEST(bytes_behind_an_image_are_evicted_too)
{
	core_start(&one);
	take_entries(1, 5, 1, 0, older);
	raft_evict(one.raft, 5);
	take_image(3, 2);
	core_settle(&one);
	take_entries(4, 5, 2, 2, newer);
	raft_evict(one.raft, 5);
	ck_assert_ptr_null(data_at(4));
	ck_assert_ptr_null(data_at(5));
}
END_TEST

/* The ring is as large as the window: new entries lie where old ones did. */
START_TEST(what_lies_where_the_dropped_lay_is_not_evicted)
{
	one.options.entries_max = SMALL_WINDOW;
	core_start(&one);
	take_entries(1, 10, 1, 0, older);
	ck_assert_int_eq(say_beat(&one, 2, 1, 10), 0);
	core_settle(&one);
	core_compact(&one);
	take_entries(11, 10 + SMALL_WINDOW, 1, 1, newer);
	raft_evict(one.raft, 12);
	ck_assert_ptr_null(data_at(11));
	ck_assert_ptr_null(data_at(12));
	for (uint64_t i = 13; i <= 10 + SMALL_WINDOW; i++)
		ck_assert_ptr_eq(data_at(i), newer);
}
END_TEST

/* Leads in term 1, and two proposals wait to be sent. */
static void lead_with_full_hands(void)
{
	core_start(&one);
	core_lead(&one);
	core_acknowledge(&one, 2, 1);
	core_acknowledge(&one, 3, 1);
	core_settle(&one);
	ck_assert_int_eq(core_propose(&one, 8), 0);
	ck_assert_int_eq(core_propose(&one, 8), 0);
}

START_TEST(appends_of_what_was_cut_are_not_sent)
{
	lead_with_full_hands();
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){.from = 2,
							  .term = 2,
							  .log_index = 2,
							  .log_term = 1},
				    (const uint64_t[]){2, 0}),
			 0);
	ck_assert(core_take(&one));
	ck_assert_str_eq(core_appends(&one, 2), "2-2");
	ck_assert_str_eq(core_appends(&one, 3), "2-2");
}
END_TEST

START_TEST(appends_of_what_an_image_replaced_are_not_sent)
{
	lead_with_full_hands();
	take_image(10, 5);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 0), 0);
}
END_TEST

START_TEST(appends_behind_what_was_dropped_are_sent)
{
	lead_with_full_hands();
	core_compact(&one);
	ck_assert_uint_eq(status()->first_index, 2);
	ck_assert(core_take(&one));
	ck_assert_str_eq(core_appends(&one, 2), "2-2 3-3");
}
END_TEST

START_TEST(proposals_passed_on_keep_their_entries_when_appends_go)
{
	uint32_t sizes[6] = {0};
	unsigned int count = 0;

	lead_with_full_hands();
	ck_assert_int_eq(say_beat(&one, 2, 2, 0), 0);
	ck_assert_int_eq(core_propose(&one, 7), 0);
	ck_assert_int_eq(core_propose(&one, 9), 0);
	ck_assert_int_eq(say_append(&one,
				    (struct raft_message){.from = 2,
							  .term = 2,
							  .log_index = 1,
							  .log_term = 1},
				    (const uint64_t[]){2, 0}),
			 0);
	/* These lie where the first ones lay before appends went. */
	for (uint32_t size = 11; size <= 14; size++)
		ck_assert_int_eq(core_propose(&one, size), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(core_sent(&one, RAFT_MSG_APPEND, 0), 0);
	for (unsigned int i = 0; i < one.mail_count && count < 6; i++)
		if (one.mail[i].message.type == RAFT_MSG_PROPOSE)
			sizes[count++] = one.mail[i].entries->size;
	ck_assert_uint_eq(count, 6);
	ck_assert_uint_eq(sizes[0], 7);
	ck_assert_uint_eq(sizes[1], 9);
	for (uint32_t i = 2; i < 6; i++)
		ck_assert_uint_eq(sizes[i], 9 + i);
}
END_TEST

START_TEST(what_an_image_replaced_leaves_room_to_apply)
{
	one.hard.commit = 3;
	one.options.committed_size_max = 2 * entry_size(8);
	core_load(&one, (const uint64_t[]){1, 1, 1, 0});
	core_start(&one);
	ck_assert(core_take(&one)); /* as many as may be unapplied */
	ck_assert_uint_eq(one.ready.apply_last, 2);
	take_image(10, 2);
	ck_assert(core_take(&one));
	core_persist(&one);
	take_entries(11, 12, 2, 2, newer);
	ck_assert_int_eq(say_beat(&one, 2, 2, 12), 0);
	ck_assert(core_take(&one));
	ck_assert_uint_eq(one.ready.apply_first, 11);
	ck_assert_uint_eq(one.ready.apply_last, 12);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_test(all, bytes_in_the_place_of_others_are_evicted_too);
	tcase_add_test(all, bytes_behind_an_image_are_evicted_too);
	tcase_add_test(all, what_lies_where_the_dropped_lay_is_not_evicted);
	tcase_add_test(all, appends_of_what_was_cut_are_not_sent);
	tcase_add_test(all, appends_of_what_an_image_replaced_are_not_sent);
	tcase_add_test(all, appends_behind_what_was_dropped_are_sent);
	tcase_add_test(all,
		       proposals_passed_on_keep_their_entries_when_appends_go);
	tcase_add_test(all, what_an_image_replaced_leaves_room_to_apply);
}

int main(void)
{
	Suite *suite = suite_create("raft, what takes the place of entries");
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
