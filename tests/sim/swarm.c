/*
 * See tests/sim/swarm.h.
 */
#include "tests/sim/swarm.h"

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

void swarm_draw(struct sim_swarm *ret_swarm, bool calm)
{
	memset(ret_swarm, 0, sizeof(*ret_swarm));
	draw_sizes(ret_swarm);
	ret_swarm->client_yield = between(1, 10) * 30000;
	if (!calm)
		draw_faults(ret_swarm);
}

void swarm_provoke(struct sim_swarm *swarm, enum sim_bug bug)
{
	if (bug == SIM_BUG_NONE)
		return;
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
