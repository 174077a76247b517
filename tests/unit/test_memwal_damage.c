/*
 * One flipped bit in each field of each kind of frame, in a whole log: what
 * can be made good is, the rest is an error that says where. Nothing is lost.
 */
#include "tests/unit/support_disk.h"
#include "tests/unit/support_wal.h"
#include "wal/meta.h"
#include "wal/record.h"
#include "wal/segment.h"
#include "wal/snapshot.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char first_segment[] = "segment-00000001";
static const char second_segment[] = "segment-00000002";
static const char snapshot_file[] = "snapshot-0000000000000004";

enum {
	IMAGE_SIZE = WAL_CHUNK_SIZE + 5000,
	HEAD_SIZE = 300
};

/* A byte of each field; `size` ends the list. */
static const uint16_t record_fields[] = {
	0,  4,	8,  10, 12,  16,  24,  32,  40,	 48,  56,  64,	 72,
	80, 88, 92, 96, 100, 104, 120, 130, 256, 600, 768, 1000, 4095};
static const uint16_t segment_fields[] = {0,  4,  8,  10, 12, 16,  32,
					  40, 48, 56, 64, 72, 4095};
static const uint16_t meta_fields[] = {
	0,   4,	  8,   10,  12,	 16,  32,  40,	48,  88,  96,  104, 112, 120,
	128, 136, 144, 152, 160, 168, 184, 224, 232, 240, 248, 256, 312, 4095};
static const uint16_t header_fields[] = {0,  4,	 8,  10,  12,  16,
					 32, 40, 48, 512, 700, 4095};
static const uint16_t chunk_fields[] = {0, 4, 8, 10, 12, 16, 24, 32, 64, 5000};
static const uint16_t footer_fields[] = {0,  4,	 8,  10, 12, 16,  24,
					 32, 40, 48, 56, 64, 4095};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put_image(struct rig *rig)
{
	uint32_t left = IMAGE_SIZE;
	uint32_t size;
	uint8_t *room;
	uint32_t i;

	while (left > 0) {
		room = wal_snapshot_room(rig->wal, &size);
		if (!room) {
			rig_turn(rig);
			continue;
		}
		if (size > left)
			size = left;
		for (i = 0; i < size; i++)
			room[i] = (uint8_t)((IMAGE_SIZE - left + i) * 7 >> 3);
		wal_snapshot_put(rig->wal, size);
		left -= size;
	}
	wal_snapshot_end(rig->wal);
}

static void take_snapshot(struct rig *rig, uint64_t index)
{
	uint8_t head[HEAD_SIZE];

	memset(head, 0x5a, sizeof(head));
	ck_assert_int_eq(
		wal_snapshot_begin(rig->wal, index, 1, head, HEAD_SIZE), 0);
	put_image(rig);
	while (wal_snapshot_active(rig->wal))
		ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert_int_eq(rig_settle(rig), 0);
	ck_assert_uint_eq(wal_snapshot_index(rig->wal), index);
}

/* Entries 1..7 in two segments; the last three records are single blocks. */
static void make(struct rig *rig, bool snapshot)
{
	rig_init(rig, mem_disk_new());
	ck_assert_int_eq(rig_open(rig), 0);
	rig_append(rig, 1, 100);
	rig_append(rig, 1, 50000);
	rig_append(rig, 1, 30000); /* begins the second segment */
	rig_append(rig, 1, 100);
	if (snapshot)
		take_snapshot(rig, 4);
	rig_append(rig, 1, 100);
	rig_append(rig, 1, 100);
	rig_append(rig, 1, 100);
	ck_assert_int_eq(rig_settle(rig), 0);
	rig_drop(rig);
	mem_disk_crash(rig->disk);
}

/* The log on a copy of the disk with one bit of `name` flipped. */
static void flip(struct rig *flipped, const struct rig *whole, const char *name,
		 uint64_t at, int bit)
{
	struct mem_file *file;

	*flipped = *whole;
	flipped->disk = mem_disk_copy(whole->disk);
	file = mem_disk_find(flipped->disk, name);
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_lt(at, file->size);
	file->data[at] ^= (uint8_t)(1u << bit);
}

static void drop(struct rig *rig)
{
	if (rig->memory)
		rig_drop(rig);
	mem_disk_free(rig->disk);
}

static void expect_damage(struct rig *rig, const char *name)
{
	ck_assert_int_eq(rig_open(rig), WAL_EDAMAGED);
	ck_assert_msg(strstr(rig->report.where, name) != NULL, "where: '%s'",
		      rig->report.where);
	drop(rig);
}

static void expect_whole(struct rig *rig)
{
	ck_assert_int_eq(rig_open(rig), 0);
	ck_assert_uint_eq(rig_replay(rig, NULL), 7);
	drop(rig);
}

START_TEST(a_flipped_bit_in_a_middle_record_is_damage)
{
	struct rig whole;
	struct rig rig;
	size_t i;

	make(&whole, false);
	for (i = 0; i < COUNT(record_fields); i++) {
		flip(&rig, &whole, first_segment,
		     2 * DISK_BLOCK + record_fields[i], (int)i % 8);
		mem_disk_reboot(rig.disk);
		expect_damage(&rig, "segment-00000001 at byte 8192");
	}
	/* And in any block of a long one, its padding too. */
	for (i = 3; i < 16; i++) {
		flip(&rig, &whole, first_segment, i * DISK_BLOCK + 999, 3);
		mem_disk_reboot(rig.disk);
		expect_damage(&rig, "segment-00000001 at byte 12288");
	}
	drop(&whole);
}
END_TEST

START_TEST(a_flipped_bit_in_the_last_record_is_damage_in_the_same_boot)
{
	struct mem_file *file;
	struct rig whole;
	struct rig rig;
	uint64_t last = 1 + 8 + 3;
	size_t i;

	make(&whole, false);
	file = mem_disk_find(whole.disk, second_segment);
	ck_assert_uint_eq(
		*(uint32_t *)(void *)&file->data[last * DISK_BLOCK + 4],
		FRAME_MAGIC_RECORD);
	for (i = 0; i < COUNT(record_fields); i++) {
		flip(&rig, &whole, second_segment,
		     last * DISK_BLOCK + record_fields[i], (int)i % 8);
		expect_damage(&rig, "segment-00000002 at byte 49152");
		/* After a power loss the same is a torn write. */
		flip(&rig, &whole, second_segment,
		     last * DISK_BLOCK + record_fields[i], (int)i % 8);
		mem_disk_reboot(rig.disk);
		ck_assert_int_eq(rig_open(&rig), 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 6);
		drop(&rig);
	}
	drop(&whole);
}
END_TEST

START_TEST(a_flipped_bit_in_a_segment_header_is_made_good)
{
	struct rig whole;
	struct rig rig;
	size_t i;

	make(&whole, false);
	for (i = 0; i < COUNT(segment_fields); i++) {
		flip(&rig, &whole, first_segment, segment_fields[i],
		     (int)i % 8);
		expect_whole(&rig);
		flip(&rig, &whole, second_segment, segment_fields[i],
		     (int)i % 8);
		expect_whole(&rig);
	}
	drop(&whole);
}
END_TEST

START_TEST(a_bad_header_and_a_bad_first_record_are_a_missing_segment)
{
	struct rig whole;
	struct rig rig;

	make(&whole, false);
	flip(&rig, &whole, second_segment, 20, 1);
	mem_disk_find(rig.disk, second_segment)->data[DISK_BLOCK + 20] ^= 1;
	mem_disk_reboot(rig.disk);
	expect_damage(&rig, "missing");
	drop(&whole);
}
END_TEST

START_TEST(a_flipped_bit_in_meta_is_made_good_from_its_copies)
{
	struct rig whole;
	struct rig rig;
	size_t i;
	int slot;

	make(&whole, true);
	for (i = 0; i < COUNT(meta_fields); i++) {
		for (slot = 0; slot < META_SLOTS; slot++) {
			flip(&rig, &whole, "meta",
			     (uint64_t)slot * DISK_BLOCK + meta_fields[i],
			     (int)i % 8);
			ck_assert_int_eq(rig_open(&rig), 0);
			ck_assert_uint_eq(rig.report.snapshot_index, 4);
			ck_assert_uint_eq(rig_replay(&rig, NULL), 7);
			drop(&rig);
		}
	}
	drop(&whole);
}
END_TEST

START_TEST(a_flipped_bit_in_a_snapshot_is_damage)
{
	uint64_t footer = snapshot_file_size(IMAGE_SIZE) - DISK_BLOCK;
	struct rig whole;
	struct rig rig;
	size_t i;

	make(&whole, true);
	for (i = 0; i < COUNT(header_fields); i++) {
		flip(&rig, &whole, snapshot_file, header_fields[i], (int)i % 8);
		expect_damage(&rig, "snapshot-0000000000000004 at byte 0");
	}
	for (i = 0; i < COUNT(chunk_fields); i++) {
		flip(&rig, &whole, snapshot_file, DISK_BLOCK + chunk_fields[i],
		     (int)i % 8);
		expect_damage(&rig, "snapshot-0000000000000004 at byte 4096");
	}
	for (i = 0; i < COUNT(footer_fields); i++) {
		flip(&rig, &whole, snapshot_file, footer + footer_fields[i],
		     (int)i % 8);
		expect_damage(&rig, "snapshot-0000000000000004 at byte ");
	}
	/* The padding of the last chunk, which its checksum does not cover. */
	flip(&rig, &whole, snapshot_file, footer - 1, 5);
	expect_damage(&rig, "not what meta names");
	drop(&whole);
}
END_TEST

START_TEST(a_snapshot_cut_short_or_missing_is_damage)
{
	struct mem_file *file;
	struct rig whole;
	struct rig rig;
	uint64_t size = snapshot_file_size(IMAGE_SIZE);
	uint64_t left;

	make(&whole, true);
	for (left = 0; left < size; left += 29 * DISK_BLOCK) {
		flip(&rig, &whole, "meta", 0, 0);
		file = mem_disk_find(rig.disk, snapshot_file);
		file->size = left;
		expect_damage(&rig, "snapshot-0000000000000004");
	}
	flip(&rig, &whole, "meta", 0, 0);
	mem_disk_remove(rig.disk, snapshot_file);
	expect_damage(&rig, "snapshot-0000000000000004");
	drop(&whole);
}
END_TEST

START_TEST(a_bad_snapshot_is_done_without_while_the_log_reaches_back)
{
	struct rig rig;
	struct mem_file *file;

	rig_init(&rig, mem_disk_new());
	rig.options.segment_size = 64 * DISK_BLOCK;
	ck_assert_int_eq(rig_open(&rig), 0);
	rig_append(&rig, 4, 100);
	take_snapshot(&rig, 4);
	rig_append(&rig, 3, 100);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	/* One segment holds all, so entry 1 is still there. */
	file = mem_disk_find(rig.disk, snapshot_file);
	file->data[5000] ^= 1;
	ck_assert_int_eq(rig_open(&rig), 0);
	ck_assert_ptr_nonnull(strstr(rig.report.where, snapshot_file));
	ck_assert_uint_eq(rig.report.snapshot_index, 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 7);
	drop(&rig);
}
END_TEST

START_TEST(a_bad_snapshot_is_no_empty_log)
{
	static const char name[] = "snapshot-0000000000000001";
	struct wal_stats stats;
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	ck_assert_int_eq(rig_open(&rig), 0);
	rig_append(&rig, 1, 14 * DISK_BLOCK - 832); /* to the very end */
	rig_append(&rig, 0, 0);
	take_snapshot(&rig, 1);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_eq(stats.segments, 1); /* that holds no entry */
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	mem_disk_find(rig.disk, name)->data[5000] ^= 1;
	expect_damage(&rig, name);
}
END_TEST

START_TEST(a_snapshot_that_meta_does_not_name_is_damage)
{
	struct mem_file *file;
	struct rig whole;
	struct rig rig;
	uint64_t end = snapshot_file_size(IMAGE_SIZE) - DISK_BLOCK;
	XXH3_state_t state;
	XXH128_hash_t root;
	struct snapshot_footer footer;

	make(&whole, true);
	flip(&rig, &whole, snapshot_file, DISK_BLOCK + 64, 0);
	file = mem_disk_find(rig.disk, snapshot_file);
	/* Whole in itself, but it is another image. */
	snapshot_seal_chunk(file->data + DISK_BLOCK, 4, 0, SNAPSHOT_CHUNK_ROOM);
	ck_assert_int_eq(snapshot_check_footer(file->data + end, &footer), 0);
	XXH3_128bits_reset(&state);
	XXH3_128bits_update(&state, file->data, end);
	root = XXH3_128bits_digest(&state);
	footer.root[0] = root.low64;
	footer.root[1] = root.high64;
	snapshot_seal_footer(file->data + end, &footer);
	expect_damage(&rig, "not what meta names");
	drop(&whole);
}
END_TEST

START_TEST(a_snapshot_comes_back_as_it_was_written)
{
	static uint8_t head[WAL_HEAD_MAX];
	uint8_t expected[HEAD_SIZE];
	const void *piece;
	const uint8_t *bytes;
	struct rig rig;
	uint32_t size = 0;
	uint32_t at = 0;
	uint32_t i;
	int r;

	make(&rig, true);
	ck_assert_int_eq(rig_open(&rig), 0);
	ck_assert_uint_eq(rig.report.snapshot_index, 4);
	ck_assert_uint_eq(rig.report.snapshot_term, 1);
	ck_assert_int_eq(wal_snapshot_head(rig.wal, head, 10, &size), -E2BIG);
	ck_assert_int_eq(wal_snapshot_head(rig.wal, head, sizeof(head), &size),
			 0);
	memset(expected, 0x5a, sizeof(expected));
	ck_assert_uint_eq(size, HEAD_SIZE);
	ck_assert_mem_eq(head, expected, HEAD_SIZE);
	while ((r = wal_snapshot_read(rig.wal, &piece, &size)) > 0) {
		bytes = piece;
		for (i = 0; i < size; i++)
			ck_assert(bytes[i] == (uint8_t)((at + i) * 7 >> 3));
		at += size;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_uint_eq(at, IMAGE_SIZE);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 7);
	drop(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_damage");
	TCase *tests = tcase_create("damage");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_flipped_bit_in_a_middle_record_is_damage);
	tcase_add_test(
		tests,
		a_flipped_bit_in_the_last_record_is_damage_in_the_same_boot);
	tcase_add_test(tests, a_flipped_bit_in_a_segment_header_is_made_good);
	tcase_add_test(
		tests,
		a_bad_header_and_a_bad_first_record_are_a_missing_segment);
	tcase_add_test(tests,
		       a_flipped_bit_in_meta_is_made_good_from_its_copies);
	tcase_add_test(tests, a_flipped_bit_in_a_snapshot_is_damage);
	tcase_add_test(tests, a_snapshot_cut_short_or_missing_is_damage);
	tcase_add_test(
		tests,
		a_bad_snapshot_is_done_without_while_the_log_reaches_back);
	tcase_add_test(tests, a_bad_snapshot_is_no_empty_log);
	tcase_add_test(tests, a_snapshot_that_meta_does_not_name_is_damage);
	tcase_add_test(tests, a_snapshot_comes_back_as_it_was_written);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
