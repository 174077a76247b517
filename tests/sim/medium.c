/*
 * What each disk has; see tests/sim/medium.h.
 */
#include "tests/sim/medium.h"
#include "tests/sim/folder.h"
#include "tests/sim/ghost.h"
#include "tests/sim/sim.h"

#include "raft/entry.h"
#include "wal/meta.h"
#include "wal/record.h"
#include "wal/segment.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum medium_limits {
	MEDIUM_FILES_MAX = 32,
	MEDIUM_TERMS = 64, /* the last ones, of which votes are remembered */
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

struct logged {
	uint64_t term;
	uint64_t chain;
};

/* What was promised, or may have been, in a term. */
struct promise {
	uint64_t term;
	uint64_t vote; /* 0: none */
	uint64_t last; /* of the durable log, when it was last in this term */
};

/* A segment whose name is not durable yet, and the first entry in it. */
struct unnamed {
	int file;
	uint64_t first;
};

struct medium {
	struct logged *log; /* by index */
	uint64_t room;
	uint64_t last;
	uint64_t snapshot;
	uint64_t void_before;
	uint64_t sequence; /* of the newest record */
	bool gap; /* and the next one may be much later */
	bool damaged;
	uint64_t claimed; /* what it had before it was damaged */
	uint64_t highest; /* that was ever in this log */
	struct raft_hard_state hard;
	struct promise promises[MEDIUM_TERMS];
	struct maybe maybe;
	int newest_file;
	uint64_t newest_offset;
	uint32_t newest_size;
	struct unnamed unnamed[MEDIUM_FILES_MAX];
	uint32_t unnamed_count;
	uint32_t segments_seen;
};

static struct medium media[SIM_MACHINES_MAX];

void medium_clear(uint32_t machine)
{
	struct medium *medium = &media[machine];
	struct logged *log = medium->log;
	uint64_t room = medium->room;
	struct maybe maybe = medium->maybe;
	memset(medium, 0, sizeof(*medium));
	medium->log = log;
	medium->room = room;
	medium->maybe = maybe;
	medium->maybe.pending = false;
	medium->newest_file = -1;
}

uint64_t medium_last(uint32_t machine)
{
	return media[machine].last;
}

uint64_t medium_snapshot(uint32_t machine)
{
	return media[machine].snapshot;
}

uint64_t medium_term(uint32_t machine)
{
	return media[machine].hard.term;
}

uint64_t medium_term_at(uint32_t machine, uint64_t index)
{
	const struct medium *medium = &media[machine];
	return index > medium->snapshot && index <= medium->last
		       ? medium->log[index].term
		       : 0;
}

bool medium_has_tail(uint32_t machine, uint64_t committed)
{
	return media[machine].last > committed;
}

bool medium_newest_record(uint32_t machine, int *ret_file, uint64_t *ret_offset,
			  uint32_t *ret_size)
{
	const struct medium *medium = &media[machine];
	if (medium->newest_file < 0)
		return false;
	*ret_file = medium->newest_file;
	*ret_offset = medium->newest_offset;
	*ret_size = medium->newest_size;
	return true;
}

/* ---- promises ---- */

static struct promise *promise_of(struct medium *medium, uint64_t term)
{
	struct promise *promise = &medium->promises[term % MEDIUM_TERMS];
	assert(promise->term <= term);
	if (promise->term != term)
		*promise = (struct promise){.term = term};
	return promise;
}

/* What is durable now allows this to be promised. */
static void note_hard(struct medium *medium, const struct raft_hard_state *hard)
{
	struct promise *promise = promise_of(medium, hard->term);
	sim_check(promise->vote == 0 || hard->vote == 0 ||
			  promise->vote == hard->vote,
		  "machine %u votes for %" PRIu64 " in term %" PRIu64
		  ", and voted for %" PRIu64,
		  (uint32_t)(medium - media), hard->vote, hard->term,
		  promise->vote);
	if (hard->term != medium->hard.term || hard->vote != medium->hard.vote)
		sim_trace("disk %: term %, vote %", medium - media, hard->term,
			  hard->vote);
	if (hard->vote != 0)
		promise->vote = hard->vote;
	promise->last = medium->last;
	medium->hard = *hard;
}

/*
 * What waited for the disk may leave when a later term is durable, too: after
 * a crash nothing in the earlier one can be said again, or be said otherwise.
 */
bool medium_votes(uint32_t machine, uint64_t term, uint64_t candidate)
{
	struct medium *medium = &media[machine];
	if (medium->hard.term >= term + MEDIUM_TERMS)
		return true; /* too long ago to tell */
	struct promise *promise = promise_of(medium, term);
	if (promise->vote == 0 && medium->hard.term > term)
		promise->vote = candidate;
	return promise->vote == candidate;
}

bool medium_acknowledges(uint32_t machine, uint64_t term, uint64_t index)
{
	const struct medium *medium = &media[machine];
	const struct promise *promise = &medium->promises[term % MEDIUM_TERMS];
	return medium->hard.term > term ||
	       (promise->term == term && promise->last >= index);
}

/* ---- names ---- */

static void note_file(struct medium *medium, int file, uint64_t first)
{
	if (folder_named(file))
		return;
	for (uint32_t i = 0; i < medium->unnamed_count; i++)
		if (medium->unnamed[i].file == file)
			return;
	assert(medium->unnamed_count < MEDIUM_FILES_MAX);
	medium->unnamed[medium->unnamed_count++] =
		(struct unnamed){file, first};
}

/* Everything up to `index` lies in segments that will be found again. */
static bool is_named(struct medium *medium, uint64_t index)
{
	uint32_t kept = 0;
	bool found = true;
	for (uint32_t i = 0; i < medium->unnamed_count; i++) {
		if (folder_named(medium->unnamed[i].file))
			continue;
		found = found && medium->unnamed[i].first > index;
		medium->unnamed[kept++] = medium->unnamed[i];
	}
	medium->unnamed_count = kept;
	return found;
}

bool medium_holds(uint32_t machine, uint64_t index, uint64_t chain)
{
	struct medium *medium = &media[machine];
	if (index <= medium->snapshot)
		return true;
	uint64_t last = medium->damaged && medium->claimed > medium->last
				? medium->claimed
				: medium->last;
	return index <= last && medium->log[index].chain == chain &&
	       is_named(medium, index);
}

/* ---- entries ---- */

static struct logged *logged_at(struct medium *medium, uint64_t index)
{
	if (index >= medium->room) {
		uint64_t room = medium->room == 0 ? 4096 : medium->room;
		while (room <= index)
			room *= 2;
		medium->log =
			realloc(medium->log, room * sizeof(medium->log[0]));
		assert(medium->log != NULL);
		memset(&medium->log[medium->room], 0,
		       (room - medium->room) * sizeof(medium->log[0]));
		medium->room = room;
	}
	return &medium->log[index];
}

static void take_entry(struct medium *medium, const uint8_t *bytes,
		       const struct entry_header *header)
{
	uint64_t index = header->index;
	struct logged *before = logged_at(medium, index - 1);
	sim_check(index <= medium->last + 1 || index <= medium->snapshot + 1 ||
			  (medium->damaged && index <= medium->highest + 1),
		  "machine %u writes entry %" PRIu64 " behind entry %" PRIu64,
		  (uint32_t)(medium - media), index, medium->last);
	struct logged next = {header->term, 0};
	bool lost = index <= medium->snapshot + 1 ||
		    (medium->damaged && index - 1 <= ghost_index());
	if (index > 1)
		next.chain = lost ? ghost_chain(index - 1) : before->chain;
	next.chain = ghost_fact(bytes, header, next.chain);
	struct logged *entry = logged_at(medium, index);
	if (index <= medium->last && index <= ghost_index() &&
	    index > medium->snapshot)
		sim_check(entry->chain == next.chain ||
				  entry->chain != ghost_chain(index),
			  "machine %u overwrites entry %" PRIu64
			  ", which is committed",
			  (uint32_t)(medium - media), index);
	if (index <= medium->last && entry->chain != next.chain)
		SIM_SOMETIMES(TAIL_OVERWRITTEN);
	*entry = next;
	medium->last = index > medium->snapshot ? index : medium->snapshot;
	if (medium->last > medium->highest)
		medium->highest = medium->last;
}

static void take_entries(struct medium *medium,
			 const struct record_header *record,
			 const uint8_t *payload)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < record->entry_count; i++) {
		struct entry_header header;
		int code = entry_check(payload + at, record->payload_size - at,
				       &header);
		sim_check(code == 0, "a durable entry is malformed: %d", code);
		take_entry(medium, payload + at, &header);
		at += entry_size(header.size);
	}
	sim_check(at == record->payload_size,
		  "a record holds more than its entries");
}

/* ---- records ---- */

static void check_sequence(struct medium *medium,
			   const struct record_header *record)
{
	/* A folder that was not ready when its maker died is made anew. */
	bool blank = medium->last == 0 && medium->hard.term == 0;
	bool next = record->sequence == medium->sequence + 1;
	bool skips = medium->gap && record->sequence > medium->sequence;
	sim_check(next || skips || (blank && record->sequence == 1),
		  "machine %u: record %" PRIu64 " is written behind record "
		  "%" PRIu64,
		  (uint32_t)(medium - media), record->sequence,
		  medium->sequence);
	medium->gap = medium->gap && next;
}

/*
 * A damaged record is written anew: with nothing but what it had. What entries
 * of later terms have replaced since may stand in it as well.
 */
static void check_filled(struct medium *medium,
			 const struct record_header *record,
			 const uint8_t *payload)
{
	uint32_t at = 0;
	sim_trace("disk %: record % anew, entries % to %", medium - media,
		  record->sequence, record->first_index, record->last_index);
	sim_check(record->term <= medium->hard.term,
		  "machine %u says a later term in an old record",
		  (uint32_t)(medium - media));
	for (uint32_t i = 0; i < record->entry_count; i++) {
		struct entry_header header;
		int code = entry_check(payload + at, record->payload_size - at,
				       &header);
		sim_check(code == 0, "a durable entry is malformed: %d", code);
		sim_check(header.index <= medium->highest,
			  "machine %u fills in entry %" PRIu64
			  ", which it never had",
			  (uint32_t)(medium - media), header.index);
		struct logged *had = logged_at(medium, header.index);
		if (had->term <= header.term)
			sim_check(had->term == header.term &&
					  had->chain ==
						  ghost_fact(payload + at,
							     &header,
							     had[-1].chain),
				  "machine %u fills in another entry %" PRIu64,
				  (uint32_t)(medium - media), header.index);
		at += entry_size(header.size);
	}
}

static void take_record(struct medium *medium, int file, uint64_t offset,
			const uint8_t *bytes, uint32_t size)
{
	struct record_header record;
	int code = record_check_header(bytes, &record);
	sim_check(code == 0, "a durable record is malformed: %d", code);
	sim_check(record.frame.own * DISK_BLOCK == size,
		  "a record of %u blocks is written as %u bytes",
		  record.frame.own, size);
	sim_check(record_bad_block(bytes, &record) < 0,
		  "a durable record has a bad block");
	if (medium->damaged && record.sequence <= medium->sequence) {
		check_filled(medium, &record, bytes + record.payload);
		return;
	}
	check_sequence(medium, &record);
	sim_trace("disk %: record %, entries % to %", medium - media,
		  record.sequence, record.first_index, record.last_index);
	medium->sequence = record.sequence;
	medium->newest_file = file;
	medium->newest_offset = offset;
	medium->newest_size = size;
	if (record.entry_count > 0)
		note_file(medium, file, record.first_index);
	take_entries(medium, &record, bytes + record.payload);
	note_hard(medium, &(struct raft_hard_state){record.term, record.vote,
						    record.commit});
}

static void note_segment(struct medium *medium, uint32_t number)
{
	SIM_SOMETIMES(SEGMENT_ROTATED);
	if (number >= 32)
		return;
	if ((medium->segments_seen >> number & 1) != 0)
		SIM_SOMETIMES(SEGMENT_RECYCLED);
	medium->segments_seen |= 1u << number;
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
		note_segment(&media[folder_machine(file)], number);
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
	struct maybe *maybe = &media[folder_machine(file)].maybe;
	sim_trace("disk %: a record at % of file % may be there",
		  folder_machine(file), offset, file);
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

/* ---- meta ---- */

/* A snapshot that was received takes the place of all entries until now. */
static void replace_log(struct medium *medium, const struct meta *meta)
{
	uint64_t index = meta->snapshot.index;
	medium->void_before = meta->void_before;
	medium->last = index;
	medium->highest = index;
	medium->unnamed_count = 0;
	*logged_at(medium, index) = (struct logged){
		meta->snapshot.term,
		ghost_chain(index),
	};
	sim_trace("disk %: snapshot % takes the log's place", medium - media,
		  index);
}

static void take_meta(struct medium *medium, const uint8_t *pair)
{
	static uint8_t slots[META_SIZE]; /* the other pair stays zero */
	struct meta_view view;
	memcpy(slots, pair, META_PAIR_SIZE);
	int code = meta_choose(slots, &view);
	sim_check(code == 0 && view.found, "a version of meta is malformed");
	const struct meta_snapshot *named = &view.meta.snapshot;
	sim_check(named->index <= ghost_index(),
		  "machine %u names a snapshot of entry %" PRIu64
		  ", and only %" PRIu64 " are committed",
		  (uint32_t)(medium - media), named->index, ghost_index());
	sim_check(named->index == 0 ||
			  named->term == ghost_term_at(named->index),
		  "machine %u names a snapshot of another history",
		  (uint32_t)(medium - media));
	medium->snapshot = named->index;
	if (view.meta.void_before > medium->void_before)
		replace_log(medium, &view.meta);
	if (medium->last < named->index)
		medium->last = named->index;
	promise_of(medium, medium->hard.term)->last = medium->last;
}

void medium_written(int file, uint64_t offset, const void *data, uint32_t size)
{
	struct medium *medium = &media[folder_machine(file)];
	if (strcmp(folder_name(file), "meta") == 0) {
		if (size == META_PAIR_SIZE)
			take_meta(medium, data);
		return;
	}
	const uint8_t *record = find_record(file, data, &size, &offset);
	if (record != NULL)
		take_record(medium, file, offset, record, size);
}

void medium_cut(int file, uint64_t offset, const void *data, uint32_t size)
{
	const uint8_t *record = find_record(file, data, &size, &offset);
	if (record != NULL && folder_holds(file, offset, record, size))
		keep_maybe(file, offset, record, size);
}

/* ---- recovery ---- */

/* The record that may have been there: if it is still whole, it counts. */
static void settle_maybe(struct medium *medium)
{
	struct maybe *maybe = &medium->maybe;
	if (!maybe->pending)
		return;
	struct record_header record;
	int code = record_check_header(maybe->bytes, &record);
	assert(code == 0);
	maybe->pending = false;
	bool there = folder_name(maybe->file)[0] != '\0' &&
		     folder_size(maybe->file) >= maybe->offset + maybe->size &&
		     folder_holds(maybe->file, maybe->offset, maybe->bytes,
				  maybe->size);
	if (there && record.sequence == medium->sequence + 1)
		take_record(medium, maybe->file, maybe->offset, maybe->bytes,
			    maybe->size);
}

static void check_hard(const struct medium *medium,
		       const struct raft_hard_state *found)
{
	const struct raft_hard_state *hard = &medium->hard;
	sim_check(found->term >= hard->term,
		  "machine %u recovers term %" PRIu64 ", and %" PRIu64
		  " was durable",
		  (uint32_t)(medium - media), found->term, hard->term);
	sim_check(found->term > hard->term || found->vote == hard->vote ||
			  hard->vote == 0,
		  "machine %u recovers a vote for %" PRIu64
		  ", and one for %" PRIu64 " was durable",
		  (uint32_t)(medium - media), found->vote, hard->vote);
	sim_check(medium->damaged || found->commit >= hard->commit,
		  "machine %u recovers commit %" PRIu64 ", and %" PRIu64
		  " was durable",
		  (uint32_t)(medium - media), found->commit, hard->commit);
}

void medium_damaged(uint32_t machine, const struct wal_report *report)
{
	struct medium *medium = &media[machine];
	settle_maybe(medium);
	if (!medium->damaged || medium->claimed < medium->last)
		medium->claimed = medium->last;
	medium->damaged = true;
	medium->gap = true;
	/* What the damaged records had replaced is there again. */
	sim_check(report->last_index <= medium->claimed ||
			  report->last_index <= medium->highest,
		  "machine %u recovers entries to %" PRIu64
		  ", and only %" PRIu64 " were ever written",
		  machine, report->last_index, medium->highest);
	check_hard(medium, &report->hard);
	note_hard(medium, &report->hard);
}

void medium_whole(uint32_t machine)
{
	media[machine].damaged = false;
	media[machine].claimed = 0;
}

void medium_recovered(uint32_t machine, const struct wal_report *report)
{
	struct medium *medium = &media[machine];
	uint64_t last = report->last_index > report->snapshot_index
				? report->last_index
				: report->snapshot_index;
	medium_whole(machine);
	settle_maybe(medium);
	sim_check(last >= medium->last,
		  "machine %u recovers entries to %" PRIu64 ", and %" PRIu64
		  " were durable (%s)",
		  machine, last, medium->last, report->where);
	sim_check(last <= medium->last,
		  "machine %u recovers entries to %" PRIu64
		  ", and only %" PRIu64 " were ever written",
		  machine, last, medium->last);
	check_hard(medium, &report->hard);
	note_hard(medium, &report->hard);
}

void medium_check_log(uint32_t machine, const struct raft *raft)
{
	const struct medium *medium = &media[machine];
	struct raft_status status;
	raft_status(raft, &status);
	sim_check(status.last_index == medium->last || medium->damaged,
		  "machine %u loads entries to %" PRIu64 ", and %" PRIu64
		  " were recovered",
		  machine, status.last_index, medium->last);
	/* What stands at the end of a damaged log may have been replaced. */
	uint64_t last = medium->damaged ? status.commit : medium->last;
	for (uint64_t i = status.first_index; i <= last; i++) {
		const struct raft_entry *entry = raft_entry_at(raft, i);
		uint64_t term = medium->damaged ? ghost_term_at(i)
						: medium->log[i].term;
		sim_check(entry != NULL && entry->term == term,
			  "machine %u loads another entry %" PRIu64, machine,
			  i);
	}
}
