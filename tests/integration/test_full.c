/*
 * A disk that is full: a small file system in a file. A daemon that has no
 * room to begin says so; one that runs out of it refuses writes, goes on
 * with all else, loses nothing, and takes writes again when there is room.
 * Needs root and a loop device.
 */
#include "tests/integration/support.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	IMAGE_SIZE = 96 << 20,
	VALUE_SIZE = 60 << 10,
	WRITES_MAX = 4096, /* far more than fit */
	PATH_ROOM = 192,
	RECOVER_TRIES = 60,
};

static struct daemon_process daemon_;
static char output[SUPPORT_OUTPUT_MAX];
static char mount_point[PATH_ROOM];
static uint8_t value[VALUE_SIZE];

static int command(const char *a, const char *b, const char *c, const char *d,
		   const char *e)
{
	const char *const arguments[] = {a, b, c, d, e, NULL};

	return support_run(arguments, output);
}

/* A mount of one's own goes with the last process that can see it. */
static bool have_own_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* False: this host cannot mount, and the test is not for it. */
static bool make_disk(void)
{
	char image[PATH_ROOM];

	if (!have_own_mounts()) {
		printf("skip: no mounts of one's own: %s\n", strerror(errno));
		return false;
	}
	(void)snprintf(image, sizeof(image), "%s/image", support_folder());
	(void)snprintf(mount_point, sizeof(mount_point), "%s/disk",
		       support_folder());
	ck_assert(mkdir(mount_point, 0755) == 0 || errno == EEXIST);
	/* The last test's may still be on its way out. */
	ck_assert(unlink(image) == 0 || errno == ENOENT);
	int fd = open(image, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, IMAGE_SIZE), 0);
	(void)close(fd);
	if (command("mkfs.ext4", "-q", "-F", image, NULL) != 0 ||
	    command("mount", "-o", "loop", image, mount_point) != 0) {
		printf("skip: no file system of one's own here: %s\n", output);
		return false;
	}
	return true;
}

static void ballast_path(char path[PATH_ROOM + 16])
{
	(void)snprintf(path, PATH_ROOM + 16, "%s/ballast", mount_point);
}

/* Takes `size` bytes of the disk away, or all of them. */
static void add_ballast(off_t size)
{
	char path[PATH_ROOM + 16];

	ballast_path(path);
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fallocate(fd, 0, size), 0);
	(void)close(fd);
}

static void drop_ballast(void)
{
	char path[PATH_ROOM + 16];

	ballast_path(path);
	ck_assert_int_eq(unlink(path), 0);
}

START_TEST(no_room_to_begin_is_said)
{
	char data[PATH_ROOM + 32];
	const char *socket = "--socket=/tmp/conclave-never.sock";

	if (!make_disk())
		return;
	add_ballast(70 << 20);
	(void)snprintf(data, sizeof(data), "--data=%s/data", mount_point);
	ck_assert_int_eq(command(support_conclaved(), data, socket, NULL, NULL),
			 5);
	ck_assert_msg(strstr(output, "no space for the first segments"), "%s",
		      output);
	ck_assert(strstr(output, data + 7));
	ck_assert(strstr(output, "next=\"make room"));
}
END_TEST

static int put(struct conclave *handle, uint32_t number)
{
	char key[32];
	size_t size = (size_t)snprintf(key, sizeof(key), "full/%u", number);

	memset(value, (int)number, sizeof(value));
	return conclave_put(handle, key, size, value, sizeof(value), NULL);
}

static void is_there(struct conclave *handle, uint32_t number)
{
	static uint8_t found[VALUE_SIZE];
	struct conclave_kv kv;
	char key[32];
	size_t size = (size_t)snprintf(key, sizeof(key), "full/%u", number);

	ck_assert_int_eq(
		conclave_get(handle, key, size, found, sizeof(found), &kv), 0);
	memset(value, (int)number, sizeof(value));
	ck_assert_mem_eq(found, value, sizeof(value));
}

static struct conclave *open_handle(void)
{
	struct conclave_options options;
	struct conclave *handle = NULL;

	conclave_options_init(&options);
	options.socket = daemon_.socket;
	options.proposal_size = 1 << 20;
	ck_assert_int_eq(conclave_open(&handle, &options), 0);
	return handle;
}

/* Writes until it is refused; how many went through. */
static uint32_t fill(struct conclave *handle)
{
	for (uint32_t i = 0; i < WRITES_MAX; i++) {
		int code = put(handle, i);
		if (code == CONCLAVE_ENOSPACE)
			return i;
		ck_assert_msg(code == 0, "write %u: %s", i,
			      conclave_strerror(code));
	}
	ck_abort_msg("the disk never became full");
	return 0;
}

static void run_full(const char *engine)
{
	uint64_t count = 0;
	struct cv_status status;

	if (!make_disk())
		return;
	add_ballast(50 << 20);
	daemon_.program = support_conclaved();
	daemon_.flags[0] = engine;
	daemon_.flags[1] = "--segment-size=4M";
	daemon_.flags[2] = NULL;
	ck_assert_int_eq(daemon_process_start(&daemon_, mount_point), 0);
	struct conclave *handle = open_handle();
	uint32_t written = fill(handle);
	ck_assert_uint_gt(written, 0);
	/* Reads, deletions and the status go on. */
	for (uint32_t i = 0; i < written; i++)
		is_there(handle, i);
	ck_assert_int_eq(conclave_status(handle, &status), 0);
	ck_assert(status.alarms & CV_ALARM_NOSPACE);
	ck_assert_int_eq(conclave_delete(handle, "full/0", 6, &count, NULL), 0);
	ck_assert_uint_eq(count, 1);
	/* Nothing is lost by a crash now. */
	daemon_process_kill(&daemon_);
	ck_assert_int_eq(daemon_process_again(&daemon_), 0);
	ck_assert_int_eq(daemon_process_wait(&daemon_), 0);
	for (uint32_t i = 1; i < written; i++)
		is_there(handle, i);
	/* With room again, writes go through. */
	drop_ballast();
	int code = CONCLAVE_ENOSPACE;
	for (int i = 0; i < RECOVER_TRIES && code == CONCLAVE_ENOSPACE; i++) {
		code = put(handle, written);
		if (code == CONCLAVE_ENOSPACE)
			(void)usleep(500000);
	}
	ck_assert_int_eq(code, 0);
	is_there(handle, written);
	conclave_close(handle);
	ck_assert_int_eq(daemon_process_stop(&daemon_), 0);
	daemon_process_remove(&daemon_);
}

START_TEST(a_full_disk_refuses_writes_and_keeps_the_rest_on_io_uring)
{
	if (support_has_uring())
		run_full("--engine=io_uring");
}
END_TEST

START_TEST(a_full_disk_refuses_writes_and_keeps_the_rest_on_the_plain_engine)
{
	run_full("--engine=plain");
}
END_TEST

static int snapshot(const char *what, const char *file, const char *flag)
{
	const char *program = getenv("CONCLAVECTL");
	const char *const arguments[] = {
		program ? program : "build/conclavectl",
		"snapshot",
		what,
		file,
		flag,
		"--cluster=again",
		"--member=1",
		NULL,
	};
	const char *const save[] = {arguments[0], "snapshot", what,
				    file,	  flag,	      NULL};

	return support_run(strcmp(what, "save") == 0 ? save : arguments,
			   output);
}

static void expect(int status, int wanted, const char *said)
{
	ck_assert_msg(status == wanted && strstr(output, said) != NULL,
		      "status %d: %s", status, output);
}

START_TEST(a_backup_for_which_there_is_no_room_leaves_nothing)
{
	char file[PATH_ROOM + 16], partial[PATH_ROOM + 32],
		data[PATH_ROOM + 32], flag[DAEMON_PATH_MAX + 16];
	struct conclave *handle;
	uint32_t i;

	if (!make_disk())
		return;
	(void)snprintf(file, sizeof(file), "%s/backup", mount_point);
	(void)snprintf(data, sizeof(data), "--data=%s/data", mount_point);
	daemon_.program = support_conclaved();
	daemon_.flags[0] = NULL;
	ck_assert_int_eq(daemon_process_start(&daemon_, support_folder()), 0);
	(void)snprintf(flag, sizeof(flag), "--socket=%s", daemon_.socket);
	handle = open_handle();
	for (i = 0; i < 60; i++)
		ck_assert_int_eq(put(handle, i), 0);
	conclave_close(handle);

	add_ballast(80 << 20);
	expect(snapshot("save", file, flag), 1, "No space left");
	(void)snprintf(partial, sizeof(partial), "%s.partial", file);
	ck_assert_int_ne(access(file, F_OK), 0);
	ck_assert_int_ne(access(partial, F_OK), 0);
	drop_ballast();
	expect(snapshot("save", file, flag), 0, "saved");

	/* Nor does a restore; and no empty log is begun in its stead. */
	add_ballast(40 << 20);
	expect(snapshot("restore", file, data), 1, "the disk is full");
	ck_assert_int_ne(access(data + 7, F_OK), 0);
	ck_assert_int_eq(command(support_conclaved(), data, NULL, NULL, NULL),
			 3);
	drop_ballast();
	expect(snapshot("restore", file, data), 0, "60 keys");
	daemon_process_remove(&daemon_);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("full");
	TCase *tests = tcase_create("full");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_test(tests, no_room_to_begin_is_said);
	tcase_add_test(
		tests,
		a_full_disk_refuses_writes_and_keeps_the_rest_on_io_uring);
	tcase_add_test(
		tests,
		a_full_disk_refuses_writes_and_keeps_the_rest_on_the_plain_engine);
	tcase_add_test(tests,
		       a_backup_for_which_there_is_no_room_leaves_nothing);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
