/*
 * What tests/sim/disk.c, disk_land.c and disk_now.c share.
 */
#ifndef TESTS_SIM_DISK_FLIGHT_H
#define TESTS_SIM_DISK_FLIGHT_H

#include "tests/sim/disk.h"
#include "tests/sim/sim.h"

/* The disk as one process holds it. */
struct disk {
	uint32_t machine;
	bool alive;
	bool full;
	uint64_t hangs_until;
	struct sim_disk_excuse excuse;
	uint64_t boot; /* of the machine, from 1 */
	int files[DISK_FILES_MAX]; /* of the medium; -1: free */
	struct disk_op *queue_first, *queue_last; /* not yet flushed */
	struct disk_op *done_first, *done_last; /* not yet reaped */
	uint32_t busy;
};

enum flight_limits {
	FLIGHTS_MAX = 256, /* of one machine */
	FLIGHTS_ALL = SIM_MACHINES_MAX * FLIGHTS_MAX,
};

struct flight {
	bool used;
	bool reported; /* told before it was done: a bug on purpose */
	bool lost; /* a durable write that is not: a bug on purpose */
	struct disk_op *op; /* NULL: its process is dead */
	uint8_t kind;
	int file; /* of the medium */
	int number; /* of the process, for DISK_CLOSE */
	uint64_t offset;
	uint32_t size;
	uint64_t order; /* what a sync covers */
	uint64_t stamp;
	uint8_t *copy;
	uint32_t copy_room;
	char name[DISK_NAME_MAX];
	char new_name[DISK_NAME_MAX];
};

extern struct disk sim_disks[SIM_MACHINES_MAX];
extern struct flight sim_flights[FLIGHTS_ALL];

static inline bool flight_has_data(uint8_t kind)
{
	return kind == DISK_WRITE || kind == DISK_WRITE_DURABLE;
}

int sim_disk_file(const struct disk *disk, int number);
int sim_disk_hold(struct disk *disk, int file);
void sim_disk_drop(struct disk *disk, int number);
/* A living descriptor, or a dead process's write, holds the lock. */
bool sim_disk_locked(int file);

#endif
