/*
 * The entry's bytes: pinned by an example that was made by hand, and refused
 * when any bit of them is wrong.
 */
#include "raft/entry.h"

#include "raft/crc32c.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* index 0x0102030405060708, term 7, payload "hello conclave", two padding. */
static const uint8_t golden[] = {
	0xe3, 0x33, 0x6f, 0x78, 0x4d, 0xed, 0xbf, 0xd8, 0x0e, 0x00, 0x00, 0x00,
	0x02, 0x00, 0x00, 0x00, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0xdd, 0xcc, 0xbb, 0xaa, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55,
	0x44, 0x33, 0x22, 0x11, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x63, 0x6f,
	0x6e, 0x63, 0x6c, 0x61, 0x76, 0x65, 0x00, 0x00,
};

static const char payload[] = "hello conclave";

static void make_entry(uint8_t *bytes)
{
	struct entry_header header = {0};

	memset(bytes, 0xee, sizeof(golden));
	header.size = sizeof(payload) - 1;
	header.op_count = 2;
	header.origin_term = 6;
	header.origin = 0xaabbccdd;
	header.kind = ENTRY_NORMAL;
	header.batch = 0x1122334455667788;
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + ENTRY_HEADER_SIZE, payload, header.size);
	entry_seal(bytes);
	entry_stamp(bytes, 0x0102030405060708, 7);
}

START_TEST(bytes_are_pinned)
{
	uint8_t bytes[sizeof(golden)];

	make_entry(bytes);
	ck_assert_mem_eq(bytes, golden, sizeof(golden));
}
END_TEST

START_TEST(golden_bytes_are_accepted)
{
	struct entry_header header;

	ck_assert_int_eq(entry_check(golden, sizeof(golden), &header), 0);
	ck_assert_uint_eq(header.index, 0x0102030405060708);
	ck_assert_uint_eq(header.term, 7);
	ck_assert_uint_eq(header.origin_term, 6);
	ck_assert_uint_eq(header.origin, 0xaabbccdd);
	ck_assert_uint_eq(header.kind, ENTRY_NORMAL);
	ck_assert_uint_eq(header.op_count, 2);
	ck_assert_uint_eq(header.size, 14);
	ck_assert_uint_eq(header.batch, 0x1122334455667788);
	ck_assert_mem_eq(entry_payload(golden), payload, 14);
}
END_TEST

START_TEST(every_flipped_bit_is_noticed)
{
	uint8_t bytes[sizeof(golden)];
	struct entry_header header;

	for (unsigned int bit = 0; bit < sizeof(golden) * 8; bit++) {
		memcpy(bytes, golden, sizeof(golden));
		bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		ck_assert_int_eq(entry_check(bytes, sizeof(bytes), &header),
				 -EBADMSG);
	}
}
END_TEST

START_TEST(every_short_room_is_noticed)
{
	struct entry_header header;

	for (size_t room = 0; room < sizeof(golden); room++)
		ck_assert_int_eq(entry_check(golden, room, &header), -EBADMSG);
}
END_TEST

/* A header whose checksum is right, but whose content may not be so. */
static int check_with(struct entry_header header)
{
	uint8_t bytes[256] = {0};
	struct entry_header out;

	memcpy(bytes, &header, sizeof(header));
	header.header_crc = crc32c(0, bytes + 4, ENTRY_HEADER_SIZE - 4);
	memcpy(bytes, &header, sizeof(header));
	return entry_check(bytes, sizeof(bytes), &out);
}

START_TEST(impossible_fields_are_refused)
{
	struct entry_header good = {.kind = ENTRY_EMPTY,
				    .format = ENTRY_FORMAT,
				    .index = 1,
				    .term = 1};
	struct entry_header bad;

	ck_assert_int_eq(check_with(good), 0);
	bad = good;
	bad.kind = 0;
	ck_assert_int_eq(check_with(bad), -EBADMSG);
	bad = good;
	bad.kind = ENTRY_KIND_MAX + 1;
	ck_assert_int_eq(check_with(bad), -EBADMSG);
	bad = good;
	bad.format = ENTRY_FORMAT + 1;
	ck_assert_int_eq(check_with(bad), -EBADMSG);
	bad = good;
	bad.reserved0 = 1;
	ck_assert_int_eq(check_with(bad), -EBADMSG);
	bad = good;
	bad.op_count = 1;
	ck_assert_int_eq(check_with(bad), -EBADMSG);
	bad = good;
	bad.size = UINT32_MAX; /* its padded size would wrap to almost 0 */
	ck_assert_int_eq(check_with(bad), -EBADMSG);
	bad = good;
	bad.size = ENTRY_SIZE_MAX - ENTRY_HEADER_SIZE + 1;
	ck_assert_int_eq(check_with(bad), -EBADMSG);
	bad = good;
	bad.size = 256 - ENTRY_HEADER_SIZE + 1;
	ck_assert_int_eq(check_with(bad), -EBADMSG);
}
END_TEST

START_TEST(stamping_keeps_the_payload_checksum)
{
	uint8_t bytes[sizeof(golden)];
	struct entry_header before, after;

	memcpy(bytes, golden, sizeof(golden));
	ck_assert_int_eq(entry_check(bytes, sizeof(bytes), &before), 0);
	entry_stamp(bytes, 9, 8);
	ck_assert_int_eq(entry_check(bytes, sizeof(bytes), &after), 0);
	ck_assert_uint_eq(after.index, 9);
	ck_assert_uint_eq(after.term, 8);
	ck_assert_uint_eq(after.payload_crc, before.payload_crc);
	ck_assert_uint_ne(after.header_crc, before.header_crc);
}
END_TEST

/* Whose stamp it is has to be the receiver's. */
START_TEST(what_is_stamped_in_part_does_not_pass_for_sealed)
{
	static const struct entry_header stamps[] = {
		{.index = 1},
		{.term = 1},
		{.header_crc = 1},
	};

	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
		uint8_t bytes[sizeof(golden)];
		struct entry_header header = {.size = sizeof(payload) - 1,
					      .kind = ENTRY_NORMAL};

		memcpy(bytes, &header, sizeof(header));
		memcpy(bytes + ENTRY_HEADER_SIZE, payload, header.size);
		entry_seal(bytes);
		memcpy(&header, bytes, sizeof(header));
		header.index = stamps[i].index;
		header.term = stamps[i].term;
		header.header_crc = stamps[i].header_crc;
		memcpy(bytes, &header, sizeof(header));
		ck_assert_int_eq(
			entry_check_sealed(bytes, sizeof(bytes), &header),
			-EBADMSG);
	}
}
END_TEST

START_TEST(what_is_sealed_alone_is_not_stamped)
{
	uint8_t bytes[sizeof(golden)];
	struct entry_header header = {.size = sizeof(payload) - 1,
				      .kind = ENTRY_NORMAL};

	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + ENTRY_HEADER_SIZE, payload, header.size);
	entry_seal(bytes);
	memset(&header, 0, sizeof(header));
	ck_assert_int_eq(entry_check_sealed(bytes, sizeof(bytes), &header), 0);
	ck_assert_uint_eq(header.size, sizeof(payload) - 1);
	ck_assert_int_eq(entry_check(bytes, sizeof(bytes), &header), -EBADMSG);
	ck_assert_int_eq(entry_check_sealed(golden, sizeof(golden), &header),
			 -EBADMSG);
	for (size_t room = 0; room < sizeof(bytes); room++)
		ck_assert_int_eq(entry_check_sealed(bytes, room, &header),
				 -EBADMSG);
	for (uint32_t i = ENTRY_HEADER_SIZE; i < sizeof(bytes); i++) {
		bytes[i] ^= 1;
		ck_assert_int_eq(
			entry_check_sealed(bytes, sizeof(bytes), &header),
			-EBADMSG);
		bytes[i] ^= 1;
	}
}
END_TEST

START_TEST(sizes_round_up_to_eight)
{
	ck_assert_uint_eq(entry_size(0), 64);
	ck_assert_uint_eq(entry_size(1), 72);
	ck_assert_uint_eq(entry_size(8), 72);
	ck_assert_uint_eq(entry_size(9), 80);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("entry");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_test(all, bytes_are_pinned);
	tcase_add_test(all, golden_bytes_are_accepted);
	tcase_add_test(all, every_flipped_bit_is_noticed);
	tcase_add_test(all, every_short_room_is_noticed);
	tcase_add_test(all, impossible_fields_are_refused);
	tcase_add_test(all, stamping_keeps_the_payload_checksum);
	tcase_add_test(all, what_is_sealed_alone_is_not_stamped);
	tcase_add_test(all, what_is_stamped_in_part_does_not_pass_for_sealed);
	tcase_add_test(all, sizes_round_up_to_eight);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
