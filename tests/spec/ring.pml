/*
 * The ring: how a record becomes visible, and old bytes never do.
 *
 * DESIGN §3: "byte rings, single producer, single consumer, records 64-byte
 * aligned; a record never wraps, ring size is a power of two and at least 4 x
 * the largest request. Before it publishes a record the client stores 0 in
 * the length word of the position that follows (so at least 64 bytes always
 * stay free), writes the body, and release-stores the record's length word
 * last. Length 0 means nothing here; a wrap is a pad record with its own code.
 * So old payload bytes can never be read as a request. Ring heads (what is
 * free again) lie in *down*."
 *
 * A ring of 8 cells of 64 bytes, records of 1 or 2 cells, for ever: positions
 * are kept modulo two laps, and the model has no last record. Each cell is
 * its first word (where a length may stand) and the rest. The rest is the
 * cell's position, so that bytes of another lap show; the first word of a
 * record's second cell is payload that looks like a length. Old words are
 * never read rightly, whatever they say, so that one value stands for all:
 * OLD, which is not 0, for what was consumed and for such payload.
 *
 * Order: between two publications the client's stores become visible in any
 * order, and the daemon's copy reads them in any order; only the release of
 * the length (after all before it), its acquire (before all after it) and the
 * release of the head are in order. That is more than TSO permits. Neither
 * side stores and then loads the other's word here, so that store buffers
 * would only be a slower client. A client that dies at any store is one that
 * stops there; each prefix is among the states.
 *
 * Tags: [R1] the length word, release and acquire; [R3] the head, release
 * (after the copy) and acquire (before the room is written).
 *
 * Proven: what the daemon reads as a record was published there, whole, with
 * that length, and is what it copies; what was published and not consumed is
 * never lost; nobody is ever stuck (no invalid end state).
 *
 * Must fail:
 *   NO_ZERO_NEXT     old bytes follow the last record
 *   LENGTH_FIRST     the length is published before the body
 *   ZERO_AFTER       the position that follows is zeroed after publishing
 *   FILL_COMPLETELY  no 64 bytes stay free: the zero hits the oldest record
 *   FILL_UNZEROED    as that, and a full ring is not zeroed at all
 *   HEAD_FIRST       the daemon releases the room before it copies
 * Must be reachable (REACH):
 *   1  a pad was consumed and a record of two cells after it
 *   2  the ring is as full as it may be
 *   3  a zero hides an old word that looks like a record
 *   4  the client must wait for room
 */
#define CELLS 8
#define LAPS (2 * CELLS)	/* positions, before they repeat */
#define PAD 3
#define OLD 255

/* up, as memory has it */
byte first[CELLS];
byte rest[CELLS];

/* down */
byte head;		/* [R3] released positions */

/* The client's own. */
byte tail;

/* The daemon's own. */
byte next;

/* Ghosts. */
byte published[CELLS];	/* cells of the record that begins here */
bool padded, wrapped, covered, stuck;

#ifdef REACH
#define NOTE(ghost, fact) ghost = ghost || (fact)
#else
#define NOTE(ghost, fact) skip
#endif

#define AT(position) ((position) % CELLS)
#define USED(from) ((tail + LAPS - (from)) % LAPS)

#ifdef FILL_COMPLETELY
#define ROOM (CELLS)
#elif defined(FILL_UNZEROED)
#define ROOM (CELLS)
#else
#define ROOM (CELLS - 1)
#endif

/* Runs once, at any moment: so it must hold at each. */
active proctype monitor()
{
#if REACH == 1
	assert(!wrapped)
#elif REACH == 2
	assert(USED(head) < CELLS - 1)
#elif REACH == 3
	assert(!covered)
#elif REACH == 4
	assert(!stuck)
#else
	assert(published[AT(next)] == 0 || first[AT(next)] != 0)
#endif
}

inline publish()
{
	d_step {						/* [R1] */
		first[AT(tail)] = code;
		published[AT(tail)] = size
	}
}

inline zero_next()
{
	d_step {
		NOTE(covered, first[AT(tail + size)] == OLD);
		first[AT(tail + size)] = 0
	}
}

active proctype client()
{
	byte want, size, code;
	bool zeroed, body, second, word;

	do
	::
		if
		:: want != 0
		:: d_step { want == 0 -> want = 1 }
		:: d_step { want == 0 -> want = 2 }
		fi;
		d_step {
			if
			:: AT(tail) + want > CELLS ->
				size = CELLS - AT(tail);
				code = PAD
			:: else ->
				size = want;
				code = want
			fi
		}
		if
		:: USED(head) + size <= ROOM			/* [R3] */
		:: USED(head) + size > ROOM ->
			NOTE(stuck, true);
			USED(head) + size <= ROOM		/* [R3] */
		fi;

#ifdef LENGTH_FIRST
		publish();
#endif
#if defined(NO_ZERO_NEXT) || defined(ZERO_AFTER)
		zeroed = true;
#endif
#ifdef FILL_UNZEROED
		zeroed = (USED(head) + size == CELLS);
#endif
		/* A pad has no body, a record of one cell no second. */
		d_step {
			body = (code == PAD);
			second = (size == 1);
			word = (size == 1)
		}
		do
		:: !zeroed ->
			zero_next();
			zeroed = true
		:: !body ->
			d_step {
				rest[AT(tail)] = tail;
				body = true
			}
		:: !second ->
			d_step {
				rest[AT(tail + 1)] = (tail + 1) % LAPS;
				second = true
			}
		:: !word ->
			d_step {
				first[AT(tail + 1)] = OLD;
				word = true
			}
		:: zeroed && body && second && word ->
#ifndef LENGTH_FIRST
			publish();
#endif
#ifdef ZERO_AFTER
			zero_next();
#endif
			d_step {
				if
				:: code != PAD -> want = 0
				:: else
				fi;
				tail = (tail + size) % LAPS;
				size = 0;
				code = 0;
				zeroed = false;
				body = false;
				second = false;
				word = false
			}
			break
		od
	od
}

/* Not an act of the daemon: the bytes stay, they are only called old. */
inline outdate(position)
{
	if
	:: rest[AT(position)] == (position) % LAPS ->
		rest[AT(position)] = OLD;
		first[AT(position)] = OLD
	:: else
	fi
}

active proctype daemon()
{
	byte code, size;
	bool one, two;

	do
	:: first[AT(next)] != 0 ->				/* [R1] */
		d_step {
			code = first[AT(next)];
			if
			:: code == PAD -> size = CELLS - AT(next)
			:: else -> size = code
			fi;
			assert(size == published[AT(next)]);
			one = (code == PAD);
			two = (size == 1)
		}
#ifdef HEAD_FIRST
		head = (next + size) % LAPS;
#endif
		do
		:: !one ->
			d_step {
				assert(rest[AT(next)] == next);
				one = true
			}
		:: !two ->
			d_step {
				assert(rest[AT(next + 1)] ==
				       (next + 1) % LAPS);
				two = true
			}
		:: d_step {
			one && two ->
			NOTE(padded, code == PAD);
			NOTE(wrapped, padded && code == 2);
			published[AT(next)] = 0;
			outdate(next);
			if
			:: size == 2 -> outdate(next + 1)
			:: else
			fi;
			next = (next + size) % LAPS;
			code = 0;
			size = 0;
			one = false;
			two = false
		   }
			break
		od
	:: head != next ->
		head = next					/* [R3] */
	od
}
