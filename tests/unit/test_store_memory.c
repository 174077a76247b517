/* That memory never runs out below the quota, whoever tries. */
#include "tests/unit/support_store.h"

#include "daemon/store/state.h"

static struct rig rig, twin;

static void setup(void)
{
	rig_init(&rig, &rig_settings);
	rig_init(&twin, &rig_settings);
}

static void teardown(void)
{
	rig_check(&rig);
	rig_check(&twin);
	rig_release(&rig);
	rig_release(&twin);
}

static struct ask put(uint32_t number, uint32_t size)
{
	static uint8_t value[1 << 17];
	static uint32_t key;

	key = __builtin_bswap32(number);
	assert(size <= sizeof(value));
	return (struct ask){.type = OP_PUT,
			    .key = &key,
			    .key_size = sizeof(key),
			    .value = value,
			    .value_size = size};
}

static struct ask take_out(uint32_t number)
{
	struct ask ask = put(number, 0);

	ask.type = OP_DELETE;
	return ask;
}

/* Both apply the same; only the twin frees what it can at once. */
static int32_t both(struct ask ask)
{
	struct store_result one = rig_do(&rig, ask), two = rig_do(&twin, ask);

	ck_assert_int_eq(one.status, two.status);
	ck_assert_uint_eq(one.revision, two.revision);
	while (rig_sweep(&twin, 100000))
		;
	return one.status;
}

static void compact(void)
{
	(void)both((struct ask){.type = OP_COMPACT,
				.argument = store_revision(rig.store)});
}

static uint64_t reserved(const struct rig *of)
{
	struct store_stats stats;

	store_stats(of->store, &stats);
	return stats.reserved_bytes;
}

START_TEST(is_freed_by_apply_itself_when_it_gets_scarce)
{
	struct store_stats stats;
	uint64_t lag = 0;
	uint32_t i, freed = 0;

	/* Five times the mapping, and nobody calls store_compact(). */
	for (i = 0; i < 20000; i++) {
		ck_assert_int_eq(both(put(i % 50, 16000)), 0);
		if (i % 100 == 99)
			compact();
		store_stats(rig.store, &stats);
		freed += stats.lag_bytes < lag;
		lag = stats.lag_bytes;
	}
	rig_expect_same(&rig, &twin);
	ck_assert_uint_gt(freed, 10);
	ck_assert_uint_le(reserved(&rig), rig.size);
	ck_assert_uint_lt(reserved(&twin), rig.size / 8);
}
END_TEST

START_TEST(breaks_the_image_that_pins_too_much)
{
	uint8_t *piece = malloc(STORE_PIECE_MIN);
	uint32_t used, i;
	int more = 1;

	for (i = 0; i < 100; i++)
		(void)both(put(i, 16000));
	store_image_begin(rig.store);
	for (i = 0; i < 40000 && more == 1; i++) {
		ck_assert_int_eq(both(put(i % 50, 16000)), 0);
		if (i % 10 == 9)
			compact();
		if (i % 1000 == 0)
			more = store_image_next(rig.store, piece,
						STORE_PIECE_MIN, 1, &used);
	}
	ck_assert_int_eq(more, -ECANCELED);
	store_image_end(rig.store);
	rig_expect_same(&rig, &twin);
	/* The next one finds room. */
	free(rig_image(&rig, 1000000, &used));
	free(piece);
}
END_TEST

START_TEST(breaks_the_read_that_pins_too_much)
{
	static uint8_t out[64];
	const uint8_t zero[1] = {0};
	struct store_read read = {
		.key = zero,
		.key_size = 1,
		.end = zero,
		.end_size = 1,
		.flags = STORE_READ_COUNT,
		.out = out,
		.room = sizeof(out),
	};
	uint32_t i;

	for (i = 0; i < 100; i++)
		(void)both(put(i, 16000));
	ck_assert_int_eq(store_read(rig.store, &read, 1), 1);
	for (i = 0; i < 10000; i++) {
		ck_assert_int_eq(both(put(i % 50, 16000)), 0);
		if (i % 10 == 9)
			compact();
	}
	ck_assert_int_eq(store_read(rig.store, &read, 1), CONCLAVE_ECOMPACTED);
}
END_TEST

/* Fills the store with values of one size, then leaves one in each chunk. */
static uint32_t hold_chunks(uint32_t first, uint32_t size, uint32_t per_chunk)
{
	uint32_t last = first, i;

	while (both(put(last, size)) == 0)
		last++;
	for (i = first; i < last; i++)
		if (i % per_chunk != 0)
			(void)both(take_out(i));
	compact();
	return last;
}

START_TEST(suffices_whatever_sizes_are_left_behind)
{
	/* The largest value in each class, beside a head and a key. */
	static const uint32_t blocks[] = {96,  128,  192,  256,	 384,  512,
					  768, 1024, 1536, 2048, 3072, 4352};
	struct store_stats stats;
	uint32_t i, number = 0;

	for (i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
		number = hold_chunks(number, blocks[i] - 76, 65472 / blocks[i]);
		ck_assert_int_ge(mapping_slack(&rig.store->map), 0);
		ck_assert_int_ge(mapping_slack(&twin.store->map), 0);
		rig_check(&rig);
	}
	/* And large ones into what is left. */
	while (both(put(number++, 100000)) == 0)
		;
	rig_expect_same(&rig, &twin);
	store_stats(twin.store, &stats);
	ck_assert_uint_gt(stats.reserved_bytes, 6 * rig_settings.quota_bytes);
	ck_assert_int_ge(mapping_slack(&rig.store->map), 0);
}
END_TEST

START_TEST(suffices_for_tombstones_beyond_the_quota)
{
	struct store_stats stats;
	uint32_t number = 0, i;

	while (both(put(number, 0)) == 0)
		number++;
	for (i = 0; i < number; i++)
		ck_assert_int_eq(both(take_out(i)), 0);
	store_stats(rig.store, &stats);
	ck_assert_uint_gt(stats.logical_bytes, rig_settings.quota_bytes);
	ck_assert_int_eq(both(put(0, 0)), CONCLAVE_EQUOTA);
	compact();
	ck_assert_int_eq(both(put(0, 0)), 0);
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.logical_bytes, 96 + 128);
}
END_TEST

START_TEST(bears_the_sessions_that_it_promises_at_their_largest)
{
	struct store_settings settings = rig_settings;
	struct ask ask = put(1, 0);
	uint32_t i, number = 0, sessions = rig.store->sessions_cap;
	uint64_t sequence;

	rig_release(&rig);
	settings.sessions_max = 65536;
	rig_init(&rig, &settings);
	ck_assert_uint_gt(sessions, 64);
	ask.flags = OP_BEGIN;
	ask.epoch = 1;
	ask.settled_below = 1;
	ask.born = 1;
	for (i = 1; i <= sessions; i++) {
		ask.session = (uint8_t)i;
		for (sequence = 1; sequence <= 4096; sequence *= 2) {
			ask.sequence = sequence;
			ck_assert_int_eq(rig_do(&rig, ask).status, 0);
		}
	}
	ask.session = (uint8_t)i;
	ck_assert_int_eq(rig_do(&rig, ask).status, CONCLAVE_ETOOMANY);
	/* The quota is still all there for keys. */
	ask = put(2, 2900);
	ask.session = 1;
	ask.epoch = 1;
	ask.settled_below = 1;
	for (ask.sequence = 3; ask.sequence < 4000; ask.sequence++) {
		if ((ask.sequence & (ask.sequence - 1)) == 0)
			continue;
		ask.key = put(number++, 2900).key;
		if (rig_do(&rig, ask).status != 0)
			break;
	}
	ck_assert_int_eq(rig.results[0].status, CONCLAVE_EQUOTA);
	ck_assert_uint_gt(number, 1200);
	ck_assert_int_ge(mapping_slack(&rig.store->map), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_memory");
	TCase *tcase = tcase_create("memory");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, is_freed_by_apply_itself_when_it_gets_scarce);
	tcase_add_test(tcase, breaks_the_image_that_pins_too_much);
	tcase_add_test(tcase, breaks_the_read_that_pins_too_much);
	tcase_add_test(tcase, suffices_whatever_sizes_are_left_behind);
	tcase_add_test(tcase, suffices_for_tombstones_beyond_the_quota);
	tcase_add_test(tcase,
		       bears_the_sessions_that_it_promises_at_their_largest);
	suite_add_tcase(suite, tcase);
	return rig_run(suite);
}
