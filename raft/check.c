/*
 * What a peer sends is judged here, before it has any effect: the shape of a
 * message by itself, then what it claims against what is known here.
 *
 * The rules follow from what correct members do: terms never fall along a
 * log (the paper's §5.3), a term has one leader (§5.2), a leader's log only
 * grows (§5.3), and an answer names nothing that was not sent. What is late,
 * doubled or lost is none of this: it is no one's fault, and ignored where it
 * arrives.
 *
 * Invariant: what passes raises no assertion and overflows no counter; what
 * does not pass changes nothing, not even the term.
 */
#include "raft/internal.h"

#include "raft/entry.h"

static bool is_local(uint8_t type)
{
	return type == RAFT_MSG_PROPOSE || type == RAFT_MSG_READ_INDEX;
}

/* Only the start of a log has no term. */
static bool names_entry(uint64_t index, uint64_t term)
{
	return index <= RAFT_COUNT_MAX && (index == 0) == (term == 0);
}

/* Entries that follow each other, of rising terms, no newer than the sender. */
static bool append_fits(const struct raft_message *append)
{
	uint64_t term = append->log_term;

	if (append->entry_count > 0 &&
	    append->first_index != append->log_index + 1)
		return false;
	for (uint32_t i = 0; i < append->entry_count; i++) {
		const struct raft_entry *entry = &append->entries[i];

		if (entry->index != append->first_index + i ||
		    entry->term == 0 || entry->term < term ||
		    entry->term > append->term ||
		    entry->size > ENTRY_PAYLOAD_MAX)
			return false;
		term = entry->term;
	}
	return append->log_term <= append->term &&
	       names_entry(append->log_index, append->log_term);
}

bool raft_snapshot_fits(const struct raft_snapshot *snapshot)
{
	return names_entry(snapshot->index, snapshot->term) &&
	       raft_conf_is_valid(&snapshot->conf);
}

/* An image that a leader sends holds something, and says who votes. */
static bool image_fits(const struct raft_message *message)
{
	const struct raft_snapshot *snapshot = message->snapshot;

	return snapshot && raft_snapshot_fits(snapshot) &&
	       snapshot->index != 0 && snapshot->term <= message->term &&
	       snapshot->conf.voter_count > 0;
}

static bool term_fits(const struct raft_message *message)
{
	/* What is passed on is of no term. */
	if (is_local(message->type))
		return message->term == 0;
	/* A member that has no term yet may refuse to be asked about one. */
	if (message->term == 0)
		return message->type == RAFT_MSG_PRE_VOTE_REPLY;
	return message->term <= RAFT_COUNT_MAX;
}

bool raft_is_malformed(const struct raft *raft,
		       const struct raft_message *message)
{
	if (message->from == 0 || message->from == raft->options.id ||
	    message->to != raft->options.id)
		return true;
	if (!term_fits(message) ||
	    (message->entry_count > 0 && !message->entries))
		return true;
	switch (message->type) {
	case RAFT_MSG_PROPOSE:
		return message->entry_count != 1;
	case RAFT_MSG_APPEND:
		return !append_fits(message);
	case RAFT_MSG_SNAPSHOT:
		return !image_fits(message);
	case RAFT_MSG_VOTE:
	case RAFT_MSG_PRE_VOTE:
		return message->log_term > message->term;
	case RAFT_MSG_APPEND_REPLY:
		/* It agrees no further than where it was asked. */
		return message->reject &&
		       message->reject_hint > message->log_index;
	default:
		return message->type < RAFT_MSG_PROPOSE ||
		       message->type > RAFT_MSG_READ_INDEX_REPLY;
	}
}

static bool leaders_say(uint8_t type)
{
	return type == RAFT_MSG_APPEND || type == RAFT_MSG_HEARTBEAT ||
	       type == RAFT_MSG_SNAPSHOT || type == RAFT_MSG_TIMEOUT_NOW ||
	       type == RAFT_MSG_READ_INDEX_REPLY;
}

/* Of this term: what no one can say to who knows its leader, or leads. */
static bool contradicts_term(const struct raft *raft,
			     const struct raft_message *message)
{
	if (leaders_say(message->type) && raft->leader != 0 &&
	    message->from != raft->leader)
		return true;
	if (raft->role != RAFT_LEADER)
		return false;
	if (message->type == RAFT_MSG_APPEND_REPLY)
		return message->log_index > raft->log.last;
	return message->type == RAFT_MSG_HEARTBEAT_REPLY &&
	       message->round > raft->round;
}

bool raft_contradicts(const struct raft *raft,
		      const struct raft_message *message)
{
	if (message->term < raft->term)
		return false;
	/* It was told that this member has more: something was lost here. */
	if (!raft->lost && message->type == RAFT_MSG_HEARTBEAT &&
	    message->commit > raft->log.last)
		return true;
	return message->term == raft->term && contradicts_term(raft, message);
}
