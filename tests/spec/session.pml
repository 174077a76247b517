/*
 * The session: begin, resume, drop, and what was in flight meanwhile.
 *
 * DESIGN §4: "Identity is (session, sequence). The session's *epoch*, raised
 * by each resume, is only a fence: an operation of an older epoch is refused
 * at apply. Each operation also carries *settled-below*. Below settled-below
 * is refused. An operation with settled-below = 1 may begin its session; so
 * may a resume. Both carry *born* (the daemon's applied index, restamped only
 * while nothing of the session was ever proposed). A resume of a session that
 * never began creates it and answers "none applied". Close and expiry are
 * committed entries and leave a tombstone, dropped by a committed entry;
 * dropping raises the replicated *session_floor* to the index at which that
 * session ended. A tombstone, an unknown session with settled-below > 1, or
 * born <= session_floor: ESESSION."
 *
 * One session, three sequences, two crashes of the daemon, nine committed
 * entries. Whatever was proposed once may commit at any later time, as often
 * as there is room: this stands for leader changes, proposals repeated,
 * messages duplicated or delayed, and writes of a dead daemon that land late.
 * What the session does not survive (close, expiry) and the drop of its
 * tombstone may commit as soon as they make sense; the ten minutes between
 * are not leant on. The client waits for answers in any order, keeps what
 * was posted before a crash, and after it resumes under the next epoch, a
 * new one for each attempt. A resume asks for its epoch, and is refused when
 * the session has a newer one; asked again for the one that it has, it is
 * granted and changes nothing. The answer to a resume is what the session
 * held when the resume was applied, delivered later.
 *
 * The client keeps `born` over the daemon's crash: it alone knows whether
 * anything was proposed, and only if nothing was may a new one be stamped.
 *
 * Proven: each sequence takes effect at most once; what was answered "not
 * applied" is not, then or ever after; what was answered "applied" is; a
 * session that ended never begins again.
 *
 * Must fail:
 *   NO_EPOCH_FENCE  an old operation applies after its "not applied"
 *   NO_FLOOR        an old operation begins the dropped session again
 *   NO_DEDUP        a repeated operation applies again
 *   NO_SETTLED      below settled-below is not refused
 *   NO_TOMBSTONE    a session that ends leaves nothing behind
 *   RESTAMP         a resume is always born anew
 * Must hold: SAME_EPOCH, an attempt that was not answered is repeated under
 * the epoch that it asked for.
 * Must be reachable (REACH):
 *   1  a repeated operation is recognised
 *   2  a resume creates the session, and the fence refuses what was meant
 *      to begin it
 *   3  the floor refuses an operation of a dropped session
 *   4  after two resumes a sequence of the third epoch takes effect
 *   5  a resume answers "applied" and "not applied" in one answer
 */
#define SEQUENCES 3
#define CRASHES 2
#define COMMITS 9

#define UNKNOWN 0
#define BEGUN 1
#define ENDED 2

/* What became of a resume. */
#define WAITING 0
#define GRANTED 1
#define REFUSED 2

/* The replicated state. */
byte state;
byte epoch;
byte settled = 1;
bool result[SEQUENCES + 1];
byte ended_at;
byte session_floor;
byte applied = 1;	/* index; the first entry is the leader's own */

/* Proposals: once made, they may commit for ever. */
bool proposed[SEQUENCES + 1];
byte op_epoch[SEQUENCES + 1];
byte op_settled[SEQUENCES + 1];
byte op_born[SEQUENCES + 1];
bool resume_proposed[CRASHES + 1];	/* by attempt */
byte resume_epoch[CRASHES + 1];
byte resume_born[CRASHES + 1];
byte resume_settled[CRASHES + 1];
byte resume_fate[CRASHES + 1];
bool answer[SEQUENCES + 1];		/* of the last resume granted */

/* The client's own. */
byte my_epoch = 1;
byte my_settled = 1;
byte next = 1;
bool outstanding[SEQUENCES + 2];

/* Ghosts. */
byte effects[SEQUENCES + 1];
bool denied[SEQUENCES + 1];
bool over;		/* it ended once */
bool repeated, created, fenced, floored, third, mixed;

#ifdef REACH
#define NOTE(ghost, fact) ghost = ghost || (fact)
#else
#define NOTE(ghost, fact) skip
#endif

#ifdef NO_EPOCH_FENCE
#define OLDER(e) false
#else
#define OLDER(e) ((e) < epoch)
#endif

#ifdef NO_DEDUP
#define REPEATED(q) false
#else
#define REPEATED(q) (result[q])
#endif

#ifdef NO_SETTLED
#define SETTLED(q) false
#else
#define SETTLED(q) ((q) < settled)
#endif

#ifdef NO_FLOOR
#define TOO_OLD(b) false
#else
#define TOO_OLD(b) ((b) <= session_floor)
#endif

#ifdef REACH
/* Runs once, at any moment. */
active proctype monitor()
{
#if REACH == 1
	assert(!repeated)
#elif REACH == 2
	assert(!(created && fenced))
#elif REACH == 3
	assert(!floored)
#elif REACH == 4
	assert(!third)
#else
	assert(!mixed)
#endif
}
#endif

inline begin_session(e)
{
	assert(!over);
	state = BEGUN;
	epoch = e;
	settled = 1
}

inline apply_op(q)
{
	applied++;
	if
	:: state == UNKNOWN && op_settled[q] == 1 &&
	   !TOO_OLD(op_born[q]) ->
		begin_session(op_epoch[q])
	:: else ->
		NOTE(floored, over && state == UNKNOWN && op_settled[q] == 1)
	fi;
	if
	:: state == BEGUN && !OLDER(op_epoch[q]) && !SETTLED(q) &&
	   !REPEATED(q) ->
		effects[q]++;
		assert(effects[q] == 1);
		assert(!denied[q]);
		result[q] = true;
		NOTE(third, op_epoch[q] == 3)
	:: else ->
		NOTE(repeated, state == BEGUN && result[q]);
		NOTE(fenced, state == BEGUN && OLDER(op_epoch[q]) && created)
	fi;
	/* An accepted one lets go of the results below its settled-below. */
	if
	:: state == BEGUN && !OLDER(op_epoch[q]) &&
	   op_settled[q] > settled ->
		settled = op_settled[q];
		q = 1;
		do
		:: q < settled ->
			result[q] = false;
			q++
		:: else ->
			break
		od
	:: else
	fi;
	q = 0
}

inline apply_resume(a)
{
	applied++;
	if
	:: state == UNKNOWN && resume_settled[a] == 1 &&
	   !TOO_OLD(resume_born[a]) ->
		begin_session(resume_epoch[a]);
		NOTE(created, true)
	:: else
	fi;
	if
	:: state == BEGUN && resume_epoch[a] >= epoch &&
	   resume_fate[a] == WAITING ->
		epoch = resume_epoch[a];
		resume_fate[a] = GRANTED;
		q = 1;
		do
		:: q <= SEQUENCES ->
			answer[q] = result[q];
			q++
		:: else ->
			break
		od
	:: (state != BEGUN || resume_epoch[a] < epoch) &&
	   resume_fate[a] == WAITING ->
		resume_fate[a] = REFUSED
	:: else
	fi;
	q = 0
}

inline forget()
{
	q = 1;
	do
	:: q <= SEQUENCES ->
		result[q] = false;
		q++
	:: else ->
		break
	od;
	q = 0;
	epoch = 0;
	settled = 1
}

/* The log: any proposal, in any order, again and again. */
active proctype cluster()
{
	byte q, a;

end:
	do
	:: d_step {
		applied <= COMMITS && proposed[1] -> q = 1;
		apply_op(q)
	   }
	:: d_step {
		applied <= COMMITS && proposed[2] -> q = 2;
		apply_op(q)
	   }
	:: d_step {
		applied <= COMMITS && proposed[3] -> q = 3;
		apply_op(q)
	   }
	:: d_step {
		applied <= COMMITS && resume_proposed[1] -> a = 1;
		apply_resume(a);
		a = 0
	   }
	:: d_step {
		applied <= COMMITS && resume_proposed[2] -> a = 2;
		apply_resume(a);
		a = 0
	   }
	:: d_step {
		/* Close, or expiry. */
		applied <= COMMITS && state == BEGUN ->
		applied++;
		over = true;
		forget();
#ifdef NO_TOMBSTONE
		state = UNKNOWN
#else
		ended_at = applied;
		state = ENDED
#endif
	   }
	:: d_step {
		/* The drop of another session's tombstone. */
		applied <= COMMITS && session_floor < applied ->
		session_floor = applied;
		applied++
	   }
	:: d_step {
		/* The drop of the tombstone. */
		applied <= COMMITS && state == ENDED ->
		applied++;
		if
		:: ended_at > session_floor -> session_floor = ended_at
		:: else
		fi;
		ended_at = 0;
		state = UNKNOWN
	   }
	od
}

inline settle()
{
	do
	:: my_settled < next && !outstanding[my_settled] ->
		my_settled++
	:: else ->
		break
	od;
	q = 0
}

inline propose()
{
	d_step {
		next <= SEQUENCES ->
		proposed[next] = true;
		op_epoch[next] = my_epoch;
		op_settled[next] = my_settled;
		op_born[next] = born;
		outstanding[next] = true;
		next++
	}
}

inline posted(p)
{
	d_step {
		outstanding[p] && effects[p] > 0 ->
		outstanding[p] = false;
		settle()
	}
}

inline crash()
{
	d_step {
		crashes++;
#ifdef SAME_EPOCH
		my_epoch = granted + 1;
#else
		my_epoch++;
#endif
#ifndef RESTAMP
		if
		:: next == 1 && crashes == 1 -> born = applied
		:: else
		fi;
#else
		born = applied;
#endif
		resume_epoch[crashes] = my_epoch;
		resume_born[crashes] = born;
		resume_settled[crashes] = my_settled;
		resume_proposed[crashes] = true
	}
}

inline resumed()
{
	atomic {
		NOTE(mixed, outstanding[1] && outstanding[2] &&
			    answer[1] != answer[2]);
		q = 1;
		do
		:: q < next ->
			if
			:: outstanding[q] && !answer[q] ->
				assert(effects[q] == 0);
				denied[q] = true
			:: outstanding[q] && answer[q] ->
				assert(effects[q] == 1)
			:: else
			fi;
			outstanding[q] = false;
			q++
		:: else ->
			break
		od;
		q = 0;
		granted = my_epoch;
		my_settled = next
	}
}

active proctype client()
{
	byte crashes, born, q;
	byte granted = 1;

	born = applied;
end_connected:
	do
	:: propose()
	:: posted(1)
	:: posted(2)
	:: posted(3)
	:: crashes < CRASHES ->
		crash();
end_crashed:
		do
		:: crashes < CRASHES ->
			crash()
		:: resume_fate[crashes] == REFUSED ->
			/* ESESSION: unknown is final. */
			goto out
		:: resume_fate[crashes] == GRANTED ->
			break
		od;
		resumed()
	od;
out:
	skip
}
