/**
 * What a shop's page loads: a button, and nothing else until somebody clicks it. One file, one
 * request; no cookie, storage, socket or further request before the click.
 *
 * It lives beside the body, on <html>, so that pages which swap their body keep it. It uses nothing
 * that a strict CSP or Trusted Types would stop: a constructed sheet in a shadow root, elements made
 * one by one, and an iframe of its own origin. On the window it leaves one name, `Parley`.
 *
 * It shares the page with other people's scripts, so it calls nothing on Array.prototype, and it
 * says nothing across the window but one greeting: all else goes through that greeting's port.
 *
 * Every byte here is paid by every visitor of every shop: the build fails above 2.5 KB.
 */

type Look = Partial<Record<"site" | "position" | "color" | "theme" | "locale" | "label", string>>;
interface Api {
  (verb: string, ...rest: unknown[]): unknown;
  q?: ArrayLike<unknown>[];
  live?: true;
}

const SHEET = `:host{all:initial!important;position:fixed!important;z-index:2147483647!important}
button{all:unset;position:fixed;bottom:20px;inset-inline-end:20px;width:56px;height:56px;border-radius:50%;cursor:pointer;background:var(--c);color:var(--o);box-shadow:0 4px 20px #10182840}
button:focus-visible{outline:3px solid var(--o);outline-offset:-6px}
svg{position:absolute;inset:15px;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
b{position:absolute;top:-4px;inset-inline-end:-4px;padding:0 8px;border-radius:11px;background:#c8201a;color:#fff;font:600 12px/22px system-ui}
b:empty{display:none}
div{position:fixed;bottom:88px;inset-inline-end:20px;width:400px;max-width:calc(100vw - 40px);height:680px;max-height:calc(100vh - 108px);border-radius:20px;overflow:hidden;background:Canvas;box-shadow:0 6px 48px #10182840;transition:.18s}
.x div{opacity:0;transform:translateY(12px);visibility:hidden}
.left :is(button,div){inset-inline:20px auto}
iframe{border:0;width:100%;height:100%;opacity:0}
.r iframe{opacity:1}
.f div{inset:var(--t) 0 auto;width:100%;max-width:none;height:var(--h);max-height:none;border-radius:0}
.f.r button{display:none}
@media(forced-colors:active){button,div{border:2px solid}}
@media(prefers-reduced-motion){div{transition:none}}
@media print{span{display:none}}`;

/** A panel that has loaded greets at once; one that was refused, or could not be reached, never does. */
const PATIENCE_MS = 3e3;
const ICONS = ["M4 11.5a8 7.5 0 1 1 4.8 6.9L4.5 20l1.3-3.6A7 7 0 0 1 4 11.5z", "M6 9.5l6 6 6-6"];
/** In the panel's own languages that do not write "Chat"; `data-label` says it in any other. */
const LABELS: Record<string, string> = { ar: "دردشة", zh: "在线客服" };

(() => {
  const win = window as unknown as { Parley?: Api };
  const doc = document;
  const own = doc.currentScript as HTMLScriptElement;
  const script = own?.dataset.site ? own : doc.querySelector<HTMLScriptElement>("script[data-site][src*='/widget.js']");
  // Loaded twice is harmless: the first one stays.
  if (!script || win.Parley?.live) return;

  const queue = win.Parley?.q ?? [];
  const { origin } = new URL(script.src);
  const look: Look = { ...script.dataset };
  const key = `parley:${look.site}:resume`;
  const nonce = `${crypto.getRandomValues(new Uint32Array(4))}`;
  const narrow = matchMedia("(max-width:480px),(max-height:480px)");
  const view = visualViewport!;
  const gone = new AbortController();
  const { signal } = gone;

  let frame: HTMLIFrameElement | undefined;
  let port: MessagePort | undefined;
  let opened = false;
  let covered = false;
  let waiting: object[] = [];
  let identity: unknown;
  let handle: string | null | undefined;
  let news = "";

  const set = <T extends Element>(element: T, values: Record<string, unknown>): T => {
    for (const name of Object.keys(values)) element.setAttribute(name, `${values[name]}`);
    return element;
  };
  const make = <K extends keyof HTMLElementTagNameMap>(tag: K, values = {}) => set(doc.createElement(tag), values);
  const draw = <K extends "svg" | "path">(tag: K, values = {}) => set(doc.createElementNS("http://www.w3.org/2000/svg", tag), values);

  const host = make("parley-chat" as "div");
  const wrap = make("span");
  const badge = make("b");
  const box = make("div", { id: "panel", role: "dialog" });
  const button = make("button", { type: "button", "aria-controls": "panel" });
  const svg = draw("svg", { viewBox: "0 0 24 24", "aria-hidden": true });
  const path = draw("path");
  const shadow = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();

  const locale = () => look.locale || doc.documentElement.lang || navigator.language;

  const emit = (event: string, detail?: unknown) => doc.dispatchEvent(new CustomEvent(`parley:${event}`, { detail }));

  /** Into the panel, now or as soon as it listens. */
  const tell = (type: string, more?: object) => {
    const message = { type, ...more };
    if (port) port.postMessage(message);
    else waiting = [...waiting, message];
  };
  const tellPage = () => tell("page", { url: location.origin + location.pathname });

  /** The resume handle; the panel hands it over only where its own storage is denied. */
  const keep = (value: string | null) => {
    handle = value;
    try {
      if (value) localStorage[key] = value;
      else delete localStorage[key];
    } catch {}
  };

  /** The one place where state becomes attributes; cheap enough to be called for every change. */
  const paint = () => {
    const color = /^#[\da-f]{6}$/i.test(look.color!) ? look.color! : "#2f5bea";
    const part = (at: number) => (parseInt(color.substr(at, 2), 16) / 255) ** 2.2;
    // Black or white upon it, whichever contrasts more.
    const on = 0.21 * part(1) + 0.72 * part(3) + 0.07 * part(5) > 0.18 ? "#000" : "#fff";
    const label = look.label || (LABELS[locale().slice(0, 2)] ?? "Chat");
    // A phone's screen belongs to the panel; what its keyboard leaves, only the top page knows.
    const full = opened && narrow.matches;
    wrap.style.cssText = `--c:${color};--o:${on};--h:${view.height}px;--t:${view.offsetTop}px;color-scheme:${look.theme || "light dark"}`;
    wrap.className = `${look.position} ${opened ? "" : "x"} ${full ? "f" : ""} ${port ? "r" : ""}`;
    set(wrap, { dir: /^(ar|fa|he|ur)/.test(locale()) ? "rtl" : "ltr" });
    set(box, { "aria-label": label, "aria-modal": full });
    set(button, { "aria-label": label + news, "aria-expanded": opened });
    set(path, { d: ICONS[+opened] });
    if (full !== covered) doc.body.inert = covered = full;
  };

  const received = ({ data }: MessageEvent) => {
    const { type, n, text, name, detail, resume, nonce: echo } = Object(data);
    if (echo === nonce) {
      port = line;
      paint();
      tellPage();
      for (const message of waiting) port.postMessage(message);
      waiting = [];
      if (opened) tell("open");
      emit("ready");
    } else if (type === "close") close(true);
    else if (type === "store") keep(resume && `${resume}`);
    else if (type === "unread") {
      badge.textContent = n || "";
      news = text;
      paint();
      emit(type, { count: n });
    } else if (type === "event") emit(name, detail);
  };

  let line: MessagePort;
  const load = () => {
    if (frame) return;
    frame = make("iframe", { title: box.ariaLabel });
    // One line for each document that loads in it. Nothing else is ever said across the window.
    frame.onload = () => {
      const channel = new MessageChannel();
      port = undefined;
      line = channel.port1;
      line.onmessage = received;
      try {
        handle ||= localStorage[key];
      } catch {}
      setTimeout(() => {
        if (port || signal.aborted) return;
        // What has loaded is the browser's own page, and nobody wants to read that.
        frame!.remove();
        frame = undefined;
        close(true);
        emit("error", { code: "panel_refused" });
      }, PATIENCE_MS);
      frame!.contentWindow!.postMessage({ parley: 1, nonce, resume: handle }, origin, [channel.port2]);
    };
    frame.src = `${origin}/panel?${new URLSearchParams({ ...look, locale: locale() } as Record<string, string>)}#${nonce}`;
    box.append(frame);
  };

  const open = () => {
    load();
    if (opened) return;
    opened = true;
    paint();
    if (port) tell("open");
    frame!.focus();
    emit("open");
  };
  const close = (focus?: boolean) => {
    if (!opened) return;
    opened = false;
    paint();
    tell("hide");
    if (focus) button.focus();
    emit("close");
  };
  const toggle = () => (opened ? close() : open());

  const verbs: Record<string, (...rest: any[]) => unknown> = {
    open,
    close() {
      close();
    },
    toggle,
    show() {
      wrap.hidden = false;
    },
    hide() {
      close();
      wrap.hidden = true;
    },
    send(text: unknown) {
      open();
      tell("send", { text: `${text}` });
    },
    /** A JWT, or a function that fetches one. */
    async identify(who: unknown) {
      identity = who;
      try {
        const jwt = await (typeof who == "function" ? who() : who);
        if (identity !== who) return;
        load();
        tell("identify", { jwt });
      } catch {
        emit("error", { code: "identify_failed" });
      }
    },
    logout() {
      identity = 0;
      keep(null);
      load();
      tell("logout");
    },
    update(changes: Look) {
      Object.assign(look, changes);
      paint();
      if (frame) tell("look", { theme: "", color: "", ...look, locale: locale() });
    },
    setLocale(locale: string) {
      verbs.update!({ locale });
    },
    on(event: string, call: (detail: unknown) => void) {
      const undo = new AbortController();
      doc.addEventListener(`parley:${event}`, (event) => call((event as CustomEvent).detail), { signal: undo.signal });
      return () => undo.abort();
    },
    destroy() {
      close();
      host.remove();
      gone.abort();
      delete win.Parley;
    },
  };
  const api: Api = (verb, ...rest) => verbs[verb]!(...rest);
  api.live = true;
  win.Parley = api;

  sheet.replaceSync(SHEET);
  shadow.adoptedStyleSheets = [sheet];
  svg.append(path);
  button.append(svg, badge);
  wrap.append(box, button);
  shadow.append(wrap);
  button.onclick = toggle;
  button.onpointerenter = button.onfocus = () => {
    button.onpointerenter = button.onfocus = null;
    doc.head.append(make("link", { rel: "preconnect", href: origin }));
  };
  wrap.onkeydown = ({ key }) => {
    if (key === "Escape") close(true);
  };
  narrow.onchange = paint;
  view.addEventListener("resize", paint, { signal });
  view.addEventListener("scroll", paint, { signal });
  // Another tab's panel had the handle renewed: an old one must not be used any more.
  addEventListener("storage", (event) => event.key === key && tell("handle", { resume: (handle = event.newValue) ?? "" }), { signal });
  // Whoever goes into the panel leaves the page: then, before a word is written, it learns which one.
  addEventListener("blur", () => port && tellPage(), { signal });

  const mount = () => {
    paint();
    doc.documentElement.append(host);
    for (const call of queue) api.apply(null, call as unknown as [string]);
  };
  if (doc.body) mount();
  else doc.addEventListener("DOMContentLoaded", mount, { signal });
})();
