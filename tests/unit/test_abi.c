/*
 * The bytes that clients and daemons of other builds see, pinned: every field
 * at its offset, every number that has a meaning. Whoever must change a line
 * here changes the ABI, and with it CV_ABI_MAJOR.
 */
#include "tests/unit/support_handle.h"
#include "tests/unit/support_node.h"

/* One field: where it lies, how wide it is, and what was put there. */
struct field {
	uint32_t offset;
	uint32_t size;
	uint64_t value;
};

/* `size` bytes at `bytes` hold these fields, little-endian, and zeros. */
static void check_bytes(const void *bytes, uint32_t size,
			const struct field *fields, uint32_t count)
{
	uint8_t *golden = calloc(1, size);
	uint32_t i, k;

	assert(golden);
	for (i = 0; i < count; i++)
		for (k = 0; k < fields[i].size; k++)
			golden[fields[i].offset + k] =
				(uint8_t)(fields[i].value >> 8 * k);
	for (i = 0; i < size; i++)
		ck_assert_msg(((const uint8_t *)bytes)[i] == golden[i],
			      "byte %u is %02x, not %02x", i,
			      ((const uint8_t *)bytes)[i], golden[i]);
	free(golden);
}

#define CHECK_BYTES(thing, fields)                   \
	check_bytes(&(thing), sizeof(thing), fields, \
		    sizeof(fields) / sizeof((fields)[0]))

START_TEST(the_hello_is_these_256_bytes)
{
	static const struct field golden[] = {
		{0, 4, 0x6f6c4c65},
		{4, 2, 0x0102},
		{6, 2, 0x0304},
		{8, 4, 256},
		{12, 4, 0x11121314},
		{16, 8, 0x2122232425262728},
		{24, 4, 0x31323334},
		{28, 4, 0x41424344},
		{32, 4, 0x51525354},
		{36, 4, 0x61626364},
		{40, 4, 0x71727374},
		{44, 4, 0x81828384},
		{48, 1, 0xa0},
		{63, 1, 0xaf},
		{64, 1, 0xb0},
		{79, 1, 0xbf},
		{80, 8, 0x9192939495969798},
		{88, 8, 0xa1a2a3a4a5a6a7a8},
		{96, 8, 0xb1b2b3b4b5b6b7b8},
		{104, 8, 0xc1c2c3c4c5c6c7c8},
		{112, 1, 'n'},
		{175, 1, 'z'},
		{176, 8, 0xd1d2d3d4d5d6d7d8},
		{184, 1, 0xe1},
		{255, 1, 0xe2},
	};
	struct cv_hello hello = {
		.magic = CV_MAGIC_HELLO,
		.abi_major = 0x0102,
		.abi_minor = 0x0304,
		.size = CV_MESSAGE_SIZE,
		.flags = 0x11121314,
		.features = 0x2122232425262728,
		.slots = 0x31323334,
		.proposal_size = 0x41424344,
		.control_size = 0x51525354,
		.reply_size = 0x61626364,
		.event_size = 0x71727374,
		.request_max = 0x81828384,
		.session = {[0] = 0xa0, [15] = 0xaf},
		.secret = {[0] = 0xb0, [15] = 0xbf},
		.epoch = 0x9192939495969798,
		.min_revision = 0xa1a2a3a4a5a6a7a8,
		.settled_below = 0xb1b2b3b4b5b6b7b8,
		.clock_ns = 0xc1c2c3c4c5c6c7c8,
		.name = {[0] = 'n', [63] = 'z'},
		.born = 0xd1d2d3d4d5d6d7d8,
		.reserved = {[0] = 0xe1, [71] = 0xe2},
	};

	ck_assert_uint_eq(sizeof(hello), 256);
	CHECK_BYTES(hello, golden);
}
END_TEST

START_TEST(the_welcome_is_these_256_bytes)
{
	static const struct field golden[] = {
		{0, 4, 0x6f6c4c65},
		{4, 2, 0x0102},
		{6, 2, 0x0304},
		{8, 4, 256},
		{12, 4, 0xfffffc0e},
		{16, 8, 0x1122334455667788},
		{24, 8, 0x2122232425262728},
		{32, 1, 0xc0},
		{47, 1, 0xcf},
		{48, 8, 0x3132333435363738},
		{56, 8, 0x4142434445464748},
		{64, 8, 0x5152535455565758},
		{72, 8, 0x6162636465666768},
		{80, 8, 0x7172737475767778},
		{88, 8, 0x8182838485868788},
		{96, 4, 0x91},
		{100, 4, 0x92},
		{104, 4, 0x93},
		{108, 4, 0x94},
		{112, 4, 0x95},
		{116, 4, 0x96},
		{120, 4, 0x97},
		{124, 4, 0x98},
		{128, 4, 0x99},
		{132, 4, 0x9a},
		{136, 4, 0x9b},
		{140, 4, 0x9c},
		{144, 8, 0xa1a2a3a4a5a6a7a8},
		{152, 1, 0xe1},
		{255, 1, 0xe2},
	};
	struct cv_welcome welcome = {
		.magic = CV_MAGIC_HELLO,
		.abi_major = 0x0102,
		.abi_minor = 0x0304,
		.size = CV_MESSAGE_SIZE,
		.status = -1010,
		.features = 0x1122334455667788,
		.incarnation = 0x2122232425262728,
		.cluster = {[0] = 0xc0, [15] = 0xcf},
		.member = 0x3132333435363738,
		.epoch = 0x4142434445464748,
		.revision = 0x5152535455565758,
		.clock_ns = 0x6162636465666768,
		.up_size = 0x7172737475767778,
		.down_size = 0x8182838485868788,
		.slots = 0x91,
		.request_max = 0x92,
		.proposal_offset = 0x93,
		.proposal_size = 0x94,
		.control_offset = 0x95,
		.control_size = 0x96,
		.reply_offset = 0x97,
		.reply_size = 0x98,
		.event_offset = 0x99,
		.event_size = 0x9a,
		.status_size = 0x9b,
		.session_known = 0x9c,
		.born = 0xa1a2a3a4a5a6a7a8,
		.reserved = {[0] = 0xe1, [103] = 0xe2},
	};

	ck_assert_uint_eq(sizeof(welcome), 256);
	CHECK_BYTES(welcome, golden);
}
END_TEST

START_TEST(a_request_is_these_80_bytes)
{
	static const struct field golden[] = {
		{0, 4, 0x01020304},
		{4, 4, 0x11121314},
		{8, 8, 0x2122232425262728},
		{16, 2, 0x3132},
		{18, 2, 0x4142},
		{20, 4, 0x51525354},
		{24, 4, 0x61626364},
		{28, 4, 0x71727374},
		{32, 8, 0x8182838485868788},
		{40, 8, 0x9192939495969798},
		{48, 8, 0xa1a2a3a4a5a6a7a8},
		{56, 8, 0xb1b2b3b4b5b6b7b8},
		{64, 4, 0xc1c2c3c4},
		{68, 4, 0xd1d2d3d4},
		{72, 8, 0xe1e2e3e4e5e6e7e8},
	};
	struct cv_request request = {
		.length = 0x01020304,
		.slot = 0x11121314,
		.generation = 0x2122232425262728,
		.type = 0x3132,
		.flags = 0x4142,
		.reply_offset = 0x51525354,
		.reply_size = 0x61626364,
		.key_size = 0x71727374,
		.sequence = 0x8182838485868788,
		.settled = 0x9192939495969798,
		.deadline_ns = 0xa1a2a3a4a5a6a7a8,
		.argument = 0xb1b2b3b4b5b6b7b8,
		.value_size = 0xc1c2c3c4,
		.limit = 0xd1d2d3d4,
		.lease = 0xe1e2e3e4e5e6e7e8,
	};

	CHECK_BYTES(request, golden);
}
END_TEST

START_TEST(a_slot_is_these_64_bytes)
{
	static const struct field golden[] = {
		{0, 8, 0x0102030405060708},  {8, 4, 0xfffffc0e},
		{12, 4, 0x11121314},	     {16, 8, 0x2122232425262728},
		{24, 8, 0x3132333435363738}, {32, 4, 0x41424344},
	};
	struct cv_slot slot = {
		.generation = 0x0102030405060708,
		.status = -1010,
		.reply_size = 0x11121314,
		.revision = 0x2122232425262728,
		.aux = 0x3132333435363738,
		.flags = 0x41424344,
	};

	CHECK_BYTES(slot, golden);
}
END_TEST

START_TEST(a_record_of_a_reply_begins_with_these_40_bytes)
{
	static const struct field golden[] = {
		{0, 4, 0x01020304},	    {4, 4, 0x11121314},
		{8, 8, 0x2122232425262728}, {16, 8, 0x3132333435363738},
		{24, 8, 0x41424344},	    {32, 8, 0x51525354},
	};
	struct cv_record record = {
		.key_size = 0x01020304,
		.value_size = 0x11121314,
		.create_revision = 0x2122232425262728,
		.mod_revision = 0x3132333435363738,
		.version = 0x41424344,
		.lease = 0x51525354,
	};

	CHECK_BYTES(record, golden);
}
END_TEST

START_TEST(a_member_of_a_reply_begins_with_these_24_bytes)
{
	static const struct field golden[] = {
		{0, 8, 0x0102030405060708},
		{8, 8, 0x1112131415161718},
		{16, 4, 0x21222324},
		{20, 4, 0x31323334},
	};
	struct cv_member member = {
		.id = 0x0102030405060708,
		.match = 0x1112131415161718,
		.flags = 0x21222324,
		.address_size = 0x31323334,
	};

	CHECK_BYTES(member, golden);
}
END_TEST

START_TEST(a_state_is_these_32_bytes)
{
	static const struct field golden[] = {
		{0, 8, 0x0102030405060708},
		{8, 8, 0x1112131415161718},
		{16, 8, 0x2122232425262728},
		{24, 8, 0x3132333435363738},
	};
	struct cv_state state = {
		.applied = 0x0102030405060708,
		.revision = 0x1112131415161718,
		.hash = {0x2122232425262728, 0x3132333435363738},
	};

	CHECK_BYTES(state, golden);
}
END_TEST

START_TEST(an_image_of_a_reply_begins_with_these_32_bytes)
{
	ck_assert_uint_eq(sizeof(struct cv_image), 32);
	ck_assert_uint_eq(offsetof(struct cv_image, applied), 16);
	ck_assert_uint_eq(offsetof(struct cv_image, folder_size), 24);
}
END_TEST

START_TEST(a_bye_is_these_8_bytes)
{
	static const struct field golden[] = {{0, 4, 0x6f6c4c65}, {4, 4, 8}};
	struct cv_bye bye = {.magic = CV_MAGIC_HELLO, .size = sizeof(bye)};

	CHECK_BYTES(bye, golden);
}
END_TEST

START_TEST(words_lie_where_the_other_side_looks)
{
	static const struct field up_golden[] = {{0, 4, 1}, {4, 4, 2}};
	static const struct field down_golden[] = {
		{0, 4, 1}, {64, 8, 2}, {72, 8, 3}};
	struct cv_up_words up = {.waiting = 1, .armed = 2};
	struct cv_down_words down = {
		.completion = 1, .proposal_head = 2, .control_head = 3};

	CHECK_BYTES(up, up_golden);
	CHECK_BYTES(down, down_golden);
	ck_assert_uint_eq(CV_HEADER_SIZE, 256);
	ck_assert_uint_eq(CV_CLAIMS_OFFSET, 512);
	ck_assert_uint_eq(CV_SLOTS_OFFSET, 512);
	ck_assert_uint_eq(cv_claim_word(5, CV_QUEUED), 21);
	ck_assert_uint_eq(cv_claim_word(5, CV_TAKEN), 22);
	ck_assert_uint_eq(cv_claim_word(5, CV_CANCELLED), 23);
	ck_assert_uint_eq(cv_claim_word(5, CV_FREE), 20);
	ck_assert_uint_eq(CV_SLOT_PAD, 0xffffffff);
}
END_TEST

START_TEST(the_status_page_is_where_readers_look)
{
	static const struct field golden[] = {
		{0, 8, CV_MAGIC_STATUS},
		{8, 2, 1},
		{12, 4, 2},
		{16, 8, 3},
		{32, 1, 4},
		{40, 8, 5},
		{64, 4, 6},
		{128, 8, 7},
		{136, 8, 8},
		{144, 8, 9},
		{152, 8, 10},
		{160, 8, 11},
		{168, 8, 12},
		{176, 8, 13},
		{184, 8, 14},
		{192, 8, 15},
		{200, 8, 16},
		{208, 8, 17},
		{256, 8, 18},
		{320, 8, 19},
		{336, 8, 20},
		{448, 8, 21},
		{832, 8, 22},
	};
	struct cv_status status = {
		.magic = CV_MAGIC_STATUS,
		.abi_major = 1,
		.size = 2,
		.incarnation = 3,
		.cluster = {[8] = 4},
		.member = 5,
		.sleeping = 6,
		.term = 7,
		.leader = 8,
		.commit = 9,
		.applied = 10,
		.revision = 11,
		.compacted = 12,
		.role = 13,
		.alarms = 14,
		.lease_sequence = 15,
		.lease_term = 16,
		.lease_end_ns = 17,
		.turns = 18,
		.refused = 19,
		.handles = 20,
		.write_ns = {21},
		.turn_ns = {22},
	};

	CHECK_BYTES(status, golden);
}
END_TEST

START_TEST(codes_and_types_keep_their_numbers)
{
	ck_assert_int_eq(CONCLAVE_ENOLEADER, -1001);
	ck_assert_int_eq(CONCLAVE_ETOOLARGE, -1005);
	ck_assert_int_eq(CONCLAVE_EPERM, -1008);
	ck_assert_int_eq(CONCLAVE_EUNSUPPORTED, -1010);
	ck_assert_int_eq(CONCLAVE_ECANCELLED, -1011);
	ck_assert_int_eq(CONCLAVE_ENOSPACE, -1012);
	ck_assert_int_eq(CONCLAVE_ECOMPARE, -1013);
	ck_assert_int_eq(CONCLAVE_ETOOSMALL, -1016);
	ck_assert_int_eq(CONCLAVE_ENOTAPPLIED, -1017);
	ck_assert_int_eq(CONCLAVE_ESETTLED, -1021);
	ck_assert_int_eq(CONCLAVE_EMEMBERSHIP, -1022);
	ck_assert_int_eq(CONCLAVE_EDEADLINE, -1030);
	ck_assert_int_eq(CONCLAVE_ESESSION, -1031);
	ck_assert_int_eq(CONCLAVE_ESTOPPED, -1032);
	ck_assert_int_eq(CONCLAVE_EVERSION, -1040);
	ck_assert_int_eq(CONCLAVE_EUNTRUSTED, -1043);
	ck_assert_int_eq(CV_PUT, 1);
	ck_assert_int_eq(CV_DELETE, 2);
	ck_assert_int_eq(CV_CAS, 3);
	ck_assert_int_eq(CV_COMPACT, 4);
	ck_assert_int_eq(CV_SETTING, 5);
	ck_assert_int_eq(CV_MEMBER, 6);
	ck_assert_int_eq(CV_PING, 16);
	ck_assert_int_eq(CV_RANGE, 17);
	ck_assert_int_eq(CV_OUTCOME, 18);
	ck_assert_int_eq(CV_MOVE, 19);
	ck_assert_int_eq(CV_MEMBERS, 20);
	ck_assert_int_eq(CV_STATE, 21);
	ck_assert_int_eq(CV_IMAGE, 22);
	ck_assert_int_eq(CV_MEMBER_ADD, 1);
	ck_assert_int_eq(CV_MEMBER_PROMOTE, 2);
	ck_assert_int_eq(CV_MEMBER_REMOVE, 3);
	ck_assert_int_eq(CV_MEMBER_UPDATE, 4);
	ck_assert_int_eq(CV_MEMBER_REPLACE, 5);
	ck_assert_int_eq(CV_MEMBER_VOTER, 1);
	ck_assert_int_eq(CV_MEMBER_LEARNER, 2);
	ck_assert_int_eq(CV_MEMBER_LEADER, 4);
	ck_assert_int_eq(CV_MEMBER_SELF, 8);
	ck_assert_int_eq(CV_MEMBER_LINKED, 16);
	ck_assert_int_eq(CV_MEMBER_REMOVED, 32);
	ck_assert_int_eq(CV_FAIL_FAST, 1);
	ck_assert_int_eq(CV_SERIALIZABLE, 2);
	ck_assert_int_eq(CV_COUNT_ONLY, 4);
	ck_assert_int_eq(CV_KEYS_ONLY, 8);
	ck_assert_int_eq(CV_SYSTEM, 16);
	ck_assert_int_eq(CONCLAVE_RESULT_MORE, 1);
	ck_assert_int_eq(CONCLAVE_RESULT_SUCCEEDED, 2);
	ck_assert_int_eq(CONCLAVE_RESULT_REPEATED, 4);
	ck_assert_int_eq(CV_ABI_MAJOR, 1);
	ck_assert_int_eq(CV_ABI_MINOR, 2);
	ck_assert_int_eq(CV_WINDOW, 4096);
}
END_TEST

/* ---- what the daemon really says ---- */

static struct rig rig;
static struct guest alice;

static void set_up(void)
{
	rig_init(&rig);
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
}

static void tear_down(void)
{
	peer_unmap(&alice);
	rig_release(&rig);
}

START_TEST(the_welcome_to_a_default_hello_is_this)
{
	struct field golden[] = {
		{0, 4, 0x6f6c4c65},
		{4, 2, 1},
		{6, 2, 2},
		{8, 4, 256},
		{24, 8, 1}, /* incarnation */
		{32, 8, 0}, /* cluster, see below */
		{40, 8, 0},
		{48, 8, 7}, /* member */
		{56, 8, 1}, /* epoch */
		{64, 8, 1}, /* revision */
		{80, 8, 528384}, /* up */
		{88, 8, 282624}, /* down */
		{96, 4, 256},
		{100, 4, 65536},
		{104, 4, 4096},
		{108, 4, 262144},
		{112, 4, 266240},
		{116, 4, 262144},
		{120, 4, 20480},
		{124, 4, 262144},
		{128, 4, 282624},
		{132, 4, 0},
		{136, 4, sizeof(struct cv_status)},
		{144, 8, 1}, /* born */
	};

	memcpy(&golden[5].value, "a test's", 8);
	memcpy(&golden[6].value, " cluster", 8);
	CHECK_BYTES(alice.welcome, golden);
}
END_TEST

static void check_header(const uint8_t *bytes, uint64_t magic, uint64_t size)
{
	const struct field golden[] = {
		{0, 8, magic},	 {8, 2, 1},	  {10, 2, 2},
		{12, 4, 256},	 {16, 8, 1}, /* incarnation */
		{24, 8, size},	 {32, 4, 256},	  {36, 4, 65536},
		{40, 4, 4096},	 {44, 4, 262144}, {48, 4, 266240},
		{52, 4, 262144}, {56, 4, 20480},  {60, 4, 262144},
		{64, 4, 282624}, {68, 4, 0},
	};

	check_bytes(bytes, CV_HEADER_SIZE, golden,
		    sizeof(golden) / sizeof(golden[0]));
}

START_TEST(both_areas_begin_with_these_headers)
{
	check_header(alice.up, 0x31705576436e6f43, 528384);
	check_header(alice.down, 0x316e447643636e43, 282624);
}
END_TEST

/* Whether all bytes behind the header are zero. */
static bool is_clean(const uint8_t *area, uint64_t size)
{
	uint64_t i;

	for (i = CV_HEADER_SIZE; i < size; i++)
		if (area[i])
			return false;
	return true;
}

START_TEST(nothing_else_is_written_before_the_client_comes)
{
	ck_assert(is_clean(alice.up, alice.welcome.up_size));
	ck_assert(is_clean(alice.down, alice.welcome.down_size));
}
END_TEST

START_TEST(a_list_of_one_member_is_these_bytes)
{
	struct cv_request head = {
		.slot = 0, .type = CV_MEMBERS, .reply_size = 256};
	const uint8_t *reply = alice.down + alice.welcome.reply_offset;
	/* Voter, leader, self; what is on its disk is its first entry. */
	static const struct field golden[] = {
		{0, 8, 7}, {8, 8, 1}, {16, 4, 13}};

	(void)peer_write(&alice, head, "", "");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(alice.slots[0].aux, 1);
	ck_assert_uint_eq(alice.slots[0].reply_size, 24);
	check_bytes(reply, 24, golden, 3);
}
END_TEST

START_TEST(the_state_that_is_told_is_the_stores)
{
	struct cv_request head = {
		.slot = 0, .type = CV_STATE, .reply_size = 32};
	const uint8_t *reply = alice.down + alice.welcome.reply_offset;
	struct store_hash hash;

	(void)peer_write(&alice, head, "", "");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(alice.slots[0].reply_size, 32);
	store_hash(rig.node->store, &hash);
	const struct field golden[] = {
		{0, 8, 1}, {8, 8, 1}, {16, 8, hash.low}, {24, 8, hash.high}};
	check_bytes(reply, 32, golden, 4);
}
END_TEST

START_TEST(the_place_of_an_image_is_told_in_these_bytes)
{
	struct cv_request head = {
		.slot = 0, .type = CV_IMAGE, .reply_size = 256};
	const uint8_t *reply = alice.down + alice.welcome.reply_offset;
	/* There is none yet; its own first entry is applied. */
	static const struct field golden[] = {
		{0, 8, 0}, {8, 8, 0}, {16, 8, 1}, {24, 4, 9}, {28, 4, 6}};

	rig.node->options.folder = "/its/data";
	rig.node->options.name = "a name";
	(void)peer_write(&alice, head, "", "");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(alice.slots[0].reply_size, 47);
	check_bytes(reply, 32, golden, 5);
	ck_assert_mem_eq(reply + 32, "/its/dataa name", 15);
}
END_TEST

START_TEST(the_status_page_says_who_it_is)
{
	ck_assert_uint_eq(rig.status.magic, CV_MAGIC_STATUS);
	ck_assert_uint_eq(rig.status.abi_major, CV_ABI_MAJOR);
	ck_assert_uint_eq(rig.status.size, sizeof(struct cv_status));
	ck_assert_uint_eq(rig.status.incarnation, 1);
	ck_assert_uint_eq(rig.status.member, 7);
	ck_assert_uint_eq(rig.status.leader, 7);
	ck_assert_mem_eq(rig.status.cluster, "a test's cluster", 16);
	/* No lease is published yet. */
	ck_assert_uint_eq(rig.status.lease_term, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("the ABI");
	TCase *bytes = tcase_create("bytes");
	TCase *said = tcase_create("what the daemon says");

	tcase_add_checked_fixture(said, set_up, tear_down);
	tcase_add_test(bytes, the_hello_is_these_256_bytes);
	tcase_add_test(bytes, the_welcome_is_these_256_bytes);
	tcase_add_test(bytes, a_request_is_these_80_bytes);
	tcase_add_test(bytes, a_slot_is_these_64_bytes);
	tcase_add_test(bytes, a_record_of_a_reply_begins_with_these_40_bytes);
	tcase_add_test(bytes, a_member_of_a_reply_begins_with_these_24_bytes);
	tcase_add_test(bytes, a_state_is_these_32_bytes);
	tcase_add_test(bytes, an_image_of_a_reply_begins_with_these_32_bytes);
	tcase_add_test(bytes, a_bye_is_these_8_bytes);
	tcase_add_test(bytes, words_lie_where_the_other_side_looks);
	tcase_add_test(bytes, the_status_page_is_where_readers_look);
	tcase_add_test(bytes, codes_and_types_keep_their_numbers);
	tcase_add_test(said, the_welcome_to_a_default_hello_is_this);
	tcase_add_test(said, both_areas_begin_with_these_headers);
	tcase_add_test(said, nothing_else_is_written_before_the_client_comes);
	tcase_add_test(said, a_list_of_one_member_is_these_bytes);
	tcase_add_test(said, the_state_that_is_told_is_the_stores);
	tcase_add_test(said, the_place_of_an_image_is_told_in_these_bytes);
	tcase_add_test(said, the_status_page_says_who_it_is);
	suite_add_tcase(suite, bytes);
	suite_add_tcase(suite, said);
	return run_suite(suite);
}
