/* Sessions: exactly once, epochs, resume, the end, and every refusal. */
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

/* A put of session 1, epoch 1, that may begin it. */
static struct ask put(uint64_t sequence, uint64_t settled_below)
{
	return (struct ask){.type = OP_PUT,
			    .flags = OP_BEGIN,
			    .session = 1,
			    .uid = 1000,
			    .sequence = sequence,
			    .settled_below = settled_below,
			    .epoch = 1,
			    .born = 1,
			    .key = "k",
			    .key_size = 1};
}

static struct ask put_known(uint64_t sequence, uint64_t settled_below)
{
	struct ask ask = put(sequence, settled_below);

	ask.flags = 0;
	return ask;
}

static int32_t status_of(struct ask ask)
{
	return rig_do(&rig, ask).status;
}

static struct op_session entry(uint8_t session, uint64_t epoch)
{
	struct op_session entry = {
		.session = {session},
		.begin = {.uid = 1000, .born = 1, .owner = 3},
		.epoch = epoch,
		.settled_below = 1,
	};

	memset(entry.begin.secret_hash, session, 16);
	return entry;
}

static struct store_session look(uint8_t session)
{
	const uint8_t id[16] = {session};
	struct store_session state;

	store_session(rig.store, id, &state);
	return state;
}

static int outcome(uint8_t session, uint64_t sequence,
		   struct store_result *ret_result)
{
	const uint8_t id[16] = {session};

	return store_outcome(rig.store, id, sequence, ret_result);
}

START_TEST(begins_with_the_first_operation_that_may)
{
	struct store_session state = look(1);

	ck_assert_int_eq(state.state, STORE_SESSION_UNKNOWN);
	ck_assert_int_eq(status_of(put_known(1, 1)), CONCLAVE_ESESSION);
	ck_assert_int_eq(status_of(put(3, 1)), 0);
	state = look(1);
	ck_assert_int_eq(state.state, STORE_SESSION_LIVE);
	ck_assert_uint_eq(state.uid, 1000);
	ck_assert_uint_eq(state.epoch, 1);
	ck_assert_uint_eq(state.born, 1);
	ck_assert_uint_eq(state.settled_below, 1);
	ck_assert_uint_eq(state.secret_hash[0], 1);
	ck_assert_int_eq(status_of(put(1, 1)), 0);
	ck_assert_int_eq(status_of(put_known(2, 1)), 0);
}
END_TEST

START_TEST(may_begin_before_anything_was_applied)
{
	struct ask ask = put(1, 1);

	ask.born = 0;
	ck_assert_int_eq(status_of(ask), 0);
}
END_TEST

START_TEST(does_not_begin_with_something_settled)
{
	ck_assert_int_eq(status_of(put(2, 2)), CONCLAVE_ESESSION);
	ck_assert_int_eq(look(1).state, STORE_SESSION_UNKNOWN);
}
END_TEST

START_TEST(applies_a_repeated_operation_once)
{
	struct ask ask = put(1, 1);
	struct store_result first = rig_do(&rig, ask), again;

	ck_assert_uint_eq(first.revision, 2);
	ck_assert_uint_eq(first.flags, 0);
	again = rig_do(&rig, ask);
	ck_assert_int_eq(again.status, 0);
	ck_assert_uint_eq(again.revision, 2);
	ck_assert_uint_eq(again.flags, CONCLAVE_RESULT_REPEATED);
	ck_assert_uint_eq(store_revision(rig.store), 2);
	/* Twice in one entry, too; and a refusal is as final as a success. */
	ask = put(2, 1);
	ask.type = OP_CAS;
	ask.argument = 99;
	rig_add(&rig, &ask);
	ask.argument = 2;
	rig_add(&rig, &ask);
	rig_apply(&rig);
	ck_assert_int_eq(rig.results[0].status, CONCLAVE_ECOMPARE);
	ck_assert_uint_eq(rig.results[0].aux, 2);
	ck_assert_int_eq(rig.results[1].status, CONCLAVE_ECOMPARE);
	ck_assert_uint_eq(rig.results[1].aux, 2);
	ck_assert_uint_eq(rig.results[1].flags, CONCLAVE_RESULT_REPEATED);
	ask = put(3, 1);
	ask.type = OP_CAS;
	ask.argument = 2;
	ck_assert_uint_eq(rig_do(&rig, ask).flags, CONCLAVE_RESULT_SUCCEEDED);
	ck_assert_uint_eq(rig_do(&rig, ask).flags,
			  CONCLAVE_RESULT_SUCCEEDED | CONCLAVE_RESULT_REPEATED);
	/* A repeated one may come with another that was settled since. */
	ck_assert_uint_eq(rig_do(&rig, put(3, 3)).flags,
			  CONCLAVE_RESULT_SUCCEEDED | CONCLAVE_RESULT_REPEATED);
}
END_TEST

START_TEST(remembers_every_kind_of_result)
{
	struct ask ask = put(1, 1);
	struct store_result result;

	rig_do(&rig, ask);
	ask = put(2, 1);
	ask.type = OP_DELETE;
	rig_do(&rig, ask);
	ask = put(3, 1);
	ask.type = OP_COMPACT;
	ask.argument = 77;
	rig_do(&rig, ask);
	ask = put(4, 1);
	ask.type = OP_SETTING;
	rig_do(&rig, ask);
	ask = put(5, 1);
	ask.key_size = 0;
	rig_do(&rig, ask);
	ck_assert_int_eq(outcome(1, 1, &result), 1);
	ck_assert_uint_eq(result.revision, 2);
	ck_assert_int_eq(outcome(1, 2, &result), 1);
	ck_assert_uint_eq(result.aux, 1);
	ck_assert_int_eq(outcome(1, 3, &result), 1);
	ck_assert_int_eq(result.status, CONCLAVE_EFUTURE);
	ck_assert_int_eq(outcome(1, 4, &result), 1);
	ck_assert_int_eq(result.status, CONCLAVE_ENOTFOUND);
	ck_assert_int_eq(outcome(1, 5, &result), 1);
	ck_assert_int_eq(result.status, CONCLAVE_EBADREQ);
	ck_assert_int_eq(outcome(1, 6, &result), 0);
	ck_assert_int_eq(outcome(1, 5000, &result), 0);
	ck_assert_int_eq(outcome(2, 1, &result), CONCLAVE_ESESSION);
	rig_do(&rig, put(6, 3));
	ck_assert_int_eq(outcome(1, 2, &result), CONCLAVE_ESESSION);
	ck_assert_int_eq(outcome(1, 3, &result), 1);
}
END_TEST

START_TEST(refuses_what_is_settled)
{
	ck_assert_int_eq(status_of(put(1, 1)), 0);
	ck_assert_int_eq(status_of(put(9, 5)), 0);
	ck_assert_uint_eq(look(1).settled_below, 5);
	ck_assert_int_eq(status_of(put(4, 1)), CONCLAVE_ESETTLED);
	ck_assert_int_eq(status_of(put(5, 1)), 0);
	ck_assert_int_eq(status_of(put(6, 7)), CONCLAVE_ESETTLED);
	ck_assert_uint_eq(look(1).settled_below, 5);
}
END_TEST

START_TEST(refuses_what_is_beyond_the_window)
{
	ck_assert_int_eq(status_of(put(4097, 1)), CONCLAVE_EWINDOW);
	ck_assert_int_eq(look(1).state, STORE_SESSION_UNKNOWN);
	ck_assert_int_eq(status_of(put(4096, 1)), 0);
	ck_assert_int_eq(status_of(put(4097, 1)), CONCLAVE_EWINDOW);
	ck_assert_int_eq(status_of(put(4097, 2)), 0);
	ck_assert_int_eq(status_of(put(1ull << 61, 1)), CONCLAVE_EWINDOW);
	/* What was refused so can not be executed later in the log. */
	ck_assert_int_eq(status_of(put(8190, 4095)), 0);
	ck_assert_int_eq(status_of(put(4097, 1)), CONCLAVE_EWINDOW);
}
END_TEST

START_TEST(refuses_impossible_sequences)
{
	ck_assert_int_eq(status_of(put(0, 1)), CONCLAVE_EBADREQ);
	ck_assert_int_eq(status_of(put(1, 0)), CONCLAVE_EBADREQ);
	ck_assert_int_eq(status_of(put(UINT64_MAX, 1)), CONCLAVE_EBADREQ);
	ck_assert_int_eq(status_of(put(UINT64_MAX, UINT64_MAX)),
			 CONCLAVE_EBADREQ);
	ck_assert_int_eq(look(1).state, STORE_SESSION_UNKNOWN);
	ck_assert_int_eq(status_of(put(1, 1)), 0);
	ck_assert_int_eq(status_of(put((1ull << 62) - 1, (1ull << 62) - 1)), 0);
}
END_TEST

START_TEST(refuses_strangers_and_other_epochs)
{
	struct ask ask = put(1, 1);

	rig_do(&rig, ask);
	ask = put(2, 1);
	ask.uid = 1001;
	ck_assert_int_eq(status_of(ask), CONCLAVE_EPERM);
	ask = put(2, 1);
	ask.epoch = 0;
	ck_assert_int_eq(status_of(ask), CONCLAVE_EEPOCH);
	ask.epoch = 2;
	ck_assert_int_eq(status_of(ask), CONCLAVE_EBADREQ);
	ck_assert_int_eq(status_of(put(2, 1)), 0);
}
END_TEST

START_TEST(keeps_all_results_of_a_full_window)
{
	struct store_result result;
	uint64_t sequence;

	for (sequence = 4096; sequence > 0; sequence--) {
		struct ask ask = put(sequence, 1);

		rig_add(&rig, &ask);
		if (sequence % 512 == 1)
			rig_apply(&rig);
	}
	for (sequence = 1; sequence <= 4096; sequence++) {
		ck_assert_int_eq(outcome(1, sequence, &result), 1);
		ck_assert_uint_eq(result.revision, 4096 + 2 - sequence);
	}
	rig_check(&rig);
	rig_do(&rig, put(5000, 3000));
	for (sequence = 3000; sequence <= 4096; sequence++)
		ck_assert_int_eq(outcome(1, sequence, &result), 1);
	ck_assert_int_eq(outcome(1, 4097, &result), 0);
	ck_assert_int_eq(outcome(1, 5000, &result), 1);
}
END_TEST

START_TEST(resumes_for_who_knows_the_secret)
{
	struct op_session resume = entry(1, 2);
	struct store_result result;

	rig_do(&rig, put(1, 1));
	result = rig_session(&rig, ENTRY_SESSION_RESUME, &resume);
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_eq(result.aux, 2);
	ck_assert_uint_eq(look(1).epoch, 2);
	ck_assert_uint_eq(look(1).owner, 3);
	ck_assert_int_eq(status_of(put(2, 1)), CONCLAVE_EEPOCH);
	ck_assert_int_eq(outcome(1, 1, &result), 1);
	/* The same entry again, then an older one. */
	ck_assert_int_eq(
		rig_session(&rig, ENTRY_SESSION_RESUME, &resume).status, 0);
	resume.epoch = 1;
	ck_assert_int_eq(
		rig_session(&rig, ENTRY_SESSION_RESUME, &resume).status,
		CONCLAVE_EEPOCH);
	resume = entry(1, 3);
	resume.begin.secret_hash[15] ^= 1;
	ck_assert_int_eq(
		rig_session(&rig, ENTRY_SESSION_RESUME, &resume).status,
		CONCLAVE_EPERM);
	resume = entry(1, 3);
	resume.begin.uid = 0;
	ck_assert_int_eq(
		rig_session(&rig, ENTRY_SESSION_RESUME, &resume).status,
		CONCLAVE_EPERM);
	resume = entry(1, 3);
	resume.settled_below = 0;
	ck_assert_int_eq(
		rig_session(&rig, ENTRY_SESSION_RESUME, &resume).status,
		CONCLAVE_EBADREQ);
	resume.settled_below = 2;
	ck_assert_int_eq(
		rig_session(&rig, ENTRY_SESSION_RESUME, &resume).status, 0);
	ck_assert_uint_eq(look(1).settled_below, 2);
	ck_assert_int_eq(outcome(1, 1, &result), CONCLAVE_ESESSION);
}
END_TEST

START_TEST(resumes_what_never_began)
{
	struct op_session resume = entry(1, 5);
	struct store_result result;

	resume.settled_below = 2;
	ck_assert_int_eq(
		rig_session(&rig, ENTRY_SESSION_RESUME, &resume).status,
		CONCLAVE_ESESSION);
	resume.settled_below = 1;
	result = rig_session(&rig, ENTRY_SESSION_RESUME, &resume);
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_eq(result.aux, 5);
	ck_assert_int_eq(outcome(1, 1, &result), 0);
	/* What was proposed before it is of an older epoch now. */
	ck_assert_int_eq(status_of(put(1, 1)), CONCLAVE_EEPOCH);
}
END_TEST

START_TEST(leaves_a_tombstone_when_it_ends)
{
	struct op_session end = entry(1, 1);
	struct store_result result;
	uint32_t kind = _i == 0 ? ENTRY_SESSION_CLOSE : ENTRY_SESSION_EXPIRE;

	ck_assert_int_eq(rig_session(&rig, kind, &end).status,
			 CONCLAVE_ESESSION);
	rig_do(&rig, put(1, 1));
	ck_assert_int_eq(rig_session(&rig, kind, &end).status, 0);
	ck_assert_int_eq(look(1).state, STORE_SESSION_ENDED);
	ck_assert_uint_eq(look(1).ended_index, 3);
	ck_assert_int_eq(outcome(1, 1, &result), CONCLAVE_ESESSION);
	ck_assert_int_eq(status_of(put(2, 1)), CONCLAVE_ESESSION);
	ck_assert_int_eq(rig_session(&rig, kind, &end).status,
			 CONCLAVE_ESESSION);
	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_RESUME, &end).status,
			 CONCLAVE_ESESSION);
}
END_TEST

START_TEST(does_not_end_by_a_word_of_an_older_epoch)
{
	struct op_session resume = entry(1, 2), end = entry(1, 1);

	rig_do(&rig, put(1, 1));
	rig_session(&rig, ENTRY_SESSION_RESUME, &resume);
	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_EXPIRE, &end).status,
			 CONCLAVE_EEPOCH);
	ck_assert_int_eq(look(1).state, STORE_SESSION_LIVE);
	end.epoch = 0;
	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_EXPIRE, &end).status,
			 0);
}
END_TEST

START_TEST(is_not_born_again_from_before_the_floor)
{
	struct op_session end = entry(1, 1);
	struct ask ask;

	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_DROP, &end).status,
			 CONCLAVE_ESESSION);
	rig_do(&rig, put(1, 1)); /* index 2 */
	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_DROP, &end).status,
			 CONCLAVE_EBADREQ);
	rig_session(&rig, ENTRY_SESSION_CLOSE, &end); /* index 4 */
	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_DROP, &end).status, 0);
	ck_assert_int_eq(look(1).state, STORE_SESSION_UNKNOWN);
	ck_assert_int_eq(status_of(put(1, 1)), CONCLAVE_ESESSION);
	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_RESUME, &end).status,
			 CONCLAVE_ESESSION);
	ask = put(1, 1);
	ask.born = 4;
	ck_assert_int_eq(status_of(ask), CONCLAVE_ESESSION);
	ask.born = 5;
	ck_assert_int_eq(status_of(ask), 0);
}
END_TEST

START_TEST(are_limited_in_number)
{
	struct ask ask = put(1, 1), more;
	struct op_session end = entry(1, 1);
	struct store_stats stats;
	uint32_t i;

	for (i = 1; i <= 64; i++) {
		ask.session = (uint8_t)i;
		ck_assert_int_eq(status_of(ask), 0);
	}
	more = ask;
	more.session = 100;
	ck_assert_int_eq(status_of(more), CONCLAVE_ETOOMANY);
	end = entry(100, 1);
	ck_assert_int_eq(rig_session(&rig, ENTRY_SESSION_RESUME, &end).status,
			 CONCLAVE_ETOOMANY);
	/* A tombstone makes room, but not for ever. */
	end = entry(1, 1);
	rig_session(&rig, ENTRY_SESSION_CLOSE, &end);
	ck_assert_int_eq(status_of(more), 0);
	for (i = 0; i < 255; i++) {
		end = entry((uint8_t)(i == 0 ? 100 : i % 2 + 150), 1);
		end.session[1] = (uint8_t)(i == 0 ? 0 : i);
		memset(end.begin.secret_hash, 0, 16);
		if (i > 0)
			ck_assert_int_eq(
				rig_session(&rig, ENTRY_SESSION_RESUME, &end)
					.status,
				0);
		ck_assert_int_eq(
			rig_session(&rig, ENTRY_SESSION_CLOSE, &end).status, 0);
	}
	store_stats(rig.store, &stats);
	ck_assert_uint_eq(stats.sessions, 63);
	more.session = 101;
	ck_assert_int_eq(status_of(more), 0);
	more.session = 102;
	ck_assert_int_eq(status_of(more), CONCLAVE_ETOOMANY);
}
END_TEST

START_TEST(can_be_stepped_through_while_they_come_and_go)
{
	struct op_session end;
	struct store_session state;
	uint64_t position = 0;
	uint8_t id[16], seen[256] = {0};
	struct ask ask = put(1, 1);
	uint32_t i, count = 0;

	for (i = 1; i <= 20; i++) {
		ask.session = (uint8_t)i;
		rig_do(&rig, ask);
	}
	while (store_session_next(rig.store, &position, id, &state) == 1) {
		ck_assert_uint_eq(seen[id[0]], 0);
		seen[id[0]] = 1;
		if (++count != 5)
			continue;
		/* One that was seen goes, one that was not ends. */
		end = entry(2, 1);
		rig_session(&rig, ENTRY_SESSION_CLOSE, &end);
		rig_session(&rig, ENTRY_SESSION_DROP, &end);
		end = entry(15, 1);
		rig_session(&rig, ENTRY_SESSION_EXPIRE, &end);
	}
	ck_assert_uint_eq(count, 20);
	for (i = 1; i <= 20; i++)
		ck_assert_uint_eq(seen[i], 1);
	ck_assert_int_eq(look(15).state, STORE_SESSION_ENDED);
	position = 0;
	for (count = 0; store_session_next(rig.store, &position, id, &state);)
		count++;
	ck_assert_uint_eq(count, 19);
}
END_TEST

START_TEST(hash_their_secret_in_one_way)
{
	/* What xxh128sum prints for these 16 bytes. */
	static const uint8_t should[16] = {0x72, 0x95, 0x06, 0x31, 0x82, 0x76,
					   0x07, 0xe2, 0x84, 0x28, 0x12, 0xcc,
					   0x87, 0x0d, 0xca, 0xe2};
	uint8_t secret[16], hash[16];
	uint32_t i;

	for (i = 0; i < 16; i++)
		secret[i] = (uint8_t)i;
	store_secret_hash(secret, hash);
	ck_assert_mem_eq(hash, should, 16);
}
END_TEST

START_TEST(lose_no_result_to_a_full_store)
{
	static uint8_t value[60000];
	struct ask ask = put(1, 1);
	uint64_t sequence = 1;
	struct store_result result;

	ask.value = value;
	ask.value_size = sizeof(value);
	while (rig_do(&rig, ask).status == 0)
		ask.sequence = ++sequence;
	ck_assert_int_eq(outcome(1, sequence, &result), 1);
	ck_assert_int_eq(result.status, CONCLAVE_EQUOTA);
	/* It stays refused when there is room again. */
	rig_compact(&rig, store_revision(rig.store));
	result = rig_do(&rig, ask);
	ck_assert_int_eq(result.status, CONCLAVE_EQUOTA);
	ck_assert_uint_eq(result.flags, CONCLAVE_RESULT_REPEATED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_session");
	TCase *tcase = tcase_create("sessions");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, begins_with_the_first_operation_that_may);
	tcase_add_test(tcase, may_begin_before_anything_was_applied);
	tcase_add_test(tcase, does_not_begin_with_something_settled);
	tcase_add_test(tcase, applies_a_repeated_operation_once);
	tcase_add_test(tcase, remembers_every_kind_of_result);
	tcase_add_test(tcase, refuses_what_is_settled);
	tcase_add_test(tcase, refuses_what_is_beyond_the_window);
	tcase_add_test(tcase, refuses_impossible_sequences);
	tcase_add_test(tcase, refuses_strangers_and_other_epochs);
	tcase_add_test(tcase, keeps_all_results_of_a_full_window);
	tcase_add_test(tcase, resumes_for_who_knows_the_secret);
	tcase_add_test(tcase, resumes_what_never_began);
	tcase_add_loop_test(tcase, leaves_a_tombstone_when_it_ends, 0, 2);
	tcase_add_test(tcase, does_not_end_by_a_word_of_an_older_epoch);
	tcase_add_test(tcase, is_not_born_again_from_before_the_floor);
	tcase_add_test(tcase, are_limited_in_number);
	tcase_add_test(tcase, can_be_stepped_through_while_they_come_and_go);
	tcase_add_test(tcase, hash_their_secret_in_one_way);
	tcase_add_test(tcase, lose_no_result_to_a_full_store);
	suite_add_tcase(suite, tcase);
	return rig_run(suite);
}
