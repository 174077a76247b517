/*
 * Images instead of entries: the paper's §7, the dissertation's chapter 5.
 *
 * The core moves no bytes of an image. A leader names the one that the shell
 * offered and waits; a follower takes over its index, term and configuration
 * at once, hands it out to be installed, and acknowledges when it is durable.
 *
 * An image may be older than the change that made this member one: it takes
 * it all the same, does not vote meanwhile, and finds itself in the entries
 * that follow. (etcd refuses such an image; there it cannot occur, because it
 * makes images at the applied index.)
 *
 * Invariant: an image never takes back what is committed here, and never
 * replaces a log that already agrees with it.
 */
#include "raft/internal.h"

#include <assert.h>

bool raft_send_snapshot(struct raft *raft, struct raft_progress *progress)
{
	struct raft_message message = {0};

	/* A large image for a member that is down would be for nothing. */
	if (!progress->recent_active)
		return false;
	if (raft->offer.index <= progress->match ||
	    raft->offer.index + 1 < raft->log.first)
		return false;
	/* One that was never handed out would never be reported, either. */
	if (raft->outbox_count == raft->options.messages_max)
		return false;
	progress->snapshot = raft->offer;
	raft_progress_snapshot(progress, raft->offer.index);
	message.type = RAFT_MSG_SNAPSHOT;
	message.to = progress->id;
	message.snapshot = &progress->snapshot;
	raft_send(raft, &message);
	return true;
}

static void restore(struct raft *raft, const struct raft_snapshot *snapshot)
{
	const struct raft_conf_fresh none = {0};
	struct raft_log *log = &raft->log;

	raft_outbox_purge(raft, 0, UINT64_MAX);
	raft_log_start(log, snapshot->index, snapshot->term);
	log->apply_size = 0;
	log->incoming = *snapshot;
	log->incoming_set = true;
	log->incoming_handed = false;
	raft->evicted = snapshot->index;
	raft_track_conf(raft, &snapshot->conf, &none, snapshot->index);
}

void raft_receive_snapshot(struct raft *raft,
			   const struct raft_message *message)
{
	const struct raft_snapshot *snapshot = message->snapshot;
	struct raft_message reply = {0};

	assert(raft->role == RAFT_FOLLOWER);
	reply.type = RAFT_MSG_APPEND_REPLY;
	reply.to = message->from;
	if (snapshot->index <= raft->log.commit) {
		reply.log_index = raft->log.commit;
	} else if (raft_log_matches(&raft->log, snapshot->index,
				    snapshot->term)) {
		raft_log_commit_to(&raft->log, snapshot->index);
		reply.log_index = raft->log.commit;
	} else {
		restore(raft, snapshot);
		reply.log_index = raft->log.last;
	}
	raft_send(raft, &reply);
}

int raft_install(struct raft *raft, const struct raft_snapshot *snapshot)
{
	struct raft_message reply = {0};

	assert(raft && snapshot);
	raft_touch(raft);
	if (raft->role == RAFT_LEADER || snapshot->index <= raft->log.commit ||
	    snapshot->term > raft->term || snapshot->conf.voter_count == 0 ||
	    !raft_conf_is_valid(&snapshot->conf))
		return RAFT_EINVALID;
	/* What follows it may be committed by this member's word. */
	if (raft_log_matches(&raft->log, snapshot->index, snapshot->term)) {
		raft_log_commit_to(&raft->log, snapshot->index);
		return RAFT_EINVALID;
	}
	restore(raft, snapshot);
	if (raft->role == RAFT_FOLLOWER && raft->leader != 0) {
		reply.type = RAFT_MSG_APPEND_REPLY;
		reply.to = raft->leader;
		reply.log_index = raft->log.last;
		raft_send(raft, &reply);
	}
	return 0;
}

void raft_snapshot_durable(struct raft *raft, uint64_t index)
{
	struct raft_log *log = &raft->log;

	/* A newer image may have come meanwhile; it speaks for both. */
	if (log->incoming.index != index)
		return;
	assert(log->incoming_set);
	assert(index > raft->offer.index);
	log->incoming_set = false;
	raft->offer = log->incoming;
	log->applying = index;
	raft_applied_to(raft, index);
}

void raft_offer_snapshot(struct raft *raft,
			 const struct raft_snapshot *snapshot)
{
	assert(raft && snapshot);
	assert(snapshot->index <= raft->log.applying);
	assert(raft_snapshot_fits(snapshot));
	raft->offer = *snapshot;
}

void raft_report_snapshot(struct raft *raft, uint64_t peer, bool ok)
{
	struct raft_progress *progress;

	assert(raft);
	raft_touch(raft);
	progress = raft_find(raft, peer);
	if (!progress || progress->state != RAFT_SNAPSHOT)
		return;
	/* What never arrived must not be built upon. */
	if (!ok)
		progress->pending_snapshot = 0;
	raft_progress_probe(progress);
	/* Its own answer, or the next heartbeat's, wakes it. */
	progress->paused = true;
}

void raft_compact(struct raft *raft, uint64_t index)
{
	assert(raft);
	raft_touch(raft);
	assert(index <= raft->log.applied);
	raft_outbox_purge(raft, UINT64_MAX, index + 1);
	raft_log_compact(&raft->log, index);
}

void raft_evict(struct raft *raft, uint64_t index)
{
	uint64_t from = raft->evicted + 1;

	assert(raft);
	if (index > raft->log.stable)
		index = raft->log.stable;
	if (from < raft->log.first)
		from = raft->log.first;
	for (uint64_t i = from; i <= index; i++)
		raft_log_slot(&raft->log, i)->data = NULL;
	if (index > raft->evicted)
		raft->evicted = index;
}

void raft_lend(struct raft *raft, uint64_t index, const void *data)
{
	assert(raft && data);
	assert(index >= raft->log.first && index <= raft->log.last);
	raft_log_slot(&raft->log, index)->data = data;
	/* The next eviction passes over it again. */
	if (index <= raft->evicted)
		raft->evicted = index - 1;
}

const struct raft_entry *raft_entry_at(const struct raft *raft, uint64_t index)
{
	assert(raft);
	if (index < raft->log.first || index > raft->log.last)
		return NULL;
	return raft_log_slot(&raft->log, index);
}
