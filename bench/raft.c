/*
 * The Raft core alone: proposals a second through one core, and through
 * three that exchange their messages in memory, at batches of 1, 16 and 256.
 *
 * The disk answers at once and the state machine only counts, so what is
 * left is what the core itself costs. The floor is one copy of the payload to
 * its place in a log of the same window, which the core never makes. What is
 * asked of the allocator meanwhile is counted; there is nothing.
 */
#include "bench/bench.h"

#include "raft/entry.h"
#include "raft/raft.h"
#include "tests/support/count_malloc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum raft_bench_sizes {
	CORES_MAX = 3,
	BATCH_MAX = 256,
	WINDOW = 1 << 14,
	PAYLOAD = 256,
	PROPOSALS = 400000, /* in one round, at full length */
	COMPACT_EVERY = 1024,
};

struct cores {
	struct raft *raft[CORES_MAX];
	void *memory[CORES_MAX];
	unsigned int count;
};

static const char payload[PAYLOAD];

static const struct raft_options shape = {
	.seed = 1,
	.election_ticks = 10,
	.heartbeat_ticks = 1,
	.entries_max = WINDOW,
	.messages_max = 1024,
	.reads_max = 16,
	.inflight_max = 512,
	.append_size_max = 1 << 20,
	.forwarding = true,
};

static void cores_release(struct cores *cores)
{
	for (unsigned int i = 0; i < cores->count; i++)
		free(cores->memory[i]);
}

static int cores_init(struct cores *cores, unsigned int count)
{
	const struct raft_hard_state hard = {0};
	struct raft_snapshot birth = {0};
	struct raft_options options = shape;

	cores->count = count;
	for (unsigned int i = 0; i < count; i++)
		birth.conf.voters[i] = i + 1;
	birth.conf.voter_count = (uint8_t)count;
	for (unsigned int i = 0; i < count; i++)
		cores->memory[i] = NULL;
	for (unsigned int i = 0; i < count; i++) {
		options.id = i + 1;
		cores->memory[i] =
			aligned_alloc(64, raft_memory_size(&options));
		if (!cores->memory[i])
			return -ENOMEM;
		if (raft_init(&cores->raft[i], &options, &hard, &birth,
			      cores->memory[i]))
			return -EINVAL;
	}
	return 0;
}

/* To the core it is for, with descriptors from the window of its sender. */
static int deliver(struct cores *cores, unsigned int from,
		   const struct raft_message *message)
{
	struct raft_message copy = *message;
	static struct raft_entry entries[BATCH_MAX];

	if (copy.entry_count > BATCH_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < copy.entry_count; i++)
		entries[i] =
			*raft_entry_at(cores->raft[from], copy.first_index + i);
	copy.entries = entries;
	return raft_receive(cores->raft[copy.to - 1], &copy);
}

/* One ready: what is to be written is durable at once. */
static int turn(struct cores *cores, unsigned int at)
{
	struct raft *raft = cores->raft[at];
	struct raft_ready ready;
	int err = 0;

	raft_ready(raft, &ready);
	for (uint32_t i = 0; i < ready.message_count && !err; i++)
		err = deliver(cores, at, &ready.messages[i]);
	raft_advance(raft);
	if (ready.append_last)
		raft_persisted(raft, ready.number, ready.append_last,
			       raft_entry_at(raft, ready.append_last)->term);
	else if (ready.must_sync)
		raft_persisted(raft, ready.number, 0, 0);
	if (ready.apply_last) {
		raft_applied(raft, ready.apply_last);
		if (ready.apply_last % COMPACT_EVERY < BATCH_MAX)
			raft_compact(raft, ready.apply_last);
	}
	return err;
}

static int settle(struct cores *cores)
{
	bool busy = true;
	int err = 0;

	while (busy && !err) {
		busy = false;
		for (unsigned int i = 0; i < cores->count && !err; i++) {
			if (!raft_has_ready(cores->raft[i]))
				continue;
			err = turn(cores, i);
			busy = true;
		}
	}
	return err;
}

static int propose_all(struct cores *cores, uint32_t batch, uint64_t count,
		       double *ret_ns)
{
	const struct raft_entry entry = {
		.kind = ENTRY_NORMAL, .size = PAYLOAD, .data = payload};
	uint64_t began = bench_now_ns();

	for (uint64_t done = 0; done < count; done += batch) {
		uint64_t index, term;
		int err = 0;

		for (uint32_t i = 0; i < batch && !err; i++)
			err = raft_propose(cores->raft[0], &entry, &index,
					   &term);
		if (!err)
			err = settle(cores);
		if (err)
			return err;
	}
	*ret_ns = (double)(bench_now_ns() - began) / (double)count;
	return 0;
}

/* Nanoseconds for copying one payload to where a log would have it. */
static int copy_floor(uint64_t count, double *ret_ns)
{
	uint8_t *log = malloc((size_t)WINDOW * PAYLOAD);
	uint64_t began;

	if (!log)
		return -ENOMEM;
	memset(log, 1, (size_t)WINDOW * PAYLOAD);
	began = bench_now_ns();
	for (uint64_t i = 0; i < count; i++) {
		uint8_t *at = log + i % WINDOW * PAYLOAD;

		memcpy(at, payload, PAYLOAD);
		/* Keeps the compiler from leaving the copies out. */
		__asm__ volatile("" ::"r"(at) : "memory");
	}
	*ret_ns = (double)(bench_now_ns() - began) / (double)count;
	free(log);
	return 0;
}

static int run(struct bench *bench, unsigned int members, uint32_t batch,
	       struct bench_figure *ret_figure)
{
	uint64_t count = (uint64_t)PROPOSALS * bench->scale_percent / 100;
	struct bench_round rounds[BENCH_ROUNDS];
	uint64_t asked = 0;
	struct cores cores;
	int err = cores_init(&cores, members);

	count = count / batch * batch + batch;
	if (!err)
		err = raft_campaign(cores.raft[0]);
	if (!err)
		err = settle(&cores);
	for (uint32_t i = 0; i < BENCH_ROUNDS && !err; i++) {
		double floor_ns, ns;

		err = copy_floor(count, &floor_ns);
		asked -= malloc_count;
		if (!err)
			err = propose_all(&cores, batch, count, &ns);
		asked += malloc_count;
		if (err)
			break;
		rounds[i].floor = 1e3 / floor_ns;
		rounds[i].value = 1e3 / ns;
	}
	cores_release(&cores);
	if (err)
		return err;
	ret_figure->unit = "M/s";
	ret_figure->floor_name = "copies of 256 B";
	ret_figure->more_is_better = true;
	bench_conclude(ret_figure, rounds, BENCH_ROUNDS, count * BENCH_ROUNDS);
	(void)snprintf(ret_figure->note, sizeof(ret_figure->note),
		       "%" PRIu64 " allocations after birth", asked);
	return asked == 0 ? 0 : -ENOMEM;
}

int bench_raft_one(struct bench *bench, struct bench_figure *ret_figure)
{
	return run(bench, 1, 1, ret_figure);
}

int bench_raft_one_16(struct bench *bench, struct bench_figure *ret_figure)
{
	return run(bench, 1, 16, ret_figure);
}

int bench_raft_one_256(struct bench *bench, struct bench_figure *ret_figure)
{
	return run(bench, 1, BATCH_MAX, ret_figure);
}

int bench_raft_three(struct bench *bench, struct bench_figure *ret_figure)
{
	return run(bench, 3, 1, ret_figure);
}

int bench_raft_three_16(struct bench *bench, struct bench_figure *ret_figure)
{
	return run(bench, 3, 16, ret_figure);
}

int bench_raft_three_256(struct bench *bench, struct bench_figure *ret_figure)
{
	return run(bench, 3, BATCH_MAX, ret_figure);
}
