/*
 * Membership changes: the paper's §6, the dissertation's §4.1 (one voter at
 * a time) and §4.3 (joint consensus), learners as etcd has them.
 *
 * A configuration takes effect when its entry is applied, not when it is
 * appended; so at most one change may be appended and not applied.
 *
 * Invariant: every configuration shares a majority with the one before it: a
 * simple change moves at most one voter, any other goes through a joint
 * configuration whose decisions need both halves.
 */
#include "raft/conf.h"

#include "raft/entry.h"

#include <assert.h>
#include <string.h>

bool raft_conf_has(const uint64_t *ids, uint8_t count, uint64_t id)
{
	for (unsigned int i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* Keeps the ids rising. False when there is no room. */
static bool add_id(uint64_t *ids, uint8_t *count, uint64_t id)
{
	unsigned int at = *count;

	if (raft_conf_has(ids, *count, id))
		return true;
	if (*count == RAFT_MEMBERS_MAX)
		return false;
	for (; at > 0 && ids[at - 1] > id; at--)
		ids[at] = ids[at - 1];
	ids[at] = id;
	(*count)++;
	return true;
}

static void drop_id(uint64_t *ids, uint8_t *count, uint64_t id)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < *count; i++)
		if (ids[i] != id)
			ids[kept++] = ids[i];
	/* What is beyond the count is zero, so that copies compare. */
	for (unsigned int i = kept; i < *count; i++)
		ids[i] = 0;
	*count = (uint8_t)kept;
}

static bool is_outgoing(const struct raft_conf_state *conf, uint64_t id)
{
	return raft_conf_has(conf->outgoing, conf->outgoing_count, id);
}

static bool is_known(const struct raft_conf_state *conf, uint64_t id)
{
	return is_outgoing(conf, id) ||
	       raft_conf_has(conf->voters, conf->voter_count, id) ||
	       raft_conf_has(conf->learners, conf->learner_count, id);
}

static bool make_voter(struct raft_conf_state *conf, uint64_t id)
{
	drop_id(conf->learners, &conf->learner_count, id);
	drop_id(conf->learners_next, &conf->learner_next_count, id);
	return add_id(conf->voters, &conf->voter_count, id);
}

/* A voter of the outgoing half becomes a learner only when that half ends. */
static bool make_learner(struct raft_conf_state *conf, uint64_t id)
{
	if (raft_conf_has(conf->learners, conf->learner_count, id))
		return true;
	drop_id(conf->voters, &conf->voter_count, id);
	if (is_outgoing(conf, id))
		return add_id(conf->learners_next, &conf->learner_next_count,
			      id);
	return add_id(conf->learners, &conf->learner_count, id);
}

static void remove_member(struct raft_conf_state *conf, uint64_t id,
			  struct raft_conf_fresh *fresh)
{
	if (!is_known(conf, id))
		return;
	drop_id(conf->voters, &conf->voter_count, id);
	drop_id(conf->learners, &conf->learner_count, id);
	drop_id(conf->learners_next, &conf->learner_next_count, id);
	if (!is_outgoing(conf, id))
		fresh->ids[fresh->count++] = id;
}

static enum raft_conf_error change_all(struct raft_conf_state *conf,
				       const struct raft_conf_changes *changes,
				       struct raft_conf_fresh *fresh)
{
	bool fits = true;

	assert(changes->count <= RAFT_CHANGES_MAX);
	for (unsigned int i = 0; i < changes->count; i++) {
		const struct raft_conf_change *one = &changes->changes[i];

		/* Nobody has id 0: a change that the shell took back. */
		if (one->id == 0)
			continue;
		if (one->type == RAFT_ADD_VOTER)
			fits = make_voter(conf, one->id) && fits;
		else if (one->type == RAFT_ADD_LEARNER)
			fits = make_learner(conf, one->id) && fits;
		else if (one->type == RAFT_REMOVE)
			remove_member(conf, one->id, fresh);
	}
	if (!fits)
		return RAFT_CONF_FULL;
	if (conf->voter_count == 0)
		return RAFT_CONF_REMOVED_ALL;
	return RAFT_CONF_OK;
}

/* In how many voters two halves differ. */
static unsigned int voters_differ(const struct raft_conf_state *a,
				  const struct raft_conf_state *b)
{
	unsigned int differ = 0;

	for (unsigned int i = 0; i < a->voter_count; i++)
		differ +=
			!raft_conf_has(b->voters, b->voter_count, a->voters[i]);
	for (unsigned int i = 0; i < b->voter_count; i++)
		differ +=
			!raft_conf_has(a->voters, a->voter_count, b->voters[i]);
	return differ;
}

enum raft_conf_error raft_conf_simple(struct raft_conf_state *conf,
				      const struct raft_conf_changes *changes,
				      struct raft_conf_fresh *fresh)
{
	struct raft_conf_state next = *conf;
	struct raft_conf_fresh anew = {0};
	enum raft_conf_error err;

	if (conf->outgoing_count > 0)
		return RAFT_CONF_IS_JOINT;
	err = change_all(&next, changes, &anew);
	if (err != RAFT_CONF_OK)
		return err;
	if (voters_differ(conf, &next) > 1)
		return RAFT_CONF_TOO_MANY;
	*conf = next;
	*fresh = anew;
	return RAFT_CONF_OK;
}

enum raft_conf_error raft_conf_enter(struct raft_conf_state *conf,
				     const struct raft_conf_changes *changes,
				     bool auto_leave,
				     struct raft_conf_fresh *fresh)
{
	struct raft_conf_state next = *conf;
	struct raft_conf_fresh anew = {0};
	enum raft_conf_error err;

	if (conf->outgoing_count > 0)
		return RAFT_CONF_IS_JOINT;
	if (conf->voter_count == 0)
		return RAFT_CONF_NO_VOTERS;
	memcpy(next.outgoing, next.voters, sizeof(next.outgoing));
	next.outgoing_count = next.voter_count;
	err = change_all(&next, changes, &anew);
	if (err != RAFT_CONF_OK)
		return err;
	/* Joint, no change is taken but to leave: that must be possible. */
	if (next.learner_count + next.learner_next_count > RAFT_MEMBERS_MAX)
		return RAFT_CONF_FULL;
	next.auto_leave = auto_leave;
	*conf = next;
	*fresh = anew;
	return RAFT_CONF_OK;
}

enum raft_conf_error raft_conf_leave(struct raft_conf_state *conf)
{
	struct raft_conf_state next = *conf;

	if (conf->outgoing_count == 0)
		return RAFT_CONF_NOT_JOINT;
	for (unsigned int i = 0; i < conf->learner_next_count; i++) {
		bool fits = add_id(next.learners, &next.learner_count,
				   conf->learners_next[i]);

		assert(fits); /* else it would not have been entered */
	}
	memset(next.learners_next, 0, sizeof(next.learners_next));
	next.learner_next_count = 0;
	memset(next.outgoing, 0, sizeof(next.outgoing));
	next.outgoing_count = 0;
	next.auto_leave = false;
	*conf = next;
	return RAFT_CONF_OK;
}

enum raft_conf_error raft_conf_change(struct raft_conf_state *conf,
				      const struct raft_conf_changes *changes,
				      struct raft_conf_fresh *fresh)
{
	bool plain = changes->transition == RAFT_TRANSITION_AUTO;

	*fresh = (struct raft_conf_fresh){0};
	if (plain && changes->count == 0)
		return raft_conf_leave(conf);
	if (plain && changes->count == 1)
		return raft_conf_simple(conf, changes, fresh);
	return raft_conf_enter(conf, changes,
			       changes->transition != RAFT_TRANSITION_EXPLICIT,
			       fresh);
}

static bool ids_rise(const uint64_t *ids, uint8_t count)
{
	if (count > RAFT_MEMBERS_MAX)
		return false;
	for (unsigned int i = 0; i < count; i++)
		if (ids[i] == 0 || (i > 0 && ids[i] <= ids[i - 1]))
			return false;
	return true;
}

bool raft_conf_is_valid(const struct raft_conf_state *conf)
{
	if (!ids_rise(conf->voters, conf->voter_count) ||
	    !ids_rise(conf->outgoing, conf->outgoing_count) ||
	    !ids_rise(conf->learners, conf->learner_count) ||
	    !ids_rise(conf->learners_next, conf->learner_next_count))
		return false;
	for (unsigned int i = 0; i < conf->learner_count; i++)
		if (is_outgoing(conf, conf->learners[i]) ||
		    raft_conf_has(conf->voters, conf->voter_count,
				  conf->learners[i]))
			return false;
	for (unsigned int i = 0; i < conf->learner_next_count; i++)
		if (!is_outgoing(conf, conf->learners_next[i]) ||
		    raft_conf_has(conf->voters, conf->voter_count,
				  conf->learners_next[i]))
			return false;
	if (conf->outgoing_count == 0)
		return !conf->auto_leave;
	return conf->voter_count > 0 &&
	       conf->learner_count + conf->learner_next_count <=
		       RAFT_MEMBERS_MAX;
}

static void put_u64(uint8_t *at, uint64_t value)
{
	for (unsigned int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < 8; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

void raft_conf_encode(const struct raft_conf_changes *changes, void *payload)
{
	uint8_t *at = payload;

	assert(changes->count <= RAFT_CHANGES_MAX);
	memset(at, 0, raft_conf_size(changes->count));
	at[0] = changes->transition;
	at[1] = changes->count;
	at += RAFT_CONF_HEADER;
	for (unsigned int i = 0; i < changes->count; i++) {
		put_u64(at, changes->changes[i].id);
		at[8] = changes->changes[i].type;
		at += RAFT_CONF_CHANGE;
	}
}

static bool are_zero(const uint8_t *at, const uint8_t *end)
{
	for (; at < end; at++)
		if (*at != 0)
			return false;
	return true;
}

static bool header_fits(uint32_t kind, const uint8_t *at, size_t size)
{
	if (size < RAFT_CONF_HEADER || at[0] > RAFT_TRANSITION_EXPLICIT ||
	    at[1] > RAFT_CHANGES_MAX || size < raft_conf_size(at[1]) ||
	    !are_zero(at + 2, at + RAFT_CONF_HEADER))
		return false;
	if (kind == ENTRY_CONF_V1)
		return at[0] == RAFT_TRANSITION_AUTO && at[1] == 1;
	return true;
}

int raft_conf_decode(uint32_t kind, const void *payload, size_t size,
		     struct raft_conf_changes *ret_changes)
{
	struct raft_conf_changes changes = {0};
	const uint8_t *at = payload;

	assert(entry_is_conf(kind));
	if (size == 0 && kind == ENTRY_CONF_V2) {
		*ret_changes = changes;
		return 0;
	}
	if (!at || !header_fits(kind, at, size))
		return RAFT_EINVALID;
	changes.transition = at[0];
	changes.count = at[1];
	at += RAFT_CONF_HEADER;
	for (unsigned int i = 0; i < changes.count; i++) {
		changes.changes[i].id = get_u64(at);
		changes.changes[i].type = at[8];
		if (at[8] > RAFT_ADD_LEARNER ||
		    !are_zero(at + 9, at + RAFT_CONF_CHANGE))
			return RAFT_EINVALID;
		at += RAFT_CONF_CHANGE;
	}
	*ret_changes = changes;
	return 0;
}
