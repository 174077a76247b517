/*
 * Sessions and handles: who may have what, the life of a session from its
 * first operation to the dropping of its tombstone, and what became of a
 * request, asked again.
 */
#include "tests/unit/support_handle.h"
#include "tests/unit/support_node.h"

enum times {
	MS = 1000000,
};

static struct rig rig;
static struct guest alice;

static void set_up(void)
{
	rig_init(&rig);
	/* Minutes in steps of a tick take long: ten seconds will do. */
	rig.settings.session_expiry_ms = 10000;
	rig.settings.tombstone_ms = 20000;
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
}

static void tear_down(void)
{
	peer_unmap(&alice);
	rig_release(&rig);
}

static struct store_session session_of_alice(void)
{
	struct store_session session;

	store_session(rig.store, alice.who.hello.session, &session);
	return session;
}

static void pass_seconds(uint64_t seconds)
{
	rig_pass(&rig, seconds * 1000 * MS);
}

static int32_t put(struct guest *peer)
{
	peer_put(peer, 0, "k", "v");
	rig_settle(&rig);
	return status_of(peer, 0);
}

/* What became of a sequence. */
static const struct cv_slot *ask(struct guest *peer, uint64_t sequence)
{
	peer_outcome(peer, 9, sequence);
	rig_settle(&rig);
	return posted(peer, 9);
}

/* ---- the hello ---- */

static int greet(const struct cv_hello *hello)
{
	struct node_peer who = {.uid = RIG_UID, .hello = *hello};
	struct cv_welcome welcome;
	int code = node_greet(rig.node, &who, &welcome);

	ck_assert_int_eq(code, welcome.status);
	return code;
}

START_TEST(a_hello_that_is_none_is_refused)
{
	struct guest peer;
	struct cv_hello hello;

	peer_init(&peer, &rig, 9);
	ck_assert_int_eq(greet(&peer.who.hello), 0);
	hello = peer.who.hello;
	hello.magic++;
	ck_assert_int_eq(greet(&hello), CONCLAVE_EBADREQ);
	hello = peer.who.hello;
	hello.size--;
	ck_assert_int_eq(greet(&hello), CONCLAVE_EBADREQ);
	hello = peer.who.hello;
	memset(hello.session, 0, 16);
	ck_assert_int_eq(greet(&hello), CONCLAVE_EBADREQ);
	hello = peer.who.hello;
	hello.epoch = UINT64_MAX;
	ck_assert_int_eq(greet(&hello), CONCLAVE_EBADREQ);
	hello = peer.who.hello;
	hello.abi_major++;
	ck_assert_int_eq(greet(&hello), CONCLAVE_EVERSION);
}
END_TEST

START_TEST(a_geometry_beyond_the_maximum_is_refused)
{
	struct guest peer;
	struct cv_hello hello;

	peer_init(&peer, &rig, 9);
	hello = peer.who.hello;
	hello.slots = CV_SLOTS_MAX + 1;
	ck_assert_int_eq(greet(&hello), CONCLAVE_ETOOLARGE);
	hello = peer.who.hello;
	hello.proposal_size = CV_RING_MAX + 1;
	ck_assert_int_eq(greet(&hello), CONCLAVE_ETOOLARGE);
	hello = peer.who.hello;
	hello.control_size = UINT32_MAX;
	ck_assert_int_eq(greet(&hello), CONCLAVE_ETOOLARGE);
	hello = peer.who.hello;
	hello.reply_size = CV_REPLY_MAX + 1;
	ck_assert_int_eq(greet(&hello), CONCLAVE_ETOOLARGE);
	hello = peer.who.hello;
	hello.request_max = CV_REQUEST_MAX + 1;
	ck_assert_int_eq(greet(&hello), CONCLAVE_ETOOLARGE);
}
END_TEST

/* Every geometry that is granted is one that both sides can use. */
static void check_geometry(const struct cv_welcome *w)
{
	ck_assert(cv_ring_fits(w->proposal_size, w->request_max));
	ck_assert_uint_ge(w->proposal_size, 4 * w->request_max);
	ck_assert(cv_ring_fits(w->control_size, 2 * CV_KEY_MAX));
	ck_assert_uint_ge(w->proposal_offset, CV_CLAIMS_OFFSET + w->slots * 8);
	ck_assert_uint_ge(w->control_offset,
			  w->proposal_offset + w->proposal_size);
	ck_assert_uint_ge(w->up_size, w->control_offset + w->control_size);
	ck_assert_uint_ge(w->reply_offset, CV_SLOTS_OFFSET + w->slots * 64);
	ck_assert_uint_ge(w->down_size,
			  w->reply_offset + (uint64_t)w->reply_size);
	ck_assert_uint_eq(w->up_size % CV_PAGE, 0);
	ck_assert_uint_eq(w->down_size % CV_PAGE, 0);
}

START_TEST(what_is_granted_holds_what_was_wished_for)
{
	static const uint32_t wishes[] = {0, 1, 4095, 4097, 65536, 3 << 19};
	struct guest peer;
	uint32_t i, k;

	for (i = 0; i < 6; i++)
		for (k = 0; k < 6; k++) {
			peer_init(&peer, &rig, 9);
			peer.who.hello.slots = wishes[i] % CV_SLOTS_MAX;
			peer.who.hello.request_max = wishes[i];
			peer.who.hello.proposal_size = wishes[k];
			peer.who.hello.control_size = wishes[k];
			peer.who.hello.reply_size = wishes[k];
			ck_assert_int_eq(
				node_greet(rig.node, &peer.who, &peer.welcome),
				0);
			check_geometry(&peer.welcome);
			ck_assert_uint_ge(peer.welcome.reply_size, wishes[k]);
		}
}
END_TEST

START_TEST(a_user_has_a_limit_of_handles)
{
	struct guest many[13];
	struct guest other;
	uint32_t i;

	/* Alice has one of twelve. */
	for (i = 0; i < 11; i++)
		peer_open(&many[i], &rig, (uint8_t)(10 + i));
	peer_init(&many[11], &rig, 30);
	ck_assert_int_eq(peer_knock(&many[11]), CONCLAVE_ETOOMANY);
	/* Another user is not concerned, until all places are taken. */
	for (i = 0; i < 4; i++) {
		peer_init(&other, &rig, (uint8_t)(40 + i));
		other.who.uid = RIG_UID + 1;
		ck_assert_int_eq(peer_knock(&other), 0);
		free(other.up);
		free(other.down);
	}
	peer_init(&other, &rig, 50);
	other.who.uid = RIG_UID + 1;
	ck_assert_int_eq(peer_knock(&other), CONCLAVE_ETOOMANY);
	free(other.up);
	free(other.down);
	/* A place that is given back can be had. */
	peer_close(&many[0]);
	ck_assert_int_eq(peer_knock(&many[11]), 0);
	peer_unmap(&many[11]);
	for (i = 1; i < 11; i++)
		peer_unmap(&many[i]);
}
END_TEST

/* ---- begin ---- */

START_TEST(a_session_begins_with_its_first_operation)
{
	uint64_t commit = rig.status.commit;

	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_UNKNOWN);
	ck_assert_int_eq(put(&alice), 0);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_LIVE);
	ck_assert_uint_eq(session_of_alice().epoch, 1);
	/* No entry of its own. */
	ck_assert_uint_eq(rig.status.commit, commit + 1);
}
END_TEST

START_TEST(a_session_begins_though_its_first_operation_was_refused)
{
	struct cv_request head = peer_head(&alice, 0, CV_PUT);

	head.key_size = 1;
	head.lease = 9;
	(void)peer_write(&alice, head, "k", NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_EUNSUPPORTED);
	/* And the second was cancelled. Both are settled for the client. */
	peer_put(&alice, 1, "k", "v");
	ck_assert(cv_claim_cancel(&alice.claims[1], 1));
	alice.settled = 3;
	ck_assert_int_eq(put(&alice), 0);
	alice.settled = 4;
	ck_assert_int_eq(put(&alice), 0);
	ck_assert_uint_eq(session_of_alice().settled_below, 4);
}
END_TEST

START_TEST(operations_in_flight_together_begin_it_once)
{
	uint32_t i;

	for (i = 0; i < 50; i++)
		peer_put(&alice, i, "k", "v");
	rig_settle(&rig);
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(status_of(&alice, i), 0);
	ck_assert_uint_eq(rig.status.sessions, 1);
}
END_TEST

START_TEST(what_is_settled_is_not_executed_again)
{
	struct cv_request head;

	ck_assert_int_eq(put(&alice), 0);
	ck_assert_int_eq(put(&alice), 0);
	alice.settled = 3;
	ck_assert_int_eq(put(&alice), 0);
	head = peer_head(&alice, 1, CV_PUT);
	head.key_size = 1;
	head.sequence = 2;
	head.settled = 2;
	(void)peer_write(&alice, head, "k", NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), CONCLAVE_ESETTLED);
}
END_TEST

/* ---- whose it is ---- */

START_TEST(a_live_session_is_not_opened_but_resumed)
{
	struct guest again;

	ck_assert_int_eq(put(&alice), 0);
	peer_init(&again, &rig, 1);
	ck_assert_int_eq(peer_knock(&again), CONCLAVE_EPERM);
}
END_TEST

START_TEST(a_wrong_secret_or_user_is_not_permitted)
{
	struct guest eve;

	ck_assert_int_eq(put(&alice), 0);
	peer_init(&eve, &rig, 1);
	eve.who.hello.flags = CV_HELLO_RESUME;
	eve.who.hello.secret[3] ^= 1;
	ck_assert_int_eq(peer_knock(&eve), CONCLAVE_EPERM);
	eve.who.hello.secret[3] ^= 1;
	eve.who.uid = RIG_UID + 1;
	ck_assert_int_eq(peer_knock(&eve), CONCLAVE_EPERM);
	/* Also when it is over. */
	node_bye(rig.node, alice.handle);
	rig_settle(&rig);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_ENDED);
	ck_assert_int_eq(peer_knock(&eve), CONCLAVE_EPERM);
	ck_assert_uint_eq(rig_events(&rig, NODE_EXPEL), 0);
}
END_TEST

START_TEST(a_session_that_has_not_begun_cannot_be_taken_over)
{
	struct guest eve;

	peer_init(&eve, &rig, 1);
	eve.who.uid = RIG_UID + 1;
	ck_assert_int_eq(peer_knock(&eve), CONCLAVE_EPERM);
	eve.who.hello.flags = CV_HELLO_RESUME;
	ck_assert_int_eq(peer_knock(&eve), CONCLAVE_EPERM);
	eve.who.uid = RIG_UID;
	eve.who.hello.secret[0] ^= 1;
	ck_assert_int_eq(peer_knock(&eve), CONCLAVE_EPERM);
	ck_assert_uint_eq(rig_events(&rig, NODE_EXPEL), 0);
	ck_assert_int_eq(put(&alice), 0);
}
END_TEST

/* ---- resume ---- */

START_TEST(a_resume_raises_the_epoch_and_keeps_the_session)
{
	ck_assert_int_eq(put(&alice), 0);
	peer_close(&alice);
	ck_assert_int_eq(peer_resume(&alice), 0);
	ck_assert_uint_eq(alice.who.hello.epoch, 2);
	ck_assert_uint_eq(session_of_alice().epoch, 2);
	ck_assert_int_eq(ask(&alice, 1)->status, 0);
	ck_assert_int_eq(put(&alice), 0);
	peer_close(&alice);
	ck_assert_int_eq(peer_resume(&alice), 0);
	ck_assert_uint_eq(session_of_alice().epoch, 3);
}
END_TEST

START_TEST(a_resume_is_welcomed_when_it_is_applied_and_not_before)
{
	struct node_event event;

	ck_assert_int_eq(put(&alice), 0);
	peer_close(&alice);
	rig_stall(&rig);
	alice.who.hello.flags = CV_HELLO_RESUME;
	alice.who.hello.settled_below = 1;
	ck_assert_int_eq(peer_knock(&alice), 0);
	peer_put(&alice, 0, "k", "too early");
	rig_turns(&rig, 10);
	ck_assert(!node_next_event(rig.node, &event));
	ck_assert_uint_eq(alice.claims[0] & 3, CV_QUEUED);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_uint_eq(peer_event(&alice, NODE_WELCOME).epoch, 2);
	ck_assert_int_eq(status_of(&alice, 0), 0);
}
END_TEST

START_TEST(an_older_epoch_is_refused_at_apply)
{
	struct guest old = alice;
	struct op_session op = {
		.epoch = 5,
		.settled_below = 1,
		.begin = {.owner = 8, .uid = RIG_UID, .born = 1},
	};

	ck_assert_int_eq(put(&alice), 0);
	/* It is resumed by another member, before what is in flight here. */
	memcpy(op.session, alice.who.hello.session, 16);
	store_secret_hash(alice.who.hello.secret, op.begin.secret_hash);
	old = alice;
	rig_settle(&rig);
	ck_assert(
		batch_own(rig.node, ENTRY_SESSION_RESUME, &op, sizeof(op), -1));
	peer_put(&alice, 1, "k", "of epoch 1");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 1), CONCLAVE_EEPOCH);
	ck_assert_uint_eq(rig.status.revision, posted(&old, 0)->revision);
}
END_TEST

START_TEST(a_resume_expels_the_older_connection)
{
	struct guest old;

	ck_assert_int_eq(put(&alice), 0);
	old = alice;
	alice.who.hello.flags = CV_HELLO_RESUME;
	alice.who.hello.settled_below = 1;
	ck_assert_int_eq(peer_knock(&alice), 0);
	(void)peer_event(&old, NODE_EXPEL);
	peer_put(&old, 1, "k", "nobody listens");
	rig_settle(&rig);
	ck_assert(!is_posted(&old, 1));
	(void)peer_event(&alice, NODE_WELCOME);
	peer_close(&old);
	ck_assert_int_eq(put(&alice), 0);
}
END_TEST

START_TEST(a_resume_of_an_unknown_session_creates_it)
{
	peer_close(&alice);
	ck_assert_int_eq(peer_resume(&alice), 0);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_LIVE);
	ck_assert_int_eq(ask(&alice, 1)->status, CONCLAVE_ENOTAPPLIED);
	ck_assert_int_eq(put(&alice), 0);
}
END_TEST

START_TEST(an_unknown_session_that_had_settled_something_is_over)
{
	peer_close(&alice);
	alice.settled = 2;
	ck_assert_int_eq(peer_resume(&alice), CONCLAVE_ESESSION);
}
END_TEST

START_TEST(a_resume_without_a_window_is_refused)
{
	peer_close(&alice);
	alice.settled = 0;
	ck_assert_int_eq(peer_resume(&alice), CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(a_client_that_goes_while_it_resumes_leaves_nothing)
{
	ck_assert_int_eq(put(&alice), 0);
	peer_close(&alice);
	alice.who.hello.flags = CV_HELLO_RESUME;
	alice.who.hello.settled_below = 1;
	ck_assert_int_eq(peer_knock(&alice), 0);
	rig_turns(&rig, 1);
	peer_close(&alice);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_events(&rig, NODE_WELCOME), 0);
	ck_assert_uint_eq(rig.status.handles, 0);
	ck_assert_int_eq(peer_resume(&alice), 0);
}
END_TEST

START_TEST(what_was_in_flight_is_settled_by_asking)
{
	struct cv_request head;
	uint64_t revision;

	rig_stall(&rig);
	peer_put(&alice, 0, "k", "in flight");
	rig_turns(&rig, 2);
	peer_close(&alice);
	rig_unstall(&rig);
	ck_assert_int_eq(peer_resume(&alice), 0);
	revision = ask(&alice, 1)->revision;
	ck_assert_int_eq(posted(&alice, 9)->status, 0);
	ck_assert(posted(&alice, 9)->flags & CONCLAVE_RESULT_REPEATED);
	ck_assert_uint_eq(revision, rig.status.revision);
	/* What was never taken is not applied, and never will be. */
	ck_assert_int_eq(ask(&alice, 2)->status, CONCLAVE_ENOTAPPLIED);
	/* Asked again as an operation it is told the same. */
	alice.sequence = 0;
	head = peer_head(&alice, 1, CV_PUT);
	head.key_size = 1;
	(void)peer_write(&alice, head, "k", NULL);
	rig_settle(&rig);
	ck_assert_uint_eq(posted(&alice, 1)->revision, revision);
}
END_TEST

/* ---- the end ---- */

START_TEST(a_bye_closes_the_session)
{
	peer_put(&alice, 0, "k", "v");
	rig_turns(&rig, 1);
	node_bye(rig.node, alice.handle);
	peer_close(&alice);
	rig_settle(&rig);
	/* What was taken before is applied before. */
	ck_assert_uint_eq(rig.status.keys, 1);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_ENDED);
	ck_assert_int_eq(peer_resume(&alice), CONCLAVE_ESESSION);
}
END_TEST

START_TEST(a_bye_before_anything_was_asked_leaves_nothing)
{
	uint64_t commit = rig.status.commit;

	node_bye(rig.node, alice.handle);
	peer_close(&alice);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.status.commit, commit);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_UNKNOWN);
}
END_TEST

START_TEST(a_bye_does_not_close_what_was_resumed_behind_it)
{
	ck_assert_int_eq(put(&alice), 0);
	rig_stall(&rig);
	rig_turns(&rig, 1);
	node_bye(rig.node, alice.handle);
	peer_close(&alice);
	alice.who.hello.flags = CV_HELLO_RESUME;
	alice.who.hello.settled_below = 1;
	ck_assert_int_eq(peer_knock(&alice), 0);
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(peer_event(&alice, NODE_WELCOME).status, 0);
	ck_assert_int_eq(put(&alice), 0);
}
END_TEST

START_TEST(an_operation_of_an_ended_session_is_told_so)
{
	struct op_session op = {0};

	ck_assert_int_eq(put(&alice), 0);
	memcpy(op.session, alice.who.hello.session, 16);
	ck_assert(
		batch_own(rig.node, ENTRY_SESSION_CLOSE, &op, sizeof(op), -1));
	rig_settle(&rig);
	ck_assert_int_eq(put(&alice), CONCLAVE_ESESSION);
	ck_assert_int_eq(ask(&alice, 1)->status, CONCLAVE_ESESSION);
}
END_TEST

START_TEST(a_lost_session_expires_and_its_tombstone_is_dropped)
{
	uint64_t ended_index;

	ck_assert_int_eq(put(&alice), 0);
	peer_close(&alice);
	pass_seconds(9);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_LIVE);
	pass_seconds(2);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_ENDED);
	ended_index = session_of_alice().ended_index;
	pass_seconds(18);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_ENDED);
	ck_assert_int_eq(peer_resume(&alice), CONCLAVE_ESESSION);
	pass_seconds(3);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_UNKNOWN);
	/* Born before the floor, it does not begin again. */
	ck_assert_uint_le(alice.who.hello.born, ended_index);
	ck_assert_int_eq(peer_resume(&alice), CONCLAVE_ESESSION);
}
END_TEST

START_TEST(a_session_that_is_held_does_not_expire)
{
	ck_assert_int_eq(put(&alice), 0);
	pass_seconds(30);
	ck_assert_int_eq(put(&alice), 0);
}
END_TEST

START_TEST(each_loss_is_counted_from_its_own_time)
{
	ck_assert_int_eq(put(&alice), 0);
	peer_close(&alice);
	pass_seconds(7);
	/* It comes and goes between two scans. */
	alice.settled = 1;
	ck_assert_int_eq(peer_resume(&alice), 0);
	peer_close(&alice);
	pass_seconds(7);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_LIVE);
	pass_seconds(4);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_ENDED);
}
END_TEST

START_TEST(an_expiry_does_not_end_what_is_resumed_in_the_same_turn)
{
	struct session_end end = {.kind = ENTRY_SESSION_EXPIRE, .epoch = 1};
	struct guest bob;

	ck_assert_int_eq(put(&alice), 0);
	peer_close(&alice);
	peer_open(&bob, &rig, 2);
	rig_stall(&rig);
	peer_put(&bob, 0, "k", "keeps the disk busy");
	rig_turns(&rig, 1);
	alice.who.hello.flags = CV_HELLO_RESUME;
	alice.who.hello.settled_below = 1;
	ck_assert_int_eq(peer_knock(&alice), 0);
	/* The leader decided on the end before this one came. */
	ck_assert_uint_eq(rig.node->end_head, rig.node->end_tail);
	memcpy(end.session, alice.who.hello.session, 16);
	rig.node->ends[rig.node->end_tail++ % ENDS_MAX] = end;
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(session_of_alice().state, STORE_SESSION_LIVE);
	ck_assert_uint_eq(session_of_alice().epoch, 2);
	peer_unmap(&bob);
}
END_TEST

START_TEST(many_sessions_are_lost_and_all_expire)
{
	struct guest peer;
	uint32_t i;

	for (i = 0; i < 200; i++) {
		peer_open(&peer, &rig, (uint8_t)(i + 10));
		ck_assert_int_eq(put(&peer), 0);
		peer_close(&peer);
	}
	ck_assert_uint_eq(rig.status.sessions, 200);
	pass_seconds(15);
	ck_assert_uint_eq(rig.status.sessions, 0);
	pass_seconds(25);
	for (i = 0; i < 200; i++) {
		struct store_session session;

		peer_init(&peer, &rig, (uint8_t)(i + 10));
		store_session(rig.store, peer.who.hello.session, &session);
		ck_assert_int_eq(session.state, STORE_SESSION_UNKNOWN);
	}
}
END_TEST

START_TEST(sessions_beyond_the_limit_are_refused)
{
	struct guest bob;

	tear_down();
	rig_init(&rig);
	rig.settings.sessions_max = 1;
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
	ck_assert_int_eq(put(&alice), 0);
	peer_open(&bob, &rig, 2);
	ck_assert_int_eq(put(&bob), CONCLAVE_ETOOMANY);
	peer_unmap(&bob);
}
END_TEST

static void add_hello(TCase *tests)
{
	tcase_add_test(tests, a_hello_that_is_none_is_refused);
	tcase_add_test(tests, a_geometry_beyond_the_maximum_is_refused);
	tcase_add_test(tests, what_is_granted_holds_what_was_wished_for);
	tcase_add_test(tests, a_user_has_a_limit_of_handles);
	tcase_add_test(tests, a_session_begins_with_its_first_operation);
	tcase_add_test(tests,
		       a_session_begins_though_its_first_operation_was_refused);
	tcase_add_test(tests, operations_in_flight_together_begin_it_once);
	tcase_add_test(tests, what_is_settled_is_not_executed_again);
	tcase_add_test(tests, a_live_session_is_not_opened_but_resumed);
	tcase_add_test(tests, a_wrong_secret_or_user_is_not_permitted);
	tcase_add_test(tests,
		       a_session_that_has_not_begun_cannot_be_taken_over);
}

static void add_life(TCase *tests)
{
	tcase_add_test(tests, a_resume_raises_the_epoch_and_keeps_the_session);
	tcase_add_test(tests,
		       a_resume_is_welcomed_when_it_is_applied_and_not_before);
	tcase_add_test(tests, an_older_epoch_is_refused_at_apply);
	tcase_add_test(tests, a_resume_expels_the_older_connection);
	tcase_add_test(tests, a_resume_of_an_unknown_session_creates_it);
	tcase_add_test(tests,
		       an_unknown_session_that_had_settled_something_is_over);
	tcase_add_test(tests, a_resume_without_a_window_is_refused);
	tcase_add_test(tests,
		       a_client_that_goes_while_it_resumes_leaves_nothing);
	tcase_add_test(tests, what_was_in_flight_is_settled_by_asking);
	tcase_add_test(tests, a_bye_closes_the_session);
	tcase_add_test(tests, a_bye_before_anything_was_asked_leaves_nothing);
	tcase_add_test(tests, a_bye_does_not_close_what_was_resumed_behind_it);
	tcase_add_test(tests, an_operation_of_an_ended_session_is_told_so);
	tcase_add_test(tests,
		       a_lost_session_expires_and_its_tombstone_is_dropped);
	tcase_add_test(tests, a_session_that_is_held_does_not_expire);
	tcase_add_test(tests, each_loss_is_counted_from_its_own_time);
	tcase_add_test(tests,
		       an_expiry_does_not_end_what_is_resumed_in_the_same_turn);
	tcase_add_test(tests, many_sessions_are_lost_and_all_expire);
	tcase_add_test(tests, sessions_beyond_the_limit_are_refused);
}

int main(void)
{
	Suite *suite = suite_create("sessions");
	TCase *hello = tcase_create("coming");
	TCase *life = tcase_create("staying and going");

	tcase_add_checked_fixture(hello, set_up, tear_down);
	tcase_add_checked_fixture(life, set_up, tear_down);
	tcase_set_timeout(life, 60);
	add_hello(hello);
	add_life(life);
	suite_add_tcase(suite, hello);
	suite_add_tcase(suite, life);
	return run_suite(suite);
}
