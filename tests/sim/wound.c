/*
 * How logs are damaged; see tests/sim/wound.h.
 */
#include "tests/sim/wound.h"
#include "tests/sim/folder.h"
#include "tests/sim/machine.h"
#include "tests/sim/medium.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"

#include "shm/abi.h"
#include "wal/record.h"
#include "wal/segment.h"

/* A record with entries that are needed still. */
struct target {
	int file;
	uint64_t offset;
	uint32_t size;
	uint32_t seen; /* so many could have been taken instead */
};

/* One of them all, each as likely as the others. */
static void look_at(uint32_t machine, int file, uint64_t offset,
		    struct target *target)
{
	uint8_t block[RECORD_PAYLOAD_LARGE];
	struct record_header header;
	uint64_t newest_offset;
	uint32_t newest_size;
	int newest;
	folder_read(file, offset, block, sizeof(block));
	if (record_check_header(block, &header) != 0 ||
	    header.last_index <= medium_snapshot(machine))
		return;
	/* The end may be torn, and then nobody can tell. */
	if (!medium_newest_record(machine, &newest, &newest_offset,
				  &newest_size) ||
	    (newest == file && newest_offset == offset))
		return;
	if (sim_below(SIM_CRASH, ++target->seen) != 0)
		return;
	target->file = file;
	target->offset = offset;
	target->size = header.frame.own * DISK_BLOCK;
}

static bool aim(uint32_t machine, struct target *ret_target)
{
	struct target target = {.file = -1};
	char name[FOLDER_NAME_SIZE];
	uint32_t position = 0, number;
	while (folder_list(machine, &position, name) == 1) {
		int file = folder_lookup(machine, name);
		if (file < 0 || !segment_parse(name, &number))
			continue;
		for (uint64_t at = DISK_BLOCK;
		     at + DISK_BLOCK <= folder_size(file); at += DISK_BLOCK)
			look_at(machine, file, at, &target);
	}
	*ret_target = target;
	return target.file >= 0;
}

static bool may_be_wounded(uint32_t machine)
{
	const struct machine_view *view = machine_view(machine);
	return !view->away && view->node != NULL &&
	       (view->status->alarms & CV_ALARM_DAMAGED) == 0 &&
	       folder_rotten(machine) == 0;
}

bool wound_all(void)
{
	struct target targets[SIM_MACHINES_MAX];
	uint32_t count = roster_count();
	if (count < 2)
		return false;
	for (uint32_t i = 0; i < count; i++)
		if (!may_be_wounded(roster_machine(i)) ||
		    !aim(roster_machine(i), &targets[i]))
			return false;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t offset = targets[i].offset +
				  sim_below(SIM_CRASH, targets[i].size);
		sim_fault(SIM_FAULT_BIT_ROT);
		sim_trace("machine %: a bit of file % at % rots",
			  roster_machine(i), targets[i].file, offset);
		folder_rot(targets[i].file, offset, 1);
		machine_crash(roster_machine(i), false);
	}
	return true;
}
