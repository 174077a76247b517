/*
 * See tests/sim/stranger.h.
 */
#include "tests/sim/stranger.h"
#include "tests/sim/machine.h"
#include "tests/sim/net.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"

#include "daemon/node_state.h"
#include "raft/crc32c.h"

#include <string.h>

enum stranger_kind {
	STRANGER_CLUSTER,
	STRANGER_MEANT, /* for another member */
	STRANGER_UNKNOWN, /* a new member, for one that knows no leader */
	STRANGER_VERSION,
	STRANGER_LANE,
	STRANGER_SELF,
	STRANGER_NONSENSE,
	STRANGER_KINDS,
};

enum stranger_limits {
	STRANGERS_MAX = 4,
};

struct stranger {
	int end; /* -1: none */
	enum stranger_kind kind;
};

static struct stranger strangers[STRANGERS_MAX];

void stranger_begin(void)
{
	for (uint32_t i = 0; i < STRANGERS_MAX; i++)
		strangers[i].end = -1;
}

static void forge(enum stranger_kind kind, uint32_t machine,
		  struct wire_greeting *greeting)
{
	memset(greeting, 0, sizeof(*greeting));
	memcpy(greeting->cluster,
	       kind == STRANGER_CLUSTER ? "some other place"
					: "simulated cluste",
	       sizeof(greeting->cluster));
	greeting->from = 5000;
	greeting->to = machine_view(machine)->member;
	greeting->incarnation = sim_random(SIM_NET) | 1;
	if (kind == STRANGER_MEANT)
		greeting->to += 1000;
	if (kind == STRANGER_SELF)
		greeting->from = greeting->to;
	if (kind == STRANGER_LANE)
		greeting->lane = NODE_LANES + 5;
	wire_greeting_seal(greeting);
	if (kind != STRANGER_VERSION)
		return;
	/* A seal that only a later version makes. */
	greeting->version_min = WIRE_VERSION + 1;
	greeting->version_max = WIRE_VERSION + 1;
	greeting->crc = crc32c(0, (const uint8_t *)greeting + 12,
			       sizeof(*greeting) - 12);
}

/* Whatever it was answered, it was not let in. */
static void look_after(uint32_t number)
{
	struct wire_greeting answer;
	uint8_t bytes[WIRE_GREETING_SIZE];
	uint32_t used = 0, size;
	const uint8_t *from;
	struct stranger *stranger = &strangers[number];
	int end = stranger->end;
	if (end < 0)
		return;
	while (used < sizeof(bytes) && (size = net_readable(end, &from)) > 0) {
		if (size > sizeof(bytes) - used)
			size = (uint32_t)sizeof(bytes) - used;
		memcpy(bytes + used, from, size);
		used += size;
		net_take(end, size);
	}
	if (used == sizeof(bytes) && wire_greeting_check(bytes, &answer) == 0)
		sim_check(answer.status != WIRE_OK ||
				  stranger->kind == STRANGER_UNKNOWN,
			  "a stranger is let in by member %lu",
			  (unsigned long)answer.from);
	net_close(end);
	stranger->end = -1;
}

/* One without takes whoever comes. */
static bool has_configuration(uint32_t machine)
{
	const struct node *node = machine_view(machine)->node;
	struct raft_status status;
	if (node == NULL)
		return false;
	raft_status(node->raft, &status);
	return status.conf.voter_count > 0;
}

void stranger_dial(void)
{
	uint32_t number = (uint32_t)sim_below(SIM_NET, STRANGERS_MAX);
	uint32_t machine =
		roster_machine((uint32_t)sim_below(SIM_NET, roster_count()));
	struct wire_greeting greeting;
	enum stranger_kind kind =
		(enum stranger_kind)sim_below(SIM_NET, STRANGER_KINDS);
	look_after(number);
	if (!has_configuration(machine))
		return;
	int end = net_dial(NET_STRANGER, machine);
	if (end < 0)
		return;
	sim_fault(SIM_FAULT_STRANGER);
	forge(kind, machine, &greeting);
	if (kind == STRANGER_NONSENSE)
		memset(&greeting, 0x5a, sizeof(greeting));
	net_put(end, (const void *)&greeting, sizeof(greeting));
	strangers[number] = (struct stranger){end, kind};
}

void stranger_end(void)
{
	for (uint32_t i = 0; i < STRANGERS_MAX; i++)
		look_after(i);
}
