/*
 * A byte ring of records: one producer (the client), one consumer (the
 * daemon). A record starts with struct cv_request, is a multiple of
 * CV_RECORD_ALIGN and never wraps. Positions grow for ever; a position modulo
 * the size, a power of two, is the place.
 *
 *      head                                   tail
 *       |  record  |  record  |  record  |  0  | free ...
 *
 * The length word of the first free place is always 0, so at least
 * CV_RECORD_ALIGN bytes stay free: before a record is published, 0 is stored
 * behind it; its own length is stored last and publishes it. What an old
 * record left in the ring can never be read as a new one.
 *
 * Where a record does not fit before the end of the ring, the rest of the
 * ring is a pad: a record whose slot is CV_SLOT_PAD, whose length is exactly
 * what is left, and of which nothing else counts. A pad never stands at the
 * start of the ring, so no two follow each other.
 *
 * Writers: the client writes the ring, the daemon the head (in *down*).
 * Order: [R1] and [R3], see shm/atomic.h.
 * Crash: a client that dies before the store of the length has published
 * nothing; after it, all of the record.
 * Trust: the daemon keeps its own head and geometry, reads length, slot and
 * generation once each, and checks the length against its own limits. The
 * client keeps its own tail and checks the head that it is told.
 */
#ifndef SHM_RING_H
#define SHM_RING_H

#include <errno.h>

#include "shm/abi.h"
#include "shm/atomic.h"

/* The length of a record that carries `payload` bytes of key and value. */
static inline uint32_t cv_record_length(uint32_t payload)
{
	uint32_t head = payload == 0 ? CV_LINE : CV_REQUEST_HEAD;

	return (head + payload + CV_RECORD_ALIGN - 1) &
	       ~(uint32_t)(CV_RECORD_ALIGN - 1);
}

/* The longest record on a handle whose largest request is `request_max`. */
static inline uint32_t cv_record_max(uint32_t request_max)
{
	return cv_record_length(request_max);
}

/* Every record must fit, with a pad in front and a free place behind. */
static inline int cv_ring_fits(uint32_t size, uint32_t request_max)
{
	return size <= CV_RING_MAX && size >= CV_PAGE &&
	       (size & (size - 1)) == 0 && request_max <= CV_REQUEST_MAX &&
	       size >= 2 * cv_record_max(request_max) + CV_RECORD_ALIGN;
}

/* ---- producer: client only ---- */

struct cv_ring_writer {
	uint8_t *base;
	const uint64_t *head_word; /* in *down* */
	uint64_t tail;
	uint64_t head; /* as last looked up */
	uint32_t size;
	uint32_t reserved; /* bytes of the record being written, or 0 */
};

static inline void cv_ring_writer_init(struct cv_ring_writer *w, uint8_t *base,
				       uint32_t size, const uint64_t *head_word)
{
	w->base = base;
	w->head_word = head_word;
	w->tail = 0;
	w->head = 0;
	w->size = size;
	w->reserved = 0;
}

static inline uint8_t *cv_ring_at(const struct cv_ring_writer *w,
				  uint64_t position)
{
	return w->base + (position & (w->size - 1));
}

static inline uint32_t *cv_ring_length_word(const struct cv_ring_writer *w,
					    uint64_t position)
{
	return (uint32_t *)(void *)cv_ring_at(w, position);
}

/* Looks up what the daemon has given back. A head that cannot be is not
 * taken over: the ring then stays as full as it was. */
static inline void cv_ring_refresh(struct cv_ring_writer *w)
{
	uint64_t head = cv_load_acquire64(w->head_word); /* [R3] */

	if (head >= w->head && head <= w->tail)
		w->head = head;
}

static inline int cv_ring_has_room(struct cv_ring_writer *w, uint64_t need)
{
	if (w->tail - w->head + need <= w->size)
		return 1;
	cv_ring_refresh(w);
	return w->tail - w->head + need <= w->size;
}

static inline void cv_ring_pad(struct cv_ring_writer *w, uint32_t length)
{
	struct cv_request *pad =
		(struct cv_request *)(void *)cv_ring_at(w, w->tail);

	cv_store_relaxed32(cv_ring_length_word(w, w->tail + length), 0);
	cv_store_relaxed32(&pad->slot, CV_SLOT_PAD);
	cv_store_relaxed64(&pad->generation, 0);
	cv_store_release32(&pad->length, length); /* [R1] */
	w->tail += length;
}

/*
 * Makes room for a record of `length` (cv_record_length()) and returns where
 * to write it, all but its length word; NULL when the ring is full. Nothing
 * is visible before cv_ring_publish(); to reserve again instead forgets it.
 */
static inline struct cv_request *cv_ring_reserve(struct cv_ring_writer *w,
						 uint32_t length)
{
	uint32_t left = w->size - (uint32_t)(w->tail & (w->size - 1));
	uint32_t pad = length > left ? left : 0;

	if (!cv_ring_has_room(w, (uint64_t)pad + length + CV_RECORD_ALIGN))
		return NULL;
	if (pad != 0)
		cv_ring_pad(w, pad);
	w->reserved = length;
	return (struct cv_request *)(void *)cv_ring_at(w, w->tail);
}

/* Publishes what was reserved and written. */
static inline void cv_ring_publish(struct cv_ring_writer *w)
{
	uint32_t length = w->reserved;

	cv_store_relaxed32(cv_ring_length_word(w, w->tail + length), 0);
	cv_store_release32(cv_ring_length_word(w, w->tail), length); /* [R1] */
	w->tail += length;
	w->reserved = 0;
}

/* ---- consumer: daemon only ---- */

struct cv_ring_reader {
	const uint8_t *base;
	uint32_t size;
	uint64_t head;
	uint32_t record_max;
};

/* A record at the head: its first 16 bytes, read once. The rest lies in
 * client memory: copy it once, then validate the copy. */
struct cv_peek {
	uint32_t length;
	uint32_t slot;
	uint64_t generation;
	const uint8_t *record;
};

static inline void cv_ring_reader_init(struct cv_ring_reader *r,
				       const uint8_t *base, uint32_t size,
				       uint32_t record_max)
{
	r->base = base;
	r->size = size;
	r->head = 0;
	r->record_max = record_max;
}

/*
 * 1 and the record at the head; 0 when there is none; -EPROTO when no honest
 * client can have written what stands there. A pad in front is consumed.
 */
static inline int cv_ring_peek(struct cv_ring_reader *r,
			       struct cv_peek *ret_peek)
{
	const struct cv_request *record;
	uint32_t place, length, slot;

	for (;;) {
		place = (uint32_t)(r->head & (r->size - 1));
		record = (const struct cv_request *)(const void *)(r->base +
								   place);
		length = cv_load_acquire32(&record->length); /* [R1] */
		if (length == 0)
			return 0;
		if (length % CV_RECORD_ALIGN != 0 || length > r->size - place)
			return -EPROTO;
		slot = cv_load_relaxed32(&record->slot);
		if (slot != CV_SLOT_PAD)
			break;
		if (place == 0 || length != r->size - place)
			return -EPROTO;
		r->head += length; /* to place 0: the next pad is refused */
	}
	if (length > r->record_max)
		return -EPROTO;
	ret_peek->length = length;
	ret_peek->slot = slot;
	ret_peek->generation = cv_load_relaxed64(&record->generation);
	ret_peek->record = (const uint8_t *)record;
	return 1;
}

/* The record is done with; its room goes back with cv_ring_release(). */
static inline void cv_ring_skip(struct cv_ring_reader *r, uint32_t length)
{
	r->head += length;
}

static inline uint64_t cv_ring_head(const struct cv_ring_reader *r)
{
	return r->head;
}

/* Gives everything before the head back, through its word in *down*. */
static inline void cv_ring_release(const struct cv_ring_reader *r,
				   uint64_t *head_word)
{
	cv_store_release64(head_word, r->head); /* [R3] */
}

#endif
