/*
 * A backup's image in a store: as a daemon would load it, so that what is
 * loaded here will be loaded there.
 */
#include "daemon/backup_file.h"
#include "daemon/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int backup_store_make(struct backup_store *ret_made,
		      const struct store_settings *settings, char *error)
{
	struct backup_store made = {.size = settings->store_address_bytes};
	int code = memory_reserve(&made.base, made.size);

	if (code == 0)
		code = store_init(&made.store, made.base, made.size, settings);
	if (code < 0) {
		backup_store_release(&made);
		return backup_fail(error, code,
				   "no address space for a store of %llu bytes "
				   "(not of memory): %s; raise the limit of "
				   "virtual memory",
				   (unsigned long long)made.size,
				   strerror(-code));
	}
	*ret_made = made;
	return 0;
}

void backup_store_release(struct backup_store *made)
{
	if (made->base)
		(void)munmap(made->base, made->size); /* it was mapped so */
	*made = (struct backup_store){0};
}

static int contradicts(const char *path, char *error)
{
	return backup_fail(error, BACKUP_EDAMAGED,
			   "%s: its checksums are right, but its content "
			   "contradicts itself: use another backup, and report "
			   "this one",
			   path);
}

/* Why an image that came whole is not loaded. */
static int explain(int code, const char *path, char *error)
{
	if (code != -EPROTO)
		return contradicts(path, error);
	return backup_fail(error, BACKUP_EREFUSED,
			   "%s: of a cluster that has agreed on what only a "
			   "newer version knows; use the conclavectl of that "
			   "version",
			   path);
}

/* Makes the store when the first piece tells how. */
static int load_piece(struct backup_store *made, const void *piece,
		      uint32_t size, const char *path, char *error)
{
	struct store_settings settings;
	int code;

	if (!made->store) {
		code = store_image_settings(piece, size, &settings);
		if (code < 0)
			return explain(code, path, error);
		code = backup_store_make(made, &settings, error);
		if (code < 0)
			return code;
	}
	code = store_load(made->store, piece, size);
	return code < 0 ? explain(code, path, error) : 0;
}

static bool is_what_head_says(const struct store *store,
			      const struct node_head *head)
{
	struct store_hash hash;

	store_hash(store, &hash);
	return hash.low == head->hash[0] && hash.high == head->hash[1] &&
	       store_applied(store) == head->index &&
	       store_revision(store) == head->revision;
}

int backup_load(struct backup_store *ret_made, const struct node_head *head,
		int (*next)(void *from, const void **ret_piece,
			    uint32_t *ret_size),
		void *from, const char *path, char *error)
{
	struct backup_store made = {0};
	const void *piece;
	uint32_t size;
	int code;

	while ((code = next(from, &piece, &size)) > 0) {
		code = load_piece(&made, piece, size, path, error);
		if (code < 0)
			break;
	}
	if (code == 0 && (!made.store || store_load_end(made.store) < 0 ||
			  !is_what_head_says(made.store, head)))
		code = contradicts(path, error);
	if (code < 0) {
		backup_store_release(&made);
		return code;
	}
	*ret_made = made;
	return 0;
}

void backup_tell_content(const struct store *store, struct backup_info *info)
{
	const struct store_member *members;
	uint32_t i, count = store_members(store, &members);
	struct store_stats stats;

	store_stats(store, &stats);
	info->compacted = store_compacted(store);
	info->keys = stats.keys;
	info->versions = stats.versions;
	info->sessions = stats.sessions;
	info->logical_bytes = stats.logical_bytes;
	info->members = 0;
	for (i = 0; i < count; i++)
		info->members += members[i].removed_index == 0;
}

int backup_look(const char *file, struct backup_info *ret_info,
		char ret_error[BACKUP_ERROR_MAX])
{
	struct backup_reader *reader;
	struct backup_store made = {0};
	struct backup_info info;
	struct node_head head;
	int code = backup_reader_open(&reader, file, ret_error);

	if (code < 0)
		return code;
	code = backup_reader_info(reader, &head, &info);
	if (code == 0)
		code = backup_load(&made, &head, backup_reader_next, reader,
				   file, ret_error);
	backup_reader_close(reader);
	if (code < 0)
		return code;
	backup_tell_content(made.store, &info);
	backup_store_release(&made);
	*ret_info = info;
	return 0;
}
