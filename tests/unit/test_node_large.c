/*
 * What is larger than the segments of some member: it is refused, and nobody
 * waits for it.
 */
#include "tests/unit/support_crowd.h"

enum large_sizes {
	SMALL_SEGMENT = 512 << 10,
	FITS = 300000,
	TOO_LARGE = 600000, /* for a small segment */
};

/* A client whose requests may be larger than a small segment. */
static void open_large(uint32_t i)
{
	struct guest *guest = &guests[i];
	struct node_event event;

	peer_init(guest, &cluster.rigs[i], (uint8_t)(100 + i));
	guest->who.hello.request_max = CV_REQUEST_MAX;
	ck_assert_int_eq(peer_knock(guest), 0);
	do
		ck_assert(node_next_event(guest->rig->node, &event));
	while (event.kind != NODE_WELCOME);
	guest->who.hello.epoch = event.epoch;
	asked[i] = 0;
}

static void start_one(uint32_t i, uint32_t segment_size)
{
	cluster.rigs[i].wal_options.segment_size = segment_size;
	cluster_start_one(&cluster, i);
	open_large(i);
}

static void begin(uint32_t members)
{
	cluster_init_some(&cluster, members, members);
	memset(guests, 0, sizeof(guests));
}

/* Events are taken in each turn from here on. */
static uint32_t elect(void)
{
	cluster.heedless = true;
	return cluster_elect(&cluster);
}

static void tear_down(void)
{
	crowd_end();
}

static int32_t put_size(uint32_t on, uint32_t size)
{
	uint32_t slot = asked[on]++ % CROWD_SLOTS;

	peer_put_size(&guests[on], slot, "k", size);
	return change_status(on, slot);
}

START_TEST(who_is_alone_refuses_what_its_segments_cannot_take)
{
	begin(1);
	start_one(0, SMALL_SEGMENT);
	(void)elect();
	ck_assert_int_eq(put_size(0, FITS), 0);
	ck_assert_int_eq(put_size(0, TOO_LARGE), CONCLAVE_ETOOLARGE);
	ck_assert_int_eq(put_size(0, FITS), 0);
}
END_TEST

START_TEST(each_member_refuses_what_the_smallest_segments_cannot_take)
{
	uint32_t i;

	begin(3);
	for (i = 0; i < 3; i++)
		start_one(i, i == 1 ? SMALL_SEGMENT : RIG_SEGMENT);
	(void)elect();
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(put_size(i, FITS), 0);
		ck_assert_int_eq(put_size(i, TOO_LARGE), CONCLAVE_ETOOLARGE);
		ck_assert_int_eq(put_size(i, FITS), 0);
	}
	await_same();
}
END_TEST

/* The origin knows less than the leader does. */
START_TEST(a_leader_refuses_what_a_member_forwards_that_knows_no_better)
{
	uint32_t i, leader, origin;

	begin(3);
	for (i = 0; i < 3; i++)
		start_one(i, RIG_SEGMENT);
	leader = elect();
	origin = (leader + 1) % 3;
	node_peer_told(cluster.rigs[leader].node, (leader + 2) % 3 + 1, 1,
		       TOO_LARGE / 2);
	ck_assert_int_eq(put_size(origin, TOO_LARGE), CONCLAVE_ETOOLARGE);
	ck_assert_int_eq(put_size(leader, TOO_LARGE), CONCLAVE_ETOOLARGE);
	ck_assert_int_eq(put_size(origin, TOO_LARGE / 3), 0);
	await_same();
}
END_TEST

START_TEST(a_member_that_comes_too_late_for_a_large_entry_stops)
{
	uint32_t turns;

	begin(3);
	start_one(0, RIG_SEGMENT);
	start_one(1, RIG_SEGMENT);
	(void)elect();
	ck_assert_int_eq(put_size(0, TOO_LARGE), 0);
	cluster.heedless = false;
	start_one(2, SMALL_SEGMENT);
	cluster.heedless = true;
	cluster.tolerated = NODE_ESEGMENT;
	for (turns = 0; !cluster.ended[2] && turns < 2000; turns++)
		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
	ck_assert_int_eq(cluster.ended[2], NODE_ESEGMENT);
	/* With larger ones it catches up. */
	cluster.tolerated = 0;
	crowd_kill(2);
	cluster.heedless = false;
	start_one(2, RIG_SEGMENT);
	cluster.heedless = true;
	await_same();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_large");
	TCase *tests = tcase_create("large");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, NULL, tear_down);
	tcase_add_test(tests,
		       who_is_alone_refuses_what_its_segments_cannot_take);
	tcase_add_test(
		tests,
		each_member_refuses_what_the_smallest_segments_cannot_take);
	tcase_add_test(
		tests,
		a_leader_refuses_what_a_member_forwards_that_knows_no_better);
	tcase_add_test(tests,
		       a_member_that_comes_too_late_for_a_large_entry_stops);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
