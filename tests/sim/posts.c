/*
 * What the daemon posts; see tests/sim/posts.h.
 *
 * Some of the deliberate lies are told here, after the honest check and
 * before any client can see the slot.
 */
#include "tests/sim/posts.h"
#include "tests/sim/ghost.h"
#include "tests/sim/sim.h"

#include <assert.h>
#include <string.h>

enum {
	OLDER = 8, /* revisions by which a read is made older */
};

/* A ring as the daemon ought to see it. */
struct ring {
	const uint8_t *base;
	const uint64_t *head; /* what the daemon gave back */
	uint32_t size;
};

struct watch {
	bool used;
	bool open; /* welcomed: its rings are served */
	uint32_t machine;
	int handle;
	uint32_t client;
	uint32_t count;
	struct cv_slot *slots;
	const uint64_t *claims;
	uint8_t *reply;
	uint32_t reply_size;
	struct ring proposals;
	struct ring controls;
	struct cv_slot copies[POSTS_SLOTS_MAX];
};

static struct watch watches[SOCKETS_MAX];

static bool is_on(const struct watch *watch, uint32_t machine)
{
	return watch->used && watch->machine == machine;
}

void posts_forget(uint32_t machine)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (is_on(&watches[i], machine))
			watches[i].used = false;
}

void posts_attach(const struct socket *socket)
{
	struct watch *watch = NULL;
	for (uint32_t i = 0; i < SOCKETS_MAX && watch == NULL; i++)
		if (!watches[i].used)
			watch = &watches[i];
	assert(watch != NULL);
	const struct cv_welcome *welcome = &socket->welcome;
	uint8_t *down = memory_base(socket->down);
	uint8_t *up = memory_base(socket->up);
	assert(welcome->slots <= POSTS_SLOTS_MAX);
	memset(watch, 0, sizeof(*watch));
	watch->used = true;
	watch->machine = socket->machine;
	watch->handle = socket->handle;
	watch->client = socket->client;
	watch->count = welcome->slots;
	watch->slots = (void *)(down + CV_SLOTS_OFFSET);
	watch->claims = (const void *)(up + CV_CLAIMS_OFFSET);
	watch->reply = down + welcome->reply_offset;
	watch->reply_size = welcome->reply_size;
	const struct cv_down_words *words =
		(const void *)(down + CV_HEADER_SIZE);
	watch->proposals =
		(struct ring){up + welcome->proposal_offset,
			      &words->proposal_head, welcome->proposal_size};
	watch->controls =
		(struct ring){up + welcome->control_offset,
			      &words->control_head, welcome->control_size};
}

void posts_open(const struct socket *socket)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (is_on(&watches[i], socket->machine) &&
		    watches[i].handle == socket->handle)
			watches[i].open = true;
}

void posts_detach(const struct socket *socket)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (is_on(&watches[i], socket->machine) &&
		    watches[i].handle == socket->handle)
			watches[i].used = false;
}

/* ---- lies ---- */

static void swap_byte(struct watch *watch)
{
	for (uint32_t tries = 0; tries < 256; tries++) {
		uint64_t at = sim_below(SIM_DAEMON, watch->reply_size);
		if (watch->reply[at] == 0)
			continue;
		watch->reply[at] ^= 4;
		return;
	}
}

static void lie(struct watch *watch, struct cv_slot *slot)
{
	if (sim.bug == SIM_BUG_NONE || sim_below(SIM_DAEMON, 16) != 0)
		return;
	switch (sim.bug) {
	case SIM_BUG_FORGED_REVISION:
		slot->revision += slot->status == 0;
		break;
	case SIM_BUG_FORGED_SUCCESS:
		if (slot->status == CONCLAVE_ECOMPARE)
			slot->status = 0;
		break;
	case SIM_BUG_FORGED_REFUSAL:
		if (slot->status == 0)
			slot->status = CONCLAVE_ELOGFULL;
		break;
	case SIM_BUG_OLDER_READ:
		if (slot->reply_size > 0 && slot->revision > OLDER)
			slot->revision -= OLDER;
		break;
	case SIM_BUG_SWAPPED_VALUE:
		swap_byte(watch);
		break;
	default:
		break;
	}
}

/* A slot that was posted is touched again, in a later turn. */
static void post_again(struct cv_slot *slot)
{
	if (sim.bug == SIM_BUG_POSTED_TWICE && slot->generation != 0 &&
	    sim_below(SIM_DAEMON, 4096) == 0)
		slot->aux++;
}

/* ---- the look ---- */

static void posted(struct watch *watch, uint32_t number)
{
	struct cv_slot *slot = &watch->slots[number];
	uint64_t claim = watch->claims[number];
	sim_trace("post: handle % slot % status % revision %", watch->handle,
		  number, (int64_t)slot->status, slot->revision);
	sim_check(slot->generation > watch->copies[number].generation,
		  "slot %u of client %u goes back", number, watch->client);
	sim_check(claim == ((slot->generation << 2) | CV_TAKEN),
		  "slot %u of client %u is posted, and was not taken", number,
		  watch->client);
	ghost_shown(slot->revision);
	lie(watch, slot);
	watch->copies[number] = *slot;
}

static void look(struct watch *watch)
{
	for (uint32_t i = 0; i < watch->count; i++) {
		struct cv_slot *slot = &watch->slots[i];
		if (slot->generation != watch->copies[i].generation) {
			posted(watch, i);
			continue;
		}
		post_again(slot);
		sim_check(memcmp(slot, &watch->copies[i], sizeof(*slot)) == 0,
			  "slot %u of client %u changes after it was posted", i,
			  watch->client);
	}
}

void posts_look(uint32_t machine)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (is_on(&watches[i], machine))
			look(&watches[i]);
}

/* ---- sleep ---- */

/* A pad may be passed by and not yet given back. */
static bool has_record(const struct ring *ring)
{
	const uint8_t *at = ring->base + (*ring->head & (ring->size - 1));
	struct cv_request head;
	memcpy(&head, at, sizeof(head.length) + sizeof(head.slot));
	if (head.length != 0 && head.slot == CV_SLOT_PAD)
		memcpy(&head, ring->base, sizeof(head.length));
	return head.length != 0;
}

void posts_check_sleep(uint32_t machine, bool leads)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		const struct watch *watch = &watches[i];
		if (!is_on(watch, machine) || !watch->open)
			continue;
		if (has_record(&watch->controls) ||
		    (leads && has_record(&watch->proposals)))
			sim_fail(SIM_STUCK,
				 "the daemon falls asleep over a request of "
				 "client %u",
				 watch->client);
	}
}
