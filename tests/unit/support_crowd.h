/*
 * Clusters whose members change: what is asked of them and what is seen.
 */
#ifndef TESTS_UNIT_SUPPORT_CROWD_H
#define TESTS_UNIT_SUPPORT_CROWD_H

#include "raft/conf.h"
#include "tests/unit/support_cluster.h"

enum crowd_sizes {
	CROWD_SLOTS = 64,
	CROWD_LIST_AT = 128 << 10, /* in the reply area */
	CROWD_LIST_SIZE = 16 << 10,
	CROWD_PATIENCE = 600, /* ticks until a test gives up */
};

static struct cluster cluster;
static struct guest guests[CLUSTER_MAX];
static uint32_t asked[CLUSTER_MAX]; /* slots used so far */

/* A client of that member, with a session of its own. */
static inline void crowd_open(uint32_t i)
{
	static uint8_t name;

	cluster_open(&cluster, &guests[i], i, ++name);
	asked[i] = 0;
}

static inline void crowd_start(uint32_t i)
{
	cluster_start_one(&cluster, i);
	crowd_open(i);
}

static inline void crowd_kill(uint32_t i)
{
	peer_unmap(&guests[i]);
	guests[i].up = NULL;
	cluster_kill(&cluster, i);
}

/* The founders live and one of them leads; all can apply `version`. */
static inline uint32_t crowd_begin_at(uint32_t founders, uint32_t count,
				      uint32_t version)
{
	uint32_t i;

	cluster_init_some(&cluster, founders, count);
	cluster.heedless = true;
	memset(guests, 0, sizeof(guests));
	for (i = 0; i < count; i++)
		cluster.rigs[i].options.version_max = version;
	for (i = 0; i < founders; i++)
		crowd_start(i);
	return cluster_elect(&cluster);
}

static inline uint32_t crowd_begin(uint32_t founders, uint32_t count)
{
	return crowd_begin_at(founders, count, 1);
}

static inline void crowd_end(void)
{
	uint32_t i;

	for (i = 0; i < CLUSTER_MAX; i++)
		if (guests[i].up)
			peer_unmap(&guests[i]);
	cluster_release(&cluster);
}

/* ---- asking ---- */

/* Asks on member `on` + 1 for a change; the slot in which it is answered. */
static inline uint32_t ask_change(uint32_t on, uint32_t what, uint64_t id,
				  const char *address, uint64_t by)
{
	uint32_t slot = asked[on]++ % CROWD_SLOTS;
	struct cv_request head = peer_head(&guests[on], slot, CV_MEMBER);

	head.limit = what;
	head.argument = id;
	head.key_size = (uint32_t)strlen(address);
	head.value_size = by ? sizeof(by) : 0;
	(void)peer_write(&guests[on], head, address, &by);
	return slot;
}

static inline int32_t change_status(uint32_t on, uint32_t slot)
{
	cluster_await(&cluster, &guests[on], slot);
	return status_of(&guests[on], slot);
}

static inline int32_t add(uint32_t on, uint64_t id)
{
	char address[32];

	(void)snprintf(address, sizeof(address), "host-%lu:7600", id);
	return change_status(on, ask_change(on, CV_MEMBER_ADD, id, address, 0));
}

static inline int32_t promote(uint32_t on, uint64_t id)
{
	return change_status(on, ask_change(on, CV_MEMBER_PROMOTE, id, "", 0));
}

static inline int32_t drop(uint32_t on, uint64_t id)
{
	return change_status(on, ask_change(on, CV_MEMBER_REMOVE, id, "", 0));
}

static inline int32_t update(uint32_t on, uint64_t id, const char *address)
{
	return change_status(on,
			     ask_change(on, CV_MEMBER_UPDATE, id, address, 0));
}

static inline int32_t replace(uint32_t on, uint64_t id, uint64_t by)
{
	return change_status(on, ask_change(on, CV_MEMBER_REPLACE, id, "", by));
}

/* A control request without reply. */
static inline int32_t move_leader(uint32_t on, uint64_t id)
{
	uint32_t slot = asked[on]++ % CROWD_SLOTS;

	(void)peer_write(&guests[on],
			 (struct cv_request){
				 .slot = slot,
				 .type = CV_MOVE,
				 .argument = id,
			 },
			 "", "");
	return change_status(on, slot);
}

static inline void put(uint32_t on, const char *key, const char *value)
{
	uint32_t slot = asked[on]++ % CROWD_SLOTS;

	peer_put(&guests[on], slot, key, value);
	ck_assert_int_eq(change_status(on, slot), 0);
}

static inline int32_t set(uint32_t on, const char *name, const char *value)
{
	uint32_t slot = asked[on]++ % CROWD_SLOTS;
	struct cv_request head = peer_head(&guests[on], slot, CV_SETTING);

	head.key_size = (uint32_t)strlen(name);
	head.value_size = (uint32_t)strlen(value);
	(void)peer_write(&guests[on], head, name, value);
	return change_status(on, slot);
}

/* Until the cluster has come to that version on this member. */
static inline void await_version(uint32_t on, uint32_t version)
{
	uint32_t ticks;

	for (ticks = 0; ticks < CROWD_PATIENCE; ticks++) {
		if (node_cluster_version(cluster.rigs[on].node) == version)
			return;
		cluster_pass(&cluster, RIG_TICK_NS);
	}
	ck_abort_msg("the cluster never comes to version %u", version);
}

static inline void put_many(uint32_t on, uint32_t count, uint32_t size)
{
	char key[16];

	while (count--) {
		uint32_t slot = asked[on]++ % CROWD_SLOTS;

		(void)snprintf(key, sizeof(key), "many-%u", count);
		peer_put_size(&guests[on], slot, key, size);
		ck_assert_int_eq(change_status(on, slot), 0);
	}
}

static inline void expect_value(uint32_t on, const char *key, const char *value)
{
	uint32_t slot = asked[on]++ % CROWD_SLOTS;

	peer_get(&guests[on], slot, key);
	cluster_await(&cluster, &guests[on], slot);
	ck_assert_value(&guests[on], slot, value);
}

/* ---- seeing ---- */

struct seen {
	struct cv_member member;
	char address[STORE_ADDRESS_MAX];
};

/* Member `id` in the list that member `on` + 1 gives; false: it is not. */
static inline bool see(uint32_t on, uint64_t id, struct seen *ret_seen)
{
	uint32_t slot = asked[on]++ % CROWD_SLOTS, i, used = 0;
	const struct cv_slot *result;
	const uint8_t *reply = guests[on].down +
			       guests[on].welcome.reply_offset + CROWD_LIST_AT;

	(void)peer_write(&guests[on],
			 (struct cv_request){
				 .slot = slot,
				 .type = CV_MEMBERS,
				 .reply_offset = CROWD_LIST_AT,
				 .reply_size = CROWD_LIST_SIZE,
			 },
			 "", "");
	ck_assert_int_eq(change_status(on, slot), 0);
	result = posted(&guests[on], slot);
	for (i = 0; i < result->aux; i++) {
		struct seen seen = {0};

		memcpy(&seen.member, reply + used, sizeof(seen.member));
		used += (uint32_t)sizeof(seen.member);
		ck_assert_uint_lt(seen.member.address_size,
				  sizeof(seen.address));
		memcpy(seen.address, reply + used, seen.member.address_size);
		used += (seen.member.address_size + 7u) & ~7u;
		ck_assert_uint_le(used, result->reply_size);
		if (seen.member.id != id)
			continue;
		*ret_seen = seen;
		return true;
	}
	ck_assert_uint_eq(used, result->reply_size);
	return false;
}

static inline uint32_t flags_seen(uint32_t on, uint64_t id)
{
	struct seen seen;

	return see(on, id, &seen) ? seen.member.flags : 0;
}

static inline struct raft_conf_state conf_of(uint32_t i)
{
	struct raft_status status;

	raft_status(cluster.rigs[i].node->raft, &status);
	return status.conf;
}

static inline bool votes(uint32_t on, uint64_t id)
{
	struct raft_conf_state conf = conf_of(on);

	return raft_conf_has(conf.voters, conf.voter_count, id);
}

static inline bool learns(uint32_t on, uint64_t id)
{
	struct raft_conf_state conf = conf_of(on);

	return raft_conf_has(conf.learners, conf.learner_count, id);
}

/* The voters that member `on` + 1 has in force are these, and no others. */
static inline void expect_voters(uint32_t on, const uint64_t *ids,
				 uint8_t count)
{
	struct raft_conf_state conf = conf_of(on);
	uint8_t i;

	ck_assert_uint_eq(conf.outgoing_count, 0);
	ck_assert_uint_eq(conf.voter_count, count);
	for (i = 0; i < count; i++)
		ck_assert_uint_eq(conf.voters[i], ids[i]);
}

static inline bool is_even(uint32_t a, uint32_t b)
{
	return store_applied(cluster.rigs[a].node->store) ==
	       store_applied(cluster.rigs[b].node->store);
}

/* All that live have applied the same, and have the same hash then. */
static inline bool are_same(void)
{
	struct store_hash first, hash;
	uint32_t i, base = CLUSTER_MAX;

	for (i = 0; i < cluster.count; i++) {
		if (!cluster.alive[i])
			continue;
		if (base == CLUSTER_MAX)
			base = i;
		if (!is_even(base, i))
			return false;
		store_hash(cluster.rigs[base].node->store, &first);
		store_hash(cluster.rigs[i].node->store, &hash);
		ck_assert(first.low == hash.low && first.high == hash.high);
	}
	return true;
}

static inline void await_same(void)
{
	uint32_t ticks;

	for (ticks = 0; ticks < CROWD_PATIENCE && !are_same(); ticks++)
		cluster_pass(&cluster, RIG_TICK_NS);
	ck_assert(are_same());
}

static inline void await_removed(uint32_t i)
{
	uint32_t ticks;

	for (ticks = 0;
	     ticks < CROWD_PATIENCE && !node_is_removed(cluster.rigs[i].node);
	     ticks++)
		cluster_pass(&cluster, RIG_TICK_NS);
	ck_assert(node_is_removed(cluster.rigs[i].node));
}

/* Waits until the leader finds that it has caught up, and promotes it. */
static inline void await_promoted(uint32_t on, uint64_t id)
{
	uint32_t ticks;
	int32_t status = CONCLAVE_EMEMBERSHIP;

	for (ticks = 0; ticks < CROWD_PATIENCE && status; ticks++) {
		status = promote(on, id);
		ck_assert(!status || status == CONCLAVE_EMEMBERSHIP);
		cluster_pass(&cluster, RIG_TICK_NS);
	}
	ck_assert_int_eq(status, 0);
}

#endif
