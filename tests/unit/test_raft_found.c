/*
 * Faults of the core that exploration found, each as short as it can be
 * told. The member is 1 of three, and the test plays its disk and the
 * others.
 */
#include "raft/entry.h"
#include "raft/internal.h"

#include <check.h>
#include <stdlib.h>

static struct raft_options options;
static void *memory;
static struct raft *raft;
static struct raft_ready ready;

static void set_up(void)
{
	const struct raft_hard_state hard = {0};
	struct raft_snapshot birth = {0};

	options = (struct raft_options){
		.id = 1,
		.seed = 7,
		.election_ticks = 10,
		.heartbeat_ticks = 1,
		.entries_max = 256,
		.messages_max = 128,
		.reads_max = 16,
		.inflight_max = 16,
		.append_size_max = 1 << 20,
	};
	for (uint64_t i = 0; i < 3; i++)
		birth.conf.voters[i] = i + 1;
	birth.conf.voter_count = 3;
	memory = aligned_alloc(64, raft_memory_size(&options));
	ck_assert_ptr_nonnull(memory);
	ck_assert_int_eq(raft_init(&raft, &options, &hard, &birth, memory), 0);
}

static void tear_down(void)
{
	free(memory);
}

static void take(void)
{
	raft_ready(raft, &ready);
	raft_advance(raft);
}

/* Leader 2 of term 1 sends the entry at `index`. */
static void append(uint64_t index)
{
	const struct raft_entry entry = {
		.index = index, .term = 1, .kind = ENTRY_NORMAL, .size = 8};
	const struct raft_message message = {
		.type = RAFT_MSG_APPEND,
		.from = 2,
		.to = 1,
		.term = 1,
		.log_index = index - 1,
		.log_term = index > 1 ? 1 : 0,
		.first_index = index,
		.entry_count = 1,
		.entries = &entry,
	};

	ck_assert_int_eq(raft_receive(raft, &message), 0);
	take();
}

static bool acknowledges(uint64_t index)
{
	raft_ready(raft, &ready);
	for (uint32_t i = 0; i < ready.message_count; i++)
		if (ready.messages[i].type == RAFT_MSG_APPEND_REPLY &&
		    ready.messages[i].log_index == index)
			return true;
	return false;
}

/* A disk that stalls for so long that readies cannot be told apart. */
START_TEST(what_a_full_row_of_readies_withholds_waits_for_a_write_that_comes)
{
	uint64_t number;

	append(1);
	ck_assert(ready.must_sync);
	while (raft->record_end - raft->record_begin < RAFT_READIES_MAX - 1)
		append(1);
	append(2);
	ck_assert(ready.must_sync);
	number = ready.number;
	/* It has nothing to write, so no disk will answer for it. */
	append(2);
	ck_assert(!ready.must_sync);
	raft_persisted(raft, number, 2, 1);
	ck_assert(acknowledges(2));
}
END_TEST

/* Where neither asks before it votes, and one needs the other's vote. */
START_TEST(a_candidate_that_is_behind_hears_of_the_newer_term)
{
	struct raft_message ask = {
		.type = RAFT_MSG_VOTE, .from = 3, .to = 1, .term = 1};

	ck_assert_int_eq(raft_campaign(raft), 0);
	take();
	raft_persisted(raft, ready.number, 0, 0);
	ck_assert_int_eq(raft_campaign(raft), 0);
	take();
	raft_persisted(raft, ready.number, 0, 0);
	ck_assert_int_eq(raft_receive(raft, &ask), 0);
	raft_ready(raft, &ready);
	ck_assert_uint_eq(ready.message_count, 1);
	ck_assert_uint_eq(ready.messages[0].type, RAFT_MSG_VOTE_REPLY);
	ck_assert_uint_eq(ready.messages[0].to, 3);
	ck_assert_uint_eq(ready.messages[0].term, 2);
	ck_assert(ready.messages[0].reject);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft_found");
	TCase *found = tcase_create("found");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(found, set_up, tear_down);
	tcase_add_test(
		found,
		what_a_full_row_of_readies_withholds_waits_for_a_write_that_comes);
	tcase_add_test(found,
		       a_candidate_that_is_behind_hears_of_the_newer_term);
	suite_add_tcase(suite, found);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
