/*
 * Claim words, completion slots, and the client's own book of the reply area.
 *
 * A slot is used again and again; its generation says by whom. The client
 * stores {generation, QUEUED} in the claim word before it publishes the
 * record. Then one exchange decides: the daemon makes it TAKEN and will post
 * exactly once, or the client makes it CANCELLED and the record is dead. Slot
 * and reply room are used again only after the generation was posted or the
 * cancel won.
 *
 * Writers: claim word: client QUEUED, CANCELLED; daemon TAKEN. Slot: daemon.
 * Order: [C1] and [R2], see shm/atomic.h.
 * Crash: a client that dies leaves at worst a QUEUED record, which the daemon
 * may still take. A daemon that dies between its stores has not posted.
 * Trust: the daemon knows by itself what it has taken; a forged claim word
 * harms its owner. The client believes a result, but not its size.
 */
#ifndef SHM_SLOT_H
#define SHM_SLOT_H

#include <errno.h>

#include "shm/abi.h"
#include "shm/atomic.h"

/* ---- claim words ---- */

static inline uint64_t cv_claim_word(uint64_t generation,
				     enum cv_claim_state state)
{
	return (generation << 2) | (uint64_t)state;
}

/* Client only; made visible by the record's publication. */
static inline void cv_claim_queue(uint64_t *claim, uint64_t generation)
{
	cv_store_relaxed64(claim, cv_claim_word(generation, CV_QUEUED));
}

/* Client only: 1 when the request is now definitely not proposed. */
static inline int cv_claim_cancel(uint64_t *claim, uint64_t generation)
{
	uint64_t queued = cv_claim_word(generation, CV_QUEUED);
	uint64_t cancelled = cv_claim_word(generation, CV_CANCELLED);

	return cv_cas_acq_rel64(claim, queued, cancelled); /* [C1] */
}

/* Daemon only: 1 when the record is alive and now the daemon's. */
static inline int cv_claim_take(uint64_t *claim, uint64_t generation)
{
	uint64_t queued = cv_claim_word(generation, CV_QUEUED);
	uint64_t taken = cv_claim_word(generation, CV_TAKEN);

	return cv_cas_acq_rel64(claim, queued, taken); /* [C1] */
}

/* Daemon only: is the record dead already? A look, without a claim. */
static inline int cv_claim_dead(const uint64_t *claim, uint64_t generation)
{
	return cv_load_relaxed64(claim) != cv_claim_word(generation, CV_QUEUED);
}

/* ---- slots ---- */

/* Daemon only: all other fields, and the reply, are written. */
static inline void cv_slot_post(struct cv_slot *slot, uint64_t generation)
{
	cv_store_release64(&slot->generation, generation); /* [R2] */
}

/* Client only: 1 when the result may be read. */
static inline int cv_slot_posted(const struct cv_slot *slot,
				 uint64_t generation)
{
	return cv_load_acquire64(&slot->generation) == generation; /* [R2] */
}

/* ---- rooms in the reply area: client only, private memory ---- */

/*
 * A buddy allocator: rooms are powers of two of CV_ROOM_MIN bytes. Its two
 * arrays have one element per CV_ROOM_MIN bytes of the area.
 */
enum cv_room_limits {
	CV_ROOM_MIN = 256,
	CV_ROOM_ORDERS = 16, /* CV_ROOM_MIN << 15 is CV_REPLY_MAX */
	CV_ROOM_USED = 0x80, /* in `order`: given out, or inside of a room */
};

#define CV_ROOM_NONE UINT32_MAX

struct cv_room_link {
	uint32_t previous;
	uint32_t next;
};

struct cv_rooms {
	struct cv_room_link *links; /* of free rooms */
	uint8_t *order; /* of the room that starts here, and CV_ROOM_USED */
	uint32_t free[CV_ROOM_ORDERS]; /* first free room of each order */
	uint32_t count; /* of places of CV_ROOM_MIN bytes */
};

static inline uint32_t cv_rooms_places(uint32_t area_size)
{
	return area_size / CV_ROOM_MIN;
}

static inline void cv_rooms_link(struct cv_rooms *rooms, uint32_t place,
				 uint32_t order)
{
	uint32_t first = rooms->free[order];

	rooms->order[place] = (uint8_t)order;
	rooms->links[place].previous = CV_ROOM_NONE;
	rooms->links[place].next = first;
	if (first != CV_ROOM_NONE)
		rooms->links[first].previous = place;
	rooms->free[order] = place;
}

static inline void cv_rooms_unlink(struct cv_rooms *rooms, uint32_t place)
{
	struct cv_room_link link = rooms->links[place];

	if (link.previous != CV_ROOM_NONE)
		rooms->links[link.previous].next = link.next;
	else
		rooms->free[rooms->order[place]] = link.next;
	if (link.next != CV_ROOM_NONE)
		rooms->links[link.next].previous = link.previous;
	rooms->order[place] |= CV_ROOM_USED;
}

/* All of the area is free; its size need not be a power of two. */
static inline void cv_rooms_init(struct cv_rooms *rooms, uint32_t area_size)
{
	uint32_t place = 0, order;

	rooms->count = cv_rooms_places(area_size);
	for (order = 0; order < CV_ROOM_ORDERS; order++)
		rooms->free[order] = CV_ROOM_NONE;
	for (place = 0; place < rooms->count; place++)
		rooms->order[place] = CV_ROOM_USED;
	place = 0;
	for (order = CV_ROOM_ORDERS; order-- > 0;) {
		while (rooms->count - place >= (uint32_t)1 << order) {
			cv_rooms_link(rooms, place, order);
			place += (uint32_t)1 << order;
		}
	}
}

/* The least order whose rooms hold `size`; CV_ROOM_ORDERS when none does. */
static inline uint32_t cv_rooms_order(uint32_t size)
{
	uint32_t order = 0;

	while (order < CV_ROOM_ORDERS && (uint64_t)CV_ROOM_MIN << order < size)
		order++;
	return order;
}

/* The offset in the area of a room of at least `size`, or -EAGAIN; one that
 * no area could ever have is -EMSGSIZE. */
static inline int64_t cv_rooms_take(struct cv_rooms *rooms, uint32_t size)
{
	uint32_t wanted = cv_rooms_order(size), order = wanted, place;

	if (size > rooms->count * (uint64_t)CV_ROOM_MIN ||
	    wanted >= CV_ROOM_ORDERS)
		return -EMSGSIZE;
	while (order < CV_ROOM_ORDERS && rooms->free[order] == CV_ROOM_NONE)
		order++;
	if (order == CV_ROOM_ORDERS)
		return -EAGAIN;
	place = rooms->free[order];
	cv_rooms_unlink(rooms, place);
	while (order > wanted) {
		order--;
		cv_rooms_link(rooms, place + ((uint32_t)1 << order), order);
	}
	rooms->order[place] = (uint8_t)(wanted | CV_ROOM_USED);
	return (int64_t)place * CV_ROOM_MIN;
}

/* Gives back what cv_rooms_take() gave for the same size. */
static inline void cv_rooms_give(struct cv_rooms *rooms, uint32_t offset)
{
	uint32_t place = offset / CV_ROOM_MIN, buddy;
	uint32_t order = rooms->order[place] & ~(uint32_t)CV_ROOM_USED;

	while (order + 1 < CV_ROOM_ORDERS) {
		buddy = place ^ ((uint32_t)1 << order);
		if (buddy >= rooms->count || rooms->order[buddy] != order)
			break;
		cv_rooms_unlink(rooms, buddy);
		place &= ~((uint32_t)1 << order);
		order++;
	}
	cv_rooms_link(rooms, place, order);
}

#endif
