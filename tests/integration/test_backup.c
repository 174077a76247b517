/*
 * Backups of a real cluster: what was acknowledged before one began is in it,
 * a new cluster that is made of it has the same keys and agrees with itself,
 * whoever was a client of the old one is told so, and what is damaged, or
 * would do damage, is refused.
 */
#include "tests/integration/support_cluster.h"

#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/conclave.h"

enum {
	ALL = (1 << DAEMON_MEMBERS) - 1,
	WARM_UP = 200, /* writes before a backup begins */
	WORDS_MAX = 16,
	EXIT_REFUSED = 3,
	EXIT_DAMAGED = 6,
	NAME_SIZE = 64,
	BIG_SIZE = 60000,
};

static struct daemon_cluster again; /* the new cluster */
static char output[SUPPORT_OUTPUT_MAX];
static char file[DAEMON_PATH_MAX];

/* What a child that writes has had acknowledged, and where. */
static volatile uint64_t *acknowledged;

static void remove_again(void)
{
	daemon_cluster_remove(&again);
}

static void set_up(void)
{
	struct daemon_cluster *daemons = cluster_daemons();

	cluster_be_tidy();
	daemons->flags[0] = "--heartbeat-ms=50";
	daemons->flags[1] = "--election-ms=500";
	again = (struct daemon_cluster){
		.program = support_conclaved(),
		.name = "again",
		.flags = {daemons->flags[0], daemons->flags[1]},
	};
	ck_assert_int_eq(atexit(remove_again), 0);
	(void)snprintf(file, sizeof(file), "%.200s/backup-%d", support_folder(),
		       (int)getpid());
	acknowledged = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(acknowledged != MAP_FAILED);
}

/* Runs conclavectl; its exit status. */
static int ctl(const char *const *words)
{
	const char *program = getenv("CONCLAVECTL");
	const char *all[WORDS_MAX] = {program ? program : "build/conclavectl"};
	int i;

	for (i = 0; words[i]; i++)
		all[i + 1] = words[i];
	all[i + 1] = NULL;
	return support_run(all, output);
}

#define CTL(...) ctl((const char *const[]){__VA_ARGS__, NULL})

static void expect(int status, int wanted, const char *said)
{
	ck_assert_msg(status == wanted, "status %d: %s", status, output);
	ck_assert_msg(strstr(output, said) != NULL, "'%s' is not in: %s", said,
		      output);
}

static uint64_t number_of(const char *name)
{
	char key[NAME_SIZE];
	const char *at;

	(void)snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(output, key);
	ck_assert_msg(at != NULL, "no %s in %s", name, output);
	return strtoull(at + strlen(key), NULL, 10);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* ---- writing meanwhile ---- */

static size_t load_key(uint64_t number, char key[NAME_SIZE])
{
	return (size_t)snprintf(key, NAME_SIZE, "load/%" PRIu64, number);
}

static void write_for_ever(const char *socket)
{
	struct conclave_options options;
	struct conclave *c;
	char key[NAME_SIZE];
	uint64_t number;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	conclave_options_init(&options);
	options.socket = socket;
	if (conclave_open(&c, &options) != 0)
		_exit(1);
	for (number = 1;; number++) {
		size_t size = load_key(number, key);
		if (conclave_put(c, key, size, key, size, NULL) != 0)
			_exit(1);
		*acknowledged = number;
	}
}

static pid_t begin_load(uint32_t member)
{
	const char *socket = cluster_daemons()->members[member].socket;
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0)
		write_for_ever(socket);
	while (*acknowledged < WARM_UP)
		cluster_rest(deadline_ms);
	return child;
}

static void end_load(pid_t child)
{
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/* All that was acknowledged before is there, and nothing is left out. */
static void check_load(struct conclave *c, uint64_t least)
{
	char key[NAME_SIZE], value[NAME_SIZE];
	struct conclave_kv kv;
	uint64_t number;
	size_t size;
	int code;

	for (number = 1;; number++) {
		size = load_key(number, key);
		code = conclave_get(c, key, size, value, sizeof(value), &kv);
		if (code == CONCLAVE_ENOTFOUND)
			break;
		ck_assert_int_eq(code, 0);
		ck_assert_uint_eq(kv.value_size, size);
		ck_assert_mem_eq(value, key, size);
		ck_assert_uint_eq(kv.version, 1);
	}
	ck_assert_uint_gt(number, least);
}

/* ---- the new cluster ---- */

static struct conclave *open_at(const char *socket)
{
	struct conclave_options options;
	struct conclave *c;

	conclave_options_init(&options);
	options.socket = socket;
	options.open_wait_ms = PATIENCE_MS;
	options.timeout_ms = PATIENCE_MS;
	ck_assert_int_eq(conclave_open(&c, &options), 0);
	return c;
}

static int restore(uint32_t i, const char *name, const char *more)
{
	char id[NAME_SIZE];

	(void)snprintf(id, sizeof(id), "%u", i + 1);
	return CTL("snapshot", "restore", file, "--data", again.members[i].data,
		   "--cluster", name, "--member", id, again.own[i][3], more);
}

static void restore_all(void)
{
	uint32_t i;

	ck_assert_int_eq(daemon_cluster_prepare(&again, support_folder()), 0);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		expect(restore(i, "again", "--write-out=json"), 0, "\"keys\":");
}

/* All three have applied the same, and are the same. */
static void check_agreement(struct conclave *const c[DAEMON_MEMBERS])
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;
	struct cv_state states[DAEMON_MEMBERS];
	uint32_t i, same;

	do {
		same = 0;
		for (i = 0; i < DAEMON_MEMBERS; i++) {
			ck_assert_int_eq(conclave_state(c[i], &states[i]), 0);
			same += states[i].applied == states[0].applied;
		}
		cluster_rest(deadline_ms);
	} while (same < DAEMON_MEMBERS);
	for (i = 1; i < DAEMON_MEMBERS; i++)
		ck_assert_mem_eq(&states[i], &states[0], sizeof(states[0]));
}

/* Every key of one cluster at a revision is that of the other now. */
static uint64_t compare_keys(struct conclave *then, uint64_t revision,
			     struct conclave *now)
{
	struct conclave_range range = {
		.key = "", .end = "", .key_size = 1, .end_size = 1};
	struct conclave_pages old_pages, new_pages;
	struct conclave_kv was, is;
	uint64_t count = 0;

	ck_assert_int_eq(conclave_range_begin(now, &range, &new_pages), 0);
	range.revision = revision;
	ck_assert_int_eq(conclave_range_begin(then, &range, &old_pages), 0);
	while (conclave_range_next(&old_pages, &was) == 1) {
		ck_assert_int_eq(conclave_range_next(&new_pages, &is), 1);
		ck_assert_uint_eq(is.key_size, was.key_size);
		ck_assert_mem_eq(is.key, was.key, was.key_size);
		ck_assert_uint_eq(is.value_size, was.value_size);
		ck_assert_mem_eq(is.value, was.value, was.value_size);
		ck_assert_uint_eq(is.create_revision, was.create_revision);
		ck_assert_uint_eq(is.mod_revision, was.mod_revision);
		ck_assert_uint_eq(is.version, was.version);
		count++;
	}
	ck_assert_int_eq(conclave_range_next(&new_pages, &is), 0);
	conclave_range_end(&old_pages);
	conclave_range_end(&new_pages);
	return count;
}

START_TEST(a_backup_under_load_is_a_new_cluster_with_every_key)
{
	struct conclave *c[DAEMON_MEMBERS];
	uint64_t least, revision, keys;
	uint32_t i, leader;
	pid_t load;

	cluster_start();
	leader = cluster_leader(ALL);
	cluster_put(leader, "k", "one");
	cluster_put(leader, "k", "two");
	load = begin_load(leader);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_fly(i);
	least = *acknowledged;
	/* From one that does not lead: it too has all by then. */
	expect(CTL("snapshot", "save", file, "--socket",
		   cluster_daemons()->members[(leader + 1) % 3].socket),
	       0, "saved");
	end_load(load);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		cluster_settle(i);

	expect(CTL("snapshot", "status", file, "-w", "json"), 0,
	       "\"cluster\":\"demo\"");
	revision = number_of("revision");
	keys = number_of("keys");
	ck_assert_uint_ge(keys, least + 1);
	restore_all();
	ck_assert_int_eq(daemon_cluster_run(&again), 0);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		c[i] = open_at(again.members[i].socket);
	ck_assert_uint_eq(compare_keys(cluster_client(0), revision, c[0]),
			  keys);
	check_load(c[1], least);
	ck_assert_int_eq(conclave_put(c[2], "new", 3, "x", 1, NULL), 0);
	ck_assert_uint_gt(conclave_revision(c[2]),
			  conclave_revision(cluster_client(0)));
	check_agreement(c);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		conclave_close(c[i]);
}
END_TEST

/* The new cluster takes the place of the old one, socket and all. */
static void take_places(void)
{
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t i;

	for (i = 0; i < DAEMON_MEMBERS; i++) {
		cluster_kill(i);
		memcpy(again.members[i].socket, daemons->members[i].socket,
		       sizeof(again.members[i].socket));
	}
	ck_assert_int_eq(daemon_cluster_run(&again), 0);
}

START_TEST(clients_of_the_old_cluster_go_on_with_new_sessions)
{
	struct conclave_range range = {
		.key = "k", .key_size = 1, .page_size = 4096};
	struct conclave_pages pages;
	uint8_t old_session[16], new_session[16];
	uint64_t seen;
	int code;

	cluster_start();
	(void)cluster_leader(ALL);
	cluster_put(0, "k", "saved");
	expect(CTL("snapshot", "save", file, "--socket",
		   cluster_daemons()->members[0].socket),
	       0, "saved");
	cluster_put(0, "k", "lost");
	cluster_put(0, "gone", "lost");
	seen = conclave_revision(cluster_client(0));
	conclave_session_id(cluster_client(0), old_session);
	restore_all();
	take_places();

	/* It is not told "not applied" of anything, nor shown a revision
	 * that it was shown before. */
	cluster_check(0, "k", "saved");
	ck_assert_uint_gt(conclave_revision(cluster_client(0)), seen);
	code = conclave_get(cluster_client(0), "gone", 4, NULL, 0, NULL);
	ck_assert_int_eq(code, CONCLAVE_ENOTFOUND);
	range.revision = seen;
	code = conclave_range_begin(cluster_client(0), &range, &pages);
	ck_assert_int_eq(code, CONCLAVE_ECOMPACTED);
	cluster_put(0, "k", "again");
	cluster_check(0, "k", "again");
	conclave_session_id(cluster_client(0), new_session);
	ck_assert_mem_ne(old_session, new_session, 16);
}
END_TEST

/* ---- damage ---- */

static void write_copy(const char *path, const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	ck_assert_int_eq(close(fd), 0);
}

static void expect_damaged(const uint8_t *bytes, size_t size)
{
	char bad[DAEMON_PATH_MAX], data[DAEMON_PATH_MAX];

	(void)snprintf(bad, sizeof(bad), "%.200s/bad", support_folder());
	(void)snprintf(data, sizeof(data), "%.200s/none", support_folder());
	write_copy(bad, bytes, size);
	expect(CTL("snapshot", "status", bad), EXIT_DAMAGED,
	       "use another backup");
	expect(CTL("snapshot", "restore", bad, "--data", data, "--cluster",
		   "again", "--member", "1"),
	       EXIT_DAMAGED, bad);
	ck_assert(!is_there(data));
}

/* A backup of a few chunks, from a daemon that stands alone. */
static uint8_t *make_backup(struct daemon_process *one, size_t *ret_size)
{
	static char value[BIG_SIZE];
	struct conclave *c;
	char key[NAME_SIZE];
	struct stat status;
	uint8_t *bytes;
	int i, fd;

	one->program = support_conclaved();
	ck_assert_int_eq(daemon_process_start(one, support_folder()), 0);
	c = open_at(one->socket);
	for (i = 0; i < 10; i++) {
		memset(value, 'a' + i, sizeof(value));
		ck_assert_int_eq(conclave_put(c, key, load_key(i, key), value,
					      BIG_SIZE, NULL),
				 0);
	}
	for (i = 0; i < 30; i++)
		ck_assert_int_eq(conclave_put(c, key, load_key(i, key), value,
					      BIG_SIZE, NULL),
				 0);
	conclave_close(c);
	expect(CTL("snapshot", "save", file, "--socket", one->socket), 0,
	       "saved");
	fd = open(file, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &status), 0);
	*ret_size = (size_t)status.st_size;
	bytes = malloc(*ret_size);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_int_eq(read(fd, bytes, *ret_size), status.st_size);
	(void)close(fd);
	return bytes;
}

START_TEST(what_is_cut_short_or_changed_is_no_backup)
{
	static const uint64_t places[] = {
		20, 600, 1200, 4096 + 20, 4096 + 70, (1 << 20) + 4096 + 100};
	struct daemon_process one = {.pid = 0};
	size_t size, cut;
	uint8_t *bytes = make_backup(&one, &size);
	uint32_t i;

	ck_assert_uint_gt(size, 2 << 20);
	for (cut = 0; cut < size; cut += size / 7)
		expect_damaged(bytes, cut);
	expect_damaged(bytes, 4096);
	expect_damaged(bytes, size - 4096);
	expect_damaged(bytes, size - 1);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		bytes[places[i]] ^= 4;
		expect_damaged(bytes, size);
		bytes[places[i]] ^= 4;
	}
	bytes[size - 4096 + 50] ^= 4;
	expect_damaged(bytes, size);
	free(bytes);
	daemon_process_remove(&one);
}
END_TEST

START_TEST(what_would_do_harm_is_refused)
{
	struct daemon_process one = {.pid = 0};
	char none[DAEMON_PATH_MAX], partial[DAEMON_PATH_MAX];
	size_t size;
	uint8_t *bytes = make_backup(&one, &size);

	(void)snprintf(none, sizeof(none), "%.200s/none", support_folder());
	(void)snprintf(partial, sizeof(partial), "%.220s.partial", none);
	expect(CTL("snapshot", "save", file, "--socket", one.socket),
	       EXIT_REFUSED, "--force");
	expect(CTL("snapshot", "save", file, "--force", "--socket", one.socket),
	       0, "saved");
	expect(CTL("snapshot", "save", "--data", one.data, file, "--force"),
	       EXIT_REFUSED, "a running daemon owns it");
	expect(CTL("snapshot", "restore", file, "--data", one.data, "--cluster",
		   "again", "--member", "1"),
	       EXIT_REFUSED, "is not empty");
	expect(CTL("snapshot", "restore", file, "--data", none, "--cluster",
		   "default", "--member", "1"),
	       EXIT_REFUSED, "choose a name that was never used");
	expect(CTL("snapshot", "restore", file, "--data", none, "--cluster",
		   "again", "--member", "1", "--peers=2=h:1"),
	       EXIT_REFUSED, "does not name member 1");
	ck_assert(!is_there(none));
	ck_assert(!is_there(partial));
	free(bytes);
	daemon_process_remove(&one);
}
END_TEST

START_TEST(a_restore_that_was_interrupted_is_done_again)
{
	struct daemon_process one = {.pid = 0};
	char none[DAEMON_PATH_MAX], partial[DAEMON_PATH_MAX],
		left[DAEMON_PATH_MAX], flag[DAEMON_PATH_MAX];
	size_t size;
	uint8_t *bytes = make_backup(&one, &size);

	(void)snprintf(none, sizeof(none), "%.180s/none", support_folder());
	(void)snprintf(partial, sizeof(partial), "%.190s.partial", none);
	(void)snprintf(left, sizeof(left), "%.200s/meta", partial);
	(void)snprintf(flag, sizeof(flag), "--data=%.200s", none);
	ck_assert_int_eq(mkdir(partial, 0750), 0);
	write_copy(left, bytes, 4096);
	/* A daemon does not begin an empty log in its stead. */
	expect(support_run(
		       (const char *const[]){support_conclaved(), flag, NULL},
		       output),
	       3, "was not finished");
	ck_assert(!is_there(none));
	expect(CTL("snapshot", "restore", file, "--data", none, "--cluster",
		   "again", "--member", "1"),
	       0, "30 keys");
	ck_assert(is_there(none));
	ck_assert(!is_there(partial));
	free(bytes);
	daemon_process_remove(&one);
}
END_TEST

/* ---- a lost majority ---- */

START_TEST(what_the_survivor_had_outlives_a_lost_majority)
{
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t leader, survivor, i;
	struct conclave *c;
	uint64_t least;
	pid_t load;

	cluster_start();
	leader = cluster_leader(ALL);
	survivor = (leader + 1) % DAEMON_MEMBERS;
	cluster_put(survivor, "k", "v");
	load = begin_load(survivor);
	for (i = 0; i < DAEMON_MEMBERS; i++)
		if (i != survivor)
			cluster_kill(i);
	end_load(load);
	/* What was acknowledged there was applied there. */
	least = *acknowledged;
	daemon_process_remove(&daemons->members[leader]);
	cluster_kill(survivor);
	expect(CTL("snapshot", "save", "--data",
		   daemons->members[survivor].data, file),
	       0, "WARNING");

	again.ports[survivor] = daemons->ports[survivor];
	ck_assert_int_eq(daemon_cluster_prepare(&again, support_folder()), 0);
	(void)snprintf(again.own[survivor][3], DAEMON_FLAG_MAX,
		       "--peers=%u=127.0.0.1:%u", survivor + 1,
		       again.ports[survivor]);
	expect(restore(survivor, "again", NULL), EXIT_REFUSED,
	       "--accept-data-loss");
	expect(restore(survivor, "again", "--accept-data-loss"), 0, "restored");
	ck_assert_int_eq(daemon_process_again(&again.members[survivor]), 0);
	ck_assert_int_eq(daemon_process_wait(&again.members[survivor]), 0);
	c = open_at(again.members[survivor].socket);
	check_load(c, least);
	ck_assert_int_eq(conclave_put(c, "new", 3, "x", 1, NULL), 0);
	conclave_close(c);

	/* An old member that comes back is not let in. */
	i = 3 - leader - survivor;
	cluster_again(i);
	cluster_await_said(daemons->members[i].log,
			   "a member of another cluster answers there");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("backup");
	TCase *tests = tcase_create("backup");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests,
		       a_backup_under_load_is_a_new_cluster_with_every_key);
	tcase_add_test(tests,
		       clients_of_the_old_cluster_go_on_with_new_sessions);
	tcase_add_test(tests, what_is_cut_short_or_changed_is_no_backup);
	tcase_add_test(tests, what_would_do_harm_is_refused);
	tcase_add_test(tests, a_restore_that_was_interrupted_is_done_again);
	tcase_add_test(tests, what_the_survivor_had_outlives_a_lost_majority);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
