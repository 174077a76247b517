/*
 * The folder at start: who owns it, what is in it, and making a new one.
 *
 * Order. `meta` is locked first and arbitrates: another daemon holds it, or
 * nobody does. Then every segment is locked; one that is held although `meta`
 * was free has a write of a dead owner still under way, and it is waited for.
 * After that nothing in the folder changes but by us.
 *
 * A new folder is made so that it can be interrupted anywhere: `meta` says
 * that the folder is being made, then the first segment and in it an empty
 * first record, then `meta` says that it is ready. So a `meta` that is ready
 * always has a first segment, and one that is lost is noticed.
 */
#include "wal/log.h"

#include <assert.h>

enum folder_limits {
	OWNER_WAIT_MS = 5000,
	OWNER_PAUSE_MS = 100,
};

static const char meta_name[] = "meta";

/* ---- meta ---- */

static int folder_lock_meta(struct wal *wal)
{
	uint32_t waited_ms = 0;
	int file;

	for (;;) {
		file = disk_open_now(wal->disk, meta_name, wal->options.create);
		if (file != -EWOULDBLOCK)
			break;
		if (waited_ms >= OWNER_WAIT_MS)
			return log_where(wal, WAL_EOWNED,
					 "meta: owned by a running daemon");
		disk_pause_now(wal->disk, OWNER_PAUSE_MS);
		waited_ms += OWNER_PAUSE_MS;
	}
	if (file == -EINVAL)
		return log_where(wal, WAL_ENODIRECT,
				 "meta: this file system refuses O_DIRECT");
	if (file == -ENOENT)
		return log_where(wal, file,
				 "meta: not there, the folder holds no log");
	if (file < 0)
		return log_where(wal, file, "meta: cannot be opened");
	wal->meta_file = file;
	return 0;
}

/* Reads what there is; a block that cannot be read is one that is wrong. */
static int folder_read_meta(struct wal *wal, struct meta_view *ret_view)
{
	int64_t size = disk_size_now(wal->disk, wal->meta_file);
	uint64_t at;
	int r;

	if (size < 0)
		return log_where(wal, (int)size, "meta: cannot be looked at");
	memset(wal->meta_blocks, 0, META_SIZE);
	for (at = 0; at < META_SIZE && at + DISK_BLOCK <= (uint64_t)size;
	     at += DISK_BLOCK) {
		r = disk_read_now(wal->disk, wal->meta_file, at,
				  wal->meta_blocks + at, DISK_BLOCK);
		if (r < 0)
			memset(wal->meta_blocks + at, 0xff, DISK_BLOCK);
	}
	r = meta_choose(wal->meta_blocks, ret_view);
	if (r < 0)
		return log_where(wal, r, "meta: of a newer format");
	return 0;
}

/* Looks for a file that only a log can have left: 1, and its name; or 0. */
static int folder_has_log(struct wal *wal, char ret_name[DISK_NAME_MAX])
{
	uint32_t position = 0;
	uint32_t number;
	uint64_t index;
	int r;

	while ((r = disk_list_now(wal->disk, &position, ret_name)) > 0) {
		if (segment_parse(ret_name, &number) ||
		    snapshot_parse(ret_name, &index))
			return 1;
	}
	return r;
}

/* Judges what `meta` says: 0: a log, 1: to be made, or an error. */
static int folder_judge_meta(struct wal *wal, const struct meta_view *view)
{
	const struct meta *meta = &view->meta;
	char name[DISK_NAME_MAX];
	int r;

	if (!view->found) {
		r = folder_has_log(wal, name);
		if (r > 0)
			return log_where(
				wal, WAL_EDAMAGED,
				"meta: no valid copy, while %s exists; "
				"restore meta from a copy, or empty "
				"the folder and join as a new member",
				name);
		return r < 0 ? r : 1;
	}
	if (meta->member != wal->options.member ||
	    memcmp(meta->cluster, wal->options.cluster,
		   sizeof(meta->cluster)) != 0)
		return log_where(wal, WAL_EFOREIGN,
				 "meta: the folder belongs to member %llu%s",
				 (unsigned long long)meta->member,
				 meta->member == wal->options.member
					 ? " of another cluster"
					 : "");
	wal->keeper.meta = *meta;
	wal->keeper.durable = *meta;
	wal->damage.read = *meta;
	return meta->frame.own == META_MAKING ? 1 : 0;
}

/* Removes what was never finished. */
static int folder_sweep(struct wal *wal)
{
	char name[DISK_NAME_MAX];
	uint32_t position = 0;
	int r;

	while ((r = disk_list_now(wal->disk, &position, name)) > 0) {
		if (!segment_is_leftover(name))
			continue;
		r = disk_unlink_now(wal->disk, name);
		if (r < 0)
			return log_where(wal, r, "%s: cannot be removed", name);
		position = 0; /* what is listed has changed */
	}
	return r;
}

/* ---- segments ---- */

static int folder_lock_segment(struct wal *wal, const char *name)
{
	int file;

	for (;;) {
		file = disk_open_now(wal->disk, name, false);
		if (file != -EWOULDBLOCK)
			return file;
		wal->report->waited = true;
		disk_pause_now(wal->disk, OWNER_PAUSE_MS);
	}
}

/*
 * The first record can speak for a header block that is damaged or stale.
 * False: it cannot be read.
 */
static bool folder_ask_record(struct wal *wal, struct segment *segment)
{
	const uint8_t *block = wal->window + DISK_BLOCK;
	struct record_header header;

	if (disk_read_now(wal->disk, segment->file, DISK_BLOCK,
			  wal->window + DISK_BLOCK, DISK_BLOCK) < 0)
		return false;
	if (record_check_header(block, &header) < 0 || header.position != 1)
		return true;
	if (header.member != wal->options.member ||
	    memcmp(header.cluster, wal->options.cluster,
		   sizeof(header.cluster)) != 0)
		return true;
	if (header.segment <= segment->segment)
		return true;
	segment->segment = header.segment;
	segment->salt = header.salt;
	segment->first_sequence = header.sequence;
	return true;
}

/* Finds out what a file is: 0, 1 when that cannot be read, or an error. */
static int folder_identify(struct wal *wal, struct segment *segment,
			   const char *name)
{
	struct segment_header header;
	bool readable;
	int r = -EIO;

	if (segment->blocks < 2)
		return 0;
	if (disk_read_now(wal->disk, segment->file, 0, wal->window,
			  DISK_BLOCK) == 0)
		r = segment_check(wal->window, &header);
	if (r == WAL_EFUTURE)
		return log_where(wal, r, "%s: of a newer format", name);
	if (r == 0 && (header.member != wal->options.member ||
		       memcmp(header.cluster, wal->options.cluster,
			      sizeof(header.cluster)) != 0))
		return log_where(wal, WAL_EFOREIGN,
				 "%s: belongs to member %llu of another log",
				 name, (unsigned long long)header.member);
	if (r == 0) {
		segment->segment = header.segment;
		segment->salt = header.salt;
		segment->first_sequence = header.first_sequence;
	}
	readable = folder_ask_record(wal, segment) && r != -EIO;
	if (segment->segment == 0 && !readable)
		return 1;
	if (r == 0 && header.frame.own > segment->blocks &&
	    segment->segment >= wal->keeper.meta.first_segment &&
	    !wal->options.accept_tail_loss) {
		r = log_where(wal, WAL_EDAMAGED,
			      "%s: cut short, %u of %u blocks are left; "
			      "accept_tail_loss goes on with these",
			      name, segment->blocks, header.frame.own);
		if (!wal->options.tolerate_damage)
			return r;
		if (segment->segment > wal->damage.cut_segment)
			wal->damage.cut_segment = segment->segment;
	}
	return 0;
}

/* Puts a segment in use into its place in the log's order. */
static int folder_insert(struct wal *wal, const struct segment *segment)
{
	uint32_t at = wal->live_count;

	while (at > 0 && wal->live[at - 1].segment > segment->segment) {
		wal->live[at] = wal->live[at - 1];
		at--;
	}
	wal->live[at] = *segment;
	wal->live_count++;
	if (at > 0 && wal->live[at - 1].segment == segment->segment)
		return log_where(wal, WAL_EDAMAGED,
				 "segment-%08x: is segment %llu of the log, as "
				 "segment-%08x is; remove the copy",
				 segment->number,
				 (unsigned long long)segment->segment,
				 wal->live[at - 1].number);
	return 0;
}

/* Locks and sorts one file in: 0, 1 when it was removed, or an error. */
static int folder_take(struct wal *wal, const char *name, uint32_t number)
{
	struct segment segment = {.number = number};
	int64_t size;
	int r;

	if (wal->live_count + wal->spare_count == LOG_SEGMENTS_MAX)
		return log_where(wal, -EMFILE, "%s: too many segments", name);
	segment.file = folder_lock_segment(wal, name);
	if (segment.file < 0)
		return log_where(wal, segment.file, "%s: cannot be opened",
				 name);
	size = disk_size_now(wal->disk, segment.file);
	if (size >= 0 && size <= WAL_SEGMENT_SIZE)
		segment.blocks = (uint32_t)(size / DISK_BLOCK);
	r = folder_identify(wal, &segment, name);
	if (r == 0 && segment.segment >= wal->keeper.meta.first_segment &&
	    segment.segment > 0)
		return folder_insert(wal, &segment);
	if (r == 0 &&
	    segment.blocks == wal->options.segment_size / DISK_BLOCK) {
		log_pool_add(wal, &segment);
		return 0;
	}
	disk_close_now(wal->disk, segment.file);
	/* What cannot be read now is not written over either. */
	if (r != 0)
		return r < 0 ? r : 0;
	/* A spare of another size is of no use. */
	r = disk_unlink_now(wal->disk, name);
	return r < 0 ? log_where(wal, r, "%s: cannot be removed", name) : 1;
}

static bool folder_knows(const struct wal *wal, uint32_t number)
{
	uint32_t i;

	for (i = 0; i < wal->live_count; i++) {
		if (wal->live[i].number == number)
			return true;
	}
	for (i = 0; i < wal->spare_count; i++) {
		if (wal->spares[i].number == number)
			return true;
	}
	return false;
}

static int folder_take_all(struct wal *wal)
{
	char name[DISK_NAME_MAX];
	uint32_t position = 0;
	uint32_t number;
	int r;

	while ((r = disk_list_now(wal->disk, &position, name)) > 0) {
		if (!segment_parse(name, &number) || folder_knows(wal, number))
			continue;
		if (number >= wal->next_number)
			wal->next_number = number + 1;
		r = folder_take(wal, name, number);
		if (r < 0)
			return r;
		if (r > 0)
			position = 0; /* what is listed has changed */
	}
	return r;
}

int log_folder_open(struct wal *wal)
{
	struct meta_view view = {0};
	int made;
	int r;

	wal->next_number = 1;
	r = folder_lock_meta(wal);
	if (r < 0)
		return r;
	r = folder_read_meta(wal, &view);
	if (r < 0)
		return r;
	made = folder_judge_meta(wal, &view);
	if (made < 0)
		return made;
	if (made > 0 && !wal->options.create)
		return log_where(wal, -ENOENT, "meta: the folder holds no log");
	wal->salt_state = wal->options.seed ^ (wal->keeper.meta.version << 32);
	r = folder_sweep(wal);
	if (r < 0 || made > 0)
		return r < 0 ? r : 1;
	r = folder_take_all(wal);
	if (r < 0)
		return r;
	/* A name that is seen may not be durable: its maker may have died
	 * between the renaming and the syncing. */
	return disk_sync_folder_now(wal->disk);
}

/* ---- a new folder ---- */

/* What an interrupted attempt left: no acknowledged byte is in it. */
static int folder_clear(struct wal *wal)
{
	char name[DISK_NAME_MAX];
	int r;

	while ((r = folder_has_log(wal, name)) > 0) {
		r = disk_unlink_now(wal->disk, name);
		if (r < 0)
			return log_where(wal, r, "%s: cannot be removed", name);
	}
	return r;
}

static int folder_begin_meta(struct wal *wal)
{
	struct meta *meta = &wal->keeper.meta;
	int r = 0;

	/* Once it is found it has all its slots. */
	if (meta->version == 0) {
		memset(wal->meta_blocks, 0, META_SIZE);
		r = disk_write_now(wal->disk, wal->meta_file, 0,
				   wal->meta_blocks, META_SIZE);
	}
	if (r == 0)
		r = disk_sync_folder_now(wal->disk);
	if (r < 0)
		return log_where(wal, r, "meta: cannot be made");
	memcpy(meta->cluster, wal->options.cluster, sizeof(meta->cluster));
	meta->member = wal->options.member;
	memcpy(meta->boot_id, wal->boot_id, sizeof(meta->boot_id));
	meta->frame.own = META_MAKING;
	meta->first_segment = 1;
	return log_keep_now(wal);
}

int log_start_now(struct wal *wal)
{
	uint8_t *record = wal->empty_record + DISK_BLOCK;
	struct record_header header;
	struct segment *tail;
	int r = 0;

	if (wal->spare_count == 0)
		r = log_pool_now(wal);
	if (r == -ENOSPC || r == -EDQUOT)
		return log_where(wal, WAL_EFULL,
				 "segment-%08x: no space for %u bytes",
				 wal->next_number, wal->options.segment_size);
	if (r < 0)
		return log_where(wal, r, "segment-%08x: cannot be made",
				 wal->next_number);
	log_begin_segment(wal, 0, wal->empty_record, 0);
	tail = log_tail(wal);
	log_describe(wal, tail, &wal->hard, &header);
	record_seal(record, &header);
	r = disk_write_now(wal->disk, tail->file, 0, wal->empty_record,
			   2 * DISK_BLOCK);
	if (r < 0)
		return log_where(wal, r, "segment-%08x: cannot be written",
				 tail->number);
	tail->used = 2;
	wal->durable_sequence = wal->next_sequence++;
	wal->durable_segment = tail->segment;
	wal->keeper.meta.first_segment = tail->segment;
	return 0;
}

int log_folder_make(struct wal *wal)
{
	int r;

	r = folder_begin_meta(wal);
	if (r == 0)
		r = folder_clear(wal);
	if (r < 0)
		return r;
	wal->next_sequence = 1;
	r = log_start_now(wal);
	if (r < 0)
		return r;
	return log_keep_ready(wal);
}
