/* Reads: what they return, and that they stay at their revision. */
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

START_TEST(refuses_reads_of_what_is_gone_or_not_yet)
{
	struct store_read read = rig_read_of("k", NULL, 4);

	rig_put(&rig, "k", "1");
	rig_put(&rig, "k", "2");
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_EFUTURE);
	rig_compact(&rig, 3);
	read = rig_read_of("k", NULL, 2);
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_ECOMPACTED);
	rig_get(&rig, "k", 3, "2");
	read = rig_read_of("", NULL, 0);
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_EBADREQ);
	read = rig_read_of("k", NULL, 0);
	read.key_size = OP_KEY_MAX + 1;
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_EBADREQ);
	read = rig_read_of("k", "l", 0);
	read.end_size = OP_KEY_MAX + 1;
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(returns_what_fits_and_says_that_there_is_more)
{
	struct store_read read;

	rig_put(&rig, "a", "12345678");
	rig_put(&rig, "b", "12345678");
	rig_put(&rig, "c", "12345678");
	read = rig_read_of("a", "", 0);
	read.limit = 2;
	ck_assert_int_eq(rig_read(&rig, &read), 0);
	ck_assert_uint_eq(read.count, 2);
	ck_assert(read.more);
	read = rig_read_of("a", "", 0);
	read.limit = 3;
	ck_assert_int_eq(rig_read(&rig, &read), 0);
	ck_assert(!read.more);
	/* A record is 40 bytes, and 9 of key and value, and 7 of zeros. */
	read = rig_read_of("a", "", 0);
	read.room = 2 * 56 + 55;
	ck_assert_int_eq(rig_read(&rig, &read), 0);
	ck_assert_uint_eq(read.count, 2);
	ck_assert_uint_eq(read.used, 2 * 56);
	ck_assert(read.more);
	read = rig_read_of("a", "", 0);
	read.room = 55;
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_ETOOSMALL);
	ck_assert_uint_eq(read.needed, 56);
	ck_assert_uint_eq(read.count, 0);
	read = rig_read_of("a", "", 0);
	read.flags = STORE_READ_KEYS;
	read.room = 3 * 48;
	ck_assert_int_eq(rig_read(&rig, &read), 0);
	ck_assert_uint_eq(read.count, 3);
	ck_assert(!read.more);
	ck_assert_uint_eq(read.revision, 4);
}
END_TEST

START_TEST(keeps_a_read_in_slices_at_its_revision)
{
	struct store_read read;
	char key[4] = "k";
	uint32_t i, slices = 0;
	int more;

	for (i = 0; i < 300; i++) {
		key[1] = (char)(1 + i / 100);
		key[2] = (char)(1 + i % 100);
		rig_put(&rig, key, "old");
	}
	read = rig_read_of("a", "", 0);
	while ((more = store_read(rig.store, &read, 3)) == 1) {
		slices++;
		rig_do(&rig, ask_delete_range("a", ""));
		rig_put(&rig, "k", "new");
		rig_put(&rig, "kkk", "new");
		rig_compact(&rig, store_revision(rig.store));
		ck_assert(!rig_sweep(&rig, 100000));
	}
	ck_assert_int_eq(more, 0);
	ck_assert_uint_gt(slices, 50);
	ck_assert_uint_eq(read.count, 300);
	ck_assert_uint_eq(read.revision, 301);
	for (i = 0; i < 300; i++)
		ck_assert_mem_eq(rig_out + 48 * i + 43, "old", 3);
	/* The pin is gone with the read. */
	ck_assert(!rig_sweep(&rig, 100000));
	rig_check(&rig);
	ck_assert_uint_eq(rig_count(&rig, "a", "", 0), 2);
}
END_TEST

START_TEST(lets_compaction_pass_a_read_that_was_given_up)
{
	struct store_read read = rig_read_of("a", "", 0);
	struct store_stats stats;

	rig_put(&rig, "a", "1");
	rig_put(&rig, "b", "1");
	ck_assert_int_eq(store_read(rig.store, &read, 1), 1);
	rig_put(&rig, "b", "2");
	rig_compact(&rig, 4);
	rig_sweep(&rig, 1000);
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 3);
	store_read_end(rig.store, &read);
	rig_sweep(&rig, 1000);
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 2);
}
END_TEST

START_TEST(tells_a_read_without_a_pin_that_it_was_passed)
{
	static struct store_read reads[65];
	uint32_t i;

	rig_put(&rig, "a", "1");
	rig_put(&rig, "b", "1");
	for (i = 0; i < 65; i++) {
		reads[i] = rig_read_of("a", "", 0);
		ck_assert_int_eq(store_read(rig.store, &reads[i], 1), 1);
	}
	for (i = 0; i < 64; i++)
		store_read_end(rig.store, &reads[i]);
	rig_put(&rig, "b", "2");
	rig_compact(&rig, 4);
	rig_sweep(&rig, 1000);
	ck_assert_int_eq(store_read(rig.store, &reads[64], 1000),
			 CONCLAVE_ECOMPACTED);
}
END_TEST

START_TEST(reads_an_old_revision_through_a_long_chain_in_slices)
{
	struct store_read read = rig_read_of("k", NULL, 2);
	uint32_t i, slices = 0;
	int more;

	for (i = 0; i < 1000; i++)
		rig_put(&rig, "k", i == 0 ? "first" : "x");
	while ((more = store_read(rig.store, &read, 10)) == 1)
		slices++;
	ck_assert_int_eq(more, 0);
	ck_assert_uint_ge(slices, 99);
	ck_assert_uint_eq(read.count, 1);
	ck_assert_mem_eq(rig_out + sizeof(struct cv_record) + 1, "first", 5);
	read = rig_read_of("a", "", 2);
	for (slices = 0; store_read(rig.store, &read, 10) == 1; slices++)
		;
	ck_assert_uint_ge(slices, 99);
	ck_assert_uint_eq(read.count, 1);
}
END_TEST

START_TEST(shows_settings_as_keys)
{
	struct store_read read = rig_read_of("a", "", 0);
	struct cv_record record;

	rig_put(&rig, "k", "v");
	rig_do(&rig, ask_setting("retention_ms", "77"));
	read.flags = STORE_READ_SYSTEM;
	ck_assert_int_eq(rig_read(&rig, &read), 0);
	ck_assert_uint_eq(read.count, 8);
	memcpy(&record, rig_out, sizeof(record));
	ck_assert_mem_eq(rig_out + 40, "cluster_version1", 16);
	read = rig_read_of("retention_ms", NULL, 0);
	read.flags = STORE_READ_SYSTEM;
	ck_assert_int_eq(rig_read(&rig, &read), 0);
	ck_assert_uint_eq(read.count, 1);
	memcpy(&record, rig_out, sizeof(record));
	ck_assert_mem_eq(rig_out + 40, "retention_ms77", 14);
	ck_assert_uint_eq(record.mod_revision, 2);
	ck_assert_uint_eq(record.version, 2);
	read = rig_read_of("q", "s", 0);
	read.flags = STORE_READ_SYSTEM | STORE_READ_KEYS;
	ck_assert_int_eq(rig_read(&rig, &read), 0);
	ck_assert_uint_eq(read.count, 2);
	read = rig_read_of("a", "", 0);
	read.flags = STORE_READ_SYSTEM;
	read.room = 8;
	ck_assert_int_eq(rig_read(&rig, &read), CONCLAVE_ETOOSMALL);
	read = rig_read_of("quota", NULL, 0);
	read.flags = STORE_READ_SYSTEM;
	ck_assert_int_eq(rig_read(&rig, &read), 0);
	ck_assert_uint_eq(read.count, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_read");
	TCase *tcase = tcase_create("reads");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, refuses_reads_of_what_is_gone_or_not_yet);
	tcase_add_test(tcase, returns_what_fits_and_says_that_there_is_more);
	tcase_add_test(tcase, keeps_a_read_in_slices_at_its_revision);
	tcase_add_test(tcase, lets_compaction_pass_a_read_that_was_given_up);
	tcase_add_test(tcase, tells_a_read_without_a_pin_that_it_was_passed);
	tcase_add_test(tcase,
		       reads_an_old_revision_through_a_long_chain_in_slices);
	tcase_add_test(tcase, shows_settings_as_keys);
	suite_add_tcase(suite, tcase);
	return rig_run(suite);
}
