/*
 * Checks and seals what members say to each other; the byte maps are at the
 * head of wire.h.
 *
 * What a frame may be is one row of a table for each type: its lane, the
 * sizes of its body, and which of the fields that not all types use it may
 * fill. A header is judged before any byte of its body is waited for, so a
 * peer cannot make this member keep room for what it would not take.
 */
#include "daemon/wire.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/node.h"
#include "raft/crc32c.h"

enum {
	GREETING_SEALED_AT = 12, /* its checksum covers from here */
	FRAME_SEALED_AT = 4,
	RAFT_LAST = RAFT_MSG_FORGET_LEADER,
	FLAGS_ALL = WIRE_REJECT | WIRE_FORCED | WIRE_LOST,
	STATE_SIZE = sizeof(struct wire_state),
	IMAGE_SIZE = sizeof(struct wire_image),
};

/* What a frame of one type may be. */
struct shape {
	bool known;
	bool bulk;
	bool may_be_bare; /* without body, whatever body_min is */
	uint32_t body_min;
	uint32_t body_max;
	uint32_t count_max;
};

static const struct shape shapes[] = {
	[RAFT_MSG_APPEND] = {true, true, true, ENTRY_HEADER_SIZE, WIRE_BODY_MAX,
			     WIRE_ENTRIES_MAX},
	[RAFT_MSG_APPEND_REPLY] = {.known = true},
	[RAFT_MSG_VOTE] = {.known = true},
	[RAFT_MSG_VOTE_REPLY] = {.known = true},
	[RAFT_MSG_PRE_VOTE] = {.known = true},
	[RAFT_MSG_PRE_VOTE_REPLY] = {.known = true},
	[RAFT_MSG_SNAPSHOT] = {true, true, false, IMAGE_SIZE,
			       IMAGE_SIZE + WIRE_HEAD_MAX, 0},
	[RAFT_MSG_HEARTBEAT] = {true, false, false, STATE_SIZE, STATE_SIZE, 0},
	[RAFT_MSG_HEARTBEAT_REPLY] = {true, false, false, STATE_SIZE,
				      STATE_SIZE, 0},
	[RAFT_MSG_TRANSFER] = {.known = true},
	[RAFT_MSG_TIMEOUT_NOW] = {.known = true},
	[RAFT_MSG_READ_INDEX] = {.known = true},
	[RAFT_MSG_READ_INDEX_REPLY] = {.known = true},
	[RAFT_MSG_FORGET_LEADER] = {.known = true},
	[WIRE_FORWARD] = {true, true, false, ENTRY_HEADER_SIZE, WIRE_BODY_MAX,
			  0},
	[WIRE_NACK] = {.known = true},
	[WIRE_IMAGE_ASK] = {.known = true},
	[WIRE_IMAGE_CHUNK] = {true, true, true, 1, WIRE_CHUNK_MAX, 1},
	[WIRE_STATE] = {true, false, false, STATE_SIZE, STATE_SIZE, 0},
	[WIRE_SEEK] = {.known = true},
	[WIRE_FOUND] = {true, true, true, ENTRY_HEADER_SIZE, WIRE_BODY_MAX,
			WIRE_ENTRIES_MAX},
};

enum {
	SHAPE_COUNT = sizeof(shapes) / sizeof(shapes[0]),
};

_Static_assert((int)STATE_SIZE <= (int)WIRE_CONTROL_BODY_MAX, "control");

/* ---- greetings ---- */

static uint32_t greeting_crc(const struct wire_greeting *greeting)
{
	return crc32c(0, (const uint8_t *)greeting + GREETING_SEALED_AT,
		      WIRE_GREETING_SIZE - GREETING_SEALED_AT);
}

void wire_greeting_seal(struct wire_greeting *greeting)
{
	assert(greeting->from != 0);
	greeting->magic = WIRE_MAGIC;
	greeting->version_min = WIRE_VERSION_MIN;
	greeting->version_max = WIRE_VERSION;
	greeting->entry_format = ENTRY_FORMAT;
	greeting->reserved0 = 0;
	memset(greeting->reserved1, 0, sizeof(greeting->reserved1));
	greeting->crc = greeting_crc(greeting);
}

/* Who speaks nothing newer than we do leaves empty what we leave empty. */
static bool greeting_is_clean(const struct wire_greeting *greeting)
{
	uint32_t dirty = greeting->reserved0;

	if (greeting->version_max > WIRE_VERSION)
		return true;
	for (uint32_t i = 0; i < sizeof(greeting->reserved1); i++)
		dirty |= greeting->reserved1[i];
	return dirty == 0;
}

int wire_greeting_check(const uint8_t bytes[WIRE_GREETING_SIZE],
			struct wire_greeting *ret_greeting)
{
	struct wire_greeting greeting;

	memcpy(&greeting, bytes, sizeof(greeting));
	if (greeting.magic != WIRE_MAGIC)
		return -EBADMSG;
	if (greeting.crc != greeting_crc(&greeting))
		return -EBADMSG;
	if (greeting.version_min == 0 || greeting.from == 0)
		return -EBADMSG;
	if (greeting.version_min > greeting.version_max)
		return -EBADMSG;
	if (!greeting_is_clean(&greeting))
		return -EBADMSG;
	*ret_greeting = greeting;
	return 0;
}

int wire_greeting_judge(const struct wire_greeting *greeting,
			const uint8_t cluster[16], uint64_t member)
{
	assert(member != 0);
	if (memcmp(greeting->cluster, cluster, 16) != 0)
		return WIRE_ECLUSTER;
	if (greeting->version_min > WIRE_VERSION ||
	    greeting->version_max < WIRE_VERSION_MIN)
		return WIRE_EVERSION;
	if (greeting->to != member)
		return WIRE_EMEMBER;
	if (greeting->from == member)
		return WIRE_ETWICE; /* it has the id of this very member */
	if (greeting->lane >= NODE_LANES)
		return WIRE_ELANE;
	return WIRE_OK;
}

int wire_greeting_compare(const struct wire_greeting *greeting,
			  uint32_t version, uint32_t in_force)
{
	uint32_t theirs = greeting->version ? greeting->version : 1;

	if (theirs < in_force || greeting->entry_format < ENTRY_FORMAT)
		return -1;
	return greeting->in_force > version;
}

const char *wire_refusal_text(int status)
{
	switch (status) {
	case WIRE_OK:
		return "not refused";
	case WIRE_ECLUSTER:
		return "a member of another cluster answers there: correct "
		       "the address, or start both with the same --cluster";
	case WIRE_EMEMBER:
		return "another member answers there than the one that is "
		       "meant: correct its address in --peers, or with "
		       "conclavectl member update";
	case WIRE_ESTRANGER:
		return "it does not know this id as a member: add it there "
		       "with conclavectl member add, or correct --member";
	case WIRE_ETWICE:
		return "a member with this id is connected there already: "
		       "two daemons have the same --member, stop one of them";
	case WIRE_EVERSION:
		return "no protocol is spoken by both: upgrade the older "
		       "daemon, one version at a time";
	case WIRE_ELANE:
		return "it does not know this kind of connection: upgrade the "
		       "older daemon";
	case WIRE_EREMOVED:
		return "this id was removed from the cluster: stop the "
		       "daemon; to come back it joins under a new id and with "
		       "an empty data folder";
	case WIRE_ENAME:
		return "the certificate does not have the name of the host at "
		       "which the member is: issue one with that as "
		       "subjectAltName, or allow the name it has with "
		       "--peer-names";
	case WIRE_EOUTDATED:
		return "the release of who dials is older than what the "
		       "cluster has agreed on (see conclavectl settings "
		       "cluster_version): install there the release that the "
		       "others run; its data folder stays as it is";
	case WIRE_EBEHIND:
		return "the release of who answers is older than what the "
		       "cluster has agreed on (see conclavectl settings "
		       "cluster_version): install there the release that the "
		       "others run; its data folder stays as it is";
	default:
		return "refused for a reason that this version does not know: "
		       "look into the log of the other member";
	}
}

/* ---- frames ---- */

static const struct shape *shape_of(uint8_t type)
{
	return type < SHAPE_COUNT && shapes[type].known ? &shapes[type] : NULL;
}

/* Its body is stamped entries, which carry their own checksums. */
static bool has_entries(uint8_t type)
{
	return type == RAFT_MSG_APPEND || type == WIRE_FOUND;
}

bool wire_is_bulk(uint8_t type)
{
	const struct shape *shape = shape_of(type);

	return shape && shape->bulk;
}

static uint32_t frame_crc(const struct wire_frame *frame)
{
	return crc32c(0, (const uint8_t *)frame + FRAME_SEALED_AT,
		      WIRE_HEADER_SIZE - FRAME_SEALED_AT);
}

void wire_seal(struct wire_frame *frame)
{
	assert(shape_of(frame->type));
	frame->reserved0 = 0;
	frame->reserved1 = 0;
	frame->crc = frame_crc(frame);
}

uint32_t wire_body_crc(uint8_t type, const void *body, uint32_t size)
{
	if (has_entries(type))
		return 0;
	if (type == WIRE_FORWARD) {
		assert(size >= ENTRY_HEADER_SIZE);
		return crc32c(0, body, ENTRY_HEADER_SIZE);
	}
	return crc32c(0, body, size);
}

/* Whether what is said about the body may be so. */
static bool body_fits(const struct wire_frame *frame, const struct shape *shape)
{
	uint32_t size = frame->body_size;

	if (size == 0 && shape->may_be_bare)
		return frame->body_crc == 0;
	if (size < shape->body_min || size > shape->body_max)
		return false;
	if (size == 0 || has_entries(frame->type))
		return frame->body_crc == 0;
	return true;
}

/* Whether `count` goes with the rest. */
static bool count_fits(const struct wire_frame *frame,
		       const struct shape *shape)
{
	if (frame->count > shape->count_max)
		return false;
	if (!has_entries(frame->type))
		return frame->count == 0 || frame->body_size > 0;
	if (frame->count == 0)
		return frame->body_size == 0;
	return frame->body_size / ENTRY_HEADER_SIZE >= frame->count &&
	       frame->body_size % 8 == 0 &&
	       frame->first_index == frame->log_index + 1;
}

/* Only a chunk that is not there any more says so without a body. */
static bool flags_fit(const struct wire_frame *frame)
{
	bool reject = frame->flags & WIRE_REJECT;

	if (frame->flags & ~FLAGS_ALL)
		return false;
	if (frame->type == WIRE_IMAGE_CHUNK)
		return reject == (frame->body_size == 0);
	return true;
}

int wire_check(const uint8_t bytes[WIRE_HEADER_SIZE], uint8_t lane,
	       uint64_t sequence, struct wire_frame *ret_frame)
{
	struct wire_frame frame;

	assert(lane < NODE_LANES);
	memcpy(&frame, bytes, sizeof(frame));
	if (frame.crc != frame_crc(&frame))
		return -EBADMSG;
	const struct shape *shape = shape_of(frame.type);
	if (!shape || shape->bulk != (lane == NODE_BULK))
		return -EBADMSG;
	if (frame.sequence != sequence)
		return -EBADMSG;
	if (frame.reserved0 != 0 || frame.reserved1 != 0)
		return -EBADMSG;
	if (!flags_fit(&frame) || !body_fits(&frame, shape) ||
	    !count_fits(&frame, shape))
		return -EBADMSG;
	assert(frame.body_size <= WIRE_BODY_MAX);
	*ret_frame = frame;
	return 0;
}

/* ---- bodies ---- */

/* Terms go up from that of the entry before the first to the sender's. */
static int check_entries(const struct wire_frame *frame, const uint8_t *body)
{
	uint64_t term = frame->log_term;
	uint32_t at = 0;

	for (uint32_t i = 0; i < frame->count; i++) {
		struct entry_header entry;
		int result =
			entry_check(body + at, frame->body_size - at, &entry);
		if (result < 0)
			return result;
		if (entry.index != frame->first_index + i ||
		    entry.term < term || entry.term > frame->term)
			return -EBADMSG;
		term = entry.term;
		at += entry_size(entry.size);
	}
	return at == frame->body_size ? 0 : -EBADMSG;
}

static int check_forward(const struct wire_frame *frame, const uint8_t *body)
{
	struct entry_header entry;
	int result = entry_check_sealed(body, frame->body_size, &entry);

	if (result < 0)
		return result;
	return entry_size(entry.size) == frame->body_size ? 0 : -EBADMSG;
}

static int check_image(const struct wire_frame *frame, const uint8_t *body)
{
	struct wire_image image;

	assert(frame->body_size >= sizeof(image));
	memcpy(&image, body, sizeof(image));
	if (image.reserved != 0)
		return -EBADMSG;
	return image.head_size == frame->body_size - sizeof(image) ? 0
								   : -EBADMSG;
}

/* The zeros that fill it up to a multiple of 8. */
static bool padding_is_zero(const struct wire_frame *frame, const uint8_t *body)
{
	uint32_t end = wire_frame_size(frame) - WIRE_HEADER_SIZE;

	for (uint32_t i = frame->body_size; i < end; i++) {
		if (body[i] != 0)
			return false;
	}
	return true;
}

int wire_check_body(const struct wire_frame *frame, const uint8_t *body)
{
	assert(shape_of(frame->type));
	if (frame->body_crc !=
	    wire_body_crc(frame->type, body, frame->body_size))
		return -EBADMSG;
	if (!padding_is_zero(frame, body))
		return -EBADMSG;
	switch (frame->type) {
	case RAFT_MSG_APPEND:
	case WIRE_FOUND:
		return check_entries(frame, body);
	case RAFT_MSG_SNAPSHOT:
		return check_image(frame, body);
	case WIRE_FORWARD:
		return check_forward(frame, body);
	default:
		return 0;
	}
}

/* ---- Raft's messages ---- */

void wire_from_message(const struct raft_message *message,
		       struct wire_frame *ret_frame)
{
	struct wire_frame frame = {
		.type = message->type,
		.term = message->term,
		.log_index = message->log_index,
		.log_term = message->log_term,
		.commit = message->commit,
		.commit_term = message->commit_term,
		.reject_hint = message->reject_hint,
		.round = message->round,
		.first_index = message->first_index,
	};

	assert(message->type >= 1 && message->type <= RAFT_LAST);
	if (message->type == RAFT_MSG_PROPOSE)
		frame.type = WIRE_FORWARD;
	if (message->type == RAFT_MSG_APPEND)
		frame.count = message->entry_count;
	if (message->reject)
		frame.flags |= WIRE_REJECT;
	if (message->forced)
		frame.flags |= WIRE_FORCED;
	if (message->lost)
		frame.flags |= WIRE_LOST;
	*ret_frame = frame;
}

void wire_to_message(const struct wire_frame *frame, uint64_t from, uint64_t to,
		     struct raft_message *ret_message)
{
	struct raft_message message = {
		.type = frame->type,
		.reject = frame->flags & WIRE_REJECT,
		.forced = frame->flags & WIRE_FORCED,
		.lost = frame->flags & WIRE_LOST,
		.from = from,
		.to = to,
		.term = frame->term,
		.log_index = frame->log_index,
		.log_term = frame->log_term,
		.commit = frame->commit,
		.commit_term = frame->commit_term,
		.reject_hint = frame->reject_hint,
		.round = frame->round,
		.first_index = frame->first_index,
		.entry_count = frame->count,
	};

	assert(frame->type <= RAFT_LAST || frame->type == WIRE_FORWARD);
	if (frame->type == WIRE_FORWARD) {
		message.type = RAFT_MSG_PROPOSE;
		message.entry_count = 1;
	}
	*ret_message = message;
}
