/*
 * Members under test: the shell's side of their connections is real, with
 * real sockets on loopback; the node is a fake that keeps what it hears. It
 * is included by one file of a program, in which it stands for the node.
 *
 * Time is the tests' own: deadlines and pauses pass when a test says so.
 */
#ifndef TESTS_UNIT_SUPPORT_MEMBERS_H
#define TESTS_UNIT_SUPPORT_MEMBERS_H

#include "daemon/peers.h"
#include "raft/crc32c.h"

#include <assert.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	MEMBERS_MAX = 3,
	FAKE_IDS = 8,
	FAKE_ROOM = 4 << 20,
	FAKE_TRIES = 4000,
	FAKE_TURN_NS = 1000000,
	LOG_ROOM = 64 << 10,
	LARGE = 3 << 20,
};

/* One lane as the fake node sees it. */
struct fake_lane {
	bool up;
	bool deaf; /* takes nothing now */
	uint32_t ups; /* how often it came up */
	uint32_t bad_at; /* what comes there cannot be; 0: nothing */
	uint32_t step; /* takes so many bytes at once; 0: all */
	uint32_t lent;
	uint32_t sent;
	uint32_t out_size;
	uint32_t in_used;
	const uint8_t *out;
	uint8_t *in;
};

struct node {
	uint64_t change;
	uint32_t count;
	bool open_to_all; /* takes whom it does not know */
	uint64_t removed; /* was a member */
	bool told_removed; /* of itself */
	uint32_t version; /* that it can apply */
	uint32_t cluster_version; /* in force */
	uint32_t told_version[FAKE_IDS];
	uint32_t entry_max;
	uint32_t told_entry_max[FAKE_IDS];
	struct node_member members[FAKE_IDS];
	struct fake_lane lanes[FAKE_IDS][NODE_LANES];
};

struct member {
	uint64_t id;
	struct engine *engine;
	struct log log;
	int log_end;
	int listener;
	int port;
	struct helper helper;
	struct node node;
	struct peers peers;
	char said[LOG_ROOM]; /* the log, as far as it was read */
};

static struct member members[MEMBERS_MAX];
static uint64_t clock_ns;
static uint8_t *large; /* what is sent: LARGE bytes */
static const uint8_t cluster_id[16] = "cluster of tests";

/* ---- the node ---- */

static inline struct fake_lane *lane_of(struct node *node, uint64_t id,
					uint32_t lane)
{
	ck_assert_uint_lt(id, FAKE_IDS);
	ck_assert_uint_lt(lane, NODE_LANES);
	return &node->lanes[id][lane];
}

uint32_t node_members(const struct node *node,
		      struct node_member ret_members[NODE_MEMBERS_MAX])
{
	memcpy(ret_members, node->members, sizeof(node->members));
	return node->count;
}

uint64_t node_members_change(const struct node *node)
{
	return node->change;
}

void node_believe_removed(struct node *node)
{
	node->told_removed = true;
}

uint32_t node_version(const struct node *node)
{
	return node->version;
}

uint32_t node_cluster_version(const struct node *node)
{
	return node->cluster_version;
}

uint32_t node_entry_max(const struct node *node)
{
	return node->entry_max;
}

void node_peer_told(struct node *node, uint64_t member, uint32_t version,
		    uint32_t entry_max)
{
	ck_assert_uint_lt(member, FAKE_IDS);
	node->told_entry_max[member] = entry_max;
	node->told_version[member] = version;
}

bool node_was_removed(const struct node *node, uint64_t id)
{
	return node->removed == id;
}

static inline void fake_add(struct node *node, uint64_t id, const char *address)
{
	struct node_member *member = &node->members[node->count++];

	memset(member, 0, sizeof(*member));
	member->id = id;
	(void)snprintf(member->address, sizeof(member->address), "%s", address);
	node->change++;
}

static inline bool fake_knows(const struct node *node, uint64_t id)
{
	for (uint32_t i = 0; i < node->count; i++) {
		if (node->members[i].id == id)
			return true;
	}
	return false;
}

int node_link_up(struct node *node, uint64_t member, enum node_lane lane)
{
	if (!fake_knows(node, member) && !node->open_to_all)
		return -ENOENT;
	if (!fake_knows(node, member))
		fake_add(node, member, "");
	struct fake_lane *at = lane_of(node, member, lane);
	at->up = true;
	at->ups++;
	at->lent = 0;
	at->sent = 0;
	at->in_used = 0;
	return 0;
}

void node_link_down(struct node *node, uint64_t member, enum node_lane lane)
{
	lane_of(node, member, lane)->up = false;
	lane_of(node, member, lane)->lent = 0;
}

/* In three parts, the second of which is one byte. */
uint32_t node_gather(struct node *node, uint64_t member, enum node_lane lane,
		     struct node_part parts[NODE_PARTS_MAX])
{
	struct fake_lane *at = lane_of(node, member, lane);
	uint32_t left = at->out_size - at->sent;

	ck_assert_uint_eq(at->lent, 0);
	if (!at->up || left == 0)
		return 0;
	at->lent = left;
	if (left < 10) {
		parts[0] = (struct node_part){at->out + at->sent, left};
		return 1;
	}
	parts[0] = (struct node_part){at->out + at->sent, 7};
	parts[1] = (struct node_part){at->out + at->sent + 7, 1};
	parts[2] = (struct node_part){at->out + at->sent + 8, left - 8};
	return 3;
}

void node_sent(struct node *node, uint64_t member, enum node_lane lane,
	       uint32_t size)
{
	struct fake_lane *at = lane_of(node, member, lane);

	ck_assert_uint_le(size, at->lent);
	at->lent = 0;
	at->sent += size;
}

int node_hear(struct node *node, uint64_t member, enum node_lane lane,
	      const uint8_t *bytes, uint32_t size, uint32_t *ret_taken)
{
	struct fake_lane *at = lane_of(node, member, lane);

	*ret_taken = 0;
	ck_assert(at->up);
	if (at->deaf)
		return 0;
	if (at->step > 0 && size > at->step)
		size = at->step;
	if (at->bad_at > 0 && at->in_used + size >= at->bad_at) {
		*ret_taken = at->bad_at - at->in_used;
		return -EBADMSG;
	}
	ck_assert_uint_le(at->in_used + size, FAKE_ROOM);
	memcpy(at->in + at->in_used, bytes, size);
	at->in_used += size;
	*ret_taken = size;
	return 0;
}

/* ---- members ---- */

static inline int listen_on(int *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size),
			 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static inline void open_log(struct member *member)
{
	int pair[2];

	ck_assert_int_eq(pipe2(pair, O_NONBLOCK | O_CLOEXEC), 0);
	member->log_end = pair[0];
	log_init(&member->log, pair[1], LOG_INFO);
}

/* False: this host has no such engine. */
static inline bool open_member(struct member *member, uint64_t id,
			       enum engine_kind kind)
{
	static const struct engine_sizes sizes = {.watches = 8,
						  .streams = PEERS_STREAMS};
	char reason[ENGINE_REASON_MAX];

	memset(member, 0, sizeof(*member));
	member->id = id;
	member->helper.jobs = -1;
	open_log(member);
	if (engine_open(&member->engine, kind, &sizes, reason) < 0) {
		ck_assert_int_eq(kind, ENGINE_URING);
		printf("skip: %s\n", reason);
		return false;
	}
	member->listener = listen_on(&member->port);
	ck_assert_int_eq(engine_accept(member->engine, ENGINE_DOOR_PEERS,
				       member->listener),
			 0);
	for (uint32_t i = 0; i < FAKE_IDS * NODE_LANES; i++)
		member->node.lanes[i / 2][i % 2].in = malloc(FAKE_ROOM);
	return true;
}

static inline void start_with(struct member *member, uint64_t incarnation,
			      const struct tls_keys *keys)
{
	struct peers_ground ground = {
		.engine = member->engine,
		.node = &member->node,
		.log = &member->log,
		.helper = &member->helper,
		.member = member->id,
		.incarnation = incarnation,
		.seed = member->id,
		.keys = keys,
	};

	memcpy(ground.cluster, cluster_id, sizeof(ground.cluster));
	ck_assert_int_eq(peers_init(&member->peers, &ground), 0);
}

static inline void start_peers(struct member *member, uint64_t incarnation)
{
	start_with(member, incarnation, NULL);
}

static inline void start_tls(struct member *member,
			     const struct tls_files *files)
{
	struct tls_keys keys;
	char error[TLS_ERROR_MAX];

	if (tls_keys_open(&keys, files, error) < 0)
		ck_abort_msg("%s", error);
	start_with(member, 300 + member->id, &keys);
}

/* Each knows where all are. */
static inline void introduce(uint32_t count)
{
	char address[NODE_ADDRESS_MAX];

	for (uint32_t i = 0; i < count * count; i++) {
		(void)snprintf(address, sizeof(address), "127.0.0.1:%d",
			       members[i % count].port);
		fake_add(&members[i / count].node, i % count + 1, address);
	}
}

static const enum engine_kind kinds[] = {ENGINE_PLAIN, ENGINE_URING};

/* Members 1 to `count`, not yet introduced. False: no such engine here. */
static inline bool open_members(int kind, uint32_t count)
{
	clock_ns = 1000000000;
	for (uint32_t i = 0; i < count; i++) {
		if (!open_member(&members[i], i + 1, kinds[kind]))
			return false;
		start_peers(&members[i], 100 + i);
	}
	return true;
}

static inline void take_events(struct member *member)
{
	struct engine_event event;
	struct helper_answer answer;

	while (engine_next(member->engine, &event)) {
		if (event.kind == ENGINE_ARRIVAL) {
			ck_assert_int_ge(event.fd, 0);
			peers_arrive(&member->peers, event.fd);
		}
		while (event.kind == ENGINE_NAME &&
		       helper_next(&member->helper, &answer))
			peers_found(&member->peers, &answer);
	}
}

/* One turn, as the loop does it. */
static inline bool turn(struct member *member)
{
	bool any;

	engine_reap(member->engine, clock_ns);
	ck_assert_uint_eq(engine_sending(member->engine), 0);
	peers_sent(&member->peers, clock_ns);
	for (uint32_t i = 0; i < FAKE_IDS * NODE_LANES; i++)
		ck_assert_uint_eq(member->node.lanes[i / 2][i % 2].lent, 0);
	take_events(member);
	any = peers_turn(&member->peers);
	any = peers_send(&member->peers) || any;
	ck_assert_int_eq(engine_submit(member->engine), 0);
	return any;
}

/* One turn of each; a moment for the kernel when there was nothing. */
static inline void turn_all(uint32_t count)
{
	bool any = false;

	clock_ns += FAKE_TURN_NS;
	for (uint32_t i = 0; i < count; i++)
		any = turn(&members[i]) || any;
	if (any)
		return;
	clock_ns += 3 * FAKE_TURN_NS;
	ck_assert_int_eq(engine_wait(members[0].engine, 100000), 0);
}

static inline bool is_up(uint64_t from, uint64_t to)
{
	const struct node *node = &members[from - 1].node;

	return node->lanes[to][NODE_CONTROL].up &&
	       node->lanes[to][NODE_BULK].up;
}

static inline bool all_up(uint32_t count)
{
	for (uint64_t a = 1; a <= count; a++) {
		for (uint64_t b = 1; b <= count; b++) {
			if (a != b && !is_up(a, b))
				return false;
		}
	}
	return true;
}

static inline void connect_all(uint32_t count)
{
	for (int i = 0; i < FAKE_TRIES && !all_up(count); i++)
		turn_all(count);
	ck_assert(all_up(count));
}

/* What the member has logged so far. */
static inline const char *log_of(struct member *member)
{
	size_t used = strlen(member->said);
	ssize_t size =
		read(member->log_end, member->said + used, LOG_ROOM - 1 - used);

	if (size > 0)
		member->said[used + (size_t)size] = '\0';
	return member->said;
}

static inline uint32_t times_said(struct member *member, const char *text)
{
	uint32_t count = 0;

	for (const char *at = log_of(member); (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* Turns until a text was logged. */
static inline void wait_said(uint32_t count, struct member *member,
			     const char *text)
{
	for (int i = 0; i < FAKE_TRIES && !strstr(log_of(member), text); i++)
		turn_all(count);
	if (!strstr(member->said, text))
		ck_abort_msg("not said: %s\nbut: %s", text, member->said);
}

static inline uint32_t open_links(const struct member *member)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PEERS_LINKS_MAX; i++)
		count += member->peers.links[i].state == LINK_OPEN;
	return count;
}

static inline uint32_t any_links(const struct member *member)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PEERS_LINKS_MAX; i++)
		count += member->peers.links[i].state != LINK_FREE;
	return count;
}

/* ---- by hand ---- */

/* A plain socket that is connected to a member. */
static inline int dial_member(const struct member *member)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)member->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(
		connect(fd, (const struct sockaddr *)&address, sizeof(address)),
		0);
	return fd;
}

static inline struct wire_greeting greeting_of(uint64_t from, uint64_t to,
					       uint8_t lane)
{
	struct wire_greeting greeting = {
		.from = from,
		.to = to,
		.incarnation = 7,
		.lane = lane,
	};

	memcpy(greeting.cluster, cluster_id, sizeof(greeting.cluster));
	wire_greeting_seal(&greeting);
	return greeting;
}

/* After it was changed. */
static inline void reseal(struct wire_greeting *greeting)
{
	greeting->crc =
		crc32c(0, (uint8_t *)greeting + 12, WIRE_GREETING_SIZE - 12);
}

/* Turns until `size` bytes came; how many came before the end. */
static inline uint32_t read_turning(uint32_t count, int fd, void *to,
				    uint32_t size)
{
	uint32_t used = 0;

	for (int i = 0; i < FAKE_TRIES && used < size; i++) {
		ssize_t some = recv(fd, (uint8_t *)to + used, size - used,
				    MSG_DONTWAIT);
		if (some == 0 || (some < 0 && errno != EAGAIN))
			break;
		if (some > 0)
			used += (uint32_t)some;
		else
			turn_all(count);
	}
	return used;
}

/* The status of the answer to a greeting; -1: hung up without. */
static inline int greet(uint32_t count, int fd, const void *greeting)
{
	struct wire_greeting answer;
	uint8_t bytes[WIRE_GREETING_SIZE];

	ck_assert_int_eq(send(fd, greeting, WIRE_GREETING_SIZE, MSG_NOSIGNAL),
			 WIRE_GREETING_SIZE);
	if (read_turning(count, fd, bytes, sizeof(bytes)) < sizeof(bytes))
		return -1;
	ck_assert_int_eq(wire_greeting_check(bytes, &answer), 0);
	return answer.status;
}

/* Whether the member hangs up, within its own time. */
static inline bool hangs_up(uint32_t count, int fd)
{
	uint8_t byte;

	for (int i = 0; i < FAKE_TRIES; i++) {
		ssize_t size = recv(fd, &byte, 1, MSG_DONTWAIT);
		if (size == 0 || (size < 0 && errno != EAGAIN))
			return true;
		clock_ns += 9 * FAKE_TURN_NS; /* it may be seconds */
		turn_all(count);
	}
	return false;
}

/* ---- what is said ---- */

static inline void make_large(void)
{
	uint32_t state = 1;

	large = malloc(LARGE);
	assert(large);
	for (uint32_t i = 0; i < LARGE; i++) {
		state = state * 1664525 + 1013904223;
		large[i] = (uint8_t)(state >> 24);
	}
}

static inline void say(uint64_t from, uint64_t to, uint32_t lane, uint32_t size)
{
	struct fake_lane *at = lane_of(&members[from - 1].node, to, lane);

	at->out = large;
	at->sent = 0;
	at->out_size = size;
}

/* Waits until all of it came, in order. */
static inline void check_heard(uint32_t count, uint64_t at, uint64_t from,
			       uint32_t lane, uint32_t size)
{
	const struct fake_lane *in = lane_of(&members[at - 1].node, from, lane);

	for (int i = 0; i < FAKE_TRIES && in->in_used < size; i++)
		turn_all(count);
	ck_assert_uint_eq(in->in_used, size);
	ck_assert_mem_eq(in->in, large, size);
}

/* Each test with each engine. */
static inline TCase *case_of(const char *name, const TTest *const *tests)
{
	TCase *made = tcase_create(name);

	tcase_set_timeout(made, 30);
	for (; *tests; tests++)
		tcase_add_loop_test(made, *tests, 0, 2);
	return made;
}

#endif
