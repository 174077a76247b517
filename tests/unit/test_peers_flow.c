/*
 * Connections of members while they last, how they end, and how they come
 * back, with both engines.
 */
#include "tests/unit/support_members.h"

enum {
	NAME_WATCH = 7,
};

/* ---- flow ---- */

START_TEST(a_node_may_take_bytes_as_slowly_as_it_likes)
{
	static const uint32_t steps[] = {1, 2, 95, 96, 97, 128, 16383};

	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	uint32_t size = 0;
	for (uint32_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct fake_lane *in = lane_of(&members[1].node, 1, NODE_BULK);
		in->step = steps[i];
		size += steps[i] * 50;
		lane_of(&members[0].node, 2, NODE_BULK)->out = large;
		lane_of(&members[0].node, 2, NODE_BULK)->out_size = size;
		check_heard(2, 2, 1, NODE_BULK, size);
	}
}
END_TEST

/* What it does not take stops the sender; then all goes on, in order. */
START_TEST(a_node_that_takes_nothing_costs_a_fixed_amount)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	struct fake_lane *in = lane_of(&members[1].node, 1, NODE_BULK);
	in->deaf = true;
	say(1, 2, NODE_BULK, LARGE);
	for (int i = 0; i < 200; i++)
		turn_all(2);
	ck_assert_uint_eq(in->in_used, 0);
	say(1, 2, NODE_CONTROL, 100000);
	say(2, 1, NODE_BULK, 100000);
	check_heard(2, 2, 1, NODE_CONTROL, 100000);
	check_heard(2, 1, 2, NODE_BULK, 100000);
	in->deaf = false;
	check_heard(2, 2, 1, NODE_BULK, LARGE);
}
END_TEST

/* By hand: it greets and never reads again. */
START_TEST(a_peer_that_never_reads_costs_nobody_else)
{
	struct wire_greeting greeting = greeting_of(3, 1, NODE_BULK);

	if (!open_members(_i, 2))
		return;
	introduce(2);
	fake_add(&members[0].node, 3, "");
	connect_all(2);
	int fd = dial_member(&members[0]);
	ck_assert_int_eq(greet(2, fd, &greeting), WIRE_OK);
	for (int i = 0; i < 10; i++)
		turn_all(2);
	struct fake_lane *out = lane_of(&members[0].node, 3, NODE_BULK);
	ck_assert(out->up);
	/* More than any socket holds, over and over. */
	for (int i = 0; i < 100; i++) {
		say(1, 3, NODE_BULK, LARGE);
		turn_all(2);
	}
	uint32_t stuck_at = out->sent;
	say(1, 2, NODE_BULK, LARGE);
	check_heard(2, 2, 1, NODE_BULK, LARGE);
	ck_assert_uint_le(out->sent, stuck_at + LINK_SEND_MAX);
	(void)close(fd);
}
END_TEST

START_TEST(no_turn_sends_more_than_its_share)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	struct fake_lane *out = lane_of(&members[0].node, 2, NODE_BULK);
	say(1, 2, NODE_BULK, LARGE);
	uint32_t before = 0;
	while (out->sent < LARGE) {
		turn_all(2);
		ck_assert_uint_le(out->sent - before, LINK_SEND_MAX);
		before = out->sent;
	}
	check_heard(2, 2, 1, NODE_BULK, LARGE);
}
END_TEST

/* ---- ends ---- */

START_TEST(bytes_that_cannot_be_end_the_connection_with_a_line)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	struct fake_lane *in = lane_of(&members[1].node, 1, NODE_BULK);
	in->bad_at = 5000;
	say(1, 2, NODE_BULK, 6000);
	wait_said(2, &members[1], "peer sent what cannot be");
	ck_assert_uint_eq(times_said(&members[1], "peer=1 lane=bulk"), 2);
	ck_assert_uint_eq(times_said(&members[1], "at_byte=5000"), 1);
	in->bad_at = 0;
	/* The other lane never noticed; this one comes back. */
	for (int i = 0; i < FAKE_TRIES && in->ups < 2; i++)
		turn_all(2);
	ck_assert_uint_eq(in->ups, 2);
	connect_all(2);
	ck_assert_uint_eq(members[1].node.lanes[1][NODE_CONTROL].ups, 1);
	say(1, 2, NODE_BULK, 6000);
	check_heard(2, 2, 1, NODE_BULK, 6000);
}
END_TEST

/* Lives from one end of a connection to the other's: all gets lost. */
static void break_links(struct member *member)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};

	for (uint32_t i = 0; i < PEERS_LINKS_MAX; i++) {
		struct link *link = &member->peers.links[i];
		if (link->state == LINK_FREE)
			continue;
		ck_assert_int_eq(setsockopt(link->fd, SOL_SOCKET, SO_LINGER,
					    &reset, sizeof(reset)),
				 0);
		peers_drop(&member->peers, link);
	}
}

START_TEST(a_lost_connection_comes_back_soon)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	for (uint32_t round = 1; round <= 5; round++) {
		connect_all(2);
		clock_ns += 2 * PEERS_GOOD_NS;
		turn_all(2);
		say(1, 2, NODE_BULK, LARGE);
		turn_all(2);
		break_links(&members[round % 2]);
		uint64_t before_ns = clock_ns;
		for (int i = 0; i < 5; i++)
			turn_all(2);
		connect_all(2);
		ck_assert_uint_lt(clock_ns - before_ns, 4 * PEERS_PAUSE_NS);
	}
	say(2, 1, NODE_BULK, LARGE);
	check_heard(2, 1, 2, NODE_BULK, LARGE);
	ck_assert_uint_eq(open_links(&members[0]), 2);
	ck_assert_uint_eq(any_links(&members[1]), 2);
}
END_TEST

/* Counts how often somebody dials, who finds nobody. */
START_TEST(pauses_between_dials_grow_and_have_an_end)
{
	char address[NODE_ADDRESS_MAX];
	uint64_t pauses_ns[24];
	uint32_t count = 0;
	int port;

	if (!open_members(_i, 1))
		return;
	int listener = listen_on(&port);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	(void)close(listener);
	fake_add(&members[0].node, 2, address);
	turn_all(1);
	struct peers_lane *lane =
		&peers_find(&members[0].peers, 2)->lanes[NODE_BULK];
	for (int i = 0; i < FAKE_TRIES && count < 24; i++) {
		turn_all(1);
		if (lane->failures <= count)
			continue;
		pauses_ns[count++] = lane->dial_ns - clock_ns;
		clock_ns = lane->dial_ns;
	}
	ck_assert_uint_eq(count, 24);
	uint64_t most_ns = PEERS_PAUSE_NS;
	for (uint32_t i = 0; i < count; i++) {
		ck_assert_uint_ge(pauses_ns[i], most_ns / 2 - FAKE_TURN_NS);
		ck_assert_uint_le(pauses_ns[i], most_ns);
		most_ns *= 2;
		if (most_ns > PEERS_PAUSE_MAX_NS)
			most_ns = PEERS_PAUSE_MAX_NS;
	}
	/* There is chance in it. */
	ck_assert(pauses_ns[20] != pauses_ns[21] ||
		  pauses_ns[21] != pauses_ns[22]);
	ck_assert_uint_eq(times_said(&members[0], "it cannot be reached"), 1);
	ck_assert_uint_eq(times_said(&members[0], "Connection refused"), 1);
}
END_TEST

/* ---- members come and go ---- */

START_TEST(a_member_that_left_is_let_go)
{
	if (!open_members(_i, 3))
		return;
	introduce(3);
	connect_all(3);
	members[0].node.count = 2; /* the third is no member any more */
	members[0].node.change++;
	turn_all(3);
	ck_assert(!members[0].node.lanes[3][NODE_BULK].up);
	ck_assert(!members[0].node.lanes[3][NODE_CONTROL].up);
	ck_assert_uint_eq(open_links(&members[0]), 2);
	/* It dials, and hears that it is a stranger. */
	wait_said(3, &members[2], wire_refusal_text(WIRE_ESTRANGER));
	ck_assert(is_up(1, 2) && is_up(2, 1) && is_up(3, 2));
}
END_TEST

START_TEST(a_member_that_is_added_is_dialled)
{
	char address[NODE_ADDRESS_MAX];

	if (!open_members(_i, 3))
		return;
	introduce(2);
	fake_add(&members[2].node, 1, "");
	fake_add(&members[2].node, 2, "");
	connect_all(2);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d",
		       members[2].port);
	fake_add(&members[0].node, 3, address);
	fake_add(&members[1].node, 3, address);
	connect_all(3);
}
END_TEST

/* It knows nobody yet, and takes whom the node takes. */
START_TEST(a_member_that_joins_takes_a_member_it_did_not_know)
{
	char address[NODE_ADDRESS_MAX];

	if (!open_members(_i, 2))
		return;
	members[1].node.open_to_all = true;
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d",
		       members[1].port);
	fake_add(&members[0].node, 2, address);
	connect_all(2);
	say(1, 2, NODE_BULK, 1000);
	check_heard(2, 2, 1, NODE_BULK, 1000);
}
END_TEST

START_TEST(an_address_that_changes_is_dialled)
{
	char address[NODE_ADDRESS_MAX];
	int port;

	if (!open_members(_i, 2))
		return;
	int listener = listen_on(&port);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	fake_add(&members[0].node, 2, address);
	fake_add(&members[1].node, 1, "");
	for (int i = 0; i < 50; i++)
		turn_all(2);
	ck_assert(!is_up(1, 2));
	(void)snprintf(members[0].node.members[0].address, NODE_ADDRESS_MAX,
		       "127.0.0.1:%d", members[1].port);
	members[0].node.change++;
	uint64_t before_ns = clock_ns;
	connect_all(2);
	ck_assert_uint_lt(clock_ns - before_ns, PEERS_PAUSE_NS);
	(void)close(listener);
}
END_TEST

/* ---- addresses ---- */

static void start_helper(struct member *member)
{
	ck_assert_int_eq(helper_open(&member->helper), 0);
	ck_assert_int_ge(engine_watch(member->engine,
				      helper_fd(&member->helper), ENGINE_NAME,
				      NAME_WATCH),
			 0);
}

START_TEST(a_name_is_looked_up_aside)
{
	char address[NODE_ADDRESS_MAX];

	if (!open_members(_i, 2))
		return;
	start_helper(&members[0]);
	(void)snprintf(address, sizeof(address), "localhost:%d",
		       members[1].port);
	fake_add(&members[0].node, 2, address);
	fake_add(&members[1].node, 1, "");
	connect_all(2);
	helper_close(&members[0].helper);
}
END_TEST

START_TEST(a_name_that_is_not_found_is_said_once)
{
	if (!open_members(_i, 1))
		return;
	start_helper(&members[0]);
	/* No name has so long a part: nobody need be asked. */
	fake_add(&members[0].node, 2,
		 "a23456789012345678901234567890123456789012345678901234567890"
		 "12345:2380");
	wait_said(1, &members[0], "the name of its host is not found");
	for (int i = 0; i < 200; i++) {
		clock_ns += PEERS_PAUSE_MAX_NS;
		turn_all(1);
	}
	ck_assert_uint_eq(times_said(&members[0], "is not found"), 1);
	ck_assert_uint_eq(any_links(&members[0]), 0);
	helper_close(&members[0].helper);
}
END_TEST

START_TEST(plain_tcp_stays_on_this_host)
{
	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "192.0.2.1:2380");
	wait_said(1, &members[0], "plain TCP would leave this host");
	ck_assert_uint_eq(times_said(&members[0], "--peer-plaintext"), 1);
	for (int i = 0; i < 50; i++) {
		clock_ns += PEERS_PAUSE_MAX_NS;
		turn_all(1);
	}
	ck_assert_uint_eq(any_links(&members[0]), 0);
	ck_assert_uint_eq(times_said(&members[0], "level=warn"), 1);
}
END_TEST

START_TEST(an_address_that_is_none_is_said)
{
	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "nonsense");
	wait_said(1, &members[0], "its address is not host:port");
	ck_assert_uint_eq(any_links(&members[0]), 0);
}
END_TEST

/* What is due last is when the loop must be awake again. */
START_TEST(nothing_is_due_when_all_are_connected)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	for (int i = 0; i < 10; i++)
		turn_all(2);
	ck_assert_uint_eq(members[0].peers.next_ns, UINT64_MAX);
	int fd = dial_member(&members[0]);
	for (int i = 0; i < 10; i++)
		turn_all(2);
	ck_assert_uint_gt(members[0].peers.next_ns, clock_ns);
	ck_assert_uint_le(members[0].peers.next_ns, clock_ns + PEERS_GREET_NS);
	(void)close(fd);
}
END_TEST

int main(void)
{
	const TTest *const flow[] = {
		a_node_may_take_bytes_as_slowly_as_it_likes,
		a_node_that_takes_nothing_costs_a_fixed_amount,
		a_peer_that_never_reads_costs_nobody_else,
		no_turn_sends_more_than_its_share,
		NULL,
	};
	const TTest *const ends[] = {
		bytes_that_cannot_be_end_the_connection_with_a_line,
		a_lost_connection_comes_back_soon,
		pauses_between_dials_grow_and_have_an_end,
		NULL,
	};
	const TTest *const changes[] = {
		a_member_that_left_is_let_go,
		a_member_that_is_added_is_dialled,
		a_member_that_joins_takes_a_member_it_did_not_know,
		an_address_that_changes_is_dialled,
		a_name_is_looked_up_aside,
		a_name_that_is_not_found_is_said_once,
		plain_tcp_stays_on_this_host,
		an_address_that_is_none_is_said,
		nothing_is_due_when_all_are_connected,
		NULL,
	};
	Suite *suite = suite_create("peers_flow");

	make_large();
	suite_add_tcase(suite, case_of("flow", flow));
	suite_add_tcase(suite, case_of("ends", ends));
	suite_add_tcase(suite, case_of("changes", changes));
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
