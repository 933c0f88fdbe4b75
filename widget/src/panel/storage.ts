/**
 * The panel's own storage, for one site. A browser that blocks third-party storage throws at the
 * mere touch; then everything lives in memory, and the resume handle alone is kept by the loader in
 * the shop's storage. What the customer wrote is never kept there.
 */

import type { Shelf } from "../core/outbox.ts";

// Not the loader's name for it: where a shop has Parley's own origin, both have one storage, and each
// would delete the other's.
const HANDLE = "handle";
const OUTBOX = "out:";

export class PanelStorage {
  readonly #prefix: string;
  readonly #own: Storage | null;
  readonly #memory = new Map<string, string>();
  readonly #broker: (handle: string | null) => void;

  /** `broker` keeps the handle elsewhere; `brokered` is what it kept last time. */
  constructor(site: string, brokered: string | null, broker: (handle: string | null) => void) {
    this.#prefix = `parley:${site}:`;
    this.#own = probe();
    this.#broker = broker;
    if (brokered !== null && this.#get(HANDLE) === null) this.#set(HANDLE, brokered);
  }

  readonly handle = {
    get: (): string | null => this.#get(HANDLE),
    set: (handle: string | null): void => {
      this.#set(HANDLE, handle);
      // Also said where our own storage works: what the loader still has from before is stale then.
      this.#broker(this.#own === null ? handle : null);
    },
  };

  /** What the loader keeps has changed; of no interest where our own storage works. */
  renewed(handle: string): void {
    if (this.#own === null) this.#set(HANDLE, handle === "" ? null : handle);
  }

  readonly shelf: Shelf = {
    names: () => this.#names().filter((name) => name.startsWith(OUTBOX)).map((name) => name.slice(OUTBOX.length)),
    get: (id) => this.#get(OUTBOX + id),
    set: (id, value) => this.#set(OUTBOX + id, value),
  };

  #names(): string[] {
    if (this.#own === null) return [...this.#memory.keys()];
    return Object.keys(this.#own)
      .filter((key) => key.startsWith(this.#prefix))
      .map((key) => key.slice(this.#prefix.length));
  }

  #get(name: string): string | null {
    try {
      return this.#memory.get(name) ?? this.#own?.getItem(this.#prefix + name) ?? null;
    } catch {
      return null;
    }
  }

  #set(name: string, value: string | null): void {
    try {
      this.#memory.delete(name);
      if (value === null) this.#own?.removeItem(this.#prefix + name);
      else if (this.#own !== null) return this.#own.setItem(this.#prefix + name, value);
    } catch {
      // Full, or denied since: memory has to do.
    }
    if (value !== null) this.#memory.set(name, value);
  }
}

function probe(): Storage | null {
  try {
    const storage = window.localStorage;
    storage.setItem("parley:probe", "1");
    storage.removeItem("parley:probe");
    return storage;
  } catch {
    return null;
  }
}
