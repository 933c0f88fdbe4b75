/**
 * The connection: one live socket to the server for as long as somebody wants it.
 *
 * What may follow what is the table in `machine.ts`. Clock, randomness, sockets and sessions are
 * given from outside, so that every race can be played through in a test.
 *
 * Three things are easy to get wrong. A *link* is one attempt, and what a link that is no longer
 * ours still reports is ignored. A socket may be dead without closing, and only its silence tells
 * (`silence.ts`). And on `goaway` the successor is opened (`departure.ts`), greeted and welcomed
 * before the old link goes: frames that arrive twice are harmless, a pause is not.
 */

import { CLOSE, SPREAD_FROM, backoff, verdictOf } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";
import { Departure } from "./departure.ts";
import type { Event, State } from "./machine.ts";
import { next } from "./machine.ts";
import type { SessionOutcome } from "./session.ts";
import { Silence } from "./silence.ts";
import type { ClientFrame, ServerFrame, Welcome } from "./wire.ts";
import { SUBPROTOCOL, decode, encode } from "./wire.ts";

/** The part of a WebSocket that is used here. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}

export interface Surroundings {
  readonly clock: Clock;
  readonly random: () => number;
  readonly open: (subprotocol: string) => Socket;
  readonly session: () => Promise<SessionOutcome>;
  readonly visible: () => boolean;
  readonly online: () => boolean;
}

export interface Owner {
  hello(token: string): ClientFrame;
  frames(frames: readonly ServerFrame[]): void;
  /** `code` is the close code or the problem code that led here, where there is one. */
  moved(state: State, code: number | string | null): void;
  /** The frame just sent was too large or malformed: it must not be sent again by itself. */
  poisoned(): void;
}

interface Link {
  readonly socket: Socket;
  opened: boolean;
  welcomed: boolean;
}

const CONNECT_MS = 10_000; // a handshake that takes longer is a proxy that swallows it
const STABLE_MS = 5_000; // a connection that lived shorter does not forgive the failures before it

export class Connection {
  #state: State = "idle";
  #link: Link | null = null;
  #successor: Link | null = null;
  #token: string | null = null;
  #wanted = false;
  #renewed = false;
  #failures = 0;
  #round = 0; // a new number whenever what runs now must not report any more
  #pings = 0;
  #liveSince = 0;
  #timer: Timer = null;
  readonly #departure: Departure;
  readonly #silence: Silence;
  readonly #at: Surroundings;
  readonly #owner: Owner;

  constructor(surroundings: Surroundings, owner: Owner) {
    this.#at = surroundings;
    this.#owner = owner;
    const { clock, random } = surroundings;
    this.#silence = new Silence(clock, () => this.#ping(), () => this.#lost(0));
    const leave = () => (this.#successor = this.#open());
    this.#departure = new Departure(clock, random, leave, () => this.#failed());
  }

  get state(): State {
    return this.#state;
  }

  /** Somebody wants it now: opened, came back, pressed "reconnect". */
  start(): void {
    this.#wanted = true;
    if (["idle", "waiting", "offline", "closed"].includes(this.#state)) {
      this.#failures = 0;
      this.#renewed = false;
      this.#move("start");
    }
  }

  stop(): void {
    this.#wanted = false;
    this.#move("stop");
  }

  /** The token and all that came with it are void: who starts next begins with a new session. */
  forget(): void {
    this.#token = null;
  }

  /** True if the frame is on its way; false where nothing is live to carry it. */
  send(frame: ClientFrame): boolean {
    if (this.#state !== "live" || !this.#link?.welcomed) return false;
    this.#link.socket.send(encode(frame));
    return true;
  }

  /** Another `hello` on the same socket: a hole was seen, or the locale changed. */
  greet(): void {
    if (this.#link?.opened && this.#token !== null) this.#hello(this.#link);
  }

  /** While an answer runs, silence is noticed sooner. */
  set busy(busy: boolean) {
    this.#silence.busy = busy;
  }

  // -- what the page tells ----------------------------------------------------------------------

  /** The tab is shown, or the network is said to be back. */
  wake(): void {
    if (!this.#wanted) return;
    if (this.#state === "live") this.#silence.ask();
    else if (["idle", "waiting", "offline"].includes(this.#state)) this.start();
  }

  /** The page is put away (bfcache, or for good): a socket would keep it from being kept. */
  sleep(): void {
    this.#move("sleep");
  }

  /** The browser says that the network is gone. It may be wrong, so a live peer is asked. */
  offline(): void {
    if (this.#state === "live") this.#silence.ask();
    else if (["connecting", "resuming", "waiting"].includes(this.#state)) this.#again("retry", 0);
  }

  // -- the machine ------------------------------------------------------------------------------

  #move(event: Event, code: number | string | null = null): void {
    const before = this.#state;
    const after = (this.#state = next(before, event));
    if (after === "connecting") void this.#connect();
    else if (after !== "resuming" && after !== "live") this.#release();
    if (after !== before || code !== null) this.#owner.moved(after, code);
  }

  /** Nothing of the present attempt may speak any more. */
  #release(): void {
    this.#round += 1;
    this.#silence.stop();
    this.#departure.stop();
    if (this.#timer !== null) this.#at.clock.cancel(this.#timer);
    this.#timer = null;
    for (const link of [this.#link, this.#successor]) if (link !== null) hangUp(link);
    this.#link = this.#successor = null;
  }

  async #connect(): Promise<void> {
    this.#release();
    const round = this.#round;
    if (this.#token === null) {
      const outcome = await this.#at.session();
      if (round !== this.#round) return;
      if (outcome.kind === "refused") return this.#move("refuse", outcome.code);
      if (outcome.kind === "unreachable") return this.#again("retry", outcome.retryMs);
      this.#token = outcome.session.token;
    }
    this.#link = this.#open();
    this.#timer = this.#at.clock.after(CONNECT_MS, () => this.#lost(0));
  }

  #open(): Link {
    const link: Link = { socket: this.#at.open(SUBPROTOCOL), opened: false, welcomed: false };
    link.socket.onopen = () => {
      link.opened = true;
      this.#hello(link);
      if (this.#state === "connecting") this.#move("opened");
    };
    link.socket.onmessage = (event) => this.#received(link, event.data);
    link.socket.onclose = (event) => {
      if (link === this.#successor) this.#failed();
      else if (this.#successor !== null) this.#succeed();
      else this.#lost(event.code);
    };
    return link;
  }

  #hello(link: Link): void {
    link.socket.send(encode(this.#owner.hello(this.#token!)));
  }

  #received(link: Link, text: unknown): void {
    this.#silence.heard();
    let frames: readonly ServerFrame[];
    try {
      frames = decode(String(text));
    } catch {
      return; // not ours to repair; if something was lost by it, the next offset shows it
    }
    for (const frame of frames) {
      if (frame.type === "welcome") this.#welcomed(link, frame);
      else if (frame.type === "goaway" && link === this.#link) this.#depart(frame.after_ms);
    }
    this.#owner.frames(frames);
  }

  /** The old link went before its successor was welcomed: wait for that one, it is on its way. */
  #succeed(): void {
    this.#departure.stop();
    this.#link = this.#successor;
    this.#successor = null;
    this.#timer = this.#at.clock.after(CONNECT_MS, () => this.#lost(0));
  }

  #welcomed(link: Link, frame: Welcome): void {
    if (frame.token !== undefined) this.#token = frame.token;
    if (link === this.#successor) {
      this.#departure.stop();
      hangUp(this.#link!);
      this.#link = link;
      this.#successor = null;
      this.#liveSince = this.#at.clock.now();
    }
    link.welcomed = true;
    if (this.#timer !== null) this.#at.clock.cancel(this.#timer);
    this.#timer = null;
    if (this.#state !== "live") this.#liveSince = this.#at.clock.now();
    this.#move("welcome");
    this.#silence.start(frame.heartbeat_ms);
  }

  #lost(code: number): void {
    const link = this.#link;
    const lived = link?.welcomed ?? false;
    if (lived && this.#at.clock.now() - this.#liveSince >= STABLE_MS) this.#failures = 0;
    if (lived) this.#renewed = false;
    // Never opened: a refusal and a dead network look the same from here, the session tells.
    if (link !== null && !link.opened) this.#token = null;
    const verdict = verdictOf(code);
    if (verdict === "oversize" || code === CLOSE.MALFORMED) this.#owner.poisoned();
    if (verdict === "park") return this.#move("park", code);
    if (verdict === "refuse") return this.#move("refuse", code);
    if (verdict === "renew") {
      this.#token = null;
      if (this.#renewed) return this.#move("refuse", code);
      this.#renewed = true;
      return this.#wait("lost", 0, code);
    }
    if (verdict === "later") this.#failures = Math.max(this.#failures, SPREAD_FROM);
    const atOnce = lived && verdict !== "later" && this.#failures === 0 && this.#at.visible();
    this.#again(atOnce ? "at once" : "retry", 0, code);
  }

  #again(when: "at once" | "retry", atLeastMs: number, code: number | null = null): void {
    const wait = when === "at once" ? 0 : backoff(this.#failures, this.#at.random);
    this.#failures += 1;
    this.#wait(this.#at.online() ? "lost" : "cut", Math.max(wait, atLeastMs), code);
  }

  /** Offline has its timer too: a browser that is wrong about the network must not end the chat. */
  #wait(event: "lost" | "cut", ms: number, code: number | null): void {
    if (this.#state === "waiting" && event === "lost") return;
    this.#move(event, code);
    this.#timer = this.#at.clock.after(ms, () => this.#move("timer"));
  }

  #ping(): void {
    if (!this.#link?.welcomed) return;
    this.#pings += 1;
    this.#link.socket.send(encode({ type: "ping", n: this.#pings }));
  }

  // -- goaway -----------------------------------------------------------------------------------

  #depart(afterMs: number): void {
    if (this.#successor !== null) return;
    this.#departure.begin(afterMs, this.#at.clock.now() - this.#liveSince >= STABLE_MS);
  }

  /** The successor came to nothing; the old link still serves. */
  #failed(): void {
    if (this.#successor !== null) hangUp(this.#successor);
    this.#successor = null;
    this.#departure.failed();
  }
}

function hangUp(link: Link): void {
  link.socket.onopen = link.socket.onmessage = link.socket.onclose = null;
  link.socket.close(1000);
}
