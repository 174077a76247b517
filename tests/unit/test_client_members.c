/*
 * Members, as a client changes and sees them, against the miniature daemon.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/conclave.h"
#include "tests/unit/support_peer.h"
#include "tests/unit/support_peer_store.h"

static struct peer *peer;
static struct conclave *c;

static void open_with_room(uint32_t reply_size)
{
	struct conclave_options options;

	conclave_options_init(&options);
	options.socket = peer_path(peer);
	options.timeout_ms = 20000;
	options.reply_size = reply_size;
	ck_assert_int_eq(conclave_open(&c, &options), 0);
}

static void setup(void)
{
	peer = peer_new(NULL);
	peer_start(peer);
	open_with_room(0);
}

static void teardown(void)
{
	conclave_close(c);
	peer_free(peer);
}

/* The list as text: a member's id, role and address, each in one word. */
static void expect_members(const char *wanted)
{
	struct conclave_members members;
	struct conclave_member member;
	char text[512];
	size_t used = 0;
	int status;

	ck_assert_int_eq(conclave_members_begin(c, &members), 0);
	text[0] = 0;
	while ((status = conclave_members_next(&members, &member)) == 1)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%lu%c%.*s",
			used ? " " : "", member.id,
			member.flags & CV_MEMBER_VOTER ? 'v' : 'l',
			(int)member.address_size, member.address);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(text, wanted);
	conclave_members_end(&members);
}

START_TEST(a_member_is_added_promoted_and_removed)
{
	expect_members("1vone:1");
	ck_assert_int_eq(conclave_member_add(c, 3, "three:3"), 0);
	expect_members("1vone:1 3lthree:3");
	ck_assert_int_eq(conclave_member_promote(c, 3), 0);
	expect_members("1vone:1 3vthree:3");
	ck_assert_int_eq(conclave_member_update(c, 3, "elsewhere:33"), 0);
	expect_members("1vone:1 3velsewhere:33");
	ck_assert_int_eq(conclave_member_remove(c, 3), 0);
	expect_members("1vone:1");
}
END_TEST

START_TEST(a_member_is_replaced_by_a_learner_in_one_request)
{
	uint64_t applied;

	ck_assert_int_eq(conclave_member_add(c, 2, "two:2"), 0);
	applied = peer_counts(peer).applied;
	ck_assert_int_eq(conclave_member_replace(c, 1, 2), 0);
	ck_assert_uint_eq(peer_counts(peer).applied, applied + 1);
	expect_members("2vtwo:2");
}
END_TEST

START_TEST(a_change_that_does_not_fit_is_refused_and_certain)
{
	ck_assert_int_eq(conclave_member_add(c, 1, "one:1"),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(conclave_member_promote(c, 1), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(conclave_member_remove(c, 9), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(conclave_member_update(c, 9, "x:1"),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(conclave_member_replace(c, 1, 9),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(conclave_error_kind(CONCLAVE_EMEMBERSHIP),
			 CONCLAVE_NOT_APPLIED);
	ck_assert_str_eq(conclave_strerror(CONCLAVE_EMEMBERSHIP),
			 "this change of members is refused");
	expect_members("1vone:1");
}
END_TEST

START_TEST(an_address_longer_than_a_key_is_refused_before_it_is_copied)
{
	static char address[CV_KEY_MAX + 2];
	uint64_t taken = peer_counts(peer).taken;

	memset(address, 'a', sizeof(address) - 1);
	ck_assert_int_eq(conclave_member_add(c, 2, address),
			 CONCLAVE_ETOOLARGE);
	ck_assert_uint_eq(peer_counts(peer).taken, taken);
}
END_TEST

START_TEST(a_list_larger_than_the_usual_room_is_read_whole)
{
	struct conclave_members members;
	struct conclave_member member;
	char address[128];
	uint64_t id;

	memset(address, 'a', sizeof(address));
	address[127] = 0;
	for (id = 2; id <= PEER_MEMBERS; id++)
		ck_assert_int_eq(conclave_member_add(c, id, address), 0);
	ck_assert_int_eq(conclave_members_begin(c, &members), 0);
	ck_assert_uint_eq(members.count, PEER_MEMBERS);
	for (id = 1; id <= PEER_MEMBERS; id++) {
		ck_assert_int_eq(conclave_members_next(&members, &member), 1);
		ck_assert_uint_eq(member.id, id);
		ck_assert_uint_eq(member.match, 100 + id);
		ck_assert_uint_eq(member.address_size, id == 1 ? 5 : 127);
	}
	ck_assert_int_eq(conclave_members_next(&members, &member), 0);
	conclave_members_end(&members);
	ck_assert_int_eq(conclave_members_next(&members, &member), 0);
	conclave_close(c);
	open_with_room(8192);
	ck_assert_int_eq(conclave_members_begin(c, &members),
			 CONCLAVE_ETOOSMALL);
}
END_TEST

START_TEST(an_unfinished_walk_gives_its_room_back)
{
	struct conclave_members members;
	struct conclave_member member;
	uint32_t i;

	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(conclave_members_begin(c, &members), 0);
		ck_assert_int_eq(conclave_members_next(&members, &member), 1);
		conclave_members_end(&members);
	}
}
END_TEST

START_TEST(members_that_lie_about_their_size_are_refused)
{
	struct conclave_result result = {0};
	struct cv_member head = {.id = 5};
	struct conclave_member member;
	uint8_t reply[64] = {0};

	result.reply = reply;
	result.reply_size = 23;
	ck_assert_int_eq(conclave_member_first(&result, &member),
			 CONCLAVE_EPROTO);
	result.reply_size = 32;
	head.address_size = 9;
	memcpy(reply, &head, sizeof(head));
	ck_assert_int_eq(conclave_member_first(&result, &member),
			 CONCLAVE_EPROTO);
	head.address_size = UINT32_MAX;
	memcpy(reply, &head, sizeof(head));
	ck_assert_int_eq(conclave_member_first(&result, &member),
			 CONCLAVE_EPROTO);
	head.address_size = 8;
	memcpy(reply, &head, sizeof(head));
	ck_assert_int_eq(conclave_member_first(&result, &member), 1);
	ck_assert_uint_eq(member.id, 5);
	ck_assert_int_eq(conclave_member_next(&member), 0);
	result.reply = NULL;
	ck_assert_int_eq(conclave_member_first(&result, &member), 0);
}
END_TEST

START_TEST(the_state_is_told_with_its_hash)
{
	struct conclave_result result = {0};
	struct cv_state state;

	ck_assert_int_eq(conclave_put(c, "a", 1, "b", 1, NULL), 0);
	ck_assert_int_eq(conclave_state(c, &state), 0);
	ck_assert_uint_eq(state.applied, 1);
	ck_assert_uint_eq(state.revision, 2);
	ck_assert_uint_eq(state.hash[0], 0x123456789abcdef0);
	ck_assert_uint_eq(state.hash[1], 0x0fedcba987654321);
	ck_assert_int_eq(conclave_result_state(&result, &state),
			 CONCLAVE_EPROTO);
	result.reply = &state;
	result.reply_size = sizeof(state) - 1;
	ck_assert_int_eq(conclave_result_state(&result, &state),
			 CONCLAVE_EPROTO);
}
END_TEST

START_TEST(an_image_has_an_index_and_a_place)
{
	struct conclave_image image;

	ck_assert_int_eq(conclave_put(c, "a", 1, "b", 1, NULL), 0);
	ck_assert_int_eq(conclave_find_image(c, 7, &image), 0);
	ck_assert_uint_eq(image.index, 7);
	ck_assert_uint_eq(image.term, 5);
	ck_assert_uint_eq(image.applied, 1);
	ck_assert_str_eq(image.folder, "/nowhere/at-all");
	ck_assert_str_eq(image.name, "mini");
}
END_TEST

START_TEST(leadership_moves_to_a_voter_only)
{
	struct cv_status status;

	ck_assert_int_eq(conclave_member_add(c, 3, "three:3"), 0);
	ck_assert_int_eq(conclave_move_leader(c, 3), CONCLAVE_ENOTFOUND);
	ck_assert_int_eq(conclave_member_promote(c, 3), 0);
	ck_assert_int_eq(conclave_move_leader(c, 3), 0);
	ck_assert_int_eq(conclave_status(c, &status), 0);
	ck_assert_uint_eq(status.leader, 3);
}
END_TEST

START_TEST(a_change_in_doubt_is_settled_with_its_first_result)
{
	struct conclave_req *req = conclave_get_req(c);
	struct conclave_result result;

	peer_set_hold(peer, PEER_HOLD_POST);
	conclave_prep_member_add(req, 2, "two:2");
	ck_assert_int_eq(conclave_submit(c, req), 0);
	conclave_flush(c);
	peer_await_applied(peer, 1);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_restart(peer);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	ck_assert_int_eq(result.status, 0);
	ck_assert_uint_ne(result.flags & CONCLAVE_RESULT_REPEATED, 0);
	expect_members("1vone:1 2ltwo:2");
}
END_TEST

START_TEST(a_change_that_was_lost_is_made_again_by_the_call)
{
	struct conclave_req *req = conclave_get_req(c);
	struct conclave_result result;

	/* Replace carries its number in the request: it must still be there. */
	ck_assert_int_eq(conclave_member_add(c, 2, "two:2"), 0);
	peer_set_hold(peer, PEER_HOLD_APPLY);
	conclave_prep_member_replace(req, 1, 2);
	ck_assert_int_eq(conclave_submit(c, req), 0);
	conclave_flush(c);
	peer_await_taken(peer, 2);
	peer_kill(peer);
	peer_set_hold(peer, 0);
	peer_restart(peer);
	ck_assert_int_eq(conclave_wait(c, req, -1), 0);
	ck_assert_int_eq(conclave_finish(c, req, &result), 0);
	ck_assert_int_eq(result.status, CONCLAVE_ENOTAPPLIED);
	ck_assert_int_eq(conclave_member_replace(c, 1, 2), 0);
	expect_members("2vtwo:2");
}
END_TEST

/* Each call's answer in a child, as bits. */
static int answers_of_child(void)
{
	static struct conclave_image image;
	struct conclave_members members;
	struct cv_state state;
	int wrong = 0;

	wrong |= conclave_member_add(c, 2, "x:1") != CONCLAVE_EFORKED;
	wrong |= conclave_member_promote(c, 2) != CONCLAVE_EFORKED;
	wrong |= conclave_member_remove(c, 2) != CONCLAVE_EFORKED;
	wrong |= conclave_member_update(c, 2, "y:1") != CONCLAVE_EFORKED;
	wrong |= conclave_member_replace(c, 2, 3) != CONCLAVE_EFORKED;
	wrong |= conclave_move_leader(c, 2) != CONCLAVE_EFORKED;
	wrong |= conclave_state(c, &state) != CONCLAVE_EFORKED;
	wrong |= conclave_find_image(c, 1, &image) != CONCLAVE_EFORKED;
	wrong |= conclave_members_begin(c, &members) != CONCLAVE_EFORKED;
	return wrong;
}

START_TEST(a_child_gets_an_error_of_its_own)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0)
		_exit(answers_of_child());
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(conclave_ping(c, NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("client members");
	TCase *t = tcase_create("members");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_member_is_added_promoted_and_removed);
	tcase_add_test(t, a_member_is_replaced_by_a_learner_in_one_request);
	tcase_add_test(t, a_change_that_does_not_fit_is_refused_and_certain);
	tcase_add_test(
		t, an_address_longer_than_a_key_is_refused_before_it_is_copied);
	tcase_add_test(t, a_list_larger_than_the_usual_room_is_read_whole);
	tcase_add_test(t, an_unfinished_walk_gives_its_room_back);
	tcase_add_test(t, members_that_lie_about_their_size_are_refused);
	tcase_add_test(t, the_state_is_told_with_its_hash);
	tcase_add_test(t, an_image_has_an_index_and_a_place);
	tcase_add_test(t, leadership_moves_to_a_voter_only);
	tcase_add_test(t, a_change_in_doubt_is_settled_with_its_first_result);
	tcase_add_test(t, a_change_that_was_lost_is_made_again_by_the_call);
	tcase_add_test(t, a_child_gets_an_error_of_its_own);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
