/*
 * What members say to each other: pinned by examples whose checksums were
 * made elsewhere, and refused when any bit is wrong or any field says what it
 * may not.
 */
#include "daemon/wire.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/node.h"
#include "raft/crc32c.h"

static const uint8_t golden_greeting[] = {
	0x43, 0x6f, 0x6e, 0x50, 0x65, 0x65, 0x72, 0x31, 0x9a, 0x20, 0xb5, 0x57,
	0x01, 0x00, 0x01, 0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
	0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x08, 0x07, 0x06, 0x05,
	0x04, 0x03, 0x02, 0x01, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,
	0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x01, 0x01, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const uint8_t golden_append[] = {
	0x93, 0xd1, 0x9d, 0xd9, 0x90, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
	0x02, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x28, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x27, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x5d, 0x9d, 0xa1, 0xbe, 0x4c, 0xbb, 0x71, 0x9a, 0x05, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x29, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0xbb, 0xaa, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x33, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x00, 0x00, 0x00,
	0x75, 0x18, 0x0d, 0xb3, 0x94, 0x0d, 0x29, 0x42, 0x08, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x2a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0xbb, 0xaa, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x33, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x63, 0x6f, 0x6e, 0x63, 0x6c, 0x61, 0x76, 0x65,
};

static const uint8_t golden_vote[] = {
	0xa1, 0xc9, 0x46, 0x9a, 0x00, 0x00, 0x00, 0x00, 0x04, 0x02, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x11, 0x10, 0x0f, 0x0e, 0x0d, 0x0c, 0x0b, 0x0a,
	0x07, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x02, 0x02, 0x02, 0x02,
	0x02, 0x02, 0x02, 0x02, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03, 0x03,
	0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x05, 0x05, 0x05, 0x05,
	0x05, 0x05, 0x05, 0x05, 0x06, 0x06, 0x06, 0x06, 0x06, 0x06, 0x06, 0x06,
	0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x07, 0x08, 0x08, 0x08, 0x08,
	0x08, 0x08, 0x08, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const uint8_t golden_heartbeat[] = {
	0x77, 0x62, 0x81, 0x70, 0x18, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x27, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x0c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x6a, 0x94, 0x4a, 0x24, 0x00, 0x00, 0x00, 0x00,
	0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55,
	0x44, 0x33, 0x22, 0x11, 0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99,
};

static const uint8_t golden_snapshot[] = {
	0x24, 0xd0, 0xa7, 0x22, 0x15, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1e, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x6e, 0xa1, 0x10, 0x88, 0x00, 0x00, 0x00, 0x00,
	0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x69, 0x6d, 0x61, 0x67, 0x65, 0x00, 0x00, 0x00,
};

static const uint8_t golden_forward[] = {
	0x1a, 0xe3, 0xd7, 0x2e, 0x48, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0xa4, 0x2e, 0x4c, 0x56, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x4c, 0xbb, 0x71, 0x9a, 0x05, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0xbb, 0xaa, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x33, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x00, 0x00, 0x00,
};

static const uint8_t golden_nack[] = {
	0xdd, 0xa9, 0x87, 0x1f, 0x00, 0x00, 0x00, 0x00, 0x21, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x42, 0xf4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0x33, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const uint8_t golden_ask[] = {
	0x6a, 0x6b, 0xd4, 0x01, 0x00, 0x00, 0x00, 0x00, 0x22, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1e, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static const uint8_t golden_chunk[] = {
	0x88, 0x86, 0x54, 0x53, 0x10, 0x00, 0x00, 0x00, 0x23, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1e, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x64, 0xde, 0x75, 0x96, 0x00, 0x00, 0x00, 0x00,
	0x6c, 0x61, 0x73, 0x74, 0x20, 0x62, 0x79, 0x74, 0x65, 0x73, 0x20, 0x6f,
	0x66, 0x20, 0x69, 0x74,
};

/* Entries from 1 behind log_index to 5 behind are missing. */
static const uint8_t golden_seek[] = {
	0x9a, 0x66, 0xa1, 0x23, 0x00, 0x00, 0x00, 0x00, 0x25, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x28, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x2d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

/* The body of golden_append, for who has asked. */
static const uint8_t golden_found[] = {
	0x26, 0x92, 0x2d, 0x6a, 0x90, 0x00, 0x00, 0x00, 0x26, 0x00, 0x00, 0x00,
	0x02, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x28, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x5d, 0x9d, 0xa1, 0xbe, 0x4c, 0xbb, 0x71, 0x9a, 0x05, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x29, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0xbb, 0xaa, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x33, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x00, 0x00, 0x00,
	0x75, 0x18, 0x0d, 0xb3, 0x94, 0x0d, 0x29, 0x42, 0x08, 0x00, 0x00, 0x00,
	0x01, 0x00, 0x00, 0x00, 0x2a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0xbb, 0xaa, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x33, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x63, 0x6f, 0x6e, 0x63, 0x6c, 0x61, 0x76, 0x65,
};

/* Frames without body: all as golden_vote, apart from type and checksum. */
static const struct {
	uint8_t type;
	uint32_t crc;
} bare[] = {
	{RAFT_MSG_APPEND_REPLY, 0x8f2fa218},
	{RAFT_MSG_VOTE, 0x9a46c9a1},
	{RAFT_MSG_VOTE_REPLY, 0x9d5307f2},
	{RAFT_MSG_PRE_VOTE, 0x946d5507},
	{RAFT_MSG_PRE_VOTE_REPLY, 0x93789b54},
	{RAFT_MSG_TRANSFER, 0xb781d080},
	{RAFT_MSG_TIMEOUT_NOW, 0xa2e8bb39},
	{RAFT_MSG_READ_INDEX, 0xa5fd756a},
	{RAFT_MSG_READ_INDEX_REPLY, 0xacc3279f},
	{RAFT_MSG_FORGET_LEADER, 0xabd6e9cc},
};

enum {
	BARE_COUNT = sizeof(bare) / sizeof(bare[0]),
	ROOM = 4096,
};

static const uint8_t cluster[16] = {0, 1, 2,  3,  4,  5,  6,  7,
				    8, 9, 10, 11, 12, 13, 14, 15};

static const struct {
	const uint8_t *bytes;
	uint32_t size;
	uint8_t lane;
	uint64_t sequence;
} frames[] = {
	{golden_append, sizeof(golden_append), NODE_BULK, 5},
	{golden_vote, sizeof(golden_vote), NODE_CONTROL, 0x0a0b0c0d0e0f1011},
	{golden_heartbeat, sizeof(golden_heartbeat), NODE_CONTROL, 2},
	{golden_snapshot, sizeof(golden_snapshot), NODE_BULK, 1},
	{golden_forward, sizeof(golden_forward), NODE_BULK, 3},
	{golden_nack, sizeof(golden_nack), NODE_CONTROL, 4},
	{golden_ask, sizeof(golden_ask), NODE_CONTROL, 6},
	{golden_chunk, sizeof(golden_chunk), NODE_BULK, 7},
	{golden_seek, sizeof(golden_seek), NODE_CONTROL, 9},
	{golden_found, sizeof(golden_found), NODE_BULK, 8},
};

enum {
	FRAME_COUNT = sizeof(frames) / sizeof(frames[0]),
};

/* ---- greetings ---- */

static struct wire_greeting good_greeting(void)
{
	struct wire_greeting greeting = {
		.from = 0x0102030405060708,
		.to = 0x1112131415161718,
		.incarnation = 0x2122232425262728,
		.lane = NODE_BULK,
	};

	memcpy(greeting.cluster, cluster, sizeof(cluster));
	wire_greeting_seal(&greeting);
	return greeting;
}

/* What a member says that does not seal as this version does. */
static int check_resealed(struct wire_greeting greeting)
{
	struct wire_greeting out;
	uint8_t bytes[WIRE_GREETING_SIZE];

	memcpy(bytes, &greeting, sizeof(bytes));
	greeting.crc = crc32c(0, bytes + 12, sizeof(bytes) - 12);
	memcpy(bytes, &greeting, sizeof(bytes));
	return wire_greeting_check(bytes, &out);
}

START_TEST(bytes_of_a_greeting_are_pinned)
{
	struct wire_greeting greeting = good_greeting();

	ck_assert_uint_eq(sizeof(greeting), sizeof(golden_greeting));
	ck_assert_mem_eq(&greeting, golden_greeting, sizeof(greeting));
}
END_TEST

START_TEST(a_golden_greeting_is_accepted)
{
	struct wire_greeting greeting;

	ck_assert_int_eq(wire_greeting_check(golden_greeting, &greeting), 0);
	ck_assert_uint_eq(greeting.from, 0x0102030405060708);
	ck_assert_uint_eq(greeting.to, 0x1112131415161718);
	ck_assert_uint_eq(greeting.incarnation, 0x2122232425262728);
	ck_assert_uint_eq(greeting.lane, NODE_BULK);
	ck_assert_int_eq(greeting.status, 0);
	ck_assert_int_eq(wire_greeting_judge(&greeting, cluster, greeting.to),
			 WIRE_OK);
}
END_TEST

START_TEST(every_flipped_bit_of_a_greeting_is_noticed)
{
	uint8_t bytes[sizeof(golden_greeting)];
	struct wire_greeting out;

	for (uint32_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
		memcpy(bytes, golden_greeting, sizeof(bytes));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(wire_greeting_check(bytes, &out), -EBADMSG);
	}
}
END_TEST

START_TEST(impossible_greetings_are_refused)
{
	struct wire_greeting bad = good_greeting();

	ck_assert_int_eq(check_resealed(bad), 0);
	bad.magic++;
	ck_assert_int_eq(check_resealed(bad), -EBADMSG);
	bad = good_greeting();
	bad.from = 0;
	ck_assert_int_eq(check_resealed(bad), -EBADMSG);
	bad = good_greeting();
	bad.version_min = 0;
	ck_assert_int_eq(check_resealed(bad), -EBADMSG);
	bad = good_greeting();
	bad.version_min = 2;
	ck_assert_int_eq(check_resealed(bad), -EBADMSG);
	bad = good_greeting();
	bad.reserved1[0] = 1;
	ck_assert_int_eq(check_resealed(bad), -EBADMSG);
	bad = good_greeting();
	bad.reserved1[55] = 1;
	ck_assert_int_eq(check_resealed(bad), -EBADMSG);
	bad = good_greeting();
	bad.reserved0 = 1;
	ck_assert_int_eq(check_resealed(bad), -EBADMSG);
}
END_TEST

START_TEST(a_greeting_of_a_newer_version_may_say_more)
{
	struct wire_greeting newer = good_greeting();

	newer.version_max = WIRE_VERSION + 1;
	newer.reserved1[0] = 1;
	ck_assert_int_eq(check_resealed(newer), 0);
	ck_assert_int_eq(wire_greeting_judge(&newer, cluster, newer.to),
			 WIRE_OK);
	newer.version_min = WIRE_VERSION + 1;
	ck_assert_int_eq(check_resealed(newer), 0);
	ck_assert_int_eq(wire_greeting_judge(&newer, cluster, newer.to),
			 WIRE_EVERSION);
}
END_TEST

START_TEST(releases_are_compared_by_what_is_in_force)
{
	static const struct {
		uint16_t version, in_force; /* of the greeting */
		uint32_t ours, ours_in_force;
		int order;
	} rows[] = {
		{0, 0, 1, 1, 0},  {1, 1, 1, 1, 0},  {0, 0, 2, 1, 0},
		{0, 0, 2, 2, -1}, {1, 1, 3, 2, -1}, {2, 1, 3, 2, 0},
		{2, 2, 1, 1, 1},  {3, 2, 2, 2, 0},  {3, 3, 2, 2, 1},
		{3, 1, 2, 2, 0},
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_greeting greeting = good_greeting();

		greeting.version = rows[i].version;
		greeting.in_force = rows[i].in_force;
		ck_assert_int_eq(wire_greeting_compare(&greeting, rows[i].ours,
						       rows[i].ours_in_force),
				 rows[i].order);
		greeting.entry_format = ENTRY_FORMAT - 1;
		ck_assert_int_eq(wire_greeting_compare(&greeting, rows[i].ours,
						       rows[i].ours_in_force),
				 -1);
	}
}
END_TEST

START_TEST(who_does_not_belong_here_is_told_why)
{
	struct wire_greeting greeting = good_greeting();
	uint8_t other[16];

	for (uint32_t i = 0; i < sizeof(other); i++) {
		memcpy(other, cluster, sizeof(other));
		other[i] ^= 1;
		ck_assert_int_eq(
			wire_greeting_judge(&greeting, other, greeting.to),
			WIRE_ECLUSTER);
	}
	ck_assert_int_eq(wire_greeting_judge(&greeting, cluster, 9),
			 WIRE_EMEMBER);
	greeting.from = greeting.to;
	ck_assert_int_eq(wire_greeting_judge(&greeting, cluster, greeting.to),
			 WIRE_ETWICE);
	greeting = good_greeting();
	greeting.lane = NODE_LANES;
	ck_assert_int_eq(wire_greeting_judge(&greeting, cluster, greeting.to),
			 WIRE_ELANE);
}
END_TEST

START_TEST(every_refusal_has_a_sentence_of_its_own)
{
	for (int a = WIRE_OK; a <= WIRE_ENAME + 1; a++) {
		const char *text = wire_refusal_text(a);
		ck_assert_int_gt(strlen(text), 10);
		for (int b = WIRE_OK; b < a; b++)
			ck_assert_str_ne(text, wire_refusal_text(b));
	}
	ck_assert_str_eq(wire_refusal_text(-1), wire_refusal_text(99));
}
END_TEST

/* ---- frames ---- */

static int check_frame(const uint8_t *bytes, uint8_t lane, uint64_t sequence)
{
	struct wire_frame frame;
	int result = wire_check(bytes, lane, sequence, &frame);

	if (result < 0)
		return result;
	return wire_check_body(&frame, bytes + WIRE_HEADER_SIZE);
}

/* A header with its checksum, whatever else is wrong. */
static int check_header(struct wire_frame frame, uint8_t lane)
{
	uint8_t bytes[WIRE_HEADER_SIZE];
	struct wire_frame out;

	memcpy(bytes, &frame, sizeof(bytes));
	frame.crc = crc32c(0, bytes + 4, sizeof(bytes) - 4);
	memcpy(bytes, &frame, sizeof(bytes));
	return wire_check(bytes, lane, frame.sequence, &out);
}

static struct wire_frame header_of(const uint8_t *bytes)
{
	struct wire_frame frame;

	memcpy(&frame, bytes, sizeof(frame));
	return frame;
}

static struct raft_message full_message(uint8_t type)
{
	struct raft_message message = {
		.type = type,
		.forced = true,
		.from = 1,
		.to = 2,
		.term = 0x0101010101010107,
		.log_index = 0x0202020202020202,
		.log_term = 0x0303030303030303,
		.commit = 0x0404040404040404,
		.commit_term = 0x0505050505050505,
		.reject_hint = 0x0606060606060606,
		.round = 0x0707070707070707,
		.first_index = 0x0808080808080808,
	};

	return message;
}

START_TEST(bytes_of_frames_without_body_are_pinned)
{
	struct raft_message message = full_message(bare[_i].type);
	uint8_t expected[sizeof(golden_vote)];
	struct wire_frame frame;

	wire_from_message(&message, &frame);
	frame.sequence = 0x0a0b0c0d0e0f1011;
	wire_seal(&frame);
	memcpy(expected, golden_vote, sizeof(expected));
	memcpy(expected, &bare[_i].crc, 4);
	expected[8] = bare[_i].type;
	ck_assert_mem_eq(&frame, expected, sizeof(expected));
	ck_assert_uint_eq(wire_frame_size(&frame), WIRE_HEADER_SIZE);
	ck_assert(!wire_is_bulk(frame.type));
	ck_assert_int_eq(check_frame(expected, NODE_CONTROL, frame.sequence),
			 0);
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame.body_size = 8;
	ck_assert_int_eq(check_header(frame, NODE_CONTROL), -EBADMSG);
}
END_TEST

START_TEST(golden_frames_are_accepted_on_their_lane_alone)
{
	struct wire_frame frame = header_of(frames[_i].bytes);
	uint8_t lane = frames[_i].lane;

	ck_assert_uint_eq(wire_frame_size(&frame), frames[_i].size);
	ck_assert_int_eq(wire_is_bulk(frame.type), lane == NODE_BULK);
	ck_assert_int_eq(
		check_frame(frames[_i].bytes, lane, frames[_i].sequence), 0);
	ck_assert_int_eq(
		check_frame(frames[_i].bytes, !lane, frames[_i].sequence),
		-EBADMSG);
}
END_TEST

START_TEST(golden_frames_are_made_again_from_their_parts)
{
	struct wire_frame frame = header_of(frames[_i].bytes);
	const uint8_t *body = frames[_i].bytes + WIRE_HEADER_SIZE;

	frame.crc = 0;
	frame.reserved0 = 1;
	frame.reserved1 = 1;
	frame.body_crc = wire_body_crc(frame.type, body, frame.body_size);
	wire_seal(&frame);
	ck_assert_mem_eq(&frame, frames[_i].bytes, sizeof(frame));
}
END_TEST

START_TEST(every_flipped_bit_of_a_frame_is_noticed)
{
	uint8_t bytes[ROOM];

	ck_assert_uint_le(frames[_i].size, sizeof(bytes));
	for (uint32_t bit = 0; bit < frames[_i].size * 8; bit++) {
		memcpy(bytes, frames[_i].bytes, frames[_i].size);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(check_frame(bytes, frames[_i].lane,
					     frames[_i].sequence),
				 -EBADMSG);
	}
}
END_TEST

START_TEST(a_frame_out_of_sequence_is_refused)
{
	const uint8_t *bytes = frames[_i].bytes;
	uint64_t sequence = frames[_i].sequence;

	ck_assert_int_eq(check_frame(bytes, frames[_i].lane, sequence - 1),
			 -EBADMSG);
	ck_assert_int_eq(check_frame(bytes, frames[_i].lane, sequence + 1),
			 -EBADMSG);
}
END_TEST

START_TEST(a_type_that_does_not_exist_is_refused)
{
	struct wire_frame frame = header_of(golden_nack);
	uint32_t known = 0;

	for (uint32_t type = 0; type <= UINT8_MAX; type++) {
		bool raft = type > RAFT_MSG_PROPOSE &&
			    type <= RAFT_MSG_FORGET_LEADER;
		bool ours = type >= WIRE_FORWARD && type <= WIRE_FOUND &&
			    type != WIRE_STATE;
		uint8_t lane =
			wire_is_bulk((uint8_t)type) ? NODE_BULK : NODE_CONTROL;
		frame.type = (uint8_t)type;
		frame.flags = type == WIRE_IMAGE_CHUNK ? WIRE_REJECT : 0;
		if (check_header(frame, lane) == 0)
			known++;
		else
			ck_assert(!raft || lane == NODE_BULK ||
				  type == RAFT_MSG_HEARTBEAT ||
				  type == RAFT_MSG_HEARTBEAT_REPLY);
		ck_assert(raft || ours || check_header(frame, lane) < 0);
	}
	/* Those that may be without body: not heartbeats, images, forwards,
	 * states. */
	ck_assert_uint_eq(known, 16);
}
END_TEST

START_TEST(fields_that_a_type_has_no_use_for_are_refused)
{
	struct wire_frame frame = header_of(golden_vote);

	frame.count = 1;
	ck_assert_int_eq(check_header(frame, NODE_CONTROL), -EBADMSG);
	frame = header_of(golden_vote);
	frame.flags = 8;
	ck_assert_int_eq(check_header(frame, NODE_CONTROL), -EBADMSG);
	frame = header_of(golden_vote);
	frame.reserved0 = 1;
	ck_assert_int_eq(check_header(frame, NODE_CONTROL), -EBADMSG);
	frame = header_of(golden_vote);
	frame.reserved1 = 1;
	ck_assert_int_eq(check_header(frame, NODE_CONTROL), -EBADMSG);
	frame = header_of(golden_vote);
	frame.body_crc = 1;
	ck_assert_int_eq(check_header(frame, NODE_CONTROL), -EBADMSG);
	frame = header_of(golden_append);
	frame.body_crc = 1;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
}
END_TEST

/* The size of the body alone decides; what is larger is never waited for. */
START_TEST(each_type_has_its_largest_body)
{
	static const struct {
		const uint8_t *bytes;
		uint8_t lane;
		uint32_t min, max;
	} rows[] = {
		{golden_heartbeat, NODE_CONTROL, 24, 24},
		{golden_snapshot, NODE_BULK, 16, 16 + WIRE_HEAD_MAX},
		{golden_forward, NODE_BULK, 64, WIRE_BODY_MAX},
		{golden_append, NODE_BULK, 128, WIRE_BODY_MAX},
		{golden_chunk, NODE_BULK, 1, WIRE_CHUNK_MAX},
		{golden_nack, NODE_CONTROL, 0, 0},
		{golden_ask, NODE_CONTROL, 0, 0},
		{golden_seek, NODE_CONTROL, 0, 0},
		{golden_found, NODE_BULK, 128, WIRE_BODY_MAX},
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_frame frame = header_of(rows[i].bytes);
		frame.body_size = rows[i].min;
		ck_assert_int_eq(check_header(frame, rows[i].lane), 0);
		frame.body_size = rows[i].max;
		ck_assert_int_eq(check_header(frame, rows[i].lane), 0);
		frame.body_size = rows[i].max + 8;
		ck_assert_int_eq(check_header(frame, rows[i].lane), -EBADMSG);
		frame.body_size = UINT32_MAX;
		ck_assert_int_eq(check_header(frame, rows[i].lane), -EBADMSG);
		if (rows[i].min == 0)
			continue;
		frame.body_size = rows[i].min - 1;
		ck_assert_int_eq(check_header(frame, rows[i].lane), -EBADMSG);
	}
}
END_TEST

START_TEST(who_sends_entries_counts_them)
{
	const uint8_t *golden = _i ? golden_found : golden_append;
	struct wire_frame frame = header_of(golden);

	frame.count = WIRE_ENTRIES_MAX;
	frame.body_size = WIRE_ENTRIES_MAX * ENTRY_HEADER_SIZE;
	ck_assert_int_eq(check_header(frame, NODE_BULK), 0);
	frame.count++;
	frame.body_size += ENTRY_HEADER_SIZE;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame.count = 2;
	frame.body_size = 2 * ENTRY_HEADER_SIZE - 8;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame.body_size = 2 * ENTRY_HEADER_SIZE + 4;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame.count = 0;
	frame.body_size = 64;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame.body_size = 0;
	frame.first_index = 0;
	ck_assert_int_eq(check_header(frame, NODE_BULK), 0);
	frame.count = 1;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame = header_of(golden);
	frame.first_index++;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
}
END_TEST

START_TEST(a_chunk_has_a_body_or_says_that_there_is_none)
{
	struct wire_frame frame = header_of(golden_chunk);

	frame.flags = WIRE_REJECT;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame.body_size = 0;
	frame.body_crc = 0;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame.count = 0;
	ck_assert_int_eq(check_header(frame, NODE_BULK), 0);
	frame.flags = 0;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
	frame = header_of(golden_chunk);
	frame.count = 2;
	ck_assert_int_eq(check_header(frame, NODE_BULK), -EBADMSG);
}
END_TEST

/* ---- bodies ---- */

/* One entry with a payload of `size` bytes; its own size. */
static uint32_t put_entry(uint8_t *at, uint64_t index, uint64_t term,
			  uint32_t size)
{
	struct entry_header header = {
		.size = size,
		.op_count = 1,
		.kind = ENTRY_NORMAL,
		.origin = 1,
	};

	memcpy(at, &header, sizeof(header));
	memset(at + sizeof(header), 0x5a, size);
	entry_seal(at);
	if (index > 0)
		entry_stamp(at, index, term);
	return entry_size(size);
}

static int check_entries(uint8_t type, const uint64_t indexes[3],
			 const uint64_t terms[3], uint32_t count)
{
	uint8_t body[ROOM] = {0};
	struct wire_frame frame = {
		.type = type,
		.count = count,
		.term = 7,
		.log_index = 40,
		.log_term = 5,
		.first_index = 41,
	};

	for (uint32_t i = 0; i < 3; i++)
		frame.body_size += put_entry(body + frame.body_size, indexes[i],
					     terms[i], 5 * i);
	return wire_check_body(&frame, body);
}

/* An answer to who has lost them is checked alike. */
static int check_append(const uint64_t indexes[3], const uint64_t terms[3],
			uint32_t count)
{
	int result = check_entries(RAFT_MSG_APPEND, indexes, terms, count);

	ck_assert_int_eq(check_entries(WIRE_FOUND, indexes, terms, count),
			 result);
	return result;
}

START_TEST(entries_follow_each_other)
{
	static const uint64_t rising[3] = {41, 42, 43};
	static const uint64_t terms[3] = {5, 5, 7};

	ck_assert_int_eq(check_append(rising, terms, 3), 0);
	ck_assert_int_eq(check_append(rising, terms, 2), -EBADMSG);
	ck_assert_int_eq(check_append(rising, terms, 4), -EBADMSG);
	ck_assert_int_eq(check_append((uint64_t[]){40, 41, 42}, terms, 3),
			 -EBADMSG);
	ck_assert_int_eq(check_append((uint64_t[]){41, 43, 44}, terms, 3),
			 -EBADMSG);
	ck_assert_int_eq(check_append((uint64_t[]){41, 41, 42}, terms, 3),
			 -EBADMSG);
}
END_TEST

START_TEST(terms_of_entries_neither_fall_nor_pass_the_senders)
{
	static const uint64_t rising[3] = {41, 42, 43};

	ck_assert_int_eq(check_append(rising, (uint64_t[]){4, 5, 6}, 3),
			 -EBADMSG);
	ck_assert_int_eq(check_append(rising, (uint64_t[]){6, 5, 6}, 3),
			 -EBADMSG);
	ck_assert_int_eq(check_append(rising, (uint64_t[]){5, 6, 8}, 3),
			 -EBADMSG);
	ck_assert_int_eq(check_append(rising, (uint64_t[]){7, 7, 7}, 3), 0);
}
END_TEST

START_TEST(a_forward_is_one_entry_that_nobody_stamped)
{
	uint8_t body[ROOM] = {0};
	struct wire_frame frame = {.type = WIRE_FORWARD};

	frame.body_size = put_entry(body, 0, 0, 13);
	frame.body_crc = wire_body_crc(frame.type, body, frame.body_size);
	ck_assert_int_eq(wire_check_body(&frame, body), 0);
	frame.body_size += 8; /* something follows it */
	ck_assert_int_eq(wire_check_body(&frame, body), -EBADMSG);
	frame.body_size -= 16;
	ck_assert_int_eq(wire_check_body(&frame, body), -EBADMSG);
	frame.body_size = put_entry(body, 9, 9, 13);
	frame.body_crc = wire_body_crc(frame.type, body, frame.body_size);
	ck_assert_int_eq(wire_check_body(&frame, body), -EBADMSG);
}
END_TEST

START_TEST(an_image_says_how_long_its_head_is)
{
	uint8_t body[ROOM] = {0};
	struct wire_image image = {.chunks = 3, .head_size = 21};
	struct wire_frame frame = {.type = RAFT_MSG_SNAPSHOT,
				   .body_size = sizeof(image) + 21};

	memcpy(body, &image, sizeof(image));
	frame.body_crc = wire_body_crc(frame.type, body, frame.body_size);
	ck_assert_int_eq(wire_check_body(&frame, body), 0);
	image.head_size = 22;
	memcpy(body, &image, sizeof(image));
	frame.body_crc = wire_body_crc(frame.type, body, frame.body_size);
	ck_assert_int_eq(wire_check_body(&frame, body), -EBADMSG);
	image.head_size = 21;
	image.reserved = 1;
	memcpy(body, &image, sizeof(image));
	frame.body_crc = wire_body_crc(frame.type, body, frame.body_size);
	ck_assert_int_eq(wire_check_body(&frame, body), -EBADMSG);
}
END_TEST

/* ---- Raft's messages ---- */

START_TEST(every_message_comes_back_as_it_went)
{
	struct raft_message there = full_message((uint8_t)_i);
	struct raft_message back;
	struct wire_frame frame;

	there.reject = _i % 2;
	there.forced = _i % 3 == 0;
	there.lost = _i % 5 == 0;
	there.entry_count = _i == RAFT_MSG_APPEND ? 17 : 0;
	if (_i == RAFT_MSG_PROPOSE)
		there.entry_count = 1;
	wire_from_message(&there, &frame);
	wire_to_message(&frame, 1, 2, &back);
	ck_assert_int_eq(frame.type,
			 _i == RAFT_MSG_PROPOSE ? WIRE_FORWARD : _i);
	ck_assert_uint_eq(back.type, there.type);
	ck_assert_uint_eq(back.reject, there.reject);
	ck_assert_uint_eq(back.forced, there.forced);
	ck_assert_uint_eq(back.lost, there.lost);
	ck_assert_uint_eq(back.from, 1);
	ck_assert_uint_eq(back.to, 2);
	ck_assert_uint_eq(back.term, there.term);
	ck_assert_uint_eq(back.log_index, there.log_index);
	ck_assert_uint_eq(back.log_term, there.log_term);
	ck_assert_uint_eq(back.commit, there.commit);
	ck_assert_uint_eq(back.commit_term, there.commit_term);
	ck_assert_uint_eq(back.reject_hint, there.reject_hint);
	ck_assert_uint_eq(back.round, there.round);
	ck_assert_uint_eq(back.first_index, there.first_index);
	ck_assert_uint_eq(back.entry_count, there.entry_count);
	ck_assert_ptr_null(back.entries);
	ck_assert_ptr_null(back.snapshot);
}
END_TEST

static TCase *greeting_tests(void)
{
	TCase *tests = tcase_create("greeting");

	tcase_add_test(tests, bytes_of_a_greeting_are_pinned);
	tcase_add_test(tests, a_golden_greeting_is_accepted);
	tcase_add_test(tests, every_flipped_bit_of_a_greeting_is_noticed);
	tcase_add_test(tests, impossible_greetings_are_refused);
	tcase_add_test(tests, a_greeting_of_a_newer_version_may_say_more);
	tcase_add_test(tests, who_does_not_belong_here_is_told_why);
	tcase_add_test(tests, releases_are_compared_by_what_is_in_force);
	tcase_add_test(tests, every_refusal_has_a_sentence_of_its_own);
	return tests;
}

static TCase *frame_tests(void)
{
	TCase *tests = tcase_create("frame");

	tcase_add_loop_test(tests, bytes_of_frames_without_body_are_pinned, 0,
			    BARE_COUNT);
	tcase_add_loop_test(tests,
			    golden_frames_are_accepted_on_their_lane_alone, 0,
			    FRAME_COUNT);
	tcase_add_loop_test(tests,
			    golden_frames_are_made_again_from_their_parts, 0,
			    FRAME_COUNT);
	tcase_add_loop_test(tests, every_flipped_bit_of_a_frame_is_noticed, 0,
			    FRAME_COUNT);
	tcase_add_loop_test(tests, a_frame_out_of_sequence_is_refused, 0,
			    FRAME_COUNT);
	tcase_add_test(tests, a_type_that_does_not_exist_is_refused);
	tcase_add_test(tests, fields_that_a_type_has_no_use_for_are_refused);
	tcase_add_test(tests, each_type_has_its_largest_body);
	tcase_add_loop_test(tests, who_sends_entries_counts_them, 0, 2);
	tcase_add_test(tests, a_chunk_has_a_body_or_says_that_there_is_none);
	return tests;
}

static TCase *body_tests(void)
{
	TCase *tests = tcase_create("body");

	tcase_add_test(tests, entries_follow_each_other);
	tcase_add_test(tests,
		       terms_of_entries_neither_fall_nor_pass_the_senders);
	tcase_add_test(tests, a_forward_is_one_entry_that_nobody_stamped);
	tcase_add_test(tests, an_image_says_how_long_its_head_is);
	tcase_add_loop_test(tests, every_message_comes_back_as_it_went,
			    RAFT_MSG_PROPOSE, RAFT_MSG_FORGET_LEADER + 1);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("wire");

	suite_add_tcase(suite, greeting_tests());
	suite_add_tcase(suite, frame_tests());
	suite_add_tcase(suite, body_tests());
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
