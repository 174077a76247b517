/*
 * The plain engine, for hosts that forbid io_uring: exactly one thread does
 * what was submitted, in order, by plain system calls.
 *
 * Two words are shared by the two sides, and each is a list that is pushed
 * by one side and taken whole by the other, so no element is ever taken
 * twice and no node can come back under a stale pointer.
 *
 * Writers: `work` is pushed by the loop and emptied by the thread; `finished`
 *   the other way round. Operations belong to the side that took them.
 * Order: [D1] push of `work` makes the operation and the descriptor in it
 *   visible to the thread; [D2] push of `finished` makes its result and the
 *   buffer that was read visible to the loop.
 * Crash: both sides live and die in one process.
 * Trust: neither list is reachable from outside the process.
 *
 * Each side sleeps on an eventfd that counts pushes. The loop's is read only
 * to clear it: `unread` is what was taken from the list and not yet from the
 * counter, so a count that comes late is still read and the descriptor does
 * not stay readable for ever.
 */
#define _GNU_SOURCE
#include "wal/disk_engine.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct disk_plain {
	pthread_t thread;
	int folder;
	int work_fd; /* the thread sleeps here */
	int finished_fd; /* the loop sleeps here */
	int64_t unread; /* the loop's */
	struct disk_op stop;
	struct disk_op *work; /* shared, newest first */
	struct disk_op *finished; /* shared, newest first */
};

/* Reverses a list that was pushed newest first. */
static struct disk_op *disk_oldest_first(struct disk_op *op)
{
	struct disk_op *reversed = NULL;
	struct disk_op *next;

	for (; op; op = next) {
		next = op->next;
		op->next = reversed;
		reversed = op;
	}
	return reversed;
}

static void disk_push(struct disk_op **head, struct disk_op *op)
{
	struct disk_op *old = __atomic_load_n(head, __ATOMIC_RELAXED);

	do {
		op->next = old;
		/* [D1] [D2] release: the operation before the list's head */
	} while (!__atomic_compare_exchange_n(
		head, &old, op, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static struct disk_op *disk_take(struct disk_op **head)
{
	/* [D1] [D2] acquire: all that was pushed, with what is in it */
	return disk_oldest_first(
		__atomic_exchange_n(head, NULL, __ATOMIC_ACQUIRE));
}

static void disk_ring_bell(int descriptor)
{
	uint64_t one = 1;
	ssize_t count = write(descriptor, &one, sizeof(one));

	/* The counter would have to stand at 2^64 - 2 to refuse. */
	assert(count == (ssize_t)sizeof(one));
}

static void *disk_thread(void *argument)
{
	struct disk_plain *plain = argument;
	struct disk_op *op;
	struct disk_op *next;
	uint64_t count;

	for (;;) {
		if (read(plain->work_fd, &count, sizeof(count)) < 0)
			assert(errno == EINTR);
		for (op = disk_take(&plain->work); op; op = next) {
			next = op->next;
			if (op == &plain->stop)
				return NULL;
			/* `tag` is the caller's: the descriptor is in result */
			op->result =
				disk_perform(plain->folder, op->result, op);
			disk_push(&plain->finished, op);
			disk_ring_bell(plain->finished_fd);
		}
	}
}

static int disk_start_thread(struct disk_plain *plain)
{
	sigset_t all;
	sigset_t old;
	int r;

	/* Signals belong to the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&plain->thread, NULL, disk_thread, plain);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int disk_plain_start(struct disk *disk)
{
	struct disk_plain *plain = calloc(1, sizeof(*plain));
	int r;

	if (!plain)
		return -ENOMEM;
	plain->folder = disk->folder;
	plain->work_fd = eventfd(0, EFD_CLOEXEC);
	plain->finished_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = -EMFILE;
	if (plain->work_fd < 0 || plain->finished_fd < 0)
		goto out_close;
	r = disk_start_thread(plain);
	if (r < 0)
		goto out_close;
	disk->plain = plain;
	return 0;

out_close:
	if (plain->work_fd >= 0)
		close(plain->work_fd);
	if (plain->finished_fd >= 0)
		close(plain->finished_fd);
	free(plain);
	return r;
}

void disk_plain_stop(struct disk *disk)
{
	struct disk_plain *plain = disk->plain;

	disk_push(&plain->work, &plain->stop);
	disk_ring_bell(plain->work_fd);
	pthread_join(plain->thread, NULL);
	close(plain->work_fd);
	close(plain->finished_fd);
	free(plain);
	disk->plain = NULL;
}

void disk_plain_flush(struct disk *disk)
{
	struct disk_op *op;

	while ((op = disk_list_pop(&disk->queued))) {
		/* The table of files is the loop's; the thread gets the fd. */
		op->result = op->file >= 0 ? disk->descriptors[op->file] : -1;
		disk_push(&disk->plain->work, op);
	}
	disk_ring_bell(disk->plain->work_fd);
}

void disk_plain_collect(struct disk *disk)
{
	struct disk_plain *plain = disk->plain;
	struct disk_op *op;
	struct disk_op *next;
	uint64_t count;

	op = NULL;
	if (__atomic_load_n(&plain->finished, __ATOMIC_RELAXED))
		op = disk_take(&plain->finished);
	for (; op; op = next) {
		next = op->next;
		plain->unread++;
		disk_finish(disk, op, op->result);
	}
	if (plain->unread > 0 &&
	    read(plain->finished_fd, &count, sizeof(count)) > 0)
		plain->unread -= (int64_t)count;
}

int disk_plain_fd(const struct disk *disk)
{
	return disk->plain->finished_fd;
}
