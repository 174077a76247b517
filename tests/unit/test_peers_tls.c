/*
 * Members that prove to each other who they are, and those that cannot, with
 * both engines.
 */
#include "tests/unit/support_certs.h"
#include "tests/unit/support_members.h"

static struct authority authority;

/* Members 1 to `count` whose certificates have these names. */
static bool open_tls(int kind, uint32_t count, const char *names,
		     const char *allowed)
{
	if (!open_members(kind, count))
		return false;
	if (!authority.key)
		authority = make_authority("authority");
	for (uint32_t i = 0; i < count; i++) {
		struct identity identity = make_identity(
			&authority, i % 2 ? "ED25519" : "P-256", names, 30);
		struct tls_files files =
			files_of(&identity, &authority, allowed);
		start_tls(&members[i], &files);
	}
	return true;
}

/* A member's keys are others, made in whatever way. */
static void use_keys(struct member *member, const struct identity *identity,
		     const struct authority *from)
{
	struct tls_files files = files_of(identity, from, "");
	struct tls_keys keys;
	char error[TLS_ERROR_MAX];

	if (tls_keys_open(&keys, &files, error) < 0)
		ck_abort_msg("%s", error);
	tls_keys_close(&member->peers.keys);
	member->peers.keys = keys;
}

static void never_up(uint32_t count)
{
	for (int i = 0; i < 100; i++) {
		turn_all(count);
		ck_assert(!is_up(1, 2));
		ck_assert(!is_up(2, 1));
	}
}

/* ---- those who may ---- */

START_TEST(sealed_bytes_flow_both_ways)
{
	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
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
}
END_TEST

START_TEST(three_members_prove_themselves_to_all)
{
	if (!open_tls(_i, 3, "IP:127.0.0.1", ""))
		return;
	introduce(3);
	connect_all(3);
	for (int i = 0; i < 100; i++)
		turn_all(3);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(open_links(&members[i]), 4);
		ck_assert_uint_eq(times_said(&members[i], "level=warn"), 0);
	}
}
END_TEST

START_TEST(sealed_bytes_that_nobody_takes_wait)
{
	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	introduce(2);
	connect_all(2);
	struct fake_lane *in = lane_of(&members[1].node, 1, NODE_BULK);
	in->deaf = true;
	say(1, 2, NODE_BULK, LARGE);
	for (int i = 0; i < 200; i++)
		turn_all(2);
	ck_assert_uint_eq(in->in_used, 0);
	say(1, 2, NODE_CONTROL, 10000);
	check_heard(2, 2, 1, NODE_CONTROL, 10000);
	in->deaf = false;
	in->step = 7777;
	check_heard(2, 2, 1, NODE_BULK, LARGE);
}
END_TEST

START_TEST(names_that_are_allowed_are_enough)
{
	if (!open_tls(_i, 2, "DNS:one.members.example",
		      "other.example,.members.example"))
		return;
	introduce(2);
	connect_all(2);
}
END_TEST

START_TEST(no_turn_takes_more_than_one_step_of_a_handshake)
{
	bool several = false;

	if (!open_tls(_i, 3, "IP:127.0.0.1", ""))
		return;
	introduce(3);
	for (int i = 0; i < FAKE_TRIES && !all_up(3); i++) {
		turn_all(3);
		uint32_t shaking = 0;
		for (uint32_t k = 0; k < PEERS_LINKS_MAX; k++)
			shaking +=
				members[0].peers.links[k].state == LINK_SHAKING;
		several = several || shaking > 1;
		ck_assert_uint_le(members[0].peers.shakes, PEERS_SHAKES_MAX);
	}
	ck_assert(all_up(3));
	ck_assert(several);
}
END_TEST

/* ---- those who may not ---- */

START_TEST(a_certificate_of_another_authority_is_refused)
{
	struct authority foreign;

	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	foreign = make_authority("foreign");
	struct identity identity =
		make_identity(&foreign, "P-256", "IP:127.0.0.1", 30);
	/* It trusts ours, but is not trusted. */
	use_keys(&members[1], &identity, &authority);
	introduce(2);
	wait_said(2, &members[0], "did nobody in --peer-ca sign it?");
	wait_said(2, &members[1], "unknown ca; the other side");
	never_up(2);
}
END_TEST

START_TEST(a_certificate_with_another_name_is_refused)
{
	if (!open_tls(_i, 2, "DNS:other.example,IP:127.0.0.2", ""))
		return;
	introduce(2);
	wait_said(2, &members[0], wire_refusal_text(WIRE_ENAME));
	never_up(2);
}
END_TEST

/* Only the side that accepts can see it: it is answered with why. */
START_TEST(a_dialler_with_another_name_is_told)
{
	char address[NODE_ADDRESS_MAX];

	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	struct identity identity =
		make_identity(&authority, "P-256", "IP:127.0.0.9", 30);
	use_keys(&members[1], &identity, &authority);
	fake_add(&members[0].node, 2, "127.0.0.1:1");
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d",
		       members[0].port);
	fake_add(&members[1].node, 1, address);
	wait_said(2, &members[1], wire_refusal_text(WIRE_ENAME));
	ck_assert_uint_gt(times_said(&members[0], "peer refused"), 0);
	never_up(2);
}
END_TEST

START_TEST(a_name_that_is_not_allowed_is_refused)
{
	if (!open_tls(_i, 2, "IP:127.0.0.1", "only.this.example"))
		return;
	introduce(2);
	wait_said(2, &members[0], wire_refusal_text(WIRE_ENAME));
	never_up(2);
}
END_TEST

/* The member that looks lives in a time when it is over. */
START_TEST(a_certificate_that_has_expired_is_refused)
{
	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	X509_VERIFY_PARAM *how =
		SSL_CTX_get0_param(members[0].peers.keys.context);
	X509_VERIFY_PARAM_set_time(how, time(NULL) + 29 * CERT_DAY_S);
	introduce(2);
	wait_said(2, &members[0], "certificate has expired");
	wait_said(2, &members[1], "certificate expired");
	never_up(2);
}
END_TEST

/* As somebody would do who does not run our code. */
static void use_context(struct member *member, const struct identity *identity)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());

	if (identity) {
		ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(
					 context, identity->certificate),
				 1);
		ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(context,
							     identity->key,
							     SSL_FILETYPE_PEM),
				 1);
	}
	ck_assert_int_eq(SSL_CTX_load_verify_file(context, authority.path), 1);
	tls_keys_close(&member->peers.keys);
	member->peers.keys.context = context;
}

START_TEST(an_rsa_key_is_refused_on_the_other_side_too)
{
	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	struct identity identity =
		make_identity(&authority, "RSA", "IP:127.0.0.1", 30);
	use_context(&members[1], &identity);
	introduce(2);
	wait_said(2, &members[1], "no suitable signature algorithm");
	never_up(2);
}
END_TEST

START_TEST(whoever_shows_no_certificate_is_refused)
{
	char address[NODE_ADDRESS_MAX];

	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	use_context(&members[1], NULL);
	fake_add(&members[0].node, 2, "");
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d",
		       members[0].port);
	fake_add(&members[1].node, 1, address);
	wait_said(2, &members[0], "peer did not return a certificate");
	wait_said(2, &members[1], "certificate required");
	never_up(2);
}
END_TEST

START_TEST(an_older_tls_is_refused)
{
	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	SSL_CTX *context = members[1].peers.keys.context;
	ck_assert_int_eq(SSL_CTX_set_min_proto_version(context, 0), 1);
	ck_assert_int_eq(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION),
			 1);
	introduce(2);
	wait_said(2, &members[0], "unsupported protocol");
	never_up(2);
}
END_TEST

START_TEST(with_and_without_tls_do_not_meet)
{
	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	peers_release(&members[1].peers);
	start_peers(&members[1], 200); /* plain */
	introduce(2);
	wait_said(2, &members[0], "TLS connection ended");
	wait_said(2, &members[0], "it may speak no TLS: start both with");
	wait_said(2, &members[1], "no connection to peer");
	never_up(2);
}
END_TEST

START_TEST(garbage_instead_of_a_handshake_harms_nobody)
{
	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	introduce(2);
	connect_all(2);
	for (uint32_t i = 0; i < 20; i++) {
		int fd = dial_member(&members[0]);
		ck_assert_int_gt(send(fd, large + 1000 * i, 10 + 90 * i, 0), 0);
		ck_assert(hangs_up(2, fd));
		(void)close(fd);
	}
	int silent = dial_member(&members[0]);
	ck_assert(hangs_up(2, silent));
	(void)close(silent);
	ck_assert(all_up(2));
	ck_assert_uint_eq(members[0].node.lanes[2][NODE_BULK].ups, 1);
}
END_TEST

/* ---- in the middle ---- */

/* Passes bytes on, and turns one bit of the `flip`th. */
static void pass_on(int from, int to, uint32_t *passed, uint32_t flip)
{
	uint8_t bytes[4096];
	ssize_t size = recv(from, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (size <= 0)
		return;
	if (flip >= *passed && flip < *passed + (uint32_t)size)
		bytes[flip - *passed] ^= 4;
	*passed += (uint32_t)size;
	ck_assert_int_eq(send(to, bytes, (size_t)size, MSG_NOSIGNAL), size);
}

/* Member 1 reaches member 2 through us; the lane that comes first. */
START_TEST(one_wrong_bit_ends_the_connection)
{
	char address[NODE_ADDRESS_MAX];
	uint32_t there = 0;
	uint32_t back = 0;
	int port;

	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	int listener = listen_on(&port);
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	fake_add(&members[0].node, 2, address);
	fake_add(&members[1].node, 1, "127.0.0.1:1");
	turn_all(2);
	int near = accept(listener, NULL, NULL);
	int far = dial_member(&members[1]);
	struct fake_lane *lanes = members[1].node.lanes[1];
	for (int i = 0; i < FAKE_TRIES && !lanes[NODE_CONTROL].up; i++) {
		pass_on(near, far, &there, UINT32_MAX);
		pass_on(far, near, &back, UINT32_MAX);
		turn_all(2);
	}
	ck_assert(lanes[NODE_CONTROL].up);
	say(1, 2, NODE_CONTROL, 3000);
	uint32_t flip = there + 500;
	for (int i = 0; i < 100 && there < flip + 1; i++) {
		turn_all(2);
		pass_on(near, far, &there, flip);
	}
	wait_said(2, &members[1], "bad record mac");
	ck_assert(!lanes[NODE_CONTROL].up);
	ck_assert_uint_eq(lanes[NODE_CONTROL].in_used, 0);
	(void)close(near);
	(void)close(far);
	(void)close(listener);
}
END_TEST

/* ---- new keys ---- */

static void drop_all(struct member *member)
{
	for (uint32_t i = 0; i < PEERS_LINKS_MAX; i++) {
		if (member->peers.links[i].state != LINK_FREE)
			peers_drop(&member->peers, &member->peers.links[i]);
	}
}

START_TEST(new_keys_are_for_new_connections)
{
	struct authority next;

	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	introduce(2);
	connect_all(2);
	next = make_authority("next");
	for (uint32_t i = 0; i < 2; i++) {
		struct identity identity =
			make_identity(&next, "P-256", "IP:127.0.0.1", 30);
		struct tls_files files = files_of(&identity, &next, "");
		peers_reload(&members[i].peers, &files);
		ck_assert_uint_eq(times_said(&members[i], "keys reloaded"), 1);
	}
	say(1, 2, NODE_BULK, 100000);
	check_heard(2, 2, 1, NODE_BULK, 100000);
	ck_assert_uint_eq(members[0].node.lanes[2][NODE_BULK].ups, 1);
	drop_all(&members[0]);
	connect_all(2);
	/* And the old ones are for none any more. */
	struct identity old =
		make_identity(&authority, "P-256", "IP:127.0.0.1", 30);
	use_keys(&members[1], &old, &next);
	drop_all(&members[0]);
	wait_said(2, &members[0], "certificate verify failed");
}
END_TEST

START_TEST(a_broken_new_file_keeps_the_old_keys)
{
	char nowhere[CERT_PATH_MAX];

	if (!open_tls(_i, 2, "IP:127.0.0.1", ""))
		return;
	introduce(2);
	connect_all(2);
	new_path(nowhere);
	struct identity identity =
		make_identity(&authority, "P-256", "IP:127.0.0.1", 30);
	struct tls_files files = files_of(&identity, &authority, "");
	files.key = nowhere;
	peers_reload(&members[0].peers, &files);
	ck_assert_uint_eq(times_said(&members[0], "keys not reloaded"), 1);
	ck_assert_uint_eq(times_said(&members[0], nowhere), 1);
	drop_all(&members[0]);
	for (int i = 0; i < 3; i++)
		turn_all(2);
	connect_all(2);
}
END_TEST

int main(void)
{
	const TTest *const may[] = {
		sealed_bytes_flow_both_ways,
		three_members_prove_themselves_to_all,
		sealed_bytes_that_nobody_takes_wait,
		names_that_are_allowed_are_enough,
		no_turn_takes_more_than_one_step_of_a_handshake,
		NULL,
	};
	const TTest *const may_not[] = {
		a_certificate_of_another_authority_is_refused,
		a_certificate_with_another_name_is_refused,
		a_dialler_with_another_name_is_told,
		a_name_that_is_not_allowed_is_refused,
		a_certificate_that_has_expired_is_refused,
		an_rsa_key_is_refused_on_the_other_side_too,
		whoever_shows_no_certificate_is_refused,
		an_older_tls_is_refused,
		with_and_without_tls_do_not_meet,
		garbage_instead_of_a_handshake_harms_nobody,
		one_wrong_bit_ends_the_connection,
		NULL,
	};
	const TTest *const keys[] = {
		new_keys_are_for_new_connections,
		a_broken_new_file_keeps_the_old_keys,
		NULL,
	};
	Suite *suite = suite_create("peers_tls");

	make_large();
	suite_add_tcase(suite, case_of("may", may));
	suite_add_tcase(suite, case_of("may not", may_not));
	suite_add_tcase(suite, case_of("keys", keys));
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
