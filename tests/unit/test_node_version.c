/*
 * Releases side by side: the version of the cluster rises when every member
 * can apply more, and nobody applies what it does not understand.
 */
#include "daemon/store/state.h"
#include "tests/unit/support_crowd.h"

enum release_sizes {
	OLD = 1,
	NEW = 2,
	WAIT = 30, /* ticks in which what can happen does */
};

static uint32_t leader;

static void tear_down(void)
{
	crowd_end();
}

static struct node *node_at(uint32_t i)
{
	return cluster.rigs[i].node;
}

/* The daemon is stopped, and another release is started in its place. */
static void exchange(uint32_t i, uint32_t version)
{
	crowd_kill(i);
	cluster.rigs[i].options.version_max = version;
	crowd_start(i);
	leader = cluster_elect(&cluster);
}

static void load(uint32_t count)
{
	char value[16];
	uint32_t i;

	for (i = 0; i < count; i++) {
		(void)snprintf(value, sizeof(value), "%u", i);
		put(i % 3, "k", value);
		expect_value((i + 1) % 3, "k", value);
	}
}

START_TEST(the_version_rises_once_all_members_were_exchanged)
{
	uint32_t i;

	leader = crowd_begin_at(3, 3, OLD);
	for (i = 0; i < 3; i++) {
		load(30);
		cluster_pass(&cluster, WAIT * RIG_TICK_NS);
		ck_assert_uint_eq(node_cluster_version(node_at(leader)), OLD);
		exchange(i, NEW);
	}
	load(30);
	for (i = 0; i < 3; i++)
		await_version(i, NEW);
	load(30);
	await_same();
}
END_TEST

START_TEST(the_version_is_raised_by_one_entry)
{
	const struct setting_record *record;

	leader = crowd_begin_at(3, 3, NEW);
	await_version(leader, NEW);
	cluster_pass(&cluster, WAIT * RIG_TICK_NS);
	await_same();
	record = node_at(leader)->store->setting_records;
	ck_assert_uint_eq(record[SETTING_CLUSTER_VERSION].version,
			  record[SETTING_LEASE_READS].version + 1);
	ck_assert(!node_at(leader)->raising);
}
END_TEST

START_TEST(the_version_waits_for_a_member_that_is_away)
{
	leader = crowd_begin_at(3, 3, OLD);
	exchange(0, NEW);
	exchange(1, NEW);
	crowd_kill(2);
	leader = cluster_elect(&cluster);
	put(leader, "k", "v");
	cluster_pass(&cluster, WAIT * RIG_TICK_NS);
	ck_assert_uint_eq(node_cluster_version(node_at(leader)), OLD);
	cluster.rigs[2].options.version_max = NEW;
	crowd_start(2);
	await_version(2, NEW);
}
END_TEST

START_TEST(the_version_waits_for_a_learner)
{
	leader = crowd_begin_at(3, 4, OLD);
	ck_assert_int_eq(add(leader, 4), 0);
	crowd_start(3);
	await_same();
	exchange(0, NEW);
	exchange(1, NEW);
	exchange(2, NEW);
	put(leader, "k", "v");
	cluster_pass(&cluster, WAIT * RIG_TICK_NS);
	ck_assert_uint_eq(node_cluster_version(node_at(leader)), OLD);
	exchange(3, NEW);
	await_version(3, NEW);
}
END_TEST

START_TEST(a_client_cannot_raise_the_version)
{
	leader = crowd_begin_at(3, 3, OLD);
	ck_assert_int_eq(set(leader, "cluster_version", "2"), CONCLAVE_EBADREQ);
	ck_assert_int_eq(set(leader, "cluster_version", "1"), 0);
	ck_assert_uint_eq(node_cluster_version(node_at(leader)), OLD);
	await_same();
}
END_TEST

START_TEST(an_older_release_does_not_start_behind_the_version)
{
	uint32_t i;

	leader = crowd_begin_at(3, 3, NEW);
	for (i = 0; i < 3; i++)
		await_version(i, NEW);
	put(leader, "k", "v");
	await_same();
	crowd_kill(0);
	cluster.rigs[0].options.version_max = OLD;
	ck_assert_int_eq(rig_try(&cluster.rigs[0]), NODE_EOUTDATED);
	rig_crash(&cluster.rigs[0]);
	/* Nothing was lost by trying. */
	cluster.rigs[0].options.version_max = NEW;
	crowd_start(0);
	await_same();
	expect_value(0, "k", "v");
}
END_TEST

START_TEST(an_older_release_does_not_start_from_an_image_of_the_version)
{
	uint32_t i;

	cluster_init_some(&cluster, 3, 3);
	cluster.heedless = true;
	for (i = 0; i < 3; i++) {
		cluster.rigs[i].options.version_max = NEW;
		cluster.rigs[i].wal_options.snapshot_after = 100000;
		crowd_start(i);
	}
	leader = cluster_elect(&cluster);
	for (i = 0; i < 3; i++)
		await_version(i, NEW);
	put_many(leader, 200, 2000);
	await_same();
	ck_assert_uint_gt(wal_snapshot_index(cluster.rigs[0].wal), 10);
	crowd_kill(0);
	cluster.rigs[0].options.version_max = OLD;
	ck_assert_int_eq(rig_try(&cluster.rigs[0]), NODE_EOUTDATED);
	rig_crash(&cluster.rigs[0]);
	cluster.rigs[0].options.version_max = NEW;
	crowd_start(0);
	await_same();
}
END_TEST

/* The others are told a lie about it: that it can apply what it cannot. */
static void await_outdated(uint32_t i)
{
	uint32_t turns;

	cluster.tolerated = NODE_EOUTDATED;
	for (turns = 0; turns < 2000; turns++) {
		if (cluster.ended[i] == NODE_EOUTDATED)
			return;
		(void)cluster_turn(&cluster, RIG_TICK_NS / 20);
	}
	ck_abort_msg("member %u goes on", i + 1);
}

START_TEST(a_member_stops_before_it_applies_what_it_does_not_understand)
{
	uint32_t i, old;
	uint64_t applied;

	cluster_init_some(&cluster, 3, 3);
	cluster.heedless = true;
	for (i = 0; i < 3; i++) {
		cluster.rigs[i].options.version_max = i == 2 ? OLD : NEW;
		crowd_start(i);
	}
	leader = cluster_elect(&cluster);
	while (leader == 2) {
		ck_assert_int_eq(move_leader(2, 1), 0);
		cluster_pass(&cluster, 5 * RIG_TICK_NS);
		leader = cluster_elect(&cluster);
	}
	old = 2;
	await_same();
	put(leader, "k", "v");
	node_peer_told(node_at(leader), old + 1, NEW, 0);
	await_outdated(old);
	ck_assert_uint_eq(node_cluster_version(node_at(old)), OLD);
	applied = store_applied(node_at(old)->store);
	cluster_pass(&cluster, WAIT * RIG_TICK_NS);
	ck_assert_uint_eq(store_applied(node_at(old)->store), applied);
	ck_assert_uint_eq(node_cluster_version(node_at(leader)), NEW);
	/* As a newer release it goes on where it stopped. */
	cluster.tolerated = 0;
	exchange(old, NEW);
	await_same();
	expect_value(old, "k", "v");
}
END_TEST

START_TEST(a_member_stops_at_an_image_that_it_does_not_understand)
{
	uint32_t i;

	cluster_init_some(&cluster, 3, 4);
	cluster.heedless = true;
	for (i = 0; i < 4; i++) {
		cluster.rigs[i].options.version_max = i == 3 ? OLD : NEW;
		if (i < 3)
			crowd_start(i);
	}
	leader = cluster_elect(&cluster);
	await_version(leader, NEW);
	ck_assert_int_eq(add(leader, 4), 0);
	cluster.lies = true;
	crowd_start(3);
	await_outdated(3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node_version");
	TCase *tests = tcase_create("versions");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, NULL, tear_down);
	tcase_add_test(tests,
		       the_version_rises_once_all_members_were_exchanged);
	tcase_add_test(tests, the_version_is_raised_by_one_entry);
	tcase_add_test(tests, the_version_waits_for_a_member_that_is_away);
	tcase_add_test(tests, the_version_waits_for_a_learner);
	tcase_add_test(tests, a_client_cannot_raise_the_version);
	tcase_add_test(tests,
		       an_older_release_does_not_start_behind_the_version);
	tcase_add_test(
		tests,
		an_older_release_does_not_start_from_an_image_of_the_version);
	tcase_add_test(
		tests,
		a_member_stops_before_it_applies_what_it_does_not_understand);
	tcase_add_test(tests,
		       a_member_stops_at_an_image_that_it_does_not_understand);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
