/*
 * The seam of the client (shm/env.h) on Linux. Nothing here knows what the
 * calls are for.
 */
#ifndef SHM_ENV_LINUX_H
#define SHM_ENV_LINUX_H

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shm/env.h"

/* What headers without _GNU_SOURCE, or older ones, do not say. */
enum cv_linux {
	CV_LINUX_GET_SEALS = 1024 + 10,
	CV_LINUX_SEAL_SHRINK = 2,
	CV_LINUX_DONTFORK = 10,
	CV_LINUX_WIPEONFORK = 18,
	CV_LINUX_CPU_WORDS = 128, /* 8,192 CPUs */
};

struct cv_linux_peer {
	int32_t pid;
	uint32_t uid;
	uint32_t gid;
};

static inline int cv_env_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);

	return fd < 0 ? -errno : fd;
}

static inline int cv_env_connect(int fd, const char *path)
{
	struct sockaddr_un address;
	size_t size = strlen(path);

	if (size >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memset(&address, 0, sizeof(address));
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path, path, size);
	if (connect(fd, (const struct sockaddr *)(const void *)&address,
		    sizeof(address)) != 0)
		return -errno;
	return 0;
}

static inline int cv_env_peer_uid(int fd, uint32_t *ret_uid)
{
	struct cv_linux_peer peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return -errno;
	if (size != sizeof(peer))
		return -EPROTO;
	*ret_uid = peer.uid;
	return 0;
}

static inline int cv_env_send(int fd, const void *bytes, size_t size)
{
	ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

	if (sent < 0)
		return -errno;
	return (size_t)sent == size ? 0 : -EIO;
}

static inline void cv_env_take_fds(struct cv_env_message *message,
				   struct msghdr *head)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(head);
	size_t count, i;
	int fd;

	for (; part != NULL; part = CMSG_NXTHDR(head, part)) {
		if (part->cmsg_level != SOL_SOCKET ||
		    part->cmsg_type != SCM_RIGHTS)
			continue;
		count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int),
			       sizeof(int));
			if (message->fd_count < CV_ENV_FDS)
				message->fds[message->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

static inline int cv_env_receive(int fd, struct cv_env_message *message)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CV_ENV_FDS * sizeof(int))];
	} control;
	struct msghdr head;
	struct iovec part;
	ssize_t size;

	part.iov_base = message->bytes;
	part.iov_len = message->size;
	memset(&head, 0, sizeof(head));
	head.msg_iov = &part;
	head.msg_iovlen = 1;
	head.msg_control = &control;
	head.msg_controllen = sizeof(control);
	message->fd_count = 0;
	size = recvmsg(fd, &head, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (size < 0)
		return -errno;
	cv_env_take_fds(message, &head);
	if ((head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) {
		message->size = (size_t)size;
		return 0;
	}
	while (message->fd_count > 0)
		close(message->fds[--message->fd_count]);
	return -EMSGSIZE;
}

static inline int cv_env_poll(int fd, int timeout_ms)
{
	struct pollfd item;
	int count, ready = 0;

	item.fd = fd;
	item.events = POLLIN;
	item.revents = 0;
	count = poll(&item, 1, timeout_ms);
	if (count < 0)
		return -errno;
	if ((item.revents & POLLIN) != 0)
		ready |= CV_ENV_READABLE;
	if ((item.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
		ready |= CV_ENV_HUNG_UP;
	return ready;
}

static inline void cv_env_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

static inline int64_t cv_env_sealed_size(int fd)
{
	struct stat status;
	int seals = fcntl(fd, CV_LINUX_GET_SEALS);

	if (seals < 0 || (seals & CV_LINUX_SEAL_SHRINK) == 0)
		return -EPROTO;
	if (fstat(fd, &status) != 0)
		return -errno;
	return status.st_size;
}

static inline void *cv_env_map(int fd, size_t size, int writable)
{
	int access = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *base = mmap(NULL, size, access, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (madvise(base, size, CV_LINUX_DONTFORK) == 0)
		return base;
	munmap(base, size);
	return NULL;
}

static inline void *cv_env_memory(size_t size, int wiped)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (!wiped || madvise(base, size, CV_LINUX_WIPEONFORK) == 0)
		return base;
	munmap(base, size);
	return NULL;
}

static inline void cv_env_unmap(void *base, size_t size)
{
	if (base != NULL)
		munmap(base, size);
}

static inline int cv_env_futex_wait(const uint32_t *word, uint32_t value,
				    uint64_t ns)
{
	struct timespec limit;

	limit.tv_sec = (time_t)(ns / 1000000000u);
	limit.tv_nsec = (long)(ns % 1000000000u);
	if (syscall(SYS_futex, word, FUTEX_WAIT, value, &limit, NULL, 0) == 0)
		return 0;
	return -errno;
}

static inline void cv_env_ring(int eventfd)
{
	uint64_t one = 1;
	ssize_t written = write(eventfd, &one, sizeof(one));

	/* A counter that is full has rung; nothing else can be done here. */
	(void)written;
}

static inline int cv_env_random(void *bytes, size_t size)
{
	ssize_t got;

	do {
		got = getrandom(bytes, size, 0);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	return (size_t)got == size ? 0 : -EIO;
}

static inline uint64_t cv_env_clock(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t cv_env_now(void)
{
	return cv_env_clock(CLOCK_MONOTONIC);
}

static inline uint64_t cv_env_now_coarse(void)
{
	return cv_env_clock(CLOCK_MONOTONIC_COARSE);
}

static inline uint64_t cv_env_boot_now(void)
{
	return cv_env_clock(CLOCK_BOOTTIME);
}

static inline int cv_env_sleep(uint64_t ns)
{
	struct timespec length;

	length.tv_sec = (time_t)(ns / 1000000000u);
	length.tv_nsec = (long)(ns % 1000000000u);
	return nanosleep(&length, NULL) == 0 ? 0 : -errno;
}

#if defined(__x86_64__) || defined(__i386__)
static inline void cv_env_relax(void)
{
	__builtin_ia32_pause();
}
#else
static inline void cv_env_relax(void)
{
	__asm__ __volatile__("" ::: "memory");
}
#endif

static inline uint32_t cv_env_cpus(void)
{
	unsigned long words[CV_LINUX_CPU_WORDS];
	long size, i;
	int count = 0;

	size = syscall(SYS_sched_getaffinity, 0, sizeof(words), words);
	for (i = 0; i < size / (long)sizeof(words[0]); i++)
		count += __builtin_popcountl(words[i]);
	return count > 0 ? (uint32_t)count : 1;
}

static inline uint32_t cv_env_uid(void)
{
	return (uint32_t)geteuid();
}

static inline const char *cv_env_variable(const char *name)
{
	return getenv(name);
}

static inline int cv_env_gather(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int cv_env_gather_add(int gather, int fd)
{
	struct epoll_event event;

	memset(&event, 0, sizeof(event));
	event.events = EPOLLIN | EPOLLET;
	return epoll_ctl(gather, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static inline void cv_env_gather_clear(int gather)
{
	struct epoll_event events[2];
	int count = epoll_wait(gather, events, 2, 0);

	/* At most two can be there; what was missed shows once more. */
	(void)count;
}

#endif
