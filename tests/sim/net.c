/*
 * See tests/sim/net.h.
 */
#include "tests/sim/net.h"
#include "tests/sim/machine.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum net_sizes {
	PARCELS_MAX = 16, /* on the way in one pipe; more join the last */
};

/* Bytes up to `until` arrive at `time`. */
struct parcel {
	uint64_t time;
	uint64_t until;
};

/* One way. Positions count from the connection's first byte. */
struct pipe {
	uint8_t *bytes; /* a ring; made at the first use, kept */
	uint64_t put;
	uint64_t arrived;
	uint64_t taken;
	uint64_t waits_since; /* bytes are on the way that do not arrive */
	uint64_t flipped; /* position behind a flipped byte, 0: none */
	uint64_t stamp; /* of the event that is meant */
	bool planned; /* there is one */
	bool closed; /* nothing follows what was put */
	bool lost; /* nothing that is put arrives any more */
	bool blocked; /* its writer wants room */
	struct parcel parcels[PARCELS_MAX];
	uint32_t first;
	uint32_t count;
};

struct connection {
	bool used;
	bool accepted;
	bool handed_out;
	uint64_t serial;
	bool open[2]; /* that side holds its end */
	bool over[2]; /* that side is told that it is over */
	uint64_t deaf_until[2]; /* that side does not read */
	uint32_t machines[2]; /* who dialled, who was dialled */
	struct pipe pipes[2]; /* written by that side */
};

struct wire {
	bool cut;
	uint32_t times;
	uint64_t ns;
};

static struct connection connections[NET_CONNECTIONS_MAX];
static struct wire wires[NET_PLACES][NET_PLACES];
static uint32_t arrivals[SIM_MACHINES_MAX]; /* accepted, not handed out */
static uint64_t stamps;

static struct connection *connection_of(int end)
{
	assert(end >= 0 && end < NET_ENDS_MAX);
	assert(connections[end / 2].used);
	return &connections[end / 2];
}

/* What that end writes; what it reads. */
static struct pipe *out_of(int end)
{
	return &connection_of(end)->pipes[end % 2];
}

static struct pipe *in_of(int end)
{
	return &connection_of(end)->pipes[1 - end % 2];
}

static struct wire *wire_of(int end)
{
	const struct connection *connection = connection_of(end);
	return &wires[connection->machines[end % 2]]
		     [connection->machines[1 - end % 2]];
}

int net_other(int end)
{
	return end ^ 1;
}

void net_clear(void)
{
	for (uint32_t i = 0; i < NET_CONNECTIONS_MAX; i++)
		connections[i].used = false;
	for (uint32_t i = 0; i < NET_PLACES; i++)
		for (uint32_t k = 0; k < NET_PLACES; k++)
			wires[i][k] = (struct wire){
				.times = 1,
				.ns = sim.swarm.net_ns_min +
				      sim_spread(SIM_NET,
						 sim.swarm.net_ns_mean),
			};
	memset(arrivals, 0, sizeof(arrivals));
	stamps = 0;
}

/* ---- the way ---- */

static void plan(int end, uint64_t time)
{
	struct pipe *pipe = out_of(end);
	pipe->planned = true;
	pipe->stamp = ++stamps;
	sim_at(time, SIM_EVENT_NET, (uint32_t)end, pipe->stamp);
}

static uint64_t draw_delay(int end, uint32_t size)
{
	const struct wire *wire = wire_of(end);
	uint64_t ns = wire->ns + sim_spread(SIM_NET, wire->ns / 4 + 1) +
		      size * sim.swarm.net_ns_kib / 1024;
	return ns * wire->times;
}

static struct parcel *parcel_at(struct pipe *pipe, uint32_t at)
{
	return &pipe->parcels[(pipe->first + at) % PARCELS_MAX];
}

static void send_off(int end, uint32_t size)
{
	struct pipe *pipe = out_of(end);
	uint64_t time = sim.now + draw_delay(end, size);
	if (pipe->count > 0) {
		struct parcel *last = parcel_at(pipe, pipe->count - 1);
		if (time < last->time)
			time = last->time;
		if (pipe->count == PARCELS_MAX) {
			last->until = pipe->put;
			return;
		}
	} else {
		pipe->waits_since = sim.now;
	}
	*parcel_at(pipe, pipe->count++) = (struct parcel){time, pipe->put};
	if (!pipe->planned && !wire_of(end)->cut)
		plan(end, time);
}

static void tell(const struct connection *connection, uint32_t side)
{
	if (connection->open[side] &&
	    connection->machines[side] != NET_STRANGER)
		machine_kick(connection->machines[side]);
}

/* Frees it when both sides have let go. */
static void collect(struct connection *connection)
{
	if (!connection->open[0] && !connection->open[1])
		connection->used = false;
}

static void be_over(struct connection *connection, uint32_t side)
{
	connection->over[side] = true;
	tell(connection, side);
}

/* Nobody is there who would take it: the other side is told so. */
static bool is_refused(struct connection *connection, uint32_t side)
{
	if (connection->machines[side] == NET_STRANGER)
		return !connection->open[side];
	enum machine_state state =
		machine_view(connection->machines[side])->state;
	bool up = state == MACHINE_AWAKE || state == MACHINE_ASLEEP;
	if (side == 1 && !connection->accepted && up) {
		connection->accepted = true;
		connection->open[1] = true;
		arrivals[connection->machines[1]]++;
	}
	return !connection->open[side] && up;
}

void net_event(uint32_t number, uint64_t stamp)
{
	int end = (int)number;
	struct connection *connection = &connections[end / 2];
	struct pipe *pipe = &connection->pipes[end % 2];
	uint32_t reader = 1 - number % 2;
	if (!connection->used || stamp != pipe->stamp)
		return;
	pipe->planned = false;
	if (wire_of(end)->cut)
		return; /* planned again when it is mended */
	while (pipe->count > 0 && parcel_at(pipe, 0)->time <= sim.now) {
		pipe->arrived = parcel_at(pipe, 0)->until;
		pipe->waits_since = sim.now;
		pipe->first = (pipe->first + 1) % PARCELS_MAX;
		pipe->count--;
	}
	if (pipe->count > 0)
		plan(end, parcel_at(pipe, 0)->time);
	if (is_refused(connection, reader))
		be_over(connection, number % 2);
	tell(connection, reader);
}

/* ---- an end ---- */

int net_dial(uint32_t from, uint32_t to)
{
	for (int i = 0; i < NET_CONNECTIONS_MAX; i++) {
		struct connection *connection = &connections[i];
		if (connection->used)
			continue;
		uint8_t *rings[2] = {connection->pipes[0].bytes,
				     connection->pipes[1].bytes};
		memset(connection, 0, sizeof(*connection));
		connection->used = true;
		connection->serial = ++stamps;
		connection->open[0] = true;
		connection->machines[0] = from;
		connection->machines[1] = to;
		connection->pipes[0].bytes = rings[0];
		connection->pipes[1].bytes = rings[1];
		return 2 * i;
	}
	return -1;
}

int net_accept(uint32_t machine)
{
	for (int i = 0; i < NET_CONNECTIONS_MAX && arrivals[machine] > 0; i++) {
		struct connection *connection = &connections[i];
		if (!connection->used || !connection->open[1] ||
		    connection->handed_out ||
		    connection->machines[1] != machine)
			continue;
		connection->handed_out = true;
		arrivals[machine]--;
		return 2 * i + 1;
	}
	return -1;
}

void net_close(int end)
{
	struct connection *connection = connection_of(end);
	out_of(end)->closed = true;
	connection->open[end % 2] = false;
	tell(connection, 1 - (uint32_t)end % 2);
	collect(connection);
}

/* What it wrote does not arrive, for too long. */
static bool is_silent(int end)
{
	const struct pipe *pipe = out_of(end);
	return pipe->count > 0 &&
	       sim.now - pipe->waits_since > sim.swarm.silence_ns;
}

bool net_ended(int end)
{
	const struct connection *connection = connection_of(end);
	const struct pipe *in = in_of(end);
	if (connection->over[end % 2] || is_silent(end))
		return true;
	return in->closed && in->taken == in->put;
}

uint32_t net_room(int end)
{
	struct pipe *pipe = out_of(end);
	uint64_t used = pipe->put - pipe->taken;
	assert(sim.swarm.net_room <= NET_ROOM_MAX);
	pipe->blocked = used >= sim.swarm.net_room;
	return pipe->blocked ? 0 : (uint32_t)(sim.swarm.net_room - used);
}

void net_put(int end, const uint8_t *bytes, uint32_t size)
{
	struct pipe *pipe = out_of(end);
	assert(size > 0 && pipe->put - pipe->taken + size <= NET_ROOM_MAX);
	if (pipe->lost)
		return;
	if (pipe->bytes == NULL) {
		pipe->bytes = malloc(NET_ROOM_MAX);
		assert(pipe->bytes != NULL);
	}
	uint32_t at = (uint32_t)(pipe->put % NET_ROOM_MAX);
	uint32_t first = NET_ROOM_MAX - at < size ? NET_ROOM_MAX - at : size;
	memcpy(pipe->bytes + at, bytes, first);
	memcpy(pipe->bytes, bytes + first, size - first);
	pipe->put += size;
	send_off(end, size);
}

uint32_t net_readable(int end, const uint8_t **ret_bytes)
{
	const struct connection *connection = connection_of(end);
	const struct pipe *pipe = in_of(end);
	uint64_t size = pipe->arrived - pipe->taken;
	uint32_t at = (uint32_t)(pipe->taken % NET_ROOM_MAX);
	if (connection->over[end % 2] || size == 0 ||
	    connection->deaf_until[end % 2] > sim.now)
		return 0;
	if (size > NET_ROOM_MAX - at)
		size = NET_ROOM_MAX - at;
	if (sim.swarm.net_piece > 0 && size > sim.swarm.net_piece)
		size = 1 + sim_below(SIM_NET, sim.swarm.net_piece);
	*ret_bytes = pipe->bytes + at;
	return (uint32_t)size;
}

void net_take(int end, uint32_t size)
{
	struct pipe *pipe = in_of(end);
	assert(size <= pipe->arrived - pipe->taken);
	pipe->taken += size;
	if (pipe->blocked && size > 0) {
		pipe->blocked = false;
		tell(connection_of(end), 1 - (uint32_t)end % 2);
	}
}

uint64_t net_written(int end)
{
	return out_of(end)->put;
}

uint64_t net_flipped(int end)
{
	return out_of(end)->flipped;
}

/* ---- ends that are not chosen ---- */

void net_end_event(uint32_t number, uint64_t serial)
{
	struct connection *connection = &connections[number / 2];
	if (connection->used && connection->serial == serial)
		be_over(connection, number % 2);
}

/* That side is told after a while that it is over. */
static void tell_later(int end, uint64_t ns)
{
	sim_at(sim.now + ns + 1, SIM_EVENT_NET_END, (uint32_t)end,
	       connection_of(end)->serial);
}

/* Of what is on its way only a part will come, and nothing after it. */
static void lose_rest(struct pipe *pipe)
{
	uint64_t left = pipe->put - pipe->arrived;
	pipe->put = pipe->arrived + sim_below(SIM_NET, left + 1);
	pipe->lost = true;
	for (uint32_t i = 0; i < pipe->count; i++)
		if (parcel_at(pipe, i)->until > pipe->put)
			parcel_at(pipe, i)->until = pipe->put;
}

static void end_died(int end, bool power)
{
	struct connection *connection = connection_of(end);
	struct pipe *pipe = out_of(end);
	connection->open[end % 2] = false;
	if (end % 2 == 1 && !connection->handed_out)
		arrivals[connection->machines[1]]--;
	if (power || sim_below(SIM_NET, 2) != 0)
		lose_rest(pipe);
	if (!power) {
		pipe->closed = true;
		tell(connection, 1 - (uint32_t)end % 2);
	} else if (connection->open[1 - end % 2]) {
		/* Nobody says anything: some time that is noticed. */
		sim_fault(SIM_FAULT_HALF_OPEN);
		tell_later(net_other(end),
			   sim_spread(SIM_NET, sim.swarm.silence_ns));
	}
	collect(connection);
}

void net_machine_died(uint32_t machine, bool power)
{
	for (int end = 0; end < NET_ENDS_MAX; end++) {
		const struct connection *connection = &connections[end / 2];
		if (connection->used && connection->open[end % 2] &&
		    connection->machines[end % 2] == machine)
			end_died(end, power);
	}
	assert(arrivals[machine] == 0);
}

/* ---- the outside ---- */

void net_cut(uint32_t from, uint32_t to, bool cut)
{
	struct wire *wire = &wires[from][to];
	bool was_cut = wire->cut;
	wire->cut = cut;
	for (int end = 0; was_cut && !cut && end < NET_ENDS_MAX; end++) {
		if (!connections[end / 2].used || wire_of(end) != wire)
			continue;
		/* What waits comes in a burst. */
		if (out_of(end)->count > 0 && !out_of(end)->planned)
			plan(end, sim.now + draw_delay(end, 0));
	}
}

bool net_is_cut(uint32_t from, uint32_t to)
{
	return wires[from][to].cut;
}

void net_slow(uint32_t from, uint32_t to, uint32_t times)
{
	wires[from][to].times = times;
}

void net_mend(void)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++)
		for (uint32_t k = 0; k < SIM_MACHINES_MAX; k++) {
			net_slow(i, k, 1);
			net_cut(i, k, false);
		}
	for (uint32_t i = 0; i < NET_CONNECTIONS_MAX; i++)
		for (uint32_t side = 0; side < 2; side++)
			if (connections[i].used)
				connections[i].deaf_until[side] = 0;
}

/* Some connection that both sides hold: an end of it, or -1. */
static int pick(void)
{
	int first = (int)sim_below(SIM_NET, NET_CONNECTIONS_MAX);
	for (int i = 0; i < NET_CONNECTIONS_MAX; i++) {
		int number = (first + i) % NET_CONNECTIONS_MAX;
		const struct connection *connection = &connections[number];
		if (connection->used && connection->open[0] &&
		    connection->open[1])
			return 2 * number + (int)sim_below(SIM_NET, 2);
	}
	return -1;
}

void net_break(int end)
{
	sim_fault(SIM_FAULT_CONNECTION_RESET);
	sim_trace("net: the connection of machines % and % breaks",
		  connection_of(end)->machines[0],
		  connection_of(end)->machines[1]);
	lose_rest(out_of(end));
	lose_rest(in_of(end));
	tell_later(end, sim_spread(SIM_NET, SIM_MS));
	tell_later(net_other(end), sim_spread(SIM_NET, SIM_MS));
}

void net_break_one(void)
{
	int end = pick();
	if (end >= 0)
		net_break(end);
}

void net_flip_one(void)
{
	int end = pick();
	if (end < 0)
		return;
	struct pipe *pipe = out_of(end);
	if (pipe->arrived == pipe->put || pipe->flipped != 0)
		return;
	uint64_t at = sim_between(SIM_NET, pipe->arrived, pipe->put - 1);
	sim_fault(SIM_FAULT_FLIPPED_BIT);
	sim_trace("net: a bit flips at % of end %", at, end);
	pipe->bytes[at % NET_ROOM_MAX] ^=
		(uint8_t)(1u << sim_below(SIM_NET, 8));
	pipe->flipped = at + 1;
}

void net_deafen_one(uint64_t ns)
{
	int end = pick();
	if (end < 0)
		return;
	struct connection *connection = connection_of(end);
	sim_fault(SIM_FAULT_PEER_DEAF);
	connection->deaf_until[end % 2] = sim.now + ns;
}
