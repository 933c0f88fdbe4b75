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

import type { Logged, Message } from "./message.ts";
import { extended, find, finished, merged, put, received, replaced, rewound } from "./message.ts";
import type { Activity, Author, LoggedFrame, Position, QueueUpdated, ServerFrame, Snapshot, Status, Welcome } from "./wire.ts";
import { isLogged } from "./wire.ts";

/** Gaps that are asked to be filled one after the other before the position itself is given up. */
export const GAP_TRIES = 3;

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
      return settled({ ...state, messages: merged(state.messages, frame.messages), more: frame.more });
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
  const replay = frame.mode === "replay";
  const next: Conversation = {
    ...state,
    id: frame.conversation,
    // After a reset nothing that we have is a place in the log any more.
    pos: frame.mode === "reset" ? null : state.pos,
    status: frame.status,
    // What is going on still does where the log goes on: whoever moves to another socket sees no flicker.
    queue: replay ? state.queue : null,
    activity: replay ? state.activity : null,
    typing: null,
    awaiting: !replay,
  };
  // A replay goes on from a position in the same log. Anything else has been promised a snapshot.
  if (replay && state.pos?.[0] !== frame.pos[0]) return broken(next);
  return settled(next);
}

function restored(state: Conversation, frame: Snapshot): Conversation {
  // While two sockets overlap, the old one may have brought more than the new one's snapshot knows.
  const [epoch, offset] = state.pos ?? [null, 0];
  if (epoch === frame.pos[0] && offset > frame.pos[1]) return { ...state, awaiting: false, tries: 0 };
  return {
    ...state,
    pos: frame.pos,
    status: frame.status,
    messages: merged([], frame.messages),
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
      return edit(state, frame.m, (message) => rewound(message, frame));
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

/** What showed that an answer was still to come is over once it moves. */
function quiet(before: Conversation, after: Conversation | null): Conversation | null {
  if (after === null || (before.queue === null && before.activity === null)) return after;
  return { ...after, queue: null, activity: null };
}

function nameOf(agent: string | { readonly name?: string } | null | undefined): string | null {
  return typeof agent === "string" ? agent : (agent?.name ?? null);
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
