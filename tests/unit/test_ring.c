/*
 * Rings, claims, rooms and wakes, each over plain memory; the last tests let
 * two threads at it, which is what ThreadSanitizer looks at.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "shm/ring.h"
#include "shm/slot.h"
#include "shm/wake.h"

enum {
	RING = 4096,
	REQUEST_MAX = 512,
};

struct fixture {
	_Alignas(CV_PAGE) uint8_t bytes[RING];
	uint64_t head;
	struct cv_ring_writer writer;
	struct cv_ring_reader reader;
};

static struct fixture fixture;

static void fixture_init(void)
{
	memset(&fixture, 0, sizeof(fixture));
	cv_ring_writer_init(&fixture.writer, fixture.bytes, RING,
			    &fixture.head);
	cv_ring_reader_init(&fixture.reader, fixture.bytes, RING,
			    cv_record_max(REQUEST_MAX));
}

/* Writes a record that carries `size` bytes of `fill`; 0 when it is full. */
static int put(struct cv_ring_writer *w, uint32_t slot, uint64_t generation,
	       uint32_t size, uint8_t fill)
{
	struct cv_request *record = cv_ring_reserve(w, cv_record_length(size));
	uint8_t body[REQUEST_MAX];

	if (record == NULL)
		return 0;
	memset(body, fill, size);
	cv_store_relaxed32(&record->slot, slot);
	cv_store_relaxed64(&record->generation, generation);
	cv_copy((uint8_t *)record + CV_REQUEST_HEAD, body, size);
	cv_ring_publish(w);
	return 1;
}

static int take(struct cv_ring_reader *r, struct cv_peek *ret_peek)
{
	int status = cv_ring_peek(r, ret_peek);

	if (status == 1)
		cv_ring_skip(r, ret_peek->length);
	return status;
}

START_TEST(an_empty_ring_has_nothing)
{
	struct cv_peek peek;

	fixture_init();
	ck_assert_int_eq(cv_ring_peek(&fixture.reader, &peek), 0);
}
END_TEST

START_TEST(a_record_without_key_fits_in_one_line)
{
	ck_assert_uint_eq(cv_record_length(0), 64);
	ck_assert_uint_eq(cv_record_length(1), 128);
	ck_assert_uint_eq(cv_record_length(48), 128);
	ck_assert_uint_eq(cv_record_length(49), 192);
}
END_TEST

START_TEST(a_record_is_invisible_until_it_is_published)
{
	struct cv_request *record;
	struct cv_peek peek;

	fixture_init();
	record = cv_ring_reserve(&fixture.writer, cv_record_length(8));
	ck_assert_ptr_nonnull(record);
	cv_store_relaxed32(&record->slot, 3);
	cv_store_relaxed64(&record->generation, 9);
	ck_assert_int_eq(cv_ring_peek(&fixture.reader, &peek), 0);
	cv_ring_publish(&fixture.writer);
	ck_assert_int_eq(cv_ring_peek(&fixture.reader, &peek), 1);
	ck_assert_uint_eq(peek.slot, 3);
	ck_assert_uint_eq(peek.generation, 9);
	ck_assert_uint_eq(peek.length, 128);
	ck_assert_ptr_eq(peek.record, fixture.bytes);
}
END_TEST

START_TEST(a_full_ring_refuses_and_overwrites_nothing)
{
	struct cv_peek peek;
	uint32_t count = 0;

	fixture_init();
	while (put(&fixture.writer, count, count + 1, 100, (uint8_t)count))
		count++;
	/* 192 bytes each, and 64 stay free. */
	ck_assert_uint_eq(count, (RING - 64) / 192);
	for (uint32_t i = 0; i < count; i++) {
		ck_assert_int_eq(take(&fixture.reader, &peek), 1);
		ck_assert_uint_eq(peek.slot, i);
		ck_assert_uint_eq(peek.record[CV_REQUEST_HEAD], (uint8_t)i);
	}
	ck_assert_int_eq(take(&fixture.reader, &peek), 0);
}
END_TEST

START_TEST(room_comes_back_only_when_the_head_is_released)
{
	struct cv_peek peek;

	fixture_init();
	while (put(&fixture.writer, 1, 1, 40, 1))
		;
	ck_assert_int_eq(take(&fixture.reader, &peek), 1);
	ck_assert_int_eq(put(&fixture.writer, 1, 1, 40, 1), 0);
	cv_ring_release(&fixture.reader, &fixture.head);
	ck_assert_int_eq(put(&fixture.writer, 1, 1, 40, 1), 1);
}
END_TEST

START_TEST(records_never_wrap_and_keep_their_order)
{
	uint32_t sizes[] = {0, 8, 300, REQUEST_MAX, 47, 129};
	uint64_t written = 0, read = 0;
	struct cv_peek peek;
	uint32_t size;

	fixture_init();
	for (uint32_t turn = 0; turn < 5000; turn++) {
		size = sizes[written % 6];
		if (put(&fixture.writer, (uint32_t)written, written + 1, size,
			(uint8_t)written))
			written++;
		if (turn % 3 == 0)
			continue;
		if (take(&fixture.reader, &peek) != 1)
			continue;
		ck_assert_uint_eq(peek.slot, (uint32_t)read);
		ck_assert_uint_eq(peek.generation, read + 1);
		ck_assert(peek.record >= fixture.bytes);
		ck_assert(peek.record + peek.length <= fixture.bytes + RING);
		size = sizes[read % 6];
		for (uint32_t i = 0; i < size; i++)
			ck_assert_uint_eq(peek.record[CV_REQUEST_HEAD + i],
					  (uint8_t)read);
		read++;
		cv_ring_release(&fixture.reader, &fixture.head);
	}
	ck_assert_uint_gt(read, 1000);
}
END_TEST

START_TEST(old_payload_is_never_read_as_a_request)
{
	struct cv_peek peek;

	/* Payload that looks like a record of 64 bytes everywhere. */
	fixture_init();
	for (uint32_t turn = 0; turn < 500; turn++) {
		ck_assert_int_eq(put(&fixture.writer, 64, 64, REQUEST_MAX, 64),
				 1);
		ck_assert_int_eq(take(&fixture.reader, &peek), 1);
		ck_assert_uint_eq(peek.length, cv_record_length(REQUEST_MAX));
		ck_assert_int_eq(take(&fixture.reader, &peek), 0);
		cv_ring_release(&fixture.reader, &fixture.head);
		/* And again with the places of records moved by a line. */
		ck_assert_int_eq(put(&fixture.writer, 1, 1, 0, 0), 1);
		ck_assert_int_eq(take(&fixture.reader, &peek), 1);
		ck_assert_int_eq(take(&fixture.reader, &peek), 0);
		cv_ring_release(&fixture.reader, &fixture.head);
	}
}
END_TEST

START_TEST(a_head_that_cannot_be_is_not_believed)
{
	fixture_init();
	while (put(&fixture.writer, 1, 1, 40, 1))
		;
	fixture.head = fixture.writer.tail + 64;
	ck_assert_int_eq(put(&fixture.writer, 1, 1, 40, 1), 0);
	fixture.head = UINT64_MAX - 63;
	ck_assert_int_eq(put(&fixture.writer, 1, 1, 40, 1), 0);
	fixture.head = 128;
	ck_assert_int_eq(put(&fixture.writer, 1, 1, 40, 1), 1);
	fixture.head = 0; /* it went back */
	while (put(&fixture.writer, 1, 1, 0, 1))
		;
	ck_assert_uint_eq(fixture.writer.head, 128);
}
END_TEST

/* What a hostile client may leave at the head. */
static int peek_at(uint32_t place, uint32_t length, uint32_t slot)
{
	struct cv_request *record;
	struct cv_peek peek;

	fixture_init();
	fixture.reader.head = RING * (uint64_t)7 + place;
	record = (struct cv_request *)(void *)(fixture.bytes + place);
	record->length = length;
	record->slot = slot;
	return cv_ring_peek(&fixture.reader, &peek);
}

START_TEST(an_impossible_length_is_refused)
{
	uint32_t most = cv_record_max(REQUEST_MAX);

	ck_assert_int_eq(peek_at(0, 64, 1), 1);
	ck_assert_int_eq(peek_at(0, 1, 1), -EPROTO);
	ck_assert_int_eq(peek_at(0, 63, 1), -EPROTO);
	ck_assert_int_eq(peek_at(0, 65, 1), -EPROTO);
	ck_assert_int_eq(peek_at(0, most, 1), 1);
	ck_assert_int_eq(peek_at(0, most + 64, 1), -EPROTO);
	ck_assert_int_eq(peek_at(0, UINT32_MAX, 1), -EPROTO);
	ck_assert_int_eq(peek_at(0, UINT32_MAX - 63, 1), -EPROTO);
	ck_assert_int_eq(peek_at(0, (uint32_t)1 << 31, 1), -EPROTO);
	ck_assert_int_eq(peek_at(RING - 64, 64, 1), 1);
	ck_assert_int_eq(peek_at(RING - 64, 128, 1), -EPROTO);
}
END_TEST

START_TEST(an_impossible_pad_is_refused)
{
	/* A good one is consumed; behind it is nothing. */
	ck_assert_int_eq(peek_at(RING - 128, 128, CV_SLOT_PAD), 0);
	ck_assert_uint_eq(fixture.reader.head % RING, 0);
	/* One that ends before the ring does, or begins it. */
	ck_assert_int_eq(peek_at(RING - 128, 64, CV_SLOT_PAD), -EPROTO);
	ck_assert_int_eq(peek_at(0, RING, CV_SLOT_PAD), -EPROTO);
	ck_assert_int_eq(peek_at(0, 64, CV_SLOT_PAD), -EPROTO);
}
END_TEST

START_TEST(pads_that_follow_each_other_cannot_hold_the_reader)
{
	struct cv_request *record;
	struct cv_peek peek;

	fixture_init();
	record = (struct cv_request *)(void *)fixture.bytes;
	record->length = RING;
	record->slot = CV_SLOT_PAD;
	record = (struct cv_request *)(void *)(fixture.bytes + RING - 64);
	record->length = 64;
	record->slot = CV_SLOT_PAD;
	fixture.reader.head = RING - 64;
	ck_assert_int_eq(cv_ring_peek(&fixture.reader, &peek), -EPROTO);
}
END_TEST

START_TEST(a_ring_must_hold_two_of_the_largest)
{
	ck_assert_int_eq(cv_ring_fits(CV_RING_DEFAULT, CV_REQUEST_DEFAULT), 1);
	ck_assert_int_eq(cv_ring_fits(CV_RING_MAX, CV_REQUEST_MAX), 1);
	ck_assert_int_eq(cv_ring_fits(CV_RING_MAX * 2, CV_REQUEST_MAX), 0);
	ck_assert_int_eq(cv_ring_fits(CV_RING_MAX, CV_REQUEST_MAX + 1), 0);
	ck_assert_int_eq(cv_ring_fits(CV_RING_DEFAULT - 64, 64), 0);
	ck_assert_int_eq(cv_ring_fits(CV_RING_DEFAULT, CV_RING_DEFAULT), 0);
	ck_assert_int_eq(cv_ring_fits(2048, 64), 0);
	ck_assert_int_eq(cv_ring_fits(0, 0), 0);
}
END_TEST

/* ---- claims ---- */

START_TEST(either_the_take_or_the_cancel_wins)
{
	uint64_t claim = 0;

	cv_claim_queue(&claim, 5);
	ck_assert_int_eq(cv_claim_take(&claim, 4), 0);
	ck_assert_int_eq(cv_claim_take(&claim, 5), 1);
	ck_assert_int_eq(cv_claim_cancel(&claim, 5), 0);
	ck_assert_int_eq(cv_claim_take(&claim, 5), 0);
	cv_claim_queue(&claim, 6);
	ck_assert_int_eq(cv_claim_cancel(&claim, 6), 1);
	ck_assert_int_eq(cv_claim_take(&claim, 6), 0);
	ck_assert_int_eq(cv_claim_dead(&claim, 6), 1);
}
END_TEST

START_TEST(an_old_record_of_a_reused_slot_is_dead)
{
	uint64_t claim = 0;

	cv_claim_queue(&claim, 1);
	ck_assert_int_eq(cv_claim_cancel(&claim, 1), 1);
	cv_claim_queue(&claim, 2);
	ck_assert_int_eq(cv_claim_take(&claim, 1), 0);
	ck_assert_int_eq(cv_claim_dead(&claim, 2), 0);
	ck_assert_int_eq(cv_claim_take(&claim, 2), 1);
}
END_TEST

/* ---- rooms ---- */

enum {
	PLACES = 1024 + 7, /* not a power of two */
	AREA = PLACES * CV_ROOM_MIN,
};

static struct cv_room_link links[PLACES];
static uint8_t orders[PLACES];

static void rooms_init(struct cv_rooms *rooms)
{
	rooms->links = links;
	rooms->order = orders;
	cv_rooms_init(rooms, AREA + 100);
}

static uint8_t used[PLACES];

/* Marks the places of a room; all of them were free. */
static void occupy(int64_t offset, uint32_t size)
{
	uint32_t place = (uint32_t)offset / CV_ROOM_MIN;
	uint32_t places = (size + CV_ROOM_MIN - 1) / CV_ROOM_MIN;

	ck_assert_uint_le(place + places, PLACES);
	for (uint32_t i = place; i < place + places; i++)
		ck_assert_uint_eq(used[i], 0);
	memset(used + place, 1, places);
}

static void vacate(struct cv_rooms *rooms, int64_t offset, uint32_t size)
{
	uint32_t places = (size + CV_ROOM_MIN - 1) / CV_ROOM_MIN;

	memset(used + offset / CV_ROOM_MIN, 0, places);
	cv_rooms_give(rooms, (uint32_t)offset);
}

START_TEST(rooms_do_not_overlap_and_all_come_back)
{
	uint32_t sizes[256], count = 0, seed = 1, i;
	int64_t offsets[256], offset;
	struct cv_rooms rooms;

	rooms_init(&rooms);
	memset(used, 0, sizeof(used));
	for (uint32_t turn = 0; turn < 20000; turn++) {
		seed = seed * 1664525 + 1013904223;
		if (count > 0 && (count == 256 || (seed >> 16) % 3 == 0)) {
			i = (seed >> 4) % count--;
			vacate(&rooms, offsets[i], sizes[i]);
			offsets[i] = offsets[count];
			sizes[i] = sizes[count];
			continue;
		}
		sizes[count] = 1 + (seed >> 8) % (20 * CV_ROOM_MIN);
		offset = cv_rooms_take(&rooms, sizes[count]);
		if (offset == -EAGAIN)
			continue;
		ck_assert_int_ge(offset, 0);
		occupy(offset, sizes[count]);
		offsets[count++] = offset;
	}
	while (count-- > 0)
		vacate(&rooms, offsets[count], sizes[count]);
	ck_assert_int_eq(cv_rooms_take(&rooms, 1024 * CV_ROOM_MIN), 0);
}
END_TEST

START_TEST(a_room_beyond_the_area_is_refused)
{
	struct cv_rooms rooms;

	rooms_init(&rooms);
	ck_assert_int_eq(cv_rooms_take(&rooms, AREA + 1), -EMSGSIZE);
	ck_assert_int_eq(cv_rooms_take(&rooms, UINT32_MAX), -EMSGSIZE);
	ck_assert_int_eq(cv_rooms_take(&rooms, 1024 * CV_ROOM_MIN), 0);
	ck_assert_int_eq(cv_rooms_take(&rooms, 1024 * CV_ROOM_MIN), -EAGAIN);
}
END_TEST

/* ---- wakes ---- */

START_TEST(each_arming_is_answered_once)
{
	struct cv_down_words down = {0};
	struct cv_up_words up = {0};
	struct cv_waker waker = {0};

	ck_assert_uint_eq(cv_wake_post(&waker, &down, &up, 1), 0);
	cv_wake_arm(&up, 1);
	ck_assert_uint_eq(cv_wake_post(&waker, &down, &up, 2), CV_WAKE_EVENTFD);
	ck_assert_uint_eq(cv_wake_post(&waker, &down, &up, 3), 0);
	ck_assert_uint_eq(cv_wake_count(&down), 6);
	ck_assert_uint_eq(cv_wake_announce_wait(&up, &down, CV_WAITING_RESULT),
			  6);
	ck_assert_uint_eq(cv_wake_post(&waker, &down, &up, 0), 0);
	ck_assert_uint_eq(cv_wake_post(&waker, &down, &up, 1), CV_WAKE_FUTEX);
	cv_wake_end_wait(&up);
	ck_assert_uint_eq(cv_wake_post(&waker, &down, &up, 1), 0);
}
END_TEST

START_TEST(the_doorbell_rings_only_for_a_sleeper)
{
	static struct cv_status status;

	ck_assert_int_eq(cv_wake_doorbell(&status), 0);
	cv_wake_announce_sleep(&status);
	ck_assert_int_eq(cv_wake_doorbell(&status), 1);
	cv_wake_end_sleep(&status);
	ck_assert_int_eq(cv_wake_doorbell(&status), 0);
}
END_TEST

/* ---- two threads ---- */

enum {
	SLOTS = 32,
	ROUNDS = 40000,
};

/* One handle in plain memory, both sides in one process. */
struct pair {
	struct fixture ring;
	uint64_t claims[SLOTS];
	struct cv_slot slots[SLOTS];
	uint64_t cancelled[SLOTS]; /* generation, the client's own */
	uint32_t done;
};

static struct pair pair;

static void answer(const struct cv_peek *peek)
{
	struct cv_slot *slot = &pair.slots[peek->slot];

	if (!cv_claim_take(&pair.claims[peek->slot], peek->generation))
		return;
	ck_assert_uint_eq(peek->record[CV_REQUEST_HEAD + 7],
			  (uint8_t)peek->generation);
	slot->status = 0;
	slot->revision = peek->generation * 3;
	cv_slot_post(slot, peek->generation);
}

static void *serve(void *unused)
{
	struct cv_ring_reader *r = &pair.ring.reader;
	struct cv_peek peek;

	(void)unused;
	while (cv_load_acquire32(&pair.done) == 0) {
		if (cv_ring_peek(r, &peek) != 1) {
			sched_yield();
			continue;
		}
		answer(&peek);
		cv_ring_skip(r, peek.length);
		cv_ring_release(r, &pair.ring.head);
	}
	while (cv_ring_peek(r, &peek) == 1) {
		answer(&peek);
		cv_ring_skip(r, peek.length);
	}
	return NULL;
}

/* Is the slot free again? Now and then its request is taken back. */
static int vacant(uint32_t at, uint64_t g, int take_back, uint64_t *cancelled)
{
	if (g == 0 || pair.cancelled[at] == g)
		return 1;
	if (take_back && cv_claim_cancel(&pair.claims[at], g)) {
		pair.cancelled[at] = g;
		(*cancelled)++;
		return 1;
	}
	if (!cv_slot_posted(&pair.slots[at], g))
		return 0;
	ck_assert_uint_eq(pair.slots[at].revision, g * 3);
	return 1;
}

static void drive(uint64_t *sent, uint64_t *generations, uint64_t *cancelled,
		  uint32_t at)
{
	uint64_t g = generations[at] + 1;

	if (!vacant(at, g - 1, *sent % 7 == 0, cancelled) ||
	    cv_ring_reserve(&pair.ring.writer, cv_record_length(100)) == NULL)
		return;
	cv_claim_queue(&pair.claims[at], g);
	ck_assert_int_eq(put(&pair.ring.writer, at, g, 100, (uint8_t)g), 1);
	generations[at] = g;
	(*sent)++;
}

START_TEST(no_result_is_stale_and_no_cancelled_request_is_answered)
{
	uint64_t generations[SLOTS] = {0}, sent = 0, cancelled = 0;
	pthread_t thread;

	memset(&pair, 0, sizeof(pair));
	fixture_init();
	pair.ring = fixture;
	cv_ring_writer_init(&pair.ring.writer, pair.ring.bytes, RING,
			    &pair.ring.head);
	cv_ring_reader_init(&pair.ring.reader, pair.ring.bytes, RING,
			    cv_record_max(REQUEST_MAX));
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
	while (sent < ROUNDS) {
		uint64_t before = sent;

		for (uint32_t at = 0; at < SLOTS; at++)
			drive(&sent, generations, &cancelled, at);
		if (sent == before)
			sched_yield();
	}
	cv_store_release32(&pair.done, 1);
	pthread_join(thread, NULL);
	for (uint32_t at = 0; at < SLOTS; at++) {
		if (generations[at] == 0)
			continue;
		if (pair.cancelled[at] == generations[at])
			ck_assert_uint_ne(pair.slots[at].generation,
					  generations[at]);
		else
			ck_assert_uint_eq(pair.slots[at].generation,
					  generations[at]);
	}
	ck_assert_uint_gt(cancelled, 0);
}
END_TEST

/* Reads every byte of every record before it gives the room back. */
static void *read_all(void *unused)
{
	struct cv_ring_reader *r = &fixture.reader;
	struct cv_peek peek;
	uint64_t seen = 0;

	(void)unused;
	while (seen < ROUNDS) {
		if (cv_ring_peek(r, &peek) != 1) {
			sched_yield();
			continue;
		}
		for (uint32_t i = CV_REQUEST_HEAD; i < 180; i++)
			ck_assert_uint_eq(peek.record[i], (uint8_t)seen);
		seen++;
		cv_ring_skip(r, peek.length);
		cv_ring_release(r, &fixture.head);
	}
	return NULL;
}

START_TEST(nothing_is_overwritten_before_it_was_read)
{
	pthread_t thread;
	uint64_t sent = 0;

	fixture_init();
	ck_assert_int_eq(pthread_create(&thread, NULL, read_all, NULL), 0);
	while (sent < ROUNDS) {
		if (put(&fixture.writer, 1, 1, 100, (uint8_t)sent))
			sent++;
		else
			sched_yield();
	}
	pthread_join(thread, NULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ring");
	TCase *plain = tcase_create("plain");
	TCase *threads = tcase_create("threads");

	tcase_add_test(plain, an_empty_ring_has_nothing);
	tcase_add_test(plain, a_record_without_key_fits_in_one_line);
	tcase_add_test(plain, a_record_is_invisible_until_it_is_published);
	tcase_add_test(plain, a_full_ring_refuses_and_overwrites_nothing);
	tcase_add_test(plain, room_comes_back_only_when_the_head_is_released);
	tcase_add_test(plain, records_never_wrap_and_keep_their_order);
	tcase_add_test(plain, old_payload_is_never_read_as_a_request);
	tcase_add_test(plain, a_head_that_cannot_be_is_not_believed);
	tcase_add_test(plain, an_impossible_length_is_refused);
	tcase_add_test(plain, an_impossible_pad_is_refused);
	tcase_add_test(plain,
		       pads_that_follow_each_other_cannot_hold_the_reader);
	tcase_add_test(plain, a_ring_must_hold_two_of_the_largest);
	tcase_add_test(plain, either_the_take_or_the_cancel_wins);
	tcase_add_test(plain, an_old_record_of_a_reused_slot_is_dead);
	tcase_add_test(plain, rooms_do_not_overlap_and_all_come_back);
	tcase_add_test(plain, a_room_beyond_the_area_is_refused);
	tcase_add_test(plain, each_arming_is_answered_once);
	tcase_add_test(plain, the_doorbell_rings_only_for_a_sleeper);
	suite_add_tcase(s, plain);
	tcase_set_timeout(threads, 120);
	tcase_add_test(threads,
		       no_result_is_stale_and_no_cancelled_request_is_answered);
	tcase_add_test(threads, nothing_is_overwritten_before_it_was_read);
	suite_add_tcase(s, threads);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
