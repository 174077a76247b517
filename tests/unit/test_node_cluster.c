/*
 * Nodes that are one cluster: what is asked on any member takes effect on
 * all, once, whoever leads and however the links behave.
 */
#include "tests/unit/support_cluster.h"

static struct cluster cluster;
static struct guest guests[CLUSTER_MAX];
static uint32_t leader;

static void start(uint32_t segment_size)
{
	uint32_t i;

	cluster_init(&cluster, 3);
	for (i = 0; i < 3; i++)
		cluster.rigs[i].wal_options.segment_size = segment_size;
	leader = cluster_gather(&cluster, guests);
}

static void set_up(void)
{
	start(RIG_SEGMENT);
}

static void set_up_small(void)
{
	start(1 << 20);
}

/* Smaller still: in a segment of 1 MiB few frames do not fit. */
static void set_up_tiny(void)
{
	start(288 << 10);
}

static void tear_down(void)
{
	cluster_dismiss(&cluster, guests);
}

static uint32_t other(uint32_t than, uint32_t nth)
{
	return (than + nth) % 3;
}

static void check_same(void)
{
	struct store_hash first, hash;
	uint32_t i, k;

	for (i = 0; i < 50; i++)
		cluster_pass(&cluster, RIG_TICK_NS);
	store_hash(cluster.rigs[0].node->store, &first);
	for (k = 1; k < 3; k++) {
		store_hash(cluster.rigs[k].node->store, &hash);
		ck_assert_uint_eq(store_applied(cluster.rigs[k].node->store),
				  store_applied(cluster.rigs[0].node->store));
		ck_assert(hash.low == first.low && hash.high == first.high);
	}
}

START_TEST(a_put_on_any_member_is_read_on_any_other)
{
	uint32_t i, k;

	for (i = 0; i < 3; i++) {
		char value[2] = {(char)('a' + i), 0};

		peer_put(&guests[i], 0, "k", value);
		cluster_await(&cluster, &guests[i], 0);
		ck_assert_int_eq(status_of(&guests[i], 0), 0);
		for (k = 0; k < 3; k++) {
			peer_get(&guests[k], 1, "k");
			cluster_await(&cluster, &guests[k], 1);
			ck_assert_value(&guests[k], 1, value);
		}
	}
	check_same();
}
END_TEST

static bool has_applied(uint32_t i)
{
	return cluster.rigs[i].node->applied ==
	       cluster.rigs[leader].node->applied;
}

/* Passes that take next to no time, until it is answered. */
static void await_at_once(struct guest *guest, uint32_t slot)
{
	uint32_t i;

	for (i = 0; i < 50 && !is_posted(guest, slot); i++)
		(void)cluster_turn(&cluster, 100);
	(void)posted(guest, slot);
}

START_TEST(that_more_is_committed_waits_for_those_who_need_not_know)
{
	uint32_t a = other(leader, 1), b = other(leader, 2);

	peer_put(&guests[leader], 0, "k", "v");
	await_at_once(&guests[leader], 0);
	(void)cluster_turn(&cluster, 100);
	(void)cluster_turn(&cluster, 100);
	ck_assert(!has_applied(a) && !has_applied(b));
	ck_assert_uint_le(node_next_ns(cluster.rigs[leader].node),
			  cluster.rigs[leader].now_ns + COMMIT_WAIT_NS);
	/* It goes by itself after a while. */
	(void)cluster_turn(&cluster, COMMIT_WAIT_NS);
	(void)cluster_turn(&cluster, 100);
	(void)cluster_turn(&cluster, 100);
	ck_assert(has_applied(a) && has_applied(b));
}
END_TEST

START_TEST(who_forwarded_and_who_reads_hears_at_once_what_is_committed)
{
	uint32_t a = other(leader, 1), b = other(leader, 2);

	peer_put(&guests[a], 0, "k", "v");
	await_at_once(&guests[a], 0);
	peer_put(&guests[leader], 0, "k", "w");
	await_at_once(&guests[leader], 0);
	peer_get(&guests[b], 0, "k");
	await_at_once(&guests[b], 0);
	ck_assert_value(&guests[b], 0, "w");
}
END_TEST

START_TEST(segments_may_be_smaller_than_the_largest_entry)
{
	uint32_t round, i, k;

	/* Enough at once for a large record. */
	for (round = 0; round < 10; round++) {
		for (i = 3 * round; i < 3 * round + 3; i++)
			for (k = 0; k < 3; k++)
				peer_put_size(&guests[k], i, "k", 60000);
		for (i = 3 * round; i < 3 * round + 3; i++)
			for (k = 0; k < 3; k++) {
				cluster_await(&cluster, &guests[k], i);
				ck_assert_int_eq(status_of(&guests[k], i), 0);
			}
	}
	check_same();
}
END_TEST

START_TEST(bytes_may_be_cut_anywhere)
{
	uint32_t i, k;

	cluster.piece_max = 100;
	for (i = 0; i < 20; i++)
		for (k = 0; k < 3; k++)
			peer_put_size(&guests[k], i, "k", 1 + i * 37);
	for (k = 0; k < 3; k++)
		for (i = 0; i < 20; i++) {
			cluster_await(&cluster, &guests[k], i);
			ck_assert_int_eq(status_of(&guests[k], i), 0);
		}
	cluster.piece_max = UINT32_MAX;
	check_same();
}
END_TEST

START_TEST(a_put_in_doubt_takes_effect_once_under_the_next_leader)
{
	uint32_t old = leader, a = other(leader, 1);
	uint64_t revision;

	peer_put(&guests[a], 0, "k", "v");
	cluster_await(&cluster, &guests[a], 0);
	revision = posted(&guests[a], 0)->revision;
	/* The leader gets it, and is lost before anybody hears of it. */
	peer_put(&guests[a], 1, "k", "w");
	peer_put(&guests[old], 0, "l", "x");
	cluster_isolate(&cluster, old, true);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	cluster_await(&cluster, &guests[a], 1);
	ck_assert_int_eq(status_of(&guests[a], 1), 0);
	ck_assert(!is_posted(&guests[old], 0));
	cluster_isolate(&cluster, old, false);
	cluster_await(&cluster, &guests[old], 0);
	ck_assert_int_eq(status_of(&guests[old], 0), 0);
	ck_assert_uint_eq(posted(&guests[a], 1)->revision, revision + 1);
	ck_assert_uint_eq(posted(&guests[old], 0)->revision, revision + 2);
	check_same();
}
END_TEST

START_TEST(a_leader_that_dies_is_replaced_and_catches_up)
{
	uint32_t old = leader, a = other(leader, 1);
	uint32_t i;

	peer_unmap(&guests[old]);
	cluster_kill(&cluster, old);
	peer_put(&guests[a], 0, "k", "v");
	cluster_await(&cluster, &guests[a], 0);
	ck_assert_int_eq(status_of(&guests[a], 0), 0);
	for (i = 1; i < 100; i++)
		peer_put_size(&guests[a], i, "k", 1000);
	for (i = 1; i < 100; i++)
		cluster_await(&cluster, &guests[a], i);
	cluster_start_one(&cluster, old);
	(void)cluster_elect(&cluster);
	check_same();
}
END_TEST

START_TEST(a_leader_whose_disk_stalls_hands_over)
{
	uint32_t sick = leader, a = other(leader, 1), next;

	rig_stall(&cluster.rigs[sick]);
	peer_put(&guests[sick], 0, "k", "v");
	cluster_pass(&cluster, 12 * RIG_TICK_NS);
	next = (uint32_t)cluster_leader(&cluster);
	ck_assert_uint_ne(next, sick);
	ck_assert_uint_eq(cluster.rigs[sick].status.leader, next + 1);
	peer_put(&guests[a], 0, "l", "w");
	cluster_await(&cluster, &guests[a], 0);
	ck_assert_int_eq(status_of(&guests[a], 0), 0);
	/* It has what the others have, and may not lead. */
	cluster_isolate(&cluster, next, true);
	cluster_pass(&cluster, 60 * RIG_TICK_NS);
	ck_assert_uint_ne(cluster.rigs[sick].status.role, RAFT_LEADER);
	rig_unstall(&cluster.rigs[sick]);
	cluster_isolate(&cluster, next, false);
	cluster_await(&cluster, &guests[sick], 0);
	ck_assert_int_eq(status_of(&guests[sick], 0), 0);
	check_same();
}
END_TEST

/* Until the member's stop is over; it may take `ns_max`. */
static void drain(uint32_t i, uint64_t ns_max)
{
	uint64_t end_ns = cluster.rigs[i].now_ns + ns_max;

	node_drain(cluster.rigs[i].node);
	while (!node_drained(cluster.rigs[i].node)) {
		ck_assert_uint_lt(cluster.rigs[i].now_ns, end_ns);
		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
	}
}

START_TEST(a_leader_that_stops_answers_and_hands_over)
{
	uint32_t old = leader, a = other(leader, 1), next, i;
	uint64_t commit;

	for (i = 0; i < 20; i++) {
		peer_put(&guests[old], i, "k", "v");
		peer_put(&guests[a], i, "l", "w");
	}
	cluster_turns(&cluster, 1);
	/* Long before anybody would miss it. */
	drain(old, 5 * RIG_TICK_NS);
	for (i = 0; i < 20; i++)
		ck_assert_int_eq(status_of(&guests[old], i), 0);
	next = (uint32_t)cluster_leader(&cluster);
	ck_assert_uint_ne(next, old);
	/* It is gone for the others: they go on, and it stays at rest. */
	commit = cluster.rigs[old].node->commit;
	for (i = 20; i < 40; i++)
		peer_put(&guests[a], i, "l", "x");
	for (i = 0; i < 40; i++) {
		cluster_await(&cluster, &guests[a], i);
		ck_assert_int_eq(status_of(&guests[a], i), 0);
		ck_assert(node_drained(cluster.rigs[old].node));
	}
	ck_assert_uint_eq(cluster.rigs[old].node->commit, commit);
	ck_assert_uint_eq(cluster.rigs[next].status.role, RAFT_LEADER);
	cluster_kill(&cluster, old);
	peer_unmap(&guests[old]);
	cluster_start_one(&cluster, old);
	check_same();
}
END_TEST

START_TEST(a_stop_hands_over_to_who_is_there)
{
	uint32_t a = other(leader, 1), b = other(leader, 2);

	cluster_isolate(&cluster, a, true);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	drain(leader, 5 * RIG_TICK_NS);
	ck_assert_int_eq(cluster_leader(&cluster), (int)b);
}
END_TEST

START_TEST(a_stop_waits_for_nobody_who_is_not_there)
{
	/* It was heard lately, so it is tried. */
	cluster_isolate(&cluster, leader, true);
	drain(leader, 30 * RIG_TICK_NS);
}
END_TEST

START_TEST(a_stop_does_not_wait_for_an_election_that_nobody_wins)
{
	struct rig *rig = &cluster.rigs[leader];

	node_drain(rig->node);
	while (rig->status.role == RAFT_LEADER)
		(void)cluster_turn(&cluster, RIG_STEP_NS);
	ck_assert_uint_eq(rig->status.leader, 0);
	cluster_isolate(&cluster, leader, true);
	cluster_pass(&cluster, RIG_TICK_NS);
	ck_assert(!node_drained(rig->node));
	drain(leader, 30 * RIG_TICK_NS);
}
END_TEST

START_TEST(a_follower_that_stops_under_load_comes_to_rest)
{
	uint32_t a = other(leader, 1), i;

	peer_put(&guests[a], 0, "k", "v");
	cluster_turns(&cluster, 1);
	for (i = 0; i < 100; i++)
		peer_put_size(&guests[leader], i, "l", 1000);
	node_drain(cluster.rigs[a].node);
	for (i = 0; i < 100; i++)
		cluster_await(&cluster, &guests[leader], i);
	ck_assert_int_eq(status_of(&guests[a], 0), 0);
	drain(a, RIG_TICK_NS);
	ck_assert_int_eq(cluster_leader(&cluster), (int)leader);
}
END_TEST

START_TEST(readers_of_a_follower_share_a_round)
{
	uint32_t a = other(leader, 1), i;
	uint64_t rounds = cluster.rigs[a].node->read_round;

	for (i = 0; i < 50; i++)
		peer_get(&guests[a], i, "k");
	for (i = 0; i < 50; i++)
		cluster_await(&cluster, &guests[a], i);
	ck_assert_uint_eq(cluster.rigs[a].node->read_round, rounds + 1);
}
END_TEST

/* It may have been on its way while the member was started again. */
START_TEST(an_answer_to_an_earlier_life_confirms_no_read)
{
	uint32_t a = other(leader, 1);
	struct node *node = cluster.rigs[a].node;
	struct raft_message late = {
		.type = RAFT_MSG_READ_INDEX_REPLY,
		.from = leader + 1,
		.to = a + 1,
		.term = node->term,
		.log_index = 1,
	};

	peer_put(&guests[a], 0, "k", "v");
	cluster_await(&cluster, &guests[a], 0);
	peer_get(&guests[a], 1, "k");
	ck_assert_int_ge(rig_turn(&cluster.rigs[a]), 0);
	ck_assert_uint_eq(node->read_count, 1);
	for (late.round = 1; late.round < 100; late.round++)
		ck_assert_int_eq(raft_receive(node->raft, &late), 0);
	ck_assert_int_ge(rig_turn(&cluster.rigs[a]), 0);
	ck_assert(!is_posted(&guests[a], 1));
	cluster_await(&cluster, &guests[a], 1);
	ck_assert_value(&guests[a], 1, "v");
}
END_TEST

START_TEST(a_read_on_a_member_that_is_cut_off_waits)
{
	uint32_t old = leader, a = other(leader, 1);

	cluster_isolate(&cluster, old, true);
	peer_get(&guests[old], 0, "k");
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	peer_put(&guests[a], 0, "k", "new");
	cluster_await(&cluster, &guests[a], 0);
	ck_assert(!is_posted(&guests[old], 0));
	cluster_isolate(&cluster, old, false);
	cluster_await(&cluster, &guests[old], 0);
	ck_assert_value(&guests[old], 0, "new");
}
END_TEST

/* The copy that it forwarded before it led is refused late. */
START_TEST(a_leader_proposes_again_while_it_takes_more)
{
	struct rig *rig = &cluster.rigs[leader];
	struct node *node = rig->node;
	struct wire_frame refusal = {
		.type = WIRE_NACK,
		.first_index = 1,
		.reject_hint = (uint32_t)CONCLAVE_ENOLEADER,
	};

	cluster_isolate(&cluster, leader, true);
	peer_put(&guests[leader], 0, "k", "v");
	cluster_turns(&cluster, 20);
	ck_assert(!is_posted(&guests[leader], 0));
	refusal.round = node->batch_base + node->batch_head;
	propose_nacked(node, &refusal);
	ck_assert_uint_gt(node->retry_ns, rig->now_ns);
	while (rig->now_ns + RIG_TICK_NS < node->retry_ns)
		(void)cluster_turn(&cluster, RIG_TICK_NS / 2);
	peer_put(&guests[leader], 1, "l", "w");
	(void)cluster_turn(&cluster, RIG_TICK_NS);
	cluster_isolate(&cluster, leader, false);
	cluster_await(&cluster, &guests[leader], 0);
	cluster_await(&cluster, &guests[leader], 1);
	ck_assert_int_eq(status_of(&guests[leader], 0), 0);
	ck_assert_int_eq(status_of(&guests[leader], 1), 0);
	check_same();
}
END_TEST

START_TEST(members_with_small_segments_forward)
{
	uint32_t i;

	for (i = 0; i < 3; i++) {
		peer_put(&guests[i], 0, "k", "v");
		cluster_await(&cluster, &guests[i], 0);
		ck_assert_int_eq(status_of(&guests[i], 0), 0);
	}
	check_same();
}
END_TEST

/* A large entry, as an append has it; its size there. */
static uint32_t describe_entry(uint8_t *at, uint64_t index, uint64_t term)
{
	struct entry_header header = {
		.size = wal_buffer_max(cluster.rigs[0].wal) * 2 / 3,
		.kind = ENTRY_NORMAL,
		.index = index,
		.term = term,
	};

	memcpy(at, &header, sizeof(header));
	return entry_size(header.size);
}

/* More than a record takes, of which the first were compacted meanwhile. */
START_TEST(what_is_committed_is_not_taken_in_parts_again)
{
	struct node *node = cluster.rigs[other(leader, 1)].node;
	uint8_t *body = calloc(1, 4 << 20);
	struct wire_frame frame = {.type = RAFT_MSG_APPEND, .count = 3};
	struct raft_status raft;
	uint64_t index;

	ck_assert_ptr_nonnull(body);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	raft_status(node->raft, &raft);
	ck_assert_uint_ge(raft.commit, 2);
	ck_assert_uint_eq(raft.commit, raft.last_index);
	ck_assert_uint_eq(raft.commit, node->applied);
	/* Of the three one was, one is there, and one is new. */
	raft_compact(node->raft, raft.commit - 1);
	frame.term = raft.term;
	frame.first_index = raft.commit - 1;
	frame.log_index = raft.commit - 2;
	frame.log_term = frame.log_index > 0 ? raft.term : 0;
	for (index = raft.commit - 1; index <= raft.commit + 1; index++)
		frame.body_size += describe_entry(body + frame.body_size, index,
						  raft.term);
	/* Not: come again, for ever. */
	ck_assert_int_eq(record_received(node, leader + 1, &frame, body), 0);
	free(body);
}
END_TEST

START_TEST(members_with_small_segments_go_on_behind_a_large_record)
{
	uint32_t i, k, round;

	for (round = 0; round < 3; round++) {
		/* While one record is written, the next becomes large. */
		rig_stall(&cluster.rigs[leader]);
		for (i = 0; i < 4; i++)
			for (k = 0; k < 3; k++)
				peer_put_size(&guests[k], i, "k", 50000);
		cluster_turns(&cluster, 100);
		rig_unstall(&cluster.rigs[leader]);
		for (i = 0; i < 4; i++)
			for (k = 0; k < 3; k++) {
				cluster_await(&cluster, &guests[k], i);
				ck_assert_int_eq(status_of(&guests[k], i), 0);
			}
	}
	check_same();
}
END_TEST

START_TEST(a_frame_larger_than_a_record_is_taken_in_parts)
{
	uint32_t late = other(leader, 1), i, k;

	/* What is sent in one frame does not fit a record. */
	cluster_isolate(&cluster, late, true);
	for (i = 0; i < 10; i++) {
		for (k = 0; k < 16; k++)
			peer_put_size(&guests[leader], k, "k", 10000);
		for (k = 0; k < 16; k++)
			cluster_await(&cluster, &guests[leader], k);
	}
	cluster_isolate(&cluster, late, false);
	check_same();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_cluster");
	TCase *tests = tcase_create("three members");
	TCase *small = tcase_create("three members with small segments");
	TCase *tiny = tcase_create("three members with tiny segments");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_put_on_any_member_is_read_on_any_other);
	tcase_add_test(
		tests,
		that_more_is_committed_waits_for_those_who_need_not_know);
	tcase_add_test(
		tests,
		who_forwarded_and_who_reads_hears_at_once_what_is_committed);
	tcase_add_test(tests, bytes_may_be_cut_anywhere);
	tcase_add_test(tests,
		       a_put_in_doubt_takes_effect_once_under_the_next_leader);
	tcase_add_test(tests, a_leader_that_dies_is_replaced_and_catches_up);
	tcase_add_test(tests, a_leader_whose_disk_stalls_hands_over);
	tcase_add_test(tests, a_leader_that_stops_answers_and_hands_over);
	tcase_add_test(tests, a_stop_hands_over_to_who_is_there);
	tcase_add_test(tests, a_stop_waits_for_nobody_who_is_not_there);
	tcase_add_test(tests,
		       a_stop_does_not_wait_for_an_election_that_nobody_wins);
	tcase_add_test(tests, a_follower_that_stops_under_load_comes_to_rest);
	tcase_add_test(tests, readers_of_a_follower_share_a_round);
	tcase_add_test(tests, an_answer_to_an_earlier_life_confirms_no_read);
	tcase_add_test(tests, a_read_on_a_member_that_is_cut_off_waits);
	tcase_add_test(tests, a_leader_proposes_again_while_it_takes_more);
	suite_add_tcase(suite, tests);

	tcase_set_timeout(small, 120);
	tcase_add_checked_fixture(small, set_up_small, tear_down);
	tcase_add_test(small, segments_may_be_smaller_than_the_largest_entry);
	tcase_add_test(small, members_with_small_segments_forward);
	tcase_add_test(small, what_is_committed_is_not_taken_in_parts_again);
	tcase_add_test(small,
		       members_with_small_segments_go_on_behind_a_large_record);
	suite_add_tcase(suite, small);
	tcase_set_timeout(tiny, 120);
	tcase_add_checked_fixture(tiny, set_up_tiny, tear_down);
	tcase_add_test(tiny, a_frame_larger_than_a_record_is_taken_in_parts);
	suite_add_tcase(suite, tiny);
	return run_suite(suite);
}
