/*
 * The daemon dies at each stage of a request, and comes back, or not: every
 * outcome is settled, nothing is applied twice, and what was lent stays.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "shm/conclave.h"
#include "tests/unit/support_peer.h"

static struct peer *peer;
static struct conclave *c;

static void open_with_timeout(uint32_t timeout_ms)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = peer_path(peer);
	options.timeout_ms = timeout_ms;
	options.slots = 16;
	ck_assert_int_eq(conclave_open(&c, &options), 0);
}

static void setup(void)
{
	peer = peer_new(NULL);
	peer_start(peer);
	open_with_timeout(20000);
}

static void teardown(void)
{
	conclave_close(c);
	peer_free(peer);
}

static struct conclave_req *put(uint64_t number)
{
	struct conclave_req *req = conclave_get_req(c);

	ck_assert_ptr_nonnull(req);
	conclave_prep_put(req, &number, sizeof(number), "value", 5);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	conclave_flush(c);
	return req;
}

static struct conclave_req *get(const char *key)
{
	struct conclave_req *req = conclave_get_req(c);

	ck_assert_ptr_nonnull(req);
	conclave_prep_get(req, key, strlen(key));
	ck_assert_int_eq(conclave_submit(c, req), 0);
	conclave_flush(c);
	return req;
}

static struct conclave_result wait_for(struct conclave_req *req)
{
	struct conclave_result result;

	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	return result;
}

/* Holds, submits one put, and kills when it has reached its stage. */
static struct conclave_req *die_with_one(uint32_t hold)
{
	struct conclave_req *req;

	peer_set_hold(peer, hold);
	req = put(1);
	if (hold == PEER_HOLD_APPLY)
		peer_await_taken(peer, 1);
	else if (hold == PEER_HOLD_POST)
		peer_await_applied(peer, 1);
	else if (hold == 0)
		peer_await_posted(peer, 1);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	return req;
}

START_TEST(what_was_never_taken_is_not_applied_even_without_a_daemon)
{
	struct conclave_req *req = die_with_one(PEER_HOLD_PROPOSALS);
	struct conclave_result result = wait_for(req);

	ck_assert_int_eq(result.status, CONCLAVE_ENOTAPPLIED);
	peer_restart(peer);
	ck_assert_int_eq(conclave_ping(c, &result.revision), 0);
	ck_assert_uint_eq(result.revision, 1);
}
END_TEST

START_TEST(what_was_taken_and_lost_is_settled_as_not_applied)
{
	struct conclave_req *req = die_with_one(PEER_HOLD_APPLY);
	struct conclave_result result;

	peer_restart(peer);
	result = wait_for(req);
	ck_assert_int_eq(result.status, CONCLAVE_ENOTAPPLIED);
	ck_assert_uint_eq(peer_revision(peer), 1);
	ck_assert_uint_eq(peer_counts(peer).resumes, 1);
}
END_TEST

START_TEST(what_was_applied_and_not_posted_is_settled_with_its_result)
{
	struct conclave_req *req = die_with_one(PEER_HOLD_POST);
	struct conclave_result result;

	peer_restart(peer);
	result = wait_for(req);
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_eq(result.revision, 2);
	ck_assert_uint_ne(result.flags & CONCLAVE_RESULT_REPEATED, 0);
	ck_assert_uint_eq(peer_revision(peer), 2);
}
END_TEST

START_TEST(what_was_posted_is_harvested_without_a_daemon)
{
	struct conclave_req *req = die_with_one(0);
	struct conclave_result result = wait_for(req);

	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_eq(result.revision, 2);
	ck_assert_uint_eq(peer_counts(peer).resumes, 0);
	peer_restart(peer);
}
END_TEST

START_TEST(a_refusal_at_apply_is_settled_as_such)
{
	struct conclave_req *req = conclave_get_req(c);
	struct conclave_result result;

	peer_set_hold(peer, PEER_HOLD_POST);
	conclave_prep_cas(req, "k", 1, "v", 1, 77);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	conclave_flush(c);
	peer_await_applied(peer, 1);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_restart(peer);
	result = wait_for(req);
	ck_assert_int_eq(result.status, CONCLAVE_ECOMPARE);
}
END_TEST

START_TEST(a_mixture_is_settled_each_by_itself)
{
	struct conclave_req *applied[4], *taken[4], *queued[4];
	struct conclave_result result;

	peer_set_hold(peer, PEER_HOLD_POST);
	for (uint64_t i = 0; i < 4; i++)
		applied[i] = put(i);
	peer_await_applied(peer, 4);
	peer_set_hold(peer, PEER_HOLD_POST | PEER_HOLD_APPLY);
	for (uint64_t i = 4; i < 8; i++)
		taken[i - 4] = put(i);
	peer_await_taken(peer, 8);
	peer_set_hold(peer,
		      PEER_HOLD_POST | PEER_HOLD_APPLY | PEER_HOLD_PROPOSALS);
	for (uint64_t i = 8; i < 12; i++)
		queued[i - 8] = put(i);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_restart(peer);
	for (uint32_t i = 0; i < 4; i++) {
		result = wait_for(queued[i]);
		ck_assert_int_eq(result.status, CONCLAVE_ENOTAPPLIED);
		result = wait_for(applied[i]);
		ck_assert_int_eq(result.status, 0);
		ck_assert_uint_eq(result.revision, 2 + i);
		result = wait_for(taken[i]);
		ck_assert_int_eq(result.status, CONCLAVE_ENOTAPPLIED);
	}
	ck_assert_uint_eq(peer_revision(peer), 5);
}
END_TEST

START_TEST(it_may_die_again_while_it_is_being_asked)
{
	struct conclave_req *req = die_with_one(PEER_HOLD_POST);
	struct conclave_result result;

	for (int i = 0; i < 3; i++) {
		/* The question is taken, and dies unanswered. */
		peer_set_hold(peer, PEER_HOLD_APPLY);
		peer_restart(peer);
		ck_assert_int_eq(conclave_wait(c, req, 50), -ETIMEDOUT);
		peer_kill(peer);
		peer_set_hold(peer, 0);
	}
	peer_restart(peer);
	result = wait_for(req);
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_eq(result.revision, 2);
}
END_TEST

START_TEST(an_answer_that_tells_nothing_is_asked_for_again)
{
	struct conclave_req *req = die_with_one(PEER_HOLD_POST);
	struct conclave_result result;
	struct peer_counts counts;

	/* Not the outcome: the question itself was refused. */
	peer_set_status(peer, 1, CONCLAVE_ENOLEADER);
	peer_restart(peer);
	result = wait_for(req);
	counts = peer_counts(peer);
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_eq(result.revision, 2);
	ck_assert_uint_eq(counts.posted, 2);
}
END_TEST

/* ---- no daemon ---- */

START_TEST(without_a_daemon_it_is_unknown_and_can_be_asked_later)
{
	struct conclave_result result;
	struct conclave_req *req;

	conclave_close(c);
	open_with_timeout(1000);
	req = die_with_one(PEER_HOLD_POST);
	ck_assert_int_eq(conclave_wait(c, req, -1), CONCLAVE_ESTOPPED);
	ck_assert_int_eq(conclave_wait(c, req, 10), CONCLAVE_ESTOPPED);
	ck_assert_int_eq(conclave_link_error(c), CONCLAVE_ESTOPPED);
	peer_restart(peer);
	ck_assert_int_eq(conclave_wait(c, req, 20000), 0);
	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_eq(result.revision, 2);
	ck_assert_int_eq(conclave_link_error(c), 0);
}
END_TEST

START_TEST(without_a_daemon_nothing_leaves)
{
	struct conclave_req *req;
	struct cv_status page;
	int status;

	conclave_close(c);
	open_with_timeout(50);
	peer_kill(peer);
	/* The first ones may find the old ring before they find nobody. */
	do {
		status = conclave_put(c, "k", 1, "v", 1, NULL);
		ck_assert_int_eq(conclave_error_kind(status),
				 CONCLAVE_NOT_APPLIED);
	} while (status != -ENOTCONN);
	ck_assert_int_eq(conclave_ping(c, NULL), -ENOTCONN);
	ck_assert_int_eq(conclave_status(c, &page), -ENOTCONN);
	req = conclave_get_req(c);
	conclave_prep_ping(req);
	ck_assert_int_eq(conclave_submit(c, req), -ENOTCONN);
	conclave_abandon(c, req);
	peer_restart(peer);
	/* Each try is short; one of them finds it. */
	while (conclave_ping(c, NULL) != 0)
		;
	ck_assert_int_eq(conclave_status(c, &page), 0);
	ck_assert_uint_eq(page.incarnation, 2);
}
END_TEST

START_TEST(the_page_of_a_dead_daemon_is_not_shown_for_long)
{
	struct cv_status page;
	int status;

	ck_assert_int_eq(conclave_status(c, &page), 0);
	ck_assert_uint_eq(page.incarnation, 1);
	peer_kill(peer);
	/* Nothing else is asked that could find out. */
	while ((status = conclave_status(c, &page)) == 0)
		;
	ck_assert_int_eq(status, -ENOTCONN);
	ck_assert_int_eq(conclave_link_error(c), CONCLAVE_ESTOPPED);
	peer_restart(peer);
	while (conclave_status(c, &page) != 0)
		;
	ck_assert_uint_eq(page.incarnation, 2);
}
END_TEST

START_TEST(a_poller_sees_the_death_and_the_settlement)
{
	struct conclave_req *req = die_with_one(PEER_HOLD_POST);
	struct conclave_result result;

	peer_restart(peer);
	while (conclave_poll(c, req) == 0)
		;
	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	ck_assert_int_eq(result.status, 0);
}
END_TEST

START_TEST(a_daemon_that_does_not_greet_is_waited_for_within_the_deadline)
{
	struct conclave_req *req;

	conclave_close(c);
	open_with_timeout(1000);
	req = die_with_one(PEER_HOLD_POST);
	peer_set_hold(peer, PEER_HOLD_WELCOME);
	peer_restart(peer);
	ck_assert_int_eq(conclave_wait(c, req, -1), CONCLAVE_ESTOPPED);
	peer_set_hold(peer, 0);
	ck_assert_int_eq(conclave_wait(c, req, 20000), 0);
}
END_TEST

START_TEST(a_daemon_that_refuses_for_now_is_tried_again)
{
	struct conclave_req *req = die_with_one(PEER_HOLD_POST);
	struct conclave_result result;

	peer_set_refusal(peer, CONCLAVE_ENOLEADER);
	peer_restart(peer);
	while (conclave_link_error(c) != CONCLAVE_ENOLEADER)
		ck_assert_int_eq(conclave_wait(c, req, 1), -ETIMEDOUT);
	peer_set_refusal(peer, 0);
	result = wait_for(req);
	ck_assert_int_eq(result.status, 0);
}
END_TEST

/* ---- calls ---- */

static void *bring_back(void *unused)
{
	(void)unused;
	peer_await_taken(peer, 1);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_restart(peer);
	return NULL;
}

static void call_through_death(uint32_t hold)
{
	uint64_t revision = 0;
	pthread_t thread;

	peer_set_hold(peer, hold);
	ck_assert_int_eq(pthread_create(&thread, NULL, bring_back, NULL), 0);
	ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, &revision), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(revision, 2);
	ck_assert_uint_eq(peer_revision(peer), 2);
}

START_TEST(a_put_that_was_lost_is_proposed_again)
{
	call_through_death(PEER_HOLD_APPLY);
}
END_TEST

START_TEST(a_put_that_was_applied_is_not_proposed_again)
{
	call_through_death(PEER_HOLD_POST);
}
END_TEST

START_TEST(a_read_that_was_lost_is_repeated)
{
	struct conclave_kv kv;
	pthread_t thread;
	char buffer[8];

	peer_set_hold(peer, PEER_HOLD_POST);
	ck_assert_int_eq(pthread_create(&thread, NULL, bring_back, NULL), 0);
	ck_assert_int_eq(conclave_get(c, "k", 1, buffer, 8, &kv),
			 CONCLAVE_ENOTFOUND);
	pthread_join(thread, NULL);
}
END_TEST

/* ---- sessions ---- */

START_TEST(doubts_of_an_expired_session_are_unknown_for_ever)
{
	struct conclave_req *req[3];
	struct conclave_result result;
	uint8_t before[16], after[16];

	ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, NULL), 0);
	conclave_session_id(c, before);
	peer_set_hold(peer, PEER_HOLD_POST);
	for (uint64_t i = 0; i < 3; i++)
		req[i] = put(i);
	peer_await_applied(peer, 4);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_forget_sessions(peer);
	peer_restart(peer);
	for (uint32_t i = 0; i < 3; i++) {
		result = wait_for(req[i]);
		ck_assert_int_eq(result.status, CONCLAVE_ESESSION);
	}
	conclave_session_id(c, after);
	ck_assert_int_ne(memcmp(before, after, 16), 0);
	/* A fresh session, whose sequences start at 1 again. */
	ck_assert_int_eq(conclave_put(c, "l", 1, "v", 1, NULL), 0);
	ck_assert_uint_eq(c->window.next, 2);
	ck_assert_uint_eq(c->window.settled, 2);
}
END_TEST

START_TEST(a_session_that_ends_under_a_live_daemon_is_renewed)
{
	struct conclave_req *req;
	struct conclave_result result;

	ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, NULL), 0);
	peer_set_status(peer, 1, CONCLAVE_ESESSION);
	req = put(1);
	result = wait_for(req);
	ck_assert_int_eq(result.status, CONCLAVE_ESESSION);
	ck_assert_int_eq(conclave_put(c, "l", 1, "v", 1, NULL), 0);
	ck_assert_uint_eq(peer_counts(peer).welcomes, 2);
	ck_assert_uint_eq(peer_counts(peer).resumes, 0);
}
END_TEST

START_TEST(a_handle_that_never_wrote_does_not_resume)
{
	ck_assert_int_eq(conclave_ping(c, NULL), 0);
	peer_kill(peer);
	peer_restart(peer);
	ck_assert_int_eq(conclave_ping(c, NULL), 0);
	ck_assert_uint_eq(peer_counts(peer).resumes, 0);
	ck_assert_uint_eq(peer_counts(peer).welcomes, 2);
}
END_TEST

START_TEST(settled_below_survives_many_deaths)
{
	for (uint64_t i = 0; i < 12; i++) {
		ck_assert_int_eq(conclave_put(c, &i, 8, "v", 1, NULL), 0);
		peer_kill(peer);
		peer_restart(peer);
	}
	ck_assert_int_eq(conclave_ping(c, NULL), 0);
	ck_assert_uint_ge(c->window.next, 13);
	ck_assert_uint_eq(c->window.settled, c->window.next);
	ck_assert_uint_eq(peer_revision(peer), 13);
}
END_TEST

/* ---- what was lent ---- */

START_TEST(a_reply_outlives_the_daemon_that_wrote_it)
{
	struct conclave_result result;
	struct conclave_req *req;
	struct conclave_kv kv;

	ck_assert_int_eq(conclave_put(c, "k", 1, "hello", 5, NULL), 0);
	req = get("k");
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(conclave_peek(c, req, &result), 0);
	for (int i = 0; i < 3; i++) {
		peer_kill(peer);
		peer_restart(peer);
		ck_assert_int_eq(conclave_ping(c, NULL), 0);
	}
	ck_assert_int_eq(conclave_record_first(&result, &kv), 1);
	ck_assert_uint_eq(kv.value_size, 5);
	ck_assert_int_eq(memcmp(kv.value, "hello", 5), 0);
	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	ck_assert_int_eq(conclave_record_first(&result, &kv), 1);
	ck_assert_int_eq(memcmp(kv.value, "hello", 5), 0);
}
END_TEST

START_TEST(who_keeps_too_many_old_replies_waits_for_himself)
{
	struct conclave_req *req[CV_SEATS + 1];
	uint32_t i;

	conclave_close(c);
	open_with_timeout(1000);
	ck_assert_int_eq(conclave_put(c, "k", 1, "hello", 5, NULL), 0);
	for (i = 0; i <= CV_SEATS; i++) {
		req[i] = get("k");
		ck_assert_int_eq(conclave_wait(c, req[i], 20000), 0);
		peer_kill(peer);
		peer_restart(peer);
		while (i < CV_SEATS && conclave_ping(c, NULL) != 0)
			;
	}
	ck_assert_int_eq(conclave_ping(c, NULL), -ENOTCONN);
	ck_assert_int_eq(conclave_finish(c, req[1], NULL), 0);
	while (conclave_ping(c, NULL) != 0)
		;
	ck_assert_int_eq(conclave_finish(c, req[0], NULL), 0);
	ck_assert_int_eq(conclave_finish(c, req[2], NULL), 0);
}
END_TEST

START_TEST(rooms_are_all_there_after_a_death)
{
	struct conclave_req *req[4];

	ck_assert_int_eq(conclave_put(c, "k", 1, "hello", 5, NULL), 0);
	req[0] = get("k");
	ck_assert_int_eq(conclave_wait(c, req[0], -1), 0);
	peer_set_hold(peer, PEER_HOLD_CONTROL);
	req[1] = get("k");
	peer_set_hold(peer, PEER_HOLD_APPLY);
	req[2] = get("k");
	peer_await_taken(peer, 4);
	req[3] = get("x");
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_restart(peer);
	for (uint32_t i = 1; i < 4; i++)
		ck_assert_int_eq(wait_for(req[i]).status, CONCLAVE_ENOTAPPLIED);
	ck_assert_int_eq(wait_for(req[0]).status, 0);
	req[0] = conclave_get_req(c);
	conclave_prep_get(req[0], "k", 1);
	conclave_req_set_reply_room(req[0], CV_REPLY_DEFAULT);
	/* All of it: whoever holds some would have it refused. */
	while (conclave_submit(c, req[0]) == -ENOTCONN)
		;
	ck_assert_int_eq(wait_for(req[0]).status, 0);
}
END_TEST

START_TEST(a_walk_goes_on_with_the_next_daemon)
{
	static struct conclave_pages pages;
	struct conclave_range range = {0};
	struct conclave_kv kv;
	uint64_t seen = 0;

	for (uint64_t i = 0; i < 40; i++)
		ck_assert_int_eq(conclave_put(c, &i, 8, "v", 1, NULL), 0);
	range.key = "";
	range.key_size = 1;
	range.end = "";
	range.end_size = 1;
	range.page_size = 512;
	ck_assert_int_eq(conclave_range_begin(c, &range, &pages), 0);
	while (conclave_range_next(&pages, &kv) == 1) {
		ck_assert_int_eq(memcmp(kv.key, &seen, 8), 0);
		seen++;
		if (seen % 10 != 0)
			continue;
		peer_kill(peer);
		peer_restart(peer);
	}
	ck_assert_uint_eq(seen, 40);
	conclave_range_end(&pages);
}
END_TEST

START_TEST(an_abandoned_request_is_not_asked_about)
{
	struct conclave_req *req;

	peer_set_hold(peer, PEER_HOLD_APPLY);
	req = put(1);
	peer_await_taken(peer, 1);
	conclave_abandon(c, req);
	req = put(2);
	peer_await_taken(peer, 2);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_restart(peer);
	ck_assert_int_eq(wait_for(req).status, CONCLAVE_ENOTAPPLIED);
	ck_assert_uint_eq(peer_counts(peer).taken, 3);
	for (uint32_t i = 0; i < 16; i++)
		ck_assert_ptr_nonnull(conclave_get_req(c));
}
END_TEST

static TCase *outcome_case(void)
{
	TCase *t = tcase_create("outcome");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(
		t, what_was_never_taken_is_not_applied_even_without_a_daemon);
	tcase_add_test(t, what_was_taken_and_lost_is_settled_as_not_applied);
	tcase_add_test(
		t, what_was_applied_and_not_posted_is_settled_with_its_result);
	tcase_add_test(t, what_was_posted_is_harvested_without_a_daemon);
	tcase_add_test(t, a_refusal_at_apply_is_settled_as_such);
	tcase_add_test(t, a_mixture_is_settled_each_by_itself);
	tcase_add_test(t, it_may_die_again_while_it_is_being_asked);
	tcase_add_test(t, an_answer_that_tells_nothing_is_asked_for_again);
	tcase_add_test(t, a_put_that_was_lost_is_proposed_again);
	tcase_add_test(t, a_put_that_was_applied_is_not_proposed_again);
	tcase_add_test(t, a_read_that_was_lost_is_repeated);
	tcase_add_test(t, an_abandoned_request_is_not_asked_about);
	return t;
}

static TCase *absence_case(void)
{
	TCase *t = tcase_create("absence");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t,
		       without_a_daemon_it_is_unknown_and_can_be_asked_later);
	tcase_add_test(t, without_a_daemon_nothing_leaves);
	tcase_add_test(t, the_page_of_a_dead_daemon_is_not_shown_for_long);
	tcase_add_test(t, a_poller_sees_the_death_and_the_settlement);
	tcase_add_test(
		t,
		a_daemon_that_does_not_greet_is_waited_for_within_the_deadline);
	tcase_add_test(t, a_daemon_that_refuses_for_now_is_tried_again);
	tcase_add_test(t, doubts_of_an_expired_session_are_unknown_for_ever);
	tcase_add_test(t, a_session_that_ends_under_a_live_daemon_is_renewed);
	tcase_add_test(t, a_handle_that_never_wrote_does_not_resume);
	tcase_add_test(t, settled_below_survives_many_deaths);
	tcase_add_test(t, a_reply_outlives_the_daemon_that_wrote_it);
	tcase_add_test(t, who_keeps_too_many_old_replies_waits_for_himself);
	tcase_add_test(t, rooms_are_all_there_after_a_death);
	tcase_add_test(t, a_walk_goes_on_with_the_next_daemon);
	return t;
}

int main(void)
{
	Suite *s = suite_create("client_death");
	SRunner *runner;
	int failed;

	suite_add_tcase(s, outcome_case());
	suite_add_tcase(s, absence_case());
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
