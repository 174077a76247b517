/*
 * What a lane sends: all that waits in one go, entries from where the log has
 * them, and nothing of one member or lane at the cost of another.
 */
#include "tests/unit/support_crowd.h"

enum {
	ELECTION_TICKS = 10,
	PUTS = 200,
	BIG = 60000,
};

static uint32_t leader;

static void set_up(void)
{
	leader = crowd_begin(3, 4);
}

static void tear_down(void)
{
	crowd_end();
}

static uint32_t other(uint32_t nth)
{
	return (leader + nth) % 3;
}

static void jam(uint32_t from, uint32_t to, bool clogged)
{
	cluster.clogged[from][to] = clogged;
}

/* Puts at the leader: how many turns they took in all. */
static uint32_t turns_of(uint32_t count)
{
	uint32_t turns = 0;

	while (count-- > 0) {
		uint32_t slot = asked[leader]++ % CROWD_SLOTS;

		peer_put_size(&guests[leader], slot, "k", 1000);
		while (!is_posted(&guests[leader], slot)) {
			(void)cluster_turn(&cluster, RIG_STEP_NS);
			turns++;
		}
		ck_assert_int_eq(status_of(&guests[leader], slot), 0);
	}
	return turns;
}

/* ---- what is handed out ---- */

/* Nothing is encoded or copied: what the kernel is given is the log's. */
START_TEST(entries_are_sent_from_where_the_log_has_them)
{
	struct node *node = cluster.rigs[leader].node;
	struct node_part parts[NODE_PARTS_MAX];
	uint32_t to = other(1), count, i, found = 0;
	const struct raft_entry *entry;
	struct raft_status raft;
	const uint8_t *data;

	cluster_pass(&cluster, 3 * ELECTION_TICKS * RIG_TICK_NS);
	peer_put_size(&guests[leader], asked[leader]++, "k", BIG);
	ck_assert_int_ge(rig_turn(&cluster.rigs[leader]), 0);
	raft_status(node->raft, &raft);
	entry = raft_entry_at(node->raft, raft.last_index);
	ck_assert_uint_gt(entry->size, BIG);
	data = entry->data;
	count = node_gather(node, to + 1, NODE_BULK, parts);
	for (i = 0; i < count; i++) {
		const uint8_t *bytes = parts[i].bytes;

		found += data >= bytes && data + entry_size(entry->size) <=
						  bytes + parts[i].size;
	}
	ck_assert_uint_eq(found, 1);
	/* And that is what goes to the disk, too. */
	for (i = 0, found = 0; i < HELD_MAX; i++) {
		const struct wal_buffer *buffer = node->held[i].buffer;

		found += buffer && data >= buffer->payload &&
			 data < buffer->payload + buffer->used;
	}
	ck_assert_uint_eq(found, 1);
	node_sent(node, to + 1, NODE_BULK, 0);
	await_same();
}
END_TEST

/* Up to what a turn may take: sixteen frames. */
START_TEST(one_send_takes_everything_that_is_queued)
{
	uint32_t to = other(1), i, size = 0;
	struct node *node = cluster.rigs[leader].node;
	const struct lane *lane = &peer_find(node, to + 1)->lanes[NODE_BULK];
	struct node_part parts[NODE_PARTS_MAX];

	jam(leader, to, true);
	for (i = 0; i < 6; i++)
		put(leader, "k", "v");
	ck_assert_uint_gt(lane->tail - lane->head, 6);
	ck_assert_uint_le(lane->tail - lane->head, GATHER_FRAMES);
	for (i = node_gather(node, to + 1, NODE_BULK, parts); i > 0; i--)
		size += parts[i - 1].size;
	/* As if no kernel took it: it is all there again. */
	node_sent(node, to + 1, NODE_BULK, 0);
	jam(leader, to, false);
	cluster_send(&cluster, leader, to, NODE_BULK);
	ck_assert_uint_eq(cluster.links[leader][to][NODE_BULK].used, size);
	ck_assert_uint_eq(lane->head, lane->tail);
	await_same();
}
END_TEST

/* ---- what one costs another ---- */

START_TEST(a_heartbeat_waits_for_no_bulk)
{
	uint64_t term = cluster.rigs[leader].status.term;
	uint32_t i;

	cluster_clog(&cluster, leader, true);
	peer_put_size(&guests[leader], asked[leader]++, "k", BIG);
	cluster_pass(&cluster, 20 * ELECTION_TICKS * RIG_TICK_NS);
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(cluster.rigs[i].status.leader, leader + 1);
		ck_assert_uint_eq(cluster.rigs[i].status.term, term);
	}
	cluster_clog(&cluster, leader, false);
	await_same();
}
END_TEST

START_TEST(a_member_that_takes_nothing_costs_only_its_own_lag)
{
	uint32_t slow = other(1), well, stuck;
	struct node *node = cluster.rigs[leader].node;
	const struct lane *lane = &peer_find(node, slow + 1)->lanes[NODE_BULK];

	well = turns_of(PUTS);
	jam(leader, slow, true);
	stuck = turns_of(PUTS);
	ck_assert_uint_le(stuck, well + well / 10);
	ck_assert_uint_lt(lane->tail - lane->head, LANE_FRAMES);
	ck_assert(!is_even(leader, slow));
	jam(leader, slow, false);
	await_same();
}
END_TEST

START_TEST(a_member_that_is_dead_costs_nothing)
{
	uint32_t well = turns_of(PUTS);

	crowd_kill(other(1));
	ck_assert_uint_le(turns_of(PUTS), well + well / 10);
}
END_TEST

/* ---- images ---- */

/* Until it has taken `chunks` of an image, or all; what it has, it keeps. */
static bool await_chunks(uint64_t chunks)
{
	const struct incoming *in = &cluster.rigs[3].node->incoming;
	uint64_t had = in->next;
	uint32_t turns;

	for (turns = 0; turns < CLUSTER_TURNS_MAX; turns++) {
		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
		/* A few ahead, and no more: neither side keeps an image. */
		ck_assert_uint_le(in->asked, in->next + IMAGE_WINDOW);
		ck_assert_uint_ge(in->next, had);
		had = in->next;
		if (in->active && !in->written && in->next >= chunks)
			return true;
		if (in->written)
			return false;
	}
	ck_abort_msg("the image never comes");
	return false;
}

static void let_one_join(void)
{
	put_many(leader, 60, BIG);
	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
}

START_TEST(an_image_goes_on_where_its_connection_broke)
{
	const struct incoming *in;
	uint64_t had, breaks = 0;

	let_one_join();
	in = &cluster.rigs[3].node->incoming;
	while (await_chunks(breaks + 1)) {
		had = in->next;
		cluster_cut(&cluster, leader, 3, true);
		cluster_pass(&cluster, 2 * RIG_TICK_NS);
		ck_assert_uint_ge(in->next, had);
		had = in->next;
		cluster_cut(&cluster, leader, 3, false);
		ck_assert(in->active);
		breaks = had;
	}
	ck_assert_uint_gt(breaks, 1);
	await_same();
}
END_TEST

START_TEST(a_leader_serves_as_ever_while_it_sends_an_image)
{
	uint32_t well, puts = 0, turns = 0;
	const struct incoming *in;

	well = turns_of(PUTS);
	let_one_join();
	in = &cluster.rigs[3].node->incoming;
	ck_assert(await_chunks(1));
	while (in->active && !in->written) {
		turns += turns_of(1);
		puts++;
	}
	ck_assert_uint_gt(puts, 3);
	ck_assert_uint_le(turns * PUTS, (well + well / 5) * puts);
	await_same();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node, sending");
	TCase *tests = tcase_create("three members and one that joins");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, entries_are_sent_from_where_the_log_has_them);
	tcase_add_test(tests, one_send_takes_everything_that_is_queued);
	tcase_add_test(tests, a_heartbeat_waits_for_no_bulk);
	tcase_add_test(tests,
		       a_member_that_takes_nothing_costs_only_its_own_lag);
	tcase_add_test(tests, a_member_that_is_dead_costs_nothing);
	tcase_add_test(tests, an_image_goes_on_where_its_connection_broke);
	tcase_add_test(tests, a_leader_serves_as_ever_while_it_sends_an_image);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
