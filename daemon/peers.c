/*
 * The table of links, and what a turn does with each.
 */
#include "daemon/peers.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int peers_init(struct peers *peers, const struct peers_ground *ground)
{
	assert(ground->member != 0 && ground->incarnation != 0);
	memset(peers, 0, sizeof(*peers));
	peers->engine = ground->engine;
	peers->node = ground->node;
	peers->log = ground->log;
	peers->helper = ground->helper;
	memcpy(peers->cluster, ground->cluster, sizeof(peers->cluster));
	peers->member = ground->member;
	peers->incarnation = ground->incarnation;
	peers->plaintext = ground->plaintext;
	peers->random = ground->seed;
	peers->change = UINT64_MAX; /* none that the node could name */
	if (!ground->keys)
		return 0;
	peers->tls = calloc(PEERS_LINKS_MAX, sizeof(*peers->tls));
	if (!peers->tls)
		return -ENOMEM;
	peers->keys = *ground->keys;
	return 0;
}

void peers_release(struct peers *peers)
{
	for (uint32_t i = 0; i < peers->used; i++) {
		if (peers->links[i].state != LINK_FREE)
			link_end(&peers->links[i], peers->engine);
	}
	peers->used = 0;
	tls_keys_close(&peers->keys);
	free(peers->tls);
	peers->tls = NULL;
}

int peers_number(const struct peers *peers, const struct link *link)
{
	return (int)(link - peers->links);
}

struct peers_member *peers_find(struct peers *peers, uint64_t id)
{
	for (uint32_t i = 0; id != 0 && i < peers->others; i++) {
		if (peers->members[i].id == id)
			return &peers->members[i];
	}
	return NULL;
}

struct wire_greeting peers_greeting(const struct peers *peers, uint64_t to,
				    uint8_t lane)
{
	struct wire_greeting greeting = {
		.from = peers->member,
		.to = to,
		.incarnation = peers->incarnation,
		.lane = lane,
		.version = (uint16_t)node_version(peers->node),
		.in_force = (uint16_t)node_cluster_version(peers->node),
		.entry_max = node_entry_max(peers->node),
	};

	memcpy(greeting.cluster, peers->cluster, sizeof(greeting.cluster));
	return greeting;
}

/* ---- log lines ---- */

bool peers_may_say(struct peers *peers)
{
	return peers->lines++ < PEERS_LINES_MAX;
}

/* Counts lines anew; those that were left out are one line. */
static void renew_lines(struct peers *peers)
{
	uint32_t lines = peers->lines;

	if (lines == 0 || peers->now_ns < peers->lines_until_ns)
		return;
	peers->lines = 0;
	peers->lines_until_ns = peers->now_ns + PEERS_LINES_NS;
	if (lines <= PEERS_LINES_MAX)
		return;
	log_begin(peers->log, LOG_WARN, "lines about peers left out");
	log_number(peers->log, "count", lines - PEERS_LINES_MAX);
	log_end(peers->log);
}

void peers_begin_line(struct peers *peers, const struct link *link,
		      enum log_level level, const char *message)
{
	struct log *log = peers->log;

	log_begin(log, level, message);
	if (link->member != 0) {
		log_number(log, "peer", link->member);
		log_text(log, "lane",
			 link->lane == NODE_BULK ? "bulk" : "control");
	}
	log_text(log, "address", link->where);
}

static bool is_news(struct peers_member *member, const char *why, int code)
{
	if (member->said && strcmp(member->said, why) == 0 &&
	    member->said_code == code)
		return false;
	member->said = why;
	member->said_code = code;
	return true;
}

void peers_complain_tls(struct peers *peers, struct peers_member *member,
			const char *why)
{
	/* Kept in the member: what TLS says is gone with its connection. */
	if (strcmp(member->tls_error, why) != 0)
		member->said = NULL;
	(void)snprintf(member->tls_error, sizeof(member->tls_error), "%s", why);
	peers_complain(peers, member, member->tls_error, 0);
}

void peers_complain(struct peers *peers, struct peers_member *member,
		    const char *why, int code)
{
	struct log *log = peers->log;
	bool news = is_news(member, why, code);

	log_begin(log, news ? LOG_WARN : LOG_DEBUG, "no connection to peer");
	log_number(log, "peer", member->id);
	log_text(log, "address", member->address);
	log_text(log, "why", why);
	if (code < 0)
		log_errno(log, code);
	log_end(log);
}

/* ---- links ---- */

struct link *peers_new_link(struct peers *peers, int fd, bool connecting)
{
	uint32_t place = 0;
	int result = -ENOSPC;

	while (place < PEERS_LINKS_MAX &&
	       peers->links[place].state != LINK_FREE)
		place++;
	struct link *link = &peers->links[place];
	if (place < PEERS_LINKS_MAX)
		result = link_begin(link, peers->engine, fd, connecting);
	if (result < 0) {
		(void)close(fd); /* nothing was said on it */
		return NULL;
	}
	if (peers->used <= place)
		peers->used = place + 1;
	if (peers->tls)
		link->tls = &peers->tls[place];
	link->since_ns = peers->now_ns;
	link->deadline_ns = peers->now_ns + PEERS_GREET_NS;
	return link;
}

/* Takes a link out of its lane; whether that leaves the lane without any. */
static bool leave_lane(struct peers_lane *lane, int number)
{
	bool carried = lane->open == number || lane->dialling == number;

	if (lane->open == number)
		lane->open = -1;
	if (lane->dialling == number)
		lane->dialling = -1;
	if (lane->waiting == number)
		lane->waiting = -1;
	return carried && lane->open < 0 && lane->dialling < 0;
}

static void end_link(struct peers *peers, struct link *link)
{
	if (!link->dialled && link->state != LINK_OPEN) {
		assert(peers->arrived > 0);
		peers->arrived--;
	}
	link_end(link, peers->engine);
	while (peers->used > 0 &&
	       peers->links[peers->used - 1].state == LINK_FREE)
		peers->used--;
}

void peers_drop(struct peers *peers, struct link *link)
{
	struct peers_member *member = peers_find(peers, link->member);
	uint8_t lane_number = link->lane;
	bool was_open = link->state == LINK_OPEN;
	bool good = was_open && peers->now_ns - link->since_ns >= PEERS_GOOD_NS;

	if (was_open)
		node_link_down(peers->node, link->member,
			       (enum node_lane)link->lane);
	end_link(peers, link);
	if (!member)
		return;
	struct peers_lane *lane = &member->lanes[lane_number];
	if (!leave_lane(lane, peers_number(peers, link)))
		return;
	peers_plan(peers, lane, !good);
	if (lane->waiting >= 0)
		peers_admit(peers, &peers->links[lane->waiting]);
}

/*
 * The lane is open, and another one of it waits: the same process dialled,
 * too, and lets go of that itself; or there are two with one id.
 */
static void send_away(struct peers *peers, const struct link *open,
		      struct link *waiting)
{
	if (waiting->incarnation == open->incarnation)
		peers_drop(peers, waiting);
	else
		peers_too_late(peers, waiting);
}

void peers_open(struct peers *peers, struct link *link)
{
	struct peers_member *member = peers_find(peers, link->member);
	int number = peers_number(peers, link);

	assert(member);
	struct peers_lane *lane = &member->lanes[link->lane];
	if (node_link_up(peers->node, link->member,
			 (enum node_lane)link->lane) < 0) {
		peers_drop(peers, link);
		return;
	}
	node_peer_told(peers->node, link->member, link->version,
		       link->entry_max);
	if (!link->dialled)
		peers->arrived--;
	if (lane->dialling == number)
		lane->dialling = -1;
	assert(lane->open < 0 || lane->open == number);
	lane->open = number;
	link->state = LINK_OPEN;
	link->since_ns = peers->now_ns;
	member->said = NULL;
	peers_begin_line(peers, link, LOG_INFO, "peer connected");
	log_end(peers->log);
	if (lane->waiting >= 0)
		send_away(peers, link, &peers->links[lane->waiting]);
}

/* ---- turns ---- */

static void lost(struct peers *peers, struct link *link)
{
	int error = engine_stream_error(peers->engine, link->stream);
	struct peers_member *member = peers_find(peers, link->member);
	bool was_open = link->state == LINK_OPEN;

	if (link->dialled && !was_open && member) {
		peers_complain(peers, member,
			       error < 0 ? "it cannot be reached"
					 : "it hangs up before it answers",
			       error);
	} else if (was_open ? peers_may_say(peers) : false) {
		peers_begin_line(peers, link, LOG_WARN, "peer lost");
		if (error < 0)
			log_errno(peers->log, error);
		log_end(peers->log);
	}
	peers_drop(peers, link);
}

static bool hear(struct peers *peers, struct link *link)
{
	bool any = false;

	if (link_hear(link, peers->engine, peers->node, &any) == 0)
		return any;
	peers_begin_line(peers, link, LOG_ERROR,
			 "peer sent what cannot be; connection ended");
	log_number(peers->log, "at_byte", link->heard);
	log_text(peers->log, "next",
		 "if it happens again: look at the network between them, and "
		 "whether both run the same version");
	log_end(peers->log);
	peers_drop(peers, link);
	return true;
}

/* Whether anything was done. */
static bool step(struct peers *peers, struct link *link)
{
	enum engine_stream_state state =
		engine_stream_state(peers->engine, link->stream);
	uint8_t before = link->state;
	bool any = false;

	if (before == LINK_ENDING)
		return peers_linger(peers, link);
	if (before == LINK_CONNECTING && state == ENGINE_STREAM_OPEN)
		peers_connected(peers, link);
	else if (before == LINK_SHAKING)
		peers_shake(peers, link);
	else if (before == LINK_GREETING)
		peers_hear_greeting(peers, link);
	else if (before == LINK_ANSWERING && link_is_said(link))
		peers_answered(peers, link);
	if (link->state == LINK_OPEN)
		any = hear(peers, link);
	if (link->state == LINK_FREE)
		return true;
	if (link_is_broken(link)) {
		peers_broken(peers, link);
		return true;
	}
	if (engine_stream_state(peers->engine, link->stream) ==
	    ENGINE_STREAM_ENDED) {
		lost(peers, link);
		return true;
	}
	if (link->state != LINK_OPEN && peers->now_ns >= link->deadline_ns)
		peers_too_late(peers, link);
	return any || link->state != before;
}

void peers_sent(struct peers *peers, uint64_t now_ns)
{
	peers->now_ns = now_ns;
	for (uint32_t i = 0; i < peers->used; i++) {
		struct link *link = &peers->links[i];
		if (link->state != LINK_FREE)
			link_sent(link, peers->engine, peers->node);
	}
}

/* When something is due, if nothing happens before. */
static void find_next(struct peers *peers)
{
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = 0; i < peers->used; i++) {
		const struct link *link = &peers->links[i];
		if (link->state != LINK_FREE && link->state != LINK_OPEN &&
		    next_ns > link->deadline_ns)
			next_ns = link->deadline_ns;
	}
	for (uint32_t i = 0; i < peers->others * NODE_LANES; i++) {
		const struct peers_member *member =
			&peers->members[i / NODE_LANES];
		const struct peers_lane *lane = &member->lanes[i % NODE_LANES];
		if (member->id != 0 && lane->open < 0 && lane->dialling < 0 &&
		    next_ns > lane->dial_ns)
			next_ns = lane->dial_ns;
	}
	peers->next_ns = next_ns;
}

bool peers_turn(struct peers *peers)
{
	bool any = false;

	peers->shakes = 0;
	renew_lines(peers);
	if (peers->change != node_members_change(peers->node)) {
		peers_follow(peers);
		any = true;
	}
	for (uint32_t i = 0; i < peers->used; i++) {
		struct link *link = &peers->links[i];
		if (link->state != LINK_FREE && step(peers, link))
			any = true;
	}
	if (peers->shakes == PEERS_SHAKES_MAX)
		any = true; /* others may wait for their turn */
	if (any || peers->now_ns >= peers->next_ns) {
		peers_dial(peers);
		find_next(peers);
	}
	return any;
}

bool peers_send(struct peers *peers)
{
	bool any = false;

	for (uint32_t i = 0; i < peers->used; i++) {
		struct link *link = &peers->links[i];
		if (link->state != LINK_FREE &&
		    link_send(link, peers->engine, peers->node))
			any = true;
	}
	return any;
}
