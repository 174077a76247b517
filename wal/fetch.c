/*
 * Reading back while the log goes on, for a member that lags: entries that
 * are in no memory any more, and chunks of the newest snapshot.
 *
 * A read is one operation into memory of its own, and what it brings is
 * checked as recovery checks it. For entries it begins at a record at or
 * before the wanted one, as the index knows it, and may have to be repeated
 * further on: until the wanted record stands whole in memory. Then all entries
 * from the wanted one on are moved together, record after record.
 *
 * Meanwhile the log may change. A record that overwrites the tail lowers
 * `end_index`, where every fetch stops. A segment that was given back is not
 * in `live` any more when the read is over, and its number never comes again.
 * A snapshot that was replaced stays open until the last read of it is over.
 *
 * Who reads on asks next for what follows, so each place of a fetch remembers
 * where that begins, and the walk from the mark is not repeated.
 */
#include "raft/entry.h"
#include "wal/log.h"

#include <assert.h>

/* ---- places ---- */

static struct log_fetch *fetch_at(struct wal *wal, int ticket)
{
	struct log_fetch *fetch;

	assert(ticket >= 0 && (uint32_t)ticket < wal->fetch_count);
	fetch = &wal->fetches[ticket];
	assert(fetch->state != FETCH_FREE);
	assert(!fetch->ended);
	return fetch;
}

/* A free place, or NULL. */
static struct log_fetch *fetch_take(struct wal *wal)
{
	struct log_fetch *fetch;
	uint32_t i;

	for (i = 0; i < wal->fetch_count; i++) {
		fetch = &wal->fetches[i];
		if (fetch->state != FETCH_FREE)
			continue;
		fetch->ended = false;
		fetch->result = 0;
		fetch->fetched = (struct wal_fetched){0};
		return fetch;
	}
	return NULL;
}

static int fetch_ticket(const struct wal *wal, const struct log_fetch *fetch)
{
	return (int)(fetch - wal->fetches);
}

static void fetch_submit(struct wal *wal, struct log_fetch *fetch,
			 uint64_t offset, uint32_t size)
{
	struct disk_op *op = &fetch->op;

	assert(size > 0 && size <= wal->fetch_size);
	op->kind = DISK_READ;
	op->offset = offset;
	op->buffer = fetch->memory;
	op->size = size;
	fetch->state = FETCH_READING;
	disk_submit(wal->disk, op);
	disk_flush(wal->disk);
}

/* ---- entries: where ---- */

/* Blocks in front of a segment that are durable. */
static uint32_t fetch_durable(const struct wal *wal, uint32_t live)
{
	uint32_t used = wal->live[live].used;

	if (wal->record.busy && live + 1 == wal->live_count)
		used -= wal->record.blocks;
	return used;
}

/* Reads on at fetch->block, at least `least` blocks where there are so many. */
static int fetch_read(struct wal *wal, struct log_fetch *fetch, uint32_t least)
{
	uint32_t most = wal->fetch_size / DISK_BLOCK;
	uint32_t live = log_live(wal, fetch->segment);
	uint32_t count;

	if (live == wal->live_count)
		return -ENOENT;
	/* What the index says is there, or it is lost. */
	if (fetch->block >= fetch_durable(wal, live))
		return WAL_EDAMAGED;
	count = fetch_durable(wal, live) - fetch->block;
	if (most > LOG_FETCH_BLOCKS)
		most = least > LOG_FETCH_BLOCKS ? least : LOG_FETCH_BLOCKS;
	if (count > most)
		count = most;
	if (count < least)
		return WAL_EDAMAGED;
	fetch->op.file = wal->live[live].file;
	fetch_submit(wal, fetch, (uint64_t)fetch->block * DISK_BLOCK,
		     count * DISK_BLOCK);
	return 0;
}

/*
 * The best place to begin the walk at: the mark, or where an earlier fetch
 * stopped between the mark and the wanted entry.
 */
static struct log_mark fetch_start(const struct wal *wal,
				   const struct log_mark *mark, uint64_t index)
{
	struct log_mark start = *mark;
	const struct log_mark *hint;
	uint32_t i;

	for (i = 0; i < wal->fetch_count; i++) {
		hint = &wal->fetches[i].next;
		if (hint->segment == start.segment &&
		    hint->sequence > start.sequence && hint->index <= index)
			start = *hint;
	}
	return start;
}

int wal_fetch_entries(struct wal *wal, uint64_t index)
{
	const struct log_record *flight = &wal->record;
	const struct log_mark *mark;
	struct log_fetch *fetch;
	struct log_mark start;
	uint64_t end;
	int r;

	if (wal->failed)
		return WAL_EFAILED;
	mark = log_index_find(wal, index, &end);
	if (!mark)
		return -ENOENT;
	if (flight->busy && flight->entry_count > 0 &&
	    end > flight->first_index)
		end = flight->first_index;
	if (index >= end)
		return -EAGAIN;
	fetch = fetch_take(wal);
	if (!fetch)
		return -EAGAIN;
	start = fetch_start(wal, mark, index);
	fetch->is_chunk = false;
	fetch->next_index = index;
	fetch->end_index = end;
	fetch->segment = start.segment;
	fetch->sequence = start.sequence;
	fetch->block = start.block;
	r = fetch_read(wal, fetch, 1);
	return r < 0 ? r : fetch_ticket(wal, fetch);
}

/* ---- entries: what was read ---- */

/* Takes entries out of an intact record, from the wanted one on. */
static int fetch_gather(struct log_fetch *fetch, const uint8_t *record,
			const struct record_header *header)
{
	struct wal_fetched *fetched = &fetch->fetched;
	const uint8_t *bytes = record + header->payload;
	const uint8_t *end = bytes + header->payload_size;
	struct entry_header entry;
	uint8_t *to;
	uint32_t size;

	for (; bytes < end; bytes += size) {
		if (entry_check(bytes, (size_t)(end - bytes), &entry) < 0)
			return WAL_EDAMAGED;
		size = entry_size(entry.size);
		if (entry.index < fetch->next_index)
			continue;
		if (entry.index != fetch->next_index)
			return WAL_EDAMAGED;
		if (entry.index == fetch->end_index)
			return 0;
		/* The first stays where it is; the others close up to it. */
		if (fetched->size == 0) {
			fetched->bytes = bytes;
			fetched->first_index = entry.index;
		}
		to = fetch->memory + (fetched->bytes - fetch->memory) +
		     fetched->size;
		memmove(to, bytes, size);
		fetched->size += size;
		fetched->last_index = fetch->next_index++;
	}
	return 0;
}

static bool fetch_is_due(const struct wal *wal, const struct log_fetch *fetch,
			 const struct segment *segment,
			 const struct record_header *header)
{
	return header->sequence == fetch->sequence &&
	       header->position == fetch->block &&
	       header->segment == segment->segment &&
	       header->salt == segment->salt &&
	       header->member == wal->options.member &&
	       memcmp(header->cluster, wal->options.cluster,
		      sizeof(header->cluster)) == 0;
}

enum fetch_step {
	FETCH_ON = 0, /* look at the record behind */
	FETCH_ENOUGH,
	FETCH_MORE, /* the wanted record is not whole: read on from it */
};

/* Looks at the record that stands at `record`, of which `left` blocks follow. */
static int fetch_record(struct wal *wal, struct log_fetch *fetch,
			const uint8_t *record, uint32_t left,
			uint32_t *ret_blocks)
{
	uint32_t live = log_live(wal, fetch->segment);
	struct record_header header;
	int r;

	r = record_check_header(record, &header);
	if (r < 0)
		return r == WAL_EFUTURE ? r : WAL_EDAMAGED;
	if (!fetch_is_due(wal, fetch, &wal->live[live], &header))
		return WAL_EDAMAGED;
	*ret_blocks = header.frame.own;
	if (header.last_index < fetch->next_index)
		return FETCH_ON;
	if (header.frame.own > left)
		return fetch->fetched.size > 0 ? FETCH_ENOUGH : FETCH_MORE;
	if (record_bad_block(record, &header) >= 0)
		return WAL_EDAMAGED;
	r = fetch_gather(fetch, record, &header);
	if (r < 0)
		return r;
	return fetch->next_index < fetch->end_index ? FETCH_ON : FETCH_ENOUGH;
}

/*
 * Walks over what was read. 0: the fetch is over; 1: it reads on; or an error.
 */
static int fetch_walk(struct wal *wal, struct log_fetch *fetch)
{
	uint32_t count = fetch->op.size / DISK_BLOCK;
	uint32_t blocks = 0;
	uint32_t at = 0;
	int step = FETCH_ON;

	if (log_live(wal, fetch->segment) == wal->live_count ||
	    fetch->next_index >= fetch->end_index)
		return -ENOENT;
	while (step == FETCH_ON && at < count) {
		step = fetch_record(wal, fetch,
				    fetch->memory + (size_t)at * DISK_BLOCK,
				    count - at, &blocks);
		if (step != FETCH_ON)
			break;
		at += blocks;
		fetch->block += blocks;
		fetch->sequence++;
	}
	/* What is intact before something bad is good. */
	if (fetch->fetched.size > 0) {
		fetch->next =
			(struct log_mark){fetch->next_index, fetch->sequence,
					  fetch->segment, fetch->block};
		return 0;
	}
	if (step < 0)
		return step;
	step = fetch_read(wal, fetch, step == FETCH_MORE ? blocks : 1);
	return step < 0 ? step : 1;
}

/* ---- chunks ---- */

static uint64_t fetch_chunk_count(const struct meta_snapshot *snapshot)
{
	uint64_t size = snapshot->size - (uint64_t)2 * DISK_BLOCK;

	return (size + WAL_CHUNK_SIZE - 1) / WAL_CHUNK_SIZE;
}

int wal_fetch_chunk(struct wal *wal, uint64_t index, uint64_t chunk)
{
	const struct log_newest *newest = &wal->newest;
	struct log_fetch *fetch;
	uint64_t offset;

	if (wal->failed)
		return WAL_EFAILED;
	if (newest->file < 0 || newest->meta.index != index ||
	    chunk >= fetch_chunk_count(&newest->meta))
		return -ENOENT;
	fetch = fetch_take(wal);
	if (!fetch)
		return -EAGAIN;
	offset = DISK_BLOCK + chunk * WAL_CHUNK_SIZE;
	fetch->is_chunk = true;
	fetch->fetched.chunk = chunk;
	fetch->fetched.last_chunk =
		chunk + 1 == fetch_chunk_count(&newest->meta);
	fetch->snapshot = index;
	fetch->op.file = newest->file;
	fetch_submit(wal, fetch, offset,
		     snapshot_chunk_at(newest->meta.size, offset));
	return fetch_ticket(wal, fetch);
}

static int fetch_check_chunk(struct log_fetch *fetch)
{
	struct snapshot_chunk chunk;
	int r;

	r = snapshot_check_chunk(fetch->memory, fetch->op.size, &chunk);
	if (r < 0)
		return r == WAL_EFUTURE ? r : WAL_EDAMAGED;
	if (chunk.index != fetch->snapshot ||
	    chunk.number != fetch->fetched.chunk ||
	    snapshot_chunk_size(chunk.frame.own) != fetch->op.size)
		return WAL_EDAMAGED;
	fetch->fetched.bytes = fetch->memory + SNAPSHOT_CHUNK_HEADER;
	fetch->fetched.size = chunk.frame.own;
	return 0;
}

uint64_t wal_snapshot_newest(const struct wal *wal, uint64_t *ret_term,
			     uint64_t *ret_chunks, const void **ret_head,
			     uint32_t *ret_head_size)
{
	const struct log_newest *newest = &wal->newest;

	if (newest->file < 0)
		return 0;
	*ret_term = newest->meta.term;
	*ret_chunks = fetch_chunk_count(&newest->meta);
	*ret_head = newest->head;
	*ret_head_size = newest->head_size;
	return newest->meta.index;
}

/* ---- the end of a read ---- */

bool log_fetch_owns(const struct wal *wal, const struct disk_op *op)
{
	uint32_t i;

	for (i = 0; i < wal->fetch_count; i++) {
		if (op == &wal->fetches[i].op)
			return true;
	}
	return false;
}

bool log_fetch_reads(const struct wal *wal, int file)
{
	uint32_t i;

	for (i = 0; i < wal->fetch_count; i++) {
		if (wal->fetches[i].state == FETCH_READING &&
		    wal->fetches[i].op.file == file)
			return true;
	}
	return false;
}

void log_fetch_done(struct wal *wal, struct disk_op *op)
{
	struct log_fetch *fetch = wal->fetches;
	int r;

	while (op != &fetch->op)
		fetch++;
	assert(fetch->state == FETCH_READING);
	fetch->state = FETCH_OVER;
	if (fetch->ended) {
		fetch->state = FETCH_FREE;
		return;
	}
	if (wal->failed)
		r = WAL_EFAILED;
	else if (op->result < 0)
		r = op->result;
	else if ((uint32_t)op->result != op->size)
		r = -EIO;
	else
		r = fetch->is_chunk ? fetch_check_chunk(fetch)
				    : fetch_walk(wal, fetch);
	if (r <= 0)
		fetch->result = r;
}

void log_fetch_void(struct wal *wal, uint64_t first)
{
	struct log_fetch *fetch;
	uint32_t i;

	for (i = 0; i < wal->fetch_count; i++) {
		fetch = &wal->fetches[i];
		if (fetch->state == FETCH_FREE || fetch->is_chunk)
			continue;
		if (fetch->end_index > first)
			fetch->end_index = first;
		if (fetch->state == FETCH_OVER &&
		    fetch->fetched.last_index >= first)
			fetch->result = -ENOENT;
	}
}

int wal_fetched(struct wal *wal, int ticket, struct wal_fetched *ret_fetched)
{
	const struct log_fetch *fetch = fetch_at(wal, ticket);

	if (fetch->state == FETCH_READING)
		return -EINPROGRESS;
	if (fetch->result < 0)
		return fetch->result;
	*ret_fetched = fetch->fetched;
	return 0;
}

void wal_fetch_end(struct wal *wal, int ticket)
{
	struct log_fetch *fetch = fetch_at(wal, ticket);

	if (fetch->state == FETCH_READING)
		fetch->ended = true;
	else
		fetch->state = FETCH_FREE;
}
