/*
 * Client and daemon at full speed, in threads that see the same addresses, so
 * that ThreadSanitizer sees both. Neither side's sleep has an end of its own:
 * a wake that is lost hangs the test.
 */
#define CONCLAVE_SIM_ENV 1
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "shm/conclave.h"
#include "tests/unit/support_env.h"
#include "tests/unit/support_peer.h"

static struct peer *peer;

static void setup(void)
{
	env_share_maps(true);
	peer = peer_new(NULL);
	peer_start(peer);
}

static void teardown(void)
{
	peer_free(peer);
	ck_assert_uint_eq(env_open_fds(), 0);
	ck_assert_uint_eq(env_open_maps(), 0);
}

static struct conclave *open_client(uint32_t slots, uint32_t spin_us)
{
	struct conclave_options options;
	struct conclave *c;

	conclave_options_init(&options);
	options.socket = peer_path(peer);
	options.timeout_ms = 100000;
	options.slots = slots;
	options.request_max = 1024;
	options.proposal_size = 8192;
	options.control_size = 32768;
	options.reply_size = 32768;
	options.spin_us = spin_us;
	ck_assert_int_eq(conclave_open(&c, &options), 0);
	return c;
}

START_TEST(no_wake_is_lost_when_both_sleep)
{
	struct conclave *c = open_client(4, 0);

	env_sleep_for_ever(true);
	for (uint64_t i = 0; i < 3000; i++)
		ck_assert_int_eq(conclave_ping(c, NULL), 0);
	ck_assert_uint_gt(peer_counts(peer).sleeps, 0);
	env_sleep_for_ever(false);
	conclave_close(c);
}
END_TEST

START_TEST(no_wake_is_lost_while_both_spin_and_sleep)
{
	struct conclave *c = open_client(64, 5);
	struct conclave_req *req;
	uint64_t sent = 0, done = 0;

	env_sleep_for_ever(true);
	peer_set_hold(peer, PEER_ECHO);
	while (done < 20000) {
		/* Bursts of all lengths, each waited for to its end. */
		for (uint64_t i = 0; i < 1 + sent % 61; i++) {
			req = conclave_get_req(c);
			ck_assert_ptr_nonnull(req);
			conclave_prep_put(req, &sent, 8, "v", 1);
			if (conclave_submit(c, req) != 0) {
				conclave_abandon(c, req);
				break;
			}
			sent++;
		}
		while (done < sent) {
			ck_assert_int_eq(conclave_wait_any(c, -1, &req), 0);
			ck_assert_int_eq(conclave_finish(c, req, NULL), 0);
			done++;
		}
	}
	env_sleep_for_ever(false);
	conclave_close(c);
}
END_TEST

/* What a client that does a bit of everything has seen. */
struct tally {
	uint64_t sent, applied, cancelled, abandoned;
	uint64_t revision; /* of the last put that was waited for */
};

static void count_result(struct conclave *c, struct conclave_req *req,
			 struct tally *tally)
{
	struct conclave_result result;

	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	if (result.status == CONCLAVE_ECANCELLED) {
		tally->cancelled++;
		return;
	}
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_gt(result.revision, 1);
	tally->applied++;
}

static void step(struct conclave *c, struct tally *tally, uint32_t chance)
{
	struct conclave_req *req = conclave_get_req(c);

	if (req != NULL) {
		conclave_prep_put(req, &tally->sent, 8, "value", 5);
		if (conclave_submit(c, req) != 0) {
			conclave_abandon(c, req);
			req = NULL;
		}
	}
	if (req != NULL) {
		tally->sent++;
		if (chance % 5 == 0 && conclave_cancel(c, req) == 0) {
			count_result(c, req, tally);
		} else if (chance % 17 == 0) {
			conclave_abandon(c, req);
			tally->abandoned++;
		}
	}
	while ((req = conclave_next(c)) != NULL)
		count_result(c, req, tally);
}

static void drain(struct conclave *c, struct tally *tally)
{
	struct conclave_req *req;

	while (tally->applied + tally->cancelled + tally->abandoned <
	       tally->sent) {
		ck_assert_int_eq(conclave_wait_any(c, -1, &req), 0);
		count_result(c, req, tally);
	}
}

static void *live(void *context)
{
	struct conclave *c = open_client(32, CONCLAVE_SPIN_ADAPTIVE);
	struct tally *tally = context;
	uint32_t seed = (uint32_t)(uintptr_t)context;

	while (tally->sent < 15000) {
		seed = seed * 1664525 + 1013904223;
		step(c, tally, seed >> 12);
	}
	drain(c, tally);
	conclave_close(c);
	return NULL;
}

START_TEST(every_request_ends_exactly_once)
{
	struct tally tallies[2] = {{0}};
	struct peer_counts counts;
	uint64_t applied = 0, abandoned = 0, ended = 0;
	pthread_t thread;

	peer_set_hold(peer, PEER_ECHO);
	ck_assert_int_eq(pthread_create(&thread, NULL, live, &tallies[0]), 0);
	live(&tallies[1]);
	pthread_join(thread, NULL);
	for (int i = 0; i < 2; i++) {
		applied += tallies[i].applied;
		abandoned += tallies[i].abandoned;
		ended += tallies[i].applied + tallies[i].cancelled +
			 tallies[i].abandoned;
	}
	ck_assert_uint_eq(ended, tallies[0].sent + tallies[1].sent);
	counts = peer_counts(peer);
	ck_assert_uint_eq(counts.expelled, 0);
	ck_assert_uint_ge(peer_revision(peer), 1 + applied);
	ck_assert_uint_le(peer_revision(peer), 1 + applied + abandoned);
	ck_assert_uint_gt(counts.dead, 0);
}
END_TEST

/* ---- deaths ---- */

static uint32_t enough; /* no more deaths will come */

/* Adds one; what was read may be old, so it is compared. */
static void increment(struct conclave *c)
{
	struct conclave_kv kv;
	uint64_t value, revision;
	int status;

	do {
		value = 0;
		status = conclave_get(c, "n", 1, &value, 8, &kv);
		ck_assert(status == 0 || status == CONCLAVE_ENOTFOUND);
		revision = status == 0 ? kv.mod_revision : 0;
		value++;
		status = conclave_cas(c, "n", 1, &value, 8, &revision);
		ck_assert(status == 0 || status == CONCLAVE_ECOMPARE);
	} while (status != 0);
}

static void *count_up(void *context)
{
	struct conclave *c = open_client(4, CONCLAVE_SPIN_ADAPTIVE);
	uint64_t *count = context;

	while (__atomic_load_n(&enough, __ATOMIC_ACQUIRE) == 0) {
		increment(c);
		(*count)++;
	}
	conclave_close(c);
	return NULL;
}

START_TEST(a_counter_is_exact_through_many_deaths)
{
	static const uint32_t holds[] = {0, PEER_HOLD_POST, PEER_HOLD_APPLY,
					 PEER_HOLD_PROPOSALS};
	uint64_t counts[2] = {0}, value = 0;
	struct conclave *c;
	struct conclave_kv kv;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, count_up, &counts[i]),
			0);
	for (uint32_t deaths = 0; deaths < 24; deaths++) {
		/* Dies at that stage, with what has come as far. */
		peer_await_taken(peer, peer_counts(peer).taken + 5);
		peer_set_hold(peer, holds[deaths % 4]);
		sched_yield();
		peer_kill(peer);
		peer_set_hold(peer, 0);
		peer_restart(peer);
	}
	__atomic_store_n(&enough, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	c = open_client(4, 0);
	ck_assert_int_eq(conclave_get(c, "n", 1, &value, 8, &kv), 0);
	ck_assert_uint_eq(value, counts[0] + counts[1]);
	conclave_close(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client_stress");
	TCase *t = tcase_create("stress");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 240);
	tcase_add_test(t, no_wake_is_lost_when_both_sleep);
	tcase_add_test(t, no_wake_is_lost_while_both_spin_and_sleep);
	tcase_add_test(t, every_request_ends_exactly_once);
	tcase_add_test(t, a_counter_is_exact_through_many_deaths);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
