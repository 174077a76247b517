/*
 * The claim: who owns a request, its slot and its reply room.
 *
 * DESIGN §3: "one claim word per slot, {generation, state}: QUEUED by the
 * client before the record is published. A record's first 16 bytes are
 * {length, slot, generation}: the daemon reads them once, checks them, and
 * does CAS({that generation, QUEUED} -> {same, TAKEN}) before it reads any
 * further byte. Any other value of the word means that the record is dead: it
 * is skipped. The client cancels by CAS({generation, QUEUED} -> {same,
 * CANCELLED}). A slot and its reply room are reused only after its generation
 * was posted, or the cancel won. After a deadline the request is *abandoned*:
 * it keeps both until it is posted. The daemon posts exactly once per TAKEN."
 * And: "Cancelled records at the head of the ring are reclaimed even when
 * there is no leader."
 *
 * One client makes three requests through two slots and two reply rooms, in
 * any combination; it may cancel, give up waiting, and use a slot again under
 * a new generation while the old record is still queued. The daemon takes
 * records in order and posts in any order, in the three stores that a post
 * is: reply, slot, generation. The ring is a channel here (ring.pml is the
 * ring). All of it is single words that are exchanged, and stores whose order
 * TSO keeps: no one stores and then loads another's word, so interleaving
 * steps is all that the hardware can add, and there are no store buffers.
 *
 * Tags: [C1] the claim word, QUEUED, TAKEN, CANCELLED; [R2] the slot's
 * generation, release and acquire.
 *
 * Proven: a cancel that won is never proposed, a request is proposed at most
 * once, each TAKEN is posted exactly once, an answer of one generation is
 * never read as another's (neither slot nor room), and at the end each
 * request is either posted or cancelled, each slot and room free again.
 *
 * Must fail:
 *   NO_GENERATION  the daemon compares the state alone
 *   EARLY_REUSE    a deadline frees the slot and the room at once
 *   ROOM_EARLY     a deadline frees the room, not the slot
 *   NO_CLAIM       the daemon proposes and posts without a claim
 *   LOAD_CLAIM     the daemon loads, compares and stores: no exchange
 *   POST_FIRST     the generation is stored before slot and reply
 * Must be reachable (REACH):
 *   1  an old record is skipped while its slot is queued under a new one
 *   2  a dead record is reclaimed without a leader, a live one waits
 *   3  an abandoned request is posted and its slot is used again
 *   4  a cancel loses against the claim, and the answer is read
 *   5  a later request is posted before an earlier one
 */
#define SLOTS 2
#define ROOMS 2
#define REQUESTS 3

/* States of a claim word. */
#define QUEUED 1
#define TAKEN 2
#define CANCELLED 3

/* What the client thinks of a slot. */
#define IDLE 0
#define WAITED_FOR 1
#define ABANDONED 2

/* up */
typedef claim_word {
	byte generation;
	byte state
}
claim_word claim[SLOTS];
chan ring = [REQUESTS] of { byte, byte, byte, byte }; /* slot, generation,
							 room, request */
/* down */
byte posted_generation[SLOTS];
byte posted_request[SLOTS];
byte room[ROOMS];

/* The daemon's own, by request. */
byte taken_slot[REQUESTS + 1];
byte taken_generation[REQUESTS + 1];
byte taken_room[REQUESTS + 1];
bool in_flight[REQUESTS + 1];

/* Ghosts, by request. */
byte proposals[REQUESTS + 1];
byte posts[REQUESTS + 1];
bool cancelled[REQUESTS + 1];
bool client_done;
bool freed_late[SLOTS];
byte lost;		/* the request whose cancel lost last */
bool old_skipped, reclaimed, reused, answered, overtaken;

#define DONE_WITH(r)							\
	((posts[r] == 1 && proposals[r] == 1 && !cancelled[r]) ||	\
	 (posts[r] == 0 && proposals[r] == 0 && cancelled[r]))

#define ANSWERED(s)							\
	(state[s] != IDLE && posted_generation[s] == generation[s])

/* What a compare-and-exchange of QUEUED compares. */
#define CLAIMED(s, g)							\
	(claim[s].generation == g && claim[s].state == QUEUED)

active proctype client()
{
	byte count, s, r;
	byte state[SLOTS];
	byte generation[SLOTS];
	byte request[SLOTS];
	byte own_room[SLOTS];
	bool room_used[ROOMS];

	do
	:: atomic {
		count < REQUESTS && (state[0] == IDLE || state[1] == IDLE) &&
		(!room_used[0] || !room_used[1]) ->
		if
		:: state[0] == IDLE -> s = 0
		:: state[1] == IDLE -> s = 1
		fi;
		if
		:: !room_used[0] -> r = 0
		:: !room_used[1] -> r = 1
		fi;
		count++;
		generation[s]++;
		request[s] = count;
		own_room[s] = r;
		room_used[r] = true;
		state[s] = WAITED_FOR;
		reused = reused || freed_late[s]
	   }
		d_step {					/* [C1] */
			claim[s].generation = generation[s];
			claim[s].state = QUEUED
		}
		ring!s, generation[s], r, count
	:: atomic {
		ANSWERED(0) || ANSWERED(1) ->			/* [R2] */
		if
		:: ANSWERED(0) -> s = 0
		:: ANSWERED(1) -> s = 1
		fi
	   }
		assert(posted_request[s] == request[s]);
		assert(state[s] == ABANDONED ||
		       room[own_room[s]] == request[s]);
		d_step {
			freed_late[s] = freed_late[s] || state[s] == ABANDONED;
			answered = answered || (lost == request[s] &&
						state[s] == WAITED_FOR);
			room_used[own_room[s]] = false;
			state[s] = IDLE
		}
	:: atomic {
		/* Cancel, also what was given up. */
		state[0] != IDLE || state[1] != IDLE ->
		if
		:: state[0] != IDLE -> s = 0
		:: state[1] != IDLE -> s = 1
		fi
	   }
		if
		:: d_step {					/* [C1] */
			CLAIMED(s, generation[s]) ->
			claim[s].state = CANCELLED;
			cancelled[request[s]] = true;
			room_used[own_room[s]] = false;
			state[s] = IDLE
		   }
		:: !CLAIMED(s, generation[s]) ->
			lost = request[s]
		fi
	:: atomic {
		/* The deadline. */
		state[0] == WAITED_FOR || state[1] == WAITED_FOR ->
		if
		:: state[0] == WAITED_FOR -> s = 0
		:: state[1] == WAITED_FOR -> s = 1
		fi;
#if defined(EARLY_REUSE) || defined(ROOM_EARLY)
		room_used[own_room[s]] = false;
#endif
#ifdef EARLY_REUSE
		state[s] = IDLE
#else
		state[s] = ABANDONED
#endif
	   }
	:: count == REQUESTS && state[0] == IDLE && state[1] == IDLE ->
		break
	od;
	client_done = true
}

inline take(s, g)
{
	won = false;
#if defined(NO_CLAIM)
	won = true;
#elif defined(NO_GENERATION)
	d_step {						/* [C1] */
		won = claim[s].state == QUEUED;
		if
		:: won -> claim[s].state = TAKEN
		:: else
		fi
	}
#elif defined(LOAD_CLAIM)
	won = CLAIMED(s, g);
	if
	:: won -> claim[s].state = TAKEN
	:: else
	fi;
#else
	d_step {						/* [C1] */
		won = CLAIMED(s, g);
		if
		:: won -> claim[s].state = TAKEN
		:: else
		fi
	}
#endif
}

inline post(q)
{
	in_flight[q] = false;
	posts[q]++;
	assert(posts[q] == 1);
	overtaken = overtaken || (q > 1 && in_flight[q - 1]);
#ifdef POST_FIRST
	posted_generation[taken_slot[q]] = taken_generation[q];
#endif
	room[taken_room[q]] = q;
	posted_request[taken_slot[q]] = q;
#ifndef POST_FIRST
	posted_generation[taken_slot[q]] = taken_generation[q];	/* [R2] */
#endif
}

active proctype daemon()
{
	byte s, g, r, q;
	bool won;

	do
	:: nempty(ring) ->
		/* The record at the head; there is a leader. */
		ring?<s, g, _, _>;
		take(s, g);
		if
		:: won ->
			/* Only now the rest of it; then its room is free. */
			d_step {
				ring?s, g, r, q;
				assert(!cancelled[q]);
				proposals[q]++;
				assert(proposals[q] == 1);
				taken_slot[q] = s;
				taken_generation[q] = g;
				taken_room[q] = r;
				in_flight[q] = true
			}
		:: else ->
			d_step {
				old_skipped = old_skipped ||
					(claim[s].generation > g &&
					 claim[s].state == QUEUED);
				ring?_, _, _, _
			}
		fi;
		d_step { s = 0; g = 0; r = 0; q = 0; won = false }
	:: nempty(ring) ->
		/* There is no leader: dead records go, others stay. */
		ring?<s, g, _, _>;
		if
		:: !CLAIMED(s, g) ->
			d_step {
				reclaimed = true;
				ring?_, _, _, _
			}
		:: else
		fi;
		d_step { s = 0; g = 0 }
	:: in_flight[1] ->
		post(1)
	:: in_flight[2] ->
		post(2)
	:: in_flight[3] ->
		post(3)
	:: client_done && empty(ring) && !in_flight[1] && !in_flight[2] &&
	   !in_flight[3] ->
		break
	od;
	assert(DONE_WITH(1) && DONE_WITH(2) && DONE_WITH(3));
#if REACH == 1
	assert(!old_skipped)
#elif REACH == 2
	assert(!(reclaimed && posts[3] == 1))
#elif REACH == 3
	assert(!reused)
#elif REACH == 4
	assert(!answered)
#elif REACH == 5
	assert(!overtaken)
#endif
}
