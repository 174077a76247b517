/*
 * The log as a whole: its memory, its life, and one pass over its machines.
 */
#include "wal/log.h"
#include "wal/text.h"

#include <assert.h>

/* Sizes of the parts of the memory that wal_open() is lent. */
struct log_sizes {
	size_t wal;
	size_t zeros;
	size_t chunk;
	size_t window;
	size_t marks;
	size_t fetch;
	size_t buffer;
	size_t total;
};

static size_t whole_blocks(size_t size)
{
	return (size + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static uint32_t log_fetch_count(const struct wal_options *options)
{
	return options->fetches ? options->fetches : WAL_FETCHES;
}

static void log_sizes(const struct wal_options *options,
		      struct log_sizes *ret_sizes)
{
	size_t segment = options->segment_size;
	struct log_sizes sizes;

	sizes.wal = whole_blocks(sizeof(struct wal));
	sizes.zeros = smaller(LOG_FILL_SIZE, segment);
	sizes.chunk = whole_blocks(WAL_CHUNK_SIZE + LOG_ROOM_MIN);
	sizes.window = smaller((size_t)LOG_WINDOW_BLOCKS * DISK_BLOCK, segment);
	sizes.marks = whole_blocks(LOG_MARKS_MAX * sizeof(struct log_mark));
	/* The segment's first block is the spare one of the buffer. */
	sizes.buffer =
		smaller((size_t)(WAL_BLOCKS_LARGE + 1) * DISK_BLOCK, segment);
	sizes.fetch = smaller((size_t)WAL_BLOCKS_LARGE * DISK_BLOCK, segment);
	if (sizes.fetch < WAL_CHUNK_SIZE)
		sizes.fetch = WAL_CHUNK_SIZE;
	sizes.total = sizes.wal + META_SIZE + 2 * DISK_BLOCK + sizes.zeros +
		      sizes.chunk + sizes.window + sizes.marks +
		      sizes.fetch * log_fetch_count(options) +
		      sizes.buffer * options->buffers;
	*ret_sizes = sizes;
}

size_t wal_memory_size(const struct wal_options *options)
{
	struct log_sizes sizes;

	log_sizes(options, &sizes);
	return sizes.total;
}

static bool log_options_valid(const struct wal_options *options)
{
	return options->segment_size % DISK_BLOCK == 0 &&
	       options->segment_size >= LOG_SEGMENT_MIN &&
	       options->segment_size <= WAL_SEGMENT_SIZE &&
	       options->buffers >= 1 && options->buffers <= WAL_BUFFERS_MAX &&
	       options->spares_min >= 1 &&
	       options->spares_min <= LOG_SPARES_MAX &&
	       options->fetches <= WAL_FETCHES && options->member > 0;
}

static uint8_t *log_take(uint8_t **memory, size_t size)
{
	uint8_t *part = *memory;

	*memory += size;
	return part;
}

/* Lays the log out in the memory that is lent. */
static struct wal *log_layout(const struct wal_options *options, void *memory)
{
	uint8_t *next = memory;
	struct log_sizes sizes;
	struct wal *wal;
	uint32_t i;

	log_sizes(options, &sizes);
	wal = (struct wal *)(void *)log_take(&next, sizes.wal);
	memset(wal, 0, sizeof(*wal));
	wal->options = *options;
	wal->meta_blocks = log_take(&next, META_SIZE);
	wal->empty_record = log_take(&next, 2 * DISK_BLOCK);
	wal->zeros = log_take(&next, sizes.zeros);
	wal->chunk = log_take(&next, sizes.chunk);
	wal->window = log_take(&next, sizes.window);
	wal->index.marks =
		(struct log_mark *)(void *)log_take(&next, sizes.marks);
	wal->fetch_count = log_fetch_count(options);
	for (i = 0; i < wal->fetch_count; i++)
		wal->fetches[i].memory = log_take(&next, sizes.fetch);
	wal->buffer_memory = log_take(&next, sizes.buffer * options->buffers);
	assert((size_t)(next - (uint8_t *)memory) == sizes.total);
	memset(wal->zeros, 0, sizes.zeros);
	wal->fill_size = (uint32_t)sizes.zeros;
	wal->window_blocks = (uint32_t)(sizes.window / DISK_BLOCK);
	wal->buffer_size = (uint32_t)sizes.buffer;
	wal->fetch_size = (uint32_t)sizes.fetch;
	wal->pool.wanted = options->spares_min;
	wal->meta_file = -1;
	wal->newest.file = -1;
	wal->snapshot.file = -1;
	wal->cursor.window_file = -1;
	return wal;
}

int log_where(struct wal *wal, int error, const char *format, ...)
{
	va_list arguments;

	if (!wal->report || wal->report->where[0] != '\0')
		return error;
	va_start(arguments, format);
	text_vformat(wal->report->where, WAL_WHERE_MAX, format, arguments);
	va_end(arguments);
	return error;
}

void log_fail(struct wal *wal)
{
	wal->failed = true;
}

uint64_t log_salt(struct wal *wal)
{
	uint64_t z;

	/* SplitMix64 (Steele, Lea, Flood 2014). */
	wal->salt_state += 0x9e3779b97f4a7c15u;
	z = wal->salt_state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return z ? z : 1;
}

/* ---- life ---- */

static void log_close_files(struct wal *wal)
{
	uint32_t i;

	for (i = 0; i < wal->live_count; i++)
		disk_close_now(wal->disk, wal->live[i].file);
	for (i = 0; i < wal->spare_count; i++)
		disk_close_now(wal->disk, wal->spares[i].file);
	if (wal->pool.state != POOL_IDLE && wal->pool.segment.file >= 0)
		disk_close_now(wal->disk, wal->pool.segment.file);
	if (wal->newest.file >= 0)
		disk_close_now(wal->disk, wal->newest.file);
	if (wal->snapshot.file >= 0)
		disk_close_now(wal->disk, wal->snapshot.file);
	/* `meta` last: it arbitrates. */
	if (wal->meta_file >= 0)
		disk_close_now(wal->disk, wal->meta_file);
}

/* What was recovered, in the words of the report. */
static void log_report(struct wal *wal)
{
	const struct meta_snapshot *snapshot = &wal->newest.meta;
	struct wal_report *report = wal->report;
	struct wal_damage damage;

	report->hard = wal->hard;
	report->snapshot_index = snapshot->index;
	report->snapshot_term = snapshot->term;
	report->last_index = wal->last_index;
	if (wal->last_index > snapshot->index)
		report->first_index = snapshot->index + 1;
	report->damaged = wal_damaged(wal, &damage);
	if (!report->damaged)
		return;
	report->damaged_first = damage.first;
	report->damaged_last = damage.last;
	/*
	 * What stands behind the commit index of the records that were read may
	 * be what missing entries of a later term had replaced.
	 */
	if (wal->durable_term < damage.term &&
	    report->hard.commit > wal->read_commit)
		report->hard.commit = wal->read_commit;
	if (report->hard.commit < snapshot->index)
		report->hard.commit = snapshot->index;
}

static int log_open(struct wal *wal)
{
	int r;

	r = disk_boot_id_now(wal->disk, wal->boot_id);
	if (r < 0)
		return log_where(wal, r, "boot id: cannot be read");
	r = log_folder_open(wal);
	if (r < 0)
		return r;
	if (r > 0) {
		wal->report->fresh = true;
		r = log_folder_make(wal);
	} else {
		r = log_snapshot_recover(wal);
		if (r == 0)
			r = log_recover(wal);
	}
	if (r == 0)
		log_report(wal);
	return r;
}

int wal_open(struct wal **ret_wal, struct disk *disk,
	     const struct wal_options *options, void *memory,
	     struct wal_report *ret_report)
{
	struct wal *wal;
	int r;

	assert((uintptr_t)memory % DISK_BLOCK == 0);
	memset(ret_report, 0, sizeof(*ret_report));
	if (!log_options_valid(options)) {
		text_format(ret_report->where, WAL_WHERE_MAX,
			    "options: segment size, buffers, spares, "
			    "fetches or member");
		return -EINVAL;
	}
	wal = log_layout(options, memory);
	wal->disk = disk;
	wal->report = ret_report;
	r = log_open(wal);
	if (r < 0) {
		log_close_files(wal);
		return r;
	}
	wal->report = NULL;
	wal->cursor = (struct log_cursor){.window_file = -1};
	*ret_wal = wal;
	return 0;
}

void wal_close(struct wal *wal)
{
	assert(disk_busy(wal->disk) == 0);
	log_close_files(wal);
}

/* ---- in the loop ---- */

int wal_reap(struct wal *wal, struct wal_done *ret_done)
{
	struct disk_op *op;

	while ((op = disk_reap(wal->disk))) {
		if (op == &wal->keeper.op)
			log_keep_done(wal);
		else if (op == &wal->pool.op)
			log_pool_done(wal);
		else if (op == &wal->snapshot.op)
			log_snapshot_done(wal);
		else if (op == &wal->fill.op)
			log_fill_done(wal);
		else if (log_fetch_owns(wal, op))
			log_fetch_done(wal, op);
		else
			log_record_done(wal);
		if (log_record_finish(wal, ret_done))
			return 1;
	}
	if (!wal->failed)
		return 0;
	/* Nothing is begun any more but the note of what failed. */
	log_keep_work(wal);
	disk_flush(wal->disk);
	return WAL_EFAILED;
}

void wal_work(struct wal *wal)
{
	if (!wal->failed) {
		log_snapshot_work(wal);
		log_pool_work(wal);
	}
	log_keep_work(wal);
	disk_flush(wal->disk);
}

void wal_clock(struct wal *wal, uint64_t now_ns)
{
	if (now_ns > wal->now_ns)
		wal->now_ns = now_ns;
}

void wal_tick(struct wal *wal)
{
	enum {
		TICKS_TO_WAIT = 10
	};

	if (!wal->pool.stalled || ++wal->pool.ticks < TICKS_TO_WAIT)
		return;
	wal->pool.stalled = false;
	wal->pool.ticks = 0;
}

bool wal_idle(const struct wal *wal)
{
	if (disk_busy(wal->disk) > 0)
		return false;
	return !wal->keeper.dirty || wal->keeper.broken;
}

void wal_stats(const struct wal *wal, struct wal_stats *ret_stats)
{
	struct wal_stats stats = wal->stats;
	uint32_t i;

	stats.log_size = 0;
	for (i = 0; i < wal->live_count; i++)
		stats.log_size += (uint64_t)wal->live[i].used * DISK_BLOCK;
	stats.segments = wal->live_count;
	stats.spares = wal->spare_count;
	stats.failed = wal->failed;
	stats.stall_ns = wal_stall_ns(wal, wal->now_ns);
	if (stats.stall_max_ns < stats.stall_ns)
		stats.stall_max_ns = stats.stall_ns;
	*ret_stats = stats;
}
