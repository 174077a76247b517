/*
 * What the two real engines behind wal/disk.h have in common, and how a
 * daemon or a tool makes a disk. The log itself never includes this.
 *
 * A disk is one open folder, a table of open files, and two lists: `queued`
 * holds what was submitted and has not reached the engine, `done` what the
 * engine finished and nobody has reaped.
 *
 *   io_uring  disk_flush() prepares entries in the ring that the loop lends,
 *             with the address of the operation | DISK_TAG as user data; the
 *             loop enters the kernel and hands each completion that has
 *             DISK_TAG set to disk_complete().
 *   plain     disk_flush() hands the list to one thread, which answers
 *             through a second list and an eventfd (disk_wait_fd()).
 */
#ifndef WAL_DISK_ENGINE_H
#define WAL_DISK_ENGINE_H

#include "wal/disk.h"

#include <dirent.h>

struct io_uring;
struct disk_plain;

enum disk_engine_limits {
	DISK_TAG = 1, /* bit 0 of the user data of a disk's completion */
	DISK_FILESYSTEM_MAX = 32,
};

/* First in, first out, linked through disk_op.next. */
struct disk_list {
	struct disk_op *first;
	struct disk_op *last;
};

struct disk {
	struct io_uring *ring; /* io_uring engine: lent by the loop */
	struct disk_plain *plain; /* plain engine: the thread's side */
	int folder; /* descriptor of the data folder */
	DIR *listing;
	uint32_t busy;
	struct disk_list queued;
	struct disk_list done;
	int descriptors[DISK_FILES_MAX]; /* -1: free */
};

/*
 * Opens the folder. With a ring the io_uring engine works, without one the
 * plain engine and its thread; whether io_uring may be used is the daemon's
 * decision. -ENOENT, -ENOTDIR, -EACCES speak of the folder.
 */
int disk_open(struct disk **ret_disk, const char *folder, struct io_uring *ring)
	__attribute__((warn_unused_result));

/* Closes all files; nothing may be in flight. NULL is fine. */
void disk_close(struct disk *disk);

/* io_uring: a completion whose user data has DISK_TAG set came in. */
void disk_complete(struct disk *disk, uint64_t user_data, int32_t result);

/*
 * plain: readable when there is something to reap (level-triggered, cleared
 * by disk_reap()). io_uring: -1.
 */
int disk_wait_fd(const struct disk *disk) __attribute__((warn_unused_result));

/* The name of the folder's file system, for a message to a person. */
void disk_filesystem(const struct disk *disk,
		     char ret_name[DISK_FILESYSTEM_MAX]);

/* ---- between wal/disk.c and the engines ---- */

void disk_list_push(struct disk_list *list, struct disk_op *op);
struct disk_op *disk_list_pop(struct disk_list *list);

/* Takes a place in the table of files; -1: none is free. */
int disk_file_add(struct disk *disk, int descriptor)
	__attribute__((warn_unused_result));

/* Locks a fresh descriptor as disk.h says: 0, -EWOULDBLOCK or -errno. */
int disk_lock(int descriptor) __attribute__((warn_unused_result));

/* Does any kind of operation here and now, by plain system calls. */
int32_t disk_perform(int folder, int descriptor, const struct disk_op *op);

/* Puts a finished operation on `done`, after its file was taken care of. */
void disk_finish(struct disk *disk, struct disk_op *op, int32_t result);

void disk_uring_flush(struct disk *disk);
int disk_plain_start(struct disk *disk) __attribute__((warn_unused_result));
void disk_plain_stop(struct disk *disk);
void disk_plain_flush(struct disk *disk);
void disk_plain_collect(struct disk *disk);
int disk_plain_fd(const struct disk *disk) __attribute__((warn_unused_result));

#endif
