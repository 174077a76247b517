/*
 * Members find each other, and whoever does not belong to them is told so and
 * harms nobody, with both engines.
 */
#include "tests/unit/support_members.h"

/* ---- connecting ---- */

START_TEST(members_connect_and_bytes_flow_both_ways)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	for (uint32_t lane = 0; lane < NODE_LANES; lane++) {
		say(1, 2, lane, LARGE);
		say(2, 1, lane, LARGE / 2);
	}
	for (uint32_t lane = 0; lane < NODE_LANES; lane++) {
		check_heard(2, 2, 1, lane, LARGE);
		check_heard(2, 1, 2, lane, LARGE / 2);
	}
	ck_assert_uint_eq(open_links(&members[0]), 2);
	ck_assert_uint_eq(times_said(&members[0], "peer connected"), 2);
}
END_TEST

START_TEST(three_members_are_all_connected)
{
	if (!open_members(_i, 3))
		return;
	introduce(3);
	connect_all(3);
	for (uint64_t a = 1; a <= 3; a++)
		ck_assert_uint_eq(open_links(&members[a - 1]), 4);
	for (int i = 0; i < 200; i++)
		turn_all(3);
	for (uint64_t a = 1; a <= 3; a++) {
		ck_assert_uint_eq(any_links(&members[a - 1]), 4);
		ck_assert_uint_eq(times_said(&members[a - 1], "peer connected"),
				  4);

		ck_assert_uint_eq(times_said(&members[a - 1], "level=warn"), 0);
	}
}
END_TEST

START_TEST(one_that_can_dial_is_enough)
{
	char address[NODE_ADDRESS_MAX];

	if (!open_members(_i, 2))
		return;
	fake_add(&members[0].node, 2, "");
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d",
		       members[0].port);
	fake_add(&members[1].node, 1, address);
	connect_all(2);
	say(1, 2, NODE_CONTROL, 1000);
	check_heard(2, 2, 1, NODE_CONTROL, 1000);
}
END_TEST

static const struct link *open_link(uint64_t at, uint64_t to, uint32_t lane)
{
	struct peers *peers = &members[at - 1].peers;
	int number = peers_find(peers, to)->lanes[lane].open;

	ck_assert_int_ge(number, 0);
	return &peers->links[number];
}

/* Both greetings are under way before either is answered. */
START_TEST(when_both_dial_the_smaller_id_has_its_way)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	for (int i = 0; i < FAKE_TRIES && !all_up(2); i++) {
		/* Each finds both sockets in the same state. */
		for (int k = 0; k < 3; k++) {
			turn(&members[_i]);
			turn(&members[!_i]);
		}
		clock_ns += FAKE_TURN_NS;
	}
	ck_assert(all_up(2));
	for (int i = 0; i < 100; i++)
		turn_all(2);
	ck_assert(all_up(2));
	ck_assert_uint_eq(any_links(&members[0]), 2);
	ck_assert_uint_eq(any_links(&members[1]), 2);
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert(open_link(1, 2, i)->dialled !=
			  open_link(2, 1, i)->dialled);
		ck_assert_uint_eq(members[0].node.lanes[2][i].ups, 1);
	}
	ck_assert_uint_eq(times_said(&members[0], "level=warn"), 0);
	ck_assert_uint_eq(times_said(&members[1], "level=warn"), 0);
}
END_TEST

/* Member 2 by hand: it greets while member 1's own greeting is unanswered. */
START_TEST(a_greeting_waits_while_the_own_one_goes_first)
{
	struct wire_greeting greeting = greeting_of(2, 1, NODE_CONTROL);
	uint8_t bytes[WIRE_GREETING_SIZE];
	char address[NODE_ADDRESS_MAX];
	int port;

	if (!open_members(_i, 1))
		return;
	int listener = listen_on(&port);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	fake_add(&members[0].node, 2, address);
	for (int i = 0; i < 20; i++)
		turn_all(1);
	int control = accept(listener, NULL, NULL);
	int bulk = accept(listener, NULL, NULL);
	ck_assert_uint_eq(read_turning(1, control, bytes, sizeof(bytes)),
			  sizeof(bytes));
	int ours = dial_member(&members[0]);
	ck_assert_int_eq(send(ours, &greeting, sizeof(greeting), 0),
			 sizeof(greeting));
	for (int i = 0; i < 100; i++)
		turn_all(1);
	ck_assert_int_lt(recv(ours, bytes, 1, MSG_DONTWAIT), 0);
	/* Its own is not answered: now the other one is. */
	ck_assert_int_eq(close(control), 0);
	ck_assert_uint_eq(read_turning(1, ours, bytes, sizeof(bytes)),
			  sizeof(bytes));
	memcpy(&greeting, bytes, sizeof(greeting));
	ck_assert_int_eq(greeting.status, WIRE_OK);
	for (int i = 0; i < 5; i++)
		turn_all(1);
	ck_assert(members[0].node.lanes[2][NODE_CONTROL].up);
	ck_assert(!members[0].node.lanes[2][NODE_BULK].up);
	(void)close(ours);
	(void)close(bulk);
	(void)close(listener);
}
END_TEST

START_TEST(a_greeting_may_arrive_byte_by_byte)
{
	struct wire_greeting greeting = greeting_of(2, 1, NODE_BULK);
	uint8_t answer[WIRE_GREETING_SIZE];

	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "");
	int fd = dial_member(&members[0]);
	for (uint32_t i = 0; i < sizeof(greeting); i++) {
		ck_assert(!members[0].node.lanes[2][NODE_BULK].up);
		ck_assert_int_eq(send(fd, (uint8_t *)&greeting + i, 1, 0), 1);
		turn_all(1);
	}
	ck_assert_uint_eq(read_turning(1, fd, answer, sizeof(answer)),
			  sizeof(answer));
	turn_all(1);
	ck_assert(members[0].node.lanes[2][NODE_BULK].up);
	ck_assert(!members[0].node.lanes[2][NODE_CONTROL].up);
	(void)close(fd);
}
END_TEST

/* Frames may follow a greeting at once. */
START_TEST(bytes_behind_a_greeting_are_frames)
{
	struct wire_greeting greeting = greeting_of(2, 1, NODE_BULK);

	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "");
	int fd = dial_member(&members[0]);
	ck_assert_int_eq(send(fd, &greeting, sizeof(greeting), 0),
			 sizeof(greeting));
	ck_assert_int_eq(send(fd, large, 5000, 0), 5000);
	check_heard(1, 1, 2, NODE_BULK, 5000);
	(void)close(fd);
}
END_TEST

/* ---- who does not belong here ---- */

START_TEST(garbage_ends_its_own_connection_alone)
{
	uint8_t garbage[WIRE_GREETING_SIZE];

	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	for (uint32_t i = 0; i < 50; i++) {
		memcpy(garbage, large + i * 200, sizeof(garbage));
		int fd = dial_member(&members[0]);
		ck_assert_int_eq(greet(2, fd, garbage), -1);
		(void)close(fd);
	}
	ck_assert(all_up(2));
	say(1, 2, NODE_BULK, 100000);
	check_heard(2, 2, 1, NODE_BULK, 100000);
	ck_assert_uint_gt(
		times_said(&members[0], "a connection that does not greet"), 0);
	ck_assert_uint_eq(members[0].node.lanes[2][NODE_BULK].ups, 1);
}
END_TEST

START_TEST(a_truncated_greeting_is_no_greeting)
{
	struct wire_greeting greeting = greeting_of(2, 1, NODE_BULK);

	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "");
	for (uint32_t size = 0; size < sizeof(greeting); size += 9) {
		int fd = dial_member(&members[0]);
		ck_assert_int_eq(send(fd, &greeting, size, 0), size);
		ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
		ck_assert(hangs_up(1, fd));
		(void)close(fd);
	}
	ck_assert_uint_eq(any_links(&members[0]), 0);
	ck_assert_uint_eq(members[0].node.lanes[2][NODE_BULK].ups, 0);
}
END_TEST

START_TEST(whoever_does_not_belong_here_is_told_why)
{
	struct wire_greeting greeting;
	static const struct {
		int status;
		uint64_t from, to;
		uint8_t lane;
	} rows[] = {
		{WIRE_ESTRANGER, 5, 1, 0}, {WIRE_EMEMBER, 2, 3, 0},
		{WIRE_ELANE, 2, 1, 2},	   {WIRE_ETWICE, 1, 1, 0},
		{WIRE_ESTRANGER, 5, 1, 1},
	};

	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "");
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		greeting = greeting_of(rows[i].from, rows[i].to, rows[i].lane);
		int fd = dial_member(&members[0]);
		ck_assert_int_eq(greet(1, fd, &greeting), rows[i].status);
		ck_assert(hangs_up(1, fd));
		(void)close(fd);
		ck_assert_uint_gt(times_said(&members[0],
					     wire_refusal_text(rows[i].status)),
				  0);
	}
	members[0].node.removed = 6;
	greeting = greeting_of(6, 1, 0);
	int removed = dial_member(&members[0]);
	ck_assert_int_eq(greet(1, removed, &greeting), WIRE_EREMOVED);
	(void)close(removed);
	greeting = greeting_of(2, 1, 0);
	greeting.cluster[5] ^= 1;
	reseal(&greeting);
	int fd = dial_member(&members[0]);
	ck_assert_int_eq(greet(1, fd, &greeting), WIRE_ECLUSTER);
	(void)close(fd);
	greeting = greeting_of(2, 1, 0);
	greeting.version_min = WIRE_VERSION + 1;
	greeting.version_max = WIRE_VERSION + 3;
	reseal(&greeting);
	fd = dial_member(&members[0]);
	ck_assert_int_eq(greet(1, fd, &greeting), WIRE_EVERSION);
	(void)close(fd);
	ck_assert_uint_eq(members[0].node.lanes[2][0].ups, 0);
	for (int i = 0; i < FAKE_TRIES && any_links(&members[0]) > 0; i++)
		turn_all(1);
	ck_assert_uint_eq(any_links(&members[0]), 0);
}
END_TEST

/* A replayed greeting of ours comes back as if it were another's. */
START_TEST(a_greeting_that_refuses_is_no_first_greeting)
{
	struct wire_greeting greeting = greeting_of(2, 1, 0);

	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "");
	greeting.status = WIRE_ETWICE;
	reseal(&greeting);
	int fd = dial_member(&members[0]);
	ck_assert_int_eq(greet(1, fd, &greeting), -1);
	(void)close(fd);
}
END_TEST

START_TEST(a_refusal_is_said_once_however_often_it_comes)
{
	if (!open_members(_i, 2))
		return;
	introduce(2);
	members[1].peers.cluster[0] ^= 1;
	wait_said(2, &members[0], wire_refusal_text(WIRE_ECLUSTER));
	for (int i = 0; i < 300; i++) {
		clock_ns += 50000000;
		turn_all(2);
	}
	ck_assert(!all_up(2));
	/* As the one that dials, and as the one that refuses. */
	ck_assert_uint_eq(times_said(&members[0], "no connection to peer"), 1);
	ck_assert_uint_ge(times_said(&members[1], "peer refused"), 1);
	ck_assert_uint_le(times_said(&members[1], "peer refused"), 2);
	/* What was wrong is put right: no restart is needed. */
	members[1].peers.cluster[0] ^= 1;
	for (int i = 0; i < 300 && !all_up(2); i++) {
		clock_ns += 50000000;
		turn_all(2);
	}
	ck_assert(all_up(2));
}
END_TEST

START_TEST(a_wrong_address_is_another_member)
{
	char address[NODE_ADDRESS_MAX];

	if (!open_members(_i, 2))
		return;
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d",
		       members[1].port);
	fake_add(&members[0].node, 3, address);
	fake_add(&members[1].node, 1, "");
	wait_said(2, &members[0], wire_refusal_text(WIRE_EMEMBER));
	ck_assert_uint_eq(members[0].node.lanes[3][0].ups, 0);
	/* Its own address in another's place: the same. */
	(void)snprintf(members[0].node.members[0].address, NODE_ADDRESS_MAX,
		       "127.0.0.1:%d", members[0].port);
	members[0].node.change++;
	members[0].said[0] = '\0';
	wait_said(2, &members[0], "no connection to peer");
	ck_assert_uint_gt(
		times_said(&members[0], wire_refusal_text(WIRE_EMEMBER)), 0);
}
END_TEST

/* ---- the same id twice ---- */

START_TEST(a_second_one_with_an_id_that_is_alive_is_refused)
{
	struct wire_greeting greeting = greeting_of(2, 1, NODE_CONTROL);

	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	int fd = dial_member(&members[0]);
	uint64_t before_ns = clock_ns;
	ck_assert_int_eq(greet(2, fd, &greeting), WIRE_ETWICE);
	ck_assert_uint_ge(clock_ns - before_ns, PEERS_WAIT_NS);
	ck_assert(hangs_up(2, fd));
	(void)close(fd);
	ck_assert(all_up(2));
	ck_assert_uint_eq(members[0].node.lanes[2][NODE_CONTROL].ups, 1);
	ck_assert_uint_eq(
		times_said(&members[0], wire_refusal_text(WIRE_ETWICE)), 1);
}
END_TEST

START_TEST(a_third_one_is_refused_at_once)
{
	struct wire_greeting greeting = greeting_of(2, 1, NODE_CONTROL);

	if (!open_members(_i, 2))
		return;
	introduce(2);
	connect_all(2);
	int second = dial_member(&members[0]);
	ck_assert_int_eq(send(second, &greeting, sizeof(greeting), 0),
			 sizeof(greeting));
	for (int i = 0; i < 20; i++)
		turn_all(2);
	int third = dial_member(&members[0]);
	uint64_t before_ns = clock_ns;
	ck_assert_int_eq(greet(2, third, &greeting), WIRE_ETWICE);
	ck_assert_uint_lt(clock_ns - before_ns, PEERS_GREET_NS);
	(void)close(second);
	(void)close(third);
}
END_TEST

START_TEST(a_member_that_restarted_comes_in_when_the_old_one_is_dead)
{
	struct wire_greeting greeting = greeting_of(2, 1, NODE_CONTROL);

	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "");
	int old = dial_member(&members[0]);
	ck_assert_int_eq(greet(1, old, &greeting), WIRE_OK);
	greeting.incarnation++;
	reseal(&greeting);
	int new = dial_member(&members[0]);
	ck_assert_int_eq(send(new, &greeting, sizeof(greeting), 0),
			 sizeof(greeting));
	for (int i = 0; i < 50; i++)
		turn_all(1);
	ck_assert_uint_eq(members[0].node.lanes[2][NODE_CONTROL].ups, 1);
	(void)close(old);
	for (int i = 0;
	     i < FAKE_TRIES && members[0].node.lanes[2][NODE_CONTROL].ups < 2;
	     i++)
		turn_all(1);
	ck_assert_uint_eq(members[0].node.lanes[2][NODE_CONTROL].ups, 2);
	ck_assert(members[0].node.lanes[2][NODE_CONTROL].up);
	(void)close(new);
}
END_TEST

/* ---- those who say nothing ---- */

START_TEST(a_silent_connection_is_let_go_in_time)
{
	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "");
	int fd = dial_member(&members[0]);
	uint64_t before_ns = clock_ns;
	ck_assert(hangs_up(1, fd));
	ck_assert_uint_ge(clock_ns - before_ns, PEERS_GREET_NS);
	ck_assert_uint_le(members[0].peers.next_ns, UINT64_MAX);
	ck_assert_uint_eq(times_said(&members[0], "does not greet in time"), 1);
	(void)close(fd);
}
END_TEST

START_TEST(many_silent_ones_keep_nobody_out)
{
	struct wire_greeting greeting = greeting_of(2, 1, NODE_CONTROL);
	int fds[3 * PEERS_ARRIVED_MAX];

	if (!open_members(_i, 1))
		return;
	fake_add(&members[0].node, 2, "");
	for (uint32_t i = 0; i < 3 * PEERS_ARRIVED_MAX; i++) {
		fds[i] = dial_member(&members[0]);
		turn_all(1);
		turn_all(1);
		ck_assert_uint_le(any_links(&members[0]), PEERS_ARRIVED_MAX);
	}
	int fd = dial_member(&members[0]);
	ck_assert_int_eq(greet(1, fd, &greeting), WIRE_OK);
	turn_all(1);
	ck_assert_uint_eq(members[0].node.lanes[2][NODE_CONTROL].ups, 1);
	for (uint32_t i = 0; i < 3 * PEERS_ARRIVED_MAX; i++)
		(void)close(fds[i]);
	(void)close(fd);
}
END_TEST

/* It accepts, in the kernel, and never answers. */
START_TEST(who_does_not_answer_is_dialled_again)
{
	char address[NODE_ADDRESS_MAX];
	int port;

	if (!open_members(_i, 1))
		return;
	int listener = listen_on(&port);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	fake_add(&members[0].node, 2, address);
	wait_said(1, &members[0], "it does not answer in time");
	int first[2] = {accept(listener, NULL, NULL),
			accept(listener, NULL, NULL)};
	for (int i = 0; i < 100; i++)
		turn_all(1);
	ck_assert(hangs_up(1, first[0]));
	int again = accept(listener, NULL, NULL);
	ck_assert_int_ge(again, 0);
	(void)close(again);
	(void)close(first[0]);
	(void)close(first[1]);
	(void)close(listener);
}
END_TEST

int main(void)
{
	const TTest *const connecting[] = {
		members_connect_and_bytes_flow_both_ways,
		three_members_are_all_connected,
		one_that_can_dial_is_enough,
		when_both_dial_the_smaller_id_has_its_way,
		a_greeting_waits_while_the_own_one_goes_first,
		a_greeting_may_arrive_byte_by_byte,
		bytes_behind_a_greeting_are_frames,
		NULL,
	};
	const TTest *const strangers[] = {
		garbage_ends_its_own_connection_alone,
		a_truncated_greeting_is_no_greeting,
		whoever_does_not_belong_here_is_told_why,
		a_greeting_that_refuses_is_no_first_greeting,
		a_refusal_is_said_once_however_often_it_comes,
		a_wrong_address_is_another_member,
		a_second_one_with_an_id_that_is_alive_is_refused,
		a_third_one_is_refused_at_once,
		a_member_that_restarted_comes_in_when_the_old_one_is_dead,
		a_silent_connection_is_let_go_in_time,
		many_silent_ones_keep_nobody_out,
		who_does_not_answer_is_dialled_again,
		NULL,
	};
	Suite *suite = suite_create("peers");

	make_large();
	suite_add_tcase(suite, case_of("connecting", connecting));
	suite_add_tcase(suite, case_of("strangers", strangers));
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
