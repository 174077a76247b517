/*
 * A cluster of three with a dozen records in each log, some of which a test
 * then damages; and how it tells that all came back.
 */
#ifndef TESTS_UNIT_SUPPORT_DAMAGED_H
#define TESTS_UNIT_SUPPORT_DAMAGED_H

#include "tests/unit/support_cluster.h"
#include "tests/unit/support_damage.h"

enum {
	PUTS = 12,
};

static struct cluster cluster;
static struct guest guests[CLUSTER_MAX];
static uint32_t leader;
static uint64_t last; /* of all logs, when all was quiet */
static uint64_t revision; /* and of all stores */

static inline void start_all(void)
{
	uint32_t i;

	for (i = 0; i < cluster.count; i++)
		cluster_start_one(&cluster, i);
}

static inline void kill_all(void)
{
	uint32_t i;

	for (i = 0; i < cluster.count; i++)
		if (cluster.alive[i])
			cluster_kill(&cluster, i);
}

static inline void put(uint32_t i, uint32_t slot)
{
	peer_put_size(&guests[i], slot, "k", 3000);
	cluster_await(&cluster, &guests[i], slot);
	ck_assert_int_eq(status_of(&guests[i], slot), 0);
}

static inline void leave(uint32_t i)
{
	if (guests[i].up)
		peer_unmap(&guests[i]);
	cluster_kill(&cluster, i);
}

static inline void set_up(void)
{
	uint32_t i;

	cluster_init(&cluster, 3);
	for (i = 0; i < 3; i++) {
		cluster.rigs[i].wal_options.segment_size = 1 << 20;
		cluster.rigs[i].wal_options.tolerate_damage = true;
	}
	start_all();
	leader = cluster_elect(&cluster);
	cluster_open(&cluster, &guests[leader], leader, 1);
	for (i = 0; i < PUTS; i++)
		put(leader, i);
	cluster_pass(&cluster, 5 * RIG_TICK_NS);
	last = cluster.rigs[0].node->supplied;
	revision = store_revision(cluster.rigs[0].node->store);
	for (i = 0; i < 3; i++)
		ck_assert_uint_eq(cluster.rigs[i].node->applied, last);
}

static inline void tear_down(void)
{
	uint32_t i;

	for (i = 0; i < 3; i++)
		if (guests[i].up)
			peer_unmap(&guests[i]);
	memset(guests, 0, sizeof(guests));
	cluster_release(&cluster);
}

static inline uint32_t other(uint32_t nth)
{
	return (leader + nth) % 3;
}

static inline bool is_damaged(uint32_t i)
{
	return cluster.rigs[i].status.alarms & CV_ALARM_DAMAGED;
}

/* All are whole and alike, and hold no less than they did. */
static inline void check_whole(void)
{
	struct store_hash first, hash;
	uint32_t i;

	(void)cluster_elect(&cluster);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	store_hash(cluster.rigs[0].node->store, &first);
	for (i = 0; i < 3; i++) {
		struct node *node = cluster.rigs[i].node;

		ck_assert(!is_damaged(i));
		ck_assert_uint_ge(node->applied, last);
		ck_assert_uint_eq(node->applied, cluster.rigs[0].node->applied);
		store_hash(node->store, &hash);
		ck_assert(hash.low == first.low && hash.high == first.high);
		ck_assert_uint_eq(store_revision(node->store), revision);
	}
}

/* And so they are on their disks: who tolerates nothing starts. */
static inline void check_disks(void)
{
	uint32_t i;

	kill_all();
	for (i = 0; i < 3; i++)
		cluster.rigs[i].wal_options.tolerate_damage = false;
	start_all();
	check_whole();
}

#endif
