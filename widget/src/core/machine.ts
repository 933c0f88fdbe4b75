/**
 * The connection's states and all that may happen to it, as a table. An event that a state does not
 * list is a bug: it raises, names both, and changes nothing.
 *
 *   idle        nobody wants it, or the page sleeps, or another tab has it (*parked*)
 *   connecting  a session is redeemed, then a socket opens
 *   resuming    `hello` is sent; `welcome` is not here yet
 *   live        frames flow
 *   waiting     lost; the next try has a time
 *   offline     the same, but the browser says that there is no network
 *   closed      it ended for good; only a person can start it again
 */

export type State = "idle" | "connecting" | "resuming" | "live" | "waiting" | "offline" | "closed";
export type Event = "start" | "opened" | "welcome" | "lost" | "cut" | "timer" | "park" | "sleep" | "refuse" | "stop";

export const TABLE: Readonly<Record<State, Readonly<Partial<Record<Event, State>>>>> = {
  idle: { start: "connecting", sleep: "idle", stop: "closed" },
  connecting: {
    opened: "resuming", lost: "waiting", cut: "offline", park: "idle", sleep: "idle", refuse: "closed", stop: "closed",
  },
  resuming: {
    welcome: "live", lost: "waiting", cut: "offline", park: "idle", sleep: "idle", refuse: "closed", stop: "closed",
  },
  live: {
    welcome: "live", lost: "waiting", cut: "offline", park: "idle", sleep: "idle", refuse: "closed", stop: "closed",
  },
  waiting: { timer: "connecting", start: "connecting", cut: "offline", sleep: "idle", stop: "closed" },
  offline: { timer: "connecting", start: "connecting", cut: "offline", sleep: "idle", stop: "closed" },
  closed: { start: "connecting", sleep: "closed", stop: "closed" },
};

export class IllegalEvent extends Error {
  override name = "IllegalEvent";
}

/** The state after `event`. */
export function next(state: State, event: Event): State {
  const after = TABLE[state][event];
  if (after === undefined) throw new IllegalEvent(`${event} in ${state}`);
  return after;
}
