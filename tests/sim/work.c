/*
 * The life of a client; see tests/sim/work.h.
 */
#include "tests/sim/client.h"
#include "tests/sim/env.h"
#include "tests/sim/machine.h"
#include "tests/sim/operator.h"
#include "tests/sim/worker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct key {
	uint8_t bytes[WORKER_KEY_SIZE];
	uint32_t size;
};

static struct worker workers[SIM_CLIENTS_MAX];
static struct key keys[WORKER_KEYS_MAX];
static bool finishing;

/* Short and long keys with common beginnings, in no order. */
static void make_key(struct key *key, uint32_t number)
{
	int head = snprintf((char *)key->bytes, 32, "%c/%03u",
			    'a' + (int)(number % 3), number);
	assert(head > 0 && head < 32);
	key->size = (uint32_t)head;
	uint32_t longer = number % 7 == 0 ? number % 5 * 60 : number % 4;
	memset(key->bytes + key->size, 'x', longer);
	key->size += longer;
	assert(key->size <= WORKER_KEY_SIZE);
}

void work_clear(void)
{
	assert(sim.swarm.keys <= WORKER_KEYS_MAX);
	finishing = false;
	operator_clear();
	for (uint32_t i = 0; i < sim.swarm.keys; i++) {
		make_key(&keys[i], i);
		model_know(keys[i].bytes, keys[i].size);
	}
	for (uint32_t i = 0; i < SIM_CLIENTS_MAX; i++) {
		workers[i].c = NULL;
		workers[i].client = i;
		workers[i].ask_count = 0;
	}
}

void work_finish(void)
{
	finishing = true;
}

void work_died(uint32_t client, bool early)
{
	struct worker *worker = &workers[client];
	for (uint32_t i = 0; early && i < worker->ask_count; i++)
		if (worker->asks[i].open)
			SIM_SOMETIMES(DIED_WITH_REQUESTS);
	worker->c = NULL;
	worker->ask_count = 0;
	operator_died(client);
}

/* ---- the doorbell ---- */

void work_note(uint32_t client)
{
	struct worker *worker = &workers[client];
	const struct conclave *c = worker->c;
	if (c == NULL)
		return;
	if (c->proposals.tail == worker->proposals_tail &&
	    c->control.tail == worker->control_tail)
		return;
	/* A new connection begins with empty rings. */
	if (c->proposals.tail > worker->proposals_tail ||
	    c->control.tail > worker->control_tail)
		worker->published_ns = sim.now;
	worker->proposals_tail = c->proposals.tail;
	worker->control_tail = c->control.tail;
}

void work_check_bell(uint32_t client)
{
	const struct worker *worker = &workers[client];
	const struct machine_view *machine = machine_view(client_home(client));
	if (worker->c == NULL || worker->c->link_state != CV_LINK_UP ||
	    machine->state != MACHINE_ASLEEP || machine->rung ||
	    !env_connected(worker->c->link.socket))
		return;
	if (worker->published_ns > machine->asleep_since)
		sim_fail(SIM_STUCK,
			 "client %u sleeps on a request that the daemon, "
			 "asleep, was not rung for",
			 client);
}

void work_check_wait(uint32_t client)
{
	const struct conclave *c = workers[client].c;
	uint32_t flying = 0, posted = 0;
	/* In the middle of a turn slots are posted and not yet counted. */
	if (c == NULL || c->link_state != CV_LINK_UP ||
	    machine_view(client_home(client))->in_turn)
		return;
	for (uint32_t i = 0; i < c->slot_count; i++) {
		/* Its question was not answered: it looks again by itself. */
		if (c->reqs[i].state == CV_REQ_DOUBT)
			return;
		if (c->reqs[i].state != CV_REQ_FLYING)
			continue;
		flying++;
		posted += c->slots[i].generation == c->reqs[i].generation;
	}
	if (flying > 0 && posted == flying)
		sim_fail(SIM_STUCK,
			 "client %u sleeps, and all it asked is answered",
			 client);
}

/* ---- keys and values ---- */

const uint8_t *worker_key(uint32_t number, uint32_t *ret_size)
{
	assert(number < sim.swarm.keys);
	*ret_size = keys[number].size;
	return keys[number].bytes;
}

uint32_t worker_any_key(void)
{
	return (uint32_t)sim_below(SIM_CLIENT, sim.swarm.keys);
}

uint64_t worker_value(struct worker *worker, uint32_t key, uint32_t *ret_size)
{
	uint32_t most = sim.swarm.request_max - keys[key].size;
	if (most > sim.swarm.value_max)
		most = sim.swarm.value_max;
	uint32_t size =
		(uint32_t)sim_between(SIM_CLIENT, HISTORY_VALUE_MIN, most);
	uint64_t tag = history_tag();
	history_fill(worker->value, size, tag);
	*ret_size = size;
	return tag;
}

/* ---- judging ---- */

void worker_expect(const struct worker *worker, int code)
{
	switch (code) {
	case 0:
	case -EAGAIN:
	case -ENOTCONN:
	case -ETIMEDOUT:
	case CONCLAVE_ENOLEADER:
	case CONCLAVE_ETRANSFER:
	case CONCLAVE_EREMOVED:
	case CONCLAVE_EMEMBERSHIP:
	case CONCLAVE_ELOGFULL:
	case CONCLAVE_ETOOMANY:
	case CONCLAVE_EQUOTA:
	case CONCLAVE_ECANCELLED:
	case CONCLAVE_ENOSPACE:
	case CONCLAVE_ECOMPARE:
	case CONCLAVE_ECOMPACTED:
	case CONCLAVE_EFUTURE:
	case CONCLAVE_ETOOSMALL:
	case CONCLAVE_ENOTAPPLIED:
	case CONCLAVE_ENOTFOUND:
	case CONCLAVE_EDEADLINE:
	case CONCLAVE_ESESSION:
	case CONCLAVE_ESTOPPED:
		return;
	default:
		sim_fail(SIM_BROKEN, "client %u, which is honest, is told %d",
			 worker->client, code);
	}
}

void worker_judge(struct worker *worker, uint64_t tag, int code,
		  uint64_t revision, uint64_t shown_before)
{
	worker_expect(worker, code);
	if (code == CONCLAVE_ENOSPACE)
		SIM_SOMETIMES(DISK_FULL_REFUSAL);
	if (code == CONCLAVE_ENOTAPPLIED)
		SIM_SOMETIMES(SETTLED_NOT_APPLIED);
	enum conclave_error_kind kind = conclave_error_kind(code);
	if (kind == CONCLAVE_NOT_APPLIED && tag != 0)
		history_tag_never(tag, code);
	if (kind != CONCLAVE_APPLIED)
		return;
	if (tag != 0)
		history_tag_applied(tag, revision);
	sim_check(revision > shown_before ||
			  (tag == 0 && revision == shown_before),
		  "client %u is told revision %" PRIu64 ", and %" PRIu64
		  " was shown before it asked",
		  worker->client, revision, shown_before);
}

void worker_compare(struct model_walk *walk, const struct conclave_kv *kv,
		    bool keys_only)
{
	const uint8_t *key;
	uint32_t size;
	const struct model_version *version;
	bool found = model_walk_next(walk, &key, &size, &version);
	sim_check(found, "a read at %" PRIu64 " shows a key too many",
		  walk->revision);
	sim_check(size == kv->key_size && memcmp(key, kv->key, size) == 0,
		  "a read at %" PRIu64 " shows the wrong key", walk->revision);
	sim_check(kv->mod_revision == version->revision &&
			  kv->create_revision == version->create &&
			  kv->version == version->version,
		  "a read at %" PRIu64 " shows %" PRIu64 "/%" PRIu64 "/%" PRIu64
		  " for a key that is at %" PRIu64 "/%" PRIu64 "/%" PRIu64,
		  walk->revision, kv->create_revision, kv->mod_revision,
		  kv->version, version->create, version->revision,
		  version->version);
	if (keys_only)
		return;
	sim_check(kv->value_size == version->value_size,
		  "a read at %" PRIu64 " shows a value of %u bytes, not %u",
		  walk->revision, kv->value_size, version->value_size);
	sim_check(history_tag_of(kv->value, kv->value_size) == version->tag,
		  "a read at %" PRIu64 " shows another write's value",
		  walk->revision);
}

/* ---- a life ---- */

static int open_handle(struct worker *worker)
{
	struct conclave_options options;
	conclave_options_init(&options);
	options.socket = "/sim/socket";
	options.slots = sim.swarm.slots;
	options.proposal_size = sim.swarm.ring_size;
	options.control_size = sim.swarm.ring_size;
	options.reply_size = sim.swarm.reply_size;
	options.request_max = sim.swarm.request_max;
	options.spin_us = (uint32_t)sim_below(SIM_CLIENT, 3) * 4;
	options.timeout_ms = (uint32_t)sim_between(SIM_CLIENT, 200, 7000);
	options.open_wait_ms = 5000;
	worker->c = NULL;
	worker->proposals_tail = 0;
	worker->control_tail = 0;
	struct conclave *c;
	int code = conclave_open(&c, &options);
	if (code == 0)
		worker->c = c;
	return code;
}

static void check_open(int code)
{
	bool usual = code == 0 || code == CONCLAVE_ESTOPPED ||
		     code == CONCLAVE_ETOOMANY || code == -ETIMEDOUT ||
		     code == -ENOTCONN || code == -ECONNREFUSED ||
		     code == -EAGAIN;
	sim_check(usual, "conclave_open() gives %d", code);
}

void work_live(uint32_t client)
{
	struct worker *worker = &workers[client];
	int code = open_handle(worker);
	sim_trace("client %: open gives %", client, (int64_t)code);
	check_open(code);
	if (code != 0) {
		sim_check(env_client_holds(client) == 0,
			  "a failed conclave_open() leaves something behind");
		return;
	}
	uint64_t rounds = sim_between(SIM_CLIENT, 5, 200);
	for (uint64_t i = 0; i < rounds && !finishing; i++) {
		if (sim_below(SIM_CLIENT, 3) == 0 &&
		    sim.bug != SIM_BUG_WILD_CLOCKS)
			burst_one(worker);
		else
			calls_one(worker);
		if (sim_below(SIM_CLIENT, 4) == 0)
			client_sleep(sim_spread(SIM_CLIENT, SIM_MS / 8) + 1);
	}
	struct conclave *c = worker->c;
	worker->c = NULL;
	conclave_close(c);
	sim_check(env_client_holds(client) == 0,
		  "conclave_close() leaves something behind");
	sim_trace("client %: closed", client);
}
