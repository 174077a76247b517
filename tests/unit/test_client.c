/*
 * The synchronous calls, against the miniature daemon.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/conclave.h"
#include "tests/unit/support_peer.h"

static struct peer *peer;
static struct conclave *c;

static void options_init(struct conclave_options *options)
{
	conclave_options_init(options);
	options->socket = peer_path(peer);
	options->timeout_ms = 20000;
}

static void setup(void)
{
	struct conclave_options options;

	peer = peer_new(NULL);
	peer_start(peer);
	options_init(&options);
	ck_assert_int_eq(conclave_open(&c, &options), 0);
}

static void teardown(void)
{
	conclave_close(c);
	peer_free(peer);
}

static void put(const char *key, const char *value)
{
	ck_assert_int_eq(
		conclave_put(c, key, strlen(key), value, strlen(value), NULL),
		0);
}

static void expect(const char *key, const char *value)
{
	struct conclave_kv kv;
	char buffer[64];

	ck_assert_int_eq(
		conclave_get(c, key, strlen(key), buffer, sizeof(buffer), &kv),
		0);
	ck_assert_uint_eq(kv.value_size, strlen(value));
	ck_assert_int_eq(memcmp(buffer, value, kv.value_size), 0);
}

START_TEST(what_was_put_is_got)
{
	struct conclave_kv kv;
	uint64_t revision;
	char buffer[16];

	ck_assert_int_eq(conclave_put(c, "a", 1, "one", 3, &revision), 0);
	ck_assert_uint_eq(revision, 2);
	ck_assert_int_eq(conclave_put(c, "a", 1, "four", 4, &revision), 0);
	ck_assert_uint_eq(revision, 3);
	ck_assert_int_eq(conclave_get(c, "a", 1, buffer, sizeof(buffer), &kv),
			 0);
	ck_assert_uint_eq(kv.value_size, 4);
	ck_assert_int_eq(memcmp(kv.value, "four", 4), 0);
	ck_assert_uint_eq(kv.create_revision, 2);
	ck_assert_uint_eq(kv.mod_revision, 3);
	ck_assert_uint_eq(kv.version, 2);
	ck_assert_uint_eq(conclave_revision(c), 3);
}
END_TEST

START_TEST(a_key_that_is_not_there_is_not_found)
{
	struct conclave_kv kv;
	char buffer[16];

	ck_assert_int_eq(conclave_get(c, "x", 1, buffer, sizeof(buffer), &kv),
			 CONCLAVE_ENOTFOUND);
	ck_assert_int_eq(conclave_get(c, "x", 1, buffer, sizeof(buffer), NULL),
			 CONCLAVE_ENOTFOUND);
}
END_TEST

START_TEST(an_empty_value_is_a_value)
{
	struct conclave_kv kv;
	char buffer[16];

	ck_assert_int_eq(conclave_put(c, "e", 1, NULL, 0, NULL), 0);
	ck_assert_int_eq(conclave_get(c, "e", 1, buffer, sizeof(buffer), &kv),
			 0);
	ck_assert_uint_eq(kv.value_size, 0);
}
END_TEST

START_TEST(a_value_that_does_not_fit_says_what_it_takes)
{
	static uint8_t value[5000], buffer[5000];
	struct conclave_kv kv;

	memset(value, 7, sizeof(value));
	ck_assert_int_eq(conclave_put(c, "v", 1, value, sizeof(value), NULL),
			 0);
	memset(buffer, 1, sizeof(buffer));
	ck_assert_int_eq(conclave_get(c, "v", 1, buffer, 100, &kv),
			 CONCLAVE_ETOOSMALL);
	ck_assert_uint_ge(kv.value_size, sizeof(value));
	ck_assert_uint_eq(buffer[0], 1);
	ck_assert_int_eq(conclave_get(c, "v", 1, buffer, 4999, &kv),
			 CONCLAVE_ETOOSMALL);
	ck_assert_int_eq(conclave_get(c, "v", 1, buffer, 5000, &kv), 0);
	ck_assert_int_eq(memcmp(value, buffer, 5000), 0);
	ck_assert_int_eq(conclave_get(c, "v", 1, NULL, 0, &kv), 0);
	ck_assert_uint_eq(kv.mod_revision, 2);
}
END_TEST

START_TEST(a_value_larger_than_the_reply_room_is_too_large_to_get)
{
	struct conclave_options options;
	static uint8_t value[60000];
	struct conclave *small;
	struct conclave_kv kv;

	ck_assert_int_eq(conclave_put(c, "v", 1, value, sizeof(value), NULL),
			 0);
	options_init(&options);
	options.reply_size = 8192;
	ck_assert_int_eq(conclave_open(&small, &options), 0);
	ck_assert_int_eq(conclave_get(small, "v", 1, value, sizeof(value), &kv),
			 CONCLAVE_ETOOSMALL);
	ck_assert_uint_ge(kv.value_size, sizeof(value));
	conclave_close(small);
}
END_TEST

START_TEST(deleting_says_how_many)
{
	uint64_t count = 9, revision = 0;

	put("a", "1");
	put("b", "2");
	put("c", "3");
	ck_assert_int_eq(conclave_delete(c, "a", 1, &count, &revision), 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(revision, 5);
	ck_assert_int_eq(conclave_delete(c, "a", 1, &count, NULL), 0);
	ck_assert_uint_eq(count, 0);
	ck_assert_int_eq(conclave_delete_range(c, "a", 1, "c", 1, &count), 0);
	ck_assert_uint_eq(count, 1);
	expect("c", "3");
}
END_TEST

START_TEST(compare_and_swap_chains_by_revision)
{
	uint64_t revision = 0;

	ck_assert_int_eq(conclave_cas(c, "n", 1, "0", 1, &revision), 0);
	ck_assert_uint_eq(revision, 2);
	ck_assert_int_eq(conclave_cas(c, "n", 1, "1", 1, &revision), 0);
	ck_assert_uint_eq(revision, 3);
	revision = 2;
	ck_assert_int_eq(conclave_cas(c, "n", 1, "x", 1, &revision),
			 CONCLAVE_ECOMPARE);
	ck_assert_uint_eq(revision, 3);
	revision = 0;
	ck_assert_int_eq(conclave_cas(c, "n", 1, "x", 1, &revision),
			 CONCLAVE_ECOMPARE);
	expect("n", "1");
}
END_TEST

START_TEST(ping_compact_and_settings_arrive)
{
	static struct conclave_pages walk;
	struct conclave_range range = {0};
	uint64_t revision = 0;

	put("a", "1");
	put("a", "2");
	ck_assert_int_eq(conclave_ping(c, &revision), 0);
	ck_assert_uint_eq(revision, 3);
	ck_assert_int_eq(conclave_setting(c, "quota_bytes", "1"), 0);
	ck_assert_int_eq(conclave_compact(c, 3), 0);
	range.key = "a";
	range.key_size = 1;
	range.revision = 2;
	ck_assert_int_eq(conclave_range_begin(c, &range, &walk),
			 CONCLAVE_ECOMPACTED);
	range.revision = 99;
	ck_assert_int_eq(conclave_range_begin(c, &range, &walk),
			 CONCLAVE_EFUTURE);
}
END_TEST

START_TEST(bad_requests_are_refused_before_they_are_copied)
{
	static uint8_t big[CV_REQUEST_DEFAULT + 1];
	uint64_t before = peer_counts(peer).taken;

	ck_assert_int_eq(conclave_put(c, "", 0, "v", 1, NULL),
			 CONCLAVE_EBADREQ);
	ck_assert_int_eq(conclave_put(c, big, CV_KEY_MAX + 1, "v", 1, NULL),
			 CONCLAVE_ETOOLARGE);
	ck_assert_int_eq(conclave_put(c, "k", 1, big, sizeof(big), NULL),
			 CONCLAVE_ETOOLARGE);
	ck_assert_int_eq(conclave_put(c, "k", 1, big, sizeof(big) - 1, NULL),
			 CONCLAVE_ETOOLARGE);
	ck_assert_int_eq(conclave_put(c, "k", 1, big, SIZE_MAX, NULL),
			 CONCLAVE_ETOOLARGE);
	ck_assert_int_eq(conclave_put(c, "k", SIZE_MAX, big, 2, NULL),
			 CONCLAVE_ETOOLARGE);
	ck_assert_uint_eq(peer_counts(peer).taken, before);
	ck_assert_int_eq(conclave_put(c, "k", 1, big, sizeof(big) - 2, NULL),
			 0);
	ck_assert_int_eq(conclave_put(c, big, CV_KEY_MAX, "v", 1, NULL), 0);
}
END_TEST

START_TEST(what_the_daemon_refuses_is_returned)
{
	peer_set_status(peer, 1, CONCLAVE_EQUOTA);
	ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, NULL),
			 CONCLAVE_EQUOTA);
	ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, NULL), 0);
	peer_set_status(peer, 1, 17); /* no such status can be */
	ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, NULL),
			 CONCLAVE_EPROTO);
}
END_TEST

/* ---- walks ---- */

static void fill(uint32_t count)
{
	char key[16], value[16];

	for (uint32_t i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "k%05u", i);
		snprintf(value, sizeof(value), "v%u", i);
		put(key, value);
	}
}

static struct conclave_pages pages;

START_TEST(a_walk_sees_all_keys_in_order_at_one_revision)
{
	struct conclave_range range = {0};
	struct conclave_kv kv;
	uint32_t seen = 0;
	char key[16];
	uint64_t at;

	fill(300);
	at = conclave_revision(c);
	range.key = "k";
	range.key_size = 1;
	range.end = "l";
	range.end_size = 1;
	range.page_size = 1024;
	ck_assert_int_eq(conclave_range_begin(c, &range, &pages), 0);
	while (conclave_range_next(&pages, &kv) == 1) {
		snprintf(key, sizeof(key), "k%05u", seen);
		ck_assert_uint_eq(kv.key_size, 6);
		ck_assert_int_eq(memcmp(kv.key, key, 6), 0);
		ck_assert_uint_le(kv.mod_revision, at);
		ck_assert_uint_eq(pages.range.revision, at);
		seen++;
		if (seen == 10) { /* behind the walk, and in front of it */
			put("k00005", "x");
			put("k00200", "x");
			put("k00250x", "x");
		}
	}
	ck_assert_uint_eq(seen, 300);
	ck_assert_int_eq(conclave_range_next(&pages, &kv), 0);
	conclave_range_end(&pages);
}
END_TEST

START_TEST(a_walk_stops_at_its_limit_and_says_whether_there_is_more)
{
	struct conclave_range range = {0};
	struct conclave_kv kv;
	uint32_t seen, limits[] = {1, 7, 49, 50, 51};

	fill(50);
	range.key = "k";
	range.key_size = 1;
	range.end = "";
	range.end_size = 1; /* one zero byte: all */
	range.page_size = 512;
	for (uint32_t i = 0; i < 5; i++) {
		range.limit = limits[i];
		ck_assert_int_eq(conclave_range_begin(c, &range, &pages), 0);
		for (seen = 0; conclave_range_next(&pages, &kv) == 1; seen++)
			;
		ck_assert_uint_eq(seen, limits[i] < 50 ? limits[i] : 50);
		ck_assert_int_eq(pages.more, limits[i] < 50);
		conclave_range_end(&pages);
	}
}
END_TEST

START_TEST(a_walk_counts_or_shows_keys_alone)
{
	struct conclave_range range = {0};
	struct conclave_kv kv;

	fill(30);
	range.key = "k";
	range.key_size = 1;
	range.end = "";
	range.end_size = 1;
	range.flags = CV_COUNT_ONLY;
	ck_assert_int_eq(conclave_range_begin(c, &range, &pages), 0);
	ck_assert_uint_eq(pages.count, 30);
	ck_assert_int_eq(conclave_range_next(&pages, &kv), 0);
	conclave_range_end(&pages);
	range.flags = CV_KEYS_ONLY;
	ck_assert_int_eq(conclave_range_begin(c, &range, &pages), 0);
	ck_assert_int_eq(conclave_range_next(&pages, &kv), 1);
	ck_assert_uint_eq(kv.value_size, 0);
	ck_assert_uint_eq(kv.key_size, 6);
	conclave_range_end(&pages);
}
END_TEST

START_TEST(a_walk_goes_on_behind_the_longest_keys)
{
	static uint8_t keys[3][CV_KEY_MAX];
	struct conclave_range range = {0};
	struct conclave_kv kv;
	uint32_t seen = 0;

	memset(keys, 'a', sizeof(keys));
	keys[0][CV_KEY_MAX - 1] = 0xff;
	keys[1][CV_KEY_MAX - 2] = 'b';
	memset(keys[2], 0xff, CV_KEY_MAX);
	for (uint32_t i = 0; i < 3; i++)
		ck_assert_int_eq(
			conclave_put(c, keys[i], CV_KEY_MAX, "v", 1, NULL), 0);
	range.key = "a";
	range.key_size = 1;
	range.end = "";
	range.end_size = 1;
	range.page_size = 5000; /* one at a time */
	ck_assert_int_eq(conclave_range_begin(c, &range, &pages), 0);
	while (conclave_range_next(&pages, &kv) == 1) {
		ck_assert_int_eq(memcmp(kv.key, keys[seen], CV_KEY_MAX), 0);
		seen++;
	}
	ck_assert_uint_eq(seen, 3);
	conclave_range_end(&pages);
}
END_TEST

START_TEST(a_record_larger_than_the_page_gets_what_it_takes)
{
	static uint8_t value[50000];
	struct conclave_range range = {0};
	struct conclave_kv kv;

	ck_assert_int_eq(conclave_put(c, "k", 1, value, sizeof(value), NULL),
			 0);
	put("l", "small");
	range.key = "k";
	range.key_size = 1;
	range.end = "";
	range.end_size = 1;
	range.page_size = 256;
	ck_assert_int_eq(conclave_range_begin(c, &range, &pages), 0);
	ck_assert_int_eq(conclave_range_next(&pages, &kv), 1);
	ck_assert_uint_eq(kv.value_size, sizeof(value));
	ck_assert_int_eq(conclave_range_next(&pages, &kv), 1);
	ck_assert_uint_eq(kv.value_size, 5);
	ck_assert_int_eq(conclave_range_next(&pages, &kv), 0);
	conclave_range_end(&pages);
}
END_TEST

START_TEST(an_unfinished_walk_gives_its_room_back)
{
	struct conclave_range range = {0};
	struct conclave_kv kv;

	fill(40);
	range.key = "k";
	range.key_size = 1;
	range.end = "";
	range.end_size = 1;
	for (uint32_t i = 0; i < 1000; i++) {
		ck_assert_int_eq(conclave_range_begin(c, &range, &pages), 0);
		ck_assert_int_eq(conclave_range_next(&pages, &kv), 1);
		conclave_range_end(&pages);
	}
}
END_TEST

START_TEST(a_prefix_ends_where_no_key_begins_with_it)
{
	uint8_t end[4];

	ck_assert_uint_eq(conclave_prefix_end("ab", 2, end), 2);
	ck_assert_int_eq(memcmp(end, "ac", 2), 0);
	ck_assert_uint_eq(conclave_prefix_end("a\xff\xff", 3, end), 1);
	ck_assert_int_eq(memcmp(end, "b", 1), 0);
	ck_assert_uint_eq(conclave_prefix_end("\xff\xff", 2, end), 1);
	ck_assert_int_eq(end[0], 0);
	ck_assert_uint_eq(conclave_prefix_end("", 0, end), 1);
	ck_assert_int_eq(end[0], 0);
}
END_TEST

START_TEST(records_that_lie_about_their_size_are_refused)
{
	struct conclave_result result = {0};
	struct cv_record record = {0};
	struct conclave_kv kv;
	uint8_t reply[64] = {0};

	result.reply = reply;
	result.reply_size = 39;
	ck_assert_int_eq(conclave_record_first(&result, &kv), CONCLAVE_EPROTO);
	result.reply_size = 48;
	record.key_size = 9;
	memcpy(reply, &record, sizeof(record));
	ck_assert_int_eq(conclave_record_first(&result, &kv), CONCLAVE_EPROTO);
	record.key_size = UINT32_MAX;
	record.value_size = UINT32_MAX;
	memcpy(reply, &record, sizeof(record));
	ck_assert_int_eq(conclave_record_first(&result, &kv), CONCLAVE_EPROTO);
	record.key_size = 4;
	record.value_size = 4;
	memcpy(reply, &record, sizeof(record));
	ck_assert_int_eq(conclave_record_first(&result, &kv), 1);
	ck_assert_int_eq(conclave_record_next(&kv), 0);
	result.reply = NULL;
	ck_assert_int_eq(conclave_record_first(&result, &kv), 0);
}
END_TEST

/* ---- what is known ---- */

START_TEST(status_is_a_copy_of_the_page)
{
	struct cv_status status;

	ck_assert_int_eq(conclave_status(c, &status), 0);
	ck_assert_uint_eq(status.magic, CV_MAGIC_STATUS);
	ck_assert_uint_eq(status.incarnation, 1);
	ck_assert_uint_eq(conclave_slots(c), CV_SLOTS_DEFAULT);
	ck_assert_int_eq(conclave_link_error(c), 0);
}
END_TEST

START_TEST(every_code_has_a_sentence_and_a_kind)
{
	static const int unknown[] = {CONCLAVE_EDEADLINE, CONCLAVE_ESESSION,
				      CONCLAVE_ESTOPPED};

	for (int code = CONCLAVE_ENOLEADER; code >= CONCLAVE_ESETTLED; code--) {
		ck_assert_str_ne(conclave_strerror(code), "unknown error");
		ck_assert_int_eq(conclave_error_kind(code),
				 CONCLAVE_NOT_APPLIED);
	}
	for (int code = CONCLAVE_EVERSION; code >= CONCLAVE_EUNTRUSTED; code--)
		ck_assert_str_ne(conclave_strerror(code), "unknown error");
	for (int i = 0; i < 3; i++) {
		ck_assert_str_ne(conclave_strerror(unknown[i]),
				 "unknown error");
		ck_assert_int_eq(conclave_error_kind(unknown[i]),
				 CONCLAVE_UNKNOWN);
	}
	ck_assert_int_eq(conclave_error_kind(0), CONCLAVE_APPLIED);
	ck_assert_int_eq(conclave_error_kind(-EAGAIN), CONCLAVE_NOT_APPLIED);
	ck_assert_int_eq(conclave_error_kind(-EINTR), CONCLAVE_UNKNOWN);
	ck_assert_str_eq(conclave_strerror(-9999), "unknown error");
}
END_TEST

START_TEST(two_handles_see_each_other)
{
	struct conclave_options options;
	struct conclave *other, *mine = c;

	options_init(&options);
	ck_assert_int_eq(conclave_open(&other, &options), 0);
	put("a", "1");
	c = other;
	expect("a", "1");
	put("a", "2");
	c = mine;
	expect("a", "2");
	conclave_close(other);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("client");
	TCase *t = tcase_create("calls");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_was_put_is_got);
	tcase_add_test(t, a_key_that_is_not_there_is_not_found);
	tcase_add_test(t, an_empty_value_is_a_value);
	tcase_add_test(t, a_value_that_does_not_fit_says_what_it_takes);
	tcase_add_test(t,
		       a_value_larger_than_the_reply_room_is_too_large_to_get);
	tcase_add_test(t, deleting_says_how_many);
	tcase_add_test(t, compare_and_swap_chains_by_revision);
	tcase_add_test(t, ping_compact_and_settings_arrive);
	tcase_add_test(t, bad_requests_are_refused_before_they_are_copied);
	tcase_add_test(t, what_the_daemon_refuses_is_returned);
	tcase_add_test(t, a_walk_sees_all_keys_in_order_at_one_revision);
	tcase_add_test(
		t, a_walk_stops_at_its_limit_and_says_whether_there_is_more);
	tcase_add_test(t, a_walk_counts_or_shows_keys_alone);
	tcase_add_test(t, a_walk_goes_on_behind_the_longest_keys);
	tcase_add_test(t, a_record_larger_than_the_page_gets_what_it_takes);
	tcase_add_test(t, an_unfinished_walk_gives_its_room_back);
	tcase_add_test(t, a_prefix_ends_where_no_key_begins_with_it);
	tcase_add_test(t, records_that_lie_about_their_size_are_refused);
	tcase_add_test(t, status_is_a_copy_of_the_page);
	tcase_add_test(t, every_code_has_a_sentence_and_a_kind);
	tcase_add_test(t, two_handles_see_each_other);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
