/*
 * The lease read: a client reads the leader's memory and asks nobody.
 *
 * DESIGN §5: "`lease_end` = the *send* time of the newest heartbeat round
 * that a quorum acknowledged + 0.9 x (election timeout - 1). It is withdrawn,
 * with a full fence, before TimeoutNow is sent, and never published again in
 * that term. The status page publishes {lease_term, lease_end} as one seqlock
 * record, all zero until an entry of this term is committed *and applied*
 * here. A leader stores `commit`, then a full fence, before any message
 * carries it. A reader loads lease_term (!= 0), then commit, requires applied
 * >= commit, copies, loads the record again, requires the same lease_term,
 * and only then reads the clock."
 *
 * Member 1 leads in term 1 and has a lease; the rest of the cluster elects
 * another leader (term 2) when no member is bound by an acknowledged
 * heartbeat any more, or at TimeoutNow; later member 1 may lead again (term
 * 3). Every write is a number, the newest committed. Beside member 1 a reader
 * reads once, at any time. Member 1's stores pass through an x86 store buffer
 * (TSO); sending a message is no fence here. The clock is one for all and
 * advances between any two steps. The rest of the cluster, its log and its
 * votes are steps without inside: tests/scripts and tests/sim are for those.
 *
 * Tags: [L1] commit, and the full fence before messages, acquire; [L2] the
 * lease record, its withdrawal and the full fence before TimeoutNow; [L3]
 * applied, release and acquire.
 *
 * Proven: a read that returns under the lease never misses a write that was
 * acknowledged before the read began.
 *
 * Must fail:
 *   NO_COMMIT_FENCE    a message passes `commit`
 *   NO_WITHDRAWAL      TimeoutNow is sent with the lease published
 *   NO_WITHDRAW_FENCE  TimeoutNow passes the withdrawal
 *   REPUBLISH          a lease is published after TimeoutNow in that term
 *   NO_TERM_ENTRY      a lease is published before an entry of the term is
 *                      committed and applied
 *   NO_APPLIED         the reader does not ask whether commit is applied
 *   NO_TERM_COMPARE    the second load may show another term
 *   NO_FIRST_LOAD      the record is loaded once, after the copy
 *   TORN_RECORD        the record is loaded without its sequence
 *   CLOCK_EARLY        the clock is read before the read begins: a cached or
 *                      coarse clock, or one read ahead of the loads
 * Must hold: CLOCK_BEFORE_RECORD, the clock read before the second load but
 * after the first. See the note at the reader.
 * Must be reachable (REACH):
 *   1  a read returns under the lease of term 1, after a renewal
 *   2  a read returns under the lease of term 3, with writes of term 2 in it
 *   3  a read is refused by the clock alone
 *   4  a read is refused because the term was withdrawn during it
 *   5  a read returns while another leader stands already
 */
#define WRITES 3
#define TIME 3
#define SPAN 1		/* of a lease */

/* Words of the status page, and of the store. */
#define SEQUENCE 0
#define TERM 1
#define END 2
#define COMMIT 3
#define DATA 4
#define APPLIED 5

byte memory_word[6];
chan stores = [4] of { byte, byte };

/* The world. */
byte now;
byte bound = SPAN;	/* until then a quorum elects nobody else */
byte leads = 1;		/* the term whose leader can commit */
byte committed = 1;
byte acknowledged = 1;
bool timeout_now;

/* Ghosts. */
bool renewed;

#ifdef NO_COMMIT_FENCE
#define COMMIT_FENCE skip
#else
#define COMMIT_FENCE empty(stores)
#endif

#ifdef NO_WITHDRAW_FENCE
#define WITHDRAW_FENCE skip
#else
#define WITHDRAW_FENCE empty(stores)
#endif

#ifdef REACH
#define NOTE(ghost, fact) ghost = ghost || (fact)
#else
#define NOTE(ghost, fact) skip
#endif

/*
 * Where the clock is read. What counts is that the lease is in force at some
 * moment after the read began, and that the record is of the term seen
 * before `commit` was loaded: until lease_end no other leader stood, so that
 * `commit` was whole then. A clock read between the two loads serves as well
 * as one read last; one read before the beginning does not. Last is the
 * place where nothing earlier can slip behind it.
 */
active proctype reader()
{
	byte must, time, term, commit, copy;
	byte sequence, again, end;

#ifdef CLOCK_EARLY
	time = now;
#endif
	must = acknowledged;
#ifndef NO_FIRST_LOAD
	term = memory_word[TERM];				/* [L2] */
	if
	:: term == 0 -> goto refused
	:: term != 0
	fi;
#endif
	commit = memory_word[COMMIT];				/* [L1] */
#ifndef NO_APPLIED
	if
	:: memory_word[APPLIED] < commit -> goto refused	/* [L3] */
	:: memory_word[APPLIED] >= commit
	fi;
#endif
	copy = memory_word[DATA];
#ifdef CLOCK_BEFORE_RECORD
	time = now;
#endif
	sequence = memory_word[SEQUENCE];			/* [L2] */
	again = memory_word[TERM];
	end = memory_word[END];
#ifndef TORN_RECORD
	if
	:: sequence % 2 == 1 || memory_word[SEQUENCE] != sequence ->
		goto refused
	:: sequence % 2 == 0 && memory_word[SEQUENCE] == sequence
	fi;
#endif
#if defined(NO_TERM_COMPARE) || defined(NO_FIRST_LOAD)
	term = again;
#endif
	if
	:: again == 0 || again != term ->
#if REACH == 4
		assert(again != 0);
#endif
		goto refused
	:: again != 0 && again == term
	fi;
#if !defined(CLOCK_EARLY) && !defined(CLOCK_BEFORE_RECORD)
	time = now;
#endif
	if
	:: time >= end ->
#if REACH == 3
		assert(copy >= must);
#endif
		goto refused
	:: time < end
	fi;
#if REACH == 1
	assert(!(term == 1 && renewed && end > SPAN));
#elif REACH == 2
	assert(!(term == 3 && copy == WRITES && must > 1));
#elif REACH == 5
	assert(leads == term);
#endif
	assert(copy >= must);
refused:
	skip
}

inline publish_record(t, e)
{
	d_step { stores!SEQUENCE, sequence + 1; sequence++ }	/* [L2] */
	stores!TERM, t;
	stores!END, e;
	d_step { stores!SEQUENCE, sequence + 1; sequence++ }
}

/* What the leader of `term` commits, tells, and applies. */
inline commit_one()
{
	d_step {
		leads == term && committed < WRITES ->
		committed++;
		known = committed
	}
	stores!COMMIT, known;					/* [L1] */
	COMMIT_FENCE;
	/* The message; who gets it answers a client of its own. */
	d_step {
		if
		:: acknowledged < known -> acknowledged = known
		:: else
		fi
	}
	stores!DATA, known;
	stores!APPLIED, known					/* [L3] */
}

active proctype member()
{
	byte term = 1;
	byte known = 1;
	byte sequence, sent;
	bool may_publish = true;

	d_step {
		memory_word[TERM] = 1;
		memory_word[END] = SPAN;
		memory_word[COMMIT] = 1;
		memory_word[DATA] = 1;
		memory_word[APPLIED] = 1
	}
end_led:
	do
	:: committed < WRITES && leads == term ->
		if
		:: commit_one()
		:: leads != term
		fi
	:: may_publish && now + SPAN > bound ->
		/* A heartbeat round: sent, acknowledged, published. */
		sent = now;
		if
		:: d_step {
			leads == term ->
			bound = sent + SPAN
		   }
			publish_record(term, sent + SPAN);
			NOTE(renewed, true)
		:: leads != term
		fi;
		sent = 0
	:: term == 1 && !timeout_now ->
		/* Leadership is to move. */
#ifndef NO_WITHDRAWAL
		publish_record(0, 0);
		WITHDRAW_FENCE;
#endif
#ifndef REPUBLISH
		may_publish = false;
#endif
		timeout_now = true
	:: leads != term ->
		break
	od;

	/* Deposed, and knows it. It follows, as far as it likes. */
	publish_record(0, 0);
	term = 0;
end_follows:
	do
	:: known < committed ->
		known++;
		stores!COMMIT, known;
		stores!DATA, known;
		stores!APPLIED, known
	:: d_step {
		/* Elected again: every committed write is in its log. */
		leads == 2 && committed < WRITES ->
		leads = 3;
		term = 3;
		timeout_now = false;
		may_publish = true
	   }
#ifndef NO_TERM_ENTRY
		commit_one();
#endif
		goto end_led
	od
}

/* The rest of the cluster: another leader, and its clients. */
active proctype others()
{
end:
	do
	:: d_step {
		leads == 1 && (now >= bound || timeout_now) ->
		leads = 2
	   }
	:: d_step {
		leads == 2 && committed < WRITES ->
		committed++;
		acknowledged = committed
	   }
	od
}

active proctype clock()
{
end:
	do
	:: d_step { now < TIME -> now++ }
	od
}

active proctype memory()
{
	byte which, value;

end:
	do
	:: d_step {
		stores?which, value ->
		memory_word[which] = value;
		which = 0;
		value = 0
	   }
	od
}
