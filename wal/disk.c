/*
 * The part of wal/disk.h that both engines share: the table of files and
 * their locks, the calls that block, and the order of submitting and reaping.
 *
 * Ownership. A file is locked through the descriptor that carries its reads
 * and writes. The kernel drops the lock when the last reference to that open
 * file is gone, and a write in flight holds one: so a lock that can be taken
 * says that no write of a dead owner can still land.
 */
#define _GNU_SOURCE
#include "wal/disk_engine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static const char boot_id_path[] = "/proc/sys/kernel/random/boot_id";

struct filesystem_name {
	uint32_t type;
	const char *name;
};

static const struct filesystem_name filesystem_names[] = {
	{0xef53, "ext4"},      {0x58465342, "xfs"},	  {0x9123683e, "btrfs"},
	{0x01021994, "tmpfs"}, {0x794c7630, "overlayfs"}, {0x2fc12fc1, "zfs"},
	{0x6969, "nfs"},       {0xff534d42, "cifs"},	  {0x65735546, "fuse"},
	{0xf2f52010, "f2fs"},  {0x858458f6, "ramfs"},	  {0x4d44, "vfat"},
	{0x2011bab0, "exfat"}, {0x01021997, "9p"},
};

/* ---- lists and files ---- */

void disk_list_push(struct disk_list *list, struct disk_op *op)
{
	op->next = NULL;
	if (list->last)
		list->last->next = op;
	else
		list->first = op;
	list->last = op;
}

struct disk_op *disk_list_pop(struct disk_list *list)
{
	struct disk_op *op = list->first;

	if (!op)
		return NULL;
	list->first = op->next;
	if (!list->first)
		list->last = NULL;
	op->next = NULL;
	return op;
}

int disk_file_add(struct disk *disk, int descriptor)
{
	int file;

	assert(descriptor >= 0);
	for (file = 0; file < DISK_FILES_MAX; file++) {
		if (disk->descriptors[file] < 0) {
			disk->descriptors[file] = descriptor;
			return file;
		}
	}
	return -1;
}

static int disk_descriptor(const struct disk *disk, int file)
{
	assert(file >= 0 && file < DISK_FILES_MAX);
	assert(disk->descriptors[file] >= 0);
	return disk->descriptors[file];
}

int disk_lock(int descriptor)
{
	if (flock(descriptor, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return 0;
}

/* ---- life ---- */

static int disk_open_folder(struct disk *disk, const char *folder)
{
	int listing;

	disk->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (disk->folder < 0)
		return -errno;
	/* Its own open file, so that reading names has a position of its own. */
	listing = openat(disk->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (listing < 0)
		goto out_close;
	disk->listing = fdopendir(listing);
	if (disk->listing)
		return 0;
	close(listing);
out_close:
	listing = -errno;
	close(disk->folder);
	return listing;
}

int disk_open(struct disk **ret_disk, const char *folder, struct io_uring *ring)
{
	struct disk *disk;
	int file;
	int r;

	assert(folder);
	disk = calloc(1, sizeof(*disk));
	if (!disk)
		return -ENOMEM;
	for (file = 0; file < DISK_FILES_MAX; file++)
		disk->descriptors[file] = -1;
	disk->ring = ring;
	r = disk_open_folder(disk, folder);
	if (r < 0)
		goto out_free;
	if (!ring)
		r = disk_plain_start(disk);
	if (r < 0)
		goto out_close;
	*ret_disk = disk;
	return 0;

out_close:
	closedir(disk->listing);
	close(disk->folder);
out_free:
	free(disk);
	return r;
}

void disk_close(struct disk *disk)
{
	int file;

	if (!disk)
		return;
	assert(disk->busy == 0);
	if (disk->plain)
		disk_plain_stop(disk);
	for (file = 0; file < DISK_FILES_MAX; file++) {
		if (disk->descriptors[file] >= 0)
			close(disk->descriptors[file]);
	}
	closedir(disk->listing);
	close(disk->folder);
	free(disk);
}

void disk_filesystem(const struct disk *disk,
		     char ret_name[DISK_FILESYSTEM_MAX])
{
	size_t count = sizeof(filesystem_names) / sizeof(filesystem_names[0]);
	struct statfs facts;
	size_t i;

	if (fstatfs(disk->folder, &facts) < 0) {
		snprintf(ret_name, DISK_FILESYSTEM_MAX, "unknown");
		return;
	}
	for (i = 0; i < count; i++) {
		if (filesystem_names[i].type == (uint32_t)facts.f_type) {
			snprintf(ret_name, DISK_FILESYSTEM_MAX, "%s",
				 filesystem_names[i].name);
			return;
		}
	}
	snprintf(ret_name, DISK_FILESYSTEM_MAX, "type 0x%08x",
		 (uint32_t)facts.f_type);
}

/* ---- operations ---- */

static bool disk_takes_file(uint8_t kind)
{
	return kind == DISK_WRITE_DURABLE || kind == DISK_WRITE ||
	       kind == DISK_READ || kind == DISK_SYNC || kind == DISK_CLOSE;
}

void disk_submit(struct disk *disk, struct disk_op *op)
{
	assert(op->kind >= DISK_WRITE_DURABLE && op->kind <= DISK_SYNC_FOLDER);
	assert(disk->busy < DISK_OPS_MAX);
	if (disk_takes_file(op->kind))
		(void)disk_descriptor(disk, op->file); /* asserts */
	else
		op->file = -1;
	if (op->kind <= DISK_READ) {
		assert((uintptr_t)op->buffer % DISK_BLOCK == 0);
		assert(op->offset % DISK_BLOCK == 0);
		assert(op->size > 0 && op->size % DISK_BLOCK == 0);
	}
	disk->busy++;
	disk_list_push(&disk->queued, op);
}

void disk_flush(struct disk *disk)
{
	if (!disk->queued.first)
		return;
	if (disk->ring)
		disk_uring_flush(disk);
	else
		disk_plain_flush(disk);
}

struct disk_op *disk_reap(struct disk *disk)
{
	struct disk_op *op;

	if (disk->plain)
		disk_plain_collect(disk);
	op = disk_list_pop(&disk->done);
	if (!op)
		return NULL;
	assert(disk->busy > 0);
	disk->busy--;
	return op;
}

uint32_t disk_busy(const struct disk *disk)
{
	return disk->busy;
}

int disk_wait_fd(const struct disk *disk)
{
	return disk->plain ? disk_plain_fd(disk) : -1;
}

/* A descriptor that CREATE made becomes a locked file, or is closed. */
static int32_t disk_adopt(struct disk *disk, int32_t descriptor)
{
	int file;
	int r;

	r = disk_lock(descriptor);
	if (r < 0)
		goto out_close;
	r = -EMFILE;
	file = disk_file_add(disk, descriptor);
	if (file >= 0)
		return file;
out_close:
	close(descriptor);
	return r;
}

void disk_finish(struct disk *disk, struct disk_op *op, int32_t result)
{
	op->result = result;
	if (op->kind == DISK_CREATE && result >= 0)
		op->result = disk_adopt(disk, result);
	if (op->kind == DISK_CLOSE)
		disk->descriptors[op->file] = -1;
	disk_list_push(&disk->done, op);
}

static int32_t disk_result(int64_t returned)
{
	return returned < 0 ? -errno : (int32_t)returned;
}

int32_t disk_perform(int folder, int descriptor, const struct disk_op *op)
{
	struct iovec vector = {op->buffer, op->size};
	int flags = op->kind == DISK_WRITE_DURABLE ? RWF_DSYNC : 0;
	off_t offset = (off_t)op->offset;

	switch (op->kind) {
	case DISK_WRITE_DURABLE:
	case DISK_WRITE:
		return disk_result(
			pwritev2(descriptor, &vector, 1, offset, flags));
	case DISK_READ:
		return disk_result(preadv2(descriptor, &vector, 1, offset, 0));
	case DISK_SYNC:
		return disk_result(fdatasync(descriptor));
	case DISK_CREATE:
		return disk_result(
			openat(folder, op->name,
			       O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC,
			       0600));
	case DISK_RENAME:
		return disk_result(
			renameat(folder, op->name, folder, op->new_name));
	case DISK_UNLINK:
		return disk_result(unlinkat(folder, op->name, 0));
	case DISK_CLOSE:
		return disk_result(close(descriptor));
	case DISK_SYNC_FOLDER:
		return disk_result(fsync(folder));
	default:
		return -EINVAL;
	}
}

/* ---- calls that block ---- */

int disk_open_now(struct disk *disk, const char *name, bool create)
{
	int flags = O_RDWR | O_DIRECT | O_CLOEXEC | (create ? O_CREAT : 0);
	struct stat facts;
	int descriptor;

	descriptor = openat(disk->folder, name, flags, 0600);
	if (descriptor < 0)
		return -errno;
	if (fstat(descriptor, &facts) < 0 || !S_ISREG(facts.st_mode)) {
		close(descriptor);
		return -EISDIR;
	}
	return disk_adopt(disk, descriptor);
}

void disk_close_now(struct disk *disk, int file)
{
	close(disk_descriptor(disk, file));
	disk->descriptors[file] = -1;
}

int64_t disk_size_now(struct disk *disk, int file)
{
	struct stat facts;

	if (fstat(disk_descriptor(disk, file), &facts) < 0)
		return -errno;
	return facts.st_size;
}

int disk_read_now(struct disk *disk, int file, uint64_t offset, void *buffer,
		  uint32_t size)
{
	int descriptor = disk_descriptor(disk, file);
	ssize_t count;

	assert(offset % DISK_BLOCK == 0);
	assert(size % DISK_BLOCK == 0);
	count = pread(descriptor, buffer, size, (off_t)offset);
	if (count < 0)
		return -errno;
	return (size_t)count == size ? 0 : -EIO;
}

int disk_write_now(struct disk *disk, int file, uint64_t offset,
		   const void *buffer, uint32_t size)
{
	struct disk_op op = {.kind = DISK_WRITE_DURABLE};
	int32_t count;

	assert(offset % DISK_BLOCK == 0);
	assert(size % DISK_BLOCK == 0);
	op.offset = offset;
	op.buffer = (void *)(uintptr_t)buffer; /* only read from */
	op.size = size;
	count = disk_perform(disk->folder, disk_descriptor(disk, file), &op);
	if (count < 0)
		return count;
	return (uint32_t)count == size ? 0 : -EIO;
}

int disk_rename_now(struct disk *disk, const char *name, const char *new_name)
{
	if (renameat(disk->folder, name, disk->folder, new_name) < 0)
		return -errno;
	return 0;
}

int disk_unlink_now(struct disk *disk, const char *name)
{
	return unlinkat(disk->folder, name, 0) < 0 ? -errno : 0;
}

int disk_sync_folder_now(struct disk *disk)
{
	return fsync(disk->folder) < 0 ? -errno : 0;
}

int disk_list_now(struct disk *disk, uint32_t *position,
		  char ret_name[DISK_NAME_MAX])
{
	struct dirent *entry;
	size_t size;

	if (*position == 0)
		rewinddir(disk->listing);
	for (;;) {
		errno = 0;
		entry = readdir(disk->listing);
		if (!entry)
			return errno ? -errno : 0;
		(*position)++;
		size = strlen(entry->d_name) + 1;
		/* A name that long is none of ours, nor are these two. */
		if (size > DISK_NAME_MAX || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		memcpy(ret_name, entry->d_name, size);
		return 1;
	}
}

int disk_boot_id_now(struct disk *disk, char ret_id[DISK_BOOT_ID_SIZE])
{
	ssize_t count;
	int descriptor;

	(void)disk; /* the simulated disk keeps its own */
	descriptor = open(boot_id_path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	count = read(descriptor, ret_id, DISK_BOOT_ID_SIZE - 1);
	close(descriptor);
	if (count != DISK_BOOT_ID_SIZE - 1)
		return -EIO;
	ret_id[DISK_BOOT_ID_SIZE - 1] = '\0';
	return 0;
}

void disk_pause_now(struct disk *disk, uint32_t ms)
{
	struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};

	(void)disk; /* the simulated disk moves its own time */
	while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
		;
}
