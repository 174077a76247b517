/*
 * Members that are not what they are taken for: each is refused with a
 * message that says what to do, and the others go on.
 */
#include "tests/integration/support_peer.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	FIRST_TWO = 3, /* members 1 and 2, as bits */
	EXIT_FOREIGN = 3, /* the log belongs to another member or cluster */
	BACKLOG = 16,
};

static struct daemon_process stranger;

static void remove_stranger(void)
{
	daemon_process_kill(&stranger);
	if (stranger.data[0])
		daemon_process_remove(&stranger);
}

static void set_up(void)
{
	struct daemon_cluster *daemons = cluster_daemons();

	cluster_be_tidy();
	ck_assert_int_eq(atexit(remove_stranger), 0);
	daemons->flags[0] = "--heartbeat-ms=50";
	daemons->flags[1] = "--election-ms=500";
}

/* Members 1 and 2; the third is what the test makes of it. */
static void start_two(void)
{
	struct daemon_cluster *daemons = cluster_daemons();
	uint32_t i;

	ck_assert_int_eq(daemon_cluster_prepare(daemons, support_folder()), 0);
	for (i = 0; i < 2; i++)
		cluster_again(i);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(daemon_process_wait(&daemons->members[i]), 0);
		cluster_open(i);
	}
	(void)cluster_leader(FIRST_TWO);
}

static void go_on(void)
{
	cluster_put(0, "k", "one");
	cluster_check(1, "k", "one");
	cluster_put(1, "k", "two");
	cluster_check(0, "k", "two");
}

/* A fourth daemon with the flags of member 3, but for one of them. */
static void start_stranger(uint32_t flag, const char *other)
{
	const struct daemon_process *third = &cluster_daemons()->members[2];

	stranger = *third;
	ck_assert_int_eq(daemon_process_prepare(&stranger, support_folder()),
			 0);
	(void)snprintf(stranger.log, sizeof(stranger.log), "%.64s/log",
		       stranger.run);
	stranger.flags[flag] = other;
	ck_assert_int_eq(daemon_process_again(&stranger), 0);
	ck_assert_int_eq(daemon_process_wait(&stranger), 0);
}

START_TEST(another_members_data_folder_is_refused)
{
	struct daemon_cluster *daemons = cluster_daemons();
	char data[DAEMON_PATH_MAX + 16], door[DAEMON_PATH_MAX + 16];
	char output[SUPPORT_OUTPUT_MAX];
	const struct daemon_process *second = &daemons->members[1];
	const char *arguments[] = {
		support_conclaved(),
		data,
		door,
		second->flags[0],
		second->flags[1],
		second->flags[2],
		second->flags[3],
		NULL,
	};

	cluster_start();
	(void)cluster_leader(7);
	cluster_put(0, "k", "v");
	cluster_kill(0);
	cluster_kill(1);
	(void)snprintf(data, sizeof(data), "--data=%s",
		       daemons->members[0].data);
	(void)snprintf(door, sizeof(door), "--socket=%s", second->socket);
	ck_assert_int_eq(support_run(arguments, output), EXIT_FOREIGN);
	ck_assert_msg(strstr(output, "member"), "%s", output);
	ck_assert_msg(strstr(output, "next="), "%s", output);
	/* It was left as it was. */
	cluster_again(0);
	cluster_again(1);
	cluster_check(0, "k", "v");
	cluster_check(1, "k", "v");
}
END_TEST

START_TEST(a_member_of_another_cluster_is_refused)
{
	const char *first = cluster_daemons()->members[0].log;

	start_two();
	start_stranger(0, "--cluster=other");
	cluster_await_said(stranger.log,
			   "a member of another cluster answers there");
	cluster_await_said(first, "peer refused");
	go_on();
}
END_TEST

START_TEST(a_second_daemon_with_the_same_id_is_refused)
{
	char listen[64];

	cluster_start();
	(void)cluster_leader(7);
	(void)snprintf(listen, sizeof(listen), "--peer-listen=127.0.0.1:%d",
		       daemon_free_port());
	start_stranger(2, listen);
	cluster_await_said(stranger.log,
			   "a member with this id is connected there already");
	go_on();
	cluster_put(2, "k", "three");
	cluster_check(0, "k", "three");
}
END_TEST

/* Takes connections and says what no member says. */
static void talk_nonsense(int door)
{
	static const char nonsense[256] = "HTTP/1.1 400 Bad Request\r\n\r\n";

	for (;;) {
		int fd = accept(door, NULL, NULL);

		if (fd < 0)
			_exit(0);
		(void)!write(fd, nonsense, sizeof(nonsense));
		(void)shutdown(fd, SHUT_WR);
		(void)!read(fd, &(char){0}, 1);
		(void)close(fd);
	}
}

static int open_door(uint16_t *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_port = (uint16_t)daemon_free_port();
	address.sin_port = htons(*ret_port);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)),
			 0);
	ck_assert_int_eq(listen(fd, BACKLOG), 0);
	return fd;
}

START_TEST(an_address_where_somebody_else_answers_harms_nobody)
{
	struct daemon_cluster *daemons = cluster_daemons();
	int door = open_door(&daemons->ports[2]);
	pid_t child = fork();

	if (child == 0)
		talk_nonsense(door);
	ck_assert_int_gt(child, 0);
	start_two();
	cluster_await_said(daemons->members[0].log,
			   "what answers there is no member");
	go_on();
}
END_TEST

START_TEST(an_address_where_nobody_answers_harms_nobody)
{
	struct daemon_cluster *daemons = cluster_daemons();

	start_two();
	cluster_await_said(daemons->members[0].log, "it cannot be reached");
	go_on();
}
END_TEST

START_TEST(an_address_of_another_member_is_refused)
{
	struct daemon_cluster *daemons = cluster_daemons();
	int port = daemon_free_port();

	/* Member 1 takes member 2 for the third as well. */
	ck_assert_int_gt(port, 0);
	daemons->ports[1] = (uint16_t)port;
	daemons->ports[2] = (uint16_t)port;
	start_two();
	cluster_await_said(daemons->members[0].log,
			   "another member answers there");
	go_on();
}
END_TEST

/* ---- frames ---- */

/* In the place of member 3: who greeted it, and as whom it is greeted. */
static struct wire_greeting meet(void)
{
	int door = peer_door(3);
	int theirs = accept(door, NULL, NULL);
	struct wire_greeting greeting;

	ck_assert_int_ge(theirs, 0);
	greeting = peer_hear_greeting(theirs);
	(void)close(theirs);
	(void)close(door);
	return greeting;
}

/* An open control lane from member 3 to whom it met. */
static int come_in(const struct wire_greeting *met)
{
	uint64_t deadline_ms = cluster_now_ms() + PATIENCE_MS;
	struct wire_greeting own = *met;
	int fd, status;

	own.from = met->to;
	own.to = met->from;
	own.lane = 0;
	own.status = WIRE_OK;
	wire_greeting_seal(&own);
	for (;;) {
		fd = peer_dial(met->from);
		ck_assert_int_eq(send(fd, &own, sizeof(own), 0), sizeof(own));
		status = peer_hear_greeting(fd).status;
		if (status == WIRE_OK)
			return fd;
		/* The connection before this one is not quite gone. */
		ck_assert_int_eq(status, WIRE_ETWICE);
		(void)close(fd);
		cluster_rest(deadline_ms);
	}
}

/* One that harms nobody and has been overtaken by all others. */
static struct wire_frame old_news(uint64_t sequence)
{
	struct wire_frame frame = {
		.type = RAFT_MSG_VOTE_REPLY,
		.flags = WIRE_REJECT,
		.sequence = sequence,
		.term = 1,
	};

	wire_seal(&frame);
	return frame;
}

/* The other side hangs up; what it said before does not matter. */
static void expect_end(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		continue;
	(void)close(fd);
	go_on();
}

static void say(int fd, const void *bytes, size_t size)
{
	ck_assert_int_eq(send(fd, bytes, size, MSG_NOSIGNAL), (int)size);
}

START_TEST(frames_that_cannot_be_end_their_connection_and_harm_nobody)
{
	uint8_t garbage[4 * WIRE_HEADER_SIZE];
	struct wire_greeting met;
	struct wire_frame frame;
	int fd;

	start_two();
	met = meet();
	/* Truncated: it hangs up in the middle, and that is all. */
	fd = come_in(&met);
	frame = old_news(1);
	say(fd, &frame, sizeof(frame));
	say(fd, &frame, sizeof(frame) / 2);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect_end(fd);
	/* Garbage. */
	fd = come_in(&met);
	memset(garbage, 0xa5, sizeof(garbage));
	say(fd, garbage, sizeof(garbage));
	expect_end(fd);
	cluster_await_said(cluster_daemons()->members[met.from - 1].log,
			   "peer sent what cannot be; connection ended");
	/* Replayed: the same one again. */
	fd = come_in(&met);
	frame = old_news(1);
	say(fd, &frame, sizeof(frame));
	say(fd, &frame, sizeof(frame));
	expect_end(fd);
	/* Oversized, with a header that is sound otherwise. */
	fd = come_in(&met);
	frame = old_news(1);
	frame.body_size = WIRE_BODY_MAX;
	wire_seal(&frame);
	say(fd, &frame, sizeof(frame));
	expect_end(fd);
	/* And one that is right is heard as ever. */
	fd = come_in(&met);
	frame = old_news(1);
	say(fd, &frame, sizeof(frame));
	frame = old_news(2);
	say(fd, &frame, sizeof(frame));
	go_on();
	ck_assert_int_eq(send(fd, "", 0, MSG_NOSIGNAL), 0);
	(void)close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("strangers");
	TCase *tests = tcase_create("strangers");

	tcase_set_timeout(tests, SUPPORT_TIMEOUT_S);
	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, another_members_data_folder_is_refused);
	tcase_add_test(tests, a_member_of_another_cluster_is_refused);
	tcase_add_test(tests, a_second_daemon_with_the_same_id_is_refused);
	tcase_add_test(tests,
		       an_address_where_somebody_else_answers_harms_nobody);
	tcase_add_test(tests, an_address_where_nobody_answers_harms_nobody);
	tcase_add_test(tests, an_address_of_another_member_is_refused);
	tcase_add_test(
		tests,
		frames_that_cannot_be_end_their_connection_and_harm_nobody);
	suite_add_tcase(suite, tests);
	return support_main(suite);
}
