/*
 * The file of a backup as its parts see it: reading one with all its checks,
 * writing one, and loading its image into a store. See daemon/backup.h.
 */
#ifndef DAEMON_BACKUP_FILE_H
#define DAEMON_BACKUP_FILE_H

#include "daemon/backup.h"
#include "daemon/node_head.h"
#include "wal/snapshot_walk.h"

enum backup_file_limits {
	BACKUP_PATH_MAX = 2048,
};

/* Fills a message to a person; gives `code`. */
int backup_fail(char *error, int code, const char *format, ...)
	__attribute__((warn_unused_result, format(printf, 3, 4)));

/* ---- reading ---- */

struct backup_reader {
	struct snapshot_walk walk;
	uint8_t chunk[WAL_CHUNK_SIZE];
	const char *path; /* lent */
	char *error; /* lent */
	int fd;
	uint32_t head_size;
	uint8_t head[WAL_HEAD_MAX];
};

/* Opens a file and takes its header; backup_reader_close() must follow. */
int backup_reader_open(struct backup_reader **ret_reader, const char *path,
		       char *error) __attribute__((warn_unused_result));

/* 1 and a piece of the image, lent until the next call; 0: it was all, and
 * all of it is good; or an error. */
int backup_reader_next(void *reader, const void **ret_piece, uint32_t *ret_size)
	__attribute__((warn_unused_result));

/* What the head says; the file's size is in it, the content is not. */
int backup_reader_info(const struct backup_reader *reader,
		       struct node_head *ret_head, struct backup_info *ret_info)
	__attribute__((warn_unused_result));

void backup_reader_close(struct backup_reader *reader);

/* ---- writing ---- */

struct backup_writer {
	XXH3_state_t root;
	uint8_t chunk[WAL_CHUNK_SIZE];
	char *error; /* lent */
	const char *path; /* lent */
	char partial[BACKUP_PATH_MAX];
	int fd;
	bool force;
	uint64_t index;
	uint64_t offset;
	uint64_t chunk_count;
	uint64_t image_size;
	uint32_t fill; /* bytes of image in the chunk */
};

/* Begins a file beside `path`; backup_writer_close() must follow. */
int backup_writer_open(struct backup_writer **ret_writer, const char *path,
		       bool force, const struct node_head *head,
		       const struct backup_label *label, char *error)
	__attribute__((warn_unused_result));
int backup_writer_put(struct backup_writer *writer, const void *piece,
		      uint32_t size) __attribute__((warn_unused_result));

/* Makes it durable and gives it its name; its size. */
int backup_writer_end(struct backup_writer *writer, uint64_t *ret_size)
	__attribute__((warn_unused_result));

/* One that was not ended leaves nothing. */
void backup_writer_close(struct backup_writer *writer);

/* A label of now. */
void backup_label_fill(const char *name, uint64_t member, uint32_t flags,
		       struct backup_label *ret_label);

/* ---- loading ---- */

struct backup_store {
	void *base;
	uint64_t size;
	struct store *store;
};

/* A store in memory of its own; backup_store_release() must follow. */
int backup_store_make(struct backup_store *ret_made,
		      const struct store_settings *settings, char *error)
	__attribute__((warn_unused_result));
void backup_store_release(struct backup_store *made);

/*
 * Loads an image from whoever gives its pieces: `next` as
 * backup_reader_next(). It must be what `head` says. `path` is for messages.
 */
int backup_load(struct backup_store *ret_made, const struct node_head *head,
		int (*next)(void *from, const void **ret_piece,
			    uint32_t *ret_size),
		void *from, const char *path, char *error)
	__attribute__((warn_unused_result));

/* What a store tells of the content. */
void backup_tell_content(const struct store *store, struct backup_info *info);

/* Makes a name durable: of the folder in which `path` lies. 0 or -errno. */
int backup_sync_parent(const char *path) __attribute__((warn_unused_result));

#endif
