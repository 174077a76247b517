/*
 * One client's socket, memory and descriptors.
 */
#include "daemon/handle.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	PEER_PIDFD = 77, /* SO_PEERPIDFD, since 6.5 */
};

void handle_init(struct handle *handle)
{
	memset(handle, 0, sizeof(*handle));
	handle->socket = -1;
	handle->process = -1;
	handle->bell = -1;
	handle->chime = -1;
	handle->chime_out = -1;
	handle->socket_watch = -1;
	handle->process_watch = -1;
	handle->bell_watch = -1;
	handle->node_handle = -1;
	handle->up.fd = -1;
	handle->down.fd = -1;
}

/*
 * The process that connected. By number it may be another by now, whose
 * death would then end this handle too early: the socket is looked at after,
 * by the watch on it, so a peer that had died before is found dead.
 */
static int process_of(int connection, uint32_t pid)
{
	socklen_t size = sizeof(int);
	int process = -1;

	if (getsockopt(connection, SOL_SOCKET, PEER_PIDFD, &process, &size) ==
	    0)
		return process;
	if (pid == 0)
		return -1;
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

void handle_arrive(struct handle *handle, int connection,
		   const struct listen_peer *who)
{
	assert(handle->state == HANDLE_FREE);
	assert(connection >= 0);
	handle->state = HANDLE_ARRIVED;
	handle->socket = connection;
	handle->process = process_of(connection, who->pid);
	handle->who = *who;
	handle->refusal = who->allowed ? 0 : CONCLAVE_EPERM;
}

int handle_equip(struct handle *handle)
{
	const struct cv_welcome *welcome = &handle->welcome;
	int pipe_fds[2];

	assert(handle->bell < 0 && handle->chime < 0);
	int result =
		memory_open(&handle->up, "conclave-up", welcome->up_size, 0);
	if (result < 0)
		return result;
	result = memory_open(&handle->down, "conclave-down", welcome->down_size,
			     MEMORY_READ_ONLY);
	if (result < 0)
		return result;
	handle->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (handle->bell < 0)
		return -errno;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	handle->chime_out = pipe_fds[0];
	handle->chime = pipe_fds[1];
	return 0;
}

static uint64_t boottime_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Room for the descriptors, aligned as a control message must be. */
union ancillary {
	struct cmsghdr head;
	uint8_t room[CMSG_SPACE(sizeof(int) * CV_FD_COUNT)];
};

static void add_descriptors(struct msghdr *message, union ancillary *ancillary,
			    const int descriptors[CV_FD_COUNT])
{
	memset(ancillary, 0, sizeof(*ancillary));
	message->msg_control = ancillary;
	message->msg_controllen = sizeof(ancillary->room);
	struct cmsghdr *head = CMSG_FIRSTHDR(message);
	assert(head);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int) * CV_FD_COUNT);
	memcpy(CMSG_DATA(head), descriptors, sizeof(int) * CV_FD_COUNT);
}

static int send_welcome(struct handle *handle, int32_t status,
			struct msghdr *message)
{
	struct cv_welcome *welcome = &handle->welcome;
	struct iovec bytes = {welcome, sizeof(*welcome)};

	welcome->magic = CV_MAGIC_HELLO;
	welcome->abi_major = CV_ABI_MAJOR;
	welcome->abi_minor = CV_ABI_MINOR;
	welcome->size = CV_MESSAGE_SIZE;
	welcome->status = status;
	welcome->clock_ns = boottime_ns();
	message->msg_iov = &bytes;
	message->msg_iovlen = 1;
	ssize_t sent =
		sendmsg(handle->socket, message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	assert(sent == CV_MESSAGE_SIZE);
	return 0;
}

int handle_welcome(struct handle *handle, int status_page)
{
	int descriptors[CV_FD_COUNT] = {handle->up.fd, handle->down.fd,
					status_page, handle->bell,
					handle->chime_out};
	struct msghdr message = {0};
	union ancillary ancillary;

	assert(handle->up.fd >= 0 && handle->down.fd >= 0);
	add_descriptors(&message, &ancillary, descriptors);
	int result = send_welcome(handle, 0, &message);
	if (result < 0)
		return result;
	memory_close_fd(&handle->up);
	memory_close_fd(&handle->down);
	(void)close(handle->chime_out); /* the client has it now */
	handle->chime_out = -1;
	return 0;
}

void handle_refuse(struct handle *handle, int32_t status)
{
	struct msghdr message = {0};

	assert(status < 0);
	int result = send_welcome(handle, status, &message);
	(void)result; /* it has gone, and is not interested */
}

/* One thread waits on a handle; spurious wakes do no harm. */
void handle_wake(struct handle *handle)
{
	struct cv_down_words *words =
		(struct cv_down_words *)(handle->down.base + CV_HEADER_SIZE);

	assert(handle->down.base);
	(void)syscall(SYS_futex, &words->completion, FUTEX_WAKE, 1, NULL, NULL,
		      0); /* nobody may be waiting */
}

/*
 * A full pipe is readable already, and one without reader has a client that
 * is about to be found gone.
 */
void handle_ring(struct handle *handle)
{
	uint64_t one = 1;

	assert(handle->chime >= 0);
	ssize_t written = write(handle->chime, &one, sizeof(one));
	(void)written; /* as above */
}

static enum handle_message judge(struct handle *handle, const void *message,
				 size_t size)
{
	struct cv_bye bye;

	if (handle->state == HANDLE_ARRIVED) {
		int result = listen_hello(message, size, &handle->peer.hello);
		handle->peer.uid = handle->who.uid;
		if (handle->refusal == 0)
			handle->refusal = result;
		return HANDLE_HELLO;
	}
	if (handle->state != HANDLE_OPEN || size != sizeof(bye))
		return HANDLE_NONSENSE;
	memcpy(&bye, message, sizeof(bye));
	if (bye.magic != CV_MAGIC_HELLO || bye.size != sizeof(bye))
		return HANDLE_NONSENSE;
	return HANDLE_BYE;
}

enum handle_message handle_hear(struct handle *handle)
{
	uint8_t message[CV_MESSAGE_SIZE];

	assert(handle->state != HANDLE_FREE);
	ssize_t size = recv(handle->socket, message, sizeof(message),
			    MSG_DONTWAIT | MSG_TRUNC);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return HANDLE_SILENCE;
	if (size <= 0)
		return HANDLE_END;
	return judge(handle, message, (size_t)size);
}

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* no data hangs on it */
	*fd = -1;
}

void handle_close(struct handle *handle)
{
	assert(handle->socket_watch < 0 && handle->process_watch < 0);
	assert(handle->bell_watch < 0 && handle->node_handle < 0);
	if (handle->socket >= 0)
		(void)shutdown(handle->socket, SHUT_RDWR); /* or it is gone */
	close_if_open(&handle->socket);
	close_if_open(&handle->process);
	close_if_open(&handle->bell);
	close_if_open(&handle->chime);
	close_if_open(&handle->chime_out);
	memory_close(&handle->up);
	memory_close(&handle->down);
	handle_init(handle);
}
