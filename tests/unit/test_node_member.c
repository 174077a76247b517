/*
 * Members come and go: added as learners that begin with an image, promoted
 * when they have caught up, replaced, removed for ever; and what is refused.
 */
#include "tests/unit/support_crowd.h"

static uint32_t leader;

static void set_up(void)
{
	leader = crowd_begin(3, 5);
}

static void tear_down(void)
{
	crowd_end();
}

/* A founder that does not lead: the first or second one behind the leader. */
static uint32_t other(uint32_t nth)
{
	return (leader + nth) % 3;
}

/* ---- joining ---- */

START_TEST(who_is_added_gets_an_image_and_what_follows)
{
	struct seen seen;

	put(leader, "k", "v");
	ck_assert_int_eq(add(other(1), 4), 0);
	crowd_start(3);
	put(leader, "l", "w");
	await_same();
	expect_value(3, "k", "v");
	expect_value(3, "l", "w");
	put(3, "m", "x");
	expect_value(leader, "m", "x");
	ck_assert(learns(leader, 4) && learns(3, 4));
	ck_assert(see(leader, 4, &seen));
	ck_assert_str_eq(seen.address, "host-4:7600");
	ck_assert_uint_eq(seen.member.flags,
			  CV_MEMBER_LEARNER | CV_MEMBER_LINKED);
	await_same();
	ck_assert(see(leader, 4, &seen));
	ck_assert_uint_eq(seen.member.match,
			  store_applied(cluster.rigs[3].node->store));
	ck_assert_uint_eq(flags_seen(3, 4), CV_MEMBER_LEARNER | CV_MEMBER_SELF);
}
END_TEST

START_TEST(who_waits_to_be_added_hears_nothing_until_it_is)
{
	crowd_start(3);
	put(leader, "k", "v");
	cluster_pass(&cluster, 30 * RIG_TICK_NS);
	ck_assert_uint_eq(store_applied(cluster.rigs[3].node->store), 0);
	ck_assert(!cluster.up[leader][3]);
	ck_assert_int_eq(add(leader, 4), 0);
	await_same();
	expect_value(3, "k", "v");
}
END_TEST

START_TEST(who_is_added_when_the_log_is_compacted_gets_the_image_there_is)
{
	uint64_t first;
	uint32_t i;

	for (i = 0; i < 3; i++)
		crowd_kill(i);
	for (i = 0; i < 3; i++) {
		cluster.rigs[i].wal_options.snapshot_after = 100000;
		crowd_start(i);
	}
	leader = cluster_elect(&cluster);
	put_many(leader, 200, 2000);
	for (i = 0; i < 3; i++) {
		crowd_kill(i);
		cluster.rigs[i].wal_options.snapshot_after = 1ull << 40;
		crowd_start(i);
	}
	leader = cluster_elect(&cluster);
	first = wal_snapshot_index(cluster.rigs[leader].wal);
	ck_assert_uint_gt(first, 1);
	/* What is behind it must not be enough to make another due. */
	put(leader, "k", "v");
	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	await_same();
	expect_value(3, "k", "v");
	ck_assert_uint_eq(wal_snapshot_index(cluster.rigs[leader].wal), first);
}
END_TEST

START_TEST(who_has_no_room_for_the_image_gets_it_when_there_is_room)
{
	struct disk *disk;

	put(leader, "k", "v");
	crowd_start(3);
	cluster_pass(&cluster, 10 * RIG_TICK_NS);
	disk = cluster.rigs[3].disk;
	disk->fault_kinds = 1u << DISK_CREATE;
	disk->fault_in = 0;
	disk->fault_result = -ENOSPC;
	disk->fault_stays = true;
	ck_assert_int_eq(add(leader, 4), 0);
	cluster_pass(&cluster, 50 * RIG_TICK_NS);
	ck_assert_uint_gt(disk->faults, 0);
	disk->fault_kinds = 0;
	await_same();
	expect_value(3, "k", "v");
}
END_TEST

START_TEST(several_join_at_once)
{
	crowd_start(3);
	crowd_start(4);
	put_many(leader, 20, 1000);
	ck_assert_int_eq(add(leader, 4), 0);
	ck_assert_int_eq(add(other(1), 5), 0);
	await_same();
	await_promoted(leader, 4);
	await_promoted(leader, 5);
	expect_voters(leader, (const uint64_t[]){1, 2, 3, 4, 5}, 5);
	await_same();
	expect_voters(3, (const uint64_t[]){1, 2, 3, 4, 5}, 5);
	expect_voters(4, (const uint64_t[]){1, 2, 3, 4, 5}, 5);
}
END_TEST

START_TEST(a_learner_is_promoted_only_when_it_has_caught_up)
{
	ck_assert_int_eq(add(leader, 4), 0);
	ck_assert_int_eq(promote(leader, 4), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(promote(other(1), 4), CONCLAVE_EMEMBERSHIP);
	ck_assert(!votes(leader, 4));
	crowd_start(3);
	await_same();
	ck_assert_int_eq(promote(other(2), 4), 0);
	await_same();
	expect_voters(3, (const uint64_t[]){1, 2, 3, 4}, 4);
	/* Now the two others alone are no majority, but with it they are. */
	cluster_isolate(&cluster, leader, true);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	put(3, "k", "v");
}
END_TEST

/* It had everything once, and lags again. */
START_TEST(a_learner_that_lags_is_not_promoted)
{
	uint64_t applied;

	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	await_same();
	applied = store_applied(cluster.rigs[3].node->store);
	cluster.clogged[leader][3] = true;
	put_many(leader, (uint32_t)applied, 10);
	ck_assert_int_eq(promote(leader, 4), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(replace(leader, other(1) + 1, 4),
			 CONCLAVE_EMEMBERSHIP);
	expect_voters(leader, (const uint64_t[]){1, 2, 3}, 3);
	cluster.clogged[leader][3] = false;
	await_same();
	ck_assert_int_eq(promote(leader, 4), 0);
}
END_TEST

START_TEST(one_member_grows_to_three_and_shrinks_again)
{
	crowd_end();
	leader = crowd_begin(1, 3);
	put(0, "k", "v");
	ck_assert_int_eq(add(0, 2), 0);
	crowd_start(1);
	await_promoted(0, 2);
	ck_assert_int_eq(add(1, 3), 0);
	crowd_start(2);
	await_promoted(1, 3);
	await_same();
	expect_value(2, "k", "v");
	expect_voters(2, (const uint64_t[]){1, 2, 3}, 3);
	ck_assert_int_eq(drop(1, 1), 0);
	await_removed(0);
	crowd_kill(0);
	leader = cluster_elect(&cluster);
	ck_assert_int_eq(drop(leader, leader == 1 ? 3 : 2), 0);
	await_removed(leader == 1 ? 2 : 1);
	put(leader, "k", "w");
	expect_voters(leader, (const uint64_t[]){leader + 1}, 1);
}
END_TEST

/* ---- leaving ---- */

START_TEST(who_is_removed_knows_it_and_the_others_go_on)
{
	uint32_t gone = other(1);

	ck_assert_int_eq(drop(other(2), gone + 1), 0);
	await_removed(gone);
	ck_assert_uint_eq(flags_seen(gone, gone + 1) & CV_MEMBER_REMOVED,
			  CV_MEMBER_REMOVED);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	ck_assert(!cluster.up[leader][gone]);
	ck_assert_uint_eq(cluster.rigs[gone].status.role, RAFT_FOLLOWER);
	ck_assert_uint_eq(flags_seen(leader, gone + 1), 0);
	ck_assert(!node_is_removed(cluster.rigs[leader].node));
	ck_assert(node_was_removed(cluster.rigs[leader].node, gone + 1));
	put(leader, "k", "v");
	expect_value(other(2), "k", "v");
}
END_TEST

START_TEST(a_leader_removes_itself_and_others_lead)
{
	uint32_t old = leader;

	ck_assert_int_eq(drop(other(1), leader + 1), 0);
	await_removed(old);
	ck_assert_uint_ne(cluster.rigs[old].status.role, RAFT_LEADER);
	crowd_kill(old);
	leader = cluster_elect(&cluster);
	ck_assert_uint_ne(leader, old);
	put(leader, "k", "v");
	ck_assert_uint_eq(conf_of(leader).voter_count, 2);
}
END_TEST

START_TEST(who_was_removed_while_it_was_away_is_a_stranger)
{
	uint32_t gone = other(1);

	crowd_kill(gone);
	ck_assert_int_eq(drop(leader, gone + 1), 0);
	crowd_start(gone);
	cluster_pass(&cluster, 60 * RIG_TICK_NS);
	ck_assert(!cluster.up[leader][gone]);
	/* A connection would tell it; see wire.h, WIRE_EREMOVED. */
	ck_assert(node_was_removed(cluster.rigs[leader].node, gone + 1));
	ck_assert(!node_is_removed(cluster.rigs[gone].node));
	node_believe_removed(cluster.rigs[gone].node);
	ck_assert(node_is_removed(cluster.rigs[gone].node));
	put(leader, "k", "v");
}
END_TEST

START_TEST(who_is_led_does_not_believe_that_it_was_removed)
{
	uint32_t i;

	for (i = 0; i < 3; i++) {
		node_believe_removed(cluster.rigs[i].node);
		ck_assert(!node_is_removed(cluster.rigs[i].node));
	}
}
END_TEST

START_TEST(an_id_that_was_removed_never_comes_back)
{
	uint32_t gone = other(1);

	ck_assert_int_eq(drop(leader, gone + 1), 0);
	ck_assert_int_eq(add(leader, gone + 1), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(add(leader, 4), 0);
	ck_assert_int_eq(drop(leader, 4), 0);
	ck_assert_int_eq(add(other(2), 4), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(drop(leader, 4), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(update(leader, 4, "x:1"), CONCLAVE_EMEMBERSHIP);
	ck_assert_uint_eq(conf_of(leader).voter_count, 2);
	ck_assert_uint_eq(conf_of(leader).learner_count, 0);
}
END_TEST

/* ---- replacing, updating ---- */

START_TEST(a_member_is_replaced_in_one_joint_change)
{
	uint32_t gone = other(1), kept = other(2), i;
	uint64_t left[3] = {0}, n = 0, last;
	struct raft_status raft;

	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	cluster_pass(&cluster, 20 * RIG_TICK_NS); /* addresses are told */
	await_same();
	raft_status(cluster.rigs[leader].node->raft, &raft);
	last = raft.last_index;
	ck_assert_int_eq(replace(kept, gone + 1, 4), 0);
	await_removed(gone);
	crowd_kill(gone);
	await_same();
	for (i = 0; i < 3; i++)
		if (i != gone)
			left[n++] = i + 1;
	left[n] = 4;
	expect_voters(leader, left, 3);
	expect_voters(3, left, 3);
	/* The change, and the entry that leaves the joint configuration. */
	raft_status(cluster.rigs[leader].node->raft, &raft);
	ck_assert_uint_eq(raft.last_index, last + 2);
}
END_TEST

START_TEST(a_replacement_that_has_not_caught_up_is_refused)
{
	ck_assert_int_eq(add(leader, 4), 0);
	ck_assert_int_eq(replace(leader, other(1) + 1, 4),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_uint_eq(conf_of(leader).voter_count, 3);
	ck_assert(votes(leader, other(1) + 1));
}
END_TEST

START_TEST(an_address_is_updated_on_all)
{
	struct seen seen;
	uint32_t i;

	ck_assert_int_eq(update(other(1), other(2) + 1, "elsewhere:9"), 0);
	await_same();
	for (i = 0; i < 3; i++) {
		ck_assert(see(i, other(2) + 1, &seen));
		ck_assert_str_eq(seen.address, "elsewhere:9");
		ck_assert_uint_ne(seen.member.flags & CV_MEMBER_VOTER, 0);
	}
}
END_TEST

START_TEST(addresses_of_the_first_members_are_told_through_the_log)
{
	const struct store_member *told;
	uint32_t i, k;

	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	await_same();
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(
			store_members(cluster.rigs[i].node->store, &told), 3);
		for (k = 0; k < 3; k++) {
			ck_assert_uint_eq(told[k].id, k + 1);
			ck_assert_str_eq(told[k].address,
					 cluster.members[k].address);
		}
	}
	/* What was told is not told again by the next leader. */
	ck_assert_int_eq(move_leader(leader, other(1) + 1), 0);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	(void)cluster_elect(&cluster);
	await_same();
	ck_assert_uint_le(store_applied(cluster.rigs[0].node->store), 5);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(an_id_that_is_a_member_is_not_added_again)
{
	struct seen seen;

	ck_assert_int_eq(add(leader, 4), 0);
	ck_assert_int_eq(change_status(leader, ask_change(leader, CV_MEMBER_ADD,
							  4, "y:1", 0)),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert(see(leader, 4, &seen));
	ck_assert_str_eq(seen.address, "host-4:7600");
	/* A voter must not become a learner by it. */
	ck_assert_int_eq(add(leader, other(1) + 1), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(add(other(1), leader + 1), CONCLAVE_EMEMBERSHIP);
	ck_assert_uint_eq(conf_of(leader).voter_count, 3);
}
END_TEST

START_TEST(what_does_not_fit_who_is_a_member_is_refused)
{
	ck_assert_int_eq(promote(leader, 9), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(promote(leader, other(1) + 1), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(drop(leader, 9), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(update(leader, 9, "x:1"), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(replace(leader, 9, other(1) + 1),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(replace(leader, other(1) + 1, 9),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(replace(leader, other(1) + 1, other(2) + 1),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(replace(leader, other(1) + 1, other(1) + 1),
			 CONCLAVE_EMEMBERSHIP);
	expect_voters(leader, (const uint64_t[]){1, 2, 3}, 3);
}
END_TEST

START_TEST(what_is_malformed_is_a_bad_request)
{
	static char long_address[STORE_ADDRESS_MAX + 1];
	uint32_t on = other(1);

	memset(long_address, 'a', STORE_ADDRESS_MAX);
	ck_assert_int_eq(add(on, 0), CONCLAVE_EBADREQ);
	ck_assert_int_eq(change_status(on, ask_change(on, CV_MEMBER_ADD, 4,
						      long_address, 0)),
			 CONCLAVE_EBADREQ);
	ck_assert_int_eq(
		change_status(on, ask_change(on, CV_MEMBER_ADD, 4, "", 0)),
		CONCLAVE_EBADREQ);
	ck_assert_int_eq(change_status(on, ask_change(on, CV_MEMBER_REMOVE, 1,
						      "x:1", 0)),
			 CONCLAVE_EBADREQ);
	ck_assert_int_eq(
		change_status(on, ask_change(on, CV_MEMBER_PROMOTE, 1, "", 7)),
		CONCLAVE_EBADREQ);
	ck_assert_int_eq(
		change_status(on, ask_change(on, CV_MEMBER_REPLACE, 1, "", 0)),
		CONCLAVE_EBADREQ);
	ck_assert_int_eq(change_status(on, ask_change(on, 6, 1, "", 0)),
			 CONCLAVE_EUNSUPPORTED);
}
END_TEST

START_TEST(a_change_after_which_no_majority_answers_is_refused)
{
	uint32_t dead = other(1), kept = other(2);

	crowd_kill(dead);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	ck_assert_int_eq(drop(leader, kept + 1), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(drop(kept, leader + 1), CONCLAVE_EMEMBERSHIP);
	expect_voters(leader, (const uint64_t[]){1, 2, 3}, 3);
	ck_assert_int_eq(drop(kept, dead + 1), 0);
	put(leader, "k", "v");
	ck_assert_uint_eq(conf_of(leader).voter_count, 2);
}
END_TEST

/* Who was heard of a moment ago and hung up since does not count. */
START_TEST(who_died_just_now_is_no_part_of_a_majority)
{
	uint32_t dead = other(1), kept = other(2);

	put(leader, "k", "v");
	crowd_kill(dead);
	ck_assert_int_eq(drop(leader, kept + 1), CONCLAVE_EMEMBERSHIP);
	expect_voters(leader, (const uint64_t[]){1, 2, 3}, 3);
	put(leader, "k", "w");
}
END_TEST

START_TEST(the_last_voter_is_not_removed)
{
	crowd_end();
	leader = crowd_begin(1, 2);
	ck_assert_int_eq(drop(0, 1), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(add(0, 2), 0);
	ck_assert_int_eq(drop(0, 1), CONCLAVE_EMEMBERSHIP);
	put(0, "k", "v");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_member");
	TCase *tests = tcase_create("members");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, who_is_added_gets_an_image_and_what_follows);
	tcase_add_test(tests, who_waits_to_be_added_hears_nothing_until_it_is);
	tcase_add_test(
		tests,
		who_has_no_room_for_the_image_gets_it_when_there_is_room);
	tcase_add_test(
		tests,
		who_is_added_when_the_log_is_compacted_gets_the_image_there_is);
	tcase_add_test(tests, several_join_at_once);
	tcase_add_test(tests, a_learner_is_promoted_only_when_it_has_caught_up);
	tcase_add_test(tests, a_learner_that_lags_is_not_promoted);
	tcase_add_test(tests, one_member_grows_to_three_and_shrinks_again);
	tcase_add_test(tests, who_is_removed_knows_it_and_the_others_go_on);
	tcase_add_test(tests, a_leader_removes_itself_and_others_lead);
	tcase_add_test(tests, who_was_removed_while_it_was_away_is_a_stranger);
	tcase_add_test(tests, who_is_led_does_not_believe_that_it_was_removed);
	tcase_add_test(tests, an_id_that_was_removed_never_comes_back);
	tcase_add_test(tests, a_member_is_replaced_in_one_joint_change);
	tcase_add_test(tests, a_replacement_that_has_not_caught_up_is_refused);
	tcase_add_test(tests, an_address_is_updated_on_all);
	tcase_add_test(tests,
		       addresses_of_the_first_members_are_told_through_the_log);
	tcase_add_test(tests, an_id_that_is_a_member_is_not_added_again);
	tcase_add_test(tests, what_does_not_fit_who_is_a_member_is_refused);
	tcase_add_test(tests, what_is_malformed_is_a_bad_request);
	tcase_add_test(tests,
		       a_change_after_which_no_majority_answers_is_refused);
	tcase_add_test(tests, who_died_just_now_is_no_part_of_a_majority);
	tcase_add_test(tests, the_last_voter_is_not_removed);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
