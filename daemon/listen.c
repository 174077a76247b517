/*
 * The UNIX socket at which clients arrive.
 */
#include "daemon/listen.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	PEER_GROUPS = 59, /* SO_PEERGROUPS, since 4.13 */
	PEER_GROUPS_MAX = 256, /* who is in more counts with the first */
	FOLDER_MODE = 0750,
	SOCKET_MODE = 0660,
};

/* ---- folders ---- */

static int make_one(const char *path, mode_t mode)
{
	struct stat facts;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &facts) < 0)
		return -errno;
	return S_ISDIR(facts.st_mode) ? 0 : -ENOTDIR;
}

int listen_make_folder(const char *path, mode_t mode)
{
	char part[CONFIG_PATH_MAX];
	size_t size = strlen(path);
	struct stat facts;

	assert(size > 0);
	if (size >= sizeof(part))
		return -ENAMETOOLONG;
	/* One that is there may lie below folders that cannot be looked at. */
	if (stat(path, &facts) == 0)
		return S_ISDIR(facts.st_mode) ? 0 : -ENOTDIR;
	for (size_t i = 1; i <= size; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		int result = make_one(part, mode);
		if (result < 0)
			return result;
	}
	return 0;
}

static int make_parent(const char *path)
{
	char folder[CONFIG_SOCKET_MAX];
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return 0;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	return listen_make_folder(folder, FOLDER_MODE);
}

/* ---- the path ---- */

static void address_of(const char *path, struct sockaddr_un *ret_address)
{
	size_t size = strlen(path);

	assert(size < sizeof(ret_address->sun_path));
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->sun_family = AF_UNIX;
	memcpy(ret_address->sun_path, path, size + 1);
}

/*
 * Whoever listens is sent a message that is no hello. A daemon refuses it; a
 * daemon that is just dying hangs up; 0 then.
 */
static int wait_answer(int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLIN};
	uint32_t nothing = 0;
	char answer[CV_MESSAGE_SIZE];

	if (send(fd, &nothing, sizeof(nothing), MSG_NOSIGNAL) < 0)
		return 0;
	if (poll(&look, 1, LISTEN_ANSWER_MS) <= 0)
		return LISTEN_ESILENT;
	if (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) <= 0)
		return 0;
	return LISTEN_EANSWERED;
}

/* 0: nobody listens at `path`, and what lies there may be removed. */
static int probe(const char *path)
{
	struct sockaddr_un address;
	int result;

	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
			0);
	if (fd < 0)
		return -errno;
	address_of(path, &address);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		result = wait_answer(fd);
	else if (errno == ECONNREFUSED || errno == ENOENT)
		result = 0;
	else if (errno == EAGAIN)
		result = LISTEN_ESILENT; /* many wait there already */
	else if (errno == EPROTOTYPE)
		result = LISTEN_ENOTSOCKET; /* a socket of another kind */
	else
		result = -errno;
	(void)close(fd); /* the question is answered */
	return result;
}

static int clear_path(const char *path)
{
	struct stat facts;

	if (lstat(path, &facts) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(facts.st_mode))
		return LISTEN_ENOTSOCKET;
	int result = probe(path);
	if (result < 0)
		return result;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* Mode and identity are settled before listen() lets anybody in. */
static int bind_and_listen(struct listener *listener, const char *path,
			   const char **ret_what)
{
	struct sockaddr_un address;
	struct stat facts;

	address_of(path, &address);
	*ret_what = "bind";
	if (bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) <
	    0)
		return -errno;
	*ret_what = "chmod";
	if (chmod(path, SOCKET_MODE) < 0)
		return -errno;
	*ret_what = "stat";
	if (lstat(path, &facts) < 0)
		return -errno;
	listener->device = facts.st_dev;
	listener->inode = facts.st_ino;
	*ret_what = "listen";
	return listen(listener->fd, LISTEN_BACKLOG) < 0 ? -errno : 0;
}

int listen_open(struct listener *ret_listener, const struct config *config,
		const char **ret_what)
{
	struct listener listener = {.config = config};

	assert(config->socket[0] != '\0');
	*ret_what = "make the folder";
	int result = make_parent(config->socket);
	if (result < 0)
		return result;
	*ret_what = "remove the old socket";
	result = clear_path(config->socket);
	if (result < 0)
		return result;
	*ret_what = "socket";
	listener.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (listener.fd < 0)
		return -errno;
	result = bind_and_listen(&listener, config->socket, ret_what);
	if (result < 0) {
		(void)close(listener.fd); /* nobody knows it yet */
		return result;
	}
	*ret_listener = listener;
	return 0;
}

void listen_close(struct listener *listener)
{
	struct stat facts;

	if (listener->fd < 0)
		return;
	const char *path = listener->config->socket;
	if (lstat(path, &facts) == 0 && facts.st_dev == listener->device &&
	    facts.st_ino == listener->inode)
		(void)unlink(path); /* a stale one is removed at start */
	(void)close(listener->fd); /* it holds no data */
	listener->fd = -1;
}

/* ---- who is there ---- */

/* Whether the peer is in `group`, also when not as its first group. */
static bool has_group(int connection, uint32_t group)
{
	gid_t groups[PEER_GROUPS_MAX];
	socklen_t size = sizeof(groups);

	if (getsockopt(connection, SOL_SOCKET, PEER_GROUPS, groups, &size) < 0)
		return false;
	assert(size <= sizeof(groups));
	for (uint32_t i = 0; i < size / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

static bool is_allowed(const struct config *config, int connection,
		       const struct listen_peer *peer)
{
	for (uint32_t i = 0; i < config->allow_count; i++) {
		const struct config_allow *allow = &config->allow[i];
		if (!allow->group && allow->id == peer->uid)
			return true;
		if (allow->group && (allow->id == peer->gid ||
				     has_group(connection, allow->id)))
			return true;
	}
	return false;
}

int listen_identify(const struct listener *listener, int connection,
		    struct listen_peer *ret_peer)
{
	struct listen_peer peer = {0};
	struct ucred who;
	socklen_t size = sizeof(who);

	assert(connection >= 0);
	if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return -errno;
	peer.pid = (uint32_t)who.pid;
	peer.uid = who.uid;
	peer.gid = who.gid;
	peer.allowed = is_allowed(listener->config, connection, &peer);
	*ret_peer = peer;
	return 0;
}

/*
 * The first twelve bytes mean the same in every version, so that a client of
 * another one hears that it is the version.
 */
int listen_hello(const void *message, size_t size, struct cv_hello *ret_hello)
{
	struct cv_hello hello = {0};
	size_t head = offsetof(struct cv_hello, flags);

	if (size < head)
		return CONCLAVE_EBADREQ;
	memcpy(&hello, message, size < sizeof(hello) ? size : sizeof(hello));
	if (hello.magic != CV_MAGIC_HELLO)
		return CONCLAVE_EBADREQ;
	if (hello.abi_major != CV_ABI_MAJOR)
		return CONCLAVE_EVERSION;
	if (size != sizeof(hello) || hello.size != sizeof(hello))
		return CONCLAVE_EBADREQ;
	*ret_hello = hello;
	return 0;
}
