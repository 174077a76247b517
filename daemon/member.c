/*
 * One member, put together.
 */
#include "daemon/member.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cluster.h"
#include "daemon/recover.h"
#include "wal/disk_engine.h"

enum {
	ENTRIES_MAX = 1 << 20,
	UNCOMMITTED_MAX = 32 << 20,
	RECORD_BUFFERS = WAL_BUFFERS_MAX,
	SPARES_MIN = 2,
	OTHER_WATCHES = 8, /* listener, signals, disk */
};

/* Says what failed with -errno; the caller adds nothing. */
int member_fail(struct member *member, const char *what, int error,
		const char *next)
{
	log_begin(member->log, LOG_ERROR, what);
	log_errno(member->log, error);
	log_text(member->log, "next", next);
	log_end(member->log);
	return MEMBER_OTHER;
}

/* ---- engine ---- */

static int open_engine(struct member *member)
{
	const struct config *config = member->config;
	struct engine_sizes sizes = {
		.watches = OTHER_WATCHES +
			   clients_watches((uint32_t)config->handles_max),
		.streams = config_has_peers(config) ? PEERS_STREAMS : 0,
	};
	char reason[ENGINE_REASON_MAX];
	int result =
		engine_open(&member->engine, (enum engine_kind)config->engine,
			    &sizes, reason);

	if (result < 0) {
		log_begin(member->log, LOG_ERROR, "no engine");
		log_text(member->log, "why", reason);
		log_text(member->log, "next", "start with --engine=plain");
		log_end(member->log);
		return MEMBER_OTHER;
	}
	log_begin(member->log, LOG_INFO, "engine chosen");
	log_text(member->log, "engine", engine_name(member->engine));
	log_text(member->log, "why", reason);
	log_end(member->log);
	return MEMBER_STOPPED;
}

/* ---- log and node ---- */

static int open_log(struct member *member)
{
	const struct config *config = member->config;
	struct wal_options options = {
		.member = config->member,
		.segment_size = (uint32_t)config->segment_size,
		.spares_min = SPARES_MIN,
		.buffers = RECORD_BUFFERS,
		.snapshot_after = config->snapshot_after,
		.accept_tail_loss = config->accept_tail_loss,
		.tolerate_damage = config_has_peers(config),
		.create = true,
	};
	void *memory;

	cluster_id(config->cluster, options.cluster);
	int result = member_random(member, &options.seed);
	if (result != MEMBER_STOPPED)
		return result;
	result = memory_reserve(&memory, wal_memory_size(&options));
	if (result < 0)
		return member_fail(member, "no memory for the log", result,
				   "give it more memory");
	recover_begin(member->log);
	result = wal_open(&member->wal, member->disk, &options, memory,
			  &member->report);
	recover_end();
	if (result < 0)
		return recover_explain(member, result);
	recover_report(member);
	return MEMBER_STOPPED;
}

static int open_store(struct member *member)
{
	struct memory *memory = &member->spare.memories[0];
	int result = memory_open(memory, "conclave-store",
				 cluster_settings.store_address_bytes,
				 MEMORY_READ_ONLY);

	if (result < 0)
		return member_fail(
			member, "no address space for the store", result,
			"32 GiB of addresses (not of memory) are needed; "
			"raise the limit of virtual memory");
	result = store_init(&member->store, memory->base,
			    cluster_settings.store_address_bytes,
			    &cluster_settings);
	if (result < 0)
		return member_fail(member, "the store cannot be made", result,
				   "give it more memory");
	return MEMBER_STOPPED;
}

static void node_options(const struct member *member, uint64_t seed,
			 struct node_options *ret_options)
{
	const struct config *config = member->config;
	struct node_options options = {
		.member = config->member,
		.incarnation = member->incarnation,
		.seed = seed,
		.handles_max = (uint32_t)config->handles_max,
		.user_handles_max = NODE_USER_HANDLES_MAX,
		.entries_max = ENTRIES_MAX,
		.batch_size = NODE_BATCH_SIZE,
		.uncommitted_max = UNCOMMITTED_MAX,
		.version_max = STORE_CLUSTER_VERSION,
		.status = (struct cv_status *)member->status_page.base,
		.folder = member->folder,
		.name = config->cluster,
	};

	cluster_id(config->cluster, options.cluster);
	if (options.user_handles_max > options.handles_max)
		options.user_handles_max = options.handles_max;
	member_peer_options(member, &options);
	*ret_options = options;
}

static int open_node(struct member *member)
{
	struct node_options options;
	uint64_t seed = 0;
	void *memory;

	int result = member_random(member, &seed);
	if (result != MEMBER_STOPPED)
		return result;
	/* Who asks for images has another working folder. */
	if (!realpath(member->config->data, member->folder))
		return member_fail(member, "the data folder has no path",
				   -errno, "choose another with --data");
	node_options(member, seed, &options);
	result = memory_reserve(&memory, node_memory_size(&options));
	if (result < 0)
		return member_fail(member, "no memory for the node", result,
				   "give it more memory");
	recover_begin(member->log);
	result = node_init(&member->node, &options, member->wal,
			   &member->report, member->store, memory);
	recover_end();
	return result < 0 ? recover_explain(member, result) : MEMBER_STOPPED;
}

static int open_replica(struct member *member)
{
	int result = memory_open(&member->status_page, "conclave-status",
				 CV_PAGE, MEMORY_READ_ONLY);

	_Static_assert(sizeof(struct cv_status) <= CV_PAGE, "status page");
	if (result < 0)
		return member_fail(member, "no memory for the status page",
				   result, "give it more memory");
	result = member_random(member, &member->incarnation);
	if (result == MEMBER_STOPPED)
		result = recover_folder(member);
	if (result == MEMBER_STOPPED)
		result = open_log(member);
	if (result == MEMBER_STOPPED)
		result = open_store(member);
	if (result == MEMBER_STOPPED)
		result = member_open_spare(
			member, cluster_settings.store_address_bytes);
	if (result == MEMBER_STOPPED)
		result = open_node(member);
	return result;
}

/* ---- door ---- */

static const char *socket_advice(int code)
{
	switch (code) {
	case LISTEN_EANSWERED:
		return "a running daemon answers there: stop it, or choose "
		       "another path with --socket";
	case LISTEN_ESILENT:
		return "somebody listens there and does not answer: end that "
		       "process, or choose another path with --socket";
	case LISTEN_ENOTSOCKET:
		return "something else lies there: move it away, or choose "
		       "another path with --socket";
	default:
		return "make the path usable for this user, or choose another "
		       "with --socket";
	}
}

static int open_door(struct member *member)
{
	const char *what = "";
	int result = listen_open(&member->listener, member->config, &what);

	if (result == 0)
		result = engine_accept(member->engine, ENGINE_DOOR_CLIENTS,
				       member->listener.fd);
	if (result == 0)
		return MEMBER_STOPPED;
	log_begin(member->log, LOG_ERROR, "cannot listen");
	log_text(member->log, "socket", member->config->socket);
	log_text(member->log, "failed", what);
	if (result > LISTEN_EANSWERED)
		log_errno(member->log, result);
	log_text(member->log, "next", socket_advice(result));
	log_end(member->log);
	return result == LISTEN_EANSWERED || result == LISTEN_ESILENT
		       ? MEMBER_OWNED
		       : MEMBER_OTHER;
}

static int open_clients(struct member *member)
{
	const struct clients_ground ground = {
		.engine = member->engine,
		.node = member->node,
		.log = member->log,
		.listener = &member->listener,
		.status_page = member->status_page.fd,
		.handles_max = (uint32_t)member->config->handles_max,
	};
	int result = clients_init(&member->clients, &ground);

	if (result < 0)
		return member_fail(
			member, "no memory for clients", result,
			"give it more memory, or lower --handles-max");
	return MEMBER_STOPPED;
}

static int open_peers(struct member *member)
{
	uint8_t cluster[16];
	uint64_t seed = 0;

	if (!config_has_peers(member->config))
		return MEMBER_STOPPED;
	int result = member_random(member, &seed);
	if (result != MEMBER_STOPPED)
		return result;
	cluster_id(member->config->cluster, cluster);
	return member_open_peers(member, cluster, seed);
}

int member_open(struct member *member, const struct config *config,
		struct log *log)
{
	memset(member, 0, sizeof(*member));
	member->config = config;
	member->log = log;
	member->signals = -1;
	member->listener.fd = -1;
	member->peer_listener = -1;
	member->helper.jobs = -1;
	member_raise_limits(member);
	int result = open_engine(member);
	if (result == MEMBER_STOPPED)
		result = open_replica(member);
	if (result == MEMBER_STOPPED)
		result = member_catch_signals(member);
	if (result == MEMBER_STOPPED)
		result = open_door(member);
	if (result == MEMBER_STOPPED)
		result = open_clients(member);
	if (result == MEMBER_STOPPED)
		result = open_peers(member);
	return result;
}

/* ---- running ---- */

static void log_ready(struct member *member)
{
	log_begin(member->log, LOG_INFO, "ready");
	log_text(member->log, "socket", member->config->socket);
	log_text(member->log, "data", member->config->data);
	log_text(member->log, "cluster", member->config->cluster);
	log_number(member->log, "member", member->config->member);
	if (member->peer_listener >= 0)
		log_text(member->log, "peer_listen",
			 member->config->peer_listen);
	log_number(member->log, "pid", (uint64_t)getpid());
	log_end(member->log);
}

static int explain_filled(struct member *member)
{
	log_begin(member->log, LOG_WARN,
		  "a damaged record of the log was written anew, from what "
		  "another member has");
	log_text(member->log, "folder", member->config->data);
	log_text(member->log, "where", member->report.where);
	log_text(member->log, "next",
		 "look at the disk (the kernel's log says more); this daemon "
		 "starts again by itself");
	log_end(member->log);
	return MEMBER_AGAIN;
}

static int explain_end(struct member *member, int result)
{
	switch (result) {
	case 0:
		log_begin(member->log, LOG_INFO, "stopped");
		log_end(member->log);
		return MEMBER_STOPPED;
	case NODE_EFAILED:
		return recover_fail(member);
	case NODE_EOUTDATED:
	case NODE_ESEGMENT:
		return recover_explain(member, result);
	case NODE_EFILLED:
		return explain_filled(member);
	case LOOP_EREMOVED:
		log_begin(member->log, LOG_WARN,
			  "this member was removed from its cluster");
		log_number(member->log, "member", member->config->member);
		log_text(member->log, "next",
			 "delete its data folder; to come back it joins under "
			 "a new id");
		log_end(member->log);
		return MEMBER_REMOVED;
	case LOOP_ENOTDRAINED:
		log_begin(member->log, LOG_ERROR,
			  "stopped before all was "
			  "answered");
		log_text(member->log, "next",
			 "nothing: clients settle the rest when they meet a "
			 "daemon again");
		break;
	case LOOP_ESECOND:
		log_begin(member->log, LOG_WARN, "stopped by a second signal");
		break;
	default:
		log_begin(member->log, LOG_ERROR, "the engine failed");
		log_errno(member->log, result);
		log_text(member->log, "next", "start with --engine=plain");
		break;
	}
	log_end(member->log);
	return MEMBER_OTHER;
}

int member_run(struct member *member)
{
	uint64_t spin_us = member->config->spin_us;

	member->loop = (struct loop){
		.engine = member->engine,
		.disk = member->disk,
		.node = member->node,
		.log = member->log,
		.listener = &member->listener,
		.clients = &member->clients,
		.peers = member->peers,
		.helper = &member->helper,
		.spare = &member->spare,
		.files = member_tls_files(member->config),
		.doors = {member->listener.fd, member->peer_listener},
		.signals = member->signals,
		.spin_ns = spin_us == CONFIG_SPIN_FOREVER ? UINT64_MAX
							  : spin_us * 1000,
	};
	log_ready(member);
	int result = loop_run(&member->loop);
	listen_close(&member->listener);
	return explain_end(member, result);
}

/* Memory and sockets go with the process; what is durable is so already. */
void member_close(struct member *member)
{
	wal_close(member->wal);
	disk_close(member->disk);
	if (member->peers)
		peers_release(member->peers);
	free(member->peers);
	helper_close(&member->helper);
	engine_close(member->engine);
	(void)close(member->signals); /* it holds no data */
}
