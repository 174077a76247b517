/*
 * Changes of members when things go wrong: leaders are lost, members stop and
 * start in each stage, two ask at once. A change takes effect once, and who
 * is a member is found again in log and snapshot.
 */
#include "tests/unit/support_crowd.h"

static uint32_t leader;

static void set_up(void)
{
	leader = crowd_begin(3, 5);
	cluster_pass(&cluster, 20 * RIG_TICK_NS); /* addresses are told */
}

static void tear_down(void)
{
	crowd_end();
}

static uint32_t other(uint32_t nth)
{
	return (leader + nth) % 3;
}

static void restart(uint32_t i)
{
	crowd_kill(i);
	crowd_start(i);
}

static void restart_all(void)
{
	bool lived[CLUSTER_MAX];
	uint32_t i;

	memcpy(lived, cluster.alive, sizeof(lived));
	for (i = 0; i < cluster.count; i++)
		if (lived[i])
			crowd_kill(i);
	for (i = 0; i < cluster.count; i++)
		if (lived[i])
			crowd_start(i);
	leader = cluster_elect(&cluster);
}

/* Changes of members in the log of member `on` + 1 that member `by` + 1 made. */
static uint32_t count_changes(uint32_t on, uint32_t by)
{
	struct node *node = cluster.rigs[on].node;
	struct raft_status raft;
	uint32_t count = 0;
	uint64_t index;

	raft_status(node->raft, &raft);
	for (index = raft.first_index; index <= raft.last_index; index++) {
		const struct raft_entry *entry =
			raft_entry_at(node->raft, index);
		struct entry_header header = {0};

		if (entry->kind != ENTRY_CONF_V2 || !entry->size)
			continue;
		ck_assert_ptr_nonnull(entry->data);
		memcpy(&header, entry->data, sizeof(header));
		count += header.origin == by + 1;
	}
	return count;
}

static void await_leader(uint32_t i)
{
	uint32_t ticks;

	for (ticks = 0; ticks < CROWD_PATIENCE; ticks++) {
		if (cluster_leader(&cluster) == (int)i)
			break;
		cluster_pass(&cluster, RIG_TICK_NS);
	}
	ck_assert_int_eq(cluster_leader(&cluster), (int)i);
}

static void await_even(uint32_t a, uint32_t b)
{
	uint32_t ticks;

	for (ticks = 0; ticks < CROWD_PATIENCE && !is_even(a, b); ticks++)
		cluster_pass(&cluster, RIG_TICK_NS);
	ck_assert(is_even(a, b));
}

/* ---- doubt ---- */

/* It was forwarded to member `i` + 1, who has not proposed it yet. */
static bool has_sealed_change(uint32_t i)
{
	const struct node *node = cluster.rigs[i].node;

	return node->sealed_count && node->sealed[0].kind == ENTRY_CONF_V2;
}

START_TEST(a_change_that_two_leaders_append_takes_effect_once)
{
	uint32_t old = leader, asks = other(1), next = other(2);
	struct node *node = cluster.rigs[asks].node;
	uint32_t before = count_changes(next, asks), slot, turns;
	struct seen seen;

	ck_assert_int_eq(add(leader, 4), 0);
	/* It reaches the leader; who asked hears nothing of what follows. */
	slot = ask_change(asks, CV_MEMBER_UPDATE, 4, "first:1", 0);
	for (turns = 0; turns < 1000 && !has_sealed_change(old); turns++)
		(void)cluster_turn(&cluster, RIG_STEP_NS);
	cluster_isolate(&cluster, asks, true);
	ck_assert_int_eq(update(old, 4, "second:2"), 0);
	ck_assert_uint_eq(count_changes(next, asks), before + 1);
	/* The next leader appends it again: it was not applied where it is. */
	cluster_isolate(&cluster, old, true);
	node->options.apply_budget = 0;
	cluster_cut(&cluster, asks, next, false);
	await_leader(next);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	ck_assert_uint_gt(count_changes(next, asks), before + 1);
	ck_assert(!is_posted(&guests[asks], slot));
	node->options.apply_budget = APPLY_BUDGET;
	ck_assert_int_eq(change_status(asks, slot), 0);
	/* So it did not undo what came between. */
	await_even(next, asks);
	ck_assert(see(next, 4, &seen));
	ck_assert_str_eq(seen.address, "second:2");
	cluster_isolate(&cluster, old, false);
	await_same();
}
END_TEST

START_TEST(a_change_that_was_lost_with_its_leader_is_made_by_the_next)
{
	uint32_t old = leader, asks = other(1), slot;

	cluster_isolate(&cluster, old, true);
	slot = ask_change(asks, CV_MEMBER_ADD, 4, "host-4:7600", 0);
	ck_assert_int_eq(change_status(asks, slot), 0);
	ck_assert(!learns(old, 4));
	cluster_isolate(&cluster, old, false);
	await_same();
	ck_assert(learns(old, 4));
}
END_TEST

START_TEST(what_a_lost_leader_alone_appended_is_undone)
{
	uint32_t old = leader, slot;

	cluster_clog(&cluster, old, true);
	slot = ask_change(old, CV_MEMBER_ADD, 4, "host-4:7600", 0);
	cluster_pass(&cluster, 3 * RIG_TICK_NS);
	ck_assert_uint_ge(count_changes(old, old), 1);
	cluster_isolate(&cluster, old, true);
	cluster_clog(&cluster, old, false);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	ck_assert(!is_posted(&guests[old], slot));
	ck_assert(!learns(old, 4));
	/* Another change takes its index, and then it is made after all. */
	ck_assert_int_eq(add(other(1), 5), 0);
	cluster_isolate(&cluster, old, false);
	ck_assert_int_eq(change_status(old, slot), 0);
	await_same();
	ck_assert(learns(old, 4) && learns(old, 5));
	ck_assert(learns(other(2), 4) && learns(other(2), 5));
}
END_TEST

START_TEST(the_outcome_of_a_change_can_be_asked_about)
{
	uint32_t on = other(1), slot;
	uint64_t sequence;

	ck_assert_int_eq(add(on, 4), 0);
	sequence = guests[on].sequence;
	ck_assert_int_eq(add(on, 4), CONCLAVE_EMEMBERSHIP);
	slot = asked[on]++ % CROWD_SLOTS;
	peer_outcome(&guests[on], slot, sequence);
	ck_assert_int_eq(change_status(on, slot), 0);
	ck_assert_uint_ne(
		posted(&guests[on], slot)->flags & CONCLAVE_RESULT_REPEATED, 0);
}
END_TEST

START_TEST(changes_that_are_asked_for_at_once_are_all_made)
{
	uint32_t slots[4], i;

	slots[0] = ask_change(leader, CV_MEMBER_ADD, 4, "a:1", 0);
	slots[1] = ask_change(leader, CV_MEMBER_ADD, 5, "b:1", 0);
	slots[2] = ask_change(other(1), CV_MEMBER_UPDATE, 1, "c:1", 0);
	slots[3] = ask_change(other(2), CV_MEMBER_UPDATE, 2, "d:1", 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(
			change_status(i < 2 ? leader : other(i - 1), slots[i]),
			0);
	ck_assert(learns(leader, 4) && learns(leader, 5));
}
END_TEST

START_TEST(a_change_right_after_an_election_is_made)
{
	uint32_t slot;

	crowd_kill(leader);
	leader = cluster_elect(&cluster);
	slot = ask_change(leader, CV_MEMBER_ADD, 4, "a:1", 0);
	ck_assert_int_eq(change_status(leader, slot), 0);
}
END_TEST

/* ---- restarts ---- */

START_TEST(who_is_a_member_is_recovered_from_the_log)
{
	ck_assert_int_eq(add(leader, 4), 0);
	ck_assert_int_eq(add(leader, 5), 0);
	restart_all();
	ck_assert(learns(leader, 4) && learns(leader, 5));
	crowd_start(3);
	await_promoted(leader, 4);
	restart_all();
	expect_voters(leader, (const uint64_t[]){1, 2, 3, 4}, 4);
	await_same();
	expect_voters(3, (const uint64_t[]){1, 2, 3, 4}, 4);
	ck_assert_int_eq(drop(leader, 5), 0);
	restart_all();
	ck_assert_int_eq(add(leader, 5), CONCLAVE_EMEMBERSHIP);
}
END_TEST

START_TEST(who_is_a_member_is_recovered_from_the_snapshot)
{
	uint64_t first;
	uint32_t i;

	for (i = 0; i < cluster.count; i++)
		cluster.rigs[i].wal_options.snapshot_after = 100000;
	restart_all();
	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	await_promoted(leader, 4);
	ck_assert_int_eq(add(leader, 5), 0);
	ck_assert_int_eq(drop(leader, 5), 0);
	first = store_applied(cluster.rigs[leader].node->store);
	put_many(leader, 200, 2000);
	await_same();
	ck_assert_uint_gt(wal_snapshot_index(cluster.rigs[leader].wal), first);
	restart_all();
	ck_assert_uint_gt(cluster.rigs[leader].report.snapshot_index, first);
	expect_voters(leader, (const uint64_t[]){1, 2, 3, 4}, 4);
	ck_assert_int_eq(add(leader, 5), CONCLAVE_EMEMBERSHIP);
	await_same();
	expect_voters(3, (const uint64_t[]){1, 2, 3, 4}, 4);
}
END_TEST

START_TEST(a_joiner_may_stop_at_any_moment_of_its_image)
{
	uint32_t turns, stops = 0;

	put_many(leader, 60, 60000);
	crowd_start(3);
	ck_assert_int_eq(add(leader, 4), 0);
	for (turns = 0; turns < 4000; turns++) {
		const struct incoming *in = &cluster.rigs[3].node->incoming;

		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
		/* Each stop comes a chunk later, or when all is written. */
		if (in->active && (in->next > stops || in->written)) {
			restart(3);
			stops++;
		}
		if (stops == 4)
			break;
	}
	ck_assert_uint_gt(stops, 1);
	await_same();
	await_promoted(leader, 4);
}
END_TEST

START_TEST(a_joiner_restarts_before_and_after_it_knows_itself)
{
	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	restart(3);
	await_same();
	ck_assert(learns(3, 4));
	restart(3);
	ck_assert(!node_is_removed(cluster.rigs[3].node));
	ck_assert(learns(3, 4));
	await_promoted(leader, 4);
	restart(3);
	await_same();
	ck_assert(votes(3, 4));
}
END_TEST

/*
 * Who was away long is led by one who was no member when it left, and must
 * listen to it all the same, or it never learns who is a member now.
 */
START_TEST(who_was_away_listens_to_a_leader_that_it_does_not_know)
{
	uint32_t away = other(1);

	crowd_kill(away);
	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	await_promoted(leader, 4);
	/* Who was just born does not lead. */
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert_int_eq(move_leader(leader, 4), 0);
	await_leader(3);
	crowd_start(away);
	await_same();
	ck_assert(votes(away, 4));
	put(away, "k", "v");
}
END_TEST

/* Who knows a leader knows who is a member: nobody else is let in. */
START_TEST(a_stranger_is_let_in_only_while_nobody_leads)
{
	uint32_t on = other(1);

	crowd_start(4);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert(!cluster.up[on][4]);
	ck_assert_int_eq(node_link_up(cluster.rigs[on].node, 5, NODE_BULK),
			 -ENOENT);
	cluster_isolate(&cluster, on, true);
	cluster_pass(&cluster, 60 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.rigs[on].status.leader, 0);
	ck_assert_int_eq(node_link_up(cluster.rigs[on].node, 5, NODE_BULK), 0);
	/* But not for long: it leads nobody. */
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert_ptr_null(peer_find(cluster.rigs[on].node, 5));
}
END_TEST

START_TEST(who_was_removed_is_not_let_in_while_nobody_leads)
{
	uint32_t on = other(1), gone = other(2);

	ck_assert_int_eq(drop(leader, gone + 1), 0);
	await_removed(gone);
	crowd_kill(gone);
	crowd_kill(leader);
	cluster_pass(&cluster, 60 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.rigs[on].status.leader, 0);
	ck_assert_int_eq(
		node_link_up(cluster.rigs[on].node, gone + 1, NODE_BULK),
		-ENOENT);
}
END_TEST

/* Who asks may not be told: the majority of one half is away. */
START_TEST(a_joint_configuration_is_left_after_a_restart_of_all)
{
	uint32_t gone = other(1), turns, slot;
	uint64_t left[3] = {0}, n = 0, i;

	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	await_same();
	slot = ask_change(leader, CV_MEMBER_REPLACE, gone + 1, "", 4);
	for (turns = 0; turns < 10000 && !conf_of(leader).outgoing_count;
	     turns++)
		(void)cluster_turn(&cluster, RIG_STEP_NS);
	ck_assert_uint_eq(conf_of(leader).outgoing_count, 3);
	ck_assert_uint_ge(asked[leader], slot);
	restart_all();
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	for (i = 0; i < 3; i++)
		if (i != gone)
			left[n++] = i + 1;
	left[n] = 4;
	await_removed(gone);
	leader = (uint32_t)cluster_leader(&cluster);
	expect_voters(leader, left, 3);
}
END_TEST

/* Member `i` + 1 is asked for a vote, and so writes what it knows committed. */
static void make_durable(uint32_t i)
{
	struct node *node = cluster.rigs[i].node;
	struct raft_message vote = {
		.type = RAFT_MSG_VOTE,
		.forced = true,
		.from = leader + 1,
		.to = i + 1,
	};
	struct raft_status raft;

	raft_status(node->raft, &raft);
	vote.term = raft.term + 1;
	vote.log_index = raft.last_index;
	vote.log_term = raft.term;
	ck_assert_int_eq(raft_receive(node->raft, &vote), 0);
	cluster_turns(&cluster, 20);
}

START_TEST(who_was_removed_knows_it_when_it_starts_again)
{
	uint32_t gone = other(1);

	ck_assert_int_eq(drop(leader, gone + 1), 0);
	await_removed(gone);
	make_durable(gone);
	restart(gone);
	ck_assert(node_is_removed(cluster.rigs[gone].node));
	cluster_pass(&cluster, 60 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.rigs[gone].status.role, RAFT_FOLLOWER);
	put(leader, "k", "v");
}
END_TEST

START_TEST(a_learner_that_was_removed_knows_it_when_it_starts_again)
{
	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	await_same();
	ck_assert_int_eq(drop(leader, 4), 0);
	await_removed(3);
	make_durable(3);
	/* Its log need not have anything from when it was a member. */
	restart(3);
	ck_assert(node_is_removed(cluster.rigs[3].node));
}
END_TEST

/* ---- leadership ---- */

START_TEST(leadership_moves_to_the_voter_that_is_named)
{
	uint32_t next = other(1);

	ck_assert_int_eq(move_leader(other(2), next + 1), 0);
	cluster_pass(&cluster, 5 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster_elect(&cluster), next);
	ck_assert_int_eq(move_leader(next, next + 1), 0);
	cluster_pass(&cluster, 5 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster_elect(&cluster), next);
	put(leader, "k", "v");
}
END_TEST

START_TEST(leadership_does_not_move_to_who_is_no_voter)
{
	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	await_same();
	ck_assert_int_eq(move_leader(leader, 4), CONCLAVE_ENOTFOUND);
	ck_assert_int_eq(move_leader(other(1), 4), CONCLAVE_ENOTFOUND);
	ck_assert_int_eq(move_leader(other(1), 9), CONCLAVE_ENOTFOUND);
	ck_assert_int_eq(move_leader(3, 9), CONCLAVE_ENOTFOUND);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster_elect(&cluster), leader);
}
END_TEST

START_TEST(without_a_leader_nobody_moves_it)
{
	uint32_t on = other(1);

	cluster_isolate(&cluster, on, true);
	cluster_pass(&cluster, 60 * RIG_TICK_NS);
	ck_assert_int_eq(move_leader(on, leader + 1), CONCLAVE_ENOLEADER);
}
END_TEST

START_TEST(leadership_stays_where_the_other_is_away)
{
	uint32_t away = other(1);

	cluster_isolate(&cluster, away, true);
	ck_assert_int_eq(move_leader(leader, away + 1), 0);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.rigs[leader].status.role, RAFT_LEADER);
	put(other(2), "k", "v");
}
END_TEST

START_TEST(links_are_seen)
{
	uint32_t away = other(1);
	struct seen seen;

	ck_assert_uint_eq(flags_seen(leader, away + 1),
			  CV_MEMBER_VOTER | CV_MEMBER_LINKED);
	cluster_isolate(&cluster, away, true);
	ck_assert_uint_eq(flags_seen(leader, away + 1), CV_MEMBER_VOTER);
	ck_assert_uint_eq(flags_seen(leader, leader + 1),
			  CV_MEMBER_VOTER | CV_MEMBER_LEADER | CV_MEMBER_SELF);
	ck_assert_uint_eq(flags_seen(other(2), leader + 1),
			  CV_MEMBER_VOTER | CV_MEMBER_LEADER |
				  CV_MEMBER_LINKED);
	/* Only a leader knows how far others are. */
	ck_assert(see(other(2), leader + 1, &seen));
	ck_assert_uint_eq(seen.member.match, 0);
	ck_assert(see(leader, leader + 1, &seen));
	ck_assert_uint_eq(seen.member.match,
			  store_applied(cluster.rigs[leader].node->store));
}
END_TEST

static TCase *doubt_case(void)
{
	TCase *t = tcase_create("doubt");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_change_that_two_leaders_append_takes_effect_once);
	tcase_add_test(
		t, a_change_that_was_lost_with_its_leader_is_made_by_the_next);
	tcase_add_test(t, what_a_lost_leader_alone_appended_is_undone);
	tcase_add_test(t, the_outcome_of_a_change_can_be_asked_about);
	tcase_add_test(t, changes_that_are_asked_for_at_once_are_all_made);
	tcase_add_test(t, a_change_right_after_an_election_is_made);
	return t;
}

static TCase *restart_case(void)
{
	TCase *t = tcase_create("restarts");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, who_is_a_member_is_recovered_from_the_log);
	tcase_add_test(t, who_is_a_member_is_recovered_from_the_snapshot);
	tcase_add_test(t, a_joiner_may_stop_at_any_moment_of_its_image);
	tcase_add_test(t, a_joiner_restarts_before_and_after_it_knows_itself);
	tcase_add_test(t,
		       who_was_away_listens_to_a_leader_that_it_does_not_know);
	tcase_add_test(t, a_stranger_is_let_in_only_while_nobody_leads);
	tcase_add_test(t, who_was_removed_is_not_let_in_while_nobody_leads);
	tcase_add_test(t, a_joint_configuration_is_left_after_a_restart_of_all);
	tcase_add_test(t, who_was_removed_knows_it_when_it_starts_again);
	tcase_add_test(
		t, a_learner_that_was_removed_knows_it_when_it_starts_again);
	return t;
}

static TCase *leader_case(void)
{
	TCase *t = tcase_create("leadership");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, leadership_moves_to_the_voter_that_is_named);
	tcase_add_test(t, leadership_does_not_move_to_who_is_no_voter);
	tcase_add_test(t, without_a_leader_nobody_moves_it);
	tcase_add_test(t, leadership_stays_where_the_other_is_away);
	tcase_add_test(t, links_are_seen);
	return t;
}

int main(void)
{
	Suite *suite = suite_create("node_member_doubt");

	suite_add_tcase(suite, doubt_case());
	suite_add_tcase(suite, restart_case());
	suite_add_tcase(suite, leader_case());
	return run_suite(suite);
}
