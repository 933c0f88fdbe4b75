/**
 * A message and what frames do to it. A function that gives null says: this frame does not fit what
 * we have, so what we have is wrong.
 */

import { crc32 } from "./crc32.ts";
import type { Author, LoggedFrame, Rating, Reason, Source, WireMessage } from "./wire.ts";

export type Logged<T extends LoggedFrame["type"]> = Extract<LoggedFrame, { type: T }>;

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

export function extended(message: Message, frame: Logged<"answer.delta">): Message | null {
  if (frame.r < message.r || message.done) return message;
  const length = message.text.length;
  if (frame.r > message.r || frame.at > length) return null;
  const fresh = frame.text.slice(length - frame.at);
  return fresh === "" ? message : { ...message, text: message.text + fresh };
}

export function finished(message: Message, frame: Logged<"answer.done">): Message | null {
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

export function rewound(message: Message, frame: Logged<"answer.rewound">): Message | null {
  if (frame.r <= message.r) return message;
  if (frame.at > message.text.length) return null;
  return { ...message, r: frame.r, text: message.text.slice(0, frame.at) };
}

export function received(message: WireMessage): Message {
  return { ...message, r: message.r ?? 0, done: message.done ?? true };
}

export function find(messages: readonly Message[], m: number): Message | undefined {
  return messages.findLast((message) => message.m === m);
}

export function replaced(messages: readonly Message[], index: number, message: Message): readonly Message[] {
  const copy = messages.slice();
  copy[index] = message;
  return copy;
}

export function put(messages: readonly Message[], message: Message): readonly Message[] {
  const index = messages.findLastIndex((other) => other.m <= message.m);
  if (messages[index]?.m === message.m) return replaced(messages, index, message);
  return [...messages.slice(0, index + 1), message, ...messages.slice(index + 1)];
}

/** `before` and what is known already, ascending; where both have an `m`, what is known stays. */
export function merged(known: readonly Message[], before: readonly WireMessage[]): readonly Message[] {
  return before
    .map(received)
    .filter((message) => find(known, message.m) === undefined)
    .concat(known)
    .sort((one, other) => one.m - other.m);
}
