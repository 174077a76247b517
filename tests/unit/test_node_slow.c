/*
 * A member that applies slowly while much comes: what is in the middle of
 * being applied stays where it is.
 */
#include "tests/unit/support_crowd.h"

enum slow_sizes {
	KEYS = 100,
	RECORDS = 60, /* more than there are buffers */
	TURNS_MAX = 2000,
};

static uint32_t leader, slow;

static void set_up(void)
{
	leader = crowd_begin(3, 3);
	slow = (leader + 1) % 3;
}

static void tear_down(void)
{
	crowd_end();
}

static void delete_all(void)
{
	uint32_t slot = asked[leader]++ % CROWD_SLOTS;
	struct cv_request head = peer_head(&guests[leader], slot, CV_DELETE);

	head.key_size = 4;
	head.value_size = 4;
	(void)peer_write(&guests[leader], head, "many", "manz");
	ck_assert_int_eq(change_status(leader, slot), 0);
}

/* Its buffers are put together, but not the bytes that are looked at. */
START_TEST(an_entry_that_is_being_applied_keeps_its_bytes)
{
	struct node *node = cluster.rigs[slow].node;
	uint32_t turns;

	put_many(leader, KEYS, 10);
	await_same();
	node->options.apply_budget = 1;
	/* Records that are applied and stay for members that lag lie before. */
	put(leader, "k", "v");
	delete_all();
	for (turns = 0; !node->applying && turns < TURNS_MAX; turns++)
		cluster_turns(&cluster, 1);
	ck_assert(node->applying);
	node->options.apply_budget = 0;
	put_many(leader, RECORDS, 10);
	ck_assert(node->applying);
	ck_assert_uint_le(node->held_tail - node->held_head,
			  cluster.rigs[slow].wal_options.buffers);
	node->options.apply_budget = APPLY_BUDGET;
	await_same();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("node, slow to apply");
	TCase *all = tcase_create("all");

	tcase_set_timeout(all, 60);
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, an_entry_that_is_being_applied_keeps_its_bytes);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
