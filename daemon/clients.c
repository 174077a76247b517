/*
 * The table of clients, and what moves one from state to state.
 */
#include "daemon/clients.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t clients_watches(uint32_t handles_max)
{
	return (handles_max + CLIENTS_ARRIVED_MAX) * CLIENTS_WATCHES;
}

int clients_init(struct clients *clients, const struct clients_ground *ground)
{
	memset(clients, 0, sizeof(*clients));
	assert(ground->handles_max > 0);
	assert(ground->handles_max <= NODE_HANDLES_MAX);
	clients->engine = ground->engine;
	clients->node = ground->node;
	clients->log = ground->log;
	clients->listener = ground->listener;
	clients->status_page = ground->status_page;
	clients->count = ground->handles_max + CLIENTS_ARRIVED_MAX;
	clients->next_deadline_ns = UINT64_MAX;
	clients->handles = calloc(clients->count, sizeof(*clients->handles));
	if (!clients->handles)
		return -ENOMEM;
	for (uint32_t i = 0; i < clients->count; i++) {
		handle_init(&clients->handles[i]);
		clients->handles[i].next = i + 1;
	}
	for (uint32_t i = 0; i < NODE_HANDLES_MAX; i++)
		clients->of_node[i] = -1;
	return 0;
}

static struct handle *at(struct clients *clients, uint32_t place)
{
	assert(place < clients->count);
	assert(clients->handles[place].state != HANDLE_FREE);
	return &clients->handles[place];
}

static uint32_t place_of(const struct clients *clients,
			 const struct handle *handle)
{
	return (uint32_t)(handle - clients->handles);
}

/* ---- log lines ---- */

static void begin_line(struct clients *clients, const struct handle *handle,
		       enum log_level level, const char *message)
{
	struct log *log = clients->log;
	char name[sizeof(handle->peer.hello.name) + 1] = "";

	memcpy(name, handle->peer.hello.name, sizeof(name) - 1);
	log_begin(log, level, message);
	log_number(log, "client", place_of(clients, handle));
	log_number(log, "pid", handle->who.pid);
	log_number(log, "uid", handle->who.uid);
	if (name[0] != '\0')
		log_text(log, "name", name);
}

static const char *refusal_text(int32_t status)
{
	switch (status) {
	case CONCLAVE_EPERM:
		return "this user may not connect, see option allow";
	case CONCLAVE_EVERSION:
		return "the client speaks another version";
	case CONCLAVE_EBADREQ:
		return "its hello is malformed";
	case CONCLAVE_ETOOMANY:
		return "too many handles, see option handles-max";
	case CONCLAVE_ETOOLARGE:
		return "it asks for more memory than there may be";
	case CONCLAVE_ESESSION:
		return "its session has expired";
	default:
		return "refused";
	}
}

static void log_refusal(struct clients *clients, const struct handle *handle,
			int32_t status)
{
	begin_line(clients, handle, LOG_WARN, "client refused");
	log_text(clients->log, "why", refusal_text(status));
	log_signed(clients->log, "status", status);
	log_end(clients->log);
}

/* ---- going ---- */

static void unwatch(struct clients *clients, int *watch)
{
	if (*watch >= 0)
		engine_unwatch(clients->engine, *watch);
	*watch = -1;
}

/* No longer one that awaits its greeting. */
static void leave_arrived(struct clients *clients, struct handle *handle)
{
	if (handle->state != HANDLE_ARRIVED)
		return;
	assert(clients->arrived > 0);
	clients->arrived--;
	if (!handle->who.allowed)
		clients->refused--;
}

static void let_go(struct clients *clients, struct handle *handle)
{
	uint32_t place = place_of(clients, handle);

	leave_arrived(clients, handle);
	if (handle->node_handle >= 0) {
		node_detach(clients->node, handle->node_handle);
		clients->of_node[handle->node_handle] = -1;
		handle->node_handle = -1;
	}
	unwatch(clients, &handle->socket_watch);
	unwatch(clients, &handle->process_watch);
	unwatch(clients, &handle->bell_watch);
	handle_close(handle);
	assert(handle->state == HANDLE_FREE);
	handle->next = clients->free;
	clients->free = place;
}

static void let_go_saying(struct clients *clients, struct handle *handle,
			  enum log_level level, const char *message)
{
	begin_line(clients, handle, level, message);
	log_end(clients->log);
	let_go(clients, handle);
}

static void refuse(struct clients *clients, struct handle *handle,
		   int32_t status)
{
	log_refusal(clients, handle, status);
	handle_refuse(handle, status);
	let_go(clients, handle);
}

/* ---- coming ---- */

/* There is no place, not even to wait for its hello. */
static void turn_away(struct clients *clients, int connection,
		      const struct listen_peer *who)
{
	struct handle handle;

	handle_init(&handle);
	handle.socket = connection;
	handle.who = *who;
	handle_refuse(&handle, CONCLAVE_ETOOMANY);
	handle_close(&handle);
	log_begin(clients->log, LOG_WARN, "client turned away");
	log_number(clients->log, "uid", who->uid);
	log_number(clients->log, "waiting", clients->arrived);
	log_end(clients->log);
}

static bool has_place(const struct clients *clients,
		      const struct listen_peer *who)
{
	if (clients->free == clients->count)
		return false;
	if (clients->arrived == CLIENTS_ARRIVED_MAX)
		return false;
	return who->allowed || clients->refused < CLIENTS_REFUSED_MAX;
}

static int watch_arrived(struct clients *clients, struct handle *handle)
{
	uint32_t place = place_of(clients, handle);
	int watch = engine_watch(clients->engine, handle->socket, ENGINE_CLIENT,
				 place);

	if (watch < 0)
		return watch;
	handle->socket_watch = watch;
	if (handle->process < 0)
		return 0;
	watch = engine_watch(clients->engine, handle->process, ENGINE_DEATH,
			     place);
	if (watch < 0)
		return watch;
	handle->process_watch = watch;
	return 0;
}

void clients_arrive(struct clients *clients, int connection, uint64_t now_ns)
{
	struct listen_peer who;

	if (listen_identify(clients->listener, connection, &who) < 0) {
		(void)close(connection); /* it is nobody's */
		return;
	}
	if (!has_place(clients, &who)) {
		turn_away(clients, connection, &who);
		return;
	}
	struct handle *handle = &clients->handles[clients->free];
	clients->free = handle->next;
	handle_arrive(handle, connection, &who);
	clients->arrived++;
	if (!who.allowed)
		clients->refused++;
	handle->deadline_ns = now_ns + CLIENTS_HELLO_NS;
	if (clients->next_deadline_ns > handle->deadline_ns)
		clients->next_deadline_ns = handle->deadline_ns;
	if (watch_arrived(clients, handle) < 0)
		let_go_saying(clients, handle, LOG_ERROR,
			      "client cannot be watched");
}

static int equip(struct clients *clients, struct handle *handle)
{
	int result = handle_equip(handle);

	if (result == 0) {
		result = engine_watch(clients->engine, handle->bell,
				      ENGINE_BELL, place_of(clients, handle));
		handle->bell_watch = result < 0 ? -1 : result;
	}
	if (result >= 0)
		return 0;
	begin_line(clients, handle, LOG_ERROR, "no means for a client");
	log_errno(clients->log, result);
	log_text(clients->log, "next",
		 "raise the limit of open files, or give it more memory");
	log_end(clients->log);
	return CONCLAVE_ETOOMANY;
}

/* Its hello is there: greet, equip, attach; the node says when it is in. */
static int enter(struct clients *clients, struct handle *handle)
{
	int result = node_greet(clients->node, &handle->peer, &handle->welcome);

	if (result < 0)
		return result;
	handle->welcome.status_size = CV_PAGE;
	result = equip(clients, handle);
	if (result < 0)
		return result;
	result = node_attach(clients->node, &handle->peer, &handle->welcome,
			     handle->up.base, handle->down.base);
	if (result < 0)
		return result;
	assert(result < NODE_HANDLES_MAX);
	assert(clients->of_node[result] < 0);
	handle->node_handle = result;
	clients->of_node[result] = (int32_t)place_of(clients, handle);
	leave_arrived(clients, handle);
	handle->state = HANDLE_ENTERING;
	return 0;
}

void clients_hear(struct clients *clients, uint32_t owner)
{
	struct handle *handle = at(clients, owner);
	enum handle_message message = handle_hear(handle);

	if (message == HANDLE_HELLO) {
		int status = handle->refusal;
		if (status == 0)
			status = enter(clients, handle);
		if (status < 0) {
			refuse(clients, handle, status);
			return;
		}
		message = handle_hear(handle); /* what followed at once */
	}
	switch (message) {
	case HANDLE_SILENCE:
		return;
	case HANDLE_BYE:
		node_bye(clients->node, handle->node_handle);
		let_go_saying(clients, handle, LOG_DEBUG, "client said bye");
		return;
	case HANDLE_END:
		let_go_saying(clients, handle, LOG_DEBUG, "client left");
		return;
	default:
		let_go_saying(clients, handle, LOG_WARN,
			      "client sent what belongs nowhere");
		return;
	}
}

void clients_bury(struct clients *clients, uint32_t owner)
{
	let_go_saying(clients, at(clients, owner), LOG_DEBUG, "client died");
}

/* ---- what the node says ---- */

static void welcome(struct clients *clients, struct handle *handle,
		    const struct node_event *event)
{
	assert(handle->state == HANDLE_ENTERING);
	if (event->status < 0) {
		refuse(clients, handle, event->status);
		return;
	}
	handle->welcome.epoch = event->epoch;
	handle->welcome.revision = event->revision;
	handle->welcome.session_known = event->session_known;
	int result = handle_welcome(handle, clients->status_page);
	if (result < 0) {
		let_go_saying(clients, handle, LOG_DEBUG,
			      "client left before its welcome");
		return;
	}
	handle->state = HANDLE_OPEN;
	begin_line(clients, handle, LOG_DEBUG, "client in");
	log_number(clients->log, "epoch", event->epoch);
	log_end(clients->log);
}

void clients_do(struct clients *clients, const struct node_event *event)
{
	assert(event->handle >= 0 && event->handle < NODE_HANDLES_MAX);
	int32_t place = clients->of_node[event->handle];
	if (place < 0)
		return; /* it has gone since */
	struct handle *handle = at(clients, (uint32_t)place);
	switch (event->kind) {
	case NODE_WELCOME:
		welcome(clients, handle, event);
		return;
	case NODE_WAKE:
		handle_wake(handle);
		return;
	case NODE_RING:
		handle_ring(handle);
		return;
	default:
		assert(event->kind == NODE_EXPEL);
		let_go_saying(clients, handle, LOG_WARN,
			      "client broke the protocol and was expelled");
		return;
	}
}

/* ---- time ---- */

void clients_expire(struct clients *clients, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	if (now_ns < clients->next_deadline_ns)
		return;
	for (uint32_t i = 0; i < clients->count; i++) {
		struct handle *handle = &clients->handles[i];
		if (handle->state != HANDLE_ARRIVED)
			continue;
		if (now_ns >= handle->deadline_ns)
			let_go_saying(clients, handle, LOG_WARN,
				      "client did not say hello in time");
		else if (next_ns > handle->deadline_ns)
			next_ns = handle->deadline_ns;
	}
	clients->next_deadline_ns = next_ns;
}

void clients_stop(struct clients *clients)
{
	for (uint32_t i = 0; i < clients->count; i++) {
		if (clients->handles[i].state == HANDLE_ARRIVED)
			let_go(clients, &clients->handles[i]);
	}
	assert(clients->arrived == 0);
	clients->next_deadline_ns = UINT64_MAX;
}
