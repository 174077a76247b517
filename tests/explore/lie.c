/*
 * The lies, where they are told.
 */
#include "tests/explore/lie.h"

#include "raft/entry.h"

#include <assert.h>

static const char *const names[LIE_COUNT] = {
	[LIE_NONE] = "none",
	[LIE_VOTE_FORGOTTEN] = "a crash takes the vote from the disk",
	[LIE_TERM_FORGOTTEN] = "a crash takes the term from the disk",
	[LIE_WRITE_FORGOTTEN] = "a crash takes entries that were durable",
	[LIE_DURABLE_EARLY] = "told to be durable before it is",
	[LIE_ENTRY_ALTERED] = "an entry changes on its way",
	[LIE_VOTE_TURNED] = "a refused vote arrives as granted",
	[LIE_ACK_RAISED] = "more arrives acknowledged than was",
	[LIE_COMMIT_RAISED] = "a heartbeat tells of a later commit",
	[LIE_ROUND_RAISED] = "an old heartbeat's answer counts as new",
	[LIE_IMAGE_ALTERED] = "an image has another configuration",
	[LIE_APPLY_SKIPPED] = "a change of membership is not applied",
	[LIE_NOT_QUIET] = "a restarted member votes at once",
	[LIE_CLOCK_SLOW] =
		"the clock of a leader runs at half the speed of others",
	[LIE_NEVER_HEALED] = "most of the voters never come back",
};

const char *lie_name(enum lie lie)
{
	assert(lie < LIE_COUNT);
	return names[lie];
}

void lie_about_shape(struct world *world)
{
	struct raft_options *options = &world->shape.options;

	if (world->lie != LIE_NOT_QUIET && world->lie != LIE_CLOCK_SLOW)
		return;
	/* These two break leases and nothing else. */
	options->lease = true;
	options->check_quorum = true;
	options->quiet_ticks = options->election_ticks;
	if (world->lie == LIE_NOT_QUIET)
		options->quiet_ticks = 0;
}

void lie_about_crash(struct world *world, struct member *member)
{
	if (world->lie == LIE_VOTE_FORGOTTEN) {
		member->hard.vote = 0;
	} else if (world->lie == LIE_TERM_FORGOTTEN) {
		if (member->hard.term > 0 &&
		    member_disk_term(member, member->last) < member->hard.term)
			member->hard.term--;
		member->hard.vote = 0;
	} else if (world->lie == LIE_WRITE_FORGOTTEN) {
		if (member->last > member->saved.index)
			member->last--;
		if (member->hard.commit > member->last)
			member->hard.commit = member->last;
		if (member->applied_ever > member->last)
			member->applied_ever = member->last;
	}
}

bool lie_about_write(struct world *world, struct member *member)
{
	const struct write *write = &member->writes[0];
	const struct raft_entry *last;

	if (world->lie != LIE_DURABLE_EARLY || write->count == 0 ||
	    !world_chance(world, 10))
		return false;
	last = &write->entries[write->count - 1];
	raft_persisted(member->raft, write->number, last->index, last->term);
	check_member(world, member);
	return true;
}

static void raise(struct world *world, struct raft_message *message,
		  const struct member *to)
{
	const struct raft *raft = to->raft;

	switch (message->type) {
	case RAFT_MSG_APPEND_REPLY:
		if (world->lie == LIE_ACK_RAISED && !message->reject &&
		    message->log_index != 0 && raft->term == message->term &&
		    raft->role == RAFT_LEADER)
			message->log_index = raft->log.last;
		break;
	case RAFT_MSG_HEARTBEAT:
		if (world->lie == LIE_COMMIT_RAISED &&
		    message->commit <= raft->log.last)
			message->commit = raft->log.last;
		break;
	case RAFT_MSG_HEARTBEAT_REPLY:
		if (world->lie == LIE_ROUND_RAISED &&
		    raft->term == message->term)
			message->round = raft->round;
		break;
	case RAFT_MSG_VOTE_REPLY:
		if (world->lie == LIE_VOTE_TURNED &&
		    raft->term == message->term)
			message->reject = false;
		break;
	default:
		break;
	}
}

void lie_about_message(struct world *world, const struct member *to,
		       struct parcel *parcel)
{
	static const char other[ENTRY_HEADER_SIZE];

	if (world->lie == LIE_NONE)
		return;
	raise(world, &parcel->message, to);
	if (world->lie == LIE_ENTRY_ALTERED && parcel->entries &&
	    parcel->entries[0].kind == ENTRY_NORMAL && world_chance(world, 1))
		parcel->entries[0].data = other;
	if (world->lie == LIE_IMAGE_ALTERED && parcel->snapshot &&
	    parcel->snapshot->conf.voter_count > 1 &&
	    parcel->snapshot->conf.outgoing_count == 0)
		parcel->snapshot->conf.voter_count--;
}

bool lie_about_apply(struct world *world)
{
	return world->lie == LIE_APPLY_SKIPPED && world_chance(world, 10);
}

uint64_t lie_about_pace(const struct world *world, const struct member *member,
			uint64_t pace)
{
	if (world->lie == LIE_CLOCK_SLOW && member->running &&
	    member->raft->role == RAFT_LEADER)
		return 2 * pace;
	return pace;
}

bool lie_about_healing(const struct world *world, const struct member *member)
{
	return world->lie == LIE_NEVER_HEALED && member != &world->members[0];
}
