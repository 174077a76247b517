/*
 * What intake does with what a client wrote: each field of a record, each
 * word of the ring and of the claims, right and wrong. What breaks the format
 * of the ring expels the handle; a request that is merely wrong is refused;
 * and a client never harms another.
 */
#include "tests/unit/support_handle.h"
#include "tests/unit/support_node.h"

static struct rig rig;
static struct guest alice;
static struct guest bob;

static void set_up(void)
{
	rig_init(&rig);
	rig_start(&rig);
	peer_open(&alice, &rig, 1);
	peer_open(&bob, &rig, 2);
}

static void tear_down(void)
{
	peer_unmap(&alice);
	peer_unmap(&bob);
	rig_release(&rig);
}

/* Bob is served as if nothing had happened. */
static void bob_is_served(void)
{
	peer_put(&bob, 200, "bob", "is well");
	peer_get(&bob, 201, "bob");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&bob, 200), 0);
	peer_get(&bob, 201, "bob");
	rig_settle(&rig);
	ck_assert_value(&bob, 201, "is well");
}

/* Alice broke the protocol: she is expelled, once, and nothing is posted. */
static void alice_is_expelled(void)
{
	uint32_t i;

	rig_settle(&rig);
	ck_assert_uint_eq(rig_events(&rig, NODE_EXPEL), 1);
	for (i = 0; i < alice.welcome.slots; i++)
		ck_assert_uint_eq(alice.slots[i].generation, 0);
	bob_is_served();
	ck_assert_uint_eq(rig_events(&rig, NODE_EXPEL), 0);
}

/* The words at the head of a ring, as the client may leave them. */
static void forge(struct cv_ring_writer *ring, uint32_t length, uint32_t slot,
		  uint64_t generation)
{
	struct cv_request *record =
		(struct cv_request *)(void *)cv_ring_at(ring, ring->tail);

	record->slot = slot;
	record->generation = generation;
	record->length = length;
}

/* A proposal that is refused with this code, and only that. */
static void refused(struct cv_request head, const void *key, const void *value,
		    int32_t status)
{
	uint64_t commit;

	rig_settle(&rig);
	commit = rig.status.commit;
	(void)peer_write(&alice, head, key, value);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, head.slot), status);
	ck_assert_uint_eq(rig.status.commit, commit);
	ck_assert_uint_eq(rig_events(&rig, NODE_EXPEL), 0);
}

static struct cv_request put_head(uint32_t key_size, uint32_t value_size)
{
	struct cv_request head = peer_head(&alice, 0, CV_PUT);

	head.key_size = key_size;
	head.value_size = value_size;
	return head;
}

/* ---- the ring ---- */

START_TEST(a_length_that_is_not_of_whole_lines_expels)
{
	forge(&alice.proposals, 63, 0, 1);
	alice_is_expelled();
}
END_TEST

START_TEST(a_record_beyond_the_rings_end_expels)
{
	forge(&alice.proposals, alice.welcome.proposal_size + 64, 0, 1);
	alice_is_expelled();
}
END_TEST

START_TEST(a_record_longer_than_any_request_expels)
{
	uint32_t longest = cv_record_max(alice.welcome.request_max);

	alice.claims[0] = cv_claim_word(1, CV_QUEUED);
	forge(&alice.proposals, longest + 64, 0, 1);
	alice_is_expelled();
}
END_TEST

START_TEST(the_largest_length_word_expels)
{
	forge(&alice.proposals, UINT32_MAX, 0, 1);
	alice_is_expelled();
}
END_TEST

START_TEST(a_pad_at_the_start_of_the_ring_expels)
{
	forge(&alice.proposals, alice.welcome.proposal_size, CV_SLOT_PAD, 0);
	alice_is_expelled();
}
END_TEST

START_TEST(a_pad_that_does_not_end_the_ring_expels)
{
	peer_put(&alice, 0, "a", "b");
	forge(&alice.proposals, 64, CV_SLOT_PAD, 0);
	rig_settle(&rig);
	ck_assert_uint_eq(rig_events(&rig, NODE_EXPEL), 1);
	bob_is_served();
}
END_TEST

START_TEST(a_ring_of_pads_alone_cannot_hold_the_loop)
{
	uint32_t size = alice.welcome.control_size;
	uint32_t i;

	/* Up to the last line of the ring, in dead records. */
	for (i = 0; i + 1 < size / 64; i++) {
		forge(&alice.controls, 64, 0, 5);
		alice.controls.tail += 64;
	}
	forge(&alice.controls, 64, CV_SLOT_PAD, 0);
	alice.controls.tail = 0;
	rig_turns(&rig, size / 64);
	/* Behind the pad the ring begins again, with what stands there: dead. */
	bob_is_served();
	ck_assert_uint_eq(alice.slots[0].generation, 0);
}
END_TEST

START_TEST(the_control_ring_is_checked_alike)
{
	forge(&alice.controls, 96, 0, 1);
	alice_is_expelled();
}
END_TEST

START_TEST(records_wrap_with_a_pad_and_none_is_lost)
{
	uint32_t i;

	/* 3,000 bytes do not divide a ring of 256 KiB. */
	for (i = 0; i < 500; i++) {
		peer_put_size(&alice, i % 8, "wrap", 3000);
		rig_settle(&rig);
		ck_assert_int_eq(status_of(&alice, i % 8), 0);
	}
	ck_assert_uint_gt(alice.proposals.tail, alice.welcome.proposal_size);
}
END_TEST

/* ---- slots, generations and claims ---- */

START_TEST(a_slot_out_of_range_expels)
{
	forge(&alice.proposals, 64, alice.welcome.slots, 1);
	alice_is_expelled();
}
END_TEST

START_TEST(a_slot_out_of_range_in_the_control_ring_expels)
{
	forge(&alice.controls, 64, alice.welcome.slots, 1);
	alice_is_expelled();
}
END_TEST

START_TEST(a_generation_with_high_bits_expels)
{
	/* Shifted, it looks like generation 1. */
	alice.claims[0] = cv_claim_word(1, CV_QUEUED);
	forge(&alice.proposals, 64, 0, (1ull << 62) + 1);
	alice_is_expelled();
}
END_TEST

START_TEST(a_generation_with_high_bits_expels_even_when_it_is_dead)
{
	forge(&alice.proposals, 64, 0, (1ull << 63) + 9);
	alice_is_expelled();
}
END_TEST

START_TEST(a_record_whose_claim_is_not_queued_is_dead)
{
	static const enum cv_claim_state states[] = {CV_FREE, CV_TAKEN,
						     CV_CANCELLED};
	uint32_t i;

	for (i = 0; i < 3; i++) {
		peer_put(&alice, i, "dead", "letter");
		alice.claims[i] = cv_claim_word(1, states[i]);
	}
	/* Of another generation: the slot went on without this record. */
	peer_put(&alice, 3, "dead", "letter");
	alice.claims[3] = cv_claim_word(2, CV_QUEUED);
	rig_settle(&rig);
	for (i = 0; i < 4; i++)
		ck_assert_uint_eq(alice.slots[i].generation, 0);
	ck_assert_uint_eq(rig.status.cancelled, 4);
	ck_assert_uint_eq(rig.status.keys, 0);
	/* Their room is free again. */
	ck_assert_uint_eq(alice.down_words->proposal_head,
			  alice.proposals.tail);
}
END_TEST

START_TEST(two_records_of_one_claim_are_one_request)
{
	struct cv_request head = put_head(1, 1);

	(void)peer_write(&alice, head, "k", "1");
	/* The same claim again: the generation is not raised. */
	alice.generations[0] = 0;
	(void)peer_write(&alice, head, "k", "2");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(alice.down_words->completion, 1);
	ck_assert_uint_eq(rig.status.proposals, 1);
	ck_assert_uint_eq(rig.status.cancelled, 1);
}
END_TEST

START_TEST(each_taken_request_is_posted_exactly_once)
{
	uint32_t i, round;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < 100; i++)
			peer_put(&alice, i, "many", "puts");
		for (i = 100; i < 200; i++)
			peer_get(&alice, i, "many");
		rig_settle(&rig);
		for (i = 0; i < 200; i++)
			ck_assert_int_eq(status_of(&alice, i), 0);
		ck_assert_uint_eq(alice.down_words->completion,
				  200 * (round + 1));
	}
}
END_TEST

START_TEST(a_slot_queued_again_before_it_was_posted_harms_only_its_owner)
{
	uint32_t i;

	rig_stall(&rig);
	for (i = 0; i < 600; i++) {
		peer_put(&alice, 0, "again", "and again");
		rig_turns(&rig, 1);
	}
	rig_unstall(&rig);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(alice.down_words->completion, 600);
	bob_is_served();
}
END_TEST

/* ---- proposals ---- */

START_TEST(sizes_beyond_the_record_are_refused)
{
	static const uint32_t sizes[][2] = {
		{1, 200},
		{1, UINT32_MAX},
		{UINT32_MAX, 1},
		{CV_KEY_MAX, 1},
		{49, 0},
		{0x80000000u, 0x80000000u},
		{1, 0xffffffffu - 78},
	};
	struct cv_request head;
	uint8_t *record;
	uint32_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		head = put_head(16, 32);
		/* The record has 128 bytes; its head says otherwise. */
		record = cv_ring_at(&alice.proposals, alice.proposals.tail);
		(void)peer_write(&alice, head, "sixteen bytes...",
				 "and another thirty-two of value");
		memcpy(record + offsetof(struct cv_request, key_size),
		       &sizes[i][0], 4);
		memcpy(record + offsetof(struct cv_request, value_size),
		       &sizes[i][1], 4);
		rig_settle(&rig);
		ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_EBADREQ);
	}
	bob_is_served();
}
END_TEST

START_TEST(a_key_beyond_the_maximum_is_refused)
{
	char key[CV_KEY_MAX + 1];

	memset(key, 'k', sizeof(key));
	refused(put_head(CV_KEY_MAX + 1, 0), key, NULL, CONCLAVE_EBADREQ);
	(void)peer_write(&alice, put_head(CV_KEY_MAX, 0), key, NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
}
END_TEST

START_TEST(a_request_larger_than_the_handle_allows_is_refused)
{
	uint32_t size = alice.welcome.request_max;
	uint8_t *value = calloc(1, size + 1);

	/* It fits in the record, whose length is rounded up. */
	refused(put_head(1, size), "k", value, CONCLAVE_ETOOLARGE);
	(void)peer_write(&alice, put_head(1, size - 1), "k", value);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	free(value);
}
END_TEST

START_TEST(an_unknown_type_is_refused)
{
	struct cv_request head = put_head(1, 1);

	head.type = CV_SETTING + 1;
	refused(head, "k", "v", CONCLAVE_EUNSUPPORTED);
	head.type = 0;
	head.sequence = ++alice.sequence;
	refused(head, "k", "v", CONCLAVE_EUNSUPPORTED);
}
END_TEST

START_TEST(a_read_in_the_proposal_ring_is_refused)
{
	struct cv_request head = put_head(1, 1);
	uint8_t *record = cv_ring_at(&alice.proposals, alice.proposals.tail);
	uint16_t type = CV_RANGE;

	(void)peer_write(&alice, head, "k", "v");
	memcpy(record + offsetof(struct cv_request, type), &type, 2);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_EUNSUPPORTED);
}
END_TEST

START_TEST(a_proposal_in_the_control_ring_is_refused)
{
	struct cv_request head = get_head(0, "k");
	uint8_t *record = cv_ring_at(&alice.controls, alice.controls.tail);
	uint16_t type = CV_PUT;

	(void)peer_write(&alice, head, "k", NULL);
	memcpy(record + offsetof(struct cv_request, type), &type, 2);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_EUNSUPPORTED);
}
END_TEST

START_TEST(an_unknown_flag_is_refused)
{
	struct cv_request head = put_head(1, 1);

	head.flags = 0x8000;
	refused(head, "k", "v", CONCLAVE_EUNSUPPORTED);
	head = get_head(0, "k");
	head.flags = 0x20;
	refused(head, "k", NULL, CONCLAVE_EUNSUPPORTED);
}
END_TEST

START_TEST(a_lease_is_refused_until_there_are_leases)
{
	struct cv_request head = put_head(1, 1);

	head.lease = 1;
	refused(head, "k", "v", CONCLAVE_EUNSUPPORTED);
}
END_TEST

START_TEST(a_missing_key_is_refused)
{
	struct cv_request head = put_head(0, 4);

	refused(head, NULL, "body", CONCLAVE_EBADREQ);
	head = peer_head(&alice, 0, CV_DELETE);
	refused(head, NULL, NULL, CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(a_compaction_with_a_value_is_refused)
{
	struct cv_request head = peer_head(&alice, 0, CV_COMPACT);

	head.value_size = 4;
	refused(head, NULL, "body", CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(an_end_beyond_the_longest_key_is_refused)
{
	struct cv_request head = peer_head(&alice, 0, CV_DELETE);
	char end[CV_KEY_MAX + 1];

	memset(end, 'e', sizeof(end));
	head.key_size = 1;
	head.value_size = sizeof(end);
	refused(head, "d", end, CONCLAVE_EBADREQ);
	head = get_head(0, "d");
	head.value_size = sizeof(end);
	refused(head, "d", end, CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(sequences_that_cannot_be_are_refused)
{
	struct cv_request head = put_head(1, 1);

	head.sequence = 0;
	refused(head, "k", "v", CONCLAVE_EBADREQ);
	head.sequence = 1;
	head.settled = 0;
	refused(head, "k", "v", CONCLAVE_EBADREQ);
	head.settled = 2;
	refused(head, "k", "v", CONCLAVE_EBADREQ);
	head.sequence = 1ull << 62;
	head.settled = head.sequence;
	refused(head, "k", "v", CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(a_sequence_beyond_the_window_is_refused)
{
	struct cv_request head = put_head(1, 1);

	head.settled = 1;
	head.sequence = CV_WINDOW + 1;
	refused(head, "k", "v", CONCLAVE_EWINDOW);
	head.sequence = CV_WINDOW;
	(void)peer_write(&alice, head, "k", "v");
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
}
END_TEST

START_TEST(a_deadline_that_passed_before_it_was_taken_is_a_cancel)
{
	struct cv_request head = put_head(1, 1);

	head.deadline_ns = rig.now_ns - 1;
	refused(head, "k", "v", CONCLAVE_ECANCELLED);
}
END_TEST

START_TEST(reply_room_out_of_bounds_is_refused)
{
	struct cv_request head = get_head(0, "k");

	head.reply_offset = alice.welcome.reply_size + 8;
	head.reply_size = 0;
	refused(head, "k", NULL, CONCLAVE_EBADREQ);
	head.reply_offset = alice.welcome.reply_size - 8;
	head.reply_size = 16;
	refused(head, "k", NULL, CONCLAVE_EBADREQ);
	head.reply_offset = 8;
	head.reply_size = UINT32_MAX;
	refused(head, "k", NULL, CONCLAVE_EBADREQ);
	head.reply_offset = UINT32_MAX - 7;
	head.reply_size = 16;
	refused(head, "k", NULL, CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(misaligned_reply_room_is_refused)
{
	struct cv_request head = get_head(0, "k");

	head.reply_offset = 4;
	refused(head, "k", NULL, CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(a_reply_may_end_where_the_area_ends)
{
	struct cv_request head = get_head(0, "k");

	peer_put(&alice, 1, "k", "v");
	rig_settle(&rig);
	head.reply_size = 48;
	head.reply_offset = alice.welcome.reply_size - 48;
	(void)peer_write(&alice, head, "k", NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_uint_eq(posted(&alice, 0)->reply_size, 48);
}
END_TEST

START_TEST(a_reply_that_does_not_fit_says_what_it_needs)
{
	struct cv_request head = get_head(0, "k");

	peer_put_size(&alice, 1, "k", 1000);
	rig_settle(&rig);
	(void)peer_write(&alice, head, "k", NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), CONCLAVE_ETOOSMALL);
	ck_assert_uint_eq(posted(&alice, 0)->reply_size, 1048);
}
END_TEST

/* ---- reads ---- */

START_TEST(the_question_for_an_outcome_has_no_end)
{
	struct cv_request head = {.slot = 0, .type = CV_OUTCOME, .argument = 1};
	uint8_t body[2 * CV_KEY_MAX + 48];

	/* What fits in a record is more than what fits in a read. */
	memset(body, 0xee, sizeof(body));
	head.key_size = CV_KEY_MAX;
	head.value_size = CV_KEY_MAX + 48;
	refused(head, body, body, CONCLAVE_EBADREQ);
	head.argument = 0;
	head.key_size = 0;
	head.value_size = 0;
	refused(head, NULL, NULL, CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(a_range_without_key_is_refused)
{
	struct cv_request head = get_head(0, "");

	refused(head, NULL, NULL, CONCLAVE_EBADREQ);
}
END_TEST

START_TEST(a_read_of_the_future_or_of_the_compacted_is_refused)
{
	struct cv_request head = get_head(0, "k");

	head.argument = 1000000;
	refused(head, "k", NULL, CONCLAVE_EFUTURE);
	peer_put(&alice, 1, "k", "1");
	peer_put(&alice, 2, "k", "2");
	rig_settle(&rig);
	head = peer_head(&alice, 3, CV_COMPACT);
	head.argument = posted(&alice, 2)->revision;
	(void)peer_write(&alice, head, NULL, NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 3), 0);
	head = get_head(0, "k");
	head.argument = posted(&alice, 1)->revision;
	refused(head, "k", NULL, CONCLAVE_ECOMPACTED);
}
END_TEST

START_TEST(all_kinds_of_proposals_are_served)
{
	struct cv_request head;

	peer_put(&alice, 0, "a", "1");
	head = peer_head(&alice, 1, CV_CAS);
	head.key_size = 1;
	head.value_size = 1;
	head.argument = 77;
	(void)peer_write(&alice, head, "a", "2");
	head = peer_head(&alice, 2, CV_SETTING);
	head.key_size = 12;
	head.value_size = 5;
	(void)peer_write(&alice, head, "retention_ms", "60000");
	head = peer_head(&alice, 3, CV_DELETE);
	head.key_size = 1;
	head.value_size = 1;
	(void)peer_write(&alice, head, "a", "b");
	head = peer_head(&alice, 4, CV_COMPACT);
	head.argument = 2;
	(void)peer_write(&alice, head, NULL, NULL);
	rig_settle(&rig);
	ck_assert_int_eq(status_of(&alice, 0), 0);
	ck_assert_int_eq(status_of(&alice, 1), CONCLAVE_ECOMPARE);
	ck_assert_uint_eq(posted(&alice, 1)->aux, posted(&alice, 0)->revision);
	ck_assert_int_eq(status_of(&alice, 2), 0);
	ck_assert_int_eq(status_of(&alice, 3), 0);
	ck_assert_uint_eq(posted(&alice, 3)->aux, 1);
	ck_assert_int_eq(status_of(&alice, 4), 0);
	ck_assert_uint_eq(store_settings(rig.store)->retention_ms, 60000);
}
END_TEST

START_TEST(settings_are_read_as_keys)
{
	struct cv_request head = get_head(0, "retention_ms");

	head.flags = CV_SYSTEM;
	(void)peer_write(&alice, head, "retention_ms", NULL);
	rig_settle(&rig);
	ck_assert_value(&alice, 0, "0");
}
END_TEST

/* ---- a storm ---- */

static uint64_t seed;

/* Splitmix64: the same storm each time. */
static uint64_t draw(uint64_t below)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

/* A number that something may be compared with. */
static uint64_t edge(uint64_t usual)
{
	static const uint64_t edges[] = {
		0,	    1,		7,	    8,		63,    64,
		80,	    4095,	4096,	    4097,	65536, 1u << 31,
		UINT32_MAX, 1ull << 62, 1ull << 63, UINT64_MAX,
	};
	uint64_t kind = draw(4);

	if (kind == 0)
		return edges[draw(16)];
	return kind == 1 ? usual + draw(3) - 1 : usual;
}

/* A head whose every field is as it should be, or nearly, or an edge. */
static struct cv_request storm_head(bool control)
{
	uint64_t slot = draw(alice.welcome.slots);

	return (struct cv_request){
		.slot = (uint32_t)slot,
		.generation = draw(4),
		.type = (uint16_t)edge(control ? 16 + draw(3) : 1 + draw(5)),
		.flags = (uint16_t)draw(40),
		.reply_offset = (uint32_t)edge(slot * 256),
		.reply_size = (uint32_t)edge(256),
		.key_size = (uint32_t)edge(8),
		.sequence = edge(draw(5000)),
		.settled = edge(1),
		.deadline_ns = edge(0),
		.argument = edge(draw(100)),
		.value_size = (uint32_t)edge(16),
		.limit = (uint32_t)edge(0),
		.lease = draw(8) ? 0 : edge(0),
	};
}

/* One record, sound in its place, and all else as it comes. */
static void storm(bool control)
{
	struct cv_ring_writer *ring =
		control ? &alice.controls : &alice.proposals;
	struct cv_request head = storm_head(control);
	uint32_t length = 64 * (1 + (uint32_t)draw(3));
	struct cv_request *record;

	if (draw(20) == 0)
		length = (uint32_t)edge(4 * 1024);
	if (draw(40) == 0)
		head.slot = (uint32_t)edge(alice.welcome.slots);
	record = cv_ring_reserve(ring, 64 * (1 + (uint32_t)draw(130)));
	if (!record)
		return;
	memcpy(record, &head, CV_LINE);
	if (ring->reserved > CV_LINE)
		memcpy(record, &head, sizeof(head));
	if (head.slot < alice.welcome.slots)
		alice.claims[head.slot] = cv_claim_word(
			head.generation,
			draw(4) ? CV_QUEUED : (enum cv_claim_state)draw(4));
	cv_ring_publish(ring);
	if (draw(60) == 0)
		record->length = length;
}

START_TEST(a_storm_of_wrong_requests_harms_only_its_owner)
{
	uint32_t i, k;

	seed = (uint64_t)_i + 1;
	for (i = 0; i < 240; i++) {
		for (k = (uint32_t)draw(20); k > 0; k--)
			storm(draw(2) == 0);
		if (draw(10) == 0)
			rig_stall(&rig);
		if (draw(4) == 0)
			rig_unstall(&rig);
		alice.up_words->waiting = (uint32_t)draw(2);
		alice.up_words->armed = (uint32_t)draw(5);
		rig_turns(&rig, 1 + (uint32_t)draw(3));
		/* Also when she lost her own way in the ring. */
		if (rig_events(&rig, NODE_EXPEL) || i % 20 == 19) {
			peer_close(&alice);
			peer_open(&alice, &rig, (uint8_t)(3 + i));
		}
	}
	rig_unstall(&rig);
	bob_is_served();
	/* Nothing of hers is left when she goes. */
	peer_close(&alice);
	rig_settle(&rig);
	ck_assert_uint_eq(rig.node->read_count, 0);
	ck_assert_uint_eq(rig.node->request_head, rig.node->request_tail);
	ck_assert_uint_eq(rig.node->event_count, 0);
	peer_open(&alice, &rig, 254);
}
END_TEST

static void add_ring(TCase *tests)
{
	tcase_add_test(tests, a_length_that_is_not_of_whole_lines_expels);
	tcase_add_test(tests, a_record_beyond_the_rings_end_expels);
	tcase_add_test(tests, a_record_longer_than_any_request_expels);
	tcase_add_test(tests, the_largest_length_word_expels);
	tcase_add_test(tests, a_pad_at_the_start_of_the_ring_expels);
	tcase_add_test(tests, a_pad_that_does_not_end_the_ring_expels);
	tcase_add_test(tests, a_ring_of_pads_alone_cannot_hold_the_loop);
	tcase_add_test(tests, the_control_ring_is_checked_alike);
	tcase_add_test(tests, records_wrap_with_a_pad_and_none_is_lost);
	tcase_add_test(tests, a_slot_out_of_range_expels);
	tcase_add_test(tests, a_slot_out_of_range_in_the_control_ring_expels);
	tcase_add_test(tests, a_generation_with_high_bits_expels);
	tcase_add_test(tests,
		       a_generation_with_high_bits_expels_even_when_it_is_dead);
	tcase_add_test(tests, a_record_whose_claim_is_not_queued_is_dead);
	tcase_add_test(tests, two_records_of_one_claim_are_one_request);
	tcase_add_test(tests, each_taken_request_is_posted_exactly_once);
	tcase_add_test(
		tests,
		a_slot_queued_again_before_it_was_posted_harms_only_its_owner);
}

static void add_requests(TCase *tests)
{
	tcase_add_test(tests, sizes_beyond_the_record_are_refused);
	tcase_add_test(tests, a_key_beyond_the_maximum_is_refused);
	tcase_add_test(tests,
		       a_request_larger_than_the_handle_allows_is_refused);
	tcase_add_test(tests, an_unknown_type_is_refused);
	tcase_add_test(tests, a_read_in_the_proposal_ring_is_refused);
	tcase_add_test(tests, a_proposal_in_the_control_ring_is_refused);
	tcase_add_test(tests, an_unknown_flag_is_refused);
	tcase_add_test(tests, a_lease_is_refused_until_there_are_leases);
	tcase_add_test(tests, a_missing_key_is_refused);
	tcase_add_test(tests, a_compaction_with_a_value_is_refused);
	tcase_add_test(tests, an_end_beyond_the_longest_key_is_refused);
	tcase_add_test(tests, sequences_that_cannot_be_are_refused);
	tcase_add_test(tests, a_sequence_beyond_the_window_is_refused);
	tcase_add_test(tests,
		       a_deadline_that_passed_before_it_was_taken_is_a_cancel);
	tcase_add_test(tests, reply_room_out_of_bounds_is_refused);
	tcase_add_test(tests, misaligned_reply_room_is_refused);
	tcase_add_test(tests, a_reply_may_end_where_the_area_ends);
	tcase_add_test(tests, a_reply_that_does_not_fit_says_what_it_needs);
	tcase_add_test(tests, the_question_for_an_outcome_has_no_end);
	tcase_add_test(tests, a_range_without_key_is_refused);
	tcase_add_test(tests,
		       a_read_of_the_future_or_of_the_compacted_is_refused);
	tcase_add_test(tests, all_kinds_of_proposals_are_served);
	tcase_add_test(tests, settings_are_read_as_keys);
	tcase_add_loop_test(
		tests, a_storm_of_wrong_requests_harms_only_its_owner, 0, 20);
}

int main(void)
{
	Suite *suite = suite_create("intake");
	TCase *ring = tcase_create("the ring and the claims");
	TCase *requests = tcase_create("requests");

	tcase_add_checked_fixture(ring, set_up, tear_down);
	tcase_add_checked_fixture(requests, set_up, tear_down);
	add_ring(ring);
	add_requests(requests);
	suite_add_tcase(suite, ring);
	suite_add_tcase(suite, requests);
	return run_suite(suite);
}
