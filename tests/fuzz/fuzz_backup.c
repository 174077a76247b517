/*
 * Fuzzes what reads a backup: a good one, into which the input was put. It
 * must be refused with a message, or be a store that is sound.
 *
 * Input: byte 0 says how, bytes 1..2 at which 8 bytes of the file, the rest is
 * written there. With bit 0 of byte 0 all checksums are made good afterwards,
 * so that what lies behind them is reached; bits 1 to 3: so many eighths of
 * the file are cut off.
 */
#include "daemon/backup_file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "raft/entry.h"

enum {
	ADDRESS = 64 << 20,
	FILE_MAX = 1 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct store_settings settings = {
	.quota_bytes = 4 << 20,
	.retention_ms = 300000,
	.session_expiry_ms = 600000,
	.tombstone_ms = 600000,
	.sessions_max = 64,
	.store_address_bytes = ADDRESS,
};

static uint8_t good[FILE_MAX], bytes[FILE_MAX], image[FILE_MAX];
static uint32_t good_size;

/* An empty entry, so that something is applied. */
static void apply_one(struct store *store)
{
	struct entry_header head = {
		.kind = ENTRY_EMPTY, .format = ENTRY_FORMAT, .index = 1};
	struct raft_entry entry = {.index = 1,
				   .term = 1,
				   .kind = ENTRY_EMPTY,
				   .data = (const uint8_t *)&head};

	store_apply_begin(store, &entry);
	while (store_apply(store, 1000))
		;
}

/* Makes every checksum good, whatever it is of. */
static void reseal(uint8_t *file, uint32_t size)
{
	uint8_t *chunk = file + DISK_BLOCK;
	uint8_t *end = file + size - DISK_BLOCK;
	struct snapshot_footer footer;
	struct frame frame;
	XXH128_hash_t root;

	frame_seal(file, FRAME_MAGIC_SNAPSHOT, DISK_BLOCK);
	memcpy(&frame, chunk, sizeof(frame));
	if (frame.own <= (uint32_t)(end - chunk) - SNAPSHOT_CHUNK_HEADER)
		frame_seal(chunk, FRAME_MAGIC_CHUNK,
			   SNAPSHOT_CHUNK_HEADER + frame.own);
	root = XXH3_128bits(file, size - DISK_BLOCK);
	memcpy(&footer, end, sizeof(footer));
	footer.root[0] = root.low64;
	footer.root[1] = root.high64;
	memcpy(end, &footer, sizeof(footer));
	frame_seal(end, FRAME_MAGIC_FOOTER, DISK_BLOCK);
}

static uint32_t make_file(const struct node_head *head, uint32_t used)
{
	struct snapshot_header header = {.index = head->index,
					 .term = head->term};
	uint8_t whole[sizeof(*head) + sizeof(struct backup_label)];
	uint32_t size = snapshot_chunk_size(used) + 2 * DISK_BLOCK;
	struct snapshot_footer footer = {.index = head->index,
					 .chunk_count = 1,
					 .image_size = used,
					 .file_size = size};
	struct backup_label label = {.magic = BACKUP_MAGIC,
				     .format = BACKUP_FORMAT,
				     .member = 1,
				     .name_size = 3,
				     .name = "old"};

	memcpy(whole, head, sizeof(*head));
	memcpy(whole + sizeof(*head), &label, sizeof(label));
	snapshot_seal_header(good, &header, whole, sizeof(whole));
	memcpy(good + DISK_BLOCK + SNAPSHOT_CHUNK_HEADER, image, used);
	snapshot_seal_chunk(good + DISK_BLOCK, head->index, 0, used);
	snapshot_seal_footer(good + size - DISK_BLOCK, &footer);
	reseal(good, size);
	return size;
}

static void make_good(void)
{
	static const uint8_t cluster[16] = "a cluster's name";
	char error[BACKUP_ERROR_MAX];
	struct backup_store made;
	struct raft_snapshot snapshot = {.index = 1, .term = 1};
	struct node_head head;
	uint32_t used;
	int code = backup_store_make(&made, &settings, error);

	assert(code == 0);
	apply_one(made.store);
	node_head_fill(made.store, cluster, &snapshot, &head);
	store_image_begin(made.store);
	code = store_image_next(made.store, image, sizeof(image), UINT32_MAX,
				&used);
	assert(code == 0);
	store_image_end(made.store);
	backup_store_release(&made);
	good_size = make_file(&head, used);
}

static int look(uint32_t size, struct backup_info *ret_info)
{
	static int fd = -1;
	static char path[64], error[BACKUP_ERROR_MAX];
	int code;

	if (fd < 0) {
		fd = memfd_create("backup", MFD_CLOEXEC);
		assert(fd >= 0);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	code = ftruncate(fd, 0);
	assert(code == 0);
	assert(pwrite(fd, bytes, size, 0) == (ssize_t)size);
	error[0] = '\0';
	code = backup_look(path, ret_info, error);
	assert(code == 0 || error[0] != '\0');
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct backup_info info;
	uint32_t at, whole, cut;

	if (good_size == 0)
		make_good();
	if (size < 3)
		return 0;
	memcpy(bytes, good, good_size);
	at = (data[1] | (uint32_t)data[2] << 8) * 8 % good_size;
	size -= 3;
	if (size > good_size - at)
		size = good_size - at;
	memcpy(bytes + at, data + 3, size);
	cut = data[0] >> 1 & 7;
	whole = good_size - good_size / 8 * cut;
	if ((data[0] & 1) != 0 && cut == 0)
		reseal(bytes, whole);
	if (look(whole, &info) < 0)
		return 0;
	/* Without new checksums only what was there is accepted. */
	assert((data[0] & 1) != 0 || memcmp(bytes, good, good_size) == 0);
	assert(info.label.name_size <= BACKUP_NAME_MAX);
	return 0;
}
