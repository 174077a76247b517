/*
 * The rig around one core. Its disk takes writes in order and keeps what a
 * crash leaves; the rig itself asserts what a shell may rely on: writes and
 * entries to be applied follow each other without a gap.
 */
#include "tests/unit/support_raft.h"

#include "raft/internal.h"

#include <check.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rig_sizes {
	RIG_TEXT = 1 << 14,
};

static struct raft_entry *disk_slot(struct core *core, uint64_t index)
{
	return &core->log[index % CORE_LOG_MAX];
}

void core_init(struct core *core, uint64_t id, unsigned int voters)
{
	memset(core, 0, sizeof(*core));
	core->options = (struct raft_options){
		.id = id,
		.seed = 7 * id,
		.election_ticks = CORE_ELECTION,
		.heartbeat_ticks = 1,
		.forwarding = true,
		.entries_max = 256,
		.messages_max = 128,
		.reads_max = 16,
		.inflight_max = 16,
		.append_size_max = 1 << 20,
	};
	for (unsigned int i = 0; i < voters; i++)
		core->saved.conf.voters[i] = i + 1;
	core->saved.conf.voter_count = (uint8_t)voters;
}

static void put_on_disk(struct core *core, const struct raft_entry *entry)
{
	ck_assert_uint_gt(entry->index, core->saved.index);
	ck_assert_uint_le(entry->index, core->last + 1);
	*disk_slot(core, entry->index) = *entry;
	core->last = entry->index;
}

void core_load(struct core *core, const uint64_t *terms)
{
	if (core->last < core->saved.index)
		core->last = core->saved.index;
	for (; *terms; terms++) {
		struct raft_entry entry = core_entry(core->last + 1, *terms);

		put_on_disk(core, &entry);
		if (core->hard.term < *terms)
			core->hard.term = *terms;
	}
}

void core_start(struct core *core)
{
	core_crash(core);
	if (core->last < core->saved.index)
		core->last = core->saved.index;
	free(core->memory);
	core->memory = aligned_alloc(64, raft_memory_size(&core->options));
	ck_assert_ptr_nonnull(core->memory);
	ck_assert_int_eq(raft_init(&core->raft, &core->options, &core->hard,
				   &core->saved, core->memory),
			 0);
	for (uint64_t i = core->saved.index + 1; i <= core->last; i++)
		ck_assert_int_eq(raft_load(core->raft, disk_slot(core, i)), 0);
	core->image = core->saved;
	core->applying = core->saved.index;
}

void core_restored(struct core *core, uint64_t index)
{
	raft_restored(core->raft, index);
	core->image.index = index;
	core->image.term = raft_entry_at(core->raft, index)->term;
	core->applying = index;
}

void core_parcel_drop(struct core_parcel *parcel)
{
	free(parcel->entries);
	free(parcel->snapshot);
	*parcel = (struct core_parcel){0};
}

void core_forget_mail(struct core *core)
{
	for (unsigned int i = 0; i < core->mail_count; i++)
		core_parcel_drop(&core->mail[i]);
	core->mail_count = 0;
	core->read_count = 0;
}

static void forget_writes(struct core *core, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		free(core->writes[i].entries);
	core->write_count -= count;
	memmove(&core->writes[0], &core->writes[count],
		core->write_count * sizeof(core->writes[0]));
}

void core_crash(struct core *core)
{
	core_forget_mail(core);
	forget_writes(core, core->write_count);
	core->raft = NULL;
}

void core_release(struct core *core)
{
	core_crash(core);
	free(core->memory);
	core->memory = NULL;
}

/* Entries first .. first + count - 1 as they stand in the core's log now. */
static struct raft_entry *copy_log(const struct core *core, uint64_t first,
				   uint64_t count)
{
	struct raft_entry *copy = calloc(count, sizeof(*copy));

	ck_assert_ptr_nonnull(copy);
	for (uint64_t i = 0; i < count; i++) {
		const struct raft_entry *entry =
			raft_entry_at(core->raft, first + i);

		ck_assert_ptr_nonnull(entry);
		copy[i] = *entry;
	}
	return copy;
}

static void post(struct core *core, const struct raft_message *message)
{
	struct core_parcel *parcel = &core->mail[core->mail_count];

	ck_assert_uint_lt(core->mail_count, CORE_MAIL_MAX);
	core->mail_count++;
	*parcel = (struct core_parcel){.message = *message};
	if (message->entries) {
		parcel->entries = malloc(sizeof(*message->entries));
		ck_assert_ptr_nonnull(parcel->entries);
		ck_assert_uint_eq(message->entry_count, 1);
		*parcel->entries = *message->entries;
	} else if (message->entry_count > 0) {
		parcel->entries = copy_log(core, message->first_index,
					   message->entry_count);
	}
	if (message->snapshot) {
		parcel->snapshot = malloc(sizeof(*message->snapshot));
		ck_assert_ptr_nonnull(parcel->snapshot);
		*parcel->snapshot = *message->snapshot;
	}
	parcel->message.entries = parcel->entries;
	parcel->message.snapshot = parcel->snapshot;
}

static void start_write(struct core *core, const struct raft_ready *ready)
{
	struct core_write *write = &core->writes[core->write_count];

	ck_assert_uint_lt(core->write_count, CORE_WRITES_MAX);
	core->write_count++;
	*write = (struct core_write){.number = ready->number,
				     .hard = ready->hard,
				     .first = ready->append_first,
				     .last = ready->append_last};
	if (ready->snapshot)
		write->snapshot = *ready->snapshot;
	if (write->last != 0)
		write->entries = copy_log(core, write->first,
					  write->last + 1 - write->first);
}

static bool take_more(struct core *core)
{
	struct raft_ready *ready = &core->ready;

	if (!raft_has_ready(core->raft))
		return false;
	raft_ready(core->raft, ready);
	if (ready->must_sync)
		start_write(core, ready);
	else if (ready->hard_changed && core->write_count == 0)
		core->hard = ready->hard;
	for (uint32_t i = 0; i < ready->message_count; i++)
		post(core, &ready->messages[i]);
	for (uint32_t i = 0; i < ready->read_count; i++) {
		ck_assert_uint_lt(core->read_count, CORE_READS_MAX);
		core->reads[core->read_count++] = ready->reads[i];
	}
	if (ready->apply_last != 0) {
		ck_assert_uint_eq(ready->apply_first, core->applying + 1);
		core->applying = ready->apply_last;
	}
	raft_advance(core->raft);
	ready->messages = NULL; /* they were lent */
	ready->reads = NULL;
	return true;
}

bool core_take(struct core *core)
{
	core_forget_mail(core);
	return take_more(core);
}

static void write_out(struct core *core, const struct core_write *write)
{
	core->hard = write->hard;
	if (write->snapshot.index != 0) {
		core->saved = write->snapshot;
		core->image = write->snapshot;
		core->applying = core->image.index;
		core->last = core->saved.index;
	}
	if (write->last == 0)
		return;
	for (uint64_t i = write->first; i <= write->last; i++)
		put_on_disk(core, &write->entries[i - write->first]);
}

void core_persist_some(struct core *core, unsigned int count)
{
	struct core_write last;
	uint64_t term = 0;

	ck_assert_uint_le(count, core->write_count);
	if (count == 0)
		return;
	for (unsigned int i = 0; i < count; i++)
		write_out(core, &core->writes[i]);
	last = core->writes[count - 1];
	if (last.last != 0)
		term = last.entries[last.last - last.first].term;
	forget_writes(core, count);
	raft_persisted(core->raft, last.number, last.last, term);
}

void core_persist(struct core *core)
{
	core_persist_some(core, core->write_count);
}

static void apply_one(struct core *core, const struct raft_entry *entry)
{
	ck_assert_uint_eq(entry->index, core->image.index + 1);
	core->image.index = entry->index;
	core->image.term = entry->term;
	/* One that is impossible is skipped, alike by all. */
	if (entry->kind == ENTRY_CONF_V1 || entry->kind == ENTRY_CONF_V2)
		(void)!raft_apply_conf(core->raft, entry, &core->image.conf);
}

void core_apply(struct core *core)
{
	uint64_t last = core->applying;

	/* An image from the leader may have replaced what was handed out. */
	if (last <= core->image.index ||
	    core_status(core)->first_index > core->image.index + 1)
		return;
	while (core->image.index < last) {
		const struct raft_entry *entry =
			raft_entry_at(core->raft, core->image.index + 1);

		ck_assert_ptr_nonnull(entry);
		apply_one(core, entry);
	}
	raft_applied(core->raft, last);
}

void core_settle(struct core *core)
{
	core_forget_mail(core);
	core_settle_on(core);
}

void core_settle_on(struct core *core)
{
	while (take_more(core)) {
		if (!core->stalled)
			core_persist(core);
		core_apply(core);
	}
}

void core_compact(struct core *core)
{
	ck_assert_uint_ge(core->hard.term, core->image.term);
	core->saved = core->image;
	raft_offer_snapshot(core->raft, &core->image);
	raft_compact(core->raft, core->image.index);
}

const struct raft_status *core_status(const struct core *core)
{
	static struct raft_status now;

	raft_status(core->raft, &now);
	return &now;
}

/* Puts words behind each other, with a space between. */
static void say(char text[RIG_TEXT], size_t *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(char text[RIG_TEXT], size_t *at, const char *format, ...)
{
	va_list args;
	int size;

	if (*at > 0)
		text[(*at)++] = ' ';
	va_start(args, format);
	size = vsnprintf(&text[*at], RIG_TEXT - *at, format, args);
	va_end(args);
	ck_assert_int_gt(size, 0);
	*at += (size_t)size;
	ck_assert_uint_lt(*at + 1, RIG_TEXT);
}

const char *core_terms(const struct core *core)
{
	static char text[RIG_TEXT];
	const struct raft_status *now = core_status(core);
	size_t at = 0;

	text[0] = '\0';
	for (uint64_t i = now->first_index; i <= now->last_index; i++)
		say(text, &at, "%" PRIu64, raft_entry_at(core->raft, i)->term);
	return text;
}

bool core_was_read(const struct core *core, uint64_t context, uint64_t index)
{
	for (unsigned int i = 0; i < core->read_count; i++)
		if (core->reads[i].context == context)
			return core->reads[i].index == index;
	return false;
}

unsigned int core_sent(const struct core *core, uint8_t type, uint64_t to)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < core->mail_count; i++) {
		const struct raft_message *message = &core->mail[i].message;

		if (message->type == type && (to == 0 || message->to == to))
			count++;
	}
	return count;
}

const struct raft_message *core_message(const struct core *core, uint8_t type,
					uint64_t to)
{
	ck_assert_msg(core_sent(core, type, to) == 1,
		      "%u messages of type %u to %llu, not one",
		      core_sent(core, type, to), type, (unsigned long long)to);
	for (unsigned int i = 0; i < core->mail_count; i++) {
		const struct raft_message *message = &core->mail[i].message;

		if (message->type == type && message->to == to)
			return message;
	}
	return NULL;
}

const struct raft_progress *core_progress(const struct core *core, uint64_t id)
{
	const struct raft_progress *progress = raft_find_const(core->raft, id);

	ck_assert_ptr_nonnull(progress);
	return progress;
}

const char *core_appends(const struct core *core, uint64_t to)
{
	static char text[RIG_TEXT];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < core->mail_count; i++) {
		const struct raft_message *m = &core->mail[i].message;
		uint64_t last = m->log_index + m->entry_count;

		if (m->type != RAFT_MSG_APPEND || m->to != to)
			continue;
		if (m->entry_count == 0)
			say(text, &at, "%" PRIu64 "+", last);
		else
			say(text, &at, "%" PRIu64 "-%" PRIu64, m->first_index,
			    last);
	}
	return text;
}
