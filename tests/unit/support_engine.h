/*
 * A real disk under test, by either engine, in a folder of its own that is
 * removed at the end. Where io_uring is forbidden its tests are passed over,
 * and the program says so.
 */
#ifndef TESTS_UNIT_SUPPORT_ENGINE_H
#define TESTS_UNIT_SUPPORT_ENGINE_H

#include "wal/disk_engine.h"

#include <assert.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum engine_kind {
	ENGINE_PLAIN,
	ENGINE_URING,
	ENGINE_COUNT
};

struct engine {
	enum engine_kind kind;
	struct io_uring ring;
	struct disk *disk;
	char folder[512];
};

static inline void engine_open_again(struct engine *engine)
{
	struct io_uring *ring = NULL;

	if (engine->kind == ENGINE_URING)
		ring = &engine->ring;
	ck_assert_int_eq(disk_open(&engine->disk, engine->folder, ring), 0);
}

static inline void engine_open(struct engine *engine, int kind)
{
	const char *base = getenv("TMPDIR");

	memset(engine, 0, sizeof(*engine));
	engine->kind = (enum engine_kind)kind;
	snprintf(engine->folder, sizeof(engine->folder), "%s/conclave-XXXXXX",
		 base ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(engine->folder));
	if (kind == ENGINE_URING)
		ck_assert_int_eq(io_uring_queue_init(8, &engine->ring, 0), 0);
	engine_open_again(engine);
}

/* Enters the kernel until something has finished. */
static inline void engine_wait(struct engine *engine)
{
	struct pollfd poll_fd = {.events = POLLIN};
	struct io_uring_cqe *cqe;
	unsigned int head;
	unsigned int count = 0;

	if (disk_busy(engine->disk) == 0)
		return;
	disk_flush(engine->disk);
	if (engine->kind == ENGINE_PLAIN) {
		poll_fd.fd = disk_wait_fd(engine->disk);
		ck_assert_int_eq(poll(&poll_fd, 1, 30000), 1);
		return;
	}
	ck_assert_int_ge(io_uring_submit_and_wait(&engine->ring, 1), 0);
	io_uring_for_each_cqe(&engine->ring, head, cqe)
	{
		ck_assert(cqe->user_data & DISK_TAG);
		disk_complete(engine->disk, cqe->user_data, cqe->res);
		count++;
	}
	io_uring_cq_advance(&engine->ring, count);
}

static inline void engine_remove_files(const struct engine *engine)
{
	DIR *folder = opendir(engine->folder);
	struct dirent *entry;

	assert(folder);
	while ((entry = readdir(folder)))
		(void)unlinkat(dirfd(folder), entry->d_name, 0);
	closedir(folder);
}

static inline void engine_close(struct engine *engine)
{
	disk_close(engine->disk);
	if (engine->kind == ENGINE_URING)
		io_uring_queue_exit(&engine->ring);
	engine_remove_files(engine);
	ck_assert_int_eq(rmdir(engine->folder), 0);
}

/* How many engines can be tested here. */
static inline int engine_count(void)
{
	struct io_uring ring;
	int r = io_uring_queue_init(8, &ring, 0);

	if (r == 0) {
		io_uring_queue_exit(&ring);
		return ENGINE_COUNT;
	}
	printf("skip io_uring: refused here (%s)\n", strerror(-r));
	(void)fflush(stdout); /* or each test says it again */
	return ENGINE_URING;
}

#endif
