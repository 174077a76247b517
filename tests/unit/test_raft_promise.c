/*
 * Where leaders hold leases: whoever answered one votes for no other until
 * the lease is over, and when it is, someone leads again. Clocks run together.
 */
#include "tests/unit/support_raft_net.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum promise_sizes {
	VARIANTS = 30,
	LONG = 8 * CORE_ELECTION, /* long enough for an election */
};

static struct net net;
static uint64_t ticks;
static uint64_t born[NET_MEMBERS_MAX]; /* tick of the last start */

static void set_up(void)
{
	net_init(&net, 3);
}

static void tear_down(void)
{
	net_release(&net);
}

/* Variants differ in their draws; every second one has PreVote. */
static void start(unsigned int count, int variant)
{
	net_init(&net, count);
	for (unsigned int i = 0; i < count; i++) {
		struct raft_options *options = &net.core[i].options;

		options->check_quorum = true;
		options->lease = true;
		options->pre_vote = variant % 2 == 1;
		options->quiet_ticks = CORE_ELECTION;
		options->seed = (uint64_t)variant * NET_MEMBERS_MAX + i;
	}
	net_start(&net);
	ticks = 0;
	memset(born, 0, sizeof(born));
}

static void restart(uint64_t id)
{
	net_crash(&net, id);
	net_restart(&net, id);
	born[id - 1] = ticks;
}

/* The last tick of the lease that a member holds now; 0: none. */
static uint64_t lease_end(uint64_t id)
{
	const struct raft_lease *lease;
	uint64_t end;

	if (!net_core(&net, id)->raft)
		return 0;
	lease = &net_status(&net, id)->lease;
	end = born[id - 1] + lease->end_tick;
	return lease->term == 0 || end < ticks ? 0 : end;
}

/* Time passes. There is one lease at most, and no newer leader beside it. */
static void tick(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		net_tick_all(&net, 1);
		ticks++;
		for (uint64_t id = 1; id <= net.count; id++)
			if (lease_end(id) != 0)
				ck_assert_uint_eq(net_leader(&net), id);
	}
}

static uint64_t lead_by_time(void)
{
	tick(LONG);
	ck_assert_uint_ne(lease_end(net_leader(&net)), 0);
	return net_leader(&net);
}

/* Until another one leads: the first tick at which it does. */
static uint64_t until_superseded(uint64_t leader)
{
	uint64_t limit = ticks + LONG;

	do {
		ck_assert_uint_lt(ticks, limit);
		tick(1);
	} while (net_leader(&net) == leader || net_leader(&net) == 0);
	return ticks;
}

START_TEST(no_one_is_elected_before_the_lease_of_a_lost_leader_ends)
{
	uint64_t leader, end;

	start(_i % 3 == 0 ? 5 : 3, _i);
	leader = lead_by_time();
	end = lease_end(leader);
	net_isolate(&net, leader);
	ck_assert_uint_gt(until_superseded(leader), end);
	ck_assert_uint_eq(lease_end(leader), 0);
	net_heal(&net);
	tick(LONG);
	leader = net_leader(&net);
	ck_assert_uint_ne(lease_end(leader), 0);
	for (uint64_t id = 1; id <= net.count; id++)
		ck_assert_uint_eq(net_status(&net, id)->leader, leader);
}
END_TEST

/* All forget in a crash what they answered, and wait until it is over. */
START_TEST(who_restarts_elects_no_one_before_the_lease_ends)
{
	uint64_t leader, end, one, other;

	start(3, _i);
	leader = lead_by_time();
	one = leader % 3 + 1;
	other = one % 3 + 1;
	end = lease_end(leader);
	net_isolate(&net, leader);
	restart(one);
	restart(other);
	ck_assert_int_eq(raft_campaign(net_core(&net, one)->raft),
			 RAFT_EINVALID);
	ck_assert_uint_gt(until_superseded(leader), end);
}
END_TEST

START_TEST(a_stuck_candidate_ends_the_lease_and_gains_no_vote_by_it)
{
	uint64_t leader, stuck, third, term, told;

	start(3, 2 * _i);
	leader = lead_by_time();
	stuck = leader % 3 + 1;
	third = stuck % 3 + 1;
	net_isolate(&net, stuck);
	tick(LONG);
	ck_assert_uint_eq(net_leader(&net), leader);
	ck_assert_uint_eq(net_status(&net, stuck)->role, RAFT_CANDIDATE);
	term = net_status(&net, stuck)->term;
	net_heal(&net);
	tick(1);
	told = ticks;
	/* It answered with its term: the leader is none any more... */
	ck_assert_uint_eq(net_leader(&net), 0);
	ck_assert_uint_ge(net_status(&net, leader)->term, term);
	ck_assert_uint_eq(lease_end(leader), 0);
	/* ...but has just spoken to the third, which may not vote yet. */
	net_isolate(&net, leader);
	net_campaign(&net, stuck);
	ck_assert_uint_ne(net_status(&net, third)->vote, stuck);
	ck_assert_uint_gt(until_superseded(0), told + CORE_ELECTION - 1);
	net_heal(&net);
	tick(LONG);
	for (uint64_t id = 1; id <= 3; id++)
		ck_assert_uint_eq(net_status(&net, id)->leader,
				  net_leader(&net));
}
END_TEST

/* A stray refusal of a newer term makes it forget the leader, no promise. */
START_TEST(a_promise_lasts_an_election_timeout_and_no_longer)
{
	const struct raft_message ask = {
		.type = _i == 0 ? RAFT_MSG_VOTE : RAFT_MSG_PRE_VOTE,
		.from = 3,
		.term = 6,
	};
	const uint8_t answer =
		_i == 0 ? RAFT_MSG_VOTE_REPLY : RAFT_MSG_PRE_VOTE_REPLY;
	struct core *one = net_core(&net, 1);

	one->options.check_quorum = true;
	one->options.lease = true;
	core_start(one);
	core_give(one, (struct raft_message){.type = RAFT_MSG_HEARTBEAT,
					     .from = 2,
					     .term = 1});
	core_give(one, (struct raft_message){.type = RAFT_MSG_VOTE_REPLY,
					     .from = 2,
					     .term = 5,
					     .reject = true});
	ck_assert_uint_eq(core_status(one)->leader, 0);
	core_settle(one);
	for (unsigned int i = 0; i < CORE_ELECTION; i++) {
		core_give(one, ask);
		ck_assert_int_eq(raft_campaign(one->raft), RAFT_EINVALID);
		core_settle(one);
		ck_assert_uint_eq(one->mail_count, 0);
		ck_assert_uint_eq(core_status(one)->vote, 0);
		raft_tick(one->raft);
	}
	core_give(one, ask);
	core_settle(one);
	ck_assert(!core_message(one, answer, 3)->reject);
	ck_assert_uint_eq(core_status(one)->vote, _i == 0 ? 3 : 0);
}
END_TEST

static void add_tests(TCase *all)
{
	tcase_add_loop_test(
		all, no_one_is_elected_before_the_lease_of_a_lost_leader_ends,
		0, VARIANTS);
	tcase_add_loop_test(all,
			    who_restarts_elects_no_one_before_the_lease_ends, 0,
			    VARIANTS);
	tcase_add_loop_test(
		all, a_promise_lasts_an_election_timeout_and_no_longer, 0, 2);
	tcase_add_loop_test(
		all, a_stuck_candidate_ends_the_lease_and_gains_no_vote_by_it,
		0, VARIANTS);
}

int main(void)
{
	Suite *suite = suite_create("raft, promises");
	TCase *all = tcase_create("all");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(all, set_up, tear_down);
	add_tests(all);
	suite_add_tcase(suite, all);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
