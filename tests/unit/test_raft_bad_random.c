/*
 * A core among peers that lie: messages of random types with fields that are
 * right, nearly right or absurd, between what its shell does. No assertion
 * fails; what is refused changes nothing; and what no peer can take back,
 * term and commit, never falls.
 */
#include "tests/unit/support_raft_draw.h"
#include "tests/unit/support_raft_say.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum sizes {
	STEPS = 10000,
	ENTRIES = 6,
};

static struct core one;
static struct draw draw;
static void *before;
static unsigned int taken, refused, led;
static unsigned int noise; /* one field in so many is not quite right */

static uint64_t some(uint64_t below)
{
	return draw_below(&draw, below);
}

static void set_up(void)
{
	taken = 0;
	refused = 0;
	led = 0;
}

static void tear_down(void)
{
	core_release(&one);
	free(before);
	before = NULL;
}

/* About `right`, or anything. */
static uint64_t near(uint64_t right)
{
	static const uint64_t absurd[] = {0, 1, UINT64_MAX, RAFT_COUNT_MAX,
					  UINT64_MAX / 2};

	if (some(10 * (uint64_t)noise) == 0)
		return absurd[some(sizeof(absurd) / sizeof(absurd[0]))];
	if (some(noise) == 0)
		return right + some(5) - (right >= 2 ? 2 : right);
	return right;
}

/* Terms may rise, but not so far that nothing is left to happen. */
static uint64_t any_term(void)
{
	uint64_t term = near(core_status(&one)->term);

	return term > 1000000 && term <= RAFT_COUNT_MAX ? 1 : term;
}

static uint64_t any_index(void)
{
	const struct raft_status *now = core_status(&one);

	switch (some(3)) {
	case 0:
		return near(now->commit);
	case 1:
		return near(now->first_index);
	default:
		return near(now->last_index);
	}
}

/* The term that stands there, or one that does not. */
static uint64_t term_at(uint64_t index)
{
	const struct raft_entry *entry = raft_entry_at(one.raft, index);

	return near(entry ? entry->term : some(3));
}

static void any_entries(struct raft_message *message,
			struct raft_entry *entries)
{
	uint64_t term = message->log_term;

	message->first_index = near(message->log_index + 1);
	message->entry_count = (uint32_t)some(ENTRIES + 1);
	if (message->type == RAFT_MSG_PROPOSE)
		message->entry_count = some(10) ? 1 : (uint32_t)some(3);
	for (uint32_t i = 0; i < message->entry_count; i++) {
		if (some(3) == 0)
			term = near(message->term);
		entries[i] = core_entry(message->first_index + i, term);
		if (some(30) == 0)
			entries[i].index = any_index();
		if (some(30) == 0)
			entries[i].size = (uint32_t)near(ENTRY_PAYLOAD_MAX);
		/* Changes of membership without bytes: some leave. */
		if (some(20) == 0) {
			entries[i].kind =
				some(2) ? ENTRY_CONF_V2 : ENTRY_CONF_V1;
			entries[i].size = some(2) ? 0 : entries[i].size;
		}
	}
	if (message->entry_count > 0 && some(40))
		message->entries = entries;
}

static void any_image(struct raft_snapshot *image)
{
	struct raft_conf_state *conf = &image->conf;

	*image = (struct raft_snapshot){.index = near(any_index() + some(20))};
	image->term = term_at(image->index);
	if (image->index > 1000000 && image->index <= RAFT_COUNT_MAX)
		image->index = 5; /* the rig's disk is not as large */
	for (uint64_t id = 1; id < 6; id++) {
		if (some(4) > 0 && id < 4)
			conf->voters[conf->voter_count++] = id;
		else if (some(4) == 0)
			conf->learners[conf->learner_count++] = id;
		if (some(10) == 0)
			conf->outgoing[conf->outgoing_count++] = id;
		if (some(30) == 0)
			conf->learners_next[conf->learner_next_count++] = id;
	}
	conf->auto_leave = some(4) == 0;
}

static int any_message(void)
{
	struct raft_entry entries[ENTRIES];
	struct raft_snapshot image;
	struct raft_message message = {.type = (uint8_t)some(17),
				       .from = some(30) ? 2 + some(3)
							: some(12),
				       .reject = some(3) == 0,
				       .forced = some(5) == 0};
	size_t size = raft_memory_size(&one.options);
	int err;

	message.term = any_term();
	if (message.type == RAFT_MSG_PROPOSE ||
	    message.type == RAFT_MSG_READ_INDEX)
		message.term = some(20) == 0;
	message.log_index = any_index();
	message.log_term = term_at(message.log_index);
	message.commit = any_index();
	message.commit_term = term_at(message.commit);
	message.reject_hint = near(message.log_index);
	message.round = some(4) ? some(20) : near(1);
	if (some(5) > 0)
		any_entries(&message, entries);
	any_image(&image);
	message.snapshot = some(40) ? &image : NULL;
	memcpy(before, one.memory, size);
	err = core_offer(&one, message);
	if (err == RAFT_EINVALID || err == RAFT_EUNKNOWN_PEER) {
		refused++;
		if (message.type != RAFT_MSG_PROPOSE)
			ck_assert_mem_eq(before, one.memory, size);
	} else if (err == 0) {
		taken++;
	}
	return err;
}

/* What a shell may do at any time. */
static void any_call(void)
{
	switch (some(12)) {
	case 0:
		(void)!raft_campaign(one.raft);
		break;
	case 1:
		(void)!core_propose(&one, (uint32_t)some(100));
		break;
	case 2:
		(void)!raft_read_index(one.raft, some(100));
		break;
	case 3:
		(void)!raft_transfer(one.raft, some(5));
		break;
	case 4:
		raft_forget_leader(one.raft);
		break;
	case 5:
		raft_report_unreachable(one.raft, some(6));
		break;
	case 6:
		raft_report_snapshot(one.raft, some(6), some(2));
		break;
	case 7:
		raft_evict(one.raft, any_index());
		break;
	default:
		raft_tick(one.raft);
	}
}

static void any_turn(void)
{
	switch (some(6)) {
	case 0:
		core_settle(&one);
		break;
	case 1:
	case 2:
		if (one.write_count + 1 < CORE_WRITES_MAX)
			(void)core_take(&one);
		break;
	case 3:
		core_persist_some(&one,
				  (unsigned int)some(one.write_count + 1));
		break;
	case 4:
		core_apply(&one);
		break;
	default:
		/* Sometimes the process ends; more often the log is full. */
		if (some(50) == 0)
			core_start(&one);
		else if (core_status(&one)->applied == one.image.index &&
			 one.image.index > 0 && one.write_count == 0)
			core_compact(&one);
	}
}

static void check_marks(const struct raft_status *was)
{
	const struct raft_status *now = core_status(&one);

	ck_assert_uint_ge(now->term, was->term);
	ck_assert_uint_ge(now->commit, was->commit);
	ck_assert_uint_le(now->commit, now->last_index);
	ck_assert_uint_le(now->stable_index, now->last_index);
	ck_assert_uint_le(now->applied, now->commit);
	ck_assert_uint_ge(now->stable_index + 1, now->first_index);
	ck_assert(raft_conf_is_valid(&now->conf));
	ck_assert(now->role != RAFT_LEADER || now->leader == now->id);
	if (now->term == was->term && was->vote != 0)
		ck_assert_uint_eq(now->vote, was->vote);
}

static void live(void)
{
	noise = some(2) ? 3 : 20;
	one.options.pre_vote = some(2);
	one.options.check_quorum = some(2);
	one.options.lease = one.options.check_quorum && some(2);
	one.options.step_down_on_removal = some(2);
	one.options.entries_max = 64;
	one.options.messages_max = 96;
	one.options.committed_size_max = some(2) ? 500 : 0;
	one.options.append_size_max = 300;
	core_start(&one);
	before = malloc(raft_memory_size(&one.options));
	ck_assert_ptr_nonnull(before);
}

START_TEST(no_lie_of_a_peer_ends_in_an_assertion)
{
	struct raft_status was;

	draw_init(&draw, (uint64_t)_i);
	core_init(&one, 1, 3);
	live();
	for (unsigned int step = 0; step < STEPS; step++) {
		was = *core_status(&one);
		if (some(3) > 0)
			(void)any_message();
		else
			any_call();
		check_marks(&was);
		led += core_status(&one)->role == RAFT_LEADER;
		if (some(3) == 0)
			any_turn();
	}
	ck_assert_uint_gt(taken, STEPS / 20);
	ck_assert_uint_gt(refused, STEPS / 20);
	ck_assert_uint_gt(led, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("raft, peers that lie");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_set_timeout(all, 60);
	tcase_add_loop_test(all, no_lie_of_a_peer_ends_in_an_assertion, 0, 8);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
