/*
 * Reading entries and snapshots back while the log goes on, over the disk in
 * memory.
 */
#include "tests/unit/support_memwal.h"
#include "wal/record.h"
#include "wal/snapshot.h"

static const char first_segment[] = "segment-00000001";

static void begin_with(struct rig *rig, uint32_t segment_size)
{
	rig_init(rig, mem_disk_new());
	rig->options.segment_size = segment_size;
	ck_assert_int_eq(rig_open(rig), 0);
	ck_assert_int_eq(rig_settle(rig), 0);
}

static void begin(struct rig *rig)
{
	begin_with(rig, RIG_SEGMENT);
}

/* Turns until the fetch is over: what wal_fetched() says then. */
static int wait_for(struct rig *rig, int ticket, struct wal_fetched *ret)
{
	int turns;
	int r;

	for (turns = 0; turns < 1000; turns++) {
		r = wal_fetched(rig->wal, ticket, ret);
		if (r != -EINPROGRESS)
			return r;
		(void)rig_turn(rig);
	}
	ck_abort_msg("a fetch never ends");
	return -ETIME;
}

/* What comes of a fetch of entries from `index` on; *ret is lent no more. */
static int fetch(struct rig *rig, uint64_t index, struct wal_fetched *ret)
{
	int ticket = wal_fetch_entries(rig->wal, index);
	int r;

	if (ticket < 0)
		return ticket;
	r = wait_for(rig, ticket, ret);
	wal_fetch_end(rig->wal, ticket);
	return r;
}

/* The entries must be those, back to back, and of these terms (NULL: 1). */
static void check_entries(const struct wal_fetched *fetched,
			  const uint64_t *terms)
{
	uint64_t index = fetched->first_index;
	struct raft_entry entry = {0};
	struct entry_header header;
	uint32_t at = 0;

	ck_assert_uint_gt(fetched->size, 0);
	for (; at < fetched->size; at += entry_size(header.size), index++) {
		ck_assert_int_eq(entry_check(fetched->bytes + at,
					     fetched->size - at, &header),
				 0);
		entry.index = header.index;
		entry.term = header.term;
		entry.kind = header.kind;
		entry.size = header.size;
		entry.data = fetched->bytes + at;
		rig_check(&entry, index, terms ? terms[index] : 1);
	}
	ck_assert_uint_eq(at, fetched->size);
	ck_assert_uint_eq(index, fetched->last_index + 1);
}

/* All of first..last comes, in order; returns how many fetches that took. */
static uint32_t check_all(struct rig *rig, uint64_t first, uint64_t last,
			  const uint64_t *terms)
{
	struct wal_fetched fetched;
	uint32_t count = 0;
	int ticket;

	for (; first <= last; first = fetched.last_index + 1, count++) {
		ticket = wal_fetch_entries(rig->wal, first);
		ck_assert_int_ge(ticket, 0);
		ck_assert_int_eq(wait_for(rig, ticket, &fetched), 0);
		ck_assert_uint_eq(fetched.first_index, first);
		check_entries(&fetched, terms);
		wal_fetch_end(rig->wal, ticket);
		rig->disk->history_count = 0;
	}
	ck_assert_uint_eq(first, last + 1);
	return count;
}

/* ---- entries ---- */

START_TEST(every_entry_comes_back_wherever_one_begins)
{
	struct wal_fetched fetched;
	struct rig rig;
	uint64_t first;
	int life;
	int i;

	begin(&rig);
	for (i = 0; i < 120; i++)
		rig_append(&rig, (uint32_t)i % 4, (uint32_t)i * 37);
	for (life = 0; life < 2; life++) {
		uint64_t last = rig.next_index - 1;

		ck_assert_uint_gt(last, 150);
		for (first = 1; first <= last; first += 7)
			check_all(&rig, first, last, NULL);
		ck_assert_int_eq(fetch(&rig, 0, &fetched), -ENOENT);
		ck_assert_int_eq(fetch(&rig, last + 1, &fetched), -ENOENT);
		/* What was recovered is found like what was written. */
		ck_assert_int_eq(memwal_restart(&rig, true), 0);
	}
	memwal_end(&rig);
}
END_TEST

START_TEST(entries_of_many_records_come_with_one_read)
{
	struct rig rig;
	int i;

	begin_with(&rig, 1 << 20);
	for (i = 0; i < 200; i++)
		rig_append(&rig, 1, 300);
	/* 200 blocks, 128 at once. */
	rig.disk->history_count = 0;
	ck_assert_uint_eq(check_all(&rig, 1, 200, NULL), 2);
	memwal_end(&rig);
}
END_TEST

START_TEST(who_reads_on_does_not_walk_again)
{
	struct wal_fetched fetched;
	struct rig rig;
	uint32_t i;

	begin_with(&rig, 4 << 20);
	for (i = 0; i < 255; i++) {
		rig_append(&rig, 1, 10);
		rig.disk->history_count = 0;
	}
	/* The mark is 255 blocks before. */
	ck_assert_int_eq(fetch(&rig, 200, &fetched), 0);
	ck_assert_uint_eq(fetched.last_index, 255);
	rig_append(&rig, 1, 10);
	rig.disk->history_count = 0;
	rig.disk->fault_kinds = 1u << DISK_READ;
	rig.disk->fault_in = 1000;
	rig.disk->counted = 0;
	ck_assert_uint_eq(check_all(&rig, 256, 256, NULL), 1);
	ck_assert_uint_eq(rig.disk->counted, 1);
	memwal_end(&rig);
}
END_TEST

START_TEST(large_records_behind_small_ones_come_whole)
{
	struct wal_fetched fetched;
	struct rig rig;
	uint64_t first;
	int i;

	begin_with(&rig, 16 << 20);
	for (i = 0; i < 5; i++) {
		int j;

		for (j = 0; j < 60; j++)
			rig_append(&rig, 1, 2000);
		rig_append(&rig, 1, 2000000);
		rig_append(&rig, 3, 700000);
		rig.disk->history_count = 0;
	}
	for (first = 1; first < rig.next_index; first += 3)
		ck_assert_int_eq(fetch(&rig, first, &fetched), 0);
	check_all(&rig, 1, rig.next_index - 1, NULL);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	check_all(&rig, 1, rig.next_index - 1, NULL);
	memwal_end(&rig);
}
END_TEST

START_TEST(what_was_overwritten_never_comes)
{
	uint64_t terms[40];
	struct rig rig;
	int i;

	begin(&rig);
	for (i = 0; i < 40; i++)
		terms[i] = i < 4 ? 1 : i < 6 ? 3 : 4;
	rig_append(&rig, 5, 100);
	rig.term = 2;
	rig_append(&rig, 30, 50);
	rig.term = 3;
	rig.next_index = 4;
	rig_append(&rig, 4, 70);
	rig.term = 4;
	rig.next_index = 6;
	rig_append(&rig, 2, 300);
	check_all(&rig, 1, 7, terms);
	rig_append(&rig, 20, 5);
	for (i = 1; i <= 27; i++)
		check_all(&rig, (uint64_t)i, 27, terms);
	ck_assert_int_eq(memwal_restart(&rig, true), 0);
	for (i = 1; i <= 27; i++)
		check_all(&rig, (uint64_t)i, 27, terms);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 28), -ENOENT);
	memwal_end(&rig);
}
END_TEST

START_TEST(an_entry_that_is_being_written_is_there_a_moment_later)
{
	struct wal_fetched fetched;
	struct rig rig;

	begin(&rig);
	rig_append(&rig, 3, 100);
	ck_assert_int_eq(rig_submit(&rig, 2, 100), 0);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 4), -EAGAIN);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 5), -EAGAIN);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 6), -ENOENT);
	ck_assert_int_eq(fetch(&rig, 3, &fetched), 0);
	ck_assert_uint_eq(fetched.last_index, 3);
	ck_assert_int_eq(rig_settle(&rig), 0);
	check_all(&rig, 4, 5, NULL);
	/* Nor does what it overwrites come any more. */
	rig.next_index = 3;
	ck_assert_int_eq(rig_submit(&rig, 1, 100), 0);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 3), -EAGAIN);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 4), -ENOENT);
	ck_assert_int_eq(fetch(&rig, 1, &fetched), 0);
	ck_assert_uint_eq(fetched.last_index, 2);
	memwal_end(&rig);
}
END_TEST

START_TEST(what_is_overwritten_while_it_is_read_does_not_come)
{
	struct wal_fetched fetched;
	struct rig rig;
	int early;
	int late;

	begin(&rig);
	rig_append(&rig, 9, 100);
	early = wal_fetch_entries(rig.wal, 2);
	late = wal_fetch_entries(rig.wal, 7);
	rig.term = 2;
	rig.next_index = 6;
	ck_assert_int_eq(rig_submit(&rig, 1, 100), 0);
	ck_assert_int_eq(wait_for(&rig, early, &fetched), 0);
	check_entries(&fetched, NULL);
	ck_assert_uint_eq(fetched.last_index, 5);
	ck_assert_int_eq(wait_for(&rig, late, &fetched), -ENOENT);
	/* And what was read but not taken goes too. */
	rig.next_index = 5;
	ck_assert_int_eq(rig_submit(&rig, 1, 100), 0);
	ck_assert_int_eq(wal_fetched(rig.wal, early, &fetched), -ENOENT);
	wal_fetch_end(rig.wal, early);
	wal_fetch_end(rig.wal, late);
	memwal_end(&rig);
}
END_TEST

/* Turns while a read is held: a snapshot is made. */
static void take(struct rig *rig, uint64_t index, uint32_t left)
{
	uint32_t size;
	uint32_t i;
	uint32_t at = 0;
	uint8_t *room;

	ck_assert_int_eq(wal_snapshot_begin(rig->wal, index, 1, "some head", 9),
			 0);
	while (wal_snapshot_index(rig->wal) != index) {
		room = wal_snapshot_room(rig->wal, &size);
		if (room) {
			size = size < left ? size : left;
			for (i = 0; i < size; i++)
				room[i] = (uint8_t)(index + (at + i) * 5 / 3);
			wal_snapshot_put(rig->wal, size);
			left -= size;
			at += size;
		}
		if (room && left == 0)
			wal_snapshot_end(rig->wal);
		ck_assert_int_eq(rig_turn(rig), 0);
	}
}

START_TEST(a_segment_that_is_used_again_while_it_is_read_is_noticed)
{
	struct wal_fetched fetched;
	struct wal_stats stats;
	struct rig rig;
	uint64_t index;
	int tickets[2];
	int i;

	begin(&rig);
	for (i = 0; i < 6; i++)
		rig_append(&rig, 1, 50000);
	tickets[0] = wal_fetch_entries(rig.wal, 2);
	tickets[1] = wal_fetch_entries(rig.wal, 6);
	rig.disk->held_kinds = 1u << DISK_READ;
	take(&rig, 6, 100);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(rig_turn(&rig), 0);
	for (index = 1; index < 6; index++)
		ck_assert_int_eq(wal_fetch_entries(rig.wal, index), -ENOENT);
	/* Round and round until the same file holds something else. */
	for (i = 0; i < 6; i++) {
		ck_assert_int_eq(rig_submit(&rig, 1, 50000), 0);
		while (!wal_can_append(rig.wal))
			ck_assert_int_eq(rig_turn(&rig), 0);
	}
	wal_stats(rig.wal, &stats);
	ck_assert_uint_gt(stats.segments, 4);
	ck_assert_int_eq(wal_fetched(rig.wal, tickets[0], &fetched),
			 -EINPROGRESS);
	rig.disk->held_kinds = 0;
	ck_assert_int_eq(wait_for(&rig, tickets[0], &fetched), -ENOENT);
	ck_assert_int_eq(wait_for(&rig, tickets[1], &fetched), -ENOENT);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_spare_is_not_closed_while_it_is_read)
{
	struct wal_stats stats;
	struct rig rig;
	uint32_t spares;
	int ticket;
	int i;

	rig_init(&rig, mem_disk_new());
	rig.options.snapshot_after = 2 * RIG_SEGMENT;
	ck_assert_int_eq(rig_open(&rig), 0);
	for (i = 0; i < 30; i++)
		rig_append(&rig, 1, 50000);
	ticket = wal_fetch_entries(rig.wal, 29);
	ck_assert_int_ge(ticket, 0);
	rig.disk->held_kinds = 1u << DISK_READ;
	take(&rig, 30, 100);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(rig_turn(&rig), 0);
	wal_stats(rig.wal, &stats);
	spares = stats.spares;
	ck_assert_uint_gt(spares, 20); /* one is in the way */
	rig.disk->held_kinds = 0;
	wal_fetch_end(rig.wal, ticket);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(rig_turn(&rig), 0);
	wal_stats(rig.wal, &stats);
	ck_assert_uint_lt(stats.spares, spares);
	memwal_end(&rig);
}
END_TEST

START_TEST(damage_is_noticed_and_what_is_before_it_comes)
{
	struct wal_fetched fetched;
	struct rig rig;
	uint8_t *bytes;
	uint32_t at;

	begin(&rig);
	rig_append(&rig, 3, 100);
	rig_append(&rig, 3, 100);
	rig_append(&rig, 3, 100);
	bytes = mem_disk_find(rig.disk, first_segment)->data + 3 * DISK_BLOCK;
	/* Any byte of the record in the middle. */
	for (at = 0; at < DISK_BLOCK; at += 61) {
		bytes[at] ^= 4;
		ck_assert_int_eq(fetch(&rig, 1, &fetched), 0);
		ck_assert_uint_eq(fetched.last_index, 3);
		ck_assert_int_eq(fetch(&rig, 5, &fetched), WAL_EDAMAGED);
		bytes[at] ^= 4;
		rig.disk->history_count = 0;
	}
	check_all(&rig, 1, 9, NULL);
	/* A block that cannot be read. */
	snprintf(rig.disk->bad_name, DISK_NAME_MAX, "%s", first_segment);
	rig.disk->bad_block = 3;
	ck_assert_int_eq(fetch(&rig, 5, &fetched), -EIO);
	/* A read that comes short. */
	rig.disk->bad_name[0] = '\0';
	rig.disk->fault_kinds = 1u << DISK_READ;
	rig.disk->fault_in = 0;
	rig.disk->fault_result = 0;
	ck_assert_int_eq(fetch(&rig, 5, &fetched), -EIO);
	check_all(&rig, 1, 9, NULL);
	memwal_end(&rig);
}
END_TEST

START_TEST(as_many_at_once_as_there_is_memory_for)
{
	struct wal_fetched fetched;
	int tickets[WAL_FETCHES];
	struct rig rig;
	int i;

	rig_init(&rig, mem_disk_new());
	rig.options.fetches = WAL_FETCHES + 1;
	ck_assert_int_eq(rig_open(&rig), -EINVAL);
	rig.options.fetches = 0;
	ck_assert_int_eq(rig_open(&rig), 0);
	for (i = 0; i < 20; i++)
		rig_append(&rig, 1, 9000);
	for (i = 0; i < WAL_FETCHES; i++) {
		tickets[i] = wal_fetch_entries(rig.wal, (uint64_t)i * 2 + 1);
		ck_assert_int_ge(tickets[i], 0);
	}
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 1), -EAGAIN);
	ck_assert_int_eq(wal_fetch_chunk(rig.wal, 1, 0), -ENOENT);
	/* One that nobody waits for is free when its read is over. */
	wal_fetch_end(rig.wal, tickets[3]);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 1), -EAGAIN);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 20), tickets[3]);
	ck_assert_int_eq(rig_settle(&rig), 0);
	for (i = 0; i < WAL_FETCHES; i++) {
		ck_assert_int_eq(wal_fetched(rig.wal, tickets[i], &fetched), 0);
		ck_assert_uint_eq(fetched.first_index,
				  i == 3 ? 20 : (uint64_t)i * 2 + 1);
		check_entries(&fetched, NULL);
		wal_fetch_end(rig.wal, tickets[i]);
	}
	memwal_end(&rig);
}
END_TEST

START_TEST(a_failed_log_reads_nothing_more)
{
	struct wal_fetched fetched;
	struct rig rig;
	int ticket;

	begin(&rig);
	rig_append(&rig, 1, 100);
	rig.disk->fault_kinds = 1u << DISK_WRITE_DURABLE;
	rig.disk->fault_result = -EIO;
	ck_assert_int_eq(rig_submit(&rig, 1, 100), 0);
	ticket = wal_fetch_entries(rig.wal, 1);
	ck_assert_int_ge(ticket, 0);
	ck_assert_int_eq(wait_for(&rig, ticket, &fetched), WAL_EFAILED);
	ck_assert_int_eq(wal_fetch_entries(rig.wal, 1), WAL_EFAILED);
	ck_assert_int_eq(wal_fetch_chunk(rig.wal, 1, 0), WAL_EFAILED);
	memwal_end(&rig);
}
END_TEST

/* ---- snapshots ---- */

enum {
	IMAGE_SIZE = 2 * SNAPSHOT_CHUNK_ROOM + 5000,
};

/* All chunks together must be the image that take() wrote. */
static void check_image(struct rig *rig, uint64_t index, uint32_t size)
{
	struct wal_fetched fetched;
	uint32_t head_size = 0;
	const void *head;
	uint64_t chunks;
	uint64_t chunk;
	uint64_t term;
	uint32_t at = 0;
	uint32_t i;
	int ticket;

	ck_assert_uint_eq(wal_snapshot_newest(rig->wal, &term, &chunks, &head,
					      &head_size),
			  index);
	ck_assert_uint_eq(term, 1);
	ck_assert_uint_eq(head_size, 9);
	ck_assert_mem_eq(head, "some head", 9);
	for (chunk = 0; chunk < chunks; chunk++) {
		ticket = wal_fetch_chunk(rig->wal, index, chunk);
		ck_assert_int_ge(ticket, 0);
		ck_assert_int_eq(wait_for(rig, ticket, &fetched), 0);
		ck_assert_uint_eq(fetched.chunk, chunk);
		ck_assert(fetched.last_chunk == (chunk + 1 == chunks));
		for (i = 0; i < fetched.size; i++) {
			uint32_t byte = (uint32_t)index + (at + i) * 5 / 3;

			ck_assert_uint_eq(fetched.bytes[i], byte & 0xff);
		}
		at += fetched.size;
		wal_fetch_end(rig->wal, ticket);
	}
	ck_assert_uint_eq(at, size);
	ck_assert_int_eq(wal_fetch_chunk(rig->wal, index, chunks), -ENOENT);
	ck_assert_int_eq(wal_fetch_chunk(rig->wal, index + 1, 0), -ENOENT);
}

START_TEST(a_snapshot_comes_chunk_by_chunk_in_this_life_and_the_next)
{
	const uint32_t sizes[] = {0,
				  1,
				  5000,
				  SNAPSHOT_CHUNK_ROOM,
				  SNAPSHOT_CHUNK_ROOM + 1,
				  IMAGE_SIZE};
	uint32_t head_size;
	const void *head;
	uint64_t chunks;
	struct rig rig;
	uint64_t term;
	size_t i;

	begin(&rig);
	rig_append(&rig, 9, 100);
	ck_assert_uint_eq(
		wal_snapshot_newest(rig.wal, &term, &chunks, &head, &head_size),
		0);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		take(&rig, i + 1, sizes[i]);
		check_image(&rig, i + 1, sizes[i]);
		ck_assert_int_eq(rig_settle(&rig), 0);
		check_image(&rig, i + 1, sizes[i]);
		ck_assert_int_eq(memwal_restart(&rig, i & 1), 0);
		check_image(&rig, i + 1, sizes[i]);
	}
	memwal_end(&rig);
}
END_TEST

START_TEST(a_snapshot_that_is_replaced_stays_open_for_the_reads_under_way)
{
	static const char old[] = "snapshot-0000000000000003";
	struct wal_fetched fetched;
	struct rig rig;
	int tickets[2];
	int i;

	begin(&rig);
	rig_append(&rig, 9, 100);
	take(&rig, 3, IMAGE_SIZE);
	ck_assert_int_eq(rig_settle(&rig), 0);
	tickets[0] = wal_fetch_chunk(rig.wal, 3, 1);
	tickets[1] = wal_fetch_chunk(rig.wal, 3, 2);
	rig.disk->held_kinds = 1u << DISK_READ;
	take(&rig, 5, 700);
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(rig_turn(&rig), 0);
	ck_assert_ptr_nonnull(mem_disk_find(rig.disk, old));
	ck_assert(wal_snapshot_active(rig.wal));
	ck_assert_int_eq(wal_fetch_chunk(rig.wal, 3, 0), -ENOENT);
	rig.disk->held_kinds = 0;
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(wait_for(&rig, tickets[i], &fetched), 0);
		ck_assert_uint_eq(fetched.chunk, (uint64_t)i + 1);
		ck_assert_uint_gt(fetched.size, 0);
		wal_fetch_end(rig.wal, tickets[i]);
	}
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert_int_eq(rig_settle(&rig), 0);
	ck_assert(!wal_snapshot_active(rig.wal));
	ck_assert_ptr_null(mem_disk_find(rig.disk, old));
	check_image(&rig, 5, 700);
	memwal_end(&rig);
}
END_TEST

START_TEST(a_damaged_chunk_does_not_come)
{
	struct wal_fetched fetched;
	struct rig rig;
	uint8_t *bytes;
	int ticket;
	int i;

	begin(&rig);
	rig_append(&rig, 9, 100);
	take(&rig, 3, IMAGE_SIZE);
	bytes = mem_disk_find(rig.disk, "snapshot-0000000000000003")->data +
		DISK_BLOCK + WAL_CHUNK_SIZE;
	for (i = 0; i < 5000; i += 7) {
		bytes[i] ^= 0x20;
		ticket = wal_fetch_chunk(rig.wal, 3, 1);
		ck_assert_int_ge(ticket, 0);
		ck_assert_int_eq(wait_for(&rig, ticket, &fetched),
				 WAL_EDAMAGED);
		wal_fetch_end(rig.wal, ticket);
		bytes[i] ^= 0x20;
		rig.disk->history_count = 0;
	}
	/* A whole chunk at another's place. */
	memcpy(bytes, bytes - WAL_CHUNK_SIZE, WAL_CHUNK_SIZE);
	ticket = wal_fetch_chunk(rig.wal, 3, 1);
	ck_assert_int_eq(wait_for(&rig, ticket, &fetched), WAL_EDAMAGED);
	memwal_end(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("memwal_fetch");
	TCase *tests = tcase_create("fetch");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, every_entry_comes_back_wherever_one_begins);
	tcase_add_test(tests, entries_of_many_records_come_with_one_read);
	tcase_add_test(tests, who_reads_on_does_not_walk_again);
	tcase_add_test(tests, large_records_behind_small_ones_come_whole);
	tcase_add_test(tests, what_was_overwritten_never_comes);
	tcase_add_test(tests,
		       an_entry_that_is_being_written_is_there_a_moment_later);
	tcase_add_test(tests,
		       what_is_overwritten_while_it_is_read_does_not_come);
	tcase_add_test(
		tests,
		a_segment_that_is_used_again_while_it_is_read_is_noticed);
	tcase_add_test(tests, a_spare_is_not_closed_while_it_is_read);
	tcase_add_test(tests, damage_is_noticed_and_what_is_before_it_comes);
	tcase_add_test(tests, as_many_at_once_as_there_is_memory_for);
	tcase_add_test(tests, a_failed_log_reads_nothing_more);
	tcase_add_test(
		tests,
		a_snapshot_comes_chunk_by_chunk_in_this_life_and_the_next);
	tcase_add_test(
		tests,
		a_snapshot_that_is_replaced_stays_open_for_the_reads_under_way);
	tcase_add_test(tests, a_damaged_chunk_does_not_come);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
