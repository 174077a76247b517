/*
 * Requests that are not waited for: order, back-pressure, cancelling,
 * deadlines, giving up, signals, and life in an event loop.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "shm/conclave.h"
#include "tests/unit/support_peer.h"

static struct peer *peer;
static struct conclave *c;

static void open_with(struct conclave_options *options)
{
	options->socket = peer_path(peer);
	ck_assert_int_eq(conclave_open(&c, options), 0);
}

static void setup(void)
{
	struct conclave_options options;

	peer = peer_new(NULL);
	peer_start(peer);
	conclave_options_init(&options);
	options.timeout_ms = 20000;
	open_with(&options);
}

static void reopen(uint32_t slots, uint32_t ring, uint32_t flags)
{
	struct conclave_options options;

	conclave_close(c);
	conclave_options_init(&options);
	options.timeout_ms = 20000;
	options.slots = slots;
	options.proposal_size = ring;
	options.request_max = ring / 8;
	options.reply_size = 8192;
	options.flags = flags;
	open_with(&options);
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
	conclave_req_set_user_data(req, number);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	return req;
}

static struct conclave_req *ping(void)
{
	struct conclave_req *req = conclave_get_req(c);

	ck_assert_ptr_nonnull(req);
	conclave_prep_ping(req);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	return req;
}

static int finish(struct conclave_req *req)
{
	struct conclave_result result;

	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	return result.status;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

START_TEST(proposals_of_a_handle_are_proposed_in_order)
{
	struct conclave_req *req[200];
	struct conclave_result result;

	for (uint64_t i = 0; i < 200; i++)
		req[i] = put(i);
	for (uint64_t i = 200; i-- > 0;) {
		ck_assert_int_eq(conclave_wait(c, req[i], -1), 0);
		ck_assert_int_eq(conclave_finish(c, req[i], &result), 0);
		ck_assert_uint_eq(result.revision, 2 + i);
	}
}
END_TEST

START_TEST(next_returns_each_request_once)
{
	uint64_t seen = 0, sent = 0, sum = 0;
	struct conclave_req *req;

	while (seen < 3000) {
		while (sent < 3000 && (req = conclave_get_req(c)) != NULL) {
			conclave_prep_put(req, &sent, sizeof(sent), "v", 1);
			conclave_req_set_user_data(req, sent);
			ck_assert_int_eq(conclave_submit(c, req), 0);
			sent++;
		}
		ck_assert_int_eq(conclave_wait_any(c, -1, &req), 0);
		do {
			sum += conclave_req_user_data(req);
			ck_assert_int_eq(finish(req), 0);
			seen++;
			req = conclave_next(c);
		} while (req != NULL);
	}
	ck_assert_uint_eq(sum, 3000 * 2999 / 2);
	ck_assert_ptr_null(conclave_next(c));
	ck_assert_int_eq(conclave_wait_any(c, 0, &req), -ENOENT);
}
END_TEST

START_TEST(a_result_behind_one_that_hangs_is_found)
{
	struct conclave_req *hangs, *read, *found, *again;

	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	hangs = put(1);
	read = conclave_get_req(c);
	conclave_prep_ping(read);
	conclave_req_set_after(read, hangs);
	ck_assert_int_eq(conclave_submit(c, read), 0);
	again = ping();
	ck_assert_int_eq(conclave_wait_any(c, -1, &found), 0);
	ck_assert_ptr_eq(found, again);
	ck_assert_int_eq(finish(found), 0);
	ck_assert_ptr_null(conclave_next(c));
	peer_set_hold(peer, 0);
	ck_assert_int_eq(conclave_wait(c, read, -1), 0);
	ck_assert_int_eq(conclave_poll(c, hangs), 1);
	ck_assert_int_eq(finish(read), 0);
	ck_assert_int_eq(finish(hangs), 0);
}
END_TEST

START_TEST(without_a_leader_a_request_may_fail_fast)
{
	struct conclave_req *waits, *fails;

	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	fails = conclave_get_req(c);
	conclave_prep_put(fails, "k", 1, "v", 1);
	conclave_req_set_flags(fails, CV_FAIL_FAST);
	ck_assert_int_eq(conclave_submit(c, fails), 0);
	waits = put(1);
	ck_assert_int_eq(conclave_wait(c, fails, -1), 0);
	ck_assert_int_eq(finish(fails), CONCLAVE_ENOLEADER);
	ck_assert_int_eq(conclave_poll(c, waits), 0);
	peer_set_hold(peer, 0);
	ck_assert_int_eq(conclave_wait(c, waits, -1), 0);
	ck_assert_int_eq(finish(waits), 0);
	ck_assert_uint_eq(peer_revision(peer), 2);
}
END_TEST

START_TEST(a_read_sees_what_this_session_was_shown)
{
	struct conclave_options options;
	struct conclave *other;
	struct conclave_kv kv;
	char value[8];

	conclave_options_init(&options);
	options.socket = peer_path(peer);
	ck_assert_int_eq(conclave_open(&other, &options), 0);
	for (uint64_t i = 0; i < 50; i++) {
		ck_assert_int_eq(conclave_put(c, "k", 1, &i, 8, NULL), 0);
		ck_assert_int_eq(conclave_get(c, "k", 1, value, 8, &kv), 0);
		ck_assert_uint_eq(kv.mod_revision, conclave_revision(c));
	}
	conclave_close(other);
}
END_TEST

/* ---- back-pressure ---- */

START_TEST(no_slot_is_no_request)
{
	struct conclave_req *req[4];

	reopen(4, 4096, 0);
	for (uint32_t i = 0; i < 4; i++)
		req[i] = put(i);
	ck_assert_ptr_null(conclave_get_req(c));
	ck_assert_int_eq(conclave_wait(c, req[0], -1), 0);
	ck_assert_ptr_null(conclave_get_req(c));
	ck_assert_int_eq(finish(req[0]), 0);
	ck_assert_ptr_nonnull(conclave_get_req(c));
}
END_TEST

START_TEST(a_full_ring_is_eagain_and_nothing_is_lost)
{
	struct conclave_req *req;
	uint64_t sent = 0, done = 0;

	reopen(256, 4096, 0);
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	for (;;) {
		req = conclave_get_req(c);
		ck_assert_ptr_nonnull(req);
		conclave_prep_put(req, &sent, sizeof(sent), "v", 1);
		if (conclave_submit(c, req) == -EAGAIN)
			break;
		sent++;
	}
	ck_assert_uint_gt(sent, 20);
	/* The other ring still flows. */
	ck_assert_int_eq(conclave_ping(c, NULL), 0);
	peer_set_hold(peer, 0);
	peer_await_posted(peer, sent + 1);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	sent++;
	while (done < sent) {
		ck_assert_int_eq(conclave_wait_any(c, -1, &req), 0);
		ck_assert_int_eq(finish(req), 0);
		done++;
	}
	ck_assert_uint_eq(peer_revision(peer), 1 + sent);
}
END_TEST

static void *release_later(void *unused)
{
	(void)unused;
	peer_await_taken(peer, 1);
	peer_set_hold(peer, 0);
	return NULL;
}

START_TEST(a_blocking_call_waits_for_room_in_the_ring)
{
	struct conclave_req *req;
	pthread_t thread;

	reopen(256, 4096, 0);
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	do {
		req = conclave_get_req(c);
		conclave_prep_put(req, "k", 1, "v", 1);
	} while (conclave_submit(c, req) == 0);
	conclave_abandon(c, req);
	ck_assert_int_eq(pthread_create(&thread, NULL, release_later, NULL), 0);
	ck_assert_int_eq(conclave_ping(c, NULL), 0);
	ck_assert_int_eq(conclave_put(c, "k", 1, "w", 1, NULL), 0);
	pthread_join(thread, NULL);
}
END_TEST

START_TEST(reply_room_is_reserved_before_asking_and_comes_back)
{
	struct conclave_req *first, *second;

	first = conclave_get_req(c);
	conclave_prep_get(first, "k", 1);
	conclave_req_set_reply_room(first, CV_REPLY_DEFAULT);
	ck_assert_int_eq(conclave_submit(c, first), 0);
	second = conclave_get_req(c);
	conclave_prep_get(second, "k", 1);
	ck_assert_int_eq(conclave_submit(c, second), -EAGAIN);
	conclave_req_set_reply_room(second, CV_REPLY_DEFAULT + 1);
	ck_assert_int_eq(conclave_submit(c, second), CONCLAVE_ETOOLARGE);
	conclave_req_set_reply_room(second, 100);
	ck_assert_int_eq(conclave_wait(c, first, -1), 0);
	ck_assert_int_eq(conclave_submit(c, second), -EAGAIN);
	ck_assert_int_eq(finish(first), 0);
	ck_assert_int_eq(conclave_submit(c, second), 0);
	ck_assert_int_eq(conclave_wait(c, second, -1), 0);
	ck_assert_int_eq(finish(second), 0);
}
END_TEST

START_TEST(no_sequence_goes_beyond_the_window)
{
	struct conclave_req *first, *req;
	uint64_t i;

	peer_set_hold(peer, PEER_ECHO);
	first = put(0);
	ck_assert_int_eq(conclave_wait(c, first, -1), 0);
	for (i = 1; i < CV_WINDOW; i++)
		ck_assert_int_eq(conclave_put(c, &i, 8, "v", 1, NULL), 0);
	req = conclave_get_req(c);
	conclave_prep_put(req, &i, 8, "v", 1);
	ck_assert_int_eq(conclave_submit(c, req), -EAGAIN);
	ck_assert_int_eq(conclave_ping(c, NULL), 0);
	ck_assert_int_eq(finish(first), 0);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(finish(req), 0);
}
END_TEST

/* ---- cancelling and giving up ---- */

START_TEST(a_cancel_that_wins_was_never_proposed)
{
	struct conclave_req *req, *kept;

	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	req = put(1);
	kept = put(2);
	ck_assert_int_eq(conclave_cancel(c, req), 0);
	ck_assert_int_eq(finish(req), CONCLAVE_ECANCELLED);
	/* Its slot is used again while the dead record is still queued. */
	req = put(3);
	peer_set_hold(peer, 0);
	ck_assert_int_eq(conclave_wait(c, kept, -1), 0);
	ck_assert_int_eq(finish(kept), 0);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(finish(req), 0);
	ck_assert_uint_eq(peer_revision(peer), 3);
	ck_assert_uint_eq(peer_counts(peer).dead, 1);
}
END_TEST

START_TEST(a_cancel_alone_wakes_the_daemon_to_reclaim)
{
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	for (uint64_t i = 1; i <= 1000; i++) {
		struct conclave_req *req = put(i);

		ck_assert_int_eq(conclave_cancel(c, req), 0);
		ck_assert_int_eq(finish(req), CONCLAVE_ECANCELLED);
		peer_await_dead(peer, i);
	}
	ck_assert_uint_eq(peer_counts(peer).taken, 0);
}
END_TEST

START_TEST(a_cancel_that_comes_too_late_changes_nothing)
{
	struct conclave_req *req;

	peer_set_hold(peer, PEER_HOLD_APPLY);
	req = put(1);
	conclave_flush(c);
	peer_await_taken(peer, 1);
	ck_assert_int_eq(conclave_cancel(c, req), -EALREADY);
	peer_set_hold(peer, 0);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(conclave_cancel(c, req), -EALREADY);
	ck_assert_int_eq(finish(req), 0);
}
END_TEST

START_TEST(a_request_that_was_not_submitted_can_be_cancelled)
{
	struct conclave_req *req = conclave_get_req(c);

	conclave_prep_ping(req);
	ck_assert_int_eq(conclave_cancel(c, req), 0);
	ck_assert_int_eq(finish(req), CONCLAVE_ECANCELLED);
}
END_TEST

START_TEST(an_abandoned_request_keeps_its_slot_until_it_is_posted)
{
	struct conclave_req *req[2];

	reopen(2, 4096, 0);
	peer_set_hold(peer, PEER_HOLD_APPLY);
	req[0] = put(1);
	req[1] = put(2);
	conclave_flush(c);
	peer_await_taken(peer, 2);
	conclave_abandon(c, req[0]);
	conclave_abandon(c, req[1]);
	ck_assert_ptr_null(conclave_get_req(c));
	peer_set_hold(peer, 0);
	peer_await_posted(peer, 2);
	ck_assert_ptr_nonnull(conclave_get_req(c));
	ck_assert_ptr_nonnull(conclave_get_req(c));
	ck_assert_ptr_null(conclave_next(c));
}
END_TEST

START_TEST(an_abandoned_request_in_the_queue_is_free_at_once)
{
	struct conclave_req *req;

	reopen(1, 4096, 0);
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	req = put(1);
	conclave_abandon(c, req);
	req = put(2);
	peer_set_hold(peer, 0);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(finish(req), 0);
	ck_assert_uint_eq(peer_revision(peer), 2);
}
END_TEST

/* ---- deadlines ---- */

START_TEST(a_deadline_in_the_queue_cancels)
{
	struct conclave_req *req;

	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	req = conclave_get_req(c);
	conclave_prep_put(req, "k", 1, "v", 1);
	conclave_req_set_deadline(req, now_ns() + 10000000);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(finish(req), CONCLAVE_ECANCELLED);
	peer_set_hold(peer, 0);
	ck_assert_int_eq(conclave_put(c, "l", 1, "v", 1, NULL), 0);
	ck_assert_uint_eq(peer_revision(peer), 2);
}
END_TEST

START_TEST(next_returns_what_expired_in_the_queue)
{
	struct conclave_req *req, *found;

	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	req = conclave_get_req(c);
	conclave_prep_put(req, "k", 1, "v", 1);
	conclave_req_set_deadline(req, now_ns() + 1000000);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	ck_assert_int_eq(conclave_wait_any(c, 20000, &found), 0);
	ck_assert_ptr_eq(found, req);
	ck_assert_int_eq(finish(req), CONCLAVE_ECANCELLED);
}
END_TEST

START_TEST(a_deadline_that_passes_after_the_take_is_unknown_and_kept)
{
	struct conclave_result result;
	struct conclave_req *req;

	peer_set_hold(peer, PEER_HOLD_APPLY);
	req = conclave_get_req(c);
	conclave_prep_put(req, "k", 1, "v", 1);
	conclave_req_set_deadline(req, now_ns() + 2000000000);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	conclave_flush(c);
	peer_await_taken(peer, 1);
	ck_assert_int_eq(conclave_wait(c, req, 1), -ETIMEDOUT);
	ck_assert_int_eq(conclave_wait(c, req, -1), CONCLAVE_EDEADLINE);
	ck_assert_int_eq(conclave_wait(c, req, 1), CONCLAVE_EDEADLINE);
	ck_assert_int_eq(conclave_finish(c, req, NULL), -EBUSY);
	peer_set_hold(peer, 0);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_eq(result.revision, 2);
}
END_TEST

START_TEST(the_daemon_does_not_propose_what_is_late)
{
	struct conclave_req *req;

	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	req = conclave_get_req(c);
	conclave_prep_put(req, "k", 1, "v", 1);
	conclave_req_set_deadline(req, 1);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	peer_set_hold(peer, 0);
	peer_await_posted(peer, 1);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(finish(req), CONCLAVE_ECANCELLED);
	ck_assert_uint_eq(peer_revision(peer), 1);
}
END_TEST

START_TEST(a_call_that_is_unknown_leaves_no_slot_behind)
{
	struct conclave_options options;

	conclave_close(c);
	conclave_options_init(&options);
	options.timeout_ms = 30;
	options.slots = 2;
	open_with(&options);
	peer_set_hold(peer, PEER_HOLD_APPLY);
	/* The daemon is quick enough to take it, or it is cancelled. */
	for (int i = 0; i < 2; i++) {
		int status = conclave_put(c, "k", 1, "v", 1, NULL);

		ck_assert(status == CONCLAVE_EDEADLINE ||
			  status == CONCLAVE_ECANCELLED);
	}
	peer_set_hold(peer, 0);
	peer_await_posted(peer, peer_counts(peer).taken);
	ck_assert_ptr_nonnull(conclave_get_req(c));
	ck_assert_ptr_nonnull(conclave_get_req(c));
}
END_TEST

/* ---- signals ---- */

static void on_signal(int number)
{
	(void)number;
}

static void *interrupt(void *thread)
{
	const struct timespec pause = {0, 1000000};

	/* Until the waiter has returned, and closed its handle. */
	while (peer_counts(peer).byes < 2) {
		pthread_kill(*(pthread_t *)thread, SIGUSR1);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

START_TEST(a_signal_ends_a_wait_if_that_was_asked_for)
{
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread, self = pthread_self();
	struct conclave_req *req;

	reopen(4, 4096, CONCLAVE_INTERRUPTIBLE);
	sigaction(SIGUSR1, &action, NULL);
	peer_set_hold(peer, PEER_HOLD_APPLY);
	req = put(1);
	conclave_flush(c);
	peer_await_taken(peer, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, interrupt, &self), 0);
	ck_assert_int_eq(conclave_wait(c, req, -1), -EINTR);
	ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, NULL), -EINTR);
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	ck_assert_int_eq(conclave_put(c, "k", 1, "v", 1, NULL),
			 CONCLAVE_ECANCELLED);
	peer_set_hold(peer, 0);
	conclave_close(c);
	c = NULL;
	pthread_join(thread, NULL);
}
END_TEST

/* ---- event loops ---- */

START_TEST(an_event_loop_is_rung_when_it_armed)
{
	struct pollfd item = {.events = POLLIN};
	struct conclave_req *req;
	int timeout_ms = 0;

	item.fd = conclave_eventfd(c);
	ck_assert_int_ge(item.fd, 0);
	ck_assert_int_eq(conclave_eventfd(c), item.fd);
	ck_assert_int_eq(conclave_arm(c, &timeout_ms), 0);
	ck_assert_int_eq(timeout_ms, -1);
	peer_set_hold(peer, PEER_HOLD_POST);
	for (uint64_t i = 0; i < 50; i++) {
		req = put(i);
		ck_assert_int_eq(conclave_arm(c, &timeout_ms), 0);
		ck_assert_int_gt(timeout_ms, 0);
		ck_assert_int_eq(poll(&item, 1, 0), 0);
		peer_set_hold(peer, 0);
		ck_assert_int_eq(poll(&item, 1, -1), 1);
		peer_await_posted(peer, i + 1);
		ck_assert_ptr_eq(conclave_next(c), req);
		ck_assert_int_eq(finish(req), 0);
		ck_assert_ptr_null(conclave_next(c));
		peer_set_hold(peer, PEER_HOLD_POST);
	}
	req = put(99);
	peer_set_hold(peer, 0);
	peer_await_posted(peer, 51);
	ck_assert_int_eq(conclave_arm(c, &timeout_ms), 1);
	ck_assert_ptr_eq(conclave_next(c), req);
}
END_TEST

START_TEST(an_event_loop_is_rung_when_the_daemon_dies)
{
	struct pollfd item = {.events = POLLIN};
	struct conclave_req *req, *found = NULL;
	int timeout_ms = 0;

	item.fd = conclave_eventfd(c);
	peer_set_hold(peer, PEER_HOLD_PROPOSALS);
	req = put(1);
	ck_assert_int_eq(conclave_arm(c, &timeout_ms), 0);
	peer_kill(peer);
	ck_assert_int_eq(poll(&item, 1, -1), 1);
	ck_assert_int_eq(conclave_arm(c, &timeout_ms), 1);
	found = conclave_next(c);
	ck_assert_ptr_eq(found, req);
	ck_assert_int_eq(finish(req), CONCLAVE_ENOTAPPLIED);
	peer_restart(peer);
}
END_TEST

START_TEST(a_request_in_the_wrong_state_is_refused)
{
	struct conclave_req *req = conclave_get_req(c), *any;

	ck_assert_int_eq(conclave_submit(c, req), CONCLAVE_EBADREQ);
	ck_assert_int_eq(conclave_wait(c, req, 0), -EINVAL);
	ck_assert_int_eq(conclave_poll(c, req), -EINVAL);
	ck_assert_int_eq(conclave_finish(c, req, NULL), -EBUSY);
	conclave_prep_put(req, "k", 1, "v", 1);
	conclave_req_set_flags(req, 1u << 16);
	ck_assert_int_eq(conclave_submit(c, req), CONCLAVE_EBADREQ);
	conclave_prep_put(req, "k", 1, "v", 1);
	conclave_req_set_reply_room(req, 8);
	ck_assert_int_eq(conclave_submit(c, req), CONCLAVE_EBADREQ);
	conclave_prep_put(req, "k", 1, "v", 1);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	ck_assert_int_eq(conclave_submit(c, req), -EBUSY);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(conclave_submit(c, req), -EBUSY);
	ck_assert_int_eq(finish(req), 0);
	ck_assert_int_eq(conclave_wait_any(c, -1, &any), -ENOENT);
}
END_TEST

static TCase *flow_case(void)
{
	TCase *t = tcase_create("flow");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, proposals_of_a_handle_are_proposed_in_order);
	tcase_add_test(t, next_returns_each_request_once);
	tcase_add_test(t, a_result_behind_one_that_hangs_is_found);
	tcase_add_test(t, without_a_leader_a_request_may_fail_fast);
	tcase_add_test(t, a_read_sees_what_this_session_was_shown);
	tcase_add_test(t, no_slot_is_no_request);
	tcase_add_test(t, a_full_ring_is_eagain_and_nothing_is_lost);
	tcase_add_test(t, a_blocking_call_waits_for_room_in_the_ring);
	tcase_add_test(t, reply_room_is_reserved_before_asking_and_comes_back);
	tcase_add_test(t, no_sequence_goes_beyond_the_window);
	tcase_add_test(t, a_request_in_the_wrong_state_is_refused);
	return t;
}

static TCase *ends_case(void)
{
	TCase *t = tcase_create("ends");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_cancel_that_wins_was_never_proposed);
	tcase_add_test(t, a_cancel_alone_wakes_the_daemon_to_reclaim);
	tcase_add_test(t, a_cancel_that_comes_too_late_changes_nothing);
	tcase_add_test(t, a_request_that_was_not_submitted_can_be_cancelled);
	tcase_add_test(t,
		       an_abandoned_request_keeps_its_slot_until_it_is_posted);
	tcase_add_test(t, an_abandoned_request_in_the_queue_is_free_at_once);
	tcase_add_test(t, a_deadline_in_the_queue_cancels);
	tcase_add_test(t, next_returns_what_expired_in_the_queue);
	tcase_add_test(
		t, a_deadline_that_passes_after_the_take_is_unknown_and_kept);
	tcase_add_test(t, the_daemon_does_not_propose_what_is_late);
	tcase_add_test(t, a_call_that_is_unknown_leaves_no_slot_behind);
	tcase_add_test(t, a_signal_ends_a_wait_if_that_was_asked_for);
	tcase_add_test(t, an_event_loop_is_rung_when_it_armed);
	tcase_add_test(t, an_event_loop_is_rung_when_the_daemon_dies);
	return t;
}

int main(void)
{
	Suite *s = suite_create("client_async");
	SRunner *runner;
	int failed;

	suite_add_tcase(s, flow_case());
	suite_add_tcase(s, ends_case());
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
