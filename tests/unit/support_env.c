/*
 * The client's calls, counted and spoilt (support_env.h).
 */
#define CONCLAVE_SIM_ENV 1
#include "shm/env.h"

/* The real ones, under other names. */
#define cv_env_socket	    real_socket
#define cv_env_connect	    real_connect
#define cv_env_peer_uid	    real_peer_uid
#define cv_env_send	    real_send
#define cv_env_receive	    real_receive
#define cv_env_poll	    real_poll
#define cv_env_close	    real_close
#define cv_env_sealed_size  real_sealed_size
#define cv_env_map	    real_map
#define cv_env_memory	    real_memory
#define cv_env_unmap	    real_unmap
#define cv_env_futex_wait   real_futex_wait
#define cv_env_ring	    real_ring
#define cv_env_random	    real_random
#define cv_env_now	    real_now
#define cv_env_now_coarse   real_now_coarse
#define cv_env_boot_now	    real_boot_now
#define cv_env_sleep	    real_sleep
#define cv_env_relax	    real_relax
#define cv_env_cpus	    real_cpus
#define cv_env_uid	    real_uid
#define cv_env_variable	    real_variable
#define cv_env_gather	    real_gather
#define cv_env_gather_add   real_gather_add
#define cv_env_gather_clear real_gather_clear
#include "shm/env_linux.h"
#undef cv_env_socket
#undef cv_env_connect
#undef cv_env_peer_uid
#undef cv_env_send
#undef cv_env_receive
#undef cv_env_poll
#undef cv_env_close
#undef cv_env_sealed_size
#undef cv_env_map
#undef cv_env_memory
#undef cv_env_unmap
#undef cv_env_futex_wait
#undef cv_env_ring
#undef cv_env_random
#undef cv_env_now
#undef cv_env_now_coarse
#undef cv_env_boot_now
#undef cv_env_sleep
#undef cv_env_relax
#undef cv_env_cpus
#undef cv_env_uid
#undef cv_env_variable
#undef cv_env_gather
#undef cv_env_gather_add
#undef cv_env_gather_clear

#include <assert.h>
#include <pthread.h>

#include "tests/unit/support_env.h"
#include "tests/unit/support_peer.h"

enum {
	ENV_FDS = 64,
	ENV_MAPS = 64,
};

struct env_map {
	void *base;
	size_t size;
};

static uint64_t fail_countdown, touch_countdown;
static bool failed, share_maps, for_ever;
static int fds[ENV_FDS];
static uint32_t fd_count;
static struct env_map maps[ENV_MAPS];
static uint32_t map_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of these four */

void env_fail_nth(uint64_t n)
{
	fail_countdown = n;
	failed = false;
}

bool env_failed(void)
{
	return failed;
}

void env_die_at(uint64_t n)
{
	touch_countdown = n;
}

void env_share_maps(bool share)
{
	share_maps = share;
}

void env_sleep_for_ever(bool yes)
{
	for_ever = yes;
}

uint32_t env_open_fds(void)
{
	return fd_count;
}

uint32_t env_open_maps(void)
{
	return map_count;
}

static bool fails(void)
{
	if (fail_countdown == 0 || --fail_countdown != 0)
		return false;
	failed = true;
	return true;
}

void cv_env_touch(enum cv_touch kind)
{
	(void)kind;
	if (touch_countdown != 0 && --touch_countdown == 0)
		_exit(ENV_DIED);
}

/* ---- descriptors ---- */

static int keep_fd(int fd)
{
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&lock);
	assert(fd_count < ENV_FDS);
	fds[fd_count++] = fd;
	pthread_mutex_unlock(&lock);
	return fd;
}

void cv_env_close(int fd)
{
	uint32_t i;

	if (fd < 0)
		return;
	pthread_mutex_lock(&lock);
	for (i = 0; i < fd_count && fds[i] != fd; i++)
		;
	assert(i < fd_count); /* closed twice, or never opened */
	fds[i] = fds[--fd_count];
	real_close(fd);
	pthread_mutex_unlock(&lock);
}

int cv_env_socket(void)
{
	return fails() ? -EMFILE : keep_fd(real_socket());
}

int cv_env_connect(int fd, const char *path)
{
	return fails() ? -ECONNREFUSED : real_connect(fd, path);
}

int cv_env_peer_uid(int fd, uint32_t *ret_uid)
{
	return fails() ? -EINVAL : real_peer_uid(fd, ret_uid);
}

int cv_env_send(int fd, const void *bytes, size_t size)
{
	return fails() ? -EPIPE : real_send(fd, bytes, size);
}

int cv_env_receive(int fd, struct cv_env_message *message)
{
	uint32_t i;
	int status;

	if (fails())
		return -ECONNRESET;
	status = real_receive(fd, message);
	for (i = 0; status == 0 && i < message->fd_count; i++)
		(void)keep_fd(message->fds[i]);
	return status;
}

int cv_env_poll(int fd, int timeout_ms)
{
	return fails() ? -EINTR : real_poll(fd, timeout_ms);
}

void cv_env_ring(int eventfd)
{
	real_ring(eventfd);
}

int cv_env_gather(void)
{
	return fails() ? -EMFILE : keep_fd(real_gather());
}

int cv_env_gather_add(int gather, int fd)
{
	return fails() ? -ENOSPC : real_gather_add(gather, fd);
}

void cv_env_gather_clear(int gather)
{
	real_gather_clear(gather);
}

/* ---- memory ---- */

static void *keep_map(void *base, size_t size)
{
	if (base == NULL)
		return NULL;
	pthread_mutex_lock(&lock);
	assert(map_count < ENV_MAPS);
	maps[map_count].base = base;
	maps[map_count++].size = size;
	pthread_mutex_unlock(&lock);
	return base;
}

int64_t cv_env_sealed_size(int fd)
{
	return fails() ? -EPROTO : real_sealed_size(fd);
}

void *cv_env_map(int fd, size_t size, int writable)
{
	if (fails())
		return NULL;
	if (share_maps)
		return keep_map(peer_map_of(fd), size);
	return keep_map(real_map(fd, size, writable), size);
}

void *cv_env_memory(size_t size, int wiped)
{
	return fails() ? NULL : keep_map(real_memory(size, wiped), size);
}

void cv_env_unmap(void *base, size_t size)
{
	uint32_t i;

	if (base == NULL)
		return;
	pthread_mutex_lock(&lock);
	for (i = 0; i < map_count && maps[i].base != base; i++)
		;
	assert(i < map_count && maps[i].size == size);
	maps[i] = maps[--map_count];
	if (!peer_map_known(base))
		real_unmap(base, size);
	pthread_mutex_unlock(&lock);
}

/* ---- time and chance ---- */

int cv_env_futex_wait(const uint32_t *word, uint32_t value, uint64_t ns)
{
	int status;

	if (fails())
		return -EINTR;
	do {
		status = real_futex_wait(word, value, ns);
	} while (for_ever && status == -ETIMEDOUT);
	return status;
}

int cv_env_random(void *bytes, size_t size)
{
	return fails() ? -EIO : real_random(bytes, size);
}

uint64_t cv_env_now(void)
{
	return real_now();
}

uint64_t cv_env_now_coarse(void)
{
	return real_now_coarse();
}

uint64_t cv_env_boot_now(void)
{
	return real_boot_now();
}

int cv_env_sleep(uint64_t ns)
{
	return fails() ? -EINTR : real_sleep(ns);
}

void cv_env_relax(void)
{
	real_relax();
}

uint32_t cv_env_cpus(void)
{
	return real_cpus();
}

uint32_t cv_env_uid(void)
{
	return real_uid();
}

const char *cv_env_variable(const char *name)
{
	return real_variable(name);
}
