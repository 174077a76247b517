/*
 * A disk in memory behind wal/disk.h, for tests that break things. It is
 * linked instead of wal/disk.c, wal/disk_uring.c and wal/disk_plain.c.
 *
 * Operations take effect when they are reaped, in the order of submission, or
 * in any order, and some later, with a number to start from in `shuffle`.
 * What a crash leaves is made by the test: it takes copies of the whole disk
 * and puts their bytes together as it likes.
 */
#ifndef TESTS_UNIT_SUPPORT_DISK_H
#define TESTS_UNIT_SUPPORT_DISK_H

#include "wal/disk.h"

#include <stddef.h>

enum mem_limits {
	MEM_FILES_MAX = 64,
	MEM_HISTORY_MAX = 4096,
	MEM_ANY = 0xffff, /* as a fault's kinds: all that changes the disk */
};

struct mem_file {
	char name[DISK_NAME_MAX]; /* "": there is no such file */
	uint8_t *data;
	uint64_t size;
	int held; /* times that a dead owner still holds the lock */
};

struct disk {
	struct mem_file files[MEM_FILES_MAX];
	int open[DISK_FILES_MAX]; /* index in `files`, -1: free */
	struct disk_op *first;
	struct disk_op *last;
	uint32_t busy;
	char boot_id[DISK_BOOT_ID_SIZE];
	uint32_t pauses;

	/* Fault: the operation after `fault_in` more of `fault_kinds` gets it. */
	uint32_t fault_kinds; /* bits 1 << enum disk_op_kind; 0: none */
	uint32_t fault_in;
	int32_t fault_result; /* -errno, or what a short write reports */
	bool fault_stays; /* all later ones get it too */
	uint32_t counted; /* of fault_kinds, until now */
	uint32_t faults; /* that were delivered */

	/* Operations of these kinds are not finished, the others pass them. */
	uint32_t held_kinds;
	uint64_t shuffle; /* 0: in order and at once */

	/* Reads of this file's block fail with EIO; "": none. */
	char bad_name[DISK_NAME_MAX];
	uint64_t bad_block;

	uint8_t history[MEM_HISTORY_MAX]; /* kinds, in order of effect */
	uint32_t history_count;
};

struct disk *mem_disk_new(void);
void mem_disk_free(struct disk *disk);

/* The process dies: nothing is open, what was not reaped did not happen. */
void mem_disk_crash(struct disk *disk);

/* The machine is started anew. */
void mem_disk_reboot(struct disk *disk);

/* A disk with the same files; nothing is open on it. */
struct disk *mem_disk_copy(const struct disk *disk);

struct mem_file *mem_disk_find(struct disk *disk, const char *name);
struct mem_file *mem_disk_make(struct disk *disk, const char *name,
			       uint64_t size);
void mem_disk_remove(struct disk *disk, const char *name);

#endif
