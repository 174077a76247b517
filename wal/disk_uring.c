/*
 * The io_uring engine: operations become entries of the ring that the loop
 * lends, and reach the kernel with the loop's one io_uring_enter.
 *
 * The user data of an entry is the address of its operation with DISK_TAG
 * set; operations are aligned, so bit 0 of an address is free. When the
 * submission queue is full the rest stays queued for the next disk_flush().
 */
#define _GNU_SOURCE
#include "wal/disk_engine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(_Alignof(struct disk_op) >= 2, "bit 0 of an address is free");

static void disk_prepare(struct disk *disk, struct io_uring_sqe *sqe,
			 struct disk_op *op)
{
	int descriptor = op->file >= 0 ? disk->descriptors[op->file] : -1;

	switch (op->kind) {
	case DISK_WRITE_DURABLE:
	case DISK_WRITE:
		io_uring_prep_write(sqe, descriptor, op->buffer, op->size,
				    op->offset);
		if (op->kind == DISK_WRITE_DURABLE)
			sqe->rw_flags = RWF_DSYNC;
		break;
	case DISK_READ:
		io_uring_prep_read(sqe, descriptor, op->buffer, op->size,
				   op->offset);
		break;
	case DISK_SYNC:
		io_uring_prep_fsync(sqe, descriptor, IORING_FSYNC_DATASYNC);
		break;
	case DISK_CREATE:
		io_uring_prep_openat(
			sqe, disk->folder, op->name,
			O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
		break;
	case DISK_RENAME:
		io_uring_prep_renameat(sqe, disk->folder, op->name,
				       disk->folder, op->new_name, 0);
		break;
	case DISK_UNLINK:
		io_uring_prep_unlinkat(sqe, disk->folder, op->name, 0);
		break;
	case DISK_CLOSE:
		io_uring_prep_close(sqe, descriptor);
		break;
	default:
		assert(op->kind == DISK_SYNC_FOLDER);
		io_uring_prep_fsync(sqe, disk->folder, 0);
		break;
	}
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)op | DISK_TAG);
}

void disk_uring_flush(struct disk *disk)
{
	struct io_uring_sqe *sqe;

	while (disk->queued.first) {
		sqe = io_uring_get_sqe(disk->ring);
		if (!sqe)
			return;
		disk_prepare(disk, sqe, disk_list_pop(&disk->queued));
	}
}

void disk_complete(struct disk *disk, uint64_t user_data, int32_t result)
{
	uintptr_t address = (uintptr_t)(user_data & ~(uint64_t)DISK_TAG);

	assert(user_data & DISK_TAG);
	assert(disk->ring);
	disk_finish(disk, (struct disk_op *)address, result);
}
