/** A clock that is moved by hand, sockets that a test plays the server of, and a page. */

import type { Clock, Timer } from "../src/core/clock.ts";
import type { Socket } from "../src/core/connection.ts";
import type { Shelf } from "../src/core/outbox.ts";
import type { SessionOutcome } from "../src/core/session.ts";
import type { ClientFrame } from "../src/core/wire.ts";

export class ManualClock implements Clock {
  #now = 1_000_000;
  #timers: { readonly at: number; readonly call: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): Timer {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return timer;
  }

  cancel(timer: Timer): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  /** Milliseconds until each timer, soonest first. */
  get due(): number[] {
    return this.#timers.map(({ at }) => at - this.#now).sort((one, other) => one - other);
  }

  /** Lets time pass; what falls due is called in order, and what that leads to runs too. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at);
      if (next === undefined) break;
      this.cancel(next);
      this.#now = Math.max(this.#now, next.at);
      next.call();
      await settled();
    }
    this.#now = end;
    await settled();
  }
}

/** Until all promises that are resolved by now have been followed. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

export class FakeSocket implements Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  readonly sent: ClientFrame[] = [];
  closed: number | null = null;

  send(text: string): void {
    if (this.closed !== null) throw new Error("sent on a closed socket");
    this.sent.push(JSON.parse(text) as ClientFrame);
  }

  close(code = 1005): void {
    this.closed = code;
  }

  // -- the server's side

  accept(): void {
    this.onopen!();
  }

  say(...frames: object[]): void {
    this.onmessage?.({ data: JSON.stringify(frames) });
  }

  end(code: number): void {
    this.onclose?.({ code, reason: "" });
  }

  of<T extends ClientFrame["type"]>(type: T): Extract<ClientFrame, { type: T }>[] {
    return this.sent.filter((frame) => frame.type === type) as Extract<ClientFrame, { type: T }>[];
  }
}

export const WELCOME = {
  type: "welcome",
  v: 1,
  conversation: "c1",
  pos: ["e1", 0],
  mode: "snapshot",
  status: "assisted",
  heartbeat_ms: 25_000,
} as const;

export const SNAPSHOT = {
  type: "snapshot",
  pos: ["e1", 0],
  status: "assisted",
  messages: [] as object[],
  more: false,
} as const;

export function granted(token = "token"): SessionOutcome {
  return { kind: "granted", session: { token, conversation: "c1", resume: `after ${token}`, resumed: true } };
}

/** All that a connection or a client stands in, recorded. */
export class World {
  readonly clock = new ManualClock();
  readonly sockets: FakeSocket[] = [];
  readonly asked: (string | null)[] = [];
  outcomes: SessionOutcome[] = [];
  chance = 0.5;
  shown = true;
  network = true;
  stored: string | null = null;

  readonly surroundings = {
    clock: this.clock,
    random: () => this.chance,
    open: () => {
      const socket = new FakeSocket();
      this.sockets.push(socket);
      return socket;
    },
    session: () => this.#redeem(null),
    visible: () => this.shown,
    online: () => this.network,
  };

  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  environment(shelf: Shelf = new MapShelf()) {
    let byte = 0;
    return {
      ...this.surroundings,
      fill: (bytes: Uint8Array) => void bytes.forEach((_, index) => (bytes[index] = byte++ & 0xff)),
      redeem: (handle: string | null) => this.#redeem(handle),
      handle: { get: () => this.stored, set: (handle: string | null) => void (this.stored = handle) },
      shelf,
    };
  }

  #redeem(handle: string | null): Promise<SessionOutcome> {
    this.asked.push(handle);
    return Promise.resolve(this.outcomes.shift() ?? granted());
  }
}

export class MapShelf implements Shelf {
  readonly kept = new Map<string, string>();
  names = () => [...this.kept.keys()];
  get = (name: string) => this.kept.get(name) ?? null;
  set(name: string, value: string | null): void {
    if (value === null) this.kept.delete(name);
    else this.kept.set(name, value);
  }
}
