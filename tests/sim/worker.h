/*
 * A client's own state, shared by tests/sim/work.c, tests/sim/calls.c and
 * tests/sim/burst.c.
 */
#ifndef TESTS_SIM_WORKER_H
#define TESTS_SIM_WORKER_H

#include "shm/conclave.h"
#include "tests/sim/ghost.h"
#include "tests/sim/history.h"
#include "tests/sim/model.h"
#include "tests/sim/sim.h"
#include "tests/sim/work.h"

enum worker_limits {
	WORKER_KEYS_MAX = 256,
	WORKER_KEY_SIZE = 320,
	WORKER_VALUE_SIZE = 32 << 10,
	WORKER_BURST_MAX = 32,
};

enum ask_kind {
	ASK_PUT,
	ASK_CAS,
	ASK_DELETE,
	ASK_DELETE_RANGE,
	ASK_GET,
	ASK_RANGE,
	ASK_COUNT,
	ASK_PING,
	ASK_COMPACT,
	ASK_KINDS,
};

/* One request of a burst, as the asker remembers it. */
struct ask {
	enum ask_kind kind;
	bool open; /* submitted, and not finished */
	bool late; /* its deadline was reported once */
	struct conclave_req *req;
	uint8_t session[16];
	uint64_t sequence;
	uint64_t tag;
	uint64_t shown_before;
	uint64_t compacted_before;
	uint32_t key, end; /* numbers of keys; end KEY_NONE: none */
	uint32_t limit;
	uint64_t at; /* revision of a read, 0: newest */
	int32_t after; /* a read: behind this one of the burst; -1 */
	uint64_t result_revision; /* 0: none */
};

#define KEY_NONE UINT32_MAX

struct worker {
	struct conclave *c;
	uint32_t client;
	uint64_t asked; /* requests on this handle that count */
	uint64_t proposals_tail; /* what was published so far, and when */
	uint64_t control_tail;
	uint64_t published_ns;
	struct ask asks[WORKER_BURST_MAX];
	uint32_t ask_count;
	struct conclave_pages pages;
	uint8_t value[WORKER_VALUE_SIZE];
};

/* A key of the seed's set: `number` below sim.swarm.keys. */
const uint8_t *worker_key(uint32_t number, uint32_t *ret_size);
uint32_t worker_any_key(void);
/* Makes the value of a new write; returns its tag. */
uint64_t worker_value(struct worker *worker, uint32_t key, uint32_t *ret_size);

/* What a write came to, by the code that the caller got. */
void worker_judge(struct worker *worker, uint64_t tag, int code,
		  uint64_t revision, uint64_t shown_before);
/* A code that an honest client in order may get. */
void worker_expect(const struct worker *worker, int code);
/* Compares a record with the next one of the model. */
void worker_compare(struct model_walk *walk, const struct conclave_kv *kv,
		    bool keys_only);

uint64_t worker_compacted(void);

/* One synchronous call of any kind. */
void calls_one(struct worker *worker);
/* A number of asynchronous requests. */
void burst_one(struct worker *worker);

#endif
