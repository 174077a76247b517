/*
 * Operations of the simulated disk, from submission to the kernel, and the
 * descriptors of the process; see tests/sim/disk.h. How they end is in
 * tests/sim/disk_land.c, the blocking functions are in tests/sim/disk_now.c.
 *
 * An operation that the kernel owns is a flight. It has a copy of what is
 * written, made when it was submitted, and that copy is compared at the end:
 * the one who lends a buffer must not touch it meanwhile. A flight outlives
 * its process.
 */
#include "tests/sim/disk_flight.h"
#include "tests/sim/folder.h"
#include "tests/sim/machine.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct disk sim_disks[SIM_MACHINES_MAX];
struct flight sim_flights[FLIGHTS_ALL];
static uint64_t flight_stamp;

void sim_disk_clear(uint32_t machine)
{
	struct disk *disk = &sim_disks[machine];
	for (uint32_t i = 0; i < FLIGHTS_MAX; i++)
		sim_flights[machine * FLIGHTS_MAX + i].used = false;
	folder_clear(machine);
	memset(disk, 0, sizeof(*disk));
	disk->machine = machine;
	disk->boot = 1;
}

struct disk *sim_disk_open(uint32_t machine)
{
	struct disk *disk = &sim_disks[machine];
	for (uint32_t i = 0; i < DISK_FILES_MAX; i++)
		disk->files[i] = -1;
	disk->queue_first = NULL;
	disk->queue_last = NULL;
	disk->done_first = NULL;
	disk->done_last = NULL;
	disk->busy = 0;
	disk->alive = true;
	return disk;
}

static bool is_mine(const struct disk *disk)
{
	return disk->alive && disk->machine == machine_running();
}

/* ---- descriptors ---- */

int sim_disk_file(const struct disk *disk, int number)
{
	assert(number >= 0 && number < DISK_FILES_MAX);
	assert(disk->files[number] >= 0);
	return disk->files[number];
}

int sim_disk_hold(struct disk *disk, int file)
{
	for (int i = 0; i < DISK_FILES_MAX; i++) {
		if (disk->files[i] >= 0)
			continue;
		disk->files[i] = file;
		folder_hold(file);
		return i;
	}
	return -EMFILE;
}

void sim_disk_drop(struct disk *disk, int number)
{
	int file = sim_disk_file(disk, number);
	disk->files[number] = -1;
	folder_drop(file);
}

bool sim_disk_locked(int file)
{
	const struct disk *disk = &sim_disks[folder_machine(file)];
	for (uint32_t i = 0; i < DISK_FILES_MAX && disk->alive; i++)
		if (disk->files[i] == file)
			return true;
	if (sim.bug == SIM_BUG_FREE_LOCK)
		return false;
	for (uint32_t i = 0; i < FLIGHTS_MAX; i++) {
		const struct flight *flight =
			&sim_flights[disk->machine * FLIGHTS_MAX + i];
		if (flight->used && flight->file == file && flight->op == NULL)
			return true;
	}
	return false;
}

/* ---- submission ---- */

static bool has_file(uint8_t kind)
{
	return flight_has_data(kind) || kind == DISK_READ ||
	       kind == DISK_SYNC || kind == DISK_CLOSE;
}

void disk_submit(struct disk *disk, struct disk_op *op)
{
	assert(is_mine(disk));
	assert(op->kind >= DISK_WRITE_DURABLE && op->kind <= DISK_SYNC_FOLDER);
	assert(disk->busy < DISK_OPS_MAX);
	if (flight_has_data(op->kind) || op->kind == DISK_READ) {
		sim_check((uintptr_t)op->buffer % DISK_BLOCK == 0,
			  "disk: a buffer is not aligned");
		sim_check(op->offset % DISK_BLOCK == 0,
			  "disk: an offset is not aligned");
		sim_check(op->size % DISK_BLOCK == 0 && op->size > 0,
			  "disk: a size is not aligned");
	}
	if (has_file(op->kind))
		(void)sim_disk_file(disk, op->file); /* for its asserts */
	op->next = NULL;
	if (disk->queue_last != NULL)
		disk->queue_last->next = op;
	else
		disk->queue_first = op;
	disk->queue_last = op;
	disk->busy++;
	machine_point();
}

static uint64_t draw_latency(uint8_t kind)
{
	const struct sim_swarm *swarm = &sim.swarm;
	if (kind == DISK_CLOSE)
		return SIM_US;
	if (!sim.healing && sim_chance(SIM_DISK, swarm->stall)) {
		sim_fault(SIM_FAULT_STALLED_DISK);
		return sim_between(SIM_DISK, swarm->stall_ns / 15,
				   swarm->stall_ns);
	}
	if (!sim.healing && sim_chance(SIM_DISK, swarm->slow)) {
		sim_fault(SIM_FAULT_SLOW_DISK);
		return sim_between(SIM_DISK, SIM_MS, 40 * SIM_MS);
	}
	return swarm->write_ns_min + sim_spread(SIM_DISK, swarm->write_ns_mean);
}

/* When it will be done. */
static uint64_t draw_end(const struct disk *disk, uint8_t kind)
{
	uint64_t end = sim.now + draw_latency(kind);
	if (end < disk->hangs_until)
		end = disk->hangs_until;
	sim_disturb(end);
	return end;
}

void sim_disk_hang(uint32_t machine, uint64_t time)
{
	sim_disks[machine].hangs_until = time;
}

static struct flight *flight_new(uint32_t machine)
{
	for (uint32_t i = 0; i < FLIGHTS_MAX; i++)
		if (!sim_flights[machine * FLIGHTS_MAX + i].used)
			return &sim_flights[machine * FLIGHTS_MAX + i];
	assert(false);
	return NULL;
}

static void copy_data(struct flight *flight, const struct disk_op *op)
{
	if (flight->copy_room < op->size) {
		free(flight->copy);
		flight->copy = malloc(op->size);
		assert(flight->copy != NULL);
		flight->copy_room = op->size;
	}
	memcpy(flight->copy, op->buffer, op->size);
}

static void launch(struct disk *disk, struct disk_op *op)
{
	struct flight *flight = flight_new(disk->machine);
	flight->used = true;
	flight->reported = false;
	flight->lost = false;
	flight->op = op;
	flight->kind = op->kind;
	flight->number = op->file;
	flight->file = -1;
	flight->offset = op->offset;
	flight->size = op->size;
	flight->stamp = ++flight_stamp;
	flight->order = op->kind == DISK_SYNC_FOLDER
				? folder_change(disk->machine)
				: folder_stamp();
	memcpy(flight->name, op->name, DISK_NAME_MAX);
	memcpy(flight->new_name, op->new_name, DISK_NAME_MAX);
	if (has_file(op->kind)) {
		flight->file = sim_disk_file(disk, op->file);
		folder_hold(flight->file);
	}
	if (flight_has_data(op->kind))
		copy_data(flight, op);
	sim_at(draw_end(disk, op->kind), SIM_EVENT_DISK,
	       (uint32_t)(flight - sim_flights), flight->stamp);
}

void disk_flush(struct disk *disk)
{
	assert(is_mine(disk));
	struct disk_op *op = disk->queue_first;
	disk->queue_first = NULL;
	disk->queue_last = NULL;
	while (op != NULL) {
		struct disk_op *next = op->next;
		launch(disk, op);
		op = next;
	}
}

struct disk_op *disk_reap(struct disk *disk)
{
	assert(is_mine(disk));
	struct disk_op *op = disk->done_first;
	if (op == NULL)
		return NULL;
	disk->done_first = op->next;
	if (disk->done_first == NULL)
		disk->done_last = NULL;
	assert(disk->busy > 0);
	disk->busy--;
	op->next = NULL;
	return op;
}

uint32_t disk_busy(const struct disk *disk)
{
	return disk->busy;
}
