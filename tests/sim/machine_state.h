/*
 * The machine's own state, shared by tests/sim/machine.c and
 * tests/sim/machine_start.c.
 */
#ifndef TESTS_SIM_MACHINE_STATE_H
#define TESTS_SIM_MACHINE_STATE_H

#include "tests/sim/fiber.h"
#include "tests/sim/machine.h"

enum machine_limits {
	STORE_SIZE = 64 << 20,
	MEMBER = 7,
	REFUSALS_MAX = 20, /* starts refused in a row, for cause */
};

struct machine {
	struct machine_view view;
	struct fiber fiber;
	uint64_t stamp; /* of the event that is meant */
	bool waits; /* the fiber stands in machine_wait(0) */
	bool doomed; /* die as soon as the fiber is left */
	bool stopping; /* told to stop */
	bool stopped; /* and did, cleanly */
	bool idle; /* the last turn found nothing to do */
	uint32_t refusals;
	uint64_t snapshot_index; /* as last looked at */
	struct disk *disk;
	struct wal *wal;
	struct store *store;
	uint8_t *wal_memory, *node_memory, *store_memory;
	size_t wal_size, node_size;
	int status_memory;
};

extern struct machine machine;

/* In the fiber: opens log, store and node. False: the start was refused. */
bool machine_open(void);

#endif
