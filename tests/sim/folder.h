/*
 * What is on the media, one of each machine: files of 512-byte sectors and the
 * names that lead to them, each as it is seen now and as it would be after a
 * power loss.
 *
 * A sector that was written and not flushed is pending: a power loss leaves
 * it old or new, each for itself. A name is pending until the folder was
 * synced; a power loss keeps a prefix of the pending changes, or, when the
 * seed says so, any subset of them.
 */
#ifndef TESTS_SIM_FOLDER_H
#define TESTS_SIM_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

enum folder_limits {
	FOLDER_SECTOR = 512,
	FOLDER_FILES_MAX = 256, /* of one machine */
	FOLDER_NAMES_MAX = 128,
	FOLDER_CHANGES_MAX = 256,
	FOLDER_NAME_SIZE = 64,
	FOLDER_SIZE_MAX = 64 << 20,
};

/* Forgets everything: a new, empty medium. */
void folder_clear(uint32_t machine);

/* ---- names; a file is a number that says whose it is ---- */

static inline uint32_t folder_machine(int file)
{
	return (uint32_t)file / FOLDER_FILES_MAX;
}

int folder_lookup(uint32_t machine, const char *name); /* -ENOENT */
int folder_create(uint32_t machine, const char *name); /* -EEXIST, -ENOSPC */
int folder_rename(uint32_t machine, const char *name, const char *new_name);
int folder_unlink(uint32_t machine, const char *name);
/* Steps through the names that are seen; as disk_list_now(). */
int folder_list(uint32_t machine, uint32_t *position, char *ret_name);

/* Changes of names so far, and: those up to `change` are durable now. */
uint64_t folder_change(uint32_t machine);
void folder_sync_names(uint32_t machine, uint64_t change);
/* The file is found under the name that it has now after a power loss. */
bool folder_named(int file);
/* The name as it is seen, for traces and checks; "" when there is none. */
const char *folder_name(int file);

/* Files are kept while a name leads to them or somebody holds them. */
void folder_hold(int file);
void folder_drop(int file);

/* ---- content ---- */

uint64_t folder_size(int file);
void folder_read(int file, uint64_t offset, void *buffer, uint32_t size);
/* Writes, growing the file; durable at once, or pending. */
void folder_write(int file, uint64_t offset, const void *data, uint32_t size,
		  bool durable);
/* A number that grows with each write: what a sync submitted now covers. */
uint64_t folder_stamp(void);
/* What was written up to `stamp` is durable. */
void folder_sync(int file, uint64_t stamp);
/* The sync failed: each pending sector is old or new, and none is pending. */
void folder_sync_failed(int file, uint64_t stamp);
/* A write that was cut short: each sector old or new. */
void folder_tear(int file, uint64_t offset, const void *data, uint32_t size);
/* What lies there, durably, is this. */
bool folder_holds(int file, uint64_t offset, const void *data, uint32_t size);

/* ---- the outside ---- */

/* Pending sectors and names fall; what is seen is what is durable. */
void folder_power_loss(uint32_t machine);
/* Flips one bit of durable content; folder_mend() undoes all flips. */
void folder_rot(int file, uint64_t offset, uint8_t bit);
uint32_t folder_rotten(uint32_t machine);
void folder_mend(uint32_t machine);
/* From here on nobody knows of it: a lie on purpose. */
void folder_forget_rot(uint32_t machine);

#endif
