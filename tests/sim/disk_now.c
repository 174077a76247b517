/*
 * The blocking functions of wal/disk.h. They run in the daemon's fiber, which
 * stands still while the medium works, and may die there.
 */
#include "tests/sim/disk_flight.h"
#include "tests/sim/folder.h"
#include "tests/sim/machine.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Waits for the one operation that a blocking caller has. */
static int32_t finish(struct disk *disk, struct disk_op *op)
{
	assert(disk->busy == 0);
	disk_submit(disk, op);
	disk_flush(disk);
	struct disk_op *done = disk_reap(disk);
	while (done == NULL) {
		machine_wait(0);
		done = disk_reap(disk);
	}
	assert(done == op);
	return op->result;
}

static void copy_name(char *to, const char *name)
{
	size_t size = strlen(name) + 1;
	assert(size <= DISK_NAME_MAX);
	memcpy(to, name, size);
}

int disk_open_now(struct disk *disk, const char *name, bool create)
{
	assert(disk->alive && disk->machine == machine_running());
	int file = folder_lookup(disk->machine, name);
	if (file == -ENOENT && create) {
		struct disk_op op = {.kind = DISK_CREATE};
		copy_name(op.name, name);
		return finish(disk, &op);
	}
	if (file < 0)
		return file;
	if (sim_disk_locked(file)) {
		sim_trace("disk: file % is locked", file);
		SIM_SOMETIMES(WAITED_FOR_DEAD_OWNER);
		return -EWOULDBLOCK;
	}
	return sim_disk_hold(disk, file);
}

void disk_close_now(struct disk *disk, int file)
{
	sim_disk_drop(disk, file);
}

int64_t disk_size_now(struct disk *disk, int file)
{
	return (int64_t)folder_size(sim_disk_file(disk, file));
}

int disk_read_now(struct disk *disk, int file, uint64_t offset, void *buffer,
		  uint32_t size)
{
	struct disk_op op = {
		.kind = DISK_READ,
		.file = file,
		.offset = offset,
		.buffer = buffer,
		.size = size,
	};
	/* Recovery reads much; only one read in a few takes time. */
	int number = sim_disk_file(disk, file);
	if (sim_below(SIM_DISK, 16) != 0 &&
	    offset + size <= folder_size(number)) {
		folder_read(number, offset, buffer, size);
		return 0;
	}
	int32_t result = finish(disk, &op);
	if (result < 0)
		return result;
	return result == (int32_t)size ? 0 : -EIO;
}

int disk_write_now(struct disk *disk, int file, uint64_t offset,
		   const void *buffer, uint32_t size)
{
	union {
		const void *given;
		void *lent; /* a write only reads it */
	} bytes = {.given = buffer};
	struct disk_op op = {
		.kind = DISK_WRITE_DURABLE,
		.file = file,
		.offset = offset,
		.buffer = bytes.lent,
		.size = size,
	};
	int32_t result = finish(disk, &op);
	if (result < 0)
		return result;
	return result == (int32_t)size ? 0 : -EIO;
}

int disk_rename_now(struct disk *disk, const char *name, const char *new_name)
{
	struct disk_op op = {.kind = DISK_RENAME};
	copy_name(op.name, name);
	copy_name(op.new_name, new_name);
	return finish(disk, &op);
}

int disk_unlink_now(struct disk *disk, const char *name)
{
	struct disk_op op = {.kind = DISK_UNLINK};
	copy_name(op.name, name);
	return finish(disk, &op);
}

int disk_sync_folder_now(struct disk *disk)
{
	struct disk_op op = {.kind = DISK_SYNC_FOLDER};
	return finish(disk, &op);
}

int disk_list_now(struct disk *disk, uint32_t *position,
		  char ret_name[DISK_NAME_MAX])
{
	assert(disk->alive && disk->machine == machine_running());
	return folder_list(disk->machine, position, ret_name);
}

int disk_boot_id_now(struct disk *disk, char ret_id[DISK_BOOT_ID_SIZE])
{
	assert(disk->alive && disk->machine == machine_running());
	int size =
		snprintf(ret_id, DISK_BOOT_ID_SIZE, "%08x-%04x-4000-8000-%012x",
			 (uint32_t)(disk->boot * 2654435761u), disk->machine,
			 (uint32_t)disk->boot);
	assert(size == DISK_BOOT_ID_SIZE - 1);
	return 0;
}

void disk_pause_now(struct disk *disk, uint32_t ms)
{
	assert(disk->alive && disk->machine == machine_running());
	sim_trace("daemon: waits % ms for a lock", ms);
	machine_wait((uint64_t)ms * SIM_MS);
}
