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
	clients->all = calloc(clients->count, sizeof(*clients->all));
	if (!clients->all)
		return -ENOMEM;
	for (uint32_t i = 0; i < clients->count; i++) {
		client_init(&clients->all[i]);
		clients->all[i].next = i + 1;
	}
	for (uint32_t i = 0; i < NODE_HANDLES_MAX; i++)
		clients->of_node[i] = -1;
	return 0;
}

static struct client *at(struct clients *clients, uint32_t place)
{
	assert(place < clients->count);
	assert(clients->all[place].state != CLIENT_FREE);
	return &clients->all[place];
}

static uint32_t place_of(const struct clients *clients,
			 const struct client *client)
{
	return (uint32_t)(client - clients->all);
}

/* ---- log lines ---- */

/* Whether there may be one more, if it is no question of life or death. */
static bool may_say(struct clients *clients)
{
	return clients->lines++ < CLIENTS_LINES_MAX;
}

/* Counts lines anew; those that were left out are one line. */
static void renew_lines(struct clients *clients)
{
	uint32_t lines = clients->lines;

	if (lines == 0 || clients->now_ns < clients->lines_until_ns)
		return;
	clients->lines = 0;
	clients->lines_until_ns = clients->now_ns + CLIENTS_LINES_NS;
	if (lines <= CLIENTS_LINES_MAX)
		return;
	log_begin(clients->log, LOG_WARN, "lines about clients left out");
	log_number(clients->log, "count", lines - CLIENTS_LINES_MAX);
	log_end(clients->log);
}

static void begin_line(struct clients *clients, const struct client *client,
		       enum log_level level, const char *message)
{
	struct log *log = clients->log;
	char name[sizeof(client->peer.hello.name) + 1] = "";

	memcpy(name, client->peer.hello.name, sizeof(name) - 1);
	log_begin(log, level, message);
	log_number(log, "client", place_of(clients, client));
	log_number(log, "pid", client->who.pid);
	log_number(log, "uid", client->who.uid);
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

static void log_refusal(struct clients *clients, const struct client *client,
			int32_t status)
{
	if (!may_say(clients))
		return;
	begin_line(clients, client, LOG_WARN, "client refused");
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
static void leave_arrived(struct clients *clients, struct client *client)
{
	if (client->state != CLIENT_ARRIVED)
		return;
	assert(clients->arrived > 0);
	clients->arrived--;
	if (!client->who.allowed)
		clients->refused--;
}

static void let_go(struct clients *clients, struct client *client)
{
	uint32_t place = place_of(clients, client);

	leave_arrived(clients, client);
	if (client->node_handle >= 0) {
		node_detach(clients->node, client->node_handle);
		clients->of_node[client->node_handle] = -1;
		client->node_handle = -1;
	}
	unwatch(clients, &client->socket_watch);
	unwatch(clients, &client->process_watch);
	unwatch(clients, &client->bell_watch);
	client_close(client);
	assert(client->state == CLIENT_FREE);
	client->next = clients->free;
	clients->free = place;
}

static void let_go_saying(struct clients *clients, struct client *client,
			  enum log_level level, const char *message)
{
	if (level == LOG_DEBUG || may_say(clients)) {
		begin_line(clients, client, level, message);
		log_end(clients->log);
	}
	let_go(clients, client);
}

static void refuse(struct clients *clients, struct client *client,
		   int32_t status)
{
	log_refusal(clients, client, status);
	client_refuse(client, status);
	let_go(clients, client);
}

/* ---- coming ---- */

/* There is no place, not even to wait for its hello. */
static void turn_away(struct clients *clients, int connection,
		      const struct listen_peer *who)
{
	struct client client;

	client_init(&client);
	client.socket = connection;
	client.who = *who;
	client_refuse(&client, CONCLAVE_ETOOMANY);
	client_close(&client);
	if (!may_say(clients))
		return;
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

static int watch_arrived(struct clients *clients, struct client *client)
{
	uint32_t place = place_of(clients, client);
	int watch = engine_watch(clients->engine, client->socket, ENGINE_CLIENT,
				 place);

	if (watch < 0)
		return watch;
	client->socket_watch = watch;
	if (client->process < 0)
		return 0;
	watch = engine_watch(clients->engine, client->process, ENGINE_DEATH,
			     place);
	if (watch < 0)
		return watch;
	client->process_watch = watch;
	return 0;
}

void clients_arrive(struct clients *clients, int connection)
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
	struct client *client = &clients->all[clients->free];
	clients->free = client->next;
	client_arrive(client, connection, &who);
	clients->arrived++;
	if (!who.allowed)
		clients->refused++;
	client->deadline_ns = clients->now_ns + CLIENTS_HELLO_NS;
	if (clients->next_deadline_ns > client->deadline_ns)
		clients->next_deadline_ns = client->deadline_ns;
	if (watch_arrived(clients, client) < 0)
		let_go_saying(clients, client, LOG_ERROR,
			      "client cannot be watched");
}

static int equip(struct clients *clients, struct client *client)
{
	int result = client_equip(client);

	if (result == 0) {
		result = engine_watch(clients->engine, client->bell,
				      ENGINE_BELL, place_of(clients, client));
		client->bell_watch = result < 0 ? -1 : result;
	}
	if (result >= 0)
		return 0;
	begin_line(clients, client, LOG_ERROR, "no means for a client");
	log_errno(clients->log, result);
	log_text(clients->log, "next",
		 "raise the limit of open files, or give it more memory");
	log_end(clients->log);
	return CONCLAVE_ETOOMANY;
}

/* Its hello is there: greet, equip, attach; the node says when it is in. */
static int enter(struct clients *clients, struct client *client)
{
	int result = node_greet(clients->node, &client->peer, &client->welcome);

	if (result < 0)
		return result;
	client->welcome.status_size = CV_PAGE;
	result = equip(clients, client);
	if (result < 0)
		return result;
	result = node_attach(clients->node, &client->peer, &client->welcome,
			     client->up.base, client->down.base);
	if (result < 0)
		return result;
	assert(result < NODE_HANDLES_MAX);
	assert(clients->of_node[result] < 0);
	client->node_handle = result;
	clients->of_node[result] = (int32_t)place_of(clients, client);
	leave_arrived(clients, client);
	client->state = CLIENT_ENTERING;
	return 0;
}

void clients_hear(struct clients *clients, uint32_t owner)
{
	struct client *client = at(clients, owner);
	enum client_message message = client_hear(client);

	if (message == CLIENT_HELLO) {
		int status = client->refusal;
		if (status == 0)
			status = enter(clients, client);
		if (status < 0) {
			refuse(clients, client, status);
			return;
		}
		message = client_hear(client); /* what followed at once */
	}
	switch (message) {
	case CLIENT_SILENCE:
		return;
	case CLIENT_BYE:
		node_bye(clients->node, client->node_handle);
		let_go_saying(clients, client, LOG_DEBUG, "client said bye");
		return;
	case CLIENT_END:
		let_go_saying(clients, client, LOG_DEBUG, "client left");
		return;
	default:
		let_go_saying(clients, client, LOG_WARN,
			      "client sent what belongs nowhere");
		return;
	}
}

/* An event is a hint: a watch may be armed anew, and is told of nothing. */
void clients_bury(struct clients *clients, uint32_t owner)
{
	struct client *client = at(clients, owner);

	if (client_is_dead(client))
		let_go_saying(clients, client, LOG_DEBUG, "client died");
}

/* ---- what the node says ---- */

static void welcome(struct clients *clients, struct client *client,
		    const struct node_event *event)
{
	assert(client->state == CLIENT_ENTERING);
	if (event->status < 0) {
		refuse(clients, client, event->status);
		return;
	}
	client->welcome.epoch = event->epoch;
	client->welcome.revision = event->revision;
	client->welcome.session_known = event->session_known;
	int result = client_welcome(client, clients->status_page);
	if (result < 0) {
		let_go_saying(clients, client, LOG_DEBUG,
			      "client left before its welcome");
		return;
	}
	client->state = CLIENT_OPEN;
	begin_line(clients, client, LOG_DEBUG, "client in");
	log_number(clients->log, "epoch", event->epoch);
	log_end(clients->log);
}

void clients_do(struct clients *clients, const struct node_event *event)
{
	assert(event->handle >= 0 && event->handle < NODE_HANDLES_MAX);
	int32_t place = clients->of_node[event->handle];
	if (place < 0)
		return; /* it has gone since */
	struct client *client = at(clients, (uint32_t)place);
	switch (event->kind) {
	case NODE_WELCOME:
		welcome(clients, client, event);
		return;
	case NODE_WAKE:
		client_wake(client);
		return;
	case NODE_RING:
		client_ring(client);
		return;
	default:
		assert(event->kind == NODE_EXPEL);
		let_go_saying(clients, client, LOG_WARN,
			      "client broke the protocol and was expelled");
		return;
	}
}

/* ---- time ---- */

static void expire(struct clients *clients)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = 0; i < clients->count; i++) {
		struct client *client = &clients->all[i];
		if (client->state != CLIENT_ARRIVED)
			continue;
		if (clients->now_ns >= client->deadline_ns)
			let_go_saying(clients, client, LOG_WARN,
				      "client did not say hello in time");
		else if (next_ns > client->deadline_ns)
			next_ns = client->deadline_ns;
	}
	clients->next_deadline_ns = next_ns;
}

void clients_turn(struct clients *clients, uint64_t now_ns)
{
	clients->now_ns = now_ns;
	renew_lines(clients);
	if (now_ns >= clients->next_deadline_ns)
		expire(clients);
}

void clients_stop(struct clients *clients)
{
	for (uint32_t i = 0; i < clients->count; i++) {
		if (clients->all[i].state == CLIENT_ARRIVED)
			let_go(clients, &clients->all[i]);
	}
	assert(clients->arrived == 0);
	clients->next_deadline_ns = UINT64_MAX;
}
