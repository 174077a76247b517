/*
 * A byte of a stopped daemon's log goes bad: in a cluster it comes back whole,
 * from who leads, or where nobody can, from any that has it; alone it does not
 * start.
 */
#include "tests/integration/support_cluster.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	ALL = (1 << DAEMON_MEMBERS) - 1,
	PUTS = 20,
	EXIT_DAMAGED = 3,
};

static void set_up(void)
{
	struct daemon_cluster *daemons = cluster_daemons();

	cluster_be_tidy();
	daemons->engines[0] = "--engine=auto";
	daemons->engines[1] = "--engine=plain";
	daemons->engines[2] = "--engine=auto";
	daemons->flags[0] = "--heartbeat-ms=50";
	daemons->flags[1] = "--election-ms=500";
}

static void make_key(uint32_t number, char key[16])
{
	(void)snprintf(key, 16, "key-%06u", number);
}

static void put_all(uint32_t i)
{
	char key[16];
	uint32_t number;

	for (number = 0; number < PUTS; number++) {
		make_key(number, key);
		cluster_put(i, key, key);
	}
}

static void check_all(uint32_t i)
{
	char key[16];
	uint32_t number;

	for (number = 0; number < PUTS; number++) {
		make_key(number, key);
		cluster_check(i, key, key);
	}
}

/* Flips a bit of the first `text` in a file; false: there is none. */
static bool damage_file(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat status;
	uint8_t *bytes, *at;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &status), 0);
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd, 0);
	ck_assert(bytes != MAP_FAILED);
	at = memmem(bytes, (size_t)status.st_size, text, strlen(text));
	if (at)
		at[0] ^= 1;
	ck_assert_int_eq(munmap(bytes, (size_t)status.st_size), 0);
	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(close(fd), 0);
	return at != NULL;
}

/* The entry that put this key is bad in the daemon's log. */
static void damage(const struct daemon_process *daemon, uint32_t number)
{
	char key[16], path[2 * DAEMON_PATH_MAX];
	DIR *folder = opendir(daemon->data);
	struct dirent *file;
	bool found = false;

	make_key(number, key);
	ck_assert_ptr_nonnull(folder);
	while ((file = readdir(folder)) && !found) {
		if (strncmp(file->d_name, "segment", 7) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", daemon->data,
			       file->d_name);
		found = damage_file(path, key);
	}
	ck_assert(found);
	(void)closedir(folder);
}

static void await_whole(uint32_t i)
{
	const struct daemon_process *daemon = &cluster_daemons()->members[i];
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;

	cluster_await_said(daemon->log, "up to where it is damaged");
	check_all(i); /* what is read now is of the daemon that came back */
	while (cluster_status(i).alarms & CV_ALARM_DAMAGED)
		cluster_rest(deadline_ms);
	check_all(i);
}

START_TEST(a_member_whose_log_is_damaged_comes_back_whole)
{
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t i;

	cluster_start();
	put_all(cluster_leader(ALL));
	for (i = 0; i < DAEMON_MEMBERS; i++) {
		cluster_kill(i);
		damage(&daemons->members[i], i * (PUTS - 1) / 2);
		cluster_again(i);
		await_whole(i);
	}
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_kill(i);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_again(i);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		check_all(i);
}
END_TEST

START_TEST(two_of_three_that_are_damaged_come_back_whole)
{
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t i;

	cluster_start();
	put_all(cluster_leader(ALL));
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_await_applied(i, conclave_revision(cluster_client(
						 cluster_leader(ALL))));
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_kill(i);
	damage(&daemons->members[0], 3);
	damage(&daemons->members[2], 11);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_again(i);
	await_whole(0);
	await_whole(2);
	ck_assert_uint_eq(cluster_leader(ALL), 1);
}
END_TEST

START_TEST(two_that_are_damaged_in_different_places_need_no_third)
{
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t i;

	cluster_start();
	put_all(cluster_leader(ALL));
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_await_applied(i, conclave_revision(cluster_client(
						 cluster_leader(ALL))));
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_kill(i);
	damage(&daemons->members[0], 3);
	damage(&daemons->members[1], 11);
	for (i = 0; i < 2; i++)
		cluster_again(i);
	for (i = 0; i < 2; i++)
		await_whole(i);
	ck_assert(cluster_said(daemons->members[0].log, "was written anew") ||
		  cluster_said(daemons->members[1].log, "was written anew"));
	/* Then it is as if nothing had been. */
	cluster_put(0, "key-more", "more");
	for (i = 0; i < 2; i++)
		cluster_kill(i);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_again(i);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		check_all(i);
	cluster_check(2, "key-more", "more");
}
END_TEST

START_TEST(a_member_that_stands_alone_does_not_start_with_damage)
{
	struct daemon_process daemon = {.program = support_conclaved()};
	struct conclave_options options;
	struct conclave *client;

	ck_assert_int_eq(daemon_process_start(&daemon, support_folder()), 0);
	conclave_options_init(&options);
	options.socket = daemon.socket;
	ck_assert_int_eq(conclave_open(&client, &options), 0);
	ck_assert_int_eq(conclave_put(client, "key-000000", 10, "v", 1, NULL),
			 0);
	conclave_close(client);
	ck_assert_int_eq(daemon_process_stop(&daemon), 0);
	damage(&daemon, 0);
	ck_assert_int_eq(daemon_process_again(&daemon), 0);
	ck_assert_int_eq(daemon_process_wait(&daemon), -ECHILD);
	daemon_process_remove(&daemon);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("damaged");
	TCase *tests = tcase_create("damaged");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, a_member_whose_log_is_damaged_comes_back_whole);
	tcase_add_test(tests, two_of_three_that_are_damaged_come_back_whole);
	tcase_add_test(tests,
		       two_that_are_damaged_in_different_places_need_no_third);
	tcase_add_test(tests,
		       a_member_that_stands_alone_does_not_start_with_damage);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
