/*
 * See tests/sim/frames.h.
 */
#include "tests/sim/frames.h"
#include "tests/sim/ghost.h"
#include "tests/sim/machine.h"
#include "tests/sim/medium.h"
#include "tests/sim/net.h"
#include "tests/sim/sim.h"
#include "tests/sim/watch.h"

#include "daemon/node_state.h"
#include "daemon/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum frames_limits {
	RECENT_MAX = 256, /* frames whose place is remembered */
};

struct place {
	uint64_t position;
	uint64_t sequence;
};

/* What one end says. */
struct tap {
	uint64_t position;
	uint64_t skip; /* bytes of body that follow */
	uint32_t used;
	uint8_t head[WIRE_HEADER_SIZE];
	struct place recent[RECENT_MAX];
	uint64_t count;
	uint64_t image; /* of which chunks were asked for, */
	uint64_t asked; /* below this one */
};

static struct tap taps[NET_ENDS_MAX];

void frames_begin(int end, uint64_t position)
{
	struct tap *tap = &taps[end];
	tap->position = position;
	tap->skip = 0;
	tap->used = 0;
	tap->count = 0;
	tap->image = 0;
	tap->asked = 0;
}

uint64_t frames_at(int end, uint64_t position)
{
	const struct tap *tap = &taps[end];
	uint64_t oldest = tap->count > RECENT_MAX ? tap->count - RECENT_MAX : 0;
	for (uint64_t i = tap->count; i > oldest; i--) {
		const struct place *place = &tap->recent[(i - 1) % RECENT_MAX];
		if (place->position <= position)
			return place->sequence;
	}
	return 0;
}

/* ---- promises ---- */

static void check_vote(const struct speaker *speaker,
		       const struct wire_frame *frame)
{
	if ((frame->flags & WIRE_REJECT) != 0)
		return;
	SIM_SOMETIMES(VOTE_GRANTED);
	sim_check(medium_votes(speaker->machine, frame->term, speaker->to),
		  "machine %u tells member %" PRIu64 " that it votes for it in "
		  "term %" PRIu64 ", and that is not on its disk",
		  speaker->machine, speaker->to, frame->term);
}

/* What the leader of that term has at an index; 0: it cannot be asked. */
static uint64_t leaders_term(uint64_t term, uint64_t index)
{
	int machine = watch_leader_of(term);
	if (machine < 0)
		return 0;
	const struct node *node = machine_view((uint32_t)machine)->node;
	struct raft_status status;
	if (node == NULL)
		return 0;
	raft_status(node->raft, &status);
	const struct raft_entry *entry = raft_entry_at(node->raft, index);
	if (status.term != term || status.role != RAFT_LEADER || entry == NULL)
		return 0;
	return entry->term;
}

static void check_append(const struct speaker *speaker,
			 const struct wire_frame *frame)
{
	uint32_t machine = speaker->machine;
	uint64_t index = frame->log_index;
	if ((frame->flags & WIRE_REJECT) != 0 || index == 0)
		return;
	sim_check(medium_acknowledges(machine, frame->term, index),
		  "machine %u acknowledges entry %" PRIu64 " in term %" PRIu64
		  ", and its disk did not have it then",
		  machine, index, frame->term);
	uint64_t here = medium_term_at(machine, index);
	uint64_t there = leaders_term(frame->term, index);
	if (medium_term(machine) != frame->term || here == 0 || there == 0)
		return;
	sim_check(here == there,
		  "machine %u acknowledges entry %" PRIu64 " of term %" PRIu64
		  ", and the leader has one of term %" PRIu64,
		  machine, index, here, there);
}

static void check_commit(const struct speaker *speaker, uint64_t commit)
{
	sim_check(commit <= ghost_index(),
		  "machine %u tells of commit %" PRIu64 ", and only %" PRIu64
		  " are committed",
		  speaker->machine, commit, ghost_index());
}

static void check_image(const struct speaker *speaker,
			const struct wire_frame *frame)
{
	SIM_SOMETIMES(IMAGE_SENT);
	check_commit(speaker, frame->log_index);
	sim_check(frame->log_term == ghost_term_at(frame->log_index),
		  "machine %u sends an image of another history",
		  speaker->machine);
}

/* ---- what is seen ---- */

static void note_ask(struct tap *tap, const struct wire_frame *frame)
{
	bool again = frame->log_index != tap->image ||
		     frame->first_index < tap->asked;
	if (again && frame->first_index > 0)
		SIM_SOMETIMES(IMAGE_RESUMED);
	tap->image = frame->log_index;
	tap->asked = frame->first_index + 1;
}

static void note_transfer(const struct speaker *speaker)
{
	if (speaker->node->disk_sick)
		SIM_SOMETIMES(HANDED_OVER);
	else
		SIM_SOMETIMES(TRANSFERRED);
}

static void see(const struct speaker *speaker, struct tap *tap,
		const struct wire_frame *frame)
{
	sim_chat("machine % to member %: frame of type %, index %",
		 speaker->machine, speaker->to, frame->type, frame->log_index);
	switch (frame->type) {
	case RAFT_MSG_VOTE_REPLY:
		check_vote(speaker, frame);
		break;
	case RAFT_MSG_APPEND_REPLY:
		check_append(speaker, frame);
		break;
	case RAFT_MSG_APPEND:
	case RAFT_MSG_HEARTBEAT:
		check_commit(speaker, frame->commit);
		break;
	case RAFT_MSG_SNAPSHOT:
		check_image(speaker, frame);
		break;
	case RAFT_MSG_TIMEOUT_NOW:
		note_transfer(speaker);
		break;
	case WIRE_FORWARD:
		SIM_SOMETIMES(FORWARDED);
		break;
	case WIRE_NACK:
		SIM_SOMETIMES(NACKED);
		break;
	case WIRE_IMAGE_ASK:
		note_ask(tap, frame);
		break;
	default:
		break;
	}
}

static void take_header(const struct speaker *speaker, struct tap *tap)
{
	struct wire_frame frame;
	memcpy(&frame, tap->head, sizeof(frame));
	sim_check(wire_is_bulk(frame.type) == (speaker->lane == NODE_BULK),
		  "machine %u sends a frame of type %u on lane %u",
		  speaker->machine, frame.type, speaker->lane);
	tap->recent[tap->count++ % RECENT_MAX] = (struct place){
		tap->position - WIRE_HEADER_SIZE,
		frame.sequence,
	};
	tap->used = 0;
	tap->skip = wire_frame_size(&frame) - WIRE_HEADER_SIZE;
	see(speaker, tap, &frame);
}

void frames_sent(const struct speaker *speaker, const uint8_t *bytes,
		 uint32_t size)
{
	struct tap *tap = &taps[speaker->end];
	while (size > 0) {
		uint32_t part = size;
		if (tap->skip > 0) {
			part = tap->skip < size ? (uint32_t)tap->skip : size;
			tap->skip -= part;
		} else {
			if (part > WIRE_HEADER_SIZE - tap->used)
				part = WIRE_HEADER_SIZE - tap->used;
			memcpy(tap->head + tap->used, bytes, part);
			tap->used += part;
		}
		bytes += part;
		size -= part;
		tap->position += part;
		if (tap->used == WIRE_HEADER_SIZE)
			take_header(speaker, tap);
	}
}
