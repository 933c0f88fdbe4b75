/** The framed page: reads what the server and the loader say about it, and wires the panel together. */

import { render } from "preact";
import { effect } from "@preact/signals";

import type { Environment } from "../core/client.ts";
import type { Socket } from "../core/connection.ts";
import { canonical, match } from "../core/locale.ts";
import { redeem } from "../core/session.ts";
import { App } from "../ui/app.tsx";
import type { Place } from "../ui/store.ts";
import { Store } from "../ui/store.ts";
import type { FromHost, Host } from "./host.ts";
import { connectHost } from "./host.ts";
import { Look } from "./look.ts";
import { PanelStorage } from "./storage.ts";

/** The block of JSON that the build puts into the page. */
interface Page extends Place {
  /** Every built locale, and the file with its texts. */
  readonly locales: Readonly<Record<string, string>>;
}

const query = new URLSearchParams(location.search);
const page = JSON.parse(document.getElementById("page")!.textContent!) as Page;
const { site = "", name = "", contact = "" } = document.documentElement.dataset;

function environment(storage: PanelStorage): Environment {
  const url = new URL("/v1/ws", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return {
    clock: {
      now: () => Date.now(),
      after: (ms, call) => setTimeout(call, ms),
      cancel: (timer) => clearTimeout(timer as number),
    },
    random: Math.random,
    fill: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    open: (subprotocol) => new WebSocket(url, subprotocol) as unknown as Socket,
    redeem: (handle) => redeem((input, init) => fetch(input, init), "/v1/sessions", site, handle),
    visible: () => document.visibilityState === "visible",
    online: () => navigator.onLine,
    handle: storage.handle,
    shelf: storage.shelf,
  };
}

/** Language and direction of the page follow the texts it shows. */
function speak(store: Store): void {
  effect(() => {
    document.documentElement.lang = store.place.value.locale;
    document.documentElement.dir = store.dir.value;
    document.title = `${store.t.value("title")} – ${name}`;
  });
}

/** The customer's own wish goes to the server as it is; the texts here are the nearest that is built. */
async function relocate(store: Store, wish: string): Promise<void> {
  store.client.locale = canonical(wish) ?? store.place.value.locale;
  const locale = match([wish], Object.keys(page.locales));
  if (locale === null || locale === store.place.value.locale) return;
  try {
    const response = await fetch(`/assets/${page.locales[locale]}`);
    store.relocate({ locale, texts: (await response.json()) as Place["texts"] });
  } catch {
    // The texts stay in the language they are in; the server answers in the new one all the same.
  }
}

function obey(store: Store, storage: PanelStorage, look: Look, message: FromHost): void {
  switch (message.type) {
    case "open":
      return store.open();
    case "hide":
      return store.hide();
    case "send":
      store.client.connection.start();
      store.client.say(message.text);
      return;
    case "identify":
      store.client.connection.start();
      return store.client.identify(message.jwt);
    case "logout":
      store.client.logout();
      if (store.opened.peek()) store.client.connection.start();
      return;
    case "look":
      look.set(message.theme, message.color);
      return void relocate(store, message.locale);
    case "handle":
      return storage.renewed(message.resume);
    case "page":
      store.client.page = withoutQuery(message.url);
  }
}

/** A page's address may hold what is nobody's business behind the question mark. */
function withoutQuery(address: string): string | null {
  try {
    const { origin, pathname } = new URL(address);
    return origin === "null" ? null : origin + pathname;
  } catch {
    return null;
  }
}

function live(store: Store): void {
  const { connection } = store.client;
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") store.shown();
  });
  addEventListener("online", () => connection.wake());
  addEventListener("offline", () => connection.offline());
  addEventListener("pagehide", () => connection.sleep());
  addEventListener("pageshow", (event) => {
    if (event.persisted) connection.wake();
  });
}

async function main(): Promise<void> {
  const look = new Look();
  look.set(query.get("theme") ?? "", query.get("color") ?? "");
  const framed = parent !== window;
  const host: Host | null = framed ? await connectHost(location.hash.slice(1)) : null;
  const storage = new PanelStorage(site, host?.resume ?? null, (resume) => host?.post({ type: "store", resume }));
  const wish = canonical(query.get("locale")) ?? navigator.language;
  const store = new Store(environment(storage), page, wish, (event) => host?.post(event));
  speak(store);
  live(store);
  render(<App store={store} shop={{ name, contact, framed }} />, document.getElementById("root")!);
  if (host === null) store.open();
  else host.listen((message) => obey(store, storage, look, message));
}

void main();
