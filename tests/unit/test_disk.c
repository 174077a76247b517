/*
 * Both engines behind wal/disk.h, on a real file system, under the same
 * tests. The plain one calls pthread_create(), so ThreadSanitizer has
 * something to say about it.
 */
#include "tests/unit/support_engine.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
	PATTERN_BLOCKS = 8
};

static _Alignas(4096) uint8_t blocks[PATTERN_BLOCKS * DISK_BLOCK];
static _Alignas(4096) uint8_t other[PATTERN_BLOCKS * DISK_BLOCK];

static void fill(uint8_t *bytes, size_t size, uint8_t seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t)(seed + i * 7 + (i >> 9));
}

/* Submits one operation and waits for it. */
static int32_t run(struct engine *engine, struct disk_op *op)
{
	struct disk_op *done;

	disk_submit(engine->disk, op);
	ck_assert_uint_eq(disk_busy(engine->disk), 1);
	while (!(done = disk_reap(engine->disk)))
		engine_wait(engine);
	ck_assert_ptr_eq(done, op);
	ck_assert_uint_eq(disk_busy(engine->disk), 0);
	ck_assert_ptr_null(disk_reap(engine->disk));
	return op->result;
}

static int32_t run_file(struct engine *engine, uint8_t kind, int file,
			uint64_t offset, void *buffer)
{
	struct disk_op op = {.kind = kind, .file = file, .offset = offset};

	op.buffer = buffer;
	op.size = buffer ? sizeof(blocks) : 0;
	return run(engine, &op);
}

static int32_t run_name(struct engine *engine, uint8_t kind, const char *name,
			const char *new_name)
{
	struct disk_op op = {.kind = kind};

	snprintf(op.name, sizeof(op.name), "%s", name);
	snprintf(op.new_name, sizeof(op.new_name), "%s", new_name);
	return run(engine, &op);
}

START_TEST(what_is_written_is_read_back_through_every_door)
{
	struct engine engine;
	int file;

	engine_open(&engine, _i);
	file = run_name(&engine, DISK_CREATE, "a.tmp", "");
	ck_assert_int_ge(file, 0);
	fill(blocks, sizeof(blocks), 1);
	ck_assert_int_eq(run_file(&engine, DISK_WRITE, file, 0, blocks),
			 sizeof(blocks));
	fill(blocks, sizeof(blocks), 2);
	ck_assert_int_eq(run_file(&engine, DISK_WRITE_DURABLE, file,
				  sizeof(blocks), blocks),
			 sizeof(blocks));
	ck_assert_int_eq(run_file(&engine, DISK_SYNC, file, 0, NULL), 0);
	ck_assert_int_eq(run_name(&engine, DISK_RENAME, "a.tmp", "a"), 0);
	ck_assert_int_eq(run_name(&engine, DISK_SYNC_FOLDER, "", ""), 0);
	ck_assert_int_eq(
		run_file(&engine, DISK_READ, file, sizeof(blocks), other),
		sizeof(other));
	ck_assert_mem_eq(blocks, other, sizeof(other));
	fill(blocks, sizeof(blocks), 1);
	ck_assert_int_eq(
		disk_read_now(engine.disk, file, 0, other, sizeof(other)), 0);
	ck_assert_mem_eq(blocks, other, sizeof(other));
	ck_assert_int_eq(disk_size_now(engine.disk, file), 2 * sizeof(blocks));
	ck_assert_int_eq(run_file(&engine, DISK_CLOSE, file, 0, NULL), 0);
	ck_assert_int_eq(run_name(&engine, DISK_UNLINK, "a", ""), 0);
	ck_assert_int_eq(disk_open_now(engine.disk, "a", false), -ENOENT);
	engine_close(&engine);
}
END_TEST

START_TEST(errors_are_the_kernels)
{
	struct engine engine;
	int file;

	engine_open(&engine, _i);
	ck_assert_int_eq(run_name(&engine, DISK_UNLINK, "none", ""), -ENOENT);
	ck_assert_int_eq(run_name(&engine, DISK_RENAME, "none", "a"), -ENOENT);
	file = run_name(&engine, DISK_CREATE, "a", "");
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(run_name(&engine, DISK_CREATE, "a", ""), -EEXIST);
	/* Behind the end there is nothing to read. */
	ck_assert_int_eq(run_file(&engine, DISK_READ, file, 0, other), 0);
	ck_assert_int_eq(disk_read_now(engine.disk, file, 0, other, DISK_BLOCK),
			 -EIO);
	ck_assert_int_eq(disk_unlink_now(engine.disk, "none"), -ENOENT);
	ck_assert_int_eq(disk_rename_now(engine.disk, "none", "b"), -ENOENT);
	engine_close(&engine);
}
END_TEST

START_TEST(many_operations_at_once_all_come_back)
{
	static struct disk_op ops[DISK_OPS_MAX];
	struct engine engine;
	struct disk_op *op;
	uint64_t seen = 0;
	int file;
	int i;

	engine_open(&engine, _i);
	file = disk_open_now(engine.disk, "a", true);
	ck_assert_int_ge(file, 0);
	fill(blocks, sizeof(blocks), 9);
	for (i = 0; i < DISK_OPS_MAX; i++) {
		memset(&ops[i], 0, sizeof(ops[i]));
		ops[i].kind = i % 4 ? DISK_WRITE : DISK_WRITE_DURABLE;
		ops[i].file = file;
		ops[i].offset = (uint64_t)i * sizeof(blocks);
		ops[i].buffer = blocks;
		ops[i].size = sizeof(blocks);
		ops[i].tag = (uint64_t)i;
		disk_submit(engine.disk, &ops[i]);
	}
	while (disk_busy(engine.disk) > 0) {
		engine_wait(&engine);
		while ((op = disk_reap(engine.disk))) {
			ck_assert_int_eq(op->result, sizeof(blocks));
			ck_assert(!(seen & 1ull << op->tag));
			seen |= 1ull << op->tag;
		}
	}
	ck_assert(seen == UINT64_MAX);
	for (i = 0; i < DISK_OPS_MAX; i++) {
		ck_assert_int_eq(disk_read_now(engine.disk, file,
					       (uint64_t)i * sizeof(blocks),
					       other, sizeof(other)),
				 0);
		ck_assert_mem_eq(blocks, other, sizeof(other));
	}
	engine_close(&engine);
}
END_TEST

START_TEST(a_file_is_locked_while_it_is_open)
{
	struct engine engine;
	struct disk *second;
	int file;

	engine_open(&engine, _i);
	file = run_name(&engine, DISK_CREATE, "a", "");
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(disk_open(&second, engine.folder, NULL), 0);
	ck_assert_int_eq(disk_open_now(second, "a", false), -EWOULDBLOCK);
	disk_close_now(engine.disk, file);
	file = disk_open_now(second, "a", false);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(disk_open_now(engine.disk, "a", false), -EWOULDBLOCK);
	disk_close(second);
	ck_assert_int_ge(disk_open_now(engine.disk, "a", false), 0);
	engine_close(&engine);
}
END_TEST

START_TEST(descriptors_are_closed_on_exec_and_bypass_the_cache)
{
	struct engine engine;
	int file;
	int fd;

	engine_open(&engine, _i);
	file = run_name(&engine, DISK_CREATE, "a", "");
	fd = engine.disk->descriptors[file];
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(fd, F_GETFL) & O_DIRECT);
	disk_close_now(engine.disk, file);
	file = disk_open_now(engine.disk, "b", true);
	fd = engine.disk->descriptors[file];
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(fd, F_GETFL) & O_DIRECT);
	ck_assert(fcntl(engine.disk->folder, F_GETFD) & FD_CLOEXEC);
	engine_close(&engine);
}
END_TEST

START_TEST(names_are_listed_once_each)
{
	struct engine engine;
	char name[DISK_NAME_MAX];
	uint32_t position = 0;
	int seen = 0;
	int i;

	engine_open(&engine, _i);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		disk_close_now(engine.disk,
			       disk_open_now(engine.disk, name, true));
	}
	while (disk_list_now(engine.disk, &position, name) > 0) {
		ck_assert_int_eq(sscanf(name, "file-%d", &i), 1);
		ck_assert(!(seen & 1 << i));
		seen |= 1 << i;
	}
	ck_assert_int_eq(seen, (1 << 20) - 1);
	position = 0;
	ck_assert_int_eq(disk_list_now(engine.disk, &position, name), 1);
	engine_close(&engine);
}
END_TEST

START_TEST(a_folder_that_cannot_be_used_is_an_error)
{
	struct engine engine;
	struct disk *disk;
	char path[600];
	pid_t child;
	int status;

	engine_open(&engine, _i);
	snprintf(path, sizeof(path), "%s/none", engine.folder);
	ck_assert_int_eq(disk_open(&disk, path, NULL), -ENOENT);
	disk_close_now(engine.disk, disk_open_now(engine.disk, "none", true));
	ck_assert_int_eq(disk_open(&disk, path, NULL), -ENOTDIR);
	/* Root may read anything: ask as somebody else. */
	ck_assert_int_eq(chmod(engine.folder, 0), 0);
	child = fork();
	if (child == 0) {
		if (geteuid() == 0 && seteuid(65534) < 0)
			_exit(2);
		_exit(disk_open(&disk, engine.folder, NULL) == -EACCES ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(chmod(engine.folder, 0700), 0);
	engine_close(&engine);
}
END_TEST

START_TEST(the_boot_and_the_file_system_have_names)
{
	char id[DISK_BOOT_ID_SIZE];
	char again[DISK_BOOT_ID_SIZE];
	char name[DISK_FILESYSTEM_MAX];
	struct engine engine;

	engine_open(&engine, _i);
	ck_assert_int_eq(disk_boot_id_now(engine.disk, id), 0);
	ck_assert_int_eq(disk_boot_id_now(engine.disk, again), 0);
	ck_assert_uint_eq(strlen(id), DISK_BOOT_ID_SIZE - 1);
	ck_assert_str_eq(id, again);
	disk_filesystem(engine.disk, name);
	ck_assert_uint_gt(strlen(name), 0);
	engine_close(&engine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("disk");
	TCase *tests = tcase_create("engines");
	int engines = engine_count();
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests,
			    what_is_written_is_read_back_through_every_door, 0,
			    engines);
	tcase_add_loop_test(tests, errors_are_the_kernels, 0, engines);
	tcase_add_loop_test(tests, many_operations_at_once_all_come_back, 0,
			    engines);
	tcase_add_loop_test(tests, a_file_is_locked_while_it_is_open, 0,
			    engines);
	tcase_add_loop_test(tests,
			    descriptors_are_closed_on_exec_and_bypass_the_cache,
			    0, engines);
	tcase_add_loop_test(tests, names_are_listed_once_each, 0, engines);
	tcase_add_loop_test(tests, a_folder_that_cannot_be_used_is_an_error, 0,
			    engines);
	tcase_add_loop_test(tests, the_boot_and_the_file_system_have_names, 0,
			    engines);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
