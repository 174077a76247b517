/*
 * The miniature daemon's loop, and what a test may do to it. It is honest
 * where the client relies on it: claims are taken before records are read,
 * each that is taken is posted once, and a post follows the order of
 * shm/slot.h and shm/wake.h.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/support_peer_inside.h"

/* ---- the loop ---- */

/* Whether anything was done. */
static bool turn(struct peer *peer)
{
	struct peer_connection *c;
	bool moved = false;

	peer_accept_all(peer);
	for (uint32_t i = 0; i < peer->connection_count; i++) {
		c = &peer->connections[i];
		peer_hear(peer, c);
		if (c->open)
			moved |= peer_drain(peer, c);
	}
	moved |= peer_apply_all(peer);
	moved |= peer_post_all(peer);
	peer_wake_all(peer);
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
	peer_watch(peer, peer->listening);
	peer_watch(peer, peer->nudge);
	peer->incarnation++;
	peer->status = (struct cv_status *)(void *)peer_map_make(
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
		peer_connection_close(&peer->connections[i]);
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
	peer_maps_free();
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

void peer_set_alarms(struct peer *peer, uint64_t alarms)
{
	pthread_mutex_lock(&peer->lock);
	peer->status->alarms = alarms;
	pthread_mutex_unlock(&peer->lock);
}

void peer_set_differs(struct peer *peer, uint64_t index)
{
	pthread_mutex_lock(&peer->lock);
	peer->status->differs_index = index;
	pthread_mutex_unlock(&peer->lock);
}

void peer_set_status(struct peer *peer, uint64_t nth, int32_t status)
{
	pthread_mutex_lock(&peer->lock);
	peer->status_countdown = nth;
	peer->status_forced = status;
	pthread_mutex_unlock(&peer->lock);
}
