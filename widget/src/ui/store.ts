/**
 * The panel's state as signals. What has a shape (which messages, which status) is rendered by
 * Preact; the growing text of an answer goes past it, straight to whoever watches that message,
 * at most every 50 ms: a token must not cost a rendering.
 */

import { computed, signal } from "@preact/signals";

import type { Environment, Listener } from "../core/client.ts";
import { Client } from "../core/client.ts";
import type { Texts } from "../core/locale.ts";
import { direction, translator } from "../core/locale.ts";
import type { State } from "../core/machine.ts";
import type { Entry } from "../core/outbox.ts";
import type { Message } from "../core/message.ts";
import type { Conversation } from "../core/state.ts";
import { EMPTY, openAnswer } from "../core/state.ts";
import type { ErrorFrame, ServerFrame } from "../core/wire.ts";
import { Announcer } from "./announcer.ts";
import { queueText } from "./progress.tsx";

export interface Place {
  /** The language of the panel's own texts. */
  readonly locale: string;
  readonly texts: Texts;
}

/** What the panel tells the page that frames it. Never what was said. */
export type HostEvent =
  | { readonly type: "close" }
  /** `text`: the same in words, as the launcher's name goes on with it. */
  | { readonly type: "unread"; readonly n: number; readonly text: string }
  | { readonly type: "event"; readonly name: "message" | "handoff" | "error"; readonly detail: object };

const FLUSH_MS = 50;
const READ_MS = 1_000;
/** What the shop or we asked for, not the customer: the shop hears of it, by its event. */
const UNTOLD = new Set(["unknown_command", "identify_unavailable"]);

export class Store {
  readonly place;
  readonly t;
  readonly dir;
  readonly view = signal<Conversation>(EMPTY);
  readonly entries = signal<readonly Entry[]>([]);
  readonly connection = signal<{ readonly state: State; readonly code: number | string | null }>({
    state: "idle",
    code: null,
  });
  readonly error = signal<ErrorFrame | null>(null);
  readonly opened = signal(false);
  readonly unread = signal(0);
  /** The entries that the log does not show yet. */
  readonly unlogged = computed(() => {
    const { messages, pos } = this.view.value;
    const logged = new Set(messages.map(({ id }) => id));
    return this.entries.value.filter(
      ({ id, state, offset }) => !logged.has(id) && !(state === "acked" && offset! <= (pos?.[1] ?? -1)),
    );
  });
  readonly client: Client;
  readonly #announcer: Announcer;
  readonly #tell: (event: HostEvent) => void;
  readonly #watchers = new Map<number, () => void>();
  readonly #dirty = new Set<number>();
  #told = 0; // how much of the open answer has been announced
  #place = 0; // in the queue, as announced last
  #flushed = 0;
  #flushing = false;
  #read = 0;
  #reading = 0;

  constructor(environment: Environment, place: Place, wish: string, tell: (event: HostEvent) => void) {
    this.place = signal(place);
    this.t = computed(() => translator(this.place.value.locale, this.place.value.texts));
    this.dir = computed(() => direction(this.place.value.locale));
    this.#announcer = new Announcer(place.locale);
    this.#tell = tell;
    const listener: Listener = {
      folded: (conversation, frame) => this.#folded(conversation, frame),
      connection: (state, code) => {
        this.connection.value = { state, code };
        if (state === "offline") this.note(this.t.peek()("offline"));
        if (state === "closed" && code !== null) this.#tell({ type: "event", name: "error", detail: { code } });
      },
      outbox: (entries) => (this.entries.value = entries),
      failed: (error) => this.#failed(error),
    };
    this.client = new Client(environment, wish, listener);
    this.entries.value = this.client.entries;
  }

  /** The message as it is now, which may be ahead of `view`. */
  message(m: number): Message | undefined {
    return this.client.conversation.messages.findLast((message) => message.m === m);
  }

  /** Calls `sync` whenever the text of `m` has grown or changed; returns how to stop that. */
  watch(m: number, sync: () => void): () => void {
    this.#watchers.set(m, sync);
    return () => this.#watchers.delete(m);
  }

  open(): void {
    this.opened.value = true;
    this.#seen();
    this.client.connection.start();
  }

  close(): void {
    this.opened.value = false;
    this.#tell({ type: "close" });
  }

  hide(): void {
    this.opened.value = false;
  }

  shown(): void {
    this.client.connection.wake();
    this.#seen();
  }

  relocate(place: Place): void {
    this.place.value = place;
    this.#announcer.locale = place.locale;
  }

  note(text: string): void {
    this.#announcer.note(text);
  }

  #folded(conversation: Conversation, frame: ServerFrame): void {
    if (frame.type === "answer.delta" || frame.type === "answer.rewound") this.#grown(frame.m);
    const before = this.view.peek();
    const m = frame.type === "answer.delta" ? frame.m : null;
    const running = m !== null && before.messages.findLast((other) => other.m === m)?.text !== "";
    if (!running && frame.type !== "heartbeat" && frame.type !== "pong") this.view.value = conversation;
    if (frame.type === "snapshot" || frame.type === "answer.done") this.#flushAll();
    this.#voice(conversation, frame);
    this.#count(conversation, frame);
  }

  // -- text ---------------------------------------------------------------------------------------

  #grown(m: number): void {
    this.#dirty.add(m);
    if (this.#flushing) return;
    this.#flushing = true;
    // The first token is shown at once; from then on there is a rhythm.
    setTimeout(() => this.#flush(), Math.max(0, FLUSH_MS - (performance.now() - this.#flushed)));
  }

  #flush(): void {
    this.#flushing = false;
    this.#flushed = performance.now();
    for (const m of this.#dirty) this.#watchers.get(m)?.();
    this.#dirty.clear();
    const open = openAnswer(this.client.conversation);
    if (open !== undefined && open.text.length > this.#told) {
      this.#announcer.write(open.text.slice(this.#told));
      this.#told = open.text.length;
    }
  }

  #flushAll(): void {
    this.#flush();
    for (const sync of this.#watchers.values()) sync();
  }

  // -- what is told ---------------------------------------------------------------------------------

  #voice(conversation: Conversation, frame: ServerFrame): void {
    const t = this.t.peek();
    if (frame.type === "answer.started" && frame.attempt === 1) this.#announcer.note(t("announce_start"));
    else if (frame.type === "queue.updated" && frame.position !== this.#place) {
      this.#place = frame.position;
      this.#announcer.note(queueText(t, frame));
    } else if (frame.type === "answer.rewound") this.#told = Math.min(this.#told, frame.at);
    else if (frame.type === "snapshot") this.#told = openAnswer(conversation)?.text.length ?? 0;
    else if (frame.type === "answer.done") {
      const done = this.message(frame.m);
      if (done?.done !== true) return;
      this.#announcer.write(done.text.slice(this.#told));
      this.#announcer.end();
      this.#told = 0;
      this.#announcer.note(t(frame.reason === "stop" ? "announce_end" : reasonKey(frame.reason) ?? "announce_end"));
    } else if (frame.type === "message.created" && frame.message.author !== "customer") {
      this.#announcer.say(frame.message.text, frame.message.language);
    }
  }

  #count(conversation: Conversation, frame: ServerFrame): void {
    const finished = frame.type === "answer.done" ? frame.m : null;
    const created = frame.type === "message.created" ? frame.message.m : null;
    const m = finished ?? created;
    const message = m === null ? undefined : this.message(m);
    if (message !== undefined && "o" in frame && conversation.pos?.[1] === frame.o) {
      this.#tell({ type: "event", name: "message", detail: { m: message.m, author: message.author } });
      if (message.author !== "customer" && !this.#looking()) {
        this.#unread(this.unread.value + 1);
      }
    }
    if (frame.type === "conversation.updated" && frame.status !== "assisted") {
      this.#tell({ type: "event", name: "handoff", detail: { status: frame.status } });
    }
    if (this.#looking()) this.#seen();
  }

  #failed(error: ErrorFrame): void {
    this.#tell({ type: "event", name: "error", detail: { code: error.code } });
    if (!UNTOLD.has(error.code)) this.error.value = error;
  }

  #unread(n: number): void {
    this.unread.value = n;
    this.#tell({ type: "unread", n, text: n > 0 ? `, ${this.t.peek()("unread", { n })}` : "" });
  }

  #looking(): boolean {
    return this.opened.peek() && document.visibilityState === "visible";
  }

  /** The customer has it before their eyes: nothing is unread, and an agent may know. */
  #seen(): void {
    if (!this.#looking()) return;
    if (this.unread.value > 0) this.#unread(0);
    const { pos, status } = this.client.conversation;
    if (pos === null || pos[1] <= this.#read || status === "assisted" || this.#reading !== 0) return;
    this.#reading = setTimeout(() => {
      this.#reading = 0;
      this.#read = this.client.conversation.pos?.[1] ?? 0;
      this.client.read(this.#read);
    }, READ_MS);
  }
}

/** The text that says why an answer is not whole; null where it is. */
export function reasonKey(reason: string | undefined): string | null {
  return ["stopped", "length", "failed", "withdrawn"].includes(reason ?? "") ? `reason_${reason}` : null;
}
