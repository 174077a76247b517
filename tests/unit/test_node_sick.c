/*
 * A disk that does not answer: who has it leads no longer than it was told
 * to wait, does not stand for election, and does both again afterwards.
 */
#include "tests/unit/support_crowd.h"

enum {
	ELECTION_TICKS = 10,
};

static uint32_t leader;

static void set_up(void)
{
	leader = crowd_begin(3, 3);
	/* Nobody stands while a change of membership waits: there is none. */
	cluster_pass(&cluster, 3 * ELECTION_TICKS * RIG_TICK_NS);
}

static void tear_down(void)
{
	crowd_end();
}

static uint32_t other(uint32_t nth)
{
	return (leader + nth) % 3;
}

/* Its disk is busy with an entry, and stays so. */
static void make_sick(uint32_t i)
{
	rig_stall(&cluster.rigs[i]);
	put(leader, "k", "v");
	cluster_pass(&cluster, ELECTION_TICKS * RIG_TICK_NS);
	ck_assert(cluster.rigs[i].node->disk_sick);
}

/*
 * The third member needs its vote, which waits for the disk: nobody can lead,
 * so all are silent and whoever may would stand.
 */
START_TEST(a_follower_whose_disk_stalls_does_not_stand_for_election)
{
	uint32_t sick = other(1), ticks;

	make_sick(sick);
	cluster_isolate(&cluster, leader, true);
	for (ticks = 0; ticks < 10 * ELECTION_TICKS; ticks++) {
		cluster_pass(&cluster, RIG_TICK_NS);
		ck_assert_uint_eq(cluster.rigs[sick].status.role,
				  RAFT_FOLLOWER);
		ck_assert_int_eq(raft_campaign(cluster.rigs[sick].node->raft),
				 RAFT_EINVALID);
	}
	rig_unstall(&cluster.rigs[sick]);
	cluster_isolate(&cluster, leader, false);
	leader = cluster_elect(&cluster);
	put(leader, "k", "w");
	await_same();
}
END_TEST

/* Nothing commits, and nobody takes the leader for dead. */
START_TEST(heartbeats_are_answered_while_disks_stall)
{
	uint64_t term = cluster.rigs[leader].status.term;
	uint32_t slot = asked[leader]++, i;

	rig_stall(&cluster.rigs[other(1)]);
	rig_stall(&cluster.rigs[other(2)]);
	peer_put(&guests[leader], slot, "k", "v");
	cluster_pass(&cluster, 10 * ELECTION_TICKS * RIG_TICK_NS);
	ck_assert(!is_posted(&guests[leader], slot));
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(cluster.rigs[i].status.leader, leader + 1);
		ck_assert_uint_eq(cluster.rigs[i].status.term, term);
	}
	rig_unstall(&cluster.rigs[other(1)]);
	ck_assert_int_eq(change_status(leader, slot), 0);
	rig_unstall(&cluster.rigs[other(2)]);
	await_same();
}
END_TEST

START_TEST(who_has_recovered_may_lead_again)
{
	uint32_t sick = leader;

	rig_stall(&cluster.rigs[sick]);
	(void)peer_put(&guests[sick], asked[sick]++, "k", "v");
	cluster_pass(&cluster, 2 * ELECTION_TICKS * RIG_TICK_NS);
	leader = (uint32_t)cluster_leader(&cluster);
	ck_assert_uint_ne(leader, sick);
	rig_unstall(&cluster.rigs[sick]);
	await_same();
	ck_assert(!cluster.rigs[sick].node->disk_sick);
	ck_assert_int_eq(move_leader(leader, sick + 1), 0);
	cluster_pass(&cluster, ELECTION_TICKS * RIG_TICK_NS);
	ck_assert_uint_eq(cluster_elect(&cluster), sick);
	put(sick, "k", "w");
	await_same();
}
END_TEST

/* A part of the election timeout, as it was asked for at the start. */
START_TEST(a_leader_waits_for_its_disk_as_long_as_it_was_told)
{
	uint64_t patience_ns = ELECTION_TICKS * RIG_TICK_NS * 9 / 10;
	uint32_t i;

	for (i = 0; i < 3; i++)
		crowd_kill(i);
	for (i = 0; i < 3; i++) {
		cluster.rigs[i].options.disk_patience_ns = patience_ns;
		crowd_start(i);
	}
	leader = cluster_elect(&cluster);
	cluster_pass(&cluster, 2 * ELECTION_TICKS * RIG_TICK_NS);
	rig_stall(&cluster.rigs[leader]);
	(void)peer_put(&guests[leader], asked[leader]++, "k", "v");
	cluster_pass(&cluster, patience_ns - RIG_TICK_NS);
	ck_assert_uint_eq((uint32_t)cluster_leader(&cluster), leader);
	ck_assert(!cluster.rigs[leader].node->disk_sick);
	cluster_pass(&cluster, 4 * RIG_TICK_NS);
	ck_assert_uint_ne((uint32_t)cluster_leader(&cluster), leader);
	rig_unstall(&cluster.rigs[leader]);
	await_same();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node, sick disk");
	TCase *tests = tcase_create("three members");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(
		tests,
		a_follower_whose_disk_stalls_does_not_stand_for_election);
	tcase_add_test(tests, heartbeats_are_answered_while_disks_stall);
	tcase_add_test(tests, who_has_recovered_may_lead_again);
	tcase_add_test(tests,
		       a_leader_waits_for_its_disk_as_long_as_it_was_told);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
