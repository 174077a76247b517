/*
 * A data folder made beside its place: a log is opened in it, receives the
 * image as a member that joins does, and is closed; then the folder is renamed.
 */
#include "daemon/backup_folder.h"
#include "daemon/memory.h"
#include "wal/disk_engine.h"
#include "wal/segment.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FOLDER_MODE = 0750,
	MAKE_BUDGET = 1 << 20,
};

struct making {
	const struct backup_folder *folder;
	char partial[BACKUP_PATH_MAX];
	int fd; /* of the folder, locked */
	struct disk *disk;
	struct wal *wal;
	struct wal_options options;
	void *memory;
};

static int failed(const struct backup_folder *folder, const char *path,
		  int code, const char *what)
{
	return backup_fail(folder->error, code, "%s: %s: %s", path, what,
			   strerror(-code));
}

/* ---- its place ---- */

/* 0: it is empty; 1: it is not; or -errno. */
static int has_files(const char *path)
{
	DIR *listing = opendir(path);
	struct dirent *entry;
	int result = 0;

	if (!listing)
		return -errno;
	while (result == 0 && (entry = readdir(listing)))
		result = strcmp(entry->d_name, ".") != 0 &&
			 strcmp(entry->d_name, "..") != 0;
	(void)closedir(listing);
	return result;
}

int backup_folder_check(const char *data, char *error)
{
	int result = has_files(data);

	if (result == 0 || result == -ENOENT)
		return 0;
	if (result > 0)
		return backup_fail(
			error, BACKUP_EREFUSED,
			"%s: is not empty; a backup is restored into "
			"a new folder: choose another, or move this "
			"one away",
			data);
	return backup_fail(error, result, "%s: cannot be looked at: %s", data,
			   strerror(-result));
}

/* The path of the folder beside: behind the name, without slashes. */
static int name_partial(struct making *making)
{
	const char *data = making->folder->data;
	size_t size = strlen(data);

	while (size > 1 && data[size - 1] == '/')
		size--;
	if (size + sizeof(BACKUP_PARTIAL) > sizeof(making->partial))
		return failed(making->folder, data, -ENAMETOOLONG,
			      "the path is too long");
	memcpy(making->partial, data, size);
	memcpy(making->partial + size, BACKUP_PARTIAL, sizeof(BACKUP_PARTIAL));
	return 0;
}

/* What a log leaves; anything else is not ours to remove. */
static bool is_of_log(const char *name)
{
	uint32_t number;
	uint64_t index;

	return strcmp(name, "meta") == 0 || segment_parse(name, &number) ||
	       snapshot_parse(name, &index) || segment_is_leftover(name);
}

/* Removes what a log left: 0, 1 when there is something else, or -errno. */
static int clear(const char *path)
{
	DIR *listing = opendir(path);
	struct dirent *entry;
	int code = 0;

	if (!listing)
		return -errno;
	while (code == 0 && (entry = readdir(listing))) {
		if (is_of_log(entry->d_name) &&
		    unlinkat(dirfd(listing), entry->d_name, 0) < 0)
			code = -errno;
	}
	(void)closedir(listing);
	return code < 0 ? code : has_files(path);
}

static int clear_first(const struct making *making)
{
	int code = clear(making->partial);

	if (code > 0)
		return backup_fail(making->folder->error, BACKUP_EREFUSED,
				   "%s: holds what no restore has left; move "
				   "it away",
				   making->partial);
	return code < 0 ? failed(making->folder, making->partial, code,
				 "cannot be cleared")
			: 0;
}

/* Makes and locks the folder, empty. */
static int open_partial(struct making *making)
{
	const struct backup_folder *folder = making->folder;
	int code = name_partial(making);

	if (code < 0)
		return code;
	if (mkdir(making->partial, FOLDER_MODE) < 0 && errno != EEXIST)
		return failed(folder, making->partial, -errno,
			      "cannot be made");
	making->fd = open(making->partial,
			  O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (making->fd < 0)
		return failed(folder, making->partial, -errno,
			      "cannot be opened");
	if (flock(making->fd, LOCK_EX | LOCK_NB) < 0)
		return backup_fail(folder->error, BACKUP_EREFUSED,
				   "%s: another command is just making it",
				   making->partial);
	return clear_first(making);
}

/* ---- its log ---- */

static int log_failed(const struct making *making, int code, const char *where)
{
	const char *what = code == WAL_ENODIRECT
				   ? "choose a folder on ext4 or XFS"
			   : code == WAL_EFULL || code == -ENOSPC
				   ? "the disk is full: make room"
				   : "look at the disk";

	return backup_fail(making->folder->error, code > -1000 ? code : -EIO,
			   "%s: the log cannot be written: %s%s%s",
			   making->partial, where, where[0] ? "; " : "", what);
}

static int open_log(struct making *making)
{
	struct wal_options *options = &making->options;
	struct wal_report report = {0};
	int code;

	*options = (struct wal_options){
		.member = making->folder->member,
		.segment_size = WAL_SEGMENT_SIZE,
		.spares_min = 1,
		.buffers = 1,
		.fetches = 1,
		.snapshot_after = UINT64_MAX,
		.create = true,
	};
	memcpy(options->cluster, making->folder->head.cluster, 16);
	if (getrandom(&options->seed, sizeof(options->seed), 0) < 0)
		return failed(making->folder, "getrandom", -errno,
			      "no random number");
	code = disk_open(&making->disk, making->partial, NULL);
	if (code == 0)
		code = memory_reserve(&making->memory,
				      wal_memory_size(options));
	if (code == 0)
		code = wal_open(&making->wal, making->disk, options,
				making->memory, &report);
	return code < 0 ? log_failed(making, code, report.where) : 0;
}

/* Lets the log work until something is done; 0, or an error. */
static int work(struct making *making)
{
	struct pollfd wait = {.fd = disk_wait_fd(making->disk),
			      .events = POLLIN};
	struct wal_done done;
	int code;

	wal_work(making->wal);
	if (disk_busy(making->disk) > 0 && poll(&wait, 1, -1) < 0 &&
	    errno != EINTR)
		return failed(making->folder, making->partial, -errno,
			      "the disk cannot be waited for");
	while ((code = wal_reap(making->wal, &done)) > 0)
		;
	return code < 0 ? log_failed(making, code, "") : 0;
}

static int write_image(struct making *making)
{
	struct store *store = making->folder->store;
	uint32_t room, used;
	int code = 0, more = 1;

	store_image_begin(store);
	while (code == 0 && more > 0) {
		uint8_t *piece = wal_snapshot_room(making->wal, &room);
		if (!piece && !wal_snapshot_active(making->wal)) {
			code = -ENOSPC; /* the log gave it up */
			break;
		}
		if (!piece) {
			code = work(making);
			continue;
		}
		more = store_image_next(store, piece, room, MAKE_BUDGET, &used);
		assert(more >= 0);
		wal_snapshot_put(making->wal, used);
	}
	store_image_end(store);
	wal_snapshot_end(making->wal);
	return code == -ENOSPC ? log_failed(making, code, "") : code;
}

static int fill_log(struct making *making)
{
	const struct node_head *head = &making->folder->head;
	int code = wal_snapshot_begin(making->wal, head->index, head->term,
				      head, sizeof(*head));

	if (code < 0)
		return log_failed(making, code, "");
	code = write_image(making);
	while (code == 0 &&
	       (wal_snapshot_active(making->wal) || !wal_idle(making->wal)))
		code = work(making);
	if (code == 0 && wal_snapshot_index(making->wal) != head->index)
		code = log_failed(making, -ENOSPC, "");
	return code;
}

/* After a failure what is under way comes to its end first. */
static void close_log(struct making *making)
{
	struct pollfd wait = {.events = POLLIN};
	struct wal_done done;

	if (making->wal) {
		wait.fd = disk_wait_fd(making->disk);
		while (disk_busy(making->disk) > 0) {
			(void)poll(&wait, 1, 100); /* it is asked again */
			(void)!wal_reap(making->wal, &done); /* known */
		}
		wal_close(making->wal);
	}
	disk_close(making->disk);
	if (making->memory)
		(void)munmap(making->memory, wal_memory_size(&making->options));
}

/* ---- all of it ---- */

/* A folder that is empty gives way. */
static int give_name(struct making *making)
{
	const struct backup_folder *folder = making->folder;
	int code = 0;

	if (rename(making->partial, folder->data) < 0)
		return failed(folder, making->partial, -errno,
			      "cannot be given its name");
	code = backup_sync_parent(making->partial);
	return code < 0 ? failed(folder, folder->data, code,
				 "its name may not be durable")
			: 0;
}

int backup_folder_make(const struct backup_folder *folder)
{
	struct making making = {.folder = folder, .fd = -1};
	int code = backup_folder_check(folder->data, folder->error);

	if (code == 0)
		code = open_partial(&making);
	if (code == 0) {
		code = open_log(&making);
		if (code == 0)
			code = fill_log(&making);
		close_log(&making);
		if (code == 0)
			code = give_name(&making);
		/* Empty it stays, for the daemon to see (recover.c). */
		if (code < 0)
			(void)clear(making.partial);
	}
	if (making.fd >= 0)
		(void)close(making.fd); /* it was the lock's */
	return code;
}
