/*
 * The machines' own state, shared by tests/sim/machine.c and
 * tests/sim/machine_start.c.
 */
#ifndef TESTS_SIM_MACHINE_STATE_H
#define TESTS_SIM_MACHINE_STATE_H

#include "tests/sim/fiber.h"
#include "tests/sim/machine.h"

enum machine_limits {
	STORE_SIZE = 64 << 20,
	REFUSALS_MAX = 20, /* starts refused in a row, for cause */
	MAPPINGS = 2, /* of a store, and of the image of the next one */
};

struct machine {
	uint32_t number;
	struct machine_view view;
	struct machine_member member;
	struct fiber fiber;
	uint64_t stamp; /* of the event that is meant */
	uint64_t frozen_until;
	bool waits; /* the fiber stands in machine_wait(0) */
	bool doomed; /* die as soon as the fiber is left */
	bool stopping; /* told to stop */
	bool stopped; /* and did, cleanly */
	bool idle; /* the last turn found nothing to do */
	bool damaged; /* its log is not whole, for a cause that is known */
	uint32_t refusals;
	uint64_t snapshot_index; /* as last looked at */
	/* The clock: what it showed at `set_at`, and how it goes since. */
	uint64_t shown;
	uint64_t set_at;
	int32_t drift;
	uint64_t slept; /* while the host was suspended, in all */
	uint32_t version; /* of the cluster, that its release can apply */
	uint64_t leased; /* reads under a lease, as last looked at */
	struct disk *disk;
	struct wal *wal;
	struct store *store; /* as it was opened */
	void *left; /* a mapping that is to be zeroed and given back */
	uint8_t *wal_memory, *node_memory;
	uint8_t *store_memory[MAPPINGS];
	size_t wal_size, node_size;
};

/* In the fiber: opens log, store and node. False: the start was refused. */
bool machine_open(struct machine *machine);
/* After a turn: what was damaged may have come back. */
void machine_mended(struct machine *machine);
/* Zeroes a mapping of the store. */
void machine_zero(void *mapping);

#endif
