/* What time, supervisors and accidents do. */

/* A lease runs out. The process may only be slow, its request open: its permits stay counted. */
inline lapse(i) {
  printf("the lease of %d runs out\n", i);
  leave_line(i);
  current[i] = false;
#ifdef LEASE_ONLY
  take_out(i, record[i]);
#endif
  session[i] = (record[i] != 0 -> quarantined : gone);
  hand_out(NOBODY)
}

/* The deadlines have passed of all that a worker has, and of what is under way to it. */
inline late_by_now(i) {
#ifndef NO_CHECK
  late[i] = has[i] != NONE;
  push[i] = 0; reply_grants[i] = 0; stray[i] = 0;
#endif
  skip
}

#ifdef KILLED_FIRST /* who is silent for longer than a lease is killed, long before any deadline */
#define has_deadlines(i) (dead[i])
#else
#define has_deadlines(i) true
#endif

proctype Session(byte i) {
end:
  do
  :: d_step { session[i] == live && dead[i] -> lapse(i) }
  /* A quarantine ends: what is on record for the session has ended, begun or cut. */
  :: d_step { session[i] == quarantined && !runs[i] && !(record[i] & cut) && has_deadlines(i) ->
      printf("the quarantine of %d ends\n", i);
      take_out(i, record[i]); session[i] = gone; late_by_now(i); hand_out(NOBODY) }
#ifdef FOR_THE_LIVING
  :: d_step { in(i, absent) ->
      printf("%d is not waited for: it is silent\n", i);
      absent = absent & ~bit(i); hand_out(NOBODY) }
#else
  /* So has all that an absent session can have begun before this epoch. */
  :: d_step { in(i, absent) && !runs[i] && !((back[i] | said[i]) & cut) ->
      printf("nothing of the absent %d can still run\n", i);
      absent = absent & ~bit(i); late_by_now(i); hand_out(NOBODY) }
#endif
  /* Its supervisor: the process has ended, its sockets are closed. Said again in each epoch. */
  :: d_step { dead[i] && !in(i, fenced) ->
      printf("%d is fenced\n", i);
      fenced = fenced | bit(i);
      leave_line(i);
      if
      :: session[i] != gone -> take_back(i, record[i]); session[i] = gone; current[i] = false
#ifndef FENCES_THE_KNOWN
      :: session[i] == gone && recovering -> absent = absent | bit(i) /* for one linger */
#endif
      :: else -> skip
      fi;
      hand_out(NOBODY) }
  od
}

#define unheard(i) (dead[i] && !in(i, fenced))
#ifdef NOT_TOLD
#define window_over (cut_before == 0)
#else
#define window_over (cut_before == 0 && told && !unheard(0) && !unheard(1) && !unheard(N - 1))
#endif

#define notice(x) d_step { in(x, cut) -> \
    cut = cut & ~bit(x); cut_before = cut_before & ~bit(x); upstream--; \
    printf("the provider notices a cut request\n") }
#define linger_ends(x) d_step { in(x, record[NOBODY]) && !in(x, cut) -> \
    printf("a linger ends\n"); \
    take_out(NOBODY, bit(x)); hand_out(NOBODY) }

proctype Time() {
end:
  do
  /* The supervisors, to a new epoch: these live. */
  :: d_step { !told ->
      printf("the supervisors say who lives\n");
      told = true;
      for (q : 0 .. N - 1) {
        if :: session[q] == gone && !dead[q] -> absent = absent | bit(q) :: else -> skip fi
      };
      skip }
  :: d_step { window && window_over ->
      printf("the epoch's first linger is over\n");
      window = false; hand_out(NOBODY) }
  :: notice(0) :: notice(1) :: notice(2) :: notice(3)
  :: notice(4) :: notice(5) :: notice(6) :: notice(7)
  :: linger_ends(0) :: linger_ends(1) :: linger_ends(2) :: linger_ends(3)
  :: linger_ends(4) :: linger_ends(5) :: linger_ends(6) :: linger_ends(7)
  od
}

/* kill -9. The kernel closes the sockets; the provider counts on until it notices. Of the worker's
   own memory only what that concerns is kept, in `back`. */
inline kill(i) {
  printf("%d is killed\n", i);
  dead[i] = true;
  if :: runs[i] -> cut = cut | bit(has[i]); runs[i] = false :: else -> skip fi;
  back[i] = (back[i] | said[i] | bit(has[i])) & cut;
  has[i] = NONE; late[i] = false; caller[i] = idle; sent[i] = false; left[i] = false;
  said[i] = 0; got[i] = 0; stray[i] = 0; anew[i] = false; knows[i] = 0; roster[i] = 0;
  push[i] = 0; current[i] = false; end_step(i)
}

/* The server has forgotten everything, or is a replica that never heard of the last operations. The
   permits on record are not believed; sessions that it knows are awaited. */
inline begin_epoch(known, notices) {
  printf("the server begins an epoch\n");
  epoch++; registered = 0; window = true; absent = known; fenced = notices;
#ifndef NOT_TOLD
  told = false;
#endif
  cut_before = cut;
  used = 0; unseen = 0; queued = 0;
  for (q : 0 .. N) { record[q] = 0 };
  for (q : 0 .. N - 1) {
    session[q] = gone; current[q] = false; line[q] = 0;
#if GHOSTS /* end with the connection that they are on */
    ghost[q] = false; ghost_old[q] = false; ghost_waits[q] = false;
    ghost_ours[q] = 0; ghost_back[q] = 0;
#endif
    skip
  };
  skip
}

#if FAILOVERS
/* From here on the replica hears of nothing. */
inline copy() {
  printf("from here on the replica hears of nothing\n");
  copied = true; copy_known = absent; copy_fenced = fenced;
  for (q : 0 .. N - 1) {
    if :: session[q] != gone -> copy_known = copy_known | bit(q) :: else -> skip fi
  };
#ifdef NO_EPOCH
  for (q : 0 .. N) { copy_record[q] = record[q] };
  for (q : 0 .. N - 1) {
    copy_session[q] = session[q]; copy_current[q] = current[q]; copy_line[q] = line[q]
  };
  copy_queued = queued; copy_used = used; copy_unseen = unseen;
#endif
  skip
}

inline promote() {
  printf("the replica is promoted\n");
#ifdef NO_EPOCH
  fenced = copy_fenced;
  for (q : 0 .. N) { record[q] = copy_record[q] };
  for (q : 0 .. N - 1) {
    session[q] = copy_session[q]; current[q] = copy_current[q]; line[q] = copy_line[q]
  };
  queued = copy_queued; used = copy_used; unseen = copy_unseen;
#else
  begin_epoch(copy_known, copy_fenced);
#endif
  copied = false; copy_known = 0; copy_fenced = 0; failovers--
}
#endif

#if GHOSTS
inline give_up_registration(i) {
  printf("a registration of %d is under way, and given up\n", i);
  ghosts--;
  compose_registration(i);
  current[i] = false;
  ghost[i] = true; ghost_ours[i] = listed; ghost_back[i] = returned; ghost_waits[i] = wants
}

/* Decided after all: unless the record has a newer one, or its process has been fenced. */
#ifdef LATE_WORDS_COUNT
#define outdated(i) (session[i] == gone && in(i, fenced))
#else
#define outdated(i) (session[i] == gone -> in(i, fenced) : ghost_old[i])
#endif

inline decide_ghost(i) {
  printf("it arrives\n");
  if
  :: !outdated(i) ->
    register(i, ghost_ours[i], ghost_back[i], ghost_waits[i]);
    current[i] = !ghost_old[i];
    hand_out(i) /* what is granted in this reply, nobody reads */
  :: else -> skip
  fi;
  ghost[i] = false; ghost_old[i] = false; ghost_waits[i] = false;
  ghost_ours[i] = 0; ghost_back[i] = 0
}
#endif

proctype Mishaps(byte i) {
end:
  do
  :: d_step { !calm && lapses > 0 && session[i] == live && !dead[i] -> lapses--; lapse(i) }
  :: d_step { !calm && kills > 0 && !dead[i] -> kills--; kill(i) }
  :: d_step { !calm && lost_pushes > 0 && push[i] != 0 ->
      lost_pushes--; push[i] = 0; printf("a push to %d is lost\n", i) }
  :: d_step { !calm && lost_replies > 0 && reply[i] != nothing ->
      lost_replies--; end_step(i); say_again(i); printf("a reply to %d is lost\n", i) }
#if GHOSTS
  :: d_step { !calm && ghosts > 0 && !dead[i] && anew[i] && reply[i] == nothing ->
      give_up_registration(i) }
  :: d_step { ghost[i] -> decide_ghost(i) }
#endif
  :: d_step { !calm && restarts > 0 && i == 0 ->
      restarts--; printf("the server restarts empty\n"); begin_epoch(0, 0) }
#if FAILOVERS
  :: d_step { !calm && failovers > 0 && i == 0 && !copied -> copy() }
  :: d_step { !calm && i == 0 && copied -> promote() }
#endif
#ifdef LIVENESS
  :: break /* no accident has to come */
#else
  :: d_step { !calm && i == 0 -> calm = true; printf("all is calm from now on\n") }
#endif
  od
}

/* When nothing can move, all is calm; and then nothing may be left. */
#define left_over(i) (!dead[i] && (caller[i] != idle || has[i] != NONE || session[i] != live))
proctype Judge() {
  timeout ->
#ifndef TIER_ONLY
    assert(used == 0 && upstream == 0 && queued == 0 && !recovering); /* drained */
    assert(!left_over(0) && !left_over(1) && !left_over(N - 1)); /* drained */
#endif
    skip
}
