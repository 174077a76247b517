/*
 * A damaged record is put together anew, from what other members have.
 *
 * Where most logs are damaged, each at another place, nobody may be elected
 * who could send the rest (daemon/node_repair.c), though each entry is whole
 * somewhere. Then a member that has given up nothing, and has known no leader
 * for some election timeouts, asks the others for the entries that its damaged
 * record had, one of them after the other, one in each election timeout:
 *
 *   SEEK    says which entries are missing, what stands right before them in
 *           the log, and what behind them.
 *   FOUND   Whoever holds all of this, in the same terms, and the entries,
 *           sends them: its log is the same up to there (Raft, Log Matching),
 *           whether it leads or not, and whatever it has lost behind it.
 *
 * wal/fill.c judges what comes, writes the record, and reads it back. Then the
 * node ends, with a code of its own, and is to be opened anew. What the log
 * then has was all in it before: the member goes on as if there had been no
 * damage, and leads if it is elected.
 *
 * Invariant: nothing is promised between the start and the end of a member
 * that fills, since its log takes nothing; and nobody answers from what it does
 * not have itself. Who is led never fills: the leader sends all that is
 * missing.
 */
#include "daemon/node_stages.h"

enum {
	SEEK_PATIENCE = 4, /* election timeouts without a leader */
};

/* ---- who asks ---- */

static uint64_t election_ns(const struct node *node)
{
	return node->options.tick_ns * node->options.election_ticks;
}

/* The entries that are missing now; false: nothing is to be filled. */
static bool seeks(const struct node *node, struct wal_hole *ret_hole)
{
	return node->damaged && !node->leader && !node->draining &&
	       wal_hole(node->wal, ret_hole);
}

/* The next one of those that can be asked, or NULL. */
static struct peer *next_peer(struct node *node)
{
	uint32_t tried;

	for (tried = 0; tried < node->peer_count; tried++) {
		uint32_t at = node->seek_peer++ % node->peer_count;
		struct peer *peer = &node->peers[at];

		if (peer->id && peer->lanes[NODE_CONTROL].up &&
		    peer->lanes[NODE_BULK].up)
			return peer;
	}
	return NULL;
}

static void seek(struct node *node, const struct wal_hole *hole)
{
	struct out_frame frame = {
		.head = {.type = WIRE_SEEK,
			 .term = node->term,
			 .first_index = hole->first,
			 .reject_hint = hole->last,
			 .log_index = hole->first - 1,
			 .log_term = hole->before_term,
			 .commit = hole->proof_index,
			 .commit_term = hole->proof_term},
	};
	struct peer *peer = next_peer(node);

	if (peer)
		(void)peer_queue(node, peer, &frame); /* or the next one */
}

/* What does not fit is not written; the next one may have what does. */
static void take(struct node *node, const void *entries, uint32_t size)
{
	int code = wal_fill(node->wal, entries, size);

	(void)code; /* all is wanted again */
}

void fill_turn(struct node *node)
{
	struct wal_hole hole;

	if (!seeks(node, &hole)) {
		node->seek_ns = 0;
		return;
	}
	if (!node->seek_ns)
		node->seek_ns =
			node->now_ns + SEEK_PATIENCE * election_ns(node);
	if (node->now_ns < node->seek_ns)
		return;
	node->seek_ns = node->now_ns + election_ns(node);
	/* A record without entries that its own header proves. */
	if (hole.first > hole.last && !hole.proof_index)
		take(node, NULL, 0);
	else
		seek(node, &hole);
}

void fill_heard(struct node *node, const struct wire_frame *found,
		const uint8_t *body)
{
	struct wal_hole hole;

	if (!seeks(node, &hole) || found->first_index != hole.first ||
	    found->log_index != hole.first - 1 ||
	    found->log_term != hole.before_term ||
	    found->commit != hole.proof_index ||
	    found->commit_term != hole.proof_term)
		return;
	take(node, body, found->body_size);
}

bool fill_is_over(const struct node *node)
{
	return wal_filled(node->wal) && !node->draining;
}

/* ---- who answers ---- */

static bool holds(const struct node *node, uint64_t index, uint64_t term)
{
	const struct raft_entry *entry = raft_entry_at(node->raft, index);
	uint64_t chunks, covered_term;
	const void *head;
	uint32_t size;

	if (entry || !index)
		return (entry ? entry->term : 0) == term;
	return wal_snapshot_newest(node->wal, &covered_term, &chunks, &head,
				   &size) == index &&
	       covered_term == term;
}

bool fill_may_tell(const struct node *node, const struct wire_frame *found)
{
	return holds(node, found->log_index, found->log_term) &&
	       (!found->commit ||
		holds(node, found->commit, found->commit_term));
}

/* An answer to this member waits still. */
static bool is_answering(const struct lane *lane)
{
	uint32_t i;

	for (i = lane->head; i != lane->tail; i++)
		if (lane->frames[i % LANE_FRAMES].head.type == WIRE_FOUND)
			return true;
	return false;
}

void fill_asked(struct node *node, struct peer *peer,
		const struct wire_frame *seek)
{
	struct raft_status raft;
	struct out_frame frame = {
		.head = {.type = WIRE_FOUND,
			 .log_index = seek->log_index,
			 .log_term = seek->log_term,
			 .first_index = seek->first_index,
			 .commit = seek->commit,
			 .commit_term = seek->commit_term},
		.next = seek->first_index,
		.end = seek->reject_hint + 1,
	};

	raft_status(node->raft, &raft);
	frame.head.term = raft.term;
	if (seek->first_index != seek->log_index + 1 ||
	    frame.end < frame.next || frame.end > raft.last_index + 1 ||
	    !fill_may_tell(node, seek) || is_answering(&peer->lanes[NODE_BULK]))
		return;
	if (frame.end > frame.next) {
		if (!raft_entry_at(node->raft, frame.next))
			return;
		frame.kind = OUT_FOUND;
	}
	(void)peer_queue(node, peer, &frame); /* it asks again */
}
