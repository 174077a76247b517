/*
 * The doorbell: how a client wakes the daemon.
 *
 * DESIGN §3, Sleep and wake: "Client to daemon: publish, full fence, look
 * whether the daemon says that it sleeps, only then write the handle's
 * eventfd (never read by the daemon). Daemon: announce sleep, full fence,
 * look at all rings again, enter the kernel."
 *
 * Two clients with a ring each publish two records each; the daemon goes
 * through turns, in which it looks at any of the rings or at none, and each
 * turn ends in the attempt to sleep. Each processor has a store buffer as
 * x86 has it (TSO): a store is seen by the others some time later, in order;
 * a full fence waits until the buffer is empty. Nobody here loads a word
 * that it stores itself, so that forwarding plays no part. The kernel's own
 * barriers (eventfd, io_uring_enter) are not leant on, but for one: the
 * notice of a death comes after the dead thread's stores.
 *
 * A client may die before each of its steps; its death (socket, pidfd) is an
 * event like its eventfd. One spurious wake (a timer, a finished write) may
 * come at any time.
 *
 * Tags: [R1] the record's length word, release and acquire; [F1] the two
 * full fences, one of the client and one of the daemon, partners.
 *
 * Proven: no state in which the daemon is in the kernel, a record is visible
 * and unseen, no event is pending, and no client is still on its way to ring
 * or to die; and, in LIVE, that whatever is published is seen.
 *
 * Must fail:
 *   NO_CLIENT_FENCE  the look at `sleeping` passes the record
 *   NO_DAEMON_FENCE  the look at the rings passes the announcement
 *   NO_RECHECK       the daemon looks at all rings, then announces
 *   RECHECK_BUSY     it looks again, but only at the ring lately busy
 *   SILENT_DEATH     a client's death is no event
 * Must be reachable (REACH):
 *   1  a client saw `sleeping` and rang, and all records were seen
 *   2  a record for which nobody rang was seen because its client died
 *   3  the second look found what the first did not
 *   4  a client saw the daemon awake, and need not ring
 */
#define CLIENTS 2
#define RECORDS 2

/* Shared words, as memory has them. */
byte tail[CLIENTS];	/* up: records published */
bit sleeping;		/* status page */

/* The store buffers: values on their way to those words. */
chan tail_stores[CLIENTS] = [RECORDS] of { byte };
chan sleeping_stores = [2] of { bit };

/* The kernel. */
bool event[CLIENTS];	/* eventfd written, or client gone: not yet reaped */
bool killed[CLIENTS];
bool in_kernel;		/* the daemon waits there */

/* The daemon's own. */
byte seen[CLIENTS];
#ifdef LIVE
byte spurious;		/* none, or it would stand in for a lost wake */
#else
byte spurious = 1;
#endif

/* Ghosts. */
bool owes[CLIENTS];	/* published, and neither rang, looked nor died yet */
bool rang, spared, saved, found;

#define WAITS_FOR_NOBODY(c)						\
	(in_kernel && tail[c] != seen[c] && !event[0] && !event[1] &&	\
	 !owes[0] && !owes[1])

#define QUIET								\
	(in_kernel && !event[0] && !event[1] && !owes[0] && !owes[1] &&	\
	 seen[0] == RECORDS)

#ifndef LIVE
/* Runs once, at any moment: so it must hold at each. */
active proctype monitor()
{
#if REACH == 1
	assert(!(QUIET && seen[1] == RECORDS && rang && !killed[0] &&
		 !killed[1]))
#elif REACH == 2
	assert(!(QUIET && saved))
#elif REACH == 3
	assert(!(QUIET && found))
#elif REACH == 4
	assert(!(QUIET && spared && !rang))
#else
	assert(!WAITS_FOR_NOBODY(0) && !WAITS_FOR_NOBODY(1))
#endif
}
#endif

proctype client(byte me)
{
	byte count;

	{
		do
		:: count < RECORDS ->
			count++;
			d_step {
				tail_stores[me]!count;		/* [R1] */
				owes[me] = true
			}
#ifndef NO_CLIENT_FENCE
			empty(tail_stores[me]);			/* [F1] */
#endif
			if
			:: sleeping ->
				d_step {
					event[me] = true;
					rang = true;
					owes[me] = false
				}
			:: !sleeping ->
				d_step {
					spared = true;
					owes[me] = false
				}
			fi
		:: count == RECORDS ->
			break
		od;
end_idle:
		killed[me]
	} unless {
		killed[me]
	}

	/* The kernel's way out for a process. */
	d_step {
		empty(tail_stores[me]) ->
		saved = saved || (in_kernel && tail[me] != seen[me] &&
				  !event[0] && !event[1]);
#ifndef SILENT_DEATH
		event[me] = true;
#endif
		owes[me] = false
	}
}

active proctype daemon()
{
	do
	::
		/* A turn: reap, then look at the rings that it cares for. */
		d_step {
			event[0] = false;
			event[1] = false
		}
		if
		:: seen[0] = tail[0]				/* [R1] */
		:: seen[1] = tail[1]
		:: skip
		fi;

#ifdef NO_RECHECK
		seen[0] = tail[0];
		seen[1] = tail[1];
#endif
		sleeping_stores!1;
#ifndef NO_DAEMON_FENCE
		empty(sleeping_stores);				/* [F1] */
#endif
#ifndef NO_RECHECK
		if
		:: tail[0] != seen[0] ->
			d_step {
				seen[0] = tail[0];
				found = true
			}
			goto awake
		:: tail[0] == seen[0]
		fi;
#ifndef RECHECK_BUSY
		if
		:: tail[1] != seen[1] ->
			d_step {
				seen[1] = tail[1];
				found = true
			}
			goto awake
		:: tail[1] == seen[1]
		fi;
#endif
#endif
		in_kernel = true;
end_kernel:
		atomic {
			if
			:: event[0] || event[1]
			:: spurious > 0 -> spurious--
			fi;
			in_kernel = false
		}
awake:
		sleeping_stores!0
	od
}

/* Drains the store buffers, each in order, all at their own pace. */
active proctype memory()
{
	byte value;

end:
	do
	:: d_step { tail_stores[0]?value -> tail[0] = value; value = 0 }
	:: d_step { tail_stores[1]?value -> tail[1] = value; value = 0 }
	:: d_step { sleeping_stores?value -> sleeping = value; value = 0 }
	od
}

active proctype killer()
{
	if
	:: killed[0] = true
	:: killed[1] = true
	:: skip
	fi
}

init {
	atomic {
		run client(0);
		run client(1)
	}
}

#ifdef LIVE
ltl seen_at_last {
	[] ((tail[0] != seen[0]) -> <> (tail[0] == seen[0])) &&
	[] ((tail[1] != seen[1]) -> <> (tail[1] == seen[1]))
}
#endif
