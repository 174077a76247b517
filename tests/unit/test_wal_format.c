/*
 * The bytes on disk, pinned. Each frame is made from numbers that show where
 * they went, and compared with bytes that stand here; their checksums were
 * worked out apart from this code.
 */
#include "raft/entry.h"
#include "wal/meta.h"
#include "wal/record.h"
#include "wal/segment.h"
#include "wal/snapshot.h"
#include "wal/text.h"

#include <check.h>
#include <stdlib.h>

static _Alignas(4096) uint8_t blocks[4 * DISK_BLOCK];

static const char record_golden[] =
	"03b3106d4c575243010000000200000008070605040302010707060504030201"
	"1817161514131211282726252423222138373635343332314847464544434241"
	"585756555453525131302f2e2d2c2b2a32302f2e2d2c2b2a02000000a00f0000"
	"0003000074737271c0c1c2c3c4c5c6c7c8c9cacbcccdcecf8887868584838281";
static const char record_table_golden[] = "9b2be2cadc756048";
static const char segment_golden[] =
	"d94524ae4c5753470100000000400000c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
	"0807060504030201181716151413121128272625242322213837363534333231"
	"4847464544434241";
static const char meta_golden[] =
	"1f3bf7484c574d540100000002000000c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
	"0807060504030201181716151413121130313233343536372d383961622d6364"
	"65662d303132332d343536373839616263646566000000001100000000000000"
	"1200000000000000130000000000000014000000000000001500000000000000"
	"1600000000000000170000000000000021000000000000002200000000000000"
	"2300000000000000240000000000000025000000000000003100000000000000"
	"3200000000000000330000000000000034000000000000003500000000000000"
	"0900000000000000420000000000000043000000000000000100000000000000"
	"0200000000000000030000000000000004000000000000000500000000000000"
	"060000000000000007000000000000000800000000000000";
static const char snapshot_golden[] =
	"6f6f556d4c57534e0100000004000000c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
	"08070605040302011817161514131211";
static const char chunk_golden[] =
	"aa5ef99f4c57434b010000006400000008070605040302011817161514131211";
static const char footer_golden[] =
	"078dbf324c574654010000000000000008070605040302011817161514131211"
	"2827262524232221383736353433323148474645444342415857565554535251";

static void is_zero(const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		ck_assert_uint_eq(bytes[i], 0);
}

static void set_cluster(uint8_t cluster[16])
{
	int i;

	for (i = 0; i < 16; i++)
		cluster[i] = (uint8_t)(0xc0 + i);
}

/* Compares bytes with hex digits. */
static void is_hex(const uint8_t *bytes, const char *hex)
{
	char digits[3] = {0};
	size_t i;

	for (i = 0; hex[2 * i]; i++) {
		memcpy(digits, hex + 2 * i, 2);
		ck_assert_msg(bytes[i] == strtoul(digits, NULL, 16),
			      "byte %zu is %02x, not %s", i, bytes[i], digits);
	}
}

static void make_record(void)
{
	struct record_header header = {0};
	uint32_t i;

	header.sequence = 0x0102030405060708;
	header.durable = 0x0102030405060707;
	header.segment = 0x1112131415161718;
	header.salt = 0x2122232425262728;
	header.term = 0x3132333435363738;
	header.vote = 0x4142434445464748;
	header.commit = 0x5152535455565758;
	header.first_index = 0x2a2b2c2d2e2f3031;
	header.last_index = 0x2a2b2c2d2e2f3032;
	header.entry_count = 2;
	header.payload_size = 4000;
	header.payload = RECORD_PAYLOAD_SMALL;
	header.position = 0x71727374;
	set_cluster(header.cluster);
	header.member = 0x8182838485868788;
	memset(blocks, 0xee, sizeof(blocks));
	for (i = 0; i < header.payload_size; i++)
		blocks[header.payload + i] = (uint8_t)(i * 3);
	record_seal(blocks, &header);
}

START_TEST(a_record_has_these_bytes)
{
	make_record();
	is_hex(blocks, record_golden);
	is_zero(blocks + 128, 128);
	is_hex(blocks + 256, record_table_golden);
	is_zero(blocks + 264, RECORD_PAYLOAD_SMALL - 264);
	is_zero(blocks + 768 + 4000, 2 * DISK_BLOCK - 768 - 4000);
	ck_assert_uint_eq(blocks[2 * DISK_BLOCK], 0xee);
}
END_TEST

START_TEST(any_flipped_bit_of_a_record_is_noticed)
{
	struct record_header header;
	size_t bit;

	make_record();
	ck_assert_int_eq(record_check_header(blocks, &header), 0);
	ck_assert_int_eq(record_bad_block(blocks, &header), -1);
	for (bit = 0; bit < 8 * 2 * DISK_BLOCK; bit++) {
		bool good;

		blocks[bit / 8] ^= (uint8_t)(1u << bit % 8);
		good = record_check_header(blocks, &header) == 0 &&
		       record_bad_block(blocks, &header) < 0;
		ck_assert_msg(!good, "bit %zu", bit);
		blocks[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}
END_TEST

START_TEST(a_block_is_bad_at_any_other_place_or_time)
{
	struct record_header header;
	struct record_header other;

	make_record();
	ck_assert_int_eq(record_check_header(blocks, &header), 0);
	other = header;
	other.salt++;
	ck_assert(!record_check_block(blocks, &other, 1));
	other = header;
	other.sequence++;
	ck_assert(!record_check_block(blocks, &other, 1));
	other = header;
	other.position++;
	ck_assert(!record_check_block(blocks, &other, 1));
	ck_assert(record_check_block(blocks, &header, 1));
}
END_TEST

START_TEST(a_head_is_known_again_whichever_one_field_is_damaged)
{
	size_t at;

	make_record();
	for (at = 0; at < RECORD_HEADER_SIZE; at++) {
		blocks[at] ^= 0xff;
		ck_assert(record_resembles(blocks, 0x1112131415161718,
					   0x2122232425262728,
					   0x0102030405060708));
		blocks[at] ^= 0xff;
	}
	ck_assert(!record_resembles(blocks, 1, 2, 3));
}
END_TEST

START_TEST(records_use_the_room_that_the_table_leaves)
{
	ck_assert_uint_eq(record_blocks(RECORD_PAYLOAD_SMALL, 0), 1);
	ck_assert_uint_eq(record_blocks(RECORD_PAYLOAD_SMALL, 364), 1);
	ck_assert_uint_eq(record_blocks(RECORD_PAYLOAD_SMALL, 3328), 1);
	ck_assert_uint_eq(record_blocks(RECORD_PAYLOAD_SMALL, 3329), 2);
	ck_assert_uint_eq(record_room(RECORD_PAYLOAD_SMALL, 128), 523520);
	ck_assert_uint_eq(record_room(RECORD_PAYLOAD_LARGE, 576), 2356736);
	ck_assert_uint_ge(record_room(RECORD_PAYLOAD_LARGE, 576),
			  ENTRY_SIZE_MAX);
}
END_TEST

START_TEST(a_segment_header_has_these_bytes)
{
	struct segment_header header = {0};
	struct segment_header back;
	size_t bit;

	header.frame.own = 16384;
	set_cluster(header.cluster);
	header.member = 0x0102030405060708;
	header.segment = 0x1112131415161718;
	header.salt = 0x2122232425262728;
	header.first_sequence = 0x3132333435363738;
	header.first_index = 0x4142434445464748;
	segment_seal(blocks, &header);
	is_hex(blocks, segment_golden);
	is_zero(blocks + 72, DISK_BLOCK - 72);
	ck_assert_int_eq(segment_check(blocks, &back), 0);
	ck_assert_uint_eq(back.first_index, header.first_index);
	for (bit = 0; bit < 8 * DISK_BLOCK; bit += 3) {
		blocks[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_ne(segment_check(blocks, &back), 0);
		blocks[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}
END_TEST

static void make_meta(uint64_t version, uint8_t *pair)
{
	struct meta meta = {0};
	uint64_t i;

	meta.frame.own = META_READY;
	set_cluster(meta.cluster);
	meta.member = 0x0102030405060708;
	meta.version = version;
	memcpy(meta.boot_id, "01234567-89ab-cdef-0123-456789abcdef", 36);
	meta.failed_sequence = 0x11;
	meta.durable_sequence = 0x12;
	meta.first_segment = 0x13;
	meta.newest_segment = 0x14;
	meta.term = 0x15;
	meta.vote = 0x16;
	meta.commit = 0x17;
	meta.snapshot = (struct meta_snapshot){0x21, 0x22, 0x23, {0x24, 0x25}};
	meta.previous = (struct meta_snapshot){0x31, 0x32, 0x33, {0x34, 0x35}};
	meta.void_before = 0x09;
	meta.damaged_last = 0x42;
	meta.damaged_term = 0x43;
	for (i = 0; i < META_GAPS; i++)
		meta.gaps[i] = (struct meta_gap){0x01 + 2 * i, 0x02 + 2 * i};
	meta_seal(pair, &meta);
}

START_TEST(a_meta_slot_has_these_bytes_twice)
{
	make_meta(0x1112131415161718, blocks);
	is_hex(blocks, meta_golden);
	is_zero(blocks + 312, DISK_BLOCK - 312);
	ck_assert_mem_eq(blocks, blocks + DISK_BLOCK, DISK_BLOCK);
	ck_assert_uint_eq(meta_offset(4), 0);
	ck_assert_uint_eq(meta_offset(5), 8192);
}
END_TEST

START_TEST(the_newest_valid_slot_of_meta_counts)
{
	struct meta_view view;

	make_meta(4, blocks);
	make_meta(5, blocks + META_PAIR_SIZE);
	ck_assert_int_eq(meta_choose(blocks, &view), 0);
	ck_assert(view.found && !view.blank);
	ck_assert_uint_eq(view.meta.version, 5);
	blocks[2 * DISK_BLOCK + 44] ^= 1;
	ck_assert_int_eq(meta_choose(blocks, &view), 0);
	ck_assert_uint_eq(view.meta.version, 5);
	blocks[3 * DISK_BLOCK + 44] ^= 1;
	ck_assert_int_eq(meta_choose(blocks, &view), 0);
	ck_assert_uint_eq(view.meta.version, 4);
	blocks[0] ^= 1;
	blocks[DISK_BLOCK] ^= 1;
	ck_assert_int_eq(meta_choose(blocks, &view), 0);
	ck_assert(!view.found && !view.blank);
	memset(blocks, 0, META_SIZE);
	ck_assert_int_eq(meta_choose(blocks, &view), 0);
	ck_assert(!view.found && view.blank);
}
END_TEST

START_TEST(meta_speaks_of_no_record_that_was_never_reached)
{
	struct meta_view view;
	struct meta meta;
	int i;

	for (i = 0; i < 4; i++) {
		make_meta(4, blocks);
		memset(blocks + META_PAIR_SIZE, 0, META_PAIR_SIZE);
		ck_assert_int_eq(meta_choose(blocks, &view), 0);
		ck_assert(view.found);
		meta = view.meta;
		if (i == 0)
			meta.void_before = meta.durable_sequence + 2;
		if (i == 1)
			meta.gaps[3].resume = meta.durable_sequence + 2;
		if (i == 2)
			meta.gaps[3].from = meta.gaps[3].resume + 1;
		if (i == 3)
			meta.gaps[3].resume = meta.durable_sequence + 1;
		meta_seal(blocks, &meta);
		ck_assert_int_eq(meta_choose(blocks, &view), 0);
		ck_assert(view.found == (i == 3));
	}
}
END_TEST

START_TEST(a_snapshot_header_has_these_bytes)
{
	struct snapshot_header header = {0};

	set_cluster(header.cluster);
	header.index = 0x0102030405060708;
	header.term = 0x1112131415161718;
	snapshot_seal_header(blocks, &header, "head", 4);
	is_hex(blocks, snapshot_golden);
	is_zero(blocks + 48, SNAPSHOT_HEAD_AT - 48);
	is_hex(blocks + SNAPSHOT_HEAD_AT, "68656164");
	is_zero(blocks + 516, DISK_BLOCK - 516);
}
END_TEST

START_TEST(a_snapshot_chunk_has_these_bytes)
{
	memset(blocks, 0xee, sizeof(blocks));
	memset(blocks + 64, 0x5a, 100);
	snapshot_seal_chunk(blocks, 0x0102030405060708, 0x1112131415161718,
			    100);
	is_hex(blocks, chunk_golden);
	is_zero(blocks + 32, 32);
	is_zero(blocks + 164, DISK_BLOCK - 164);
	ck_assert_uint_eq(blocks[DISK_BLOCK], 0xee);
	ck_assert_uint_eq(snapshot_chunk_size(SNAPSHOT_CHUNK_ROOM),
			  WAL_CHUNK_SIZE);
}
END_TEST

START_TEST(a_snapshot_footer_has_these_bytes)
{
	struct snapshot_footer footer = {0};

	footer.index = 0x0102030405060708;
	footer.chunk_count = 0x1112131415161718;
	footer.image_size = 0x2122232425262728;
	footer.file_size = 0x3132333435363738;
	footer.root[0] = 0x4142434445464748;
	footer.root[1] = 0x5152535455565758;
	snapshot_seal_footer(blocks, &footer);
	is_hex(blocks, footer_golden);
	is_zero(blocks + 64, DISK_BLOCK - 64);
}
END_TEST

START_TEST(names_are_these)
{
	char name[DISK_NAME_MAX];
	uint32_t number;
	uint64_t index;

	segment_name(name, 0x7b, ".tmp");
	ck_assert_str_eq(name, "segment-0000007b.tmp");
	ck_assert(segment_is_leftover(name));
	ck_assert(!segment_parse(name, &number));
	segment_name(name, 0xfedcba98, "");
	ck_assert(segment_parse(name, &number) && number == 0xfedcba98);
	ck_assert(!segment_parse("segment-0000007B", &number));
	ck_assert(!segment_parse("segment-000007b", &number));
	ck_assert(!segment_is_leftover(".tm"));
	snapshot_name(name, 0x0123456789abcdef, "");
	ck_assert_str_eq(name, "snapshot-0123456789abcdef");
	ck_assert(snapshot_parse(name, &index) && index == 0x0123456789abcdef);
	ck_assert(!snapshot_parse("snapshot-0123456789abcdef0", &index));
	ck_assert(!snapshot_parse("snapshot-", &index));
}
END_TEST

START_TEST(text_that_does_not_fit_is_cut_off)
{
	char text[12];

	text_format(text, sizeof(text), "%s %u", "ab", 4294967295u);
	ck_assert_str_eq(text, "ab 42949672");
	text_format(text, sizeof(text), "%llu", 0ull);
	ck_assert_str_eq(text, "0");
	text_format(text, sizeof(text), "%04x", 0x12345u);
	ck_assert_str_eq(text, "12345");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wal_format");
	TCase *tests = tcase_create("format");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_record_has_these_bytes);
	tcase_add_test(tests, any_flipped_bit_of_a_record_is_noticed);
	tcase_add_test(tests, a_block_is_bad_at_any_other_place_or_time);
	tcase_add_test(tests,
		       a_head_is_known_again_whichever_one_field_is_damaged);
	tcase_add_test(tests, records_use_the_room_that_the_table_leaves);
	tcase_add_test(tests, a_segment_header_has_these_bytes);
	tcase_add_test(tests, a_meta_slot_has_these_bytes_twice);
	tcase_add_test(tests, the_newest_valid_slot_of_meta_counts);
	tcase_add_test(tests, meta_speaks_of_no_record_that_was_never_reached);
	tcase_add_test(tests, a_snapshot_header_has_these_bytes);
	tcase_add_test(tests, a_snapshot_chunk_has_these_bytes);
	tcase_add_test(tests, a_snapshot_footer_has_these_bytes);
	tcase_add_test(tests, names_are_these);
	tcase_add_test(tests, text_that_does_not_fit_is_cut_off);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
