/* What the server decides in a step. */

#define recovering (window || absent != 0)
#ifdef NO_WINDOW
#define admissible L
#else
#define admissible ((recovering && registered < L) -> registered : L)
#endif

/* `used` is always the number of permits on record. */
inline count_used() {
  set = 0;
  for (q : 0 .. N) { set = set | record[q] }
  used = 0;
  for (q : 0 .. P - 1) { used = used + in(q, set) };
  unseen = unseen & set
}

inline take_out(i, permits) {
  record[i] = record[i] & ~(permits);
  count_used()
}

/* The permit of a request that was cut counts on, as nobody's, until the provider has noticed. */
inline take_back(i, permits) {
#ifndef NO_LINGER
  record[NOBODY] = record[NOBODY] | (record[i] & (permits) & cut);
#endif
  take_out(i, permits)
}

inline leave_line(i) {
  count = 0;
  for (q : 0 .. N - 1) {
    if
    :: q < queued && line[q] == i -> count++
    :: q < queued && line[q] != i && count > 0 -> line[q - count] = line[q]
    :: else -> skip
    fi
  }
  queued = queued - count;
  for (q : 0 .. N - 1) { if :: q >= queued -> line[q] = 0 :: else -> skip fi }
}

/* Who stands there already keeps its place. */
inline stand_in_line(i) {
  count = 0;
  for (q : 0 .. N - 1) { if :: q < queued && line[q] == i -> count++ :: else -> skip fi };
  if
  :: count == 0 ->
#ifdef NEWEST_FIRST
    for (q : 1 .. N - 1) { line[N - q] = line[N - q - 1] };
    line[0] = i;
#else
    line[queued] = i;
#endif
    queued++
  :: else -> skip
  fi
}

#define traces(i) (back[i] | said[i] | got[i] | stray[i] | push[i] | reply_grants[i] | \
    (bit(has[i]) & (bit(P) - 1)) | ghost_traces(i))
#if GHOSTS
#define ghost_traces(i) (ghost_ours[i] | ghost_back[i])
#else
#define ghost_traces(i) 0
#endif

/* A name for a permit of the worker w. Each worker has its own, so that a state has one spelling. */
inline choose_name() {
#ifdef NAMES_WITHOUT_EPOCH
  /* Numbers begin anew with the server, so that what it has no record of is free. */
  set = 0;
  for (q : 0 .. N) { set = set | record[q] };
  for (q : 0 .. N - 1) { if :: epoch == 1 -> set = set | traces(q) :: else -> skip fi }
#else
  set = record[w] | record[NOBODY] | cut | traces(w) | (255 & ~((bit(NAMES) - 1) << (w * NAMES)));
#endif
  p = NONE;
  for (q : 0 .. P - 1) { if :: p == NONE && !in(q, set) -> p = q :: else -> skip fi };
  assert(p != NONE)
}

/* The handover: to the next waiter, in the same step that made the permit free. Grants to the
   `asker` go into its reply, the others' to their inboxes. */
inline hand_out(asker) {
  granted_now = 0;
  do
  :: queued > 0 && used < admissible ->
    w = line[0];
    leave_line(w);
    choose_name();
    for (q : 0 .. N) { assert(!in(p, record[q])) }; /* apart */
    record[w] = record[w] | bit(p); used++;
    printf("a permit is granted to %d: %d in use\n", w, used);
#if RECEIPTS
    unseen = unseen | bit(p);
#endif
    if :: left[w] -> stray[w] = stray[w] | bit(p) :: else -> skip fi;
    if
    :: w == asker -> granted_now = granted_now | bit(p)
    :: w != asker && current[w] -> push[w] = push[w] | bit(p)
    :: else -> skip /* under an old registration, and so ignored */
    fi
  :: else -> break
  od;
  skip
}

/* A session says: these permits and no others are mine. The record is made so. */
inline register(i, ours, returns, waits) {
  new_here = session[i] == gone;
#ifndef NO_ROSTER
  /* Sessions that it knew in a former epoch, and of whom this one has not heard. */
  for (q : 0 .. N - 1) {
    if
    :: knows[i] != 0 && knows[i] != epoch && q != i && in(q, roster[i]) && session[q] == gone ->
      absent = absent | bit(q)
    :: else -> skip
    fi
  }
#endif
  absent = absent & ~bit(i);
  set = 0;
  for (q : 0 .. N) { if :: q != i -> set = set | record[q] :: else -> skip fi }
  unseen = unseen & ~record[i];
  record[i] = (ours) & ~set;
  count_used();
  session[i] = live;
#ifdef COUNTS_RETURNED
  count_registered(i);
  take_back(i, returns);
#else
  /* What it gives back in the same step is no part of what came back: a step whose reply was lost
     may have given it back before, and it may be somebody else's since. */
  take_back(i, returns);
  count_registered(i);
#endif
  if :: waits -> stand_in_line(i) :: else -> leave_line(i) fi
}

inline count_registered(i) {
  for (q : 0 .. P - 1) {
    if :: new_here && in(q, record[i]) && registered < L -> registered++ :: else -> skip fi
  }
}

inline answer(i, status) {
  reply[i] = status;
  reply_epoch[i] = epoch;
  reply_grants[i] = granted_now;
#ifndef NO_REPEAT
  if
  :: status == ok -> reply_grants[i] = granted_now | (record[i] & unseen)
  :: else -> skip
  fi;
#endif
#if RESTARTS + FAILOVERS
  reply_roster[i] = absent;
  for (q : 0 .. N - 1) {
    if :: session[q] != gone -> reply_roster[i] = reply_roster[i] | bit(q) :: else -> skip fi
  }
#endif
  skip
}
