/*
 * Batches that were handed on more than once: a refusal is told only when no
 * copy can commit any more, and then it is told.
 */
#include "tests/unit/support_crowd.h"

static uint32_t leader;

static void set_up(void)
{
	leader = crowd_begin(3, 3);
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

static struct node *node_of(uint32_t i)
{
	return cluster.rigs[i].node;
}

static uint64_t last_of(uint32_t i)
{
	struct raft_status raft;

	raft_status(node_of(i)->raft, &raft);
	return raft.last_index;
}

/* Until the log of member `i` + 1 ends behind `index`. */
static void await_log(uint32_t i, uint64_t index)
{
	uint32_t turns;

	for (turns = 0; turns < 2000 && last_of(i) <= index; turns++)
		(void)cluster_turn(&cluster, RIG_STEP_NS);
	ck_assert_uint_gt(last_of(i), index);
}

/* With other sizes. */
static void begin_again(uint64_t snapshot_after, uint32_t sessions_max)
{
	uint32_t i;

	for (i = 0; i < 3; i++) {
		crowd_kill(i);
		cluster.rigs[i].wal_options.snapshot_after = snapshot_after;
		cluster.rigs[i].settings.sessions_max = sessions_max;
	}
	for (i = 0; i < 3; i++)
		crowd_start(i);
	leader = cluster_elect(&cluster);
}

static void relink(uint32_t a, uint32_t b)
{
	cluster_cut(&cluster, a, b, true);
	cluster_cut(&cluster, a, b, false);
}

/* What only a lost leader appended, another one refuses. */
START_TEST(a_change_that_was_lost_with_its_leader_is_refused_in_the_end)
{
	uint32_t old = leader, slot;

	cluster_clog(&cluster, old, true);
	slot = ask_change(old, CV_MEMBER_ADD, 4, "first:1", 0);
	cluster_pass(&cluster, 3 * RIG_TICK_NS);
	cluster_isolate(&cluster, old, true);
	cluster_clog(&cluster, old, false);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	ck_assert_int_eq(add(other(1), 4), 0);
	ck_assert(!is_posted(&guests[old], slot));
	cluster_isolate(&cluster, old, false);
	ck_assert_int_eq(change_status(old, slot), CONCLAVE_EMEMBERSHIP);
}
END_TEST

/* The first was forwarded and lost on its way, with the connection. */
START_TEST(a_change_that_was_lost_on_its_way_is_refused_in_the_end)
{
	uint32_t asks = other(1), slot, turns;

	ck_assert_int_eq(add(leader, 4), 0);
	slot = ask_change(asks, CV_MEMBER_ADD, 4, "first:1", 0);
	for (turns = 0;
	     turns < 1000 && !cluster.links[asks][leader][NODE_BULK].used;
	     turns++) {
		cluster.links[asks][leader][NODE_BULK].used = 0;
		(void)rig_turn(&cluster.rigs[asks]);
		cluster_send(&cluster, asks, leader, NODE_BULK);
	}
	ck_assert_uint_lt(turns, 1000);
	relink(asks, leader);
	ck_assert_int_eq(change_status(asks, slot), CONCLAVE_EMEMBERSHIP);
}
END_TEST

/* A refusal of the second copy says nothing while the first may commit. */
START_TEST(a_refusal_waits_for_what_may_still_be_committed)
{
	uint32_t asks = other(1), slot;
	uint64_t before = last_of(leader);

	node_of(asks)->options.apply_budget = 0;
	slot = ask_change(asks, CV_MEMBER_ADD, 4, "first:1", 0);
	await_log(leader, before);
	relink(asks, leader);
	/* The leader has applied the first, and refuses the second. */
	cluster_pass(&cluster, 5 * RIG_TICK_NS);
	ck_assert(learns(leader, 4));
	ck_assert(!is_posted(&guests[asks], slot));
	node_of(asks)->options.apply_budget = APPLY_BUDGET;
	ck_assert_int_eq(change_status(asks, slot), 0);
}
END_TEST

/* The same, when an image brings what the first copy came to. */
START_TEST(what_an_image_brought_is_not_refused)
{
	uint32_t asks, slot, i;
	uint64_t before;

	begin_again(100000, 1000);
	asks = other(1);
	put(asks, "k", "v");
	before = last_of(leader);
	slot = ask_change(asks, CV_MEMBER_ADD, 4, "first:1", 0);
	/* It reaches the leader, whose answers do not reach who asked. */
	for (i = 0; i < 2000 && last_of(leader) <= before; i++) {
		cluster.links[leader][asks][NODE_BULK].used = 0;
		(void)cluster_turn(&cluster, RIG_STEP_NS);
	}
	cluster_isolate(&cluster, asks, true);
	put_many(other(2), 300, 2000);
	ck_assert_uint_gt(wal_snapshot_index(cluster.rigs[leader].wal),
			  before + 1);
	cluster_isolate(&cluster, asks, false);
	ck_assert_int_eq(change_status(asks, slot), 0);
	await_same();
	ck_assert(learns(asks, 4));
}
END_TEST

/* Until `count` entries that were forwarded wait in the leader's record. */
static void await_sealed(uint32_t count)
{
	uint32_t turns;

	for (turns = 0; turns < 1000 && node_of(leader)->sealed_count < count;
	     turns++)
		(void)cluster_turn(&cluster, RIG_STEP_NS);
	ck_assert_uint_ge(node_of(leader)->sealed_count, count);
}

/*
 * The first copy waits for the leader's disk when the second comes; only
 * between the two somebody was there who has no room for it.
 */
START_TEST(a_copy_that_is_too_large_now_is_not_refused_before_an_older_one)
{
	uint32_t asks = other(1), slot, turns;
	struct node *node = node_of(leader);

	rig_stall_kinds(&cluster.rigs[leader], 1u << DISK_WRITE_DURABLE);
	peer_put(&guests[leader], asked[leader]++ % CROWD_SLOTS, "k", "v");
	cluster_turns(&cluster, 2);
	slot = asked[asks]++ % CROWD_SLOTS;
	peer_put(&guests[asks], slot, "large", "value");
	await_sealed(1);
	node->entry_max = ENTRY_HEADER_SIZE;
	relink(asks, leader);
	node->entry_max = ENTRY_HEADER_SIZE;
	for (turns = 0; turns < 20; turns++)
		(void)cluster_turn(&cluster, RIG_STEP_NS);
	node->entry_max = node_entry_max(node);
	rig_unstall(&cluster.rigs[leader]);
	ck_assert_int_eq(change_status(asks, slot), 0);
	expect_value(asks, "large", "value");
}
END_TEST

/* The first copy finds too many sessions, the second one less. */
START_TEST(what_one_copy_is_refused_for_and_another_not_is_applied)
{
	uint32_t asks, slot;
	uint64_t before;

	begin_again(100 << 20, 1);
	asks = other(1);
	put(leader, "k", "v");
	before = last_of(leader);
	node_of(asks)->options.apply_budget = 0;
	slot = asked[asks]++ % CROWD_SLOTS;
	peer_put(&guests[asks], slot, "new", "value");
	await_log(leader, before);
	node_bye(node_of(leader), guests[leader].handle);
	node_detach(node_of(leader), guests[leader].handle);
	await_log(leader, before + 1);
	relink(asks, leader);
	await_log(leader, before + 2);
	node_of(asks)->options.apply_budget = APPLY_BUDGET;
	ck_assert_int_eq(change_status(asks, slot), 0);
	expect_value(asks, "new", "value");
}
END_TEST

/* Who lags would else make the log longer than it can catch up with. */
START_TEST(what_does_not_come_back_is_handed_on_ever_more_seldom)
{
	uint32_t asks = other(1), slot;
	struct node *node = node_of(asks);
	const struct batch *batch;

	node->options.apply_budget = 0;
	slot = asked[asks]++ % CROWD_SLOTS;
	peer_put(&guests[asks], slot, "k", "v");
	cluster_pass(&cluster, 60 * node->options.election_ticks * RIG_TICK_NS);
	batch = node_batch(node, node->batch_head);
	ck_assert(!batch->done);
	/* After 3, 9, 21 and 45 election timeouts. */
	ck_assert_uint_gt(batch->copies, 2);
	ck_assert_uint_lt(batch->copies, 7);
	node->options.apply_budget = APPLY_BUDGET;
	ck_assert_int_eq(change_status(asks, slot), 0);
}
END_TEST

/* It was decided while this member led, and nobody takes it from another. */
START_TEST(what_only_a_leader_may_propose_is_not_forwarded)
{
	uint32_t asks = other(1);
	struct node *node = node_of(asks);

	node->ends[node->end_tail++ % ENDS_MAX] = (struct session_end){
		.kind = ENTRY_SESSION_DROP,
		.session = {1},
	};
	put(asks, "k", "v");
	ck_assert_uint_eq(node->end_head, node->end_tail);
	ck_assert_uint_eq(node->batch_head, node->batch_tail);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_doubt");
	TCase *t = tcase_create("doubt");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(
		t,
		a_change_that_was_lost_with_its_leader_is_refused_in_the_end);
	tcase_add_test(t,
		       a_change_that_was_lost_on_its_way_is_refused_in_the_end);
	tcase_add_test(t, a_refusal_waits_for_what_may_still_be_committed);
	tcase_add_test(
		t,
		a_copy_that_is_too_large_now_is_not_refused_before_an_older_one);
	tcase_add_test(t, what_an_image_brought_is_not_refused);
	tcase_add_test(t,
		       what_one_copy_is_refused_for_and_another_not_is_applied);
	tcase_add_test(t,
		       what_does_not_come_back_is_handed_on_ever_more_seldom);
	tcase_add_test(t, what_only_a_leader_may_propose_is_not_forwarded);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
