/*
 * The simulated disks behind wal/disk.h, one of each machine: what the rest
 * of the simulator may do with them. Operations take time, fail as the seed says, and outlive the
 * process that submitted them; the medium is tests/sim/folder.h.
 *
 * A process that is killed loses what it had not handed to the kernel. What
 * the kernel owns goes on: writes land whole, and until they have landed the
 * file stays locked. A power loss tears what is under way.
 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "wal/disk.h"

/* A new medium and a new boot of the machine. */
void sim_disk_clear(uint32_t machine);

/* The disk as a new process sees it. */
struct disk *sim_disk_open(uint32_t machine);

/* The process is dead; with `power`, the machine too. */
void sim_disk_kill(uint32_t machine, bool power);

/*
 * The operation of SIM_EVENT_DISK: the machine whose daemon has something to
 * reap now, or -1.
 */
int sim_disk_event(uint32_t who, uint64_t stamp);

/* Fills the disk up, or makes room again. */
void sim_disk_full(uint32_t machine, bool full);

/* What is handed to the disk from now on is not done before `time`. */
void sim_disk_hang(uint32_t machine, uint64_t time);

/* Faults that this boot of the machine has seen and that excuse a refusal. */
struct sim_disk_excuse {
	uint32_t read_errors;
	uint32_t write_errors; /* and short writes, and errors of syncs */
	uint32_t no_space;
};

void sim_disk_excuse(uint32_t machine, struct sim_disk_excuse *ret_excuse);
void sim_disk_excuse_clear(uint32_t machine);

#endif
