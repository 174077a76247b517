/*
 * See tests/sim/faults_net.h.
 */
#include "tests/sim/faults_net.h"
#include "tests/sim/machine.h"
#include "tests/sim/net.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"
#include "tests/sim/stranger.h"
#include "tests/sim/watch.h"

#include <assert.h>
#include <string.h>

enum cut_kind {
	CUT_IN_TWO, /* any two parts */
	CUT_OFF_ONE,
	CUT_OFF_LEADER,
	CUT_TO_BRIDGE, /* two parts, and one who reaches both */
	CUT_ONE_WAY, /* one is heard and hears nothing, or the other way */
	CUT_KINDS,
};

enum wire_kind {
	WIRE_SLOW,
	WIRE_CLOGGED,
	WIRE_RESET,
	WIRE_DEAF,
	WIRE_FLIP,
	WIRE_KINDS,
};

static bool is_cut;

void faults_net_begin(void)
{
	is_cut = false;
	stranger_begin();
}

void faults_net_end(void)
{
	is_cut = false;
	net_mend();
	stranger_end();
}

bool faults_are_cut(void)
{
	return is_cut;
}

/* One of the kinds that this seed has. */
static uint32_t draw_kind(uint32_t mask, uint32_t count)
{
	assert(mask != 0 && mask < 1u << count);
	for (;;) {
		uint32_t kind = (uint32_t)sim_below(SIM_NET, count);
		if ((mask >> kind & 1) != 0)
			return kind;
	}
}

/* ---- cuts ---- */

static void cut_both(uint32_t a, uint32_t b)
{
	net_cut(a, b, true);
	net_cut(b, a, true);
}

static void cut_off(uint32_t machine)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		if (i != machine)
			cut_both(i, machine);
}

/* Those whose bit is 0 from those whose bit is 1, but for `bridge`. */
static void cut_parts(uint64_t bits, uint32_t bridge)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		for (uint32_t k = 0; k < i; k++)
			if (i != bridge && k != bridge &&
			    (bits >> i & 1) != (bits >> k & 1))
				cut_both(i, k);
}

static void cut_one_way(uint32_t machine)
{
	bool hears = sim_below(SIM_NET, 2) != 0;
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		if (i == machine)
			continue;
		net_cut(i, machine, !hears);
		net_cut(machine, i, hears);
	}
}

static uint32_t any_machine(void)
{
	return roster_machine((uint32_t)sim_below(SIM_NET, roster_count()));
}

static void cut_as(uint32_t kind)
{
	uint64_t bits = sim_random(SIM_NET);
	int leader = watch_leader();
	switch (kind) {
	case CUT_IN_TWO:
		sim_fault(SIM_FAULT_CUT_IN_TWO);
		cut_parts(bits, SIM_MACHINES_MAX);
		break;
	case CUT_OFF_ONE:
		sim_fault(SIM_FAULT_CUT_OFF_ONE);
		cut_off(any_machine());
		break;
	case CUT_OFF_LEADER:
		sim_fault(SIM_FAULT_CUT_OFF_LEADER);
		cut_off(leader >= 0 ? (uint32_t)leader : any_machine());
		break;
	case CUT_TO_BRIDGE:
		sim_fault(SIM_FAULT_CUT_TO_BRIDGE);
		cut_parts(bits, any_machine());
		break;
	default:
		sim_fault(SIM_FAULT_CUT_ONE_WAY);
		cut_one_way(any_machine());
	}
}

void faults_cut(void)
{
	if (is_cut) {
		is_cut = false;
		sim_trace("net: mended");
		net_mend();
		return;
	}
	is_cut = true;
	uint32_t kind = draw_kind(sim.swarm.cut_kinds, CUT_KINDS);
	sim_trace("net: is cut, kind %", kind);
	cut_as(kind);
}

/* ---- single links ---- */

static void clog_link(uint32_t from, uint32_t to)
{
	bool clogged = net_is_cut(from, to);
	if (!clogged)
		sim_fault(SIM_FAULT_LINK_CLOGGED);
	net_cut(from, to, !clogged);
}

static void slow_link(uint32_t from, uint32_t to)
{
	uint32_t times = 1u << sim_below(SIM_NET, 8);
	if (times > 1)
		sim_fault(SIM_FAULT_LINK_SLOW);
	net_slow(from, to, times);
}

void faults_wire(void)
{
	uint32_t from = any_machine(), to = any_machine();
	switch (draw_kind(sim.swarm.wire_kinds, WIRE_KINDS)) {
	case WIRE_SLOW:
		slow_link(from, to);
		break;
	case WIRE_CLOGGED:
		clog_link(from, to);
		break;
	case WIRE_RESET:
		net_break_one();
		break;
	case WIRE_DEAF:
		net_deafen_one(sim_spread(SIM_NET, sim.swarm.silence_ns));
		break;
	default:
		net_flip_one();
	}
}
