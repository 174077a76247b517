/*
 * See tests/sim/swarm.h.
 */
#include "tests/sim/swarm.h"
#include "tests/sim/net.h"
#include "wal/wal.h"

#include <string.h>

/* A chance that is there in one seed of two. */
static uint32_t maybe(uint32_t most)
{
	if (sim_below(SIM_SWARM, 2) == 0)
		return 0;
	return 1 + (uint32_t)sim_below(SIM_SWARM, most);
}

static uint32_t between(uint32_t low, uint32_t high)
{
	return (uint32_t)sim_between(SIM_SWARM, low, high);
}

static void draw_sizes(struct sim_swarm *swarm)
{
	swarm->clients = between(1, 6);
	swarm->keys = between(3, 120);
	swarm->slots = between(2, 24);
	swarm->request_max = between(1, 8) * 1024;
	swarm->value_max = between(32, swarm->request_max);
	if (sim_below(SIM_SWARM, 2) != 0 && swarm->value_max > 200)
		swarm->value_max = 200;
	swarm->ring_size = 4096;
	swarm->reply_size = 4096u << between(0, 4);
	swarm->segment_size = between(8, 64) * 4096;
	swarm->spares = between(1, 3);
	swarm->buffers = between(3, 8);
	swarm->snapshot_after = between(16, 256) * 1024ull;
	swarm->batch_size = between(10, 24) * 1024;
	swarm->uncommitted_max = between(24, 256) * 1024ull;
	swarm->apply_budget = sim_below(SIM_SWARM, 2) == 0 ? between(1, 50) : 0;
	swarm->entries_max = 1u << between(10, 14);
	swarm->write_ns_min = between(5, 60) * 1000ull;
	swarm->write_ns_mean = between(1, 60) * 1000ull;
}

static void draw_faults(struct sim_swarm *swarm)
{
	swarm->slow = maybe(20000);
	swarm->stall = maybe(800);
	swarm->write_error = maybe(800);
	swarm->sync_error = maybe(8000);
	swarm->read_error = maybe(20000);
	swarm->short_write = maybe(800);
	swarm->full = sim_below(SIM_SWARM, 4) == 0;
	swarm->turn_crash = maybe(2000);
	swarm->completion_crash = maybe(20000);
	swarm->stop_share = between(0, 30);
	swarm->recovery_crash = maybe(20000);
	swarm->client_death = maybe(60);
	swarm->client_pause = maybe(100);
	swarm->daemon_pause = maybe(1000);
	swarm->power_share = between(0, 100);
	swarm->free_names = sim_below(SIM_SWARM, 2) != 0;
	if (sim_below(SIM_SWARM, 8) != 0)
		swarm->crash_ns = between(2, 60) * 500000ull;
	if (sim_below(SIM_SWARM, 3) == 0)
		swarm->rot_ns = between(10, 100) * 1000000ull;
}

/* ---- clusters ---- */

/* A mean distance of so many election timeouts, in one seed of two. */
static uint64_t maybe_every(const struct sim_swarm *swarm, uint32_t low,
			    uint32_t high)
{
	uint64_t election_ns = swarm->tick_ns * swarm->election_ticks;
	if (sim_below(SIM_SWARM, 2) == 0)
		return 0;
	return sim_between(SIM_SWARM, low, high) * election_ns / 4;
}

static void draw_network(struct sim_swarm *swarm)
{
	uint64_t election_ns = swarm->tick_ns * swarm->election_ticks;
	/* The way there and back fits into a tick, more or less. */
	swarm->net_ns_min = between(1, 40) * 1000ull;
	swarm->net_ns_mean =
		sim_between(SIM_SWARM, 1, swarm->tick_ns / 8000) * 1000;
	swarm->net_ns_kib = between(0, 8) * 1000ull;
	swarm->net_room = 4096u << between(0, 4);
	swarm->net_piece =
		sim_below(SIM_SWARM, 2) == 0 ? 0 : 1u << between(4, 14);
	swarm->silence_ns = between(2, 30) * election_ns;
	swarm->greet_ns = between(2, 10) * election_ns;
	swarm->dial_ns = swarm->tick_ns * between(1, 10);
}

/*
 * Values so large that an image is more than one chunk of a snapshot, and
 * connections that often break while it is on its way.
 */
static void draw_large_values(struct sim_swarm *swarm)
{
	swarm->request_max = 31 * 1024;
	swarm->value_max = 30 * 1024;
	swarm->keys = between(80, 120);
	swarm->segment_size = between(32, 64) * 4096;
	swarm->snapshot_after = between(256, 1024) * 1024ull;
	swarm->net_ns_kib = between(4, 16) * 1000ull;
	swarm->net_room = NET_ROOM_MAX;
	swarm->wire_ns = swarm->tick_ns * swarm->election_ticks;
	swarm->wire_kinds = 31;
}

/* What a cluster has otherwise than one member alone. */
static void draw_cluster(struct sim_swarm *swarm)
{
	static const uint32_t ticks_us[4] = {500, 1000, 2000, 10000};
	swarm->tick_ns = ticks_us[sim_below(SIM_SWARM, 4)] * 1000ull;
	swarm->election_ticks = between(5, 12);
	swarm->clients = between(1, SIM_CLIENTS_MAX);
	/* With few, small records must share them. */
	swarm->buffers = sim_below(SIM_SWARM, 2) == 0
				 ? between(12, 28)
				 : between(24, WAL_BUFFERS_MAX);
	/* Slow to apply: more comes than there are buffers. */
	if (sim_below(SIM_SWARM, 4) == 0)
		swarm->apply_budget = 1;
	swarm->operator_share =
		sim_below(SIM_SWARM, 2) == 0 ? between(20, 300) : 0;
	draw_network(swarm);
}

static void draw_cluster_faults(struct sim_swarm *swarm)
{
	uint64_t election_ns = swarm->tick_ns * swarm->election_ticks;
	swarm->turn_crash = maybe(400);
	swarm->completion_crash = maybe(2000);
	swarm->write_error = maybe(300);
	swarm->short_write = maybe(300);
	swarm->stall_ns = between(1, 20) * election_ns;
	swarm->pause_ns = between(1, 12) * election_ns / 4;
	swarm->down_ns = between(1, 16) * election_ns / 4;
	swarm->crash_all_share = maybe(20);
	swarm->crash_minority_share = maybe(30);
	swarm->crash_ns = maybe_every(swarm, 2, 80);
	swarm->rot_ns = maybe_every(swarm, 20, 200);
	swarm->lost_ns =
		sim_below(SIM_SWARM, 3) == 0 ? maybe_every(swarm, 40, 400) : 0;
	swarm->hang_ns = maybe_every(swarm, 4, 80);
	swarm->freeze_ns = maybe_every(swarm, 4, 80);
	swarm->drift_ns = maybe_every(swarm, 4, 80);
	swarm->drift_max = (int32_t)between(1, 100000);
	swarm->cut_ns = maybe_every(swarm, 4, 80);
	swarm->mend_ns = maybe_every(swarm, 2, 40);
	if (swarm->mend_ns == 0)
		swarm->mend_ns = 2 * election_ns;
	swarm->cut_kinds = between(1, 31);
	swarm->wire_ns = maybe_every(swarm, 1, 20);
	swarm->wire_kinds = between(1, 31);
	swarm->stranger_ns = maybe_every(swarm, 4, 40);
}

/* Clocks that drift apart by no more than the tenth that a lease gives away. */
static void draw_leases(struct sim_swarm *swarm)
{
	swarm->lease_reads = sim_below(SIM_SWARM, 2) != 0;
	if (swarm->lease_reads)
		swarm->drift_max /= 2;
}

static uint32_t draw_members(void)
{
	static const uint32_t counts[8] = {1, 3, 3, 3, 5, 5, 7, 3};
	uint32_t drawn = counts[sim_below(SIM_SWARM, 8)];
	if (drawn == 1 && sim.bug >= SIM_BUG_OF_CLUSTERS)
		drawn = 3;
	return sim.members != 0 ? sim.members : drawn;
}

void swarm_draw(struct sim_swarm *ret_swarm, bool calm)
{
	memset(ret_swarm, 0, sizeof(*ret_swarm));
	draw_sizes(ret_swarm);
	ret_swarm->client_yield = between(1, 10) * 30000;
	ret_swarm->members = draw_members();
	ret_swarm->tick_ns = 10 * SIM_MS;
	ret_swarm->election_ticks = 10;
	ret_swarm->pause_ns = 300 * SIM_MS;
	ret_swarm->down_ns = 5 * SIM_MS;
	ret_swarm->stall_ns = 3ull * SIM_SECOND;
	if (ret_swarm->members > 1)
		draw_cluster(ret_swarm);
	if (calm)
		return;
	draw_faults(ret_swarm);
	if (ret_swarm->members > 1)
		draw_cluster_faults(ret_swarm);
	if (ret_swarm->members > 1 && sim_below(SIM_SWARM, 8) == 0)
		draw_large_values(ret_swarm);
	if (ret_swarm->members > 1)
		draw_leases(ret_swarm);
}

/*
 * Now and then the leader is cut off for a while, and its clients go on
 * reading; nothing else goes wrong.
 */
static void provoke_leases(struct sim_swarm *swarm)
{
	uint64_t election_ns = SIM_MS / 2;
	swarm->tick_ns = election_ns / 10;
	swarm->election_ticks = 10;
	swarm->net_ns_min = 5 * SIM_US;
	swarm->net_ns_mean = 5 * SIM_US;
	swarm->silence_ns = 20 * election_ns;
	swarm->greet_ns = election_ns;
	swarm->dial_ns = swarm->tick_ns;
	swarm->write_ns_min = 10 * SIM_US;
	swarm->write_ns_mean = 10 * SIM_US;
	swarm->slow = 0;
	swarm->stall = 0;
	swarm->write_error = 0;
	swarm->sync_error = 0;
	swarm->short_write = 0;
	swarm->full = 0;
	swarm->rot_ns = 0;
	swarm->turn_crash = 0;
	swarm->completion_crash = 0;
	swarm->client_death = 0;
	swarm->client_pause = 0;
	swarm->daemon_pause = 0;
	swarm->crash_ns = 0;
	swarm->hang_ns = 0;
	swarm->freeze_ns = 0;
	swarm->lost_ns = 0;
	swarm->wire_ns = 0;
	swarm->stranger_ns = 0;
	swarm->operator_share = 0;
	swarm->lease_reads = true;
	swarm->clients = 6;
	swarm->drift_max = 900000;
	swarm->drift_ns = election_ns / 4;
	swarm->cut_ns = 5 * election_ns;
	swarm->mend_ns = 6 * election_ns;
	swarm->cut_kinds = 4; /* the leader alone */
}

/* Leaders change often, and members are away and come back. */
static void provoke_cluster(struct sim_swarm *swarm, enum sim_bug bug)
{
	uint64_t election_ns = swarm->tick_ns * swarm->election_ticks;
	swarm->rot_ns = 0;
	swarm->lost_ns = 0;
	swarm->clients = 6;
	swarm->keys = 4;
	swarm->crash_ns = 5 * election_ns;
	swarm->down_ns = election_ns / 4;
	swarm->power_share = 0;
	swarm->cut_ns = 6 * election_ns;
	swarm->mend_ns = 3 * election_ns;
	swarm->cut_kinds = 31;
	swarm->completion_crash = bug == SIM_BUG_FORGOTTEN_VOTE ? 100000 : 0;
	if (bug == SIM_BUG_SECOND_CHANGE)
		swarm->operator_share = 500;
}

void swarm_provoke(struct sim_swarm *swarm, enum sim_bug bug)
{
	if (bug == SIM_BUG_NONE)
		return;
	if (bug == SIM_BUG_WILD_CLOCKS) {
		provoke_leases(swarm);
		return;
	}
	if (bug >= SIM_BUG_OF_CLUSTERS) {
		provoke_cluster(swarm, bug);
		return;
	}
	swarm->client_death = 0;
	swarm->client_pause = 0;
	swarm->rot_ns = 0;
	swarm->read_error = 0;
	swarm->write_error = 0;
	swarm->short_write = 0;
	swarm->sync_error = 0;
	swarm->full = 0;
	swarm->stop_share = 0;
	swarm->clients = 3;
	swarm->crash_ns = 5 * SIM_MS;
	swarm->power_share = bug == SIM_BUG_FREE_LOCK ? 0 : 80;
	if (bug == SIM_BUG_LOST_DOORBELL || bug == SIM_BUG_LOST_WAKE)
		swarm->crash_ns = 0;
}
