/*
 * Reads under a leader's lease: they need no round, and whatever stands still,
 * they never show what another leader has replaced.
 */
#include "tests/unit/support_crowd.h"

enum lease_sizes {
	READS = 20,
	AWAY = 60, /* ticks: long enough for others to elect and write */
};

static uint32_t leader;

static const struct cv_status *status_at(uint32_t i)
{
	return &cluster.rigs[i].status;
}

static struct node *node_at(uint32_t i)
{
	return cluster.rigs[i].node;
}

static uint32_t other(uint32_t nth)
{
	return (leader + nth) % 3;
}

/* Lease reads are on, and the leader holds a lease. */
static void set_up(void)
{
	leader = crowd_begin_at(3, 3, STORE_CLUSTER_VERSION);
	ck_assert_int_eq(set(leader, "lease_reads", "1"), 0);
	await_version(leader, STORE_CLUSTER_VERSION);
	put(leader, "k", "old");
	cluster_pass(&cluster, 2 * RIG_TICK_NS);
	ck_assert(lease_holds(node_at(leader)));
}

static void set_up_off(void)
{
	leader = crowd_begin_at(3, 3, STORE_CLUSTER_VERSION);
	await_version(leader, STORE_CLUSTER_VERSION);
	put(leader, "k", "old");
}

static void tear_down(void)
{
	crowd_end();
}

static void read_often(uint32_t on, const char *value)
{
	uint32_t i;

	for (i = 0; i < READS; i++)
		expect_value(on, "k", value);
}

START_TEST(a_leader_reads_under_its_lease_without_a_round)
{
	uint64_t rounds = status_at(leader)->read_rounds;
	uint64_t leased = status_at(leader)->lease_reads;

	read_often(leader, "old");
	ck_assert_uint_eq(status_at(leader)->read_rounds, rounds);
	ck_assert_uint_eq(status_at(leader)->lease_reads, leased + READS);
}
END_TEST

START_TEST(a_read_under_the_lease_costs_one_turn)
{
	uint32_t slot = asked[leader]++;

	peer_get(&guests[leader], slot, "k");
	ck_assert_int_gt(rig_turn(&cluster.rigs[leader]), 0);
	ck_assert(!is_posted(&guests[leader], slot));
	ck_assert_int_gt(rig_turn(&cluster.rigs[leader]), 0);
	ck_assert_value(&guests[leader], slot, "old");
}
END_TEST

START_TEST(a_follower_still_asks)
{
	uint64_t rounds = status_at(other(1))->read_rounds;

	read_often(other(1), "old");
	ck_assert_uint_ge(status_at(other(1))->read_rounds, rounds + READS);
	ck_assert_uint_eq(status_at(other(1))->lease_reads, 0);
}
END_TEST

START_TEST(without_the_setting_each_read_asks)
{
	uint64_t rounds = status_at(leader)->read_rounds;

	read_often(leader, "old");
	ck_assert_uint_ge(status_at(leader)->read_rounds, rounds + READS);
	ck_assert_uint_eq(status_at(leader)->lease_reads, 0);
}
END_TEST

START_TEST(the_setting_is_turned_on_and_off_under_way)
{
	uint64_t rounds, leased;

	ck_assert_int_eq(set(other(1), "lease_reads", "1"), 0);
	cluster_pass(&cluster, 2 * RIG_TICK_NS);
	read_often(leader, "old");
	leased = status_at(leader)->lease_reads;
	ck_assert_uint_eq(leased, READS);
	ck_assert_int_eq(set(other(2), "lease_reads", "0"), 0);
	await_same();
	rounds = status_at(leader)->read_rounds;
	read_often(leader, "old");
	ck_assert_uint_ge(status_at(leader)->read_rounds, rounds + READS);
	ck_assert_uint_eq(status_at(leader)->lease_reads, leased);
}
END_TEST

START_TEST(without_the_clock_there_is_no_lease)
{
	node_clock(node_at(leader), 0);
	ck_assert(!lease_holds(node_at(leader)));
}
END_TEST

/*
 * The leader stands still and is cut off; the others elect another, which
 * takes another value. What its clock shows when it goes on, the test says.
 */
static uint32_t replace_leader(void)
{
	uint32_t next;

	cluster_isolate(&cluster, leader, true);
	cluster.alive[leader] = false;
	cluster_pass(&cluster, AWAY * RIG_TICK_NS);
	next = (uint32_t)cluster_leader(&cluster);
	ck_assert_uint_ne(next, leader);
	put(next, "k", "new");
	return next;
}

static void expect_no_lease_read(void)
{
	uint64_t leased = status_at(leader)->lease_reads;
	uint32_t slot = asked[leader]++;
	uint32_t i;

	peer_get(&guests[leader], slot, "k");
	for (i = 0; i < 20; i++) {
		ck_assert_int_ge(rig_turn(&cluster.rigs[leader]), 0);
		ck_assert(!is_posted(&guests[leader], slot));
	}
	/* Once it is back, it answers with what there is now. */
	cluster.alive[leader] = true;
	cluster_isolate(&cluster, leader, false);
	cluster_await(&cluster, &guests[leader], slot);
	ck_assert_value(&guests[leader], slot, "new");
	ck_assert_uint_eq(status_at(leader)->lease_reads, leased);
}

START_TEST(a_leader_that_stood_still_does_not_read)
{
	(void)replace_leader();
	expect_no_lease_read();
}
END_TEST

START_TEST(a_leader_that_stands_still_in_a_turn_does_not_read)
{
	struct rig *rig = &cluster.rigs[leader];
	uint64_t before_ns = rig->now_ns, slot;

	(void)replace_leader();
	/* The clock was read before it stood still, the ring is read after. */
	uint64_t after_ns = rig->now_ns;
	rig->now_ns = before_ns;
	slot = asked[leader]++;
	peer_get(&guests[leader], (uint32_t)slot, "k");
	ck_assert_int_gt(rig_turn(rig), 0);
	ck_assert(lease_holds(node_at(leader)));
	ck_assert(!is_posted(&guests[leader], (uint32_t)slot));
	rig->now_ns = after_ns;
	expect_no_lease_read();
	ck_assert_value(&guests[leader], (uint32_t)slot, "new");
}
END_TEST

START_TEST(a_host_that_was_suspended_keeps_no_lease)
{
	struct rig *rig = &cluster.rigs[leader];
	uint64_t before_ns = rig->now_ns;

	(void)replace_leader();
	rig->slept_ns = rig->now_ns - before_ns;
	rig->now_ns = before_ns;
	expect_no_lease_read();
}
END_TEST

START_TEST(a_leader_that_is_cut_off_reads_until_its_lease_ends)
{
	uint64_t leased;
	uint32_t slot;

	cluster_isolate(&cluster, leader, true);
	cluster_turns(&cluster, 1);
	leased = status_at(leader)->lease_reads;
	expect_value(leader, "k", "old");
	ck_assert_uint_eq(status_at(leader)->lease_reads, leased + 1);
	cluster_pass(&cluster, 10 * RIG_TICK_NS);
	slot = asked[leader]++;
	peer_get(&guests[leader], slot, "k");
	cluster_turns(&cluster, 10);
	ck_assert(!is_posted(&guests[leader], slot));
	cluster_isolate(&cluster, leader, false);
	cluster_await(&cluster, &guests[leader], slot);
	ck_assert_value(&guests[leader], slot, "old");
}
END_TEST

/* The lease is over before TimeoutNow leaves, and stays so in this term. */
START_TEST(a_leader_that_hands_over_reads_no_more)
{
	uint32_t next = other(1), slot;

	cluster_cut(&cluster, leader, other(2), true);
	(void)peer_write(&guests[leader],
			 (struct cv_request){
				 .slot = asked[leader]++,
				 .type = CV_MOVE,
				 .argument = next + 1,
			 },
			 "", "");
	ck_assert_int_gt(rig_turn(&cluster.rigs[leader]), 0);
	ck_assert(!lease_holds(node_at(leader)));
	slot = asked[leader]++;
	peer_get(&guests[leader], slot, "k");
	ck_assert_int_gt(rig_turn(&cluster.rigs[leader]), 0);
	ck_assert_int_ge(rig_turn(&cluster.rigs[leader]), 0);
	ck_assert(!is_posted(&guests[leader], slot));
	cluster_cut(&cluster, leader, other(2), false);
	cluster_await(&cluster, &guests[leader], slot);
	ck_assert_value(&guests[leader], slot, "old");
}
END_TEST

/*
 * Several ticks at once would end a promise that was given a moment ago: the
 * leader's word came while this member stood still.
 */
START_TEST(a_pause_is_not_made_up_for_tick_by_tick)
{
	struct rig *rig = &cluster.rigs[other(1)];
	uint64_t ticks = rig->node->ticks;

	rig->now_ns += 9 * RIG_TICK_NS;
	ck_assert_int_ge(rig_turn(rig), 0);
	ck_assert_uint_eq(rig->node->ticks, ticks + 1);
	ck_assert_int_ge(rig_turn(rig), 0);
	ck_assert_uint_eq(rig->node->ticks, ticks + 1);
	rig->now_ns += RIG_TICK_NS;
	ck_assert_int_ge(rig_turn(rig), 0);
	ck_assert_uint_eq(rig->node->ticks, ticks + 2);
}
END_TEST

START_TEST(a_cluster_with_an_older_member_does_not_rely_on_leases)
{
	uint32_t i;

	cluster_init_some(&cluster, 3, 3);
	cluster.heedless = true;
	for (i = 0; i < 3; i++)
		cluster.rigs[i].options.version_max =
			i ? STORE_CLUSTER_VERSION : VERSION_LEASE - 1;
	for (i = 0; i < 3; i++)
		crowd_start(i);
	leader = cluster_elect(&cluster);
	put(leader, "k", "old");
	ck_assert_int_eq(set(leader, "lease_reads", "1"), 0);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	read_often(leader, "old");
	ck_assert_uint_eq(status_at(leader)->lease_reads, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_lease");
	TCase *on = tcase_create("on");
	TCase *off = tcase_create("off");
	TCase *older = tcase_create("older");

	tcase_set_timeout(on, 60);
	tcase_add_checked_fixture(on, set_up, tear_down);
	tcase_add_test(on, a_leader_reads_under_its_lease_without_a_round);
	tcase_add_test(on, a_read_under_the_lease_costs_one_turn);
	tcase_add_test(on, a_follower_still_asks);
	tcase_add_test(on, without_the_clock_there_is_no_lease);
	tcase_add_test(on, a_leader_that_stood_still_does_not_read);
	tcase_add_test(on, a_leader_that_stands_still_in_a_turn_does_not_read);
	tcase_add_test(on, a_host_that_was_suspended_keeps_no_lease);
	tcase_add_test(on, a_leader_that_is_cut_off_reads_until_its_lease_ends);
	tcase_add_test(on, a_leader_that_hands_over_reads_no_more);
	tcase_add_test(on, a_pause_is_not_made_up_for_tick_by_tick);
	suite_add_tcase(suite, on);
	tcase_set_timeout(off, 60);
	tcase_add_checked_fixture(off, set_up_off, tear_down);
	tcase_add_test(off, without_the_setting_each_read_asks);
	tcase_add_test(off, the_setting_is_turned_on_and_off_under_way);
	suite_add_tcase(suite, off);
	tcase_set_timeout(older, 60);
	tcase_add_checked_fixture(older, NULL, tear_down);
	tcase_add_test(older,
		       a_cluster_with_an_older_member_does_not_rely_on_leases);
	suite_add_tcase(suite, older);
	return run_suite(suite);
}
