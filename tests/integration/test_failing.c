/*
 * A disk that fails under a running daemon: a file system in a sparse file,
 * under which the room is taken away, so that writes which were fine until
 * then end in EIO. Nothing is acknowledged any more, and the daemon ends with
 * the status for that. Needs root and a loop device.
 */
#include "tests/integration/support.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	IMAGE_SIZE = 48 << 20,
	PATH_ROOM = 192,
	PUTS = 100,
	LOG_FAILED = 4, /* the daemon's exit status */
};

static struct daemon_process daemon_;
static char output[SUPPORT_OUTPUT_MAX];
static char below[PATH_ROOM]; /* a tmpfs, where the image is */
static char image[PATH_ROOM + 16];
static char disk[PATH_ROOM]; /* the file system in the image */

static int command(const char *a, const char *b, const char *c, const char *d,
		   const char *e)
{
	const char *const arguments[] = {a, b, c, d, e, NULL};

	return support_run(arguments, output);
}

static bool skip(const char *why)
{
	printf("skip: %s\n", why);
	return false;
}

static bool make_disk(void)
{
	(void)snprintf(below, sizeof(below), "%s/below", support_folder());
	(void)snprintf(disk, sizeof(disk), "%s/disk", support_folder());
	(void)snprintf(image, sizeof(image), "%s/image", below);
	ck_assert(mkdir(below, 0755) == 0 || errno == EEXIST);
	ck_assert(mkdir(disk, 0755) == 0 || errno == EEXIST);
	/* Mounts of one's own go with the last process that sees them. */
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", below, "tmpfs", 0, "size=64m") < 0)
		return skip(strerror(errno));
	int fd = open(image, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, IMAGE_SIZE), 0);
	(void)close(fd);
	if (command("mkfs.ext4", "-q", "-F", image, NULL) != 0 ||
	    command("mount", "-o", "loop", image, disk) != 0)
		return skip(output);
	return true;
}

/* The image loses its blocks, and somebody else gets their room. */
static void take_room_away(void)
{
	static uint8_t page[1 << 16];
	char ballast[PATH_ROOM + 16];

	(void)snprintf(ballast, sizeof(ballast), "%s/ballast", below);
	int taken = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(taken, 0);
	int fd = open(image, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fallocate(fd,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   0, IMAGE_SIZE),
			 0);
	while (write(taken, page, sizeof(page)) > 0)
		;
	(void)close(fd);
	(void)close(taken);
}

static void fail_under(const char *engine)
{
	struct conclave_options options;
	struct conclave *handle = NULL;
	int status;

	if (!make_disk())
		return;
	daemon_.program = support_conclaved();
	daemon_.flags[0] = engine;
	daemon_.flags[1] = "--segment-size=4M";
	ck_assert_int_eq(daemon_process_start(&daemon_, disk), 0);
	conclave_options_init(&options);
	options.socket = daemon_.socket;
	options.timeout_ms = 2000;
	ck_assert_int_eq(conclave_open(&handle, &options), 0);
	ck_assert_int_eq(conclave_put(handle, "before", 6, "x", 1, NULL), 0);
	take_room_away();
	int code = 0;
	for (int i = 0; i < PUTS && code == 0; i++)
		code = conclave_put(handle, "after", 5, "x", 1, NULL);
	ck_assert_int_ne(code, 0);
	ck_assert_int_eq(conclave_error_kind(code), CONCLAVE_UNKNOWN);
	ck_assert_int_eq(waitpid(daemon_.pid, &status, 0), daemon_.pid);
	daemon_.pid = 0;
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), LOG_FAILED);
	conclave_close(handle);
	daemon_process_remove(&daemon_);
}

START_TEST(a_failed_write_ends_the_daemon_on_io_uring)
{
	if (support_has_uring())
		fail_under("--engine=io_uring");
}
END_TEST

START_TEST(a_failed_write_ends_the_daemon_on_the_plain_engine)
{
	fail_under("--engine=plain");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("failing");
	TCase *tests = tcase_create("failing");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_test(tests, a_failed_write_ends_the_daemon_on_io_uring);
	tcase_add_test(tests,
		       a_failed_write_ends_the_daemon_on_the_plain_engine);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
