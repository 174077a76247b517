/*
 * What a member needs to talk to others.
 */
#include "daemon/member.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NS_PER_MS = 1000000,
	HEARTBEAT_TICKS = 1, /* a tick is a heartbeat */
	BACKLOG = 64,
};

void member_peer_options(const struct member *member,
			 struct node_options *options)
{
	const struct config *config = member->config;
	struct raft_conf_state *voters = &options->voters;

	options->tick_ns = config->heartbeat_ms * NS_PER_MS;
	options->heartbeat_ticks = HEARTBEAT_TICKS;
	options->election_ticks =
		(uint32_t)(config->election_ms / config->heartbeat_ms);
	options->disk_patience_ns =
		config->election_ms * NS_PER_MS * config->disk_patience / 100;
	options->members = config->peers;
	options->member_count = config->peer_count;
	if (config_has_peers(config)) {
		options->peers_max = PEERS_OTHERS_MAX;
		options->spare_base = member->spare.memories[1].base;
		options->spare_size = member->spare.memories[1].size;
	}
	if (config->join)
		return; /* it is told who votes */
	if (config->peer_count == 0)
		voters->voters[voters->voter_count++] = config->member;
	for (uint32_t i = 0; i < config->peer_count; i++)
		voters->voters[voters->voter_count++] = config->peers[i].id;
}

int member_open_spare(struct member *member, uint64_t size)
{
	if (!config_has_peers(member->config))
		return MEMBER_STOPPED;
	int result = memory_open(&member->spare.memories[1], "conclave-spare",
				 size, MEMORY_READ_ONLY);
	if (result < 0)
		return member_fail(
			member, "no address space for a second store", result,
			"a member of a cluster needs 64 GiB of addresses (not "
			"of memory); raise the limit of virtual memory");
	return MEMBER_STOPPED;
}

/* ---- listening ---- */

/* A listening socket: the descriptor, or -errno and the call that failed. */
static int listen_at(const struct address *address, const char **ret_what)
{
	const struct sockaddr *where = (const void *)&address->where;
	int one = 1;

	*ret_what = "socket";
	int fd =
		socket(address->where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Connections of a daemon that ended just now do not matter. */
	*ret_what = "setsockopt";
	int result =
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (result == 0) {
		*ret_what = "bind";
		result = bind(fd, where, address->size);
	}
	if (result == 0) {
		*ret_what = "listen";
		result = listen(fd, BACKLOG);
	}
	if (result == 0)
		return fd;
	result = -errno;
	(void)close(fd); /* nobody knows it yet */
	return result;
}

static int fail_listen(struct member *member, const char *what, int error)
{
	log_begin(member->log, LOG_ERROR, "cannot listen for members");
	log_text(member->log, "address", member->config->peer_listen);
	log_text(member->log, "failed", what);
	if (error < 0)
		log_errno(member->log, error);
	log_text(member->log, "next",
		 "say with --peer-listen an address of this host and a port "
		 "that nobody uses");
	log_end(member->log);
	return MEMBER_OTHER;
}

/* A name may have addresses of both kinds; most write the older one. */
static const struct address *choose(const struct address *found, int count)
{
	for (int i = 0; i < count; i++) {
		if (found[i].where.ss_family == AF_INET)
			return &found[i];
	}
	return &found[0];
}

static int open_listener(struct member *member)
{
	struct address found[ADDRESS_FOUND_MAX];
	struct address_parts parts;
	const char *what = "";

	if (member->config->peer_listen[0] == '\0')
		return MEMBER_STOPPED;
	int result = address_split(member->config->peer_listen, &parts);
	assert(result == 0);
	int count = address_look_up(&parts, found);
	if (count <= 0)
		return fail_listen(member, "look up the name", 0);
	result = listen_at(choose(found, count), &what);
	if (result < 0)
		return fail_listen(member, what, result);
	member->peer_listener = result;
	result = engine_accept(member->engine, ENGINE_DOOR_PEERS,
			       member->peer_listener);
	if (result < 0)
		return fail_listen(member, "accept", result);
	return MEMBER_STOPPED;
}

/* ---- helper ---- */

static int open_helper(struct member *member)
{
	int result = helper_open(&member->helper);

	if (result == 0)
		result =
			engine_watch(member->engine, helper_fd(&member->helper),
				     ENGINE_NAME, 0);
	if (result < 0)
		return member_fail(member, "no thread for slow calls", result,
				   "raise the limit of processes");
	member->spare.helper = &member->helper;
	member->spare.node = member->node;
	member->spare.log = member->log;
	return MEMBER_STOPPED;
}

/* ---- keys ---- */

struct tls_files member_tls_files(const struct config *config)
{
	struct tls_files files = {
		.certificate = config->peer_cert,
		.key = config->peer_key,
		.authority = config->peer_ca,
		.names = config->peer_names,
	};

	return files;
}

static int open_keys(struct member *member, struct tls_keys *ret_keys)
{
	struct tls_files files = member_tls_files(member->config);
	char error[TLS_ERROR_MAX];

	if (tls_keys_open(ret_keys, &files, error) == 0)
		return MEMBER_STOPPED;
	log_begin(member->log, LOG_ERROR, "no keys for TLS");
	log_text(member->log, "why", error);
	log_text(member->log, "next",
		 "correct what --peer-cert, --peer-key or --peer-ca names");
	log_end(member->log);
	return MEMBER_OTHER;
}

int member_open_peers(struct member *member, const uint8_t cluster[16],
		      uint64_t seed)
{
	struct tls_keys keys;
	struct peers_ground ground = {
		.engine = member->engine,
		.node = member->node,
		.log = member->log,
		.helper = &member->helper,
		.member = member->config->member,
		.incarnation = member->incarnation,
		.seed = seed,
		.plaintext = member->config->peer_plaintext,
	};

	memcpy(ground.cluster, cluster, sizeof(ground.cluster));
	int result = MEMBER_STOPPED;
	if (member->config->peer_cert[0] != '\0') {
		result = open_keys(member, &keys);
		ground.keys = &keys;
	}
	if (result == MEMBER_STOPPED)
		result = open_helper(member);
	if (result != MEMBER_STOPPED)
		return result;
	member->peers = calloc(1, sizeof(*member->peers));
	if (!member->peers)
		return member_fail(member, "no memory for members", -ENOMEM,
				   "give it more memory");
	result = peers_init(member->peers, &ground);
	if (result < 0)
		return member_fail(member, "no memory for members", result,
				   "give it more memory");
	return open_listener(member);
}
