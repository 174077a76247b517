/*
 * How the daemon starts: the log is opened, the node is made, and what was
 * recovered is held against the ghost; see tests/sim/machine.h.
 */
#include "tests/sim/disk.h"
#include "tests/sim/folder.h"
#include "tests/sim/ghost.h"
#include "tests/sim/machine_state.h"
#include "tests/sim/sim.h"

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

static void wal_shape(struct wal_options *ret_options)
{
	*ret_options = (struct wal_options){
		.cluster = "simulated cluste",
		.member = MEMBER,
		.seed = sim_random(SIM_DAEMON),
		.segment_size = sim.swarm.segment_size,
		.spares_min = sim.swarm.spares,
		.buffers = sim.swarm.buffers,
		.snapshot_after = sim.swarm.snapshot_after,
		.create = true,
	};
}

static void node_shape(struct node_options *ret_options)
{
	*ret_options = (struct node_options){
		.cluster = "simulated cluste",
		.member = MEMBER,
		.incarnation = machine.view.life,
		.seed = sim_random(SIM_DAEMON),
		.tick_ns = 10 * SIM_MS,
		.election_ticks = 10,
		.heartbeat_ticks = 1,
		.handles_max = 2 * SIM_CLIENTS_MAX + 8,
		.user_handles_max = 2 * SIM_CLIENTS_MAX + 8,
		.entries_max = sim.swarm.entries_max,
		.batch_size = sim.swarm.batch_size,
		.uncommitted_max = sim.swarm.uncommitted_max,
		.apply_budget = sim.swarm.apply_budget,
		.voters = {.voters = {MEMBER}, .voter_count = 1},
		.status = machine.view.status,
	};
}

/*
 * The log will not open. That is right only when this boot of the machine has
 * seen a fault that explains it. Then a person comes, replaces what rotted,
 * and turns the machine off and on.
 */
static void refused(int code, const struct wal_report *report)
{
	struct sim_disk_excuse excuse;
	sim_disk_excuse(&excuse);
	sim_trace("daemon: start refused with %, rot %, write errors %, "
		  "read errors %",
		  (int64_t)code, folder_rotten(), excuse.write_errors,
		  excuse.read_errors);
	bool explained = folder_rotten() > 0 || excuse.write_errors > 0 ||
			 excuse.read_errors > 0 || excuse.no_space > 0;
	sim_check(explained, "the log refuses to open (%d: %s) without cause",
		  code, report->where);
	sim_check(code != WAL_EFOREIGN && code != WAL_EFUTURE,
		  "the log takes itself for another's (%d: %s)", code,
		  report->where);
	bool full =
		excuse.no_space > 0 && (code == -ENOSPC || code == WAL_EFULL);
	machine.refusals += !full;
	sim_check(machine.refusals < REFUSALS_MAX,
		  "the log never opens again (%d: %s)", code, report->where);
	if (code == WAL_EDAMAGED)
		SIM_SOMETIMES(DAMAGE_REFUSED);
	folder_mend();
	sim_disk_excuse_clear();
	machine.doomed = true;
}

static int open_log(struct wal_report *ret_report)
{
	struct wal_options options;
	wal_shape(&options);
	size_t size = wal_memory_size(&options);
	machine.wal_memory = renew(machine.wal_memory, machine.wal_size, size);
	machine.wal_size = size;
	memset(ret_report, 0, sizeof(*ret_report));
	machine.disk = sim_disk_open();
	return wal_open(&machine.wal, machine.disk, &options,
			machine.wal_memory, ret_report);
}

static int open_node(const struct wal_report *report)
{
	struct node_options options;
	node_shape(&options);
	size_t size = node_memory_size(&options);
	machine.node_memory =
		renew(machine.node_memory, machine.node_size, size);
	machine.node_size = size;
	machine.store_memory =
		renew(machine.store_memory, STORE_SIZE, STORE_SIZE);
	int code = store_init(&machine.store, machine.store_memory, STORE_SIZE,
			      ghost_settings());
	sim_check(code == 0, "store_init: %d", code);
	return node_init(&machine.view.node, &options, machine.wal, report,
			 machine.store, machine.node_memory);
}

bool machine_open(void)
{
	struct wal_report report;
	int code = open_log(&report);
	if (code != 0) {
		refused(code, &report);
		return false;
	}
	sim_trace("daemon: log open, last index %, snapshot %, torn %, "
		  "records %",
		  report.last_index, report.snapshot_index, report.torn,
		  report.records);
	if (report.torn)
		SIM_SOMETIMES(TAIL_TORN);
	if (report.snapshot_index > 0)
		SIM_SOMETIMES(SNAPSHOT_LOADED);
	ghost_recovered(&report);
	code = open_node(&report);
	if (code != 0) {
		refused(code, &report);
		return false;
	}
	machine.refusals = 0;
	return true;
}
