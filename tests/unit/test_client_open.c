/*
 * Connecting: where the daemon is looked for, who is trusted, what a welcome
 * may not say, and what becomes of a handle in a child.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "shm/conclave.h"
#include "tests/unit/support_peer.h"

static struct peer *peer;
static struct conclave *c;
static struct conclave_options options;

static void setup(void)
{
	peer = peer_new(NULL);
	conclave_options_init(&options);
	options.socket = peer_path(peer);
	options.timeout_ms = 20000;
}

static void teardown(void)
{
	peer_free(peer);
}

/* Opens; a handle that was not meant to be is closed. */
static int try_open(void)
{
	int status = conclave_open(&c, &options);

	if (status == 0)
		conclave_close(c);
	return status;
}

START_TEST(defaults_are_asked_for_with_zeros)
{
	peer_start(peer);
	ck_assert_int_eq(conclave_open(&c, &options), 0);
	ck_assert_uint_eq(conclave_slots(c), CV_SLOTS_DEFAULT);
	ck_assert_uint_eq(c->proposals.size, CV_RING_DEFAULT);
	ck_assert_uint_eq(c->request_max, CV_REQUEST_DEFAULT);
	ck_assert_uint_eq(c->timeout_ns, 20000 * (uint64_t)CV_MS);
	conclave_close(c);
	options.timeout_ms = 0;
	ck_assert_int_eq(conclave_open(&c, &options), 0);
	/* Five seconds and two election timeouts. */
	ck_assert_uint_eq(c->timeout_ns, 7000 * (uint64_t)CV_MS);
	conclave_close(c);
	ck_assert_uint_eq(peer_counts(peer).welcomes, 2);
}
END_TEST

START_TEST(a_larger_geometry_is_given_on_request)
{
	static uint8_t value[CV_REQUEST_MAX - 1], back[CV_REQUEST_MAX - 1];
	struct conclave_kv kv;

	peer_start(peer);
	options.slots = CV_SLOTS_MAX;
	options.proposal_size = CV_RING_MAX;
	options.reply_size = CV_REPLY_MAX;
	options.request_max = CV_REQUEST_MAX;
	ck_assert_int_eq(conclave_open(&c, &options), 0);
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 31);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(
			conclave_put(c, "k", 1, value, sizeof(value), NULL), 0);
	ck_assert_int_eq(conclave_get(c, "k", 1, back, sizeof(back), &kv), 0);
	ck_assert_int_eq(memcmp(value, back, sizeof(value)), 0);
	conclave_close(c);
}
END_TEST

START_TEST(closing_says_goodbye)
{
	peer_start(peer);
	ck_assert_int_eq(try_open(), 0);
	while (peer_counts(peer).byes == 0)
		peer_set_hold(peer, 0);
	conclave_close(NULL);
}
END_TEST

/* ---- where ---- */

START_TEST(no_daemon_is_said_at_once)
{
	options.socket = "/nonexistent/socket";
	ck_assert_int_eq(try_open(), CONCLAVE_ESTOPPED);
	peer_kill(peer);
	options.socket = peer_path(peer);
	ck_assert_int_eq(try_open(), CONCLAVE_ESTOPPED);
	peer_restart(peer);
}
END_TEST

static void *start_again(void *unused)
{
	(void)unused;
	peer_restart(peer);
	return NULL;
}

START_TEST(a_daemon_that_comes_is_waited_for)
{
	pthread_t thread;

	peer_kill(peer);
	options.open_wait_ms = 20000;
	ck_assert_int_eq(pthread_create(&thread, NULL, start_again, NULL), 0);
	ck_assert_int_eq(try_open(), 0);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_daemon_that_does_not_greet_is_not_waited_for_for_ever)
{
	peer_set_hold(peer, PEER_HOLD_WELCOME);
	peer_start(peer);
	options.timeout_ms = 50;
	ck_assert_int_eq(try_open(), CONCLAVE_ESTOPPED);
}
END_TEST

static void *start_it(void *unused)
{
	(void)unused;
	peer_start(peer);
	return NULL;
}

START_TEST(a_daemon_that_is_busy_is_waited_for)
{
	int sockets[64], count = 0, i;
	pthread_t thread;

	/* Nobody accepts: the backlog is full after a while. */
	do {
		ck_assert_int_lt(count, 64);
		sockets[count] = cv_env_socket();
		ck_assert_int_ge(sockets[count], 0);
	} while (cv_env_connect(sockets[count++], peer_path(peer)) == 0);
	options.timeout_ms = 20;
	ck_assert_int_eq(try_open(), CONCLAVE_ESTOPPED);
	options.timeout_ms = 20000;
	ck_assert_int_eq(pthread_create(&thread, NULL, start_it, NULL), 0);
	ck_assert_int_eq(try_open(), 0);
	pthread_join(thread, NULL);
	for (i = 0; i < count; i++)
		cv_env_close(sockets[i]);
}
END_TEST

START_TEST(the_environment_names_the_socket)
{
	peer_start(peer);
	options.socket = NULL;
	setenv("CONCLAVE_SOCKET", peer_path(peer), 1);
	ck_assert_int_eq(try_open(), 0);
	unsetenv("CONCLAVE_SOCKET");
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	options.cluster = "there-is-none";
	ck_assert_int_eq(try_open(), CONCLAVE_ESTOPPED);
}
END_TEST

START_TEST(the_cluster_names_the_socket)
{
	char folder[] = "/tmp/client-open-XXXXXX", path[108], inner[64];
	struct peer *other;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(inner, sizeof(inner), "%s/conclave", folder);
	ck_assert_int_eq(mkdir(inner, 0700), 0);
	snprintf(path, sizeof(path), "%s/unit-test.sock", inner);
	other = peer_new(path);
	peer_start(other);
	unsetenv("CONCLAVE_SOCKET");
	setenv("XDG_RUNTIME_DIR", folder, 1);
	options.socket = NULL;
	options.cluster = "unit-test";
	ck_assert_int_eq(try_open(), 0);
	peer_free(other);
	rmdir(inner);
	rmdir(folder);
}
END_TEST

START_TEST(a_path_that_cannot_be_is_refused)
{
	char path[200];

	memset(path, 'x', sizeof(path));
	path[199] = 0;
	options.socket = path;
	ck_assert_int_eq(try_open(), -ENAMETOOLONG);
	options.socket = NULL;
	unsetenv("CONCLAVE_SOCKET");
	options.cluster = "../../etc/passwd";
	ck_assert_int_eq(try_open(), -EINVAL);
	options.cluster = path;
	ck_assert_int_eq(try_open(), -ENAMETOOLONG);
}
END_TEST

/* ---- who ---- */

enum {
	NOBODY = 65534,
};

START_TEST(a_daemon_of_another_user_is_not_trusted)
{
	struct peer *other;

	/* The kernel remembers who listened. Needs root to be two users. */
	if (geteuid() != 0)
		return;
	setenv("TMPDIR", "/tmp", 1);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	other = peer_new("/tmp/client-open-nobody.sock");
	ck_assert_int_eq(seteuid(0), 0);
	peer_start(other);
	options.socket = peer_path(other);
	ck_assert_int_eq(try_open(), CONCLAVE_EUNTRUSTED);
	ck_assert_uint_eq(peer_counts(other).welcomes, 0);
	options.flags = CONCLAVE_TRUST_UID;
	options.trusted_uid = NOBODY - 1;
	ck_assert_int_eq(try_open(), CONCLAVE_EUNTRUSTED);
	options.trusted_uid = NOBODY;
	ck_assert_int_eq(try_open(), 0);
	peer_free(other);
}
END_TEST

START_TEST(a_socket_without_permission_is_said_to_be_one)
{
	if (geteuid() != 0)
		return;
	peer_start(peer);
	ck_assert_int_eq(chmod(peer_path(peer), 0700), 0);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	ck_assert_int_eq(try_open(), CONCLAVE_EPERM);
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* ---- what a welcome may not say ---- */

enum where {
	WELCOME,
	UP,
	DOWN,
};

struct spoil {
	enum where where;
	size_t offset;
	size_t size;
	uint64_t value;
	int expected;
};

#define IN_WELCOME(field)                            \
	WELCOME, offsetof(struct cv_welcome, field), \
		sizeof(((struct cv_welcome *)0)->field)
#define IN_UP(field)                           \
	UP, offsetof(struct cv_header, field), \
		sizeof(((struct cv_header *)0)->field)
#define IN_DOWN(field)                           \
	DOWN, offsetof(struct cv_header, field), \
		sizeof(((struct cv_header *)0)->field)

static const struct spoil spoils[] = {
	{IN_WELCOME(magic), 1, CONCLAVE_EPROTO},
	{IN_WELCOME(size), 255, CONCLAVE_EPROTO},
	{IN_WELCOME(status), 1, CONCLAVE_EPROTO},
	{IN_WELCOME(abi_major), CV_ABI_MAJOR + 1, CONCLAVE_EVERSION},
	{IN_WELCOME(slots), 0, CONCLAVE_EPROTO},
	{IN_WELCOME(slots), CV_SLOTS_MAX + 1, CONCLAVE_EPROTO},
	{IN_WELCOME(slots), CV_SLOTS_DEFAULT + 1, CONCLAVE_EPROTO},
	{IN_WELCOME(request_max), CV_REQUEST_MAX + 1, CONCLAVE_EPROTO},
	{IN_WELCOME(request_max), CV_RING_DEFAULT / 2, CONCLAVE_EPROTO},
	{IN_WELCOME(request_max), 100, CONCLAVE_EPROTO},
	{IN_WELCOME(proposal_size), CV_RING_DEFAULT - 64, CONCLAVE_EPROTO},
	{IN_WELCOME(proposal_size), 0, CONCLAVE_EPROTO},
	{IN_WELCOME(proposal_size), CV_RING_DEFAULT * 2, CONCLAVE_EPROTO},
	{IN_WELCOME(control_size), CV_RING_DEFAULT / 2, CONCLAVE_EPROTO},
	{IN_WELCOME(control_size), (uint32_t)1 << 31, CONCLAVE_EPROTO},
	{IN_WELCOME(proposal_offset), 0, CONCLAVE_EPROTO},
	{IN_WELCOME(proposal_offset), 512, CONCLAVE_EPROTO},
	{IN_WELCOME(proposal_offset), UINT32_MAX - 63, CONCLAVE_EPROTO},
	{IN_WELCOME(control_offset), 2561, CONCLAVE_EPROTO},
	{IN_WELCOME(control_offset), 2560 + 64, CONCLAVE_EPROTO},
	{IN_WELCOME(reply_offset), 0, CONCLAVE_EPROTO},
	{IN_WELCOME(reply_offset), UINT32_MAX, CONCLAVE_EPROTO},
	{IN_WELCOME(reply_size), CV_REPLY_MAX + 1, CONCLAVE_EPROTO},
	{IN_WELCOME(reply_size), CV_REPLY_DEFAULT + 1, CONCLAVE_EPROTO},
	{IN_WELCOME(reply_size), 0, CONCLAVE_EPROTO},
	{IN_WELCOME(event_offset), 512, CONCLAVE_EPROTO},
	{IN_WELCOME(event_size), 64, CONCLAVE_EPROTO},
	{IN_WELCOME(up_size), 4096, CONCLAVE_EPROTO},
	{IN_WELCOME(up_size), (uint64_t)1 << 39, CONCLAVE_EPROTO},
	{IN_WELCOME(up_size), UINT64_MAX, CONCLAVE_EPROTO},
	{IN_WELCOME(down_size), 4096, CONCLAVE_EPROTO},
	{IN_WELCOME(down_size), UINT64_MAX, CONCLAVE_EPROTO},
	{IN_WELCOME(status_size), 64, CONCLAVE_EPROTO},
	{IN_WELCOME(status_size), 1 << 20, CONCLAVE_EPROTO},
	{IN_WELCOME(incarnation), 77, CONCLAVE_EPROTO},
	{IN_UP(magic), CV_MAGIC_DOWN, CONCLAVE_EPROTO},
	{IN_UP(abi_major), 9, CONCLAVE_EPROTO},
	{IN_UP(header_size), 128, CONCLAVE_EPROTO},
	{IN_UP(incarnation), 77, CONCLAVE_EPROTO},
	{IN_UP(size), 1, CONCLAVE_EPROTO},
	{IN_UP(slots), 1, CONCLAVE_EPROTO},
	{IN_UP(request_max), 1, CONCLAVE_EPROTO},
	{IN_UP(proposal_offset), 1, CONCLAVE_EPROTO},
	{IN_UP(proposal_size), 1, CONCLAVE_EPROTO},
	{IN_UP(control_offset), 1, CONCLAVE_EPROTO},
	{IN_UP(control_size), 1, CONCLAVE_EPROTO},
	{IN_DOWN(magic), CV_MAGIC_UP, CONCLAVE_EPROTO},
	{IN_DOWN(size), 1, CONCLAVE_EPROTO},
	{IN_DOWN(reply_offset), 1, CONCLAVE_EPROTO},
	{IN_DOWN(reply_size), 1, CONCLAVE_EPROTO},
	{IN_DOWN(event_offset), 1, CONCLAVE_EPROTO},
	{IN_DOWN(event_size), 1, CONCLAVE_EPROTO},
};

static void spoil_one(struct cv_welcome *welcome, uint8_t *up, uint8_t *down,
		      void *context)
{
	const struct spoil *spoil = context;
	uint8_t *base = (uint8_t *)welcome;

	if (spoil->where == UP)
		base = up;
	else if (spoil->where == DOWN)
		base = down;
	memcpy(base + spoil->offset, &spoil->value, spoil->size);
}

START_TEST(an_impossible_welcome_is_refused)
{
	struct spoil spoil = spoils[_i];

	peer_set_spoil(peer, spoil_one, &spoil);
	peer_start(peer);
	ck_assert_int_eq(try_open(), spoil.expected);
	peer_set_spoil(peer, NULL, NULL);
	ck_assert_int_eq(try_open(), 0);
}
END_TEST

START_TEST(a_welcome_of_the_wrong_size_is_refused)
{
	static const uint32_t sizes[][2] = {
		{100, CV_FD_COUNT}, {255, CV_FD_COUNT}, {257, CV_FD_COUNT},
		{512, CV_FD_COUNT}, {256, 0},		{256, 4},
		{256, 6},	    {256, 9},
	};

	peer_start(peer);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		peer_set_message(peer, sizes[i][0], sizes[i][1]);
		ck_assert_int_eq(try_open(), CONCLAVE_EPROTO);
	}
	peer_set_message(peer, CV_MESSAGE_SIZE, CV_FD_COUNT);
	ck_assert_int_eq(try_open(), 0);
}
END_TEST

START_TEST(what_the_daemon_refuses_with_is_returned)
{
	static const int32_t refusals[] = {CONCLAVE_EPERM, CONCLAVE_ETOOMANY,
					   CONCLAVE_EVERSION, CONCLAVE_EBADREQ};

	peer_start(peer);
	for (size_t i = 0; i < 4; i++) {
		peer_set_refusal(peer, refusals[i]);
		ck_assert_int_eq(try_open(), refusals[i]);
	}
}
END_TEST

START_TEST(a_daemon_that_comes_back_smaller_is_not_used)
{
	struct spoil spoil = {IN_WELCOME(slots), 100, 0};

	options.timeout_ms = 100;
	peer_start(peer);
	ck_assert_int_eq(conclave_open(&c, &options), 0);
	peer_kill(peer);
	peer_set_spoil(peer, spoil_one, &spoil);
	peer_restart(peer);
	while (conclave_link_error(c) != CONCLAVE_EPROTO)
		ck_assert_int_lt(conclave_ping(c, NULL), 0);
	peer_set_spoil(peer, NULL, NULL);
	/* Each try is short; one of them finds it. */
	while (conclave_ping(c, NULL) != 0)
		;
	conclave_close(c);
}
END_TEST

/* ---- children ---- */

static int in_child(struct conclave_req *req)
{
	struct conclave_result result;
	struct conclave_req *any;
	struct cv_status status;
	int timeout_ms;

	if (conclave_put(c, "k", 1, "v", 1, NULL) != CONCLAVE_EFORKED ||
	    conclave_ping(c, NULL) != CONCLAVE_EFORKED ||
	    conclave_get_req(c) != NULL || conclave_next(c) != NULL ||
	    conclave_submit(c, req) != CONCLAVE_EFORKED ||
	    conclave_wait(c, req, 0) != CONCLAVE_EFORKED ||
	    conclave_poll(c, req) != CONCLAVE_EFORKED ||
	    conclave_cancel(c, req) != CONCLAVE_EFORKED ||
	    conclave_peek(c, req, &result) != CONCLAVE_EFORKED ||
	    conclave_finish(c, req, &result) != CONCLAVE_EFORKED ||
	    conclave_wait_any(c, 0, &any) != CONCLAVE_EFORKED ||
	    conclave_arm(c, &timeout_ms) != CONCLAVE_EFORKED ||
	    conclave_eventfd(c) != CONCLAVE_EFORKED ||
	    conclave_status(c, &status) != CONCLAVE_EFORKED)
		return 1;
	conclave_flush(c);
	conclave_abandon(c, req);
	conclave_close(c);
	return 0;
}

START_TEST(a_child_is_told_and_the_parent_goes_on)
{
	struct conclave_req *req;
	int status;
	pid_t child;

	peer_start(peer);
	ck_assert_int_eq(conclave_open(&c, &options), 0);
	req = conclave_get_req(c);
	conclave_prep_put(req, "k", 1, "v", 1);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(in_child(req));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(conclave_finish(c, req, NULL), 0);
	ck_assert_int_eq(conclave_put(c, "l", 1, "v", 1, NULL), 0);
	ck_assert_uint_eq(peer_counts(peer).byes, 0);
	ck_assert_uint_eq(peer_counts(peer).welcomes, 1);
	conclave_close(c);
}
END_TEST

START_TEST(a_child_may_open_its_own)
{
	int status;
	pid_t child;

	peer_start(peer);
	ck_assert_int_eq(conclave_open(&c, &options), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		conclave_close(c);
		_exit(conclave_open(&c, &options) != 0 ||
		      conclave_put(c, "k", 1, "v", 1, NULL) != 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(conclave_ping(c, NULL), 0);
	conclave_close(c);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("client_open");
	TCase *t = tcase_create("open");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, defaults_are_asked_for_with_zeros);
	tcase_add_test(t, a_larger_geometry_is_given_on_request);
	tcase_add_test(t, closing_says_goodbye);
	tcase_add_test(t, no_daemon_is_said_at_once);
	tcase_add_test(t, a_daemon_that_comes_is_waited_for);
	tcase_add_test(t,
		       a_daemon_that_does_not_greet_is_not_waited_for_for_ever);
	tcase_add_test(t, a_daemon_that_is_busy_is_waited_for);
	tcase_add_test(t, the_environment_names_the_socket);
	tcase_add_test(t, the_cluster_names_the_socket);
	tcase_add_test(t, a_path_that_cannot_be_is_refused);
	tcase_add_test(t, a_daemon_of_another_user_is_not_trusted);
	tcase_add_test(t, a_socket_without_permission_is_said_to_be_one);
	tcase_add_loop_test(t, an_impossible_welcome_is_refused, 0,
			    sizeof(spoils) / sizeof(spoils[0]));
	tcase_add_test(t, a_welcome_of_the_wrong_size_is_refused);
	tcase_add_test(t, what_the_daemon_refuses_with_is_returned);
	tcase_add_test(t, a_daemon_that_comes_back_smaller_is_not_used);
	tcase_add_test(t, a_child_is_told_and_the_parent_goes_on);
	tcase_add_test(t, a_child_may_open_its_own);
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
