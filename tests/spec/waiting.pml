/*
 * The waiting client: how the daemon wakes it.
 *
 * DESIGN §3, Sleep and wake: "Daemon to client: client writes *waiting* into
 * *up*, full fence, looks again, FUTEX_WAITs on the handle's completion word
 * in *down*; daemon posts, advances the word, full fence, loads *waiting*,
 * wakes only then; wakes come after the disk write was submitted".
 *
 * One client has two requests out and waits for them one after the other, in
 * either order, twice over. The daemon posts one or both in a turn, advances
 * the word once for the turn, looks at `waiting` once, submits the write and
 * wakes. Store buffers are those of x86 (TSO, as in doorbell.pml); nobody
 * loads a word that it stores itself. FUTEX_WAIT compares the word and goes
 * to sleep in one step, but is no fence here, nor is FUTEX_WAKE: the kernel
 * has barriers in both, and the protocol must not lean on them.
 *
 * Spurious wakes and signals happen, a bounded number of them. Time-outs are
 * off: the 100 ms slices and the look at the socket are a second line of
 * defence, and would hide a lost wake from the model.
 *
 * A user with an event loop waits for the completion eventfd instead, with
 * `armed` for `waiting`: the same steps, and a counter that keeps what the
 * word's value keeps here.
 *
 * Tags: [R2] the slot's generation, release and acquire; [F2] the two full
 * fences, partners; [R4] the completion word, release and acquire.
 *
 * Proven: the client gets both answers each time and never sleeps for good
 * (no invalid end state; in LIVE, it always returns).
 *
 * Must fail:
 *   NO_CLIENT_FENCE  the look at the slot passes `waiting`
 *   NO_DAEMON_FENCE  the look at `waiting` passes the post
 *   NO_ADVANCE       the word stays, so FUTEX_WAIT cannot see the post
 *   ADVANCE_FIRST    the word advances before the slot is posted
 *   VALUE_AFTER      the word is read after the second look, not before
 *   LOOK_FIRST       the daemon looks at `waiting` before it posts
 * Must be reachable (REACH):
 *   1  the client slept, the daemon woke it, all was answered
 *   2  FUTEX_WAIT refused to sleep because the word had advanced
 *   3  the daemon had nobody to wake, and all was answered
 *   4  the client slept through the wake for its other request
 */
#define ROUNDS 2
#define WORD 2		/* number of the word; 0 and 1 are the slots */

/* Shared words, as memory has them. */
byte slot[2];		/* down: generation of the slot's result */
byte word;		/* down: completion word */
bit waiting;		/* up */

/* The store buffers. */
chan down_stores = [3] of { byte, byte };
chan waiting_stores = [3] of { bit };

/* The kernel. */
bool queued;		/* the client sleeps on the word */

/* Requests, handed over as doorbell.pml and claim.pml say. */
byte asked[2];		/* generation */

byte answered;
byte spurious = 2;
bool slept, woken, refused, nobody, other;

#ifndef LIVE
/* Runs once, at any moment: so it must hold at each. */
active proctype monitor()
{
#if REACH == 1
	assert(!(answered == 2 * ROUNDS && woken && spurious == 2))
#elif REACH == 2
	assert(!(answered == 2 * ROUNDS && refused && !slept))
#elif REACH == 3
	assert(!(answered == 2 * ROUNDS && nobody && !woken))
#elif REACH == 4
	assert(!(answered == 2 * ROUNDS && other))
#else
	assert(answered <= 2 * ROUNDS)
#endif
}
#endif

active proctype client()
{
	byte round, first, want, value;

	do
	:: round < ROUNDS ->
		d_step {
			round++;
			asked[0] = round;
			asked[1] = round
		}
		if
		:: first = 0
		:: first = 1
		fi;
		want = first;
		do
		:: slot[want] == round ->			/* [R2] */
			answered++;
			if
			:: want == first -> want = 1 - first
			:: want != first -> break
			fi
		:: slot[want] != round ->
#ifndef VALUE_AFTER
			value = word;				/* [R4] */
#endif
			waiting_stores!1;
#ifndef NO_CLIENT_FENCE
			empty(waiting_stores);			/* [F2] */
#endif
			if
			:: slot[want] == round ->		/* [R2] */
				goto up
			:: slot[want] != round
			fi;
#ifdef VALUE_AFTER
			value = word;
#endif
			/* FUTEX_WAIT */
			d_step {
				if
				:: word == value ->
					queued = true;
					slept = true
				:: word != value ->
					refused = true
				fi
			}
			!queued;
			other = other ||
				(slot[want] != round && spurious == 2);
up:
			waiting_stores!0
		od
	:: round == ROUNDS ->
		break
	od
}

active proctype daemon()
{
	byte posted[2];
	byte count, next;
	bool any, wake;

	do
	:: posted[0] == ROUNDS && posted[1] == ROUNDS ->
		break
	:: (posted[0] < asked[0] || posted[1] < asked[1]) ->
		count++;
#ifdef LOOK_FIRST
		wake = waiting;
#endif
#ifdef ADVANCE_FIRST
		down_stores!WORD, count;
#endif
		/* One or both, in either order. */
		if
		:: next = 0
		:: next = 1
		fi;
		if
		:: posted[next] < asked[next] ->
			d_step {
				down_stores!next, asked[next];	/* [R2] */
				posted[next] = asked[next];
				any = true
			}
		:: posted[next] == asked[next]
		fi;
		next = 1 - next;
		if
		:: posted[next] < asked[next] ->
			d_step {
				down_stores!next, asked[next];	/* [R2] */
				posted[next] = asked[next]
			}
		:: any ->
			skip
		fi;
		d_step { any = false; next = 0 }
#if !defined(NO_ADVANCE) && !defined(ADVANCE_FIRST)
		down_stores!WORD, count;			/* [R4] */
#endif
#ifndef NO_DAEMON_FENCE
		empty(down_stores);				/* [F2] */
#endif
#ifndef LOOK_FIRST
		wake = waiting;
#endif
		/* Here the disk write is submitted. */
		if
		:: wake ->
			d_step {
				woken = woken || queued;
				queued = false;			/* FUTEX_WAKE */
				wake = false
			}
		:: !wake ->
			nobody = true
		fi
	od
}

/* Drains the store buffers, each in order, all at their own pace. */
active proctype memory()
{
	byte which, value;

end:
	do
	:: d_step {
		down_stores?which, value ->
		if
		:: which == WORD -> word = value
		:: which != WORD -> slot[which] = value
		fi;
		which = 0;
		value = 0
	}
	:: d_step {
		waiting_stores?value ->
		waiting = value;
		value = 0
	}
	od
}

#ifndef LIVE
active proctype signals()
{
end:
	do
	:: d_step {
		queued && spurious > 0 ->
		spurious--;
		queued = false
	}
	od
}
#else
ltl returns { <> (answered == 2 * ROUNDS) }
#endif
