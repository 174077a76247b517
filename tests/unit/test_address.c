/*
 * Addresses of members: what is one, what stays on this host, and names that
 * are looked up.
 */
#include "daemon/address.h"

#include <check.h>
#include <errno.h>
#include <string.h>

static struct address_parts split(const char *text)
{
	struct address_parts parts;

	ck_assert_msg(address_split(text, &parts) == 0, "%s", text);
	return parts;
}

START_TEST(an_address_has_a_host_and_a_port)
{
	struct address_parts parts = split("10.1.2.3:2380");

	ck_assert_str_eq(parts.host, "10.1.2.3");
	ck_assert_str_eq(parts.port, "2380");
	parts = split("[2001:db8::7]:65535");
	ck_assert_str_eq(parts.host, "2001:db8::7");
	ck_assert_str_eq(parts.port, "65535");
	parts = split("a-1.example:1");
	ck_assert_str_eq(parts.host, "a-1.example");
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
	static const char *const wrong[] = {
		"",	   "host",	 ":1",	       "host:",	  "host:0",
		"host:01", "host:65536", "host:1x",    "host:-1", "host:+1",
		"::1:5",   "[::1]",	 "[::1:5",     "[]:5",	  "[::1]5",
		"h o:1",   "h/o:1",	 "host:99999", "host:1 ", " host:1",
		"h\"o:1",  "h,o:1",	 NULL,
	};
	struct address_parts parts;
	char long_host[300];

	for (uint32_t i = 0; wrong[i]; i++)
		ck_assert_msg(address_split(wrong[i], &parts) == -EINVAL,
			      "taken: %s", wrong[i]);
	memset(long_host, 'a', sizeof(long_host));
	memcpy(long_host + ADDRESS_HOST_MAX, ":1", 3);
	ck_assert_int_eq(address_split(long_host, &parts), -EINVAL);
	ck_assert_int_eq(address_split(long_host + 1, &parts), 0);
}
END_TEST

START_TEST(numbers_need_no_lookup_and_come_back_as_text)
{
	static const char *const texts[] = {"127.0.0.1:1", "192.0.2.7:2380",
					    "[::1]:5", "[2001:db8::1]:65535",
					    NULL};
	char text[ADDRESS_TEXT_MAX];
	struct address address;

	for (uint32_t i = 0; texts[i]; i++) {
		struct address_parts parts = split(texts[i]);
		ck_assert_int_eq(address_numeric(&parts, &address), 0);
		address_text(&address, text);
		ck_assert_str_eq(text, texts[i]);
	}
	struct address_parts name = split("localhost:1");
	ck_assert_int_eq(address_numeric(&name, &address), -ENOENT);
}
END_TEST

START_TEST(loopback_is_what_never_leaves_this_host)
{
	static const char *const here[] = {"127.0.0.1:1", "127.9.8.7:1",
					   "[::1]:1", "[::ffff:127.0.0.1]:1",
					   NULL};
	static const char *const there[] = {
		"128.0.0.1:1", "0.0.0.0:1",
		"[::]:1",      "[::ffff:10.0.0.1]:1",
		"[::2]:1",     "126.255.255.255:1",
		NULL};
	struct address address;

	for (uint32_t i = 0; here[i]; i++) {
		struct address_parts parts = split(here[i]);
		ck_assert_int_eq(address_numeric(&parts, &address), 0);
		ck_assert_msg(address_is_loopback(&address), "%s", here[i]);
		ck_assert(address_names_loopback(&parts));
	}
	for (uint32_t i = 0; there[i]; i++) {
		struct address_parts parts = split(there[i]);
		ck_assert_int_eq(address_numeric(&parts, &address), 0);
		ck_assert_msg(!address_is_loopback(&address), "%s", there[i]);
		ck_assert(!address_names_loopback(&parts));
	}
	struct address_parts name = split("localhost:1");
	ck_assert(address_names_loopback(&name));
	name = split("localhost.example:1");
	ck_assert(!address_names_loopback(&name));
}
END_TEST

START_TEST(a_name_is_looked_up)
{
	struct address found[ADDRESS_FOUND_MAX];
	struct address_parts parts = split("localhost:77");
	int count = address_look_up(&parts, found);

	ck_assert_int_ge(count, 1);
	for (int i = 0; i < count; i++)
		ck_assert(address_is_loopback(&found[i]));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("address");
	TCase *tests = tcase_create("address");

	tcase_add_test(tests, an_address_has_a_host_and_a_port);
	tcase_add_test(tests, what_is_no_address_is_refused);
	tcase_add_test(tests, numbers_need_no_lookup_and_come_back_as_text);
	tcase_add_test(tests, loopback_is_what_never_leaves_this_host);
	tcase_add_test(tests, a_name_is_looked_up);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
