/*
 * Options: where they come from, which wins, and what a wrong one is told.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/engine.h"
#include "daemon/log.h"

static struct config config;
static char error[CONFIG_ERROR_MAX];

static char *const no_environment[] = {NULL};

/* Both lists end with NULL. */
static int read_with(const char *const *flags, const char *const *environment)
{
	const char *arguments[16] = {"conclaved"};
	const char *variables[16] = {"HOME=/home/nobody",
				     "XDG_RUNTIME_DIR=/run/user/1"};

	for (uint32_t i = 0; flags && flags[i]; i++)
		arguments[i + 1] = flags[i];
	for (uint32_t i = 0; environment && environment[i]; i++)
		variables[i + 2] = environment[i];
	return config_read(&config, (char *const *)(uintptr_t)arguments,
			   (char *const *)(uintptr_t)variables, error);
}

static int read_flag(const char *flag)
{
	const char *const flags[] = {flag, NULL};

	return read_with(flags, NULL);
}

static void refused_naming(const char *flag, const char *a, const char *b)
{
	ck_assert_int_eq(read_flag(flag), -EINVAL);
	ck_assert_msg(strstr(error, a), "no \"%s\" in: %s", a, error);
	ck_assert_msg(strstr(error, b), "no \"%s\" in: %s", b, error);
}

static void write_file(char *path, const char *text)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	ck_assert_int_eq(close(fd), 0);
}

START_TEST(defaults_need_nothing)
{
	ck_assert_int_eq(read_with(NULL, NULL), 0);
	ck_assert_str_eq(config.cluster, "default");
	ck_assert_uint_eq(config.member, 1);
	ck_assert_uint_eq(config.engine, ENGINE_AUTO);
	ck_assert_uint_eq(config.log_level, LOG_INFO);
	ck_assert_uint_eq(config.handles_max, 1024);
	ck_assert_uint_eq(config.segment_size, 64 << 20);
	ck_assert_uint_eq(config.snapshot_after, 1 << 30);
	ck_assert(!config.accept_tail_loss);
	ck_assert_uint_eq(config.allow_count, 2);
	ck_assert(!config.allow[0].group);
	ck_assert_uint_eq(config.allow[0].id, geteuid());
	ck_assert_uint_eq(config.allow[1].id, 0);
	ck_assert(strstr(config.socket, "conclave/default.sock"));
	ck_assert(strstr(config.data, "conclave/default"));
}
END_TEST

START_TEST(cluster_names_the_default_paths)
{
	ck_assert_int_eq(read_flag("--cluster=blue"), 0);
	ck_assert(strstr(config.socket, "conclave/blue.sock"));
	ck_assert(strstr(config.data, "conclave/blue"));
}
END_TEST

START_TEST(a_value_may_follow_its_flag)
{
	const char *const flags[] = {
		"--member",	      "7",	"--engine", "plain",
		"--accept-tail-loss", "--spin", "forever",  NULL};

	ck_assert_int_eq(read_with(flags, NULL), 0);
	ck_assert_uint_eq(config.member, 7);
	ck_assert_uint_eq(config.engine, ENGINE_PLAIN);
	ck_assert(config.accept_tail_loss);
	ck_assert_uint_eq(config.spin_us, CONFIG_SPIN_FOREVER);
}
END_TEST

START_TEST(flags_win_over_environment_over_file)
{
	char path[] = "/tmp/conclave-config-XXXXXX";
	char flag[64];
	const char *const environment[] = {"CONCLAVE_MEMBER=2",
					   "CONCLAVE_HANDLES_MAX=20", NULL};

	write_file(path, "# three layers\n\n member = 1 \nhandles-max=10\n"
			 "spin = 5\nlog-level\t=\twarn");
	(void)snprintf(flag, sizeof(flag), "--config=%s", path);
	const char *const flags[] = {flag, "--member=3", NULL};
	int result = read_with(flags, environment);
	(void)unlink(path);
	ck_assert_msg(result == 0, "%s", error);
	ck_assert_uint_eq(config.member, 3);
	ck_assert_uint_eq(config.handles_max, 20);
	ck_assert_uint_eq(config.spin_us, 5);
	ck_assert_uint_eq(config.log_level, LOG_WARN);
}
END_TEST

START_TEST(the_environment_may_name_the_file)
{
	char path[] = "/tmp/conclave-config-XXXXXX";
	char variable[64];

	write_file(path, "cluster = green\n");
	(void)snprintf(variable, sizeof(variable), "CONCLAVE_CONFIG=%s", path);
	const char *const environment[] = {variable, NULL};
	int result = read_with(NULL, environment);
	(void)unlink(path);
	ck_assert_int_eq(result, 0);
	ck_assert_str_eq(config.cluster, "green");
}
END_TEST

START_TEST(a_wrong_line_is_named_with_file_and_number)
{
	static const char *const texts[] = {
		"# first\nmember = many\n",
		"# first\nmembre = 1\n",
		"# first\nmember\n",
		"# first\nhelp = yes\n",
	};

	for (uint32_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char path[] = "/tmp/conclave-config-XXXXXX";
		char flag[64];
		char place[64];
		write_file(path, texts[i]);
		(void)snprintf(flag, sizeof(flag), "--config=%s", path);
		(void)snprintf(place, sizeof(place), "%s:2: ", path);
		int result = read_flag(flag);
		(void)unlink(path);
		ck_assert_int_eq(result, -EINVAL);
		ck_assert_msg(strstr(error, place) == error, "%s", error);
	}
}
END_TEST

START_TEST(a_line_too_long_is_refused)
{
	char path[] = "/tmp/conclave-config-XXXXXX";
	char text[CONFIG_LINE_MAX + 16];
	char flag[64];

	memset(text, '#', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	text[sizeof(text) - 2] = '\n';
	write_file(path, text);
	(void)snprintf(flag, sizeof(flag), "--config=%s", path);
	int result = read_flag(flag);
	(void)unlink(path);
	ck_assert_int_eq(result, -EINVAL);
	ck_assert(strstr(error, "longer"));
}
END_TEST

START_TEST(a_missing_file_is_named)
{
	refused_naming("--config=/nowhere/at/all", "/nowhere/at/all",
		       "No such file");
}
END_TEST

START_TEST(a_wrong_value_is_told_what_it_may_be)
{
	refused_naming("--member=0", "\"member\" is \"0\"", "from 1 to");
	refused_naming("--member=-1", "\"member\"", "from 1 to");
	refused_naming("--member=99999999999999999999", "\"member\"", "from 1");
	refused_naming("--engine=fast", "\"engine\" is \"fast\"",
		       "auto, io_uring or plain");
	refused_naming("--spin=soon", "\"spin\" is \"soon\"", "forever");
	refused_naming("--spin=1000001", "\"spin\"", "1000000");
	refused_naming("--handles-max=1025", "\"handles-max\"", "1 to 1024");
	refused_naming("--segment-size=1K", "\"segment-size\"", "1M to 64M");
	refused_naming("--segment-size=65M", "\"segment-size\"", "1M to 64M");
	refused_naming("--segment-size=1500000", "\"segment-size\"", "whole M");
	refused_naming("--disk-patience=9", "\"disk-patience\"", "10 to 100");
	refused_naming("--disk-patience=101", "\"disk-patience\"", "percent");
	refused_naming("--snapshot-after=0", "\"snapshot-after\"", "1M");
	refused_naming("--log-level=loud", "\"log-level\"",
		       "debug, info, warn or error");
	refused_naming("--log-format=json", "\"log-format\"", "key=value");
	refused_naming("--accept-tail-loss=perhaps", "\"accept-tail-loss\"",
		       "yes or no");
	refused_naming("--cluster=../x", "\"cluster\"", "letters");
	refused_naming("--cluster=", "\"cluster\"", "letters");
	refused_naming("--allow=nobody-knows-him", "\"allow\"", "users");
	refused_naming("--allow=0,,1", "\"allow\"", "users");
	refused_naming("--allow=4294967295", "\"allow\"", "users");
}
END_TEST

START_TEST(a_path_too_long_for_a_socket_is_refused)
{
	char flag[256] = "--socket=/";

	memset(flag + strlen(flag), 'x', CONFIG_SOCKET_MAX);
	refused_naming(flag, "\"socket\"", "shorter than 108");
}
END_TEST

START_TEST(an_unknown_option_gets_a_suggestion)
{
	refused_naming("--membr=1", "unknown option \"membr\"", "\"member\"");
	refused_naming("--sokcet=x", "unknown option", "\"socket\"");
	refused_naming("--handle-max=4", "unknown option", "\"handles-max\"");
	refused_naming("--unheard-of", "unknown option", "--help");
}
END_TEST

START_TEST(what_is_no_option_is_refused)
{
	refused_naming("start", "\"start\"", "--name=value");
	refused_naming("-m", "\"-m\"", "--name=value");
}
END_TEST

START_TEST(a_missing_value_is_refused)
{
	refused_naming("--member", "--member", "missing");
}
END_TEST

START_TEST(sizes_have_units)
{
	ck_assert_int_eq(read_flag("--segment-size=4M"), 0);
	ck_assert_uint_eq(config.segment_size, 4 << 20);
	ck_assert_int_eq(read_flag("--snapshot-after=2G"), 0);
	ck_assert_uint_eq(config.snapshot_after, 2ull << 30);
	ck_assert_int_eq(read_flag("--snapshot-after=18446744073709551615G"),
			 -EINVAL);
}
END_TEST

START_TEST(allow_takes_users_and_groups)
{
	ck_assert_int_eq(read_flag("--allow=1000 , gid:50,uid:7, root,"
				   "gid:root"),
			 0);
	ck_assert_uint_eq(config.allow_count, 5);
	ck_assert(!config.allow[0].group && config.allow[0].id == 1000);
	ck_assert(config.allow[1].group && config.allow[1].id == 50);
	ck_assert(!config.allow[2].group && config.allow[2].id == 7);
	ck_assert(!config.allow[3].group && config.allow[3].id == 0);
	ck_assert(config.allow[4].group && config.allow[4].id == 0);
}
END_TEST

/* ---- other members ---- */

static int read_flags(const char *a, const char *b, const char *c,
		      const char *d)
{
	const char *const flags[] = {a, b, c, d, NULL};

	return read_with(flags, NULL);
}

static void said(const char *text)
{
	ck_assert_msg(strstr(error, text), "no \"%s\" in: %s", text, error);
}

START_TEST(peers_are_ids_and_addresses)
{
	ck_assert_int_eq(read_flags("--peers=1=127.0.0.1:2380 , "
				    "2=[::1]:2381,30=localhost:1",
				    "--peer-listen=127.0.0.1:2380",
				    "--heartbeat-ms=50", "--election-ms=300"),
			 0);
	ck_assert_uint_eq(config.peer_count, 3);
	ck_assert_uint_eq(config.peers[1].id, 2);
	ck_assert_str_eq(config.peers[1].address, "[::1]:2381");
	ck_assert_uint_eq(config.peers[2].id, 30);
	ck_assert_str_eq(config.peers[2].address, "localhost:1");
	ck_assert(config.peers[0].voter);
	ck_assert_str_eq(config.peer_listen, "127.0.0.1:2380");
	ck_assert_uint_eq(config.heartbeat_ms, 50);
	ck_assert_uint_eq(config.election_ms, 300);
	ck_assert(config_has_peers(&config));
}
END_TEST

START_TEST(without_a_word_about_peers_a_member_is_alone)
{
	ck_assert_int_eq(read_with(NULL, NULL), 0);
	ck_assert(!config_has_peers(&config));
	ck_assert(!config.join && !config.peer_plaintext);
	ck_assert_uint_eq(config.heartbeat_ms, 100);
	ck_assert_uint_eq(config.election_ms, 1000);
	ck_assert_uint_eq(config.disk_patience, 50);
}
END_TEST

START_TEST(wrong_peers_are_told_what_they_may_be)
{
	static const char *const wrong[] = {
		"1",
		"1=",
		"=127.0.0.1:1",
		"0=127.0.0.1:1",
		"x=127.0.0.1:1",
		"1=127.0.0.1",
		"1=127.0.0.1:0",
		"1=127.0.0.1:65536",
		"1=127.0.0.1:01",
		"1=127.0.0.1:1,",
		",1=127.0.0.1:1",
		"1=127.0.0.1:1,1=127.0.0.1:2",
		"1=::1:5",
		"1=[::1]5",
		"1=[::1:5",
		"1=a b:5",
		"1=:5",
		NULL,
	};
	char flag[64];

	for (uint32_t i = 0; wrong[i]; i++) {
		(void)snprintf(flag, sizeof(flag), "--peers=%s", wrong[i]);
		refused_naming(flag, "\"peers\"", "id=host:port");
	}
	refused_naming("--peer-listen=nonsense", "\"peer-listen\"",
		       "host:port");
	refused_naming("--heartbeat-ms=9", "\"heartbeat-ms\"", "10000");
	refused_naming("--peer-names=a,,b", "\"peer-names\"", "commas");
	refused_naming("--peer-names=a b", "\"peer-names\"", "commas");
}
END_TEST

START_TEST(options_that_need_each_other_say_so)
{
	const char *listen = "--peer-listen=127.0.0.1:1";
	const char *two = "--peers=1=127.0.0.1:1,2=127.0.0.1:2";

	ck_assert_int_eq(read_flag("--join"), -EINVAL);
	said("\"peers\"");
	ck_assert_int_eq(read_flag(two), -EINVAL);
	said("\"peer-listen\" is missing");
	ck_assert_int_eq(read_flags(two, listen, "--member=3", NULL), -EINVAL);
	said("does not name member 3");
	ck_assert_int_eq(read_flags(two, listen, "--member=3", "--join"), 0);
	ck_assert_int_eq(read_flags(two, listen, "--member=2", NULL), 0);
	ck_assert_int_eq(read_flag("--peers=1=127.0.0.1:1"), 0);
	ck_assert_int_eq(read_flag("--election-ms=499"), -EINVAL);
	said("\"election-ms\" is 499");
	ck_assert_int_eq(read_flag("--election-ms=500"), 0);
}
END_TEST

START_TEST(tls_is_whole_or_not_at_all)
{
	ck_assert_int_eq(
		read_flags("--peer-cert=a", "--peer-key=b", NULL, NULL),
		-EINVAL);
	said("\"peer-ca\" is missing");
	ck_assert_int_eq(read_flags("--peer-cert=a", "--peer-ca=b", NULL, NULL),
			 -EINVAL);
	said("\"peer-key\" is missing");
	ck_assert_int_eq(read_flag("--peer-names=x"), -EINVAL);
	said("\"peer-cert\" is missing");
	ck_assert_int_eq(read_flags("--peer-cert=a", "--peer-key=b",
				    "--peer-ca=c", "--peer-plaintext"),
			 -EINVAL);
	said("contradict");
	ck_assert_int_eq(read_flags("--peer-cert=a", "--peer-key=b",
				    "--peer-ca=c",
				    "--peer-names=a.b , .c.d,::1"),
			 0);
	ck_assert_str_eq(config.peer_names, "a.b,.c.d,::1");
}
END_TEST

START_TEST(plain_tcp_off_this_host_is_asked_for_by_name)
{
	static const char *const far[] = {"10.0.0.1:1",	     "0.0.0.0:1",
					  "[2001:db8::1]:1", "host.example:1",
					  "[::]:1",	     NULL};
	char flag[64];
	char peers[128];

	for (uint32_t i = 0; far[i]; i++) {
		(void)snprintf(flag, sizeof(flag), "--peer-listen=%s", far[i]);
		(void)snprintf(peers, sizeof(peers),
			       "--peers=1=127.0.0.1:1,2=%s", far[i]);
		ck_assert_int_eq(read_flag(flag), -EINVAL);
		said("--peer-plaintext");
		said(far[i]);
		ck_assert_int_eq(read_flags(peers, "--peer-listen=127.0.0.1:1",
					    NULL, NULL),
				 -EINVAL);
		said("--peer-plaintext");
		said(far[i]);
		ck_assert_int_eq(
			read_flags(peers, flag, "--peer-plaintext", NULL), 0);
	}
	ck_assert_int_eq(read_flags("--peer-listen=0.0.0.0:1", "--peer-cert=a",
				    "--peer-key=b", "--peer-ca=c"),
			 0);
	ck_assert_int_eq(read_flag("--peer-listen=127.1.2.3:1"), 0);
	ck_assert_int_eq(read_flag("--peer-listen=[::1]:1"), 0);
}
END_TEST

START_TEST(help_and_version_need_no_sane_environment)
{
	const char *const help[] = {"conclaved", "--help", NULL};
	const char *const version[] = {"conclaved", "--version", NULL};

	ck_assert_int_eq(config_read(&config, (char *const *)(uintptr_t)help,
				     no_environment, error),
			 0);
	ck_assert(config.help);
	ck_assert_int_eq(config_read(&config, (char *const *)(uintptr_t)version,
				     no_environment, error),
			 0);
	ck_assert(config.version);
}
END_TEST

START_TEST(help_names_every_option)
{
	static char text[8192];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	config_help(fds[1]);
	ck_assert_int_eq(close(fds[1]), 0);
	ssize_t size = read(fds[0], text, sizeof(text) - 1);
	ck_assert_int_gt(size, 0);
	text[size] = '\0';
	for (uint32_t i = 0; config_option_at(i); i++) {
		char flag[64];
		(void)snprintf(flag, sizeof(flag), "\n  --%s",
			       config_option_at(i)->name);
		ck_assert_msg(strstr(text, flag), "no %s", flag + 3);
	}
	(void)close(fds[0]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tests = tcase_create("config");

	tcase_add_test(tests, defaults_need_nothing);
	tcase_add_test(tests, cluster_names_the_default_paths);
	tcase_add_test(tests, a_value_may_follow_its_flag);
	tcase_add_test(tests, flags_win_over_environment_over_file);
	tcase_add_test(tests, the_environment_may_name_the_file);
	tcase_add_test(tests, a_wrong_line_is_named_with_file_and_number);
	tcase_add_test(tests, a_line_too_long_is_refused);
	tcase_add_test(tests, a_missing_file_is_named);
	tcase_add_test(tests, a_wrong_value_is_told_what_it_may_be);
	tcase_add_test(tests, a_path_too_long_for_a_socket_is_refused);
	tcase_add_test(tests, an_unknown_option_gets_a_suggestion);
	tcase_add_test(tests, what_is_no_option_is_refused);
	tcase_add_test(tests, a_missing_value_is_refused);
	tcase_add_test(tests, sizes_have_units);
	tcase_add_test(tests, allow_takes_users_and_groups);
	tcase_add_test(tests, peers_are_ids_and_addresses);
	tcase_add_test(tests, without_a_word_about_peers_a_member_is_alone);
	tcase_add_test(tests, wrong_peers_are_told_what_they_may_be);
	tcase_add_test(tests, options_that_need_each_other_say_so);
	tcase_add_test(tests, tls_is_whole_or_not_at_all);
	tcase_add_test(tests, plain_tcp_off_this_host_is_asked_for_by_name);
	tcase_add_test(tests, help_and_version_need_no_sane_environment);
	tcase_add_test(tests, help_names_every_option);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
