/** Time, given from outside, so that a test can play it. Milliseconds. */

export type Timer = unknown;
export interface Clock {
  now(): number;
  after(ms: number, call: () => void): Timer;
  cancel(timer: Timer): void;
}
