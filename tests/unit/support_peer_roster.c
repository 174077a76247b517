/*
 * The miniature daemon's members: a list that is changed as the real one
 * changes it, and a leader who is whoever was named last.
 */
#include "tests/unit/support_peer_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void peer_roster_init(struct peer_roster *roster)
{
	memset(roster, 0, sizeof(*roster));
	roster->count = 1;
	roster->leader = 1;
	roster->members[0].id = 1;
	roster->members[0].flags = CV_MEMBER_VOTER | CV_MEMBER_SELF;
	memcpy(roster->members[0].address, "one:1", 6);
}

static struct peer_member *find(struct peer_roster *roster, uint64_t id)
{
	for (uint32_t i = 0; i < roster->count; i++) {
		if (roster->members[i].id == id)
			return &roster->members[i];
	}
	return NULL;
}

static bool is_voter(const struct peer_member *member)
{
	return member != NULL && (member->flags & CV_MEMBER_VOTER) != 0;
}

static bool is_learner(const struct peer_member *member)
{
	return member != NULL && (member->flags & CV_MEMBER_LEARNER) != 0;
}

static void promote(struct peer_member *member)
{
	member->flags &= ~(uint32_t)CV_MEMBER_LEARNER;
	member->flags |= CV_MEMBER_VOTER;
}

static bool set_address(struct peer_member *member, const struct peer_op *op)
{
	if (member == NULL || op->head.key_size == 0 ||
	    op->head.key_size >= sizeof(member->address))
		return false;
	memset(member->address, 0, sizeof(member->address));
	memcpy(member->address, op->key, op->head.key_size);
	return true;
}

static bool add(struct peer_roster *roster, const struct peer_op *op)
{
	struct peer_member *member = &roster->members[roster->count];

	if (find(roster, op->head.argument) != NULL ||
	    roster->count == PEER_MEMBERS)
		return false;
	memset(member, 0, sizeof(*member));
	member->id = op->head.argument;
	member->flags = CV_MEMBER_LEARNER | CV_MEMBER_LINKED;
	if (!set_address(member, op))
		return false;
	roster->count++;
	return true;
}

static bool drop(struct peer_roster *roster, struct peer_member *member)
{
	if (member == NULL || roster->count == 1)
		return false;
	*member = roster->members[--roster->count];
	return true;
}

static bool change(struct peer_roster *roster, const struct peer_op *op)
{
	struct peer_member *member = find(roster, op->head.argument), *other;
	uint64_t by = 0;

	switch (op->head.limit) {
	case CV_MEMBER_ADD:
		return add(roster, op);
	case CV_MEMBER_PROMOTE:
		if (!is_learner(member))
			return false;
		promote(member);
		return true;
	case CV_MEMBER_REMOVE:
		return drop(roster, member);
	case CV_MEMBER_UPDATE:
		return set_address(member, op);
	default:
		if (op->head.value_size == sizeof(by))
			memcpy(&by, op->value, sizeof(by));
		other = find(roster, by);
		if (!is_voter(member) || !is_learner(other))
			return false;
		promote(other);
		return drop(roster, member);
	}
}

void peer_roster_change(struct peer_store *store, struct peer_op *op)
{
	if (!change(&store->roster, op))
		op->result.status = CONCLAVE_EMEMBERSHIP;
}

void peer_roster_move(struct peer_store *store, struct peer_op *op)
{
	if (!is_voter(find(&store->roster, op->head.argument)))
		op->result.status = CONCLAVE_ENOTFOUND;
	else if ((op->head.argument & 1) != 0) /* an even one never follows */
		store->roster.leader = op->head.argument;
}

void peer_roster_list(struct peer_store *store, struct peer_op *op)
{
	const struct peer_roster *roster = &store->roster;
	uint32_t i, size, whole;

	op->reply = calloc(1, sizeof(struct cv_member) * PEER_MEMBERS +
				      sizeof(roster->members));
	assert(op->reply != NULL);
	for (i = 0; i < roster->count; i++) {
		const struct peer_member *m = &roster->members[i];
		struct cv_member head = {.id = m->id, .flags = m->flags};

		size = (uint32_t)strlen(m->address);
		whole = (uint32_t)sizeof(head) + ((size + 7u) & ~7u);
		head.address_size = size;
		if (m->id == roster->leader)
			head.flags |= CV_MEMBER_LEADER;
		if (roster->leader == 1)
			head.match = 100 + m->id;
		memcpy(op->reply + op->reply_used, &head, sizeof(head));
		memcpy(op->reply + op->reply_used + sizeof(head), m->address,
		       size);
		op->reply_used += whole;
	}
	op->result.aux = roster->count;
	if (op->reply_used > op->head.reply_size)
		op->result.status = CONCLAVE_ETOOSMALL;
}

void peer_roster_state(struct peer_store *store, struct peer_op *op)
{
	struct cv_state state = {
		.applied = store->version_count,
		.revision = store->revision,
		.hash = {0x123456789abcdef0, 0x0fedcba987654321},
	};

	op->reply = malloc(sizeof(state));
	assert(op->reply != NULL);
	memcpy(op->reply, &state, sizeof(state));
	op->reply_used = sizeof(state);
	if (op->head.reply_size < sizeof(state))
		op->result.status = CONCLAVE_ETOOSMALL;
}

void peer_roster_image(struct peer_store *store, struct peer_op *op)
{
	static const char place[] = "/nowhere/at-allmini";
	struct cv_image image = {
		.index = op->head.argument,
		.term = 5,
		.applied = store->version_count,
		.folder_size = 15,
		.name_size = 4,
	};
	uint32_t size = sizeof(image) + 19;

	op->reply = malloc(size);
	assert(op->reply != NULL);
	memcpy(op->reply, &image, sizeof(image));
	memcpy(op->reply + sizeof(image), place, 19);
	op->reply_used = size;
	if (op->head.reply_size < size)
		op->result.status = CONCLAVE_ETOOSMALL;
}
