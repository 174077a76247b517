/*
 * Backups: a file that holds what a new cluster needs to begin with what an
 * old one had; and the data folder of a member that is made from it.
 *
 * The file is a snapshot file, byte for byte as wal/snapshot.h has it: each
 * chunk has a CRC32C, and the whole an XXH3-128. Its head is the node's
 * (daemon/node_head.h, 592 bytes), and behind that, at 592, a label, 96 bytes:
 *
 *   0  u32  magic      BACKUP_MAGIC
 *   4  u32  format     1
 *   8  u64  member     whose state it is
 *  16  u64  saved_s    when, in seconds since 1970
 *  24  u32  flags      enum backup_flags
 *  28  u32  name_size  of the cluster's name; 0: it was not known
 *  32  char[64] name   then zeros
 *
 * It is written beside its place, flushed, and renamed; so what has its name
 * is whole. A log does not take such a file for its own: the head is longer.
 *
 * Everything here blocks, and is for conclavectl. A function gives 0, or
 * -errno, or one of the codes below, and then a message to a person.
 */
#ifndef DAEMON_BACKUP_H
#define DAEMON_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#define BACKUP_MAGIC 0x4b424e43u /* "CNBK" */

enum backup_error {
	BACKUP_EDAMAGED = -7001, /* not a backup, or not a whole one */
	BACKUP_EREFUSED = -7002, /* it would do harm; nothing was done */
};

enum backup_limits {
	BACKUP_FORMAT = 1,
	BACKUP_NAME_MAX = 64,
	BACKUP_ERROR_MAX = 1024,
};

enum backup_flags {
	/* From the folder of a stopped member: all entries of its log are in
	 * it, also those of which nobody knows whether they were committed. */
	BACKUP_ALONE = 1,
};

struct backup_label {
	uint32_t magic;
	uint32_t format;
	uint64_t member;
	uint64_t saved_s;
	uint32_t flags;
	uint32_t name_size;
	char name[BACKUP_NAME_MAX];
};

_Static_assert(sizeof(struct backup_label) == 96, "label");

/* What a backup is; what only its content tells is 0 where that was not read. */
struct backup_info {
	struct backup_label label;
	uint8_t cluster[16];
	uint64_t index;
	uint64_t term;
	uint64_t revision;
	uint64_t hash[2]; /* low, high: of the state at index */
	uint64_t size; /* of the file */
	uint64_t compacted; /* from here on: of the content */
	uint64_t keys;
	uint64_t versions;
	uint64_t sessions;
	uint64_t logical_bytes;
	uint32_t members; /* that are not removed */
};

/*
 * Saves the image in the file `image` of a running daemon's data folder. Needs
 * as much memory as a chunk of it. `name` is the cluster's; `force`: the file
 * may be there. -ENOENT: the image is gone, there is a newer one.
 */
struct backup_source {
	const char *image;
	const char *name;
	uint64_t member;
};

int backup_save_image(const struct backup_source *source, const char *file,
		      bool force, struct backup_info *ret_info,
		      char ret_error[BACKUP_ERROR_MAX])
	__attribute__((warn_unused_result));

/*
 * Saves what the data folder of a stopped member holds: its image, and on top
 * of it its whole log (BACKUP_ALONE). The folder is opened as the daemon opens
 * it at start: locked, and with a torn tail cut off.
 */
int backup_save_folder(const char *folder, const char *file, bool force,
		       struct backup_info *ret_info,
		       char ret_error[BACKUP_ERROR_MAX])
	__attribute__((warn_unused_result));

/* Reads it whole, loads it as a daemon would, and says what it is. */
int backup_look(const char *file, struct backup_info *ret_info,
		char ret_error[BACKUP_ERROR_MAX])
	__attribute__((warn_unused_result));

/*
 * Makes the data folder of a member of a new cluster. It is made beside its
 * place and renamed; one that an earlier attempt left is cleared.
 */
struct backup_target {
	const char *data; /* absent, or empty */
	const char *cluster; /* another name than the old cluster's */
	uint64_t member;
	const char *peers; /* as conclaved takes them; NULL: this one alone */
	bool accept_data_loss; /* needed for BACKUP_ALONE */
};

int backup_restore(const char *file, const struct backup_target *target,
		   struct backup_info *ret_info,
		   char ret_error[BACKUP_ERROR_MAX])
	__attribute__((warn_unused_result));

/* What is behind the name of a folder that a restore makes, until it is. */
#define BACKUP_PARTIAL ".partial"

#endif
