/*
 * The turns of a machine's lanes; see tests/sim/lanes.h.
 */
#include "tests/sim/frames.h"
#include "tests/sim/lies.h"
#include "tests/sim/links.h"
#include "tests/sim/net.h"
#include "tests/sim/sim.h"
#include "tests/sim/watch.h"

#include "daemon/node_stages.h"

#include <assert.h>
#include <string.h>

enum lanes_limits {
	HEAR_MAX = 256 << 10, /* of one link, in one turn */
};

static struct links tables[SIM_MACHINES_MAX];

void lanes_clear(void)
{
	for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
		memset(&tables[i], 0, sizeof(tables[i]));
		tables[i].machine = i;
	}
}

void lanes_begin(uint32_t machine, struct node *node)
{
	struct links *links = &tables[machine];
	memset(links, 0, sizeof(*links));
	links->machine = machine;
	links->node = node;
	links->member = machine_view(machine)->member;
	links->change = UINT64_MAX; /* none that the node could name */
}

void lanes_end(uint32_t machine, bool power)
{
	struct links *links = &tables[machine];
	memset(links, 0, sizeof(*links));
	links->machine = machine;
	net_machine_died(machine, power);
}

/* ---- hearing ---- */

/* A frame of which a bit flipped on the way is never taken. */
static void check_flip(const struct links *links, const struct link *link,
		       const struct lane *lane)
{
	int other = net_other(link->end);
	uint64_t flipped = net_flipped(other);
	if (flipped == 0)
		return;
	uint64_t frame = frames_at(other, flipped - 1);
	sim_check(frame == 0 || lane->heard < frame,
		  "machine %u takes frame %lu of member %lu, of which a bit "
		  "flipped",
		  links->machine, (unsigned long)frame,
		  (unsigned long)link->member);
}

/* 1: something was taken; 0: nothing; -1: the connection ends. */
static int hear_frames(struct links *links, struct link *link)
{
	const struct peer *peer = peer_find(links->node, link->member);
	uint32_t left = HEAR_MAX, size;
	const uint8_t *bytes;
	int any = 0;
	while (left > 0 && (size = net_readable(link->end, &bytes)) > 0) {
		uint32_t taken = 0;
		if (size > left)
			size = left;
		int code = node_hear(links->node, link->member,
				     (enum node_lane)link->lane, bytes, size,
				     &taken);
		sim_check(taken <= size, "more is taken than there is");
		if (peer != NULL)
			check_flip(links, link, &peer->lanes[link->lane]);
		if (code != 0) {
			sim_check(net_flipped(net_other(link->end)) != 0,
				  "machine %u ends an honest connection: %d",
				  links->machine, code);
			SIM_SOMETIMES(FLIP_CAUGHT);
			return -1;
		}
		net_take(link->end, taken);
		any |= taken > 0;
		left -= taken;
		if (taken < size) {
			SIM_SOMETIMES(LANE_STUCK);
			break;
		}
		/* The rest may come in another turn. */
		if (sim.swarm.net_piece > 0 && sim_below(SIM_NET, 16) == 0)
			break;
	}
	return any;
}

/* Whether anything was done. */
static bool step(struct links *links, struct link *link)
{
	uint8_t before = link->state;
	int heard = 0;
	if (before == LINK_GREETING)
		links_hear_greeting(links, link);
	if (link->state == LINK_OPEN)
		heard = hear_frames(links, link);
	if (link->state == LINK_FREE)
		return true;
	if (heard < 0 || net_ended(link->end)) {
		links_drop(links, link);
		return true;
	}
	if (link->state != LINK_OPEN && links->now_ns >= link->deadline_ns)
		links_too_late(links, link);
	return heard > 0 || link->state != before;
}

/* In the middle of an image, which must go on over another connection. */
static void break_image(const struct links *links)
{
	const struct incoming *in = &links->node->incoming;
	if (sim.healing || sim.swarm.wire_ns == 0 || !in->active ||
	    in->written || in->next == 0 || sim_below(SIM_NET, 6) != 0)
		return;
	for (uint32_t i = 0; i < links->used; i++) {
		const struct link *link = &links->links[i];
		if (link->state == LINK_OPEN && link->lane == NODE_BULK &&
		    link->member == in->from)
			net_break(link->end);
	}
}

bool lanes_turn(uint32_t machine, struct node *node)
{
	struct links *links = &tables[machine];
	bool any = false;
	int end;
	links->now_ns = machine_now(machine);
	if (links->change != node_members_change(node))
		links_follow(links);
	while ((end = net_accept(machine)) >= 0)
		(void)links_new(links, end); /* no place: it is closed */
	for (uint32_t i = 0; i < links->used; i++)
		if (links->links[i].state != LINK_FREE &&
		    step(links, &links->links[i]))
			any = true;
	break_image(links);
	links_dial(links);
	return any;
}

uint64_t lanes_next_ns(uint32_t machine)
{
	const struct links *links = &tables[machine];
	uint64_t next = UINT64_MAX;
	for (uint32_t i = 0; i < links->used; i++) {
		const struct link *link = &links->links[i];
		if (link->state != LINK_FREE && link->state != LINK_OPEN &&
		    next > link->deadline_ns)
			next = link->deadline_ns;
	}
	for (uint32_t i = 0; i < LINKS_OTHERS_MAX * NODE_LANES; i++) {
		const struct other *other = &links->others[i / NODE_LANES];
		const struct lane_place *lane = &other->lanes[i % NODE_LANES];
		if (other->id != 0 && other->machine >= 0 && lane->open < 0 &&
		    lane->dialling < 0 && next > lane->dial_ns)
			next = lane->dial_ns;
	}
	return next;
}

/* ---- sending ---- */

/* As much of it as there is room for. */
static uint32_t put_parts(const struct links *links, const struct link *link,
			  const struct node_part *parts, uint32_t count)
{
	const struct speaker speaker = {
		.end = link->end,
		.machine = links->machine,
		.to = link->member,
		.lane = link->lane,
		.node = links->node,
	};
	uint32_t room = net_room(link->end), sent = 0;
	if (sim.swarm.net_piece > 0 && sim_below(SIM_NET, 8) == 0)
		room = (uint32_t)sim_below(SIM_NET, room + 1);
	for (uint32_t i = 0; i < count && sent < room; i++) {
		uint32_t size = parts[i].size;
		if (size > room - sent)
			size = room - sent;
		struct node_part said = {
			lies_part(&parts[i], room - sent),
			parts[i].size,
		};
		frames_sent(&speaker, said.bytes, size);
		net_put(link->end, lies_on_the_way(&said, room - sent), size);
		sent += size;
	}
	return sent;
}

static bool send_link(struct links *links, struct link *link)
{
	struct node_part parts[NODE_PARTS_MAX];
	enum node_lane lane = (enum node_lane)link->lane;
	const struct peer *peer = peer_find(links->node, link->member);
	if (peer == NULL || net_room(link->end) == 0)
		return false;
	uint32_t count = node_gather(links->node, link->member, lane, parts);
	if (peer->fetch >= 0)
		SIM_SOMETIMES(ENTRIES_READ_BACK);
	if (count == 0)
		return false;
	uint32_t sent = put_parts(links, link, parts, count);
	node_sent(links->node, link->member, lane, sent);
	if (peer->lanes[lane].spill_used > 0)
		SIM_SOMETIMES(PARTIAL_SEND);
	return sent > 0;
}

bool lanes_send(uint32_t machine, struct node *node)
{
	struct links *links = &tables[machine];
	bool any = false;
	assert(links->node == node);
	for (uint32_t i = 0; i < links->used; i++)
		if (links->links[i].state == LINK_OPEN &&
		    send_link(links, &links->links[i]))
			any = true;
	return any;
}
