/*
 * A node under test: the real one, over the real log and the real store, on
 * the disk in memory, in virtual time. Its clients are in support_handle.h.
 */
#ifndef TESTS_UNIT_SUPPORT_NODE_H
#define TESTS_UNIT_SUPPORT_NODE_H

#include "daemon/node.h"
#include "daemon/node_stages.h"
#include "raft/entry.h"
#include "tests/unit/support_disk.h"

#include <assert.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum rig_sizes {
	RIG_SEGMENT = 4 << 20,
	RIG_STORE = 256 << 20,
	RIG_TICK_NS = 10000000,
	RIG_STEP_NS = 1000,
	RIG_SHOW_NS = 1000000,
	RIG_TURNS_MAX = 20000,
	RIG_UID = 1000,
};

struct rig {
	struct disk *disk;
	struct disk_op *kept; /* operations that the disk sits on */
	struct disk_op *kept_last;
	bool keeps;
	uint32_t keep_kinds; /* bits 1 << enum disk_op_kind */
	struct wal_options wal_options;
	struct wal_report report;
	struct wal *wal;
	void *wal_memory;
	struct store_settings settings;
	struct store *store;
	void *store_memory;
	struct node_options options;
	struct node *node;
	void *node_memory;
	struct cv_status status;
	uint64_t now_ns;
	uint64_t slept_ns; /* the host was suspended for so long */
	uint64_t starts;
};

/* ---- the node ---- */

static inline void rig_init(struct rig *rig)
{
	*rig = (struct rig){
		.disk = mem_disk_new(),
		.wal_options =
			{
				.member = 7,
				.seed = 42,
				.segment_size = RIG_SEGMENT,
				.spares_min = 1,
				.buffers = 8,
				.snapshot_after = 1ull << 40,
				.create = true,
			},
		.settings =
			{
				.quota_bytes = 4 << 20,
				.session_expiry_ms = 600000,
				.tombstone_ms = 600000,
				.sessions_max = 1000,
				.store_address_bytes = RIG_STORE,
			},
		.options =
			{
				.member = 7,
				.seed = 1,
				.tick_ns = RIG_TICK_NS,
				.election_ticks = 10,
				.heartbeat_ticks = 1,
				.handles_max = 16,
				.user_handles_max = 12,
				.entries_max = 1 << 16,
				.batch_size = NODE_BATCH_SIZE,
				.uncommitted_max = 64 << 20,
			},
		.now_ns = 1000000000,
	};
	memcpy(rig->wal_options.cluster, "a test's cluster", 16);
	memcpy(rig->options.cluster, "a test's cluster", 16);
	rig->options.voters.voters[0] = 7;
	rig->options.voters.voter_count = 1;
}

/* What wal_open(), store_init() or node_init() says. */
static inline int rig_try(struct rig *rig)
{
	int code;

	assert(!rig->node_memory);
	rig->options.incarnation = ++rig->starts;
	rig->options.status = &rig->status;
	memset(&rig->status, 0, sizeof(rig->status));
	rig->wal_memory =
		aligned_alloc(4096, wal_memory_size(&rig->wal_options));
	rig->store_memory =
		mmap(NULL, RIG_STORE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(rig->wal_memory && rig->store_memory != MAP_FAILED);
	rig->node_memory = aligned_alloc(4096, node_memory_size(&rig->options));
	assert(rig->node_memory);
	memset(rig->node_memory, 0, node_memory_size(&rig->options));
	code = wal_open(&rig->wal, rig->disk, &rig->wal_options,
			rig->wal_memory, &rig->report);
	if (code)
		return code;
	code = store_init(&rig->store, rig->store_memory, RIG_STORE,
			  &rig->settings);
	if (code)
		return code;
	return node_init(&rig->node, &rig->options, rig->wal, &rig->report,
			 rig->store, rig->node_memory);
}

/* The process dies: what the disk has not finished did not happen. */
static inline void rig_crash(struct rig *rig)
{
	mem_disk_crash(rig->disk);
	rig->kept = NULL;
	rig->keeps = false;
	free(rig->wal_memory);
	free(rig->node_memory);
	(void)munmap(rig->store_memory, RIG_STORE);
	rig->wal_memory = NULL;
	rig->node_memory = NULL;
	rig->node = NULL;
}

static inline void rig_release(struct rig *rig)
{
	rig_crash(rig);
	mem_disk_free(rig->disk);
}

static inline void rig_append(struct disk_op **first, struct disk_op **last,
			      struct disk_op *op)
{
	op->next = NULL;
	if (*first)
		(*last)->next = op;
	else
		*first = op;
	*last = op;
}

/* What was submitted in this turn joins what the disk sits on. */
static inline void rig_keep(struct rig *rig)
{
	struct disk_op *op = rig->disk->first, *next;

	rig->disk->first = NULL;
	rig->disk->last = NULL;
	for (; op; op = next) {
		next = op->next;
		if (rig->keep_kinds >> op->kind & 1)
			rig_append(&rig->kept, &rig->kept_last, op);
		else
			rig_append(&rig->disk->first, &rig->disk->last, op);
	}
}

/* From now on the disk finishes nothing of these kinds. */
static inline void rig_stall_kinds(struct rig *rig, uint32_t kinds)
{
	rig->keeps = true;
	rig->keep_kinds = kinds;
	rig_keep(rig);
}

static inline void rig_stall(struct rig *rig)
{
	rig_stall_kinds(rig, UINT32_MAX);
}

static inline void rig_unstall(struct rig *rig)
{
	rig->keeps = false;
	if (!rig->kept)
		return;
	rig->kept_last->next = rig->disk->first;
	if (!rig->disk->first)
		rig->disk->last = rig->kept_last;
	rig->disk->first = rig->kept;
	rig->kept = NULL;
}

/* One turn, a microsecond later, over all handles. */
static inline int rig_turn(struct rig *rig)
{
	int work;

	rig->now_ns += RIG_STEP_NS;
	rig->disk->history_count = 0; /* nobody asks for it */
	node_clock(rig->node, rig->now_ns + rig->slept_ns);
	work = node_turn(rig->node, rig->now_ns, true);
	if (rig->keeps)
		rig_keep(rig);
	return work;
}

static inline void rig_turns(struct rig *rig, uint32_t count)
{
	while (count-- > 0)
		ck_assert_int_ge(rig_turn(rig), 0);
}

/* Turns until a turn finds nothing to do and the disk is at rest. */
static inline void rig_settle(struct rig *rig)
{
	uint32_t turns;

	for (turns = 0; turns < RIG_TURNS_MAX; turns++) {
		int work = rig_turn(rig);

		ck_assert_int_ge(work, 0);
		if (work || !(rig->keeps || wal_idle(rig->wal)))
			continue;
		/* The gauges are shown once in a millisecond. */
		rig->now_ns += RIG_SHOW_NS;
		if (!rig_turn(rig))
			return;
	}
	ck_abort_msg("the node never comes to rest");
}

/* Lets time pass in steps of a tick. */
static inline void rig_pass(struct rig *rig, uint64_t ns)
{
	uint64_t end_ns = rig->now_ns + ns;

	while (rig->now_ns < end_ns) {
		rig->now_ns += RIG_TICK_NS - RIG_STEP_NS;
		ck_assert_int_ge(rig_turn(rig), 0);
	}
	rig_settle(rig);
}

/* Starts; then it leads. */
static inline void rig_start(struct rig *rig)
{
	ck_assert_int_eq(rig_try(rig), 0);
	rig_settle(rig);
	ck_assert_uint_eq(rig->status.role, RAFT_LEADER);
}

/* A node whose own vote the disk has not taken: there is no leader. */
static inline void rig_start_leaderless(struct rig *rig)
{
	ck_assert_int_eq(rig_try(rig), 0);
	rig_turns(rig, 1);
	rig_stall(rig);
	rig_turns(rig, 3);
	ck_assert_uint_eq(rig->status.leader, 0);
}

/* Starts anew over what the disk has. */
static inline void rig_restart(struct rig *rig)
{
	rig_crash(rig);
	rig_start(rig);
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
