/*
 * The disk in memory; see support_disk.h.
 */
#include "tests/unit/support_disk.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct disk *mem_disk_new(void)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	int i;

	assert(disk);
	for (i = 0; i < DISK_FILES_MAX; i++)
		disk->open[i] = -1;
	mem_disk_reboot(disk);
	return disk;
}

void mem_disk_free(struct disk *disk)
{
	int i;

	for (i = 0; i < MEM_FILES_MAX; i++)
		free(disk->files[i].data);
	free(disk);
}

void mem_disk_crash(struct disk *disk)
{
	int i;

	for (i = 0; i < DISK_FILES_MAX; i++)
		disk->open[i] = -1;
	disk->first = NULL;
	disk->last = NULL;
	disk->busy = 0;
}

void mem_disk_reboot(struct disk *disk)
{
	static unsigned int boots;

	snprintf(disk->boot_id, sizeof(disk->boot_id),
		 "00000000-0000-4000-8000-%012u", ++boots);
}

struct disk *mem_disk_copy(const struct disk *disk)
{
	struct disk *copy = mem_disk_new();
	int i;

	memcpy(copy->boot_id, disk->boot_id, sizeof(copy->boot_id));
	for (i = 0; i < MEM_FILES_MAX; i++) {
		copy->files[i] = disk->files[i];
		if (!disk->files[i].data)
			continue;
		copy->files[i].data = malloc(disk->files[i].size + 1);
		assert(copy->files[i].data);
		memcpy(copy->files[i].data, disk->files[i].data,
		       disk->files[i].size);
	}
	return copy;
}

struct mem_file *mem_disk_find(struct disk *disk, const char *name)
{
	int i;

	for (i = 0; i < MEM_FILES_MAX; i++) {
		if (strcmp(disk->files[i].name, name) == 0)
			return &disk->files[i];
	}
	return NULL;
}

static void mem_resize(struct mem_file *file, uint64_t size)
{
	file->data = realloc(file->data, size + 1);
	assert(file->data);
	if (size > file->size)
		memset(file->data + file->size, 0, size - file->size);
	file->size = size;
}

struct mem_file *mem_disk_make(struct disk *disk, const char *name,
			       uint64_t size)
{
	struct mem_file *file = mem_disk_find(disk, name);

	if (!file)
		file = mem_disk_find(disk, "");
	assert(file);
	snprintf(file->name, sizeof(file->name), "%s", name);
	mem_resize(file, size);
	return file;
}

static void mem_erase(struct mem_file *file)
{
	free(file->data);
	memset(file, 0, sizeof(*file));
}

void mem_disk_remove(struct disk *disk, const char *name)
{
	struct mem_file *file = mem_disk_find(disk, name);
	int i;

	assert(file);
	/* Who has it open keeps the bytes, as on a real disk. */
	for (i = 0; i < DISK_FILES_MAX; i++) {
		if (disk->open[i] == file - disk->files)
			return (void)snprintf(file->name, sizeof(file->name),
					      "(removed)");
	}
	mem_erase(file);
}

/* ---- operations ---- */

static struct mem_file *mem_open_file(struct disk *disk, int file)
{
	assert(file >= 0 && file < DISK_FILES_MAX);
	assert(disk->open[file] >= 0);
	return &disk->files[disk->open[file]];
}

/* Counts an operation, and says whether it meets the fault. */
static bool mem_is_faulty(struct disk *disk, uint8_t kind)
{
	assert(disk->history_count < MEM_HISTORY_MAX);
	disk->history[disk->history_count++ % MEM_HISTORY_MAX] = kind;
	if (!(disk->fault_kinds & 1u << kind))
		return false;
	disk->counted++;
	if (disk->fault_in > 0) {
		disk->fault_in--;
		return false;
	}
	if (!disk->fault_stays)
		disk->fault_kinds = 0;
	disk->faults++;
	return true;
}

static int32_t mem_write(struct disk *disk, int file, uint64_t offset,
			 const void *buffer, uint32_t size)
{
	struct mem_file *target = mem_open_file(disk, file);

	if (offset + size > target->size)
		mem_resize(target, offset + size);
	memcpy(target->data + offset, buffer, size);
	return (int32_t)size;
}

static int32_t mem_read(struct disk *disk, int file, uint64_t offset,
			void *buffer, uint32_t size)
{
	struct mem_file *source = mem_open_file(disk, file);
	uint64_t bad = disk->bad_block * DISK_BLOCK;

	if (strcmp(disk->bad_name, source->name) == 0 && bad < offset + size &&
	    bad + DISK_BLOCK > offset)
		return -EIO;
	if (offset + size > source->size)
		return -EIO;
	memcpy(buffer, source->data + offset, size);
	return (int32_t)size;
}

static int mem_open(struct disk *disk, struct mem_file *file)
{
	int i;

	for (i = 0; i < DISK_FILES_MAX; i++) {
		if (disk->open[i] == file - disk->files)
			return -EWOULDBLOCK;
	}
	for (i = 0; i < DISK_FILES_MAX; i++) {
		if (disk->open[i] >= 0)
			continue;
		disk->open[i] = (int)(file - disk->files);
		return i;
	}
	return -EMFILE;
}

static int32_t mem_rename(struct disk *disk, const char *name,
			  const char *new_name)
{
	struct mem_file *file = mem_disk_find(disk, name);

	if (!file)
		return -ENOENT;
	if (mem_disk_find(disk, new_name))
		mem_disk_remove(disk, new_name);
	snprintf(file->name, sizeof(file->name), "%s", new_name);
	return 0;
}

static void mem_close(struct disk *disk, int file)
{
	struct mem_file *closed = mem_open_file(disk, file);

	disk->open[file] = -1;
	if (strcmp(closed->name, "(removed)") == 0)
		mem_erase(closed);
}

static int32_t mem_perform(struct disk *disk, struct disk_op *op)
{
	switch (op->kind) {
	case DISK_WRITE_DURABLE:
	case DISK_WRITE:
		return mem_write(disk, op->file, op->offset, op->buffer,
				 op->size);
	case DISK_READ:
		return mem_read(disk, op->file, op->offset, op->buffer,
				op->size);
	case DISK_CREATE:
		if (mem_disk_find(disk, op->name))
			return -EEXIST;
		return mem_open(disk, mem_disk_make(disk, op->name, 0));
	case DISK_RENAME:
		return mem_rename(disk, op->name, op->new_name);
	case DISK_UNLINK:
		if (!mem_disk_find(disk, op->name))
			return -ENOENT;
		mem_disk_remove(disk, op->name);
		return 0;
	case DISK_CLOSE:
		mem_close(disk, op->file);
		return 0;
	default:
		return 0;
	}
}

void disk_submit(struct disk *disk, struct disk_op *op)
{
	assert(disk->busy < DISK_OPS_MAX);
	op->next = NULL;
	if (disk->last)
		disk->last->next = op;
	else
		disk->first = op;
	disk->last = op;
	disk->busy++;
}

void disk_flush(struct disk *disk)
{
	(void)disk;
}

/* How many operations the next one that finishes overtakes. */
static uint32_t mem_shuffle(struct disk *disk)
{
	if (!disk->shuffle)
		return 0;
	disk->shuffle = disk->shuffle * 6364136223846793005u + 1;
	return (uint32_t)(disk->shuffle >> 33) % (disk->busy + 2);
}

/* Takes the first operation that is not held out of the list, or NULL. */
static struct disk_op *mem_next(struct disk *disk)
{
	uint32_t skipped = mem_shuffle(disk);
	struct disk_op *before = NULL;
	struct disk_op *op = disk->first;

	while (op && (disk->held_kinds & 1u << op->kind || skipped > 0)) {
		skipped -= skipped > 0;
		before = op;
		op = op->next;
	}
	if (!op)
		return NULL;
	if (before)
		before->next = op->next;
	else
		disk->first = op->next;
	if (disk->last == op)
		disk->last = before;
	return op;
}

struct disk_op *disk_reap(struct disk *disk)
{
	struct disk_op *op = mem_next(disk);

	if (!op)
		return NULL;
	disk->busy--;
	op->result = disk->fault_result;
	if (!mem_is_faulty(disk, op->kind))
		op->result = mem_perform(disk, op);
	else if (disk->fault_result > 0) /* a short write */
		(void)mem_write(disk, op->file, op->offset, op->buffer,
				(uint32_t)disk->fault_result);
	return op;
}

uint32_t disk_busy(const struct disk *disk)
{
	return disk->busy;
}

/* ---- calls that block ---- */

int disk_open_now(struct disk *disk, const char *name, bool create)
{
	struct mem_file *file = mem_disk_find(disk, name);

	if (!file && !create)
		return -ENOENT;
	if (!file && mem_is_faulty(disk, DISK_CREATE))
		return disk->fault_result;
	if (!file)
		file = mem_disk_make(disk, name, 0);
	if (file->held > 0) {
		file->held--;
		return -EWOULDBLOCK;
	}
	return mem_open(disk, file);
}

void disk_close_now(struct disk *disk, int file)
{
	mem_close(disk, file);
}

int64_t disk_size_now(struct disk *disk, int file)
{
	return (int64_t)mem_open_file(disk, file)->size;
}

int disk_read_now(struct disk *disk, int file, uint64_t offset, void *buffer,
		  uint32_t size)
{
	int32_t result = mem_read(disk, file, offset, buffer, size);

	return result < 0 ? result : 0;
}

int disk_write_now(struct disk *disk, int file, uint64_t offset,
		   const void *buffer, uint32_t size)
{
	if (mem_is_faulty(disk, DISK_WRITE_DURABLE))
		return disk->fault_result < 0 ? disk->fault_result : -EIO;
	(void)mem_write(disk, file, offset, buffer, size);
	return 0;
}

int disk_rename_now(struct disk *disk, const char *name, const char *new_name)
{
	if (mem_is_faulty(disk, DISK_RENAME))
		return disk->fault_result;
	return mem_rename(disk, name, new_name);
}

int disk_unlink_now(struct disk *disk, const char *name)
{
	if (mem_is_faulty(disk, DISK_UNLINK))
		return disk->fault_result;
	if (!mem_disk_find(disk, name))
		return -ENOENT;
	mem_disk_remove(disk, name);
	return 0;
}

int disk_sync_folder_now(struct disk *disk)
{
	return mem_is_faulty(disk, DISK_SYNC_FOLDER) ? disk->fault_result : 0;
}

int disk_list_now(struct disk *disk, uint32_t *position,
		  char ret_name[DISK_NAME_MAX])
{
	for (; *position < MEM_FILES_MAX; (*position)++) {
		if (disk->files[*position].name[0] == '\0')
			continue;
		memcpy(ret_name, disk->files[*position].name, DISK_NAME_MAX);
		(*position)++;
		return 1;
	}
	return 0;
}

int disk_boot_id_now(struct disk *disk, char ret_id[DISK_BOOT_ID_SIZE])
{
	memcpy(ret_id, disk->boot_id, DISK_BOOT_ID_SIZE);
	return 0;
}

void disk_pause_now(struct disk *disk, uint32_t ms)
{
	(void)ms;
	disk->pauses++;
}
