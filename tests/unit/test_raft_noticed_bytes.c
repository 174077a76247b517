/*
 * Small parts by themselves: what sealing leaves in a header, what a check
 * reads, and a cut behind the end of the log.
 */
#include "raft/entry.h"
#include "raft/log.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

START_TEST(sealing_leaves_nothing_of_an_earlier_use)
{
	struct entry_header header;
	uint8_t bytes[ENTRY_HEADER_SIZE + 8];

	memset(&header, 0xa5, sizeof(header));
	header.kind = ENTRY_NORMAL;
	header.size = 3;
	memset(bytes, 0x5a, sizeof(bytes));
	memcpy(bytes, &header, sizeof(header));
	entry_seal(bytes);
	memcpy(&header, bytes, sizeof(header));
	ck_assert_uint_eq(header.header_crc, 0);
	ck_assert_uint_eq(header.index, 0);
	ck_assert_uint_eq(header.term, 0);
	ck_assert_uint_eq(header.format, ENTRY_FORMAT);
	ck_assert_uint_eq(header.reserved0, 0);
}
END_TEST

/* Bytes at the end of memory: one step further ends the process. */
START_TEST(nothing_is_read_beyond_the_room)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct entry_header header = {.kind = ENTRY_NORMAL, .size = 16};
	uint8_t entry[ENTRY_HEADER_SIZE + 16] = {0};

	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
	memcpy(entry, &header, sizeof(header));
	entry_seal(entry);
	for (size_t room = 0; room < sizeof(entry); room++) {
		uint8_t *at = memory + page - room;

		memcpy(at, entry, room);
		ck_assert_int_eq(entry_check_sealed(at, room, &header),
				 -EBADMSG);
	}
	entry_stamp(entry, 1, 1);
	for (size_t room = 0; room < sizeof(entry); room++) {
		uint8_t *at = memory + page - room;

		memcpy(at, entry, room);
		ck_assert_int_eq(entry_check(at, room, &header), -EBADMSG);
	}
	ck_assert_int_eq(munmap(memory, 2 * page), 0);
}
END_TEST

START_TEST(a_cut_behind_the_end_changes_nothing)
{
	struct raft_entry ring[16], entry = {.term = 1};
	struct raft_log log;

	raft_log_init(&log, ring, 16, 16);
	for (entry.index = 1; entry.index <= 3; entry.index++)
		raft_log_push(&log, &entry);
	raft_log_cut(&log, 6);
	ck_assert_uint_eq(log.last, 3);
	raft_log_cut(&log, 4);
	ck_assert_uint_eq(log.last, 3);
	raft_log_cut(&log, 3);
	ck_assert_uint_eq(log.last, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, bytes and a cut");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, sealing_leaves_nothing_of_an_earlier_use);
	tcase_add_test(all, nothing_is_read_beyond_the_room);
	tcase_add_test(all, a_cut_behind_the_end_changes_nothing);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
