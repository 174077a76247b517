/*
 * Greetings: who may be connected on which lane.
 */
#include "daemon/peers.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

void peers_begin_greeting(struct peers *peers, struct link *link)
{
	link->state = LINK_GREETING;
	if (!link->dialled)
		return;
	struct wire_greeting greeting =
		peers_greeting(peers, link->member, link->lane);
	link_greet(link, &greeting);
}

/* Releases: as wire_greeting_compare(). */
static int compare(const struct peers *peers,
		   const struct wire_greeting *greeting)
{
	return wire_greeting_compare(greeting, node_version(peers->node),
				     node_cluster_version(peers->node));
}

/* ---- arrivals ---- */

/* The oldest that has said nothing makes room. */
static void make_room(struct peers *peers)
{
	struct link *oldest = NULL;

	for (uint32_t i = 0; i < peers->used; i++) {
		struct link *link = &peers->links[i];
		if (link->state == LINK_FREE || link->state == LINK_OPEN ||
		    link->dialled)
			continue;
		if (!oldest || link->since_ns < oldest->since_ns)
			oldest = link;
	}
	assert(oldest);
	if (peers_may_say(peers)) {
		peers_begin_line(peers, oldest, LOG_WARN,
				 "too many connections that do not greet");
		log_end(peers->log);
	}
	peers_drop(peers, oldest);
}

static void name_remote(struct link *link)
{
	struct address address = {.size = sizeof(address.where)};

	if (getpeername(link->fd, (struct sockaddr *)&address.where,
			&address.size) == 0)
		address_text(&address, link->where);
}

void peers_arrive(struct peers *peers, int fd)
{
	if (peers->arrived == PEERS_ARRIVED_MAX)
		make_room(peers);
	if (link_prepare(fd) < 0) {
		(void)close(fd); /* it has ended already */
		return;
	}
	struct link *link = peers_new_link(peers, fd, false);
	if (!link)
		return;
	peers->arrived++;
	if (peers->next_ns > link->deadline_ns)
		peers->next_ns = link->deadline_ns;
	name_remote(link);
	peers_connected(peers, link);
}

/* ---- answers that come ---- */

/* What keeps us from going on, by the answer to our greeting. */
static int judge_answer(const struct peers *peers, const struct link *link,
			const struct wire_greeting *answer)
{
	if (answer->status != WIRE_OK)
		return answer->status;
	int status = wire_greeting_judge(answer, peers->cluster, peers->member);
	if (status != WIRE_OK)
		return status;
	if (answer->from != link->member)
		return WIRE_EMEMBER;
	int order = compare(peers, answer);
	if (order != 0)
		return order < 0 ? WIRE_EBEHIND : WIRE_EOUTDATED;
	return answer->lane == link->lane ? WIRE_OK : WIRE_ELANE;
}

/*
 * It was away when it was removed, and will not learn of it from the log. It
 * believes the very member that it dialled.
 */
static bool is_removed(const struct peers *peers, const struct link *link,
		       const struct wire_greeting *answer)
{
	return answer->status == WIRE_EREMOVED &&
	       answer->from == link->member &&
	       wire_greeting_judge(answer, peers->cluster, peers->member) ==
		       WIRE_OK;
}

static void hear_answer(struct peers *peers, struct link *link,
			const struct wire_greeting *answer)
{
	struct peers_member *member = peers_find(peers, link->member);
	int status = judge_answer(peers, link, answer);

	assert(member);
	if (status != WIRE_OK) {
		peers_complain(peers, member, wire_refusal_text(status), 0);
		if (is_removed(peers, link, answer))
			node_believe_removed(peers->node);
		peers_drop(peers, link);
		return;
	}
	link->incarnation = answer->incarnation;
	link->version = answer->version;
	link->entry_max = answer->entry_max;
	peers_open(peers, link);
}

/* ---- answers that go ---- */

static void answer(struct peers *peers, struct link *link, uint64_t to,
		   int32_t status)
{
	struct wire_greeting greeting = peers_greeting(peers, to, link->lane);

	greeting.status = status;
	link_greet(link, &greeting);
	link->verdict = status;
	link->state = LINK_ANSWERING;
}

/* Whether this was not said about it a moment ago. */
static bool is_fresh(struct peers *peers, uint64_t claimed, int32_t status)
{
	struct peers_refusal *refusal = peers->refusals;

	for (uint32_t i = 0; i < PEERS_REFUSALS; i++, refusal++) {
		if (refusal->claimed == claimed && refusal->status == status &&
		    peers->now_ns < refusal->until_ns)
			return false;
	}
	peers->refusals[peers->refused++ % PEERS_REFUSALS] =
		(struct peers_refusal){claimed, status,
				       peers->now_ns + PEERS_AGAIN_NS};
	return peers_may_say(peers);
}

static void refuse(struct peers *peers, struct link *link, uint64_t claimed,
		   int32_t status)
{
	if (is_fresh(peers, claimed, status)) {
		log_begin(peers->log, LOG_WARN, "peer refused");
		log_number(peers->log, "claims", claimed);
		log_text(peers->log, "address", link->where);
		log_signed(peers->log, "status", status);
		log_text(peers->log, "told", wire_refusal_text(status));
		log_end(peers->log);
	}
	answer(peers, link, claimed, status);
	link->deadline_ns = peers->now_ns + PEERS_REFUSE_NS;
}

void peers_admit(struct peers *peers, struct link *link)
{
	struct peers_member *member = peers_find(peers, link->member);

	assert(member);
	struct peers_lane *lane = &member->lanes[link->lane];
	assert(lane->open < 0);
	lane->waiting = -1;
	lane->open = peers_number(peers, link);
	if (lane->dialling >= 0)
		peers_drop(peers, &peers->links[lane->dialling]);
	answer(peers, link, link->member, WIRE_OK);
}

/*
 * Both dial: the greeting of the smaller id is answered, so the member that
 * has it waits for the answer, once it has greeted.
 */
static bool own_goes_first(const struct peers *peers, const struct link *link,
			   const struct peers_lane *lane)
{
	return lane->dialling >= 0 && peers->member < link->member &&
	       peers->links[lane->dialling].state == LINK_GREETING;
}

/* It may come in, now or later. */
static void place(struct peers *peers, struct link *link,
		  struct peers_lane *lane)
{
	if (lane->open < 0 && !own_goes_first(peers, link, lane)) {
		peers_admit(peers, link);
		return;
	}
	if (lane->waiting >= 0) {
		uint64_t claimed = link->member;
		link->member = 0; /* the lane is another's */
		refuse(peers, link, claimed, WIRE_ETWICE);
		return;
	}
	lane->waiting = peers_number(peers, link);
	link->state = LINK_WAITING;
	link->deadline_ns = peers->now_ns + PEERS_WAIT_NS;
	if (peers->next_ns > link->deadline_ns)
		peers->next_ns = link->deadline_ns;
}

/* A member without a configuration takes whom the node takes. */
static struct peers_member *find_member(struct peers *peers, uint64_t id,
					uint8_t lane)
{
	struct peers_member *member = peers_find(peers, id);

	if (member)
		return member;
	if (node_link_up(peers->node, id, (enum node_lane)lane) < 0)
		return NULL;
	peers_follow(peers);
	member = peers_find(peers, id);
	/* It is up when our answer is out. */
	node_link_down(peers->node, id, (enum node_lane)lane);
	return member;
}

static void hear_first(struct peers *peers, struct link *link,
		       const struct wire_greeting *greeting)
{
	int status =
		wire_greeting_judge(greeting, peers->cluster, peers->member);
	struct peers_member *member = NULL;

	if (status == WIRE_OK) {
		member = find_member(peers, greeting->from, greeting->lane);
		if (!member)
			status = node_was_removed(peers->node, greeting->from)
					 ? WIRE_EREMOVED
					 : WIRE_ESTRANGER;
	}
	if (member && !peers_is_named(peers, link, member))
		status = WIRE_ENAME;
	int order = compare(peers, greeting);
	if (status == WIRE_OK && order != 0)
		status = order < 0 ? WIRE_EOUTDATED : WIRE_EBEHIND;
	if (status != WIRE_OK) {
		refuse(peers, link, greeting->from, status);
		return;
	}
	link->member = greeting->from;
	link->incarnation = greeting->incarnation;
	link->version = greeting->version;
	link->entry_max = greeting->entry_max;
	link_set_lane(link, (enum node_lane)greeting->lane);
	place(peers, link, &member->lanes[link->lane]);
}

/* ---- both ---- */

static void complain_nonsense(struct peers *peers, struct link *link)
{
	struct peers_member *member = peers_find(peers, link->member);

	if (member) {
		peers_complain(
			peers, member,
			"what answers there is no member: correct its "
			"address, or start both with the same --peer-cert "
			"or without",
			0);
	} else if (peers_may_say(peers)) {
		peers_begin_line(peers, link, LOG_WARN,
				 "a connection that does not greet");
		log_end(peers->log);
	}
}

void peers_hear_greeting(struct peers *peers, struct link *link)
{
	struct wire_greeting greeting;
	int result = link_hear_greeting(link, peers->engine, &greeting);

	if (result == 0)
		return;
	if (result < 0 || (!link->dialled && greeting.status != WIRE_OK)) {
		complain_nonsense(peers, link);
		peers_drop(peers, link);
	} else if (link->dialled) {
		hear_answer(peers, link, &greeting);
	} else {
		hear_first(peers, link, &greeting);
	}
}

void peers_answered(struct peers *peers, struct link *link)
{
	if (link->verdict == WIRE_OK)
		peers_open(peers, link);
	else
		peers_drop(peers, link);
}

static void refuse_second(struct peers *peers, struct link *link)
{
	struct peers_member *member = peers_find(peers, link->member);
	uint64_t claimed = link->member;

	assert(member);
	member->lanes[link->lane].waiting = -1;
	link->member = 0;
	refuse(peers, link, claimed, WIRE_ETWICE);
}

void peers_too_late(struct peers *peers, struct link *link)
{
	struct peers_member *member = peers_find(peers, link->member);

	if (link->state == LINK_WAITING) {
		refuse_second(peers, link);
		return;
	}
	if (link->dialled && member) {
		peers_complain(peers, member,
			       link->state == LINK_CONNECTING
				       ? "it cannot be reached in time"
				       : "it does not answer in time",
			       0);
	} else if (link->state == LINK_GREETING && peers_may_say(peers)) {
		peers_begin_line(peers, link, LOG_WARN,
				 "a connection that does not greet in time");
		log_end(peers->log);
	}
	peers_drop(peers, link);
}
