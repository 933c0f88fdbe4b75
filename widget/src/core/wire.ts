/**
 * The wire, version 1: every frame that passes between a browser and Parley, as types, and the one
 * place where text becomes a frame.
 *
 * A frame is a JSON object with a `type`; one WebSocket message holds a frame or an array of them.
 * A frame with `o` is *logged*: it has a place in the conversation's log, 1, 2, 3 … without a gap.
 * A frame of a type we do not know is passed on as it is, because it may have an `o` that counts.
 * A frame of a known type whose fields are not what the table says becomes `invalid`, and keeps its
 * `o`: what we cannot read must not look like something we have applied.
 */

export const VERSION = 1;
export const SUBPROTOCOL = "parley.v1";

/** `[epoch, o]`: the log's incarnation, an opaque string, and an offset in it. */
export type Position = readonly [epoch: string, o: number];
export type Author = "customer" | "assistant" | "agent" | "notice";
export type Status = "assisted" | "waiting" | "assigned" | "resolved";
export type Reason = "stop" | "length" | "stopped" | "handoff" | "withdrawn" | "failed";
export type Activity = "queued" | "thinking" | "searching" | "tool" | "translating";
export type Rating = 1 | -1 | 0;

export interface Source {
  readonly title?: string;
  readonly link?: string;
}

/** A message as `message.created` and `snapshot` carry it. Lengths are UTF-16 units, times ms. */
export interface WireMessage {
  readonly m: number;
  readonly author: Author;
  readonly text: string;
  readonly id?: string;
  readonly code?: string;
  readonly name?: string;
  readonly language?: string;
  readonly time?: number;
  readonly translations?: Readonly<Record<string, string>>;
  readonly r?: number;
  readonly done?: boolean;
  readonly reason?: Reason;
  readonly answers?: readonly number[];
  readonly replaces?: number;
  readonly sources?: readonly Source[];
  readonly rating?: Rating;
  readonly attempt?: number;
}

export interface Limits {
  readonly message_units?: number;
}

export type LoggedFrame = { readonly o: number } & (
  | { readonly type: "message.created"; readonly message: WireMessage }
  | {
      readonly type: "answer.started";
      readonly m: number;
      readonly attempt: number;
      readonly r: number;
      readonly answers: readonly number[];
      readonly replaces?: number;
    }
  | {
      readonly type: "answer.delta";
      readonly m: number;
      readonly r: number;
      readonly at: number;
      readonly text: string;
    }
  | { readonly type: "answer.rewound"; readonly m: number; readonly r: number; readonly at: number }
  | {
      readonly type: "answer.done";
      readonly m: number;
      readonly reason: Reason;
      readonly length: number;
      readonly crc32: number;
      readonly sources?: readonly Source[];
    }
  | { readonly type: "answer.rated"; readonly m: number; readonly value: Rating }
  | {
      readonly type: "message.translated";
      readonly m: number;
      readonly language: string;
      readonly text: string;
    }
  | {
      readonly type: "conversation.updated";
      readonly status: Status;
      readonly agent?: string | { readonly name?: string } | null;
    }
  | { readonly type: "unknown" | "invalid"; readonly name: string }
);

export interface Welcome {
  readonly type: "welcome";
  readonly v: number;
  readonly conversation: string;
  readonly pos: Position;
  readonly mode: "replay" | "snapshot" | "reset";
  readonly status: Status;
  readonly heartbeat_ms: number;
  readonly limits?: Limits;
  /** After `identify` only: the new credential and the new resume handle. */
  readonly token?: string;
  readonly resume?: string;
}

export interface Snapshot {
  readonly type: "snapshot";
  readonly pos: Position;
  readonly status: Status;
  readonly messages: readonly WireMessage[];
  readonly more: boolean;
}

export interface ErrorFrame {
  readonly type: "error";
  readonly code: string;
  readonly message: string;
  readonly fatal: boolean;
  readonly retry_ms?: number;
  readonly ref?: string;
}

export interface Ack {
  readonly type: "message.ack";
  readonly id: string;
  readonly m: number;
  readonly offset: number;
  readonly duplicate: boolean;
}

export interface QueueUpdated {
  readonly type: "queue.updated";
  readonly position: number;
  readonly eta_ms: number;
  readonly reason: "model" | "agent";
}

export type EphemeralFrame =
  | Welcome
  | Snapshot
  | Ack
  | ErrorFrame
  | QueueUpdated
  | { readonly type: "history"; readonly messages: readonly WireMessage[]; readonly more: boolean }
  | { readonly type: "answer.status"; readonly m: number; readonly state: Activity }
  | { readonly type: "typing"; readonly author: Author; readonly on: boolean }
  | { readonly type: "heartbeat"; readonly n: number }
  | { readonly type: "pong"; readonly n: number }
  | { readonly type: "goaway"; readonly after_ms: number; readonly reason: string }
  | { readonly type: "unknown" | "invalid"; readonly name: string };

export type ServerFrame = LoggedFrame | EphemeralFrame;

export type ClientFrame =
  | {
      readonly type: "hello";
      readonly v: number;
      readonly token: string;
      readonly pos?: Position;
      readonly locale?: string;
      readonly page?: string;
    }
  | { readonly type: "message.send"; readonly id: string; readonly text: string; readonly page?: string }
  | { readonly type: "answer.stop"; readonly m: number }
  | { readonly type: "answer.retry"; readonly m: number }
  | { readonly type: "answer.rate"; readonly m: number; readonly value: Rating }
  | { readonly type: "history"; readonly before: number }
  | { readonly type: "handoff.request"; readonly reason?: string }
  | { readonly type: "conversation.end"; readonly reason?: string }
  | { readonly type: "identify"; readonly jwt: string }
  | { readonly type: "typing"; readonly on: boolean }
  | { readonly type: "read"; readonly offset: number }
  | { readonly type: "ping"; readonly n: number };

export class WireError extends Error {
  override name = "WireError";
}

/** What a field may be: i an integer, n a number, s a string, b a boolean, a an array, p a position. */
const KINDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  i: (value) => Number.isSafeInteger(value),
  n: (value) => typeof value === "number",
  s: (value) => typeof value === "string",
  b: (value) => typeof value === "boolean",
  a: (value) => Array.isArray(value),
  p: (value) =>
    Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && KINDS.i!(value[1]),
  m: isMessage,
  l: (value) => Array.isArray(value) && value.every(isMessage),
};

const FIELDS: Readonly<Record<string, string>> = {
  welcome: "conversation:s pos:p mode:s status:s heartbeat_ms:n",
  snapshot: "pos:p status:s messages:l more:b",
  history: "messages:l more:b",
  "message.ack": "id:s m:i offset:i",
  "message.created": "o:i message:m",
  "answer.started": "o:i m:i attempt:i r:i answers:a",
  "answer.delta": "o:i m:i r:i at:i text:s",
  "answer.rewound": "o:i m:i r:i at:i",
  "answer.done": "o:i m:i reason:s length:i crc32:i",
  "answer.rated": "o:i m:i value:i",
  "message.translated": "o:i m:i language:s text:s",
  "conversation.updated": "o:i status:s",
  "queue.updated": "position:n eta_ms:n reason:s",
  "answer.status": "m:i state:s",
  typing: "author:s on:b",
  heartbeat: "",
  pong: "n:n",
  goaway: "after_ms:n",
  error: "code:s message:s",
};

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isMessage(value: unknown): boolean {
  return isRecord(value) && fits(value, "m:i author:s text:s");
}

function fits(frame: Record<string, unknown>, fields: string): boolean {
  return (
    fields === "" ||
    fields.split(" ").every((field) => {
      const [name, kind] = field.split(":") as [string, string];
      return KINDS[kind]!(frame[name]);
    })
  );
}

function understand(value: unknown): ServerFrame {
  if (!isRecord(value) || typeof value.type !== "string") {
    throw new WireError("a frame is an object with a type");
  }
  const fields = Object.hasOwn(FIELDS, value.type) ? FIELDS[value.type] : undefined;
  if (fields !== undefined && fits(value, fields)) return value as unknown as ServerFrame;
  const type = fields === undefined ? "unknown" : "invalid";
  return Number.isSafeInteger(value.o)
    ? { type, name: value.type, o: value.o as number }
    : { type, name: value.type };
}

/** The frames of one WebSocket message; WireError where it is no JSON or holds no frames. */
export function decode(text: string): ServerFrame[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new WireError("a message is JSON", { cause });
  }
  return (Array.isArray(value) ? value : [value]).map(understand);
}

export function encode(frame: ClientFrame): string {
  return JSON.stringify(frame);
}

export function isLogged(frame: ServerFrame): frame is LoggedFrame {
  return "o" in frame;
}
