/*
 * Asynchronous requests: several at a time, cancelled, abandoned, waited for
 * in any order, asked about again after their deadline; see
 * tests/sim/worker.h.
 */
#include "tests/sim/client.h"
#include "tests/sim/worker.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* ---- asking ---- */

static bool is_write(enum ask_kind kind)
{
	return kind <= ASK_DELETE_RANGE;
}

static bool is_read(enum ask_kind kind)
{
	return kind >= ASK_GET && kind <= ASK_COUNT;
}

static void prepare_write(struct worker *worker, struct ask *ask)
{
	uint32_t size, key_size, end_size;
	const uint8_t *key = worker_key(ask->key, &key_size);
	const uint8_t *end;
	const struct model_version *known;
	switch (ask->kind) {
	case ASK_PUT:
		ask->tag = worker_value(worker, ask->key, &size);
		conclave_prep_put(ask->req, key, key_size, worker->value, size);
		break;
	case ASK_CAS:
		ask->tag = worker_value(worker, ask->key, &size);
		known = model_get(key, key_size, ghost_shown_revision());
		conclave_prep_cas(ask->req, key, key_size, worker->value, size,
				  known != NULL ? known->revision : 0);
		break;
	case ASK_DELETE:
		conclave_prep_delete(ask->req, key, key_size);
		break;
	default:
		end = worker_key(ask->end, &end_size);
		conclave_prep_delete_range(ask->req, key, key_size, end,
					   end_size);
	}
}

static void prepare_read(struct worker *worker, struct ask *ask)
{
	static const uint8_t all[1] = {0};
	uint32_t key_size, end_size = 1;
	const uint8_t *key = worker_key(ask->key, &key_size);
	const uint8_t *end = all;
	if (ask->kind == ASK_GET) {
		conclave_prep_get(ask->req, key, key_size);
		conclave_req_set_reply_room(ask->req,
					    256 << sim_below(SIM_CLIENT, 4));
	} else {
		if (ask->end != KEY_NONE)
			end = worker_key(ask->end, &end_size);
		struct conclave_range range = {
			.key = key,
			.key_size = key_size,
			.end = end,
			.end_size = end_size,
			.revision = ask->at,
			.limit = ask->limit,
			.flags = ask->kind == ASK_COUNT ? CV_COUNT_ONLY : 0,
		};
		conclave_prep_range(ask->req, &range);
		if (ask->kind == ASK_RANGE)
			conclave_req_set_reply_room(ask->req, 1024);
	}
	if (ask->after >= 0 && worker->asks[ask->after].open)
		conclave_req_set_after(ask->req, worker->asks[ask->after].req);
	else
		ask->after = -1;
}

static void prepare(struct worker *worker, struct ask *ask)
{
	if (is_write(ask->kind))
		prepare_write(worker, ask);
	else if (ask->kind == ASK_PING)
		conclave_prep_ping(ask->req);
	else if (ask->kind == ASK_COMPACT)
		conclave_prep_compact(ask->req, ask->at > 0 ? ask->at : 1);
	else
		prepare_read(worker, ask);
	if (sim_below(SIM_CLIENT, 6) == 0)
		conclave_req_set_deadline(
			ask->req, client_now() + 1 +
					  sim_spread(SIM_CLIENT, 100 * SIM_US));
}

/* What is asked, before it has a request. */
static void draw(struct worker *worker, struct ask *ask)
{
	static const enum ask_kind kinds[16] = {
		ASK_PUT,	  ASK_PUT,   ASK_PUT,  ASK_PUT,
		ASK_PUT,	  ASK_CAS,   ASK_CAS,  ASK_DELETE,
		ASK_DELETE_RANGE, ASK_GET,   ASK_GET,  ASK_RANGE,
		ASK_RANGE,	  ASK_COUNT, ASK_PING, ASK_GET,
	};
	memset(ask, 0, sizeof(*ask));
	ask->kind = kinds[sim_below(SIM_CLIENT, 16)];
	if (sim_below(SIM_CLIENT, 60) == 0)
		ask->kind = ASK_COMPACT;
	ask->key = worker_any_key();
	ask->end = sim_below(SIM_CLIENT, 2) != 0 ? worker_any_key() : KEY_NONE;
	if (ask->kind == ASK_DELETE_RANGE)
		ask->end = ask->key + sim_below(SIM_CLIENT, 3) < sim.swarm.keys
				   ? ask->key
				   : worker_any_key();
	ask->limit = sim_below(SIM_CLIENT, 2) != 0 ? 3 : 0;
	ask->after = worker->ask_count > 0 && sim_below(SIM_CLIENT, 2) != 0
			     ? (int32_t)sim_below(SIM_CLIENT, worker->ask_count)
			     : -1;
	if (ask->after >= 0 &&
	    (!is_read(ask->kind) || !is_write(worker->asks[ask->after].kind)))
		ask->after = -1;
	ask->shown_before = ghost_shown_revision();
	ask->compacted_before = worker_compacted();
	if (ask->shown_before > 40 && sim_below(SIM_CLIENT, 4) == 0)
		ask->at = ask->shown_before - sim_below(SIM_CLIENT, 30);
}

/* False: no more fits now. */
static bool ask_one(struct worker *worker)
{
	struct ask *ask = &worker->asks[worker->ask_count];
	struct conclave_req *req = conclave_get_req(worker->c);
	if (req == NULL)
		return false;
	draw(worker, ask);
	ask->req = req;
	prepare(worker, ask);
	conclave_req_set_user_data(req, worker->ask_count);
	int code = conclave_submit(worker->c, req);
	worker_expect(worker, code);
	if (code == 0) {
		ask->open = true;
		ask->sequence = req->sequence;
		sim_trace("client %: asks kind %, sequence %, after %",
			  worker->client, ask->kind, req->sequence, req->after);
		conclave_session_id(worker->c, ask->session);
		worker->ask_count++;
		return true;
	}
	if (code == -EAGAIN)
		SIM_SOMETIMES(RING_FULL);
	if (ask->tag != 0)
		history_tag_never(ask->tag, code);
	conclave_abandon(worker->c, req);
	return false;
}

/* ---- being answered ---- */

static void check_write(struct worker *worker, struct ask *ask,
			const struct conclave_result *result)
{
	enum conclave_error_kind kind = conclave_error_kind(result->status);
	struct history_outcome outcome = {
		.status = result->status,
		.flags = result->flags,
		.revision = result->revision,
		.aux = result->aux,
		.shown_before = ask->shown_before,
	};
	bool empty = result->status == 0 && ask->tag == 0 && result->aux == 0;
	worker_judge(worker, ask->tag, result->status, result->revision,
		     ask->shown_before + (ask->tag == 0 && !empty));
	if (kind == CONCLAVE_NOT_APPLIED)
		history_never(ask->session, ask->sequence, result->status);
	if (kind == CONCLAVE_APPLIED || result->status == CONCLAVE_ECOMPARE)
		history_settled(ask->session, ask->sequence, &outcome);
	if (result->status == CONCLAVE_ESESSION)
		history_session_over(ask->session);
	if (result->flags & CONCLAVE_RESULT_REPEATED)
		SIM_SOMETIMES(SETTLED_APPLIED);
}

static void check_records(struct ask *ask, struct model_walk *walk,
			  const struct conclave_result *result)
{
	struct conclave_kv kv;
	uint64_t count = 0;
	int code = conclave_record_first(result, &kv);
	while (code == 1) {
		worker_compare(walk, &kv, false);
		count++;
		code = conclave_record_next(&kv);
	}
	sim_check(code == 0, "a reply is malformed: %d", code);
	bool more = (result->flags & CONCLAVE_RESULT_MORE) != 0;
	sim_check(more == (model_walk_rest(*walk) > 0),
		  "a range says more %d, and %" PRIu64 " keys are left", more,
		  model_walk_rest(*walk));
	sim_check(ask->limit == 0 || ask->kind != ASK_RANGE ||
			  count <= ask->limit,
		  "a range shows more than its limit");
}

static void check_read(struct ask *ask, const struct conclave_result *result)
{
	static const uint8_t all[1] = {0};
	uint32_t key_size, end_size = 1;
	const uint8_t *key = worker_key(ask->key, &key_size);
	const uint8_t *end = all;
	struct model_walk walk;
	if (ask->kind == ASK_GET)
		end_size = 0;
	else if (ask->end != KEY_NONE)
		end = worker_key(ask->end, &end_size);
	uint64_t at = ask->kind == ASK_GET ? 0 : ask->at;
	if (at == 0)
		sim_check(result->revision >= ask->shown_before,
			  "a read shows revision %" PRIu64 ", and %" PRIu64
			  " was shown before it",
			  result->revision, ask->shown_before);
	else
		sim_check(result->revision == at && at >= ask->compacted_before,
			  "a read at %" PRIu64 " is made at %" PRIu64, at,
			  result->revision);
	model_walk_begin(&walk, key, key_size, end, end_size, result->revision);
	if (ask->kind == ASK_COUNT)
		sim_check(result->aux == model_walk_rest(walk),
			  "a range counts %" PRIu64 " keys, and there are "
			  "%" PRIu64,
			  result->aux, model_walk_rest(walk));
	else
		check_records(ask, &walk, result);
}

static void check_refused_read(const struct ask *ask, int status)
{
	if (status != CONCLAVE_ECOMPACTED)
		return;
	SIM_SOMETIMES(READ_COMPACTED);
	sim_check(ask->at != 0 && ask->at <= ghost_compacted(),
		  "a read at %" PRIu64 " is told that it is compacted",
		  ask->at);
}

static void answered(struct worker *worker, struct ask *ask)
{
	struct conclave_result result;
	int code = conclave_finish(worker->c, ask->req, &result);
	sim_check(code == 0, "conclave_finish() gives %d", code);
	ask->open = false;
	sim_trace("client %: request of kind % gives %, revision %",
		  worker->client, ask->kind, (int64_t)result.status,
		  result.revision);
	worker_expect(worker, result.status);
	if (ask->late)
		SIM_SOMETIMES(LATE_COMPLETION);
	if (result.status == 0)
		ask->result_revision = result.revision;
	if (is_write(ask->kind))
		check_write(worker, ask, &result);
	else if (ask->kind == ASK_PING || ask->kind == ASK_COMPACT)
		return;
	else if (result.status == 0)
		check_read(ask, &result);
	else
		check_refused_read(ask, result.status);
}

static struct ask *ask_of(struct worker *worker, struct conclave_req *req)
{
	uint64_t number = conclave_req_user_data(req);
	sim_check(number < worker->ask_count && worker->asks[number].open &&
			  worker->asks[number].req == req,
		  "client %u is handed a request that it did not ask for",
		  worker->client);
	return &worker->asks[number];
}

/* ---- cancelling, giving up ---- */

static void cancel(struct worker *worker, struct ask *ask)
{
	int code = conclave_cancel(worker->c, ask->req);
	sim_fault(SIM_FAULT_CLIENT_CANCEL);
	if (code == 0) {
		SIM_SOMETIMES(CANCEL_WON);
		if (ask->tag != 0)
			history_tag_never(ask->tag, CONCLAVE_ECANCELLED);
		answered(worker, ask);
	} else {
		sim_check(code == -EALREADY, "a cancel gives %d", code);
		SIM_SOMETIMES(CANCEL_LOST);
	}
}

static void give_up(struct worker *worker, struct ask *ask)
{
	sim_fault(SIM_FAULT_CLIENT_ABANDON);
	sim_trace("client %: abandons a request of kind %", worker->client,
		  ask->kind);
	ask->open = false;
	conclave_abandon(worker->c, ask->req);
}

/* ---- waiting ---- */

static uint32_t open_count(const struct worker *worker)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < worker->ask_count; i++)
		count += worker->asks[i].open;
	return count;
}

static void wait_one(struct worker *worker, struct ask *ask)
{
	int timeout = (int)sim_below(SIM_CLIENT, 3) * 20 - 1;
	int code = conclave_wait(worker->c, ask->req, timeout);
	worker_expect(worker, code);
	if (code == 0) {
		answered(worker, ask);
		return;
	}
	if (code == CONCLAVE_EDEADLINE) {
		SIM_SOMETIMES(DEADLINE_PASSED);
		ask->late = true;
	}
	if (sim_below(SIM_CLIENT, 4) == 0)
		give_up(worker, ask);
}

static void wait_first(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->ask_count; i++) {
		if (!worker->asks[i].open)
			continue;
		wait_one(worker, &worker->asks[i]);
		return;
	}
}

static void wait_any(struct worker *worker)
{
	struct conclave_req *req;
	int code = conclave_wait_any(worker->c, 50, &req);
	sim_check(code == 0 || code == -ETIMEDOUT || code == -ENOENT,
		  "conclave_wait_any() gives %d", code);
	if (code == 0)
		answered(worker, ask_of(worker, req));
}

/* As a program with an event loop of its own does. */
static void wait_event(struct worker *worker)
{
	int fd = conclave_eventfd(worker->c);
	int timeout = 0;
	sim_check(fd >= 0, "conclave_eventfd() gives %d", fd);
	int code = conclave_arm(worker->c, &timeout);
	sim_check(code >= 0, "conclave_arm() gives %d", code);
	if (code == 0)
		code = cv_env_poll(fd, timeout);
	sim_check(code >= 0, "waiting for it gives %d", code);
	struct conclave_req *req;
	while ((req = conclave_next(worker->c)) != NULL)
		answered(worker, ask_of(worker, req));
}

static void settle(struct worker *worker)
{
	uint32_t rounds = 0;
	while (open_count(worker) > 0) {
		switch (sim_below(SIM_CLIENT, 3)) {
		case 0:
			wait_first(worker);
			break;
		case 1:
			wait_any(worker);
			break;
		default:
			wait_event(worker);
		}
		rounds++;
		if (rounds < 400)
			continue;
		for (uint32_t i = 0; i < worker->ask_count; i++)
			if (worker->asks[i].open)
				give_up(worker, &worker->asks[i]);
	}
}

/* A read that was to come behind a write shows at least that write. */
static void check_order(const struct worker *worker)
{
	for (uint32_t i = 0; i < worker->ask_count; i++) {
		const struct ask *ask = &worker->asks[i];
		if (ask->after < 0 || ask->at != 0 || ask->result_revision == 0)
			continue;
		uint64_t first = worker->asks[ask->after].result_revision;
		sim_check(ask->result_revision >= first,
			  "a read behind the write at %" PRIu64
			  " shows %" PRIu64,
			  first, ask->result_revision);
	}
}

void burst_one(struct worker *worker)
{
	uint64_t count = sim_between(SIM_CLIENT, 1, WORKER_BURST_MAX);
	worker->ask_count = 0;
	for (uint64_t i = 0; i < count; i++) {
		if (!ask_one(worker))
			break;
		if (sim_below(SIM_CLIENT, 8) == 0)
			conclave_flush(worker->c);
		if (sim_below(SIM_CLIENT, 12) == 0)
			cancel(worker, &worker->asks[worker->ask_count - 1]);
		else if (sim_below(SIM_CLIENT, 40) == 0)
			give_up(worker, &worker->asks[worker->ask_count - 1]);
	}
	settle(worker);
	check_order(worker);
}
