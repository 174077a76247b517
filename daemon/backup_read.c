/*
 * Reading a backup, or the image in a daemon's folder, which is the same file
 * without a label: from front to end, and nothing is believed unchecked.
 */
#include "daemon/backup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int backup_fail(char *error, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(error, BACKUP_ERROR_MAX, format, arguments);
	va_end(arguments);
	return code;
}

static int damaged(const struct backup_reader *reader, const char *what)
{
	return backup_fail(
		reader->error, BACKUP_EDAMAGED,
		"%s at byte %llu: %s; the file is damaged, was cut short, or "
		"is no backup: copy it again from where it came from, or use "
		"another backup",
		reader->path, (unsigned long long)reader->walk.offset, what);
}

/* Takes the next part of the file, which is in reader->chunk then. */
static int take_part(struct backup_reader *reader)
{
	struct snapshot_walk *walk = &reader->walk;
	uint32_t due = snapshot_walk_due(walk), done = 0;
	int code;

	while (done < due) {
		ssize_t size = pread(reader->fd, reader->chunk + done,
				     due - done, (off_t)(walk->offset + done));
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return backup_fail(reader->error, -errno,
					   "%s: cannot be read: %s",
					   reader->path, strerror(errno));
		if (size == 0)
			return damaged(reader, "it became shorter");
		done += (uint32_t)size;
	}
	code = snapshot_walk_take(walk, reader->chunk);
	switch (code) {
	case 0:
		return 0;
	case WAL_EFUTURE:
		return backup_fail(reader->error, BACKUP_EREFUSED,
				   "%s: written by a newer version; use the "
				   "conclavectl of that version",
				   reader->path);
	case -EILSEQ:
		return damaged(reader, "the content is not what was written");
	default:
		return damaged(reader, walk->offset == 0   ? "bad header"
				       : due == DISK_BLOCK ? "bad end"
							   : "bad checksum");
	}
}

static int open_file(struct backup_reader *reader)
{
	struct stat status;

	reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0)
		return backup_fail(reader->error, -errno,
				   "%s: cannot be opened: %s", reader->path,
				   strerror(errno));
	if (fstat(reader->fd, &status) < 0 || !S_ISREG(status.st_mode))
		return backup_fail(reader->error, -EINVAL,
				   "%s: is no regular file", reader->path);
	if (snapshot_walk_begin(&reader->walk, (uint64_t)status.st_size) < 0) {
		reader->walk.offset = (uint64_t)status.st_size;
		return damaged(reader, "it ends here");
	}
	return 0;
}

int backup_reader_open(struct backup_reader **ret_reader, const char *path,
		       char *error)
{
	struct backup_reader *reader =
		aligned_alloc(DISK_BLOCK, (sizeof(*reader) + DISK_BLOCK - 1) /
						  DISK_BLOCK * DISK_BLOCK);
	int code;

	if (!reader)
		return backup_fail(error, -ENOMEM, "%s: no memory", path);
	memset(reader, 0, sizeof(*reader));
	reader->path = path;
	reader->error = error;
	code = open_file(reader);
	if (code == 0)
		code = take_part(reader);
	if (code < 0) {
		backup_reader_close(reader);
		return code;
	}
	reader->head_size = reader->walk.header.frame.own;
	memcpy(reader->head, reader->chunk + SNAPSHOT_HEAD_AT,
	       reader->head_size);
	*ret_reader = reader;
	return 0;
}

void backup_reader_close(struct backup_reader *reader)
{
	if (reader->fd >= 0)
		(void)close(reader->fd); /* nothing was written */
	free(reader);
}

int backup_reader_next(void *from, const void **ret_piece, uint32_t *ret_size)
{
	struct backup_reader *reader = from;
	int code;

	if (snapshot_walk_due(&reader->walk) == 0)
		return 0;
	code = take_part(reader);
	if (code < 0)
		return code;
	if (reader->walk.piece == 0)
		return 0;
	*ret_piece = reader->chunk + SNAPSHOT_CHUNK_HEADER;
	*ret_size = reader->walk.piece;
	return 1;
}

static bool label_is_valid(const struct backup_label *label)
{
	uint32_t i;

	if (label->magic != BACKUP_MAGIC || label->format != BACKUP_FORMAT ||
	    label->name_size > BACKUP_NAME_MAX)
		return false;
	for (i = 0; i < BACKUP_NAME_MAX; i++)
		if ((label->name[i] != '\0') != (i < label->name_size))
			return false;
	return true;
}

int backup_reader_info(const struct backup_reader *reader,
		       struct node_head *ret_head, struct backup_info *ret_info)
{
	const struct snapshot_header *header = &reader->walk.header;
	struct backup_info info = {.size = reader->walk.size};
	uint32_t size = reader->head_size;
	struct node_head head;

	if (size == sizeof(head) + sizeof(info.label)) {
		size = sizeof(head);
		memcpy(&info.label, reader->head + size, sizeof(info.label));
	}
	if (node_head_read(reader->head, size, &head) < 0 ||
	    head.index != header->index || head.term != header->term ||
	    memcmp(head.cluster, header->cluster, 16) != 0 ||
	    (info.label.magic != 0 && !label_is_valid(&info.label)))
		return backup_fail(reader->error, BACKUP_EDAMAGED,
				   "%s: its head is none that this version "
				   "writes; use the conclavectl of the version "
				   "that saved it",
				   reader->path);
	memcpy(info.cluster, head.cluster, 16);
	info.index = head.index;
	info.term = head.term;
	info.revision = head.revision;
	memcpy(info.hash, head.hash, sizeof(info.hash));
	*ret_head = head;
	*ret_info = info;
	return 0;
}
