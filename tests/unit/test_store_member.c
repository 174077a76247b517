/* Members as the log tells of them: where they are, and who was one. */
#include "tests/unit/support_store.h"

static struct rig rig;

static void setup(void)
{
	rig_init(&rig, &rig_settings);
}

static void teardown(void)
{
	rig_check(&rig);
	rig_release(&rig);
}

static bool hash_same(struct store_hash a, struct store_hash b)
{
	return a.low == b.low && a.high == b.high;
}

static int32_t change(uint64_t id, uint8_t type, const char *address)
{
	struct raft_conf_change one = {.id = id, .type = type};
	char list[STORE_ADDRESS_MAX + 8];
	uint32_t size = (uint32_t)strlen(address);

	list[0] = (char)size;
	memcpy(list + 1, address, size);
	return rig_change_members(&rig, &one, 1, list, size + 1).status;
}

static void expect(uint32_t at, uint64_t id, bool removed, const char *address)
{
	const struct store_member *members;

	ck_assert_uint_gt(store_members(rig.store, &members), at);
	ck_assert_uint_eq(members[at].id, id);
	ck_assert_int_eq(members[at].removed_index != 0, removed);
	ck_assert_str_eq(members[at].address, address);
}

static uint32_t count(void)
{
	const struct store_member *members;

	return store_members(rig.store, &members);
}

START_TEST(stand_in_the_order_of_ids)
{
	ck_assert_uint_eq(count(), 0);
	ck_assert_int_eq(change(7, RAFT_ADD_VOTER, "g:7"), 0);
	ck_assert_int_eq(change(3, RAFT_ADD_LEARNER, "c:3"), 0);
	ck_assert_int_eq(change(9, RAFT_UPDATE, "i:9"), 0);
	ck_assert_uint_eq(count(), 3);
	expect(0, 3, false, "c:3");
	expect(1, 7, false, "g:7");
	expect(2, 9, false, "i:9");
}
END_TEST

START_TEST(keep_their_address_until_they_are_told_another)
{
	ck_assert_int_eq(change(3, RAFT_ADD_LEARNER, "c:3"), 0);
	ck_assert_int_eq(change(3, RAFT_ADD_VOTER, ""), 0);
	expect(0, 3, false, "c:3");
	ck_assert_int_eq(change(3, RAFT_UPDATE, "d:3"), 0);
	expect(0, 3, false, "d:3");
}
END_TEST

START_TEST(never_come_back_once_removed)
{
	ck_assert_int_eq(change(3, RAFT_ADD_VOTER, "c:3"), 0);
	ck_assert_int_eq(change(3, RAFT_REMOVE, ""), 0);
	expect(0, 3, true, "c:3");
	ck_assert_int_eq(change(3, RAFT_ADD_VOTER, "c:4"),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(change(3, RAFT_REMOVE, ""), CONCLAVE_EMEMBERSHIP);
	expect(0, 3, true, "c:3");
}
END_TEST

START_TEST(need_an_address_when_they_are_new)
{
	ck_assert_int_eq(change(3, RAFT_ADD_VOTER, ""), CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(change(3, RAFT_UPDATE, ""), CONCLAVE_EMEMBERSHIP);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(change_all_at_once_or_not_at_all)
{
	const struct raft_conf_change both[] = {{3, RAFT_ADD_VOTER},
						{4, RAFT_ADD_VOTER}};
	struct store_hash before, after;

	store_hash(rig.store, &before);
	ck_assert_int_eq(
		rig_change_members(&rig, both, 2, "\003c:3\000", 5).status,
		CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(rig_change_members(&rig, both, 2, "\003c:3", 4).status,
			 CONCLAVE_EBADREQ);
	ck_assert_int_eq(
		rig_change_members(&rig, both, 2, "\003c:3\003d:4x", 9).status,
		CONCLAVE_EBADREQ);
	ck_assert_uint_eq(count(), 0);
	store_hash(rig.store, &after);
	ck_assert(hash_same(before, after));
	ck_assert_int_eq(
		rig_change_members(&rig, both, 2, "\003c:3\003d:4", 8).status,
		0);
	ck_assert_uint_eq(count(), 2);
	store_hash(rig.store, &after);
	ck_assert(!hash_same(before, after));
}
END_TEST

START_TEST(have_addresses_that_fit)
{
	char text[256];

	memset(text, 'x', sizeof(text));
	text[STORE_ADDRESS_MAX - 1] = 0;
	ck_assert_int_eq(change(3, RAFT_ADD_VOTER, text), 0);
	expect(0, 3, false, text);
	text[STORE_ADDRESS_MAX - 1] = 'x';
	text[STORE_ADDRESS_MAX] = 0;
	ck_assert_int_eq(change(4, RAFT_ADD_VOTER, text), CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(are_as_many_as_fit_and_the_oldest_removed_is_forgotten)
{
	uint64_t id;

	for (id = 1; id <= STORE_MEMBERS_MAX; id++)
		ck_assert_int_eq(change(id, RAFT_ADD_LEARNER, "a:1"), 0);
	ck_assert_int_eq(change(id, RAFT_ADD_LEARNER, "a:1"),
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(change(5, RAFT_REMOVE, ""), 0);
	ck_assert_int_eq(change(4, RAFT_REMOVE, ""), 0);
	ck_assert_int_eq(change(id, RAFT_ADD_LEARNER, "a:1"), 0);
	ck_assert_uint_eq(count(), STORE_MEMBERS_MAX);
	expect(3, 4, true, "a:1");
	expect(4, 6, false, "a:1");
}
END_TEST

START_TEST(are_refused_when_the_configuration_cannot_bear_it)
{
	struct op_header op = {.size = OP_HEADER_SIZE, .type = OP_MEMBER};
	struct raft_conf_changes changes = {.count = 1};
	uint8_t bytes[512] = {0};
	uint32_t at = (uint32_t)raft_conf_size(1), results;
	struct entry_header head = {.kind = ENTRY_CONF_V2, .index = 1};
	struct raft_entry entry = {.index = 1, .kind = ENTRY_CONF_V2};

	changes.changes[0] = (struct raft_conf_change){3, RAFT_ADD_VOTER};
	op.key_size = 4;
	op.size = op_size(0, 4, 0);
	memcpy(bytes, &head, sizeof(head));
	raft_conf_encode(&changes, bytes + ENTRY_HEADER_SIZE);
	memcpy(bytes + ENTRY_HEADER_SIZE + at, &op, sizeof(op));
	memcpy(bytes + ENTRY_HEADER_SIZE + at + sizeof(op), "\003c:3", 4);
	entry.size = at + op.size;
	entry.data = bytes;
	store_apply_begin(rig.store, &entry);
	store_apply_refuse(rig.store, CONCLAVE_EMEMBERSHIP);
	ck_assert_int_eq(store_apply(rig.store, 1000), 0);
	ck_assert_int_eq(store_results(rig.store, &results)->status,
			 CONCLAVE_EMEMBERSHIP);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(are_asked_for_in_their_own_kind_of_entry)
{
	struct ask ask = {.type = OP_MEMBER, .key = "\003c:3", .key_size = 4};

	ck_assert_int_eq(rig_do(&rig, ask).status, CONCLAVE_EBADREQ);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store_member");
	TCase *tcase = tcase_create("members");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, stand_in_the_order_of_ids);
	tcase_add_test(tcase, keep_their_address_until_they_are_told_another);
	tcase_add_test(tcase, never_come_back_once_removed);
	tcase_add_test(tcase, need_an_address_when_they_are_new);
	tcase_add_test(tcase, change_all_at_once_or_not_at_all);
	tcase_add_test(tcase, have_addresses_that_fit);
	tcase_add_test(tcase,
		       are_as_many_as_fit_and_the_oldest_removed_is_forgotten);
	tcase_add_test(tcase,
		       are_refused_when_the_configuration_cannot_bear_it);
	tcase_add_test(tcase, are_asked_for_in_their_own_kind_of_entry);
	suite_add_tcase(suite, tcase);
	return rig_run(suite);
}
