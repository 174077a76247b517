/* Images: their bytes, that they stand still, and what is refused. */
#include "tests/unit/support_store.h"

#include "daemon/store/image.h"

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

/* The same to both. */
static void both(struct ask ask)
{
	struct store_result one = rig_do(&rig, ask), two = rig_do(&twin, ask);

	ck_assert_int_eq(one.status, two.status);
	ck_assert_uint_eq(one.revision, two.revision);
}

static struct ask put(uint8_t session, uint64_t sequence, const char *key,
		      const char *value)
{
	return (struct ask){.type = OP_PUT,
			    .flags = OP_BEGIN,
			    .session = session,
			    .uid = session,
			    .sequence = sequence,
			    .settled_below = sequence > 20 ? sequence - 20 : 1,
			    .epoch = 1,
			    .born = 100000,
			    .key = key,
			    .key_size = (uint32_t)strlen(key),
			    .value = value,
			    .value_size = (uint32_t)strlen(value)};
}

static struct op_session entry(uint8_t session)
{
	struct op_session entry = {.session = {session},
				   .begin = {.uid = session, .born = 100000},
				   .epoch = 1,
				   .settled_below = 1};

	memset(entry.begin.secret_hash, session, 16);
	return entry;
}

/* A store with a bit of everything, the same each time. */
static void make_small(struct rig *small)
{
	static const struct raft_conf_change add[] = {{2, RAFT_ADD_VOTER},
						      {3, RAFT_ADD_LEARNER}};
	static const struct raft_conf_change drop[] = {{2, RAFT_REMOVE}};
	struct ask ask = put(1, 1, "a", "one");
	struct op_session end = entry(2);

	rig_do(small, ask);
	ask = put(1, 2, "b", "two");
	rig_do(small, ask);
	ask = put(1, 3, "a", "three");
	rig_do(small, ask);
	ask = put(1, 4, "b", "");
	ask.type = OP_DELETE;
	rig_do(small, ask);
	ask = put(1, 5, "", "");
	ask.type = OP_COMPACT;
	ask.argument = 3;
	rig_do(small, ask);
	ask = put(1, 6, "a", "x");
	ask.type = OP_CAS;
	ask.argument = 99;
	ask.settled_below = 4;
	rig_do(small, ask);
	ask = put(2, 1, "b", "four");
	rig_do(small, ask);
	rig_session(small, ENTRY_SESSION_CLOSE, &end);
	ask = put(1, 7, "lease_reads", "1");
	ask.type = OP_SETTING;
	ask.settled_below = 6;
	rig_do(small, ask);
	rig_change_members(small, add, 2, "\003a:1\003b:2", 8);
	rig_change_members(small, drop, 1, "\000", 1);
}

/*
 * Head: applied 11, revision 6, compacted 3, five versions of 224 bytes each,
 * the eight settings. Members 2, which was removed, and 3. Session 1 with the results of 6 and 7, the tombstone of
 * session 2. The keys at revision 3, then revisions 4 to 6. The end.
 */
static const char golden[] =
	"1001000001000000436e63496d61676502000000080000000b00000000000000"
	"0600000000000000030000000000000000000000000000006004000000000000"
	"692c618a11bffdb03917f4bfd2df482d01000000000000000100000000000000"
	"0100000000000000010000000000000006000000000000000200000000000000"
	"000040000000000001000000000000000100000000000000e093040000000000"
	"01000000000000000100000000000000c0270900000000000100000000000000"
	"0100000000000000400000000000000001000000000000000100000000000000"
	"000000040000000001000000000000000100000000000000c027090000000000"
	"0100000000000000010000000000000098000000070000000200000000000000"
	"0b00000000000000613a31000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000980000000700000003000000000000000000000000000000"
	"623a320000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000"
	"5800000002000000010000000000000000000000000000000101010101010101"
	"01010101010101010000000000000000a0860100000000000100000000000000"
	"0600000000000000000000000000000001000000020000002800000003000000"
	"0600000000000000050000000000000004000000000000000bfcffff00000000"
	"2800000003000000070000000000000006000000000000000000000000000000"
	"0000000000000000580000000200000002000000000000000000000000000000"
	"020202020202020202020202020202020000000000000000a086010000000000"
	"0100000000000000010000000000000008000000000000000200000000000000"
	"3800000004000000010000000300000002000000000000000200000000000000"
	"01000000000000000000000000000000616f6e65000000003800000004000000"
	"0100000003000000030000000000000003000000000000000100000000000000"
	"00000000000000006274776f0000000038000000050000000100000005000000"
	"0200000000000000040000000000000002000000000000000000000000000000"
	"6174687265650000380000000500000001000000000000000000000000000000"
	"0500000000000000000000000000000000000000000000006200000000000000"
	"3800000005000000010000000400000006000000000000000600000000000000"
	"0100000000000000000000000000000062666f75720000002000000006000000"
	"0c000000000000005c944c7c95438f58ce3f771d2efed672";

START_TEST(has_the_bytes_that_it_always_had)
{
	uint8_t should[sizeof(golden) / 2];
	char digits[3] = {0};
	uint32_t size, i;
	uint8_t *image;

	make_small(&rig);
	image = rig_image(&rig, 1000000, &size);
	for (i = 0; i < sizeof(should); i++) {
		memcpy(digits, &golden[2 * i], 2);
		should[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	ck_assert_uint_eq(size, sizeof(should));
	ck_assert_mem_eq(image, should, size);
	free(image);
}
END_TEST

START_TEST(of_an_empty_store_is_loaded_too)
{
	struct rig loaded;
	uint32_t size;
	uint8_t *image = rig_image(&rig, 1, &size);

	ck_assert_uint_eq(size, 272 + 32);
	ck_assert_int_eq(rig_load(&loaded, image, size, 1), 0);
	rig_expect_same(&rig, &loaded);
	rig_put(&loaded, "a", "b");
	rig_check(&loaded);
	rig_release(&loaded);
	free(image);
}
END_TEST

START_TEST(is_the_same_whatever_was_freed_meanwhile)
{
	uint32_t sizes[2], i;
	uint8_t *images[2];
	char key[8];

	for (i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "k%u", i * 7 % 300);
		both(put(1, i + 1, key, "value"));
		if (i % 3 == 0) {
			struct ask ask = put(2, i + 1, key, "");

			ask.type = OP_DELETE;
			both(ask);
		}
		if (i % 100 == 99) {
			struct ask ask = put(3, i + 1, "", "");

			ask.type = OP_COMPACT;
			ask.argument = store_revision(rig.store) - 50;
			both(ask);
		}
		rig_sweep(&rig, 1000);
	}
	images[0] = rig_image(&rig, 5, &sizes[0]);
	images[1] = rig_image(&twin, 100000, &sizes[1]);
	ck_assert_uint_eq(sizes[0], sizes[1]);
	ck_assert_mem_eq(images[0], images[1], sizes[0]);
	free(images[0]);
	free(images[1]);
}
END_TEST

/* One of many things that happen while an image is being written. */
static void disturb(uint32_t i)
{
	struct op_session end = entry((uint8_t)(i % 40 + 1));
	/* Those above 40 begin now. */
	uint8_t session = (uint8_t)(i % 60 + 1);
	struct ask ask = put(session, session > 40 ? i / 60 + 1 : 100 + i,
			     "k100", "new");
	char key[8];

	snprintf(key, sizeof(key), "k%u", 100 + i * 11 % 400);
	ask.key = key;
	ask.key_size = (uint32_t)strlen(key);
	if (i % 5 == 1)
		ask.type = OP_DELETE;
	rig_do(&rig, ask);
	if (i % 7 == 2) {
		rig_session(&rig, ENTRY_SESSION_CLOSE, &end);
	} else if (i % 7 == 4) {
		end = entry((uint8_t)((i - 2) % 40 + 1));
		rig_session(&rig, ENTRY_SESSION_DROP, &end);
	} else if (i % 7 == 5) {
		/* Begun again: another session of the same id. */
		end = entry((uint8_t)((i - 3) % 40 + 1));
		end.begin.uid = 7;
		rig_session(&rig, ENTRY_SESSION_RESUME, &end);
	}
	if (i % 10 == 0)
		rig_compact(&rig, store_revision(rig.store));
	rig_sweep(&rig, 50);
}

START_TEST(stands_still_while_the_store_goes_on)
{
	uint8_t *moving = malloc(1 << 24), *still;
	uint32_t still_size, size = 0, used, i = 0;
	char key[8];
	int more;

	for (i = 0; i < 600; i++) {
		snprintf(key, sizeof(key), "k%u", 100 + i * 7 % 400);
		both(put((uint8_t)(i % 40 + 1), i / 40 + 1, key, "value"));
		if (i == 300) {
			rig_compact(&rig, 200);
			rig_compact(&twin, 200);
		}
	}
	still = rig_image(&twin, 1000000, &still_size);
	store_image_begin(rig.store);
	i = 0;
	do {
		more = store_image_next(rig.store, moving + size,
					STORE_PIECE_MIN, 1 + i % 4, &used);
		size += used;
		disturb(i++);
		if (i % 64 == 0)
			rig_check(&rig);
	} while (more == 1);
	ck_assert_int_eq(more, 0);
	store_image_end(rig.store);
	ck_assert_uint_gt(i, 500);
	ck_assert_uint_eq(size, still_size);
	ck_assert_mem_eq(moving, still, size);
	while (rig_sweep(&rig, 1000))
		;
	free(moving);
	free(still);
}
END_TEST

START_TEST(leaves_nothing_behind_when_it_is_given_up)
{
	uint8_t *piece = malloc(STORE_PIECE_MIN);
	struct store_stats before, after;
	uint32_t used, i;

	for (i = 0; i < 100; i++)
		rig_do(&rig, put((uint8_t)(i % 40 + 1), i / 40 + 1, "k", "v"));
	rig_compact(&rig, store_revision(rig.store));
	ck_assert(!rig_sweep(&rig, 100000));
	store_stats(rig.store, &before);
	for (i = 0; i < 5; i++) {
		struct op_session end = entry((uint8_t)(i + 20));

		store_image_begin(rig.store);
		ck_assert_int_eq(store_image_next(rig.store, piece,
						  STORE_PIECE_MIN, 10 * i,
						  &used),
				 1);
		rig_session(&rig, ENTRY_SESSION_CLOSE, &end);
		rig_session(&rig, ENTRY_SESSION_DROP, &end);
		end = entry((uint8_t)(i + 30));
		rig_session(&rig, ENTRY_SESSION_CLOSE, &end);
		rig_session(&rig, ENTRY_SESSION_DROP, &end);
		store_image_end(rig.store);
		rig_check(&rig);
	}
	while (rig_sweep(&rig, 1))
		;
	store_stats(rig.store, &after);
	/* A session and its ring are 192 and 384 bytes. */
	ck_assert_uint_eq(after.used_bytes,
			  before.used_bytes - 10 * (192 + 384));
	free(piece);
}
END_TEST

START_TEST(is_cut_at_any_byte)
{
	struct rig loaded;
	uint32_t size, step;
	uint8_t *image;

	make_small(&rig);
	image = rig_image(&rig, 1000000, &size);
	for (step = 1; step <= size; step += 13) {
		ck_assert_int_eq(rig_load(&loaded, image, size, step), 0);
		rig_check(&loaded);
		rig_expect_same(&rig, &loaded);
		rig_release(&loaded);
	}
	free(image);
}
END_TEST

START_TEST(goes_on_as_if_nothing_had_happened)
{
	struct rig loaded;
	struct store_hash one, two;
	uint32_t size;
	uint8_t *image;

	make_small(&rig);
	image = rig_image(&rig, 1000000, &size);
	ck_assert_int_eq(rig_load(&loaded, image, size, 100), 0);
	free(image);
	/* The repeated one is known, the tombstone too, and history. */
	ck_assert_uint_eq(rig_do(&loaded, put(1, 6, "a", "x")).flags,
			  CONCLAVE_RESULT_REPEATED);
	rig_do(&rig, put(1, 6, "a", "x"));
	ck_assert_int_eq(rig_do(&loaded, put(2, 2, "a", "x")).status,
			 CONCLAVE_ESESSION);
	rig_do(&rig, put(2, 2, "a", "x"));
	rig_do(&loaded, put(1, 8, "a", "y"));
	rig_do(&rig, put(1, 8, "a", "y"));
	rig_compact(&loaded, 6);
	rig_compact(&rig, 6);
	store_hash(rig.store, &one);
	store_hash(loaded.store, &two);
	ck_assert_uint_eq(one.low, two.low);
	ck_assert_uint_eq(one.high, two.high);
	rig_check(&loaded);
	rig_release(&loaded);
}
END_TEST

/* As many sessions as the memory is for, and behind them one that ended. */
START_TEST(of_all_sessions_that_may_live_is_loaded)
{
	struct store_settings many = rig_settings;
	struct op_session end;
	struct rig loaded;
	uint8_t *image, id = 254;
	uint32_t size;

	many.sessions_max = 4096;
	rig_release(&rig);
	rig_init(&rig, &many);
	while (rig_do(&rig, put(id, 1, "a", "x")).status == 0)
		id--;
	ck_assert_uint_gt(id, 1);
	ck_assert_int_eq(rig_do(&rig, put(id, 1, "a", "x")).status,
			 CONCLAVE_ETOOMANY);
	end = entry(254);
	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_CLOSE, &end).status,
			 0);
	ck_assert_int_eq(rig_do(&rig, put(id, 1, "a", "x")).status, 0);
	image = rig_image(&rig, 1000000, &size);
	ck_assert_int_eq(rig_load(&loaded, image, size, 4096), 0);
	rig_expect_same(&rig, &loaded);
	rig_check(&loaded);
	rig_release(&loaded);
	free(image);
}
END_TEST

START_TEST(is_refused_when_it_is_cut_short)
{
	struct rig loaded;
	uint32_t size, cut;
	uint8_t *image;

	make_small(&rig);
	image = rig_image(&rig, 1000000, &size);
	for (cut = 0; cut < size; cut++) {
		ck_assert_int_eq(rig_load(&loaded, image, cut, 64), -EBADMSG);
		rig_release(&loaded);
	}
	free(image);
}
END_TEST

START_TEST(is_refused_when_a_bit_is_flipped)
{
	struct rig loaded;
	uint32_t size, bit;
	uint8_t *image;
	int error;

	make_small(&rig);
	image = rig_image(&rig, 1000000, &size);
	for (bit = 0; bit < 8 * size; bit++) {
		image[bit / 8] ^= (uint8_t)(1u << bit % 8);
		error = rig_load(&loaded, image, size, 512);
		/* Another store_address_bytes is another store's, a higher
		 * format or cluster_version a newer release's. */
		ck_assert_msg(error == -EBADMSG || error == -EINVAL ||
				      error == -EPROTO,
			      "bit %u", bit);
		image[bit / 8] ^= (uint8_t)(1u << bit % 8);
		rig_release(&loaded);
	}
	free(image);
}
END_TEST

START_TEST(is_refused_with_something_behind_it)
{
	struct rig loaded;
	uint32_t size;
	uint8_t *image;

	make_small(&rig);
	image = rig_image(&rig, 1000000, &size);
	ck_assert_int_eq(rig_load(&loaded, image, size, 512), 0);
	ck_assert_int_eq(store_load(loaded.store, image, 1), -EBADMSG);
	ck_assert_int_eq(store_load_end(loaded.store), -EBADMSG);
	rig_release(&loaded);
	free(image);
}
END_TEST

/* Another head for an image of nothing else, with a digest that is right. */
static int load_forged(struct image_head head)
{
	struct image_end end = {
		.size = sizeof(end), .type = IMAGE_TYPE_END, .records = 1};
	uint8_t image[sizeof(head) + sizeof(end)];
	struct rig loaded;
	int error;

	end.digest = hash_more(end.digest, &head, sizeof(head));
	memcpy(image, &head, sizeof(head));
	memcpy(image + sizeof(head), &end, sizeof(end));
	error = rig_load(&loaded, image, sizeof(image), sizeof(image));
	rig_release(&loaded);
	return error;
}

START_TEST(is_refused_when_it_is_not_what_its_hash_says)
{
	struct image_head head, forged;
	uint32_t size;
	uint8_t *image = rig_image(&rig, 1, &size);

	memcpy(&head, image, sizeof(head));
	free(image);
	ck_assert_int_eq(load_forged(head), 0);
	forged = head;
	forged.hash.high++;
	ck_assert_int_eq(load_forged(forged), -EBADMSG);
	forged = head;
	forged.session_floor++;
	ck_assert_int_eq(load_forged(forged), -EBADMSG);
	forged = head;
	forged.revision++;
	ck_assert_int_eq(load_forged(forged), -EBADMSG);
	forged = head;
	forged.compacted++;
	ck_assert_int_eq(load_forged(forged), -EBADMSG);
	forged = head;
	forged.logical_bytes++;
	ck_assert_int_eq(load_forged(forged), -EBADMSG);
	forged = head;
	forged.settings[0].value++;
	ck_assert_int_eq(load_forged(forged), -EBADMSG);
	forged = head;
	forged.settings[0].value = 77;
	ck_assert_int_eq(load_forged(forged), -EPROTO);
	forged = head;
	forged.format++;
	ck_assert_int_eq(load_forged(forged), -EPROTO);
	forged = head;
	forged.format--;
	ck_assert_int_eq(load_forged(forged), -EBADMSG);
}
END_TEST

START_TEST(tells_how_a_store_must_be_made_for_it)
{
	struct store_settings settings = rig_settings;
	struct store_settings found;
	struct rig loaded;
	uint32_t size;
	uint8_t *image;

	make_small(&rig);
	image = rig_image(&rig, 1000000, &size);
	ck_assert_int_eq(store_image_settings(image, 271, &found), -EBADMSG);
	ck_assert_int_eq(store_image_settings(image + 8, 272, &found),
			 -EBADMSG);
	ck_assert_int_eq(store_image_settings(image, 272, &found), 0);
	ck_assert_uint_eq(found.store_address_bytes, 64 << 20);
	ck_assert_uint_eq(found.lease_reads, 1);
	settings.store_address_bytes = 128 << 20;
	rig_init(&loaded, &settings);
	ck_assert_int_eq(store_load(loaded.store, image, size), -EINVAL);
	rig_release(&loaded);
	free(image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_image");
	TCase *tcase = tcase_create("images");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, has_the_bytes_that_it_always_had);
	tcase_add_test(tcase, of_an_empty_store_is_loaded_too);
	tcase_add_test(tcase, is_the_same_whatever_was_freed_meanwhile);
	tcase_add_test(tcase, stands_still_while_the_store_goes_on);
	tcase_add_test(tcase, leaves_nothing_behind_when_it_is_given_up);
	tcase_add_test(tcase, is_cut_at_any_byte);
	tcase_add_test(tcase, goes_on_as_if_nothing_had_happened);
	tcase_add_test(tcase, of_all_sessions_that_may_live_is_loaded);
	tcase_add_test(tcase, is_refused_when_it_is_cut_short);
	tcase_add_test(tcase, is_refused_when_a_bit_is_flipped);
	tcase_add_test(tcase, is_refused_with_something_behind_it);
	tcase_add_test(tcase, is_refused_when_it_is_not_what_its_hash_says);
	tcase_add_test(tcase, tells_how_a_store_must_be_made_for_it);
	suite_add_tcase(suite, tcase);
	return rig_run(suite);
}
