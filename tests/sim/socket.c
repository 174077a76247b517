/*
 * Memory and connections; see tests/sim/socket.h.
 */
#include "tests/sim/socket.h"
#include "tests/sim/client.h"
#include "tests/sim/machine.h"
#include "tests/sim/posts.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct memory {
	uint8_t *base;
	uint64_t size;
	uint32_t holds;
};

static struct memory memories[MEMORIES_MAX];
static struct socket sockets[SOCKETS_MAX];

/* ---- memory ---- */

static int memory_unused(void)
{
	int i = 0;
	while (i < MEMORIES_MAX && memories[i].holds > 0)
		i++;
	assert(i < MEMORIES_MAX);
	return i;
}

int memory_new(uint64_t size)
{
	int number = memory_unused();
	struct memory *memory = &memories[number];
	uint64_t whole = (size + CV_PAGE - 1) & ~(uint64_t)(CV_PAGE - 1);
	if (memory->size != size) {
		free(memory->base);
		memory->base = aligned_alloc(CV_PAGE, whole);
	}
	assert(memory->base != NULL);
	memset(memory->base, 0, whole);
	memory->size = size;
	memory->holds = 1;
	return number;
}

void memory_hold(int memory)
{
	assert(memories[memory].holds > 0);
	memories[memory].holds++;
}

void memory_drop(int memory)
{
	assert(memory >= 0 && memories[memory].holds > 0);
	memories[memory].holds--;
}

uint8_t *memory_base(int memory)
{
	assert(memories[memory].holds > 0);
	return memories[memory].base;
}

uint64_t memory_size(int memory)
{
	return memories[memory].size;
}

/* ---- both ends ---- */

void socket_clear(void)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		sockets[i].used = false;
	for (uint32_t i = 0; i < MEMORIES_MAX; i++)
		memories[i].holds = 0;
}

struct socket *socket_at(int number)
{
	assert(number >= 0 && number < SOCKETS_MAX);
	assert(sockets[number].used);
	return &sockets[number];
}

static void release(struct socket *socket)
{
	if (socket->holds > 0 || socket->daemon_open)
		return;
	if (socket->up >= 0) {
		memory_drop(socket->up);
		memory_drop(socket->down);
	}
	socket->used = false;
}

/* ---- the client's end ---- */

int socket_new(uint32_t client)
{
	for (int i = 0; i < SOCKETS_MAX; i++) {
		struct socket *socket = &sockets[i];
		if (socket->used)
			continue;
		memset(socket, 0, sizeof(*socket));
		socket->used = true;
		socket->client_open = true;
		socket->client = client;
		socket->machine = client_home(client);
		socket->handle = -1;
		socket->up = -1;
		socket->down = -1;
		return i;
	}
	return -EMFILE;
}

int socket_connect(int number)
{
	struct socket *socket = socket_at(number);
	enum machine_state state = machine_view(socket->machine)->state;
	if (state != MACHINE_AWAKE && state != MACHINE_ASLEEP)
		return -ECONNREFUSED;
	socket->daemon_open = true;
	machine_kick(socket->machine);
	return 0;
}

int socket_send(int number, const void *bytes, uint32_t size)
{
	struct socket *socket = socket_at(number);
	if (!socket->daemon_open)
		return -EPIPE;
	if (socket->in_count == SOCKET_QUEUE)
		return -EAGAIN;
	assert(size <= CV_MESSAGE_SIZE);
	struct socket_message *message = &socket->in[socket->in_count++];
	memset(message, 0, sizeof(*message));
	memcpy(message->bytes, bytes, size);
	message->size = size;
	machine_kick(socket->machine);
	return 0;
}

void socket_client_close(int number)
{
	struct socket *socket = socket_at(number);
	socket->client_open = false;
	machine_kick(socket->machine);
}

void socket_hold(int number)
{
	socket_at(number)->holds++;
}

void socket_drop(int number)
{
	struct socket *socket = socket_at(number);
	assert(socket->holds > 0);
	socket->holds--;
	release(socket);
}

/* ---- the daemon's end ---- */

static bool is_served(const struct socket *socket, uint32_t machine)
{
	return socket->used && socket->daemon_open &&
	       socket->machine == machine;
}

/* The connection of a handle. */
static struct socket *socket_of(uint32_t machine, int handle)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (is_served(&sockets[i], machine) &&
		    sockets[i].handle == handle)
			return &sockets[i];
	return NULL;
}

static void answer(struct socket *socket)
{
	assert(socket->out_count < SOCKET_QUEUE);
	struct socket_message *message = &socket->out[socket->out_count++];
	memcpy(message->bytes, &socket->welcome, sizeof(socket->welcome));
	message->size = sizeof(socket->welcome);
	socket->events++;
	client_wake(socket->client);
}

static void refuse(struct socket *socket, int status)
{
	sim_trace("daemon: refuses client % with %", socket->client,
		  (int64_t)status);
	socket->welcome.status = status;
	answer(socket);
}

static void greet(struct node *node, struct socket *socket,
		  const struct socket_message *message)
{
	struct node_peer peer = {.uid = 0};
	assert(message->size == sizeof(peer.hello));
	memcpy(&peer.hello, message->bytes, sizeof(peer.hello));
	socket->greeted = true;
	socket->resumes = (peer.hello.flags & CV_HELLO_RESUME) != 0;
	int status = node_greet(node, &peer, &socket->welcome);
	if (status != 0) {
		refuse(socket, status);
		return;
	}
	socket->up = memory_new(socket->welcome.up_size);
	socket->down = memory_new(socket->welcome.down_size);
	status =
		node_attach(node, &peer, &socket->welcome,
			    memory_base(socket->up), memory_base(socket->down));
	if (status < 0) {
		refuse(socket, status);
		return;
	}
	socket->handle = status;
	posts_attach(socket);
	sim_trace("daemon: client % has handle %, flags %", socket->client,
		  socket->handle, peer.hello.flags);
}

static void hear(struct node *node, struct socket *socket)
{
	for (uint32_t i = 0; i < socket->in_count; i++) {
		if (!socket->greeted)
			greet(node, socket, &socket->in[i]);
		else if (socket->handle >= 0)
			node_bye(node, socket->handle);
	}
	socket->in_count = 0;
}

static void hang_up(struct node *node, struct socket *socket)
{
	sim_trace("daemon: client % hung up, handle %", socket->client,
		  (int64_t)socket->handle);
	if (socket->handle >= 0) {
		posts_detach(socket);
		node_detach(node, socket->handle);
	}
	socket->daemon_open = false;
	release(socket);
}

void socket_serve(uint32_t machine, struct node *node)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		struct socket *socket = &sockets[i];
		if (!is_served(socket, machine))
			continue;
		if (socket->in_count > 0)
			hear(node, socket);
		if (!socket->client_open)
			hang_up(node, socket);
	}
}

void socket_welcome(uint32_t machine, const struct node_event *event)
{
	struct socket *socket = socket_of(machine, event->handle);
	assert(socket != NULL);
	socket->welcome.status = event->status;
	socket->welcome.epoch = event->epoch;
	socket->welcome.revision = event->revision;
	socket->welcome.session_known = event->session_known;
	if (socket->resumes && event->status == 0)
		SIM_SOMETIMES(RESUMED);
	if (event->status == 0)
		posts_open(socket);
	sim_trace("daemon: welcomes client %, status %, epoch %, known %",
		  socket->client, (int64_t)event->status, event->epoch,
		  event->session_known);
	answer(socket);
}

void socket_wake(uint32_t machine, int handle)
{
	struct socket *socket = socket_of(machine, handle);
	assert(socket != NULL && socket->down >= 0);
	if (sim.bug == SIM_BUG_LOST_WAKE && sim_below(SIM_DAEMON, 4) == 0)
		return;
	const uint8_t *word = memory_base(socket->down) + CV_HEADER_SIZE;
	client_futex_wake(word);
}

/* An older connection of a session that came again on a newer one. */
void socket_expel(uint32_t machine, int handle)
{
	struct socket *socket = socket_of(machine, handle);
	assert(socket != NULL);
	sim_check(!socket->client_open,
		  "the daemon expels client %u, which is honest",
		  socket->client);
}

void socket_ring(uint32_t machine, int handle)
{
	struct socket *socket = socket_of(machine, handle);
	assert(socket != NULL);
	if (sim.bug == SIM_BUG_LOST_WAKE && sim_below(SIM_DAEMON, 4) == 0)
		return;
	socket->rings++;
	client_wake(socket->client);
}

void socket_daemon_died(uint32_t machine)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		struct socket *socket = &sockets[i];
		if (!is_served(socket, machine))
			continue;
		socket->daemon_open = false;
		socket->events++;
		if (socket->client_open)
			client_wake(socket->client);
		release(socket);
	}
	posts_forget(machine);
}

bool socket_busy(uint32_t machine)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (is_served(&sockets[i], machine))
			return true;
	return false;
}
