/*
 * The head of a snapshot: what the log keeps beside the store's image, so
 * that Raft can begin with it.
 *
 *   0  u32  magic       NODE_HEAD_MAGIC
 *   4  u32  format      1
 *   8  u8[16] cluster
 *  24  u64  index       of the last entry in the image
 *  32  u64  term
 *  40  u64  revision
 *  48  u64  hash low, 56 high: of the store at index
 *  64  u64  store_address_bytes
 *  72  u8   voters, 73 learners, 74 outgoing, 75 learners next: counts
 *  76  u8   auto leave, 77 reserved (3)
 *  80  u64[4][16] ids: voters, learners, outgoing, learners next
 */
#ifndef DAEMON_NODE_HEAD_H
#define DAEMON_NODE_HEAD_H

#include "daemon/store/store.h"
#include "wal/wal.h"

#define NODE_HEAD_MAGIC 0x50534e43u /* "CNSP" */

enum node_head_format {
	NODE_HEAD_FORMAT = 1,
};

struct node_head {
	uint32_t magic;
	uint32_t format;
	uint8_t cluster[16];
	uint64_t index;
	uint64_t term;
	uint64_t revision;
	uint64_t hash[2];
	uint64_t address_bytes;
	uint8_t counts[4];
	uint8_t auto_leave;
	uint8_t reserved[3];
	uint64_t ids[4][RAFT_MEMBERS_MAX];
};

_Static_assert(sizeof(struct node_head) == 80 + 4 * 16 * 8, "head");
_Static_assert(offsetof(struct node_head, counts) == 72, "head");
_Static_assert(sizeof(struct node_head) <= WAL_HEAD_MAX, "head");

/* The head of `store` as it is, for `cluster`, at (index, term, conf). */
void node_head_fill(const struct store *store, const uint8_t cluster[16],
		    const struct raft_snapshot *snapshot,
		    struct node_head *ret_head);

/* Checks the head in `size` bytes: 0, or -EBADMSG. */
int node_head_read(const void *bytes, uint32_t size, struct node_head *ret_head)
	__attribute__((warn_unused_result));

/* What a head says of Raft. */
void node_head_snapshot(const struct node_head *head,
			struct raft_snapshot *ret_snapshot);

#endif
