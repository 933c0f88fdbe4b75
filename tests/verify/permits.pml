/*
 * The permits, for the model checker: every order of events that a few workers, a server that may
 * forget, and a provider that counts for itself can bring about.
 *
 * What is modelled. Two or three workers share a tier of one or two permits. Each has one caller at a
 * time, who asks, may go again at any moment, and makes one request inside its permit. A worker says
 * everything in *steps*: what it gives back, what it asks for and no longer asks for, its receipts.
 * The server takes a step as one atomic decision, the handover to the next waiter included, and
 * replies; grants to other workers travel as pushes. Replies and pushes take as long as they like,
 * and some never come. Leases lapse, processes are killed, the server restarts empty or is replaced
 * by a replica that never heard of the last operations.
 *
 * The files                              The processes, one of each for every worker
 *   permits.pml   this; what runs          Caller     asks, cancels, starts, ends or cuts its request
 *   state.pml     every variable           Pump       its worker's steps, and their replies
 *   server.pml    what a step decides      Inbox      grants pushed by others' steps
 *   worker.pml    what a worker says       Provider   the model's side of the caller's request
 *   mishaps.pml   time and accidents       Session    what befalls a session by time, and fences
 *                                          Mishaps    a bounded number of accidents
 *   and once: Time, lingers and recovery; Judge, who looks when nothing can move any more
 *
 * What must hold
 *   tier      always: the provider counts at most L requests (asserted at every start)
 *   apart     always: a permit is on record for one worker only (asserted at every grant)
 *   drained   from any moment on at which accidents end and nobody asks any more (`calm`), everything
 *             comes to rest, and then nothing counts, nobody waits, nobody is awaited
 *   served    who waits is granted a permit or goes: an LTL property, where each process goes on now
 *             and then (weak fairness), and callers ask for ever
 *
 * The abstractions, and why each keeps every fault that matters
 *   Time       is order. A worker that is stopped, swapped out or cut off is one whose processes
 *              happen not to run, so a lease may lapse at any moment. What is true by the choice of
 *              durations is a guard: a quarantine ends only when no request of its session can still
 *              run, because a worker cuts each of them before its deadline; a linger ends only when
 *              the provider has noticed; a recovery's first window lasts until the supervisors have
 *              spoken. `late`: the deadline of what a worker holds has passed by its own clock.
 *   Starting   a request is one event with the look at that deadline. No program can do that; the
 *              variants `check, then start` show what it takes instead: that whoever is silent for
 *              longer than a lease is killed, long before any deadline.
 *   Steps      are decided at the moment they are sent. A step that is decided later is the same as
 *              one sent later, except where its worker has given it up: that one is a `ghost`.
 *   Numbers    that only tell things apart (permits, registrations, waiters) are replaced by what
 *              they tell: a permit's name is used again when nobody has a trace of it; `current`
 *              says that the record has the worker's newest registration number; `stray`, that a
 *              grant under way is for a waiter who has gone.
 *   Queue      first come first served. Classes, flows and changes of the limit decide who is next
 *              and when, never whether a permit may be given; they are left out.
 *   Heartbeat  a step with nothing to say, taken where it would change something. Its comparison of
 *              the records is left out: what is modelled holds without it.
 *
 * Each variant (variants.py has the table) sets bounds with -D: how many workers, permits and
 * accidents of each kind. A flag such as LEASE_ONLY takes one part of the design away.
 */

#include "state.pml"
#include "server.pml"
#include "worker.pml"

#ifdef LIVENESS
#define may_cancel(i) (CANCELS && i != 0) /* the one who is watched is patient */
#else
#define may_cancel(i) (CANCELS && !calm)
#endif

proctype Caller(byte i) {
end:
  do
  :: d_step { !calm && !dead[i] && caller[i] == idle ->
      caller[i] = waiting; printf("a caller of %d asks\n", i) }
  /* Cancelled while it waits: without an await, so nothing comes between. */
  :: d_step { may_cancel(i) && caller[i] == waiting -> cancel(i) }
  /* Cancelled as the grant came: it is given back unused. */
  :: d_step { may_cancel(i) && caller[i] == granted -> return_permit(i) }
#ifdef CALLER_OWNS_IO
  /* The reply is read by the caller, and goes with it. */
  :: d_step { !calm && caller[i] == waiting && sent[i] && reply_grants[i] != 0 ->
      caller[i] = idle; sent[i] = false; said[i] = 0; end_step(i);
      printf("the caller of %d goes, and the reply with it\n", i) }
#endif
#ifdef NO_CHECK
  :: d_step { caller[i] == granted -> start(i) }
#else
  :: d_step { caller[i] == granted && late[i] -> return_permit(i) }
#ifdef CHECK_THEN_START
  :: d_step { caller[i] == granted && !late[i] ->
      caller[i] = checked; printf("%d: its deadline has not passed\n", i) }
  :: d_step { caller[i] == checked -> start(i) }
#else
  :: d_step { caller[i] == granted && !late[i] -> start(i) }
#endif
#endif
  :: d_step { caller[i] == open && !runs[i] -> return_permit(i) } /* the answer was heard */
  /* Cancelled while the answer streams. */
  :: d_step { !calm && cuts > 0 && caller[i] == open && runs[i] ->
      cuts--; runs[i] = false; cut = cut | bit(has[i]); return_permit(i);
      printf("the caller of %d goes, its request is cut\n", i) }
  od
}

proctype Pump(byte i) {
end:
  do
  :: d_step { !dead[i] && reply[i] == nothing && something_to_say(i) ->
      step(i);
      /* A reply that brings no grant and cannot get lost is heard at once: it makes no difference. */
      if :: lost_replies == 0 && reply_grants[i] == 0 -> hear(i) :: else -> skip fi }
  :: d_step { reply[i] != nothing -> hear(i) }
  od
}

proctype Inbox(byte i) {
end:
  do
  :: d_step { push[i] != 0 -> take(i, push[i]) }
  od
}

proctype Provider(byte i) {
end:
  do
  :: d_step { runs[i] -> runs[i] = false; upstream--; /* heard or not */
      printf("the request of %d ends by itself\n", i) }
  od
}

#include "mishaps.pml"

init {
  d_step {
    for (w : 0 .. N - 1) {
      caller[w] = idle; reply[w] = nothing; has[w] = NONE; session[w] = gone; anew[w] = true;
      if
      :: w >= JOINERS -> /* has been here for a while, as have the others */
        session[w] = live; current[w] = true; anew[w] = false;
        knows[w] = epoch; roster[w] = ALL & ~(bit(JOINERS) - 1)
      :: else -> skip
      fi
    };
    skip
  }
  atomic {
    for (w : 0 .. N - 1) {
      run Caller(w); run Pump(w); run Inbox(w); run Provider(w); run Session(w); run Mishaps(w)
    };
    run Time();
#ifndef LIVENESS
    run Judge()
#endif
  }
}

#ifdef LIVENESS
ltl served { [] (caller[0] == waiting -> <> (caller[0] != waiting)) }
#endif
