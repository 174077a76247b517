/*
 * History stays within its quarter of the quota, whoever leads: who comes to
 * lead goes on where the one before it compacted.
 */
#include "tests/unit/support_cluster.h"

enum {
	PUTS = 80, /* at once; eight such rounds are a megabyte, the quarter */
	PUT_SIZE = 1500,
	ROUNDS = 60, /* more than twice the quota */
};

static struct cluster cluster;
static struct guest guests[CLUSTER_MAX];
static uint32_t leader;

static void set_up(void)
{
	cluster_init(&cluster, 3);
	leader = cluster_gather(&cluster, guests);
}

static void tear_down(void)
{
	cluster_dismiss(&cluster, guests);
}

static void put_round(uint32_t member)
{
	uint32_t i;

	for (i = 0; i < PUTS; i++)
		peer_put_size(&guests[member], i, "k", PUT_SIZE);
	for (i = 0; i < PUTS; i++) {
		cluster_await(&cluster, &guests[member], i);
		ck_assert_int_eq(status_of(&guests[member], i), 0);
	}
	guests[member].settled = guests[member].sequence + 1;
}

static void lead_another(void)
{
	uint32_t old = leader;

	cluster_isolate(&cluster, old, true);
	cluster_pass(&cluster, 40 * RIG_TICK_NS);
	cluster_isolate(&cluster, old, false);
	leader = cluster_elect(&cluster);
	ck_assert_uint_ne(leader, old);
}

START_TEST(history_is_bounded_under_one_leader)
{
	uint32_t i;

	for (i = 0; i < ROUNDS; i++)
		put_round(leader);
	for (i = 0; i < 3; i++)
		ck_assert_uint_gt(store_compacted(cluster.rigs[i].node->store),
				  0);
}
END_TEST

START_TEST(history_is_bounded_under_each_next_leader)
{
	uint32_t rounds, next;

	/* From each point between two compactions leadership goes on. */
	for (next = 0; next < 8; next++) {
		for (rounds = 0; rounds < 9 + next; rounds++)
			put_round(leader);
		lead_another();
	}
	for (rounds = 0; rounds < ROUNDS; rounds++)
		put_round(leader);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node, history");
	TCase *tests = tcase_create("three members");

	tcase_set_timeout(tests, 60);
	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, history_is_bounded_under_one_leader);
	tcase_add_test(tests, history_is_bounded_under_each_next_leader);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
