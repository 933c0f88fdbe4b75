/** One message, logged or not yet, as it stands in the transcript. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Entry } from "../core/outbox.ts";
import type { Message } from "../core/message.ts";
import type { Source } from "../core/wire.ts";
import { focusComposer } from "./composer.tsx";
import { directionOf } from "./direction.ts";
import { Icon } from "./icons.tsx";
import { safeHref } from "./links.ts";
import { Waiting } from "./progress.tsx";
import { StreamBody } from "./stream.ts";
import type { Store } from "./store.ts";
import { reasonKey } from "./store.ts";

interface Shown {
  readonly store: Store;
  readonly message: Message;
  /** The newest answer has its buttons in view; older ones show theirs when pointed at. */
  readonly newest: boolean;
  readonly retryable: boolean;
}

export function MessageRow(shown: Shown) {
  const { message, store } = shown;
  if (message.author === "customer") return <Said store={store} message={message} />;
  if (message.author === "notice") return <Notice store={store} message={message} />;
  return <Answer {...shown} />;
}

function Said({ store, message }: { store: Store; message: Message }) {
  const { text, language } = message;
  return (
    <li class="row customer">
      <div class="bubble" dir={directionOf(text, language) ?? store.dir.value} lang={language}>
        <span class="unseen">{store.t.value("you")}: </span>
        {text}
      </div>
      <div class="sent">{message.time !== undefined && clockTime(message.time, store.place.value.locale)}</div>
    </li>
  );
}

function Notice({ store, message }: { store: Store; message: Message }) {
  return (
    <li class="row notice">
      <Body store={store} message={message} text={message.text} />
    </li>
  );
}

function Answer({ store, message, newest, retryable }: Shown) {
  const t = store.t.value;
  const assistant = message.author === "assistant";
  const empty = message.text === "";
  const translation = useTranslation(store, message);
  const reason = message.done ? reasonKey(message.reason) : null;
  const retry = () => {
    store.client.retry(message.m);
    focusComposer();
  };
  return (
    <li class={assistant ? "row assistant" : "row agent"}>
      <div class="by">
        <span>{assistant ? t("assistant") : (message.name ?? t("agent"))}</span>
        {assistant && <AiBadge store={store} />}
      </div>
      {empty && !message.done ? (
        <Waiting store={store} m={message.m} />
      ) : (
        !empty && <Body store={store} message={message} text={translation.text} live={!message.done} />
      )}
      {translation.button}
      {message.done && !empty && <Sources store={store} sources={message.sources ?? []} />}
      {reason !== null && (
        <p class="reason">
          <Icon name="warning" />
          {t(reason)}
        </p>
      )}
      {retryable && (
        <button type="button" class="quiet" onClick={retry}>
          <Icon name="retry" />
          {t("retry")}
        </button>
      )}
      {assistant && message.done && message.reason === "stop" && !empty && (
        <Rating store={store} message={message} newest={newest} />
      )}
    </li>
  );
}

const formats = new Map<string, Intl.DateTimeFormat>(); // making one costs more than all else in a row

/** The time of day; with the date, where that was another day. */
function clockTime(time: number, locale: string): string {
  const date = new Date(time);
  const dateStyle = date.toDateString() === new Date().toDateString() ? undefined : "medium";
  const key = `${locale} ${dateStyle}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, { dateStyle, timeStyle: "short" }));
  return formats.get(key)!.format(date);
}

export function AiBadge({ store }: { store: Store }) {
  const t = store.t.value;
  return (
    <abbr class="ai" title={t("ai_long")}>
      {t("ai")}
    </abbr>
  );
}

interface Written {
  readonly store: Store;
  readonly message: Message;
  readonly text: string;
  readonly live?: boolean;
}

/** The text itself. A growing one is written past Preact, by the store's rhythm. */
function Body({ store, message, text, live = false }: Written) {
  const node = useRef<HTMLDivElement>(null);
  const body = useRef<StreamBody | null>(null);
  const { m } = message;
  useLayoutEffect(() => {
    body.current ??= new StreamBody(node.current!, store.t.peek()("table"));
    if (!live) return body.current.show(text, message);
    const sync = () => {
      const now = store.message(m);
      if (now !== undefined) body.current!.show(now.text, now);
    };
    sync();
    return store.watch(m, sync);
  }, [m, live, text]);
  return (
    <div class={live ? "bubble live" : "bubble"} dir={store.dir.value} lang={message.language}>
      <div class="text" ref={node} />
    </div>
  );
}

/** A message in the customer's language, with the way back to what was really written. */
function useTranslation(store: Store, message: Message) {
  const [original, setOriginal] = useState(false);
  const language = store.place.value.locale.split("-")[0]!;
  const translated = message.translations?.[language];
  if (translated === undefined || message.language === language) return { text: message.text, button: null };
  return {
    text: original ? message.text : translated,
    button: (
      <button type="button" class="quiet" onClick={() => setOriginal(!original)}>
        {store.t.value(original ? "translated" : "original")}
      </button>
    ),
  };
}

function Sources({ store, sources }: { store: Store; sources: readonly Source[] }) {
  const links = sources.flatMap(({ title, link }) => {
    const href = safeHref(link ?? "");
    const label = title ?? link;
    return label === undefined ? [] : [{ href, label }];
  });
  if (links.length === 0) return null;
  return (
    <div class="sources">
      <span>{store.t.value("sources")}</span>
      <ul>
        {links.map(({ href, label }) => (
          <li>
            {href === null ? (
              label
            ) : (
              <a href={href} target="_blank" rel="noopener noreferrer">
                {label}
              </a>
            )}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Rating({ store, message, newest }: { store: Store; message: Message; newest: boolean }) {
  const t = store.t.value;
  const rate = (value: 1 | -1) => store.client.rate(message.m, message.rating === value ? 0 : value);
  return (
    <div class={newest || message.rating ? "rating" : "rating hidden"}>
      <button type="button" aria-pressed={message.rating === 1} aria-label={t("helpful")} title={t("helpful")} onClick={() => rate(1)}>
        <Icon name="up" />
      </button>
      <button
        type="button"
        aria-pressed={message.rating === -1}
        aria-label={t("unhelpful")}
        title={t("unhelpful")}
        onClick={() => rate(-1)}
      >
        <Icon name="up" turned />
      </button>
    </div>
  );
}

/** What was written and is not in the log yet. */
export function EntryRow({ store, entry }: { store: Store; entry: Entry }) {
  const t = store.t.value;
  const live = store.connection.value.state === "live";
  const failed = entry.state === "failed";
  const state = failed ? "not_sent" : live ? "sending" : "waiting_to_send";
  return (
    <li class={failed ? "row customer failed" : "row customer pending"}>
      <div class="bubble" dir={directionOf(entry.text) ?? store.dir.value}>
        <span class="unseen">{t("you")}: </span>
        {entry.text}
      </div>
      <div class={live && !failed ? "sent soon" : "sent"}>
        <span>{t(state)}</span>
        {failed && (
          <button type="button" class="quiet" onClick={() => store.client.retrySending(entry.id)}>
            {t("send_again")}
          </button>
        )}
        {(failed || (!live && entry.state === "waiting")) && (
          <button type="button" class="quiet" onClick={() => store.client.deleteUnsent(entry.id)}>
            {t("delete")}
          </button>
        )}
      </div>
    </li>
  );
}
