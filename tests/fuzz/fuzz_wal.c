/*
 * Fuzzes every decoder of the log with bytes as they come from a disk: the
 * frames one by one, and recovery over a whole log into whose segment, `meta`
 * or snapshot the bytes were put. It must answer with a log or with an error,
 * and a log must replay to its end.
 *
 * Input: byte 0 says which file, bytes 1..3 at which 64 bytes of it, the rest
 * is written there. With bit 7 of byte 0 the checksum of the block that was
 * written to is made good, so that what lies behind it is reached. Bit 6: the
 * machine was started anew; bit 5: the loss is accepted; bit 4: damage is
 * tolerated, and the log must go on from what was found.
 */
#include "raft/entry.h"
/* In the place of the real engines. */
#include "tests/unit/support_disk.c" /* NOLINT(bugprone-suspicious-include) */
#include "wal/meta.h"
#include "wal/record.h"
#include "wal/segment.h"
#include "wal/snapshot.h"

#include <assert.h>
#include <stdlib.h>

enum {
	SEGMENT_SIZE = 16 * DISK_BLOCK
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"segment-00000001", "segment-00000002",
				    "meta", "snapshot-0000000000000003"};

static void *memory;
static struct disk *whole;

static struct wal_options options_of(void)
{
	struct wal_options options = {.member = 7,
				      .segment_size = SEGMENT_SIZE,
				      .spares_min = 1,
				      .buffers = 1,
				      .snapshot_after = 1 << 20,
				      .create = true};

	return options;
}

static void settle(struct wal *wal)
{
	struct wal_done done;

	do {
		while (wal_reap(wal, &done) > 0)
			;
		wal_work(wal);
	} while (!wal_idle(wal));
}

static void append(struct wal *wal, uint64_t index, uint32_t size)
{
	struct raft_hard_state hard = {.term = 1};
	struct wal_buffer *buffer = wal_buffer_open(wal, entry_size(size));
	struct entry_header header = {.size = size, .kind = ENTRY_NORMAL};

	assert(buffer);
	memcpy(buffer->payload, &header, sizeof(header));
	memset(buffer->payload + ENTRY_HEADER_SIZE, 0x5a, size);
	entry_seal(buffer->payload);
	entry_stamp(buffer->payload, index, 1);
	buffer->used = entry_size(size);
	if (wal_append(wal, buffer, &hard, index, index, index) < 0)
		abort();
	wal_buffer_release(wal, buffer);
	settle(wal);
}

static void snapshot(struct wal *wal)
{
	uint32_t size;
	void *room;

	if (wal_snapshot_begin(wal, 3, 1, "head", 4) < 0)
		abort();
	settle(wal);
	room = wal_snapshot_room(wal, &size);
	assert(room);
	memset(room, 0x33, 9000);
	wal_snapshot_put(wal, 9000);
	wal_snapshot_end(wal);
	while (wal_snapshot_active(wal))
		settle(wal);
}

/* The log that the bytes are put into. */
static void make_whole(void)
{
	struct wal_options options = options_of();
	struct wal_report report;
	struct wal *wal;
	uint64_t index;

	memory = aligned_alloc(DISK_BLOCK, wal_memory_size(&options));
	whole = mem_disk_new();
	if (wal_open(&wal, whole, &options, memory, &report) < 0)
		abort();
	settle(wal);
	for (index = 1; index <= 8; index++)
		append(wal, index, 100 + (uint32_t)index * 1700);
	snapshot(wal);
	append(wal, 9, 50);
	settle(wal);
	mem_disk_crash(whole);
}

static void fuzz_frames(const uint8_t *data, size_t size)
{
	static _Alignas(4096) uint8_t bytes[META_SIZE];
	struct record_header record;
	struct segment_header segment;
	struct snapshot_header header;
	struct snapshot_footer footer;
	struct snapshot_chunk chunk;
	struct meta_view view;

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
	if (record_check_header(bytes, &record) == 0 &&
	    record.frame.own <= META_SIZE / DISK_BLOCK)
		(void)!record_bad_block(bytes, &record);
	(void)!segment_check(bytes, &segment);
	(void)!meta_choose(bytes, &view);
	(void)!snapshot_check_header(bytes, &header);
	(void)!snapshot_check_chunk(bytes, sizeof(bytes), &chunk);
	(void)!snapshot_check_footer(bytes, &footer);
}

/* Makes the checksum of whichever frame stands in this block good. */
static void make_good(uint8_t *block)
{
	struct frame *frame = (struct frame *)(void *)block;
	uint32_t size = DISK_BLOCK;

	if (frame->magic == FRAME_MAGIC_RECORD)
		size = RECORD_PAYLOAD_SMALL;
	frame->crc = crc32c(0, block + 4, size - 4);
}

/* Opens and reads it all. False: it is refused. */
static bool fuzz_open(struct wal **ret_wal, struct disk *disk, uint8_t how,
		      struct wal_report *ret_report)
{
	struct wal_options options = options_of();
	struct wal_report report;
	struct raft_entry entry;
	const void *piece;
	struct wal *wal;
	uint32_t size;
	int r;

	options.accept_tail_loss = how & 0x20;
	options.tolerate_damage = how & 0x10;
	r = wal_open(&wal, disk, &options, memory, &report);
	if (r < 0) {
		assert(report.where[0] != '\0');
		return false;
	}
	while (report.snapshot_index > 0 &&
	       wal_snapshot_read(wal, &piece, &size) > 0)
		;
	do
		r = wal_replay_next(wal, &entry);
	while (r > 0);
	assert(r == 0);
	settle(wal);
	*ret_wal = wal;
	*ret_report = report;
	return true;
}

/* Every entry that the log says it has can be read back. */
static void fuzz_fetch(struct wal *wal, const struct wal_report *report)
{
	struct wal_fetched fetched;
	uint64_t index = report->snapshot_index + 1;
	int ticket;
	int r;

	for (; index <= report->last_index; index = fetched.last_index + 1) {
		ticket = wal_fetch_entries(wal, index);
		assert(ticket >= 0);
		settle(wal);
		r = wal_fetched(wal, ticket, &fetched);
		assert(r == 0);
		wal_fetch_end(wal, ticket);
	}
}

static void fuzz_log(struct disk *disk, uint8_t how)
{
	struct wal_report report;
	struct wal_damage damage;
	struct wal *wal;
	uint64_t last;
	bool opened;

	if (!fuzz_open(&wal, disk, how, &report))
		return;
	fuzz_fetch(wal, &report);
	assert(report.damaged == wal_damaged(wal, &damage));
	last = report.last_index;
	wal_repair(wal);
	settle(wal);
	if (wal_can_append(wal) && last < FRAME_COUNT_MAX - 1) {
		append(wal, ++last, 700);
		wal_close(wal);
		opened = fuzz_open(&wal, disk, how, &report);
		assert(opened);
		assert(report.last_index == last);
		fuzz_fetch(wal, &report);
	}
	wal_close(wal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mem_file *file;
	struct disk *disk;
	size_t room;
	size_t at;

	if (!whole)
		make_whole();
	if (size < 5)
		return 0;
	fuzz_frames(data, size);
	disk = mem_disk_copy(whole);
	file = mem_disk_find(disk, names[data[0] & 3]);
	if (!file) {
		mem_disk_free(disk);
		return 0;
	}
	at = (size_t)(data[1] | data[2] << 8) * 64 % file->size;
	room = file->size - at;
	memcpy(file->data + at, data + 4, size - 4 < room ? size - 4 : room);
	if (data[0] & 0x80)
		make_good(file->data + at / DISK_BLOCK * DISK_BLOCK);
	if (data[0] & 0x40)
		mem_disk_reboot(disk);
	fuzz_log(disk, data[0]);
	mem_disk_free(disk);
	return 0;
}
