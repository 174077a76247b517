/*
 * One of three members, the other two played by the test: what it refuses,
 * what it promises and when, and what its lease rests on.
 */
#include "raft/conf.h"
#include "raft/entry.h"
#include "raft/raft.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum test_sizes {
	ELECTION = 10,
};

static struct raft_options options;
static struct raft_snapshot birth;
static struct raft_hard_state hard;
static void *memory;
static struct raft *raft;
static struct raft_ready ready;
static uint64_t term_seen;

static void make(void)
{
	free(memory);
	memory = aligned_alloc(64, raft_memory_size(&options));
	ck_assert_ptr_nonnull(memory);
	ck_assert_int_eq(raft_init(&raft, &options, &hard, &birth, memory), 0);
}

static void set_up(void)
{
	options = (struct raft_options){
		.id = 1,
		.seed = 7,
		.election_ticks = ELECTION,
		.heartbeat_ticks = 1,
		.entries_max = 256,
		.messages_max = 128,
		.reads_max = 16,
		.inflight_max = 16,
		.append_size_max = 1 << 20,
		.check_quorum = true,
		.lease = true,
	};
	birth = (struct raft_snapshot){0};
	for (uint64_t i = 0; i < 3; i++)
		birth.conf.voters[i] = i + 1;
	birth.conf.voter_count = 3;
	hard = (struct raft_hard_state){0};
	make();
}

static void tear_down(void)
{
	free(memory);
	memory = NULL;
}

static const struct raft_status *status(void)
{
	static struct raft_status now;

	raft_status(raft, &now);
	return &now;
}

static void take(void)
{
	raft_ready(raft, &ready);
	raft_advance(raft);
}

static void persist(void)
{
	const struct raft_entry *last = raft_entry_at(raft, ready.append_last);

	if (ready.must_sync)
		raft_persisted(raft, ready.number, ready.append_last,
			       last ? last->term : 0);
}

/* The last message of `type` to `to` in the next ready, which is taken. */
static bool take_message(uint8_t type, uint64_t to, struct raft_message *out)
{
	bool found = false;

	raft_ready(raft, &ready);
	for (uint32_t i = 0; i < ready.message_count; i++) {
		if (ready.messages[i].type == type &&
		    ready.messages[i].to == to) {
			*out = ready.messages[i];
			found = true;
		}
	}
	raft_advance(raft);
	return found;
}

static int give(struct raft_message message)
{
	message.to = 1;
	return raft_receive(raft, &message);
}

static int give_append(uint64_t from, uint64_t term, uint64_t log_index,
		       uint64_t log_term, const struct raft_entry *entries,
		       uint32_t count)
{
	return give((struct raft_message){
		.type = RAFT_MSG_APPEND,
		.from = from,
		.term = term,
		.log_index = log_index,
		.log_term = log_term,
		.first_index = count ? log_index + 1 : 0,
		.entry_count = count,
		.entries = entries,
	});
}

static int give_beat(uint64_t from, uint64_t term)
{
	return give((struct raft_message){
		.type = RAFT_MSG_HEARTBEAT, .from = from, .term = term});
}

static int give_vote_reply(uint64_t from, uint64_t term, bool reject)
{
	return give((struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					  .from = from,
					  .term = term,
					  .reject = reject});
}

static int give_vote(uint64_t from, uint64_t term, bool forced)
{
	return give((struct raft_message){.type = RAFT_MSG_VOTE,
					  .from = from,
					  .term = term,
					  .log_index = 100,
					  .log_term = term - 1,
					  .forced = forced});
}

static struct raft_entry entry_of(uint64_t index, uint64_t term)
{
	return (struct raft_entry){
		.index = index, .term = term, .kind = ENTRY_NORMAL, .size = 8};
}

static void lead(void)
{
	struct raft_message append;

	ck_assert_int_eq(raft_campaign(raft), 0);
	take();
	persist();
	term_seen = status()->term;
	ck_assert_int_eq(give_vote_reply(2, term_seen, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert(take_message(RAFT_MSG_APPEND, 2, &append));
	persist();
	ck_assert_int_eq(
		give((struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					   .from = 2,
					   .term = term_seen,
					   .log_index = status()->last_index}),
		0);
	take();
	raft_applied(raft, status()->commit);
	ck_assert_uint_eq(status()->commit, status()->last_index);
}

/* A round of heartbeats, and the answer of one member to it. */
static void answer_round(uint64_t from)
{
	struct raft_message beat;

	raft_tick(raft);
	ck_assert(take_message(RAFT_MSG_HEARTBEAT, from, &beat));
	ck_assert_int_eq(
		give((struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					   .from = from,
					   .term = term_seen,
					   .round = beat.round}),
		0);
}

START_TEST(refuses_messages_that_no_member_sends)
{
	struct raft_message good = {
		.type = RAFT_MSG_HEARTBEAT, .from = 2, .term = 1};
	struct raft_message bad = good;

	bad.type = 0;
	ck_assert_int_eq(give(bad), RAFT_EINVALID);
	bad.type = RAFT_MSG_FORGET_LEADER;
	ck_assert_int_eq(give(bad), RAFT_EINVALID);
	bad = good;
	bad.from = 1;
	ck_assert_int_eq(give(bad), RAFT_EINVALID);
	bad.from = 0;
	ck_assert_int_eq(give(bad), RAFT_EINVALID);
	bad = good;
	bad.term = 0;
	ck_assert_int_eq(give(bad), RAFT_EINVALID);
	bad = good;
	bad.to = 2;
	ck_assert_int_eq(raft_receive(raft, &bad), RAFT_EINVALID);
	bad = good;
	bad.type = RAFT_MSG_APPEND;
	bad.entry_count = 1;
	ck_assert_int_eq(give(bad), RAFT_EINVALID);
	bad = good;
	bad.type = RAFT_MSG_SNAPSHOT;
	ck_assert_int_eq(give(bad), RAFT_EINVALID);
	bad = good;
	bad.type = RAFT_MSG_VOTE_REPLY;
	bad.from = 9;
	ck_assert_int_eq(give(bad), RAFT_EUNKNOWN_PEER);
	ck_assert_uint_eq(status()->term, 0);
	ck_assert_int_eq(give(good), 0);
	ck_assert_uint_eq(status()->term, 1);
}
END_TEST

START_TEST(refuses_entries_that_do_not_follow)
{
	struct raft_entry pair[2] = {entry_of(1, 1), entry_of(3, 1)};

	ck_assert_int_eq(give_append(2, 1, 0, 0, pair, 2), RAFT_EINVALID);
	pair[1] = entry_of(2, 2); /* newer than its sender */
	ck_assert_int_eq(give_append(2, 1, 0, 0, pair, 2), RAFT_EINVALID);
	pair[0] = entry_of(1, 2);
	pair[1] = entry_of(2, 1); /* terms fall */
	ck_assert_int_eq(give_append(2, 2, 0, 0, pair, 2), RAFT_EINVALID);
	ck_assert_uint_eq(status()->last_index, 0);
}
END_TEST

START_TEST(refuses_to_cut_what_is_committed)
{
	struct raft_entry old = entry_of(1, 1), other = entry_of(1, 2);
	struct raft_message append = {.type = RAFT_MSG_APPEND,
				      .from = 2,
				      .term = 1,
				      .first_index = 1,
				      .entry_count = 1,
				      .entries = &old,
				      .commit = 1};

	ck_assert_int_eq(give(append), 0);
	ck_assert_uint_eq(status()->commit, 1);
	/* Before the commit index nothing is looked at. */
	ck_assert_int_eq(give_append(3, 2, 0, 0, &other, 1), 0);
	ck_assert_uint_eq(raft_entry_at(raft, 1)->term, 1);
}
END_TEST

START_TEST(refuses_to_commit_what_it_does_not_have)
{
	struct raft_message beat = {
		.type = RAFT_MSG_HEARTBEAT, .from = 2, .term = 1, .commit = 5};

	ck_assert_int_eq(give(beat), RAFT_EINVALID);
	ck_assert_uint_eq(status()->commit, 0);
}
END_TEST

START_TEST(refuses_answers_to_what_was_never_sent)
{
	struct raft_message reply = {.type = RAFT_MSG_APPEND_REPLY, .from = 2};

	lead();
	reply.term = term_seen;
	reply.log_index = status()->last_index + 1;
	ck_assert_int_eq(give(reply), RAFT_EINVALID);
	reply.type = RAFT_MSG_HEARTBEAT_REPLY;
	reply.log_index = 0;
	reply.round = 1000;
	ck_assert_int_eq(give(reply), RAFT_EINVALID);
	/* Another leader of the same term cannot be. */
	ck_assert_int_eq(give_beat(3, term_seen), RAFT_EINVALID);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(votes_once_per_term)
{
	struct raft_message reply;

	ck_assert_int_eq(give_vote(2, 2, false), 0);
	ck_assert(!take_message(RAFT_MSG_VOTE_REPLY, 2, &reply));
	ck_assert(ready.must_sync);
	ck_assert_uint_eq(ready.hard.vote, 2);
	persist();
	ck_assert(take_message(RAFT_MSG_VOTE_REPLY, 2, &reply));
	ck_assert(!reply.reject);
	ck_assert_int_eq(give_vote(3, 2, false), 0);
	ck_assert(take_message(RAFT_MSG_VOTE_REPLY, 3, &reply));
	ck_assert(reply.reject);
	/* To the same one again. */
	ck_assert_int_eq(give_vote(2, 2, false), 0);
	ck_assert(take_message(RAFT_MSG_VOTE_REPLY, 2, &reply));
	ck_assert(!reply.reject);
}
END_TEST

START_TEST(leads_only_when_its_own_vote_is_durable)
{
	ck_assert_int_eq(raft_campaign(raft), 0);
	take();
	ck_assert_int_eq(give_vote_reply(2, 1, false), 0);
	ck_assert_int_eq(give_vote_reply(3, 1, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	persist();
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
}
END_TEST

START_TEST(late_writes_do_not_make_a_rewritten_log_stable)
{
	struct raft_entry first = entry_of(1, 1), other = entry_of(1, 2);
	struct raft_entry again[2] = {entry_of(1, 1), entry_of(2, 3)};
	uint64_t numbers[3];

	ck_assert_int_eq(give_append(2, 1, 0, 0, &first, 1), 0);
	take();
	numbers[0] = ready.number;
	ck_assert_int_eq(give_append(3, 2, 0, 0, &other, 1), 0);
	take();
	numbers[1] = ready.number;
	ck_assert_uint_eq(ready.append_first, 1);
	ck_assert_int_eq(give_append(2, 3, 0, 0, again, 2), 0);
	take();
	numbers[2] = ready.number;
	ck_assert_uint_eq(ready.append_first, 1);
	ck_assert_uint_eq(ready.append_last, 2);
	/* (1, 1) stands there again, but the disk will yet write (1, 2). */
	raft_persisted(raft, numbers[0], 1, 1);
	ck_assert_uint_eq(status()->stable_index, 0);
	raft_persisted(raft, numbers[1], 1, 2);
	ck_assert_uint_eq(status()->stable_index, 0);
	raft_persisted(raft, numbers[2], 2, 3);
	ck_assert_uint_eq(status()->stable_index, 2);
}
END_TEST

START_TEST(acknowledges_only_what_is_durable)
{
	struct raft_entry first = entry_of(1, 1);
	struct raft_message reply;

	ck_assert_int_eq(give_append(2, 1, 0, 0, &first, 1), 0);
	ck_assert(!take_message(RAFT_MSG_APPEND_REPLY, 2, &reply));
	ck_assert(!raft_has_ready(raft));
	persist();
	ck_assert(take_message(RAFT_MSG_APPEND_REPLY, 2, &reply));
	ck_assert_uint_eq(reply.log_index, 1);
	/* Nothing is on its way to the disk: the same again goes at once. */
	ck_assert_int_eq(give_append(2, 1, 0, 0, &first, 1), 0);
	ck_assert(take_message(RAFT_MSG_APPEND_REPLY, 2, &reply));
	ck_assert_uint_eq(reply.log_index, 1);
}
END_TEST

START_TEST(keeps_quiet_after_a_restart)
{
	struct raft_message reply;

	options.quiet_ticks = 3 * ELECTION;
	make();
	for (unsigned int i = 0; i < 3 * ELECTION - 1; i++)
		raft_tick(raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_int_eq(raft_campaign(raft), RAFT_EINVALID);
	ck_assert_int_eq(give_vote(2, 2, true), 0);
	take();
	persist();
	(void)take_message(RAFT_MSG_VOTE_REPLY, 2, &reply);
	ck_assert_uint_eq(status()->vote, 0);
	raft_tick(raft);
	ck_assert_int_eq(give_vote(2, 3, false), 0);
	ck_assert_uint_eq(status()->vote, 2);
}
END_TEST

START_TEST(a_promise_outlives_a_higher_term)
{
	ck_assert_int_eq(give_beat(2, 1), 0);
	/* A stray refusal from the future makes it forget the leader... */
	ck_assert_int_eq(give_vote_reply(3, 5, true), 0);
	ck_assert_uint_eq(status()->term, 5);
	ck_assert_uint_eq(status()->leader, 0);
	/* ...but not what it answered to it. */
	ck_assert_int_eq(give_vote(3, 6, false), 0);
	ck_assert_uint_eq(status()->vote, 0);
	ck_assert_int_eq(raft_campaign(raft), RAFT_EINVALID);
	for (unsigned int i = 0; i < ELECTION; i++)
		raft_tick(raft);
	ck_assert_int_eq(give_vote(3, 7, false), 0);
	ck_assert_uint_eq(status()->vote, 3);
}
END_TEST

START_TEST(a_transfer_overrules_the_promise)
{
	ck_assert_int_eq(give_beat(2, 1), 0);
	ck_assert_int_eq(give_vote(3, 2, true), 0);
	ck_assert_uint_eq(status()->vote, 3);
}
END_TEST

START_TEST(does_not_forget_a_leader_that_holds_a_lease)
{
	ck_assert_int_eq(give_beat(2, 1), 0);
	raft_forget_leader(raft);
	ck_assert_uint_eq(status()->leader, 2);
	options.lease = false;
	make();
	ck_assert_int_eq(give_beat(2, 1), 0);
	raft_forget_leader(raft);
	ck_assert_uint_eq(status()->leader, 0);
}
END_TEST

START_TEST(the_lease_counts_from_when_the_round_was_sent)
{
	struct raft_message beat;

	lead();
	ck_assert_uint_eq(status()->lease.term, 0);
	raft_tick(raft);
	ck_assert(take_message(RAFT_MSG_HEARTBEAT, 2, &beat));
	raft_tick(raft);
	raft_tick(raft);
	take();
	/* The answer to the first round comes late. */
	ck_assert_int_eq(
		give((struct raft_message){.type = RAFT_MSG_HEARTBEAT_REPLY,
					   .from = 2,
					   .term = term_seen,
					   .round = beat.round}),
		0);
	ck_assert_uint_eq(status()->lease.term, term_seen);
	ck_assert_uint_eq(status()->lease.end_tick,
			  1 + (ELECTION - 1) * 9 / 10);
}
END_TEST

START_TEST(no_lease_before_an_entry_of_the_term_is_applied)
{
	ck_assert_int_eq(raft_campaign(raft), 0);
	take();
	persist();
	term_seen = status()->term;
	ck_assert_int_eq(give_vote_reply(2, term_seen, false), 0);
	take();
	persist();
	answer_round(2);
	answer_round(3);
	ck_assert_uint_eq(status()->lease.term, 0);
}
END_TEST

START_TEST(the_lease_ends_with_an_offer_of_leadership)
{
	struct raft_message now;

	lead();
	answer_round(2);
	ck_assert_uint_eq(status()->lease.term, term_seen);
	ck_assert_int_eq(raft_transfer(raft, 2), 0);
	ck_assert_uint_eq(status()->lease.term, 0);
	ck_assert(take_message(RAFT_MSG_TIMEOUT_NOW, 2, &now));
	/* Given up, it still never comes back in this term. */
	for (unsigned int i = 0; i < ELECTION; i++)
		answer_round(2);
	ck_assert_uint_eq(status()->transferee, 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_uint_eq(status()->lease.term, 0);
}
END_TEST

START_TEST(a_leader_without_answers_steps_down)
{
	lead();
	for (unsigned int i = 0; i < 2 * ELECTION; i++)
		raft_tick(raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_uint_eq(status()->lease.term, 0);
}
END_TEST

START_TEST(heartbeats_go_on_while_the_disk_stalls)
{
	struct raft_entry entry = {.kind = ENTRY_NORMAL, .size = 1};
	uint64_t index, term, first;
	struct raft_message beat;

	lead();
	first = status()->last_index + 1;
	for (unsigned int i = 0; i < 200; i++) {
		ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
		answer_round(2);
	}
	raft_tick(raft);
	ck_assert(take_message(RAFT_MSG_HEARTBEAT, 3, &beat));
	ck_assert_uint_eq(status()->stable_index, first - 1);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	/* The disk comes back: one answer speaks for all. */
	raft_persisted(raft, ready.number, index, term);
	ck_assert_uint_eq(status()->stable_index, index);
}
END_TEST

START_TEST(messages_go_without_the_disk)
{
	struct raft_entry entry = {.kind = ENTRY_NORMAL, .size = 1};
	uint64_t index, term;

	lead();
	ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
	raft_tick(raft);
	/* Looked at, and left: the disk is busy. */
	raft_ready(raft, &ready);
	ck_assert(ready.must_sync);
	ck_assert(raft_ready_light(raft, &ready));
	ck_assert(!ready.must_sync);
	ck_assert_uint_eq(ready.append_first, 0);
	ck_assert_uint_ge(ready.message_count, 3);
	raft_advance(raft);
	ck_assert(!raft_ready_light(raft, &ready));
	ck_assert(raft_has_ready(raft));
	raft_tick(raft);
	take();
	ck_assert(ready.must_sync);
	ck_assert_uint_eq(ready.append_first, index);
	ck_assert_uint_eq(ready.append_last, index);
	persist();
	ck_assert_uint_eq(status()->stable_index, index);
}
END_TEST

START_TEST(taking_over_what_is_out_of_date_is_a_bug)
{
	raft_ready(raft, &ready);
	raft_tick(raft);
	raft_advance(raft);
}
END_TEST

START_TEST(elections_do_not_pile_up_while_the_disk_stalls)
{
	for (unsigned int i = 0; i < 100000; i++) {
		raft_tick(raft);
		if (raft_has_ready(raft))
			take();
	}
	ck_assert_uint_gt(status()->term, 1000);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
	raft_persisted(raft, ready.number, 0, 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(the_window_is_bounded_in_bytes)
{
	struct raft_entry entry = {.kind = ENTRY_NORMAL, .size = 600};
	struct raft_message append;
	uint64_t index, term;

	options.inflight_size_max = 1000;
	make();
	lead();
	ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
	ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
	ck_assert(take_message(RAFT_MSG_APPEND, 2, &append));
	ck_assert_uint_eq(append.first_index, index);
	ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
	ck_assert(!take_message(RAFT_MSG_APPEND, 2, &append));
	ck_assert_int_eq(
		give((struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					   .from = 2,
					   .term = term,
					   .log_index = index - 2}),
		0);
	ck_assert(take_message(RAFT_MSG_APPEND, 2, &append));
	ck_assert_uint_eq(append.first_index, index);
}
END_TEST

START_TEST(a_learner_never_campaigns)
{
	birth.conf.voters[0] = 2;
	birth.conf.voters[1] = 3;
	birth.conf.voters[2] = 0;
	birth.conf.voter_count = 2;
	birth.conf.learners[0] = 1;
	birth.conf.learner_count = 1;
	make();
	for (unsigned int i = 0; i < 10 * ELECTION; i++)
		raft_tick(raft);
	ck_assert_uint_eq(status()->role, RAFT_FOLLOWER);
	ck_assert_int_eq(raft_campaign(raft), RAFT_EINVALID);
	/* But it votes: it may be a voter by a change not applied yet. */
	ck_assert_int_eq(give_vote(2, 2, false), 0);
	ck_assert_uint_eq(status()->vote, 2);
}
END_TEST

START_TEST(a_member_without_a_configuration_asks_for_an_image)
{
	struct raft_entry first = entry_of(1, 1);
	struct raft_snapshot image = {.index = 5, .term = 1};
	struct raft_message reply;

	birth.conf = (struct raft_conf_state){0};
	make();
	ck_assert_int_eq(give_append(2, 1, 0, 0, &first, 1), 0);
	take();
	persist();
	ck_assert(take_message(RAFT_MSG_APPEND_REPLY, 2, &reply));
	ck_assert(reply.reject);
	ck_assert_uint_eq(reply.log_index, 0);
	ck_assert_uint_eq(status()->last_index, 0);
	image.conf.voters[0] = 2;
	image.conf.voter_count = 1;
	ck_assert_int_eq(give((struct raft_message){.type = RAFT_MSG_SNAPSHOT,
						    .from = 2,
						    .term = 1,
						    .snapshot = &image}),
			 0);
	take();
	ck_assert_ptr_nonnull(ready.snapshot);
	ck_assert_uint_eq(ready.snapshot->index, 5);
	persist();
	ck_assert_uint_eq(status()->applied, 5);
	ck_assert(take_message(RAFT_MSG_APPEND_REPLY, 2, &reply));
	ck_assert_uint_eq(reply.log_index, 5);
}
END_TEST

START_TEST(a_refusal_tells_what_is_committed)
{
	struct raft_entry pair[2] = {entry_of(1, 1), entry_of(2, 1)};

	ck_assert_int_eq(give_append(2, 1, 0, 0, pair, 2), 0);
	take();
	persist();
	ck_assert_uint_eq(status()->commit, 0);
	ck_assert_int_eq(give((struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
						    .from = 3,
						    .term = 1,
						    .reject = true,
						    .commit = 2,
						    .commit_term = 2}),
			 0);
	ck_assert_uint_eq(status()->commit, 0); /* another entry 2 */
	ck_assert_int_eq(give((struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
						    .from = 3,
						    .term = 1,
						    .reject = true,
						    .commit = 2,
						    .commit_term = 1}),
			 0);
	ck_assert_uint_eq(status()->commit, 2);
}
END_TEST

static int give_image(uint64_t index, uint64_t term)
{
	struct raft_snapshot image = {.index = index, .term = term};

	image.conf = birth.conf;
	return give((struct raft_message){.type = RAFT_MSG_SNAPSHOT,
					  .from = 2,
					  .term = 3,
					  .snapshot = &image});
}

START_TEST(an_image_never_takes_back_what_is_here)
{
	struct raft_entry three[3] = {entry_of(1, 1), entry_of(2, 1),
				      entry_of(3, 2)};

	ck_assert_int_eq(give_append(2, 3, 0, 0, three, 3), 0);
	take();
	persist();
	/* One that the log agrees with only tells what is committed. */
	ck_assert_int_eq(give_image(2, 1), 0);
	take();
	ck_assert_ptr_null(ready.snapshot);
	ck_assert_uint_eq(status()->commit, 2);
	ck_assert_uint_eq(status()->last_index, 3);
	/* One older than what is committed tells nothing. */
	ck_assert_int_eq(give_image(1, 1), 0);
	ck_assert_uint_eq(status()->commit, 2);
	/* One that contradicts the rest replaces it. */
	ck_assert_int_eq(give_image(3, 3), 0);
	ck_assert_uint_eq(status()->first_index, 4);
	ck_assert_uint_eq(status()->last_index, 3);
	take();
	ck_assert_ptr_nonnull(ready.snapshot);
	/* Until it is durable nothing is applied, and no campaign. */
	ck_assert_uint_eq(status()->applied, 0);
	ck_assert_int_eq(raft_campaign(raft), RAFT_EINVALID);
	persist();
	ck_assert_uint_eq(status()->applied, 3);
}
END_TEST

START_TEST(refuses_impossible_images)
{
	ck_assert_int_eq(give_image(0, 1), RAFT_EINVALID);
	ck_assert_int_eq(give_image(5, 4), RAFT_EINVALID);
	birth.conf.voters[2] = 2;
	ck_assert_int_eq(give_image(5, 1), RAFT_EINVALID);
	birth.conf.voter_count = 0;
	ck_assert_int_eq(give_image(5, 1), RAFT_EINVALID);
	ck_assert_uint_eq(status()->last_index, 0);
}
END_TEST

START_TEST(a_failed_image_is_sent_again_after_a_heartbeat)
{
	struct raft_entry entry = {.kind = ENTRY_NORMAL, .size = 8};
	struct raft_snapshot image = {.term = 1};
	struct raft_message message;
	uint64_t index, term;

	lead();
	ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
	take();
	persist();
	ck_assert_int_eq(
		give((struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					   .from = 2,
					   .term = term,
					   .log_index = index}),
		0);
	take();
	raft_applied(raft, index);
	image.index = index;
	image.conf = birth.conf;
	raft_offer_snapshot(raft, &image);
	raft_compact(raft, index);
	/* 3 answers at last, and lacks what is gone. */
	answer_round(3);
	ck_assert(take_message(RAFT_MSG_SNAPSHOT, 3, &message));
	ck_assert_uint_eq(message.snapshot->index, index);
	answer_round(3);
	ck_assert(!take_message(RAFT_MSG_SNAPSHOT, 3, &message));
	raft_report_snapshot(raft, 3, false);
	ck_assert(!take_message(RAFT_MSG_SNAPSHOT, 3, &message));
	answer_round(3);
	ck_assert(take_message(RAFT_MSG_SNAPSHOT, 3, &message));
	/* It arrived: entries follow from behind it. */
	ck_assert_int_eq(
		give((struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					   .from = 3,
					   .term = term,
					   .log_index = index}),
		0);
	ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
	ck_assert(take_message(RAFT_MSG_APPEND, 3, &message));
	ck_assert_uint_eq(message.first_index, index);
}
END_TEST

/* A sealed change of one member, lent as long as the program runs. */
static struct raft_entry change_of(uint8_t type, uint64_t id)
{
	static uint8_t bytes[256];
	struct raft_conf_changes changes = {.count = 1};

	changes.changes[0].type = type;
	changes.changes[0].id = id;
	raft_conf_encode(&changes, bytes + ENTRY_HEADER_SIZE);
	return (struct raft_entry){.kind = ENTRY_CONF_V1,
				   .size = (uint32_t)raft_conf_size(1),
				   .data = bytes};
}

static int give_ack(uint64_t from, uint64_t index)
{
	return give((struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					  .from = from,
					  .term = term_seen,
					  .log_index = index});
}

START_TEST(no_vote_where_a_leader_is_known)
{
	options.lease = false;
	options.check_quorum = false;
	make();
	ck_assert_int_eq(give_beat(2, 1), 0);
	ck_assert_uint_eq(status()->vote, 0);
	ck_assert_int_eq(give_vote(3, 1, false), 0);
	ck_assert_uint_eq(status()->vote, 0);
}
END_TEST

START_TEST(no_campaign_before_a_committed_change_is_applied)
{
	struct raft_entry change = change_of(RAFT_REMOVE, 3);
	struct raft_conf_state conf;

	options.lease = false;
	make();
	change.index = 1;
	change.term = 1;
	ck_assert_int_eq(give((struct raft_message){.type = RAFT_MSG_APPEND,
						    .from = 2,
						    .term = 1,
						    .first_index = 1,
						    .entry_count = 1,
						    .entries = &change,
						    .commit = 1}),
			 0);
	take();
	persist();
	take();
	ck_assert_int_eq(raft_campaign(raft), RAFT_EINVALID);
	ck_assert_int_eq(raft_apply_conf(raft, &change, &conf), 0);
	raft_applied(raft, 1);
	ck_assert_int_eq(raft_campaign(raft), 0);
	ck_assert_uint_eq(status()->role, RAFT_CANDIDATE);
}
END_TEST

START_TEST(one_change_at_a_time)
{
	struct raft_entry change = change_of(RAFT_ADD_LEARNER, 4);
	uint64_t index, term;

	lead();
	ck_assert_int_eq(raft_propose(raft, &change, &index, &term), 0);
	ck_assert_int_eq(raft_propose(raft, &change, &index, &term),
			 RAFT_ECONF_REFUSED);
	ck_assert_uint_gt(strlen(raft_refusal(raft)), 0);
	ck_assert_uint_eq(status()->last_index, index + 1);
	ck_assert_uint_eq(raft_entry_at(raft, index + 1)->kind, ENTRY_EMPTY);
}
END_TEST

START_TEST(a_new_leader_fears_changes_in_its_tail)
{
	struct raft_entry old = entry_of(1, 1);
	struct raft_entry change = change_of(RAFT_ADD_LEARNER, 4);
	uint64_t index, term;

	hard.term = 1;
	make();
	ck_assert_int_eq(raft_load(raft, &old), 0);
	ck_assert_int_eq(raft_campaign(raft), 0);
	take();
	persist();
	ck_assert_int_eq(give_vote_reply(2, 2, false), 0);
	ck_assert_uint_eq(status()->role, RAFT_LEADER);
	ck_assert_int_eq(raft_propose(raft, &change, &index, &term),
			 RAFT_ECONF_REFUSED);
}
END_TEST

START_TEST(no_image_for_a_member_that_is_silent)
{
	struct raft_entry entry = {.kind = ENTRY_NORMAL, .size = 8};
	struct raft_snapshot image = {.term = 1};
	struct raft_message message;
	uint64_t index, term;

	lead();
	ck_assert_int_eq(give_ack(3, 1), 0);
	for (unsigned int i = 0; i < 2 * ELECTION; i++)
		answer_round(2);
	ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
	take();
	persist();
	ck_assert_int_eq(give_ack(2, index), 0);
	take();
	raft_applied(raft, index);
	image.index = index;
	image.conf = birth.conf;
	raft_offer_snapshot(raft, &image);
	raft_compact(raft, index);
	raft_report_unreachable(raft, 3);
	ck_assert_int_eq(raft_propose(raft, &entry, &index, &term), 0);
	ck_assert(!take_message(RAFT_MSG_SNAPSHOT, 3, &message));
	persist();
	answer_round(3);
	ck_assert(take_message(RAFT_MSG_SNAPSHOT, 3, &message));
}
END_TEST

START_TEST(a_transfer_ends_when_its_member_is_removed)
{
	struct raft_entry change = change_of(RAFT_REMOVE, 3);
	struct raft_conf_state conf;
	uint64_t index, term;

	lead();
	ck_assert_int_eq(raft_propose(raft, &change, &index, &term), 0);
	take();
	persist();
	ck_assert_int_eq(give_ack(2, index), 0);
	take();
	ck_assert_int_eq(raft_transfer(raft, 3), 0);
	ck_assert_uint_eq(status()->transferee, 3);
	ck_assert_int_eq(
		raft_apply_conf(raft, raft_entry_at(raft, index), &conf), 0);
	ck_assert_uint_eq(status()->transferee, 0);
}
END_TEST

START_TEST(a_stale_refusal_changes_nothing)
{
	struct raft_message message;

	lead();
	take();
	ck_assert_int_eq(
		give((struct raft_message){.type = RAFT_MSG_APPEND_REPLY,
					   .from = 2,
					   .term = term_seen,
					   .reject = true,
					   .log_index = 1}),
		0);
	ck_assert(!take_message(RAFT_MSG_APPEND, 2, &message));
}
END_TEST

static void add_leader_tests(TCase *all)
{
	tcase_add_test(all, no_vote_where_a_leader_is_known);
	tcase_add_test(all, no_campaign_before_a_committed_change_is_applied);
	tcase_add_test(all, one_change_at_a_time);
	tcase_add_test(all, a_new_leader_fears_changes_in_its_tail);
	tcase_add_test(all, no_image_for_a_member_that_is_silent);
	tcase_add_test(all, a_transfer_ends_when_its_member_is_removed);
	tcase_add_test(all, a_stale_refusal_changes_nothing);
}

static void add_tests(TCase *all)
{
	tcase_add_test(all, an_image_never_takes_back_what_is_here);
	tcase_add_test(all, refuses_impossible_images);
	tcase_add_test(all, a_failed_image_is_sent_again_after_a_heartbeat);
	tcase_add_test(all, refuses_messages_that_no_member_sends);
	tcase_add_test(all, refuses_entries_that_do_not_follow);
	tcase_add_test(all, refuses_to_cut_what_is_committed);
	tcase_add_test(all, refuses_to_commit_what_it_does_not_have);
	tcase_add_test(all, refuses_answers_to_what_was_never_sent);
	tcase_add_test(all, votes_once_per_term);
	tcase_add_test(all, leads_only_when_its_own_vote_is_durable);
	tcase_add_test(all, late_writes_do_not_make_a_rewritten_log_stable);
	tcase_add_test(all, acknowledges_only_what_is_durable);
	tcase_add_test(all, keeps_quiet_after_a_restart);
	tcase_add_test(all, a_promise_outlives_a_higher_term);
	tcase_add_test(all, a_transfer_overrules_the_promise);
	tcase_add_test(all, does_not_forget_a_leader_that_holds_a_lease);
	tcase_add_test(all, the_lease_counts_from_when_the_round_was_sent);
	tcase_add_test(all, no_lease_before_an_entry_of_the_term_is_applied);
	tcase_add_test(all, the_lease_ends_with_an_offer_of_leadership);
	tcase_add_test(all, a_leader_without_answers_steps_down);
	tcase_add_test(all, heartbeats_go_on_while_the_disk_stalls);
	tcase_add_test(all, messages_go_without_the_disk);
	tcase_add_test_raise_signal(
		all, taking_over_what_is_out_of_date_is_a_bug, 6);
	tcase_add_test(all, elections_do_not_pile_up_while_the_disk_stalls);
	tcase_add_test(all, the_window_is_bounded_in_bytes);
	tcase_add_test(all, a_learner_never_campaigns);
	tcase_add_test(all, a_member_without_a_configuration_asks_for_an_image);
	tcase_add_test(all, a_refusal_tells_what_is_committed);
}

int main(void)
{
	Suite *suite = suite_create("raft, one of three");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	add_tests(all);
	add_leader_tests(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
