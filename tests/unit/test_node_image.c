/*
 * Images that somebody asked for: a backup is cut where this member stands,
 * with or without a leader, and is an image like any other afterwards.
 */
#include "tests/unit/support_crowd.h"

enum {
	IMAGE_AT = 64 << 10, /* in the reply area */
	IMAGE_ROOM = 1024,
	TURNS_MAX = 20000,
};

static uint32_t leader, other;

static void set_up(void)
{
	leader = crowd_begin(3, 3);
	other = (leader + 1) % 3;
	put(leader, "k", "v");
	await_same();
}

static void tear_down(void)
{
	crowd_end();
}

static uint32_t ask_in(uint32_t on, uint64_t index, uint32_t room)
{
	uint32_t slot = asked[on]++ % CROWD_SLOTS;

	(void)peer_write(&guests[on],
			 (struct cv_request){
				 .slot = slot,
				 .type = CV_IMAGE,
				 .argument = index,
				 .reply_offset = IMAGE_AT,
				 .reply_size = room,
			 },
			 "", "");
	cluster_await(&cluster, &guests[on], slot);
	return slot;
}

static struct cv_image ask(uint32_t on, uint64_t index)
{
	const uint8_t *reply =
		guests[on].down + guests[on].welcome.reply_offset + IMAGE_AT;
	struct cv_image image;

	ck_assert_int_eq(status_of(&guests[on], ask_in(on, index, IMAGE_ROOM)),
			 0);
	memcpy(&image, reply, sizeof(image));
	return image;
}

static uint64_t applied(uint32_t on)
{
	return cluster.rigs[on].node->applied;
}

static uint64_t named(uint32_t on)
{
	return wal_snapshot_index(cluster.rigs[on].wal);
}

/* Until that member has an image with this index. */
static void await_image(uint32_t on, uint64_t index)
{
	uint32_t turns;

	for (turns = 0; named(on) < index && turns < TURNS_MAX; turns++)
		cluster_turns(&cluster, 1);
	ck_assert_uint_ge(named(on), index);
}

START_TEST(is_made_where_the_member_stands_and_only_there)
{
	uint64_t index = applied(other);
	struct cv_image image = ask(other, index);

	ck_assert_uint_eq(image.index, 0);
	ck_assert_uint_eq(image.applied, index);
	await_image(other, index);
	image = ask(other, index);
	ck_assert_uint_eq(image.index, index);
	ck_assert_uint_gt(image.term, 0);
	ck_assert_uint_eq(named(leader), 0);
	/* What it has now is what was asked for: no other is made. */
	(void)ask(other, index);
	put(leader, "k", "w");
	(void)ask(other, index);
	cluster_pass(&cluster, 100 * RIG_TICK_NS);
	ck_assert_uint_eq(named(other), index);
}
END_TEST

START_TEST(needs_no_leader)
{
	uint64_t index;

	cluster_isolate(&cluster, other, true);
	cluster_pass(&cluster, 50 * RIG_TICK_NS);
	ck_assert_uint_eq(cluster.rigs[other].node->leader, 0);
	index = applied(other);
	(void)ask(other, index);
	await_image(other, index);
	cluster_isolate(&cluster, other, false);
	await_same();
}
END_TEST

START_TEST(waits_until_the_index_is_applied)
{
	uint64_t index = applied(leader) + 3;

	(void)ask(leader, index);
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert_uint_eq(named(leader), 0);
	while (applied(leader) < index)
		put(leader, "k", "w");
	await_image(leader, index);
}
END_TEST

START_TEST(is_nothing_that_can_be_asked_for_without_end)
{
	uint32_t i;

	for (i = 0; i < 40; i++) {
		put(leader, "k", "w");
		(void)ask(leader, applied(leader));
		cluster_turns(&cluster, 20);
	}
	/* One a second, and less than that has passed. */
	ck_assert_uint_le(cluster.rigs[leader].status.snapshots, 2);
}
END_TEST

START_TEST(says_how_much_room_its_place_takes)
{
	uint32_t slot;

	cluster.rigs[other].node->options.folder = "/a/folder";
	cluster.rigs[other].node->options.name = "name";
	slot = ask_in(other, 1, 44);
	ck_assert_int_eq(status_of(&guests[other], slot), CONCLAVE_ETOOSMALL);
	ck_assert_uint_eq(posted(&guests[other], slot)->reply_size, 45);
	slot = ask_in(other, 1, 45);
	ck_assert_int_eq(status_of(&guests[other], slot), 0);
}
END_TEST

START_TEST(serves_a_member_that_lags)
{
	uint32_t late = 3 - leader - other;

	crowd_kill(late);
	put_many(leader, 20, 3000);
	(void)ask(leader, applied(leader));
	await_image(leader, applied(leader));
	put(leader, "k", "after");
	crowd_start(late);
	await_same();
	expect_value(late, "k", "after");
	ck_assert_uint_gt(named(late), 0);
}
END_TEST

/* The leader believes that the image arrived, and sends what is behind it. */
static void send_on(uint32_t late)
{
	struct node *node = cluster.rigs[leader].node;
	struct raft_message answer = {
		.type = RAFT_MSG_HEARTBEAT_REPLY,
		.from = late + 1,
		.to = leader + 1,
		.term = node->term,
	};

	raft_report_snapshot(node->raft, late + 1, true);
	ck_assert_int_eq(raft_receive(node->raft, &answer), 0);
	rig_turns(&cluster.rigs[leader], 1);
	cluster_send(&cluster, leader, late, NODE_BULK);
	cluster_deliver(&cluster, leader, late, NODE_BULK);
}

static void put_soon(const char *key, const char *value)
{
	peer_put(&guests[leader], asked[leader]++ % CROWD_SLOTS, key, value);
}

/*
 * Raft knows of the image, and the disk takes no record yet: what the leader
 * sends meanwhile is written with the image's record, and is applied later.
 */
START_TEST(keeps_what_comes_before_the_record_that_installs_it)
{
	uint32_t late = 3 - leader - other, turns;
	struct raft_status raft;
	struct node *node;

	crowd_kill(late);
	put_many(leader, 20, 3000);
	(void)ask(leader, applied(leader));
	await_image(leader, applied(leader));
	crowd_start(late);
	cluster_isolate(&cluster, other, true);
	put_soon("first", "one");
	node = cluster.rigs[late].node;
	for (turns = 0; !named(late) && turns < TURNS_MAX; turns++)
		cluster_turns(&cluster, 1);
	image_turn(node);
	ck_assert(node->incoming.installing);
	send_on(late);
	raft_status(node->raft, &raft);
	ck_assert_uint_gt(raft.last_index, named(late));
	for (turns = 0; turns < 5; turns++) {
		rig_turns(&cluster.rigs[late], 2);
		put_soon("more", "two");
		send_on(late);
	}
	ck_assert_uint_eq(applied(late), named(late));
	cluster_isolate(&cluster, other, false);
	await_same();
	expect_value(late, "first", "one");
}
END_TEST

START_TEST(stands_a_crash_in_any_turn)
{
	uint32_t turns;

	put_many(leader, 20, 3000);
	for (turns = 0; turns < 30; turns++) {
		put(leader, "k", "w");
		await_same();
		(void)ask(other, applied(other));
		cluster_turns(&cluster, turns);
		crowd_kill(other);
		crowd_start(other);
		put(leader, "k", "after");
		await_same();
		expect_value(other, "k", "after");
	}
	ck_assert_uint_gt(named(other), 0);
}
END_TEST

START_TEST(is_not_begun_by_a_member_that_stops)
{
	(void)ask(other, applied(other) + 1);
	node_drain(cluster.rigs[other].node);
	put(leader, "k", "w");
	cluster_pass(&cluster, 20 * RIG_TICK_NS);
	ck_assert_uint_eq(named(other), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("an image that was asked for");
	TCase *tests = tcase_create("image");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, is_made_where_the_member_stands_and_only_there);
	tcase_add_test(tests, needs_no_leader);
	tcase_add_test(tests, waits_until_the_index_is_applied);
	tcase_add_test(tests, is_nothing_that_can_be_asked_for_without_end);
	tcase_add_test(tests, says_how_much_room_its_place_takes);
	tcase_add_test(tests, serves_a_member_that_lags);
	tcase_add_test(tests,
		       keeps_what_comes_before_the_record_that_installs_it);
	tcase_add_test(tests, stands_a_crash_in_any_turn);
	tcase_add_test(tests, is_not_begun_by_a_member_that_stops);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
