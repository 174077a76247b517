/*
 * One client's socket, memory and descriptors.
 */
#include "daemon/client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	PEER_PIDFD = 77, /* SO_PEERPIDFD, since 6.5 */
	PATH_SIZE = 32,
	DRAIN_SIZE = 2048,
	DRAIN_TRIES = 4, /* a page of the pipe: then there is room */
};

void client_init(struct client *client)
{
	memset(client, 0, sizeof(*client));
	client->socket = -1;
	client->process = -1;
	client->bell = -1;
	client->chime = -1;
	client->chime_drain = -1;
	client->chime_out = -1;
	client->socket_watch = -1;
	client->process_watch = -1;
	client->bell_watch = -1;
	client->node_handle = -1;
	client->up.fd = -1;
	client->down.fd = -1;
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

void client_arrive(struct client *client, int connection,
		   const struct listen_peer *who)
{
	assert(client->state == CLIENT_FREE);
	assert(connection >= 0);
	client->state = CLIENT_ARRIVED;
	client->socket = connection;
	client->process = process_of(connection, who->pid);
	client->who = *who;
	client->refusal = who->allowed ? 0 : CONCLAVE_EPERM;
}

/* A pipe, and another reading end of it with flags of its own. */
static int make_chime(struct client *client)
{
	char path[PATH_SIZE];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	client->chime_out = ends[0];
	client->chime = ends[1];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	client->chime_drain = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return client->chime_drain < 0 ? -errno : 0;
}

int client_equip(struct client *client)
{
	const struct cv_welcome *welcome = &client->welcome;

	assert(client->bell < 0 && client->chime < 0);
	int result =
		memory_open(&client->up, "conclave-up", welcome->up_size, 0);
	if (result < 0)
		return result;
	result = memory_open(&client->down, "conclave-down", welcome->down_size,
			     MEMORY_READ_ONLY);
	if (result < 0)
		return result;
	client->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->bell < 0)
		return -errno;
	return make_chime(client);
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

static void put_descriptors(union ancillary *ancillary,
			    const int descriptors[CV_FD_COUNT])
{
	struct cmsghdr *head = &ancillary->head;

	memset(ancillary, 0, sizeof(*ancillary));
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int) * CV_FD_COUNT);
	memcpy(CMSG_DATA(head), descriptors, sizeof(int) * CV_FD_COUNT);
}

/* With `ancillary` NULL it is the message alone. */
static int send_welcome(struct client *client, int32_t status,
			union ancillary *ancillary)
{
	struct cv_welcome *welcome = &client->welcome;
	struct iovec bytes = {welcome, sizeof(*welcome)};
	struct msghdr message = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = ancillary,
		.msg_controllen = ancillary ? sizeof(ancillary->room) : 0,
	};

	welcome->magic = CV_MAGIC_HELLO;
	welcome->abi_major = CV_ABI_MAJOR;
	welcome->abi_minor = CV_ABI_MINOR;
	welcome->size = CV_MESSAGE_SIZE;
	welcome->status = status;
	welcome->clock_ns = boottime_ns();
	ssize_t sent =
		sendmsg(client->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	assert(sent == CV_MESSAGE_SIZE);
	return 0;
}

int client_welcome(struct client *client, int status_page)
{
	int descriptors[CV_FD_COUNT] = {client->up.fd, client->down.fd,
					status_page, client->bell,
					client->chime_out};
	union ancillary ancillary;

	assert(client->up.fd >= 0 && client->down.fd >= 0);
	put_descriptors(&ancillary, descriptors);
	int result = send_welcome(client, 0, &ancillary);
	if (result < 0)
		return result;
	memory_close_fd(&client->up);
	memory_close_fd(&client->down);
	(void)close(client->chime_out); /* the client has it now */
	client->chime_out = -1;
	return 0;
}

void client_refuse(struct client *client, int32_t status)
{
	assert(status < 0);
	int result = send_welcome(client, status, NULL);
	(void)result; /* it has gone, and is not interested */
}

/* One thread waits on a client; spurious wakes do no harm. */
void client_wake(struct client *client)
{
	struct cv_down_words *words =
		(struct cv_down_words *)(client->down.base + CV_HEADER_SIZE);

	assert(client->down.base);
	(void)syscall(SYS_futex, &words->completion, FUTEX_WAKE, 1, NULL, NULL,
		      0); /* nobody may be waiting */
}

/* True: the client's descriptor is readable, and freshly so. */
static bool put_chime(struct client *client)
{
	uint64_t one = 1;

	return write(client->chime, &one, sizeof(one)) == sizeof(one);
}

/*
 * A pipe without reader has a client that is about to be found gone; a client
 * that fills its pipe itself gets none of its rings.
 */
void client_ring(struct client *client)
{
	uint8_t away[DRAIN_SIZE];

	assert(client->chime >= 0);
	for (int tries = 0; tries < DRAIN_TRIES && !put_chime(client);
	     tries++) {
		ssize_t size = read(client->chime_drain, away, sizeof(away));
		if (size <= 0)
			return;
	}
}

static enum client_message judge(struct client *client, const void *message,
				 size_t size)
{
	struct cv_bye bye;

	if (client->state == CLIENT_ARRIVED) {
		int result = listen_hello(message, size, &client->peer.hello);
		client->peer.uid = client->who.uid;
		if (client->refusal == 0)
			client->refusal = result;
		return CLIENT_HELLO;
	}
	if (client->state != CLIENT_OPEN || size != sizeof(bye))
		return CLIENT_NONSENSE;
	memcpy(&bye, message, sizeof(bye));
	if (bye.magic != CV_MAGIC_HELLO || bye.size != sizeof(bye))
		return CLIENT_NONSENSE;
	return CLIENT_BYE;
}

enum client_message client_hear(struct client *client)
{
	uint8_t message[CV_MESSAGE_SIZE];

	assert(client->state != CLIENT_FREE);
	ssize_t size = recv(client->socket, message, sizeof(message),
			    MSG_DONTWAIT | MSG_TRUNC);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return CLIENT_SILENCE;
	if (size <= 0)
		return CLIENT_END;
	return judge(client, message, (size_t)size);
}

bool client_is_dead(const struct client *client)
{
	struct pollfd look = {.fd = client->process, .events = POLLIN};

	assert(client->process >= 0);
	return poll(&look, 1, 0) == 1 && (look.revents & POLLIN);
}

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* no data hangs on it */
	*fd = -1;
}

void client_close(struct client *client)
{
	assert(client->socket_watch < 0 && client->process_watch < 0);
	assert(client->bell_watch < 0 && client->node_handle < 0);
	if (client->socket >= 0)
		(void)shutdown(client->socket, SHUT_RDWR); /* or it is gone */
	close_if_open(&client->socket);
	close_if_open(&client->process);
	close_if_open(&client->bell);
	close_if_open(&client->chime);
	close_if_open(&client->chime_drain);
	close_if_open(&client->chime_out);
	memory_close(&client->up);
	memory_close(&client->down);
	client_init(client);
}
