/*
 * The configuration in force and the table of progress that goes with it:
 * the paper's §6.
 *
 * A slot of the table belongs to one member while it is tracked, and its
 * window of inflight appends with it; `order` lists the slots by rising id,
 * so that everything that is sent to all is sent in the same order on every
 * run.
 *
 * Invariant: exactly the ids of the configuration are tracked.
 */
#include "raft/internal.h"

#include "raft/entry.h"

#include <assert.h>

const struct raft_progress *raft_find_const(const struct raft *raft,
					    uint64_t id)
{
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		const struct raft_progress *p = &raft->progress[raft->order[i]];

		if (p->id == id)
			return p;
	}
	return NULL;
}

struct raft_progress *raft_find(struct raft *raft, uint64_t id)
{
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		struct raft_progress *p = &raft->progress[raft->order[i]];

		if (p->id == id)
			return p;
	}
	return NULL;
}

bool raft_is_voter(const struct raft *raft, uint64_t id)
{
	const struct raft_conf_state *conf = &raft->conf;

	return raft_conf_has(conf->voters, conf->voter_count, id) ||
	       raft_conf_has(conf->outgoing, conf->outgoing_count, id);
}

static bool is_tracked(const struct raft_conf_state *conf, uint64_t id)
{
	return raft_conf_has(conf->voters, conf->voter_count, id) ||
	       raft_conf_has(conf->outgoing, conf->outgoing_count, id) ||
	       raft_conf_has(conf->learners, conf->learner_count, id);
}

static bool is_fresh(const struct raft_conf_fresh *fresh, uint64_t id)
{
	for (unsigned int i = 0; i < fresh->count; i++)
		if (fresh->ids[i] == id)
			return true;
	return false;
}

static uint8_t free_slot(const struct raft *raft)
{
	uint64_t used = 0;
	uint8_t slot = 0;

	for (unsigned int i = 0; i < raft->progress_count; i++)
		used |= (uint64_t)1 << raft->order[i];
	while (used & ((uint64_t)1 << slot))
		slot++;
	assert(slot < RAFT_PROGRESS_MAX);
	return slot;
}

static void track(struct raft *raft, uint64_t id, uint64_t last)
{
	uint8_t slot;
	struct raft_progress *p;
	unsigned int at = raft->progress_count;

	if (raft_find(raft, id))
		return;
	slot = free_slot(raft);
	p = &raft->progress[slot];
	p->id = id;
	p->vote = RAFT_VOTE_NONE;
	p->learner = false;
	raft_progress_reset(p, 0, last > 1 ? last : 1);
	/* It had no chance yet to be heard: the next check spares it. */
	p->recent_active = true;
	for (; at > 0 && raft->progress[raft->order[at - 1]].id > id; at--)
		raft->order[at] = raft->order[at - 1];
	raft->order[at] = slot;
	raft->progress_count++;
}

void raft_track_conf(struct raft *raft, const struct raft_conf_state *conf,
		     const struct raft_conf_fresh *fresh, uint64_t last)
{
	unsigned int kept = 0;

	raft->conf = *conf;
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		uint8_t slot = raft->order[i];
		uint64_t id = raft->progress[slot].id;

		if (is_tracked(conf, id) && !is_fresh(fresh, id))
			raft->order[kept++] = slot;
	}
	raft->progress_count = (uint8_t)kept;
	for (unsigned int i = 0; i < conf->voter_count; i++)
		track(raft, conf->voters[i], last);
	for (unsigned int i = 0; i < conf->outgoing_count; i++)
		track(raft, conf->outgoing[i], last);
	for (unsigned int i = 0; i < conf->learner_count; i++)
		track(raft, conf->learners[i], last);
	for (unsigned int i = 0; i < raft->progress_count; i++) {
		struct raft_progress *p = &raft->progress[raft->order[i]];

		p->learner = raft_conf_has(conf->learners, conf->learner_count,
					   p->id);
	}
}

/* A smaller quorum may commit more; a new member is probed at once. */
static void feed_all(struct raft *raft)
{
	bool commit = raft_maybe_commit(raft);

	for (unsigned int i = 0; i < raft->progress_count; i++) {
		struct raft_progress *p = &raft->progress[raft->order[i]];

		if (p->id != raft->options.id)
			(void)raft_send_append(raft, p, commit);
	}
	raft_reads_confirm(raft);
}

void raft_switch_conf(struct raft *raft, const struct raft_conf_state *conf,
		      const struct raft_conf_fresh *fresh)
{
	const struct raft_progress *self;

	raft_track_conf(raft, conf, fresh, raft->log.last);
	if (raft->role != RAFT_LEADER)
		return;
	self = raft_find_const(raft, raft->options.id);
	if (!self || self->learner) {
		if (raft->options.step_down_on_removal)
			raft_become_follower(raft, raft->term);
		return;
	}
	feed_all(raft);
	if (!raft_is_voter(raft, raft->transferee))
		raft_transfer_abort(raft);
}

int raft_apply_conf(struct raft *raft, const struct raft_entry *entry,
		    struct raft_conf_state *ret_conf)
{
	struct raft_conf_state conf = raft->conf;
	struct raft_conf_changes changes;
	struct raft_conf_fresh fresh;

	assert(raft && entry && ret_conf);
	raft_touch(raft);
	assert(entry->index <= raft->log.applying);
	if (raft_conf_decode(entry->kind,
			     entry->data ? entry_payload(entry->data) : NULL,
			     entry->size, &changes) != 0)
		return RAFT_EINVALID;
	/* The same answer on every member: all skip it alike. */
	if (raft_conf_change(&conf, &changes, &fresh) != RAFT_CONF_OK)
		return RAFT_EINVALID;
	raft_switch_conf(raft, &conf, &fresh);
	*ret_conf = raft->conf;
	return 0;
}
