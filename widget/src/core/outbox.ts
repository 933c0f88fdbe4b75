/**
 * What the customer has written and we still answer for.
 *
 *   waiting   to be sent as soon as something is live
 *   sent      on a socket; without an ack it is sent again after the next welcome
 *   acked     in the log. It stays here until an answer covers it, a person answers, or ten minutes
 *             pass: a log that was lost after the ack is found out, and the message sent once more
 *   failed    refused for good. Only a person sends it again, or deletes it
 *
 * Each entry has its own key in the storage, so that two tabs do not overwrite each other; sending
 * the same `id` from both is harmless, the server knows it.
 */

import type { Message } from "./message.ts";

export interface Entry {
  readonly id: string;
  readonly text: string;
  /** Milliseconds; the server's own time once it is known. */
  readonly time: number;
  readonly state: "waiting" | "sent" | "acked" | "failed";
  readonly page?: string;
  readonly m?: number;
  readonly offset?: number;
  readonly ackedAt?: number;
  /** The code of what refused it, when failed. */
  readonly code?: string;
}

/** Storage by name; a storage that denies service must swallow that itself. */
export interface Shelf {
  names(): readonly string[];
  get(name: string): string | null;
  set(name: string, value: string | null): void;
}

const KEEP_ACKED_MS = 10 * 60_000;
const MOST = 50; // nobody writes more than this offline; older ones would surprise when sent

export class Outbox {
  #entries: readonly Entry[];
  readonly #shelf: Shelf;
  readonly #changed: () => void;

  constructor(shelf: Shelf, changed: () => void) {
    this.#shelf = shelf;
    this.#changed = changed;
    this.#entries = shelf
      .names()
      .map((name) => parse(shelf.get(name)))
      .filter((entry) => entry !== null)
      .map((entry) => (entry.state === "sent" ? { ...entry, state: "waiting" as const } : entry))
      .sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  /** In the order in which they were written. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get full(): boolean {
    return this.#entries.filter((entry) => entry.state !== "acked").length >= MOST;
  }

  add(entry: Pick<Entry, "id" | "text" | "time" | "page">): void {
    this.#put({ ...entry, state: "waiting" });
  }

  /** After a welcome: all without an ack, and not refused. */
  unacked(): readonly Entry[] {
    return this.#entries.filter((entry) => entry.state === "waiting" || entry.state === "sent");
  }

  waiting(): readonly Entry[] {
    return this.#entries.filter((entry) => entry.state === "waiting");
  }

  sent(id: string): void {
    this.#edit(id, (entry) => ({ ...entry, state: "sent" }));
  }

  /** Refused for now: it waits for its next time. */
  postponed(id: string): void {
    this.#edit(id, (entry) => (entry.state === "sent" ? { ...entry, state: "waiting" } : entry));
  }

  refused(id: string, code: string): void {
    this.#edit(id, (entry) => ({ ...entry, state: "failed", code }));
  }

  /** A frame on this socket ended it; which one, nobody says. */
  poisoned(code: string): void {
    for (const entry of this.#entries) if (entry.state === "sent") this.refused(entry.id, code);
  }

  acked(id: string, m: number, offset: number, now: number): void {
    this.#edit(id, ({ code: _code, ...entry }) => ({
      ...entry,
      state: "acked",
      m,
      offset,
      ackedAt: entry.ackedAt ?? now,
    }));
  }

  /** The log shows it: that is as good as an ack, and tells the server's time. */
  created(message: Message, offset: number, now: number): void {
    if (message.id === undefined) return;
    this.acked(message.id, message.m, offset, now);
    const time = message.time;
    if (time !== undefined) this.#edit(message.id, (entry) => ({ ...entry, time }));
  }

  /** An answer to these messages is done. */
  covered(answers: readonly number[]): void {
    for (const { id, m } of this.#entries) if (m !== undefined && answers.includes(m)) this.remove(id);
  }

  /** A person has answered after message `m` came in. */
  attended(m: number): void {
    for (const entry of this.#entries) if (entry.m !== undefined && entry.m < m) this.remove(entry.id);
  }

  /**
   * A snapshot shows what the log holds now. An acked message that it should show and does not was
   * lost with the log: it is sent again. `more` false means that the snapshot reaches back to all.
   */
  compared(messages: readonly Message[], more: boolean, offset: number, now: number): void {
    const oldest = more ? (messages[0]?.time ?? Infinity) : -Infinity;
    const byId = new Map(messages.map((message) => [message.id, message]));
    for (const entry of this.#entries) {
      const message = byId.get(entry.id);
      if (message !== undefined) this.created(message, offset, now);
      else if (entry.state === "acked" && entry.time >= oldest) this.#lose(entry.id);
    }
    for (const message of messages) {
      if (message.author === "agent") this.attended(message.m);
      else if (message.done && message.answers !== undefined) this.covered(message.answers);
    }
  }

  expire(now: number): void {
    for (const { id, ackedAt } of this.#entries) {
      if (ackedAt !== undefined && now - ackedAt >= KEEP_ACKED_MS) this.remove(id);
    }
  }

  /** A person wants a failed one sent again; the id stays, the server may know it. */
  retry(id: string): void {
    this.#edit(id, ({ code: _code, ...entry }) => ({ ...entry, state: "waiting" }));
  }

  remove(id: string): void {
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
    this.#shelf.set(id, null);
    this.#changed();
  }

  clear(): void {
    for (const entry of this.#entries) this.remove(entry.id);
  }

  #lose(id: string): void {
    this.#edit(id, ({ m: _m, offset: _offset, ackedAt: _ackedAt, ...entry }) => ({
      ...entry,
      state: "waiting",
    }));
  }

  #edit(id: string, change: (entry: Entry) => Entry): void {
    const before = this.#entries.find((entry) => entry.id === id);
    if (before !== undefined) this.#put(change(before));
  }

  #put(entry: Entry): void {
    const others = this.#entries.filter((other) => other.id !== entry.id);
    this.#entries = [...others, entry].sort((one, other) => (one.id < other.id ? -1 : 1));
    this.#shelf.set(entry.id, JSON.stringify(entry));
    this.#changed();
  }
}

const STATES = ["waiting", "sent", "acked", "failed"];

function parse(text: string | null): Entry | null {
  try {
    const entry = JSON.parse(text ?? "") as Entry;
    const sound =
      typeof entry.id === "string" &&
      typeof entry.text === "string" &&
      typeof entry.time === "number" &&
      STATES.includes(entry.state);
    return sound ? entry : null;
  } catch {
    return null;
  }
}
