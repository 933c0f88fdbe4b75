/** Where the customer writes. Enter sends, Shift and Enter begin a line, and an input method that is
 * still composing keeps its Enter to itself. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";

import { openAnswer } from "../core/state.ts";
import { Icon, StopIcon } from "./icons.tsx";
import type { Store } from "./store.ts";

const WARN_FROM = 0.85; // of the limit: from here on the rest is counted
const TALLEST_PX = 144;
const PROCESS_KEY = 229; // what keyCode says while an input method has the key (Safari says only this)
const TYPING_EVERY_MS = 4_000;

export function Composer({ store }: { store: Store }) {
  const t = store.t.value;
  const box = useRef<HTMLTextAreaElement>(null);
  const draft = useSignal("");
  const typed = useRef(0);
  const open = openAnswer(store.view.value);
  const units = draft.value.trim().length;
  const over = units - store.client.units;

  const opened = store.opened.value;
  useEffect(() => {
    if (opened) focusComposer();
  }, [opened]);
  useLayoutEffect(() => {
    const style = box.current!.style;
    style.setProperty("height", "auto");
    style.setProperty("height", `${Math.min(TALLEST_PX, box.current!.scrollHeight)}px`);
  }, [draft.value]);

  const send = () => {
    if (store.client.say(draft.value) === null) return;
    store.error.value = null;
    draft.value = "";
    typed.current = 0;
    box.current!.focus();
  };
  const stop = (m: number) => {
    store.client.stop(m);
    focusComposer();
  };
  const input = (text: string) => {
    draft.value = text;
    // Only people can see somebody write.
    const now = Date.now();
    if (store.view.peek().status === "assisted" || now - typed.current < TYPING_EVERY_MS) return;
    typed.current = now;
    store.client.typing(true);
  };
  const key = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === PROCESS_KEY) return;
    event.preventDefault();
    send();
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div class="field">
        <textarea
          ref={box}
          rows={1}
          dir="auto"
          enterkeyhint="send"
          aria-label={t("compose")}
          aria-describedby="units"
          aria-invalid={over > 0}
          placeholder={t("placeholder")}
          value={draft.value}
          onInput={(event) => input(event.currentTarget.value)}
          onKeyDown={key}
        />
        {open !== undefined && units === 0 ? (
          <button type="button" class="send" aria-label={t("stop")} title={t("stop")} onClick={() => stop(open.m)}>
            <StopIcon />
          </button>
        ) : (
          <button type="submit" class="send" aria-label={t("send")} title={t("send")} disabled={units === 0 || over > 0}>
            <Icon name="send" />
          </button>
        )}
      </div>
      <p id="units" class={over > 0 ? "units over" : "units"}>
        {units > store.client.units * WARN_FROM && t(over > 0 ? "units_over" : "units_left", { n: Math.abs(over) })}
      </p>
    </form>
  );
}

/** For whoever opens the panel, or presses a button that is gone then: the caret comes here. On a touch
 * screen its keyboard would cover what there is to read, so there it is the panel that has the focus. */
export function focusComposer(): void {
  document.querySelector<HTMLElement>(matchMedia("(pointer: coarse)").matches ? "#panel" : "textarea")!.focus();
}
