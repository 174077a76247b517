/* What a store becomes when another cluster begins with it. */
#include "tests/unit/support_store.h"

static struct rig rig, twin;

static const struct store_member founders[] = {
	{.id = 4, .address = "d:4"},
	{.id = 7, .address = "g:7"},
};

static void setup(void)
{
	rig_init(&rig, &rig_settings);
}

static void teardown(void)
{
	rig_check(&rig);
	rig_release(&rig);
}

static void restore(void)
{
	ck_assert_int_eq(store_restore(rig.store, founders, 2), 0);
	rig.index = store_applied(rig.store);
	rig_check(&rig);
}

/* The rig's own session is over: another one, born at `born`. */
static struct store_result put_as(uint8_t session, uint64_t born,
				  uint64_t sequence)
{
	return rig_do(&rig, (struct ask){
				    .type = OP_PUT,
				    .flags = OP_BEGIN,
				    .session = session,
				    .sequence = sequence,
				    .settled_below = 1,
				    .epoch = 1,
				    .born = born,
				    .key = "by",
				    .key_size = 2,
				    .value = "it",
				    .value_size = 2,
			    });
}

START_TEST(keeps_keys_as_they_are)
{
	struct cv_record before, after;
	rig_put(&rig, "a", "old");
	rig_put(&rig, "b", "two");
	rig_put(&rig, "a", "one");
	rig_put(&rig, "c", "gone");
	rig_delete(&rig, "c");
	before = rig_get(&rig, "a", 0, "one");
	restore();
	after = rig_get(&rig, "a", 0, "one");
	ck_assert_mem_eq(&before, &after, sizeof(before));
	ck_assert_uint_eq(after.version, 2);
	rig_get(&rig, "b", 0, "two");
	ck_assert_uint_eq(rig_count(&rig, "\1", "\177", 0), 2);
}
END_TEST

START_TEST(keeps_settings)
{
	rig_do(&rig, ask_setting("retention_ms", "1234"));
	restore();
	ck_assert_uint_eq(store_settings(rig.store)->retention_ms, 1234);
}
END_TEST

START_TEST(leaps_so_that_nothing_is_numbered_twice)
{
	struct store_read read;
	uint64_t revision, applied;

	rig_put(&rig, "a", "one");
	rig_put(&rig, "a", "two");
	revision = store_revision(rig.store);
	applied = store_applied(rig.store);
	restore();
	ck_assert_uint_eq(store_revision(rig.store),
			  revision + STORE_RESTORE_STEP);
	ck_assert_uint_eq(store_applied(rig.store),
			  applied + STORE_RESTORE_STEP);
	/* Old revisions, and those that the old cluster went on to. */
	read = rig_read_of("a", NULL, revision);
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_ECOMPACTED);
	read = rig_read_of("a", NULL, revision + 1000);
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_ECOMPACTED);
	rig_get(&rig, "a", store_revision(rig.store), "two");
	rig_expect(put_as(9, rig.index, 1), 0,
		   revision + STORE_RESTORE_STEP + 1, 0);
}
END_TEST

START_TEST(ends_every_session)
{
	struct store_session session;
	struct store_result result;
	uint64_t born;
	uint8_t id[16] = {9};

	/* One that lives, one that has ended. */
	rig_expect(put_as(9, 100000, 1), 0, 2, 0);
	rig_expect(put_as(8, 100000, 1), 0, 3, 0);
	(void)rig_session(&rig, ENTRY_SESSION_CLOSE,
			  &(struct op_session){.session = {8}});
	born = store_applied(rig.store);
	restore();
	store_session(rig.store, id, &session);
	ck_assert_int_eq(session.state, STORE_SESSION_UNKNOWN);
	/* A repeated one is told neither its result nor "not applied", though
	 * the old cluster had gone far when it was born. */
	ck_assert_int_eq(put_as(9, 100000, 1).status, CONCLAVE_ESESSION);
	ck_assert_int_eq(put_as(5, born + 1000000000, 1).status,
			 CONCLAVE_ESESSION);
	ck_assert_int_eq(store_outcome(rig.store, id, 1, &result),
			 CONCLAVE_ESESSION);
}
END_TEST

START_TEST(lets_sessions_of_the_new_cluster_begin)
{
	rig_put(&rig, "a", "one");
	restore();
	ck_assert_int_eq(put_as(9, store_applied(rig.store), 1).status, 0);
}
END_TEST

START_TEST(takes_its_members_for_all_there_ever_were)
{
	static const struct raft_conf_change add = {4, RAFT_ADD_VOTER};
	static const struct raft_conf_change drop = {4, RAFT_REMOVE};
	const struct store_member *members;

	rig_change_members(&rig, &add, 1, "\003x:4", 4);
	rig_change_members(&rig, &drop, 1, "\000", 1);
	restore();
	ck_assert_uint_eq(store_members(rig.store, &members), 2);
	ck_assert_mem_eq(members, founders, sizeof(founders));
}
END_TEST

START_TEST(refuses_members_that_cannot_be)
{
	struct store_member wrong[2] = {founders[1], founders[0]};

	rig_put(&rig, "a", "one");
	ck_assert_int_eq(store_restore(rig.store, wrong, 2), -EINVAL);
}
END_TEST

START_TEST(refuses_a_store_in_which_nothing_happened)
{
	ck_assert_int_eq(store_restore(rig.store, founders, 2), -ERANGE);
}
END_TEST

START_TEST(can_be_done_until_the_numbers_end)
{
	rig_put(&rig, "a", "one");
	/* Far more often than anybody will. */
	for (int i = 0; i < 1000; i++)
		restore();
	rig_get(&rig, "a", 0, "one");
}
END_TEST

/* What the members of the new cluster get is one image. */
START_TEST(gives_an_image_that_loads_and_agrees)
{
	uint8_t *image, *other;
	uint32_t size, other_size;

	rig_put(&rig, "a", "one");
	rig_put(&rig, "b", "two");
	rig_put(&rig, "a", "three");
	rig_delete(&rig, "b");
	image = rig_image(&rig, 1000, &size);
	ck_assert_int_eq(rig_load(&twin, image, size, 1000), 0);
	free(image);
	/* Swept physically or not, as it was or loaded: the same bytes. */
	restore();
	ck_assert_int_eq(store_restore(twin.store, founders, 2), 0);
	rig_expect_same(&rig, &twin);
	image = rig_image(&rig, 1000, &size);
	other = rig_image(&twin, 7, &other_size);
	ck_assert_uint_eq(size, other_size);
	ck_assert_mem_eq(image, other, size);
	rig_release(&twin);
	ck_assert_int_eq(rig_load(&twin, image, size, 100), 0);
	rig_expect_same(&rig, &twin);
	rig_check(&twin);
	rig_release(&twin);
	free(image);
	free(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("a restored store");
	TCase *tests = tcase_create("restore");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, keeps_keys_as_they_are);
	tcase_add_test(tests, keeps_settings);
	tcase_add_test(tests, leaps_so_that_nothing_is_numbered_twice);
	tcase_add_test(tests, ends_every_session);
	tcase_add_test(tests, lets_sessions_of_the_new_cluster_begin);
	tcase_add_test(tests, takes_its_members_for_all_there_ever_were);
	tcase_add_test(tests, refuses_members_that_cannot_be);
	tcase_add_test(tests, refuses_a_store_in_which_nothing_happened);
	tcase_add_test(tests, can_be_done_until_the_numbers_end);
	tcase_add_test(tests, gives_an_image_that_loads_and_agrees);
	suite_add_tcase(suite, tests);
	return rig_run(suite);
}
