/*
 * The miniature daemon. It is honest where the client relies on it: claims
 * are taken before records are read, each that is taken is posted once, and a
 * post follows the order of shm/slot.h and shm/wake.h.
 */
#include "tests/unit/support_peer.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/wake.h"
#include "tests/unit/support_peer_store.h"

enum peer_limits {
	PEER_CONNECTIONS = 1024,
	PEER_MAPS = 3 * PEER_CONNECTIONS,
	PEER_OPS = 8192,
	PEER_BUDGET = 256, /* records of one ring in one turn */
};

struct connection {
	bool open; /* a welcome was sent */
	bool greeted;
	int socket, doorbell, completion;
	uint8_t *up, *down;
	struct cv_welcome geometry;
	struct cv_ring_reader proposals, control;
	struct cv_waker waker;
	struct peer_session *session;
	uint64_t drained; /* highest sequence seen */
	uint32_t posted; /* in this turn */
	bool released; /* heads moved in this turn */
};

struct map {
	dev_t device;
	ino_t inode;
	uint8_t *base;
	size_t size;
};

struct peer {
	pthread_mutex_t lock; /* held for each turn */
	pthread_cond_t turned;
	pthread_t thread;
	bool serving, stopping;
	uint32_t hold;
	uint64_t turns;
	struct peer_counts counts;
	struct peer_store store;
	struct connection connections[PEER_CONNECTIONS];
	uint32_t connection_count;
	struct peer_op *ops; /* a queue of what was taken */
	uint64_t op_head, op_tail;
	struct cv_status *status;
	int status_fd, listening, poller, nudge;
	uint64_t incarnation;
	char path[108];
	peer_spoil spoil;
	void *spoil_context;
	uint32_t message_size, message_fds;
	int32_t refusal;
	uint64_t status_countdown;
	int32_t status_forced;
};

static struct map maps[PEER_MAPS];
static uint32_t map_count;
static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- maps ---- */

static uint8_t *map_make(const char *name, size_t size, int *ret_fd)
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

static void maps_free(void)
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
			     struct connection *c, uint64_t *ret_epoch)
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

static void watch(struct peer *peer, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	assert(epoll_ctl(peer->poller, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void welcome(struct peer *peer, struct connection *c,
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
	c->up = map_make("up", w->up_size, &fds[0]);
	c->down = map_make("down", w->down_size, &fds[1]);
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
	watch(peer, c->doorbell);
	c->open = true;
	peer->counts.welcomes++;
	send_welcome(peer, c->socket, w, fds);
	close(fds[0]);
	close(fds[1]);
}

/* ---- connections ---- */

static void accept_all(struct peer *peer)
{
	struct connection *c;
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
		watch(peer, socket);
	}
}

static void connection_close(struct connection *c)
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

static void hear(struct peer *peer, struct connection *c)
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
	connection_close(c);
}

/* ---- the stages of a turn ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void op_read(struct peer_op *op, const struct cv_peek *peek)
{
	const uint8_t *body = peek->record + CV_REQUEST_HEAD;
	struct cv_request *head = &op->head;
	size_t left = peek->length - 16;

	if (left > sizeof(*head) - 16)
		left = sizeof(*head) - 16;
	memcpy((uint8_t *)head + 16, peek->record + 16, left);
	head->length = peek->length;
	head->slot = peek->slot;
	head->generation = peek->generation;
	if (peek->length == CV_LINE)
		return;
	assert(CV_REQUEST_HEAD + head->key_size + head->value_size <=
	       peek->length);
	op->key = malloc(head->key_size + 1u);
	op->value = malloc(head->value_size + 1u);
	assert(op->key != NULL && op->value != NULL);
	memcpy(op->key, body, head->key_size);
	memcpy(op->value, body + head->key_size, head->value_size);
}

static void take(struct peer *peer, struct connection *c,
		 const struct cv_peek *peek)
{
	uint64_t *claims = (uint64_t *)(void *)(c->up + CV_CLAIMS_OFFSET);
	struct peer_op *op = &peer->ops[peer->op_tail % PEER_OPS];

	assert(peek->slot < c->geometry.slots);
	if (!cv_claim_take(&claims[peek->slot], peek->generation)) {
		peer->counts.dead++;
		return;
	}
	memset(op, 0, sizeof(*op));
	op_read(op, peek);
	op->connection = (uint32_t)(c - peer->connections);
	op->session = c->session;
	if (op->head.type < CV_PING)
		c->drained = op->head.sequence;
	if (op->head.deadline_ns != 0 && now_ns() > op->head.deadline_ns) {
		op->result.status = CONCLAVE_ECANCELLED;
		op->applied = true;
	}
	peer->op_tail++;
	peer->counts.taken++;
}

static bool drain(struct peer *peer, struct connection *c,
		  struct cv_ring_reader *ring)
{
	struct cv_peek peek;
	uint32_t i;
	int status = 0;

	for (i = 0; i < PEER_BUDGET; i++) {
		if (peer->op_tail - peer->op_head == PEER_OPS)
			break;
		status = cv_ring_peek(ring, &peek);
		if (status <= 0)
			break;
		take(peer, c, &peek);
		cv_ring_skip(ring, peek.length);
	}
	if (status < 0) {
		peer->counts.expelled++;
		connection_close(c);
	}
	return i != 0;
}

/* What is dead at the head goes even while nothing is drained. */
static bool reclaim(struct peer *peer, struct connection *c,
		    struct cv_ring_reader *ring)
{
	uint64_t *claims = (uint64_t *)(void *)(c->up + CV_CLAIMS_OFFSET);
	struct cv_peek peek;
	bool moved = false;

	while (cv_ring_peek(ring, &peek) > 0 &&
	       cv_claim_dead(&claims[peek.slot], peek.generation)) {
		cv_ring_skip(ring, peek.length);
		peer->counts.dead++;
		moved = true;
	}
	return moved;
}

static bool drain_both(struct peer *peer, struct connection *c)
{
	struct cv_down_words *words =
		(struct cv_down_words *)(void *)(c->down + CV_HEADER_SIZE);
	bool moved = false;

	if ((peer->hold & PEER_HOLD_PROPOSALS) == 0)
		moved |= drain(peer, c, &c->proposals);
	else
		moved |= reclaim(peer, c, &c->proposals);
	if (!c->open)
		return true;
	cv_ring_release(&c->proposals, &words->proposal_head);
	if ((peer->hold & PEER_HOLD_CONTROL) == 0)
		moved |= drain(peer, c, &c->control);
	if (!c->open)
		return true;
	cv_ring_release(&c->control, &words->control_head);
	return moved;
}

/* May a read run, or has it to wait for proposals or for a revision? */
static bool read_may_run(const struct peer *peer, uint64_t at)
{
	const struct peer_op *op = &peer->ops[at % PEER_OPS], *other;

	if (op->head.type < CV_PING || op->head.type == CV_OUTCOME)
		return true;
	if (op->head.settled > peer->store.revision)
		return false;
	if (op->head.sequence > peer->connections[op->connection].drained)
		return false;
	for (uint64_t i = peer->op_head; i < peer->op_tail; i++) {
		other = &peer->ops[i % PEER_OPS];
		if (!other->applied && other->head.type < CV_PING &&
		    other->connection == op->connection &&
		    other->head.sequence <= op->head.sequence)
			return false;
	}
	return true;
}

static bool apply_all(struct peer *peer)
{
	bool moved = false;
	struct peer_op *op;

	if ((peer->hold & PEER_HOLD_APPLY) != 0)
		return false;
	for (uint64_t i = peer->op_head; i < peer->op_tail; i++) {
		op = &peer->ops[i % PEER_OPS];
		if (op->applied || !read_may_run(peer, i))
			continue;
		peer_store_apply(&peer->store, op,
				 (peer->hold & PEER_ECHO) != 0);
		if (peer->status_countdown != 0 &&
		    --peer->status_countdown == 0) {
			op->result.status = peer->status_forced;
			op->result.flags = 0;
		}
		peer->counts.applied++;
		moved = true;
	}
	return moved;
}

static void post(struct peer *peer, struct peer_op *op)
{
	struct connection *c = &peer->connections[op->connection];
	struct cv_slot *slot;

	if (c->open) {
		slot = (struct cv_slot *)(void *)(c->down + CV_SLOTS_OFFSET) +
		       op->head.slot;
		slot->status = op->result.status;
		slot->flags = op->result.flags;
		slot->revision = op->result.revision;
		slot->aux = op->result.aux;
		slot->reply_size = op->reply_used;
		if (op->result.status == 0 && op->reply_used != 0)
			memcpy(c->down + c->geometry.reply_offset +
				       op->head.reply_offset,
			       op->reply, op->reply_used);
		cv_slot_post(slot, op->head.generation);
		c->posted++;
	}
	peer_op_release(op);
	peer->counts.posted++;
}

static bool post_all(struct peer *peer)
{
	uint64_t kept = peer->op_head;
	bool moved = false;
	struct peer_op *op;

	if ((peer->hold & PEER_HOLD_POST) != 0)
		return false;
	for (uint64_t i = peer->op_head; i < peer->op_tail; i++) {
		op = &peer->ops[i % PEER_OPS];
		if (op->applied) {
			post(peer, op);
			moved = true;
		} else {
			if (kept != i)
				peer->ops[kept % PEER_OPS] = *op;
			kept++;
		}
	}
	peer->op_tail = kept;
	return moved;
}

static void wake_all(struct peer *peer)
{
	struct connection *c;
	struct cv_down_words *down;
	struct cv_up_words *up;
	uint64_t one = 1;
	uint32_t wake;

	for (uint32_t i = 0; i < peer->connection_count; i++) {
		c = &peer->connections[i];
		if (!c->open || c->posted == 0)
			continue;
		down = (struct cv_down_words *)(void *)(c->down +
							CV_HEADER_SIZE);
		up = (struct cv_up_words *)(void *)(c->up + CV_HEADER_SIZE);
		wake = cv_wake_post(&c->waker, down, up, c->posted);
		c->posted = 0;
		if ((wake & CV_WAKE_FUTEX) != 0)
			syscall(SYS_futex, &down->completion, FUTEX_WAKE, 1,
				NULL, NULL, 0);
		if ((wake & CV_WAKE_EVENTFD) != 0)
			(void)!write(c->completion, &one, sizeof(one));
	}
}

/* ---- the loop ---- */

/* Whether anything was done. */
static bool turn(struct peer *peer)
{
	struct connection *c;
	bool moved = false;

	accept_all(peer);
	for (uint32_t i = 0; i < peer->connection_count; i++) {
		c = &peer->connections[i];
		hear(peer, c);
		if (c->open)
			moved |= drain_both(peer, c);
	}
	moved |= apply_all(peer);
	moved |= post_all(peer);
	wake_all(peer);
	peer->turns++;
	pthread_cond_broadcast(&peer->turned);
	return moved;
}

static void sleep_until_rung(struct peer *peer)
{
	struct epoll_event events[16];

	peer->counts.sleeps++;
	pthread_mutex_unlock(&peer->lock);
	if (epoll_wait(peer->poller, events, 16, -1) > 0) {
		pthread_mutex_lock(&peer->lock);
		peer->counts.doorbells++;
	} else {
		pthread_mutex_lock(&peer->lock);
	}
}

void *peer_serve(void *context)
{
	struct peer *peer = context;

	pthread_mutex_lock(&peer->lock);
	while (!peer->stopping) {
		if (turn(peer) || (peer->hold & PEER_SPIN) != 0) {
			pthread_mutex_unlock(&peer->lock);
			pthread_mutex_lock(&peer->lock);
			continue;
		}
		cv_wake_announce_sleep(peer->status);
		if (!turn(peer) && !peer->stopping)
			sleep_until_rung(peer);
		cv_wake_end_sleep(peer->status);
	}
	pthread_mutex_unlock(&peer->lock);
	return NULL;
}

/* ---- for the test ---- */

static void listen_at(struct peer *peer)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, peer->path, sizeof(address.sun_path));
	unlink(peer->path);
	peer->listening = socket(
		AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert(peer->listening >= 0);
	assert(bind(peer->listening, (struct sockaddr *)&address,
		    sizeof(address)) == 0);
	assert(listen(peer->listening, 16) == 0);
	peer->poller = epoll_create1(EPOLL_CLOEXEC);
	peer->nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert(peer->poller >= 0 && peer->nudge >= 0);
	watch(peer, peer->listening);
	watch(peer, peer->nudge);
	peer->incarnation++;
	peer->status = (struct cv_status *)(void *)map_make(
		"status", sizeof(struct cv_status), &peer->status_fd);
	peer->status->magic = CV_MAGIC_STATUS;
	peer->status->incarnation = peer->incarnation;
	peer->status->size = sizeof(struct cv_status);
}

const char *peer_path(const struct peer *peer)
{
	return peer->path;
}

struct peer *peer_new(const char *path)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	const char *folder = getenv("TMPDIR");

	assert(peer != NULL);
	peer->ops = calloc(PEER_OPS, sizeof(*peer->ops));
	assert(peer->ops != NULL);
	if (path != NULL)
		snprintf(peer->path, sizeof(peer->path), "%s", path);
	else
		snprintf(peer->path, sizeof(peer->path), "%s/peer-%d.sock",
			 folder != NULL ? folder : "/tmp", (int)getpid());
	pthread_mutex_init(&peer->lock, NULL);
	pthread_cond_init(&peer->turned, NULL);
	peer_store_init(&peer->store);
	peer->message_size = CV_MESSAGE_SIZE;
	peer->message_fds = CV_FD_COUNT;
	listen_at(peer);
	return peer;
}

void peer_start(struct peer *peer)
{
	peer->stopping = false;
	peer->serving = true;
	assert(pthread_create(&peer->thread, NULL, peer_serve, peer) == 0);
}

static void nudge(struct peer *peer)
{
	uint64_t one = 1;

	(void)!write(peer->nudge, &one, sizeof(one));
}

void peer_kill(struct peer *peer)
{
	if (peer->serving) {
		pthread_mutex_lock(&peer->lock);
		peer->stopping = true;
		nudge(peer);
		pthread_mutex_unlock(&peer->lock);
		pthread_join(peer->thread, NULL);
		peer->serving = false;
	}
	for (uint32_t i = 0; i < peer->connection_count; i++)
		connection_close(&peer->connections[i]);
	for (uint64_t i = peer->op_head; i < peer->op_tail; i++)
		peer_op_release(&peer->ops[i % PEER_OPS]);
	peer->op_head = peer->op_tail;
	peer->connection_count = 0;
	close(peer->listening);
	close(peer->poller);
	close(peer->nudge);
	close(peer->status_fd);
	unlink(peer->path);
}

void peer_restart(struct peer *peer)
{
	listen_at(peer);
	peer_start(peer);
}

void peer_free(struct peer *peer)
{
	peer_kill(peer);
	peer_store_release(&peer->store);
	maps_free();
	pthread_mutex_destroy(&peer->lock);
	pthread_cond_destroy(&peer->turned);
	free(peer->ops);
	free(peer);
}

void peer_set_hold(struct peer *peer, uint32_t hold)
{
	uint64_t turns;

	pthread_mutex_lock(&peer->lock);
	peer->hold = hold;
	turns = peer->turns;
	while (peer->serving && peer->turns == turns) {
		nudge(peer);
		pthread_cond_wait(&peer->turned, &peer->lock);
	}
	pthread_mutex_unlock(&peer->lock);
}

struct peer_counts peer_counts(struct peer *peer)
{
	struct peer_counts counts;

	pthread_mutex_lock(&peer->lock);
	counts = peer->counts;
	pthread_mutex_unlock(&peer->lock);
	return counts;
}

static void await(struct peer *peer, const uint64_t *counter, uint64_t count)
{
	pthread_mutex_lock(&peer->lock);
	while (*counter < count)
		pthread_cond_wait(&peer->turned, &peer->lock);
	pthread_mutex_unlock(&peer->lock);
}

void peer_await_taken(struct peer *peer, uint64_t count)
{
	await(peer, &peer->counts.taken, count);
}

void peer_await_applied(struct peer *peer, uint64_t count)
{
	await(peer, &peer->counts.applied, count);
}

void peer_await_posted(struct peer *peer, uint64_t count)
{
	await(peer, &peer->counts.posted, count);
}

void peer_await_dead(struct peer *peer, uint64_t count)
{
	await(peer, &peer->counts.dead, count);
}

uint64_t peer_revision(struct peer *peer)
{
	uint64_t revision;

	pthread_mutex_lock(&peer->lock);
	revision = peer->store.revision;
	pthread_mutex_unlock(&peer->lock);
	return revision;
}

void peer_forget_sessions(struct peer *peer)
{
	pthread_mutex_lock(&peer->lock);
	peer_sessions_forget(&peer->store);
	pthread_mutex_unlock(&peer->lock);
}

void peer_set_spoil(struct peer *peer, peer_spoil spoil, void *context)
{
	pthread_mutex_lock(&peer->lock);
	peer->spoil = spoil;
	peer->spoil_context = context;
	pthread_mutex_unlock(&peer->lock);
}

void peer_set_message(struct peer *peer, uint32_t size, uint32_t fd_count)
{
	pthread_mutex_lock(&peer->lock);
	peer->message_size = size;
	peer->message_fds = fd_count;
	pthread_mutex_unlock(&peer->lock);
}

void peer_set_refusal(struct peer *peer, int32_t status)
{
	pthread_mutex_lock(&peer->lock);
	peer->refusal = status;
	pthread_mutex_unlock(&peer->lock);
}

void peer_set_status(struct peer *peer, uint64_t nth, int32_t status)
{
	pthread_mutex_lock(&peer->lock);
	peer->status_countdown = nth;
	peer->status_forced = status;
	pthread_mutex_unlock(&peer->lock);
}
