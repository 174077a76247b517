/*
 * Memory comes once: a core that leads, follows, takes images, changes its
 * membership and serves reads asks the allocator for nothing.
 *
 * Three cores, and a fourth that joins later, exchange messages in a row;
 * their disks answer at once. Whatever this file itself needs is static.
 */
#include "raft/conf.h"
#include "raft/entry.h"
#include "raft/raft.h"
#include "tests/support/count_malloc.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum memory_sizes {
	CORES = 4,
	FOUNDERS = 3,
	ROW = 1024, /* messages on their way */
	ROW_ENTRIES = 64, /* in one of them */
	PROPOSALS = 5000,
	CHANGE_SIZE = 128,
};

struct parcel {
	struct raft_message message;
	struct raft_entry entries[ROW_ENTRIES];
	struct raft_snapshot snapshot;
};

static struct raft *cores[CORES];
static void *memory[CORES];
static struct raft_snapshot image[CORES]; /* what each has applied */
static struct parcel row[ROW];
static unsigned int row_begin, row_end;
static uint64_t changes[2 * CORES][CHANGE_SIZE / 8];
static unsigned int change_count;
static unsigned int elections, images, reads, wrong;

/* Check may allocate; what goes wrong in between is counted. */
static void must(bool good)
{
	wrong += !good;
}

static void set_up(void)
{
	const struct raft_hard_state hard = {0};
	struct raft_options options = {
		.election_ticks = 10,
		.heartbeat_ticks = 1,
		.pre_vote = true,
		.check_quorum = true,
		.lease = true,
		.forwarding = true,
		.entries_max = 256,
		.messages_max = 128,
		.reads_max = 16,
		.inflight_max = 8,
		.append_size_max = 4096,
		.committed_size_max = 4096,
	};

	for (unsigned int i = 0; i < CORES; i++) {
		struct raft_snapshot birth = {0};

		options.id = i + 1;
		options.seed = i + 1;
		for (unsigned int j = 0; i < FOUNDERS && j < FOUNDERS; j++)
			birth.conf.voters[j] = j + 1;
		birth.conf.voter_count = i < FOUNDERS ? FOUNDERS : 0;
		memory[i] = aligned_alloc(64, raft_memory_size(&options));
		ck_assert_ptr_nonnull(memory[i]);
		ck_assert_int_eq(raft_init(&cores[i], &options, &hard, &birth,
					   memory[i]),
				 0);
		image[i] = birth;
	}
}

static void tear_down(void)
{
	for (unsigned int i = 0; i < CORES; i++)
		free(memory[i]);
}

static void post(unsigned int from, const struct raft_message *message)
{
	struct parcel *parcel = &row[row_end % ROW];

	must(row_end - row_begin < ROW);
	must(message->entry_count <= ROW_ENTRIES);
	row_end++;
	parcel->message = *message;
	parcel->message.entries = parcel->entries;
	for (uint32_t i = 0; i < message->entry_count; i++)
		parcel->entries[i] =
			message->type == RAFT_MSG_APPEND
				? *raft_entry_at(cores[from],
						 message->first_index + i)
				: message->entries[i];
	if (!message->snapshot)
		return;
	parcel->snapshot = *message->snapshot;
	parcel->message.snapshot = &parcel->snapshot;
}

static void deliver(void)
{
	struct parcel *parcel = &row[row_begin++ % ROW];
	const struct raft_message *message = &parcel->message;
	int err = raft_receive(cores[message->to - 1], message);

	must(err == 0 || err == RAFT_EUNKNOWN_PEER);
	if (message->type == RAFT_MSG_SNAPSHOT)
		raft_report_snapshot(cores[message->from - 1], message->to,
				     true);
}

static void apply(unsigned int at, uint64_t last)
{
	struct raft_snapshot *own = &image[at];

	while (own->index < last) {
		const struct raft_entry *entry =
			raft_entry_at(cores[at], own->index + 1);

		must(entry != NULL);
		own->index = entry->index;
		own->term = entry->term;
		if (entry->kind == ENTRY_CONF_V2)
			must(raft_apply_conf(cores[at], entry, &own->conf) ==
			     0);
	}
	raft_applied(cores[at], last);
}

static void compact(unsigned int at)
{
	raft_offer_snapshot(cores[at], &image[at]);
	raft_compact(cores[at], image[at].index);
}

static void turn(unsigned int at)
{
	struct raft *raft = cores[at];
	const struct raft_entry *last;
	struct raft_ready ready;

	raft_ready(raft, &ready);
	for (uint32_t i = 0; i < ready.message_count; i++)
		post(at, &ready.messages[i]);
	if (ready.soft_changed && ready.role == RAFT_LEADER)
		elections++;
	reads += ready.read_count;
	if (ready.snapshot) {
		image[at] = *ready.snapshot;
		images++;
	}
	raft_advance(raft);
	last = ready.append_last ? raft_entry_at(raft, ready.append_last)
				 : NULL;
	if (ready.must_sync)
		raft_persisted(raft, ready.number, ready.append_last,
			       last ? last->term : 0);
	if (ready.apply_last)
		apply(at, ready.apply_last);
	if (image[at].index % 100 > 90)
		compact(at);
}

static void settle(void)
{
	bool busy = true;

	while (busy) {
		busy = row_begin != row_end;
		while (row_begin != row_end)
			deliver();
		for (unsigned int i = 0; i < CORES; i++) {
			if (!raft_has_ready(cores[i]))
				continue;
			turn(i);
			busy = true;
		}
	}
}

static void tick_all(unsigned int ticks)
{
	while (ticks-- > 0) {
		for (unsigned int i = 0; i < CORES; i++)
			raft_tick(cores[i]);
		settle();
	}
}

/* Through the core at `at`, which may have to forward it. */
static void propose_some(unsigned int at, unsigned int count)
{
	static const char bytes[8];
	struct raft_entry entry = {
		.kind = ENTRY_NORMAL, .size = 100, .data = bytes};
	uint64_t index, term;

	for (unsigned int i = 0; i < count; i++) {
		must(raft_propose(cores[at], &entry, &index, &term) == 0);
		if (i % 8 == 7)
			settle();
		if (i % 64 == 63)
			tick_all(1);
	}
	settle();
}

static void change(uint8_t transition, uint8_t type, uint64_t id)
{
	struct raft_conf_changes wish = {.transition = transition, .count = 1};
	uint8_t *bytes = (uint8_t *)changes[change_count++];
	struct raft_entry entry = {.kind = ENTRY_CONF_V2, .data = bytes};
	uint64_t index, term;

	wish.changes[0].type = type;
	wish.changes[0].id = id;
	raft_conf_encode(&wish, bytes + ENTRY_HEADER_SIZE);
	entry.size = (uint32_t)raft_conf_size(1);
	must(raft_propose(cores[0], &entry, &index, &term) == 0);
	settle();
	tick_all(3);
}

static void live(void)
{
	tick_all(1);
	must(raft_campaign(cores[0]) == 0);
	settle();
	propose_some(0, PROPOSALS);
	propose_some(1, 100);
	must(raft_read_index(cores[0], 1) == 0);
	must(raft_read_index(cores[1], 2) == 0);
	tick_all(2);
	compact(0);
	change(RAFT_TRANSITION_AUTO, RAFT_ADD_LEARNER, 4);
	change(RAFT_TRANSITION_IMPLICIT, RAFT_ADD_VOTER, 4);
	change(RAFT_TRANSITION_AUTO, RAFT_REMOVE, 4);
	must(raft_transfer(cores[0], 2) == 0);
	settle();
	tick_all(12);
	propose_some(1, 100);
	raft_evict(cores[1], image[1].index);
	raft_report_unreachable(cores[1], 1);
	tick_all(5);
}

START_TEST(a_core_asks_for_no_memory_after_its_birth)
{
	struct raft_status status;
	uint64_t before = malloc_count, after;

	live();
	after = malloc_count;
	ck_assert_uint_ge(before, CORES); /* the counter counts */
	ck_assert_uint_eq(after, before);
	ck_assert_uint_eq(wrong, 0);
	raft_status(cores[1], &status);
	ck_assert_uint_eq(status.role, RAFT_LEADER);
	ck_assert_uint_gt(status.commit, PROPOSALS + 200);
	ck_assert_uint_eq(status.conf.voter_count, FOUNDERS);
	ck_assert_uint_ge(elections, 2);
	ck_assert_uint_ge(images, 1);
	ck_assert_uint_eq(reads, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft_memory");
	TCase *tests = tcase_create("memory");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_test(tests, a_core_asks_for_no_memory_after_its_birth);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
