/*
 * What is durable; see tests/sim/ghost.h.
 */
#include "tests/sim/ghost.h"
#include "tests/sim/folder.h"
#include "tests/sim/history.h"
#include "tests/sim/model.h"
#include "tests/sim/sim.h"

#include "raft/entry.h"
#include "wal/record.h"
#include "wal/segment.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum ghost_limits {
	GHOST_STORE_SIZE = 64 << 20,
	GHOST_FILES_MAX = 16,
	GHOST_BUDGET = 1 << 16,
};

/* A record that a crash may have left, until recovery decides. */
struct maybe {
	bool pending;
	int file;
	uint64_t offset;
	uint8_t *bytes;
	uint32_t size;
	uint32_t room;
};

struct ghost {
	struct store *store;
	uint8_t *memory;
	uint64_t index;
	uint64_t term;
	uint64_t sequence; /* of the newest record */
	uint64_t loose; /* records without entries may stand up to here */
	struct store_hash *hashes; /* by index */
	uint64_t hashes_room;
	struct maybe maybe;
	int newest_file;
	uint64_t newest_offset;
	uint32_t newest_size;
	int unnamed[GHOST_FILES_MAX];
	uint32_t unnamed_count;
	uint64_t drops;
	uint64_t shown;
	uint64_t named; /* revision up to which names were found durable */
	uint32_t segments_seen;
};

static struct ghost ghost;

static const struct store_settings settings = {
	.quota_bytes = GHOST_STORE_SIZE / 16,
	.retention_ms = 300000,
	.session_expiry_ms = 600000,
	.tombstone_ms = 600000,
	.sessions_max = 4096,
	.store_address_bytes = GHOST_STORE_SIZE,
	.lease_reads = 0,
};

const struct store_settings *ghost_settings(void)
{
	return &settings;
}

void ghost_clear(void)
{
	uint8_t *memory = ghost.memory;
	struct store_hash *hashes = ghost.hashes;
	uint64_t hashes_room = ghost.hashes_room;
	struct maybe maybe = ghost.maybe;
	if (memory == NULL) {
		memory = mmap(NULL, GHOST_STORE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
		assert(memory != MAP_FAILED);
	}
	int status = madvise(memory, GHOST_STORE_SIZE, MADV_DONTNEED);
	assert(status == 0);
	memset(&ghost, 0, sizeof(ghost));
	ghost.memory = memory;
	ghost.hashes = hashes;
	ghost.hashes_room = hashes_room;
	ghost.maybe = maybe;
	ghost.maybe.pending = false;
	ghost.newest_file = -1;
	status = store_init(&ghost.store, memory, GHOST_STORE_SIZE, &settings);
	assert(status == 0);
	history_clear();
}

uint64_t ghost_index(void)
{
	return ghost.index;
}

uint64_t ghost_revision(void)
{
	return store_revision(ghost.store);
}

uint64_t ghost_compacted(void)
{
	return store_compacted(ghost.store);
}

uint64_t ghost_drops(void)
{
	return ghost.drops;
}

uint64_t ghost_shown_revision(void)
{
	return ghost.shown;
}

bool ghost_newest_record(int *ret_file, uint64_t *ret_offset,
			 uint32_t *ret_size)
{
	if (ghost.newest_file < 0)
		return false;
	*ret_file = ghost.newest_file;
	*ret_offset = ghost.newest_offset;
	*ret_size = ghost.newest_size;
	return true;
}

/* ---- entries ---- */

static void remember_hash(void)
{
	if (ghost.index >= ghost.hashes_room) {
		uint64_t room =
			ghost.hashes_room == 0 ? 4096 : ghost.hashes_room * 2;
		ghost.hashes =
			realloc(ghost.hashes, room * sizeof(*ghost.hashes));
		assert(ghost.hashes != NULL);
		ghost.hashes_room = room;
	}
	store_hash(ghost.store, &ghost.hashes[ghost.index]);
}

static void hear_operations(const struct entry_header *header,
			    const uint8_t *payload)
{
	uint32_t count = 0;
	const struct store_result *results = store_results(ghost.store, &count);
	sim_check(count == header->op_count,
		  "entry %" PRIu64 " of %u operations has %u results",
		  header->index, header->op_count, count);
	uint32_t at = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct op_header op;
		memcpy(&op, payload + at, sizeof(op));
		uint32_t begin = op.flags & OP_BEGIN
					 ? (uint32_t)sizeof(struct op_begin)
					 : 0;
		const uint8_t *key = payload + at + OP_HEADER_SIZE + begin;
		history_applied(&op, key, key + op.key_size, &results[i]);
		at += op.size;
	}
	if (count > 1)
		SIM_SOMETIMES(BATCH_OF_MANY);
}

static void apply(const uint8_t *bytes, const struct entry_header *header)
{
	struct raft_entry entry = {
		.index = header->index,
		.term = header->term,
		.kind = header->kind,
		.size = header->size,
		.data = bytes,
	};
	sim_check(header->index == ghost.index + 1,
		  "entry %" PRIu64 " is written, and %" PRIu64
		  " entries are durable",
		  header->index, ghost.index);
	sim_check(header->term >= ghost.term,
		  "entry %" PRIu64 " has an older term", header->index);
	store_apply_begin(ghost.store, &entry);
	while (store_apply(ghost.store, GHOST_BUDGET) != 0)
		continue;
	ghost.index = header->index;
	ghost.term = header->term;
	if (header->kind == ENTRY_NORMAL)
		hear_operations(header, entry_payload(bytes));
	if (header->kind == ENTRY_SESSION_EXPIRE)
		SIM_SOMETIMES(SESSION_EXPIRED);
	ghost.drops += header->kind == ENTRY_SESSION_DROP;
	if (header->kind == ENTRY_COMPACTION) {
		SIM_SOMETIMES(LEADER_COMPACTED);
		model_compacted_to(store_compacted(ghost.store));
	}
	remember_hash();
	while (store_compact(ghost.store, GHOST_BUDGET) != 0)
		continue;
}

static void take_entries(const struct record_header *record,
			 const uint8_t *payload)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < record->entry_count; i++) {
		struct entry_header header;
		int code = entry_check(payload + at, record->payload_size - at,
				       &header);
		sim_check(code == 0, "a durable entry is malformed: %d", code);
		apply(payload + at, &header);
		at += entry_size(header.size);
	}
	sim_check(at == record->payload_size,
		  "a record holds more than its entries");
}

/* ---- records ---- */

static void check_sequence(const struct record_header *record)
{
	uint64_t next = ghost.sequence + 1;
	/* A folder that was not ready when its maker died is made anew. */
	bool first = ghost.index == 0 && record->sequence == 1;
	bool fits = first || record->sequence == next ||
		    (record->sequence > next &&
		     record->sequence <= ghost.loose + 1);
	sim_check(fits, "record %" PRIu64 " is written behind record %" PRIu64,
		  record->sequence, ghost.sequence);
}

static void note_file(int file)
{
	if (folder_named(file))
		return;
	for (uint32_t i = 0; i < ghost.unnamed_count; i++)
		if (ghost.unnamed[i] == file)
			return;
	assert(ghost.unnamed_count < GHOST_FILES_MAX);
	ghost.unnamed[ghost.unnamed_count++] = file;
}

static void take_record(int file, uint64_t offset, const uint8_t *bytes,
			uint32_t size)
{
	struct record_header record;
	int code = record_check_header(bytes, &record);
	sim_check(code == 0, "a durable record is malformed: %d", code);
	sim_check(record.frame.own * DISK_BLOCK == size,
		  "a record of %u blocks is written as %u bytes",
		  record.frame.own, size);
	sim_check(record_bad_block(bytes, &record) < 0,
		  "a durable record has a bad block");
	check_sequence(&record);
	sim_trace("ghost: record %, entries % to %", record.sequence,
		  record.first_index, record.last_index);
	ghost.sequence = record.sequence;
	ghost.loose = 0;
	ghost.newest_file = file;
	ghost.newest_offset = offset;
	ghost.newest_size = size;
	note_file(file);
	take_entries(&record, bytes + record.payload);
}

/* The record in what was written, behind a segment's header if there is one;
 * NULL when it is something else: zeros, or another file's. */
static const uint8_t *find_record(int file, const uint8_t *bytes,
				  uint32_t *size, uint64_t *offset)
{
	struct segment_header segment;
	uint32_t number;
	if (!segment_parse(folder_name(file), &number))
		return NULL;
	if (segment_check(bytes, &segment) == 0) {
		if (*size == DISK_BLOCK)
			return NULL;
		SIM_SOMETIMES(SEGMENT_ROTATED);
		if (number < 32) {
			if ((ghost.segments_seen >> number & 1) != 0)
				SIM_SOMETIMES(SEGMENT_RECYCLED);
			ghost.segments_seen |= 1u << number;
		}
		*size -= DISK_BLOCK;
		*offset += DISK_BLOCK;
		return bytes + DISK_BLOCK;
	}
	struct record_header record;
	return record_check_header(bytes, &record) == 0 ? bytes : NULL;
}

static void keep_maybe(int file, uint64_t offset, const void *data,
		       uint32_t size)
{
	struct maybe *maybe = &ghost.maybe;
	sim_trace("ghost: a record at % of file % may be there", offset, file);
	if (maybe->room < size) {
		free(maybe->bytes);
		maybe->bytes = malloc(size);
		assert(maybe->bytes != NULL);
		maybe->room = size;
	}
	memcpy(maybe->bytes, data, size);
	maybe->pending = true;
	maybe->file = file;
	maybe->offset = offset;
	maybe->size = size;
}

void ghost_written(int file, uint64_t offset, const void *data, uint32_t size)
{
	const uint8_t *record = find_record(file, data, &size, &offset);
	if (record != NULL)
		take_record(file, offset, record, size);
}

void ghost_cut(int file, uint64_t offset, const void *data, uint32_t size)
{
	const uint8_t *record = find_record(file, data, &size, &offset);
	if (record != NULL && folder_holds(file, offset, record, size))
		keep_maybe(file, offset, record, size);
}

/* ---- recovery ---- */

static uint64_t last_of(const struct wal_report *report)
{
	return report->last_index > report->snapshot_index
		       ? report->last_index
		       : report->snapshot_index;
}

void ghost_recovered(const struct wal_report *report)
{
	uint64_t last = last_of(report);
	struct maybe *maybe = &ghost.maybe;
	if (maybe->pending) {
		struct record_header record;
		int code = record_check_header(maybe->bytes, &record);
		assert(code == 0);
		maybe->pending = false;
		if (record.entry_count == 0 && record.sequence > ghost.loose)
			ghost.loose = record.sequence;
		if (record.entry_count > 0 && last >= record.last_index)
			take_record(maybe->file, maybe->offset, maybe->bytes,
				    maybe->size);
	}
	sim_check(last >= ghost.index,
		  "recovery found entries to %" PRIu64 ", and %" PRIu64
		  " were durable (%s)",
		  last, ghost.index, report->where);
	sim_check(last <= ghost.index,
		  "recovery found entries to %" PRIu64 ", and only %" PRIu64
		  " were ever written",
		  last, ghost.index);
	sim_check(report->hard.term >= ghost.term,
		  "recovery found term %" PRIu64 ", and %" PRIu64
		  " was durable",
		  report->hard.term, ghost.term);
}

void ghost_compare(const struct store *store)
{
	uint64_t applied = store_applied(store);
	struct store_hash hash;
	sim_check(applied <= ghost.index,
		  "entry %" PRIu64 " is applied, and %" PRIu64 " are durable",
		  applied, ghost.index);
	if (applied == 0)
		return;
	store_hash(store, &hash);
	sim_check(hash.low == ghost.hashes[applied].low &&
			  hash.high == ghost.hashes[applied].high,
		  "the state at entry %" PRIu64
		  " is not what the log alone gives",
		  applied);
}

void ghost_shown(uint64_t revision)
{
	sim_check(revision <= store_revision(ghost.store),
		  "revision %" PRIu64 " is shown, and %" PRIu64 " is durable",
		  revision, store_revision(ghost.store));
	if (revision > ghost.shown)
		ghost.shown = revision;
	if (revision <= ghost.named)
		return;
	for (uint32_t i = 0; i < ghost.unnamed_count; i++)
		sim_check(folder_named(ghost.unnamed[i]),
			  "revision %" PRIu64 " is shown, and its segment has "
			  "no durable name",
			  revision);
	ghost.unnamed_count = 0;
	ghost.named = revision;
}
