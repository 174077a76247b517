/*
 * Going on without what is damaged, in a cluster where the others have it.
 *
 * A member that finds acknowledged records damaged keeps what is before them
 * and gets the rest again from its peers, as any member does that lags. What
 * must not happen is that it forgets that it once held more: it would vote as
 * if it had never acknowledged what is missing. So there are two steps.
 *
 *   found  The log was opened up to the damage. The disk is as it was; only
 *          `meta` says, as far as the records do not show it themselves, that
 *          what is damaged was durable, so that it is found again and is never
 *          taken for a torn end. A block that could not be read today may be
 *          there tomorrow, and then all is well. Nothing can be appended.
 *   noted  The owner has found a leader and called wal_repair(). `meta` says
 *          which records are skipped from now on, and what may be missing;
 *          then the log goes on in a new segment, with a sequence that was
 *          never used before. The damaged records and those behind them stay
 *          as they are until a snapshot covers them.
 *
 * The log is whole again when it ends with an entry of a later term than any
 * that the lost records may have been written in: that leader's log held all
 * that was committed before (Raft, Leader Completeness), and this log is a
 * copy of it up to there. In the same term it must in addition reach as far
 * as the lost records may have reached.
 */
#include "wal/log.h"

#include <assert.h>

/* ---- gaps ---- */

const struct meta_gap *log_gap_at(const struct wal *wal, uint64_t sequence)
{
	const struct meta_gap *gap = wal->keeper.meta.gaps;
	uint32_t i;

	for (i = 0; i < META_GAPS; i++, gap++) {
		if (gap->from > 0 && gap->from <= sequence &&
		    sequence < gap->resume)
			return gap;
	}
	return NULL;
}

bool log_gap_ends(const struct wal *wal, uint64_t sequence)
{
	const struct meta_gap *gap = wal->keeper.meta.gaps;
	uint32_t i;

	for (i = 0; i < META_GAPS; i++, gap++) {
		if (gap->from > 0 && gap->resume == sequence)
			return true;
	}
	return false;
}

/* Keeps the gaps that begin before `end` and do not end before `begin`. */
static uint32_t gaps_keep(struct meta *meta, uint64_t begin, uint64_t end)
{
	uint32_t count = 0;
	uint32_t i;

	for (i = 0; i < META_GAPS; i++) {
		if (meta->gaps[i].from > 0 && meta->gaps[i].from < end &&
		    meta->gaps[i].resume >= begin)
			meta->gaps[count++] = meta->gaps[i];
	}
	for (i = count; i < META_GAPS; i++)
		meta->gaps[i] = (struct meta_gap){0};
	return count;
}

void log_gaps_trim(struct wal *wal, uint64_t begin, uint64_t end)
{
	(void)gaps_keep(&wal->keeper.meta, begin, end);
}

/* ---- found ---- */

/* What stands on the disk from where the walk stopped. */
struct repair_survey {
	uint64_t expected; /* behind the last intact head */
	uint64_t last_index; /* of the log as it was */
	uint64_t last_term; /* no entry up to there has a later one */
	bool known; /* that these are right */
	uint32_t segment; /* the end of the last intact head's record */
	uint32_t block;
};

static void survey_record(struct wal *wal, struct repair_survey *survey,
			  uint32_t i, const struct record_header *header)
{
	struct raft_hard_state *hard = &wal->hard;

	/* Behind a hole nobody knows, until entries say where the log ends. */
	if (header->sequence != survey->expected)
		survey->known = false;
	survey->expected = header->sequence + 1;
	survey->segment = i;
	survey->block = header->position + header->frame.own;
	if (header->entry_count > 0) {
		survey->known = true;
		survey->last_index = header->last_index;
		survey->last_term = header->term;
	}
	if (header->last_index > wal->live[i].last_index)
		wal->live[i].last_index = header->last_index;
	if (header->term >= hard->term) {
		hard->term = header->term;
		hard->vote = header->vote;
	}
	if (header->commit > hard->commit)
		hard->commit = header->commit;
}

/* Whether nothing can have been behind what was found. */
static bool survey_is_whole(struct wal *wal, const struct repair_survey *survey)
{
	const struct meta *meta = &wal->keeper.meta;
	struct log_cursor cursor = {.window_file = -1};

	if (!survey->known || survey->segment + 1 != wal->live_count ||
	    log_tail(wal)->segment < meta->newest_segment ||
	    log_tail(wal)->segment == wal->damage.cut_segment ||
	    survey->expected <= meta->durable_sequence)
		return false;
	cursor.segment = survey->segment;
	cursor.block = survey->block;
	return scan_record(wal, &cursor, survey->expected) == SCAN_END;
}

static void survey_all(struct wal *wal, const struct log_stop *stop,
		       struct repair_survey *survey)
{
	struct record_header header;
	uint32_t block = stop->block;
	uint32_t i;

	for (i = stop->segment; i < wal->live_count; i++, block = 1) {
		/* The head of the damaged one may be intact. */
		while (block < wal->live[i].blocks &&
		       scan_evidence(wal, &wal->live[i], block,
				     survey->expected - 1, &header)) {
			survey_record(wal, survey, i, &header);
			block = header.position + 1;
		}
	}
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Where the log is to go on: behind all that was ever written. */
static uint64_t repair_resume(const struct wal *wal, uint64_t sequence)
{
	const struct meta *meta = &wal->keeper.meta;
	uint32_t i;

	sequence = larger(sequence, meta->durable_sequence + 1);
	for (i = 0; i < META_GAPS; i++)
		sequence = larger(sequence, meta->gaps[i].resume);
	return sequence + LOG_GAP_SLACK;
}

int log_repair_found(struct wal *wal, const struct log_stop *stop)
{
	struct repair_survey survey = {.expected = wal->next_sequence};
	struct log_damage *damage = &wal->damage;
	const struct meta *meta = &wal->keeper.meta;
	struct meta known = *meta;

	/* Without any record before it the gap is all there is. */
	damage->gap.from = wal->report->records ? wal->next_sequence : 1;
	if (gaps_keep(&known, 0, damage->gap.from) == META_GAPS)
		return WAL_EDAMAGED; /* what is damaged was noted */
	survey_all(wal, stop, &survey);
	damage->proof = larger(damage->proof, stop->proof);
	damage->proof = larger(damage->proof, survey.expected - 1);
	damage->gap.resume = repair_resume(wal, survey.expected);
	damage->last = UINT64_MAX;
	damage->term = larger(wal->hard.term, meta->term);
	if (survey_is_whole(wal, &survey)) {
		damage->last = survey.last_index;
		damage->term = survey.last_term;
	}
	damage->last = larger(damage->last, meta->damaged_last);
	damage->last = larger(damage->last, wal->must_reach.index);
	damage->last = larger(damage->last, larger(meta->commit, 1));
	damage->last = larger(damage->last, wal->hard.commit);
	damage->term = larger(damage->term, meta->damaged_term);
	damage->term = larger(damage->term, wal->must_reach.term);
	damage->found = true;
	wal->next_sequence = damage->gap.resume;
	return 0;
}

int log_repair_all(struct wal *wal)
{
	struct log_stop stop = {.block = 1};

	log_fill_forget(wal);
	log_index_void(wal, 0);
	wal->last_index = 0;
	wal->log_bytes = 0;
	wal->report->records = 0;
	if (wal->live_count > 0)
		wal->next_sequence = wal->live[0].first_sequence;
	return log_repair_found(wal, &stop);
}

/* ---- noted ---- */

static void repair_note(struct wal *wal)
{
	struct log_damage *damage = &wal->damage;
	struct meta *meta = &wal->keeper.meta;

	meta->frame.own = META_READY;
	meta->failed_sequence = 0;
	memcpy(meta->boot_id, wal->boot_id, sizeof(meta->boot_id));
	meta->snapshot = damage->snapshot;
	meta->previous = (struct meta_snapshot){0};
	meta->gaps[gaps_keep(meta, 0, damage->gap.from)] = damage->gap;
	meta->damaged_last = damage->last;
	meta->damaged_term = damage->term;
	damage->asked = true;
	wal->keeper.dirty = true;
}

int log_repair_open(struct wal *wal)
{
	struct log_damage *damage = &wal->damage;
	struct meta *meta = &wal->keeper.meta;
	int r;

	damage->snapshot = meta->snapshot;
	*meta = damage->read;
	wal->durable_sequence = wal->next_sequence - 1;
	wal->fresh_segment = true;
	if (wal->live_count == 0) {
		/* There is nothing that could come back. */
		repair_note(wal);
		r = log_keep_now(wal);
		if (r == 0)
			r = log_start_now(wal);
		if (r < 0)
			return r;
		damage->found = false;
		wal->fresh_segment = false;
		wal->keeper.dirty = false;
		return log_keep_ready(wal);
	}
	wal->durable_segment = log_tail(wal)->segment;
	if (meta->durable_sequence >= damage->proof &&
	    meta->term >= wal->hard.term)
		return 0;
	meta->durable_sequence = larger(meta->durable_sequence, damage->proof);
	if (meta->term < wal->hard.term) {
		meta->term = wal->hard.term;
		meta->vote = wal->hard.vote;
	}
	return log_keep_put(wal);
}

void log_repair_noted(struct wal *wal)
{
	if (!wal->damage.asked || !wal->damage.found)
		return;
	wal->damage.found = false;
	log_repair_check(wal);
}

void log_repair_check(struct wal *wal)
{
	struct meta *meta = &wal->keeper.meta;

	if (wal->damage.found || meta->damaged_last == 0)
		return;
	if (wal->durable_term < meta->damaged_term ||
	    (wal->durable_term == meta->damaged_term &&
	     wal->durable_index < meta->damaged_last))
		return;
	meta->damaged_last = 0;
	meta->damaged_term = 0;
	wal->keeper.dirty = true;
}

/* ---- the owner's side ---- */

bool wal_damaged(const struct wal *wal, struct wal_damage *ret_damage)
{
	const struct meta *meta = &wal->keeper.meta;

	if (!wal->damage.found && meta->damaged_last == 0)
		return false;
	ret_damage->first = wal->durable_index + 1;
	ret_damage->last = meta->damaged_last;
	ret_damage->term = meta->damaged_term;
	ret_damage->noted = !wal->damage.found;
	if (wal->damage.found) {
		ret_damage->last = wal->damage.last;
		ret_damage->term = wal->damage.term;
	}
	return true;
}

void wal_damage_ends(struct wal *wal, uint64_t last)
{
	struct meta *meta = &wal->keeper.meta;

	last = larger(last, 1);
	if (wal->damage.found && last < wal->damage.last)
		wal->damage.last = last;
	/* Before it is noted `meta` stays as it was found. */
	if (last >= meta->damaged_last ||
	    (wal->damage.found && !wal->damage.asked))
		return;
	meta->damaged_last = last;
	wal->keeper.dirty = true;
	log_repair_check(wal);
}

void wal_repair(struct wal *wal)
{
	if (wal->damage.found && !wal->damage.asked && !wal->failed &&
	    !log_fill_busy(wal))
		repair_note(wal);
}
