/**
 * A customer's side of a conversation, without a screen: the fold, the connection and the outbox,
 * held together by the wire's client rules. Whoever shows it subscribes.
 */

import type { Clock, Timer } from "./clock.ts";
import type { Socket } from "./connection.ts";
import { Connection } from "./connection.ts";
import type { State as ConnectionState } from "./machine.ts";
import type { Entry, Shelf } from "./outbox.ts";
import { Outbox } from "./outbox.ts";
import type { SessionOutcome } from "./session.ts";
import type { Conversation } from "./state.ts";
import { EMPTY, fold, openAnswer } from "./state.ts";
import { uuid7 } from "./uuid7.ts";
import type { ClientFrame, ErrorFrame, Limits, Rating, ServerFrame } from "./wire.ts";
import { VERSION } from "./wire.ts";

export interface Environment {
  readonly clock: Clock;
  readonly random: () => number;
  readonly fill: (bytes: Uint8Array) => void;
  readonly open: (subprotocol: string) => Socket;
  readonly redeem: (handle: string | null) => Promise<SessionOutcome>;
  readonly visible: () => boolean;
  readonly online: () => boolean;
  readonly handle: { get(): string | null; set(handle: string | null): void };
  readonly shelf: Shelf;
}

export interface Listener {
  /** The conversation after `frame`. */
  folded(conversation: Conversation, frame: ServerFrame): void;
  connection(state: ConnectionState, code: number | string | null): void;
  outbox(entries: readonly Entry[]): void;
  failed(error: ErrorFrame): void;
}

const RETRY_MS = 2_000; // for an error that passes and does not say when
const EXPIRY_MS = 60_000; // how often acked entries are looked at
const DEFAULT_UNITS = 2_000;

export class Client {
  #conversation: Conversation = EMPTY;
  #limits: Limits = {};
  #locale: string;
  #page: string | null = null;
  #identity: string | null = null;
  #resend: Timer = null;
  readonly #at: Environment;
  readonly #listener: Listener;
  readonly #connection: Connection;
  readonly #outbox: Outbox;

  constructor(environment: Environment, locale: string, listener: Listener) {
    this.#at = environment;
    this.#locale = locale;
    this.#listener = listener;
    this.#outbox = new Outbox(environment.shelf, () => listener.outbox(this.#outbox.entries));
    this.#connection = new Connection(
      { ...environment, session: () => this.#session() },
      {
        hello: (token) => this.#hello(token),
        frames: (frames) => frames.forEach((frame) => this.#received(frame)),
        moved: (state, code) => listener.connection(state, code),
        poisoned: () => this.#outbox.poisoned("frame_refused"),
      },
    );
    const expire = () => {
      this.#outbox.expire(environment.clock.now());
      environment.clock.after(EXPIRY_MS, expire);
    };
    expire();
  }

  get conversation(): Conversation {
    return this.#conversation;
  }

  get entries(): readonly Entry[] {
    return this.#outbox.entries;
  }

  /** The longest message, in UTF-16 units. */
  get units(): number {
    return this.#limits.message_units ?? DEFAULT_UNITS;
  }

  get connection(): Pick<Connection, "start" | "wake" | "sleep" | "offline" | "state"> {
    return this.#connection;
  }

  // -- what the customer does --------------------------------------------------------------------

  /** The new entry's id; null where nothing is left of the text, it is too long, or too much waits. */
  say(text: string): string | null {
    const said = text.trim();
    if (said === "" || said.length > this.units || this.#outbox.full) return null;
    const time = this.#at.clock.now();
    const id = uuid7(time, this.#at.fill);
    this.#outbox.add({ id, time, text: said, ...this.#where() });
    // Who writes here is here: no waiting for the next try, and no leaving it to another tab.
    if (this.#connection.state !== "live") this.#connection.wake();
    this.#post();
    return id;
  }

  retrySending(id: string): void {
    this.#outbox.retry(id);
    this.#post();
  }

  deleteUnsent(id: string): void {
    this.#outbox.remove(id);
  }

  stop(m: number): void {
    this.#connection.send({ type: "answer.stop", m });
  }

  retry(m: number): void {
    this.#connection.send({ type: "answer.retry", m });
  }

  rate(m: number, value: Rating): void {
    this.#connection.send({ type: "answer.rate", m, value });
  }

  /** True if older messages were asked for. */
  history(): boolean {
    const before = this.#conversation.messages[0]?.m;
    return before !== undefined && this.#connection.send({ type: "history", before });
  }

  askForPerson(): void {
    this.#connection.send({ type: "handoff.request" });
  }

  typing(on: boolean): void {
    this.#connection.send({ type: "typing", on });
  }

  read(offset: number): void {
    this.#connection.send({ type: "read", offset });
  }

  /** The shop vouches for the customer. Kept until the server has taken or refused it. */
  identify(jwt: string): void {
    this.#identity = jwt;
    this.#connection.send({ type: "identify", jwt });
  }

  /** Nothing of this customer stays: not here, not in the storage. The caller may start anew. */
  logout(): void {
    this.#connection.stop();
    this.#connection.forget();
    this.#identity = null;
    this.#outbox.clear();
    this.#at.handle.set(null);
    this.#set(EMPTY, { type: "unknown", name: "logout" });
  }

  // -- what the page tells ----------------------------------------------------------------------

  set page(url: string | null) {
    this.#page = url;
  }

  set locale(locale: string) {
    if (locale === this.#locale) return;
    this.#locale = locale;
    if (this.#connection.state === "live") this.#connection.greet();
  }

  // -- the rules ---------------------------------------------------------------------------------

  async #session(): Promise<SessionOutcome> {
    const outcome = await this.#at.redeem(this.#at.handle.get());
    if (outcome.kind === "granted") this.#at.handle.set(outcome.session.resume);
    return outcome;
  }

  #hello(token: string): ClientFrame {
    const { pos } = this.#conversation;
    return {
      type: "hello",
      v: VERSION,
      token,
      locale: this.#locale,
      ...(pos === null ? {} : { pos }),
      ...this.#where(),
    };
  }

  #where(): { page?: string } {
    return this.#page === null ? {} : { page: this.#page };
  }

  #received(frame: ServerFrame): void {
    const { state, need } = fold(this.#conversation, frame);
    this.#set(need === "anew" ? { ...state, pos: null } : state, frame);
    if (need !== null) return this.#connection.greet();
    switch (frame.type) {
      case "welcome":
        this.#limits = frame.limits ?? this.#limits;
        if (frame.resume !== undefined) this.#at.handle.set(frame.resume);
        if (frame.token !== undefined) this.#identity = null;
        if (this.#identity !== null) this.#connection.send({ type: "identify", jwt: this.#identity });
        this.#post(this.#outbox.unacked());
        break;
      case "snapshot":
        this.#outbox.compared(state.messages, state.more, frame.pos[1], this.#at.clock.now());
        this.#post();
        break;
      case "message.ack":
        this.#outbox.acked(frame.id, frame.m, frame.offset, this.#at.clock.now());
        break;
      case "message.created":
        this.#created(frame.message.m, frame.o);
        break;
      case "answer.done":
        this.#outbox.covered(state.messages.find(({ m, done }) => done && m === frame.m)?.answers ?? []);
        break;
      case "error":
        this.#failed(frame);
    }
  }

  #set(conversation: Conversation, frame: ServerFrame): void {
    this.#conversation = conversation;
    this.#connection.busy = openAnswer(conversation) !== undefined;
    this.#listener.folded(conversation, frame);
  }

  #created(m: number, offset: number): void {
    const message = this.#conversation.messages.find((other) => other.m === m);
    if (message === undefined) return;
    if (message.author === "agent") this.#outbox.attended(m);
    else this.#outbox.created(message, offset, this.#at.clock.now());
  }

  #failed(error: ErrorFrame): void {
    const entry = this.#outbox.entries.find(({ id }) => id === error.ref);
    if (entry === undefined) {
      this.#identity = null; // an error without a message of ours may be its answer: do not insist
    } else if (error.fatal) {
      this.#outbox.refused(entry.id, error.code);
    } else if (entry.state === "sent") {
      this.#outbox.postponed(entry.id);
      if (this.#resend !== null) this.#at.clock.cancel(this.#resend);
      this.#resend = this.#at.clock.after(error.retry_ms ?? RETRY_MS, () => {
        this.#resend = null;
        this.#post();
      });
    }
    this.#listener.failed(error);
  }

  /** Sends what waits, in the order in which it was written, as far as something is live. */
  #post(entries: readonly Entry[] = this.#outbox.waiting()): void {
    for (const { id, text, page } of entries) {
      const frame: ClientFrame = { type: "message.send", id, text, ...(page === undefined ? {} : { page }) };
      if (!this.#connection.send(frame)) return;
      this.#outbox.sent(id);
    }
  }
}
