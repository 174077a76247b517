/*
 * CRC32C against published values, and its two ways against each other.
 */
#include "raft/crc32c.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum sizes {
	BYTES = 16384, /* more than one round of three strands */
};

static uint8_t bytes[BYTES];

static void fill_bytes(void)
{
	uint32_t x = 12345;

	for (unsigned int i = 0; i < BYTES; i++) {
		x = x * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(x >> 24);
	}
}

START_TEST(matches_published_values)
{
	uint8_t block[48];

	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283u);
	ck_assert_uint_eq(crc32c(0, NULL, 0), 0);
	/* RFC 3720, appendix B.4 */
	memset(block, 0, 32);
	ck_assert_uint_eq(crc32c(0, block, 32), 0x8a9136aau);
	memset(block, 0xff, 32);
	ck_assert_uint_eq(crc32c(0, block, 32), 0x62a8ab43u);
	for (unsigned int i = 0; i < 32; i++)
		block[i] = (uint8_t)i;
	ck_assert_uint_eq(crc32c(0, block, 32), 0x46dd794eu);
	for (unsigned int i = 0; i < 32; i++)
		block[i] = (uint8_t)(31 - i);
	ck_assert_uint_eq(crc32c(0, block, 32), 0x113fdb5cu);
}
END_TEST

START_TEST(table_matches_published_values)
{
	ck_assert_uint_eq(crc32c_table(0, "123456789", 9), 0xe3069283u);
	ck_assert_uint_eq(crc32c_table(0, NULL, 0), 0);
}
END_TEST

START_TEST(both_ways_agree_at_every_size_and_offset)
{
	for (unsigned int at = 0; at < 8; at++)
		for (unsigned int size = 0; size < 300; size++)
			ck_assert_uint_eq(crc32c(size, bytes + at, size),
					  crc32c_table(size, bytes + at, size));
	for (unsigned int size = 3000; size < BYTES - 8; size += 131)
		ck_assert_uint_eq(crc32c(7, bytes + 5, size),
				  crc32c_table(7, bytes + 5, size));
}
END_TEST

START_TEST(continues_from_an_earlier_part)
{
	uint32_t whole = crc32c(0, bytes, BYTES);

	for (unsigned int cut = 0; cut <= BYTES; cut += 97) {
		uint32_t crc = crc32c(0, bytes, cut);

		ck_assert_uint_eq(crc32c(crc, bytes + cut, BYTES - cut), whole);
		ck_assert_uint_eq(crc32c_table(crc, bytes + cut, BYTES - cut),
				  whole);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crc32c");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	fill_bytes();
	tcase_add_test(all, matches_published_values);
	tcase_add_test(all, table_matches_published_values);
	tcase_add_test(all, both_ways_agree_at_every_size_and_offset);
	tcase_add_test(all, continues_from_an_earlier_part);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
