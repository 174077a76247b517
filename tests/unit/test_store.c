/* The state machine's meaning, operation by operation, and its refusals. */
#include "tests/unit/support_store.h"

static struct rig rig;
static uint8_t out[1 << 20];

static void setup(void)
{
	rig_init(&rig, &rig_settings);
}

static void teardown(void)
{
	rig_check(&rig);
	rig_release(&rig);
}

static void expect(struct store_result is, int32_t status, uint64_t revision,
		   uint64_t aux)
{
	ck_assert_int_eq(is.status, status);
	ck_assert_uint_eq(is.revision, revision);
	ck_assert_uint_eq(is.aux, aux);
}

static struct store_read read_of(const char *key, const char *end,
				 uint64_t revision)
{
	return (struct store_read){
		.key = (const uint8_t *)key,
		.key_size = (uint32_t)strlen(key),
		.end = (const uint8_t *)end,
		.end_size = end == NULL	     ? 0
			    : end[0] == '\0' ? 1
					     : (uint32_t)strlen(end),
		.revision = revision,
		.out = out,
		.room = sizeof(out),
	};
}

/* Reads in one go; the status. */
static int read_all(struct store_read *read)
{
	int status = store_read(rig.store, read, 1000000);

	ck_assert_int_ne(status, 1);
	return status;
}

/* The number of keys from `key` to `end` at a revision. */
static uint64_t count(const char *key, const char *end, uint64_t revision)
{
	struct store_read read = read_of(key, end, revision);

	read.flags = STORE_READ_COUNT;
	ck_assert_int_eq(read_all(&read), 0);
	return read.count;
}

/* The one record of a key; its value must be `value`. */
static struct cv_record get(const char *key, uint64_t revision,
			    const char *value)
{
	struct store_read read = read_of(key, NULL, revision);
	struct cv_record record;

	ck_assert_int_eq(read_all(&read), 0);
	ck_assert_uint_eq(read.count, 1);
	memcpy(&record, out, sizeof(record));
	ck_assert_uint_eq(record.key_size, strlen(key));
	ck_assert_uint_eq(record.value_size, strlen(value));
	ck_assert_mem_eq(out + sizeof(record), key, record.key_size);
	ck_assert_mem_eq(out + sizeof(record) + record.key_size, value,
			 record.value_size);
	return record;
}

static struct ask cas(const char *key, const char *value, uint64_t revision)
{
	return (struct ask){.type = OP_CAS,
			    .argument = revision,
			    .key = key,
			    .key_size = (uint32_t)strlen(key),
			    .value = value,
			    .value_size = (uint32_t)strlen(value)};
}

static struct ask delete_range(const char *key, const char *end)
{
	return (struct ask){.type = OP_DELETE,
			    .key = key,
			    .key_size = (uint32_t)strlen(key),
			    .value = end,
			    .value_size =
				    end[0] == '\0' ? 1 : (uint32_t)strlen(end)};
}

static struct ask setting(const char *name, const char *value)
{
	return (struct ask){.type = OP_SETTING,
			    .key = name,
			    .key_size = (uint32_t)strlen(name),
			    .value = value,
			    .value_size = (uint32_t)strlen(value)};
}

START_TEST(counts_revisions_as_etcd_does)
{
	struct cv_record record;

	ck_assert_uint_eq(store_revision(rig.store), 1);
	expect(rig_put(&rig, "a", "1"), 0, 2, 0);
	expect(rig_put(&rig, "b", "1"), 0, 3, 0);
	expect(rig_put(&rig, "a", "2"), 0, 4, 0);
	record = get("a", 0, "2");
	ck_assert_uint_eq(record.create_revision, 2);
	ck_assert_uint_eq(record.mod_revision, 4);
	ck_assert_uint_eq(record.version, 2);
	ck_assert_uint_eq(record.lease, 0);
	/* Nothing found, nothing counted. */
	expect(rig_delete(&rig, "x"), 0, 4, 0);
	expect(rig_delete(&rig, "a"), 0, 5, 1);
	expect(rig_delete(&rig, "a"), 0, 5, 0);
	expect(rig_put(&rig, "a", ""), 0, 6, 0);
	record = get("a", 0, "");
	ck_assert_uint_eq(record.create_revision, 6);
	ck_assert_uint_eq(record.version, 1);
	get("a", 2, "1");
	get("a", 3, "1");
	get("a", 4, "2");
	ck_assert_uint_eq(count("a", NULL, 5), 0);
	ck_assert_uint_eq(count("a", NULL, 1), 0);
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
	expect(rig.results[0], 0, 2, 0);
	expect(rig.results[1], 0, 2, 0);
	expect(rig.results[2], 0, 3, 0);
}
END_TEST

START_TEST(swaps_only_what_is_as_expected)
{
	struct store_result result;

	result = rig_do(&rig, cas("k", "new", 0));
	expect(result, 0, 2, 0);
	ck_assert_uint_eq(result.flags, CONCLAVE_RESULT_SUCCEEDED);
	expect(rig_do(&rig, cas("k", "x", 0)), CONCLAVE_ECOMPARE, 2, 2);
	expect(rig_do(&rig, cas("k", "x", 7)), CONCLAVE_ECOMPARE, 2, 2);
	expect(rig_do(&rig, cas("none", "x", 7)), CONCLAVE_ECOMPARE, 2, 0);
	expect(rig_do(&rig, cas("k", "next", 2)), 0, 3, 0);
	get("k", 0, "next");
	expect(rig_delete(&rig, "k"), 0, 4, 1);
	expect(rig_do(&rig, cas("k", "x", 4)), CONCLAVE_ECOMPARE, 4, 0);
	expect(rig_do(&rig, cas("k", "again", 0)), 0, 5, 0);
	ck_assert_uint_eq(get("k", 0, "again").create_revision, 5);
}
END_TEST

START_TEST(deletes_a_range_as_one_revision)
{
	rig_put(&rig, "a", "");
	rig_put(&rig, "b", "");
	rig_put(&rig, "c", "");
	rig_put(&rig, "d", "");
	expect(rig_do(&rig, delete_range("b", "d")), 0, 6, 2);
	ck_assert_uint_eq(count("a", "", 0), 2);
	ck_assert_uint_eq(count("a", "", 5), 4);
	expect(rig_do(&rig, delete_range("d", "b")), 0, 6, 0);
	expect(rig_do(&rig, delete_range("b", "")), 0, 7, 1);
	expect(rig_do(&rig, delete_range("a", "")), 0, 8, 1);
	ck_assert_uint_eq(count("a", "", 0), 0);
	ck_assert_uint_eq(count("a", "", 5), 4);
}
END_TEST

START_TEST(shows_a_range_that_is_being_deleted_until_it_is_whole)
{
	struct ask range = delete_range("k", "l");
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
		ck_assert_uint_eq(count("a", "", 0), 500);
		rig_sweep(&rig, 100);
	}
	ck_assert_uint_gt(slices, 20);
	ck_assert_uint_eq(store_revision(rig.store), 502);
	ck_assert_uint_eq(count("a", "", 0), 0);
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
	expect(rig_compact(&rig, 0), CONCLAVE_ECOMPACTED, 102, 0);
	expect(rig_compact(&rig, 103), CONCLAVE_EFUTURE, 102, 0);
	expect(rig_compact(&rig, 50), 0, 102, 0);
	expect(rig_compact(&rig, 50), CONCLAVE_ECOMPACTED, 102, 0);
	expect(rig_compact(&rig, 49), CONCLAVE_ECOMPACTED, 102, 0);
	ck_assert_uint_eq(store_compacted(rig.store), 50);
	rig_check(&rig);
	get("a", 50, "value");
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 101);
	ck_assert_uint_gt(stats.lag_bytes, 0);
	while (rig_sweep(&rig, 1))
		rig_check(&rig);
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 101 - 47);
	ck_assert_uint_eq(stats.lag_bytes, 0);
	expect(rig_compact(&rig, 102), 0, 102, 0);
	ck_assert(!rig_sweep(&rig, 1000));
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.versions, 1);
	ck_assert_uint_eq(stats.keys, 1);
	ck_assert_uint_eq(stats.logical_bytes, 96 + 128);
	get("a", 0, "value");
}
END_TEST

START_TEST(refuses_reads_of_what_is_gone_or_not_yet)
{
	struct store_read read = read_of("k", NULL, 4);

	rig_put(&rig, "k", "1");
	rig_put(&rig, "k", "2");
	ck_assert_int_eq(read_all(&read), CONCLAVE_EFUTURE);
	rig_compact(&rig, 3);
	read = read_of("k", NULL, 2);
	ck_assert_int_eq(read_all(&read), CONCLAVE_ECOMPACTED);
	get("k", 3, "2");
	read = read_of("", NULL, 0);
	ck_assert_int_eq(read_all(&read), CONCLAVE_EBADREQ);
	read = read_of("k", NULL, 0);
	read.key_size = OP_KEY_MAX + 1;
	ck_assert_int_eq(read_all(&read), CONCLAVE_EBADREQ);
	read = read_of("k", "l", 0);
	read.end_size = OP_KEY_MAX + 1;
	ck_assert_int_eq(read_all(&read), CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(returns_what_fits_and_says_that_there_is_more)
{
	struct store_read read;

	rig_put(&rig, "a", "12345678");
	rig_put(&rig, "b", "12345678");
	rig_put(&rig, "c", "12345678");
	read = read_of("a", "", 0);
	read.limit = 2;
	ck_assert_int_eq(read_all(&read), 0);
	ck_assert_uint_eq(read.count, 2);
	ck_assert(read.more);
	read = read_of("a", "", 0);
	read.limit = 3;
	ck_assert_int_eq(read_all(&read), 0);
	ck_assert(!read.more);
	/* A record is 40 bytes, and 9 of key and value, and 7 of zeros. */
	read = read_of("a", "", 0);
	read.room = 2 * 56 + 55;
	ck_assert_int_eq(read_all(&read), 0);
	ck_assert_uint_eq(read.count, 2);
	ck_assert_uint_eq(read.used, 2 * 56);
	ck_assert(read.more);
	read = read_of("a", "", 0);
	read.room = 55;
	ck_assert_int_eq(read_all(&read), CONCLAVE_ETOOSMALL);
	ck_assert_uint_eq(read.needed, 56);
	ck_assert_uint_eq(read.count, 0);
	read = read_of("a", "", 0);
	read.flags = STORE_READ_KEYS;
	read.room = 3 * 48;
	ck_assert_int_eq(read_all(&read), 0);
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
	read = read_of("a", "", 0);
	while ((more = store_read(rig.store, &read, 3)) == 1) {
		slices++;
		rig_do(&rig, delete_range("a", ""));
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
		ck_assert_mem_eq(out + 48 * i + 43, "old", 3);
	/* The pin is gone with the read. */
	ck_assert(!rig_sweep(&rig, 100000));
	rig_check(&rig);
	ck_assert_uint_eq(count("a", "", 0), 2);
}
END_TEST

START_TEST(lets_compaction_pass_a_read_that_was_given_up)
{
	struct store_read read = read_of("a", "", 0);
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
		reads[i] = read_of("a", "", 0);
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
	struct store_read read = read_of("k", NULL, 2);
	uint32_t i, slices = 0;
	int more;

	for (i = 0; i < 1000; i++)
		rig_put(&rig, "k", i == 0 ? "first" : "x");
	while ((more = store_read(rig.store, &read, 10)) == 1)
		slices++;
	ck_assert_int_eq(more, 0);
	ck_assert_uint_ge(slices, 99);
	ck_assert_uint_eq(read.count, 1);
	ck_assert_mem_eq(out + sizeof(struct cv_record) + 1, "first", 5);
	read = read_of("a", "", 2);
	for (slices = 0; store_read(rig.store, &read, 10) == 1; slices++)
		;
	ck_assert_uint_ge(slices, 99);
	ck_assert_uint_eq(read.count, 1);
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
			ck_assert_int_eq(read_all(&read), 0);
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
	expect(result, CONCLAVE_EQUOTA, revision, 0);
	ck_assert_uint_eq(store_revision(rig.store), revision);
	store_stats(rig.store, &stats);
	ck_assert_uint_le(stats.logical_bytes, rig_settings.quota_bytes);
	ck_assert_uint_gt(stats.logical_bytes,
			  rig_settings.quota_bytes - 70000);
	/* A compare that fails is what the client hears, full or not. */
	expect(rig_do(&rig, cas("k", "x", 1)), CONCLAVE_ECOMPARE, revision,
	       revision);
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

	ck_assert_int_eq(rig_do(&rig, setting("quota_bytes", "1048576")).status,
			 0);
	expect(rig_do(&rig, put), CONCLAVE_EQUOTA, 1, 0);
}
END_TEST

START_TEST(refuses_a_lease_that_does_not_exist)
{
	struct ask put = {
		.type = OP_PUT, .lease = 7, .key = "k", .key_size = 1};

	expect(rig_do(&rig, put), CONCLAVE_ENOTFOUND, 1, 0);
}
END_TEST

START_TEST(sets_known_settings_within_their_limits)
{
	static const struct {
		const char *name, *value;
		int32_t status;
	} rows[] = {
		{"quota_bytes", "2097152", 0},
		{"quota_bytes", "4194304", 0},
		{"quota_bytes", "4194305", CONCLAVE_EBADREQ},
		{"quota_bytes", "1048575", CONCLAVE_EBADREQ},
		{"quota_bytes", "", CONCLAVE_EBADREQ},
		{"quota_bytes", "-1", CONCLAVE_EBADREQ},
		{"quota_bytes", " 2097152", CONCLAVE_EBADREQ},
		{"quota_bytes", "02097152", CONCLAVE_EBADREQ},
		{"quota_bytes", "2097152x", CONCLAVE_EBADREQ},
		{"quota_bytes", "18446744073709551616", CONCLAVE_EBADREQ},
		{"quota_bytes", "100000000000000000000", CONCLAVE_EBADREQ},
		{"retention_ms", "0", 0},
		{"retention_ms", "60000", 0},
		{"session_expiry_ms", "0", CONCLAVE_EBADREQ},
		{"session_expiry_ms", "1000", 0},
		{"tombstone_ms", "1000", 0},
		{"sessions_max", "0", CONCLAVE_EBADREQ},
		{"sessions_max", "100", 0},
		{"lease_reads", "1", 0},
		{"lease_reads", "2", CONCLAVE_EBADREQ},
		{"store_address_bytes", "67108864", CONCLAVE_EBADREQ},
		{"store_address_byte", "1", CONCLAVE_ENOTFOUND},
		{"lease_readsx", "1", CONCLAVE_ENOTFOUND},
	};
	const struct store_settings *settings = store_settings(rig.store);
	uint32_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct store_result result =
			rig_do(&rig, setting(rows[i].name, rows[i].value));

		ck_assert_msg(result.status == rows[i].status, "%s = '%s'",
			      rows[i].name, rows[i].value);
	}
	ck_assert_uint_eq(settings->quota_bytes, 4194304);
	ck_assert_uint_eq(settings->retention_ms, 60000);
	ck_assert_uint_eq(settings->session_expiry_ms, 1000);
	ck_assert_uint_eq(settings->tombstone_ms, 1000);
	ck_assert_uint_eq(settings->sessions_max, 100);
	ck_assert_uint_eq(settings->lease_reads, 1);
	ck_assert_uint_eq(store_revision(rig.store), 1);
}
END_TEST

START_TEST(shows_settings_as_keys)
{
	struct store_read read = read_of("a", "", 0);
	struct cv_record record;

	rig_put(&rig, "k", "v");
	rig_do(&rig, setting("retention_ms", "77"));
	read.flags = STORE_READ_SYSTEM;
	ck_assert_int_eq(read_all(&read), 0);
	ck_assert_uint_eq(read.count, 7);
	memcpy(&record, out, sizeof(record));
	ck_assert_mem_eq(out + 40, "lease_reads0", 12);
	read = read_of("retention_ms", NULL, 0);
	read.flags = STORE_READ_SYSTEM;
	ck_assert_int_eq(read_all(&read), 0);
	ck_assert_uint_eq(read.count, 1);
	memcpy(&record, out, sizeof(record));
	ck_assert_mem_eq(out + 40, "retention_ms77", 14);
	ck_assert_uint_eq(record.mod_revision, 2);
	ck_assert_uint_eq(record.version, 2);
	read = read_of("q", "s", 0);
	read.flags = STORE_READ_SYSTEM | STORE_READ_KEYS;
	ck_assert_int_eq(read_all(&read), 0);
	ck_assert_uint_eq(read.count, 2);
	read = read_of("a", "", 0);
	read.flags = STORE_READ_SYSTEM;
	read.room = 8;
	ck_assert_int_eq(read_all(&read), CONCLAVE_ETOOSMALL);
	read = read_of("quota", NULL, 0);
	read.flags = STORE_READ_SYSTEM;
	ck_assert_int_eq(read_all(&read), 0);
	ck_assert_uint_eq(read.count, 0);
}
END_TEST

/* An entry of the leader's own, without a session. */
static struct store_result apply_own(uint32_t kind, struct ask ask)
{
	uint8_t *head =
		rig.entry + rig.used + offsetof(struct op_header, session);

	rig_add(&rig, &ask);
	memset(head, 0, 16);
	rig_apply_as(&rig, kind, 0);
	ck_assert_uint_eq(rig.result_count, 1);
	return rig.results[0];
}

START_TEST(applies_what_the_leader_proposes_by_itself)
{
	struct ask compact = {.type = OP_COMPACT, .argument = 2};

	rig_put(&rig, "a", "1");
	rig_put(&rig, "a", "2");
	expect(apply_own(ENTRY_COMPACTION, compact), 0, 3, 0);
	ck_assert_uint_eq(store_compacted(rig.store), 2);
	expect(apply_own(ENTRY_SETTING, setting("lease_reads", "1")), 0, 3, 0);
	ck_assert_uint_eq(store_settings(rig.store)->lease_reads, 1);
	expect(apply_own(ENTRY_SETTING, compact), CONCLAVE_EBADREQ, 3, 0);
	expect(apply_own(ENTRY_COMPACTION, setting("lease_reads", "0")),
	       CONCLAVE_EBADREQ, 3, 0);
	/* A client without a session is none. */
	compact.argument = 3;
	rig_add(&rig, &compact);
	memset(rig.entry + ENTRY_HEADER_SIZE + 8, 0, 16);
	rig_apply(&rig);
	expect(rig.results[0], CONCLAVE_EBADREQ, 3, 0);
}
END_TEST

START_TEST(passes_over_entries_that_are_not_its_own)
{
	static const uint32_t kinds[] = {ENTRY_EMPTY, ENTRY_CONF_V1,
					 ENTRY_CONF_V2, ENTRY_SNAPSHOT_CUT};
	struct store_hash before, after;
	uint32_t i;

	rig_put(&rig, "a", "1");
	store_hash(rig.store, &before);
	for (i = 0; i < 4; i++) {
		rig_apply_as(&rig, kinds[i], 0);
		ck_assert_uint_eq(rig.result_count, 0);
	}
	store_hash(rig.store, &after);
	ck_assert_uint_eq(before.low, after.low);
	ck_assert_uint_eq(before.high, after.high);
	ck_assert_uint_eq(store_applied(rig.store), 5);
}
END_TEST

/* One byte of the second of three operations is set. */
static void apply_spoilt(uint32_t at, uint8_t byte)
{
	const struct ask put = {.type = OP_PUT,
				.key = "k",
				.key_size = 1,
				.value = "v",
				.value_size = 1};
	uint32_t second;

	rig_add(&rig, &put);
	second = rig.used;
	rig_add(&rig, &put);
	rig_add(&rig, &put);
	rig.entry[second + at] = byte;
	rig_apply(&rig);
	ck_assert_int_eq(rig.results[0].status, 0);
}

START_TEST(refuses_malformed_operations_and_what_follows)
{
	static const struct {
		uint32_t at;
		uint8_t byte;
	} rows[] = {
		{0, 0},	   {0, 81},  {1, 1},	{3, 255},  {4, 0},
		{4, 6},	   {5, 2},   {6, 1},	{64, 9},   {65, 255},
		{67, 255}, {68, 99}, {70, 255}, {71, 255},
	};
	uint32_t i;

	rig_put(&rig, "k", "v");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		apply_spoilt(rows[i].at, rows[i].byte);
		ck_assert_int_eq(rig.results[1].status, CONCLAVE_EBADREQ);
		ck_assert_int_eq(rig.results[2].status, CONCLAVE_EBADREQ);
	}
	/* The flag of a beginning that is not there. */
	apply_spoilt(5, 1);
	ck_assert_int_eq(rig.results[1].status, CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(refuses_unsound_operations_alone)
{
	static uint8_t end[OP_KEY_MAX + 1];
	struct ask ask = {.type = OP_PUT};
	uint64_t revision = store_revision(rig.store);

	expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
	ask.type = OP_CAS;
	expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
	ask.type = OP_DELETE;
	expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
	ask.type = OP_SETTING;
	expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
	ask = (struct ask){.type = OP_DELETE,
			   .key = "k",
			   .key_size = 1,
			   .value = end,
			   .value_size = sizeof(end)};
	expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
}
END_TEST

START_TEST(says_so_when_there_are_fewer_operations_than_counted)
{
	const struct ask put = {.type = OP_PUT, .key = "k", .key_size = 1};
	uint32_t i;

	rig_add(&rig, &put);
	rig_apply_as(&rig, ENTRY_NORMAL, 3);
	ck_assert_uint_eq(rig.result_count, 3);
	ck_assert_int_eq(rig.results[0].status, 0);
	ck_assert_int_eq(rig.results[1].status, CONCLAVE_EBADREQ);
	ck_assert_int_eq(rig.results[2].status, CONCLAVE_EBADREQ);
	rig_apply_as(&rig, ENTRY_NORMAL, UINT32_MAX);
	ck_assert_uint_eq(rig.result_count, OP_ENTRY_OPS_MAX);
	for (i = 0; i < OP_ENTRY_OPS_MAX; i++)
		ck_assert_int_eq(rig.results[i].status, CONCLAVE_EBADREQ);
	rig_apply_as(&rig, ENTRY_SESSION_CLOSE, 0);
	ck_assert_int_eq(rig.results[0].status, CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(is_not_made_with_settings_out_of_their_limits)
{
	struct store_settings settings = rig_settings;
	struct store *store = NULL;

	ck_assert_int_eq(
		store_init(&store, rig.memory, rig.size / 2, &settings),
		-EINVAL);
	settings.quota_bytes++;
	ck_assert_int_eq(store_init(&store, rig.memory, rig.size, &settings),
			 -EINVAL);
	settings = rig_settings;
	settings.store_address_bytes = 32 << 20;
	settings.quota_bytes = 1 << 20;
	ck_assert_int_eq(store_init(&store, rig.memory, 32 << 20, &settings),
			 -EINVAL);
	ck_assert_ptr_null(store);
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
	tcase_add_test(tcase, refuses_reads_of_what_is_gone_or_not_yet);
	tcase_add_test(tcase, returns_what_fits_and_says_that_there_is_more);
	tcase_add_test(tcase, keeps_a_read_in_slices_at_its_revision);
	tcase_add_test(tcase, lets_compaction_pass_a_read_that_was_given_up);
	tcase_add_test(tcase, tells_a_read_without_a_pin_that_it_was_passed);
	tcase_add_test(tcase,
		       reads_an_old_revision_through_a_long_chain_in_slices);
	tcase_add_test(tcase, keeps_large_values_and_keys_whole);
	tcase_add_test(tcase,
		       refuses_a_put_over_the_quota_before_it_changes_anything);
	tcase_add_test(tcase, refuses_a_value_larger_than_the_quota);
	tcase_add_test(tcase, refuses_a_lease_that_does_not_exist);
	tcase_add_test(tcase, sets_known_settings_within_their_limits);
	tcase_add_test(tcase, shows_settings_as_keys);
	tcase_add_test(tcase, applies_what_the_leader_proposes_by_itself);
	tcase_add_test(tcase, passes_over_entries_that_are_not_its_own);
	tcase_add_test(tcase, refuses_malformed_operations_and_what_follows);
	tcase_add_test(tcase, refuses_unsound_operations_alone);
	tcase_add_test(tcase,
		       says_so_when_there_are_fewer_operations_than_counted);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("birth");
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, is_not_made_with_settings_out_of_their_limits);
	suite_add_tcase(suite, tcase);
	return rig_run(suite);
}
