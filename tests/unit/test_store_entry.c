/* Entries as they may come: settings, the leader's own, malformed ones. */
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
		{"cluster_version", "1", 0},
		{"cluster_version", "0", CONCLAVE_EBADREQ},
		{"cluster_version", "2", CONCLAVE_EBADREQ}, /* the leader's */
		{"store_address_bytes", "67108864", CONCLAVE_EBADREQ},
		{"store_address_byte", "1", CONCLAVE_ENOTFOUND},
		{"lease_readsx", "1", CONCLAVE_ENOTFOUND},
	};
	const struct store_settings *settings = store_settings(rig.store);
	uint32_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct store_result result =
			rig_do(&rig, ask_setting(rows[i].name, rows[i].value));

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
	rig_expect(apply_own(ENTRY_COMPACTION, compact), 0, 3, 0);
	ck_assert_uint_eq(store_compacted(rig.store), 2);
	rig_expect(apply_own(ENTRY_SETTING, ask_setting("lease_reads", "1")), 0,
		   3, 0);
	ck_assert_uint_eq(store_settings(rig.store)->lease_reads, 1);
	rig_expect(
		apply_own(ENTRY_SETTING, ask_setting("cluster_version", "2")),
		0, 3, 0);
	rig_expect(
		apply_own(ENTRY_SETTING, ask_setting("cluster_version", "1")),
		CONCLAVE_EBADREQ, 3, 0);
	ck_assert_uint_eq(store_settings(rig.store)->cluster_version, 2);
	rig_expect(apply_own(ENTRY_SETTING, compact), CONCLAVE_EBADREQ, 3, 0);
	rig_expect(apply_own(ENTRY_COMPACTION, ask_setting("lease_reads", "0")),
		   CONCLAVE_EBADREQ, 3, 0);
	/* A client without a session is none. */
	compact.argument = 3;
	rig_add(&rig, &compact);
	memset(rig.entry + ENTRY_HEADER_SIZE + 8, 0, 16);
	rig_apply(&rig);
	rig_expect(rig.results[0], CONCLAVE_EBADREQ, 3, 0);
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

	rig_expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
	ask.type = OP_CAS;
	rig_expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
	ask.type = OP_DELETE;
	rig_expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
	ask.type = OP_SETTING;
	rig_expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
	ask = (struct ask){.type = OP_DELETE,
			   .key = "k",
			   .key_size = 1,
			   .value = end,
			   .value_size = sizeof(end)};
	rig_expect(rig_do(&rig, ask), CONCLAVE_EBADREQ, revision, 0);
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
	Suite *suite = suite_create("store_entry");
	TCase *tcase = tcase_create("entries");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, sets_known_settings_within_their_limits);
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
