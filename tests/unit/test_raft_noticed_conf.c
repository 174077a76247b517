/*
 * Configurations and their changes as bytes: each list is looked at, each
 * count is bounded, and nothing is read that is not there.
 */
#include "raft/conf.h"
#include "raft/entry.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum conf_sizes {
	TOO_MANY = RAFT_CHANGES_MAX + 1,
};

static struct raft_conf_state joint(void)
{
	return (struct raft_conf_state){
		.voters = {1, 2},
		.voter_count = 2,
		.outgoing = {1, 3, 4},
		.outgoing_count = 3,
		.learners = {5, 6},
		.learner_count = 2,
		.learners_next = {3, 4},
		.learner_next_count = 2,
	};
}

static void swap(uint64_t *ids)
{
	uint64_t first = ids[0];

	ids[0] = ids[1];
	ids[1] = first;
}

START_TEST(each_list_of_ids_must_rise)
{
	struct raft_conf_state conf = joint();

	ck_assert(raft_conf_is_valid(&conf));
	swap(conf.voters);
	ck_assert(!raft_conf_is_valid(&conf));
	conf = joint();
	swap(conf.outgoing);
	ck_assert(!raft_conf_is_valid(&conf));
	conf = joint();
	swap(conf.learners);
	ck_assert(!raft_conf_is_valid(&conf));
	conf = joint();
	swap(conf.learners_next);
	ck_assert(!raft_conf_is_valid(&conf));
}
END_TEST

/* What lies behind the list would make it longer, and rising. */
START_TEST(no_list_is_longer_than_its_room)
{
	struct raft_conf_state conf = {0};

	for (unsigned int i = 0; i < RAFT_MEMBERS_MAX; i++)
		conf.voters[i] = i + 1;
	conf.learners[0] = RAFT_MEMBERS_MAX + 1;
	conf.voter_count = RAFT_MEMBERS_MAX;
	ck_assert(raft_conf_is_valid(&conf));
	conf.voter_count = RAFT_MEMBERS_MAX + 1;
	ck_assert(!raft_conf_is_valid(&conf));
}
END_TEST

START_TEST(more_changes_than_there_may_be_are_refused)
{
	uint8_t bytes[RAFT_CONF_HEADER + TOO_MANY * RAFT_CONF_CHANGE] = {0};
	struct raft_conf_changes changes;

	bytes[1] = RAFT_CHANGES_MAX;
	ck_assert_int_eq(
		raft_conf_decode(ENTRY_CONF_V2, bytes, sizeof(bytes), &changes),
		0);
	bytes[1] = TOO_MANY;
	ck_assert_int_eq(
		raft_conf_decode(ENTRY_CONF_V2, bytes, sizeof(bytes), &changes),
		RAFT_EINVALID);
}
END_TEST

/* Bytes at the end of memory: one step further ends the process. */
START_TEST(no_byte_is_read_that_is_not_there)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct raft_conf_changes changes = {
		.count = 1, .changes = {{.id = 7, .type = RAFT_ADD_VOTER}}};
	uint8_t bytes[RAFT_CONF_HEADER + RAFT_CONF_CHANGE];

	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
	raft_conf_encode(&changes, bytes);
	for (size_t size = 0; size <= sizeof(bytes); size++) {
		uint8_t *at = memory + page - size;

		memcpy(at, bytes, size);
		ck_assert_int_eq(
			raft_conf_decode(ENTRY_CONF_V1, at, size, &changes),
			size < sizeof(bytes) ? RAFT_EINVALID : 0);
	}
	ck_assert_int_eq(munmap(memory, 2 * page), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, configurations as bytes");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, each_list_of_ids_must_rise);
	tcase_add_test(all, no_list_is_longer_than_its_room);
	tcase_add_test(all, more_changes_than_there_may_be_are_refused);
	tcase_add_test(all, no_byte_is_read_that_is_not_there);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
