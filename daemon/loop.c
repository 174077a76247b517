/*
 * One turn, in the order of a proposal's path: what the kernel finished, what
 * clients asked, the write that makes it durable, and only then the wakes of
 * those who wait for what became durable before. Where there is nothing to
 * write those come first: what is sent to members takes longer than a wake,
 * since over loopback a send is also the receiving. A turn enters the kernel
 * once, and only to hand something in; finding nothing to do costs no system
 * call.
 *
 * Sleep. A turn that found nothing is followed by others for a while (the
 * spin), since a wake costs more than a few of them. How long is learnt: a
 * spin that found work makes the next one full length, one that did not
 * halves it, down to none, so an idle daemon sleeps. Then the node announces
 * sleep and looks at all rings again, and what comes after that look rings a
 * doorbell, which ends the wait.
 */
#include "daemon/loop.h"

#include <assert.h>
#include <errno.h>
#include <immintrin.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "wal/disk_engine.h"

static uint64_t clock_now(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- stopping ---- */

static void begin_drain(struct loop *loop, uint32_t number)
{
	if (loop->drain_ns != 0) {
		loop->second = true;
		return;
	}
	log_begin(loop->log, LOG_INFO, "stopping");
	log_number(loop->log, "signal", number);
	log_end(loop->log);
	loop->drain_ns = loop->now_ns + LOOP_DRAIN_NS;
	loop->accept_ns[ENGINE_DOOR_CLIENTS] = 0;
	engine_accept_stop(loop->engine, ENGINE_DOOR_CLIENTS);
	listen_close(loop->listener);
	clients_stop(loop->clients);
	node_drain(loop->node);
}

static void reload(struct loop *loop)
{
	if (loop->peers && loop->peers->tls) {
		peers_reload(loop->peers, &loop->files);
		return;
	}
	log_begin(loop->log, LOG_INFO, "nothing to reload");
	log_text(loop->log, "why", "there are no keys for TLS");
	log_end(loop->log);
}

static void read_signals(struct loop *loop)
{
	struct signalfd_siginfo signal;

	while (read(loop->signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGHUP)
			reload(loop);
		else
			begin_drain(loop, signal.ssi_signo);
	}
}

/* ---- arrivals ---- */

static void accept_failed(struct loop *loop, uint32_t door, int error)
{
	log_begin(loop->log, LOG_ERROR,
		  door == ENGINE_DOOR_PEERS
			  ? "cannot accept connections of members"
			  : "cannot accept connections");
	log_errno(loop->log, error);
	log_text(loop->log, "next",
		 "raise the limit of open files; trying again");
	log_end(loop->log);
	loop->accept_ns[door] = loop->now_ns + LOOP_ACCEPT_NS;
}

static void accept_again(struct loop *loop)
{
	for (uint32_t door = 0; door < ENGINE_DOORS; door++) {
		uint64_t *when_ns = &loop->accept_ns[door];
		if (*when_ns == 0 || loop->now_ns < *when_ns)
			continue;
		*when_ns = 0;
		int result = engine_accept(loop->engine, (enum engine_door)door,
					   loop->doors[door]);
		if (result < 0)
			accept_failed(loop, door, result);
	}
}

static void take_arrival(struct loop *loop, const struct engine_event *event)
{
	if (event->fd < 0)
		accept_failed(loop, event->owner, event->fd);
	else if (event->owner == ENGINE_DOOR_PEERS)
		peers_arrive(loop->peers, event->fd);
	else
		clients_arrive(loop->clients, event->fd);
}

/* What the helper has done. */
static void take_answers(struct loop *loop)
{
	struct helper_answer answer;

	while (helper_next(loop->helper, &answer)) {
		if (answer.kind == HELPER_NAME)
			peers_found(loop->peers, &answer);
		else
			spare_renewed(loop->spare, &answer);
	}
}

static void take_event(struct loop *loop, const struct engine_event *event)
{
	switch (event->kind) {
	case ENGINE_ARRIVAL:
		take_arrival(loop, event);
		return;
	case ENGINE_CLIENT:
		clients_hear(loop->clients, event->owner);
		return;
	case ENGINE_DEATH:
		clients_bury(loop->clients, event->owner);
		return;
	case ENGINE_NAME:
		take_answers(loop);
		return;
	default:
		assert(event->kind == ENGINE_SIGNAL);
		read_signals(loop);
		return;
	}
}

/* What came over descriptors. Returns whether anything did. */
static bool take_events(struct loop *loop)
{
	struct engine_event event;
	bool any = false;

	clients_turn(loop->clients, loop->now_ns);
	while (engine_next(loop->engine, &event)) {
		take_event(loop, &event);
		any = true;
	}
	accept_again(loop);
	return any;
}

/* Wakes and welcomes; what is over the limit follows in the next turn. */
static bool post_events(struct loop *loop)
{
	struct node_event event;
	uint32_t count = 0;

	while (count < LOOP_EVENTS_MAX && node_next_event(loop->node, &event)) {
		if (event.kind == NODE_STORE_LEFT)
			spare_left(loop->spare, event.base);
		else
			clients_do(loop->clients, &event);
		count++;
	}
	return count > 0;
}

/* ---- members ---- */

/*
 * What was sent in the last turn is named where it lies in the node's memory,
 * so nothing may change there before the kernel has answered for all of it.
 * It has, at once, unless more happened than the queue of events holds, or
 * the kernel was short of memory.
 */
static int settle_sends(struct loop *loop)
{
	for (uint32_t i = 0; engine_sending(loop->engine) > 0; i++) {
		if (i == LOOP_SETTLE_TRIES)
			return -ENOBUFS;
		(void)take_events(loop); /* the turn is not over */
		int result = engine_submit(loop->engine);
		if (result < 0)
			return result;
		engine_reap(loop->engine, loop->now_ns);
	}
	return 0;
}

/* What members said. Returns whether anything was done, or -errno. */
static int hear_peers(struct loop *loop)
{
	if (!loop->peers)
		return 0;
	int result = settle_sends(loop);
	if (result < 0)
		return result;
	peers_sent(loop->peers, loop->now_ns);
	spare_turn(loop->spare);
	return peers_turn(loop->peers);
}

/* ---- turns ---- */

/*
 * The time is told anew: the process may have stood still since the turn
 * began, and what was heard must not seem to have come before it did.
 */
static void tell_time(struct loop *loop)
{
	if (!loop->peers)
		return;
	loop->now_ns = clock_now(CLOCK_MONOTONIC);
	node_clock(loop->node, clock_now(CLOCK_BOOTTIME));
}

/* Returns whether something was done, or what ended the loop. */
static int loop_turn(struct loop *loop)
{
	loop->now_ns = clock_now(CLOCK_MONOTONIC);
	loop->turns++;
	engine_reap(loop->engine, loop->now_ns);
	int heard = hear_peers(loop);
	if (heard < 0)
		return heard;
	bool came = take_events(loop);
	bool sweep = engine_rung(loop->engine) || loop->slept ||
		     loop->turns % LOOP_SWEEP_TURNS == 0;
	tell_time(loop);
	int done = node_turn(loop->node, loop->now_ns, sweep);
	if (done < 0)
		return done;
	trouble_turn(&loop->trouble, loop->node, loop->log);
	bool posted = !engine_is_prepared(loop->engine) && post_events(loop);
	bool sent = loop->peers && peers_send(loop->peers);
	disk_flush(loop->disk);
	int result = engine_submit(loop->engine);
	if (result < 0)
		return result;
	posted = post_events(loop) || posted;
	return came || done > 0 || posted || heard > 0 || sent;
}

uint64_t loop_next_spin_ns(uint64_t last_ns, uint64_t longest_ns, bool found)
{
	if (found || longest_ns == UINT64_MAX)
		return longest_ns;
	if (last_ns <= longest_ns / LOOP_SPIN_STEPS)
		return 0;
	return last_ns / 2;
}

static void pause_shortly(void)
{
	for (uint32_t i = 0; i < LOOP_PAUSES; i++)
		_mm_pause();
}

/* Whether to look on instead of sleeping, after a turn that found nothing. */
static bool goes_on_spinning(struct loop *loop)
{
	loop->spun = true;
	if (loop->now_ns - loop->worked_ns >= loop->budget_ns &&
	    loop->spin_ns != UINT64_MAX)
		return false;
	pause_shortly();
	return true;
}

/* There was work: a spin that led here was worth its time. */
static void note_work(struct loop *loop)
{
	loop->worked_ns = loop->now_ns;
	if (loop->slept)
		loop->budget_ns = loop->budget_ns > 0
					  ? loop->budget_ns
					  : loop->spin_ns / LOOP_SPIN_STEPS;
	else if (loop->spun)
		loop->budget_ns =
			loop_next_spin_ns(loop->budget_ns, loop->spin_ns, true);
	loop->spun = false;
	loop->slept = false;
}

static uint64_t sleep_until_ns(const struct loop *loop)
{
	uint64_t until_ns = node_next_ns(loop->node);

	if (until_ns > loop->clients->next_deadline_ns)
		until_ns = loop->clients->next_deadline_ns;
	for (uint32_t i = 0; i < ENGINE_DOORS; i++) {
		if (loop->accept_ns[i] != 0 && until_ns > loop->accept_ns[i])
			until_ns = loop->accept_ns[i];
	}
	if (loop->peers && until_ns > loop->peers->next_ns)
		until_ns = loop->peers->next_ns;
	if (loop->drain_ns != 0 && until_ns > loop->drain_ns)
		until_ns = loop->drain_ns;
	return until_ns;
}

/* Sleeps unless a ring was filled meanwhile. */
static int loop_sleep(struct loop *loop)
{
	uint64_t until_ns = sleep_until_ns(loop);
	int result = 0;

	loop->budget_ns =
		loop_next_spin_ns(loop->budget_ns, loop->spin_ns, false);
	loop->slept = true;
	disk_flush(loop->disk); /* what the ring had no room for */
	if (!node_may_sleep(loop->node))
		return 0;
	if (until_ns > loop->now_ns)
		result = engine_wait(loop->engine, until_ns - loop->now_ns);
	node_awake(loop->node);
	return result;
}

/* After a turn: 0: go on; 1: stopped cleanly; or why it stopped otherwise. */
static int check_drain(const struct loop *loop, bool worked)
{
	if (loop->drain_ns == 0)
		return 0;
	if (loop->second)
		return LOOP_ESECOND;
	if (!worked && node_drained(loop->node))
		return 1;
	return loop->now_ns >= loop->drain_ns ? LOOP_ENOTDRAINED : 0;
}

int loop_run(struct loop *loop)
{
	assert(loop->engine && loop->disk && loop->node && loop->clients);
	loop->budget_ns = loop->spin_ns;
	for (;;) {
		int worked = loop_turn(loop);
		if (worked < 0)
			return worked;
		if (worked == 0 && node_is_removed(loop->node))
			return LOOP_EREMOVED;
		int result = check_drain(loop, worked > 0);
		if (result != 0)
			return result > 0 ? 0 : result;
		if (worked > 0) {
			note_work(loop);
			continue;
		}
		if (goes_on_spinning(loop))
			continue;
		result = loop_sleep(loop);
		if (result < 0)
			return result;
	}
}
