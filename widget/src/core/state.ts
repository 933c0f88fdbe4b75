/**
 * A conversation as a pure fold over frames. The same frames in the same order give the same
 * conversation, whoever folds them; applying one twice changes nothing; a hole is always seen.
 *
 * Logged frames move the position by exactly one. What cannot be applied is never guessed at: the
 * fold then says what is *needed* from the server, and ignores logged frames until it comes.
 *
 *   need "hello"  a gap: `hello` again with the position, on the same socket
 *   need "anew"   our text cannot be trusted, or three such tries did not help: `hello` without it
 */

import { crc32 } from "./crc32.ts";
import type {
  Activity,
  Author,
  LoggedFrame,
  Position,
  QueueUpdated,
  Rating,
  Reason,
  ServerFrame,
  Snapshot,
  Source,
  Status,
  Welcome,
  WireMessage,
} from "./wire.ts";
import { isLogged } from "./wire.ts";

/** Gaps that are asked to be filled one after the other before the position itself is given up. */
export const GAP_TRIES = 3;

export interface Message {
  readonly m: number;
  readonly author: Author;
  readonly text: string;
  readonly r: number;
  readonly done: boolean;
  readonly id?: string;
  readonly code?: string;
  readonly name?: string;
  readonly language?: string;
  readonly time?: number;
  readonly translations?: Readonly<Record<string, string>>;
  readonly reason?: Reason;
  readonly answers?: readonly number[];
  readonly replaces?: number;
  readonly sources?: readonly Source[];
  readonly rating?: Rating;
  readonly attempt?: number;
}

export interface Conversation {
  readonly id: string | null;
  readonly pos: Position | null;
  readonly status: Status;
  /** The agent's name while one has the conversation. */
  readonly agent: string | null;
  /** Ascending in `m`, without doubles. */
  readonly messages: readonly Message[];
  /** Older messages exist than the first one here. */
  readonly more: boolean;
  /** Between a `hello` and what answers it: logged frames are ignored. */
  readonly awaiting: boolean;
  readonly tries: number;
  readonly queue: QueueUpdated | null;
  readonly activity: { readonly m: number; readonly state: Activity } | null;
  readonly typing: Author | null;
}

export type Need = "hello" | "anew" | null;
export interface Step {
  readonly state: Conversation;
  readonly need: Need;
}

export const EMPTY: Conversation = {
  id: null,
  pos: null,
  status: "assisted",
  agent: null,
  messages: [],
  more: false,
  awaiting: true,
  tries: 0,
  queue: null,
  activity: null,
  typing: null,
};

/** The open answer, if there is one: the newest assistant's message that is not done. */
export function openAnswer(state: Conversation): Message | undefined {
  return state.messages.findLast((message) => message.author === "assistant" && !message.done);
}

export function fold(state: Conversation, frame: ServerFrame): Step {
  if (isLogged(frame)) return foldLogged(state, frame);
  switch (frame.type) {
    case "welcome":
      return welcomed(state, frame);
    case "snapshot":
      return settled(restored(state, frame));
    case "history":
      return settled({ ...state, messages: older(state.messages, frame.messages), more: frame.more });
    case "queue.updated":
      return settled({ ...state, queue: frame });
    case "answer.status":
      return settled({
        ...state,
        activity: { m: frame.m, state: frame.state },
        queue: frame.state === "queued" ? state.queue : null,
      });
    case "typing":
      return settled({ ...state, typing: frame.on ? frame.author : null });
    default:
      return settled(state);
  }
}

function settled(state: Conversation): Step {
  return { state, need: null };
}

function broken(state: Conversation): Step {
  return { state: { ...state, awaiting: true, tries: 0 }, need: "anew" };
}

function welcomed(state: Conversation, frame: Welcome): Step {
  const next: Conversation = {
    ...state,
    id: frame.conversation,
    status: frame.status,
    queue: null,
    activity: null,
    typing: null,
    awaiting: frame.mode !== "replay",
  };
  // A replay goes on from a position in the same log. Anything else has been promised a snapshot.
  if (frame.mode === "replay" && state.pos?.[0] !== frame.pos[0]) return broken(next);
  return settled(next);
}

function restored(state: Conversation, frame: Snapshot): Conversation {
  return {
    ...state,
    pos: frame.pos,
    status: frame.status,
    messages: older([], frame.messages),
    more: frame.more,
    awaiting: false,
    tries: 0,
  };
}

function foldLogged(state: Conversation, frame: LoggedFrame): Step {
  if (state.awaiting || state.pos === null || frame.o <= state.pos[1]) return settled(state);
  if (frame.o > state.pos[1] + 1) {
    const tries = state.tries + 1;
    if (tries > GAP_TRIES) return broken(state);
    return { state: { ...state, awaiting: true, tries }, need: "hello" };
  }
  const applied = apply(state, frame);
  if (applied === null) return broken(state);
  return settled({ ...applied, pos: [state.pos[0], frame.o], tries: 0 });
}

/** The conversation after the frame at the next offset; null where the frame does not fit it. */
function apply(state: Conversation, frame: LoggedFrame): Conversation | null {
  switch (frame.type) {
    case "message.created":
      return {
        ...state,
        typing: frame.message.author === state.typing ? null : state.typing,
        messages: put(state.messages, received(frame.message)),
      };
    case "answer.started":
      return started(state, frame);
    case "answer.delta":
      return quiet(state, edit(state, frame.m, (message) => extended(message, frame)));
    case "answer.rewound":
      return edit(state, frame.m, (message) => {
        if (frame.r <= message.r) return message;
        if (frame.at > message.text.length) return null;
        return { ...message, r: frame.r, text: message.text.slice(0, frame.at) };
      });
    case "answer.done":
      return quiet(state, edit(state, frame.m, (message) => finished(message, frame)));
    case "answer.rated":
      return edit(state, frame.m, (message) => ({ ...message, rating: frame.value }), true);
    case "message.translated":
      return edit(
        state,
        frame.m,
        (message) => ({
          ...message,
          translations: { ...message.translations, [frame.language]: frame.text },
        }),
        true,
      );
    case "conversation.updated":
      return { ...state, status: frame.status, agent: nameOf(frame.agent) };
    case "unknown":
      return state;
    case "invalid":
      return null;
  }
}

type Logged<T extends LoggedFrame["type"]> = Extract<LoggedFrame, { type: T }>;

function started(state: Conversation, frame: Logged<"answer.started">): Conversation | null {
  const known = find(state.messages, frame.m);
  if (known !== undefined) {
    // Another worker went on with this answer: same revision, same text, one attempt more.
    if (frame.r > known.r) return null;
    return edit(state, frame.m, (message) => ({ ...message, attempt: frame.attempt }));
  }
  const { m, r, attempt, answers } = frame;
  const message: Message = {
    m,
    r,
    attempt,
    answers,
    author: "assistant",
    text: "",
    done: false,
    ...(frame.replaces === undefined ? {} : { replaces: frame.replaces }),
  };
  return { ...state, messages: put(state.messages, message) };
}

function extended(message: Message, frame: Logged<"answer.delta">): Message | null {
  if (frame.r < message.r || message.done) return message;
  const length = message.text.length;
  if (frame.r > message.r || frame.at > length) return null;
  const fresh = frame.text.slice(length - frame.at);
  return fresh === "" ? message : { ...message, text: message.text + fresh };
}

function finished(message: Message, frame: Logged<"answer.done">): Message | null {
  const text = frame.reason === "withdrawn" ? "" : message.text;
  if (text.length !== frame.length || crc32(text) !== frame.crc32) return null;
  return {
    ...message,
    text,
    done: true,
    reason: frame.reason,
    ...(frame.sources === undefined ? {} : { sources: frame.sources }),
  };
}

/** What showed that an answer was still to come is over once it moves. */
function quiet(before: Conversation, after: Conversation | null): Conversation | null {
  if (after === null || (before.queue === null && before.activity === null)) return after;
  return { ...after, queue: null, activity: null };
}

function nameOf(agent: string | { readonly name?: string } | null | undefined): string | null {
  return typeof agent === "string" ? agent : (agent?.name ?? null);
}

function received(message: WireMessage): Message {
  return { ...message, r: message.r ?? 0, done: message.done ?? true };
}

function find(messages: readonly Message[], m: number): Message | undefined {
  return messages.findLast((message) => message.m === m);
}

/** `change` on message `m`. Null where it returns null, or where there is no `m` and it matters. */
function edit(
  state: Conversation,
  m: number,
  change: (message: Message) => Message | null,
  mayLack = false,
): Conversation | null {
  const index = state.messages.findLastIndex((message) => message.m === m);
  if (index < 0) return mayLack ? state : null;
  const before = state.messages[index]!;
  const after = change(before);
  if (after === null) return null;
  return after === before ? state : { ...state, messages: replaced(state.messages, index, after) };
}

function replaced(messages: readonly Message[], index: number, message: Message): readonly Message[] {
  const copy = messages.slice();
  copy[index] = message;
  return copy;
}

function put(messages: readonly Message[], message: Message): readonly Message[] {
  const index = messages.findLastIndex((other) => other.m <= message.m);
  if (messages[index]?.m === message.m) return replaced(messages, index, message);
  return [...messages.slice(0, index + 1), message, ...messages.slice(index + 1)];
}

/** `before` and what is known already, ascending; where both have an `m`, what is known stays. */
function older(known: readonly Message[], before: readonly WireMessage[]): readonly Message[] {
  return before
    .map(received)
    .filter((message) => find(known, message.m) === undefined)
    .concat(known)
    .sort((one, other) => one.m - other.m);
}
