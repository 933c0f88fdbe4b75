/**
 * The line to the page that frames us. The loader opens it: one window message with a nonce that it
 * put into our address and a port; from then on everything goes through that port, which nobody else
 * in either page can hear or speak into.
 *
 * Who frames us has been decided by the server (`frame-ancestors`). What comes through is still
 * checked field by field, because the shop's page runs other people's scripts.
 */

import type { HostEvent } from "../ui/store.ts";

export type FromHost =
  | { readonly type: "open" | "hide" | "logout" }
  | { readonly type: "send"; readonly text: string }
  | { readonly type: "identify"; readonly jwt: string }
  | { readonly type: "look"; readonly theme: string; readonly color: string; readonly locale: string }
  | { readonly type: "page"; readonly url: string }
  /** The handle that the loader keeps was renewed by another tab; empty: it is gone. */
  | { readonly type: "handle"; readonly resume: string };

export type ToHost =
  | HostEvent
  | { readonly type: "ready"; readonly nonce: string }
  | { readonly type: "store"; readonly resume: string | null };

export interface Host {
  readonly origin: string;
  /** The resume handle that the loader keeps for us where we have no storage. */
  readonly resume: string | null;
  post(message: ToHost): void;
  listen(listener: (message: FromHost) => void): void;
}

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  open: [],
  hide: [],
  logout: [],
  send: ["text"],
  identify: ["jwt"],
  look: ["theme", "color", "locale"],
  page: ["url"],
  handle: ["resume"],
};
const LONGEST = 16_384; // a JWT or a message; nothing we are told is longer

export function understand(value: unknown): FromHost | null {
  const message = value as Record<string, unknown> | null;
  if (typeof message !== "object" || message === null || typeof message.type !== "string") return null;
  const fields = Object.hasOwn(FIELDS, message.type) ? FIELDS[message.type] : undefined;
  if (fields === undefined) return null;
  for (const field of fields) {
    const text = message[field];
    if (typeof text !== "string" || text.length > LONGEST) return null;
  }
  return message as unknown as FromHost;
}

/** Waits for the loader's one window message. */
export function connectHost(nonce: string): Promise<Host> {
  return new Promise((resolve) => {
    addEventListener("message", function greet(event: MessageEvent) {
      const greeting = event.data as { parley?: unknown; nonce?: unknown; resume?: unknown } | null;
      const port = event.ports[0];
      if (event.source !== parent || !/^https?:\/\//.test(event.origin) || port === undefined) return;
      if (greeting?.parley !== 1 || greeting.nonce !== nonce) return;
      removeEventListener("message", greet);
      resolve({
        origin: event.origin,
        resume: typeof greeting.resume === "string" ? greeting.resume : null,
        post: (message) => port.postMessage(message),
        listen(listener) {
          port.onmessage = ({ data }) => {
            const message = understand(data);
            if (message !== null) listener(message);
          };
        },
      });
      port.postMessage({ type: "ready", nonce } satisfies ToHost);
    });
  });
}
