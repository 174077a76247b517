/*
 * What is committed; see tests/sim/ghost.h.
 *
 * Bytes of entries are kept from when the first disk has them until they are
 * committed, or another entry is at their index.
 */
#include "tests/sim/ghost.h"
#include "tests/sim/history.h"
#include "tests/sim/machine.h"
#include "tests/sim/medium.h"
#include "tests/sim/model.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"

#include "raft/conf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum ghost_limits {
	GHOST_STORE_SIZE = 64 << 20,
	GHOST_BUDGET = 1 << 16,
	GHOST_CONFS_MAX = 4096,
	GHOST_BATCHES = 1 << 12, /* a power of two; see was_committed() */
};

/* An entry that some disk has or had. */
struct fact {
	struct fact *next; /* of the same index */
	uint64_t term;
	uint64_t chain;
	uint8_t *bytes; /* NULL: needed no more */
};

struct committed {
	uint64_t term;
	uint64_t chain;
	uint64_t by; /* term in which it was found out */
	struct store_hash hash;
};

struct batch {
	uint64_t origin;
	uint64_t number;
};

struct conf {
	uint64_t index; /* in force from here on */
	struct raft_conf_state state;
};

struct ghost {
	struct store *store;
	uint8_t *memory;
	struct fact **facts; /* by index */
	uint64_t facts_room;
	uint64_t facts_end;
	struct committed *log; /* by index */
	uint64_t log_room;
	uint64_t index;
	struct conf confs[GHOST_CONFS_MAX];
	uint32_t conf_count;
	struct batch batches[GHOST_BATCHES];
	uint64_t drops;
	uint64_t shown;
};

static struct ghost ghost;

static struct store_settings settings = {
	.quota_bytes = GHOST_STORE_SIZE / 16,
	.retention_ms = 300000,
	.session_expiry_ms = 600000,
	.tombstone_ms = 600000,
	.sessions_max = 4096,
	.store_address_bytes = GHOST_STORE_SIZE,
};

const struct store_settings *ghost_settings(void)
{
	return &settings;
}

static void free_facts(struct fact *fact)
{
	while (fact != NULL) {
		struct fact *next = fact->next;
		free(fact->bytes);
		free(fact);
		fact = next;
	}
}

static void renew_store(void)
{
	if (ghost.memory == NULL) {
		ghost.memory = mmap(
			NULL, GHOST_STORE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		assert(ghost.memory != MAP_FAILED);
	}
	int status = madvise(ghost.memory, GHOST_STORE_SIZE, MADV_DONTNEED);
	assert(status == 0);
	settings.lease_reads = sim.swarm.lease_reads;
	status = store_init(&ghost.store, ghost.memory, GHOST_STORE_SIZE,
			    &settings);
	assert(status == 0);
}

void ghost_clear(const struct raft_conf_state *conf)
{
	for (uint64_t i = 0; i < ghost.facts_end; i++) {
		free_facts(ghost.facts[i]);
		ghost.facts[i] = NULL;
	}
	ghost.facts_end = 0;
	ghost.index = 0;
	ghost.confs[0] = (struct conf){0, *conf};
	ghost.conf_count = 1;
	memset(ghost.batches, 0, sizeof(ghost.batches));
	ghost.drops = 0;
	ghost.shown = 0;
	renew_store();
	history_clear();
}

uint64_t ghost_index(void)
{
	return ghost.index;
}

uint64_t ghost_revision(void)
{
	return store_revision(ghost.store);
}

uint64_t ghost_compacted(void)
{
	return store_compacted(ghost.store);
}

uint64_t ghost_drops(void)
{
	return ghost.drops;
}

uint64_t ghost_shown_revision(void)
{
	return ghost.shown;
}

/* ---- facts ---- */

static struct fact **facts_at(uint64_t index)
{
	if (index >= ghost.facts_room) {
		uint64_t room = ghost.facts_room == 0 ? 4096 : ghost.facts_room;
		while (room <= index)
			room *= 2;
		ghost.facts =
			realloc(ghost.facts, room * sizeof(ghost.facts[0]));
		assert(ghost.facts != NULL);
		memset(&ghost.facts[ghost.facts_room], 0,
		       (room - ghost.facts_room) * sizeof(ghost.facts[0]));
		ghost.facts_room = room;
	}
	if (index >= ghost.facts_end)
		ghost.facts_end = index + 1;
	return &ghost.facts[index];
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* The header holds the checksum of the payload: it stands for all of it. */
static uint64_t chain_of(uint64_t before, const struct entry_header *header)
{
	uint64_t words[sizeof(*header) / 8];
	memcpy(words, header, sizeof(words));
	for (uint32_t i = 0; i < sizeof(words) / 8; i++)
		before = mix(before ^ words[i]) + i;
	return before != 0 ? before : 1;
}

static struct fact *fact_find(uint64_t index, uint64_t term)
{
	struct fact *fact = index < ghost.facts_end ? ghost.facts[index] : NULL;
	while (fact != NULL && fact->term != term)
		fact = fact->next;
	return fact;
}

uint64_t ghost_fact(const uint8_t *bytes, const struct entry_header *header,
		    uint64_t before)
{
	uint64_t chain = chain_of(before, header);
	struct fact *fact = fact_find(header->index, header->term);
	if (fact != NULL) {
		sim_check(fact->chain == chain,
			  "there are two logs with an entry %" PRIu64
			  " of term %" PRIu64,
			  header->index, header->term);
		return chain;
	}
	struct fact **first = facts_at(header->index);
	fact = malloc(sizeof(*fact));
	assert(fact != NULL);
	*fact = (struct fact){*first, header->term, chain, NULL};
	*first = fact;
	if (header->index > ghost.index) {
		uint32_t size = entry_size(header->size);
		fact->bytes = malloc(size);
		assert(fact->bytes != NULL);
		memcpy(fact->bytes, bytes, size);
	}
	return chain;
}

/* ---- configurations ---- */

const struct raft_conf_state *ghost_conf(void)
{
	return &ghost.confs[ghost.conf_count - 1].state;
}

static bool half_has(const uint64_t *ids, uint8_t count, uint64_t index)
{
	uint32_t have = 0;
	for (uint8_t i = 0; i < count; i++) {
		int machine = machine_of_member(ids[i]);
		have += machine >= 0 && medium_holds((uint32_t)machine, index,
						     ghost.log[index].chain);
	}
	return count == 0 || have > count / 2;
}

bool ghost_is_safe(uint64_t index, uint64_t conf_from, uint64_t conf_to)
{
	for (uint32_t i = ghost.conf_count; i > 0; i--) {
		const struct conf *conf = &ghost.confs[i - 1];
		if (conf->index > conf_to)
			continue;
		if (half_has(conf->state.voters, conf->state.voter_count,
			     index) &&
		    half_has(conf->state.outgoing, conf->state.outgoing_count,
			     index))
			return true;
		if (conf->index <= conf_from)
			return false;
	}
	return false;
}

static bool is_conf(uint32_t kind)
{
	return kind == ENTRY_CONF_V1 || kind == ENTRY_CONF_V2;
}

static bool listens(const struct raft_conf_state *conf, uint64_t id)
{
	return raft_conf_has(conf->learners, conf->learner_count, id);
}

static bool is_known(const struct raft_conf_state *conf, uint64_t id)
{
	return listens(conf, id) ||
	       raft_conf_has(conf->voters, conf->voter_count, id) ||
	       raft_conf_has(conf->outgoing, conf->outgoing_count, id) ||
	       raft_conf_has(conf->learners_next, conf->learner_next_count, id);
}

/* Who is new is added, who listens is promoted, who is there is removed. */
static bool fits(const struct raft_conf_state *conf,
		 const struct raft_conf_changes *changes)
{
	for (uint8_t i = 0; i < changes->count; i++) {
		const struct raft_conf_change *one = &changes->changes[i];
		bool wanted = one->type != RAFT_ADD_LEARNER;
		if (one->type == RAFT_ADD_VOTER && !listens(conf, one->id))
			return false;
		if (is_known(conf, one->id) != wanted)
			return false;
	}
	return true;
}

/* As each member does it: what the configuration does not bear is refused. */
static bool change_conf(const struct entry_header *header, const uint8_t *bytes,
			struct raft_conf_state *ret_conf)
{
	struct raft_conf_changes changes;
	struct raft_conf_fresh fresh;
	*ret_conf = *ghost_conf();
	return raft_conf_decode(header->kind, entry_payload(bytes),
				header->size, &changes) == 0 &&
	       (header->size == 0 || fits(ret_conf, &changes)) &&
	       raft_conf_change(ret_conf, &changes, &fresh) == RAFT_CONF_OK;
}

static void take_conf(const struct raft_conf_state *conf)
{
	assert(ghost.conf_count < GHOST_CONFS_MAX);
	sim_trace("ghost: from entry % on % members vote, % did, % listen",
		  ghost.index, conf->voter_count, conf->outgoing_count,
		  conf->learner_count);
	ghost.confs[ghost.conf_count++] = (struct conf){ghost.index, *conf};
	roster_follow();
}

/* ---- applying ---- */

static void hear_operations(const struct entry_header *header,
			    const uint8_t *payload, uint32_t at)
{
	uint32_t count = 0;
	const struct store_result *results = store_results(ghost.store, &count);
	uint32_t expected = is_conf(header->kind) ? 1 : header->op_count;
	sim_check(count == expected,
		  "entry %" PRIu64 " of %u operations has %u results",
		  header->index, expected, count);
	for (uint32_t i = 0; i < count; i++) {
		struct op_header op;
		memcpy(&op, payload + at, sizeof(op));
		uint32_t begin = op.flags & OP_BEGIN
					 ? (uint32_t)sizeof(struct op_begin)
					 : 0;
		const uint8_t *key = payload + at + OP_HEADER_SIZE + begin;
		history_applied(&op, key, key + op.key_size, &results[i]);
		at += op.size;
	}
	if (count > 1)
		SIM_SOMETIMES(BATCH_OF_MANY);
}

/* A change of membership, and whether it takes effect. */
static void finish_conf(const struct entry_header *header, const uint8_t *bytes,
			const struct raft_conf_state *conf)
{
	uint32_t count = 0;
	const struct store_result *results = store_results(ghost.store, &count);
	bool refused = count > 0 &&
		       (results[0].status != 0 ||
			(results[0].flags & CONCLAVE_RESULT_REPEATED) != 0);
	if (header->size > 0) {
		struct raft_conf_changes changes;
		int code = raft_conf_decode(header->kind, entry_payload(bytes),
					    header->size, &changes);
		assert(code == 0);
		hear_operations(header, entry_payload(bytes),
				(uint32_t)raft_conf_size(changes.count));
	}
	if (!refused && conf != NULL)
		take_conf(conf);
}

static void note_kind(const struct entry_header *header)
{
	if (header->kind == ENTRY_SESSION_EXPIRE)
		SIM_SOMETIMES(SESSION_EXPIRED);
	ghost.drops += header->kind == ENTRY_SESSION_DROP;
	if (header->kind != ENTRY_COMPACTION)
		return;
	SIM_SOMETIMES(LEADER_COMPACTED);
	model_compacted_to(store_compacted(ghost.store));
}

/* The batch was proposed again, though its first copy was not lost. */
static void note_batch(const struct entry_header *header)
{
	uint64_t at = mix(header->origin ^ mix(header->batch));
	struct batch *batch = &ghost.batches[at % GHOST_BATCHES];
	if (header->kind == ENTRY_EMPTY || header->batch == 0)
		return;
	if (batch->origin == header->origin && batch->number == header->batch)
		SIM_SOMETIMES(SECOND_COPY);
	*batch = (struct batch){header->origin, header->batch};
}

static void apply(const uint8_t *bytes)
{
	struct entry_header header;
	struct raft_conf_state conf;
	memcpy(&header, bytes, sizeof(header));
	struct raft_entry entry = {
		.index = header.index,
		.term = header.term,
		.kind = header.kind,
		.size = header.size,
		.data = bytes,
	};
	sim_trace("ghost: entry % of term %, kind %, by member %", header.index,
		  header.term, header.kind, header.origin);
	bool changes =
		is_conf(header.kind) && change_conf(&header, bytes, &conf);
	store_apply_begin(ghost.store, &entry);
	if (is_conf(header.kind) && header.size > 0 && !changes)
		store_apply_refuse(ghost.store, CONCLAVE_EMEMBERSHIP);
	while (store_apply(ghost.store, GHOST_BUDGET) != 0)
		continue;
	if (header.kind == ENTRY_NORMAL)
		hear_operations(&header, entry_payload(bytes), 0);
	if (is_conf(header.kind))
		finish_conf(&header, bytes, changes ? &conf : NULL);
	note_kind(&header);
	note_batch(&header);
	store_hash(ghost.store, &ghost.log[ghost.index].hash);
	while (store_compact(ghost.store, GHOST_BUDGET) != 0)
		continue;
}

/* ---- committing ---- */

uint64_t ghost_term_at(uint64_t index)
{
	assert(index > 0 && index <= ghost.index);
	return ghost.log[index].term;
}

uint64_t ghost_chain(uint64_t index)
{
	sim_check(index <= ghost.index,
		  "a snapshot is of entry %" PRIu64 ", and only %" PRIu64
		  " are committed",
		  index, ghost.index);
	return index == 0 ? 0 : ghost.log[index].chain;
}

uint64_t ghost_index_before(uint64_t term)
{
	uint64_t index = ghost.index;
	while (index > 0 && ghost.log[index].by >= term)
		index--;
	return index;
}

static void grow_log(void)
{
	if (ghost.index < ghost.log_room)
		return;
	ghost.log_room = ghost.log_room == 0 ? 4096 : 2 * ghost.log_room;
	ghost.log = realloc(ghost.log, ghost.log_room * sizeof(ghost.log[0]));
	assert(ghost.log != NULL);
}

void ghost_commit(uint64_t index, uint64_t term, uint64_t by)
{
	assert(index == ghost.index + 1);
	sim_check(index == 1 || by >= ghost.log[index - 1].by,
		  "entry %" PRIu64 " is committed in term %" PRIu64
		  ", and the one before in term %" PRIu64,
		  index, by, index == 1 ? 0 : ghost.log[index - 1].by);
	struct fact *fact = fact_find(index, term);
	sim_check(fact != NULL && fact->bytes != NULL,
		  "entry %" PRIu64 " of term %" PRIu64
		  " is committed, and no disk has it",
		  index, term);
	ghost.index = index;
	grow_log();
	ghost.log[index] = (struct committed){
		.term = term,
		.chain = fact->chain,
		.by = by,
	};
	apply(fact->bytes);
	for (fact = ghost.facts[index]; fact != NULL; fact = fact->next) {
		free(fact->bytes);
		fact->bytes = NULL;
	}
}

/* ---- what is held against it ---- */

void ghost_compare(const struct store *store)
{
	uint64_t applied = store_applied(store);
	struct store_hash hash;
	sim_check(applied <= ghost.index,
		  "entry %" PRIu64 " is applied, and %" PRIu64 " are committed",
		  applied, ghost.index);
	if (applied == 0)
		return;
	store_hash(store, &hash);
	sim_check(hash.low == ghost.log[applied].hash.low &&
			  hash.high == ghost.log[applied].hash.high,
		  "the state at entry %" PRIu64
		  " is not what the log alone gives",
		  applied);
}

void ghost_shown(uint64_t revision)
{
	sim_check(revision <= store_revision(ghost.store),
		  "revision %" PRIu64 " is shown, and %" PRIu64 " is committed",
		  revision, store_revision(ghost.store));
	if (revision > ghost.shown)
		ghost.shown = revision;
}
