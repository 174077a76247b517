/*
 * The only door of the log to the kernel: one data folder, its files, and
 * operations on them that are submitted and later reaped.
 *
 * There are two engines and one simulated disk behind this header: io_uring
 * (wal/disk_uring.c), a plain one with a single thread (wal/disk_plain.c), and
 * tests/sim/disk.c. What is here is therefore all that the log may ask.
 *
 * Files are named by small integers. A file is opened with O_DIRECT and
 * O_CLOEXEC, and locked (flock, exclusive) on the very descriptor through
 * which it is read and written: the kernel keeps the lock until the last
 * write of a killed owner has landed. Buffers, offsets and sizes of reads and
 * writes are multiples of DISK_BLOCK.
 *
 * Functions that end in _now block; they are for start and for tools. In the
 * loop only disk_submit() and disk_reap() are used.
 *
 * Errors are -errno.
 */
#ifndef WAL_DISK_H
#define WAL_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum disk_limits {
	DISK_BLOCK = 4096,
	DISK_NAME_MAX = 64,
	DISK_FILES_MAX = 512,
	DISK_OPS_MAX = 64, /* submitted and not yet reaped */
	DISK_BOOT_ID_SIZE = 37,
};

enum disk_op_kind {
	DISK_WRITE_DURABLE = 1, /* done means: on stable storage (RWF_DSYNC) */
	DISK_WRITE, /* done means: accepted, see DISK_SYNC */
	DISK_READ,
	DISK_SYNC, /* makes earlier finished writes of `file` durable */
	DISK_CREATE, /* makes and locks `name`; `result` is the file */
	DISK_RENAME, /* `name` becomes `new_name` */
	DISK_UNLINK, /* removes `name` */
	DISK_CLOSE, /* unlocks and forgets `file` */
	DISK_SYNC_FOLDER, /* makes names durable */
};

/*
 * One operation. The caller owns it and lends it, with its buffer, from
 * disk_submit() until disk_reap() hands it back. Operations submitted
 * together are not ordered among each other.
 */
struct disk_op {
	uint8_t kind; /* enum disk_op_kind */
	int file;
	uint64_t offset;
	void *buffer;
	uint32_t size;
	char name[DISK_NAME_MAX];
	char new_name[DISK_NAME_MAX];
	int32_t result; /* bytes, file, 0, or -errno */
	uint64_t tag; /* the caller's own */
	struct disk_op *next; /* the disk's own */
};

struct disk;

/* Lends `op` to the disk; it reaches the kernel with disk_flush(). */
void disk_submit(struct disk *disk, struct disk_op *op);

/*
 * Hands what was submitted to the kernel. The io_uring engine only prepares
 * entries here; they enter with the loop's one io_uring_enter.
 */
void disk_flush(struct disk *disk);

/* The next finished operation, or NULL. */
struct disk_op *disk_reap(struct disk *disk);

/*
 * Opens and locks `name`; with `create` it is made if absent. Returns the
 * file, -EWOULDBLOCK while another open descriptor holds the lock, -ENOENT.
 */
int disk_open_now(struct disk *disk, const char *name, bool create)
	__attribute__((warn_unused_result));
void disk_close_now(struct disk *disk, int file);
int64_t disk_size_now(struct disk *disk, int file)
	__attribute__((warn_unused_result));

/* Reads or writes exactly `size` bytes or fails; a write is durable. */
int disk_read_now(struct disk *disk, int file, uint64_t offset, void *buffer,
		  uint32_t size) __attribute__((warn_unused_result));
int disk_write_now(struct disk *disk, int file, uint64_t offset,
		   const void *buffer, uint32_t size)
	__attribute__((warn_unused_result));

int disk_rename_now(struct disk *disk, const char *name, const char *new_name)
	__attribute__((warn_unused_result));
int disk_unlink_now(struct disk *disk, const char *name)
	__attribute__((warn_unused_result));
int disk_sync_folder_now(struct disk *disk) __attribute__((warn_unused_result));

/*
 * Names in the folder, in no order: calls with *position 0 first; returns 1
 * and a name, 0 at the end, or an error.
 */
int disk_list_now(struct disk *disk, uint32_t *position,
		  char ret_name[DISK_NAME_MAX])
	__attribute__((warn_unused_result));

/* The id of this boot of the machine, as text. */
int disk_boot_id_now(struct disk *disk, char ret_id[DISK_BOOT_ID_SIZE])
	__attribute__((warn_unused_result));

/* Waits `ms` milliseconds: only while a lock is held by a dead owner. */
void disk_pause_now(struct disk *disk, uint32_t ms);

/* Operations submitted and not yet reaped. */
uint32_t disk_busy(const struct disk *disk);

#endif
