/*
 * Whom to dial where, and when again.
 */
#include "daemon/peers.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Numbers that depend on the seed alone (splitmix64). */
static uint64_t draw(struct peers *peers)
{
	uint64_t value = peers->random += 0x9e3779b97f4a7c15;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

/* Between half of the pause and all of it, so that not all come at once. */
void peers_plan(struct peers *peers, struct peers_lane *lane, bool failed)
{
	uint64_t pause_ns = PEERS_PAUSE_NS;

	lane->failures = failed ? lane->failures + 1 : 0;
	for (uint32_t i = 1;
	     i < lane->failures && pause_ns < PEERS_PAUSE_MAX_NS; i++)
		pause_ns *= 2;
	if (pause_ns > PEERS_PAUSE_MAX_NS)
		pause_ns = PEERS_PAUSE_MAX_NS;
	lane->dial_ns =
		peers->now_ns + pause_ns / 2 + draw(peers) % (pause_ns / 2);
}

/* ---- members ---- */

static void drop_number(struct peers *peers, int number)
{
	if (number >= 0)
		peers_drop(peers, &peers->links[number]);
}

static void let_go(struct peers *peers, struct peers_member *member)
{
	log_begin(peers->log, LOG_INFO, "peer is no member any more");
	log_number(peers->log, "peer", member->id);
	log_end(peers->log);
	for (uint32_t i = 0; i < NODE_LANES; i++) {
		struct peers_lane *lane = &member->lanes[i];
		drop_number(peers, lane->waiting);
		drop_number(peers, lane->dialling);
		drop_number(peers, lane->open);
		assert(lane->open < 0 && lane->waiting < 0);
	}
	member->id = 0;
}

/* The address is another: what is dialled at the old one is in vain. */
static void take_address(struct peers *peers, struct peers_member *member,
			 const char *address)
{
	struct address_parts parts;

	memcpy(member->address, address, sizeof(member->address));
	member->address[sizeof(member->address) - 1] = '\0';
	member->found = 0;
	member->next = 0;
	member->tag = 0;
	member->looked_ns = 0;
	member->is_name = false;
	member->said = NULL;
	for (uint32_t i = 0; i < NODE_LANES; i++) {
		drop_number(peers, member->lanes[i].dialling);
		member->lanes[i].failures = 0;
		member->lanes[i].dial_ns = peers->now_ns;
	}
	if (address[0] == '\0')
		return; /* it may dial us */
	if (address_split(member->address, &parts) < 0) {
		peers_complain(peers, member,
			       "its address is not host:port: correct it with "
			       "conclavectl member update",
			       0);
		return;
	}
	member->is_name = address_numeric(&parts, &member->addresses[0]) < 0;
	member->found = member->is_name ? 0 : 1;
}

static void add(struct peers *peers, const struct node_member *from)
{
	struct peers_member *member = peers->members;

	while (member->id != 0) {
		member++;
		assert(member < peers->members + PEERS_OTHERS_MAX);
	}
	if (peers->others <= (uint32_t)(member - peers->members))
		peers->others = (uint32_t)(member - peers->members) + 1;
	memset(member, 0, sizeof(*member));
	member->id = from->id;
	for (uint32_t i = 0; i < NODE_LANES; i++)
		member->lanes[i] = (struct peers_lane){
			.open = -1, .dialling = -1, .waiting = -1};
	take_address(peers, member, from->address);
}

static bool is_in(uint64_t id, const struct node_member *list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (list[i].id == id)
			return true;
	}
	return false;
}

void peers_follow(struct peers *peers)
{
	const struct node_member *list = peers->list;
	uint32_t count = node_members(peers->node, peers->list);

	assert(count <= NODE_MEMBERS_MAX);
	peers->change = node_members_change(peers->node);
	for (uint32_t i = 0; i < peers->others; i++) {
		struct peers_member *member = &peers->members[i];
		if (member->id != 0 && !is_in(member->id, list, count))
			let_go(peers, member);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct peers_member *member = peers_find(peers, list[i].id);
		if (list[i].id == peers->member)
			continue;
		if (!member)
			add(peers, &list[i]);
		else if (strcmp(member->address, list[i].address) != 0)
			take_address(peers, member, list[i].address);
	}
}

/* ---- names ---- */

/* The lanes of a member wait for its addresses. */
static void wait_for_addresses(struct peers_member *member)
{
	for (uint32_t i = 0; i < NODE_LANES; i++)
		member->lanes[i].dial_ns = UINT64_MAX;
}

static void look_up(struct peers *peers, struct peers_member *member)
{
	struct address_parts parts;
	uint64_t again_ns = member->looked_ns + PEERS_NAME_NS;

	if (member->tag != 0 || !member->is_name) {
		wait_for_addresses(member);
		return;
	}
	if (member->looked_ns != 0 && peers->now_ns < again_ns) {
		for (uint32_t i = 0; i < NODE_LANES; i++)
			member->lanes[i].dial_ns = again_ns;
		return;
	}
	if (address_split(member->address, &parts) < 0 ||
	    helper_look_up(peers->helper, peers->tag + 1, &parts) < 0) {
		for (uint32_t i = 0; i < NODE_LANES; i++)
			peers_plan(peers, &member->lanes[i], true);
		return;
	}
	member->tag = ++peers->tag;
	member->looked_ns = peers->now_ns;
	wait_for_addresses(member);
}

static struct peers_member *of_tag(struct peers *peers, uint64_t tag)
{
	for (uint32_t i = 0; i < peers->others; i++) {
		if (peers->members[i].id != 0 && peers->members[i].tag == tag)
			return &peers->members[i];
	}
	return NULL;
}

void peers_found(struct peers *peers, const struct helper_answer *answer)
{
	struct peers_member *member = of_tag(peers, answer->tag);

	assert(answer->count <= ADDRESS_FOUND_MAX && answer->tag != 0);
	if (!member)
		return; /* it left, or has another address by now */
	member->tag = 0;
	member->found = answer->count;
	member->next = 0;
	memcpy(member->addresses, answer->found, sizeof(member->addresses));
	for (uint32_t i = 0; i < NODE_LANES; i++) {
		if (answer->count > 0)
			member->lanes[i].dial_ns = peers->now_ns;
		else
			peers_plan(peers, &member->lanes[i], true);
	}
	if (answer->count == 0)
		peers_complain(peers, member,
			       "the name of its host is not found: correct it, "
			       "or what looks up names here",
			       0);
	peers->next_ns = peers->now_ns;
}

/* ---- dialling ---- */

/* A socket that connects; 0, -EINPROGRESS, or what is wrong. */
static int connect_to(const struct address *address, int *ret_fd)
{
	int fd = socket(address->where.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	int result = link_prepare(fd);
	if (result == 0 && connect(fd, (const struct sockaddr *)&address->where,
				   address->size) < 0)
		result = -errno;
	if (result == 0 || result == -EINPROGRESS)
		*ret_fd = fd;
	else
		(void)close(fd); /* nobody was reached */
	return result;
}

/* The next of its addresses; when all were tried, a name is looked up anew. */
static struct address *next_address(struct peers *peers,
				    struct peers_member *member)
{
	if (member->is_name && member->found > 0 &&
	    member->next >= member->found &&
	    peers->now_ns >= member->looked_ns + PEERS_NAME_NS)
		member->found = 0;
	if (member->found == 0) {
		look_up(peers, member);
		return NULL;
	}
	return &member->addresses[member->next++ % member->found];
}

static bool is_allowed(const struct peers *peers, const struct address *address)
{
	return peers->tls || peers->plaintext || address_is_loopback(address);
}

static void dial(struct peers *peers, struct peers_member *member,
		 uint8_t lane_number)
{
	struct peers_lane *lane = &member->lanes[lane_number];
	struct address *address = next_address(peers, member);
	int fd = -1;

	if (!address)
		return;
	if (!is_allowed(peers, address)) {
		peers_complain(peers, member,
			       "plain TCP would leave this host: give "
			       "--peer-cert, --peer-key and --peer-ca, or say "
			       "--peer-plaintext",
			       0);
		lane->dial_ns = peers->now_ns + PEERS_PAUSE_MAX_NS;
		return;
	}
	int result = connect_to(address, &fd);
	if (result < 0 && result != -EINPROGRESS) {
		peers_complain(peers, member, "it cannot be reached", result);
		peers_plan(peers, lane, true);
		return;
	}
	struct link *link = peers_new_link(peers, fd, result < 0);
	if (!link) {
		peers_plan(peers, lane, true);
		return;
	}
	link->dialled = true;
	link->member = member->id;
	link_set_lane(link, (enum node_lane)lane_number);
	address_text(address, link->where);
	lane->dialling = peers_number(peers, link);
	if (result == 0)
		peers_connected(peers, link);
}

void peers_dial(struct peers *peers)
{
	for (uint32_t i = 0; i < peers->others * NODE_LANES; i++) {
		struct peers_member *member = &peers->members[i / NODE_LANES];
		uint8_t number = i % NODE_LANES;
		struct peers_lane *lane = &member->lanes[number];
		if (member->id != 0 && lane->open < 0 && lane->dialling < 0 &&
		    peers->now_ns >= lane->dial_ns)
			dial(peers, member, number);
	}
}
