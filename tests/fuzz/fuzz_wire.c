/*
 * Fuzzes what a peer may send: a greeting, and a header with its body, each
 * with the checksums that came and with good ones, so that what lies behind
 * the checksums is reached. Whatever is accepted must be as wire.h says.
 *
 * Input: byte 0 chooses (bit 0: the lane; bit 1: make the header's checksum
 * good; bit 2: make those of the body and its entries good), the rest is the
 * bytes.
 */
#include "daemon/node.h"
#include "daemon/wire.h"
#include "raft/crc32c.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum choice {
	LANE_BULK = 1,
	GOOD_HEADER = 2,
	GOOD_BODY = 4,
	BODY_ROOM = 16384,
};

static void fuzz_greeting(const uint8_t *data, size_t size, uint8_t choice)
{
	static const uint8_t cluster[16];
	uint8_t bytes[WIRE_GREETING_SIZE] = {0};
	struct wire_greeting greeting;

	memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
	if (choice & GOOD_HEADER) {
		uint64_t magic = WIRE_MAGIC;
		uint32_t crc = crc32c(0, bytes + 12, sizeof(bytes) - 12);
		memcpy(bytes, &magic, sizeof(magic));
		memcpy(bytes + 8, &crc, sizeof(crc));
	}
	if (wire_greeting_check(bytes, &greeting) < 0)
		return;
	assert(memcmp(&greeting, bytes, sizeof(bytes)) == 0);
	assert(greeting.version_min <= greeting.version_max);
	int status = wire_greeting_judge(&greeting, cluster, 1);
	assert(status >= WIRE_OK && status <= WIRE_EREMOVED);
	assert(status != WIRE_OK || greeting.lane < NODE_LANES);
	assert(wire_refusal_text(greeting.status)[0] != '\0');
}

/* Makes the checksums of the entries good, as far as entries lie there. */
static void mend_entries(uint8_t *body, uint32_t size, bool stamped)
{
	uint32_t at = 0;

	while (size - at >= ENTRY_HEADER_SIZE) {
		struct entry_header header;
		memcpy(&header, body + at, sizeof(header));
		if (header.size > size - at - ENTRY_HEADER_SIZE)
			return;
		header.payload_crc =
			crc32c(0, body + at + ENTRY_HEADER_SIZE, header.size);
		header.header_crc = 0;
		memcpy(body + at, &header, sizeof(header));
		if (stamped)
			header.header_crc =
				crc32c(0, body + at + 4, ENTRY_HEADER_SIZE - 4);
		memcpy(body + at, &header, sizeof(header));
		if (entry_size(header.size) > size - at)
			return;
		at += entry_size(header.size);
	}
}

static void mend(uint8_t *bytes, uint8_t choice)
{
	struct wire_frame frame;
	uint8_t *body = bytes + WIRE_HEADER_SIZE;

	memcpy(&frame, bytes, sizeof(frame));
	if ((choice & GOOD_BODY) && frame.body_size <= BODY_ROOM) {
		bool stamped = frame.type == RAFT_MSG_APPEND ||
			       frame.type == WIRE_FOUND;
		if (stamped || frame.type == WIRE_FORWARD)
			mend_entries(body, frame.body_size, stamped);
		if (frame.type != WIRE_FORWARD ||
		    frame.body_size >= ENTRY_HEADER_SIZE)
			frame.body_crc = wire_body_crc(frame.type, body,
						       frame.body_size);
	}
	memcpy(bytes, &frame, sizeof(frame));
	if (choice & GOOD_HEADER)
		frame.crc = crc32c(0, bytes + 4, WIRE_HEADER_SIZE - 4);
	memcpy(bytes, &frame, sizeof(frame));
}

/* What was accepted goes through Raft's form and back unchanged. */
static void check_message(const struct wire_frame *frame)
{
	struct raft_message message;
	struct wire_frame again;

	if (frame->type > RAFT_MSG_FORGET_LEADER && frame->type != WIRE_FORWARD)
		return;
	wire_to_message(frame, 1, 2, &message);
	wire_from_message(&message, &again);
	again.sequence = frame->sequence;
	again.body_size = frame->body_size;
	again.body_crc = frame->body_crc;
	wire_seal(&again);
	assert(memcmp(&again, frame, sizeof(again)) == 0);
}

static void fuzz_frame(const uint8_t *data, size_t size, uint8_t choice)
{
	uint8_t lane = choice & LANE_BULK ? NODE_BULK : NODE_CONTROL;
	size_t room = WIRE_HEADER_SIZE + BODY_ROOM + 8;
	struct wire_frame frame;
	uint64_t sequence;

	/* Of the very size, so that one byte too far is noticed. */
	uint8_t *bytes = calloc(1, room);
	assert(bytes);
	memcpy(bytes, data, size < room ? size : room);
	mend(bytes, choice);
	memcpy(&sequence, bytes + 16, sizeof(sequence));
	if (wire_check(bytes, lane, sequence, &frame) == 0 &&
	    wire_frame_size(&frame) <= room) {
		assert(wire_is_bulk(frame.type) == (lane == NODE_BULK));
		uint8_t *whole = malloc(wire_frame_size(&frame));
		assert(whole);
		memcpy(whole, bytes, wire_frame_size(&frame));
		if (wire_check_body(&frame, whole + WIRE_HEADER_SIZE) == 0)
			check_message(&frame);
		free(whole);
	}
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	fuzz_greeting(data + 1, size - 1, data[0]);
	fuzz_frame(data + 1, size - 1, data[0]);
	return 0;
}
