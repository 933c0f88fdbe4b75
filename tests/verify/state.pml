/* The bounds of a search, and every variable. Sets of workers and of permits are bits of a byte. */

#ifndef N
#define N 2 /* workers, at most 3 */
#endif
#ifndef L
#define L 1 /* the tier */
#endif
#ifndef JOINERS
#define JOINERS 0 /* workers that are not registered when it begins */
#endif
#ifndef CANCELS
#define CANCELS 0 /* 1: whoever waits may go, as often as he likes */
#endif
#ifndef CUTS
#define CUTS 0 /* requests cut by their callers */
#endif
#ifndef LAPSES
#define LAPSES 0 /* leases of living workers that run out */
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef LOST_PUSHES
#define LOST_PUSHES 0
#endif
#ifndef LOST_REPLIES
#define LOST_REPLIES 0
#endif
#ifndef GHOSTS
#define GHOSTS 0 /* registrations that were given up, and are decided later */
#endif
#ifndef RESTARTS
#define RESTARTS 0 /* of the server, empty */
#endif
#ifndef FAILOVERS
#define FAILOVERS 0 /* to a replica that never heard of the last operations */
#endif

/* Receipts, and grants that are said again for want of one, matter where a grant can get lost. */
#define RECEIPTS (LOST_PUSHES > 0 || defined(CALLER_OWNS_IO))

#define NAMES  (8 / N)         /* of permits, for each worker; that they are enough is asserted */
#define P      (N * NAMES)
#define NONE   P               /* no permit */
#define NOBODY N               /* has the permits of requests that were cut */
#define ALL    (bit(N) - 1)    /* workers */

#define bit(x)     (1 << (x))
#define in(x, set) (((set) >> (x)) & 1)

mtype = { idle, waiting, granted, checked, open };  /* a caller */
mtype = { gone, live, quarantined };                /* a session */
mtype = { nothing, ok, must_register };             /* a reply under way */

/* The server. */
byte record[N + 1];     /* the permits that count, by owner: a worker, or NOBODY */
byte used;              /* how many they are */
byte unseen;            /* grants whose receipt has not come */
mtype session[N];
bool current[N];        /* the record has the worker's newest registration number */
byte line[N], queued;   /* who waits, first come first */
byte fenced;            /* sessions whose sockets are known to be closed */
byte epoch = 1;
bool window;            /* an epoch's first linger */
byte absent;            /* sessions that the epoch waits for */
byte registered;        /* permits that came back in it: the limit until all is known */
bool told = true;       /* the supervisors have said who lives */

/* The workers. */
mtype caller[N];
bool sent[N];           /* the waiter was told to the server */
bool left[N];           /* a waiter went, and the server does not know yet */
byte has[N];            /* the caller's permit, or NONE */
bool late[N];           /* that permit's deadline has passed */
byte back[N];           /* permits to be given back */
byte said[N];           /* permits given back in the step under way */
byte got[N];            /* grants that came, and whose receipt is yet to be given */
byte stray[N];          /* grants under way to a waiter who has gone */
bool anew[N];           /* must register */
byte knows[N];          /* the newest epoch that it heard of; 0 when it starts */
byte roster[N];         /* the sessions that it heard of */
bool dead[N];

/* Under way. */
mtype reply[N];
byte reply_grants[N], reply_epoch[N], reply_roster[N];
byte push[N];           /* grants in the worker's inbox */
#if GHOSTS
bool ghost[N];
bool ghost_old[N];      /* a newer registration has been decided before it */
bool ghost_waits[N];
byte ghost_ours[N], ghost_back[N];
#endif

/* What a replica has heard. */
#if FAILOVERS
bool copied;
byte copy_known, copy_fenced;
#ifdef NO_EPOCH
byte copy_record[N + 1], copy_used, copy_unseen, copy_line[N], copy_queued;
mtype copy_session[N];
bool copy_current[N];
#endif
#endif

/* The provider. */
bool runs[N];           /* counts the request of the worker's caller */
byte cut;               /* permits whose request was cut, and still counts */
byte cut_before;        /* those from before this epoch */
byte upstream;          /* all that it counts */

/* Accidents that may still come; with `calm`, none comes any more, and nobody asks. */
bool calm;
byte cuts = CUTS, lapses = LAPSES, kills = KILLS, ghosts = GHOSTS;
byte lost_pushes = LOST_PUSHES, lost_replies = LOST_REPLIES;
byte restarts = RESTARTS, failovers = FAILOVERS;

/* Used within one event only. */
hidden byte p, q, w, set, count, listed, returned, granted_now, new_here, wants;
