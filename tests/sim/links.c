/*
 * Dialling and greeting; see tests/sim/lanes.h.
 */
#include "tests/sim/links.h"
#include "tests/sim/frames.h"
#include "tests/sim/net.h"
#include "tests/sim/roster.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <string.h>

static const uint8_t cluster[16] = "simulated cluste";

struct other *links_find(struct links *links, uint64_t id)
{
	for (uint32_t i = 0; id != 0 && i < LINKS_OTHERS_MAX; i++)
		if (links->others[i].id == id)
			return &links->others[i];
	return NULL;
}

static int number_of(const struct links *links, const struct link *link)
{
	return (int)(link - links->links);
}

struct link *links_new(struct links *links, int end)
{
	for (uint32_t i = 0; i < LINKS_MAX; i++) {
		struct link *link = &links->links[i];
		if (link->state != LINK_FREE)
			continue;
		memset(link, 0, sizeof(*link));
		link->state = LINK_GREETING;
		link->end = end;
		link->deadline_ns = links->now_ns + sim.swarm.greet_ns;
		if (links->used <= i)
			links->used = i + 1;
		return link;
	}
	net_close(end);
	return NULL;
}

/* ---- ending ---- */

/* Between half of the pause and all of it. */
static void plan(struct links *links, struct lane_place *lane, bool failed)
{
	uint64_t pause = sim.swarm.dial_ns;
	lane->failures = failed ? lane->failures + 1 : 0;
	uint64_t most = 2 * sim.swarm.election_ticks * sim.swarm.tick_ns;
	for (uint32_t i = 1; i < lane->failures && pause < most; i++)
		pause *= 2;
	lane->dial_ns =
		links->now_ns + pause / 2 + sim_below(SIM_NET, pause / 2 + 1);
}

/* Takes it out of its lane; whether that leaves the lane without any. */
static bool leave_lane(struct lane_place *lane, int number)
{
	bool carried = lane->open == number || lane->dialling == number;
	if (lane->open == number)
		lane->open = -1;
	if (lane->dialling == number)
		lane->dialling = -1;
	if (lane->waiting == number)
		lane->waiting = -1;
	return carried && lane->open < 0 && lane->dialling < 0;
}

static void admit(struct links *links, struct link *link);

void links_drop(struct links *links, struct link *link)
{
	struct other *other = links_find(links, link->member);
	int number = number_of(links, link);
	bool was_open = link->state == LINK_OPEN;
	if (was_open)
		node_link_down(links->node, link->member,
			       (enum node_lane)link->lane);
	net_close(link->end);
	link->state = LINK_FREE;
	while (links->used > 0 &&
	       links->links[links->used - 1].state == LINK_FREE)
		links->used--;
	if (other == NULL)
		return;
	struct lane_place *lane = &other->lanes[link->lane];
	if (!leave_lane(lane, number))
		return;
	plan(links, lane, !was_open);
	if (lane->waiting >= 0)
		admit(links, &links->links[lane->waiting]);
}

static void drop_number(struct links *links, int number)
{
	if (number >= 0)
		links_drop(links, &links->links[number]);
}

/* ---- greetings ---- */

void links_greet(struct links *links, const struct link *link, uint64_t to,
		 int32_t status)
{
	struct wire_greeting greeting = {
		.from = links->member,
		.to = to,
		.incarnation = machine_view(links->machine)->life,
		.lane = link->lane,
		.status = status,
		.version = (uint16_t)node_version(links->node),
		.in_force = (uint16_t)node_cluster_version(links->node),
		.entry_max = node_entry_max(links->node),
	};
	memcpy(greeting.cluster, cluster, sizeof(greeting.cluster));
	wire_greeting_seal(&greeting);
	if (net_room(link->end) >= sizeof(greeting))
		net_put(link->end, (const void *)&greeting, sizeof(greeting));
}

static void open_link(struct links *links, struct link *link)
{
	struct other *other = links_find(links, link->member);
	int number = number_of(links, link);
	assert(other != NULL);
	struct lane_place *lane = &other->lanes[link->lane];
	if (node_link_up(links->node, link->member,
			 (enum node_lane)link->lane) != 0) {
		links_drop(links, link);
		return;
	}
	node_peer_told(links->node, link->member, link->version,
		       link->entry_max);
	if (lane->dialling == number)
		lane->dialling = -1;
	assert(lane->open < 0 || lane->open == number);
	lane->open = number;
	lane->failures = 0;
	link->state = LINK_OPEN;
	frames_begin(link->end, net_written(link->end));
	sim_trace("machine %: lane % to member % is open", links->machine,
		  link->lane, link->member);
	if (lane->waiting < 0)
		return;
	/* The same process dialled, too, and will let go of that itself. */
	struct link *waiting = &links->links[lane->waiting];
	if (waiting->incarnation == link->incarnation)
		links_drop(links, waiting);
	else
		links_too_late(links, waiting);
}

static void refuse(struct links *links, struct link *link, uint64_t claimed,
		   int32_t status)
{
	SIM_SOMETIMES(STRANGER_REFUSED);
	if (status == WIRE_EREMOVED)
		SIM_SOMETIMES(REMOVED_REFUSED);
	sim_trace("machine %: refuses member % with %", links->machine, claimed,
		  status);
	links_greet(links, link, claimed, status);
	links_drop(links, link);
}

static void admit(struct links *links, struct link *link)
{
	struct other *other = links_find(links, link->member);
	assert(other != NULL);
	struct lane_place *lane = &other->lanes[link->lane];
	assert(lane->open < 0);
	if (lane->waiting == number_of(links, link))
		lane->waiting = -1;
	lane->open = number_of(links, link);
	drop_number(links, lane->dialling);
	links_greet(links, link, link->member, WIRE_OK);
	open_link(links, link);
}

/*
 * Both dial: the greeting of the smaller id is answered, so the member that
 * has it waits for the answer.
 */
static bool own_goes_first(const struct links *links, const struct link *link,
			   const struct lane_place *lane)
{
	return lane->dialling >= 0 && links->member < link->member;
}

static void place(struct links *links, struct link *link,
		  struct lane_place *lane)
{
	if (lane->open < 0 && !own_goes_first(links, link, lane)) {
		admit(links, link);
		return;
	}
	if (lane->waiting >= 0) {
		uint64_t claimed = link->member;
		link->member = 0; /* the lane is another's */
		refuse(links, link, claimed, WIRE_ETWICE);
		return;
	}
	lane->waiting = number_of(links, link);
	link->state = LINK_WAITING;
}

/* A member without a configuration takes whom the node takes. */
static struct other *find_or_meet(struct links *links, uint64_t id,
				  enum node_lane lane)
{
	struct other *other = links_find(links, id);
	if (other != NULL || node_link_up(links->node, id, lane) != 0)
		return other;
	links_follow(links);
	node_link_down(links->node, id, lane);
	return links_find(links, id);
}

static int compare(const struct links *links,
		   const struct wire_greeting *greeting)
{
	return wire_greeting_compare(greeting, node_version(links->node),
				     node_cluster_version(links->node));
}

static void hear_first(struct links *links, struct link *link,
		       const struct wire_greeting *greeting)
{
	int status = wire_greeting_judge(greeting, cluster, links->member);
	struct other *other = NULL;
	if (status == WIRE_OK && greeting->status != WIRE_OK) {
		links_drop(links, link);
		return;
	}
	if (status == WIRE_OK) {
		other = find_or_meet(links, greeting->from,
				     (enum node_lane)greeting->lane);
		if (other == NULL)
			status = node_was_removed(links->node, greeting->from)
					 ? WIRE_EREMOVED
					 : WIRE_ESTRANGER;
	}
	int order = compare(links, greeting);
	if (status == WIRE_OK && order != 0)
		status = order < 0 ? WIRE_EOUTDATED : WIRE_EBEHIND;
	if (status != WIRE_OK) {
		refuse(links, link, greeting->from, status);
		return;
	}
	link->member = greeting->from;
	link->incarnation = greeting->incarnation;
	link->version = greeting->version;
	link->entry_max = greeting->entry_max;
	link->lane = greeting->lane;
	place(links, link, &other->lanes[link->lane]);
}

static void hear_answer(struct links *links, struct link *link,
			const struct wire_greeting *answer)
{
	bool good = answer->status == WIRE_OK &&
		    wire_greeting_judge(answer, cluster, links->member) ==
			    WIRE_OK &&
		    answer->from == link->member &&
		    answer->lane == link->lane && compare(links, answer) == 0;
	if (!good) {
		links_drop(links, link);
		return;
	}
	link->incarnation = answer->incarnation;
	link->version = answer->version;
	link->entry_max = answer->entry_max;
	open_link(links, link);
}

void links_hear_greeting(struct links *links, struct link *link)
{
	struct wire_greeting greeting;
	const uint8_t *bytes;
	uint32_t size;
	while (link->in_used < sizeof(link->in) &&
	       (size = net_readable(link->end, &bytes)) > 0) {
		if (size > sizeof(link->in) - link->in_used)
			size = (uint32_t)sizeof(link->in) - link->in_used;
		memcpy(link->in + link->in_used, bytes, size);
		link->in_used += size;
		net_take(link->end, size);
	}
	if (link->in_used < sizeof(link->in))
		return;
	if (wire_greeting_check(link->in, &greeting) != 0)
		links_drop(links, link);
	else if (link->dialled)
		hear_answer(links, link, &greeting);
	else
		hear_first(links, link, &greeting);
}

void links_too_late(struct links *links, struct link *link)
{
	struct other *other = links_find(links, link->member);
	if (link->state != LINK_WAITING) {
		links_drop(links, link);
		return;
	}
	assert(other != NULL);
	uint64_t claimed = link->member;
	other->lanes[link->lane].waiting = -1;
	link->member = 0;
	refuse(links, link, claimed, WIRE_ETWICE);
}

/* ---- members ---- */

static bool is_in(uint64_t id, const struct node_member *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i].id == id)
			return true;
	return false;
}

static void let_go(struct links *links, struct other *other)
{
	for (uint32_t i = 0; i < NODE_LANES; i++) {
		struct lane_place *lane = &other->lanes[i];
		drop_number(links, lane->waiting);
		drop_number(links, lane->dialling);
		drop_number(links, lane->open);
		assert(lane->open < 0 && lane->waiting < 0);
	}
	other->id = 0;
}

static void add(struct links *links, const struct node_member *from)
{
	struct other *other = links->others;
	while (other->id != 0) {
		other++;
		assert(other < links->others + LINKS_OTHERS_MAX);
	}
	other->id = from->id;
	other->machine = roster_machine_at(from->address);
	for (uint32_t i = 0; i < NODE_LANES; i++)
		other->lanes[i] = (struct lane_place){
			.open = -1, .dialling = -1, .waiting = -1};
}

void links_follow(struct links *links)
{
	static struct node_member list[NODE_MEMBERS_MAX];
	uint32_t count = node_members(links->node, list);
	links->change = node_members_change(links->node);
	for (uint32_t i = 0; i < LINKS_OTHERS_MAX; i++) {
		struct other *other = &links->others[i];
		if (other->id != 0 && !is_in(other->id, list, count))
			let_go(links, other);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct other *other = links_find(links, list[i].id);
		if (list[i].id == links->member)
			continue;
		if (other == NULL)
			add(links, &list[i]);
		else
			other->machine = roster_machine_at(list[i].address);
	}
}

/* ---- dialling ---- */

static void dial(struct links *links, struct other *other, uint8_t number)
{
	struct lane_place *lane = &other->lanes[number];
	int end = net_dial(links->machine, (uint32_t)other->machine);
	if (end < 0) {
		plan(links, lane, true);
		return;
	}
	struct link *link = links_new(links, end);
	if (link == NULL) {
		plan(links, lane, true);
		return;
	}
	link->dialled = true;
	link->member = other->id;
	link->lane = number;
	lane->dialling = number_of(links, link);
	links_greet(links, link, other->id, WIRE_OK);
}

void links_dial(struct links *links)
{
	for (uint32_t i = 0; i < LINKS_OTHERS_MAX * NODE_LANES; i++) {
		struct other *other = &links->others[i / NODE_LANES];
		struct lane_place *lane = &other->lanes[i % NODE_LANES];
		if (other->id != 0 && other->machine >= 0 && lane->open < 0 &&
		    lane->dialling < 0 && links->now_ns >= lane->dial_ns)
			dial(links, other, (uint8_t)(i % NODE_LANES));
	}
}
