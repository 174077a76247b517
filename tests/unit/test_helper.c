/*
 * The thread for slow calls, and the mappings that it renews for the node,
 * which is a fake here.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/spare.h"

enum {
	SIZE = 1 << 20,
	WAIT_MS = 30000,
};

struct node {
	void *given; /* the last spare */
	uint32_t count;
};

void node_spare(struct node *node, void *base)
{
	node->given = base;
	node->count++;
}

static struct helper helper;
static struct node node;
static struct log log_to_nowhere;
static struct spare spare;

static void answer(struct helper_answer *ret_answer)
{
	struct pollfd look = {.fd = helper_fd(&helper), .events = POLLIN};

	ck_assert_int_eq(poll(&look, 1, WAIT_MS), 1);
	ck_assert(helper_next(&helper, ret_answer));
}

static void open_all(void)
{
	int pair[2];

	ck_assert_int_eq(helper_open(&helper), 0);
	ck_assert_int_eq(pipe(pair), 0);
	log_init(&log_to_nowhere, pair[1], LOG_INFO);
	node = (struct node){0};
	spare = (struct spare){
		.helper = &helper,
		.node = &node,
		.log = &log_to_nowhere,
	};
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_int_eq(memory_open(&spare.memories[i], "test", SIZE,
					     MEMORY_READ_ONLY),
				 0);
}

START_TEST(there_is_no_answer_before_there_is_one)
{
	struct helper_answer got;

	ck_assert_int_eq(helper_open(&helper), 0);
	ck_assert(!helper_next(&helper, &got));
	helper_close(&helper);
	ck_assert_int_eq(helper.jobs, -1);
	helper_close(&helper);
}
END_TEST

START_TEST(names_are_answered_with_their_tags)
{
	struct address_parts parts = {.host = "localhost", .port = "9"};
	struct address_parts wrong = {.port = "9"};
	struct helper_answer got;

	ck_assert_int_eq(helper_open(&helper), 0);
	memset(wrong.host, 'a', 70); /* no part of a name is so long */
	ck_assert_int_eq(helper_look_up(&helper, 41, &parts), 0);
	ck_assert_int_eq(helper_look_up(&helper, 42, &wrong), 0);
	answer(&got);
	ck_assert_int_eq(got.kind, HELPER_NAME);
	ck_assert_uint_eq(got.tag, 41);
	ck_assert_uint_ge(got.count, 1);
	ck_assert_int_eq(got.error, 0);
	ck_assert(address_is_loopback(&got.found[0]));
	answer(&got);
	ck_assert_uint_eq(got.tag, 42);
	ck_assert_uint_eq(got.count, 0);
	ck_assert_int_lt(got.error, 0);
	helper_close(&helper);
}
END_TEST

START_TEST(a_mapping_that_is_left_comes_back_zeroed)
{
	struct helper_answer got;

	open_all();
	for (uint32_t round = 1; round <= 4; round++) {
		uint8_t *left = spare.memories[round % 2].base;
		memset(left, 0xee, SIZE);
		spare_left(&spare, left);
		ck_assert_ptr_null(spare.left);
		answer(&got);
		spare_renewed(&spare, &got);
		ck_assert_uint_eq(node.count, round);
		const uint8_t *given = node.given;
		ck_assert(given == spare.memories[0].base ||
			  given == spare.memories[1].base);
		for (uint32_t i = 0; i < SIZE; i++)
			ck_assert_uint_eq(given[i], 0);
	}
	helper_close(&helper);
}
END_TEST

/* The queue to the thread is full: the mapping waits for a later turn. */
START_TEST(a_mapping_waits_while_the_helper_is_busy)
{
	struct address_parts parts = {.host = "127.0.0.1", .port = "9"};
	uint8_t job[1 << 12];
	uint32_t jobs = 0;
	int pair[2];

	open_all();
	helper_close(&helper);
	/* A thread that takes nothing. */
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	helper.jobs = pair[0];
	while (helper_look_up(&helper, 1, &parts) == 0)
		jobs++;
	ck_assert_uint_gt(jobs, 0);
	uint8_t *left = spare.memories[1].base;
	spare_left(&spare, left);
	ck_assert_ptr_eq(spare.left, left);
	spare_turn(&spare);
	ck_assert_ptr_eq(spare.left, left);
	for (; jobs > 0; jobs--)
		ck_assert_int_gt(recv(pair[1], job, sizeof(job), 0), 0);
	spare_turn(&spare);
	ck_assert_ptr_null(spare.left);
	ck_assert_ptr_null(spare.memories[1].base);
	spare_turn(&spare);
	ck_assert_int_gt(recv(pair[1], job, sizeof(job), MSG_DONTWAIT), 0);
	ck_assert_int_lt(recv(pair[1], job, sizeof(job), MSG_DONTWAIT), 0);
	helper_close(&helper);
	ck_assert_int_eq(close(pair[1]), 0);
}
END_TEST

/* Without memory for another one the daemon goes on. */
START_TEST(a_mapping_that_cannot_be_had_is_done_without)
{
	struct helper_answer got = {.kind = HELPER_MEMORY, .error = -ENOMEM};

	open_all();
	memory_close(&spare.memories[1]);
	spare_renewed(&spare, &got);
	ck_assert_uint_eq(node.count, 0);
	ck_assert_ptr_null(spare.memories[1].base);
	helper_close(&helper);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("helper");
	TCase *tests = tcase_create("helper");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, there_is_no_answer_before_there_is_one);
	tcase_add_test(tests, names_are_answered_with_their_tags);
	tcase_add_test(tests, a_mapping_that_is_left_comes_back_zeroed);
	tcase_add_test(tests, a_mapping_waits_while_the_helper_is_busy);
	tcase_add_test(tests, a_mapping_that_cannot_be_had_is_done_without);
	suite_add_tcase(suite, tests);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
