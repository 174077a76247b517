/*
 * How operations of the simulated disk end: well, badly, or with the death of
 * their process; see tests/sim/disk.h.
 */
#include "tests/sim/disk_flight.h"
#include "tests/sim/folder.h"
#include "tests/sim/medium.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static uint32_t machine_of(const struct flight *flight)
{
	return (uint32_t)(flight - sim_flights) / FLIGHTS_MAX;
}

static struct disk *disk_of(const struct flight *flight)
{
	return &sim_disks[machine_of(flight)];
}

void sim_disk_full(uint32_t machine, bool is_full)
{
	struct disk *disk = &sim_disks[machine];
	if (is_full == disk->full)
		return;
	disk->full = is_full;
	sim_trace("machine %: its disk is full %", machine, is_full);
	if (is_full)
		sim_fault(SIM_FAULT_DISK_FULL);
}

void sim_disk_excuse(uint32_t machine, struct sim_disk_excuse *ret_excuse)
{
	*ret_excuse = sim_disks[machine].excuse;
}

void sim_disk_excuse_clear(uint32_t machine)
{
	sim_disks[machine].excuse = (struct sim_disk_excuse){0};
}

/* ---- completion ---- */

static void report(struct flight *flight, int32_t result)
{
	struct disk *disk = disk_of(flight);
	struct disk_op *op = flight->op;
	if (op == NULL || flight->reported)
		return;
	op->result = result;
	op->next = NULL;
	if (disk->done_last != NULL)
		disk->done_last->next = op;
	else
		disk->done_first = op;
	disk->done_last = op;
}

static bool strikes(const struct flight *flight, uint32_t chance)
{
	if (sim.healing || flight->op == NULL)
		return false;
	return sim_chance(SIM_DISK, chance);
}

/* The write failed: any part of it may lie there. */
static int32_t write_fails(struct flight *flight, int32_t code)
{
	disk_of(flight)->excuse.write_errors++;
	sim_fault(SIM_FAULT_WRITE_ERROR);
	sim_trace("disk: write of % at % fails", flight->file, flight->offset);
	folder_tear(flight->file, flight->offset, flight->copy, flight->size);
	medium_cut(flight->file, flight->offset, flight->copy, flight->size);
	return code;
}

static int32_t write_short(struct flight *flight)
{
	uint32_t size =
		(uint32_t)sim_below(SIM_DISK, flight->size / FOLDER_SECTOR) *
		FOLDER_SECTOR;
	disk_of(flight)->excuse.write_errors++;
	sim_fault(SIM_FAULT_SHORT_WRITE);
	sim_trace("disk: write of % at % is short: % of %", flight->file,
		  flight->offset, size, flight->size);
	if (size > 0)
		folder_write(flight->file, flight->offset, flight->copy, size,
			     true);
	/* What is missing may be zeros, on a place that is zero. */
	medium_cut(flight->file, flight->offset, flight->copy, flight->size);
	return (int32_t)size;
}

static bool no_space(const struct flight *flight)
{
	bool grows =
		flight->kind == DISK_CREATE ||
		(flight_has_data(flight->kind) &&
		 flight->offset + flight->size > folder_size(flight->file));
	if (!disk_of(flight)->full || !grows)
		return false;
	disk_of(flight)->excuse.no_space++;
	return true;
}

static int32_t do_write(struct flight *flight)
{
	if (no_space(flight))
		return -ENOSPC;
	if (strikes(flight, sim.swarm.write_error))
		return write_fails(flight, -EIO);
	if (strikes(flight, sim.swarm.short_write))
		return write_short(flight);
	bool durable = flight->kind == DISK_WRITE_DURABLE;
	if (sim.bug == SIM_BUG_LYING_DISK && durable)
		flight->lost = sim_below(SIM_DISK, 4) == 0;
	folder_write(flight->file, flight->offset, flight->copy, flight->size,
		     durable && !flight->lost);
	if (durable)
		medium_written(flight->file, flight->offset, flight->copy,
			       flight->size);
	if (flight->op != NULL && !flight->reported)
		sim_check(memcmp(flight->op->buffer, flight->copy,
				 flight->size) == 0,
			  "disk: a lent buffer was touched before the write "
			  "was done");
	return (int32_t)flight->size;
}

static int32_t do_read(struct flight *flight)
{
	uint64_t size = folder_size(flight->file);
	if (flight->op == NULL || flight->offset >= size)
		return 0;
	if (strikes(flight, sim.swarm.read_error)) {
		disk_of(flight)->excuse.read_errors++;
		sim_fault(SIM_FAULT_READ_ERROR);
		return -EIO;
	}
	uint32_t take = flight->size;
	if (take > size - flight->offset)
		take = (uint32_t)(size - flight->offset);
	folder_read(flight->file, flight->offset, flight->op->buffer, take);
	return (int32_t)take;
}

static int32_t do_sync(struct flight *flight)
{
	if (!strikes(flight, sim.swarm.sync_error)) {
		folder_sync(flight->file, flight->order);
		return 0;
	}
	disk_of(flight)->excuse.write_errors++;
	sim_fault(SIM_FAULT_SYNC_ERROR);
	sim_trace("disk: sync of % fails", flight->file);
	folder_sync_failed(flight->file, flight->order);
	return -EIO;
}

static int32_t do_create(struct flight *flight)
{
	if (no_space(flight))
		return -ENOSPC;
	int file = folder_create(machine_of(flight), flight->name);
	if (file < 0 || flight->op == NULL)
		return file;
	return sim_disk_hold(disk_of(flight), file);
}

static int32_t do_sync_folder(struct flight *flight)
{
	if (strikes(flight, sim.swarm.sync_error)) {
		disk_of(flight)->excuse.write_errors++;
		sim_fault(SIM_FAULT_SYNC_ERROR);
		return -EIO;
	}
	if (sim.bug != SIM_BUG_NO_FOLDER_SYNC)
		folder_sync_names(machine_of(flight), flight->order);
	return 0;
}

static int32_t perform(struct flight *flight)
{
	switch (flight->kind) {
	case DISK_WRITE:
	case DISK_WRITE_DURABLE:
		return do_write(flight);
	case DISK_READ:
		return do_read(flight);
	case DISK_SYNC:
		return do_sync(flight);
	case DISK_CREATE:
		return do_create(flight);
	case DISK_RENAME:
		return folder_rename(machine_of(flight), flight->name,
				     flight->new_name);
	case DISK_UNLINK:
		return folder_unlink(machine_of(flight), flight->name);
	case DISK_CLOSE:
		if (flight->op != NULL)
			sim_disk_drop(disk_of(flight), flight->number);
		return 0;
	default:
		return do_sync_folder(flight);
	}
}

static void land(struct flight *flight)
{
	flight->used = false;
	if (flight->file >= 0)
		folder_drop(flight->file);
}

/* A lie on purpose: it is told first, and happens half a millisecond on. */
static bool told_first(struct flight *flight)
{
	if (sim.bug != SIM_BUG_ACK_EARLY || flight->reported ||
	    flight->kind != DISK_WRITE_DURABLE || flight->op == NULL)
		return false;
	if (sim_below(SIM_DISK, 8) != 0)
		return false;
	report(flight, (int32_t)flight->size);
	flight->reported = true;
	sim_at(sim.now + SIM_MS / 2, SIM_EVENT_DISK,
	       (uint32_t)(flight - sim_flights), flight->stamp);
	return true;
}

int sim_disk_event(uint32_t who, uint64_t stamp)
{
	assert(who < FLIGHTS_ALL);
	struct flight *flight = &sim_flights[who];
	if (!flight->used || flight->stamp != stamp)
		return -1;
	bool alive = flight->op != NULL;
	int machine = (int)machine_of(flight);
	if (told_first(flight))
		return machine;
	int32_t result = perform(flight);
	sim_trace("disk: op % of file % at % gives %", flight->kind,
		  flight->file, flight->offset, (int64_t)result);
	if (!alive && flight->kind == DISK_WRITE_DURABLE)
		SIM_SOMETIMES(TAIL_LANDED_AFTER_DEATH);
	report(flight, result);
	land(flight);
	return alive ? machine : -1;
}

/* ---- death ---- */

/* What the kernel had of a write at a power loss. */
static void cut(struct flight *flight)
{
	folder_tear(flight->file, flight->offset, flight->copy, flight->size);
	if (flight->kind == DISK_WRITE_DURABLE)
		medium_cut(flight->file, flight->offset, flight->copy,
			   flight->size);
	land(flight);
}

/*
 * Names are changed by a thread of the process, which is not gone before that
 * thread is: it did it, or it never will. Only writes land later.
 */
static void end_flight(struct flight *flight, bool power)
{
	flight->op = NULL;
	if (flight_has_data(flight->kind)) {
		if (power)
			cut(flight);
		return;
	}
	if (flight->kind != DISK_READ && flight->kind != DISK_CLOSE &&
	    sim_below(SIM_DISK, 2) != 0)
		(void)perform(flight); /* nobody is left to be told */
	land(flight);
}

void sim_disk_kill(uint32_t machine, bool power)
{
	struct disk *disk = &sim_disks[machine];
	for (uint32_t i = 0; i < DISK_FILES_MAX && disk->alive; i++)
		if (disk->files[i] >= 0)
			sim_disk_drop(disk, (int)i);
	disk->alive = false;
	for (uint32_t i = 0; i < FLIGHTS_MAX; i++) {
		if (sim_flights[machine * FLIGHTS_MAX + i].used)
			end_flight(&sim_flights[machine * FLIGHTS_MAX + i],
				   power);
	}
	if (!power)
		return;
	folder_power_loss(machine);
	sim_disk_excuse_clear(machine);
	if (sim.bug != SIM_BUG_SAME_BOOT)
		disk->boot++;
}
