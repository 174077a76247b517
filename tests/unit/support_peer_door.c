/*
 * How a client comes to the miniature daemon: the maps, the greeting and the
 * connection.
 */
#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/support_peer_inside.h"

static struct peer_map maps[PEER_MAPS];
static uint32_t map_count;
static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- maps ---- */

uint8_t *peer_map_make(const char *name, size_t size, int *ret_fd)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat about;
	uint8_t *base;

	assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert(base != MAP_FAILED);
	assert(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	assert(fstat(fd, &about) == 0);
	pthread_mutex_lock(&map_lock);
	assert(map_count < PEER_MAPS);
	maps[map_count].device = about.st_dev;
	maps[map_count].inode = about.st_ino;
	maps[map_count].base = base;
	maps[map_count++].size = size;
	pthread_mutex_unlock(&map_lock);
	*ret_fd = fd;
	return base;
}

void peer_maps_free(void)
{
	pthread_mutex_lock(&map_lock);
	while (map_count > 0) {
		map_count--;
		munmap(maps[map_count].base, maps[map_count].size);
	}
	pthread_mutex_unlock(&map_lock);
}

void *peer_map_of(int fd)
{
	struct stat about;
	void *base = NULL;

	assert(fstat(fd, &about) == 0);
	pthread_mutex_lock(&map_lock);
	for (uint32_t i = 0; i < map_count; i++) {
		if (maps[i].device == about.st_dev &&
		    maps[i].inode == about.st_ino)
			base = maps[i].base;
	}
	pthread_mutex_unlock(&map_lock);
	return base;
}

bool peer_map_known(const void *base)
{
	bool known = false;

	pthread_mutex_lock(&map_lock);
	for (uint32_t i = 0; i < map_count; i++)
		known |= maps[i].base == base;
	pthread_mutex_unlock(&map_lock);
	return known;
}

/* ---- greeting ---- */

static uint32_t wish(uint32_t asked, uint32_t fallback)
{
	return asked != 0 ? asked : fallback;
}

static void geometry_make(struct peer *peer, const struct cv_hello *hello,
			  struct cv_welcome *w)
{
	memset(w, 0, sizeof(*w));
	w->magic = CV_MAGIC_HELLO;
	w->abi_major = CV_ABI_MAJOR;
	w->size = CV_MESSAGE_SIZE;
	w->incarnation = peer->incarnation;
	w->revision = peer->store.revision;
	w->slots = wish(hello->slots, CV_SLOTS_DEFAULT);
	w->request_max = wish(hello->request_max, CV_REQUEST_DEFAULT);
	w->proposal_size = wish(hello->proposal_size, CV_RING_DEFAULT);
	w->control_size = wish(hello->control_size, CV_RING_DEFAULT);
	w->reply_size = wish(hello->reply_size, CV_REPLY_DEFAULT);
	w->proposal_offset = CV_CLAIMS_OFFSET + ((8 * w->slots + 63) & ~63u);
	w->control_offset = w->proposal_offset + w->proposal_size;
	w->up_size = w->control_offset + w->control_size;
	w->reply_offset = CV_SLOTS_OFFSET + CV_LINE * w->slots;
	w->event_offset = w->reply_offset + w->reply_size;
	w->down_size = w->event_offset;
	w->status_size = sizeof(struct cv_status);
}

static void header_write(uint8_t *base, const struct cv_welcome *w,
			 uint64_t magic, uint64_t size)
{
	struct cv_header *head = (struct cv_header *)(void *)base;

	head->magic = magic;
	head->abi_major = CV_ABI_MAJOR;
	head->header_size = CV_HEADER_SIZE;
	head->incarnation = w->incarnation;
	head->size = size;
	head->slots = w->slots;
	head->request_max = w->request_max;
	head->proposal_offset = w->proposal_offset;
	head->proposal_size = w->proposal_size;
	head->control_offset = w->control_offset;
	head->control_size = w->control_size;
	head->reply_offset = w->reply_offset;
	head->reply_size = w->reply_size;
	head->event_offset = w->event_offset;
	head->event_size = w->event_size;
}

static void send_welcome(const struct peer *peer, int socket,
			 const struct cv_welcome *w, const int *fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control;
	struct cv_welcome copy[2] = {*w, *w};
	struct iovec part = {copy, peer->message_size};
	struct msghdr head = {.msg_iov = &part, .msg_iovlen = 1};
	uint32_t count = fds != NULL ? peer->message_fds : 0;
	struct cmsghdr *rights;

	if (count != 0) {
		head.msg_control = &control;
		head.msg_controllen = CMSG_SPACE(count * sizeof(int));
		rights = CMSG_FIRSTHDR(&head);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (uint32_t i = 0; i < count; i++)
			memcpy(CMSG_DATA(rights) + i * sizeof(int),
			       &fds[i % CV_FD_COUNT], sizeof(int));
	}
	/* A client that is gone already is seen as such later. */
	(void)!sendmsg(socket, &head, MSG_NOSIGNAL);
}

static int32_t session_begin(struct peer *peer, const struct cv_hello *hello,
			     struct peer_connection *c, uint64_t *ret_epoch)
{
	struct peer_session *session =
		peer_session_find(&peer->store, hello->session);
	bool resume = (hello->flags & CV_HELLO_RESUME) != 0;

	if (session == NULL && resume && hello->settled_below > 1)
		return CONCLAVE_ESESSION;
	if (session == NULL)
		session = peer_session_add(&peer->store, hello->session,
					   hello->secret);
	if (memcmp(session->secret, hello->secret, 16) != 0)
		return CONCLAVE_EPERM;
	if (resume)
		peer->counts.resumes++;
	session->epoch++;
	*ret_epoch = session->epoch;
	c->session = session;
	return 0;
}

void peer_watch(struct peer *peer, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	assert(epoll_ctl(peer->poller, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void welcome(struct peer *peer, struct peer_connection *c,
		    const struct cv_hello *hello)
{
	struct cv_welcome *w = &c->geometry;
	int fds[CV_FD_COUNT];

	geometry_make(peer, hello, w);
	w->status = peer->refusal;
	if (w->status == 0 && hello->abi_major != CV_ABI_MAJOR)
		w->status = CONCLAVE_EVERSION;
	if (w->status == 0)
		w->status = session_begin(peer, hello, c, &w->epoch);
	if (w->status != 0) {
		send_welcome(peer, c->socket, w, NULL);
		return;
	}
	c->up = peer_map_make("up", w->up_size, &fds[0]);
	c->down = peer_map_make("down", w->down_size, &fds[1]);
	fds[2] = peer->status_fd;
	c->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->completion = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fds[3] = c->doorbell;
	fds[4] = c->completion;
	header_write(c->up, w, CV_MAGIC_UP, w->up_size);
	header_write(c->down, w, CV_MAGIC_DOWN, w->down_size);
	cv_ring_reader_init(&c->proposals, c->up + w->proposal_offset,
			    w->proposal_size, cv_record_max(w->request_max));
	cv_ring_reader_init(&c->control, c->up + w->control_offset,
			    w->control_size, cv_record_max(w->request_max));
	if (peer->spoil != NULL)
		peer->spoil(w, c->up, c->down, peer->spoil_context);
	assert(fcntl(fds[1], F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
	peer_watch(peer, c->doorbell);
	c->open = true;
	peer->counts.welcomes++;
	send_welcome(peer, c->socket, w, fds);
	close(fds[0]);
	close(fds[1]);
}

/* ---- connections ---- */

void peer_accept_all(struct peer *peer)
{
	struct peer_connection *c;
	int socket;

	for (;;) {
		socket = accept4(peer->listening, NULL, NULL,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (socket < 0)
			return;
		assert(peer->connection_count < PEER_CONNECTIONS);
		c = &peer->connections[peer->connection_count++];
		memset(c, 0, sizeof(*c));
		c->socket = socket;
		c->doorbell = -1;
		c->completion = -1;
		peer_watch(peer, socket);
	}
}

void peer_connection_close(struct peer_connection *c)
{
	if (c->socket >= 0)
		close(c->socket);
	if (c->doorbell >= 0)
		close(c->doorbell);
	if (c->completion >= 0)
		close(c->completion);
	c->socket = -1;
	c->doorbell = -1;
	c->completion = -1;
	c->open = false;
}

void peer_hear(struct peer *peer, struct peer_connection *c)
{
	uint8_t bytes[CV_MESSAGE_SIZE];
	struct cv_hello hello;
	ssize_t size;

	if (c->socket < 0 ||
	    (!c->greeted && (peer->hold & PEER_HOLD_WELCOME) != 0))
		return;
	size = recv(c->socket, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (size < 0)
		return;
	if (size == sizeof(hello) && !c->greeted) {
		memcpy(&hello, bytes, sizeof(hello));
		c->greeted = true;
		welcome(peer, c, &hello);
		return;
	}
	if (size == sizeof(struct cv_bye))
		peer->counts.byes++;
	peer_connection_close(c);
}
