/*
 * Buffers, and the record in flight.
 *
 * A buffer is one stretch of blocks: a spare one in front, into which the
 * segment header goes when its record begins a segment, then the record with
 * its header, its table and the entries where their builder put them. So
 * whatever is written is one write from one place, and nothing is copied.
 */
#include "raft/entry.h"
#include "wal/log.h"

#include <assert.h>

/* ---- buffers ---- */

static uint8_t *buffer_record(const struct wal *wal,
			      const struct wal_buffer *buffer)
{
	return wal->buffer_memory + (size_t)buffer->id * wal->buffer_size +
	       DISK_BLOCK;
}

uint32_t wal_buffer_max(const struct wal *wal)
{
	uint32_t blocks = wal->buffer_size / DISK_BLOCK - 1;

	return blocks > WAL_BLOCKS_SMALL
		       ? record_room(RECORD_PAYLOAD_LARGE, blocks)
		       : record_room(RECORD_PAYLOAD_SMALL, blocks);
}

struct wal_buffer *wal_buffer_open(struct wal *wal, uint32_t hint)
{
	uint32_t blocks = wal->buffer_size / DISK_BLOCK - 1;
	uint32_t payload = RECORD_PAYLOAD_SMALL;
	struct wal_buffer *buffer;
	uint32_t i;

	if (hint > record_room(RECORD_PAYLOAD_SMALL, WAL_BLOCKS_SMALL))
		payload = RECORD_PAYLOAD_LARGE;
	else if (blocks > WAL_BLOCKS_SMALL)
		blocks = WAL_BLOCKS_SMALL;
	if (hint > record_room(payload, blocks))
		return NULL;
	for (i = 0; i < wal->options.buffers; i++) {
		buffer = &wal->buffers[i];
		if (buffer->holds > 0)
			continue;
		buffer->id = i;
		buffer->holds = 1;
		buffer->used = 0;
		buffer->payload = buffer_record(wal, buffer) + payload;
		buffer->room = record_room(payload, blocks);
		return buffer;
	}
	return NULL;
}

uint32_t wal_buffers_free(const struct wal *wal)
{
	uint32_t i, count = 0;

	for (i = 0; i < wal->options.buffers; i++)
		count += wal->buffers[i].holds == 0;
	return count;
}

void wal_buffer_hold(struct wal *wal, struct wal_buffer *buffer)
{
	assert(buffer == &wal->buffers[buffer->id]);
	assert(buffer->holds > 0);
	buffer->holds++;
}

void wal_buffer_release(struct wal *wal, struct wal_buffer *buffer)
{
	assert(buffer == &wal->buffers[buffer->id]);
	assert(buffer->holds > 0);
	buffer->holds--;
}

/* ---- records ---- */

void log_begin_segment(struct wal *wal, uint32_t spare, void *block,
		       uint64_t first_index)
{
	uint64_t before = wal->live_count ? log_tail(wal)->segment : 0;
	struct segment_header header = {0};
	struct segment *segment;

	assert(spare < wal->spare_count);
	assert(wal->live_count < LOG_SEGMENTS_MAX);
	segment = &wal->live[wal->live_count++];
	*segment = wal->spares[spare];
	wal->spares[spare] = wal->spares[--wal->spare_count];
	if (before < wal->keeper.meta.newest_segment)
		before = wal->keeper.meta.newest_segment;
	segment->segment = before + 1;
	segment->salt = log_salt(wal);
	segment->first_sequence = wal->next_sequence;
	segment->last_index = 0;
	segment->used = 1;

	header.frame.own = segment->blocks;
	memcpy(header.cluster, wal->options.cluster, sizeof(header.cluster));
	header.member = wal->options.member;
	header.segment = segment->segment;
	header.salt = segment->salt;
	header.first_sequence = segment->first_sequence;
	header.first_index = first_index;
	segment_seal(block, &header);
}

void log_describe(const struct wal *wal, const struct segment *segment,
		  const struct raft_hard_state *hard,
		  struct record_header *ret_header)
{
	struct record_header header = {0};

	header.sequence = wal->next_sequence;
	header.durable = wal->durable_sequence;
	header.segment = segment->segment;
	header.salt = segment->salt;
	header.term = hard->term;
	header.vote = hard->vote;
	header.commit = hard->commit;
	header.payload = RECORD_PAYLOAD_SMALL;
	header.position = segment->used;
	memcpy(header.cluster, wal->options.cluster, sizeof(header.cluster));
	header.member = wal->options.member;
	*ret_header = header;
}

/* Blocks of the largest record that can ever be asked for. */
static uint32_t append_blocks_max(const struct wal *wal)
{
	return wal->buffer_size / DISK_BLOCK - 1;
}

bool wal_can_append(const struct wal *wal)
{
	const struct segment *tail = &wal->live[wal->live_count - 1];

	if (wal->failed || wal->record.busy || log_snapshot_replaces(wal) ||
	    log_index_full(wal) || wal->damage.found)
		return false;
	if (wal->spare_count > 0 && wal->live_count < LOG_SEGMENTS_MAX)
		return true;
	return !wal->fresh_segment &&
	       tail->blocks - tail->used >= append_blocks_max(wal);
}

/* Checks the entries that a builder hands in; returns the last one's term. */
static uint64_t append_index(struct wal *wal, const struct wal_buffer *buffer,
			     const struct log_mark *mark, uint64_t last)
{
	struct entry_header header = {0};
	uint32_t at = 0;
	uint64_t index;

	log_index_record(wal, mark);
	for (index = mark->index; index <= last; index++) {
		assert(at + ENTRY_HEADER_SIZE <= buffer->used);
		memcpy(&header, buffer->payload + at, sizeof(header));
		assert(header.index == index);
		log_index_term(wal, index, header.term);
		at += entry_size(header.size);
	}
	assert(at == buffer->used);
	return header.term;
}

/* Fills in what is known of the entries. */
static void append_describe(const struct wal *wal,
			    const struct wal_buffer *buffer, uint64_t first,
			    uint64_t last, struct record_header *header)
{
	uint8_t *record = buffer_record(wal, buffer);

	header->payload = (uint32_t)(buffer->payload - record);
	header->payload_size = buffer->used;
	header->first_index = first;
	header->last_index = last;
	header->entry_count = (uint32_t)(last - first + 1);
}

static void append_submit(struct wal *wal, uint8_t *record, uint32_t blocks,
			  bool begins)
{
	struct segment *tail = log_tail(wal);
	struct disk_op *op = &wal->record.op;

	op->kind = DISK_WRITE_DURABLE;
	op->file = tail->file;
	op->offset = (uint64_t)tail->used * DISK_BLOCK;
	op->buffer = record;
	op->size = blocks * DISK_BLOCK;
	if (begins) {
		op->offset -= DISK_BLOCK;
		op->buffer = record - DISK_BLOCK;
		op->size += DISK_BLOCK;
	}
	tail->used += blocks;
	wal->record.blocks = blocks;
	wal->stats.bytes += op->size;
	wal->log_bytes += op->size;
	wal->record.busy = true;
	wal->record.written = false;
	wal->record.begun_ns = wal->now_ns;
	disk_submit(wal->disk, op);
}

int wal_append(struct wal *wal, struct wal_buffer *buffer,
	       const struct raft_hard_state *hard, uint64_t first,
	       uint64_t last, uint64_t number)
{
	struct record_header header = {.payload = RECORD_PAYLOAD_SMALL};
	struct log_record *flight = &wal->record;
	struct log_mark mark = {.index = first};
	uint8_t *record = wal->empty_record + DISK_BLOCK;
	uint32_t blocks;
	bool begins;

	assert(!flight->busy);
	assert((buffer != NULL) == (first != 0));
	assert(!buffer || (buffer->used > 0 && buffer->used <= buffer->room));
	assert(first <= wal->last_index + 1);
	assert(!log_snapshot_replaces(wal));
	if (wal->failed)
		return WAL_EFAILED;
	if (buffer) {
		record = buffer_record(wal, buffer);
		header.payload = (uint32_t)(buffer->payload - record);
	}
	blocks = record_blocks(header.payload, buffer ? buffer->used : 0);
	begins = wal->fresh_segment ||
		 blocks > log_tail(wal)->blocks - log_tail(wal)->used;
	if (log_index_full(wal) || wal->damage.found)
		return -ENOSPC;
	if (begins &&
	    (wal->spare_count == 0 || wal->live_count == LOG_SEGMENTS_MAX))
		return -ENOSPC;
	if (begins)
		log_begin_segment(wal, 0, record - DISK_BLOCK, first);
	wal->fresh_segment = false;

	flight->done = (struct wal_done){.number = number};
	log_describe(wal, log_tail(wal), hard, &header);
	if (buffer) {
		append_describe(wal, buffer, first, last, &header);
		flight->done.index = last;
		mark.segment = header.segment;
		mark.sequence = header.sequence;
		mark.block = header.position;
		flight->done.term = append_index(wal, buffer, &mark, last);
		wal_buffer_hold(wal, buffer);
	}
	flight->buffer = buffer;
	flight->hard = *hard;
	wal->promised = *hard;
	flight->first_index = first;
	flight->last_index = last;
	flight->entry_count = header.entry_count;
	record_seal(record, &header);
	append_submit(wal, record, blocks, begins);
	wal->next_sequence++;
	if (last)
		wal->last_index = last;
	/* If term or vote are new, both writes are under way together. */
	log_keep_work(wal);
	disk_flush(wal->disk);
	return 0;
}

void log_record_done(struct wal *wal)
{
	struct log_record *flight = &wal->record;

	assert(flight->busy && !flight->written);
	if (flight->buffer)
		wal_buffer_release(wal, flight->buffer);
	if (flight->op.result == (int32_t)flight->op.size) {
		flight->written = true;
		return;
	}
	/* One is in flight at a time: it is the newest. */
	flight->busy = false;
	wal->keeper.meta.failed_sequence = wal->next_sequence - 1;
	wal->keeper.dirty = true;
	log_fail(wal);
}

static uint64_t append_slowest(const struct wal *wal)
{
	uint64_t took_ns = wal->now_ns - wal->record.begun_ns;

	return took_ns > wal->stats.stall_max_ns ? took_ns
						 : wal->stats.stall_max_ns;
}

uint64_t wal_stall_ns(const struct wal *wal, uint64_t now_ns)
{
	if (!wal->record.busy || now_ns <= wal->record.begun_ns)
		return 0;
	return now_ns - wal->record.begun_ns;
}

/*
 * A term or a vote counts when two copies have it: nobody else knows how this
 * member voted, so one bad block must not make it vote again.
 */
bool log_record_finish(struct wal *wal, struct wal_done *ret_done)
{
	const struct meta *known = &wal->keeper.durable;
	struct log_record *flight = &wal->record;
	struct segment *tail = log_tail(wal);

	if (!flight->busy || !flight->written || wal->failed ||
	    known->term != flight->hard.term ||
	    known->vote != flight->hard.vote)
		return false;
	flight->busy = false;
	wal->quiet_ns = wal->now_ns;
	wal->stats.stall_max_ns = append_slowest(wal);
	if (flight->last_index > tail->last_index)
		tail->last_index = flight->last_index;
	wal->durable_sequence = wal->next_sequence - 1;
	wal->durable_segment = tail->segment;
	if (flight->entry_count > 0) {
		wal->durable_index = flight->last_index;
		wal->durable_term = flight->done.term;
	}
	log_repair_check(wal);
	wal->hard = flight->hard;
	wal->stats.records++;
	wal->stats.entries += flight->entry_count;
	*ret_done = flight->done;
	return true;
}
