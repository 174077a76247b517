/*
 * Recovery by evidence, over the disk in memory: torn, damaged, missing,
 * foreign, and what is overwritten or recycled.
 */
#include "tests/unit/support_memwal.h"
#include "wal/meta.h"
#include "wal/record.h"
#include "wal/segment.h"
#include "wal/snapshot.h"

enum {
	SECTOR = 512
};

static const char first_segment[] = "segment-00000001";

static bool same_file(const struct mem_file *a, const struct mem_file *b)
{
	return strcmp(a->name, b->name) == 0 && a->size == b->size &&
	       (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* Opening must fail with `code`, must say where, and must change nothing. */
static void refuses(struct rig *rig, int code, const char *where)
{
	struct disk *before = mem_disk_copy(rig->disk);
	int i;

	ck_assert_int_eq(memwal_restart(rig, false), code);
	ck_assert_msg(strstr(rig->report.where, where) != NULL, "where: '%s'",
		      rig->report.where);
	for (i = 0; i < MEM_FILES_MAX; i++)
		ck_assert(same_file(&before->files[i], &rig->disk->files[i]));
	mem_disk_free(before);
}

static uint8_t *bytes_of(struct rig *rig, const char *name)
{
	struct mem_file *file = mem_disk_find(rig->disk, name);

	ck_assert_ptr_nonnull(file);
	return file->data;
}

/* ---- clean ends ---- */

START_TEST(a_new_folder_is_an_empty_log)
{
	struct rig rig;

	memwal_begin(&rig);
	ck_assert(rig.report.fresh);
	ck_assert_uint_eq(rig.report.last_index, 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 0);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert(!rig.report.fresh);
	ck_assert_uint_eq(rig.report.records, 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(an_empty_folder_is_an_error_unless_it_may_be_made)
{
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	rig.options.create = false;
	ck_assert_int_eq(rig_open(&rig), -ENOENT);
	ck_assert_ptr_nonnull(strstr(rig.report.where, "meta"));
	memwal_end(&rig);
}
END_TEST

START_TEST(a_file_system_without_direct_io_is_refused)
{
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	rig.disk->fault_kinds = 1u << DISK_CREATE;
	rig.disk->fault_result = -EINVAL; /* as open(2) says it */
	ck_assert_int_eq(rig_open(&rig), WAL_ENODIRECT);
	ck_assert_ptr_nonnull(strstr(rig.report.where, "O_DIRECT"));
	memwal_end(&rig);
}
END_TEST

START_TEST(impossible_options_are_refused)
{
	struct rig rig;

	rig_init(&rig, mem_disk_new());
	rig.options.segment_size = RIG_SEGMENT + 1;
	ck_assert_int_eq(rig_open(&rig), -EINVAL);
	rig.options.segment_size = RIG_SEGMENT;
	rig.options.member = 0;
	ck_assert_int_eq(rig_open(&rig), -EINVAL);
	ck_assert_uint_gt(strlen(rig.report.where), 0);
	memwal_end(&rig);
}
END_TEST

START_TEST(what_was_acknowledged_is_replayed_in_order)
{
	struct rig rig;
	int i;

	memwal_begin(&rig);
	for (i = 0; i < 100; i++)
		rig_append(&rig, 1 + (uint32_t)i % 3, (uint32_t)i * 17);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert(!rig.report.torn);
	ck_assert_str_eq(rig.report.where, "");
	ck_assert_uint_eq(rig.report.first_index, 1);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 199);
	ck_assert_uint_eq(rig.report.hard.term, 1);
	ck_assert_uint_eq(rig.report.hard.vote, 7);
	/* And the log goes on. */
	rig_append(&rig, 2, 100);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 201);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_record_that_was_never_reaped_may_be_lost_or_kept)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	ck_assert_int_eq(rig_submit(&rig, 1, 100), 0);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(entries_that_were_overwritten_never_appear)
{
	static const uint64_t terms[] = {0, 1, 1, 1, 3, 3, 4, 4};
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 5, 100); /* 1..5 of term 1 */
	rig.term = 2;
	rig_append(&rig, 4, 50); /* 6..9 of term 2 */
	rig.term = 3;
	rig.next_index = 4;
	rig_append(&rig, 2, 70); /* 4..5 of term 3 */
	rig_append(&rig, 3, 70); /* 6..8 of term 3 */
	rig.term = 4;
	rig.next_index = 6;
	rig_append(&rig, 2, 300); /* 6..7 of term 4 */
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig_replay(&rig, terms), 7);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_vote_survives_even_when_its_record_does_not)
{
	struct raft_hard_state hard = {.term = 9, .vote = 3};
	struct rig rig;
	uint8_t *bytes;

	memwal_begin(&rig);
	ck_assert_int_eq(wal_append(rig.wal, NULL, &hard, 0, 0, 1), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	rig_seal(&rig);
	ck_assert_int_eq(rig_settle(&rig), 0);
	rig.term = 9;
	/* The record is lost altogether: the disk lied. */
	bytes = bytes_of(&rig, first_segment);
	memset(bytes + 2 * DISK_BLOCK, 0, DISK_BLOCK);
	ck_assert_int_eq(memwal_restart(&rig, true), WAL_EDAMAGED);
	rig.options.accept_tail_loss = true;
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	ck_assert_uint_eq(rig.report.hard.term, 9);
	ck_assert_uint_eq(rig.report.hard.vote, 3);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_vote_is_acknowledged_when_two_copies_have_it)
{
	struct raft_hard_state hard = {.term = 9, .vote = 3};
	struct wal_done done = {0};
	struct rig rig;
	uint8_t *bytes;

	memwal_begin(&rig);
	ck_assert_int_eq(wal_append(rig.wal, NULL, &hard, 0, 0, 77), 0);
	while (wal_reap(rig.wal, &done) == 0)
		wal_work(rig.wal);
	ck_assert_uint_eq(done.number, 77);
	/* The process dies at this very moment, and the record is lost. */
	bytes = bytes_of(&rig, first_segment);
	bytes[2 * DISK_BLOCK + 20] ^= 1;
	rig.options.accept_tail_loss = true;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig.report.records, 1);
	ck_assert_uint_eq(rig.report.hard.term, 9);
	ck_assert_uint_eq(rig.report.hard.vote, 3);
	memwal_end(&rig);
}
END_TEST

/* ---- torn tails ---- */

/*
 * Three records, of 1, 3 and 2 blocks, and the disk before and after the
 * last one was written, over blocks that are `stale` or fresh.
 */
struct tail {
	struct rig rig;
	struct disk *before;
	struct disk *after;
	const char *name;
	uint64_t from; /* the last record's bytes */
	uint64_t to;
};

static void make_tail(struct tail *tail)
{
	struct rig *rig = &tail->rig;

	memwal_begin(rig);
	rig_append(rig, 1, 100);
	rig_append(rig, 2, 5000);
	tail->before = mem_disk_copy(rig->disk);
	rig_append(rig, 1, 6000);
	tail->after = mem_disk_copy(rig->disk);
	tail->name = first_segment;
	/* Header, the first empty record, 1 and 3 blocks. */
	tail->from = (uint64_t)(2 + 1 + 3) * DISK_BLOCK;
	tail->to = tail->from + 2 * DISK_BLOCK;
	rig_drop(rig);
	mem_disk_free(rig->disk);
	rig->disk = NULL;
}

static void free_tail(struct tail *tail)
{
	mem_disk_free(tail->before);
	mem_disk_free(tail->after);
}

/* The disk of before, with the sectors whose bit is set of after. */
static struct disk *tear(struct tail *tail, uint32_t sectors)
{
	struct disk *torn = mem_disk_copy(tail->before);
	uint8_t *to = mem_disk_find(torn, tail->name)->data;
	const uint8_t *from = mem_disk_find(tail->after, tail->name)->data;
	uint64_t at;
	uint32_t i = 0;

	for (at = tail->from; at < tail->to; at += SECTOR, i++) {
		if (sectors & 1u << i)
			memcpy(to + at, from + at, SECTOR);
	}
	return torn;
}

/* Opens a torn disk after a reboot: never an error, never a wrong byte. */
static void check_torn(struct tail *tail, struct disk *torn, bool whole)
{
	struct rig *rig = &tail->rig;

	rig->disk = torn;
	mem_disk_reboot(torn);
	ck_assert_int_eq(rig_open(rig), 0);
	ck_assert_uint_eq(rig_replay(rig, NULL), whole ? 4 : 3);
	/* The same boot now: what is left must be a clean end. */
	ck_assert_int_eq(memwal_restart(rig, false), 0);
	ck_assert(!rig->report.torn);
	rig_append(rig, 1, 10);
	ck_assert_int_eq(memwal_restart(rig, false), 0);
	ck_assert_uint_eq(rig_replay(rig, NULL), whole ? 5 : 4);
	memwal_end(rig);
}

START_TEST(a_tail_torn_at_any_sector_is_cut_off_after_a_reboot)
{
	struct tail tail;
	uint32_t kept;

	make_tail(&tail);
	/* 6,064 bytes of entry from byte 768 on end in the 14th sector; what
	 * follows is zeros before and after. */
	for (kept = 0; kept <= 16; kept++) {
		struct disk *torn = tear(&tail, (1u << kept) - 1);

		check_torn(&tail, torn, kept >= 14);
	}
	free_tail(&tail);
}
END_TEST

START_TEST(any_set_of_sectors_that_landed_is_cut_off_after_a_reboot)
{
	struct tail tail;
	uint32_t sectors;

	make_tail(&tail);
	for (sectors = 0; sectors < 1u << 14; sectors += 37)
		check_torn(&tail, tear(&tail, sectors), false);
	free_tail(&tail);
}
END_TEST

START_TEST(a_torn_tail_under_the_same_boot_is_damage)
{
	struct tail tail;
	uint32_t kept;

	make_tail(&tail);
	for (kept = 1; kept < 14; kept++) {
		tail.rig.disk = tear(&tail, (1u << kept) - 1);
		refuses(&tail.rig, WAL_EDAMAGED,
			"segment-00000001 at byte 24576");
		memwal_end(&tail.rig);
	}
	free_tail(&tail);
}
END_TEST

START_TEST(a_bad_tail_that_meta_knows_durable_is_damage_after_a_reboot)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_append(&rig, 1, 100);
	rig_seal(&rig);
	ck_assert_int_eq(rig_settle(&rig), 0);
	bytes_of(&rig, first_segment)[3 * DISK_BLOCK + 900] ^= 1;
	mem_disk_reboot(rig.disk);
	refuses(&rig, WAL_EDAMAGED, "was durable");
	memwal_end(&rig);
}
END_TEST

START_TEST(a_crash_while_the_torn_tail_is_cut_changes_nothing)
{
	struct tail tail;
	uint32_t in;
	int r;

	make_tail(&tail);
	for (in = 0;; in++) {
		struct rig *rig = &tail.rig;

		rig->disk = tear(&tail, 0x3f);
		mem_disk_reboot(rig->disk);
		rig->disk->fault_kinds = 1u << DISK_WRITE_DURABLE;
		rig->disk->fault_in = in;
		rig->disk->fault_result = -EIO;
		r = rig_open(rig);
		rig->disk->fault_kinds = 0;
		if (r == 0) {
			memwal_end(rig);
			break;
		}
		/* The same boot again: the old boot id must still stand. */
		ck_assert_int_eq(memwal_restart(rig, false), 0);
		ck_assert_uint_eq(rig_replay(rig, NULL), 3);
		memwal_end(rig);
	}
	ck_assert_uint_gt(in, 2); /* zeros, and both pairs of meta */
	free_tail(&tail);
}
END_TEST

START_TEST(a_torn_first_record_of_a_segment_gives_the_segment_back)
{
	struct disk *before;
	struct disk *after;
	struct rig rig;
	uint32_t sectors;

	memwal_begin(&rig);
	rig_append(&rig, 1, 50000);
	before = mem_disk_copy(rig.disk);
	rig_append(&rig, 1, 9000); /* does not fit: the second segment */
	after = mem_disk_copy(rig.disk);
	memwal_end(&rig);
	for (sectors = 0; sectors < 1u << 12; sectors += 5) {
		uint8_t *to;
		uint32_t i;

		rig.disk = mem_disk_copy(before);
		to = bytes_of(&rig, "segment-00000002");
		for (i = 0; i < 12; i++) {
			if (sectors & 1u << i)
				memcpy(to + (uint64_t)i * SECTOR,
				       mem_disk_find(after, "segment-00000002")
						       ->data +
					       (uint64_t)i * SECTOR,
				       SECTOR);
		}
		mem_disk_reboot(rig.disk);
		ck_assert_int_eq(rig_open(&rig), 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 1);
		rig_append(&rig, 1, 20000);
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 2);
		memwal_end(&rig);
	}
	mem_disk_free(before);
	mem_disk_free(after);
}
END_TEST

/* ---- damage ---- */

START_TEST(a_zeroed_block_in_the_middle_is_damage)
{
	struct rig rig;
	struct disk *whole;
	int block;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_append(&rig, 1, 7000);
	rig_append(&rig, 1, 100);
	whole = rig.disk;
	for (block = 2; block < 5; block++) {
		rig.disk = mem_disk_copy(whole);
		memset(bytes_of(&rig, first_segment) + block * DISK_BLOCK, 0,
		       DISK_BLOCK);
		mem_disk_reboot(rig.disk);
		refuses(&rig, WAL_EDAMAGED, "segment-00000001 at byte ");
		mem_disk_free(rig.disk);
	}
	mem_disk_free(whole);
}
END_TEST

START_TEST(a_lost_end_of_a_segment_is_damage)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_append(&rig, 1, 100);
	rig_append(&rig, 1, 58000 - 8000); /* in the next segment */
	memset(bytes_of(&rig, first_segment) + 3 * DISK_BLOCK, 0, DISK_BLOCK);
	mem_disk_reboot(rig.disk);
	refuses(&rig, WAL_EDAMAGED, "the next segment begins with another");
	memwal_end(&rig);
}
END_TEST

START_TEST(a_tail_is_judged_by_the_boot_under_which_it_was_written)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	rig_append(&rig, 1, 100);
	/* Written under this boot, which has not ended. */
	bytes_of(&rig, first_segment)[3 * DISK_BLOCK + 900] ^= 4;
	refuses(&rig, WAL_EDAMAGED, "the machine ran on");
	memwal_end(&rig);
}
END_TEST

START_TEST(damage_can_be_accepted_and_says_what_it_cost)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 3, 100);
	rig_append(&rig, 4, 100);
	rig_append(&rig, 5, 100);
	rig_append(&rig, 1, 60000 - 8000); /* in the next segment */
	bytes_of(&rig, first_segment)[3 * DISK_BLOCK + 1000] ^= 0x10;
	refuses(&rig, WAL_EDAMAGED, "accept_tail_loss");
	rig.options.accept_tail_loss = true;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig.report.dropped, 10);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 3);
	rig.options.accept_tail_loss = false;
	rig_append(&rig, 1, 100);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 4);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_missing_segment_is_damage)
{
	struct rig rig;
	struct disk *whole;
	char name[DISK_NAME_MAX];
	uint32_t i;

	memwal_begin(&rig);
	for (i = 0; i < 4; i++)
		rig_append(&rig, 1, 50000);
	whole = rig.disk;
	for (i = 1; i <= 4; i++) {
		rig.disk = mem_disk_copy(whole);
		segment_name(name, i, "");
		mem_disk_remove(rig.disk, name);
		refuses(&rig, WAL_EDAMAGED, "missing");
		/* At one's own risk what is before it is kept. */
		rig.options.accept_tail_loss = true;
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), i - 1);
		rig.options.accept_tail_loss = false;
		rig_append(&rig, 1, 100);
		ck_assert_int_eq(memwal_restart(&rig, false), 0);
		ck_assert_uint_eq(rig_replay(&rig, NULL), i);
		memwal_end(&rig);
	}
	mem_disk_free(whole);
}
END_TEST

START_TEST(a_second_copy_of_a_segment_is_damage)
{
	struct rig rig;
	struct mem_file *copy;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	copy = mem_disk_make(rig.disk, "segment-00000099", RIG_SEGMENT);
	memcpy(copy->data, bytes_of(&rig, first_segment), RIG_SEGMENT);
	refuses(&rig, WAL_EDAMAGED, "remove the copy");
	memwal_end(&rig);
}
END_TEST

START_TEST(a_segment_cut_short_is_damage)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	mem_disk_find(rig.disk, first_segment)->size = 8 * DISK_BLOCK;
	refuses(&rig, WAL_EDAMAGED, "cut short");
	memwal_end(&rig);
}
END_TEST

START_TEST(an_unreadable_block_is_as_bad_as_a_wrong_one)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_append(&rig, 1, 100);
	rig_append(&rig, 1, 100);
	snprintf(rig.disk->bad_name, DISK_NAME_MAX, "%s", first_segment);
	rig.disk->bad_block = 3;
	mem_disk_reboot(rig.disk);
	refuses(&rig, WAL_EDAMAGED, "segment-00000001 at byte 12288");
	/* Unused blocks harm nobody, nor does the header block. */
	rig.disk->bad_block = 9;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 3);
	rig.disk->bad_block = 0;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 3);
	memwal_end(&rig);
}
END_TEST

/* ---- who it belongs to ---- */

START_TEST(a_folder_of_another_member_or_cluster_is_refused)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig.options.member = 8;
	refuses(&rig, WAL_EFOREIGN, "meta");
	rig.options.member = 7;
	rig.options.cluster[3] ^= 1;
	refuses(&rig, WAL_EFOREIGN, "meta");
	rig.options.cluster[3] ^= 1;
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_segment_of_another_log_is_refused)
{
	struct mem_file *stray;
	struct rig other;
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_init(&other, mem_disk_new());
	other.options.member = 8;
	ck_assert_int_eq(rig_open(&other), 0);
	stray = mem_disk_make(rig.disk, "segment-00000077", RIG_SEGMENT);
	memcpy(stray->data, bytes_of(&other, first_segment), RIG_SEGMENT);
	refuses(&rig, WAL_EFOREIGN, "segment-00000077");
	memwal_end(&other);
	memwal_end(&rig);
}
END_TEST

/* Raises the format of the frame of `size` bytes at `bytes`. */
static void make_future(uint8_t *bytes, uint32_t size)
{
	struct frame *frame = (struct frame *)(void *)bytes;

	frame->format++;
	frame->crc = crc32c(0, bytes + 4, size - 4);
}

START_TEST(newer_formats_are_refused_and_kept)
{
	struct disk *whole;
	struct rig rig;
	int i;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_append(&rig, 1, 100);
	whole = rig.disk;

	rig.disk = mem_disk_copy(whole);
	for (i = 0; i < META_SLOTS; i++)
		make_future(bytes_of(&rig, "meta") + i * DISK_BLOCK,
			    DISK_BLOCK);
	refuses(&rig, WAL_EFUTURE, "meta");
	mem_disk_free(rig.disk);

	rig.disk = mem_disk_copy(whole);
	make_future(bytes_of(&rig, first_segment), DISK_BLOCK);
	refuses(&rig, WAL_EFUTURE, "segment-00000001");
	mem_disk_free(rig.disk);

	rig.disk = mem_disk_copy(whole);
	make_future(bytes_of(&rig, first_segment) + 3 * DISK_BLOCK,
		    RECORD_PAYLOAD_SMALL);
	mem_disk_reboot(rig.disk);
	refuses(&rig, WAL_EFUTURE, "at byte 12288");
	mem_disk_free(rig.disk);
	mem_disk_free(whole);
}
END_TEST

START_TEST(a_running_owner_is_waited_for_five_seconds_and_then_named)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	mem_disk_find(rig.disk, "meta")->held = 1000;
	ck_assert_int_eq(rig_open(&rig), WAL_EOWNED);
	ck_assert_ptr_nonnull(strstr(rig.report.where, "owned"));
	ck_assert_uint_eq(rig.disk->pauses, 50);
	mem_disk_find(rig.disk, "meta")->held = 3;
	ck_assert_int_eq(rig_open(&rig), 0);
	ck_assert(!rig.report.waited);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_dead_owners_writes_are_waited_for_without_limit)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	rig_drop(&rig);
	mem_disk_crash(rig.disk);
	mem_disk_find(rig.disk, first_segment)->held = 500;
	mem_disk_find(rig.disk, "segment-00000002")->held = 500;
	ck_assert_int_eq(rig_open(&rig), 0);
	ck_assert(rig.report.waited);
	ck_assert_uint_eq(rig.disk->pauses, 1000);
	ck_assert_uint_eq(rig_replay(&rig, NULL), 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(what_was_never_finished_is_removed_and_not_opened)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	mem_disk_make(rig.disk, "segment-00000009.tmp", 100)->held = 1 << 30;
	mem_disk_make(rig.disk, "snapshot-0000000000000009.tmp", 4096);
	mem_disk_make(rig.disk, "snapshot-0000000000000001", 4096);
	mem_disk_make(rig.disk, "a note of the owner", 10);
	ck_assert_int_eq(memwal_restart(&rig, false), 0);
	ck_assert_ptr_null(mem_disk_find(rig.disk, "segment-00000009.tmp"));
	ck_assert_ptr_null(
		mem_disk_find(rig.disk, "snapshot-0000000000000009.tmp"));
	ck_assert_ptr_null(
		mem_disk_find(rig.disk, "snapshot-0000000000000001"));
	ck_assert_ptr_nonnull(mem_disk_find(rig.disk, "a note of the owner"));
	memwal_end(&rig);
}
END_TEST

START_TEST(a_lost_meta_is_damage_and_not_a_new_folder)
{
	struct rig rig;

	memwal_begin(&rig);
	rig_append(&rig, 1, 100);
	memset(bytes_of(&rig, "meta"), 0, META_SIZE);
	refuses(&rig, WAL_EDAMAGED, "meta");
	mem_disk_find(rig.disk, "meta")->size = 0;
	refuses(&rig, WAL_EDAMAGED, "meta");
	memwal_end(&rig);
}
END_TEST

START_TEST(making_a_folder_can_be_interrupted_at_any_operation)
{
	static const int32_t results[] = {-EIO, -ENOSPC};
	uint32_t in;
	int full = 0;
	int kind;
	int r = -1;

	for (kind = 0; kind < 2; kind++, r = -1) {
		for (in = 0; r != 0; in++) {
			struct rig rig;

			rig_init(&rig, mem_disk_new());
			rig.disk->fault_kinds = MEM_ANY;
			rig.disk->fault_in = in;
			rig.disk->fault_result = results[kind];
			r = rig_open(&rig);
			if (r == WAL_EFULL && strstr(rig.report.where, "space"))
				full++;
			ck_assert(r == 0 || rig.report.where[0] != '\0');
			rig.disk->fault_kinds = 0;
			ck_assert_int_eq(memwal_restart(&rig, in % 2), 0);
			rig_append(&rig, 1, 100);
			ck_assert_int_eq(memwal_restart(&rig, false), 0);
			ck_assert_uint_eq(rig_replay(&rig, NULL), 1);
			memwal_end(&rig);
		}
		ck_assert_uint_gt(in, 8);
	}
	ck_assert_int_ge(full, 2);
}
END_TEST

/* ---- recycling ---- */

START_TEST(stale_records_of_a_recycled_segment_are_as_good_as_zeros)
{
	struct rig rig;
	struct wal_stats stats;
	void *room;
	uint32_t size;
	uint32_t i;

	memwal_begin(&rig);
	for (i = 0; i < 30; i++)
		rig_append(&rig, 2, 2000 + i * 100);
	ck_assert_int_eq(wal_snapshot_begin(rig.wal, 60, 1, "x", 1), 0);
	while (!(room = wal_snapshot_room(rig.wal, &size)))
		rig_turn(&rig);
	memset(room, 1, 100);
	wal_snapshot_put(rig.wal, 100);
	wal_snapshot_end(rig.wal);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_uint_eq(wal_snapshot_index(rig.wal), 60);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_eq(stats.segments, 1);
	/* Small ones now, so that each ends in the middle of an old one. */
	for (i = 0; i < 60; i++) {
		rig_append(&rig, 1, 10 + i);
		ck_assert_int_eq(memwal_restart(&rig, i % 2), 0);
		ck_assert(!rig.report.torn);
		ck_assert_str_eq(rig.report.where, "");
		ck_assert_uint_eq(rig.report.first_index, 61);
		ck_assert_uint_eq(rig_replay(&rig, NULL), 61 + i);
		ck_assert_int_eq(rig_settle(&rig), 0);
	}
	memwal_end(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_recover");
	TCase *tests = tcase_create("recover");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, a_new_folder_is_an_empty_log);
	tcase_add_test(tests,
		       an_empty_folder_is_an_error_unless_it_may_be_made);
	tcase_add_test(tests, a_file_system_without_direct_io_is_refused);
	tcase_add_test(tests, impossible_options_are_refused);
	tcase_add_test(tests, what_was_acknowledged_is_replayed_in_order);
	tcase_add_test(tests,
		       a_record_that_was_never_reaped_may_be_lost_or_kept);
	tcase_add_test(tests, entries_that_were_overwritten_never_appear);
	tcase_add_test(tests, a_vote_survives_even_when_its_record_does_not);
	tcase_add_test(tests, a_vote_is_acknowledged_when_two_copies_have_it);
	tcase_add_test(tests,
		       a_tail_torn_at_any_sector_is_cut_off_after_a_reboot);
	tcase_add_test(
		tests,
		any_set_of_sectors_that_landed_is_cut_off_after_a_reboot);
	tcase_add_test(tests, a_torn_tail_under_the_same_boot_is_damage);
	tcase_add_test(
		tests,
		a_bad_tail_that_meta_knows_durable_is_damage_after_a_reboot);
	tcase_add_test(tests,
		       a_crash_while_the_torn_tail_is_cut_changes_nothing);
	tcase_add_test(tests,
		       a_torn_first_record_of_a_segment_gives_the_segment_back);
	tcase_add_test(tests, a_zeroed_block_in_the_middle_is_damage);
	tcase_add_test(tests, a_lost_end_of_a_segment_is_damage);
	tcase_add_test(tests,
		       a_tail_is_judged_by_the_boot_under_which_it_was_written);
	tcase_add_test(tests, damage_can_be_accepted_and_says_what_it_cost);
	tcase_add_test(tests, a_missing_segment_is_damage);
	tcase_add_test(tests, a_second_copy_of_a_segment_is_damage);
	tcase_add_test(tests, a_segment_cut_short_is_damage);
	tcase_add_test(tests, an_unreadable_block_is_as_bad_as_a_wrong_one);
	tcase_add_test(tests, a_folder_of_another_member_or_cluster_is_refused);
	tcase_add_test(tests, a_segment_of_another_log_is_refused);
	tcase_add_test(tests, newer_formats_are_refused_and_kept);
	tcase_add_test(
		tests,
		a_running_owner_is_waited_for_five_seconds_and_then_named);
	tcase_add_test(tests,
		       a_dead_owners_writes_are_waited_for_without_limit);
	tcase_add_test(tests,
		       what_was_never_finished_is_removed_and_not_opened);
	tcase_add_test(tests, a_lost_meta_is_damage_and_not_a_new_folder);
	tcase_add_test(tests,
		       making_a_folder_can_be_interrupted_at_any_operation);
	tcase_add_test(
		tests,
		stale_records_of_a_recycled_segment_are_as_good_as_zeros);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
