/*
 * Exactly once, in order, and honest; see tests/sim/history.h.
 */
#include "tests/sim/history.h"
#include "tests/sim/ghost.h"
#include "tests/sim/model.h"
#include "tests/sim/sim.h"

#include "daemon/store/op.h"
#include "shm/abi.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum history_sizes {
	SESSIONS_MAX = 4096, /* a power of two */
};

#define VALUE_MARK 0x65756c6176736968ull

struct tag {
	uint64_t revision; /* where it took effect; 0: nowhere yet */
	bool never;
};

struct request {
	bool logged; /* in the log, with this first result: */
	bool effect; /* it changed something */
	bool never;
	int32_t status;
	uint64_t revision;
	uint64_t aux;
};

struct session {
	bool used;
	uint8_t id[16];
	bool begun; /* an operation of it was admitted */
	uint64_t last; /* the sequence that took effect last */
	uint64_t settled; /* all below, whatever they came to */
	struct request *requests; /* by sequence */
	uint64_t room;
};

static struct tag *tags;
static uint64_t tag_count, tag_room;
static struct session sessions[SESSIONS_MAX];

void history_clear(void)
{
	tag_count = 1;
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		free(sessions[i].requests);
		memset(&sessions[i], 0, sizeof(sessions[i]));
	}
	model_clear();
}

/* ---- tags ---- */

uint64_t history_tag(void)
{
	if (tag_count >= tag_room) {
		tag_room = tag_room == 0 ? 4096 : 2 * tag_room;
		tags = realloc(tags, tag_room * sizeof(*tags));
		assert(tags != NULL);
	}
	tags[tag_count] = (struct tag){0, false};
	return tag_count++;
}

static uint8_t filler(uint64_t tag, uint32_t at)
{
	return (uint8_t)((tag * 31 + at * 7) | 1);
}

void history_fill(uint8_t *value, uint32_t size, uint64_t tag)
{
	uint64_t mark = VALUE_MARK;
	assert(size >= HISTORY_VALUE_MIN);
	memcpy(value, &mark, 8);
	memcpy(value + 8, &tag, 8);
	for (uint32_t i = HISTORY_VALUE_MIN; i < size; i++)
		value[i] = filler(tag, i);
}

uint64_t history_tag_of(const uint8_t *value, uint32_t size)
{
	uint64_t mark, tag;
	sim_check(size >= HISTORY_VALUE_MIN, "a value is cut short: %u", size);
	memcpy(&mark, value, 8);
	memcpy(&tag, value + 8, 8);
	sim_check(mark == VALUE_MARK && tag > 0 && tag < tag_count,
		  "a value was never written");
	for (uint32_t i = HISTORY_VALUE_MIN; i < size; i++)
		sim_check(value[i] == filler(tag, i),
			  "the value of write %" PRIu64 " is not whole", tag);
	return tag;
}

void history_tag_applied(uint64_t tag, uint64_t revision)
{
	assert(tag > 0 && tag < tag_count);
	sim_check(tags[tag].revision == revision,
		  "write %" PRIu64 " is told to stand at revision %" PRIu64
		  ", and stands at %" PRIu64,
		  tag, revision, tags[tag].revision);
}

void history_tag_never(uint64_t tag, int status)
{
	assert(tag > 0 && tag < tag_count);
	sim_check(tags[tag].revision == 0,
		  "write %" PRIu64 " is refused with %d, and stands at "
		  "revision %" PRIu64,
		  tag, status, tags[tag].revision);
	tags[tag].never = true;
}

/* ---- requests ---- */

static struct session *session_of(const uint8_t id[16])
{
	uint64_t at;
	memcpy(&at, id, 8);
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *session =
			&sessions[(at + i) & (SESSIONS_MAX - 1)];
		if (session->used && memcmp(session->id, id, 16) == 0)
			return session;
		if (session->used)
			continue;
		session->used = true;
		memcpy(session->id, id, 16);
		return session;
	}
	assert(false);
	return NULL;
}

static struct request *request_of(const uint8_t id[16], uint64_t sequence)
{
	struct session *session = session_of(id);
	assert(sequence > 0 && sequence < (1u << 24));
	if (sequence >= session->room) {
		uint64_t room = session->room == 0 ? 64 : session->room;
		while (room <= sequence)
			room *= 2;
		session->requests = realloc(session->requests,
					    room * sizeof(struct request));
		assert(session->requests != NULL);
		memset(&session->requests[session->room], 0,
		       (room - session->room) * sizeof(struct request));
		session->room = room;
	}
	return &session->requests[sequence];
}

void history_settled(const uint8_t session[16], uint64_t sequence,
		     const struct history_outcome *outcome)
{
	const struct request *request = request_of(session, sequence);
	sim_check(request->logged,
		  "request %" PRIu64 " is told to have come to %d, and is not "
		  "in the durable log",
		  sequence, outcome->status);
	sim_check(request->status == outcome->status &&
			  request->revision == outcome->revision &&
			  request->aux == outcome->aux,
		  "request %" PRIu64 " is told %d at %" PRIu64 " with %" PRIu64
		  ", and came to %d at %" PRIu64 " with %" PRIu64,
		  sequence, outcome->status, outcome->revision, outcome->aux,
		  request->status, request->revision, request->aux);
	uint64_t least = outcome->shown_before + (request->effect ? 1 : 0);
	sim_check(outcome->revision >= least,
		  "request %" PRIu64 " took effect at %" PRIu64
		  ", before it was asked",
		  sequence, outcome->revision);
}

void history_never(const uint8_t session[16], uint64_t sequence, int status)
{
	struct request *request = request_of(session, sequence);
	sim_check(!request->effect,
		  "request %" PRIu64 " is refused with %d, and took effect at "
		  "%" PRIu64,
		  sequence, status, request->revision);
	request->never = true;
}

void history_session_over(const uint8_t session[16])
{
	const struct session *known = session_of(session);
	sim_check(known->begun || ghost_drops() > 0,
		  "a client is told that its session is over, and it never "
		  "began");
}

/* ---- what becomes durable ---- */

static void note_tag(const uint8_t *value, uint32_t size, uint64_t revision)
{
	struct tag *tag = &tags[history_tag_of(value, size)];
	sim_check(tag->revision == 0,
		  "write %" PRIu64 " takes effect at %" PRIu64
		  " and again at %" PRIu64,
		  (uint64_t)(tag - tags), tag->revision, revision);
	sim_check(!tag->never,
		  "write %" PRIu64 " takes effect after it was refused",
		  (uint64_t)(tag - tags));
	tag->revision = revision;
}

static void note_repeat(const struct op_header *op,
			const struct request *request,
			const struct store_result *result)
{
	sim_check(request->logged,
		  "request %" PRIu64 " is repeated, and there was no first",
		  op->sequence);
	sim_check(request->status == result->status &&
			  request->revision == result->revision,
		  "request %" PRIu64 " is repeated with another result",
		  op->sequence);
}

static void note_effect(const struct op_header *op, struct request *request,
			struct session *session)
{
	sim_check(!request->effect, "request %" PRIu64 " takes effect twice",
		  op->sequence);
	sim_check(!request->never,
		  "request %" PRIu64 " takes effect after it was refused",
		  op->sequence);
	/*
	 * Requests that were in flight together may come in another order
	 * when they are proposed again to another member.
	 */
	bool alone = sim.swarm.members == 1;
	uint64_t floor = alone ? session->last + 1 : session->settled;
	sim_check(op->sequence >= floor,
		  "request %" PRIu64 " takes effect behind request %" PRIu64
		  " of its session",
		  op->sequence, session->last);
	request->effect = true;
	session->last = op->sequence;
	if (session->settled < op->settled_below)
		session->settled = op->settled_below;
}

void history_applied(const struct op_header *op, const uint8_t *key,
		     const uint8_t *value, const struct store_result *result)
{
	static const uint8_t nobody[16];
	if (memcmp(op->session, nobody, 16) == 0) {
		model_apply(op, key, value, result);
		return;
	}
	struct request *request = request_of(op->session, op->sequence);
	if (result->flags & CONCLAVE_RESULT_REPEATED) {
		note_repeat(op, request, result);
		return;
	}
	if (result->status != CONCLAVE_ESESSION)
		session_of(op->session)->begun = true;
	bool effect = model_apply(op, key, value, result);
	if (effect)
		note_effect(op, request, session_of(op->session));
	if (effect && (op->type == OP_PUT || op->type == OP_CAS))
		note_tag(value, op->value_size, result->revision);
	if (request->logged)
		return;
	request->logged = true;
	request->status = result->status;
	request->revision = result->revision;
	request->aux = result->aux;
}
