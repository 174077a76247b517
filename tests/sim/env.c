/*
 * The world as the client header sees it through shm/env.h.
 *
 * A descriptor belongs to one client and leads to a connection, a memory, a
 * doorbell, a completion eventfd, or a gathering of the last two kinds. What
 * a dead client leaves open is closed for it, as a kernel does.
 */
#include "tests/sim/env_fd.h"
#include "tests/sim/client.h"
#include "tests/sim/machine.h"
#include "tests/sim/sim.h"
#include "tests/sim/socket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct map {
	uint8_t *base; /* NULL: free */
	uint32_t client;
	int memory; /* -1: private */
};

struct fd env_fds[FDS_MAX];
struct gather env_gathers[GATHERS_MAX];
static struct map maps[MAPS_MAX];

/* ---- descriptors ---- */

int env_fd_new(enum fd_kind kind, int object)
{
	for (int i = 3; i < FDS_MAX; i++) {
		if (env_fds[i].kind != FD_FREE)
			continue;
		env_fds[i] = (struct fd){kind, client_current(), object};
		if (env_leads_to_socket(kind))
			socket_hold(object);
		if (kind == FD_MEMORY)
			memory_hold(object);
		return i;
	}
	return -EMFILE;
}

static void fd_close(int number)
{
	struct fd *fd = &env_fds[number];
	if (fd->kind == FD_SOCKET)
		socket_client_close(fd->object);
	if (env_leads_to_socket(fd->kind))
		socket_drop(fd->object);
	if (fd->kind == FD_MEMORY)
		memory_drop(fd->object);
	if (fd->kind == FD_GATHER)
		env_gathers[fd->object].used = false;
	fd->kind = FD_FREE;
}

struct fd *env_fd(int number, enum fd_kind kind)
{
	assert(number >= 3 && number < FDS_MAX);
	struct fd *fd = &env_fds[number];
	sim_check(fd->kind == kind && fd->client == client_current(),
		  "client %u uses descriptor %d, which is not its own",
		  client_current(), number);
	return fd;
}

static void map_free(struct map *map)
{
	if (map->memory >= 0)
		memory_drop(map->memory);
	else
		free(map->base);
	map->base = NULL;
}

void env_client_died(uint32_t client)
{
	for (int i = 3; i < FDS_MAX; i++)
		if (env_fds[i].kind != FD_FREE && env_fds[i].client == client)
			fd_close(i);
	for (uint32_t i = 0; i < MAPS_MAX; i++)
		if (maps[i].base != NULL && maps[i].client == client)
			map_free(&maps[i]);
}

bool env_connected(int fd)
{
	assert(fd >= 3 && fd < FDS_MAX && env_fds[fd].kind == FD_SOCKET);
	return socket_at(env_fds[fd].object)->daemon_open;
}

uint32_t env_client_holds(uint32_t client)
{
	uint32_t count = 0;
	for (int i = 3; i < FDS_MAX; i++)
		count += env_fds[i].kind != FD_FREE &&
			 env_fds[i].client == client;
	for (uint32_t i = 0; i < MAPS_MAX; i++)
		count += maps[i].base != NULL && maps[i].client == client;
	return count;
}

void env_clear(void)
{
	for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++)
		env_client_died(i);
}

/* ---- the socket ---- */

int cv_env_socket(void)
{
	client_point();
	int object = socket_new(client_current());
	return object < 0 ? object : env_fd_new(FD_SOCKET, object);
}

int cv_env_connect(int fd, const char *path)
{
	client_point();
	assert(path[0] == '/');
	return socket_connect(env_fd(fd, FD_SOCKET)->object);
}

int cv_env_peer_uid(int fd, uint32_t *ret_uid)
{
	client_point();
	(void)env_fd(fd, FD_SOCKET);
	*ret_uid = 0;
	return 0;
}

int cv_env_send(int fd, const void *bytes, size_t size)
{
	client_point();
	return socket_send(env_fd(fd, FD_SOCKET)->object, bytes,
			   (uint32_t)size);
}

/* Up, down, status page, doorbell, completion eventfd. */
static void take_descriptors(int object, struct cv_env_message *message)
{
	const struct socket *socket = socket_at(object);
	int status = machine_view(socket->machine)->status_memory;
	message->fds[0] = env_fd_new(FD_MEMORY, socket->up);
	message->fds[1] = env_fd_new(FD_MEMORY, socket->down);
	message->fds[2] = env_fd_new(FD_MEMORY, status);
	message->fds[3] = env_fd_new(FD_BELL, object);
	message->fds[4] = env_fd_new(FD_EVENT, object);
	message->fd_count = CV_FD_COUNT;
}

int cv_env_receive(int fd, struct cv_env_message *message)
{
	client_point();
	int object = env_fd(fd, FD_SOCKET)->object;
	struct socket *socket = socket_at(object);
	message->fd_count = 0;
	if (!socket->daemon_open) {
		message->size = 0;
		return 0;
	}
	if (socket->out_count == 0)
		return -EAGAIN;
	const struct socket_message *first = &socket->out[0];
	if (first->size > message->size)
		return -EMSGSIZE;
	memcpy(message->bytes, first->bytes, first->size);
	message->size = first->size;
	if (socket->welcome.status == 0)
		take_descriptors(object, message);
	socket->out_count--;
	memmove(&socket->out[0], &socket->out[1],
		socket->out_count * sizeof(socket->out[0]));
	return 0;
}

void cv_env_close(int fd)
{
	client_point();
	if (fd < 0)
		return;
	sim_check(fd >= 3 && fd < FDS_MAX && env_fds[fd].kind != FD_FREE &&
			  env_fds[fd].client == client_current(),
		  "client %u closes descriptor %d, which is not its own",
		  client_current(), fd);
	fd_close(fd);
}

/* ---- memory ---- */

static struct map *map_new(void)
{
	for (uint32_t i = 0; i < MAPS_MAX; i++)
		if (maps[i].base == NULL)
			return &maps[i];
	assert(false);
	return NULL;
}

int64_t cv_env_sealed_size(int fd)
{
	client_point();
	return (int64_t)memory_size(env_fd(fd, FD_MEMORY)->object);
}

void *cv_env_map(int fd, size_t size, int writable)
{
	client_point();
	(void)writable;
	int memory = env_fd(fd, FD_MEMORY)->object;
	assert(size <= memory_size(memory));
	struct map *map = map_new();
	memory_hold(memory);
	*map = (struct map){memory_base(memory), client_current(), memory};
	return map->base;
}

void *cv_env_memory(size_t size, int wiped)
{
	client_point();
	(void)wiped;
	struct map *map = map_new();
	uint8_t *base = aligned_alloc(CV_PAGE, (size + CV_PAGE - 1) &
						       ~(size_t)(CV_PAGE - 1));
	assert(base != NULL);
	memset(base, 0, size);
	*map = (struct map){base, client_current(), -1};
	return base;
}

void cv_env_unmap(void *base, size_t size)
{
	client_point();
	(void)size;
	if (base == NULL)
		return;
	for (uint32_t i = 0; i < MAPS_MAX; i++) {
		struct map *map = &maps[i];
		if (map->base != base || map->client != client_current())
			continue;
		map_free(map);
		return;
	}
	sim_fail(SIM_BROKEN, "client %u unmaps what is not its own",
		 client_current());
}

/* ---- the rest ---- */

void cv_env_touch(enum cv_touch kind)
{
	(void)kind;
	client_point();
}

int cv_env_random(void *bytes, size_t size)
{
	uint8_t *byte = bytes;
	for (size_t i = 0; i < size; i++)
		byte[i] = (uint8_t)sim_random(SIM_CLIENT);
	return 0;
}

uint64_t cv_env_now(void)
{
	return client_now();
}

uint64_t cv_env_now_coarse(void)
{
	return client_now() - client_now() % (4 * SIM_MS);
}

uint64_t cv_env_boot_now(void)
{
	return client_now();
}

int cv_env_sleep(uint64_t ns)
{
	client_point();
	uint64_t end = client_now() + ns;
	while (client_now() < end)
		client_sleep(end - client_now());
	return 0;
}

void cv_env_relax(void)
{
	client_sleep(sim_between(SIM_CLIENT, 200, 2000));
}

uint32_t cv_env_cpus(void)
{
	return 1 + (uint32_t)sim_below(SIM_CLIENT, 4);
}

uint32_t cv_env_uid(void)
{
	return 0;
}

const char *cv_env_variable(const char *name)
{
	(void)name;
	return NULL;
}
