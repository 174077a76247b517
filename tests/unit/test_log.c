/*
 * Log lines: always one line, never held up.
 */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"

static struct log log_;
static int fds[2];
static char text[1 << 17];

static void open_pipe(void)
{
	ck_assert_int_eq(pipe(fds), 0);
	log_init(&log_, fds[1], LOG_INFO);
}

static void close_pipe(void)
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static const char *read_back(void)
{
	int flags = fcntl(fds[0], F_GETFL);

	ck_assert_int_eq(fcntl(fds[0], F_SETFL, flags | O_NONBLOCK), 0);
	ssize_t size = read(fds[0], text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = '\0';
	return text;
}

START_TEST(fields_are_key_and_value)
{
	log_begin(&log_, LOG_INFO, "ready");
	log_text(&log_, "socket", "/run/conclave/default.sock");
	log_number(&log_, "member", 18446744073709551615u);
	log_signed(&log_, "code", -5);
	log_end(&log_);
	ck_assert(strstr(read_back(), "time=2") == text);
	ck_assert(strstr(text, "Z level=info msg=ready "
			       "socket=/run/conclave/default.sock "
			       "member=18446744073709551615 code=-5\n"));
}
END_TEST

START_TEST(strange_values_are_quoted_on_one_line)
{
	log_begin(&log_, LOG_WARN, "two words");
	log_text(&log_, "name", "a\"b\\c\nlevel=error msg=forged\x7f");
	log_text(&log_, "empty", "");
	log_end(&log_);
	(void)read_back();
	ck_assert(strstr(text, "msg=\"two words\" "
			       "name=\"a\\\"b\\\\c\\x0alevel=error "
			       "msg=forged\\x7f\" empty=\"\"\n"));
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(a_level_below_the_least_is_not_said)
{
	log_begin(&log_, LOG_DEBUG, "quiet");
	log_text(&log_, "key", "value");
	log_end(&log_);
	ck_assert_str_eq(read_back(), "");
	ck_assert_uint_eq(log_dropped(&log_), 0);
}
END_TEST

START_TEST(a_field_too_long_is_left_out_and_said)
{
	char value[LOG_LINE_MAX + 1];

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_begin(&log_, LOG_INFO, "long");
	log_text(&log_, "before", "kept");
	log_text(&log_, "value", value);
	log_end(&log_);
	(void)read_back();
	ck_assert(strstr(text, "msg=long before=kept cut=yes\n"));
}
END_TEST

/* A reader that is behind costs lines, not time. */
START_TEST(a_full_pipe_drops_lines_and_counts_them)
{
	uint32_t lines = 0;

	while (log_dropped(&log_) < 10 && lines < 100000) {
		log_begin(&log_, LOG_INFO, "much to say");
		log_end(&log_);
		lines++;
	}
	ck_assert_uint_eq(log_dropped(&log_), 10);
	(void)read_back();
	log_begin(&log_, LOG_INFO, "again");
	log_end(&log_);
	ck_assert_uint_eq(log_dropped(&log_), 0);
	ck_assert(strstr(read_back(), "msg=again dropped=10\n"));
}
END_TEST

START_TEST(the_flags_of_the_descriptor_stay)
{
	int before = fcntl(fds[1], F_GETFL);

	log_begin(&log_, LOG_INFO, "said");
	log_end(&log_);
	ck_assert_int_eq(fcntl(fds[1], F_GETFL), before);
}
END_TEST

START_TEST(errors_have_words_and_code)
{
	log_begin(&log_, LOG_ERROR, "failed");
	log_errno(&log_, -2);
	log_end(&log_);
	ck_assert(strstr(read_back(), "error=\"No such file or directory\" "
				      "code=-2\n"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tests = tcase_create("log");

	tcase_add_checked_fixture(tests, open_pipe, close_pipe);
	tcase_add_test(tests, fields_are_key_and_value);
	tcase_add_test(tests, strange_values_are_quoted_on_one_line);
	tcase_add_test(tests, a_level_below_the_least_is_not_said);
	tcase_add_test(tests, a_field_too_long_is_left_out_and_said);
	tcase_add_test(tests, a_full_pipe_drops_lines_and_counts_them);
	tcase_add_test(tests, the_flags_of_the_descriptor_stay);
	tcase_add_test(tests, errors_have_words_and_code);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
