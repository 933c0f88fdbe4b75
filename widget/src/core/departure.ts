/**
 * Leaving a worker that goes: when the successor of its socket is opened, and what if that fails.
 *
 * There is no hurry, the old socket still works. So nobody leaves at once where thousands were told
 * to, who is sent away again by whoever it comes to waits ever longer, and a successor that fails or
 * hangs has another one, for as long as the old socket lives.
 */

import { backoff } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";

const GREETED_MS = 10_000; // a successor that nobody has welcomed by then hangs in some proxy

export class Departure {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #open: () => unknown;
  readonly #giveUp: () => void;
  #timer: Timer = null;
  #tries = 0; // in a row: successors that failed, and workers that went when they had just taken us in

  /** `open` the successor; `giveUp` one that hangs, which counts as one that failed. */
  constructor(clock: Clock, random: () => number, open: () => unknown, giveUp: () => void) {
    this.#clock = clock;
    this.#random = random;
    this.#open = open;
    this.#giveUp = giveUp;
  }

  /** The worker goes, in `afterMs` at the latest. `settled`: we had been with it for a while. */
  begin(afterMs: number, settled: boolean): void {
    if (this.#timer !== null) return; // told again
    this.#tries = settled ? 0 : this.#tries + 1;
    // Somewhere in the first half of the time, so that the second is left for what goes wrong.
    this.#leaveIn(this.#tries > 1 ? backoff(this.#tries, this.#random) : (this.#random() * afterMs) / 2);
  }

  failed(): void {
    this.stop();
    this.#tries += 1;
    this.#leaveIn(backoff(this.#tries, this.#random));
  }

  /** The successor is welcome, or there is nothing to leave any more. */
  stop(): void {
    if (this.#timer !== null) this.#clock.cancel(this.#timer);
    this.#timer = null;
  }

  #leaveIn(ms: number): void {
    this.#timer = this.#clock.after(ms, () => {
      this.#timer = this.#clock.after(GREETED_MS, this.#giveUp);
      this.#open();
    });
  }
}
