/* What operations on keys mean: revisions, history, charges. */
#include "tests/unit/support_store.h"

static struct rig rig;

static void setup(void)
{
	rig_init(&rig, &rig_settings);
}

static void teardown(void)
{
	rig_check(&rig);
	rig_release(&rig);
}

START_TEST(counts_revisions_as_etcd_does)
{
	struct cv_record record;

	ck_assert_uint_eq(store_revision(rig.store), 1);
	rig_expect(rig_put(&rig, "a", "1"), 0, 2, 0);
	rig_expect(rig_put(&rig, "b", "1"), 0, 3, 0);
	rig_expect(rig_put(&rig, "a", "2"), 0, 4, 0);
	record = rig_get(&rig, "a", 0, "2");
	ck_assert_uint_eq(record.create_revision, 2);
	ck_assert_uint_eq(record.mod_revision, 4);
	ck_assert_uint_eq(record.version, 2);
	ck_assert_uint_eq(record.lease, 0);
	/* Nothing found, nothing counted. */
	rig_expect(rig_delete(&rig, "x"), 0, 4, 0);
	rig_expect(rig_delete(&rig, "a"), 0, 5, 1);
	rig_expect(rig_delete(&rig, "a"), 0, 5, 0);
	rig_expect(rig_put(&rig, "a", ""), 0, 6, 0);
	record = rig_get(&rig, "a", 0, "");
	ck_assert_uint_eq(record.create_revision, 6);
	ck_assert_uint_eq(record.version, 1);
	rig_get(&rig, "a", 2, "1");
	rig_get(&rig, "a", 3, "1");
	rig_get(&rig, "a", 4, "2");
	ck_assert_uint_eq(rig_count(&rig, "a", NULL, 5), 0);
	ck_assert_uint_eq(rig_count(&rig, "a", NULL, 1), 0);
}
END_TEST

START_TEST(gives_each_operation_of_a_batch_its_revision)
{
	const struct ask put = {.type = OP_PUT,
				.key = "k",
				.key_size = 1,
				.value = "v",
				.value_size = 1};
	struct ask missing = {.type = OP_DELETE, .key = "m", .key_size = 1};

	rig_add(&rig, &put);
	rig_add(&rig, &missing);
	rig_add(&rig, &put);
	rig_apply(&rig);
	ck_assert_uint_eq(rig.result_count, 3);
	rig_expect(rig.results[0], 0, 2, 0);
	rig_expect(rig.results[1], 0, 2, 0);
	rig_expect(rig.results[2], 0, 3, 0);
}
END_TEST

START_TEST(swaps_only_what_is_as_expected)
{
	struct store_result result;

	result = rig_do(&rig, ask_cas("k", "new", 0));
	rig_expect(result, 0, 2, 0);
	ck_assert_uint_eq(result.flags, CONCLAVE_RESULT_SUCCEEDED);
	rig_expect(rig_do(&rig, ask_cas("k", "x", 0)), CONCLAVE_ECOMPARE, 2, 2);
	rig_expect(rig_do(&rig, ask_cas("k", "x", 7)), CONCLAVE_ECOMPARE, 2, 2);
	rig_expect(rig_do(&rig, ask_cas("none", "x", 7)), CONCLAVE_ECOMPARE, 2,
		   0);
	rig_expect(rig_do(&rig, ask_cas("k", "next", 2)), 0, 3, 0);
	rig_get(&rig, "k", 0, "next");
	rig_expect(rig_delete(&rig, "k"), 0, 4, 1);
	rig_expect(rig_do(&rig, ask_cas("k", "x", 4)), CONCLAVE_ECOMPARE, 4, 0);
	rig_expect(rig_do(&rig, ask_cas("k", "again", 0)), 0, 5, 0);
	ck_assert_uint_eq(rig_get(&rig, "k", 0, "again").create_revision, 5);
}
END_TEST

START_TEST(deletes_a_range_as_one_revision)
{
	rig_put(&rig, "a", "");
	rig_put(&rig, "b", "");
	rig_put(&rig, "c", "");
	rig_put(&rig, "d", "");
	rig_expect(rig_do(&rig, ask_delete_range("b", "d")), 0, 6, 2);
	ck_assert_uint_eq(rig_count(&rig, "a", "", 0), 2);
	ck_assert_uint_eq(rig_count(&rig, "a", "", 5), 4);
	rig_expect(rig_do(&rig, ask_delete_range("d", "b")), 0, 6, 0);
	rig_expect(rig_do(&rig, ask_delete_range("b", "")), 0, 7, 1);
	rig_expect(rig_do(&rig, ask_delete_range("a", "")), 0, 8, 1);
	ck_assert_uint_eq(rig_count(&rig, "a", "", 0), 0);
	ck_assert_uint_eq(rig_count(&rig, "a", "", 5), 4);
}
END_TEST

START_TEST(shows_a_range_that_is_being_deleted_until_it_is_whole)
{
	struct ask range = ask_delete_range("k", "l");
	struct raft_entry entry = {.kind = ENTRY_NORMAL};
	struct entry_header head = {.kind = ENTRY_NORMAL, .op_count = 1};
	char key[8] = "k";
	uint32_t i, slices = 0;

	for (i = 0; i < 500; i++) {
		key[1] = (char)('a' + i / 26);
		key[2] = (char)('a' + i % 26);
		rig_put(&rig, key, "v");
	}
	rig_add(&rig, &range);
	entry.index = ++rig.index;
	entry.size = rig.used - ENTRY_HEADER_SIZE;
	entry.data = rig.entry;
	memcpy(rig.entry, &head, sizeof(head));
	store_apply_begin(rig.store, &entry);
	while (store_apply(rig.store, 20) != 0) {
		slices++;
		ck_assert_uint_eq(store_revision(rig.store), 501);
		ck_assert_uint_eq(rig_count(&rig, "a", "", 0), 500);
		rig_sweep(&rig, 100);
	}
	ck_assert_uint_gt(slices, 20);
	ck_assert_uint_eq(store_revision(rig.store), 502);
	ck_assert_uint_eq(rig_count(&rig, "a", "", 0), 0);
	ck_assert_uint_eq(store_results(rig.store, &i)->aux, 500);
}
END_TEST

START_TEST(compacts_at_once_and_frees_in_slices)
{
	struct store_stats stats;
	uint32_t i;

	for (i = 0; i < 100; i++)
		rig_put(&rig, i % 2 == 0 ? "a" : "b", "value");
	rig_delete(&rig, "b");
	rig_expect(rig_compact(&rig, 0), CONCLAVE_ECOMPACTED, 102, 0);
	rig_expect(rig_compact(&rig, 103), CONCLAVE_EFUTURE, 102, 0);
	rig_expect(rig_compact(&rig, 50), 0, 102, 0);
	rig_expect(rig_compact(&rig, 50), CONCLAVE_ECOMPACTED, 102, 0);
	rig_expect(rig_compact(&rig, 49), CONCLAVE_ECOMPACTED, 102, 0);
	ck_assert_uint_eq(store_compacted(rig.store), 50);
	rig_check(&rig);
	rig_get(&rig, "a", 50, "value");
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 101);
	ck_assert_uint_gt(stats.lag_bytes, 0);
	while (rig_sweep(&rig, 1))
		rig_check(&rig);
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 101 - 47);
	ck_assert_uint_eq(stats.lag_bytes, 0);
	rig_expect(rig_compact(&rig, 102), 0, 102, 0);
	ck_assert(!rig_sweep(&rig, 1000));
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 1);
	ck_assert_uint_eq(stats.keys, 1);
	ck_assert_uint_eq(stats.logical_bytes, 96 + 128);
	rig_get(&rig, "a", 0, "value");
}
END_TEST

START_TEST(keeps_large_values_and_keys_whole)
{
	static uint8_t key[OP_KEY_MAX], value[OP_VALUE_MAX];
	static uint8_t big[OP_VALUE_MAX + OP_KEY_MAX + 64];
	static const uint32_t sizes[] = {
		0,    1,    24,	  25,	 176,	  177,	       4272,
		4273, 8616, 8617, 65536, 1 << 20, OP_VALUE_MAX};
	struct store_read read;
	uint32_t i, j;

	for (i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 7 + i / 255);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (j = 0; j < 2; j++) {
			struct ask put = {.type = OP_PUT,
					  .key = key,
					  .key_size = j == 0 ? 1 : OP_KEY_MAX,
					  .value = value,
					  .value_size = sizes[i]};

			memset(key, (int)i + 1, sizeof(key));
			ck_assert_int_eq(rig_do(&rig, put).status, 0);
			read = (struct store_read){.key = key,
						   .key_size = put.key_size,
						   .out = big,
						   .room = sizeof(big)};
			ck_assert_int_eq(rig_read(&rig, &read), 0);
			ck_assert_mem_eq(big + 40, key, put.key_size);
			ck_assert_mem_eq(big + 40 + put.key_size, value,
					 sizes[i]);
			rig_check(&rig);
			put.type = OP_DELETE;
			put.value_size = 0;
			ck_assert_uint_eq(rig_do(&rig, put).aux, 1);
			rig_compact(&rig, store_revision(rig.store));
			rig_sweep(&rig, 1000);
			rig_check(&rig);
		}
	}
}
END_TEST

START_TEST(refuses_a_put_over_the_quota_before_it_changes_anything)
{
	static uint8_t value[65536];
	struct ask put = {.type = OP_PUT,
			  .key = "k",
			  .key_size = 1,
			  .value = value,
			  .value_size = sizeof(value)};
	struct store_result result = {0};
	struct store_hash before, after;
	struct store_stats stats;
	uint64_t revision;

	do {
		store_hash(rig.store, &before);
		revision = store_revision(rig.store);
		result = rig_do(&rig, put);
	} while (result.status == 0);
	rig_expect(result, CONCLAVE_EQUOTA, revision, 0);
	ck_assert_uint_eq(store_revision(rig.store), revision);
	store_stats(rig.store, &stats);
	ck_assert_uint_le(stats.logical_bytes, rig_settings.quota_bytes);
	ck_assert_uint_gt(stats.logical_bytes,
			  rig_settings.quota_bytes - 70000);
	/* A compare that fails is what the client hears, full or not. */
	rig_expect(rig_do(&rig, ask_cas("k", "x", 1)), CONCLAVE_ECOMPARE,
		   revision, revision);
	/* The charge is released when the compaction is applied. */
	rig_compact(&rig, revision);
	ck_assert_int_eq(rig_do(&rig, put).status, 0);
	/* Deleting is always possible. */
	while (rig_do(&rig, put).status == 0)
		;
	ck_assert_uint_eq(rig_delete(&rig, "k").aux, 1);
	rig_compact(&rig, store_revision(rig.store));
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.logical_bytes, 0);
	store_hash(rig.store, &after);
	ck_assert(before.low != after.low || before.high != after.high);
}
END_TEST

START_TEST(refuses_a_value_larger_than_the_quota)
{
	static uint8_t value[OP_VALUE_MAX];
	struct ask put = {.type = OP_PUT,
			  .key = "k",
			  .key_size = 1,
			  .value = value,
			  .value_size = sizeof(value)};

	ck_assert_int_eq(
		rig_do(&rig, ask_setting("quota_bytes", "1048576")).status, 0);
	rig_expect(rig_do(&rig, put), CONCLAVE_EQUOTA, 1, 0);
}
END_TEST

START_TEST(refuses_a_lease_that_does_not_exist)
{
	struct ask put = {
		.type = OP_PUT, .lease = 7, .key = "k", .key_size = 1};

	rig_expect(rig_do(&rig, put), CONCLAVE_ENOTFOUND, 1, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tcase = tcase_create("meaning");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, counts_revisions_as_etcd_does);
	tcase_add_test(tcase, gives_each_operation_of_a_batch_its_revision);
	tcase_add_test(tcase, swaps_only_what_is_as_expected);
	tcase_add_test(tcase, deletes_a_range_as_one_revision);
	tcase_add_test(tcase,
		       shows_a_range_that_is_being_deleted_until_it_is_whole);
	tcase_add_test(tcase, compacts_at_once_and_frees_in_slices);
	tcase_add_test(tcase, keeps_large_values_and_keys_whole);
	tcase_add_test(tcase,
		       refuses_a_put_over_the_quota_before_it_changes_anything);
	tcase_add_test(tcase, refuses_a_value_larger_than_the_quota);
	tcase_add_test(tcase, refuses_a_lease_that_does_not_exist);
	suite_add_tcase(suite, tcase);
	return rig_run(suite);
}
