/*
 * Hosts that forbid io_uring, as the default profiles of containers do: a
 * filter of system calls that answers EPERM, or ENOSYS, is put around the
 * daemon. It runs on the plain engine then, says so, and works.
 */
#include "tests/integration/support.h"

#include <check.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	IO_URING_SETUP = 425, /* the same number everywhere */
};

static struct daemon_process daemon_;
static char output[SUPPORT_OUTPUT_MAX];

/* Whoever is executed from here on has no io_uring. */
static int forbid(uint32_t error)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IO_URING_SETUP, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {
		.len = sizeof(program) / sizeof(program[0]),
		.filter = program,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		return -errno;
	return 0;
}

static void remove_daemon(void)
{
	daemon_process_remove(&daemon_);
}

/* Each test is a process of its own, and ends here, passed or not. */
static void be_tidy(void)
{
	ck_assert_int_eq(atexit(remove_daemon), 0);
}

/* The test itself lives behind the filter, and each test is a process. */
static void works_without(uint32_t error)
{
	struct conclave_options options;
	struct conclave *handle = NULL;
	char found[8] = "";

	ck_assert_int_eq(forbid(error), 0);
	ck_assert_int_eq(syscall(IO_URING_SETUP, 1, NULL), -1);
	ck_assert_int_eq(errno, error);
	daemon_.program = support_conclaved();
	daemon_.flags[0] = "--segment-size=4M";
	ck_assert_int_eq(daemon_process_start(&daemon_, support_folder()), 0);
	conclave_options_init(&options);
	options.socket = daemon_.socket;
	ck_assert_int_eq(conclave_open(&handle, &options), 0);
	ck_assert_int_eq(conclave_put(handle, "key", 3, "value", 5, NULL), 0);
	struct conclave_kv kv;
	ck_assert_int_eq(
		conclave_get(handle, "key", 3, found, sizeof(found), &kv), 0);
	ck_assert_mem_eq(found, "value", 5);
	conclave_close(handle);
	ck_assert_int_eq(daemon_process_stop(&daemon_), 0);
}

START_TEST(io_uring_forbidden_with_eperm_means_plain)
{
	works_without(EPERM);
}
END_TEST

START_TEST(io_uring_forbidden_with_enosys_means_plain)
{
	works_without(ENOSYS);
}
END_TEST

/* The daemon says which engine it took, and why. */
START_TEST(the_choice_is_logged_with_its_reason)
{
	char run[DAEMON_PATH_MAX] = "/tmp/conclave-run-XXXXXX";
	char flag[DAEMON_PATH_MAX + 16];

	ck_assert_int_eq(forbid(EPERM), 0);
	ck_assert_ptr_nonnull(mkdtemp(run));
	/* A file where the folder should be ends it soon after. */
	const char *const arguments[] = {support_conclaved(),
					 "--data=/dev/null", flag, NULL};
	(void)snprintf(flag, sizeof(flag), "--socket=%s/sock", run);
	ck_assert_int_eq(support_run(arguments, output), 5);
	(void)rmdir(run);
	ck_assert_msg(strstr(output, "msg=\"engine chosen\" engine=plain "
				     "why=\"io_uring is forbidden"),
		      "%s", output);
	ck_assert(strstr(output, "kernel.io_uring_disabled"));
}
END_TEST

START_TEST(io_uring_asked_for_and_forbidden_is_an_error)
{
	ck_assert_int_eq(forbid(EPERM), 0);
	const char *const arguments[] = {
		support_conclaved(), "--engine=io_uring", "--data=/dev/null",
		"--socket=/tmp/conclave-none.sock", NULL};
	ck_assert_int_eq(support_run(arguments, output), 5);
	ck_assert_msg(strstr(output, "msg=\"no engine\""), "%s", output);
	ck_assert(strstr(output, "next=\"start with --engine=plain\""));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("forbidden");
	TCase *tests = tcase_create("forbidden");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, be_tidy, NULL);
	tcase_add_test(tests, io_uring_forbidden_with_eperm_means_plain);
	tcase_add_test(tests, io_uring_forbidden_with_enosys_means_plain);
	tcase_add_test(tests, the_choice_is_logged_with_its_reason);
	tcase_add_test(tests, io_uring_asked_for_and_forbidden_is_an_error);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
