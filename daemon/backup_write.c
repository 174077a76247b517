/*
 * Writing a backup: chunk after chunk into a file beside its place, which gets
 * its name when all of it is on the disk.
 */
#include "daemon/backup_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	FILE_MODE = 0600, /* all that the cluster knows is in it */
};

void backup_label_fill(const char *name, uint64_t member, uint32_t flags,
		       struct backup_label *ret_label)
{
	size_t size = strnlen(name, BACKUP_NAME_MAX);

	*ret_label = (struct backup_label){
		.magic = BACKUP_MAGIC,
		.format = BACKUP_FORMAT,
		.member = member,
		.saved_s = (uint64_t)time(NULL),
		.flags = flags,
		.name_size = (uint32_t)size,
	};
	memcpy(ret_label->name, name, size);
}

static int failed(const struct backup_writer *writer, const char *what)
{
	return backup_fail(writer->error, -errno, "%s: %s: %s", writer->partial,
			   what, strerror(errno));
}

static int write_part(struct backup_writer *writer, uint32_t size)
{
	uint32_t done = 0;

	while (done < size) {
		ssize_t part =
			pwrite(writer->fd, writer->chunk + done, size - done,
			       (off_t)(writer->offset + done));
		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return failed(writer, "cannot be written");
		done += (uint32_t)part;
	}
	/* On its way at once: a flush of all of it at the end would hold up
	 * a daemon that has its log on the same disk. */
	(void)sync_file_range(writer->fd, (off_t)writer->offset, size,
			      SYNC_FILE_RANGE_WRITE);
	writer->offset += size;
	return 0;
}

/* Who had it locked before may have given it its name. */
static bool is_still_there(const struct backup_writer *writer)
{
	struct stat mine, named;

	return fstat(writer->fd, &mine) == 0 &&
	       lstat(writer->partial, &named) == 0 &&
	       mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/* Makes and locks the file beside; what another attempt left is overwritten. */
static int open_partial(struct backup_writer *writer)
{
	struct stat status;

	if (!writer->force && lstat(writer->path, &status) == 0)
		return backup_fail(writer->error, BACKUP_EREFUSED,
				   "%s: is there already; choose another name, "
				   "or say --force to replace it",
				   writer->path);
	int size = snprintf(writer->partial, sizeof(writer->partial), "%s%s",
			    writer->path, BACKUP_PARTIAL);
	if (size < 0 || (size_t)size >= sizeof(writer->partial))
		return backup_fail(writer->error, -ENAMETOOLONG,
				   "%s: the path is too long", writer->path);
	writer->fd = open(writer->partial,
			  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (writer->fd < 0)
		return failed(writer, "cannot be made");
	if (flock(writer->fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(writer->fd); /* it is another's */
		writer->fd = -1;
		return backup_fail(writer->error, BACKUP_EREFUSED,
				   "%s: another command is just writing it",
				   writer->partial);
	}
	if (!is_still_there(writer)) {
		(void)close(writer->fd); /* it has become a backup */
		writer->fd = -1;
		return backup_fail(writer->error, BACKUP_EREFUSED,
				   "%s: another command has just written it",
				   writer->path);
	}
	if (ftruncate(writer->fd, 0) < 0)
		return failed(writer, "cannot be emptied");
	return 0;
}

static int write_header(struct backup_writer *writer,
			const struct node_head *head,
			const struct backup_label *label)
{
	struct snapshot_header header = {.index = head->index,
					 .term = head->term};
	uint8_t bytes[sizeof(*head) + sizeof(*label)];

	_Static_assert(sizeof(bytes) <= WAL_HEAD_MAX, "head");
	memcpy(bytes, head, sizeof(*head));
	memcpy(bytes + sizeof(*head), label, sizeof(*label));
	memcpy(header.cluster, head->cluster, sizeof(header.cluster));
	snapshot_seal_header(writer->chunk, &header, bytes, sizeof(bytes));
	XXH3_128bits_reset(&writer->root);
	XXH3_128bits_update(&writer->root, writer->chunk, DISK_BLOCK);
	writer->index = head->index;
	return write_part(writer, DISK_BLOCK);
}

int backup_writer_open(struct backup_writer **ret_writer, const char *path,
		       bool force, const struct node_head *head,
		       const struct backup_label *label, char *error)
{
	struct backup_writer *writer =
		aligned_alloc(DISK_BLOCK, (sizeof(*writer) + DISK_BLOCK - 1) /
						  DISK_BLOCK * DISK_BLOCK);
	int code;

	if (!writer)
		return backup_fail(error, -ENOMEM, "%s: no memory", path);
	memset(writer, 0, sizeof(*writer));
	writer->fd = -1;
	writer->path = path;
	writer->force = force;
	writer->error = error;
	code = open_partial(writer);
	if (code == 0)
		code = write_header(writer, head, label);
	if (code < 0) {
		backup_writer_close(writer);
		return code;
	}
	*ret_writer = writer;
	return 0;
}

/* Seals and writes the chunk as far as it is filled. */
static int write_chunk(struct backup_writer *writer)
{
	uint32_t size = snapshot_chunk_size(writer->fill);

	snapshot_seal_chunk(writer->chunk, writer->index, writer->chunk_count,
			    writer->fill);
	XXH3_128bits_update(&writer->root, writer->chunk, size);
	writer->chunk_count++;
	writer->image_size += writer->fill;
	writer->fill = 0;
	return write_part(writer, size);
}

int backup_writer_put(struct backup_writer *writer, const void *piece,
		      uint32_t size)
{
	const uint8_t *from = piece;
	int code = 0;

	while (size > 0 && code == 0) {
		uint32_t part = SNAPSHOT_CHUNK_ROOM - writer->fill;
		part = part < size ? part : size;
		memcpy(writer->chunk + SNAPSHOT_CHUNK_HEADER + writer->fill,
		       from, part);
		writer->fill += part;
		from += part;
		size -= part;
		if (writer->fill == SNAPSHOT_CHUNK_ROOM)
			code = write_chunk(writer);
	}
	return code;
}

static int write_footer(struct backup_writer *writer)
{
	XXH128_hash_t root = XXH3_128bits_digest(&writer->root);
	struct snapshot_footer footer = {
		.index = writer->index,
		.chunk_count = writer->chunk_count,
		.image_size = writer->image_size,
		.file_size = writer->offset + DISK_BLOCK,
		.root = {root.low64, root.high64},
	};

	assert(footer.file_size == snapshot_file_size(writer->image_size));
	snapshot_seal_footer(writer->chunk, &footer);
	return write_part(writer, DISK_BLOCK);
}

int backup_sync_parent(const char *path)
{
	char copy[BACKUP_PATH_MAX];
	int result = 0;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	if (fsync(folder) < 0)
		result = -errno;
	(void)close(folder); /* nothing is written through it */
	return result;
}

/* Gives the file its name; nobody's who came meanwhile, if not forced. */
static int give_name(struct backup_writer *writer)
{
	uint32_t flags = writer->force ? 0 : RENAME_NOREPLACE;
	int result = renameat2(AT_FDCWD, writer->partial, AT_FDCWD,
			       writer->path, flags);

	if (result < 0 && flags != 0 && (errno == EINVAL || errno == ENOSYS))
		result = rename(writer->partial, writer->path);
	if (result < 0)
		return failed(writer, "cannot be given its name");
	(void)close(writer->fd); /* it was flushed */
	writer->fd = -1;
	result = backup_sync_parent(writer->path);
	if (result < 0)
		return backup_fail(writer->error, result,
				   "%s: its name may not be durable: %s",
				   writer->path, strerror(-result));
	return 0;
}

int backup_writer_end(struct backup_writer *writer, uint64_t *ret_size)
{
	int code = 0;

	if (writer->fill > 0)
		code = write_chunk(writer);
	if (code == 0)
		code = write_footer(writer);
	if (code == 0 && fsync(writer->fd) < 0)
		code = failed(writer, "cannot be flushed");
	if (code == 0)
		code = give_name(writer);
	if (code == 0)
		*ret_size = writer->offset;
	return code;
}

void backup_writer_close(struct backup_writer *writer)
{
	if (writer->fd >= 0) {
		(void)unlink(writer->partial); /* of no use to anybody */
		(void)close(writer->fd); /* nor is what is in it */
	}
	free(writer);
}
