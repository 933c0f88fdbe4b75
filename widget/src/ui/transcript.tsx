/** The conversation on the screen: greeting, messages, what is not sent yet, and where it scrolls. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Message } from "../core/message.ts";
import { openAnswer } from "../core/state.ts";
import { focusComposer } from "./composer.tsx";
import { Icon } from "./icons.tsx";
import { AiBadge, EntryRow, MessageRow } from "./messages.tsx";
import { queueText } from "./progress.tsx";
import type { Store } from "./store.ts";

const AT_END_PX = 48; // less than a line above the end is the end
const RETRYABLE = new Set(["failed", "stopped", "length"]);

export function Transcript({ store }: { store: Store }) {
  const t = store.t.value;
  const { messages, more, status, queue, agent } = store.view.value;
  const entries = store.unlogged.value;
  const scroll = useScroll(store, messages[0]?.m, messages.length + entries.length);
  const replaced = new Set(messages.map(({ replaces }) => replaces));
  const newest = messages.findLast(({ author }) => author === "assistant");
  const open = openAnswer(store.view.value) !== undefined;
  const typing = store.view.value.typing === "agent";
  return (
    <div class="middle">
      <div class="scroller" ref={scroll.scroller} tabIndex={0} role="region" aria-label={t("transcript")} onScroll={scroll.moved}>
        <div class="content" ref={scroll.content}>
          {more ? (
            <button type="button" class="quiet earlier" onClick={() => store.client.history()}>
              {t("earlier")}
            </button>
          ) : (
            <Greeting store={store} small={messages.length + entries.length > 0} />
          )}
          <ol class="messages">
            {messages
              .filter(({ m }) => !replaced.has(m))
              .map((message) => (
                <MessageRow
                  key={message.m}
                  store={store}
                  message={message}
                  newest={message === newest}
                  retryable={message === newest && canRetry(message, open)}
                />
              ))}
            {entries.map((entry) => (
              <EntryRow key={entry.id} store={store} entry={entry} />
            ))}
          </ol>
          {!open && queue !== null && <p class="state">{queueText(t, queue)}</p>}
          {status === "waiting" && <p class="state">{t("status_waiting")}</p>}
          {status === "assigned" && <p class="state">{t("status_assigned", { name: agent ?? t("agent") })}</p>}
          {status === "resolved" && <p class="state">{t("status_resolved")}</p>}
          {typing && <p class="state">{t("typing", { name: agent ?? t("agent") })}</p>}
        </div>
      </div>
      {scroll.behind && (
        <button
          type="button"
          class="jump"
          onClick={() => {
            scroll.toEnd();
            focusComposer();
          }}
        >
          <Icon name="arrow" />
          {t("new_messages")}
        </button>
      )}
    </div>
  );
}

function canRetry(message: Message, open: boolean): boolean {
  return !open && message.done && RETRYABLE.has(message.reason ?? "");
}

function Greeting({ store, small }: { store: Store; small: boolean }) {
  const t = store.t.value;
  return (
    <section class={small ? "greeting small" : "greeting"}>
      <span class="spark">
        <Icon name="spark" />
      </span>
      <h2>{t("greeting")}</h2>
      <p>{t("greeting_hint")}</p>
      <p class="note">
        <AiBadge store={store} /> <span>{t("ai_note")}</span>
      </p>
      {!small &&
        [t("ask_shipping"), t("ask_return"), t("ask_payment")].map((question) => (
          <button
            type="button"
            class="ask"
            onClick={() => {
              store.client.say(question);
              focusComposer();
            }}
          >
            {question}
          </button>
        ))}
    </section>
  );
}

/**
 * Who is at the end stays there while it grows; who reads further up is not moved, and is told that
 * there is more below. Older messages are put in above without a jump.
 */
function useScroll(store: Store, first: number | undefined, count: number) {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const held = useRef({ atEnd: true, first, height: 0, top: 0 });
  const [behind, setBehind] = useState(false);

  const stick = () => {
    scroller.current!.scrollTop = scroller.current!.scrollHeight;
    held.current.top = scroller.current!.scrollTop;
  };
  const toEnd = () => {
    held.current.atEnd = true;
    stick();
    setBehind(false);
  };
  const moved = () => {
    const { scrollHeight, scrollTop, clientHeight } = scroller.current!;
    const { current } = held;
    // This is told a frame late, and the text may have grown meanwhile: only who goes up leaves the end.
    const atEnd = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    if (atEnd || scrollTop < current.top) current.atEnd = atEnd;
    current.top = scrollTop;
    if (atEnd) setBehind(false);
  };

  useEffect(() => {
    const observer = new ResizeObserver(() => {
      const { scrollHeight } = scroller.current!;
      if (held.current.atEnd) stick();
      else if (scrollHeight > held.current.height) setBehind(true);
      held.current.height = scrollHeight;
    });
    observer.observe(scroller.current!);
    observer.observe(content.current!);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const { current } = held;
    const { scrollHeight } = scroller.current!;
    if (first !== undefined && current.first !== undefined && first < current.first && !current.atEnd) {
      scroller.current!.scrollTop += scrollHeight - current.height;
      current.height = scrollHeight; // it grew above, which is no news
    }
    current.first = first;
  }, [first, count]);

  // What the customer writes is always seen.
  const sent = store.unlogged.value.at(-1)?.id;
  useLayoutEffect(() => {
    if (sent !== undefined) toEnd();
  }, [sent]);

  return { scroller, content, behind, toEnd, moved };
}
