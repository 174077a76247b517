/*
 * Saving. From a running daemon: the image that it made is copied, a chunk at
 * a time, straight from its folder, where images are never changed; one that
 * the daemon removes meanwhile stays for who has it open. From the folder of a
 * stopped member: the image is loaded, the log replayed on it, and a new image
 * written.
 *
 * All entries of that log are applied, committed or not: what a lost leader
 * acknowledged was on this member's disk before this member was told that it
 * is committed. Entries that were never acknowledged may come to life by that,
 * which is what "unknown" meant to whoever asked for them.
 */
#include "daemon/backup_file.h"
#include "daemon/cluster.h"
#include "daemon/memory.h"
#include "wal/disk_engine.h"
#include "wal/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	SAVE_BUDGET = 1 << 20,
};

/* ---- of a running daemon ---- */

static int copy_image(struct backup_reader *reader,
		      const struct node_head *head,
		      const struct backup_label *label, const char *file,
		      bool force, uint64_t *ret_size)
{
	struct backup_writer *writer;
	const void *piece;
	uint32_t size;
	int code = backup_writer_open(&writer, file, force, head, label,
				      reader->error);

	if (code < 0)
		return code;
	while ((code = backup_reader_next(reader, &piece, &size)) > 0) {
		code = backup_writer_put(writer, piece, size);
		if (code < 0)
			break;
	}
	if (code == 0)
		code = backup_writer_end(writer, ret_size);
	backup_writer_close(writer);
	return code;
}

int backup_save_image(const struct backup_source *source, const char *file,
		      bool force, struct backup_info *ret_info,
		      char ret_error[BACKUP_ERROR_MAX])
{
	struct backup_reader *reader;
	struct backup_info info;
	struct node_head head;
	int code = backup_reader_open(&reader, source->image, ret_error);

	if (code < 0)
		return code;
	code = backup_reader_info(reader, &head, &info);
	if (code == 0) {
		backup_label_fill(source->name, source->member, 0, &info.label);
		code = copy_image(reader, &head, &info.label, file, force,
				  &info.size);
	}
	backup_reader_close(reader);
	if (code == 0)
		*ret_info = info;
	return code;
}

/* ---- of a folder ---- */

struct opened {
	const char *path;
	char *error;
	struct meta meta;
	struct disk *disk;
	struct wal *wal;
	struct wal_options options;
	void *memory;
	struct wal_report report;
	struct node_head head; /* of the image; index 0: there is none */
	struct backup_store made;
	uint64_t term; /* of the last entry */
};

/* Whose folder it is; the log wants to be told. */
static int read_meta(struct opened *opened)
{
	static uint8_t slots[META_SIZE];
	struct meta_view view = {0};
	char path[BACKUP_PATH_MAX];
	int size = snprintf(path, sizeof(path), "%s/meta", opened->path);

	if (size < 0 || (size_t)size >= sizeof(path))
		return backup_fail(opened->error, -ENAMETOOLONG,
				   "%s: the path is too long", opened->path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return backup_fail(opened->error, -errno,
				   "%s: cannot be opened: %s; is it the data "
				   "folder of a member, and may this user read "
				   "and write it?",
				   path, strerror(errno));
	memset(slots, 0, sizeof(slots));
	ssize_t got = pread(fd, slots, sizeof(slots), 0);
	(void)close(fd); /* nothing was written */
	if (got < 0 || meta_choose(slots, &view) < 0 || !view.found)
		return backup_fail(opened->error, BACKUP_EDAMAGED,
				   "%s: does not say whose folder it is; use "
				   "another member's folder, or a backup",
				   path);
	opened->meta = view.meta;
	return 0;
}

static int explain_log(const struct opened *opened, int code)
{
	const char *where = opened->report.where;

	if (code == WAL_EOWNED)
		return backup_fail(opened->error, BACKUP_EREFUSED,
				   "%s: a running daemon owns it; save from "
				   "that daemon, without --data, or stop it",
				   opened->path);
	if (code == WAL_EDAMAGED || code == WAL_EFOREIGN || code == WAL_EFUTURE)
		return backup_fail(opened->error, BACKUP_EDAMAGED,
				   "%s: %s; use another member's folder, or a "
				   "backup",
				   opened->path, where);
	return backup_fail(opened->error, code > -1000 ? code : -EIO,
			   "%s: the log cannot be opened: %s %s", opened->path,
			   where, code > -1000 ? strerror(-code) : "");
}

static int open_log(struct opened *opened)
{
	struct wal_options *options = &opened->options;
	int code;

	*options = (struct wal_options){
		.member = opened->meta.member,
		.segment_size = WAL_SEGMENT_SIZE,
		.spares_min = 1,
		.buffers = 1,
		.fetches = 1,
		.snapshot_after = UINT64_MAX,
	};
	memcpy(options->cluster, opened->meta.cluster, 16);
	if (getrandom(&options->seed, sizeof(options->seed), 0) < 0)
		return backup_fail(opened->error, -errno, "no random number");
	code = disk_open(&opened->disk, opened->path, NULL);
	if (code == 0)
		code = memory_reserve(&opened->memory,
				      wal_memory_size(options));
	if (code == 0)
		code = wal_open(&opened->wal, opened->disk, options,
				opened->memory, &opened->report);
	return code < 0 ? explain_log(opened, code) : 0;
}

static void close_folder(struct opened *opened)
{
	backup_store_release(&opened->made);
	if (opened->wal)
		wal_close(opened->wal);
	disk_close(opened->disk);
	if (opened->memory)
		(void)munmap(opened->memory, wal_memory_size(&opened->options));
	free(opened);
}

static int next_piece(void *from, const void **ret_piece, uint32_t *ret_size)
{
	struct opened *opened = from;
	int code = wal_snapshot_read(opened->wal, ret_piece, ret_size);

	return code < 0 ? explain_log(opened, code) : code;
}

static int load_snapshot(struct opened *opened)
{
	uint8_t head[WAL_HEAD_MAX];
	uint32_t size;
	int code = wal_snapshot_head(opened->wal, head, sizeof(head), &size);

	if (code == -ENOENT)
		return backup_store_make(&opened->made, &cluster_settings,
					 opened->error);
	if (code == 0)
		code = node_head_read(head, size, &opened->head);
	if (code < 0)
		return backup_fail(opened->error, BACKUP_EDAMAGED,
				   "%s: the head of its image is none that "
				   "this version writes",
				   opened->path);
	opened->term = opened->head.term;
	return backup_load(&opened->made, &opened->head, next_piece, opened,
			   opened->path, opened->error);
}

static int replay(struct opened *opened)
{
	struct store *store = opened->made.store;
	struct raft_entry entry;
	int code;

	while ((code = wal_replay_next(opened->wal, &entry)) > 0) {
		store_apply_begin(store, &entry);
		while (store_apply(store, SAVE_BUDGET))
			;
		while (store_compact(store, SAVE_BUDGET))
			;
		opened->term = entry.term;
	}
	if (code < 0)
		return explain_log(opened, code);
	if (store_applied(store) == 0)
		return backup_fail(opened->error, BACKUP_EREFUSED,
				   "%s: nothing is in it yet", opened->path);
	return 0;
}

static int write_image(struct opened *opened, struct backup_writer *writer)
{
	struct store *store = opened->made.store;
	uint8_t *piece = malloc(STORE_PIECE_MIN);
	uint32_t used;
	int code = 0, more;

	if (!piece)
		return backup_fail(opened->error, -ENOMEM, "no memory");
	store_image_begin(store);
	do {
		more = store_image_next(store, piece, STORE_PIECE_MIN,
					SAVE_BUDGET, &used);
		code = backup_writer_put(writer, piece, used);
	} while (more > 0 && code == 0);
	store_image_end(store);
	free(piece);
	return code;
}

static int write_folder(struct opened *opened, const char *file, bool force,
			struct backup_info *ret_info)
{
	struct raft_snapshot snapshot = {0};
	struct backup_info *info = ret_info;
	struct backup_writer *writer;
	struct node_head head;
	int code;

	if (opened->head.index)
		node_head_snapshot(&opened->head, &snapshot);
	snapshot.index = store_applied(opened->made.store);
	snapshot.term = opened->term;
	node_head_fill(opened->made.store, opened->meta.cluster, &snapshot,
		       &head);
	*info = (struct backup_info){.index = head.index,
				     .term = head.term,
				     .revision = head.revision};
	memcpy(info->cluster, head.cluster, 16);
	memcpy(info->hash, head.hash, sizeof(info->hash));
	backup_label_fill("", opened->meta.member, BACKUP_ALONE, &info->label);
	backup_tell_content(opened->made.store, info);
	code = backup_writer_open(&writer, file, force, &head, &info->label,
				  opened->error);
	if (code < 0)
		return code;
	code = write_image(opened, writer);
	if (code == 0)
		code = backup_writer_end(writer, &info->size);
	backup_writer_close(writer);
	return code;
}

int backup_save_folder(const char *folder, const char *file, bool force,
		       struct backup_info *ret_info,
		       char ret_error[BACKUP_ERROR_MAX])
{
	struct opened *opened = calloc(1, sizeof(*opened));
	struct backup_info info;
	int code;

	if (!opened)
		return backup_fail(ret_error, -ENOMEM, "no memory");
	opened->path = folder;
	opened->error = ret_error;
	code = read_meta(opened);
	if (code == 0)
		code = open_log(opened);
	if (code == 0)
		code = load_snapshot(opened);
	if (code == 0)
		code = replay(opened);
	if (code == 0)
		code = write_folder(opened, file, force, &info);
	close_folder(opened);
	if (code == 0)
		*ret_info = info;
	return code;
}
