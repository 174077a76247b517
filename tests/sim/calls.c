/*
 * Synchronous calls, one at a time; see tests/sim/worker.h.
 */
#include "tests/sim/client.h"
#include "tests/sim/machine.h"
#include "tests/sim/operator.h"
#include "tests/sim/watch.h"
#include "tests/sim/worker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
	LEASE_CHOICES = 2, /* at the end of the settings that are chosen from */
};

static void call_put(struct worker *worker)
{
	uint32_t key = worker_any_key(), key_size, size;
	const uint8_t *bytes = worker_key(key, &key_size);
	uint64_t tag = worker_value(worker, key, &size);
	uint64_t before = ghost_shown_revision(), revision = 0;
	int code = conclave_put(worker->c, bytes, key_size, worker->value, size,
				&revision);
	sim_trace("client %: put % gives %, revision %", worker->client, tag,
		  (int64_t)code, revision);
	worker_judge(worker, tag, code, revision, before);
}

static void call_cas(struct worker *worker)
{
	uint32_t key = worker_any_key(), key_size, size;
	const uint8_t *bytes = worker_key(key, &key_size);
	struct conclave_kv kv = {.mod_revision = 0};
	int code = conclave_get(worker->c, bytes, key_size, NULL, 0, &kv);
	worker_expect(worker, code);
	if (code != 0 && code != CONCLAVE_ENOTFOUND)
		return;
	uint64_t revision = code == 0 ? kv.mod_revision : 0;
	uint64_t tag = worker_value(worker, key, &size);
	uint64_t before = ghost_shown_revision();
	code = conclave_cas(worker->c, bytes, key_size, worker->value, size,
			    &revision);
	sim_trace("client %: cas % gives %, revision %", worker->client, tag,
		  (int64_t)code, revision);
	worker_judge(worker, tag, code, revision, before);
}

static void call_delete(struct worker *worker)
{
	uint32_t key_size;
	const uint8_t *bytes = worker_key(worker_any_key(), &key_size);
	uint64_t before = ghost_shown_revision(), count = 0, revision = 0;
	int code =
		conclave_delete(worker->c, bytes, key_size, &count, &revision);
	sim_trace("client %: delete gives %, count %, revision %",
		  worker->client, (int64_t)code, count, revision);
	worker_judge(worker, 0, code, revision, before + (count > 0));
}

static void call_delete_range(struct worker *worker)
{
	uint32_t from = worker_any_key(), key_size, end_size;
	const uint8_t *bytes = worker_key(from, &key_size);
	const uint8_t *end = worker_key(worker_any_key(), &end_size);
	uint64_t count = 0;
	int code = conclave_delete_range(worker->c, bytes, key_size, end,
					 end_size, &count);
	sim_trace("client %: delete range gives %, count %", worker->client,
		  (int64_t)code, count);
	worker_expect(worker, code);
}

/* The read lies somewhere between `before` and now. */
static void check_get(const struct worker *worker, const uint8_t *key,
		      uint32_t key_size, const struct conclave_kv *kv,
		      uint64_t before)
{
	const struct model_version *version;
	uint64_t made = kv != NULL ? kv->mod_revision : 0;
	bool was = model_was(key, key_size, made, before, ghost_revision(),
			     &version);
	sim_check(was,
		  "client %u reads a key as of %" PRIu64
		  ", which is stale or was never so; %" PRIu64
		  " was shown before",
		  worker->client, made, before);
	if (kv == NULL)
		return;
	assert(version != NULL);
	sim_check(kv->version == version->version &&
			  kv->create_revision == version->create &&
			  kv->value_size == version->value_size,
		  "client %u reads wrong numbers", worker->client);
	sim_check(history_tag_of(kv->value, kv->value_size) == version->tag,
		  "client %u reads another write's value", worker->client);
}

static void call_get(struct worker *worker)
{
	uint32_t key_size;
	const uint8_t *bytes = worker_key(worker_any_key(), &key_size);
	uint64_t before = ghost_shown_revision();
	struct conclave_kv kv;
	int code = conclave_get(worker->c, bytes, key_size, worker->value,
				sizeof(worker->value), &kv);
	worker_expect(worker, code);
	if (code == 0 && watch_leader() != (int)client_home(worker->client))
		SIM_SOMETIMES(READ_ON_FOLLOWER);
	if (code == 0)
		check_get(worker, bytes, key_size, &kv, before);
	else if (code == CONCLAVE_ENOTFOUND)
		check_get(worker, bytes, key_size, NULL, before);
}

/* Pages of a range, in the order of keys, at one revision. */
static void walk_pages(struct worker *worker, struct conclave_range *range)
{
	struct conclave_pages *pages = &worker->pages;
	struct model_walk walk;
	struct conclave_kv kv;
	uint64_t count = 0;
	bool keys_only = (range->flags & CV_KEYS_ONLY) != 0;
	model_walk_begin(&walk, range->key, (uint32_t)range->key_size,
			 range->end, (uint32_t)range->end_size,
			 pages->range.revision);
	int code;
	while ((code = conclave_range_next(pages, &kv)) == 1) {
		worker_compare(&walk, &kv, keys_only);
		count++;
	}
	sim_trace("client %: range of % keys at % gives %", worker->client,
		  count, pages->range.revision, (int64_t)code);
	if (code == 0 && range->limit == 0)
		sim_check(model_walk_rest(walk) == 0,
			  "a range ends at %" PRIu64 " keys, and %" PRIu64
			  " are left",
			  count, model_walk_rest(walk));
	if (code == 0 && range->limit > 0)
		sim_check(count == range->limit || model_walk_rest(walk) == 0,
			  "a range with a limit ends too early");
	if (code != 0)
		worker_expect(worker, code);
	if (count > 8 && range->page_size < 2048)
		SIM_SOMETIMES(RANGE_PAGED);
}

/* What the daemon has already made unreadable. */
uint64_t worker_compacted(void)
{
	const struct cv_status *status =
		machine_view(client_home(client_current()))->status;
	return status != NULL ? status->compacted : 0;
}

/* What any member has: of the past, but not before what was seen already. */
static void check_stale(const struct worker *worker, uint64_t seen)
{
	uint64_t revision = worker->pages.range.revision;
	SIM_SOMETIMES(READ_SERIALIZABLE);
	sim_check(revision >= seen && revision <= ghost_revision(),
		  "client %u, which saw revision %" PRIu64 ", reads at %" PRIu64
		  " of %" PRIu64,
		  worker->client, seen, revision, ghost_revision());
}

static void call_range(struct worker *worker)
{
	static const uint8_t all[1] = {0};
	uint32_t key_size, end_size;
	const uint8_t *key = worker_key(worker_any_key(), &key_size);
	const uint8_t *end = worker_key(worker_any_key(), &end_size);
	bool open_end = sim_below(SIM_CLIENT, 2) != 0;
	struct conclave_range range = {
		.key = key,
		.key_size = key_size,
		.end = open_end ? all : end,
		.end_size = open_end ? 1 : end_size,
		.page_size = sim_below(SIM_CLIENT, 2) != 0 ? 1024 : 0,
		.limit = sim_below(SIM_CLIENT, 3) == 0 ? 5 : 0,
		.flags = sim_below(SIM_CLIENT, 3) == 0 ? CV_KEYS_ONLY : 0,
	};
	uint64_t before = ghost_shown_revision();
	uint64_t compacted = worker_compacted();
	if (before > 3 && sim_below(SIM_CLIENT, 3) == 0)
		range.revision = sim_between(SIM_CLIENT, 2, before);
	bool stale = range.revision == 0 && (sim_below(SIM_CLIENT, 3) == 0 ||
					     sim.bug == SIM_BUG_OLDER_READ);
	uint64_t seen = conclave_revision(worker->c);
	if (stale)
		range.flags |= CV_SERIALIZABLE;
	int code = conclave_range_begin(worker->c, &range, &worker->pages);
	worker_expect(worker, code);
	if (code == CONCLAVE_ECOMPACTED) {
		SIM_SOMETIMES(READ_COMPACTED);
		sim_check(range.revision != 0 &&
				  range.revision <= ghost_compacted(),
			  "a read at %" PRIu64 " is told that it is "
			  "compacted, and that goes to %" PRIu64,
			  range.revision, ghost_compacted());
	}
	if (code != 0)
		return;
	if (stale)
		check_stale(worker, seen);
	else if (range.revision == 0)
		sim_check(worker->pages.range.revision >= before,
			  "a range is read at %" PRIu64 ", and %" PRIu64
			  " was shown before it was asked",
			  worker->pages.range.revision, before);
	else
		SIM_SOMETIMES(READ_OF_HISTORY);
	if (range.revision != 0)
		sim_check(range.revision >= compacted,
			  "a read at %" PRIu64 " shows what is compacted",
			  range.revision);
	walk_pages(worker, &range);
	conclave_range_end(&worker->pages);
}

static void call_compact(struct worker *worker)
{
	uint64_t shown = ghost_shown_revision();
	if (shown < 40)
		return;
	uint64_t revision = shown - sim_below(SIM_CLIENT, 30);
	int code = conclave_compact(worker->c, revision);
	sim_trace("client %: compact to % gives %", worker->client, revision,
		  (int64_t)code);
	worker_expect(worker, code);
}

/* The revision of a ping is the daemon's own: behind, when it has just begun
 * and does not yet know what is committed. */
static void call_ping(struct worker *worker)
{
	uint64_t revision = 0;
	int code = conclave_ping(worker->c, &revision);
	worker_expect(worker, code);
	sim_check(code != 0 || revision <= ghost_revision(),
		  "a ping tells of revision %" PRIu64 ", and %" PRIu64
		  " is durable",
		  revision, ghost_revision());
}

/*
 * Short times for what the leader does by itself, so that it does it within a
 * seed; and long ones again.
 */
static void call_setting(struct worker *worker)
{
	static const struct {
		const char *name;
		const char *value;
	} choices[] = {
		{"retention_ms", "50"},	    {"retention_ms", "300000"},
		{"retention_ms", "2000"},   {"session_expiry_ms", "100"},
		{"session_expiry_ms", "5"}, {"session_expiry_ms", "600000"},
		{"tombstone_ms", "1"},	    {"tombstone_ms", "600000"},
		{"sessions_max", "4096"},   {"lease_reads", "0"},
		{"lease_reads", "1"},
	};
	size_t count = sizeof(choices) / sizeof(choices[0]) -
		       (sim.swarm.lease_reads ? 0 : LEASE_CHOICES);
	size_t choice = sim_below(SIM_CLIENT, count);
	int code = conclave_setting(worker->c, choices[choice].name,
				    choices[choice].value);
	sim_trace("client %: setting % gives %", worker->client, choice,
		  (int64_t)code);
	worker_expect(worker, code);
	if (code == 0)
		SIM_SOMETIMES(SETTING_CHANGED);
}

void calls_one(struct worker *worker)
{
	if (sim.swarm.operator_share > 0 && !sim.healing &&
	    sim_below(SIM_CLIENT, 1000) < sim.swarm.operator_share) {
		operator_act(worker);
		return;
	}
	uint64_t draw = sim_below(SIM_CLIENT, 100);
	/* Who writes is stopped by what reads may not notice. */
	if (sim.bug == SIM_BUG_WILD_CLOCKS && worker->client % 3 != 0)
		call_get(worker);
	else if (sim.bug == SIM_BUG_OLDER_READ && draw >= 64)
		call_range(worker);
	else if (draw < 35)
		call_put(worker);
	else if (draw < 50)
		call_cas(worker);
	else if (draw < 60)
		call_delete(worker);
	else if (draw < 64)
		call_delete_range(worker);
	else if (draw < 82)
		call_get(worker);
	else if (draw < 93)
		call_range(worker);
	else if (draw < 94)
		call_compact(worker);
	else if (draw < 96)
		call_setting(worker);
	else
		call_ping(worker);
}
