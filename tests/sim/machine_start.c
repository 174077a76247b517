/*
 * How a daemon starts: the log is opened, the node is made, and what was
 * recovered is held against what its disk had; see tests/sim/machine.h.
 */
#include "tests/sim/disk.h"
#include "tests/sim/folder.h"
#include "tests/sim/ghost.h"
#include "tests/sim/lies.h"
#include "tests/sim/machine_state.h"
#include "tests/sim/medium.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"
#include "tests/sim/watch.h"

#include "daemon/node_state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* ---- memory: kept, given back to the kernel between lives ---- */

static uint8_t *renew(uint8_t *old, size_t old_size, size_t size)
{
	if (old != NULL && old_size == size) {
		int status = madvise(old, size, MADV_DONTNEED);
		assert(status == 0);
		return old;
	}
	if (old != NULL)
		munmap(old, old_size);
	uint8_t *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(memory != MAP_FAILED);
	return memory;
}

void machine_zero(void *mapping)
{
	int status = madvise(mapping, STORE_SIZE, MADV_DONTNEED);
	assert(status == 0);
}

static void wal_shape(const struct machine *machine,
		      struct wal_options *ret_options)
{
	*ret_options = (struct wal_options){
		.cluster = "simulated cluste",
		.member = machine->member.id,
		.seed = sim_random(SIM_DAEMON),
		.segment_size = sim.swarm.segment_size,
		.spares_min = sim.swarm.spares,
		.buffers = sim.swarm.buffers,
		.snapshot_after = sim.swarm.snapshot_after,
		.tolerate_damage = machine->member.known_count > 0,
		.create = true,
	};
}

static void node_shape(const struct machine *machine,
		       struct node_options *ret_options)
{
	bool alone = machine->member.known_count == 0;
	*ret_options = (struct node_options){
		.cluster = "simulated cluste",
		.member = machine->member.id,
		.incarnation = machine->view.life,
		.seed = sim_random(SIM_DAEMON),
		.tick_ns = sim.swarm.tick_ns,
		.election_ticks = sim.swarm.election_ticks,
		.heartbeat_ticks = 1,
		.handles_max = 2 * SIM_CLIENTS_MAX + 8,
		.user_handles_max = 2 * SIM_CLIENTS_MAX + 8,
		.entries_max = sim.swarm.entries_max,
		.batch_size = sim.swarm.batch_size,
		.uncommitted_max = sim.swarm.uncommitted_max,
		.apply_budget = sim.swarm.apply_budget,
		.peers_max = alone ? 0 : SIM_MACHINES_MAX + 1,
		.members = machine->member.known,
		.member_count = machine->member.known_count,
		.voters = machine->member.voters,
		.spare_base = alone ? NULL : machine->store_memory[1],
		.spare_size = STORE_SIZE,
		.status = machine->view.status,
		.version_max = machine->version,
	};
}

static bool is_explained(const struct machine *machine)
{
	struct sim_disk_excuse excuse;
	sim_disk_excuse(machine->number, &excuse);
	sim_trace("machine %: rot %, write errors %, read errors %",
		  machine->number, folder_rotten(machine->number),
		  excuse.write_errors, excuse.read_errors);
	return folder_rotten(machine->number) > 0 || excuse.write_errors > 0 ||
	       excuse.read_errors > 0 || excuse.no_space > 0;
}

/*
 * The log will not open. That is right only when this boot of the machine has
 * seen a fault that explains it. Then, if it is damaged and others remain, it
 * stays away; else a person comes, replaces what rotted, and turns the
 * machine off and on.
 */
static void refused(struct machine *machine, int code,
		    const struct wal_report *report)
{
	uint32_t number = machine->number;
	struct sim_disk_excuse excuse;
	sim_check(is_explained(machine),
		  "the log of machine %u refuses to open (%d: %s) without "
		  "cause",
		  number, code, report->where);
	sim_check(code != WAL_EFOREIGN && code != WAL_EFUTURE,
		  "the log takes itself for another's (%d: %s)", code,
		  report->where);
	sim_disk_excuse(number, &excuse);
	bool full =
		excuse.no_space > 0 && (code == -ENOSPC || code == WAL_EFULL);
	machine->refusals += !full;
	sim_check(machine->refusals < REFUSALS_MAX,
		  "the log never opens again (%d: %s)", code, report->where);
	machine->doomed = true;
	if (code == WAL_EDAMAGED)
		SIM_SOMETIMES(DAMAGE_REFUSED);
	if (folder_rotten(number) > 0 && roster_damaged(number))
		return;
	folder_mend(number);
	sim_disk_excuse_clear(number);
}

static int open_log(struct machine *machine, struct wal_report *ret_report)
{
	struct wal_options options;
	wal_shape(machine, &options);
	size_t size = wal_memory_size(&options);
	machine->wal_memory =
		renew(machine->wal_memory, machine->wal_size, size);
	machine->wal_size = size;
	memset(ret_report, 0, sizeof(*ret_report));
	machine->disk = sim_disk_open(machine->number);
	return wal_open(&machine->wal, machine->disk, &options,
			machine->wal_memory, ret_report);
}

static int open_node(struct machine *machine, const struct wal_report *report)
{
	struct node_options options;
	for (uint32_t i = 0; i < MAPPINGS; i++)
		machine->store_memory[i] =
			renew(machine->store_memory[i], STORE_SIZE, STORE_SIZE);
	node_shape(machine, &options);
	size_t size = node_memory_size(&options);
	machine->node_memory =
		renew(machine->node_memory, machine->node_size, size);
	machine->node_size = size;
	int code = store_init(&machine->store, machine->store_memory[0],
			      STORE_SIZE, ghost_settings());
	sim_check(code == 0, "store_init: %d", code);
	return node_init(&machine->view.node, &options, machine->wal, report,
			 machine->store, machine->node_memory);
}

static void note_report(const struct machine *machine,
			const struct wal_report *report)
{
	sim_trace("machine %: log open, last index %, snapshot %, torn %",
		  machine->number, report->last_index, report->snapshot_index,
		  report->torn);
	if (report->torn)
		SIM_SOMETIMES(TAIL_TORN);
	if (report->snapshot_index > 0)
		SIM_SOMETIMES(SNAPSHOT_LOADED);
	if (medium_has_tail(machine->number, ghost_index()) &&
	    machine->member.known_count > 0)
		SIM_SOMETIMES(TAIL_RECOVERED);
}

/*
 * It is opened in spite of damage. That may only be because of a fault of this
 * boot, or of an earlier one after which not all has come back.
 */
static void found_damaged(struct machine *machine,
			  const struct wal_report *report)
{
	sim_trace("machine %: entries from % to % are missing", machine->number,
		  report->damaged_first, report->damaged_last);
	sim_check(machine->damaged || is_explained(machine),
		  "the log of machine %u is damaged (%s) without cause",
		  machine->number, report->where);
	if (!machine->damaged)
		sim_fault(SIM_FAULT_MEMBER_DAMAGED);
	machine->damaged = true;
	medium_damaged(machine->number, report);
}

void machine_mended(struct machine *machine)
{
	if (!machine->damaged || machine->view.node->damaged)
		return;
	SIM_SOMETIMES(LOG_REPAIRED);
	sim_trace("machine %: its log is whole again", machine->number);
	machine->damaged = false;
	medium_whole(machine->number);
	/* What rotted is skipped from now on. */
	folder_forget_rot(machine->number);
}

bool machine_open(struct machine *machine)
{
	struct wal_report report;
	int code = open_log(machine, &report);
	if (code != 0) {
		refused(machine, code, &report);
		return false;
	}
	if (report.damaged) {
		found_damaged(machine, &report);
	} else {
		medium_recovered(machine->number, &report);
		machine->damaged = false;
	}
	note_report(machine, &report);
	lies_recovered(&report);
	code = open_node(machine, &report);
	if (code != 0) {
		machine->view.node = NULL;
		refused(machine, code, &report);
		return false;
	}
	medium_check_log(machine->number, machine->view.node->raft);
	watch_look(machine->number, machine->view.node);
	machine->refusals = 0;
	return true;
}
