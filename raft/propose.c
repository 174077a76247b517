/*
 * Proposals: the paper's §5.3 (a leader appends what clients ask) and §8 (a
 * new leader begins its term with an empty entry, by which what earlier
 * terms left becomes committed).
 *
 * A refusal is definite: the entry was not appended, here or elsewhere. The
 * uncommitted tail is bounded in bytes, as etcd's MaxUncommittedEntriesSize:
 * entries without payload and the first on an empty tail always pass.
 *
 * Invariant: a leader never overwrites or drops an entry of its own log; it
 * only appends (§5.3, Leader Append-Only).
 */
#include "raft/internal.h"

#include "raft/entry.h"

#include <assert.h>

/* Appends at the end, in this term, and acknowledges it once durable. */
static void append(struct raft *raft, const struct raft_entry *entry)
{
	struct raft_entry own = *entry;
	struct raft_message ack = {0};

	assert(raft->role == RAFT_LEADER);
	own.index = raft->log.last + 1;
	own.term = raft->term;
	raft_log_push(&raft->log, &own);
	raft->uncommitted_size += own.size;
	ack.type = RAFT_MSG_APPEND_REPLY;
	ack.to = raft->options.id;
	ack.first_index = own.index;
	ack.log_index = own.index;
	raft_send(raft, &ack);
}

void raft_append_own(struct raft *raft, uint32_t kind)
{
	struct raft_entry entry = {.kind = kind};

	append(raft, &entry);
}

void raft_reduce_uncommitted(struct raft *raft, uint64_t payload)
{
	if (raft->uncommitted_size > payload)
		raft->uncommitted_size -= payload;
	else
		raft->uncommitted_size = 0;
}

static bool tail_is_full(const struct raft *raft,
			 const struct raft_entry *entry)
{
	uint64_t max = raft->options.uncommitted_size_max;

	if (raft_log_room(&raft->log) <= RAFT_LOG_RESERVE)
		return true;
	return max != 0 && raft->uncommitted_size > 0 && entry->size > 0 &&
	       raft->uncommitted_size + entry->size > max;
}

/* Whether a change of membership may be appended now; else why not. */
static bool conf_may(struct raft *raft, bool leaves)
{
	bool joint = raft->conf.outgoing_count > 0;

	if (raft->options.skip_conf_validation)
		return true;
	if (raft->pending_conf > raft->log.applied)
		raft->refusal = "an earlier change is not applied yet";
	else if (joint && !leaves)
		raft->refusal = "the joint configuration must be left first";
	else if (!joint && leaves)
		raft->refusal = "there is no joint configuration to leave";
	else
		return true;
	return false;
}

int raft_propose_lead(struct raft *raft, const struct raft_entry *entry)
{
	struct raft_conf_changes changes;
	bool refused = false;

	assert(raft->role == RAFT_LEADER);
	if (!raft_find(raft, raft->options.id))
		return RAFT_EDROPPED_REMOVED;
	if (raft->transferee != 0)
		return RAFT_EDROPPED_TRANSFER;
	if (entry_is_conf(entry->kind)) {
		if (raft_conf_decode(entry->kind,
				     entry->data ? entry_payload(entry->data)
						 : NULL,
				     entry->size, &changes) != 0)
			return RAFT_EINVALID;
		refused = !conf_may(raft, changes.count == 0 &&
						  changes.transition == 0);
	}
	if (tail_is_full(raft, entry))
		return RAFT_EDROPPED_LOG_FULL;
	if (refused) {
		raft_append_own(raft, ENTRY_EMPTY);
	} else {
		if (entry_is_conf(entry->kind))
			raft->pending_conf = raft->log.last + 1;
		append(raft, entry);
	}
	raft_broadcast_append(raft);
	return refused ? RAFT_ECONF_REFUSED : 0;
}

void raft_leave_joint(struct raft *raft)
{
	const struct raft_entry leave = {.kind = ENTRY_CONF_V2};
	int err;

	if (!raft->conf.auto_leave || raft->role != RAFT_LEADER ||
	    raft->log.applied < raft->pending_conf)
		return;
	/* Refused during a transfer, or for want of room: asked again. */
	err = raft_propose_lead(raft, &leave);
	(void)err;
}

/* Passes it on to the leader, which will not say what became of it. */
static int forward(struct raft *raft, const struct raft_entry *entry)
{
	struct raft_entry copy = *entry;
	struct raft_message message = {0};

	if (raft->leader == 0)
		return RAFT_EDROPPED_NO_LEADER;
	if (!raft->options.forwarding)
		return RAFT_EDROPPED_NO_FORWARD;
	if (raft->outbox_count == raft->options.messages_max)
		return RAFT_EFULL;
	copy.index = 0;
	copy.term = 0;
	message.type = RAFT_MSG_PROPOSE;
	message.to = raft->leader;
	message.entry_count = 1;
	message.entries = &copy;
	raft_send(raft, &message);
	return 0;
}

int raft_propose(struct raft *raft, const struct raft_entry *entry,
		 uint64_t *ret_index, uint64_t *ret_term)
{
	int err;

	assert(raft && entry && ret_index && ret_term);
	raft_touch(raft);
	if (entry->size > ENTRY_PAYLOAD_MAX)
		return RAFT_EINVALID;
	if (raft->role == RAFT_LEADER) {
		err = raft_propose_lead(raft, entry);
		if (err != 0)
			return err;
		*ret_index = raft->log.last;
		*ret_term = raft->term;
		return 0;
	}
	err = forward(raft, entry);
	if (err != 0)
		return err;
	*ret_index = 0;
	*ret_term = 0;
	return 0;
}

const char *raft_refusal(const struct raft *raft)
{
	assert(raft);
	return raft->refusal ? raft->refusal : "";
}
