/**
 * Is anybody there? A socket whose network is gone stays open and says nothing. Who has heard
 * nothing for 2.5 heartbeats gives it up. While an answer runs the server beats every 2 s, so
 * silence is noticed sooner, but then the peer is asked first: a slow server is not a dead one.
 */

import type { Clock, Timer } from "./clock.ts";

const PONG_MS = 3_000; // an asked peer that is there answers within this
const BUSY_MS = 5_000; // two and a half of the beats while an answer runs
const HEARTBEATS = 2.5;
const DEFAULT_HEARTBEAT_MS = 25_000;

export class Silence {
  readonly #clock: Clock;
  readonly #ping: () => void;
  readonly #dead: () => void;
  #limitMs = 0;
  #busy = false;
  #heard = 0;
  #asked: number | null = null;
  #timer: Timer = null;
  #on = false;

  constructor(clock: Clock, ping: () => void, dead: () => void) {
    this.#clock = clock;
    this.#ping = ping;
    this.#dead = dead;
  }

  start(heartbeatMs: number): void {
    this.#limitMs = HEARTBEATS * (heartbeatMs > 0 ? heartbeatMs : DEFAULT_HEARTBEAT_MS);
    this.#on = true;
    this.#listen();
  }

  stop(): void {
    this.#on = false;
    this.#asked = null;
    if (this.#timer !== null) this.#clock.cancel(this.#timer);
    this.#timer = null;
  }

  /** Something came in. No timer is touched: this happens for every token. */
  heard(): void {
    this.#heard = this.#clock.now();
    this.#asked = null;
  }

  /** Something happened that may have cut the line: an answer within 3 s, or it is dead. */
  ask(): void {
    if (!this.#on || this.#asked !== null) return;
    this.#asked = this.#clock.now();
    this.#ping();
    this.#listen();
  }

  set busy(busy: boolean) {
    if (busy === this.#busy) return;
    this.#busy = busy;
    if (this.#on) this.#listen();
  }

  /** One timer, set for when silence would mean something; what was heard since then moves it on. */
  #listen(): void {
    if (this.#timer !== null) this.#clock.cancel(this.#timer);
    const limit = this.#busy ? Math.min(BUSY_MS, this.#limitMs) : this.#limitMs;
    const due = this.#asked === null ? this.#heard + limit : this.#asked + PONG_MS;
    this.#timer = this.#clock.after(Math.max(0, due - this.#clock.now()), () => {
      this.#timer = null;
      const now = this.#clock.now();
      if (this.#asked !== null) {
        if (now >= this.#asked + PONG_MS) this.#dead();
        else this.#listen();
      } else if (now < this.#heard + limit) this.#listen();
      else if (this.#busy) this.ask();
      else this.#dead();
    });
  }
}
