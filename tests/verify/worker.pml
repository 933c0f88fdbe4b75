/* What a worker says in a step, and what it does with what comes back. */

/* Also where only a heartbeat would find it out. */
#define something_to_say(i) (anew[i] || back[i] || got[i] || left[i] || \
    (caller[i] == waiting && !sent[i]) || session[i] != live || !current[i] || to_repeat(i))
#ifdef NO_REPEAT
#define to_repeat(i) false
#else
#define to_repeat(i) (record[i] & unseen)
#endif

/* All that it has. Not a permit whose deadline has passed: its request has ended, and it counts no
   more. Grants of an older registration are ignored from now on. */
inline compose_registration(i) {
  listed = back[i];
  if
#ifdef LISTS_LATE
  :: has[i] != NONE -> listed = listed | bit(has[i])
#else
  :: has[i] != NONE && !late[i] -> listed = listed | bit(has[i])
#endif
  :: else -> skip
  fi;
  returned = back[i];
  wants = caller[i] == waiting;
  sent[i] = wants;
  left[i] = false; push[i] = 0; stray[i] = 0; got[i] = 0;
#if FAILOVERS && defined(NO_EPOCH)
  copy_current[i] = false;
#endif
  skip
}

inline step(i) {
  granted_now = 0;
  if
  :: anew[i] ->
    printf("%d registers\n", i);
    compose_registration(i);
    register(i, listed, returned, wants);
    current[i] = true; anew[i] = false;
#if GHOSTS
    ghost_old[i] = ghost[i];
#endif
    said[i] = back[i]; back[i] = 0;
    hand_out(i);
    answer(i, ok)
  :: !anew[i] && session[i] == live && current[i] ->
    printf("%d takes a step\n", i);
    unseen = unseen & ~got[i]; got[i] = 0;
    take_back(i, back[i]);
    said[i] = back[i]; back[i] = 0;
    if :: left[i] -> leave_line(i); left[i] = false :: else -> skip fi;
    if :: caller[i] == waiting && !sent[i] -> stand_in_line(i); sent[i] = true :: else -> skip fi;
    hand_out(i);
    answer(i, ok)
  :: else -> /* nothing else is done */
    printf("%d is not known as it was: it must register\n", i);
    answer(i, must_register)
  fi
}

inline end_step(i) { reply[i] = nothing; reply_grants[i] = 0; reply_epoch[i] = 0; reply_roster[i] = 0 }

/* What the step gave back may not have been heard: it is said again, with all that there is. */
inline say_again(i) { anew[i] = true; back[i] = back[i] | said[i]; said[i] = 0 }

inline hear(i) {
  if
  :: reply[i] == must_register -> say_again(i)
  :: else ->
    said[i] = 0; knows[i] = reply_epoch[i]; roster[i] = reply_roster[i];
#ifdef REVIVES_LATE
    late[i] = false;
#endif
    take(i, reply_grants[i])
  fi;
  end_step(i)
}

/* Grants have come, perhaps not for the first time. */
inline take(i, grants) {
  set = (grants) & ~got[i];
  push[i] = push[i] & ~(grants);
#if RECEIPTS
  got[i] = got[i] | set;
#endif
  for (p : 0 .. P - 1) {
    if
    :: in(p, set) && caller[i] == waiting && sent[i] && !in(p, stray[i]) ->
      caller[i] = granted; sent[i] = false; has[i] = p; late[i] = false;
      printf("the caller of %d has its permit\n", i)
    :: in(p, set) && !(caller[i] == waiting && sent[i] && !in(p, stray[i])) ->
      back[i] = back[i] | bit(p); stray[i] = stray[i] & ~bit(p) /* its waiter has gone */
    :: else -> skip
    fi
  };
  skip
}

inline cancel(i) {
  caller[i] = idle;
  printf("the caller of %d no longer waits\n", i);
  if
  :: sent[i] ->
    sent[i] = false; left[i] = true;
    stray[i] = stray[i] | ((push[i] | reply_grants[i] | (record[i] & unseen)) & ~got[i])
  :: else -> skip
  fi
}

inline return_permit(i) {
  back[i] = back[i] | bit(has[i]); has[i] = NONE; late[i] = false; caller[i] = idle;
  printf("%d gives its permit back\n", i)
}

inline start(i) {
  caller[i] = open; runs[i] = true; upstream++;
  printf("%d starts its request: the provider counts %d\n", i, upstream);
  assert(upstream <= L) /* tier */
}
